//! The detections of a Sigma file.

use crate::detection::{Detection, Level, Metadata, Syntax};
use crate::language::Language;
use crate::load::unknown_level;
use crate::source::Source;
use crate::text::RuleText;
use std::sync::Arc;
use tercel_ir::{Diagnostic, Span};
use tercel_sigma::Document;
use tercel_sigma::ast::{LogSource, Meta, Text};

pub(crate) fn detections(source: Source) -> Vec<Detection> {
    let (file, found) = tercel_sigma::parse(&source.text);
    let text = Arc::new(RuleText::new(source.text));
    let single = file.documents.len() == 1;
    let mut out: Vec<Detection> = file
        .documents
        .into_iter()
        .enumerate()
        .map(|(i, document)| {
            let name = if single { source.stem.clone() } else { format!("{}#{}", source.stem, i + 1) };
            detection(document, name, &source.path, &text)
        })
        .collect();
    let mut rest = Vec::new();
    for finding in found {
        match owner(&mut out, &finding) {
            Some(d) => d.report(finding),
            None => rest.push(finding),
        }
    }
    // What belongs to no document that could be read stands for the text itself, so that it is neither
    // lost nor held against its neighbours.
    if !rest.is_empty() || out.is_empty() {
        let mut d = Detection::new(source.stem, Language::Sigma, source.path, text);
        d.span = rest.first().and_then(|d| d.span).unwrap_or_default();
        d.diagnostics = rest;
        out.push(d);
    }
    out
}

/// The detection whose text holds the place of a finding; of a finding without a place, the only one.
fn owner<'a>(all: &'a mut [Detection], finding: &Diagnostic) -> Option<&'a mut Detection> {
    match finding.span {
        Some(s) => {
            all.iter_mut().find(|d| d.span.start <= s.start && s.start < d.span.end.max(d.span.start + 1))
        }
        None if all.len() == 1 => all.first_mut(),
        None => None,
    }
}

fn detection(document: Document, name: String, path: &str, text: &Arc<RuleText>) -> Detection {
    let meta = document.meta();
    let level = meta.level.as_ref().map(|l| (Level::parse(&l.node), l));
    let of = |t: &Option<Text>| t.as_ref().map(|t| t.node.trim().to_string()).filter(|t| !t.is_empty());
    let id = of(&meta.id).unwrap_or_else(|| name.clone());
    let mut d = Detection::new(id, Language::Sigma, path.to_string(), text.clone());
    d.title = of(&meta.title).unwrap_or(name);
    d.level = level.and_then(|(l, _)| l).unwrap_or_default();
    d.span = document.span();
    d.metadata = metadata(meta, logsource(&document));
    if let Some((None, bad)) = level {
        let shown = Span::new(bad.span.start as usize, bad.span.end as usize);
        d.report(unknown_level(&bad.node, Some(shown)));
    }
    d.syntax = Syntax::Sigma(Arc::new(document));
    d
}

fn logsource(document: &Document) -> Option<&LogSource> {
    match document {
        Document::Rule(r) => Some(&r.logsource),
        Document::Filter(f) => Some(&f.logsource),
        Document::Correlation(_) => None,
    }
}

fn metadata(meta: &Meta, source: Option<&LogSource>) -> Metadata {
    let of = |t: &Option<Text>| t.as_ref().map(|t| t.node.trim().to_string());
    let all = |v: &[Text]| v.iter().map(|t| t.node.trim().to_string()).collect();
    let mut required = Vec::new();
    if let Some(s) = source {
        let parts: Vec<&str> =
            [&s.product, &s.category, &s.service].into_iter().flatten().map(|t| t.node.as_str()).collect();
        if !parts.is_empty() {
            required.push(parts.join("/"));
        }
        required.extend(of(&s.definition));
    }
    Metadata {
        description: of(&meta.description),
        status: of(&meta.status),
        author: of(&meta.author),
        date: of(&meta.date),
        modified: of(&meta.modified),
        license: of(&meta.license),
        references: all(&meta.references),
        falsepositives: all(&meta.falsepositives),
        tags: all(&meta.tags),
        required,
        fields: all(&meta.fields),
        filters: Vec::new(),
    }
}
