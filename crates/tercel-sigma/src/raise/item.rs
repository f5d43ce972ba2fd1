//! A test of one field as an item of a search.

use super::{spanned, unsaid};
use crate::ast::{Item, Modifier, Scalar};
use crate::pattern::{Part, Pattern, Shape};
use tercel_ir::{Diagnostic, Expr, ExprKind, Type, Value};

/// A test that an item can say. Several that differ only in their values are one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    /// `None`: anywhere in the event.
    pub(super) field: Option<String>,
    pub(super) modifiers: Vec<Modifier>,
    /// Any of these.
    pub(super) values: Vec<Scalar>,
}

impl Test {
    /// Whether the other one's values may stand in the same list.
    pub(super) fn joins(&self, other: &Test) -> bool {
        self.field == other.field && self.modifiers == other.modifiers
    }
    /// As an item; `all` asks for every value.
    pub(super) fn item(mut self, all: bool) -> Item {
        if all && self.values.len() > 1 {
            self.modifiers.push(Modifier::All);
        }
        Item {
            field: self.field.map(super::text),
            modifiers: self.modifiers.into_iter().map(spanned).collect(),
            list: self.values.len() > 1,
            values: self.values.into_iter().map(spanned).collect(),
            span: spanned(()),
            key_span: spanned(()),
        }
    }
}

/// Looks through what makes text of a column: Sigma compares every field as text anyway.
fn column(e: &Expr) -> Option<(&str, Type)> {
    match &e.kind {
        ExprKind::Column(n) => Some((n, e.ty)),
        ExprKind::Call(f, args) => match (f.name, args.as_slice()) {
            ("tostring" | "text_or_null", [inner]) => column(inner),
            // Kusto's text of a boolean begins with a capital letter.
            ("tolower", [inner]) => column(inner).filter(|(_, ty)| *ty == Type::Bool),
            _ => None,
        },
        _ => None,
    }
}

fn string(e: Option<&Expr>) -> Option<&str> {
    match e?.as_literal()? {
        Value::Str(s) => Some(s),
        _ => None,
    }
}

/// A text as a value in which no wildcard is meant.
pub(super) fn literal(s: &str) -> String {
    written(Pattern::literal(s).parts())
}

/// A pattern as a value, with no more escapes than it needs.
fn written(parts: &[Part]) -> String {
    let mut out = String::new();
    for (i, p) in parts.iter().enumerate() {
        match p {
            Part::Any => out.push('*'),
            Part::One => out.push('?'),
            Part::Literal(t) => {
                let mut chars = t.chars().peekable();
                while let Some(c) = chars.next() {
                    let escape = match c {
                        '*' | '?' => true,
                        // A backslash is itself, except before what it would escape.
                        '\\' => match chars.peek() {
                            Some(n) => matches!(n, '\\' | '*' | '?'),
                            None => i + 1 < parts.len(),
                        },
                        _ => false,
                    };
                    if escape {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
        }
    }
    out
}

/// The regular expression with its leading flags as modifiers.
fn regex(re: &str) -> (Vec<Modifier>, String) {
    let mut modifiers = vec![Modifier::Re];
    let mut rest = re;
    if let Some((flags, body)) = re.strip_prefix("(?").and_then(|r| r.split_once(')'))
        && !flags.is_empty()
        && flags.chars().all(|c| matches!(c, 'i' | 'm' | 's'))
    {
        for (flag, m) in [('i', Modifier::I), ('m', Modifier::M), ('s', Modifier::S)] {
            if flags.contains(flag) {
                modifiers.push(m);
            }
        }
        rest = body;
    }
    (modifiers, rest.to_string())
}

/// Kusto's term search: the needle with no letter or digit next to an edge that is one itself.
fn term(needle: &str, before: bool, after: bool) -> Option<String> {
    let (first, last) = (needle.chars().next()?, needle.chars().next_back()?);
    let left = if before && first.is_alphanumeric() { r"(?:^|[^\p{L}\p{N}])" } else { "" };
    let right = if after && last.is_alphanumeric() { r"(?:$|[^\p{L}\p{N}])" } else { "" };
    Some(format!("{left}{}{right}", regex::escape(needle)))
}

fn number(v: &Value) -> Option<Scalar> {
    match v {
        Value::Long(n) => Some(Scalar::Int(*n)),
        Value::Real(r) if r.is_finite() => Some(Scalar::Float(*r)),
        _ => None,
    }
}

fn value(v: &Value) -> Option<Scalar> {
    match v {
        Value::Null => Some(Scalar::Null),
        Value::Str(s) if s.is_empty() => Some(Scalar::Null),
        Value::Str(s) => Some(Scalar::Str(literal(s))),
        // Sigma's authors write booleans as text.
        Value::Bool(b) => Some(Scalar::Str(b.to_string())),
        v => number(v),
    }
}

/// The test, if the expression is one that an item can say.
///
/// # Errors
/// When it is a test that no item and no combination of searches can say.
pub(super) fn test(e: &Expr) -> Result<Option<Test>, Diagnostic> {
    use Modifier as M;
    let (name, args) = match &e.kind {
        ExprKind::Call(f, args) => (f.name, args.as_slice()),
        ExprKind::Column(n) if e.ty == Type::Bool => {
            let values = vec![Scalar::Str("true".into())];
            return Ok(Some(Test { field: Some(n.to_string()), modifiers: vec![], values }));
        }
        ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) => return Ok(None),
        _ => return Err(unsaid("this condition")),
    };
    let first = args.first().ok_or_else(|| unsaid("a call without its arguments"))?;
    let Some((field, ty)) = column(first) else {
        return computed(name, args);
    };
    let keyword = field == "$event";
    if field.starts_with('$') && !keyword {
        return Err(unsaid(format!("the hidden field `{field}`")));
    }
    let texts = |modifiers: Vec<M>, values: Vec<Scalar>| {
        Ok(Some(Test { field: (!keyword).then(|| field.to_string()), modifiers, values }))
    };
    let constant = string(args.get(1));
    if keyword {
        return match (name, constant) {
            ("contains", Some(s)) => texts(vec![], vec![Scalar::Str(literal(&plain_json(s)))]),
            ("matches_regex", Some(s)) => {
                let (modifiers, re) = regex(s);
                texts(modifiers, vec![Scalar::Str(re)])
            }
            ("has", Some(s)) if !s.is_empty() => {
                texts(vec![M::Re, M::I], vec![Scalar::Str(term(s, true, true).unwrap_or_default())])
            }
            _ => Err(unsaid("this search in the whole event")),
        };
    }
    match name {
        "eq" | "eq_ci" => {
            let Some(v) = args.get(1).and_then(Expr::as_literal) else {
                return reference(name, field, args.get(1));
            };
            let v = value(v).ok_or_else(|| unsaid("a comparison with a value of this type"))?;
            let cased = name == "eq" && matches!((&v, ty), (Scalar::Str(_), Type::String | Type::Dynamic));
            texts(if cased { vec![M::Cased] } else { vec![] }, vec![v])
        }
        "in" | "in_ci" => {
            let mut values = Vec::with_capacity(args.len());
            for a in &args[1..] {
                let v = a.as_literal().ok_or_else(|| unsaid("a list with computed values"))?;
                values.push(value(v).ok_or_else(|| unsaid("a list with values of this type"))?);
            }
            if values.is_empty() {
                return Err(unsaid("an empty list"));
            }
            let cased = name == "in" && matches!(ty, Type::String | Type::Dynamic);
            texts(if cased { vec![M::Cased] } else { vec![] }, values)
        }
        "contains" | "contains_cs" | "startswith" | "startswith_cs" | "endswith" | "endswith_cs" => {
            let Some(s) = constant else { return reference(name, field, args.get(1)) };
            if s.is_empty() {
                return Err(unsaid("a search for nothing"));
            }
            let mut modifiers = vec![match name.trim_end_matches("_cs") {
                "contains" => M::Contains,
                "startswith" => M::StartsWith,
                _ => M::EndsWith,
            }];
            if name.ends_with("_cs") {
                modifiers.push(M::Cased);
            }
            texts(modifiers, vec![Scalar::Str(literal(s))])
        }
        "matches_glob" | "matches_glob_ci" => {
            let Some(glob) = constant else { return Err(unsaid("a pattern that is computed")) };
            let pattern = Pattern::parse(glob);
            let (modifier, s) = match pattern.shape() {
                Shape::Contains(t) => (Some(M::Contains), literal(t)),
                Shape::StartsWith(t) => (Some(M::StartsWith), literal(t)),
                Shape::EndsWith(t) => (Some(M::EndsWith), literal(t)),
                _ => (None, written(pattern.parts())),
            };
            let mut modifiers: Vec<M> = modifier.into_iter().collect();
            if name == "matches_glob" {
                modifiers.push(M::Cased);
            }
            texts(modifiers, vec![Scalar::Str(s)])
        }
        "matches_regex" => {
            let Some(re) = constant else { return Err(unsaid("a regular expression that is computed")) };
            let (modifiers, re) = regex(re);
            texts(modifiers, vec![Scalar::Str(re)])
        }
        "has" | "has_cs" | "hasprefix" | "hasprefix_cs" | "hassuffix" | "hassuffix_cs" | "has_any" => {
            let (before, after) = (!name.starts_with("hassuffix"), !name.starts_with("hasprefix"));
            let mut values = Vec::with_capacity(args.len());
            for a in &args[1..] {
                let s = string(Some(a)).ok_or_else(|| unsaid("a search for a text that is computed"))?;
                let re = term(s, before, after).ok_or_else(|| unsaid("a search for nothing"))?;
                values.push(Scalar::Str(re));
            }
            if values.is_empty() {
                return Err(unsaid("an empty list"));
            }
            texts(if name.ends_with("_cs") { vec![M::Re] } else { vec![M::Re, M::I] }, values)
        }
        "isempty" | "isnull" => texts(vec![], vec![Scalar::Null]),
        "isnotempty" => texts(vec![], vec![Scalar::Str("*".into())]),
        "isnotnull" if matches!(ty, Type::String | Type::Guid | Type::Dynamic) => {
            texts(vec![M::Exists], vec![Scalar::Bool(true)])
        }
        "isnotnull" => texts(vec![], vec![Scalar::Str("*".into())]),
        "lt" | "le" | "gt" | "ge" => {
            let n = args.get(1).and_then(Expr::as_literal).and_then(number);
            let n = n.ok_or_else(|| unsaid("a comparison with something other than a number"))?;
            texts(vec![comparison(name)], vec![n])
        }
        "ip_in_cidr" => {
            let s = constant.ok_or_else(|| unsaid("an address range that is computed"))?;
            texts(vec![M::Cidr], vec![Scalar::Str(s.to_string())])
        }
        "is_valid_ipv4" => texts(vec![M::Cidr], vec![Scalar::Str("0.0.0.0/0".into())]),
        "is_valid_ip" => {
            texts(vec![M::Cidr], vec![Scalar::Str("0.0.0.0/0".into()), Scalar::Str("::/0".into())])
        }
        "is_private_ip" | "ipv4_is_private" => {
            let ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
            texts(vec![M::Cidr], ranges.map(|r| Scalar::Str(r.into())).to_vec())
        }
        other => Err(unsaid(format!("`{other}`"))),
    }
}

fn comparison(name: &str) -> Modifier {
    match name {
        "lt" => Modifier::Lt,
        "le" => Modifier::Lte,
        "gt" => Modifier::Gt,
        _ => Modifier::Gte,
    }
}

fn reference(name: &str, field: &str, other: Option<&Expr>) -> Result<Option<Test>, Diagnostic> {
    let other = other.and_then(column).ok_or_else(|| unsaid("a comparison with a computed value"))?.0;
    let mut modifiers = vec![Modifier::FieldRef];
    match name.trim_end_matches("_cs") {
        "contains" => modifiers.push(Modifier::Contains),
        "startswith" => modifiers.push(Modifier::StartsWith),
        "endswith" => modifiers.push(Modifier::EndsWith),
        _ => {}
    }
    if name == "eq" || name.ends_with("_cs") {
        modifiers.push(Modifier::Cased);
    }
    let values = vec![Scalar::Str(other.to_string())];
    Ok(Some(Test { field: Some(field.to_string()), modifiers, values }))
}

/// Tests of something that is computed from a field.
fn computed(name: &str, args: &[Expr]) -> Result<Option<Test>, Diagnostic> {
    let refuse = || unsaid("a test of a computed value");
    let ExprKind::Call(f, inner) = &args[0].kind else { return Err(refuse()) };
    let (field, _) =
        inner.first().and_then(column).ok_or_else(|| unsaid(format!("a test of `{}`", f.name)))?;
    let n = args.get(1).and_then(Expr::as_literal);
    let part = match f.name {
        "minuteofhour" => Modifier::Minute,
        "hourofday" => Modifier::Hour,
        "dayofmonth" => Modifier::Day,
        "weekofyear" => Modifier::Week,
        "monthofyear" => Modifier::Month,
        "getyear" => Modifier::Year,
        "strlen" => {
            let Some(Value::Long(n)) = n else { return Err(refuse()) };
            let count = match name {
                "gt" => format!("{{{},}}", n.saturating_add(1)),
                "ge" => format!("{{{n},}}"),
                "eq" => format!("{{{n}}}"),
                _ => return Err(unsaid("a test for a short text")),
            };
            // Longer ones need more memory than an expression may take.
            if !(1..=2000).contains(n) {
                return Err(unsaid("a test of so great a length"));
            }
            let values = vec![Scalar::Str(format!("^.{count}$"))];
            let modifiers = vec![Modifier::Re, Modifier::S];
            return Ok(Some(Test { field: Some(field.to_string()), modifiers, values }));
        }
        other => return Err(unsaid(format!("a test of `{other}`"))),
    };
    let value = n.and_then(number).ok_or_else(refuse)?;
    let modifiers = match name {
        "eq" => vec![part],
        "lt" | "le" | "gt" | "ge" => vec![part, comparison(name)],
        _ => return Err(refuse()),
    };
    Ok(Some(Test { field: Some(field.to_string()), modifiers, values: vec![value] }))
}

/// Keywords are looked for in the event's JSON, escaped as JSON escapes text.
fn plain_json(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(c) => out.push(c),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back() {
        for s in [r"C:\Temp\", r"\\server\share", "a*b", r"a\*", r"x\\\y", "?", r"\", r"\\", "", r"\a\\?b"] {
            assert_eq!(Pattern::parse(&literal(s)).as_literal(), Some(s), "{s}");
        }
        assert_eq!(literal(r"C:\Temp\"), r"C:\Temp\");
        for glob in [r"a*\\b?c\*d", r"\\\\*", r"C:\*\y", r"*\\", r"\\?"] {
            let p = Pattern::parse(glob);
            assert_eq!(Pattern::parse(&written(p.parts())), p, "{glob}");
        }
    }

    #[test]
    fn flags_become_modifiers() {
        assert_eq!(regex("(?is)a.b"), (vec![Modifier::Re, Modifier::I, Modifier::S], "a.b".into()));
        assert_eq!(regex("(?:a)"), (vec![Modifier::Re], "(?:a)".into()));
        assert_eq!(regex("(?x)a b").1, "(?x)a b");
    }
}
