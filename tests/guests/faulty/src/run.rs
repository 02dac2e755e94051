//! Doing it.

use std::time::Duration;

use lockgate_plugin::blobs::{self, PutOptions};
use lockgate_plugin::{Context, Emission, Message, Outcome, http, log, timers};
use serde_json::json;

use crate::Act;

/// Does what a command says.
pub(crate) async fn run(output: &str, act: Act, context: &Context, message: &Message) -> Result<Outcome, Outcome> {
    let after = |after: Option<u64>| after.map(Duration::from_millis);
    match act {
        Act::Done => Ok(Outcome::done()),
        Act::Skip { reason } => Ok(Outcome::skip(reason)),
        Act::Retry { after: given, reason } => {
            Ok(after(given).map_or_else(|| Outcome::retry(&reason), |after| Outcome::retry_after(after, &reason)))
        }
        Act::Hold { after: given, reason } => {
            Ok(after(given).map_or_else(|| Outcome::hold(&reason), |after| Outcome::hold_for(after, &reason)))
        }
        Act::Reject { code, reason, count } => {
            let published = emit(output, message, context, count, 0)?;
            Ok(published.emit.into_iter().fold(Outcome::reject(code, reason), Outcome::emit))
        }
        Act::HoldUntil { at } => hold_until(output, context, message, at),
        Act::HoldUntilBlob { store, path } => match blobs::stat(&store, &path).await? {
            Some(_) => emit(output, message, context, 1, 0),
            None => Ok(Outcome::hold(format!("nothing stands at {path} in store {store}"))),
        },
        Act::Emit { count, output: other, bytes } => {
            emit(other.as_deref().unwrap_or(output), message, context, count, bytes)
        }
        Act::UnknownOutput => Ok(Outcome::done().emit(Emission::bytes("no-such-output", "x"))),
        Act::ReservedHeader => Ok(Outcome::done().emit(Emission::bytes(output, "x").header("lockgate-id", "mine"))),
        Act::Trap => std::process::abort(),
        Act::Panic { text } => panicked(&text),
        Act::Exit => std::process::exit(3),
        Act::Spin => spin(),
        Act::Busy { ms } => {
            let until = context.now() + Duration::from_millis(ms);
            while context.now() < until {
                std::hint::black_box((0..10_000).sum::<u64>());
            }
            emit(output, message, context, 1, 0)
        }
        Act::Recurse => emit(output, message, context, 1, usize::from(recurse(u64::MAX) == 0)),
        Act::Allocate { bytes } => {
            let held = allocate(bytes.unwrap_or(u64::MAX));
            emit(output, message, context, 1, usize::from(held == 0))
        }
        Act::WaitForever => std::future::pending().await,
        Act::Slow { ms } => {
            timers::sleep(Duration::from_millis(ms)).await;
            emit(output, message, context, 1, 0)
        }
        Act::Block { ms } => {
            std::thread::sleep(Duration::from_millis(ms));
            emit(output, message, context, 1, 0)
        }
        Act::LogFlood { lines, bytes } => {
            let text = "x".repeat(bytes);
            (0..lines).for_each(|line| log::info!(line = line; "flood {text}"));
            emit(output, message, context, 1, 0)
        }
        Act::Print { text } => {
            println!("{text}");
            eprintln!("{text}");
            emit(output, message, context, 1, 0)
        }
        Act::Fetch { endpoint, target, max } => {
            let response = http::get(endpoint, target).send().await?;
            let (status, from) = (response.status(), response.final_url());
            let size = response.bytes(max).await?.len();
            said(output, message, &json!({ "status": status, "size": size, "from": from }))
        }
        Act::Store { endpoint, target, store, path } => {
            let response = http::get(endpoint, target).send().await?;
            let stored = blobs::put_response(&store, &path, response, PutOptions::default()).await?;
            said(output, message, &json!({ "size": stored.size, "sha256": stored.sha256 }))
        }
        Act::Put { store, path, text } => {
            let stored = blobs::put_bytes(&store, &path, text.into(), PutOptions::default()).await?;
            said(output, message, &json!({ "size": stored.size, "sha256": stored.sha256 }))
        }
    }
}

/// Publishes so many messages with the key of the one they came from.
pub(crate) fn emit(
    output: &str,
    message: &Message,
    context: &Context,
    count: u32,
    bytes: usize,
) -> Result<Outcome, Outcome> {
    let filling = "x".repeat(bytes);
    (0..count).try_fold(Outcome::done(), |outcome, ordinal| {
        let body = json!({ "id": message.id, "ordinal": ordinal, "attempt": context.attempt(), "filling": filling });
        Ok(outcome.emit(keyed(output, message, &body)?))
    })
}

fn said(output: &str, message: &Message, body: &serde_json::Value) -> Result<Outcome, Outcome> {
    Ok(Outcome::done().emit(keyed(output, message, body)?))
}

fn keyed(output: &str, message: &Message, body: &serde_json::Value) -> Result<Emission, Outcome> {
    let emission = Emission::json(output, body)?;
    Ok(match &message.key {
        Some(key) => emission.key(key.clone()),
        None => emission,
    })
}

fn hold_until(output: &str, context: &Context, message: &Message, at: u64) -> Result<Outcome, Outcome> {
    let until = std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(at);
    match until.duration_since(context.now()) {
        Ok(left) if !left.is_zero() => Ok(Outcome::hold_for(left, "it is too early")),
        _ => emit(output, message, context, 1, 0),
    }
}

/// Panics.
#[expect(clippy::panic, reason = "this is what it is for")]
pub(crate) fn panicked(text: &str) -> ! {
    panic!("{text}")
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == 0 { frame.iter().sum() } else { recurse(depth - 1).wrapping_add(frame.iter().sum()) }
}

/// Takes memory in mebibytes, and touches it.
fn allocate(bytes: u64) -> usize {
    let mebibytes = bytes.div_ceil(1 << 20);
    let mut held = Vec::new();
    for _ in 0..mebibytes {
        held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
    held.len()
}
