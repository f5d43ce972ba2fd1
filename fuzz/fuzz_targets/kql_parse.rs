//! No text makes the KQL front end panic, and what it prints it reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (ast, found) = tercel_kql::parse(text);
    let printed = tercel_kql::print(&ast);
    if !found.has_errors() {
        let (again, found) = tercel_kql::parse(&printed);
        assert!(!found.has_errors(), "{printed}");
        assert_eq!(again, ast, "{printed}");
    }
    let _ = tercel_kql::lint(&ast);
});
