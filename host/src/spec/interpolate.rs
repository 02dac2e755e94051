//! `${VAR}` and `${VAR:-default}` in every scalar, after parsing and merging, so that a value never becomes YAML.
//!
//! | written | becomes |
//! |---|---|
//! | `${VAR}` | the variable's value; an error where it is not set |
//! | `${VAR:-text}` | the value; `text` where it is not set or empty |
//! | `$${` | the two characters `${` |
//! | `${secrets.NAME}` | left for the fields that take a secret |
//!
//! An unquoted scalar that is one variable and nothing else is read by its looks; any other is a string, unless its
//! field has another type. A variable that stands behind a secret cannot be had here.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::limits::{Full, Room};
use super::merge::matches_pattern;
use super::node::{Node, Scalar, Value, Written};

/// Fills in every scalar below `root`. One that cannot be filled in becomes a hole. Fails where the spec would grow too
/// much by that.
pub(super) fn interpolate(
    root: &mut Node,
    environment: &dyn Fn(&str) -> Option<String>,
    room: &mut Room,
    problems: &mut Vec<Diagnostic>,
) -> Result<(), Box<Diagnostic>> {
    let behind_secrets = variables_behind_secrets(root);
    let mut filling = Filling { environment, behind_secrets, room, problems };
    filling.node(root, &mut Vec::new()).map(drop)
}

/// From `secrets: NAME: { env: VARIABLE }`: the variable, and the secret's name.
fn variables_behind_secrets(root: &Node) -> BTreeMap<String, String> {
    let secrets = root.get("secrets").map(Node::entries).unwrap_or_default();
    let variable = |node: &Node| match &node.get("env")?.value {
        Value::Scalar(scalar) => Some(scalar.text.clone()),
        _ => None,
    };
    secrets.iter().filter_map(|entry| Some((variable(&entry.node)?, entry.key.clone()))).collect()
}

/// A scalar in pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
    Secret,
}

/// Why a scalar cannot be filled in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum Fault {
    #[error("a `${{` is never closed")]
    Unclosed,
    #[error("`${{{0}}}` names no environment variable")]
    NoName(String),
    #[error("a variable's default cannot hold another variable")]
    Nested,
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    #[error("the variable `{variable}` stands behind the secret `{secret}` and cannot be used elsewhere")]
    BehindSecret { variable: String, secret: String },
    #[error("the name of a variable behind a secret is written out")]
    NameOfVariable,
    #[error(transparent)]
    Full(#[from] Full),
}

impl Fault {
    fn code(&self) -> &'static str {
        match self {
            Self::Unclosed | Self::NoName(_) | Self::Nested => "interpolation",
            Self::NotSet(_) => "missing-variable",
            Self::BehindSecret { .. } | Self::NameOfVariable => "secret",
            Self::Full(_) => "yaml",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unclosed | Self::NoName(_) | Self::Nested => {
                "write `${NAME}` or `${NAME:-default}`; `$${` stands for the two characters themselves".to_owned()
            }
            Self::NotSet(name) => format!("set it, or give a default: `${{{name}:-…}}`"),
            Self::BehindSecret { secret, .. } => {
                format!("a field that takes a secret names it: `${{secrets.{secret}}}`")
            }
            Self::NameOfVariable => "write `env: NAME`, without `${…}`".to_owned(),
            Self::Full(_) => Full::HELP.to_owned(),
        }
    }
}

struct Filling<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    behind_secrets: BTreeMap<String, String>,
    room: &'a mut Room,
    problems: &'a mut Vec<Diagnostic>,
}

impl Filling<'_> {
    /// Answers whether something below could not be filled in.
    fn node(&mut self, node: &mut Node, path: &mut Vec<String>) -> Result<bool, Box<Diagnostic>> {
        let mut broken = false;
        match &mut node.value {
            Value::Scalar(scalar) if scalar.text.contains("${") => match self.scalar(scalar, path) {
                Ok(filled) => *scalar = filled,
                Err(Fault::Full(full)) => return Err(Box::new(full.at(node.place))),
                Err(fault) => {
                    let problem = Diagnostic::error(fault.code(), node.place, fault.to_string());
                    self.problems.push(problem.help(fault.help()));
                    node.value = Value::Hole;
                    broken = true;
                }
            },
            Value::List(items) => {
                for item in items {
                    broken |= self.node(item, path)?;
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    path.push(entry.key.clone());
                    broken |= self.node(&mut entry.node, path)?;
                    path.pop();
                }
            }
            _ => {}
        }
        node.tainted |= broken;
        Ok(broken)
    }

    fn scalar(&mut self, scalar: &Scalar, path: &[String]) -> Result<Scalar, Fault> {
        if matches_pattern(&["secrets", "*", "env"], path) {
            return Err(Fault::NameOfVariable);
        }
        let pieces = pieces(&scalar.text)?;
        if pieces.contains(&Piece::Secret) {
            return Ok(Scalar { text: scalar.text.clone(), written: Written::Secret });
        }
        let written = match (scalar.written, pieces.as_slice()) {
            (Written::Plain, [Piece::Variable { .. }]) => Written::Plain,
            (written, pieces) if !pieces.iter().any(|piece| matches!(piece, Piece::Variable { .. })) => written,
            _ => Written::Filled,
        };
        let mut text = String::new();
        for piece in &pieces {
            let value = self.piece(piece)?;
            if matches!(piece, Piece::Variable { .. }) {
                self.room.take_bytes(value.len())?;
            }
            text.push_str(&value);
        }
        Ok(Scalar { text, written })
    }

    fn piece(&self, piece: &Piece<'_>) -> Result<String, Fault> {
        let (name, default) = match piece {
            Piece::Text(text) => return Ok((*text).to_owned()),
            Piece::Variable { name, default } => (*name, *default),
            Piece::Secret => return Ok(String::new()),
        };
        if let Some(secret) = self.behind_secrets.get(name) {
            return Err(Fault::BehindSecret { variable: name.to_owned(), secret: secret.clone() });
        }
        match ((self.environment)(name), default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(Fault::NotSet(name.to_owned())),
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(before), Piece::Text("${")]);
            rest = after;
            continue;
        }
        let (inside, behind) = after.split_once('}').ok_or(Fault::Unclosed)?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(reference(inside)?);
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn reference(inside: &str) -> Result<Piece<'_>, Fault> {
    if inside.contains("${") {
        return Err(Fault::Nested);
    }
    if inside.starts_with("secrets.") {
        return Ok(Piece::Secret);
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let mut characters = name.chars();
    let begins_well = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if begins_well && characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(Piece::Variable { name, default })
    } else {
        Err(Fault::NoName(inside.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::spec::parse::parse;
    use crate::spec::read::read;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "A" => "alpha",
            "N" => "42",
            "EMPTY" => "",
            "YAML" => "{ x: 1 } # no",
            "NULL" => "null",
            "NESTED" => "${A}",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn filled(text: &str) -> (Node, Vec<String>) {
        let mut problems = Vec::new();
        let mut node = parse(0, text, &mut Room::default(), &mut problems).unwrap();
        interpolate(&mut node, &environment, &mut Room::default(), &mut problems).unwrap();
        (node, problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn a_scalar_becomes_what_the_table_says() {
        for (text, expected) in [
            ("${A}", json!("alpha")),
            ("x-${A}-y", json!("x-alpha-y")),
            ("\"${A}${N}\"", json!("alpha42")),
            ("${N}", json!(42)),
            ("\"${N}\"", json!("42")),
            ("${N}0", json!("420")),
            ("${NONE:-7}", json!(7)),
            ("${NONE:-}", json!(null)),
            ("${EMPTY:-seven}", json!("seven")),
            ("\"${EMPTY}\"", json!("")),
            ("\"${NONE:-a: b}\"", json!("a: b")),
            ("${YAML}", json!("{ x: 1 } # no")),
            ("${NULL}", json!(null)),
            ("\"${NULL}\"", json!("null")),
            ("${NESTED}", json!("${A}")),
            ("$${A}", json!("${A}")),
            ("$A", json!("$A")),
            ("a$b", json!("a$b")),
        ] {
            let (node, problems) = filled(&format!("k: {text}\n"));
            assert_eq!((read::<Json>(&node).0.unwrap(), problems), (json!({ "k": expected }), vec![]), "{text}");
        }
    }

    #[test]
    fn a_filled_scalar_is_read_as_its_fields_type() {
        for text in ["${N}", "\"${N}\"", "'${NONE:-42}'"] {
            let (node, _) = filled(&format!("k: {text}\n"));
            let map = read::<BTreeMap<String, u64>>(&node).0.unwrap();
            assert_eq!(map["k"], 42, "{text}");
        }
        let (node, _) = filled("k: ${N}\n");
        assert_eq!(read::<BTreeMap<String, String>>(&node).0.unwrap()["k"], "42");
    }

    #[test]
    fn what_cannot_be_filled_in_says_so() {
        for (text, message) in [
            ("k: ${NONE}", "the environment variable `NONE` is not set"),
            ("k: \"${A\"", "a `${` is never closed"),
            ("k: ${A B}", "`${A B}` names no environment variable"),
            ("k: \"${}\"", "`${}` names no environment variable"),
            ("k: \"${NONE:-${A}}\"", "a variable's default cannot hold another variable"),
            (
                "secrets: { s: { env: A } }\nk: \"x${A}\"",
                "the variable `A` stands behind the secret `s` and cannot be used elsewhere",
            ),
            ("secrets: { s: { env: \"${A}\" } }", "the name of a variable behind a secret is written out"),
        ] {
            let (node, problems) = filled(text);
            assert_eq!(problems, [message], "{text}");
            assert!(node.tainted, "{text}");
        }
    }

    proptest! {
        /// Whatever a variable holds, it comes out as that very string and never as structure.
        #[test]
        fn a_quoted_variable_is_its_value(value in any::<String>(), before in "[a-z ]{0,5}", behind in "[a-z ]{0,5}") {
            let mut problems = Vec::new();
            let mut room = Room::default();
            let mut node = parse(0, &format!("k: \"{before}${{V}}{behind}\"\n"), &mut room, &mut problems).unwrap();
            interpolate(&mut node, &|_| Some(value.clone()), &mut room, &mut problems).unwrap();
            prop_assert!(problems.is_empty());
            let map = read::<BTreeMap<String, Json>>(&node).0.unwrap();
            prop_assert_eq!(&map["k"], &Json::from(format!("{before}{value}{behind}")));
        }
    }
}
