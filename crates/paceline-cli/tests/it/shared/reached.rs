//! Whether the Redis of a shared run is reached at its start, and is who it is to be.

use std::net::TcpListener;

use paceline_testkit::redis::Server;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::{LIMIT, dealt, provider, run};
use crate::support::{end, paceline, results, succeeded};

#[test]
fn a_run_that_does_not_reach_its_redis_can_be_given_again() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (provider, job) = (provider(), dealt(3, &["a"]));
    let over = |url: &str| end(run(&job, &provider.url(), "a", &LIMIT).args(["--redis", url]));
    over(&format!("redis://{nobody}")).expect(3).says("cannot reach Redis").says("run the same command again");
    assert_eq!(provider.mock.stats().total, 0);
    over("redis://:port").expect(2).says("redis://HOST:PORT");
    let server = Server::start();
    over(&server.url()).expect(0);
    assert!(results(&job.path("a.out")).iter().all(succeeded));
}

#[test]
fn a_private_authority_is_trusted_by_the_environment() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [trusted, key] = ["trusted.pem", "key.pem"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&trusted, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let files = ["--tls-cert-file", &trusted, "--tls-key-file", &key, "--tls-ca-cert-file", &trusted];
    let server = Server::options().tls().args(files.into_iter().chain(["--tls-auth-clients", "no"])).start();
    let url = format!("rediss://127.0.0.1:{}", server.tls_port());
    let look = || paceline(["status", "--shared", "none", "--redis", &url]);
    end(look().env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR")).expect(2).says("SSL_CERT_FILE");
    end(look().env("SSL_CERT_FILE", &trusted)).expect(2).says("nothing is shared as `none` over Redis here");
}
