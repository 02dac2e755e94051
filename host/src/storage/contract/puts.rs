//! One put after another.

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{LARGE, Suite, chunked, noise, sha256, whole};
use crate::storage::{PutOptions, Replace, StoreError};

impl Suite {
    pub(super) async fn what_is_put_is_found(&self) {
        let (path, bytes) = (self.path("found/a.pdf"), noise(1, 10_000));
        let options = PutOptions { content_type: Some("application/pdf".to_owned()), ..PutOptions::default() };
        let stored = self.put(&path, whole(&bytes), &options).await.unwrap();
        assert_eq!((stored.size, stored.sha256.as_str()), (10_000, sha256(&bytes).as_str()));
        self.stands(&path, &bytes).await;
        let stat = self.stat(&path).await.unwrap();
        assert_eq!(stat, stored);
        assert!(stat.content_type.is_none_or(|kept| kept == "application/pdf"));
    }

    pub(super) async fn nothing_is_found_where_nothing_is(&self) {
        let beside = self.path("nothing/there");
        self.put_bytes(&beside, &noise(2, 10), Replace::Refuse).await.unwrap();
        for name in ["nothing/here", "nothing", "nothing/there/below", "never/a/folder"] {
            self.nothing_stands(&self.path(name)).await;
        }
    }

    pub(super) async fn paths_may_hold_any_text(&self) {
        let long = "n".repeat(255);
        let names = [
            "übung/größe ½.txt",
            "a b/c  d",
            "日本語/文書",
            "100%/50%25.txt",
            "q?x=1&y#z",
            "~a'(b)[c]{d};e,f@g$h!i+j=k^l`m\"n<o>p|q*r",
            &long,
        ];
        for (seed, name) in names.into_iter().enumerate() {
            let (path, bytes) = (self.path(&format!("names/{name}")), noise(100 + seed as u64, 50));
            self.put_bytes(&path, &bytes, Replace::Refuse).await.unwrap_or_else(|error| panic!("{path}: {error}"));
            self.stands(&path, &bytes).await;
        }
    }

    pub(super) async fn an_empty_blob_is_a_blob(&self) {
        for (name, source) in [("empty/no-chunk", stream::empty().boxed()), ("empty/one-chunk", whole(&Bytes::new()))] {
            let path = self.path(name);
            assert_eq!(self.put(&path, source, &PutOptions::default()).await.unwrap().size, 0);
            self.stands(&path, &Bytes::new()).await;
            self.put_bytes(&path, &Bytes::new(), Replace::Refuse).await.unwrap();
            let refused = self.put_bytes(&path, &noise(3, 1), Replace::Refuse).await;
            assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
        }
    }

    pub(super) async fn a_large_body_arrives_whole_from_odd_chunks(&self) {
        let (path, bytes) = (self.path("large/odd"), noise(4, (20 << 20) + 3));
        let source = chunked(&bytes, &[1, 7, 0, 4095, 65_537, (1 << 20) + 3, (5 << 20) + 1]);
        let options = PutOptions { content_type: Some("video/mp4".to_owned()), ..PutOptions::default() };
        let stored = self.put(&path, source, &options).await.unwrap();
        assert_eq!((stored.size, stored.sha256.as_str()), (bytes.len() as u64, sha256(&bytes).as_str()));
        self.stands(&path, &bytes).await;
        let stat = self.stat(&path).await.unwrap();
        assert_eq!(stat, stored);
        assert!(stat.content_type.is_none_or(|kept| kept == "video/mp4"));
    }

    pub(super) async fn identical_content_is_already_there(&self) {
        for (name, length) in [("same/small", 1000), ("same/large", LARGE)] {
            let (path, bytes) = (self.path(name), noise(5, length));
            let first = self.put_bytes(&path, &bytes, Replace::Refuse).await.unwrap();
            assert_eq!(self.put_bytes(&path, &bytes, Replace::Refuse).await.unwrap(), first, "{path}");
            self.stands(&path, &bytes).await;
        }
    }

    pub(super) async fn different_content_is_a_conflict(&self) {
        let lengths = [(1000, 1000), (1000, 999), (1000, LARGE), (LARGE, 1000), (LARGE, LARGE)];
        for (case, (standing, coming)) in lengths.into_iter().enumerate() {
            let (path, first) = (self.path(&format!("conflict/{case}")), noise(6, standing));
            let stored = self.put_bytes(&path, &first, Replace::Refuse).await.unwrap();
            let refused = self.put_bytes(&path, &noise(7, coming), Replace::Refuse).await;
            assert_eq!(refused, Err(StoreError::Conflict { path: path.clone(), stored }));
            self.stands(&path, &first).await;
        }
    }

    pub(super) async fn overwrite_replaces(&self) {
        let path = self.path("overwrite");
        for (seed, length) in [(8, 1000), (9, 500), (10, LARGE), (11, LARGE), (12, 0), (13, 1000), (13, 1000)] {
            let bytes = noise(seed, length);
            self.put_bytes(&path, &bytes, Replace::Overwrite).await.unwrap();
            self.stands(&path, &bytes).await;
        }
    }

    pub(super) async fn a_failing_source_leaves_what_stood_there(&self) {
        for length in [0, 1000, LARGE] {
            let failing = || {
                let failure = stream::iter([Err("the origin went away".to_owned())]);
                chunked(&noise(14, length), &[100_000]).chain(failure).boxed()
            };
            let failed = Err(StoreError::Source("the origin went away".to_owned()));
            let path = self.path(&format!("failing/{length}"));
            assert_eq!(self.put(&path, failing(), &PutOptions::default()).await, failed);
            self.nothing_stands(&path).await;

            let old = noise(15, 700);
            self.put_bytes(&path, &old, Replace::Refuse).await.unwrap();
            let overwrite = PutOptions { replace: Replace::Overwrite, ..PutOptions::default() };
            assert_eq!(self.put(&path, failing(), &overwrite).await, failed);
            self.stands(&path, &old).await;
        }
    }

    pub(super) async fn a_body_above_the_limit_is_refused_early(&self) {
        for limit in [0, 10, LARGE as u64] {
            let path = self.path(&format!("limit/{limit}"));
            let options = PutOptions { max_bytes: Some(limit), ..PutOptions::default() };
            let endless = stream::repeat(Ok(noise(16, 70_000))).boxed();
            assert_eq!(self.put(&path, endless, &options).await, Err(StoreError::TooLarge { limit }));
            let announced = PutOptions { expected_bytes: Some(limit + 1), ..options.clone() };
            let silent = stream::pending().boxed();
            assert_eq!(self.put(&path, silent, &announced).await, Err(StoreError::TooLarge { limit }));
            self.nothing_stands(&path).await;
            let bytes = noise(17, usize::try_from(limit).unwrap());
            self.put(&path, whole(&bytes), &options).await.unwrap();
            self.stands(&path, &bytes).await;
        }
    }

    pub(super) async fn a_body_of_another_size_is_refused(&self) {
        for length in [0, 1000, LARGE] {
            let (path, bytes) = (self.path(&format!("expected/{length}")), noise(18, length));
            let expecting = |bytes: usize| PutOptions { expected_bytes: Some(bytes as u64), ..PutOptions::default() };
            for expected in [length + 1, length.saturating_sub(1), length * 2] {
                if expected != length {
                    let refused = self.put(&path, chunked(&bytes, &[4000]), &expecting(expected)).await;
                    assert!(matches!(refused, Err(StoreError::Source(_))), "{length} for {expected}: {refused:?}");
                }
            }
            self.nothing_stands(&path).await;
            self.put(&path, chunked(&bytes, &[4000]), &expecting(length)).await.unwrap();
            self.stands(&path, &bytes).await;
        }
    }

    pub(super) async fn what_is_deleted_is_gone_and_may_be_deleted_again(&self) {
        for (name, length) in [("deleted/small", 100), ("deleted/large", LARGE)] {
            let (path, bytes) = (self.path(name), noise(19, length));
            self.store.delete(&path).await.unwrap();
            self.put_bytes(&path, &bytes, Replace::Refuse).await.unwrap();
            self.store.delete(&path).await.unwrap();
            self.nothing_stands(&path).await;
            self.store.delete(&path).await.unwrap();
            let other = noise(20, length);
            self.put_bytes(&path, &other, Replace::Refuse).await.unwrap();
            self.stands(&path, &other).await;
        }
        self.store.delete(&self.path("deleted")).await.unwrap();
        self.store.delete(&self.path("never/a/folder/x")).await.unwrap();
    }
}
