//! The driver of `cargo xtask chaos`. Ends with 0 only when every scenario passes.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chaos::environment::namespace;
use chaos::on::On;
use chaos::run::{Request, chosen, run};
use chaos::scenario::LONG;
use chaos::scenarios::{self, why_not};
use chaos::stage::Tools;
use clap::Parser;

/// Faults of every kind while messages flow: says what was lost, repeated, misordered or stuck.
#[derive(Parser)]
struct Cli {
    /// The host's program.
    #[arg(long)]
    lockgate: PathBuf,
    /// The component that does what messages say.
    #[arg(long)]
    component: PathBuf,
    /// The same host in surroundings that can misbehave.
    #[arg(long)]
    faulty_host: PathBuf,
    /// The plugin that fetches files.
    #[arg(long)]
    download: PathBuf,
    /// Where logs and specs are; what failed is kept there.
    #[arg(long, default_value = "data/chaos")]
    folder: PathBuf,
    /// Scenarios that run at once.
    #[arg(long, default_value_t = 3)]
    beside: usize,
    #[command(flatten)]
    asked: Asked,
}

#[derive(clap::Args)]
struct Asked {
    /// The scenarios; all where none is named.
    scenarios: Vec<String>,
    /// Which system of topics the hosts share.
    #[arg(long, value_enum, default_value_t)]
    on: On,
    /// What all of them together may take.
    #[arg(long, default_value_t = NonZeroU64::new(LONG).unwrap_or(NonZeroU64::MIN))]
    seconds: NonZeroU64,
    /// Decides whatever is left to chance; another one each time where it is not said.
    #[arg(long)]
    seed: Option<u64>,
    /// Name the scenarios, and end.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before the runtime starts threads.
    if let Err(error) = namespace::enter() {
        eprintln!("error: cannot begin in a namespace of its own: {error}");
        return ExitCode::FAILURE;
    }
    start(cli)
}

#[tokio::main]
async fn start(cli: Cli) -> ExitCode {
    tokio::select! {
        done = obey(cli) => match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
        // What runs is dropped, and its hosts are killed.
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
    }
}

async fn obey(cli: Cli) -> anyhow::Result<()> {
    let Asked { scenarios: names, on, seconds, seed, list } = cli.asked;
    let scenarios = chosen(scenarios::all(), &names, on)?;
    if list {
        scenarios.iter().for_each(|scenario| println!("{:<12}  {}", scenario.name(), scenario.about()));
        let others = scenarios::all().into_iter().filter_map(|other| Some((other.name(), why_not(other.name(), on)?)));
        others.for_each(|(name, why)| println!("{name:<12}  not on {on}: {why}"));
        return Ok(());
    }
    let (faulty_host, download) = (cli.faulty_host, cli.download);
    let tools = Tools { program: cli.lockgate, component: cli.component, faulty_host, download };
    // Hosts work elsewhere: nothing may be relative.
    let folder = std::env::current_dir()?.join(cli.folder);
    let budget = Duration::from_secs(seconds.get());
    // Short enough to be typed.
    let seed = seed.unwrap_or_else(|| u64::from(rand::random::<u16>()));
    run(&Request { tools, on, folder, budget, seed, beside: cli.beside }, scenarios).await
}
