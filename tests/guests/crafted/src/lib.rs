//! Plugins written by hand, instruction by instruction: what a host has to survive and no compiler makes. A
//! [`Crafted`] plugin speaks the contract as it should, but for what a test writes over: its lies are addresses,
//! lengths and numbers, as the canonical ABI passes them. It knows nothing of the host.

use std::fmt::Write;

use anyhow::Context;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract.
const CONTRACT: &str = include_str!("../../../../wit/lockgate.wit");

/// Where the plugin's outcome stands, unless `process` names another place.
pub const OUTCOME: u32 = 4096;
/// Room for what a test lays into the memory. From 64 KiB on it is the host's to ask for.
pub const ROOM: u32 = 8192;

/// Where the outcome `done` stands: zeros.
const DONE: u32 = 4000;
/// Where the plugin describes itself.
const INFO: u32 = 1024;
/// Where the answer of `configure` stands.
const CONFIGURED: u32 = 1088;

/// Gives memory away from 64 KiB on, never takes it back, and grows it as it has to.
const REALLOC: &str = "
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16))))
    (if (i32.gt_u (global.get $heap) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
    (local.get $at)";

/// What the host calls with: the context, and a message, of which all but the payload's length is passed over.
pub const PARAMETERS: &str =
    "(param $context i32) (param i32 i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (param $payload-length i32)";

/// Takes a message: `done` where its payload is empty, and otherwise what the test wrote.
fn process_export() -> String {
    format!(
        r#"(func (export "lockgate:plugin/processor@0.1.0#process") {PARAMETERS} (result i32)
    (if (i32.eqz (local.get $payload-length)) (then (return (i32.const {DONE}))))
    (call $process (local.get $context)))"#
    )
}

/// A plugin, as text. What is not written over is as it should be.
#[derive(Clone, Debug)]
pub struct Crafted {
    /// Imports, and whatever else a module has before its functions.
    pub imports: String,
    /// Functions, globals, tables.
    pub fields: String,
    /// Instructions of `describe`, which leave an address.
    pub describe: String,
    /// Instructions of `configure`, which leave an address. `$json` and `$length` are its config.
    pub configure: String,
    /// Instructions that run for a message with a payload and leave the outcome's address. `$context` is the call's.
    pub process: String,
    /// The function that the host calls with a message.
    pub export: String,
    /// Instructions that give the host memory, and leave its address. `$align` and `$size` are what it asks for.
    pub realloc: String,
    /// Bytes to lay into the memory, and where.
    pub data: Vec<(u32, Vec<u8>)>,
}

impl Default for Crafted {
    fn default() -> Self {
        let answer = |address: u32| format!("(i32.const {address})");
        Self {
            imports: String::new(),
            fields: String::new(),
            describe: answer(INFO),
            configure: answer(CONFIGURED),
            process: answer(OUTCOME),
            export: process_export(),
            realloc: REALLOC.into(),
            data: Vec::new(),
        }
    }
}

impl Crafted {
    /// The component.
    pub fn component(&self) -> anyhow::Result<Vec<u8>> {
        let mut module = wat::parse_str(self.text()).context("the module is no text of a module")?;
        let mut resolve = Resolve::default();
        let package = resolve.push_str("lockgate.wit", CONTRACT)?;
        let world = resolve.select_world(&[package], Some("worker"))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        ComponentEncoder::default().validate(true).module(&module)?.encode()
    }

    fn text(&self) -> String {
        let Self { imports, fields, describe, configure, process, export, realloc, data } = self;
        let mut text = format!(
            r#"(module {imports}
  (memory (export "memory") 3)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "lockgate:plugin/lifecycle@0.1.0#describe") (result i32) {describe})
  (func (export "lockgate:plugin/lifecycle@0.1.0#configure") (param $json i32) (param $length i32) (result i32) {configure})
  (func $process (param $context i32) (result i32) {process})
  {export}
  (func (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32) {realloc})
  {fields}
"#
        );
        for (address, bytes) in honest().iter().chain(data) {
            let bytes = bytes.iter().fold(String::new(), |mut escaped, byte| {
                let _ = write!(escaped, "\\{byte:02x}"); // a text takes whatever is written
                escaped
            });
            let _ = writeln!(text, "  (data (i32.const {address}) \"{bytes}\")");
        }
        text + ")"
    }
}

/// What a plugin says of itself and of its needs: its name is `crafted`, its output is `out`.
fn honest() -> Vec<(u32, Vec<u8>)> {
    let info = words([2048, 7, 2064, 3, 0, 0, 2080, 2, 0, 0]);
    let configured = words([0, 2112, 1, 0, 0, 0, 0, 0, 0]);
    vec![
        (INFO, info),
        (CONFIGURED, configured),
        (2048, b"crafted".to_vec()),
        (2064, b"1.0".to_vec()),
        (2080, b"{}".to_vec()),
        (2096, b"out".to_vec()),
        (2112, words([2096, 3])),
        (DONE, vec![0; 48]),
    ]
}

/// Numbers as they stand in memory: addresses, lengths, cases of variants.
pub fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// An outcome as it stands in memory, for [`OUTCOME`]: a verdict with what belongs to it, and where its emissions are.
pub fn outcome(verdict: u32, payload: [u32; 6], emissions: u32, count: u32) -> Vec<u8> {
    let [a, b, c, d, e, f] = payload;
    words([verdict, 0, a, b, c, d, e, f, emissions, count, 0, 0])
}

/// An emission as it stands in memory: a list of them lies one behind the other.
pub fn emission(output: (u32, u32), payload: (u32, u32)) -> Vec<u8> {
    words([output.0, output.1, 0, 0, 0, 0, 0, payload.0, payload.1])
}
