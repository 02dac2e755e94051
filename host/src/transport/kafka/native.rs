//! What the client library does not wrap; all that is unsafe about Kafka here is in this file. The queue of one partition:
//! the library has one too, but it does not say at which offset a partition ended, and at the end of a partition there
//! may be offsets without messages: marks of transactions, and what compaction removed. And a member's id.

use std::ffi::{CStr, CString, c_void};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_get_watermark_offsets, rd_kafka_header_cnt, rd_kafka_header_get_all,
    rd_kafka_headers_t, rd_kafka_mem_free, rd_kafka_memberid, rd_kafka_message_destroy, rd_kafka_message_headers,
    rd_kafka_message_t, rd_kafka_message_timestamp, rd_kafka_queue_cb_event_enable, rd_kafka_queue_destroy,
    rd_kafka_queue_forward, rd_kafka_queue_get_partition, rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t,
    rd_kafka_timestamp_type_t,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{IsError, RDKafkaErrorCode};
use tokio::sync::Notify;

use super::client::Plain;
use crate::model::Headers;
use crate::transport::membership::Membership;

/// Something that is dropped on a thread of its own, whoever drops it: that waits for brokers.
pub(super) struct Elsewhere<T: Send + 'static>(ManuallyDrop<T>);

impl<T: Send> Elsewhere<T> {
    pub(super) fn new(inner: T) -> Self {
        Self(ManuallyDrop::new(inner))
    }
}

impl<T: Send> Deref for Elsewhere<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + 'static> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        // SAFETY: it is taken once, here, and nobody has it after this.
        let inner = unsafe { ManuallyDrop::take(&mut self.0) };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(inner))),
            Err(_) => drop(inner),
        }
    }
}

/// A consumer, which is closed before it is dropped. A member tells its group then that it goes.
pub(super) struct Closing<C: ConsumerContext + 'static>(Elsewhere<(BaseConsumer<C>, Option<Membership>)>);

impl<C: ConsumerContext> Closing<C> {
    pub(super) fn new(client: BaseConsumer<C>) -> Self {
        Self(Elsewhere::new((client, None)))
    }

    /// One that joins a group: [`crate::transport::left`] waits for it.
    pub(super) fn member(client: BaseConsumer<C>) -> Self {
        Self(Elsewhere::new((client, Some(Membership::begin()))))
    }
}

impl<C: ConsumerContext> Deref for Closing<C> {
    type Target = BaseConsumer<C>;

    fn deref(&self) -> &BaseConsumer<C> {
        let (client, _) = &*self.0;
        client
    }
}

/// Told by librdkafka, from its own threads, when a queue that was empty is so no longer.
pub(super) struct Signal {
    wake: Arc<Notify>,
    raised: AtomicBool,
}

impl Signal {
    /// Wakes this one.
    pub(super) fn new(wake: Arc<Notify>) -> Arc<Self> {
        // Something may be there before the first call.
        Arc::new(Self { wake, raised: AtomicBool::new(true) })
    }

    pub(super) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether it was raised since the last time.
    pub(super) fn lower(&self) -> bool {
        self.raised.swap(false, Ordering::AcqRel)
    }
}

/// A partition's queue, split off the client's. Filled up to the client's bound while nobody takes of it.
pub(super) struct Queue {
    native: NonNull<rd_kafka_queue_t>,
    topic: CString,
    partition: i32,
    signal: Arc<Signal>,
    /// Where callbacks find the signal: one count of it, given back when the queue goes.
    opaque: *const Signal,
    /// The client must outlive its queues.
    client: Arc<Closing<Plain>>,
}

// SAFETY: librdkafka's objects may be used from any thread, and `Signal` is shared by a count.
unsafe impl Send for Queue {}
// SAFETY: as above; nothing here changes without librdkafka's own locks.
unsafe impl Sync for Queue {}

/// What a queue gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// A message.
    Message(Raw),
    /// All before this offset was given: nothing readable stands there now.
    End(i64),
    /// Reading failed; the client tries again by itself, save where the position is gone.
    Failed(RDKafkaErrorCode, String),
}

/// A message's own parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Raw {
    pub(super) offset: i64,
    /// Milliseconds since the Unix epoch, where the message has a time.
    pub(super) time: Option<i64>,
    pub(super) key: Option<Bytes>,
    pub(super) headers: Headers,
    pub(super) payload: Bytes,
}

impl Queue {
    /// Splits the queue of a partition off. To be done before the partition is assigned, or its first messages come by
    /// the client's common queue. None when the topic's name is none.
    pub(super) fn split(client: Arc<Closing<Plain>>, topic: &str, partition: i32, signal: Arc<Signal>) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client lives, and the name is a C string. The queue is owned by us: it is destroyed in `drop`.
        let native = NonNull::new(unsafe {
            rd_kafka_queue_get_partition(client.client().native_ptr(), topic.as_ptr(), partition)
        })?;
        let opaque = Arc::into_raw(signal.clone());
        // SAFETY: the queue lives; forwarding to nothing splits it. The signal lives until the callback is taken away.
        unsafe {
            rd_kafka_queue_forward(native.as_ptr(), ptr::null_mut());
            rd_kafka_queue_cb_event_enable(native.as_ptr(), Some(ready), opaque.cast_mut().cast());
        }
        Some(Self { native, topic, partition, signal, opaque, client })
    }

    /// Whether something may have come since the last time this was asked.
    pub(super) fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Takes what is there, at most so many; waits for nothing.
    pub(super) fn take(&self, most: usize) -> Vec<Taken> {
        self.take_within(most, Duration::ZERO)
    }

    /// Takes what is there, and waits for something while nothing is.
    pub(super) fn take_within(&self, most: usize, wait: Duration) -> Vec<Taken> {
        let mut messages: Vec<*mut rd_kafka_message_t> = vec![ptr::null_mut(); most];
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue lives, and the array has as many places as is said.
        let count =
            unsafe { rd_kafka_consume_batch_queue(self.native.as_ptr(), wait, messages.as_mut_ptr(), messages.len()) };
        let count = usize::try_from(count).unwrap_or(0);
        let owned = messages.into_iter().take(count).filter_map(NonNull::new).map(Owned);
        owned.map(|message| message.taken()).collect()
    }

    /// The high watermark, as the last answer of the broker had it; none before the first.
    pub(super) fn end(&self) -> Option<i64> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: the client lives, the name is a C string, and both places may be written.
        let error = unsafe {
            let client: *mut rd_kafka_t = self.client.client().native_ptr();
            rd_kafka_get_watermark_offsets(client, self.topic.as_ptr(), self.partition, &raw mut low, &raw mut high)
        };
        (!error.is_error() && high >= 0).then_some(high)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue lives. librdkafka calls back under the queue's lock, which this takes: nobody is in the
        // callback afterwards, and nobody comes, so the callback's count of the signal may go.
        unsafe {
            rd_kafka_queue_cb_event_enable(self.native.as_ptr(), None, ptr::null_mut());
            rd_kafka_queue_destroy(self.native.as_ptr());
            drop(Arc::from_raw(self.opaque));
        }
    }
}

/// Called by librdkafka's threads.
unsafe extern "C" fn ready(_: *mut rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `Queue` keeps a count of the signal for as long as this may be called.
    if let Some(signal) = unsafe { opaque.cast::<Signal>().as_ref() } {
        signal.raise();
    }
}

/// A message of librdkafka's, destroyed when dropped.
struct Owned(NonNull<rd_kafka_message_t>);

impl Owned {
    fn taken(&self) -> Taken {
        // SAFETY: the message is ours until it is destroyed.
        let message = unsafe { self.0.as_ref() };
        // SAFETY: librdkafka says that so many bytes stand there; of an error they are its text.
        let payload = unsafe { bytes(message.payload.cast(), message.len) };
        match message.err {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Taken::Message(Raw {
                offset: message.offset,
                time: self.time(),
                // SAFETY: as above.
                key: unsafe { bytes(message.key.cast(), message.key_len) }.map(Bytes::copy_from_slice),
                headers: self.headers(),
                payload: payload.map(Bytes::copy_from_slice).unwrap_or_default(),
            }),
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Taken::End(message.offset),
            error => {
                let reason = payload.map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                Taken::Failed(error.into(), reason)
            }
        }
    }

    fn time(&self) -> Option<i64> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives, and the place may be written.
        let time = unsafe { rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        (kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(time)
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::default();
        let mut native: *mut rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message lives and keeps the headers; the place may be written.
        let error = unsafe { rd_kafka_message_headers(self.0.as_ptr(), &raw mut native) };
        if error.is_error() || native.is_null() {
            return headers;
        }
        // SAFETY: the headers live as long as the message.
        let count = unsafe { rd_kafka_header_cnt(native) };
        for index in 0..count {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: all places may be written; what is given lives as long as the message.
            let error = unsafe { rd_kafka_header_get_all(native, index, &raw mut name, &raw mut value, &raw mut size) };
            if error.is_error() || name.is_null() {
                break;
            }
            // SAFETY: a name is a C string, and so many bytes stand at the value.
            let (name, value) = unsafe { (CStr::from_ptr(name), bytes(value.cast(), size)) };
            headers.push(name.to_string_lossy(), value.map(Bytes::copy_from_slice).unwrap_or_default());
        }
        headers
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody has it after this.
        unsafe { rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// By which id the group knows a member now; none while it is in no group. Waits for the client's own thread.
pub(super) fn member_id<C: ConsumerContext>(member: &BaseConsumer<C>) -> Option<String> {
    let client = member.client().native_ptr();
    // SAFETY: the client lives. The text is ours, and given back to who made it.
    unsafe {
        let id = NonNull::new(rd_kafka_memberid(client))?;
        let text = CStr::from_ptr(id.as_ptr()).to_string_lossy().into_owned();
        rd_kafka_mem_free(client, id.as_ptr().cast());
        (!text.is_empty()).then_some(text)
    }
}

/// Has a client meet a fatal error, as librdkafka offers for tests.
#[cfg(test)]
pub(super) fn fail_fatally<C: rdkafka::ClientContext>(client: &rdkafka::client::Client<C>) {
    use rdkafka::types::RDKafkaRespErr;
    let code = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    // SAFETY: the client lives, and copies the text.
    let raised =
        unsafe { rdkafka::bindings::rd_kafka_test_fatal_error(client.native_ptr(), code, c"for a test".as_ptr()) };
    assert_eq!(raised, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
}

/// The bytes at a place; none where there is no place.
///
/// # Safety
/// So many bytes must stand there, and stay while they are used.
unsafe fn bytes<'a>(at: *const u8, len: usize) -> Option<&'a [u8]> {
    match (at.is_null(), len) {
        (true, _) => None,
        (false, 0) => Some(&[]),
        // SAFETY: as the caller promises.
        (false, len) => Some(unsafe { std::slice::from_raw_parts(at, len) }),
    }
}
