//! Senders: batches, keys, limits and outcomes.

use eventhubs_emulator::{FailSends, Faults};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::transport::event_hubs::message::partition_key;

/// How often something is given up.
const ROUNDS: usize = 1000;

async fn sender(client: &Client, partition: Option<u32>) -> Sender {
    in_time("a sender", client.sender("orders", partition)).await.unwrap()
}

fn held(scene: &Scene) -> i64 {
    ["0", "1"].into_iter().map(|partition| scene.emulator.extent("orders", partition).unwrap().last_sequence + 1).sum()
}

#[tokio::test]
async fn a_batch_comes_whole_and_in_order_with_keys_and_headers() {
    let scene = Scene::new().await;
    let client = scene.client();
    let mut headers = crate::model::Headers::default();
    headers.push("kind", b"order".to_vec());
    let key = partition_key(b"claim-7");
    let records: Vec<Record> = (0..100)
        .map(|number| Record {
            key: Some("claim-7".into()),
            headers: headers.clone(),
            payload: format!("{number}").into(),
            partition: None,
        })
        .collect();
    let events = records.iter().map(|record| event(record, Some(&key)).unwrap()).collect();
    in_time("an outcome", sender(&client, None).await.send(events, Some(&key))).await.unwrap();
    let partition =
        (0..2).find(|at| scene.emulator.extent("orders", &at.to_string()).unwrap().last_sequence >= 0).unwrap();
    let mut receiver = in_time("a receiver", client.receiver(&wanted(partition, From::Earliest))).await.unwrap();
    let place = crate::model::Partition::new("orders", partition);
    for (event, record) in receive(&mut receiver, 100).await.into_iter().zip(records) {
        let read = message(&"bus".into(), "orders", &place, event);
        assert_eq!((read.key, read.headers, read.payload), (record.key, record.headers, record.payload));
    }
}

#[tokio::test]
async fn many_batches_are_on_their_way_at_once_and_stand_in_order() {
    let scene = Scene::new().await;
    let client = scene.client();
    scene.emulator.set_faults(Faults { settle_ms: 50, ..Faults::default() });
    let sender = sender(&client, Some(0)).await;
    let sends = (0..50).map(|number: usize| sender.send(vec![encoded(number.to_string())], None));
    for sent in in_time("all outcomes", join_all(sends)).await {
        sent.unwrap();
    }
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(payloads(receive(&mut receiver, 50).await), expected);
}

#[tokio::test]
async fn a_batch_as_large_as_the_limit_is_taken_and_a_larger_one_is_not_sent() {
    let scene = Scene::new().await;
    let client = scene.client();
    let sender = sender(&client, None).await;
    let key = "k".repeat(128);
    let record = |size: usize| Record { payload: vec![b'x'; size].into(), ..Record::default() };
    let around = event(&record(1000), Some(&key)).unwrap().len() - 1000;
    let fill = |total: usize| {
        let mut left = total;
        let mut events = Vec::new();
        while left > 0 {
            let take = left.min(100_000);
            let encoded = event(&record(take.saturating_sub(around + 20)), Some(&key)).unwrap();
            left = left.saturating_sub(encoded.len().max(1));
            events.push(encoded);
            if left < 500 {
                break;
            }
        }
        events
    };
    let events = fill(sender.limit());
    let size: usize = events.iter().map(Encoded::len).sum();
    assert!(size <= sender.limit() && sender.limit() - size < 1000, "{size} of {}", sender.limit());
    in_time("an outcome", sender.send(events, Some(&key))).await.unwrap();
    let before = held(&scene);
    let failure = in_time("an outcome", sender.send(vec![encoded(vec![0; 1 << 20])], None)).await.unwrap_err();
    assert!(matches!(failure, Failure::TooLarge(_)), "{failure}");
    assert_eq!(held(&scene), before);
}

#[tokio::test]
async fn a_batch_that_is_refused_is_told_in_the_service_s_words_and_the_next_is_sent() {
    let scene = Scene::new().await;
    let client = scene.client();
    let sender = sender(&client, None).await;
    for (condition, transient) in [
        ("com.microsoft:server-busy", true),
        ("amqp:internal-error", true),
        ("amqp:not-allowed", false),
        ("amqp:link:message-size-exceeded", false),
    ] {
        let fail_sends = Some(FailSends { count: 1, condition: condition.to_owned() });
        scene.emulator.set_faults(Faults { fail_sends, ..Faults::default() });
        let failure = in_time("an outcome", sender.send(vec![encoded("x")], None)).await.unwrap_err();
        assert_eq!(failure.told().condition.as_deref(), Some(condition));
        assert_eq!(failure.is_transient(), transient, "{failure}");
        in_time("an outcome", sender.send(vec![encoded("y")], None)).await.unwrap();
    }
    assert_eq!(held(&scene), 4);
}

#[tokio::test]
async fn a_busy_service_says_how_long_it_is_to_be_left_alone() {
    let scene = Scene::new().await;
    let client = scene.client();
    let sender = sender(&client, None).await;
    scene.emulator.set_faults(Faults { server_busy: true, ..Faults::default() });
    let failure = in_time("an outcome", sender.send(vec![encoded("x")], None)).await.unwrap_err();
    assert_eq!(failure.after(), Some(Duration::from_secs(4)), "{failure}");
}

#[tokio::test]
async fn a_partition_that_is_not_there_is_told() {
    let scene = Scene::new().await;
    let Err(failure) = in_time("a sender", scene.client().sender("orders", Some(9))).await else { panic!("attached") };
    assert!(matches!(failure, Failure::NotAllowed(_)), "{failure}");
}

/// Whatever is dropped half-way ends in order: else the connection ends, and with it what others have under way there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_half_way_breaks_nothing_beside_it() {
    let scene = Scene::new().await;
    let client = scene.client();
    let beside = sender(&client, None).await;
    let connection = client.0.shared.lock().await.clone().unwrap();
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..ROUNDS {
        let (asking, opening) = (client.clone(), client.clone());
        let sends = random.random_range(0..40);
        let given_up = [
            tokio::spawn(async move { drop(asking.partition("orders", 0).await) }),
            tokio::spawn(async move {
                let sender = sender(&opening, Some(1)).await;
                drop(join_all((0..sends).map(|_| sender.send(vec![encoded("given up")], None))).await);
            }),
        ];
        for task in given_up {
            for _ in 0..random.random_range(0..4) {
                in_time("an outcome", beside.send(vec![encoded("beside")], None)).await.unwrap();
            }
            task.abort();
        }
        in_time("an outcome", beside.send(vec![encoded("beside")], None)).await.unwrap();
        assert!(!connection.is_over(), "the connection is over in round {round}");
    }
}
