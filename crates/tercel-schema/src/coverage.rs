//! Which columns of a view the data at hand can fill. A rule that tests a column nobody fills is not
//! wrong, but its silence means nothing; the footer says so.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
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
    ViewGaps::new(present).of(rel)
}

/// Asks many plans for the [`view_gaps`]. What the tables fill of a view is worked out once: thousands of
/// rules read the same few.
pub struct ViewGaps<'p> {
    present: &'p dyn Fn(&str) -> bool,
    /// Of views: the columns that stay empty. By the address of their bodies, which are kept.
    unfilled: HashMap<usize, (Arc<Rel>, Vec<Name>)>,
}

impl<'p> ViewGaps<'p> {
    /// With the tables that are present.
    pub fn new(present: &'p dyn Fn(&str) -> bool) -> ViewGaps<'p> {
        ViewGaps { present, unfilled: HashMap::new() }
    }

    /// See [`view_gaps`].
    pub fn of(&mut self, rel: &Rel) -> Vec<ViewGap> {
        let mut out = Vec::new();
        self.gaps(rel, &HashSet::new(), &mut out);
        out
    }

    fn gaps(&mut self, rel: &Rel, used: &HashSet<Name>, out: &mut Vec<ViewGap>) {
        if let RelKind::View { name, body } = &rel.kind {
            let address = Arc::as_ptr(body) as usize;
            let made = || (body.clone(), unfilled(body, self.present));
            let (_, empty) = self.unfilled.entry(address).or_insert_with(made);
            let columns: Vec<Name> = empty.iter().filter(|c| used.contains(*c)).cloned().collect();
            match out.iter_mut().find(|g| g.view == *name) {
                Some(g) => {
                    let new: Vec<Name> = columns.into_iter().filter(|c| !g.columns.contains(c)).collect();
                    g.columns.extend(new);
                }
                None if columns.is_empty() => {}
                None => out.push(ViewGap { view: name.clone(), columns }),
            }
            return;
        }
        // With nothing missing in the view, what is asked of it need not be known.
        if let RelKind::Filter { input, .. } = &rel.kind
            && let RelKind::View { body, .. } = &input.kind
            && let Some((_, empty)) = self.unfilled.get(&(Arc::as_ptr(body) as usize))
            && empty.is_empty()
            && !rel.expressions().into_iter().any(asks_relations)
        {
            return;
        }
        let mut used = used.clone();
        for e in rel.expressions() {
            read(e, &mut used);
            inner(e, &mut |r| self.gaps(r, &HashSet::new(), out));
        }
        for i in rel.inputs() {
            self.gaps(i, &used, out);
        }
    }
}

/// Adds the columns that an expression reads.
fn read(e: &Expr, used: &mut HashSet<Name>) {
    if let ExprKind::Column(name) = &e.kind
        && !used.contains(name)
    {
        used.insert(name.clone());
    }
    e.parts().for_each(|p| read(p, used));
}

fn asks_relations(e: &Expr) -> bool {
    matches!(e.kind, ExprKind::Scalar(_) | ExprKind::InRelation { .. }) || e.parts().any(asks_relations)
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
