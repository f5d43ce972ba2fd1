//! Test events: for every alternative of a detection an event that fires through it alone, for every
//! condition an event that fails it alone, for every exclusion an event that it alone keeps out.
//!
//! Each part of a detection (an item of a list, a selection, a filter) is replaced by what does nothing where
//! it stands: true in a conjunction, false in a disjunction. An event on which that changes the verdict is a
//! test of just this part. The solver finds one, or proves that there is none; near misses are first looked
//! for by hand, by changing one value of an event that fires. Whatever comes of it is evaluated before it is
//! handed out.

mod inline;
mod merge;
mod rows;
mod sites;
mod tree;
mod vary;

use crate::flatten::Flattener;
use crate::formula::Node;
use crate::prover::{Answer, Row};
use crate::questions::event;
use crate::{Budget, Event, Unknown};
pub use merge::rows_first;
pub use rows::Rows;
use sites::{Site, sites};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tercel_ir::{Expr, Name, Rel, Span, Type, Value};
use tree::{Seen, Tree};

/// Hits that near misses are made of.
const BASES: usize = 4;
/// Alternatives of other lists that one event is asked to show as well.
const COMPANY: usize = 4;
/// Events of others that are tried.
const SEEDS: usize = 400;
/// Time for what would only be nice.
const SOFT: Duration = Duration::from_millis(100);

/// What a test event shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// It fires.
    Whole,
    /// It fires through this alternative alone.
    Alternative,
    /// It fires, and this alternative is true; others have to be as well.
    Shared,
    /// It fires because this condition of an exclusion fails.
    Beside,
    /// It does not fire because this condition fails.
    Condition,
    /// It does not fire because this excludes it.
    Exclusion,
}

impl Role {
    /// Whether events of this role fire.
    pub fn fires(self) -> bool {
        !matches!(self, Role::Condition | Role::Exclusion)
    }
}

/// A part of a detection that an event is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// What the event shows of it.
    pub role: Role,
    /// The part in the author's text; none of what has no place there.
    pub span: Option<Span>,
    /// The item, where the place is that of a whole list.
    pub item: Option<String>,
}

/// A test event.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// The event.
    pub event: Event,
    /// Whether the detection fires on it.
    pub fires: bool,
    /// What it shows; at least one.
    pub shows: Vec<Shown>,
    /// It is such a row as was asked for: see [`Request::rows`].
    pub row: bool,
}

const WHOLE: Shown = Shown { role: Role::Whole, span: None, item: None };

/// Why there is no event for a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gap {
    /// Proved: there can be none.
    None,
    /// Not decided.
    Unknown(String),
}

/// A part without a test event.
#[derive(Clone, PartialEq, Debug)]
pub struct Missing {
    /// What would have been shown of which part.
    pub part: Shown,
    /// Why it is not.
    pub why: Gap,
}

/// The test events of a detection for one table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Generated {
    /// Events that fire first.
    pub cases: Vec<Case>,
    /// Parts for which there is none.
    pub missing: Vec<Missing>,
    /// Parts beyond the limit, which were not looked at.
    pub skipped: usize,
    /// Alternatives of the detection that were looked at.
    pub alternatives: usize,
}

/// How to generate.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Of each question.
    pub budget: Budget,
    /// Parts of one list that are looked at.
    pub limit: usize,
    /// For all questions together; what is not asked then is unknown.
    pub time: Duration,
    /// What an event must hold beside what the detection asks, best first: the first that can be is taken.
    pub given: &'a [Vec<(Name, Value)>],
    /// Whether near misses are wanted.
    pub misses: bool,
    /// What events are like; nothing: anything that the columns can hold.
    pub rows: Option<Rows<'a>>,
    /// Events of the table that are tried before any are looked for.
    pub seeds: &'a [BTreeMap<Name, Value>],
}

/// The tables whose events a detection reads, in the order of its text.
///
/// # Errors
/// When the detection looks at more than one event at a time: how.
pub fn tables(rel: &Rel) -> Result<Vec<Name>, Unknown> {
    let mut out: Vec<Name> = Vec::new();
    for b in Flattener::new().branches(rel)? {
        if !out.contains(&b.table) {
            out.push(b.table);
        }
    }
    Ok(out)
}

/// Test events of one table.
///
/// # Errors
/// When the detection is not one over single events, or nothing could be found out about it.
pub fn events(rel: &Rel, table: &str, request: &Request<'_>) -> Result<Generated, Unknown> {
    let rel = &inline::inlined(rel);
    let mut flat = Flattener::new();
    let mut branches = flat.branches(rel)?;
    branches.retain(|b| &*b.table == table);
    let Some(name) = branches.first().map(|b| b.table.clone()) else {
        return Err(Unknown::new(format!("it does not read {table}")));
    };
    let deadline = Instant::now() + request.time;
    let tree = Tree::new(&branches, &mut flat, request.rows, deadline)?;
    let mut run = Run {
        tree,
        request,
        table: name,
        assumptions: flat.assumptions().to_vec(),
        fixed: Vec::new(),
        given: Vec::new(),
        must: Vec::new(),
        deadline,
        seeds: Vec::new(),
        hits: Vec::new(),
        misses: Vec::new(),
        out: Generated::default(),
    };
    if run.settle()? {
        run.all();
    } else {
        run.missing(WHOLE, Gap::None);
    }
    run.out.cases.sort_by_key(|c| !c.fires);
    Ok(run.out)
}

struct Run<'r> {
    tree: Tree<'r>,
    request: &'r Request<'r>,
    table: Name,
    assumptions: Vec<crate::Assumption>,
    /// What every event should be, best first; of the last at least one must hold.
    fixed: Vec<Vec<Node>>,
    /// The columns that the best of them speaks of, and the last.
    given: Vec<Name>,
    must: Vec<Name>,
    deadline: Instant,
    seeds: Vec<Seen>,
    hits: Vec<Seen>,
    misses: Vec<Seen>,
    out: Generated,
}

enum Found {
    Event(Box<Seen>),
    None,
    Unknown(String),
}

/// Why something was not looked at.
const NO_TIME: &str = "the time for all its test events is used up";

impl Run<'_> {
    fn late(&self) -> bool {
        self.tree.late()
    }

    /// Chooses what every event holds. False: the detection can never fire.
    fn settle(&mut self) -> Result<bool, Unknown> {
        let whole = self.tree.node(self.tree.root);
        // One event alone is among no rows of another query.
        let mut apart = Vec::new();
        for a in &self.assumptions {
            let column = Expr::column(a.column.clone(), Type::Bool, Span::default());
            apart.push(self.tree.prover.builder.truth(&column, false)?);
        }
        for e in &self.tree.holds {
            let builder = &mut self.tree.prover.builder;
            let broken = builder.truth(e, false)?;
            apart.push(builder.arena.not(broken));
        }
        let mut undecided = None;
        let mut options: Vec<&[(Name, Value)]> = self.request.given.iter().map(Vec::as_slice).collect();
        if options.is_empty() {
            options.push(&[]);
        }
        let mut fixed: Vec<(Vec<Node>, Vec<Name>)> = Vec::new();
        for given in &options {
            let mut nodes = apart.clone();
            let mut names = Vec::new();
            for (column, value) in *given {
                let Some(e) = self.equals(column, value) else { continue };
                nodes.push(self.tree.prover.builder.truth(&e, true)?);
                names.push(column.clone());
            }
            if !fixed.iter().any(|f| f.0 == nodes) {
                fixed.push((nodes, names));
            }
        }
        if self.sow() {
            let (nodes, names): (Vec<_>, Vec<_>) = fixed.into_iter().unzip();
            self.given = names.first().cloned().unwrap_or_default();
            self.must = names.last().cloned().unwrap_or_default();
            self.fixed = nodes;
            return Ok(true);
        }
        while let Some((nodes, names)) = fixed.first() {
            if self.late() {
                return Err(Unknown::new(NO_TIME));
            }
            let roots: Vec<Node> = nodes.iter().copied().chain([whole]).collect();
            match self.tree.prover.ask(&roots, &self.request.budget.until(self.deadline)) {
                Answer::Sat(_) => {
                    self.given.clone_from(names);
                    self.must = fixed.last().map(|f| f.1.clone()).unwrap_or_default();
                    self.fixed = fixed.into_iter().map(|f| f.0).collect();
                    return Ok(true);
                }
                Answer::Unsat => {}
                Answer::Unknown(u) => undecided = Some(u),
            }
            fixed.remove(0);
        }
        match undecided {
            Some(u) => Err(u),
            None => match self.tree.prover.ask(&[whole], &self.request.budget.until(self.deadline)) {
                Answer::Unsat => Ok(false),
                Answer::Unknown(u) => Err(u),
                Answer::Sat(_) if self.assumptions.is_empty() => {
                    Err(Unknown::new("what it asks for is of no event that a source of the table writes"))
                }
                Answer::Sat(_) => Err(Unknown::new(format!(
                    "it needs more than one event: {}",
                    self.assumptions.first().map_or("", |a| a.about.as_str())
                ))),
            },
        }
    }

    /// Looks at the events that are tried first. True: one of them fires.
    fn sow(&mut self) -> bool {
        for row in self.request.seeds {
            if self.late() || self.seeds.len() >= SEEDS {
                break;
            }
            // What every event must hold, these must as well.
            let least = self.request.given.last().map_or(&[][..], Vec::as_slice);
            if least.iter().any(|(c, v)| self.equals(c, v).is_some() && row.get(c) != Some(v)) {
                continue;
            }
            // What follows from others is put in again when an event is done.
            let follows = |c: &Name| self.request.rows.is_some_and(|r| r.derived.iter().any(|(n, _)| n == c));
            let own = row.iter().filter(|(c, _)| !follows(c)).map(|(c, v)| (c.clone(), v.clone()));
            let seen = self.tree.see(own.collect());
            if self.tree.is_row(&seen) {
                self.seeds.push(seen);
            }
        }
        self.seeds.iter().any(|s| self.tree.holds(s))
    }

    /// One of the events that are tried first.
    fn seed(&self, right: &dyn Fn(&Tree<'_>, &Seen) -> bool) -> Option<Seen> {
        let mut seeds = self.seeds.iter().take_while(|_| !self.late());
        seeds.find(|s| right(&self.tree, s)).cloned()
    }

    fn equals(&self, column: &Name, value: &Value) -> Option<Expr> {
        let schema = &self.tree.prover.builder.schema;
        let ty = match schema.get(column) {
            Some(c) => c.ty,
            None if schema.open => value.ty(),
            None => return None,
        };
        let value = value.clone().coerce(ty);
        let at = Span::default();
        if value.is_null() {
            return None;
        }
        let literal = Expr { ty, ..Expr::literal(value, at) };
        Some(Expr::known("eq", vec![Expr::column(column.clone(), ty, at), literal], at))
    }

    fn all(&mut self) {
        let (list, skipped) = sites(&self.tree, self.request.limit);
        self.out.skipped = skipped;
        let of = |role: Role| list.iter().filter(|s| s.role == role).cloned().collect::<Vec<Site>>();
        let alternatives = of(Role::Alternative);
        self.out.alternatives = alternatives.len().max(1);
        self.alternatives(&alternatives);
        self.ways();
        if !self.request.misses {
            return;
        }
        for s in of(Role::Condition).iter().chain(&of(Role::Exclusion)).chain(&of(Role::Beside)) {
            self.one(s);
        }
    }

    /// An event for each alternative; one event may do for alternatives of several lists.
    fn alternatives(&mut self, list: &[Site]) {
        let mut done = vec![false; list.len()];
        for at in 0..list.len() {
            if done[at] {
                continue;
            }
            let site = &list[at];
            if self.late() {
                self.missing(site.shown(), Gap::Unknown(NO_TIME.into()));
                continue;
            }
            // The next open alternative of each other list.
            let mut company: Vec<&Site> = Vec::new();
            for (i, other) in list.iter().enumerate().skip(at + 1) {
                let known = |s: &&Site| s.parent(&self.tree) == other.parent(&self.tree);
                if !done[i]
                    && company.len() < COMPANY
                    && site.parent(&self.tree) != other.parent(&self.tree)
                    && !company.iter().any(known)
                {
                    company.push(other);
                }
            }
            let mut found = self.seed(&|t, s| site.claims(t, s).is_some()).map(Box::new);
            if found.is_none() {
                found = self.together(site, &company);
            }
            if found.is_none() && !company.is_empty() {
                let mut more = Vec::with_capacity(company.len());
                for s in &company {
                    let without = self.tree.without(&s.parts[0], s.neutral);
                    more.push(self.tree.prover.builder.arena.not(without));
                }
                let budget = Budget { time: SOFT.min(self.request.budget.time), ..self.request.budget };
                if let Found::Event(e) = self.solve(site, &site.parts[0], &more, &budget) {
                    found = Some(e);
                }
            }
            let found = match found {
                Some(e) => Found::Event(e),
                None => self.search(site),
            };
            match found {
                Found::Event(seen) => {
                    let shown: Vec<usize> = (0..list.len())
                        .filter(|i| {
                            (*i == at || !done[*i] && !self.late())
                                && list[*i].claims(&self.tree, &seen).is_some()
                        })
                        .collect();
                    let seen =
                        self.least(*seen, &|t, s| shown.iter().all(|i| list[*i].claims(t, s).is_some()));
                    shown.iter().for_each(|i| done[*i] = true);
                    let shows = shown.iter().map(|i| list[*i].shown()).collect();
                    self.case(seen, true, shows);
                }
                Found::Unknown(why) => self.missing(site.shown(), Gap::Unknown(why)),
                Found::None => self.shared(site),
            }
        }
    }

    /// An event that fires, changed so that it does through this alternative, and if possible through those of
    /// other lists at the same time.
    fn together(&self, site: &Site, company: &[&Site]) -> Option<Box<Seen>> {
        let mut tries: Vec<Vec<&Site>> =
            vec![[site].iter().copied().chain(company.iter().copied()).collect()];
        if !company.is_empty() {
            tries.push(vec![site]);
        }
        for sites in tries {
            for base in self.hits.iter().rev().take(2) {
                for keep in [false, true] {
                    let mut seen = base.clone();
                    sites.iter().for_each(|s| self.clear_others(s, &mut seen));
                    let made = sites.iter().all(|s| {
                        s.parts[0].iter().any(|p| self.tree.make_true(*p, &mut seen, keep, &self.must))
                    });
                    if made
                        && self.tree.is_row(&seen)
                        && sites.iter().all(|s| s.claims(&self.tree, &seen).is_some())
                    {
                        return Some(Box::new(seen));
                    }
                }
            }
        }
        None
    }

    /// Takes away what makes other alternatives of the same list true.
    fn clear_others(&self, site: &Site, seen: &mut Seen) {
        let Some(parent) = site.parent(&self.tree) else { return };
        let mut columns: Vec<Name> = Vec::new();
        for c in &self.tree.parts[parent].children {
            if !site.parts[0].contains(c) && self.tree.value(*c, seen).0 {
                let mut leaves = Vec::new();
                self.tree.leaves_under(*c, &mut leaves);
                columns.extend(leaves.iter().flat_map(|l| self.tree.leaves[*l].columns.iter().cloned()));
            }
        }
        for c in columns.iter().filter(|c| !self.must.contains(c)) {
            self.tree.put(seen, c, &Value::Null);
        }
    }

    /// Of an alternative that never fires alone, an event that fires with it.
    fn shared(&mut self, site: &Site) {
        for parts in &site.parts {
            let mut any: Vec<Node> = parts.iter().map(|p| self.tree.node(*p)).collect();
            let arena = &mut self.tree.prover.builder.arena;
            any = vec![arena.or(any)];
            any.push(self.tree.node(self.tree.root));
            let holds = |t: &Tree<'_>, s: &Seen| t.holds(s) && parts.iter().any(|p| t.value(*p, s).0);
            let found = match self.seed(&holds) {
                Some(seen) => Found::Event(Box::new(seen)),
                None => self.ask(&any, &[], &self.request.budget.clone(), &holds),
            };
            match found {
                Found::Event(seen) => {
                    let seen = self.least(*seen, &holds);
                    let shown = Shown { role: Role::Shared, ..site.shown() };
                    return self.case(seen, true, vec![shown]);
                }
                Found::Unknown(why) => {
                    return self.missing(site.shown(), Gap::Unknown(why));
                }
                Found::None => {}
            }
        }
        self.missing(site.shown(), Gap::None);
    }

    /// At least one event for each way to the result.
    fn ways(&mut self) {
        for way in self.tree.ways.clone() {
            if self.hits.iter().any(|s| self.tree.value(way, s).0) {
                continue;
            }
            let root = self.tree.node(way);
            let holds = |t: &Tree<'_>, s: &Seen| t.value(way, s).0;
            let found = match self.seed(&holds) {
                Some(seen) => Found::Event(Box::new(seen)),
                None => self.ask(&[root], &[], &self.request.budget.clone(), &holds),
            };
            match found {
                Found::Event(seen) => {
                    let seen = self.least(*seen, &holds);
                    self.case(seen, true, vec![WHOLE]);
                }
                // A union may have parts that are dead; that the whole is not is known.
                Found::None => self.missing(WHOLE, Gap::None),
                Found::Unknown(why) => self.missing(WHOLE, Gap::Unknown(why)),
            }
        }
    }

    /// An event for one part.
    fn one(&mut self, site: &Site) {
        let seed = self.seed(&|t, s| site.claims(t, s).is_some());
        let found = match seed.or_else(|| self.by_hand(site)) {
            Some(seen) => Found::Event(Box::new(seen)),
            None => self.search(site),
        };
        match found {
            Found::Event(seen) => {
                // What fails should be there and be something else, rather than be missing.
                let mut keep = Vec::new();
                if site.role == Role::Condition && site.present {
                    keep = site.columns(&self.tree);
                    keep.retain(|c| seen.row.contains_key(c));
                }
                let seen = self.least(*seen, &|t, s| {
                    site.claims(t, s).is_some() && keep.iter().all(|c| s.row.contains_key(c))
                });
                self.case(seen, site.role.fires(), vec![site.shown()]);
            }
            Found::None => self.missing(site.shown(), Gap::None),
            Found::Unknown(why) => self.missing(site.shown(), Gap::Unknown(why)),
        }
    }

    /// An event that fires, changed so that it is excluded.
    fn excluded(&self, site: &Site) -> Option<Seen> {
        for base in self.hits.iter().take(2) {
            for keep in [true, false] {
                let mut seen = base.clone();
                // A `not` is an exclusion as a whole: what is in it has to be true.
                let parts = site.parts[0].iter().map(|p| self.tree.inner(*p));
                let made = parts.into_iter().any(|p| self.tree.make_true(p, &mut seen, keep, &self.must));
                if made && site.claims(&self.tree, &seen).is_some() && self.tree.is_row(&seen) {
                    return Some(seen);
                }
            }
        }
        None
    }

    /// One value of an event that is known, changed a little.
    fn by_hand(&self, site: &Site) -> Option<Seen> {
        if site.role == Role::Exclusion {
            return self.excluded(site);
        }
        let bases: Vec<&Seen> = match site.role {
            Role::Condition => self.hits.iter().take(BASES).collect(),
            Role::Beside => self.misses.iter().rev().take(BASES).collect(),
            _ => return None,
        };
        let schema = self.tree.prover.builder.schema.clone();
        for base in bases {
            for column in site.columns(&self.tree) {
                if self.must.contains(&column) {
                    continue;
                }
                let known = schema.get(&column);
                let ty = known.map_or(Type::String, |c| c.ty);
                let domain = known.and_then(|c| c.domain.as_ref());
                let now = base.row.get(&column).cloned().unwrap_or_default();
                let mut wanted = Vec::new();
                for leaf in site.leaves(&self.tree) {
                    if self.tree.leaves[leaf].columns.contains(&column) {
                        vary::literals(&self.tree.leaves[leaf].expr, &mut wanted);
                    }
                }
                let mut seen = base.clone();
                for value in vary::near(&column, ty, domain, &now, &wanted) {
                    if self.late() {
                        return None;
                    }
                    self.tree.put(&mut seen, &column, &value.coerce(ty));
                    if site.claims(&self.tree, &seen).is_some() && self.tree.is_row(&seen) {
                        return Some(seen);
                    }
                }
            }
        }
        None
    }

    /// Asks the solver, for each place of the part.
    fn search(&mut self, site: &Site) -> Found {
        let budget = self.request.budget;
        let mut unknown = None;
        for parts in &site.parts {
            // What fails should be there and be something else, rather than be missing.
            let mut there = Vec::new();
            if site.role == Role::Condition {
                for c in site.columns(&self.tree).iter().take(3) {
                    let schema = self.tree.prover.builder.schema.clone();
                    let ty = schema.get(c).map_or(Type::String, |c| c.ty);
                    let e = Expr::column(c.clone(), ty, Span::default());
                    let e = Expr::known("isnotempty", vec![e], Span::default());
                    there.extend(self.tree.prover.builder.truth(&e, true));
                }
            }
            if !there.is_empty()
                && let Found::Event(e) = self.solve(site, parts, &there, &budget)
            {
                return Found::Event(e);
            }
            match self.solve(site, parts, &[], &budget) {
                Found::Event(e) => return Found::Event(e),
                Found::None => {}
                Found::Unknown(why) => unknown = Some(why),
            }
        }
        unknown.map_or(Found::None, Found::Unknown)
    }

    fn solve(&mut self, site: &Site, parts: &[usize], more: &[Node], budget: &Budget) -> Found {
        let whole = self.tree.node(self.tree.root);
        let without = self.tree.without(parts, site.neutral);
        if without == whole {
            return Found::None;
        }
        let arena = &mut self.tree.prover.builder.arena;
        let roots = if site.role.fires() { [whole, arena.not(without)] } else { [without, arena.not(whole)] };
        let site = Site { parts: vec![parts.to_vec()], ..site.clone() };
        self.ask(&roots, more, budget, &|t, s| site.claims(t, s).is_some())
    }

    fn ask(
        &mut self,
        roots: &[Node],
        more: &[Node],
        budget: &Budget,
        right: &dyn Fn(&Tree<'_>, &Seen) -> bool,
    ) -> Found {
        if self.late() {
            return Found::Unknown(NO_TIME.into());
        }
        let mut unknown: Option<String> = None;
        // That there is no event at all is only said where the least that an event must be was asked for. What is
        // only wanted besides is not worth that.
        let options = if more.is_empty() { self.fixed.len() } else { 1 };
        for at in 0..options {
            if at > 0 && self.late() {
                return Found::Unknown(NO_TIME.into());
            }
            let all: Vec<Node> = roots.iter().chain(more).chain(&self.fixed[at]).copied().collect();
            match self.tree.prover.ask(&all, &budget.until(self.deadline)) {
                Answer::Sat(row) => {
                    let seen = self.tree.see(row);
                    if right(&self.tree, &seen) && self.tree.is_row(&seen) {
                        return Found::Event(Box::new(seen));
                    }
                    unknown = Some("internal error: an event did not behave as computed".to_string());
                }
                Answer::Unsat => {}
                Answer::Unknown(u) => unknown = Some(u.reason),
            }
        }
        unknown.map_or(Found::None, Found::Unknown)
    }

    /// The event without the columns that do not matter.
    fn least(&self, seen: Seen, right: &dyn Fn(&Tree<'_>, &Seen) -> bool) -> Seen {
        let mut seen = self.usual_letters(seen, right);
        let columns: Vec<Name> = seen.row.keys().filter(|c| !self.given.contains(c)).cloned().collect();
        for c in columns {
            // A larger event shows the same.
            if self.late() {
                break;
            }
            let mut fewer = seen.clone();
            self.tree.put(&mut fewer, &c, &Value::Null);
            if right(&self.tree, &fewer) && self.tree.is_row(&fewer) {
                seen = fewer;
            }
        }
        seen
    }

    /// The event without the letters that only some languages take for others in another case, where they
    /// do not matter.
    fn usual_letters(&self, seen: Seen, right: &dyn Fn(&Tree<'_>, &Seen) -> bool) -> Seen {
        let odd = |c: char| matches!(c, 'İ' | 'ſ' | '\u{212a}');
        let usual = |v: &Value| match v {
            Value::Str(s) if s.contains(odd) => {
                Some(Value::Str(s.replace('İ', "i").replace('ſ', "s").replace('\u{212a}', "k")))
            }
            _ => None,
        };
        let new: Vec<(Name, Value)> =
            seen.row.iter().filter_map(|(c, v)| Some((c.clone(), usual(v)?))).collect();
        if new.is_empty() {
            return seen;
        }
        let mut plain = seen.clone();
        new.iter().for_each(|(c, v)| self.tree.put(&mut plain, c, v));
        if right(&self.tree, &plain) && self.tree.is_row(&plain) { plain } else { seen }
    }

    fn case(&mut self, seen: Seen, fires: bool, shows: Vec<Shown>) {
        let made = event(&self.table, &known(&self.tree.whole(&seen.row)), &self.assumptions);
        let same = self.out.cases.iter_mut().find(|c| c.fires == fires && c.event == made);
        match same {
            Some(c) => c.shows.extend(shows),
            None => {
                let row = self.request.rows.is_some();
                self.out.cases.push(Case { event: made, fires, shows, row });
            }
        }
        if fires { self.hits.push(seen) } else { self.misses.push(seen) }
    }

    fn missing(&mut self, part: Shown, why: Gap) {
        self.out.missing.push(Missing { part, why });
    }
}

fn known(row: &Row) -> Row {
    row.iter().filter(|(_, v)| !v.is_null()).map(|(n, v)| (n.clone(), v.clone())).collect()
}
