//! The claims pipelines as they are shipped, with Event Hubs laid over the embedded log.

use e2e::demo::Demo;
use e2e::demo::task::SIGNATURE;
use e2e::support::event_hubs;
use e2e::support::host::Host;
use e2e::support::lockgate::summary;

use super::SETTINGS;
use crate::claims::{Claims, TASKS, everything_is_settled};

async fn demo(claims: &Claims, mark: &str) -> Demo {
    let namespace = event_hubs::shared().await.unwrap();
    let mut demo = Demo::begin(&claims.place, TASKS).await.unwrap();
    demo.on_event_hubs(namespace, mark, SETTINGS).await.unwrap();
    demo.publish().await.unwrap();
    demo
}

#[tokio::test]
async fn every_task_ends_as_it_has_to() {
    let claims = Claims::new().await;
    let demo = demo(&claims, "every-").await;
    let answer =
        demo.lockgate.answer(&["run", "--until-idle=parked", "--format", "json", "--log", "json"]).await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    assert_eq!(demo.differences().await.unwrap(), [""; 0]);
    for secret in [SIGNATURE, "SAS_KEY_VALUE", "SharedAccessSignature"] {
        assert!(!answer.errors.contains(secret), "{secret} is in the log");
    }
    assert!(!demo.folder().join("bus").exists(), "nothing is in an embedded log");
    let summary = summary(&answer.output).unwrap();
    everything_is_settled(&summary);
}

#[tokio::test]
async fn a_host_killed_again_and_again_loses_nothing() {
    let claims = Claims::new().await;
    let demo = demo(&claims, "killed-").await;
    for requests in [10, 30, 60] {
        let mut host = Host::start(&demo.lockgate, &["--until-idle=parked"]).unwrap();
        host.until(demo.origin.until_asked(requests)).await.unwrap();
        host.kill().await.unwrap();
    }
    demo.lockgate.run_until_idle().await.unwrap();
    assert_eq!(demo.differences().await.unwrap(), [""; 0]);
}
