//! The driver of `cargo xtask demo`: origin, tasks, host, comparison, and what it says of them. Ends with 0 only when
//! everything became of the tasks that had to.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use e2e::demo::{Demo, Place, guard, report};
use e2e::support::event_hubs::Namespace;
use e2e::support::lockgate::{Summary, summary};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Shown unless the caller says otherwise: the display is enough, and dead letters are listed at the end.
const LOG: (&str, &str) = ("LOCKGATE_LOG", "error");

/// Exit code when everything became of the tasks that had to.
const SUCCESS: i32 = 0;
/// Exit code otherwise.
const FAILURE: i32 = 1;

/// Downloads and uploads files from an origin that misbehaves, and compares what became of each.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    guard: Option<Guard>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Subcommand)]
enum Guard {
    /// Run a program that must not outlive the demo.
    #[command(hide = true)]
    Guard {
        /// The program, and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(Args)]
struct Run {
    /// The host's program.
    #[arg(long)]
    lockgate: PathBuf,
    /// The spec.
    #[arg(long, default_value = "pipelines.yaml")]
    spec: PathBuf,
    /// Where everything that the demo makes is kept.
    #[arg(long, default_value = "data/demo")]
    folder: PathBuf,
    /// Go on where the last demo was stopped or killed.
    #[arg(long)]
    resume: bool,
    /// Move what the last demo left out of the way instead of deleting it.
    #[arg(long)]
    keep: bool,
    /// How many tasks are published.
    #[arg(long, default_value_t = 300)]
    tasks: usize,
    /// Where topics are.
    #[arg(long, value_enum, default_value_t)]
    on: On,
}

/// Which system of topics.
#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum On {
    /// The embedded log.
    #[default]
    Log,
    /// Event Hubs, and blobs for who reads what: both emulators, which end with the demo.
    EventHubs,
}

#[tokio::main]
async fn main() {
    let ended = match Cli::parse() {
        Cli { guard: Some(Guard::Guard { command }), .. } => match command.split_first() {
            Some((program, arguments)) => guard::guard(program, arguments).await,
            None => Err(anyhow::anyhow!("no program to guard")),
        },
        Cli { run: Some(run), .. } => run.obey().await,
        Cli { .. } => Err(anyhow::anyhow!("nothing to do: see --help")),
    };
    let code = ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        FAILURE
    });
    // Not by returning: a read of standard input that waits cannot be called off.
    std::process::exit(code)
}

impl Run {
    async fn obey(self) -> anyhow::Result<i32> {
        let _lock = lock(&self.folder)?;
        let root = std::env::current_dir()?;
        let place = Place { program: self.lockgate, spec: self.spec, root, folder: self.folder.clone() };
        if self.resume && self.on == On::EventHubs {
            bail!("a demo on Event Hubs cannot be resumed: what its emulator kept is gone");
        }
        let mut demo = if self.resume {
            Demo::resume(&place).await?
        } else {
            if self.keep {
                keep(&self.folder)?;
            }
            Demo::begin(&place, self.tasks).await?
        };
        let port = demo.origin.ports().origin;
        println!("{} tasks for files from http://127.0.0.1:{port}, which misbehaves on purpose", demo.tasks.len());
        let namespace = match self.on {
            On::Log => None,
            On::EventHubs => Some(Namespace::start().await?),
        };
        if let Some(namespace) = &namespace {
            demo.on_event_hubs(namespace, "", &[]).await?;
            println!("Event Hubs by secure WebSocket at {}", namespace.emulator.address());
        }
        demo.publish().await?;
        let Some(summary) = run_host(&demo).await? else {
            let again = if namespace.is_some() { "" } else { "; `cargo xtask demo --resume` goes on" };
            println!("stopped{again}");
            return Ok(FAILURE);
        };
        println!("{}", report::table(&summary));
        if self.resume {
            println!("(The table counts from the resumption on.)");
        }
        conclude(&demo, namespace.is_none()).await
    }
}

/// Compares, and says what came of it; and what can be tried on topics that stay.
async fn conclude(demo: &Demo, topics_stay: bool) -> anyhow::Result<i32> {
    let differences = demo.differences().await?;
    if !differences.is_empty() {
        println!("{} differences from what had to become of the tasks:", differences.len());
        differences.iter().for_each(|difference| println!("  {difference}"));
        return Ok(FAILURE);
    }
    println!("{}", report::totals(&demo.tasks));
    match topics_stay {
        true => print!("{}", report::next(&demo.lockgate, demo.folder())),
        false => println!("The files lie in {}. The emulators end now.", demo.folder().join("lake").display()),
    }
    Ok(SUCCESS)
}

/// Runs the host until nothing is left to do. `None` when it was told to stop.
async fn run_host(demo: &Demo) -> anyhow::Result<Option<Summary>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("guard").arg(&demo.lockgate.program).args(["run", "--until-idle=parked", "--format", "json"]);
    command.args(demo.lockgate.on_spec()).current_dir(&demo.lockgate.folder);
    if std::env::var_os(LOG.0).is_none() {
        command.env(LOG.0, LOG.1);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut guard = command.spawn().context("cannot start the host")?;
    // Held until the host has ended: its end is the guard's sign that we are gone.
    let _alive = guard.stdin.take();
    let mut output = String::new();
    guard.stdout.take().context("the host has no output")?.read_to_string(&mut output).await?;
    let status = guard.wait().await?;
    let interrupted = futures::FutureExt::now_or_never(interrupts.recv()).is_some();
    if interrupted {
        return Ok(None);
    }
    if !status.success() {
        bail!("the host ended with {status}; `cargo xtask demo --resume` goes on\n{output}");
    }
    summary(&output).map(Some)
}

/// Held as long as a demo uses its folder; the system lets go of it when the process is gone, however it ended.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let place = folder.with_extension("lock");
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let file = File::create(&place).with_context(|| format!("cannot write {}", place.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another demo uses {}", folder.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", place.display())),
    }
}

/// Moves a folder to the first free name like it.
fn keep(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let named = |number: u32| folder.with_extension(number.to_string());
    let free = (1..).map(named).find(|place| !place.exists()).context("no free name")?;
    fs::rename(folder, &free).with_context(|| format!("cannot move {} away", folder.display()))?;
    println!("the last demo is kept in {}", free.display());
    Ok(())
}
