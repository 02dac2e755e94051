//! No secret gets out. One stands in every place where a secret can be, each a different one, and all of them are looked
//! for, in every form, in everything that a host tells, writes or gives to a guest. A failure names the secret, its
//! form and what tells it.

use std::collections::BTreeMap;

use e2e::support::host::Host;
use e2e::support::lockgate::{Answer, Lockgate, Outgoing, Seen};
use serde_json::Value;

mod canary;
mod hostile;
mod world;

use crate::commands::eventually;
use canary::{Canary, Search};
use hostile::OWN_WORDS;
use world::{EVERYTHING, IN_CONFIG, World};

/// What was told, and by what.
type Outputs = Vec<(String, Vec<u8>)>;

fn output(of: impl Into<String>, text: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (of.into(), text.into())
}

/// What the admin server answers.
async fn answers(address: &str) -> Outputs {
    let mut outputs = Vec::new();
    for path in ["live", "ready", "metrics", "status", "nothing"] {
        let body = reqwest::get(format!("http://{address}/{path}")).await.unwrap().bytes().await.unwrap();
        outputs.push(output(format!("/{path}"), body.to_vec()));
    }
    outputs
}

/// What commands answer, on standard output and standard error, whether they succeed or not.
async fn commands(lockgate: &Lockgate, commands: &[&[&str]]) -> Outputs {
    let mut outputs = Vec::new();
    for arguments in commands {
        let Answer { code, output: out, errors } = lockgate.answer(arguments).await.unwrap();
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        outputs.push(output(format!("`{}`", arguments.join(" ")), out));
        outputs.push(output(format!("the log of `{}`", arguments.join(" ")), errors));
    }
    outputs
}

/// Every command that looks.
const LOOKS: [&[&str]; 16] = [
    &["check"],
    &["check", "--format", "json"],
    &["topics", "--json"],
    &["status"],
    &["status", "--json"],
    &["tail", "work", "--from", "earliest"],
    &["tail", "made", "--from", "earliest", "--json"],
    &["tail", "dlq", "--from", "earliest"],
    &["tail", "dlq", "--from", "earliest", "--json"],
    &["dead", "list"],
    &["dead", "list", "--json"],
    &["dead", "show", "dlq/0@0"],
    &["dead", "show", "dlq/0@0", "--payload"],
    &["dead", "show", "dlq/0@0", "--json"],
    &["dead", "show", "dlq/0@0", "--payload", "--raw", "--json"],
    &["checkpoint", "show"],
];

/// Looks at one partition, so that there is a first letter to show.
fn in_one_partition(mut lockgate: Lockgate) -> Lockgate {
    lockgate.sets.extend(["work", "dlq"].map(|topic| format!("transports.bus.topics.{topic}.create.partitions=1")));
    lockgate
}

#[tokio::test]
async fn no_secret_of_a_spec_is_told_by_the_host_its_commands_its_files_or_its_process() {
    let mut world = World::new().await;
    world.lockgate = in_one_partition(world.lockgate.clone());
    let count = world.send_all().await;
    let (host, address) = world.host().await;
    let process = host.process().unwrap();
    let letters = eventually(async || world.lockgate.first("dlq", count).await.ok()).await;
    let mut outputs = answers(&address).await;
    outputs.extend(
        commands(&world.lockgate, &[&["status", "--admin", &address][..], &["status", "--json", "--admin", &address]])
            .await,
    );
    outputs.push(output("the command line", std::fs::read(format!("/proc/{process}/cmdline")).unwrap()));
    assert_eq!(children_of(process), "", "a child would inherit the environment");
    outputs.extend(commands(&world.lockgate, &LOOKS).await);
    let log = stopped(host).await;
    outputs.push(output("the log as JSON", log.clone()));
    world.send_all().await;
    let run = ["run", "--until-idle", "--log", "text"];
    outputs.extend(commands(&world.lockgate, &[&run[..]]).await);
    let component = world.component.display().to_string();
    for arguments in [&["schema"][..], &["plugin", "inspect", &component], &["top"]] {
        outputs.push(output(format!("`{}`", arguments.join(" ")), plain(&world.lockgate, arguments).await));
    }
    outputs.extend(world.files());

    // That there was something to tell.
    for canary in &world.canaries[..4] {
        let sent = [canary.value.clone(), canary.encoded()].iter().any(|value| world.hostile.was_sent(value));
        assert!(sent, "the origin was never sent the {}", canary.place);
    }
    assert!(world.hostile.was_sent("sig=q7AzureSignature"), "the signed store was never asked");
    for word in [OWN_WORDS, "AuthenticationFailed", "elsewhere.example", "nobody.invalid"] {
        assert!(log.contains(word), "{word} is not in the log");
    }
    assert!(log.contains("hyper_util") && log.contains("\"level\":\"DEBUG\""), "libraries were to be logged: {log}");
    assert_eq!(letters.len(), count);
    Search::of(&world.canaries).finds_nothing(&outputs);
}

impl Canary {
    /// As `user:password` is sent.
    fn encoded(&self) -> String {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("me:{}", self.value))
    }
}

async fn plain(lockgate: &Lockgate, arguments: &[&str]) -> Vec<u8> {
    let mut command = tokio::process::Command::new(&lockgate.program);
    let output = command.args(arguments).envs(&lockgate.environment).current_dir(&lockgate.folder).output();
    let output = output.await.unwrap();
    [output.stdout, output.stderr].concat()
}

/// Ends a host; its log.
async fn stopped(host: Host) -> String {
    host.signal(e2e::support::host::Signal::Terminate).await.unwrap();
    let answer = host.end().await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    answer.errors
}

/// The processes that a process has started.
fn children_of(process: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()).collect()
}

#[tokio::test]
async fn no_secret_ever_comes_into_a_guest() {
    let world = World::new().await;
    world.send_all().await;
    world.send(&["surroundings".into(), "dump cache memory".into()]).await;
    world.lockgate.output(&["run", "--until-idle"]).await.unwrap();
    let made: Vec<Seen> = world.lockgate.tail("made").await.unwrap();
    let surroundings = made.iter().find_map(|seen| seen.payload.as_str().filter(|text| text.starts_with('[')));
    assert_eq!(surroundings, Some("[] []"), "{made:?}");
    let memory = world.file("cache/memory");
    for known in [IN_CONFIG, OWN_WORDS, "dump cache memory"] {
        let is_there = memory.windows(known.len()).any(|window| window == known.as_bytes());
        assert!(is_there, "{known:?} is not in the memory: it is not the whole");
    }
    Search::of(&world.canaries).finds_nothing(&[output("the guest's memory", memory)]);
}

/// URLs and the like with secrets in them, as messages carry them.
fn carried() -> Vec<(Canary, String)> {
    let carried = |place, word: &str, written: fn(&str) -> String| {
        let canary = Canary::plain(place, word);
        let written = written(&canary.value);
        (canary, written)
    };
    vec![
        carried("signature of S3", "Amz", |s| {
            format!("https://h.example/f.pdf?X-Amz-Expires=1&X-Amz-Signature={s}&x=1")
        }),
        carried("session of S3", "Session", |s| format!("https://h.example/f?X-Amz-Security-Token={s}")),
        carried("signature of Azure", "Sas", |s| format!("https://h.example/f?sv=1&sig={s}%3D&se=2")),
        carried("signature of a network", "Cdn", |s| {
            format!("https://h.example/f?Expires=1&Signature={s}&Key-Pair-Id=K")
        }),
        carried("token in a query", "Query", |s| format!("https://h.example/f?token={s}")),
        carried("token in a fragment", "Fragment", |s| format!("https://h.example/f#access_token={s}")),
        carried("user of a URL", "User", |s| format!("https://me:{s}@h.example/f")),
        carried("URL in a URL", "Nested", |s| format!("to https%3A%2F%2Fh.example%2Ff%3Fsig%3D{s}%26x")),
        carried("URL in JSON", "Json", |s| {
            format!(r#"{{"url":"https:\/\/h.example\/f?sig={s}\u0026x","token":"{s}"}}"#)
        }),
        carried("query without a host", "Bare", |s| format!("f.pdf?sv=1&sig={s}")),
        carried("header of a request", "Authorization", |s| format!("Authorization: Bearer {s}")),
        carried("connection string", "Connection", |s| format!("AccountName=a;AccountKey={s};EndpointSuffix=x")),
    ]
}

#[tokio::test]
async fn no_secret_that_a_message_carries_is_told_in_a_reason_a_log_line_a_status_or_a_letter() {
    let mut world = World::new().await;
    world.lockgate = in_one_partition(world.lockgate.clone());
    let in_header = Canary::plain("authorization header of a message", "OwnHeader");
    let in_key = Canary::plain("signature in a key", "InKey");
    let mut messages: Vec<Outgoing> = Vec::new();
    for (_, text) in carried() {
        messages.push(Outgoing {
            key: format!("https://h.example/f?sig={}", in_key.value),
            headers: BTreeMap::from([("authorization".into(), format!("Bearer {}", in_header.value))]),
            payload: Value::String(format!("tell {text}")),
        });
    }
    world.lockgate.send("work", &messages).await.unwrap();
    let (host, address) = world.host().await;
    let letters = eventually(async || world.lockgate.first("dlq", messages.len()).await.ok()).await;
    let mut outputs = answers(&address).await;
    for letter in &letters {
        assert!(letter.payload.as_str().unwrap().starts_with("tell "), "the payload stays what it was");
        for (name, value) in letter.headers.iter().filter(|(name, _)| name.starts_with("lockgate-")) {
            outputs.push(output(format!("the letter's header {name}"), value.clone()));
        }
    }
    let looks = LOOKS.iter().filter(|arguments| {
        // These show messages as they are, on purpose.
        arguments[0] != "tail" && !arguments.contains(&"--raw")
    });
    let looks: Vec<&[&str]> =
        looks.copied().chain([&["tail", "work", "--from", "earliest"][..], &["tail", "dlq"]]).collect();
    outputs.extend(commands(&world.lockgate, &looks).await);
    let places: Vec<String> = (1..letters.len()).map(|offset| format!("dlq/0@{offset}")).collect();
    for place in &places {
        outputs.extend(
            commands(&world.lockgate, &[&["dead", "show", place, "--payload"][..], &["dead", "show", place, "--json"]])
                .await,
        );
    }
    let log = stopped(host).await;
    assert!(log.contains("h.example/f.pdf?…"), "{log}");
    outputs.push(output("the log as JSON", log));
    world.lockgate.send("work", &messages).await.unwrap();
    outputs.extend(commands(&world.lockgate, &[&["run", "--until-idle", "--log", "text"][..]]).await);
    let canaries: Vec<Canary> = carried().into_iter().map(|(canary, _)| canary).chain([in_header, in_key]).collect();
    Search::of(&canaries).finds_nothing(&outputs);
}

/// Specs with a secret where it does not belong, or belongs but is not right.
const WRONG: [(&str, &str); 24] = [
    ("instead of a reference", "endpoints: { e: { base_url: \"https://x\", auth: { bearer: { token: CANARY } } } }"),
    ("under a misspelt key", "endpoints: { e: { base_url: \"https://x\", auth: { bearer: { tokn: CANARY } } } }"),
    ("under a misspelt `auth`", "endpoints: { e: { base_url: \"https://x\", auht: { bearer: { token: CANARY } } } }"),
    ("as `auth` itself", "endpoints: { e: { base_url: \"https://x\", auth: CANARY } }"),
    ("as a key", "endpoints: { e: { base_url: \"https://x\", auth: { bearer: { CANARY } } } }"),
    ("as a list", "endpoints: { e: { base_url: \"https://x\", auth: { basic: { encoded: [CANARY] } } } }"),
    ("in `secrets`", "secrets: { s: CANARY }"),
    ("as a secret's value", "secrets: { s: { value: CANARY } }"),
    ("as the user of a base URL", "endpoints: { e: { base_url: \"https://me:CANARY@x\" } }"),
    ("in the query of a base URL", "endpoints: { e: { base_url: \"https://x/?sig=CANARY\" } }"),
    ("as the user of a proxy", "endpoints: { e: { base_url: \"https://x\", proxy: { url: \"http://me:CANARY@p\" } } }"),
    (
        "instead of a proxy's reference",
        "endpoints: { e: { base_url: \"https://x\", proxy: { url: \"http://p\", auth: { bearer: { token: CANARY } } } } }",
    ),
    ("in an allow-list", "endpoints: { e: { allow: [\"x/?sig=CANARY\"] } }"),
    ("as a store's key", "stores: { s: { azure: { account: a, container: c, auth: { key: CANARY } } } }"),
    ("as a connection string", "stores: { s: { azure: { connection_string: \"AccountKey=CANARY\" } } }"),
    ("as a variable's default", "endpoints: { e: { auth: { bearer: { token: \"${NONE:-CANARY}\" } } } }"),
    ("behind a variable", "secrets: { s: { env: HOLDS } }\nendpoints: { e: { base_url: \"https://${HOLDS}\" } }"),
    ("of a variable of the wrong type", "endpoints: { e: { base_url: \"https://x\", rate: \"${HOLDS}\" } }"),
    ("of a variable that is no word", "endpoints: { e: { base_url: \"https://x\", auth: \"${HOLDS}\" } }"),
    ("of a variable as an address", "admin: { listen: \"${HOLDS}\" }"),
    ("of a variable in a plugin's config", "pipelines: { p: { config: { depth: \"${HOLDS}\" }, oops: 1 } }"),
    ("in a plugin's config", "pipelines: { p: { config: { client_secret: CANARY, t: \"${secrets.s}\" } } }"),
    ("on a line that is no YAML", "endpoints:\n  e:\n    token: CANARY: x\n"),
    ("on a line below, that is no YAML", "secrets:\n  s:\n    file: x\n    y: \"CANARY\n"),
];

#[tokio::test]
async fn no_diagnostic_of_a_spec_tells_a_secret_that_was_written_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut lockgate = crate::scene::lockgate(folder.path(), "lockgate: 1\n").await;
    let canary = Canary::plain("secret in the spec", "InTheSpec");
    lockgate.environment.extend([("HOLDS".into(), canary.value.clone()), ("LOCKGATE_LOG".into(), EVERYTHING.into())]);
    let help = lockgate.answer(&["check", "--help"]).await.unwrap().output;
    let formats = ["text", "json", "sarif"].into_iter().filter(|format| help.contains(format));
    let mut outputs = Vec::new();
    for format in formats {
        for (place, spec) in WRONG {
            let spec = format!("lockgate: 1\n{}\n", spec.replace("CANARY", &canary.value));
            std::fs::write(folder.path().join("pipelines.yaml"), spec).unwrap();
            let Answer { code, output: out, errors } = lockgate.answer(&["check", "--format", format]).await.unwrap();
            assert_eq!(code, Some(2), "{place}: {errors}{out}");
            outputs.push(output(format!("`check --format {format}` of one {place}"), out + &errors));
        }
    }
    Search::of([&canary]).finds_nothing(&outputs);
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_told_by_its_name_and_not_by_its_value() {
    let world = World::new().await;
    for (variable, said) in [("CANARY_BEARER", "bearer"), ("CANARY_SAS", "signed"), ("CANARY_BASIC", "basic")] {
        let mut lockgate = world.lockgate.clone();
        let canary = Canary::plain("secret that cannot be used", "Unfit");
        lockgate.environment.insert(variable.into(), format!("no header\n{}", canary.value));
        let Answer { code, output: out, errors } = lockgate.answer(&["run", "--until-idle"]).await.unwrap();
        assert!(code != Some(0) && errors.contains(said), "{variable}: {code:?} {errors}");
        Search::of([&canary]).finds_nothing(&[output(format!("`run` with a bad {variable}"), out + &errors)]);
    }
}
