//! What becomes of messages that fail: the topic that they wait in, how long, and where their dead letters go.

use super::Checker;
use crate::flow::config::{self, LONGEST_DELAY, Later, Order};
use crate::model::Period;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::node::Spot;
use crate::spec::plan::{DeadLetter, From, Parking, Retry, Topic};
use crate::spec::shape::{self, Part};

/// The word for no store.
pub(super) const NO_STORE: &str = "none";

impl<'a> Checker<'a> {
    pub(super) fn retry(&mut self, written: &shape::Pipeline, from: Option<&From>, spot: Spot<'a>) -> Option<Retry> {
        let config::Retry { in_place, later } = written.retry.or(config::Retry::default())?;
        let Some(later) = later else { return Some(Retry { in_place, later: None }) };
        let at = spot.keys(&["retry", "later"]);
        if let Some(order) = written.order.or(Order::default()) {
            self.overtaking(&later, &order, spot);
        }
        self.delays(&later.delays, at);
        let topic = self.topic(later.transport.as_deref(), later.topic.as_deref(), at)?;
        if let Some(from) = from {
            self.told_apart(from, &topic, at);
        }
        let delays = later.delays.iter().map(|delay| delay.0).collect();
        Some(Retry { in_place, later: Some(Parking { topic, delays }) })
    }

    /// At least one, each longer than nothing and not beyond measure, and none shorter than the one before it.
    fn delays(&mut self, delays: &[Period], later: Spot<'a>) {
        let at = later.key("delays");
        if delays.is_empty() {
            let message = "without a delay no message is tried again later";
            let help = "say how long one waits after each failed round, such as `delays: [5m, 10m, 20m, 40m]`, or leave `later` out";
            self.report(Diagnostic::error("missing-key", at.place(), message).help(help));
        }
        for (index, delay) in delays.iter().enumerate() {
            self.longer_than_nothing(delay.0, at.item(index));
            if delay.0 > LONGEST_DELAY {
                let message = format!("no message is parked for longer than {}", Period(LONGEST_DELAY));
                self.error("wrong-value", at.item(index).place(), message);
            }
        }
        for (index, pair) in (1..).zip(delays.windows(2)) {
            let [before, delay] = pair else { continue };
            if delay < before {
                let message = format!("a delay of {delay} cannot follow one of {before}");
                let help =
                    "put them in order, the shortest first: a message that asks for a longer wait takes a later one";
                self.report(Diagnostic::error("wrong-value", at.item(index).place(), message).help(help));
            }
        }
    }

    /// A parked message frees its lane, so that an order does not hold for it. That has to be meant.
    fn overtaking(&mut self, later: &Later, order: &Order, pipeline: Spot<'a>) {
        let same = match order {
            Order::None => return,
            Order::Key => "of its key".to_owned(),
            Order::Partition => "of its partition".to_owned(),
            Order::Header(header) => format!("with the same `{header}`"),
        };
        if later.overtake.is_some() {
            return;
        }
        let place = pipeline.keys(&["retry", "later"]).named();
        let help = format!(
            "while a message is parked, later ones {same} will pass it; add `overtake: allowed` if they may, or leave `later` out"
        );
        self.report(
            Diagnostic::error("missing-key", place, "a message that is parked does not keep its `order`")
                .related(pipeline.key("order").place(), "the order")
                .help(help),
        );
    }

    /// The pipeline reads both topics as one, and knows their partitions by topic and number.
    fn told_apart(&mut self, from: &From, topic: &Topic, later: Spot<'a>) {
        if *from.topic == *topic.topic && from.transport != topic.transport {
            let message = format!("the pipeline reads a topic `{}` of another transport already", topic.topic);
            let help = "give this one another name here, and its own as `name` under the transport's `topics`";
            self.report(Diagnostic::error("wrong-value", later.key("topic").place(), message).help(help));
        }
    }

    pub(super) fn dead_letter(
        &mut self,
        written: &Part<shape::DeadLetter>,
        from: Option<&From>,
        spot: Spot<'a>,
    ) -> Option<DeadLetter> {
        let letter = self.required(written, "dead_letter", spot)?;
        let at = spot.key("dead_letter");
        let topic = self.topic(letter.transport.as_deref(), letter.topic.as_deref(), at);
        if let (Some(from), Some(topic)) = (from, &topic) {
            self.letters_lead_away(from, topic, spot);
        }
        let spill = match letter.spill.as_deref() {
            Some(NO_STORE) => None,
            None => {
                if let Some(topic) = &topic {
                    self.letters_fit(topic, at);
                }
                None
            }
            Some(store) => {
                self.refer("stores", "store", store, at.key("spill").place());
                Some(store.to_owned())
            }
        };
        Some(DeadLetter { topic: topic?, spill })
    }

    /// A hub takes no letter of a message that it took just so: the letter is larger by its headers. A log does, and how
    /// large a record of Kafka may be is the topic's to say.
    fn letters_fit(&mut self, topic: &Topic, at: Spot<'a>) {
        if self.is_of_event_hubs(&topic.transport) {
            let message = "`dead_letter` lacks the key `spill`";
            let help = "an event hub takes no message above its limit, and a letter is larger than the message was: name the \
                        store that payloads go to which do not fit, or say `spill: none` if such a letter may stop the \
                        pipeline";
            self.report(Diagnostic::error("missing-key", at.named(), message).help(help));
        }
    }

    fn letters_lead_away(&mut self, from: &From, dead_letter: &Topic, spot: Spot<'a>) {
        let source = (from.transport.as_str(), self.physical(&from.transport, &from.topic));
        if source == (dead_letter.transport.as_str(), self.physical(&dead_letter.transport, &dead_letter.topic)) {
            self.report(
                Diagnostic::error(
                    "wrong-value",
                    spot.keys(&["dead_letter", "topic"]).place(),
                    "dead letters would come back: this is the topic that the pipeline reads",
                )
                .related(spot.keys(&["from", "topic"]).place(), "read here"),
            );
        }
    }
}
