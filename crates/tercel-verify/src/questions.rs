//! What may be asked: can it fire, and how do two detections relate.

use crate::budget::{Budget, NO_TIME};
use crate::flatten::{Branch, Flattener};
use crate::formula::{Arena, Node};
use crate::prover::{Answer, Prover, Row};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tercel_ir::function::Context;
use tercel_ir::{Expr, Name, Rel, Schema, Value};

/// Why something was not decided. Never a guess.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// In words for the user.
    pub reason: String,
}

impl Unknown {
    pub(crate) fn new(reason: impl Into<String>) -> Unknown {
        Unknown { reason: reason.into() }
    }
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A fact about the rest of the data that a detection asks for, such as membership in another query's
/// rows. In an event it is a boolean column of this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assumption {
    /// The column that stands for it; begins with `$member:`.
    pub column: Name,
    /// In words for the user.
    pub about: String,
}

/// One event of a table. Columns without a value are absent.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The table that it is an event of.
    pub table: Name,
    /// Columns that have a value.
    pub values: BTreeMap<Name, Value>,
    /// What must hold of other data, and whether it must hold or must not.
    pub assumptions: Vec<(Assumption, bool)>,
}

impl Event {
    /// Whether some text in it goes beyond ASCII: then the difference that it shows may be one of
    /// spelling only.
    pub fn beyond_ascii(&self) -> bool {
        self.values.values().any(|v| !v.text().is_ascii())
    }
}

/// The answer of [`satisfiable`].
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// This event does it.
    Sat(Event),
    /// No event can.
    Unsat,
    /// Not decided.
    Unknown(Unknown),
}

/// A detection as predicates over tables, see [`Formula::of`].
pub struct Formula;

/// What events of one table a detection finds, by one way from the table to its result.
#[derive(Clone, Debug)]
pub struct BranchFormula {
    /// The table.
    pub table: Name,
    /// The conditions over the table's own columns; all must be true.
    pub conditions: Vec<Expr>,
    /// The table's columns.
    pub schema: Arc<Schema>,
    pub(crate) assumptions: Vec<Assumption>,
}

impl Formula {
    /// The predicates of a relation over single events; views and computed columns are substituted in.
    ///
    /// # Errors
    /// When the relation does more with events than select and rename: what.
    pub fn of(rel: &Rel) -> Result<Vec<BranchFormula>, Unknown> {
        let mut f = Flattener::new();
        let branches = f.branches(rel)?;
        branches.iter().map(|b| BranchFormula::of(b, &mut f)).collect()
    }
}

impl BranchFormula {
    fn of(b: &Branch, f: &mut Flattener) -> Result<BranchFormula, Unknown> {
        let mut conditions = Vec::with_capacity(b.steps.len());
        for s in &b.steps {
            conditions.push(f.substitute(&s.predicate, &s.env)?);
        }
        Ok(BranchFormula {
            table: b.table.clone(),
            conditions,
            schema: b.schema.clone(),
            assumptions: f.assumptions().to_vec(),
        })
    }

    /// Whether an event passes, by evaluation.
    pub fn matches(&self, row: &dyn Fn(&str) -> Value) -> bool {
        self.conditions.iter().all(|c| c.eval(row, &Context::default()).as_bool() == Some(true))
    }

    pub(crate) fn node(&self, p: &mut Prover) -> Result<Node, Unknown> {
        let mut all = Vec::with_capacity(self.conditions.len());
        for c in &self.conditions {
            all.push(p.builder.truth(c, true)?);
        }
        Ok(p.builder.arena.and(all))
    }
}

pub(crate) fn event(table: &Name, row: &Row, assumptions: &[Assumption]) -> Event {
    let mut values = row.clone();
    let known = assumptions
        .iter()
        .filter_map(|a| values.remove(&a.column).map(|v| (a.clone(), v == Value::Bool(true))))
        .collect();
    Event { table: table.clone(), values, assumptions: known }
}

/// The time to build the formulas of a question, in budgets of one.
const BUILD: u32 = 2;

/// The answer of a solver, believed only where evaluation of the event agrees.
fn checked(p: &mut Prover, roots: &[Node], budget: &Budget, right: impl Fn(&Row) -> bool) -> Answer {
    match p.ask(roots, budget) {
        Answer::Sat(row) if !right(&row) => {
            p.misbehaved += 1;
            Answer::Unknown(Unknown::new("internal error: an event did not behave as computed"))
        }
        a => a,
    }
}

pub(crate) fn look(row: &Row) -> impl Fn(&str) -> Value + '_ {
    |n| row.get(n).cloned().unwrap_or_default()
}

/// Whether some event passes.
pub fn satisfiable(b: &BranchFormula, budget: &Budget) -> Verdict {
    let mut p = Prover::new(b.schema.clone()).until(Instant::now() + budget.time.saturating_mul(BUILD));
    let node = match b.node(&mut p) {
        Ok(n) => n,
        Err(u) => return Verdict::Unknown(u),
    };
    match checked(&mut p, &[node], budget, |r| b.matches(&look(r))) {
        Answer::Sat(row) => Verdict::Sat(event(&b.table, &row, &b.assumptions)),
        Answer::Unsat => Verdict::Unsat,
        Answer::Unknown(u) => Verdict::Unknown(u),
    }
}

/// How the events of two detections relate. It holds for events within the declared domains of columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// Each finds what the other finds.
    Equal,
    /// The second finds everything that the first finds, and more.
    Subset,
    /// The first finds everything that the second finds, and more.
    Superset,
    /// Each finds events that the other does not, and there are common ones.
    Overlap,
    /// No event is found by both, and each finds some.
    Disjoint,
    /// Not decided.
    Unknown,
}

impl Relation {
    /// From what was found: events of only the first, of only the second, of both; and for which of these
    /// questions it is open whether there are any.
    pub(crate) fn of(yes: [bool; 3], open: [bool; 3]) -> Relation {
        let decided = |i: usize| yes[i] || !open[i];
        match (yes[0], yes[1], yes[2]) {
            _ if !decided(0) || !decided(1) => Relation::Unknown,
            (false, false, _) => Relation::Equal,
            (false, true, _) => Relation::Subset,
            (true, false, _) => Relation::Superset,
            (true, true, true) => Relation::Overlap,
            (true, true, false) if decided(2) => Relation::Disjoint,
            _ => Relation::Unknown,
        }
    }

    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::Equal => "equal",
            Relation::Subset => "subset",
            Relation::Superset => "superset",
            Relation::Overlap => "overlap",
            Relation::Disjoint => "disjoint",
            Relation::Unknown => "unknown",
        }
    }
}

/// An event, and which of the two detections find it.
#[derive(Clone, PartialEq, Debug)]
pub struct Witness {
    /// The first finds it.
    pub first: bool,
    /// The second finds it.
    pub second: bool,
    /// The event.
    pub event: Event,
}

/// The answer of [`compare`].
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// How they relate.
    pub relation: Relation,
    /// At most one event a table for each of: only the first, only the second, both.
    pub witnesses: Vec<Witness>,
    /// Why it is unknown, or what else is to be said.
    pub reason: Option<String>,
}

/// How the events of two detections relate, with an event for each difference.
pub fn compare(a: &Rel, b: &Rel, budget: &Budget) -> Comparison {
    compare_by(a, b, &[0, 1, 2], budget)
}

/// [`compare`] without asking for events that both find: "overlap" may be "disjoint", and that neither can ever
/// fire is not noticed. Where two mean the same, most of the time goes into that question.
pub fn differences(a: &Rel, b: &Rel, budget: &Budget) -> Comparison {
    compare_by(a, b, &[0, 1], budget)
}

fn compare_by(a: &Rel, b: &Rel, questions: &[usize], budget: &Budget) -> Comparison {
    let unknown = |reason: String| Comparison {
        relation: Relation::Unknown,
        witnesses: Vec::new(),
        reason: Some(reason),
    };
    let (fa, fb) = match (Formula::of(a), Formula::of(b)) {
        (Ok(x), Ok(y)) => (x, y),
        (Err(u), _) => return unknown(format!("of the first, {u}")),
        (_, Err(u)) => return unknown(format!("of the second, {u}")),
    };
    relation_of(&fa, &fb, questions, budget)
}

/// [`compare`] of what [`Formula::of`] made.
pub fn compare_formulas(a: &[BranchFormula], b: &[BranchFormula], budget: &Budget) -> Comparison {
    relation_of(a, b, &[0, 1, 2], budget)
}

/// The time for all tables of a pair, in budgets of one question.
const TABLES: u32 = 6;

fn relation_of(a: &[BranchFormula], b: &[BranchFormula], questions: &[usize], budget: &Budget) -> Comparison {
    let both = questions.contains(&2);
    let mut tables: Vec<Name> = Vec::new();
    for f in a.iter().chain(b) {
        if !tables.contains(&f.table) {
            tables.push(f.table.clone());
        }
    }
    let mut witnesses: Vec<Witness> = Vec::new();
    let mut reason: Option<String> = None;
    // Of each question: some table said yes; some table could not say.
    let mut yes = [false; 3];
    let mut open = [false; 3];
    // A search may read many tables; most of them take next to no time, and all together no more than this.
    let deadline = Instant::now() + budget.time.saturating_mul(TABLES);
    for t in &tables {
        let (xs, ys) = (on(a, t), on(b, t));
        let answers = if Instant::now() < deadline {
            related(&xs, &ys, questions, &budget.until(deadline), true)
        } else {
            Err(Unknown::new(NO_TIME))
        };
        match answers {
            Err(u) => {
                open = [true; 3];
                reason.get_or_insert(u.reason);
            }
            Ok(answers) => {
                for (i, answer) in answers.into_iter().enumerate() {
                    match answer {
                        Verdict::Sat(event) => {
                            yes[i] = true;
                            witnesses.push(Witness { first: i != 1, second: i != 0, event });
                        }
                        Verdict::Unsat => {}
                        Verdict::Unknown(u) => {
                            open[i] = true;
                            reason.get_or_insert(u.reason);
                        }
                    }
                }
            }
        }
    }
    // What is not asked is taken to be so.
    yes[2] |= !both;
    let relation = Relation::of(yes, open);
    if both && relation != Relation::Unknown && (!open[2] || yes[2]) {
        reason = match (yes[0] || yes[2], yes[1] || yes[2]) {
            (false, false) => Some("neither can ever fire".into()),
            (false, true) => Some("the first can never fire".into()),
            (true, false) => Some("the second can never fire".into()),
            _ => None,
        };
    }
    Comparison { relation, witnesses, reason }
}

/// The columns of all branches, which are of one table.
pub(crate) fn merged<'a>(mut branches: impl Iterator<Item = &'a BranchFormula>) -> Arc<Schema> {
    let Some(first) = branches.next() else { return Arc::default() };
    let mut schema = first.schema.as_ref().clone();
    for f in branches.filter(|f| !Arc::ptr_eq(&f.schema, &first.schema)) {
        schema.open |= f.schema.open;
        for c in &f.schema.columns {
            if schema.get(&c.name).is_none() {
                schema.columns.push(c.clone());
            }
        }
    }
    Arc::new(schema)
}

/// The branches that read a table.
fn on<'a>(list: &'a [BranchFormula], table: &Name) -> Vec<&'a BranchFormula> {
    list.iter().filter(|f| f.table == *table).collect()
}

/// An event that the first finds and the second does not, if there is one.
pub(crate) fn only_first(
    a: &[BranchFormula],
    b: &[BranchFormula],
    budget: &Budget,
) -> Result<Option<Witness>, Unknown> {
    let mut doubt = None;
    let mut done: Vec<&Name> = Vec::new();
    let deadline = Instant::now() + budget.time.saturating_mul(TABLES);
    for x in a {
        if done.contains(&&x.table) {
            continue;
        }
        done.push(&x.table);
        let late = Instant::now() >= deadline;
        let answers = if late {
            Err(Unknown::new(NO_TIME))
        } else {
            relate(&on(a, &x.table), &on(b, &x.table), &[0], &budget.until(deadline))
        };
        match answers {
            Err(u) => doubt = Some(u),
            Ok([Verdict::Sat(event), ..]) => return Ok(Some(Witness { first: true, second: false, event })),
            Ok([Verdict::Unknown(u), ..]) => doubt = Some(u),
            Ok([Verdict::Unsat, ..]) => {}
        }
    }
    doubt.map_or(Ok(None), Err)
}

/// Only the first, only the second, both: on one table, as far as asked for; what is not asked is
/// said to be impossible.
pub(crate) fn relate(
    xs: &[&BranchFormula],
    ys: &[&BranchFormula],
    questions: &[usize],
    budget: &Budget,
) -> Result<[Verdict; 3], Unknown> {
    related(xs, ys, questions, budget, false)
}

/// [`relate`], by a search before the solver is asked where `direct` says so: it is quicker for one pair; the
/// events of a whole set's pairs are those of the solver.
fn related(
    xs: &[&BranchFormula],
    ys: &[&BranchFormula],
    questions: &[usize],
    budget: &Budget,
    direct: bool,
) -> Result<[Verdict; 3], Unknown> {
    let Some(first) = xs.first().or(ys.first()).copied() else {
        return Ok([Verdict::Unsat, Verdict::Unsat, Verdict::Unsat]);
    };
    let mut p = Prover::new(merged(xs.iter().chain(ys).copied()))
        .until(Instant::now() + budget.time.saturating_mul(BUILD));
    if direct {
        p = p.direct();
    }
    let any = |list: &[&BranchFormula], p: &mut Prover| -> Result<Node, Unknown> {
        let mut nodes = Vec::with_capacity(list.len());
        for f in list {
            nodes.push(f.node(p)?);
        }
        Ok(p.builder.arena.or(nodes))
    };
    let (x, y) = (any(xs, &mut p)?, any(ys, &mut p)?);
    let (not_x, not_y) = (p.builder.arena.not(x), p.builder.arena.not(y));
    let fires = |list: &[&BranchFormula], r: &Row| list.iter().any(|f| f.matches(&look(r)));
    let mut assumptions: Vec<Assumption> = Vec::new();
    for a in xs.iter().chain(ys).flat_map(|f| &f.assumptions) {
        if !assumptions.contains(a) {
            assumptions.push(a.clone());
        }
    }
    let mut answers = [Verdict::Unsat, Verdict::Unsat, Verdict::Unsat];
    for (i, roots) in [[x, not_y], [y, not_x], [x, y]].into_iter().enumerate() {
        if x == y && i < 2 || roots.contains(&Arena::FALSE) || !questions.contains(&i) {
            continue;
        }
        let answer =
            checked(&mut p, &roots, budget, |r| fires(xs, r) == (i != 1) && fires(ys, r) == (i != 0));
        answers[i] = match answer {
            Answer::Sat(row) => Verdict::Sat(event(&first.table, &row, &assumptions)),
            Answer::Unsat => Verdict::Unsat,
            Answer::Unknown(u) => Verdict::Unknown(u),
        };
    }
    Ok(answers)
}
