//! `keyvalue`: in the contract, but granted by no spec of this version, so every call is denied.

use wasmtime::component::{Accessor, HasSelf};

use super::{State, call_of};
use crate::plugin::bindings::keyvalue::{self, Entry, Error};

impl keyvalue::Host for State {}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

fn denied<T>(accessor: &Accessor<State, HasSelf<State>>, import: &'static str, store: &str) -> Answer<T> {
    call_of(accessor, import)?;
    Ok(Err(Error::Denied(format!("key-value store `{store}` is not granted: this host grants none"))))
}

impl keyvalue::HostWithStore<State> for HasSelf<State> {
    async fn get(accessor: &Accessor<State, Self>, store: String, _: String) -> Answer<Option<Entry>> {
        denied(accessor, "keyvalue.get", &store)
    }

    async fn set(accessor: &Accessor<State, Self>, store: String, _: String, _: Vec<u8>, _: Option<u64>) -> Answer<()> {
        denied(accessor, "keyvalue.set", &store)
    }

    async fn put_if_absent(
        accessor: &Accessor<State, Self>,
        store: String,
        _: String,
        _: Vec<u8>,
        _: Option<u64>,
    ) -> Answer<bool> {
        denied(accessor, "keyvalue.put-if-absent", &store)
    }

    async fn compare_and_set(
        accessor: &Accessor<State, Self>,
        store: String,
        _: String,
        _: u64,
        _: Vec<u8>,
        _: Option<u64>,
    ) -> Answer<bool> {
        denied(accessor, "keyvalue.compare-and-set", &store)
    }

    async fn delete(accessor: &Accessor<State, Self>, store: String, _: String) -> Answer<()> {
        denied(accessor, "keyvalue.delete", &store)
    }
}
