//! Attacks what the prover says about a folder of Sigma rules with random and mutated events: rules against
//! mutations of themselves and against each other (equal, inside, disjoint), and rules without the parts
//! that are said to do nothing. Counts verdicts that an event refutes; there must be none.
//!
//! `cargo run --release -p tercel-verify --example attack -- FOLDER [--events N] [--seed N]`

mod shared;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Instant;
use support::{Events, Random, Row, fires, mutate, without};
use tercel_ir::{Rel, RelKind};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_verify::{Anything, BranchFormula, Budget, Formula, Relation, compare_formulas, dead_sites};

#[derive(Default)]
struct Tally {
    pairs: usize,
    events: u64,
    found: u64,
    wrong: usize,
    witnesses: usize,
    bad: usize,
    unknown: usize,
    verdicts: std::collections::BTreeMap<&'static str, usize>,
}

impl Tally {
    /// What the verdict forbids: an event of only the first, of only the second, of both.
    fn forbidden(r: Relation) -> [bool; 3] {
        match r {
            Relation::Equal => [true, true, false],
            Relation::Subset => [true, false, false],
            Relation::Superset => [false, true, false],
            Relation::Disjoint => [false, false, true],
            Relation::Overlap | Relation::Unknown => [false; 3],
        }
    }

    fn attack(
        &mut self,
        name: &str,
        (a, b): (&[BranchFormula], &[BranchFormula]),
        is: Relation,
        seeds: &[Row],
        n: u64,
        r: &mut Random,
    ) {
        let forbidden = Tally::forbidden(is);
        if forbidden == [false; 3] {
            return;
        }
        let events = Events::of(&[a, b]);
        let mut last = seeds.first().cloned().unwrap_or_else(|| events.event(r));
        for i in 0..n {
            let e = if (i as usize) < seeds.len() {
                seeds[i as usize].clone()
            } else if r.below(5) == 0 {
                events.event(r)
            } else {
                events.near(&last, r)
            };
            let (x, y) = (fires(a, &e), fires(b, &e));
            self.events += 1;
            if x && !y && forbidden[0] || !x && y && forbidden[1] || x && y && forbidden[2] {
                self.wrong += 1;
                println!("WRONG {name}: {is:?} refuted by {e:?}");
                return;
            }
            if x || y {
                self.found += 1;
                last = e;
            } else if r.below(40) == 0 && !seeds.is_empty() {
                last = seeds[r.below(seeds.len())].clone();
            }
        }
    }

    fn compare(&mut self, name: &str, a: &[BranchFormula], b: &[BranchFormula], n: u64, r: &mut Random) {
        let c = compare_formulas(a, b, &Budget::default());
        self.pairs += 1;
        *self.verdicts.entry(c.relation.as_str()).or_default() += 1;
        self.unknown += usize::from(c.relation == Relation::Unknown);
        let mut seeds = Vec::new();
        for w in &c.witnesses {
            let row: Row = w.event.values.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
            self.witnesses += 1;
            if fires(a, &row) != w.first || fires(b, &row) != w.second {
                self.bad += 1;
                println!("BAD WITNESS {name}: {row:?}");
            }
            seeds.push(row);
        }
        self.attack(name, (a, b), c.relation, &seeds, n, r);
    }
}

/// The conditions of a rule changed.
fn changed(rel: &Rel, f: &mut dyn FnMut(&mut tercel_ir::Expr)) -> Rel {
    let mut rel = rel.clone();
    if let RelKind::Filter { predicate, .. } = &mut rel.kind {
        f(predicate);
    }
    rel
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let Some(dir) = args.first().filter(|a| !a.starts_with("--")) else {
        eprintln!("usage: attack FOLDER [--events N] [--seed N]");
        return;
    };
    let wanted = value("--events").unwrap_or(1_000_000);
    let mut r = Random(value("--seed").unwrap_or(1));
    let paths = shared::rules(Path::new(&dir));
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let options = tercel_sigma::Options::default();
    let mut rules: Vec<(String, Rel)> = Vec::new();
    for p in &paths {
        let Ok(text) = std::fs::read_to_string(p) else { continue };
        let (file, _) = tercel_sigma::parse(&text);
        for rule in file.rules() {
            let real = tercel_sigma::lower(rule, &catalog, &options).0;
            let events = real.map_or_else(Anything::new, |r| Anything::typed(&r.schema));
            if let (Some(rel), _) = tercel_sigma::lower(rule, &events, &options) {
                rules.push((p.file_stem().unwrap_or_default().to_string_lossy().into_owned(), rel));
            }
        }
    }
    let start = Instant::now();
    let mut t = Tally::default();
    // Parts without effect: the rule without them finds the same.
    let (mut sites, mut dead_rules) = (0, 0);
    let share = (wanted / 4 / rules.len().max(1) as u64).max(200);
    for (name, rel) in &rules {
        let Ok(report) = dead_sites(rel, &Budget::default()) else { continue };
        let idle: Vec<_> = report
            .sites
            .iter()
            .filter(|s| s.kind != tercel_verify::DeadKind::NeverFires)
            .map(|s| s.span)
            .collect();
        let never = idle.len() < report.sites.len();
        if report.sites.is_empty() {
            continue;
        }
        let Ok(a) = Formula::of(rel) else { continue };
        if never {
            t.attack(name, (&a, &a), Relation::Disjoint, &[], share * 20, &mut r);
            continue;
        }
        dead_rules += 1;
        sites += idle.len();
        let Ok(b) = Formula::of(&changed(rel, &mut |e| without(e, &idle))) else { continue };
        let mut seeds: Vec<Row> = Vec::new();
        for e in report.sites.iter().filter_map(|s| s.example.as_ref()) {
            seeds.push(e.values.iter().map(|(n, v)| (n.to_string(), v.clone())).collect());
        }
        t.attack(name, (&a, &b), Relation::Equal, &seeds, share * 4, &mut r);
    }
    println!(
        "parts: {sites} in {dead_rules} rules, {} events, {} wrong, {:?}",
        t.events,
        t.wrong,
        start.elapsed()
    );
    // Mutations and neighbours.
    let each = 20_000;
    while t.events < wanted {
        let (name, rel) = &rules[r.below(rules.len())];
        let Ok(a) = Formula::of(rel) else { continue };
        let other = if r.below(4) == 0 {
            rules[r.below(rules.len())].1.clone()
        } else {
            let times = 1 + r.below(2);
            changed(rel, &mut |e| (0..times).for_each(|_| mutate(e, &mut r)))
        };
        let Ok(b) = Formula::of(&other) else { continue };
        t.compare(name, &a, &b, each, &mut r);
        if t.pairs.is_multiple_of(500) {
            println!(
                "{} pairs, {} events ({} of them found by one), {} wrong, {} of {} witnesses bad, {} unknown, {:?} {:?}",
                t.pairs,
                t.events,
                t.found,
                t.wrong,
                t.bad,
                t.witnesses,
                t.unknown,
                t.verdicts,
                start.elapsed()
            );
        }
    }
    println!(
        "{} rules, {} pairs {:?}, {} events ({} of them found by one), {} wrong verdicts, {} of {} witnesses bad, {:?}",
        rules.len(),
        t.pairs,
        t.verdicts,
        t.events,
        t.found,
        t.wrong,
        t.bad,
        t.witnesses,
        start.elapsed()
    );
    if t.wrong + t.bad > 0 {
        std::process::exit(1);
    }
}
