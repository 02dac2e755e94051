//! What the rows on Event Hubs share: a namespace of the emulator, with ownership and checkpoints in the blob emulator, seen
//! by the former's control; and the clients that take turns on it by secure WebSocket: the host, Lockgate's transport by
//! itself, and the official client, which is a program of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use lockgate::assemble;
use lockgate::model::{Record, Secret, SecretRef, Secrets};
use lockgate::spec::{self, Colour, Descriptions};
use lockgate::storage::config::{AzureAuth, Config};
use lockgate::storage::contract::create_container;
use lockgate::transport::{OnLostPosition, Room, Rooms, SourceEvent, Start, Subscription, Transport};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::Instant;
use xtask::azurite::{ACCOUNT, Azurite, Data, KEY};
use xtask::eventhubs::Emulator;

use super::{HUBS, own};
use crate::Setup;
use crate::process;
use crate::subject::messages::{claim, fill};

/// The consumer group of every hub, for a host.
pub(crate) const GROUP: &str = "bench";
/// How many more groups a hub has, one for each run that reads it: what went before still owns the partitions for a while.
const GROUPS: usize = 20;
/// Bytes of a message that is sent.
const BYTES: usize = 1024;
/// Records of one write.
const TOGETHER: usize = 1000;
/// How long it takes until a send is settled, in milliseconds: the official client never hears of what is settled before its
/// frame has gone.
const SETTLE_MS: u64 = 2;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a hub may keep of a partition: all that rows write.
const KEPT: u64 = 2 << 30;

/// A namespace; dropped, it is gone with its hubs.
pub(crate) struct Namespace {
    emulator: Emulator,
    azurite: Azurite,
    folder: TempDir,
    peer: PathBuf,
}

impl Namespace {
    /// Starts it.
    pub(crate) async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let needed = |file: &Option<PathBuf>| file.clone().context("start it by `cargo xtask bench`");
        let (emulator, peer) = (needed(&setup.event_hubs_emulator)?, needed(&setup.event_hubs_peer)?);
        let (emulator, azurite) =
            (Emulator::for_tests(&emulator)?, Azurite::start(&xtask::azurite::install()?, Data::InMemory)?);
        emulator.ask("PUT", "/faults", &json!({ "settle_ms": SETTLE_MS }))?;
        let config = Config::Azure {
            account: ACCOUNT.to_owned(),
            container: "checkpoints".to_owned(),
            prefix: None,
            endpoint: Some(azurite.endpoint.clone()),
            auth: AzureAuth::Key(SecretRef("account".to_owned())),
        };
        let secrets = Secrets([("account".to_owned(), Secret::new(KEY))].into());
        create_container(&config, &secrets).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("hubs"), emulator.connection_string())?;
        std::fs::write(folder.path().join("account"), KEY)?;
        Ok(Self { emulator, azurite, folder, peer })
    }

    /// Makes a hub.
    pub(crate) fn make(&self, hub: &str, partitions: u32) -> anyhow::Result<()> {
        let retention = json!({ "events": 2_000_000, "bytes": KEPT });
        let groups: Vec<String> = (0..GROUPS).map(group).chain([GROUP.to_owned()]).collect();
        let body = json!({ "partitions": partitions, "groups": groups, "retention": retention });
        self.emulator.ask("POST", &format!("/hubs/{hub}"), &body).map(drop)
    }

    /// How many events a hub has got.
    pub(crate) fn count(&self, hub: &str) -> anyhow::Result<u64> {
        let state = self.emulator.ask("GET", "/", &Value::Null)?;
        let partitions = state.pointer(&format!("/hubs/{hub}/partitions")).and_then(Value::as_array);
        let last = partitions.context("there is no such hub")?.iter();
        let last = last.filter_map(|partition| partition.pointer("/extent/last_sequence").and_then(Value::as_i64));
        Ok(last.map(|last| u64::try_from(last + 1).unwrap_or(0)).sum())
    }

    /// Waits until a hub has got so many.
    pub(crate) async fn until(&self, hub: &str, count: u64) -> anyhow::Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.count(hub)?;
            if there >= count {
                return Ok(there);
            }
            ensure!(Instant::now() < deadline, "{hub} has {there} of {count} messages after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many requests ownership and checkpoints have taken so far, by what was asked for.
    pub(crate) fn storage_requests(&self) -> BTreeMap<String, u64> {
        self.azurite.requests()
    }

    /// Sections of a spec: secrets, stores and the transport `bus`.
    pub(crate) fn spec(&self) -> String {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        format!(
            r#"lockgate: 1
secrets: {{ hubs: {{ file: "{}" }}, account: {{ file: "{}" }} }}
stores:
  checkpoints:
    azure: {{ account: {ACCOUNT}, container: checkpoints, endpoint: "{}", auth: {{ key: "${{secrets.account}}" }} }}
transports:
  bus:
    event_hubs: {{ connection_string: "${{secrets.hubs}}", checkpoints: checkpoints, ca: "{}" }}
"#,
            file("hubs"),
            file("account"),
            self.azurite.endpoint,
            self.emulator.ca().display()
        )
    }

    /// Fills a hub with claims, evenly over its partitions.
    pub(crate) async fn fill(&self, hub: &str, partitions: u32, messages: u64) -> anyhow::Result<()> {
        let transport = transport(&self.spec())?;
        let record = |number: u64| Record {
            partition: Some((number % u64::from(partitions)) as u32),
            payload: Bytes::from(claim(number)),
            ..Record::default()
        };
        fill(&*transport, hub, (0..messages).map(record)).await
    }

    /// Starts Lockgate's transport on something, by itself.
    pub(crate) async fn own(&self, task: Task) -> anyhow::Result<Client> {
        let mut child = own(HUBS)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("the client has no input")?;
        let name = format!("{task:?}");
        let mut line = serde_json::to_vec(&Told { spec: self.spec(), task })?;
        line.push(b'\n');
        input.write_all(&line).await?;
        Client::of(name, child, input)
    }

    /// Starts the official client on something.
    pub(crate) async fn official(&self, arguments: &[&str]) -> anyhow::Result<Client> {
        let [what, rest @ ..] = arguments else { bail!("there is nothing to do") };
        let mut command = tokio::process::Command::new(&self.peer);
        command.arg(what).arg(self.emulator.address()).args(rest);
        command.env("EVENT_HUBS", self.emulator.connection_string()).env("SSL_CERT_FILE", self.emulator.ca());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let input = child.stdin.take().context("the client has no input")?;
        Client::of(format!("the official client's {what}"), child, input)
    }
}

/// A client that does one thing, as a process; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    _input: ChildStdin,
}

impl Client {
    fn of(name: String, mut child: Child, input: ChildStdin) -> anyhow::Result<Self> {
        let output = BufReader::new(child.stdout.take().context("the client has no output")?).lines();
        Ok(Self { name, child, output, _input: input })
    }

    /// Waits until it has done what it was told.
    pub(crate) async fn done(&mut self) -> anyhow::Result<()> {
        let Self { name, output, .. } = self;
        let said = tokio::time::timeout(PATIENCE, output.next_line()).await;
        let line = said.with_context(|| format!("{name} takes more than {PATIENCE:?}"))??;
        ensure!(line.as_deref() == Some("done"), "{name} said {line:?}");
        Ok(())
    }

    /// The CPU time that it took so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu_of(self.child.id().context("the client has ended already")?)
    }
}

/// What Lockgate's transport does by itself.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) enum Task {
    /// Reads so many of a hub's oldest messages, as the group of that number, which has read nothing.
    Receive(String, u64, usize),
    /// Writes so many.
    Send(String, u64),
}

#[derive(Deserialize, Serialize)]
struct Told {
    spec: String,
    task: Task,
}

/// What the process does: says `done` once it is, and ends with its input.
pub(crate) async fn obey() -> anyhow::Result<()> {
    let mut input = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).await?;
    let Told { spec, task } = serde_json::from_str(&line).context("cannot read what to do")?;
    let transport = transport(&spec)?;
    match task {
        Task::Receive(hub, count, number) => receive(&*transport, &hub, count, group(number)).await?,
        Task::Send(hub, count) => send(&*transport, &hub, count).await?,
    }
    println!("done");
    input.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// The name of one of the groups that runs read as.
fn group(number: usize) -> String {
    format!("{GROUP}-{}", number % GROUPS)
}

async fn receive(transport: &dyn Transport, hub: &str, count: u64, group: String) -> anyhow::Result<()> {
    let subscription = Subscription {
        topic: hub.into(),
        group: group.into(),
        start: Start::Earliest,
        on_lost_position: OnLostPosition::Fail,
    };
    let mut source = transport.source(&subscription).await?;
    let (mut rooms, mut left) = (Rooms::default(), count);
    while left > 0 {
        match source.next(&rooms).await {
            SourceEvent::Assigned(assignments) => {
                let room = Room { messages: TOGETHER, bytes: 16 << 20 };
                rooms.0.extend(assignments.into_iter().map(|assignment| (assignment.partition, room)));
            }
            SourceEvent::Messages(batch) => left = left.saturating_sub(batch.messages.len() as u64),
            SourceEvent::Revoked { .. } | SourceEvent::Lost(_) => bail!("partitions are taken"),
            SourceEvent::Failed(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn send(transport: &dyn Transport, hub: &str, count: u64) -> anyhow::Result<()> {
    let record = |_| Record { payload: Bytes::from(vec![b'x'; BYTES]), ..Record::default() };
    fill(transport, hub, (0..count).map(record)).await
}

fn transport(text: &str) -> anyhow::Result<Arc<dyn Transport>> {
    let told = |diagnostics: spec::Diagnostics| anyhow::anyhow!("{}", diagnostics.render(Colour::Never));
    let loaded = spec::load_str(text, &|_| None).map_err(told)?;
    let plan = spec::check(&loaded, &Descriptions::default()).map_err(told)?;
    Ok(assemble::transport(&plan, "bus", None)?)
}
