//! What must hold of whatever comes from outside, as functions of bytes. The tests call them with the inputs that were
//! kept, and libFuzzer with those that it finds; `README.md` says how. Nothing here opens a connection, and a target
//! keeps nothing from one input to the next.

#[cfg(test)]
mod replay;
mod targets;
mod text;

use targets::{checkpoint, interpolation, line, log_record, outcome, parked, path, redaction, spec, url};

/// The variable that says which target the program runs.
pub const VARIABLE: &str = "LOCKGATE_FUZZ";

/// What became of an input. Which it is, is a target's own; that both occur is what makes a corpus worth keeping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// The input was taken for what it says it is.
    Taken,
    /// It was turned down, as it should be.
    Refused,
}

impl Verdict {
    fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Taken } else { Self::Refused }
    }
}

/// One thing that is fed with bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Panics where a property does not hold.
    pub run: fn(&[u8]) -> Verdict,
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "spec", run: spec::run },
    Target { name: "interpolation", run: interpolation::run },
    Target { name: "checkpoint", run: checkpoint::run },
    Target { name: "outcome", run: outcome::run },
    Target { name: "url", run: url::run },
    Target { name: "path", run: path::run },
    Target { name: "log-record", run: log_record::run },
    Target { name: "parked", run: parked::run },
    Target { name: "line", run: line::run },
    Target { name: "redaction", run: redaction::run },
];

/// A target by its name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
