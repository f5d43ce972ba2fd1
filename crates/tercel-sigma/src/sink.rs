//! Where parts of the parser leave their findings: bounded, so that a hostile text cannot make the
//! findings cost more than the text.

use tercel_ir::{Diagnostic, Diagnostics, Severity, Span};

/// Collects findings up to a limit and says how many more there were.
pub(crate) struct Sink {
    list: Diagnostics,
    limit: usize,
    dropped: usize,
    errors: usize,
    dropped_error: bool,
}

impl Sink {
    pub(crate) fn new(limit: usize) -> Sink {
        Sink { list: Diagnostics::new(), limit, dropped: 0, errors: 0, dropped_error: false }
    }
    pub(crate) fn push(&mut self, d: Diagnostic) {
        self.errors += usize::from(d.severity == Severity::Error);
        if self.list.len() < self.limit {
            self.list.push(d);
        } else {
            self.dropped += 1;
            self.dropped_error |= d.severity == Severity::Error;
        }
    }
    /// Whether further findings are only counted, so that looking for suggestions is wasted.
    pub(crate) fn full(&self) -> bool {
        self.list.len() >= self.limit
    }
    /// Errors so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }
    /// Whether an error stands inside this place, or may: those left out have no place.
    pub(crate) fn error_within(&self, place: Span) -> bool {
        self.dropped_error
            || self.list.iter().any(|d| {
                d.severity == Severity::Error
                    && d.span.is_some_and(|s| place.start <= s.start && s.end <= place.end)
            })
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    /// What was found. If anything was left out, the last finding says so and is an error when one of
    /// those left out was.
    pub(crate) fn finish(mut self) -> Diagnostics {
        if self.dropped > 0 {
            let severity = if self.dropped_error { Severity::Error } else { Severity::Note };
            self.list.push(Diagnostic::new(
                severity,
                "too-many-findings",
                format!("{} more findings in this text are not shown", self.dropped),
            ));
        }
        self.list
    }
}
