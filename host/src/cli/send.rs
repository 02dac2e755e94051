//! `lockgate send`

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::place::Place;
use super::{Ended, Failure, answer};
use crate::model::message::RESERVED_PREFIX;
use crate::model::{Headers, Record};
use crate::transport::Sink;

/// Records written at once.
const BATCH: usize = 500;

/// Write messages to a topic.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  echo '{\"hello\":\"world\"}' | lockgate send claimx-downloads-pending
  lockgate send claimx-downloads-pending tasks.ndjson --key C-1001 --header source=replay
  lockgate send scans --raw scan.pdf
  lockgate tail claimx-dlq --from earliest --json | lockgate send claimx-downloads-pending --records")]
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
    /// Each line is an object with `payload` and, where wanted, `key` and `headers`, as `tail --json` prints it.
    #[arg(long)]
    records: bool,
}

/// One line with `--records`. What else `tail --json` prints is passed over.
#[derive(Deserialize)]
struct Line {
    key: Option<String>,
    key_base64: Option<String>,
    #[serde(default)]
    headers: serde_json::Map<String, serde_json::Value>,
    payload: Option<serde_json::Value>,
    payload_base64: Option<String>,
}

impl Line {
    fn key(&self) -> Result<Option<Bytes>, String> {
        let text = self.key.clone().map(Bytes::from);
        self.key_base64.as_deref().map(bytes_of).transpose().map(|bytes| bytes.or(text))
    }

    fn payload(&self) -> Result<Bytes, String> {
        match (&self.payload, &self.payload_base64) {
            (Some(payload), None) => Ok(text_of(payload)),
            (None, Some(base64)) => bytes_of(base64),
            _ => Err("no record: give `payload` or `payload_base64`".into()),
        }
    }
}

fn bytes_of(base64: &str) -> Result<Bytes, String> {
    STANDARD.decode(base64).map(Bytes::from).map_err(|error| format!("no base64: {error}"))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    match name {
        "" => Err("the name is empty".into()),
        _ if name.starts_with(RESERVED_PREFIX) => {
            Err(format!("names that begin with {RESERVED_PREFIX} are the host's"))
        }
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

impl Send {
    pub(super) async fn obey(self) -> Ended {
        let transport = self.place.open()?;
        let sink = transport.sink(&self.place.topic).await?;
        let input: Box<dyn AsyncRead + Unpin> = if self.input.as_os_str() == "-" {
            Box::new(tokio::io::stdin())
        } else {
            let name = self.input.display().to_string();
            Box::new(tokio::fs::File::open(&self.input).await.with_context(|| format!("cannot open {name}"))?)
        };
        let mut input = BufReader::new(input);
        let sent =
            if self.raw { self.send_whole(&sink, &mut input).await? } else { self.send_lines(&sink, input).await? };
        answer(format_args!("sent {sent} to {}", self.place.topic))
    }

    async fn send_whole(&self, sink: &Arc<dyn Sink>, input: &mut (impl AsyncRead + Unpin)) -> Result<usize, Failure> {
        let mut payload = Vec::new();
        input.read_to_end(&mut payload).await.context("cannot read the payload")?;
        write(sink, vec![self.record(payload.into())], 0).await
    }

    async fn send_lines(&self, sink: &Arc<dyn Sink>, input: impl AsyncBufRead + Unpin) -> Result<usize, Failure> {
        let (mut lines, mut number, mut sent) = (input.lines(), 0, 0);
        let mut batch = Vec::new();
        while let Some(line) = lines.next_line().await.context("cannot read the messages")? {
            number += 1;
            if line.trim().is_empty() {
                continue;
            }
            match self.parse(&line) {
                Ok(record) => batch.push(record),
                Err(error) => {
                    sent += write(sink, batch, sent).await?;
                    return Err(anyhow::anyhow!("line {number}: {error}; the {sent} before it were sent").into());
                }
            }
            if batch.len() >= BATCH {
                sent += write(sink, std::mem::take(&mut batch), sent).await?;
            }
        }
        sent += write(sink, batch, sent).await?;
        Ok(sent)
    }

    fn parse(&self, line: &str) -> Result<Record, String> {
        if !self.records {
            serde_json::from_str::<serde::de::IgnoredAny>(line).map_err(|error| format!("no JSON: {error}"))?;
            return Ok(self.record(Bytes::copy_from_slice(line.trim().as_bytes())));
        }
        let line: Line = serde_json::from_str(line).map_err(|error| format!("no record: {error}"))?;
        let mut record = self.record(line.payload()?);
        record.key = line.key()?.or(record.key);
        for (name, value) in line.headers.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX)) {
            record.headers.push(name.clone(), text_of(value));
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

/// A text as it is, anything else as JSON.
fn text_of(value: &serde_json::Value) -> Bytes {
    match value {
        serde_json::Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
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
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    fn send(arguments: &[&str]) -> Send {
        Line::parse_from(["send", "claims"].iter().chain(arguments)).send
    }

    #[test]
    fn a_line_is_the_payload_untouched() {
        let record = send(&["--key", "k", "--header", "a=b=c"]).parse(" {\"b\":1, \"a\":2} ").unwrap();
        assert_eq!(record.payload, "{\"b\":1, \"a\":2}");
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.headers.text("a"), Some("b=c"));
    }

    #[test]
    fn a_record_brings_its_own_key_and_headers_but_none_of_the_hosts() {
        let line = r#"{"key":"k2","headers":{"x":"1","lockgate-code":"gone"},"payload":{"id":7},"offset":3}"#;
        let record = send(&["--records", "--key", "k"]).parse(line).unwrap();
        assert_eq!((record.key.as_deref(), &record.payload[..]), (Some(&b"k2"[..]), &br#"{"id":7}"#[..]));
        assert_eq!((record.headers.text("x"), record.headers.get("lockgate-code")), (Some("1"), None));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(send(&[]).parse("{\"a\":").unwrap_err().contains("no JSON"));
        let bytes = send(&["--records"]).parse(r#"{"key_base64":"/w==","payload_base64":"//4="}"#).unwrap();
        assert_eq!((bytes.key.as_deref(), &bytes.payload[..]), (Some(&[0xff][..]), &[0xff, 0xfe][..]));
        assert!(send(&["--records"]).parse("{\"a\":1}").unwrap_err().contains("payload"));
        assert!(header("lockgate-id=1").is_err() && header("=1").is_err() && header("x").is_err());
    }
}
