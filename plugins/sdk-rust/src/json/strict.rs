//! What JSON has to be before anything is made of it: text, complete, of bounded depth, and without a key that stands
//! twice. Walks the whole of it, fields included that nobody reads, and keeps nothing but the keys of open objects.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{MAX_DEPTH, reason};

/// What [`check`] calls an object.
pub(super) const OBJECT: &str = "an object";

/// The bytes as the text that JSON is.
pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => return Err("it begins with a byte order mark, which JSON has none of".into()),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..] => {
            return Err("it is UTF-16 or UTF-32, where JSON is UTF-8".into());
        }
        _ => {}
    }
    let text = str::from_utf8(bytes).map_err(|error| {
        format!("it is no UTF-8, which JSON is: byte {} begins no character", error.valid_up_to() + 1)
    })?;
    if text.trim_ascii().is_empty() { Err("it is empty".into()) } else { Ok(text) }
}

/// Walks through JSON, and says what it is.
pub(super) fn check(text: &str) -> Result<&'static str, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let walked = Walk { depth: 0 }.deserialize(&mut deserializer);
    let found = walked.map_err(|error| reason::of_syntax(&error))?;
    deserializer.end().map_err(|error| reason::of_syntax(&error))?;
    Ok(found)
}

/// A walk through one value, inside of so many arrays and objects. Its depth is bounded, so it may recurse.
#[derive(Clone, Copy)]
struct Walk {
    depth: usize,
}

impl Walk {
    /// A walk through what lies in an array or object.
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH.. => Err(E::custom(format!("more than {MAX_DEPTH} arrays and objects lie in each other"))),
            depth => Ok(Self { depth: depth + 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok("null")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok("true or false")
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok("a number")
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok("a number")
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok("a number")
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok("a text")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        while array.next_element_seed(inner)?.is_some() {}
        Ok("an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut keys = BTreeSet::new();
        while let Some(key) = object.next_key_seed(Key)? {
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format!("the key `{}` stands twice in one object", reason::key(&twice))));
            }
            object.next_value_seed(inner)?;
        }
        Ok(OBJECT)
    }
}

/// A key, borrowed where it holds no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
