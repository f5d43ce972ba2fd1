//! Sigma: any text parses or is reported, lint and lowering take what comes of it, and what prints reads
//! back as the same rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tercel_ir::{Catalog, Diagnostic, Rel, RelKind, Schema, Span, StoredFunction};

/// One open relation for every log source.
struct World;

impl Catalog for World {
    fn relation(&self, _: &str) -> Option<Result<Rel, Diagnostic>> {
        None
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn log_source(&self, _: tercel_ir::catalog::LogSource<'_>) -> Result<Rel, Diagnostic> {
        let schema = Schema { columns: Vec::new().into(), open: true };
        Ok(Rel { kind: RelKind::Scan { table: "Events".into() }, schema, span: Span::default() })
    }
}

fuzz_target!(|text: &str| {
    let (file, found) = tercel_sigma::parse(text);
    let _ = tercel_sigma::lint(&file, text);
    for d in &file.documents {
        let _ = tercel_sigma::lower_document(d, &World, &tercel_sigma::Options::default());
    }
    if !found.has_errors() {
        let printed = tercel_sigma::print(&file);
        let (again, found) = tercel_sigma::parse(&printed);
        assert!(!found.has_errors(), "{printed}");
        assert_eq!(again, file, "{printed}");
    }
});
