//! Frames: cut from the bytes that come, and put into the bytes that go. Performatives are always written with all of
//! their fields: some clients reach for the last one by its place, as the service never leaves any out.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde_amqp::Value;

use super::Malformed;

/// The largest frame that is taken.
pub(crate) const MAX_FRAME_SIZE: u32 = 65_536;
/// The smallest that a peer may ask for.
pub(crate) const MIN_MAX_FRAME_SIZE: u32 = 512;
/// The bytes of a frame before its body.
const HEAD: usize = 8;

/// The eight bytes that a side begins with.
pub(crate) const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// The same, to begin with authentication.
pub(crate) const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) channel: u16,
    /// Performative and payload; empty in a heartbeat.
    pub(crate) body: Bytes,
}

/// What protocol a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Amqp = 0,
    Sasl = 1,
}

/// Takes the eight bytes that a side begins with; `None` until all are there.
pub(crate) fn take_header(input: &mut BytesMut) -> Option<[u8; 8]> {
    let header = *input.first_chunk()?;
    input.advance(HEAD);
    Some(header)
}

/// Takes the next frame; `None` until all of it is there.
pub(crate) fn take(input: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(&[a, b, c, d, offset, kind, channel_high, channel_low]) = input.first_chunk() else { return Ok(None) };
    let size = u32::from_be_bytes([a, b, c, d]);
    if size > MAX_FRAME_SIZE {
        return Err(Malformed("the frame is larger than the agreed maximum"));
    }
    let (size, body) = (size as usize, usize::from(offset) * 4);
    if body < HEAD || size < body {
        return Err(Malformed("the frame is smaller than its head"));
    }
    let kind = match kind {
        0 => Kind::Amqp,
        1 => Kind::Sasl,
        _ => return Err(Malformed("the frame is of no known type")),
    };
    if input.len() < size {
        return Ok(None);
    }
    let mut frame = input.split_to(size).freeze();
    frame.advance(body);
    Ok(Some(Frame { kind, channel: u16::from_be_bytes([channel_high, channel_low]), body: frame }))
}

/// Bytes on their way to the peer.
#[derive(Default)]
pub(crate) struct Output {
    bytes: BytesMut,
    /// How many frames were put since the beginning: whether anything was said since then.
    frames: u64,
}

impl Output {
    /// What is to be written; whoever writes takes it off.
    pub(crate) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// How much is to be written.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many frames were put since the beginning.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Puts the eight bytes that a side begins with.
    pub(crate) fn header(&mut self, header: [u8; 8]) {
        self.bytes.extend_from_slice(&header);
    }

    /// Puts a frame without a payload.
    pub(crate) fn frame(&mut self, kind: Kind, channel: u16, performative: &Value) {
        self.encoded(kind, channel, &encode(performative), &[]);
    }

    /// Puts a frame that says only that we are alive.
    pub(crate) fn heartbeat(&mut self) {
        self.encoded(Kind::Amqp, 0, &[], &[]);
    }

    /// Puts a frame whose performative is encoded already.
    pub(crate) fn encoded(&mut self, kind: Kind, channel: u16, performative: &[u8], payload: &[u8]) {
        let size = HEAD + performative.len() + payload.len();
        self.bytes.reserve(size);
        // Both parts are cut to the peer's frame size, which is a u32.
        self.bytes.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
        self.bytes.put_slice(&[2, kind as u8]);
        self.bytes.put_u16(channel);
        self.bytes.put_slice(performative);
        self.bytes.put_slice(payload);
        self.frames += 1;
    }
}

/// How much payload fits into a frame beside its performative.
pub(crate) fn room(max_frame_size: u32, performative: &[u8]) -> usize {
    (max_frame_size as usize).saturating_sub(HEAD + performative.len())
}

/// A value as bytes.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    serde_amqp::to_vec(value).unwrap_or_else(|error| {
        // Values are made here, of kinds that all have an encoding.
        tracing::error!(%error, ?value, "a value has no encoding");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::described;

    #[test]
    fn a_frame_is_taken_once_all_of_it_is_there() {
        let mut output = Output::default();
        output.frame(Kind::Amqp, 3, &described(0x17, Value::List(vec![Value::Null])));
        output.heartbeat();
        let bytes = output.bytes().clone();
        let mut input = BytesMut::new();
        let mut frames = Vec::new();
        for byte in bytes {
            input.put_u8(byte);
            frames.extend(take(&mut input).unwrap());
        }
        let body = Bytes::from_static(&[0, 0x53, 0x17, 0xc0, 2, 1, 0x40]);
        let heartbeat = Frame { kind: Kind::Amqp, channel: 0, body: Bytes::new() };
        assert_eq!(frames, [Frame { kind: Kind::Amqp, channel: 3, body }, heartbeat]);
        assert_eq!(output.frames(), 2);
    }

    #[test]
    fn fields_are_written_though_they_are_null() {
        let value = described(0x16, Value::List(vec![Value::Uint(1), Value::Null, Value::Null]));
        assert_eq!(encode(&value), [0, 0x53, 0x16, 0xc0, 5, 3, 0x52, 1, 0x40, 0x40]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in
            [[0, 2, 0, 0, 2, 0, 0, 0], [0, 0, 0, 7, 2, 0, 0, 0], [0, 0, 0, 8, 1, 0, 0, 0], [0, 0, 0, 8, 2, 9, 0, 0]]
        {
            assert!(take(&mut BytesMut::from(&bytes[..])).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_extended_head_is_no_part_of_the_body() {
        let mut input = BytesMut::from(&[0, 0, 0, 13, 3, 0, 0, 1, 9, 9, 9, 9, 0x40][..]);
        assert_eq!(take(&mut input).unwrap().unwrap().body, [0x40][..]);
    }
}
