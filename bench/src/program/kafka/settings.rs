//! What plain clients tell librdkafka. Where it decides what a message costs it is what the host's own clients say;
//! nothing is compressed, so that neither side's figures are those of a compressor.

use rdkafka::ClientConfig;

/// Of a consumer that is in a group. Nothing is committed but what the client says.
pub(super) fn consumer(brokers: &str, group: &str) -> ClientConfig {
    let mut client = reader(brokers, group);
    client.set("group.protocol", "classic").set("partition.assignment.strategy", "cooperative-sticky");
    client
}

/// Of a consumer that reads by assignment, and of one that only asks.
pub(super) fn reader(brokers: &str, group: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("group.id", group).set("auto.offset.reset", "earliest");
    client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    // With the library's 1 s a client that is quicker than its queue stands still for most of the time.
    client.set("fetch.queue.backoff.ms", "5").set("queued.max.messages.kbytes", "32768");
    client
}

/// Of a producer whose records count once all in-sync replicas have them.
pub(super) fn producer(brokers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("partitioner", "murmur2_random");
    client.set("enable.idempotence", "true").set("acks", "all").set("message.timeout.ms", "30000");
    client.set("linger.ms", "5").set("batch.size", "500000").set("queue.buffering.max.kbytes", "65536");
    client
}

/// Of a producer that fills topics. It lingers for so long that few messages go as one batch.
pub(super) fn filler(brokers: &str, compression: &str) -> ClientConfig {
    let mut client = producer(brokers);
    client.set("compression.codec", compression).set("linger.ms", "100");
    client.set("batch.size", "900000").set("batch.num.messages", "100000");
    client
}
