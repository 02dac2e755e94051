//! `blobs`, as a guest sees it.

use super::*;

async fn bench() -> Bench {
    Bench::new(Wanted::default()).await
}

/// Of `hello world`.
const SHA256: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

#[tokio::test]
async fn a_body_goes_into_a_store_with_what_was_peeked_at() {
    let bench = bench().await;
    let said = bench.said("store files /hello cache a//b/./c.txt").await;
    assert!(said.starts_with("ok \"hell Stored") && said.contains(SHA256) && said.contains("size: 11"), "{said}");
    assert_eq!(bench.cache.content("a/b/c.txt").unwrap(), "hello world");
    assert_eq!(bench.plugin.bytes_moved(), 11);
}

#[tokio::test]
async fn a_body_that_breaks_is_the_sources_fault_and_leaves_nothing() {
    let bench = bench().await;
    let said = bench.said("store files /broken cache f").await;
    assert!(said.contains("Source") && said.contains("the body ended early, after 5 bytes"), "{said}");
    assert_eq!(bench.cache.content("f"), None);
}

#[tokio::test]
async fn only_granted_stores_and_paths_inside_them_are_touched() {
    let bench = bench().await;
    for (command, reason) in [
        ("put secret f x", "store `secret` is not granted to this pipeline"),
        ("load secret f", "store `secret` is not granted to this pipeline"),
        ("stat secret f", "store `secret` is not granted to this pipeline"),
        ("delete secret f", "store `secret` is not granted to this pipeline"),
        ("copy secret f cache f", "store `secret` is not granted to this pipeline"),
        ("copy cache f secret f", "store `secret` is not granted to this pipeline"),
        ("put unopened f x", "store `unopened` is not open in this host"),
        ("put cache ../f x", "it holds `..`"),
        ("load cache ../f", "it holds `..`"),
        ("stat cache ../f", "it holds `..`"),
        ("delete cache ../f", "it holds `..`"),
        ("copy cache ../f cache g", "it holds `..`"),
        ("copy cache f cache ../g", "it holds `..`"),
        ("stat cache /etc/passwd", "it is absolute"),
        ("delete cache .lockgate/lock", "it leads into `.lockgate`, which is the store's own"),
    ] {
        let said = bench.said(command).await;
        assert!(said.starts_with("error Error::Denied") && said.contains(reason), "{command}: {said}");
    }
}

#[tokio::test]
async fn bytes_are_put_found_copied_and_removed() {
    let bench = bench().await;
    assert!(bench.said("put cache f hello").await.contains("size: 5"));
    assert_eq!(bench.said("load cache f").await, r#"ok "hello""#);
    let stat = bench.said("stat cache f").await;
    assert!(stat.contains("size: 5") && stat.contains(r#"content-type: Some("text/plain")"#), "{stat}");
    let copied = bench.said("copy cache f lake g").await;
    assert_eq!(copied, stat, "a copy keeps the media type");
    assert_eq!(bench.said("load lake g").await, r#"ok "hello""#);
    assert_eq!(bench.said("delete cache f").await, "ok ()");
    assert_eq!(bench.said("delete cache f").await, "ok ()");
    assert_eq!(bench.said("load cache f").await, "error Error::NotFound");
    assert_eq!(bench.plugin.bytes_moved(), 10);
}

#[tokio::test]
async fn what_stands_in_the_way_is_told() {
    let bench = bench().await;
    bench.said("put cache f hello").await;
    assert!(bench.said("put cache f hello").await.starts_with("ok"));
    let said = bench.said("put cache f other").await;
    assert!(said.starts_with("error Error::Conflict") && said.contains("size: 5"), "{said}");
    assert_eq!(bench.said("put cache g hello 4").await, "error Error::TooLarge(4)");
    assert_eq!(bench.said("load cache f 4").await, "error Error::TooLarge(4)");
}
