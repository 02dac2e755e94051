//! Fetches the file that a message names into a cache store, and says where it lies. Glue: what is decided stands in
//! [`logic`].
//!
//! In: a download task of either domain. Out:
//!
//! | output | what | when |
//! |---|---|---|
//! | `cached` | the file was fetched: where it lies, its size and its SHA-256 | done |
//! | `results` | `failed_permanent` (Verisk only; ClaimX expects no results of failed downloads) | given up |
//!
//! A message may come again at any time, and ends the same: a file that an earlier try has laid is not fetched again.

pub mod logic;

use std::num::NonZeroU64;
use std::time::SystemTime;

use claims::{Domain, End, Failure, File, REDOWNLOADS, Task, paths};
use lockgate_plugin::blobs::{self, PutOptions};
use lockgate_plugin::{Binding, Context, Emission, Message, Outcome, Worker, http, json, log};
use schemars::JsonSchema;
use serde::Deserialize;

use logic::{Head, Kind};

/// The plugin.
#[derive(Debug)]
pub struct Download(Config);

/// What the plugin is told.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose messages they are.
    pub domain: Domain,
    /// The endpoint that allows the hosts of the files.
    pub endpoint: String,
    /// The store that files are laid into.
    pub store: String,
    /// The largest file that is taken, in bytes.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: NonZeroU64,
}

/// 2 GiB.
fn default_max_bytes() -> NonZeroU64 {
    const TWO_GIBIBYTES: NonZeroU64 = NonZeroU64::MIN.saturating_add((2 << 30) - 1);
    TWO_GIBIBYTES
}

impl Worker for Download {
    const NAME: &'static str = "download";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "fetches the files that claims messages name into a cache store";
    type Config = Config;

    fn configure(config: Config, binding: &mut Binding) -> Result<Self, String> {
        binding.output("cached").endpoint(&config.endpoint).store(&config.store);
        if config.domain == Domain::Verisk {
            binding.output("results");
        }
        Ok(Self(config))
    }

    async fn process(&self, context: &Context, message: Message) -> Result<Outcome, Outcome> {
        let task = Task::parse(self.0.domain, &message)?;
        match self.fetch(&task, context).await {
            Ok(file) => Ok(Outcome::done().emit(cached(task, file, context, &message)?)),
            Err(failure) => Ok(given_up(&task, failure, context)),
        }
    }
}

impl Download {
    /// Sees to it that the file lies in the store.
    async fn fetch(&self, task: &Task, context: &Context) -> Result<File, Failure> {
        let path = paths::cached(task.domain(), task.trace_id(), task.media_id(), task.blob_path())?;
        paths::destination(task.blob_path(), task.media_id())?;
        let kind = logic::kind(task.url())?;
        if let Some(stored) = blobs::stat(&self.0.store, &path).await? {
            log::info!(trace_id = task.trace_id(), media_id = task.media_id(), bytes = stored.size; "fetched already");
            return Ok(file(path, kind, stored));
        }
        logic::unexpired(task, context.now())?;
        let stored = self.stream(task, kind, &path, context.now()).await?;
        log::info!(trace_id = task.trace_id(), media_id = task.media_id(), bytes = stored.size; "fetched");
        Ok(file(path, kind, stored))
    }

    /// Streams the body into the store, once everything that can be known of it before is as it should be.
    async fn stream(&self, task: &Task, kind: &Kind, path: &str, now: SystemTime) -> Result<blobs::Stored, Failure> {
        let request = http::get(&self.0.endpoint, task.url());
        let response = request.send().await.map_err(logic::unsent)?;
        let head = Head::of(&response, now);
        logic::accept(task.domain(), kind, &head, self.0.max_bytes)?;
        logic::looks_like(kind, &response.peek(logic::OPENING).await?)?;
        let options = PutOptions {
            content_type: Some(kind.media_type().to_owned()),
            max_bytes: Some(self.0.max_bytes.get()),
            expected_bytes: head.length,
            ..PutOptions::default()
        };
        Ok(blobs::put_response(&self.0.store, path, response, options).await?)
    }
}

/// The media type is the extension's and not what the origin called it, so that it is the same however often the
/// message comes.
fn file(path: String, kind: &Kind, stored: blobs::Stored) -> File {
    let content_type = Some(kind.media_type().to_owned());
    File { path, bytes: stored.size, sha256: stored.sha256, content_type }
}

/// The message that the file was fetched. How often that was goes along, or nothing would ever end it.
fn cached(task: Task, file: File, context: &Context, message: &Message) -> Result<Emission, json::Error> {
    let emission = task.into_cached(file, context.now()).to_emission("cached")?;
    Ok(match message.header(REDOWNLOADS) {
        Some(count) => emission.header(REDOWNLOADS, count),
        None => emission,
    })
}

fn given_up(task: &Task, failure: Failure, context: &Context) -> Outcome {
    failure.outcome(context, |failure| match task {
        Task::Claimx(_) => Ok(None),
        Task::Verisk(_) => {
            let path = paths::destination(task.blob_path(), task.media_id());
            let end = End::failed(&path.unwrap_or_else(|_| task.blob_path().to_owned()), failure, context);
            task.to_result("results", end).map(Some)
        }
    })
}

lockgate_plugin::export!(Download);

#[cfg(test)]
mod tests;
