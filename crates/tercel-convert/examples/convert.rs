//! Converts rules and queries: `convert TARGET FILE…`, where TARGET is `kql:defender`, `kql:asim`,
//! `kql:sentinel`, `kql:native`, `sumo` or `sigma`. With `--summary` only counts are printed.

use std::collections::BTreeMap;
use tercel_convert::{Conversion, Detection, Language, Options, Target, Vocabulary, convert};
use tercel_ir::{Diagnostics, Rel};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::ast::Meta;

fn main() {
    let mut args = std::env::args().skip(1);
    let target = args.next().unwrap_or_default();
    let (language, vocabulary) = target.split_once(':').unwrap_or((&target, "defender"));
    let language = match language {
        "kql" => Language::Kql,
        "sumo" => Language::Sumo,
        _ => Language::Sigma,
    };
    let target = Target { language, vocabulary: vocabulary.parse().unwrap_or(Vocabulary::Defender) };
    let mut files: Vec<String> = args.collect();
    let summary = files.first().is_some_and(|f| f == "--summary");
    if summary {
        files.remove(0);
    }
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let start = std::time::Instant::now();
    for f in &files {
        let Ok(text) = std::fs::read_to_string(f) else { continue };
        let (rel, meta, found) = lowered(f, &text, &catalog);
        let Some(rel) = rel else {
            *counts.entry("not lowered".into()).or_default() += 1;
            if !summary {
                println!("== {f}: {:?}", found.into_vec());
            }
            continue;
        };
        let d = Detection { rel: &rel, meta: &meta };
        match convert(&d, target, &catalog, &Options::default(), &tercel_convert::Prover::default()) {
            Ok(c) => {
                tally(&c, &mut counts);
                if !summary {
                    let json = serde_json::to_string(&c).unwrap_or_default();
                    println!("== {f}\n{}-- {json}\n", c.text);
                }
            }
            Err(e) => {
                *counts.entry(format!("error: {}", e.message)).or_default() += 1;
                if !summary {
                    println!("== {f}: {}", e.message);
                }
            }
        }
    }
    eprintln!("{} files in {:?}", files.len(), start.elapsed());
    for (k, n) in counts {
        eprintln!("{n:6} {k}");
    }
}

fn tally(c: &Conversion, counts: &mut BTreeMap<String, usize>) {
    if c.text.is_empty() {
        *counts.entry(format!("refused: {}", c.reason.clone().unwrap_or_default())).or_default() += 1;
        return;
    }
    *counts
        .entry(if c.losses.is_empty() { "converted without loss" } else { "converted with losses" }.into())
        .or_default() += 1;
    for l in &c.losses {
        *counts.entry(format!("  loss: {} ({:?}): {}", l.what, l.effect, l.why)).or_default() += 1;
    }
}

fn lowered(name: &str, text: &str, catalog: &SchemaCatalog) -> (Option<Rel>, Meta, Diagnostics) {
    if name.ends_with(".kql") {
        let (ast, found) = tercel_kql::parse(text);
        if found.has_errors() {
            return (None, Meta::default(), found);
        }
        let (rel, found) = tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default());
        return (rel, Meta::default(), found);
    }
    if name.ends_with(".sumo") {
        let (query, found) = tercel_sumo::parse(text);
        if found.has_errors() {
            return (None, Meta::default(), found);
        }
        let (rel, found) = tercel_sumo::lower(&query, catalog, &tercel_sumo::Options::default());
        return (rel, Meta::default(), found);
    }
    let (file, found) = tercel_sigma::parse(text);
    let Some(rule) = file.rules().next() else { return (None, Meta::default(), found) };
    let (rel, found) = tercel_sigma::lower(rule, catalog, &tercel_sigma::Options::default());
    (rel, rule.meta.clone(), found)
}
