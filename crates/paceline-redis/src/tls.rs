//! Whom to trust, and how to show who asks, where a connection is encrypted.

#[cfg(feature = "tls")]
use redis::{Client, ClientTlsConfig, TlsCertificates};
use redis::{ConnectionInfo, RedisError};

use crate::error::Error;

/// Certificates in PEM, besides what the system has.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Whom to trust, instead of whom the system trusts.
    #[cfg(feature = "tls")]
    pub(crate) roots: Option<Vec<u8>>,
    /// Who asks, and its key.
    #[cfg(feature = "tls")]
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    #[cfg(feature = "tls")]
    pub(crate) fn of(&self, info: ConnectionInfo) -> Result<ConnectionInfo, Error> {
        use rustls::crypto::{CryptoProvider, ring};

        let wrong = |what: &str| Err(Error::Option { what: what.to_owned() });
        if !matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            return match self {
                Self { roots: None, client: None } => Ok(info),
                _ => wrong("certificates are of no use without TLS; write `rediss://HOST:PORT`"),
            };
        }
        // Who links several providers has to name one, or each connection would be a panic.
        if CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        if self.roots.as_ref().is_some_and(|roots| !is_certificate(roots)) {
            return wrong("the root certificates are none in PEM");
        }
        let client = self.client.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let certificates = TlsCertificates { client_tls: client, root_cert: self.roots.clone() };
        let client = Client::build_with_tls(info, certificates);
        let client = client.map_err(|error| Error::Option { what: error.to_string() })?;
        Ok(client.get_connection_info().clone())
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn of(&self, info: ConnectionInfo) -> Result<ConnectionInfo, Error> {
        Ok(info)
    }
}

#[cfg(feature = "tls")]
fn is_certificate(pem: &[u8]) -> bool {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    CertificateDer::pem_slice_iter(pem).next().is_some_and(|first| first.is_ok())
}

/// What to do where it is the encryption that fails.
#[cfg(feature = "tls")]
pub(crate) fn remedy(error: &RedisError) -> Option<&'static str> {
    use std::error::Error as StdError;
    use std::sync::Arc;

    // What is within an input or output error is not a source of it.
    let cause = StdError::source(error)?.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?;
    let cause = cause.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match cause {
        rustls::Error::InvalidCertificate(_) => {
            "name it as its certificate does, and trust who has certified it: by the certificates of this system, by a file of them that the environment variable SSL_CERT_FILE names, or by `Options::root_certificates`"
        }
        rustls::Error::AlertReceived(_) => {
            "see what it asks of its clients: a certificate is told by `Options::client_certificate`"
        }
        _ => "see that it speaks TLS at this port; where it does not, it is `redis://`",
    })
}

#[cfg(not(feature = "tls"))]
pub(crate) fn remedy(_: &RedisError) -> Option<&'static str> {
    None
}
