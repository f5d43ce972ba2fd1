//! SQL as it is written here, read with SQL's own rules.
//!
//! Every value comes with the condition under which it is null, and a test of something null is null. That
//! is how SQL differs from the intermediate representation, whose functions of text take a null for "".

use super::Dialect;
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::function::Context;
use tercel_ir::{Expr, Rel, Schema, Span, Type, Value};

const MAX_DEPTH: usize = 200;

/// A query over one table, as it is written here; `None` when it is something else.
pub(crate) fn read(
    text: &str,
    dialect: Dialect,
    scan: &Rel,
    ranges: &BTreeMap<String, String>,
) -> Option<Rel> {
    let tokens = tokens(text, dialect)?;
    let mut r = Reader { tokens, at: 0, schema: &scan.schema, ranges, dialect };
    r.keyword("SELECT").then_some(())?;
    r.symbol("*").then_some(())?;
    r.keyword("FROM").then_some(())?;
    r.identifier()?;
    let mut rel = scan.clone();
    if r.keyword("WHERE") {
        let c = r.expression(0)?.test();
        let c = crate::logic::two_valued(&c, true).ok()?;
        rel = rel.filter(without_implied(&c), at());
    }
    (r.at == r.tokens.len()).then_some(rel)
}

/// A condition in two-valued form, without what its tests say by themselves: a range of addresses that it is an
/// address, a test that is false of a null that it is none.
fn without_implied(e: &Expr) -> Expr {
    use tercel_ir::ExprKind::{And, Call, Not, Or};
    let (items, all) = match &e.kind {
        And(items) => (items, true),
        Or(items) => (items, false),
        Not(inner) => return crate::logic::negate(without_implied(inner)),
        _ => return e.clone(),
    };
    let items: Vec<Expr> = items.iter().map(without_implied).collect();
    let items = if all { items } else { without_opposites(items) };
    // In a conjunction as it stands, in a disjunction negated.
    let said = |e: &Expr| match (&e.kind, all) {
        (Call(f, args), true) => Some((*f, args.clone())),
        (Not(inner), false) => match &inner.kind {
            Call(f, args) => Some((*f, args.clone())),
            _ => None,
        },
        _ => None,
    };
    let (mut there, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (f, args) in items.iter().filter_map(said) {
        let Some((x, rest)) = args.split_first() else { continue };
        if f.name == "ip_in_cidr" {
            let v4 =
                !matches!(rest.first().and_then(Expr::as_literal), Some(Value::Str(s)) if s.contains(':'));
            addresses.insert((crate::logic::key(x), "is_valid_ip"));
            if v4 {
                addresses.insert((crate::logic::key(x), "is_valid_ipv4"));
            }
        }
        let mut given = vec![Value::Null];
        given.extend(rest.iter().filter_map(Expr::as_literal).cloned());
        let whole = given.len() == args.len()
            && !matches!(f.name, "isnull" | "isnotnull" | "is_valid_ip" | "is_valid_ipv4");
        if whole && (f.eval)(&given, &Context::default()) == Value::Bool(false) {
            there.insert(crate::logic::key(x));
        }
    }
    let kept = items.into_iter().filter(|i| {
        // Null tests have names for both of their senses.
        let null = match &i.kind {
            Call(f, args) if f.name == if all { "isnotnull" } else { "isnull" } => args.first(),
            _ => None,
        };
        let address = said(i).and_then(|(f, a)| Some((crate::logic::key(a.first()?), f.name)));
        !null.is_some_and(|x| there.contains(&crate::logic::key(x)))
            && !address.is_some_and(|x| addresses.contains(&x))
    });
    let kept: Vec<Expr> = kept.collect();
    if all { Expr::and(kept, at()) } else { Expr::or(kept, at()) }
}

/// Alternatives, each without the opposite of another one: `a or (not a and b)` is `a or b`.
fn without_opposites(items: Vec<Expr>) -> Vec<Expr> {
    use tercel_ir::ExprKind::And;
    let opposites: BTreeSet<String> = items
        .iter()
        .filter(|i| !matches!(i.kind, And(_)))
        .map(|i| crate::logic::key(&crate::logic::negate(i.clone())))
        .collect();
    let items = items.into_iter().map(|i| match i.kind {
        And(inner) => {
            let kept = inner.into_iter().filter(|x| !opposites.contains(&crate::logic::key(x)));
            Expr::and(kept.collect(), at())
        }
        _ => i,
    });
    items.collect()
}

fn at() -> Span {
    Span::default()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A bare word.
    Word(String),
    /// A name in quotes.
    Name(String),
    Text(String),
    Number(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 17] =
    ["<<=", "::", "<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ",", "+", "-", "*"];

fn tokens(text: &str, dialect: Dialect) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
        } else if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |x| x.1);
        } else if c == '\'' || c == dialect.quote() {
            let (value, len) = quoted(rest, c, dialect)?;
            out.push(if c == '\'' { Token::Text(value) } else { Token::Name(value) });
            rest = &rest[len..];
        } else if c.is_ascii_digit() {
            let n = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | 'e')).unwrap_or(rest.len());
            out.push(Token::Number(rest[..n].to_string()));
            rest = &rest[n..];
        } else if c.is_ascii_alphabetic() || c == '_' {
            let n = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            out.push(Token::Word(rest[..n].to_string()));
            rest = &rest[n..];
        } else {
            let s = SYMBOLS.into_iter().find(|s| rest.starts_with(s))?;
            out.push(Token::Symbol(s));
            rest = &rest[s.len()..];
        }
    }
    Some(out)
}

/// What stands in quotes, and how long it is with them.
fn quoted(text: &str, quote: char, dialect: Dialect) -> Option<(String, usize)> {
    // In ClickHouse backslashes escape in names too; in Spark only in texts.
    let escapes = dialect == Dialect::ClickHouse || dialect.escapes() && quote == '\'';
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if escapes => out.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                c => c,
            }),
            c if c == quote => {
                if chars.peek().is_some_and(|n| n.1 == quote) {
                    chars.next();
                    out.push(c);
                } else {
                    return Some((out, i + c.len_utf8()));
                }
            }
            c => out.push(c),
        }
    }
    None
}

/// A value, and when it is null.
struct V {
    e: Expr,
    null: Option<Expr>,
}

impl V {
    fn new(e: Expr) -> V {
        V { e, null: None }
    }
    /// As a condition: null where SQL has null.
    fn test(self) -> Expr {
        match self.null {
            Some(n) => Expr::iff(n, Expr::null(Type::Bool, at()), self.e, at()),
            None => self.e,
        }
    }
}

fn any(items: impl IntoIterator<Item = Option<Expr>>) -> Option<Expr> {
    let mut out: Vec<Expr> = Vec::new();
    for e in items.into_iter().flatten() {
        if !out.iter().any(|x| crate::tree::same(x, &e)) {
            out.push(e);
        }
    }
    (!out.is_empty()).then(|| Expr::or(out, at()))
}

fn call(name: &str, args: Vec<Expr>) -> Option<Expr> {
    Expr::call(tercel_ir::function::by_name(name)?, args, at()).ok()
}

/// What stands in `lower(…)`.
fn in_lower(e: &Expr) -> Option<&Expr> {
    match &e.kind {
        tercel_ir::ExprKind::Call(f, args) if f.name == "tolower" => args.first(),
        _ => None,
    }
}

/// A text that is in lower case already.
fn lower_text(e: &Expr) -> bool {
    matches!(e.as_literal(), Some(Value::Str(s)) if tercel_ir::function::fold(s) == *s)
}

/// A text in which case is of no account.
fn caseless(e: &Expr) -> bool {
    matches!(e.as_literal(), Some(Value::Str(s))
        if s.chars().all(|c| c.to_lowercase().eq([c]) && c.to_uppercase().eq([c])))
}

/// What is compared in lower case is compared without regard to case.
fn compared(op: &str, a: Expr, b: Expr) -> Option<Expr> {
    let both = match (in_lower(&a), in_lower(&b)) {
        (Some(x), Some(y)) => Some((x.clone(), y.clone())),
        (Some(x), None) if lower_text(&b) => Some((x.clone(), b.clone())),
        (None, _) if a.ty == Type::String && caseless(&b) => Some((a.clone(), b.clone())),
        _ => None,
    };
    match (both, op) {
        (Some((x, y)), "eq") => call("eq_ci", vec![x, y]),
        (Some((x, y)), "ne") => Some(Expr::not(call("eq_ci", vec![x, y])?, at())),
        _ => call(op, vec![a, b]),
    }
}

/// `position(…) > 0` and `= 0`.
fn position_test(op: &str, a: &Expr, b: &Expr) -> Option<Expr> {
    let tercel_ir::ExprKind::Case { branches, .. } = &a.kind else { return None };
    let [(found, one)] = branches.as_slice() else { return None };
    let number = |e: &Expr| e.as_literal().and_then(Value::as_i64);
    match (op, number(one), number(b)) {
        ("gt", Some(1), Some(0)) => Some(found.clone()),
        ("eq", Some(1), Some(0)) => Some(Expr::not(found.clone(), at())),
        _ => None,
    }
}

/// The same for a search in a text.
fn searched(name: &str, of: Expr, part: Expr) -> Option<Expr> {
    match in_lower(&of) {
        Some(x) if lower_text(&part) => call(name.trim_end_matches("_cs"), vec![x.clone(), part]),
        None if caseless(&part) => call(name.trim_end_matches("_cs"), vec![of, part]),
        _ => call(name, vec![of, part]),
    }
}

fn text(s: impl Into<String>) -> Expr {
    Expr::literal(Value::Str(s.into()), at())
}

struct Reader<'r> {
    tokens: Vec<Token>,
    at: usize,
    schema: &'r Schema,
    ranges: &'r BTreeMap<String, String>,
    dialect: Dialect,
}

impl Reader<'_> {
    fn keyword(&mut self, word: &str) -> bool {
        let yes = self.is(word);
        self.at += usize::from(yes);
        yes
    }
    fn is(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }
    fn symbol(&mut self, s: &str) -> bool {
        let yes = matches!(self.tokens.get(self.at), Some(Token::Symbol(t)) if *t == s);
        self.at += usize::from(yes);
        yes
    }
    fn expect(&mut self, s: &str) -> Option<()> {
        self.symbol(s).then_some(())
    }
    fn next(&mut self) -> Option<Token> {
        let t = self.tokens.get(self.at).cloned();
        self.at += 1;
        t
    }
    fn identifier(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(w) | Token::Name(w) => Some(w),
            _ => None,
        }
    }
    fn string(&mut self) -> Option<String> {
        match self.next()? {
            Token::Text(s) => Some(s),
            _ => None,
        }
    }

    fn expression(&mut self, depth: usize) -> Option<V> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut items = vec![self.conjunction(depth + 1)?];
        if !self.is("OR") {
            return items.pop();
        }
        while self.keyword("OR") {
            items.push(self.conjunction(depth + 1)?);
        }
        Some(V::new(Expr::or(items.into_iter().map(V::test).collect(), at())))
    }

    fn conjunction(&mut self, depth: usize) -> Option<V> {
        let mut items = vec![self.negation(depth + 1)?];
        if !self.is("AND") {
            return items.pop();
        }
        while self.keyword("AND") {
            items.push(self.negation(depth + 1)?);
        }
        Some(V::new(Expr::and(items.into_iter().map(V::test).collect(), at())))
    }

    fn negation(&mut self, depth: usize) -> Option<V> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.keyword("NOT") {
            let inner = self.negation(depth + 1)?;
            return Some(V::new(Expr::not(inner.test(), at())));
        }
        self.comparison(depth + 1)
    }

    fn comparison(&mut self, depth: usize) -> Option<V> {
        let left = self.sum(depth + 1)?;
        if self.keyword("IS") {
            let negated = self.keyword("NOT");
            self.keyword("NULL").then_some(())?;
            let null = left.null.unwrap_or_else(|| Expr::boolean(false, at()));
            return Some(V::new(if negated { Expr::not(null, at()) } else { null }));
        }
        let negated = self.keyword("NOT");
        let found = if self.keyword("IN") {
            self.expect("(")?;
            let mut args = vec![left.e];
            loop {
                let item = self.sum(depth + 1)?;
                item.e.as_literal()?;
                args.push(item.e);
                if !self.symbol(",") {
                    break;
                }
            }
            self.expect(")")?;
            let inner = in_lower(&args[0]).filter(|_| args[1..].iter().all(lower_text)).cloned();
            let e = match inner {
                Some(x) => {
                    args[0] = x;
                    call("in_ci", args)?
                }
                None if args[0].ty == Type::String && args[1..].iter().all(caseless) => call("in_ci", args)?,
                None => call("in", args)?,
            };
            V { e, null: left.null }
        } else if self.is("LIKE") || self.is("ILIKE") {
            let ci = self.keyword("ILIKE");
            if !ci {
                self.keyword("LIKE");
            }
            // Elsewhere the backslash escapes.
            if self.dialect != Dialect::DuckDb {
                return None;
            }
            let pattern = self.string()?;
            let escape = if self.keyword("ESCAPE") { self.string()?.chars().next() } else { None };
            V { e: like(left.e, &pattern, escape, ci)?, null: left.null }
        } else if self.keyword("RLIKE") {
            let pattern = self.string()?;
            self.matched(left, pattern)?
        } else if negated {
            return None;
        } else if self.symbol("<<=") {
            let range = self.string()?;
            self.expect("::")?;
            self.keyword("INET").then_some(())?;
            V { e: call("ip_in_cidr", vec![left.e, text(range)])?, null: left.null }
        } else {
            let ops = [
                ("=", "eq"),
                ("<>", "ne"),
                ("!=", "ne"),
                ("<=", "le"),
                (">=", "ge"),
                ("<", "lt"),
                (">", "gt"),
            ];
            let Some((_, op)) = ops.into_iter().find(|(s, _)| self.symbol(s)) else { return Some(left) };
            let right = self.sum(depth + 1)?;
            let null = any([left.null.clone(), right.null.clone()]);
            // Where a text was found, against nought: whether it was.
            if let Some(found) = position_test(op, &left.e, &right.e) {
                return Some(V { e: found, null });
            }
            V { e: compared(op, left.e, right.e)?, null }
        };
        Some(match negated {
            true => V::new(Expr::not(found.test(), at())),
            false => found,
        })
    }

    fn sum(&mut self, depth: usize) -> Option<V> {
        let mut left = self.primary(depth + 1)?;
        loop {
            let op = if self.symbol("+") {
                "add"
            } else if self.symbol("-") {
                "sub"
            } else if self.symbol("*") {
                "mul"
            } else {
                return Some(left);
            };
            let right = self.primary(depth + 1)?;
            left = V { e: call(op, vec![left.e, right.e])?, null: any([left.null, right.null]) };
        }
    }

    fn primary(&mut self, depth: usize) -> Option<V> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.next()? {
            Token::Text(s) => Some(V::new(text(s))),
            Token::Number(n) => Some(V::new(number(&n)?)),
            Token::Symbol("-") => match self.next()? {
                Token::Number(n) => Some(V::new(number(&format!("-{n}"))?)),
                _ => None,
            },
            Token::Symbol("(") => {
                let e = self.expression(depth + 1)?;
                self.expect(")")?;
                Some(e)
            }
            Token::Symbol(_) => None,
            Token::Name(n) => Some(self.column(&n)),
            Token::Word(w) => match w.to_ascii_uppercase().as_str() {
                "TRUE" => Some(V::new(Expr::boolean(true, at()))),
                "FALSE" => Some(V::new(Expr::boolean(false, at()))),
                "CASE" => self.case(depth),
                "TIMESTAMP" => {
                    let t = self.string()?;
                    let ticks = tercel_ir::time::parse_datetime(&t)?;
                    Some(V::new(Expr::literal(Value::DateTime(ticks), at())))
                }
                _ if self.symbol("(") => self.function(&w, depth + 1),
                _ => Some(self.column(&w)),
            },
        }
    }

    fn column(&self, name: &str) -> V {
        let ty = self.schema.get(name).map_or(Type::String, |c| c.ty);
        let e = Expr::column(name, ty, at());
        let null = call("isnull", vec![e.clone()]);
        V { e, null }
    }

    fn case(&mut self, depth: usize) -> Option<V> {
        let mut branches = Vec::new();
        let mut nulls = Vec::new();
        while self.keyword("WHEN") {
            let c = self.expression(depth + 1)?.test();
            self.keyword("THEN").then_some(())?;
            let v = self.expression(depth + 1)?;
            nulls.push((c.clone(), v.null.unwrap_or_else(|| Expr::boolean(false, at()))));
            branches.push((c, v.e));
        }
        self.keyword("ELSE").then_some(())?;
        let last = self.expression(depth + 1)?;
        self.keyword("END").then_some(())?;
        let never = Expr::boolean(false, at());
        let null =
            tercel_ir::ExprKind::Case { branches: nulls, otherwise: Box::new(last.null.unwrap_or(never)) };
        let ty = last.e.ty;
        let kind = tercel_ir::ExprKind::Case { branches, otherwise: Box::new(last.e) };
        Some(V {
            e: Expr { kind, ty, span: at() },
            null: Some(Expr { kind: null, ty: Type::Bool, span: at() }),
        })
    }

    /// A regular expression, or a range of addresses in that form.
    fn matched(&self, v: V, pattern: String) -> Option<V> {
        let e = match self.ranges.get(&pattern) {
            Some(range) => call("ip_in_cidr", vec![v.e, text(range.as_str())])?,
            None => call("matches_regex", vec![v.e, text(native(&pattern, self.dialect))])?,
        };
        Some(V { e, null: v.null })
    }

    fn function(&mut self, name: &str, depth: usize) -> Option<V> {
        let lower = name.to_ascii_lowercase();
        if matches!(lower.as_str(), "cast" | "try_cast") {
            let v = self.expression(depth)?;
            self.keyword("AS").then_some(())?;
            let ty = self.identifier()?;
            self.expect(")")?;
            return match (lower.as_str(), ty.to_ascii_uppercase().as_str()) {
                // What is no address is null, which is said by the test that follows: in no range.
                ("try_cast", "INET") => {
                    let valid = call("is_valid_ip", vec![v.e.clone()])?;
                    Some(V { e: v.e, null: any([v.null, Some(Expr::not(valid, at()))]) })
                }
                ("cast", "VARCHAR" | "STRING") => Some(V { e: call("tostring", vec![v.e])?, null: v.null }),
                _ => None,
            };
        }
        let mut args = Vec::new();
        if !self.symbol(")") {
            loop {
                args.push(self.expression(depth)?);
                if !self.symbol(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        // One group of a match.
        if lower == "regexp_match" {
            self.expect("[")?;
            (self.next()? == Token::Number("1".into())).then_some(())?;
            self.expect("]")?;
        }
        apply(&lower, args, self)
    }
}

fn number(s: &str) -> Option<Expr> {
    let v = match s.parse::<i64>() {
        Ok(n) => Value::Long(n),
        Err(_) => Value::Real(s.parse().ok()?),
    };
    Some(Expr::literal(v, at()))
}

/// A function of a dialect; `COALESCE` is the only one that takes nulls.
fn apply(name: &str, mut args: Vec<V>, r: &Reader) -> Option<V> {
    if name == "coalesce" {
        return coalesce(args);
    }
    if name == "nullif" {
        let [v, other] = <[V; 2]>::try_from(args).ok()?;
        let same = call("eq", vec![v.e.clone(), other.e])?;
        return Some(V { null: any([v.null, Some(same)]), e: v.e });
    }
    let literal = |v: &V| match v.e.as_literal() {
        Some(Value::Str(s)) => Some(s.clone()),
        _ => None,
    };
    if matches!(name, "regexp_matches" | "regexp_like" | "match") {
        let pattern = literal(args.get(1)?)?;
        return r.matched(args.swap_remove(0), pattern);
    }
    if matches!(name, "regexp_extract" | "extract" | "regexp_match") {
        let pattern = native(&literal(args.get(1)?)?, r.dialect);
        let of = args.swap_remove(0);
        let one = Expr::literal(Value::Long(1), at());
        let e = call("extract", vec![text(pattern), one, of.e])?;
        return Some(V { e, null: of.null });
    }
    let ir = match name {
        "lower" | "lowerutf8" => "tolower",
        "upper" | "upperutf8" => "toupper",
        "length" | "lengthutf8" | "character_length" => "strlen",
        "tostring" => "tostring",
        "concat" => "strcat",
        "replace" | "replaceall" => "replace_string",
        "starts_with" | "startswith" | "ends_with" | "endswith" | "contains" => {
            let name = match name {
                "contains" => "contains_cs",
                n if n.starts_with('s') => "startswith_cs",
                _ => "endswith_cs",
            };
            let [v, part] = <[V; 2]>::try_from(args).ok()?;
            return Some(V { e: searched(name, v.e, part.e)?, null: any([v.null, part.null]) });
        }
        "isipaddressinrange" => "ip_in_cidr",
        "isipv4string" => "is_valid_ipv4",
        // Said only beside a test for a range, which decides.
        "isipv6string" => "is_valid_ip",
        // ClickHouse counts from one, and gives nought for what is not there.
        "position" => {
            let [v, part] = <[V; 2]>::try_from(args).ok()?;
            let found = searched("contains_cs", v.e, part.e)?;
            let (one, nought) = (Value::Long(1), Value::Long(0));
            let e = Expr::iff(found, Expr::literal(one, at()), Expr::literal(nought, at()), at());
            return Some(V { e, null: v.null });
        }
        _ => return None,
    };
    let nulls: Vec<Option<Expr>> = args.iter().map(|a| a.null.clone()).collect();
    let e = call(ir, args.into_iter().map(|a| a.e).collect())?;
    Some(V { e, null: any(nulls) })
}

/// The first that is not null.
fn coalesce(args: Vec<V>) -> Option<V> {
    let mut args = args.into_iter().rev();
    let mut out = args.next()?;
    for v in args {
        // Logic carries its nulls in itself.
        if v.e.ty == Type::Bool {
            out = V::new(call("coalesce", vec![v.test(), out.test()])?);
            continue;
        }
        let Some(null) = v.null.clone() else {
            out = v;
            continue;
        };
        // An absent text as "" is what the functions of text make of it by themselves.
        let empty = matches!(out.e.as_literal(), Some(Value::Str(s)) if s.is_empty());
        let e = match v.e.as_column() {
            Some(_) if empty && v.e.ty == Type::String => call("tostring", vec![v.e])?,
            _ => Expr::iff(null.clone(), out.e, v.e, at()),
        };
        out = V { e, null: out.null.map(|o| Expr::and(vec![null, o], at())) };
    }
    Some(out)
}

/// A pattern as this product reads it.
fn native(pattern: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::ClickHouse => pattern.strip_prefix("(?-s)").unwrap_or(pattern).to_string(),
        _ => pattern.to_string(),
    }
}

/// A test by a pattern of `LIKE`: of the beginning, the end or a part of a text, or by a glob.
fn like(of: Expr, pattern: &str, escape: Option<char>, ci: bool) -> Option<Expr> {
    let mut parts: Vec<(char, bool)> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            c if Some(c) == escape => (chars.next()?, false),
            c => (c, matches!(c, '%' | '_')),
        });
    }
    let any = ('%', true);
    let (start, end) = (parts.first() == Some(&any), parts.last() == Some(&any) && parts.len() > 1);
    let inner = &parts[usize::from(start)..parts.len() - usize::from(end)];
    if (start || end) && !inner.is_empty() && inner.iter().all(|p| !p.1) {
        let needle: String = inner.iter().map(|p| p.0).collect();
        let name = match (start, end) {
            (true, true) => "contains",
            (true, false) => "endswith",
            _ => "startswith",
        };
        let caseless = needle.chars().all(|c| c.to_lowercase().eq([c]) && c.to_uppercase().eq([c]));
        let name = if ci || caseless { name.to_string() } else { format!("{name}_cs") };
        return call(&name, vec![of, text(needle)]);
    }
    let mut glob = String::new();
    for p in parts {
        match p {
            ('%', true) => glob.push('*'),
            ('_', true) => glob.push('?'),
            (c, _) => {
                if matches!(c, '*' | '?' | '\\') {
                    glob.push('\\');
                }
                glob.push(c);
            }
        }
    }
    call(if ci { "matches_glob_ci" } else { "matches_glob" }, vec![of, text(glob)])
}
