//! Comparison and membership between values whose types may differ.
//!
//! Sumo compares text; a number on one side casts the other (`"80" < 443`). The tables here type some
//! fields. So `EventID = "3"` must hold for the integer 3, as it would for the text "3" of the
//! original, and nothing else may begin to hold: `EventID = "03"` stays false.

use tercel_ir::{Expr, Span, Type, Value};

use super::expr::{number, peel, text, truth};
use super::{Lowerer, Profile, R, call, nullable};
use crate::ast::{self, BinaryOp};

fn function(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Ne => "ne",
        BinaryOp::Lt => "lt",
        BinaryOp::Le => "le",
        BinaryOp::Gt => "gt",
        BinaryOp::Ge => "ge",
        _ => "eq",
    }
}

/// The number that this text is the usual form of.
fn canonical(s: &str) -> Option<i64> {
    s.parse::<i64>().ok().filter(|n| n.to_string() == s)
}

/// A comparison of plain values: never null, false with a null.
pub(super) fn compare(op: BinaryOp, a: Expr, b: Expr, span: Span) -> Expr {
    let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
    let literal = |e: &Expr| match e.as_literal() {
        Some(Value::Str(s)) => Some(s.clone()),
        _ => None,
    };
    let (a, b) = match (a.ty, b.ty) {
        (Type::Bool, Type::Bool) => (a, b),
        // `flag = "true"`
        (Type::Bool, Type::String) if literal(&b).is_some_and(|s| is_bool(&s)) => {
            let v = literal(&b).is_some_and(|s| s.eq_ignore_ascii_case("true"));
            (a, Expr::boolean(v, b.span))
        }
        (Type::String, Type::Bool) if literal(&a).is_some_and(|s| is_bool(&s)) => {
            let v = literal(&a).is_some_and(|s| s.eq_ignore_ascii_case("true"));
            (Expr::boolean(v, a.span), b)
        }
        (Type::Bool, t) | (t, Type::Bool) if t.is_number() => (number(a), number(b)),
        (Type::Bool, _) | (_, Type::Bool) => (text(a), text(b)),
        (x, y) if x.is_number() && y.is_number() => (a, b),
        // `port = "443"`: a number's usual form compares as the number, other text as text.
        (x, Type::String) if x.is_number() && equality && literal(&b).is_some() => against_text(a, b),
        (Type::String, y) if y.is_number() && equality && literal(&a).is_some() => {
            let (b, a) = against_text(b, a);
            (a, b)
        }
        (x, y) if x.is_number() || y.is_number() => (number(a), number(b)),
        _ => (text(a), text(b)),
    };
    guarded(op, a, b, span)
}

fn is_bool(s: &str) -> bool {
    s.eq_ignore_ascii_case("true") || s.eq_ignore_ascii_case("false")
}

fn against_text(number: Expr, literal: Expr) -> (Expr, Expr) {
    let span = literal.span;
    match literal.as_literal() {
        Some(Value::Str(s)) if number.ty.is_integer() => match canonical(s) {
            Some(n) => (number, Expr::literal(Value::Long(n), span)),
            None => (text(number), literal),
        },
        Some(Value::Str(s)) => match s.trim().parse::<f64>() {
            Ok(r) => (number, Expr::literal(Value::Real(r), span)),
            Err(_) => (text(number), literal),
        },
        _ => (number, literal),
    }
}

/// The call with what keeps it from being null, or true of a null.
fn guarded(op: BinaryOp, a: Expr, b: Expr, span: Span) -> Expr {
    let (a, b) = (peel(a), peel(b));
    // A peeled text function reads null as "", which must not equal "".
    let empty = |e: &Expr| !matches!(e.as_literal(), Some(Value::Str(s)) if !s.is_empty());
    let needs = |x: &super::expr::Peeled, other: &super::expr::Peeled| match op {
        BinaryOp::Eq if x.null_if.is_some() => empty(&other.value),
        BinaryOp::Eq => nullable(&x.value) && nullable(&other.value),
        _ => true,
    };
    let mut all = Vec::new();
    if needs(&a, &b) {
        all.extend(a.guard(span));
    }
    // One guard is enough for equality of two that may be null.
    if needs(&b, &a) && (op != BinaryOp::Eq || all.is_empty() || b.null_if.is_some()) {
        all.extend(b.guard(span));
    }
    all.push(call(function(op), vec![a.value, b.value], span));
    Expr::and(all, span)
}

impl Lowerer<'_> {
    /// `x in (…)`: false for null.
    pub fn membership(&mut self, x: &ast::Expr, list: &[ast::Expr], span: Span) -> R<Expr> {
        let v = self.value(x)?;
        let mut items = Vec::with_capacity(list.len());
        for i in list {
            items.push(self.value(i)?);
        }
        let all_literal = items.iter().all(|i| i.as_literal().is_some());
        if !all_literal {
            let each = items.into_iter().map(|i| compare(BinaryOp::Eq, v.clone(), i, span)).collect();
            return Ok(Expr::or(each, span));
        }
        if v.ty == Type::Bool {
            let each = items.into_iter().map(|i| compare(BinaryOp::Eq, v.clone(), i, span)).collect();
            return Ok(truth(Expr::or(each, span), span));
        }
        let (numbers, texts): (Vec<Expr>, Vec<Expr>) = items.into_iter().partition(|i| i.ty.is_number());
        let mut any = Vec::new();
        if v.ty.is_number() {
            let mut as_number = numbers;
            let mut as_text = Vec::new();
            for t in texts {
                let number = match t.as_literal() {
                    Some(Value::Str(s)) if v.ty.is_integer() => canonical(s).map(Value::Long),
                    Some(Value::Str(s)) => s.trim().parse::<f64>().ok().map(Value::Real),
                    _ => None,
                };
                match number {
                    Some(n) => as_number.push(Expr::literal(n, t.span)),
                    // Text that is no number equals no number.
                    None => as_text.push(t),
                }
            }
            if !as_number.is_empty() {
                any.push(member(v.clone(), as_number, span));
            }
            drop(as_text);
        } else {
            let v = text(v);
            if !texts.is_empty() {
                any.push(self.text_member(v.clone(), texts, span));
            }
            if !numbers.is_empty() {
                let at = numbers[0].span.to(numbers[numbers.len() - 1].span);
                let field = match &x.kind {
                    ast::ExprKind::Field(n) => format!("`{}`", n.text),
                    _ => "the value".into(),
                };
                self.report(crate::findings::numeric_in_on_text(at, &field));
                // Sumo compares these as what they are, and a text is no number.
                if self.options.profile == Profile::Intent {
                    any.push(member(number(v), numbers, span));
                }
            }
        }
        Ok(Expr::or(any, span))
    }

    fn text_member(&mut self, v: Expr, texts: Vec<Expr>, span: Span) -> Expr {
        let texts: Vec<Expr> = texts.into_iter().map(text).collect();
        let p = peel(v);
        let has_empty = texts.iter().any(|t| matches!(t.as_literal(), Some(Value::Str(s)) if s.is_empty()));
        let mut all = Vec::new();
        if has_empty && p.null_if.is_some() {
            all.extend(p.guard(span));
        }
        all.push(member(p.value, texts, span));
        Expr::and(all, span)
    }
}

/// `in`, or `eq` for a list of one.
fn member(v: Expr, mut items: Vec<Expr>, span: Span) -> Expr {
    if items.len() == 1 {
        let item = items.remove(0);
        return call("eq", vec![v, item], span);
    }
    let mut args = vec![v];
    args.extend(items);
    call("in", args, span)
}
