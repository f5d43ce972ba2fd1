//! Choices (`case`, `iff`, `coalesce`) in the arguments of tests, pulled out: what each test says of each value that
//! may have been chosen.

use super::{Builder, Built, MAX_DEPTH};
use crate::Unknown;
use crate::atom::{Test, TextTest};
use crate::flatten::{count, too_deep};
use crate::formula::{Node, NodeKind};
use crate::key::same;
use tercel_ir::function::fold;
use tercel_ir::{Expr, ExprKind, Function, Type};

/// Different chosen subjects of one list of tests; the tests of others are looked at one by one.
const SUBJECTS: usize = 8;

impl Builder {
    /// The parts of a conjunction or disjunction. Tests of one and the same choice are built together, once for each
    /// value that may have been chosen: a list of a thousand names in a path that a view puts together asks the
    /// view's conditions once, not a thousand times.
    pub(super) fn items(
        &mut self,
        items: &[Expr],
        conjunction: bool,
        want: bool,
    ) -> Result<Vec<Node>, Unknown> {
        let mut nodes = Vec::with_capacity(items.len());
        let mut groups: Vec<(&Expr, Vec<&Expr>)> = Vec::new();
        for i in items {
            let Some(subject) = chosen_subject(i).filter(|_| !too_deep(i, MAX_DEPTH)) else {
                nodes.push(self.truth(i, want)?);
                continue;
            };
            match groups.iter().position(|g| same(g.0, subject)) {
                Some(at) => groups[at].1.push(i),
                None if groups.len() < SUBJECTS => groups.push((subject, vec![i])),
                None => nodes.push(self.truth(i, want)?),
            }
        }
        for (subject, tests) in groups {
            nodes.push(self.chosen(subject, &tests, conjunction, want)?);
        }
        Ok(nodes)
    }

    /// What tests say of a choice that they are all about.
    pub(super) fn chosen(&mut self, subject: &Expr, tests: &[&Expr], conjunction: bool, want: bool) -> Built {
        let parts = alternatives(subject).unwrap_or_default();
        let cost = tests.iter().map(|t| count(t)).sum::<usize>().saturating_mul(parts.len());
        self.fuel =
            self.fuel.checked_sub(cost).ok_or_else(|| Unknown::new("the condition unfolds to too much"))?;
        self.choose(&parts, |b, condition, value| {
            if let [test] = tests {
                return b.truth(&about(test, condition, value), want);
            }
            let tests = tests.iter().map(|t| about(t, condition, value)).collect();
            let kind = if conjunction { ExprKind::And(tests) } else { ExprKind::Or(tests) };
            b.truth(&Expr { kind, ty: Type::Bool, span: subject.span }, want)
        })
    }

    /// The first alternative whose condition is true decides.
    pub(super) fn choose(
        &mut self,
        alternatives: &[(Option<Expr>, Expr)],
        mut f: impl FnMut(&mut Builder, Option<&Expr>, &Expr) -> Built,
    ) -> Built {
        let mut any = Vec::new();
        let mut before = Vec::new();
        for (condition, value) in alternatives {
            let mut all = before.clone();
            let known = self.ending.len();
            if let Some(c) = condition {
                let yes = self.truth(c, true)?;
                all.push(yes);
                before.push(self.arena.not(yes));
                // What is built of the value stands beside the condition and nowhere else.
                if let NodeKind::Lit(a, true) = self.arena.kind(yes)
                    && let atom = self.atoms.atom(*a)
                    && let Test::Text(lens, TextTest::Literal { text, start: false, end: true, .. }) =
                        &atom.test
                    && lens.is_identity()
                {
                    self.ending.push((atom.var, fold(text).into()));
                }
            }
            let made = f(self, condition.as_ref(), value);
            self.ending.truncate(known);
            all.push(made?);
            any.push(self.arena.and(all));
        }
        Ok(self.arena.or(any))
    }
}

/// The choice that a test with known other arguments is about.
pub(super) fn chosen_subject(e: &Expr) -> Option<&Expr> {
    let ExprKind::Call(_, args) = &e.kind else { return None };
    let (subject, others) = args.split_first()?;
    let choice = matches!(subject.kind, ExprKind::Case { .. }) && subject.ty != Type::Bool;
    (choice && others.iter().all(|a| a.as_literal().is_some())).then_some(subject)
}

/// The test of what was chosen. Where the condition says that the last part of a path is a name up to case, the
/// folder of that path with that name is the path up to case, which is all that tests ask that ignore it.
fn about(test: &Expr, condition: Option<&Expr>, value: &Expr) -> Expr {
    let ExprKind::Call(f, args) = &test.kind else { return test.clone() };
    let value =
        condition.filter(|_| ignores_case(f)).and_then(|c| put_together_again(c, value)).unwrap_or(value);
    let args = std::iter::once(value).chain(&args[1..]).cloned().collect();
    Expr { kind: ExprKind::Call(f, args), ty: test.ty, span: test.span }
}

/// Tests whose answer is the same for all spellings of their first argument, and for a null as for "".
fn ignores_case(f: &Function) -> bool {
    matches!(
        f.name,
        "eq_ci"
            | "in_ci"
            | "contains"
            | "startswith"
            | "endswith"
            | "has"
            | "hasprefix"
            | "hassuffix"
            | "has_any"
            | "has_all"
    )
}

/// `path`, of `basename(path) =~ name` and `strcat(dirname(path), name)`.
fn put_together_again<'a>(condition: &Expr, value: &'a Expr) -> Option<&'a Expr> {
    let call = |e: &'a Expr, name: &str| match &e.kind {
        ExprKind::Call(f, args) if f.name == name => Some(&args[..]),
        _ => None,
    };
    let [folder, name] = call(value, "strcat")? else { return None };
    let [path] = call(folder, "dirname")? else { return None };
    let ExprKind::Call(eq, sides) = &condition.kind else { return None };
    let [x, y] = &sides[..] else { return None };
    let last =
        |e: &Expr| matches!(&e.kind, ExprKind::Call(f, a) if f.name == "basename" && same(&a[0], path));
    let holds = eq.name == "eq_ci"
        && path.ty == Type::String
        && name.ty == Type::String
        && (last(x) && same(y, name) || last(y) && same(x, name));
    holds.then_some(path)
}

/// A choice (`case`, `iff`, `coalesce`) in an argument, pulled out of the call: conditions, and the
/// whole expression with the choice made. `None` when there is no choice inside.
pub(super) fn alternatives(e: &Expr) -> Option<Vec<(Option<Expr>, Expr)>> {
    match &e.kind {
        ExprKind::Case { branches, otherwise } => {
            let mut out: Vec<(Option<Expr>, Expr)> =
                branches.iter().map(|(c, t)| (Some(c.clone()), t.clone())).collect();
            out.push((None, otherwise.as_ref().clone()));
            Some(out)
        }
        ExprKind::Call(f, args) if f.name == "coalesce" && args.len() > 1 => {
            let (last, first) = args.split_last()?;
            let mut out = Vec::with_capacity(args.len());
            for x in first {
                // "" counts as nothing for text, but not for a dynamic that holds it.
                let there =
                    if matches!(x.ty, Type::String | Type::Guid) { "isnotempty" } else { "isnotnull" };
                out.push((Some(Expr::known(there, vec![x.clone()], x.span)), x.clone()));
            }
            out.push((None, last.clone()));
            Some(out)
        }
        ExprKind::Call(f, args) => {
            let (at, inner) = args.iter().enumerate().find_map(|(i, a)| Some((i, alternatives(a)?)))?;
            Some(
                inner
                    .into_iter()
                    .map(|(c, value)| {
                        let mut args = args.clone();
                        args[at] = value;
                        (c, Expr { kind: ExprKind::Call(f, args), ty: e.ty, span: e.span })
                    })
                    .collect(),
            )
        }
        _ => None,
    }
}
