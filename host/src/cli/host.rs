//! Asks and tells a running host over its `admin` address. Never starts one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::place::SpecFiles;
use super::{Ended, Failure, answer};
use crate::admin::status::Status;
use crate::spec::Plan;

/// How long an answer may take. A host waits some seconds for pipelines that do not answer it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which running host a command speaks of.
#[derive(Args, Clone, Debug)]
pub(super) struct Where {
    /// Address of the running host, such as `127.0.0.1:9600`; the spec's `admin.listen` where absent.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<SocketAddr>,
}

impl Where {
    /// The host at the address that is given, else at the one that the spec says.
    pub(super) fn host(&self, spec: &SpecFiles) -> Result<Host, Failure> {
        match self.admin {
            Some(address) => Host::at(address),
            None => Host::of(&spec.plan()?)?.ok_or_else(|| {
                Failure::Usage(
                    "the spec has no `admin.listen`, so a running host cannot be asked; add it, such as \
                     `admin: { listen: 127.0.0.1:9600 }`, or give `--admin`"
                        .into(),
                )
            }),
        }
    }
}

/// A host that may be running.
pub(super) struct Host {
    address: SocketAddr,
    client: reqwest::Client,
}

/// What a host says when it refuses.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What a host says when it was told something.
#[derive(Deserialize)]
struct Told {
    state: String,
    reason: Option<String>,
}

impl Host {
    /// The host of a spec; none where it listens nowhere.
    pub(super) fn of(plan: &Plan) -> Result<Option<Self>, Failure> {
        match plan.admin {
            None => Ok(None),
            Some(admin) if admin.listen.port() == 0 => Err(Failure::Usage(
                "the spec's `admin.listen` has port 0, so its port is known to the running host only: it is in the \
                 host's log; give it with `--admin`"
                    .into(),
            )),
            Some(admin) => Self::at(admin.listen).map(Some),
        }
    }

    /// The host that listens on an address.
    pub(super) fn at(listen: SocketAddr) -> Result<Self, Failure> {
        // No proxy and no redirect: what is asked is this machine, or one that was named.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .context("cannot set up an HTTP client")?;
        Ok(Self { address: reachable(listen), client })
    }

    /// Where it is asked.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is; none when nobody listens there.
    pub(super) async fn status(&self) -> Result<Option<Status>, Failure> {
        let response = match self.client.get(format!("http://{}/status", self.address)).send().await {
            Err(error) if error.is_connect() => return Ok(None),
            response => response.map_err(|error| self.failed(error))?,
        };
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(error))?;
        if status != StatusCode::OK {
            return Err(self.refused(status, &body).into());
        }
        let read = serde_json::from_slice(&body);
        let told =
            read.with_context(|| format!("what answers on {} is no Lockgate host of this version", self.address));
        Ok(told.map(Some)?)
    }

    /// Tells a pipeline to `pause` or to `resume`, and says how it is then.
    pub(super) async fn tell(&self, pipeline: &str, word: &str) -> Ended {
        let mut url = url::Url::parse(&format!("http://{}", self.address)).context("no address")?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(["pipelines", pipeline, word]);
        }
        let sent = self.client.request(Method::POST, url).send().await;
        let response = sent.map_err(|error| self.failed(error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(error))?;
        let told: Option<Told> = serde_json::from_slice(&body).ok();
        let told = told.map(|Told { state, reason }| match reason {
            Some(reason) => format!("{pipeline} is {state}: {reason}"),
            None => format!("{pipeline} is {state}"),
        });
        match (told, status) {
            (Some(told), StatusCode::OK) => answer(told),
            (Some(told), _) => Err(anyhow!(told).into()),
            (None, _) => Err(self.refused(status, &body).into()),
        }
    }

    fn failed(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_connect() {
            return anyhow!(
                "no host answers on {}; is `lockgate run` running, with `admin` in its spec?",
                self.address
            );
        }
        anyhow::Error::new(error.without_url()).context(format!("the host on {} does not answer well", self.address))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        match serde_json::from_slice(body) {
            Ok(Refusal { error }) => anyhow!(error),
            Err(_) => anyhow!("{} answers {status}, which is no answer of a Lockgate host", self.address),
        }
    }
}

/// An address to connect to for one that is listened on: where that is every address, this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_listens_everywhere_is_asked_here() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9600"), "127.0.0.1:9600");
        assert_eq!(asked("[::]:9600"), "[::1]:9600");
        assert_eq!(asked("10.0.0.7:9600"), "10.0.0.7:9600");
    }

    #[tokio::test]
    async fn nobody_who_listens_is_no_error_of_a_look_and_one_of_a_command() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let host = Host::at(free).unwrap_or_else(|_| panic!());
        assert!(matches!(host.status().await, Ok(None)));
        let Err(Failure::Runtime(error)) = host.tell("p", "pause").await else { panic!("it was told") };
        assert!(error.to_string().contains("no host answers on"), "{error}");
    }
}
