//! Whether a plugin's JSON Schema can be walked to its end: it may not lead back to itself on one value, branch without
//! measure, or lead out of itself. Found before it is compiled, for a validator would not come back from it.

use serde_json::Value;

/// Values of a schema, and steps from one to another on the same value; no honest schema comes near.
const MOST_STEPS: usize = 100_000;
/// Schemas that hold for one value because of each other.
const LONGEST_CHAIN: usize = 64;

/// Why a schema cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Tangle {
    #[error("it refers to `{0}`, and may only refer to places of its own, such as `#/$defs/name`: nothing is fetched")]
    Outside(String),
    #[error("it leads back to itself without an end, or over more than {LONGEST_CHAIN} references")]
    Circle,
    #[error("it is too large, or its references branch too often")]
    Large,
}

/// A walk through a schema.
pub(super) struct References<'s> {
    root: &'s Value,
    left: usize,
}

impl<'s> References<'s> {
    /// Walks a schema to its end.
    pub(super) fn of(root: &'s Value) -> Result<(), Tangle> {
        Self { root, left: MOST_STEPS }.every(root)
    }

    /// Begins a chain at every place. What is data, such as an `enum`, is taken for a schema too; that costs nothing.
    fn every(&mut self, schema: &'s Value) -> Result<(), Tangle> {
        self.chain(schema, LONGEST_CHAIN)?;
        match schema {
            Value::Object(keys) => keys.values().try_for_each(|below| self.every(below)),
            Value::Array(items) => items.iter().try_for_each(|below| self.every(below)),
            _ => Ok(()),
        }
    }

    /// Follows what holds for the same value.
    fn chain(&mut self, schema: &'s Value, length: usize) -> Result<(), Tangle> {
        self.left = self.left.checked_sub(1).ok_or(Tangle::Large)?;
        let Value::Object(keys) = schema else { return Ok(()) };
        let length = length.checked_sub(1).ok_or(Tangle::Circle)?;
        for (key, below) in keys {
            match (key.as_str(), below) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                    if let Some(target) = self.target(reference)? {
                        self.chain(target, length)?;
                    }
                }
                ("not" | "if" | "then" | "else", below) => self.chain(below, length)?,
                ("allOf" | "anyOf" | "oneOf", Value::Array(forms)) => {
                    forms.iter().try_for_each(|form| self.chain(form, length))?;
                }
                ("dependentSchemas", Value::Object(forms)) => {
                    forms.values().try_for_each(|form| self.chain(form, length))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where a reference leads. What is not there, the validator says itself.
    fn target(&self, reference: &str) -> Result<Option<&'s Value>, Tangle> {
        match reference.strip_prefix('#') {
            Some(pointer) if (pointer.is_empty() || pointer.starts_with('/')) && !pointer.contains('%') => {
                Ok(self.root.pointer(pointer))
            }
            _ => Err(Tangle::Outside(reference.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn a_schema_that_holds_below_itself_is_fine() {
        for schema in [
            json!({ "properties": { "next": { "$ref": "#" } } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "items": { "$ref": "#/$defs/a" } } } }),
            json!({ "anyOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }], "$defs": { "a": { "type": "string" } } }),
            json!(true),
        ] {
            assert_eq!(References::of(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_leads_back_to_itself_on_one_value_has_no_end() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "not": { "$ref": "#" } }] }),
            json!({ "properties": { "a": { "$ref": "#/properties/b" }, "b": { "oneOf": [{ "$ref": "#/properties/a" }] } } }),
            json!({ "$recursiveRef": "#" }),
        ] {
            assert_eq!(References::of(&schema), Err(Tangle::Circle), "{schema}");
        }
    }

    #[test]
    fn a_schema_neither_leads_out_of_itself_nor_hides_where_it_leads() {
        for reference in
            ["https://example.com/schema.json", "file:///etc/passwd", "other.json#/a", "#name", "#/%24defs/a"]
        {
            let schema = json!({ "items": { "$ref": reference } });
            assert_eq!(References::of(&schema), Err(Tangle::Outside(reference.to_owned())));
        }
    }

    #[test]
    fn neither_size_nor_branches_are_without_measure() {
        let mut definitions = Map::new();
        for level in 0..20 {
            let next = json!({ "$ref": format!("#/$defs/a{}", level + 1) });
            definitions.insert(format!("a{level}"), json!({ "anyOf": [next, next] }));
        }
        let doubling = json!({ "$ref": "#/$defs/a0", "$defs": definitions });
        let large = json!({ "enum": vec![0; MOST_STEPS] });
        for schema in [doubling, large] {
            assert_eq!(References::of(&schema), Err(Tangle::Large));
        }
    }
}
