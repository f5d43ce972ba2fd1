//! Findings as rustc prints them: code, place, the text underlined, what it means, what to do.

use crate::failure::Failure;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use std::ops::Range;
use tercel_catalog::RuleText;
use tercel_ir::{Diagnostic, Severity, Span};

/// Longer spans are underlined on their first line only.
const MAX_LINES: usize = 6;
/// Of a line longer than this only the surroundings of the place are shown.
const MAX_LINE: usize = 2_000;

/// Draws findings.
#[derive(Clone, Debug)]
pub struct Reporter {
    renderer: Renderer,
}

impl Reporter {
    pub fn new(color: bool) -> Reporter {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        Reporter {
            renderer: renderer.term_width(usize::from(comfy_table::Table::new().width().unwrap_or(140))),
        }
    }

    /// A finding in a text.
    pub fn finding(&self, d: &Diagnostic, path: &str, text: &RuleText) -> String {
        let title = level(d.severity).primary_title(clean(&d.message)).id(d.code);
        let window = d.span.map(|s| Window::around(text, s.range()));
        let mut group = match (d.span, &window) {
            (Some(span), Some(window)) if !window.bytes.is_empty() => {
                let label = d.label.as_deref().map(clean);
                let mut snippet = Snippet::source(&text[window.bytes.clone()])
                    .line_start(window.line)
                    .annotation(AnnotationKind::Primary.span(window.place(text, span.range())).label(label));
                for (place, words) in &d.related {
                    if window.holds(*place) {
                        let at = window.place(text, place.range());
                        snippet = snippet.annotation(AnnotationKind::Context.span(at).label(clean(words)));
                    }
                }
                if window.cut {
                    let (line, column) = text.place(span.start as usize);
                    title.element(Origin::path(clean(path)).line(line).char_column(column)).element(snippet)
                } else {
                    title.element(snippet.path(clean(path)))
                }
            }
            _ => title.element(Origin::path(clean(path))),
        };
        for (place, words) in &d.related {
            if !window.as_ref().is_some_and(|w| w.holds(*place)) {
                let (line, column) = text.place(place.start as usize);
                group = group
                    .element(Level::NOTE.message(clean(&format!("{words} (line {line}, column {column})"))));
            }
        }
        self.render(more(group, d.meaning.as_deref(), d.help.as_deref()))
    }

    /// Something that is wrong with no text in particular.
    pub fn plain(&self, severity: Severity, message: &str, help: Option<&str>) -> String {
        let group = Group::with_title(level(severity).primary_title(clean(message)));
        self.render(more(group, None, help))
    }

    /// Why a command could not run.
    pub fn failure(&self, f: &Failure) -> String {
        self.plain(Severity::Error, &f.message, f.help.as_deref())
    }

    fn render(&self, group: Group<'_>) -> String {
        self.renderer.render(&[group])
    }
}

fn more<'a>(mut group: Group<'a>, meaning: Option<&str>, help: Option<&str>) -> Group<'a> {
    if let Some(m) = meaning {
        group = group.element(Level::NOTE.message(clean(m)));
    }
    if let Some(h) = help {
        group = group.element(Level::HELP.message(clean(h)));
    }
    group
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// Text of others, without anything that a terminal obeys.
fn clean(s: &str) -> String {
    normalize_untrusted_str(s)
}

/// The part of a text that is shown: the lines of the place, cut where they are very long.
struct Window {
    bytes: Range<usize>,
    line: usize,
    /// Whether it begins inside a line, so that its columns are not those of the text.
    cut: bool,
}

impl Window {
    fn around(text: &RuleText, span: Range<usize>) -> Window {
        let (line, _) = text.place(span.start);
        let (last, _) = text.place(span.end.max(span.start));
        let last = if last - line >= MAX_LINES { line } else { last };
        let mut start = text.line_start(line);
        let mut end = text.line_start(last + 1);
        let cut = end - start > MAX_LINE;
        if cut {
            start = boundary(text, start.max(span.start.saturating_sub(MAX_LINE / 4)));
            end = boundary(text, end.min(start + MAX_LINE));
        }
        Window { bytes: start..end, line, cut }
    }

    fn holds(&self, place: Span) -> bool {
        place.start as usize >= self.bytes.start && place.end as usize <= self.bytes.end
    }

    /// A place of the text as a place of the window, at boundaries of characters.
    fn place(&self, text: &str, span: Range<usize>) -> Range<usize> {
        let clip = |at: usize| boundary(text, at.clamp(self.bytes.start, self.bytes.end)) - self.bytes.start;
        clip(span.start)..clip(span.end).max(clip(span.start))
    }
}

fn boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, d: &Diagnostic) -> String {
        Reporter::new(false).finding(d, "rules/a.kql", &RuleText::new(text.into()))
    }

    #[test]
    fn place_label_meaning_and_help() {
        let d = Diagnostic::error("unknown-column", "unknown column `Acount`")
            .at(Span::new(10, 16))
            .label("no such column")
            .meaning("it reads as null")
            .help("did you mean `Account`?");
        assert_eq!(
            shown("T\n| where Acount == 1\n", &d),
            "error[unknown-column]: unknown column `Acount`\n --> rules/a.kql:2:9\n  |\n2 | | where Acount == 1\n  |         ^^^^^^ no such column\n  |\n  = note: it reads as null\n  = help: did you mean `Account`?"
        );
    }

    #[test]
    fn odd_places_do_not_matter() {
        for (text, span) in [
            ("", Span::new(0, 0)),
            ("abc", Span::new(3, 3)),
            ("abc", Span::new(2, 900)),
            ("é\u{1b}[31m", Span::new(1, 2)),
            ("a\r\nb\r\n", Span::new(0, 6)),
        ] {
            let out = shown(text, &Diagnostic::warning("odd", "m\u{1b}[0m").at(span));
            assert!(out.starts_with("warning[odd]: ") && !out.contains('\u{1b}'), "{out}");
        }
        let long = "é".repeat(1 << 20);
        assert!(
            shown(&long, &Diagnostic::note("long", "m").at(Span::new(1 << 20, (1 << 20) + 2))).len() < 10_000
        );
        let lines = "a\n".repeat(1000);
        assert!(shown(&lines, &Diagnostic::note("tall", "m").at(Span::new(0, 2000))).lines().count() < 12);
    }
}
