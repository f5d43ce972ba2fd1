//! Expressions as DataFusion expressions.

use super::Result;
use crate::EngineError;
use crate::kernels::{Arg, Call, Coerce};
use crate::values::{canonical, same_form, scalar_of};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{BinaryExpr, Case, Cast, ScalarFunction};
use datafusion::logical_expr::{Expr as DfExpr, Operator, ScalarUDF};
use std::collections::HashMap;
use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Function, Name, Type, Value};

/// The columns that expressions may read: under which name they stand in the plan, and their types.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env {
    columns: HashMap<Name, (Name, Type)>,
    order: Vec<Name>,
}

impl Env {
    /// Columns that stand in the plan under their own names.
    pub(crate) fn of(columns: impl IntoIterator<Item = (Name, Type)>) -> Env {
        let mut env = Env::default();
        columns.into_iter().for_each(|(n, t)| env.add(n.clone(), n, t));
        env
    }
    pub(crate) fn add(&mut self, name: Name, stands_as: Name, ty: Type) {
        if self.columns.insert(name.clone(), (stands_as, ty)).is_none() {
            self.order.push(name);
        }
    }
    pub(crate) fn type_of(&self, name: &str) -> Option<Type> {
        self.columns.get(name).map(|c| c.1)
    }
    /// The name under which a column stands in the plan, and its type.
    pub(crate) fn stands_as(&self, name: &str) -> Option<(Name, Type)> {
        self.columns.get(name).cloned()
    }
    /// Names and types, in the order in which they came.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (Name, Type)> {
        self.order.iter().filter_map(|n| self.columns.get(n).map(|c| (n.clone(), c.1)))
    }
    /// The column as a value of type `ty`; null if there is no such column.
    pub(crate) fn get(&self, name: &str, ty: Type) -> Result<DfExpr> {
        match self.columns.get(name) {
            Some((stands_as, have)) => Ok(coerce(super::column(stands_as), *have, ty)),
            None => super::null(ty),
        }
    }
}

/// Brings an expression from one type to another.
pub(crate) fn coerce(e: DfExpr, from: Type, to: Type) -> DfExpr {
    if same_form(from, to) {
        return e;
    }
    if from.is_integer() && matches!(to, Type::Real | Type::Decimal) {
        return DfExpr::Cast(Cast::new(Box::new(e), DataType::Float64));
    }
    call(Coerce::new(from, to), vec![e])
}

fn call(f: impl datafusion::logical_expr::ScalarUDFImpl + 'static, args: Vec<DfExpr>) -> DfExpr {
    DfExpr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(f)), args))
}

fn literal(v: &Value, ty: Type) -> DfExpr {
    DfExpr::Literal(scalar_of(ty, v), None)
}

fn binary(l: DfExpr, op: Operator, r: DfExpr) -> DfExpr {
    DfExpr::BinaryExpr(BinaryExpr::new(Box::new(l), op, Box::new(r)))
}

/// Joins many operands as a balanced tree: DataFusion walks operators recursively, and a list of
/// thousands must not be thousands deep.
fn balanced(mut items: Vec<DfExpr>, op: Operator, empty: bool) -> DfExpr {
    match items.len() {
        0 => DfExpr::Literal(ScalarValue::Boolean(Some(empty)), None),
        1 => items.swap_remove(0),
        n => {
            let right = items.split_off(n / 2);
            binary(balanced(items, op, empty), op, balanced(right, op, empty))
        }
    }
}

/// The expression as a value of type `ty`.
pub(crate) fn compile(e: &Expr, ty: Type, env: &Env, context: &Arc<Context>) -> Result<DfExpr> {
    let sub = |e: &Expr, ty: Type| compile(e, ty, env, context);
    Ok(match &e.kind {
        // A literal's own type says how it reads; an expression's type what it becomes.
        ExprKind::Literal(v) => literal(&canonical(v.clone(), e.ty), ty),
        ExprKind::Column(name) => {
            let have = env.type_of(name).unwrap_or(e.ty);
            // A reference of another type than the column's own reads the column as that type first.
            coerce(coerce(env.get(name, have)?, have, e.ty), e.ty, ty)
        }
        ExprKind::And(items) => {
            let items = items.iter().map(|i| sub(i, Type::Bool)).collect::<Result<_>>()?;
            coerce(balanced(items, Operator::And, true), Type::Bool, ty)
        }
        ExprKind::Or(items) => {
            let items = items.iter().map(|i| sub(i, Type::Bool)).collect::<Result<_>>()?;
            coerce(balanced(items, Operator::Or, false), Type::Bool, ty)
        }
        ExprKind::Not(e) => coerce(DfExpr::Not(Box::new(sub(e, Type::Bool)?)), Type::Bool, ty),
        ExprKind::Case { branches, otherwise } => {
            let mut list = Vec::with_capacity(branches.len());
            for (c, t) in branches {
                list.push((Box::new(sub(c, Type::Bool)?), Box::new(branch(t, e.ty, ty, env, context)?)));
            }
            let otherwise = branch(otherwise, e.ty, ty, env, context)?;
            if list.is_empty() {
                return Ok(otherwise);
            }
            DfExpr::Case(Case::new(None, list, Some(Box::new(otherwise))))
        }
        ExprKind::Call(f, args) => coerce(function(f, args, e.ty, env, context)?, e.ty, ty),
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => {
            return Err(EngineError::internal("a relation inside an expression was not run first"));
        }
    })
}

/// A branch of a case, through the type of the case.
fn branch(e: &Expr, of_case: Type, ty: Type, env: &Env, context: &Arc<Context>) -> Result<DfExpr> {
    Ok(coerce(compile(e, of_case, env, context)?, of_case, ty))
}

fn function(
    f: &'static Function,
    args: &[Expr],
    result: Type,
    env: &Env,
    context: &Arc<Context>,
) -> Result<DfExpr> {
    if f.name == "now" {
        return Err(EngineError::internal("now() was not replaced before planning"));
    }
    let constants: Option<Vec<Value>> =
        args.iter().map(|a| a.as_literal().map(|v| canonical(v.clone(), a.ty))).collect();
    if let Some(values) = constants {
        return Ok(literal(&canonical((f.eval)(&values, context), result), result));
    }
    if let Some(e) = native(f.name, args, env, context)? {
        return Ok(e);
    }
    let mut list = Vec::with_capacity(args.len());
    let mut columns = Vec::new();
    for a in args {
        match a.as_literal() {
            Some(v) => list.push(Arg::Const(canonical(v.clone(), a.ty))),
            None => {
                list.push(Arg::Column(a.ty));
                columns.push(compile(a, a.ty, env, context)?);
            }
        }
    }
    Ok(call(Call::new(f, list, result, context.clone()), columns))
}

/// What DataFusion's own operators compute exactly alike. Reals are not among it: Arrow orders NaN and
/// tells -0.0 from 0.0.
fn native(name: &str, args: &[Expr], env: &Env, context: &Arc<Context>) -> Result<Option<DfExpr>> {
    if let ("isnull" | "isnotnull", [a]) = (name, args) {
        let x = Box::new(compile(a, a.ty, env, context)?);
        return Ok(Some(if name == "isnull" { DfExpr::IsNull(x) } else { DfExpr::IsNotNull(x) }));
    }
    let [l, r] = args else { return Ok(None) };
    let plain = |t: Type| !matches!(t, Type::Real | Type::Decimal | Type::Dynamic);
    if !same_form(l.ty, r.ty) || !plain(l.ty) {
        return Ok(None);
    }
    let operands =
        || Ok::<_, EngineError>((compile(l, l.ty, env, context)?, compile(r, l.ty, env, context)?));
    let solid = |e: &Expr| e.as_literal().is_some_and(|v| !v.is_null());
    Ok(Some(match name {
        // Against a literal, null is just another value that differs from it.
        "eq" | "ne" if solid(l) || solid(r) => {
            let (a, b) = operands()?;
            let op = if name == "eq" { Operator::IsNotDistinctFrom } else { Operator::IsDistinctFrom };
            binary(a, op, b)
        }
        // Exactly one null: different. Both null: null.
        "eq" | "ne" => {
            let (a, b) = operands()?;
            let one_null = binary(
                DfExpr::IsNull(Box::new(a.clone())),
                Operator::NotEq,
                DfExpr::IsNull(Box::new(b.clone())),
            );
            let op = if name == "eq" { Operator::Eq } else { Operator::NotEq };
            let differ = DfExpr::Literal(ScalarValue::Boolean(Some(name == "ne")), None);
            let whens = vec![(Box::new(one_null), Box::new(differ))];
            DfExpr::Case(Case::new(None, whens, Some(Box::new(binary(a, op, b)))))
        }
        "lt" | "le" | "gt" | "ge" => {
            let op = match name {
                "lt" => Operator::Lt,
                "le" => Operator::LtEq,
                "gt" => Operator::Gt,
                _ => Operator::GtEq,
            };
            let (a, b) = operands()?;
            binary(a, op, b)
        }
        _ => return Ok(None),
    }))
}
