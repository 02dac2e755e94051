//! When a broken body may be asked for again from where it broke, and whether the answer continues it (RFC 9110 §13.1.5
//! and §14). Pure: headers in, decisions out. Two entities are never glued together: without a validator that
//! tells them apart byte by byte, nothing is resumed.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

/// How much older than the answer a `Last-Modified` must be to tell two versions apart: an entity could have changed
/// twice within the resolution of a second, and clocks differ.
const SETTLED: Duration = Duration::from_secs(60);

/// What names an entity so exactly that parts of it may be joined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Validator {
    /// A strong entity tag.
    ETag(HeaderValue),
    /// A time of change that lies well before the answer.
    LastModified(HeaderValue),
}

impl Validator {
    /// The validator of an answer, if its body may be resumed.
    pub(super) fn of(method: &Method, status: StatusCode, sent: &HeaderMap, answer: &HeaderMap) -> Option<Self> {
        let whole = method == Method::GET && status == StatusCode::OK && !sent.contains_key(header::RANGE);
        if !whole || refuses_ranges(answer) {
            return None;
        }
        strong_etag(answer).map(Self::ETag).or_else(|| settled_change(answer).map(Self::LastModified))
    }

    /// What goes into `If-Range`.
    pub(super) fn value(&self) -> &HeaderValue {
        match self {
            Self::ETag(value) | Self::LastModified(value) => value,
        }
    }

    /// Whether a part's headers speak of the same entity. A part may leave the validator out.
    fn fits(&self, answer: &HeaderMap) -> bool {
        match self {
            Self::ETag(tag) => answer.get(header::ETAG).is_none_or(|it| it == tag),
            Self::LastModified(time) => answer.get(header::LAST_MODIFIED).is_none_or(|it| it == time),
        }
    }
}

/// What an answer to a request for the rest is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// The body goes on; so long is the whole.
    Continues { whole: u64 },
    /// The origin cannot now: ask again.
    Later,
    /// Another entity, or an origin that does not do this.
    Lost,
}

/// Judges an answer to a request for what comes after `received` bytes of a body of `whole` bytes.
pub(super) fn rest(
    validator: &Validator,
    received: u64,
    whole: Option<u64>,
    status: StatusCode,
    answer: &HeaderMap,
) -> Rest {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Rest::Later;
    }
    let range = answer.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(ContentRange::new);
    match range {
        Some(range) if status == StatusCode::PARTIAL_CONTENT && range.first == received && validator.fits(answer) => {
            match (whole, range.whole) {
                (Some(whole), Some(now)) if whole != now => Rest::Lost,
                // Nobody could tell then whether the body is whole.
                (None, None) => Rest::Lost,
                (Some(whole), _) | (None, Some(whole)) => Rest::Continues { whole },
            }
        }
        _ => Rest::Lost,
    }
}

/// How long the body of an answer is to be, when it says so.
pub(super) fn announced_length(method: &Method, status: StatusCode, answer: &HeaderMap) -> Option<u64> {
    let has_body = method != Method::HEAD && !matches!(status.as_u16(), 204 | 304);
    if !has_body || answer.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    answer.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `bytes FIRST-LAST/WHOLE`, where the whole may be `*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ContentRange {
    first: u64,
    whole: Option<u64>,
}

impl ContentRange {
    fn new(text: &str) -> Option<Self> {
        let (range, whole) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
        let is_sound = first <= last && whole.is_none_or(|whole| last < whole);
        is_sound.then_some(Self { first, whole })
    }
}

fn refuses_ranges(answer: &HeaderMap) -> bool {
    answer.get(header::ACCEPT_RANGES).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"none"))
}

fn strong_etag(answer: &HeaderMap) -> Option<HeaderValue> {
    answer.get(header::ETAG).filter(|value| value.as_bytes().starts_with(b"\"")).cloned()
}

fn settled_change(answer: &HeaderMap) -> Option<HeaderValue> {
    let changed = time(answer, header::LAST_MODIFIED)?;
    let answered = time(answer, header::DATE)?;
    let age = Duration::try_from(answered.duration_since(changed)).ok()?;
    if age < SETTLED { None } else { answer.get(header::LAST_MODIFIED).cloned() }
}

fn time(answer: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(answer.get(name)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    const TAG: (&str, &str) = ("etag", "\"v1\"");
    const EARLY: (&str, &str) = ("last-modified", "Sun, 01 Mar 2026 09:00:00 GMT");
    const DATE: (&str, &str) = ("date", "Sun, 01 Mar 2026 09:01:00 GMT");

    #[test]
    fn only_a_strong_validator_makes_a_body_resumable() {
        for (answer, validator) in [
            (vec![TAG], Some("\"v1\"")),
            (vec![TAG, EARLY, DATE], Some("\"v1\"")),
            (vec![("etag", "W/\"v1\"")], None),
            (vec![("etag", "W/\"v1\""), EARLY, DATE], Some(EARLY.1)),
            (vec![EARLY, DATE], Some(EARLY.1)),
            (vec![EARLY], None),
            (vec![EARLY, ("date", "Sun, 01 Mar 2026 09:00:59 GMT")], None),
            (vec![EARLY, ("date", "Sun, 01 Mar 2026 08:00:00 GMT")], None),
            (vec![("last-modified", "soon"), DATE], None),
            (vec![], None),
            (vec![TAG, ("accept-ranges", "none")], None),
            (vec![TAG, ("accept-ranges", "bytes")], Some("\"v1\"")),
        ] {
            let found = Validator::of(&Method::GET, StatusCode::OK, &HeaderMap::new(), &headers(&answer));
            assert_eq!(found.as_ref().map(|it| it.value().to_str().unwrap()), validator, "{answer:?}");
        }
    }

    #[test]
    fn only_a_whole_body_of_a_get_is_resumable() {
        let ranged = headers(&[("range", "bytes=0-9")]);
        let plain = HeaderMap::new();
        for (method, status, sent) in [
            (Method::POST, 200, &plain),
            (Method::HEAD, 200, &plain),
            (Method::GET, 206, &ranged),
            (Method::GET, 200, &ranged),
            (Method::GET, 404, &plain),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Validator::of(&method, status, sent, &headers(&[TAG])), None, "{method} {status}");
        }
    }

    #[test]
    fn a_part_continues_a_body_only_when_it_starts_where_the_body_broke_and_is_of_the_same_entity() {
        let tag = Validator::ETag("\"v1\"".parse().unwrap());
        for (status, answer, expected) in [
            (206, vec![("content-range", "bytes 10-99/100"), TAG], Rest::Continues { whole: 100 }),
            (206, vec![("content-range", "bytes 10-99/100")], Rest::Continues { whole: 100 }),
            (206, vec![("content-range", "bytes 10-49/*")], Rest::Continues { whole: 100 }),
            (206, vec![("content-range", "bytes 10-99/100"), ("etag", "\"v2\"")], Rest::Lost),
            (206, vec![("content-range", "bytes 10-99/100"), ("etag", "W/\"v1\"")], Rest::Lost),
            (206, vec![("content-range", "bytes 9-99/100")], Rest::Lost),
            (206, vec![("content-range", "bytes 11-99/100")], Rest::Lost),
            (206, vec![("content-range", "bytes 10-199/200")], Rest::Lost),
            (206, vec![("content-range", "bytes 10-100/100")], Rest::Lost),
            (206, vec![("content-range", "bytes 10-9/100")], Rest::Lost),
            (206, vec![("content-range", "bytes */100")], Rest::Lost),
            (206, vec![("content-range", "lines 10-99/100")], Rest::Lost),
            (206, vec![TAG], Rest::Lost),
            (200, vec![TAG], Rest::Lost),
            (200, vec![("content-range", "bytes 10-99/100"), TAG], Rest::Lost),
            (302, vec![], Rest::Lost),
            (403, vec![], Rest::Lost),
            (416, vec![("content-range", "bytes */5")], Rest::Lost),
            (429, vec![], Rest::Later),
            (503, vec![], Rest::Later),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(rest(&tag, 10, Some(100), status, &headers(&answer)), expected, "{status} {answer:?}");
        }
    }

    #[test]
    fn a_part_of_an_entity_known_by_its_time_must_have_that_time() {
        let time = Validator::LastModified(EARLY.1.parse().unwrap());
        let range = ("content-range", "bytes 10-99/100");
        for (answer, continues) in [
            (vec![range, EARLY], true),
            (vec![range], true),
            (vec![range, ("last-modified", "Sun, 01 Mar 2026 09:00:01 GMT")], false),
        ] {
            let rest = rest(&time, 10, None, StatusCode::PARTIAL_CONTENT, &headers(&answer));
            assert_eq!(rest == Rest::Continues { whole: 100 }, continues, "{answer:?}");
        }
    }

    #[test]
    fn a_part_without_a_total_continues_no_body_whose_length_nobody_said() {
        let tag = Validator::ETag("\"v1\"".parse().unwrap());
        for (range, expected) in [("bytes 10-49/*", Rest::Lost), ("bytes 10-99/100", Rest::Continues { whole: 100 })] {
            let answer = headers(&[("content-range", range)]);
            assert_eq!(rest(&tag, 10, None, StatusCode::PARTIAL_CONTENT, &answer), expected, "{range}");
        }
    }

    #[test]
    fn a_length_counts_only_where_a_body_follows() {
        let length = headers(&[("content-length", "12")]);
        for (method, status, expected) in [
            (Method::GET, 200, Some(12)),
            (Method::GET, 404, Some(12)),
            (Method::HEAD, 200, None),
            (Method::GET, 304, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(announced_length(&method, status, &length), expected, "{method} {status}");
        }
        for odd in
            [vec![("content-length", "many")], vec![], vec![("transfer-encoding", "chunked"), ("content-length", "1")]]
        {
            assert_eq!(announced_length(&Method::GET, StatusCode::OK, &headers(&odd)), None);
        }
    }
}
