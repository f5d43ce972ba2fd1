//! Tabular operators, the everyday ones.

use super::call::Outcome;
use super::names::{Namer, natural, wildcard_matches};
use super::source::{parameter, word};
use super::{Binding, Context, Failed, Lowered, Lowerer, Rows};
use crate::ast::{
    self, ExprKind as Ast, MvItem, NamedExpr, Operator, OperatorKind as Op, QueryParameter, ReorderBy,
    SortKey,
};
use std::collections::HashSet;
use std::rc::Rc;
use tercel_ir::{Column, Diagnostic, Expr, Name, Rel, RelKind, Schema, Span, Type, Value};

/// Rows that `range` may make while lowering.
const MAX_RANGE: usize = 1_000_000;

impl Lowerer<'_> {
    /// An operator that makes its own input.
    pub(super) fn head_operator(&mut self, o: &Operator) -> Lowered<Rows> {
        match &o.node {
            Op::Print(items) => self.print(items, o.span),
            Op::Range { name, from, to, step } => self.range(&name.node, [from, to, step], o.span),
            Op::Union { parameters, tables } => self.union(parameters, tables, None, o.span),
            Op::Search(s) => self.search(s, None, o.span),
            Op::Error => {
                self.error("syntax", "this operator could not be read", o.span);
                Err(Failed)
            }
            other => Err(self.unsupported_operator(operator_name(other), o.span)),
        }
    }

    /// An operator on rows.
    pub(super) fn operator(&mut self, o: &Operator, rows: Rows) -> Lowered<Rows> {
        let span = o.span;
        match &o.node {
            Op::Where { predicate, .. } => self.filter(predicate, rows, span),
            Op::Extend(items) => self.extend(items, rows, span),
            Op::Serialize { columns, .. } if columns.is_empty() => Ok(rows),
            Op::Serialize { columns, .. } => self.extend(columns, rows, span),
            Op::Project(items) => self.project(items, rows, span),
            Op::ProjectAway(list) => {
                let away = self.matching(list, &rows);
                let keep = rows.names().into_iter().filter(|n| !away.contains(n)).collect();
                Ok(keep_columns(rows, keep, span))
            }
            Op::ProjectKeep(list) => {
                let kept = self.matching(list, &rows);
                let keep = rows.names().into_iter().filter(|n| kept.contains(n)).collect();
                Ok(keep_columns(rows, keep, span))
            }
            Op::ProjectRename(items) => self.rename(items, rows, span),
            Op::ProjectReorder(items) => self.reorder(items, rows, span),
            Op::Summarize(s) => self.summarize(s, rows, span),
            Op::Distinct { columns, .. } => self.distinct(columns, rows, span),
            Op::Count(name) => self.count_rows(name.as_ref().map_or("Count", |n| &n.node), rows, span),
            Op::Take { count, .. } | Op::Sample { count, .. } => {
                let n = self.count(count)?;
                Ok(rows.same(|r| r.limit(n, span)))
            }
            Op::SampleDistinct { count, of, .. } => {
                let n = self.count(count)?;
                let distinct = self.distinct(std::slice::from_ref(&of.value), rows, span)?;
                Ok(distinct.same(|r| r.limit(n, span)))
            }
            Op::Sort { keys, .. } => {
                let keys = self.sort_keys(keys, &rows);
                Ok(rows.same(|r| r.sort(keys, span)))
            }
            Op::Top { count, key, .. } => {
                let n = self.count(count)?;
                let keys = self.sort_keys(std::slice::from_ref(key), &rows);
                let sorted = rows.same(|r| r.sort(keys, span));
                Ok(sorted.same(|r| r.limit(n, span)))
            }
            Op::Join(j) => self.join(j, rows, span),
            Op::Union { parameters, tables } => self.union(parameters, tables, Some(rows), span),
            Op::Search(s) => self.search(s, Some(rows), span),
            Op::As { name, .. } => {
                self.bind(name.node.clone(), Binding::Table(Rc::new(rows.clone())));
                Ok(rows)
            }
            Op::GetSchema { .. } => Ok(schema_rows(&rows, span)),
            Op::MvExpand { parameters, items, limit, legacy } => {
                self.mv_expand(parameters, items, limit.as_ref(), *legacy, rows, span)
            }
            Op::Invoke(e) => self.invoke(e, rows, span),
            Op::Evaluate { call, .. } => self.evaluate(call, rows, span),
            Op::Parse(p) => self.parse_operator(p, rows, span),
            Op::Render { .. } => {
                if !self.options.as_view {
                    self.report(
                        Diagnostic::note(
                            "render-ignored",
                            "`render` draws a chart in the portal; here the rows are given as they are",
                        )
                        .at(span),
                    );
                }
                Ok(rows)
            }
            Op::Error => {
                self.error("syntax", "this operator could not be read", span);
                Err(Failed)
            }
            other => Err(self.unsupported_operator(operator_name(other), span)),
        }
    }

    fn filter(&mut self, predicate: &NamedExpr, rows: Rows, span: Span) -> Lowered<Rows> {
        if let Some(name) = predicate.names.first() {
            self.report(
                Diagnostic::warning(
                    "assignment-in-where",
                    format!("`{} = …` in `where` compares nothing", name.node),
                )
                .at(name.span.to(predicate.value.span))
                .label("names the condition")
                .meaning("the condition is the part behind `=` alone; the column is not looked at")
                .help("equality is written `==`"),
            );
        }
        let condition = self.condition(&predicate.value, Context::row(&rows));
        if condition.as_literal() == Some(&Value::Bool(true)) {
            return Ok(rows);
        }
        Ok(rows.same(|r| r.filter(condition, span)))
    }

    /// Values with names, the missing ones made up. `taken`: names that made-up ones must avoid.
    pub(super) fn named_values(
        &mut self,
        items: &[NamedExpr],
        rows: &Rows,
        namer: &mut Namer,
    ) -> Vec<(Name, Expr)> {
        let mut out: Vec<(Name, Expr)> = Vec::new();
        let mut explicit = HashSet::new();
        for item in items {
            let value = self.scalar(&item.value, Context::row(rows));
            let name = match item.names.as_slice() {
                [one] => {
                    if !explicit.insert(one.node.clone()) {
                        self.error(
                            "duplicate-column",
                            format!("column `{}` is given twice", one.node),
                            one.span,
                        );
                        continue;
                    }
                    namer.take(one.node.clone());
                    one.node.clone()
                }
                [] => match natural(&item.value) {
                    Some(n) => namer.unique(&n),
                    None => namer.column(),
                },
                many => {
                    self.error(
                        "unsupported-operator",
                        "several names for one value are not supported here",
                        many[0].span,
                    );
                    continue;
                }
            };
            match out.iter_mut().find(|(n, _)| *n == name) {
                Some(old) => old.1 = value,
                None => out.push((name, value)),
            }
        }
        out
    }

    fn extend(&mut self, items: &[NamedExpr], rows: Rows, span: Span) -> Lowered<Rows> {
        // An unnamed `tostring(x)` replaces `x`, so the input's names do not count as taken; the
        // made-up `Column1` must not hit one.
        let mut namer = Namer::default();
        for n in rows.names().into_iter().filter(|n| n.starts_with("Column")) {
            namer.take(n);
        }
        let columns = self.named_values(items, &rows, &mut namer);
        Ok(rows.same(|r| r.extend(columns, span)))
    }

    fn project(&mut self, items: &[NamedExpr], rows: Rows, span: Span) -> Lowered<Rows> {
        let columns = self.named_values(items, &rows, &mut Namer::default());
        Ok(rows.shaped(|r| r.project(columns, span)))
    }

    fn print(&mut self, items: &[NamedExpr], span: Span) -> Lowered<Rows> {
        let one = Rel { kind: RelKind::Values { rows: vec![Vec::new()] }, schema: Schema::default(), span };
        let mut columns: Vec<(Name, Expr)> = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let name = item.names.first().map_or_else(|| format!("print_{i}").into(), |n| n.node.clone());
            let value = self.scalar(&item.value, Context::NONE);
            if columns.iter().any(|c| c.0 == name) {
                self.error("duplicate-column", format!("column `{name}` is given twice"), item.value.span);
                continue;
            }
            columns.push((name, value));
        }
        Ok(Rows::new(one.project(columns, span), None))
    }

    fn range(&mut self, name: &Name, ends: [&ast::Expr; 3], span: Span) -> Lowered<Rows> {
        let mut values = Vec::new();
        for e in ends {
            let v = self.scalar(e, Context::NONE);
            match v.as_literal() {
                Some(v) => values.push(v.clone()),
                None => {
                    self.error(
                        "unsupported-operator",
                        "`range` between values that are not constant is not supported yet",
                        e.span,
                    );
                    return Err(Failed);
                }
            }
        }
        let (ty, list): (Type, Option<Vec<Value>>) = match (&values[0], &values[1], &values[2]) {
            (Value::Long(a), Value::Long(b), Value::Long(s)) => (Type::Long, steps(*a, *b, *s, Value::Long)),
            (Value::DateTime(a), Value::DateTime(b), Value::TimeSpan(s)) => {
                (Type::DateTime, steps(*a, *b, *s, Value::DateTime))
            }
            (Value::TimeSpan(a), Value::TimeSpan(b), Value::TimeSpan(s)) => {
                (Type::TimeSpan, steps(*a, *b, *s, Value::TimeSpan))
            }
            (a, b, s) => match (a.as_f64(), b.as_f64(), s.as_f64()) {
                (Some(a), Some(b), Some(s)) => (Type::Real, real_steps(a, b, s)),
                _ => {
                    self.error(
                        "type-mismatch",
                        "`range` needs three numbers, or datetimes and a timespan",
                        span,
                    );
                    return Err(Failed);
                }
            },
        };
        let Some(list) = list else {
            self.error(
                "bad-arguments",
                format!("this range has no step, or more than {MAX_RANGE} rows"),
                span,
            );
            return Err(Failed);
        };
        self.spend(list.len(), span)?;
        let rows = list.into_iter().map(|v| vec![v]).collect();
        let schema = Schema::new(vec![Column::new(name.clone(), ty)]);
        Ok(Rows::new(Rel { kind: RelKind::Values { rows }, schema, span }, None))
    }

    /// The columns that a list of names and patterns means.
    fn matching(&mut self, list: &[ast::Expr], rows: &Rows) -> HashSet<Name> {
        let mut out = HashSet::new();
        for e in list {
            match &e.node {
                Ast::Name(n) => {
                    if rows.column(n).is_some() {
                        out.insert(n.clone());
                    } else if !rows.rel.schema.open {
                        self.unknown_column(n, e.span, rows);
                    }
                }
                Ast::Wildcard(w) => out.extend(rows.names().into_iter().filter(|n| wildcard_matches(w, n))),
                _ => self.error("syntax", "a name of a column is needed here", e.span),
            }
        }
        out
    }

    fn rename(&mut self, items: &[NamedExpr], rows: Rows, span: Span) -> Lowered<Rows> {
        let mut renames: Vec<(Name, Name)> = Vec::new();
        for item in items {
            match (item.names.as_slice(), &item.value.node) {
                ([to], Ast::Name(from)) => {
                    if rows.column(from).is_none() && !rows.rel.schema.open {
                        self.unknown_column(from, item.value.span, &rows);
                    }
                    renames.push((from.clone(), to.node.clone()));
                }
                _ => self.error("syntax", "`project-rename` takes new = old", item.value.span),
            }
        }
        let mut columns: Vec<(Name, Expr)> = Vec::new();
        for c in &rows.rel.schema.columns {
            let name = renames.iter().find(|r| r.0 == c.name).map_or(&c.name, |r| &r.1).clone();
            if columns.iter().any(|x| x.0 == name) {
                self.error("duplicate-column", format!("there is a column `{name}` already"), span);
                return Err(Failed);
            }
            columns.push((name, Expr::column(c.name.clone(), c.ty, span)));
        }
        // A column that only an open table may have, or none has.
        for (from, to) in renames.iter().filter(|r| rows.column(&r.0).is_none()) {
            let e = if rows.rel.schema.open {
                self.undeclared.insert(from.clone());
                Expr::column(from.clone(), Type::String, span)
            } else {
                Expr::null(Type::String, span)
            };
            columns.push((to.clone(), e));
        }
        Ok(rows.shaped(|r| r.project(columns, span)))
    }

    fn reorder(&mut self, items: &[(ast::Expr, Option<ReorderBy>)], rows: Rows, span: Span) -> Lowered<Rows> {
        let all = rows.names();
        // A pattern takes what no name in the list takes by itself.
        let named: HashSet<Name> = items
            .iter()
            .filter_map(|(e, _)| match &e.node {
                Ast::Name(n) => Some(n.clone()),
                _ => None,
            })
            .collect();
        let mut order: Vec<Name> = Vec::new();
        for (e, by) in items {
            match &e.node {
                Ast::Name(n) if rows.column(n).is_some() => {
                    if !order.contains(n) {
                        order.push(n.clone());
                    }
                }
                Ast::Name(n) => {
                    if !rows.rel.schema.open {
                        self.unknown_column(n, e.span, &rows);
                    }
                }
                Ast::Wildcard(w) => {
                    let mut found: Vec<Name> = all
                        .iter()
                        .filter(|n| wildcard_matches(w, n) && !order.contains(n) && !named.contains(*n))
                        .cloned()
                        .collect();
                    match by {
                        None => {}
                        Some(ReorderBy::Asc) => found.sort(),
                        Some(ReorderBy::Desc) => {
                            found.sort();
                            found.reverse();
                        }
                        Some(ReorderBy::GrannyAsc) => found.sort_by_key(|n| granny(n)),
                        Some(ReorderBy::GrannyDesc) => {
                            found.sort_by_key(|n| granny(n));
                            found.reverse();
                        }
                    }
                    order.extend(found);
                }
                _ => self.error("syntax", "a name of a column is needed here", e.span),
            }
        }
        let rest: Vec<Name> = all.into_iter().filter(|n| !order.contains(n)).collect();
        order.extend(rest);
        let source = rows.source.clone();
        let mut out = keep_columns(rows, order, span);
        out.source = source;
        Ok(out)
    }

    pub(super) fn sort_keys(&mut self, keys: &[SortKey], rows: &Rows) -> Vec<tercel_ir::SortKey> {
        keys.iter()
            .map(|k| {
                let expr = self.scalar(&k.value.value, Context::row(rows));
                let descending = !k.ascending.unwrap_or(false);
                tercel_ir::SortKey { expr, descending, nulls_first: k.nulls_first.unwrap_or(!descending) }
            })
            .collect()
    }

    fn mv_expand(
        &mut self,
        parameters: &[QueryParameter],
        items: &[MvItem],
        limit: Option<&ast::Expr>,
        legacy: bool,
        rows: Rows,
        span: Span,
    ) -> Lowered<Rows> {
        if let Some(l) = limit {
            self.error("unsupported-parameter", "`limit` of `mv-expand` is not supported yet", l.span);
            return Err(Failed);
        }
        if legacy {
            self.report(
                Diagnostic::note(
                    "legacy-operator",
                    "`mvexpand` gives at most 128 rows for each row in Kusto; here it gives all",
                )
                .at(span)
                .help("write `mv-expand`"),
            );
        }
        for p in parameters {
            let value = p.values.first().map(word).unwrap_or_default();
            if matches!(&*p.name.node, "bagexpansion" | "kind") && value == "array" {
                self.error(
                    "unsupported-parameter",
                    "`mv-expand` of bags into arrays is not supported yet",
                    p.name.span,
                );
                return Err(Failed);
            }
        }
        let index = parameter(parameters, "with_itemindex").map(|e| Name::from(word(e)));
        let mut namer = Namer::default();
        let mut computed: Vec<(Name, Expr)> = Vec::new();
        let mut columns: Vec<Name> = Vec::new();
        let mut casts: Vec<(Name, Name, Span)> = Vec::new();
        for item in items {
            let value = self.scalar(&item.value.value, Context::row(&rows));
            let name = match (item.value.names.as_slice(), natural(&item.value.value)) {
                ([one, ..], _) => one.node.clone(),
                ([], Some(n)) => n,
                ([], None) => namer.column(),
            };
            let bare = value.as_column() == Some(&name) && value.ty == Type::Dynamic;
            // Text that holds an array counts as one.
            let value = if value.ty == Type::Dynamic { value } else { self.cast("parse_json", value) };
            if !bare {
                computed.push((name.clone(), value));
            }
            if columns.contains(&name) {
                self.error(
                    "duplicate-column",
                    format!("column `{name}` is expanded twice"),
                    item.value.value.span,
                );
                return Err(Failed);
            }
            if let Some(to) = &item.to {
                casts.push((name.clone(), to.node.clone(), to.span));
            }
            columns.push(name);
        }
        let rows = if computed.is_empty() { rows } else { rows.same(|r| r.extend(computed, span)) };
        let rows = rows.same(|r| {
            let mut schema = r.schema.clone();
            for c in schema.columns.iter_mut().filter(|c| columns.contains(&c.name)) {
                c.domain = None;
            }
            if let Some(i) = &index {
                schema.columns.push(Column::new(i.clone(), Type::Long));
            }
            Rel { kind: RelKind::Unnest { input: Box::new(r), columns, index }, schema, span }
        });
        if casts.is_empty() {
            return Ok(rows);
        }
        let mut converted = Vec::new();
        for (name, to, at) in casts {
            let e = Expr::column(name.clone(), Type::Dynamic, at);
            let mut value = self.convert(e.clone(), &to, at);
            if value.ty.is_number() {
                // Only JSON numbers convert: `"2"` does not become 2.
                let kind = self.call("gettype", vec![e], at);
                let text = Expr::literal(Value::str("string"), at);
                let is_text = self.call("eq", vec![kind, text], at);
                let ty = value.ty;
                value = Expr::iff(is_text, Expr::null(ty, at), value, at);
            }
            converted.push((name, value));
        }
        Ok(rows.same(|r| r.extend(converted, span)))
    }

    fn invoke(&mut self, e: &ast::Expr, rows: Rows, span: Span) -> Lowered<Rows> {
        let Ast::Call(c) = &e.node else {
            self.error(
                "unsupported-operator",
                "`invoke` of a function elsewhere is not supported yet",
                e.span,
            );
            return Err(Failed);
        };
        let name = &*c.name.node;
        if let Some(Binding::Function { function, scope }) = self.lookup(name) {
            let (function, scope) = (function.clone(), *scope);
            let outcome =
                self.call_user(&function, scope, name, &c.arguments, Some(rows), span, Context::NONE)?;
            return match outcome {
                Outcome::Table(rows) => Ok(rows),
                Outcome::Value(_) => {
                    self.error(
                        "value-as-table",
                        format!("`{name}` gives a value, and a table is needed here"),
                        span,
                    );
                    Err(Failed)
                }
            };
        }
        if name == "FileProfile" || self.catalog.function(name).is_some() {
            self.error(
                "unsupported-function",
                format!("`invoke {name}(…)` is not supported yet"),
                c.name.span,
            );
        } else {
            self.unknown_function(name, c.name.span);
        }
        Err(Failed)
    }
}

/// Only these columns, as they are.
pub(super) fn keep_columns(rows: Rows, keep: Vec<Name>, span: Span) -> Rows {
    let columns = keep
        .into_iter()
        .map(|n| {
            let ty = rows.column(&n).unwrap_or(Type::Dynamic);
            (n.clone(), Expr::column(n, ty, span))
        })
        .collect();
    rows.shaped(|r| r.project(columns, span))
}

fn steps(from: i64, to: i64, step: i64, wrap: fn(i64) -> Value) -> Option<Vec<Value>> {
    if step == 0 {
        return None;
    }
    let mut out = Vec::new();
    let mut at = from;
    while if step > 0 { at <= to } else { at >= to } {
        if out.len() >= MAX_RANGE {
            return None;
        }
        out.push(wrap(at));
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Some(out)
}

fn real_steps(from: f64, to: f64, step: f64) -> Option<Vec<Value>> {
    if step == 0.0 || !step.is_finite() || !from.is_finite() || !to.is_finite() {
        return None;
    }
    let n = ((to - from) / step + 1e-9).floor();
    if n >= MAX_RANGE as f64 {
        return None;
    }
    Some((0..=n.max(-1.0) as i64).filter(|_| n >= 0.0).map(|i| Value::Real(from + i as f64 * step)).collect())
}

/// A key under which numbers inside names count as numbers.
fn granny(name: &str) -> Vec<(String, u64)> {
    let mut out = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(text);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, next) = tail.split_at(digits);
        out.push((head.to_string(), number.parse().unwrap_or(u64::MAX)));
        rest = next;
    }
    out
}

fn schema_rows(rows: &Rows, span: Span) -> Rows {
    let list = rows
        .rel
        .schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let clr = match c.ty {
                Type::Bool => "System.SByte",
                Type::Int => "System.Int32",
                Type::Long => "System.Int64",
                Type::Real => "System.Double",
                Type::Decimal => "System.Data.SqlTypes.SqlDecimal",
                Type::DateTime => "System.DateTime",
                Type::TimeSpan => "System.TimeSpan",
                Type::Guid => "System.Guid",
                Type::String => "System.String",
                Type::Dynamic => "System.Object",
            };
            vec![Value::str(&*c.name), Value::Long(i as i64), Value::str(clr), Value::str(c.ty.as_str())]
        })
        .collect();
    let schema = Schema::new(vec![
        Column::new("ColumnName", Type::String),
        Column::new("ColumnOrdinal", Type::Int),
        Column::new("DataType", Type::String),
        Column::new("ColumnType", Type::String),
    ]);
    Rows::new(Rel { kind: RelKind::Values { rows: list }, schema, span }, None)
}

/// An operator as its author wrote it.
fn operator_name(o: &Op) -> &'static str {
    match o {
        Op::As { .. } => "as",
        Op::AssertSchema(_) => "assert-schema",
        Op::Consume(_) => "consume",
        Op::Count(_) => "count",
        Op::Distinct { .. } => "distinct",
        Op::Evaluate { .. } => "evaluate",
        Op::ExecuteAndCache => "execute-and-cache",
        Op::Extend(_) => "extend",
        Op::Facet { .. } => "facet",
        Op::Find(_) => "find",
        Op::Fork(_) => "fork",
        Op::GetSchema { .. } => "getschema",
        Op::GraphMarkComponents(_) => "graph-mark-components",
        Op::GraphMatch(g) if g.shortest => "graph-shortest-paths",
        Op::GraphMatch(_) => "graph-match",
        Op::GraphToTable(_) => "graph-to-table",
        Op::GraphWhere { edges: true, .. } => "graph-where-edges",
        Op::GraphWhere { .. } => "graph-where-nodes",
        Op::Invoke(_) => "invoke",
        Op::Join(j) if j.lookup => "lookup",
        Op::Join(_) => "join",
        Op::MacroExpand { .. } => "macro-expand",
        Op::MakeGraph(_) => "make-graph",
        Op::MakeSeries(_) => "make-series",
        Op::MvApply(_) => "mv-apply",
        Op::MvExpand { .. } => "mv-expand",
        Op::Parse(p) if p.filter => "parse-where",
        Op::Parse(_) => "parse",
        Op::ParseKv { .. } => "parse-kv",
        Op::Partition(_) => "partition",
        Op::Print(_) => "print",
        Op::Project(_) => "project",
        Op::ProjectAway(_) => "project-away",
        Op::ProjectByNames(_) => "project-by-names",
        Op::ProjectKeep(_) => "project-keep",
        Op::ProjectRename(_) => "project-rename",
        Op::ProjectReorder(_) => "project-reorder",
        Op::Range { .. } => "range",
        Op::Reduce { .. } => "reduce",
        Op::Render { .. } => "render",
        Op::Sample { .. } => "sample",
        Op::SampleDistinct { .. } => "sample-distinct",
        Op::Scan(_) => "scan",
        Op::Search(_) => "search",
        Op::Serialize { .. } => "serialize",
        Op::Sort { .. } => "sort",
        Op::Summarize(_) => "summarize",
        Op::Take { .. } => "take",
        Op::Top { .. } => "top",
        Op::TopHitters { .. } => "top-hitters",
        Op::TopNested(_) => "top-nested",
        Op::Union { .. } => "union",
        Op::Where { .. } => "where",
        Op::Error => "?",
    }
}
