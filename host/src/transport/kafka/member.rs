//! A member of a consumer group: it joins, answers what the group asks, and commits; it never reads. What the group asks
//! comes from the client's callback as an event, and is answered when the source says so. While it is not answered
//! librdkafka pauses every partition of that client, so that another client, which joins nothing, does the reading. The
//! member's own assignment is always empty: each answer is an empty one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
use tokio::sync::Notify;

use super::client::{self, Trouble};
use super::native::Closing;

/// What the group, or a call for it, said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// These partitions are given. To be answered.
    Given(Vec<u32>),
    /// These are asked back. To be answered.
    AskedBack(Vec<u32>),
    /// These are somebody else's already.
    Lost(Vec<u32>),
    /// The group has gone on without this member: everything is lost.
    Fenced(String),
}

/// Client and context of a member.
pub(super) type Member = Closing<Context>;

/// What a member's callbacks leave for the source.
pub(super) struct Context {
    said: Mutex<VecDeque<Said>>,
    /// From now on everything is answered at once, or closing would never end.
    closing: AtomicBool,
    /// Whether a poll gave something, though nothing of it is for the source.
    heard: AtomicBool,
    pub(super) trouble: Trouble,
    wake: Arc<Notify>,
}

impl Context {
    /// The next thing that was said.
    pub(super) fn next(&self) -> Option<Said> {
        self.said().pop_front()
    }

    /// Says something to the source.
    pub(super) fn say(&self, said: Said) {
        self.said().push_back(said);
        self.wake.notify_one();
    }

    /// Whether something was heard since this was last asked.
    pub(super) fn heard(&self) -> bool {
        self.heard.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn said(&self) -> std::sync::MutexGuard<'_, VecDeque<Said>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.heard.store(true, Ordering::Release);
        client::log(&self.trouble, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.store(true, Ordering::Release);
        client::told(&self.trouble, &error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, member: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let given = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.is_closing() {
            return told(answer(member, given));
        }
        let elements = list.elements();
        let partitions = elements.iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect();
        match given {
            true => self.say(Said::Given(partitions)),
            false if member.assignment_lost() => {
                told(answer(member, false));
                self.say(Said::Lost(partitions));
            }
            false => self.say(Said::AskedBack(partitions)),
        }
    }
}

/// A member of the topic's group.
pub(super) fn join(config: &ClientConfig, topic: &str, wake: &Arc<Notify>) -> KafkaResult<Arc<Member>> {
    let context = Context {
        said: Mutex::default(),
        closing: AtomicBool::new(false),
        heard: AtomicBool::new(false),
        trouble: Trouble::waking(wake.clone()),
        wake: wake.clone(),
    };
    let mut member = BaseConsumer::from_config_and_context(config, context)?;
    let waker = wake.clone();
    member.set_nonempty_callback(move || waker.notify_one());
    member.subscribe(&[topic])?;
    Ok(Arc::new(Closing::member(member)))
}

/// Tells the group that what it asked for is done.
pub(super) fn answer(member: &BaseConsumer<Context>, given: bool) -> KafkaResult<()> {
    let nothing = TopicPartitionList::new();
    match (member.rebalance_protocol(), given) {
        (RebalanceProtocol::Cooperative, true) => member.incremental_assign(&nothing),
        (RebalanceProtocol::Cooperative, false) => member.incremental_unassign(&nothing),
        (_, true) => member.assign(&nothing),
        (_, false) => member.unassign(),
    }
}

/// An answer that does not arrive is followed by the group's own: it gives the partitions to others.
pub(super) fn told(answered: KafkaResult<()>) {
    if let Err(error) = answered {
        tracing::warn!(target: "lockgate::kafka", error = client::plain(&error), "a rebalance was not answered");
    }
}

/// Whether an error means that the group has gone on without this member.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                Code::PollExceeded
                    | Code::UnknownMemberId
                    | Code::FencedMemberEpoch
                    | Code::FencedInstanceId
                    | Code::UnreleasedInstanceId
                    | Code::Fatal
            )
        )
}

/// Whether an error passes while the group agrees anew.
pub(super) fn is_of_a_rebalance(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::RebalanceInProgress | Code::IllegalGeneration | Code::StaleMemberEpoch | Code::WaitingForCoordinator
        )
    )
}

/// Whether an error passes while a classic group agrees anew, by members that stay in it.
pub(super) fn is_between_generations(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::RebalanceInProgress | Code::IllegalGeneration))
}

/// Whether an error is about the way to the brokers and not about what they say.
pub(super) fn is_of_the_way(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NotCoordinator
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
        )
    )
}
