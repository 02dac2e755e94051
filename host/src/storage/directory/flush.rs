//! Makes a large draft durable while it is written: at most one step at a time, and no more is written once too much
//! waits for it.

use tokio::task::JoinHandle;

use super::draft::{Draft, Due};
use super::{joined, start};
use crate::storage::StoreError;

/// The step that is under way, if one is. Dropped, the step goes on to its end by itself.
#[derive(Default)]
pub(super) struct Flush(Option<JoinHandle<Result<(), StoreError>>>);

impl Flush {
    /// Something was written: begins a step when one is due, and waits for the one before only when it must.
    pub(super) async fn go_on(&mut self, draft: &mut Draft) -> Result<(), StoreError> {
        let must_begin = match draft.due() {
            Due::Later => false,
            Due::Now => self.0.as_ref().is_none_or(JoinHandle::is_finished),
            Due::First => true,
        };
        if must_begin {
            self.end().await?;
            self.0 = Some(start(draft.sync()?));
        }
        Ok(())
    }

    /// Waits for the step that is under way: no later one would tell that it failed.
    pub(super) async fn end(&mut self) -> Result<(), StoreError> {
        match self.0.take() {
            Some(step) => joined(step).await,
            None => Ok(()),
        }
    }
}
