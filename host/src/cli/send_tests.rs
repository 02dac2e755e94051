//! What becomes of lines, as they come in a pipe and as they stand in a file.

use clap::Parser;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::model::{Clock, Message, MessageId, Origin, Partition, Position, Timestamp};
use crate::transport::Transport;
use crate::transport::memory::Memory;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    send: Send,
}

fn send(arguments: &[&str]) -> Send {
    Line::parse_from(["send", "claims"].iter().chain(arguments)).send
}

fn parsed(arguments: &[&str], line: &str) -> Result<Record, String> {
    send(arguments).parse(line.as_bytes()).map(Option::unwrap)
}

/// How many messages a topic holds.
async fn held(memory: &Memory) -> i64 {
    let topics = memory.topics().await.unwrap();
    topics[0].partitions.iter().map(|partition| partition.end).sum()
}

async fn topic() -> (Memory, Arc<dyn Sink>) {
    let memory = Memory::new("bus", [].into(), Clock::system());
    let sink = memory.sink("claims").await.unwrap();
    (memory, sink)
}

/// A spec that names the topic `claims` of a log, which is not there yet.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bus = folder.path().join("bus");
        let spec = format!(
            "lockgate: 1\ntransports: {{ bus: {{ log: {{ path: '{}' }}, topics: {{ claims: {{}} }} }} }}\n",
            bus.display()
        );
        std::fs::write(folder.path().join("pipelines.yaml"), spec).unwrap();
        std::fs::write(folder.path().join("lines"), "{}\n").unwrap();
        Self(folder)
    }

    async fn send(&self, topic: &str, more: &[&str]) -> Ended {
        let [spec, lines] = ["pipelines.yaml", "lines"].map(|file| self.0.path().join(file).display().to_string());
        let arguments = ["send", topic, &lines, "-f", &spec];
        Line::parse_from(arguments.iter().chain(more)).send.obey().await
    }

    /// Why it was refused, with nothing written.
    async fn refused(&self, topic: &str, more: &[&str]) -> String {
        match self.send(topic, more).await {
            Err(Failure::Usage(reason)) => reason,
            _ => panic!("it was not refused"),
        }
    }

    fn has_log(&self) -> bool {
        self.0.path().join("bus").exists()
    }
}

fn error(ended: Result<usize, Failure>) -> String {
    match ended {
        Err(Failure::Runtime(error)) => format!("{error:#}"),
        _ => panic!("it did not fail"),
    }
}

#[test]
fn a_line_is_the_payload_untouched() {
    let record = parsed(&["--key", "k", "--header", "a=b=c"], " {\"b\":1, \"a\":2} \r\n").unwrap();
    assert_eq!(record.payload, "{\"b\":1, \"a\":2}");
    assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(record.headers.text("a"), Some("b=c"));
}

#[test]
fn a_record_brings_its_own_key_and_headers_but_none_of_the_hosts() {
    let line = r#"{"key":"k2","headers":{"x":"1","lockgate-code":"gone"},"payload":{"id":7},"offset":3}"#;
    let record = parsed(&["--records", "--key", "k"], line).unwrap();
    assert_eq!((record.key.as_deref(), &record.payload[..]), (Some(&b"k2"[..]), &br#"{"id":7}"#[..]));
    assert_eq!((record.headers.text("x"), record.headers.get("lockgate-code")), (Some("1"), None));
}

#[test]
fn an_id_is_kept_only_when_asked() {
    let partition = Partition::new("claims", 0);
    let origin = Origin { transport: "bus".into(), partition, position: Position(7), enqueued: Timestamp(0) };
    let (mut headers, id) = (Headers::default(), MessageId::given("m"));
    headers.push("lockgate-class", "rejected");
    headers.push(header::ID, "m");
    let line = record::line(&Message { id, origin, key: None, headers, payload: Bytes::from("{}") });
    assert_eq!(parsed(&["--records"], &line).unwrap().headers, Headers::default());
    let mut kept = Headers::default();
    kept.push(header::ID, "m");
    assert_eq!(parsed(&["--records", "--keep-id"], &line).unwrap().headers, kept);
}

#[tokio::test]
async fn a_misspelt_topic_is_refused_and_nothing_is_made() {
    let scene = Scene::new();
    let reason = scene.refused("clams", &[]).await;
    assert_eq!(
        reason,
        "transport `bus` has no topic `clams`, and the spec does not name it\n\
         help: did you mean `claims`?\nhelp: say --create to make it"
    );
    assert!(!scene.has_log(), "not even the log was made");
    assert!(scene.send("claims", &[]).await.is_ok(), "a topic that the spec names is made");
    assert!(scene.refused("clams", &[]).await.contains("`claims`"));
}

#[tokio::test]
async fn a_topic_that_is_made_on_purpose_is_known_from_then_on() {
    let scene = Scene::new();
    assert!(scene.send("trial", &["--create"]).await.is_ok());
    assert!(scene.send("trial", &[]).await.is_ok());
    assert!(scene.refused("trail", &[]).await.contains("did you mean `trial`?"));
}

#[test]
fn what_is_no_json_is_refused() {
    assert!(parsed(&[], "{\"a\":").unwrap_err().contains("no JSON"));
    assert!(parsed(&["--records"], "{\"a\":1}").unwrap_err().contains("payload"));
    assert!(send(&[]).parse(b"{\"a\":\"\xff\"}").unwrap_err().contains("no text"));
    assert_eq!(send(&[]).parse(b" \n"), Ok(None));
    assert!(header("lockgate-id=1").is_err() && header("=1").is_err() && header("x").is_err());
}

#[tokio::test]
async fn what_stands_before_a_wrong_line_is_sent_and_counted() {
    for wrong in [&b"\xff\n"[..], b"nothing\n"] {
        let (memory, sink) = topic().await;
        let input = [b"1\n2\n\n", wrong, b"3\n"].concat();
        let error = error(send(&[]).send_lines(&sink, &input[..]).await);
        assert!(error.contains("line 4") && error.contains("the 2 before it were sent"), "{error}");
        assert_eq!(held(&memory).await, 2);
    }
}

#[tokio::test]
async fn what_was_read_before_the_input_broke_is_sent_and_counted() {
    let (memory, sink) = topic().await;
    let broken = broken_input();
    let error = error(send(&[]).send_lines(&sink, BufReader::new(broken)).await);
    assert!(error.contains("cannot read") && error.contains("the 1 before it were sent"), "{error}");
    assert_eq!(held(&memory).await, 1);
}

/// One line, and then an error.
fn broken_input() -> impl AsyncRead + Unpin {
    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("the disk is gone")))
        }
    }

    (&b"1\n"[..]).chain(Broken)
}

#[tokio::test(start_paused = true)]
async fn a_line_in_a_pipe_waits_for_no_other() {
    let (memory, sink) = topic().await;
    let (mut pipe, input) = tokio::io::duplex(1024);
    let sending = tokio::spawn(async move {
        let ended = send(&[]).send_lines(&sink, BufReader::new(input)).await;
        ended.unwrap_or_else(|_| panic!("it failed"))
    });
    for count in 1..=3 {
        pipe.write_all(b"{}\n").await.unwrap();
        let came = async {
            while held(&memory).await < count {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), came).await.unwrap();
    }
    drop(pipe);
    assert_eq!(sending.await.unwrap(), 3);
}

#[tokio::test]
async fn a_topic_that_fails_ends_sending_though_more_lines_may_come() {
    let (memory, sink) = topic().await;
    memory.fail_writes("claims", Some("no room"));
    let (mut pipe, input) = tokio::io::duplex(1024);
    pipe.write_all(b"{}\n").await.unwrap();
    let error = error(send(&[]).send_lines(&sink, BufReader::new(input)).await);
    assert!(error.contains("0 messages were sent") && error.contains("no room"), "{error}");
}
