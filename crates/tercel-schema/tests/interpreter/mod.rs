//! Views, one row at a time: enough of an engine to test what they mean.

use serde_json::Value as Json;
use std::collections::HashMap;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Rel, RelKind, Span, Type, Value};
use tercel_schema::hidden;

/// A row: values by column; an absent column is null.
pub type Row = HashMap<String, Value>;

/// Rows of a relation over rows of tables given as JSON. Only what views are made of.
pub fn run(rel: &Rel, tables: &HashMap<String, Json>) -> Vec<Row> {
    let ctx = Context::default();
    let get = |row: &Row, n: &str| row.get(n).cloned().unwrap_or_default();
    match &rel.kind {
        RelKind::Scan { table } => {
            let columns = rel.schema.columns.iter().map(|c| (c.name.to_string(), c.ty));
            let types: HashMap<String, Type> =
                columns.chain(hidden::ALL.iter().map(|(n, t)| ((*n).to_string(), *t))).collect();
            let rows = tables.get(&**table).and_then(Json::as_array).cloned().unwrap_or_default();
            rows.iter()
                .filter_map(Json::as_object)
                .map(|o| {
                    o.iter()
                        .map(|(k, v)| {
                            // An open table has any column, as text.
                            let ty = types.get(k).copied().or(rel.schema.open.then_some(Type::String));
                            let ty = ty.unwrap_or_else(|| panic!("{table} has no column {k}"));
                            (
                                k.clone(),
                                if v.is_null() { Value::Null } else { Value::Dynamic(v.clone()).coerce(ty) },
                            )
                        })
                        .collect()
                })
                .collect()
        }
        RelKind::View { body, .. } => run(body, tables),
        RelKind::Filter { input, predicate } => {
            let mut predicate = predicate.clone();
            resolve(&mut predicate, tables);
            run(input, tables)
                .into_iter()
                .filter(|r| predicate.eval(&|n| get(r, n), &ctx).as_bool() == Some(true))
                .collect()
        }
        RelKind::Extend { input, columns } => run(input, tables)
            .into_iter()
            .map(|r| {
                let new: Row =
                    columns.iter().map(|(n, e)| (n.to_string(), e.eval(&|n| get(&r, n), &ctx))).collect();
                r.into_iter().chain(new).collect()
            })
            .collect(),
        RelKind::Project { input, columns } => run(input, tables)
            .into_iter()
            .map(|r| columns.iter().map(|(n, e)| (n.to_string(), e.eval(&|n| get(&r, n), &ctx))).collect())
            .collect(),
        RelKind::Union { inputs, .. } => inputs.iter().flat_map(|i| run(i, tables)).collect(),
        RelKind::Aggregate { input, keys, aggregations } if aggregations.is_empty() => {
            let mut out: Vec<Row> = Vec::new();
            for r in run(input, tables) {
                let row: Row =
                    keys.iter().map(|(n, e)| (n.to_string(), e.eval(&|n| get(&r, n), &ctx))).collect();
                if !out.contains(&row) {
                    out.push(row);
                }
            }
            out
        }
        RelKind::Values { .. } => Vec::new(),
        other => panic!("views do not use {other:?}"),
    }
}

/// Membership in a relation becomes membership in its values.
fn resolve(e: &mut Expr, tables: &HashMap<String, Json>) {
    if let ExprKind::InRelation { value, relation, ignore_case } = &e.kind {
        let first = relation.schema.columns[0].name.to_string();
        let values = run(relation, tables)
            .into_iter()
            .map(|mut r| Expr::literal(r.remove(&first).unwrap_or_default(), Span::default()));
        let args = std::iter::once((**value).clone()).chain(values).collect();
        *e = Expr::known(if *ignore_case { "in_ci" } else { "in" }, args, Span::default());
    }
    e.children_mut().into_iter().for_each(|c| resolve(c, tables));
}
