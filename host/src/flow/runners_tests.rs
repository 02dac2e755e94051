use std::future::{pending, poll_fn};
use std::num::NonZeroU32;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::AbortHandle;

use super::*;
use crate::model::{Headers, MessageId, Origin, Partition, Position, Timestamp, Verdict};

/// Does what the payload says.
struct Obedient;

#[async_trait]
impl Plugin for Obedient {
    async fn call(&self, message: Arc<Message>, _: Attempt) -> Result<Outcome, CallError> {
        match &message.payload[..] {
            b"never" => pending().await,
            b"panic" => panic!("lost at https://host/path?sig=SENTINEL"),
            _ => Ok(Outcome::of(Verdict::Done)),
        }
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

fn runners(processors: usize) -> Runners {
    Runners { processors, ..Runners::new(Arc::new(Obedient), None) }
}

fn add(runners: &mut Runners, key: usize, payload: &'static str) -> AbortHandle {
    let message = Message {
        id: MessageId::given("m"),
        origin: Origin {
            transport: "bus".into(),
            partition: Partition::new("t", 0),
            position: Position(0),
            enqueued: Timestamp(0),
        },
        key: None,
        headers: Headers::default(),
        payload: Bytes::from_static(payload.as_bytes()),
    };
    let (handle, abort) = AbortHandle::new_pair();
    let attempt = Attempt { number: NonZeroU32::MIN, left: 0 };
    runners.add(Job { key, message: Arc::new(message), attempt, abort });
    handle
}

async fn answer(runners: &mut Runners) -> (usize, Answer) {
    let answered = poll_fn(|context| runners.poll_answer(context)).await.unwrap();
    (answered.key, answered.answer)
}

fn loads(runners: &Runners) -> Vec<usize> {
    runners.runners.iter().map(|runner| runner.load).collect()
}

#[tokio::test]
async fn what_starts_together_goes_to_as_few_runners_as_keep_the_processors_busy() {
    let mut runners = runners(1);
    (0..3).for_each(|key| drop(add(&mut runners, key, "done")));
    runners.hand_over();
    assert_eq!(loads(&runners), [1, 1, 1]);
    (3..11).for_each(|key| drop(add(&mut runners, key, "done")));
    runners.hand_over();
    assert_eq!(loads(&runners), [1, 1, 1, 2, 2, 2, 2]);
    let mut ended = Vec::new();
    while ended.len() < 11 {
        ended.push(answer(&mut runners).await.0);
    }
    ended.sort_unstable();
    assert_eq!(ended, (0..11).collect::<Vec<_>>());
    assert_eq!(loads(&runners), [0; 7]);
}

#[tokio::test]
async fn there_are_no_more_runners_than_the_most_and_those_with_least_get_what_is_next() {
    let mut runners = runners(1);
    for key in 0..FEWEST {
        drop(add(&mut runners, key, "never"));
        runners.hand_over();
    }
    assert_eq!(loads(&runners), [1; FEWEST], "each call has a runner for itself");
    (0..4).for_each(|key| drop(add(&mut runners, FEWEST + key, "never")));
    runners.hand_over();
    assert_eq!((loads(&runners).len(), loads(&runners).iter().sum::<usize>()), (FEWEST, FEWEST + 4));
    assert_eq!(loads(&runners).iter().max(), Some(&2));
}

#[tokio::test]
async fn a_call_that_waits_keeps_no_other_of_its_runner() {
    let mut runners = runners(1);
    for key in 0..8 {
        drop(add(&mut runners, key, if key % 2 == 0 { "never" } else { "done" }));
    }
    runners.hand_over();
    assert_eq!(loads(&runners), [2; 4]);
    for _ in 0..4 {
        assert!(matches!(answer(&mut runners).await, (1 | 3 | 5 | 7, Answer::Called(Ok(_)))));
    }
    assert_eq!(loads(&runners), [1; 4]);
}

#[tokio::test]
async fn a_call_that_is_aborted_ends_as_that_and_the_others_of_its_runner_go_on() {
    let mut runners = runners(1);
    let aborts: Vec<AbortHandle> = (0..8).map(|key| add(&mut runners, key, "never")).collect();
    runners.hand_over();
    tokio::task::yield_now().await;
    aborts[5].abort();
    assert!(matches!(answer(&mut runners).await, (5, Answer::Aborted)));
    assert_eq!(loads(&runners).iter().sum::<usize>(), 7);
}

#[tokio::test]
async fn a_call_that_panics_says_why_without_a_secret_and_takes_no_other_with_it() {
    let mut runners = runners(1);
    for key in 0..5 {
        drop(add(&mut runners, key, if key == 0 { "panic" } else { "done" }));
    }
    runners.hand_over();
    for _ in 0..5 {
        match answer(&mut runners).await {
            (0, Answer::Panicked(words)) => {
                assert!(words.starts_with("a task panicked: lost at https://host/path"), "{words}");
                assert!(!words.contains("SENTINEL"), "{words}");
            }
            (1..5, Answer::Called(Ok(_))) => {}
            (key, _) => panic!("{key} ended otherwise"),
        }
    }
}
