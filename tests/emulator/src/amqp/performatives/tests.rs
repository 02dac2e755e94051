use bytes::Bytes;
use serde_amqp::Value;

use super::say::SETTLED_FIRST;
use super::*;
use crate::amqp::described;
use crate::amqp::frames::encode;

fn composed(code: u64, fields: impl IntoIterator<Item = Value>) -> Value {
    described(code, Value::List(fields.into_iter().collect()))
}

fn fields(value: &Value) -> usize {
    match value {
        Value::Described(described) => match &described.value {
            Value::List(fields) => fields.len(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn taken(value: &Value) -> (Performative, Bytes) {
    let mut body = Bytes::from([encode(value), b"payload".to_vec()].concat());
    let performative = Performative::take(&mut body).unwrap();
    (performative, body)
}

fn attach_of(role: Role) -> Attach {
    let value = composed(
        ATTACH,
        [
            Value::String("link".to_owned()),
            Value::Uint(7),
            Value::Bool(role == Role::Receiver),
            Value::Ubyte(1),
            Value::Ubyte(1),
        ]
        .into_iter()
        .chain([composed(0x28, [Value::String("hub".to_owned())]), composed(0x29, [])]),
    );
    match taken(&value).0 {
        Performative::Attach(attach) => *attach,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_performative_has_all_of_its_fields() {
    let session = SessionFlow { next_incoming: 1, incoming_window: 2, next_outgoing: 3, outgoing_window: 4 };
    let link = LinkFlow { handle: 1, delivery_count: 2, credit: 3, drain: false };
    let attached = attach_of(Role::Receiver);
    let lengths = [
        (open("c", 1, 2, 3), 10),
        (begin(0, 1, 2, 3), 8),
        (attach(&attached, 5), 14),
        (refused_attach(&attached), 14),
        (flow(session, None), 11),
        (flow(session, Some(link)), 11),
        (transfer(0, Some(1), false, false), 11),
        (disposition(Role::Receiver, 1, 1, accepted()), 6),
        (detach(1, true, None), 3),
        (end(None), 1),
        (close(None), 1),
        (signed_in(true), 2),
    ];
    for (value, length) in lengths {
        assert_eq!(fields(&value), length, "{value:?}");
    }
}

#[test]
fn an_attach_is_answered_from_the_other_end_and_settled_first() {
    let attached = attach_of(Role::Receiver);
    assert_eq!((attached.role, attached.settle_mode), (Role::Receiver, SettleMode::Settled));
    let Value::Described(answer) = attach(&attached, 9) else { panic!() };
    let Value::List(answer) = answer.value else { panic!() };
    assert_eq!(answer[2], Value::Bool(false), "we are the sender");
    assert_eq!((&answer[3], &answer[4]), (&Value::Ubyte(1), &Value::Ubyte(SETTLED_FIRST)));
    assert_eq!((&answer[5], &answer[6]), (&attached.source, &attached.target));
    assert_eq!((&answer[9], &answer[10]), (&Value::Uint(0), &Value::Ulong(9)));
}

#[test]
fn a_refused_attach_has_no_ends() {
    let Value::Described(answer) = refused_attach(&attach_of(Role::Sender)) else { panic!() };
    let Value::List(answer) = answer.value else { panic!() };
    assert_eq!((&answer[5], &answer[6]), (&Value::Null, &Value::Null));
}

#[test]
fn fields_that_are_left_out_are_the_defaults() {
    let (performative, payload) = taken(&composed(OPEN, [Value::String("client".to_owned())]));
    let Performative::Open(open) = performative else { panic!("{performative:?}") };
    assert_eq!((open.container.as_str(), open.hostname, open.idle_timeout), ("client", None, None));
    assert_eq!(open.max_frame_size, u32::MAX);
    assert_eq!(payload, &b"payload"[..]);
}

#[test]
fn a_transfer_leaves_its_payload() {
    let (performative, payload) = taken(&transfer(4, Some(9), true, true));
    let Performative::Transfer(transfer) = performative else { panic!("{performative:?}") };
    assert_eq!((transfer.handle, transfer.delivery, transfer.format), (4, Some(9), Some(0)));
    assert!(transfer.settled && transfer.more && !transfer.aborted);
    assert_eq!(payload, &b"payload"[..]);
}

#[test]
fn what_is_no_performative_is_refused() {
    let unknown = encode(&composed(0x99, []));
    let no_list = encode(&described(OPEN, Value::Uint(1)));
    for bytes in [unknown, no_list, vec![0x40], vec![0, 0x53, 0x10, 0xc0, 9], vec![]] {
        assert!(Performative::take(&mut Bytes::from(bytes.clone())).is_err(), "{bytes:02x?}");
    }
}
