//! What is wrong with the shape: keys, types, secrets, what this version does not have.

use super::wrong;

#[test]
fn unknown_keys_are_named_with_what_was_meant() {
    wrong(
        "concurrency:",
        "concurency:",
        &["`concurency` unknown-key: unknown key `concurency` (did you mean `concurrency`?)"],
    );
    wrong(
        "lockgate: 1",
        "lockgate: 1\npipeline: {}",
        &["`pipeline` unknown-key: unknown key `pipeline` (did you mean `pipelines`?)"],
    );
    wrong(
        "{ path: data/cache }",
        "{ path: data/cache, mode: 1 }",
        &["`mode` unknown-key: unknown key `mode` (known: `path`)"],
    );
    wrong(
        "scratch: { memory: {} }",
        "scratch: { memry: {} }",
        &["`memry` unknown-key: unknown key `memry` (did you mean `memory`?)"],
    );
    wrong(
        "log: { path: data/bus }",
        "lgo: { path: data/bus }",
        &["`lgo` unknown-key: unknown key `lgo` (did you mean `log`?)"],
    );
    wrong(
        "defaults:\n",
        "defaults:\n  concurrencyy: 5\n",
        &["`concurrencyy` unknown-key: unknown key `concurrencyy` (did you mean `concurrency`?)"],
    );
}

#[test]
fn wrong_types_say_what_is_taken() {
    for (old, new, expected) in [
        ("${CONCURRENCY:-25}", "lots", "`lots` wrong-value: `concurrency` takes a number, not a string"),
        (
            "${CONCURRENCY:-25}",
            "\"25\"",
            "`\"25\"` wrong-value: `concurrency` takes a number without quotes, not a string",
        ),
        ("${CONCURRENCY:-25}", "0", "`0` wrong-value: `concurrency` takes a whole number from 1, not `0`"),
        ("${CONCURRENCY:-25}", "2.5", "`2.5` wrong-value: `concurrency` takes a whole number from 1, not `2.5`"),
        ("${CONCURRENCY:-25}", "[1]", "`concurrency` wrong-value: `concurrency` takes a number, not a list"),
        ("${CONCURRENCY:-25}", "${WORD}", "`${WORD}` wrong-value: `concurrency` takes a number, not a string"),
        (
            "drain_for: 30s",
            "drain_for: soon",
            "`soon` wrong-value: `drain_for`: `soon` is not a duration: write a number and a unit, such as `200ms`, `30s`, `5m` or `1h30m`",
        ),
        (
            "bytes: 64MiB",
            "bytes: much",
            "`much` wrong-value: `bytes`: `much` is not a size: write a number and a unit, such as `512`, `64KiB`, `64MiB` or `10GiB`",
        ),
        (
            "rate: 10/s",
            "rate: fast",
            "`fast` wrong-value: `rate`: `fast` is not a rate: write a number and a time, such as `10/s` or `600/m`",
        ),
        ("redirects: [media]", "redirects: media", "`media` wrong-value: `redirects` takes a list, not a string"),
        ("redirects: [media]", "redirects: [[]]", "`[` wrong-value: an item of `redirects` takes a string, not a list"),
        (
            "start: latest",
            "start: lastest",
            "`lastest` wrong-value: `start`: write `earliest`, `latest` or a time such as `2026-03-01T00:00:00Z`",
        ),
        (
            "order: { header: project-id }",
            "order: keys",
            "`keys` wrong-value: `order` takes one of `none`, `key`, `partition`, `header`, not `keys` (did you mean `key`?)",
        ),
        (
            "order: { header: project-id }",
            "order: { header: a, key: }",
            "`order` wrong-value: `order` takes exactly one of `none`, `key`, `partition`, `header`",
        ),
        ("cached: { topic: cached }", "cached: drop", "`drop` wrong-value: `cached` takes `discard`, not `drop`"),
        (
            "cached: { topic: cached }",
            "cached: [a]",
            "`cached` wrong-value: `cached` takes `discard` or a map with a `topic`, not a list",
        ),
        (
            "scratch: { memory: {} }",
            "scratch: {}",
            "`scratch` wrong-value: `scratch` takes exactly one of `directory`, `memory`, `azure`",
        ),
        (
            "allow_addresses: [\"127.0.0.0/8\"]",
            "allow_addresses: [here]",
            "`here` wrong-value: an item of `allow_addresses` is a network (write it like `10.0.0.0/8`)",
        ),
        (
            "config: { domain: claimx, endpoint: media, store: cache }",
            "config: claimx",
            "`claimx` wrong-value: `config` takes a map, not a string",
        ),
    ] {
        wrong(old, new, &[expected]);
    }
}

#[test]
fn a_section_of_the_wrong_type_is_said_once() {
    wrong("  fetch:\n", "  other: 5\n  fetch:\n", &["`5` wrong-value: `other` takes a map, not a number"]);
    wrong(
        "\nstores:\n",
        "\nstores: []\nmore:\n",
        &[
            "`stores` wrong-value: `stores` takes a map, not a list",
            "`more` unknown-key: unknown key `more` (known: `lockgate`, `secrets`, `transports`, `stores`, `endpoints`, `plugins`, `defaults`, `admin`, `on_fatal`, `pipelines`)",
        ],
    );
}

#[test]
fn missing_keys_are_all_named() {
    wrong(
        "azure: { account: acme, container: lake, auth: { key: \"${secrets.lake_key}\" } }",
        "azure: {}",
        &[
            "`azure` missing-key: `azure` lacks the key `account`",
            "`azure` missing-key: `azure` lacks the key `container`",
            "`azure` missing-key: `azure` lacks the key `auth`",
        ],
    );
    wrong(
        "lockgate: 1\n",
        "",
        &[
            "`secrets` missing-key: the spec lacks the key `lockgate` (begin it with `lockgate: 1`, the version of the format)",
        ],
    );
    wrong(
        "component: plugins/download.wasm",
        "sha256: ~",
        &["`download` missing-key: `download` lacks the key `component`"],
    );
}

#[test]
fn a_misspelt_key_is_not_missing_besides() {
    wrong("account: acme", "acount: acme", &["`acount` unknown-key: unknown key `acount` (did you mean `account`?)"]);
}

#[test]
fn no_limit_is_said_on_purpose() {
    wrong("stall: 120s", "stall: 120s, deadline: none", &[]);
    wrong(
        "stall: 120s",
        "stall: 120s, deadline: never",
        &[
            "`never` wrong-value: `deadline`: `never` is not a duration: write a number and a unit, such as `200ms`, `30s`, `5m` or `1h30m`",
        ],
    );
}

#[test]
fn what_this_version_does_not_have_is_not_called_unknown() {
    for (old, new, expected) in [
        (
            "isolation: exclusive",
            "isolation: shared",
            "`shared` not-in-this-version: this version has no isolation `shared` (use `exclusive` or `fresh`)",
        ),
        (
            "basic: { encoded: \"${secrets.claimx_token}\" }",
            "oauth2: {}",
            "`oauth2` not-in-this-version: this version has no oauth2 sign-in (use `bearer`, `basic` or `header`)",
        ),
        (
            "stores: [cache] }",
            "stores: [cache], keyvalues: [seen] }",
            "`keyvalues` not-in-this-version: this version has no key-value stores (leave it out)",
        ),
        (
            "component: plugins/download.wasm",
            "component: oci://registry.example.com/download",
            "`oci://registry.example.com/download` not-in-this-version: this version fetches no components (`component` is the path of a `.wasm` file)",
        ),
        (
            "lockgate: 1",
            "lockgate: 2",
            "`2` wrong-value: this is format 2 (this version reads format 1: `lockgate: 1`)",
        ),
    ] {
        wrong(old, new, &[expected]);
    }
}

#[test]
fn secrets_stand_in_secret_fields_and_nowhere_else() {
    let takes_no = "(only keys for credentials, such as those of an endpoint's `auth`, take `${secrets.NAME}`)";
    wrong(
        "base_url: \"${CLAIMX_API_URL}\"",
        "base_url: \"https://x/${secrets.claimx_token}\"",
        &[&format!("`\"https://x/${{secrets.claimx_token}}\"` secret: `base_url` takes no secret {takes_no}")],
    );
    wrong(
        "domain: claimx,",
        "domain: \"${secrets.claimx_token}\",",
        &[&format!("`\"${{secrets.claimx_token}}\"` secret: `domain` takes no secret {takes_no}")],
    );
    wrong(
        "\"${secrets.claimx_token}\"",
        "\"${secrets.claimx_tokn}\"",
        &[
            "`\"${secrets.claimx_tokn}\"` unknown-name: no secret is called `claimx_tokn` (did you mean `claimx_token`?)",
        ],
    );
    wrong(
        "domain: claimx,",
        "domain: \"${CLAIMX_API_TOKEN}\",",
        &[
            "`\"${CLAIMX_API_TOKEN}\"` secret: the variable `CLAIMX_API_TOKEN` stands behind the secret `claimx_token` and cannot be used elsewhere (a field that takes a secret names it: `${secrets.claimx_token}`)",
        ],
    );
    wrong(
        "\"${secrets.claimx_token}\"",
        "\"${CLAIMX_API_URL}\"",
        &[
            "`\"${CLAIMX_API_URL}\"` secret: `encoded` takes a secret, written `${secrets.NAME}` (declare the secret under `secrets:`, from an environment variable or a file, and name it here)",
        ],
    );
}

#[test]
fn a_missing_variable_is_an_error_with_its_place() {
    wrong(
        "path: data/cache",
        "path: \"${CACHE_PATH}\"",
        &[
            "`\"${CACHE_PATH}\"` missing-variable: the environment variable `CACHE_PATH` is not set (set it, or give a default: `${CACHE_PATH:-…}`)",
        ],
    );
}

#[test]
fn a_fault_in_defaults_is_said_once() {
    wrong(
        "pipelines:\n",
        "  retry: { in_place: { attempts: none } }\npipelines:\n  second: { from: { topic: t }, plugin: download, grants: { endpoints: [media], stores: [cache] }, config: { domain: claimx, endpoint: media, store: cache }, to: { cached: discard } }\n",
        &["`none` wrong-value: `attempts` takes a number, not a string"],
    );
}
