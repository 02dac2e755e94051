//! `lockgate dead list`. Shows neither keys nor payloads, which may hold personal data.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::super::place::{SpecFiles, look};
use super::super::table::Table;
use super::super::tail::printable;
use super::super::{Ended, Failure, answer, tell};
use super::Chosen;
use super::topics::{self, Foreign, Topic};
use crate::flow::letters::{Address, Entry, Filter, Letter};
use crate::model::{Clock, Timestamp};

/// Letters shown where nothing is said.
const SHOWN: usize = 50;
/// Characters of a reason in the table.
const REASON: usize = 60;

/// List dead letters, the newest last, and count them by pipeline and reason. Shows neither keys nor payloads.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate dead list
  lockgate dead list --pipeline claimx-download --reason exhausted --since 2h
  lockgate dead list --all --json | jq -r 'select(.redriven == 0) | .at'")]
pub(super) struct List {
    #[command(flatten)]
    spec: SpecFiles,
    #[command(flatten)]
    chosen: Chosen,
    /// Only dead-letter topics of this transport.
    #[arg(long, value_name = "NAME")]
    transport: Option<String>,
    /// Show the newest N letters; 50 where nothing is said.
    #[arg(short = 'n', value_name = "N", conflicts_with = "all")]
    count: Option<usize>,
    /// Show all letters.
    #[arg(long)]
    all: bool,
    /// One JSON object a letter; `redriven` says how often it was.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn obey(self) -> Ended {
        let plan = self.spec.plan()?;
        let places = topics::places(&plan, self.transport.as_deref())?;
        let transports = look(&plan, places.iter().map(|place| place.0))?;
        let mut listing = Listing::new(self.filter(&Clock::system()), self.limit());
        for (transport, topic) in places {
            let Some(transport) = transports.get(transport) else { continue };
            if let Some(topic) = Topic::open(transport.clone(), topic).await? {
                listing.read(&topic).await?;
            }
        }
        tell(&listing.foreign);
        if self.json { listing.lines()?.into_iter().try_for_each(answer) } else { answer(listing) }
    }

    pub(super) fn filter(&self, clock: &Clock) -> Filter {
        self.chosen.filter(clock)
    }

    fn limit(&self) -> usize {
        if self.all { usize::MAX } else { self.count.unwrap_or(SHOWN) }
    }
}

/// A letter and what was done with it.
#[derive(Serialize)]
pub(super) struct Listed {
    #[serde(flatten)]
    letter: Letter,
    /// How often it was redriven.
    redriven: u32,
}

/// Letters of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Count {
    pub(super) letters: u64,
    pub(super) redriven: u64,
}

/// The newest letters of some topics, and how many there are of each kind.
pub(super) struct Listing {
    filter: Filter,
    limit: usize,
    /// Topics read so far.
    topics: usize,
    /// By time; the last number tells letters apart that stand at the same place of two transports.
    newest: BTreeMap<(Timestamp, Address, usize), Listed>,
    /// By pipeline, class and code.
    pub(super) counts: BTreeMap<[String; 3], Count>,
    pub(super) foreign: Foreign,
}

impl Listing {
    pub(super) fn new(filter: Filter, limit: usize) -> Self {
        Self { filter, limit, topics: 0, newest: BTreeMap::new(), counts: BTreeMap::new(), foreign: Foreign::default() }
    }

    /// Adds what a topic holds. Reads it twice: marks stand behind their letters, and letters that are not shown are
    /// not kept.
    pub(super) async fn read(&mut self, topic: &Topic) -> Result<(), Failure> {
        self.topics += 1;
        let marks = topic.marks(topic.whole()).await?;
        let mut reading = topic.reading(topic.whole());
        while let Some(message) = reading.next().await? {
            match Entry::read(&message) {
                Entry::Letter(letter) if self.filter.takes(&letter) => {
                    let redriven = marks.times(&letter.at);
                    self.add(Listed { letter: *letter, redriven });
                }
                Entry::Letter(_) | Entry::Mark { .. } => {}
                Entry::Foreign { at } => self.foreign.count(at),
            }
        }
        Ok(())
    }

    fn add(&mut self, listed: Listed) {
        let letter = &listed.letter;
        let kind = [&letter.pipeline, &letter.class, &letter.code].map(String::clone);
        let count = self.counts.entry(kind).or_default();
        count.letters += 1;
        count.redriven += u64::from(listed.redriven > 0);
        self.newest.insert((letter.time, letter.at.clone(), self.topics), listed);
        if self.newest.len() > self.limit {
            self.newest.pop_first();
        }
    }

    pub(super) fn lines(&self) -> Result<Vec<String>, Failure> {
        Ok(self.newest.values().map(serde_json::to_string).collect::<Result<_, _>>()?)
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["WHERE", "WHEN", "PIPELINE", "WHY", "ATTEMPTS", "REDRIVEN", "REASON"]);
        for Listed { letter, redriven } in self.newest.values() {
            let why = format!("{}/{}", letter.class, letter.code);
            let reason = cut(&letter.reason);
            let row = [
                letter.at.to_string(),
                letter.time.to_string(),
                letter.pipeline.clone(),
                why,
                letter.attempts.to_string(),
                done(*redriven, letter.redriven_before),
                reason,
            ];
            table.row(row.map(|cell| printable(&cell)));
        }
        table
    }

    fn summary(&self) -> Table {
        let mut table = Table::new(["PIPELINE", "CLASS", "CODE", "LETTERS", "REDRIVEN"]);
        for ([pipeline, class, code], count) in &self.counts {
            let words = [pipeline, class, code].map(|word| printable(word));
            let [pipeline, class, code] = words;
            table.row([pipeline, class, code, count.letters.to_string(), count.redriven.to_string()]);
        }
        table
    }
}

/// Whether a letter was redriven; and when it was, before it ended here, how often.
pub(super) fn done(redriven: u32, before: u32) -> String {
    let now = if redriven > 0 { "yes" } else { "no" };
    match before {
        0 => now.to_owned(),
        before => format!("{now}, {before} before"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(REASON) {
        None => text.to_owned(),
        Some(_) => text.chars().take(REASON - 1).chain(['…']).collect(),
    }
}

impl std::fmt::Display for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters: u64 = self.counts.values().map(|count| count.letters).sum();
        if letters == 0 {
            return write!(f, "no dead letters");
        }
        writeln!(f, "{}\n\n{}", self.table(), self.summary())?;
        let older = letters.saturating_sub(self.newest.len() as u64);
        match older {
            0 => write!(f, "\n`lockgate dead show WHERE` shows one of them"),
            older => write!(f, "\n{older} older ones are not shown; --all shows them"),
        }
    }
}
