//! Serde's reasons in words for operators, without the values that they quote.
//!
//! | serde says | shown is |
//! |---|---|
//! | ``invalid type: string "S", expected u64`` | `expected a whole number of 0 or more, found a text` |
//! | ``invalid value: integer `-1`, expected u64`` | `expected a whole number of 0 or more, found a number out of range` |
//! | ``unknown variant `S`, expected `a` or `b` `` | ``expected `a` or `b`, found another text`` |
//! | ``unknown field `S`, expected `a` `` | ``expected no field but `a`, found another`` |
//! | ``missing field `a` `` | `it is missing`, with the field's path |
//! | anything else | the same, without what stands between double quotes |

use serde_path_to_error::{Path, Segment};

use super::Untyped;

/// The longest key that is shown.
const KEY_LIMIT: usize = 32;

/// Where a value does not fit its type, and how.
pub(super) fn of(error: &Untyped) -> (String, String) {
    let (mut path, said) = (path(error.path()), without_place(error.inner()));
    for (opening, wrong) in [("missing field `", "it is missing"), ("duplicate field `", "it stands twice")] {
        if let Some(field) = said.strip_prefix(opening).and_then(|rest| rest.strip_suffix('`')) {
            push(&mut path, field);
            return (path, wrong.into());
        }
    }
    let shown = misfit(&said).unwrap_or_else(|| without_quotes(&said));
    (path, shown)
}

/// What is no JSON, and where.
pub(super) fn of_syntax(error: &serde_json::Error) -> String {
    let said = without_place(error);
    let shown = match said.as_str() {
        _ if error.is_eof() => "it ends before it is complete",
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "half of a surrogate pair stands alone in a text"
        }
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a control character stands in a text without being escaped"
        }
        "number out of range" => "a number is out of range",
        "invalid number" => "a number is misspelt",
        "invalid escape" => "a text holds an escape that JSON has not",
        "trailing characters" => "something follows behind its end",
        "expected value" | "expected ident" => "expected a value, found something that is no JSON",
        "key must be a string" => "expected a key in double quotes",
        "trailing comma" => "a comma follows the last value",
        said => said,
    };
    format!("{shown} (line {}, column {})", error.line(), error.column())
}

/// A key, where it is a plain word such as fields have. Others may be what a message holds: an address, a number, a URL.
pub(super) fn key(key: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_opening = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '@');
    let mut chars = key.chars();
    let is_word = key.len() <= KEY_LIMIT && chars.next().is_some_and(is_opening) && chars.all(is_plain);
    if is_word { key } else { "…" }
}

fn path(path: &Path) -> String {
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => shown.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => push(&mut shown, key(name)),
            Segment::Unknown => push(&mut shown, "…"),
        }
    }
    shown
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// What was said, without the place, which is told otherwise.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    said.strip_suffix(&place).map(str::to_owned).unwrap_or(said)
}

/// What was expected, and what kind of value was found. A value may hold anything, these words included; what is
/// expected is the type's to say, and stands last.
fn misfit(said: &str) -> Option<String> {
    if let Some(unknown) = said.strip_prefix("unknown ") {
        let wanted = unknown.rsplit_once(", expected ").map_or("nothing", |(_, wanted)| wanted);
        return Some(match unknown.starts_with("field ") {
            true => format!("expected no field but {wanted}, found another"),
            false => format!("expected {wanted}, found another text"),
        });
    }
    let (aspect, rest) = said.strip_prefix("invalid ")?.split_once(' ')?;
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    let found = match aspect {
        "type:" => kind(found),
        "value:" => misfitting(found),
        "length" => found,
        _ => return None,
    };
    Some(format!("expected {}, found {found}", expected(wanted)))
}

/// What a type expects, in JSON's words.
fn expected(wanted: &str) -> String {
    let range = |from: i64, to: i64| format!("a whole number from {from} to {to}");
    match wanted {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "i8" => range(i8::MIN.into(), i8::MAX.into()),
        "i16" => range(i16::MIN.into(), i16::MAX.into()),
        "i32" => range(i32::MIN.into(), i32::MAX.into()),
        "u64" | "usize" | "u128" => "a whole number of 0 or more".into(),
        "i64" | "isize" | "i128" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "string" | "a borrowed string" => "a text".into(),
        "a sequence" => "an array".into(),
        "a map" => "an object".into(),
        "unit" => "null".into(),
        _ if wanted.starts_with("struct ") => "an object".into(),
        _ => wanted.to_owned(),
    }
}

/// What kind of value was found: the words before the value itself.
fn kind(found: &str) -> &'static str {
    match word(found) {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "floating point" => "a number that is not whole, or too large",
        "string" | "character" => "a text",
        "null" | "unit value" => "null",
        "sequence" => "an array",
        "map" => "an object",
        _ => "something else",
    }
}

/// The same where the kind is right, and the value is not.
fn misfitting(found: &str) -> &'static str {
    match word(found) {
        "integer" | "floating point" => "a number out of range",
        "string" | "character" => "a text that is none",
        _ => kind(found),
    }
}

fn word(found: &str) -> &str {
    found.split(['`', '"']).next().unwrap_or_default().trim_end()
}

fn without_quotes(said: &str) -> String {
    match (said.split_once('"'), said.rsplit_once('"')) {
        (Some((before, _)), Some((_, after))) => format!("{before}\"…\"{after}"),
        _ => said.to_owned(),
    }
}
