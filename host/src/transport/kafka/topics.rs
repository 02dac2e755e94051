//! Topics of a cluster: whether they are there, how far they go, what they take, and how they are made.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::client::Plain;
use crate::transport::PartitionInfo;
use crate::transport::config::{Create, Retention};

/// How long a broker may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// What a topic takes unless told otherwise: the broker's default of `max.message.bytes`.
const DEFAULT_LARGEST: u64 = 1_048_588;

/// How many partitions a topic has; none where there is no such topic. Blocks.
pub(super) fn partitions(asker: &BaseConsumer<Plain>, topic: &str) -> Result<Option<u32>, KafkaError> {
    let metadata = asker.fetch_metadata(Some(topic), PATIENCE)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error().map(Code::from) {
        None => Ok(u32::try_from(found.partitions().len()).ok().filter(|count| *count > 0)),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic) => Ok(None),
        Some(error) => Err(KafkaError::MetadataFetch(error)),
    }
}

/// Every topic that is not Kafka's own, with its partitions. Blocks.
pub(super) fn all(asker: &BaseConsumer<Plain>) -> Result<Vec<(String, Vec<PartitionInfo>)>, KafkaError> {
    let metadata = asker.fetch_metadata(None, PATIENCE)?;
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.name().starts_with("__"));
    let mut all = Vec::new();
    for topic in topics {
        let count = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
        let bounds = match bounds(asker, topic.name(), 0..count) {
            Ok(bounds) => bounds.into_iter().collect::<Result<Vec<_>, Code>>(),
            Err(error) => Err(of_one_topic(&error).ok_or(error)?),
        };
        match bounds {
            Ok(bounds) => all.push((topic.name().to_owned(), bounds)),
            Err(code) => tracing::warn!(target: "lockgate::kafka", topic = topic.name(), %code,
                "it is not known how far the topic goes: it is left out"),
        }
    }
    Ok(all)
}

/// What is wrong with one topic only: it is being made, moved or removed.
fn of_one_topic(error: &KafkaError) -> Option<Code> {
    let passing = [Code::NotLeaderForPartition, Code::LeaderNotAvailable, Code::UnknownTopicOrPartition];
    error.rdkafka_error_code().filter(|code| passing.contains(code))
}

/// How far partitions go, in their order; one without a leader does not say. What is written and not committed does not
/// count. Blocks.
pub(super) fn bounds<C: rdkafka::consumer::ConsumerContext>(
    asker: &BaseConsumer<C>,
    topic: &str,
    partitions: impl IntoIterator<Item = u32>,
) -> Result<Vec<Result<PartitionInfo, Code>>, KafkaError> {
    let list = list(topic, partitions);
    if list.count() == 0 {
        return Ok(Vec::new());
    }
    // The two logical offsets are the times by which the protocol asks for both ends.
    let first = offsets(asker, &list, Offset::Beginning)?;
    let end = offsets(asker, &list, Offset::End)?;
    let info = |(first, end): (Result<i64, Code>, Result<i64, Code>)| {
        let first = first?;
        Ok(PartitionInfo { first, end: end?.max(first) })
    };
    Ok(first.into_iter().zip(end).map(info).collect())
}

/// How far one partition goes. Blocks.
pub(super) fn bounds_of<C: rdkafka::consumer::ConsumerContext>(
    asker: &BaseConsumer<C>,
    topic: &str,
    partition: u32,
) -> Result<PartitionInfo, KafkaError> {
    let bounds = bounds(asker, topic, [partition])?.into_iter().next();
    bounds.unwrap_or(Err(Code::UnknownPartition)).map_err(KafkaError::OffsetFetch)
}

/// The offsets of the first messages at or after a time, in milliseconds since the Unix epoch, of partitions in the
/// order of the list; the partition's end where none is so late. Blocks.
pub(super) fn offsets<C: rdkafka::consumer::ConsumerContext>(
    asker: &BaseConsumer<C>,
    list: &TopicPartitionList,
    at: Offset,
) -> Result<Vec<Result<i64, Code>>, KafkaError> {
    let mut asked = list.clone();
    asked.set_all_offsets(at)?;
    let found = asker.offsets_for_times(asked, PATIENCE)?;
    let offset = |place: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        found.find_partition(place.topic(), place.partition()).map_or(Err(Code::UnknownPartition), |found| {
            found.error().map_err(|error| error.rdkafka_error_code().unwrap_or(Code::Unknown))?;
            // None is so late.
            Ok(match found.offset() {
                Offset::Offset(offset) => offset,
                _ => -1,
            })
        })
    };
    Ok(list.elements().into_iter().map(offset).collect())
}

/// Makes a topic, unless it is there by now.
pub(super) async fn create(
    admin: &AdminClient<Plain>,
    topic: &str,
    partitions: u32,
    create: &Create,
) -> Result<(), KafkaError> {
    let settings = settings(create, partitions);
    let replication = create.replication.map_or(-1, |factor| i32::try_from(factor.get()).unwrap_or(i32::MAX));
    let topic = NewTopic::new(topic, number(partitions), TopicReplication::Fixed(replication));
    let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    match admin.create_topics([&topic], &options).await?.into_iter().next() {
        None | Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
    }
}

/// The topic's settings in Kafka's words; those that are said word by word win.
fn settings(create: &Create, partitions: u32) -> Vec<(String, String)> {
    let Retention { age, size } = create.retention;
    let age = age.map(|age| ("retention.ms".to_owned(), age.0.as_millis().to_string()));
    let of_partition = |size: crate::model::Size| (size.0 / u64::from(partitions.max(1))).max(1);
    let size = size.map(|size| ("retention.bytes".to_owned(), of_partition(size).to_string()));
    let said = create.config.iter().map(|(key, value)| (key.clone(), value.0.clone()));
    age.into_iter().chain(size).filter(|(key, _)| !create.config.contains_key(key)).chain(said).collect()
}

/// The largest batch that a topic takes, in bytes. The broker's default where it does not tell.
pub(super) async fn largest(admin: &AdminClient<Plain>, topic: &str) -> u64 {
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
    let resource = described.ok().and_then(|resources| resources.into_iter().next()?.ok());
    let said = resource.and_then(|resource| resource.get("max.message.bytes")?.value.clone()?.parse().ok());
    said.unwrap_or(DEFAULT_LARGEST)
}

/// Partitions of a topic, as the client takes them.
pub(super) fn list(topic: &str, partitions: impl IntoIterator<Item = u32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for index in partitions {
        list.add_partition(topic, number(index));
    }
    list
}

/// As the protocol numbers partitions.
pub(super) fn number(index: u32) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Period, Size};
    use crate::transport::kafka::config::Property;

    #[test]
    fn retention_is_said_in_kafkas_words_and_what_is_said_word_by_word_wins() {
        let retention = Retention { age: Some(Period::from_secs(60)), size: Some(Size(4000)) };
        let config = [("retention.ms", "5"), ("cleanup.policy", "compact")];
        let config = config.map(|(key, value)| (key.to_owned(), Property(value.to_owned())));
        let create = Create { retention, config: config.into(), ..Create::default() };
        let pairs = settings(&create, 4);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("retention.bytes", "1000"), ("cleanup.policy", "compact"), ("retention.ms", "5")]);
    }
}
