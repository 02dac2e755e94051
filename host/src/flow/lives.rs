//! What a supervised pipeline was told and counted over all its lives, so that nothing an operator sees goes back when it
//! is rebuilt. Pure. Counts of a life that ended in a panic of its loop are those that it told last.

use std::sync::Arc;

use super::snapshot::{Command, Counts, Measures, Snapshot, State};

/// The lives of one pipeline.
pub(super) struct Lives {
    pipeline: Arc<str>,
    paused: bool,
    /// Of the lives that ended.
    earlier: Sums,
    /// What the current life told last.
    current: Sums,
    /// As the last life was that told anything.
    last: Option<Snapshot>,
}

#[derive(Clone, Default)]
struct Sums {
    counts: Counts,
    measures: Measures,
}

impl Lives {
    /// Of a pipeline that never ran.
    pub(super) fn new(pipeline: Arc<str>) -> Self {
        Self { pipeline, paused: false, earlier: Sums::default(), current: Sums::default(), last: None }
    }

    /// What is told to the pipeline holds for all lives that follow.
    pub(super) fn hear(&mut self, command: &Command) {
        match command {
            Command::Pause => self.paused = true,
            Command::Resume => self.paused = false,
            Command::Snapshot(_) | Command::Stop => {}
        }
    }

    /// Whether it is to admit and start nothing.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What the current life tells, with what the earlier ones counted.
    pub(super) fn tell(&mut self, snapshot: Snapshot) -> Snapshot {
        self.current = Sums { counts: snapshot.counts.clone(), measures: snapshot.measures.clone() };
        let told = self.summed(snapshot);
        self.last = Some(told.clone());
        told
    }

    /// What is told while there is no life.
    pub(super) fn between(&self, state: &State) -> Snapshot {
        let state = if self.paused { State::Paused } else { state.clone() };
        let empty = Snapshot::empty(self.pipeline.clone(), state);
        Snapshot { counts: self.earlier.counts.clone(), measures: self.earlier.measures.clone(), ..empty }
    }

    /// The current life is over, and told this at its end.
    pub(super) fn end(&mut self, last: Option<Snapshot>) {
        if let Some(last) = last {
            self.tell(last);
        }
        let Sums { counts, measures } = std::mem::take(&mut self.current);
        self.earlier.counts.add(&counts);
        self.earlier.measures.add(&measures);
    }

    /// As it was when it told anything last.
    pub(super) fn into_last(self) -> Option<Snapshot> {
        self.last
    }

    fn summed(&self, snapshot: Snapshot) -> Snapshot {
        let Sums { mut counts, mut measures } = self.earlier.clone();
        counts.add(&snapshot.counts);
        measures.add(&snapshot.measures);
        Snapshot { counts, measures, ..snapshot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(done: u64) -> Snapshot {
        let counts = Counts { done, dead: [("bad".to_owned(), done)].into(), ..Counts::default() };
        Snapshot { counts, ..Snapshot::empty("p".into(), State::Running) }
    }

    #[test]
    fn counts_never_go_back_when_a_life_ends() {
        let mut lives = Lives::new("p".into());
        assert_eq!(lives.tell(counted(3)).counts.done, 3);
        lives.end(None);
        assert_eq!(lives.between(&State::Starting).counts.done, 3, "what it told last, for its loop panicked");
        assert_eq!(lives.tell(counted(0)).counts.done, 3);
        lives.end(Some(counted(4)));
        assert_eq!(lives.tell(counted(1)).counts.dead, [("bad".to_owned(), 8)].into());
        lives.end(None);
        assert_eq!(lives.into_last().map(|last| last.counts.done), Some(8));
    }

    #[test]
    fn words_that_guests_choose_stay_bounded_over_lives() {
        let mut sum = Counts::default();
        for life in 0..3 {
            let mut counts = Counts::default();
            (0..200).for_each(|word| Counts::count(&mut counts.dead, &format!("{life}-{word}")));
            sum.add(&counts);
        }
        assert_eq!((sum.dead.len(), sum.dead.values().sum::<u64>()), (101, 600));
        assert_eq!(sum.dead.get("other"), Some(&500));
    }
}
