//! What lint must say about the published detections beside the repository.

use std::path::{Path, PathBuf};
use tercel_catalog::{Finding, LintOptions, LoadOptions, lint, load};
use tercel_ir::Severity;
use tercel_schema::{SchemaCatalog, Schemas};

fn seeds() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    if !path.exists() {
        println!("skipped: needs the published detections, which are not beside this repository");
        return None;
    }
    Some(path)
}

/// The findings of one file, and its text at each.
fn findings(seeds: &Path, file: &str) -> Vec<(Finding, String)> {
    let path = seeds.join(file).to_str().expect("UTF-8").to_string();
    let mut loaded = load(&[path], LoadOptions::default());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut out = Vec::new();
    for d in &mut loaded.detections {
        for f in lint(d, &catalog, &LintOptions::default()) {
            let at = f.diagnostic.span.map(|s| d.text[s.range()].to_string()).unwrap_or_default();
            println!(
                "{file}:{}:{}: {} [{}] {} — `{at}`",
                f.line,
                f.column,
                f.diagnostic.severity.as_str(),
                f.diagnostic.code,
                f.diagnostic.message
            );
            out.push((f, at));
        }
    }
    out
}

/// A finding that has everything it should, at a place with this text.
#[track_caller]
fn expect(found: &[(Finding, String)], what: &str, at: &str, words: &[&str]) {
    let hit = found.iter().find(|(f, text)| {
        let d = &f.diagnostic;
        let all = format!(
            "{} {} {} {} {}",
            d.code,
            d.message,
            d.label.as_deref().unwrap_or(""),
            d.meaning.as_deref().unwrap_or(""),
            d.help.as_deref().unwrap_or("")
        );
        text.contains(at) && words.iter().all(|w| all.contains(w))
    });
    let Some((f, _)) = hit else { panic!("{what}: no finding at `{at}` with {words:?}") };
    assert!(f.diagnostic.severity > Severity::Note, "{what}: only a note: {:?}", f.diagnostic);
    assert!(
        f.diagnostic.meaning.is_some() && f.diagnostic.help.is_some(),
        "{what}: without meaning or help: {:?}",
        f.diagnostic
    );
}

#[test]
fn published_conversions_can_never_fire() {
    let Some(seeds) = seeds() else { return };
    for file in ["000_office_uncommon_ports.asim.kql", "003_suspicious_location.asim.kql"] {
        let found = findings(&seeds, file);
        expect(&found, "a value that cannot occur", "NetworkDirection", &["Inbound", "Outbound"]);
        assert!(
            found.iter().any(|(f, _)| f.diagnostic.severity == Severity::Error),
            "{file} never fires: an error"
        );
    }
    let found = findings(&seeds, "000_office_uncommon_ports.asim.kql");
    expect(&found, "an integer column against strings", "in~", &["integer", "strings"]);
}

#[test]
fn the_defender_query_on_common_ports() {
    let Some(seeds) = seeds() else { return };
    let found = findings(&seeds, "001_commonly_used_port.defender.kql");
    expect(&found, "an unknown column", "AccountName", &["InitiatingProcessAccountName"]);
    expect(&found, "excluded, then listed", "msiexec.exe", &[]);
}

#[test]
fn the_sumo_search_on_common_ports() {
    let Some(seeds) = seeds() else { return };
    let found = findings(&seeds, "002_commonly_used_port.sumo");
    expect(&found, "eval", "eval", &["eval"]);
    expect(&found, "matches as a function", "matches", &["matches"]);
    expect(&found, "lazy binding keeps folders", "*", &[]);
    expect(&found, "an exclusion list that can never match", "process_name", &["never"]);
    expect(&found, "numbers in a list against text", "80, 443", &[]);
    expect(&found, "an unanchored name", "cmd", &["dsregcmd.exe"]);
}

#[test]
fn sound_rules_have_no_errors() {
    let Some(seeds) = seeds() else { return };
    for file in [
        "000_office_uncommon_ports.sigma.yml",
        "003_suspicious_location.sigma.yml",
        "004_rare_outgoing_ipv4.defender.kql",
        "004_rare_outgoing_ipv4.sentinel.kql",
    ] {
        let found = findings(&seeds, file);
        assert!(found.iter().all(|(f, _)| f.diagnostic.severity < Severity::Error), "{file}");
    }
}
