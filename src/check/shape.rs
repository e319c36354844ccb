//! What a value may be, and what of a value is not so. Values are looked at as they are written; none is made.

use std::fmt;
use std::ops::RangeInclusive;

use crate::chat::{json, scan};
use crate::text::{excerpt, nearest};

/// What marks where a prompt cache may end.
pub const BREAKPOINT: &str = "cache_control";
/// More of them no provider takes.
pub(super) const BREAKPOINTS_MOST: usize = 4;

/// As the most of a list: any number.
pub const MOST: usize = usize::MAX;
/// A number without bounds.
pub const ANY_NUMBER: Shape = Shape::Number(f64::NEG_INFINITY, f64::INFINITY);
/// Of what was found so much is shown.
const SHOWN_MOST: usize = 40;
/// So many findings of a request are told in words.
const FINDINGS_MOST: usize = 10;

/// What a value may be.
pub enum Shape {
    /// Anything.
    Any,
    /// null.
    Null,
    /// `true` or `false`.
    Flag,
    /// A string.
    Text,
    /// A string that is not empty.
    Name,
    /// A string that is a URL, `data:` ones too.
    Url,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A number within these bounds.
    Number(f64, f64),
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// A list of these, at least and at most so many.
    List(&'static Shape, usize, usize),
    /// An object with names of the host's choice.
    Map(&'static Shape),
    /// An object with these members, and others.
    Object(&'static [Member]),
    /// An object with these members and no others.
    Closed(&'static [Member]),
    /// An object whose kind one of its members tells.
    Tagged(&'static str, &'static [(&'static str, &'static [Member])]),
    /// Any of these; they differ in their JSON type.
    Either(&'static [Shape]),
}

/// A member of an object.
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it may be.
    pub shape: Shape,
}

/// A member that must be there.
pub const fn must(name: &'static str, shape: Shape) -> Member {
    Member { name, is_required: true, shape }
}

/// A member that may be there.
pub const fn may(name: &'static str, shape: Shape) -> Member {
    Member { name, is_required: false, shape }
}

/// The place that is looked at, and what was found on the way.
#[derive(Default)]
pub struct Walk {
    path: String, // like messages[2].content[0].image_url.url
    findings: Vec<String>,
    untold: usize,
    breakpoints: usize,
}

impl Walk {
    /// Something is found here.
    pub fn find(&mut self, found: &str, allowed: &str) {
        if self.findings.len() < FINDINGS_MOST {
            self.findings.push(format!("{}: found {found}, allowed: {allowed}", self.path));
        } else {
            self.untold += 1;
        }
    }

    /// All that was found: the first ones in words, the rest by its number.
    pub fn findings(mut self) -> Vec<String> {
        if self.untold > 0 {
            self.findings.push(format!("and {} more", self.untold));
        }
        self.findings
    }

    /// Look at a member of what is looked at.
    pub fn at_member(&mut self, name: &str, look: &mut dyn FnMut(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&excerpt(name, 2 * SHOWN_MOST));
        look(self);
        self.path.truncate(length);
    }

    /// Look at an element of what is looked at.
    pub fn at_element(&mut self, place: usize, look: &mut dyn FnMut(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&format!("[{place}]"));
        look(self);
        self.path.truncate(length);
    }

    /// Look at a value that must have this shape.
    pub fn value(&mut self, shape: &Shape, raw: &str) {
        match shape.for_kind(kind(raw)) {
            Some(Shape::List(each, least, most)) => self.list(each, *least..=*most, raw),
            Some(Shape::Map(each)) => self.map(each, raw),
            Some(Shape::Object(members)) => self.members(&|place| members.get(place), false, raw),
            Some(Shape::Closed(members)) => self.members(&|place| members.get(place), true, raw),
            Some(Shape::Tagged(tag, kinds)) => self.tagged(tag, kinds, raw),
            Some(plain) if plain.takes(raw) => {}
            _ => self.find(&shown(raw), &shape.to_string()),
        }
    }

    fn list(&mut self, each: &Shape, allowed: RangeInclusive<usize>, raw: &str) {
        let mut count = 0;
        scan::elements(raw, |element| {
            self.at_element(count, &mut |walk| walk.value(each, element));
            count += 1;
        });
        if !allowed.contains(&count) {
            self.find(&format!("{count} elements"), &elements(*allowed.start(), *allowed.end()));
        }
    }

    fn map(&mut self, each: &Shape, raw: &str) {
        if !matches!(each, Shape::Any) {
            scan::members(raw, |name, value| {
                self.at_member(&json::plain(name), &mut |walk| walk.value(each, value));
            });
        }
    }

    fn tagged(&mut self, tag: &str, kinds: &[(&str, &'static [Member])], raw: &str) {
        let word = scan::member(raw, tag);
        let text = word.and_then(json::text);
        match kinds.iter().find(|(kind, _)| text.as_deref() == Some(kind)) {
            Some((_, members)) => self.members(&|place| members.get(place), false, raw),
            None => {
                let allowed = words(kinds.iter().map(|(kind, _)| *kind));
                self.at_member(tag, &mut |walk| walk.find(&word.map_or("nothing".into(), shown), &allowed));
            }
        }
    }

    /// Look at an object with these members (`None` behind the last). `is_closed`: it has no others.
    pub fn members(&mut self, known: &dyn Fn(usize) -> Option<&'static Member>, is_closed: bool, raw: &str) {
        let all = || (0..).map_while(known);
        let mut seen = 0u64; // a bit for each of them
        scan::members(raw, |name, value| {
            let name = json::plain(name);
            let place = all().position(|member| member.name == name);
            seen |= place.map_or(0, |place| 1 << place);
            self.at_member(&name, &mut |walk| match place.and_then(known) {
                Some(member) => {
                    walk.value(&member.shape, value);
                    walk.count_breakpoint(&name);
                }
                None if is_closed => {
                    let names: Vec<_> = all().map(|member| member.name).collect();
                    let near =
                        Some(&*name).filter(|name| name.len() <= SHOWN_MOST).and_then(|name| nearest(name, &names));
                    let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                    walk.find(
                        "an unknown name",
                        &format!("no such name: the gateway's strict schema refuses it{hint}"),
                    );
                }
                None => {}
            });
        });
        for (place, member) in all().enumerate().filter(|(_, member)| member.is_required) {
            if seen & 1 << place == 0 {
                self.at_member(member.name, &mut |walk| walk.find("nothing", &member.shape.to_string()));
            }
        }
    }

    fn count_breakpoint(&mut self, name: &str) {
        if name == BREAKPOINT {
            self.breakpoints += 1;
            if self.breakpoints == BREAKPOINTS_MOST + 1 {
                let allowed = format!("at most {BREAKPOINTS_MOST} of {BREAKPOINT} in a request");
                self.find("one more", &allowed);
            }
        }
    }
}

/// The JSON type of a value: its first byte, one for all digits and one for both truths.
fn kind(raw: &str) -> u8 {
    match raw.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => b'0',
        Some(b't' | b'f') => b't',
        other => other.copied().unwrap_or_default(),
    }
}

impl Shape {
    /// What it says of values of this JSON type; `None`: they cannot stand here.
    fn for_kind(&self, kind: u8) -> Option<&Shape> {
        let own = match self {
            Shape::Either(shapes) => return shapes.iter().find_map(|shape| shape.for_kind(kind)),
            Shape::Any => kind,
            Shape::Null => b'n',
            Shape::Flag => b't',
            Shape::Text | Shape::Name | Shape::Url | Shape::Word(_) => b'"',
            Shape::Number(..) | Shape::Whole(..) => b'0',
            Shape::List(..) => b'[',
            Shape::Map(_) | Shape::Object(_) | Shape::Closed(_) | Shape::Tagged(..) => b'{',
        };
        (own == kind).then_some(self)
    }

    /// Whether a value of the right JSON type may be this; of what holds others its members say so.
    fn takes(&self, raw: &str) -> bool {
        match self {
            Shape::Name => json::says(raw),
            Shape::Url => json::inner(raw).is_some_and(is_url),
            Shape::Word(words) => json::text(raw).is_some_and(|text| words.contains(&&*text)),
            Shape::Number(least, most) => raw.parse().is_ok_and(|number: f64| (*least..=*most).contains(&number)),
            Shape::Whole(least, most) => whole(raw).is_some_and(|number| (*least..=*most).contains(&number)),
            _ => true,
        }
    }
}

/// A whole number, however it is written.
fn whole(raw: &str) -> Option<i64> {
    let of_float = |number: f64| (number.fract() == 0.0 && number.abs() < i64::MAX as f64).then_some(number as i64);
    raw.parse().ok().or_else(|| of_float(raw.parse().ok()?))
}

/// A scheme, and something behind it. (A colon is never escaped.)
fn is_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            && !rest.is_empty()
    })
}

/// What was found, as short as it can be told.
pub fn shown(raw: &str) -> String {
    match kind(raw) {
        b'[' => "an array".to_owned(),
        b'{' => "an object".to_owned(),
        b'"' if raw.len() > SHOWN_MOST => format!("a string of {} bytes", raw.len() - 2),
        _ => excerpt(raw, SHOWN_MOST),
    }
}

/// What is allowed, in words.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Any => f.write_str("anything"),
            Shape::Null => f.write_str("null"),
            Shape::Flag => f.write_str("true or false"),
            Shape::Text => f.write_str("a string"),
            Shape::Name => f.write_str("a string that is not empty"),
            Shape::Url => f.write_str("a URL: https://… or data:…"),
            Shape::Word(all) => f.write_str(&words(all.iter().copied())),
            Shape::Number(least, _) if least.is_infinite() => f.write_str("a number"),
            Shape::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Shape::Whole(i64::MIN, i64::MAX) => f.write_str("a whole number"),
            Shape::Whole(least, i64::MAX) => write!(f, "a whole number of at least {least}"),
            Shape::Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Shape::List(Shape::Text, 0, most) if *most < MOST => write!(f, "a list of at most {most} strings"),
            Shape::List(_, least, most) => f.write_str(&format!("a list: {}", elements(*least, *most))),
            Shape::Map(Shape::Any) => f.write_str("an object"),
            Shape::Map(each) => write!(f, "an object, each of its members {each}"),
            Shape::Object(_) | Shape::Closed(_) => f.write_str("an object"),
            Shape::Tagged(tag, kinds) => {
                write!(f, "an object with {tag:?}: {}", words(kinds.iter().map(|(kind, _)| *kind)))
            }
            Shape::Either(shapes) => {
                for (place, shape) in shapes.iter().enumerate() {
                    write!(f, "{}{shape}", if place > 0 { ", or " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

fn words<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn elements(least: usize, most: usize) -> String {
    match (least, most) {
        (0, MOST) => "any number of elements".to_owned(),
        (least, MOST) => format!("{least} or more elements"),
        (least, most) => format!("{least} to {most} elements"),
    }
}
