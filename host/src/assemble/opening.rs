//! What opens a pipeline, as often as needed: its sinks, its sources and its settings, all from the plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::transports::Transports;
use crate::flow::dead_letter::Maker;
use crate::flow::pipeline::{Parts, Settings};
use crate::flow::retry::Policy;
use crate::flow::router::{Route, Router};
use crate::flow::spill::Spill;
use crate::flow::supervisor::{Open, OpenError};
use crate::plugin::Plugin;
use crate::spec::plan::{From, Pipeline, Target};
use crate::transport::{Sink, Source, Subscription, TransportError, join};

/// What opens a pipeline.
pub(super) fn opener(
    pipeline: &Pipeline,
    maker: Maker,
    plugin: Arc<dyn Plugin>,
    transports: &Transports,
    spill: Option<Arc<dyn Spill>>,
) -> Open {
    let (pipeline, transports) = (Arc::new(pipeline.clone()), transports.clone());
    Box::new(move || {
        let (pipeline, maker, plugin) = (pipeline.clone(), maker.clone(), plugin.clone());
        let (transports, spill) = (transports.clone(), spill.clone());
        Box::pin(async move {
            let router = Arc::new(router(&pipeline, &transports, spill).await?);
            let source = source(&pipeline, &transports).await.map_err(open_error)?;
            Ok((settings(&pipeline, maker), Parts { source, plugin, router, clock: transports.clock().clone() }))
        })
    })
}

async fn router(
    pipeline: &Pipeline,
    transports: &Transports,
    spill: Option<Arc<dyn Spill>>,
) -> Result<Router, OpenError> {
    let mut outputs = BTreeMap::new();
    for (output, target) in &pipeline.outputs {
        let route = match target {
            Target::Discard => Route::Discard,
            Target::Topic(place) => {
                Route::Topic(transports.sink(&place.transport, &place.topic).await.map_err(open_error)?)
            }
        };
        outputs.insert(output.clone(), route);
    }
    let letters = &pipeline.dead_letter.topic;
    let dead_letter = transports.sink(&letters.transport, &letters.topic).await.map_err(open_error)?;
    let retry = retry_topic(pipeline, transports).await?;
    Ok(Router { pipeline: pipeline.name.clone(), outputs, dead_letter, retry, spill })
}

/// Where the pipeline parks, if it does. What could not be asked for its partitions before the start is asked now.
async fn retry_topic(pipeline: &Pipeline, transports: &Transports) -> Result<Option<Arc<dyn Sink>>, OpenError> {
    let Some(parking) = &pipeline.retry.later else { return Ok(None) };
    let place = &parking.topic;
    let sink = transports.sink(&place.transport, &place.topic).await.map_err(open_error)?;
    match too_few_partitions(pipeline, sink.partitions()) {
        Some(reason) => Err(OpenError::Never(reason)),
        None => Ok(Some(sink)),
    }
}

/// What to do where a pipeline's retry topic has fewer partitions than there are delays.
pub(super) fn too_few_partitions(pipeline: &Pipeline, partitions: u32) -> Option<String> {
    let parking = pipeline.retry.later.as_ref()?;
    let delays = parking.delays.len();
    let too_few = usize::try_from(partitions).is_ok_and(|partitions| partitions < delays);
    too_few.then(|| {
        format!(
            "pipeline {}: topic {} has {partitions} partitions and `retry.later` has {delays} delays, each of which \
             needs a partition of its own; name another topic, or {partitions} delays at most",
            pipeline.name, parking.topic.topic
        )
    })
}

/// Everything that the pipeline reads, as one.
async fn source(pipeline: &Pipeline, transports: &Transports) -> Result<Box<dyn Source>, TransportError> {
    let mut sources = Vec::new();
    for From { transport, topic, group, start, on_lost_position } in pipeline.reads() {
        let subscription = Subscription { topic, group, start, on_lost_position };
        sources.push(transports.get(&transport).await?.source(&subscription).await?);
    }
    Ok(join(sources))
}

fn settings(pipeline: &Pipeline, maker: Maker) -> Settings {
    let later = pipeline.retry.later.as_ref();
    Settings {
        maker,
        concurrency: pipeline.concurrency.get(),
        in_flight: pipeline.in_flight,
        order: pipeline.order.clone(),
        retry: Policy {
            in_place: pipeline.retry.in_place,
            delays: later.map(|parking| parking.delays.clone()).unwrap_or_default(),
        },
        retry_topic: later.map(|parking| parking.topic.topic.as_str().into()),
        checkpoint_every: pipeline.checkpoint_every,
        drain_for: pipeline.drain_for,
    }
}

fn open_error(error: TransportError) -> OpenError {
    if error.is_transient() { OpenError::Later(error.to_string()) } else { OpenError::Never(error.to_string()) }
}
