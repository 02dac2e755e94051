//! The official Event Hubs client by secure WebSocket, as plainly as it can be used: what Lockgate is measured beside.
//!
//! ```text
//! event-hubs-peer receive ENDPOINT HUB PARTITIONS COUNT
//! event-hubs-peer send    ENDPOINT HUB COUNT
//! event-hubs-peer pass    ENDPOINT FROM TO PARTITIONS
//! ```
//!
//! The connection string stands in `EVENT_HUBS`. Says `done` on a line of its own once all are there; `pass` goes on until it
//! is killed.

use std::env;
use std::time::Duration;

use anyhow::{Context, bail};
use azure_messaging_eventhubs::models::{AmqpTransport, EventData};
use azure_messaging_eventhubs::{
    ConsumerClient, EventDataBatchOptions, EventReceiver, OpenReceiverOptions, ProducerClient, StartLocation,
    StartPosition,
};
use futures::StreamExt;
use tokio::task::JoinSet;

/// Events that are asked for ahead of time, of each partition.
const PREFETCH: u32 = 1000;
/// How long a batch that is not full waits for one event more.
const LINGER: Duration = Duration::from_millis(5);
/// Bytes of an event that is sent.
const BYTES: usize = 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // More than one may be built in.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["receive", endpoint, hub, partitions, count] => {
            receive(endpoint, hub, partitions.parse()?, count.parse()?).await
        }
        ["send", endpoint, hub, count] => send(endpoint, hub, count.parse()?).await,
        ["pass", endpoint, from, to, partitions] => pass(endpoint, from, to, partitions.parse()?).await,
        _ => bail!("what there is to be said stands in the source"),
    }
}

fn connection_string() -> anyhow::Result<String> {
    env::var("EVENT_HUBS").context("EVENT_HUBS is not set")
}

async fn receiver(endpoint: &str, hub: &str, partition: usize) -> anyhow::Result<(ConsumerClient, EventReceiver)> {
    let client = ConsumerClient::builder()
        .with_transport(AmqpTransport::WebSocket)
        .with_custom_endpoint(format!("sb://{endpoint}"))
        .open_with_connection_string(&connection_string()?, Some(hub))
        .await?;
    let start = StartPosition { location: StartLocation::Earliest, inclusive: false };
    let options = OpenReceiverOptions { start_position: Some(start), prefetch: Some(PREFETCH), ..Default::default() };
    let receiver = client.open_receiver_on_partition(partition.to_string(), Some(options)).await?;
    Ok((client, receiver))
}

async fn producer(endpoint: &str, hub: &str) -> anyhow::Result<ProducerClient> {
    let client = ProducerClient::builder()
        .with_transport(AmqpTransport::WebSocket)
        .with_custom_endpoint(format!("sb://{endpoint}"))
        .open_with_connection_string(&connection_string()?, Some(hub))
        .await?;
    Ok(client)
}

/// Receives so many of each partition.
async fn receive(endpoint: &str, hub: &str, partitions: usize, count: usize) -> anyhow::Result<()> {
    let mut reading = JoinSet::new();
    for partition in 0..partitions {
        let (client, receiver) = receiver(endpoint, hub, partition).await?;
        reading.spawn(async move {
            let mut events = receiver.stream_events();
            for _ in 0..count / partitions {
                events.next().await.context("the stream has ended")??;
            }
            // The connection goes with its client.
            drop(client);
            anyhow::Ok(())
        });
    }
    while let Some(read) = reading.join_next().await {
        read??;
    }
    println!("done");
    Ok(())
}

/// Sends so many, batch after batch.
async fn send(endpoint: &str, hub: &str, count: usize) -> anyhow::Result<()> {
    let client = producer(endpoint, hub).await?;
    let mut batch = client.create_batch(None).await?;
    for _ in 0..count {
        let event = || EventData::builder().with_body(vec![b'x'; BYTES]).build();
        if !batch.try_add_event_data(event(), None)? {
            client.send_batch(batch, None).await?;
            batch = client.create_batch(None).await?;
            anyhow::ensure!(batch.try_add_event_data(event(), None)?, "an empty batch takes no event");
        }
    }
    client.send_batch(batch, None).await?;
    println!("done");
    Ok(())
}

/// From hub to hub: each event is parsed, gets a field more and is sent; each partition by itself, into the same one.
async fn pass(endpoint: &str, from: &str, to: &str, partitions: usize) -> anyhow::Result<()> {
    let mut passing = JoinSet::new();
    for partition in 0..partitions {
        let (client, receiver) = receiver(endpoint, from, partition).await?;
        let producer = producer(endpoint, to).await?;
        passing.spawn(async move {
            let _client = client;
            let mut events = receiver.stream_events();
            let options =
                || Some(EventDataBatchOptions { partition_id: Some(partition.to_string()), ..Default::default() });
            let mut batch = producer.create_batch(options()).await?;
            let mut held = 0_usize;
            loop {
                let next = match held {
                    0 => events.next().await,
                    _ => match tokio::time::timeout(LINGER, events.next()).await {
                        Ok(next) => next,
                        Err(_) => {
                            producer.send_batch(batch, None).await?;
                            (batch, held) = (producer.create_batch(options()).await?, 0);
                            continue;
                        }
                    },
                };
                let event = next.context("the stream has ended")??;
                let changed = enrich::enrich(event.event_data().body().unwrap_or_default())?;
                let event = || EventData::builder().with_body(changed.clone()).build();
                if !batch.try_add_event_data(event(), None)? {
                    producer.send_batch(batch, None).await?;
                    batch = producer.create_batch(options()).await?;
                    anyhow::ensure!(batch.try_add_event_data(event(), None)?, "an empty batch takes no event");
                    held = 0;
                }
                held += 1;
            }
            #[allow(unreachable_code, reason = "says of which kind the task's errors are")]
            anyhow::Ok(())
        });
    }
    match passing.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}
