//! Relations as DataFusion plans.
//!
//! The planner goes from the top down with the list of columns that are needed, and comes back with a
//! plan that has (at least) those. So only what a query uses is ever asked of a reader, and references
//! to columns that nobody declared (open tables) find their way down to the scan.
//!
//! Names of columns may hold any character; they are never parsed, and inside a join or an aggregate
//! every column has a name of our own making.

mod aggregate;
mod expr;
mod join;
mod unnest;

pub(crate) use expr::{Env, compile};

use crate::EngineError;
use crate::source::hidden;
use crate::values::{arrow_schema, arrow_type};
use datafusion::common::{Column as DfColumn, DFSchema, ScalarValue, TableReference};
use datafusion::datasource::{MemTable, TableProvider, provider_as_source};
use datafusion::logical_expr::{
    EmptyRelation, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, Sort, SortExpr, Union,
};
use std::collections::HashMap;
use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, SortKey, Type, Value};

/// How deep relations and expressions may be nested. The front ends have lower limits of their own; this
/// one keeps every recursion of the engine within its stack whatever a caller builds.
pub const MAX_DEPTH: usize = 1_000;

/// Gives the table behind a scan.
pub(crate) trait Tables {
    /// A provider with exactly these columns.
    fn scan(&mut self, table: &Name, columns: Vec<(Name, Type)>) -> Arc<dyn TableProvider>;
}

/// The columns that are wanted of a relation, each once, in a stable order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Need {
    list: Vec<(Name, Type)>,
    index: HashMap<Name, usize>,
}

impl Need {
    pub(crate) fn of(columns: impl IntoIterator<Item = (Name, Type)>) -> Need {
        let mut n = Need::default();
        columns.into_iter().for_each(|(c, t)| n.add(c, t));
        n
    }
    pub(crate) fn add(&mut self, name: Name, ty: Type) {
        if !self.index.contains_key(&name) {
            self.index.insert(name.clone(), self.list.len());
            self.list.push((name, ty));
        }
    }
    /// Every column that an expression reads.
    fn add_expr(&mut self, e: &Expr) {
        if let Some(n) = e.as_column() {
            self.add(n.clone(), e.ty);
        }
        e.children().into_iter().for_each(|c| self.add_expr(c));
    }
    fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }
    fn iter(&self) -> std::slice::Iter<'_, (Name, Type)> {
        self.list.iter()
    }
}

/// A plan and the columns that can be asked of it.
pub(crate) struct Planned {
    pub(crate) plan: LogicalPlan,
    pub(crate) env: Env,
}

/// Marks a column that a sort was made by, so that an aggregate above can keep the order. Asked for
/// and passed on like any other column.
const ORDER: &str = "$order";

/// Turns relations into plans.
pub(crate) struct Planner<'a> {
    pub(crate) tables: &'a mut dyn Tables,
    pub(crate) context: Arc<Context>,
}

type Result<T> = std::result::Result<T, EngineError>;

/// A reference to a column of ours: never parsed, never qualified.
pub(crate) fn column(name: &str) -> DfExpr {
    DfExpr::Column(DfColumn::from_name(name))
}

impl Planner<'_> {
    /// The whole relation: exactly the columns of its schema, in order.
    pub(crate) fn root(&mut self, rel: &Rel) -> Result<LogicalPlan> {
        let columns: Vec<(Name, Type)> = rel.schema.columns.iter().map(|c| (c.name.clone(), c.ty)).collect();
        self.columns(rel, &columns)
    }

    /// These columns of a relation, in order. One that is wanted as two types comes twice, under its name
    /// and under a name of our own: readers go by position.
    pub(crate) fn columns(&mut self, rel: &Rel, columns: &[(Name, Type)]) -> Result<LogicalPlan> {
        check_depth(rel)?;
        let planned = self.rel(rel, &Need::of(columns.iter().cloned()))?;
        let mut out: Vec<DfExpr> = Vec::with_capacity(columns.len());
        for (n, (name, ty)) in columns.iter().enumerate() {
            let again = columns[..n].iter().any(|(x, _)| x == name);
            let alias = if again { format!("${n}:{name}") } else { name.to_string() };
            out.push(planned.env.get(name, *ty)?.alias(alias));
        }
        if out.is_empty() {
            return Ok(planned.plan);
        }
        Ok(LogicalPlanBuilder::from(planned.plan).project(out)?.build()?)
    }

    /// A plan with at least the columns of `need` that the relation has. What it does not have, reads as
    /// null ([`Env::get`]).
    pub(crate) fn rel(&mut self, rel: &Rel, need: &Need) -> Result<Planned> {
        match &rel.kind {
            RelKind::Scan { table } => self.scan(rel, table, need),
            RelKind::View { body, .. } => self.rel(body, need),
            RelKind::Values { rows } => self.values(rel, rows, need),
            RelKind::Filter { input, predicate } => {
                let mut inner = need.clone();
                inner.add_expr(predicate);
                let i = self.rel(input, &inner)?;
                let p = compile(predicate, Type::Bool, &i.env, &self.context)?;
                Ok(Planned { plan: LogicalPlanBuilder::from(i.plan).filter(p)?.build()?, env: i.env })
            }
            RelKind::Extend { input, columns } => self.extend(rel, input, columns, need),
            RelKind::Project { input, columns } => self.project(rel, input, columns, need),
            RelKind::Aggregate { input, keys, aggregations } => {
                self.aggregate(rel, input, keys, aggregations, need)
            }
            RelKind::Join { left, right, kind, on, condition } => {
                self.join(rel, (left, right), *kind, on, condition.as_ref(), need)
            }
            RelKind::Union { inputs, tag } => self.union(rel, inputs, tag.as_ref(), need),
            RelKind::Sort { input, keys } => self.sort(input, keys, need),
            RelKind::Limit { input, skip, count } => {
                let i = self.rel(input, need)?;
                let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(i64::MAX as usize);
                let plan =
                    LogicalPlanBuilder::from(i.plan).limit(size(*skip), Some(size(*count)))?.build()?;
                Ok(Planned { plan, env: i.env })
            }
            RelKind::Unnest { input, columns, index } => {
                self.unnest(rel, input, columns, index.as_ref(), need)
            }
        }
    }

    fn scan(&mut self, rel: &Rel, table: &Name, need: &Need) -> Result<Planned> {
        let mut columns: Vec<(Name, Type)> = Vec::new();
        for (name, ty) in need.iter() {
            if let Some(c) = rel.schema.get(name) {
                columns.push((name.clone(), c.ty));
            } else if let Some(t) = hidden::type_of(name) {
                columns.push((name.clone(), t));
            } else if rel.schema.open && !name.starts_with(ORDER) {
                columns.push((name.clone(), *ty));
            }
        }
        if columns.is_empty() {
            // Rows are counted by something that every reader has.
            columns.push((hidden::RECORD.into(), Type::Long));
        }
        let provider = self.tables.scan(table, columns.clone());
        self.provided(table, provider, columns)
    }

    /// A scan of a provider with these columns, by their bare names.
    fn provided(
        &self,
        table: &str,
        provider: Arc<dyn TableProvider>,
        columns: Vec<(Name, Type)>,
    ) -> Result<Planned> {
        let name = TableReference::bare(table);
        let scan = LogicalPlanBuilder::scan(name.clone(), provider_as_source(provider), None)?;
        let out: Vec<DfExpr> = columns
            .iter()
            .map(|(c, _)| DfExpr::Column(DfColumn::new(Some(name.clone()), &**c)).alias(&**c))
            .collect();
        Ok(Planned { plan: scan.project(out)?.build()?, env: Env::of(columns) })
    }

    fn values(&mut self, rel: &Rel, rows: &[Vec<Value>], need: &Need) -> Result<Planned> {
        let keep: Vec<usize> =
            (0..rel.schema.columns.len()).filter(|i| need.has(&rel.schema.columns[*i].name)).collect();
        let mut columns: Vec<(Name, Type)> =
            keep.iter().map(|i| (rel.schema.columns[*i].name.clone(), rel.schema.columns[*i].ty)).collect();
        if rows.is_empty() {
            return empty(columns);
        }
        let mut data: Vec<Vec<Value>> = rows
            .iter()
            .map(|r| keep.iter().map(|i| r.get(*i).cloned().unwrap_or_default()).collect())
            .collect();
        if columns.is_empty() {
            columns.push(("$row".into(), Type::Bool));
            data.iter_mut().for_each(|r| r.push(Value::Bool(true)));
        }
        let batch = crate::source::batch_of(&columns, &data)?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        self.provided("$values", Arc::new(table), columns)
    }

    fn extend(&mut self, rel: &Rel, input: &Rel, columns: &[(Name, Expr)], need: &Need) -> Result<Planned> {
        let mut inner = Need::default();
        for (name, ty) in need.iter().filter(|(n, _)| !columns.iter().any(|(c, _)| c == n)) {
            inner.add(name.clone(), *ty);
        }
        let used = wanted(columns, need);
        used.iter().for_each(|(_, e)| inner.add_expr(e));
        let i = self.rel(input, &inner)?;
        if used.is_empty() {
            return Ok(i);
        }
        let mut out = Vec::new();
        let mut env = Vec::new();
        for (name, _) in need.iter().filter(|(n, _)| !used.iter().any(|(c, _)| c == n)) {
            // What the input lacks reads as null above as well; no column is made for it.
            if let Some(have) = i.env.type_of(name) {
                out.push(i.env.get(name, have)?.alias(&**name));
                env.push((name.clone(), have));
            }
        }
        for (name, e) in used {
            let ty = rel.schema.get(name).map_or(e.ty, |c| c.ty);
            out.push(compile(e, ty, &i.env, &self.context)?.alias(&**name));
            env.push((name.clone(), ty));
        }
        Ok(Planned { plan: LogicalPlanBuilder::from(i.plan).project(out)?.build()?, env: Env::of(env) })
    }

    fn project(&mut self, rel: &Rel, input: &Rel, columns: &[(Name, Expr)], need: &Need) -> Result<Planned> {
        let used = wanted(columns, need);
        let mut inner = Need::default();
        used.iter().for_each(|(_, e)| inner.add_expr(e));
        // The marks of a sort below pass through.
        let marks: Vec<&(Name, Type)> = need.iter().filter(|(n, _)| n.starts_with(ORDER)).collect();
        marks.iter().for_each(|(n, t)| inner.add(n.clone(), *t));
        let i = self.rel(input, &inner)?;
        let mut out = Vec::new();
        let mut env = Vec::new();
        for (name, e) in used {
            let ty = rel.schema.get(name).map_or(e.ty, |c| c.ty);
            out.push(compile(e, ty, &i.env, &self.context)?.alias(&**name));
            env.push((name.clone(), ty));
        }
        for (name, _) in marks {
            if let Some(have) = i.env.type_of(name) {
                out.push(i.env.get(name, have)?.alias(&**name));
                env.push((name.clone(), have));
            }
        }
        if out.is_empty() {
            return Ok(Planned { plan: i.plan, env: Env::default() });
        }
        Ok(Planned { plan: LogicalPlanBuilder::from(i.plan).project(out)?.build()?, env: Env::of(env) })
    }

    fn union(
        &mut self,
        rel: &Rel,
        inputs: &[Rel],
        tag: Option<&(Name, Vec<String>)>,
        need: &Need,
    ) -> Result<Planned> {
        // One type a column for all inputs: the declared one, or that of the reference.
        let mut columns: Vec<(Name, Type)> = need
            .iter()
            .filter(|(n, _)| !n.starts_with(ORDER) && tag.is_none_or(|(t, _)| t != n))
            .map(|(n, t)| (n.clone(), rel.schema.get(n).map_or(*t, |c| c.ty)))
            .collect();
        let inner = Need::of(columns.iter().cloned());
        let tagged = tag.filter(|(t, _)| need.has(t));
        let mut plans = Vec::with_capacity(inputs.len());
        for (k, input) in inputs.iter().enumerate() {
            let i = self.rel(input, &inner)?;
            let mut out: Vec<DfExpr> = Vec::with_capacity(columns.len() + 1);
            if let Some((name, labels)) = tagged {
                let label = labels.get(k).map(|l| ScalarValue::Utf8View(Some(l.clone())));
                out.push(DfExpr::Literal(label.unwrap_or(ScalarValue::Utf8View(None)), None).alias(&**name));
            }
            for (name, ty) in &columns {
                out.push(i.env.get(name, *ty)?.alias(&**name));
            }
            if out.is_empty() {
                out.push(DfExpr::Literal(ScalarValue::Boolean(Some(true)), None).alias("$row"));
            }
            plans.push(Arc::new(LogicalPlanBuilder::from(i.plan).project(out)?.build()?));
        }
        if let Some((name, _)) = tagged {
            columns.insert(0, (name.clone(), Type::String));
        }
        let env = Env::of(columns.iter().cloned());
        let plan = match plans.len() {
            0 => return empty(columns),
            1 => plans.swap_remove(0),
            _ => Arc::new(LogicalPlan::Union(Union::try_new(plans)?)),
        };
        Ok(Planned { plan: Arc::unwrap_or_clone(plan), env })
    }

    fn sort(&mut self, input: &Rel, keys: &[SortKey], need: &Need) -> Result<Planned> {
        let marks: Vec<usize> = (0..keys.len()).filter(|k| need.has(&format!("{ORDER}{k}"))).collect();
        let mut inner = Need::of(need.iter().filter(|(n, _)| !n.starts_with(ORDER)).cloned());
        keys.iter().for_each(|k| inner.add_expr(&k.expr));
        let i = self.rel(input, &inner)?;
        let by = keys
            .iter()
            .map(|k| {
                let e = compile(&k.expr, k.expr.ty, &i.env, &self.context)?;
                Ok(SortExpr { expr: e, asc: !k.descending, nulls_first: k.nulls_first })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut plan = LogicalPlanBuilder::from(i.plan);
        let mut env = i.env;
        if by.is_empty() {
            return Ok(Planned { plan: plan.build()?, env });
        }
        if !marks.is_empty() {
            let mut columns: Vec<(Name, Type)> = env.columns().collect();
            let mut out: Vec<DfExpr> =
                columns.iter().map(|(n, t)| Ok(env.get(n, *t)?.alias(&**n))).collect::<Result<_>>()?;
            for k in &marks {
                let name = format!("{ORDER}{k}");
                out.push(by[*k].expr.clone().alias(&name));
                columns.push((name.into(), keys[*k].expr.ty));
            }
            plan = plan.project(out)?;
            env = Env::of(columns);
        }
        // Not the builder's `sort`: that one, made for SQL, takes a key for the column of the same name below
        // the projection if that stands there under another name.
        let plan = LogicalPlan::Sort(Sort { expr: by, input: Arc::new(plan.build()?), fetch: None });
        Ok(Planned { plan, env })
    }

    /// The keys of the sort whose order the rows of a relation still have.
    fn order_of(rel: &Rel) -> Option<&[SortKey]> {
        match &rel.kind {
            RelKind::Sort { keys, .. } => Some(keys),
            RelKind::View { body, .. } => Planner::order_of(body),
            RelKind::Filter { input: i, .. }
            | RelKind::Extend { input: i, .. }
            | RelKind::Project { input: i, .. }
            | RelKind::Limit { input: i, .. } => Planner::order_of(i),
            _ => None,
        }
    }
}

/// The computed columns that are needed. Where a name stands twice, the last one counts.
fn wanted<'e>(columns: &'e [(Name, Expr)], need: &Need) -> Vec<&'e (Name, Expr)> {
    let last: HashMap<&Name, usize> = columns.iter().enumerate().map(|(i, (n, _))| (n, i)).collect();
    let kept = columns.iter().enumerate().filter(|(i, (n, _))| need.has(n) && last[n] == *i);
    kept.map(|(_, c)| c).collect()
}

/// No rows.
fn empty(columns: Vec<(Name, Type)>) -> Result<Planned> {
    let schema = arrow_schema(columns.iter().map(|(n, t)| (&**n, *t)));
    let schema = Arc::new(DFSchema::try_from(schema.as_ref().clone())?);
    let plan = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema });
    Ok(Planned { plan, env: Env::of(columns) })
}

/// A null of the type that `ty` travels as.
pub(crate) fn null(ty: Type) -> Result<DfExpr> {
    Ok(DfExpr::Literal(ScalarValue::try_new_null(&arrow_type(ty))?, None))
}

/// Refuses what is nested deeper than [`MAX_DEPTH`]; itself goes no deeper than that.
pub(crate) fn check_depth(rel: &Rel) -> Result<()> {
    if rel_fits(rel, MAX_DEPTH) {
        return Ok(());
    }
    Err(EngineError::new("too-deep", format!("the query is nested more than {MAX_DEPTH} levels deep")))
}

fn rel_fits(r: &Rel, left: usize) -> bool {
    left > 0
        && r.expressions().into_iter().all(|e| expr_fits(e, left - 1))
        && r.inputs().into_iter().all(|i| rel_fits(i, left - 1))
}

fn expr_fits(e: &Expr, left: usize) -> bool {
    left > 0
        && match &e.kind {
            ExprKind::Scalar(r) | ExprKind::InRelation { relation: r, .. } => rel_fits(r, left - 1),
            _ => true,
        }
        && e.children().into_iter().all(|c| expr_fits(c, left - 1))
}
