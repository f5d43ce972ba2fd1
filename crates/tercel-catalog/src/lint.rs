//! Everything that can be said about a detection without data.

use crate::detection::{Detection, Syntax};
use crate::language::Language;
use tercel_ir::function::forget_regexes;
use tercel_ir::{Catalog, Diagnostic, Diagnostics, Severity};

use crate::compile::CompileOptions;

/// What to leave out, and how strict to be.
#[derive(Clone, Debug, Default)]
pub struct LintOptions {
    /// Codes of findings that are left out.
    pub allow: Vec<String>,
    /// What each proof may cost; `None` for no proofs at all.
    pub prove: Option<tercel_verify::Budget>,
    /// For compiling; when strict, the warnings of the checks count as errors too.
    pub compile: CompileOptions,
}

/// A finding with its place in lines and columns, both from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was found.
    pub diagnostic: Diagnostic,
    /// Where it starts.
    pub line: usize,
    /// In characters.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// In characters; the first one that is not part of the place.
    pub end_column: usize,
}

/// Compiles the detection and collects the findings of its front end, of that language's own checks and
/// of the checks of its meaning: each once, in the order of places.
pub fn lint(detection: &mut Detection, catalog: &dyn Catalog, options: &LintOptions) -> Vec<Finding> {
    detection.compile(catalog, options.compile.clone());
    let mut found = Diagnostics::new();
    found.extend(detection.diagnostics.iter().cloned());
    found.extend(own_checks(detection, options));
    if let Some(rel) = &detection.rel {
        let of_meaning = tercel_verify::lint(rel);
        found.extend(if detection.language == Language::Sigma {
            by_log_source(detection, of_meaning)
        } else {
            of_meaning
        });
    }
    if let Some(budget) = &options.prove {
        let known: Vec<Diagnostic> = found.iter().cloned().collect();
        found.extend(crate::proof::findings(detection, &known, &options.compile, budget));
    }
    finish(detection, found, options)
}

/// [`lint`] of many detections, one after the other, with the index of each; then of those that relate to
/// each other, if `pairs` is asked. Of the detections only what is shown with a finding stays.
pub fn lint_all(
    all: &mut [Detection],
    catalog: &dyn Catalog,
    options: &LintOptions,
    pairs: bool,
) -> Vec<(usize, Finding)> {
    /// Rules between which compiled expressions are let go.
    const CHUNK: usize = 256;
    let mut out = Vec::new();
    for (i, d) in all.iter_mut().enumerate() {
        out.extend(lint(d, catalog, options).into_iter().map(|f| (i, f)));
        d.forget();
        d.forget_words();
        if i % CHUNK == CHUNK - 1 {
            forget_regexes();
        }
    }
    if pairs && all.len() > 1 {
        forget_regexes();
        out.extend(crate::pairs::pair_findings(all, catalog, options));
        // Those of one rule together, by place.
        out.sort_by_key(|(i, f)| (*i, f.line, f.column));
    }
    out
}

/// A Sigma rule's text says nothing about what defines its log source here, so values that contradict only
/// that are not the author's mistake: they are said once, as a note.
fn by_log_source(detection: &Detection, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let (mut clash, mut rest): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|d| d.code == "shadowed-item" && d.related.is_empty());
    let count = clash.len();
    if !clash.is_empty() {
        let first = clash.swap_remove(0);
        let text = first.span.and_then(|s| detection.text.get(s.range())).unwrap_or("a value");
        let mut d = Diagnostic::note(
            "log-source-clash",
            format!(
                "{text}{} never occurs in events of the log source {} as they are read here",
                if count > 1 { format!(" (and {} more values)", count - 1) } else { String::new() },
                detection.data().join(", ")
            ),
        )
        .meaning("if the rule means a field of that name inside the event's data, the event's own field stands in its way");
        d.span = first.span;
        rest.push(d);
    }
    rest
}

/// The findings of reading and parsing alone. They are there before compiling.
pub fn syntax_findings(detection: &Detection, options: &LintOptions) -> Vec<Finding> {
    let mut found = Diagnostics::new();
    found.extend(detection.diagnostics.iter().cloned());
    finish(detection, found, options)
}

fn finish(detection: &Detection, found: Diagnostics, options: &LintOptions) -> Vec<Finding> {
    found
        .into_sorted()
        .into_iter()
        .filter(|d| !options.allow.iter().any(|a| a == d.code))
        .map(|mut d| {
            // A rule for a product that tercel reads no logs of cannot run here, which a hunt says; as a
            // rule it is sound.
            if d.code == "no-log-source" {
                d.severity = Severity::Warning;
            }
            if options.compile.strict && d.severity == Severity::Warning {
                d.severity = Severity::Error;
            }
            Finding::of(detection, d)
        })
        .collect()
}

impl Finding {
    /// A finding with its place in the text of a detection; without a place of its own, where the
    /// detection begins.
    pub(crate) fn of(detection: &Detection, d: Diagnostic) -> Finding {
        let span = d.span.unwrap_or(tercel_ir::Span { end: detection.span.start, ..detection.span });
        let (line, column) = detection.text.place(span.start as usize);
        let (end_line, end_column) = detection.text.place(span.end as usize);
        Finding { diagnostic: d, line, column, end_line, end_column }
    }
}

/// What a language has to say about its own texts beyond what parsing and lowering find.
fn own_checks(detection: &Detection, options: &LintOptions) -> Vec<Diagnostic> {
    match &detection.syntax {
        Syntax::Sigma(document) => {
            let file = tercel_sigma::File { documents: vec![document.as_ref().clone()] };
            tercel_sigma::lint(&file, &detection.text).into_vec()
        }
        Syntax::Sumo(query) => tercel_sumo::lint(query, &options.compile.sumo()).into_vec(),
        Syntax::Kql(query) => tercel_kql::lint(query).into_vec(),
        Syntax::None => Vec::new(),
    }
}
