//! One detection: its text, what it says about itself, and what it compiles to.

use crate::language::Language;
use crate::text::RuleText;
use std::sync::Arc;
use tercel_ir::{Diagnostic, Expr, ExprKind, Rel, RelKind, Severity};
use tercel_sigma::Plan;

/// How much a hit matters, in the author's opinion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// For context; also what a text is that names no level.
    #[default]
    Informational,
    /// Rarely worth a look on its own.
    Low,
    /// Worth a look.
    Medium,
    /// Look now.
    High,
    /// Act now.
    Critical,
}

impl Level {
    /// All, lowest first.
    pub const ALL: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    /// The name used in rules and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }
    /// From its name, or `info`.
    pub fn parse(name: &str) -> Option<Level> {
        let name = name.trim();
        if name.eq_ignore_ascii_case("info") {
            return Some(Level::Informational);
        }
        Level::ALL.into_iter().find(|l| l.as_str().eq_ignore_ascii_case(name))
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a detection says about itself, beyond name and level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// What it detects, at length.
    pub description: Option<String>,
    /// `stable`, `test`, `experimental`, …
    pub status: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// When it was written.
    pub date: Option<String>,
    /// When it was last changed.
    pub modified: Option<String>,
    /// Licence of the text.
    pub license: Option<String>,
    /// Where the idea comes from.
    pub references: Vec<String>,
    /// Known causes of false alarms.
    pub falsepositives: Vec<String>,
    /// As written, e.g. `attack.t1105`.
    pub tags: Vec<String>,
    /// What must be logged for it to work.
    pub required: Vec<String>,
    /// Fields worth showing with a hit.
    pub fields: Vec<String>,
    /// Titles of the Sigma filters that narrow it, in the order in which they were read.
    pub filters: Vec<String>,
}

impl Metadata {
    /// ATT&CK techniques among the tags, as ATT&CK writes them: `T1071.001`. Sorted, each once.
    pub fn techniques(&self) -> Vec<String> {
        let mut out: Vec<String> = self.tags.iter().filter_map(|t| technique(t)).collect();
        out.sort();
        out.dedup();
        out
    }
}

/// `attack.t1071.001`, `T1071.001` → `T1071.001`.
fn technique(tag: &str) -> Option<String> {
    let tag = tag.trim().to_ascii_uppercase();
    let id = tag.strip_prefix("ATTACK.").unwrap_or(&tag);
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let (main, sub) = match id.strip_prefix('T')?.split_once('.') {
        Some((m, s)) => (m, Some(s)),
        None => (&id[1..], None),
    };
    (digits(main, 4) && sub.is_none_or(|s| digits(s, 3))).then(|| id.to_string())
}

/// A detection of any language.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Its `id`, else the stem of its file's name.
    pub id: String,
    /// Short name for people.
    pub title: String,
    /// How much a hit matters.
    pub level: Level,
    /// What it is written in.
    pub language: Language,
    /// Where it was read from, as shown to users.
    pub path: String,
    /// The whole text of the file. Spans of diagnostics count in it.
    pub text: Arc<RuleText>,
    /// Place of this detection in the text, when the file holds several.
    pub span: tercel_ir::Span,
    /// What it says about itself.
    pub metadata: Metadata,
    /// Findings of reading and parsing, and after [`Detection::compile`] those of lowering.
    pub diagnostics: Vec<Diagnostic>,
    /// What it computes, once compiled without errors. Of a rule with a plan of its own (an old
    /// aggregation) the events that the plan is about, which are no hits in themselves.
    pub rel: Option<Rel>,
    /// How it fires, if it is a correlation: see [`crate::link`] for what the indexes in it mean. Gone when
    /// it does not run.
    pub correlation: Option<Plan>,
    /// Whether its hits (or firings) are reported: not those of a rule that is only there for
    /// correlations, and a filter has none.
    pub reported: bool,
    /// Why it cannot fire on any data, when that is known.
    pub never: Option<Diagnostic>,
    pub(crate) syntax: Syntax,
    /// What pipelines have made of the document.
    pub(crate) piped: Option<Arc<tercel_sigma::Document>>,
    /// The filters that narrow it.
    pub(crate) filters: Vec<Arc<tercel_sigma::Document>>,
    /// What linking settled [`Detection::correlation`] to be.
    pub(crate) plan: Option<Plan>,
    /// The diagnostics of before linking.
    pub(crate) parsed: Option<Vec<Diagnostic>>,
    /// The diagnostics of before the first compilation.
    pub(crate) read: Option<Vec<Diagnostic>>,
}

/// The parsed text, kept between loading and compiling.
#[derive(Clone, Debug)]
pub(crate) enum Syntax {
    /// It could not be read at all.
    None,
    /// One document of a Sigma file.
    Sigma(Arc<tercel_sigma::Document>),
    /// A KQL text.
    Kql(tercel_kql::Ast),
    /// A Sumo search.
    Sumo(Box<tercel_sumo::ast::Query>),
}

impl Detection {
    /// Of what was parsed; metadata and the like are for the caller to fill in.
    pub(crate) fn new(id: String, language: Language, path: String, text: Arc<RuleText>) -> Detection {
        Detection {
            title: id.clone(),
            id,
            level: Level::default(),
            language,
            path,
            span: tercel_ir::Span::new(0, text.len()),
            text,
            metadata: Metadata::default(),
            diagnostics: Vec::new(),
            rel: None,
            correlation: None,
            reported: true,
            never: None,
            syntax: Syntax::None,
            piped: None,
            filters: Vec::new(),
            plan: None,
            parsed: None,
            read: None,
        }
    }
    /// Of a query that stands in no file. Sigma has rules, not queries: of a text with several, the first.
    pub fn of_query(language: Language, text: String, name: &str) -> Detection {
        let source = crate::source::Source { path: name.into(), stem: name.into(), language, text };
        // Every text gives at least one detection, if only one that says what is wrong.
        let mut all = crate::load::detections(source);
        crate::link::link(&mut all);
        all.swap_remove(0)
    }
    /// The data it reads, as its text names it: the log source of a Sigma rule; once compiled, the views
    /// and tables of a query.
    pub fn data(&self) -> Vec<String> {
        match (&self.rel, self.language) {
            (_, Language::Sigma) => self.metadata.required.iter().take(1).cloned().collect(),
            (Some(rel), _) => {
                let mut out = Vec::new();
                named(rel, &mut out);
                out
            }
            (None, _) => Vec::new(),
        }
    }
    /// What it says about itself, as a Sigma rule says it: its own words if it is one.
    pub fn sigma_meta(&self) -> tercel_sigma::ast::Meta {
        use tercel_sigma::ast::{Meta, Text};
        if let Some(d) = self.document() {
            return d.meta().clone();
        }
        let text = |s: &str| Text::new(s.to_string(), tercel_ir::Span::default());
        let all = |v: &[String]| v.iter().map(|s| text(s)).collect();
        let m = &self.metadata;
        Meta {
            title: Some(text(&self.title)),
            // What is only the name of its file is no identity.
            id: is_uuid(&self.id).then(|| text(&self.id)),
            status: m.status.as_deref().map(text),
            description: m.description.as_deref().map(text),
            license: m.license.as_deref().map(text),
            author: m.author.as_deref().map(text),
            date: m.date.as_deref().map(text),
            modified: m.modified.as_deref().map(text),
            references: all(&m.references),
            falsepositives: all(&m.falsepositives),
            level: Some(text(self.level.as_str())),
            tags: all(&m.tags),
            ..Meta::default()
        }
    }
    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
    /// The first error, if any.
    pub fn first_error(&self) -> Option<&Diagnostic> {
        self.diagnostics.iter().find(|d| d.severity == Severity::Error)
    }
    /// Adds a finding unless the same one is there already.
    pub fn report(&mut self, d: Diagnostic) {
        let same = |x: &Diagnostic| x.code == d.code && x.span == d.span && x.message == d.message;
        if !self.diagnostics.iter().any(same) {
            self.diagnostics.push(d);
        }
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Names of the views and tables that a relation reads, views for what is inside them, each once.
fn named(rel: &Rel, out: &mut Vec<String>) {
    fn inside(e: &Expr, out: &mut Vec<String>) {
        match &e.kind {
            ExprKind::Scalar(r) => named(r, out),
            ExprKind::InRelation { relation, .. } => named(relation, out),
            _ => {}
        }
        e.children().into_iter().for_each(|c| inside(c, out));
    }
    if let RelKind::View { name, .. } | RelKind::Scan { table: name } = &rel.kind {
        if !out.iter().any(|n| **n == **name) {
            out.push(name.to_string());
        }
        return;
    }
    rel.expressions().into_iter().for_each(|e| inside(e, out));
    rel.inputs().into_iter().for_each(|i| named(i, out));
}

/// A file that was passed over, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// Which.
    pub path: String,
    /// Why, in words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_an_order_and_names() {
        assert!(Level::Critical > Level::High && Level::Low > Level::Informational);
        assert!(Level::ALL.into_iter().all(|l| Level::parse(l.as_str()) == Some(l)));
        assert_eq!(Level::parse("INFO"), Some(Level::Informational));
        assert_eq!(Level::parse("urgent"), None);
    }

    #[test]
    fn techniques_among_tags() {
        let m = Metadata {
            tags: [
                "attack.t1071.001",
                "T1105",
                "attack.command-and-control",
                "attack.g0032",
                "tlp.white",
                "t10é5",
                "T",
            ]
            .map(String::from)
            .to_vec(),
            ..Metadata::default()
        };
        assert_eq!(m.techniques(), ["T1071.001", "T1105"]);
    }
}
