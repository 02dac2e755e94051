//! The whole plugin against a host that stands in. Where a test is of a known defect of the workers that this plugin
//! replaces, its number stands beside it.

use std::time::Duration;

use claims::testing::{Bad, Kind, SENTINEL, check, misleading, odd, unreadable, with_all};
use lockgate_plugin::testing::{Answer, Attempt, Host, Operation, Plugin};
use lockgate_plugin::{Verdict, http::Reach};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

const PDF: &[u8] = b"%PDF-1.7 the estimate";
const CLAIMX_URL: &str = "https://www.claimxperience.com/service/media/81530077?filename=kitchen.pdf&sign=SENTINEL";
const VERISK_URL: &str = "https://bucket.s3.amazonaws.com/x/7781/estimate.pdf?X-Amz-Date=20260302T140511Z&X-Amz-Expires=3600&X-Amz-Signature=SENTINEL";

fn url(domain: Domain) -> &'static str {
    match domain {
        Domain::Claimx => CLAIMX_URL,
        Domain::Verisk => VERISK_URL,
    }
}

fn task(domain: Domain) -> Value {
    match domain {
        Domain::Claimx => json!({
            "media_id": "81530077", "project_id": "6120457", "download_url": CLAIMX_URL,
            "blob_path": "6120457/media/kitchen.pdf", "file_type": "pdf", "file_name": "kitchen.pdf",
            "trace_id": "3a95", "retry_count": 0, "expires_at": null, "refresh_count": 0, "metadata": null,
        }),
        Domain::Verisk => json!({
            "trace_id": "9f1c", "media_id": "cbc5", "attachment_url": VERISK_URL,
            "blob_path": "estimatePackageReceived/06ABC12/9f1c/06ABC12_3_estimate.pdf",
            "status_subtype": "estimatePackageReceived", "file_type": "PDF", "assignment_id": "06ABC12",
            "estimate_version": "3", "retry_count": 0, "event_type": "verisk",
            "event_subtype": "estimatePackageReceived", "original_timestamp": "2026-03-02T14:05:11+00:00",
            "metadata": {},
        }),
    }
}

/// Where the task's file is laid.
fn path(domain: Domain) -> &'static str {
    match domain {
        Domain::Claimx => "claimx/3a95/81530077/kitchen.pdf",
        Domain::Verisk => "verisk/9f1c/cbc5/06ABC12_3_estimate.pdf",
    }
}

struct Bench {
    host: Host,
    plugin: Plugin<Download>,
    domain: Domain,
}

/// At 2026-03-02T14:06:00Z, which is before the Verisk link expires.
fn bench(domain: Domain, answers: impl IntoIterator<Item = Answer>) -> Bench {
    let host = Host::new();
    host.set_now(SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_460_360));
    host.answer("media", url(domain), answers);
    let config = json!({ "domain": domain, "endpoint": "media", "store": "cache", "max_bytes": 1000 });
    let plugin = host.plugin(config).unwrap();
    Bench { host, plugin, domain }
}

impl Bench {
    fn run(&self, attempt: Attempt) -> Outcome {
        self.run_task(&task(self.domain), attempt)
    }

    fn run_task(&self, task: &Value, attempt: Attempt) -> Outcome {
        self.plugin.try_call(Message::new(task.to_string()), attempt)
    }
}

fn pdf() -> Answer {
    let length = PDF.len().to_string();
    Answer::status(200).header("content-type", "application/pdf").header("content-length", &length).body(PDF)
}

fn body(emission: &Emission) -> Value {
    serde_json::from_slice(&emission.payload).unwrap()
}

fn code(outcome: &Outcome) -> &str {
    match &outcome.verdict {
        Verdict::Reject { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn reason(outcome: &Outcome) -> &str {
    match &outcome.verdict {
        Verdict::Reject { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

const BOTH: [Domain; 2] = [Domain::Claimx, Domain::Verisk];

#[test]
fn a_file_is_fetched_and_its_message_says_where_it_lies() {
    for domain in BOTH {
        let bench = bench(domain, [pdf()]);
        let outcome = bench.run(Attempt::FIRST);
        assert!(outcome.is_done(), "{outcome:?}");
        let blob = bench.host.blob("cache", path(domain)).unwrap();
        assert_eq!((blob.bytes.as_slice(), blob.content_type.as_deref()), (PDF, Some("application/pdf")));
        let [emission] = outcome.emit.as_slice() else { panic!("{outcome:?}") };
        let cached = body(emission);
        assert_eq!(emission.output, "cached");
        assert_eq!(emission.key.as_deref(), Some(task(domain)["trace_id"].as_str().unwrap().as_bytes()));
        for (name, value) in [
            ("local_cache_path", json!(path(domain))),
            ("destination_path", task(domain)["blob_path"].clone()),
            ("bytes_downloaded", json!(PDF.len())),
            ("sha256", json!(format!("{:x}", Sha256::digest(PDF)))),
            ("content_type", json!("application/pdf")),
            ("downloaded_at", json!("2026-03-02T14:06:00+00:00")),
        ] {
            assert_eq!(cached[name], value, "{name}");
        }
    }
}

/// R12, R16.
#[test]
fn a_repeat_gives_the_same_emission_and_fetches_nothing() {
    for domain in BOTH {
        let bench = bench(domain, [pdf(), Answer::status(500)]);
        let first = bench.run(Attempt::FIRST);
        assert_eq!(bench.run(Attempt::FIRST), first);
        assert_eq!(bench.host.requests().len(), 1);
    }
}

/// R16, R25: after a loss of the checkpoint the link may have expired, while the file is there.
#[test]
fn a_file_that_lies_there_already_needs_no_link_that_works() {
    let bench = bench(Domain::Verisk, [pdf()]);
    let first = bench.run(Attempt::FIRST);
    bench.host.set_now(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let again = bench.run(Attempt::FIRST);
    assert!(again.is_done());
    assert_eq!(body(&again.emit[0])["sha256"], body(&first.emit[0])["sha256"]);
}

/// R16: another host may lay the same file at the same time.
#[test]
fn identical_content_that_appears_meanwhile_is_no_conflict() {
    let bench = bench(Domain::Claimx, [pdf()]);
    bench.host.put("cache", path(Domain::Claimx), PDF);
    let missing = blobs::Error::NotFound { store: "cache".into(), path: path(Domain::Claimx).into() };
    bench.host.fail("cache", Operation::Stat, missing);
    assert!(bench.run(Attempt::FIRST).is_done());
}

/// R15.
#[test]
fn different_content_is_never_overwritten() {
    let bench = bench(Domain::Claimx, [pdf()]);
    bench.host.put("cache", path(Domain::Claimx), "something else");
    let missing = blobs::Error::NotFound { store: "cache".into(), path: path(Domain::Claimx).into() };
    bench.host.fail("cache", Operation::Stat, missing);
    let outcome = bench.run(Attempt::FIRST);
    assert_eq!(code(&outcome), "conflict");
    assert_eq!(bench.host.blob("cache", path(Domain::Claimx)).unwrap().bytes, b"something else");
}

/// R15, R30: one event, two URLs that end in the same name.
#[test]
fn siblings_of_one_event_never_meet() {
    let bench = bench(Domain::Verisk, [pdf()]);
    let mut sibling = task(Domain::Verisk);
    sibling["media_id"] = json!("cbc6");
    sibling["attachment_url"] = json!("https://bucket.s3.amazonaws.com/y/estimate.pdf");
    bench.host.answer(
        "media",
        "https://bucket.s3.amazonaws.com/y/estimate.pdf",
        [Answer::status(200).body("%PDF-other")],
    );
    assert!(bench.run(Attempt::FIRST).is_done());
    assert!(bench.run_task(&sibling, Attempt::FIRST).is_done());
    assert_eq!(bench.host.paths("cache").len(), 2);
}

/// R9, R31: the whole table.
#[test]
fn every_bad_message_is_rejected_with_its_reason_before_anything_is_done() {
    for domain in BOTH {
        let bench = bench(domain, [pdf()]);
        let refused = |message| {
            let outcome = bench.plugin.call(message);
            (code(&outcome).to_owned(), reason(&outcome).to_owned())
        };
        check(&unreadable(Kind::Task, domain), refused);
        check(&misleading(Kind::Task, domain), refused);
        assert!(bench.host.requests().is_empty());
        assert_eq!(bench.host.paths("cache"), Vec::<String>::new());
        assert!(!format!("{:?}", bench.host.lines()).contains(SENTINEL));
    }
}

/// What cannot be read names no attachment, so it has no result; what leads nowhere has one, as every failure has.
#[test]
fn only_a_message_that_can_be_read_has_a_result() {
    for (domain, count) in [(Domain::Claimx, 0), (Domain::Verisk, 1)] {
        let bench = bench(domain, [pdf()]);
        let results = |rows: Vec<Bad>| -> Vec<usize> {
            rows.into_iter().map(|row| bench.plugin.call(Message::new(row.payload)).emit.len()).collect()
        };
        assert!(results(unreadable(Kind::Task, domain)).iter().all(|emitted| *emitted == 0));
        assert!(results(misleading(Kind::Task, domain)).iter().all(|emitted| *emitted == count));
    }
}

/// R37.
#[test]
fn an_odd_message_is_fetched_as_any_other() {
    for domain in BOTH {
        for (name, fields) in odd(Kind::Task, domain) {
            let bench = bench(domain, [pdf()]);
            let outcome = bench.plugin.call(Message::new(with_all(&task(domain), &fields)));
            assert!(outcome.is_done(), "{name}: {:?}", outcome.verdict);
        }
    }
}

/// R25.
#[test]
fn an_expired_claimx_link_is_a_retry_that_names_the_refresh() {
    let bench = bench(Domain::Claimx, [Answer::status(403)]);
    let outcome = bench.run(Attempt::FIRST);
    assert!(matches!(&outcome.verdict, Verdict::Retry { reason, .. } if reason.contains("refresh")), "{outcome:?}");
    assert!(outcome.emit.is_empty());
    let last = bench.run(Attempt::LAST);
    assert_eq!((code(&last), last.emit.len()), ("link-expired", 0));
    assert!(matches!(last.verdict, Verdict::Reject { reason, .. } if reason.contains("refresh")));
}

/// R25.
#[test]
fn an_expired_verisk_link_is_rejected_at_once_with_its_result() {
    let refused = bench(Domain::Verisk, [Answer::status(403)]).run(Attempt::FIRST);
    let late = bench(Domain::Verisk, [pdf()]);
    late.host.set_now(SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_463_911));
    let expired = late.run(Attempt::FIRST);
    assert!(late.host.requests().is_empty());
    for (outcome, status) in [(refused, json!(403)), (expired, json!(null))] {
        assert_eq!(code(&outcome), "link-expired");
        let result = body(&outcome.emit[0]);
        assert_eq!((&result["status"], &result["http_status"]), (&json!("failed_permanent"), &status));
    }
}

/// R2, R3, R8.
#[test]
fn a_passing_failure_is_a_retry_without_result_until_the_last_attempt() {
    let odd = |head: Answer| head.header("content-type", "text/html").body("<html>");
    for (answer, code_of_it) in [
        (Answer::status(503), "http-503"),
        (Answer::status(429), "http-429"),
        (Answer::status(401), "http-401"),
        (odd(Answer::status(200)), "content-mismatch"),
        (Answer::status(200).body("<html>"), "content-mismatch"),
        (Answer::status(200), "empty"),
        (Answer::status(200).header("content-length", "0"), "empty"),
        (Answer::status(200).header("content-length", "999").body(PDF), "source"),
        (pdf().breaks_after(3), "interrupted"),
        (Answer::error(http::Error::Timeout("no first byte".into())), "timeout"),
        (Answer::error(http::Error::Connect("refused".into())), "connect"),
    ] {
        for domain in BOTH {
            let bench = bench(domain, [answer.clone()]);
            let outcome = bench.run(Attempt::FIRST);
            assert!(matches!(outcome.verdict, Verdict::Retry { .. }), "{outcome:?}");
            assert!(outcome.emit.is_empty());
            let last = bench.run(Attempt::LAST);
            assert_eq!(code(&last), code_of_it);
            assert!(reason(&last).starts_with("after 3 attempts: "), "{last:?}");
            assert_eq!(last.emit.len(), usize::from(domain == Domain::Verisk));
            assert_eq!(bench.host.paths("cache"), Vec::<String>::new(), "{code_of_it}");
        }
    }
}

/// R26: where a redirect may lead is the host's to say, and what it denies is final.
#[test]
fn a_lasting_failure_is_rejected_at_once() {
    let denied = http::Error::Denied("host 10.0.0.1 is private".into());
    for (answer, code_of_it) in [
        (Answer::status(404), "http-404"),
        (Answer::status(410), "http-410"),
        (Answer::error(denied), "url-denied"),
        (Answer::status(200).header("content-length", "1001"), "too-large"),
        (Answer::status(200).body([PDF, &[0; 1000]].concat()), "too-large"),
    ] {
        for domain in BOTH {
            let outcome = bench(domain, [answer.clone()]).run(Attempt::FIRST);
            assert_eq!(code(&outcome), code_of_it);
            assert!(!reason(&outcome).contains("attempt"), "{outcome:?}");
            assert_eq!(outcome.emit.len(), usize::from(domain == Domain::Verisk));
        }
    }
}

#[test]
fn a_failed_verisk_download_says_what_and_where() {
    let outcome = bench(Domain::Verisk, [Answer::status(404)]).run(Attempt { number: 3, left: 2 });
    let result = body(&outcome.emit[0]);
    assert_eq!(outcome.emit[0].output, "results");
    for (name, value) in [
        ("status", json!("failed_permanent")),
        ("http_status", json!(404)),
        ("retry_count", json!(2)),
        ("bytes_downloaded", json!(0)),
        ("blob_path", json!("estimatePackageReceived/06ABC12/9f1c/cbc5/06ABC12_3_estimate.pdf")),
        ("attachment_url", json!("https://bucket.s3.amazonaws.com/x/7781/estimate.pdf")),
        ("error_message", json!("the origin does not have the file (404)")),
    ] {
        assert_eq!(result[name], value, "{name}");
    }
}

/// R2: an outage of what every message needs uses up no attempt, so that it drains no topic into the dead letters.
#[test]
fn a_store_that_is_down_holds_on_every_attempt() {
    for attempt in [Attempt::FIRST, Attempt::LAST] {
        let bench = bench(Domain::Verisk, [pdf()]);
        let down = blobs::Error::Unavailable { store: "cache".into(), reason: "no space is left".into() };
        bench.host.fail("cache", Operation::Put, down);
        let outcome = bench.run(attempt);
        assert!(matches!(outcome.verdict, Verdict::Hold { .. }), "{outcome:?}");
        assert!(outcome.emit.is_empty());
    }
}

/// R2: one host of many that is down parks its own messages until its breaker may have closed; the others go on.
#[test]
fn one_host_of_many_that_is_down_delays_only_its_own_messages() {
    let after = Duration::from_secs(42);
    let open = http::Error::Unavailable { endpoint: "media".into(), retry_after: after, reach: Reach::ManyHosts };
    let outcome = bench(Domain::Claimx, [Answer::error(open)]).run(Attempt::FIRST);
    assert!(matches!(outcome.verdict, Verdict::Retry { after: Some(a), .. } if a == after), "{outcome:?}");
    assert!(outcome.emit.is_empty());
}

#[test]
fn an_origin_that_asks_to_wait_is_waited_for() {
    for wait in ["30", "Mon, 02 Mar 2026 14:06:30 GMT"] {
        let outcome = bench(Domain::Claimx, [Answer::status(503).header("retry-after", wait)]).run(Attempt::FIRST);
        assert!(matches!(outcome.verdict, Verdict::Retry { after: Some(a), .. } if a == Duration::from_secs(30)));
    }
}

/// R26.
#[test]
fn types_that_are_not_taken_are_rejected_without_a_request() {
    let bench = bench(Domain::Claimx, [pdf()]);
    for (url, code_of_it) in
        [("https://h/a.exe", "type-not-allowed"), ("https://h/a", "type-not-allowed"), ("nothing", "url-invalid")]
    {
        let mut task = task(Domain::Claimx);
        task["download_url"] = json!(url);
        assert_eq!(code(&bench.run_task(&task, Attempt::FIRST)), code_of_it);
    }
    assert!(bench.host.requests().is_empty());
}

/// R15.
#[test]
fn a_path_that_leads_out_of_the_store_is_rejected() {
    let bench = bench(Domain::Claimx, [pdf()]);
    for (field, value) in
        [("blob_path", "../../etc/x.pdf"), ("media_id", "../x"), ("trace_id", "a/b"), ("blob_path", "a/")]
    {
        let mut task = task(Domain::Claimx);
        task[field] = json!(value);
        assert_eq!(code(&bench.run_task(&task, Attempt::FIRST)), "path-invalid", "{field}");
    }
    assert_eq!(bench.host.paths("cache"), Vec::<String>::new());
}

/// R31.
#[test]
fn presigned_urls_are_in_no_reason_log_or_result() {
    let answers = [
        Answer::status(403),
        Answer::status(404),
        Answer::status(500),
        Answer::status(200).header("content-type", "text/html"),
        Answer::status(200).body("x"),
        pdf().breaks_after(3),
        pdf(),
    ];
    for domain in BOTH {
        for answer in &answers {
            let bench = bench(domain, [answer.clone()]);
            let outcome = bench.run(Attempt::LAST);
            let told = format!("{:?} {:?}", outcome.verdict, bench.host.lines());
            assert!(!told.contains("SENTINEL"), "{told}");
            for emission in outcome.emit.iter().filter(|emission| emission.output == "results") {
                assert!(!body(emission).to_string().contains("SENTINEL"));
            }
        }
    }
}

#[test]
fn how_often_a_file_was_fetched_again_goes_along() {
    let bench = bench(Domain::Claimx, [pdf()]);
    let message = Message::new(task(Domain::Claimx).to_string()).with_header("redownloads", "1");
    let outcome = bench.plugin.call(message);
    assert!(outcome.emit[0].headers.iter().any(|header| header.name == "redownloads" && header.value == b"1"));
}

#[test]
fn the_binding_names_what_the_config_gives() {
    let binding = |domain| bench(domain, [pdf()]).plugin.binding().clone();
    assert_eq!(binding(Domain::Claimx).outputs(), ["cached"]);
    assert_eq!(binding(Domain::Verisk).outputs(), ["cached", "results"]);
    assert_eq!(
        (binding(Domain::Claimx).endpoints(), binding(Domain::Claimx).stores()),
        (&["media".to_owned()][..], &["cache".to_owned()][..])
    );
}

#[test]
fn a_mistake_in_the_config_names_its_field() {
    let error = |config| Host::new().plugin::<Download>(config).err().unwrap();
    let base = |domain: &str| json!({ "domain": domain, "endpoint": "media", "store": "cache" });
    assert!(error(base("claim")).contains("at `domain`: unknown variant `claim`"));
    assert!(error(json!({ "domain": "claimx" })).contains("missing field `endpoint`"));
    let mut none = base("claimx");
    none["max_bytes"] = json!(0);
    assert!(error(none).contains("at `max_bytes`"));
    assert!(Host::new().plugin::<Download>(base("verisk")).is_ok());
    assert_eq!(default_max_bytes().get(), 2 << 30);
}
