//! Scalar expressions.

use super::{node, unsaid};
use crate::ast::{
    Argument, ArithmeticOp, Call, CompareOp, Expr, ExprKind as Kql, Json, ListOp, Literal, Node, Step,
    StringOp,
};
use serde_json::Value as J;
use std::collections::BTreeMap;
use tercel_ir::{Diagnostic, Expr as Ir, ExprKind, Type, Value, function, time};

/// Nesting beyond this is refused; the parser refuses it too.
const MAX_DEPTH: usize = 100;

/// An expression.
///
/// # Errors
/// When it holds something that KQL has no words for.
pub fn expression(e: &Ir) -> Result<Expr, Diagnostic> {
    expr(e, 0)
}

/// How deep an expression is that has been raised, and is therefore not deeper than the limit.
pub(super) fn depth_of(e: &Ir) -> u32 {
    1 + e.children().into_iter().map(depth_of).max().unwrap_or(0)
}

/// A computed column. What would be null instead of false is made false here, where it could show.
pub(super) fn column(e: &Ir) -> Result<Expr, Diagnostic> {
    let said = expr(e, 0)?;
    if !may_be_null(e) {
        return Ok(said);
    }
    Ok(function_call("coalesce", vec![said, node(Kql::Literal(Literal::Bool(false)))]))
}

fn expr(e: &Ir, depth: usize) -> Result<Expr, Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(unsaid("an expression nested so deeply"));
    }
    let d = depth + 1;
    Ok(match &e.kind {
        ExprKind::Literal(v) => return literal(v, e.ty),
        ExprKind::Column(n) if n.starts_with('$') => {
            return Err(unsaid("a search in the whole event as text").help("name the columns to look in"));
        }
        ExprKind::Column(n) => node(Kql::Name(n.clone())),
        ExprKind::And(items) => junction(items, d, true)?,
        ExprKind::Or(items) => junction(items, d, false)?,
        ExprKind::Not(inner) => negation(inner, d)?,
        ExprKind::Call(f, args) => call(f.name, args, d)?,
        ExprKind::Case { branches, otherwise } => {
            let mut arguments = Vec::with_capacity(branches.len() * 2 + 1);
            for (c, t) in branches {
                arguments.push(expr(c, d)?);
                arguments.push(typed(t, e.ty, d)?);
            }
            arguments.push(typed(otherwise, e.ty, d)?);
            function_call(if branches.len() == 1 { "iff" } else { "case" }, arguments)
        }
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => {
            return Err(unsaid("a test against another table, here"));
        }
    })
}

/// A branch of a case: a null without a type takes the type of the whole.
fn typed(e: &Ir, ty: Type, depth: usize) -> Result<Expr, Diagnostic> {
    match &e.kind {
        ExprKind::Literal(Value::Null) => literal(&Value::Null, ty),
        _ => expr(e, depth),
    }
}

fn function_call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|value| Argument { name: None, value }).collect();
    node(Kql::Call(Call { name: node(name.into()), parameters: Vec::new(), arguments }))
}

fn text(s: &str) -> Expr {
    node(Kql::Literal(Literal::String { value: s.into(), hidden: false }))
}

fn literal(v: &Value, ty: Type) -> Result<Expr, Diagnostic> {
    Ok(node(Kql::Literal(match v {
        // There are no null strings.
        Value::Null if ty == Type::String => return Ok(text("")),
        Value::Null => Literal::Typed(ty, "null".into()),
        Value::Bool(b) => Literal::Bool(*b),
        Value::Long(n) if *n < 0 && *n != i64::MIN => {
            let operand = Box::new(node(Kql::Literal(Literal::Long(-n))));
            return Ok(node(Kql::Sign { negative: true, operand }));
        }
        Value::Long(n) if *n == i64::MIN => Literal::Typed(Type::Long, n.to_string().into()),
        Value::Long(n) => Literal::Long(*n),
        Value::Real(r) if r.is_nan() => Literal::Typed(Type::Real, "nan".into()),
        Value::Real(r) if r.is_infinite() => {
            Literal::Typed(Type::Real, if *r > 0.0 { "+inf" } else { "-inf" }.into())
        }
        Value::Real(r) if *r < 0.0 => {
            let operand = Box::new(node(Kql::Literal(Literal::Real(-r))));
            return Ok(node(Kql::Sign { negative: true, operand }));
        }
        Value::Real(r) => Literal::Real(*r),
        Value::DateTime(t) => Literal::Typed(Type::DateTime, time::format_datetime(*t).into()),
        Value::TimeSpan(t) => Literal::Typed(Type::TimeSpan, time::format_timespan(*t).into()),
        Value::Str(s) => Literal::String { value: s.as_str().into(), hidden: false },
        Value::Dynamic(j) => Literal::Dynamic(Box::new(json(j, 0)?)),
    })))
}

fn json(j: &J, depth: usize) -> Result<Node<Json>, Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(unsaid("a value nested so deeply"));
    }
    Ok(node(match j {
        J::Null => Json::Null,
        J::Bool(b) => Json::Scalar(Literal::Bool(*b)),
        J::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => Json::Scalar(Literal::Long(n)),
            (None, Some(r)) => Json::Scalar(Literal::Real(r)),
            (None, None) => return Err(unsaid("a number of that size")),
        },
        J::String(s) => Json::Scalar(Literal::String { value: s.as_str().into(), hidden: false }),
        J::Array(items) => Json::Array(items.iter().map(|i| json(i, depth + 1)).collect::<Result<_, _>>()?),
        J::Object(pairs) => Json::Object(
            pairs
                .iter()
                .map(|(k, v)| Ok((node(k.as_str().into()), json(v, depth + 1)?)))
                .collect::<Result<_, Diagnostic>>()?,
        ),
    }))
}

fn junction(items: &[Ir], depth: usize, all: bool) -> Result<Expr, Diagnostic> {
    let mut out = Vec::with_capacity(items.len());
    let mut ranges = Ranges::default();
    for i in items {
        // Address ranges of one column are one test, where any of them suffices.
        if !all && ranges.take(i) {
            continue;
        }
        out.push(expr(i, depth)?);
    }
    ranges.say(&mut out);
    Ok(match out.len() {
        0 => node(Kql::Literal(Literal::Bool(all))),
        1 => out.remove(0),
        _ if all => node(Kql::And(out)),
        _ => node(Kql::Or(out)),
    })
}

/// Ranges of IPv4 and of IPv6 that one column is tested for.
#[derive(Default)]
struct Tested<'e> {
    v4: Vec<&'e str>,
    v6: Vec<&'e str>,
}

/// CIDR tests by column: Kusto has one function for each family, which is null for the other one.
#[derive(Default)]
struct Ranges<'e> {
    found: BTreeMap<&'e str, Tested<'e>>,
}

impl<'e> Ranges<'e> {
    fn take(&mut self, e: &'e Ir) -> bool {
        let ExprKind::Call(f, args) = &e.kind else { return false };
        let ("ip_in_cidr", [address, range]) = (f.name, args.as_slice()) else { return false };
        let (Some(column), Some(Value::Str(range))) = (address.as_column(), range.as_literal()) else {
            return false;
        };
        let tested = self.found.entry(column).or_default();
        if range.contains(':') {
            tested.v6.push(range)
        } else {
            tested.v4.push(range)
        }
        true
    }

    fn say(self, out: &mut Vec<Expr>) {
        for (column, tested) in self.found {
            for (family, ranges) in [("ipv4", tested.v4), ("ipv6", tested.v6)] {
                if ranges.is_empty() {
                    continue;
                }
                let function = if ranges.len() == 1 { "is_in_range" } else { "is_in_any_range" };
                let mut arguments = vec![node(Kql::Name(column.into()))];
                arguments.extend(ranges.iter().map(|r| text(r)));
                out.push(function_call(&format!("{family}_{function}"), arguments));
            }
        }
    }
}

/// The negated form of an operator, where there is one.
fn negation(inner: &Ir, depth: usize) -> Result<Expr, Diagnostic> {
    if let ExprKind::Or(items) = &inner.kind
        && items.len() > 1
        && items.iter().all(|i| matches!(&i.kind, ExprKind::Call(f, _) if f.name == "ip_in_cidr"))
    {
        // One exclusion for each family reads better than one of both.
        let said = expr(inner, depth)?;
        if let Kql::Or(families) = said.node {
            return Ok(node(Kql::And(families.into_iter().map(never).collect())));
        }
        return Ok(never(said));
    }
    if may_be_null(inner) {
        // `not(null)` is null, and the row would be lost.
        return Ok(never(expr(inner, depth)?));
    }
    let mut said = expr(inner, depth)?;
    match &mut said.node {
        Kql::StringOp { op, .. } => {
            if let Some(n) = StringOp::from_word(&format!("!{}", op.node.as_str())).or(match op.node {
                StringOp::EqTilde => Some(StringOp::NotTilde),
                _ => None,
            }) {
                op.node = n;
                return Ok(said);
            }
        }
        Kql::List { op, .. } => {
            if let Some(n) = ListOp::from_word(&format!("!{}", op.node.as_str())) {
                op.node = n;
                return Ok(said);
            }
        }
        Kql::Compare { op, .. } => {
            // With a null, both are null, except for equality, whose negation the function is too.
            op.node = match op.node {
                CompareOp::Eq => CompareOp::Ne,
                CompareOp::Ne => CompareOp::Eq,
                CompareOp::Lt => CompareOp::Ge,
                CompareOp::Le => CompareOp::Gt,
                CompareOp::Gt => CompareOp::Le,
                CompareOp::Ge => CompareOp::Lt,
            };
            return Ok(said);
        }
        Kql::Call(c) => {
            let opposite = match &*c.name.node {
                "isempty" => Some("isnotempty"),
                "isnotempty" => Some("isempty"),
                "isnull" => Some("isnotnull"),
                "isnotnull" => Some("isnull"),
                _ => None,
            };
            if let Some(o) = opposite {
                c.name.node = o.into();
                return Ok(said);
            }
        }
        _ => {}
    }
    Ok(function_call("not", vec![said]))
}

/// `not(…)` of what may be null, which here counts as false.
fn never(e: Expr) -> Expr {
    let known = function_call("coalesce", vec![e, node(Kql::Literal(Literal::Bool(false)))]);
    function_call("not", vec![known])
}

/// Whether the words for this are null where the expression itself is false. Only address ranges are:
/// everything else is said by the function that it is.
fn may_be_null(e: &Ir) -> bool {
    match &e.kind {
        ExprKind::Call(f, _) => f.name == "ip_in_cidr",
        // In a disjunction the null of one family hides behind the truth of the other.
        ExprKind::Or(items) | ExprKind::And(items) => items.iter().any(may_be_null),
        _ => false,
    }
}

fn call(name: &str, args: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let said = |i: usize| {
        args.get(i).map_or_else(|| Err(unsaid("a call without its arguments")), |a| expr(a, depth))
    };
    Ok(match name {
        "eq" => compare(CompareOp::Eq, said(0)?, said(1)?),
        "ne" => compare(CompareOp::Ne, said(0)?, said(1)?),
        "lt" => compare(CompareOp::Lt, said(0)?, said(1)?),
        "le" => compare(CompareOp::Le, said(0)?, said(1)?),
        "gt" => compare(CompareOp::Gt, said(0)?, said(1)?),
        "ge" => compare(CompareOp::Ge, said(0)?, said(1)?),
        "add" => arithmetic(ArithmeticOp::Add, said(0)?, said(1)?),
        "sub" => arithmetic(ArithmeticOp::Subtract, said(0)?, said(1)?),
        "mul" => arithmetic(ArithmeticOp::Multiply, said(0)?, said(1)?),
        "div" => arithmetic(ArithmeticOp::Divide, said(0)?, said(1)?),
        "mod" => arithmetic(ArithmeticOp::Modulo, said(0)?, said(1)?),
        "neg" => node(Kql::Sign { negative: true, operand: Box::new(said(0)?) }),
        "in" | "in_ci" | "has_any" | "has_all" => {
            let op = match name {
                "in" => ListOp::In,
                "in_ci" => ListOp::InCi,
                "has_any" => ListOp::HasAny,
                _ => ListOp::HasAll,
            };
            let items = args.iter().skip(1).map(|a| expr(a, depth)).collect::<Result<_, _>>()?;
            node(Kql::List { op: node(op), left: Box::new(said(0)?), items })
        }
        "matches_glob" | "matches_glob_ci" => {
            let Some(Value::Str(glob)) = args.get(1).and_then(Ir::as_literal) else {
                return Err(unsaid("a wildcard pattern that is computed"));
            };
            string_op(StringOp::MatchesRegex, said(0)?, text(&glob_regex(glob, name == "matches_glob_ci")))
        }
        "ip_in_cidr" => {
            let Some(Value::Str(range)) = args.get(1).and_then(Ir::as_literal) else {
                return Err(unsaid("an address range of either family that is computed"));
            };
            if counts_ipv4(range) {
                return Err(unsaid(format!("the range {range}")).meaning(
                    "Kusto's functions for IPv6 take every IPv4 address for one of `::ffff:0:0/96`",
                ));
            }
            let function = if range.contains(':') { "ipv6_is_in_range" } else { "ipv4_is_in_range" };
            function_call(function, vec![said(0)?, text(range)])
        }
        // Views have functions for these; for everybody else they are spelled out.
        "basename" => function_call("extract", vec![text(r"([^\\/]*)$"), long(1), said(0)?]),
        "dirname" => function_call("extract", vec![text(r"(?s)^(.*[\\/])"), long(1), said(0)?]),
        // Strings are never null, so that reading one as text changes nothing.
        "tostring" | "text_or_null" if args.first().is_some_and(|a| a.ty == Type::String) => said(0)?,
        "text_or_null" => function_call("tostring", vec![said(0)?]),
        "is_valid_ipv4" => function_call("isnotnull", vec![function_call("parse_ipv4", vec![said(0)?])]),
        "is_private_ip" => function_call("ipv4_is_private", vec![said(0)?]),
        "isblank" => function_call("isempty", vec![function_call("trim", vec![text(r"\s+"), said(0)?])]),
        "isnull" | "isnotnull" if args.first().is_some_and(|a| a.ty == Type::String) => {
            return Err(
                unsaid("whether a text is there but empty").meaning("a string of Kusto is never null")
            );
        }
        "member" => member(args, depth)?,
        _ => {
            let word = function::by_name(name).and_then(|f| f.kql.first().copied());
            match word {
                Some(w) if StringOp::from_word(w).is_some() => {
                    let op = StringOp::from_word(w).unwrap_or(StringOp::Has);
                    string_op(op, said(0)?, said(1)?)
                }
                Some("path_basename" | "path_dirname" | "ip_address_class") | None => {
                    return Err(unsaid(format!("`{name}`")));
                }
                Some(w) => {
                    let arguments = args.iter().map(|a| expr(a, depth)).collect::<Result<_, _>>()?;
                    function_call(w, arguments)
                }
            }
        }
    })
}

fn long(n: i64) -> Expr {
    node(Kql::Literal(Literal::Long(n)))
}

fn compare(op: CompareOp, left: Expr, right: Expr) -> Expr {
    node(Kql::Compare { op: node(op), left: Box::new(left), right: Box::new(right) })
}

fn string_op(op: StringOp, left: Expr, right: Expr) -> Expr {
    node(Kql::StringOp { op: node(op), left: Box::new(left), right: Box::new(right) })
}

fn arithmetic(op: ArithmeticOp, first: Expr, second: Expr) -> Expr {
    node(Kql::Arithmetic { first: Box::new(first), rest: vec![(node(op), second)] })
}

/// `a.b[0]`: names in the notation of members, the rest as indexes.
fn member(args: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let [base, key] = args else { return Err(unsaid("a member without its key")) };
    let step = match key.as_literal() {
        Some(Value::Str(s)) => Step::Member(node(s.as_str().into())),
        _ => Step::Index(expr(key, depth)?),
    };
    let base = expr(base, depth)?;
    Ok(match base.node {
        Kql::Path { base, mut steps } => {
            steps.push(step);
            node(Kql::Path { base, steps })
        }
        _ => node(Kql::Path { base: Box::new(base), steps: vec![step] }),
    })
}

/// A glob as a regular expression: anchored, unless it is open at that end.
fn glob_regex(glob: &str, ignore_case: bool) -> String {
    let whole = function::glob_to_regex(glob, ignore_case);
    let flags = if ignore_case { "(?is)" } else { "(?s)" };
    let body = whole.strip_prefix(flags).unwrap_or(&whole);
    let body = body.strip_prefix("^.*").unwrap_or(body);
    // Behind an escaping backslash, `.*$` would not be what it looks like.
    let body = match body.strip_suffix(".*$") {
        Some(rest) if !rest.ends_with('\\') => rest,
        _ => body,
    };
    // Without a dot, lines do not matter.
    let flags = match (body.contains('.'), ignore_case) {
        (true, _) => flags,
        (false, true) => "(?i)",
        (false, false) => "",
    };
    format!("{flags}{body}")
}

/// Whether an IPv6 range has addresses in common with `::ffff:0:0/96`.
fn counts_ipv4(range: &str) -> bool {
    let (net, bits) = range.split_once('/').unwrap_or((range, "128"));
    let (Ok(net), Ok(bits)) = (net.trim().parse::<std::net::Ipv6Addr>(), bits.parse::<u32>()) else {
        return false;
    };
    let mapped = u128::from(std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
    let common = bits.min(96);
    common == 0 || u128::from(net) >> (128 - common) == mapped >> (128 - common)
}
