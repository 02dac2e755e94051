//! The record that a dead letter becomes when it is redriven: the message as it was, addressed to the pipeline that gave
//! it up, with fresh tries. Pure. Never says that a letter was redriven: that is a mark's.

use super::letters::redriven_before;
use crate::model::{Header, Headers, Message, MessageId, Record, header};

/// Where a letter goes back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// To the pipeline's retry topic, due now. It has so many steps.
    Retry {
        /// The delays of the pipeline.
        steps: usize,
    },
    /// To the topic that the pipeline reads.
    Source,
}

/// Headers of the host that stay: who the message is, where it first stood, and where the rest of it lies.
const KEPT: [&str; 10] = [
    header::ORIGIN_MS,
    header::ORIGIN_TRANSPORT,
    header::ORIGIN_TOPIC,
    header::ORIGIN_PARTITION,
    header::ORIGIN_OFFSET,
    header::ORIGIN_ENQUEUED,
    header::SPILLED_PAYLOAD,
    header::SPILLED_PAYLOAD_SHA256,
    header::SPILLED_HEADERS,
    header::SPILLED_HEADERS_SHA256,
];

/// Makes the record of a letter of a pipeline, for a topic of so many partitions.
pub fn redriven(letter: &Message, pipeline: &str, way: Way, partitions: u32) -> Record {
    let stays = |header: &&Header| !header.is_reserved() || KEPT.contains(&header.name.as_str());
    let mut headers: Headers = letter.headers.iter().filter(stays).cloned().collect();
    headers.push(header::ID, letter.id.as_str().to_owned());
    headers.push(header::FOR, pipeline.to_owned());
    headers.push(header::REDRIVEN, redriven_before(&letter.headers).saturating_add(1).to_string());
    let partition = match way {
        Way::Retry { steps } => {
            headers.push(header::DELAY_MS, "0");
            Some(of_first_step(&letter.id, steps, partitions))
        }
        Way::Source => None,
    };
    Record { key: letter.key.clone(), headers, payload: letter.payload.clone(), partition }
}

/// One of the partitions of the first step, whose index modulo the number of steps is 0: what waits there is due the
/// soonest, so that nothing which is due now waits long behind it.
fn of_first_step(id: &MessageId, steps: usize, partitions: u32) -> u32 {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX).max(1);
    let of_step = partitions.div_ceil(steps).max(1);
    u32::try_from(id.spread() % u64::from(of_step)).unwrap_or(0) * steps
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Origin, Partition, Position, Timestamp};

    fn letter() -> Message {
        let partition = Partition::new("dlq", 0);
        let origin = Origin { transport: "bus".into(), partition, position: Position(7), enqueued: Timestamp(0) };
        let mut headers = Headers::default();
        for (name, value) in [
            ("trace_id", "t-1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("lockgate-id", "m-1"),
            ("lockgate-origin-ms", "17"),
            ("lockgate-origin-topic", "claims"),
            ("lockgate-pipeline", "p"),
            ("lockgate-class", "exhausted"),
            ("lockgate-attempts", "15"),
            ("lockgate-rounds", "4"),
            ("lockgate-failures", "[]"),
            ("lockgate-first-failure", "2026-03-02T14:05:11.000Z"),
            ("lockgate-redriven", "2"),
            ("lockgate-spilled-payload", "lake/dead-letters/p/m-1/payload"),
        ] {
            headers.push(name, value);
        }
        let payload = Bytes::from_static(b"\xff as it was");
        Message { id: MessageId::given("m-1"), origin, key: Some(Bytes::from_static(b"k")), headers, payload }
    }

    #[test]
    fn the_message_is_as_it_was_and_its_tries_are_fresh() {
        let record = redriven(&letter(), "p", Way::Source, 4);
        assert_eq!((record.key, record.payload, record.partition), (letter().key, letter().payload, None));
        let headers: Vec<(&str, &[u8])> =
            record.headers.iter().map(|header| (header.name.as_str(), &header.value[..])).collect();
        let expected: [(&str, &[u8]); 8] = [
            ("trace_id", b"t-1"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("lockgate-origin-ms", b"17"),
            ("lockgate-origin-topic", b"claims"),
            ("lockgate-spilled-payload", b"lake/dead-letters/p/m-1/payload"),
            ("lockgate-id", b"m-1"),
            ("lockgate-for", b"p"),
            ("lockgate-redriven", b"3"),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn in_the_retry_topic_it_is_due_now_and_in_a_partition_of_the_first_step() {
        let record = redriven(&letter(), "p", Way::Retry { steps: 4 }, 8);
        assert_eq!(record.headers.text("lockgate-delay-ms"), Some("0"));
        for (steps, partitions, class) in
            [(4, 8, vec![0, 4]), (4, 9, vec![0, 4, 8]), (4, 4, vec![0]), (1, 2, vec![0, 1])]
        {
            let of = |number: u32| of_first_step(&MessageId::given(&format!("m-{number}")), steps, partitions);
            let mut used: Vec<u32> = (0..50).map(of).collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used, class, "{steps} steps in {partitions} partitions");
        }
    }
}
