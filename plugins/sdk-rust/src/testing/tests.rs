use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::blobs::{Place, PutOptions, Replace};
use crate::http::Reach;
use crate::keyvalue::{self, Written};
use crate::{Emission, Verdict, log, timers};

/// Does one thing with every part of the host.
struct Everything;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Only here to be wrong.
    #[serde(default)]
    limit: u32,
    /// Said in the log.
    #[serde(default)]
    greeting: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
enum Command {
    Fetch { endpoint: String, target: String },
    Header { name: String, value: String },
    Json { target: String },
    Put { path: String, text: String, replace: bool, max: Option<u64> },
    Load { path: String, max: u32 },
    Copy { from: String, to: String },
    Delete { path: String },
    Keys,
    Log,
    Sleep,
    Context,
    Emit { output: String, header: String },
    Wait,
}

impl Worker for Everything {
    const NAME: &'static str = "everything";
    const VERSION: &'static str = "1";
    const DESCRIPTION: &'static str = "does one thing with every part of the host";
    type Config = Config;

    fn configure(config: Config, binding: &mut Binding) -> Result<Self, String> {
        if config.limit > 10 {
            return Err("`limit`: at most 10".into());
        }
        if !config.greeting.is_empty() {
            log::debug!("{}", config.greeting);
        }
        binding.output("out").endpoint("files").store("cache").store("lake").keyvalue("ledger");
        Ok(Self)
    }

    async fn process(&self, context: &Context, message: Message) -> Result<Outcome, Outcome> {
        let said = match message.json()? {
            Command::Fetch { endpoint, target } => {
                let response = http::get(endpoint, target).header("accept", "*/*").send().await?;
                let (status, opening) = (response.status(), response.peek(2).await?);
                let (place, after) = (response.final_url(), response.retry_after(context.now()));
                format!("{status} {opening:?} {:?} {place} {after:?}", response.bytes(8).await?)
            }
            Command::Header { name, value } => {
                http::get("files", "/a").header(name, value).send().await?.status().to_string()
            }
            Command::Json { target } => {
                let sent = http::post("files", target).json(&json!({ "a": 1 }))?.send().await?;
                sent.json::<Vec<u32>>(100).await?.len().to_string()
            }
            Command::Put { path, text, replace, max } => {
                let replace = if replace { Replace::Overwrite } else { Replace::Refuse };
                let options = PutOptions { replace, max_bytes: max, ..PutOptions::default() };
                blobs::put_bytes("cache", &path, text.into(), options).await?.sha256
            }
            Command::Load { path, max } => {
                let stat = blobs::stat("cache", &path).await?.map(|stored| stored.size);
                format!("{stat:?} {:?}", blobs::get("cache", &path, max).await?)
            }
            Command::Copy { from, to } => {
                let (from, to) = (Place { store: "cache", path: &from }, Place { store: "lake", path: &to });
                blobs::copy(from, to, PutOptions::default()).await?.size.to_string()
            }
            Command::Delete { path } => format!("{:?}", blobs::delete("cache", &path).await?),
            Command::Keys => keys().await?,
            Command::Log => {
                log::warn!(media_id = 7, size = "x"; "odd {}", 1 + 1);
                log::info!("plain");
                String::new()
            }
            Command::Sleep => {
                timers::sleep(Duration::from_micros(1_500)).await;
                String::new()
            }
            Command::Context => {
                let (attempt, left) = (context.attempt(), context.attempts_left());
                format!("{attempt} {left} {:?} {:?}", context.trace_parent(), context.remaining())
            }
            Command::Emit { output, header } => {
                return Ok(Outcome::done().emit(Emission::bytes(output, "x").header(header, "y")));
            }
            Command::Wait => std::future::pending().await,
        };
        Ok(Outcome::done().emit(Emission::bytes("out", said)))
    }
}

async fn keys() -> Result<String, keyvalue::Error> {
    let soon = Some(Duration::from_secs(1));
    let first = keyvalue::put_if_absent("ledger", "k", b"1".to_vec(), soon).await?;
    let again = keyvalue::put_if_absent("ledger", "k", b"2".to_vec(), soon).await?;
    let entry = keyvalue::get("ledger", "k").await?;
    let version = entry.map_or(0, |entry| entry.version);
    let swapped = keyvalue::compare_and_set("ledger", "k", version, b"3".to_vec(), soon).await?;
    let stale = keyvalue::compare_and_set("ledger", "k", version, b"4".to_vec(), soon).await?;
    assert_eq!((first, again, swapped, stale), (Written::Yes, Written::No, Written::Yes, Written::No));
    let before = keyvalue::get("ledger", "k").await?.map(|entry| entry.value);
    timers::sleep(Duration::from_secs(2)).await;
    let after = keyvalue::get("ledger", "k").await?;
    keyvalue::set("ledger", "k", b"5".to_vec(), None).await?;
    keyvalue::delete("ledger", "k").await?;
    Ok(format!("{before:?} {after:?} {:?}", keyvalue::get("ledger", "k").await?))
}

fn plugin(host: &Host) -> Plugin<Everything> {
    host.plugin(json!({})).unwrap()
}

fn call(host: &Host, command: serde_json::Value) -> Outcome {
    plugin(host).call(Message::new(command.to_string()))
}

fn said(host: &Host, command: serde_json::Value) -> String {
    let outcome = call(host, command);
    assert!(outcome.is_done(), "{outcome:?}");
    String::from_utf8(outcome.emit[0].payload.clone()).unwrap()
}

fn code(outcome: Outcome) -> String {
    match outcome.verdict {
        Verdict::Reject { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_config_error_is_in_words_for_the_operator() {
    let error = |config| Host::new().plugin::<Everything>(config).err().unwrap();
    assert_eq!(error(json!({ "limit": 11 })), "`limit`: at most 10");
    assert!(error(json!({ "limit": "x" })).starts_with("at `limit`: invalid type: string \"x\""));
    assert!(error(json!({ "limits": 1 })).contains("unknown field `limits`"));
    assert!(Host::new().plugin::<Everything>(json!(null)).is_ok());
}

#[test]
fn the_schema_is_of_2020_12_and_says_what_the_fields_are() {
    let schema = Plugin::<Everything>::schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["limit"]["description"], "Only here to be wrong.");
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn answers_come_one_after_another_and_the_last_for_good() {
    let host = Host::new();
    let fetch = json!({ "do": "fetch", "endpoint": "files", "target": "https://h/a?sig=1" });
    let busy = Answer::status(503).header("Retry-After", "7").body("busy");
    host.answer("files", "https://h/a?sig=1", [busy, Answer::status(200).body("file").redirected_to("https://i/b")]);
    assert_eq!(said(&host, fetch.clone()), "503 [98, 117] [98, 117, 115, 121] https://h/a Some(7s)");
    for _ in 0..2 {
        assert_eq!(said(&host, fetch.clone()), "200 [102, 105] [102, 105, 108, 101] https://i/b None");
    }
    let requests = host.requests();
    assert_eq!((requests.len(), requests[0].method(), requests[0].endpoint()), (3, "GET", "files"));
    assert_eq!(requests[0].headers(), [("accept".to_owned(), "*/*".to_owned())]);
}

#[test]
fn json_goes_both_ways_and_an_odd_answer_is_tried_again() {
    let host = Host::new();
    host.answer("files", "/list", [Answer::status(200).body("[1,2]"), Answer::status(200).body("<html>")]);
    let json = json!({ "do": "json", "target": "/list" });
    assert_eq!(said(&host, json.clone()), "2");
    assert_eq!(host.requests()[0].payload(), Some(&br#"{"a":1}"#[..]));
    assert!(matches!(call(&host, json).verdict, Verdict::Retry { .. }));
}

#[test]
fn an_open_breaker_holds_one_system_and_retries_many_hosts() {
    let host = Host::new();
    let after = Duration::from_secs(9);
    let breaker = http::Error::Unavailable { endpoint: "any".into(), retry_after: after, reach: Reach::OneSystem };
    for target in ["/a", "https://h/a"] {
        host.answer("files", target, [Answer::error(breaker.clone())]);
    }
    let fetch = |target| call(&host, json!({ "do": "fetch", "endpoint": "files", "target": target })).verdict;
    assert!(matches!(fetch("/a"), Verdict::Hold { after: Some(a), .. } if a == after));
    assert!(matches!(fetch("https://h/a"), Verdict::Retry { after: Some(a), .. } if a == after));
}

#[test]
fn a_body_that_breaks_is_an_error_where_it_breaks() {
    let host = Host::new();
    host.answer("files", "/a", [Answer::status(200).body("0123456789").breaks_after(5)]);
    let outcome = call(&host, json!({ "do": "fetch", "endpoint": "files", "target": "/a" }));
    assert_eq!(outcome, Outcome::retry("the body ended early, after 5 bytes"));
}

#[test]
fn what_was_not_bound_is_denied() {
    let host = Host::new();
    assert_eq!(code(call(&host, json!({ "do": "fetch", "endpoint": "other", "target": "/" }))), "denied");
    let put = json!({ "do": "put", "path": "../x", "text": "", "replace": false });
    assert_eq!(code(call(&host, put)), "denied");
}

#[test]
fn headers_that_are_the_hosts_are_denied_and_nothing_is_sent() {
    let host = Host::new();
    host.answer("files", "/a", [Answer::status(200)]);
    let send = |name: &str, value: &str| call(&host, json!({ "do": "header", "name": name, "value": value }));
    for name in [
        "authorization",
        "Authorization",
        "COOKIE",
        "cookie2",
        "Host",
        "Accept-Encoding",
        "Content-Length",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Expect",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "http2-settings",
        "Forwarded",
        "Via",
        "Proxy-Authorization",
        "proxy-anything",
        "",
        "a b",
        "a:b",
        "x\r\nhost",
        "ü",
    ] {
        assert_eq!(code(send(name, "SENTINEL")), "denied", "{name:?}");
        assert!(!format!("{:?}", send(name, "SENTINEL")).contains("SENTINEL"), "{name:?}");
    }
    for value in ["a\r\nhost: x", "a\nb", "a\0", "a\u{7f}"] {
        assert_eq!(code(send("x", value)), "denied", "{value:?}");
    }
    assert_eq!(host.requests().len(), 0);
    for (name, value) in [("Accept", "a/b"), ("x-name", "Grüße\t1"), ("idempotency-key", "1")] {
        assert!(send(name, value).is_done(), "{name}");
    }
}

#[test]
fn a_plugin_may_log_while_it_is_configured_and_prints_as_what_it_needs() {
    let host = Host::new();
    let plugin = host.plugin::<Everything>(json!({ "greeting": "hello" })).unwrap();
    assert_eq!(host.lines(), [Line::new(Level::Debug, "hello")]);
    let shown = format!("{plugin:?}");
    assert!(shown.contains("everything") && shown.contains("ledger"), "{shown}");
    assert!(host.plugin::<Everything>(json!({ "limit": 11 })).unwrap_err().contains("at most 10"));
}

#[test]
fn puts_are_idempotent_and_never_overwrite_unless_told() {
    let host = Host::new();
    let put = |text: &str, replace: bool| {
        call(&host, json!({ "do": "put", "path": "a", "text": text, "replace": replace, "max": 3 }))
    };
    assert!(put("abc", false).is_done());
    assert!(put("abc", false).is_done());
    assert_eq!(code(put("abd", false)), "conflict");
    assert_eq!(host.blob("cache", "a").unwrap().bytes, b"abc");
    assert!(put("abd", true).is_done());
    assert_eq!(code(put("abcd", true)), "too-large");
    assert_eq!(said(&host, json!({ "do": "load", "path": "a", "max": 3 })), "Some(3) [97, 98, 100]");
    assert_eq!(code(call(&host, json!({ "do": "load", "path": "a", "max": 2 }))), "too-large");
    assert_eq!(said(&host, json!({ "do": "copy", "from": "a", "to": "b" })), "3");
    assert_eq!(said(&host, json!({ "do": "delete", "path": "a" })), "()");
    assert_eq!(code(call(&host, json!({ "do": "copy", "from": "a", "to": "b" }))), "not-found");
    assert_eq!((host.paths("cache").len(), host.paths("lake")), (0, vec!["b".to_owned()]));
}

#[test]
fn a_store_fails_when_told() {
    let host = Host::new();
    host.put("cache", "a", "x");
    host.fail("lake", Operation::Put, blobs::Error::Source("broken".into()));
    let copy = json!({ "do": "copy", "from": "a", "to": "a" });
    assert_eq!(call(&host, copy.clone()), Outcome::retry("the body failed: broken"));
    assert_eq!(said(&host, copy), "1");
}

#[test]
fn keys_have_versions_and_an_end() {
    assert_eq!(said(&Host::new(), json!({ "do": "keys" })), "Some([51]) None None");
}

#[test]
fn lines_keep_their_fields() {
    let host = Host::new();
    call(&host, json!({ "do": "log" })).is_done();
    let fields = vec![("media_id".to_owned(), "7".to_owned()), ("size".to_owned(), "x".to_owned())];
    let odd = Line { fields, ..Line::new(Level::Warn, "odd 2") };
    assert_eq!(host.lines(), [odd, Line::new(Level::Info, "plain")]);
}

#[test]
fn time_only_moves_when_told() {
    let host = Host::new();
    host.set_now(SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    said(&host, json!({ "do": "sleep" }));
    assert_eq!(host.now(), SystemTime::UNIX_EPOCH + Duration::from_millis(5_002));
}

#[test]
fn a_call_knows_its_attempt_and_trace() {
    let message = Message::new(r#"{ "do": "context" }"#).with_header("traceparent", "00-ab");
    let outcome = plugin(&Host::new()).try_call(message, Attempt::LAST);
    assert_eq!(outcome.emit[0].payload, br#"3 0 Some("00-ab") None"#);
}

#[test]
fn a_broken_contract_fails_the_test() {
    let host = Host::new();
    for command in [
        json!({ "do": "emit", "output": "other", "header": "a" }),
        json!({ "do": "emit", "output": "out", "header": "lockgate-id" }),
        json!({ "do": "wait" }),
        json!({ "do": "fetch", "endpoint": "files", "target": "/unscripted" }),
    ] {
        assert!(catch_unwind(AssertUnwindSafe(|| call(&host, command.clone()))).is_err(), "{command}");
    }
}
