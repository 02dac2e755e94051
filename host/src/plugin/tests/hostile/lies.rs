//! Guests written by hand, that lie as no compiler lets them: in addresses, lengths, alignments, cases and handles, in
//! what they answer, in what they ask the host for, and in the memory that they give it.

use std::sync::atomic::Ordering;

use crafted::{Crafted, OUTCOME, PARAMETERS, ROOM, emission, outcome, words};

use super::*;
use crate::model::{Period, Size};

const LOG: &str = r#"(import "lockgate:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#;
const SEND: &str = r#"(import "lockgate:plugin/http@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
const SEND_ASIDE: &str = r#"(import "lockgate:plugin/http@0.1.0" "[async-lower]send"
    (func $send (param i32 i32) (result i32)))"#;
const PUT: &str = r#"(import "lockgate:plugin/blobs@0.1.0" "put-bytes"
    (func $put (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i64 i32)))"#;
const RESPONSE: &str = r#"
    (import "lockgate:plugin/http@0.1.0" "[method]response.status" (func $status (param i32) (result i32)))
    (import "lockgate:plugin/http@0.1.0" "[resource-drop]response" (func $drop-response (param i32)))
    (import "lockgate:plugin/context@0.1.0" "[resource-drop]context" (func $drop-context (param i32)))"#;
const SET: &str = r#"(import "$root" "[waitable-set-new]" (func $set (result i32)))"#;
const RETURN: &str = r#"(import "[export]lockgate:plugin/processor@0.1.0" "[task-return]process"
    (func $return (param i32 i32 i64 i32 i32 i32 i32 i32 i32)))"#;
/// Answers `done`.
const ANSWER: &str = "(call $return (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";

const ENDLESS_TABLE: &str = "(loop $again (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $again))";

/// A guest, and how it ends.
struct Row {
    what: &'static str,
    guest: Crafted,
    code: &'static str,
    reason: &'static str,
}

/// A guest whose outcome lies.
fn answers(what: &'static str, memory: Vec<(u32, Vec<u8>)>, reason: &'static str) -> Row {
    Row { what, guest: Crafted { data: memory, ..Crafted::default() }, code: "trap", reason }
}

/// A guest that does this on a message.
fn does(what: &'static str, imports: &str, process: &str, reason: &'static str) -> Row {
    let process = format!("{process} (i32.const {OUTCOME})");
    Row { what, guest: Crafted { imports: imports.into(), process, ..Crafted::default() }, code: "trap", reason }
}

/// A guest that gives the host this memory for a message's payload, which alone is one byte long.
fn gives(what: &'static str, memory: &str, code: &'static str, reason: &'static str) -> Row {
    let honest = Crafted::default().realloc;
    let (locals, rest) = honest.split_once("(local $at i32)").unwrap();
    let lie = format!("(if (i32.eq (local.get $size) (i32.const 1)) (then {memory}))");
    let realloc = format!("{locals}(local $at i32) {lie} {rest}");
    Row { what, guest: Crafted { realloc, ..Crafted::default() }, code, reason }
}

/// A guest that does this with a table.
fn grows(what: &'static str, process: &str) -> Row {
    let honest = does(what, "", process, "it wants a table of more than 40000 elements");
    let guest = Crafted { fields: "(table $table 1 funcref)".into(), ..honest.guest };
    Row { guest, code: "contract", ..honest }
}

/// A guest that answers asynchronously: it begins like this, and then leaves a code; so does each call back.
fn begins(what: &'static str, imports: &str, begin: &str, back: &str, code: &'static str, reason: &'static str) -> Row {
    let export = format!(
        r#"(func (export "[async-lift]lockgate:plugin/processor@0.1.0#process") {PARAMETERS} (result i32)
            (if (i32.eqz (local.get $payload-length)) (then {ANSWER} (return (i32.const 0))))
            {begin})
        (func (export "[callback][async-lift]lockgate:plugin/processor@0.1.0#process")
            (param i32 i32 i32) (result i32) {back})"#
    );
    let imports = format!("{RETURN} {imports}");
    Row { what, guest: Crafted { imports, export, ..Crafted::default() }, code, reason }
}

fn calls_log(arguments: [i64; 5]) -> String {
    call("$log", &arguments)
}

fn call(function: &str, arguments: &[i64]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| format!("(i32.const {argument})")).collect();
    format!("(call {function} {})", arguments.join(" "))
}

/// [`ROOM`] as an argument.
const AT_ROOM: i64 = ROOM as i64;

fn rows() -> Vec<Row> {
    let skip = |address, length| outcome(1, [address, length, 0, 0, 0, 0], 0, 0);
    let emits = |address, count| outcome(0, [0; 6], address, count);
    let aliased: Vec<u8> = (0..1000).flat_map(|_| emission((2096, 3), (65_536, 65_536))).collect();
    let request =
        |body: [i64; 2], answer: i64| call("$send", &[2096, 3, 2096, 3, 2096, 3, 0, 0, 1, body[0], body[1], answer]);
    let put = |length: u32| {
        format!(
        "(call $put (i32.const 2096) (i32.const 3) (i32.const 2096) (i32.const 3) (i32.const {ROOM}) (i32.const {length})
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i64.const 0)
            (i32.const 60032))"
    )
    };
    let at = |process: &str| Row {
        guest: Crafted { process: process.into(), ..Crafted::default() },
        ..answers("", vec![], "")
    };
    let named = |what, row: Row, reason| Row { what, reason, ..row };
    vec![
        answers(
            "a reason beyond the memory",
            vec![(OUTCOME, skip(0x7fff_0000, 10))],
            "string pointer/length out of bounds of memory",
        ),
        answers(
            "a reason of 2^32-1 bytes",
            vec![(OUTCOME, skip(ROOM, u32::MAX))],
            "string pointer/length out of bounds of memory",
        ),
        answers(
            "a reason that is no UTF-8",
            vec![(OUTCOME, skip(ROOM, 2)), (ROOM, vec![0xc3, 0x28])],
            "invalid utf-8 sequence of 1 bytes from index 0",
        ),
        answers(
            "emissions beyond the memory",
            vec![(OUTCOME, emits(0xffff_0000, 1))],
            "list pointer/length out of bounds of memory",
        ),
        answers(
            "2^32-1 emissions",
            vec![(OUTCOME, emits(ROOM, u32::MAX))],
            "list pointer/length out of bounds of memory",
        ),
        answers("emissions at an odd address", vec![(OUTCOME, emits(ROOM + 1, 1))], "list pointer is not aligned"),
        answers(
            "an output that is no UTF-8",
            vec![(OUTCOME, emits(ROOM, 1)), (ROOM, emission((ROOM + 36, 1), (0, 0))), (ROOM + 36, vec![0xff])],
            "invalid utf-8 sequence of 1 bytes from index 0",
        ),
        answers(
            "a payload of 2^32-1 bytes",
            vec![(OUTCOME, emits(ROOM, 1)), (ROOM, emission((2096, 3), (ROOM, u32::MAX)))],
            "list pointer/length out of bounds of memory",
        ),
        answers(
            "a thousand payloads that are one and the same",
            vec![(OUTCOME, emits(ROOM, 1000)), (ROOM, aliased)],
            "too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted",
        ),
        answers("a verdict that there is not", vec![(OUTCOME, outcome(9, [0; 6], 0, 0))], "unexpected discriminant: 9"),
        named("an outcome beyond the memory", at("(i32.const -8)"), "pointer out of bounds of memory"),
        named("an outcome at an odd address", at("(i32.const 4097)"), "return pointer not aligned"),
        does(
            "a text of 2^32-1 bytes to log",
            LOG,
            &calls_log([0, AT_ROOM, -1, 0, 0]),
            "string pointer/length out of bounds of memory",
        ),
        does(
            "a text beyond the memory to log",
            LOG,
            &calls_log([0, -65_536, 10, 0, 0]),
            "string pointer/length out of bounds of memory",
        ),
        does(
            "a text that is no UTF-8 to log",
            LOG,
            &format!("(i32.store8 (i32.const {ROOM}) (i32.const 255)) {}", calls_log([0, AT_ROOM, 1, 0, 0])),
            "invalid utf-8 sequence of 1 bytes from index 0",
        ),
        does(
            "fields at an odd address to log",
            LOG,
            &calls_log([0, AT_ROOM, 1, AT_ROOM + 1, 1]),
            "list pointer is not aligned",
        ),
        does("a level that there is not", LOG, &calls_log([9, AT_ROOM, 1, 0, 0]), "unexpected discriminant: 9"),
        does(
            "a body of 2^32-1 bytes to send",
            SEND,
            &request([AT_ROOM, -1], 60_032),
            "list pointer/length out of bounds of memory",
        ),
        does("an answer at an odd address", SEND, &request([AT_ROOM, 1], 60_033), "pointer not aligned"),
        does("an answer beyond the memory", SEND, &request([AT_ROOM, 1], -16), "pointer out of bounds"),
        does("bytes of length 2^32-1 to put", PUT, &put(u32::MAX), "list pointer/length out of bounds of memory"),
        does(
            "a response that there is not",
            RESPONSE,
            "(drop (call $status (i32.const 77)))",
            "unknown handle index 77",
        ),
        does(
            "its context as a response",
            RESPONSE,
            "(drop (call $status (local.get $context)))",
            "handle index 1 used with the wrong type, expected guest-defined resource but found a different guest-defined resource",
        ),
        does(
            "its context dropped twice",
            RESPONSE,
            "(call $drop-context (local.get $context)) (call $drop-context (local.get $context))",
            "unknown handle index 1",
        ),
        does(
            "sets to wait on, without end",
            SET,
            "(loop $again (drop (call $set)) (br $again))",
            "cannot allocate another handle: store handle limit exceeded",
        ),
        gives("memory beyond its memory", "(return (i32.const -16))", "trap", "realloc return: beyond end of memory"),
        gives("no memory, and traps", "(unreachable)", "trap", "wasm trap: wasm `unreachable` instruction executed"),
        gives("no memory, ever", "(loop $again (br $again))", "cpu", "200ms"),
        begins(
            "no answer",
            "",
            "(i32.const 0)",
            "(i32.const 0)",
            "trap",
            "wasm trap: async-lifted export failed to produce a result",
        ),
        begins(
            "two answers",
            "",
            &format!("{ANSWER} {ANSWER} (i32.const 0)"),
            "(i32.const 0)",
            "trap",
            "wasm trap: `task.return` or `task.cancel` called more than once for current task",
        ),
        begins(
            "a code that there is not",
            "",
            "(i32.const 7)",
            "(i32.const 0)",
            "trap",
            "wasm trap: unsupported callback code",
        ),
        begins(
            "a wait on a set that there is not",
            "",
            "(i32.const 1586)",
            "(i32.const 0)",
            "trap",
            "unknown handle index 99",
        ),
        begins(
            "a wait on nothing",
            SET,
            "(i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4)))",
            "(i32.const 0)",
            "contract",
            "it waited 2m on nothing that the host knows of",
        ),
        begins("one yield after the other", "", "(i32.const 1)", "(i32.const 1)", "cpu", "200ms"),
        grows("a table of a hundred thousand", "(drop (table.grow $table (ref.null func) (i32.const 100000)))"),
        grows("a table that grows and grows", ENDLESS_TABLE),
    ]
}

/// What stands before the reason of a failure, so that the rows need not repeat it.
fn lead(code: &str) -> &'static str {
    match code {
        "trap" => "plugin probe trapped: ",
        "cpu" => "plugin probe computed for more than ",
        _ => "plugin probe broke the contract: ",
    }
}

fn limits() -> Limits {
    Limits { memory: Size(8 << 20), cpu: Period::from_millis(200), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn each_lie_costs_its_message_alone_and_gives_back_what_it_took() {
    let mut differences = Differences::default();
    for Row { what, guest, code, reason } in rows() {
        let (_folder, file) = file(&guest.component().unwrap_or_else(|error| panic!("{what}: {error:#}")));
        let house = House::of(&file, limits()).await;
        let (found, told) = house.failure("x").await;
        let told = told.split_once(lead(code)).map_or(told.clone(), |(_, told)| told.to_owned());
        differences.compare(what, (found, told), (code, reason));
        assert_eq!(house.failure("x").await.0, code, "{what}, again");
        house.leave(what);
    }
    differences.none();
}

#[tokio::test]
async fn tables_count_as_memory() {
    let (_folder, file) = file(&grows("a table", ENDLESS_TABLE).guest.component().unwrap());
    let house = House::of(&file, Limits { memory: Size(256 << 10), ..limits() }).await;
    let failure = house.failure("x").await;
    assert_eq!(failure, ("memory", "plugin probe needed more than 262144 bytes of memory".into()));
}

/// Texts may stand anywhere; the parts of a message that are numbers may not.
#[tokio::test]
async fn memory_at_an_odd_address_is_not_taken() {
    let guest = Crafted { realloc: "(i32.const 60001)".into(), ..Crafted::default() };
    let (_folder, file) = file(&guest.component().unwrap());
    let component = ENGINE.load("probe", &Config { component: file, limits: limits(), ..config() }).await.unwrap();
    let error = Bench::of(&component, &Wanted::default()).call("x").await.unwrap_err().to_string();
    assert_eq!(error, "plugin probe trapped: realloc return: result not aligned");
}

#[tokio::test]
async fn an_honest_guest_written_by_hand_passes() {
    let (_folder, file) = file(&Crafted::default().component().unwrap());
    let house = House::of(&file, limits()).await;
    assert_eq!(house.failure("x").await, ("none", "Done and 0 emissions".into()));
    house.leave("no fault");
}

/// Sixteen requests at once, each with sixty-four headers that are one and the same 64 KiB of the guest's: four
/// mebibytes each in the host.
#[tokio::test]
async fn what_the_host_holds_for_requests_under_way_is_bounded_with_their_headers() {
    let headers: Vec<u8> = (0..64).flat_map(|_| words([2096, 3, 131_072, 65_536])).collect();
    let request = words([2096, 3, ROOM, 5, ROOM + 16, 6, ROOM + 64, 64, 0, 0, 0]);
    let data = vec![(ROOM, b"files".to_vec()), (ROOM + 16, b"/never".to_vec()), (ROOM + 64, headers), (3000, request)];
    let process = "(local $left i32) (local.set $left (i32.const 16))
        (loop $again
            (drop (call $send (i32.const 3000) (i32.const 60032)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (i32.const 4096)";
    let guest = Crafted { imports: SEND_ASIDE.into(), process: process.into(), data, ..Crafted::default() };
    let (_folder, file) = file(&guest.component().unwrap());
    let house = House::of(&file, limits()).await;
    assert_eq!(house.failure("x").await, ("none", "Done and 0 emissions".into()));
    let sent = house.own.endpoints.requests.lock().unwrap().len();
    assert_eq!(sent, 3, "of four mebibytes, where sixteen are the most");
    assert_eq!(house.own.endpoints.waiting.load(Ordering::SeqCst), 0, "they ended with their call");
    house.leave("requests");
}
