//! A filter taken apart: the relation that it starts from, what its columns are, and what must hold.

use crate::tree::rebuilt;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use tercel_ir::{Diagnostic, Expr, ExprKind, Name, Rel, RelKind, Schema, Type};

/// Relations inside each other beyond this are refused.
const MAX_DEPTH: usize = 100;
/// Nodes of an expression beyond this are refused: substitution multiplies.
pub(crate) const MAX_NODES: usize = 200_000;

/// A filter over one relation.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    /// Where it starts: a table or a view.
    pub base: Name,
    pub schema: Schema,
    /// Computed columns over those of the base; `None` for a projection that lacks the column. Columns that
    /// are not listed are the base's own, unless the filter ends in a projection.
    pub columns: Arc<HashMap<Name, Expr>>,
    pub projected: bool,
    /// All must be true.
    pub conditions: Vec<Expr>,
    /// What does not change which events are found.
    pub notes: Vec<String>,
    /// Columns that hold a path in some rows and a file name alone in others.
    pub bare: Vec<Name>,
}

impl Flat {
    fn new(base: Name, schema: Schema) -> Flat {
        Flat {
            base,
            schema,
            columns: Arc::default(),
            projected: false,
            conditions: Vec::new(),
            notes: Vec::new(),
            bare: Vec::new(),
        }
    }

    /// A column of the result in terms of the base's; `None` where the result has no such column.
    pub fn column(&self, name: &Name, ty: Type) -> Option<Expr> {
        match self.columns.get(name) {
            Some(e) => Some(e.clone()),
            // The whole event stays with its row.
            None if name.starts_with('$') => Some(Expr::column(name.clone(), ty, tercel_ir::Span::default())),
            None if self.projected => None,
            None => {
                let own = self.schema.get(name);
                if own.is_none() && !self.schema.open {
                    return None;
                }
                Some(Expr::column(name.clone(), own.map_or(ty, |c| c.ty), tercel_ir::Span::default()))
            }
        }
    }

    /// An expression over the result's columns in terms of the base's; columns that it lacks are null.
    fn own(&self, e: &Expr) -> Result<Expr, Diagnostic> {
        if deep(e) {
            return Err(too_large());
        }
        let out = substitute(e, &|n, ty| self.column(n, ty).unwrap_or_else(|| Expr::null(ty, e.span)));
        if deep(&out) || size(&out) > MAX_NODES { Err(too_large()) } else { Ok(out) }
    }
}

pub(crate) fn too_large() -> Diagnostic {
    Diagnostic::error("too-large", "the detection unfolds to more than can be converted")
}

/// Whether an expression is nested beyond what may be walked by recursion; told without any.
fn deep(e: &Expr) -> bool {
    const MOST: usize = 300;
    let mut left = vec![(e, 0)];
    while let Some((e, depth)) = left.pop() {
        if depth > MOST {
            return true;
        }
        left.extend(e.children().into_iter().map(|c| (c, depth + 1)));
    }
    false
}

/// Nodes of an expression.
pub(crate) fn size(e: &Expr) -> usize {
    1 + e.children().into_iter().map(size).sum::<usize>()
}

/// An expression with its columns replaced.
pub(crate) fn substitute(e: &Expr, column: &dyn Fn(&Name, Type) -> Expr) -> Expr {
    if let ExprKind::Column(n) = &e.kind {
        return column(n, e.ty);
    }
    rebuilt(e, |c| substitute(c, column))
}

/// Takes a relation apart down to its view or table. With `table`, views are opened and of a union the one
/// input is followed that reads this table.
///
/// # Errors
/// When the relation does more than filter.
pub(crate) fn flatten(rel: &Rel, table: Option<&str>) -> Result<Flat, Diagnostic> {
    walk(rel, table, 0)
}

fn walk(rel: &Rel, table: Option<&str>, depth: usize) -> Result<Flat, Diagnostic> {
    if depth > MAX_DEPTH {
        return Err(too_large());
    }
    let d = depth + 1;
    Ok(match &rel.kind {
        RelKind::Scan { table: own } => match table {
            Some(t) if t != &**own => {
                return Err(Diagnostic::error("no-such-table", "no part of the view reads the table"));
            }
            _ => Flat::new(own.clone(), rel.schema.clone()),
        },
        RelKind::View { name, .. } if table.is_none() => Flat::new(name.clone(), rel.schema.clone()),
        RelKind::View { body, .. } => opened(body, table, d)?,
        RelKind::Filter { input, predicate } => {
            let mut f = walk(input, table, d)?;
            let p = f.own(predicate)?;
            f.conditions.push(p);
            f
        }
        RelKind::Extend { input, columns } => {
            let mut f = walk(input, table, d)?;
            let new = columns.iter().map(|(n, e)| Ok((n.clone(), f.own(e)?)));
            let new = new.collect::<Result<Vec<_>, Diagnostic>>()?;
            Arc::make_mut(&mut f.columns).extend(new);
            f
        }
        RelKind::Project { input, columns } => {
            let mut f = walk(input, table, d)?;
            let new = columns.iter().map(|(n, e)| Ok((n.clone(), f.own(e)?)));
            f.columns = Arc::new(new.collect::<Result<_, Diagnostic>>()?);
            f.projected = true;
            f
        }
        RelKind::Sort { input, .. } => {
            let mut f = walk(input, table, d)?;
            f.notes.push("the order of the results".into());
            f
        }
        RelKind::Limit { input, .. } => {
            let mut f = walk(input, table, d)?;
            f.notes.push("the limit on the number of results".into());
            f
        }
        RelKind::Union { inputs, .. } => {
            let mut reading = inputs.iter().filter(|i| match table {
                Some(t) => scans(i, t),
                None => true,
            });
            match (reading.next(), reading.next()) {
                (Some(one), None) => {
                    let mut f = walk(one, table, d)?;
                    // The union has the columns of all its inputs; this one has only its own.
                    if !f.schema.open {
                        f.projected |= f.columns.is_empty();
                        if f.columns.is_empty() {
                            let own = f.schema.columns.clone();
                            let column = |c: &tercel_ir::Column| {
                                (
                                    c.name.clone(),
                                    Expr::column(c.name.clone(), c.ty, tercel_ir::Span::default()),
                                )
                            };
                            f.columns = Arc::new(own.iter().map(column).collect());
                        }
                    }
                    f
                }
                (None, _) => {
                    return Err(Diagnostic::error("no-such-table", "no part of the view reads the table"));
                }
                _ => return Err(refusal("a union of tables")),
            }
        }
        RelKind::Aggregate { .. } => return Err(refusal("an aggregation")),
        RelKind::Join { .. } => return Err(refusal("a join")),
        RelKind::Unnest { .. } => return Err(refusal("an expansion of arrays")),
        RelKind::Values { .. } => return Err(refusal("a table that is written down")),
    })
}

type Tables = Arc<[Name]>;

/// Views that were opened, by where their bodies are in memory; they are held, so that no other can come to
/// stand there. Thousands of rules look through the same few.
#[derive(Default)]
struct Opened {
    bodies: HashMap<usize, (Arc<Rel>, Option<Tables>)>,
    flats: HashMap<(usize, Name), Result<Flat, Diagnostic>>,
}

thread_local! {
    static OPENED: RefCell<Opened> = RefCell::default();
}

/// Views that are remembered.
const MAX_OPENED: usize = 256;

fn remembered<T>(body: &Arc<Rel>, what: impl FnOnce(usize, &mut Opened) -> T) -> T {
    OPENED.with_borrow_mut(|o| {
        if o.bodies.len() >= MAX_OPENED {
            *o = Opened::default();
        }
        let at = Arc::as_ptr(body) as usize;
        o.bodies.entry(at).or_insert_with(|| (body.clone(), None));
        what(at, o)
    })
}

/// A view's body taken apart, once.
fn opened(body: &Arc<Rel>, table: Option<&str>, depth: usize) -> Result<Flat, Diagnostic> {
    // Deeper ones could have met the limit of this walk only.
    let Some(t) = table.filter(|_| depth <= 8) else { return walk(body, table, depth) };
    let name = Name::from(t);
    if let Some(f) = remembered(body, |at, o| o.flats.get(&(at, name.clone())).cloned()) {
        return f;
    }
    let made = walk(body, table, depth);
    remembered(body, |at, o| o.flats.insert((at, name), made.clone()));
    made
}

/// The tables that a relation reads.
pub(crate) fn tables(rel: &Rel) -> Arc<[Name]> {
    let RelKind::View { body, .. } = &rel.kind else { return rel.tables().into() };
    if let Some(t) = remembered(body, |at, o| o.bodies.get(&at).and_then(|b| b.1.clone())) {
        return t;
    }
    let made: Arc<[Name]> = body.tables().into();
    remembered(body, |at, o| o.bodies.insert(at, (body.clone(), Some(made.clone()))));
    made
}

/// Whether a relation reads a table, not counting tables inside expressions.
fn scans(rel: &Rel, table: &str) -> bool {
    match &rel.kind {
        RelKind::Scan { table: t } => &**t == table,
        _ => rel.inputs().into_iter().any(|i| scans(i, table)),
    }
}

fn refusal(what: &str) -> Diagnostic {
    Diagnostic::error("not-a-filter", format!("the detection has {what}"))
        .meaning("only detections that look at one event at a time are converted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tercel_ir::Span;

    #[test]
    fn deep_expressions_are_refused() {
        let at = Span::default();
        let mut e = Expr::boolean(true, at);
        for _ in 0..1000 {
            e = Expr::not(e, at);
        }
        let scan = Rel { kind: RelKind::Scan { table: "T".into() }, schema: Schema::default(), span: at };
        assert!(flatten(&scan.clone().filter(e, at), None).is_err());
        assert!(flatten(&scan.filter(Expr::boolean(true, at), at), None).is_ok());
    }
}
