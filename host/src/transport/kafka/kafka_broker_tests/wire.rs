//! Requests that no client of ours makes: they take a member's partitions away, and a topic's readers. By the protocol as
//! <https://kafka.apache.org/protocol.html> tells it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cluster::{broker, member_ids};
use crate::transport::kafka::config::GroupProtocol;

const LEAVE_GROUP: i16 = 13;
const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const CONSUMER_GROUP_HEARTBEAT: i16 = 68;

const TOPIC: u8 = 2;
const LITERAL: u8 = 3;
/// Operation and permission: everything is allowed, and reading is denied, which wins.
const RULES: [[u8; 2]; 2] = [[2, 3], [3, 2]];

/// Has a group's members leave without their knowledge.
pub(super) async fn leave(protocol: GroupProtocol, topic: &str, group: &str) {
    for member in member_ids(topic, group).await {
        match protocol {
            GroupProtocol::Classic => {
                let request = [text(group), text(&member)].concat();
                ask(LEAVE_GROUP, 1, false, &request).await;
            }
            GroupProtocol::Consumer => {
                let (gone, none, unchanged) = ((-1_i32).to_be_bytes(), [0_u8], (-1_i32).to_be_bytes());
                let names = [compact(group), compact(&member)].concat();
                // No instance, no rack, no new time-out, no topics, no assignor, no partitions, no tags.
                let rest = [&gone[..], &none, &none, &unchanged, &none, &none, &none, &none].concat();
                ask(CONSUMER_GROUP_HEARTBEAT, 0, true, &[names, rest].concat()).await;
            }
        }
    }
}

/// Nobody may read the topic.
pub(super) async fn deny_reading(topic: &str) {
    let rule = |[operation, permission]: [u8; 2]| {
        [vec![TOPIC], text(topic), vec![LITERAL], text("User:*"), text("*"), vec![operation, permission]].concat()
    };
    ask(CREATE_ACLS, 1, false, &[2_i32.to_be_bytes().to_vec(), RULES.map(rule).concat()].concat()).await;
}

/// Everybody may again.
pub(super) async fn allow_reading(topic: &str) {
    const ANY: u8 = 1;
    let filter = [vec![TOPIC], text(topic), vec![LITERAL], text("User:*"), text("*"), vec![ANY, ANY]].concat();
    ask(DELETE_ACLS, 1, false, &[1_i32.to_be_bytes().to_vec(), filter].concat()).await;
}

async fn ask(key: i16, version: i16, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut request = [key.to_be_bytes(), version.to_be_bytes()].concat();
    request.extend(7_i32.to_be_bytes());
    request.extend(text("test"));
    if flexible {
        request.push(0);
    }
    request.extend(body);
    let mut stream = TcpStream::connect(broker()).await.unwrap();
    stream.write_i32(i32::try_from(request.len()).unwrap()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut answer = vec![0; usize::try_from(stream.read_i32().await.unwrap()).unwrap()];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

fn text(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// Its length plus one as a varint.
fn compact(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut length = text.len() + 1;
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    [&bytes[..], text.as_bytes()].concat()
}
