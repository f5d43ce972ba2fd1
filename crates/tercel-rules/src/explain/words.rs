//! Tests in words.

use super::path::asked;
use std::fmt::Write;
use tercel_ir::{Expr, ExprKind, Value};

/// Longest literal or value that is shown whole.
const LONG: usize = 120;
/// Most members of a list that are shown.
const MEMBERS: usize = 5;

/// A test: of what, and what is asked of it.
pub(super) struct Words {
    /// What is looked at: the name of a column, or an expression.
    pub subject: String,
    /// `contains`, `is`.
    third: &'static str,
    /// `contain`, `be`.
    infinitive: &'static str,
    /// What follows the verb.
    rest: String,
}

impl Words {
    /// `CommandLine contains "x"`, or that it does not.
    pub(super) fn said(&self, holds: bool) -> String {
        let Words { subject, third, infinitive, rest } = self;
        match (holds, *infinitive) {
            (true, _) => format!("{subject} {third} {rest}"),
            (false, "be") => format!("{subject} is not {rest}"),
            (false, _) => format!("{subject} does not {infinitive} {rest}"),
        }
    }
    /// `CommandLine would have to contain "x"`, or not to.
    pub(super) fn wanted(&self, holds: bool) -> String {
        let Words { subject, infinitive, rest, .. } = self;
        let not = if holds { "" } else { "not " };
        format!("{subject} would have to {not}{infinitive} {rest}")
    }
}

/// The words of a test.
pub(super) fn words(e: &Expr) -> Words {
    let be = |subject, rest| Words { subject, third: "is", infinitive: "be", rest };
    match &e.kind {
        ExprKind::Literal(v) => be("the condition".into(), short_value(v)),
        ExprKind::Column(n) => be(shown(n).to_string(), "true".into()),
        ExprKind::InRelation { value, .. } => {
            be(operand(value), format!("among values found in {}", asked(e).unwrap_or_default()))
        }
        ExprKind::Call(f, args) if !args.is_empty() => {
            let subject = operand(&args[0]);
            let other = |i: usize| args.get(i).map_or_else(String::new, argument);
            let verb = |third, infinitive, rest| Words { subject: subject.clone(), third, infinitive, rest };
            let cased = |rest: String| format!("{rest} (with regard to case)");
            match f.name {
                "eq" | "eq_ci" => be(subject, other(1)),
                "ne" => be(subject, format!("something other than {}", other(1))),
                "lt" => be(subject, format!("less than {}", other(1))),
                "le" => be(subject, format!("at most {}", other(1))),
                "gt" => be(subject, format!("greater than {}", other(1))),
                "ge" => be(subject, format!("at least {}", other(1))),
                "in" | "in_ci" => be(subject, format!("one of {}", members(&args[1..]))),
                "isnull" => be(subject, "absent".into()),
                "isnotnull" => be(subject, "there".into()),
                "isempty" => be(subject, "empty or absent".into()),
                "isblank" => be(subject, "blank or absent".into()),
                "isnotempty" => be(subject, "there and not empty".into()),
                "contains" => verb("contains", "contain", other(1)),
                "contains_cs" => verb("contains", "contain", cased(other(1))),
                "startswith" => verb("starts with", "start with", other(1)),
                "startswith_cs" => verb("starts with", "start with", cased(other(1))),
                "endswith" => verb("ends with", "end with", other(1)),
                "endswith_cs" => verb("ends with", "end with", cased(other(1))),
                "has" => verb("has", "have", format!("the term {}", other(1))),
                "has_cs" => verb("has", "have", cased(format!("the term {}", other(1)))),
                "hasprefix" => verb("has", "have", format!("a term that begins with {}", other(1))),
                "hassuffix" => verb("has", "have", format!("a term that ends with {}", other(1))),
                "has_any" => verb("has", "have", format!("one of the terms {}", members(&args[1..]))),
                "has_all" => verb("has", "have", format!("all of the terms {}", members(&args[1..]))),
                "matches_regex" => verb("matches", "match", format!("the regular expression {}", other(1))),
                "matches_glob" => verb("matches", "match", cased(format!("the pattern {}", other(1)))),
                "matches_glob_ci" => verb("matches", "match", format!("the pattern {}", other(1))),
                "ip_in_cidr" | "ipv4_is_in_range" | "ipv6_is_in_range" => {
                    be(subject, format!("an address in {}", other(1)))
                }
                _ => be(print(e), "true".into()),
            }
        }
        _ => be(print(e), "true".into()),
    }
}

fn members(args: &[Expr]) -> String {
    let mut out = args.iter().take(MEMBERS).map(argument).collect::<Vec<_>>().join(", ");
    if args.len() > MEMBERS {
        let _ = write!(out, " … ({} in all)", args.len());
    }
    out
}

/// What is looked at, without the changes of form that mean nothing to a reader.
fn operand(e: &Expr) -> String {
    match bare(e) {
        Expr { kind: ExprKind::Column(n), .. } => shown(n).to_string(),
        e => print(e),
    }
}

/// A column by a name that readers know.
pub(super) fn shown(column: &str) -> &str {
    match column {
        "$event" => "the whole event",
        "$time" => "the time of the event",
        "$source" => "the source of the event",
        "$record" => "the number of the record",
        column => column,
    }
}

fn argument(e: &Expr) -> String {
    match bare(e) {
        Expr { kind: ExprKind::Column(n), .. } => format!("the value of {}", shown(n)),
        Expr { kind: ExprKind::Literal(v), .. } => short_value(v),
        e => print(e),
    }
}

/// Below changes of form only.
pub(super) fn bare(mut e: &Expr) -> &Expr {
    while let ExprKind::Call(f, args) = &e.kind
        && matches!(f.name, "tostring" | "tolower" | "todouble" | "tolong" | "text_or_null")
        && let [inner] = &args[..]
    {
        e = inner;
    }
    e
}

/// An expression as a call, cut where it gets long.
fn print(e: &Expr) -> String {
    fn go(e: &Expr, out: &mut String) {
        if out.len() > LONG {
            return;
        }
        let list = |name: &str, args: &mut dyn Iterator<Item = &Expr>, out: &mut String| {
            out.push_str(name);
            out.push('(');
            for (i, a) in args.enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                go(a, out);
                if out.len() > LONG {
                    break;
                }
            }
            out.push(')');
        };
        match &e.kind {
            ExprKind::Literal(v) => out.push_str(&short_value(v)),
            ExprKind::Column(n) => out.push_str(shown(n)),
            ExprKind::And(v) => list("all", &mut v.iter(), out),
            ExprKind::Or(v) => list("any", &mut v.iter(), out),
            ExprKind::Not(x) => list("not", &mut std::iter::once(&**x), out),
            ExprKind::Call(f, v) => list(f.name, &mut v.iter(), out),
            ExprKind::Case { .. } => list("case", &mut e.children().into_iter(), out),
            ExprKind::Scalar(_) | ExprKind::InRelation { .. } => out.push_str("(a relation)"),
        }
    }
    let mut out = String::new();
    go(e, &mut out);
    shorten(&out, LONG)
}

/// A value as it is shown: text in quotes, nothing as such.
pub(super) fn short_value(v: &Value) -> String {
    match v {
        Value::Null => "absent".into(),
        Value::Str(s) => format!("\"{}\"", shorten(s, LONG)),
        Value::Dynamic(serde_json::Value::String(s)) => format!("\"{}\"", shorten(s, LONG)),
        Value::Bool(b) => b.to_string(),
        v => shorten(&v.to_text(), LONG),
    }
}

/// A value around the place where a test found what it looked for.
pub(super) fn around(v: &Value, e: &Expr) -> String {
    let text = v.text();
    let needle = match &e.kind {
        ExprKind::Call(f, args) if f.name.starts_with("contains") || f.name.starts_with("has") => {
            args.get(1).and_then(Expr::as_literal).map(|n| n.text().into_owned())
        }
        _ => None,
    };
    let place = needle.filter(|n| !n.is_empty() && text.len() > LONG).and_then(|n| {
        // ASCII case only: where that finds nothing, the beginning is shown.
        let (t, n) = (text.as_bytes(), n.as_bytes());
        t.windows(n.len()).position(|w| w.eq_ignore_ascii_case(n))
    });
    match place {
        Some(at) if at > LONG / 2 => {
            let mut from = at - LONG / 3;
            while !text.is_char_boundary(from) {
                from -= 1;
            }
            format!("\"…{}\"", shorten(&text[from..], LONG))
        }
        _ => short_value(v),
    }
}

/// At most so many characters, and what is cut off shows. Line breaks become visible.
pub(super) fn shorten(s: &str, most: usize) -> String {
    let mut out = String::new();
    for (i, c) in s.chars().enumerate() {
        if i == most {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
