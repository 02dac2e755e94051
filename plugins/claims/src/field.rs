//! What fields of messages may hold. Writers differ, so an id may be a number and an instant may lack its zone; but
//! what no writer means, and what a file system, a header or a terminal would stumble over, is refused with its field.
//!
//! | field | takes |
//! |---|---|
//! | [`NonBlank`], [`filled`] | a text of at most 4096 characters that is not blank and holds no NUL |
//! | [`text`], [`optional_text`] | the same, or blank, missing or `null` |
//! | [`id`], [`optional_id`] | a text or a whole number below 2^64, of at most 128 characters, none of them a control character |
//! | [`url`] | a text of at most 8192 characters, none of them a control character |
//! | [`moment`] | a date and time in ISO 8601, with zone or without |
//! | [`sha256`] | 64 hexadecimal digits |
//! | [`media_type`] | printable ASCII; missing or `null` |

use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest text, in characters. A path of a thousand bytes is the longest that stores take.
const TEXT_LIMIT: usize = 4096;
/// The longest id, in characters.
const ID_LIMIT: usize = 128;
/// The longest URL, in characters: what servers take at most in a request's first line.
const URL_LIMIT: usize = 8192;
/// The longest media type, in characters.
const MEDIA_TYPE_LIMIT: usize = 255;

/// A text with something in it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct NonBlank(String);

impl TryFrom<String> for NonBlank {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        shortish(&text, TEXT_LIMIT)?;
        Self::of(text)
    }
}

impl NonBlank {
    fn of(text: String) -> Result<Self, String> {
        if text.trim().is_empty() { Err("it is blank".into()) } else { Ok(Self(text)) }
    }
}

impl From<NonBlank> for String {
    fn from(text: NonBlank) -> Self {
        text.0
    }
}

impl Deref for NonBlank {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NonBlank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands there, or the default where that is `null`: writers say nothing in either way.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A text that may be blank, missing or `null`.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    optional_text(from).map(Option::unwrap_or_default)
}

/// A text that may be missing or `null`.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.iter().try_for_each(|text| shortish(text, TEXT_LIMIT)).map_err(de::Error::custom)?;
    Ok(text)
}

/// An id. Some writers send it as a number.
pub(crate) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<NonBlank, D::Error> {
    Id::deserialize(from).map(|id| id.0)
}

/// An id that may be missing or `null`.
pub(crate) fn optional_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Id>::deserialize(from)?.map(|id| id.0.into()))
}

/// A URL, as far as this can be said before it is taken apart.
pub(crate) fn url<'de, D: Deserializer<'de>>(from: D) -> Result<NonBlank, D::Error> {
    let url = String::deserialize(from)?;
    plain(&url, URL_LIMIT).and_then(|()| NonBlank::of(url)).map_err(de::Error::custom)
}

/// A text with something in it.
pub(crate) fn filled<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    NonBlank::deserialize(from).map(String::from)
}

/// An instant, as it was written.
pub(crate) fn moment<'de, D: Deserializer<'de>, T: From<NonBlank>>(from: D) -> Result<T, D::Error> {
    let text = NonBlank::deserialize(from)?;
    let is_moment = text.parse::<Timestamp>().is_ok() || text.parse::<DateTime>().is_ok();
    if is_moment {
        Ok(text.into())
    } else {
        Err(de::Error::custom("it is no date and time such as 2026-03-02T14:05:11Z"))
    }
}

/// A SHA-256.
pub(crate) fn sha256<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { Ok(text) } else { Err(de::Error::custom("it is no SHA-256, which has 64 hexadecimal digits")) }
}

/// A media type that may be missing or `null`.
pub(crate) fn media_type<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let is_printable = |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match text {
        Some(text) if text.len() > MEDIA_TYPE_LIMIT || !is_printable(&text) => {
            Err(de::Error::custom("it is no media type such as image/jpeg"))
        }
        text => Ok(text),
    }
}

/// Whether a character is not seen, but changes what is: a control character, or one that turns the direction of
/// writing.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shortish(text: &str, limit: usize) -> Result<(), String> {
    match text.chars().count() {
        long if long > limit => Err(format!("it has {long} characters, where {limit} are the most")),
        _ if text.contains('\0') => Err("it holds the character NUL".into()),
        _ => Ok(()),
    }
}

fn plain(text: &str, limit: usize) -> Result<(), String> {
    shortish(text, limit)?;
    if text.chars().any(is_control) { Err("it holds a control character".into()) } else { Ok(()) }
}

struct Id(NonBlank);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let id = from.deserialize_any(TextOrNumber)?;
        plain(&id, ID_LIMIT).and_then(|()| NonBlank::of(id)).map(Self).map_err(de::Error::custom)
    }
}

struct TextOrNumber;

impl de::Visitor<'_> for TextOrNumber {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_text_is_refused() {
        for (text, is_taken) in [("a", true), (" a ", true), ("", false), (" \t\n", false)] {
            assert_eq!(NonBlank::try_from(text.to_owned()).is_ok(), is_taken, "{text:?}");
        }
    }

    /// R37.
    #[test]
    fn an_instant_may_lack_its_zone_but_is_one() {
        let read = |text: &str| moment::<_, String>(serde_json::Value::from(text));
        for text in [
            "2026-03-02T14:05:11Z",
            "2026-03-02T14:05:11.018342+00:00",
            "2026-03-02T14:05:11-07:00",
            "2026-03-02T14:05:11",
            "2026-03-02 14:05:11.5",
            "2026-03-02T14:05",
            "2026-03-02",
        ] {
            assert_eq!(read(text).ok().as_deref(), Some(text));
        }
        for text in ["yesterday", "03/02/2026 14:05", "2026-02-30T00:00:00Z", "2026-03-02T25:00:00Z", "1772460311", "Z"]
        {
            let refused = read(text).unwrap_err().to_string();
            assert_eq!(refused, "it is no date and time such as 2026-03-02T14:05:11Z", "{text}");
        }
    }
}
