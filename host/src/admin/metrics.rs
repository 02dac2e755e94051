//! The text of `/metrics`: what `/status` tells, as Prometheus reads it. Every series belongs to a pipeline, a partition
//! or one of at most 101 reasons, so that nothing a guest says makes more.

use std::collections::BTreeMap;
use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::status::{Durations, Partition, Pipeline, State, Status};
use crate::telemetry::metrics::{self as names, Kind, Metric, label};

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Longest reason that is told in a label, in characters.
const REASON_LIMIT: usize = 80;

/// Everything as text.
pub(super) fn text(status: Status) -> Result<String, Error> {
    let (mut registry, mut written) = (Registry::default(), String::new());
    registry.register_collector(Box::new(Exposition(status)));
    text::encode(&mut written, &registry)?;
    Ok(written)
}

#[derive(Debug)]
struct Exposition(Status);

/// Names and values, in order.
type Labels = Vec<(&'static str, String)>;
/// One series.
type Sample<'a> = (Labels, Value<'a>);
/// All series of a pipeline.
type Series = fn(&Pipeline) -> Vec<Sample<'_>>;
/// The value of a partition at a time; none while it is not known.
type Level = fn(&Partition, u64) -> Option<f64>;

enum Value<'a> {
    Count(u64),
    Number(f64),
    Durations(&'a Durations),
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let pipelines = &self.0.pipelines;
        for (metric, samples) in OF_PIPELINES {
            family(&mut encoder, &metric, pipelines.iter().flat_map(samples))?;
        }
        for (metric, value) in OF_PARTITIONS {
            let samples = pipelines.iter().flat_map(|pipeline| {
                let of = move |partition| (of_partition(pipeline, partition), value(partition, self.0.now_ms));
                pipeline.partitions.iter().map(of).filter_map(|(labels, value)| Some((labels, Value::Number(value?))))
            });
            family(&mut encoder, &metric, samples)?;
        }
        let version = vec![(label::VERSION, self.0.lockgate.clone())];
        family(&mut encoder, &names::BUILD, [(version, Value::Number(1.0))])
    }
}

/// The metrics of pipelines, and how each comes by its series.
const OF_PIPELINES: [(Metric, Series); 8] = [
    (names::CONSUMED, |pipeline| vec![(doing(pipeline, "receive"), Value::Count(pipeline.counts.admitted))]),
    (names::PROCESS_DURATION, |pipeline| vec![(doing(pipeline, "process"), Value::Durations(&pipeline.in_plugin))]),
    (names::SETTLED, settled),
    (names::RETRIED, |pipeline| vec![(of(pipeline), Value::Count(pipeline.counts.retried))]),
    (names::MOVED, |pipeline| vec![(of(pipeline), Value::Count(pipeline.counts.bytes))]),
    (names::LATENCY, |pipeline| vec![(of(pipeline), Value::Durations(&pipeline.latency))]),
    (names::IN_PLUGIN, |pipeline| vec![(of(pipeline), Value::Number(pipeline.running as f64))]),
    (names::STATE, states),
];

/// The metrics of partitions, and how each comes by its value at a time.
const OF_PARTITIONS: [(Metric, Level); 5] = [
    (names::BASE, |partition, _| partition.base.map(|base| base as f64)),
    (names::SETTLED_ABOVE, |partition, _| Some(partition.settled_above as f64)),
    (names::UNSETTLED, |partition, _| Some(partition.unsettled as f64)),
    (names::LAG, |partition, _| partition.lag.map(|lag| lag as f64)),
    (names::OLDEST_AGE, |partition, now| {
        let age = |admitted: u64| now.saturating_sub(admitted) as f64 / 1e3;
        Some(partition.oldest.as_ref().map_or(0.0, |oldest| age(oldest.admitted_ms)))
    }),
];

fn settled(pipeline: &Pipeline) -> Vec<Sample<'_>> {
    let counts = &pipeline.counts;
    let done = [("done", String::new(), counts.done), ("parked", String::new(), counts.parked)];
    let skipped = by_reason(&counts.skipped).into_iter().map(|(reason, count)| ("skipped", reason, count));
    let dead = by_reason(&counts.dead).into_iter().map(|(reason, count)| ("dead", reason, count));
    let sample = |(outcome, reason, count): (&str, String, u64)| {
        let mut labels = of(pipeline);
        labels.extend([(label::OUTCOME, outcome.to_owned()), (label::REASON, reason)]);
        (labels, Value::Count(count))
    };
    done.into_iter().chain(skipped).chain(dead).map(sample).collect()
}

/// Reasons cut to what a label may be; those that are the same then are counted together.
fn by_reason(counts: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut cut = BTreeMap::new();
    for (reason, count) in counts {
        *cut.entry(reason.chars().take(REASON_LIMIT).collect()).or_default() += count;
    }
    cut
}

fn states(pipeline: &Pipeline) -> Vec<Sample<'_>> {
    let sample = |state: State| {
        let mut labels = of(pipeline);
        labels.push((label::STATE, state.as_str().to_owned()));
        (labels, Value::Number(f64::from(u8::from(state == pipeline.state))))
    };
    State::ALL.map(sample).into()
}

fn of(pipeline: &Pipeline) -> Labels {
    vec![
        (label::PIPELINE, pipeline.name.clone()),
        (label::SYSTEM, pipeline.system.clone()),
        (label::TOPIC, pipeline.topic.clone()),
        (label::GROUP, pipeline.group.clone()),
    ]
}

fn doing(pipeline: &Pipeline, operation: &str) -> Labels {
    let mut labels = of(pipeline);
    labels.push((label::OPERATION, operation.to_owned()));
    labels
}

fn of_partition(pipeline: &Pipeline, partition: &Partition) -> Labels {
    let mut labels = of(pipeline);
    // A pipeline may have partitions of another topic than its own, such as one of retries.
    labels.retain(|(name, _)| *name != label::TOPIC);
    labels.extend([(label::TOPIC, partition.topic.clone()), (label::PARTITION, partition.partition.to_string())]);
    labels
}

fn family<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    samples: impl IntoIterator<Item = Sample<'a>>,
) -> Result<(), Error> {
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
    samples.into_iter().try_for_each(|(labels, value)| sample(family.encode_family(&labels)?, &value))
}

fn sample(mut encoder: MetricEncoder<'_>, value: &Value<'_>) -> Result<(), Error> {
    match value {
        Value::Count(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        Value::Number(number) => encoder.encode_gauge(number),
        Value::Durations(durations) => {
            let bound = |bound: Option<f64>| bound.unwrap_or(f64::INFINITY);
            let buckets = durations.buckets.iter().map(|bucket| (bound(bucket.up_to_seconds), bucket.count));
            let buckets: Vec<(f64, u64)> = buckets.collect();
            encoder.encode_histogram::<NoLabelSet>(durations.sum_seconds, durations.count, &buckets, None)
        }
    }
}
