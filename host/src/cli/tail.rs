//! `lockgate tail`

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::place::Place;
use super::reading::{self, Range, Reading};
use super::{Ended, Failure, answer, record};
use crate::model::{Message, without_queries};
use crate::transport::{PartitionInfo, Transport};

/// How often the topic is looked at with `--follow`.
const LOOK: Duration = Duration::from_millis(200);
/// Messages shown where nothing is said.
const LAST: usize = 10;

/// Show messages of a topic. Takes part in no group and moves no checkpoint.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate tail claimx-dlq
  lockgate tail claimx-dlq --from earliest --json | jq .headers
  lockgate tail claimx-downloads-cached --from latest --follow

Queries of URLs are shown as `?…`, because a presigned URL is a secret, and so are values under names such as `token`;
--json shows every message as it is.")]
pub(super) struct Tail {
    #[command(flatten)]
    place: Place,
    /// Begin with `earliest`, `latest` or an offset; without it, with the last messages.
    #[arg(long, value_name = "WHERE")]
    from: Option<From>,
    /// Show so many messages and end.
    #[arg(short = 'n', value_name = "N")]
    count: Option<usize>,
    /// Go on with what is written from now on.
    #[arg(long)]
    follow: bool,
    /// One JSON object a message, which `send --records` reads byte for byte: `payload` is the payload's JSON, where
    /// it has one that is written compactly and is no text, else `payload_text` or `payload_base64` is the payload.
    #[arg(long)]
    json: bool,
    /// Only this partition.
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Earliest,
    Latest,
    Offset(i64),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            number => number.parse().map(Self::Offset).map_err(|_| "write `earliest`, `latest` or an offset".into()),
        }
    }
}

impl Tail {
    pub(super) async fn obey(self) -> Ended {
        let transport = self.place.look().await?.ok_or_else(|| self.no_topic())?;
        self.show(&transport, |message| answer(if self.json { record::line(message) } else { text(message) })).await
    }

    /// Shows what was asked for. Without --follow it ends where the topic ended at its beginning, so that it ends.
    async fn show(&self, transport: &Arc<dyn Transport>, mut show: impl FnMut(&Message) -> Ended) -> Ended {
        let ranges = self.ranges(transport.as_ref()).await?;
        let mut reading = Reading::new(transport.clone(), &self.place.topic, ranges);
        let mut left = self.limit();
        while left > 0 {
            match reading.next().await? {
                Some(message) => {
                    show(&message)?;
                    left -= 1;
                }
                None if self.follow => tokio::time::sleep(LOOK).await,
                None => break,
            }
        }
        Ok(())
    }

    fn limit(&self) -> usize {
        match (self.count, self.from, self.follow) {
            (Some(count), Some(_), _) | (Some(count), None, false) => count,
            _ => usize::MAX,
        }
    }

    async fn ranges(&self, transport: &dyn Transport) -> Result<Vec<Range>, Failure> {
        let partitions = self.partitions(transport).await?;
        let last = match self.from {
            Some(_) => BTreeMap::new(),
            None => reading::last(transport, &self.place.topic, &partitions, self.count.unwrap_or(LAST)).await?,
        };
        let from = |index: &u32, info: &PartitionInfo| match self.from {
            Some(From::Earliest) => info.first,
            Some(From::Latest) => info.end,
            Some(From::Offset(offset)) => offset.max(info.first),
            None => last.get(index).copied().unwrap_or(info.end),
        };
        let range = |(index, info): &(u32, PartitionInfo)| Range {
            partition: *index,
            from: from(index, info),
            end: (!self.follow).then_some(info.end),
        };
        Ok(partitions.iter().map(range).collect())
    }

    async fn partitions(&self, transport: &dyn Transport) -> Result<Vec<(u32, PartitionInfo)>, Failure> {
        let topics = transport.topics().await?;
        let topic = topics.into_iter().find(|topic| topic.name == self.place.topic).ok_or_else(|| self.no_topic())?;
        let all = (0..).zip(topic.partitions);
        let chosen: Vec<_> = all.filter(|(index, _)| self.partition.is_none_or(|only| only == *index)).collect();
        if chosen.is_empty() {
            let reason = format!("topic `{}` has no partition {}", self.place.topic, self.partition.unwrap_or(0));
            return Err(Failure::Usage(reason));
        }
        Ok(chosen)
    }

    fn no_topic(&self) -> Failure {
        anyhow::anyhow!("there is no topic `{}` yet; `lockgate topics` lists what there is", self.place.topic).into()
    }
}

/// A message for people: where, when, key, the host's reason if it is a dead letter, payload; without queries of URLs.
fn text(message: &Message) -> String {
    let origin = &message.origin;
    let key = message.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let why = match (message.headers.text("lockgate-code"), message.headers.text("lockgate-reason")) {
        (Some(code), Some(reason)) => format!("  [{code}: {reason}]"),
        _ => String::new(),
    };
    let payload = String::from_utf8_lossy(&message.payload);
    let told = without_queries(&format!("{key}{why}  {payload}")).into_owned();
    printable(&format!("{} {} {}  {told}", origin.partition, origin.position, origin.enqueued))
}

/// A text on one line that does nothing to a terminal: what a message holds comes from outside.
pub(super) fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
