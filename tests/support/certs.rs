//! Certificates, made when a test first asks for them: two authorities that know nothing of each other, and
//! what a server may do wrong with the certificates they sign.

use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What is written in a server's certificate.
#[derive(Clone, Copy, Debug)]
pub enum Leaf {
    /// For `localhost` and 127.0.0.1, valid now.
    Good,
    /// For somebody else's name.
    WrongName,
    Expired,
    NotYetValid,
}

/// Signs certificates; clients trust it through [`Authority::pem`].
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    /// Its own certificate, for `tls.ca_pem` and `tls.ca_file`.
    pub pem: String,
}

/// A certificate and its key, as files have them.
pub struct Pair {
    pub cert_pem: String,
    pub key_pem: String,
}

/// The authority that the tests' clients trust.
pub fn ours() -> &'static Authority {
    static OURS: OnceLock<Authority> = OnceLock::new();
    OURS.get_or_init(|| Authority::new("helio test authority"))
}

/// One that nobody trusts.
pub fn foreign() -> &'static Authority {
    static FOREIGN: OnceLock<Authority> = OnceLock::new();
    FOREIGN.get_or_init(|| Authority::new("a foreign authority"))
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a root certificate");
        Authority { pem: cert.pem(), root: cert.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A server with such a certificate.
    pub fn server(&self, leaf: Leaf) -> Arc<ServerConfig> {
        self.build(leaf, |builder| builder.with_no_client_auth())
    }

    /// A server that asks for a client certificate signed by this authority.
    pub fn server_asking_for_a_certificate(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.build().expect("a verifier");
        self.build(Leaf::Good, |builder| builder.with_client_cert_verifier(verifier))
    }

    /// A client certificate.
    pub fn client(&self) -> Pair {
        let (mut params, key) = (CertificateParams::new(Vec::new()).expect("no names"), key());
        params.distinguished_name.push(DnType::CommonName, "a client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, &self.issuer).expect("a client certificate");
        Pair { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }

    fn build(
        &self,
        leaf: Leaf,
        auth: impl FnOnce(
            rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>,
        ) -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    ) -> Arc<ServerConfig> {
        let names = match leaf {
            Leaf::WrongName => vec!["somebody-else.example".to_string()],
            _ => vec!["localhost".to_string(), "127.0.0.1".to_string()],
        };
        let (mut params, key) = (CertificateParams::new(names).expect("names"), key());
        match leaf {
            Leaf::Expired => {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }
            Leaf::NotYetValid => {
                params.not_before = date_time_ymd(2998, 1, 1);
                params.not_after = date_time_ymd(2999, 1, 1);
            }
            Leaf::Good | Leaf::WrongName => {}
        }
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = auth(builder.expect("protocol versions"));
        Arc::new(builder.with_single_cert(vec![cert.der().clone()], key).expect("a server configuration"))
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
