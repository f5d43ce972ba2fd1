//! Which truth values an expression can take, given what its columns can hold.

use crate::facts::Facts;
use std::collections::HashMap;
use tercel_ir::function::Context;
use tercel_ir::{Domain, Expr, ExprKind, Name, Schema, Type, Value};

/// A set of possible truth values (Kleene). Always a superset of what really can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcomes {
    /// It can be true.
    pub yes: bool,
    /// It can be false.
    pub no: bool,
    /// It can be null.
    pub null: bool,
}

impl Outcomes {
    /// Nothing is known.
    pub const ANY: Outcomes = Outcomes { yes: true, no: true, null: true };
    const NONE: Outcomes = Outcomes { yes: false, no: false, null: false };

    /// Just this value.
    pub fn only(v: Option<bool>) -> Outcomes {
        Outcomes { yes: v == Some(true), no: v == Some(false), null: v.is_none() }
    }
    /// A filter with this predicate passes nothing.
    pub fn never_true(self) -> bool {
        !self.yes
    }
    /// A filter with this predicate passes everything.
    pub fn always_true(self) -> bool {
        self.yes && !self.no && !self.null
    }
    fn values(self) -> impl Iterator<Item = Option<bool>> {
        [(self.yes, Some(true)), (self.no, Some(false)), (self.null, None)]
            .into_iter()
            .filter(|x| x.0)
            .map(|x| x.1)
    }
    fn join(self, other: Outcomes) -> Outcomes {
        Outcomes { yes: self.yes | other.yes, no: self.no | other.no, null: self.null | other.null }
    }
    /// Every combination; independent operands are assumed, which can only add outcomes.
    fn combine(self, other: Outcomes, f: fn(Option<bool>, Option<bool>) -> Option<bool>) -> Outcomes {
        let mut out = Outcomes::NONE;
        for a in self.values() {
            for b in other.values() {
                out = out.join(Outcomes::only(f(a, b)));
            }
        }
        out
    }
    /// Kleene conjunction.
    pub fn and(self, other: Outcomes) -> Outcomes {
        self.combine(other, |a, b| match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        })
    }
    /// Kleene disjunction.
    pub fn or(self, other: Outcomes) -> Outcomes {
        self.combine(other, |a, b| match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        })
    }
    /// Kleene negation.
    #[expect(clippy::should_implement_trait, reason = "stands beside `and` and `or`")]
    pub fn not(self) -> Outcomes {
        Outcomes { yes: self.no, no: self.yes, null: self.null }
    }
}

/// What is known of computed boolean columns.
pub(crate) type Computed = HashMap<Name, Outcomes>;

/// Possible truth values of `e` over rows of `schema`.
pub fn outcomes(e: &Expr, schema: &Schema) -> Outcomes {
    judge(e, schema, &Computed::new(), &Facts::default())
}

pub(crate) fn judge(e: &Expr, schema: &Schema, computed: &Computed, facts: &Facts) -> Outcomes {
    match &e.kind {
        ExprKind::Literal(v) => Outcomes::only(v.as_bool()),
        ExprKind::Column(c) => computed.get(c).copied().unwrap_or(Outcomes::ANY),
        ExprKind::And(items) => items
            .iter()
            .map(|i| judge(i, schema, computed, facts))
            .fold(Outcomes::only(Some(true)), Outcomes::and),
        ExprKind::Or(items) => items
            .iter()
            .map(|i| judge(i, schema, computed, facts))
            .fold(Outcomes::only(Some(false)), Outcomes::or),
        ExprKind::Not(x) => judge(x, schema, computed, facts).not(),
        ExprKind::Case { branches, otherwise } if e.ty == Type::Bool => {
            let mut all = judge(otherwise, schema, computed, facts);
            for (_, then) in branches {
                all = all.join(judge(then, schema, computed, facts));
            }
            all
        }
        ExprKind::Call(..) => {
            let mut columns = Columns::None;
            read_columns(e, &mut columns);
            match columns {
                Columns::One(name) if !bounded(name, schema, computed) => Outcomes::ANY,
                _ if has_relation(e) => Outcomes::ANY,
                Columns::None if calls_surroundings(e) => Outcomes::ANY,
                Columns::None => Outcomes::only(e.eval(&|_| Value::Null, &Context::default()).as_bool()),
                Columns::One(name) => one_column(e, name, schema, computed, facts),
                Columns::Many => Outcomes::ANY,
            }
        }
        _ => Outcomes::ANY,
    }
}

/// How many columns an expression reads.
enum Columns<'e> {
    None,
    One(&'e Name),
    Many,
}

fn read_columns<'e>(e: &'e Expr, out: &mut Columns<'e>) {
    if let ExprKind::Column(n) = &e.kind {
        *out = match out {
            Columns::None => Columns::One(n),
            Columns::One(m) if *m == n => return,
            _ => Columns::Many,
        };
    }
    e.parts().for_each(|p| read_columns(p, out));
}

/// Whether anything is known of a column beyond its type; of most nothing is.
fn bounded(name: &Name, schema: &Schema, computed: &Computed) -> bool {
    schema.get(name).is_some_and(|c| c.domain.is_some() || computed.contains_key(name))
}

fn has_relation(e: &Expr) -> bool {
    matches!(e.kind, ExprKind::Scalar(_) | ExprKind::InRelation { .. }) || e.parts().any(has_relation)
}

/// The value depends on more than the arguments: time of the run, a database.
fn calls_surroundings(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Call(f, _) if matches!(f.name, "now" | "geo_info_from_ip_address"))
        || e.parts().any(calls_surroundings)
}

fn one_column(e: &Expr, name: &Name, schema: &Schema, computed: &Computed, facts: &Facts) -> Outcomes {
    if calls_surroundings(e) {
        return Outcomes::ANY;
    }
    let Some(column) = schema.get(name) else { return Outcomes::ANY };
    // A comparison of a computed boolean (`flag == true`) tries the values that the flag can take.
    let known = match computed.get(name) {
        Some(o) => Some(o.values().map(|v| v.map_or(Value::Null, Value::Bool)).collect()),
        None => column.domain.as_ref().and_then(|d| witnesses(d, e, column.ty)),
    };
    match known {
        Some(values) => values
            .into_iter()
            .filter(|v| facts.allow(name, v))
            .map(|v| Outcomes::only(e.eval(&|_| v.clone(), &Context::default()).as_bool()))
            .fold(Outcomes::NONE, Outcomes::join),
        None if column.domain == Some(Domain::FileName) && needs_separator(e) => Outcomes::only(Some(false)),
        None => Outcomes::ANY,
    }
}

/// Values of the domain that show every outcome which `e` can have; `None` where no finite set does.
fn witnesses(domain: &Domain, e: &Expr, ty: Type) -> Option<Vec<Value>> {
    let absent = [Value::Null, Value::str("")];
    match domain {
        Domain::Never => Some(absent[..if ty == Type::String { 2 } else { 1 }].to_vec()),
        Domain::Values { values, closed: true } if matches!(ty, Type::String) => {
            Some(values.iter().map(|s| Value::str(s.as_str())).chain(absent).collect())
        }
        Domain::Range { from, to } if ty.is_integer() && compares_only(e) => {
            // Between two neighbouring literals a comparison does not change its answer.
            let mut points = vec![*from, *to];
            literals(e, &mut |v| {
                if let Some(n) = v.as_i64() {
                    points.extend([n.saturating_sub(1), n, n.saturating_add(1)]);
                }
            });
            points.retain(|n| (from..=to).contains(&n));
            Some(points.into_iter().map(Value::Long).chain([Value::Null]).collect())
        }
        _ => None,
    }
}

/// Comparisons of a bare column with literals: their answer changes only at the literals.
fn compares_only(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Call(f, args) => {
            matches!(f.name, "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "in" | "isnull" | "isnotnull")
                && args.iter().all(|a| a.as_column().is_some() || a.as_literal().is_some())
        }
        _ => false,
    }
}

fn literals(e: &Expr, f: &mut impl FnMut(&Value)) {
    if let ExprKind::Literal(v) = &e.kind {
        f(v);
    }
    e.parts().for_each(|c| literals(c, f));
}

/// A text test on the bare column that only text with a path separator can pass.
fn needs_separator(e: &Expr) -> bool {
    let ExprKind::Call(f, args) = &e.kind else { return false };
    matches!(
        f.name,
        "eq" | "eq_ci"
            | "in"
            | "in_ci"
            | "contains"
            | "contains_cs"
            | "startswith"
            | "startswith_cs"
            | "endswith"
            | "endswith_cs"
    ) && args.len() > 1
        && args[0].as_column().is_some()
        && args[1..]
            .iter()
            .all(|a| a.as_literal().is_some_and(|v| matches!(v, Value::Str(s) if s.contains(['\\', '/']))))
}
