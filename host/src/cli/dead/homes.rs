//! Where the letters of each pipeline go back to: its retry topic where it has one, else the topic that it reads. Opened
//! when the first letter of a pipeline goes, so that what is only looked at makes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names;
use super::topics::Transports;
use crate::assemble;
use crate::flow::redrive::Way;
use crate::spec::Plan;
use crate::spec::plan::Pipeline;
use crate::transport::{Sink, TransportError};

/// Where letters of one pipeline go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Home<'a> {
    pub(super) transport: &'a str,
    pub(super) topic: &'a str,
    pub(super) way: Way,
}

impl<'a> Home<'a> {
    /// The home of the letters of a pipeline; says what to do where the spec knows none.
    pub(super) fn of(plan: &'a Plan, pipeline: &str) -> Result<Self, String> {
        let unknown = || {
            let known = names(plan.pipelines.keys().map(|name| &**name));
            format!(
                "the spec has no pipeline `{pipeline}`; it has {known}. Give the spec that it ran under with -f, or put the \
                 message into a topic with `lockgate tail --json` and `lockgate send --records --keep-id`"
            )
        };
        plan.pipelines.get(pipeline).map(Self::of_pipeline).ok_or_else(unknown)
    }

    fn of_pipeline(pipeline: &'a Pipeline) -> Self {
        match &pipeline.retry.later {
            Some(parking) => Self {
                transport: &parking.topic.transport,
                topic: &parking.topic.topic,
                way: Way::Retry { steps: parking.delays.len() },
            },
            None => Self { transport: &pipeline.from.transport, topic: &pipeline.from.topic, way: Way::Source },
        }
    }
}

/// The sinks that letters and marks go to.
pub(super) struct Sinks<'a> {
    plan: &'a Plan,
    transports: Transports,
    opened: BTreeMap<(String, String), Arc<dyn Sink>>,
}

impl<'a> Sinks<'a> {
    /// Sinks on transports of the plan, of which these are open already.
    pub(super) fn new(plan: &'a Plan, transports: Transports) -> Self {
        Self { plan, transports, opened: BTreeMap::new() }
    }

    /// The sink of a topic.
    pub(super) async fn get(&mut self, transport: &str, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let place = (transport.to_owned(), topic.to_owned());
        if let Some(sink) = self.opened.get(&place) {
            return Ok(sink.clone());
        }
        if !self.transports.contains_key(transport) {
            self.transports.insert(transport.to_owned(), assemble::transport(self.plan, transport, None)?);
        }
        let unknown = || TransportError::Config { transport: transport.into(), reason: "it is not open".into() };
        let sink = self.transports.get(transport).ok_or_else(unknown)?.sink(topic).await?;
        self.opened.insert(place, sink.clone());
        Ok(sink)
    }
}
