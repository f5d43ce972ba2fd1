//! What parser and lint find in a rule: every file of `tests/findings` says so itself. A line that a
//! finding points at ends in `#! code, code`; lines without that have none.

use std::collections::BTreeMap;
use tercel_ir::span::line_column;
use tercel_sigma::{lint, parse};

#[test]
fn findings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings");
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    names.sort();
    assert!(names.len() > 5, "where are the files?");
    for path in names {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut wanted: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            if let Some((_, codes)) = line.split_once("#! ") {
                wanted.insert(n + 1, codes.split(',').map(|c| c.trim().to_string()).collect());
            }
        }
        let (file, found) = parse(&text);
        let mut got: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut all = found;
        all.extend(lint(&file, &text));
        for d in all.into_sorted() {
            assert!(!d.message.is_empty() && !d.message.ends_with('.'), "{name}: {}", d.message);
            let line = d.span.map_or(0, |s| line_column(&text, s.start as usize).0);
            got.entry(line).or_default().push(d.code.to_string());
        }
        for codes in got.values_mut().chain(wanted.values_mut()) {
            codes.sort_unstable();
        }
        assert_eq!(got, wanted, "{name}");
    }
}
