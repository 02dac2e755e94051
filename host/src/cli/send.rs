//! `lockgate send`

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::place::{Place, Unknown};
use super::{Ended, Failure, answer, record};
use crate::model::header;
use crate::model::{Headers, Record};
use crate::transport::Sink;

/// Records written at once; so many more may be read while a write lasts, then reading waits.
const BATCH: usize = 500;
/// Bytes read at once.
const READ: usize = 256 << 10;

/// Write messages to a topic.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  echo '{\"hello\":\"world\"}' | lockgate send claimx-downloads-pending
  lockgate send claimx-downloads-pending tasks.ndjson --key C-1001 --header source=replay
  lockgate send scans --create --raw scan.pdf
  lockgate tail claimx-dlq --from earliest --json | lockgate send claimx-downloads-pending --records --keep-id")]
pub(super) struct Send {
    #[command(flatten)]
    place: Place,
    /// Where the messages are; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// The key of every message that has none of its own.
    #[arg(long)]
    key: Option<String>,
    /// A header of every message.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The whole input is the payload of one message, whatever it is. Otherwise each line is one message's JSON.
    #[arg(long, conflicts_with = "records")]
    raw: bool,
    /// Each line is an object with the payload and, where wanted, `key` and `headers`, as `tail --json` prints it:
    /// they come back byte for byte. Headers whose names begin with `lockgate-` are left out.
    #[arg(long)]
    records: bool,
    /// With --records: messages keep their ids, so that plugins know a message that they have seen before.
    #[arg(long, requires = "records")]
    keep_id: bool,
    /// Make the topic where it is not there and the spec does not name it.
    #[arg(long)]
    create: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    match name {
        "" => Err("the name is empty".into()),
        _ if name.starts_with(header::RESERVED_PREFIX) => {
            Err(format!("names that begin with {} are the host's", header::RESERVED_PREFIX))
        }
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

impl Send {
    pub(super) async fn obey(self) -> Ended {
        let unknown = if self.create { Unknown::Create } else { Unknown::Refuse };
        let transport = self.place.open(unknown).await?;
        let sink = transport.sink(&self.place.topic).await?;
        let input: Box<dyn AsyncRead + Unpin> = if self.input.as_os_str() == "-" {
            Box::new(tokio::io::stdin())
        } else {
            let name = self.input.display().to_string();
            Box::new(tokio::fs::File::open(&self.input).await.with_context(|| format!("cannot open {name}"))?)
        };
        let mut input = BufReader::with_capacity(READ, input);
        let sent =
            if self.raw { self.send_whole(&sink, &mut input).await? } else { self.send_lines(&sink, input).await? };
        answer(format_args!("sent {sent} to {}", self.place.topic))
    }

    async fn send_whole(&self, sink: &Arc<dyn Sink>, input: &mut (impl AsyncRead + Unpin)) -> Result<usize, Failure> {
        let mut payload = Vec::new();
        input.read_to_end(&mut payload).await.context("cannot read the payload")?;
        write(sink, vec![self.record(payload.into())], 0).await
    }

    /// Reads and writes beside each other: what came while a write lasted is the next one, so that a slow writer of
    /// lines waits for nothing.
    async fn send_lines(&self, sink: &Arc<dyn Sink>, input: impl AsyncBufRead + Unpin) -> Result<usize, Failure> {
        let (read, records) = mpsc::channel(BATCH);
        let reading = async {
            self.read_lines(input, read).await;
            std::future::pending().await
        };
        tokio::select! {
            sent = write_all(sink, records) => sent,
            never = reading => never,
        }
    }

    /// Reads until the end or the first error, which is the last item.
    async fn read_lines(&self, mut input: impl AsyncBufRead + Unpin, records: mpsc::Sender<Result<Record, String>>) {
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let record = match input.read_until(b'\n', &mut line).await {
                Ok(0) => return,
                Ok(_) => self.parse(&line).transpose(),
                Err(error) => Some(Err(format!("cannot read: {error}"))),
            };
            let Some(record) = record else { continue };
            let is_last = record.is_err();
            let record = record.map_err(|error| format!("line {number}: {error}"));
            // Nobody takes it when writing has failed.
            if records.send(record).await.is_err() || is_last {
                return;
            }
        }
    }

    /// The record of a line; none for an empty one.
    fn parse(&self, line: &[u8]) -> Result<Option<Record>, String> {
        let line = std::str::from_utf8(line).map_err(|error| format!("no text: {error}"))?.trim();
        match line {
            "" => Ok(None),
            _ if self.records => self.read(line).map(Some),
            _ => {
                serde_json::from_str::<serde::de::IgnoredAny>(line).map_err(|error| format!("no JSON: {error}"))?;
                Ok(Some(self.record(Bytes::copy_from_slice(line.as_bytes()))))
            }
        }
    }

    fn read(&self, line: &str) -> Result<Record, String> {
        let record::Read { id, key, headers, payload } = record::read(line)?;
        let mut record = self.record(payload);
        record.key = key.or(record.key);
        record.headers.extend(headers.iter().filter(|header| !header.is_reserved()).cloned());
        if let Some(id) = id.filter(|_| self.keep_id) {
            record.headers.push(header::ID, id);
        }
        Ok(record)
    }

    fn record(&self, payload: Bytes) -> Record {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.push(name.clone(), value.clone());
        }
        Record { key: self.key.clone().map(Bytes::from), headers, payload, partition: None }
    }
}

/// Writes what comes until no more can come, and says how many are durable. What came before an error is written.
async fn write_all(
    sink: &Arc<dyn Sink>,
    mut records: mpsc::Receiver<Result<Record, String>>,
) -> Result<usize, Failure> {
    let mut sent = 0;
    let mut came = Vec::new();
    while records.recv_many(&mut came, BATCH).await > 0 {
        let (batch, errors): (Vec<_>, Vec<_>) = came.drain(..).partition(Result::is_ok);
        sent += write(sink, batch.into_iter().filter_map(Result::ok).collect(), sent).await?;
        if let Some(Err(error)) = errors.into_iter().next() {
            return Err(anyhow::anyhow!("{error}; the {sent} before it were sent").into());
        }
    }
    Ok(sent)
}

/// Writes records and says how many are durable. `before` were already.
async fn write(sink: &Arc<dyn Sink>, records: Vec<Record>, before: usize) -> Result<usize, Failure> {
    if records.is_empty() {
        return Ok(0);
    }
    let answers = sink.write(records).await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    match answers.into_iter().find_map(Result::err) {
        None => Ok(written),
        Some(error) => Err(anyhow::Error::new(error)
            .context(format!("{} messages were sent, the rest was not", before + written))
            .into()),
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
