//! The text of a raised query as an author lays it out: long lists and disjunctions over several lines.

use crate::ast::{Ast, Expr, ExprKind, NamedExpr, OperatorKind, Statement, StatementKind};
use crate::print::print;

/// Lines longer than this are broken where they can be.
const WIDTH: usize = 110;

/// Prints a query. Reading the text gives the same tree as that of [`crate::print`].
pub fn layout(ast: &Ast) -> String {
    let [Statement { node: StatementKind::Query(query), .. }] = ast.statements.as_slice() else {
        return print(ast);
    };
    let ExprKind::Pipeline(p) = &query.node else { return print(ast) };
    let Some(source) = &p.source else { return print(ast) };
    let mut out = one(source, ast.depth);
    for o in &p.operators {
        out.push_str("\n| ");
        match &o.node {
            OperatorKind::Where { parameters, predicate: NamedExpr { names, value } }
                if parameters.is_empty() && names.is_empty() =>
            {
                out.push_str("where ");
                out.push_str(&broken(value, 4, "| where ".len(), ast.depth));
            }
            OperatorKind::Extend(list) | OperatorKind::Project(list) if list.len() > 1 => {
                out.push_str(if matches!(o.node, OperatorKind::Extend(_)) { "extend" } else { "project" });
                let items: Vec<String> = list.iter().map(|n| named(n, ast.depth)).collect();
                let line = items.join(", ");
                if line.len() + 10 <= WIDTH {
                    out.push(' ');
                    out.push_str(&line);
                } else {
                    out.push_str("\n    ");
                    out.push_str(&items.join(",\n    "));
                }
            }
            _ => {
                let alone = crate::ast::Pipeline { source: None, operators: vec![o.clone()] };
                let alone = crate::raise::node(ExprKind::Pipeline(Box::new(alone)));
                out.push_str(&one(&alone, ast.depth));
            }
        }
    }
    out
}

/// One expression on one line.
fn one(e: &Expr, depth: u32) -> String {
    let statement = crate::raise::node(StatementKind::Query(e.clone()));
    print(&Ast { statements: vec![statement], depth })
}

fn named(n: &NamedExpr, depth: u32) -> String {
    let value = one(&n.value, depth);
    match n.names.as_slice() {
        [] => value,
        [name] => format!("{} = {value}", one(&crate::raise::node(ExprKind::Name(name.node.clone())), depth)),
        _ => value,
    }
}

/// An expression that begins at column `at`; further lines are indented. Depth is that of the tree, which
/// the raising bounds.
fn broken(e: &Expr, indent: usize, at: usize, depth: u32) -> String {
    let line = one(e, depth);
    if at + line.len() <= WIDTH {
        return line;
    }
    let margin = format!("\n{}", " ".repeat(indent));
    match &e.node {
        ExprKind::Or(items) => {
            let parts: Vec<String> = items.iter().map(|i| broken(i, indent + 4, indent + 3, depth)).collect();
            parts.join(&format!("{margin}or "))
        }
        ExprKind::And(items) => {
            let part = |i: &Expr| match &i.node {
                ExprKind::Or(_) => format!("({})", broken(i, indent + 8, indent + 5, depth)),
                _ => broken(i, indent + 4, indent + 4, depth),
            };
            items.iter().map(part).collect::<Vec<_>>().join(&format!("{margin}and "))
        }
        ExprKind::List { op, left, items } => {
            let mut head = one(left, depth);
            // What needs brackets in front of an operator does not get this far in a list of conditions.
            if !matches!(left.node, ExprKind::Name(_) | ExprKind::Call(_) | ExprKind::Path { .. }) {
                head = format!("({head})");
            }
            let mut out = format!("{head} {} (", op.node.as_str());
            let mut width = WIDTH;
            for (i, item) in items.iter().enumerate() {
                let text = one(item, depth);
                if width + text.len() + 2 > WIDTH {
                    out.push_str(&margin);
                    width = indent;
                } else if i > 0 {
                    out.push(' ');
                }
                width += text.len() + 2;
                out.push_str(&text);
                if i + 1 < items.len() {
                    out.push(',');
                }
            }
            out.push(')');
            out
        }
        ExprKind::Call(c) if &*c.name.node == "not" && c.arguments.len() == 1 => {
            format!("not({})", broken(&c.arguments[0].value, indent, at + 4, depth))
        }
        _ => line,
    }
}
