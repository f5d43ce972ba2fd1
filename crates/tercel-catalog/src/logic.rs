//! What a detection asks of an event, apart from where its events are kept.

use crate::compile::CompileOptions;
use crate::detection::{Detection, Metadata, Syntax};
use crate::link::Role;
use std::sync::Arc;
use tercel_ir::{Rel, Severity};
use tercel_sigma::Document;
use tercel_sigma::ast::FilterRule;
use tercel_verify::Anything;

impl Detection {
    /// The detection's own logic. Of a Sigma rule: over events of its log source whatever table holds
    /// them, see [`Anything`]; what is proved of that holds wherever the rule runs. It is there also for
    /// log sources that no table holds. Of other languages: what was compiled.
    ///
    /// `None` when there is no logic over single events, or the detection has other errors. Compile it
    /// first: types of fields are taken from there. With `filtered`, Sigma filters narrow the rule.
    pub fn logic(&self, options: &CompileOptions, filtered: bool) -> Option<Rel> {
        let Syntax::Sigma(document) = &self.syntax else { return self.rel.clone() };
        let elsewhere = |d: &tercel_ir::Diagnostic| d.code == "no-log-source";
        if self.diagnostics.iter().any(|d| d.severity == Severity::Error && !elsewhere(d)) {
            return None;
        }
        let Document::Rule(rule) = &**self.piped.as_ref().unwrap_or(document) else { return None };
        let events = self.rel.as_ref().map_or_else(Anything::new, |r| Anything::typed(&r.schema));
        let filters: Vec<&FilterRule> = self.filters.iter().filter_map(|f| as_filter(f)).collect();
        tercel_sigma::lower_filtered(rule, if filtered { &filters } else { &[] }, &events, &options.sigma).0
    }
}

/// The kind of events that a Sigma rule is about; lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Such as `process_creation`.
    pub category: Option<String>,
    /// Such as `windows`.
    pub product: Option<String>,
    /// Such as `security`.
    pub service: Option<String>,
}

/// How two log sources relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sources {
    /// They may have events in common, and rules of them can be compared.
    Common,
    /// They have no event in common.
    Apart,
    /// One is a category, the other a service.
    Unlike,
}

impl Source {
    pub(crate) fn compare(&self, other: &Source) -> Sources {
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if differ(&self.category, &other.category)
            || differ(&self.product, &other.product)
            || differ(&self.service, &other.service)
        {
            return Sources::Apart;
        }
        let inside = |a: &Source, b: &Source| {
            let part = |a: &Option<String>, b: &Option<String>| b.is_none() || a == b;
            part(&a.category, &b.category) && part(&a.product, &b.product) && part(&a.service, &b.service)
        };
        if inside(self, other) || inside(other, self) { Sources::Common } else { Sources::Unlike }
    }
}

impl Detection {
    /// Lets go of what compiling made, which is most of what a detection holds.
    pub fn forget(&mut self) {
        self.rel = None;
        self.never = None;
    }

    /// Lets go of what is only there for people: its metadata apart from title, identifier and the fields
    /// that are shown. What it means stays.
    pub fn forget_words(&mut self) {
        let fields = std::mem::take(&mut self.metadata.fields);
        self.metadata = Metadata { fields, ..Metadata::default() };
        let document = match &mut self.syntax {
            Syntax::Sigma(d) => Some(d),
            _ => None,
        };
        // A document that others hold too, as filters are, is theirs as well.
        for d in document.into_iter().chain(&mut self.piped).filter_map(Arc::get_mut) {
            d.forget_words();
        }
    }

    /// Lets go of what was only needed to compile it, once it is compiled and runs: its parsed text. It keeps
    /// its role, its findings and their places; it cannot be compiled, linked or proved again. Of a detection
    /// that does not run nothing is let go.
    pub fn forget_source(&mut self) {
        if self.role() != Role::Rule || self.rel.is_none() {
            return;
        }
        self.syntax = Syntax::None;
        self.piped = None;
        self.filters = Vec::new();
        self.parsed = None;
        self.read = None;
        // Without findings there is nothing to point at in the text.
        if self.diagnostics.is_empty() {
            self.text = Arc::default();
            self.span = tercel_ir::Span::default();
        }
    }

    /// The log source of a Sigma rule.
    pub fn source(&self) -> Option<Source> {
        let Document::Rule(rule) = &**self.piped.as_ref().or(self.document())? else { return None };
        let of = |t: &Option<tercel_sigma::ast::Text>| t.as_ref().map(|t| t.node.to_ascii_lowercase());
        let l = &rule.logsource;
        Some(Source { category: of(&l.category), product: of(&l.product), service: of(&l.service) })
    }
}

fn as_filter(d: &Document) -> Option<&FilterRule> {
    match d {
        Document::Filter(f) => Some(f),
        _ => None,
    }
}
