//! Diagnostics for code scanning: SARIF 2.1.0, with the table of codes as its rules. Holds no text of any file, and no
//! path but those of the spec's files; messages come as they are told everywhere, without secrets.
//!
//! | a diagnostic | a result |
//! |---|---|
//! | in a file | at its region there |
//! | in a `--set` | at the first file, with the keys of the argument as its logical location |
//! | without a place | at the file that its message names, else at the first one |

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::place::{Place, Position};
use crate::codes::{self, Code, Kind};

/// Where the format is defined.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The name that code scanning gives the top of a repository.
const ROOT: &str = "%SRCROOT%";
/// What stands in a path as it is: the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Diagnostics {
    /// The diagnostics of a spec that was read from these files, as a SARIF log. Files below `folder`, which is
    /// absolute, are named relative to it, others whole.
    pub fn to_sarif(&self, files: &[PathBuf], folder: &Path) -> Value {
        let scan = Scan { diagnostics: self, files, folder };
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "lockgate",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": codes::findings().iter().map(rule).collect::<Value>(),
                } },
                // That there are findings is no failure of the check.
                "invocations": [{ "executionSuccessful": true }],
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {
                    ROOT: { "description": { "text": "The folder in which `lockgate check` ran." } },
                },
                "results": self.iter().map(|one| scan.result(one)).collect::<Value>(),
            }],
        })
    }
}

fn rule(code: &Code) -> Value {
    let Code { word, kind, title, meaning, why, mend, .. } = code;
    json!({
        "id": word,
        "shortDescription": { "text": title },
        "fullDescription": { "text": meaning },
        "help": { "text": format!("{meaning}\n\n{why}\n\n{mend}"), "markdown": code.body() },
        "defaultConfiguration": { "level": if *kind == Kind::Warning { "warning" } else { "error" } },
    })
}

/// Diagnostics, and where they were found.
struct Scan<'a> {
    diagnostics: &'a Diagnostics,
    files: &'a [PathBuf],
    folder: &'a Path,
}

impl Scan<'_> {
    fn result(&self, diagnostic: &Diagnostic) -> Value {
        let help = diagnostic.help.iter().map(|help| format!("\nhelp: {help}"));
        let text = help.fold(diagnostic.message.clone(), |text, help| text + &help);
        let related = diagnostic.related.iter().enumerate().map(|(id, (place, label))| {
            let mut location = self.location(*place);
            if let Value::Object(location) = &mut location {
                location.insert("id".to_owned(), json!(id + 1));
                location.insert("message".to_owned(), message(label));
            }
            location
        });
        let location = match diagnostic.place {
            Some(place) => self.location(place),
            None => self.file(self.named(&diagnostic.message), None),
        };
        let mut result = json!({
            "ruleId": diagnostic.code,
            "level": match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": message(&text),
            "locations": [location],
            "relatedLocations": related.collect::<Value>(),
        });
        let index = codes::findings().iter().position(|code| code.word == diagnostic.code);
        if let (Value::Object(result), Some(index)) = (&mut result, index) {
            result.insert("ruleIndex".to_owned(), json!(index));
        }
        result
    }

    fn location(&self, place: Place) -> Value {
        let sources = self.diagnostics.sources();
        if let Some(file) = self.files.get(place.source()) {
            return self.file(Some(file), Some(&sources.position(place)));
        }
        let mut location = self.file(self.files.first(), None);
        // Without `=` nothing says that it is keys.
        let keys = sources.shown(place).split_once('=').map_or("", |(keys, _)| keys);
        let name = format!("{} {keys}", sources.name(place));
        if let Value::Object(location) = &mut location {
            location.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": name.trim_end() }]));
        }
        location
    }

    fn file(&self, file: Option<&PathBuf>, region: Option<&Position>) -> Value {
        let Some(file) = file else { return json!({}) };
        let mut place = json!({ "artifactLocation": artifact(file, self.folder) });
        if let (Value::Object(place), Some(at)) = (&mut place, region) {
            let region = json!({
                "startLine": at.line, "startColumn": at.column, "endLine": at.end_line, "endColumn": at.end_column,
            });
            place.insert("region".to_owned(), region);
        }
        json!({ "physicalLocation": place })
    }

    /// The file that a message speaks of.
    fn named(&self, message: &str) -> Option<&PathBuf> {
        let named = self.files.iter().filter(|file| message.contains(&file.display().to_string()));
        named.max_by_key(|file| file.as_os_str().len()).or(self.files.first())
    }
}

/// A message as it is meant. Braces are for placeholders, so that those of a text are doubled (§3.11.5).
fn message(text: &str) -> Value {
    json!({ "text": text.replace('{', "{{").replace('}', "}}") })
}

fn artifact(file: &Path, folder: &Path) -> Value {
    let whole = flat(&folder.join(file));
    match whole.strip_prefix(flat(folder)) {
        Ok(below) => json!({ "uri": segments(below), "uriBaseId": ROOT }),
        Err(_) => json!({ "uri": format!("file:///{}", segments(&whole)) }),
    }
}

/// A path without `.` and `..`: who reads the log may not resolve them as this machine does (§3.10.2).
fn flat(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
        path
    })
}

fn segments(path: &Path) -> String {
    let escaped = |segment: &OsStr| percent_encode(segment.as_encoded_bytes(), ESCAPED).to_string();
    let named = path.components().filter_map(|component| match component {
        Component::Prefix(prefix) => Some(prefix.as_os_str()),
        Component::Normal(name) => Some(name),
        Component::RootDir | Component::CurDir | Component::ParentDir => None,
    });
    named.map(escaped).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
#[path = "sarif_tests.rs"]
mod tests;
