//! A warm plugin call: 1 KiB of JSON is parsed, gets a field more and is emitted, beside the same code native.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::ensure;
use bytes::Bytes;
use lockgate::model::{
    Emission, Headers, Message, MessageId, Origin, Outcome, Partition, Period, Position, Timestamp, Verdict,
};
use lockgate::plugin::Plugin;
use lockgate::plugin::config::Limits;
use tokio::runtime::Runtime;

use crate::Setup;
use crate::cost::Cost;
use crate::figure::Figure;
use crate::rounds::{Subject, interleave, median, ratio};
use crate::subject::messages::CLAIM;
use crate::subject::plugins::{Enrich, FIRST, Wanted};
use crate::subject::runtime;
use crate::table::{Bar, Baseline, Line};

/// Calls of one run.
const CALLS: usize = 20_000;

/// Measures it.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let runtime = runtime()?;
    let enrich = Enrich::new(&setup.enrich, 4)?;
    let pool = |limits, thorough| runtime.block_on(enrich.pool(Wanted { concurrency: 1, limits, thorough }));
    let (bare, full) = (Arc::new(message(Headers::default(), None)), Arc::new(traced()));
    let plain = pool(Limits::default(), false)?;
    let deadline = Some(Period::from_secs(30));
    let thorough = pool(Limits { deadline, ..Limits::default() }, true)?;
    // Until their slots are warm.
    call(&runtime, &plain, &bare, CALLS / 10)?;
    call(&runtime, &thorough, &full, CALLS / 10)?;
    let mut subjects: [Subject<'_, Cost>; 3] = [
        Box::new(|| native(&bare)),
        Box::new(|| call(&runtime, &plain, &bare, CALLS)),
        Box::new(|| call(&runtime, &thorough, &full, CALLS)),
    ];
    let costs = interleave(setup.runs, &mut subjects)?;
    let [native, plain, thorough] = costs.as_slice() else { return Ok(Vec::new()) };
    let line = |what: &str, called: &[Cost], most: f64, note: &str| Line {
        what: what.into(),
        figure: each(called),
        baseline: Some(Baseline {
            what: "the same code native".into(),
            figure: each(native),
            ratio: ratio(called, native, |cost| cost.cpu.as_secs_f64()),
        }),
        bar: Bar::RatioAtMost(most),
        notes: vec![note.into()],
    };
    Ok(vec![
        line(
            "warm plugin call, 1 KiB JSON",
            plain,
            2.5,
            "CPU a call, through the pool of slots as a pipeline calls it, with the default limits.",
        ),
        line(
            "the same with context, limits, headers",
            thorough,
            3.0,
            "The message has a key and five headers, which the guest hands on; it asks the context for everything; the \
             call has a deadline besides the default limits. The native code does none of this.",
        ),
    ])
}

fn each(costs: &[Cost]) -> Figure {
    Figure::MicrosEach(median(costs.iter().map(|cost| cost.cpu_micros_each(CALLS))))
}

fn native(message: &Message) -> anyhow::Result<Cost> {
    let (made, cost) = Cost::of(|| {
        (0..CALLS).try_for_each(|_| {
            let payload = enrich::enrich(black_box(&message.payload))?;
            let output = enrich::OUTPUT.to_owned();
            let emission = Emission { output, key: None, headers: Headers::default(), payload: payload.into() };
            black_box(Outcome { verdict: Verdict::Done, emit: vec![emission] });
            anyhow::Ok(())
        })
    });
    made?;
    Ok(cost)
}

fn call(runtime: &Runtime, plugin: &Arc<dyn Plugin>, message: &Arc<Message>, calls: usize) -> anyhow::Result<Cost> {
    let (called, cost) = Cost::of(|| {
        runtime.block_on(async {
            for _ in 0..calls {
                let outcome = plugin.call(message.clone(), FIRST).await?;
                ensure!(outcome.verdict == Verdict::Done && outcome.emit.len() == 1, "{outcome:?}");
            }
            anyhow::Ok(())
        })
    });
    called?;
    Ok(cost)
}

fn message(headers: Headers, key: Option<Bytes>) -> Message {
    Message {
        id: MessageId::of_origin("bus", "claims", 0, Position(1)),
        origin: Origin {
            transport: "bus".into(),
            partition: Partition::new("claims", 0),
            position: Position(1),
            enqueued: Timestamp(1_772_460_311_000),
        },
        key,
        headers,
        payload: Bytes::from_static(CLAIM.as_bytes()),
    }
}

/// A message as it comes from another pipeline.
fn traced() -> Message {
    let mut headers = Headers::default();
    headers.push("lockgate-id", MessageId::of_origin("bus", "claims", 0, Position(1)).as_str().to_owned());
    headers.push("lockgate-origin-ms", "1772460311000");
    headers.push("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    headers.push("content-type", "application/json");
    headers.push("event-type", "attachment-added");
    message(headers, Some(Bytes::from_static(b"CX-2026-118342")))
}
