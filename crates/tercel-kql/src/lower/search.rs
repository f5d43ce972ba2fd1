//! `search`, and `*` in conditions: terms looked for in every column.

use super::compare::is_text;
use super::names::wildcard_matches;
use super::scalar::disjunction;
use super::{Context, Failed, Lowered, Lowerer, Rows};
use crate::ast::{self, ExprKind as Ast, Literal};
use tercel_ir::{Diagnostic, Expr, Name, Rel, RelKind, Span, Type, Value};

impl Lowerer<'_> {
    /// `search [in (tables)] condition`; `input` when rows are piped in.
    pub(super) fn search(&mut self, s: &ast::Search, input: Option<Rows>, span: Span) -> Lowered<Rows> {
        let mut case_sensitive = false;
        for p in &s.parameters {
            match (&*p.name.node, p.values.first().map(|v| &v.node)) {
                ("kind", Some(Ast::Name(n))) if &**n == "case_sensitive" => case_sensitive = true,
                ("kind", Some(Ast::Name(n))) if matches!(&**n, "default" | "case_insensitive") => {}
                (name, _) if name.starts_with("hint") => {}
                (name, _) => {
                    self.error(
                        "unsupported-parameter",
                        format!("`{name}` of `search` is not supported yet"),
                        p.name.span,
                    );
                }
            }
        }
        let before = std::mem::replace(&mut self.case_sensitive, case_sensitive);
        let result = self.search_tables(s, input, span);
        self.case_sensitive = before;
        result
    }

    fn search_tables(&mut self, s: &ast::Search, input: Option<Rows>, span: Span) -> Lowered<Rows> {
        if let Some(input) = input {
            if !s.tables.is_empty() {
                self.error("syntax", "`search in (…)` takes its own tables and no input", span);
                return Err(Failed);
            }
            let predicate = self.search_condition(&s.predicate, &input);
            return Ok(input.same(|r| r.filter(predicate, span)));
        }
        let mut legs: Vec<(Name, Rows)> = Vec::new();
        if s.tables.is_empty() {
            for name in self.all_tables() {
                if let Some(Ok(rel)) = self.catalog.relation(&name) {
                    legs.push((name.as_str().into(), Rows::new(rel, Some(name.as_str().into()))));
                }
            }
        }
        for t in &s.tables {
            legs.extend(self.union_leg(t, legs.len(), false)?);
        }
        if legs.is_empty() {
            self.error("unknown-table", "there is no table to search", span);
            return Err(Failed);
        }
        let mut inputs = Vec::new();
        let mut labels = Vec::new();
        // Spelling mistakes in a column are worth a word only when no table has it.
        for (name, rows) in legs {
            let predicate = self.search_condition(&s.predicate, &rows);
            inputs.push(rows.same(|r| r.filter(predicate, span)));
            labels.push(name.to_string());
        }
        self.union_of(inputs, Some(("$table".into(), labels)), span)
    }

    fn search_condition(&mut self, e: &ast::Expr, row: &Rows) -> Expr {
        let cx = Context { row: Some(row), sides: None, search: true };
        self.condition(e, cx)
    }

    /// A bare string or number in a search condition: a term that any column may hold.
    pub(super) fn search_term(&mut self, e: &ast::Expr, cx: Context) -> Option<Expr> {
        let text = match &e.node {
            Ast::Literal(Literal::String { value, .. }) => value.to_string(),
            Ast::Literal(Literal::Long(n)) => n.to_string(),
            _ => return None,
        };
        let row = cx.row?;
        if text == "*" {
            return Some(Expr::boolean(true, e.span));
        }
        let tests =
            self.row_columns(row, e.span).into_iter().map(|c| self.term_in(c, &text, e.span)).collect();
        Some(disjunction(tests, e.span))
    }

    /// Every column as text.
    fn row_columns(&mut self, row: &Rows, span: Span) -> Vec<Expr> {
        let columns: Vec<(Name, Type)> = row
            .rel
            .schema
            .columns
            .iter()
            .filter(|c| !c.name.starts_with('$'))
            .map(|c| (c.name.clone(), c.ty))
            .collect();
        columns
            .into_iter()
            .map(|(name, ty)| {
                let e = Expr::column(name, ty, span);
                if is_text(ty) && ty != Type::Dynamic { e } else { self.cast("tostring", e) }
            })
            .collect()
    }

    /// One term in one text: `abc`, `abc*`, `*abc`, `*abc*`, `a*c`.
    fn term_in(&mut self, text: Expr, term: &str, span: Span) -> Expr {
        let inner = term.trim_start_matches('*').trim_end_matches('*');
        let (head, tail) = (term.starts_with('*'), term.ends_with('*'));
        let cs = self.case_sensitive;
        if inner.contains('*') {
            let mut pattern = String::from(if cs { "(?s)" } else { "(?is)" });
            for (i, part) in inner.split('*').enumerate() {
                if i > 0 {
                    pattern.push_str(".*?");
                }
                for c in part.chars() {
                    if !c.is_alphanumeric() && c != '_' && c.is_ascii() {
                        pattern.push('\\');
                    }
                    pattern.push(c);
                }
            }
            return self.call("matches_regex", vec![text, Expr::literal(Value::Str(pattern), span)], span);
        }
        let function = match (head, tail, cs) {
            (false, false, false) => "has",
            (false, false, true) => "has_cs",
            (false, true, false) => "hasprefix",
            (false, true, true) => "hasprefix_cs",
            (true, false, false) => "hassuffix",
            (true, false, true) => "hassuffix_cs",
            (true, true, false) => "contains",
            (true, true, true) => "contains_cs",
        };
        self.call(function, vec![text, Expr::literal(Value::Str(inner.to_string()), span)], span)
    }

    /// `column:"term"`.
    pub(super) fn column_term(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        cx: Context,
    ) -> Expr {
        let term = match &right.node {
            Ast::Literal(Literal::String { value, .. }) => value.to_string(),
            Ast::Literal(Literal::Long(n)) => n.to_string(),
            _ => {
                self.error("syntax", "behind `:` stands a constant term", right.span);
                return Expr::null(Type::Bool, span);
            }
        };
        if matches!(left.node, Ast::Star) {
            let Some(row) = cx.row else { return Expr::null(Type::Bool, span) };
            let tests =
                self.row_columns(row, span).into_iter().map(|c| self.term_in(c, &term, span)).collect();
            return disjunction(tests, span);
        }
        let column = self.scalar(left, Context { search: false, ..cx });
        let column = if is_text(column.ty) { column } else { self.cast("tostring", column) };
        if term == "*" {
            return self.call("isnotempty", vec![column], span);
        }
        self.term_in(column, &term, span)
    }

    /// `* has "x"`: any column.
    pub(super) fn any_column(&mut self, right: &ast::Expr, function: &str, span: Span, cx: Context) -> Expr {
        let needle = self.scalar(right, Context { search: false, ..cx });
        let Some(row) = cx.row else {
            self.error("syntax", "`*` needs rows to look into", span);
            return Expr::null(Type::Bool, span);
        };
        let needle = if is_text(needle.ty) { needle } else { self.cast("tostring", needle) };
        let function = if function == "==" { "eq" } else { function };
        let tests = self
            .row_columns(row, span)
            .into_iter()
            .map(|c| self.call(function, vec![c, needle.clone()], span))
            .collect();
        disjunction(tests, span)
    }

    /// `* has_any (…)` and `* in (…)`.
    pub(super) fn any_column_list(
        &mut self,
        function: &str,
        row: Option<&Rows>,
        list: Vec<Expr>,
        span: Span,
    ) -> Expr {
        let Some(row) = row else {
            self.error("syntax", "`*` needs rows to look into", span);
            return Expr::null(Type::Bool, span);
        };
        let tests = self
            .row_columns(row, span)
            .into_iter()
            .map(|c| self.call(function, [vec![c], list.clone()].concat(), span))
            .collect();
        disjunction(tests, span)
    }

    /// Tables that a search without `in` looks into: every relation that is a table of the telemetry.
    fn all_tables(&mut self) -> Vec<String> {
        let mut names = self.catalog.names();
        names.sort();
        names.dedup();
        names.retain(|n| {
            matches!(
                self.catalog.relation(n),
                Some(Ok(Rel { kind: RelKind::Scan { .. } | RelKind::Values { .. }, .. }))
            )
        });
        names
    }

    /// Tables and views whose names fit a pattern.
    pub(super) fn tables_like(&mut self, pattern: &str, span: Span) -> Vec<(Name, Rows)> {
        let mut out = Vec::new();
        let mut names = self.catalog.names();
        names.sort();
        names.dedup();
        for name in names.into_iter().filter(|n| wildcard_matches(pattern, n)) {
            if let Some(Ok(rel)) = self.catalog.relation(&name) {
                out.push((Name::from(name.as_str()), Rows::new(rel, Some(name.as_str().into()))));
            }
        }
        if out.is_empty() {
            self.report(
                Diagnostic::error("unknown-table", format!("no table is called like `{pattern}`")).at(span),
            );
        }
        out
    }
}
