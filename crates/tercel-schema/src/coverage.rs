//! Which columns of a view the data at hand can fill. A rule that tests a column nobody fills is not
//! wrong, but its silence means nothing; the footer says so.

use std::collections::{HashMap, HashSet};
use tercel_ir::{Domain, Expr, ExprKind, Name, Rel, RelKind, Value};

/// A view in a plan, with columns that the plan reads and no present table can fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewGap {
    pub view: Name,
    pub columns: Vec<Name>,
}

/// Output columns of a relation that no present table can fill, in order; empty when no table that it
/// reads is present (then there is no data to speak of).
pub fn unfilled(rel: &Rel, present: &dyn Fn(&str) -> bool) -> Vec<Name> {
    let filled = fill(rel, present);
    if !filled.alive {
        return Vec::new();
    }
    rel.schema.columns.iter().map(|c| &c.name).filter(|n| !filled.has(n)).cloned().collect()
}

/// For every view in a plan: the columns that the plan refers to above the view and no present table can fill.
pub fn view_gaps(rel: &Rel, present: &dyn Fn(&str) -> bool) -> Vec<ViewGap> {
    let mut out = Vec::new();
    gaps(rel, &HashSet::new(), present, &mut out);
    out
}

fn gaps(rel: &Rel, used: &HashSet<Name>, present: &dyn Fn(&str) -> bool, out: &mut Vec<ViewGap>) {
    if let RelKind::View { name, body } = &rel.kind {
        let columns: Vec<Name> = unfilled(body, present).into_iter().filter(|c| used.contains(c)).collect();
        match out.iter_mut().find(|g| g.view == *name) {
            Some(g) => {
                g.columns.extend(columns.into_iter().filter(|c| !g.columns.contains(c)).collect::<Vec<_>>())
            }
            None if columns.is_empty() => {}
            None => out.push(ViewGap { view: name.clone(), columns }),
        }
        return;
    }
    let mut used = used.clone();
    for e in rel.expressions() {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        used.extend(columns.into_iter().map(|(n, _)| n));
        inner(e, &mut |r| gaps(r, &HashSet::new(), present, out));
    }
    for i in rel.inputs() {
        gaps(i, &used, present, out);
    }
}

/// The relations inside an expression.
fn inner(e: &Expr, f: &mut dyn FnMut(&Rel)) {
    match &e.kind {
        ExprKind::Scalar(r) => f(r),
        ExprKind::InRelation { relation, .. } => f(relation),
        _ => {}
    }
    for c in e.children() {
        inner(c, f);
    }
}

/// What a relation's columns hold under the present tables.
struct Filled {
    /// Some table that feeds the relation is present.
    alive: bool,
    columns: HashMap<Name, bool>,
    /// Columns that are not listed come from an open table.
    open: bool,
}

impl Filled {
    fn has(&self, column: &str) -> bool {
        self.columns.get(column).copied().unwrap_or(self.open)
    }
}

fn fill(rel: &Rel, present: &dyn Fn(&str) -> bool) -> Filled {
    match &rel.kind {
        RelKind::Scan { table } => {
            let alive = present(table);
            let columns = rel
                .schema
                .columns
                .iter()
                .map(|c| (c.name.clone(), alive && c.domain != Some(Domain::Never)))
                .collect();
            Filled { alive, columns, open: alive && rel.schema.open }
        }
        RelKind::Values { rows } => {
            let held = |i: usize| rows.iter().any(|r| r.get(i).is_some_and(|v| !empty(v)));
            let columns =
                rel.schema.columns.iter().enumerate().map(|(i, c)| (c.name.clone(), held(i))).collect();
            Filled { alive: !rows.is_empty(), columns, open: false }
        }
        RelKind::View { body, .. } => fill(body, present),
        RelKind::Filter { input, .. } | RelKind::Sort { input, .. } | RelKind::Limit { input, .. } => {
            fill(input, present)
        }
        RelKind::Extend { input, columns } => {
            let mut f = fill(input, present);
            let new: Vec<(Name, bool)> = columns.iter().map(|(n, e)| (n.clone(), fills(e, &f))).collect();
            f.columns.extend(new);
            f
        }
        RelKind::Project { input, columns } => {
            let f = fill(input, present);
            let columns = columns.iter().map(|(n, e)| (n.clone(), fills(e, &f))).collect();
            Filled { alive: f.alive, columns, open: false }
        }
        RelKind::Union { inputs, .. } => {
            let mut out = Filled { alive: false, columns: HashMap::new(), open: false };
            for f in inputs.iter().map(|i| fill(i, present)).filter(|f| f.alive) {
                out.alive = true;
                out.open |= f.open;
                for (n, has) in f.columns {
                    *out.columns.entry(n).or_default() |= has;
                }
            }
            out
        }
        // Views have none of these; taken as filling all they name.
        RelKind::Aggregate { .. } | RelKind::Join { .. } | RelKind::Unnest { .. } => {
            let alive = rel.inputs().iter().any(|i| fill(i, present).alive);
            Filled {
                alive,
                columns: rel.schema.columns.iter().map(|c| (c.name.clone(), alive)).collect(),
                open: false,
            }
        }
    }
}

fn empty(v: &Value) -> bool {
    matches!(v, Value::Null) || matches!(v, Value::Str(s) if s.is_empty())
}

/// Whether an expression can give anything: a branch of a case that can, a literal, a call of which an
/// argument that can (a constant argument alone does not count: `tolower(x)` with an unfilled `x`).
fn fills(e: &Expr, input: &Filled) -> bool {
    match &e.kind {
        ExprKind::Literal(v) => input.alive && !empty(v),
        ExprKind::Column(n) => input.has(n),
        ExprKind::Case { branches, otherwise } => {
            branches.iter().any(|(_, t)| fills(t, input)) || fills(otherwise, input)
        }
        _ => {
            let mut columns = Vec::new();
            e.columns(&mut columns);
            input.alive && (columns.is_empty() || columns.iter().any(|(n, _)| input.has(n)))
        }
    }
}
