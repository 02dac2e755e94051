//! Files from an origin into a directory store, log in and directory out, beside the plain loop that fetches the same
//! files from the same origin.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::Setup;
use crate::figure::Figure;
use crate::program::bus::{Bus, DEAD};
use crate::program::host::Host;
use crate::program::origin::{Asked, sha256};
use crate::program::task::{check_cached, task};
use crate::program::{Site, bare, quoted};
use crate::rounds::{Subject, interleave, median, ratio};
use crate::table::{Bar, Baseline, Line};

/// How long one run may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(1200);
const PENDING: &str = "downloads-pending";
const CACHED: &str = "downloads-cached";
/// Files of a run.
const FILES: usize = 500;
/// Files of a run that fetches one at a time: what it takes is scaled by their number.
const FILES_ALONE: usize = 25;
/// Until the first byte.
const LATENCY: Duration = Duration::from_millis(200);
/// The same of every tenth file of an origin that is uneven.
const TENTH: Duration = Duration::from_secs(2);

/// Files to fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Load {
    /// How many.
    pub(super) files: usize,
    /// How large each is, in bytes.
    pub(super) bytes: u64,
    /// How many at once.
    pub(super) concurrency: usize,
    /// How long the origin waits before it answers.
    pub(super) wait: Duration,
    /// How long it waits before every tenth answer.
    pub(super) tenth: Duration,
}

/// What fetching them took.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Took {
    /// Files a second, from when the first task was written, or asked for, until the last file was where it belongs.
    pub(super) rate: f64,
    /// The most memory that the host had, in bytes; 0 of the plain loop.
    pub(super) peak: u64,
}

/// Concurrency 10 and 100, beside the plain loop and beside the host's own one at a time.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let site = Site::open(setup)?;
    let load = |files, concurrency| Load { files, bytes: 1 << 20, concurrency, wait: LATENCY, tenth: LATENCY };
    let (alone, ten, hundred) = (load(FILES_ALONE, 1), load(FILES, 10), load(FILES, 100));
    let mut subjects =
        [alone.by_host(&site), ten.by_hand(&site), ten.by_host(&site), hundred.by_hand(&site), hundred.by_host(&site)];
    let given = interleave(setup.runs, &mut subjects)?;
    let [alone, bare_ten, ten, bare_hundred, hundred] = given.as_slice() else { return Ok(Vec::new()) };
    let what =
        |concurrency, beside| format!("500 files of 1 MiB, 200 ms to the first byte, {concurrency} at once, {beside}");
    let scaled = format!("one at a time, from {FILES_ALONE} files");
    Ok(vec![
        beside(what(10, "beside the plain loop"), ten, bare_ten, "plain loop", 0.9),
        beside(what(100, "beside the plain loop"), hundred, bare_hundred, "plain loop", 0.9),
        beside(what(10, "beside one at a time"), ten, alone, &scaled, 9.0),
        beside(what(100, "beside one at a time"), hundred, alone, &scaled, 50.0),
    ])
}

/// Concurrency 10, and every tenth answer is slow.
pub(crate) fn run_uneven(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let site = Site::open(setup)?;
    let load = Load { files: FILES, bytes: 1 << 20, concurrency: 10, wait: LATENCY, tenth: TENTH };
    let given = interleave(setup.runs, &mut [load.by_hand(&site), load.by_host(&site)])?;
    let [bare, host] = given.as_slice() else { return Ok(Vec::new()) };
    let what = "500 files of 1 MiB, 10 at once, every tenth answer takes 2 s, beside the plain loop";
    Ok(vec![beside(what.into(), host, bare, "plain loop", 0.9)])
}

/// A line of rates.
fn beside(what: String, host: &[Took], baseline: &[Took], name: &str, bar: f64) -> Line {
    let rate = |took: &Took| took.rate;
    let figure = |took: &[Took]| Figure::PerSecond(median(took.iter().map(rate)));
    let baseline = Baseline { what: name.into(), figure: figure(baseline), ratio: ratio(host, baseline, rate) };
    Line { what, figure: figure(host), baseline: Some(baseline), bar: Bar::RatioAtLeast(bar), notes: Vec::new() }
}

impl Load {
    /// Fetches them with the plain loop.
    pub(super) fn by_hand<'a>(self, site: &'a Site<'_>) -> Subject<'a, Took> {
        Box::new(move || site.drive(self.fetched_by_hand(site)))
    }

    /// Fetches them with the host.
    pub(super) fn by_host<'a>(self, site: &'a Site<'_>) -> Subject<'a, Took> {
        Box::new(move || site.drive(self.fetched_by_host(site)))
    }

    /// The URLs of all files. No two are the same.
    fn urls(&self, site: &Site<'_>) -> Vec<String> {
        let url = |number: usize| {
            let wait = if number % 10 == 9 { self.tenth } else { self.wait };
            site.origin.url(Asked { wait, bytes: self.bytes }, &format!("{number}.pdf"))
        };
        (0..self.files).map(url).collect()
    }

    async fn fetched_by_hand(self, site: &Site<'_>) -> anyhow::Result<Took> {
        let folder = site.folder()?;
        let (urls, concurrency, folder_of_files) = (self.urls(site), self.concurrency, folder.path().join("files"));
        let fetched = bare::run(&bare::Order { urls, concurrency, folder: folder_of_files }).await?;
        ensure!(fetched.sha256 == [sha256(self.bytes)], "the plain loop fetched other files than the origin's");
        Ok(Took { rate: self.files as f64 / fetched.seconds, peak: 0 })
    }

    /// Every slot of the host has fetched a file before anything is measured: a host runs for months.
    async fn fetched_by_host(self, site: &Site<'_>) -> anyhow::Result<Took> {
        let folder = site.folder()?;
        let mut host = Host::start(site, folder.path(), &self.spec(site, folder.path()))?;
        let bus = Bus::open(&folder.path().join("bus"))?;
        let first = site.origin.url(Asked { wait: LATENCY, bytes: 1 << 20 }, "first.pdf");
        let firsts = (0..self.concurrency).map(|number| task(self.files + number, &first)).collect();
        bus.publish(PENDING, firsts).await?;
        bus.until(CACHED, self.concurrency as u64, &mut host, PATIENCE).await?;
        let tasks = self.urls(site).iter().enumerate().map(|(number, url)| task(number, url)).collect();
        let began = bus.now();
        bus.publish(PENDING, tasks).await?;
        bus.until(CACHED, (self.files + self.concurrency) as u64, &mut host, PATIENCE).await?;
        let peak = host.peak()?;
        let mut cached = bus.messages(CACHED).await?;
        cached.retain(|message| message.origin.enqueued >= began);
        ensure!(cached.len() == self.files, "{} files were fetched instead of {}", cached.len(), self.files);
        check_cached(&cached, self.bytes, &sha256(self.bytes))?;
        let ended = cached.iter().map(|message| message.origin.enqueued).max().context("nothing was fetched")?;
        host.stop().await?;
        Ok(Took { rate: self.files as f64 / ended.since(began).as_secs_f64(), peak })
    }

    fn spec(&self, site: &Site<'_>, folder: &Path) -> String {
        let (bus, files) = (quoted(&folder.join("bus")), quoted(&folder.join("files")));
        let (download, concurrency, origin) = (quoted(&site.setup.download), self.concurrency, site.origin.base());
        format!(
            r#"lockgate: 1
transports: {{ bus: {{ log: {{ path: {bus} }} }} }}
stores: {{ files: {{ directory: {{ path: {files} }} }} }}
endpoints: {{ media: {{ allow: ["{origin}"], allow_addresses: ["127.0.0.0/8"] }} }}
plugins: {{ download: {{ component: {download} }} }}
pipelines:
  download:
    from: {{ topic: {PENDING} }}
    plugin: download
    grants: {{ endpoints: [media], stores: [files] }}
    config: {{ domain: claimx, endpoint: media, store: files }}
    to: {{ cached: {{ topic: {CACHED} }} }}
    concurrency: {concurrency}
    dead_letter: {{ topic: {DEAD} }}
"#
        )
    }
}
