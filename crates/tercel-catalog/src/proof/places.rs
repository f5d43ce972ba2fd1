//! Parts of a detection in its author's words: the name of a search, a field with its modifiers and one
//! of its values, or the text that stands there.

use crate::detection::{Detection, Syntax};
use crate::text::RuleText;
use tercel_ir::Span;
use tercel_sigma::Document;
use tercel_sigma::ast::{Item, Scalar, SearchBody, Spanned};
use tercel_sigma::condition::{Expression, Quantifier};

/// Characters of a quoted text.
const LONG: usize = 80;

/// What stands at a place.
struct Place {
    span: Span,
    words: String,
    /// The item that a value belongs to.
    item: Option<Span>,
}

/// The parts of one detection.
pub(super) struct Places<'a> {
    text: &'a RuleText,
    list: Vec<Place>,
    /// `1 of filter_*` and what it means, for conditions that name one search by a pattern.
    searches: Vec<(Span, Span)>,
}

impl<'a> Places<'a> {
    pub(super) fn of(detection: &'a Detection) -> Places<'a> {
        let mut out = Places { text: &detection.text, list: Vec::new(), searches: Vec::new() };
        let Syntax::Sigma(document) = &detection.syntax else { return out };
        let Document::Rule(rule) = &**detection.piped.as_ref().unwrap_or(document) else { return out };
        for s in &rule.detection.searches {
            out.body(&s.name.node, &s.body, true);
        }
        for c in &rule.detection.conditions {
            out.condition(&rule.detection, &c.expr);
        }
        out
    }

    fn body(&mut self, name: &str, body: &Spanned<SearchBody>, whole: bool) {
        let words = if whole { format!("`{name}`") } else { format!("this alternative of `{name}`") };
        // A search of one item is called by its own name too.
        self.list.push(Place { span: body.span, words, item: None });
        match &body.node {
            SearchBody::Map(items) => items.iter().for_each(|i| self.item(i)),
            SearchBody::List(list) => list.iter().for_each(|b| self.body(name, b, false)),
            SearchBody::Keyword(v) => {
                self.list.push(Place { span: v.span, words: quote(&v.node), item: Some(body.span) });
            }
        }
    }

    fn item(&mut self, item: &Item) {
        let mut key = item.field.as_ref().map_or(String::new(), |f| f.node.clone());
        for m in &item.modifiers {
            key.push('|');
            key.push_str(m.node.as_str());
        }
        let span = item.span.span;
        let words = match &item.values[..] {
            [one] => format!("`{key}: {}`", value(&one.node)),
            many => format!("the list `{key}` of {} values", many.len()),
        };
        self.list.push(Place { span, words, item: Some(span) });
        for v in &item.values {
            let words = format!("`{key}: {}`", value(&v.node));
            self.list.push(Place { span: v.span, words, item: Some(span) });
        }
    }

    /// A condition that means one search stands for it.
    fn condition(&mut self, d: &tercel_sigma::ast::Detection, e: &Spanned<Expression>) {
        match &e.node {
            Expression::Not(x) => {
                self.condition(d, x);
                let inner = self.searches.iter().find(|(s, _)| *s == x.span).copied();
                if let Some((_, body)) = inner {
                    self.searches.push((e.span, body));
                }
            }
            Expression::And(list) | Expression::Or(list) => list.iter().for_each(|x| self.condition(d, x)),
            Expression::Search(name) => {
                if let Some(s) = d.search(name) {
                    self.searches.push((e.span, s.body.span));
                }
            }
            Expression::Of(q, target) => {
                let mut meant = d.searches.iter().filter(|s| target.node.matches(&s.name.node));
                if let (Some(one), None, Quantifier::All | Quantifier::AtLeast(1)) =
                    (meant.next(), meant.next(), q)
                {
                    self.searches.push((e.span, one.body.span));
                }
            }
            Expression::Prose(_) => {}
        }
    }

    /// Where a finding about a part is best shown: at the search, where the condition only names it.
    pub(super) fn shown(&self, span: Span) -> Span {
        self.searches.iter().find(|(s, _)| *s == span).map_or(span, |(_, body)| *body)
    }

    /// The list that an item belongs to.
    pub(super) fn list_of(&self, span: Span) -> Option<Span> {
        self.list.iter().find(|p| p.span == span && p.item.is_some_and(|i| i != span)).and_then(|p| p.item)
    }

    /// The part without its place.
    pub(super) fn name(&self, span: Span) -> String {
        let span = self.shown(span);
        // A value of its own is said before the item or search that consists of nothing else.
        let exact = self.list.iter().rev().find(|p| p.span == span);
        match exact {
            Some(p) => p.words.clone(),
            // Some values of a list are one test, with the place from the first to the last.
            None => match self.list.iter().rev().find(|p| p.item == Some(p.span) && covers(p.span, span)) {
                Some(p) => p.words.clone(),
                None => self.quoted(span),
            },
        }
    }

    /// The part and its line.
    pub(super) fn words(&self, span: Span) -> String {
        let (line, _) = self.text.place(self.shown(span).start as usize);
        format!("{} (line {line})", self.name(span))
    }

    /// The text itself, on one line, not too long.
    fn quoted(&self, span: Span) -> String {
        let text = self.text.get(span.range()).unwrap_or("");
        format!("`{}`", short(&text.split_whitespace().collect::<Vec<_>>().join(" ")))
    }
}

fn covers(a: Span, b: Span) -> bool {
    a.start <= b.start && b.end <= a.end && b.start < b.end
}

pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_string(),
    }
}

fn value(v: &Scalar) -> String {
    match v {
        Scalar::Null => "null".into(),
        Scalar::Str(s) => format!("'{}'", short(&s.replace('`', "'").replace(['\n', '\r', '\t'], " "))),
        other => other.text(),
    }
}

fn quote(v: &Scalar) -> String {
    format!("`{}`", value(v))
}
