//! Predicates in two-valued form as SQL.

use super::layout::Doc;
use super::pattern::{Part, caseless, escaped, glob_parts, glob_regex, has_dot, large_repetition, like};
use super::{Dialect, INET, JAVA, LETTERS, address};
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::function::{self, Context, fold};
use tercel_ir::{Diagnostic, Expr, ExprKind, Type, Value, time};

/// Nesting beyond this is refused.
const MAX_DEPTH: usize = 80;

/// What could not be said, as an error for the user.
pub(super) fn unsaid(what: impl Into<String>) -> Diagnostic {
    Diagnostic::error("not-in-sql", format!("SQL has no way to say {}", what.into()))
}

/// A value as SQL.
pub(crate) struct Said {
    pub text: String,
    /// What must not be null for the value not to be null; `None` when the value never is.
    nulls: BTreeSet<String>,
    /// Below operators: needs brackets as an operand.
    loose: bool,
}

impl Said {
    fn new(text: impl Into<String>) -> Said {
        Said { text: text.into(), nulls: BTreeSet::new(), loose: false }
    }
    fn with(text: String, of: &Said) -> Said {
        Said { text, nulls: of.nulls.clone(), loose: false }
    }
}

/// A test: itself, its opposite, and what makes both of them null.
struct Tested {
    yes: Doc,
    no: Doc,
    nulls: BTreeSet<String>,
}

impl Tested {
    fn new(yes: String, no: String, of: &[&Said]) -> Tested {
        let nulls = of.iter().flat_map(|s| s.nulls.iter().cloned()).collect();
        Tested { yes: Doc::Text(yes), no: Doc::Text(no), nulls }
    }
    fn call(yes: String, of: &[&Said]) -> Tested {
        Tested::new(yes.clone(), format!("NOT {yes}"), of)
    }
}

/// Writes predicates of one dialect, and remembers what the reading needs to know.
pub(crate) struct Printer {
    pub dialect: Dialect,
    /// Patterns that stand for ranges of addresses.
    pub ranges: BTreeMap<String, String>,
    pub assumptions: BTreeSet<&'static str>,
}

impl Printer {
    pub(crate) fn new(dialect: Dialect) -> Printer {
        Printer { dialect, ranges: BTreeMap::new(), assumptions: BTreeSet::new() }
    }

    /// A predicate as the condition of a filter.
    ///
    /// # Errors
    /// When it holds something that the dialect has no words for.
    pub(crate) fn condition(&mut self, e: &Expr) -> Result<Doc, Diagnostic> {
        self.nested(e, &BTreeSet::new(), 0)
    }

    /// `known`: the columns that are not null in rows for which this matters.
    fn nested(&mut self, e: &Expr, known: &BTreeSet<String>, depth: usize) -> Result<Doc, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(unsaid("an expression nested so deeply"));
        }
        let d = depth + 1;
        Ok(match &e.kind {
            ExprKind::Literal(v) => Doc::Text(truth(v.as_bool() == Some(true)).into()),
            ExprKind::And(items) => {
                let mut known = known.clone();
                for i in items {
                    known.extend(self.rejects(i)?);
                }
                Doc::And(items.iter().map(|i| self.nested(i, &known, d)).collect::<Result<_, _>>()?)
            }
            ExprKind::Or(items) => {
                let mut any = Vec::with_capacity(items.len());
                for i in items {
                    match self.nested(i, known, d)? {
                        Doc::Or(inner) => any.extend(inner),
                        doc => any.push(doc),
                    }
                }
                Doc::Or(any)
            }
            ExprKind::Not(inner) => self.negation(inner, known, d)?,
            _ => self.test(e, d)?.yes,
        })
    }

    fn negation(&mut self, e: &Expr, known: &BTreeSet<String>, depth: usize) -> Result<Doc, Diagnostic> {
        let (inner, nulls) = match &e.kind {
            ExprKind::Or(items) => {
                let mut nulls = BTreeSet::new();
                let mut docs = Vec::with_capacity(items.len());
                for i in items {
                    if !matches!(i.kind, ExprKind::Call(..)) {
                        return self.never(e, depth);
                    }
                    let t = self.test(i, depth)?;
                    nulls.extend(t.nulls);
                    docs.push(t.yes);
                }
                (Doc::Wrapped("NOT ", Box::new(Doc::Or(docs)), ""), nulls)
            }
            ExprKind::Call(..) => {
                let t = self.test(e, depth)?;
                (t.no, t.nulls)
            }
            _ => return self.never(e, depth),
        };
        let mut any: Vec<Doc> = nulls.difference(known).map(|n| Doc::Text(format!("{n} IS NULL"))).collect();
        // Of several columns, one may be null where another decides; and what is computed is not said twice.
        let computed = nulls.iter().any(|n| n.contains(['(', ' ']));
        if (nulls.len() > 1 || computed) && !any.is_empty() {
            return self.never(e, depth);
        }
        if any.is_empty() {
            return Ok(inner);
        }
        any.push(inner);
        Ok(Doc::Or(any))
    }

    /// What is not true: false, or null.
    fn never(&mut self, e: &Expr, depth: usize) -> Result<Doc, Diagnostic> {
        let inner = self.nested(e, &BTreeSet::new(), depth)?;
        Ok(Doc::Wrapped("NOT COALESCE", Box::new(inner), ", FALSE"))
    }

    /// Columns that are not null where a predicate is true.
    fn rejects(&mut self, e: &Expr) -> Result<BTreeSet<String>, Diagnostic> {
        Ok(match &e.kind {
            ExprKind::And(items) => {
                let mut all = BTreeSet::new();
                for i in items {
                    all.extend(self.rejects(i)?);
                }
                all
            }
            ExprKind::Or(items) => {
                let mut common: Option<BTreeSet<String>> = None;
                for i in items {
                    let own = self.rejects(i)?;
                    common = Some(match common {
                        None => own,
                        Some(c) => c.intersection(&own).cloned().collect(),
                    });
                    if common.as_ref().is_some_and(BTreeSet::is_empty) {
                        break;
                    }
                }
                common.unwrap_or_default()
            }
            ExprKind::Call(f, args) if f.name == "isnotnull" => match args.as_slice() {
                [x] => self.value(x, 0)?.nulls,
                _ => BTreeSet::new(),
            },
            ExprKind::Call(..) => self.test(e, 0)?.nulls,
            _ => BTreeSet::new(),
        })
    }

    /// A test that is two-valued but for nulls.
    fn test(&mut self, e: &Expr, depth: usize) -> Result<Tested, Diagnostic> {
        let ExprKind::Call(f, args) = &e.kind else {
            return match &e.kind {
                ExprKind::Column(_) if e.ty == Type::Bool => {
                    let v = self.value(e, depth)?;
                    Ok(Tested::call(v.text.clone(), &[&v]))
                }
                _ => Err(unsaid("this condition")),
            };
        };
        let arg = |i: usize| args.get(i).ok_or_else(|| unsaid("a call without its arguments"));
        // What is true of an absent text is asked of "" instead.
        let of_nothing = f.name != "isnull" && f.name != "isempty" && true_of_nothing(e);
        match f.name {
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => {
                let (op, opposite) = match f.name {
                    "eq" => ("=", "<>"),
                    "ne" => ("<>", "="),
                    "lt" => ("<", ">="),
                    "le" => ("<=", ">"),
                    "gt" => (">", "<="),
                    _ => (">=", "<"),
                };
                let (a, b) = (self.operand(arg(0)?, depth)?, self.operand(arg(1)?, depth)?);
                let text = |op: &str| format!("{} {op} {}", a.text, b.text);
                Ok(Tested::new(text(op), text(opposite), &[&a, &b]))
            }
            "isnull" | "isnotnull" => {
                let a = self.operand(arg(0)?, depth)?;
                let (yes, no) = (format!("{} IS NULL", a.text), format!("{} IS NOT NULL", a.text));
                Ok(if f.name == "isnull" { Tested::new(yes, no, &[]) } else { Tested::new(no, yes, &[]) })
            }
            "isempty" | "isnotempty" => self.empty(arg(0)?, f.name == "isempty", depth),
            "in" | "in_ci" => self.member(f.name == "in", args, of_nothing, depth),
            "eq_ci" => match arg(1)?.as_literal() {
                Some(_) => self.member(false, args, of_nothing, depth),
                None => {
                    let (a, b) = (self.lower(arg(0)?, depth)?, self.lower(arg(1)?, depth)?);
                    let text = |op: &str| format!("{} {op} {}", a.text, b.text);
                    Ok(Tested::new(text("="), text("<>"), &[&a, &b]))
                }
            },
            "contains" | "contains_cs" | "startswith" | "startswith_cs" | "endswith" | "endswith_cs" => {
                self.placed(f.name, args, of_nothing, depth)
            }
            "matches_glob" | "matches_glob_ci" => {
                let glob = literal_text(arg(1)?, "a wildcard pattern that is computed")?;
                let ci = f.name == "matches_glob_ci";
                if self.dialect == Dialect::DuckDb && !of_nothing {
                    let a = self.text(arg(0)?, false, depth)?;
                    let (pattern, escaped) = like(&glob_parts(glob));
                    return Ok(self.like(&a, &pattern, escaped, ci));
                }
                let re = glob_regex(glob, ci);
                self.regex(arg(0)?, &re, of_nothing, depth)
            }
            "matches_regex" => {
                let re = literal_text(arg(1)?, "a regular expression that is computed")?.to_string();
                self.regex(arg(0)?, &re, of_nothing, depth)
            }
            "has" | "has_cs" | "hasprefix" | "hasprefix_cs" | "hassuffix" | "hassuffix_cs" | "has_any"
            | "has_all" => self.term(f.name, args, of_nothing, depth),
            "ip_in_cidr" => {
                let range = literal_text(arg(1)?, "an address range that is computed")?.to_string();
                self.cidr(arg(0)?, &range, depth)
            }
            "is_valid_ipv4" => {
                let a = self.text(arg(0)?, false, depth)?;
                if self.dialect == Dialect::ClickHouse {
                    return Ok(Tested::call(format!("isIPv4String({})", a.text), &[&a]));
                }
                self.cidr(arg(0)?, "0.0.0.0/0", depth)
            }
            "isblank" => self.regex(arg(0)?, r"^\s*$", true, depth),
            other => Err(unsaid(format!("`{other}`"))),
        }
    }

    fn empty(&mut self, x: &Expr, empty: bool, depth: usize) -> Result<Tested, Diagnostic> {
        let v = self.operand(x, depth)?;
        if !textual(x) {
            let (yes, no) = (format!("{} IS NULL", v.text), format!("{} IS NOT NULL", v.text));
            return Ok(if empty { Tested::new(yes, no, &[]) } else { Tested::new(no, yes, &[]) });
        }
        let there = Doc::Text(format!("{} <> ''", v.text));
        let absent = Doc::Text(match v.nulls.is_empty() {
            true => format!("{} = ''", v.text),
            false => format!("COALESCE({}, '') = ''", v.text),
        });
        // Each is right where it is true; neither is asked for its opposite in two-valued form.
        Ok(match empty {
            true => Tested { yes: absent, no: there, nulls: BTreeSet::new() },
            false => Tested { yes: there, no: absent, nulls: v.nulls },
        })
    }

    fn member(
        &mut self,
        cased: bool,
        args: &[Expr],
        of_nothing: bool,
        depth: usize,
    ) -> Result<Tested, Diagnostic> {
        let Some((what, items)) = args.split_first() else { return Err(unsaid("a list without a value")) };
        let mut said = Vec::with_capacity(items.len());
        let mut letters = false;
        for i in items {
            let v = i.as_literal().ok_or_else(|| unsaid("a list with computed values"))?;
            let t = match v {
                Value::Null => continue,
                Value::Dynamic(_) => return Err(unsaid("a list inside a list")),
                Value::Str(s) if !cased => {
                    letters |= !caseless(s);
                    self.dialect.text(&fold(s))
                }
                v if !cased => self.dialect.text(&fold(&v.text())),
                v => self.literal(v)?,
            };
            if !said.contains(&t) {
                said.push(t);
            }
        }
        let mut v = match (cased, letters) {
            (false, true) => self.lower(what, depth)?,
            (false, false) => self.text(what, false, depth)?,
            (true, _) => self.operand(what, depth)?,
        };
        if of_nothing {
            v = filled(v);
        }
        Ok(match said.as_slice() {
            [] => Tested::new(truth(false).into(), truth(true).into(), &[]),
            [one] => Tested::new(format!("{} = {one}", v.text), format!("{} <> {one}", v.text), &[&v]),
            _ => Tested {
                yes: Doc::List(format!("{} IN", v.text), said.clone()),
                no: Doc::List(format!("{} NOT IN", v.text), said),
                nulls: v.nulls,
            },
        })
    }

    fn placed(
        &mut self,
        name: &str,
        args: &[Expr],
        of_nothing: bool,
        depth: usize,
    ) -> Result<Tested, Diagnostic> {
        let [what, needle] = args else { return Err(unsaid("a call without its arguments")) };
        let needle = literal_text(needle, "a search for a text that is computed")?;
        let cased = name.ends_with("_cs") || caseless(needle);
        let (start, end) = (name.starts_with("startswith"), name.starts_with("endswith"));
        if needle.is_empty() {
            return Ok(Tested::new(truth(true).into(), truth(false).into(), &[]));
        }
        if self.dialect == Dialect::DuckDb {
            let mut a = self.text(what, false, depth)?;
            if of_nothing {
                a = filled(a);
            }
            let mut parts = vec![Part::Text(needle)];
            if !start {
                parts.insert(0, Part::Any);
            }
            if !end {
                parts.push(Part::Any);
            }
            let (pattern, escaped) = like(&parts);
            return Ok(self.like(&a, &pattern, escaped, !cased));
        }
        let a = if cased { self.text(what, false, depth)? } else { self.lower(what, depth)? };
        let needle = self.dialect.text(&if cased { needle.to_string() } else { fold(needle) });
        let call = match (self.dialect, start, end) {
            (Dialect::ClickHouse, true, _) => format!("startsWith({}, {needle})", a.text),
            (Dialect::ClickHouse, _, true) => format!("endsWith({}, {needle})", a.text),
            (Dialect::ClickHouse, ..) => {
                let (yes, no) = (
                    format!("position({}, {needle}) > 0", a.text),
                    format!("position({}, {needle}) = 0", a.text),
                );
                return Ok(Tested::new(yes, no, &[&a]));
            }
            (Dialect::Spark, true, _) => format!("startswith({}, {needle})", a.text),
            (Dialect::Spark, _, true) => format!("endswith({}, {needle})", a.text),
            (_, true, _) => format!("starts_with({}, {needle})", a.text),
            (_, _, true) => format!("ends_with({}, {needle})", a.text),
            _ => format!("contains({}, {needle})", a.text),
        };
        Ok(Tested::call(call, &[&a]))
    }

    fn like(&mut self, a: &Said, pattern: &str, escaped: bool, ci: bool) -> Tested {
        let pattern = self.dialect.text(pattern);
        let escape = if escaped { " ESCAPE '!'" } else { "" };
        let word = if ci { "ILIKE" } else { "LIKE" };
        Tested::new(
            format!("{} {word} {pattern}{escape}", a.text),
            format!("{} NOT {word} {pattern}{escape}", a.text),
            &[a],
        )
    }

    fn regex(
        &mut self,
        what: &Expr,
        pattern: &str,
        of_nothing: bool,
        depth: usize,
    ) -> Result<Tested, Diagnostic> {
        let pattern = self.portable(pattern)?;
        let mut a = self.text(what, false, depth)?;
        if of_nothing {
            a = filled(a);
        }
        let p = self.dialect.text(&pattern);
        Ok(match self.dialect {
            Dialect::DuckDb => Tested::call(format!("regexp_matches({}, {p})", a.text), &[&a]),
            Dialect::ClickHouse => Tested::call(format!("match({}, {p})", a.text), &[&a]),
            Dialect::Spark => {
                Tested::new(format!("{} RLIKE {p}", a.text), format!("{} NOT RLIKE {p}", a.text), &[&a])
            }
            Dialect::DataFusion => Tested::call(format!("regexp_like({}, {p})", a.text), &[&a]),
        })
    }

    /// A pattern as the dialect's expressions read it; what they lack is refused.
    fn portable(&mut self, pattern: &str) -> Result<String, Diagnostic> {
        let refused = |what: &str| {
            Err(unsaid(format!("the regular expression `{pattern}`"))
                .meaning(format!("{what} differs there")))
        };
        if function::check_regex(pattern).is_err() {
            return refused("it cannot be read, and what it would mean");
        }
        if self.dialect == Dialect::DataFusion {
            return Ok(pattern.to_string());
        }
        for (mark, what) in [
            ("&&", "an intersection of classes"),
            ("~~", "a difference of classes"),
            ("(?x", "a pattern with blanks and comments"),
            (r"\u{", "an escape of a character"),
            (r"\U", "an escape of a character"),
            (r"\<", "the boundary of a word"),
            (r"\>", "the boundary of a word"),
            (r"\b{", "the boundary of a word"),
            ("(?R", "the end of a line"),
        ] {
            if pattern.contains(mark) {
                return refused(what);
            }
        }
        if !pattern.is_ascii() || pattern.contains("(?i") {
            self.assumptions.insert(LETTERS);
        }
        if self.dialect == Dialect::Spark {
            self.assumptions.insert(JAVA);
            // Java's `$` looks past a last line break, and its `\w` ends at ASCII as it should not.
            return Ok(pattern
                .strip_suffix('$')
                .filter(|p| !p.ends_with('\\'))
                .map_or_else(|| pattern.to_string(), |p| format!(r"{p}\z")));
        }
        if large_repetition(pattern) {
            return refused("a repetition of more than a thousand times");
        }
        // ClickHouse's dot finds line breaks unless told otherwise.
        if self.dialect == Dialect::ClickHouse && has_dot(pattern) && !pattern.contains("s)") {
            return Ok(format!("(?-s){pattern}"));
        }
        Ok(pattern.to_string())
    }

    /// Kusto's term search: the needle with no letter or digit next to an edge that is one itself.
    fn term(
        &mut self,
        name: &str,
        args: &[Expr],
        of_nothing: bool,
        depth: usize,
    ) -> Result<Tested, Diagnostic> {
        let Some((what, needles)) = args.split_first() else { return Err(unsaid("a search without a text")) };
        let cased = name.ends_with("_cs");
        let (before, after) = (!name.starts_with("hassuffix"), !name.starts_with("hasprefix"));
        let mut patterns = Vec::new();
        for n in needles {
            let v = n.as_literal().filter(|v| !matches!(v, Value::Dynamic(_)));
            let v = v.ok_or_else(|| unsaid("a search for a text that is computed"))?;
            let s = v.to_text();
            let (Some(first), Some(last)) = (s.chars().next(), s.chars().next_back()) else {
                return Err(unsaid("a search for nothing"));
            };
            let left = if before && first.is_alphanumeric() { r"(?:^|[^\p{L}\p{N}])" } else { "" };
            let right = if after && last.is_alphanumeric() { r"(?:$|[^\p{L}\p{N}])" } else { "" };
            patterns.push(format!("{left}{}{right}", escaped(&s)));
        }
        let flag = if cased { "" } else { "(?i)" };
        if name == "has_all" {
            let mut docs = Vec::with_capacity(patterns.len());
            let mut nulls = BTreeSet::new();
            for p in &patterns {
                let t = self.regex(what, &format!("{flag}{p}"), of_nothing, depth)?;
                nulls.extend(t.nulls);
                docs.push(t.yes);
            }
            let yes = Doc::And(docs);
            return Ok(Tested { no: Doc::Wrapped("NOT ", Box::new(yes.clone()), ""), yes, nulls });
        }
        let all = match patterns.as_slice() {
            [] => return Ok(Tested::new(truth(false).into(), truth(true).into(), &[])),
            [one] => one.clone(),
            list => list.join("|"),
        };
        self.regex(what, &format!("{flag}{all}"), of_nothing, depth)
    }

    fn cidr(&mut self, address: &Expr, range: &str, depth: usize) -> Result<Tested, Diagnostic> {
        let a = self.text(address, false, depth)?;
        let range = range.trim();
        let pattern = match self.dialect {
            Dialect::DuckDb => {
                self.assumptions.insert(INET);
                let net = self.dialect.text(range);
                let yes = format!("TRY_CAST({} AS INET) <<= {net}::INET", a.text);
                let no = format!("NOT {yes}");
                // What is no address is in no range, and null there.
                let nulls = BTreeSet::from([format!("TRY_CAST({} AS INET)", a.text)]);
                return Ok(Tested { yes: Doc::Text(yes), no: Doc::Text(no), nulls });
            }
            Dialect::ClickHouse => {
                let net = self.dialect.text(range);
                let family = if range.contains(':') { "isIPv6String" } else { "isIPv4String" };
                let yes = vec![
                    Doc::Text(format!("{family}({})", a.text)),
                    Doc::Text(format!("isIPAddressInRange({}, {net})", a.text)),
                ];
                let yes = Doc::And(yes);
                let no = Doc::Wrapped("NOT ", Box::new(yes.clone()), "");
                return Ok(Tested { yes, no, nulls: a.nulls });
            }
            _ => address::pattern(range).ok_or_else(|| {
                unsaid(format!("the address range {range}"))
                    .meaning("an address of IPv6 has many spellings, and there is no function for its ranges")
            })?,
        };
        let t = self.regex(address, &pattern, false, depth)?;
        // As it was written; `portable` may have changed it.
        let written = if self.dialect == Dialect::Spark {
            pattern.strip_suffix('$').map_or_else(|| pattern.clone(), |p| format!(r"{p}\z"))
        } else {
            pattern
        };
        self.ranges.insert(written, range.to_string());
        Ok(t)
    }

    // ---- values ------------------------------------------------------------------------------

    /// A value as an operand of an operator.
    fn operand(&mut self, e: &Expr, depth: usize) -> Result<Said, Diagnostic> {
        let mut v = self.value(e, depth)?;
        if v.loose {
            v.text = format!("({})", v.text);
            v.loose = false;
        }
        Ok(v)
    }

    /// A value as text. With `there`, an absent one is "".
    fn text(&mut self, e: &Expr, there: bool, depth: usize) -> Result<Said, Diagnostic> {
        let v = self.operand(e, depth)?;
        let v = match textual(e) {
            true => v,
            false if e.ty.is_integer() => {
                let cast = match self.dialect {
                    Dialect::DuckDb | Dialect::DataFusion => format!("CAST({} AS VARCHAR)", v.text),
                    Dialect::Spark => format!("CAST({} AS STRING)", v.text),
                    Dialect::ClickHouse => format!("toString({})", v.text),
                };
                Said::with(cast, &v)
            }
            false => return Err(unsaid(format!("a {} as text", e.ty))),
        };
        Ok(if there { filled(v) } else { v })
    }

    fn lower(&mut self, e: &Expr, depth: usize) -> Result<Said, Diagnostic> {
        let v = self.text(e, false, depth)?;
        let lower = match &e.kind {
            ExprKind::Call(f, _) if f.name == "tolower" => return Ok(v),
            _ if self.dialect == Dialect::ClickHouse => "lowerUTF8",
            _ => "lower",
        };
        Ok(Said::with(format!("{lower}({})", v.text), &v))
    }

    fn literal(&self, v: &Value) -> Result<String, Diagnostic> {
        Ok(match v {
            Value::Null => "NULL".into(),
            Value::Bool(b) => truth(*b).into(),
            Value::Long(n) => n.to_string(),
            Value::Real(r) if r.is_finite() => format!("{r:?}"),
            Value::Str(s) => self.dialect.text(s),
            Value::DateTime(t) => {
                let text = time::format_datetime(*t);
                let text = text.trim_end_matches('Z').replace('T', " ");
                // Microseconds are what all dialects keep.
                let text = text.strip_suffix('0').unwrap_or(&text);
                let text = self.dialect.text(text);
                match self.dialect {
                    Dialect::ClickHouse => format!("toDateTime64({text}, 6, 'UTC')"),
                    _ => format!("TIMESTAMP {text}"),
                }
            }
            _ => return Err(unsaid("a value of this type")),
        })
    }

    pub(crate) fn value(&mut self, e: &Expr, depth: usize) -> Result<Said, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(unsaid("an expression nested so deeply"));
        }
        let d = depth + 1;
        match &e.kind {
            ExprKind::Literal(v) => Ok(Said::new(self.literal(v)?)),
            ExprKind::Column(n) if n.starts_with('$') => {
                Err(unsaid("a search in the whole event as text").help("name the columns to look in"))
            }
            ExprKind::Column(n) => {
                let text = self.dialect.name(n);
                Ok(Said { nulls: BTreeSet::from([text.clone()]), text, loose: false })
            }
            ExprKind::Case { branches, otherwise } => {
                let mut out = String::from("CASE");
                for (c, t) in branches {
                    let two = crate::logic::two_valued(c, true)?;
                    let c = self.condition(&two)?.line();
                    out.push_str(&format!(" WHEN {c} THEN {}", self.value(t, d)?.text));
                }
                out.push_str(&format!(" ELSE {} END", self.value(otherwise, d)?.text));
                // What makes it null is not known; the whole is looked at.
                Ok(Said { nulls: BTreeSet::from([out.clone()]), text: out, loose: false })
            }
            ExprKind::Call(f, args) => self.function(f.name, args, d),
            _ => Err(unsaid("this value")),
        }
    }

    fn function(&mut self, name: &str, args: &[Expr], d: usize) -> Result<Said, Diagnostic> {
        let arg = |i: usize| args.get(i).ok_or_else(|| unsaid("a call without its arguments"));
        let clickhouse = self.dialect == Dialect::ClickHouse;
        Ok(match name {
            "tolower" | "toupper" => {
                let v = self.text(arg(0)?, true, d)?;
                let word = match (name, clickhouse) {
                    ("tolower", false) => "lower",
                    ("tolower", true) => "lowerUTF8",
                    (_, false) => "upper",
                    (_, true) => "upperUTF8",
                };
                Said::new(format!("{word}({})", v.text))
            }
            "tostring" | "text_or_null" => self.text(arg(0)?, name == "tostring", d)?,
            "strlen" => {
                let v = self.text(arg(0)?, true, d)?;
                let word = match self.dialect {
                    Dialect::ClickHouse => "lengthUTF8",
                    Dialect::DataFusion => "character_length",
                    _ => "length",
                };
                Said::new(format!("{word}({})", v.text))
            }
            "strcat" => {
                let parts = args
                    .iter()
                    .map(|a| self.text(a, true, d).map(|v| v.text))
                    .collect::<Result<Vec<_>, _>>()?;
                Said::new(format!("concat({})", parts.join(", ")))
            }
            "coalesce" if args.iter().all(textual) => {
                let (last, first) = args.split_last().ok_or_else(|| unsaid("a choice of nothing"))?;
                let mut parts = Vec::with_capacity(args.len());
                for a in first {
                    parts.push(format!("NULLIF({}, '')", self.value(a, d)?.text));
                }
                let last = self.value(last, d)?;
                parts.push(last.text.clone());
                let text = format!("COALESCE({})", parts.join(", "));
                Said {
                    nulls: if last.nulls.is_empty() {
                        BTreeSet::new()
                    } else {
                        BTreeSet::from([text.clone()])
                    },
                    text,
                    loose: false,
                }
            }
            "basename" => self.extract(r"([^\\/]*)$", arg(0)?, d)?,
            "dirname" => self.extract(r"(?s)^(.*[\\/])", arg(0)?, d)?,
            "extract" => {
                let re = literal_text(arg(0)?, "a regular expression that is computed")?.to_string();
                let one = arg(1)?.as_literal().and_then(Value::as_i64) == Some(1);
                // ClickHouse takes the first group, the whole if there is none.
                if !one || regex::Regex::new(&re).is_ok_and(|r| r.captures_len() < 2) {
                    return Err(unsaid("an extraction of other than the first group"));
                }
                self.extract(&re, arg(2)?, d)?
            }
            "replace_string" => {
                let parts = args
                    .iter()
                    .map(|a| self.text(a, true, d).map(|v| v.text))
                    .collect::<Result<Vec<_>, _>>()?;
                let word = if clickhouse { "replaceAll" } else { "replace" };
                Said::new(format!("{word}({})", parts.join(", ")))
            }
            "add" | "sub" | "mul" if args.len() == 2 && args.iter().all(|a| a.ty.is_integer()) => {
                let (a, b) = (self.operand(arg(0)?, d)?, self.operand(arg(1)?, d)?);
                let op = match name {
                    "add" => "+",
                    "sub" => "-",
                    _ => "*",
                };
                let nulls = a.nulls.union(&b.nulls).cloned().collect();
                Said { text: format!("{} {op} {}", a.text, b.text), nulls, loose: true }
            }
            other => return Err(unsaid(format!("`{other}`"))),
        })
    }

    /// The first group of the first match, "" without one.
    fn extract(&mut self, pattern: &str, of: &Expr, d: usize) -> Result<Said, Diagnostic> {
        let v = self.text(of, true, d)?;
        let p = self.portable(pattern)?;
        let p = self.dialect.text(&p);
        Ok(Said::new(match self.dialect {
            Dialect::ClickHouse => format!("extract({}, {p})", v.text),
            Dialect::DataFusion => format!("COALESCE(regexp_match({}, {p})[1], '')", v.text),
            _ => format!("regexp_extract({}, {p}, 1)", v.text),
        }))
    }
}

fn truth(b: bool) -> &'static str {
    if b { "TRUE" } else { "FALSE" }
}

/// An absent text as "".
fn filled(v: Said) -> Said {
    if v.nulls.is_empty() { v } else { Said::new(format!("COALESCE({}, '')", v.text)) }
}

fn textual(e: &Expr) -> bool {
    matches!(e.ty, Type::String | Type::Guid)
}

fn literal_text<'e>(e: &'e Expr, what: &str) -> Result<&'e str, Diagnostic> {
    match e.as_literal() {
        Some(Value::Str(s)) => Ok(s),
        _ => Err(unsaid(what)),
    }
}

/// Whether a test is true where its first argument, a text, is absent.
fn true_of_nothing(e: &Expr) -> bool {
    let ExprKind::Call(f, args) = &e.kind else { return false };
    let Some((first, rest)) = args.split_first() else { return false };
    if !textual(first) || rest.iter().any(|a| a.as_literal().is_none()) {
        return false;
    }
    let mut given = vec![Value::Null];
    given.extend(rest.iter().filter_map(Expr::as_literal).cloned());
    (f.eval)(&given, &Context::default()).as_bool() == Some(true)
}
