//! Eighteen pipelines that have nothing to do, as one host runs them between two storms: each has done a message, so
//! that all that a pipeline makes once is there.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Setup;
use crate::figure::Figure;
use crate::program::bus::{Bus, DEAD};
use crate::program::host::Host;
use crate::program::origin::Asked;
use crate::program::task::task;
use crate::program::{Site, quoted};
use crate::rounds::median;
use crate::table::{Bar, Line};

/// Chains of a download and an upload.
pub(super) const CHAINS: usize = 9;
/// How long it may take until each has done its message.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the host has been left alone before it is looked at.
pub(super) const SETTLED: Duration = Duration::from_secs(10);
/// How long it is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(30);
/// The most runs: nothing is compared, and what an idle host takes hardly differs.
pub(super) const MOST_RUNS: usize = 3;

/// What an idle host takes.
struct Idle {
    memory: u64,
    cores: f64,
}

/// Memory and CPU of an idle host.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let site = Site::open(setup)?;
    let runs = setup.runs.min(MOST_RUNS);
    let idle = (0..runs).map(|_| site.drive(idle(&site))).collect::<anyhow::Result<Vec<Idle>>>()?;
    let line = |what: &str, figure, bar| Line {
        what: format!("18 idle pipelines: {what}"),
        figure,
        baseline: None,
        bar: Bar::AtMost(bar),
        notes: vec![format!("The median of {runs} runs of {} s.", LOOK.as_secs())],
    };
    let memory = Figure::Bytes(median(idle.iter().map(|idle| idle.memory as f64)));
    let cores = Figure::Cores(median(idle.iter().map(|idle| idle.cores)));
    Ok(vec![line("memory", memory, Figure::Bytes(100e6)), line("of one core", cores, Figure::Cores(0.01))])
}

async fn idle(site: &Site<'_>) -> anyhow::Result<Idle> {
    let folder = site.folder()?;
    let log = format!("log: {{ path: {} }}", quoted(&folder.path().join("bus")));
    let mut host = Host::start(site, folder.path(), &spec(site, folder.path(), &log, ""))?;
    let bus = Bus::open(&folder.path().join("bus"))?;
    let url = url(site);
    for chain in 0..CHAINS {
        bus.publish(&format!("pending-{chain}"), vec![task(chain, &url)]).await?;
    }
    for chain in 0..CHAINS {
        bus.until(&format!("results-{chain}"), 1, &mut host, PATIENCE).await?;
    }
    tokio::time::sleep(SETTLED).await;
    let (began, before) = (Instant::now(), host.cpu()?);
    tokio::time::sleep(LOOK).await;
    let cores = (host.cpu()?.saturating_sub(before)).as_secs_f64() / began.elapsed().as_secs_f64();
    let memory = host.resident()?;
    host.stop().await?;
    Ok(Idle { memory, cores })
}

/// The file that each pipeline moves.
pub(super) fn url(site: &Site<'_>) -> String {
    site.origin.url(Asked { wait: Duration::ZERO, bytes: 100 << 10 }, "file.pdf")
}

/// The pipelines on a transport, given as YAML, by topics whose names begin with `named`.
pub(super) fn spec(site: &Site<'_>, folder: &Path, transport: &str, named: &str) -> String {
    let place = |name: &str| quoted(&folder.join(name));
    let (cache, lake) = (place("cache"), place("lake"));
    let (download, upload) = (quoted(&site.setup.download), quoted(&site.setup.upload));
    let origin = site.origin.base();
    let mut spec = format!(
        r#"lockgate: 1
transports: {{ bus: {{ {transport} }} }}
stores: {{ cache: {{ directory: {{ path: {cache} }} }}, lake: {{ directory: {{ path: {lake} }} }} }}
endpoints: {{ media: {{ allow: ["{origin}"], allow_addresses: ["127.0.0.0/8"] }} }}
plugins: {{ download: {{ component: {download} }}, upload: {{ component: {upload} }} }}
pipelines:
"#
    );
    for chain in 0..CHAINS {
        let _ = write!(
            spec,
            r#"
  download-{chain}:
    from: {{ topic: {named}pending-{chain}, start: earliest }}
    plugin: download
    grants: {{ endpoints: [media], stores: [cache] }}
    config: {{ domain: claimx, endpoint: media, store: cache }}
    to: {{ cached: {{ topic: {named}cached-{chain} }} }}
    dead_letter: {{ topic: {DEAD} }}
  upload-{chain}:
    from: {{ topic: {named}cached-{chain}, start: earliest }}
    plugin: upload
    grants: {{ stores: [cache, lake] }}
    config: {{ domain: claimx, cache: cache, store: lake }}
    to: {{ results: {{ topic: {named}results-{chain} }}, downloads: {{ topic: {named}pending-{chain} }} }}
    dead_letter: {{ topic: {DEAD} }}
"#
        );
    }
    spec
}
