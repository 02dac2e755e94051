//! Puts while something else goes on.

use std::iter;

use bytes::Bytes;
use futures::{StreamExt, future, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{LARGE, Suite, noise, whole};
use crate::model::Progress;
use crate::storage::{BlobPath, PutOptions, Replace, Source, StoreError, Stored};

/// Puts at once.
const PUTS: u64 = 6;
/// Times that small puts meet.
const ROUNDS: usize = 40;

type Answer = Result<Stored, StoreError>;

impl Suite {
    fn put_apart(&self, path: &BlobPath, source: Source, replace: Replace) -> JoinHandle<Answer> {
        let (store, path) = (self.store.clone(), path.clone());
        tokio::spawn(async move {
            let options = PutOptions { replace, ..PutOptions::default() };
            store.put(&path, source, &options, &Progress::new()).await
        })
    }

    pub(super) async fn a_blob_shows_when_it_is_whole(&self) {
        let (path, bytes) = (self.path("whole"), noise(30, LARGE));
        for replace in [Replace::Refuse, Replace::Overwrite] {
            let (sender, source) = channel();
            let put = self.put_apart(&path, source, replace);
            feed(&sender, &bytes).await;
            match replace {
                Replace::Refuse => self.nothing_stands(&path).await,
                Replace::Overwrite => self.stands(&path, &bytes).await,
            }
            let last = noise(31, 5);
            sender.send(Ok(last.clone())).await.unwrap();
            drop(sender);
            put.await.unwrap().unwrap();
            self.stands(&path, &[bytes.clone(), last].concat().into()).await;
            self.put_bytes(&path, &bytes, Replace::Overwrite).await.unwrap();
        }
    }

    pub(super) async fn a_put_that_is_dropped_leaves_what_stood_there(&self) {
        let (path, bytes) = (self.path("dropped"), noise(32, LARGE));
        for replace in [Replace::Refuse, Replace::Overwrite] {
            let (sender, source) = channel();
            let put = self.put_apart(&path, source, replace);
            feed(&sender, &bytes).await;
            put.abort();
            assert!(put.await.unwrap_err().is_cancelled());
            let old = noise(33, 100);
            if replace == Replace::Refuse {
                self.nothing_stands(&path).await;
                self.put_bytes(&path, &old, Replace::Refuse).await.unwrap();
            }
            self.stands(&path, &old).await;
        }
    }

    pub(super) async fn puts_of_the_same_content_at_once_all_succeed(&self) {
        for length in [0, 2000, LARGE] {
            let (path, bytes) = (self.path(&format!("at-once/same/{length}")), noise(34, length));
            let puts = (0..PUTS).map(|_| self.put_apart(&path, whole(&bytes), Replace::Refuse));
            for answer in future::join_all(puts).await {
                answer.unwrap().unwrap_or_else(|error| panic!("{path}: {error}"));
            }
            self.stands(&path, &bytes).await;
        }
    }

    pub(super) async fn of_puts_of_different_content_at_once_one_wins(&self) {
        // Small bodies come close enough to each other to find a look that is not one step with the naming.
        for (round, length) in iter::repeat_n(2000, ROUNDS).chain([LARGE]).enumerate() {
            let path = self.path(&format!("at-once/different/{round}"));
            let answers = self.put_all_at_once(&path, length, Replace::Refuse).await;
            let won: Vec<&Bytes> =
                answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(bytes, _)| bytes).collect();
            assert_eq!(won.len(), 1, "{path}: {} won", won.len());
            self.stands(&path, won.first().unwrap()).await;
            let winner = self.stat(&path).await.unwrap();
            for (_, answer) in answers.iter().filter(|(_, answer)| answer.is_err()) {
                assert_eq!(*answer, Err(StoreError::Conflict { path: path.clone(), stored: winner.clone() }));
            }
        }
    }

    pub(super) async fn puts_that_overwrite_at_once_leave_one_of_them(&self) {
        for length in [2000, LARGE] {
            let path = self.path(&format!("at-once/overwrite/{length}"));
            let answers = self.put_all_at_once(&path, length, Replace::Overwrite).await;
            assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{path}: {answers:?}");
            let (_, left) = self.read(&path).await;
            assert!(answers.iter().any(|(bytes, _)| *bytes == left), "{path} is none of what was put");
            self.stands(&path, &left).await;
        }
    }

    async fn put_all_at_once(&self, path: &BlobPath, length: usize, replace: Replace) -> Vec<(Bytes, Answer)> {
        let bodies: Vec<Bytes> = (0..PUTS).map(|put| noise(40 + put, length)).collect();
        let puts = bodies.iter().map(|bytes| self.put_apart(path, whole(bytes), replace));
        let answers = future::join_all(puts).await.into_iter().map(Result::unwrap);
        bodies.iter().cloned().zip(answers).collect()
    }
}

/// A source that the test feeds by hand. It holds one chunk, so that the next one is sent when it was taken.
fn channel() -> (mpsc::Sender<Result<Bytes, String>>, Source) {
    let (sender, receiver) = mpsc::channel(1);
    let source = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    (sender, source.boxed())
}

async fn feed(sender: &mpsc::Sender<Result<Bytes, String>>, bytes: &Bytes) {
    for start in (0..bytes.len()).step_by(100_000) {
        sender.send(Ok(bytes.slice(start..bytes.len().min(start + 100_000)))).await.unwrap();
    }
}
