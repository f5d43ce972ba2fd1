//! Comparisons, string operators, lists, ranges.
//!
//! KQL has no null strings: a missing one is `""`. The registry's comparisons keep null apart, so
//! wherever that could show, the string is read through `tostring`, which makes null `""`.

use super::scalar::{conjunction, disjunction, is_null, negation};
use super::{Context, Lowerer, literals};
use crate::ast::{self, CompareOp, ExprKind as Ast, ListOp, Node, StringOp};
use std::sync::Arc;
use tercel_ir::{Diagnostic, Expr, ExprKind, Span, Type, Value};

impl Lowerer<'_> {
    pub(super) fn compare(
        &mut self,
        op: &Node<CompareOp>,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        cx: Context,
    ) -> Expr {
        if matches!(left.node, Ast::Star) {
            return self.any_column(right, "==", span, cx);
        }
        let l = self.scalar(left, cx);
        let r = self.scalar(right, cx);
        self.compare_values(op.node, l, r, span)
    }

    pub(super) fn compare_values(&mut self, op: CompareOp, l: Expr, r: Expr, span: Span) -> Expr {
        let (l, r) = match self.comparable(l, r) {
            Ok(pair) => pair,
            Err((l, r)) => {
                let d = mismatch(&l, &r, span).label(match op {
                    CompareOp::Eq => "never equal",
                    CompareOp::Ne => "always different",
                    _ => "never true",
                });
                self.report(d);
                return match op {
                    CompareOp::Eq => Expr::boolean(false, span),
                    CompareOp::Ne => Expr::boolean(true, span),
                    _ => Expr::null(Type::Bool, span),
                };
            }
        };
        let name = match op {
            CompareOp::Eq => "eq",
            CompareOp::Ne => "ne",
            CompareOp::Lt => "lt",
            CompareOp::Le => "le",
            CompareOp::Gt => "gt",
            CompareOp::Ge => "ge",
        };
        let ordered = !matches!(op, CompareOp::Eq | CompareOp::Ne);
        // Against a constant that is not empty, equality treats null as `""` by itself.
        let matters =
            |other: &Expr| ordered || !matches!(other.as_literal(), Some(Value::Str(s)) if !s.is_empty());
        let (wrap_l, wrap_r) = (matters(&r), matters(&l));
        let l = if wrap_l { self.never_null(l) } else { l };
        let r = if wrap_r { self.never_null(r) } else { r };
        self.call(name, vec![l, r], span)
    }

    /// Brings two operands to types that compare. `Err`: Kusto refuses the comparison.
    fn comparable(&mut self, l: Expr, r: Expr) -> Result<(Expr, Expr), (Expr, Expr)> {
        use Type::{Bool, Dynamic, Guid, String};
        if is_null(&l) && !is_null(&r) {
            let l = Expr::null(r.ty, l.span);
            return Ok((l, r));
        }
        if is_null(&r) {
            let r = Expr::null(l.ty, r.span);
            return Ok((l, r));
        }
        let (a, b) = (l.ty, r.ty);
        if a == b || a == Dynamic || b == Dynamic || a.is_number() && b.is_number() {
            return Ok((l, r));
        }
        match (a, b) {
            (String, Guid) | (Guid, String) => Ok((l, r)),
            (Bool, n) if n.is_number() => Ok((self.cast("tolong", l), r)),
            (n, Bool) if n.is_number() => Ok((l, self.cast("tolong", r))),
            // What an open table's undeclared column holds shows only in the data.
            (String, _) if self.is_undeclared(&l) => match cast_to(b) {
                Some(f) => Ok((self.cast(f, l), r)),
                None => Err((l, r)),
            },
            (_, String) if self.is_undeclared(&r) => match cast_to(a) {
                Some(f) => Ok((l, self.cast(f, r))),
                None => Err((l, r)),
            },
            _ => Err((l, r)),
        }
    }

    /// A bare column that lowering typed as text for want of a declaration.
    pub(super) fn is_undeclared(&self, e: &Expr) -> bool {
        matches!(&e.kind, ExprKind::Column(n) if self.undeclared.contains(n))
    }

    pub(super) fn cast(&mut self, function: &str, e: Expr) -> Expr {
        let span = e.span;
        self.call(function, vec![e], span)
    }

    /// A string that may be null as `""`; anything else as it is.
    pub(super) fn never_null(&mut self, e: Expr) -> Expr {
        if e.ty != Type::String {
            return e;
        }
        let may = match &e.kind {
            ExprKind::Literal(v) => v.is_null(),
            ExprKind::Call(f, _) => {
                matches!(
                    f.name,
                    "coalesce" | "text_or_null" | "regex_group" | "max_of" | "min_of" | "ip_address_class"
                )
            }
            ExprKind::Column(_) | ExprKind::Case { .. } | ExprKind::Scalar(_) => true,
            _ => false,
        };
        if may { self.cast("tostring", e) } else { e }
    }

    pub(super) fn between(
        &mut self,
        negated: bool,
        value: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        span: Span,
        cx: Context,
    ) -> Expr {
        let v = self.scalar(value, cx);
        let l = self.scalar(low, cx);
        let mut h = self.scalar(high, cx);
        if h.ty == Type::TimeSpan && v.ty == Type::DateTime {
            let s = h.span;
            h = self.call("add", vec![l.clone(), h], s);
        }
        let from = self.compare_values(CompareOp::Ge, v.clone(), l, span);
        let to = self.compare_values(CompareOp::Le, v, h, span);
        let both = conjunction(vec![from, to], span);
        if negated { negation(both, span) } else { both }
    }

    pub(super) fn string_op(
        &mut self,
        op: &Node<StringOp>,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
        cx: Context,
    ) -> Expr {
        if op.node == StringOp::Colon {
            return self.column_term(left, right, span, cx);
        }
        let (function, negated) = string_function(op.node);
        let Some(function) = function else {
            self.error(
                "unsupported-function",
                format!("operator `{}` is not supported yet", op.node.as_str()),
                op.span,
            );
            return Expr::null(Type::Bool, span);
        };
        if matches!(left.node, Ast::Star) {
            let any = self.any_column(right, function, span, cx);
            return if negated { negation(any, span) } else { any };
        }
        let l = self.scalar(left, cx);
        let r = self.scalar(right, cx);
        let test = self.string_test(function, op.node.as_str(), l, r, span);
        if negated { negation(test, span) } else { test }
    }

    /// One string predicate; an operand that is no text is refused as Kusto does.
    fn string_test(&mut self, function: &str, operator: &str, l: Expr, r: Expr, span: Span) -> Expr {
        let l = if is_null(&l) { Expr::null(Type::String, l.span) } else { l };
        let r = if is_null(&r) { Expr::null(Type::String, r.span) } else { r };
        for e in [&l, &r] {
            if !is_text(e.ty) {
                let d = Diagnostic::warning(
                    "type-mismatch",
                    format!("`{operator}` compares text, and this is {}", with_article(e.ty)),
                )
                .at(e.span)
                .label(e.ty.to_string())
                .meaning("Kusto refuses the comparison; it is taken as never true")
                .help("compare with a value of the same type, or cast with tostring(…)");
                self.report(d);
                return Expr::boolean(false, span);
            }
        }
        if function == "matches_regex"
            && let Some(Value::Str(pattern)) = r.as_literal()
            && let Err(why) = tercel_ir::function::compile_regex(pattern)
        {
            let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
            self.report(
                Diagnostic::error("bad-regex", format!("this regular expression is not valid: {last}"))
                    .at(r.span),
            );
        }
        self.call(function, vec![l, r], span)
    }

    pub(super) fn list_op(
        &mut self,
        op: &Node<ListOp>,
        left: &ast::Expr,
        items: &[ast::Expr],
        span: Span,
        cx: Context,
    ) -> Expr {
        let (function, negated) = match op.node {
            ListOp::In => ("in", false),
            ListOp::NotIn => ("in", true),
            ListOp::InCi => ("in_ci", false),
            ListOp::NotInCi => ("in_ci", true),
            ListOp::HasAny => ("has_any", false),
            ListOp::NotHasAny => ("has_any", true),
            ListOp::HasAll => ("has_all", false),
            ListOp::NotHasAll => ("has_all", true),
        };
        let test = self.membership(function, op, left, items, span, cx);
        if negated { negation(test, span) } else { test }
    }

    fn membership(
        &mut self,
        function: &str,
        op: &Node<ListOp>,
        left: &ast::Expr,
        items: &[ast::Expr],
        span: Span,
        cx: Context,
    ) -> Expr {
        let mut list = Vec::new();
        let mut tests = Vec::new();
        let terms = matches!(function, "has_any" | "has_all");
        let value = if matches!(left.node, Ast::Star) { None } else { Some(self.scalar(left, cx)) };
        for item in items {
            if let Some(elements) =
                literals::array_items(item, self).filter(|_| !self.is_row_column(item, cx))
            {
                if self.spend(elements.len(), item.span).is_err() {
                    break;
                }
                list.extend(elements.iter().cloned());
            } else if self.is_table(item) && !self.is_row_column(item, cx) {
                let Ok(rows) = self.table(item) else { continue };
                if rows.rel.schema.columns.is_empty() {
                    self.error("type-mismatch", "this table has no column to compare with", item.span);
                    continue;
                }
                match (&value, terms) {
                    (Some(v), false) => {
                        tests.push(self.in_relation(v.clone(), rows, function == "in_ci", item.span))
                    }
                    // All first values as one array: needles like any others.
                    _ => list.push(self.column_array(rows, item.span)),
                }
            } else {
                list.push(self.scalar(item, cx));
            }
        }
        let Some(value) = value else {
            let row = cx.row.cloned();
            return self.any_column_list(function, row.as_ref(), list, span);
        };
        // `in (T)` alone is only the relation's test.
        if !list.is_empty() || tests.is_empty() {
            tests.push(self.list_test(function, op, value, list, span));
        }
        disjunction(tests, span)
    }

    fn is_row_column(&self, e: &ast::Expr, cx: Context) -> bool {
        matches!((&e.node, cx.row), (Ast::Name(n), Some(row)) if row.column(n).is_some())
    }

    fn in_relation(&mut self, value: Expr, rows: super::Rows, ignore_case: bool, span: Span) -> Expr {
        let value = self.never_null(value);
        let kind = ExprKind::InRelation { value: Box::new(value), relation: Arc::new(rows.rel), ignore_case };
        Expr { kind, ty: Type::Bool, span }
    }

    /// The first column of a table as one array, computed once.
    fn column_array(&mut self, rows: super::Rows, span: Span) -> Expr {
        let column = rows.rel.schema.columns[0].clone();
        let arg = Expr::column(column.name, column.ty, span);
        match self.aggregation("make_set", vec![arg], None, span) {
            Some(a) => {
                let rel = rows.rel.aggregate(Vec::new(), vec![("set".into(), a)], span);
                Expr { kind: ExprKind::Scalar(Arc::new(rel)), ty: Type::Dynamic, span }
            }
            None => Expr::null(Type::Dynamic, span),
        }
    }

    /// `value in (list)` and its kin, without tables.
    fn list_test(
        &mut self,
        function: &str,
        op: &Node<ListOp>,
        value: Expr,
        list: Vec<Expr>,
        span: Span,
    ) -> Expr {
        let value = if is_null(&value) { Expr::null(Type::String, value.span) } else { value };
        if function != "in" {
            if !is_text(value.ty) {
                let what = if function == "in_ci" {
                    "compared with strings under"
                } else {
                    "searched for terms with"
                };
                let d = Diagnostic::warning(
                    "type-mismatch",
                    format!("{} column {what} `{}`", kind_of(value.ty), op.node.as_str()),
                )
                .at(op.span)
                .label("never equal")
                .meaning(
                    "Kusto refuses this comparison; it is taken as never true, so the list never matches",
                )
                .help(number_help(&value, &list));
                self.report(d);
                return Expr::boolean(false, span);
            }
            // Needles are texts, whatever the list holds.
            let list = list.into_iter().map(|i| if is_text(i.ty) { i } else { self.cast("tostring", i) });
            let args = [value].into_iter().chain(list).collect();
            return self.call(function, args, span);
        }
        let mut fitting = Vec::with_capacity(list.len());
        let mut value = value;
        let mut refused: Option<Type> = None;
        for item in list {
            match self.comparable(value.clone(), item) {
                Ok((v, item)) => {
                    // The cast of an undeclared column holds for the whole list.
                    value = v;
                    fitting.push(item);
                }
                Err((_, item)) => refused = refused.or(Some(item.ty)),
            }
        }
        if let Some(ty) = refused {
            let d = Diagnostic::warning(
                "type-mismatch",
                format!(
                    "{} column compared with {} under `{}`",
                    kind_of(value.ty),
                    plural(ty),
                    op.node.as_str()
                ),
            )
            .at(op.span)
            .label("never equal")
            .meaning("Kusto refuses this comparison; items of the wrong type never match")
            .help(number_help(&value, &[]));
            self.report(d);
        }
        if fitting.is_empty() && refused.is_some() {
            return Expr::boolean(false, span);
        }
        let constant = |e: &Expr| matches!(e.as_literal(), Some(Value::Str(s)) if !s.is_empty());
        if value.ty == Type::String && !fitting.iter().all(constant) {
            value = self.never_null(value);
        }
        self.call("in", [vec![value], fitting].concat(), span)
    }
}

/// The registry's name of a string operator without its negation.
fn string_function(op: StringOp) -> (Option<&'static str>, bool) {
    use StringOp as S;
    let (name, negated) = match op {
        S::EqTilde => ("eq_ci", false),
        S::NotTilde => ("eq_ci", true),
        S::Has => ("has", false),
        S::NotHas => ("has", true),
        S::HasCs => ("has_cs", false),
        S::NotHasCs => ("has_cs", true),
        S::HasPrefix => ("hasprefix", false),
        S::NotHasPrefix => ("hasprefix", true),
        S::HasPrefixCs => ("hasprefix_cs", false),
        S::NotHasPrefixCs => ("hasprefix_cs", true),
        S::HasSuffix => ("hassuffix", false),
        S::NotHasSuffix => ("hassuffix", true),
        S::HasSuffixCs => ("hassuffix_cs", false),
        S::NotHasSuffixCs => ("hassuffix_cs", true),
        S::Contains => ("contains", false),
        S::NotContains => ("contains", true),
        S::ContainsCs => ("contains_cs", false),
        S::NotContainsCs => ("contains_cs", true),
        S::StartsWith => ("startswith", false),
        S::NotStartsWith => ("startswith", true),
        S::StartsWithCs => ("startswith_cs", false),
        S::NotStartsWithCs => ("startswith_cs", true),
        S::EndsWith => ("endswith", false),
        S::NotEndsWith => ("endswith", true),
        S::EndsWithCs => ("endswith_cs", false),
        S::NotEndsWithCs => ("endswith_cs", true),
        S::MatchesRegex => ("matches_regex", false),
        S::Like | S::NotLike | S::LikeCs | S::NotLikeCs | S::Colon => return (None, false),
    };
    (Some(name), negated)
}

/// The cast that makes a value of this type out of text.
fn cast_to(ty: Type) -> Option<&'static str> {
    Some(match ty {
        Type::Int | Type::Long => "tolong",
        Type::Real | Type::Decimal => "todouble",
        Type::Bool => "tobool",
        Type::DateTime => "todatetime",
        Type::TimeSpan => "totimespan",
        _ => return None,
    })
}

pub(super) fn is_text(ty: Type) -> bool {
    matches!(ty, Type::String | Type::Guid | Type::Dynamic)
}

fn kind_of(ty: Type) -> &'static str {
    match ty {
        Type::Int | Type::Long => "integer",
        Type::Real | Type::Decimal => "real",
        Type::Bool => "boolean",
        Type::DateTime => "datetime",
        Type::TimeSpan => "timespan",
        Type::Guid => "guid",
        Type::String => "string",
        Type::Dynamic => "dynamic",
    }
}

fn with_article(ty: Type) -> String {
    let name = kind_of(ty);
    let article = if name.starts_with('i') { "an" } else { "a" };
    format!("{article} {name}")
}

fn plural(ty: Type) -> String {
    format!("{}s", kind_of(ty))
}

fn number_help(value: &Expr, list: &[Expr]) -> String {
    let numbers: Vec<&str> = list
        .iter()
        .filter_map(|e| match e.as_literal() {
            Some(Value::Str(s)) if s.parse::<i64>().is_ok() => Some(s.as_str()),
            _ => None,
        })
        .take(3)
        .collect();
    match value.ty {
        ty if ty.is_integer() && !numbers.is_empty() => {
            format!("write the numbers without quotes: in ({}, …)", numbers.join(", "))
        }
        ty => format!("compare with values of type {ty}"),
    }
}

fn mismatch(l: &Expr, r: &Expr, span: Span) -> Diagnostic {
    Diagnostic::warning("type-mismatch", format!("{} compared with {}", kind_of(l.ty), with_article(r.ty)))
        .at(span)
        .meaning("Kusto refuses this comparison; it is taken as never equal")
        .help("cast one side, for example with tolong(…) or tostring(…)")
}
