//! What is refused, with the text that an operator reads.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Photo,
    Report,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Attachment {
    kind: Kind,
    size: u64,
    #[serde(default)]
    page: u8,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    rest: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name;

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("the name {text:?} is too \"odd\""))
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Report {
    attachments: Vec<Attachment>,
    #[serde(default, alias = "title")]
    subject: String,
}

/// Denies what it does not know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Closed {
    a: bool,
}

fn refusal<T: DeserializeOwned>(bytes: &[u8]) -> String {
    let error = parse::<T>(bytes).err().unwrap_or_else(|| panic!("{:?} is taken", String::from_utf8_lossy(bytes)));
    assert_eq!(error.code(), "payload-invalid");
    error.to_string().strip_prefix("the payload cannot be read: ").unwrap().to_owned()
}

/// A report of one attachment that is fine but for these fields.
fn with(fields: &str) -> String {
    format!(r#"{{"attachments":[{{"kind":"photo","size":1{fields}}}]}}"#)
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    for (bytes, reason) in [
        (&b""[..], "it is empty"),
        (b" \t\r\n", "it is empty"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark, which JSON has none of"),
        (b"\xff\xfe{\0}\0", "it is UTF-16 or UTF-32, where JSON is UTF-8"),
        (b"\xfe\xff\0{\0}", "it is UTF-16 or UTF-32, where JSON is UTF-8"),
        (b"{\0}\0", "it is UTF-16 or UTF-32, where JSON is UTF-8"),
        (b"\0{\0}", "it is UTF-16 or UTF-32, where JSON is UTF-8"),
        (b"{\"a\":\"\xff\"}", "it is no UTF-8, which JSON is: byte 7 begins no character"),
        (b"{\"a\":\"\xe2\x82\"}", "it is no UTF-8, which JSON is: byte 7 begins no character"),
        (b"{\"a\":\"\xed\xa0\x80\"}", "it is no UTF-8, which JSON is: byte 7 begins no character"),
        (b"{\"a\":", "it ends before it is complete (line 1, column 5)"),
        (b"{\n \"a\": \"half", "it ends before it is complete (line 2, column 11)"),
        (b"{\"a\":1", "it ends before it is complete (line 1, column 6)"),
        (b"{\"a\":\"\\u00", "it ends before it is complete (line 1, column 10)"),
        (b"{} x", "something follows behind its end (line 1, column 4)"),
        (b"{}{}", "something follows behind its end (line 1, column 3)"),
        (b"{\"a\":1,}", "a comma follows the last value (line 1, column 8)"),
        (b"[1,]", "a comma follows the last value (line 1, column 4)"),
        (b"{\"a\" 1}", "expected `:` (line 1, column 6)"),
        (b"{\"a\":1 \"b\":2}", "expected `,` or `}` (line 1, column 8)"),
        (b"[1 2]", "expected `,` or `]` (line 1, column 4)"),
        (b"{'a':1}", "expected a key in double quotes (line 1, column 2)"),
        (b"{a:1}", "expected a key in double quotes (line 1, column 2)"),
        (b"{1:1}", "expected a key in double quotes (line 1, column 2)"),
        (b"// x\n{}", "expected a value, found something that is no JSON (line 1, column 1)"),
        (b"not JSON", "expected a value, found something that is no JSON (line 1, column 2)"),
        (b"<a/>", "expected a value, found something that is no JSON (line 1, column 1)"),
        (b"{\"a\":NaN}", "expected a value, found something that is no JSON (line 1, column 6)"),
        (b"{\"a\":-Infinity}", "a number is misspelt (line 1, column 7)"),
        (b"{\"a\":Infinity}", "expected a value, found something that is no JSON (line 1, column 6)"),
        (b"{\"a\":undefined}", "expected a value, found something that is no JSON (line 1, column 6)"),
        (b"{\"a\":01}", "a number is misspelt (line 1, column 7)"),
        (b"{\"a\":1.}", "a number is misspelt (line 1, column 8)"),
        (b"{\"a\":0x10}", "expected `,` or `}` (line 1, column 7)"),
        (b"{\"a\":1e999}", "a number is out of range (line 1, column 10)"),
        (b"{\"a\":-1e999}", "a number is out of range (line 1, column 11)"),
        (b"\0", "expected a value, found something that is no JSON (line 1, column 1)"),
        (b"{}\0", "something follows behind its end (line 1, column 3)"),
        (b"{\"a\":\"\0\"}", "a control character stands in a text without being escaped (line 1, column 7)"),
        (b"{\"a\":\"b\nc\"}", "a control character stands in a text without being escaped (line 2, column 0)"),
        (b"{\"a\":\"\\x41\"}", "a text holds an escape that JSON has not (line 1, column 8)"),
        (b"{\"a\":\"\\ud800\"}", "half of a surrogate pair stands alone in a text (line 1, column 13)"),
        (b"{\"a\":\"\\udc00\"}", "half of a surrogate pair stands alone in a text (line 1, column 12)"),
        (b"{\"a\":\"\\ud800\\ud800\"}", "half of a surrogate pair stands alone in a text (line 1, column 18)"),
        (b"{\"\\ud800\":1}", "half of a surrogate pair stands alone in a text (line 1, column 9)"),
    ] {
        assert_eq!(refusal::<serde_json::Value>(bytes), reason, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_field_expectation_and_kind() {
    for (json, reason) in [
        ("{}".into(), "at `attachments`: it is missing"),
        (r#"{"attachments":[{"kind":"photo"}]}"#.into(), "at `attachments[0].size`: it is missing"),
        (r#"{"attachments":null}"#.into(), "at `attachments`: expected an array, found null"),
        (r#"{"attachments":7}"#.into(), "at `attachments`: expected an array, found a whole number"),
        (r#"{"attachments":{}}"#.into(), "at `attachments`: expected an array, found an object"),
        (r#"{"attachments":[true]}"#.into(), "at `attachments[0]`: expected an object, found true or false"),
        (
            r#"{"attachments":[],"subject":1.5}"#.into(),
            "at `subject`: expected a text, found a number that is not whole, or too large",
        ),
        (r#"{"attachments":[],"subject":"a","title":"b"}"#.into(), "at `subject`: it stands twice"),
        (
            with(r#","page":256"#),
            "at `attachments[0].page`: expected a whole number from 0 to 255, found a number out of range",
        ),
        (
            with(r#","page":-1"#),
            "at `attachments[0].page`: expected a whole number from 0 to 255, found a number out of range",
        ),
        (with(r#","page":"1""#), "at `attachments[0].page`: expected a whole number from 0 to 255, found a text"),
        (with(r#","name":[]"#), "at `attachments[0].name`: expected a text, found an array"),
        (with(r#","name":"SENTINEL""#), "at `attachments[0].name`: the name \"…\""),
    ] {
        assert_eq!(refusal::<Report>(json.as_bytes()), reason, "{json}");
    }
    for (size, found) in [
        ("-1", "a number out of range"),
        ("1.5", "a number that is not whole, or too large"),
        ("1e3", "a number that is not whole, or too large"),
        ("18446744073709551616", "a number that is not whole, or too large"),
        ("\"1\"", "a text"),
        ("\"\"", "a text"),
        ("null", "null"),
        ("false", "true or false"),
        ("[1]", "an array"),
        ("{}", "an object"),
    ] {
        let json = format!(r#"{{"attachments":[{{"kind":"photo","size":{size}}}]}}"#);
        let reason = format!("at `attachments[0].size`: expected a whole number of 0 or more, found {found}");
        assert_eq!(refusal::<Report>(json.as_bytes()), reason);
    }
    for (kind, reason) in [
        ("\"video\"", "expected `photo` or `report`, found another text"),
        ("\"\"", "expected `photo` or `report`, found another text"),
        ("\"Photo\"", "expected `photo` or `report`, found another text"),
    ] {
        let json = format!(r#"{{"attachments":[{{"kind":{kind},"size":1}}]}}"#);
        assert_eq!(refusal::<Report>(json.as_bytes()), format!("at `attachments[0].kind`: {reason}"));
    }
    assert_eq!(refusal::<Closed>(br#"{"a":true,"S":1}"#), "at `S`: expected no field but `a`, found another");
    assert_eq!(refusal::<(u8, u8)>(b"[1]"), "expected a tuple of size 2, found 1");
    assert_eq!((Kind::Photo as u8, Kind::Report as u8), (0, 1));
}

#[test]
fn only_an_object_is_read_as_a_struct() {
    // Serde takes the fields of a struct in their order, too.
    assert!(serde_json::from_str::<Closed>("[true]").is_ok());
    for (json, found) in [
        ("[true]", "an array"),
        ("[]", "an array"),
        ("\"a\"", "a text"),
        ("1", "a number"),
        ("-1", "a number"),
        ("1.5", "a number"),
        ("true", "true or false"),
        ("null", "null"),
    ] {
        assert_eq!(refusal::<Closed>(json.as_bytes()), format!("expected an object, found {found}"));
    }
    assert_eq!(parse::<Vec<u8>>(b"[1]"), Ok(vec![1]));
    assert_eq!(parse::<Option<u8>>(b"null"), Ok(None));
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
    for (json, reason) in [
        (
            r#"{"attachments":[],"attachments":[]}"#,
            "the key `attachments` stands twice in one object (line 1, column 31)",
        ),
        (r#"{"attachments":[],"x":1,"x":1}"#, "the key `x` stands twice in one object (line 1, column 27)"),
        (
            r#"{"attachments":[],"x":{"y":[{"z":1,"z":2}]}}"#,
            "the key `z` stands twice in one object (line 1, column 38)",
        ),
        (r#"{"attachments":[],"x":1,"\u0078":1}"#, "the key `x` stands twice in one object (line 1, column 32)"),
        (r#"{"":1,"":1}"#, "the key `…` stands twice in one object (line 1, column 8)"),
    ] {
        assert_eq!(refusal::<Report>(json.as_bytes()), reason, "{json}");
    }
    parse::<Report>(br#"{"attachments":[],"x":{"x":{"x":1}},"X":1}"#).unwrap();
}

#[test]
fn depth_is_bounded_even_where_nobody_reads() {
    let nested = |depth: usize| {
        let (open, close) = ("[{\"x\":".repeat(depth / 2), "}]".repeat(depth / 2));
        format!(r#"{{"attachments":[],"x":{open}1{close}}}"#)
    };
    parse::<Report>(nested(62).as_bytes()).unwrap();
    let reason = "more than 64 arrays and objects lie in each other";
    for depth in [64, 1_000, 1_000_000] {
        assert!(refusal::<Report>(nested(depth).as_bytes()).starts_with(reason), "{depth}");
        assert!(refusal::<Vec<u8>>("[".repeat(depth + 1).as_bytes()).starts_with(reason), "{depth}");
    }
}

#[test]
fn size_is_bounded() {
    let long = |bytes: usize| format!(r#"{{"attachments":[],"x":"{}"}}"#, "x".repeat(bytes - 25));
    parse::<Report>(long(MAX_BYTES).as_bytes()).unwrap();
    let refused = refusal::<Report>(long(MAX_BYTES + 1).as_bytes());
    assert_eq!(refused, "it has 8388609 bytes, where 8388608 are the most");
    let error = parse_at_most::<Report>(br#"{"attachments":[]}"#, 17).unwrap_err();
    assert!(error.to_string().ends_with("it has 18 bytes, where 17 are the most"), "{error}");
}

#[test]
fn what_is_handed_on_raw_is_checked_and_comes_back_as_it_was() {
    const RAW: &str = r#"{ "big": 18446744073709551616.50, "é": "\u0000" }"#;
    let report: Report = parse(with(&format!(r#","rest":{RAW}"#)).as_bytes()).unwrap();
    assert_eq!(report.attachments[0].rest.as_deref().map(RawValue::get), Some(RAW));
    assert!(refusal::<Report>(with(r#","rest":{"a":1,"a":2}"#).as_bytes()).contains("the key `a` stands twice"));
}

/// Neither as a value, nor as a key that is no plain word.
#[test]
fn a_refusal_never_repeats_what_the_payload_holds() {
    for json in [
        r#"{"attachments":[{"kind":"photo","size":"https://h/?sig=SENTINEL"}]}"#,
        r#"{"attachments":[{"kind":"photo","size":"a \" SENTINEL \" b"}]}"#,
        r#"{"attachments":[{"kind":"photo","size":"a, expected SENTINEL"}]}"#,
        r#"{"attachments":[{"kind":"SENTINEL` x","size":1}]}"#,
        r#"{"attachments":[{"kind":"x`, expected SENTINEL","size":1}]}"#,
        r#"{"attachments":[{"kind":"missing field `SENTINEL`","size":1}]}"#,
        r#"{"attachments":[{"kind":"photo","size":1,"name":"SENTINEL"}]}"#,
        r#"{"attachments":"SENTINEL"}"#,
        r#"{"attachments":[],"SENTINEL@example.com":1,"SENTINEL@example.com":1}"#,
        r#"{"attachments":[],"x":"\ud800 SENTINEL"}"#,
        r#"{"attachments":SENTINEL}"#,
        "\"SENTINEL\"",
    ] {
        assert!(!refusal::<Report>(json.as_bytes()).contains("SENTINEL"), "{json}");
    }
    let number = refusal::<Report>(br#"{"attachments":[{"kind":"photo","size":-4915112345678}]}"#);
    assert!(!number.contains("4915"), "{number}");
    let key = refusal::<std::collections::HashMap<String, bool>>(br#"{"SENTINEL@example.com":1}"#);
    assert_eq!(key, "at `…`: expected true or false, found a whole number");
}

#[test]
fn a_config_is_refused_in_full() {
    let error = configured::<Closed>(r#"{"a":"yes"}"#).unwrap_err();
    assert_eq!(error, "at `a`: invalid type: string \"yes\", expected a boolean at line 1 column 10");
}

#[test]
fn a_value_that_cannot_be_json_is_an_error_with_its_output() {
    let keys = std::collections::BTreeMap::from([(vec![1], 2)]);
    let error = crate::Emission::json("out", &keys).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("output out")), ("emission-invalid", true));
}
