//! What went wrong while reading: one [`Problem`] a file and kind, with a count and the first place.

use std::fmt;

use tercel_ir::Name;

/// Where in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// 1-based line.
    Line(u64),
    /// 0-based record, or the event record id of an event log.
    Record(u64),
    /// 0-based chunk of an event log.
    Chunk(u64),
}

/// Kinds of problem. Each is reported once a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// A path that does not exist or cannot be opened or listed.
    Unreadable,
    /// A file that holds no telemetry; it was passed over.
    Skipped,
    /// Reading broke off; what came before counts.
    BrokenOff,
    /// Records that could not be read; the others count.
    BadRecord,
    /// Records longer than the limit.
    TooLong,
    /// Bytes that are no UTF-8 were replaced by U+FFFD; the records count.
    InvalidUtf8,
}

impl ProblemKind {
    /// A stable kebab-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::Unreadable => "unreadable",
            ProblemKind::Skipped => "skipped",
            ProblemKind::BrokenOff => "broken-off",
            ProblemKind::BadRecord => "bad-record",
            ProblemKind::TooLong => "record-too-long",
            ProblemKind::InvalidUtf8 => "invalid-utf8",
        }
    }
    /// Whether events were, or may have been, lost. A skipped file held none, and replaced bytes
    /// lose no event.
    pub fn is_loss(self) -> bool {
        !matches!(self, ProblemKind::Skipped | ProblemKind::InvalidUtf8)
    }
}

/// One kind of trouble in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file, as the user named it or as it was found.
    pub file: Name,
    pub kind: ProblemKind,
    /// What is wrong with the first of them.
    pub message: String,
    /// The first place.
    pub place: Option<Place>,
    /// How often.
    pub count: u64,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.place {
            Some(Place::Line(n)) => write!(f, ":{n}")?,
            Some(Place::Record(n)) => write!(f, ", record {n}")?,
            Some(Place::Chunk(n)) => write!(f, ", chunk {n}")?,
            None => {}
        }
        write!(f, ": {}", self.message)?;
        if self.count > 1 {
            write!(f, " ({} such in this file)", self.count)?;
        }
        Ok(())
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Problems {
    file: Name,
    list: Vec<Problem>,
}

impl Problems {
    /// An empty collection for `file`.
    pub fn new(file: Name) -> Problems {
        Problems { file, list: Vec::new() }
    }
    /// Adds one; `message` is only asked for the first of its kind.
    pub fn add(&mut self, kind: ProblemKind, place: Option<Place>, message: impl FnOnce() -> String) {
        if let Some(p) = self.list.iter_mut().find(|p| p.kind == kind) {
            p.count += 1;
        } else {
            self.list.push(Problem { file: self.file.clone(), kind, message: message(), place, count: 1 });
        }
    }
    /// What was collected.
    pub fn into_vec(self) -> Vec<Problem> {
        self.list
    }
    /// How many records were lost.
    pub fn lost_records(&self) -> u64 {
        self.list
            .iter()
            .filter(|p| matches!(p.kind, ProblemKind::BadRecord | ProblemKind::TooLong))
            .map(|p| p.count)
            .sum()
    }
}
