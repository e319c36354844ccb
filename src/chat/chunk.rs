//! One chunk of a stream, read in one pass and borrowed: which members it has, as they are written.
//!
//! What a member should be and is not (choices that are no array, an index that is no number) is passed over:
//! a strict reader breaks on half of the servers there are.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

use super::json::{self, Key, Raw};

/// Members that have no place of their own.
pub type Others<'a> = SmallVec<[(Cow<'a, str>, Raw<'a>); 8]>;

/// A chunk's own members.
#[derive(Default)]
pub struct Chunk<'a> {
    /// The choices.
    pub choices: SmallVec<[Choice<'a>; 1]>,
    /// Whether there is a list of choices at all.
    pub lists_choices: bool,
    /// The error, unless it says nothing.
    pub error: Option<Raw<'a>>,
    /// All other members.
    pub others: Others<'a>,
}

/// One choice of a chunk.
#[derive(Default)]
pub struct Choice<'a> {
    /// Its index; 0 where the server gives none.
    pub index: u64,
    /// Its delta; `message` where a server sends whole messages.
    pub delta: Option<Raw<'a>>,
    /// Whether the delta was called `message`.
    pub whole: bool,
    /// `finish_reason`, as it is written.
    pub finish: Option<Raw<'a>>,
    /// `logprobs`, as it is written.
    pub logprobs: Option<Raw<'a>>,
    /// All other members.
    pub others: Others<'a>,
}

impl<'a> Chunk<'a> {
    /// Read a chunk. An error: it is no JSON object.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

impl<'de> Deserialize<'de> for Chunk<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChunkVisitor;
        impl<'de> Visitor<'de> for ChunkVisitor {
            type Value = Chunk<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Chunk<'de>, A::Error> {
                let mut chunk = Chunk::default();
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "choices" => {
                            let Lenient(Choices(list)) = map.next_value()?;
                            chunk.lists_choices = list.is_some();
                            chunk.choices = list.unwrap_or_default();
                        }
                        "error" => chunk.error = Some(map.next_value::<Raw>()?).filter(|error| is_error(error.get())),
                        _ => chunk.others.push((key, map.next_value()?)),
                    }
                }
                Ok(chunk)
            }
        }
        deserializer.deserialize_map(ChunkVisitor)
    }
}

/// A value of the right kind, or nothing.
struct Lenient<T>(T);

/// What a [`Lenient`] value is read from, if it is there.
trait Part<'de>: Default {
    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl<'de, T: Part<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Part<'de>> Visitor<'de> for PartVisitor<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
                T::from_seq(seq)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::from_map(map)
            }
            fn visit_unit<E>(self) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<T, E> {
                Ok(T::default())
            }
        }
        deserializer.deserialize_any(PartVisitor(std::marker::PhantomData)).map(Lenient)
    }
}

#[derive(Default)]
struct Choices<'a>(Option<SmallVec<[Choice<'a>; 1]>>);

impl<'de> Part<'de> for Choices<'de> {
    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut choices = SmallVec::new();
        while let Some(Lenient(choice)) = seq.next_element::<Lenient<Option<Choice<'de>>>>()? {
            choices.extend(choice);
        }
        Ok(Choices(Some(choices)))
    }
}

impl<'de> Part<'de> for Option<Choice<'de>> {
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut choice = Choice::default();
        while let Some(Key(key)) = map.next_key()? {
            let value: Raw = map.next_value()?;
            match &*key {
                "index" => choice.index = value.get().parse().unwrap_or(0),
                "delta" => choice.delta = Some(value),
                "message" if choice.delta.is_none() => {
                    choice.delta = Some(value);
                    choice.whole = true;
                }
                "finish_reason" => choice.finish = Some(value),
                "logprobs" => choice.logprobs = Some(value),
                _ => choice.others.push((key, value)),
            }
        }
        Ok(Some(choice))
    }
}

/// Whether an `error` member is one: `null`, `false` and `""` say that there is none.
pub fn is_error(raw: &str) -> bool {
    json::says(raw) && raw != "false"
}

/// Whether a `finish_reason` ends a choice: absent, null, `""` and `"error"` do not, any other value does.
pub fn ends(finish: &str) -> bool {
    json::says(finish) && !is_error_finish(finish)
}

/// The server gave up on this choice.
pub fn is_error_finish(finish: &str) -> bool {
    finish == "\"error\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_have_their_place_and_the_others_are_kept() {
        let text = r#"{"id":"x","choices":[{"index":1,"delta":{"content":"a"},"finish_reason":null,"score":1e400}],"usage":null,"error":null}"#;
        let chunk = Chunk::read(text).unwrap();
        assert_eq!(chunk.others.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["id", "usage"]);
        assert!(chunk.error.is_none());
        assert!(chunk.lists_choices);
        let choice = &chunk.choices[0];
        assert_eq!((choice.index, choice.delta.unwrap().get()), (1, r#"{"content":"a"}"#));
        assert_eq!((&*choice.others[0].0, choice.others[0].1.get()), ("score", "1e400"));
    }

    #[test]
    fn what_is_of_the_wrong_kind_is_passed_over() {
        for choices in ["null", "{}", "17", "1e400", "\"x\"", "true", "[null, 3, [], \"x\"]", "{\"a\":{\"b\":[1]}}"] {
            let text = format!("{{\"choices\":{choices},\"id\":\"x\"}}");
            let chunk = Chunk::read(&text).unwrap_or_else(|error| panic!("{choices}: {error}"));
            assert!(chunk.choices.is_empty() && chunk.others.len() == 1, "{choices}");
        }
        assert_eq!(Chunk::read(r#"{"choices":[{"index":"one"}]}"#).unwrap().choices[0].index, 0);
        for broken in ["", "[1]", "17", "{", "{}x", "{\"a\":\u{0}}"] {
            assert!(Chunk::read(broken).is_err(), "{broken:?}");
        }
    }
}
