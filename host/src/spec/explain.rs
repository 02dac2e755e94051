//! What the reader found wrong, in words: says what a key takes, what was probably meant, and what this version does
//! not have yet instead of calling it unknown.

use super::diagnostic::Diagnostic;
use super::mask::is_odd_key;
use super::merge::matches_pattern;
use super::near::{advice, did_you_mean, list};
use super::place::Place;
use super::read::{Error, Kind, Step};
use crate::model::tells_secret;

/// Keys and words of the format that this version does not have: where (`*` is any key), which, what to say, what to do.
const NOT_YET: &[(&[&str], &str, &str, &str)] = &[
    (
        &["transports", "*"],
        "lease",
        "this version has no `lease` of a transport",
        "leave it out; the embedded log keeps leases by itself",
    ),
    (
        &["transports", "*"],
        "poll",
        "this version has no `poll` of a transport",
        "leave it out; the embedded log wakes its readers by itself",
    ),
    (&["endpoints", "*", "auth"], "oauth2", "this version has no oauth2 sign-in", "use `bearer`, `basic` or `header`"),
    (&["plugins", "*", "isolation"], "shared", "this version has no isolation `shared`", "use `exclusive` or `fresh`"),
    (&[], "tables", "this version has no tables", "leave it out"),
];

/// What the library says of a text that is no network.
const NO_NETWORK: &str = "invalid IP address syntax";

/// Makes a diagnostic of what the reader found. `fallback` is where an error without a place is shown.
pub(super) fn explain(error: &Error, fallback: Place) -> Diagnostic {
    let place = error.place.unwrap_or(fallback);
    let path: Vec<&str> = error.path.iter().rev().map(key_of).collect();
    let subject = subject(&error.path);
    match &error.kind {
        Kind::UnknownKey { key, known } | Kind::UnknownVariant { key, known } => {
            let parent = path.split_last().map_or(&[][..], |(_, parent)| parent);
            not_yet(parent, key, place).unwrap_or_else(|| {
                // It may be a secret.
                let key = if is_odd_key(parent, key) { "…" } else { key };
                Diagnostic::error("unknown-key", place, format!("unknown key `{key}`"))
                    .maybe_help(advice(key, known.iter().copied()))
            })
        }
        Kind::UnknownWord { word, known } => {
            not_yet(&path, word, place).unwrap_or_else(|| unknown_word(&path, &subject, word, known, place))
        }
        Kind::Missing(field) => Diagnostic::error("missing-key", place, format!("{subject} lacks the key `{field}`")),
        Kind::NotOne { known } => {
            Diagnostic::error("wrong-value", place, format!("{subject} takes exactly one of {}", list(known)))
        }
        Kind::Mismatch { expected, found } => {
            Diagnostic::error("wrong-value", place, format!("{subject} takes {expected}, not {found}"))
        }
        Kind::SecretExpected => {
            Diagnostic::error("secret", place, format!("{subject} takes a secret, written `${{secrets.NAME}}`"))
                .help("declare the secret under `secrets:`, from an environment variable or a file, and name it here")
        }
        Kind::SecretUnexpected => Diagnostic::error("secret", place, format!("{subject} takes no secret"))
            .help("only keys for credentials, such as those of an endpoint's `auth`, take `${secrets.NAME}`"),
        Kind::Other(message) if message == NO_NETWORK => {
            Diagnostic::error("wrong-value", place, format!("{subject} is a network"))
                .help("write it like `10.0.0.0/8`")
        }
        Kind::Other(message) => Diagnostic::error("wrong-value", place, format!("{subject}: {message}")),
    }
}

/// What stands in `auth` or `secrets` may be the secret itself, so it is not repeated.
fn unknown_word(path: &[&str], subject: &str, word: &str, known: &[&str], place: Place) -> Diagnostic {
    let found = if path.iter().any(|key| *key == "auth" || tells_secret(key)) || path.first() == Some(&"secrets") {
        String::new()
    } else {
        format!(", not `{word}`")
    };
    let known_words = match known {
        [one] => format!("`{one}`"),
        several => format!("one of {}", list(several)),
    };
    Diagnostic::error("wrong-value", place, format!("{subject} takes {known_words}{found}"))
        .maybe_help(did_you_mean(word, known))
}

fn not_yet(path: &[&str], key: &str, place: Place) -> Option<Diagnostic> {
    let (.., message, help) =
        NOT_YET.iter().find(|(pattern, name, ..)| *name == key && matches_pattern(pattern, path))?;
    Some(Diagnostic::error("not-in-this-version", place, *message).help(*help))
}

fn key_of(step: &Step) -> &str {
    match step {
        Step::Key(key) => key,
        Step::Item(_) => "*",
    }
}

/// What an error is about, from its path, the last step first.
fn subject(path: &[Step]) -> String {
    match path {
        [] => "the spec".to_owned(),
        [Step::Key(key), ..] => format!("`{key}`"),
        [Step::Item(_), Step::Key(key), ..] => format!("an item of `{key}`"),
        [Step::Item(_), ..] => "an item".to_owned(),
    }
}
