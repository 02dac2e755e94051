//! Connection strings, as the portal and emulators show them. They hold secrets, so no error repeats anything of one but
//! the names of its parts.

use url::Url;

use super::sas::Signing;

/// A connection string that was read.
#[derive(Clone)]
pub(super) struct ConnectionString {
    /// The namespace's own name.
    pub(super) host: String,
    /// Where it answers, if not where its kind always does.
    pub(super) port: Option<u16>,
    pub(super) signing: Signing,
    /// The only hub that it is for.
    pub(super) entity: Option<String>,
    /// Whether it is an emulator's, which has no TLS.
    pub(super) is_emulator: bool,
}

/// Why a text is no connection string.
pub(super) type Unfit = String;

/// The parts that are known; the others of other clients are passed over.
#[derive(Default)]
struct Parts<'t> {
    endpoint: Option<&'t str>,
    key_name: Option<&'t str>,
    key: Option<&'t str>,
    signature: Option<&'t str>,
    entity: Option<&'t str>,
    emulator: Option<&'t str>,
}

impl ConnectionString {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, Unfit> {
        let parts = Parts::split(text)?;
        let endpoint = parts.endpoint.ok_or("it has no `Endpoint`")?;
        let (host, port) =
            address(endpoint).ok_or("its `Endpoint` is not of the form `sb://name.servicebus.windows.net`")?;
        let entity = parts.entity.filter(|entity| !entity.is_empty()).map(str::to_owned);
        let is_emulator = parts.emulator.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(Self { host, port, signing: parts.signing()?, entity, is_emulator })
    }
}

impl<'t> Parts<'t> {
    fn split(text: &'t str) -> Result<Self, Unfit> {
        let mut parts = Self::default();
        for part in text.trim().split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or("a part of it is not of the form `name=value`")?;
            let Some((name, place)) = parts.place(name.trim()) else { continue };
            if place.replace(value.trim()).is_some() {
                return Err(format!("it has `{name}` twice"));
            }
        }
        Ok(parts)
    }

    fn place(&mut self, name: &str) -> Option<(&'static str, &mut Option<&'t str>)> {
        let places = [
            ("Endpoint", &mut self.endpoint),
            ("SharedAccessKeyName", &mut self.key_name),
            ("SharedAccessKey", &mut self.key),
            ("SharedAccessSignature", &mut self.signature),
            ("EntityPath", &mut self.entity),
            ("UseDevelopmentEmulator", &mut self.emulator),
        ];
        places.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    fn signing(&self) -> Result<Signing, Unfit> {
        match (self.key_name, self.key, self.signature) {
            (Some(name), Some(key), None) => Signing::key(name, key),
            (None, None, Some(signature)) => Signing::signature(signature),
            (_, _, Some(_)) => Err("it has a `SharedAccessSignature` and a key; one of them is enough".to_owned()),
            (Some(_), None, None) => Err("it has a `SharedAccessKeyName` but no `SharedAccessKey`".to_owned()),
            (None, Some(_), None) => Err("it has a `SharedAccessKey` but no `SharedAccessKeyName`".to_owned()),
            (None, None, None) => Err("it has neither a `SharedAccessKey` nor a `SharedAccessSignature`".to_owned()),
        }
    }
}

/// Host and port of an endpoint.
fn address(endpoint: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "sb" | "amqps" | "amqp" | "https"))?;
    let host = url.host_str().filter(|host| !host.is_empty())?.to_ascii_lowercase();
    Some((host, url.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "SharedAccessKeyName=root;SharedAccessKey=SENTINEL=";

    #[test]
    fn parts_are_known_in_any_order_and_case() {
        let text = format!(" endpoint=sb://Name.servicebus.windows.net/;{KEY};EntityPath=orders;TransportType=x; ");
        let read = ConnectionString::parse(&text).unwrap();
        assert_eq!((read.host.as_str(), read.port), ("name.servicebus.windows.net", None));
        assert_eq!((read.entity.as_deref(), read.is_emulator), (Some("orders"), false));
    }

    #[test]
    fn an_emulator_s_has_a_port() {
        let text = format!("Endpoint=sb://localhost:5671;{KEY};UseDevelopmentEmulator=true;EntityPath=");
        let read = ConnectionString::parse(&text).unwrap();
        assert_eq!(
            (read.host.as_str(), read.port, read.entity, read.is_emulator),
            ("localhost", Some(5671), None, true)
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        let signature = "SharedAccessSignature=SharedAccessSignature sr=x&sig=SENTINEL&se=9";
        for (text, told) in [
            (KEY.to_owned(), "no `Endpoint`"),
            (format!("Endpoint=SENTINEL;{KEY}"), "`Endpoint` is not"),
            (format!("Endpoint=http://SENTINEL;{KEY}"), "`Endpoint` is not"),
            (format!("Endpoint=sb://n;{KEY};SharedAccessKey=SENTINEL"), "`SharedAccessKey` twice"),
            ("Endpoint=sb://n;SharedAccessKey=SENTINEL".to_owned(), "no `SharedAccessKeyName`"),
            ("Endpoint=sb://n;SharedAccessKeyName=SENTINEL".to_owned(), "no `SharedAccessKey`"),
            ("Endpoint=sb://n".to_owned(), "neither"),
            (format!("Endpoint=sb://n;{KEY};{signature}"), "one of them"),
            ("Endpoint=sb://n;SENTINEL".to_owned(), "`name=value`"),
            ("Endpoint=sb://n;SharedAccessSignature=SENTINEL".to_owned(), "shared access signature"),
            ("Endpoint=sb://n;SharedAccessKeyName=n;SharedAccessKey=".to_owned(), "empty"),
        ] {
            let Err(error) = ConnectionString::parse(&text) else { panic!("{text}") };
            assert!(error.contains(told) && !error.contains("SENTINEL"), "{error}");
        }
    }

    #[test]
    fn a_ready_signature_signs_too() {
        let text =
            "Endpoint=sb://n;SharedAccessSignature=SharedAccessSignature sr=sb%3A%2F%2Fn&sig=a%3D&se=1700000000&skn=k";
        assert!(ConnectionString::parse(text).is_ok());
    }
}
