//! `lockgate topics`

use clap::Args;
use serde_json::json;

use super::place::{SpecFiles, look};
use super::table::Table;
use super::{Ended, answer};

/// List topics and their partitions.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  lockgate topics\n  lockgate topics -f pipelines.yaml --json")]
pub(super) struct Topics {
    #[command(flatten)]
    spec: SpecFiles,
    /// One JSON object a topic.
    #[arg(long)]
    json: bool,
}

impl Topics {
    pub(super) async fn obey(self) -> Ended {
        let plan = self.spec.plan()?;
        let mut table = Table::new(["TRANSPORT", "TOPIC", "PARTITION", "FIRST", "END", "MESSAGES"]);
        for (name, transport) in look(&plan, plan.transports.keys().map(String::as_str))? {
            for topic in transport.topics().await? {
                if self.json {
                    answer(json!({ "transport": name, "topic": topic.name, "partitions": topic.partitions }))?;
                    continue;
                }
                for (index, info) in topic.partitions.iter().enumerate() {
                    let numbers = [info.first, info.end, info.end - info.first].map(|number| number.to_string());
                    let [first, end, messages] = numbers;
                    table.row([name.to_owned(), topic.name.clone(), index.to_string(), first, end, messages]);
                }
            }
        }
        if self.json { Ok(()) } else { answer(table) }
    }
}
