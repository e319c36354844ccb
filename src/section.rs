//! Reading a JSON config with its mistakes named: unknown keys with the nearest that exists, wrong types with what was expected.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use ureq::http::HeaderValue;

use crate::failure::Failure;
use crate::text::{excerpt, nearest};

/// A text as a header value; no value can end its line and begin another header.
pub fn header_value(text: &str) -> Result<HeaderValue, &'static str> {
    let value = HeaderValue::from_bytes(text.as_bytes());
    let mut value = value.map_err(|_| "holds a line break or another control character")?;
    value.set_sensitive(true); // for Debug
    Ok(value)
}

/// No number of the config is larger.
const MOST: u64 = i64::MAX as u64;

/// One object of the config, and where it lies.
pub struct Section<'a> {
    path: String,
    members: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    /// The whole config.
    pub fn root(value: &'a Value, keys: &[&str]) -> Result<Self, Failure> {
        Section { path: String::new(), members: value.as_object() }.with_keys(keys)
    }

    /// A member that is an object itself; absent or null is an empty one.
    pub fn section(&self, key: &str, keys: &[&str]) -> Result<Section<'a>, Failure> {
        self.object(key)?.with_keys(keys)
    }

    /// A member that is an object with keys of the host's choice.
    pub fn object(&self, key: &str) -> Result<Section<'a>, Failure> {
        match self.get(key) {
            None => Ok(Section { path: self.path_of(key), members: None }),
            Some(Value::Object(members)) => Ok(Section { path: self.path_of(key), members: Some(members) }),
            Some(other) => Err(self.wrong(key, "an object", other)),
        }
    }

    fn with_keys(self, keys: &[&str]) -> Result<Self, Failure> {
        let unknown =
            self.members.into_iter().flat_map(|members| members.keys()).find(|key| !keys.contains(&key.as_str()));
        match unknown {
            None => Ok(self),
            Some(key) => {
                let hint = match nearest(key, keys) {
                    Some(near) => format!("did you mean {:?}?", self.path_of(near)),
                    None => format!("known here: {}", keys.join(", ")),
                };
                Err(Failure::argument(format!("unknown config key {:?}: {hint}", excerpt(&self.path_of(key), 200))))
            }
        }
    }

    /// The member's value; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// Whether the member is there and null.
    pub fn is_null(&self, key: &str) -> bool {
        self.members.and_then(|members| members.get(key)).is_some_and(Value::is_null)
    }

    /// The names and values of all members.
    pub fn members(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.members.into_iter().flatten()
    }

    /// A string.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, Failure> {
        self.typed(key, "a string", Value::as_str)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A whole number of at least `least`.
    pub fn whole(&self, key: &str, least: u64) -> Result<Option<u64>, Failure> {
        let expected = format!("a whole number of at least {least}");
        self.typed(key, &expected, |value| value.as_u64().filter(|number| (least..=MOST).contains(number)))
    }

    /// The same with a bound above.
    pub fn whole_within(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Failure> {
        let expected = format!("a whole number of at least {} and at most {}", range.start(), range.end());
        self.typed(key, &expected, |value| value.as_u64().filter(|number| range.contains(number)))
    }

    /// A number within a range.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Failure> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.typed(key, &expected, |value| value.as_f64().filter(|number| value.is_number() && range.contains(number)))
    }

    /// One of these words.
    pub fn word(&self, key: &str, words: &[&'static str]) -> Result<Option<&'static str>, Failure> {
        let expected =
            format!("one of {}", words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", "));
        self.typed(key, &expected, |value| words.iter().copied().find(|word| value.as_str() == Some(word)))
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| self.wrong(key, expected, value))
    }

    /// The mistake of a wrong value, which is not repeated: it may be a secret.
    pub fn wrong(&self, key: &str, expected: &str, found: &Value) -> Failure {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) if expected.contains("number") => excerpt(&number.to_string(), 40),
            Value::Number(_) => "a number".to_owned(),
            Value::String(_) => "another string".to_owned(),
            Value::Array(_) => "an array".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        self.mistake(key, format!("expects {expected}, not {found}"))
    }

    /// Any mistake in a member: `why` goes on after its name.
    pub fn mistake(&self, key: &str, why: impl std::fmt::Display) -> Failure {
        Failure::argument(format!("config key {:?} {why}", excerpt(&self.path_of(key), 200)))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
