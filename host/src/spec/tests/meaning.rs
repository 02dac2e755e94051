//! What is wrong with the meaning, and what comes out where nothing is.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{RIGHT, SHA256, checked, edited, loaded, wrong};
use crate::flow::config::{OnFatal, Order};
use crate::spec::plan::{DeadLetter, Parking, SecretSource, Target, Topic, TransportKind};
use crate::spec::{Descriptions, check};
use crate::transport::{OnLostPosition, Start};

#[test]
fn a_right_spec_is_a_plan() {
    let plan = checked(&[("pipelines.yaml", RIGHT)], &[]).map_err(|problems| problems.to_string()).unwrap();
    assert!(plan.warnings.is_empty());
    assert_eq!(plan.secrets["claimx_token"].source, SecretSource::Env("CLAIMX_API_TOKEN".to_owned()));
    let TransportKind::Log(log) = &plan.transports["bus"].kind else { panic!("{:?}", plan.transports) };
    assert_eq!(log.path, Path::new("data/bus"));
    assert_eq!(plan.endpoints["claimx"].base_url.as_deref(), Some("https://api.example.com/v1"));
    assert_eq!(plan.stores.len(), 3);
    let fetch = &plan.pipelines["fetch"];
    assert_eq!((&*fetch.from.transport, &*fetch.from.topic, &*fetch.from.group), ("bus", "pending", "fetch"));
    assert_eq!((fetch.from.start, fetch.from.on_lost_position), (Start::Latest, OnLostPosition::Earliest));
    assert_eq!(fetch.config, json!({ "domain": "claimx", "endpoint": "media", "store": "cache" }));
    let topic = |name: &str| Topic { transport: "bus".to_owned(), topic: name.to_owned() };
    assert_eq!(fetch.outputs["cached"], Target::Topic(topic("cached")));
    assert_eq!(fetch.dead_letter, DeadLetter { topic: topic("letters"), spill: Some("lake".to_owned()) });
    let delays = [5, 10, 10, 40].map(|minutes| Duration::from_secs(minutes * 60)).into();
    assert_eq!(fetch.retry.later, Some(Parking { topic: topic("parked"), delays }));
    assert_eq!(fetch.retry.in_place.attempts.get(), 3);
    assert_eq!(fetch.order, Order::Header("project-id".to_owned()));
    assert_eq!(fetch.concurrency.get(), 25);
    assert_eq!(fetch.drain_for, Duration::from_secs(30));
}

#[test]
fn what_is_not_said_has_a_default() {
    let text = "lockgate: 1\ntransports: { bus: { memory: {} } }\nplugins: { p: { component: p.wasm } }\npipelines: { a: { from: { topic: t }, plugin: p, dead_letter: { topic: d } } }\n";
    let loaded = loaded(&[("pipelines.yaml", text)], &[]).unwrap();
    let plan = check(&loaded, &Descriptions::default()).map_err(|problems| problems.to_string()).unwrap();
    let pipeline = &plan.pipelines["a"];
    assert_eq!(pipeline.concurrency, NonZeroUsize::new(16).unwrap());
    assert_eq!((&*pipeline.from.group, pipeline.from.start), ("a", Start::Earliest));
    assert_eq!(pipeline.in_flight.messages.get(), 1000);
    assert_eq!((pipeline.checkpoint_every, pipeline.drain_for), (Duration::from_secs(1), Duration::from_secs(30)));
    assert_eq!((pipeline.config.clone(), pipeline.outputs.len()), (json!({}), 0));
    assert_eq!((&pipeline.retry.later, &pipeline.dead_letter.spill), (&None, &None));
    assert_eq!((plan.admin, plan.on_fatal), (None, OnFatal::Stay));
}

#[test]
fn without_descriptions_plugins_are_not_asked() {
    let text = RIGHT.replace("domain: claimx", "nonsense: 1").replace("cached: { topic: cached }", "other: discard");
    let loaded = loaded(&[("pipelines.yaml", &text)], &[]).unwrap();
    assert!(check(&loaded, &Descriptions::default()).is_ok());
}

#[test]
fn names_lead_somewhere() {
    for (old, new, expected) in [
        (
            "plugin: download",
            "plugin: downlaod",
            "`downlaod` unknown-name: no plugin is called `downlaod` (did you mean `download`?)",
        ),
        (
            "redirects: [media]",
            "redirects: [medai]",
            "`medai` unknown-name: no endpoint is called `medai` (did you mean `media`?)",
        ),
        (
            "{ topic: pending,",
            "{ transport: buss, topic: pending,",
            "`buss` unknown-name: no transport is called `buss` (did you mean `bus`?)",
        ),
        (
            "cached: { topic: cached }",
            "cached: { transport: elsewhere, topic: cached }",
            "`elsewhere` unknown-name: no transport is called `elsewhere` (known: `bus`)",
        ),
        (
            "dead_letter: { topic: letters, spill: lake }",
            "dead_letter: { transport: bsu, topic: letters }",
            "`bsu` unknown-name: no transport is called `bsu` (did you mean `bus`?)",
        ),
        ("  scratch:", "  a.b:", "`a.b` wrong-value: `a.b` is no name (a name has letters, digits, `-` and `_`)"),
    ] {
        wrong(old, new, &[expected]);
    }
}

#[test]
fn a_grant_exists_is_asked_for_and_is_given() {
    wrong(
        "stores: [cache] }",
        "stores: [cahce] }",
        &[
            "`stores` grant: the plugin `download` asks for the store `cache`, which is not granted (add it to `grants.stores`, or change the plugin's config)",
            "`cahce` unknown-name: no store is called `cahce` (did you mean `cache`?)",
            "`cahce` grant: the plugin `download` does not ask for the store `cahce` (leave it out: nothing is granted that is not used)",
        ],
    );
    wrong(
        "stores: [cache] }",
        "stores: [cache, lake] }",
        &[
            "`lake` grant: the plugin `download` does not ask for the store `lake` (leave it out: nothing is granted that is not used)",
        ],
    );
    wrong(
        "grants: { endpoints: [media], stores: [cache] }",
        "grants: { stores: [cache] }",
        &[
            "`grants` grant: the plugin `download` asks for the endpoint `media`, which is not granted (add it to `grants.endpoints`, or change the plugin's config)",
        ],
    );
    wrong(
        "endpoint: media,",
        "endpoint: mdia,",
        &[
            "`media` grant: the plugin `download` does not ask for the endpoint `media` (leave it out: nothing is granted that is not used)",
            "`config` unknown-name: no endpoint is called `mdia` (did you mean `media`?)",
        ],
    );
}

#[test]
fn outputs_and_their_bindings_are_the_same() {
    wrong(
        "cached: { topic: cached }",
        "cachd: { topic: cached }",
        &[
            "`to` output: the plugin `download` has an output `cached` that leads nowhere (add `cached: { topic: NAME }` under `to`, or `cached: discard`)",
            "`cachd` output: the plugin `download` has no output `cachd` (did you mean `cached`?)",
        ],
    );
    wrong(
        "store: cache }",
        "store: cache, quiet: true }",
        &["`cached` output: the plugin `download` has no output `cached` (with this config it has none)"],
    );
    wrong(
        "cached: { topic: cached }",
        "cached:",
        &[
            "`cached` missing-key: the output `cached` leads nowhere (give it a topic, `{ topic: NAME }`, or say `discard`)",
        ],
    );
    wrong(
        "cached: { topic: cached }",
        "cached: { transport: bus }",
        &["`cached` missing-key: `cached` lacks the key `topic`"],
    );
}

#[test]
fn a_plugins_config_is_checked_at_its_own_lines() {
    for (old, new, expected) in [
        (
            "domain: claimx,",
            "domain: claim,",
            "`claim` plugin-config: the plugin `download` does not take this: \"claim\" is not one of \"claimx\" or \"verisk\"",
        ),
        ("domain: claimx, ", "", "`config` plugin-config: the config of plugin `download` lacks the key `domain`"),
        (
            "store: cache }",
            "store: cache, sizes: [1, x] }",
            "`x` plugin-config: the plugin `download` does not take this: \"x\" is not of type \"integer\"",
        ),
        (
            "store: cache }",
            "store: cache, sizees: [] }",
            "`sizees` plugin-config: the plugin `download` knows no key `sizees` in its config (did you mean `sizes`?)",
        ),
        (
            "store: cache }",
            "store: cache, mode: { depth: x } }",
            "`x` plugin-config: the plugin `download` does not take this: \"x\" is not of type \"integer\"",
        ),
        (
            "store: cache }",
            "store: cache, shade: lihgt }",
            "`lihgt` plugin-config: the plugin `download` does not take this: it takes one of `light`, `dark` (did you mean `light`?)",
        ),
        (
            "store: cache }",
            "store: cache, refuse: true }",
            "`config` plugin-config: the plugin `download` refuses this config: refusing was asked for",
        ),
    ] {
        wrong(old, new, &[expected]);
    }
}

#[test]
fn a_component_is_the_one_that_is_meant() {
    wrong(
        "component: plugins/download.wasm",
        "component: plugins/broken.wasm",
        &["`plugins/broken.wasm` component: the plugin `download` cannot be used: it imports `wasi:sockets/tcp`"],
    );
    let pin = |pin: &str| format!("isolation: exclusive\n    sha256: {pin}");
    wrong("isolation: exclusive", &pin(SHA256), &[]);
    wrong("isolation: exclusive", &pin(&SHA256.to_uppercase()), &[]);
    wrong("isolation: exclusive", &pin("abc"), &["`abc` wrong-value: a SHA-256 is 64 hexadecimal digits"]);
    let other = "0".repeat(64);
    wrong(
        "isolation: exclusive",
        &pin(&format!("\"{other}\"")),
        &[&format!(
            "`\"{other}\"` component: the component of plugin `download` is another one than is pinned here (put the pinned file back, or pin the new one if it is meant)"
        )],
    );
}

#[test]
fn endpoints_lead_to_one_system_or_to_many_hosts() {
    let url_help = "(write it like `https://api.example.com/v1`; credentials go under `auth`)";
    let allow_help = "(write `host`, `host:port` or `*.example.com`; `http://host` where plain HTTP is meant)";
    for (old, new, expected) in [
        (
            "base_url: \"${CLAIMX_API_URL}\"",
            "base_url: \"${CLAIMX_API_URL}\"\n    allow: [a.example.com]",
            "`allow` wrong-value: the endpoint `claimx` has both a `base_url` and `allow` (make two endpoints of it: one system below a URL, and one for the URLs that messages carry)".to_owned(),
        ),
        (
            "allow: [\"files.example.com\", \"*.example.org\"]",
            "max_concurrent: 1",
            "`media` missing-key: the endpoint `media` leads nowhere: it has neither a `base_url` nor `allow` (`base_url` is one system below a URL; `allow` lists hosts whose URLs messages may carry)".to_owned(),
        ),
        (
            "base_url: \"${CLAIMX_API_URL}\"",
            "allow: [a.example.com]",
            "`auth` wrong-value: `auth` needs a `base_url` (a credential is sent to its own system only, never to hosts that messages name)".to_owned(),
        ),
        ("\"${CLAIMX_API_URL}\"", "api.example.com", format!("`api.example.com` wrong-value: this is no absolute URL {url_help}")),
        ("\"${CLAIMX_API_URL}\"", "ftp://example.com", format!("`ftp://example.com` wrong-value: only `http` and `https` are spoken {url_help}")),
        ("\"files.example.com\"", "files.example.com/a", format!("`files.example.com/a` wrong-value: an entry of `allow` is a host without path, query or user {allow_help}")),
        (
            "basic: { encoded: \"${secrets.claimx_token}\" }",
            "header: { name: X Key, value: \"${secrets.claimx_token}\" }",
            "`X Key` wrong-value: `X Key` is no name of an HTTP header".to_owned(),
        ),
        (
            "    auth: { basic",
            "    proxy: { url: \"socks5://proxy.example.com\" }\n    auth: { basic",
            "`\"socks5://proxy.example.com\"` wrong-value: a proxy is spoken to over `http` or `https` (write it like `http://proxy.example.com:3128`; credentials go under `proxy.auth`)".to_owned(),
        ),
        (
            "    auth: { basic",
            "    proxy: { url: \"http://proxy.example.com:3128\", auth: { basic: { encoded: \"${secrets.claimx_tokn}\" } } }\n    auth: { basic",
            "`\"${secrets.claimx_tokn}\"` unknown-name: no secret is called `claimx_tokn` (did you mean `claimx_token`?)".to_owned(),
        ),
        ("    auth: { basic", "    max_body: 0\n    auth: { basic", "`0` wrong-value: no file fits into a body of nothing".to_owned()),
        ("connect: 10s", "connect: 0s", "`0s` wrong-value: this must be longer than nothing".to_owned()),
    ] {
        wrong(old, new, &[&expected]);
    }
}

#[test]
fn credentials_over_plain_http_are_a_warning() {
    wrong(
        "\"${CLAIMX_API_URL}\"",
        "http://api.example.com",
        &["`http://api.example.com` plain-http: credentials go over plain HTTP (write `https://`)"],
    );
    wrong("\"${CLAIMX_API_URL}\"", "http://127.0.0.1:8080", &[]);
}

#[test]
fn a_host_tells_how_it_is_where_the_spec_says_and_warns_where_others_may_ask() {
    let text = RIGHT.replacen("lockgate: 1", "lockgate: 1\nadmin: { listen: 127.0.0.1:9600 }\non_fatal: exit", 1);
    let plan = checked(&[("pipelines.yaml", &text)], &[]).map_err(|problems| problems.to_string()).unwrap();
    assert_eq!(plan.admin.map(|admin| admin.listen.to_string()).as_deref(), Some("127.0.0.1:9600"));
    assert_eq!(plan.on_fatal, OnFatal::Exit);
    wrong("lockgate: 1", "lockgate: 1\nadmin: { listen: '[::1]:0' }\non_fatal: stay", &[]);
    wrong(
        "lockgate: 1",
        "lockgate: 1\nadmin: { listen: 0.0.0.0:9600 }",
        &[
            "`0.0.0.0:9600` open-admin: whoever reaches this address can look at pipelines and pause them (listen on `127.0.0.1`, or let the network keep others out)",
        ],
    );
    wrong(
        "lockgate: 1",
        "lockgate: 1\nadmin: { listen: localhost }",
        &["`localhost` wrong-value: `listen`: this is no address with a port: write for instance `127.0.0.1:9600`"],
    );
    wrong(
        "lockgate: 1",
        "lockgate: 1\non_fatal: die",
        &["`die` wrong-value: `on_fatal` takes one of `stay`, `exit`, not `die`"],
    );
}

#[test]
fn a_transport_is_of_exactly_one_kind() {
    wrong(
        "log: { path: data/bus }",
        "log: { path: data/bus }\n    memory: {}",
        &["`memory` wrong-value: the transport `bus` is of two kinds: `log` and `memory`"],
    );
    wrong(
        "    log: { path: data/bus }\n",
        "",
        &[
            "`bus` missing-key: the transport `bus` is of no kind (give it one: `log: { path: data/bus }`, `kafka: { brokers: [host:9092] }`, `event_hubs: { connection_string: \"${secrets.NAME}\", checkpoints: STORE }` or `memory: {}`)",
        ],
    );
    wrong("log: { path: data/bus }", "log: { path: \"\" }", &["`\"\"` wrong-value: this is empty"]);
}

#[test]
fn leases_last_longer_than_the_time_between_looks() {
    let times = |times: &str| format!("log: {{ path: data/bus }}\n    {times}");
    wrong(
        "log: { path: data/bus }",
        &times("lease: 500ms"),
        &["`500ms` wrong-value: a lease lasts at least `1s` (a host that is busy for longer than a lease loses its \
             partitions)"],
    );
    for (lease_and_poll, place, lease) in [
        ("poll: 30s", "30s", "30s"),
        ("lease: 10s\n    poll: 1m", "1m", "10s"),
        ("lease: 2s\n    poll: 2s", "2s", "2s"),
    ] {
        let message = format!("`{place}` wrong-value: `poll` must be shorter than `lease`, which is `{lease}`");
        wrong("log: { path: data/bus }", &times(lease_and_poll), &[&message]);
    }
    wrong("log: { path: data/bus }", &times("poll: 0s"), &["`0s` wrong-value: this must be longer than nothing"]);
}

#[test]
fn several_transports_are_told_apart() {
    let second = ("stores:\n", "  other: { memory: {} }\nstores:\n");
    let said = edited(&[second]);
    assert_eq!(said.len(), 4, "{said:#?}");
    for line in &said {
        assert!(
            line.ends_with(
                "which transport this topic is of has to be said (there are `bus`, `other`: add `transport: …`)"
            ),
            "{line}"
        );
    }
    let named = [
        second,
        ("{ topic: pending,", "{ transport: bus, topic: pending,"),
        ("{ topic: cached }", "{ transport: other, topic: cached }"),
        ("{ topic: letters,", "{ transport: other, topic: letters,"),
        ("{ topic: parked,", "{ transport: bus, topic: parked,"),
    ];
    assert_eq!(edited(&named), Vec::<String>::new());
}

#[test]
fn pipelines_do_not_take_each_others_messages() {
    let second = "pipelines:\n  again: { from: { topic: pending, group: fetch }, plugin: download, config: { domain: claimx, endpoint: media, store: cache }, grants: { endpoints: [media], stores: [cache] }, to: { cached: discard } }\n";
    let message = "`from` wrong-value: the pipelines `again` and `fetch` read the same topic in the same group, so each would miss messages (give each a `group` of its own)";
    wrong("pipelines:\n", second, &[message]);
    // By their physical names as well.
    wrong("pipelines:\n", &second.replace("topic: pending", "topic: prod-pending"), &[message]);
    wrong("pipelines:\n", &second.replace("group: fetch", "group: other"), &[]);
}

#[test]
fn dead_letters_do_not_come_back() {
    for topic in ["pending", "prod-pending"] {
        wrong(
            "dead_letter: { topic: letters, spill: lake }",
            &format!("dead_letter: {{ topic: {topic} }}"),
            &[&format!(
                "`{topic}` wrong-value: dead letters would come back: this is the topic that the pipeline reads"
            )],
        );
    }
}

#[test]
fn a_pipelines_needs_and_bounds() {
    for (old, new, expected) in [
        ("from: { topic: pending, start: latest, on_lost_position: earliest }", "drain_for: 1s", None),
        (
            "  dead_letter: { topic: letters, spill: lake }",
            "  order: key",
            Some("`fetch` missing-key: `fetch` lacks the key `dead_letter`"),
        ),
        ("plugin: download", "plugin: ~", Some("`fetch` missing-key: `fetch` lacks the key `plugin`")),
        ("{ topic: pending, start", "{ start", Some("`from` missing-key: `from` lacks the key `topic`")),
        ("{ topic: letters,", "{ topic: \"\",", Some("`\"\"` wrong-value: a topic's name is empty")),
        ("start: latest", "group: \"\"", Some("`\"\"` wrong-value: this is empty")),
        (
            "${CONCURRENCY:-25}",
            "1001",
            Some(
                "`1001` wrong-value: 1001 messages cannot run at once where 1000 may be in flight (raise `in_flight.messages`, or lower `concurrency`)",
            ),
        ),
        ("checkpoint_every: 1s", "checkpoint_every: 0s", Some("`0s` wrong-value: this must be longer than nothing")),
        ("bytes: 64MiB", "bytes: 0", Some("`0` wrong-value: nothing fits into no bytes")),
        ("memory: 64MiB", "memory: 0", Some("`0` wrong-value: no component runs in no memory")),
    ] {
        if let Some(expected) = expected {
            wrong(old, new, &[expected]);
        } else {
            assert!(edited(&[(old, new)]).iter().any(|line| line.contains("a second time")), "{new}");
        }
    }
}
