//! The whole plugin against a host that stands in. Where a test is of a known defect of the workers that this plugin
//! replaces, its number stands beside it.

use std::time::{Duration, SystemTime};

use claims::testing::{Kind, SENTINEL, check, misleading, odd, unreadable, with_all};
use lockgate_plugin::Verdict;
use lockgate_plugin::testing::{Attempt, Host, Operation, Plugin};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

const FILE: &[u8] = b"%PDF-1.7 the estimate";
const BOTH: [Domain; 2] = [Domain::Claimx, Domain::Verisk];

fn cache_path(domain: Domain) -> &'static str {
    match domain {
        Domain::Claimx => "claimx/3a95/81530077/kitchen.pdf",
        Domain::Verisk => "verisk/9f1c/cbc5/06ABC12_estimate.pdf",
    }
}

/// Where the file goes in truth.
fn real_path(domain: Domain) -> &'static str {
    match domain {
        Domain::Claimx => "6120457/media/81530077/kitchen.pdf",
        Domain::Verisk => "documentsReceived/06ABC12/9f1c/cbc5/06ABC12_estimate.pdf",
    }
}

fn cached(domain: Domain) -> Value {
    let mut cached = match domain {
        Domain::Claimx => json!({
            "media_id": "81530077", "project_id": "6120457", "download_url": "https://h/81530077?sign=SENTINEL",
            "destination_path": "6120457/media/kitchen.pdf", "file_type": "pdf", "file_name": "kitchen.pdf",
            "trace_id": "3a95", "expires_at": "2026-03-02T15:05:11Z",
        }),
        Domain::Verisk => json!({
            "trace_id": "9f1c", "media_id": "cbc5", "attachment_url": "https://h/e.pdf?X-Amz-Signature=SENTINEL",
            "destination_path": "documentsReceived/06ABC12/9f1c/06ABC12_estimate.pdf",
            "event_type": "verisk", "event_subtype": "documentsReceived", "status_subtype": "documentsReceived",
            "file_type": "PDF", "assignment_id": "06ABC12", "original_timestamp": "2026-03-02T14:05:11+00:00",
            "metadata": {}, "estimate_version": "3",
        }),
    };
    cached["local_cache_path"] = json!(cache_path(domain));
    cached["bytes_downloaded"] = json!(FILE.len());
    cached["sha256"] = json!(format!("{:x}", Sha256::digest(FILE)));
    cached["content_type"] = json!("application/pdf");
    cached["downloaded_at"] = json!("2026-03-02T14:05:16+00:00");
    cached
}

struct Bench {
    host: Host,
    plugin: Plugin<Upload>,
    domain: Domain,
}

/// At 2026-03-02T14:06:00Z, with this in the cache.
fn bench(domain: Domain, in_cache: Option<&[u8]>) -> Bench {
    let host = Host::new();
    host.set_now(SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_460_360));
    in_cache.into_iter().for_each(|bytes| host.put("cache", cache_path(domain), bytes));
    let plugin = host.plugin(json!({ "domain": domain, "cache": "cache", "store": "lake" })).unwrap();
    Bench { host, plugin, domain }
}

impl Bench {
    fn run(&self, attempt: Attempt) -> Outcome {
        self.plugin.try_call(Message::new(cached(self.domain).to_string()), attempt)
    }

    fn run_after(&self, redownloads: &str) -> Outcome {
        let message = Message::new(cached(self.domain).to_string()).with_header("redownloads", redownloads);
        self.plugin.call(message)
    }

    fn destination(&self) -> Option<Vec<u8>> {
        self.host.blob("lake", real_path(self.domain)).map(|blob| blob.bytes)
    }

    fn cache(&self) -> Option<Vec<u8>> {
        self.host.blob("cache", cache_path(self.domain)).map(|blob| blob.bytes)
    }
}

fn body(emission: &Emission) -> Value {
    serde_json::from_slice(&emission.payload).unwrap()
}

/// The one emission of a message that is done.
fn emitted(outcome: &Outcome, output: &str) -> Value {
    assert!(outcome.is_done(), "{outcome:?}");
    let [emission] = outcome.emit.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(emission.output, output);
    body(emission)
}

/// The result of a message that was given up.
fn failed(outcome: &Outcome, code: &str) -> Value {
    assert!(matches!(&outcome.verdict, Verdict::Reject { code: is, .. } if is == code), "{outcome:?}");
    let [emission] = outcome.emit.as_slice() else { panic!("{outcome:?}") };
    let result = body(emission);
    assert_eq!((emission.output.as_str(), &result["status"]), ("results", &json!("failed_permanent")));
    result
}

fn down(store: &str) -> blobs::Error {
    blobs::Error::Unavailable { store: store.into(), reason: "no answer".into() }
}

/// R15: the real path has the media id before the file name.
#[test]
fn a_file_is_copied_then_removed_and_its_result_says_where_it_stands() {
    for domain in BOTH {
        let bench = bench(domain, Some(FILE));
        let outcome = bench.run(Attempt::FIRST);
        let result = emitted(&outcome, "results");
        assert_eq!((bench.destination().as_deref(), bench.cache()), (Some(FILE), None));
        let blob = bench.host.blob("lake", real_path(domain)).unwrap();
        assert_eq!(blob.content_type.as_deref(), Some("application/pdf"));
        let bytes = match domain {
            Domain::Claimx => "bytes_uploaded",
            Domain::Verisk => "bytes_downloaded",
        };
        for (name, value) in [
            ("status", json!("completed")),
            ("blob_path", json!(real_path(domain))),
            (bytes, json!(FILE.len())),
            ("error_message", json!(null)),
            ("created_at", json!("2026-03-02T14:06:00+00:00")),
        ] {
            assert_eq!(result[name], value, "{name}");
        }
        let trace_id = cached(domain)["trace_id"].as_str().unwrap().as_bytes().to_vec();
        assert_eq!(outcome.emit[0].key, Some(trace_id));
    }
}

/// R12, R29: a batch that was half done could never succeed, for its files were removed.
#[test]
fn a_repeat_gives_the_same_result() {
    for domain in BOTH {
        let bench = bench(domain, Some(FILE));
        let first = bench.run(Attempt::FIRST);
        assert_eq!(bench.run(Attempt::FIRST), first);
        bench.host.put("cache", cache_path(domain), FILE);
        assert_eq!(bench.run(Attempt::FIRST), first);
        assert_eq!(bench.cache(), None);
    }
}

/// R1, R4: whatever step a try ends at, the next one goes on from there.
#[test]
fn a_try_that_ends_anywhere_is_finished_by_the_next() {
    for (store, operation) in
        [("cache", Operation::Stat), ("cache", Operation::Copy), ("lake", Operation::Put), ("cache", Operation::Delete)]
    {
        let bench = bench(Domain::Claimx, Some(FILE));
        bench.host.fail(store, operation, down(store));
        let outcome = bench.run(Attempt::LAST);
        assert!(matches!(outcome.verdict, Verdict::Hold { .. }) && outcome.emit.is_empty(), "{outcome:?}");
        emitted(&bench.run(Attempt::LAST), "results");
        assert_eq!((bench.destination().as_deref(), bench.cache()), (Some(FILE), None));
    }
}

/// R29.
#[test]
fn a_missing_file_that_stands_at_its_destination_is_uploaded_already() {
    for domain in BOTH {
        let bench = bench(domain, None);
        bench.host.put("lake", real_path(domain), FILE);
        let result = emitted(&bench.run_after("2"), "results");
        assert_eq!((&result["status"], &result["blob_path"]), (&json!("completed"), &json!(real_path(domain))));
    }
}

/// R29: a missing file leads back to its download.
#[test]
fn a_missing_file_is_fetched_again_by_its_own_task() {
    for domain in BOTH {
        for (before, after) in [(None, "1"), (Some("1"), "2")] {
            let bench = bench(domain, None);
            let outcome = before.map_or_else(|| bench.run(Attempt::LAST), |count| bench.run_after(count));
            let task = emitted(&outcome, "downloads");
            let whole = cached(domain);
            assert_eq!(task["blob_path"], whole["destination_path"]);
            let same: &[&str] = match domain {
                Domain::Claimx => {
                    &["media_id", "project_id", "download_url", "file_type", "file_name", "trace_id", "expires_at"]
                }
                Domain::Verisk => &[
                    "trace_id",
                    "media_id",
                    "attachment_url",
                    "status_subtype",
                    "file_type",
                    "assignment_id",
                    "estimate_version",
                    "event_type",
                    "event_subtype",
                    "original_timestamp",
                    "metadata",
                ],
            };
            same.iter().for_each(|name| assert_eq!(task[*name], whole[*name], "{name}"));
            let count = outcome.emit[0].headers.iter().find(|header| header.name == "redownloads").unwrap();
            assert_eq!(count.value, after.as_bytes());
        }
    }
}

/// R29.
#[test]
fn a_file_that_goes_missing_again_and_again_is_given_up() {
    for domain in BOTH {
        let result = failed(&bench(domain, None).run_after("2"), "cached-file-missing");
        assert!(result["error_message"].as_str().unwrap().contains("2 times"));
    }
}

#[test]
fn a_file_that_vanishes_while_it_is_copied_is_missing() {
    let bench = bench(Domain::Claimx, Some(FILE));
    let gone = blobs::Error::NotFound { store: "cache".into(), path: "p".into() };
    bench.host.fail("cache", Operation::Copy, gone);
    emitted(&bench.run(Attempt::FIRST), "downloads");
}

/// R15.
#[test]
fn different_content_at_the_destination_is_never_overwritten() {
    for domain in BOTH {
        for in_cache in [Some(FILE), None, Some(&b"third"[..])] {
            let bench = bench(domain, in_cache);
            bench.host.put("lake", real_path(domain), "something else");
            let result = failed(&bench.run(Attempt::FIRST), "conflict");
            assert_eq!(bench.destination().unwrap(), b"something else");
            assert!(result["error_message"].as_str().unwrap().contains(real_path(domain)));
        }
    }
}

#[test]
fn a_cached_file_that_is_not_the_messages_is_never_uploaded() {
    let bench = bench(Domain::Claimx, Some(b"cut off"));
    emitted(&bench.run(Attempt::FIRST), "downloads");
    assert_eq!((bench.destination(), bench.cache()), (None, None));
}

#[test]
fn a_cached_file_of_another_message_stays() {
    let bench = bench(Domain::Claimx, Some(b"of another"));
    bench.host.put("lake", real_path(Domain::Claimx), FILE);
    emitted(&bench.run(Attempt::FIRST), "results");
    assert_eq!(bench.cache().unwrap(), b"of another");
}

/// R30: what is removed is known by its full identity.
#[test]
fn a_path_that_is_not_the_messages_own_is_never_cleared() {
    const OTHER: &str = "claimx/3a95/81530078/kitchen.pdf";
    for (bytes, output) in [(FILE, "results"), (b"of another", "downloads")] {
        let bench = bench(Domain::Claimx, None);
        bench.host.put("cache", OTHER, bytes);
        let mut cached = cached(Domain::Claimx);
        cached["local_cache_path"] = json!(OTHER);
        emitted(&bench.plugin.call(Message::new(cached.to_string())), output);
        assert_eq!(bench.host.blob("cache", OTHER).unwrap().bytes, bytes);
        assert!(bench.host.lines().iter().any(|line| line.text.contains("`local_cache_path`")));
    }
}

/// R15: two media of one name in one project.
#[test]
fn two_media_of_one_name_both_stay() {
    let bench = bench(Domain::Claimx, Some(FILE));
    emitted(&bench.run(Attempt::FIRST), "results");
    let mut other = cached(Domain::Claimx);
    other["media_id"] = json!("81530078");
    other["trace_id"] = json!("3a96");
    other["local_cache_path"] = json!("claimx/3a96/81530078/kitchen.pdf");
    bench.host.put("cache", "claimx/3a96/81530078/kitchen.pdf", FILE);
    emitted(&bench.plugin.call(Message::new(other.to_string())), "results");
    assert_eq!(bench.host.paths("lake").len(), 2);
}

/// R2, R3, R8: results in between are not sent.
#[test]
fn a_passing_failure_is_a_retry_and_on_the_last_attempt_a_rejection_with_its_result() {
    for domain in BOTH {
        let fails = |attempt| {
            let bench = bench(domain, Some(FILE));
            let odd = blobs::Error::Other { store: "lake".into(), reason: "odd".into() };
            bench.host.fail("lake", Operation::Put, odd);
            let outcome = bench.run(attempt);
            assert_eq!(bench.cache().as_deref(), Some(FILE));
            outcome
        };
        let outcome = fails(Attempt::FIRST);
        assert!(matches!(outcome.verdict, Verdict::Retry { .. }) && outcome.emit.is_empty(), "{outcome:?}");
        let result = failed(&fails(Attempt::LAST), "store");
        assert_eq!(result["error_message"], "after 3 attempts: store lake failed: odd");
    }
}

/// R9, R31: the whole table.
#[test]
fn every_bad_message_is_rejected_with_its_reason_before_anything_is_done() {
    for domain in BOTH {
        let bench = bench(domain, None);
        let refused = |message| match bench.plugin.call(message).verdict {
            Verdict::Reject { code, reason } => (code, reason),
            other => panic!("{other:?}"),
        };
        check(&unreadable(Kind::Cached, domain), refused);
        check(&misleading(Kind::Cached, domain), refused);
        assert!(!format!("{:?}", bench.host.lines()).contains(SENTINEL));
    }
}

/// What cannot be read names no attachment, so it has no result; what leads nowhere has one, as every failure has.
#[test]
fn only_a_message_that_can_be_read_has_a_result() {
    for domain in BOTH {
        let bench = bench(domain, None);
        for row in unreadable(Kind::Cached, domain) {
            assert!(bench.plugin.call(Message::new(row.payload)).emit.is_empty(), "{}", row.name);
        }
        for row in misleading(Kind::Cached, domain) {
            failed(&bench.plugin.call(Message::new(row.payload)), "path-invalid");
        }
    }
}

/// R37.
#[test]
fn an_odd_message_is_uploaded_as_any_other() {
    for domain in BOTH {
        for (name, fields) in odd(Kind::Cached, domain) {
            let bench = bench(domain, Some(FILE));
            let outcome = bench.plugin.call(Message::new(with_all(&cached(domain), &fields)));
            assert!(outcome.is_done() && outcome.emit[0].output == "results", "{name}: {:?}", outcome.verdict);
        }
    }
}

#[test]
fn a_path_that_leads_out_of_its_store_is_rejected() {
    for (field, value) in [("destination_path", "../x"), ("media_id", "a/b")] {
        let mut cached = cached(Domain::Claimx);
        cached[field] = json!(value);
        let bench = bench(Domain::Claimx, Some(FILE));
        failed(&bench.plugin.call(Message::new(cached.to_string())), "path-invalid");
    }
    let mut cached = cached(Domain::Claimx);
    cached["local_cache_path"] = json!("../../etc/passwd");
    failed(&bench(Domain::Claimx, None).plugin.call(Message::new(cached.to_string())), "path-invalid");
}

#[test]
fn a_cached_file_that_cannot_be_removed_does_not_fail_the_upload() {
    let bench = bench(Domain::Claimx, Some(FILE));
    bench.host.fail("cache", Operation::Delete, blobs::Error::Denied("read-only".into()));
    emitted(&bench.run(Attempt::LAST), "results");
    assert!(bench.host.lines().iter().any(|line| line.text.contains("read-only")));
}

/// R31.
#[test]
fn presigned_urls_are_in_no_reason_log_or_result() {
    for domain in BOTH {
        for (in_cache, at_destination) in
            [(Some(FILE), None), (None, None), (Some(FILE), Some("else")), (None, Some("else"))]
        {
            let bench = bench(domain, in_cache);
            at_destination.into_iter().for_each(|bytes| bench.host.put("lake", real_path(domain), bytes));
            for outcome in [bench.run_after("2"), bench.run_after("0")] {
                let told = format!("{:?} {:?}", outcome.verdict, bench.host.lines());
                assert!(!told.contains("SENTINEL"), "{told}");
                for emission in outcome.emit.iter().filter(|emission| emission.output == "results") {
                    assert!(!body(emission).to_string().contains("SENTINEL"));
                }
            }
        }
    }
}

#[test]
fn the_binding_names_what_the_config_gives() {
    let plugin = bench(Domain::Claimx, None).plugin;
    assert_eq!(
        (plugin.binding().outputs(), plugin.binding().stores()),
        (&words(&["results", "downloads"])[..], &words(&["cache", "lake"])[..])
    );
    assert!(plugin.binding().endpoints().is_empty());
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_mistake_in_the_config_names_its_field() {
    let error = |config| Host::new().plugin::<Upload>(config).err().unwrap();
    assert!(error(json!({ "domain": "x", "cache": "a", "store": "b" })).contains("at `domain`"));
    assert!(error(json!({ "domain": "verisk", "cache": "a" })).contains("missing field `store`"));
    assert!(error(json!({ "domain": "verisk", "cache": "a", "store": "a" })).contains("`cache` and `store`"));
}
