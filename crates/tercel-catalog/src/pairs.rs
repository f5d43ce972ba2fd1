//! How the detections of a set relate: equal, one inside another, overlapping, disjoint.

use crate::compile::CompileOptions;
use crate::detection::Detection;
use crate::language::Language;
use crate::lint::{Finding, LintOptions};
use crate::logic::{Source, Sources};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use tercel_ir::{Catalog, Diagnostic};
use tercel_verify::{
    BranchFormula, Budget, Comparison, Formula, Pair, Relation, Unknown, inclusions, overlaps,
};

/// What is asked of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Only pairs that are equal or one inside the other.
    Inclusions,
    /// How every pair relates.
    Everything,
}

/// How the detections of a set relate.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Pairs by place. Of [`Ask::Inclusions`] only those that are equal, one inside the other, or not known.
    pub pairs: Vec<Pair>,
    /// Detections that could not be compared, and why.
    pub left_out: Vec<(usize, String)>,
}

/// Compares compiled detections with each other. Sigma rules are compared by their own logic within their
/// log sources, see [`Detection::logic`]; with other languages by the tables that both read.
pub fn compare_all(all: &[Detection], options: &CompileOptions, ask: Ask, budget: &Budget) -> Compared {
    let mut out = Compared::default();
    let is_sigma = |i: usize| all[i].language == Language::Sigma;
    let rules: Vec<usize> = (0..all.len()).filter(|i| is_sigma(*i)).collect();
    let others = rules.len() < all.len();
    // By their own logic.
    let sources: Vec<Option<Source>> = all.iter().map(Detection::source).collect();
    let logic: Vec<Vec<BranchFormula>> = all
        .iter()
        .enumerate()
        .map(|(i, d)| {
            if !is_sigma(i) {
                return Vec::new();
            }
            formulas(d, d.logic(options, true)).unwrap_or_else(|why| {
                out.left_out.push((i, why));
                Vec::new()
            })
        })
        .collect();
    let known = |i: usize| !logic[i].is_empty();
    let how = |i: usize, j: usize| match (&sources[i], &sources[j]) {
        (Some(a), Some(b)) if known(i) && known(j) => Some(a.compare(b)),
        _ => None,
    };
    let common = |i: usize, j: usize| how(i, j) == Some(Sources::Common);
    out.pairs = match ask {
        Ask::Inclusions => {
            let of = |members: &[usize]| members.iter().map(|i| logic[*i].clone()).collect();
            by_source(&sources, of, budget)
        }
        Ask::Everything => overlaps(&logic, common, budget),
    };
    if ask == Ask::Everything {
        for (at, i) in rules.iter().enumerate() {
            for j in &rules[at + 1..] {
                let (relation, why) = match how(*i, *j) {
                    Some(Sources::Apart) => (Relation::Disjoint, "of different log sources"),
                    Some(Sources::Unlike) => (
                        Relation::Unknown,
                        "one names a category, the other a service: which events are both is not known",
                    ),
                    _ => continue,
                };
                let comparison = Comparison { relation, witnesses: Vec::new(), reason: Some(why.into()) };
                out.pairs.push(Pair { first: *i, second: *j, comparison });
            }
        }
    }
    drop(logic);
    // With other languages, by the tables.
    if others {
        let tables: Vec<Vec<BranchFormula>> = all
            .iter()
            .enumerate()
            .map(|(i, d)| {
                formulas(d, d.rel.clone()).unwrap_or_else(|why| {
                    if !out.left_out.iter().any(|(n, _)| *n == i) {
                        out.left_out.push((i, why));
                    }
                    Vec::new()
                })
            })
            .collect();
        let mixed = |i: usize, j: usize| {
            (!is_sigma(i) || !is_sigma(j)) && !tables[i].is_empty() && !tables[j].is_empty()
        };
        out.pairs.extend(match ask {
            Ask::Inclusions => inclusions(&tables, mixed, budget),
            Ask::Everything => overlaps(&tables, mixed, budget),
        });
    }
    out.pairs.sort_by_key(|p| (p.first, p.second));
    out.left_out.sort();
    out
}

fn formulas(d: &Detection, rel: Option<tercel_ir::Rel>) -> Result<Vec<BranchFormula>, String> {
    if d.correlation.is_some() {
        return Err("it looks at many events".into());
    }
    let Some(rel) = rel else { return Err("it does not compile".into()) };
    let found = Formula::of(&rel).map_err(|Unknown { reason }| reason)?;
    if found.is_empty() { Err("it reads no table".into()) } else { Ok(found) }
}

/// Rules of one log source at a time: only they are compared, and a set of thousands is small pieces. Of two
/// log sources, one inside the other, the one with fewer rules goes with the one that has more: a rule for
/// all of Windows goes with each of its log sources, not all of them with that rule. `formulas` is asked for
/// the rules of one piece and given back after it.
fn by_source(
    sources: &[Option<Source>],
    mut formulas: impl FnMut(&[usize]) -> Vec<Vec<BranchFormula>>,
    budget: &Budget,
) -> Vec<Pair> {
    let mut by_source: BTreeMap<&Source, Vec<usize>> = BTreeMap::new();
    for (i, s) in sources.iter().enumerate() {
        if let Some(s) = s {
            by_source.entry(s).or_default().push(i);
        }
    }
    let groups: Vec<(&Source, Vec<usize>)> = by_source.into_iter().collect();
    let mut group_of = vec![None; sources.len()];
    for (g, (_, own)) in groups.iter().enumerate() {
        own.iter().for_each(|i| group_of[*i] = Some(g));
    }
    // Where the rules of two log sources are compared, so that each pair is once; nowhere if they have no
    // event in common.
    let place = |a: usize, b: usize| {
        let size = |g: usize| (groups[g].1.len(), Reverse(g));
        let common = groups[a].0.compare(groups[b].0) == Sources::Common;
        common.then_some(if size(a) >= size(b) { a } else { b })
    };
    let mut out: Vec<Pair> = Vec::new();
    for g in 0..groups.len() {
        let here: Vec<bool> = (0..groups.len()).map(|o| place(g, o) == Some(g)).collect();
        let mut members: Vec<usize> =
            (0..groups.len()).filter(|o| here[*o]).flat_map(|o| &groups[o].1).copied().collect();
        if members.len() < 2 {
            continue;
        }
        members.sort_unstable();
        let mine = |i: usize, j: usize| match (group_of[members[i]], group_of[members[j]]) {
            (Some(a), Some(b)) => (a == g && here[b]) || (b == g && here[a]),
            _ => false,
        };
        let found = inclusions(&formulas(&members), mine, budget);
        out.extend(found.into_iter().map(|p| Pair {
            first: members[p.first],
            second: members[p.second],
            ..p
        }));
        tercel_ir::function::forget_regexes();
    }
    out
}

/// Up to so many rules those of different languages are compared too.
const FEW: usize = 400;

/// Findings about pairs of linted rules: equal ones, and rules inside others. Rules of one id are the same
/// rule twice, which is said elsewhere. Rules are compiled a log source at a time and let go again.
pub fn pair_findings(
    all: &mut [Detection],
    catalog: &dyn Catalog,
    options: &LintOptions,
) -> Vec<(usize, Finding)> {
    let Some(budget) = &options.prove else { return Vec::new() };
    let sources: Vec<Option<Source>> = all.iter().map(Detection::source).collect();
    let of = |members: &[usize]| -> Vec<Vec<BranchFormula>> {
        let each = |i: &usize| {
            let d = &mut all[*i];
            d.compile(catalog, options.compile.clone());
            let found = formulas(d, d.logic(&options.compile, true)).unwrap_or_default();
            d.forget();
            found
        };
        members.iter().map(each).collect()
    };
    let mut pairs = by_source(&sources, of, budget);
    let other = |d: &Detection| d.language != Language::Sigma;
    if all.len() <= FEW && all.iter().any(other) {
        let mut tables = Vec::with_capacity(all.len());
        for d in all.iter_mut() {
            d.compile(catalog, options.compile.clone());
            tables.push(formulas(d, d.rel.clone()).unwrap_or_default());
            d.forget();
        }
        pairs.extend(inclusions(&tables, |i, j| other(&all[i]) || other(&all[j]), budget));
    }
    pairs.sort_by_key(|p| (p.first, p.second));
    let mut out = Vec::new();
    // A rule that is too hard is so with every other: one note says it.
    let mut open: HashMap<usize, usize> = HashMap::new();
    for p in pairs.iter().filter(|p| p.comparison.relation == Relation::Unknown) {
        *open.entry(p.first).or_default() += 1;
        *open.entry(p.second).or_default() += 1;
    }
    let mut told = HashSet::new();
    for p in pairs {
        let (first, second) = (&all[p.first], &all[p.second]);
        let count = |i: usize| open.get(&i).copied().unwrap_or_default();
        let (hard, other) =
            if count(p.second) > count(p.first) { (p.second, first) } else { (p.first, second) };
        if p.comparison.relation == Relation::Unknown && !told.insert(hard) {
            continue;
        }
        let others = match count(hard) {
            0 | 1 => String::new(),
            n => format!(" and of {} other{}", n - 1, if n == 2 { "" } else { "s" }),
        };
        if first.id == second.id {
            continue;
        }
        let called = |d: &Detection| format!("`{}` ({}, {})", d.title, d.id, d.path);
        let (at, d) = match p.comparison.relation {
            Relation::Equal => (
                p.second,
                Diagnostic::warning(
                    "equal-rules",
                    format!("this rule finds the same events as {}", called(first)),
                )
                .meaning(
                    "every event that one of them finds is found by the other: each hit is reported twice",
                )
                .help("keep one of them"),
            ),
            Relation::Subset => (p.first, inside(&called(second), &p)),
            Relation::Superset => (p.second, inside(&called(first), &p)),
            Relation::Unknown => (
                hard,
                Diagnostic::note(
                    "not-proved",
                    format!(
                        "whether this rule is part of {}{others} could not be decided: {}",
                        called(other),
                        p.comparison.reason.as_deref().unwrap_or("the budget is used up")
                    ),
                ),
            ),
            Relation::Overlap | Relation::Disjoint => continue,
        };
        if !options.allow.iter().any(|c| c == d.code) {
            out.push((at, Finding::of(&all[at], d)));
        }
    }
    out
}

fn inside(other: &str, p: &Pair) -> Diagnostic {
    let more = p.comparison.witnesses.first().and_then(|w| crate::proof::event(&w.event));
    let mut d = Diagnostic::note(
        "contained-rule",
        format!("everything that this rule finds is found by {other} too"),
    )
    .help("where both run, this one adds no hits, only its own level and description");
    d.meaning = more.map(|e| format!("the other one finds more, for example {e}"));
    d
}
