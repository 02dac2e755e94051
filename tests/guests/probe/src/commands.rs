//! One command a message: a word and its arguments, separated by spaces.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::poll_fn;
use std::task::Poll;

use crate::insight;
use crate::lockgate::plugin::context::Context;
use crate::lockgate::plugin::types::{Delay, Emission, Header, Message, Outcome, Rejection, Verdict};
use crate::lockgate::plugin::{blobs, http, keyvalue, log, timers};

thread_local! {
    /// Calls that this instance has seen.
    static CALLS: Cell<u32> = const { Cell::new(0) };
    /// A response that outlives the call it came in.
    static KEPT: RefCell<Option<http::Response>> = const { RefCell::new(None) };
}

/// Runs the command in a message.
pub async fn run(context: Context, message: Message) -> Outcome {
    CALLS.set(CALLS.get() + 1);
    let text = String::from_utf8_lossy(&message.payload).into_owned();
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let words: Vec<&str> = rest.split(' ').collect();
    let word_at = |index: usize| words.get(index).copied().unwrap_or_default();
    let number = |index: usize| word_at(index).parse().unwrap_or_default();
    match word {
        "" | "done" => of(Verdict::Done),
        "skip" => of(Verdict::Skip(rest.into())),
        "retry" => of(Verdict::Retry(Delay { after_ms: Some(number(0)), reason: "later".into() })),
        "hold" => of(Verdict::Hold(Delay { after_ms: None, reason: rest.into() })),
        "reject" => of(Verdict::Reject(Rejection { code: word_at(0).into(), reason: word_at(1).into() })),
        "emit" => emit(word_at(0), Vec::new(), word_at(1)),
        "header" => emit("out", vec![Header { name: word_at(0).into(), value: b"x".to_vec() }], ""),
        "bulk" => bulk(number(0), number(1)),
        "long-reject" => {
            let long = |word: &str| word.repeat(usize::try_from(number(0)).unwrap_or_default());
            of(Verdict::Reject(Rejection { code: long("c\n"), reason: long("r\n") }))
        }
        "echo" => emit("out", message.headers.clone(), &seen(&message)),
        "count" => emit("out", Vec::new(), &CALLS.get().to_string()),
        "context" => emit("out", Vec::new(), &known(&context)),
        "trap" => std::process::abort(),
        "panic" => panic!("{rest}"),
        "exit" => std::process::exit(1),
        "spin" => spin(),
        "memory" => emit("out", Vec::new(), &pages().to_string()),
        "litter" => {
            std::mem::forget(vec![1_u8; usize::try_from(number(0)).unwrap_or_default()]);
            of(Verdict::Done)
        }
        "grow" => grow(),
        "recurse" => emit("out", Vec::new(), &recurse(u64::MAX).to_string()),
        "wait" => std::future::pending().await,
        "sleep" => sleep(1, number(0)).await,
        "naps" => sleep(number(0), number(1)).await,
        "print" => {
            println!("{rest}");
            of(Verdict::Done)
        }
        "print-lines" => {
            (0..number(0)).for_each(|line| println!("line {line}"));
            of(Verdict::Done)
        }
        "block" => {
            std::thread::sleep(std::time::Duration::from_millis(number(0)));
            of(Verdict::Done)
        }
        "eprint" => {
            eprintln!("{rest}");
            of(Verdict::Done)
        }
        "eprint-trap" => {
            eprint!("{rest}");
            std::process::abort()
        }
        "log" => {
            log::log(log::Level::Warn, rest, &[("colour".into(), "red".into())]);
            of(Verdict::Done)
        }
        "lines" => {
            (0..number(0)).for_each(|line| log::log(log::Level::Info, &format!("line {line}"), &[]));
            of(Verdict::Done)
        }
        "long-line" => {
            log::log(log::Level::Info, &"é".repeat(usize::try_from(number(0)).unwrap_or_default()), &[]);
            of(Verdict::Done)
        }
        "get" => said(get(word_at(0), word_at(1)).await),
        "read" => said(read(word_at(0), word_at(1), word_at(2)).await),
        "many" => said(many(word_at(0), word_at(1), number(2)).await),
        "keep" => said(keep(word_at(0), word_at(1)).await),
        "kept" => said(kept().await),
        "leak" => said(leak(word_at(0), word_at(1), number(2)).await),
        "tail" => tail(),
        "head" => said(head(word_at(0), word_at(1)).await),
        "send-header" => said(send(word_at(0), "/", &[(word_at(1).into(), "x".into())]).await.map(|_| "sent")),
        "peek" => said(peek(word_at(0), word_at(1), word_at(2)).await),
        "store" => said(store(word_at(0), word_at(1), word_at(2), word_at(3)).await),
        "put" => said(put(word_at(0), word_at(1), word_at(2), word_at(3)).await),
        "load" => said(load(word_at(0), word_at(1), word_at(2)).await),
        "stat" => said(blobs::stat(word_at(0).into(), word_at(1).into()).await),
        "copy" => said(copy(word_at(0), word_at(1), word_at(2), word_at(3)).await),
        "delete" => said(blobs::delete(word_at(0).into(), word_at(1).into()).await),
        "blame" => insight::tell(&insight::asked(word_at(0), word_at(1)).await),
        "blame-store" => {
            insight::tell(&format!("{:?}", blobs::get(word_at(0).into(), word_at(1).into(), 1 << 20).await))
        }
        "tell" => insight::tell(rest),
        "surroundings" => emit("out", Vec::new(), &insight::surroundings()),
        "dump" => said(insight::dump(word_at(0), word_at(1)).await),
        "keyvalue" => said(keyvalue::get("ledger".into(), "key".into()).await),
        _ => of(Verdict::Reject(Rejection { code: "unknown-command".into(), reason: word.into() })),
    }
}

/// How large this instance's memory is. As a library of the tests it has none.
#[cfg(target_family = "wasm")]
fn pages() -> usize {
    core::arch::wasm32::memory_size::<0>()
}

#[cfg(not(target_family = "wasm"))]
fn pages() -> usize {
    0
}

fn of(verdict: Verdict) -> Outcome {
    Outcome { verdict, emit: Vec::new(), attributes: Vec::new() }
}

fn emit(output: &str, headers: Vec<Header>, payload: &str) -> Outcome {
    let emission = Emission { output: output.into(), key: None, headers, payload: payload.as_bytes().to_vec() };
    Outcome { verdict: Verdict::Done, emit: vec![emission], attributes: Vec::new() }
}

/// So many emissions of so many bytes each.
fn bulk(count: u64, bytes: u64) -> Outcome {
    let payload = || vec![b'x'; usize::try_from(bytes).unwrap_or_default()];
    let emission = |_| Emission { output: "out".into(), key: None, headers: Vec::new(), payload: payload() };
    Outcome { verdict: Verdict::Done, emit: (0..count).map(emission).collect(), attributes: Vec::new() }
}

/// What a host call answered, as text on output `out`.
fn said<T: Debug, E: Debug>(answer: Result<T, E>) -> Outcome {
    match answer {
        Ok(value) => emit("out", Vec::new(), &format!("ok {value:?}")),
        Err(error) => emit("out", Vec::new(), &format!("error {error:?}")),
    }
}

fn seen(message: &Message) -> String {
    let key = message.key.as_deref().map(String::from_utf8_lossy);
    let Message { id, topic, partition, offset, enqueued_ms, .. } = message;
    format!("{id} {topic} {partition} {offset} {enqueued_ms} {key:?}")
}

fn known(context: &Context) -> String {
    let remaining = context.remaining_ms().map(|ms| ms > 0);
    let (attempt, left) = (context.attempt(), context.attempts_left());
    format!("{attempt} {left} {remaining:?} {:?} {}", context.trace_parent(), context.now_ms())
}

/// Computes, for ever.
pub fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn grow() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 { 0 } else { recurse(depth - 1) ^ depth }
}

async fn sleep(times: u64, ms: u64) -> Outcome {
    for _ in 0..times {
        timers::sleep(u32::try_from(ms).unwrap_or(u32::MAX)).await;
    }
    of(Verdict::Done)
}

pub async fn send(endpoint: &str, target: &str, headers: &[(String, String)]) -> Result<http::Response, http::Error> {
    http::send(http::Request {
        method: "GET".into(),
        endpoint: endpoint.into(),
        target: target.into(),
        headers: headers.to_vec(),
        body: None,
    })
    .await
}

async fn get(endpoint: &str, target: &str) -> Result<String, http::Error> {
    let response = send(endpoint, target, &[]).await?;
    let body = response.read_all(1 << 20).await?;
    Ok(format!("{} {}", response.status(), String::from_utf8_lossy(&body)))
}

async fn read(endpoint: &str, target: &str, max: &str) -> Result<String, http::Error> {
    let response = send(endpoint, target, &[]).await?;
    let first = response.read_all(max.parse().unwrap_or_default()).await.map(|body| body.len());
    let again = response.read_all(u32::MAX).await.map(|body| body.len());
    Ok(format!("{first:?} {again:?}"))
}

/// As many bodies at once; the first error, once there is one.
async fn many(endpoint: &str, target: &str, times: u64) -> Result<usize, http::Error> {
    let mut waiting: Vec<_> = (0..times).map(|_| Box::pin(get(endpoint, target))).collect();
    let mut failed = None;
    poll_fn(|context| {
        waiting.retain_mut(|body| match body.as_mut().poll(context) {
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                false
            }
            answer => answer.is_pending(),
        });
        if waiting.is_empty() || failed.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    failed.map_or(Ok(usize::try_from(times).unwrap_or_default()), Err)
}

/// Keeps a response for a later call.
async fn keep(endpoint: &str, target: &str) -> Result<(), http::Error> {
    let response = send(endpoint, target, &[]).await?;
    KEPT.replace(Some(response));
    Ok(())
}

/// Reads the response that an earlier call kept.
async fn kept() -> Result<usize, http::Error> {
    match KEPT.take() {
        Some(response) => response.read_all(u32::MAX).await.map(|body| body.len()),
        None => Err(http::Error::Other("nothing is kept".into())),
    }
}

/// Never gives so many handles back.
async fn leak(endpoint: &str, target: &str, times: u64) -> Result<(), http::Error> {
    for _ in 0..times {
        std::mem::forget(send(endpoint, target, &[]).await?);
    }
    Ok(())
}

/// Answers at once, and then goes on.
fn tail() -> Outcome {
    wit_bindgen::spawn_local(async {
        timers::sleep(1000).await;
        log::log(log::Level::Info, "the tail goes on", &[]);
    });
    of(Verdict::Done)
}

async fn head(endpoint: &str, target: &str) -> Result<String, http::Error> {
    let response = send(endpoint, target, &[]).await?;
    let content_type = response.header("Content-Type");
    Ok(format!("{} {content_type:?} {:?} {}", response.status(), response.headers(), response.final_url()))
}

async fn peek(endpoint: &str, target: &str, n: &str) -> Result<String, http::Error> {
    let response = send(endpoint, target, &[]).await?;
    let peeked = response.peek(n.parse().unwrap_or_default()).await?;
    let whole = response.read_all(u32::MAX).await?;
    Ok(format!("{} of {}", String::from_utf8_lossy(&peeked), String::from_utf8_lossy(&whole)))
}

pub fn options() -> blobs::PutOptions {
    blobs::PutOptions { content_type: None, replace: false, max_bytes: None, expected_bytes: None }
}

async fn store(endpoint: &str, target: &str, store: &str, path: &str) -> Result<String, String> {
    let response = send(endpoint, target, &[]).await.map_err(|error| format!("{error:?}"))?;
    let sniffed = response.peek(4).await.map_err(|error| format!("{error:?}"))?;
    let stored = blobs::put_response(store.into(), path.into(), response, options()).await;
    stored
        .map(|stored| format!("{} {stored:?}", String::from_utf8_lossy(&sniffed)))
        .map_err(|error| format!("{error:?}"))
}

async fn put(store: &str, path: &str, text: &str, max: &str) -> Result<blobs::Stored, blobs::Error> {
    let options =
        blobs::PutOptions { max_bytes: max.parse().ok(), content_type: Some("text/plain".into()), ..options() };
    blobs::put_bytes(store.into(), path.into(), text.as_bytes().to_vec(), options).await
}

async fn load(store: &str, path: &str, max: &str) -> Result<String, blobs::Error> {
    let bytes = blobs::get(store.into(), path.into(), max.parse().unwrap_or(u32::MAX)).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn copy(source: &str, source_path: &str, store: &str, path: &str) -> Result<blobs::Stored, blobs::Error> {
    blobs::copy(source.into(), source_path.into(), store.into(), path.into(), options()).await
}
