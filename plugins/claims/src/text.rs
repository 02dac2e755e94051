//! Texts of messages.

use std::fmt;
use std::ops::Deref;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, de};

/// A text with something in it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct NonBlank(String);

impl TryFrom<String> for NonBlank {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() { Err("it is blank") } else { Ok(Self(text)) }
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

/// An id. Some writers send it as a number.
pub(crate) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<NonBlank, D::Error> {
    NonBlank::try_from(from.deserialize_any(TextOrNumber)?).map_err(de::Error::custom)
}

/// An id that may be missing or `null`.
pub(crate) fn optional_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Id(String);
    impl<'de> Deserialize<'de> for Id {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_any(TextOrNumber).map(Self)
        }
    }
    Ok(Option::<Id>::deserialize(from)?.map(|id| id.0))
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

/// An instant as messages tell it, such as `2026-03-02T14:05:16.018+00:00`.
pub fn instant(at: SystemTime) -> String {
    let timestamp = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.display_with_offset(Offset::UTC).to_string()
}

/// A URL without its query, its fragment and its user: what of a presigned URL may be kept.
pub fn without_query(url: &str) -> String {
    let place = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = place.split_once("://") else { return place.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// At most so many characters, with an ellipsis where there were more.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_blank_text_is_refused() {
        for (text, is_taken) in [("a", true), (" a ", true), ("", false), (" \t\n", false)] {
            assert_eq!(NonBlank::try_from(text.to_owned()).is_ok(), is_taken, "{text:?}");
        }
    }

    #[test]
    fn an_instant_has_the_offset_of_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (1_772_460_316_018, "2026-03-02T14:05:16.018+00:00"),
            (1_772_460_316_000, "2026-03-02T14:05:16+00:00"),
        ] {
            assert_eq!(instant(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_presigned_url_keeps_no_secret() {
        for (url, kept) in [
            ("https://h/a/b.pdf?X-Amz-Signature=S#f", "https://h/a/b.pdf"),
            ("https://user:S@h:8443/a", "https://h:8443/a"),
            ("https://h?S", "https://h"),
            ("https://h/a@b", "https://h/a@b"),
            ("no url?S", "no url"),
            ("", ""),
        ] {
            assert_eq!(without_query(url), kept, "{url}");
        }
    }

    #[test]
    fn a_long_text_ends_in_an_ellipsis() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
