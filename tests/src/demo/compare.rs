//! What became of the tasks, against what had to. Pure: it is given what stands in stores and topics, and says every
//! difference.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fate::Fate;
use super::task::{Domain, TASK_HEADER, Task, Trouble};
use crate::support::lockgate::Seen;

/// What was found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// SHA-256 by path of every file in the lake.
    pub stored: BTreeMap<String, String>,
    /// What is left in the cache.
    pub cached: BTreeSet<String>,
    /// Dead letters of both domains.
    pub letters: Vec<Seen>,
    /// Results of both domains.
    pub results: Vec<Seen>,
    /// Requests that reached what nothing may reach.
    pub strayed: u32,
}

/// Every difference, in words.
pub fn differences(tasks: &[Task], found: &Found) -> Vec<String> {
    let mut differences = Vec::new();
    files(tasks, found, &mut differences);
    letters(tasks, &found.letters, &mut differences);
    results(tasks, &found.results, &mut differences);
    differences.extend(found.cached.iter().map(|path| format!("{path} is left in the cache")));
    if found.strayed > 0 {
        differences.push(format!("{} requests reached the forbidden place", found.strayed));
    }
    differences
}

/// Each file stands where it has to, as the origin has it, and no other does.
fn files(tasks: &[Task], found: &Found, differences: &mut Vec<String>) {
    let mut others: BTreeSet<&String> = found.stored.keys().collect();
    for task in tasks {
        let Task { path, file: Some(file), .. } = task else { continue };
        others.remove(path);
        match found.stored.get(path) {
            None => differences.push(format!("{}: {path} is not stored", name(task))),
            Some(sha256) if *sha256 != file.sha256() => {
                differences.push(format!("{}: {path} is not as the origin has it", name(task)));
            }
            Some(_) => {}
        }
    }
    differences.extend(others.into_iter().map(|path| format!("{path} is stored, and no task asked for it")));
}

/// Each task that must fail has a letter with the reason it has to have, key and payload as they were; no other has.
fn letters(tasks: &[Task], letters: &[Seen], differences: &mut Vec<String>) {
    let mut by_task: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for letter in letters {
        by_task.entry(header(letter, TASK_HEADER)).or_default().push(letter);
    }
    for task in tasks {
        let letters = by_task.remove(task.number.to_string().as_str()).unwrap_or_default();
        match task.fate {
            Fate::Stored => {
                differences.extend(letters.iter().map(|letter| format!("{} is dead: {}", name(task), reason(letter))));
            }
            Fate::Rejected(_) if letters.is_empty() => differences.push(format!("{} has no dead letter", name(task))),
            Fate::Rejected(code) => {
                differences.extend(letters.iter().filter_map(|letter| wrong(task, letter, code)));
            }
        }
    }
    let strange = by_task.into_values().flatten();
    differences.extend(strange.map(|letter| format!("a dead letter of no task: {}", reason(letter))));
}

fn wrong(task: &Task, letter: &Seen, code: &str) -> Option<String> {
    if (header(letter, "lockgate-class"), header(letter, "lockgate-code")) != ("rejected", code) {
        return Some(format!("{} had to be rejected as {code}, and is dead: {}", name(task), reason(letter)));
    }
    if letter.payload != task.payload || letter.key.as_ref() != Some(&task.key) {
        return Some(format!("{}: the dead letter's key or payload is not the task's", name(task)));
    }
    let from = (header(letter, "lockgate-pipeline"), header(letter, "lockgate-origin-topic"));
    let domain = task.domain;
    if from != (domain.topic("download").as_str(), domain.topic("downloads-pending").as_str()) {
        return Some(format!("{}: the dead letter says that it is from {from:?}", name(task)));
    }
    None
}

/// Each stored file is reported as completed with its real place; of Verisk's, each failed one as failed for good.
fn results(tasks: &[Task], results: &[Seen], differences: &mut Vec<String>) {
    let mut by_media: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for result in results {
        let field = |name| result.payload.get(name).and_then(Value::as_str).unwrap_or_default();
        by_media.entry(field("media_id")).or_default().insert((field("status"), field("blob_path")));
    }
    for task in tasks {
        let reported = by_media.remove(task.media_id.as_str()).unwrap_or_default();
        let expected: BTreeSet<_> = status(task).map(|status| (status, task.path.as_str())).into_iter().collect();
        if reported != expected {
            differences.push(format!("{} is reported as {reported:?}, and not as {expected:?}", name(task)));
        }
    }
    differences.extend(by_media.into_keys().map(|media_id| format!("a result of no task: media id {media_id:?}")));
}

/// What is reported of a task, if anything is.
fn status(task: &Task) -> Option<&'static str> {
    match (task.fate, task.domain, task.trouble) {
        (Fate::Stored, ..) => Some("completed"),
        // What is no task says not where to report to.
        (Fate::Rejected(_), _, Trouble::NoJson | Trouble::NoLink) | (Fate::Rejected(_), Domain::ClaimX, _) => None,
        (Fate::Rejected(_), Domain::Verisk, _) => Some("failed_permanent"),
    }
}

fn header<'a>(letter: &'a Seen, name: &str) -> &'a str {
    letter.headers.get(name).map(String::as_str).unwrap_or_default()
}

fn reason(letter: &Seen) -> String {
    let [pipeline, class, code, reason] =
        ["lockgate-pipeline", "lockgate-class", "lockgate-code", "lockgate-reason"].map(|name| header(letter, name));
    format!("{class} by {pipeline} as {code}: {reason}")
}

fn name(task: &Task) -> String {
    format!("task {} ({} {}, {:?})", task.number, task.domain.word(), task.media_id, task.trouble)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
