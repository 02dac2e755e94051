//! Moves a fetched file from the cache to where it stays, and says how it ended. Glue: what is decided stands in
//! [`logic`].
//!
//! In: a cached message of either domain. Out:
//!
//! | output | what | when |
//! |---|---|---|
//! | `results` | `completed`, with the real path | done |
//! | `downloads` | the task that the message came from, to fetch the file again | done: the cached file was gone |
//! | `results` | `failed_permanent` | given up |
//!
//! The file is copied, then removed from the cache. A message may come again at any time, and ends the same: what
//! stands at the destination with the right size and hash is uploaded already.

pub mod logic;

use claims::{Cached, Domain, End, Failure, REDOWNLOADS, paths};
use lockgate_plugin::blobs::{self, Place, PutOptions};
use lockgate_plugin::{Binding, Context, Emission, Message, Outcome, Worker, json, log};
use schemars::JsonSchema;
use serde::Deserialize;

use logic::{Standing, destination, is_own, redownloads, standing};

/// The plugin.
#[derive(Debug)]
pub struct Upload(Config);

/// What the plugin is told.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose messages they are.
    pub domain: Domain,
    /// The store that fetched files lie in.
    pub cache: String,
    /// The store that they go to.
    pub store: String,
}

/// What an upload came to.
enum Uploaded {
    /// The file stands at its destination.
    Stands,
    /// It is nowhere.
    Lost,
}

impl Worker for Upload {
    const NAME: &'static str = "upload";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "moves fetched files of claims messages from the cache to where they stay";
    type Config = Config;

    fn configure(config: Config, binding: &mut Binding) -> Result<Self, String> {
        if config.cache == config.store {
            return Err("`cache` and `store` are one store, but files are removed from `cache`".into());
        }
        binding.output("results").output("downloads").store(&config.cache).store(&config.store);
        Ok(Self(config))
    }

    async fn process(&self, context: &Context, message: Message) -> Result<Outcome, Outcome> {
        let cached = Cached::parse(self.0.domain, &message)?;
        match self.settle(&cached, context, &message).await {
            Ok(emission) => Ok(Outcome::done().emit(emission)),
            Err(failure) => Ok(given_up(&cached, failure, context)),
        }
    }
}

impl Upload {
    /// Sees to it that the file stands at its destination, or is fetched again; gives the message that says so.
    async fn settle(&self, cached: &Cached, context: &Context, message: &Message) -> Result<Emission, Failure> {
        let path = paths::destination(cached.destination_path(), cached.media_id())?;
        paths::within("`local_cache_path`", cached.local_cache_path())?;
        match self.upload(cached, &path).await? {
            Uploaded::Stands => {
                log::info!(trace_id = cached.trace_id(), media_id = cached.media_id(), bytes = cached.bytes(); "uploaded");
                Ok(result(cached, End::completed(&path, cached.bytes(), context))?)
            }
            Uploaded::Lost => {
                let count = redownloads(message.header(REDOWNLOADS))?;
                log::warn!(
                    trace_id = cached.trace_id(), media_id = cached.media_id(), redownloads = count;
                    "the cached file is gone: it is fetched again"
                );
                Ok(cached.to_task().to_emission("downloads")?.header(REDOWNLOADS, count.to_string()))
            }
        }
    }

    /// Moves the file.
    ///
    /// | in the cache | at the destination | what is done |
    /// |---|---|---|
    /// | the file | nothing, or the file | copied, then removed from the cache |
    /// | nothing | the file | nothing: it is uploaded already |
    /// | something else | the file | nothing: what is cached is another message's |
    /// | nothing | nothing | fetched again |
    /// | something else | nothing | removed from the cache, then fetched again |
    /// | anything | something else | never: it is not overwritten |
    ///
    /// Removed is only what lies where the message's own file is laid: a path that a message merely names may be
    /// another's.
    async fn upload(&self, cached: &Cached, path: &str) -> Result<Uploaded, Failure> {
        let found = standing(cached, blobs::stat(&self.0.cache, cached.local_cache_path()).await?.as_ref());
        if found == Standing::It && self.copied(cached, path).await? {
            self.clear(cached).await?;
            return Ok(Uploaded::Stands);
        }
        match destination(cached, path, blobs::stat(&self.0.store, path).await?.as_ref())? {
            Standing::It => Ok(Uploaded::Stands),
            Standing::Nothing | Standing::Else => {
                if found == Standing::Else {
                    self.clear(cached).await?;
                }
                Ok(Uploaded::Lost)
            }
        }
    }

    /// Copies the file; whether it was still there. Identical content at the destination is as good as a copy.
    async fn copied(&self, cached: &Cached, path: &str) -> Result<bool, Failure> {
        let from = Place { store: &self.0.cache, path: cached.local_cache_path() };
        let to = Place { store: &self.0.store, path };
        let options = PutOptions {
            content_type: cached.content_type().map(str::to_owned),
            expected_bytes: Some(cached.bytes()),
            ..PutOptions::default()
        };
        match blobs::copy(from, to, options).await {
            Ok(stored) => destination(cached, path, Some(&stored)).map(|_| true),
            Err(blobs::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the cached file. A copy that stays does no harm, so only a store that is down is a failure.
    async fn clear(&self, cached: &Cached) -> Result<(), Failure> {
        if !is_own(cached, self.0.domain) {
            log::warn!(
                trace_id = cached.trace_id(), media_id = cached.media_id();
                "the cached file stays where it is: `local_cache_path` is not where this message's file is laid"
            );
            return Ok(());
        }
        match blobs::delete(&self.0.cache, cached.local_cache_path()).await {
            Ok(()) => Ok(()),
            Err(error @ blobs::Error::Unavailable { .. }) => Err(error.into()),
            Err(error) => {
                log::warn!(
                    trace_id = cached.trace_id(), media_id = cached.media_id();
                    "the cached file stays where it is: {error}"
                );
                Ok(())
            }
        }
    }
}

fn given_up(cached: &Cached, failure: Failure, context: &Context) -> Outcome {
    failure.outcome(context, |failure| {
        let path = paths::destination(cached.destination_path(), cached.media_id());
        let path = path.unwrap_or_else(|_| cached.destination_path().to_owned());
        result(cached, End::failed(&path, failure, context)).map(Some)
    })
}

fn result(cached: &Cached, end: End) -> Result<Emission, json::Error> {
    cached.to_task().to_result("results", end)
}

lockgate_plugin::export!(Upload);

#[cfg(test)]
mod tests;
