//! Certificates, made at each start: an authority, and a server's certificate that it signs. The authority's key is
//! forgotten at once.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig};

/// What connections are secured by.
pub(crate) struct Certificates {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate, in PEM: what clients have to trust.
    pub(crate) ca: String,
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One cannot be made.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// One cannot be used.
    #[error("cannot use the certificate: {0}")]
    Using(#[from] rustls::Error),
}

/// Names by which the loopback is reached.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Certificates {
    /// New ones, for the loopback and for these names.
    pub(crate) fn new(names: &[String]) -> Result<Self, CertificateError> {
        let (ca, issuer) = authority()?;
        let key = KeyPair::generate()?;
        let names = LOOPBACK.into_iter().map(str::to_owned).chain(names.iter().cloned());
        let mut server = CertificateParams::new(names.collect::<Vec<_>>())?;
        server.distinguished_name.push(DnType::CommonName, "eventhubs emulator");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let certificate = server.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        // Named, because other crates of the same program may have another provider as their default.
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca })
    }
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "eventhubs emulator authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = authority.self_signed(&key)?;
    Ok((certificate.pem(), Issuer::new(authority, key)))
}
