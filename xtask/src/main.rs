//! `cargo xtask`: everything that a clone needs, by one command each. Nothing is set up by hand.

use std::num::NonZeroU32;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use xtask::azurite::{Azurite, Data};
use xtask::fuzz::{self, Fuzzer};
use xtask::kafka::{Broker, Installed};
use xtask::tools::{self, Part};
use xtask::{azurite, cargo, eventhubs, guests, kafka, official_clients, workspace};

/// Sets Lockgate up, shows it and tests it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the plugins, and lay them where `pipelines.yaml` names them.
    Plugins,
    /// Download and upload some 300 files from an origin that misbehaves, and compare what became of each.
    Demo(Demo),
    /// Run all tests, with real servers that are installed and started here.
    Test(Test),
    /// Faults of every kind while messages flow, and what was lost, repeated, misordered or stuck.
    Chaos(Chaos),
    /// Measure what Lockgate costs, beside the plain code that does the same.
    Bench(Bench),
    /// Look for inputs that break what must hold of them, led by what code they reach.
    Fuzz(Fuzz),
}

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask demo                starts clean
  cargo xtask demo --tasks 40     a short one
  cargo xtask demo --resume       goes on after it was stopped or killed
  cargo xtask demo --on event-hubs")]
struct Demo {
    /// Go on where the last demo was stopped or killed.
    #[arg(long)]
    resume: bool,
    /// Move what the last demo left out of the way instead of deleting it.
    #[arg(long, conflicts_with = "resume")]
    keep: bool,
    /// How many tasks are published.
    #[arg(long, default_value_t = 300, conflicts_with = "resume")]
    tasks: usize,
    /// Where topics are.
    #[arg(long, value_enum, default_value_t, conflicts_with = "resume")]
    on: DemoOn,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum DemoOn {
    /// The embedded log.
    #[default]
    Log,
    /// Event Hubs and a blob container, as emulators that are installed and started here.
    EventHubs,
}

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test --without azurite --without kafka_broker --without official_client
  cargo xtask test -- checkpoint        only tests whose name contains `checkpoint`")]
struct Test {
    /// Leave out the tests that need a tool which is missing here. CI may not.
    #[arg(long, value_enum)]
    without: Vec<Part>,
    /// Passed on to the tests.
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask chaos                          every scenario, ten minutes at most
  cargo xtask chaos --seconds 90             the short versions, as `cargo xtask test` runs them
  cargo xtask chaos kill pause --seed 7      two of them, with the chances of another run
  cargo xtask chaos --on kafka               the same on a Kafka broker, which is disturbed too
  cargo xtask chaos --on event-hubs          the same on Event Hubs, which misbehave too
  cargo xtask chaos --list                   what there is")]
struct Chaos {
    /// The scenarios; all where none is named.
    scenarios: Vec<String>,
    /// What the messages flow through.
    #[arg(long, value_enum, default_value_t = On::Log)]
    on: On,
    /// What all of them together may take.
    #[arg(long, default_value = "600")]
    seconds: NonZeroU32,
    /// Decides whatever is left to chance; another one each time where it is not said.
    #[arg(long)]
    seed: Option<u64>,
    /// Name the scenarios, and end.
    #[arg(long)]
    list: bool,
}

/// What messages flow through while there are faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum On {
    /// The embedded log.
    Log,
    /// A Kafka broker, which needs Java.
    Kafka,
    /// Event Hubs and a blob container, both emulators; the latter needs Node.
    EventHubs,
}

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz                                 every target for a minute
  cargo xtask fuzz spec url --seconds 600          two of them for longer
  cargo xtask fuzz spec --shrink target/fuzz/…     makes a find smaller")]
struct Fuzz {
    /// The targets, by their folders in `fuzz/corpus`; all where none is named.
    targets: Vec<String>,
    /// How long each runs.
    #[arg(long, default_value = "60")]
    seconds: NonZeroU32,
    /// A find that is to be made smaller, instead of looking for others.
    #[arg(long, value_name = "FILE")]
    shrink: Option<PathBuf>,
}

/// What faults take that run with the tests, in seconds.
const SHORT_CHAOS: NonZeroU32 = match NonZeroU32::new(90) {
    Some(seconds) => seconds,
    None => NonZeroU32::MIN,
};

/// How many tests run at once that share a server or run a client: they wait more than they work, but have time-outs to
/// keep.
const TESTS_ON_A_SERVER: &str = "6";

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask bench                          every row; takes about half an hour
  cargo xtask bench warm-call log            two of them
  cargo xtask bench --list                   what rows there are
  cargo xtask bench --markdown               the table of docs/performance.md")]
struct Bench {
    /// The rows to measure; all where none is named.
    rows: Vec<String>,
    /// How often each is run, in turn with what it is compared with; the median counts.
    #[arg(long, default_value = "5")]
    runs: NonZeroU32,
    /// Name the rows, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Write the table in Markdown.
    #[arg(long)]
    markdown: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Plugins => plugins(),
        Task::Demo(demo) => demo.run(),
        Task::Test(test) => test.run(),
        Task::Chaos(chaos) => chaos.run(),
        Task::Bench(bench) => bench.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn plugins() -> anyhow::Result<()> {
    tools::check(&[])?;
    guests::install()?;
    println!("plugins/download.wasm and plugins/upload.wasm are built");
    Ok(())
}

impl Demo {
    fn run(self) -> anyhow::Result<()> {
        let (parts, word): (&[Part], _) = match self.on {
            DemoOn::Log => (&[], "log"),
            DemoOn::EventHubs => (&[Part::Azurite], "event-hubs"),
        };
        tools::check(parts)?;
        guests::install()?;
        let programs = cargo::programs()?;
        let mut demo = Command::new(&programs.demo);
        demo.current_dir(workspace::root()).arg("--lockgate").arg(&programs.lockgate);
        demo.arg("--tasks").arg(self.tasks.to_string()).args(["--on", word]);
        demo.args(self.resume.then_some("--resume")).args(self.keep.then_some("--keep"));
        // In our place, so that one process is the demo: what kills it kills all of it.
        Err(demo.exec()).context("cannot start the demo")
    }
}

impl Test {
    fn run(self) -> anyhow::Result<()> {
        let parts = parts(&self.without, std::env::var("CI").ok().as_deref())?;
        tools::check(&parts)?;
        let azurite = parts.contains(&Part::Azurite).then(azurite::install).transpose()?;
        let kafka = parts.contains(&Part::Kafka).then(kafka::install).transpose()?;
        if parts.contains(&Part::OfficialClient) {
            official_clients::python()?;
            official_clients::node()?;
        }
        guests::build_all()?;
        let mut test = cargo::cargo();
        test.args(["test", "--workspace", "--"]).args(&self.rest);
        test.args(self.without.iter().flat_map(|part| ["--skip", part.word()]));
        cargo::run(&mut test)?;
        self.run_ignored(&parts, azurite.as_deref(), kafka.as_ref())?;
        if !self.rest.is_empty() {
            return Ok(());
        }
        println!("\n== chaos: faults of every kind while messages flow");
        Chaos::short(On::Log).run()?;
        if kafka.is_none() {
            return Ok(());
        }
        println!("\n== chaos on Kafka");
        Chaos::short(On::Kafka).run()
    }

    /// Runs the tests that are ignored by themselves, beside the servers that they need: those that were installed.
    fn run_ignored(&self, parts: &[Part], azurite: Option<&Path>, kafka: Option<&Installed>) -> anyhow::Result<()> {
        let azurite = azurite.map(|script| Azurite::start(script, Data::InMemory)).transpose()?;
        let (storage, blobs): (Vec<_>, &[Part]) = match &azurite {
            Some(azurite) => (vec![("LOCKGATE_AZURITE", azurite.endpoint.clone())], &[Part::Azurite]),
            None => (Vec::new(), &[]),
        };
        let threads = std::env::var("RUST_TEST_THREADS").unwrap_or(TESTS_ON_A_SERVER.into());
        let threads = vec![("RUST_TEST_THREADS", threads)];
        if azurite.is_some() {
            self.run_on(Part::Azurite, &[], &storage)?;
        }
        if let Some(installed) = kafka {
            let broker = Broker::start(installed)?;
            self.run_on(Part::Kafka, &[], &[broker.environment(), threads.clone()].concat())?;
        }
        if parts.contains(&Part::EventHubs) {
            let emulator = eventhubs::Emulator::for_tests(&cargo::programs()?.eventhubs_emulator)?;
            let environment = [emulator.environment(), storage.clone(), threads.clone()].concat();
            self.run_on(Part::EventHubs, blobs, &environment)?;
        }
        if parts.contains(&Part::OfficialClient) {
            self.run_on(Part::OfficialClient, blobs, &[storage, threads].concat())?;
        }
        Ok(())
    }

    /// Runs the tests that need one part, and those that need what is there `beside` it as well. With the same packages as
    /// the others: so nothing is built anew.
    fn run_on(&self, part: Part, beside: &[Part], environment: &[(&str, String)]) -> anyhow::Result<()> {
        let mut test = cargo::cargo();
        test.envs(environment.iter().map(|(name, value)| (name, value)));
        // The library's own, and those of the Event Hubs emulator.
        let target: &[&str] = if part == Part::OfficialClient { &["--test", "it"] } else { &["--lib"] };
        test.args(["test", "--workspace"]).args(target).args(["--", "--ignored"]);
        match self.rest.as_slice() {
            [] => test.arg(part.word()),
            // Several filters would mean any of them.
            rest => test.args(rest),
        };
        let others = Part::value_variants().iter().filter(|other| **other != part && !beside.contains(other));
        test.args(others.flat_map(|other| ["--skip", other.word()]));
        cargo::run(&mut test)
    }
}

impl Chaos {
    /// What runs with the tests.
    fn short(on: On) -> Self {
        Self { scenarios: Vec::new(), on, seconds: SHORT_CHAOS, seed: None, list: false }
    }

    fn run(self) -> anyhow::Result<()> {
        match self.on {
            On::Log => tools::check(&[])?,
            On::Kafka => {
                tools::check(&[Part::Kafka])?;
                kafka::install()?;
            }
            On::EventHubs => {
                tools::check(&[Part::Azurite])?;
                azurite::install()?;
            }
        }
        let (guests, programs) = (guests::build_all()?, cargo::programs()?);
        let mut chaos = Command::new(&programs.chaos);
        chaos.current_dir(workspace::root()).arg("--lockgate").arg(&programs.lockgate);
        chaos.arg("--faulty-host").arg(&programs.faulty_host).arg("--download").arg(&guests.download);
        chaos.arg("--component").arg(&guests.faulty).arg("--seconds").arg(self.seconds.to_string());
        chaos.args(["--on", self.on.word()]);
        chaos.args(self.seed.map(|seed| format!("--seed={seed}"))).args(self.list.then_some("--list"));
        cargo::run(chaos.args(&self.scenarios))
    }
}

impl On {
    /// Its word, as the program knows it too.
    fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Kafka => "kafka",
            Self::EventHubs => "event-hubs",
        }
    }
}

impl Bench {
    fn run(self) -> anyhow::Result<()> {
        let needs = [(self.needs("kafka"), Part::Kafka), (self.needs("event-hubs"), Part::Azurite)];
        let needs: Vec<Part> = needs.into_iter().filter_map(|(needs, part)| needs.then_some(part)).collect();
        tools::check(&needs)?;
        let guests = guests::build_all()?;
        let enrich = guests::build_enrich()?;
        let events = guests::build_events()?;
        let measured = cargo::measured()?;
        let mut bench = Command::new(&measured.bench);
        // What pipelines tell of their beginnings would stand between the lines.
        if std::env::var_os("LOCKGATE_LOG").is_none() {
            bench.env("LOCKGATE_LOG", "warn");
        }
        bench.current_dir(workspace::root()).args(&self.rows).arg("--runs").arg(self.runs.to_string());
        bench.args(self.list.then_some("--list")).args(self.markdown.then_some("--markdown"));
        bench.arg("--enrich").arg(enrich).arg("--lockgate").arg(measured.lockgate);
        bench.arg("--download").arg(guests.download).arg("--upload").arg(guests.upload).arg("--events").arg(events);
        if self.needs("event-hubs") {
            azurite::install()?;
            bench.arg("--event-hubs-emulator").arg(measured.eventhubs_emulator);
            bench.arg("--event-hubs-peer").arg(cargo::event_hubs_peer()?);
        }
        // In our place, so that nothing else of us runs beside what is measured.
        Err(bench.exec()).context("cannot start the benchmark")
    }

    /// Whether one of the rows needs these servers, as those do whose names begin so.
    fn needs(&self, servers: &str) -> bool {
        !self.list && (self.rows.is_empty() || self.rows.iter().any(|row| row.starts_with(servers)))
    }
}

impl Fuzz {
    fn run(self) -> anyhow::Result<()> {
        let targets = fuzz::chosen(&self.targets)?;
        tools::check_for_fuzzing()?;
        let fuzzer = Fuzzer::build()?;
        match (self.shrink, targets.as_slice()) {
            (None, targets) => fuzzer.look(targets, self.seconds),
            (Some(find), [target]) => fuzzer.shrink(target, &find, self.seconds),
            (Some(_), _) => bail!("name the one target that `--shrink` is for"),
        }
    }
}

/// The parts whose tests run. `ci` is what the variable `CI` says.
fn parts(without: &[Part], ci: Option<&str>) -> anyhow::Result<Vec<Part>> {
    let is_ci = ci.is_some_and(|value| !value.is_empty() && value != "false");
    if is_ci && !without.is_empty() {
        bail!("CI runs every test: `--without` is for machines that lack a tool");
    }
    Ok(Part::value_variants().iter().filter(|part| !without.contains(part)).copied().collect())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ci_leaves_no_tests_out() {
        for ci in ["true", "1", "yes"] {
            let refused = parts(&[Part::Azurite], Some(ci)).unwrap_err().to_string();
            assert!(refused.contains("CI runs every test"), "{refused}");
            assert_eq!(parts(&[], Some(ci)).unwrap(), Part::value_variants(), "{ci}");
        }
    }

    #[test]
    fn a_machine_that_lacks_a_tool_goes_without_its_tests() {
        for ci in [None, Some(""), Some("false")] {
            let left = parts(&[Part::Azurite, Part::EventHubs], ci).unwrap();
            assert_eq!(left, [Part::Kafka, Part::OfficialClient], "{ci:?}");
            assert_eq!(parts(Part::value_variants(), ci).unwrap(), [], "{ci:?}");
        }
    }

    #[test]
    fn a_benchmark_needs_the_servers_of_its_rows_only() {
        let needs = |arguments: &[&str]| match Cli::parse_from([&["xtask", "bench"], arguments].concat()).task {
            Task::Bench(bench) => ["kafka", "event-hubs"].map(|servers| bench.needs(servers)),
            _ => unreachable!(),
        };
        assert_eq!(needs(&[]), [true, true]);
        assert_eq!(needs(&["log", "kafka-messages"]), [true, false]);
        assert_eq!(needs(&["event-hubs-idle"]), [false, true]);
        assert_eq!([needs(&["log", "idle"]), needs(&["--list"])], [[false; 2]; 2]);
    }

    #[test]
    fn what_chaos_runs_on_is_named_by_its_word() {
        for on in On::value_variants() {
            assert_eq!(on.to_possible_value().unwrap().get_name(), on.word());
        }
    }

    #[test]
    fn every_part_is_named_by_its_word() {
        for part in Part::value_variants() {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.word());
        }
    }
}
