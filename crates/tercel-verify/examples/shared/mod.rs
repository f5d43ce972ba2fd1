//! What the examples have in common.

use std::path::{Path, PathBuf};

/// The rules of a folder and of those in it, by name.
pub fn rules(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(dir, &mut found);
    found.sort();
    found
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for e in entries.flatten().map(|e| e.path()) {
        if e.is_dir() {
            walk(&e, found);
        } else if e.extension().is_some_and(|x| x == "yml" || x == "yaml") {
            found.push(e);
        }
    }
}
