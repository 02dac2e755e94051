//! What the host itself takes of the CPU for a message: from memory to memory, through a plugin that hands each message
//! on; and whether that depends on how many partitions there are and how many messages are in flight.

use std::sync::Arc;

use lockgate::flow::config::Order;
use lockgate::model::Clock;
use tokio::runtime::Runtime;

use crate::Setup;
use crate::cost::Cost;
use crate::figure::Figure;
use crate::rounds::{Subject, interleave, median};
use crate::subject::messages::{CLAIM, fill, record};
use crate::subject::pipeline::{Course, FROM};
use crate::subject::plugins::{Expected, NoOp};
use crate::subject::{memory, runtime};
use crate::table::{Bar, Line};

/// Messages of one run.
const MESSAGES: usize = 100_000;
/// Messages in the plugin at once, unless fewer are in flight.
const CONCURRENCY: usize = 100;
/// Where the messages go.
const OUTPUT: &str = "out";

/// How a run is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Layout {
    partitions: u32,
    in_flight: usize,
    output: Option<&'static str>,
}

impl Layout {
    /// As the spec has it where it says nothing.
    const USUAL: Self = Self { partitions: 4, in_flight: 1000, output: Some(OUTPUT) };
}

/// Measures what a message takes.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let silent = Layout { output: None, ..Layout::USUAL };
    let costs = measure(setup.runs, &[Layout::USUAL, silent])?;
    let [usual, silent] = costs.as_slice() else { return Ok(Vec::new()) };
    let wall = median(usual.iter().map(|cost| cost.rate(MESSAGES)));
    let line = |what: &str, costs: &[Cost], bar, notes| Line {
        what: what.into(),
        figure: Figure::MicrosEach(micros(costs)),
        baseline: None,
        bar,
        notes,
    };
    Ok(vec![
        line(
            "memory to memory, native no-op stage, 4 partitions",
            usual,
            Bar::AtMost(Figure::MicrosEach(3.0)),
            vec![format!("CPU a message over all threads, at {} on the wall.", Figure::PerSecond(wall))],
        ),
        line("the same, nothing emitted", silent, Bar::Open, Vec::new()),
    ])
}

/// Measures how flat that is.
pub(crate) fn run_flat(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let over_partitions = [1, 4, 16, 64, 256].map(|partitions| Layout { partitions, ..Layout::USUAL });
    let over_in_flight = [10, 100, 1000, 10_000].map(|in_flight| Layout { in_flight, ..Layout::USUAL });
    let layouts = [over_partitions.as_slice(), &over_in_flight].concat();
    let micros: Vec<f64> = measure(setup.runs, &layouts)?.iter().map(|costs| micros(costs)).collect();
    let (partitions, in_flight) = micros.split_at(over_partitions.len());
    Ok(vec![
        flat("1 to 256 partitions", partitions, over_partitions.map(|layout| layout.partitions.to_string()).as_slice()),
        flat("in-flight 10 to 10,000", in_flight, over_in_flight.map(|layout| layout.in_flight.to_string()).as_slice()),
    ])
}

/// The dearest layout beside the cheapest.
fn flat(what: &str, micros: &[f64], names: &[String]) -> Line {
    let least = micros.iter().copied().fold(f64::INFINITY, f64::min);
    let most = micros.iter().copied().fold(0.0, f64::max);
    let told: Vec<String> =
        names.iter().zip(micros).map(|(name, micros)| format!("{name}: {}", Figure::MicrosEach(*micros))).collect();
    Line {
        what: format!("{what}: the dearest beside the cheapest"),
        figure: Figure::Times(most / least),
        baseline: None,
        bar: Bar::AtMost(Figure::Times(1.2)),
        notes: vec![format!("CPU a message: {}.", told.join(", "))],
    }
}

fn micros(costs: &[Cost]) -> f64 {
    median(costs.iter().map(|cost| cost.cpu_micros_each(MESSAGES)))
}

/// Runs every layout in turn; answers what each took, by round.
fn measure(runs: usize, layouts: &[Layout]) -> anyhow::Result<Vec<Vec<Cost>>> {
    let runtime = runtime()?;
    let subject = |layout: &Layout| -> Subject<'_, Cost> {
        let (layout, runtime) = (*layout, &runtime);
        Box::new(move || once(runtime, layout))
    };
    let mut subjects: Vec<_> = layouts.iter().map(subject).collect();
    interleave(runs, &mut subjects)
}

fn once(runtime: &Runtime, Layout { partitions, in_flight, output }: Layout) -> anyhow::Result<Cost> {
    runtime.block_on(async {
        let transport = memory(partitions, Clock::system());
        fill(&*transport, FROM, (0..MESSAGES).map(|_| record(CLAIM))).await?;
        let expected = Expected::new(MESSAGES);
        let course = Course {
            transport,
            plugin: Arc::new(NoOp { output, expected: expected.clone() }),
            expected,
            outputs: &[OUTPUT],
            concurrency: CONCURRENCY.min(in_flight),
            in_flight,
            order: Order::None,
        };
        course.run(MESSAGES).await
    })
}
