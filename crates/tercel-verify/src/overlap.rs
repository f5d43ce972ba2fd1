//! How the detections of a set relate to each other.
//!
//! Most questions of a set are answered without a proof: every event that is found on the way is looked at
//! with all detections, and one that only the first of two finds shows that it is not part of the second.

use crate::Unknown;
use crate::budget::{Budget, NO_TIME};
use crate::evaluate::{ColumnTests, Memo, Truths};
use crate::formula::Node;
use crate::prover::{Prover, Row};
use crate::questions::{
    BranchFormula, Comparison, Event, Relation, Verdict, Witness, event, merged, only_first, relate,
};
use std::collections::HashMap;
use std::time::Instant;
use tercel_ir::{Name, Value};

/// Two detections of a set, by their places in it, and how they relate.
#[derive(Clone, PartialEq, Debug)]
pub struct Pair {
    /// The first.
    pub first: usize,
    /// The second; a greater number.
    pub second: usize,
    /// How they relate.
    pub comparison: Comparison,
}

/// The time for an event of one rule on one table, in budgets of one question.
const BRANCHES: u32 = 4;

/// No event.
const NONE: u32 = u32::MAX;

/// All events of one table, as the detections of a set see them.
struct Table<'a> {
    name: Name,
    prover: Prover,
    /// Of each detection: what it asks of events of this table; `None` where that is not known.
    nodes: Vec<Option<Node>>,
    branches: Vec<Vec<&'a BranchFormula>>,
    /// The truth of all atoms of an event without any value.
    nothing: Truths,
    tests: HashMap<u32, Option<ColumnTests>>,
    memo: Memo,
    pool: Vec<Row>,
}

impl<'a> Table<'a> {
    fn new(name: Name, rules: &'a [Vec<BranchFormula>]) -> Table<'a> {
        let branches: Vec<Vec<&BranchFormula>> =
            rules.iter().map(|r| r.iter().filter(|b| b.table == name).collect()).collect();
        let mut prover = Prover::new(merged(branches.iter().flatten().copied()));
        let nodes = branches
            .iter()
            .map(|list| {
                let all: Result<Vec<Node>, Unknown> = list.iter().map(|b| b.node(&mut prover)).collect();
                all.ok().map(|all| prover.builder.arena.or(all))
            })
            .collect();
        let nothing = Truths::of(&prover.builder.atoms, &Row::new());
        Table {
            name,
            prover,
            nodes,
            branches,
            nothing,
            tests: HashMap::new(),
            memo: Memo::default(),
            pool: Vec::new(),
        }
    }

    /// Which detections find an event.
    fn finders(&mut self, row: &Row) -> Vec<u32> {
        let atoms = &self.prover.builder.atoms;
        let mut truths = self.nothing.clone();
        for (id, v) in atoms.vars.iter().enumerate() {
            if !v.columns.iter().any(|c| row.contains_key(c)) {
                continue;
            }
            if let Some(Value::Str(text)) = v.column.as_ref().and_then(|c| row.get(c)) {
                let tests = self.tests.entry(id as u32).or_insert_with(|| ColumnTests::new(atoms, id as u32));
                if let Some(tests) = tests {
                    truths.put(atoms, tests, text);
                    continue;
                }
            }
            truths.set(atoms, v, row);
        }
        self.memo.clear();
        let mut out = Vec::new();
        for (i, n) in self.nodes.iter().enumerate() {
            if let Some(n) = n
                && truths.holds(&self.prover.builder.arena, *n, &mut self.memo)
            {
                out.push(i as u32);
            }
        }
        out
    }

    fn witness(&self, first: usize, row: &Row, finds: (bool, bool)) -> Witness {
        let assumptions: Vec<crate::Assumption> =
            self.branches[first].first().map_or_else(Vec::new, |b| b.assumptions.clone());
        Witness { first: finds.0, second: finds.1, event: event(&self.name, row, &assumptions) }
    }
}

/// The event as the prover has it.
fn row_of(e: Event) -> Row {
    let mut row = e.values;
    row.extend(e.assumptions.into_iter().map(|(a, holds)| (a.column, Value::Bool(holds))));
    row
}

fn tables(rules: &[Vec<BranchFormula>]) -> Vec<Name> {
    let mut out: Vec<Name> = Vec::new();
    for b in rules.iter().flatten() {
        if !out.contains(&b.table) {
            out.push(b.table.clone());
        }
    }
    out
}

/// Which detections are equal, and which are part of another: all others of the pairs that `relevant` names
/// are left out, except those of which it could not be decided. Large sets take little more than the
/// questions that one event each leaves open.
pub fn inclusions(
    rules: &[Vec<BranchFormula>],
    relevant: impl Fn(usize, usize) -> bool,
    budget: &Budget,
) -> Vec<Pair> {
    // An event of each rule, on some table; and which others find it.
    let mut candidates: Vec<Option<Vec<u32>>> = vec![None; rules.len()];
    let mut undecided: Vec<Option<Unknown>> = vec![None; rules.len()];
    for name in tables(rules) {
        let mut t = Table::new(name.clone(), rules);
        for (i, candidates) in candidates.iter_mut().enumerate() {
            // A rule of many branches gets no more time than one of a few.
            let deadline = Instant::now() + budget.time.saturating_mul(BRANCHES);
            let found = t.branches[i].iter().take_while(|_| Instant::now() < deadline).find_map(|b| {
                match crate::satisfiable(b, &budget.until(deadline)) {
                    Verdict::Sat(e) => Some(e),
                    Verdict::Unsat => None,
                    Verdict::Unknown(why) => {
                        undecided[i] = Some(why);
                        None
                    }
                }
            });
            if found.is_none() && undecided[i].is_none() && Instant::now() >= deadline {
                undecided[i] = Some(Unknown::new(NO_TIME));
            }
            let Some(e) = found else { continue };
            let mut found = t.finders(&row_of(e));
            // A detection whose formula could not be made may find it as well; the question of the pair says
            // why that is not known.
            let open = t.nodes.iter().enumerate().filter(|(_, n)| n.is_none());
            found.extend(open.map(|(j, _)| j as u32));
            found.sort_unstable();
            match candidates {
                Some(c) => c.retain(|j| found.binary_search(j).is_ok()),
                none => *none = Some(found),
            }
        }
    }
    let mut inside: HashMap<(usize, usize), Result<Option<Witness>, Unknown>> = HashMap::new();
    for (i, list) in candidates.iter().enumerate() {
        for j in list.iter().flatten().map(|j| *j as usize) {
            if j != i && relevant(i.min(j), i.max(j)) {
                inside.insert((i, j), only_first(&rules[i], &rules[j], budget));
            }
        }
    }
    // Without an event nothing is known of what else finds its events.
    for (i, why) in undecided.into_iter().enumerate().filter(|(i, _)| candidates[*i].is_none()) {
        let Some(why) = why else { continue };
        for j in (0..rules.len()).filter(|j| *j != i && relevant(i.min(*j), i.max(*j))) {
            inside.insert((i, j), Err(why.clone()));
        }
    }
    let mut out = Vec::new();
    for ((i, j), answer) in &inside {
        let other = inside.get(&(*j, *i));
        let (first, second) = (*i.min(j), *i.max(j));
        let made = |relation, witness: Option<Witness>, reason| Pair {
            first,
            second,
            comparison: Comparison { relation, witnesses: witness.into_iter().collect(), reason },
        };
        match (answer, other) {
            (Ok(None), Some(Ok(None))) if i < j => out.push(made(Relation::Equal, None, None)),
            (Ok(None), Some(Ok(None))) => {}
            (Ok(None), _) => {
                // Why the other is more: an event of the other that this one does not find.
                let more = only_first(&rules[*j], &rules[*i], budget).ok().flatten();
                let relation = if i < j { Relation::Subset } else { Relation::Superset };
                let more =
                    more.map(|w| if i < j { Witness { first: w.second, second: w.first, ..w } } else { w });
                out.push(made(relation, more, None));
            }
            (Err(_), Some(Ok(None))) => {}
            (Err(_), Some(Err(_))) if i > j => {}
            (Err(u), _) => out.push(made(Relation::Unknown, None, Some(u.reason.clone()))),
            (Ok(Some(_)), _) => {}
        }
    }
    out.sort_by_key(|p| (p.first, p.second));
    out
}

/// One question about a pair on all tables: an event, no event, or not known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// The event, by table and place in its pool.
    Yes(u32, u32),
    No,
    Unknown,
}

/// How the detections of a set relate, pair by pair, for all pairs that `relevant` names.
pub fn overlaps(
    rules: &[Vec<BranchFormula>],
    relevant: impl Fn(usize, usize) -> bool,
    budget: &Budget,
) -> Vec<Pair> {
    let n = rules.len();
    let mut tables: Vec<Table<'_>> = tables(rules).into_iter().map(|t| Table::new(t, rules)).collect();
    // By i * n + j: an event of i that j does not find; an event of both.
    let mut only = vec![(NONE, NONE); n * n];
    let mut both = vec![(NONE, NONE); n * n];
    let mut reason: Option<String> = None;
    let learn = |t: usize,
                 tables: &mut Vec<Table<'_>>,
                 row: Row,
                 only: &mut Vec<(u32, u32)>,
                 both: &mut Vec<(u32, u32)>| {
        let table = &mut tables[t];
        let at = (t as u32, table.pool.len() as u32);
        let found = table.finders(&row);
        let mut is = vec![false; n];
        found.iter().for_each(|i| is[*i as usize] = true);
        for i in found.iter().map(|i| *i as usize) {
            for (j, finds) in is.iter().enumerate() {
                // Of what is not known on this table nothing is learnt.
                let slot = match (finds, table.nodes[j].is_some()) {
                    (true, _) => &mut both[i * n + j],
                    (false, true) => &mut only[i * n + j],
                    (false, false) => continue,
                };
                if slot.0 == NONE {
                    *slot = at;
                }
            }
        }
        table.pool.push(row);
    };
    for t in 0..tables.len() {
        for i in 0..n {
            let deadline = Instant::now() + budget.time.saturating_mul(BRANCHES);
            for b in tables[t].branches[i].clone() {
                if Instant::now() >= deadline {
                    break;
                }
                if let Verdict::Sat(e) = crate::satisfiable(b, &budget.until(deadline)) {
                    learn(t, &mut tables, row_of(e), &mut only, &mut both);
                }
            }
        }
    }
    let known = |i: usize, j: usize, only: &[(u32, u32)], both: &[(u32, u32)]| {
        [only[i * n + j], only[j * n + i], both[i * n + j]]
    };
    let mut out = Vec::new();
    for i in 0..n {
        for j in i + 1..n {
            if !relevant(i, j) {
                continue;
            }
            let mut unknown = [false; 3];
            for t in 0..tables.len() {
                let known = known(i, j, &only, &both);
                let open: Vec<usize> = (0..3).filter(|q| known[*q].0 == NONE).collect();
                if open.is_empty() {
                    break;
                }
                let table = &tables[t];
                match relate(&table.branches[i], &table.branches[j], &open, budget) {
                    Err(u) => {
                        open.iter().for_each(|q| unknown[*q] = true);
                        reason = Some(u.reason);
                    }
                    Ok(answers) => {
                        for (q, answer) in answers.into_iter().enumerate() {
                            match answer {
                                Verdict::Unsat => {}
                                Verdict::Sat(e) => learn(t, &mut tables, row_of(e), &mut only, &mut both),
                                Verdict::Unknown(u) => {
                                    unknown[q] = true;
                                    reason = Some(u.reason);
                                }
                            }
                        }
                    }
                }
            }
            let found = known(i, j, &only, &both);
            let mut settled = [Settled::No; 3];
            for (q, s) in settled.iter_mut().enumerate() {
                *s = match found[q] {
                    (NONE, _) if unknown[q] => Settled::Unknown,
                    (NONE, _) => Settled::No,
                    (t, at) => Settled::Yes(t, at),
                };
            }
            let mut witnesses = Vec::new();
            for (q, s) in settled.iter().enumerate() {
                if let Settled::Yes(t, at) = s {
                    let table = &tables[*t as usize];
                    if let Some(row) = table.pool.get(*at as usize) {
                        witnesses.push(table.witness(if q == 1 { j } else { i }, row, (q != 1, q != 0)));
                    }
                }
            }
            let yes = settled.map(|s| matches!(s, Settled::Yes(..)));
            let open = settled.map(|s| s == Settled::Unknown);
            let relation = Relation::of(yes, open);
            let why = (relation == Relation::Unknown)
                .then(|| reason.clone().unwrap_or_else(|| "what one of them asks is not understood".into()));
            out.push(Pair {
                first: i,
                second: j,
                comparison: Comparison { relation, witnesses, reason: why },
            });
        }
    }
    out
}
