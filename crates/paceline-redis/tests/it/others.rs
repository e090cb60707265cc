//! What is no Redis, and what has nothing good to say.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use paceline_redis::Redis;

/// Answers all that comes by the same.
fn answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for link in listener.incoming() {
            let Ok(mut link) = link else { return };
            thread::spawn(move || {
                let mut heard = [0; 4_096];
                while link.read(&mut heard).is_ok_and(|count| count > 0) && link.write_all(answer).is_ok() {}
            });
        }
    });
    address
}

async fn refusal(answer: &'static [u8]) -> String {
    let url = format!("redis://{}", answering(answer));
    let began = Instant::now();
    let told = Redis::options(&url).response_timeout(Duration::from_millis(200)).connect().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    told.expect_err("no use").to_string()
}

#[tokio::test]
async fn what_is_no_redis_is_told_to_be_none_in_real_time() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nhello",
        b"220 mail.example ESMTP\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
        b"$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
        b":1\r\n:1\r\n:1\r\n:1\r\n",
    ];
    for answer in answers {
        let error = refusal(answer).await;
        assert!(error.contains("what answers at 127.0.0.1") && error.contains("is no Redis"), "{error}");
        assert!(error.contains("host and port"), "{error}");
    }
}

#[tokio::test]
async fn what_is_said_does_nothing_to_a_terminal_in_real_time() {
    let answers: [&[u8]; 3] = [
        b"-ERR \x1b[31mevil\x1b[0m\r\n-ERR \x1b[31mevil\x1b[0m\r\n-ERR \x1b[31mevil\x1b[0m\r\n",
        b"-NOPERM \x07\xe2\x80\xae\r\n-NOPERM \x07\r\n-NOPERM \x07\r\n",
        b"-\x1b]0;evil\x07 x\r\n-\x1b x\r\n-\x1b x\r\n-\x1b x\r\n",
    ];
    for answer in answers {
        let error = refusal(answer).await;
        assert!(!error.chars().any(|c| c.is_control() || c == '\u{202e}'), "{error:?}");
        println!("{error}");
    }
}
