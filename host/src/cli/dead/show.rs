//! `lockgate dead show`. Queries of URLs are cut out of everything, for a presigned URL is a secret, unless `--raw` asks
//! for them; the payload, which may hold personal data, is shown only with `--payload`.

use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use super::super::place::{SpecFiles, look};
use super::super::table::Table;
use super::super::tail::printable;
use super::super::{Ended, Failure, answer, tell};
use super::list::done;
use super::topics::{self, Topic};
use crate::assemble;
use crate::flow::letters::{Address, Entry, Failed, Letter, failures};
use crate::flow::spill::{Spill, restore};
use crate::model::{Header, Message, tells_secret, without_queries};

/// The most of a payload that is shown, in bytes.
const PREVIEW: usize = 4 << 10;
/// The most of a payload that is looked at, in bytes: what is cut out may be long.
const LOOKED_AT: usize = 64 << 10;

/// Show everything about one dead letter: why, where from, what failed when, its key and its own headers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate dead show claimx-dlq/0@17
  lockgate dead show claimx-dlq/0@17 --payload
  lockgate dead show claimx-dlq/0@17 --json | jq .failures

Queries of URLs are shown as `?…`, because a presigned URL is a secret, and so are values under names such as `token`
and `authorization`; --raw shows them.")]
pub(super) struct Show {
    /// Where it stands: topic/partition@offset, as `lockgate dead list` prints it.
    #[arg(value_name = "WHERE")]
    at: Address,
    #[command(flatten)]
    spec: SpecFiles,
    /// The transport of its topic, where several have one of that name.
    #[arg(long, value_name = "NAME")]
    transport: Option<String>,
    /// Show the payload as text, its first 4 KiB. It may hold personal data.
    #[arg(long)]
    payload: bool,
    /// Show queries of URLs and what else may be a secret, in own headers and payload.
    #[arg(long, requires = "payload")]
    raw: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn obey(self) -> Ended {
        let plan = self.spec.plan()?;
        let places = topics::places(&plan, self.transport.as_deref())?;
        let (transport, topic) = topics::place_of(&places, &self.at)?;
        let opened = look(&plan, [transport])?.into_values().next();
        let topic = match opened {
            Some(transport) => Topic::open(transport, topic).await?,
            None => None,
        };
        let shown = self.look_at(topic.as_ref(), assemble::spilled(&plan).as_ref()).await?;
        if self.json { answer(serde_json::to_string(&shown)?) } else { answer(shown) }
    }

    pub(super) async fn look_at(&self, topic: Option<&Topic>, spill: &dyn Spill) -> Result<Shown, Failure> {
        let gone = || anyhow::anyhow!("nothing stands at {}: it was never written, or is no longer kept", self.at);
        let topic = topic.ok_or_else(gone)?;
        let message = topic.message(&self.at).await?.ok_or_else(gone)?;
        let letter = match Entry::read(&message) {
            Entry::Letter(letter) => *letter,
            Entry::Mark { of } => return Err(anyhow::anyhow!("{} marks {of} as redriven", self.at).into()),
            Entry::Foreign { at } => return Err(anyhow::anyhow!("{at} is no dead letter of Lockgate").into()),
        };
        let redriven = topic.marks(topic.behind(std::slice::from_ref(&self.at))).await?.times(&self.at);
        let whole = if self.payload { self.whole(message.clone(), spill).await } else { message };
        Ok(self.shown(letter, redriven, &whole))
    }

    /// The message with what was spilled of it; what cannot be read is said and left out.
    async fn whole(&self, message: Message, spill: &dyn Spill) -> Message {
        match restore(message.clone(), spill).await {
            Ok(whole) => whole,
            Err(error) => {
                tell(format_args!("{error}\n"));
                message
            }
        }
    }

    fn shown(&self, letter: Letter, redriven: u32, message: &Message) -> Shown {
        let own = message.headers.iter().filter(|header| !header.is_reserved());
        Shown {
            failures: failures(&message.headers),
            key: message.key.as_ref().map(|key| self.text(key)),
            headers: own.map(|header| (self.text(header.name.as_bytes()), self.value(header))).collect(),
            payload_bytes: message.payload.len(),
            payload: self.payload.then(|| self.preview(&message.payload)),
            letter,
            redriven,
        }
    }

    /// A header's value; none where its name tells a secret, unless it is asked for.
    fn value(&self, header: &Header) -> String {
        if !self.raw && tells_secret(&header.name) { "…".to_owned() } else { self.text(&header.value) }
    }

    /// Bytes as a text, without queries unless they are asked for.
    fn text(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        if self.raw { text.into_owned() } else { without_queries(&text).into_owned() }
    }

    /// The beginning of a payload. Queries go before it is cut, so that no cut leaves half of one.
    fn preview(&self, payload: &Bytes) -> String {
        let text = self.text(payload.get(..LOOKED_AT).unwrap_or(payload));
        let end = text.floor_char_boundary(PREVIEW.min(text.len()));
        let cut = text.get(..end).unwrap_or_default();
        let is_whole = cut.len() == text.len() && payload.len() <= LOOKED_AT;
        if is_whole { cut.to_owned() } else { format!("{cut}…") }
    }
}

/// A letter as it is shown.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    letter: Letter,
    /// How often it was redriven.
    redriven: u32,
    failures: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The message's own ones, in order.
    headers: Vec<(String, String)>,
    payload_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

impl Shown {
    /// What is known, in pairs of what and how it is.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let letter = &self.letter;
        let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let origin = letter.origin.as_ref().map_or_else(|| "-".into(), ToString::to_string);
        let mut facts = vec![
            ("where", letter.at.to_string()),
            ("since", letter.time.to_string()),
            ("pipeline", letter.pipeline.clone()),
            ("why", format!("{}/{}", letter.class, letter.code)),
            ("reason", letter.reason.clone()),
            ("redriven", done(self.redriven, letter.redriven_before)),
            ("message id", letter.id.clone()),
            ("plugin", format!("{} {}", told(&letter.plugin), told(&letter.plugin_version))),
            ("component", told(&letter.plugin_sha256)),
            ("origin", format!("{origin} of {}", told(&letter.origin_transport))),
            ("enqueued", told(&letter.origin_enqueued)),
            ("attempts", letter.attempts.to_string()),
            ("failed", format!("{} to {}", told(&letter.first_failure), told(&letter.last_failure))),
            ("key", self.key.clone().unwrap_or_else(|| "-".into())),
            ("payload", format!("{} bytes", self.payload_bytes)),
        ];
        if let Some(location) = &letter.spilled {
            facts.push(("spilled to", location.clone()));
        }
        facts
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, how) in self.facts() {
            writeln!(f, "{what:<12}{}", printable(&how))?;
        }
        if !self.headers.is_empty() {
            let mut table = Table::new(["HEADER", "VALUE"]);
            self.headers.iter().for_each(|(name, value)| table.row([printable(name), printable(value)]));
            writeln!(f, "\n{table}")?;
        }
        if !self.failures.is_empty() {
            let mut table = Table::new(["FAILED AT", "CODE", "WHAT"]);
            self.failures.iter().for_each(|Failed { at, code, text }| {
                table.row([at, code, text].map(|word| printable(word)));
            });
            writeln!(f, "\n{table}")?;
        }
        match &self.payload {
            Some(payload) => write!(f, "\n{}", lines(payload)),
            None => write!(f, "\n--payload shows the payload"),
        }
    }
}

/// A payload for people: its lines stay lines, and nothing in it does anything to a terminal.
fn lines(payload: &str) -> String {
    payload.lines().map(printable).collect::<Vec<_>>().join("\n")
}
