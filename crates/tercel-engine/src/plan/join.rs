//! Joins. Keys are equal where both are null, so they are DataFusion's null-equal hash joins.

use super::expr::coerce;
use super::{Env, Need, Planned, Planner, Result, column, compile};
use crate::EngineError;
use crate::values::same_form;
use datafusion::common::{Column as DfColumn, NullEquality, ScalarValue};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr as DfExpr, JoinType, LogicalPlan, LogicalPlanBuilder};
use tercel_ir::{Expr, JoinKind, Name, Rel, Type};

/// One side: its columns stand as `{letter}{n}`, its keys as `{letter}k{n}`.
struct Side {
    plan: LogicalPlan,
    env: Env,
    keys: usize,
}

/// The type under which two keys are compared.
fn key_type(l: Type, r: Type) -> Result<Type> {
    if same_form(l, r) {
        return Ok(l);
    }
    match (l, r) {
        (a, b) if a.is_number() && b.is_number() => Ok(Type::Real),
        (Type::Dynamic, t) | (t, Type::Dynamic) => Ok(t),
        _ => Err(EngineError::unsupported(format!("a join cannot compare {l} with {r}"))),
    }
}

impl Planner<'_> {
    pub(super) fn join(
        &mut self,
        rel: &Rel,
        (left, right): (&Rel, &Rel),
        kind: JoinKind,
        on: &[(Expr, Expr)],
        condition: Option<&Expr>,
        need: &Need,
    ) -> Result<Planned> {
        let both = !matches!(
            kind,
            JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::RightSemi | JoinKind::RightAnti
        );
        let right_only = matches!(kind, JoinKind::RightSemi | JoinKind::RightAnti);
        // Output columns answer to input columns position by position.
        let width = left.schema.columns.len();
        let mut wanted: [Need; 2] = [Need::default(), Need::default()];
        let mut outputs: Vec<(Name, Type, usize, Name)> = Vec::new();
        for (name, ty) in need.iter() {
            let (side, input, ty) = match rel.schema.columns.iter().position(|c| c.name == *name) {
                Some(p) => {
                    let ty = rel.schema.columns[p].ty;
                    if right_only || both && p >= width {
                        let p = if right_only { p } else { p - width };
                        (1, right.schema.columns.get(p), ty)
                    } else {
                        (0, left.schema.columns.get(p), ty)
                    }
                }
                // Not declared: a semi or anti join passes on what its one side has.
                None if !both => {
                    let side = usize::from(right_only);
                    wanted[side].add(name.clone(), *ty);
                    outputs.push((name.clone(), *ty, side, name.clone()));
                    continue;
                }
                None => continue,
            };
            let Some(c) = input else {
                return Err(EngineError::internal("a join has more columns than its sides"));
            };
            wanted[side].add(c.name.clone(), c.ty);
            outputs.push((name.clone(), ty, side, c.name.clone()));
        }
        if let Some(e) = condition {
            let mut names = Vec::new();
            e.columns(&mut names);
            for (name, _) in names {
                let side = usize::from(left.schema.get(&name).is_none() && !left.schema.open);
                let ty = [left, right][side].schema.get(&name).map(|c| c.ty);
                wanted[side].add(name.clone(), ty.unwrap_or(Type::String));
            }
        }
        let types = on.iter().map(|(l, r)| key_type(l.ty, r.ty)).collect::<Result<Vec<_>>>()?;
        let [want_left, want_right] = wanted;
        let mut l = self.side(left, "l", on.iter().map(|p| &p.0), &types, want_left)?;
        let r = self.side(right, "r", on.iter().map(|p| &p.1), &types, want_right)?;
        if kind == JoinKind::InnerUnique {
            l = unique(l)?;
        }

        let mut env = r.env.clone();
        for (n, _) in l.env.columns() {
            // Left names win; the front ends keep the two sides apart where a condition sees both.
            if let Some((stands_as, ty)) = l.env.stands_as(&n) {
                env.add(n.clone(), stands_as, ty);
            }
        }
        let mut filter = condition.map(|e| compile(e, Type::Bool, &env, &self.context)).transpose()?;
        let join_type = match kind {
            JoinKind::Inner | JoinKind::InnerUnique => JoinType::Inner,
            JoinKind::LeftOuter => JoinType::Left,
            JoinKind::RightOuter => JoinType::Right,
            JoinKind::FullOuter => JoinType::Full,
            JoinKind::LeftSemi => JoinType::LeftSemi,
            JoinKind::LeftAnti => JoinType::LeftAnti,
            JoinKind::RightSemi => JoinType::RightSemi,
            JoinKind::RightAnti => JoinType::RightAnti,
        };
        if on.is_empty() && filter.is_none() && join_type != JoinType::Inner {
            filter = Some(DfExpr::Literal(ScalarValue::Boolean(Some(true)), None));
        }
        let keys = |letter: &str| -> Vec<DfColumn> {
            (0..l.keys).map(|k| DfColumn::from_name(format!("{letter}k{k}"))).collect()
        };
        let (lk, rk) = (keys("l"), keys("r"));
        let plan = LogicalPlanBuilder::from(l.plan).join_detailed(
            r.plan,
            join_type,
            (lk, rk),
            filter,
            NullEquality::NullEqualsNull,
        )?;
        let mut out = Vec::with_capacity(outputs.len());
        let mut result = Vec::with_capacity(outputs.len());
        for (name, ty, side, input) in outputs {
            let e = if side == 0 { l.env.get(&input, ty)? } else { r.env.get(&input, ty)? };
            out.push(e.alias(&*name));
            result.push((name, ty));
        }
        if out.is_empty() {
            return Ok(Planned { plan: plan.build()?, env: Env::default() });
        }
        Ok(Planned { plan: plan.project(out)?.build()?, env: Env::of(result) })
    }

    fn side<'e>(
        &mut self,
        rel: &Rel,
        letter: &str,
        keys: impl Iterator<Item = &'e Expr>,
        types: &[Type],
        mut want: Need,
    ) -> Result<Side> {
        let columns: Vec<(Name, Type)> = want.iter().cloned().collect();
        let keys: Vec<&Expr> = keys.collect();
        keys.iter().for_each(|e| want.add_expr(e));
        let i = self.rel(rel, &want)?;
        let mut out = Vec::new();
        let mut env = Env::default();
        for (n, (name, _)) in columns.iter().enumerate() {
            if let Some(have) = i.env.type_of(name) {
                let stands_as: Name = format!("{letter}{n}").into();
                out.push(i.env.get(name, have)?.alias(&*stands_as));
                env.add(name.clone(), stands_as, have);
            }
        }
        for (k, (e, ty)) in keys.iter().zip(types).enumerate() {
            let key = coerce(compile(e, e.ty, &i.env, &self.context)?, e.ty, *ty);
            out.push(key.alias(format!("{letter}k{k}")));
        }
        if out.is_empty() {
            out.push(DfExpr::Literal(ScalarValue::Boolean(Some(true)), None).alias(format!("{letter}$")));
        }
        Ok(Side { plan: LogicalPlanBuilder::from(i.plan).project(out)?.build()?, env, keys: keys.len() })
    }
}

/// One row a key: the first one. All columns come from the same row, because every `first_value` of a
/// group sees the same rows in the same order.
fn unique(side: Side) -> Result<Side> {
    let by: Vec<DfExpr> = (0..side.keys).map(|k| column(&format!("lk{k}"))).collect();
    let mut first = Vec::new();
    for (name, _) in side.env.columns() {
        if let Some((stands_as, _)) = side.env.stands_as(&name) {
            let f = AggregateFunction::new_udf(
                first_value_udaf(),
                vec![column(&stands_as)],
                false,
                None,
                vec![],
                None,
            );
            first.push(DfExpr::AggregateFunction(f).alias(&*stands_as));
        }
    }
    if by.is_empty() {
        // Without keys all rows are one group.
        let plan = LogicalPlanBuilder::from(side.plan).limit(0, Some(1))?.build()?;
        return Ok(Side { plan, ..side });
    }
    let plan = LogicalPlanBuilder::from(side.plan).aggregate(by, first)?.build()?;
    Ok(Side { plan, ..side })
}
