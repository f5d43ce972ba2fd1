//! Groups.

use super::expr::coerce;
use super::{Env, Need, ORDER, Planned, Planner, Result, column, compile};
use crate::aggregate::Aggregate;
use crate::kernels::Arg;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Expr as DfExpr, LogicalPlanBuilder, SortExpr};
use std::sync::Arc;
use tercel_ir::rel::Aggregation;
use tercel_ir::{Expr, Name, Rel, Type};

/// How one aggregate is computed.
struct Choice {
    function: Arc<AggregateUDF>,
    distinct: bool,
    /// The type that DataFusion's answer travels as, before it becomes the declared one.
    gives: Type,
    /// What an answer over nothing is, if not null.
    over_nothing: Option<ScalarValue>,
}

/// DataFusion's own function, where it computes exactly what the registry says.
fn native(a: &Aggregation) -> Option<Choice> {
    let ty = a.args.first().map(|e| e.ty);
    let whole = |t: Type| t.is_integer() || t == Type::TimeSpan;
    // Numbers with a fraction stay with the registry's accumulators: those skip NaN.
    let plain = |t: Type| !matches!(t, Type::Real | Type::Decimal | Type::Dynamic);
    let choice = |function, gives| Choice { function, distinct: false, gives, over_nothing: None };
    Some(match (a.function.name, a.args.len(), ty) {
        ("count", 0, _) => choice(count_udaf(), Type::Long),
        ("count_values", 1, _) => choice(count_udaf(), Type::Long),
        ("dcount", _, Some(t)) if plain(t) => Choice { distinct: true, ..choice(count_udaf(), Type::Long) },
        ("sum", 1, Some(t)) if whole(t) => {
            Choice { over_nothing: Some(ScalarValue::Int64(Some(0))), ..choice(sum_udaf(), t) }
        }
        ("avg", 1, Some(t)) if t.is_integer() => choice(avg_udaf(), Type::Real),
        ("min", 1, Some(t)) if plain(t) => choice(min_udaf(), t),
        ("max", 1, Some(t)) if plain(t) => choice(max_udaf(), t),
        _ => return None,
    })
}

/// Whether the answer depends on the order of the rows: what keeps places, and what keeps the first of
/// values that cannot be compared (as dynamics often cannot).
fn ordered(a: &Aggregation) -> bool {
    match a.function.name {
        "make_list" | "make_set" | "first" | "last" | "take_any" | "arg_max" | "arg_min" => true,
        "min" | "max" => native(a).is_none(),
        _ => false,
    }
}

impl Planner<'_> {
    pub(super) fn aggregate(
        &mut self,
        rel: &Rel,
        input: &Rel,
        keys: &[(Name, Expr)],
        aggregations: &[(Name, Aggregation)],
        need: &Need,
    ) -> Result<Planned> {
        let used: Vec<&(Name, Aggregation)> = aggregations.iter().filter(|(n, _)| need.has(n)).collect();
        if keys.is_empty() && used.is_empty() {
            // One row, whatever the input.
            let plan = LogicalPlanBuilder::empty(true)
                .project([DfExpr::Literal(ScalarValue::Boolean(Some(true)), None).alias("$row")])?
                .build()?;
            return Ok(Planned { plan, env: Env::default() });
        }
        let mut inner = Need::default();
        keys.iter().for_each(|(_, e)| inner.add_expr(e));
        for (_, a) in &used {
            a.args.iter().chain(&a.filter).for_each(|e| inner.add_expr(e));
        }
        // DataFusion drops a sort whose order nobody asks for; an order-sensitive aggregate over sorted
        // rows asks by name.
        let order = if used.iter().any(|(_, a)| ordered(a)) { Planner::order_of(input) } else { None };
        let order = order.unwrap_or_default();
        for (k, key) in order.iter().enumerate() {
            inner.add(format!("{ORDER}{k}").into(), key.expr.ty);
        }
        let i = self.rel(input, &inner)?;

        let mut below: Vec<DfExpr> = Vec::new();
        let mut by: Vec<DfExpr> = Vec::new();
        for (k, (_, e)) in keys.iter().enumerate() {
            below.push(compile(e, e.ty, &i.env, &self.context)?.alias(format!("k{k}")));
            by.push(column(&format!("k{k}")));
        }
        let mut sort: Vec<SortExpr> = Vec::new();
        for (k, key) in order.iter().enumerate() {
            below.push(i.env.get(&format!("{ORDER}{k}"), key.expr.ty)?.alias(format!("o{k}")));
            let expr = column(&format!("o{k}"));
            sort.push(SortExpr { expr, asc: !key.descending, nulls_first: key.nulls_first });
        }
        let mut computed: Vec<DfExpr> = Vec::new();
        let mut out: Vec<DfExpr> = Vec::new();
        let mut env: Vec<(Name, Type)> = Vec::new();
        for (k, (name, e)) in keys.iter().enumerate() {
            let ty = rel.schema.get(name).map_or(e.ty, |c| c.ty);
            out.push(coerce(column(&format!("k{k}")), e.ty, ty).alias(&**name));
            env.push((name.clone(), ty));
        }
        for (k, (name, a)) in used.iter().enumerate() {
            let choice = native(a);
            let mut filter = match &a.filter {
                None => None,
                Some(f) => Some(compile(f, Type::Bool, &i.env, &self.context)?),
            };
            if choice.as_ref().is_some_and(|c| c.distinct) {
                // DataFusion counts one distinct value where the argument turns out to be a null literal.
                let solid = compile(&a.args[0], a.args[0].ty, &i.env, &self.context)?.is_not_null();
                filter = Some(filter.map_or(solid.clone(), |f| f.and(solid)));
            }
            let filter = filter.map(|f| {
                below.push(f.alias(format!("f{k}")));
                Box::new(column(&format!("f{k}")))
            });
            let mut args: Vec<DfExpr> = Vec::new();
            let mut shape: Vec<Arg> = Vec::new();
            for (m, e) in a.args.iter().enumerate() {
                match e.as_literal() {
                    // The first argument is always a column, so that there are rows to see.
                    Some(v) if m > 0 => shape.push(Arg::Const(crate::values::canonical(v.clone(), e.ty))),
                    _ => {
                        shape.push(Arg::Column(e.ty));
                        let name = format!("a{k}_{m}");
                        below.push(compile(e, e.ty, &i.env, &self.context)?.alias(&name));
                        args.push(column(&name));
                    }
                }
            }
            let ty = rel.schema.get(name).map_or(a.ty, |c| c.ty);
            let (function, distinct, gives, over_nothing) = match choice {
                Some(c) => {
                    if args.is_empty() {
                        args.push(DfExpr::Literal(ScalarValue::Int64(Some(1)), None));
                    }
                    // The accuracy of `dcount` says nothing: the count is exact.
                    args.truncate(1);
                    (c.function, c.distinct, c.gives, c.over_nothing)
                }
                None => {
                    let f = Aggregate::new(a.function, shape, a.ty);
                    (Arc::new(AggregateUDF::new_from_impl(f)), false, a.ty, None)
                }
            };
            let order_by = if ordered(a) { sort.clone() } else { vec![] };
            let f = AggregateFunction::new_udf(function, args, distinct, filter, order_by, None);
            computed.push(DfExpr::AggregateFunction(f).alias(format!("r{k}")));
            let mut e = column(&format!("r{k}"));
            if let Some(v) = over_nothing {
                e = datafusion::functions::expr_fn::coalesce(vec![e, DfExpr::Literal(v, None)]);
            }
            out.push(coerce(e, gives, ty).alias(&**name));
            env.push((name.clone(), ty));
        }
        if below.is_empty() {
            below.push(DfExpr::Literal(ScalarValue::Boolean(Some(true)), None).alias("$row"));
        }
        let plan = LogicalPlanBuilder::from(i.plan)
            .project(below)?
            .aggregate(by, computed)?
            .project(out)?
            .build()?;
        Ok(Planned { plan, env: Env::of(env) })
    }
}
