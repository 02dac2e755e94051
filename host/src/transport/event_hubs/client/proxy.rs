//! The way through an HTTP proxy: it is asked to connect (`CONNECT`) and from then on only passes bytes. It resolves the
//! service's name.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

use crate::model::{Secret, SecretRef, Secrets};
use crate::transport::event_hubs::config::{self, ProxyAuth};

/// The most bytes of a proxy's answer.
const LONGEST_ANSWER: usize = 8 << 10;

/// A proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    auth: Option<(&'static str, Secret)>,
}

impl Proxy {
    /// The proxy of the spec. No error repeats its URL, for it may hold a password.
    pub(super) fn new(config: &config::Proxy, secrets: &Secrets) -> Result<Self, String> {
        let url = Url::parse(&config.url).map_err(|_| "`proxy.url` is no absolute URL".to_owned())?;
        if url.scheme() != "http" {
            return Err("`proxy.url` must begin with http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("`proxy.url` holds a user or a password; credentials go under `auth`".to_owned());
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| bare).ok_or("`proxy.url` must be a host and a port and no more")?;
        let secret =
            |name: &SecretRef| secrets.get(name).cloned().ok_or_else(|| format!("there is no secret `{}`", name.0));
        let auth = match &config.auth {
            ProxyAuth::None => None,
            ProxyAuth::Bearer { token } => Some(("Bearer", secret(token)?)),
            ProxyAuth::Basic { encoded } => Some(("Basic", secret(encoded)?)),
        };
        Ok(Self { host: host.to_owned(), port: url.port_or_known_default().unwrap_or(80), auth })
    }

    /// Has the proxy connect this stream to a host.
    pub(super) async fn connect<S>(&self, stream: &mut S, host: &str, port: u16) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(self.request(host, port)?.as_bytes()).await?;
        stream.flush().await?;
        let answer = head(stream).await?;
        let line = answer.lines().next().unwrap_or_default();
        match line.split(' ').nth(1) {
            Some("200") if line.starts_with("HTTP/1.") => Ok(()),
            Some("407") => Err(io::Error::other("it wants a credential, or another one; say `proxy.auth`")),
            _ => Err(io::Error::other(format!("it answers {line:?}"))),
        }
    }

    fn request(&self, host: &str, port: u16) -> io::Result<String> {
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some((scheme, secret)) = &self.auth {
            let secret = secret.expose();
            if secret.chars().any(char::is_control) {
                return Err(io::Error::other("its credential holds a line break"));
            }
            request.push_str(&format!("Proxy-Authorization: {scheme} {secret}\r\n"));
        }
        request.push_str("\r\n");
        Ok(request)
    }

    /// The same for the HTTP client, which gets tokens through it.
    pub(super) fn for_http(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(format!("http://{}:{}", self.host, self.port))?;
        Ok(match &self.auth {
            Some((scheme, secret)) => match format!("{scheme} {}", secret.expose()).parse() {
                Ok(value) => proxy.custom_http_auth(value),
                Err(_) => proxy,
            },
            None => proxy,
        })
    }
}

/// The head of an answer. Byte by byte, for what comes behind it is not the proxy's.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_ANSWER {
            return Err(io::Error::other("its answer does not end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn proxy(url: &str, auth: ProxyAuth) -> Result<Proxy, String> {
        let secrets = Secrets([("p".to_owned(), Secret::new("SENTINEL"))].into());
        Proxy::new(&config::Proxy { url: url.to_owned(), auth }, &secrets)
    }

    async fn answered(answer: &str) -> (io::Result<()>, String, Vec<u8>) {
        let proxy = proxy("http://proxy:3128", ProxyAuth::Basic { encoded: SecretRef("p".into()) }).unwrap();
        let (mut ours, mut theirs) = duplex(4 * LONGEST_ANSWER);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        let connected = proxy.connect(&mut ours, "n.example", 443).await;
        theirs.shutdown().await.unwrap();
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        drop(ours);
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).await.unwrap();
        (connected, asked, rest)
    }

    #[tokio::test]
    async fn it_is_asked_to_connect_and_what_follows_its_answer_is_left() {
        let (connected, asked, rest) = answered("HTTP/1.1 200 OK\r\nVia: x\r\n\r\nAMQP").await;
        connected.unwrap();
        let expected =
            "CONNECT n.example:443 HTTP/1.1\r\nHost: n.example:443\r\nProxy-Authorization: Basic SENTINEL\r\n\r\n";
        assert_eq!((asked.as_str(), rest.as_slice()), (expected, b"AMQP".as_slice()));
    }

    #[tokio::test]
    async fn a_refusal_says_what_it_answered() {
        for (answer, told) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy.auth"),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
            ("nonsense\r\n\r\n", "nonsense"),
        ] {
            let error = answered(answer).await.0.unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("SENTINEL"), "{error}");
        }
        assert!(answered(&"x".repeat(LONGEST_ANSWER + 1)[..]).await.0.is_err());
    }

    #[test]
    fn a_url_that_cannot_be_used_is_told_without_it() {
        for url in ["SENTINEL", "https://SENTINEL", "http://u:SENTINEL@p", "http://p/SENTINEL", "http://p?SENTINEL"] {
            let error = proxy(url, ProxyAuth::None).unwrap_err();
            assert!(error.contains("`proxy.url`") && !error.contains("SENTINEL"), "{error}");
        }
        let found = proxy("http://proxy", ProxyAuth::None).unwrap();
        assert_eq!((found.host.as_str(), found.port), ("proxy", 80));
        let unknown = ProxyAuth::Bearer { token: SecretRef("q".into()) };
        assert_eq!(proxy("http://proxy", unknown).unwrap_err(), "there is no secret `q`");
    }
}
