//! Predicates in two-valued form.
//!
//! Expressions have three truth values, and languages disagree about the third. So a predicate is first
//! brought to a form in which negation stands only around tests that are never null, and every test that
//! may be null is guarded by `isnotnull`. From then on ordinary logic holds, whatever the language. A row
//! is found exactly when the original predicate is true (not false, not null).

use crate::flat::{MAX_NODES, too_large};
use crate::tree::Mark;
use std::collections::HashSet;
use std::fmt::Write as _;
use tercel_ir::{Diagnostic, Expr, ExprKind, Span, Type, Value};

const MAX_DEPTH: usize = 150;

/// An expression that is true exactly where `e` is true (`positive`), or where it is false.
///
/// # Errors
/// When the result would be too large.
pub(crate) fn two_valued(e: &Expr, positive: bool) -> Result<Expr, Diagnostic> {
    let mut left = MAX_NODES;
    let out = truth(e, positive, 0, &mut left)?;
    Ok(tidy(out))
}

fn truth(e: &Expr, positive: bool, depth: usize, left: &mut usize) -> Result<Expr, Diagnostic> {
    *left = left.checked_sub(1).ok_or_else(too_large)?;
    if depth > MAX_DEPTH {
        return Err(too_large());
    }
    let d = depth + 1;
    let span = e.span;
    Ok(match &e.kind {
        ExprKind::Literal(v) => Expr::boolean(v.as_bool() == Some(positive), span),
        ExprKind::Not(inner) => truth(inner, !positive, d, left)?,
        ExprKind::And(items) | ExprKind::Or(items) => {
            let items = items.iter().map(|i| truth(i, positive, d, left)).collect::<Result<Vec<_>, _>>()?;
            if matches!(e.kind, ExprKind::And(_)) == positive {
                Expr::and(items, span)
            } else {
                Expr::or(items, span)
            }
        }
        ExprKind::Column(_) => compare("eq", e.clone(), Expr::boolean(positive, span)),
        ExprKind::Case { branches, otherwise } if e.ty == Type::Bool => {
            // The first branch whose condition is true decides.
            let mut any = Vec::new();
            let mut before: Vec<Expr> = Vec::new();
            for (c, t) in branches {
                let mut all = before.clone();
                *left = left.checked_sub(before.iter().map(crate::flat::size).sum()).ok_or_else(too_large)?;
                all.push(truth(c, true, d, left)?);
                all.push(truth(t, positive, d, left)?);
                any.push(Expr::and(all, span));
                before.push(negate(truth(c, true, d, left)?));
            }
            before.push(truth(otherwise, positive, d, left)?);
            any.push(Expr::and(before, span));
            Expr::or(any, span)
        }
        ExprKind::Call(f, args) => match (f.name, args.as_slice()) {
            ("eq" | "ne", [a, b]) => {
                let equal = (f.name == "eq") == positive;
                return equality(a, b, equal, e, d, left);
            }
            ("lt" | "le" | "gt" | "ge", [a, b]) => {
                let name = if positive { f.name } else { opposite(f.name) };
                let mut all = guards(&[a, b]);
                all.push(Expr::known(name, vec![a.clone(), b.clone()], span));
                Expr::and(all, span)
            }
            // Null where there is no IPv4 address; otherwise a matter of ranges.
            ("isnotnull" | "isnull", [a]) if private_test(a).is_some() => {
                let address = private_test(a).unwrap_or(a).clone();
                let valid = Expr::known("is_valid_ipv4", vec![address], span);
                literal(valid, (f.name == "isnotnull") == positive)
            }
            ("is_private_ip" | "ipv4_is_private", [a]) => {
                let each = PRIVATE.iter().map(|r| {
                    let range = Expr::literal(Value::str(*r), span);
                    Expr::known("ip_in_cidr", vec![a.clone(), range], span)
                });
                let inside = Expr::or(each.collect(), span);
                if positive {
                    inside
                } else {
                    Expr::and(vec![Expr::known("is_valid_ipv4", vec![a.clone()], span), negate(inside)], span)
                }
            }
            ("isnotempty" | "isnotnull", [a]) => {
                let test = if f.name == "isnotempty" { "isempty" } else { "isnull" };
                literal(Expr::known(test, vec![a.clone()], span), !positive)
            }
            ("ipv4_is_in_range" | "ipv6_is_in_range", [a, range])
                if positive && is_cidr(range) && (f.name == "ipv4_is_in_range" || is_v6(range)) =>
            {
                Expr::known("ip_in_cidr", vec![a.clone(), range.clone()], span)
            }
            ("ipv4_is_in_any_range" | "ipv6_is_in_any_range", [a, ranges @ ..])
                if positive
                    && !ranges.is_empty()
                    && ranges.iter().all(is_cidr)
                    && (f.name == "ipv4_is_in_any_range" || ranges.iter().all(is_v6)) =>
            {
                let each = ranges.iter().map(|r| Expr::known("ip_in_cidr", vec![a.clone(), r.clone()], span));
                Expr::or(each.collect(), span)
            }
            ("ipv4_is_match", [a, b]) if matched_range(a, b).is_some() => {
                let Some((address, range)) = matched_range(a, b) else { return Err(too_large()) };
                let inside = Expr::literal(Value::Str(range), span);
                let inside = Expr::known("ip_in_cidr", vec![address.clone(), inside], span);
                if positive {
                    inside
                } else {
                    let valid = Expr::known("is_valid_ipv4", vec![address.clone()], span);
                    Expr::and(vec![valid, negate(inside)], span)
                }
            }
            ("ipv4_is_in_range", [a, range]) if is_cidr(range) => {
                // False, not null: an IPv4 address outside.
                let inside = Expr::known("ip_in_cidr", vec![a.clone(), range.clone()], span);
                Expr::and(vec![Expr::known("is_valid_ipv4", vec![a.clone()], span), negate(inside)], span)
            }
            ("ipv4_is_in_any_range", [a, ranges @ ..])
                if !ranges.is_empty() && ranges.iter().all(is_cidr) =>
            {
                let mut all = vec![Expr::known("is_valid_ipv4", vec![a.clone()], span)];
                all.extend(
                    ranges
                        .iter()
                        .map(|r| negate(Expr::known("ip_in_cidr", vec![a.clone(), r.clone()], span))),
                );
                Expr::and(all, span)
            }
            ("coalesce", [a, b]) if e.ty == Type::Bool => {
                // The first that is not null.
                let first = truth(a, positive, d, left)?;
                match b.as_literal().and_then(Value::as_bool) {
                    // Anything but the opposite.
                    Some(b) if b == positive => negate(truth(a, !positive, d, left)?),
                    Some(_) => first,
                    None => {
                        let null = Expr::known("isnull", vec![a.clone()], span);
                        let second = truth(b, positive, d, left)?;
                        Expr::or(vec![first, Expr::and(vec![null, second], span)], span)
                    }
                }
            }
            (name, _) if two_valued_function(name, args) => literal(e.clone(), positive),
            _ => {
                let known = Expr::known("isnotnull", vec![e.clone()], span);
                Expr::and(vec![known, literal(e.clone(), positive)], span)
            }
        },
        _ => {
            let known = Expr::known("isnotnull", vec![e.clone()], span);
            Expr::and(vec![known, literal(e.clone(), positive)], span)
        }
    })
}

/// The address and the range of `ipv4_is_match("10.0.0.0/8", strcat(address, "/", "8"))`. What is taken for the
/// same is an address with blanks around it, which is no address to the one and one to the other.
pub(crate) fn matched_range<'e>(a: &'e Expr, b: &'e Expr) -> Option<(&'e Expr, String)> {
    fn net(e: &Expr) -> Option<String> {
        match &e.kind {
            ExprKind::Literal(Value::Str(s)) => Some(s.clone()),
            ExprKind::Call(f, args) if f.name == "strcat" => {
                args.iter().map(|a| a.as_literal().map(Value::to_text)).collect()
            }
            _ => None,
        }
    }
    for (constant, other) in [(a, b), (b, a)] {
        let Some(range) = net(constant) else { continue };
        let (address, bits) = range.split_once('/')?;
        let plain = address.parse::<std::net::Ipv4Addr>().is_ok();
        let ExprKind::Call(f, args) = &other.kind else { continue };
        let [x, slash, length] = args.as_slice() else { continue };
        let is = |e: &Expr, s: &str| e.as_literal().is_some_and(|v| v.to_text() == s);
        if f.name == "strcat" && plain && is(slash, "/") && is(length, bits) {
            let bits: u8 = bits.parse().ok().filter(|b| *b <= 32)?;
            return Some((x, format!("{address}/{bits}")));
        }
    }
    None
}

/// RFC 1918.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// What a test for a private address looks at.
fn private_test(e: &Expr) -> Option<&Expr> {
    match &e.kind {
        ExprKind::Call(f, args) if matches!(f.name, "is_private_ip" | "ipv4_is_private") => args.first(),
        _ => None,
    }
}

/// A range of IPv6 in which no IPv4 address lies, however it is written.
fn is_v6(e: &Expr) -> bool {
    match e.as_literal() {
        Some(Value::Str(s)) => {
            let (net, whole) = s.split_once('/').map_or((s.as_str(), true), |(n, b)| (n, b == "128"));
            net.trim()
                .parse::<std::net::Ipv6Addr>()
                .is_ok_and(|ip| ip.segments()[0] != 0 || whole && ip.to_ipv4_mapped().is_none())
        }
        _ => false,
    }
}

fn is_cidr(e: &Expr) -> bool {
    match e.as_literal() {
        Some(Value::Str(s)) => {
            let (net, bits) = s.split_once('/').map_or((s.as_str(), None), |(n, b)| (n, Some(b)));
            let Ok(ip) = net.trim().parse::<std::net::IpAddr>() else { return false };
            let most = if ip.is_ipv4() { 32 } else { 128 };
            bits.is_none_or(|b| b.parse::<u8>().is_ok_and(|b| b <= most))
        }
        _ => false,
    }
}

fn opposite(name: &str) -> &'static str {
    match name {
        "lt" => "ge",
        "le" => "gt",
        "gt" => "le",
        _ => "lt",
    }
}

fn compare(name: &str, a: Expr, b: Expr) -> Expr {
    let span = a.span;
    Expr::known(name, vec![a, b], span)
}

/// Conditions under which a comparison of these is not null.
fn guards(args: &[&Expr]) -> Vec<Expr> {
    let unknown = args.iter().filter(|a| may_be_null(a));
    unknown.map(|a| Expr::known("isnotnull", vec![(*a).clone()], a.span)).collect()
}

fn equality(
    a: &Expr,
    b: &Expr,
    equal: bool,
    e: &Expr,
    depth: usize,
    left: &mut usize,
) -> Result<Expr, Diagnostic> {
    let span = e.span;
    // A test of a truth value is the test itself, or its opposite.
    for (x, y) in [(a, b), (b, a)] {
        if let (Some(Value::Bool(want)), false) = (y.as_literal(), matches!(x.kind, ExprKind::Column(_)))
            && x.ty == Type::Bool
        {
            return if equal {
                truth(x, *want, depth, left)
            } else {
                // Everything but that: the opposite, or null.
                Ok(negate(truth(x, *want, depth, left)?))
            };
        }
    }
    let same = Expr::known("eq", vec![a.clone(), b.clone()], span);
    let constant = |x: &Expr| x.as_literal().is_some_and(|v| !v.is_null());
    if constant(a) || constant(b) || !may_be_null(a) || !may_be_null(b) {
        return Ok(literal(same, equal));
    }
    if a.as_literal().is_some() || b.as_literal().is_some() {
        // Equal to null is never true; different from null is true of what is not null.
        let other = if a.as_literal().is_some() { b } else { a };
        return Ok(match equal {
            true => Expr::boolean(false, span),
            false => literal(Expr::known("isnull", vec![other.clone()], span), false),
        });
    }
    Ok(match equal {
        true => Expr::and(vec![literal(Expr::known("isnull", vec![a.clone()], span), false), same], span),
        false => {
            let some = |x: &Expr| literal(Expr::known("isnull", vec![x.clone()], span), false);
            Expr::and(vec![Expr::or(vec![some(a), some(b)], span), literal(same, false)], span)
        }
    })
}

/// Whether an expression can be null.
pub(crate) fn may_be_null(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Literal(v) => v.is_null(),
        ExprKind::Call(f, _) => !matches!(
            f.name,
            "tostring"
                | "strcat"
                | "tolower"
                | "toupper"
                | "strlen"
                | "basename"
                | "dirname"
                | "extract"
                | "substring"
        ),
        _ => true,
    }
}

/// Functions that are true or false whatever they are given.
fn two_valued_function(name: &str, args: &[Expr]) -> bool {
    match name {
        "matches_regex" => match args.get(1).and_then(Expr::as_literal) {
            Some(Value::Str(re)) => tercel_ir::function::check_regex(re).is_ok(),
            _ => false,
        },
        "matches_glob" | "matches_glob_ci" => args.get(1).is_some_and(|a| a.as_literal().is_some()),
        "eq_ci"
        | "in"
        | "in_ci"
        | "isnull"
        | "isempty"
        | "isblank"
        | "contains"
        | "contains_cs"
        | "startswith"
        | "startswith_cs"
        | "endswith"
        | "endswith_cs"
        | "has"
        | "has_cs"
        | "hasprefix"
        | "hasprefix_cs"
        | "hassuffix"
        | "hassuffix_cs"
        | "has_any"
        | "has_all"
        | "ip_in_cidr"
        | "is_valid_ip"
        | "is_valid_ipv4"
        | "has_ipv4"
        | "has_any_ipv4"
        | "has_ipv4_prefix"
        | "has_any_ipv4_prefix" => true,
        _ => false,
    }
}

/// A test, or its negation. Negated emptiness has a name of its own.
pub(crate) fn literal(test: Expr, positive: bool) -> Expr {
    if positive {
        return test;
    }
    let span = test.span;
    if let ExprKind::Call(f, args) = &test.kind {
        let other = match f.name {
            "isempty" => Some("isnotempty"),
            "isnull" => Some("isnotnull"),
            "isnotempty" => Some("isempty"),
            "isnotnull" => Some("isnull"),
            _ => None,
        };
        if let Some(o) = other {
            return Expr::known(o, args.clone(), span);
        }
    }
    Expr::not(test, span)
}

/// The negation of an expression in two-valued form, in that form.
pub(crate) fn negate(e: Expr) -> Expr {
    let span = e.span;
    match e.kind {
        ExprKind::Literal(Value::Bool(b)) => Expr::boolean(!b, span),
        ExprKind::Not(inner) => *inner,
        ExprKind::And(items) => Expr::or(items.into_iter().map(negate).collect(), span),
        ExprKind::Or(items) => Expr::and(items.into_iter().map(negate).collect(), span),
        _ => literal(e, false),
    }
}

pub(crate) fn as_bool(e: &Expr) -> Option<bool> {
    match &e.kind {
        ExprKind::Literal(Value::Bool(b)) => Some(*b),
        _ => None,
    }
}

/// Constants folded, nesting flattened, repetitions left out.
pub(crate) fn tidy(e: Expr) -> Expr {
    let span = e.span;
    match e.kind {
        ExprKind::And(items) => join(items.into_iter().map(tidy), true, span),
        ExprKind::Or(items) => join(items.into_iter().map(tidy), false, span),
        ExprKind::Not(inner) => negate_tidy(tidy(*inner), span),
        kind => Expr { kind, ty: e.ty, span },
    }
}

/// The same of what is joined from parts that are tidy, so that each level is looked at once.
pub(crate) fn tidy_join(items: Vec<Expr>, all: bool, span: Span) -> Expr {
    let items = items.into_iter().map(|i| match i.kind {
        ExprKind::Not(_) => tidy(i),
        _ => i,
    });
    join(items, all, span)
}

fn negate_tidy(e: Expr, span: Span) -> Expr {
    match as_bool(&e) {
        Some(b) => Expr::boolean(!b, span),
        None => negate(e),
    }
}

fn join(items: impl ExactSizeIterator<Item = Expr>, all: bool, span: Span) -> Expr {
    let mut out: Vec<Expr> = Vec::with_capacity(items.len());
    let mut seen = Seen::default();
    let mut push = |e: Expr| {
        if seen.first(&e) {
            out.push(e);
        }
    };
    for i in items {
        match (as_bool(&i), all) {
            (Some(b), all) if b == all => {}
            (Some(b), _) => return Expr::boolean(b, span),
            (None, _) => match i.kind {
                ExprKind::And(inner) if all => inner.into_iter().for_each(&mut push),
                ExprKind::Or(inner) if !all => inner.into_iter().for_each(&mut push),
                kind => push(Expr { kind, ty: i.ty, span: i.span }),
            },
        }
    }
    if all { Expr::and(out, span) } else { Expr::or(out, span) }
}

/// Which expressions have been there. Most lists are short.
#[derive(Default)]
struct Seen {
    few: Vec<Mark>,
    many: HashSet<Mark>,
}

impl Seen {
    fn first(&mut self, e: &Expr) -> bool {
        const FEW: usize = 24;
        let mark = Mark::of(e);
        if self.few.contains(&mark) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(mark);
            return true;
        }
        self.many.insert(mark)
    }
}

/// A text that two expressions share exactly when they are the same.
pub(crate) fn key(e: &Expr) -> String {
    let mut out = String::new();
    write_key(e, &mut out);
    out
}

fn write_key(e: &Expr, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match &e.kind {
        // The length tells where the text ends, whatever stands in it.
        ExprKind::Literal(Value::Str(s)) => {
            let done = write!(out, "\"{}:", s.len());
            out.push_str(s);
            done
        }
        ExprKind::Literal(v) => write!(out, "{v:?}"),
        ExprKind::Column(n) => {
            out.push('`');
            out.push_str(n);
            out.push('`');
            Ok(())
        }
        ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) => {
            out.push(match &e.kind {
                ExprKind::And(_) => '&',
                ExprKind::Or(_) => '|',
                _ => '!',
            });
            Ok(())
        }
        ExprKind::Call(f, _) => {
            out.push_str(f.name);
            Ok(())
        }
        ExprKind::Case { .. } => write!(out, "case"),
        ExprKind::Scalar(r) => write!(out, "scalar{:p}", std::sync::Arc::as_ptr(r)),
        ExprKind::InRelation { relation, .. } => write!(out, "in{:p}", std::sync::Arc::as_ptr(relation)),
    };
    let children = e.children();
    if !children.is_empty() {
        out.push('(');
        for c in children {
            write_key(c, out);
            out.push(',');
        }
        out.push(')');
    }
}
