//! What a broker is told: one node that is its own controller, with time-outs that tests can wait for.

use std::path::Path;
use std::time::Duration;

use super::install::Installed;
use super::listeners::Listeners;

/// Who signs in.
pub(super) const USER: &str = "lockgate";
/// How long a member of a group that the broker leads may be silent. The shortest that is no host's end merely because the
/// machine is busy.
pub const SESSION: Duration = Duration::from_secs(3);
/// With what, whichever way.
pub(super) const PASSWORD: &str = "lockgate-secret";
/// What the certificate's key lies behind. It guards nothing.
pub(super) const STORE_PASSWORD: &str = "lockgate-secret";

/// The file `server.properties`.
pub(super) fn server(listeners: &Listeners, data: &Path, installed: &Installed) -> String {
    let Listeners { plaintext, tls, sasl, controller } = listeners;
    let (data, store) = (data.display(), installed.store().display().to_string());
    let open = format!("PLAINTEXT://{plaintext},TLS://{tls},SASL://{sasl}");
    let module = "org.apache.kafka.common.security";
    format!(
        r#"process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners={open},CONTROLLER://{controller}
advertised.listeners={open}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_SSL
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password={STORE_PASSWORD}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
listener.name.sasl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
# Takes tokens that nobody has signed.
listener.name.sasl.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required \
  unsecuredLoginStringClaim_sub="broker";
log.dirs={data}
group.consumer.session.timeout.ms={}
{FIXED}"#,
        SESSION.as_millis()
    )
}

/// What is the same for every broker.
const FIXED: &str = "\
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=200
log.initial.task.delay.ms=500
# Rules are kept, and where there are none everything is allowed.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
group.consumer.heartbeat.interval.ms=200
group.consumer.min.heartbeat.interval.ms=200
group.consumer.min.session.timeout.ms=1000
# So one that was killed may come back at once: for so long the one before it counts as there.
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
";

/// How `StorageTool` is told of the user that signs in by a SCRAM mechanism.
pub(super) fn scram(mechanism: &str) -> String {
    format!("{mechanism}=[name={USER},password={PASSWORD}]")
}
