use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::*;
use crate::model::{Period, SecretRef};
use crate::spec::interpolate::interpolate;
use crate::spec::limits::Room;
use crate::spec::parse::parse;
use crate::spec::shape::Part;

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Whole {
    name: String,
    #[serde(default)]
    parts: BTreeMap<String, Part<Inner>>,
    #[serde(default)]
    kind: Kindly,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    count: NonZeroU32,
    wait: Period,
    #[serde(default)]
    list: Vec<u8>,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Kindly {
    #[default]
    Word,
    One(String),
    Several {
        first: String,
        second: SecretRef,
    },
}

fn errors(text: &str) -> (Option<Whole>, Vec<String>) {
    let (mut room, mut problems) = (Room::default(), Vec::new());
    let mut node = parse(0, text, &mut room, &mut problems).unwrap();
    interpolate(&mut node, &|_| None, &mut room, &mut problems).unwrap();
    let (whole, errors) = read::<Whole>(&node);
    let shown = |error: &Error| format!("{} {:?}", &text[error.place.unwrap().range()], error.kind);
    (whole, errors.iter().map(shown).collect())
}

#[test]
fn what_is_right_is_read() {
    let (whole, errors) =
        errors("name: 5\nparts: { a: { count: 1, wait: 1s, list: [1, 2], text: true } }\nkind: { one: x }\n");
    assert_eq!(errors, Vec::<String>::new());
    let whole = whole.unwrap();
    assert_eq!((whole.name.as_str(), whole.kind), ("5", Kindly::One("x".to_owned())));
    let inner = whole.parts["a"].get().unwrap();
    assert_eq!((inner.list.as_slice(), inner.text.as_deref()), (&[1, 2][..], Some("true")));
}

#[test]
fn every_error_comes_in_one_run() {
    let (whole, errors) = errors(
        "parts:\n  a: { count: 0, wait: soon, lisst: [], list: [1, x, 300] }\n  b: { count: \"3\" }\n  c: 5\n  d: { count: 1, wait: 1s }\nkind: { several: { second: literal, third: 1 } }\nmore: 1\n",
    );
    assert_eq!(
        errors,
        [
            "0 Mismatch { expected: \"a whole number from 1\", found: \"`0`\" }",
            "soon Other(\"`soon` is not a duration: write a number and a unit, such as `200ms`, `30s`, `5m` or `1h30m`\")",
            "lisst UnknownKey { key: \"lisst\", known: [\"count\", \"wait\", \"list\", \"text\"] }",
            "x Mismatch { expected: \"a number\", found: \"a string\" }",
            "300 Mismatch { expected: \"a whole number\", found: \"`300`\" }",
            "\"3\" Mismatch { expected: \"a number without quotes\", found: \"a string\" }",
            "b Missing(\"wait\")",
            "5 Mismatch { expected: \"a map\", found: \"a number\" }",
            "literal SecretExpected",
            "third UnknownKey { key: \"third\", known: [\"first\", \"second\"] }",
            "several Missing(\"first\")",
            "more UnknownKey { key: \"more\", known: [\"name\", \"parts\", \"kind\"] }",
            "parts Missing(\"name\")",
        ]
    );
    let whole = whole.unwrap();
    let sound: Vec<_> = whole.parts.iter().map(|(name, part)| (name.as_str(), part.get().is_some())).collect();
    assert_eq!(sound, [("a", false), ("b", false), ("c", false), ("d", true)]);
}

#[test]
fn enums_say_what_they_take() {
    for (text, expected) in [
        ("kind: wort", "wort UnknownWord { word: \"wort\", known: [\"word\", \"one\", \"several\"] }"),
        ("kind: { wort: 1 }", "wort UnknownVariant { key: \"wort\", known: [\"word\", \"one\", \"several\"] }"),
        ("kind: { one: a, word: }", "kind NotOne { known: [\"word\", \"one\", \"several\"] }"),
        ("kind: []", "kind NotOne { known: [\"word\", \"one\", \"several\"] }"),
        ("kind: one", "one Mismatch { expected: \"a value below it\", found: \"a word\" }"),
        ("kind: { word: [1] }", "word Mismatch { expected: \"nothing below it\", found: \"a list\" }"),
        ("kind: { one: { a: 1 } }", "one Mismatch { expected: \"a string\", found: \"a map\" }"),
    ] {
        assert_eq!(errors(&format!("name: n\n{text}\n")).1, [expected], "{text}");
    }
    for text in ["kind: word", "kind: { word: }", "kind: { word: {} }"] {
        assert_eq!(errors(&format!("name: n\n{text}\n")).1, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn only_a_secret_field_takes_a_secret() {
    let (whole, found) = errors("name: n\nkind: { several: { first: f, second: \"${secrets.s}\" } }\n");
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(whole.unwrap().kind, Kindly::Several { first: "f".to_owned(), second: SecretRef("s".to_owned()) });
    assert_eq!(errors("name: \"${secrets.s}\"\n").1, ["\"${secrets.s}\" SecretUnexpected"]);
    assert_eq!(
        errors("name: n\nkind: { several: { first: f, second: \"Bearer ${secrets.s}\" } }\n").1,
        ["\"Bearer ${secrets.s}\" SecretExpected"]
    );
}
