//! A transport that fails as the weather says: what is written to it may be refused for now, and may even be there
//! though it is said not to be. It keeps what sinks and sources promise otherwise.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use lockgate::model::{Checkpoint, Message, Partition, Position, Record};
use lockgate::transport::{
    Commit, CommitError, Demand, Sink, Source, SourceEvent, Subscription, TopicInfo, Transport, TransportError,
    WriteError, Written,
};
use rand::Rng;

use crate::weather::{Fate, Station};

/// What is said of whatever fails.
const REASON: &str = "the weather is bad";

/// A transport in the weather.
pub struct Leaky {
    inner: Arc<dyn Transport>,
    station: Arc<Station>,
}

impl Leaky {
    /// Puts a transport into the weather.
    pub fn new(inner: Arc<dyn Transport>, station: Arc<Station>) -> Self {
        Self { inner, station }
    }
}

#[async_trait]
impl Transport for Leaky {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        let inner = self.inner.source(subscription).await?;
        Ok(Box::new(LeakySource { inner, station: self.station.clone() }))
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let inner = self.inner.sink(topic).await?;
        Ok(Arc::new(LeakySink { inner, topic: topic.into(), station: self.station.clone() }))
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        self.inner.topics().await
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        self.inner.checkpoints(topic, group).await
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        self.inner.read(partition, from, max).await
    }
}

struct LeakySink {
    inner: Arc<dyn Sink>,
    topic: Arc<str>,
    station: Arc<Station>,
}

impl LeakySink {
    fn unavailable(&self) -> WriteError {
        WriteError::Unavailable { topic: self.topic.clone(), reason: REASON.to_owned() }
    }

    /// How many of some records are written, and of these the last whose answer is lost, if one is. None behind the one
    /// that fails is written: it might be of the same partition.
    fn fate(&self, records: usize) -> (usize, Option<usize>) {
        let mut random = rand::rng();
        let fate = self.station.now().fate(&mut random);
        let at = if records == 0 { 0 } else { random.random_range(0..records) };
        match fate {
            Fate::Fine => (records, None),
            Fate::Fails => (at, None),
            // What cannot be counted does not happen.
            Fate::AnswerLost if records == 0 || self.station.count_lost().is_err() => (records, None),
            Fate::AnswerLost => (at + 1, Some(at)),
        }
    }
}

#[async_trait]
impl Sink for LeakySink {
    async fn write(&self, mut records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let (written, lost) = self.fate(records.len());
        let rest = records.split_off(written.min(records.len()));
        let mut answers = if records.is_empty() { Vec::new() } else { self.inner.write(records).await };
        if let Some(answer) = lost.and_then(|lost| answers.get_mut(lost)).filter(|answer| answer.is_ok()) {
            *answer = Err(self.unavailable());
        }
        answers.extend(rest.iter().map(|_| Err(self.unavailable())));
        answers
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }
}

struct LeakySource {
    inner: Box<dyn Source>,
    station: Arc<Station>,
}

#[async_trait]
impl Source for LeakySource {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        self.inner.next(demand).await
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let failed = || CommitError::Unavailable(REASON.to_owned());
        match self.station.now().fate(&mut rand::rng()) {
            Fate::Fine => self.inner.commit(commits),
            Fate::Fails => Box::pin(async move { Err(failed()) }),
            Fate::AnswerLost => {
                let storing = self.inner.commit(commits);
                Box::pin(async move {
                    storing.await?;
                    Err(failed())
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lockgate::model::Clock;
    use lockgate::transport::memory::Memory;

    use super::*;
    use crate::weather::Weather;

    /// Writes records in this weather; says which were answered, which stand there, and how many answers were lost.
    async fn write(weather: Weather, records: u8) -> (Vec<bool>, Vec<u8>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let station = Arc::new(Station::at(folder.path().join("weather.json")));
        station.set(weather).unwrap();
        let memory: Arc<dyn Transport> = Arc::new(Memory::new("m", BTreeMap::new(), Clock::system()));
        let leaky = Leaky::new(memory.clone(), station.clone());
        let record = |number| Record { partition: Some(0), payload: vec![number].into(), ..Record::default() };
        let answers = leaky.sink("t").await.unwrap().write((0..records).map(record).collect()).await;
        let there = memory.read(&Partition::new("t", 0), Position(0), 100).await.unwrap();
        let there = there.iter().map(|message| message.payload[0]).collect();
        (answers.iter().map(Result::is_ok).collect(), there, station.lost())
    }

    #[tokio::test]
    async fn what_fails_is_not_written_and_nothing_behind_it_is() {
        for _ in 0..20 {
            let (answers, there, lost) = write(Weather { failing: 100, ..Weather::default() }, 5).await;
            let written = answers.iter().filter(|answer| **answer).count();
            assert!(written < 5);
            assert_eq!(answers, (0..5).map(|number| number < written).collect::<Vec<_>>());
            assert_eq!((there, lost), ((0..written as u8).collect::<Vec<_>>(), 0));
        }
    }

    #[tokio::test]
    async fn a_lost_answer_is_of_what_was_written_and_is_counted() {
        for _ in 0..20 {
            let (answers, there, lost) = write(Weather { failing: 100, lost: 100, ..Weather::default() }, 5).await;
            let answered = answers.iter().filter(|answer| **answer).count();
            assert_eq!((there.len(), lost), (answered + 1, 1));
            assert_eq!(answers, (0..5).map(|number| number < answered).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn in_fine_weather_everything_is_written() {
        let (answers, there, lost) = write(Weather::default(), 5).await;
        assert_eq!((answers, there, lost), (vec![true; 5], vec![0, 1, 2, 3, 4], 0));
    }
}
