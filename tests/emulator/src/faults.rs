//! What goes wrong on demand, everywhere or with one hub. Connections hear of every change at once.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What goes wrong, until it is taken back: with everything, or with one hub and the links that lead to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Nothing is read and nothing is written, on no connection: as if the server had stopped in the middle. Of a hub: on
    /// none that has a link to it.
    pub frozen: bool,
    /// Connections end before anything was said. Of a hub it means nothing: a connection begins without one.
    pub refuse_connections: bool,
    /// Links are refused with this condition, such as `amqp:internal-error`; those that there are stay.
    pub refuse_links: Option<String>,
    /// Links to receive are refused with this condition, and those that there are end with it.
    pub refuse_receivers: Option<String>,
    /// No token is taken, whatever it is.
    pub refuse_tokens: bool,
    /// Whatever is sent is refused, because the server is busy.
    pub server_busy: bool,
    /// The next sends fail.
    pub fail_sends: Option<FailSends>,
    /// Sends are kept at once, but settled so many milliseconds later, where that is later than the configuration says.
    pub settle_ms: u64,
    /// No token that comes from now on lasts longer than so many milliseconds.
    pub token_ms: Option<u64>,
}

impl Faults {
    /// What goes wrong by either.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let either = |one: &Option<String>, other: &Option<String>| one.as_ref().or(other.as_ref()).cloned();
        Self {
            frozen: self.frozen || other.frozen,
            refuse_connections: self.refuse_connections || other.refuse_connections,
            refuse_links: either(&self.refuse_links, &other.refuse_links),
            refuse_receivers: either(&self.refuse_receivers, &other.refuse_receivers),
            refuse_tokens: self.refuse_tokens || other.refuse_tokens,
            server_busy: self.server_busy || other.server_busy,
            // Each is counted where it was asked for.
            fail_sends: None,
            settle_ms: self.settle_ms.max(other.settle_ms),
            token_ms: self.token_ms.into_iter().chain(other.token_ms).min(),
        }
    }
}

/// Sends that fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FailSends {
    /// So many.
    pub count: u32,
    /// With this condition, such as `amqp:internal-error`.
    pub condition: String,
}

/// What connections hear of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    pub(crate) faults: Faults,
    /// How often connections were dropped.
    pub(crate) drops: u64,
    /// How often tokens were expired.
    pub(crate) expiries: u64,
}

/// Where faults are asked for, and heard of: one for everything, and one for each hub.
#[derive(Debug, Default)]
pub(crate) struct Switchboard(watch::Sender<Signals>);

impl Switchboard {
    /// What goes wrong now.
    pub(crate) fn faults(&self) -> Faults {
        self.0.borrow().faults.clone()
    }

    /// What goes wrong from now on, and nothing else.
    pub(crate) fn set(&self, faults: Faults) {
        self.0.send_modify(|signals| signals.faults = faults);
    }

    /// Drops every connection there is, without a word.
    pub(crate) fn drop_connections(&self) {
        self.0.send_modify(|signals| signals.drops += 1);
    }

    /// Expires every token there is.
    pub(crate) fn expire_tokens(&self) {
        self.0.send_modify(|signals| signals.expiries += 1);
    }

    /// Lets connections look again at what they share.
    pub(crate) fn tell(&self) {
        self.0.send_modify(|_| {});
    }

    /// What connections hear of.
    pub(crate) fn signals(&self) -> watch::Ref<'_, Signals> {
        self.0.borrow()
    }

    /// To hear of changes from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Signals> {
        self.0.subscribe()
    }

    /// Takes one of the sends that are to fail; the condition it fails with.
    pub(crate) fn take_failure(&self) -> Option<String> {
        let mut taken = None;
        self.0.send_if_modified(|signals| {
            if let Some(fail) = &mut signals.faults.fail_sends
                && let Some(left) = fail.count.checked_sub(1)
            {
                taken = Some(fail.condition.clone());
                fail.count = left;
            }
            // Nobody has to hear of it.
            false
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_sends_fail_as_were_asked_for() {
        let switchboard = Switchboard::default();
        assert_eq!(switchboard.take_failure(), None);
        let fail_sends = Some(FailSends { count: 2, condition: "amqp:internal-error".to_owned() });
        switchboard.set(Faults { fail_sends, ..Faults::default() });
        let taken: Vec<bool> = (0..3).map(|_| switchboard.take_failure().is_some()).collect();
        assert_eq!(taken, [true, true, false]);
        assert_eq!(switchboard.faults().fail_sends.unwrap().count, 0);
    }

    #[test]
    fn what_goes_wrong_with_a_hub_adds_to_what_goes_wrong_everywhere() {
        let here = Faults { settle_ms: 20, token_ms: Some(5), refuse_tokens: true, ..Faults::default() };
        let there = Faults { settle_ms: 7, token_ms: Some(9), refuse_links: Some("x".to_owned()), ..Faults::default() };
        for both in [here.with(&there), there.with(&here)] {
            assert_eq!((both.settle_ms, both.token_ms, both.refuse_tokens, both.frozen), (20, Some(5), true, false));
            assert_eq!(both.refuse_links.as_deref(), Some("x"));
        }
    }

    #[test]
    fn faults_are_read_as_they_are_written() {
        let faults: Faults =
            serde_json::from_str(r#"{ "settle_ms": 20, "refuse_links": "amqp:internal-error" }"#).unwrap();
        assert_eq!((faults.settle_ms, faults.refuse_links.as_deref()), (20, Some("amqp:internal-error")));
        let text = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&text).unwrap(), faults);
        assert!(serde_json::from_str::<Faults>(r#"{ "setle_ms": 20 }"#).is_err());
    }
}
