//! Texts that come from outside (a plugin's reasons and log lines, a system's errors) on their way to people: queries
//! and users of URLs are cut out, for a presigned URL is a secret, and so are values under names that tell a secret.
//! Knows no secret itself: [`Mask`] does.

use std::borrow::Cow;

mod mask;

pub use mask::Mask;

/// Names whose values are never shown. Case, `-` and `_` do not matter.
const SECRET_NAMES: [&str; 8] = ["sig", "sign", "sas", "pwd", "passwd", "cookie", "setcookie", "xgoogcredential"];
/// Ends of such names: of `x-amz-signature`, `client_secret`, `SharedAccessKey` and many more.
const SECRET_ENDS: [&str; 13] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authorization",
    "connectionstring",
    "functionskey",
    "passphrase",
    "password",
    "secret",
    "signature",
    "subscriptionkey",
    "token",
    "xamzcredential",
];
/// Of these the value is all that follows on the line.
const WHOLE_LINES: [&str; 3] = ["authorization", "cookie", "setcookie"];
/// What stands between a name and its value: as it is, in a URL within a URL, in JSON.
const SEPARATORS: [&str; 6] = ["=", ":", "%3D", "%3d", "\\u003d", "\\u003D"];
/// What ends a value besides what ends a URL.
const ENDS: [&str; 5] = ["&", ";", ",", "%26", "\\u0026"];
/// Words before a credential.
const SCHEMES: [&str; 4] = ["Bearer ", "bearer ", "Basic ", "basic "];

/// A text without the query, the fragment and the user of any URL in it, and without the values of names that tell a
/// secret, such as `sig` and `token`. What is cut out is shown as `…`.
///
/// | written | shown |
/// |---|---|
/// | `https://me:pw@host/f?sig=abc#x` | `https://…@host/f?…` |
/// | `sig=abc&sv=1`, `%3Fsig%3Dabc%26sv` | `sig=…&sv=1`, `%3Fsig%3D…%26sv` |
/// | `token="a b"`, `"token": "a b"` | `token="…"`, `"token": "…"` |
/// | `token: expired`, `token: 7f3a9b20` | the same, `token: …`: after a colon and without quotes it may be prose |
/// | `authorization: Digest a b` | `authorization: …` |
/// | `Bearer 7f3a9b20` | `Bearer …` |
pub fn without_queries(text: &str) -> Cow<'_, str> {
    if !text.contains(['=', ':', '%', '\\']) && !SCHEMES.iter().any(|scheme| text.contains(scheme)) {
        return Cow::Borrowed(text);
    }
    // Twice the URLs: a value that is cut out may have hidden where a URL's host ends, and with that its user.
    let values_cut = without_url_queries(&without_secret_values(&without_url_queries(text)));
    Cow::Owned(without_credentials(&values_cut))
}

/// Whether what goes by this name is a secret: `sig`, `X-Api-Key`, `client_secret`.
pub fn tells_secret(name: &str) -> bool {
    let plain = plain(name);
    SECRET_NAMES.contains(&plain.as_str()) || SECRET_ENDS.iter().any(|end| plain.ends_with(end))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
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
    while let Some((before, separator, after)) = split_at_separator(rest) {
        clean.push_str(before);
        clean.push_str(separator);
        rest = match value(name_at_end(before), separator, after) {
            Some((opening, value)) => {
                clean.push_str(opening);
                clean.push('…');
                after.get(opening.len() + value.len()..).unwrap_or("")
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

fn split_at_separator(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices(['=', ':', '%', '\\']).find_map(|(at, _)| {
        let (before, from) = text.split_at(at);
        let separator = SEPARATORS.iter().find(|separator| from.starts_with(**separator))?;
        Some((before, *separator, from.split_at(separator.len()).1))
    })
}

/// The name that a text ends with, quoted or not.
fn name_at_end(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'', '\\']);
    let start = text.rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
    let (before, name) = text.split_at(start.map_or(0, |at| at + text.get(at..).map_or(0, first_length)));
    // What was no letter before it was escaped.
    let escaped = match before.chars().next_back() {
        Some('%') => 2,
        Some('\\') if name.starts_with("u00") => 5,
        _ => 0,
    };
    name.get(escaped..).unwrap_or("")
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// What opens the secret value after a name, and the value; none where there is none.
fn value<'t>(name: &str, separator: &str, after: &'t str) -> Option<(&'t str, &'t str)> {
    if !tells_secret(name) {
        return None;
    }
    let bare = after.trim_start_matches([' ', '\t', '\\']);
    let value = bare.trim_start_matches(['"', '\'', '\\']);
    let (opening, _) = after.split_at(after.len() - value.len());
    if value.starts_with('…') {
        // It was cut out before.
        return None;
    }
    let is_quoted = value.len() < bare.len();
    let whole_line = WHOLE_LINES.iter().any(|line| plain(name).ends_with(line));
    let end = match (is_quoted, whole_line) {
        (true, _) => value.find(['"', '\'', '\\']),
        (false, true) => value.find(['"', '\n', '\r']),
        (false, false) => end_of_value(value),
    };
    let value = value.split_at(end.unwrap_or(value.len())).0;
    let is_prose = separator == ":" && !is_quoted && !whole_line && !looks_random(value);
    (!value.is_empty() && !is_prose).then_some((opening, value))
}

fn end_of_value(value: &str) -> Option<usize> {
    let ends = |(at, _): (usize, char)| {
        let (_, from) = value.split_at(at);
        (from.starts_with(ends_url) || ENDS.iter().any(|end| from.starts_with(end))).then_some(at)
    };
    value.char_indices().find_map(ends)
}

/// Cuts out what follows `Bearer` and the like.
fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, scheme)) = SCHEMES.iter().filter_map(|scheme| Some((rest.find(scheme)?, scheme))).min() {
        let (before, after) = rest.split_at(at + scheme.len());
        clean.push_str(before);
        let (word, behind) = after.split_at(end_of_value(after).unwrap_or(after.len()));
        clean.push_str(if looks_random(word) { "…" } else { word });
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

/// Whether a word is none of a language: long, with digits in it.
fn looks_random(word: &str) -> bool {
    word.len() >= 8 && word.contains(|c: char| c.is_ascii_digit())
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
            ("f%3Fsv%3D1%26sig%3DS%26se%3D2", "f%3Fsv%3D1%26sig%3D…%26se%3D2"),
            (r"f?sv=1\u0026sig\u003dS\u0026se=2", r"f?sv=1\u0026sig\u003d…\u0026se=2"),
            (r#"{"token":"a b","n":1}"#, r#"{"token":"…","n":1}"#),
            (r#"{\"client_secret\": \"a b\"}"#, r#"{\"client_secret\": \"…\"}"#),
            ("X-Api-Key: 7f3a9b20 was wrong", "X-Api-Key: … was wrong"),
            ("the token: expired at noon", "the token: expired at noon"),
            ("authorization: Digest a b\nnext", "authorization: …\nnext"),
            ("Proxy-Authorization: Basic YTpi", "Proxy-Authorization: …"),
            ("sent Bearer 7f3a9b20, was refused", "sent Bearer …, was refused"),
            ("Basic sign-in is Bearer of news", "Basic sign-in is Bearer of news"),
            ("token=\"a b\" left", "token=\"…\" left"),
            ("password = hunter2", "password = …"),
            ("monkey=x é=1", "monkey=x é=1"),
            ("Authorization: … pipeline=p", "Authorization: … pipeline=p"),
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
