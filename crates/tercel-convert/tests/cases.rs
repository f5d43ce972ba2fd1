//! Conversions as data: `tests/cases/*.toml` has sources, targets and what must come out.

use serde::Deserialize;
use std::collections::BTreeMap;
use tercel_convert::{Detection, Language, Options, Target, Unproved, Vocabulary, convert};
use tercel_ir::Rel;
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::ast::Meta;

#[derive(Deserialize)]
struct File {
    /// `sigma`, `kql` or `sumo`.
    language: String,
    source: String,
    /// By target: `sigma`, `sumo`, `kql:defender`, …
    to: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    #[serde(default)]
    text: String,
    #[serde(default)]
    losses: Vec<String>,
    /// Why there is no text.
    refused: Option<String>,
}

fn lowered(language: &str, text: &str, catalog: &SchemaCatalog) -> (Rel, Meta) {
    match language {
        "kql" => {
            let (ast, found) = tercel_kql::parse(text);
            assert!(!found.has_errors(), "{found:?}");
            let (rel, found) = tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default());
            (rel.unwrap_or_else(|| panic!("{found:?}")), Meta::default())
        }
        "sumo" => {
            let (query, found) = tercel_sumo::parse(text);
            assert!(!found.has_errors(), "{found:?}");
            let (rel, found) = tercel_sumo::lower(&query, catalog, &tercel_sumo::Options::default());
            (rel.unwrap_or_else(|| panic!("{found:?}")), Meta::default())
        }
        _ => {
            let (file, found) = tercel_sigma::parse(text);
            assert!(!found.has_errors(), "{found:?}");
            let rule = file.rules().next().expect("a rule");
            let (rel, found) = tercel_sigma::lower(rule, catalog, &tercel_sigma::Options::default());
            (rel.unwrap_or_else(|| panic!("{found:?}")), rule.meta.clone())
        }
    }
}

#[test]
fn conversions() {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("cases").map(|f| f.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a case");
        let case: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (rel, meta) = lowered(&case.language, &case.source, &catalog);
        for (target, expected) in &case.to {
            let (language, vocabulary) = target.split_once(':').unwrap_or((target, "native"));
            let language = match language {
                "kql" => Language::Kql,
                "sumo" => Language::Sumo,
                _ => Language::Sigma,
            };
            let vocabulary: Vocabulary = vocabulary.parse().expect("a vocabulary");
            let d = Detection { rel: &rel, meta: &meta };
            let found = match convert(
                &d,
                Target { language, vocabulary },
                &catalog,
                &Options::default(),
                &Unproved,
            ) {
                Ok(c) => c,
                Err(e) => {
                    if expected.refused.as_deref() != Some(&*e.message) {
                        wrong.push(format!("{} to {target}: {}", path.display(), e.message));
                    }
                    continue;
                }
            };
            let losses: Vec<String> = found
                .losses
                .iter()
                .map(|l| format!("{}: {} ({})", l.what, l.why, format!("{:?}", l.effect).to_lowercase()))
                .collect();
            let refused = found.text.is_empty().then(|| found.reason.clone().unwrap_or_default());
            if found.text.trim() != expected.text.trim()
                || losses != expected.losses
                || refused != expected.refused
            {
                wrong.push(format!(
                    "{} to {target}:\n{}losses = {losses:#?}\nrefused = {refused:?}",
                    path.display(),
                    found.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
