//! Encrypted connections, by certificates made here: who is trusted, and what is told where something does not fit.

use std::path::Path;
use std::time::Duration;

use paceline::LimitSet;
use paceline_redis::{Error, Options, Redis};
use paceline_testkit::redis::Server;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::bad_input::says;
use crate::support::soon;

/// Somebody who certifies.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Certified {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn certify(&self, name: &str) -> Certified {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Certified { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A server with a certificate for `127.0.0.1`, and what it was made with.
struct Encrypted {
    server: Server,
    authority: Authority,
    _dir: TempDir,
}

impl Encrypted {
    /// Which asks clients for theirs: `yes`, or not: `no`.
    fn start(asks_clients: &str) -> Self {
        let (authority, dir) = (Authority::new("ours"), tempfile::tempdir().unwrap());
        let Certified { certificate, key } = authority.certify("127.0.0.1");
        let path = |name: &str, content: &str| {
            let path: &Path = &dir.path().join(name);
            std::fs::write(path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) = (path("certificate", &certificate), path("key", &key));
        let roots = path("roots", &authority.pem());
        let args = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &roots];
        let args = args.into_iter().chain(["--tls-auth-clients", asks_clients]);
        let server = Server::options().tls().args(args).start();
        Self { server, authority, _dir: dir }
    }

    fn options(&self) -> Options {
        options(&format!("rediss://127.0.0.1:{}", self.server.tls_port()))
    }
}

fn options(url: &str) -> Options {
    Redis::options(url).response_timeout(Duration::from_millis(500))
}

async fn refusal(options: Options) -> Error {
    options.connect().await.expect_err("it cannot be")
}

#[tokio::test]
async fn who_is_certified_by_a_root_certificate_is_trusted_in_real_time() {
    let encrypted = Encrypted::start("no");
    let redis = encrypted.options().root_certificates(encrypted.authority.pem()).connect().await.unwrap();
    let set = LimitSet::builder("set").concurrency(1).backend(redis).build().unwrap();
    let first = soon(set.acquire(())).await;
    let (second, ()) = tokio::join!(soon(set.acquire(())), async { first.release().await.unwrap() });
    second.release().await.unwrap();
}

#[tokio::test]
async fn nobody_else_is_trusted_in_real_time() {
    let encrypted = Encrypted::start("no");
    for other in [encrypted.options(), encrypted.options().root_certificates(Authority::new("theirs").pem())] {
        let error = refusal(other).await;
        assert!(!error.is_retryable(), "{error}");
        says(&error.to_string(), &["no TLS with", "UnknownIssuer", "SSL_CERT_FILE", "Options::root_certificates"]);
    }
    let by_name = format!("rediss://localhost:{}", encrypted.server.tls_port());
    let error = refusal(options(&by_name).root_certificates(encrypted.authority.pem())).await;
    says(&error.to_string(), &["no TLS with", "localhost", "name it as its certificate does"]);
}

#[tokio::test]
async fn a_client_shows_its_certificate_to_who_asks_for_it_in_real_time() {
    let encrypted = Encrypted::start("yes");
    let options = || encrypted.options().root_certificates(encrypted.authority.pem());
    let error = refusal(options()).await;
    says(&error.to_string(), &["ertificate", "Options::client_certificate"]);
    let Certified { certificate, key } = encrypted.authority.certify("client");
    let redis = options().client_certificate(certificate, key).connect().await.unwrap();
    let set = LimitSet::builder("set").concurrency(1).backend(redis).build().unwrap();
    drop(soon(set.acquire(())).await);
}

#[tokio::test]
async fn a_port_of_the_other_kind_is_told_in_real_time() {
    let encrypted = Encrypted::start("no");
    let plain = options(&format!("redis://127.0.0.1:{}", encrypted.server.tls_port()));
    let error = refusal(plain).await;
    says(&error.to_string(), &["rediss://"]);
    let error = refusal(options(&format!("rediss://{}", encrypted.server.address()))).await;
    says(&error.to_string(), &["rediss://"]);
}

#[tokio::test]
async fn certificates_that_are_none_are_told() {
    let tls = || options("rediss://127.0.0.1");
    says(&refusal(tls().root_certificates("nothing")).await.to_string(), &["root certificates", "PEM"]);
    says(&refusal(tls().client_certificate("nothing", "nothing")).await.to_string(), &["PEM"]);
    let (one, other) = (Authority::new("theirs").certify("one"), Authority::new("theirs").certify("other"));
    let mixed = refusal(tls().client_certificate(one.certificate, other.key)).await;
    says(&mixed.to_string(), &["certificate and key belong together"]);
    let plain = options("redis://127.0.0.1").root_certificates(Authority::new("theirs").pem());
    says(&refusal(plain).await.to_string(), &["without TLS", "rediss://"]);
}
