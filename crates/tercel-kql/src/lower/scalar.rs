//! Scalar expressions.

use super::{Binding, Context, Lowerer, MAX_EXPR_DEPTH, depth};
use crate::ast::{self, ArithmeticOp, ExprKind as Ast, Step};
use std::sync::Arc;
use tercel_ir::function::{self, Function};
use tercel_ir::{Diagnostic, Expr, ExprKind, Span, Type, Value};

/// Text longer than this is not made while folding constants.
const MAX_FOLDED: usize = 1 << 16;

impl Lowerer<'_> {
    /// Any scalar expression. What cannot be lowered is reported and reads as null.
    pub(super) fn scalar(&mut self, e: &ast::Expr, cx: Context) -> Expr {
        let span = e.span;
        match &e.node {
            Ast::Name(n) => self.name(n, span, cx),
            Ast::Literal(l) => self.literal(l, span),
            Ast::Or(items) => {
                let items = items.iter().map(|i| self.condition(i, cx)).collect();
                disjunction(items, span)
            }
            Ast::And(items) => {
                let items = items.iter().map(|i| self.condition(i, cx)).collect();
                conjunction(items, span)
            }
            Ast::Sign { negative, operand } => {
                let operand = self.scalar(operand, cx);
                if *negative { self.call("neg", vec![operand], span) } else { operand }
            }
            Ast::Arithmetic { first, rest } => {
                let mut left = self.scalar(first, cx);
                for (op, right) in rest {
                    let right = self.scalar(right, cx);
                    let span = left.span.to(right.span);
                    left = self.arithmetic(op.node, left, right, span);
                    // A chain is one node of the tree; here it nests.
                    if rest.len() > MAX_EXPR_DEPTH && depth(&left) > MAX_EXPR_DEPTH {
                        self.error("nesting-too-deep", "this chain of arithmetic is too long", e.span);
                        return Expr::null(left.ty, span);
                    }
                }
                left
            }
            Ast::Compare { op, left, right } => self.compare(op, left, right, span, cx),
            Ast::StringOp { op, left, right } => self.string_op(op, left, right, span, cx),
            Ast::List { op, left, items } => self.list_op(op, left, items, span, cx),
            Ast::Between { negated, value, low, high } => {
                self.between(negated.node, value, low, high, span, cx)
            }
            Ast::Path { base, steps } => self.path(base, steps, span, cx),
            Ast::Call(c) => self.function_call(c, span, cx),
            Ast::Star if cx.search => Expr::boolean(true, span),
            Ast::Star | Ast::Wildcard(_) => {
                self.error("syntax", "`*` has no value here", span);
                Expr::null(Type::String, span)
            }
            Ast::Pipeline(_) | Ast::DataTable(_) | Ast::ExternalData(_) | Ast::EntityGroup(_) => {
                self.report(
                    Diagnostic::error("table-as-value", "a table stands where a value is needed")
                        .at(span)
                        .help("toscalar(…) takes the first value of a table"),
                );
                Expr::null(Type::Dynamic, span)
            }
            Ast::Error => {
                self.error("syntax", "this expression could not be read", span);
                Expr::null(Type::Dynamic, span)
            }
        }
    }

    /// An expression that must be true or false.
    pub(super) fn condition(&mut self, e: &ast::Expr, cx: Context) -> Expr {
        if cx.search
            && let Some(term) = self.search_term(e, cx)
        {
            return term;
        }
        let v = self.scalar(e, cx);
        self.boolean(v)
    }

    pub(super) fn boolean(&mut self, v: Expr) -> Expr {
        match v.ty {
            Type::Bool => v,
            _ if is_null(&v) => Expr::null(Type::Bool, v.span),
            Type::Dynamic => {
                let span = v.span;
                self.call("tobool", vec![v], span)
            }
            ty => {
                self.report(
                    Diagnostic::error(
                        "type-mismatch",
                        format!("a condition is needed here, not a value of type {ty}"),
                    )
                    .at(v.span)
                    .label(format!("{ty}")),
                );
                Expr::null(Type::Bool, v.span)
            }
        }
    }

    /// A name: a column of the row, else a `let`.
    pub(super) fn name(&mut self, name: &str, span: Span, cx: Context) -> Expr {
        if let Some(row) = cx.row
            && let Some(ty) = row.column(name)
        {
            return Expr::column(name, ty, span);
        }
        match self.lookup(name) {
            Some(Binding::Scalar { expr, size, .. }) => {
                let (ty, size) = (expr.ty, *size);
                // Before the copy is made, or copies of copies would take all memory first.
                if self.spend(size, span).is_err() {
                    return Expr::null(ty, span);
                }
                if let Some(Binding::Scalar { expr, .. }) = self.lookup(name) {
                    // Inside a larger expression the reader looks for the place of the use.
                    return Expr { span, ..expr.clone() };
                }
                return Expr::null(ty, span);
            }
            Some(Binding::Table(_)) => {
                self.report(
                    Diagnostic::error(
                        "table-as-value",
                        format!("`{name}` is a table, and a value is needed here"),
                    )
                    .at(span)
                    .help(format!("toscalar({name}) takes its first value")),
                );
                return Expr::null(Type::Dynamic, span);
            }
            Some(Binding::Function { .. }) => {
                self.error("function-as-value", format!("`{name}` is a function; call it with `()`"), span);
                return Expr::null(Type::Dynamic, span);
            }
            None => {}
        }
        let Some(row) = cx.row else {
            self.unknown_name(name, span);
            return Expr::null(Type::String, span);
        };
        if row.rel.schema.open {
            self.undeclared.insert(name.into());
            return Expr::column(name, Type::String, span);
        }
        self.unknown_column(name, span, row);
        Expr::null(Type::String, span)
    }

    fn unknown_name(&mut self, name: &str, span: Span) {
        let visible = self.visible();
        let near = tercel_ir::diag::nearest(name, visible.iter().map(|n| &**n)).map(str::to_string);
        let d = Diagnostic::error("unknown-name", format!("nothing is called `{name}` here"))
            .at(span)
            .label("neither a column nor a `let`");
        self.report(match near {
            Some(n) => d.help(format!("did you mean `{n}`?")),
            None => d,
        });
    }

    pub(super) fn unknown_column(&mut self, name: &str, span: Span, row: &super::Rows) {
        let near = tercel_ir::diag::nearest(name, row.rel.schema.names());
        let place = row.source.as_ref().map_or(String::new(), |s| format!(" in {s}"));
        let d = Diagnostic::warning("unknown-column", format!("unknown column {name}{place}"))
            .at(span)
            .label(if row.source.is_some() {
                "the table has no such column"
            } else {
                "no such column at this point"
            })
            .meaning("it reads as null in every row; Kusto refuses the query");
        self.report(match near {
            Some(n) => d.help(format!("did you mean {n}?")),
            None => d,
        });
    }

    fn arithmetic(&mut self, op: ArithmeticOp, left: Expr, right: Expr, span: Span) -> Expr {
        let name = match op {
            ArithmeticOp::Add => "add",
            ArithmeticOp::Subtract => "sub",
            ArithmeticOp::Multiply => "mul",
            ArithmeticOp::Divide => "div",
            ArithmeticOp::Modulo => "mod",
        };
        self.call(name, vec![left, right], span)
    }

    /// `base.a[0]…` as a value.
    fn path(&mut self, base: &ast::Expr, steps: &[Step], span: Span, cx: Context) -> Expr {
        if let Ast::Name(n) = &base.node
            && matches!(&**n, "$left" | "$right")
            && let Some((left, right)) = cx.sides
        {
            let side = if &**n == "$left" { left } else { right };
            let Some((Step::Member(column), rest)) = steps.split_first() else {
                self.error("syntax", format!("`{n}` needs a column behind it"), span);
                return Expr::null(Type::String, span);
            };
            let inner = Context { row: Some(side), sides: None, search: false };
            let start = self.column_only(&column.node, base.span.to(column.span), inner);
            return self.steps(start, rest, cx);
        }
        let start = self.scalar(base, cx);
        self.steps(start, steps, cx)
    }

    /// A column of the row, never a `let`.
    fn column_only(&mut self, name: &str, span: Span, cx: Context) -> Expr {
        let Some(row) = cx.row else { return Expr::null(Type::String, span) };
        match row.column(name) {
            Some(ty) => Expr::column(name, ty, span),
            None if row.rel.schema.open => {
                self.undeclared.insert(name.into());
                Expr::column(name, Type::String, span)
            }
            None => {
                self.unknown_column(name, span, row);
                Expr::null(Type::String, span)
            }
        }
    }

    fn steps(&mut self, mut at: Expr, steps: &[Step], cx: Context) -> Expr {
        if steps.len() > MAX_EXPR_DEPTH {
            self.error("nesting-too-deep", "this path is too long", at.span);
            return Expr::null(Type::Dynamic, at.span);
        }
        for step in steps {
            let (key, span) = match step {
                Step::Member(n) => (Expr::literal(Value::Str(n.node.to_string()), n.span), n.span),
                Step::Index(e) => (self.scalar(e, cx), e.span),
                Step::Call(c) => {
                    self.error(
                        "table-as-value",
                        format!("`{}(…)` in a path makes a table, not a value", c.node.name.node),
                        c.span,
                    );
                    return Expr::null(Type::Dynamic, at.span);
                }
                Step::Wildcard(w) => {
                    self.error("syntax", "`*` has no value here", w.span);
                    return Expr::null(Type::Dynamic, at.span);
                }
            };
            let whole = at.span.to(span);
            if !matches!(at.ty, Type::Dynamic | Type::String) {
                self.report(
                    Diagnostic::error("type-mismatch", format!("a value of type {} has no members", at.ty))
                        .at(whole)
                        .label("only dynamic values have"),
                );
                return Expr::null(Type::Dynamic, whole);
            }
            at = self.call("member", vec![at, key], whole);
            at.ty = Type::Dynamic;
        }
        at
    }

    /// A call of a function of the registry, by its registry name. Constants are folded.
    pub(super) fn call(&mut self, function: &str, args: Vec<Expr>, span: Span) -> Expr {
        match function::by_name(function) {
            Some(f) => self.call_function(f, args, span),
            None => {
                self.error(
                    "unsupported-function",
                    format!("function `{function}` is not supported yet"),
                    span,
                );
                Expr::null(Type::Dynamic, span)
            }
        }
    }

    pub(super) fn call_function(&mut self, f: &'static Function, args: Vec<Expr>, span: Span) -> Expr {
        let types: Vec<Type> = args.iter().map(|a| a.ty).collect();
        if let Ok(ty) = f.result_type(&types) {
            return fold(Expr { kind: ExprKind::Call(f, args), ty, span });
        }
        // What an open table's undeclared column holds is text until something needs a time or a number.
        let args = self.cast_undeclared(args);
        let types: Vec<Type> = args.iter().map(|a| a.ty).collect();
        if let Ok(ty) = f.result_type(&types) {
            return fold(Expr { kind: ExprKind::Call(f, args), ty, span });
        }
        // A null of no particular type fits everywhere.
        let args = if args.iter().any(is_null) { retype_nulls(args) } else { args };
        for nulls in [Type::Long, Type::String, Type::Dynamic, Type::DateTime, Type::TimeSpan] {
            if !args.iter().any(is_null) {
                break;
            }
            let typed =
                args.iter().map(|a| if is_null(a) { Expr::null(nulls, a.span) } else { a.clone() }).collect();
            if let Ok(e) = Expr::call(f, typed, span) {
                return fold(e);
            }
        }
        match Expr::call(f, args, span) {
            Ok(e) => fold(e),
            Err(why) => {
                let name = f.kql.first().unwrap_or(&f.name);
                self.report(
                    Diagnostic::error("type-mismatch", format!("`{name}`: {why}"))
                        .at(span)
                        .help("cast the argument first, for example with tostring(…) or tolong(…)"),
                );
                Expr::null(Type::Dynamic, span)
            }
        }
    }

    /// Gives undeclared columns the type that the other arguments ask for.
    fn cast_undeclared(&mut self, args: Vec<Expr>) -> Vec<Expr> {
        if !args.iter().any(|a| self.is_undeclared(a)) {
            return args;
        }
        let other = |t: fn(Type) -> bool| args.iter().any(|a| t(a.ty));
        let cast = if other(|t| matches!(t, Type::DateTime | Type::TimeSpan)) {
            "todatetime"
        } else if other(|t| t == Type::Real) {
            "todouble"
        } else if other(Type::is_number) {
            "tolong"
        } else {
            return args;
        };
        args.into_iter().map(|a| if self.is_undeclared(&a) { self.cast(cast, a) } else { a }).collect()
    }

    /// An expression that a pattern of constants needs as text.
    pub(super) fn constant_text(&mut self, e: &ast::Expr) -> Option<String> {
        let v = self.scalar(e, Context::NONE);
        match v.as_literal() {
            Some(Value::Str(s)) => Some(s.clone()),
            _ => None,
        }
    }

    /// A toscalar: constant subqueries are not computed here, but by the engine, once.
    pub(super) fn scalar_of(&mut self, rows: super::Rows, span: Span) -> Expr {
        let ty = rows.rel.schema.columns.first().map_or(Type::Dynamic, |c| c.ty);
        let e = Expr { kind: ExprKind::Scalar(Arc::new(rows.rel)), ty, span };
        // An empty table gives null; KQL has no null strings.
        if ty == Type::String { self.call("tostring", vec![e], span) } else { e }
    }
}

/// Whether this is a null literal (of any type).
pub(super) fn is_null(e: &Expr) -> bool {
    matches!(e.as_literal(), Some(Value::Null))
}

/// Gives nulls the type of the first argument that is none.
fn retype_nulls(args: Vec<Expr>) -> Vec<Expr> {
    let Some(ty) = args.iter().find(|a| !is_null(a)).map(|a| a.ty) else { return args };
    args.into_iter().map(|a| if is_null(&a) { Expr::null(ty, a.span) } else { a }).collect()
}

/// The value of a call whose arguments are all constants.
pub(super) fn fold(e: Expr) -> Expr {
    let ExprKind::Call(f, args) = &e.kind else { return e };
    // These depend on the run.
    if matches!(f.name, "now" | "geo_info_from_ip_address") || args.is_empty() {
        return e;
    }
    let mut values = Vec::with_capacity(args.len());
    let mut size = 0;
    for a in args {
        let Some(v) = a.as_literal() else { return e };
        size += match v {
            Value::Str(s) => s.len(),
            Value::Dynamic(_) => super::value_size(v) * 64,
            _ => 8,
        };
        values.push(v.clone());
    }
    if size > MAX_FOLDED {
        return e;
    }
    let value = (f.eval)(&values, &function::Context::default());
    if matches!(&value, Value::Str(s) if s.len() > MAX_FOLDED) {
        return e;
    }
    Expr { kind: ExprKind::Literal(value), ty: e.ty, span: e.span }
}

/// Conjunction without constants that decide nothing; false when one decides all.
pub(super) fn conjunction(items: Vec<Expr>, span: Span) -> Expr {
    if items.iter().any(|i| i.as_literal() == Some(&Value::Bool(false))) {
        return Expr::boolean(false, span);
    }
    let items = items.into_iter().filter(|i| i.as_literal() != Some(&Value::Bool(true))).collect();
    Expr::and(items, span)
}

/// Disjunction likewise.
pub(super) fn disjunction(items: Vec<Expr>, span: Span) -> Expr {
    if items.iter().any(|i| i.as_literal() == Some(&Value::Bool(true))) {
        return Expr::boolean(true, span);
    }
    let items = items.into_iter().filter(|i| i.as_literal() != Some(&Value::Bool(false))).collect();
    Expr::or(items, span)
}

/// Negation, folded.
pub(super) fn negation(e: Expr, span: Span) -> Expr {
    match e.as_literal() {
        Some(Value::Bool(b)) => Expr::boolean(!b, span),
        Some(Value::Null) => Expr::null(Type::Bool, span),
        _ => Expr::not(e, span),
    }
}
