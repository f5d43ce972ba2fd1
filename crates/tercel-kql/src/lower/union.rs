//! `union`.

use super::names::Namer;
use super::source::{parameter, word};
use super::{Binding, Failed, Lowered, Lowerer, Rows};
use crate::ast::{self, ExprKind as Ast, Literal, QueryParameter, Step};
use std::collections::{HashMap, HashSet};
use tercel_ir::{Column, Diagnostic, Expr, Name, Rel, RelKind, Span, Type};

impl Lowerer<'_> {
    pub(super) fn union(
        &mut self,
        parameters: &[QueryParameter],
        tables: &[ast::Expr],
        input: Option<Rows>,
        span: Span,
    ) -> Lowered<Rows> {
        let fuzzy = parameter(parameters, "isfuzzy")
            .is_some_and(|e| matches!(e.node, Ast::Literal(Literal::Bool(true))));
        let inner = match parameter(parameters, "kind") {
            None => false,
            Some(e) => match &*word(e) {
                "inner" => true,
                "outer" => false,
                other => {
                    self.error(
                        "unknown-union-kind",
                        format!("`union` has no kind `{other}`; it has inner and outer"),
                        e.span,
                    );
                    return Err(Failed);
                }
            },
        };
        let source = parameter(parameters, "withsource").or_else(|| parameter(parameters, "with_source"));
        let mut legs: Vec<(Name, Rows)> = Vec::new();
        if let Some(rows) = input {
            let label = rows.source.clone().unwrap_or_else(|| "union_arg0".into());
            legs.push((label, rows));
        }
        let mut failed = false;
        for t in tables {
            match self.union_leg(t, legs.len(), fuzzy) {
                Ok(more) => legs.extend(more),
                // Other legs may have something to report too.
                Err(Failed) => failed = true,
            }
        }
        if failed {
            return Err(Failed);
        }
        if legs.is_empty() {
            self.error("unknown-table", "none of the tables of this union exists", span);
            return Err(Failed);
        }
        let (labels, inputs): (Vec<String>, Vec<Rows>) =
            legs.into_iter().map(|(n, r)| (n.to_string(), r)).unzip();
        let inputs = if inner { common_columns(inputs, span) } else { inputs };
        self.union_of(inputs, source.map(|e| (Name::from(word(e)), labels)), span)
    }

    /// A leg: its label and rows. A pattern gives several; with `fuzzy`, a missing table none.
    pub(super) fn union_leg(
        &mut self,
        e: &ast::Expr,
        index: usize,
        fuzzy: bool,
    ) -> Lowered<Vec<(Name, Rows)>> {
        match &e.node {
            Ast::Wildcard(w) => {
                let mut found = self.views_like(w)?;
                found.extend(self.tables_like_quiet(w, e.span, fuzzy || !found.is_empty()));
                if found.is_empty() && !fuzzy {
                    return Err(Failed);
                }
                Ok(found)
            }
            Ast::Path { steps, .. } if matches!(steps.last(), Some(Step::Wildcard(_))) => {
                let Some(Step::Wildcard(w)) = steps.last() else { return Err(Failed) };
                let w = w.clone();
                self.report(
                    Diagnostic::warning(
                        "other-database",
                        "clusters, databases and workspaces are not told apart here",
                    )
                    .at(e.span)
                    .meaning("the tables of these names in the local data are read"),
                );
                Ok(self.tables_like_quiet(&w.node, e.span, fuzzy))
            }
            _ => {
                let label = leg_label(e).unwrap_or_else(|| format!("union_arg{index}").into());
                if fuzzy && self.is_missing(e) {
                    self.report(
                        Diagnostic::note(
                            "missing-table",
                            format!("there is no table `{label}`; isfuzzy=true leaves it out"),
                        )
                        .at(e.span),
                    );
                    return Ok(Vec::new());
                }
                Ok(vec![(label, self.table(e)?)])
            }
        }
    }

    /// Whether a name, or the source of a pipeline, stands for no table.
    fn is_missing(&self, e: &ast::Expr) -> bool {
        match &e.node {
            Ast::Name(n) => {
                self.lookup(n).is_none()
                    && !matches!(self.catalog.relation(n), Some(Ok(_)))
                    && self.catalog.function(n).is_none()
            }
            Ast::Pipeline(p) => p.source.as_ref().is_some_and(|s| self.is_missing(s)),
            _ => false,
        }
    }

    fn tables_like_quiet(&mut self, pattern: &str, span: Span, quiet: bool) -> Vec<(Name, Rows)> {
        let before = self.diagnostics.clone();
        let found = self.tables_like(pattern, span);
        if quiet {
            self.diagnostics = before;
        }
        found
    }

    /// Functions of the query that are declared `view` and fit a pattern.
    fn views_like(&mut self, pattern: &str) -> Lowered<Vec<(Name, Rows)>> {
        let mut names: Vec<Name> = Vec::new();
        for n in self.visible() {
            let is_view =
                matches!(self.lookup(&n), Some(Binding::Function { function, .. }) if function.view);
            if is_view && super::names::wildcard_matches(pattern, &n) && !names.contains(&n) {
                names.push(n);
            }
        }
        names.reverse();
        let mut out = Vec::new();
        for n in names {
            let rows = self.table_by_name(&n, Span::default())?;
            out.push((n, rows));
        }
        Ok(out)
    }

    /// All rows of all inputs, columns by name. A name with several types becomes several columns.
    pub(super) fn union_of(
        &mut self,
        inputs: Vec<Rows>,
        tag: Option<(Name, Vec<String>)>,
        span: Span,
    ) -> Lowered<Rows> {
        let source = match inputs.as_slice() {
            [one] => one.source.clone(),
            _ => None,
        };
        let inputs = split_types(inputs, span);
        let depth = inputs.iter().map(|i| i.depth).max().unwrap_or(0) + 1;
        let mut rel = Rel::union(inputs.into_iter().map(|i| i.rel).collect(), span);
        if let Some((name, labels)) = tag {
            if rel.schema.get(&name).is_some() {
                self.error("duplicate-column", format!("there is a column `{name}` already"), span);
                return Err(Failed);
            }
            rel.schema.columns.insert(0, Column::new(name.clone(), Type::String));
            if let RelKind::Union { tag, .. } = &mut rel.kind {
                *tag = Some((name, labels));
            }
        }
        Ok(Rows { rel, source, depth })
    }
}

/// What `withsource` calls a leg: its table, or the name that a last `as` gives it.
fn leg_label(e: &ast::Expr) -> Option<Name> {
    match &e.node {
        Ast::Name(n) => Some(n.clone()),
        Ast::Pipeline(p) => match p.operators.last().map(|o| &o.node) {
            Some(ast::OperatorKind::As { name, .. }) => Some(name.node.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Only the columns that all inputs have.
fn common_columns(inputs: Vec<Rows>, span: Span) -> Vec<Rows> {
    let Some(first) = inputs.first() else { return inputs };
    let common: Vec<Name> = first
        .rel
        .schema
        .columns
        .iter()
        .filter(|c| inputs.iter().all(|i| i.column(&c.name) == Some(c.ty)))
        .map(|c| c.name.clone())
        .collect();
    inputs.into_iter().map(|i| super::operator::keep_columns(i, common.clone(), span)).collect()
}

/// Where one name has different types, each input's column is renamed to `name_type`, as Kusto does.
fn split_types(inputs: Vec<Rows>, span: Span) -> Vec<Rows> {
    let mut types: HashMap<Name, Type> = HashMap::new();
    let mut split: HashSet<Name> = HashSet::new();
    for i in &inputs {
        for c in &i.rel.schema.columns {
            if *types.entry(c.name.clone()).or_insert(c.ty) != c.ty {
                split.insert(c.name.clone());
            }
        }
    }
    if split.is_empty() {
        return inputs;
    }
    // A made-up name must not be one that some input has: that would be another column.
    let mut namer = Namer::default();
    types.keys().filter(|n| !split.contains(*n)).for_each(|n| namer.take(n.clone()));
    let mut made: HashMap<(Name, Type), Name> = HashMap::new();
    for i in &inputs {
        for c in i.rel.schema.columns.iter().filter(|c| split.contains(&c.name)) {
            made.entry((c.name.clone(), c.ty))
                .or_insert_with(|| namer.unique(&format!("{}_{}", c.name, c.ty)));
        }
    }
    inputs
        .into_iter()
        .map(|i| {
            if !i.rel.schema.columns.iter().any(|c| split.contains(&c.name)) {
                return i;
            }
            let columns: Vec<(Name, Expr)> = i
                .rel
                .schema
                .columns
                .iter()
                .map(|c| {
                    let name = made.get(&(c.name.clone(), c.ty)).unwrap_or(&c.name).clone();
                    (name, Expr::column(c.name.clone(), c.ty, span))
                })
                .collect();
            i.shaped(|r| r.project(columns, span))
        })
        .collect()
}
