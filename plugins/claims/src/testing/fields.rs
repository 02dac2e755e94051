//! What is wrong with single fields, and what is odd but right.

use serde_json::Value;

use super::{Bad, Kind, with};
use crate::Domain;

const FRACTION: &str = "a number that is not whole, or too large";

/// What is wrong with a field: the text that stands for its value, and the reason behind the field's name.
type Row = (String, String);

fn row(text: impl Into<String>, reason: impl Into<String>) -> Row {
    (text.into(), reason.into())
}

/// A text of so many characters.
fn long(length: usize) -> String {
    format!("\"{}\"", "x".repeat(length))
}

pub(super) fn unreadable(kind: Kind, domain: Domain, whole: &Value) -> Vec<Bad> {
    let mut fields = vec![(url(domain), urls()), (path(kind), paths()), ("metadata", metadata())];
    fields.extend(ids(domain).map(|id| (id, wrong_ids())));
    fields.extend(match domain {
        Domain::Claimx => vec![("file_name", optional_texts()), ("expires_at", optional_texts())],
        Domain::Verisk => {
            let moment = ("original_timestamp", moments());
            let texts = ["status_subtype", "event_type", "event_subtype", "file_type"];
            [moment].into_iter().chain(texts.map(|name| (name, texts_with_something()))).collect()
        }
    });
    fields.extend(match kind {
        Kind::Task => vec![("retry_count", counts("a whole number from 0 to 4294967295", "4294967296"))],
        Kind::Cached => vec![
            ("local_cache_path", paths()),
            ("bytes_downloaded", sizes()),
            ("sha256", hashes()),
            ("content_type", media_types()),
            ("downloaded_at", moments()),
        ],
    });
    let optional = ["metadata", "file_name", "expires_at", "retry_count", "content_type"];
    let missing = fields.iter().filter(|(name, _)| !optional.contains(name)).map(|(name, _)| without(whole, name));
    let missing: Vec<Bad> = missing.collect();
    let wrong = fields.iter().flat_map(|(name, rows)| rows.iter().map(|row| bad(whole, name, row)));
    wrong.chain(missing).collect()
}

fn bad(whole: &Value, name: &str, (text, reason): &Row) -> Bad {
    let shown: String = text.chars().take(40).collect();
    Bad {
        name: format!("{name}: {shown}"),
        payload: with(whole, name, text),
        code: "payload-invalid",
        reason: format!("the payload cannot be read: at `{name}`: {reason}"),
    }
}

fn without(whole: &Value, name: &str) -> Bad {
    let mut message = whole.clone();
    message.as_object_mut().and_then(|fields| fields.remove(name));
    let reason = format!("the payload cannot be read: at `{name}`: it is missing");
    Bad { name: format!("no {name}"), payload: message.to_string().into(), code: "payload-invalid", reason }
}

fn url(domain: Domain) -> &'static str {
    match domain {
        Domain::Claimx => "download_url",
        Domain::Verisk => "attachment_url",
    }
}

fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Task => "blob_path",
        Kind::Cached => "destination_path",
    }
}

fn ids(domain: Domain) -> [&'static str; 3] {
    match domain {
        Domain::Claimx => ["trace_id", "media_id", "project_id"],
        Domain::Verisk => ["trace_id", "media_id", "assignment_id"],
    }
}

/// R37: an id may be a number, but none that has lost digits, and nothing else.
fn wrong_ids() -> Vec<Row> {
    let wrong = |text: &str, found: &str| row(text, format!("expected a text or a whole number, found {found}"));
    vec![
        wrong("null", "null"),
        wrong("true", "true or false"),
        wrong("1.5", FRACTION),
        wrong("1e3", FRACTION),
        wrong("18446744073709551616", FRACTION),
        wrong("-9223372036854775809", FRACTION),
        wrong("[\"SENTINEL\"]", "an array"),
        wrong("{\"SENTINEL\":1}", "an object"),
        row("\"\"", "it is blank"),
        row("\" \\t\"", "it holds a control character"),
        row("\" \"", "it is blank"),
        row(long(129), "it has 129 characters, where 128 are the most"),
        row(long(1_000_000), "it has 1000000 characters, where 128 are the most"),
        row("\"SENTINEL\\u0000\"", "it holds the character NUL"),
        row("\"SENTINEL\\r\\nX-Evil: 1\"", "it holds a control character"),
        row("\"SENTINEL\\u202e\"", "it holds a control character"),
    ]
}

/// What no text is.
fn no_texts() -> Vec<Row> {
    let wrong = |text: &str, found: &str| row(text, format!("expected a text, found {found}"));
    vec![
        wrong("7", "a whole number"),
        wrong("1.5", FRACTION),
        wrong("false", "true or false"),
        wrong("[\"SENTINEL\"]", "an array"),
        wrong("{}", "an object"),
    ]
}

fn optional_texts() -> Vec<Row> {
    let odd = [
        row("\"SENTINEL\\u0000\"", "it holds the character NUL"),
        row(long(4097), "it has 4097 characters, where 4096 are the most"),
        row(long(2_000_000), "it has 2000000 characters, where 4096 are the most"),
    ];
    no_texts().into_iter().chain(odd).collect()
}

fn texts_with_something() -> Vec<Row> {
    let nothing =
        [row("null", "expected a text, found null"), row("\"\"", "it is blank"), row("\" \\n\"", "it is blank")];
    optional_texts().into_iter().chain(nothing).collect()
}

fn paths() -> Vec<Row> {
    texts_with_something()
}

fn urls() -> Vec<Row> {
    let odd = [
        row("null", "expected a text, found null"),
        row("\"\"", "it is blank"),
        row(long(8193), "it has 8193 characters, where 8192 are the most"),
        row(long(3_000_000), "it has 3000000 characters, where 8192 are the most"),
        row("\"https://h/SENTINEL\\u0000.pdf\"", "it holds the character NUL"),
        row("\"https://h/SENTINEL\\r\\nX-Evil: 1.pdf\"", "it holds a control character"),
        row("\"https://h/\\u202eSENTINEL.pdf\"", "it holds a control character"),
    ];
    no_texts().into_iter().chain(odd).collect()
}

fn moments() -> Vec<Row> {
    let wrong = |text: &str| row(text, "it is no date and time such as 2026-03-02T14:05:11Z");
    let odd = [
        wrong("\"SENTINEL\""),
        wrong("\"03/02/2026 2:05 PM\""),
        wrong("\"2026-02-30T00:00:00Z\""),
        wrong("\"2026-03-02T25:05:11Z\""),
        wrong("\"1772460311\""),
        row("\"\"", "it is blank"),
        row("null", "expected a text, found null"),
    ];
    no_texts().into_iter().chain(odd).collect()
}

fn counts(wanted: &str, too_large: &str) -> Vec<Row> {
    let wrong = |text: &str, found: &str| row(text, format!("expected {wanted}, found {found}"));
    vec![
        wrong("-1", "a number out of range"),
        wrong("1.5", FRACTION),
        wrong("\"0\"", "a text"),
        wrong("true", "true or false"),
        wrong("[]", "an array"),
        wrong("{}", "an object"),
        wrong(too_large, if too_large.len() > 18 { FRACTION } else { "a number out of range" }),
        wrong("18446744073709551616", FRACTION),
    ]
}

fn sizes() -> Vec<Row> {
    let wanted = "a whole number of 0 or more";
    let mut rows = counts(wanted, "18446744073709551616");
    rows.push(row("null", format!("expected {wanted}, found null")));
    rows
}

fn hashes() -> Vec<Row> {
    let wrong = |text: String| row(text, "it is no SHA-256, which has 64 hexadecimal digits");
    let odd = [wrong("\"\"".into()), wrong("\"SENTINEL\"".into()), wrong(long(64)), wrong(long(1_000_000))];
    no_texts().into_iter().chain(odd).chain([row("null", "expected a text, found null")]).collect()
}

fn media_types() -> Vec<Row> {
    let wrong = |text: String| row(text, "it is no media type such as image/jpeg");
    let odd = [wrong("\"a/b\\r\\nX-Evil: SENTINEL\"".into()), wrong("\"ä\"".into()), wrong(long(256))];
    no_texts().into_iter().chain(odd).collect()
}

fn metadata() -> Vec<Row> {
    let wrong = |text: &str, found: &str| row(text, format!("expected an object, found {found}"));
    vec![
        wrong("[\"SENTINEL\"]", "an array"),
        wrong("\"SENTINEL\"", "a text"),
        wrong("7", "a whole number"),
        wrong("1.5", FRACTION),
        wrong("true", "true or false"),
    ]
}

/// Messages that can be read, but whose paths lead nowhere.
pub(super) fn misleading(kind: Kind, whole: &Value) -> Vec<Bad> {
    let leads = |field: &str, text: &str, reason: String| Bad {
        name: format!("{field}: {}", text.chars().take(40).collect::<String>()),
        payload: with(whole, field, text),
        code: "path-invalid",
        reason,
    };
    let mut rows = Vec::new();
    for text in ["\"../../SENTINEL/x.pdf\"", "\"a/../SENTINEL.pdf\"", "\"..\""] {
        rows.push(leads(path(kind), text, "the destination holds `..`: it could lead out of its store".into()));
    }
    for text in ["\"a/\"", "\"SENTINEL/.\"", "\"a/ \""] {
        rows.push(leads(path(kind), text, "the destination ends without a file name".into()));
    }
    let absolute = "the destination begins with `/`: it must be a path in its store";
    rows.push(leads(path(kind), "\"/SENTINEL/x.pdf\"", absolute.into()));
    let media = whole.get("media_id").and_then(Value::as_str).map_or(0, str::len);
    let deep = format!("the path in the store would have {} bytes, where 1024 are the most", 1200 + media + 6);
    rows.push(leads(path(kind), &format!("\"{}x.pdf\"", "a/".repeat(600)), deep));
    let is_id = |field: &str| {
        format!("`{field}` is no plain id of letters, digits, `-`, `_` and `.`, so it cannot be in a path")
    };
    let fields: &[&str] = if kind == Kind::Task { &["media_id", "trace_id"] } else { &["media_id"] };
    for field in fields {
        for text in ["\"../SENTINEL\"", "\"a/SENTINEL\"", "\".\"", "\"a b\"", "\"ünï\"", "\"a:b\"", "\"ａ\""] {
            rows.push(leads(field, text, is_id(field)));
        }
    }
    if kind == Kind::Cached {
        let field = "local_cache_path";
        let out = "`local_cache_path` holds `..`: it could lead out of its store";
        rows.push(leads(field, "\"../../SENTINEL\"", out.into()));
        let absolute = "`local_cache_path` begins with `/`: it must be a path in its store";
        rows.push(leads(field, "\"/etc/SENTINEL\"", absolute.into()));
    }
    rows
}

/// What is odd about a message, as texts for the values of fields, and is taken nevertheless.
pub fn odd(kind: Kind, domain: Domain) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let [_, _, other] = ids(domain);
    let (optional, moment) = match domain {
        Domain::Claimx => ("file_name", ("expires_at", "\"in an hour\"")),
        Domain::Verisk => ("estimate_version", ("original_timestamp", "\"2026-03-02 14:05:11.018342\"")),
    };
    let numbers = |number: &str| ["trace_id", "media_id", other].map(|name| (name, number.to_owned())).into();
    let metadata = |text: &str| vec![("metadata", text.to_owned())];
    vec![
        ("ids that are numbers", numbers("81530077")),
        ("ids beyond what JavaScript counts", numbers("9007199254740993")),
        ("the largest ids", numbers("18446744073709551615")),
        ("ids below zero", numbers("-7")),
        ("a field that nobody knows", vec![("SENTINEL", "[null,{\"a\":1e308}]".into())]),
        ("keys that differ in their case", vec![("Trace_Id", "7".into())]),
        ("numbers that a double cannot hold", metadata("{\"a\":18446744073709551616.5,\"b\":1e-999}")),
        ("a NUL that only goes along", metadata("{\"a\":\"\\u0000\"}")),
        ("a million numbers that go along", metadata(&format!("{{\"a\":[{}0]}}", "0,".repeat(1_000_000)))),
        ("half a million keys", metadata(&format!("{{{}\"x\":0}}", keys(500_000)))),
        ("as deep as it may be", metadata(&["{\"a\":".repeat(63), "1".into(), "}".repeat(63)].concat())),
        ("no metadata", metadata("null")),
        ("what is optional and null", vec![(optional, "null".into())]),
        ("an instant in other words", vec![(moment.0, moment.1.to_owned())]),
        ("a name with characters that are not seen", vec![(path(kind), "\"a/b\\tc\\u202egpj.pdf\"".into())]),
        ("a name of a pair of surrogates", vec![(path(kind), "\"a/\\ud83d\\ude00.pdf\"".into())]),
        ("a name longer than stores take", vec![(path(kind), format!("\"a/{}.pdf\"", "ü".repeat(300)))]),
    ]
}

fn keys(count: usize) -> String {
    (0..count).map(|number| format!("\"k{number}\":0,")).collect()
}
