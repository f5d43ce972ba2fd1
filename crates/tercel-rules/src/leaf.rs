//! Predicates as formulas. Three-valued logic becomes two-valued by asking two questions of every part:
//! is it true, and is it false. "Not `e` is true" is "`e` is false"; for parts that are never null the second
//! answer is the negation of the first.

use crate::compile::Compiler;
use crate::eval::{canonical, eval, truth};
use crate::flatten::{Env, MAX_DEPTH, NotHere, asks_relation};
use crate::formula::{FALSE, TRUE};
use crate::literal;
use crate::pattern::{Order, Test};
use ipnet::IpNet;
use std::net::IpAddr;
use tercel_ir::function::{check_regex, fold, glob_to_regex};
use tercel_ir::{Expr, ExprKind, Type, Value};

/// Cases with more branches are not opened but evaluated.
const MAX_CASE: usize = 8;

fn is_text(ty: Type) -> bool {
    matches!(ty, Type::String | Type::Guid | Type::Dynamic)
}

/// Types whose values are whole numbers of one kind.
fn same_whole(subject: Type, value: &Value) -> Option<i64> {
    match (subject, value) {
        (Type::Int | Type::Long, Value::Long(n))
        | (Type::DateTime, Value::DateTime(n))
        | (Type::TimeSpan, Value::TimeSpan(n)) => Some(*n),
        (Type::Bool, Value::Bool(b)) => Some(i64::from(*b)),
        _ => None,
    }
}

impl Compiler {
    /// The formula for "`e` is `want`" (and not null).
    pub(crate) fn truth(&mut self, e: &Expr, env: &Env, want: bool, depth: usize) -> Result<u32, NotHere> {
        if depth > MAX_DEPTH {
            return Err(NotHere::new(format!("a predicate is nested more than {MAX_DEPTH} levels deep")));
        }
        let depth = depth + 1;
        match &e.kind {
            ExprKind::Literal(v) => {
                Ok(if truth(canonical(v.clone(), e.ty)) == Some(want) { TRUE } else { FALSE })
            }
            ExprKind::And(items) | ExprKind::Or(items) => {
                let mut parts = Vec::with_capacity(items.len());
                for i in items {
                    parts.push(self.truth(i, env, want, depth)?);
                }
                let and = matches!(e.kind, ExprKind::And(_));
                Ok(if and == want { self.formulas.and(parts) } else { self.formulas.or(parts) })
            }
            ExprKind::Not(inner) => self.truth(inner, env, !want, depth),
            ExprKind::Case { branches, otherwise } if branches.len() <= MAX_CASE && e.ty == Type::Bool => {
                let mut before = TRUE;
                let mut any = Vec::with_capacity(branches.len() + 1);
                for (c, then) in branches {
                    let c = self.truth(c, env, true, depth)?;
                    let then = self.truth(then, env, want, depth)?;
                    any.push(self.formulas.and(vec![before, c, then]));
                    let not = self.formulas.not(c);
                    before = self.formulas.and(vec![before, not]);
                }
                let otherwise = self.truth(otherwise, env, want, depth)?;
                any.push(self.formulas.and(vec![before, otherwise]));
                Ok(self.formulas.or(any))
            }
            ExprKind::Column(name) => {
                let n = env.resolve(name, e.ty);
                if matches!(n.expr.kind, ExprKind::Column(_)) {
                    return self.generic(e, env, want);
                }
                let same = self.same.clone();
                self.truth(&n.expr, &same, want, depth)
            }
            ExprKind::Call(f, args) => match self.call(f.name, args, env, want)? {
                Some(node) => Ok(node),
                None => self.generic(e, env, want),
            },
            ExprKind::Scalar(_) | ExprKind::InRelation { .. } => Err(asks_relation()),
            ExprKind::Case { .. } => self.generic(e, env, want),
        }
    }

    /// The expression evaluated as it is.
    fn generic(&mut self, e: &Expr, env: &Env, want: bool) -> Result<u32, NotHere> {
        let native = self.native(e, env)?;
        let Some(subject) = self.subject(&native)? else {
            let v = eval(&native.expr, &|_| Value::Null, &self.context);
            return Ok(if truth(v) == Some(want) { TRUE } else { FALSE });
        };
        let p = self.pattern(subject, if want { Test::True } else { Test::False }, None);
        Ok(self.formulas.any(vec![p]))
    }

    /// A call that is a shared matcher's: a known function of something and literals.
    fn call(&mut self, f: &str, args: &[Expr], env: &Env, want: bool) -> Result<Option<u32>, NotHere> {
        let Some((first, rest)) = args.split_first() else { return Ok(None) };
        if !is_known(f) || !rest.iter().all(|a| matches!(a.kind, ExprKind::Literal(_))) {
            return Ok(None);
        }
        let native = self.native(first, env)?;
        let ty = native.expr.ty;
        let Some(subject) = self.subject(&native)? else { return Ok(None) };
        let values = rest.iter().filter_map(|a| match &a.kind {
            ExprKind::Literal(v) => Some(canonical(v.clone(), a.ty)),
            _ => None,
        });
        // The usual call has one literal; lists can be long.
        let values: Vec<Value> = values.collect();
        let Some(tests) = tests(f, ty, &values) else { return Ok(None) };
        let found = match tests {
            Tests::Constant(b) => return Ok(Some(if b == want { TRUE } else { FALSE })),
            Tests::Any(tests) => self.any(subject, tests),
            Tests::All(tests) => {
                let parts = tests.into_iter().map(|t| self.any(subject, vec![t])).collect();
                self.formulas.and(parts)
            }
            Tests::Not(test) => {
                let n = self.any(subject, vec![test]);
                self.formulas.not(n)
            }
            Tests::Ordered(order, n) => {
                // Of null neither holds.
                let order = if want { order } else { order.opposite() };
                return Ok(Some(self.any(subject, vec![Test::Compare(order, n)])));
            }
            Tests::Regex(pattern) => {
                if !want && check_regex(&pattern).is_err() {
                    return Ok(Some(FALSE));
                }
                let empty = matches!(&self.subjects[subject as usize].null, v if v.text().is_empty());
                let at_null = if empty && literal::needs_text(&pattern) { Some(false) } else { None };
                let p = self.pattern(subject, Test::Regex(pattern.into()), at_null);
                self.formulas.any(vec![p])
            }
        };
        Ok(Some(if want { found } else { self.formulas.not(found) }))
    }

    fn any(&mut self, subject: u32, tests: Vec<Test>) -> u32 {
        let patterns = tests.into_iter().map(|t| self.pattern(subject, t, None)).collect();
        self.formulas.any(patterns)
    }
}

/// What a call comes to.
enum Tests {
    Constant(bool),
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Test),
    /// Null for null, else an order.
    Ordered(Order, i64),
    /// Null where it does not compile.
    Regex(String),
}

fn is_known(f: &str) -> bool {
    matches!(
        f,
        "eq" | "ne"
            | "in"
            | "in_ci"
            | "eq_ci"
            | "lt"
            | "le"
            | "gt"
            | "ge"
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
            | "matches_regex"
            | "matches_glob"
            | "matches_glob_ci"
            | "ip_in_cidr"
            | "isnull"
            | "isnotnull"
            | "isempty"
            | "isnotempty"
    )
}

/// Arguments with arrays opened.
fn opened(values: &[Value]) -> Vec<Value> {
    let mut out = Vec::with_capacity(values.len());
    for v in values {
        match v {
            Value::Dynamic(serde_json::Value::Array(items)) => {
                out.extend(items.iter().map(|i| Value::Dynamic(i.clone())));
            }
            v => out.push(v.clone()),
        }
    }
    out
}

/// The tests that a function of a subject of type `ty` and these literals makes. `None`: evaluate it.
/// Each arm says the same as the registry's `eval` of that function; the properties hold them to it.
fn tests(f: &str, ty: Type, values: &[Value]) -> Option<Tests> {
    match f {
        "isnull" => return Some(Tests::Not(Test::NotNull)),
        "isnotnull" => return Some(Tests::Any(vec![Test::NotNull])),
        "isempty" => return Some(Tests::Not(Test::NotEmpty)),
        "isnotempty" => return Some(Tests::Any(vec![Test::NotEmpty])),
        _ => {}
    }
    let plain_text = matches!(ty, Type::String | Type::Guid);
    let equals = |t: &str| Test::Equals { needle: t.into(), cs: true };
    let equals_ci = |v: &Value| Test::Equals { needle: fold(&v.text()).into(), cs: false };
    if matches!(f, "in" | "in_ci") {
        let values = opened(values);
        return match f {
            "in_ci" if is_text(ty) => Some(Tests::Any(values.iter().map(equals_ci).collect())),
            "in" if plain_text => {
                let texts = values.iter().filter(|v| matches!(v, Value::Str(_) | Value::Dynamic(_)));
                Some(Tests::Any(texts.map(|v| equals(&v.text())).collect()))
            }
            "in" if matches!(ty, Type::Int | Type::Long) => {
                let known = values.iter().all(|v| matches!(v, Value::Long(_) | Value::Null | Value::Str(_)));
                let numbers = values.iter().filter_map(|v| same_whole(ty, v));
                known.then(|| Tests::Any(numbers.map(Test::Number).collect()))
            }
            _ => None,
        };
    }
    if matches!(f, "has_any" | "has_all") && is_text(ty) {
        let needles: Vec<String> = opened(values).iter().map(|v| fold(&v.to_text())).collect();
        let term = |n: String| Test::Term { needle: n.into(), cs: false, before: true, after: true };
        // An empty needle is everywhere.
        return Some(if f == "has_any" {
            if needles.iter().any(String::is_empty) {
                return Some(Tests::Constant(true));
            }
            Tests::Any(needles.into_iter().map(term).collect())
        } else {
            Tests::All(needles.into_iter().filter(|n| !n.is_empty()).map(term).collect())
        });
    }
    let value = values.first()?;
    if values.len() != 1 {
        return None;
    }
    if matches!(f, "eq" | "ne" | "lt" | "le" | "gt" | "ge") {
        if value.is_null() {
            return None;
        }
        let number = same_whole(ty, value);
        let order = match f {
            "lt" => Order::Less,
            "le" => Order::LessOrEqual,
            "gt" => Order::Greater,
            "ge" => Order::GreaterOrEqual,
            _ => {
                let test = match value {
                    Value::Str(s) if plain_text => equals(s),
                    _ => Test::Number(number?),
                };
                return Some(if f == "eq" { Tests::Any(vec![test]) } else { Tests::Not(test) });
            }
        };
        return Some(Tests::Ordered(order, number?));
    }
    if !is_text(ty) {
        return None;
    }
    let text = value.text();
    let cs = f.ends_with("_cs");
    let needle: Box<str> = if cs { (*text).into() } else { fold(&text).into() };
    let term = |before, after| Test::Term { needle: needle.clone(), cs, before, after };
    let test = match f {
        "matches_regex" => return Some(Tests::Regex(text.into_owned())),
        "matches_glob" => return Some(Tests::Regex(glob_to_regex(&text, false))),
        "matches_glob_ci" => return Some(Tests::Regex(glob_to_regex(&text, true))),
        "ip_in_cidr" => match network(&text) {
            Some(net) => Test::Cidr(net),
            None => return Some(Tests::Constant(false)),
        },
        "eq_ci" => equals_ci(value),
        // An empty needle is part of every text, also of null's.
        _ if needle.is_empty() => return Some(Tests::Constant(true)),
        "contains" | "contains_cs" => Test::Contains { needle, cs },
        "startswith" | "startswith_cs" => Test::Starts { needle, cs },
        "endswith" | "endswith_cs" => Test::Ends { needle, cs },
        "has" | "has_cs" => term(true, true),
        "hasprefix" | "hasprefix_cs" => term(true, false),
        "hassuffix" | "hassuffix_cs" => term(false, true),
        _ => return None,
    };
    Some(Tests::Any(vec![test]))
}

/// A range as `ip_in_cidr` reads it: an address alone is a range of one, host bits are cut.
fn network(text: &str) -> Option<IpNet> {
    let s = text.trim();
    match s.split_once('/') {
        Some((a, n)) => IpNet::new(a.parse().ok()?, n.parse().ok()?).ok(),
        None => Some(IpNet::from(s.parse::<IpAddr>().ok()?)),
    }
    .map(|n| n.trunc())
}
