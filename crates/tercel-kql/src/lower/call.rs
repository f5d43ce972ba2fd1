//! Calls: KQL's own special forms, the registry's functions, functions that the query defines, and
//! stored ones.

use super::known::DOCUMENTED;
use super::scalar::{is_null, negation};
use super::{Binding, Context, Failed, Lowered, Lowerer, MAX_CALL_DEPTH, MAX_CALLS, Rows, Scope};
use crate::ast::{
    Argument, Call, ExprKind as Ast, Function, Literal, ParameterType, Statement, StatementKind,
};
use std::rc::Rc;
use tercel_ir::{Diagnostic, Expr, ExprKind, Name, Span, StoredFunction, Type, Value, function};

/// What a call of a user-defined function gives.
pub(super) enum Outcome {
    Value(Expr),
    Table(Rows),
}

impl Lowerer<'_> {
    /// A call where a value is needed.
    pub(super) fn function_call(&mut self, c: &Call, span: Span, cx: Context) -> Expr {
        let name = &*c.name.node;
        match self.lookup(name) {
            Some(Binding::Function { function, scope }) => {
                let (function, scope) = (function.clone(), *scope);
                return match self.call_user(&function, scope, &c.name.node, &c.arguments, None, span, cx) {
                    Ok(Outcome::Value(e)) => e,
                    Ok(Outcome::Table(_)) => {
                        self.error(
                            "table-as-value",
                            format!("`{name}` gives a table, and a value is needed here"),
                            span,
                        );
                        Expr::null(Type::Dynamic, span)
                    }
                    Err(Failed) => Expr::null(Type::Dynamic, span),
                };
            }
            Some(Binding::Scalar { .. } | Binding::Table(_)) => {
                self.error("not-a-function", format!("`{name}` is no function"), c.name.span);
                return Expr::null(Type::Dynamic, span);
            }
            None => {}
        }
        if let Some(e) = self.special(c, span, cx) {
            return e;
        }
        let Some(f) = function::by_kql(old_name(name)).filter(|_| is_function_name(name)) else {
            return self.no_function(c, span);
        };
        let args = self.arguments(c, cx);
        self.call_function(f, args, span)
    }

    fn arguments(&mut self, c: &Call, cx: Context) -> Vec<Expr> {
        let cx = Context { search: false, ..cx };
        c.arguments
            .iter()
            .map(|a| {
                if let Some(n) = &a.name {
                    self.error("syntax", format!("`{}` has no named arguments", c.name.node), n.span);
                }
                self.scalar(&a.value, cx)
            })
            .collect()
    }

    fn no_function(&mut self, c: &Call, span: Span) -> Expr {
        let name = &*c.name.node;
        if function::aggregate_by_kql(name).is_some() || super::aggregate::is_aggregate(name) {
            self.report(
                Diagnostic::error(
                    "misplaced-aggregate",
                    format!("`{name}` is an aggregate and has no value for a single row"),
                )
                .at(span)
                .help("aggregates stand in `summarize`"),
            );
        } else if DOCUMENTED.contains(&name) {
            self.report(
                Diagnostic::error("unsupported-function", format!("function `{name}` is not supported yet"))
                    .at(c.name.span)
                    .label("this call cannot run"),
            );
        } else {
            self.unknown_function(name, c.name.span);
        }
        Expr::null(Type::Dynamic, span)
    }

    pub(super) fn unknown_function(&mut self, name: &str, span: Span) {
        let d = Diagnostic::error("unknown-function", format!("there is no function `{name}`")).at(span);
        let names = self.catalog.names();
        let visible = self.visible();
        let known =
            function::all().iter().flat_map(|f| f.kql.iter().copied()).filter(|n| is_function_name(n));
        let known = known.chain(DOCUMENTED.iter().copied()).chain(names.iter().map(String::as_str));
        let near = tercel_ir::diag::nearest(name, known.chain(visible.iter().map(|n| &**n)));
        let d = match near {
            Some(n) => d.help(format!("did you mean `{n}`?")),
            None => d,
        };
        self.report(d);
    }

    fn want(&mut self, c: &Call, least: usize, most: usize, span: Span) -> bool {
        let n = c.arguments.len();
        if (least..=most).contains(&n) {
            return true;
        }
        let want = if least == most { least.to_string() } else { format!("{least} to {most}") };
        self.error(
            "bad-arguments",
            format!("`{}` takes {want} argument{}, {n} given", c.name.node, if most == 1 { "" } else { "s" }),
            span,
        );
        false
    }

    /// Functions with a meaning of their own in this language. `None`: not one of them.
    fn special(&mut self, c: &Call, span: Span, cx: Context) -> Option<Expr> {
        let name = &*c.name.node;
        let inner = Context { search: false, ..cx };
        let bad = |ty| Some(Expr::null(ty, span));
        match name {
            "not" => {
                if !self.want(c, 1, 1, span) {
                    return bad(Type::Bool);
                }
                let e = self.condition(&c.arguments[0].value, cx);
                Some(negation(e, span))
            }
            "iff" | "iif" => {
                if !self.want(c, 3, 3, span) {
                    return bad(Type::Dynamic);
                }
                let branches = vec![(&c.arguments[0], &c.arguments[1])];
                Some(self.case(&branches, &c.arguments[2], span, inner))
            }
            "case" => {
                if c.arguments.len() < 3 || c.arguments.len().is_multiple_of(2) {
                    self.error(
                        "bad-arguments",
                        "`case` takes pairs of condition and value, and a last value",
                        span,
                    );
                    return bad(Type::Dynamic);
                }
                let (otherwise, pairs) = c.arguments.split_last().expect("at least three");
                let branches: Vec<_> = pairs.chunks_exact(2).map(|p| (&p[0], &p[1])).collect();
                Some(self.case(&branches, otherwise, span, inner))
            }
            "now" | "ago" => {
                if !self.want(c, usize::from(name == "ago"), 1, span) {
                    return bad(Type::DateTime);
                }
                let now = Expr::known("now", Vec::new(), span);
                let Some(offset) = c.arguments.first() else { return Some(now) };
                let offset = self.scalar(&offset.value, inner);
                Some(self.call(if name == "ago" { "sub" } else { "add" }, vec![now, offset], span))
            }
            "isnull" | "isnotnull" | "notnull" => {
                if !self.want(c, 1, 1, span) {
                    return bad(Type::Bool);
                }
                let e = self.scalar(&c.arguments[0].value, inner);
                // A string is never null.
                if e.ty == Type::String {
                    return Some(Expr::boolean(name != "isnull", span));
                }
                Some(self.call(if name == "isnull" { "isnull" } else { "isnotnull" }, vec![e], span))
            }
            "toscalar" => {
                if !self.want(c, 1, 1, span) {
                    return bad(Type::Dynamic);
                }
                let value = &c.arguments[0].value;
                if !self.is_table(value) {
                    return Some(self.scalar(value, inner));
                }
                match self.table(value) {
                    Ok(rows) => Some(self.scalar_of(rows, span)),
                    Err(Failed) => bad(Type::Dynamic),
                }
            }
            "materialize" if c.arguments.len() == 1 => Some(self.scalar(&c.arguments[0].value, inner)),
            "column_ifexists" | "columnifexists" => {
                if !self.want(c, 2, 2, span) {
                    return bad(Type::Dynamic);
                }
                let Some(column) = self.constant_text(&c.arguments[0].value) else {
                    self.error(
                        "bad-arguments",
                        "the first argument must be a constant name",
                        c.arguments[0].value.span,
                    );
                    return bad(Type::Dynamic);
                };
                let row = cx.row?;
                if row.column(&column).is_some() || row.rel.schema.open {
                    return Some(self.name(&column, span, inner));
                }
                Some(self.scalar(&c.arguments[1].value, inner))
            }
            "ingestion_time" => {
                // Nothing records it locally; the time of the event is the nearest fact.
                let row = cx.row?;
                if row.column("TimeGenerated").is_some() {
                    return Some(Expr::column("TimeGenerated", Type::DateTime, span));
                }
                self.error(
                    "unsupported-function",
                    "`ingestion_time` needs the column TimeGenerated here",
                    span,
                );
                bad(Type::DateTime)
            }
            "extract" if c.arguments.len() == 4 => {
                let Ast::Literal(Literal::TypeOf(to)) = &c.arguments[3].value.node else {
                    self.error(
                        "bad-arguments",
                        "the fourth argument of `extract` is typeof(…)",
                        c.arguments[3].value.span,
                    );
                    return bad(Type::String);
                };
                let args = c.arguments[..3].iter().map(|a| self.scalar(&a.value, inner)).collect();
                let text = self.call("extract", args, span);
                Some(self.convert(text, to, span))
            }
            "datetime_add" => Some(self.datetime_add(c, span, inner)),
            "datetime_part" | "datepart" | "getdatepart" => Some(self.datetime_part(c, span, inner)),
            "pack_all" | "packall" if c.arguments.len() <= 1 => {
                let row = cx.row?;
                let mut args = Vec::new();
                for column in &row.rel.schema.columns {
                    args.push(Expr::literal(Value::Str(column.name.to_string()), span));
                    args.push(Expr::column(column.name.clone(), column.ty, span));
                }
                if !c.arguments.is_empty() {
                    self.error(
                        "unsupported-function",
                        "`pack_all` that leaves out nulls is not supported yet",
                        span,
                    );
                }
                Some(self.call("bag_pack", args, span))
            }
            "strcat" | "coalesce" if c.arguments.is_empty() => {
                self.want(c, 1, 64, span);
                bad(Type::String)
            }
            "coalesce" => {
                let args = self.arguments(c, cx);
                Some(self.coalesce(args, span))
            }
            _ => None,
        }
    }

    /// The first of the values that is neither null nor empty.
    fn coalesce(&mut self, args: Vec<Expr>, span: Span) -> Expr {
        let args = self.unify(args, span);
        self.call("coalesce", args, span)
    }

    fn case(
        &mut self,
        branches: &[(&Argument, &Argument)],
        otherwise: &Argument,
        span: Span,
        cx: Context,
    ) -> Expr {
        let conditions: Vec<Expr> = branches.iter().map(|(c, _)| self.condition(&c.value, cx)).collect();
        let values: Vec<Expr> =
            branches.iter().map(|(_, v)| *v).chain([otherwise]).map(|a| self.scalar(&a.value, cx)).collect();
        let mut values = self.unify(values, span);
        let mut otherwise = values.pop().expect("the last value");
        let ty = otherwise.ty;
        let mut kept = Vec::new();
        for (condition, value) in conditions.into_iter().zip(values) {
            match condition.as_literal() {
                Some(Value::Bool(true)) => {
                    otherwise = value;
                    break;
                }
                Some(Value::Bool(false) | Value::Null) => {}
                _ => kept.push((condition, value)),
            }
        }
        if kept.is_empty() {
            return Expr { span, ..otherwise };
        }
        Expr { kind: ExprKind::Case { branches: kept, otherwise: Box::new(otherwise) }, ty, span }
    }

    /// Brings values to one type: nulls follow the others, integers become reals beside reals. What
    /// Kusto refuses is reported and becomes text.
    pub(super) fn unify(&mut self, values: Vec<Expr>, span: Span) -> Vec<Expr> {
        let mut types: Vec<Type> = values.iter().filter(|v| !is_null(v)).map(|v| v.ty).collect();
        types.dedup();
        let Some(&first) = types.first() else {
            // Nothing but nulls: the type of the first.
            let ty = values.iter().map(|v| v.ty).find(|t| *t != Type::Dynamic).unwrap_or(Type::Dynamic);
            return values.into_iter().map(|v| Expr::null(ty, v.span)).collect();
        };
        let ty = if types.iter().all(|t| *t == first) {
            first
        } else if types.iter().all(|t| t.is_integer()) {
            Type::Long
        } else if types.iter().all(|t| t.is_number()) {
            Type::Real
        } else if types.contains(&Type::Dynamic) {
            Type::Dynamic
        } else if types.iter().all(|t| matches!(t, Type::String | Type::Guid)) {
            Type::String
        } else {
            let names: Vec<&str> = types.iter().map(|t| t.as_str()).collect();
            self.report(
                Diagnostic::warning(
                    "type-mismatch",
                    format!("values of different types: {}", names.join(", ")),
                )
                .at(span)
                .meaning("Kusto refuses them; they are taken as text")
                .help("cast them to one type"),
            );
            Type::String
        };
        values
            .into_iter()
            .map(|v| match ty {
                _ if is_null(&v) => Expr::null(ty, v.span),
                _ if v.ty == ty => v,
                Type::Long => Expr { ty, ..v },
                Type::Real => self.cast("todouble", v),
                Type::String => self.cast("tostring", v),
                Type::Dynamic => self.dynamic_from(v),
                _ => v,
            })
            .collect()
    }

    fn dynamic_from(&mut self, v: Expr) -> Expr {
        match v.as_literal() {
            Some(value) => {
                let value = value.clone().coerce(Type::Dynamic);
                Expr { kind: ExprKind::Literal(value), ty: Type::Dynamic, span: v.span }
            }
            // A one-element array opened again: the plain value as a dynamic, text unparsed.
            None => {
                let span = v.span;
                let array = self.call("pack_array", vec![v], span);
                self.call("member", vec![array, Expr::literal(Value::Long(0), span)], span)
            }
        }
    }

    /// `value to typeof(to)`.
    pub(super) fn convert(&mut self, value: Expr, to: &str, span: Span) -> Expr {
        let function = match Type::parse(to.trim()) {
            Some(Type::String) => "tostring",
            Some(Type::Long) => "tolong",
            Some(Type::Int) => "toint",
            Some(Type::Real | Type::Decimal) => "todouble",
            Some(Type::Bool) => "tobool",
            Some(Type::DateTime) => "todatetime",
            Some(Type::TimeSpan) => "totimespan",
            Some(Type::Guid) => "toguid",
            Some(Type::Dynamic) => return value,
            None => {
                self.error("unknown-type", format!("there is no type `{to}`"), span);
                return value;
            }
        };
        if value.ty.as_str() == to && value.ty != Type::String {
            return value;
        }
        self.call(function, vec![value], span)
    }

    fn datetime_add(&mut self, c: &Call, span: Span, cx: Context) -> Expr {
        if !self.want(c, 3, 3, span) {
            return Expr::null(Type::DateTime, span);
        }
        let unit = self.constant_text(&c.arguments[0].value).unwrap_or_default().to_ascii_lowercase();
        let ticks: i64 = match unit.as_str() {
            "week" => 7 * 864_000_000_000,
            "day" => 864_000_000_000,
            "hour" => 36_000_000_000,
            "minute" => 600_000_000,
            "second" => 10_000_000,
            "millisecond" => 10_000,
            "microsecond" => 10,
            _ => {
                self.error(
                    "unsupported-function",
                    format!("`datetime_add` of `{unit}` is not supported yet"),
                    span,
                );
                return Expr::null(Type::DateTime, span);
            }
        };
        let amount = self.scalar(&c.arguments[1].value, cx);
        let time = self.scalar(&c.arguments[2].value, cx);
        let unit = Expr { kind: ExprKind::Literal(Value::TimeSpan(ticks)), ty: Type::TimeSpan, span };
        let offset = self.call("mul", vec![unit, amount], span);
        self.call("add", vec![time, offset], span)
    }

    fn datetime_part(&mut self, c: &Call, span: Span, cx: Context) -> Expr {
        if !self.want(c, 2, 2, span) {
            return Expr::null(Type::Long, span);
        }
        let unit = self.constant_text(&c.arguments[0].value).unwrap_or_default().to_ascii_lowercase();
        let function = match unit.as_str() {
            "year" => "getyear",
            "month" => "monthofyear",
            "day" => "dayofmonth",
            "hour" => "hourofday",
            "minute" => "minuteofhour",
            "dayofyear" => "dayofyear",
            "week" | "week_of_year" | "weekofyear" => "weekofyear",
            _ => {
                self.error(
                    "unsupported-function",
                    format!("`datetime_part` of `{unit}` is not supported yet"),
                    span,
                );
                return Expr::null(Type::Long, span);
            }
        };
        let time = self.scalar(&c.arguments[1].value, cx);
        self.call(function, vec![time], span)
    }

    // ---- functions written in KQL -------------------------------------------------------------

    /// Inlines a function of the query. `piped` is the table that `invoke` hands over as the first argument.
    #[expect(clippy::too_many_arguments, reason = "a call has this many parts")]
    pub(super) fn call_user(
        &mut self,
        function: &Rc<Function>,
        scope: Scope,
        name: &str,
        arguments: &[Argument],
        piped: Option<Rows>,
        span: Span,
        cx: Context,
    ) -> Lowered<Outcome> {
        self.enter(name, span)?;
        let mut bound: Vec<(Name, Binding)> = Vec::new();
        let mut given: Vec<Option<&Argument>> = vec![None; function.parameters.len()];
        let first = usize::from(piped.is_some());
        let mut place = first;
        for a in arguments {
            let at = match &a.name {
                Some(n) => function.parameters.iter().position(|p| p.name.node == n.node),
                None => {
                    place += 1;
                    (place <= given.len()).then(|| place - 1)
                }
            };
            match at {
                Some(i) if given[i].is_none() => given[i] = Some(a),
                Some(_) => self.error("bad-arguments", "this parameter is given twice", a.value.span),
                None => {
                    let what = a.name.as_ref().map_or("one argument too many".to_string(), |n| {
                        format!("no parameter `{}`", n.node)
                    });
                    self.error("bad-arguments", format!("`{name}`: {what}"), a.value.span);
                }
            }
        }
        let mut failed = false;
        let mut piped = piped;
        for (i, p) in function.parameters.iter().enumerate() {
            if i == 0
                && let Some(rows) = piped.take()
            {
                bound.push((p.name.node.clone(), Binding::Table(Rc::new(rows))));
                continue;
            }
            let value = given[i].map(|a| &a.value);
            match (&p.ty, value, &p.default) {
                (ParameterType::Table(_), Some(v), _) => match self.table(v) {
                    Ok(rows) => bound.push((p.name.node.clone(), Binding::Table(Rc::new(rows)))),
                    Err(Failed) => failed = true,
                },
                (ParameterType::Scalar(ty), Some(v), _) => {
                    let items = super::literals::array_items(v, self);
                    let e = self.scalar(v, Context { search: false, ..cx });
                    let expr = self.fit(e, ty.node);
                    let size = super::expr_size(&expr);
                    bound.push((p.name.node.clone(), Binding::Scalar { expr, items, size }));
                }
                (ParameterType::Scalar(ty), None, Some(d)) => {
                    let items = super::literals::array_items(d, self);
                    let e = self.scalar(d, Context::NONE);
                    let expr = self.fit(e, ty.node);
                    let size = super::expr_size(&expr);
                    bound.push((p.name.node.clone(), Binding::Scalar { expr, items, size }));
                }
                (_, None, _) => {
                    self.error(
                        "bad-arguments",
                        format!("`{name}` needs a value for `{}`", p.name.node),
                        span,
                    );
                    failed = true;
                }
            }
        }
        if failed {
            self.inlining.pop();
            return Err(Failed);
        }
        let outer = std::mem::replace(&mut self.env, scope);
        for (n, b) in bound {
            self.bind(n, b);
        }
        let result = self.body(&function.body, name, span);
        self.env = outer;
        self.inlining.pop();
        result
    }

    /// An argument brought to its parameter's type, where that is a matter of number width.
    fn fit(&mut self, e: Expr, ty: Type) -> Expr {
        match (e.ty, ty) {
            (a, b) if a == b => e,
            _ if is_null(&e) => Expr::null(ty, e.span),
            (a, Type::Long | Type::Int) if a.is_integer() => Expr { ty, ..e },
            (a, Type::Real | Type::Decimal) if a.is_number() => self.cast("todouble", e),
            (Type::String, Type::Dynamic) => e,
            (Type::Dynamic, _) => {
                let span = e.span;
                self.convert(e, ty.as_str(), span)
            }
            _ => e,
        }
    }

    fn enter(&mut self, name: &str, span: Span) -> Lowered<()> {
        self.calls += 1;
        if self.inlining.len() >= MAX_CALL_DEPTH {
            self.error("nesting-too-deep", "functions call each other too deeply", span);
            return Err(Failed);
        }
        if self.calls > MAX_CALLS {
            self.error("query-too-large", "this query calls too many functions", span);
            return Err(Failed);
        }
        self.inlining.push(name.to_string());
        Ok(())
    }

    fn body(&mut self, body: &[Statement], name: &str, span: Span) -> Lowered<Outcome> {
        let mut result = None;
        for s in body {
            if let StatementKind::Query(e) = &s.node {
                if result.is_some() {
                    self.error("syntax", format!("`{name}` has several results"), s.span);
                }
                result = Some(if self.is_table(e) {
                    Outcome::Table(self.table(e)?)
                } else {
                    Outcome::Value(self.scalar(e, Context::NONE))
                });
            } else {
                self.statement(s)?;
            }
        }
        match result {
            Some(r) => Ok(r),
            None => {
                self.error("no-query", format!("`{name}` has no result"), span);
                Err(Failed)
            }
        }
    }

    /// Inlines a stored function. Its text is another one: what is found there is told at the call.
    pub(super) fn call_stored(
        &mut self,
        stored: &StoredFunction,
        arguments: &[Argument],
        span: Span,
        cx: Context,
    ) -> Lowered<Rows> {
        let (ast, found) = crate::parse(&stored.body);
        if let Some(d) = found.iter().find(|d| d.severity == tercel_ir::Severity::Error) {
            self.error(
                "bad-stored-function",
                format!("stored function `{}`: {}", stored.name, d.message),
                span,
            );
            return Err(Failed);
        }
        // Before the parameters are in scope.
        let mut values: Vec<Option<Expr>> = vec![None; stored.params.len()];
        let mut lists: Vec<Option<Rc<Vec<Expr>>>> = vec![None; stored.params.len()];
        let mut place = 0;
        for a in arguments {
            let at = match &a.name {
                Some(n) => stored.params.iter().position(|p| *p.name == *n.node),
                None => {
                    place += 1;
                    (place <= values.len()).then(|| place - 1)
                }
            };
            let Some(at) = at else {
                let d = match &a.name {
                    Some(n) => {
                        let near =
                            tercel_ir::diag::nearest(&n.node, stored.params.iter().map(|p| p.name.as_str()));
                        let d = Diagnostic::error(
                            "bad-arguments",
                            format!("`{}` has no parameter `{}`", stored.name, n.node),
                        )
                        .at(n.span);
                        match near {
                            Some(p) => d.help(format!("did you mean `{p}`?")),
                            None => d,
                        }
                    }
                    None => Diagnostic::error(
                        "bad-arguments",
                        format!("`{}`: one argument too many", stored.name),
                    )
                    .at(a.value.span),
                };
                self.report(d);
                continue;
            };
            lists[at] = super::literals::array_items(&a.value, self);
            let e = self.scalar(&a.value, Context { search: false, ..cx });
            values[at] = Some(self.fit(e, stored.params[at].ty));
        }
        self.enter(&stored.name, span)?;
        let outer = self.env.take();
        for ((p, value), items) in stored.params.iter().zip(values).zip(lists) {
            let expr = match (value, &p.default) {
                (Some(e), _) => e,
                (None, Some(v)) => Expr { kind: ExprKind::Literal(v.clone()), ty: p.ty, span },
                (None, None) => {
                    self.error(
                        "bad-arguments",
                        format!("`{}` needs a value for `{}`", stored.name, p.name),
                        span,
                    );
                    Expr::null(p.ty, span)
                }
            };
            let items = items.or_else(|| default_items(&expr).map(Rc::new));
            self.bind_scalar(p.name.as_str().into(), expr, items);
        }
        let before = std::mem::take(&mut self.diagnostics);
        let result = self.body(&ast.statements, &stored.name, span);
        let inside = std::mem::replace(&mut self.diagnostics, before);
        self.env = outer;
        self.inlining.pop();
        for d in inside {
            if d.severity == tercel_ir::Severity::Error {
                self.error(
                    "bad-stored-function",
                    format!("in stored function `{}`: {}", stored.name, d.message),
                    span,
                );
            }
        }
        match result? {
            Outcome::Table(rows) => {
                let source = Some(Name::from(stored.name.as_str()));
                let mut rel = rows.rel;
                super::source::respan(&mut rel, span);
                let schema = rel.schema.clone();
                let kind = tercel_ir::RelKind::View {
                    name: stored.name.as_str().into(),
                    body: std::sync::Arc::new(rel),
                };
                Ok(Rows::new(tercel_ir::Rel { kind, schema, span }, source))
            }
            Outcome::Value(_) => {
                self.error(
                    "bad-stored-function",
                    format!("stored function `{}` gives a value, not a table", stored.name),
                    span,
                );
                Err(Failed)
            }
        }
    }
}

/// The elements of a default that is an array.
fn default_items(e: &Expr) -> Option<Vec<Expr>> {
    match e.as_literal()? {
        Value::Dynamic(serde_json::Value::Array(items)) => Some(
            items
                .iter()
                .map(|j| match j {
                    serde_json::Value::String(s) => Expr::literal(Value::Str(s.clone()), e.span),
                    serde_json::Value::Bool(b) => Expr::boolean(*b, e.span),
                    serde_json::Value::Number(n) if n.is_i64() => {
                        Expr::literal(Value::Long(n.as_i64().unwrap_or(0)), e.span)
                    }
                    other => Expr::literal(Value::Dynamic(other.clone()), e.span),
                })
                .collect(),
        ),
        _ => None,
    }
}

/// Names that the service still reads and no longer documents.
fn old_name(name: &str) -> &str {
    match name {
        "parsejson" => "parse_json",
        "base64_decodestring" => "base64_decode_tostring",
        "base64_encodestring" => "base64_encode_tostring",
        "arraylength" => "array_length",

        other => other,
    }
}

/// Operators of the registry are no functions.
fn is_function_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !matches!(
            name,
            "has"
                | "has_cs"
                | "hasprefix"
                | "hasprefix_cs"
                | "hassuffix"
                | "hassuffix_cs"
                | "contains"
                | "contains_cs"
                | "containscs"
                | "startswith"
                | "startswith_cs"
                | "endswith"
                | "endswith_cs"
                | "in"
                | "has_any"
                | "has_all"
        )
}
