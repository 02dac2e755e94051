//! Files that are no plugins, and guests that misbehave before their first message: nothing of them runs, and the
//! reason names the file.

use std::fs::{self, File};
use std::process::Command;

use crafted::{Crafted, ROOM, words};

use super::*;
use crate::model::{Period, Size};
use crate::plugin::LoadError;

/// Why a file cannot be loaded, without its folder.
async fn refusal(file: &Path) -> String {
    let limits = Limits { cpu: Period::from_millis(200), ..Limits::default() };
    let engine = Engine::new(EngineSettings { slots: 1, cache: None }).unwrap();
    let refused = engine.load("probe", &Config { component: file.to_owned(), limits, ..config() }).await;
    assert_eq!(engine.living(), [0; 4], "instances, memories, tables, stacks");
    let folder = format!("{}/", file.parent().unwrap().display());
    refused.map_or_else(|error| error.to_string().replace(&folder, ""), |component| format!("{component:?}"))
}

async fn refused(component: &[u8]) -> String {
    let (_folder, file) = file(component);
    refusal(&file).await
}

fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).unwrap()
}

/// Bytes that look like nothing, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A component that holds ten of one that holds ten of one, and so on.
fn nested(depth: usize) -> String {
    let mut inner = "(component (core module $m) (core instance (instantiate $m)))".to_owned();
    for _ in 0..depth {
        let ten = "(instance (instantiate $inner))".repeat(10);
        inner = format!("(component {} {ten})", inner.replacen("(component", "(component $inner", 1));
    }
    inner
}

fn describes(describe: &str, data: Vec<(u32, Vec<u8>)>) -> Vec<u8> {
    Crafted { describe: describe.into(), data, ..Crafted::default() }.component().unwrap()
}

fn starts(start: &str) -> Vec<u8> {
    let fields = format!("(func $begin {start}) (start $begin)");
    Crafted { fields, ..Crafted::default() }.component().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_no_plugin_is_refused_with_the_file_and_the_reason() {
    let exports = |version: &str| {
        format!(
            r#"(component (instance $empty)
            (export "lockgate:plugin/lifecycle@{version}" (instance $empty))
            (export "lockgate:plugin/processor@{version}" (instance $empty)))"#
        )
    };
    let many = |what: &str, count| {
        format!("(component (core module $m {what}) {})", "(core instance (instantiate $m))".repeat(count))
    };
    let info = |data: [u32; 10]| vec![(1024, words(data))];
    let mut differences = Differences::default();
    for (what, component, reason) in [
        ("an empty file", Vec::new(), "guest.wasm is no WebAssembly file"),
        ("noise", noise(4096), "guest.wasm is no WebAssembly file"),
        (
            "noise behind a component's beginning",
            [b"\0asm\x0d\0\x01\0".to_vec(), noise(4096)].concat(),
            "component guest.wasm cannot be compiled: failed to parse WebAssembly module: malformed section id (at offset 0x8)",
        ),
        (
            "a beginning alone",
            b"\0asm".to_vec(),
            "component guest.wasm cannot be compiled: failed to parse WebAssembly module: unexpected end-of-file (at offset 0x4)",
        ),
        (
            "a core module",
            text("(module)"),
            "guest.wasm is a core module, not a component; build it for the target wasm32-wasip2",
        ),
        (
            "a component without its end",
            b"\0asm\x0d\0\x01\0\x01\x64\0asm\x01\0\0\0".to_vec(),
            "component guest.wasm cannot be compiled: failed to parse WebAssembly module: wasm component contains an invalid module section: section range 10..110 is out of bounds (bound = 18)",
        ),
        (
            "nothing of a plugin",
            text("(component)"),
            "component guest.wasm is not a plugin of this host: it does not export `lockgate:plugin/lifecycle`",
        ),
        (
            "another version",
            text(&exports("0.2.0")),
            "component guest.wasm is not a plugin of this host: it was built against contract 0.2.0; this host speaks version 0.1",
        ),
        (
            "an export of another shape",
            text(&exports("0.1.0")),
            "component guest.wasm is not a plugin of this host: instance export `lockgate:plugin/lifecycle@0.1.0` does not have export `describe`",
        ),
        (
            "an import that leads outside",
            text(r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#),
            "component guest.wasm imports what no plugin is given: `wasi:sockets/tcp@0.2.0` (a plugin has no network of its own: use `lockgate:plugin/http`)",
        ),
        (
            "a thousand instances",
            text(&many("", 1000)),
            "component guest.wasm cannot be compiled: The component transitively contains 1000 core module instances, which exceeds the configured maximum of 64 in the pooling allocator",
        ),
        (
            "twenty memories",
            text(&many("(memory 1)", 20)),
            "component guest.wasm cannot be compiled: The component transitively contains 20 Wasm linear memories, which exceeds the configured maximum of 1 in the pooling allocator",
        ),
        (
            "two tables in one module",
            text("(component (core module (table 1 funcref) (table 1 funcref)))"),
            "component guest.wasm cannot be compiled: module table does not fit in pooling allocator requirements: defined tables count of 2 exceeds the per-instance limit of 1",
        ),
        (
            "ten of ten of ten instances",
            text(&nested(3)),
            "component guest.wasm cannot be compiled: The component transitively contains 1000 core module instances, which exceeds the configured maximum of 64 in the pooling allocator",
        ),
        (
            "ten of ten of ten, and so on",
            text(&nested(9)),
            "component guest.wasm cannot be compiled: its components instantiate one another more than 10000 times",
        ),
        (
            "a memory that is shared",
            text("(component (core module (memory 1 1 shared)))"),
            "component guest.wasm cannot be compiled: failed to parse WebAssembly module: threads must be enabled for shared memories (at offset 0x15)",
        ),
        (
            "a memory of 4 GiB",
            describes("(drop (memory.grow (i32.const 65000))) (i32.const 1024)", Vec::new()),
            "component guest.wasm cannot describe itself: it needs more than `limits.memory`",
        ),
        (
            "a start that traps",
            starts("(unreachable)"),
            "component guest.wasm cannot describe itself: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "a start that never ends",
            starts("(loop $again (br $again))"),
            "component guest.wasm cannot describe itself: it computed for longer than `limits.cpu`",
        ),
        (
            "a description that never comes",
            describes("(loop $again (br $again)) (i32.const 1024)", Vec::new()),
            "component guest.wasm cannot describe itself: it computed for longer than `limits.cpu`",
        ),
        (
            "a name that is none",
            describes("(i32.const 1024)", info([2048, 0, 2064, 3, 0, 0, 2080, 2, 0, 0])),
            "component guest.wasm cannot describe itself: its name is empty",
        ),
        (
            "a name that is no text",
            describes(
                "(i32.const 1024)",
                [info([ROOM, 1, 2064, 3, 0, 0, 2080, 2, 0, 0]), vec![(ROOM, vec![0xff])]].concat(),
            ),
            "component guest.wasm cannot describe itself: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            "a name without end",
            describes("(i32.const 1024)", info([2048, u32::MAX, 2064, 3, 0, 0, 2080, 2, 0, 0])),
            "component guest.wasm cannot describe itself: string pointer/length out of bounds of memory",
        ),
        (
            "a version of a thousand bytes",
            describes("(i32.const 1024)", info([2048, 7, ROOM, 1000, 0, 0, 2080, 2, 0, 0])),
            "component guest.wasm cannot describe itself: its version has 1000 bytes; 64 are the most",
        ),
        (
            "a schema that is no JSON",
            describes("(i32.const 1024)", info([2048, 7, 2064, 3, 0, 0, 2048, 7, 0, 0])),
            "component guest.wasm cannot describe itself: its config schema is no JSON: expected value at line 1 column 1",
        ),
        (
            "a schema of two mebibytes",
            describes(
                "(drop (memory.grow (i32.const 64))) (i32.const 1024)",
                info([2048, 7, 2064, 3, 0, 0, 65_536, 2 << 20, 0, 0]),
            ),
            "component guest.wasm cannot describe itself: its config schema has 2097152 bytes; 1048576 are the most",
        ),
    ] {
        differences.compare(what, ("", refused(&component).await), ("", reason));
    }
    differences.none();
}

#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe.wasm");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(refusal(&pipe).await, "component pipe.wasm cannot be read: it is no file");
    assert_eq!(refusal(Path::new("/dev/zero")).await, "component zero cannot be read: it is no file");
    assert!(refusal(folder.path()).await.ends_with("cannot be read: it is no file"));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("guest.wasm");
    let file = File::create(&path).unwrap();
    for (size, reason) in [
        (500_u64 << 20, "component guest.wasm has 500.0 MiB, more than the 128.0 MiB that a component may have"),
        (1 << 50, "component guest.wasm has 1.0 PiB, more than the 128.0 MiB that a component may have"),
    ] {
        // What was never written takes no space.
        if file.set_len(size).is_ok() {
            assert_eq!(refusal(&path).await, reason);
        }
    }
}

#[tokio::test]
async fn a_component_that_is_cut_or_altered_anywhere_is_refused_or_runs_and_never_brings_the_host_down() {
    let component = Crafted::default().component().unwrap();
    let engine = Engine::new(EngineSettings { slots: 1, cache: None }).unwrap();
    let (_folder, file) = file(&component);
    let limits = Limits { cpu: Period::from_millis(100), memory: Size(8 << 20), ..Limits::default() };
    let config = Config { component: file.clone(), limits, ..config() };
    let noise = noise(component.len());
    for at in (0..component.len()).step_by(7) {
        fs::write(&file, &component[..at]).unwrap();
        let mut whole = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
        match engine.load("probe", &config).await.err() {
            Some(LoadError::NotWasm { .. } | LoadError::Compile { .. } | LoadError::Contract { .. }) => {}
            Some(error) => panic!("cut at {at}: {error}"),
            // Sections at its end hold names only.
            None => assert!(whole.validate_all(&component[..at]).is_ok(), "cut at {at}"),
        }
        let mut altered = component.clone();
        altered[at] ^= noise[at] | 1;
        fs::write(&file, &altered).unwrap();
        // Some bytes are only names and texts.
        let _ = engine.load("probe", &config).await;
        assert_eq!(engine.living(), [0; 4], "altered at {at}");
    }
    fs::write(&file, &component).unwrap();
    assert!(engine.load("probe", &config).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_cannot_be_configured_says_why_and_the_host_waits() {
    let mut differences = Differences::default();
    for (config_json, reason) in [
        (r#"{ "spin": 1 }"#, "plugin probe cannot be started: it computed for longer than `limits.cpu`"),
        (
            r#"{ "block": 1 }"#,
            "plugin probe cannot be started: it waited for 30s; nothing may wait before the first message",
        ),
        (
            r#"{ "panic": 1 }"#,
            "plugin probe cannot be started: wasm trap: wasm `unreachable` instruction executed; it last wrote: cannot be configured",
        ),
        (
            r#"{ "http": 1 }"#,
            "plugin probe cannot be started: it called `http.send`, which may not be called while it is configured",
        ),
        (r#"{ "many": 1 }"#, "plugin probe cannot be started: it names 1000000 outputs; 256 are the most"),
    ] {
        let bench = Bench::new(Wanted { config_json, ..Wanted::default() }).await;
        let error = bench.call("done").await.unwrap_err();
        assert_eq!(error.fault(), crate::plugin::Fault::Host, "{config_json}");
        differences.compare(config_json, ("", error.to_string()), ("", reason));
    }
    differences.none();
    let bench = Bench::new(Wanted { config_json: r#"{ "fail-long": 1 }"#, ..Wanted::default() }).await;
    let error = bench.call("done").await.unwrap_err().to_string();
    assert!(error.len() < 5000 && error.ends_with(" … (cut)") && !error.contains('\n'), "{} bytes", error.len());
}
