//! From the intermediate representation back to a query: what lowering does, the other way round.
//!
//! Everything is said exactly or refused: lowering the tree that comes out gives a relation that means the
//! same. What KQL has no words for (a text that is null rather than empty, a glob, a CIDR test that is
//! false where there is no address) is said with what it has, where that is the same; a function that only
//! views know becomes the usual expression for it.

mod expr;
mod layout;

pub use expr::expression;
pub use layout::layout;

use crate::ast::{
    Ast, Expr, ExprKind, NamedExpr, Node, Operator, OperatorKind, Pipeline, SortKey, StatementKind,
};
use tercel_ir::{Diagnostic, ExprKind as Ir, Name, Rel, RelKind, Span};

/// Relations inside each other beyond this are refused.
const MAX_DEPTH: usize = 200;

/// What could not be said, as an error for the user.
pub(crate) fn unsaid(what: impl Into<String>) -> Diagnostic {
    Diagnostic::error("not-in-kql", format!("KQL has no way to say {}", what.into()))
}

pub(crate) fn node<T>(kind: T) -> Node<T> {
    Node::new(kind, Span::default())
}

/// A relation of scans, views, filters, computed columns, projections, unions, orders and limits as a query.
///
/// # Errors
/// When the relation holds something that KQL, or this direction, has no words for.
pub fn raise(rel: &Rel) -> Result<Ast, Diagnostic> {
    let query = relation(rel, 0)?;
    Ok(Ast { statements: vec![node(StatementKind::Query(query))], depth: nesting(rel) })
}

/// How deep brackets will stand inside each other, at most.
fn nesting(rel: &Rel) -> u32 {
    let own = rel.expressions().into_iter().map(expr::depth_of).max().unwrap_or(0);
    let inner = rel.inputs().into_iter().map(nesting).max().unwrap_or(0);
    // A view is printed as its name.
    let inner = if matches!(rel.kind, RelKind::View { .. }) { 0 } else { inner };
    own.max(inner + u32::from(matches!(rel.kind, RelKind::Union { .. })))
}

fn relation(rel: &Rel, depth: usize) -> Result<Expr, Diagnostic> {
    let mut operators = Vec::new();
    let source = pipeline(rel, &mut operators, depth)?;
    if operators.is_empty() {
        return Ok(source);
    }
    Ok(node(ExprKind::Pipeline(Box::new(Pipeline { source: Some(source), operators }))))
}

/// The operators of a chain, in order; the result is where it begins.
fn pipeline(rel: &Rel, out: &mut Vec<Operator>, depth: usize) -> Result<Expr, Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(unsaid("so many operators inside each other"));
    }
    match &rel.kind {
        RelKind::Scan { table } => Ok(node(ExprKind::Name(table.clone()))),
        // A call with its defaults is written as the bare name.
        RelKind::View { name, .. } => {
            Ok(node(ExprKind::Name(name.strip_suffix("()").map_or_else(|| name.clone(), Name::from))))
        }
        RelKind::Filter { input, predicate } => {
            let source = pipeline(input, out, depth + 1)?;
            let conjuncts = match &predicate.kind {
                Ir::And(items) if !items.is_empty() => items.as_slice(),
                _ => std::slice::from_ref(predicate),
            };
            for c in conjuncts {
                let value = expression(c)?;
                let predicate = NamedExpr { names: Vec::new(), value };
                out.push(node(OperatorKind::Where { parameters: Vec::new(), predicate }));
            }
            Ok(source)
        }
        RelKind::Extend { input, columns } => {
            let source = pipeline(input, out, depth + 1)?;
            let named = columns.iter().map(|(n, e)| named(n, e)).collect::<Result<_, _>>()?;
            out.push(node(OperatorKind::Extend(named)));
            Ok(source)
        }
        RelKind::Project { input, columns } => {
            let source = pipeline(input, out, depth + 1)?;
            let named = columns.iter().map(|(n, e)| named(n, e)).collect::<Result<_, _>>()?;
            out.push(node(OperatorKind::Project(named)));
            Ok(source)
        }
        RelKind::Limit { input, skip: 0, count } => {
            let source = pipeline(input, out, depth + 1)?;
            let count = i64::try_from(*count).map_err(|_| unsaid("so large a limit"))?;
            let count = node(ExprKind::Literal(crate::ast::Literal::Long(count)));
            out.push(node(OperatorKind::Take { parameters: Vec::new(), count }));
            Ok(source)
        }
        RelKind::Sort { input, keys } => {
            let source = pipeline(input, out, depth + 1)?;
            let mut sorted = Vec::with_capacity(keys.len());
            for k in keys {
                let value = NamedExpr { names: Vec::new(), value: expression(&k.expr)? };
                // Kusto puts nulls first in ascending order and last in descending order.
                let nulls_first = (k.nulls_first == k.descending).then_some(k.nulls_first);
                sorted.push(SortKey { value, ascending: Some(!k.descending), nulls_first });
            }
            out.push(node(OperatorKind::Sort { parameters: Vec::new(), keys: sorted }));
            Ok(source)
        }
        RelKind::Union { inputs, tag: None } => {
            let tables = inputs.iter().map(|i| relation(i, depth + 1)).collect::<Result<_, _>>()?;
            let operators = vec![node(OperatorKind::Union { parameters: Vec::new(), tables })];
            let pipeline = Pipeline { source: None, operators };
            Ok(node(ExprKind::Pipeline(Box::new(pipeline))))
        }
        RelKind::Values { .. } => Err(unsaid("rows written down, here")),
        RelKind::Aggregate { .. } => Err(unsaid("an aggregation, here")),
        RelKind::Join { .. } => Err(unsaid("a join, here")),
        RelKind::Union { .. } => Err(unsaid("a union that names its inputs, here")),
        RelKind::Unnest { .. } => Err(unsaid("an expansion of arrays, here")),
        RelKind::Limit { .. } => Err(unsaid("rows to be skipped")),
    }
}

fn named(name: &Name, e: &tercel_ir::Expr) -> Result<NamedExpr, Diagnostic> {
    let value = expr::column(e)?;
    let same = matches!(&value.node, ExprKind::Name(n) if n == name);
    Ok(NamedExpr { names: if same { Vec::new() } else { vec![node(name.clone())] }, value })
}
