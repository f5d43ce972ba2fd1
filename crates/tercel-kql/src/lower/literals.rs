//! Literals to values.

use super::{Lowerer, timespan};
use crate::ast::{self, Call, ExprKind as Ast, Json, Literal, Node};
use crate::literal;
use serde_json::Value as J;
use std::rc::Rc;
use tercel_ir::{Diagnostic, Expr, ExprKind, Span, Type, Value};

impl Lowerer<'_> {
    pub(super) fn literal(&mut self, l: &Literal, span: Span) -> Expr {
        match l {
            Literal::Bool(b) => Expr::boolean(*b, span),
            Literal::Long(n) => Expr::literal(Value::Long(*n), span),
            Literal::Real(r) => Expr::literal(Value::Real(*r), span),
            Literal::String { value, .. } => Expr::literal(Value::Str(value.to_string()), span),
            Literal::Timespan(t) => typed(Type::TimeSpan, timespan(t), span),
            Literal::Typed(ty, text) => match literal::typed_literal(*ty, text) {
                Some(v) => typed(*ty, v, span),
                None => {
                    if *ty == Type::DateTime && literal::is_clock(text) {
                        self.error(
                            "unsupported-literal",
                            format!("`datetime({text})`, a time of day without a date, is not supported"),
                            span,
                        );
                    }
                    Expr::null(*ty, span)
                }
            },
            Literal::TypeOf(t) => {
                self.report(Diagnostic::error("syntax", format!("`typeof({t})` has no value here")).at(span));
                Expr::null(Type::String, span)
            }
            Literal::Dynamic(j) => {
                let value = match json(j) {
                    J::Null => Value::Null,
                    j => Value::Dynamic(j),
                };
                typed(Type::Dynamic, value, span)
            }
        }
    }
}

fn typed(ty: Type, value: Value, span: Span) -> Expr {
    Expr { kind: ExprKind::Literal(value), ty, span }
}

/// The JSON that a `dynamic` literal holds.
pub(super) fn json(j: &Node<Json>) -> J {
    match &j.node {
        Json::Null => J::Null,
        Json::Scalar(l) => json_scalar(l),
        Json::Array(items) => J::Array(items.iter().map(json).collect()),
        Json::Object(pairs) => J::Object(pairs.iter().map(|(k, v)| (k.node.to_string(), json(v))).collect()),
    }
}

fn json_scalar(l: &Literal) -> J {
    match l {
        Literal::Bool(b) => J::Bool(*b),
        Literal::Long(n) => J::from(*n),
        Literal::Real(r) => serde_json::Number::from_f64(*r).map_or(J::Null, J::Number),
        Literal::String { value, .. } => J::String(value.to_string()),
        // Inside a dynamic, a timespan is its ticks and a datetime its text.
        Literal::Timespan(t) => timespan(t).as_i64().map_or(J::Null, J::from),
        Literal::Typed(Type::TimeSpan, text) => {
            literal::typed_literal(Type::TimeSpan, text).and_then(|v| v.as_i64()).map_or(J::Null, J::from)
        }
        Literal::Typed(ty, text) => literal::typed_literal(*ty, text).map_or(J::Null, |v| v.to_json()),
        Literal::TypeOf(_) => J::Null,
        Literal::Dynamic(j) => json(j),
    }
}

/// A dynamic scalar as a literal of its own type.
fn item(j: &Node<Json>) -> Expr {
    let value = match json(j) {
        J::Null => Value::Null,
        J::Bool(b) => Value::Bool(b),
        J::String(s) => Value::Str(s),
        J::Number(n) => n.as_i64().map_or_else(|| Value::Real(n.as_f64().unwrap_or(f64::NAN)), Value::Long),
        other => Value::Dynamic(other),
    };
    Expr::literal(value, j.span)
}

/// The elements of a constant array, each with its place: what lists in `in (…)` are made of.
pub(super) fn array_items(e: &ast::Expr, lowerer: &Lowerer) -> Option<Rc<Vec<Expr>>> {
    match &e.node {
        Ast::Literal(Literal::Dynamic(j)) => match &j.node {
            Json::Array(items) => Some(Rc::new(items.iter().map(item).collect())),
            _ => None,
        },
        Ast::Name(n) => match lowerer.lookup(n) {
            Some(super::Binding::Scalar { items, .. }) => items.clone(),
            _ => None,
        },
        Ast::Call(Call { name, arguments, .. }) if &*name.node == "pack_array" => {
            arguments.iter().map(|a| constant(&a.value)).collect::<Option<Vec<Expr>>>().map(Rc::new)
        }
        Ast::Call(Call { name, arguments, .. })
            if matches!(&*name.node, "todynamic" | "parse_json" | "materialize") =>
        {
            array_items(&arguments.first()?.value, lowerer)
        }
        _ => None,
    }
}

fn constant(e: &ast::Expr) -> Option<Expr> {
    match &e.node {
        Ast::Literal(Literal::String { value, .. }) => {
            Some(Expr::literal(Value::Str(value.to_string()), e.span))
        }
        Ast::Literal(Literal::Long(n)) => Some(Expr::literal(Value::Long(*n), e.span)),
        Ast::Literal(Literal::Bool(b)) => Some(Expr::boolean(*b, e.span)),
        _ => None,
    }
}
