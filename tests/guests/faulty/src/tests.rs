use std::time::{Duration, SystemTime};

use lockgate_plugin::testing::{Answer, Attempt, Host, Plugin};
use lockgate_plugin::{Emission, Verdict};
use serde_json::{Value, json};

use super::*;

fn faulty(host: &Host) -> Plugin<Faulty> {
    host.plugin(json!({ "outputs": ["out", "other"], "endpoints": ["files"], "stores": ["cache"] })).unwrap()
}

fn call(command: Value) -> Outcome {
    faulty(&Host::new()).call(Message::new(command.to_string()).with_key("k"))
}

fn body(emission: &Emission) -> Value {
    serde_json::from_slice(&emission.payload).unwrap()
}

#[test]
fn verdicts_are_as_asked() {
    let ms = Duration::from_millis;
    for (command, verdict) in [
        (json!({ "do": "done" }), Outcome::done()),
        (json!({ "do": "skip" }), Outcome::skip("asked")),
        (json!({ "do": "retry", "reason": "down" }), Outcome::retry("down")),
        (json!({ "do": "retry", "after": 5 }), Outcome::retry_after(ms(5), "asked")),
        (json!({ "do": "hold" }), Outcome::hold("asked")),
        (json!({ "do": "hold", "after": 7 }), Outcome::hold_for(ms(7), "asked")),
        (json!({ "do": "reject", "code": "bad" }), Outcome::reject("bad", "asked")),
        (json!({ "do": "hold-until", "at": 9 }), Outcome::hold_for(ms(9), "it is too early")),
    ] {
        assert_eq!(call(command.clone()), verdict, "{command}");
    }
}

#[test]
fn emissions_carry_the_key_and_count() {
    let outcome = call(json!({ "do": "emit", "count": 3, "output": "other", "bytes": 2 }));
    assert_eq!((outcome.is_done(), outcome.emit.len()), (true, 3));
    let last = outcome.emit.last().unwrap();
    assert_eq!((last.output.as_str(), last.key.as_deref()), ("other", Some(&b"k"[..])));
    assert_eq!((&body(last)["ordinal"], &body(last)["filling"]), (&json!(2), &json!("xx")));
    assert_eq!(call(json!({ "do": "reject", "count": 2 })).emit.len(), 2);
}

#[test]
fn a_fault_may_be_of_the_first_attempts_only() {
    let plugin = faulty(&Host::new());
    let attempt = |number| Attempt { number, left: 5 };
    let message = || Message::new(r#"{ "do": "retry-n-times", "times": 2 }"#);
    assert!(matches!(plugin.try_call(message(), attempt(2)).verdict, Verdict::Retry { .. }));
    let outcome = plugin.try_call(message(), attempt(3));
    assert_eq!((outcome.is_done(), body(&outcome.emit[0])["attempt"].clone()), (true, json!(3)));
}

#[test]
fn a_header_goes_before_the_payload() {
    let plugin = faulty(&Host::new());
    for said in ["skip", r#"{ "do": "skip", "reason": "asked" }"#] {
        assert_eq!(plugin.call(Message::new([0xff]).with_header("do", said)), Outcome::skip("asked"));
    }
    assert!(
        matches!(plugin.call(Message::new("no json")).verdict, Verdict::Reject { code, .. } if code == "payload-invalid")
    );
}

#[test]
fn a_hold_ends_with_time_or_with_a_blob() {
    let host = Host::new();
    let plugin = faulty(&host);
    let until = || Message::new(r#"{ "do": "hold-until", "at": 9 }"#);
    let blob = || Message::new(r#"{ "do": "hold-until-blob", "store": "cache", "path": "go" }"#);
    assert!(!plugin.call(until()).is_done());
    assert!(!plugin.call(blob()).is_done());
    host.set_now(SystemTime::UNIX_EPOCH + Duration::from_millis(9));
    host.put("cache", "go", "");
    assert!(plugin.call(until()).is_done());
    assert!(plugin.call(blob()).is_done());
}

#[test]
fn http_and_stores_are_within_reach() {
    let host = Host::new();
    host.answer("files", "https://h/a", [Answer::status(200).body("abc")]);
    let plugin = faulty(&host);
    let call = |command: Value| body(&plugin.call(Message::new(command.to_string())).emit[0]);
    let fetch = json!({ "do": "fetch", "endpoint": "files", "target": "https://h/a" });
    assert_eq!(call(fetch), json!({ "status": 200, "size": 3, "from": "https://h/a" }));
    let store = json!({ "do": "store", "endpoint": "files", "target": "https://h/a", "store": "cache", "path": "a" });
    assert_eq!(call(store)["size"], 3);
    let put = json!({ "do": "put", "store": "cache", "path": "b", "text": "hello" });
    assert_eq!(call(put)["size"], 5);
    assert_eq!(host.paths("cache"), ["a", "b"]);
}

#[test]
fn it_can_refuse_its_config() {
    let error = Host::new().plugin::<Faulty>(json!({ "refuse": "not like this" })).err();
    assert_eq!(error.as_deref(), Some("not like this"));
    assert_eq!(Host::new().plugin::<Faulty>(json!(null)).unwrap().binding().outputs(), ["out"]);
}
