//! Values and conditions.

use tercel_ir::{Diagnostic, Expr, ExprKind, Span, Type, Value};

use super::{Lowerer, Profile, R, call, nullable, text_literal};
use crate::ast::{self, BinaryOp, Text};
use crate::findings;

/// A value taken apart: `null_if ? null : value`. Text functions of the registry read null as "", so a
/// call of one is wrapped that way; conditions look through the wrapping.
pub(crate) struct Peeled {
    pub value: Expr,
    /// `isnull(x)` of the wrapped argument.
    pub null_if: Option<Expr>,
}

impl Peeled {
    /// A condition that the whole is not null; `None` when it never is.
    pub fn guard(&self, span: Span) -> Option<Expr> {
        match &self.null_if {
            Some(Expr { kind: ExprKind::Call(_, args), .. }) => Some(call("isnotnull", args.clone(), span)),
            Some(_) => None,
            None if nullable(&self.value) => Some(call("isnotnull", vec![self.value.clone()], span)),
            None => None,
        }
    }
}

pub(super) fn peel(e: Expr) -> Peeled {
    if let ExprKind::Case { branches, otherwise } = &e.kind
        && let [(c, t)] = branches.as_slice()
        && matches!(t.kind, ExprKind::Literal(Value::Null))
        && let ExprKind::Call(f, _) = &c.kind
        && f.name == "isnull"
    {
        return Peeled { value: (**otherwise).clone(), null_if: Some(c.clone()) };
    }
    Peeled { value: e, null_if: None }
}

/// `f(first, …)` that is null where `first` is.
pub(super) fn null_safe(first: Expr, span: Span, f: impl FnOnce(Expr) -> Expr) -> Expr {
    let p = peel(first);
    let null_if = match p.null_if {
        Some(n) => n,
        None if nullable(&p.value) => call("isnull", vec![p.value.clone()], span),
        None => return f(p.value),
    };
    let value = f(p.value);
    Expr::iff(null_if, Expr::null(value.ty, span), value, span)
}

impl Lowerer<'_> {
    /// A string literal's value; refused while it holds a parameter.
    pub fn string(&mut self, t: &Text) -> R<String> {
        let s = t.cooked();
        if let Some(p) = crate::substitute::parameters(&s).next() {
            return self.template(p, t.at.0);
        }
        Ok(s)
    }

    /// A value as Sumo sees it: text, number or boolean; points in time are milliseconds.
    pub fn value(&mut self, e: &ast::Expr) -> R<Expr> {
        let v = self.raw_value(e)?;
        Ok(plain(v))
    }

    /// A value with the type that its column has.
    pub fn raw_value(&mut self, e: &ast::Expr) -> R<Expr> {
        use ast::ExprKind as K;
        let span = e.at.0;
        match &e.kind {
            K::Field(n) => Ok(self.field(n)),
            K::Template(t) | K::Templated(_, t) => {
                let t = t.clone();
                self.template(&t, span)
            }
            K::String(t) => Ok(text_literal(self.string(t)?, span)),
            K::Number(n) => Ok(number_literal(n, span)),
            K::Bool(b) => Ok(Expr::boolean(*b, span)),
            K::Null => Ok(Expr::null(Type::String, span)),
            K::Regex(_) => self.refuse(
                Diagnostic::error(
                    "sumo-regex-place",
                    "a regular expression stands only behind `matches` and in `replace`",
                )
                .at(span),
            ),
            K::Path(p) => {
                let message = format!("the table `{p}` can only be used by `lookup`");
                self.refuse(Diagnostic::error("unsupported-function", message).at(span))
            }
            K::Neg(x) => {
                let v = self.value(x)?;
                let v = number(v);
                if let Some(Value::Long(n)) = v.as_literal()
                    && let Some(n) = n.checked_neg()
                {
                    return Ok(Expr::literal(Value::Long(n), span));
                }
                if let Some(Value::Real(r)) = v.as_literal() {
                    return Ok(Expr::literal(Value::Real(-r), span));
                }
                Ok(call("neg", vec![v], span))
            }
            K::Not(_) | K::And(_) | K::Or(_) | K::In { .. } | K::Matches { .. } | K::Contains { .. } => {
                self.condition(e)
            }
            K::Binary(op, a, b) => match op {
                BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                    self.condition(e)
                }
                _ => {
                    let a = self.value(a)?;
                    let b = self.value(b)?;
                    let f = match op {
                        BinaryOp::Add => "add",
                        BinaryOp::Sub => "sub",
                        BinaryOp::Mul => "mul",
                        BinaryOp::Div => "div_real",
                        _ => "mod",
                    };
                    Ok(call(f, vec![number(a), number(b)], span))
                }
            },
            K::Ternary(c, a, b) => self.branch(c, a, b, span),
            K::Call { name, args } => self.call_function(name, args, span),
            K::Subquery(_) => self.unsupported("subquery", span),
        }
    }

    /// `if(c, a, b)` and `c ? a : b`.
    pub fn branch(&mut self, c: &ast::Expr, a: &ast::Expr, b: &ast::Expr, span: Span) -> R<Expr> {
        let c = self.condition(c)?;
        self.conditional += 1;
        let branches = self.value(a).and_then(|a| Ok((a, self.value(b)?)));
        self.conditional -= 1;
        let (a, b) = branches?;
        let (a, b) = same_type(a, b);
        let ty = a.ty;
        // `if(c1, a, if(c2, b, d))` is one list of cases: the tree stays flat.
        if let ExprKind::Case { branches, otherwise } = b.kind {
            let mut all = vec![(c, a)];
            all.extend(branches);
            return Ok(Expr { kind: ExprKind::Case { branches: all, otherwise }, ty, span });
        }
        Ok(Expr { kind: ExprKind::Case { branches: vec![(c, a)], otherwise: Box::new(b) }, ty, span })
    }

    /// An expression as a condition: never null.
    pub fn condition(&mut self, e: &ast::Expr) -> R<Expr> {
        use ast::ExprKind as K;
        let span = e.at.0;
        match &e.kind {
            K::And(list) | K::Or(list) => {
                let mut out = Vec::with_capacity(list.len());
                let mut failed = None;
                for (i, x) in list.iter().enumerate() {
                    self.conditional += usize::from(i > 0);
                    let r = self.condition(x);
                    self.conditional -= usize::from(i > 0);
                    match r {
                        Ok(c) => out.push(c),
                        Err(r) => failed = Some(r),
                    }
                }
                match failed {
                    Some(r) => Err(r),
                    None if matches!(e.kind, K::And(_)) => Ok(Expr::and(out, span)),
                    None => Ok(Expr::or(out, span)),
                }
            }
            K::Not(x) => Ok(Expr::not(self.condition(x)?, span)),
            K::Binary(
                op
                @ (BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge),
                a,
                b,
            ) => {
                let a = self.value(a)?;
                let b = self.value(b)?;
                Ok(super::compare::compare(*op, a, b, span))
            }
            K::In { expr, negated, list } => {
                let c = self.membership(expr, list, span)?;
                Ok(if *negated { Expr::not(c, span) } else { c })
            }
            K::Matches { expr, negated, pattern } => {
                let c = self.matches(expr, pattern, span)?;
                Ok(if *negated { Expr::not(c, span) } else { c })
            }
            K::Contains { expr, negated, part } => {
                let c = self.contains(expr, part, span)?;
                Ok(if *negated { Expr::not(c, span) } else { c })
            }
            _ => {
                let v = self.value(e)?;
                Ok(truth(v, span))
            }
        }
    }

    /// `a contains b`: both empty is true, one empty is not.
    pub fn contains(&mut self, a: &ast::Expr, b: &ast::Expr, span: Span) -> R<Expr> {
        let whole = peel(text(self.value(a)?));
        let part = peel(text(self.value(b)?));
        if let Some(Value::Str(s)) = part.value.as_literal()
            && !s.is_empty()
        {
            return Ok(call("contains_cs", vec![whole.value, part.value], span));
        }
        let mut all: Vec<Expr> = [whole.guard(span), part.guard(span)].into_iter().flatten().collect();
        let (w, p) = (whole.value, part.value);
        let empty = |e: &Expr| call("isempty", vec![e.clone()], span);
        all.push(call("contains_cs", vec![w.clone(), p.clone()], span));
        // Both are empty or neither is.
        all.push(Expr::or(vec![Expr::not(empty(&p), span), empty(&w)], span));
        Ok(Expr::and(all, span))
    }

    /// `a matches "glob"`, `a matches /re/`, `a matches expression`.
    fn matches(&mut self, a: &ast::Expr, pattern: &ast::Expr, span: Span) -> R<Expr> {
        let v = peel(text(self.value(a)?));
        match &pattern.kind {
            ast::ExprKind::Regex(re) => self.find_regex(v, re, pattern.at.0, span),
            ast::ExprKind::String(t) => {
                let glob = self.string(t)?;
                Ok(glob_match(v, &glob, pattern.at.0, span))
            }
            _ => {
                let p = peel(text(self.value(pattern)?));
                let mut all: Vec<Expr> = [v.guard(span), p.guard(span)].into_iter().flatten().collect();
                // A backslash stands for itself in Sumo's globs.
                let glob = call(
                    "replace_string",
                    vec![p.value, text_literal("\\", span), text_literal("\\\\", span)],
                    span,
                );
                let m = call("matches_glob", vec![v.value, glob], span);
                // Null when the pattern does not compile, which then is no match.
                all.push(Expr::iff(m, Expr::boolean(true, span), Expr::boolean(false, span), span));
                Ok(Expr::and(all, span))
            }
        }
    }

    /// A regular expression found anywhere in a text.
    pub fn find_regex(&mut self, v: Peeled, re: &str, at: Span, span: Span) -> R<Expr> {
        let finds_nothing = self.checked_regex(re, at)?;
        let m = call("matches_regex", vec![v.value.clone(), text_literal(re, at)], span);
        let mut all = Vec::new();
        if finds_nothing {
            all.extend(v.guard(span));
        }
        all.push(m);
        Ok(Expr::and(all, span))
    }

    /// Refuses what cannot be compiled; whether the rest is found in the empty text.
    pub fn checked_regex(&mut self, re: &str, at: Span) -> R<bool> {
        match tercel_ir::function::regex_finds_nothing(re) {
            Ok(b) => Ok(b),
            Err(e) => {
                let look = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|l| re.contains(l));
                let reason =
                    e.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                let d = Diagnostic::error(
                    "sumo-bad-regex",
                    format!("the regular expression is not valid: {reason}"),
                )
                .at(at);
                self.refuse(if look {
                    d.help("look-ahead and look-behind are not supported (nor are they by RE2)")
                } else {
                    d
                })
            }
        }
    }

    /// `matches(a, "re")`, which Sumo does not have.
    pub fn matches_call(&mut self, a: &ast::Expr, pattern: &ast::Expr, span: Span) -> R<Expr> {
        if self.options.profile == Profile::Strict {
            return self.refuse(findings::matches_call(span, true));
        }
        self.report(findings::matches_call(span, false));
        let ast::ExprKind::String(t) = &pattern.kind else {
            return self.matches(a, pattern, span);
        };
        let re = self.string(t)?;
        let v = peel(text(self.value(a)?));
        // `*foo*` is no regular expression: a glob was meant.
        if re.starts_with('*') || tercel_ir::function::compile_regex(&re).is_err() && re.contains('*') {
            self.report(
                Diagnostic::warning(
                    "sumo-matches-call-glob",
                    "this reads as a wildcard pattern, not as a regular expression",
                )
                .at(pattern.at.0)
                .meaning("it is matched as a wildcard pattern against the whole value")
                .help("write `field matches \"pattern\"`"),
            );
            return Ok(glob_match(v, &re, pattern.at.0, span));
        }
        self.find_regex(v, &re, pattern.at.0, span)
    }
}

/// A glob over the whole text; a backslash stands for itself.
fn glob_match(v: Peeled, glob: &str, at: Span, span: Span) -> Expr {
    // A pattern that also covers "" would take a null for a match.
    let covers_empty = glob.chars().all(|c| c == '*');
    let m = if covers_empty && !glob.is_empty() {
        Expr::boolean(true, span)
    } else if !glob.contains(['*', '?']) {
        call("eq", vec![v.value.clone(), text_literal(glob, at)], span)
    } else {
        let escaped = glob.replace('\\', "\\\\");
        call("matches_glob", vec![v.value.clone(), text_literal(escaped, at)], span)
    };
    let mut all = Vec::new();
    if covers_empty {
        all.extend(v.guard(span));
    }
    all.push(m);
    if all.len() == 2 && matches!(all[1].as_literal(), Some(Value::Bool(true))) {
        all.pop();
    }
    Expr::and(all, span)
}

/// A number as written, with its suffix.
fn number_literal(text: &str, span: Span) -> Expr {
    if let Ok(n) = text.parse::<i64>() {
        return Expr::literal(Value::Long(n), span);
    }
    let v = ast::number_value(text).unwrap_or(f64::NAN);
    if v.fract() == 0.0 && v.abs() < 9e15 {
        Expr::literal(Value::Long(v as i64), span)
    } else {
        Expr::literal(Value::Real(v), span)
    }
}

/// Text, number or boolean: points in time become milliseconds, JSON becomes text.
pub(super) fn plain(e: Expr) -> Expr {
    let span = e.span;
    match e.ty {
        Type::DateTime => call("datetime_to_unixtime_ms", vec![e], span),
        Type::TimeSpan | Type::Guid | Type::Dynamic => call("text_or_null", vec![e], span),
        _ => e,
    }
}

/// A plain value as a number; text that is none becomes null.
pub(super) fn number(e: Expr) -> Expr {
    let span = e.span;
    if e.ty.is_number() {
        return e;
    }
    if e.ty == Type::Bool {
        return bool_as(e, Expr::literal(Value::Long(1), span), Expr::literal(Value::Long(0), span));
    }
    if let Some(Value::Str(s)) = e.as_literal() {
        if let Ok(n) = s.trim().parse::<i64>() {
            return Expr::literal(Value::Long(n), span);
        }
        if let Ok(r) = s.trim().parse::<f64>() {
            return Expr::literal(Value::Real(r), span);
        }
    }
    call("todouble", vec![peel_text_cast(e)], span)
}

/// `todouble(text_or_null(x))` is `todouble(x)` where x is JSON.
fn peel_text_cast(e: Expr) -> Expr {
    match &e.kind {
        ExprKind::Call(f, args) if f.name == "text_or_null" && args[0].ty == Type::Dynamic => args[0].clone(),
        _ => e,
    }
}

fn bool_as(e: Expr, yes: Expr, no: Expr) -> Expr {
    let span = e.span;
    let ty = yes.ty;
    if !nullable(&e) {
        return Expr::iff(e, yes, no, span);
    }
    let is = |b| call("eq", vec![e.clone(), Expr::boolean(b, span)], span);
    Expr {
        kind: ExprKind::Case {
            branches: vec![(is(true), yes), (is(false), no)],
            otherwise: Box::new(Expr::null(ty, span)),
        },
        ty,
        span,
    }
}

/// A plain value as text; null stays null.
pub(super) fn text(e: Expr) -> Expr {
    let span = e.span;
    match e.ty {
        Type::String => e,
        Type::Bool => bool_as(e, text_literal("true", span), text_literal("false", span)),
        _ => match e.as_literal() {
            Some(Value::Null) => Expr::null(Type::String, span),
            Some(v @ Value::Long(_)) => text_literal(v.to_text(), span),
            _ => call("text_or_null", vec![e], span),
        },
    }
}

/// A plain value as a condition.
pub(super) fn truth(e: Expr, span: Span) -> Expr {
    match e.ty {
        Type::Bool if !nullable(&e) => e,
        Type::Bool => call("eq", vec![e, Expr::boolean(true, span)], span),
        t if t.is_number() => {
            let guard = call("isnotnull", vec![e.clone()], span);
            Expr::and(vec![guard, call("ne", vec![e, Expr::literal(Value::Long(0), span)], span)], span)
        }
        _ => call("eq_ci", vec![e, text_literal("true", span)], span),
    }
}

/// Two plain values of one type: numbers stay numbers, everything else meets as text.
pub(super) fn same_type(a: Expr, b: Expr) -> (Expr, Expr) {
    let is_null = |e: &Expr| matches!(e.kind, ExprKind::Literal(Value::Null));
    if a.ty == b.ty {
        return (a, b);
    }
    if is_null(&a) {
        return (Expr::null(b.ty, a.span), b);
    }
    if is_null(&b) {
        let null = Expr::null(a.ty, b.span);
        return (a, null);
    }
    if a.ty.is_number() && b.ty.is_number() {
        return match (a.ty.is_integer(), b.ty.is_integer()) {
            (true, true) => (retype(a, Type::Long), retype(b, Type::Long)),
            _ => (real(a), real(b)),
        };
    }
    (text(a), text(b))
}

/// Int and Long travel alike.
fn retype(mut e: Expr, ty: Type) -> Expr {
    if e.ty != ty {
        let span = e.span;
        e = call("tolong", vec![e], span);
    }
    e
}

fn real(e: Expr) -> Expr {
    let span = e.span;
    match e.as_literal() {
        Some(Value::Long(n)) => Expr::literal(Value::Real(*n as f64), span),
        _ if e.ty == Type::Real => e,
        _ => call("todouble", vec![e], span),
    }
}
