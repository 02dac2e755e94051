//! Keeps literals that may be secrets out of every snippet: what stands where a secret reference belongs, in any of the
//! files, whether or not an overlay replaced it, and what goes by a name that tells a secret, wherever it stands.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::near::did_you_mean;
use super::node::{Node, Value, Written};
use super::place::{Place, Sources};
use crate::model::tells_secret;

/// Keys below which secrets stand. One that is nearly such a key was meant to be it.
const SECRET_KEYS: [&str; 7] = ["auth", "basic", "bearer", "encoded", "secrets", "token", "password"];

/// Masks the scalars of a tree that may be secrets: everything in an `auth` but header names and references, everything
/// in `secrets` but the names of variables and files, everything under a key that tells a secret, and URLs with a user
/// or a query. A key may be a secret as well, where it stands among secrets and looks like none of ours.
pub(super) fn mask_literals(tree: &Node, sources: &mut Sources) {
    let mut places = Vec::new();
    tree.walk(&mut Vec::new(), &mut |path, node| {
        if let Value::Map(entries) = &node.value {
            let odd = entries.iter().filter(|entry| is_odd_key(path, &entry.key));
            places.extend(odd.map(|entry| entry.place));
        }
        let Value::Scalar(scalar) = &node.value else { return };
        if !is_reference(&scalar.text) && (may_be_secret(path) || holds_credentials(path, &scalar.text)) {
            places.push(node.place);
        }
    });
    places.into_iter().for_each(|place| sources.mask(place));
}

/// Whether a key below `path` may be a secret that was written as one: `auth: { bearer: { 7f3a9b20 } }`.
pub(super) fn is_odd_key(path: &[&str], key: &str) -> bool {
    // Right below `secrets` stand the names that people give.
    let among_secrets = path.contains(&"auth") || (path.len() > 1 && path.first() == Some(&"secrets"));
    among_secrets
        && key.len() >= 8
        && key.contains(|c: char| c.is_ascii_digit() || !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
}

/// Whether what stands at a place is not to be quoted: it may be a secret, or came from a variable, of which nobody knows
/// what it holds once it went astray.
pub(super) fn is_masked(place: Place, sources: &Sources) -> bool {
    sources.shown(place).get(place.range()).is_some_and(|shown| shown.contains("**") || shown.contains("${"))
}

/// The values that variables gave, by the place where they were asked for, and what is written there.
pub(super) struct Variables<'t>(BTreeMap<Place, (&'t str, &'t str)>);

impl<'t> Variables<'t> {
    pub(super) fn of(tree: &'t Node, sources: &'t Sources) -> Self {
        let mut variables = BTreeMap::new();
        tree.walk(&mut Vec::new(), &mut |_, node| {
            let Value::Scalar(scalar) = &node.value else { return };
            let written = sources.shown(node.place).get(node.place.range()).unwrap_or_default();
            if written.contains("${") && scalar.written != Written::Secret {
                variables.insert(node.place, (scalar.text.as_str(), written.trim_matches(['"', '\''])));
            }
        });
        Self(variables)
    }

    /// Has diagnostics quote what is written instead of what it became.
    pub(super) fn unquote(&self, problems: &mut [Diagnostic]) {
        for problem in problems {
            let variable = problem.place.and_then(|place| self.0.get(&place));
            let Some((value, written)) = variable else { continue };
            let (value, written) = (format!("`{value}`"), format!("`{written}`"));
            problem.message = problem.message.replace(&value, &written);
            problem.help = problem.help.take().map(|help| help.replace(&value, &written));
        }
    }
}

/// Masks what stands where a secret was expected, unless it only names a variable or a secret.
pub(super) fn mask_literal(place: Place, sources: &mut Sources) {
    let written = sources.shown(place).get(place.range()).unwrap_or_default();
    if !is_reference(written.trim_matches(['"', '\''])) {
        sources.mask(place);
    }
}

/// Masks lines of a text that is no YAML: letters and digits behind the first colon, where the line may hold a secret.
/// What makes the syntax stays.
pub(super) fn mask_guesses(source: usize, text: &str, sources: &mut Sources) {
    const SUSPICIOUS: &[&str] = &[
        "auth",
        "basic",
        "bearer",
        "connection",
        "encoded",
        "key",
        "password",
        "sas",
        "secret",
        "token",
        "value",
        "@",
    ];
    let mut start = 0;
    // How far the line is indented below which everything is suspicious.
    let mut below = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let is_within = below.is_some_and(|suspicious| indent > suspicious) || line.trim().is_empty();
        if !is_within {
            let lower = line.to_lowercase();
            below = SUSPICIOUS.iter().any(|word| lower.contains(word)).then_some(indent);
        }
        if below.is_some() {
            mask_words(source, start, line, sources);
        }
        start += line.len();
    }
}

/// Behind the first colon, or all of a line that has none.
fn mask_words(source: usize, line_start: usize, line: &str, sources: &mut Sources) {
    let behind = line.find(':').unwrap_or(0);
    for (offset, c) in line.char_indices().filter(|(offset, c)| *offset >= behind && c.is_alphanumeric()) {
        let start = line_start + offset;
        sources.mask(Place::new(source, start..start + c.len_utf8()));
    }
}

fn may_be_secret(path: &[&str]) -> bool {
    match path {
        ["secrets", _, "env" | "file"] => false,
        ["secrets", ..] => true,
        [.., "auth", "header", "name"] => false,
        // The second key is a name that people give.
        [section, _, rest @ ..] => tells(section) || rest.iter().any(|key| tells(key)),
        [key] => tells(key),
        [] => false,
    }
}

fn tells(key: &str) -> bool {
    tells_secret(key) || did_you_mean(key, &SECRET_KEYS).is_some()
}

fn holds_credentials(path: &[&str], text: &str) -> bool {
    let is_place = matches!(path, ["endpoints", ..] | ["stores", _, "azure", "endpoint"]) || text.contains("://");
    is_place && text.contains(['@', '?'])
}

fn is_reference(text: &str) -> bool {
    text.starts_with("${") && text.ends_with('}') && text.matches("${").count() == 1 && !text.contains(":-")
}
