//! Tests of computed text as tests of what it is computed from.
//!
//! Views compute one vocabulary's columns from another's: a path from a folder and a file name, an account
//! from its domain and its name. A test of such a column becomes tests of the parts, each rule being an
//! equivalence for all values, or for all that the source can write, which is then an assumption that the
//! result names. What no rule fits stays as it is.

use crate::logic::{literal, may_be_null};
use crate::tree::same;
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::function::{self, Context};
use tercel_ir::{Expr, ExprKind, Name, Span, Type, Value};
use tercel_sigma::pattern::{Pattern, Shape};

/// What rewriting may do, and what it took for granted.
pub(crate) struct Rewriter {
    /// Whether cases are lifted out of tests: `f(iff(c, a, b))` is `c and f(a) or not c and f(b)`. Languages
    /// without conditional values need it.
    pub lift: bool,
    pub assumptions: BTreeSet<&'static str>,
    /// Columns of a whole path and of its last part, as assumed.
    pub paths: BTreeMap<Name, Name>,
    /// The assumptions as predicates, by their text, so that each stands once.
    pub taken: BTreeMap<String, Expr>,
}

const PATH: &str = "a folder path is the whole path with backslashes, ending in the file name, as Defender writes it on Windows";
const SEPARATOR: &str = "paths are written with backslashes and name a folder";
const HASH: &str = "a column of hashes holds a whole hash in hexadecimal digits, or nothing";
const ACCOUNT: &str = "an account's domain and name hold no backslash";

/// A test of text: its function, what it looks at, what it looks for.
struct Test<'e> {
    name: &'static str,
    subject: &'e Expr,
    needle: &'e str,
    span: Span,
}

impl Test<'_> {
    fn on(&self, name: &str, subject: &Expr, needle: &str) -> Expr {
        let cased = self.name.ends_with("_cs") || self.name == "eq";
        let name = match (name, cased) {
            ("eq", false) => "eq_ci",
            ("eq", true) => "eq",
            ("contains", true) => "contains_cs",
            ("startswith", true) => "startswith_cs",
            ("endswith", true) => "endswith_cs",
            (n, _) => n,
        };
        Expr::known(name, vec![subject.clone(), Expr::literal(Value::str(needle), self.span)], self.span)
    }
    fn kind(&self) -> &'static str {
        match self.name {
            "eq_ci" | "eq" => "eq",
            "contains" | "contains_cs" => "contains",
            "startswith" | "startswith_cs" => "startswith",
            "endswith" | "endswith_cs" => "endswith",
            other => other,
        }
    }
    fn cased(&self) -> bool {
        self.name.ends_with("_cs") || matches!(self.name, "eq" | "matches_glob")
    }
}

/// The parts of a path that is put together from a folder path and a file name.
pub(crate) fn joined_path(e: &Expr) -> Option<(&Expr, &Expr)> {
    let ExprKind::Case { branches, .. } = &e.kind else { return None };
    branches.iter().find_map(|(c, t)| {
        let (f, compared) = call(c)?;
        let (g, parts) = call(t)?;
        let ([base, name], [folder, again]) = (compared, parts) else { return None };
        let (h, path) = call(base)?;
        let (i, path2) = call(folder)?;
        let shape = f == "eq_ci" && g == "strcat" && h == "basename" && i == "dirname";
        let ([path], [path2]) = (path, path2) else { return None };
        (shape && same(path, path2) && same(name, again)).then_some((path, name))
    })
}

/// Domain, separator and name of `iff(isempty(domain), name, strcat(domain, separator, name))`.
fn qualified(e: &Expr) -> Option<(&Expr, &str, &Expr)> {
    let ExprKind::Case { branches, otherwise } = &e.kind else { return None };
    let [(c, alone)] = branches.as_slice() else { return None };
    let ("isempty", [domain]) = call(c)? else { return None };
    let ("strcat", [d, separator, name]) = call(otherwise)? else { return None };
    let Some(Value::Str(separator)) = separator.as_literal() else { return None };
    let same = same(domain, d) && same(alone, name);
    (same && !separator.is_empty()).then_some((domain, separator, name))
}

pub(crate) fn call(e: &Expr) -> Option<(&'static str, &[Expr])> {
    match &e.kind {
        ExprKind::Call(f, args) => Some((f.name, args)),
        _ => None,
    }
}

fn no(span: Span) -> Expr {
    Expr::boolean(false, span)
}

fn separator(c: char) -> bool {
    matches!(c, '\\' | '/')
}

/// Nothing of what the fold does changes the text.
fn unchanged(s: &str, lower: bool) -> bool {
    if lower { s.to_lowercase() == s } else { s.to_uppercase() == s }
}

impl Rewriter {
    pub fn new(lift: bool) -> Rewriter {
        Rewriter { lift, assumptions: BTreeSet::new(), taken: BTreeMap::new(), paths: BTreeMap::new() }
    }

    /// Every test in a predicate in two-valued form, rewritten; the result has that form too.
    pub fn predicate(&mut self, e: &Expr, depth: usize) -> Expr {
        if depth > 60 {
            return e.clone();
        }
        let span = e.span;
        match &e.kind {
            ExprKind::And(items) => {
                Expr::and(items.iter().map(|i| self.predicate(i, depth + 1)).collect(), span)
            }
            ExprKind::Or(items) => {
                Expr::or(items.iter().map(|i| self.predicate(i, depth + 1)).collect(), span)
            }
            ExprKind::Not(inner) => crate::logic::negate(self.predicate(inner, depth + 1)),
            ExprKind::Call(..) => match self.test(e) {
                Some(new) => self.predicate(&new, depth + 1),
                None => e.clone(),
            },
            _ => e.clone(),
        }
    }

    /// An equivalent of one test; `None` when there is nothing to be done.
    fn test(&mut self, e: &Expr) -> Option<Expr> {
        let (name, args) = call(e)?;
        let span = e.span;
        let mut columns = Vec::new();
        e.columns(&mut columns);
        if columns.is_empty() && !matches!(e.kind, ExprKind::Literal(_)) && foldable(e) {
            let v = e.eval(&|_| Value::Null, &Context::default());
            return Some(Expr::boolean(v.as_bool() == Some(true), span));
        }
        let first = args.first()?;
        if let Some(plain) = peeled(first, name) {
            return Some(replace_first(e, plain));
        }
        match name {
            "isempty" | "isnotempty" | "isnull" | "isnotnull" => return self.presence(name, first, span),
            "in" | "in_ci" => {
                // Each of a list that looks at something computed.
                if simple(first) {
                    return self.list(name, args, span);
                }
                let op = if name == "in" { "eq" } else { "eq_ci" };
                let each = args[1..].iter().map(|i| {
                    let i = if name == "in_ci" && i.ty != Type::String {
                        Expr::literal(
                            Value::Str(i.as_literal().map(Value::to_text).unwrap_or_default()),
                            span,
                        )
                    } else {
                        i.clone()
                    };
                    Expr::known(op, vec![first.clone(), i], span)
                });
                return args[1..]
                    .iter()
                    .all(|a| a.as_literal().is_some())
                    .then(|| Expr::or(each.collect(), span));
            }
            "matches_glob" | "matches_glob_ci" => {
                if let Some(new) = plain_glob(name, args, span) {
                    return Some(new);
                }
            }
            "has_all" | "has_any" if !simple(first) => {
                let each = args[1..].iter().map(|a| Expr::known("has", vec![first.clone(), a.clone()], span));
                if args[1..].iter().all(|a| matches!(a.as_literal(), Some(Value::Str(_)))) {
                    let all = name == "has_all";
                    return Some(if all {
                        Expr::and(each.collect(), span)
                    } else {
                        Expr::or(each.collect(), span)
                    });
                }
            }
            "eq" | "eq_ci" => {
                if let Some(new) = self.number_as_text(first, &args[1], span) {
                    return Some(new);
                }
            }
            _ => {}
        }
        if simple(first) {
            return None;
        }
        if let Some(Value::Str(needle)) = args.get(1).and_then(Expr::as_literal)
            && args.len() == 2
        {
            let name = function::by_name(name)?.name;
            let t = Test { name, subject: first, needle, span };
            if let Some(new) = self.text(&t) {
                return Some(new);
            }
        }
        // A case whose results are constants is decided by its conditions; others only on demand.
        let constants = matches!(&first.kind, ExprKind::Case { branches, otherwise }
            if branches.iter().map(|b| &b.1).chain([&**otherwise]).filter(|t| t.as_literal().is_none()).count() <= 1);
        match &first.kind {
            ExprKind::Case { branches, otherwise } if self.lift || constants => {
                Some(lifted(branches, otherwise, |t| replace_first(e, t.clone()), span))
            }
            ExprKind::Call(f, parts) if f.name == "coalesce" && self.lift && parts.len() > 1 => {
                let rest = if parts.len() == 2 {
                    parts[1].clone()
                } else {
                    Expr::known("coalesce", parts[1..].to_vec(), span)
                };
                let there = Expr::known("isnotempty", vec![parts[0].clone()], span);
                let absent = Expr::known("isempty", vec![parts[0].clone()], span);
                Some(Expr::or(
                    vec![
                        Expr::and(vec![there, replace_first(e, parts[0].clone())], span),
                        Expr::and(vec![absent, replace_first(e, rest)], span),
                    ],
                    span,
                ))
            }
            _ => None,
        }
    }

    /// Arrays in lists are their elements.
    fn list(&mut self, name: &str, args: &[Expr], span: Span) -> Option<Expr> {
        let arrays =
            args.iter().any(|a| matches!(a.as_literal(), Some(Value::Dynamic(serde_json::Value::Array(_)))));
        if !arrays {
            return None;
        }
        let mut out = vec![args[0].clone()];
        for a in &args[1..] {
            match a.as_literal() {
                Some(Value::Dynamic(serde_json::Value::Array(items))) => {
                    for i in items {
                        let v = match i {
                            serde_json::Value::String(s) => Value::str(s.as_str()),
                            serde_json::Value::Number(n) if n.is_i64() => {
                                Value::Long(n.as_i64().unwrap_or(0))
                            }
                            other => Value::Dynamic(other.clone()),
                        };
                        out.push(Expr::literal(v, span));
                    }
                }
                _ => out.push(a.clone()),
            }
        }
        Some(Expr::known(name, out, span))
    }

    fn number_as_text(&mut self, a: &Expr, b: &Expr, span: Span) -> Option<Expr> {
        let (Some(("tostring" | "text_or_null", [inner])), Some(Value::Str(s))) = (call(a), b.as_literal())
        else {
            return None;
        };
        if !inner.ty.is_integer() {
            return None;
        }
        Some(match s.parse::<i64>().ok().filter(|n| n.to_string() == *s) {
            Some(n) => Expr::known("eq", vec![inner.clone(), Expr::literal(Value::Long(n), span)], span),
            None if s.is_empty() => Expr::known("isnull", vec![inner.clone()], span),
            None => no(span),
        })
    }

    fn presence(&mut self, name: &str, of: &Expr, span: Span) -> Option<Expr> {
        let positive = matches!(name, "isempty" | "isnull");
        if !may_be_null(of) && matches!(name, "isnull" | "isnotnull") {
            return Some(Expr::boolean(!positive, span));
        }
        if let Some((folder, name_part)) = joined_path(of) {
            self.assume_path(folder, name_part);
            return Some(Expr::known(name, vec![folder.clone()], span));
        }
        match (call(of), &of.kind) {
            // A path that ends in a separator has an empty last part.
            (Some(("basename", [path])), _) => {
                let mut any = vec![Expr::known("isempty", vec![path.clone()], span)];
                any.extend(["\\", "/"].map(|s| {
                    let s = Expr::literal(Value::str(s), span);
                    Expr::known("endswith", vec![path.clone(), s], span)
                }));
                let empty = Expr::or(any, span);
                Some(if positive { empty } else { crate::logic::negate(empty) })
            }
            (Some(("strcat", parts)), _) => {
                if parts.iter().any(|p| matches!(p.as_literal(), Some(Value::Str(s)) if !s.is_empty())) {
                    return Some(Expr::boolean(!positive, span));
                }
                None
            }
            (Some(("tolower" | "toupper" | "tostring", [inner])), _) if inner.ty == Type::String => {
                Some(Expr::known(name, vec![inner.clone()], span))
            }
            (Some(("tostring", [inner])), _) => {
                let test = if positive { "isnull" } else { "isnotnull" };
                Some(Expr::known(test, vec![inner.clone()], span))
            }
            (_, ExprKind::Case { branches, otherwise }) => {
                Some(lifted(branches, otherwise, |t| Expr::known(name, vec![t.clone()], span), span))
            }
            _ => None,
        }
    }

    fn text(&mut self, t: &Test) -> Option<Expr> {
        let span = t.span;
        if let Some((inner_name, [inner])) = call(t.subject)
            && matches!(inner_name, "tolower" | "toupper")
            && inner.ty == Type::String
        {
            let lower = inner_name == "tolower";
            if !t.cased() && known_text(t.name) {
                return Some(t.on_uncased(inner));
            }
            if t.cased() && t.needle.is_ascii() {
                if !unchanged(t.needle, lower) {
                    return Some(no(span));
                }
                return Some(t.on_uncased(inner));
            }
        }
        if let Some((folder, name)) = joined_path(t.subject) {
            return self.path(t, folder, name);
        }
        if let Some((domain, sep, name)) = qualified(t.subject) {
            self.assume_account(&[domain, name]);
            return qualified_test(t, domain, sep, name);
        }
        match call(t.subject)? {
            ("basename", [path]) => self.file_name(t, path),
            ("strcat", parts) => {
                let (first, rest) = parts.split_first()?;
                match (first.as_literal(), rest) {
                    (Some(Value::Str(prefix)), [x]) => prefixed(t, prefix, x),
                    _ => {
                        let found = hashes(t, parts)?;
                        self.assume_hashes(parts);
                        Some(found)
                    }
                }
            }
            ("extract", [re, group, source]) => extracted_hash(t, re, group, source),
            _ => None,
        }
    }

    fn take(&mut self, text: &'static str, e: Expr) {
        self.assumptions.insert(text);
        self.taken.insert(crate::logic::key(&e), e);
    }

    /// That a column of whole paths and one of their last parts agree.
    pub fn agreeing(&mut self, folder: &str, name: &str) {
        let column = |n: &str| Expr::column(n, Type::String, Span::default());
        self.assume_path(&column(folder), &column(name));
    }

    fn assume_path(&mut self, folder: &Expr, name: &Expr) {
        if let (Some(f), Some(n)) = (folder.as_column(), name.as_column()) {
            self.paths.insert(f.clone(), n.clone());
        }
        let at = folder.span;
        let last = Expr::known("basename", vec![folder.clone()], at);
        let same = Expr::known("eq_ci", vec![last, name.clone()], at);
        let separator = Expr::literal(Value::str("\\"), at);
        let whole = Expr::known("contains", vec![folder.clone(), separator], at);
        let none = Expr::and(
            vec![
                Expr::known("isempty", vec![folder.clone()], at),
                Expr::known("isempty", vec![name.clone()], at),
            ],
            at,
        );
        self.take(PATH, Expr::or(vec![none, Expr::and(vec![whole, same], at)], at));
        self.no_slashes(folder);
    }

    fn no_slashes(&mut self, path: &Expr) {
        let at = path.span;
        let slash = Expr::literal(Value::str("/"), at);
        let e = Expr::not(Expr::known("contains", vec![path.clone(), slash], at), at);
        self.taken.insert(crate::logic::key(&e), e);
    }

    fn assume_backslashes(&mut self, path: &Expr) {
        let at = path.span;
        let separator = Expr::literal(Value::str("\\"), at);
        let e = Expr::or(
            vec![
                Expr::known("isempty", vec![path.clone()], at),
                Expr::known("contains", vec![path.clone(), separator], at),
            ],
            at,
        );
        self.take(SEPARATOR, e);
        self.no_slashes(path);
    }

    fn assume_hashes(&mut self, parts: &[Expr]) {
        for (label, part) in labels(parts) {
            let length = match &*label.to_ascii_uppercase() {
                "MD5" | "IMPHASH" => 32,
                "SHA1" => 40,
                "SHA256" => 64,
                _ => continue,
            };
            let mut columns = Vec::new();
            part.columns(&mut columns);
            for (c, at) in columns {
                let digits = Expr::literal(Value::Str(format!("^(?:[0-9A-Fa-f]{{{length}}})?$")), at);
                let column = Expr::column(c, Type::String, at);
                self.take(HASH, Expr::known("matches_regex", vec![column, digits], at));
            }
        }
    }

    fn assume_account(&mut self, parts: &[&Expr]) {
        for p in parts {
            let at = p.span;
            let separator = Expr::literal(Value::str("\\"), at);
            let e = Expr::not(Expr::known("contains", vec![(*p).clone(), separator], at), at);
            self.take(ACCOUNT, e);
        }
    }

    /// A path whose last part is also known by itself.
    fn path(&mut self, t: &Test, folder: &Expr, name: &Expr) -> Option<Expr> {
        if t.cased() && t.kind() != "endswith" {
            // Defender's folder paths are in lower case.
            return None;
        }
        self.assume_path(folder, name);
        let tail = t.needle.strip_prefix('\\').filter(|n| !n.is_empty());
        match t.kind() {
            "endswith" => match tail {
                Some(n) if !n.contains(separator) => Some(t.on("eq", name, n)),
                _ if !t.needle.contains(separator) => Some(t.on("endswith", name, t.needle)),
                _ if t.cased() => None,
                _ => Some(t.on("endswith", folder, t.needle)),
            },
            "matches_regex" if !t.needle.starts_with("(?i") => None,
            _ => Some(Expr::known(
                t.name,
                vec![folder.clone(), Expr::literal(Value::str(t.needle), t.span)],
                t.span,
            )),
        }
    }

    /// The last part of a path of which only the whole is known.
    fn file_name(&mut self, t: &Test, path: &Expr) -> Option<Expr> {
        if t.needle.is_empty() || t.needle.contains(separator) {
            return None;
        }
        let regex = |pattern: String| {
            let flags = if t.cased() { "" } else { "(?i)" };
            let re = Expr::literal(Value::Str(format!("{flags}{pattern}")), t.span);
            Some(Expr::known("matches_regex", vec![path.clone(), re], t.span))
        };
        let escaped = regex::escape(t.needle);
        match t.kind() {
            "eq" => {
                self.assume_backslashes(path);
                Some(t.on("endswith", path, &format!("\\{}", t.needle)))
            }
            "endswith" => Some(t.on("endswith", path, t.needle)),
            "has" | "hasprefix" | "hassuffix" => {
                let edge = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                let before = t.kind() != "hassuffix" && edge(t.needle.chars().next());
                let after = t.kind() != "hasprefix" && edge(t.needle.chars().next_back());
                let before = if before { r"(?:^|[^\p{L}\p{N}])" } else { "" };
                let after = if after { r"(?:[^\p{L}\p{N}\\/][^\\/]*)?$" } else { r"[^\\/]*$" };
                regex(format!("{before}{escaped}{after}"))
            }
            "startswith" => regex(format!(r"(?:^|[\\/]){escaped}[^\\/]*$")),
            "contains" => regex(format!(r"{escaped}[^\\/]*$")),
            _ => None,
        }
    }
}

impl Test<'_> {
    /// The same test of another text, without regard to case.
    fn on_uncased(&self, subject: &Expr) -> Expr {
        let name = match self.kind() {
            "eq" => "eq_ci",
            "matches_glob" => "matches_glob_ci",
            other => other,
        };
        Expr::known(name, vec![subject.clone(), Expr::literal(Value::str(self.needle), self.span)], self.span)
    }
}

/// Tests that ignore case, or have a form that does.
fn known_text(name: &str) -> bool {
    matches!(
        name,
        "eq_ci"
            | "contains"
            | "startswith"
            | "endswith"
            | "has"
            | "hasprefix"
            | "hassuffix"
            | "matches_glob_ci"
    )
}

/// What needs no rewriting: a column, or a plain function of one.
fn simple(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Column(_) => true,
        ExprKind::Call(f, args) => {
            matches!(
                f.name,
                "strlen" | "hourofday" | "dayofmonth" | "tolong" | "todouble" | "member" | "minuteofhour"
            ) && args.first().is_some_and(simple)
        }
        _ => false,
    }
}

/// A pattern with stars at its ends only, as what it comes to.
pub(crate) fn plain_glob(name: &str, args: &[Expr], span: Span) -> Option<Expr> {
    let Some(Value::Str(glob)) = args.get(1)?.as_literal() else { return None };
    let pattern = Pattern::parse(glob);
    let (kind, text) = match pattern.shape() {
        Shape::Equals(t) => ("eq", t),
        Shape::Contains(t) => ("contains", t),
        Shape::StartsWith(t) => ("startswith", t),
        Shape::EndsWith(t) => ("endswith", t),
        Shape::Anything | Shape::Glob => return None,
    };
    let cased = name == "matches_glob";
    let name = match (kind, cased) {
        ("eq", true) => "eq".to_string(),
        ("eq", false) => "eq_ci".to_string(),
        (k, true) => format!("{k}_cs"),
        (k, false) => k.to_string(),
    };
    // Equality alone tells null from "".
    if text.is_empty() {
        return None;
    }
    Some(Expr::known(&name, vec![args[0].clone(), Expr::literal(Value::str(text), span)], span))
}

/// A column that is only read as text.
fn peeled(e: &Expr, test: &str) -> Option<Expr> {
    match call(e)? {
        // Whether a text is null is another matter.
        ("tostring" | "text_or_null", [inner]) if matches!(inner.ty, Type::String | Type::Guid) => {
            (!matches!(test, "ne" | "isnull" | "isnotnull")).then(|| inner.clone())
        }
        _ => None,
    }
}

fn replace_first(e: &Expr, with: Expr) -> Expr {
    let mut out = e.clone();
    if let ExprKind::Call(f, args) = &mut out.kind {
        // Equality of a text that is read as one: null counts as "".
        if f.name == "eq"
            && matches!(args.get(1).and_then(Expr::as_literal), Some(Value::Str(s)) if s.is_empty())
        {
            return Expr::known("isempty", vec![with], e.span);
        }
        let literal_null = matches!(with.as_literal(), Some(Value::Null));
        args[0] = with;
        if literal_null {
            args[0].ty = args.get(1).map_or(Type::String, |a| a.ty);
        }
    }
    out
}

/// Whether a call without columns may be evaluated now.
fn foldable(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Call(f, _) if f.name == "now" => false,
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => false,
        _ => e.children().into_iter().all(foldable),
    }
}

/// A test of a case: of each result, where its condition is the one that decides.
fn lifted(branches: &[(Expr, Expr)], otherwise: &Expr, test: impl Fn(&Expr) -> Expr, span: Span) -> Expr {
    let mut any = Vec::new();
    let mut before: Vec<Expr> = Vec::new();
    for (c, t) in branches {
        let (Ok(yes), Ok(no)) = (crate::logic::two_valued(c, true), crate::logic::two_valued(c, true)) else {
            continue;
        };
        let mut all = before.clone();
        all.push(yes);
        all.push(test(t));
        any.push(Expr::and(all, span));
        before.push(crate::logic::negate(no));
    }
    before.push(test(otherwise));
    any.push(Expr::and(before, span));
    crate::logic::tidy(Expr::or(any, span))
}

/// A test of a domain and a name joined by a separator that neither holds.
fn qualified_test(t: &Test, domain: &Expr, sep: &str, name: &Expr) -> Option<Expr> {
    let span = t.span;
    let split = t.needle.split_once(sep);
    let and = |a: Option<Expr>, b: Option<Expr>| Expr::and([a, b].into_iter().flatten().collect(), span);
    let test = |kind: &str, of: &Expr, s: &str| (!s.is_empty()).then(|| t.on(kind, of, s));
    let alone = || Expr::known("isempty", vec![domain.clone()], span);
    let there = || Expr::known("isnotempty", vec![domain.clone()], span);
    if t.needle.is_empty() || split.is_some_and(|(_, b)| b.contains(sep)) {
        return None;
    }
    Some(match (t.kind(), split) {
        ("contains", None) => {
            Expr::or(vec![t.on("contains", domain, t.needle), t.on("contains", name, t.needle)], span)
        }
        ("contains", Some(("", b))) => and(Some(there()), test("startswith", name, b)),
        ("contains", Some((a, b))) => and(test("endswith", domain, a), test("startswith", name, b)),
        ("eq", Some((a, b))) if !a.is_empty() => and(test("eq", domain, a), Some(t.on("eq", name, b))),
        ("eq", None) => Expr::and(vec![alone(), t.on("eq", name, t.needle)], span),
        ("startswith", Some((a, b))) if !a.is_empty() => {
            and(test("eq", domain, a), test("startswith", name, b))
        }
        ("startswith", None) => Expr::or(
            vec![
                t.on("startswith", domain, t.needle),
                Expr::and(vec![alone(), t.on("startswith", name, t.needle)], span),
            ],
            span,
        ),
        ("endswith", None) => t.on("endswith", name, t.needle),
        ("endswith", Some((a, b))) if a.is_empty() && !b.is_empty() => {
            and(Some(there()), test("eq", name, b))
        }
        ("endswith", Some((a, b))) if !b.is_empty() => and(test("endswith", domain, a), test("eq", name, b)),
        _ => return None,
    })
}

/// A test of a constant followed by a text: where it can lie.
fn prefixed(t: &Test, prefix: &str, x: &Expr) -> Option<Expr> {
    let (p, n) = if t.cased() {
        (prefix.to_string(), t.needle.to_string())
    } else {
        (function::fold(prefix), function::fold(t.needle))
    };
    if n.is_empty() {
        return None;
    }
    let span = t.span;
    let mut any = Vec::new();
    match t.kind() {
        "eq" => any.extend(n.strip_prefix(&p).map(|rest| t.on("eq", x, rest))),
        "startswith" if p.starts_with(&n) => return Some(Expr::boolean(true, span)),
        "startswith" => any.extend(n.strip_prefix(&p).map(|rest| t.on("startswith", x, rest))),
        "endswith" => {
            any.push(t.on("endswith", x, &n));
            // Part of it in the constant, the rest the whole text.
            let cuts = n.char_indices().map(|(i, _)| i).skip(1).filter(|i| p.ends_with(&n[..*i]));
            any.extend(cuts.map(|i| t.on("eq", x, &n[i..])));
        }
        "contains" => {
            if p.contains(&n) {
                return Some(Expr::boolean(true, span));
            }
            any.push(t.on("contains", x, &n));
            let cuts = n.char_indices().map(|(i, _)| i).skip(1).filter(|i| p.ends_with(&n[..*i]));
            any.extend(cuts.map(|i| t.on("startswith", x, &n[i..])));
        }
        _ => return None,
    }
    // A file name holds no separator.
    if p.ends_with(separator) {
        any.retain(|e| match call(e) {
            Some((_, [_, needle])) => {
                !matches!(needle.as_literal(), Some(Value::Str(s)) if s.contains(separator))
            }
            _ => true,
        });
    }
    Some(Expr::or(any, span))
}

/// The hash that a text such as `SHA256=…` names, and the digits.
fn labelled(needle: &str) -> Option<(&str, &str)> {
    let (label, value) = needle.split_once('=')?;
    let hex = value.chars().all(|c| c.is_ascii_hexdigit());
    (hex && label.chars().all(|c| c.is_ascii_alphanumeric())).then_some((label, value))
}

/// The parts of a list of hashes with what they are called in it.
fn labels(parts: &[Expr]) -> impl Iterator<Item = (&str, &Expr)> {
    parts.windows(2).filter_map(|pair| {
        let Some(Value::Str(before)) = pair[0].as_literal() else { return None };
        let own = before.trim_end_matches('=');
        Some((own.rsplit(',').next().unwrap_or(own), &pair[1]))
    })
}

/// `SHA1=…,MD5=…` put together from columns, which hold a whole hash or nothing.
fn hashes(t: &Test, parts: &[Expr]) -> Option<Expr> {
    if t.kind() != "contains" {
        return None;
    }
    let list = |p: &Expr| matches!(p.as_literal(), Some(Value::Str(s)) if s.ends_with("SHA256="));
    if !parts.iter().any(list) {
        return None;
    }
    // A comma is there or not; which hash it stands beside is not what is asked.
    let (label, value) = labelled(t.needle.trim_matches(','))?;
    let mut any = Vec::new();
    for (own, column) in labels(parts) {
        // The end of its name tells it as well, and may tell several.
        let named = own.len().checked_sub(label.len()).and_then(|at| own.get(at..));
        if named.is_some_and(|n| n.eq_ignore_ascii_case(label)) {
            let whole = matches!(
                (&*own.to_ascii_uppercase(), value.len()),
                ("MD5" | "IMPHASH", 32) | ("SHA1", 40) | ("SHA256", 64)
            );
            any.push(if value.is_empty() {
                Expr::boolean(true, t.span)
            } else {
                t.on(if whole { "eq" } else { "startswith" }, column, value)
            });
        }
    }
    // None: a hash that is not among them.
    Some(crate::logic::tidy(Expr::or(any, t.span)))
}

/// A test of such a list as tests of the columns, for a proof: nothing but what the assumption makes equal.
pub(crate) fn hash_test(e: &Expr) -> Option<Expr> {
    let (name, [subject, needle]) = call(e)? else { return None };
    let ("strcat", parts) = call(subject)? else { return None };
    let Some(Value::Str(needle)) = needle.as_literal() else { return None };
    labelled(needle)?;
    let name = function::by_name(name)?.name;
    hashes(&Test { name, subject, needle, span: e.span }, parts)
}

/// A hash taken out of Sysmon's list of them.
fn extracted_hash(t: &Test, re: &Expr, group: &Expr, source: &Expr) -> Option<Expr> {
    let (Some(Value::Str(re)), Some(Value::Long(1))) = (re.as_literal(), group.as_literal()) else {
        return None;
    };
    let (label, rest) = re.split_once("=([0-9A-Fa-f]{")?;
    let length: usize = rest.strip_suffix("})")?.parse().ok()?;
    let whole = t.needle.len() == length && t.needle.chars().all(|c| c.is_ascii_hexdigit());
    if t.kind() != "eq" || !whole {
        return None;
    }
    let needle = Expr::literal(Value::Str(format!("{label}={}", t.needle)), t.span);
    Some(Expr::known("contains", vec![source.clone(), needle], t.span))
}

/// Splits a negation off a test.
pub(crate) fn signed(e: &Expr) -> (&Expr, bool) {
    match &e.kind {
        ExprKind::Not(inner) => (inner, false),
        _ => (e, true),
    }
}

/// Puts it back.
pub(crate) fn with_sign(e: Expr, positive: bool) -> Expr {
    if positive { e } else { literal(e, false) }
}
