//! `lockgate tail`

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};

use super::place::Place;
use super::{Ended, Failure, answer};
use crate::model::{Headers, Message, Partition, Position};
use crate::transport::{PartitionInfo, Transport, TransportError};

/// Messages read at once.
const PAGE: usize = 200;
/// How often the topic is looked at with `--follow`.
const LOOK: Duration = Duration::from_millis(200);
/// Messages shown where nothing is said.
const LAST: usize = 10;

/// Show messages of a topic. Takes part in no group and moves no checkpoint.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate tail claimx-dlq
  lockgate tail claimx-dlq --from earliest --json | jq .headers
  lockgate tail claimx-downloads-cached --from latest --follow")]
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
    /// One JSON object a message.
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
        let transport = self.place.open()?;
        let mut next = self.begin(transport.as_ref()).await?;
        let limit = self.limit();
        let mut shown = 0;
        loop {
            let mut page = self.page(&transport, &mut next).await?;
            page.sort_by_key(|message| message.origin.enqueued);
            let came = page.len();
            for message in page.into_iter().take(limit.saturating_sub(shown)) {
                answer(if self.json { json(&message).to_string() } else { text(&message) })?;
                shown += 1;
            }
            if shown >= limit || came == 0 && !self.follow {
                return Ok(());
            }
            if came == 0 {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    fn limit(&self) -> usize {
        match (self.count, self.from, self.follow) {
            (Some(count), Some(_), _) | (Some(count), None, false) => count,
            _ => usize::MAX,
        }
    }

    /// Where to read first, by partition.
    async fn begin(&self, transport: &dyn Transport) -> Result<BTreeMap<u32, i64>, Failure> {
        let partitions = self.partitions(transport).await?;
        let first = |info: &PartitionInfo| match self.from {
            Some(From::Earliest) | None => info.first,
            Some(From::Latest) => info.end,
            Some(From::Offset(offset)) => offset.max(info.first),
        };
        let begin: BTreeMap<u32, i64> = partitions.iter().map(|(index, info)| (*index, first(info))).collect();
        match self.from {
            Some(_) => Ok(begin),
            None => self.last(transport, &partitions).await,
        }
    }

    async fn partitions(&self, transport: &dyn Transport) -> Result<Vec<(u32, PartitionInfo)>, Failure> {
        let topics = transport.topics().await?;
        let topic = topics.into_iter().find(|topic| topic.name == self.place.topic).ok_or_else(|| {
            anyhow::anyhow!("there is no topic `{}` yet; `lockgate topics` lists what there is", self.place.topic)
        })?;
        let all = (0..).zip(topic.partitions);
        let chosen: Vec<_> = all.filter(|(index, _)| self.partition.is_none_or(|only| only == *index)).collect();
        if chosen.is_empty() {
            let reason = format!("topic `{}` has no partition {}", self.place.topic, self.partition.unwrap_or(0));
            return Err(Failure::Usage(reason));
        }
        Ok(chosen)
    }

    /// Where the last messages begin, told by when they were taken over all partitions.
    async fn last(
        &self,
        transport: &dyn Transport,
        partitions: &[(u32, PartitionInfo)],
    ) -> Result<BTreeMap<u32, i64>, Failure> {
        let count = self.count.unwrap_or(LAST);
        let mut newest = Vec::new();
        for (index, info) in partitions {
            let from = info.first.max(info.end.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX)));
            newest.extend(read(transport, &self.place.topic, *index, from, count).await?);
        }
        newest.sort_by_key(|message| std::cmp::Reverse(message.origin.enqueued));
        let mut begin: BTreeMap<u32, i64> = partitions.iter().map(|(index, info)| (*index, info.end)).collect();
        for message in newest.iter().take(count) {
            let first = begin.entry(message.origin.partition.index).or_insert(message.origin.position.0);
            *first = (*first).min(message.origin.position.0);
        }
        Ok(begin)
    }

    /// The next messages of every partition.
    async fn page(
        &self,
        transport: &Arc<dyn Transport>,
        next: &mut BTreeMap<u32, i64>,
    ) -> Result<Vec<Message>, Failure> {
        let mut page = Vec::new();
        for (index, from) in next {
            let messages = read(transport.as_ref(), &self.place.topic, *index, *from, PAGE).await?;
            if let Some(last) = messages.last() {
                *from = last.origin.position.0 + 1;
            }
            page.extend(messages);
        }
        Ok(page)
    }
}

async fn read(
    transport: &dyn Transport,
    topic: &str,
    index: u32,
    from: i64,
    count: usize,
) -> Result<Vec<Message>, TransportError> {
    transport.read(&Partition::new(topic, index), Position(from), count).await
}

/// A message for people: where, when, key, the host's reason if it is a dead letter, payload.
fn text(message: &Message) -> String {
    let origin = &message.origin;
    let key = message.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let why = match (message.headers.text("lockgate-code"), message.headers.text("lockgate-reason")) {
        (Some(code), Some(reason)) => format!("  [{code}: {reason}]"),
        _ => String::new(),
    };
    let payload = String::from_utf8_lossy(&message.payload);
    format!("{} {} {}  {key}{why}  {payload}", origin.partition, origin.position, origin.enqueued)
}

fn json(message: &Message) -> Value {
    let origin = &message.origin;
    let mut object = json!({
        "topic": &*origin.partition.topic,
        "partition": origin.partition.index,
        "offset": origin.position.0,
        "timestamp": origin.enqueued,
        "id": message.id.as_str(),
        "headers": headers(&message.headers),
    });
    let key = message.key.as_deref().map(|key| text_or_base64(key, "key", "key_base64"));
    let payload = match serde_json::from_slice(&message.payload) {
        Ok(payload) => ("payload", payload),
        Err(_) => text_or_base64(&message.payload, "payload", "payload_base64"),
    };
    if let Some(object) = object.as_object_mut() {
        object.extend(key.into_iter().chain([payload]).map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

fn text_or_base64(bytes: &[u8], text: &'static str, base64: &'static str) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(value) => (text, value.into()),
        Err(_) => (base64, STANDARD.encode(bytes).into()),
    }
}

/// Names to values; the first value where a name repeats.
fn headers(headers: &Headers) -> Value {
    let mut object = serde_json::Map::new();
    for header in &headers.0 {
        object.entry(&header.name).or_insert_with(|| String::from_utf8_lossy(&header.value).into());
    }
    object.into()
}
