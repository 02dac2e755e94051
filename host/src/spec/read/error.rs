//! What serde can find wrong, kept as data, with the place and the path where it was found.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::spec::place::Place;

/// A step from a node to one below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

/// Something that a type does not take.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Error {
    pub(crate) kind: Kind,
    /// Where; the innermost reader knows.
    pub(crate) place: Option<Place>,
    /// How to get there, the last step first.
    pub(crate) path: Vec<Step>,
}

/// What is wrong.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Kind {
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    /// Of an enum written as a map.
    UnknownVariant {
        key: String,
        known: &'static [&'static str],
    },
    /// Of an enum written as a word.
    UnknownWord {
        word: String,
        known: &'static [&'static str],
    },
    Missing(&'static str),
    /// An enum written as a map takes exactly one key.
    NotOne {
        known: &'static [&'static str],
    },
    Mismatch {
        expected: String,
        found: String,
    },
    /// Something else stands where a secret belongs.
    SecretExpected,
    /// A secret stands where none belongs.
    SecretUnexpected,
    Other(String),
}

impl Error {
    pub(super) fn new(kind: Kind, place: Place) -> Self {
        Self { kind, place: Some(place), path: Vec::new() }
    }

    /// Gives the error a place where it has none yet.
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// Says that it was found below `step`.
    pub(super) fn below(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    fn nowhere(kind: Kind) -> Self {
        Self { kind, place: None, path: Vec::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::nowhere(Kind::Other(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::nowhere(Kind::Mismatch { expected: in_words(expected), found: found(unexpected) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::nowhere(Kind::UnknownWord { word: variant.to_owned(), known })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::nowhere(Kind::UnknownKey { key: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::nowhere(Kind::Missing(field))
    }
}

/// What a Rust type expects, as people who write YAML say it.
fn in_words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let number = ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize"]
        .iter()
        .any(|name| text.split(' ').any(|word| word == *name));
    match number {
        true if text.contains("nonzero") => "a whole number from 1".to_owned(),
        true => "a whole number".to_owned(),
        false => text,
    }
}

/// What was found; never a string's content, which might be a secret.
fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        _ => "a string".to_owned(),
    }
}
