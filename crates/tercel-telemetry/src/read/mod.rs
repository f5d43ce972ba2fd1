//! Readers of formats. Each reads a stream of bytes and hands records to the recogniser.

mod arrow;
mod buffer;
pub(crate) mod csv;
pub(crate) mod evtx;
pub(crate) mod json;
mod lines;
pub(crate) mod parquet;
mod rows;

use std::fs::File;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};

use tercel_ir::Name;

use crate::event::EventSink;
use crate::input::{Format, InputFile, Limits, error_text, open_source, text_source};
use crate::options::ReadOptions;
use crate::problem::{Place, ProblemKind, Problems};
use crate::progress::Progress;
use crate::shape::{Origin, Recogniser};
use crate::value::{Field, RawValue, object_text};
use buffer::Buffer;

/// One file being read.
pub(crate) struct Run<'x, 's> {
    pub recogniser: &'x mut Recogniser<'s>,
    pub sink: &'x mut dyn EventSink,
    pub problems: &'x mut Problems,
    pub options: &'x ReadOptions,
    pub progress: Option<&'x Progress>,
    source: Name,
    stem: Name,
    wants_text: bool,
    /// Events told to `progress` so far.
    told: u64,
    records: u32,
}

impl<'x, 's> Run<'x, 's> {
    pub fn new(
        recogniser: &'x mut Recogniser<'s>,
        sink: &'x mut dyn EventSink,
        problems: &'x mut Problems,
        options: &'x ReadOptions,
        progress: Option<&'x Progress>,
        source: Name,
        stem: Name,
    ) -> Run<'x, 's> {
        let wants_text = sink.wants_text();
        let told = recogniser.events();
        Run { recogniser, sink, problems, options, progress, source, stem, wants_text, told, records: 0 }
    }

    /// Hands one record on. `Break`: nobody wants more.
    #[inline]
    fn record<'a>(
        &mut self,
        number: i64,
        text: Option<&'a str>,
        fields: &mut Vec<Field<'a>>,
    ) -> ControlFlow<()> {
        let source = self.source.clone();
        let stem = self.stem.clone();
        let origin = Origin {
            source: &source,
            stem: &stem,
            record: number,
            text: if self.wants_text { text } else { None },
        };
        self.step()?;
        self.recogniser.record(&origin, fields, self.sink)
    }

    /// Hands on a line of syslog or of `audit.log`.
    fn linux_line(&mut self, number: i64, line: &str) -> ControlFlow<()> {
        self.step()?;
        let mut text = String::new();
        if self.wants_text {
            object_text(&[Field::new("_raw", RawValue::Text(line))], &mut text);
        }
        let (source, stem) = (self.source.clone(), self.stem.clone());
        let origin = Origin {
            source: &source,
            stem: &stem,
            record: number,
            text: self.wants_text.then_some(text.as_str()),
        };
        self.recogniser.linux_line(&origin, line, self.sink)
    }

    /// Called for every record: tells of progress now and then. `Break`: the reading was cancelled.
    #[inline]
    fn step(&mut self) -> ControlFlow<()> {
        self.records += 1;
        if self.records.is_multiple_of(1024) {
            self.tell();
            if self.progress.is_some_and(Progress::is_cancelled) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self) {
        let now = self.recogniser.events();
        if let Some(p) = self.progress {
            p.add_events(now - self.told);
        }
        self.told = now;
    }

    fn bad(&mut self, place: Place, message: impl FnOnce() -> String) {
        self.problems.add(ProblemKind::BadRecord, Some(place), message);
    }

    fn too_long(&mut self, place: Place) {
        let limit = self.options.max_record;
        self.problems.add(ProblemKind::TooLong, Some(place), || {
            format!("a record longer than the limit of {limit} bytes was skipped")
        });
    }

    fn invalid_utf8(&mut self, place: Place) {
        self.problems.add(ProblemKind::InvalidUtf8, Some(place), || {
            "bytes that are not UTF-8 were replaced by U+FFFD".into()
        });
    }

    /// Reads a stream of a format that can be streamed.
    pub fn stream(&mut self, format: Format, source: Box<dyn Read + '_>) {
        let outcome = match format {
            Format::Evtx => evtx::read(self, source),
            Format::Parquet => Err(io::Error::other("Parquet cannot be read as a stream")),
            text => text_source(source).and_then(|source| {
                let mut buffer = Buffer::new(source);
                match text {
                    Format::NdJson => json::read_lines(self, &mut buffer),
                    Format::Json => json::read_values(self, &mut buffer),
                    Format::Csv { delimiter } => csv::read(self, &mut buffer, delimiter),
                    Format::ZeekTsv => lines::read_zeek(self, &mut buffer),
                    Format::Linux => lines::read_linux(self, &mut buffer),
                    _ => lines::read_text(self, &mut buffer),
                }
            }),
        };
        self.tell();
        if let Err(e) = outcome {
            self.problems.add(ProblemKind::BrokenOff, None, || broken_off(&e));
        }
    }

    /// Reads some of the chunks of an event log, by their numbers.
    pub fn event_log_part(&mut self, file: &InputFile, numbers: Range<u64>) {
        match File::open(&file.path) {
            Ok(mut source) => {
                let outcome = evtx::read_part(self, &mut source, numbers);
                self.tell();
                if let Err(e) = outcome {
                    self.problems.add(ProblemKind::BrokenOff, None, || broken_off(&e));
                }
            }
            Err(e) => self.problems.add(ProblemKind::Unreadable, None, || error_text(&e)),
        }
    }

    /// Reads a file.
    pub fn file(&mut self, file: &InputFile) {
        match open_source(&file.path, file.compression, Limits::of(self.options), self.progress) {
            Ok(source) => self.stream(file.format, source),
            Err(e) => self.problems.add(ProblemKind::Unreadable, None, || error_text(&e)),
        }
    }
}

pub(crate) fn broken_off(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the compressed data ends too early; what came before was read".into()
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            format!("the compressed data is damaged ({e}); what came before was read")
        }
        _ => error_text(e),
    }
}
