//! The ways from a table to a row of a relation, operator by operator, and the values on the way.
//!
//! Unlike the rule-set program, nothing is replaced or merged here: every filter stays as it was written,
//! with its place in the text and the view that it stands in, because that is what is to be explained.

use super::NoExplanation;
use crate::eval::{canonical, eval};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, Schema, Type, Value};

/// Operators and expressions nested deeper than this are not explained.
pub(super) const MAX_DEPTH: usize = 400;
/// Most ways of one relation that are told apart.
const MAX_PATHS: usize = 1_000;

/// One way from a table to a row.
pub(super) struct Path<'r> {
    pub table: &'r str,
    pub schema: &'r Schema,
    /// Views on the way, the outermost first.
    pub views: Vec<&'r str>,
    /// What happens to a row, from the table upwards.
    pub layers: Vec<Layer<'r>>,
}

pub(super) enum Layer<'r> {
    /// Only rows for which this is true. In a view, its name.
    Filter { predicate: &'r Expr, view: Option<&'r str> },
    /// New columns; the others stay if `keeps`.
    Columns { columns: &'r [(Name, Expr)], keeps: bool },
    /// Only these columns: where a union is open, what it leaves open is not there in an input that is not.
    Only { schema: &'r Schema },
    /// A column with the label of the input of a union.
    Label { name: &'r Name, label: Option<&'r str> },
}

/// All ways of a relation, or those from one table.
pub(super) fn paths<'r>(rel: &'r Rel, table: Option<&str>) -> Result<Vec<Path<'r>>, NoExplanation> {
    let mut out = Vec::new();
    down(rel, table, None, 0, &mut out)?;
    Ok(out)
}

fn down<'r>(
    rel: &'r Rel,
    table: Option<&str>,
    view: Option<&'r str>,
    depth: usize,
    out: &mut Vec<Path<'r>>,
) -> Result<(), NoExplanation> {
    if depth > MAX_DEPTH {
        return Err(NoExplanation(format!("it is nested more than {MAX_DEPTH} levels deep")));
    }
    let from = out.len();
    let several = |what: &str| Err(NoExplanation(format!("it has {what}, which no single event decides")));
    match &rel.kind {
        RelKind::Scan { table: t } => {
            if table.is_none_or(|w| w == &**t) {
                if out.len() >= MAX_PATHS {
                    return Err(NoExplanation(format!("it unites more than {MAX_PATHS} relations")));
                }
                out.push(Path { table: t, schema: &rel.schema, views: vec![], layers: vec![] });
            }
        }
        RelKind::Values { rows } if rows.is_empty() => {}
        RelKind::Values { .. } => return Err(NoExplanation("it has literal rows".into())),
        RelKind::View { name, body } => {
            down(body, table, Some(name), depth + 1, out)?;
            out[from..].iter_mut().for_each(|p| p.views.insert(0, name));
        }
        RelKind::Filter { input, predicate } => {
            down(input, table, view, depth + 1, out)?;
            out[from..].iter_mut().for_each(|p| p.layers.push(Layer::Filter { predicate, view }));
        }
        RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
            down(input, table, view, depth + 1, out)?;
            let keeps = matches!(rel.kind, RelKind::Extend { .. });
            out[from..].iter_mut().for_each(|p| p.layers.push(Layer::Columns { columns, keeps }));
        }
        RelKind::Union { inputs, tag } => {
            for (i, input) in inputs.iter().enumerate() {
                let from = out.len();
                down(input, table, view, depth + 1, out)?;
                if rel.schema.open && !input.schema.open {
                    out[from..].iter_mut().for_each(|p| p.layers.push(Layer::Only { schema: &input.schema }));
                }
                if let Some((name, labels)) = tag {
                    let label = labels.get(i).map(String::as_str);
                    out[from..].iter_mut().for_each(|p| p.layers.push(Layer::Label { name, label }));
                }
            }
        }
        // An order does not decide whether an event is a hit.
        RelKind::Sort { input, .. } => down(input, table, view, depth + 1, out)?,
        RelKind::Aggregate { .. } => return several("an aggregation"),
        RelKind::Join { .. } => return several("a join"),
        RelKind::Limit { .. } => return several("a limit"),
        RelKind::Unnest { .. } => return Err(NoExplanation("it makes several rows of one event".into())),
    }
    Ok(())
}

/// What a column of a row is.
#[derive(Clone, Default)]
pub(super) struct Cell {
    pub value: Value,
    /// The table's columns that it is made of.
    pub native: BTreeSet<Name>,
    /// The column of the table whose value it is, unchanged.
    pub direct: Option<Name>,
}

/// A row at some height of a path.
pub(super) struct Row<'p, 'e> {
    path: &'p Path<'p>,
    event: Option<&'e dyn Fn(&str) -> Value>,
    /// Columns made on the way.
    made: HashMap<Name, Rc<Cell>>,
    /// Columns of the table that were asked for: a rule with thousands of values asks for the same.
    read: RefCell<HashMap<Name, Rc<Cell>>>,
    /// Columns that were not made come from the table.
    open: bool,
    ctx: Context,
}

impl<'p, 'e> Row<'p, 'e> {
    /// The row as it comes from the table. Without an event all values are null, and only the columns
    /// that things are made of mean something.
    pub(super) fn new(path: &'p Path<'p>, event: Option<&'e dyn Fn(&str) -> Value>) -> Row<'p, 'e> {
        Row {
            path,
            event,
            made: HashMap::new(),
            read: RefCell::default(),
            open: true,
            ctx: Context::default(),
        }
    }

    /// What a column is.
    pub(super) fn cell(&self, name: &str) -> Rc<Cell> {
        if let Some(c) = self.made.get(name) {
            return c.clone();
        }
        let column = self.path.schema.get(name);
        let there = column.is_some() || self.path.schema.open || name.starts_with('$');
        if !self.open || !there {
            return Rc::default();
        }
        if let Some(c) = self.read.borrow().get(name) {
            return c.clone();
        }
        let mut value = self.event.map_or(Value::Null, |e| e(name));
        if let Some(c) = column {
            value = canonical(value, c.ty);
        }
        let name = Name::from(name);
        let cell =
            Rc::new(Cell { value, native: BTreeSet::from([name.clone()]), direct: Some(name.clone()) });
        self.read.borrow_mut().insert(name, cell.clone());
        cell
    }

    /// The value of an expression.
    pub(super) fn eval(&self, e: &Expr) -> Value {
        eval(e, &|n| self.cell(n).value.clone(), &self.ctx)
    }

    /// The table's columns that an expression is made of.
    pub(super) fn native(&self, e: &Expr) -> BTreeSet<Name> {
        columns(e).iter().flat_map(|n| self.cell(n).native.clone()).collect()
    }

    /// Makes the columns of a layer. All of them see the row before.
    pub(super) fn make(&mut self, layer: &Layer<'_>) {
        match layer {
            Layer::Filter { .. } => {}
            Layer::Only { schema } => {
                let only: Vec<(Name, Rc<Cell>)> =
                    schema.columns.iter().map(|c| (c.name.clone(), self.cell(&c.name))).collect();
                self.made = only.into_iter().collect();
                self.open = false;
            }
            Layer::Label { name, label } => {
                let value = label.map_or(Value::Null, Value::str);
                self.made.insert((*name).clone(), Rc::new(Cell { value, ..Cell::default() }));
            }
            Layer::Columns { columns, keeps } => {
                let new: Vec<(Name, Rc<Cell>)> = columns
                    .iter()
                    .map(|(name, e)| {
                        let direct = e.as_column().and_then(|n| self.cell(n).direct.clone());
                        let cell = Cell { value: self.eval(e), native: self.native(e), direct };
                        (name.clone(), Rc::new(cell))
                    })
                    .collect();
                if !keeps {
                    self.made.clear();
                    self.open = false;
                }
                self.made.extend(new);
            }
        }
    }
}

/// The columns that an expression names, each once, in order.
pub(super) fn columns(e: &Expr) -> Vec<Name> {
    let mut all = Vec::new();
    e.columns(&mut all);
    let mut out: Vec<Name> = Vec::new();
    for (n, _) in all {
        if !out.contains(&n) {
            out.push(n);
        }
    }
    out
}

/// That an expression can be walked without deep recursion, and if it is to be `decided`, that one row
/// does so.
pub(super) fn check(e: &Expr, decided: bool, depth: usize) -> Result<(), NoExplanation> {
    if depth > MAX_DEPTH {
        return Err(NoExplanation(format!("an expression is nested more than {MAX_DEPTH} levels deep")));
    }
    if decided && let Some(tables) = asked(e) {
        return Err(NoExplanation(format!(
            "what it does with such an event depends on other events, those of {tables}"
        )));
    }
    e.children().into_iter().try_for_each(|c| check(c, decided, depth + 1))
}

/// The tables that an expression itself asks, if it asks a relation.
pub(super) fn asked(e: &Expr) -> Option<String> {
    let (ExprKind::Scalar(r) | ExprKind::InRelation { relation: r, .. }) = &e.kind else { return None };
    let tables = r.tables();
    Some(if tables.is_empty() { "a list".into() } else { tables.join(", ") })
}

/// Whether a value is true, false or neither.
pub(super) fn truth(v: Value) -> Option<bool> {
    match canonical(v, Type::Bool) {
        Value::Bool(b) => Some(b),
        _ => None,
    }
}
