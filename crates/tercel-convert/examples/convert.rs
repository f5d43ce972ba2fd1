//! Converts rules and queries: `convert TARGET PATH…`, where TARGET is `kql:defender`, `kql:asim`,
//! `kql:sentinel`, `kql:native`, `sumo` or `sigma`, and a path is a file or a folder. The results are JSON Lines;
//! what was counted, and how long it took, goes to standard error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tercel_convert::{Detection, Language, Options, Target, Vocabulary, convert};
use tercel_ir::Rel;
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::ast::Meta;

fn main() {
    let mut args = std::env::args().skip(1);
    let target = args.next().unwrap_or_default();
    let (language, vocabulary) = target.split_once(':').unwrap_or((&target, "defender"));
    let language = match language {
        "kql" => Language::Kql,
        "sumo" => Language::Sumo,
        "sql" => Language::Sql,
        _ => Language::Sigma,
    };
    let (vocabulary, dialect) = vocabulary.split_once(':').unwrap_or((vocabulary, "duckdb"));
    let options = Options { dialect: dialect.parse().unwrap_or_default(), ..Options::default() };
    let target = Target { language, vocabulary: vocabulary.parse().unwrap_or(Vocabulary::Defender) };
    let mut files = Vec::new();
    args.for_each(|a| collect(Path::new(&a), &mut files));
    files.sort();
    let start = Instant::now();
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let texts: Vec<String> = files.iter().map(|f| std::fs::read_to_string(f).unwrap_or_default()).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut reading, mut converting) = (Duration::ZERO, Vec::new());
    let mut out = String::new();
    for (f, text) in files.iter().zip(&texts) {
        let t = Instant::now();
        let Some((rel, meta)) = lowered(f, text, &catalog) else {
            *counts.entry("not lowered".into()).or_default() += 1;
            reading += t.elapsed();
            continue;
        };
        reading += t.elapsed();
        let t = Instant::now();
        let made = convert(
            &Detection { rel: &rel, meta: &meta },
            target,
            &catalog,
            &options,
            &tercel_convert::Prover::default(),
        );
        let took = t.elapsed();
        converting.push((took, f));
        let mut json = match made {
            Ok(c) => serde_json::to_value(&c).unwrap_or_default(),
            Err(e) => serde_json::json!({"fidelity": "error", "reason": e.message, "text": "", "losses": []}),
        };
        *counts.entry(json["fidelity"].as_str().unwrap_or("").to_string()).or_default() += 1;
        json["file"] = f.display().to_string().into();
        json["micros"] = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).into();
        out.push_str(&json.to_string());
        out.push('\n');
    }
    let all = start.elapsed();
    print!("{out}");
    let sum: Duration = converting.iter().map(|c| c.0).sum();
    eprintln!("{} files in {all:.2?}: {reading:.2?} to read, {sum:.2?} to convert and prove", files.len());
    converting.sort();
    for (t, f) in converting.iter().rev().take(8) {
        eprintln!("  {t:.2?} {}", f.display());
    }
    for (k, n) in counts {
        eprintln!("{n:6} {k}");
    }
}

fn collect(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        std::fs::read_dir(path).into_iter().flatten().flatten().for_each(|e| collect(&e.path(), out));
    } else if path.extension().is_some_and(|e| e == "yml" || e == "kql" || e == "sumo") {
        out.push(path.to_path_buf());
    }
}

fn lowered(path: &Path, text: &str, catalog: &SchemaCatalog) -> Option<(Rel, Meta)> {
    match path.extension()?.to_str()? {
        "kql" => {
            let (ast, found) = tercel_kql::parse(text);
            let rel = (!found.has_errors())
                .then(|| tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default()).0)??;
            Some((rel, Meta::default()))
        }
        "sumo" => {
            let (query, found) = tercel_sumo::parse(text);
            let rel = (!found.has_errors())
                .then(|| tercel_sumo::lower(&query, catalog, &tercel_sumo::Options::default()).0)??;
            Some((rel, Meta::default()))
        }
        _ => {
            let (file, _) = tercel_sigma::parse(text);
            let rule = file.rules().next()?;
            let (rel, _) = tercel_sigma::lower(rule, catalog, &tercel_sigma::Options::default());
            Some((rel?, rule.meta.clone()))
        }
    }
}
