//! What has one destination and comes from many writers, sent together: each message that a pipeline emits is a write of its
//! own, and a batch of one event costs almost what a full one costs. The first writes go at once; what comes while they
//! are on their way waits for them and goes as one, as Nagle's algorithm (RFC 896) has it for small segments, but
//! that as much as fills a batch never waits. So there is no delay to be configured: under load batches grow, and without
//! load nothing is held back.

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::batches::Item;
use super::client::Task;
use crate::transport::WriteError;

/// Bytes that do not wait for more.
const FULL: usize = 256 << 10;
/// Sendings that are under way at once and are not full; what comes then waits for one of them.
const SMALL: usize = 2;

/// Answers, each with the number of its item.
pub(super) type Answers = Vec<(usize, Result<(), WriteError>)>;
/// Sends what goes together, in its order where that matters.
type Send<T> = Box<dyn FnMut(Vec<Item<T>>) -> BoxFuture<'static, Answers> + std::marker::Send>;

/// Takes what is to be sent to one destination. What waits there is gone when this is dropped.
pub(super) struct Gather<T> {
    writes: mpsc::UnboundedSender<Write<T>>,
    _task: Task,
}

/// What one writer wants sent: never cut in two by what another one does.
struct Write<T> {
    items: Vec<Item<T>>,
    size: usize,
    answers: oneshot::Sender<Answers>,
}

impl<T: std::marker::Send + 'static> Gather<T> {
    /// At most so many sendings are under way `at_once`, be they full or not.
    pub(super) fn new(at_once: usize, send: Send<T>) -> Self {
        // Writers wait for their answers, so as many can stand here as there are writers.
        let (writes, waiting) = mpsc::unbounded_channel();
        Self { writes, _task: Task::spawn(run(waiting, at_once, send)) }
    }

    /// Sends these, and gives their answers; none of what was never sent. When nobody waits for them any more, they
    /// are not sent unless they are on their way.
    pub(super) async fn send(&self, items: Vec<Item<T>>) -> Answers {
        let (answers, answered) = oneshot::channel();
        let size = items.iter().map(|item| item.size).sum();
        match self.writes.send(Write { items, size, answers }) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Answers::new(),
        }
    }
}

async fn run<T: std::marker::Send>(mut waiting: mpsc::UnboundedReceiver<Write<T>>, at_once: usize, mut send: Send<T>) {
    let (mut held, mut under_way) = (Held::default(), FuturesUnordered::new());
    loop {
        while !held.is_full() {
            let Ok(write) = waiting.try_recv() else { break };
            held.add(write);
        }
        let room = if held.is_full() { at_once } else { at_once.min(SMALL) };
        if under_way.len() < room && !held.writes.is_empty() {
            under_way.extend(std::mem::take(&mut held).send(&mut send));
            continue;
        }
        tokio::select! {
            Some(()) = under_way.next() => {}
            write = waiting.recv(), if !held.is_full() => match write {
                Some(write) => held.add(write),
                None => return,
            },
        }
    }
}

/// Writes that go together.
struct Held<T> {
    writes: Vec<Write<T>>,
    size: usize,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { writes: Vec::new(), size: 0 }
    }
}

impl<T> Held<T> {
    fn is_full(&self) -> bool {
        self.size >= FULL
    }

    fn add(&mut self, write: Write<T>) {
        self.size += write.size;
        self.writes.push(write);
    }

    /// Sends them as one, and tells each writer what became of its own; none where nobody waits any more.
    fn send(self, send: &mut Send<T>) -> Option<impl Future<Output = ()> + use<T>> {
        let (mut items, mut places, mut writers) = (Vec::new(), Vec::new(), Vec::new());
        for write in self.writes.into_iter().filter(|write| !write.answers.is_closed()) {
            for item in write.items {
                places.push((writers.len(), item.index));
                items.push(Item { index: items.len(), ..item });
            }
            writers.push((write.answers, Answers::new()));
        }
        let sent = (!writers.is_empty()).then(|| send(items))?;
        Some(async move {
            for (index, answer) in sent.await {
                let Some(&(writer, index)) = places.get(index) else { continue };
                writers.iter_mut().skip(writer).take(1).for_each(|(_, own)| own.push((index, answer.clone())));
            }
            for (writer, own) in writers {
                // It may have gone meanwhile.
                let _ = writer.send(own);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::FutureExt;
    use futures::future::{join, join_all};
    use tokio::sync::Semaphore;

    use super::*;

    fn item(index: usize, size: usize, event: &'static str) -> Item<&'static str> {
        Item { index, size, event }
    }

    /// What is sent, in its order.
    type Sent = Arc<Mutex<Vec<Vec<&'static str>>>>;

    /// A gatherer that sends once it is let.
    fn gather(at_once: usize) -> (Gather<&'static str>, Arc<Semaphore>, Sent) {
        let (gate, sent) = (Arc::new(Semaphore::new(0)), Sent::default());
        let (passing, seen) = (gate.clone(), sent.clone());
        let send = move |items: Vec<Item<&'static str>>| {
            seen.lock().unwrap().push(items.iter().map(|item| item.event).collect());
            let passing = passing.clone();
            async move {
                passing.acquire().await.unwrap().forget();
                let answer = |item: &Item<&'static str>| match item.event {
                    "bad" => Err(WriteError::Refused { topic: "t".into(), reason: "bad".into() }),
                    _ => Ok(()),
                };
                items.iter().map(|item| (item.index, answer(item))).collect()
            }
            .boxed()
        };
        (Gather::new(at_once, Box::new(send)), gate, sent)
    }

    /// Lets everything go as far as it can.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_comes_while_others_are_on_their_way_goes_as_one() {
        let (gather, gate, sent) = gather(64);
        let write = async |event| gather.send(vec![item(0, 10, event)]).await;
        let then = async |event| {
            settle().await;
            write(event).await
        };
        let watched = async {
            let late = async {
                settle().await;
                settle().await;
                join(join(write("c"), write("d")), write("e")).await
            };
            let judged = async {
                for _ in 0..4 {
                    settle().await;
                }
                assert_eq!(*sent.lock().unwrap(), [["a"], ["b"]]);
                gate.add_permits(1);
                settle().await;
                assert_eq!(*sent.lock().unwrap(), [vec!["a"], vec!["b"], vec!["c", "d", "e"]]);
                gate.add_permits(2);
            };
            join(late, judged).await
        };
        join(join(write("a"), then("b")), watched).await;
    }

    #[tokio::test]
    async fn what_fills_a_batch_does_not_wait() {
        let (gather, gate, sent) = gather(4);
        let write = async |event, size| gather.send(vec![item(0, size, event)]).await;
        let judged = async {
            settle().await;
            assert_eq!(*sent.lock().unwrap(), [["1"], ["2"], ["3"], ["4"]], "and no more than may be under way");
            gate.add_permits(6);
        };
        let full = ["1", "2", "3", "4", "5", "6"].map(|event| write(event, FULL));
        join(join_all(full), judged).await;
        assert_eq!(sent.lock().unwrap().len(), 6);
    }

    #[tokio::test]
    async fn each_writer_gets_its_own_answers() {
        let (gather, gate, sent) = gather(64);
        gate.add_permits(1);
        let first = gather.send(vec![item(3, 10, "a"), item(7, 10, "bad")]);
        let second = gather.send(vec![item(0, 10, "b")]);
        let (first, second) = join(first, second).await;
        assert_eq!(*sent.lock().unwrap(), [["a", "bad", "b"]]);
        assert!(matches!(first.as_slice(), [(3, Ok(())), (7, Err(WriteError::Refused { .. }))]), "{first:?}");
        assert_eq!(second, [(0, Ok(()))]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_sent() {
        let (gather, gate, sent) = gather(64);
        assert!(gather.send(vec![item(0, 10, "gone")]).now_or_never().is_none());
        gate.add_permits(1);
        gather.send(vec![item(0, 10, "a")]).await;
        assert_eq!(*sent.lock().unwrap(), [["a"]]);
    }
}
