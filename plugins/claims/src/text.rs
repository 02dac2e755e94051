//! Texts that messages are given.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;

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
