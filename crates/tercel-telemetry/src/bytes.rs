//! Reading from memory: for tests, fuzzing and embedding.

use std::io::Read;

use tercel_ir::Name;
use tercel_schema::Schemas;

use crate::demand::ReadStats;
use crate::event::EventSink;
use crate::input::{Compression, Limits, binary, decompress, text_format};
use crate::options::ReadOptions;
use crate::problem::{ProblemKind, Problems};
use crate::read::Run;
use crate::shape::Recogniser;

/// Reads the bytes of one file, compressed or not, of any format but Parquet, into `sink`. `name`
/// stands for the file's name.
pub fn read_bytes(
    name: &str,
    bytes: &[u8],
    schemas: &Schemas,
    options: &ReadOptions,
    sink: &mut dyn EventSink,
) -> ReadStats {
    let mut recogniser = Recogniser::new(schemas, options.time_field.as_deref());
    read_bytes_with(&mut recogniser, name, bytes, options, sink)
}

/// Like [`read_bytes`], with a recogniser that is used again.
pub fn read_bytes_with(
    recogniser: &mut Recogniser<'_>,
    name: &str,
    bytes: &[u8],
    options: &ReadOptions,
    sink: &mut dyn EventSink,
) -> ReadStats {
    let file: Name = name.into();
    let mut problems = Problems::new(file.clone());
    let before = recogniser.events();
    let compression = Compression::of(bytes);
    let mut skip = |why: String| problems.add(ProblemKind::Skipped, None, || why);
    match head(bytes, compression, options) {
        Err(e) => skip(e.to_string()),
        Ok(head) => {
            let format = binary(&head).unwrap_or_else(|| text_format(&head, name));
            match (format, decompress(bytes, compression, Limits::of(options), None)) {
                (Err(why), _) => skip(why.into()),
                (_, Err(e)) => skip(e.to_string()),
                (Ok(format), Ok(source)) => {
                    let stem = crate::input::stem(name).as_str().into();
                    let mut run = Run::new(recogniser, sink, &mut problems, options, None, file, stem);
                    run.stream(format, source);
                }
            }
        }
    }
    let mut stats = ReadStats {
        files: 1,
        events: recogniser.events() - before,
        bytes: bytes.len() as u64,
        ..ReadStats::default()
    };
    stats.unparsed = problems.lost_records();
    stats.problems = problems.into_vec();
    for (table, _, n) in recogniser.take_counts() {
        *stats.tables.entry(table).or_default() += n;
    }
    stats
}

/// The beginning of the text, without a byte order mark.
fn head(bytes: &[u8], compression: Compression, options: &ReadOptions) -> std::io::Result<Vec<u8>> {
    let source = decompress(bytes, compression, Limits::of(options), None)?;
    let mut out = Vec::new();
    let broken = crate::input::text_source(source).and_then(|s| s.take(64 << 10).read_to_end(&mut out));
    match broken {
        Err(e) if out.is_empty() => Err(e),
        _ => Ok(out),
    }
}
