//! The claims pipelines as they are shipped, with Kafka laid over the embedded log.

use e2e::demo::Demo;
use e2e::demo::task::{Domain, SIGNATURE};
use e2e::support::host::Host;
use e2e::support::kafka;
use e2e::support::lockgate::summary;

use super::CLASSIC;
use crate::claims::{Claims, TASKS, everything_is_settled};

/// What the shipped spec reads and writes, of each domain.
const TOPICS: [&str; 5] = ["downloads-pending", "downloads-cached", "downloads-results", "retry", "dlq"];

/// A published demo on Kafka, in topics and groups that begin with `mark`.
async fn demo(claims: &Claims, mark: &str, settings: &str) -> Demo {
    let broker = kafka::shared().await.unwrap();
    let of_both = |names: &[&str]| -> Vec<String> {
        Domain::ALL.iter().flat_map(|domain| names.iter().map(|name| domain.topic(name))).collect()
    };
    let topic = |name: String| format!("      {name}: {{ name: {mark}-{name} }}\n");
    let pipeline = |name: String| format!("  {name}: {{ from: {{ group: {mark}-{name} }} }}\n");
    let topics: String = of_both(&TOPICS).into_iter().map(topic).collect();
    let pipelines: String = of_both(&["download", "upload"]).into_iter().map(pipeline).collect();
    let overlay = format!(
        "transports:\n  bus:\n    kafka: {{ brokers: [\"{}\"], {settings} }}\n    topics:\n{topics}pipelines:\n{pipelines}",
        broker.bootstrap()
    );
    let mut demo = Demo::begin(&claims.place, TASKS).await.unwrap();
    let file = demo.folder().join("kafka.yaml");
    std::fs::write(&file, overlay).unwrap();
    demo.lockgate.specs.push(file);
    demo.publish().await.unwrap();
    demo
}

#[tokio::test]
async fn every_task_ends_as_it_has_to() {
    let claims = Claims::new().await;
    let demo = demo(&claims, "every", CLASSIC).await;
    let answer =
        demo.lockgate.answer(&["run", "--until-idle=parked", "--format", "json", "--log", "json"]).await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    assert_eq!(demo.differences().await.unwrap(), [""; 0]);
    assert!(!answer.errors.contains(SIGNATURE), "a signature is in the log");
    assert!(!demo.folder().join("bus").exists(), "nothing is in an embedded log");
    let summary = summary(&answer.output).unwrap();
    everything_is_settled(&summary);
}

#[tokio::test]
async fn a_host_killed_again_and_again_loses_nothing_in_a_group_that_the_broker_leads() {
    let claims = Claims::new().await;
    let demo = demo(&claims, "killed", "group_protocol: consumer").await;
    for requests in [10, 30, 60] {
        let mut host = Host::start(&demo.lockgate, &["--until-idle=parked"]).unwrap();
        host.until(demo.origin.until_asked(requests)).await.unwrap();
        host.kill().await.unwrap();
    }
    demo.lockgate.run_until_idle().await.unwrap();
    assert_eq!(demo.differences().await.unwrap(), [""; 0]);
}
