//! `lockgate dead`: what stands in the dead-letter topics of a spec, and how it runs again.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::Ended;
use crate::flow::letters::Filter;
use crate::model::{Clock, Period, Timestamp};

mod homes;
mod list;
mod rate;
mod redrive;
mod show;
mod topics;

/// Look at dead letters, and redrive them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate dead list
  lockgate dead show claimx-dlq/0@17
  lockgate dead redrive --reason timeout --since 2h --dry-run")]
pub(super) struct Dead {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List dead letters, the newest last.
    List(list::List),
    /// Show everything about one dead letter.
    Show(show::Show),
    /// Run dead letters again, in the pipelines that gave them up.
    Redrive(redrive::Redrive),
}

impl Dead {
    pub(super) async fn obey(self) -> Ended {
        match self.command {
            Command::List(list) => list.obey().await,
            Command::Show(show) => show.obey().await,
            Command::Redrive(redrive) => redrive.obey().await,
        }
    }
}

/// Which letters.
#[derive(Args, Clone, Debug, Default)]
struct Chosen {
    /// Only letters of this pipeline.
    #[arg(long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// Only letters with this code, such as `timeout`, or of this class: `rejected`, `exhausted`, `guest-fault`,
    /// `refused`.
    #[arg(long, value_name = "CODE|CLASS")]
    reason: Option<String>,
    /// Only letters that came in this time, such as `2h`, or since this time, such as `2026-03-02T14:00:00Z`.
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<Since>,
}

impl Chosen {
    fn says_nothing(&self) -> bool {
        self.pipeline.is_none() && self.reason.is_none() && self.since.is_none()
    }

    fn filter(&self, clock: &Clock) -> Filter {
        let since = self.since.map(|since| since.from(clock.wall()));
        Filter { pipeline: self.pipeline.clone(), reason: self.reason.clone(), since }
    }
}

/// A time, by itself or before now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Since {
    Ago(Period),
    At(Timestamp),
}

impl Since {
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(period) => {
                Timestamp(now.0.saturating_sub(u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)))
            }
            Self::At(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(period) = text.parse() {
            return Ok(Self::Ago(period));
        }
        Timestamp::parse(text)
            .map(Self::At)
            .ok_or_else(|| "write an age, such as `2h`, or a time, such as `2026-03-02T14:00:00Z`".to_owned())
    }
}

/// Names as a list for people.
fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
