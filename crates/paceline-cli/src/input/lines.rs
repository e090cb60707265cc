//! Cutting a stream into lines, however long or broken they are.

use std::io::{self, BufRead};

/// The longest line that is taken: providers refuse bodies well below this.
pub(super) const LONGEST: usize = 32 << 20;

/// A line with something on it.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1, blank lines counted.
    pub(crate) number: u64,
    /// Without its end; cut where it is too long.
    pub(crate) bytes: Vec<u8>,
    /// Whether it was longer than [`LONGEST`].
    pub(crate) too_long: bool,
}

pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// The next line that is not blank.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let read = self.take(&mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let too_long = read > LONGEST && !bytes.ends_with(b"\n");
            if too_long {
                self.skip_rest()?;
            }
            if self.number == 1 && bytes.starts_with(BOM) {
                bytes.drain(..BOM.len());
            }
            while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                bytes.pop();
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(Line { number: self.number, bytes, too_long }));
            }
        }
    }

    fn take(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 1;
        io::Read::take(&mut self.reader, most).read_until(b'\n', into)
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let (ends, length) = match self.reader.fill_buf() {
                Ok(buffer) => match buffer.iter().position(|byte| *byte == b'\n') {
                    Some(at) => (true, at + 1),
                    None => (buffer.is_empty(), buffer.len()),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.reader.consume(length);
            if ends {
                return Ok(());
            }
        }
    }
}

/// Some editors begin a file with it.
const BOM: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Vec<u8>, bool)> {
        let mut lines = Lines::new(bytes);
        std::iter::from_fn(|| lines.next_line().unwrap()).map(|line| (line.number, line.bytes, line.too_long)).collect()
    }

    #[test]
    fn blank_lines_count_but_do_not_show() {
        let lines = all("\u{feff}a\r\n\n  \nb".as_bytes());
        assert_eq!(lines, [(1, b"a".to_vec(), false), (4, b"b".to_vec(), false)]);
        assert!(all(b"").is_empty() && all(b"\n \n").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_harms_no_other() {
        let mut bytes = vec![b'x'; LONGEST + 100];
        bytes.extend(b"\nnext\n");
        let lines = all(&bytes);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].2 && lines[0].1.len() <= LONGEST + 1);
        assert_eq!(lines[1], (2, b"next".to_vec(), false));
        let full = vec![b'x'; LONGEST];
        assert!(!all(&full)[0].2);
    }
}
