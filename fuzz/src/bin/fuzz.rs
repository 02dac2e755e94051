//! The program that libFuzzer drives. The variable `LOCKGATE_FUZZ` says which target it runs; `cargo xtask fuzz` sets it.

#![no_main]

use std::sync::LazyLock;

use lockgate_fuzz::{Target, VARIABLE, target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        eprintln!("error: {VARIABLE} names no target: `{name}`");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(
    init: {
        LazyLock::force(&CHOSEN);
    },
    |data: &[u8]| {
        (CHOSEN.run)(data);
    }
);
