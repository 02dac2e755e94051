//! A real broker: what it keeps, and what it leaves behind. Tests here are named for it, so that they can be left out
//! without Java.

use super::*;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn broker() -> Broker {
    Broker::start(&install().unwrap()).unwrap()
}

fn topics(broker: &Broker) -> Vec<String> {
    // Where there is none, it says an empty line.
    broker.tool(TOPICS, &["--list"]).unwrap().split_whitespace().map(str::to_owned).collect()
}

fn make(broker: &Broker, topic: &str) {
    let size = ["--partitions", "2", "--replication-factor", "1"];
    broker.tool(TOPICS, &[&["--create", "--topic", topic], &size[..]].concat()).unwrap();
}

#[test]
fn a_broker_keeps_its_place_and_its_data_over_a_stop_and_a_kill() {
    let mut broker = broker();
    let place = broker.bootstrap().to_owned();
    assert_eq!(topics(&broker), [""; 0], "it begins without topics");
    make(&broker, "first");
    broker.stop();
    assert!(broker.process().is_none() && TcpStream::connect(&place).is_err());
    broker.restart().unwrap();
    make(&broker, "second");
    broker.kill();
    assert!(broker.process().is_none() && TcpStream::connect(&place).is_err());
    broker.restart().unwrap();
    assert_eq!(broker.bootstrap(), place);
    assert_eq!(topics(&broker), ["first", "second"]);
}

#[test]
fn two_brokers_know_nothing_of_each_other_and_leave_nothing() {
    let (one, other) = (broker(), broker());
    make(&one, "ours");
    assert_eq!((topics(&one).len(), topics(&other).len()), (1, 0));
    let (place, folder) = (one.bootstrap().to_owned(), one.folder.path().to_owned());
    assert!(folder.join("data").exists());
    drop(one);
    assert!(TcpStream::connect(&place).is_err() && !folder.exists());
}

#[test]
fn what_a_tool_refuses_is_told() {
    let broker = broker();
    let refused = broker.tool(TOPICS, &["--describe", "--topic", "none"]).unwrap_err().to_string();
    assert!(refused.contains("'none' does not exist"), "{refused}");
}

#[test]
fn every_way_to_sign_in_is_open_over_tls() {
    let broker = broker();
    let known = format!("username=\"{}\" password=\"{}\"", properties::USER, properties::PASSWORD);
    let ways = [
        ("PLAIN", "plain.PlainLoginModule", known.as_str()),
        ("SCRAM-SHA-256", "scram.ScramLoginModule", &known),
        ("SCRAM-SHA-512", "scram.ScramLoginModule", &known),
        ("OAUTHBEARER", "oauthbearer.OAuthBearerLoginModule", "unsecuredLoginStringClaim_sub=\"somebody\""),
    ];
    for (mechanism, module, login) in ways {
        let login = format!("org.apache.kafka.common.security.{module} required {login};");
        let ca = broker.ca().display();
        let file = broker.folder.path().join(mechanism);
        let text = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.jaas.config={login}\n\
             ssl.truststore.type=PEM\nssl.truststore.location={ca}\n"
        );
        fs::write(&file, text).unwrap();
        let mut list = java::command(&broker.installed.jars(), TOPICS);
        list.args(["--bootstrap-server", broker.sasl(), "--list", "--command-config"]).arg(&file);
        let done = list.output().unwrap();
        assert!(done.status.success(), "{mechanism}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
