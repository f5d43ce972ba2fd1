//! The tree of conditions of one way, its truth, and the least sets of tests that make or would make it
//! true.

use super::path::{Cell, Layer, Path, Row, check, columns, truth};
use super::words::{Words, around, bare, shown, words};
use super::{Change, Condition, ConditionKind, Example, Lines, Looked, NoExplanation, Place, Way};
use std::collections::BTreeSet;
use std::rc::Rc;
use tercel_ir::{Expr, ExprKind, Name, Span, Value};

/// No number of changes is enough.
const NEVER: usize = usize::MAX;

/// A condition, on the way to being explained.
pub(super) struct Node {
    kind: Kind,
    holds: Option<bool>,
    place: Option<Place>,
    /// Fewest tests that must come out otherwise for the node to be false, and to be true.
    cost: [usize; 2],
    /// Fewest tests that by themselves make the node false, and true; [`NEVER`] for what it is not.
    size: [usize; 2],
}

impl Node {
    fn test(test: usize, holds: Option<bool>, place: Option<Place>, fixed: bool) -> Node {
        let cost = |want| match holds == Some(want) {
            true => 0,
            false if fixed => NEVER,
            false => 1,
        };
        let size = |is| if holds == Some(is) { 1 } else { NEVER };
        let (cost, size) = ([cost(false), cost(true)], [size(false), size(true)]);
        Node { kind: Kind::Test(test), holds, place, cost, size }
    }

    fn not(inner: Node, place: Option<Place>) -> Node {
        let flip = |[a, b]: [usize; 2]| [b, a];
        let (cost, size) = (flip(inner.cost), flip(inner.size));
        Node { holds: inner.holds.map(|b| !b), kind: Kind::Not(Box::new(inner)), place, cost, size }
    }

    /// Conjunction (`is_all`) or disjunction. What holds of all parts adds up, of one the least counts.
    fn join(parts: Vec<Node>, is_all: bool, place: Option<Place>) -> Node {
        let holds = match is_all {
            true => all(parts.iter().map(|p| p.holds)),
            false => all(parts.iter().map(|p| p.holds.map(|b| !b))).map(|b| !b),
        };
        let sum = |of: fn(&Node, usize) -> usize, i: usize| {
            parts.iter().fold(0usize, |sum, p| sum.saturating_add(of(p, i)))
        };
        let least =
            |of: fn(&Node, usize) -> usize, i: usize| parts.iter().map(|p| of(p, i)).min().unwrap_or(NEVER);
        let pair = |of| match is_all {
            true => [least(of, 0), sum(of, 1)],
            false => [sum(of, 0), least(of, 1)],
        };
        let (cost, size) = (pair(|n, i| n.cost[i]), pair(|n, i| n.size[i]));
        let kind = if is_all { Kind::All(parts) } else { Kind::Any(parts) };
        Node { kind, holds, place, cost, size }
    }

    fn cost(&self, want: bool) -> usize {
        self.cost[usize::from(want)]
    }

    /// Tests because of which the node can never be `want`.
    fn never(&self, want: bool, out: &mut Vec<(usize, bool)>) {
        if self.cost(want) != NEVER {
            return;
        }
        match &self.kind {
            Kind::Test(i) => out.push((*i, want)),
            Kind::Not(inner) => inner.never(!want, out),
            Kind::All(parts) | Kind::Any(parts) => parts.iter().for_each(|p| p.never(want, out)),
        }
    }
}

enum Kind {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// By its number in [`Branch::tests`].
    Test(usize),
}

/// A test of values: what is never taken apart.
struct Test<'r> {
    words: Words,
    values: Vec<Looked>,
    place: Option<Place>,
    /// The expression and its column, if it reads just one.
    about: Option<(&'r Expr, Rc<Cell>)>,
}

/// One way, evaluated on one event or on none.
pub(super) struct Branch<'r> {
    /// Conditions of views.
    pub source: Vec<Node>,
    /// Conditions of the rule.
    pub rule: Vec<Node>,
    tests: Vec<Test<'r>>,
    /// Columns of the table that conditions read.
    pub reads: BTreeSet<Name>,
}

impl<'r> Branch<'r> {
    pub(super) fn new(
        path: &Path<'r>,
        event: Option<&dyn Fn(&str) -> Value>,
        lines: &Lines,
    ) -> Result<Branch<'r>, NoExplanation> {
        let mut branch =
            Branch { source: Vec::new(), rule: Vec::new(), tests: Vec::new(), reads: BTreeSet::new() };
        let mut row = Row::new(path, event);
        for layer in &path.layers {
            match layer {
                Layer::Filter { predicate, view } => {
                    check(predicate, event.is_some(), 0)?;
                    branch.reads.extend(row.native(predicate));
                    // Spans inside views are of other texts.
                    let node = branch.node(predicate, &row, view.is_none().then_some(lines));
                    // The parts of a conjunction are conditions of their own.
                    let to = if view.is_some() { &mut branch.source } else { &mut branch.rule };
                    match node {
                        Node { kind: Kind::All(parts), .. } => to.extend(parts),
                        node => to.push(node),
                    }
                }
                Layer::Columns { columns, .. } => {
                    columns.iter().try_for_each(|(_, e)| check(e, event.is_some(), 0))?;
                    row.make(layer);
                }
                Layer::Label { .. } | Layer::Only { .. } => row.make(layer),
            }
        }
        Ok(branch)
    }

    fn node(&mut self, e: &'r Expr, row: &Row<'_, '_>, lines: Option<&Lines>) -> Node {
        let place = lines.and_then(|l| l.place(e.span));
        match &e.kind {
            ExprKind::And(items) => {
                let mut parts: Vec<Node> = Vec::new();
                let mut i = 0;
                while i < items.len() {
                    // "It is there, and …" of one value is one test, as it was written.
                    let n = if i + 1 < items.len() && guards(&items[i], &items[i + 1]) { 2 } else { 1 };
                    parts.push(match n {
                        2 => self.test(&items[i..i + 2], row, lines),
                        _ => self.node(&items[i], row, lines),
                    });
                    i += n;
                }
                if parts.len() == 1 { parts.remove(0) } else { Node::join(parts, true, place) }
            }
            ExprKind::Or(items) => {
                Node::join(items.iter().map(|i| self.node(i, row, lines)).collect(), false, place)
            }
            ExprKind::Not(inner) => Node::not(self.node(inner, row, lines), place),
            _ => self.test(std::slice::from_ref(e), row, lines),
        }
    }

    /// One test of one or more expressions that must all hold; the last says what it is about.
    fn test(&mut self, parts: &'r [Expr], row: &Row<'_, '_>, lines: Option<&Lines>) -> Node {
        let holds = all(parts.iter().map(|e| truth(row.eval(e))));
        let Some(e) = parts.last() else { return Node::join(Vec::new(), true, None) };
        let names = columns(e);
        let values = names
            .iter()
            .map(|n| {
                let cell = row.cell(n);
                let from: Vec<String> = cell.native.iter().map(|n| shown(n).to_string()).collect();
                let same = matches!(&from[..], [one] if **one == *shown(n));
                Looked {
                    column: shown(n).to_string(),
                    from: if same { Vec::new() } else { from },
                    value: around(&cell.value, e),
                }
            })
            .collect();
        let place = lines.and_then(|l| l.place(e.span));
        let fixed = row.native(e).is_empty();
        let about = match &names[..] {
            [one] => Some((e, row.cell(one))),
            _ => None,
        };
        self.tests.push(Test { words: words(e), values, place, about });
        Node::test(self.tests.len() - 1, holds, place, fixed)
    }

    /// What came of it.
    pub(super) fn way(&self, path: &Path<'_>) -> Way {
        let conditions = || self.source.iter().chain(&self.rule);
        let hit = conditions().all(|n| n.holds == Some(true));
        let mut matched = Vec::new();
        let (mut repair, mut never) = (None, Vec::new());
        if hit {
            conditions().for_each(|n| self.enough(n, true, &mut matched));
        } else if conditions().all(|n| n.cost(true) != NEVER) {
            let mut changes = Vec::new();
            conditions().for_each(|n| self.changes(n, true, &mut changes));
            repair = Some(changes);
        } else {
            conditions().for_each(|n| n.never(true, &mut never));
        }
        Way {
            views: path.views.iter().map(|v| v.to_string()).collect(),
            hit,
            source_holds: self.source.iter().all(|n| n.holds == Some(true)),
            source: self.source.iter().map(|n| self.condition(n)).collect(),
            rule: self.rule.iter().map(|n| self.condition(n)).collect(),
            matched: matched.into_iter().map(|(t, holds)| self.change(t, holds, true)).collect(),
            never: never.into_iter().map(|(t, w)| self.change(t, w, false)).collect(),
            repair: repair.map(|r| r.into_iter().map(|(t, w)| self.change(t, w, false)).collect()),
        }
    }

    pub(super) fn condition(&self, n: &Node) -> Condition {
        let mut out = Condition {
            kind: ConditionKind::Test,
            holds: n.holds,
            place: n.place,
            words: String::new(),
            negated: false,
            test: None,
            values: Vec::new(),
            parts: Vec::new(),
        };
        let test = match &n.kind {
            Kind::Test(i) => Some((*i, false)),
            Kind::Not(inner) => match inner.kind {
                Kind::Test(i) => Some((i, true)),
                _ => None,
            },
            _ => None,
        };
        if let Some((i, negated)) = test {
            let t = &self.tests[i];
            out.words = t.words.said(!negated);
            out.negated = negated;
            out.test = Some(i);
            out.values = t.values.clone();
            out.place = t.place;
            return out;
        }
        match &n.kind {
            Kind::Test(_) => {}
            Kind::Not(inner) => {
                out.kind = ConditionKind::Not;
                out.parts = vec![self.condition(inner)];
            }
            Kind::All(parts) | Kind::Any(parts) => {
                out.kind =
                    if matches!(n.kind, Kind::All(_)) { ConditionKind::All } else { ConditionKind::Any };
                out.parts = parts.iter().map(|p| self.condition(p)).collect();
            }
        }
        out
    }

    fn change(&self, test: usize, wanted: bool, is: bool) -> Change {
        let t = &self.tests[test];
        Change {
            test,
            words: if is { t.words.said(wanted) } else { t.words.wanted(wanted) },
            wanted,
            values: t.values.clone(),
            place: t.place,
            example: match (&t.about, is) {
                (Some((e, cell)), false) => example(e, wanted, cell),
                _ => None,
            },
        }
    }

    /// These tests, and how they would have to come out.
    fn changes(&self, n: &Node, want: bool, out: &mut Vec<(usize, bool)>) {
        if n.holds == Some(want) {
            return;
        }
        match &n.kind {
            Kind::Test(i) => out.push((*i, want)),
            Kind::Not(inner) => self.changes(inner, !want, out),
            Kind::All(parts) | Kind::Any(parts) if matches!(n.kind, Kind::All(_)) == want => {
                parts.iter().for_each(|p| self.changes(p, want, out));
            }
            Kind::All(parts) | Kind::Any(parts) => {
                if let Some(p) = parts.iter().min_by_key(|p| p.cost(want)) {
                    self.changes(p, want, out);
                }
            }
        }
    }

    /// Fewest tests that by themselves make the node what it is.
    fn enough(&self, n: &Node, is: bool, out: &mut Vec<(usize, bool)>) {
        match &n.kind {
            Kind::Test(i) => out.push((*i, is)),
            Kind::Not(inner) => self.enough(inner, !is, out),
            Kind::All(parts) | Kind::Any(parts) if matches!(n.kind, Kind::All(_)) == is => {
                parts.iter().for_each(|p| self.enough(p, is, out));
            }
            Kind::All(parts) | Kind::Any(parts) => {
                if let Some(p) = parts.iter().min_by_key(|p| p.size[usize::from(is)]) {
                    self.enough(p, is, out);
                }
            }
        }
    }
}

/// Kleene's conjunction.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for p in parts {
        match p {
            Some(false) => return Some(false),
            None => all = None,
            Some(true) => {}
        }
    }
    all
}

/// Whether `a` only asks for the presence of the value that `b` tests, as languages write it where a
/// comparison with nothing must be false.
fn guards(a: &Expr, b: &Expr) -> bool {
    let ExprKind::Call(f, args) = &a.kind else { return false };
    if !matches!(f.name, "isnotnull" | "isnotempty") || a.span != b.span || a.span == Span::default() {
        return false;
    }
    let ExprKind::Call(g, _) = &b.kind else { return false };
    let same = match (&args[..], columns(b).first()) {
        ([x], Some(c)) => columns(x) == [c.clone()],
        _ => false,
    };
    same && !matches!(g.name, "isnotnull" | "isnotempty")
}

/// A value of a column of the table with which a test comes out as wanted; the test decides whether it does.
fn example(e: &Expr, want: bool, cell: &Cell) -> Option<Example> {
    let ExprKind::Call(f, args) = &e.kind else { return None };
    bare(args.first()?).as_column()?;
    let column = cell.direct.as_ref()?;
    let literal = args.get(1).and_then(Expr::as_literal);
    let text = || literal.map(|l| l.text().into_owned());
    let have = cell.value.text().into_owned();
    let number = |by: i64| literal.and_then(Value::as_i64).and_then(|n| n.checked_add(by)).map(Value::Long);
    let value = match (f.name, want) {
        ("eq" | "eq_ci" | "in" | "in_ci", true) => literal.filter(|l| !l.is_null()).cloned(),
        ("ne", false) => literal.filter(|l| !l.is_null()).cloned(),
        ("contains" | "contains_cs", true) => text().map(|t| Value::Str(have + &t)),
        ("has" | "has_cs", true) => text().map(|t| Value::Str(format!("{have} {t}"))),
        ("startswith" | "startswith_cs", true) => text().map(|t| Value::Str(t + &have)),
        ("endswith" | "endswith_cs", true) => text().map(|t| Value::Str(have + &t)),
        ("matches_glob" | "matches_glob_ci", true) => {
            text().filter(|t| !t.contains(['\\', '['])).map(|t| Value::Str(t.replace(['*', '?'], "x")))
        }
        ("gt", true) | ("le", false) => number(1),
        ("ge" | "le", true) => number(0),
        ("lt", true) | ("ge", false) => number(-1),
        ("gt" | "lt", false) => number(0),
        ("isnull" | "isempty", true) | ("isnotnull" | "isnotempty", false) => Some(Value::Null),
        ("isnotnull" | "isnotempty", true) | ("isnull" | "isempty", false)
            if matches!(args[0].ty, tercel_ir::Type::String) =>
        {
            Some(Value::str("x"))
        }
        (
            "eq" | "eq_ci" | "contains" | "contains_cs" | "startswith" | "startswith_cs" | "endswith"
            | "endswith_cs" | "has" | "has_cs" | "in" | "in_ci",
            false,
        ) if matches!(args[0].ty, tercel_ir::Type::String) => Some(Value::str("~")),
        _ => None,
    }?;
    // Asked of the expression itself, so that nothing is promised that does not hold.
    let then = crate::eval::eval(e, &|_| value.clone(), &tercel_ir::function::Context::default());
    (truth(then) == Some(want)).then(|| Example { column: column.to_string(), value })
}
