//! What the head of a response says about the file.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use claims::{Domain, Failure};
use lockgate_plugin::http::Response;

use super::Kind;

/// The head of a response, as far as it matters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// `Content-Type` without its parameters.
    pub media_type: Option<String>,
    /// `Content-Length`, in bytes.
    pub length: Option<u64>,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// How long the origin asks to wait.
    pub retry_after: Option<Duration>,
}

impl Head {
    /// Of a response that came now.
    pub fn of(response: &Response, now: SystemTime) -> Self {
        let header =
            |name| response.header(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let media_type =
            header("content-type").and_then(|value| value.split(';').next().map(|kind| kind.trim().to_owned()));
        Self {
            status: response.status(),
            media_type,
            length: header("content-length").and_then(|value| value.parse().ok()),
            encoding: header("content-encoding"),
            retry_after: response.retry_after(now),
        }
    }
}

/// Whether the body may be looked at.
///
/// | status | ClaimX | Verisk |
/// |---|---|---|
/// | 2xx but 206 | on | on |
/// | 403 | later: the link must be refreshed | never: no link can be had again |
/// | 302, 401 | later | later |
/// | 429, 5xx | later, after `Retry-After` | later, after `Retry-After` |
/// | other 4xx | never | never |
/// | others | later | later |
pub fn accept(domain: Domain, kind: &Kind, head: &Head, max_bytes: NonZeroU64) -> Result<(), Failure> {
    refused(domain, head)?;
    if let Some(encoding) = head.encoding.as_deref().filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let reason = format!("the origin sent the file compressed ({}), though it was asked not to", shown(encoding));
        return Err(Failure::later("encoded", reason));
    }
    if let Some(media_type) = head.media_type.as_deref().filter(|media_type| !kind.may_be_called(media_type)) {
        let (shown, extension) = (shown(media_type), kind.extension());
        let reason = format!("the origin calls the file {shown}, which does not fit its extension `{extension}`");
        return Err(Failure::later("content-mismatch", reason));
    }
    match head.length {
        Some(0) => Err(empty()),
        Some(length) if length > max_bytes.get() => {
            Err(Failure::never("too-large", format!("the file has {length} bytes, where {max_bytes} are the most")))
        }
        _ => Ok(()),
    }
}

/// A file without content.
pub(super) fn empty() -> Failure {
    Failure::later("empty", "the file is empty")
}

fn refused(domain: Domain, head: &Head) -> Result<(), Failure> {
    let status = head.status;
    let code = format!("http-{status}");
    let failure = match (status, domain) {
        (206, _) => Failure::later(code, "the origin answered with a part of the file (206), though all was asked for"),
        (200..300, _) => return Ok(()),
        (403, Domain::Claimx) => Failure::later(
            "link-expired",
            "the ClaimX link was refused (403), so it has expired: it needs a refresh through the ClaimX API",
        ),
        (403, Domain::Verisk) => Failure::never(
            "link-expired",
            "the presigned link was refused (403), so it has expired or is wrong, and none can be had again",
        ),
        (302 | 401, _) => Failure::later(code, format!("the origin asks for a login ({status})")),
        (429, _) | (500.., _) => {
            Failure::later(code, format!("the origin is not able to answer ({status})")).after(head.retry_after)
        }
        (400..500, _) => Failure::never(code, format!("the origin does not have the file ({status})")),
        _ => Failure::later(code, format!("the origin answered oddly ({status})")),
    };
    Err(failure.answered(status))
}

/// What an origin said, fit to be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use claims::Next;

    use super::*;

    const MAX: NonZeroU64 = NonZeroU64::new(1000).unwrap();

    fn check(domain: Domain, head: Head) -> Result<(), Failure> {
        accept(domain, Kind::of("pdf").unwrap(), &head, MAX)
    }

    fn answered(domain: Domain, status: u16) -> Failure {
        check(domain, Head { status, ..Head::default() }).unwrap_err()
    }

    #[test]
    fn statuses_end_as_the_table_says() {
        for domain in [Domain::Claimx, Domain::Verisk] {
            for status in [400, 402, 404, 405, 410, 418, 422, 499] {
                assert_eq!(answered(domain, status).next, Next::Never, "{status}");
            }
            for status in [206, 302, 304, 401, 429, 500, 502, 503, 504, 599, 100, 0] {
                assert_eq!(answered(domain, status).next, Next::Later(None), "{status}");
            }
            for status in [404, 503] {
                let failure = answered(domain, status);
                assert_eq!((failure.code, failure.http_status), (format!("http-{status}"), Some(status)));
            }
            for status in [200, 203] {
                assert_eq!(check(domain, Head { status, ..Head::default() }), Ok(()));
            }
        }
    }

    #[test]
    fn an_expired_claimx_link_is_retried_and_the_reason_names_the_refresh() {
        let failure = answered(Domain::Claimx, 403);
        assert_eq!((failure.code.as_str(), failure.next), ("link-expired", Next::Later(None)));
        assert!(failure.reason.contains("refresh"), "{}", failure.reason);
    }

    #[test]
    fn an_expired_verisk_link_is_never_retried() {
        assert_eq!(answered(Domain::Verisk, 403).next, Next::Never);
    }

    #[test]
    fn an_origin_that_asks_to_wait_is_waited_for() {
        let wait = Some(Duration::from_secs(30));
        for (status, next) in [(503, Next::Later(wait)), (429, Next::Later(wait)), (404, Next::Never)] {
            let head = Head { status, retry_after: wait, ..Head::default() };
            assert_eq!(check(Domain::Verisk, head).unwrap_err().next, next);
        }
    }

    #[test]
    fn the_media_type_must_fit_the_extension_or_say_nothing() {
        let with = |extension: &str, media_type: Option<&str>| {
            let head = Head { status: 200, media_type: media_type.map(str::to_owned), ..Head::default() };
            accept(Domain::Claimx, Kind::of(extension).unwrap(), &head, MAX)
        };
        for (extension, media_type) in [
            ("pdf", None),
            ("pdf", Some("Application/PDF")),
            ("csv", Some("text/csv")),
            ("docx", Some("application/octet-stream")),
            ("jpg", Some("binary/octet-stream")),
        ] {
            assert_eq!(with(extension, media_type), Ok(()), "{extension} {media_type:?}");
        }
        let failure = with("pdf", Some("text/html")).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.next), ("content-mismatch", Next::Later(None)));
        assert!(failure.reason.contains("text/html") && failure.reason.contains("`pdf`"), "{}", failure.reason);
    }

    #[test]
    fn sizes_are_checked_before_a_byte_is_moved() {
        let with = |length| check(Domain::Claimx, Head { status: 200, length: Some(length), ..Head::default() });
        assert_eq!(with(0).unwrap_err().code, "empty");
        assert_eq!(with(1000), Ok(()));
        let failure = with(1001).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.next), ("too-large", Next::Never));
    }

    #[test]
    fn a_compressed_file_is_not_taken_for_the_file() {
        let with = |encoding: &str| {
            check(Domain::Claimx, Head { status: 200, encoding: Some(encoding.into()), ..Head::default() })
        };
        assert_eq!(with("gzip").unwrap_err().code, "encoded");
        assert_eq!(with("Identity"), Ok(()));
    }
}
