//! An HTTP server in few lines, whose every answer is chosen by the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The request of this number, from 0, gets the answer that this gives; none closes the connection.
type Script = dyn Fn(usize) -> Option<String> + Send + Sync;

pub(crate) struct Scripted {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (script, shared) = (Arc::<Script>::from(Box::new(script) as Box<Script>), Arc::clone(&seen));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &*script, &seen));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        self.seen.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// Heads and bodies as they came.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }
}

fn serve(stream: TcpStream, script: &Script, seen: &Mutex<Vec<(Instant, String)>>) {
    let mut write = stream.try_clone().unwrap();
    let mut read = BufReader::new(stream);
    while let Some(request) = request(&mut read) {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((Instant::now(), request));
            seen.len() - 1
        };
        let Some(answer) = script(number) else { return };
        if write.write_all(answer.as_bytes()).is_err() || answer.contains("{\"half\":") {
            return;
        }
    }
}

fn request(read: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if read.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    read.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Whatever\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
