//! How much a spec may be, and how much is said of one. Each bound is far beyond any honest spec, is checked before
//! what it bounds is made, and keeps what reads a spec from taking more than moments and some megabytes, whatever
//! stands in it.
//!
//! | bound | holds for |
//! |---|---|
//! | [`MOST_BYTES`] | the text of all files; what aliases, `defaults` and variables add to it |
//! | [`MOST_NODES`] | the values of all files, copies by aliases and `defaults` included |
//! | [`DEEPEST`] | values in values; keys of a `--set` |
//! | [`MOST_VISITS`] | values looked at while errors of the shape are found one after another |
//! | [`ENOUGH`] | errors after which no more are looked for |
//! | [`MOST_SHOWN`] | errors that are told; one more says how many there are besides |
//! | [`LONGEST_MESSAGE`] | characters of a message, for it may repeat what stands in the spec |

use std::collections::HashSet;

use super::diagnostic::Diagnostic;
use super::node::{Node, Value};
use super::place::Place;

pub(super) const MOST_BYTES: usize = 1 << 20;
pub(super) const MOST_NODES: usize = 20_000;
pub(super) const DEEPEST: usize = 64;
pub(super) const MOST_VISITS: usize = 2_000_000;
pub(super) const ENOUGH: usize = 1000;
pub(super) const MOST_SHOWN: usize = 100;
const LONGEST_MESSAGE: usize = 500;

/// What a spec may still take of both bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    nodes: usize,
    bytes: usize,
}

/// What something takes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Weight {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
}

/// There is no room left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Full {
    #[error("the spec has more than {MOST_NODES} values, copies by aliases and `defaults` included")]
    Nodes,
    #[error("the spec grows by more than 1 MiB through its aliases, `defaults` and variables")]
    Bytes,
}

impl Default for Room {
    fn default() -> Self {
        Self { nodes: MOST_NODES, bytes: MOST_BYTES }
    }
}

impl Room {
    /// Takes room before what needs it is made.
    pub(super) fn take(&mut self, weight: Weight) -> Result<(), Full> {
        let nodes = self.nodes.checked_sub(weight.nodes).ok_or(Full::Nodes)?;
        let bytes = self.bytes.checked_sub(weight.bytes).ok_or(Full::Bytes)?;
        *self = Self { nodes, bytes };
        Ok(())
    }

    /// Takes room for text alone.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<(), Full> {
        self.take(Weight { nodes: 0, bytes })
    }
}

impl Full {
    pub(super) const HELP: &str = "make several specs of it, each run by a host of its own";

    /// What to tell, at the value that there is no room for.
    pub(super) fn at(self, place: Place) -> Diagnostic {
        Diagnostic::error("yaml", place, self.to_string()).help(Self::HELP)
    }
}

impl Weight {
    /// Of a tree.
    pub(super) fn of(node: &Node) -> Self {
        let mut weight = Self { nodes: 0, bytes: 0 };
        node.walk(&mut Vec::new(), &mut |_, node| {
            weight.nodes += 1;
            weight.bytes += match &node.value {
                Value::Scalar(scalar) => scalar.text.len(),
                Value::Map(entries) => entries.iter().map(|entry| entry.key.len()).sum(),
                _ => 0,
            };
        });
        weight
    }

    /// Of so many copies.
    pub(super) fn times(self, copies: usize) -> Self {
        Self { nodes: self.nodes.saturating_mul(copies), bytes: self.bytes.saturating_mul(copies) }
    }
}

/// In the order of files and lines, without repeats, and no more than anybody reads: the last one says how many there
/// are besides.
pub(super) fn bounded(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    list.sort_by_key(|diagnostic| (diagnostic.place, diagnostic.severity));
    // A fault in `defaults` shows once, not once a pipeline.
    let mut seen = HashSet::new();
    list.retain(|diagnostic| seen.insert((diagnostic.place, diagnostic.message.clone())));
    if list.len() > MOST_SHOWN + 1 {
        let rest = list.split_off(MOST_SHOWN);
        list.extend(unsaid(&rest));
    }
    list.into_iter().map(shortened).collect()
}

fn unsaid(rest: &[Diagnostic]) -> Option<Diagnostic> {
    let first = rest.first()?;
    let severity = rest.iter().map(|diagnostic| diagnostic.severity).min()?;
    let message = format!("{} more findings are not shown; the first of them is here", rest.len());
    let note = Diagnostic::nowhere("too-many", message).help("mend those above, then check again");
    Some(Diagnostic { severity, place: first.place, ..note })
}

/// Cuts what repeats too much of a spec out of the middle: what is wrong stands in front, what to do behind.
pub(super) fn shortened(mut diagnostic: Diagnostic) -> Diagnostic {
    shorten(&mut diagnostic.message);
    diagnostic.help.iter_mut().for_each(shorten);
    diagnostic
}

fn shorten(text: &mut String) {
    const TAIL: usize = 150;
    if text.len() <= LONGEST_MESSAGE || text.chars().count() <= LONGEST_MESSAGE {
        return;
    }
    let head: String = text.chars().take(LONGEST_MESSAGE - TAIL - 1).collect();
    let tail: Vec<char> = text.chars().rev().take(TAIL).collect();
    *text = head + "…" + &tail.into_iter().rev().collect::<String>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::diagnostic::Severity;

    fn at(start: usize, message: &str) -> Diagnostic {
        Diagnostic::error("yaml", Place::new(0, start..start + 1), message)
    }

    #[test]
    fn room_is_taken_whole_or_not_at_all() {
        let mut room = Room::default();
        assert_eq!(room.take(Weight { nodes: 1, bytes: MOST_BYTES + 1 }), Err(Full::Bytes));
        assert_eq!(room.take(Weight { nodes: MOST_NODES + 1, bytes: 1 }), Err(Full::Nodes));
        assert_eq!(room, Room::default());
        assert_eq!(room.take(Weight { nodes: MOST_NODES, bytes: MOST_BYTES }), Ok(()));
        assert_eq!(room.take_bytes(1), Err(Full::Bytes));
    }

    #[test]
    fn what_is_said_twice_is_said_once_and_in_order() {
        let list = bounded(vec![at(5, "b"), at(1, "a"), at(5, "b"), at(5, "c")]);
        assert_eq!(list, [at(1, "a"), at(5, "b"), at(5, "c")]);
    }

    #[test]
    fn more_than_anybody_reads_is_counted_instead() {
        let many: Vec<_> = (0..MOST_SHOWN + 1).map(|index| at(index, "wrong")).collect();
        assert_eq!(bounded(many.clone()), many, "one more is no longer than the words for it");
        let warning = |index| Diagnostic { severity: Severity::Warning, ..at(index, "wrong") };
        let list = bounded((0..1_000_000).map(warning).chain([at(2_000_000, "wrong")]).collect());
        assert_eq!(list.len(), MOST_SHOWN + 1);
        let last = list.last().unwrap();
        assert_eq!(last.message, "999901 more findings are not shown; the first of them is here");
        assert_eq!((last.place, last.code), (at(MOST_SHOWN, "").place, "too-many"));
        assert_eq!(last.severity, Severity::Error, "what is not shown forbids a start too");
    }

    #[test]
    fn a_message_that_repeats_too_much_is_cut_in_its_middle() {
        let message = format!("`{}` is no size", "é".repeat(1_000_000));
        let list = bounded(vec![at(0, &message).help(message.clone())]);
        let short = &list[0].message;
        assert_eq!(short.chars().count(), LONGEST_MESSAGE);
        assert!(short.starts_with("`éé") && short.contains('…') && short.ends_with("é` is no size"), "{short}");
        assert_eq!(list[0].help.as_ref(), Some(short));
    }
}
