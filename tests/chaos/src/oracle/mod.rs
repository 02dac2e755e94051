//! Knows every message that was sent and where it has to end, is told of everything that is found there, and says what
//! is wrong. Pure: it neither reads nor waits.
//!
//! | wrong | is |
//! |---|---|
//! | lost | settled, as the stored checkpoints say, and nowhere |
//! | stuck | nowhere, and not settled either though there was time |
//! | repeated | found again; more often than the faults so far allow is a failure, at any moment |
//! | misordered | found for the first time after a later message of its key, in a pipeline with `order: key` |
//! | wrongly ended | found where it must not be, as somebody else's, or without ever having been sent |

use std::collections::{BTreeMap, HashMap};

use crate::found::Found;
use crate::message::{End, Name, Sent};
use crate::setting::{Order, Setting};

/// Where a message was written: the partition of its topic, and the position there.
pub use lockgate::transport::Written as Place;

mod verdict;

pub use verdict::{Standing, Verdict};

/// Examples of each kind of failure that are told.
const EXAMPLES: usize = 5;

/// What is known of all messages.
#[derive(Clone, Debug)]
pub struct Oracle {
    pipelines: BTreeMap<String, Account>,
    ended: u64,
    sent: u64,
    wrong: Examples,
}

/// What is known of one pipeline's messages.
#[derive(Clone, Debug)]
struct Account {
    order: Order,
    /// By number.
    fates: Vec<Fate>,
    /// Messages that are written and not found.
    open: usize,
    /// The highest number of each key that was found.
    highest: HashMap<String, usize>,
    /// Messages that may be found again, all faults so far together.
    allowed: u64,
    repeated: u64,
    /// The first repeat beyond what was allowed at that time.
    beyond: Option<String>,
    misordered: Examples,
}

/// What is known of one message.
#[derive(Clone, Debug)]
struct Fate {
    sent: Sent,
    /// How often each part of it was found: its emissions, and its dead letter behind them.
    times: Vec<u32>,
    /// Parts that were not found yet.
    missing: usize,
    /// How often the part was found that was found most often: so often it has run.
    runs: u32,
    /// Where it stands, once it is written for sure.
    place: Option<Place>,
}

/// A count, and some of what was counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Examples {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Examples {
    fn add(&mut self, example: impl Into<String>) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            self.first.push(example.into());
        }
    }
}

impl Oracle {
    /// Nothing is sent yet.
    pub fn new(setting: &Setting) -> Self {
        let account = |order| Account {
            order,
            fates: Vec::new(),
            open: 0,
            highest: HashMap::new(),
            allowed: 0,
            repeated: 0,
            beyond: None,
            misordered: Examples::default(),
        };
        let pipelines = setting.pipelines.iter().map(|shape| (shape.name(), account(shape.order)));
        Self { pipelines: pipelines.collect(), ended: 0, sent: 0, wrong: Examples::default() }
    }

    /// The same messages and bounds, as if nothing had been found yet.
    pub fn afresh(&self) -> Self {
        let mut oracle = self.clone();
        oracle.ended = 0;
        oracle.wrong = Examples::default();
        for account in oracle.pipelines.values_mut() {
            account
                .fates
                .iter_mut()
                .for_each(|fate| *fate = Fate { place: fate.place, ..Fate::new(fate.sent.clone()) });
            account.open = account.fates.iter().filter(|fate| fate.place.is_some()).count();
            account.highest.clear();
            (account.repeated, account.beyond, account.misordered) = (0, None, Examples::default());
        }
        oracle
    }

    /// A message is about to be sent to a pipeline; its name. Told before it is written, so that it is never found
    /// before it is known.
    pub fn sending(&mut self, pipeline: &str, sent: Sent) -> Option<Name> {
        let account = self.pipelines.get_mut(pipeline)?;
        account.fates.push(Fate::new(sent));
        Some(Name { pipeline: pipeline.to_owned(), number: account.fates.len() - 1 })
    }

    /// A message stands in its topic. Only such ones can be lost.
    pub fn written(&mut self, name: &Name, place: Place) {
        let Some(account) = self.pipelines.get_mut(&name.pipeline) else { return };
        let Some(fate) = account.fates.get_mut(name.number).filter(|fate| fate.place.is_none()) else { return };
        fate.place = Some(place);
        account.open += usize::from(fate.missing > 0);
        self.sent += 1;
    }

    /// So many messages of a pipeline may be found once more, from now on.
    pub fn allow(&mut self, pipeline: &str, repeats: u64) {
        if let Some(account) = self.pipelines.get_mut(pipeline) {
            account.allowed += repeats;
        }
    }

    /// Something stands where messages end.
    pub fn found(&mut self, found: &Found) {
        let source = match found {
            Found::Made { source, .. } | Found::Dead { source, .. } => source,
            Found::Strange(what) => return self.wrong.add(what),
        };
        let name = source.parse::<Name>().ok();
        let account = name.as_ref().and_then(|name| self.pipelines.get_mut(&name.pipeline));
        let (Some(name), Some(account)) = (name, account) else {
            return self.wrong.add(format!("{source} was never sent"));
        };
        match account.found(&name, found) {
            Ok(Last::Yes) => self.ended += 1,
            Ok(Last::No) => {}
            Err(why) => self.wrong.add(why),
        }
    }

    /// Messages that stand in their topics.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that have ended as they have to.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Messages of a pipeline that are sent and have not ended.
    pub fn open(&self, pipeline: &str) -> usize {
        self.pipelines.get(pipeline).map_or(0, |account| account.open)
    }

    /// Whether every message that was sent has ended.
    pub fn is_drained(&self) -> bool {
        self.pipelines.values().all(|account| account.open == 0)
    }

    /// What is to be said, where each message that has not ended stands as `standing` says.
    pub fn verdict(&self, standing: impl Fn(&Name, Place) -> Standing) -> Verdict {
        let mut verdict = Verdict { messages: self.sent, wrong: self.wrong.clone(), ..Verdict::default() };
        for (pipeline, account) in &self.pipelines {
            verdict.repeated += account.repeated;
            verdict.bound += account.allowed;
            verdict.beyond.extend(account.beyond.clone());
            verdict.misordered.count += account.misordered.count;
            verdict.misordered.first.extend(account.misordered.first.clone());
            for (number, place) in account.unfound() {
                let name = Name { pipeline: pipeline.clone(), number };
                match standing(&name, place) {
                    Standing::Settled => verdict.lost.add(name.to_string()),
                    Standing::Unsettled => verdict.stuck.add(name.to_string()),
                }
            }
        }
        verdict
    }
}

/// Whether the last part of a message that was missing is found.
enum Last {
    Yes,
    No,
}

impl Account {
    /// Messages that are written and not found whole: number and place.
    fn unfound(&self) -> impl Iterator<Item = (usize, Place)> {
        let unfound = self.fates.iter().enumerate().filter(|(_, fate)| fate.missing > 0);
        unfound.filter_map(|(number, fate)| Some((number, fate.place?)))
    }

    /// Takes what was found of a message of this pipeline; an error says why it must not be there.
    fn found(&mut self, name: &Name, found: &Found) -> Result<Last, String> {
        let Some(fate) = self.fates.get_mut(name.number) else { return Err(format!("{name} was never sent")) };
        let part = part(name, fate.sent.end, found)?;
        let Some(times) = fate.times.get_mut(part) else { return Err(format!("{name} has no part {part}")) };
        *times += 1;
        if *times > 1 {
            // Each part of a message that runs again is found again.
            self.repeated += u64::from(*times > fate.runs);
            fate.runs = fate.runs.max(*times);
            if self.repeated > self.allowed {
                self.beyond
                    .get_or_insert(format!("{name} came again, as repeat {} of {}", self.repeated, self.allowed));
            }
            return Ok(Last::No);
        }
        (fate.runs, fate.missing) = (fate.runs.max(1), fate.missing.saturating_sub(1));
        let last = if fate.missing == 0 { Last::Yes } else { Last::No };
        if matches!(last, Last::Yes) && fate.place.is_some() {
            self.open -= 1;
        }
        // Letters stand in another topic, where they have no place among what is made.
        if self.order == Order::Key && matches!(found, Found::Made { .. }) && !fate.sent.end.may_be_passed() {
            let highest = self.highest.entry(fate.sent.key.clone()).or_insert(name.number);
            if *highest > name.number {
                self.misordered.add(format!("{name} came after {}#{highest} of its key", name.pipeline));
            }
            *highest = (*highest).max(name.number);
        }
        Ok(last)
    }
}

impl Fate {
    fn new(sent: Sent) -> Self {
        let parts = sent.end.emissions() as usize + usize::from(sent.end.class().is_some());
        Self { sent, times: vec![0; parts], missing: parts, runs: 0, place: None }
    }
}

/// Which part of a message this is; an error where a message that has to end so has none like it.
fn part(name: &Name, end: End, found: &Found) -> Result<usize, String> {
    let emissions = end.emissions();
    match (found, end.class()) {
        (Found::Made { id, .. }, _) if emissions > 0 => {
            let ordinal = (0..emissions).find(|ordinal| name.emission(*ordinal).as_str() == id);
            ordinal.map(|ordinal| ordinal as usize).ok_or_else(|| format!("what was made of {name} has the id {id}"))
        }
        (Found::Made { .. }, _) => Err(format!("something was made of {name}, which has to end as {end:?}")),
        (Found::Dead { class: is, .. }, Some(class)) if class == is => Ok(emissions as usize),
        (Found::Dead { class: is, .. }, _) => Err(format!("{name} is dead as {is}, and has to end as {end:?}")),
        (Found::Strange(what), _) => Err(what.clone()),
    }
}

#[cfg(test)]
mod tests;
