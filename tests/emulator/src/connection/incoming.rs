//! What a client sends on a link: deliveries put together from their transfers, and the credit to send more.

use bytes::{Bytes, BytesMut};

use crate::amqp::performatives::{LinkFlow, Transfer};

/// How many deliveries a client may send before they are settled.
const CREDIT: u32 = 300;

/// The receiving end of a link.
pub(super) struct Incoming {
    handle: u32,
    /// The largest delivery.
    limit: u64,
    /// How many the client may still send.
    credit: u32,
    delivery_count: u32,
    begun: Option<Begun>,
}

/// A delivery of which there is more to come.
struct Begun {
    delivery: u32,
    format: u32,
    settled: bool,
    size: u64,
    bytes: BytesMut,
}

/// A delivery that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) id: u32,
    pub(super) format: u32,
    /// Whether the client wants to hear no more of it.
    pub(super) settled: bool,
    pub(super) size: u64,
    /// `None` where it is larger than allowed: it was not kept.
    pub(super) message: Option<Bytes>,
}

impl Incoming {
    /// One that may be sent the first deliveries.
    pub(super) fn new(handle: u32, limit: u64) -> Self {
        Self { handle, limit, credit: CREDIT, delivery_count: 0, begun: None }
    }

    /// Takes a transfer; the delivery, where it is the last of one.
    pub(super) fn take(&mut self, transfer: &Transfer, payload: Bytes) -> Option<Delivery> {
        let mut begun = self.begun.take().unwrap_or_else(|| Begun {
            delivery: transfer.delivery.unwrap_or(self.delivery_count),
            format: transfer.format.unwrap_or(0),
            settled: false,
            size: 0,
            bytes: BytesMut::new(),
        });
        begun.settled |= transfer.settled;
        begun.size += payload.len() as u64;
        if transfer.aborted {
            self.count();
            return None;
        }
        // Most deliveries are in one piece, which is not copied.
        let is_whole = !transfer.more && begun.bytes.is_empty();
        if begun.size > self.limit {
            begun.bytes.clear();
        } else if !is_whole {
            begun.bytes.extend_from_slice(&payload);
        }
        if transfer.more {
            self.begun = Some(begun);
            return None;
        }
        self.count();
        let Begun { delivery: id, format, settled, size, bytes } = begun;
        let message = (size <= self.limit).then(|| if is_whole { payload } else { bytes.freeze() });
        Some(Delivery { id, format, settled, size, message })
    }

    /// Gives new credit where it runs low, so that no more are unsettled than may be.
    pub(super) fn replenish(&mut self, unsettled: usize) -> Option<LinkFlow> {
        let credit = CREDIT.saturating_sub(u32::try_from(unsettled).unwrap_or(u32::MAX));
        if self.credit >= CREDIT / 2 || credit <= self.credit {
            return None;
        }
        self.credit = credit;
        Some(self.flow())
    }

    /// What it says of itself.
    pub(super) fn flow(&self) -> LinkFlow {
        LinkFlow { handle: self.handle, delivery_count: self.delivery_count, credit: self.credit, drain: false }
    }

    fn count(&mut self) {
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(more: bool) -> Transfer {
        Transfer { handle: 1, delivery: Some(7), format: Some(3), settled: false, more, aborted: false }
    }

    fn incoming() -> Incoming {
        Incoming::new(1, 10)
    }

    fn parts(incoming: &mut Incoming, parts: &[&'static [u8]]) -> Option<Delivery> {
        let last = parts.len() - 1;
        let mut parts = parts.iter().enumerate();
        parts.find_map(|(index, part)| incoming.take(&transfer(index < last), Bytes::from_static(part)))
    }

    #[test]
    fn a_delivery_is_put_together_from_its_transfers() {
        for pieces in [&[&b"0123456"[..]][..], &[b"012", b"34", b"56"], &[b"", b"0123456"], &[b"0123456", b""]] {
            let delivery = parts(&mut incoming(), pieces).unwrap();
            let message = Some(Bytes::from_static(b"0123456"));
            assert_eq!(delivery, Delivery { id: 7, format: 3, settled: false, size: 7, message }, "{pieces:?}");
        }
    }

    #[test]
    fn one_that_is_too_large_is_counted_and_not_kept() {
        for pieces in [&[&b"01234567890"[..]][..], &[b"0123456789", b"0"], &[b"01234567890", b""]] {
            let delivery = parts(&mut incoming(), pieces).unwrap();
            assert_eq!((delivery.size, delivery.message), (11, None), "{pieces:?}");
        }
    }

    #[test]
    fn one_that_is_aborted_never_was() {
        let mut incoming = incoming();
        assert_eq!(incoming.take(&transfer(true), Bytes::from_static(b"lost")), None);
        assert_eq!(incoming.take(&Transfer { aborted: true, ..transfer(false) }, Bytes::new()), None);
        assert_eq!(parts(&mut incoming, &[b"kept"]).unwrap().message, Some(Bytes::from_static(b"kept")));
    }

    #[test]
    fn credit_is_given_anew_but_never_for_more_than_may_be_unsettled() {
        let mut incoming = incoming();
        for _ in 0..=CREDIT / 2 {
            incoming.take(&transfer(false), Bytes::new());
        }
        let settled = incoming.replenish(0).unwrap();
        assert_eq!((settled.delivery_count, settled.credit), (CREDIT / 2 + 1, CREDIT));
        assert!(incoming.replenish(0).is_none());
        for _ in 0..CREDIT {
            incoming.take(&transfer(false), Bytes::new());
        }
        assert!(incoming.replenish(CREDIT as usize).is_none());
        assert_eq!(incoming.replenish(CREDIT as usize - 5).unwrap().credit, 5);
    }
}
