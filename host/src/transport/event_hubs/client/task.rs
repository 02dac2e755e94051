//! A task that ends with its holder.

use tokio::task::JoinHandle;

/// Ends the task when it is dropped.
#[derive(Debug)]
pub(in crate::transport) struct Task(JoinHandle<()>);

impl Task {
    pub(in crate::transport) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Ends it now.
    pub(super) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end();
    }
}
