//! What brokers are started from: the jars from Maven, a formatted data folder without a message, and the certificates of
//! the TLS listeners.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::java;
use super::listeners::Listeners;
use super::properties::{self, STORE_PASSWORD};
use crate::cache;

/// As `pom.xml` names it.
const VERSION: &str = "4.3.1";
/// What Maven is asked for; the plugin's version too, for it would be another one with every Maven.
const COPY_JARS: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// Any 16 bytes in base64url are the id of a cluster.
const CLUSTER: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
/// How long the certificates are right: longer than anybody keeps a cache.
const VALIDITY: [&str; 4] = ["-startdate", "-1d", "-validity", "3650"];

/// What is installed, to start brokers from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installed {
    folder: PathBuf,
}

/// Installs the broker where it is missing.
pub fn install() -> anyhow::Result<Installed> {
    // The data folder is the last that is made.
    let folder = cache::install(&format!("kafka-{VERSION}"), "data/meta.properties", |folder| {
        let installed = Installed { folder: folder.to_owned() };
        installed.fetch_jars()?;
        installed.make_certificates()?;
        installed.format()
    })
    .context("cannot install Kafka; `cargo xtask test --without kafka_broker` goes without")?;
    Ok(Installed { folder })
}

impl Installed {
    /// The folder of the jars.
    pub fn jars(&self) -> PathBuf {
        self.folder.join("jars")
    }

    /// A formatted data folder, to be copied.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The certificate of the authority that the listeners' certificate is from, in PEM.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The listeners' certificate with its key.
    pub(super) fn store(&self) -> PathBuf {
        self.folder.join("server.p12")
    }

    fn fetch_jars(&self) -> anyhow::Result<()> {
        let pom = self.folder.join("pom.xml");
        fs::write(&pom, include_str!("pom.xml"))?;
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-f"]).arg(&pom).arg(COPY_JARS);
        run(maven.arg(format!("-DoutputDirectory={}", self.jars().display())))
    }

    /// One authority, and one certificate of it. With the tool that comes with Java.
    fn make_certificates(&self) -> anyhow::Result<()> {
        let make = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1"];
        let keytool = |arguments: &[&str]| {
            let mut keytool = Command::new("keytool");
            keytool.args(arguments).args(["-storetype", "PKCS12", "-storepass", STORE_PASSWORD]);
            run(keytool.arg("-keystore").arg(self.store()))
        };
        let authority = ["-alias", "ca", "-dname", "CN=Authority of tests", "-ext", "bc:critical=ca:true"];
        keytool(&[&make[..], &VALIDITY, &authority, &["-ext", "ku:critical=keyCertSign"]].concat())?;
        let server = ["-alias", "server", "-signer", "ca", "-dname", "CN=localhost", "-ext", "eku=serverAuth"];
        keytool(&[&make[..], &VALIDITY, &server, &["-ext", "san=ip:127.0.0.1,dns:localhost"]].concat())?;
        let file = self.authority().display().to_string();
        keytool(&["-exportcert", "-rfc", "-alias", "ca", "-file", &file])?;
        // The broker is to find one key only.
        keytool(&["-delete", "-alias", "ca"])
    }

    /// Makes the data folder, with the user that signs in by SCRAM. It holds no port and no path.
    fn format(&self) -> anyhow::Result<()> {
        let file = self.folder.join("format.properties");
        let listeners = Listeners::at([1, 2, 3, 4]);
        fs::write(&file, properties::server(&listeners, &self.data(), self))?;
        let mut format = java::command(&self.jars(), "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", CLUSTER, "--config"]).arg(&file);
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            format.arg("--add-scram").arg(properties::scram(mechanism));
        }
        run(&mut format)
    }
}

/// Runs a command whose output matters only when it fails.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    let told = || [done.stdout.as_slice(), &done.stderr].map(String::from_utf8_lossy).concat();
    ensure!(done.status.success(), "`{name}` failed: {}\n{}", done.status, told());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_named_for_the_version_that_is_fetched() {
        let pom = include_str!("pom.xml");
        assert_eq!(pom.matches(&format!("<version>{VERSION}</version>")).count(), 2, "the broker and its tools");
    }

    #[test]
    fn what_fails_is_told_with_what_it_said() {
        let failed = run(Command::new("sh").args(["-c", "echo no room; echo at all >&2; exit 3"])).unwrap_err();
        let told = failed.to_string();
        assert!(["`sh` failed", "3", "no room", "at all"].iter().all(|part| told.contains(part)), "{told}");
    }
}
