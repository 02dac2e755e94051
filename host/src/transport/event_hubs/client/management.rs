//! What the service tells of hubs and partitions, asked at its node `$management`.
//!
//! Source: <https://learn.microsoft.com/azure/event-hubs/event-hubs-amqp-protocol-guide>, and the official clients.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp_management::error::{Error, StatusError};
use fe2o3_amqp_management::{MgmtClient, Request, Response};
use fe2o3_amqp_types::messaging::{ApplicationProperties, Message};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Value};
use tokio::time::timeout;

use super::Inner;
use super::connection::{Connection, whole, within};
use super::failure::Failure;
use crate::model::Timestamp;

/// How long an answer may take.
const CALL: Duration = Duration::from_secs(30);
const HUB: &str = "com.microsoft:eventhub";
const PARTITION: &str = "com.microsoft:partition";

/// A hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) struct Hub {
    /// How many partitions it has; they are called 0, 1 and so on.
    pub(in crate::transport) partitions: u32,
}

/// What a partition holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::transport) struct Bounds {
    /// The sequence number of the oldest event that is kept; `end` where none is.
    pub(in crate::transport) first: i64,
    /// The sequence number that the next event gets.
    pub(in crate::transport) end: i64,
    /// The offset of the last event, as other clients store it.
    pub(in crate::transport) last_offset: String,
    /// When the last event came.
    pub(in crate::transport) last_enqueued: Option<Timestamp>,
}

/// A pair of links to ask by, on a connection of their own: an answer that comes too late breaks nothing else. One question
/// at a time, for answers are not told apart.
pub(super) struct Management {
    client: MgmtClient,
    _session: SessionHandle<()>,
    connection: Connection,
}

impl Management {
    async fn open(connection: Connection, at: &str) -> Result<Self, Failure> {
        let mut session = connection.small_session().await?;
        let attach = MgmtClient::attach(&mut session, "lockgate-management");
        let client = within(at, "attaching to $management", CALL, attach).await?;
        Ok(Self { client, _session: session, connection })
    }

    /// What is answered to one question. After a failure without an answer this is of no more use: drop it.
    async fn ask(&mut self, read: Read) -> Result<Result<Properties, Failure>, Failure> {
        let (at, hub) = (read.at(), read.hub.clone());
        if let Err(failure) = self.connection.authorize(&hub).await {
            let is_answer = !matches!(failure, Failure::Unavailable(_)) && !self.connection.is_over();
            return if is_answer { Ok(Err(failure)) } else { Err(failure) };
        }
        match timeout(CALL, self.client.call(read)).await {
            Ok(Ok(properties)) => Ok(Ok(properties)),
            Ok(Err(error @ Error::Status(_))) => Ok(Err(self.connection.explain(&hub, asked(&at, error)).await)),
            Ok(Err(error)) => Err(self.connection.explain(&hub, asked(&at, error)).await),
            Err(_) => Err(Failure::unavailable(&at, format!("no answer within {} s", CALL.as_secs()))),
        }
    }
}

/// What a question failed of.
pub(super) fn asked(at: &str, error: Error) -> Failure {
    match error {
        Error::Status(StatusError { code, description }) => {
            Failure::of_status(at, code.0.get(), description.as_deref().unwrap_or("no reason given"))
        }
        Error::Send(error) => Failure::because(at, &error),
        Error::Recv(error) => Failure::because(at, &error),
        Error::Disposition(error) => Failure::because(at, &error),
        other => Failure::unavailable(at, other.to_string()),
    }
}

/// A question.
#[derive(Clone)]
struct Read {
    hub: String,
    partition: Option<u32>,
    /// The service wants to see it here as well.
    token: String,
}

/// The answer.
#[derive(Debug)]
struct Properties(OrderedMap<Value, Value>);

impl Inner {
    pub(super) async fn hub(self: &Arc<Self>, hub: &str) -> Result<Hub, Failure> {
        let at = format!("hub {hub}");
        self.read(hub, None).await?.hub().map_err(|reason| Failure::not_allowed(&at, reason))
    }

    pub(super) async fn partition(self: &Arc<Self>, hub: &str, partition: u32) -> Result<Bounds, Failure> {
        let at = format!("hub {hub}, partition {partition}");
        self.read(hub, Some(partition)).await?.bounds().map_err(|reason| Failure::not_allowed(&at, reason))
    }

    /// Asks, and hears the answer whether anybody waits for it or not: the links are of use again then.
    async fn read(self: &Arc<Self>, hub: &str, partition: Option<u32>) -> Result<Properties, Failure> {
        let (inner, hub) = (Arc::clone(self), hub.to_owned());
        whole(&self.service.at(), async move { inner.ask(&hub, partition).await }).await
    }

    /// Asks by the links that are there, and once more by new ones where the service has ended those.
    async fn ask(&self, hub: &str, partition: Option<u32>) -> Result<Properties, Failure> {
        let service = &self.service;
        service.check_entity(hub)?;
        let mut slot = self.management.lock().await;
        let token = service.credentials.token(&service.resource(hub), &service.clock).await?;
        let read = Read { hub: hub.to_owned(), partition, token: token.text().to_owned() };
        // Taken out: one that has an answer to come is not used again.
        if let Some(mut management) = slot.take()
            && let Ok(answered) = management.ask(read.clone()).await
        {
            *slot = Some(management);
            return answered;
        }
        let mut management = Management::open(Connection::open(Arc::clone(service)).await?, &read.at()).await?;
        let answered = management.ask(read).await?;
        *slot = Some(management);
        answered
    }
}

impl Read {
    fn at(&self) -> String {
        match self.partition {
            Some(partition) => format!("hub {}, partition {partition}", self.hub),
            None => format!("hub {}", self.hub),
        }
    }
}

impl Request for Read {
    const OPERATION: &'static str = "READ";
    type Response = Properties;
    type Body = ();

    fn manageable_entity_type(&mut self) -> Option<String> {
        Some(if self.partition.is_some() { PARTITION } else { HUB }.to_owned())
    }

    fn encode_application_properties(&mut self) -> Option<ApplicationProperties> {
        let mut properties = OrderedMap::new();
        let mut insert = |name: &str, value: String| properties.insert(name.to_owned(), SimpleValue::String(value));
        insert("name", self.hub.clone());
        insert("security_token", std::mem::take(&mut self.token));
        if let Some(partition) = self.partition {
            insert("partition", partition.to_string());
        }
        Some(ApplicationProperties(properties))
    }

    fn encode_body(self) -> Self::Body {}
}

impl Response for Properties {
    const STATUS_CODE: u16 = 200;
    type Body = Value;
    type Error = Error;

    fn decode_message(message: Message<Value>) -> Result<Self, Error> {
        match message.body {
            Value::Map(map) => Ok(Self(map)),
            _ => Err(Error::DecodeError(None)),
        }
    }
}

impl Properties {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Result<i64, String> {
        let number = self.get(name).and_then(|value| match value {
            Value::Long(number) => Some(*number),
            Value::Int(number) => Some((*number).into()),
            Value::Uint(number) => Some((*number).into()),
            Value::Ulong(number) => i64::try_from(*number).ok(),
            _ => None,
        });
        number.ok_or_else(|| format!("the service does not tell its {name}"))
    }

    fn hub(&self) -> Result<Hub, String> {
        let Some(Value::Array(ids)) = self.get("partition_ids") else {
            return Err("the service does not tell its partition_ids".to_owned());
        };
        let mut ids: Vec<Option<u32>> = ids.0.iter().map(|id| text(id)?.parse().ok()).collect();
        ids.sort_unstable();
        match u32::try_from(ids.len()) {
            Ok(partitions) if partitions > 0 && ids.into_iter().eq((0..partitions).map(Some)) => Ok(Hub { partitions }),
            _ => Err("its partitions are not called 0, 1 and so on, which this host cannot read".to_owned()),
        }
    }

    fn bounds(&self) -> Result<Bounds, String> {
        let end = self.number("last_enqueued_sequence_number")?.saturating_add(1);
        let first = match self.get("is_partition_empty") {
            Some(Value::Bool(true)) => end,
            _ => self.number("begin_sequence_number")?.min(end),
        };
        let last_offset = self.get("last_enqueued_offset").and_then(text).unwrap_or_default().to_owned();
        let last_enqueued = match self.get("last_enqueued_time_utc") {
            Some(Value::Timestamp(time)) => u64::try_from(time.clone().into_inner()).ok().map(Timestamp),
            _ => None,
        };
        Ok(Bounds { first: first.max(0), end: end.max(0), last_offset, last_enqueued })
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(symbol) => Some(symbol.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::primitives::{Array, Timestamp as AmqpTimestamp};

    use super::*;

    fn properties(entries: &[(&str, Value)]) -> Properties {
        Properties(entries.iter().map(|(name, value)| (Value::String((*name).to_owned()), value.clone())).collect())
    }

    fn hub(ids: &[&str]) -> Result<Hub, String> {
        let ids = ids.iter().map(|id| Value::String((*id).to_owned())).collect();
        properties(&[("partition_ids", Value::Array(Array(ids)))]).hub()
    }

    #[test]
    fn partitions_are_called_0_1_and_so_on() {
        let many: Vec<String> = (0..32).map(|id| id.to_string()).collect();
        assert_eq!(hub(&many.iter().map(String::as_str).collect::<Vec<_>>()), Ok(Hub { partitions: 32 }));
        for odd in [&[] as &[&str], &["1"], &["0", "2"], &["0", "0"], &["a"]] {
            assert!(hub(odd).is_err(), "{odd:?}");
        }
        assert!(properties(&[]).hub().is_err());
    }

    #[test]
    fn an_empty_partition_begins_where_it_ends() {
        let bounds = |first, last, is_empty| {
            let known = properties(&[
                ("begin_sequence_number", Value::Long(first)),
                ("last_enqueued_sequence_number", Value::Long(last)),
                ("last_enqueued_offset", Value::String("77".into())),
                ("last_enqueued_time_utc", Value::Timestamp(AmqpTimestamp::from(5))),
                ("is_partition_empty", Value::Bool(is_empty)),
            ]);
            let bounds = known.bounds().unwrap();
            assert_eq!((bounds.last_offset.as_str(), bounds.last_enqueued), ("77", Some(Timestamp(5))));
            (bounds.first, bounds.end)
        };
        assert_eq!(bounds(3, 9, false), (3, 10));
        assert_eq!(bounds(0, -1, true), (0, 0));
        assert_eq!(bounds(3, 9, true), (10, 10), "all of it is gone");
        assert!(properties(&[]).bounds().is_err());
    }

    #[test]
    fn a_question_names_what_it_is_about() {
        let read = Read { hub: "orders".into(), partition: Some(3), token: "T".into() };
        let message = read.into_message();
        let properties = message.application_properties.unwrap();
        let told = |name: &str| match properties.get(name) {
            Some(SimpleValue::String(text)) => text.clone(),
            other => panic!("{name}: {other:?}"),
        };
        let names = ["operation", "type", "name", "partition", "security_token"];
        assert_eq!(names.map(told), ["READ", PARTITION, "orders", "3", "T"]);
    }
}
