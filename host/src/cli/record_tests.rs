//! Whatever a message holds comes back of its line, and the line shows it as plainly as it can.

use proptest::prelude::*;

use super::*;
use crate::model::{MessageId, Origin, Partition, Position, Timestamp};

fn message(key: Option<Bytes>, headers: Headers, payload: Bytes) -> Message {
    let partition = Partition::new("claims", 3);
    let origin = Origin { transport: "bus".into(), partition, position: Position(7), enqueued: Timestamp(0) };
    Message { id: MessageId::given("m"), origin, key, headers, payload }
}

fn shown(headers: &[(&str, &[u8])], payload: &[u8]) -> Value {
    let mut list = Headers::default();
    for (name, value) in headers {
        list.push(*name, value.to_vec());
    }
    serde_json::from_str(&line(&message(None, list, payload.to_vec().into()))).unwrap()
}

#[test]
fn a_payload_is_json_only_where_it_is_written_like_that() {
    for json in ["{\"b\":1,\"a\":[2.5,null]}", "null", "-7", "true", "[]", "18446744073709551615"] {
        let expected: Value = serde_json::from_str(json).unwrap();
        assert_eq!(shown(&[], json.as_bytes()).get("payload"), Some(&expected), "{json}");
    }
    for text in ["\"abc\"", "abc", "", " {}", "{\"a\": 1}", "{\"a\":1,\"a\":2}", "18446744073709551616", "1e400", "1,2"]
    {
        assert_eq!(shown(&[], text.as_bytes()).get("payload_text"), Some(&text.into()), "{text}");
    }
    assert_eq!(shown(&[], b"\xff\xfe").get("payload_base64"), Some(&"//4=".into()));
}

#[test]
fn headers_are_an_object_as_long_as_it_tells_all() {
    let headers = |headers: &[(&str, &[u8])]| shown(headers, b"{}")["headers"].clone();
    assert_eq!(headers(&[]), json!({}));
    assert_eq!(headers(&[("a", b"1"), ("b", b"\xff")]), json!({ "a": "1", "b": { "base64": "/w==" } }));
    assert_eq!(headers(&[("a", b"1"), ("a", b"2"), ("b", b"")]), json!({ "a": ["1", "2"], "b": "" }));
    let apart = headers(&[("a", b"1"), ("b", b""), ("a", b"2")]);
    assert_eq!(apart, json!([{ "a": "1" }, { "b": "" }, { "a": "2" }]));
}

#[test]
fn a_line_by_hand_may_be_plain() {
    let by_hand = read(r#"{"key":"k","headers":{"x":1,"y":"z"},"payload":"no JSON","more":[]}"#).unwrap();
    assert_eq!((by_hand.key.as_deref(), &by_hand.payload[..]), (Some(&b"k"[..]), &b"no JSON"[..]));
    assert_eq!((by_hand.headers.text("x"), by_hand.headers.text("y")), (Some("1"), Some("z")));
    assert_eq!(read(r#"{"payload":null}"#).unwrap().payload, "null");
}

#[test]
fn what_is_no_record_is_refused_with_the_reason() {
    for (line, reason) in [
        ("{\"a\":1}", "payload"),
        (r#"{"payload":1,"payload_text":"1"}"#, "one of `payload`"),
        (r#"{"payload_base64":"?"}"#, "base64"),
        (r#"{"payload":1,"key":"k","key_base64":"aw=="}"#, "key_base64"),
        (r#"{"payload":1,"headers":{"h":{"hex":"ff"}}}"#, "header `h`"),
        (r#"{"payload":1,"headers":"h"}"#, "`headers` is"),
    ] {
        let error = read(line).unwrap_err();
        assert!(error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn json_as_deep_as_readers_go_comes_back() {
    for depth in 120..135 {
        let payload = "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(read(&line(&message(None, Headers::default(), payload.clone().into()))).unwrap().payload, payload);
    }
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just("null".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,30}(\\.[0-9]{1,3})?(e-?[0-9]{1,3})?",
        "\"[a-z\\\\\"\u{7f}-\u{fff}]{0,5}\"",
        "\\{\"[ab]\": ?[0-9],\"[ab]\":\\[null, ?\"x\"\\]\\}",
    ];
    prop_oneof![
        json.prop_map(String::into_bytes),
        ".{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..30)
    ]
}

proptest! {
    #[test]
    fn any_record_survives(
        key in prop::option::of(payloads()),
        pairs in prop::collection::vec(("[a-c]|.{0,4}", payloads()), 0..6),
        payload in payloads(),
    ) {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.push(name, value);
        }
        let (key, payload) = (key.map(Bytes::from), Bytes::from(payload));
        let line = line(&message(key.clone(), headers.clone(), payload.clone()));
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(read(&line), Ok(Read { id: Some("m".into()), key, headers, payload }));
    }
}
