//! The server over a real connection, in front of pipelines that do as they are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::config::Config;
use super::*;
use crate::flow::config;
use crate::flow::dead_letter::Maker;
use crate::flow::pipeline::{Parts, Settings};
use crate::flow::retry::Policy;
use crate::flow::router::Router;
use crate::flow::supervisor::{Handle, OpenError, supervise};
use crate::model::{
    Clock, Headers, Message, MessageId, Origin, Outcome, Partition, Period, Position, Record, Timestamp, Verdict,
};
use crate::plugin::{Attempt, CallError, Plugin};
use crate::telemetry::metrics;
use crate::transport::{
    Assignment, Batch, Commit, CommitError, Demand, Epoch, Sink, Source, SourceEvent, WriteError, Written,
};

/// One partition of messages, told at once.
struct Told(Vec<SourceEvent>);

#[async_trait]
impl Source for Told {
    async fn next(&mut self, _: &dyn Demand) -> SourceEvent {
        match self.0.pop() {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn commit(&mut self, _: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        Box::pin(async { Ok(()) })
    }
}

/// The outside, that works or does not: what is held passes, and what is to be written is, once it does.
struct Outside(Semaphore);

impl Outside {
    fn works(&self) -> bool {
        self.0.available_permits() > 0
    }
}

/// A plugin that does what the payload says.
struct Obedient(Arc<Outside>);

#[async_trait]
impl Plugin for Obedient {
    async fn call(&self, message: Arc<Message>, _: Attempt) -> Result<Outcome, CallError> {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        let after = Some(std::time::Duration::from_millis(100));
        Ok(Outcome::of(match payload.as_str() {
            "done" => Verdict::Done,
            "hold" if self.0.works() => Verdict::Done,
            "hold" => Verdict::Hold { after, reason: "401 from https://h/x?sig=SENTINEL".into() },
            code => Verdict::Reject { code: code.to_owned(), reason: "told to".into() },
        }))
    }

    fn bytes_moved(&self) -> u64 {
        7
    }
}

#[async_trait]
impl Sink for Outside {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let down = WriteError::Unavailable { topic: "dlq".into(), reason: "disk full".into() };
        let written = || Written { partition: 0, position: Position(0) };
        records.iter().map(|_| if self.works() { Ok(Some(written())) } else { Err(down.clone()) }).collect()
    }

    fn partitions(&self) -> u32 {
        1
    }
}

fn message(position: i64, payload: String) -> Message {
    let origin = Origin {
        transport: "bus".into(),
        partition: Partition::new("pending", 0),
        position: Position(position),
        enqueued: Timestamp(0),
    };
    let id = MessageId::given(&format!("m-{position}"));
    Message { id, origin, key: Some("SECRET-FREE".into()), headers: Headers::default(), payload: payload.into() }
}

/// A pipeline of messages with these payloads.
fn pipeline(name: &str, payloads: &[String], outside: &Arc<Outside>) -> Handle {
    let (name, payloads, outside): (Arc<str>, Vec<String>, _) = (name.into(), payloads.to_vec(), outside.clone());
    let opened = name.clone();
    let open = move || -> BoxFuture<'static, Result<(Settings, Parts), OpenError>> {
        let partition = Partition::new("pending", 0);
        let messages: Vec<Message> = (0..).zip(payloads.clone()).map(|(at, payload)| message(at, payload)).collect();
        let passed = Position(messages.len() as i64 - 1);
        let assigned =
            Assignment { partition: partition.clone(), epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
        let batch = SourceEvent::Messages(Batch { partition, messages, lag: 5, passed });
        let source = Box::new(Told(vec![batch, SourceEvent::Assigned(vec![assigned])]));
        let router = Router {
            pipeline: opened.clone(),
            outputs: [].into(),
            dead_letter: outside.clone(),
            retry: None,
            spill: None,
        };
        let plugin = Arc::new(Obedient(outside.clone()));
        let maker = Maker { pipeline: opened.clone(), plugin: "g".into(), version: "1".into(), sha256: "0".into() };
        let settings = Settings {
            maker,
            concurrency: 4,
            in_flight: config::InFlight::default(),
            order: config::Order::None,
            retry: Policy::default(),
            retry_topic: None,
            checkpoint_every: Period::from_millis(100).0,
            drain_for: Period::from_secs(1).0,
        };
        let parts = Parts { source, plugin, router: Arc::new(router), clock: Clock::system() };
        Box::pin(async move { Ok((settings, parts)) })
    };
    supervise(name, Box::new(open))
}

/// A server in front of pipelines, and who asks it.
struct Scene {
    server: Server,
    base: String,
    client: Client,
    handles: Vec<Handle>,
    outside: Arc<Outside>,
}

impl Scene {
    /// Pipelines by name and payloads, while nothing outside works.
    async fn new(pipelines: &[(&str, &[&str])]) -> Self {
        let outside = Arc::new(Outside(Semaphore::new(0)));
        let owned = |payloads: &[&str]| payloads.iter().map(ToString::to_string).collect::<Vec<_>>();
        let handles = pipelines.iter().map(|(name, payloads)| pipeline(name, &owned(payloads), &outside)).collect();
        Self::of(handles, outside).await
    }

    async fn of(handles: Vec<Handle>, outside: Arc<Outside>) -> Self {
        let listener = Listener::bind(Config { listen: "127.0.0.1:0".parse().unwrap() }).await.unwrap();
        let base = format!("http://{}", listener.address());
        let served = handles.iter().map(|handle| Served { remote: handle.remote(), about: about() });
        let server = listener.serve(served.collect(), Clock::system());
        let client = Client::builder().no_proxy().build().unwrap();
        Self { server, base, client, handles, outside }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let response = self.request(Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn post(&self, path: &str) -> (u16, Value) {
        let response = self.request(Method::POST, path).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, path: &str, is: impl Fn(u16, &Value) -> bool) -> Value {
        loop {
            let (status, value) = self.get(path).await;
            if is(status, &value) {
                return value;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn about() -> About {
    About { system: "lockgate_log", topic: "pending".into(), group: "g".into() }
}

#[tokio::test]
async fn a_held_pipeline_is_unready_with_its_reason_and_recovers_by_itself() {
    let scene = Scene::new(&[("held", &["hold", "done"]), ("fine", &["done"])]).await;
    let told = scene.until("/ready", |_, told| told["pipelines"][0]["state"] == "held").await;
    assert_eq!((&told["ready"], &told["pipelines"][0]["ready"]), (&json!(false), &json!(false)));
    assert_eq!(told["pipelines"][0]["reason"], "401 from https://h/x?…", "and no query, which may be a secret");
    assert_eq!(scene.get("/live").await, (200, json!({ "live": true, "silent": [] })));
    scene.outside.0.add_permits(1);
    let told = scene.until("/ready", |status, _| status == 200).await;
    let fine = |name: &str| json!({ "name": name, "ready": true, "state": "running", "reason": null });
    assert_eq!(told, json!({ "ready": true, "pipelines": [fine("held"), fine("fine")] }));
}

#[tokio::test]
async fn a_topic_that_is_down_shows_and_so_does_what_waits_for_it() {
    let scene = Scene::new(&[("blocked", &["bad"])]).await;
    let told = scene.until("/status", |_, told| told["pipelines"][0]["state"] == "blocked").await;
    let pipeline = &told["pipelines"][0];
    assert!(pipeline["reason"].as_str().unwrap().contains("dlq"), "{pipeline}");
    let partition = &pipeline["partitions"][0];
    assert_eq!((&partition["base"], &partition["unsettled"], &partition["lag"]), (&json!(-1), &json!(1), &json!(6)));
    let oldest = &partition["oldest"];
    assert_eq!((&oldest["waits_for"], &oldest["key"]), (&json!("durable"), &json!("SECRET-FREE")));
    assert!(oldest["text"].as_str().unwrap().starts_with("held at 0 by key SECRET-FREE, attempt 1, "), "{oldest}");
    assert_eq!(scene.get("/ready").await.0, 503);
}

#[tokio::test]
async fn a_pipeline_that_cannot_start_or_failed_says_why() {
    let later = supervise("later".into(), Box::new(|| Box::pin(async { Err(OpenError::Later("no route".into())) })));
    let never = supervise("never".into(), Box::new(|| Box::pin(async { Err(OpenError::Never("no topic".into())) })));
    let scene = Scene::of(vec![later, never], Arc::new(Outside(Semaphore::new(0)))).await;
    let told = scene.until("/ready", |_, told| told["pipelines"][1]["state"] == "failed").await;
    let states = [("blocked", "no route"), ("failed", "no topic")];
    for (told, (state, reason)) in told["pipelines"].as_array().unwrap().iter().zip(states) {
        assert_eq!((&told["state"], &told["reason"]), (&json!(state), &json!(reason)));
    }
    assert_eq!(scene.get("/live").await.0, 200, "it is no fault of the process");
    assert_eq!(scene.post("/pipelines/never/pause").await.0, 409);
}

#[tokio::test]
async fn a_pipeline_is_paused_and_resumed_by_name() {
    let scene = Scene::new(&[("p", &["done"]), ("q", &[])]).await;
    let (status, told) = scene.post("/pipelines/p/pause").await;
    assert_eq!((status, &told["name"], &told["state"]), (200, &json!("p"), &json!("paused")));
    let (status, told) = scene.get("/ready").await;
    assert_eq!((status, &told["pipelines"][0]["state"]), (503, &json!("paused")));
    assert_ne!(told["pipelines"][1]["state"], "paused");
    scene.post("/pipelines/p/resume").await;
    scene.until("/ready", |_, told| told["pipelines"][0]["ready"] == true).await;
    let (status, told) = scene.post("/pipelines/nobody/pause").await;
    assert_eq!((status, told), (404, json!({ "error": "this host runs no pipeline `nobody`; it runs p, q" })));
    assert_eq!(scene.text("/pipelines/p/pause").await.0, 405, "a link pauses nothing");
}

#[tokio::test]
async fn no_web_page_pauses_a_pipeline() {
    let scene = Scene::new(&[("p", &["done"])]).await;
    for (header, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let request = scene.request(Method::POST, "/pipelines/p/pause").header(header, value);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 403, "{header}");
    }
    assert_ne!(scene.get("/status").await.1["pipelines"][0]["state"], "paused");
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let Err(error) = Listener::bind(Config { listen }).await else { panic!("bound twice") };
    assert!(error.to_string().starts_with(&format!("admin: cannot listen on {listen}: ")), "{error}");
}

#[tokio::test]
async fn the_server_ends_and_nobody_listens_then() {
    let Scene { server, base, client, .. } = Scene::new(&[("p", &[])]).await;
    assert!(client.get(format!("{base}/live")).send().await.is_ok());
    server.stop().await;
    assert!(client.get(format!("{base}/live")).send().await.is_err_and(|error| error.is_connect()));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_does_not_answer_is_silent_and_the_process_not_live() {
    let deaf = Handle::deaf("deaf");
    let served = vec![Served { remote: deaf.remote(), about: about() }];
    let host = routes::Host { pipelines: served, listen: "127.0.0.1:1".parse().unwrap(), clock: Clock::system() };
    // More than its queue holds.
    for _ in 0..40 {
        assert_eq!(host.status().await.pipelines[0].state, status::State::Silent);
    }
}

/// A sample: its name, its labels, its value.
type Sample = (String, BTreeSet<String>, f64);

/// Reads the exposition, strictly: every sample belongs to the family that was named last.
fn parse(text: &str) -> Vec<Sample> {
    let (mut family, mut samples) = (String::new(), Vec::new());
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(named) = line.strip_prefix("# TYPE ").or_else(|| line.strip_prefix("# HELP ")) {
            family = named.split(' ').next().unwrap().to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{name} below {family}"));
        assert!(["", "_total", "_sum", "_count", "_bucket"].contains(&suffix), "{name}");
        let labels = labels.strip_suffix('}').unwrap().split("\",").filter(|label| !label.is_empty());
        samples.push((name.to_owned(), labels.map(|label| label.replace('"', "")).collect(), value.parse().unwrap()));
    }
    let series: BTreeSet<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
    assert_eq!(series.len(), samples.len(), "a series is told twice");
    samples
}

#[tokio::test]
async fn metrics_are_those_of_the_table_and_count_what_became_of_messages() {
    let scene = Scene::new(&[("p", &["done", "done", "bad"])]).await;
    scene.outside.0.add_permits(1);
    scene.until("/status", |_, told| told["pipelines"][0]["unsettled"] == 0 && told["pipelines"][0]["lag"] == 5).await;
    let samples = parse(&scene.text("/metrics").await.1);
    let value = |name: &str, label: &str| {
        let of = samples.iter().filter(|(sample, labels, _)| sample == name && labels.iter().any(|l| l == label));
        of.map(|(.., value)| *value).collect::<Vec<_>>()
    };
    assert_eq!(value("messaging_client_consumed_messages_total", "pipeline=p"), [3.0]);
    assert_eq!(value("lockgate_settled_messages_total", "outcome=done"), [2.0]);
    assert_eq!(value("lockgate_settled_messages_total", "reason=bad"), [1.0]);
    assert_eq!(value("messaging_process_duration_seconds_count", "messaging_operation_name=process"), [3.0]);
    assert_eq!(value("messaging_process_duration_seconds_bucket", "le=+Inf"), [3.0]);
    assert_eq!(value("lockgate_message_latency_seconds_count", "messaging_consumer_group_name=g"), [2.0]);
    assert_eq!(value("lockgate_partition_lag_messages", "messaging_destination_partition_id=0"), [5.0]);
    assert_eq!(value("lockgate_pipeline_state", "state=running"), [1.0]);
    assert_eq!(value("lockgate_pipeline_state", "state=held"), [0.0]);
    let table: BTreeSet<String> = metrics::ALL.iter().map(metrics::Metric::queried).collect();
    let base =
        |name: &str| ["_sum", "_count", "_bucket"].iter().find_map(|end| name.strip_suffix(end).map(str::to_owned));
    let told: BTreeSet<String> = samples.iter().map(|(name, ..)| base(name).unwrap_or_else(|| name.clone())).collect();
    assert_eq!(told, table);
}

#[tokio::test]
async fn what_guests_say_makes_no_more_than_a_bounded_number_of_series() {
    let codes: Vec<String> = (0..300).map(|code| format!("code \"{code}\"\n\\ {}", "x".repeat(200))).collect();
    let outside = Arc::new(Outside(Semaphore::new(1)));
    let scene = Scene::of(vec![pipeline("p", &codes, &outside)], outside).await;
    scene
        .until("/status", |_, told| {
            told["pipelines"][0]["counts"]["in"] == 300 && told["pipelines"][0]["unsettled"] == 0
        })
        .await;
    let samples = parse(&scene.text("/metrics").await.1);
    let dead: Vec<&Sample> = samples.iter().filter(|(_, labels, _)| labels.contains("outcome=dead")).collect();
    assert_eq!(dead.len(), 101);
    assert_eq!(dead.iter().map(|(.., value)| value).sum::<f64>(), 300.0);
    assert!(dead.iter().all(|(_, labels, _)| labels.iter().all(|label| label.chars().count() < 100)));
    drop(scene.handles);
}
