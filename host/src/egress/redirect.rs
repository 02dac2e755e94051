//! What a redirect asks for, by RFC 9110 §15.4. Whether it is allowed is not decided here.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use url::Url;

/// A redirect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Redirect {
    /// Where to.
    pub(super) url: Url,
    /// How to ask there.
    pub(super) method: Method,
    /// Whether the body goes along.
    pub(super) body: KeepBody,
}

/// What becomes of a request's body on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeepBody {
    /// It goes along.
    Yes,
    /// The request became a GET without one.
    No,
}

/// A redirect to something that is no URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unreadable;

/// What an answer redirects to; `None` when it is an answer in its own right.
///
/// | status | method | body |
/// |---|---|---|
/// | 301, 302 | POST becomes GET, others stay | goes along unless the method changed |
/// | 303 | HEAD stays, others become GET | dropped |
/// | 307, 308 | stays | goes along |
pub(super) fn redirect(
    status: StatusCode,
    location: Option<&HeaderValue>,
    method: &Method,
    from: &Url,
) -> Option<Result<Redirect, Unreadable>> {
    let (method, body) = match (status.as_u16(), method) {
        (301 | 302, &Method::POST) => (Method::GET, KeepBody::No),
        (303, &Method::HEAD) => (Method::HEAD, KeepBody::No),
        (303, _) => (Method::GET, KeepBody::No),
        (301 | 302 | 307 | 308, method) => (method.clone(), KeepBody::Yes),
        _ => return None,
    };
    let location = location?;
    let url = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| from.join(text).ok());
    Some(match url {
        Some(mut url) => {
            url.set_fragment(None);
            Ok(Redirect { url, method, body })
        }
        None => Err(Unreadable),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_change_as_the_rfc_says() {
        for (status, method, becomes, keeps) in [
            (301, "GET", "GET", KeepBody::Yes),
            (301, "POST", "GET", KeepBody::No),
            (302, "POST", "GET", KeepBody::No),
            (302, "PUT", "PUT", KeepBody::Yes),
            (303, "POST", "GET", KeepBody::No),
            (303, "PUT", "GET", KeepBody::No),
            (303, "HEAD", "HEAD", KeepBody::No),
            (307, "POST", "POST", KeepBody::Yes),
            (308, "DELETE", "DELETE", KeepBody::Yes),
        ] {
            let (redirect, _) = followed(status, method, "/b").map(|it| (it.unwrap(), ())).unwrap();
            assert_eq!((redirect.method.as_str(), redirect.body), (becomes, keeps), "{status} {method}");
        }
    }

    #[test]
    fn other_statuses_and_a_missing_location_are_answers() {
        for status in [200, 300, 304, 305, 306, 404] {
            assert_eq!(followed(status, "GET", "/b"), None, "{status}");
        }
        let from = Url::parse("https://a.example/").unwrap();
        assert_eq!(redirect(StatusCode::FOUND, None, &Method::GET, &from), None);
    }

    #[test]
    fn a_location_is_read_relative_to_where_it_came_from() {
        for (location, url) in [
            ("/c?d=1#e", "https://a.example/c?d=1"),
            ("c", "https://a.example/x/c"),
            ("//b.example/c", "https://b.example/c"),
            ("http://b.example", "http://b.example/"),
        ] {
            assert_eq!(followed(302, "GET", location).unwrap().unwrap().url.as_str(), url, "{location}");
        }
        assert_eq!(followed(302, "GET", "https://[bad"), Some(Err(Unreadable)));
    }

    fn followed(status: u16, method: &str, location: &str) -> Option<Result<Redirect, Unreadable>> {
        let location = HeaderValue::from_str(location).unwrap();
        let from = Url::parse("https://a.example/x/y").unwrap();
        redirect(StatusCode::from_u16(status).unwrap(), Some(&location), &method.parse().unwrap(), &from)
    }
}
