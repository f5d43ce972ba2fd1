//! How long it takes to verify a pair of rules, loading included.
//!
//! `cargo run --release -p tercel-verify --example pairs -- FOLDER [PAIRS [LIST]]` takes neighbouring rules of one
//! log source. Each pair is measured from reading both files to the answer; the views are opened before. The file
//! LIST gets a line for each pair: the relation, what the witnesses are of, the files, the reason.

mod shared;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tercel_ir::Rel;
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_verify::{Budget, compare};

/// The one rule of a file over one event, and the log source that it is about.
fn load(file: &Path, catalog: &SchemaCatalog) -> Option<(String, Rel)> {
    let text = std::fs::read_to_string(file).ok()?;
    let (parsed, _) = tercel_sigma::parse(&text);
    let [tercel_sigma::ast::Document::Rule(rule)] = parsed.documents.as_slice() else { return None };
    let (rel, _) = tercel_sigma::lower(rule, catalog, &tercel_sigma::Options::default());
    let rel = rel?;
    let part = |name: &str| {
        let line = text.lines().map(str::trim).find(|l| l.starts_with(name));
        line.unwrap_or_default().to_string()
    };
    Some((["category:", "product:", "service:"].map(part).join(" "), rel))
}

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(dir) = args.next() else {
        eprintln!("usage: pairs FOLDER [PAIRS [LIST]]");
        return;
    };
    let most = args.next().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let list = args.next();
    let files = shared::rules(Path::new(&dir));
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut sources: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
    for f in &files {
        if let Some((source, _)) = load(f, &catalog) {
            sources.entry(source).or_default().push(f);
        }
    }
    let pairs: Vec<(&PathBuf, &PathBuf)> =
        sources.values().flat_map(|all| all.windows(2).map(|w| (w[0], w[1]))).take(most).collect();
    let budget = Budget::default();
    let mut relations: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines = String::new();
    let mut times: Vec<(Duration, usize)> = Vec::with_capacity(pairs.len());
    for (n, (a, b)) in pairs.iter().enumerate() {
        let start = Instant::now();
        let (Some((_, x)), Some((_, y))) = (load(a, &catalog), load(b, &catalog)) else { continue };
        let found = compare(&x, &y, &budget);
        times.push((start.elapsed(), n));
        *relations.entry(found.relation.as_str()).or_default() += 1;
        if list.is_some() {
            let witnesses: Vec<String> = found
                .witnesses
                .iter()
                .map(|w| format!("{}{}{}", w.event.table, u8::from(w.first), u8::from(w.second)))
                .collect();
            lines.push_str(&format!(
                "{} {} {} {} {}\n",
                found.relation.as_str(),
                witnesses.join(","),
                a.display(),
                b.display(),
                found.reason.as_deref().unwrap_or_default()
            ));
        }
    }
    if let Some(to) = list
        && let Err(e) = std::fs::write(&to, lines)
    {
        eprintln!("{to}: {e}");
    }
    times.sort();
    let at = |share: f64| {
        let i = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(i).map_or(Duration::ZERO, |t| t.0)
    };
    println!("{} pairs of {} log sources: {relations:?}", times.len(), sources.len());
    println!("p50 {:?}, p90 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.9), at(0.99), at(1.0));
    for (t, n) in times.iter().rev().take(10) {
        println!("  {t:?} {} / {}", pairs[*n].0.display(), pairs[*n].1.display());
    }
}
