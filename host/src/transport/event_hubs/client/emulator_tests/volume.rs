//! Many and large events: that all come, in order, and that no more wait than the bytes that were said.

use super::*;

async fn fill(client: &Client, partition: u32, count: usize, size: usize) {
    let sender = in_time("a sender", client.sender("orders", Some(partition))).await.unwrap();
    let event = encoded(vec![b'x'; size]);
    let per_batch = (sender.limit() / event.len()).clamp(1, 500);
    let mut left = count;
    while left > 0 {
        let take = left.min(per_batch);
        in_time("an outcome", sender.send(vec![event.clone(); take], None)).await.unwrap();
        left -= take;
    }
}

async fn all_in_order(client: &Client, partition: u32, count: usize, bytes: u64) {
    let wanted = Wanted { bytes, ..wanted(partition, From::Earliest) };
    let mut receiver = in_time("a receiver", client.receiver(&wanted)).await.unwrap();
    let mut next = 0;
    while next < i64::try_from(count).unwrap() {
        for event in in_time("an event", receiver.next(1000, bytes)).await.unwrap() {
            assert_eq!(event.place.position.0, next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn many_small_events_come_in_order() {
    let scene = Scene::new().await;
    let client = scene.client();
    fill(&client, 0, 20_000, 1000).await;
    all_in_order(&client, 0, 20_000, 1 << 20).await;
    all_in_order(&client, 0, 20_000, 1).await;
}

#[tokio::test]
async fn large_events_after_small_ones_come_in_order() {
    let scene = Scene::new().await;
    let client = scene.client();
    fill(&client, 0, 3000, 100).await;
    fill(&client, 0, 40, 900_000).await;
    fill(&client, 0, 3000, 100).await;
    all_in_order(&client, 0, 6040, 1 << 20).await;
}
