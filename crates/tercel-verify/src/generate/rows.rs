//! What rows of a table are like: columns that follow from others are put in where they are asked for and
//! computed when an event is done; what holds of every row is asked for together with the detection.

use std::collections::HashSet;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Type, Value};

/// What rows of a table are like as their source writes them. Events are then such rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Columns that follow from others, which follow from none.
    pub derived: &'a [(Name, Expr)],
    /// What is never false of a row.
    pub holds: &'a [Expr],
}

/// Deeper expressions are left as they are; flattening bounds them by about this.
const FAR: usize = 240;

impl Rows<'_> {
    /// The expression over columns that follow from none, where it reads one that does.
    pub(super) fn put_in(&self, e: &Expr) -> Option<Expr> {
        let mut read = Vec::new();
        e.columns(&mut read);
        let any = read.iter().any(|(c, _)| self.derived.iter().any(|(n, _)| n == c));
        any.then(|| self.put(e, 0))
    }

    fn put(&self, e: &Expr, depth: usize) -> Expr {
        if depth > FAR {
            return e.clone();
        }
        if let Some(n) = e.as_column()
            && let Some((_, d)) = self.derived.iter().find(|(c, _)| c == n)
        {
            return Expr { span: e.span, ..d.clone() };
        }
        let mut out = e.clone();
        for c in out.children_mut() {
            *c = self.put(c, depth + 1);
        }
        simpler(out)
    }

    /// What follows from a row's columns, where any of them is there.
    pub(super) fn follow(&self, row: &crate::prover::Row) -> crate::prover::Row {
        let mut out = row.clone();
        for (column, e) in self.derived {
            let mut read = Vec::new();
            e.columns(&mut read);
            if !read.iter().any(|(c, _)| row.get(c).is_some_and(|v| !v.is_null())) {
                continue;
            }
            let value = e.eval(&|n| row.get(n).cloned().unwrap_or_default(), &Context::default());
            if !value.is_null() && value != Value::str("") {
                out.insert(column.clone(), value);
            }
        }
        out
    }

    /// What is to be asked of events that such columns matter to.
    pub(super) fn about(&self, columns: impl Iterator<Item = Name>) -> Vec<Expr> {
        let mut matter: HashSet<Name> = columns.collect();
        let mut left: Vec<(Expr, Vec<Name>)> = Vec::new();
        for e in self.holds {
            let e = self.put_in(e).unwrap_or_else(|| e.clone());
            let mut read = Vec::new();
            e.columns(&mut read);
            let read = read.into_iter().map(|c| c.0).collect();
            left.push((e, read));
        }
        let mut out = Vec::new();
        loop {
            let before = out.len();
            left.retain(|(e, read)| {
                let concerns = read.iter().any(|c| matter.contains(c));
                if concerns {
                    matter.extend(read.iter().cloned());
                    out.push(e.clone());
                }
                !concerns
            });
            if out.len() == before {
                return out;
            }
        }
    }
}

fn call(e: &Expr) -> Option<(&'static str, &[Expr])> {
    match &e.kind {
        ExprKind::Call(f, args) => Some((f.name, args)),
        _ => None,
    }
}

/// Functions of one text that are a text even of a null.
fn never_null(e: &Expr) -> bool {
    matches!(call(e), Some(("basename" | "dirname" | "tolower" | "toupper" | "tostring" | "strcat", _)))
}

fn same(a: &Expr, b: &Expr) -> bool {
    crate::key::key(a) == crate::key::key(b)
}

/// What becomes of an expression when a column in it turned out to be computed from another in it.
fn simpler(e: Expr) -> Expr {
    let at = e.span;
    match &e.kind {
        ExprKind::Call(f, args) => match (f.name, &args[..]) {
            ("eq" | "eq_ci", [a, b]) if never_null(a) && same(a, b) => Expr::boolean(true, at),
            ("strcat", [a, b]) => match (call(a), call(b)) {
                (Some(("dirname", [x])), Some(("basename", [y]))) if same(x, y) => {
                    Expr::known("tostring", vec![x.clone()], at)
                }
                _ => e,
            },
            _ => e,
        },
        ExprKind::Case { branches, otherwise } => {
            let mut left: Vec<(Expr, Expr)> = Vec::new();
            let mut last = (**otherwise).clone();
            for (c, t) in branches {
                match c.as_literal().map(Value::as_bool) {
                    Some(Some(true)) => {
                        last = t.clone();
                        break;
                    }
                    Some(_) => {}
                    None => left.push((c.clone(), t.clone())),
                }
            }
            // `iff(isempty(x), f(x), g(x))`, where both are the same of nothing.
            while left.last().is_some_and(|(c, t)| idle(c, t, &last)) {
                left.pop();
            }
            if left.is_empty() {
                return last;
            }
            Expr { kind: ExprKind::Case { branches: left, otherwise: Box::new(last) }, ty: e.ty, span: at }
        }
        _ => e,
    }
}

/// Whether a branch for an empty column gives what the rest would give as well.
fn idle(condition: &Expr, then: &Expr, otherwise: &Expr) -> bool {
    let Some(("isempty", [x])) = call(condition) else { return false };
    let Some(column) = x.as_column() else { return false };
    let only = |e: &Expr| {
        let mut read = Vec::new();
        e.columns(&mut read);
        e.ty == Type::String && read.iter().all(|(c, _)| c == column) && pure(e)
    };
    if !only(then) || !only(otherwise) {
        return false;
    }
    [Value::Null, Value::str("")].into_iter().all(|v| {
        let of = |e: &Expr| e.eval(&|_| v.clone(), &Context::default());
        of(then) == of(otherwise)
    })
}

fn pure(e: &Expr) -> bool {
    e.parts().all(|p| match &p.kind {
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => false,
        ExprKind::Call(f, _) => f.name != "now",
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::Span;

    fn column(n: &str) -> Expr {
        Expr::column(n, Type::String, Span::default())
    }

    fn f(name: &str, args: Vec<Expr>) -> Expr {
        Expr::known(name, args, Span::default())
    }

    /// As views put a folder path and a file name together.
    fn joined() -> Expr {
        let (folder, name) = (column("Folder"), column("Name"));
        let text = |s: &str| Expr::literal(Value::str(s), Span::default());
        let base = f("basename", vec![folder.clone()]);
        let branches = vec![
            (f("isempty", vec![folder.clone()]), name.clone()),
            (
                f("eq_ci", vec![base.clone(), name.clone()]),
                f("strcat", vec![f("dirname", vec![folder.clone()]), name.clone()]),
            ),
            (f("contains", vec![base, text(".")]), folder.clone()),
        ];
        let otherwise = Box::new(f("strcat", vec![folder, text("\\"), name]));
        Expr { kind: ExprKind::Case { branches, otherwise }, ty: Type::String, span: Span::default() }
    }

    #[test]
    fn a_path_and_its_last_part_are_the_path() {
        let derived = [(Name::from("Name"), f("basename", vec![column("Folder")]))];
        let rows = Rows { derived: &derived, holds: &[] };
        let put = rows.put_in(&joined()).unwrap();
        assert_eq!(crate::key::key(&put), crate::key::key(&f("tostring", vec![column("Folder")])));
        assert!(rows.put_in(&column("Folder")).is_none());
    }

    #[test]
    fn what_matters_draws_in_what_it_is_related_to() {
        let both = |a: &str, b: &str| {
            let set = |c: &str| f("isempty", vec![column(c)]);
            Expr::or(vec![set(a), set(b)], Span::default())
        };
        let holds = [both("C", "D"), both("B", "C"), both("A", "B"), both("X", "Y")];
        let rows = Rows { derived: &[], holds: &holds };
        assert_eq!(rows.about([Name::from("A")].into_iter()).len(), 3);
        assert_eq!(rows.about([Name::from("Z")].into_iter()).len(), 0);
    }

    proptest! {
        /// Putting in what a column follows from changes nothing for rows where it does follow.
        #[test]
        fn means_the_same(folder in prop::option::of("[a-c.\\\\/:]{0,8}")) {
            let derived = [(Name::from("Name"), f("basename", vec![column("Folder")]))];
            let rows = Rows { derived: &derived, holds: &[] };
            let mut row = crate::prover::Row::new();
            if let Some(t) = &folder {
                row.insert("Folder".into(), Value::str(t.as_str()));
            }
            let whole = rows.follow(&row);
            let of = |e: &Expr, r: &crate::prover::Row| {
                e.eval(&|n| r.get(n).cloned().unwrap_or_default(), &Context::default()).to_text()
            };
            let put = rows.put_in(&joined()).unwrap();
            prop_assert_eq!(of(&joined(), &whole), of(&put, &row));
        }
    }
}
