//! From the intermediate representation back to a search: what lowering does, the other way round.
//!
//! Sumo Logic's conditions are true or false, never null, and most of its operators regard case; KQL's and
//! Sigma's are the other way round. So a test that ignores case looks at `toLowerCase(field)`, and callers
//! hand in predicates whose negations stand only around what is never null (a comparison and its opposite
//! are both false of a null, which is right in a filter).

mod condition;
mod value;

pub use condition::{condition, ipv6_pattern};

use crate::ast::{At, Expr, ExprKind, Name, Operator, Query, Scope, ScopeOp, Stage, Term, TermPart, Text};
use tercel_ir::{Diagnostic, ExprKind as Ir, Rel, RelKind, Span, Value};

/// Operators inside each other beyond this are refused.
const MAX_DEPTH: usize = 200;

/// What could not be said, as an error for the user.
pub(crate) fn unsaid(what: impl Into<String>) -> Diagnostic {
    Diagnostic::error("not-in-sumo", format!("Sumo Logic has no way to say {}", what.into()))
}

pub(crate) fn at() -> At {
    At(Span::default())
}

pub(crate) fn expr(kind: ExprKind) -> Expr {
    Expr { kind, at: at() }
}

pub(crate) fn name(text: &str) -> Name {
    Name { text: text.to_owned(), at: at() }
}

/// A string literal. Refused when it would read as a template's parameter.
pub(crate) fn quoted(s: &str) -> Result<Text, Diagnostic> {
    if crate::parameters(s).next().is_some() {
        return Err(
            unsaid(format!("the text `{s}`")).meaning("double braces are parameters of a template there")
        );
    }
    let mut raw = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '\\' | '"' => {
                raw.push('\\');
                raw.push(c);
            }
            '\n' => raw.push_str("\\n"),
            '\r' => raw.push_str("\\r"),
            '\t' => raw.push_str("\\t"),
            c => raw.push(c),
        }
    }
    Ok(Text { raw, quote: '"', at: at() })
}

/// Filters, computed fields and projections over the records as a search. Tests of metadata and of whole
/// numbers that come first become the scope, which is what Sumo Logic finds records by.
///
/// # Errors
/// When the relation holds something that Sumo Logic, or this direction, has no words for.
pub fn raise(rel: &Rel) -> Result<Query, Diagnostic> {
    let mut query = Query { scope: None, stages: Vec::new(), at: at() };
    let mut scope = Vec::new();
    stages(rel, &mut scope, &mut query.stages, 0)?;
    query.scope = Some(match scope.len() {
        0 => Scope::Term(word("*")),
        1 => scope.remove(0),
        _ => Scope::And(scope),
    });
    Ok(query)
}

fn stages(rel: &Rel, scope: &mut Vec<Scope>, out: &mut Vec<Stage>, depth: usize) -> Result<(), Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(unsaid("so many operators inside each other"));
    }
    let mut push = |op: Operator| out.push(Stage { op, at: at() });
    match &rel.kind {
        RelKind::Scan { .. } | RelKind::View { .. } => {}
        RelKind::Filter { input, predicate } => {
            stages(input, scope, out, depth + 1)?;
            let conjuncts = match &predicate.kind {
                Ir::And(items) if !items.is_empty() => items.as_slice(),
                _ => std::slice::from_ref(predicate),
            };
            for c in conjuncts {
                match in_scope(c).filter(|_| out.is_empty()) {
                    Some(s) => scope.push(s?),
                    None => out.push(Stage { op: Operator::Where(condition(c)?), at: at() }),
                }
            }
        }
        RelKind::Extend { input, columns } => {
            stages(input, scope, out, depth + 1)?;
            for (n, e) in columns {
                let expr = value::value(e, 0)?;
                out.push(Stage {
                    op: Operator::Compute { expr, name: Some(name(n)), eval: false },
                    at: at(),
                });
            }
        }
        RelKind::Project { input, columns } => {
            stages(input, scope, out, depth + 1)?;
            let mut names = Vec::with_capacity(columns.len());
            for (n, e) in columns {
                if e.as_column() != Some(n) {
                    let expr = value::value(e, 0)?;
                    out.push(Stage {
                        op: Operator::Compute { expr, name: Some(name(n)), eval: false },
                        at: at(),
                    });
                }
                names.push(name(n));
            }
            out.push(Stage { op: Operator::Fields { remove: false, names }, at: at() });
        }
        RelKind::Limit { input, skip: 0, count } => {
            stages(input, scope, out, depth + 1)?;
            out.push(Stage { op: Operator::Limit(expr(ExprKind::Number(count.to_string()))), at: at() });
        }
        RelKind::Union { inputs, .. } if inputs.len() == 1 => stages(&inputs[0], scope, out, depth + 1)?,
        _ => {
            push(Operator::Error);
            return Err(unsaid("what is no filter, here"));
        }
    }
    Ok(())
}

fn word(text: &str) -> Term {
    Term { parts: vec![TermPart::Word(text.to_owned())], at: at() }
}

/// A value of the scope: bare where it reads as one word without wildcards.
fn scope_value(text: &str) -> Result<Term, Diagnostic> {
    let bare = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if bare {
        return Ok(word(text));
    }
    Ok(Term { parts: vec![TermPart::Quoted(quoted(text)?)], at: at() })
}

/// A conjunct that the scope can say: it compares whole values without regard to case.
fn in_scope(e: &tercel_ir::Expr) -> Option<Result<Scope, Diagnostic>> {
    let Ir::Call(f, args) = &e.kind else { return None };
    let [left, right] = args.as_slice() else { return None };
    let column = left.as_column().filter(|c| !c.starts_with('$'))?;
    let text = match (f.name, right.as_literal()?) {
        ("eq_ci", Value::Str(s)) if column.starts_with('_') && !s.is_empty() => s.clone(),
        ("eq", Value::Long(n)) if left.ty.is_integer() => n.to_string(),
        _ => return None,
    };
    Some(scope_value(&text).map(|value| Scope::Field {
        name: name(column),
        op: ScopeOp::Eq,
        value,
        at: at(),
    }))
}
