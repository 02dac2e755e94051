//! Every word by which the host names what is wrong, with what is behind it: one table, from which come
//! `lockgate explain`, `docs/errors.md` and the rules of SARIF. Pure data; it decides nothing, and nothing is refused
//! or given up because of what stands here.
//!
//! | file | words |
//! |---|---|
//! | `spec` | findings of `lockgate check`, with examples |
//! | `letters` | classes and codes of dead letters |
//! | `states` | states of pipelines, and what messages wait for |

mod letters;
mod markdown;
mod spec;
mod states;

pub use markdown::page;

/// One word, and what is behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    /// The word.
    pub word: &'static str,
    /// What it is a word for.
    pub kind: Kind,
    /// What it stands for, in a few words: lower case, no full stop.
    pub title: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Why it is refused, given up or waited for: what would happen otherwise.
    pub why: &'static str,
    /// What to do about it.
    pub mend: &'static str,
    /// What is wrong and what is right, where a spec can show it.
    pub examples: Option<Examples>,
}

/// What a word is a word for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A finding of `check` with which nothing starts.
    Error,
    /// A finding of `check` that keeps nothing from starting.
    Warning,
    /// The kind of reason for which a message became a dead letter.
    Class,
    /// The reason itself, in a word.
    Letter,
    /// What a pipeline does.
    State,
    /// What a message waits for.
    Wait,
}

impl Kind {
    /// Every kind, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::Error, Self::Warning, Self::Class, Self::Letter, Self::State, Self::Wait];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error of a spec",
            Self::Warning => "warning of a spec",
            Self::Class => "class of dead letters",
            Self::Letter => "code of dead letters",
            Self::State => "state of a pipeline",
            Self::Wait => "what a message waits for",
        }
    }
}

/// The same thing wrong and right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Examples {
    /// Has this finding, and no other.
    pub wrong: Example,
    /// Has none.
    pub right: Example,
}

/// An example of a spec that is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Example {
    /// A file on top of [`SPEC`].
    Overlay(&'static str),
    /// The arguments of `lockgate check`, where [`SPEC`] is `pipelines.yaml`.
    Arguments(&'static str),
}

/// The spec that the examples lie on top of.
pub const SPEC: &str = "\
lockgate: 1
transports:
  bus: { log: { path: data/bus } }
plugins:
  download: { component: plugins/download.wasm }
pipelines:
  fetch:
    from: { topic: pending }
    plugin: download
    to: { cached: { topic: cached } }
    dead_letter: { topic: letters }
";

/// Every word, kind by kind. A word of two kinds comes twice.
pub fn all() -> impl Iterator<Item = &'static Code> {
    spec::FINDINGS.iter().chain(letters::CLASSES).chain(letters::CODES).chain(states::STATES).chain(states::WAITS)
}

/// The findings of `check`. Their order is stable within a version.
pub fn findings() -> &'static [Code] {
    spec::FINDINGS
}

/// What is behind a word; nothing where the host has no such word.
pub fn explain(word: &str) -> impl Iterator<Item = &'static Code> {
    all().filter(move |code| code.word == word)
}

#[cfg(test)]
mod tests;
