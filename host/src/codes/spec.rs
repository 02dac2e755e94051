//! What `lockgate check` finds.

use super::Kind::{Error, Warning};
use super::{Code, Example, Examples};

const fn overlays(wrong: &'static str, right: &'static str) -> Option<Examples> {
    Some(Examples { wrong: Example::Overlay(wrong), right: Example::Overlay(right) })
}

const fn arguments(wrong: &'static str, right: &'static str) -> Option<Examples> {
    Some(Examples { wrong: Example::Arguments(wrong), right: Example::Arguments(right) })
}

/// Errors, then warnings; of the file as such first, of its meaning last.
pub(super) const FINDINGS: &[Code] = &[
    Code {
        word: "file",
        kind: Error,
        title: "a file of the spec cannot be read",
        meaning: "A file that is given with `-f`, or `pipelines.yaml` where none is given, is not there, may not be read, \
                  is no regular file of UTF-8, or is longer than any spec needs.",
        why: "A spec of which a part is missing would run with settings that nobody chose.",
        mend: "Look at the path: it counts from the working directory. Let the host's user read the file.",
        examples: arguments("-f pipeline.yaml", "-f pipelines.yaml"),
    },
    Code {
        word: "yaml",
        kind: Error,
        title: "a file is no YAML that is read here",
        meaning: "The file is no YAML 1.2, or uses a part of it that is left out on purpose: tags, merge keys (`<<`), \
                  several documents, keys that are no plain names, more nesting or more values than any spec needs.",
        why: "What readers of YAML understand differently would not mean what its author sees, and a small file could \
              fill all memory.",
        mend: "Mend the line that is shown; the fault may lie in the lines before it, often a quote or a bracket that is \
               not closed, or an indent.",
        examples: overlays(
            r"
pipelines:
  fetch: { concurrency: 25
",
            r"
pipelines:
  fetch: { concurrency: 25 }
",
        ),
    },
    Code {
        word: "set",
        kind: Error,
        title: "a `--set` is no assignment",
        meaning: "An argument of `--set` is not of the form `KEY.KEY.KEY=VALUE`.",
        why: "An override that changes nothing would pass for one that was made.",
        mend: "Write the keys from the top of the spec, with dots between them, and the value behind `=`. For lists and \
               maps use another file with `-f`.",
        examples: arguments("--set concurrency", "--set pipelines.fetch.concurrency=25"),
    },
    Code {
        word: "duplicate-key",
        kind: Error,
        title: "a key stands twice in one map",
        meaning: "The same key stands twice in the same map of one file.",
        why: "Only one of the two could hold, and most readers of YAML drop the other one in silence.",
        mend: "Keep one of them. To change a value for one place only, put it into another file and give both with `-f`.",
        examples: overlays(
            r"
pipelines:
  fetch:
    concurrency: 25
    concurrency: 50
",
            r"
pipelines:
  fetch:
    concurrency: 50
",
        ),
    },
    Code {
        word: "too-many",
        kind: Error,
        title: "more findings than anybody reads",
        meaning: "A spec has more findings than are shown: the first hundred are, in the order of the files, and this \
                  one says how many more there are.",
        why: "One mistake near the start may give very many findings behind it.",
        mend: "Mend those that are shown, then check again.",
        examples: None,
    },
    Code {
        word: "unknown-key",
        kind: Error,
        title: "a key that no setting has",
        meaning: "There is no such key, or no such kind of thing, at this place of a spec.",
        why: "A setting whose name is misspelt would be left out in silence, and the default would hold instead.",
        mend: "Take the name that is offered, or look the key up in docs/operators.md; `lockgate schema` gives an editor \
               all of them. A plugin's own settings go under `config`.",
        examples: overlays(
            r"
pipelines:
  fetch:
    concurency: 25
",
            r"
pipelines:
  fetch:
    concurrency: 25
",
        ),
    },
    Code {
        word: "missing-key",
        kind: Error,
        title: "something that has to be said is not said",
        meaning: "A key is missing that has no default, or a choice is missing that only its author can make.",
        why: "Where messages come from, where they end, and whether they may overtake each other is never guessed.",
        mend: "Add the key. What holds for every pipeline can be said once, under `defaults`.",
        examples: overlays(
            r"
pipelines:
  again:
    from: { topic: cached }
    plugin: download
    to: { cached: discard }
",
            r"
pipelines:
  again:
    from: { topic: cached }
    plugin: download
    to: { cached: discard }
    dead_letter: { topic: letters }
",
        ),
    },
    Code {
        word: "wrong-value",
        kind: Error,
        title: "a value that this key does not take",
        meaning: "The value is of another type or form than the key takes (a duration is `30s`, a size `64MiB`, a rate \
                  `10/s`), lies beyond its bounds, or does not go with another value that is set.",
        why: "A value that was bent until it fits would be another one than was meant; two that contradict each other \
              would lose messages or stop the pipeline later, under load.",
        mend: "Write it as the message says. Where two values do not go together, the other one is shown, too.",
        examples: overlays(
            r"
pipelines:
  fetch:
    drain_for: soon
",
            r"
pipelines:
  fetch:
    drain_for: 30s
",
        ),
    },
    Code {
        word: "unknown-name",
        kind: Error,
        title: "a name that nothing in the spec has",
        meaning: "A transport, store, endpoint, plugin, secret or pipeline is named that the spec does not declare.",
        why: "Nothing starts that could find out only under way that what it needs is not there.",
        mend: "Take the name that is offered, or declare what is missing under its section.",
        examples: overlays(
            r"
pipelines:
  fetch:
    plugin: donwload
",
            r"
pipelines:
  fetch:
    plugin: download
",
        ),
    },
    Code {
        word: "missing-variable",
        kind: Error,
        title: "an environment variable is not set",
        meaning: "A `${NAME}` stands in a value, and the environment of this process has no variable of that name.",
        why: "An empty text in its place would be an address, a path or a bound that nobody chose.",
        mend: "Set the variable where the host is started, and where `lockgate check` runs; or give a default, \
               `${NAME:-default}`.",
        examples: overlays(
            r#"
endpoints:
  api: { base_url: "${API_URL}" }
"#,
            r#"
endpoints:
  api: { base_url: "${API_URL:-https://api.example.com}" }
"#,
        ),
    },
    Code {
        word: "interpolation",
        kind: Error,
        title: "a `${` that leads to no variable",
        meaning: "A `${` is never closed, holds no name of a variable (letters, digits and `_`, no digit first), or stands \
                  inside the default of another one.",
        why: "A text that was meant to be replaced would stand in the value as it is.",
        mend: "Write `${NAME}` or `${NAME:-default}`. Where the two characters themselves are meant, write `$${`.",
        examples: overlays(
            r#"
endpoints:
  api: { base_url: "${API-URL}" }
"#,
            r#"
endpoints:
  api: { base_url: "${API_URL:-https://api.example.com}" }
"#,
        ),
    },
    Code {
        word: "secret",
        kind: Error,
        title: "a secret stands where none may, is missing where one must stand, or cannot be read",
        meaning: "A key for credentials takes only `${secrets.NAME}`; no other key takes it, a plugin's config neither; a \
                  variable behind a secret is used nowhere else. At the start of `run`: the variable or file behind a \
                  secret cannot be read.",
        why: "A secret in a file is in every copy of that file, and one in any other value would stand in logs, in \
              `/status` and in the memory of plugins.",
        mend: "Declare it under `secrets`, from a variable or a file, and name it where it belongs. What stood in a file \
               is known by now: renew it.",
        examples: overlays(
            r"
endpoints:
  api:
    base_url: https://api.example.com
    auth: { bearer: { token: abc123 } }
",
            r#"
secrets:
  api_token: { env: API_TOKEN }
endpoints:
  api:
    base_url: https://api.example.com
    auth: { bearer: { token: "${secrets.api_token}" } }
"#,
        ),
    },
    Code {
        word: "not-in-this-version",
        kind: Error,
        title: "the format has it, this version does not",
        meaning: "The key or word belongs to the format, but this version of Lockgate, or this build of it, cannot do it.",
        why: "To go on without it would be to do something else than the spec says.",
        mend: "Use what the message offers, or a version that has it.",
        examples: overlays(
            r"
plugins:
  download: { isolation: shared }
",
            r"
plugins:
  download: { isolation: exclusive }
",
        ),
    },
    Code {
        word: "component",
        kind: Error,
        title: "a plugin's component cannot be used",
        meaning: "The file is not there, is no component, is another one than its `sha256` pins, imports what no plugin is \
                  given, was built against another contract, or fails while it describes itself.",
        why: "A plugin that cannot start would stop its pipeline; one that is not the pinned one is code that nobody \
              looked at.",
        mend: "Look at the path, which counts from the working directory. `lockgate plugin inspect FILE` says what the \
               file is, and what it imports.",
        examples: overlays(
            r"
plugins:
  download: { component: plugin/download.wasm }
",
            r"
plugins:
  download: { component: plugins/download.wasm }
",
        ),
    },
    Code {
        word: "plugin-config",
        kind: Error,
        title: "the plugin does not take its config",
        meaning: "What stands under a pipeline's `config` does not fit the schema that the plugin gives, or the plugin \
                  itself refuses it.",
        why: "The plugin could not be configured, and its pipeline would not start.",
        mend: "`lockgate plugin inspect FILE` shows what the plugin takes.",
        examples: overlays(
            r"
pipelines:
  fetch:
    config: { attempts: three }
",
            r"
pipelines:
  fetch:
    config: { attempts: 3 }
",
        ),
    },
    Code {
        word: "output",
        kind: Error,
        title: "outputs of the plugin and `to` are not the same",
        meaning: "With this config the plugin has an output that `to` does not name, or `to` names one that it does not \
                  have.",
        why: "What a plugin publishes would go nowhere, or a topic that is waited for would stay empty.",
        mend: "Give every output a topic, or say `discard`; take out what the plugin does not have. Which outputs there \
               are can depend on the config: `lockgate plugin inspect FILE --config JSON` says.",
        examples: overlays(
            r"
pipelines:
  fetch:
    to: { cachd: { topic: cached } }
",
            r"
pipelines:
  fetch:
    to: { cached: { topic: cached } }
",
        ),
    },
    Code {
        word: "grant",
        kind: Error,
        title: "what is granted is not what the plugin asks for",
        meaning: "With this config the plugin asks for an endpoint or a store that `grants` does not name, or `grants` \
                  names one that it does not ask for.",
        why: "A plugin reaches what it is granted and nothing else. Without the grant its calls would be denied; a grant \
              that it does not use is a door that stands open.",
        mend: "Make both the same: add the name to `grants` if the plugin is to have it, else change its config.",
        examples: overlays(
            r"
stores:
  cache: { directory: { path: data/cache } }
pipelines:
  fetch:
    config: { store: cache }
",
            r"
stores:
  cache: { directory: { path: data/cache } }
pipelines:
  fetch:
    config: { store: cache }
    grants: { stores: [cache] }
",
        ),
    },
    Code {
        word: "plain-password",
        kind: Warning,
        title: "a password goes over the network as it is",
        meaning: "A Kafka transport signs in by `plain` and says no `tls`.",
        why: "Whoever is on the way can read the password, and use it.",
        mend: "Say `tls: {}`, with `ca` for an authority of your own; or sign in by `scram_sha_512`, which does not send \
               the password.",
        examples: overlays(
            r#"
secrets:
  kafka_password: { env: KAFKA_PASSWORD }
transports:
  bus:
    kafka:
      brokers: [kafka.example.com:9092]
      sasl: { plain: { username: lockgate, password: "${secrets.kafka_password}" } }
"#,
            r#"
secrets:
  kafka_password: { env: KAFKA_PASSWORD }
transports:
  bus:
    kafka:
      brokers: [kafka.example.com:9093]
      tls: {}
      sasl: { plain: { username: lockgate, password: "${secrets.kafka_password}" } }
"#,
        ),
    },
    Code {
        word: "plain-http",
        kind: Warning,
        title: "a credential goes over plain HTTP",
        meaning: "An endpoint with `auth` has a `base_url` that begins with `http://` and leads to another machine.",
        why: "Whoever is on the way can read the credential, and use it.",
        mend: "Write `https://`. An authority of your own goes under `ca`.",
        examples: overlays(
            r#"
secrets:
  api_token: { env: API_TOKEN }
endpoints:
  api:
    base_url: http://api.example.com
    auth: { bearer: { token: "${secrets.api_token}" } }
"#,
            r#"
secrets:
  api_token: { env: API_TOKEN }
endpoints:
  api:
    base_url: https://api.example.com
    auth: { bearer: { token: "${secrets.api_token}" } }
"#,
        ),
    },
    Code {
        word: "open-admin",
        kind: Warning,
        title: "others can reach the admin address",
        meaning: "`admin.listen` is an address that other machines can reach.",
        why: "There is no sign-in: whoever reaches it sees keys and ids of messages, and can pause pipelines.",
        mend: "Listen on `127.0.0.1`; or mean it, in a network that keeps others out.",
        examples: overlays(
            r#"
admin: { listen: "0.0.0.0:9600" }
"#,
            r#"
admin: { listen: "127.0.0.1:9600" }
"#,
        ),
    },
    Code {
        word: "retention",
        kind: Warning,
        title: "a retry topic does not keep its messages long enough",
        meaning: "A topic that messages wait in deletes them sooner than a day after the longest delay.",
        why: "What is deleted before it is due is lost, and while no host runs nothing that is due is read.",
        mend: "Raise `retention.age` of the topic, or shorten the delays.",
        examples: overlays(
            r"
transports:
  bus:
    topics:
      parked: { create: { retention: { age: 1h } } }
pipelines:
  fetch:
    retry: { later: { topic: parked, delays: [5m, 30m] } }
",
            r"
transports:
  bus:
    topics:
      parked: { create: { retention: { age: 7d } } }
pipelines:
  fetch:
    retry: { later: { topic: parked, delays: [5m, 30m] } }
",
        ),
    },
    Code {
        word: "says-nothing",
        kind: Warning,
        title: "a key that has no effect here",
        meaning: "A topic of an Event Hubs transport says how it is to be created.",
        why: "Lockgate makes no event hubs: they belong to whoever keeps the namespace. A spec that was written for the \
              embedded log or for Kafka says it all the same, so nothing is kept from starting; partitions and retention \
              are what the hub has.",
        mend: "Make the hubs beside Lockgate, in the portal, by Terraform or Bicep or by `az eventhubs eventhub create`, \
               and leave `create` out.",
        examples: overlays(
            r#"
secrets:
  hubs: { env: HUBS }
stores:
  lake: { azure: { account: acme, container: claims, auth: { managed_identity: {} } } }
transports:
  bus:
    event_hubs: { connection_string: "${secrets.hubs}", checkpoints: lake }
    topics: { tasks: { create: { partitions: 4 } } }
pipelines:
  fetch: { dead_letter: { spill: lake } }
"#,
            r#"
secrets:
  hubs: { env: HUBS }
stores:
  lake: { azure: { account: acme, container: claims, auth: { managed_identity: {} } } }
transports:
  bus:
    event_hubs: { connection_string: "${secrets.hubs}", checkpoints: lake }
pipelines:
  fetch: { dead_letter: { spill: lake } }
"#,
        ),
    },
];
