//! What is refused, in the service's words: the conditions are those that clients tell errors apart by, the descriptions
//! begin as the service's do.

use std::borrow::Cow;

use jiff::Timestamp;

/// An error as AMQP tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) condition: Cow<'static, str>,
    pub(crate) description: String,
}

const NOT_FOUND: &str = "amqp:not-found";
const UNAUTHORIZED: &str = "amqp:unauthorized-access";
const STOLEN: &str = "amqp:link:stolen";
const LIMIT_EXCEEDED: &str = "amqp:resource-limit-exceeded";
const SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
const DECODE_ERROR: &str = "amqp:decode-error";
const OUT_OF_RANGE: &str = "com.microsoft:argument-out-of-range";
const ARGUMENT: &str = "com.microsoft:argument-error";
const DISABLED: &str = "com.microsoft:entity-disabled";
const BUSY: &str = "com.microsoft:server-busy";
const INVALID_FIELD: &str = "amqp:invalid-field";

impl Refusal {
    /// One of any condition.
    pub(crate) fn new(condition: impl Into<Cow<'static, str>>, description: impl Into<String>) -> Self {
        Self { condition: condition.into(), description: description.into() }
    }

    /// A hub, or whatever else a URL names, does not exist.
    pub(crate) fn no_entity(url: &str) -> Self {
        let help = "To know more visit https://aka.ms/sbResourceMgrExceptions.";
        Self::new(NOT_FOUND, format!("The messaging entity '{url}' could not be found. {help}"))
    }

    /// A consumer group does not exist.
    pub(crate) fn no_group(namespace: &str, hub: &str, group: &str) -> Self {
        Self::no_entity(&format!("{namespace}:eventhub:{hub}|{group}"))
    }

    /// A partition does not exist.
    pub(crate) fn no_partition(partitions: usize) -> Self {
        let last = partitions.saturating_sub(1);
        let description = "The specified partition is invalid for an EventHub partition sender or receiver.";
        Self::new(OUT_OF_RANGE, format!("{description} It should be between 0 and {last}. (Parameter 'PartitionId')"))
    }

    /// A hub is switched off.
    pub(crate) fn disabled(url: &str) -> Self {
        Self::new(DISABLED, format!("The messaging entity '{url}' is currently disabled."))
    }

    /// No token grants this.
    pub(crate) fn unauthorized(claim: &str, url: &str) -> Self {
        let description = format!("'{claim}' claim(s) are required to perform this operation. Resource: '{url}'.");
        Self::new(UNAUTHORIZED, format!("Unauthorized access. {description}"))
    }

    /// The token that granted this is of the past.
    pub(crate) fn expired(expiry: Timestamp) -> Self {
        Self::new(UNAUTHORIZED, format!("ExpiredToken: The token is expired. Expiration time: '{expiry}'."))
    }

    /// A receiver with a higher level, or with one at all, has taken the partition.
    pub(crate) fn stolen(new: &str, new_epoch: i64, current: &str, current_epoch: Option<i64>) -> Self {
        let epoch = current_epoch.unwrap_or(-1);
        Self::new(
            STOLEN,
            format!(
                "New receiver '{new}' with higher epoch of '{new_epoch}' is created hence current receiver '{current}' \
                 with epoch '{epoch}' is getting disconnected. If you are recreating the receiver, make sure a higher \
                 epoch is used."
            ),
        )
    }

    /// A receiver with a higher level is there.
    pub(crate) fn lower_epoch(current: &str, current_epoch: i64, new: &str, new_epoch: i64) -> Self {
        Self::new(
            STOLEN,
            format!(
                "Receiver '{current}' with a higher epoch '{current_epoch}' already exists. Receiver '{new}' with epoch \
                 {new_epoch} cannot be created. Make sure you are creating receiver with increasing epoch value to ensure \
                 connectivity, or ensure all old epoch receivers are closed or disconnected."
            ),
        )
    }

    /// A receiver with a level is there, and the new one has none.
    pub(crate) fn no_epoch(epoch: i64) -> Self {
        Self::new(
            STOLEN,
            format!(
                "At least one receiver for the endpoint is created with epoch of '{epoch}', and so non-epoch receiver is \
                 not allowed. Either reconnect with a higher epoch, or make sure all epoch receivers are closed or \
                 disconnected."
            ),
        )
    }

    /// As many receivers as are allowed are there.
    pub(crate) fn too_many_receivers(limit: usize, names: &[&str]) -> Self {
        Self::new(
            LIMIT_EXCEEDED,
            format!(
                "Exceeded the maximum number of allowed receivers per partition in a consumer group which is {limit}. \
                 List of connected receivers - {}.",
                names.join(", ")
            ),
        )
    }

    /// A position that is none yet.
    pub(crate) fn beyond_the_end(what: &str, supplied: i64, last: i64) -> Self {
        let description = format!("The supplied {what} '{supplied}' is invalid.");
        Self::new(ARGUMENT, format!("{description} The last {what} in the system is '{last}'"))
    }

    /// A position that cannot be read.
    pub(crate) fn no_position(selector: &str) -> Self {
        Self::new(INVALID_FIELD, format!("The filter '{selector}' is not one that Event Hubs knows."))
    }

    /// A message that is larger than the link allows.
    pub(crate) fn too_large(delivery: u32, size: u64, limit: u64) -> Self {
        let description = format!("The received message (delivery-id:{delivery}, size:{size} bytes) exceeds the limit");
        Self::new(SIZE_EXCEEDED, format!("{description} ({limit} bytes) currently allowed on the link."))
    }

    /// A message that is none.
    pub(crate) fn malformed(why: &str) -> Self {
        Self::new(DECODE_ERROR, why)
    }

    /// The hub gets more than it is made for.
    pub(crate) fn busy() -> Self {
        Self::new(
            BUSY,
            "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds \
             and try again.",
        )
    }
}
