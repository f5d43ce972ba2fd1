//! The format of a file, told by its content.

use std::io::{self, Read};
use std::path::Path;

use super::source::{Compression, Limits, open_source, text_source};
use crate::json::{self, ScanError, skip_space};
use crate::options::ReadOptions;
use crate::read::csv;
use crate::shape::linux;

/// Formats of files.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// One JSON object a line.
    NdJson,
    /// JSON objects in an array, or one after another, over lines as they like.
    Json,
    /// With a header line.
    Csv {
        /// `,`, `;`, `|` or tab.
        delimiter: u8,
    },
    /// Tab-separated values with `#fields`.
    ZeekTsv,
    Evtx,
    Parquet,
    /// Lines of syslog or of `audit.log`.
    Linux,
    /// Lines.
    Text,
}

impl Format {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::NdJson => "NDJSON",
            Format::Json => "JSON",
            Format::Csv { .. } => "CSV",
            Format::ZeekTsv => "Zeek TSV",
            Format::Evtx => "EVTX",
            Format::Parquet => "Parquet",
            Format::Linux => "syslog",
            Format::Text => "text",
        }
    }
}

/// Why a file is not read.
pub(crate) enum Refusal {
    Io(io::Error),
    NotTelemetry(String),
}

/// How much of a file is looked at.
const HEAD: usize = 64 << 10;
/// How much is enough for magic bytes.
const MAGIC: usize = 512;

/// Finds out compression and format.
pub(crate) fn detect(
    path: &Path,
    name: &str,
    options: &ReadOptions,
) -> Result<(Format, Compression), Refusal> {
    let head = |compression, text: bool| -> Result<Vec<u8>, Refusal> {
        let mut source = open_source(path, compression, Limits::of(options), None).map_err(Refusal::Io)?;
        if text {
            source = text_source(source).map_err(Refusal::Io)?;
        }
        let mut out = Vec::with_capacity(HEAD);
        // Event logs by the thousand are told by their first bytes.
        for more in [MAGIC, HEAD - MAGIC] {
            let read = source.by_ref().take(more as u64).read_to_end(&mut out);
            match read {
                // A broken end is reported when the file is read.
                Err(e) if out.is_empty() => return Err(Refusal::Io(e)),
                Err(_) => break,
                Ok(_) if !text && matches!(binary(&out), Some(Ok(Format::Evtx))) => break,
                Ok(_) => {}
            }
        }
        Ok(out)
    };
    let plain = head(Compression::None, false)?;
    let compression = Compression::of(&plain);
    let bytes = if compression == Compression::None { plain } else { head(compression, false)? };
    let refuse = |why: String| Err(Refusal::NotTelemetry(why));
    if bytes.is_empty() {
        return refuse("the compressed file holds nothing".into());
    }
    if let Some(format) = binary(&bytes) {
        return match format {
            Ok(Format::Parquet) if compression != Compression::None => refuse(
                "a compressed Parquet file; Parquet must be read in place, so decompress it first".into(),
            ),
            Ok(f) => Ok((f, compression)),
            Err(why) => refuse(why.into()),
        };
    }
    let text = if bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || bytes.starts_with(&[0xef, 0xbb, 0xbf])
    {
        head(compression, true)?
    } else {
        bytes
    };
    match text_format(&text, name) {
        Ok(f) => Ok((f, compression)),
        Err(why) => refuse(why.into()),
    }
}

/// Formats with magic bytes; those that hold no events with the reason.
pub(crate) fn binary(head: &[u8]) -> Option<Result<Format, &'static str>> {
    Some(match head {
        [b'E', b'l', b'f', b'F', b'i', b'l', b'e', 0, ..] => Ok(Format::Evtx),
        [b'P', b'A', b'R', b'1', ..] => Ok(Format::Parquet),
        [b'P', b'A', b'R', b'E', ..] => Err("an encrypted Parquet file"),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Err("a zip archive; unpack it first"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Err("a 7z archive; unpack it first"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err("compressed with xz; decompress it first"),
        [b'B', b'Z', b'h', ..] => Err("compressed with bzip2; decompress it first"),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Err("compressed twice; decompress it once"),
        [0x30, 0, 0, 0, b'L', b'f', b'L', b'e', ..] => {
            Err("an event log of Windows XP/2003 (.evt), which is not supported")
        }
        h if h.get(257..262) == Some(b"ustar") => Err("a tar archive; unpack it first"),
        _ => return None,
    })
}

/// Formats of text.
pub(crate) fn text_format(head: &[u8], name: &str) -> Result<Format, &'static str> {
    let whole = head.len() < HEAD;
    let start = skip_space(head, 0);
    if start == head.len() {
        return if whole { Err("the file holds only white space") } else { Ok(Format::Json) };
    }
    if head[start] == 0 {
        return Err("no telemetry: binary data");
    }
    if head[start] == b'{' {
        let end = memchr::memchr(b'\n', &head[start..]).map_or(head.len(), |i| start + i);
        return match json::object_end(&head[..end], start) {
            // One object a line, or half of one where the file was cut.
            Ok(at) if skip_space(&head[..end], at) == end => Ok(Format::NdJson),
            Err(ScanError::Incomplete) if end == head.len() => Ok(Format::NdJson),
            // The first line may be broken; the next ones decide.
            Ok(_) | Err(_) if lines_are_objects(head, end) => Ok(Format::NdJson),
            Ok(_) | Err(ScanError::Incomplete) => Ok(Format::Json),
            Err(_) if matches!(head.get(skip_space(head, start + 1)), Some(b'"' | b'}') | None) => {
                Ok(Format::Json)
            }
            Err(_) => Ok(Format::Text),
        };
    }
    if head[start] == b'[' {
        let mut p = start;
        while head.get(p) == Some(&b'[') {
            p = skip_space(head, p + 1);
        }
        if matches!(head.get(p), Some(b'{' | b']') | None) {
            return Ok(Format::Json);
        }
    }
    let lower = name.to_ascii_lowercase();
    if lines_are_objects(head, memchr::memchr(b'\n', head).unwrap_or(head.len())) {
        return Ok(Format::NdJson);
    }
    if head.starts_with(b"#separator")
        || head.starts_with(b"#fields")
        || (head[0] == b'#' && memchr::memmem::find(head, b"\n#fields").is_some())
    {
        return Ok(Format::ZeekTsv);
    }
    let control = head.iter().filter(|b| **b < 0x20 && !b.is_ascii_whitespace()).count();
    if head.contains(&0) || control > head.len() / 20 {
        return Err("no telemetry: binary data");
    }
    let named_csv =
        [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"].iter().any(|e| lower.ends_with(e));
    if !named_csv && linux::looks_like_lines(head) {
        return Ok(Format::Linux);
    }
    match csv::sniff(head, named_csv) {
        Some(delimiter) => Ok(Format::Csv { delimiter }),
        None => Ok(Format::Text),
    }
}

/// Whether at least half of the next few whole lines are JSON objects.
fn lines_are_objects(head: &[u8], from: usize) -> bool {
    let mut lines = head
        .get(from..)
        .unwrap_or_default()
        .split(|b| *b == b'\n')
        .filter(|l| skip_space(l, 0) < l.len())
        .peekable();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..8 {
        let Some(line) = lines.next() else { break };
        let at = skip_space(line, 0);
        match json::object_end(line, at) {
            // More than a name and a value: inner objects of a printed tree stand on lines, too.
            Ok(end) if skip_space(line, end) == line.len() && at == 0 => good += 1,
            // The last line is cut by the end of what is looked at.
            Err(ScanError::Incomplete) if lines.peek().is_none() && line.starts_with(b"{\"") => good += 1,
            _ => bad += 1,
        }
    }
    good > 0 && good >= bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let f = |t: &str| text_format(t.as_bytes(), "x");
        assert_eq!(f("{\"a\":1}\n{\"a\":2}\n"), Ok(Format::NdJson));
        assert_eq!(f("{\"a\":1}"), Ok(Format::NdJson));
        assert_eq!(f("{\"a\":"), Ok(Format::NdJson));
        assert_eq!(f("{\n \"a\":1}"), Ok(Format::Json));
        assert_eq!(f("{\n \"a\":[\n{\"b\":1},\n{\"b\":2}]}"), Ok(Format::Json));
        assert_eq!(f("  [\n{\"a\":1}]"), Ok(Format::Json));
        assert_eq!(f("{\"a\":1\n{\"a\":2}\n{\"a\":3}\n"), Ok(Format::NdJson));
        assert_eq!(f("junk\n{\"a\":2}\n{\"a\":3}\n"), Ok(Format::NdJson));
        assert_eq!(f("{{ template }}"), Ok(Format::Text));
        assert_eq!(f("Hello, world, this\nis, a, text"), Ok(Format::Text));
        assert_eq!(f("Jan  2 03:04:05 srv sshd[7]: Accepted, for x\n"), Ok(Format::Linux));
        assert_eq!(f("# Title\n\nwords\n"), Ok(Format::Text));
        assert_eq!(f("a,b,c\n1,2,3\n"), Ok(Format::Csv { delimiter: b',' }));
        assert_eq!(f("#separator \\x09\n#fields\ta\n"), Ok(Format::ZeekTsv));
        assert!(f("\0\0\0").is_err());
        assert!(f(" \n ").is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = binary(&bytes);
            let _ = text_format(&bytes, "x.csv");
        }
    }
}
