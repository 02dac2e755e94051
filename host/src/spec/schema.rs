//! The JSON Schema of a spec, for editors, out of the same types that read it.

use serde_json::{Map, Value, json};

use super::shape::Spec;

/// JSON Schema 2020-12 of one file. A file may be an overlay, or lean on `defaults`, so no key is required; `check` sees
/// what is missing in all files together. Every scalar that is no plain string, secrets aside, also takes a string with
/// `${…}` in it.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Spec).to_value();
    for_one_file(&mut schema, Position::Value);
    if let Some(definitions) = schema.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        let variable = json!({
            "type": "string",
            "description": "a value from the environment: `${VAR}` or `${VAR:-default}`",
            "pattern": r"\$\{",
        });
        definitions.insert(VARIABLE.to_owned(), variable);
    }
    schema
}

const VARIABLE: &str = "Variable";

/// What a subschema stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// A value of its own.
    Value,
    /// One form among others of a value; the variable is added beside them all.
    Form,
}

fn for_one_file(schema: &mut Value, position: Position) {
    let Some(object) = schema.as_object_mut() else { return };
    // Forms are told apart by what they require.
    if position == Position::Value {
        object.remove("required");
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        for form in object.get_mut(keyword).and_then(Value::as_array_mut).into_iter().flatten() {
            for_one_file(form, Position::Form);
        }
    }
    for keyword in ["properties", "$defs"] {
        for (name, below) in object.get_mut(keyword).and_then(Value::as_object_mut).into_iter().flatten() {
            if name != "SecretRef" {
                for_one_file(below, Position::Value);
            }
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(below) = object.get_mut(keyword) {
            for_one_file(below, Position::Value);
        }
    }
    if position == Position::Value && is_constrained_scalar(object) {
        add_variable(object);
    }
}

fn is_constrained_scalar(object: &Map<String, Value>) -> bool {
    let is_scalar = |kind: &Value| matches!(kind.as_str(), Some("string" | "integer" | "number" | "boolean"));
    let scalar_type = match object.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_scalar),
        Some(kind) => is_scalar(kind),
        None => false,
    };
    let is_plain = object.get("type").is_some_and(takes_strings)
        && !["pattern", "enum", "const", "format"].iter().any(|keyword| object.contains_key(*keyword));
    let scalar_form = |form: &Value| form.as_object().is_some_and(is_constrained_scalar);
    let forms = ["oneOf", "anyOf"].iter().filter_map(|keyword| object.get(*keyword)?.as_array());
    (scalar_type && !is_plain) || forms.flatten().any(scalar_form)
}

fn takes_strings(kind: &Value) -> bool {
    kind == "string" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"))
}

/// Makes of a schema one that also takes a string with a variable in it. What describes it stays in front.
fn add_variable(object: &mut Map<String, Value>) {
    const ANNOTATIONS: &[&str] = &["$schema", "title", "description", "default", "$defs"];
    let (outside, inside): (Map<_, _>, Map<_, _>) =
        std::mem::take(object).into_iter().partition(|(keyword, _)| ANNOTATIONS.contains(&keyword.as_str()));
    *object = outside;
    object.insert("anyOf".to_owned(), json!([inside, { "$ref": format!("#/$defs/{VARIABLE}") }]));
}
