//! `timers`: waiting without holding a thread. A sleep is the guest's own wish, so it never counts as a stall.

use std::time::Duration;

use wasmtime::component::{Accessor, HasSelf};

use super::{State, call_of};
use crate::plugin::bindings::timers;

impl timers::Host for State {}

impl timers::HostWithStore<State> for HasSelf<State> {
    async fn sleep(accessor: &Accessor<State, Self>, ms: u32) -> wasmtime::Result<()> {
        let call = call_of(accessor, "timers.sleep")?;
        let (_paused, _under_way) = (call.progress.pause(), call.progress.host_call());
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
        Ok(())
    }
}
