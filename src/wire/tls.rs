//! TLS: which roots are trusted, who we are, and why a handshake failed. rustls with ring; checking cannot be switched off.

use std::io;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, SignatureScheme};

/// Where trust begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Roots {
    /// Mozilla's roots, inside the library.
    #[default]
    Bundled,
    /// The operating system's.
    System,
}

/// The TLS part of a config, PEM already read from its files.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Where trust begins.
    pub roots: Roots,
    /// More roots: the config key that gave them, and PEM.
    pub extra_roots: Vec<(&'static str, Vec<u8>)>,
    /// Our certificate chain and our key, each with the config key that gave it.
    pub client: Option<[(&'static str, Vec<u8>); 2]>,
}

/// TLS, ready to use.
#[derive(Clone)]
pub struct TlsSetup {
    as_ourselves: Arc<ClientConfig>,
    as_nobody: Arc<ClientConfig>,
}

/// Shows no certificate.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// The options cannot be used: which key of the config, and why.
#[derive(Debug)]
pub struct TlsFailure {
    /// Without `tls.`.
    pub key: &'static str,
    /// A part of a sentence.
    pub why: String,
}

impl TlsSetup {
    /// Check the options and make them ready.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsFailure> {
        let fail = |key, why: String| TlsFailure { key, why };
        let mut roots = RootCertStore::empty();
        match options.roots {
            Roots::Bundled => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Roots::System => {
                let found = rustls_native_certs::load_native_certs();
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    let why = found.errors.first().map_or("none were found".to_owned(), ToString::to_string);
                    return Err(fail("roots", format!("the system's certificates cannot be used: {why}")));
                }
            }
        }
        for (key, pem) in &options.extra_roots {
            let certificates = certificates(pem).map_err(|why| fail(key, why))?;
            for certificate in certificates {
                roots
                    .add(certificate)
                    .map_err(|error| fail(key, format!("holds a certificate that cannot be a root: {error}")))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fail("roots", error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match &options.client {
            None => builder.with_client_cert_resolver(Arc::new(Nobody)),
            Some([(chain_key, chain), (key_key, key)]) => {
                let chain = certificates(chain).map_err(|why| fail(chain_key, why))?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| fail(key_key, "holds no private key in PEM".to_owned()))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| fail(key_key, format!("does not go with the certificate: {error}")))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut as_nobody = config.clone();
        as_nobody.client_auth_cert_resolver = Arc::new(Nobody);
        Ok(TlsSetup { as_ourselves: Arc::new(config), as_nobody: Arc::new(as_nobody) })
    }

    /// For a connection to this host. `may_know_us`: our certificate is shown if it is asked for.
    pub(super) fn connection(&self, host: &str, may_know_us: bool) -> Result<ClientConnection, String> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| format!("{host:?} is no name that TLS knows"))?;
        let config = if may_know_us { &self.as_ourselves } else { &self.as_nobody };
        ClientConnection::new(config.clone(), name).map_err(|error| error.to_string())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err("holds no certificate in PEM".to_owned()),
        Err(_) => Err("is no PEM: a certificate stands in lines of its own between -----BEGIN CERTIFICATE----- and \
             -----END CERTIFICATE-----"
            .to_owned()),
    }
}

/// The TLS error inside an I/O error.
pub(super) fn of_io(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// A failed handshake in words: what is wrong with whom, and what to do. `key` names it in the config.
pub(super) fn explain(host: &str, key: &str, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(cause) => match cause {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {host} was not issued by a trusted root (unknown issuer): \
                 name its CA in tls.ca_file or tls.ca_pem, or set tls.roots to \"system\""
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is not valid for the name {host} (wrong name): check {key}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!(
                    "the certificate of {host} has expired: the server must renew it, or this machine's clock is wrong"
                )
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet: check this machine's clock")
            }
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => format!(
                "the certificate of {host} is an authority's own and cannot be a server's: the server needs one with \
                 CA:FALSE in its basic constraints"
            ),
            other => format!("the certificate of {host} cannot be accepted: {other:?}"),
        },
        rustls::Error::InvalidMessage(_) => {
            format!("{host} does not speak TLS here: is it http:// instead of https://, or another port?")
        }
        rustls::Error::AlertReceived(alert) => format!("{host} refused the TLS handshake with the alert {alert:?}"),
        other => format!("the TLS handshake with {host} failed: {other}"),
    }
}
