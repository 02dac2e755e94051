//! The first plugin of the platform's load: parses a source event of Verisk, and emits what is to be enriched and, for
//! each attachment, the task to fetch it. The shapes are those of the platform; what it decides is not, for attachments
//! are not looked at.
//!
//! | output | what |
//! |---|---|
//! | `enrichment` | the event, flattened |
//! | `downloads` | a task of `verisk-downloads-pending` for each attachment |

use lockgate_plugin::{Binding, Context, Emission, Message, Outcome, Worker};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The domain's name in messages.
const DOMAIN: &str = "verisk";

/// The plugin.
#[derive(Debug)]
pub struct Events;

/// What the plugin is told: nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// A source event. Fields that are not known are passed over.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened, dotted.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, in ISO 8601.
    pub utc_date_time: String,
    /// By what it is found again.
    pub trace_id: String,
    /// The rest.
    pub data: Data,
}

/// What an event carries.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The assignment's number.
    pub assignment_id: String,
    /// Of an estimate, its version.
    #[serde(default)]
    pub estimate_version: Option<String>,
    /// Presigned URLs.
    #[serde(default)]
    pub attachments: Vec<String>,
}

#[derive(Serialize)]
struct Enrichment<'a> {
    event_id: &'a str,
    trace_id: &'a str,
    event_type: &'a str,
    status_subtype: &'a str,
    assignment_id: &'a str,
    estimate_version: Option<&'a str>,
    attachments: &'a [String],
    retry_count: u32,
    original_timestamp: &'a str,
}

#[derive(Serialize)]
struct Download<'a> {
    trace_id: &'a str,
    media_id: String,
    attachment_url: &'a str,
    blob_path: String,
    status_subtype: &'a str,
    file_type: String,
    assignment_id: &'a str,
    estimate_version: Option<&'a str>,
    retry_count: u32,
    event_type: &'a str,
    event_subtype: &'a str,
    original_timestamp: &'a str,
}

impl Worker for Events {
    const NAME: &'static str = "events";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "makes tasks of Verisk's events";
    type Config = Config;

    fn configure(_: Config, binding: &mut Binding) -> Result<Self, String> {
        binding.output("enrichment").output("downloads");
        Ok(Self)
    }

    async fn process(&self, _: &Context, message: Message) -> Result<Outcome, Outcome> {
        let event: Event = message.json()?;
        let mut outcome = Outcome::done().emit(event.enrichment(&message)?);
        for (nth, url) in event.data.attachments.iter().enumerate() {
            outcome = outcome.emit(event.download(nth, url)?);
        }
        Ok(outcome)
    }
}

impl Event {
    fn subtype(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or(&self.kind)
    }

    fn enrichment(&self, message: &Message) -> Result<Emission, lockgate_plugin::json::Error> {
        let enrichment = Enrichment {
            event_id: &message.id,
            trace_id: &self.trace_id,
            event_type: DOMAIN,
            status_subtype: self.subtype(),
            assignment_id: &self.data.assignment_id,
            estimate_version: self.data.estimate_version.as_deref(),
            attachments: &self.data.attachments,
            retry_count: 0,
            original_timestamp: &self.utc_date_time,
        };
        Ok(self.traced(Emission::json("enrichment", &enrichment)?))
    }

    fn download(&self, nth: usize, url: &str) -> Result<Emission, lockgate_plugin::json::Error> {
        let (subtype, assignment_id) = (self.subtype(), &self.data.assignment_id);
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name.rsplit_once('.').map_or("unknown", |(_, extension)| extension);
        let download = Download {
            trace_id: &self.trace_id,
            media_id: format!("{}-{nth}", self.trace_id),
            attachment_url: url,
            blob_path: format!("{subtype}/{assignment_id}/{}/{assignment_id}_{name}", self.trace_id),
            status_subtype: subtype,
            file_type: extension.to_ascii_uppercase(),
            assignment_id,
            estimate_version: self.data.estimate_version.as_deref(),
            retry_count: 0,
            event_type: DOMAIN,
            event_subtype: subtype,
            original_timestamp: &self.utc_date_time,
        };
        Ok(self.traced(Emission::json("downloads", &download)?))
    }

    fn traced(&self, emission: Emission) -> Emission {
        emission.key(self.trace_id.as_str()).header("trace_id", self.trace_id.as_str())
    }
}

lockgate_plugin::export!(Events);

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::Host;
    use serde_json::{Value, json};

    use super::*;

    fn emitted(attachments: &[&str]) -> Vec<(String, Value)> {
        let event = json!({
            "type": "verisk.claims.property.xn.estimatePackageReceived", "version": 1, "traceId": "9f1c",
            "utcDateTime": "2026-03-02T14:05:11Z",
            "data": { "assignmentId": "06ABC12", "estimateVersion": "3", "attachments": attachments },
        });
        let plugin = Host::new().plugin::<Events>(json!({})).unwrap();
        let outcome = plugin.call(Message::new(event.to_string()));
        assert!(outcome.is_done());
        let read = |emission: Emission| (emission.output, serde_json::from_slice(&emission.payload).unwrap());
        outcome.emit.into_iter().map(read).collect()
    }

    #[test]
    fn an_event_is_enriched_whatever_it_carries() {
        let emitted = emitted(&[]);
        assert_eq!(emitted.len(), 1);
        assert_eq!(emitted[0].0, "enrichment");
        assert_eq!(emitted[0].1["status_subtype"], "estimatePackageReceived");
    }

    #[test]
    fn every_attachment_becomes_a_task_with_a_place_of_its_own() {
        let emitted = emitted(&["https://h/x/a.pdf?X-Amz-Signature=aa", "https://h/y/a.pdf"]);
        let outputs: Vec<&str> = emitted.iter().map(|(output, _)| output.as_str()).collect();
        assert_eq!(outputs, ["enrichment", "downloads", "downloads"]);
        let place = |index: usize| (&emitted[index].1["media_id"], &emitted[index].1["blob_path"]);
        assert_ne!(place(1), place(2));
        assert_eq!(emitted[1].1["blob_path"], "estimatePackageReceived/06ABC12/9f1c/06ABC12_a.pdf");
        assert_eq!(emitted[1].1["file_type"], "PDF");
    }

    #[test]
    fn what_is_no_event_is_rejected() {
        let plugin = Host::new().plugin::<Events>(json!({})).unwrap();
        assert!(!plugin.call(Message::new("{}")).is_done());
    }
}
