//! Puts while something else goes on.

use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{LARGE, Suite, chunked, noise, sha256, whole};
use crate::model::Progress;
use crate::storage::{BlobPath, BlobStore, PutOptions, Replace, Source, StoreError, Stored};

/// Puts at once.
const PUTS: u64 = 6;
/// Times that small puts meet.
const ROUNDS: usize = 40;

type Answer = Result<Stored, StoreError>;

impl Suite {
    fn put_apart(&self, path: &BlobPath, source: Source, replace: Replace) -> JoinHandle<Answer> {
        put_apart(&self.store, path, source, replace)
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
            let puts = (0..PUTS).map(|nth| put_apart(self.host(nth), &path, whole(&bytes), Replace::Refuse));
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
            let answers = self.put_all_at_once(&path, length, |_| Replace::Refuse).await;
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
            let answers = self.put_all_at_once(&path, length, |_| Replace::Overwrite).await;
            assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{path}: {answers:?}");
            let (_, left) = self.read(&path).await;
            assert!(answers.iter().any(|(bytes, _)| *bytes == left), "{path} is none of what was put");
            self.stands(&path, &left).await;
        }
    }

    pub(super) async fn puts_that_overwrite_beside_ones_that_do_not_leave_one_of_them(&self) {
        for (round, length) in iter::repeat_n(2000, ROUNDS).chain([LARGE]).enumerate() {
            let path = self.path(&format!("at-once/both/{round}"));
            let overwrites = |put: u64| put.is_multiple_of(3);
            let replace = |put| if overwrites(put) { Replace::Overwrite } else { Replace::Refuse };
            let answers = self.put_all_at_once(&path, length, replace).await;
            let hashes: Vec<String> = answers.iter().map(|(bytes, _)| sha256(bytes)).collect();
            for (put, (_, answer)) in answers.iter().enumerate() {
                match answer {
                    Ok(stored) => assert_eq!(Some(&stored.sha256), hashes.get(put), "{path}"),
                    Err(StoreError::Conflict { stored, .. }) if !overwrites(put as u64) => {
                        assert!(hashes.contains(&stored.sha256), "{path} was none of what was put");
                    }
                    Err(error) => panic!("{path}: {error}"),
                }
            }
            let (_, left) = self.read(&path).await;
            let index = hashes.iter().position(|hash| *hash == sha256(&left));
            assert!(index.is_some_and(|put| answers.get(put).unwrap().1.is_ok()), "{path}: what stands was refused");
        }
    }

    pub(super) async fn a_reader_beside_writers_sees_one_of_them_whole(&self) {
        let (path, bodies) = (self.path("at-once/read"), [noise(50, 700_000), noise(51, 400_000)]);
        self.put_bytes(&path, &bodies[0], Replace::Refuse).await.unwrap();
        let writers = bodies.iter().zip([&self.store, &self.other]).map(|(body, store)| {
            let (store, path, body) = (Arc::clone(store), path.clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    put_apart(&store, &path, chunked(&body, &[60_000]), Replace::Overwrite).await.unwrap().unwrap();
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        while !writers.iter().all(JoinHandle::is_finished) {
            // A store in memory never waits, and the writers may share its thread.
            tokio::task::yield_now().await;
            // A store may break a read off when the blob changes; what it must not do is to hand out a mixture.
            let Ok((_, source)) = self.store.open(&path).await else { continue };
            let chunks: Result<Vec<Bytes>, String> = source.try_collect().await;
            let Ok(chunks) = chunks else { continue };
            assert!(bodies.iter().any(|body| *body == chunks.concat()), "{path} is none of what was put");
        }
        future::try_join_all(writers).await.unwrap();
    }

    /// One or the other, in turn.
    fn host(&self, put: u64) -> &Arc<dyn BlobStore> {
        if put.is_multiple_of(2) { &self.store } else { &self.other }
    }

    async fn put_all_at_once(
        &self,
        path: &BlobPath,
        length: usize,
        replace: impl Fn(u64) -> Replace,
    ) -> Vec<(Bytes, Answer)> {
        let bodies: Vec<Bytes> = (0..PUTS).map(|put| noise(40 + put, length)).collect();
        let puts = (0..).zip(&bodies).map(|(put, bytes)| put_apart(self.host(put), path, whole(bytes), replace(put)));
        let puts: Vec<_> = puts.collect();
        let answers = future::join_all(puts).await.into_iter().map(Result::unwrap);
        bodies.iter().cloned().zip(answers).collect()
    }
}

fn put_apart(store: &Arc<dyn BlobStore>, path: &BlobPath, source: Source, replace: Replace) -> JoinHandle<Answer> {
    let (store, path) = (Arc::clone(store), path.clone());
    tokio::spawn(async move {
        let options = PutOptions { replace, ..PutOptions::default() };
        store.put(&path, source, &options, &Progress::new()).await
    })
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
