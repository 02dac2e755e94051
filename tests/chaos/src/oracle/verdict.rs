//! What the oracle says at the end. Pure.

use super::Examples;

/// Where a message stands that has not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The stored checkpoints say that it is settled: it will never come.
    Settled,
    /// It will come, if somebody goes on.
    Unsettled,
}

/// What became of all messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Messages sent.
    pub messages: u64,
    /// Settled, and nowhere.
    pub lost: Examples,
    /// Found again, all together.
    pub repeated: u64,
    /// Repeats that the faults allow, all together.
    pub bound: u64,
    /// The first repeat of each pipeline that was beyond what the faults until then allowed.
    pub beyond: Vec<String>,
    /// Found after a later message of their key.
    pub misordered: Examples,
    /// Not settled, though there was time.
    pub stuck: Examples,
    /// Found where they must not be.
    pub wrong: Examples,
}

impl Verdict {
    /// Everything that is wrong, for people; nothing where all is as it has to be.
    pub fn failures(&self) -> Vec<String> {
        let told = [
            ("lost", &self.lost),
            ("misordered", &self.misordered),
            ("stuck", &self.stuck),
            ("wrongly ended", &self.wrong),
        ];
        let told = told.into_iter().filter(|(_, examples)| examples.count > 0);
        let told = told.map(|(what, Examples { count, first })| format!("{count} {what}: {}, …", first.join(", ")));
        told.chain(self.beyond.iter().map(|beyond| format!("repeated too often: {beyond}"))).collect()
    }
}
