//! From relations to branches: for each table that a rule reads, one formula over the table's own columns
//! and the output columns as expressions over them.
//!
//! Views are flattened once, whoever reads them: thousands of rules share a handful. A reference to a
//! column is resolved to the expression behind it through the view's *environment*; a predicate is never
//! copied with its columns replaced.

use crate::compile::Compiler;
use crate::formula;
use crate::hash::FastMap;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, Schema, Span, Type, Value};

/// A relation that the rule-set program does not run. The engine can.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotHere {
    /// What stands in the way, in words.
    pub reason: String,
}

impl NotHere {
    pub(crate) fn new(reason: impl Into<String>) -> NotHere {
        NotHere { reason: reason.into() }
    }
}

impl std::fmt::Display for NotHere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Operators and expressions nested deeper than this are left to the engine.
pub(crate) const MAX_DEPTH: usize = 400;
/// Nodes of one expression with all its columns replaced.
const MAX_NODES: usize = 50_000;
/// Branches of one relation.
const MAX_BRANCHES: usize = 1_000;

/// An expression over native columns, and its number of nodes.
pub(crate) struct Native {
    pub(crate) expr: Expr,
    size: usize,
}

/// What the names of a relation's columns mean.
pub(crate) struct Env {
    kind: EnvKind,
    resolved: RefCell<FastMap<(Name, Type), Arc<Native>>>,
}

enum EnvKind {
    /// The table itself.
    Table(Schema),
    /// Expressions are native already.
    Same,
    /// New columns over those of another environment, which shine through if it is given.
    Columns { columns: HashMap<Name, Arc<Native>>, below: Option<Rc<Env>> },
    /// Only these of another environment.
    Only { names: Vec<Name>, below: Rc<Env> },
}

fn hidden_type(name: &str) -> Option<Type> {
    Some(match name {
        "$time" => Type::DateTime,
        "$record" => Type::Long,
        "$source" | "$event" => Type::String,
        _ => return None,
    })
}

/// Whether values of one type are values of the other as they are.
fn same_form(a: Type, b: Type) -> bool {
    use Type::{Decimal, Guid, Int, Long, Real, String};
    a == b
        || matches!(
            (a, b),
            (Int | Long, Int | Long) | (Real | Decimal, Real | Decimal) | (String | Guid, String | Guid)
        )
}

/// The expression brought to a type. A case without branches does nothing else.
fn as_type(n: Arc<Native>, ty: Type) -> Arc<Native> {
    if same_form(n.expr.ty, ty) {
        return n;
    }
    let span = n.expr.span;
    let kind = ExprKind::Case { branches: vec![], otherwise: Box::new(n.expr.clone()) };
    Arc::new(Native { expr: Expr { kind, ty, span }, size: n.size + 1 })
}

impl Env {
    fn of(kind: EnvKind) -> Rc<Env> {
        Rc::new(Env { kind, resolved: RefCell::default() })
    }

    pub(crate) fn same() -> Env {
        Env { kind: EnvKind::Same, resolved: RefCell::default() }
    }

    /// The native expression behind a reference to a column. One that is not there is null.
    pub(crate) fn resolve(&self, name: &Name, ty: Type) -> Arc<Native> {
        if let Some(n) = self.resolved.borrow().get(&(name.clone(), ty)) {
            return n.clone();
        }
        let leaf = |expr| Arc::new(Native { expr, size: 1 });
        let null = || leaf(Expr::null(ty, Span::default()));
        let column = |ty| leaf(Expr::column(name.clone(), ty, Span::default()));
        let found = match &self.kind {
            EnvKind::Same => column(ty),
            EnvKind::Table(schema) => match schema.get(name).map(|c| c.ty).or_else(|| hidden_type(name)) {
                Some(have) => as_type(column(have), ty),
                None if schema.open => column(ty),
                None => null(),
            },
            EnvKind::Columns { columns, below } => match (columns.get(name), below) {
                (Some(n), _) => as_type(n.clone(), ty),
                (None, Some(below)) => below.resolve(name, ty),
                (None, None) => null(),
            },
            EnvKind::Only { names, below } if names.contains(name) => below.resolve(name, ty),
            EnvKind::Only { .. } => null(),
        };
        self.resolved.borrow_mut().insert((name.clone(), ty), found.clone());
        found
    }
}

/// One way to a row of a relation.
#[derive(Clone)]
pub(crate) struct Branch {
    pub(crate) table: Name,
    /// When an event of the table gives a row.
    pub(crate) formula: u32,
    /// The columns of the row.
    pub(crate) env: Rc<Env>,
}

/// The flattened views of one compilation, by the address of their shared bodies.
#[derive(Default)]
pub(crate) struct Views {
    by_body: HashMap<usize, Result<Rc<Vec<Branch>>, NotHere>>,
    /// Keeps the addresses taken.
    held: Vec<Arc<Rel>>,
}

impl Compiler {
    /// The branches of a relation.
    pub(crate) fn flatten(&mut self, rel: &Rel, depth: usize) -> Result<Rc<Vec<Branch>>, NotHere> {
        if depth > MAX_DEPTH {
            return Err(NotHere::new(format!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        let operator =
            |what: &str| Err(NotHere::new(format!("it has {what}, which no single event decides")));
        match &rel.kind {
            RelKind::Scan { table } => {
                let env = self.scan_env(table, &rel.schema);
                Ok(Rc::new(vec![Branch { table: table.clone(), formula: formula::TRUE, env }]))
            }
            RelKind::View { body, .. } => {
                let key = Arc::as_ptr(body) as usize;
                if let Some(known) = self.views.by_body.get(&key) {
                    return known.clone();
                }
                let branches = self.flatten(body, depth + 1);
                self.views.held.push(body.clone());
                self.views.by_body.insert(key, branches.clone());
                branches
            }
            RelKind::Values { rows } if rows.is_empty() => Ok(Rc::new(Vec::new())),
            RelKind::Values { .. } => Err(NotHere::new("it has literal rows")),
            RelKind::Filter { input, predicate } => {
                let inner = self.flatten(input, depth + 1)?;
                let mut out = Vec::with_capacity(inner.len());
                for b in inner.iter() {
                    let p = self.truth(predicate, &b.env, true, 0)?;
                    let formula = self.formulas.and(vec![b.formula, p]);
                    if formula != formula::FALSE {
                        out.push(Branch { table: b.table.clone(), formula, env: b.env.clone() });
                    }
                }
                Ok(Rc::new(out))
            }
            RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
                let inner = self.flatten(input, depth + 1)?;
                let keeps = matches!(rel.kind, RelKind::Extend { .. });
                let mut out = Vec::with_capacity(inner.len());
                for b in inner.iter() {
                    let mut named = HashMap::with_capacity(columns.len());
                    for (name, e) in columns {
                        named.insert(name.clone(), self.native(e, &b.env)?);
                    }
                    let below = keeps.then(|| b.env.clone());
                    let env = Env::of(EnvKind::Columns { columns: named, below });
                    out.push(Branch { env, ..b.clone() });
                }
                Ok(Rc::new(out))
            }
            RelKind::Union { inputs, tag } => {
                let mut out: Vec<Branch> = Vec::new();
                for (i, input) in inputs.iter().enumerate() {
                    let inner = self.flatten(input, depth + 1)?;
                    if out.len() + inner.len() > MAX_BRANCHES {
                        return Err(NotHere::new(format!("it unites more than {MAX_BRANCHES} relations")));
                    }
                    for b in inner.iter() {
                        let mut b = b.clone();
                        if rel.schema.open && !input.schema.open {
                            // Columns that another input leaves open are not this one's.
                            let names = input.schema.columns.iter().map(|c| c.name.clone()).collect();
                            b.env = Env::of(EnvKind::Only { names, below: b.env });
                        }
                        if let Some((name, labels)) = tag {
                            let label = labels.get(i).map_or(Value::Null, |l| Value::str(l.as_str()));
                            let label = Expr { ty: Type::String, ..Expr::literal(label, Span::default()) };
                            let named = [(name.clone(), Arc::new(Native { expr: label, size: 1 }))];
                            let below = Some(b.env);
                            b.env = Env::of(EnvKind::Columns { columns: named.into(), below });
                        }
                        out.push(b);
                    }
                }
                Ok(Rc::new(out))
            }
            RelKind::Aggregate { .. } => operator("an aggregation"),
            RelKind::Join { .. } => operator("a join"),
            RelKind::Sort { .. } => operator("an order"),
            RelKind::Limit { .. } => operator("a limit"),
            RelKind::Unnest { .. } => Err(NotHere::new("it makes several rows of one event")),
        }
    }

    /// Scans of a table with the same columns share an environment.
    fn scan_env(&mut self, table: &Name, schema: &Schema) -> Rc<Env> {
        let known = self.scans.iter().find(|(t, s, _)| t == table && s == schema);
        if let Some((_, _, env)) = known {
            return env.clone();
        }
        let env = Env::of(EnvKind::Table(schema.clone()));
        self.scans.push((table.clone(), schema.clone(), env.clone()));
        env
    }

    /// An expression over native columns.
    pub(crate) fn native(&mut self, e: &Expr, env: &Env) -> Result<Arc<Native>, NotHere> {
        if let ExprKind::Column(name) = &e.kind {
            return Ok(env.resolve(name, e.ty));
        }
        let mut size = 0;
        let expr = replaced(e, env, &mut size, 0)?;
        Ok(Arc::new(Native { expr, size }))
    }
}

fn replaced(e: &Expr, env: &Env, size: &mut usize, depth: usize) -> Result<Expr, NotHere> {
    if depth > MAX_DEPTH {
        return Err(NotHere::new(format!("an expression is nested more than {MAX_DEPTH} levels deep")));
    }
    *size += 1;
    if *size > MAX_NODES {
        return Err(NotHere::new(format!("an expression unfolds to more than {MAX_NODES} parts")));
    }
    let mut sub = |e: &Expr| replaced(e, env, size, depth + 1);
    let kind = match &e.kind {
        ExprKind::Column(name) => {
            let n = env.resolve(name, e.ty);
            *size += n.size;
            if *size > MAX_NODES {
                return Err(NotHere::new(format!("an expression unfolds to more than {MAX_NODES} parts")));
            }
            return Ok(n.expr.clone());
        }
        ExprKind::Literal(v) => ExprKind::Literal(v.clone()),
        ExprKind::And(items) => ExprKind::And(items.iter().map(sub).collect::<Result<_, _>>()?),
        ExprKind::Or(items) => ExprKind::Or(items.iter().map(sub).collect::<Result<_, _>>()?),
        ExprKind::Not(inner) => ExprKind::Not(Box::new(sub(inner)?)),
        ExprKind::Call(f, args) => ExprKind::Call(f, args.iter().map(sub).collect::<Result<_, _>>()?),
        ExprKind::Case { branches, otherwise } => {
            let mut out = Vec::with_capacity(branches.len());
            for (c, t) in branches {
                out.push((sub(c)?, sub(t)?));
            }
            ExprKind::Case { branches: out, otherwise: Box::new(sub(otherwise)?) }
        }
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => return Err(asks_relation()),
    };
    Ok(Expr { kind, ty: e.ty, span: e.span })
}

pub(crate) fn asks_relation() -> NotHere {
    NotHere::new("a predicate asks another relation")
}
