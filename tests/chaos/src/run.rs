//! Runs scenarios beside each other within a time, and says what became of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use e2e::support::azurite::Data;
use e2e::support::event_hubs::Namespace;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::Brokers;
use crate::bus;
use crate::environment::rate;
use crate::on::{Ground, On, Protocol};
use crate::scenario::{Scenario, Whose};
use crate::scenarios::why_not;
use crate::setting::Setting;
use crate::stage::{Ending, Site, Stage, Tools};
use crate::table;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What everything is made with.
    pub tools: Tools,
    /// Which system of topics the hosts share.
    pub on: On,
    /// Below it each scenario has a folder, which stays when it fails.
    pub folder: PathBuf,
    /// What all scenarios together may take.
    pub budget: Duration,
    /// Decides whatever is left to chance.
    pub seed: u64,
    /// How many scenarios run at once.
    pub beside: usize,
}

impl Request {
    fn at_most(&self) -> Duration {
        self.on.at_most(self.budget)
    }
}

/// What scenarios run on that is no log.
#[derive(Clone)]
enum Servers {
    None,
    Kafka(Arc<Brokers>),
    EventHubs,
}

/// What became of one scenario.
struct Done {
    name: &'static str,
    folder: PathBuf,
    ending: anyhow::Result<Ending>,
    took: Duration,
}

/// Those of the scenarios that are named; where none is, all that there are on this system of topics.
pub fn chosen(all: Vec<Arc<dyn Scenario>>, names: &[String], on: On) -> anyhow::Result<Vec<Arc<dyn Scenario>>> {
    if let Some(stranger) = names.iter().find(|name| all.iter().all(|scenario| scenario.name() != **name)) {
        let known: Vec<&str> = all.iter().map(|scenario| scenario.name()).collect();
        bail!("no scenario is called `{stranger}`; there are {}", known.join(", "));
    }
    if let Some((name, why)) = names.iter().find_map(|name| Some((name, why_not(name, on)?))) {
        bail!("`{name}` is not done on {on}: {why}");
    }
    let is_meant = |scenario: &Arc<dyn Scenario>| {
        let name = scenario.name();
        names.iter().any(|meant| meant == name) || names.is_empty() && why_not(name, on).is_none()
    };
    Ok(all.into_iter().filter(is_meant).collect())
}

/// Runs them, prints a line of each as it ends, and what is wrong behind them. Fails when one does.
pub async fn run(request: &Request, scenarios: Vec<Arc<dyn Scenario>>) -> anyhow::Result<()> {
    request.tools.compile(&request.folder).await?;
    let servers = match request.on {
        On::Log => Servers::None,
        On::Kafka => Servers::Kafka(Arc::new(Brokers::start().await.context("there is no broker to run on")?)),
        On::EventHubs => Servers::EventHubs,
    };
    let (start, room) = (Instant::now(), Arc::new(Semaphore::new(request.beside.max(1))));
    println!("seed {}\n{}", request.seed, table::HEAD);
    let mut running = JoinSet::new();
    for scenario in scenarios {
        let (request, room, servers) = (request.clone(), room.clone(), servers.clone());
        running.spawn(async move {
            let _room = room.acquire_owned().await;
            let (name, folder) =
                (scenario.name(), request.folder.join(format!("{}-{}", scenario.name(), request.seed)));
            let began = Instant::now();
            let ending = run_one(&request, &*scenario, &folder, &servers, start + request.at_most()).await;
            Done { name, folder, ending, took: began.elapsed() }
        });
    }
    let mut failed = Vec::new();
    while let Some(done) = running.join_next().await {
        let done = done.context("a scenario has panicked")?;
        if let Ok(ending) = &done.ending {
            println!("{}", table::line(done.name, ending, done.took.as_secs_f64()));
            ending.notes.iter().for_each(|note| println!("{:<12}  {note}", ""));
        } else {
            println!("{:<12}  could not be judged", done.name);
        }
        let wrong = wrong(&done.ending);
        if wrong.is_empty() {
            // A folder that stays behind is only in the way.
            let _ = std::fs::remove_dir_all(&done.folder);
        } else {
            failed.push((done, wrong));
        }
    }
    println!("all in {:.1} s", start.elapsed().as_secs_f64());
    failed.iter().for_each(|(done, wrong)| tell(request, done, wrong));
    if failed.is_empty() { Ok(()) } else { bail!("{} scenarios failed", failed.len()) }
}

/// Says what is wrong with one.
fn tell(request: &Request, done: &Done, wrong: &[String]) {
    println!("\n{} FAILED:", done.name);
    wrong.iter().for_each(|wrong| println!("  {wrong}"));
    if let Ok(ending) = &done.ending {
        println!("  faults: {}", table::faults(&ending.faults));
    }
    println!("  kept in {}", done.folder.display());
    println!("  again: {}", again(request, done.name));
}

fn wrong(ending: &anyhow::Result<Ending>) -> Vec<String> {
    match ending {
        Ok(ending) => table::failures(ending),
        Err(error) => vec![format!("{error:#}")],
    }
}

/// The command that does the same again.
fn again(request: &Request, name: &str) -> String {
    let on = if request.on == On::default() { String::new() } else { format!("--on {} ", request.on) };
    format!("cargo xtask chaos {on}{name} --seconds {} --seed {}", request.budget.as_secs(), request.seed)
}

/// Where a scenario takes place. Starts its broker, where it has one of its own, or its namespace, and makes its hubs.
async fn site(
    request: &Request,
    scenario: &dyn Scenario,
    setting: &Setting,
    folder: &Path,
    servers: &Servers,
) -> anyhow::Result<Site> {
    let (folder, prefix) = (folder.to_owned(), scenario.name().to_owned());
    match servers {
        Servers::None => Ok(Site { ground: Ground::Log(folder.clone()), folder, broker: None, namespace: None }),
        Servers::Kafka(brokers) => {
            let own = if scenario.broker() == Whose::Own { Some(brokers.another().await?) } else { None };
            let broker = own.as_ref().map_or(brokers.shared(), |own| own.bootstrap()).to_owned();
            let protocol = Protocol::by_chance(request.seed, scenario.name());
            Ok(Site { folder, ground: Ground::Kafka { broker, prefix, protocol }, broker: own, namespace: None })
        }
        Servers::EventHubs => {
            // Each has its own: the store of one that all share would be too slow for leases as short as these. On disk, for
            // it may be ended; and in memory the emulator of blobs cleans up after ten minutes, and then answers nothing for
            // minutes where tens of thousands were written.
            let namespace = Arc::new(Namespace::start_with(Data::OnDisk).await?);
            let groups: Vec<String> = setting
                .pipelines
                .iter()
                .map(|shape| shape.name())
                .chain([bus::GROUP, rate::GROUP].map(str::to_owned))
                .collect();
            for (topic, partitions) in setting.topics() {
                namespace.add(&format!("{prefix}-{topic}"), partitions, &groups).await?;
            }
            let ground = Ground::EventHubs { namespace: namespace.overlay(&[], &BTreeMap::new()), prefix };
            Ok(Site { folder, ground, broker: None, namespace: Some(namespace) })
        }
    }
}

async fn run_one(
    request: &Request,
    scenario: &dyn Scenario,
    folder: &Path,
    servers: &Servers,
    deadline: Instant,
) -> anyhow::Result<Ending> {
    let extent = scenario.extents().within(request.budget);
    let setting = scenario.setting_by(&mut ChaCha8Rng::seed_from_u64(request.seed));
    let site = site(request, scenario, &setting, folder, servers).await?;
    let mut stage = Stage::set(&request.tools, site, setting, extent, request.seed).await?;
    let outcome = match tokio::time::timeout_at(deadline, scenario.run(&mut stage)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow::anyhow!("the {:?} for all scenarios are over", request.at_most())),
    };
    stage.end(outcome).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    #[test]
    fn what_is_chosen_is_done_on_that_system() {
        let chosen = |names: &[&str], on| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let chosen = chosen(scenarios::all(), &names, on).map_err(|error| error.to_string())?;
            Ok(chosen.iter().map(|scenario| scenario.name()).collect::<Vec<_>>())
        };
        let everything = |on| chosen(&[], on).unwrap();
        assert!(everything(On::Log).contains(&"steal") && !everything(On::Log).contains(&"outage"));
        assert!(everything(On::Kafka).contains(&"outage") && !everything(On::Kafka).contains(&"steal"));
        assert!(everything(On::EventHubs).contains(&"namespace") && !everything(On::EventHubs).contains(&"outage"));
        assert_eq!(chosen(&["kill"], On::Kafka), Ok(vec!["kill"]));
        let refused: String = chosen(&["outage"], On::Log).unwrap_err();
        assert!(refused.starts_with("`outage` is not done on log: "), "{refused}");
        let strange = chosen(&["kil"], On::Log).unwrap_err();
        assert!(strange.starts_with("no scenario is called `kil`"), "{strange}");
    }
}
