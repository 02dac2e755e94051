//! Who has been silent for how long: a client that says nothing for too long is sent away, and one that bears little
//! silence hears of us before it is over.

use std::time::Duration;

use jiff::Timestamp;

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Silence {
    /// When the client was last heard of.
    heard: Timestamp,
    /// How long it may be silent.
    allowed: Duration,
    /// When it last heard of us, and how many frames it had by then.
    said: (Timestamp, u64),
    /// How long it bears silence, if it says so.
    borne: Option<Duration>,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// To say that we are alive.
    Heartbeat,
    /// To send the client away.
    Farewell,
}

impl Silence {
    /// That of a client which may be silent for so many milliseconds.
    pub(super) fn new(allowed_ms: u32, now: Timestamp) -> Self {
        Self { heard: now, allowed: Duration::from_millis(allowed_ms.into()), said: (now, 0), borne: None }
    }

    /// The client says how many milliseconds it bears.
    pub(super) fn bears(&mut self, milliseconds: Option<u32>) {
        let milliseconds = milliseconds.filter(|milliseconds| *milliseconds > 0);
        self.borne = milliseconds.map(|milliseconds| Duration::from_millis(milliseconds.into()));
    }

    /// The client has said something.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// What is due, when so many frames were said since the beginning.
    pub(super) fn due(&mut self, frames: u64, now: Timestamp) -> Due {
        if frames != self.said.1 {
            self.said = (now, frames);
        }
        if self.farewell().is_some_and(|due| due <= now) {
            Due::Farewell
        } else if self.heartbeat().is_some_and(|due| due <= now) {
            Due::Heartbeat
        } else {
            Due::Nothing
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.farewell().into_iter().chain(self.heartbeat()).min()
    }

    fn farewell(&self) -> Option<Timestamp> {
        self.heard.checked_add(self.allowed).ok()
    }

    /// At half of what is borne, as the standard wants it.
    fn heartbeat(&self) -> Option<Timestamp> {
        self.borne.and_then(|borne| self.said.0.checked_add(borne / 2).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_heartbeat_is_due_when_nothing_was_said_for_half_of_what_is_borne() {
        let mut silence = Silence::new(240_000, at(0));
        assert_eq!(silence.due(1, at(100)), Due::Nothing);
        silence.bears(Some(60_000));
        assert_eq!(silence.due(1, at(129)), Due::Nothing);
        assert_eq!(silence.deadline(), Some(at(130)));
        assert_eq!(silence.due(1, at(130)), Due::Heartbeat);
        assert_eq!(silence.due(2, at(130)), Due::Nothing);
        assert_eq!(silence.deadline(), Some(at(160)));
    }

    #[test]
    fn a_client_is_sent_away_that_says_nothing() {
        let mut silence = Silence::new(240_000, at(0));
        silence.bears(Some(0));
        silence.hear(at(10));
        assert_eq!(silence.due(0, at(249)), Due::Nothing);
        assert_eq!(silence.due(0, at(250)), Due::Farewell);
    }
}
