//! A small catalog, a way from KQL text to relations, and events to attack verdicts with.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use tercel_ir::catalog::LogSource;
use tercel_ir::{
    Catalog, Column, Diagnostic, Domain, Expr, ExprKind, Rel, RelKind, Schema, Span, StoredFunction, Type,
    Value,
};
use tercel_verify::{BranchFormula, Formula};

pub struct Tables;

pub fn columns() -> Vec<Column> {
    let only =
        |v: &[&str]| Domain::Values { values: v.iter().map(|s| (*s).to_string()).collect(), closed: true };
    vec![
        Column::new("Cmd", Type::String),
        Column::new("Image", Type::String).with_domain(Domain::Path),
        Column::new("File", Type::String).with_domain(Domain::FileName),
        Column::new("Host", Type::String),
        Column::new("Note", Type::String),
        Column::new("Port", Type::Int).with_domain(Domain::Range { from: 0, to: 65535 }),
        Column::new("Size", Type::Long),
        Column::new("Score", Type::Real),
        Column::new("When", Type::DateTime),
        Column::new("Flag", Type::Bool),
        Column::new("Direction", Type::String).with_domain(only(&["Inbound", "Outbound", "Listen"])),
        Column::new("Ip", Type::String).with_domain(Domain::Ip),
        Column::new("Addr", Type::String),
        Column::new("Extra", Type::Dynamic),
        Column::new("Nothing", Type::String).with_domain(Domain::Never),
    ]
}

impl Catalog for Tables {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        (name == "T" || name == "U").then(|| {
            Ok(Rel {
                kind: RelKind::Scan { table: name.into() },
                schema: Schema::new(columns()),
                span: Span::default(),
            })
        })
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec!["T".into(), "U".into()]
    }
    fn log_source(&self, _: LogSource<'_>) -> Result<Rel, Diagnostic> {
        Err(Diagnostic::error("none", "no log sources here"))
    }
}

/// A filter over `T`, or a whole query.
pub fn rel(text: &str) -> Rel {
    let whole = ["T ", "T|", "U ", "union ", "let "].iter().any(|p| text.starts_with(p));
    let query = if whole { text.to_string() } else { format!("T | where {text}") };
    let (ast, found) = tercel_kql::parse(&query);
    assert!(!found.has_errors(), "{query}\n{found:?}");
    let (rel, found) = tercel_kql::lower(&ast, &Tables, &tercel_kql::Options::default());
    rel.unwrap_or_else(|| panic!("{query}\n{found:?}"))
}

/// Deterministic numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

pub type Row = BTreeMap<String, Value>;

fn literals(e: &Expr, out: &mut Vec<Value>) {
    match &e.kind {
        ExprKind::Literal(Value::Dynamic(serde_json::Value::Array(items))) => {
            out.extend(items.iter().filter_map(|i| i.as_str()).map(Value::str));
        }
        ExprKind::Literal(v) => out.push(v.clone()),
        _ => {}
    }
    e.children().into_iter().for_each(|c| literals(c, out));
}

/// Events made of what stands in the formulas: whole, joined, cut, in other case; and of nothing.
pub struct Events {
    texts: Vec<String>,
    numbers: Vec<i64>,
    columns: Vec<(String, Type, Option<Domain>)>,
}

impl Events {
    pub fn of(list: &[&[BranchFormula]]) -> Events {
        let mut values = Vec::new();
        let mut used = Vec::new();
        let mut columns: Vec<(String, Type, Option<Domain>)> = Vec::new();
        for b in list.iter().flat_map(|l| l.iter()) {
            for c in &b.conditions {
                literals(c, &mut values);
                c.columns(&mut used);
                for (name, _) in used.drain(..) {
                    if columns.iter().any(|x| *x.0 == *name) {
                        continue;
                    }
                    let d = b.schema.get(&name);
                    columns.push((
                        name.to_string(),
                        d.map_or(Type::String, |c| c.ty),
                        d.and_then(|c| c.domain.clone()),
                    ));
                }
            }
        }
        let mut texts: Vec<String> = vec!["x".into(), " ".into(), "\\".into(), String::new(), "a-b".into()];
        let mut numbers = vec![0, 1, -1, 443, 65535];
        for v in values {
            match &v {
                Value::Str(s) => texts.push(s.clone()),
                v => {
                    if let Some(n) = v.as_i64() {
                        numbers.extend([n, n.saturating_add(1), n.saturating_sub(1)]);
                    }
                    texts.push(v.to_text());
                }
            }
        }
        texts.sort();
        texts.dedup();
        Events { texts, numbers, columns }
    }

    pub fn text(&self, r: &mut Random) -> String {
        let mut s = String::new();
        for _ in 0..1 + r.below(3) {
            let mut part = r.pick(&self.texts).clone();
            match r.below(10) {
                0 => part = part.to_uppercase(),
                1 => part = part.chars().skip(1).collect(),
                2 => {
                    part.pop();
                }
                3 => part = part.chars().rev().collect(),
                4 => part.retain(|c| !matches!(c, '^' | '$' | '*' | '(' | ')' | '?')),
                _ => {}
            }
            if r.below(3) == 0 {
                let between: &str = r.pick::<&str>(&["", " ", "\\", "x", ".", "/", "é", "K", "-"]);
                s.push_str(between);
            }
            s.push_str(&part);
        }
        s
    }

    pub fn value(&self, ty: Type, domain: Option<&Domain>, r: &mut Random) -> Value {
        if r.below(8) == 0 {
            return Value::Null;
        }
        let number = *r.pick(&self.numbers);
        match domain {
            Some(Domain::Never) => return if ty == Type::String { Value::str("") } else { Value::Null },
            Some(Domain::Values { values, closed: true }) => {
                return if r.below(6) == 0 { Value::str("") } else { Value::Str(r.pick(values).clone()) };
            }
            Some(Domain::Range { from, to }) => {
                let n = if r.below(3) == 0 { (r.next() % 70_000) as i64 } else { number };
                return Value::Long(n.clamp(*from, *to));
            }
            Some(Domain::FileName) => {
                return Value::Str(self.text(r).replace(['\\', '/'], ""));
            }
            Some(Domain::Ip) => {
                let nets: Vec<&String> = self.texts.iter().filter(|t| t.contains(['.', ':'])).collect();
                let some = if nets.is_empty() { "10.0.0.1" } else { r.pick(&nets).as_str() };
                let base = some.split('/').next().unwrap_or_default();
                return match base.parse::<std::net::IpAddr>() {
                    Ok(std::net::IpAddr::V4(a)) => {
                        let n = u32::from(a) ^ (1 << r.below(32)) >> r.below(2);
                        Value::Str(std::net::Ipv4Addr::from(n).to_string())
                    }
                    Ok(std::net::IpAddr::V6(a)) => {
                        let n = u128::from(a) ^ (1 << r.below(128));
                        Value::Str(std::net::Ipv6Addr::from(n).to_string())
                    }
                    Err(_) => Value::str("8.8.8.8"),
                };
            }
            _ => {}
        }
        match ty {
            Type::Bool => Value::Bool(r.below(2) == 0),
            Type::Int | Type::Long => Value::Long(number),
            Type::Real | Type::Decimal => Value::Real(number as f64 + r.below(3) as f64 / 2.0),
            Type::DateTime => Value::DateTime(number.max(0)),
            Type::TimeSpan => Value::TimeSpan(number),
            Type::Dynamic => Value::Dynamic(self.text(r).into()),
            _ => Value::Str(self.text(r)),
        }
    }

    pub fn event(&self, r: &mut Random) -> Row {
        self.columns.iter().map(|(n, ty, d)| (n.clone(), self.value(*ty, d.as_ref(), r))).collect()
    }

    /// One column changed.
    pub fn near(&self, row: &Row, r: &mut Random) -> Row {
        let mut row = row.clone();
        if self.columns.is_empty() {
            return row;
        }
        let (n, ty, d) = r.pick(&self.columns).clone();
        row.insert(n, self.value(ty, d.as_ref(), r));
        row
    }
}

pub fn fires(list: &[BranchFormula], row: &Row) -> bool {
    list.iter().any(|b| b.matches(&|n| row.get(n).cloned().unwrap_or_default()))
}

pub fn formulas(text: &str) -> Vec<BranchFormula> {
    Formula::of(&rel(text)).unwrap_or_else(|u| panic!("{text}: {u}"))
}

/// One thing changed somewhere.
pub fn mutate(e: &mut Expr, r: &mut Random) {
    let inner = e.children().len();
    if inner > 0 && r.below(3) > 0 {
        let at = r.below(inner);
        if let Some(c) = e.children_mut().into_iter().nth(at) {
            mutate(c, r);
        }
        return;
    }
    match &mut e.kind {
        ExprKind::And(v) if r.below(2) == 0 => e.kind = ExprKind::Or(std::mem::take(v)),
        ExprKind::Or(v) if r.below(2) == 0 => e.kind = ExprKind::And(std::mem::take(v)),
        ExprKind::And(v) | ExprKind::Or(v) if v.len() > 1 => {
            v.remove(r.below(v.len()));
        }
        ExprKind::Not(x) => {
            let x = x.as_ref().clone();
            *e = x;
        }
        ExprKind::Literal(Value::Long(n)) => *n += 1,
        ExprKind::Literal(Value::Str(s)) if s.starts_with(['^', '(', '[']) => {}
        ExprKind::Literal(Value::Str(s)) => match r.below(4) {
            0 => *s = s.to_uppercase(),
            1 => *s = s.to_lowercase(),
            2 => s.push('a'),
            _ => {
                s.pop();
            }
        },
        ExprKind::Call(f, args) if f.name.starts_with("in") && args.len() > 2 => {
            args.remove(1 + r.below(args.len() - 1));
        }
        _ => {}
    }
}

/// The condition without the parts at these places: conditions are met, alternatives are not there.
pub fn without(e: &mut Expr, places: &[Span]) {
    let gone = |x: &Expr| places.contains(&x.span);
    match &mut e.kind {
        ExprKind::And(items) => {
            items.retain(|i| !gone(i));
            items.iter_mut().for_each(|i| without(i, places));
        }
        ExprKind::Or(items) => {
            items.retain(|i| !gone(i));
            items.iter_mut().for_each(|i| without(i, places));
            // A membership test among alternatives is a part of their list.
            items.retain(|i| !matches!(&i.kind, ExprKind::Call(f, args) if f.name.starts_with("in") && args.len() == 1));
        }
        ExprKind::Not(x) => without(x, places),
        ExprKind::Call(f, args) if matches!(f.name, "in" | "in_ci" | "has_any") && args.len() > 2 => {
            args.retain(|a| !gone(a));
        }
        _ => {}
    }
}
