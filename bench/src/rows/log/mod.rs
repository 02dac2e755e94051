//! From a log through a plugin to a log on the same disk, everything durable before it counts: how much of what bare
//! SQLite can do remains. Both start on a copy of the same file.

mod bare;
mod file;

use std::sync::Arc;

use bytes::Bytes;
use lockgate::flow::config::Order;
use lockgate::model::Record;
use lockgate::plugin::Plugin;
use lockgate::plugin::config::Limits;
use tokio::runtime::Runtime;

use crate::Setup;
use crate::cost::Cost;
use crate::figure::Figure;
use crate::rounds::{Subject, interleave, median, ratio};
use crate::subject::messages::{CLAIM, record};
use crate::subject::pipeline::Course;
use crate::subject::plugins::{Counted, Enrich, Expected, NoOp, Wanted};
use crate::subject::runtime;
use crate::table::{Bar, Baseline, Line};
use file::{Filled, transactions};

/// Messages of one run.
const MESSAGES: usize = 60_000;
/// Messages in the plugin at once.
const CONCURRENCY: usize = 100;
/// Messages read and not settled: as the spec has it where it says nothing.
const IN_FLIGHT: usize = 1000;
/// Keys of the messages.
const KEYS: usize = 5000;

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    cost: Cost,
    /// Messages that one transaction held, on average.
    together: f64,
}

/// Measures it.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let bench = Bench {
        runtime: runtime()?,
        enrich: Enrich::new(&setup.enrich, CONCURRENCY)?,
        filled: Filled::new((0..MESSAGES).map(keyed))?,
    };
    // Both take turns with the native plugin, but not with each other: how much the plain code is to write in one
    // transaction is known from the run before it.
    let mut subjects: [Subject<'_, Vec<Run>>; 2] = [
        Box::new(|| {
            let guest = bench.guest()?;
            Ok(vec![guest, bench.bare(guest.together)?])
        }),
        Box::new(|| Ok(vec![bench.native()?])),
    ];
    let runs = interleave(setup.runs, &mut subjects)?;
    let of = |subject: usize, which: usize| -> Vec<Run> {
        runs.get(subject).into_iter().flatten().filter_map(|runs| runs.get(which)).copied().collect()
    };
    let (guest, bare, native) = (&of(0, 0), &of(0, 1), &of(1, 0));
    let line = |what: &str, runs: &[Run], bar, notes| Line {
        what: format!("log to {what} to log, 1 KiB, full durability"),
        figure: rate(runs),
        baseline: Some(Baseline {
            what: "bare rusqlite".into(),
            figure: rate(bare),
            ratio: ratio(runs, bare, |run| run.cost.rate(MESSAGES)),
        }),
        bar,
        notes,
    };
    let (told, of_disk) =
        (format!("{} {}", told("Lockgate", guest), told("Bare rusqlite", bare)), bench.filled.disk()?);
    let floor = Bar::AtLeast(Figure::PerSecond(20_000.0));
    Ok(vec![
        line("plugin (a component)", guest, Bar::RatioAtLeast(0.6), vec![told]),
        line("plugin (a component)", guest, floor, vec![of_disk]),
        line("native no-op", native, Bar::Open, vec![self::told("Lockgate", native)]),
    ])
}

fn rate(runs: &[Run]) -> Figure {
    Figure::PerSecond(median(runs.iter().map(|run| run.cost.rate(MESSAGES))))
}

fn told(who: &str, runs: &[Run]) -> String {
    let micros = Figure::MicrosEach(median(runs.iter().map(|run| run.cost.cpu_micros_each(MESSAGES))));
    let together = median(runs.iter().map(|run| run.together));
    format!("{who}: {together:.0} messages a transaction, {micros} of CPU a message.")
}

fn keyed(message: usize) -> Record {
    Record { key: Some(Bytes::from(format!("CX-2026-{:06}", message % KEYS))), ..record(CLAIM) }
}

struct Bench {
    runtime: Runtime,
    enrich: Enrich,
    filled: Filled,
}

impl Bench {
    fn guest(&self) -> anyhow::Result<Run> {
        let wanted = Wanted { concurrency: CONCURRENCY, limits: Limits::default(), thorough: false };
        let plugin = self.runtime.block_on(self.enrich.pool(wanted))?;
        let expected = Expected::new(MESSAGES);
        self.pipeline(Arc::new(Counted { plugin, expected: expected.clone() }), expected)
    }

    fn native(&self) -> anyhow::Result<Run> {
        let expected = Expected::new(MESSAGES);
        let plugin = NoOp { output: Some(enrich::OUTPUT), expected: expected.clone() };
        self.pipeline(Arc::new(plugin), expected)
    }

    fn pipeline(&self, plugin: Arc<dyn Plugin>, expected: Arc<Expected>) -> anyhow::Result<Run> {
        let copy = self.filled.copy()?;
        let transport = file::open(copy.path())?;
        let before = transactions(copy.path())?;
        let course = Course {
            transport: transport.clone(),
            plugin,
            expected,
            outputs: &[enrich::OUTPUT],
            concurrency: CONCURRENCY,
            in_flight: IN_FLIGHT,
            order: Order::None,
        };
        let cost = self.runtime.block_on(course.run(MESSAGES))?;
        let transactions = transactions(copy.path())?.saturating_sub(before).max(1);
        Ok(Run { cost, together: MESSAGES as f64 / f64::from(transactions) })
    }

    fn bare(&self, together: f64) -> anyhow::Result<Run> {
        let copy = self.filled.copy()?;
        bare::run(&file::database(copy.path()), MESSAGES, (together.round() as usize).max(1))
    }
}
