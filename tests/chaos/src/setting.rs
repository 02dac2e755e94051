//! What the hosts of a scenario run: pipelines on topics that they share, as a spec. Pure.

use std::path::Path;
use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::message::TRIES;
use crate::on::Ground;

/// The topic of everything that is made.
pub const MADE: &str = "made";
/// The topic of dead letters.
pub const DEAD: &str = "dead";
/// The topic of what is parked.
pub const RETRY: &str = "retry";
/// The transport.
pub const BUS: &str = "bus";

/// One pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Whether messages of one key run one after another.
    pub order: Order,
    /// The partitions of the topic that it reads.
    pub partitions: u32,
}

/// What the spec calls `order`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// None.
    Free,
    /// By key.
    Key,
}

impl Shape {
    /// With and without order, on one partition and on several.
    pub const ALL: [Self; 4] = [
        Self { order: Order::Free, partitions: 1 },
        Self { order: Order::Free, partitions: 6 },
        Self { order: Order::Key, partitions: 1 },
        Self { order: Order::Key, partitions: 4 },
    ];

    /// The pipeline's name, which is its group's too.
    pub fn name(self) -> String {
        let order = match self.order {
            Order::Free => "free",
            Order::Key => "keyed",
        };
        format!("{order}-{}", self.partitions)
    }

    /// The topic that it reads.
    pub fn topic(self) -> String {
        format!("{}-work", self.name())
    }
}

/// What the hosts run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The pipelines.
    pub pipelines: Vec<Shape>,
    /// Messages of one pipeline read and not settled, at most.
    pub in_flight: usize,
    /// Messages of one pipeline in the plugin at once.
    pub concurrency: u32,
    /// How often checkpoints are stored.
    pub checkpoint_every: Duration,
    /// How long a host that stands still keeps its partitions.
    pub lease: Duration,
    /// How often hosts look for dead ones.
    pub poll: Duration,
    /// How long parked messages wait.
    pub delay: Duration,
    /// The folder of the log, where they run on one; relative to the scenario's own.
    pub bus: String,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            pipelines: Shape::ALL.to_vec(),
            in_flight: 100,
            concurrency: 8,
            checkpoint_every: Duration::from_secs(1),
            lease: Duration::from_secs(2),
            poll: Duration::from_millis(200),
            delay: Duration::from_secs(1),
            bus: "bus".into(),
        }
    }
}

impl Setting {
    /// The partitions of a topic that is not a pipeline's own.
    pub const PARTITIONS: u32 = 4;

    /// Every topic and its partitions.
    pub fn topics(&self) -> Vec<(String, u32)> {
        let own = self.pipelines.iter().map(|shape| (shape.topic(), shape.partitions));
        own.chain([MADE, DEAD, RETRY].map(|topic| (topic.to_owned(), Self::PARTITIONS))).collect()
    }

    /// As it is, but for what decides how much is between a message and its checkpoint.
    pub fn varied(self, random: &mut impl Rng) -> Self {
        let in_flight = *[10, 100, 1000].choose(random).unwrap_or(&self.in_flight);
        let most = u32::try_from(in_flight).unwrap_or(u32::MAX);
        let concurrency = most.min(*[1, 8, 32].choose(random).unwrap_or(&self.concurrency));
        let every = [50, 1000, 3000].map(Duration::from_millis);
        let checkpoint_every = *every.choose(random).unwrap_or(&self.checkpoint_every);
        Self { in_flight, concurrency, checkpoint_every, ..self }
    }

    /// Messages of a pipeline that may run again after a host ended hard: what was unsettled, and what settled since the
    /// last stored checkpoint. However small the window, each partition has an entry of its own in it.
    pub fn repeats(&self, pipeline: Shape) -> u64 {
        let partitions = u64::from(pipeline.partitions + Self::PARTITIONS);
        2 * partitions.max(self.in_flight as u64)
    }

    /// The spec, with the component that does what messages say.
    pub fn spec(&self, ground: &Ground, component: &Path) -> String {
        let mut spec = format!("lockgate: 1\n{}", ground.transport(self));
        spec.push_str(&format!("plugins: {{ faulty: {{ component: \"{}\" }} }}\npipelines:\n", component.display()));
        self.pipelines.iter().for_each(|shape| spec.push_str(&self.pipeline(ground, *shape)));
        spec
    }

    fn pipeline(&self, ground: &Ground, shape: Shape) -> String {
        let (order, overtake) = match shape.order {
            Order::Free => ("none", ""),
            Order::Key => ("key", ", overtake: allowed"),
        };
        format!(
            "  {name}:
    from: {{ topic: {topic}, group: {group}, start: earliest }}
    plugin: faulty
    to: {{ out: {{ topic: {MADE} }} }}
    concurrency: {concurrency}
    in_flight: {{ messages: {in_flight} }}
    order: {order}
    retry:
      in_place: {{ attempts: {TRIES}, first: 10ms, max: 50ms }}
      later: {{ topic: {RETRY}, delays: [{delay}ms]{overtake} }}
    dead_letter: {{ topic: {DEAD}, spill: none }}
    checkpoint_every: {every}ms
    drain_for: 10s
",
            name = shape.name(),
            topic = shape.topic(),
            group = ground.group(&shape.name()),
            in_flight = self.in_flight,
            delay = self.delay.as_millis(),
            concurrency = self.concurrency,
            every = self.checkpoint_every.as_millis(),
        )
    }
}

#[cfg(test)]
mod tests {
    use lockgate::spec::{self, Colour, Descriptions};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::on::Protocol;

    #[test]
    fn the_spec_is_one_that_the_checker_takes() {
        let kafka = |protocol| Ground::Kafka { broker: "127.0.0.1:9092".into(), prefix: "kill".into(), protocol };
        let hubs = "secrets: { hubs: { env: HUBS } }\nstores: { lake: { directory: { path: lake } } }\ntransports:\n  bus:\n    \
                    event_hubs: { connection_string: '${secrets.hubs}', checkpoints: lake }\n";
        let hubs = Ground::EventHubs { namespace: hubs.to_owned(), prefix: "kill".into() };
        let grounds = [Ground::Log("/folder".into()), kafka(Protocol::Classic), kafka(Protocol::Consumer), hubs];
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for setting in (0..100).map(|_| Setting::default().varied(&mut random)).chain([Setting::default()]) {
            for ground in &grounds {
                let loaded = spec::load_str(&setting.spec(ground, Path::new("/faulty.wasm")), &|_| None).unwrap();
                let checked = spec::check(&loaded, &Descriptions::default());
                checked.unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(Colour::Never)));
            }
        }
    }
}
