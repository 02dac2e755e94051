//! What is wrong with a message as a whole.

use lockgate_plugin::json::{MAX_BYTES, MAX_DEPTH};
use serde_json::Value;

use super::{Bad, with};

pub(super) fn unreadable(whole: &Value) -> Vec<Bad> {
    let texts = [encodings(whole), others(whole), syntax(whole), nested(whole)];
    let row = |(name, payload, reason): Row| Bad {
        name: name.into(),
        payload,
        code: "payload-invalid",
        reason: format!("the payload cannot be read: {reason}"),
    };
    texts.into_iter().flatten().map(row).collect()
}

/// What is wrong, the payload, and the reason.
type Row = (&'static str, Vec<u8>, String);

fn encodings(whole: &Value) -> Vec<Row> {
    let text = whole.to_string();
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let invalid = |bytes: &[u8]| [b"{\"trace_id\":\"SENTINEL", bytes, b"\"}"].concat();
    let is_utf16 = "it is UTF-16 or UTF-32, where JSON is UTF-8";
    let no_utf8 = "it is no UTF-8, which JSON is: byte 22 begins no character";
    let rows: [(_, _, &str); 11] = [
        ("nothing", Vec::new(), "it is empty"),
        ("only space", b" \r\n\t".into(), "it is empty"),
        (
            "a byte order mark",
            ["\u{feff}", &text].concat().into(),
            "it begins with a byte order mark, which JSON has none of",
        ),
        ("UTF-16 little endian", utf16(u16::to_le_bytes), is_utf16),
        ("UTF-16 big endian", utf16(u16::to_be_bytes), is_utf16),
        ("UTF-16 with a mark", [&[0xff, 0xfe][..], &utf16(u16::to_le_bytes)].concat(), is_utf16),
        ("Latin-1", invalid(b"\xfc"), no_utf8),
        ("a surrogate in UTF-8", invalid(b"\xed\xa0\x80"), no_utf8),
        ("an overlong NUL", invalid(b"\xc0\x80"), no_utf8),
        ("half a character", invalid(b"\xe2\x82"), no_utf8),
        ("gzip", b"\x1f\x8b\x08\0".into(), "it is no UTF-8, which JSON is: byte 2 begins no character"),
    ];
    rows.map(|(name, payload, reason)| (name, payload, reason.to_owned())).into()
}

/// JSON, but no object.
fn others(whole: &Value) -> Vec<Row> {
    // All values of the fields in their order, which serde would take for the message.
    let values: Value = whole.as_object().map(|fields| fields.values().cloned().collect()).unwrap_or_default();
    let rows = [
        ("an array", Value::Array([].into()).to_string(), "an array"),
        ("an array of the values", values.to_string(), "an array"),
        ("the message in an array", format!("[{whole}]"), "an array"),
        ("the message as a text", Value::from(whole.to_string()).to_string(), "a text"),
        ("a number", "7".into(), "a number"),
        ("true", "true".into(), "true or false"),
        ("null", "null".into(), "null"),
    ];
    rows.map(|(name, text, found)| (name, text.into(), format!("expected an object, found {found}"))).into()
}

/// No JSON.
fn syntax(whole: &Value) -> Vec<Row> {
    const NO_JSON: &str = "expected a value, found something that is no JSON";
    let text = whole.to_string();
    let (end, place) = (text.len(), |column: usize| format!(" (line 1, column {column})"));
    let cut = |bytes: usize| text.as_bytes().get(..bytes).unwrap_or_default().to_vec();
    let after = |more: &str| format!("{text}{more}").into_bytes();
    // The value of a field that comes first in every message.
    let value = |text: &str| format!("{{\"trace_id\":{text}}}").into_bytes();
    let rows: [(_, _, &str, usize); 22] = [
        ("cut off at its end", cut(end - 1), "it ends before it is complete", end - 1),
        ("cut off in a text", cut(5), "it ends before it is complete", 5),
        ("cut off at once", cut(1), "it ends before it is complete", 1),
        ("two messages", after(&text), "something follows behind its end", end + 1),
        ("something behind it", after("SENTINEL"), "something follows behind its end", end + 1),
        ("NUL behind it", after("\0"), "something follows behind its end", end + 1),
        ("a text that is none", "SENTINEL".into(), NO_JSON, 1),
        ("XML", "<SENTINEL/>".into(), NO_JSON, 1),
        ("a comment", format!("/* SENTINEL */{text}").into(), NO_JSON, 1),
        ("NaN", value("NaN"), NO_JSON, 13),
        ("Infinity", value("Infinity"), NO_JSON, 13),
        ("-Infinity", value("-Infinity"), "a number is misspelt", 14),
        ("1e999", value("1e999"), "a number is out of range", 17),
        ("a leading zero", value("007"), "a number is misspelt", 14),
        ("single quotes", value("'SENTINEL'"), NO_JSON, 13),
        ("a comma too many", value("1,"), "a comma follows the last value", 15),
        ("a NUL", value("\"\0\""), "a control character stands in a text without being escaped", 14),
        ("an escape", value("\"\u{1b}[31m\""), "a control character stands in a text without being escaped", 14),
        ("an odd escape", value("\"\\q\""), "a text holds an escape that JSON has not", 15),
        ("a lone surrogate", value("\"\\ud800\""), "half of a surrogate pair stands alone in a text", 20),
        ("the second half of a pair", value("\"\\udc00\""), "half of a surrogate pair stands alone in a text", 19),
        ("the first half twice", value("\"\\ud800\\ud800\""), "half of a surrogate pair stands alone in a text", 25),
    ];
    rows.map(|(name, payload, reason, column)| (name, payload, format!("{reason}{}", place(column)))).into()
}

/// What is deep, long, or stands twice.
fn nested(whole: &Value) -> Vec<Row> {
    let text = whole.to_string();
    let opening = text.strip_suffix('}').unwrap_or_default();
    let twice = |key: &str, more: &str| {
        let column = opening.len() + 1 + more.len();
        let reason = format!("the key `{key}` stands twice in one object (line 1, column {column})");
        (format!("{opening},{more}:1}}").into_bytes(), reason)
    };
    let deep =
        |depth: usize| with(whole, "metadata", &["{\"a\":".repeat(depth), "1".into(), "}".repeat(depth)].concat());
    let at = |payload: &[u8]| {
        // Each level has five bytes; the first that is too deep is the 64th below the message.
        let begins = payload.windows(10).position(|bytes| bytes == b"{\"a\":{\"a\":").unwrap_or_default();
        format!("more than {MAX_DEPTH} arrays and objects lie in each other (line 1, column {})", begins + 5 * 63 + 1)
    };
    let (known, unknown, escaped) =
        (twice("trace_id", "\"trace_id\""), twice("x", "\"x\":1,\"x\""), twice("trace_id", "\"trace\\u005fid\""));
    let hidden = twice("…", "\"a@SENTINEL\":1,\"a@SENTINEL\"");
    let inside = with(whole, "metadata", "{\"a\":1,\"a\":2}");
    let inside_at = inside.windows(6).position(|bytes| bytes == b"\"a\":2}").unwrap_or_default() + 3;
    let long = with(whole, "metadata", &format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES)));
    let too_long = format!("it has {} bytes, where {MAX_BYTES} are the most", long.len());
    vec![
        ("a known key twice", known.0, known.1),
        ("an unknown key twice", unknown.0, unknown.1),
        ("a key twice, once escaped", escaped.0, escaped.1),
        ("a key twice that is not shown", hidden.0, hidden.1),
        (
            "a key twice further in",
            inside,
            format!("the key `a` stands twice in one object (line 1, column {inside_at})"),
        ),
        ("too deep", deep(MAX_DEPTH), at(&deep(MAX_DEPTH))),
        ("far too deep", deep(500_000), at(&deep(500_000))),
        ("too long", long, too_long),
    ]
}
