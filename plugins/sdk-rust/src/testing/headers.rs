//! Which headers of a request are refused, as the real host does. Not known here is the header that holds an endpoint's
//! credential.

/// Names that a plugin may not set. Besides these: everything that begins with `proxy-`.
const REFUSED: [&str; 16] = [
    "authorization",
    "cookie",
    "cookie2",
    "host",
    "accept-encoding",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "expect",
    "connection",
    "keep-alive",
    "upgrade",
    "http2-settings",
    "forwarded",
    "via",
];

/// Why the headers are refused, if they are. No text repeats a value.
pub(super) fn judge(headers: &[(String, String)]) -> Result<(), String> {
    for (name, value) in headers {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err("a header's name holds what no name may hold".into());
        }
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("proxy-") || REFUSED.contains(&lower.as_str()) {
            return Err(format!("header `{lower}` may not be sent: it is the host's"));
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(format!("the value of header `{lower}` holds a line break or another control character"));
        }
    }
    Ok(())
}
