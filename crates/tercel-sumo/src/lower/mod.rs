//! From tree to [`Rel`], over the relation `sumo/records`.
//!
//! What is Sumo's own and must show in the result, because the engine knows nothing of it:
//! - every condition is two-valued: a comparison with null is false, so `!(null in (…))` is true. All
//!   conditions built here are never null; where a function of the registry would be, a guard stands
//!   before it;
//! - fields are text until cast, but the tables may type them: a comparison takes both sides to where
//!   they can meet (see `compare.rs`);
//! - field names are found whatever their case; values keep theirs;
//! - rows arrive newest first, which matters to `limit`, `first` and `last`;
//! - time fields are milliseconds since 1970 as soon as anything is computed from them.

mod aggregate;
mod calls;
mod compare;
mod expr;
mod extract;
mod rows;
mod scope;

use std::sync::Arc;

use tercel_ir::diag::nearest;
use tercel_ir::{Catalog, Column, Diagnostic, Diagnostics, Expr, ExprKind, Rel, SortKey, Span, Type, Value};

use crate::ast::{Name, Operator, Query, Stage};

/// The relation that a query searches.
pub const RECORDS: &str = "sumo/records";

/// Operators beyond this make a tree too deep for what comes behind.
const MAX_STAGES: usize = 400;

/// Whose meaning a query has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// What its author meant: forms that the service does not know are accepted with a warning, and
    /// known traps are read the sensible way.
    #[default]
    Intent,
    /// What the documentation says; the rest is refused.
    Strict,
}

/// How to lower.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whose meaning.
    pub profile: Profile,
}

/// The rest of this stage cannot be lowered; an error was reported.
pub(crate) struct Refused;

pub(crate) type R<T> = Result<T, Refused>;

/// Lowers a query. `None` when an error was reported.
pub fn lower(query: &Query, catalog: &dyn Catalog, options: &Options) -> (Option<Rel>, Diagnostics) {
    let mut diags = Diagnostics::new();
    let records = match catalog.relation(RECORDS) {
        Some(Ok(r)) => r,
        Some(Err(d)) => {
            diags.push(d);
            return (None, diags);
        }
        None => {
            diags.push(
                Diagnostic::error("unknown-relation", format!("there is no relation `{RECORDS}`"))
                    .meaning("no data is loaded that a Sumo Logic search could read"),
            );
            return (None, diags);
        }
    };
    let mut l = Lowerer {
        options,
        diags,
        rel: records,
        visible: None,
        chain: Vec::new(),
        parser_follows: false,
        ordered: false,
        json: None,
        withtime: Vec::new(),
        drops: Vec::new(),
        conditional: 0,
        hidden: 0,
    };
    let result = l.query(query);
    let Lowerer { diags, rel, .. } = l;
    match result {
        Ok(()) if !diags.has_errors() => (Some(rel), diags),
        _ => (None, diags),
    }
}

pub(crate) struct Lowerer<'a> {
    pub options: &'a Options,
    pub diags: Diagnostics,
    pub rel: Rel,
    /// What `fields` or an aggregation left visible; `None` = everything. Columns behind it stay in the
    /// relation: internal ones (`_…`) may still be named, and the last step cuts the rest off.
    pub visible: Option<Vec<tercel_ir::Name>>,
    /// Of the parse operators that stand side by side: the conditions under which one with `nodrop`
    /// matched. A row that any of them matched survives the others.
    pub chain: Vec<Expr>,
    /// Whether the next operator is a parser too.
    pub parser_follows: bool,
    /// Whether an operator put the rows in order.
    pub ordered: bool,
    /// Helper column with the JSON that `json auto` found: a field that is not there is looked for in it.
    pub json: Option<tercel_ir::Name>,
    /// Fields of `withtime`.
    pub withtime: Vec<String>,
    /// Conditions that a row must meet to survive this stage, apart from what the stage says.
    pub drops: Vec<Expr>,
    /// How many branches deep that may not be taken.
    pub conditional: usize,
    /// Number of helper columns made so far.
    pub hidden: usize,
}

/// Helper columns begin with this and never come out.
const HIDDEN: &str = "$sumo";

impl Lowerer<'_> {
    fn query(&mut self, query: &Query) -> R<()> {
        if query.stages.len() > MAX_STAGES {
            return self.refuse(
                Diagnostic::error(
                    "query-too-long",
                    format!("{} operators; at most {MAX_STAGES} can be run", query.stages.len()),
                )
                .at(query.at.0),
            );
        }
        if let Some(scope) = &query.scope {
            let predicate = self.scope(scope)?;
            self.filter(predicate, query.at.0);
        }
        let mut failed = false;
        for (i, stage) in query.stages.iter().enumerate() {
            if !is_parser(&stage.op) {
                self.chain.clear();
            }
            self.parser_follows = query.stages.get(i + 1).is_some_and(|s| is_parser(&s.op));
            self.drops.clear();
            // Later stages are looked at, too: several errors in one go.
            failed |= self.stage(stage).is_err();
        }
        if failed {
            return Err(Refused);
        }
        self.cut();
        Ok(())
    }

    /// The last step: only what the query lets through, and Sumo's own times as it shows them.
    fn cut(&mut self) {
        let span = self.rel.span;
        let names: Option<Vec<tercel_ir::Name>> = match &self.visible {
            Some(v) => Some(v.clone()),
            None if self.hidden > 0 => Some(
                self.rel
                    .schema
                    .columns
                    .iter()
                    .map(|c| c.name.clone())
                    .filter(|n| !n.starts_with(HIDDEN))
                    .collect(),
            ),
            None => None,
        };
        let shown = |c: &Column| {
            let e = Expr::column(c.name.clone(), c.ty, span);
            if c.ty == Type::DateTime && c.name.starts_with('_') { expr::plain(e) } else { e }
        };
        match names {
            Some(names) => {
                let columns = names
                    .into_iter()
                    .map(|n| match self.rel.schema.get(&n) {
                        Some(c) => (n, shown(c)),
                        None => (n.clone(), Expr::column(n, Type::String, span)),
                    })
                    .collect();
                self.map(|r| r.project(columns, span));
            }
            None => {
                let times: Vec<_> = self
                    .rel
                    .schema
                    .columns
                    .iter()
                    .filter(|c| c.ty == Type::DateTime && c.name.starts_with('_'))
                    .map(|c| (c.name.clone(), shown(c)))
                    .collect();
                if !times.is_empty() {
                    self.map(|r| r.extend(times, span));
                }
            }
        }
    }

    /// Keeps a finding, within limits.
    pub fn report(&mut self, d: Diagnostic) {
        crate::findings::push_capped(&mut self.diags, d);
    }

    fn map(&mut self, f: impl FnOnce(Rel) -> Rel) {
        let empty = Rel::empty(tercel_ir::Schema::default(), Span::default());
        let rel = std::mem::replace(&mut self.rel, empty);
        self.rel = f(rel);
    }

    pub fn filter(&mut self, predicate: Expr, span: Span) {
        if matches!(predicate.as_literal(), Some(Value::Bool(true))) {
            return;
        }
        self.map(|r| r.filter(predicate, span));
    }

    /// Filters by what the expressions of this stage asked for.
    pub fn apply_drops(&mut self, span: Span) {
        let drops = std::mem::take(&mut self.drops);
        if !drops.is_empty() {
            self.filter(Expr::and(drops, span), span);
        }
    }

    /// Adds or replaces columns and makes them visible.
    pub fn extend(&mut self, columns: Vec<(tercel_ir::Name, Expr)>, span: Span) {
        if let Some(v) = &mut self.visible {
            for (n, _) in &columns {
                if !v.contains(n) && !n.starts_with(HIDDEN) {
                    v.push(n.clone());
                }
            }
        }
        self.map(|r| r.extend(columns, span));
    }

    pub fn hidden_name(&mut self) -> tercel_ir::Name {
        self.hidden += 1;
        format!("{HIDDEN}_{}", self.hidden).into()
    }

    /// Rows newest first, if no operator has put them in another order.
    pub fn newest_first(&mut self, span: Span) {
        if std::mem::replace(&mut self.ordered, true) {
            return;
        }
        if let Some(c) = self.rel.schema.get_ignore_case("_messageTime").cloned() {
            let key =
                SortKey { expr: Expr::column(c.name, c.ty, span), descending: true, nulls_first: false };
            self.map(|r| r.sort(vec![key], span));
        }
    }

    pub fn refuse<T>(&mut self, d: Diagnostic) -> R<T> {
        self.report(d);
        Err(Refused)
    }

    pub fn unsupported<T>(&mut self, operator: &str, span: Span) -> R<T> {
        self.refuse(
            Diagnostic::error("unsupported-operator", format!("operator `{operator}` is not supported yet"))
                .at(span)
                .meaning("the query is understood, but cannot be run"),
        )
    }

    /// The column that a name means, or `None`.
    pub fn find(&self, name: &str) -> Option<Column> {
        let visible =
            |c: &Column| c.name.starts_with('_') || self.visible.as_ref().is_none_or(|v| v.contains(&c.name));
        if let Some(c) = self.rel.schema.get_ignore_case(name) {
            return visible(c).then(|| c.clone());
        }
        let open = self.rel.schema.open && (self.visible.is_none() || name.starts_with('_'));
        // Text until proven otherwise.
        open.then(|| Column::new(name, Type::String))
    }

    /// A field as an expression; one that is not there is null, with a warning.
    pub fn field(&mut self, name: &Name) -> Expr {
        let span = name.at.0;
        if let Some(c) = self.find(&name.text) {
            let column = Expr::column(c.name.clone(), c.ty, span);
            return match &self.json {
                Some(json) if self.rel.schema.get(&c.name).is_none() => inferred(column, json, span),
                _ => column,
            };
        }
        let d = Diagnostic::warning("unknown-column", format!("there is no field `{}` here", name.text))
            .at(span)
            .meaning("it reads as null, so a comparison with it is never true");
        let names: Vec<&str> = match &self.visible {
            Some(v) => v.iter().map(|n| &**n).collect(),
            None => self.rel.schema.names().collect(),
        };
        let d = match nearest(&name.text, names) {
            Some(n) => d.help(format!("did you mean `{n}`?")),
            None => d.help("an operator before this one left only its own fields"),
        };
        self.report(d);
        Expr::null(Type::String, span)
    }

    /// The name under which a value is stored: an existing field keeps its spelling.
    pub fn target(&self, name: &Name) -> tercel_ir::Name {
        self.rel
            .schema
            .get_ignore_case(&name.text)
            .map_or_else(|| Arc::from(name.text.as_str()), |c| c.name.clone())
    }

    fn stage(&mut self, stage: &Stage) -> R<()> {
        let span = stage.at.0;
        match &stage.op {
            Operator::Error => {
                // Its error was reported when the text was read.
                let d = Diagnostic::error("not-parsed", "this operator could not be read").at(span);
                self.refuse(d)
            }
            Operator::Template(t) => self.template(t, span),
            Operator::Where(e) => {
                let p = self.condition(e)?;
                self.apply_drops(span);
                self.filter(p, span);
                Ok(())
            }
            Operator::Compute { expr, name, eval } => self.compute(expr, name.as_ref(), *eval, span),
            Operator::Fields { remove, names } => self.fields(*remove, names),
            Operator::Sort(keys) => self.sort(keys, span),
            Operator::Limit(n) => {
                let n = self.count(n, "limit")?;
                self.newest_first(span);
                self.map(|r| r.limit(n, span));
                Ok(())
            }
            Operator::Top { n, fields, by } => self.top(n, fields, by, span),
            Operator::Aggregate { items, by } => self.aggregate(items, by, span),
            Operator::Timeslice { width, buckets, alias } => {
                self.timeslice(width.as_ref(), *buckets, alias.as_ref(), span)
            }
            Operator::Withtime(f) => {
                self.withtime.push(f.text.to_ascii_lowercase());
                Ok(())
            }
            Operator::ParseAnchor { field, clauses, nodrop } => {
                self.parse_anchor(field.as_ref(), clauses, *nodrop, span)
            }
            Operator::ParseRegex { field, patterns, extract, nodrop, multi } => {
                self.parse_regex(field.as_ref(), patterns, *extract, *nodrop, *multi, span)
            }
            Operator::Json { field, auto: false, paths, names, nodrop, .. } => {
                self.json(field.as_ref(), paths, names, *nodrop, span)
            }
            Operator::Json { field, auto: true, paths, names, .. } if !paths.is_empty() => {
                // Named keys of rows without JSON are null.
                self.json(field.as_ref(), paths, names, true, span)
            }
            Operator::Json { field, auto: true, .. } => self.json_auto(field.as_ref(), span),
            Operator::Split { csv: false, field: Some(field), settings, extract, .. } => {
                self.split(field, settings, extract, span)
            }
            op => {
                let name = operator_name(op);
                if name == "save" {
                    self.report(
                        Diagnostic::note("sumo-no-effect", "`save` has no effect here")
                            .at(span)
                            .meaning("the rows are shown, and no lookup table is written"),
                    );
                    return Ok(());
                }
                self.unsupported(&name, span)
            }
        }
    }

    pub fn template<T>(&mut self, text: &str, span: Span) -> R<T> {
        self.refuse(
            Diagnostic::error("unbound-parameter", format!("the parameter `{text}` has no value"))
                .at(span)
                .meaning("the query is a template; it cannot run before its parameters have values")
                .help("put a value in its place"),
        )
    }

    /// A whole number such as `limit` takes.
    pub fn count(&mut self, e: &crate::ast::Expr, what: &str) -> R<u64> {
        if let crate::ast::ExprKind::Template(t) = &e.kind {
            return self.template(&t.clone(), e.at.0);
        }
        if let crate::ast::ExprKind::Number(n) = &e.kind
            && let Some(v) = crate::ast::number_value(n)
            && v >= 1.0
            && v.fract() == 0.0
            && v <= 1e12
        {
            return Ok(v as u64);
        }
        self.refuse(
            Diagnostic::error("sumo-bad-number", format!("`{what}` takes a whole number from 1 on"))
                .at(e.at.0),
        )
    }
}

/// Whether this operator takes part in a chain of `nodrop`.
fn is_parser(op: &Operator) -> bool {
    matches!(
        op,
        Operator::ParseAnchor { .. } | Operator::ParseRegex { .. } | Operator::Json { auto: false, .. }
    )
}

/// The word by which an operator is refused.
fn operator_name(op: &Operator) -> String {
    match op {
        Operator::Topk { .. } => "topk",
        Operator::Dedup { .. } => "dedup",
        Operator::ParseXml { .. } => "parse xml",
        Operator::ParseUsing { .. } => "parse using",
        Operator::Split { csv: true, .. } => "csv",
        Operator::Split { .. } => "split",
        Operator::KeyValue { .. } => "keyvalue",
        Operator::Transpose { .. } => "transpose",
        Operator::FillMissing { .. } => "fillmissing",
        Operator::Window { op, .. } => op.as_str(),
        Operator::Bin { .. } => "bin",
        Operator::Compare(_) => "compare",
        Operator::Outlier { .. } => "outlier",
        Operator::Predict { .. } => "predict",
        Operator::Filter { .. } => "filter",
        Operator::Join { .. } => "join",
        Operator::Transaction { .. } => "transaction",
        Operator::Transactionize { .. } => "transactionize",
        Operator::Merge(_) => "merge",
        Operator::Sessionize { .. } => "sessionize",
        Operator::Trace(_) => "trace",
        Operator::Lookup { .. } => "lookup",
        Operator::Intel { operator, .. }
        | Operator::LogAnalysis { operator, .. }
        | Operator::Service { operator, .. } => operator,
        _ => "?",
    }
    .to_owned()
}

/// A field of the event, or else of the JSON that `json auto` found.
fn inferred(column: Expr, json: &tercel_ir::Name, span: Span) -> Expr {
    let Some(name) = column.as_column().cloned() else { return column };
    let found = name.split('.').fold(Expr::column(json.clone(), Type::Dynamic, span), |e, key| {
        call("member", vec![e, text_literal(key, span)], span)
    });
    let found = call("text_or_null", vec![found], span);
    Expr::iff(call("isnotnull", vec![column.clone()], span), column, found, span)
}

/// A call of a registry function that exists and fits; the code here guarantees both.
pub(crate) fn call(function: &str, args: Vec<Expr>, span: Span) -> Expr {
    Expr::known(function, args, span)
}

pub(crate) fn text_literal(s: impl Into<String>, span: Span) -> Expr {
    Expr::literal(Value::Str(s.into()), span)
}

/// Whether the value can be null. Errs on the side of yes.
pub(crate) fn nullable(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Literal(v) => v.is_null(),
        ExprKind::And(v) | ExprKind::Or(v) => v.iter().any(nullable),
        ExprKind::Not(e) => nullable(e),
        ExprKind::Case { branches, otherwise } => {
            nullable(otherwise) || branches.iter().any(|(_, t)| nullable(t))
        }
        ExprKind::Call(f, args) => match f.name {
            "isnull" | "isnotnull" | "isempty" | "isnotempty" | "isblank" | "in" | "in_ci" | "eq_ci"
            | "has" | "contains_cs" | "contains" | "matches_glob_ci" | "strcat" | "strlen"
            | "is_valid_ip" | "is_valid_ipv4" => false,
            // Null only if both sides are.
            "eq" | "ne" => args.iter().all(nullable),
            // Patterns are checked before they are used.
            "matches_regex" | "matches_glob" => args[1].as_literal().is_none(),
            "tolower"
            | "toupper"
            | "slice"
            | "trim_blanks"
            | "replace_string"
            | "url_decode"
            | "basename"
            | "base64_decode_tostring"
            | "base64_encode_tostring" => false,
            _ => true,
        },
        _ => true,
    }
}
