//! Where rows come from: names, calls, literals, pipelines.

use super::call::Outcome;
use super::{Binding, Context, Failed, Lowered, Lowerer, MAX_REL_DEPTH, Rows, Scope, rel_size};
use crate::ast::{
    self, Call, ColumnDecl, DataTable, ExprKind as Ast, Function, Literal, ParameterType, Pipeline,
    Statement, StatementKind, Step,
};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tercel_ir::{Column, Diagnostic, Expr, ExprKind, Name, Rel, RelKind, Schema, Span, Type, Value};

/// Steps that telling tables from values may take.
const PROBES: u32 = 20_000;

impl Lowerer<'_> {
    /// Whether an expression is a table. Says nothing about whether it can be lowered.
    pub(super) fn is_table(&self, e: &ast::Expr) -> bool {
        self.probes.set(PROBES);
        self.is_table_in(e, &HashMap::new(), self.env, 32)
    }

    fn is_table_in(&self, e: &ast::Expr, locals: &HashMap<Name, bool>, scope: Scope, fuel: u32) -> bool {
        // Functions that mention each other many times would be looked at again and again.
        self.probes.set(self.probes.get().saturating_sub(1));
        if fuel == 0 || self.probes.get() == 0 {
            return false;
        }
        match &e.node {
            Ast::Pipeline(_) | Ast::DataTable(_) | Ast::ExternalData(_) => true,
            Ast::Name(n) => match (locals.get(n), self.lookup_from(scope, n)) {
                (Some(table), _) => *table,
                (None, Some(Binding::Table(_))) => true,
                (None, Some(Binding::Scalar { .. })) => false,
                (None, Some(Binding::Function { function, scope })) => {
                    self.gives_table(function, *scope, fuel - 1)
                }
                (None, None) => self.catalog.relation(n).is_some() || self.catalog.function(n).is_some(),
            },
            Ast::Call(c) => {
                match (&*c.name.node, locals.get(&c.name.node), self.lookup_from(scope, &c.name.node)) {
                    (_, Some(table), _) => *table,
                    (_, _, Some(Binding::Function { function, scope })) => {
                        self.gives_table(function, *scope, fuel - 1)
                    }
                    ("materialize", ..) => c
                        .arguments
                        .first()
                        .is_some_and(|a| self.is_table_in(&a.value, locals, scope, fuel - 1)),
                    ("table" | "totable" | "external_table" | "materialized_view", ..) => true,
                    (name, ..) => self.catalog.function(name).is_some(),
                }
            }
            Ast::Path { base, steps } => {
                matches!(&base.node, Ast::Call(c) if matches!(&*c.name.node, "database" | "cluster" | "workspace" | "app"))
                    && !steps.is_empty()
            }
            _ => false,
        }
    }

    /// Whether a function's result is a table. A function's scope never changes, so neither does this.
    fn gives_table(&self, f: &Rc<Function>, scope: Scope, fuel: u32) -> bool {
        let key = Rc::as_ptr(f);
        if let Some(known) = self.tabular.borrow().get(&key) {
            return *known;
        }
        let mut locals: HashMap<Name, bool> = f
            .parameters
            .iter()
            .map(|p| (p.name.node.clone(), matches!(p.ty, ParameterType::Table(_))))
            .collect();
        let table = self.body_is_table(&f.body, &mut locals, scope, fuel);
        if self.probes.get() > 0 {
            self.tabular.borrow_mut().insert(key, table);
        }
        table
    }

    fn body_is_table(
        &self,
        body: &[Statement],
        locals: &mut HashMap<Name, bool>,
        scope: Scope,
        fuel: u32,
    ) -> bool {
        if fuel == 0 {
            return false;
        }
        let mut result = false;
        for s in body {
            match &s.node {
                StatementKind::Let { name, value } => {
                    let table = self.is_table_in(value, locals, scope, fuel);
                    locals.insert(name.node.clone(), table);
                }
                StatementKind::Function { name, function } => {
                    let mut inner = locals.clone();
                    for p in &function.parameters {
                        inner.insert(p.name.node.clone(), matches!(p.ty, ParameterType::Table(_)));
                    }
                    let table = self.body_is_table(&function.body, &mut inner, scope, fuel - 1);
                    locals.insert(name.node.clone(), table);
                }
                StatementKind::Query(e) => result = self.is_table_in(e, locals, scope, fuel),
                _ => {}
            }
        }
        result
    }

    fn lookup_from(&self, scope: Scope, name: &str) -> Option<&Binding> {
        let mut at = scope;
        while let Some(i) = at {
            if &*self.bindings[i].name == name {
                return Some(&self.bindings[i].binding);
            }
            at = self.bindings[i].previous;
        }
        None
    }

    /// Any tabular expression.
    pub(super) fn table(&mut self, e: &ast::Expr) -> Lowered<Rows> {
        match &e.node {
            Ast::Name(n) => self.table_by_name(n, e.span),
            Ast::Pipeline(p) => self.pipeline(p, None, e.span),
            Ast::DataTable(t) => self.datatable(t, e.span),
            Ast::Call(c) => self.table_call(c, e.span),
            Ast::Path { base, steps } => self.remote(base, steps, e.span),
            Ast::ExternalData(_) => Err(self.unsupported_operator("externaldata", e.span)),
            Ast::EntityGroup(_) => Err(self.unsupported_operator("entity_group", e.span)),
            Ast::Error => Err(self.not_read(e.span)),
            _ => {
                self.report(
                    Diagnostic::error("value-as-table", "a value stands where a table is needed")
                        .at(e.span)
                        .help("`print` makes a table of values"),
                );
                Err(Failed)
            }
        }
    }

    fn not_read(&mut self, span: Span) -> Failed {
        self.error("syntax", "this part could not be read", span);
        Failed
    }

    /// A pipeline; `input` stands in for the source that subqueries do without.
    pub(super) fn pipeline(&mut self, p: &Pipeline, input: Option<Rows>, span: Span) -> Lowered<Rows> {
        let mut rows = match (&p.source, input) {
            (Some(s), _) => Some(self.table(s)?),
            (None, input) => input,
        };
        for o in &p.operators {
            let next = match rows {
                Some(r) => self.operator(o, r)?,
                None => self.head_operator(o)?,
            };
            if next.depth > MAX_REL_DEPTH {
                self.error("nesting-too-deep", "too many operators one after the other", o.span);
                return Err(Failed);
            }
            rows = Some(next);
        }
        match rows {
            Some(r) => Ok(r),
            None => Err(self.not_read(span)),
        }
    }

    pub(super) fn table_by_name(&mut self, name: &str, span: Span) -> Lowered<Rows> {
        match self.lookup(name) {
            Some(Binding::Table(rows)) => {
                let rows = rows.clone();
                self.spend(rel_size(&rows.rel), span)?;
                return Ok((*rows).clone());
            }
            Some(Binding::Function { function, scope }) => {
                let (function, scope) = (function.clone(), *scope);
                return self.expect_table(name, span, |l| {
                    l.call_user(&function, scope, name, &[], None, span, Context::NONE)
                });
            }
            Some(Binding::Scalar { .. }) => {
                self.error(
                    "value-as-table",
                    format!("`{name}` is a value, and a table is needed here"),
                    span,
                );
                return Err(Failed);
            }
            None => {}
        }
        match self.catalog.relation(name) {
            Some(Ok(mut rel)) => {
                self.spend(rel_size(&rel), span)?;
                rel.span = span;
                return Ok(Rows::new(rel, Some(name.into())));
            }
            Some(Err(d)) => {
                let d = if d.span.is_none() { d.at(span) } else { d };
                self.report(d);
                return Err(Failed);
            }
            None => {}
        }
        if let Some(stored) = self.stored(name) {
            return self.call_stored(&stored, &[], span, Context::NONE);
        }
        self.unknown_table(name, span);
        Err(Failed)
    }

    /// A stored function, unless its own body is being inlined.
    fn stored(&self, name: &str) -> Option<tercel_ir::StoredFunction> {
        if self.inlining.iter().any(|n| n == name) {
            return None;
        }
        self.catalog.function(name).cloned()
    }

    fn expect_table(
        &mut self,
        name: &str,
        span: Span,
        call: impl FnOnce(&mut Self) -> Lowered<Outcome>,
    ) -> Lowered<Rows> {
        match call(self)? {
            Outcome::Table(rows) => Ok(rows),
            Outcome::Value(_) => {
                self.error(
                    "value-as-table",
                    format!("`{name}` gives a value, and a table is needed here"),
                    span,
                );
                Err(Failed)
            }
        }
    }

    fn unknown_table(&mut self, name: &str, span: Span) {
        let names = self.catalog.names();
        let visible = self.visible();
        let near = tercel_ir::diag::nearest(
            name,
            names.iter().map(String::as_str).chain(visible.iter().map(|n| &**n)),
        );
        let d = Diagnostic::error("unknown-table", format!("there is no table `{name}`")).at(span);
        self.report(match near {
            Some(n) => d.label("no such table, view or `let`").help(format!("did you mean {n}?")),
            None => d.label("no such table, view or `let`"),
        });
    }

    /// A call where a table is needed.
    fn table_call(&mut self, c: &Call, span: Span) -> Lowered<Rows> {
        let name = &*c.name.node;
        if let Some(Binding::Function { function, scope }) = self.lookup(name) {
            let (function, scope) = (function.clone(), *scope);
            return self.expect_table(name, span, |l| {
                l.call_user(&function, scope, name, &c.arguments, None, span, Context::NONE)
            });
        }
        match name {
            "materialize" | "totable" if c.arguments.len() == 1 => return self.table(&c.arguments[0].value),
            "table" if !c.arguments.is_empty() => {
                let Some(table) = self.constant_text(&c.arguments[0].value) else {
                    self.error("bad-arguments", "`table` needs a constant name", c.arguments[0].value.span);
                    return Err(Failed);
                };
                return self.table_by_name(&table, span);
            }
            "view" | "toscalar" => {}
            _ => {}
        }
        if let Some(stored) = self.stored(name) {
            return self.call_stored(&stored, &c.arguments, span, Context::NONE);
        }
        // A view without parameters may be called like a function.
        if c.arguments.is_empty() && self.catalog.relation(name).is_some() {
            return self.table_by_name(name, span);
        }
        if super::known::DOCUMENTED.contains(&name) {
            self.error("unsupported-function", format!("function `{name}` is not supported yet"), span);
        } else {
            self.unknown_function(name, c.name.span);
        }
        Err(Failed)
    }

    /// `database("x").T`, `cluster("x").database("y").T`: there is one place to look here.
    fn remote(&mut self, base: &ast::Expr, steps: &[Step], span: Span) -> Lowered<Rows> {
        let is_place = |c: &Call| {
            matches!(&*c.name.node, "database" | "cluster" | "workspace" | "app" | "adx" | "arg" | "resource")
        };
        let Ast::Call(c) = &base.node else {
            self.error("value-as-table", "a value stands where a table is needed", span);
            return Err(Failed);
        };
        if !is_place(c) {
            self.error("value-as-table", "a value stands where a table is needed", span);
            return Err(Failed);
        }
        let mut rest = steps;
        while let Some((Step::Call(next), more)) = rest.split_first() {
            if !is_place(&next.node) || more.is_empty() {
                break;
            }
            rest = more;
        }
        self.report(
            Diagnostic::warning(
                "other-database",
                "clusters, databases and workspaces are not told apart here",
            )
            .at(base.span)
            .meaning("the table of that name in the local data is read"),
        );
        match rest {
            [Step::Member(n)] => self.table_by_name(&n.node, n.span),
            [Step::Call(c)] => self.table_call(&c.node, c.span),
            _ => {
                self.error("unsupported-operator", "this way to name a table is not supported yet", span);
                Err(Failed)
            }
        }
    }

    fn datatable(&mut self, t: &DataTable, span: Span) -> Lowered<Rows> {
        let schema = schema_of(&t.schema);
        let width = schema.columns.len();
        if width == 0 || !t.values.len().is_multiple_of(width) {
            self.error(
                "bad-arguments",
                format!("{} values do not fill rows of {width} column(s)", t.values.len()),
                span,
            );
            return Err(Failed);
        }
        self.spend(t.values.len(), span)?;
        let mut rows = Vec::with_capacity(t.values.len() / width);
        for row in t.values.chunks(width) {
            let mut out = Vec::with_capacity(width);
            for (e, column) in row.iter().zip(&schema.columns) {
                let v = self.scalar(e, Context::NONE);
                let Some(value) = v.as_literal() else {
                    self.error("bad-arguments", "a datatable holds constants only", e.span);
                    out.push(Value::Null);
                    continue;
                };
                let value = value.clone().coerce(column.ty);
                out.push(match (column.ty, value) {
                    // No string is null.
                    (Type::String, Value::Null) => Value::Str(String::new()),
                    (_, v) => v,
                });
            }
            rows.push(out);
        }
        Ok(Rows::new(Rel { kind: RelKind::Values { rows }, schema, span }, None))
    }

    /// A constant whole number that is not negative.
    pub(super) fn count(&mut self, e: &ast::Expr) -> Lowered<u64> {
        let v = self.scalar(e, Context::NONE);
        match v.as_literal().and_then(Value::as_i64).and_then(|n| u64::try_from(n).ok()) {
            Some(n) => Ok(n),
            None => {
                self.error("bad-arguments", "a constant number is needed here", e.span);
                Err(Failed)
            }
        }
    }
}

/// Columns as declared; a later one of the same name is dropped by the schema's own rule.
pub(super) fn schema_of(columns: &[ColumnDecl]) -> Schema {
    let mut namer = super::names::Namer::default();
    let columns = columns
        .iter()
        .map(|c| Column::new(namer.unique(&c.name.node), c.ty.as_ref().map_or(Type::Dynamic, |t| t.node)))
        .collect();
    Schema::new(columns)
}

/// Gives everything in a relation the place of the call that brought it in.
pub(super) fn respan(rel: &mut Rel, span: Span) {
    rel.span = span;
    for e in rel.expressions_mut() {
        respan_expr(e, span);
    }
    for i in rel.inputs_mut() {
        respan(i, span);
    }
}

fn respan_expr(e: &mut Expr, span: Span) {
    e.span = span;
    match &mut e.kind {
        ExprKind::Scalar(r) => respan(Arc::make_mut(r), span),
        ExprKind::InRelation { relation, .. } => respan(Arc::make_mut(relation), span),
        _ => {}
    }
    for c in e.children_mut() {
        respan_expr(c, span);
    }
}

/// The name in a parameter's value (`kind=inner`).
pub(super) fn parameter<'q>(list: &'q [ast::QueryParameter], name: &str) -> Option<&'q ast::Expr> {
    list.iter().find(|p| &*p.name.node == name).and_then(|p| p.values.first())
}

/// A parameter's value as text: a bare word, or a string.
pub(super) fn word(e: &ast::Expr) -> String {
    match &e.node {
        Ast::Name(n) => n.to_string(),
        Ast::Literal(Literal::String { value, .. }) => value.to_string(),
        Ast::Literal(Literal::Bool(b)) => b.to_string(),
        _ => String::new(),
    }
}
