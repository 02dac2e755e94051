use std::time::Duration;

use serde_amqp::Value;
use serde_amqp::primitives::OrderedMap;
use serde_bytes::ByteBuf;

use super::*;
use crate::amqp::described;
use crate::auth::Grant;
use crate::config::{Config, Right, Status};
use crate::faults::Switchboard;

const SECOND: i64 = 1_800_000_000;

/// A client that says what it is told to, and the connection that it speaks with.
struct Peer {
    connection: Connection,
    now: Timestamp,
}

/// A frame that came, as its performative's code and fields, and its payload.
#[derive(Debug)]
struct Said {
    code: u64,
    fields: Vec<Value>,
    payload: Bytes,
}

impl Peer {
    /// One that has begun a session, with a token for everything, and whose sends are settled at once.
    fn new(max_frame_size: u32, window: u32) -> Self {
        Self::unopened(0).begun(max_frame_size, window)
    }

    /// The same with a session, and with a token for everything.
    fn begun(mut self, max_frame_size: u32, window: u32) -> Self {
        let peer = &mut self;
        peer.say_bytes(&AMQP_HEADER);
        assert_eq!(peer.connection.output().split_to(8)[..], AMQP_HEADER);
        let open = [string("client"), string("host"), Value::Uint(max_frame_size), Value::Null, Value::Uint(60_000)];
        assert_eq!(codes(&peer.say(0x10, open)), [0x10]);
        let begin = [Value::Null, Value::Uint(0), Value::Uint(window), Value::Uint(window)];
        assert_eq!(codes(&peer.say(0x11, begin)), [0x11]);
        let rights = [Right::Manage].into();
        let expires = peer.now.checked_add(Duration::from_secs(3600)).unwrap();
        peer.connection.context.grants.put(Grant { path: String::new(), rights, expires });
        self
    }

    /// One that has said nothing yet, and whose sends are settled so much later.
    fn unopened(settle_ms: u64) -> Self {
        let config = "max_message_size: 5000\nhubs: { hub: { partitions: 1 } }";
        let config = Config { settle_ms, ..Config::parse(config).unwrap() };
        let now = Timestamp::from_second(SECOND).unwrap();
        let (namespace, signals) = (Arc::new(Namespace::new(&config)), Signals::default());
        Self { connection: Connection::new(namespace, Arc::default(), &signals, now), now }
    }

    fn say_bytes(&mut self, bytes: &[u8]) {
        self.connection.receive(&mut BytesMut::from(bytes), self.now);
    }

    fn say(&mut self, code: u64, fields: impl IntoIterator<Item = Value>) -> Vec<Said> {
        self.say_with(code, fields, &[])
    }

    /// Says something, and hears what comes of it.
    fn say_with(&mut self, code: u64, fields: impl IntoIterator<Item = Value>, payload: &[u8]) -> Vec<Said> {
        let performative = frames::encode(&described(code, Value::List(fields.into_iter().collect())));
        let mut output = Output::default();
        output.encoded(Kind::Amqp, 0, &performative, payload);
        let bytes = output.bytes().clone();
        self.say_bytes(&bytes);
        self.hear()
    }

    /// Lets be done what is due.
    fn hear(&mut self) -> Vec<Said> {
        self.connection.turn(self.now);
        let mut said = Vec::new();
        let output = self.connection.output();
        while let Some(frame) = frames::take(output).unwrap() {
            said.push(read(frame.body));
        }
        said
    }

    fn attach(&mut self, handle: u32, is_receiver: bool, address: &str) -> Vec<Said> {
        let end = |code, address| described(code, Value::List(vec![string(address)]));
        let (source, target) = if is_receiver { (address, "client") } else { ("client", address) };
        let modes = [Value::Ubyte(2), Value::Ubyte(0), end(0x28, source), end(0x29, target)];
        let name = string(&format!("link-{handle}"));
        self.say(0x12, [name, Value::Uint(handle), Value::Bool(is_receiver)].into_iter().chain(modes))
    }

    fn send(&mut self, handle: u32, delivery: u32, size: usize) -> Vec<Said> {
        let data = frames::encode(&described(0x75, Value::Binary(ByteBuf::from(vec![7; size]))));
        self.say_with(0x14, [Value::Uint(handle), Value::Uint(delivery), Value::Null, Value::Uint(0)], &data)
    }

    /// Lets the session and a link be sent so much.
    fn flow(
        &mut self,
        next_incoming: u32,
        window: u32,
        handle: u32,
        count: u32,
        credit: u32,
        drain: bool,
    ) -> Vec<Said> {
        let session = [next_incoming, window, 0, 100].map(Value::Uint);
        let link = [handle, count, credit].map(Value::Uint);
        self.say(0x13, session.into_iter().chain(link).chain([Value::Null, Value::Bool(drain)]))
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.checked_add(Duration::from_secs(seconds)).unwrap();
    }
}

fn read(mut body: Bytes) -> Said {
    if body.is_empty() {
        return Said { code: 0, fields: Vec::new(), payload: body };
    }
    // As long as the whole: whatever it is, its fields are read from its own value.
    let length = (1..=body.len()).find(|length| serde_amqp::from_slice::<Value>(&body[..*length]).is_ok()).unwrap();
    let Value::Described(described) = serde_amqp::from_slice(&body.split_to(length)).unwrap() else { panic!() };
    let serde_amqp::descriptor::Descriptor::Code(code) = described.descriptor else { panic!() };
    let Value::List(fields) = described.value else { panic!() };
    Said { code, fields, payload: body }
}

fn codes(said: &[Said]) -> Vec<u64> {
    said.iter().map(|said| said.code).collect()
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

const SOURCE: &str = "hub/ConsumerGroups/$Default/Partitions/0";

#[test]
fn a_client_signs_in_and_begins_again() {
    let mut peer = Peer::unopened(0);
    peer.say_bytes(&SASL_HEADER);
    let mut expected = BytesMut::from(&SASL_HEADER[..]);
    let mut output = Output::default();
    output.frame(Kind::Sasl, 0, &performatives::mechanisms(&MECHANISMS));
    expected.extend_from_slice(output.bytes());
    assert_eq!(peer.connection.output().split(), expected);
    let init = described(0x41, Value::List(vec![Value::Symbol("ANONYMOUS".into())]));
    let mut output = Output::default();
    output.frame(Kind::Sasl, 0, &init);
    output.header(AMQP_HEADER);
    let said = output.bytes().clone();
    peer.say_bytes(&said);
    let mut expected = Output::default();
    expected.frame(Kind::Sasl, 0, &performatives::signed_in(true));
    expected.header(AMQP_HEADER);
    assert_eq!(peer.connection.output().split(), *expected.bytes());
}

#[test]
fn a_mechanism_that_is_not_known_ends_the_connection() {
    let mut peer = Peer::unopened(0);
    peer.say_bytes(&SASL_HEADER);
    let mut output = Output::default();
    output.frame(Kind::Sasl, 0, &described(0x41, Value::List(vec![Value::Symbol("GSSAPI".into())])));
    let said = output.bytes().clone();
    peer.say_bytes(&said);
    assert!(peer.connection.is_over());
}

#[test]
fn a_refused_attach_and_its_reason_come_together_and_without_credit() {
    let mut peer = Peer::new(65_536, 100);
    let said = peer.attach(1, false, "missing");
    assert_eq!(codes(&said), [0x12, 0x16]);
    assert_eq!((&said[0].fields[5], &said[0].fields[6]), (&Value::Null, &Value::Null));
    assert!(format!("{:?}", said[1].fields[2]).contains("amqp:not-found"));
    // The handle is free.
    assert_eq!(codes(&peer.attach(1, false, "hub")), [0x12, 0x13]);
    // Until it is not.
    assert_eq!(codes(&peer.attach(1, false, "hub")), [0x17]);
}

#[test]
fn what_is_larger_than_a_link_allows_is_rejected_and_the_link_goes_on() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    let said = peer.send(0, 0, 5001);
    assert_eq!(codes(&said), [0x15]);
    let outcome = format!("{:?}", said[0].fields[4]);
    assert!(outcome.contains("amqp:link:message-size-exceeded"), "{outcome}");
    assert!(outcome.contains("exceeds the limit (5000 bytes) currently allowed on the link."), "{outcome}");
    let said = peer.send(0, 1, 4900);
    assert!(!format!("{said:?}").contains("exceeds"), "{said:?}");
    let malformed = peer.say_with(0x14, [Value::Uint(0), Value::Uint(2)], b"nonsense");
    assert!(format!("{malformed:?}").contains("amqp:decode-error"), "{malformed:?}");
}

#[test]
fn a_delivery_is_cut_to_the_clients_frames() {
    let mut peer = Peer::new(512, 100);
    peer.attach(0, false, "hub");
    assert_eq!(codes(&peer.send(0, 0, 2000)), [0x15]);
    peer.attach(1, true, SOURCE.replace("$Default", "$default").as_str());
    peer.attach(2, true, SOURCE);
    // It begins after what there is.
    assert!(peer.flow(1, 100, 2, 0, 10, false).is_empty());
    let said = peer.send(0, 1, 2000);
    let transfers: Vec<&Said> = said.iter().filter(|said| said.code == 0x14).collect();
    assert!(transfers.len() >= 4, "{}", transfers.len());
    let more: Vec<bool> = transfers.iter().map(|said| said.fields[5] == Value::Bool(true)).collect();
    assert_eq!(more, (1..=transfers.len()).map(|part| part < transfers.len()).collect::<Vec<_>>());
    let ids: Vec<&Value> = transfers.iter().map(|said| &said.fields[1]).collect();
    assert!(ids[0] == &Value::Uint(0) && ids[1..].iter().all(|id| **id == Value::Null), "{ids:?}");
    let body: Vec<u8> = transfers.iter().flat_map(|said| said.payload.to_vec()).collect();
    assert!(body.ends_with(&vec![7; 2000]));
}

#[test]
fn a_delivery_waits_in_its_middle_for_the_clients_window() {
    let mut peer = Peer::new(512, 2);
    peer.attach(0, false, "hub");
    peer.attach(1, true, SOURCE);
    peer.flow(1, 2, 1, 0, 10, false);
    let first = peer.send(0, 0, 2000);
    assert_eq!(first.iter().filter(|said| said.code == 0x14).count(), 2);
    assert!(peer.hear().is_empty());
    let second = peer.flow(3, 2, 1, 0, 10, false);
    assert_eq!(codes(&second), [0x14, 0x14]);
    assert_eq!(second[0].fields[1], Value::Null, "it goes on, and is no new one");
    let third = peer.flow(5, 50, 1, 1, 10, false);
    assert_eq!(third.last().unwrap().fields[5], Value::Bool(false));
    let size = [first, second, third].iter().flatten().map(|said| said.payload.len()).sum::<usize>();
    assert!(size > 2000, "{size}");
}

#[test]
fn no_more_is_sent_than_there_is_credit_for_and_the_rest_is_drained() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    peer.attach(1, true, SOURCE);
    for delivery in 0..5 {
        peer.send(0, delivery, 10);
    }
    assert_eq!(codes(&peer.flow(1, 100, 1, 0, 2, false)), [0x14, 0x14]);
    assert!(peer.hear().is_empty());
    // The client has not seen both yet when it says so.
    assert_eq!(codes(&peer.flow(2, 100, 1, 1, 2, false)), [0x14]);
    let drained = peer.flow(4, 100, 1, 3, 10, true);
    assert_eq!(codes(&drained), [0x14, 0x14, 0x13]);
    let flow = &drained[2].fields;
    assert_eq!((&flow[5], &flow[6], &flow[8]), (&Value::Uint(13), &Value::Uint(0), &Value::Bool(true)));
}

#[test]
fn a_drain_is_answered_though_there_is_more_than_the_credit_is_for() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    peer.attach(1, true, SOURCE);
    for delivery in 0..3 {
        peer.send(0, delivery, 10);
    }
    let drained = peer.flow(1, 100, 1, 0, 2, true);
    assert_eq!(codes(&drained), [0x14, 0x14, 0x13]);
    let flow = &drained[2].fields;
    assert_eq!((&flow[5], &flow[6], &flow[8]), (&Value::Uint(2), &Value::Uint(0), &Value::Bool(true)));
    // And it goes on after it.
    assert_eq!(codes(&peer.flow(3, 100, 1, 2, 5, false)), [0x14]);
}

#[test]
fn whoever_wants_to_know_where_the_partition_ends_is_told_with_each_event() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    let end = |code, address| described(code, Value::List(vec![string(address)]));
    let link = [string("link-1"), Value::Uint(1), Value::Bool(true), Value::Ubyte(2), Value::Ubyte(0)];
    let desired = Value::Symbol("com.microsoft:enable-receiver-runtime-metric".into());
    let ends = [end(0x28, SOURCE), end(0x29, "client")];
    let nulls = std::iter::repeat_n(Value::Null, 5);
    assert_eq!(codes(&peer.say(0x12, link.into_iter().chain(ends).chain(nulls).chain([desired]))), [0x12]);
    for delivery in 0..3 {
        peer.send(0, delivery, 10);
    }
    let said = peer.flow(1, 100, 1, 0, 1, false);
    // The first of three, which says that there are two after it.
    let number = |text: &str, place: usize| {
        let payload = &said[0].payload;
        let at = payload.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        payload[at + text.len() + place]
    };
    assert_eq!([number("last_enqueued_sequence_number", 1), number("x-opt-sequence-number", 1)], [2, 0]);
}

#[test]
fn nothing_is_settled_sooner_than_the_configuration_says() {
    let mut peer = Peer::unopened(2000).begun(65_536, 100);
    peer.attach(0, false, "hub");
    peer.attach(1, false, "$cbs");
    assert!(peer.send(0, 0, 10).is_empty());
    assert!(peer.say_with(0x14, [Value::Uint(1), Value::Uint(1)], b"nonsense").is_empty());
    assert_eq!(peer.connection.deadline().unwrap().duration_since(peer.now).as_secs(), 2);
    peer.pass(1);
    assert!(peer.hear().is_empty());
    peer.pass(1);
    let settled = peer.hear();
    assert_eq!(codes(&settled), [0x15, 0x15]);
    let ids: Vec<&Value> = settled.iter().map(|said| &said.fields[1]).collect();
    assert!(ids.contains(&&Value::Uint(0)) && ids.contains(&&Value::Uint(1)), "{ids:?}");
}

#[test]
fn what_is_said_after_a_fault_meets_it() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    let faults = Faults { server_busy: true, ..Faults::default() };
    peer.connection.heed(Signals { faults, ..Signals::default() }, peer.now);
    let said = peer.send(0, 0, 10);
    assert!(format!("{said:?}").contains("com.microsoft:server-busy"), "{said:?}");
}

#[test]
fn what_comes_after_a_hub_is_switched_off_is_not_kept() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    let hub = peer.connection.context.namespace.hubs.get("hub").unwrap().clone();
    hub.switch(Status::SendDisabled);
    let said = peer.send(0, 0, 10);
    assert_eq!(codes(&said), [0x15, 0x16]);
    assert!(format!("{:?}", said[1].fields[2]).contains("com.microsoft:entity-disabled"), "{said:?}");
    assert_eq!(hub.at(0).unwrap().extent(peer.now).last_sequence, -1);
}

#[test]
fn whoever_bears_little_silence_is_told_that_we_live() {
    let mut peer = Peer::new(65_536, 100);
    peer.hear();
    let due = peer.connection.deadline().unwrap();
    assert_eq!(due.duration_since(peer.now).as_secs(), 30);
    peer.pass(29);
    assert!(peer.hear().is_empty());
    peer.pass(1);
    assert_eq!(codes(&peer.hear()), [0]);
    assert!(peer.hear().is_empty());
}

#[test]
fn whoever_is_silent_for_too_long_is_sent_away() {
    let mut peer = Peer::new(65_536, 100);
    peer.pass(239);
    peer.hear();
    assert!(!peer.connection.is_over());
    peer.pass(1);
    let said = peer.hear();
    assert!(format!("{said:?}").contains("amqp:connection:forced"), "{said:?}");
    assert!(peer.connection.is_over());
}

#[test]
fn a_receiver_that_waits_for_the_second_settlement_gets_it() {
    let mut peer = Peer::new(65_536, 100);
    let unsettled = [Value::Bool(true), Value::Uint(3), Value::Uint(5), Value::Bool(false), performatives::accepted()];
    let said = peer.say(0x15, unsettled);
    assert_eq!(codes(&said), [0x15]);
    assert_eq!(said[0].fields[..4], [Value::Bool(false), Value::Uint(3), Value::Uint(5), Value::Bool(true)]);
    let settled = [Value::Bool(true), Value::Uint(3), Value::Null, Value::Bool(true), performatives::accepted()];
    assert!(peer.say(0x15, settled).is_empty());
}

#[test]
fn a_request_is_answered_by_whatever_link_the_client_means() {
    let request = |reply_to: Option<&str>| {
        let mut fields = vec![Value::Null; 5];
        fields[0] = Value::Ulong(1);
        fields[4] = reply_to.map_or(Value::Null, string);
        let asked = [("operation", "READ"), ("type", "com.microsoft:eventhub"), ("name", "hub")];
        let properties = OrderedMap::from_iter(asked.map(|(name, value)| (string(name), string(value))));
        let sections = [described(0x73, Value::List(fields)), described(0x74, Value::Map(properties))];
        sections.iter().flat_map(frames::encode).collect::<Vec<u8>>()
    };
    for reply_to in [None, Some("link-1"), Some("client"), Some("$management")] {
        let mut peer = Peer::new(65_536, 100);
        peer.attach(0, false, "$management");
        peer.attach(1, true, "$management");
        peer.flow(1, 100, 1, 0, 5, false);
        let transfer = [Value::Uint(0), Value::Uint(0), Value::Null, Value::Uint(0)];
        let said = peer.say_with(0x14, transfer, &request(reply_to));
        assert_eq!(codes(&said), [0x15, 0x14], "{reply_to:?}");
        let reply = String::from_utf8_lossy(&said[1].payload).into_owned();
        assert!(reply.contains("partition_ids") && reply.contains("status-code"), "{reply}");
    }
}

#[test]
fn frames_for_what_has_ended_are_not_held_against_a_client() {
    let mut peer = Peer::new(65_536, 100);
    assert!(peer.send(9, 0, 10).is_empty());
    assert!(peer.say(0x16, [Value::Uint(9), Value::Bool(true)]).is_empty());
    assert_eq!(codes(&peer.say(0x17, [])), [0x17]);
    assert!(peer.say(0x17, []).is_empty());
    assert!(peer.attach(1, false, "hub").is_empty());
    assert!(!peer.connection.is_over());
    assert_eq!(codes(&peer.say(0x18, [])), [0x18]);
    assert!(peer.connection.is_over());
}

#[test]
fn signals_reach_links() {
    let mut peer = Peer::new(65_536, 100);
    peer.attach(0, false, "hub");
    let switchboard = Switchboard::default();
    switchboard.expire_tokens();
    let signals = switchboard.subscribe().borrow().clone();
    peer.connection.heed(signals, peer.now);
    peer.connection.turn(peer.now);
    let said: Vec<u64> = std::iter::from_fn(|| frames::take(peer.connection.output()).unwrap())
        .map(|frame| read(frame.body).code)
        .collect();
    assert_eq!(said, [0x16]);
}
