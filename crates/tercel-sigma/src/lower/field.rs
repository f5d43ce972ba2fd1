//! Fields of a rule against columns of a relation: which column, and what a comparison with a loosely
//! typed value means for the column's type. All of it is settled here and nowhere else.
//!
//! Sigma has no types: `443`, `'443'`, `true` and `'true'` are what an author happens to write. A column
//! has a type, and decides:
//!
//! | column | equality with a value | wildcards, `contains`, regular expressions |
//! |---|---|---|
//! | string, guid, dynamic | as text, without regard to case (a GUID also without braces) | on the text |
//! | int, long | as a number, if the value is one in decimal or `0x` notation | on the decimal text |
//! | real, decimal | as a number | on the text |
//! | bool | `true`/`1`, `false`/`0` | on `true`, `false` |
//! | datetime, timespan | as a time, if the value is one | on the text |
//!
//! A value that the column can never equal gives `false` and the warning `type-mismatch`.
//!
//! **Null and empty are one.** `null`, `''` and an absent field are told apart by some sources and not
//! by others (the same event as EVTX and as JSON may differ in nothing else), so `field: null` and
//! `field: ''` both mean "absent, null or empty", and `field: '*'` means "there and not empty".
//! Only `exists` asks whether the field is there.
//!
//! **A field that is not there matches nothing else.** Every predicate made here is true or false, never
//! null, so that `not` around it is what Sigma means by it.

use super::Lowering;
use crate::ast::Text;
use crate::pattern::{Pattern, Shape};
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Expr, Span, Type, Value, time};

/// A column as an expression, ready for any comparison.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) expr: Expr,
    pub(super) name: String,
}

/// Whether a comparison looks at case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Ignore,
    Regard,
}

impl Case {
    /// The registry's name for the function that ignores case, or the other.
    fn pick(self, ignore: &'static str, regard: &'static str) -> &'static str {
        match self {
            Case::Ignore => ignore,
            Case::Regard => regard,
        }
    }
}

impl Lowering<'_> {
    /// The column that a field means. A field that the events cannot have is a null, with a warning.
    pub(super) fn field(&mut self, name: &Text) -> Field {
        let schema = &self.relation.schema;
        // Sigma writes `id.orig_h` and `ThreatName` where tables may have `id_orig_h` and `Threat Name`: the
        // specification strips blanks from names.
        let dotted = name.node.contains('.').then(|| name.node.replace('.', "_"));
        let spaced =
            || schema.columns.iter().find(|c| c.name.contains(' ') && c.name.replace(' ', "") == name.node);
        let column =
            schema.get(&name.node).or_else(|| dotted.as_deref().and_then(|d| schema.get(d))).or_else(spaced);
        if let Some(c) = column {
            let expr = Expr::column(c.name.clone(), c.ty, name.span);
            return Field { expr, name: name.node.clone() };
        }
        if let Some(c) = schema.get_ignore_case(&name.node) {
            let expr = Expr::column(c.name.clone(), c.ty, name.span);
            if !self.reported.insert(name.node.clone()) {
                return Field { expr, name: name.node.clone() };
            }
            let message = format!("the field `{}` is written `{}` in these events", name.node, c.name);
            self.sink.push(
                Diagnostic::warning("field-case", message)
                    .at(name.span)
                    .meaning("engines that compare names exactly never match this")
                    .help(format!("write `{}`", c.name)),
            );
            return Field { expr, name: name.node.clone() };
        }
        if schema.open {
            // Read from the event on demand. As text, since nobody has said what it holds.
            let expr = Expr::column(name.node.as_str(), Type::String, name.span);
            return Field { expr, name: name.node.clone() };
        }
        let absent = Field { expr: Expr::null(Type::String, name.span), name: name.node.clone() };
        if self.sink.full() || !self.reported.insert(name.node.clone()) {
            return absent;
        }
        let mut d = Diagnostic::warning(
            "unknown-field",
            format!("events of this log source have no field `{}`", name.node),
        )
        .at(name.span)
        .meaning("the field counts as absent: nothing matches it but `null` and `exists: false`");
        if let Some(n) = nearest(&name.node, schema.names().filter(|n| !n.starts_with('$'))) {
            d = d.help(format!("did you mean `{n}`?"));
        }
        self.sink.push(d);
        absent
    }
}

impl Field {
    fn call(&self, function: &str, args: Vec<Expr>, span: Span) -> Expr {
        Expr::known(function, args, span)
    }
    fn span(&self) -> Span {
        self.expr.span
    }
    pub(super) fn ty(&self) -> Type {
        self.expr.ty
    }
    /// Whether the column holds text, or anything (which is compared as text).
    pub(super) fn is_text(&self) -> bool {
        matches!(self.expr.ty, Type::String | Type::Guid | Type::Dynamic)
    }
    /// The column's text; a null is `""`.
    pub(super) fn text(&self) -> Expr {
        let span = self.span();
        match self.expr.ty {
            _ if self.is_text() => self.expr.clone(),
            // Kusto's text of a boolean is `True`; events and rules have `true`.
            Type::Bool => {
                self.call("tolower", vec![self.call("tostring", vec![self.expr.clone()], span)], span)
            }
            _ => self.call("tostring", vec![self.expr.clone()], span),
        }
    }
    /// The field is there.
    pub(super) fn present(&self, span: Span) -> Expr {
        self.call("isnotnull", vec![self.expr.clone()], span)
    }
    /// Absent, null or empty.
    pub(super) fn empty(&self, span: Span) -> Expr {
        self.call(if self.is_text() { "isempty" } else { "isnull" }, vec![self.expr.clone()], span)
    }
    /// There and not empty.
    pub(super) fn filled(&self, span: Span) -> Expr {
        self.call(if self.is_text() { "isnotempty" } else { "isnotnull" }, vec![self.expr.clone()], span)
    }

    /// The value as a literal of the column's own type, with which it can be tested for equality.
    /// `Err` says that the column can never equal it.
    pub(super) fn literal(&self, text: &str, span: Span) -> Result<Expr, ()> {
        let value = match self.expr.ty {
            Type::String | Type::Dynamic => Value::str(text),
            Type::Guid => Value::Str(text.trim_start_matches('{').trim_end_matches('}').to_lowercase()),
            Type::Int | Type::Long => Value::Long(integer(text).ok_or(())?),
            Type::Real | Type::Decimal => {
                Value::Real(text.parse().ok().filter(|r: &f64| r.is_finite()).ok_or(())?)
            }
            Type::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => return Err(()),
            },
            Type::DateTime => Value::DateTime(time::parse_datetime(text).ok_or(())?),
            Type::TimeSpan => Value::TimeSpan(time::parse_timespan(text).ok_or(())?),
        };
        let ty = self.expr.ty;
        Ok(Expr { ty: if ty == Type::Dynamic { Type::String } else { ty }, ..Expr::literal(value, span) })
    }

    /// Equal to one of these literals (of [`Field::literal`]); at least one.
    pub(super) fn equals_any(&self, mut literals: Vec<Expr>, case: Case, span: Span) -> Expr {
        let text = self.is_text();
        if literals.len() == 1 {
            let value = literals.remove(0);
            let function = if text { case.pick("eq_ci", "eq") } else { "eq" };
            return self.call(function, vec![self.expr.clone(), value], span);
        }
        let function = if text { case.pick("in_ci", "in") } else { "in" };
        literals.insert(0, self.expr.clone());
        self.call(function, literals, span)
    }

    /// Matches a pattern that is no plain equality.
    pub(super) fn matches(&self, pattern: &Pattern, case: Case, span: Span) -> Expr {
        let literal = |t: &str| Expr::literal(Value::str(t), span);
        let (function, needle) = match pattern.shape() {
            // Callers test equality by `equals_any`; on the text it is right all the same.
            Shape::Equals(t) => (case.pick("eq_ci", "eq"), t.to_string()),
            Shape::Anything => return self.filled(span),
            Shape::Contains(t) => (case.pick("contains", "contains_cs"), t.to_string()),
            Shape::StartsWith(t) => (case.pick("startswith", "startswith_cs"), t.to_string()),
            Shape::EndsWith(t) => (case.pick("endswith", "endswith_cs"), t.to_string()),
            Shape::Glob => (case.pick("matches_glob_ci", "matches_glob"), pattern.glob()),
        };
        self.call(function, vec![self.text(), literal(&needle)], span)
    }

    /// A regular expression that has been checked to compile. An absent field is `""` to the function, so
    /// where the expression accepts `""` the presence is asked for too.
    pub(super) fn matches_regex(&self, pattern: &str, span: Span) -> Expr {
        let found =
            self.call("matches_regex", vec![self.text(), Expr::literal(Value::str(pattern), span)], span);
        if super::regex::accepts_empty(pattern) {
            Expr::and(vec![self.present(span), found], span)
        } else {
            found
        }
    }

    /// The column as a number, and whether that may be null where the column is not.
    pub(super) fn number(&self) -> Expr {
        if self.expr.ty.is_number() {
            self.expr.clone()
        } else {
            self.call("todouble", vec![self.text()], self.span())
        }
    }
    /// The column as a point in time.
    pub(super) fn datetime(&self) -> Expr {
        if self.expr.ty == Type::DateTime {
            self.expr.clone()
        } else {
            self.call("todatetime", vec![self.text()], self.span())
        }
    }
}

/// A number in the notation that events use: decimal without leading zeros, or `0x` hexadecimal.
fn integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().filter(|_| hex.chars().all(|c| c.is_ascii_hexdigit()));
    }
    text.parse::<i64>().ok().filter(|n| n.to_string() == text)
}
