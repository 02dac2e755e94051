//! Runs scenarios beside each other within a time, and says what became of each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::scenario::Scenario;
use crate::stage::{Ending, Stage, Tools};
use crate::table;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What everything is made with.
    pub tools: Tools,
    /// Below it each scenario has a folder, which stays when it fails.
    pub folder: PathBuf,
    /// What all scenarios together may take.
    pub budget: Duration,
    /// Decides whatever is left to chance.
    pub seed: u64,
    /// How many scenarios run at once.
    pub beside: usize,
}

/// What became of one scenario.
struct Done {
    name: &'static str,
    folder: PathBuf,
    ending: anyhow::Result<Ending>,
    took: Duration,
}

/// Those of the scenarios that are named; all where none is.
pub fn chosen(all: Vec<Arc<dyn Scenario>>, names: &[String]) -> anyhow::Result<Vec<Arc<dyn Scenario>>> {
    if let Some(stranger) = names.iter().find(|name| all.iter().all(|scenario| scenario.name() != **name)) {
        let known: Vec<&str> = all.iter().map(|scenario| scenario.name()).collect();
        bail!("no scenario is called `{stranger}`; there are {}", known.join(", "));
    }
    let is_meant = |scenario: &Arc<dyn Scenario>| names.is_empty() || names.iter().any(|name| name == scenario.name());
    Ok(all.into_iter().filter(is_meant).collect())
}

/// Runs them, prints a line of each as it ends, and what is wrong behind them. Fails when one does.
pub async fn run(request: &Request, scenarios: Vec<Arc<dyn Scenario>>) -> anyhow::Result<()> {
    request.tools.compile(&request.folder).await?;
    let (start, room) = (Instant::now(), Arc::new(Semaphore::new(request.beside.max(1))));
    println!("seed {}\n{}", request.seed, table::HEAD);
    let mut running = JoinSet::new();
    for scenario in scenarios {
        let (request, room) = (request.clone(), room.clone());
        running.spawn(async move {
            let _room = room.acquire_owned().await;
            let (name, folder) =
                (scenario.name(), request.folder.join(format!("{}-{}", scenario.name(), request.seed)));
            let began = Instant::now();
            let ending = run_one(&request, &*scenario, &folder, start + request.budget).await;
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
    for (done, wrong) in &failed {
        println!("\n{} FAILED:", done.name);
        wrong.iter().for_each(|wrong| println!("  {wrong}"));
        if let Ok(ending) = &done.ending {
            println!("  faults: {}", table::faults(&ending.faults));
        }
        println!("  kept in {}", done.folder.display());
        println!("  again: {}", again(request, done.name));
    }
    if failed.is_empty() { Ok(()) } else { bail!("{} scenarios failed", failed.len()) }
}

fn wrong(ending: &anyhow::Result<Ending>) -> Vec<String> {
    match ending {
        Ok(ending) => table::failures(ending),
        Err(error) => vec![format!("{error:#}")],
    }
}

/// The command that does the same again.
fn again(request: &Request, name: &str) -> String {
    format!("cargo xtask chaos {name} --seconds {} --seed {}", request.budget.as_secs(), request.seed)
}

async fn run_one(
    request: &Request,
    scenario: &dyn Scenario,
    folder: &Path,
    deadline: Instant,
) -> anyhow::Result<Ending> {
    let extent = scenario.extents().within(request.budget);
    let setting = scenario.setting_by(&mut ChaCha8Rng::seed_from_u64(request.seed));
    let mut stage = Stage::set(&request.tools, folder, setting, extent, request.seed).await?;
    let outcome = match tokio::time::timeout_at(deadline, scenario.run(&mut stage)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow::anyhow!("the {:?} for all scenarios are over", request.budget)),
    };
    stage.end(outcome).await
}
