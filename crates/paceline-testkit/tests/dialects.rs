//! What the simulated provider says over a socket, as the engine reads it. The two share no code, so they agree only if
//! both are right about the dialect.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use paceline_core::headers::{Answer, Dialect, Facts, LONGEST_WAIT, Scope, Unit};
use paceline_core::{Reset, Verdict};
use paceline_mock::{LimitKey, Mock, MockConfig, MockLimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";
const CALL: &str = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"Hello there"}]}"#;

async fn mock(dialect: Dialect, limits: Vec<MockLimit>) -> Mock {
    let dialect = dialect.as_str().parse().expect("both know the same dialects");
    let config = MockConfig { limits, dialect, ..MockConfig::default() };
    Mock::start(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a free port")
}

/// Sends [`CALL`] to `path` and reads the answer by `dialect`.
async fn call(mock: &Mock, path: &str, dialect: Dialect) -> Facts {
    let mut stream = TcpStream::connect(mock.addr()).await.expect("the mock listens");
    let length = CALL.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + CALL).as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("answered");
    let text = String::from_utf8(bytes).expect("the mock speaks UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes())).collect();
    let answer = Answer { status, headers: &headers, body: Some(body.as_bytes()), received: SystemTime::now() };
    dialect.read(&answer, LONGEST_WAIT)
}

fn requests(facts: &Facts) -> Option<(Option<u64>, Option<u64>)> {
    let fact = facts.limits.iter().find(|fact| fact.unit == Unit::Requests)?;
    Some((fact.limit, fact.remaining))
}

#[tokio::test]
async fn every_dialect_tells_its_limits_and_when_to_come_again() {
    for dialect in Dialect::ALL {
        let mock = mock(dialect, vec![MockLimit::per_minute(LimitKey::Requests, 1)]).await;
        let told = !matches!(dialect, Dialect::Plain | Dialect::Gemini);

        let first = call(&mock, CHAT, dialect).await;
        assert_eq!(first.verdict, Verdict::Success, "{dialect}");
        assert_eq!(requests(&first), told.then_some((Some(1), Some(0))), "{dialect}");
        let used = first.usage.expect("the answer says what it used");
        assert_eq!((used.output, used.tokens()), (Some(10), used.input.map(|input| input + 10)), "{dialect}");

        let second = call(&mock, CHAT, dialect).await;
        let Verdict::RateLimited { retry_after: Some(wait) } = second.verdict else {
            panic!("{dialect}: {second:?}");
        };
        assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(61), "{dialect}: {wait:?}");
        if dialect == Dialect::Gemini {
            assert_eq!(requests(&second), Some((Some(1), None)), "the body names the quota");
        }
        assert_eq!((first.notes, second.notes), (vec![], vec![]), "{dialect}");
        mock.shutdown().await;
    }
}

#[tokio::test]
async fn limits_on_tokens_are_told_apart() {
    let limits = [LimitKey::InputTokens, LimitKey::OutputTokens].map(|key| MockLimit::per_minute(key, 50_000));
    for dialect in [Dialect::Anthropic, Dialect::Ietf] {
        let mock = mock(dialect, limits.to_vec()).await;
        let path = if dialect == Dialect::Anthropic { "/v1/messages" } else { CHAT };
        let facts = call(&mock, path, dialect).await;
        for unit in [Unit::InputTokens, Unit::OutputTokens] {
            let fact = facts.limits.iter().find(|fact| fact.unit == unit).expect("a limit on it");
            assert_eq!(fact.limit, Some(50_000), "{dialect}");
            let reset = fact.reset.expect("a reset");
            assert_eq!(matches!(reset, Reset::Window(_)), dialect == Dialect::Ietf, "{dialect}");
            assert_eq!(matches!(fact.scope, Scope::Named(_)), dialect == Dialect::Ietf, "{dialect}");
        }
        mock.shutdown().await;
    }
}
