//! The detections that tercel ships: the files of the folder `detections`, inside the program.

use crate::detection::Detection;
use crate::language::Language;
use crate::link::link;
use crate::load::detections;
use crate::source::Source;
use include_dir::{Dir, File, include_dir};
use std::path::Path;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../detections");

/// Paths of the pack's texts start with this, so that they are not taken for files on disk.
pub const PREFIX: &str = "builtin:";

/// All detections of the pack, by path.
pub fn load() -> Vec<Detection> {
    let mut all: Vec<Detection> = files()
        .into_iter()
        .filter_map(|f| {
            Some(Source {
                path: format!("{PREFIX}{}", slashes(f.path())),
                stem: f.path().file_stem()?.to_string_lossy().into_owned(),
                language: Language::of_path(f.path())?,
                text: f.contents_utf8()?.to_string(),
            })
        })
        .flat_map(detections)
        .collect();
    link(&mut all);
    all
}

/// Example events that stand beside detections: path without `.fixtures.jsonl` (it is that of the
/// detections beside it, up to their language's suffix) and text.
pub fn fixtures() -> Vec<(String, &'static str)> {
    files()
        .into_iter()
        .filter_map(|f| {
            let path = slashes(f.path());
            Some((format!("{PREFIX}{}", path.strip_suffix(".fixtures.jsonl")?), f.contents_utf8()?))
        })
        .collect()
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

fn files() -> Vec<&'static File<'static>> {
    fn walk(dir: &'static Dir<'static>, out: &mut Vec<&'static File<'static>>) {
        out.extend(dir.files());
        dir.dirs().for_each(|d| walk(d, out));
    }
    let mut out = Vec::new();
    walk(&FILES, &mut out);
    out.sort_by_key(|f| f.path());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_is_sound_and_says_what_it_should() {
        let pack = load();
        let mut ids = HashSet::new();
        for d in &pack {
            assert!(!d.has_errors(), "{}: {:#?}", d.path, d.first_error());
            assert!(ids.insert(d.id.clone()), "{}: the id {} stands twice", d.path, d.id);
            assert!(!d.metadata.techniques().is_empty(), "{}: no ATT&CK technique", d.path);
            assert!(!d.metadata.falsepositives.is_empty(), "{}: no false positives", d.path);
            assert!(!d.metadata.required.is_empty(), "{}: no required data", d.path);
            assert!(d.metadata.description.is_some(), "{}: no description", d.path);
        }
    }

    #[test]
    fn every_fixture_stands_beside_a_rule() {
        let pack = load();
        for (path, text) in fixtures() {
            assert!(
                pack.iter().any(|d| d.path.starts_with(&format!("{path}."))),
                "{path}: no rule beside it"
            );
            for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
                let v: serde_json::Value =
                    serde_json::from_str(line).unwrap_or_else(|e| panic!("{path}:{}: {e}", i + 1));
                assert!(matches!(v["expect"].as_str(), Some("hit" | "miss")), "{path}:{}", i + 1);
            }
        }
    }
}
