//! `lockgate dead redrive`: each letter goes to the pipeline that gave it up, and is then marked in its own partition.
//! The message goes first, so that a crash between the two repeats it and never loses it.

use clap::Args;

use super::super::place::{SpecFiles, look};
use super::super::signals::Signals;
use super::super::tail::printable;
use super::super::{Ended, Failure, answer, tell};
use super::Chosen;
use super::homes::{Home, Sinks};
use super::rate::{Pace, Rate};
use super::topics::{self, Topic, Transports};
use crate::assemble;
use crate::flow::letters::{Address, Entry, Filter, Letter, Marks, mark};
use crate::flow::redrive::redriven;
use crate::flow::spill::{Spill, is_spilled, restore};
use crate::model::{Clock, Message, Record};
use crate::spec::Plan;
use crate::transport::{Sink, WriteError};

/// Run dead letters again, in the pipelines that gave them up. Each keeps its message id and gets fresh tries: it goes
/// to the pipeline's retry topic, due now, or where there is none to the topic that it reads, where other pipelines
/// pass over it. Then it is marked, so that it is not redriven again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate dead redrive claimx-dlq/0@17
  lockgate dead redrive --pipeline claimx-download --reason timeout --since 2h --dry-run
  lockgate dead redrive --all --rate 10/s

Ctrl-C ends between two letters and says how many went; the same command goes on with the rest.")]
pub(super) struct Redrive {
    /// Letters, as `lockgate dead list` prints where they stand.
    #[arg(value_name = "WHERE", conflicts_with_all = ["pipeline", "reason", "since", "all"])]
    letters: Vec<Address>,
    #[command(flatten)]
    spec: SpecFiles,
    #[command(flatten)]
    chosen: Chosen,
    /// All letters.
    #[arg(long)]
    all: bool,
    /// Only dead-letter topics of this transport.
    #[arg(long, value_name = "NAME")]
    transport: Option<String>,
    /// So many letters in a time.
    #[arg(long, value_name = "N/s", default_value = "50/s")]
    rate: Rate,
    /// Say what would go where, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also letters that were redriven already. Their messages run once more.
    #[arg(long)]
    force: bool,
}

impl Redrive {
    pub(super) async fn obey(self) -> Ended {
        if self.letters.is_empty() && self.chosen.says_nothing() && !self.all {
            let reason = "say which letters: where they stand, --pipeline, --reason or --since; or --all";
            return Err(Failure::Usage(reason.into()));
        }
        let plan = self.spec.plan()?;
        let mut signals = Signals::listen()?;
        let places = topics::places(&plan, self.transport.as_deref())?;
        let transports = look(&plan, places.iter().map(|place| place.0))?;
        let transports = transports.into_iter().map(|(name, opened)| (name.to_owned(), opened)).collect();
        self.conclude(self.redrive(&plan, transports, assemble::spilled(&plan).as_ref(), &mut signals).await)
    }

    /// Redrives what was chosen, out of these transports. An error tells what went before it.
    pub(super) async fn redrive(
        &self,
        plan: &Plan,
        transports: Transports,
        spill: &dyn Spill,
        signals: &mut Signals,
    ) -> (Tally, Option<Failure>) {
        let clock = Clock::system();
        let pace = Pace::new(self.rate, clock.now());
        let sinks = Sinks::new(plan, transports.clone());
        let mut run = Run { redrive: self, plan, spill, sinks, pace, clock, signals, tally: Tally::default() };
        let ended = run.topics(&transports).await;
        (run.tally, ended.err())
    }

    /// Prints how it went. It failed when something did, and when a letter that was asked for did not go.
    fn conclude(&self, (tally, failure): (Tally, Option<Failure>)) -> Ended {
        tell(&tally.foreign);
        let printed = answer(tally.told(self.dry_run));
        match failure {
            Some(failure) => Err(failure),
            None if tally.refused > 0 => {
                Err(anyhow::anyhow!("{} letters were refused, for the reasons above", tally.refused).into())
            }
            None => printed,
        }
    }
}

/// What became of the letters that were chosen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) redriven: u64,
    /// Chosen by what they are, and redriven before.
    pub(super) marked: u64,
    /// Letters that did not go, each of which was told.
    pub(super) refused: u64,
    pub(super) stopped: bool,
    pub(super) foreign: topics::Foreign,
}

impl Tally {
    fn told(&self, dry_run: bool) -> String {
        let Self { redriven, marked, refused, .. } = self;
        let verb = if dry_run { "would be redriven" } else { "redriven" };
        let end = if self.stopped { "; stopped before the rest" } else { "" };
        format!("{redriven} {verb}, {marked} skipped that were redriven before, {refused} refused{end}")
    }
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Next,
    Stop,
}

/// A run under way.
struct Run<'a> {
    redrive: &'a Redrive,
    plan: &'a Plan,
    spill: &'a dyn Spill,
    sinks: Sinks<'a>,
    pace: Pace,
    clock: Clock,
    signals: &'a mut Signals,
    tally: Tally,
}

impl Run<'_> {
    async fn topics(&mut self, transports: &Transports) -> Ended {
        let places = topics::places(self.plan, self.redrive.transport.as_deref())?;
        let filter = self.redrive.chosen.filter(&self.clock);
        // What is asked for by place is looked up before anything goes.
        let named: Vec<_> =
            self.redrive.letters.iter().map(|at| topics::place_of(&places, at)).collect::<Result<_, _>>()?;
        for (name, topic_name) in places {
            let letters = named.iter().zip(&self.redrive.letters).filter(|(place, _)| **place == (name, topic_name));
            let letters: Vec<Address> = letters.map(|(_, letter)| letter.clone()).collect();
            if letters.is_empty() && !named.is_empty() {
                continue;
            }
            let opened = match transports.get(name) {
                Some(transport) => Topic::open(transport.clone(), topic_name).await?,
                None => None,
            };
            let Some(topic) = opened else {
                letters.iter().for_each(|letter| self.refuse(letter, "nothing stands there"));
                continue;
            };
            let source = Source { transport: name, topic: &topic };
            let turn = if named.is_empty() {
                self.matching(source, &filter).await?
            } else {
                self.named(source, &letters).await?
            };
            if turn == Turn::Stop {
                self.tally.stopped = true;
                break;
            }
        }
        Ok(())
    }

    /// Letters by what they are, the oldest first.
    async fn matching(&mut self, source: Source<'_>, filter: &Filter) -> Result<Turn, Failure> {
        let Source { topic, .. } = source;
        let marks = topic.marks(topic.whole()).await?;
        let mut reading = topic.reading(topic.whole());
        while let Some(message) = reading.next().await? {
            match Entry::read(&message) {
                Entry::Letter(letter) if filter.takes(&letter) => {
                    if marks.times(&letter.at) > 0 && !self.redrive.force {
                        self.tally.marked += 1;
                    } else if self.one(source, message, &letter).await? == Turn::Stop {
                        return Ok(Turn::Stop);
                    }
                }
                Entry::Letter(_) | Entry::Mark { .. } => {}
                Entry::Foreign { at } => self.tally.foreign.count(at),
            }
        }
        Ok(Turn::Next)
    }

    /// Letters by where they stand, in the order in which they were named.
    async fn named(&mut self, source: Source<'_>, letters: &[Address]) -> Result<Turn, Failure> {
        let Source { topic, .. } = source;
        let mut marks: Marks = topic.marks(topic.behind(letters)).await?;
        for at in letters {
            let Some(message) = topic.message(at).await? else {
                self.refuse(at, "nothing stands there: it was never written, or is no longer kept");
                continue;
            };
            let Entry::Letter(letter) = Entry::read(&message) else {
                self.refuse(at, "it is no dead letter");
                continue;
            };
            if marks.times(at) > 0 && !self.redrive.force {
                self.refuse(at, "it was redriven already; --force runs it once more");
                continue;
            }
            if self.one(source, message, &letter).await? == Turn::Stop {
                return Ok(Turn::Stop);
            }
            marks.fold(at.clone());
        }
        Ok(Turn::Next)
    }

    /// Redrives one letter: the message, then its mark.
    async fn one(&mut self, source: Source<'_>, message: Message, letter: &Letter) -> Result<Turn, Failure> {
        let home = match Home::of(self.plan, &letter.pipeline) {
            Ok(home) => home,
            Err(reason) => {
                self.refuse(&letter.at, &reason);
                return Ok(Turn::Next);
            }
        };
        if self.redrive.dry_run {
            answer(format_args!("{} would go to {}", printable(&letter.at.to_string()), home.topic))?;
            self.tally.redriven += 1;
            return Ok(Turn::Next);
        }
        let at = self.pace.take(self.clock.now());
        if self.signals.unless_told(tokio::time::sleep_until(at)).await.is_none() {
            return Ok(Turn::Stop);
        }
        let sink = self.sinks.get(home.transport, home.topic).await?;
        match self.send(&home, &letter.pipeline, message, sink.as_ref()).await? {
            Ok(()) => self.mark(source, &letter.at).await?,
            Err(reason) => self.refuse(&letter.at, &reason),
        }
        Ok(Turn::Next)
    }

    /// Writes the message of a letter, whole where its topic takes it so. Says why it cannot go.
    async fn send(
        &self,
        home: &Home<'_>,
        pipeline: &str,
        message: Message,
        sink: &dyn Sink,
    ) -> Result<Result<(), String>, Failure> {
        let record = |message: &Message| redriven(message, pipeline, home.way, sink.partitions());
        let as_it_is = record(&message);
        if !is_spilled(&message.headers) {
            return write(sink, as_it_is).await;
        }
        let whole = match restore(message, self.spill).await {
            Ok(whole) => whole,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match write(sink, record(&whole)).await? {
            Ok(()) => Ok(Ok(())),
            Err(_) => write(sink, as_it_is).await,
        }
    }

    async fn mark(&mut self, source: Source<'_>, at: &Address) -> Ended {
        self.tally.redriven += 1;
        let sink = self.sinks.get(source.transport, &source.topic.name).await?;
        let not_marked = |reason: String| {
            anyhow::anyhow!("{at} was redriven but not marked, and would be redriven again: {reason}").into()
        };
        match write(sink.as_ref(), mark(at)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(not_marked(reason)),
            Err(Failure::Runtime(error)) => Err(not_marked(error.to_string())),
            Err(failure) => Err(failure),
        }
    }

    fn refuse(&mut self, at: &Address, reason: &str) {
        self.tally.refused += 1;
        tell(format_args!("{}: {}\n", printable(&at.to_string()), printable(reason)));
    }
}

/// Where letters are read and marked.
#[derive(Clone, Copy)]
struct Source<'a> {
    transport: &'a str,
    topic: &'a Topic,
}

/// Writes one record; says why the topic refuses it.
async fn write(sink: &dyn Sink, record: Record) -> Result<Result<(), String>, Failure> {
    match sink.write(vec![record]).await.into_iter().next() {
        Some(Ok(_)) => Ok(Ok(())),
        Some(Err(error @ WriteError::Refused { .. })) => Ok(Err(error.to_string())),
        Some(Err(error)) => Err(anyhow::Error::new(error).into()),
        None => Err(anyhow::anyhow!("the sink gave no answer").into()),
    }
}
