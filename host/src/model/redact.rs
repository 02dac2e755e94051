//! Texts that come from outside (a plugin's reasons and log lines, a system's errors) on their way to people: queries
//! and users of URLs are cut out, for a presigned URL is a secret, and so are values under names that tell a secret.

use std::borrow::Cow;

/// Names whose values are never shown, wherever they stand as `name=value`.
const SECRET_NAMES: [&str; 15] = [
    "sig",
    "sign",
    "signature",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "secret",
    "password",
    "pwd",
    "authorization",
    "accountkey",
];

/// A text without the query, the fragment and the user of any URL in it, and without the values of names that tell a
/// secret, such as `sig` and `token`. What is cut out is shown as `…`.
pub fn without_queries(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && !text.contains('=') {
        return Cow::Borrowed(text);
    }
    // Twice the URLs: a value that is cut out may have hidden where a URL's host ends, and with that its user.
    Cow::Owned(without_url_queries(&without_secret_values(&without_url_queries(text))))
}

fn without_url_queries(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after.find(ends_url).unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        push_url(&mut clean, url);
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

fn without_secret_values(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        clean.push_str(before);
        clean.push('=');
        rest = after;
        let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).next().unwrap_or("");
        if SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            clean.push('…');
            let end = after.find(|c: char| ends_url(c) || matches!(c, '&' | ';' | ',')).unwrap_or(after.len());
            rest = after.get(end..).unwrap_or("");
        }
    }
    clean.push_str(rest);
    clean
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '<' | '>')
}

/// What follows `://`.
fn push_url(clean: &mut String, url: &str) {
    let place = url.split_at(url.find(['?', '#']).unwrap_or(url.len())).0;
    let mut rest = without_user(clean, place);
    // The path may hold another URL, which has a user of its own.
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        rest = without_user(clean, after);
    }
    clean.push_str(rest);
    if place.len() < url.len() {
        clean.push_str("?…");
    }
}

/// What is left of a URL's place behind its user, which is shown as `…`.
fn without_user<'t>(clean: &mut String, place: &'t str) -> &'t str {
    let host = place.split_at(place.find('/').unwrap_or(place.len())).0;
    let Some(at) = host.rfind('@') else { return place };
    clean.push('…');
    place.split_at(at).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_fragments_and_users_are_cut_out() {
        for (text, clean) in [
            ("nothing to hide", "nothing to hide"),
            ("why? because", "why? because"),
            ("get https://a.example/f.pdf?X-Amz-Signature=abc&x=1 failed", "get https://a.example/f.pdf?… failed"),
            ("\"https://u:p@a.example:8443/x#frag\",", "\"https://…@a.example:8443/x?…\","),
            ("http://a?s=1 then http://b/c?s=2", "http://a?… then http://b/c?…"),
            ("https://a.example/x", "https://a.example/x"),
            ("://", "://"),
            ("https://proxy/https://u:p@host/x?sig=S", "https://proxy/https://…@host/x?…"),
            ("://https://u:p@host", "://https://…@host"),
            ("https://s3/O'Brien.pdf?X-Amz-Signature=S rest", "https://s3/O'Brien.pdf?… rest"),
            ("https://s3/a?name=UTF-8''b.jpg&sig=S", "https://s3/a?…"),
            (r"https:\/\/s3\/a.pdf?x=1&Signature=S", r"https:\/\/s3\/a.pdf?x=1&Signature=…"),
            ("s3/a.pdf?sv=1&sig=S%3D&se=2", "s3/a.pdf?sv=1&sig=…&se=2"),
            ("key=C-1, Token=abc", "key=C-1, Token=…"),
            ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=…;EndpointSuffix=x"),
            ("https://token=a/b&u:p@host", "https://…@host"),
        ] {
            assert_eq!(without_queries(text), clean);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_signature_survives(before in "[^:]{0,20}", path in "[a-z/'`{}|^\\\\é]{0,10}", after in "( [^:]{0,20})?") {
            let text = format!("{before}https://host/{path}?sig=SENTINEL{after}");
            proptest::prop_assert!(!without_queries(&text).contains("SENTINEL"));
        }
    }
}
