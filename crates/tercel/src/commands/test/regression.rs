//! SigmaHQ's regression data: an `info.yml` for a rule, with logs that the rule must match.
//!
//! It is found by the rule's own `regression_tests_path` in the rule's folder and those above it, or as
//! `regression_data/PATH OF THE RULE/info.yml` there.

use super::fixtures::{Broken, stem};
use std::path::{Path, PathBuf};
use tercel_catalog::Detection;
use tercel_sigma::yaml::{Limits, Node, read};

/// Folders of regression data, as upstream calls it and as people do who copy it.
const FOLDERS: [&str; 2] = ["regression_data", "data"];
/// An `info.yml` with more than this is none.
const MAX_BYTES: u64 = 1 << 20;
/// Folders above a rule's that are looked in.
const ABOVE: usize = 12;

/// One test of an `info.yml`.
#[derive(Clone, Debug)]
pub struct Regression {
    /// The rule, by number.
    pub rule: usize,
    /// The `info.yml`.
    pub info: String,
    pub name: String,
    pub data: PathBuf,
    /// The fewest matches.
    pub matches: u64,
}

/// All tests of these rules.
pub fn of(rules: &[Detection], broken: &mut Vec<Broken>) -> Vec<Regression> {
    let mut out = Vec::new();
    for (i, d) in rules.iter().enumerate() {
        if stem(&d.path).1 != "sigma" || d.path.contains(':') && !Path::new(&d.path).exists() {
            continue;
        }
        if let Some(info) = info_of(d) {
            one(i, d, &info, &mut out, broken);
        }
    }
    out
}

/// The rule's `info.yml`.
fn info_of(d: &Detection) -> Option<PathBuf> {
    let named = d.text[d.span.range()]
        .lines()
        .find_map(|l| l.strip_prefix("regression_tests_path:"))
        .map(|p| p.trim().trim_matches(['"', '\'']).to_string());
    let rule = std::fs::canonicalize(&d.path).ok()?;
    let own = PathBuf::from(stem(&rule.to_string_lossy()).0);
    for above in rule.ancestors().skip(1).take(ABOVE) {
        let mut tries: Vec<PathBuf> = Vec::new();
        if let Some(named) = &named {
            tries.push(above.join(named));
            let inner = FOLDERS.iter().find_map(|f| named.strip_prefix(f)?.strip_prefix('/'));
            tries.extend(inner.iter().flat_map(|i| FOLDERS.map(|f| above.join(f).join(i))));
        }
        if let Ok(inner) = own.strip_prefix(above) {
            tries.push(above.join(FOLDERS[0]).join(inner).join("info.yml"));
        }
        if let Some(found) = tries.into_iter().find(|p| is_info(p)) {
            return Some(found);
        }
    }
    None
}

/// Nothing but such a file is opened, and none that a rule's text leads to by way of `..`.
fn is_info(p: &Path) -> bool {
    let up = |c| c == std::path::Component::ParentDir;
    p.file_name().is_some_and(|n| n == "info.yml") && !p.components().any(up) && p.is_file()
}

fn one(rule: usize, d: &Detection, info: &Path, out: &mut Vec<Regression>, broken: &mut Vec<Broken>) {
    let place = info.display().to_string();
    let mut complain = |why: String| broken.push(Broken { place: place.clone(), why });
    let text = match std::fs::metadata(info).map(|m| m.len()) {
        Ok(n) if n <= MAX_BYTES => std::fs::read_to_string(info),
        Ok(_) => return complain("too large".into()),
        Err(e) => Err(e),
    };
    let text = match text {
        Ok(t) => t,
        Err(e) => return complain(e.to_string()),
    };
    let (documents, _) = read(&text, Limits::default());
    let Some(root) = documents.into_iter().next().and_then(|d| d.root) else {
        return complain("no YAML".into());
    };
    let text_of = |n: &Node, key: &str| n.get(key).and_then(Node::scalar_text);
    let items = |key: &str| match root.get(key).map(|n| &n.kind) {
        Some(tercel_sigma::yaml::Kind::Seq(all)) => all.clone(),
        _ => Vec::new(),
    };
    let rules = items("rule_metadata");
    if !rules.is_empty() && !rules.iter().any(|r| text_of(r, "id").as_deref() == Some(&d.id)) {
        return complain(format!("it is not about the rule {}", d.id));
    }
    // Without any test it is a test that was switched off.
    for t in items("regression_tests_info") {
        let Some(path) = text_of(&t, "path") else {
            complain("a test without a path".into());
            continue;
        };
        // The path counts from the repository's root, wherever that is; the file stands beside.
        let file = path.rsplit(['/', '\\']).next().unwrap_or(&path).to_string();
        let folder = info.parent().unwrap_or(Path::new("."));
        let mut data = folder.join(&file);
        if !data.is_file() {
            data.set_extension("json");
        }
        if !data.is_file() {
            complain(format!("there is no `{file}` beside it"));
            continue;
        }
        let matches = text_of(&t, "match_count").and_then(|n| n.parse().ok()).unwrap_or(1);
        let name = text_of(&t, "name").unwrap_or_default();
        out.push(Regression { rule, info: place.clone(), name, data, matches });
    }
}
