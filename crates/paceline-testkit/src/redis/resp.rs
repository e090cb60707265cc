//! One question to a Redis and its answer: as much of the protocol as a fixture needs.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks on a connection of its own. An error that the server answers is an error.
pub(super) fn ask(address: SocketAddr, password: Option<&str>, command: &[&str]) -> io::Result<String> {
    let mut stream = connect(address, password)?;
    send(&mut stream, command)?;
    answer(&mut stream)
}

/// The same, without waiting for an answer.
pub(super) fn tell(address: SocketAddr, password: Option<&str>, command: &[&str]) -> io::Result<()> {
    send(&mut connect(address, password)?, command)
}

fn connect(address: SocketAddr, password: Option<&str>) -> io::Result<BufReader<TcpStream>> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    if let Some(password) = password {
        send(&mut stream, &["AUTH", password])?;
        answer(&mut stream)?;
    }
    Ok(stream)
}

fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.get_mut().write_all(request.as_bytes())
}

fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", rest)) => Ok(rest.to_owned()),
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            let mut text = vec![0; length + 2];
            stream.read_exact(&mut text)?;
            text.truncate(length);
            String::from_utf8(text).map_err(io::Error::other)
        }
        Some(("*", length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            let items: io::Result<Vec<_>> = (0..length).map(|_| answer(stream)).collect();
            Ok(items?.join("\n"))
        }
        _ => Err(io::Error::other(format!("it answers {line:?}"))),
    }
}
