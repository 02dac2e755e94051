//! The emulator as a program: listens until it is interrupted.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use clap::Parser;
use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// A local Azure Event Hubs. Says where it listens, and does so until it is interrupted.
#[derive(Parser)]
#[command(after_help = "Examples:
  eventhubs-emulator --config hubs.yaml
  eventhubs-emulator --config hubs.yaml --listen 127.0.0.1:0
  EMULATOR_LOG=debug eventhubs-emulator --config hubs.yaml")]
struct Cli {
    /// Hubs, keys and where to listen.
    #[arg(long)]
    config: PathBuf,
    /// Where clients connect; port 0 for any that is free.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where faults are asked for; port 0 for any that is free.
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Where the certificate is written that clients have to trust.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// End with standard input as well, and so with whoever holds its other end.
    #[arg(long)]
    attached: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("EMULATOR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let mut config = Config::read(&cli.config).with_context(|| format!("{}", cli.config.display()))?;
    config.listen = cli.listen.unwrap_or(config.listen);
    config.control = cli.control.unwrap_or(config.control);
    config.ca = cli.ca.or(config.ca);
    let (keys, ca) = (config.keys.clone(), config.ca.clone());
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let emulator = Emulator::start(config).await?;
    println!("listens on {}, control on http://{}", emulator.address(), emulator.control_address());
    for key in keys.keys() {
        println!("{}", emulator.connection_string(key)?);
    }
    if let Some(ca) = ca {
        println!("whom to trust is in {}", ca.display());
    }
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for signals"),
        _ = terminated.recv() => Ok(()),
        () = detached(), if cli.attached => Ok(()),
    }
}

/// Waits until standard input has ended. In a thread of its own, which nobody waits for when there is another reason to
/// end.
async fn detached() {
    let (ended, input) = oneshot::channel();
    thread::spawn(move || {
        // What cannot be read has ended as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = ended.send(());
    });
    let _ = input.await;
}
