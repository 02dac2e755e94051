use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::model::{MessageId, Origin, Partition, Position, Timestamp};

/// A store named `shelf`, in memory; out of order while there is a reason.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) kept: Mutex<BTreeMap<String, Bytes>>,
    pub(crate) trouble: Mutex<Option<String>>,
}

impl Shelf {
    fn check(&self, location: &str) -> Result<(), SpillError> {
        match &*self.trouble.lock().unwrap() {
            None => Ok(()),
            Some(reason) => Err(SpillError::Unavailable { location: location.to_owned(), reason: reason.clone() }),
        }
    }
}

#[async_trait]
impl Spill for Shelf {
    async fn keep(&self, name: &str, bytes: Bytes) -> Result<String, SpillError> {
        let location = format!("shelf/{name}");
        self.check(&location)?;
        self.kept.lock().unwrap().insert(location.clone(), bytes);
        Ok(location)
    }

    async fn fetch(&self, location: &str) -> Result<Bytes, SpillError> {
        self.check(location)?;
        let gone = || SpillError::Refused { location: location.to_owned(), reason: "nothing stands there".into() };
        self.kept.lock().unwrap().get(location).cloned().ok_or_else(gone)
    }
}

fn record() -> Record {
    let mut headers = Headers::default();
    headers.push("own", Bytes::from_static(b"\xff\x00"));
    headers.push("own", "twice");
    headers.push("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    headers.push("lockgate-id", "m/../1");
    headers.push("lockgate-code", "gone");
    let payload = Bytes::from_static(b"\xff as it was");
    Record { key: Some(Bytes::from_static(b"\x00k")), headers, payload, partition: Some(3) }
}

fn spiller(shelf: &Arc<Shelf>) -> Spiller {
    Spiller { pipeline: "p".into(), spill: shelf.clone() }
}

/// The record as a topic hands it out.
fn handed_out(record: Record) -> Message {
    let partition = Partition::new("dlq", 3);
    let origin = Origin { transport: "bus".into(), partition, position: Position(7), enqueued: Timestamp(0) };
    let id = MessageId::given("m/../1");
    Message { id, origin, key: record.key, headers: record.headers, payload: record.payload }
}

async fn shrunk(spiller: &Spiller, times: usize) -> Record {
    let mut smaller = record();
    for _ in 0..times {
        smaller = spiller.shrink(&smaller).await.unwrap().unwrap();
    }
    smaller
}

#[tokio::test]
async fn first_the_payload_goes_then_key_and_own_headers_then_nothing_more() {
    let shelf = Arc::new(Shelf::default());
    let first = shrunk(&spiller(&shelf), 1).await;
    assert_eq!((first.payload.len(), first.key, first.headers.text("lockgate-code")), (0, record().key, Some("gone")));
    let second = shrunk(&spiller(&shelf), 2).await;
    assert_eq!((second.key.clone(), second.headers.get("own"), second.partition), (None, None, Some(3)));
    assert!(second.headers.text("traceparent").is_some(), "the trace stays");
    assert_eq!(spiller(&shelf).shrink(&second).await, Ok(None));
    assert_eq!(shelf.kept.lock().unwrap().len(), 2, "a repeat writes what stands there");
}

#[tokio::test]
async fn what_was_spilled_comes_back_byte_for_byte() {
    let shelf = Arc::new(Shelf::default());
    for times in [1, 2] {
        let message = handed_out(shrunk(&spiller(&shelf), times).await);
        assert!(is_spilled(&message.headers));
        let restored = restore(message, &*shelf).await.unwrap();
        let mut expected = handed_out(record());
        let mut sorted = restored.clone();
        for message in [&mut expected, &mut sorted] {
            let mut headers: Vec<_> = message.headers.iter().cloned().collect();
            headers.sort_by(|one, other| one.name.cmp(&other.name));
            message.headers = headers.into_iter().collect();
        }
        assert_eq!(sorted, expected);
        assert!(!is_spilled(&restored.headers));
    }
}

#[tokio::test]
async fn a_name_holds_no_id_that_could_leave_its_folder() {
    let shelf = Arc::new(Shelf::default());
    shrunk(&spiller(&shelf), 1).await;
    let kept = shelf.kept.lock().unwrap();
    let (location, _) = kept.first_key_value().unwrap();
    assert!(location.starts_with("shelf/dead-letters/p/") && !location.contains(".."), "{location}");
    assert_eq!(segment("M-1_a"), "M-1_a");
    for odd in ["", "..", "a/b", "a:b", "é", &"x".repeat(129)] {
        assert_eq!(segment(odd).len(), 64, "{odd}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_was_spilled_are_never_handed_out() {
    let shelf = Arc::new(Shelf::default());
    for times in [1, 2] {
        let message = handed_out(shrunk(&spiller(&shelf), times).await);
        shelf.kept.lock().unwrap().values_mut().for_each(|bytes| *bytes = Bytes::from_static(b"{}"));
        let error = restore(message, &*shelf).await.unwrap_err();
        assert!(matches!(&error, RestoreError::Gone(reason) if reason.contains("SHA-256")), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_told_apart_from_a_body_that_is_gone() {
    let shelf = Arc::new(Shelf::default());
    let message = handed_out(shrunk(&spiller(&shelf), 1).await);
    *shelf.trouble.lock().unwrap() = Some("down".into());
    let error = restore(message.clone(), &*shelf).await.unwrap_err();
    assert!(matches!(&error, RestoreError::Unavailable(reason) if reason.contains("shelf/dead-letters/p/")), "{error}");
    *shelf.trouble.lock().unwrap() = None;
    shelf.kept.lock().unwrap().clear();
    assert!(matches!(restore(message, &*shelf).await, Err(RestoreError::Gone(_))));
}

#[tokio::test]
async fn a_location_without_its_hash_is_not_followed() {
    let shelf = Arc::new(Shelf::default());
    let mut message = handed_out(shrunk(&spiller(&shelf), 1).await);
    message.headers.retain(|header| header.name != "lockgate-spilled-payload-sha256");
    assert!(matches!(restore(message, &*shelf).await, Err(RestoreError::Gone(_))));
}
