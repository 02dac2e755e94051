//! The platform's load: source events that are parsed and handed on, every twentieth of which names a file that is
//! fetched and moved to where it stays. As they come, at the rate that they come at; and as a backlog, with the host
//! started on what has piled up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::Setup;
use crate::figure::Figure;
use crate::program::bus::{Bus, DEAD};
use crate::program::host::Host;
use crate::program::origin::Asked;
use crate::program::{Site, quoted};
use crate::rounds::median;
use crate::table::{Bar, Line};

const EVENTS: &str = "events";
const ENRICHMENT: &str = "enrichment-pending";
const RESULTS: &str = "downloads-results";
/// Every so many events names a file.
const EVERY: usize = 20;
/// Its size, in bytes.
const FILE: u64 = 100 << 10;
/// Until its first byte.
const LATENCY: Duration = Duration::from_millis(200);
/// Events a second, sustained, and for how long.
const SUSTAINED: (usize, Duration) = (1000, Duration::from_secs(60));
/// Events a second at the peak, and for how long.
const PEAK: (usize, Duration) = (2000, Duration::from_secs(15));
/// How often events are written: those of one beat at once, as a source hands them over.
const BEAT: Duration = Duration::from_millis(50);
/// Events of the backlog.
const BACKLOG: usize = 100_000;
/// Events of the backlog that are written at once.
const BATCH: usize = 5000;
/// How long it may take until all is done.
const PATIENCE: Duration = Duration::from_secs(1200);
/// The most runs: one takes minutes.
const MOST_RUNS: usize = 2;

/// How events came through.
struct Stream {
    /// The time from event to file that 95 of 100 files took at most, in seconds.
    latency: f64,
    /// The most that a file took, in seconds.
    worst: f64,
    /// From the last event written until all were parsed and handed on, in seconds.
    behind: f64,
}

/// The stream, and the backlog.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let site = Site::open(setup)?;
    let runs = setup.runs.min(MOST_RUNS);
    let (mut streams, mut backlogs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        streams.push(site.drive(stream(&site))?);
        backlogs.push(site.drive(backlog(&site))?);
    }
    let of_streams = |value: fn(&Stream) -> f64| Figure::Seconds(median(streams.iter().map(value)));
    let load = format!(
        "{} s of {} events a second, then {} s of {}",
        SUSTAINED.1.as_secs(),
        SUSTAINED.0,
        PEAK.1.as_secs(),
        PEAK.0
    );
    let behind = of_streams(|stream| stream.behind);
    let stream = Line {
        what: format!("the platform's load, {load}: event to file, 95 of 100"),
        figure: of_streams(|stream| stream.latency),
        baseline: None,
        bar: Bar::AtMost(Figure::Seconds(5.0)),
        notes: vec![
            format!("The slowest file took {}.", of_streams(|stream| stream.worst)),
            format!("All events were parsed and handed on {behind} after the last one came."),
            format!("The median of {runs} runs."),
        ],
    };
    let seconds = median(backlogs);
    let backlog = Line {
        what: "the platform's load, a backlog of 100,000 events: until the last file".into(),
        figure: Figure::Seconds(seconds),
        baseline: None,
        bar: Bar::AtMost(Figure::Seconds(600.0)),
        notes: vec![
            format!("{} with the host's start.", Figure::PerSecond(BACKLOG as f64 / seconds)),
            format!("The median of {runs} runs."),
        ],
    };
    Ok(vec![stream, backlog])
}

async fn stream(site: &Site<'_>) -> anyhow::Result<Stream> {
    let folder = site.folder()?;
    let mut host = Host::start(site, folder.path(), &spec(site, folder.path()))?;
    let bus = Bus::open(&folder.path().join("bus"))?;
    // One file comes through before anything is measured: a host runs for months.
    bus.publish(EVENTS, vec![event(site, 0)]).await?;
    bus.until(RESULTS, 1, &mut host, PATIENCE).await?;
    let began = bus.now();
    let mut written = 1;
    for (rate, lasts) in [SUSTAINED, PEAK] {
        written = publish(&bus, site, written, rate, lasts).await?;
    }
    let last = bus.now();
    bus.until(ENRICHMENT, written as u64, &mut host, PATIENCE).await?;
    let behind = bus.now().since(last).as_secs_f64();
    let files = written.div_ceil(EVERY);
    bus.until(RESULTS, files as u64, &mut host, PATIENCE).await?;
    let mut latencies = Vec::new();
    for result in bus.messages(RESULTS).await? {
        completed(&result.payload)?;
        if result.origin_ms() >= began.0 {
            latencies.push(result.origin.enqueued.0.saturating_sub(result.origin_ms()) as f64 / 1000.0);
        }
    }
    ensure!(latencies.len() == files - 1, "{} files came through instead of {}", latencies.len(), files - 1);
    host.stop().await?;
    latencies.sort_by(f64::total_cmp);
    let latency = percentile(&latencies, 95).context("no file came through")?;
    Ok(Stream { latency, worst: latencies.last().copied().unwrap_or_default(), behind })
}

/// Writes events at a rate for so long; how many are written then, those before included.
async fn publish(bus: &Bus, site: &Site<'_>, from: usize, rate: usize, lasts: Duration) -> anyhow::Result<usize> {
    let beats = usize::try_from(lasts.as_millis() / BEAT.as_millis())?;
    let each = rate * usize::try_from(BEAT.as_millis())? / 1000;
    let mut beat = interval(BEAT);
    // A beat that was late is made up for: the rate is what is promised.
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for nth in 0..beats {
        beat.tick().await;
        let first = from + nth * each;
        bus.publish(EVENTS, (first..first + each).map(|number| event(site, number)).collect()).await?;
    }
    Ok(from + beats * each)
}

/// Seconds from the host's start until every file of the backlog is where it stays and every event is handed on.
async fn backlog(site: &Site<'_>) -> anyhow::Result<f64> {
    let folder = site.folder()?;
    let bus = Bus::open(&folder.path().join("bus"))?;
    for first in (0..BACKLOG).step_by(BATCH) {
        bus.publish(EVENTS, (first..first + BATCH).map(|number| event(site, number)).collect()).await?;
    }
    let began = bus.now();
    let mut host = Host::start(site, folder.path(), &spec(site, folder.path()))?;
    bus.until(ENRICHMENT, BACKLOG as u64, &mut host, PATIENCE).await?;
    bus.until(RESULTS, (BACKLOG / EVERY) as u64, &mut host, PATIENCE).await?;
    let results = bus.messages(RESULTS).await?;
    results.iter().try_for_each(|result| completed(&result.payload))?;
    let handed_on = bus.messages(ENRICHMENT).await?;
    let ended = results.iter().chain(&handed_on).map(|message| message.origin.enqueued).max();
    host.stop().await?;
    Ok(ended.context("nothing came through")?.since(began).as_secs_f64())
}

/// A source event; every twentieth, the first included, names a file.
fn event(site: &Site<'_>, number: usize) -> Vec<u8> {
    let attachments = if number.is_multiple_of(EVERY) {
        vec![site.origin.url(Asked { wait: LATENCY, bytes: FILE }, &format!("{number}.pdf"))]
    } else {
        Vec::new()
    };
    json!({
        "type": "verisk.claims.property.xn.estimatePackageReceived", "version": 1, "utcDateTime": "2026-03-02T14:05:11Z",
        "traceId": format!("9f1c2d3e-0a4b-4c5d-8e6f-{number:012}"),
        "data": {
            "assignmentId": format!("06ABC{:02}", number % 100), "estimateVersion": "3",
            "description": "Estimate package", "dateTime": "2026-03-02 07:05:11",
            "originalAssignmentId": "06ABC01", "xnAddress": "ACME.CENTRAL", "carrierId": "00000000",
            "note": "Package uploaded by the estimator after the second inspection.", "author": "Jane Doe",
            "senderReviewerName": "Jane Doe", "senderReviewerEmail": "jane.doe@example.com",
            "adm": { "coverageLoss": { "claimNumber": "0712345678" } },
            "contact": { "type": "insured", "name": "John Doe", "contactMethods": {
                "phone": { "type": "mobile", "number": "5550100", "extension": "" },
                "email": { "address": "john.doe@example.com" } } },
            "attachments": attachments,
        },
    })
    .to_string()
    .into_bytes()
}

/// Fails unless a result says that the file stands where it belongs.
fn completed(result: &[u8]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Result {
        status: String,
        bytes_downloaded: u64,
        blob_path: String,
    }
    let result: Result = serde_json::from_slice(result).context("cannot read a result")?;
    let is_completed = result.status == "completed" && result.bytes_downloaded == FILE;
    ensure!(is_completed, "{} ended as {} with {} bytes", result.blob_path, result.status, result.bytes_downloaded);
    Ok(())
}

/// The least value that so many of a hundred are not above; the values are in order.
fn percentile(values: &[f64], of_hundred: usize) -> Option<f64> {
    values.get((values.len() * of_hundred).div_ceil(100).checked_sub(1)?).copied()
}

fn spec(site: &Site<'_>, folder: &Path) -> String {
    let place = |name: &str| quoted(&folder.join(name));
    let (bus, cache, lake) = (place("bus"), place("cache"), place("lake"));
    let Setup { events, download, upload, .. } = site.setup;
    let (events, download, upload) = (quoted(events), quoted(download), quoted(upload));
    let origin = site.origin.base();
    format!(
        r#"lockgate: 1
transports: {{ bus: {{ log: {{ path: {bus} }} }} }}
stores: {{ cache: {{ directory: {{ path: {cache} }} }}, lake: {{ directory: {{ path: {lake} }} }} }}
endpoints: {{ media: {{ allow: ["{origin}"], allow_addresses: ["127.0.0.0/8"] }} }}
plugins:
  events: {{ component: {events} }}
  download: {{ component: {download} }}
  upload: {{ component: {upload} }}
defaults:
  dead_letter: {{ topic: {DEAD} }}
pipelines:
  events:
    from: {{ topic: {EVENTS} }}
    plugin: events
    to: {{ enrichment: {{ topic: {ENRICHMENT} }}, downloads: {{ topic: downloads-pending }} }}
    concurrency: 8
  download:
    from: {{ topic: downloads-pending }}
    plugin: download
    grants: {{ endpoints: [media], stores: [cache] }}
    config: {{ domain: verisk, endpoint: media, store: cache }}
    to: {{ cached: {{ topic: downloads-cached }}, results: {{ topic: {RESULTS} }} }}
    concurrency: 50
  upload:
    from: {{ topic: downloads-cached }}
    plugin: upload
    grants: {{ stores: [cache, lake] }}
    config: {{ domain: verisk, cache: cache, store: lake }}
    to: {{ results: {{ topic: {RESULTS} }}, downloads: {{ topic: downloads-pending }} }}
    concurrency: 25
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_so_many_are_not_above() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 95), Some(95.0));
        assert_eq!(percentile(&[7.0], 95), Some(7.0));
        assert_eq!(percentile(&[], 95), None);
    }

    #[test]
    fn a_result_that_is_no_completed_file_is_an_error() {
        let result = |status: &str, bytes: u64| {
            completed(json!({ "status": status, "bytes_downloaded": bytes, "blob_path": "a" }).to_string().as_bytes())
        };
        assert!(result("completed", FILE).is_ok());
        assert!(result("completed", FILE - 1).is_err() && result("failed_permanent", FILE).is_err());
    }
}
