//! The names of the headers that the host writes and reads. `docs/message-format.md` says what stands in each; a name
//! is part of what is stored, so it never changes its meaning.

/// Headers whose names begin so belong to the host.
pub const RESERVED_PREFIX: &str = "lockgate-";
/// W3C Trace Context; the only one without the prefix.
pub const TRACE_PARENT: &str = "traceparent";

/// The message's id, kept through parking, dead letter and redrive.
pub const ID: &str = "lockgate-id";
/// When the first message of a chain entered Lockgate, in milliseconds since the Unix epoch.
pub const ORIGIN_MS: &str = "lockgate-origin-ms";

/// The only pipeline that is to process this record; every other one settles it unseen.
pub const FOR: &str = "lockgate-for";
/// How long a parked record waits after it was enqueued, in milliseconds.
pub const DELAY_MS: &str = "lockgate-delay-ms";
/// Rounds of tries that failed.
pub const ROUNDS: &str = "lockgate-rounds";
/// Tries that failed, over all rounds.
pub const ATTEMPTS: &str = "lockgate-attempts";
/// The first three and the last ten failures, as JSON.
pub const FAILURES: &str = "lockgate-failures";
/// When the message failed first, RFC 3339.
pub const FIRST_FAILURE: &str = "lockgate-first-failure";
/// When the message failed last, RFC 3339.
pub const LAST_FAILURE: &str = "lockgate-last-failure";

/// The transport that the message was first read from, by its name in the spec.
pub const ORIGIN_TRANSPORT: &str = "lockgate-origin-transport";
/// The topic that the message was first read from, by its name in the spec.
pub const ORIGIN_TOPIC: &str = "lockgate-origin-topic";
/// The partition that the message was first read from.
pub const ORIGIN_PARTITION: &str = "lockgate-origin-partition";
/// The offset that the message was first read from.
pub const ORIGIN_OFFSET: &str = "lockgate-origin-offset";
/// When the message was enqueued there, RFC 3339.
pub const ORIGIN_ENQUEUED: &str = "lockgate-origin-enqueued";

/// The pipeline that parked or dead-lettered the message.
pub const PIPELINE: &str = "lockgate-pipeline";
/// Its plugin, by its name in the spec.
pub const PLUGIN: &str = "lockgate-plugin";
/// The version that the plugin gives itself.
pub const PLUGIN_VERSION: &str = "lockgate-plugin-version";
/// The component's SHA-256 in hex.
pub const PLUGIN_SHA256: &str = "lockgate-plugin-sha256";
/// The kind of reason: `rejected`, `exhausted`, `guest-fault`, `refused`.
pub const CLASS: &str = "lockgate-class";
/// A short stable word to count by.
pub const CODE: &str = "lockgate-code";
/// Why, for people.
pub const REASON: &str = "lockgate-reason";

/// How often the message was redriven.
pub const REDRIVEN: &str = "lockgate-redriven";
/// Makes a record of a dead-letter topic a mark: what was done with a letter.
pub const MARK: &str = "lockgate-mark";
/// The partition of the letter that a mark speaks of.
pub const MARK_PARTITION: &str = "lockgate-mark-partition";
/// The offset of the letter that a mark speaks of.
pub const MARK_OFFSET: &str = "lockgate-mark-offset";

/// Where the payload lies that was too large for the topic: the store's name and the path in it.
pub const SPILLED_PAYLOAD: &str = "lockgate-spilled-payload";
/// SHA-256 in hex of the spilled payload.
pub const SPILLED_PAYLOAD_SHA256: &str = "lockgate-spilled-payload-sha256";
/// Where key and own headers lie that were too large for the topic, as JSON.
pub const SPILLED_HEADERS: &str = "lockgate-spilled-headers";
/// SHA-256 in hex of the spilled headers.
pub const SPILLED_HEADERS_SHA256: &str = "lockgate-spilled-headers-sha256";

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_of_the_message_format_has_every_header_once_and_no_other() {
        let document = include_str!("../../../docs/message-format.md");
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut documented: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let constants = include_str!("header.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
        let mut written: Vec<&str> = constants.filter_map(|constant| constant.split('"').nth(1)).collect();
        written.retain(|name| *name != super::RESERVED_PREFIX);
        documented.sort_unstable();
        written.sort_unstable();
        assert_eq!(documented, written);
    }
}
