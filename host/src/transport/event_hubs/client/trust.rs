//! Whom connections trust: the machine's authorities, or those of `SSL_CERT_FILE` in their place, and besides those that
//! the spec names. The same as the rest of the host.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// How TLS is spoken, with the authorities of this file besides the machine's.
pub(super) fn tls(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    check_machine(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).as_deref())?;
    let provider = Arc::new(default_provider());
    let extra = ca.map(authorities).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(|error| format!("no authority can be trusted: {error}; say `ca` or SSL_CERT_FILE"))?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let verified = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(verified.with_no_client_auth()))
}

/// The authorities in a PEM file; at least one.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("`ca` {} cannot be read: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found.map_err(|error| unreadable(&error))? {
        none if none.is_empty() => Err(format!("`ca` {} holds no certificate in PEM", path.display())),
        found => Ok(found),
    }
}

/// The TLS library reads this file itself, and would only log that it cannot.
fn check_machine(path: Option<&Path>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let opened = std::fs::File::open(path).map(drop);
    opened.map_err(|error| format!("{}, which SSL_CERT_FILE names, cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_or_it_is_said_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let missing = authorities(&path).unwrap_err();
        assert!(missing.contains("ca.pem cannot be read"), "{missing}");
        std::fs::write(&path, "no certificate").unwrap();
        assert!(authorities(&path).unwrap_err().ends_with("holds no certificate in PEM"));
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        std::fs::write(&path, format!("{pem}{pem}")).unwrap();
        assert_eq!(authorities(&path).unwrap().len(), 2);
        assert!(tls(Some(&path)).is_ok());
    }

    #[test]
    fn a_file_in_place_of_the_machine_s_that_is_missing_is_named() {
        assert!(check_machine(Some(Path::new("/no/such/file"))).unwrap_err().contains("SSL_CERT_FILE"));
        assert_eq!(check_machine(None), Ok(()));
    }
}
