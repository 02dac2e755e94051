//! The way from one member to the store.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::storage::conditional::{Entry, Listed, Version};
use async_trait::async_trait;

/// What comes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It arrives, and its answer.
    Fine,
    /// It does not arrive.
    Refused,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It arrives, and its answer three seconds later.
    AnswerLate,
    /// It does not arrive, and nothing says so.
    Silent,
}

pub(super) struct Line {
    store: Arc<Memory>,
    state: Mutex<State>,
}

struct State {
    /// What comes of the next changes of entries whose names hold a text, each once.
    fates: VecDeque<(&'static str, Fate)>,
    /// What comes of everything else.
    always: Fate,
    /// Calls are slow and fail as it falls out, for one that is.
    weather: Option<StdRng>,
    reads: Vec<String>,
}

impl Line {
    pub(super) fn new(store: Arc<Memory>) -> Self {
        let state = State { fates: VecDeque::new(), always: Fate::Fine, weather: None, reads: Vec::new() };
        Self { store, state: Mutex::new(state) }
    }

    /// What comes of the next change of an entry whose name holds a text.
    pub(super) fn next(&self, name: &'static str, fate: Fate) {
        self.state().fates.push_back((name, fate));
    }

    /// What comes of all calls from now on.
    pub(super) fn always(&self, fate: Fate) {
        self.state().always = fate;
    }

    /// Nothing arrives any more.
    pub(super) fn cut(&self) {
        self.always(Fate::Silent);
        self.state().weather = None;
    }

    /// From now on calls take up to four seconds each way, and one in ten fails.
    pub(super) fn storm(&self, seed: u64) {
        self.state().weather = Some(StdRng::seed_from_u64(seed));
    }

    pub(super) fn calm(&self) {
        self.state().weather = None;
    }

    /// Which entries were read since this was last asked.
    pub(super) fn reads(&self) -> Vec<String> {
        std::mem::take(&mut self.state().reads)
    }

    fn fate(&self, name: &str, is_put: bool) -> (Fate, Duration, Duration) {
        let mut state = self.state();
        if is_put && state.fates.front().is_some_and(|(part, _)| name.contains(part)) {
            let (_, fate) = state.fates.pop_front().unwrap();
            let back = if fate == Fate::AnswerLate { Duration::from_secs(3) } else { Duration::ZERO };
            return (fate, Duration::ZERO, back);
        }
        let always = state.always;
        match &mut state.weather {
            Some(weather) if always == Fate::Fine => {
                let fate = match weather.random_range(0..100) {
                    0..4 => Fate::Refused,
                    4..9 => Fate::AnswerLost,
                    9 => Fate::Silent,
                    _ => Fate::Fine,
                };
                let slow = |weather: &mut StdRng| {
                    let longest = if weather.random_range(0..5) == 0 { 4000 } else { 100 };
                    Duration::from_millis(weather.random_range(0..longest))
                };
                (fate, slow(weather), slow(weather))
            }
            _ => (always, Duration::ZERO, Duration::ZERO),
        }
    }

    async fn call<T>(
        &self,
        name: &str,
        is_put: bool,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (fate, there, back) = self.fate(name, is_put);
        tokio::time::sleep(there).await;
        let failed = |reason: &str| Err(Failure::Unavailable(reason.to_owned()));
        match fate {
            Fate::Refused => return failed("refused"),
            Fate::Silent => return std::future::pending().await,
            Fate::Fine | Fate::AnswerLost | Fate::AnswerLate => {}
        }
        let answer = call.await;
        tokio::time::sleep(back).await;
        if fate == Fate::AnswerLost { failed("the answer is lost") } else { answer }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Conditional for Line {
    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Failure> {
        self.call(folder, false, self.store.list(folder)).await
    }

    async fn read(&self, name: &str) -> Result<Option<Entry>, Failure> {
        self.state().reads.push(name.to_owned());
        self.call(name, false, self.store.read(name)).await
    }

    async fn put(&self, name: &str, fields: &Fields, expected: Option<&Version>) -> Result<Option<Version>, Failure> {
        self.call(name, true, self.store.put(name, fields, expected)).await
    }
}
