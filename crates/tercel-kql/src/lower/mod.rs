//! Syntax tree to relational algebra: names are bound, functions inlined, constants folded, and KQL's
//! own rules (no null strings, two-valued equality, names of unnamed columns) spelt out.
//!
//! An expression that cannot be lowered becomes a null and an error, so that one run reports many
//! errors; a table that cannot be lowered ends its pipeline.

mod aggregate;
mod call;
mod compare;
mod join;
mod known;
mod literals;
mod names;
mod operator;
mod parse_op;
mod rows;
mod scalar;
mod search;
mod source;
mod union;

pub(crate) use names::wildcard_matches;

use crate::ast::{Ast, Function, Node, Parameter, ParameterType, Statement, StatementKind};
use crate::literal;
use crate::stack::with_room;
use rows::Rows;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use tercel_ir::{Catalog, Diagnostic, Diagnostics, Expr, ExprKind, Name, Rel, Span, Value};

/// How to lower.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The text is the body of a view, not a user's query: what only concerns its author
    /// (a `render` that does nothing) is not reported.
    pub as_view: bool,
    /// Values of query parameters (`declare query_parameters`), by name.
    pub parameters: BTreeMap<String, Value>,
}

/// Turns a query into a relation. `None` when something in it could not be lowered; the findings then
/// hold at least one error.
pub fn lower(ast: &Ast, catalog: &dyn Catalog, options: &Options) -> (Option<Rel>, Diagnostics) {
    with_room(ast.depth, || lower_here(ast, catalog, options)).unwrap_or_else(|| {
        let mut found = Diagnostics::new();
        found.push(Diagnostic::error("nesting-too-deep", "this query is nested too deeply to be lowered"));
        (None, found)
    })
}

fn lower_here(ast: &Ast, catalog: &dyn Catalog, options: &Options) -> (Option<Rel>, Diagnostics) {
    let mut lowerer = Lowerer {
        catalog,
        options,
        diagnostics: Diagnostics::new(),
        bindings: Vec::new(),
        env: None,
        inlining: Vec::new(),
        calls: 0,
        budget: MAX_NODES,
        undeclared: HashSet::new(),
        case_sensitive: false,
        probes: Cell::new(0),
        tabular: RefCell::default(),
    };
    let rel = lowerer.query(ast).map(|rows| rows.rel);
    let rel = if lowerer.diagnostics.has_errors() { None } else { rel };
    (rel, lowerer.diagnostics)
}

/// Nodes that `let` names and functions may put into the result; a chain of doublings (`let b = union
/// a, a; let c = union b, b; …`) must not take all memory.
const MAX_NODES: usize = 1_000_000;
/// Calls of user-defined and stored functions in one query.
const MAX_CALLS: usize = 5_000;
/// Functions inside functions.
const MAX_CALL_DEPTH: usize = 24;
/// How deep an expression that a `let` names may be: names in names add up.
const MAX_EXPR_DEPTH: usize = 200;
/// Operators one after the other, and relations in relations.
const MAX_REL_DEPTH: usize = 250;

/// What a name stands for.
#[derive(Clone)]
enum Binding {
    /// A value; `items` are the elements when it is a constant array, each with its own place.
    Scalar { expr: Expr, items: Option<Rc<Vec<Expr>>>, size: usize },
    /// A table.
    Table(Rc<Rows>),
    /// A function, and what it can see.
    Function { function: Rc<Function>, scope: Scope },
}

/// The latest visible binding; older ones follow through the chain.
type Scope = Option<usize>;

struct Bound {
    name: Name,
    binding: Binding,
    previous: Scope,
}

struct Lowerer<'a> {
    catalog: &'a dyn Catalog,
    options: &'a Options,
    diagnostics: Diagnostics,
    /// All bindings ever made; scopes are chains through them.
    bindings: Vec<Bound>,
    env: Scope,
    /// Stored functions being inlined: inside its own body, such a name means the native table.
    inlining: Vec<String>,
    calls: usize,
    budget: usize,
    /// Columns of open tables that are used without being declared.
    undeclared: HashSet<Name>,
    /// Inside `search kind=case_sensitive`.
    case_sensitive: bool,
    /// Steps left in telling whether an expression is a table.
    probes: Cell<u32>,
    /// Which functions give tables, by the address of the function, which `bindings` keeps alive.
    tabular: RefCell<HashMap<*const Function, bool>>,
}

/// What a scalar expression can see of its surroundings.
#[derive(Clone, Copy)]
struct Context<'r> {
    /// The row, if there is one.
    row: Option<&'r Rows>,
    /// Both sides of a join's condition, for `$left` and `$right`.
    sides: Option<(&'r Rows, &'r Rows)>,
    /// Inside `search`: a bare string is a term.
    search: bool,
}

impl<'r> Context<'r> {
    const NONE: Context<'static> = Context { row: None, sides: None, search: false };

    fn row(row: &'r Rows) -> Context<'r> {
        Context { row: Some(row), sides: None, search: false }
    }
}

/// A table that could not be lowered; reported.
struct Failed;

type Lowered<T> = Result<T, Failed>;

impl Lowerer<'_> {
    fn report(&mut self, d: Diagnostic) {
        if self.diagnostics.len() < 200 {
            self.diagnostics.push(d);
        }
    }

    fn error(&mut self, code: &'static str, message: impl Into<String>, span: Span) {
        self.report(Diagnostic::error(code, message).at(span));
    }

    fn unsupported_operator(&mut self, name: &str, span: Span) -> Failed {
        self.report(
            Diagnostic::error("unsupported-operator", format!("operator `{name}` is not supported yet"))
                .at(span)
                .label("this part cannot run"),
        );
        Failed
    }

    fn bind(&mut self, name: Name, binding: Binding) {
        self.bindings.push(Bound { name, binding, previous: self.env });
        self.env = Some(self.bindings.len() - 1);
    }

    /// Binds a value.
    fn bind_scalar(&mut self, name: Name, expr: Expr, items: Option<Rc<Vec<Expr>>>) {
        let size = expr_size(&expr);
        self.bind(name, Binding::Scalar { expr, items, size });
    }

    fn lookup(&self, name: &str) -> Option<&Binding> {
        let mut at = self.env;
        while let Some(i) = at {
            let b = &self.bindings[i];
            if &*b.name == name {
                return Some(&b.binding);
            }
            at = b.previous;
        }
        None
    }

    /// Names that are visible now.
    fn visible(&self) -> Vec<Name> {
        let mut out = Vec::new();
        let mut at = self.env;
        while let Some(i) = at {
            out.push(self.bindings[i].name.clone());
            at = self.bindings[i].previous;
        }
        out
    }

    /// Takes `nodes` from the budget.
    fn spend(&mut self, nodes: usize, span: Span) -> Lowered<()> {
        if self.budget < nodes {
            self.error(
                "query-too-large",
                "names and functions used in each other make this query too large",
                span,
            );
            return Err(Failed);
        }
        self.budget -= nodes;
        Ok(())
    }

    fn query(&mut self, ast: &Ast) -> Option<Rows> {
        let mut result: Option<(Rows, Span)> = None;
        for s in &ast.statements {
            match self.statement(s) {
                Ok(None) => {}
                Ok(Some(rows)) => {
                    if result.is_some() {
                        self.report(
                            Diagnostic::error(
                                "unsupported-statement",
                                "a text with several queries is not supported yet",
                            )
                            .at(s.span)
                            .label("a second query")
                            .help("put each query into a text of its own, or join them with `union`"),
                        );
                    }
                    result.get_or_insert((rows, s.span));
                }
                // Statements do not depend on each other's success, except through names.
                Err(Failed) => {}
            }
        }
        if result.is_none() && !self.diagnostics.has_errors() {
            self.report(Diagnostic::error("no-query", "this text holds no query"));
        }
        result.map(|r| r.0)
    }

    /// A statement; the rows when it is a query.
    fn statement(&mut self, s: &Statement) -> Lowered<Option<Rows>> {
        match &s.node {
            StatementKind::Let { name, value } => {
                let binding = self.let_value(value)?;
                self.bind(name.node.clone(), binding);
            }
            StatementKind::Function { name, function } => {
                let binding = Binding::Function { function: Rc::new(function.clone()), scope: self.env };
                self.bind(name.node.clone(), binding);
            }
            StatementKind::QueryParameters(list) => self.query_parameters(list),
            StatementKind::Set { name, .. } => {
                // Options steer the service (limits, caches); none changes what a query means, but for
                // these, which redefine time.
                if matches!(
                    &*name.node,
                    "query_now" | "query_datetimescope_column" | "query_datetimescope_from"
                ) || &*name.node == "query_datetimescope_to"
                {
                    self.error(
                        "unsupported-statement",
                        format!(
                            "`set {}` changes which rows the query sees and is not supported yet",
                            name.node
                        ),
                        s.span,
                    );
                }
            }
            StatementKind::Query(e) => return self.table(e).map(Some),
            StatementKind::Pattern(_) => self.unsupported_statement("declare pattern", s.span),
            StatementKind::Restrict(_) => self.unsupported_statement("restrict access", s.span),
            StatementKind::Alias { .. } => self.unsupported_statement("alias database", s.span),
            StatementKind::Error => self.error("syntax", "this statement could not be read", s.span),
        }
        Ok(None)
    }

    fn unsupported_statement(&mut self, name: &str, span: Span) {
        self.error("unsupported-statement", format!("statement `{name}` is not supported yet"), span);
    }

    fn let_value(&mut self, value: &Node<crate::ast::ExprKind>) -> Lowered<Binding> {
        if self.is_table(value) {
            // `let f = g;` gives a function another name.
            if let crate::ast::ExprKind::Name(n) = &value.node
                && let Some(b @ Binding::Function { .. }) = self.lookup(n)
            {
                return Ok(b.clone());
            }
            let rows = self.table(value)?;
            return Ok(Binding::Table(Rc::new(rows)));
        }
        // Bound even after errors, so that its uses are not reported as unknown names too.
        let expr = self.scalar(value, Context::NONE);
        if depth(&expr) > MAX_EXPR_DEPTH {
            self.error(
                "nesting-too-deep",
                "names used in each other make this expression too deep",
                value.span,
            );
            return Err(Failed);
        }
        let items = literals::array_items(value, self);
        let size = expr_size(&expr);
        Ok(Binding::Scalar { expr, items, size })
    }

    fn query_parameters(&mut self, list: &[Parameter]) {
        for p in list {
            let ParameterType::Scalar(ty) = &p.ty else {
                self.error("unsupported-statement", "a query parameter cannot be a table", p.name.span);
                continue;
            };
            let given = self.options.parameters.get(&*p.name.node).cloned();
            let expr = match (given, &p.default) {
                (Some(v), _) => {
                    Expr { kind: ExprKind::Literal(v.coerce(ty.node)), ty: ty.node, span: p.name.span }
                }
                (None, Some(d)) => self.scalar(d, Context::NONE),
                (None, None) => {
                    self.error(
                        "missing-parameter",
                        format!("no value is given for `{}`", p.name.node),
                        p.name.span,
                    );
                    Expr::null(ty.node, p.name.span)
                }
            };
            self.bind_scalar(p.name.node.clone(), expr, None);
        }
    }
}

/// How deep an expression is, not counting relations inside it.
fn depth(e: &Expr) -> usize {
    1 + e.children().into_iter().map(depth).max().unwrap_or(0)
}

/// Nodes of an expression, relations inside it included.
fn expr_size(e: &Expr) -> usize {
    let inner = match &e.kind {
        ExprKind::Scalar(r) => rel_size(r),
        ExprKind::InRelation { relation, .. } => rel_size(relation),
        ExprKind::Literal(v) => value_size(v),
        _ => 0,
    };
    1 + inner + e.children().into_iter().map(expr_size).sum::<usize>()
}

/// Nodes of a relation.
fn rel_size(r: &Rel) -> usize {
    let values = match &r.kind {
        tercel_ir::RelKind::Values { rows } => rows.iter().flatten().map(|v| 1 + value_size(v)).sum(),
        _ => 0,
    };
    1 + values
        + r.schema.columns.len()
        + r.expressions().into_iter().map(expr_size).sum::<usize>()
        + r.inputs().into_iter().map(rel_size).sum::<usize>()
}

/// What a value takes beside its node, in nodes' worth of memory.
fn value_size(v: &Value) -> usize {
    fn json(j: &serde_json::Value) -> usize {
        1 + match j {
            serde_json::Value::String(s) => s.len() / 64,
            serde_json::Value::Array(a) => a.iter().map(json).sum(),
            serde_json::Value::Object(m) => m.iter().map(|(k, v)| k.len() / 64 + json(v)).sum(),
            _ => 0,
        }
    }
    match v {
        Value::Str(s) => s.len() / 64,
        Value::Dynamic(j) => json(j),
        _ => 0,
    }
}

/// The value of a timespan literal.
fn timespan(text: &str) -> Value {
    literal::timespan_literal(text).map_or(Value::Null, Value::TimeSpan)
}
