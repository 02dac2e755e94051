//! The text of a spec; a NUL byte begins the next file, an overlay. What is read is checked too, with a plugin that
//! describes itself. A secret variable is declared in a last file.
//!
//! - Parsing, reading, checking and showing what is wrong never panic, and a second time say the same.
//! - A spec that is refused has an error, one that is not has none.
//! - Every diagnostic says something, and points inside its file and between characters.
//! - They come in the order of the files, no more of them than bytes, none longer than the text and what is said of it.
//! - A secret's value stands in no diagnostic, in no config and in no plan.

use lockgate::plugin::{Binding, Description};
use lockgate::spec::{self, Colour, Descriptions, Diagnostic, Diagnostics, Loaded, Place, Plan};
use serde_json::json;

use crate::Verdict;

/// What the secret variable holds; taken out of inputs, for a fuzzer guesses it by and by.
const SECRET: &str = "cAnArY-5ecret";
const DECLARATION: &str = "secrets: { canary: { env: CANARY } }\n";
/// Files of one input.
const MOST_FILES: usize = 3;
/// What a message may say besides what it repeats of the spec: names, lists of what is known.
const LONGEST_WORDS: usize = 2000;

pub(crate) fn run(data: &[u8]) -> Verdict {
    let texts = texts(data);
    let (plan, diagnostics) = read(&texts);
    assert_eq!(diagnostics, read(&texts).1, "the same text was judged differently");
    assert_eq!(plan.is_some(), !diagnostics.has_errors());
    let size: usize = texts.iter().map(|(_, text)| text.len()).sum();
    assert!(diagnostics.len() <= size, "{} diagnostics", diagnostics.len());
    assert!(diagnostics.iter().is_sorted_by_key(|diagnostic| diagnostic.place), "{diagnostics:?}");
    diagnostics.iter().for_each(|diagnostic| judge(diagnostic, &diagnostics, &texts, size));
    let shown = [diagnostics.render(Colour::Never), diagnostics.to_json().to_string(), format!("{plan:?}")];
    for text in shown.iter().chain([&diagnostics.render(Colour::Always)]) {
        assert!(!text.contains(SECRET), "{text}");
    }
    if plan.is_some() { Verdict::Taken } else { Verdict::Refused }
}

fn texts(data: &[u8]) -> Vec<(String, String)> {
    let files = data.splitn(MOST_FILES, |byte| *byte == 0).enumerate();
    let text = |file| String::from_utf8_lossy(file).replace(SECRET, "");
    let files = files.map(|(index, file)| (format!("{index}.yaml"), text(file)));
    files.chain([("canary.yaml".to_owned(), DECLARATION.to_owned())]).collect()
}

fn read(texts: &[(String, String)]) -> (Option<Plan>, Diagnostics) {
    let loaded = match spec::load_texts(texts, &[], &environment) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return (None, diagnostics),
    };
    for (pipeline, _, config) in loaded.configurations() {
        assert!(!config.to_string().contains(SECRET), "the config of {pipeline}: {config}");
    }
    match spec::check(&loaded, &described(&loaded)) {
        Ok(plan) => (Some(plan.clone()), plan.warnings),
        Err(diagnostics) => (None, diagnostics),
    }
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "CANARY" => SECRET,
        "WORD" => "word",
        "NUMBER" => "7",
        "EMPTY" => "",
        "YAML" => "{ a: [1, \"2\" } # ${WORD}\nb: \u{0}",
        "URL" => "https://user:word@example.com/x?y=z",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Every plugin says the same of itself.
fn described(loaded: &Loaded) -> Descriptions {
    let description = Description {
        name: "download".to_owned(),
        version: "0.1.0".to_owned(),
        description: "fetches files".to_owned(),
        config_schema: json!({
            "type": "object",
            "properties": {
                "endpoint": { "type": "string" },
                "store": { "type": "string", "maxLength": 8 },
                "sizes": { "type": "array", "items": { "type": "integer" }, "uniqueItems": true },
                "mode": { "oneOf": [{ "const": "light" }, { "type": "object", "required": ["depth"] }] },
            },
            "required": ["endpoint"],
            "additionalProperties": false,
        }),
        sha256: "ab".repeat(32),
        contract: "lockgate:plugin@0.1.0".to_owned(),
        imports: vec!["lockgate:plugin/http@0.1.0".to_owned()],
    };
    let binding = Binding { outputs: vec!["cached".into()], endpoints: vec!["media".into()], ..Binding::default() };
    Descriptions {
        plugins: loaded.plugins().map(|(name, _)| (name.to_owned(), Ok(description.clone()))).collect(),
        bindings: loaded.configurations().map(|(name, ..)| (name.to_owned(), Ok(binding.clone()))).collect(),
    }
}

fn judge(diagnostic: &Diagnostic, all: &Diagnostics, texts: &[(String, String)], size: usize) {
    let Diagnostic { code, message, help, place, related, .. } = diagnostic;
    assert!(!code.is_empty() && !message.is_empty(), "{diagnostic:?}");
    let said = [Some(message), help.as_ref()].into_iter().flatten().chain(related.iter().map(|(_, label)| label));
    for text in said {
        assert!(text.len() <= size + LONGEST_WORDS, "a message of {} bytes", text.len());
        assert!(!text.contains(SECRET), "{text}");
    }
    place.iter().chain(related.iter().map(|(place, _)| place)).for_each(|place| points_inside(*place, texts));
    let Some(position) = all.position(diagnostic) else { return };
    let text = texts.iter().find(|(name, _)| *name == position.file).map(|(_, text)| text);
    let lines = text.map_or(0, |text| text.matches('\n').count() + 1);
    assert!((1..=lines).contains(&position.line) && position.column >= 1, "{position:?}");
    assert!((position.line, position.column) <= (position.end_line, position.end_column), "{position:?}");
}

fn points_inside(place: Place, texts: &[(String, String)]) {
    let text = texts.get(place.source()).map(|(_, text)| text);
    assert!(text.is_some_and(|text| text.get(place.range()).is_some()), "{place:?} lies outside of {text:?}");
}
