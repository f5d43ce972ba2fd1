//! Conversions to SQL, to rules of Cloud SIEM, and of correlations, as data: `tests/targets/*.toml` has a source
//! and what must come out for each target, with how it relates to the source by proof. `TERCEL_BLESS=1` writes
//! the files anew; read what changed.

use serde::{Deserialize, Serialize};
use std::path::Path;
use tercel_convert::{
    Conversion, Correlation, Detection, Language, Options, Prover, Target, Vocabulary, convert,
    convert_correlation,
};
use tercel_ir::correlation::Target as Of;
use tercel_ir::{Diagnostic, Rel};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::Document;
use tercel_sigma::ast::Meta;
use tercel_sigma::correlation::{Entry, Plan, resolve};

#[derive(Deserialize, Serialize)]
struct File {
    /// `sigma`, `kql` or `sumo`.
    language: String,
    source: String,
    to: Vec<Expected>,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct Expected {
    /// `kql:asim`, `sumo:cse`, `sql:defender:spark`, …
    target: String,
    #[serde(default)]
    fidelity: String,
    #[serde(default)]
    losses: Vec<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    text: String,
}

struct Source {
    rules: Vec<(Option<Rel>, Meta)>,
    correlation: Option<(Plan, usize)>,
}

fn read(file: &File, catalog: &SchemaCatalog) -> Source {
    let one = |rel: Option<Rel>, meta: Meta| Source { rules: vec![(rel, meta)], correlation: None };
    match file.language.as_str() {
        "kql" => {
            let (ast, _) = tercel_kql::parse(&file.source);
            one(tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default()).0, Meta::default())
        }
        "sumo" => {
            let (query, _) = tercel_sumo::parse(&file.source);
            one(tercel_sumo::lower(&query, catalog, &tercel_sumo::Options::default()).0, Meta::default())
        }
        _ => {
            let (parsed, found) = tercel_sigma::parse(&file.source);
            assert!(!found.has_errors(), "{found:?}");
            let entries: Vec<Entry> =
                parsed.documents.iter().map(|d| Entry { document: Some(d), file: 0 }).collect();
            let plans = resolve(&entries).into_iter().enumerate();
            let correlation = plans.filter_map(|(i, r)| r.plan.map(|p| (p, i))).next_back();
            let rules = parsed.documents.iter().map(|d| match d {
                Document::Rule(r) => {
                    (tercel_sigma::lower(r, catalog, &Default::default()).0, d.meta().clone())
                }
                _ => (None, d.meta().clone()),
            });
            Source { rules: rules.collect(), correlation }
        }
    }
}

fn converted(source: &Source, target: &str, catalog: &SchemaCatalog) -> Result<Conversion, Diagnostic> {
    let mut parts = target.split(':');
    let language = match parts.next() {
        Some("kql") => Language::Kql,
        Some("sumo") => Language::Sumo,
        Some("sql") => Language::Sql,
        _ => Language::Sigma,
    };
    let vocabulary: Vocabulary = parts.next().unwrap_or("native").parse()?;
    let dialect = parts.next().map_or(Ok(Default::default()), str::parse)?;
    let target = Target { language, vocabulary };
    let options = Options { dialect, ..Options::default() };
    let prover = Prover::default();
    let detection = |i: usize| {
        let (rel, meta) = &source.rules[i];
        Detection { rel: rel.as_ref().expect("a filter"), meta }
    };
    match &source.correlation {
        None => convert(&detection(0), target, catalog, &options, &prover),
        Some((plan, at)) => {
            let rules: Vec<Detection> = plan
                .rules
                .iter()
                .map(|r| match r.target {
                    Of::Rule(i) => detection(i),
                    Of::Own => detection(*at),
                })
                .collect();
            let c = Correlation { plan, meta: &source.rules[*at].1, rules: &rules };
            convert_correlation(&c, target, catalog, &options, &prover)
        }
    }
}

#[test]
fn targets() {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("cases").map(|f| f.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 5);
    let bless = std::env::var_os("TERCEL_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a case");
        let mut file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let source = read(&file, &catalog);
        let mut found = Vec::new();
        for expected in &file.to {
            found.push(match converted(&source, &expected.target, &catalog) {
                Err(d) => Expected {
                    target: expected.target.clone(),
                    fidelity: "error".into(),
                    losses: Vec::new(),
                    reason: Some(d.message),
                    text: String::new(),
                },
                Ok(c) => Expected {
                    target: expected.target.clone(),
                    fidelity: format!("{:?}", c.fidelity).to_lowercase(),
                    losses: c
                        .losses
                        .iter()
                        .map(|l| {
                            format!("{}: {} ({})", l.what, l.why, format!("{:?}", l.effect).to_lowercase())
                        })
                        .collect(),
                    reason: c.reason,
                    text: if c.text.is_empty() { String::new() } else { format!("\n{}", c.text) },
                },
            });
        }
        // How far a proof came that failed may change with the prover.
        let same = |a: &Expected, b: &Expected| {
            (&a.fidelity, &a.losses, a.text.trim()) == (&b.fidelity, &b.losses, b.text.trim())
                && (a.fidelity == "unproved" || a.reason == b.reason)
        };
        if found.iter().zip(&file.to).all(|(a, b)| same(a, b)) {
            continue;
        }
        if bless {
            file.to = found;
            std::fs::write(&path, written(&file)).expect("written");
        } else {
            wrong.push(format!("{}: {found:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// As a person would write it.
fn written(file: &File) -> String {
    let mut out = format!("language = \"{}\"\nsource = '''\n{}'''\n", file.language, file.source);
    for e in &file.to {
        out.push_str(&format!("\n[[to]]\ntarget = \"{}\"\nfidelity = \"{}\"\n", e.target, e.fidelity));
        if let Some(r) = &e.reason {
            out.push_str(&format!("reason = '''{r}'''\n"));
        }
        if !e.losses.is_empty() {
            out.push_str("losses = [\n");
            for l in &e.losses {
                out.push_str(&format!("    '''{l}''',\n"));
            }
            out.push_str("]\n");
        }
        if !e.text.is_empty() {
            out.push_str(&format!("text = '''{}'''\n", e.text));
        }
    }
    out
}
