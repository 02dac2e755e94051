//! Files of 1 GiB from an origin into a directory store: one, and eight at once. How fast beside the plain loop, and
//! how much memory the host has at most.

use std::time::Duration;

use super::files::{Load, Took};
use crate::Setup;
use crate::figure::Figure;
use crate::program::Site;
use crate::rounds::{interleave, median, ratio};
use crate::table::{Bar, Baseline, Line};

/// The size of a file, in bytes.
const GIBIBYTE: u64 = 1 << 30;
/// The most runs of one file: each writes it twice to the disk.
const MOST_RUNS: usize = 5;
/// The most runs of eight at once.
const MOST_RUNS_OF_EIGHT: usize = 3;
/// The most memory for one file, in bytes.
const MEMORY_OF_ONE: f64 = (64_u32 << 20) as f64;
/// The most memory for eight at once, in bytes.
const MEMORY_OF_EIGHT: f64 = (160_u32 << 20) as f64;

/// One file, and eight at once.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let site = Site::open(setup)?;
    // The first host of a site compiles the component, which takes more memory than any file does.
    let first = Load { files: 1, bytes: 1 << 20, concurrency: 1, wait: Duration::ZERO, tenth: Duration::ZERO };
    let compiling = first.by_host(&site)()?.peak as f64;
    let compiled =
        format!("A start that compiles the component takes {}; these found it compiled.", Figure::Bytes(compiling));
    let mut lines = measured(&site, 1, setup.runs.min(MOST_RUNS), MEMORY_OF_ONE)?;
    lines.extend(measured(&site, 8, setup.runs.min(MOST_RUNS_OF_EIGHT), MEMORY_OF_EIGHT)?);
    lines.iter_mut().filter(|line| line.baseline.is_none()).for_each(|line| line.notes.push(compiled.clone()));
    Ok(lines)
}

fn measured(site: &Site<'_>, files: usize, runs: usize, memory: f64) -> anyhow::Result<Vec<Line>> {
    let (wait, tenth) = (Duration::ZERO, Duration::ZERO);
    let load = Load { files, bytes: GIBIBYTE, concurrency: files, wait, tenth };
    let given = interleave(runs, &mut [load.by_hand(site), load.by_host(site)])?;
    let [bare, host] = given.as_slice() else { return Ok(Vec::new()) };
    let rate = |took: &Took| took.rate * GIBIBYTE as f64;
    let figure = |took: &[Took]| Figure::BytesPerSecond(median(took.iter().map(rate)));
    let baseline = Baseline { what: "plain loop".into(), figure: figure(bare), ratio: ratio(host, bare, rate) };
    let what = match files {
        1 => "1 GiB from the origin into a directory".to_owned(),
        files => format!("{files} files of 1 GiB at once"),
    };
    let notes = vec![format!("The median of {runs} runs.")];
    let speed = Line {
        what: what.clone(),
        figure: figure(host),
        baseline: Some(baseline),
        bar: Bar::RatioAtLeast(0.9),
        notes: notes.clone(),
    };
    let most = host.iter().map(|took| took.peak).max().unwrap_or_default();
    let memory = Line {
        what: format!("{what}: the most memory of the host, of all runs"),
        figure: Figure::Bytes(most as f64),
        baseline: None,
        bar: Bar::AtMost(Figure::Bytes(memory)),
        notes,
    };
    Ok(vec![speed, memory])
}
