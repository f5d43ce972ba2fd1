//! The meaning of expressions on one row, with every step brought to its type, as the columns of the
//! engine are.

use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Type, Value};

/// A value as it reads back from a column of type `ty`; JSON's null is null.
pub(crate) fn canonical(value: Value, ty: Type) -> Value {
    match value {
        Value::Null | Value::Dynamic(serde_json::Value::Null) => Value::Null,
        v @ Value::Str(_) if matches!(ty, Type::String | Type::Guid) => v,
        v => v.coerce(ty),
    }
}

/// Whether a value is true, false or neither.
pub(crate) fn truth(value: Value) -> Option<bool> {
    match canonical(value, Type::Bool) {
        Value::Bool(b) => Some(b),
        _ => None,
    }
}

/// The value of an expression. `row` gives the value of a column, already of that column's type.
/// Relations inside expressions never get here (see [`crate::flatten`]); they read as null.
pub(crate) fn eval(e: &Expr, row: &dyn Fn(&str) -> Value, ctx: &Context) -> Value {
    let v = match &e.kind {
        ExprKind::Literal(v) => v.clone(),
        ExprKind::Column(n) => row(n),
        ExprKind::And(items) => {
            let mut all = Value::Bool(true);
            for i in items {
                match truth(eval(i, row, ctx)) {
                    Some(false) => return canonical(Value::Bool(false), e.ty),
                    None => all = Value::Null,
                    Some(true) => {}
                }
            }
            all
        }
        ExprKind::Or(items) => {
            let mut any = Value::Bool(false);
            for i in items {
                match truth(eval(i, row, ctx)) {
                    Some(true) => return canonical(Value::Bool(true), e.ty),
                    None => any = Value::Null,
                    Some(false) => {}
                }
            }
            any
        }
        ExprKind::Not(inner) => truth(eval(inner, row, ctx)).map_or(Value::Null, |b| Value::Bool(!b)),
        ExprKind::Call(f, args) => {
            let values: Vec<Value> = args.iter().map(|a| eval(a, row, ctx)).collect();
            (f.eval)(&values, ctx)
        }
        ExprKind::Case { branches, otherwise } => {
            let hit = branches.iter().find(|(c, _)| truth(eval(c, row, ctx)) == Some(true));
            eval(hit.map_or(&**otherwise, |(_, then)| then), row, ctx)
        }
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => Value::Null,
    };
    canonical(v, e.ty)
}
