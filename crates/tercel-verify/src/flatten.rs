//! From a relation over single events to predicates over the columns of tables: views, projections
//! and computed columns are substituted in.

use crate::key::key;
use crate::{Assumption, Unknown};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, Schema, Span, Type, Value};

/// Nested so deep, a relation is left alone: everything here and in `Expr` is recursive.
const MAX_DEPTH: usize = 220;
/// Nodes of the expressions after substitution.
const MAX_NODES: usize = 600_000;
/// Branches of unions in unions.
const MAX_BRANCHES: usize = 256;

/// A filter on the way from the table to the result.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// As it stands in the relation.
    pub predicate: Expr,
    /// What its columns are in terms of the table.
    pub env: Env,
    pub in_view: bool,
}

/// One way from a table to the result.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub table: Name,
    pub schema: Arc<Schema>,
    pub steps: Vec<Step>,
}

/// The meaning of names at one place.
#[derive(Clone, Debug)]
pub(crate) struct Env {
    computed: Arc<HashMap<Name, Expr>>,
    /// Names that are not computed are columns of this table; `None` after a projection.
    table: Option<Arc<Schema>>,
}

impl Env {
    fn get(&self, name: &Name, ty: Type, span: Span) -> Expr {
        if let Some(e) = self.computed.get(name) {
            return e.clone();
        }
        let Some(s) = &self.table else { return Expr::null(ty, span) };
        match s.get(name) {
            Some(c) => Expr::column(name.clone(), c.ty, span),
            None if s.open => Expr::column(name.clone(), ty, span),
            None => Expr::null(ty, span),
        }
    }
}

struct State {
    branch: Branch,
    env: Env,
}

/// Substitutes, with a budget.
pub(crate) struct Flattener {
    left: usize,
    assumptions: Vec<Assumption>,
}

impl Flattener {
    pub(crate) fn new() -> Flattener {
        Flattener { left: MAX_NODES, assumptions: Vec::new() }
    }

    /// What has been assumed so far.
    pub(crate) fn assumptions(&self) -> &[Assumption] {
        &self.assumptions
    }

    /// All ways from tables to the result.
    pub(crate) fn branches(&mut self, rel: &Rel) -> Result<Vec<Branch>, Unknown> {
        let states = self.rel(rel, false, 0)?;
        Ok(states.into_iter().map(|s| s.branch).collect())
    }

    fn rel(&mut self, rel: &Rel, in_view: bool, depth: usize) -> Result<Vec<State>, Unknown> {
        if depth > MAX_DEPTH {
            return Err(Unknown::new("the query is nested too deeply"));
        }
        Ok(match &rel.kind {
            RelKind::Scan { table } => {
                let schema = Arc::new(rel.schema.clone());
                vec![State {
                    branch: Branch { table: table.clone(), schema: schema.clone(), steps: Vec::new() },
                    env: Env { computed: Arc::default(), table: Some(schema) },
                }]
            }
            RelKind::View { body, .. } => self.rel(body, true, depth + 1)?,
            RelKind::Values { rows } if rows.is_empty() => Vec::new(),
            RelKind::Values { .. } => return Err(Unknown::new("literal rows are no events")),
            RelKind::Filter { input, predicate } => {
                if too_deep(predicate, MAX_DEPTH) {
                    return Err(Unknown::new("a condition is nested too deeply"));
                }
                let mut states = self.rel(input, in_view, depth + 1)?;
                for s in &mut states {
                    s.branch.steps.push(Step { predicate: predicate.clone(), env: s.env.clone(), in_view });
                }
                states
            }
            RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
                if columns.iter().any(|(_, e)| too_deep(e, MAX_DEPTH)) {
                    return Err(Unknown::new("a computed column is nested too deeply"));
                }
                let extend = matches!(rel.kind, RelKind::Extend { .. });
                let mut states = self.rel(input, in_view, depth + 1)?;
                for s in &mut states {
                    let mut computed = HashMap::new();
                    for (name, e) in columns {
                        computed.insert(name.clone(), self.substitute(e, &s.env)?);
                    }
                    if extend {
                        // A copy only where a condition before keeps what it saw.
                        Arc::make_mut(&mut s.env.computed).extend(computed);
                    } else {
                        s.env = Env { computed: Arc::new(computed), table: None };
                    }
                }
                states
            }
            RelKind::Union { inputs, tag } => {
                let mut all = Vec::new();
                for (i, input) in inputs.iter().enumerate() {
                    let mut states = self.rel(input, in_view, depth + 1)?;
                    if let Some((name, labels)) = tag {
                        let label = labels.get(i).map_or("", String::as_str);
                        for s in &mut states {
                            Arc::make_mut(&mut s.env.computed)
                                .insert(name.clone(), Expr::literal(Value::str(label), rel.span));
                        }
                    }
                    all.extend(states);
                    if all.len() > MAX_BRANCHES {
                        return Err(Unknown::new("too many branches of unions"));
                    }
                }
                all
            }
            RelKind::Sort { input, .. } => self.rel(input, in_view, depth + 1)?,
            RelKind::Aggregate { .. } => return Err(Unknown::new("it groups events")),
            RelKind::Join { .. } => return Err(Unknown::new("it joins events")),
            RelKind::Limit { .. } => return Err(Unknown::new("it takes a limited number of rows")),
            RelKind::Unnest { .. } => return Err(Unknown::new("it expands arrays")),
        })
    }

    /// `e` over the columns of the table.
    pub(crate) fn substitute(&mut self, e: &Expr, env: &Env) -> Result<Expr, Unknown> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Unknown::new("the condition is too large"))?;
        let kind = match &e.kind {
            ExprKind::Column(n) => {
                let new = env.get(n, e.ty, e.span);
                self.left = self
                    .left
                    .checked_sub(count(&new))
                    .ok_or_else(|| Unknown::new("the condition is too large"))?;
                if too_deep(&new, MAX_DEPTH) {
                    return Err(Unknown::new("a computed column is nested too deeply"));
                }
                return Ok(new);
            }
            ExprKind::Literal(_) => return Ok(e.clone()),
            ExprKind::And(v) => ExprKind::And(self.all(v, env)?),
            ExprKind::Or(v) => ExprKind::Or(self.all(v, env)?),
            ExprKind::Not(x) => ExprKind::Not(Box::new(self.substitute(x, env)?)),
            ExprKind::Call(f, _) if f.name == "now" => ExprKind::Literal(Value::DateTime(now())),
            ExprKind::Call(f, v) => {
                let args = self.all(v, env)?;
                let constant = args.iter().all(|a| a.as_literal().is_some());
                let call = Expr { kind: ExprKind::Call(f, args), ty: e.ty, span: e.span };
                // What depends on more than its arguments is left to be asked for.
                if constant && !v.is_empty() && f.name != "geo_info_from_ip_address" {
                    ExprKind::Literal(call.eval(&|_| Value::Null, &Context::default()))
                } else {
                    call.kind
                }
            }
            ExprKind::Case { branches, otherwise } => {
                let mut out = Vec::with_capacity(branches.len());
                for (c, t) in branches {
                    out.push((self.substitute(c, env)?, self.substitute(t, env)?));
                }
                ExprKind::Case { branches: out, otherwise: Box::new(self.substitute(otherwise, env)?) }
            }
            ExprKind::Scalar(_) => {
                return Err(Unknown::new("it compares with a value computed by another query"));
            }
            ExprKind::InRelation { value, relation, ignore_case } => {
                let value = self.substitute(value, env)?;
                let whole = Expr {
                    kind: ExprKind::InRelation {
                        value: Box::new(value.clone()),
                        relation: relation.clone(),
                        ignore_case: *ignore_case,
                    },
                    ty: e.ty,
                    span: e.span,
                };
                return Ok(self.assume(&whole, &value));
            }
        };
        Ok(Expr { kind, ty: e.ty, span: e.span })
    }

    fn all(&mut self, v: &[Expr], env: &Env) -> Result<Vec<Expr>, Unknown> {
        v.iter().map(|x| self.substitute(x, env)).collect()
    }

    /// Membership in another relation is a fact about the world that one event does not decide: it
    /// becomes a boolean column of its own, the same one wherever the same question is asked.
    fn assume(&mut self, whole: &Expr, value: &Expr) -> Expr {
        let key = key(whole);
        let mut columns = Vec::new();
        value.columns(&mut columns);
        let subject = columns.first().map_or("a value", |c| &*c.0).to_string();
        let column: Name = format!("$member:{:016x}", fnv(&key)).into();
        if !self.assumptions.iter().any(|a| a.column == column) {
            self.assumptions.push(Assumption {
                column: column.clone(),
                about: format!("whether {subject} is among the rows of another query"),
            });
        }
        let span = whole.span;
        let truth = Expr::boolean(true, span);
        Expr::known("eq", vec![Expr::column(column, Type::Bool, span), truth], span)
    }
}

/// The time of the proof, to the hour: what `now()` is. The same in one process, so that two detections
/// mean the same time.
fn now() -> i64 {
    const HOUR: u64 = 3_600;
    static NOW: LazyLock<i64> = LazyLock::new(|| {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        tercel_ir::time::UNIX_EPOCH
            .saturating_add((seconds / HOUR * HOUR) as i64 * tercel_ir::time::TICKS_PER_SECOND)
    });
    *NOW
}

/// FNV-1a: stable between runs, unlike the standard hasher.
fn fnv(s: &str) -> u64 {
    s.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn count(e: &Expr) -> usize {
    1 + e.children().into_iter().map(count).sum::<usize>()
}

/// Whether the expression is deeper than `limit`; looks no deeper than that.
pub(crate) fn too_deep(e: &Expr, limit: usize) -> bool {
    limit == 0 || e.children().into_iter().any(|c| too_deep(c, limit - 1))
}
