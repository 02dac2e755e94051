//! `http` and `keyvalue`, as a guest sees them.

use super::*;

async fn bench() -> Bench {
    Bench::new(Wanted::default()).await
}

#[tokio::test]
async fn a_response_has_status_headers_and_a_place() {
    let said = bench().await.said("head files /hello").await;
    assert_eq!(
        said,
        r#"ok "200 Some(\"text/plain\") [(\"content-type\", \"text/plain\"), (\"etag\", \"\\\"1\\\"\")] https://files.example/hello""#
    );
}

#[tokio::test]
async fn a_body_can_be_read_whole() {
    let bench = bench().await;
    assert_eq!(bench.said("get files /hello").await, r#"ok "200 hello world""#);
    assert_eq!(bench.said("get files /empty").await, r#"ok "200 ""#);
}

#[tokio::test]
async fn a_peek_does_not_consume() {
    let bench = bench().await;
    assert_eq!(bench.said("peek files /hello 5").await, r#"ok "hello of hello world""#);
    assert_eq!(bench.said("peek files /hello 100").await, r#"ok "hello world of hello world""#);
    assert_eq!(bench.said("peek files /hello 0").await, r#"ok " of hello world""#);
}

#[tokio::test]
async fn a_body_is_read_once_and_within_bounds() {
    let bench = bench().await;
    let consumed = r#"Err(Error::Other(\"the body was read already, or is being read\"))"#;
    assert_eq!(bench.said("read files /hello 11").await, format!("ok \"Ok(11) {consumed}\""));
    assert_eq!(bench.said("read files /hello 10").await, format!("ok \"Err(Error::TooLarge(10)) {consumed}\""));
    assert_eq!(bench.said("read files /broken 10").await, format!("ok \"Err(Error::Interrupted(5)) {consumed}\""));
}

#[tokio::test]
async fn no_body_is_held_that_the_guests_memory_could_not_take() {
    let limits = Limits { memory: crate::model::Size(3 << 20), ..Limits::default() };
    let bench = Bench::new(Wanted { limits, ..Wanted::default() }).await;
    let said = bench.said("read files /large 4294967295").await;
    assert!(said.starts_with("ok \"Err(Error::TooLarge(3145728))"), "{said}");
}

#[tokio::test]
async fn what_fails_outside_is_told_as_what_it_is() {
    let bench = bench().await;
    for (path, error) in [
        ("/denied", r#"Denied("no")"#),
        ("/unavailable", "Unavailable(1500)"),
        ("/timeout", r#"Timeout("first byte")"#),
        ("/connect", r#"Connect("refused")"#),
        ("/nowhere", r#"Other("no such path")"#),
    ] {
        assert_eq!(bench.said(&format!("get files {path}")).await, format!("error Error::{error}"));
    }
}

#[tokio::test]
async fn only_granted_endpoints_are_asked() {
    let bench = bench().await;
    let said = bench.said("get billing /hello").await;
    assert_eq!(said, r#"error Error::Denied("endpoint `billing` is not granted to this pipeline")"#);
    assert_eq!(bench.endpoints.requests.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn headers_are_left_to_the_endpoint_to_judge() {
    let bench = bench().await;
    bench.said("send-header files accept").await;
    let requests = bench.endpoints.requests.lock().unwrap();
    assert_eq!((requests[0].0.as_str(), &requests[0].1.headers), ("files", &vec![("accept".into(), "x".into())]));
}

#[tokio::test]
async fn one_host_behind_a_redirect_is_not_taken_for_the_system_that_was_asked() {
    let bench = bench().await;
    let said = bench.said("get files /elsewhere").await;
    assert_eq!(said, r#"error Error::Other("a redirect leads to endpoint media, which is unavailable for 1.5s")"#);
    let said = bench.said("get files https://files.example/elsewhere").await;
    assert_eq!(said, "error Error::Unavailable(1500)");
}

#[tokio::test]
async fn no_keyvalue_store_is_granted() {
    let said = bench().await.said("keyvalue").await;
    assert_eq!(said, r#"error Error::Denied("key-value store `ledger` is not granted: this host grants none")"#);
}
