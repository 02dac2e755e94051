//! Whom a host on Event Hubs connects to.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::copying;
use crate::hosts::{joined, stopped};

/// Messages that are copied meanwhile.
const MESSAGES: usize = 2_000;

/// The ports that a process is connected to now.
fn ports(process: u32) -> BTreeSet<u16> {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else { return BTreeSet::new() };
    let links = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links.filter_map(|link| socket(link.to_str()?)).collect();
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")));
    tables.iter().flatten().flat_map(|table| table.lines()).filter_map(|row| port(row, &sockets)).collect()
}

/// The number of a socket, as a link to it has it.
fn socket(link: &str) -> Option<String> {
    Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
}

/// The port of a connection's other end, where the row is about one of these sockets. Columns: number, own address, the
/// other's, state, queues, timer, retransmissions, user, timeout, socket. One that listens has port 0.
fn port(row: &str, sockets: &BTreeSet<String>) -> Option<u16> {
    let columns: Vec<&str> = row.split_whitespace().collect();
    let (_, port) = columns.get(2)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok().filter(|port| *port != 0)?;
    sockets.contains(*columns.get(9)?).then_some(port)
}

#[tokio::test]
async fn a_host_connects_to_the_namespace_and_to_its_checkpoints_and_to_nothing_else() {
    let (copying, namespace) = copying("network").await;
    let host = joined(&copying).await;
    let process = host.process().unwrap();
    let mut seen = BTreeSet::new();
    let settled = async {
        copying.send_these(0..MESSAGES).await;
        copying.until_settled(MESSAGES as i64).await;
    };
    tokio::pin!(settled);
    loop {
        seen.extend(ports(process));
        tokio::select! {
            () = &mut settled => break,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    stopped(host).await;
    let port = |address: &str| address.rsplit(':').next().unwrap().split('/').next().unwrap().parse::<u16>().unwrap();
    let allowed = [namespace.emulator.address(), &namespace.azurite.endpoint].map(port);
    assert_eq!(seen, BTreeSet::from(allowed));
}
