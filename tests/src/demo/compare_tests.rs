use super::*;
use crate::demo::task::{Setting, tasks};
use crate::simulators::file_origin::Ports;

fn all() -> Vec<Task> {
    tasks(60, Setting { ports: Ports { origin: 1, mirror: 2, forbidden: 3 }, signed: jiff::Timestamp::UNIX_EPOCH })
}

fn seen(topic: &str, key: &str, headers: &[(&str, &str)], payload: Value) -> Seen {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Seen { topic: topic.into(), partition: 0, offset: 0, id: "m".into(), key: Some(key.into()), headers, payload }
}

fn letter(task: &Task, class: &str, code: &str) -> Seen {
    let headers = [
        (TASK_HEADER, &*task.number.to_string()),
        ("lockgate-class", class),
        ("lockgate-code", code),
        ("lockgate-pipeline", &task.domain.topic("download")),
        ("lockgate-origin-topic", &task.domain.topic("downloads-pending")),
    ];
    seen("dlq", &task.key, &headers, task.payload.clone())
}

fn result(task: &Task, status: &str, path: &str) -> Seen {
    let payload = serde_json::json!({ "media_id": task.media_id, "status": status, "blob_path": path });
    seen("results", &task.key, &[], payload)
}

/// Everything as it has to be.
fn right(tasks: &[Task]) -> Found {
    let mut found = Found::default();
    for task in tasks {
        match task.fate {
            Fate::Stored => drop(found.stored.insert(task.path.clone(), task.file.as_ref().unwrap().sha256())),
            Fate::Rejected(code) => found.letters.push(letter(task, "rejected", code)),
        }
        found.results.extend(status(task).map(|status| result(task, status, &task.path)));
    }
    found
}

/// Holds that a change is told as the only difference, in these words.
#[track_caller]
fn check(change: impl FnOnce(&[Task], &mut Found), words: &str) {
    let tasks = all();
    let mut found = right(&tasks);
    change(&tasks, &mut found);
    let told = differences(&tasks, &found);
    assert!(matches!(&told[..], [only] if only.contains(words)), "{told:?}");
}

fn stored(tasks: &[Task]) -> &str {
    &tasks.iter().find(|task| task.fate == Fate::Stored).unwrap().path
}

#[test]
fn what_had_to_be_is_no_difference_however_often_it_came() {
    let tasks = all();
    let mut found = right(&tasks);
    assert_eq!(differences(&tasks, &found), Vec::<String>::new());
    found.letters.extend(found.letters.clone());
    found.results.extend(found.results.clone());
    assert_eq!(differences(&tasks, &found), Vec::<String>::new());
}

#[test]
fn a_lost_file_is_told() {
    check(|tasks, found| drop(found.stored.remove(stored(tasks))), "is not stored");
}

#[test]
fn other_bytes_are_told() {
    check(|tasks, found| drop(found.stored.insert(stored(tasks).into(), "00".into())), "not as the origin has it");
}

#[test]
fn a_file_that_nobody_asked_for_is_told() {
    check(|_, found| drop(found.stored.insert("x".into(), "00".into())), "no task asked for it");
}

#[test]
fn a_lost_letter_is_told() {
    check(|_, found| drop(found.letters.pop()), "has no dead letter");
}

#[test]
fn another_reason_is_told() {
    check(
        |_, found| drop(found.letters[0].headers.insert("lockgate-code".into(), "trap".into())),
        "is dead: rejected by",
    );
}

#[test]
fn a_letter_that_is_not_as_the_task_was_is_told() {
    check(|_, found| found.letters[0].payload = Value::Null, "key or payload");
    check(|_, found| found.letters[0].key = None, "key or payload");
}

#[test]
fn a_letter_of_a_good_task_or_of_none_is_told() {
    check(|tasks, found| found.letters.push(letter(&tasks[0], "exhausted", "retry")), "is dead: exhausted");
    check(|tasks, found| found.letters.push(seen("dlq", &tasks[0].key, &[], Value::Null)), "of no task");
}

#[test]
fn a_result_that_is_missing_or_says_otherwise_is_told() {
    check(|_, found| drop(found.results.pop()), "is reported as {}");
    check(|tasks, found| found.results.push(result(&tasks[0], "failed", "x")), "is reported as");
}

#[test]
fn what_is_left_and_what_strayed_is_told() {
    check(|_, found| found.cached = ["a".to_owned()].into(), "left in the cache");
    check(|_, found| found.strayed = 1, "forbidden place");
}
