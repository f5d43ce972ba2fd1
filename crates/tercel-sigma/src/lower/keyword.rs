//! Keywords: values without a field, looked for anywhere in the event.
//!
//! Where the relation has a fixed set of columns, "anywhere" means in any column that holds text. Where
//! it is open (or hands the whole event on), it means the event's JSON text, `$event`; the keyword is
//! then escaped as JSON escapes text, so that `C:\Temp` finds `"C:\\Temp"`.

use super::Lowering;
use super::field::{Case, Field};
use super::item::{Kind, Plan};
use super::regex::translate;
use super::value::Form;
use crate::ast::{Item, Modifier, Scalar, Spanned, Value};
use crate::pattern::{Part, Pattern};
use tercel_ir::{Diagnostic, Expr, Span, Type};

/// The hidden column with the whole event.
const EVENT: &str = "$event";

/// Where keywords are looked for.
enum Haystack {
    Columns(Vec<Field>),
    Event(Field),
}

impl Lowering<'_> {
    /// A bare value in a list of keywords.
    pub(super) fn keyword(&mut self, value: &Value) -> Expr {
        let item = Item {
            field: None,
            modifiers: Vec::new(),
            values: vec![value.clone()],
            list: false,
            span: Spanned::new((), value.span),
            key_span: Spanned::new((), value.span),
        };
        self.item(&item)
    }

    /// All values of an item without a field.
    pub(super) fn keywords(&mut self, item: &Item, plan: &Plan) -> Expr {
        let span = item.span.span;
        let fits = matches!(plan.kind, Kind::Text | Kind::Regex { .. })
            && !item.modifiers.iter().any(|m| matches!(m.node, Modifier::StartsWith | Modifier::EndsWith));
        if !fits {
            let names: Vec<&str> = item.modifiers.iter().map(|m| m.node.as_str()).collect();
            return self.fail(
                Diagnostic::error("unsupported-construct", format!("`|{}` without a field", names.join("|")))
                    .at(item.key_span.span)
                    .help("keywords are looked for anywhere in the event; name the field"),
            );
        }
        let haystack = self.haystack(span);
        let each = item.values.iter().map(|v| self.keyword_value(&haystack, item, plan, v)).collect();
        if plan.all { Expr::and(each, span) } else { Expr::or(each, span) }
    }

    fn haystack(&mut self, span: Span) -> Haystack {
        let schema = &self.relation.schema;
        if schema.open || schema.get(EVENT).is_some() {
            return Haystack::Event(Field {
                expr: Expr::column(EVENT, Type::String, span),
                name: EVENT.into(),
            });
        }
        let text = |t: Type| matches!(t, Type::String | Type::Dynamic);
        let columns = schema.columns.iter().filter(|c| text(c.ty) && !c.name.starts_with('$'));
        Haystack::Columns(
            columns
                .map(|c| Field { expr: Expr::column(c.name.clone(), c.ty, span), name: c.name.to_string() })
                .collect(),
        )
    }

    fn keyword_value(&mut self, haystack: &Haystack, item: &Item, plan: &Plan, v: &Value) -> Expr {
        let span = v.span;
        if matches!(v.node, Scalar::Null) || matches!(&v.node, Scalar::Str(s) if s.is_empty()) {
            return self.fail(Diagnostic::error("invalid-value", "a keyword that is empty").at(span));
        }
        let columns: &[Field] = match haystack {
            Haystack::Columns(c) => c,
            Haystack::Event(e) => std::slice::from_ref(e),
        };
        let mut any = Vec::new();
        if let Kind::Regex { i, m, s } = plan.kind {
            for r in self.regexes((i, m, s), item, v) {
                if !self.take(3 * columns.len(), span) {
                    return Expr::boolean(false, span);
                }
                any.extend(columns.iter().map(|c| c.matches_regex(&r, span)));
            }
            return Expr::or(any, span);
        }
        for form in self.forms(v, &item.modifiers) {
            if !self.take(3 * columns.len(), span) {
                return Expr::boolean(false, span);
            }
            match form {
                Form::Pattern(p) => {
                    let p = match haystack {
                        Haystack::Event(_) => json_escaped(&p),
                        Haystack::Columns(_) => p,
                    };
                    let p = p.open_start().open_end();
                    any.extend(columns.iter().map(|c| c.matches(&p, plan.case, span)));
                }
                Form::Regex(r) => {
                    let unanchored = r.trim_start_matches('^').trim_end_matches('$').to_string();
                    match translate(&unanchored, plan.case == Case::Ignore, false, true) {
                        Ok(r) => any.extend(columns.iter().map(|c| c.matches_regex(&r, span))),
                        Err(e) => {
                            self.fail(Diagnostic::error("invalid-regex", e.reason).at(span));
                        }
                    }
                }
                Form::Bytes(_) => {}
            }
        }
        Expr::or(any, span)
    }
}

/// The pattern as it looks inside a JSON string.
fn json_escaped(p: &Pattern) -> Pattern {
    let mut out = Pattern::default();
    for part in p.parts() {
        match part {
            Part::Literal(text) => {
                let mut escaped = String::with_capacity(text.len());
                for c in text.chars() {
                    match c {
                        '"' => escaped.push_str("\\\""),
                        '\\' => escaped.push_str("\\\\"),
                        '\n' => escaped.push_str("\\n"),
                        '\r' => escaped.push_str("\\r"),
                        '\t' => escaped.push_str("\\t"),
                        c => escaped.push(c),
                    }
                }
                out.append(&Pattern::literal(&escaped));
            }
            Part::Any => out = out.open_end(),
            Part::One => out.append(&Pattern::parse("?")),
        }
    }
    out
}
