//! The hosts: real `lockgate run` processes on one spec. What each logs is kept in a file of the scenario's folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use e2e::support::host::{Host, Signal};
use e2e::support::lockgate::{Answer, Lockgate};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a host logs when it learns that others have its partitions.
pub const LOST: &str = "\"partitions lost\"";
/// What a host logs once its pipelines run.
const RUNNING: &str = "\"running\"";
/// What a host never logs, whatever happens to it.
const NEVER: [&str; 2] = ["panicked at", "has ended in a panic"];

/// How often it is looked whether hosts still run.
const LOOK: Duration = Duration::from_millis(200);

/// Hosts, by seat.
pub struct Fleet {
    /// How they are started: program, spec, variables. What is changed holds for those that start from then on.
    pub lockgate: Lockgate,
    seats: BTreeMap<usize, Seated>,
    /// What lets hosts go on when their time has come.
    thaws: JoinSet<()>,
    /// Told to stop, each with its number.
    leaving: JoinSet<(u32, anyhow::Result<Answer>)>,
    /// Numbers of those that are gone and whose logs are kept.
    kept: Vec<u32>,
    folder: PathBuf,
    started: u32,
    findings: Vec<String>,
}

/// A host that runs.
struct Seated {
    host: Host,
    /// Which of all that were started.
    number: u32,
    state: State,
}

/// Whether a host moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Moving,
    Paused,
    PausedUntil(Instant),
}

impl State {
    fn is_moving(self) -> bool {
        match self {
            Self::Moving => true,
            Self::Paused => false,
            Self::PausedUntil(end) => end <= Instant::now(),
        }
    }
}

impl Fleet {
    /// No hosts yet.
    pub fn new(lockgate: Lockgate, folder: &Path) -> Self {
        Self {
            lockgate,
            seats: BTreeMap::new(),
            thaws: JoinSet::new(),
            leaving: JoinSet::new(),
            kept: Vec::new(),
            folder: folder.to_owned(),
            started: 0,
            findings: Vec::new(),
        }
    }

    /// Starts a host in a free seat. It runs some hundred milliseconds later.
    pub fn start(&mut self, seat: usize) -> anyhow::Result<()> {
        ensure!(!self.seats.contains_key(&seat), "seat {seat} is taken");
        let host = Host::start(&self.lockgate, &[])?;
        self.started += 1;
        self.seats.insert(seat, Seated { host, number: self.started, state: State::Moving });
        Ok(())
    }

    /// Waits until a host's pipelines run.
    pub async fn until_running(&mut self, seat: usize) -> anyhow::Result<()> {
        self.seated(seat)?.host.until_logged(RUNNING).await
    }

    /// Stops a host as a service manager does, and waits for its end.
    pub async fn stop(&mut self, seat: usize) -> anyhow::Result<()> {
        self.dismiss(seat).await?;
        self.until_gone().await
    }

    /// Tells a host to stop. Its seat is free at once, though it may drain for a while.
    pub async fn dismiss(&mut self, seat: usize) -> anyhow::Result<()> {
        let Seated { host, number, .. } = self.take(seat)?;
        host.signal(Signal::Terminate).await?;
        self.leaving.spawn(async move { (number, host.end().await) });
        Ok(())
    }

    /// Tells a host to stop that keeps its seat: what becomes of it is still to be decided.
    pub async fn tell_to_stop(&mut self, seat: usize) -> anyhow::Result<()> {
        self.seated(seat)?.host.signal(Signal::Terminate).await
    }

    /// Waits until every host that was told to stop has ended.
    pub async fn until_gone(&mut self) -> anyhow::Result<()> {
        while let Some(gone) = self.leaving.join_next().await {
            let (number, answer) = gone.context("a host cannot be waited for")?;
            let answer = answer?;
            // Before it listens, the signal ends it: it has begun nothing by then.
            let listened = answer.errors.contains(RUNNING);
            if !(answer.code == Some(0) || answer.code.is_none() && !listened) {
                self.findings.push(format!("host {number} was told to stop and ended with {:?}", answer.code));
            }
            self.keep(number, &answer)?;
        }
        Ok(())
    }

    /// Kills a host, as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self, seat: usize) -> anyhow::Result<()> {
        let seated = self.take(seat)?;
        let answer = seated.host.kill().await?;
        // One that was told to stop may have ended before.
        if let Some(code) = answer.code.filter(|code| *code != 0) {
            self.findings.push(format!("host {} ended by itself, with {code}", seated.number));
        }
        self.keep(seated.number, &answer)
    }

    /// Lets a host stand still, as SIGSTOP does.
    pub async fn pause(&mut self, seat: usize) -> anyhow::Result<()> {
        let seated = self.seated(seat)?;
        seated.state = State::Paused;
        seated.host.signal(Signal::Pause).await
    }

    /// Lets a host stand still for so long, and does not wait for it.
    pub async fn pause_for(&mut self, seat: usize, long: Duration) -> anyhow::Result<()> {
        self.pause(seat).await?;
        let seated = self.seated(seat)?;
        let process = seated.host.process().context("the host has ended already")?;
        seated.state = State::PausedUntil(Instant::now() + long);
        self.thaws.spawn(async move {
            tokio::time::sleep(long).await;
            // It may have been killed meanwhile.
            let _ = Command::new("kill").args(["-CONT", &process.to_string()]).stderr(Stdio::null()).status().await;
        });
        Ok(())
    }

    /// Lets a host go on that stands still.
    pub async fn resume(&mut self, seat: usize) -> anyhow::Result<()> {
        let seated = self.seated(seat)?;
        seated.state = State::Moving;
        seated.host.signal(Signal::Resume).await
    }

    /// The seats of hosts that move.
    pub fn moving(&self) -> Vec<usize> {
        self.seats_where(State::is_moving)
    }

    /// The seats of hosts that stand still.
    pub fn paused(&self) -> Vec<usize> {
        self.seats_where(|state| !state.is_moving())
    }

    /// Seats below `most` without a host.
    pub fn free(&self, most: usize) -> Vec<usize> {
        (0..most).filter(|seat| !self.seats.contains_key(seat)).collect()
    }

    /// What a host has logged so far.
    pub fn log(&self, seat: usize) -> String {
        self.seats.get(&seat).map(|seated| seated.host.log()).unwrap_or_default()
    }

    /// Fails once a host has ended by itself.
    pub async fn until_one_ends(&mut self) -> anyhow::Error {
        loop {
            for Seated { host, number, .. } in self.seats.values_mut() {
                match host.code() {
                    Ok(None) => {}
                    Ok(Some(code)) => return anyhow!("host {number} ended by itself, with {code:?}"),
                    Err(error) => return error,
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many lines with this text the hosts have logged so far, those that are gone too.
    pub fn logged(&self, text: &str) -> anyhow::Result<usize> {
        let count = |log: &str| log.lines().filter(|line| line.contains(text)).count();
        let gone = self.kept.iter().map(|number| Ok(count(&fs::read_to_string(self.file(*number))?)));
        let gone = gone.sum::<anyhow::Result<usize>>()?;
        Ok(gone + self.seats.values().map(|seated| count(&seated.host.log())).sum::<usize>())
    }

    /// Keeps the logs of those that still run, in files.
    pub fn save(&self) -> anyhow::Result<()> {
        for Seated { host, number, .. } in self.seats.values() {
            fs::write(self.file(*number), host.log()).context("cannot keep a host's log")?;
        }
        Ok(())
    }

    /// What hosts did that they must not.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    fn seats_where(&self, is: impl Fn(State) -> bool) -> Vec<usize> {
        self.seats.iter().filter(|(_, seated)| is(seated.state)).map(|(seat, _)| *seat).collect()
    }

    fn seated(&mut self, seat: usize) -> anyhow::Result<&mut Seated> {
        self.seats.get_mut(&seat).with_context(|| format!("seat {seat} is free"))
    }

    fn take(&mut self, seat: usize) -> anyhow::Result<Seated> {
        self.seats.remove(&seat).with_context(|| format!("seat {seat} is free"))
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(format!("host-{number}.log"))
    }

    fn keep(&mut self, number: u32, answer: &Answer) -> anyhow::Result<()> {
        if let Some(line) = answer.errors.lines().find(|line| NEVER.iter().any(|never| line.contains(never))) {
            self.findings.push(format!("host {number} logged {line}"));
        }
        fs::write(self.file(number), &answer.errors).context("cannot keep a host's log")?;
        self.kept.push(number);
        Ok(())
    }
}
