//! What `wit/` says, as Rust. Nothing but [`crate::host`] and [`crate::export!`] reads it.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "worker",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "lockgate_plugin::bindings",
});
