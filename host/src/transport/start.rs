//! How `start` is written: a word, or a time.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::Start;
use crate::model::Timestamp;

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => Timestamp::parse(time)
                .map(Self::At)
                .ok_or_else(|| D::Error::custom("write `earliest`, `latest` or a time such as `2026-03-01T00:00:00Z`")),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Earliest => serializer.serialize_str("earliest"),
            Self::Latest => serializer.serialize_str("latest"),
            Self::At(time) => serializer.collect_str(time),
        }
    }
}

impl JsonSchema for Start {
    fn schema_name() -> Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "`earliest`, `latest`, or a time such as `2026-03-01T00:00:00Z`",
            "pattern": r"^(earliest|latest|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_or_a_time() {
        for text in ["earliest", "latest", "2026-03-01T00:00:00.000Z"] {
            let start: Start = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(start).unwrap(), text);
        }
        let refused = serde_json::from_value::<Start>("yesterday".into()).unwrap_err();
        assert!(refused.to_string().contains("2026-03-01T00:00:00Z"), "{refused}");
    }
}
