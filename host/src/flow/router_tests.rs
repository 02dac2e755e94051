//! Letters that a topic finds too large, over topics in memory and a store in memory.

use bytes::Bytes;

use super::super::spill::tests::Shelf;
use super::super::spill::{is_spilled, restore};
use super::*;
use crate::model::{Clock, Partition, Position};
use crate::transport::Transport;
use crate::transport::memory::Memory;

async fn router(memory: &Memory, shelf: Option<&Arc<Shelf>>) -> Router {
    let spill = shelf.map(|shelf| shelf.clone() as Arc<dyn Spill>);
    Router {
        pipeline: "p".into(),
        outputs: BTreeMap::new(),
        dead_letter: memory.sink("dlq").await.unwrap(),
        retry: Some(memory.sink("retry").await.unwrap()),
        spill,
    }
}

fn memory(limit: u64) -> Memory {
    let memory = Memory::new("bus", BTreeMap::new(), Clock::system());
    memory.refuse_larger("dlq", Some(limit));
    memory
}

/// A letter of which the topic has to take these bytes of payload and of own headers.
fn letter(payload: usize, own: usize) -> Record {
    let mut headers = Headers::default();
    headers.push("lockgate-id", "m-1");
    headers.push("own", "o".repeat(own));
    let payload = Bytes::from("x".repeat(payload));
    Record { key: Some(Bytes::from_static(b"k")), headers, payload, partition: Some(0) }
}

async fn read(memory: &Memory) -> Vec<Message> {
    memory.read(&Partition::new("dlq", 0), Position(0), 10).await.unwrap()
}

fn unavailable(publication: Publication) -> (Pending, String) {
    match publication {
        Publication::Unavailable { rest, reason } => (rest, reason),
        Publication::Durable => panic!("it was written"),
        Publication::Refused { reason, .. } => panic!("it was refused: {reason}"),
    }
}

#[tokio::test]
async fn a_letter_that_is_too_large_travels_spilled_and_comes_back_whole() {
    for (payload, own, kept) in [(10, 10, 0), (2000, 10, 1), (2000, 2000, 2), (0, 2000, 1)] {
        let (memory, shelf) = (memory(1000), Arc::new(Shelf::default()));
        let written =
            router(&memory, Some(&shelf)).await.letter(Pending::default(), letter(payload, own)).write().await;
        assert!(matches!(written, Publication::Durable));
        assert_eq!(shelf.kept.lock().unwrap().len(), kept, "{payload} bytes of payload, {own} of headers");
        let letters = read(&memory).await;
        assert_eq!((letters.len(), is_spilled(&letters[0].headers)), (1, kept > 0));
        let restored = restore(letters[0].clone(), &*shelf).await.unwrap();
        assert_eq!((restored.payload, restored.key), (letter(payload, own).payload, letter(payload, own).key));
        assert_eq!(restored.headers.get("own"), letter(payload, own).headers.get("own"));
    }
}

#[tokio::test]
async fn without_a_store_the_letter_waits_and_the_reason_names_the_remedy() {
    let memory = memory(1000);
    let (rest, reason) =
        unavailable(router(&memory, None).await.letter(Pending::default(), letter(2000, 0)).write().await);
    assert!(reason.contains("topic dlq") && reason.contains("`dead_letter.spill`"), "{reason}");
    assert_eq!((rest.size() > 2000, read(&memory).await.len()), (true, 0));
}

#[tokio::test]
async fn a_letter_waits_for_its_store_and_is_written_once_that_is_back() {
    let (memory, shelf) = (memory(1000), Arc::new(Shelf::default()));
    *shelf.trouble.lock().unwrap() = Some("down".into());
    let pending = router(&memory, Some(&shelf)).await.letter(Pending::default(), letter(2000, 0));
    let (rest, reason) = unavailable(pending.write().await);
    assert!(reason.contains("shelf/dead-letters/p/m-1/payload-") && reason.contains("down"), "{reason}");
    *shelf.trouble.lock().unwrap() = None;
    assert!(matches!(rest.write().await, Publication::Durable));
    assert_eq!(read(&memory).await.len(), 1);
}

#[tokio::test]
async fn what_does_not_fit_even_so_waits_and_is_not_skipped() {
    let (memory, shelf) = (memory(10), Arc::new(Shelf::default()));
    let pending = router(&memory, Some(&shelf)).await.letter(Pending::default(), letter(2000, 2000));
    let (rest, reason) = unavailable(pending.write().await);
    assert!(reason.contains("nothing more of it can be spilled"), "{reason}");
    memory.refuse_larger("dlq", Some(1000));
    assert!(matches!(rest.write().await, Publication::Durable));
    assert!(restore(read(&memory).await[0].clone(), &*shelf).await.is_ok());
}

#[tokio::test]
async fn a_parked_message_that_is_too_large_travels_spilled_and_without_a_store_is_refused() {
    let (memory, shelf) = (memory(1000), Arc::new(Shelf::default()));
    memory.refuse_larger("retry", Some(1000));
    let parked = |router: Router| router.parked(|_| letter(2000, 10)).unwrap();
    let refused = parked(router(&memory, None).await).write().await;
    assert!(matches!(refused, Publication::Refused { reason, .. } if reason.contains("`dead_letter.spill`")));
    assert!(matches!(parked(router(&memory, Some(&shelf)).await).write().await, Publication::Durable));
    let retry = memory.read(&Partition::new("retry", 0), Position(0), 10).await.unwrap();
    assert_eq!(restore(retry[0].clone(), &*shelf).await.unwrap().payload, letter(2000, 10).payload);
}

#[tokio::test]
async fn an_emission_is_never_spilled() {
    let (memory, shelf) = (memory(1000), Arc::new(Shelf::default()));
    let mut router = router(&memory, Some(&shelf)).await;
    router.outputs = [("out".to_owned(), Route::Topic(memory.sink("dlq").await.unwrap()))].into();
    let partition = Partition::new("in", 0);
    let enqueued = crate::model::Timestamp(0);
    let origin = crate::model::Origin { transport: "bus".into(), partition, position: Position(0), enqueued };
    let id = MessageId::given("m");
    let message = Message { id, origin, key: None, headers: Headers::default(), payload: Bytes::new() };
    let payload = Bytes::from(vec![0; 2000]);
    let emission = Emission { output: "out".into(), key: None, headers: Headers::default(), payload };
    let written = router.emissions(&message, vec![emission]).write().await;
    assert!(matches!(written, Publication::Refused { reason, .. } if !reason.contains("spill")));
    assert!(shelf.kept.lock().unwrap().is_empty());
}
