//! Receivers: where they begin, what they hand out, and who takes a partition from whom.

use eventhubs_emulator::config::DEFAULT_GROUP;

use super::*;
use crate::model::Timestamp;

async fn open(client: &Client, wanted: &Wanted) -> Result<Receiver, Failure> {
    in_time("a receiver", client.receiver(wanted)).await
}

async fn first(client: &Client, from: From) -> String {
    let mut receiver = open(client, &wanted(0, from)).await.unwrap();
    payloads(receive(&mut receiver, 1).await).remove(0)
}

#[tokio::test]
async fn a_receiver_begins_where_it_is_said() {
    let scene = Scene::new().await;
    let client = scene.client();
    send(&client, 0, 0..5).await;
    assert_eq!(first(&client, From::Earliest).await, "0");
    assert_eq!(first(&client, From::After(Position(2))).await, "3");
    assert_eq!(first(&client, From::Since(Timestamp(0))).await, "0");
    let mut receiver = open(&client, &wanted(0, From::Earliest)).await.unwrap();
    let time = receive(&mut receiver, 5).await.pop().unwrap().place.enqueued;
    let since = first(&client, From::Since(time)).await;
    assert!(since.parse::<usize>().unwrap() < 5, "{since}");
    let mut end = open(&client, &wanted(0, From::After(Position(4)))).await.unwrap();
    let mut now = open(&client, &wanted(0, From::Now)).await.unwrap();
    send(&client, 0, 5..6).await;
    for receiver in [&mut end, &mut now] {
        assert_eq!(payloads(receive(receiver, 1).await), ["5"]);
    }
}

#[tokio::test]
async fn a_position_behind_the_end_is_told() {
    let scene = Scene::new().await;
    let client = scene.client();
    send(&client, 0, 0..1).await;
    let Err(failure) = open(&client, &wanted(0, From::After(Position(7)))).await else { panic!("it was attached") };
    assert!(matches!(failure, Failure::Beyond(_)), "{failure}");
}

#[tokio::test]
async fn events_tell_where_they_stand_and_where_the_partition_ends() {
    let scene = Scene::new().await;
    let client = scene.client();
    send(&client, 1, 0..3).await;
    let asks = Wanted { tells_end: true, ..wanted(1, From::Earliest) };
    let events = receive(&mut open(&client, &asks).await.unwrap(), 3).await;
    let places: Vec<i64> = events.iter().map(|event| event.place.position.0).collect();
    assert_eq!(places, [0, 1, 2]);
    assert!(events.iter().all(|event| event.end == Some(3) && event.place.offset.is_some()), "{events:?}");
    let silent = receive(&mut open(&client, &wanted(1, From::Earliest)).await.unwrap(), 1).await;
    assert_eq!(silent[0].end, None);
}

#[tokio::test]
async fn a_partition_tells_its_bounds() {
    let scene = Scene::new().await;
    let client = scene.client();
    let bounds = in_time("bounds", client.partition("orders", 0)).await.unwrap();
    assert_eq!((bounds.first, bounds.end), (0, 0));
    send(&client, 0, 0..5).await;
    scene.emulator.forget("orders", "0", 2).unwrap();
    let bounds = in_time("bounds", client.partition("orders", 0)).await.unwrap();
    assert_eq!((bounds.first, bounds.end), (2, 5));
    assert!(bounds.last_enqueued.is_some() && !bounds.last_offset.is_empty(), "{bounds:?}");
    scene.emulator.forget("orders", "0", 5).unwrap();
    let bounds = in_time("bounds", client.partition("orders", 0)).await.unwrap();
    assert_eq!((bounds.first, bounds.end), (5, 5));
}

#[tokio::test]
async fn no_more_is_handed_out_than_was_asked_for() {
    let scene = Scene::new().await;
    let client = scene.client();
    send(&client, 0, 0..20).await;
    let mut receiver = open(&client, &wanted(0, From::Earliest)).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 10 {
        let events = in_time("an event", receiver.next(3, u64::MAX)).await.unwrap();
        assert!(events.len() <= 3, "{}", events.len());
        seen.extend(payloads(events));
    }
    while seen.len() < 20 {
        let events = in_time("an event", receiver.next(100, 1)).await.unwrap();
        assert_eq!(events.len(), 1, "one is larger than a byte, and comes all the same");
        seen.extend(payloads(events));
    }
    assert_eq!(seen, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_call_that_is_dropped_loses_nothing() {
    let scene = Scene::new().await;
    let client = scene.client();
    let mut receiver = open(&client, &wanted(0, From::Earliest)).await.unwrap();
    let sends = async {
        for number in 0..30 {
            send(&client, 0, number..number + 1).await;
        }
    };
    let mut seen = Vec::new();
    let receives = async {
        while seen.len() < 30 {
            tokio::select! {
                biased;
                events = receiver.next(2, u64::MAX) => seen.extend(payloads(events.unwrap())),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    in_time("all of it", async { tokio::join!(sends, receives) }).await;
    assert_eq!(seen, (0..30).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_equal_or_higher_epoch_takes_the_partition_and_a_lower_one_does_not() {
    let scene = Scene::new().await;
    let client = scene.client();
    let with = |epoch| Wanted { epoch: Some(epoch), ..wanted(0, From::Earliest) };
    let mut first = open(&client, &with(5)).await.unwrap();
    for epoch in [5, 6] {
        let next = open(&client, &with(epoch)).await.unwrap();
        let failure = in_time("an end", first.next(1, 1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Stolen(_)), "{failure}");
        assert_eq!(first.next(1, 1).await, Err(failure), "it is told again");
        first = next;
    }
    for lower in [Some(5), None] {
        let wanted = Wanted { epoch: lower, ..with(0) };
        let Err(failure) = open(&client, &wanted).await else { panic!("it was attached") };
        assert!(matches!(failure, Failure::Stolen(_)), "{failure}");
    }
    send(&client, 0, 0..1).await;
    assert_eq!(payloads(receive(&mut first, 1).await), ["0"], "the highest one still reads");
}

#[tokio::test]
async fn what_came_before_a_partition_was_stolen_is_handed_out() {
    let scene = Scene::new().await;
    let client = scene.client();
    send(&client, 0, 0..10).await;
    let mut receiver = open(&client, &Wanted { epoch: Some(0), ..wanted(0, From::Earliest) }).await.unwrap();
    let mut seen = payloads(in_time("an event", receiver.next(1, u64::MAX)).await.unwrap());
    assert_eq!(scene.emulator.steal("orders", "g", "0").unwrap(), 1);
    let failure = loop {
        match in_time("an end", receiver.next(2, u64::MAX)).await {
            Ok(events) => seen.extend(payloads(events)),
            Err(failure) => break failure,
        }
    };
    assert!(matches!(failure, Failure::Stolen(_)), "{failure}");
    let all: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert!(all.starts_with(&seen), "{seen:?}");
}

#[tokio::test]
async fn a_partition_that_was_closed_is_free_at_once() {
    let scene = Scene::new().await;
    let client = scene.client();
    let high = Wanted { epoch: Some(9), ..wanted(0, From::Earliest) };
    in_time("its end", open(&client, &high).await.unwrap().close()).await;
    assert!(open(&client, &wanted(0, From::Earliest)).await.is_ok(), "no receiver with an epoch is left");
}

#[tokio::test]
async fn groups_are_there_or_not_whoever_reads() {
    let scene = Scene::new().await;
    let client = scene.client();
    for group in [DEFAULT_GROUP, "g"] {
        in_time("a group", client.group("orders", group)).await.unwrap();
    }
    let failure = in_time("a group", client.group("orders", "none")).await.unwrap_err();
    assert!(matches!(failure, Failure::NotFound(_)) && failure.to_string().contains("none"), "{failure}");
    let mut reader = open(&client, &Wanted { epoch: Some(0), ..wanted(0, From::Earliest) }).await.unwrap();
    in_time("a group", client.group("orders", "g")).await.unwrap();
    send(&client, 0, 0..1).await;
    assert_eq!(payloads(receive(&mut reader, 1).await), ["0"], "nothing was taken from it");
}

#[tokio::test]
async fn large_events_come_whole() {
    let scene = Scene::with(|settings| Settings { max_message_size: (8 << 20).try_into().unwrap(), ..settings }).await;
    let client = scene.client();
    let sender = in_time("a sender", client.sender("orders", Some(0))).await.unwrap();
    assert!(sender.limit() > 7 << 20);
    let sizes = [1, 16 << 10, 100_000, 1 << 20, 5 << 20, 3];
    for size in sizes {
        in_time("an outcome", sender.send(vec![encoded(vec![b'x'; size])], None)).await.unwrap();
    }
    let mut receiver = open(&client, &wanted(0, From::Earliest)).await.unwrap();
    let lengths: Vec<usize> = payloads(receive(&mut receiver, sizes.len()).await).iter().map(String::len).collect();
    assert_eq!(lengths, sizes);
}
