//! Conditions: true or false, never null.

use super::value::{called, literal, regex, text, value};
use super::{expr, unsaid};
use crate::ast::{BinaryOp, Expr, ExprKind as Sumo};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use tercel_ir::{Diagnostic, Expr as Ir, ExprKind, Type, Value, function};

const MAX_DEPTH: usize = 60;
/// Tests of one field that are alike become one regular expression when there are so many.
const MANY: usize = 4;

/// A predicate as a condition.
///
/// # Errors
/// When it holds something that Sumo Logic has no words for.
pub fn condition(e: &Ir) -> Result<Expr, Diagnostic> {
    nested(e, 0)
}

pub(super) fn nested(e: &Ir, depth: usize) -> Result<Expr, Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(unsaid("an expression nested so deeply"));
    }
    let d = depth + 1;
    Ok(match &e.kind {
        ExprKind::Literal(Value::Bool(b)) => expr(Sumo::Bool(*b)),
        ExprKind::Literal(Value::Null) => expr(Sumo::Bool(false)),
        ExprKind::And(items) => {
            let items = items.iter().map(|i| nested(i, d)).collect::<Result<Vec<_>, _>>()?;
            join(items, true)
        }
        ExprKind::Or(items) => disjunction(items, d)?,
        ExprKind::Not(inner) => negation(inner, d)?,
        ExprKind::Column(_) if e.ty == Type::Bool => equals(value(e, d)?, text("true")?),
        ExprKind::Call(f, args) => test(f.name, args, d)?,
        ExprKind::Case { branches, otherwise } => {
            let mut out = nested(otherwise, d)?;
            if branches.len() + depth > MAX_DEPTH {
                return Err(unsaid("so many cases"));
            }
            for (c, t) in branches.iter().rev() {
                out = called("if", vec![nested(c, d)?, nested(t, d)?, out]);
            }
            out
        }
        _ => return Err(unsaid("this condition")),
    })
}

fn join(mut items: Vec<Expr>, all: bool) -> Expr {
    match items.len() {
        0 => expr(Sumo::Bool(all)),
        1 => items.remove(0),
        _ => {
            // Both are lists of at least two without a list of their own kind inside.
            let flat = items.into_iter().flat_map(|i| match i.kind {
                Sumo::And(inner) if all => inner,
                Sumo::Or(inner) if !all => inner,
                _ => vec![i],
            });
            let flat = flat.collect();
            expr(if all { Sumo::And(flat) } else { Sumo::Or(flat) })
        }
    }
}

fn equals(a: Expr, b: Expr) -> Expr {
    expr(Sumo::Binary(BinaryOp::Eq, Box::new(a), Box::new(b)))
}

fn not(e: Expr) -> Expr {
    let kind = match e.kind {
        Sumo::In { expr, negated, list } => Sumo::In { expr, negated: !negated, list },
        Sumo::Matches { expr, negated, pattern } => Sumo::Matches { expr, negated: !negated, pattern },
        Sumo::Contains { expr, negated, part } => Sumo::Contains { expr, negated: !negated, part },
        Sumo::Bool(b) => Sumo::Bool(!b),
        Sumo::Not(inner) => return *inner,
        kind => Sumo::Not(Box::new(expr(kind))),
    };
    expr(kind)
}

fn negation(inner: &Ir, depth: usize) -> Result<Expr, Diagnostic> {
    // A comparison and its opposite are both false of a null.
    if let ExprKind::Call(f, args) = &inner.kind {
        let opposite = match f.name {
            "lt" => Some("ge"),
            "le" => Some("gt"),
            "gt" => Some("le"),
            "ge" => Some("lt"),
            "isnotnull" => Some("isnull"),
            "isnotempty" => Some("isempty"),
            "ne" => Some("eq"),
            _ => None,
        };
        if let Some(o) = opposite {
            return test(o, args, depth);
        }
    }
    Ok(not(nested(inner, depth)?))
}

/// Where a text is looked for in a field's.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Place {
    Start,
    Inside,
    End,
}

/// Tests that can be one: of one field, in one place, with the same regard to case.
type Alike<'e> = (&'e str, Place, bool);

/// A test of a field for the beginning, the end or a part of its text, and what it looks for.
fn placed(e: &Ir) -> Option<(Alike<'_>, &str)> {
    let ExprKind::Call(f, args) = &e.kind else { return None };
    let [field, needle] = args.as_slice() else { return None };
    let (place, cased) = match f.name {
        "contains" => (Place::Inside, false),
        "contains_cs" => (Place::Inside, true),
        "startswith" => (Place::Start, false),
        "startswith_cs" => (Place::Start, true),
        "endswith" => (Place::End, false),
        "endswith_cs" => (Place::End, true),
        _ => return None,
    };
    match needle.as_literal()? {
        Value::Str(s) if !s.is_empty() => Some(((field.as_column()?, place, cased), s)),
        _ => None,
    }
}

fn disjunction(items: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let mut groups: HashMap<Alike<'_>, Vec<&str>> = HashMap::new();
    for (alike, needle) in items.iter().filter_map(placed) {
        groups.entry(alike).or_default().push(needle);
    }
    groups.retain(|_, needles| needles.len() >= MANY);
    let mut out = Vec::with_capacity(items.len());
    let mut done = HashSet::new();
    for item in items {
        let Some((alike, needles)) = placed(item).and_then(|(a, _)| Some((a, groups.get(&a)?))) else {
            out.push(nested(item, depth)?);
            continue;
        };
        if !done.insert(alike) {
            continue;
        }
        let (field, place, cased) = alike;
        let all = needles.iter().map(|n| escape(&folded(n, cased))).collect::<Vec<_>>().join("|");
        let pattern = match place {
            Place::Start => format!("^({all})"),
            Place::Inside => format!("({all})"),
            Place::End => format!("({all})$"),
        };
        let field = Ir::column(field, Type::String, tercel_ir::Span::default());
        out.push(matches(subject(&field, cased, depth)?, regex(&pattern)?));
    }
    Ok(join(out, false))
}

/// A literal text in a regular expression, in the dialect that Sumo Logic and this product share.
fn escape(s: &str) -> String {
    regex::escape(s).replace("\\-", "-").replace("\\#", "#").replace("\\&", "&").replace("\\~", "~")
}

fn folded(s: &str, cased: bool) -> String {
    if cased { s.to_owned() } else { function::fold(s) }
}

/// Whether case is of no account for this text.
fn caseless(s: &str) -> bool {
    s.chars().all(|c| c.to_lowercase().eq([c]) && c.to_uppercase().eq([c]))
}

/// The text that is looked at.
fn subject(e: &Ir, cased: bool, depth: usize) -> Result<Expr, Diagnostic> {
    let v = value(e, depth)?;
    // What is lower case already need not become so.
    let lower = matches!(&e.kind, ExprKind::Call(f, _) if f.name == "tolower") || e.ty.is_number();
    Ok(if cased || lower { v } else { called("toLowerCase", vec![v]) })
}

fn matches(e: Expr, pattern: Expr) -> Expr {
    expr(Sumo::Matches { expr: Box::new(e), negated: false, pattern: Box::new(pattern) })
}

/// A call that is a test.
pub(super) fn test(name: &str, args: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let arg = |i: usize| args.get(i).ok_or_else(|| unsaid("a call without its arguments"));
    let said = |i: usize| value(arg(i)?, depth);
    let constant = |i: usize| match args.get(i).and_then(Ir::as_literal) {
        Some(Value::Str(s)) => Some(s.as_str()),
        _ => None,
    };
    let binary = |op| Ok(expr(Sumo::Binary(op, Box::new(said(0)?), Box::new(said(1)?))));
    match name {
        "eq" | "ne" => {
            let e = match (arg(0)?, arg(1)?.as_literal()) {
                (a, Some(Value::Bool(b))) => {
                    equals(value(a, depth)?, text(if *b { "true" } else { "false" })?)
                }
                (_, Some(Value::Null)) => expr(Sumo::Bool(false)),
                _ => binary(BinaryOp::Eq)?,
            };
            Ok(if name == "ne" { not(e) } else { e })
        }
        "lt" => binary(BinaryOp::Lt),
        "le" => binary(BinaryOp::Le),
        "gt" => binary(BinaryOp::Gt),
        "ge" => binary(BinaryOp::Ge),
        "eq_ci" => match constant(1) {
            Some("") => Ok(called("isEmpty", vec![said(0)?])),
            Some(s) => Ok(equals(subject(arg(0)?, caseless(s), depth)?, text(&folded(s, false))?)),
            None => Ok(equals(subject(arg(0)?, false, depth)?, subject(arg(1)?, false, depth)?)),
        },
        "in" | "in_ci" => membership(name == "in", args, depth),
        "isempty" => Ok(called("isEmpty", vec![said(0)?])),
        "isnotempty" => Ok(not(called("isEmpty", vec![said(0)?]))),
        "isnull" => Ok(called("isNull", vec![said(0)?])),
        "isnotnull" => Ok(not(called("isNull", vec![said(0)?]))),
        "isblank" => Ok(called("isBlank", vec![said(0)?])),
        "contains" | "contains_cs" | "startswith" | "startswith_cs" | "endswith" | "endswith_cs" => {
            let Some(needle) = constant(1) else {
                return Err(unsaid(format!("`{name}` of a text that is computed")));
            };
            if needle.is_empty() {
                return Ok(expr(Sumo::Bool(true)));
            }
            let cased = name.ends_with("_cs") || caseless(needle);
            let e = subject(arg(0)?, cased, depth)?;
            let needle = folded(needle, cased);
            if name.starts_with("contains") {
                return Ok(expr(Sumo::Contains {
                    expr: Box::new(e),
                    negated: false,
                    part: Box::new(text(&needle)?),
                }));
            }
            let start = name.starts_with("starts");
            // A star or a question mark cannot be escaped in a pattern.
            if needle.contains(['*', '?']) {
                let r = escape(&needle);
                return Ok(matches(e, regex(&if start { format!("^{r}") } else { format!("{r}$") })?));
            }
            let glob = if start { format!("{needle}*") } else { format!("*{needle}") };
            Ok(matches(e, text(&glob)?))
        }
        "matches_glob" | "matches_glob_ci" => {
            let Some(glob) = constant(1) else { return Err(unsaid("a pattern that is computed")) };
            let cased = name == "matches_glob";
            let e = subject(arg(0)?, cased, depth)?;
            let plain = unescaped(glob);
            match plain {
                Some(g) => Ok(matches(e, text(&folded(&g, cased))?)),
                None => {
                    let r = function::glob_to_regex(&folded(glob, cased), false);
                    Ok(matches(e, regex(&r)?))
                }
            }
        }
        "matches_regex" => {
            let Some(re) = constant(1) else { return Err(unsaid("a regular expression that is computed")) };
            let found = matches(said(0)?, regex(re)?);
            // What is absent reads as "" elsewhere, and matches nothing here.
            if function::regex_finds_nothing(re) == Ok(true) {
                return Ok(join(vec![called("isNull", vec![said(0)?]), found], false));
            }
            Ok(found)
        }
        "has" | "has_cs" | "hasprefix" | "hasprefix_cs" | "hassuffix" | "hassuffix_cs" | "has_any"
        | "has_all" => term(name, args, depth),
        "ip_in_cidr" => match constant(1) {
            Some(range) => cidr(said(0)?, range),
            None => Err(unsaid("an address range that is computed")),
        },
        "is_private_ip" | "ipv4_is_private" => {
            Ok(join(vec![called("isValidIPv4", vec![said(0)?]), called("isPrivateIP", vec![said(0)?])], true))
        }
        "is_public_ip" => {
            Ok(join(vec![called("isValidIPv4", vec![said(0)?]), called("isPublicIP", vec![said(0)?])], true))
        }
        "is_valid_ip" => Ok(called("isValidIP", vec![said(0)?])),
        "is_valid_ipv4" => Ok(called("isValidIPv4", vec![said(0)?])),
        other => Err(unsaid(format!("`{other}`"))),
    }
}

fn membership(cased: bool, args: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let Some((what, items)) = args.split_first() else { return Err(unsaid("a list without a value")) };
    let mut list = Vec::with_capacity(items.len());
    let mut empty = false;
    let mut texts = true;
    for i in items {
        match i.as_literal() {
            Some(Value::Str(s)) if s.is_empty() => empty = true,
            Some(Value::Str(s)) => {
                texts &= caseless(s);
                list.push(text(&folded(s, cased))?);
            }
            // Fields are text; quoted, a number is found in either kind.
            Some(Value::Long(n)) => list.push(text(&n.to_string())?),
            Some(v) => list.push(literal(v)?),
            None => return Err(unsaid("a list with computed values")),
        }
    }
    let mut any = Vec::new();
    if empty {
        any.push(called("isEmpty", vec![value(what, depth)?]));
    }
    if !list.is_empty() {
        let e = subject(what, cased || texts, depth)?;
        any.push(match list.len() {
            1 => equals(e, list.remove(0)),
            _ => expr(Sumo::In { expr: Box::new(e), negated: false, list }),
        });
    }
    Ok(join(any, false))
}

/// A glob without escapes, as Sumo Logic writes it: a backslash stands for itself.
fn unescaped(glob: &str) -> Option<String> {
    let mut out = String::with_capacity(glob.len());
    let mut chars = glob.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('*' | '?')) => return None,
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            _ => out.push(c),
        }
    }
    Some(out)
}

/// Kusto's term search: the needle with no letter or digit next to an edge that is one itself.
fn term(name: &str, args: &[Ir], depth: usize) -> Result<Expr, Diagnostic> {
    let Some((what, needles)) = args.split_first() else { return Err(unsaid("a search without a text")) };
    let cased = name.ends_with("_cs");
    let (before, after) = (!name.starts_with("hassuffix"), !name.starts_with("hasprefix"));
    let mut patterns = Vec::new();
    let mut always = false;
    let mut add = |s: &str| match function_term(&folded(s, cased), before, after) {
        Some(p) => patterns.push(p),
        None => always = true,
    };
    for n in needles {
        match n.as_literal() {
            Some(Value::Str(s)) => add(s),
            Some(v) if !matches!(v, Value::Dynamic(_)) => add(&v.to_text()),
            _ => return Err(unsaid("a search for a text that is computed")),
        }
    }
    let all = name == "has_all";
    if always && !all {
        return Ok(expr(Sumo::Bool(true)));
    }
    if all {
        let each = patterns.iter().map(|p| Ok(matches(subject(what, cased, depth)?, regex(p)?)));
        return Ok(join(each.collect::<Result<_, Diagnostic>>()?, true));
    }
    match patterns.as_slice() {
        [] => Ok(expr(Sumo::Bool(false))),
        list => {
            let pattern = list.join("|");
            Ok(matches(subject(what, cased, depth)?, regex(&pattern)?))
        }
    }
}

/// `None`: everywhere.
fn function_term(needle: &str, before: bool, after: bool) -> Option<String> {
    let (first, last) = (needle.chars().next()?, needle.chars().next_back()?);
    let left = if before && first.is_alphanumeric() { r"(?:^|[^\p{L}\p{N}])" } else { "" };
    let right = if after && last.is_alphanumeric() { r"(?:$|[^\p{L}\p{N}])" } else { "" };
    Some(format!("{left}{}{right}", escape(needle)))
}

/// An address range. There is a function for IPv4 only; a range of IPv6 is a pattern of its text where
/// that has one spelling.
fn cidr(address: Expr, range: &str) -> Result<Expr, Diagnostic> {
    let (net, bits) = match range.split_once('/') {
        Some((n, b)) => (n, b.parse::<u32>().ok()),
        None => (range, None),
    };
    let refused = || unsaid(format!("the address range {range}"));
    match net.trim().parse::<IpAddr>().map_err(|_| refused())? {
        IpAddr::V4(ip) => {
            let bits = bits.unwrap_or(32);
            if bits == 32 {
                return Ok(equals(address, text(&ip.to_string())?));
            }
            if bits > 32 {
                return Err(refused());
            }
            let bits = expr(Sumo::Number(bits.to_string()));
            Ok(called("compareCIDRPrefix", vec![text(&ip.to_string())?, address, bits]))
        }
        IpAddr::V6(ip) => {
            let pattern = pattern_of_range(ip, bits.unwrap_or(128)).ok_or_else(|| {
                refused()
                    .meaning("an IPv6 address has many spellings, and there is no function for its ranges")
            })?;
            Ok(matches(called("toLowerCase", vec![address]), regex(&pattern)?))
        }
    }
}

/// The pattern that stands for a range of IPv6 addresses, in lower case, where there is one: among the texts
/// of addresses it matches exactly those of the range, however they are written.
pub fn ipv6_pattern(range: &str) -> Option<String> {
    let (net, bits) = match range.split_once('/') {
        Some((n, b)) => (n, b.parse().ok()?),
        None => (range, 128),
    };
    pattern_of_range(net.trim().parse().ok()?, bits)
}

/// A pattern for the text of an address of a range: of ::1 and ::, and of ranges that are decided by
/// leading groups that are not zero (which `::` can therefore not stand for).
fn pattern_of_range(ip: Ipv6Addr, bits: u32) -> Option<String> {
    if bits > 128 {
        return None;
    }
    if bits == 128 && (ip.is_loopback() || ip.is_unspecified()) {
        let last = if ip.is_loopback() { "0{0,3}1" } else { "0{0,4}" };
        return Some(format!("^(?:0{{0,4}}:){{2,7}}{last}$"));
    }
    if bits == 0 {
        return Some(":".into());
    }
    // Nothing but the end follows the last group.
    if bits > 112 {
        return None;
    }
    let groups = ip.segments();
    let mut out = String::from("^");
    let whole = (bits / 16) as usize;
    for g in groups.iter().take(whole) {
        if *g == 0 {
            return None;
        }
        let hex = format!("{g:x}");
        if hex.len() < 4 {
            out.push_str(&format!("0{{0,{}}}", 4 - hex.len()));
        }
        out.push_str(&hex);
        out.push(':');
    }
    let rest = bits % 16;
    if whole >= 8 {
        return None;
    }
    if rest > 0 {
        let g = groups[whole] & (!0u16 << (16 - rest));
        // Four digits always, or leading zeros would matter.
        if g < 0x1000 {
            return None;
        }
        let mut left = rest;
        for shift in [12, 8, 4, 0] {
            let digit = (g >> shift) & 0xf;
            match left {
                0 => out.push_str("[0-9a-f]"),
                1..4 => {
                    let span = 1u16 << (4 - left);
                    let all: String =
                        (digit..digit + span).filter_map(|d| char::from_digit(u32::from(d), 16)).collect();
                    out.push_str(&format!("[{all}]"));
                }
                _ => out.push_str(&format!("{digit:x}")),
            }
            left = left.saturating_sub(4);
        }
        out.push(':');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ipv6() {
        for (range, inside, outside) in [
            ("fe80::/10", vec!["fe80::1", "febf:0:0::2"], vec!["fec0::1", "10.0.0.1", "fe8::1"]),
            ("fc00::/7", vec!["fd12:3456::1", "fc00::"], vec!["fe80::1"]),
            ("::1/128", vec!["::1", "0:0:0:0:0:0:0:1", "0000::0001"], vec!["::2", "1::1", "127.0.0.1"]),
            ("2001:db8::/32", vec!["2001:db8::1", "2001:0db8:1::2"], vec!["2001:db9::1", "2001:db80::1"]),
        ] {
            let (net, bits) = range.split_once('/').unwrap();
            let p = ipv6_pattern(range).unwrap();
            assert!(net.contains(':') && bits.len() < 4);
            let re = regex::Regex::new(&p).unwrap();
            inside.iter().for_each(|i| assert!(re.is_match(i), "{i} in {range}: {p}"));
            outside.iter().for_each(|o| assert!(!re.is_match(o), "{o} in {range}: {p}"));
        }
        assert_eq!(ipv6_pattern("::ffff:0:0/96"), None);
        assert_eq!(ipv6_pattern("10.0.0.0/8"), None);
    }
}
