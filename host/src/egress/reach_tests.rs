//! Reaches by tables of what they admit.

use super::*;

fn system(base: &str) -> Reach {
    Reach::new(&Config { base_url: Some(base.into()), ..Config::default() }).unwrap()
}

fn hosts(entries: &[&str]) -> Reach {
    Reach::new(&Config { allow: entries.iter().map(|entry| (*entry).into()).collect(), ..Config::default() }).unwrap()
}

#[test]
fn a_path_is_put_below_the_base_url() {
    for (base, target, url) in [
        ("https://a.example/v1", "items/1", "https://a.example/v1/items/1"),
        ("https://a.example/v1/", "/items/1", "https://a.example/v1/items/1"),
        ("https://a.example", "items?q=a b&r=..", "https://a.example/items?q=a%20b&r=.."),
        ("https://a.example/v1", "?q=1", "https://a.example/v1?q=1"),
        ("https://a.example/v1", "", "https://a.example/v1"),
        ("https://a.example/v1", "items#part", "https://a.example/v1/items"),
        ("https://a.example/v1", "https:x", "https://a.example/v1/https:x"),
        ("https://a.example/v1", "ids/a%2Fb/100%25.txt", "https://a.example/v1/ids/a%2Fb/100%25.txt"),
        (
            "https://a.example/v1",
            "https://a.example:443/v1/items?u=https://b/..",
            "https://a.example/v1/items?u=https://b/..",
        ),
        ("https://a.example/v1", "go?to=https://b.example/../x", "https://a.example/v1/go?to=https://b.example/../x"),
    ] {
        assert_eq!(system(base).resolve(target).unwrap().as_str(), url, "{target}");
    }
}

#[test]
fn a_path_cannot_climb_out_of_the_base_url() {
    for target in [
        "../admin",
        "a/../../admin",
        "a/..",
        "./a",
        "//evil.example/x",
        "\\\\evil.example\\x",
        "a\\..\\..\\admin",
        "%2e%2e/admin",
        "%2E%2e/admin",
        ".%2e/admin",
        "a%2f..%2f..%2fadmin",
        "a%5c..%5cadmin",
        "%252e%252e/admin",
        "%25252e%25252e/admin",
        "%25%32%65%25%32%65/admin",
        "%2%65%2%65/admin",
        "..;/admin",
        "..;a=b/admin",
        "..?q",
        "https://a.example/v1/../admin",
        "https://a.example/v1/%2e%2e/admin",
    ] {
        assert_eq!(system("https://a.example/v1").resolve(target), Err(Refusal::Climbs), "{target}");
    }
}

#[test]
fn an_absolute_url_must_be_on_the_base_urls_origin_and_below_it() {
    for (target, refusal) in [
        ("https://b.example/v1/x", Refusal::Elsewhere),
        ("https://a.example:8443/v1/x", Refusal::Elsewhere),
        ("http://a.example/v1/x", Refusal::Elsewhere),
        ("https://a.example/v2", Refusal::Elsewhere),
        ("https://a.example/v10", Refusal::Elsewhere),
        ("https://a.example.evil.example/v1/x", Refusal::Elsewhere),
        ("https://me@a.example/v1/x", Refusal::User),
        ("https://a.example:443@evil.example/v1/x", Refusal::User),
        ("ftp://a.example/v1/x", Refusal::Scheme),
        ("https://[bad/v1", Refusal::NoUrl),
        ("it\tems", Refusal::NoUrl),
        ("items\r\nhost: x", Refusal::NoUrl),
    ] {
        assert_eq!(system("https://a.example/v1").resolve(target), Err(refusal), "{target}");
    }
}

#[test]
fn entries_match_by_scheme_host_and_port() {
    for (entry, url, matches) in [
        ("a.example", "https://a.example/x", true),
        ("A.Example", "https://a.EXAMPLE:443/x", true),
        ("a.example", "http://a.example/x", false),
        ("a.example", "https://a.example:8443/x", false),
        ("a.example", "https://b.a.example/x", false),
        ("a.example", "https://a.example./x", false),
        ("a.example:8443", "https://a.example:8443/x", true),
        ("a.example:8443", "https://a.example/x", false),
        ("*.a.example", "https://b.a.example/x", true),
        ("*.a.example", "https://c.b.a.example/x", true),
        ("*.a.example", "https://a.example/x", false),
        ("*.a.example", "https://.a.example/x", false),
        ("*.a.example", "https://ba.example/x", false),
        ("*.a.example:8443", "https://b.a.example:8443/x", true),
        ("http://a.example", "http://a.example/x", true),
        ("http://a.example", "https://a.example/x", false),
        ("http://a.example", "http://a.example:443/x", false),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x", true),
        ("http://127.0.0.1:8080", "http://0x7f.1:8080/x", true),
        ("http://127.0.0.1:8080", "http://127.0.0.2:8080/x", false),
        ("[2001:db8::1]:8443", "https://[2001:db8:0::1]:8443/x", true),
        ("bücher.example", "https://xn--bcher-kva.example/x", true),
    ] {
        assert_eq!(hosts(&[entry]).resolve(url).is_ok(), matches, "{entry} {url}");
    }
}

#[test]
fn an_allow_endpoint_takes_only_absolute_urls_without_a_user() {
    let reach = hosts(&["a.example"]);
    for (target, refusal) in [
        ("/path", Refusal::NotAbsolute),
        ("//a.example/path", Refusal::NotAbsolute),
        ("https:a.example", Refusal::NotAbsolute),
        ("https://me:pass@a.example/", Refusal::User),
        ("file:///etc/passwd", Refusal::Scheme),
        ("https://a.exa\nmple/", Refusal::NoUrl),
    ] {
        assert_eq!(reach.resolve(target), Err(refusal), "{target}");
    }
    assert_eq!(reach.resolve("https://a.example/x/../y#z").unwrap().as_str(), "https://a.example/y");
}

#[test]
fn the_credential_belongs_to_the_base_urls_own_origin() {
    let url = |text| Url::parse(text).unwrap();
    let reach = system("https://a.example/v1");
    for (text, own) in [
        ("https://a.example/other", true),
        ("https://a.example:443/", true),
        ("http://a.example/v1", false),
        ("https://a.example:8443/v1", false),
        ("https://b.a.example/v1", false),
    ] {
        assert_eq!(reach.is_own_origin(&url(text)), own, "{text}");
    }
    assert!(!hosts(&["a.example"]).is_own_origin(&url("https://a.example/")));
}

#[test]
fn a_reach_that_cannot_be_read_is_a_fault_and_all_entries_are_named() {
    let faults = |base: Option<&str>, allow: &[&str]| {
        let allow = allow.iter().map(|entry| (*entry).into()).collect();
        let config = Config { base_url: base.map(Into::into), allow, ..Config::default() };
        Reach::new(&config).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert!(faults(None, &[]).contains("neither"));
    assert!(faults(Some("https://a.example"), &["b.example"]).contains("both"));
    for base in ["a.example", "ftp://a.example", "https://u:p@a.example", "https://a.example?x=1"] {
        assert!(faults(Some(base), &[]).starts_with("`base_url` is a URL"), "{base}");
    }
    let entries =
        ["a.example", "*", "*.com", "https://a.example", "u@a.example", "a.example/x", "*.10.0.0.1", "a:99999"];
    let text = faults(None, &entries);
    for nth in 2..=8 {
        assert!(text.contains(&format!("entry {nth} ")), "{text}");
    }
    assert!(!text.contains("entry 1 "), "{text}");
}
