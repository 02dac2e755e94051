//! The shapes of the messages, held against examples of both domains.

use std::time::{Duration, SystemTime};

use lockgate_plugin::Message;
use serde_json::{Value, json};

use crate::testing::{Kind, check, odd, unreadable, whole, with, with_all};
use crate::{Cached, Domain, End, File, Status, Task};

const URL: &str = "https://www.claimxperience.com/service/media/81530077?filename=kitchen.jpg&sign=SECRET";

fn claimx_task() -> Value {
    json!({
        "media_id": "81530077", "project_id": "6120457", "download_url": URL,
        "blob_path": "6120457/media/kitchen.jpg", "file_type": "jpg", "file_name": "kitchen.jpg",
        "trace_id": "3a95", "retry_count": 0, "expires_at": "2026-03-02T15:05:11Z", "refresh_count": 0,
        "metadata": null,
    })
}

fn verisk_task() -> Value {
    json!({
        "trace_id": "9f1c", "media_id": "cbc5", "attachment_url": "https://h/estimate.pdf?X-Amz-Signature=SECRET",
        "blob_path": "estimatePackageReceived/06ABC12/9f1c/06ABC12_3_estimate.pdf",
        "status_subtype": "estimatePackageReceived", "file_type": "PDF", "assignment_id": "06ABC12",
        "estimate_version": "3", "retry_count": 0, "event_type": "verisk",
        "event_subtype": "estimatePackageReceived", "original_timestamp": "2026-03-02T14:05:11+00:00",
        "metadata": {},
    })
}

fn task(domain: Domain, value: &Value) -> Result<Task, String> {
    Task::parse(domain, &Message::new(value.to_string())).map_err(|error| error.to_string())
}

fn cached(domain: Domain, value: &Value) -> Cached {
    let file = File { path: "c/p".into(), bytes: 7, sha256: "ab".repeat(32), content_type: Some("image/jpeg".into()) };
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_460_316);
    task(domain, value).unwrap().into_cached(file, at)
}

fn body(emission: &lockgate_plugin::Emission) -> Value {
    serde_json::from_slice(&emission.payload).unwrap()
}

/// What JSON objects have in common, and nothing else of `whole`.
fn like(whole: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| ((*name).to_owned(), whole[*name].clone())).collect::<serde_json::Map<_, _>>().into()
}

fn end() -> End {
    End {
        status: Status::Completed,
        path: "real/path".into(),
        bytes: 7,
        error: None,
        http_status: None,
        retries: 1,
        at: "2026-03-02T14:05:18+00:00".into(),
    }
}

#[test]
fn a_cached_message_of_claimx_has_its_fields_and_the_hash() {
    let emission = cached(Domain::Claimx, &claimx_task()).to_emission("cached").unwrap();
    let mut expected = like(
        &claimx_task(),
        &["media_id", "project_id", "download_url", "file_type", "file_name", "trace_id", "expires_at"],
    );
    for (name, value) in [
        ("destination_path", json!("6120457/media/kitchen.jpg")),
        ("local_cache_path", json!("c/p")),
        ("bytes_downloaded", json!(7)),
        ("sha256", json!("ab".repeat(32))),
        ("content_type", json!("image/jpeg")),
        ("downloaded_at", json!("2026-03-02T14:05:16+00:00")),
    ] {
        expected[name] = value;
    }
    assert_eq!(body(&emission), expected);
    assert_eq!((emission.output.as_str(), emission.key.as_deref()), ("cached", Some(&b"3a95"[..])));
    assert_eq!((emission.headers[0].name.as_str(), emission.headers[0].value.as_slice()), ("trace_id", &b"3a95"[..]));
}

#[test]
fn a_cached_message_of_verisk_has_its_fields_and_the_hash() {
    let emission = cached(Domain::Verisk, &verisk_task()).to_emission("cached").unwrap();
    let mut expected = verisk_task();
    let fields = expected.as_object_mut().unwrap();
    fields.remove("retry_count");
    let blob_path = fields.remove("blob_path").unwrap();
    for (name, value) in [
        ("destination_path", blob_path),
        ("local_cache_path", json!("c/p")),
        ("bytes_downloaded", json!(7)),
        ("sha256", json!("ab".repeat(32))),
        ("content_type", json!("image/jpeg")),
        ("downloaded_at", json!("2026-03-02T14:05:16+00:00")),
    ] {
        fields.insert(name.into(), value);
    }
    assert_eq!(body(&emission), expected);
}

#[test]
fn a_task_comes_back_out_of_its_cached_message() {
    for (domain, value) in [(Domain::Claimx, claimx_task()), (Domain::Verisk, verisk_task())] {
        let cached = cached(domain, &value).to_emission("cached").unwrap();
        let cached = Cached::parse(domain, &Message::new(cached.payload)).unwrap();
        let emission = cached.to_task().to_emission("downloads").unwrap();
        assert_eq!(body(&emission), value);
        assert_eq!(emission.key.as_deref(), Some(value["trace_id"].as_str().unwrap().as_bytes()));
    }
}

#[test]
fn a_result_of_claimx_has_its_fields_and_no_query() {
    let emission = task(Domain::Claimx, &claimx_task()).unwrap().to_result("results", end()).unwrap();
    let mut expected = like(&claimx_task(), &["media_id", "project_id", "file_type", "file_name", "trace_id"]);
    for (name, value) in [
        ("download_url", json!("https://www.claimxperience.com/service/media/81530077")),
        ("blob_path", json!("real/path")),
        ("status", json!("completed")),
        ("bytes_uploaded", json!(7)),
        ("error_message", json!(null)),
        ("created_at", json!("2026-03-02T14:05:18+00:00")),
    ] {
        expected[name] = value;
    }
    assert_eq!(body(&emission), expected);
}

#[test]
fn a_result_of_verisk_has_its_fields_and_no_query() {
    let end =
        End { status: Status::FailedPermanent, bytes: 0, http_status: Some(404), error: Some("gone".into()), ..end() };
    let emission = task(Domain::Verisk, &verisk_task()).unwrap().to_result("results", end).unwrap();
    let mut expected = like(&verisk_task(), &["trace_id", "media_id", "status_subtype", "file_type", "assignment_id"]);
    for (name, value) in [
        ("attachment_url", json!("https://h/estimate.pdf")),
        ("blob_path", json!("real/path")),
        ("status", json!("failed_permanent")),
        ("http_status", json!(404)),
        ("bytes_downloaded", json!(0)),
        ("retry_count", json!(1)),
        ("error_message", json!("gone")),
        ("created_at", json!("2026-03-02T14:05:18+00:00")),
        ("expires_at", json!(null)),
        ("expired_at_ingest", json!(null)),
    ] {
        expected[name] = value;
    }
    assert_eq!(body(&emission), expected);
}

#[test]
fn optional_fields_may_be_left_out_and_unknown_ones_are_passed_over() {
    let mut claimx = like(&claimx_task(), &["media_id", "project_id", "download_url", "blob_path", "trace_id"]);
    claimx["later"] = json!(1);
    task(Domain::Claimx, &claimx).unwrap();
    let mut verisk = verisk_task();
    for name in ["estimate_version", "retry_count", "metadata"] {
        verisk.as_object_mut().unwrap().remove(name);
    }
    task(Domain::Verisk, &verisk).unwrap();
}

#[test]
fn attempts_before_a_verisk_task_was_written_count() {
    let mut value = verisk_task();
    value["retry_count"] = json!(4);
    let emission = task(Domain::Verisk, &value).unwrap().to_result("results", end()).unwrap();
    assert_eq!(body(&emission)["retry_count"], 5);
}

/// R37.
#[test]
fn what_is_optional_may_be_null_and_ids_may_be_numbers() {
    let mut claimx = claimx_task();
    for name in ["file_type", "file_name", "retry_count", "refresh_count", "expires_at", "metadata"] {
        claimx[name] = json!(null);
    }
    let mut verisk = verisk_task();
    for name in ["estimate_version", "retry_count", "metadata"] {
        verisk[name] = json!(null);
    }
    for (domain, mut value, ids) in [
        (Domain::Claimx, claimx, ["media_id", "project_id", "trace_id"]),
        (Domain::Verisk, verisk, ["media_id", "assignment_id", "trace_id"]),
    ] {
        ids.iter().for_each(|id| value[*id] = json!(81_530_077));
        let read = task(domain, &value).unwrap();
        assert_eq!((read.media_id(), read.trace_id()), ("81530077", "81530077"));
        let written = body(&read.to_emission("downloads").unwrap());
        ids.iter().for_each(|id| assert_eq!(written[*id], "81530077", "{id}"));
        assert_eq!(cached(domain, &value).to_task(), read);
        let mut null = value.clone();
        null["media_id"] = json!(null);
        assert!(
            task(domain, &null).unwrap_err().contains("at `media_id`: expected a text or a whole number, found null")
        );
        null["media_id"] = json!(1.5);
        assert!(
            task(domain, &null)
                .unwrap_err()
                .contains("at `media_id`: expected a text or a whole number, found a number that is not whole")
        );
    }
    let mut version = verisk_task();
    version["estimate_version"] = json!(3);
    assert_eq!(task(Domain::Verisk, &version), task(Domain::Verisk, &verisk_task()));
}

/// R9, R31: the whole table, of both messages of both domains.
#[test]
fn what_cannot_be_read_is_refused_with_field_and_reason_and_nothing_of_its_content() {
    for domain in [Domain::Claimx, Domain::Verisk] {
        let refused = |error: lockgate_plugin::json::Error| (error.code().to_owned(), error.to_string());
        let (tasks, cached) = (unreadable(Kind::Task, domain), unreadable(Kind::Cached, domain));
        assert!(tasks.len() > 140 && cached.len() > 170, "{} {}", tasks.len(), cached.len());
        check(&tasks, |message| Task::parse(domain, &message).map_err(refused).unwrap_err());
        check(&cached, |message| Cached::parse(domain, &message).map_err(refused).unwrap_err());
    }
}

/// R37.
#[test]
fn what_is_odd_but_right_is_read() {
    for domain in [Domain::Claimx, Domain::Verisk] {
        for kind in [Kind::Task, Kind::Cached] {
            for (name, fields) in odd(kind, domain) {
                let message = Message::new(with_all(&whole(kind, domain, "https://h/a.pdf"), &fields));
                let read = match kind {
                    Kind::Task => Task::parse(domain, &message).map(|_| ()),
                    Kind::Cached => Cached::parse(domain, &message).map(|_| ()),
                };
                assert_eq!(read, Ok(()), "{name}");
            }
        }
    }
}

/// Through a task, its cached message and back.
#[test]
fn metadata_goes_along_digit_by_digit() {
    const METADATA: &str = "{ \"a\": 18446744073709551616.50, \"b\": \"\\u0000\" }";
    for (domain, value) in [(Domain::Claimx, claimx_task()), (Domain::Verisk, verisk_task())] {
        let read = Task::parse(domain, &Message::new(with(&value, "metadata", METADATA))).unwrap();
        let file = File { path: "c/p".into(), bytes: 7, sha256: "ab".repeat(32), content_type: None };
        let cached = read.clone().into_cached(file, SystemTime::UNIX_EPOCH).to_emission("cached").unwrap();
        let back = Cached::parse(domain, &Message::new(cached.payload)).unwrap().to_task();
        assert_eq!(back, read);
        let written = String::from_utf8(back.to_emission("downloads").unwrap().payload).unwrap();
        assert!(written.contains(&format!("\"metadata\":{METADATA}")), "{written}");
    }
}
