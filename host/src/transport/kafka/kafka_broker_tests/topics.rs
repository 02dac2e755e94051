//! Topics that are missing, and how they are made.

use std::collections::BTreeMap;

use super::cluster::{config, kafka, kafka_with, name};
use crate::model::Period;
use crate::transport::config::{Create, Retention, Topic};
use crate::transport::kafka::config::{GroupProtocol, Property};
use crate::transport::kafka::topics::largest;
use crate::transport::{Transport, TransportError};

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_that_is_missing_is_an_error_that_names_it() {
    let (topic, transport) = (name("missing"), kafka(&config(GroupProtocol::Classic)));
    let refused = transport.sink(&topic).await.err().unwrap();
    assert_eq!(refused, TransportError::UnknownTopic { transport: "bus".into(), topic: topic.clone() });
    assert!(transport.topics().await.unwrap().iter().all(|info| info.name != topic));
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_is_made_as_it_is_said_and_read_by_its_name_in_the_spec() {
    let physical = name("made");
    let config_of = [("max.message.bytes".to_owned(), Property("2000000".to_owned()))];
    let create = Create {
        partitions: 3.try_into().ok(),
        replication: 1.try_into().ok(),
        retention: Retention { age: Some(Period::from_secs(3600)), size: None },
        config: config_of.into(),
    };
    let topic = Topic { name: Some(physical.clone()), create: Some(create), ..Topic::default() };
    let transport = kafka_with(&config(GroupProtocol::Classic), BTreeMap::from([("orders".to_owned(), topic)]));
    assert_eq!(transport.sink("orders").await.unwrap().partitions(), 3);
    assert_eq!(largest(&transport.0.admin().unwrap(), &physical).await, 2_000_000);
    let topics = transport.topics().await.unwrap();
    assert!(["orders", &physical].iter().all(|name| topics.iter().any(|info| info.name == **name)), "{topics:?}");
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_that_the_broker_does_not_make_is_told_with_the_reason() {
    let create = Create { replication: 99.try_into().ok(), ..Create::default() };
    let topics = BTreeMap::from([(name("never"), Topic { create: Some(create), ..Topic::default() })]);
    let topic = topics.keys().next().unwrap().clone();
    let refused = kafka_with(&config(GroupProtocol::Classic), topics).sink(&topic).await.err().unwrap();
    assert!(!refused.is_transient() && refused.to_string().contains(&topic), "{refused}");
}

/// Nothing listens there.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_broker_that_is_away_is_told_with_its_address() {
    let mut away = config(GroupProtocol::Classic);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    away.brokers = vec![listener.local_addr().unwrap().to_string()];
    drop(listener);
    let failed = kafka(&away).sink("t").await.err().unwrap();
    assert!(failed.is_transient() && failed.to_string().contains(&away.brokers[0]), "{failed}");
}
