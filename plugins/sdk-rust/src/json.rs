//! JSON in and out of typed values. An error names the field that it is about, and never repeats what the field held:
//! payloads carry presigned URLs and personal data, and reasons are read by many.

use serde::de::DeserializeOwned;

use crate::Outcome;

/// Why JSON could not be read or written. As an outcome, a `reject`: the same bytes never read otherwise.
///
/// | error | code |
/// |---|---|
/// | [`Error::Read`] | `payload-invalid` |
/// | [`Error::Write`] | `emission-invalid` |
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no JSON, or not of the expected shape.
    #[error("the payload cannot be read: {}{reason}", at(path))]
    Read {
        /// The field, such as `attachments[2].url`; empty where it is the whole.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value cannot be JSON, such as a map whose keys are no strings.
    #[error("the message for output {output} cannot be written: {reason}")]
    Write {
        /// Where it was to go.
        output: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// The short stable word of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "payload-invalid",
            Self::Write { .. } => "emission-invalid",
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::reject(error.code(), error.to_string())
    }
}

/// Reads a value out of JSON.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    located(bytes).map_err(|(path, reason)| Error::Read { path, reason: without_values(&reason) })
}

/// Reads a value, or says at which field it fails and how, in full.
pub(crate) fn located<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, (String, String)> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        (path, error.into_inner().to_string())
    })?;
    deserializer.end().map_err(|error| (String::new(), error.to_string()))?;
    Ok(value)
}

/// The beginning of a text about a field.
pub(crate) fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("at `{path}`: ") }
}

/// A reason without the value it is about. Strings stand in double quotes (which they may hold themselves), variants
/// that are unknown in backticks.
fn without_values(reason: &str) -> String {
    const UNKNOWN: &str = "unknown variant `";
    if let Some((before, rest)) = reason.split_once(UNKNOWN) {
        let after = rest.split_once("`, expected").map_or("", |(_, after)| after);
        return format!("{before}{UNKNOWN}…`, expected{after}");
    }
    match (reason.split_once('"'), reason.rsplit_once('"')) {
        (Some((before, _)), Some((_, after))) => format!("{before}\"…\"{after}"),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Photo,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Attachment {
        kind: Kind,
        size: u64,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Report {
        attachments: Vec<Attachment>,
    }

    fn check(json: &str) -> String {
        parse::<Report>(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_field() {
        for (json, error) in [
            (
                r#"{"attachments":[{"kind":"photo","size":-1}]}"#,
                "at `attachments[0].size`: invalid value: integer `-1`",
            ),
            (r#"{"attachments":[{"kind":"photo"}]}"#, "at `attachments[0]`: missing field `size`"),
            (r#"{"attachments":7}"#, "at `attachments`: invalid type: integer `7`"),
            (r#"{}"#, "cannot be read: missing field `attachments`"),
            ("", "cannot be read: EOF while parsing"),
            (r#"{"attachments":[]} x"#, "cannot be read: trailing characters"),
        ] {
            assert!(check(json).contains(error), "{json}: {}", check(json));
        }
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        for json in [
            r#"{"attachments":[{"kind":"photo","size":"https://h/?sig=SENTINEL"}]}"#,
            r#"{"attachments":[{"kind":"photo","size":"a \" SENTINEL \" b"}]}"#,
            r#"{"attachments":[{"kind":"SENTINEL` x","size":1}]}"#,
            r#"{"attachments":"SENTINEL"}"#,
            "\"SENTINEL\"",
        ] {
            assert!(!check(json).contains("SENTINEL"), "{json}: {}", check(json));
        }
        assert_eq!(Kind::Photo as u8, 0);
    }

    #[test]
    fn a_value_that_cannot_be_json_is_an_error_with_its_output() {
        let keys = std::collections::BTreeMap::from([(vec![1], 2)]);
        let error = crate::Emission::json("out", &keys).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("output out")), ("emission-invalid", true));
    }
}
