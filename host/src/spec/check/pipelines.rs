//! Pipelines, each by itself: where they read and write, and their bounds.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::Checker;
use crate::flow::config::{InFlight, Order};
use crate::model::Period;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::near::did_you_mean;
use crate::spec::node::{Node, Spot, Value};
use crate::spec::plan::{From, Pipeline, Target, Topic};
use crate::spec::shape::{self, CONCURRENCY, Part};

const CHECKPOINT_EVERY: Period = Period::from_secs(1);
const DRAIN_FOR: Period = Period::from_secs(30);

impl<'a> Checker<'a> {
    pub(super) fn pipelines(&mut self) -> BTreeMap<Arc<str>, Pipeline> {
        self.named_well("pipelines");
        let written = &self.loaded.spec.pipelines;
        let mut sound = BTreeMap::new();
        for (name, pipeline) in written {
            if self.is_enough() {
                return sound;
            }
            if self.is_misspelt(name, pipeline) {
                continue;
            }
            match self.pipeline(name, pipeline) {
                Some(pipeline) => drop(sound.insert(Arc::clone(&pipeline.name), pipeline)),
                // Whoever finds something missing says so; this holds the promise should somebody forget.
                None if self.problems.is_empty() => {
                    let place = self.at(&["pipelines", name]).named();
                    self.error("wrong-value", place, format!("the pipeline `{name}` could not be read"));
                }
                None => {}
            }
        }
        self.among_each_other(written);
        sound
    }

    /// Whether an entry is one that an overlay or `--set` means to change and does not name right: nothing of what a
    /// pipeline needs stands in it, and another one's name is close. Says so once, in place of all that it lacks.
    fn is_misspelt(&mut self, name: &str, written: &shape::Pipeline) -> bool {
        let place = self.at(&["pipelines", name]).named();
        let lacks_all = matches!((&written.from, &written.plugin), (Part::Absent, Part::Absent));
        if place.source() == 0 || !lacks_all {
            return false;
        }
        let others = self.loaded.spec.pipelines.keys().map(String::as_str).filter(|other| *other != name);
        let Some(help) = did_you_mean(name, &others.collect::<Vec<_>>()) else { return false };
        let message = format!("no pipeline is called `{name}`");
        self.report(Diagnostic::error("unknown-name", place, message).help(help));
        true
    }

    fn pipeline(&mut self, name: &str, written: &shape::Pipeline) -> Option<Pipeline> {
        let spot = self.at(&["pipelines", name]);
        let from = self.source(name, written, spot);
        let retry = self.retry(written, from.as_ref(), spot);
        let dead_letter = self.dead_letter(&written.dead_letter, from.as_ref(), spot);
        let outputs = self.outputs(written, spot);
        let plugin = self.plugin_name(&written.plugin, spot);
        let grants = self.grants(&written.grants, spot);
        let config = written.config.or(shape::Config::default()).map(|config| serde_json::Value::Object(config.0));
        if let (Some(plugin), Some(config)) = (&plugin, &config) {
            self.against_plugin(name, plugin, config, written, spot);
        }
        let concurrency = written.concurrency.or(CONCURRENCY);
        let in_flight = written.in_flight.or(InFlight::default());
        let concurrency = self.bounds(concurrency, in_flight, spot);
        let checkpoint_every = written.checkpoint_every.or(CHECKPOINT_EVERY)?;
        self.longer_than_nothing(checkpoint_every.0, spot.key("checkpoint_every"));
        let drain_for = written.drain_for.or(DRAIN_FOR)?;
        if let Some(from) = &from {
            self.drains_in_time(from, drain_for.0, spot);
            self.drains_before_it_is_taken(from, drain_for.0, spot);
            self.is_a_hubs_group(from, spot.key("from"));
        }
        Some(Pipeline {
            name: name.into(),
            from: from?,
            plugin: plugin?,
            grants: grants?,
            config: config?,
            outputs: outputs?,
            concurrency: concurrency?,
            in_flight: in_flight?,
            order: written.order.or(Order::default())?,
            retry: retry?,
            dead_letter: dead_letter?,
            checkpoint_every: checkpoint_every.0,
            drain_for: drain_for.0,
        })
    }

    fn source(&mut self, name: &str, written: &shape::Pipeline, spot: Spot<'a>) -> Option<From> {
        let from = self.required(&written.from, "from", spot)?;
        let spot = spot.key("from");
        let topic = self.topic(from.transport.as_deref(), from.topic.as_deref(), spot)?;
        let group = from.group.as_deref().unwrap_or(name);
        self.not_empty(group.is_empty(), spot.key("group"));
        Some(From {
            transport: topic.transport,
            topic: topic.topic.into(),
            group: group.into(),
            start: from.start,
            on_lost_position: from.on_lost_position,
        })
    }

    fn outputs(&mut self, written: &shape::Pipeline, spot: Spot<'a>) -> Option<BTreeMap<String, Target>> {
        let mut outputs = BTreeMap::new();
        let mut complete = spot.key("to").node().is_none_or(|node| matches!(node.value, Value::Map(_) | Value::Null));
        for (name, target) in &written.to {
            let spot = spot.keys(&["to", name]);
            let target = match target {
                Part::Sound(shape::Target::Discard) => Some(Target::Discard),
                Part::Sound(shape::Target::Topic(topic)) => {
                    self.topic(topic.transport.as_deref(), topic.topic.as_deref(), spot).map(Target::Topic)
                }
                Part::Absent => {
                    let message = format!("the output `{name}` leads nowhere");
                    let help = "give it a topic, `{ topic: NAME }`, or say `discard`";
                    self.report(Diagnostic::error("missing-key", spot.named(), message).help(help));
                    None
                }
                Part::Broken => None,
            };
            complete &= target.is_some();
            outputs.extend(target.map(|target| (name.clone(), target)));
        }
        complete.then_some(outputs)
    }

    fn plugin_name(&mut self, written: &Part<String>, spot: Spot<'a>) -> Option<String> {
        let name = self.required(written, "plugin", spot)?;
        self.refer("plugins", "plugin", name, spot.key("plugin").place()).then(|| name.clone())
    }

    fn bounds(
        &mut self,
        concurrency: Option<NonZeroUsize>,
        in_flight: Option<InFlight>,
        spot: Spot<'a>,
    ) -> Option<NonZeroUsize> {
        let (concurrency, in_flight) = (concurrency?, in_flight?);
        let at_once = spot.key("concurrency");
        if concurrency > in_flight.messages && at_once.node().is_some() {
            let most = in_flight.messages;
            let message = format!("{concurrency} messages cannot run at once where {most} may be in flight");
            let help = "raise `in_flight.messages`, or lower `concurrency`";
            self.report(Diagnostic::error("wrong-value", at_once.place(), message).help(help));
        }
        if in_flight.bytes.0 == 0 {
            self.error("wrong-value", spot.keys(&["in_flight", "bytes"]).place(), "nothing fits into no bytes");
        }
        // Where nothing is said, a small window is a small concurrency.
        Some(concurrency.min(in_flight.messages))
    }

    /// A topic of a transport. The transport may be left out where there is only one.
    pub(super) fn topic(&mut self, transport: Option<&str>, topic: Option<&str>, spot: Spot<'a>) -> Option<Topic> {
        let transport = self.transport_name(transport, spot);
        match topic {
            None => {
                if !matches!(spot.key("topic").node(), Some(Node { value: Value::Hole, .. })) {
                    self.lacks("topic", spot);
                }
                None
            }
            Some("") => {
                self.error("wrong-value", spot.key("topic").place(), "a topic's name is empty");
                None
            }
            Some(topic) => Some(Topic { transport: transport?, topic: topic.to_owned() }),
        }
    }

    fn transport_name(&mut self, named: Option<&str>, spot: Spot<'a>) -> Option<String> {
        if let Some(name) = named {
            let place = spot.key("transport").place();
            return self.refer("transports", "transport", name, place).then(|| name.to_owned());
        }
        match self.names("transports")?.as_slice() {
            [only] => Some((*only).to_owned()),
            [] => {
                self.report(
                    Diagnostic::error("missing-key", self.at(&["transports"]).place(), "the spec has no transport")
                        .help("the embedded log needs nothing: `transports: { bus: { log: { path: data/bus } } }`"),
                );
                None
            }
            several => {
                let help = format!("there are {}: add `transport: …`", crate::spec::near::list(several));
                let message = "which transport this topic is of has to be said";
                self.report(Diagnostic::error("missing-key", spot.named(), message).help(help));
                None
            }
        }
    }

    pub(super) fn lacks(&mut self, key: &str, spot: Spot<'a>) {
        self.error("missing-key", spot.named(), format!("`{}` lacks the key `{key}`", spot.name()));
    }

    pub(super) fn required<'p, T>(&mut self, part: &'p Part<T>, key: &str, spot: Spot<'a>) -> Option<&'p T> {
        if matches!(part, Part::Absent) {
            self.lacks(key, spot);
        }
        part.get()
    }
}
