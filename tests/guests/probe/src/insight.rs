//! What a guest can know, and a guest that keeps nothing to itself: for tests that hold that no secret comes to guests,
//! and that what they say is shown without those they have of their messages.

use std::cell::RefCell;

use crate::commands::{options, send};
use crate::lockgate::plugin::types::{Emission, Header, Outcome, Rejection, Verdict};
use crate::lockgate::plugin::{blobs, log};

thread_local! {
    /// The config, kept so that it stands in the memory.
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the config.
pub fn keep(config: String) {
    CONFIG.replace(config);
}

/// Says a text in every way that a guest has.
pub fn tell(text: &str) -> Outcome {
    println!("{text}");
    eprintln!("{text}");
    log::log(log::Level::Warn, text, &[("told".into(), text.into())]);
    log::log(log::Level::Debug, text, &[]);
    let emission = Emission {
        output: "out".into(),
        key: Some(text.as_bytes().to_vec()),
        headers: vec![Header { name: "told".into(), value: text.as_bytes().to_vec() }],
        payload: text.as_bytes().to_vec(),
    };
    let rejection = Rejection { code: text.into(), reason: text.into() };
    Outcome { verdict: Verdict::Reject(rejection), emit: vec![emission], attributes: Vec::new() }
}

/// Everything that comes of a request.
pub async fn asked(endpoint: &str, target: &str) -> String {
    match send(endpoint, target, &[]).await {
        Ok(response) => {
            let (status, url, headers) = (response.status(), response.final_url(), response.headers());
            let peeked = response.peek(1 << 10).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let body = response.read_all(1 << 20).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            format!("{status} {url} {headers:?} {peeked:?} {body:?}")
        }
        Err(error) => format!("{error:?}"),
    }
}

/// Variables and arguments. Of files no guest may even ask: such a component is refused.
pub fn surroundings() -> String {
    let variables: Vec<_> = std::env::vars_os().collect();
    let arguments: Vec<_> = std::env::args_os().collect();
    format!("{variables:?} {arguments:?}")
}

/// Puts the whole memory into a store.
pub async fn dump(store: &str, path: &str) -> Result<blobs::Stored, blobs::Error> {
    blobs::put_bytes(store.into(), path.into(), memory(), options()).await
}

#[cfg(target_arch = "wasm32")]
fn memory() -> Vec<u8> {
    const PAGE: usize = 64 << 10;
    let end = core::arch::wasm32::memory_size(0) * PAGE;
    // SAFETY: every address below the end of the memory can be read; what stands there is only copied. Not from 0 on,
    // which no pointer may be.
    (1..end).map(|address| unsafe { core::ptr::read_volatile(address as *const u8) }).collect()
}

#[cfg(not(target_arch = "wasm32"))]
fn memory() -> Vec<u8> {
    Vec::new()
}
