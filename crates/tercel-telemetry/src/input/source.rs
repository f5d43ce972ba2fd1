//! The bytes of a file: decompressed, counted, limited, in UTF-8.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::ReadOptions;
use crate::progress::Progress;

/// How a file is compressed, told by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// From the first bytes of a file.
    pub fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A skippable frame may come first.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// Limits of expansion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    ratio: u64,
    floor: u64,
}

impl Limits {
    pub fn of(options: &ReadOptions) -> Limits {
        Limits { ratio: options.max_expansion.max(1), floor: options.expansion_floor }
    }
}

/// Opens a file for reading its decompressed bytes.
pub(crate) fn open_source<'p>(
    path: &Path,
    compression: Compression,
    limits: Limits,
    progress: Option<&'p Progress>,
) -> io::Result<Box<dyn Read + 'p>> {
    let file = File::open(path)?;
    decompress(file, compression, limits, progress)
}

/// The decompressed bytes of any reader.
pub(crate) fn decompress<'r>(
    reader: impl Read + 'r,
    compression: Compression,
    limits: Limits,
    progress: Option<&'r Progress>,
) -> io::Result<Box<dyn Read + 'r>> {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: reader, taken: taken.clone(), progress };
    let limited = |inner: Box<dyn Read + 'r>| -> Box<dyn Read + 'r> {
        Box::new(Limited { inner, taken, given: 0, limits })
    };
    Ok(match compression {
        Compression::None => Box::new(counted),
        Compression::Gzip => limited(Box::new(flate2::bufread::MultiGzDecoder::new(
            io::BufReader::with_capacity(1 << 16, counted),
        ))),
        Compression::Zstd => limited(Box::new(zstd::stream::read::Decoder::new(counted)?)),
    })
}

/// Counts what is read from the file itself.
struct Counted<'p, R> {
    inner: R,
    taken: Arc<AtomicU64>,
    progress: Option<&'p Progress>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        if let Some(p) = self.progress {
            p.add_bytes(n as u64);
        }
        Ok(n)
    }
}

/// Stops a compressed file that expands beyond all measure.
struct Limited<'r> {
    inner: Box<dyn Read + 'r>,
    taken: Arc<AtomicU64>,
    given: u64,
    limits: Limits,
}

impl Read for Limited<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.given += n as u64;
        if self.given > self.limits.floor {
            let taken = self.taken.load(Ordering::Relaxed).max(1);
            if self.given / taken > self.limits.ratio {
                return Err(io::Error::other(format!(
                    "the compressed file expands more than {}-fold ({} bytes to {} so far); reading stops here",
                    self.limits.ratio, taken, self.given
                )));
            }
        }
        Ok(n)
    }
}

/// Turns UTF-16 with a byte order mark, as PowerShell writes it, into UTF-8.
pub(crate) struct Utf16<R> {
    inner: R,
    big: bool,
    /// A byte or a high surrogate whose other half has not come yet.
    byte: Option<u8>,
    units: Vec<u16>,
    out: Vec<u8>,
    at: usize,
}

impl<R: Read> Utf16<R> {
    /// `inner` stands behind the mark.
    pub fn new(inner: R, big: bool) -> Utf16<R> {
        Utf16 { inner, big, byte: None, units: Vec::new(), out: Vec::new(), at: 0 }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            let mut raw = [0u8; 16 << 10];
            let n = self.inner.read(&mut raw)?;
            for b in &raw[..n] {
                match self.byte.take() {
                    None => self.byte = Some(*b),
                    Some(first) if self.big => self.units.push(u16::from_be_bytes([first, *b])),
                    Some(first) => self.units.push(u16::from_le_bytes([first, *b])),
                }
            }
            let held = match self.units.last() {
                Some(u) if n > 0 && (0xD800..0xDC00).contains(u) => self.units.pop(),
                _ => None,
            };
            self.out.clear();
            self.at = 0;
            for c in char::decode_utf16(self.units.drain(..)) {
                let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            self.units.extend(held);
            if n == 0 {
                break;
            }
        }
        let n = buf.len().min(self.out.len() - self.at);
        buf[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Takes a byte order mark off and converts what it says.
pub(crate) fn text_source<'r>(mut inner: Box<dyn Read + 'r>) -> io::Result<Box<dyn Read + 'r>> {
    let mut head = [0u8; 3];
    let mut n = 0;
    while n < 3 {
        match inner.read(&mut head[n..])? {
            0 => break,
            k => n += k,
        }
    }
    Ok(match &head[..n] {
        [0xef, 0xbb, 0xbf] => inner,
        [0xff, 0xfe, rest @ ..] => Box::new(Utf16::new(io::Cursor::new(rest.to_vec()).chain(inner), false)),
        [0xfe, 0xff, rest @ ..] => Box::new(Utf16::new(io::Cursor::new(rest.to_vec()).chain(inner), true)),
        rest => Box::new(io::Cursor::new(rest.to_vec()).chain(inner)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_becomes_utf8() {
        let text = "{\"a\":\"é😀\"}\n".repeat(5000);
        for big in [false, true] {
            let mut bytes = if big { vec![0xfe, 0xff] } else { vec![0xff, 0xfe] };
            for u in text.encode_utf16() {
                bytes.extend(if big { u.to_be_bytes() } else { u.to_le_bytes() });
            }
            let mut out = String::new();
            text_source(Box::new(&bytes[..])).unwrap().read_to_string(&mut out).unwrap();
            assert!(out == text);
        }
        let mut out = String::new();
        text_source(Box::new(&b"ab"[..])).unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(out, "ab");
    }
}
