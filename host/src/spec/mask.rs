//! Keeps literals that may be secrets out of every snippet: what stands where a secret reference belongs, in any of the
//! files, whether or not an overlay replaced it.

use super::node::{Node, Value};
use super::place::{Place, Sources};

/// Masks the scalars of a tree that may be secrets: everything in an `auth` but header names and references, everything
/// in `secrets` but the names of variables and files, and URLs with a user or a query.
pub(super) fn mask_literals(tree: &Node, sources: &mut Sources) {
    let mut places = Vec::new();
    tree.walk(&mut Vec::new(), &mut |path, node| {
        let Value::Scalar(scalar) = &node.value else { return };
        if !is_reference(&scalar.text) && (may_be_secret(path) || holds_credentials(path, &scalar.text)) {
            places.push(node.place);
        }
    });
    places.into_iter().for_each(|place| sources.mask(place));
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
    for line in text.split_inclusive('\n') {
        let lower = line.to_lowercase();
        if SUSPICIOUS.iter().any(|word| lower.contains(word)) {
            mask_words(source, start, line, sources);
        }
        start += line.len();
    }
}

fn mask_words(source: usize, line_start: usize, line: &str, sources: &mut Sources) {
    let colon = line.find(':').unwrap_or(0);
    for (offset, c) in line.char_indices().filter(|(offset, c)| *offset > colon && c.is_alphanumeric()) {
        let start = line_start + offset;
        sources.mask(Place::new(source, start..start + c.len_utf8()));
    }
}

fn may_be_secret(path: &[&str]) -> bool {
    match path {
        ["secrets", _, "env" | "file"] => false,
        ["secrets", ..] => true,
        [.., "name"] => false,
        _ => path.contains(&"auth"),
    }
}

fn holds_credentials(path: &[&str], text: &str) -> bool {
    let is_place = matches!(path, ["endpoints", ..] | ["stores", _, "azure", "endpoint"]) || text.contains("://");
    is_place && text.contains(['@', '?'])
}

fn is_reference(text: &str) -> bool {
    text.starts_with("${") && text.ends_with('}') && text.matches("${").count() == 1 && !text.contains(":-")
}
