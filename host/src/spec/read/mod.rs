//! From the tree to serde types, finding **every** error: serde stops at the first one, so what was wrong is taken out
//! or replaced by a hole that stands for anything, and reading begins anew, until nothing new comes up. The types stay
//! the only authority on what is right; nothing here knows them.
//!
//! A field of type [`Part`](super::shape::Part) says afterwards whether what it holds can be relied on.

mod access;
mod error;
mod hole;
mod reader;

use serde::de::DeserializeOwned;

pub(super) use error::{Error, Kind, Step};
use reader::Reader;

use super::limits::{ENOUGH, MOST_VISITS, Weight};
use super::near::did_you_mean;
use super::node::{Entry, Node, Value};

/// A newtype of this name is told whether its value was mended; see [`Part`](super::shape::Part).
pub(super) const PART: &str = "lockgate::Part";
/// A newtype of this name takes a secret, and nothing else does; see [`SecretRef`](crate::model::SecretRef).
pub(super) const SECRET: &str = "SecretRef";

/// Reads a value with all that is wrong with it. Nothing comes out where not even the outermost shape is right, or
/// where so much is wrong that it is not worth to go on.
pub(super) fn read<T: DeserializeOwned>(root: &Node) -> (Option<T>, Vec<Error>) {
    let mut tree = root.clone();
    let mut errors = Vec::new();
    // Each pass takes at least one thing out of the tree, and costs as much as the tree is large.
    let passes = ENOUGH.min(MOST_VISITS / Weight::of(root).nodes.max(1));
    for _ in 0..passes {
        let error = match T::deserialize(Reader::root(&tree)) {
            Ok(value) => return (Some(value), errors),
            Err(error) => error,
        };
        let path: Vec<Step> = error.path.iter().rev().cloned().collect();
        let mended = mend(&mut tree, &path, &error.kind);
        if mended.news == News::New {
            errors.push(error);
        }
        if mended.hope == Hope::Lost {
            break;
        }
    }
    (None, errors)
}

/// Whether an error tells something that is not known already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    New,
    /// It only follows from an earlier mend.
    Known,
}

/// Whether reading again can come further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hope {
    Left,
    Lost,
}

struct Mended {
    news: News,
    hope: Hope,
}

/// Changes the tree so that the same error cannot come again.
///
/// | what is wrong | what is done | tainted |
/// |---|---|---|
/// | a key that is not known | taken out | the map it stood in |
/// | a variant that is not known | taken out | all on the way there |
/// | a missing field | a hole in its place | all on the way there |
/// | a value | a hole in its place | all on the way there |
/// | a hole that its type does not take | taken out | |
/// | a missing field that was taken out | the whole map becomes a hole | |
fn mend(tree: &mut Node, path: &[Step], kind: &Kind) -> Mended {
    match kind {
        // What stands around an unknown key can be relied on, except where the key may have been meant to be one of
        // those that are looked at together.
        Kind::UnknownKey { .. } => return take_out(tree, path, News::New),
        Kind::UnknownVariant { .. } => {
            taint(tree, path);
            return take_out(tree, path, News::New);
        }
        _ => taint(tree, path),
    }
    let Some(node) = find(tree, path) else { return Mended { news: News::New, hope: Hope::Lost } };
    if node.value == Value::Hole {
        return take_out(tree, path, News::Known);
    }
    let news = match kind {
        Kind::Missing(field) if !node.dropped.iter().any(|key| key == field) => {
            // A misspelt key has been reported as such.
            let misspelt = node.dropped.iter().any(|key| did_you_mean(key, &[field]).is_some());
            put_hole(node, field);
            return Mended { news: if misspelt { News::Known } else { News::New }, hope: Hope::Left };
        }
        Kind::Missing(_) => News::Known,
        Kind::NotOne { .. } if !node.dropped.is_empty() => News::Known,
        _ => News::New,
    };
    node.value = Value::Hole;
    Mended { news, hope: Hope::Left }
}

fn below<'t>(node: &'t mut Node, step: &Step) -> Option<&'t mut Node> {
    match (&mut node.value, step) {
        (Value::Map(entries), Step::Key(key)) => {
            entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
        }
        (Value::List(items), Step::Item(index)) => items.get_mut(*index),
        _ => None,
    }
}

fn find<'t>(tree: &'t mut Node, path: &[Step]) -> Option<&'t mut Node> {
    path.iter().try_fold(tree, below)
}

fn taint(tree: &mut Node, path: &[Step]) {
    tree.tainted = true;
    if let Some((step, rest)) = path.split_first()
        && let Some(node) = below(tree, step)
    {
        taint(node, rest);
    }
}

/// Takes an entry or an item out, and taints what it stood in.
fn take_out(tree: &mut Node, path: &[Step], news: News) -> Mended {
    let lost = Mended { news, hope: Hope::Lost };
    let Some((last, parents)) = path.split_last() else { return lost };
    let Some(parent) = find(tree, parents) else { return lost };
    parent.tainted = true;
    match (&mut parent.value, last) {
        (Value::Map(entries), Step::Key(key)) => {
            entries.retain(|entry| entry.key != *key);
            parent.dropped.push(key.clone());
        }
        (Value::List(items), Step::Item(index)) if *index < items.len() => drop(items.remove(*index)),
        _ => return lost,
    }
    Mended { news, hope: Hope::Left }
}

fn put_hole(node: &mut Node, field: &str) {
    let mut hole = Node::new(node.place, Value::Hole);
    hole.tainted = true;
    let entry = Entry { key: field.to_owned(), place: node.place, node: hole };
    match &mut node.value {
        Value::Map(entries) => entries.push(entry),
        other => *other = Value::Map(vec![entry]),
    }
}

#[cfg(test)]
mod tests;
