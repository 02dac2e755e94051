//! A text that stands as a quoted scalar in a plugin's config.
//!
//! - It becomes what a plain reading of the rules, character by character, makes of it; where that makes nothing, an
//!   error says so.
//! - What a variable holds comes out as it is, even if it looks like a variable or like YAML.
//! - A text in which every `${` is written `$${` comes out as itself.
//! - The secret's value comes out nowhere, neither in the config nor in an error.

use lockgate::spec::{self, Colour};

use crate::Verdict;

/// What the secret variable holds; taken out of inputs, for a fuzzer guesses it by and by.
const SECRET: &str = "cAnArY-5ecret";

pub(crate) fn run(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data).replace(SECRET, "");
    let filled = filled(&text);
    assert_eq!(filled, expected(&text), "{text:?}");
    let escaped = text.replace("${", "$${");
    assert_eq!(self::filled(&escaped), Some(text), "{escaped:?}");
    if filled.is_some() { Verdict::Taken } else { Verdict::Refused }
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "A" => "alpha",
        "LIKE" => "${A} $${ ${CANARY} ${",
        "YAML" => "{ x: 1 } # \"\n- no\u{0}",
        "EMPTY" => "",
        "CANARY" => SECRET,
        _ => return None,
    };
    Some(value.to_owned())
}

/// What the host makes of it.
fn filled(text: &str) -> Option<String> {
    let quoted = quoted(text);
    let spec = format!(
        "secrets: {{ s: {{ env: CANARY }} }}\npipelines: {{ p: {{ plugin: x, config: {{ k: \"{quoted}\" }} }} }}\n"
    );
    let loaded = spec::load_str(&spec, &environment);
    assert!(loaded.is_ok(), "no YAML came of {text:?}");
    let loaded = loaded.ok()?;
    let wrong = loaded.diagnostics().render(Colour::Never);
    assert!(!wrong.contains(SECRET), "{wrong}");
    let config = loaded.configurations().find_map(|(_, _, config)| config.get("k").cloned());
    let value = config.as_ref().and_then(|value| value.as_str()).map(str::to_owned);
    assert_eq!(value.is_none(), loaded.diagnostics().has_errors(), "{wrong}");
    assert!(value.as_ref().is_none_or(|value| !value.contains(SECRET)), "{value:?}");
    value
}

/// A text between the quotes of YAML, every character that could mean something by its number.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    text.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) }).collect()
}

/// What the rules make of it.
fn expected(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("$${") {
            out.push_str("${");
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("${") {
            let (inside, behind) = behind.split_once('}')?;
            out.push_str(&reference(inside)?);
            rest = behind;
        } else {
            out.push(c);
            rest = rest.strip_prefix(c)?;
        }
    }
    Some(out)
}

fn reference(inside: &str) -> Option<String> {
    let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if inside.contains("${") || name.is_empty() || !is_word || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if name == "CANARY" {
        return None;
    }
    match default {
        None => environment(name),
        Some(default) => environment(name).filter(|value| !value.is_empty()).or(Some(default.to_owned())),
    }
}
