//! From the intermediate representation back to a rule: what lowering does, the other way round.
//!
//! Sigma's searches are lists and maps of items, joined by a condition. A predicate becomes them as an
//! author would have written it: what must hold together stands in one selection, alternatives of one field
//! are one list, exclusions are filters. Callers hand in predicates whose columns are Sigma's fields and
//! whose negations stand only around what is never null.

mod item;
mod structure;

pub use structure::detection;

use crate::ast::{Detection, Document, File, LogSource, Meta, Rule, Spanned, Text};
use tercel_ir::{Diagnostic, Span};

/// What could not be said, as an error for the user.
pub(crate) fn unsaid(what: impl Into<String>) -> Diagnostic {
    Diagnostic::error("not-in-sigma", format!("Sigma has no way to say {}", what.into()))
}

pub(crate) fn spanned<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

/// A text of a rule that has no place yet.
pub fn text(s: impl Into<String>) -> Text {
    spanned(s.into())
}

/// A log source from its parts.
pub fn log_source(category: Option<&str>, product: Option<&str>, service: Option<&str>) -> LogSource {
    LogSource {
        category: category.map(text),
        product: product.map(text),
        service: service.map(text),
        ..LogSource::default()
    }
}

/// A file of one rule.
pub fn file(meta: Meta, logsource: LogSource, detection: Detection) -> File {
    let rule = Rule { meta, logsource, detection, broken: false, span: spanned(()) };
    File { documents: vec![Document::Rule(rule)] }
}

/// A place in no text.
pub fn spanned_at() -> Spanned<()> {
    spanned(())
}
