//! `parse` and `parse-where`: a pattern of texts and columns as one regular expression.

use super::scalar::conjunction;
use super::source::{parameter, word};
use super::{Context, Failed, Lowered, Lowerer, Rows};
use crate::ast::{ExprKind as Ast, Literal, Parse, ParseElement};
use tercel_ir::{Expr, Name, Span, Type, Value};

impl Lowerer<'_> {
    pub(super) fn parse_operator(&mut self, p: &Parse, rows: Rows, span: Span) -> Lowered<Rows> {
        let name = if p.filter { "parse-where" } else { "parse" };
        if let Some(kind) = parameter(&p.parameters, "kind")
            && word(kind) != "simple"
        {
            self.error(
                "unsupported-parameter",
                format!("`{name} kind={}` is not supported yet", word(kind)),
                kind.span,
            );
            return Err(Failed);
        }
        let subject = self.scalar(&p.subject, Context::row(&rows));
        let subject = self.cast("tostring", subject);
        // The pattern covers the whole text. In the simple kind one failed conversion blanks the whole
        // row; a column's own expression is therefore part of the pattern.
        let mut regex = String::from("(?s)^");
        let mut columns: Vec<(Name, Type, Span)> = Vec::new();
        for (i, element) in p.pattern.iter().enumerate() {
            match element {
                ParseElement::Star => regex.push_str(if i + 1 == p.pattern.len() { ".*" } else { ".*?" }),
                ParseElement::Text(e) => {
                    let Ast::Literal(Literal::String { value, .. }) = &e.node else { continue };
                    regex.push_str(&escape(value));
                }
                ParseElement::Column(c) => {
                    let ty = c.ty.as_ref().map_or(Type::String, |t| t.node);
                    regex.push_str(match ty {
                        Type::Int | Type::Long => r"\s*([+-]?\d+)\s*",
                        Type::Real | Type::Decimal => r"\s*([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*",
                        Type::Bool => "(?i:(true|false))",
                        _ if i + 1 == p.pattern.len() => "(.*)",
                        _ => "(.*?)",
                    });
                    columns.push((c.name.node.clone(), ty, c.name.span));
                }
            }
        }
        regex.push('$');
        let regex = Expr::literal(Value::Str(regex), span);
        let rows = if p.filter {
            let test = self.call("matches_regex", vec![subject.clone(), regex.clone()], span);
            rows.same(|r| r.filter(test, span))
        } else {
            rows
        };
        let mut out: Vec<(Name, Expr)> = Vec::new();
        let mut converted = Vec::new();
        for (i, (name, ty, at)) in columns.into_iter().enumerate() {
            let group = Expr::literal(Value::Long(i as i64 + 1), at);
            let text = self.call("regex_group", vec![subject.clone(), regex.clone(), group], at);
            let value = match ty {
                // A missing string is "".
                Type::String => self.cast("tostring", text),
                Type::Dynamic => self.cast("parse_json", text),
                Type::Int | Type::Long | Type::Real | Type::Decimal | Type::Bool => {
                    self.convert(text, ty.as_str(), at)
                }
                _ => {
                    let value = self.convert(text, ty.as_str(), at);
                    converted.push(self.call("isnotnull", vec![value.clone()], at));
                    value
                }
            };
            // A name given twice keeps the later value.
            out.retain(|(n, _)| *n != name);
            out.push((name, value));
        }
        if converted.is_empty() {
            return Ok(rows.same(|r| r.extend(out, span)));
        }
        // What the pattern's expression alone cannot tell (is this a datetime?) decides over the row too.
        let whole = conjunction(converted, span);
        let rows = if p.filter { rows.same(|r| r.filter(whole.clone(), span)) } else { rows };
        for (_, value) in &mut out {
            let blank = match value.ty {
                Type::String => Expr::literal(Value::str(""), value.span),
                ty => Expr::null(ty, value.span),
            };
            let (then, ty) = (value.clone(), value.ty);
            *value = Expr { ty, ..Expr::iff(whole.clone(), then, blank, value.span) };
        }
        Ok(rows.same(|r| r.extend(out, span)))
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, ' ' | '_') && !c.is_control() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
