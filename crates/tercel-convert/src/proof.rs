//! The prover of this product, asked about conversions.

use crate::asks::{Answer, Prove, Relation};
use crate::flat::{Flat, flatten};
use crate::logic::{key, matched_range, two_valued};
use crate::rewrite::{call, joined_path};
use crate::tree::{Mark, changed, rebuilt};
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::{Domain, Expr, ExprKind, Name, Rel, RelKind, Span, Type, Value, function};
use tercel_verify::{Budget, Comparison};

/// Decides by formulas and automata, within a budget.
#[derive(Clone, Debug, Default)]
pub struct Prover {
    /// Beyond it, the answer is that it is not known.
    pub budget: Budget,
}

/// Letters beyond ASCII that some functions take for an ASCII letter in another case, and others do not.
const LETTERS: [&str; 3] = ["\u{130}", "\u{17f}", "\u{212a}"];
const NO_LETTERS: &str = "texts hold none of the letters İ, ſ and K (Kelvin), of which languages differ in what their other case is";
const ASCII: &str = "texts hold ASCII only: beyond it languages differ in what a letter is";
const ADDRESSES: &str = "a column of addresses holds an address, or nothing";

impl Prove for Prover {
    fn compare(&self, conversion: &Rel, original: &Rel) -> Answer {
        if one_filter(conversion, original) {
            return Answer { relation: Relation::Equal, reason: None, assumptions: Vec::new() };
        }
        let found = tercel_verify::differences(conversion, original, &self.budget);
        if found.relation == tercel_verify::Relation::Equal {
            return Answer { relation: Relation::Equal, reason: found.reason, assumptions: Vec::new() };
        }
        // Languages differ in which characters beyond ASCII are letters, and how they fold.
        if different(&found).any(|w| w.event.beyond_ascii()) {
            for (granted, what) in [(Granted::NoLetters, NO_LETTERS), (Granted::Ascii, ASCII)] {
                // Of the texts that either looks at: one that only the other one reads is a text too.
                let Some(names) = texts_of(&[conversion, original]) else { break };
                let both = (within(conversion, &names, granted), within(original, &names, granted));
                let (Some(a), Some(b)) = both else { break };
                let again = tercel_verify::differences(&a, &b, &self.budget);
                if !different(&again).any(|w| w.event.beyond_ascii()) {
                    return Answer { assumptions: vec![what], ..told(again) };
                }
            }
        }
        told(found)
    }
}

/// Whether both are filters of one table by the same conditions, in whatever order: that takes no proof.
fn one_filter(a: &Rel, b: &Rel) -> bool {
    let (Some((s, x)), Some((t, y))) = (marked(a), marked(b)) else { return false };
    let table = |r: &Rel| match &r.kind {
        RelKind::Scan { table } => Some(table.clone()),
        _ => None,
    };
    table(s) == table(t) && x == y
}

/// The table of a filter, and what stands for its conditions.
fn marked(rel: &Rel) -> Option<(&Rel, Vec<Mark>)> {
    let RelKind::Filter { input, predicate } = &rel.kind else { return None };
    matches!(input.kind, RelKind::Scan { .. }).then_some(())?;
    let mut left = vec![predicate];
    let mut out = Vec::new();
    while let Some(e) = left.pop() {
        match &e.kind {
            ExprKind::And(items) => left.extend(items),
            _ => out.push(Mark::of(e)),
        }
    }
    out.sort_unstable();
    out.dedup();
    Some((input, out))
}

fn different(c: &Comparison) -> impl Iterator<Item = &tercel_verify::Witness> {
    c.witnesses.iter().filter(|w| w.first != w.second)
}

fn only_letters(c: &Comparison) -> bool {
    different(c).next().is_some() && different(c).all(|w| w.event.beyond_ascii())
}

/// How the reason of an answer begins to tell an event of each side.
pub(crate) const ONLY_CONVERSION: &str = "only the conversion finds";
pub(crate) const ONLY_ORIGINAL: &str = "only the original finds";

fn told(found: Comparison) -> Answer {
    let letters = only_letters(&found);
    let relation = match found.relation {
        _ if letters => Relation::Unknown,
        tercel_verify::Relation::Equal => Relation::Equal,
        tercel_verify::Relation::Subset => Relation::Narrower,
        tercel_verify::Relation::Superset => Relation::Wider,
        tercel_verify::Relation::Overlap | tercel_verify::Relation::Disjoint => Relation::Different,
        tercel_verify::Relation::Unknown => Relation::Unknown,
    };
    // One event for each side.
    let one = |first: bool| {
        different(&found).find(|w| w.first == first).map(|w| {
            let who = if first { ONLY_CONVERSION } else { ONLY_ORIGINAL };
            let values: Vec<String> =
                w.event.values.iter().map(|(n, v)| format!("{n}: {}", v.to_text())).collect();
            let who = if letters { format!("beyond ASCII they differ: {who}") } else { who.to_string() };
            format!("{who} an event of {} with {}", w.event.table, values.join(", "))
        })
    };
    let events: Vec<String> = [true, false].into_iter().filter_map(one).collect();
    let said: Vec<String> = found.reason.clone().into_iter().chain(events).collect();
    let reason = (!said.is_empty()).then(|| said.join("; "));
    Answer { relation, reason, assumptions: Vec::new() }
}

/// What is granted of all texts.
#[derive(Clone, Copy)]
enum Granted {
    NoLetters,
    Ascii,
}

/// The texts that filters look at.
fn texts_of(rels: &[&Rel]) -> Option<BTreeSet<Name>> {
    let mut columns = Vec::new();
    for rel in rels {
        flatten(rel, None).ok()?.conditions.iter().for_each(|c| text_columns(c, &mut columns));
    }
    Some(columns.into_iter().collect())
}

/// The filter for events of which it is granted.
fn within(rel: &Rel, names: &BTreeSet<Name>, granted: Granted) -> Option<Rel> {
    let flat = flatten(rel, None).ok()?;
    let at = Span::default();
    let test = |name: &str, n: &Name, s: &str| {
        Expr::known(
            name,
            vec![Expr::column(n.clone(), Type::String, at), Expr::literal(Value::str(s), at)],
            at,
        )
    };
    let mut all: Vec<Expr> = names
        .iter()
        .flat_map(|n| match granted {
            Granted::NoLetters => LETTERS.map(|l| Expr::not(test("contains_cs", n, l), at)).to_vec(),
            Granted::Ascii => vec![test("matches_regex", n, r"^[\x00-\x7F]*$")],
        })
        .collect();
    all.extend(flat.conditions);
    Some(crate::bridge::scan(&flat.base, flat.schema).filter(Expr::and(all, at), at))
}

fn text_columns(e: &Expr, out: &mut Vec<Name>) {
    if let ExprKind::Column(n) = &e.kind
        && e.ty == Type::String
    {
        out.push(n.clone());
    }
    e.children().into_iter().for_each(|c| text_columns(c, out));
}

/// Both filters in two-valued form, and in terms of whole paths only, where the last part of a path has a
/// column of its own too.
///
/// Taken for granted is that the last part of `folder` is `name` but for case. Let p be the path with the
/// name's spelling. Then what a view joins from both is p, the name is p's last part, and the folder column is
/// p for every test that ignores case. Where a test of it regards case, nothing is replaced.
///
/// Tests of addresses that languages say in their own ways become the one that the prover knows; the columns
/// are those of addresses then, which is an assumption where the schema does not say so.
pub(crate) fn aligned(
    a: &Rel,
    b: &Rel,
    paths: &BTreeMap<Name, Name>,
    assumptions: &mut BTreeSet<&'static str>,
) -> (Rel, Rel) {
    let same = || (a.clone(), b.clone());
    let (Ok(x), Ok(y)) = (flatten(a, None), flatten(b, None)) else { return same() };
    if x.base != y.base {
        return same();
    }
    let names: BTreeMap<&Name, &Name> = paths.iter().map(|(f, n)| (n, f)).collect();
    let mut ranges = Ranges::default();
    x.conditions.iter().chain(&y.conditions).for_each(|e| ranges.collect(e));
    let by_path = !x.conditions.iter().chain(&y.conditions).any(|e| regards_case(e, paths));
    let mut globs = BTreeMap::new();
    x.conditions.iter().chain(&y.conditions).for_each(|e| patterns(e, &mut globs));
    let mut letters = false;
    let mut all = |f: &Flat| -> Vec<Expr> {
        let each = f.conditions.iter().map(|e| {
            let mut e = std::borrow::Cow::Borrowed(e);
            if ranges.meant(&e) {
                e = std::borrow::Cow::Owned(ranges.said(&e));
            }
            if by_path && reads_path(&e, paths, &names) {
                e = std::borrow::Cow::Owned(replaced(&e, paths, &names));
            }
            let e = two_valued(&e, true).unwrap_or_else(|_| e.into_owned());
            ordered(plainly(e, &globs, &mut letters))
        });
        each.collect()
    };
    let (xs, ys) = (all(&x), all(&y));
    if letters {
        assumptions.insert(NO_LETTERS);
    }
    let mut addresses = std::mem::take(&mut ranges.columns);
    addresses.retain(|c| xs.iter().chain(&ys).all(|e| only_addresses(e, c)));
    let mut rel = |f: Flat, all: Vec<Expr>| {
        let mut schema = f.schema;
        for name in &addresses {
            match schema.columns.iter_mut().find(|c| c.name == *name) {
                Some(c) if c.domain == Some(Domain::Ip) => continue,
                Some(c) => c.domain = Some(Domain::Ip),
                None => {
                    let mut c = tercel_ir::Column::new(name.clone(), Type::String);
                    c.domain = Some(Domain::Ip);
                    schema.columns.push(c);
                }
            }
            assumptions.insert(ADDRESSES);
        }
        crate::bridge::scan(&f.base, schema).filter(Expr::and(all, Span::default()), Span::default())
    };
    (rel(x, xs), rel(y, ys))
}

/// Ranges of addresses that are asked for, and the columns that are asked.
#[derive(Default)]
struct Ranges {
    /// By the pattern that a language without a function for them uses.
    patterns: BTreeMap<String, String>,
    columns: BTreeSet<Name>,
}

impl Ranges {
    fn collect(&mut self, e: &Expr) {
        if let Some((_, args)) = call(e) {
            for a in args {
                if let Some(Value::Str(range)) = a.as_literal()
                    && range.contains(':')
                    && let Some(p) = tercel_sumo::raise::ipv6_pattern(range)
                {
                    self.patterns.insert(p, range.clone());
                }
            }
        }
        e.children().into_iter().for_each(|c| self.collect(c));
    }

    /// Whether something in it may be a test of an address range.
    fn meant(&self, e: &Expr) -> bool {
        let here = match call(e) {
            Some(("matches_regex", _)) => !self.patterns.is_empty(),
            Some((name, _)) => name == "ipv4_is_match",
            None => false,
        };
        here || e.parts().any(|c| self.meant(c))
    }

    /// The expression with tests of address ranges in their one form.
    fn said(&mut self, e: &Expr) -> Expr {
        let out = rebuilt(e, |c| self.said(c));
        if let Some(("ipv4_is_match", [a, b])) = call(&out)
            && let Some((x, _)) = matched_range(a, b)
        {
            self.columns.extend(x.as_column().cloned());
        }
        match self.test(&out) {
            Some((column, range)) => {
                if let Some(n) = column.as_column() {
                    self.columns.insert(n.clone());
                }
                Expr::known("ip_in_cidr", vec![column, Expr::literal(Value::Str(range), e.span)], e.span)
            }
            None => out,
        }
    }

    fn test(&self, e: &Expr) -> Option<(Expr, String)> {
        match call(e)? {
            ("matches_regex", [x, p]) => {
                let Some(Value::Str(p)) = p.as_literal() else { return None };
                let range = self.patterns.get(p).or_else(|| {
                    let p = p.strip_prefix("(?s)").or_else(|| p.strip_prefix("(?i)"))?;
                    self.patterns.get(p)
                })?;
                let mut x = x;
                while let Some(("tolower" | "tostring" | "text_or_null", [inner])) = call(x) {
                    x = inner;
                }
                (x.as_column().is_some() && x.ty == Type::String).then(|| (x.clone(), range.clone()))
            }
            _ => None,
        }
    }
}

/// Whether tests of a column are those of an address: of its ranges, or of the whole text.
fn only_addresses(e: &Expr, column: &Name) -> bool {
    if let Some((name, [x, rest @ ..])) = call(e)
        && x.as_column() == Some(column)
    {
        let address = |a: &Expr| match a.as_literal() {
            Some(Value::Str(s)) => s.is_empty() || s.parse::<std::net::IpAddr>().is_ok(),
            _ => false,
        };
        return match name {
            "ip_in_cidr" | "is_valid_ip" | "is_valid_ipv4" | "isempty" | "isnotempty" | "isnull"
            | "isnotnull" => true,
            "eq" | "eq_ci" | "in" | "in_ci" => rest.iter().all(address),
            _ => false,
        };
    }
    e.as_column() != Some(column) && e.children().into_iter().all(|c| only_addresses(c, column))
}

/// Globs that ignore case, by the regular expressions that a language without their escapes uses.
fn patterns(e: &Expr, out: &mut BTreeMap<String, String>) {
    if let Some(("matches_glob_ci", [_, glob])) = call(e)
        && let Some(Value::Str(glob)) = glob.as_literal()
        && glob.is_ascii()
    {
        let lower = glob.to_ascii_lowercase();
        out.insert(function::glob_to_regex(&lower, false), lower);
    }
    e.children().into_iter().for_each(|c| patterns(c, out));
}

/// Tests of lists of hashes by the columns, as the assumption about them has it; and tests of a lower case as
/// tests that ignore case, where only a letter that is assumed away tells the two apart.
fn plainly(e: Expr, globs: &BTreeMap<String, String>, letters: &mut bool) -> Expr {
    if let Some(new) = crate::rewrite::hash_test(&e) {
        return upper_peeled(&new);
    }
    if let Some((name, [subject, needle])) = call(&e)
        && let Some(Value::Str(s)) = needle.as_literal()
    {
        match call(subject) {
            Some(("tolower", [inner])) if inner.ty == Type::String => {
                if let Some((new, granted)) = of_lower(name, inner, s, globs, e.span) {
                    *letters |= granted;
                    return new;
                }
            }
            // However it is written: the case of a pattern that ignores it.
            None if name == "matches_glob_ci" && s.is_ascii() => {
                let lower = Expr::literal(Value::Str(s.to_ascii_lowercase()), needle.span);
                return Expr::known(name, vec![subject.clone(), lower], e.span);
            }
            _ => {}
        }
    }
    changed(e, |c| plainly(c, globs, letters))
}

/// Lists as the tests of their items, and what is joined in one order, each once: what is the same but for that
/// needs no proof.
fn ordered(e: Expr) -> Expr {
    let span = e.span;
    let join = |items: Vec<Expr>, all: bool| {
        let mut flat = Vec::with_capacity(items.len());
        for i in items.into_iter().map(ordered) {
            match i.kind {
                ExprKind::And(inner) if all => flat.extend(inner),
                ExprKind::Or(inner) if !all => flat.extend(inner),
                kind => flat.push(Expr { kind, ty: i.ty, span: i.span }),
            }
        }
        let mut keyed: Vec<(String, Expr)> = flat.into_iter().map(|e| (key(&e), e)).collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        keyed.dedup_by(|a, b| a.0 == b.0);
        let items = keyed.into_iter().map(|k| k.1).collect();
        if all { Expr::and(items, span) } else { Expr::or(items, span) }
    };
    match e.kind {
        ExprKind::And(items) => join(items, true),
        ExprKind::Or(items) => join(items, false),
        ExprKind::Not(inner) => Expr::not(ordered(*inner), span),
        ExprKind::Call(f, args) if matches!(f.name, "in" | "in_ci") && args.len() > 1 => {
            let text = args[1..].iter().all(|a| matches!(a.as_literal(), Some(Value::Str(_))));
            if !(text && args[0].ty == Type::String && args[0].as_column().is_some()) {
                return Expr { kind: ExprKind::Call(f, args), ty: e.ty, span };
            }
            let one = if f.name == "in" { "eq" } else { "eq_ci" };
            let each = args[1..].iter().map(|a| {
                let text = match a.as_literal() {
                    Some(Value::Str(s)) if one == "eq_ci" => {
                        Expr::literal(Value::Str(function::fold(s)), a.span)
                    }
                    _ => a.clone(),
                };
                Expr::known(one, vec![args[0].clone(), text], span)
            });
            join(each.collect(), false)
        }
        ExprKind::Call(f, args) => {
            // However it is written: the case of a text that is looked for without regard to it.
            let args = match (f.name, args.as_slice()) {
                ("eq_ci" | "contains" | "startswith" | "endswith", [x, a]) => match a.as_literal() {
                    Some(Value::Str(s)) => {
                        vec![x.clone(), Expr::literal(Value::Str(function::fold(s)), a.span)]
                    }
                    _ => args,
                },
                _ => args,
            };
            Expr { kind: ExprKind::Call(f, args), ty: e.ty, span }
        }
        kind => Expr { kind, ty: e.ty, span },
    }
}

/// Tests of hexadecimal digits that ignore case do not see that they were made upper case.
fn upper_peeled(e: &Expr) -> Expr {
    if let Some(("toupper", [x])) = call(e) {
        return x.clone();
    }
    let cased = matches!(call(e), Some((name, _)) if name == "eq" || name.ends_with("_cs"));
    if cased { e.clone() } else { rebuilt(e, upper_peeled) }
}

/// A test of the lower case of a text as one of the text, and whether `İ` could tell the two apart: as it becomes
/// `i` and a dot above, that is where a match ends in `i`, and in patterns.
fn of_lower(
    name: &str,
    x: &Expr,
    needle: &str,
    globs: &BTreeMap<String, String>,
    at: Span,
) -> Option<(Expr, bool)> {
    let lower = |s: &str| s.is_ascii() && !s.bytes().any(|b| b.is_ascii_uppercase());
    let test = |name: &str, s: &str| Expr::known(name, vec![x.clone(), Expr::literal(Value::str(s), at)], at);
    match name {
        "contains" | "contains_cs" if lower(needle) && needle.ends_with('i') => {
            Some((test("contains", needle), true))
        }
        "startswith" | "startswith_cs" if lower(needle) && needle.ends_with('i') => {
            Some((test("startswith", needle), true))
        }
        "matches_glob" if lower(needle) => {
            let glob = test("matches_glob_ci", needle);
            let args = call(&glob).map_or(&[] as &[Expr], |c| c.1);
            // Stars at the ends only: the text between them is looked for.
            match crate::rewrite::plain_glob("matches_glob_ci", args, at) {
                Some(plain) => Some((plain, needle.ends_with("i*"))),
                None => Some((glob, true)),
            }
        }
        "matches_regex" => {
            if let Some(glob) = globs.get(needle) {
                return Some((test("matches_glob_ci", glob), true));
            }
            let (start, end, texts) = alternatives(needle)?;
            if texts.iter().any(|t| !lower(t) || t.is_empty()) {
                return None;
            }
            let name = match (start, end) {
                (true, true) => "eq_ci",
                (true, false) => "startswith",
                (false, true) => "endswith",
                (false, false) => "contains",
            };
            let letters = !end && texts.iter().any(|t| t.ends_with('i'));
            Some((Expr::or(texts.iter().map(|t| test(name, t)).collect(), at), letters))
        }
        _ => None,
    }
}

/// The texts of `(a|b)`, and whether they stand at the start or at the end.
fn alternatives(pattern: &str) -> Option<(bool, bool, Vec<String>)> {
    let pattern = pattern.strip_prefix("(?s)").unwrap_or(pattern);
    let (start, rest) = pattern.strip_prefix('^').map_or((false, pattern), |r| (true, r));
    let (end, rest) = rest.strip_suffix(")$").map_or((false, rest.strip_suffix(')')), |r| (true, Some(r)));
    let mut chars = rest?.strip_prefix('(')?.chars();
    let mut out = vec![String::new()];
    while let Some(c) = chars.next() {
        let text = out.last_mut()?;
        match c {
            '\\' => match chars.next()? {
                c if c.is_ascii_alphanumeric() => return None,
                c => text.push(c),
            },
            '|' => out.push(String::new()),
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => text.push(c),
        }
    }
    Some((start, end, out))
}

fn regards_case(e: &Expr, paths: &BTreeMap<Name, Name>) -> bool {
    if joined_path(e).is_some() {
        return false;
    }
    let here = match call(e) {
        Some((name, [x, rest @ ..])) if x.as_column().is_some_and(|c| paths.contains_key(c)) => match name {
            "eq_ci" | "in_ci" | "contains" | "startswith" | "endswith" | "matches_glob_ci" | "isempty"
            | "isnotempty" | "has" | "has_any" | "has_all" | "hasprefix" | "hassuffix" | "basename"
            | "dirname" => false,
            "matches_regex" => !matches!(
                rest.first().and_then(Expr::as_literal),
                Some(Value::Str(s)) if s.starts_with("(?i)") || s.starts_with("(?is)")
            ),
            _ => true,
        },
        _ => false,
    };
    here || e.children().into_iter().any(|c| regards_case(c, paths))
}

/// A text that a last part of a path can be.
fn whole_name(e: &Expr) -> Option<&str> {
    match e.as_literal()? {
        Value::Str(s) if !s.is_empty() && !s.contains(['\\', '/']) => Some(s),
        _ => None,
    }
}

fn reads_path(e: &Expr, paths: &BTreeMap<Name, Name>, names: &BTreeMap<&Name, &Name>) -> bool {
    let here = e.as_column().is_some_and(|c| paths.contains_key(c) || names.contains_key(c));
    here || e.parts().any(|c| reads_path(c, paths, names))
}

fn replaced(e: &Expr, paths: &BTreeMap<Name, Name>, names: &BTreeMap<&Name, &Name>) -> Expr {
    if let Some((f, n)) = joined_path(e)
        && let (Some(f), Some(n)) = (f.as_column(), n.as_column())
        && paths.get(f) == Some(n)
    {
        return Expr::column(f.clone(), e.ty, e.span);
    }
    // Granted is that a path has a backslash and no slash: its last part is what stands after one.
    if let Some(("eq_ci" | "in_ci", [x, texts @ ..])) = call(e)
        && let Some(f) = x.as_column().and_then(|n| names.get(n))
        && let Some(texts) = texts.iter().map(whole_name).collect::<Option<Vec<_>>>()
    {
        let each = texts.into_iter().map(|t| {
            let t = Expr::literal(Value::Str(format!("\\{t}")), e.span);
            Expr::known("endswith", vec![Expr::column((*f).clone(), x.ty, x.span), t], e.span)
        });
        return Expr::or(each.collect(), e.span);
    }
    if let Some(f) = e.as_column().and_then(|n| names.get(n)) {
        return Expr::known("basename", vec![Expr::column((*f).clone(), e.ty, e.span)], e.span);
    }
    rebuilt(e, |c| replaced(c, paths, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::function::Context;

    fn at() -> Span {
        Span::default()
    }
    fn column(n: &str) -> Expr {
        Expr::column(n, Type::String, at())
    }
    fn text(s: &str) -> Expr {
        Expr::literal(Value::str(s), at())
    }
    fn holds(e: &Expr, row: &[(&str, &str)]) -> bool {
        let look = |n: &str| row.iter().find(|r| r.0 == n).map_or(Value::Null, |r| Value::str(r.1));
        e.eval(&look, &Context::default()).as_bool() == Some(true)
    }

    fn hash(length: usize) -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            proptest::string::string_regex(&format!("[0-9A-Fa-f]{{{length}}}")).unwrap()
        ]
    }

    proptest! {
        /// Of whole hashes the columns tell what the list tells.
        #[test]
        fn lists_of_hashes(
            md5 in hash(32),
            sha1 in hash(40),
            sha256 in hash(64),
            label in "(SHA1|sha256|MD5|5|1|IMPHASH|)",
            which in 0..4usize,
            length in 0..65usize,
        ) {
            let upper = |n: &str| Expr::known("toupper", vec![column(n)], at());
            let parts = vec![
                text("SHA1="), upper("SHA1"), text(",MD5="), upper("MD5"), text(",SHA256="), upper("SHA256"),
            ];
            let list = Expr::known("strcat", parts, at());
            let value = [&*md5, &*sha1, &*sha256, "00"][which];
            let needle = format!("{label}={}", &value[..length.min(value.len())]);
            let test = Expr::known("contains", vec![list, text(&needle)], at());
            let row = [("MD5", &*md5), ("SHA1", &*sha1), ("SHA256", &*sha256)];
            if let Some(by_columns) = crate::rewrite::hash_test(&test) {
                prop_assert_eq!(holds(&test, &row), holds(&upper_peeled(&by_columns), &row), "{}", needle);
            }
        }

        /// Without the letters that are assumed away, tests of a lower case are tests that ignore case.
        #[test]
        fn lower_case(x in "[abiIAsSkK.\\\\é*É?]{0,8}", needle in "[abisk.\\\\é*?]{1,4}", which in 0..4usize) {
            let name = ["contains", "startswith_cs", "matches_glob", "matches_regex"][which];
            let pattern = match name {
                "matches_regex" => format!("({}|b)$", regex::escape(&needle)),
                _ => needle.clone(),
            };
            let test = Expr::known(name, vec![Expr::known("tolower", vec![column("x")], at()), text(&pattern)], at());
            let mut letters = false;
            let plain = plainly(test.clone(), &BTreeMap::new(), &mut letters);
            prop_assert_eq!(holds(&test, &[("x", &x)]), holds(&plain, &[("x", &x)]));
        }

        /// Where a path and its last part agree, the path alone tells.
        #[test]
        fn paths(folder in "([abA]{0,2}\\\\){1,2}", name in "[abA.]{1,3}", wanted in "[abA.]{1,3}") {
            let whole = format!("{folder}{name}").to_lowercase();
            let paths = BTreeMap::from([(Name::from("F"), Name::from("N"))]);
            let names: BTreeMap<&Name, &Name> = paths.iter().map(|(f, n)| (n, f)).collect();
            for test in [
                Expr::known("eq_ci", vec![column("N"), text(&wanted)], at()),
                Expr::known("in_ci", vec![column("N"), text(&wanted), text("b")], at()),
                Expr::known("endswith", vec![column("N"), text(&wanted)], at()),
            ] {
                let by_path = replaced(&test, &paths, &names);
                let row = [("F", &*whole), ("N", &*name)];
                prop_assert_eq!(holds(&test, &row), holds(&by_path, &row));
            }
        }

        /// The pattern for a range of IPv6 matches, of addresses, those of the range, however they are written.
        #[test]
        fn ipv6_patterns(
            groups in proptest::array::uniform8(prop_oneof![Just(0u16), Just(1), any::<u16>()]),
            bits in 0..=128u32,
            flip in 0..128u32,
            upper in any::<bool>(),
            full in any::<bool>(),
        ) {
            let net = std::net::Ipv6Addr::from(groups);
            let range = format!("{net}/{bits}");
            let Some(pattern) = tercel_sumo::raise::ipv6_pattern(&range) else { return Ok(()) };
            let re = regex::Regex::new(&pattern).unwrap();
            for n in [u128::from(net), u128::from(net) ^ (1 << flip)] {
                let a = std::net::Ipv6Addr::from(n);
                let mut s = a.to_string();
                if full {
                    s = a.segments().map(|g| format!("{g:04x}")).join(":");
                }
                if upper {
                    s = s.to_uppercase();
                }
                let test = Expr::known("ip_in_cidr", vec![text(&s), text(&range)], at());
                prop_assert_eq!(re.is_match(&s.to_lowercase()), holds(&test, &[]), "{} {} {}", s, range, pattern);
            }
            prop_assert!(!re.is_match("10.1.2.3"));
        }
    }

    #[test]
    fn alternatives_of_patterns() {
        let texts = |p: &str| alternatives(p).map(|(s, e, t)| (s, e, t.join(" ")));
        assert_eq!(texts(r"(a\.b|c)$"), Some((false, true, "a.b c".into())));
        assert_eq!(texts(r"^(a|\\)"), Some((true, false, r"a \".into())));
        assert_eq!(texts("(a|b+)"), None);
        assert_eq!(texts(r"(\d)"), None);
        assert_eq!(texts("a|b"), None);
    }
}
