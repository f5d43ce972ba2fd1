//! The published detections of ../shared/seeds lower over the shipped tables and views, with the findings
//! that their faults deserve.

use std::path::PathBuf;
use tercel_ir::Severity;
use tercel_schema::{SchemaCatalog, Schemas, view_gaps};

fn seeds() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    if !dir.is_dir() {
        println!("skipped: the published detections are not here, because ../shared/seeds does not exist");
        return None;
    }
    Some(dir)
}

#[test]
fn kql_seeds_lower() {
    let Some(dir) = seeds() else { return };
    let c = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut seen = 0;
    for f in
        std::fs::read_dir(dir).unwrap().flatten().filter(|f| f.path().extension().is_some_and(|e| e == "kql"))
    {
        let text = std::fs::read_to_string(f.path()).unwrap();
        let name = f.file_name().to_string_lossy().into_owned();
        let (ast, d) = tercel_kql::parse(&text);
        assert!(d.is_empty(), "{name}: {d:?}");
        let (rel, d) = tercel_kql::lower(&ast, &c, &tercel_kql::Options::default());
        let rel = rel.unwrap_or_else(|| panic!("{name}: {d:?}"));
        assert!(d.iter().all(|d| d.severity != Severity::Error), "{name}: {d:?}");
        if name.starts_with("001") {
            let unknown: Vec<_> = d.iter().filter(|d| d.message.contains("AccountName")).collect();
            assert!(!unknown.is_empty(), "{name}: {d:?}");
            let gaps = view_gaps(&rel, &|t| t == "Sysmon");
            assert!(gaps[0].columns.iter().any(|c| &**c == "InitiatingProcessCommandLine"), "{gaps:?}");
        }
        seen += 1;
    }
    assert!(seen >= 5);
}
