//! Any text: no panic, and what parses prints to a text that parses to the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (tree, found) = tercel_kql::parse(&text);
    if found.has_errors() {
        return;
    }
    let printed = tercel_kql::print(&tree);
    let (again, found) = tercel_kql::parse(&printed);
    assert!(!found.has_errors(), "does not parse again:\n{printed}");
    assert!(tree == again, "another tree:\n{printed}");
});
