//! How long it takes to parse and lower the rules of a folder, step by step: `parse_rate FOLDER [ROUNDS]`.

use std::path::{Path, PathBuf};
use std::time::Instant;
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::{Options, lower_document, parse};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "yml") {
            out.push(path);
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(folder) = args.next() else {
        eprintln!("parse_rate FOLDER [ROUNDS]");
        return;
    };
    let rounds: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    let texts: Vec<String> = paths.iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect();
    for _ in 0..rounds {
        let start = Instant::now();
        let trees: usize =
            texts.iter().map(|t| tercel_sigma::yaml::read(t, tercel_sigma::Limits::default()).0.len()).sum();
        let yaml = start.elapsed();
        let parsed: Vec<_> = texts.iter().map(|t| parse(t)).collect();
        let parse = start.elapsed() - yaml;
        let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
        let options = Options::default();
        let before = Instant::now();
        let lowered: Vec<_> = parsed
            .iter()
            .flat_map(|(f, _)| &f.documents)
            .map(|d| lower_document(d, &catalog, &options))
            .collect();
        let lower = before.elapsed();
        println!(
            "{trees} documents, {} lowered: YAML alone {:.1} ms, YAML and parse {:.1} ms, lower {:.1} ms",
            lowered.iter().filter(|l| l.0.is_some()).count(),
            yaml.as_secs_f64() * 1e3,
            parse.as_secs_f64() * 1e3,
            lower.as_secs_f64() * 1e3,
        );
    }
}
