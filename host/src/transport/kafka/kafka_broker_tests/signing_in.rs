//! TLS and SASL: what is right works, and what is wrong is said in words.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cluster::{Reader, name, write};
use crate::model::{Clock, Secret, SecretRef, Secrets};
use crate::transport::kafka::Kafka;
use crate::transport::kafka::config::{Client, Config, Login, Sasl, Tls};
use crate::transport::{Transport, TransportError};

const PASSWORD: &str = "lockgate-secret";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn trusted() -> Option<Tls> {
    Some(Tls { ca: Some(variable("LOCKGATE_KAFKA_CA").into()), ..Tls::default() })
}

fn login() -> Login {
    Login { username: "lockgate".into(), password: SecretRef("password".into()) }
}

fn secure(broker: &str, tls: Option<Tls>, sasl: Option<Sasl>, password: &str) -> Kafka {
    let config = Config { brokers: vec![variable(broker)], tls, sasl, ..Config::default() };
    let secrets = Secrets(BTreeMap::from([("password".to_owned(), Secret::new(password))]));
    Kafka::new("bus", &config, BTreeMap::new(), Clock::system(), &secrets).unwrap()
}

/// Writes and reads.
async fn works(kafka: &Kafka) {
    let topic = name("secured");
    super::cluster::make(&topic, 1, &[]).await;
    write(&*kafka.sink(&topic).await.unwrap(), 3).await;
    assert_eq!(Reader::of(kafka, &topic).await.offsets(3).await, [0, 1, 2]);
}

async fn refused(kafka: &Kafka) -> TransportError {
    kafka.topics().await.unwrap_err()
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn tls_with_an_authority_of_ones_own() {
    works(&secure("LOCKGATE_KAFKA_TLS", trusted(), None, "")).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn an_authority_that_is_not_trusted_is_told() {
    let told = refused(&secure("LOCKGATE_KAFKA_TLS", Some(Tls::default()), None, "")).await.to_string();
    assert!(told.to_lowercase().contains("certificate"), "{told}");
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn every_way_to_sign_in_works_with_the_right_password_and_tells_a_wrong_one() {
    for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
        works(&secure("LOCKGATE_KAFKA_SASL", trusted(), Some(sasl(login())), PASSWORD)).await;
        let wrong = refused(&secure("LOCKGATE_KAFKA_SASL", trusted(), Some(sasl(login())), "not-the-password")).await;
        let told = wrong.to_string();
        assert!(told.to_lowercase().contains("authentication"), "{told}");
        assert!(wrong.is_transient() && !told.contains("not-the-password"), "{told}");
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn tokens_of_a_provider_are_taken() {
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let token_endpoint = format!("http://{}/token", provider.local_addr().unwrap());
    // It answers until the process ends.
    std::thread::spawn(move || provider.incoming().for_each(|stream| give_token(stream.unwrap())));
    let client = Client {
        token_endpoint,
        client_id: "lockgate".into(),
        client_secret: SecretRef("password".into()),
        scope: None,
    };
    works(&secure("LOCKGATE_KAFKA_SASL", trusted(), Some(Sasl::Oauthbearer(client)), PASSWORD)).await;
}

/// An unsigned token, as the broker of the tests takes it.
fn give_token(mut stream: std::net::TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let now = Clock::system().wall().0 / 1000;
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let claims = format!(r#"{{"sub":"lockgate","iat":{now},"exp":{},"scope":"all"}}"#, now + 600);
    let token = format!("{}.{}.", part(r#"{"alg":"none"}"#.into()), part(claims));
    let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":600}}"#);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let tls = Some(Tls { ca: Some(PathBuf::from("no/such/ca.pem")), ..Tls::default() });
    let config = Config { brokers: vec!["127.0.0.1:1".into()], tls, ..Config::default() };
    let refused = Kafka::new("bus", &config, BTreeMap::new(), Clock::system(), &Secrets::default()).err().unwrap();
    assert!(refused.to_string().contains("no/such/ca.pem"), "{refused}");
}
