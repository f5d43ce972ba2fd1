//! Scalar expressions: typed trees over the columns of one row.

use crate::Name;
use crate::function::Function;
use crate::rel::Rel;
use crate::span::Span;
use crate::types::Type;
use crate::value::Value;
use std::sync::Arc;

/// A typed expression and the place of the text that it came from.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: Type,
    pub span: Span,
}

/// What an expression does.
#[derive(Clone, Debug)]
pub enum ExprKind {
    Literal(Value),
    /// A column of the input relation, by exact name.
    Column(Name),
    /// Three-valued (Kleene) conjunction; empty is true.
    And(Vec<Expr>),
    /// Three-valued disjunction; empty is false.
    Or(Vec<Expr>),
    /// Three-valued: not null is null.
    Not(Box<Expr>),
    /// A function of the registry. Arguments already have types that the function accepts.
    Call(&'static Function, Vec<Expr>),
    /// The first branch whose condition is true, else `otherwise`.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Box<Expr>,
    },
    /// First column of the first row of a relation, computed once; null when there is no row.
    Scalar(Arc<Rel>),
    /// Whether the value is among the first column of a relation (a semi-join); null is never a member.
    InRelation {
        value: Box<Expr>,
        relation: Arc<Rel>,
        ignore_case: bool,
    },
}

impl Expr {
    pub fn literal(value: Value, span: Span) -> Expr {
        Expr { ty: value.ty(), kind: ExprKind::Literal(value), span }
    }
    /// A null of a given type.
    pub fn null(ty: Type, span: Span) -> Expr {
        Expr { ty, kind: ExprKind::Literal(Value::Null), span }
    }
    pub fn boolean(b: bool, span: Span) -> Expr {
        Expr::literal(Value::Bool(b), span)
    }
    pub fn column(name: impl Into<Name>, ty: Type, span: Span) -> Expr {
        Expr { kind: ExprKind::Column(name.into()), ty, span }
    }
    /// A call; the type comes from the function's signature.
    ///
    /// # Errors
    /// The signature's own words when number or types of the arguments do not fit.
    pub fn call(function: &'static Function, args: Vec<Expr>, span: Span) -> Result<Expr, String> {
        let types: Vec<Type> = args.iter().map(|a| a.ty).collect();
        let ty = function.result_type(&types)?;
        Ok(Expr { kind: ExprKind::Call(function, args), ty, span })
    }
    /// A call of a function that is known to exist and to fit, by its registry name.
    ///
    /// # Panics
    /// When it does not: that is an error in the calling code, not in any input.
    pub fn known(function: &str, args: Vec<Expr>, span: Span) -> Expr {
        let f = crate::function::by_name(function).unwrap_or_else(|| panic!("no function {function}"));
        Expr::call(f, args, span).unwrap_or_else(|e| panic!("{function}: {e}"))
    }
    /// Conjunction; flattens, and drops to the one item or to `true`.
    pub fn and(mut items: Vec<Expr>, span: Span) -> Expr {
        if items.len() == 1 {
            return items.remove(0);
        }
        let mut flat = Vec::with_capacity(items.len());
        for i in items {
            match i.kind {
                ExprKind::And(inner) => flat.extend(inner),
                _ => flat.push(i),
            }
        }
        if flat.is_empty() {
            return Expr::boolean(true, span);
        }
        Expr { kind: ExprKind::And(flat), ty: Type::Bool, span }
    }
    /// Disjunction; flattens, and drops to the one item or to `false`.
    pub fn or(mut items: Vec<Expr>, span: Span) -> Expr {
        if items.len() == 1 {
            return items.remove(0);
        }
        let mut flat = Vec::with_capacity(items.len());
        for i in items {
            match i.kind {
                ExprKind::Or(inner) => flat.extend(inner),
                _ => flat.push(i),
            }
        }
        if flat.is_empty() {
            return Expr::boolean(false, span);
        }
        Expr { kind: ExprKind::Or(flat), ty: Type::Bool, span }
    }
    /// Negation.
    pub fn not(e: Expr, span: Span) -> Expr {
        Expr { kind: ExprKind::Not(Box::new(e)), ty: Type::Bool, span }
    }
    /// `condition ? then : otherwise`; both branches have the same type.
    pub fn iff(condition: Expr, then: Expr, otherwise: Expr, span: Span) -> Expr {
        let ty = if matches!(then.kind, ExprKind::Literal(Value::Null)) { otherwise.ty } else { then.ty };
        Expr {
            kind: ExprKind::Case { branches: vec![(condition, then)], otherwise: Box::new(otherwise) },
            ty,
            span,
        }
    }
    /// The value, if this is a literal.
    pub fn as_literal(&self) -> Option<&Value> {
        match &self.kind {
            ExprKind::Literal(v) => Some(v),
            _ => None,
        }
    }
    /// The column's name, if this is a bare column.
    pub fn as_column(&self) -> Option<&Name> {
        match &self.kind {
            ExprKind::Column(n) => Some(n),
            _ => None,
        }
    }
    /// The parts of this expression, not those of relations inside it.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Scalar(_) => vec![],
            ExprKind::And(v) | ExprKind::Or(v) | ExprKind::Call(_, v) => v.iter().collect(),
            ExprKind::Not(e) | ExprKind::InRelation { value: e, .. } => vec![e],
            ExprKind::Case { branches, otherwise } => {
                branches.iter().flat_map(|(c, t)| [c, t]).chain([otherwise.as_ref()]).collect()
            }
        }
    }
    /// The same, without a list of them: for walks over thousands of rules.
    pub fn parts(&self) -> impl Iterator<Item = &Expr> {
        let (list, cases, one): (&[Expr], &[(Expr, Expr)], Option<&Expr>) = match &self.kind {
            ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Scalar(_) => (&[], &[], None),
            ExprKind::And(v) | ExprKind::Or(v) | ExprKind::Call(_, v) => (v, &[], None),
            ExprKind::Not(e) | ExprKind::InRelation { value: e, .. } => (&[], &[], Some(e)),
            ExprKind::Case { branches, otherwise } => (&[], branches, Some(otherwise)),
        };
        list.iter().chain(cases.iter().flat_map(|(c, t)| [c, t])).chain(one)
    }
    /// The same, to change.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Scalar(_) => vec![],
            ExprKind::And(v) | ExprKind::Or(v) | ExprKind::Call(_, v) => v.iter_mut().collect(),
            ExprKind::Not(e) | ExprKind::InRelation { value: e, .. } => vec![e],
            ExprKind::Case { branches, otherwise } => {
                branches.iter_mut().flat_map(|(c, t)| [c, t]).chain([otherwise.as_mut()]).collect()
            }
        }
    }
    /// Every column that the expression reads from its row, with the place of the reference.
    pub fn columns(&self, out: &mut Vec<(Name, Span)>) {
        if let ExprKind::Column(n) = &self.kind {
            out.push((n.clone(), self.span));
        }
        self.parts().for_each(|c| c.columns(out));
    }
    /// Row-at-a-time meaning. `row` gives the value of a column. Relations inside must have been
    /// replaced by their values before (they evaluate to null here).
    pub fn eval(&self, row: &dyn Fn(&str) -> Value, ctx: &crate::function::Context) -> Value {
        match &self.kind {
            ExprKind::Literal(v) => v.clone(),
            ExprKind::Column(n) => row(n),
            ExprKind::And(items) => {
                let mut all = Value::Bool(true);
                for i in items {
                    match i.eval(row, ctx).as_bool() {
                        Some(false) => return Value::Bool(false),
                        None => all = Value::Null,
                        Some(true) => {}
                    }
                }
                all
            }
            ExprKind::Or(items) => {
                let mut any = Value::Bool(false);
                for i in items {
                    match i.eval(row, ctx).as_bool() {
                        Some(true) => return Value::Bool(true),
                        None => any = Value::Null,
                        Some(false) => {}
                    }
                }
                any
            }
            ExprKind::Not(e) => e.eval(row, ctx).as_bool().map_or(Value::Null, |b| Value::Bool(!b)),
            ExprKind::Call(f, args) => {
                let values: Vec<Value> = args.iter().map(|a| a.eval(row, ctx)).collect();
                (f.eval)(&values, ctx)
            }
            ExprKind::Case { branches, otherwise } => {
                for (c, t) in branches {
                    if c.eval(row, ctx).as_bool() == Some(true) {
                        return t.eval(row, ctx);
                    }
                }
                otherwise.eval(row, ctx)
            }
            ExprKind::Scalar(_) | ExprKind::InRelation { .. } => Value::Null,
        }
    }
}
