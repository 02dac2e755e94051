//! SIGTERM and Ctrl-C. They are heard in a task of their own, whatever the command waits for.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// Exit code after a second signal, as shells tell an interrupt.
const INTERRUPTED: i32 = 130;

/// Whether the first signal has come. A second one ends the process at once.
pub(super) struct Signals(watch::Receiver<bool>);

impl Signals {
    /// Hears signals from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (tell, told) = watch::channel(false);
        tokio::spawn(hear(terminate, interrupt, tell));
        Ok(Self(told))
    }

    /// Waits for the first signal; ends at once when it has come already.
    pub(super) async fn told(&mut self) {
        if self.0.wait_for(|told| *told).await.is_err() {
            std::future::pending().await
        }
    }

    /// What `work` gives; none when a signal comes first, and `work` is dropped then.
    pub(super) async fn unless_told<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.told() => None,
            done = work => Some(done),
        }
    }
}

async fn hear(mut terminate: Signal, mut interrupt: Signal, tell: watch::Sender<bool>) {
    either(&mut terminate, &mut interrupt).await;
    info!("told to stop: what runs may finish");
    tell.send_replace(true);
    either(&mut terminate, &mut interrupt).await;
    warn!("told to stop again: ends at once; what was not settled runs again");
    std::process::exit(INTERRUPTED);
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
impl Signals {
    /// Signals that a test gives.
    pub(super) fn by_hand() -> (watch::Sender<bool>, Self) {
        let (tell, told) = watch::channel(false);
        (tell, Self(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_ends_what_waits_for_ever() {
        let (tell, mut signals) = Signals::by_hand();
        assert_eq!(signals.unless_told(async { 7 }).await, Some(7));
        tell.send_replace(true);
        assert_eq!(signals.unless_told(std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn without_a_listener_no_signal_is_made_up() {
        let (_, mut signals) = Signals::by_hand();
        assert_eq!(signals.unless_told(tokio::task::yield_now()).await, Some(()));
    }
}
