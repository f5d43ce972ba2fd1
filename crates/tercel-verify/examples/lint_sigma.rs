//! Proves things about a folder of Sigma rules: which can fire, and which of their parts do nothing.
//!
//! `cargo run --release -p tercel-verify --example lint_sigma -- FOLDER [--list] [--no-dead] [--open] [--overlap] [--pairs]`

mod shared;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_verify::{Anything, Budget, Formula, Verdict, dead_sites, satisfiable};

/// Peak resident memory in MB, where the system says it.
fn peak() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb / 1024)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(dir) = args.iter().find(|a| !a.starts_with("--")) else {
        eprintln!("usage: lint_sigma FOLDER [--list] [--no-dead] [--open] [--overlap] [--pairs]");
        return;
    };
    let (list, dead) = (args.iter().any(|a| a == "--list"), !args.iter().any(|a| a == "--no-dead"));
    let files = shared::rules(Path::new(&dir));
    let start = Instant::now();
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let budget = Budget::default();
    let (mut lowered, mut sat, mut never, mut unknown, mut skipped) = (0, 0, 0, 0, 0);
    let (mut sites, mut unknown_sites, mut dead_rules) = (0, 0, 0);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut slow: Vec<(Duration, String)> = Vec::new();
    let mut loading = Duration::ZERO;
    let options = tercel_sigma::Options::default();
    let pairs = args.iter().any(|a| a == "--pairs");
    let overlap = args.iter().any(|a| a == "--overlap");
    let mut all: Vec<Vec<tercel_verify::BranchFormula>> = Vec::new();
    let open = args.iter().any(|a| a == "--open");
    for f in &files {
        let t = Instant::now();
        let Ok(text) = std::fs::read_to_string(f) else { continue };
        let (file, _) = tercel_sigma::parse(&text);
        let lowered_rel = |r| {
            let rel = tercel_sigma::lower(r, &catalog, &options).0;
            if !open {
                return rel;
            }
            let anything = rel.map_or_else(Anything::new, |r| Anything::typed(&r.schema));
            tercel_sigma::lower(r, &anything, &options).0
        };
        let rels: Vec<_> = file.rules().map(lowered_rel).collect();
        loading += t.elapsed();
        let name = f.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let t = Instant::now();
        if overlap || pairs {
            all.extend(rels.iter().flatten().filter_map(|r| Formula::of(r).ok()));
            continue;
        }
        for rel in rels {
            let Some(rel) = rel else {
                skipped += 1;
                continue;
            };
            lowered += 1;
            if !dead {
                match Formula::of(&rel) {
                    Err(u) => {
                        unknown += 1;
                        *reasons.entry(u.reason).or_default() += 1;
                    }
                    Ok(branches) => {
                        let verdicts: Vec<Verdict> =
                            branches.iter().map(|b| satisfiable(b, &budget)).collect();
                        if verdicts.iter().any(|v| matches!(v, Verdict::Sat(_))) {
                            sat += 1;
                        } else if let Some(Verdict::Unknown(u)) =
                            verdicts.iter().find(|v| matches!(v, Verdict::Unknown(_)))
                        {
                            unknown += 1;
                            *reasons.entry(format!("{name}: {}", u.reason)).or_default() += 1;
                        } else {
                            never += 1;
                            println!("never fires: {name}");
                        }
                    }
                }
                continue;
            }
            match dead_sites(&rel, &budget) {
                Err(u) => {
                    unknown += 1;
                    *reasons.entry(format!("{name}: {}", u.reason)).or_default() += 1;
                }
                Ok(r) => {
                    sites += r.checked;
                    unknown_sites += r.unknown;
                    if r.unknown > 0 {
                        *reasons.entry(format!("{name}: parts")).or_default() += r.unknown;
                    }
                    if r.sites.iter().any(|s| s.kind == tercel_verify::DeadKind::NeverFires) {
                        never += 1;
                        println!("never fires: {name}");
                    } else {
                        sat += 1;
                        dead_rules += usize::from(!r.sites.is_empty());
                    }
                    for s in &r.sites {
                        *kinds.entry(format!("{:?}", s.kind)).or_default() += 1;
                        if list {
                            let part = |s: tercel_ir::Span| {
                                text.get(s.start as usize..s.end as usize).unwrap_or("?").replace('\n', " ")
                            };
                            let by = s.covered_by.map(|c| format!(" (covered by {})", part(c)));
                            let because: Vec<String> = s.because.iter().map(|r| part(r.span)).collect();
                            println!(
                                "{name}: {:?}: {}{} because {because:?}",
                                s.kind,
                                part(s.span),
                                by.unwrap_or_default()
                            );
                        }
                    }
                }
            }
        }
        slow.push((t.elapsed(), name));
    }
    if overlap {
        let t = Instant::now();
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for p in tercel_verify::overlaps(&all, |_, _| true, &budget) {
            *found.entry(p.comparison.relation.as_str()).or_default() += 1;
        }
        println!("{} rules: {found:?} in {:?}, loading {loading:?}", all.len(), t.elapsed());
        return;
    }
    if pairs {
        let t = Instant::now();
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for p in tercel_verify::inclusions(&all, |_, _| true, &budget) {
            *found.entry(p.comparison.relation.as_str()).or_default() += 1;
        }
        println!("{} rules: {found:?} in {:?}, loading {loading:?}", all.len(), t.elapsed());
        return;
    }
    slow.sort();
    println!("{} files, {lowered} rules, {skipped} not lowered", files.len());
    println!("can fire {sat}, never {never}, unknown {unknown}");
    if dead {
        println!(
            "{sites} parts, {unknown_sites} of them unknown; {dead_rules} rules have parts without effect: {kinds:?}"
        );
    }
    for (r, n) in reasons.iter().take(40) {
        println!("  {n} x {r}");
    }
    for (t, n) in slow.iter().rev().take(8) {
        println!("  {t:?} {n}");
    }
    println!("loading {loading:?}, all {:?}, peak {:?} MB", start.elapsed(), peak());
}
