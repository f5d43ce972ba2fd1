//! Values: fields, literals, functions.

use super::{expr, name, quoted, unsaid};
use crate::ast::{BinaryOp, Expr, ExprKind as Sumo};
use tercel_ir::{Diagnostic, Expr as Ir, ExprKind, Value, function, time};

/// Nesting beyond this is refused; the parser refuses it too.
const MAX_DEPTH: usize = 60;

/// An expression as a value.
pub(super) fn value(e: &Ir, depth: usize) -> Result<Expr, Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(unsaid("an expression nested so deeply"));
    }
    let d = depth + 1;
    match &e.kind {
        ExprKind::Literal(v) => literal(v),
        ExprKind::Column(n) if &**n == "$event" => Ok(expr(Sumo::Field(name("_raw")))),
        ExprKind::Column(n) if n.starts_with('$') => Err(unsaid(format!("the hidden field `{n}`"))),
        ExprKind::Column(n) => Ok(expr(Sumo::Field(name(n)))),
        ExprKind::Call(f, args) => call(f, args, d),
        ExprKind::Case { branches, otherwise } => {
            let mut out = value(otherwise, d)?;
            if branches.len() + depth > MAX_DEPTH {
                return Err(unsaid("so many cases"));
            }
            for (c, t) in branches.iter().rev() {
                let condition = super::condition::nested(c, d)?;
                out = called("if", vec![condition, value(t, d)?, out]);
            }
            Ok(out)
        }
        ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) => super::condition::nested(e, d),
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => {
            Err(unsaid("a test against another table, here"))
        }
    }
}

pub(super) fn called(function: &str, args: Vec<Expr>) -> Expr {
    expr(Sumo::Call { name: name(function), args })
}

pub(super) fn text(s: &str) -> Result<Expr, Diagnostic> {
    Ok(expr(Sumo::String(quoted(s)?)))
}

/// `/…/`; a slash inside is escaped.
pub(super) fn regex(pattern: &str) -> Result<Expr, Diagnostic> {
    if crate::parameters(pattern).next().is_some() || pattern.contains(['\n', '\r']) {
        return Err(unsaid("this regular expression"));
    }
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '/' => out.push_str("\\/"),
            c => out.push(c),
        }
    }
    Ok(expr(Sumo::Regex(out)))
}

pub(super) fn literal(v: &Value) -> Result<Expr, Diagnostic> {
    Ok(match v {
        Value::Null => expr(Sumo::Null),
        Value::Bool(b) => expr(Sumo::Bool(*b)),
        Value::Long(n) if *n < 0 => {
            expr(Sumo::Neg(Box::new(expr(Sumo::Number(n.unsigned_abs().to_string())))))
        }
        Value::Long(n) => expr(Sumo::Number(n.to_string())),
        Value::Real(r) if !r.is_finite() => return Err(unsaid("a number that is none")),
        Value::Real(r) if *r < 0.0 => expr(Sumo::Neg(Box::new(expr(Sumo::Number((-r).to_string()))))),
        Value::Real(r) => expr(Sumo::Number(r.to_string())),
        Value::Str(s) => text(s)?,
        // A point in time is milliseconds since 1970.
        Value::DateTime(t) => {
            literal(&Value::Long((t - time::UNIX_EPOCH).div_euclid(time::TICKS_PER_MILLI)))?
        }
        Value::TimeSpan(_) | Value::Dynamic(_) => return Err(unsaid("a value of this kind")),
    })
}

fn call(f: &function::Function, args: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let arg = |i: usize| {
        args.get(i).map_or_else(|| Err(unsaid("a call without its arguments")), |a| value(a, depth))
    };
    let binary = |op| Ok(expr(Sumo::Binary(op, Box::new(arg(0)?), Box::new(arg(1)?))));
    match f.name {
        // Every value is text where text is asked for.
        "tostring" | "text_or_null" => arg(0),
        "add" => binary(BinaryOp::Add),
        "sub" => binary(BinaryOp::Sub),
        "mul" => binary(BinaryOp::Mul),
        "div_real" => binary(BinaryOp::Div),
        "mod" => binary(BinaryOp::Mod),
        "neg" => Ok(expr(Sumo::Neg(Box::new(arg(0)?)))),
        "tolower" => Ok(called("toLowerCase", vec![arg(0)?])),
        "toupper" => Ok(called("toUpperCase", vec![arg(0)?])),
        "strlen" => Ok(called("length", vec![arg(0)?])),
        "strcat" => {
            let args = args.iter().map(|a| value(a, depth)).collect::<Result<_, _>>()?;
            Ok(called("concat", args))
        }
        "todouble" | "tolong" | "toint" => Ok(called("num", vec![arg(0)?])),
        "trim_blanks" => Ok(called("trim", vec![arg(0)?])),
        "replace_string" => Ok(called("replace", vec![arg(0)?, arg(1)?, arg(2)?])),
        "basename" => Ok(called("replace", vec![arg(0)?, regex(r"(?s)^.*[\\/]")?, text("")?])),
        "dirname" => Ok(called("replace", vec![arg(0)?, regex(r"[^\\/]*$")?, text("")?])),
        "coalesce" => {
            let mut out = value(args.last().ok_or_else(|| unsaid("nothing"))?, depth)?;
            for a in args.iter().rev().skip(1) {
                let v = value(a, depth)?;
                out = called("if", vec![called("isEmpty", vec![v.clone()]), out, v]);
            }
            Ok(out)
        }
        "base64_decode_tostring" => Ok(called("base64Decode", vec![arg(0)?])),
        "url_decode" => Ok(called("urldecode", vec![arg(0)?])),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "eq_ci" | "in" | "in_ci" | "contains" | "contains_cs"
        | "startswith" | "startswith_cs" | "endswith" | "endswith_cs" | "matches_regex" | "matches_glob"
        | "matches_glob_ci" | "has" | "isempty" | "isnotempty" | "isnull" | "isnotnull" => {
            super::condition::test(f.name, args, depth)
        }
        other => Err(unsaid(format!("`{other}`"))),
    }
}
