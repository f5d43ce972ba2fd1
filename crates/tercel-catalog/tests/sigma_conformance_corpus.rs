//! All of SigmaHQ's rules against the shipped log sources: which have a home, which fields are known, and
//! why the rest is refused.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use support::{corpus, rules};
use tercel_catalog::{CompileOptions, Detection};
use tercel_ir::{RelKind, Severity};
use tercel_schema::{SchemaCatalog, Schemas, hidden};

/// Folders of rules that SigmaHQ does not ship any more.
const NOT_IN_FORCE: [&str; 2] = ["/deprecated/", "/unsupported/"];

fn in_force(d: &Detection) -> bool {
    !NOT_IN_FORCE.iter().any(|n| d.path.contains(n))
}

/// Columns that a rule asks for above its log source and that the source does not declare.
fn undeclared(d: &Detection) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut rel = d.rel.as_ref();
    while let Some(r) = rel {
        if matches!(r.kind, RelKind::View { .. } | RelKind::Union { .. } | RelKind::Scan { .. }) {
            break;
        }
        let mut columns = Vec::new();
        r.expressions().into_iter().for_each(|e| e.columns(&mut columns));
        let unknown = columns.into_iter().map(|(n, _)| n.to_string());
        out.extend(unknown.filter(|n| r.schema.get(n).is_none() && !hidden::is_hidden(n)));
        rel = r.inputs().first().copied();
    }
    out
}

#[test]
fn every_public_rule_loads_or_is_refused_with_a_reason() {
    let Some(folder) = corpus() else { return };
    let mut loaded = rules(&[folder.path().to_path_buf()]);
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let files: BTreeSet<String> = loaded.detections.iter().map(|d| d.path.clone()).collect();
    assert_eq!(files.len(), 4039, "the corpus has changed");
    let mut homeless: BTreeMap<String, usize> = BTreeMap::new();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut gaps: BTreeMap<(String, String), usize> = BTreeMap::new();
    let (mut force, mut bound) = (0, 0);
    for d in &mut loaded.detections {
        d.compile(&catalog, CompileOptions::default());
        let source = d.metadata.required.first().cloned().unwrap_or_default();
        if !in_force(d) {
            assert!(d.rel.is_some() || d.has_errors(), "{}", d.path);
            continue;
        }
        force += 1;
        match d.first_error() {
            Some(e) if e.code == "no-log-source" => {
                assert!(e.meaning.is_some() && e.help.is_some(), "{}: {e:?}", d.path);
                *homeless.entry(format!("{source}: {}", e.help.as_deref().unwrap_or(""))).or_default() += 1;
            }
            Some(e) => {
                refused.entry(e.code.to_string()).or_default().push(format!("{}: {}", d.path, e.message))
            }
            None => {
                bound += 1;
                let unknown = d.diagnostics.iter().filter(|f| f.code == "unknown-field");
                let unknown = unknown.filter_map(|f| Some(d.text[f.span?.range()].to_string()));
                for field in undeclared(d).into_iter().chain(unknown) {
                    *gaps.entry((source.clone(), field)).or_default() += 1;
                }
            }
        }
        for f in d.diagnostics.iter().filter(|f| matches!(f.code, "type-mismatch" | "field-case")) {
            println!("{source}: {}: {}", f.message, d.path.rsplit('/').next().unwrap_or(""));
        }
        // A refusal says what.
        for f in d.diagnostics.iter().filter(|f| f.severity == Severity::Error) {
            assert!(!f.message.is_empty() && !f.code.is_empty(), "{}", d.path);
        }
    }
    let without: usize = homeless.values().sum();
    println!("{force} documents in force: {bound} bound, {without} without a home");
    for (s, n) in &homeless {
        println!("{n:5} without a home: {s}");
    }
    for (code, list) in &refused {
        println!("{:5} refused, {code}:", list.len());
        list.iter().for_each(|l| println!("        {l}"));
    }
    // What has no home has a reason of its own, not only a general one.
    let unexplained: Vec<&String> = homeless.keys().filter(|s| !s.contains(" not read")).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    assert_eq!(without, 393, "a log source has gained or lost its home");
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["missing-placeholder"], "{refused:#?}");
    // An enrichment that no sensor writes.
    gaps.remove(&("windows/create_remote_thread".to_string(), "TargetParentProcessId".to_string()));
    let gaps: Vec<String> = gaps.iter().map(|((s, field), n)| format!("{n:5} {s}: {field}")).collect();
    assert!(gaps.is_empty(), "fields that a log source does not declare:\n{}", gaps.join("\n"));
}
