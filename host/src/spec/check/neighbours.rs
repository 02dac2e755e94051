//! Pipelines among each other: who reads and writes which topic. What is compared are topics as the system behind the
//! transport names them, of every pipeline as it is written, whatever else is wrong with it.
//!
//! | a topic | may be |
//! |---|---|
//! | that a pipeline reads | read by others in other groups, and written by anybody |
//! | that messages wait in | shared by pipelines with the same delays, each in a group of its own, and nothing else |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Checker;
use crate::model::Period;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::node::Spot;
use crate::spec::place::Place;
use crate::spec::shape::{self, Part};
use crate::transport::config::Create;

/// How much longer than the longest delay a topic has to keep what waits in it: time to see that nothing reads it.
const SPARE: Duration = Duration::from_secs(24 * 60 * 60);

/// A topic as one pipeline uses it.
struct Use<'a> {
    pipeline: &'a str,
    /// The group that the pipeline reads in.
    group: &'a str,
    role: Role<'a>,
    transport: &'a str,
    /// The topic's own name in the system.
    physical: String,
    /// Where the spec says so.
    spot: Spot<'a>,
}

/// What a pipeline uses a topic for.
#[derive(Clone, Copy)]
enum Role<'a> {
    Source,
    Retry(&'a [Period]),
    Output(&'a str),
    Letters,
}

impl Use<'_> {
    fn is_same_topic(&self, other: &Self) -> bool {
        self.transport == other.transport && self.physical == other.physical
    }

    fn place(&self) -> Place {
        match self.role {
            Role::Source => self.spot.named(),
            _ => self.spot.key("topic").place(),
        }
    }
}

impl<'a> Checker<'a> {
    pub(super) fn among_each_other(&mut self, written: &'a BTreeMap<String, shape::Pipeline>) {
        let uses: Vec<Use<'a>> = written.iter().flat_map(|(name, pipeline)| self.uses(name, pipeline)).collect();
        self.readers_of_the_same(&uses);
        let mut first: Vec<&Use<'a>> = Vec::new();
        for parking in &uses {
            if self.is_enough() {
                return;
            }
            let Role::Retry(delays) = parking.role else { continue };
            self.nothing_else(parking, &uses);
            self.made_for(parking, delays);
            match first.iter().find(|other| other.is_same_topic(parking)) {
                Some(other) => self.same_delays(other, parking),
                None => first.push(parking),
            }
        }
    }

    /// A topic's own name in the system behind its transport.
    pub(super) fn physical(&self, transport: &str, topic: &str) -> String {
        let config = self.loaded.spec.transports.get(transport).and_then(Part::get);
        let name = config.and_then(|config| config.topics.get(topic)).and_then(|topic| topic.name.clone());
        name.unwrap_or_else(|| topic.to_owned())
    }

    fn uses(&self, name: &'a str, pipeline: &'a shape::Pipeline) -> Vec<Use<'a>> {
        let only = self.names("transports").and_then(|names| match names.as_slice() {
            [only] => Some(*only),
            _ => None,
        });
        let spot = self.at(&["pipelines", name]);
        let group = pipeline.from.get().and_then(|from| from.group.as_deref()).unwrap_or(name);
        let one = |role, transport: &'a Option<String>, topic: &'a Option<String>, spot| {
            let transport = transport.as_deref().or(only)?;
            let physical = self.physical(transport, topic.as_deref()?);
            Some(Use { pipeline: name, group, role, transport, physical, spot })
        };
        let source =
            pipeline.from.get().and_then(|from| one(Role::Source, &from.transport, &from.topic, spot.key("from")));
        let later = pipeline.retry.get().and_then(|retry| retry.later.as_ref());
        let retry = later.and_then(|later| {
            one(Role::Retry(&later.delays), &later.transport, &later.topic, spot.keys(&["retry", "later"]))
        });
        let letters = pipeline.dead_letter.get();
        let letters = letters.and_then(|to| one(Role::Letters, &to.transport, &to.topic, spot.key("dead_letter")));
        let outputs = pipeline.to.iter().filter_map(|(output, target)| match target {
            Part::Sound(shape::Target::Topic(to)) => {
                one(Role::Output(output), &to.transport, &to.topic, spot.keys(&["to", output]))
            }
            _ => None,
        });
        [source, retry, letters].into_iter().flatten().chain(outputs).collect()
    }

    /// Two pipelines of one group share a topic's partitions, so that each would miss what the other gets. Said once
    /// of two pipelines: the same change mends both topics.
    fn readers_of_the_same(&mut self, uses: &[Use<'a>]) {
        let mut readers: BTreeMap<(&str, &str, &str), &Use<'a>> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for reader in uses.iter().filter(|one| matches!(one.role, Role::Source | Role::Retry(_))) {
            let key = (reader.transport, reader.physical.as_str(), reader.group);
            let Some(other) = readers.insert(key, reader) else { continue };
            let (one, two) = (other.pipeline, reader.pipeline);
            if one == two || !told.insert((one, two)) {
                continue;
            }
            let what = match reader.role {
                Role::Retry(_) => "wait in the same topic",
                _ => "read the same topic",
            };
            let message =
                format!("the pipelines `{one}` and `{two}` {what} in the same group, so each would miss messages");
            self.report(
                Diagnostic::error("wrong-value", reader.place(), message)
                    .related(other.place(), "the other one")
                    .help("give each a `group` of its own"),
            );
        }
    }

    /// A topic that messages wait in holds nothing else: its readers pass over what is not parked for them.
    fn nothing_else(&mut self, parking: &Use<'a>, uses: &[Use<'a>]) {
        for other in uses.iter().filter(|other| other.is_same_topic(parking)) {
            let pipeline = other.pipeline;
            let what = match other.role {
                Role::Retry(_) => continue,
                Role::Source => format!("the pipeline `{pipeline}` reads its new messages from it"),
                Role::Output(output) => format!("the pipeline `{pipeline}` writes its output `{output}` to it"),
                Role::Letters => format!("the pipeline `{pipeline}` writes its dead letters to it"),
            };
            let message = format!("messages cannot wait in this topic: {what}");
            self.report(
                Diagnostic::error("wrong-value", parking.place(), message)
                    .related(other.place(), "used here")
                    .help("name a topic that is used for nothing else"),
            );
        }
    }

    /// The delays decide which partitions a message waits in, so that they hold for all that wait in the topic.
    fn same_delays(&mut self, one: &Use<'a>, two: &Use<'a>) {
        let (Role::Retry(expected), Role::Retry(delays)) = (one.role, two.role) else { return };
        if delays == expected || delays.is_empty() || expected.is_empty() {
            return;
        }
        let message =
            format!("the pipelines `{}` and `{}` share a retry topic and not its delays", one.pipeline, two.pipeline);
        self.report(
            Diagnostic::error("wrong-value", two.spot.key("delays").place(), message)
                .related(one.spot.key("delays").place(), "the other ones")
                .help("give both the same `delays`, or each a topic of its own"),
        );
    }

    /// Whether a topic is made and kept so that messages can wait in it, wherever the spec says something of that.
    fn made_for(&mut self, parking: &Use<'a>, delays: &'a [Period]) {
        let config = self.loaded.spec.transports.get(parking.transport).and_then(Part::get);
        for (name, topic) in config.into_iter().flat_map(|config| &config.topics) {
            if self.physical(parking.transport, name) != parking.physical {
                continue;
            }
            let Some(create) = &topic.create else { continue };
            let spot = self.at(&["transports", parking.transport, "topics", name, "create"]);
            self.enough_partitions(create, delays, spot, parking);
            self.kept_long_enough(create, delays, spot, parking);
        }
    }

    fn enough_partitions(&mut self, create: &Create, delays: &[Period], create_spot: Spot<'a>, parking: &Use<'a>) {
        let Some(partitions) = create.partitions else { return };
        if usize::try_from(partitions.get()).is_ok_and(|partitions| partitions < delays.len()) {
            let steps = delays.len();
            let message = format!("{partitions} partitions are too few: each of {steps} delays needs one of its own");
            self.report(
                Diagnostic::error("wrong-value", create_spot.key("partitions").place(), message)
                    .related(parking.spot.key("delays").place(), "the delays")
                    .help(format!("make it {steps} or more, or leave it out")),
            );
        }
    }

    fn kept_long_enough(&mut self, create: &Create, delays: &[Period], create_spot: Spot<'a>, parking: &Use<'a>) {
        let (Some(age), Some(longest)) = (create.retention.age, delays.iter().max()) else { return };
        let needed = Period(longest.0.saturating_add(SPARE));
        if age < needed {
            let message = format!("messages wait in this topic for up to {longest} and are kept for {age}");
            self.report(
                Diagnostic::warning("retention", create_spot.keys(&["retention", "age"]).place(), message)
                    .related(parking.spot.key("delays").place(), "the delays")
                    .help(format!("keep them for a day longer than the longest delay, {needed}: what is deleted before it is due is lost")),
            );
        }
    }
}
