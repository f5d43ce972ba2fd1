//! Fixtures: events beside a rule that must fire it, or must not.
//!
//! `NAME.fixtures.jsonl` holds for the rules `NAME.sigma.yml`, `NAME.yml`, `NAME.kql`, `NAME.asim.kql` and
//! `NAME.sumo`, and so does `NAME.generated.fixtures.jsonl`, which `--generate` writes. One JSON object a line:
//!
//! ```text
//! {"expect": "hit"|"miss", "why": "…", "only": [kind or id, …], "event": {…}}
//! {"expect": "hit"|"miss", "why": "…", "events": [{…}, …], "rows": [{…}, …]}
//! ```
//!
//! `hits` says how many there must be where it is not one; `table` says of which table events of no known
//! shape are.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tercel_catalog::Detection;

/// Suffixes of files with fixtures.
const SUFFIXES: [&str; 2] = [".fixtures.jsonl", ".generated.fixtures.jsonl"];
/// Suffixes of rules, and what `only` calls such a rule.
const KINDS: [(&str, &str); 11] = [
    (".sigma.yml", "sigma"),
    (".sigma.yaml", "sigma"),
    (".yml", "sigma"),
    (".yaml", "sigma"),
    (".asim.kql", "asim"),
    (".kql", "kql"),
    (".csl", "kql"),
    (".kusto", "kql"),
    (".sumoql", "sumo"),
    (".sumo", "sumo"),
    (".txt", "sumo"),
];
/// A file with more than this is no file of fixtures.
const MAX_BYTES: u64 = 64 << 20;

/// A line of a file of fixtures.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The file, as shown to users.
    pub path: String,
    /// From 1.
    pub line: usize,
    pub hit: bool,
    pub why: String,
    /// Kinds or ids of the rules that it is for; empty: all.
    pub only: Vec<String>,
    /// One line of JSON each.
    pub events: Vec<String>,
    /// The events form a group.
    pub group: bool,
    pub table: Option<String>,
    pub hits: Option<u64>,
    pub rows: Option<Vec<Json>>,
}

/// A file that could not be used, or a line of it.
#[derive(Clone, Debug)]
pub struct Broken {
    pub place: String,
    pub why: String,
}

/// A rule's path without its suffix, and what kind of rule the suffix says.
pub fn stem(path: &str) -> (&str, &'static str) {
    let lower = path.to_ascii_lowercase();
    KINDS
        .iter()
        .find(|(suffix, _)| lower.ends_with(suffix))
        .map_or((path, ""), |(suffix, kind)| (&path[..path.len() - suffix.len()], *kind))
}

impl Fixture {
    /// Whether it is for this rule, beside which it stands.
    pub fn is_for(&self, d: &Detection) -> bool {
        let kind = stem(&d.path).1;
        self.only.is_empty() || self.only.iter().any(|o| o == kind || *o == d.id)
    }

    fn parse(path: &str, line: usize, text: &str) -> Result<Fixture, String> {
        let body: Json = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
        let Json::Object(body) = body else { return Err("no object".into()) };
        let known = ["expect", "why", "only", "event", "events", "rows", "hits", "table"];
        if let Some(odd) = body.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(format!("unknown key `{odd}`; there are {}", known.join(", ")));
        }
        let hit = match body.get("expect").and_then(Json::as_str) {
            Some("hit") => true,
            Some("miss") => false,
            _ => return Err("`expect` is neither \"hit\" nor \"miss\"".into()),
        };
        let list = |key: &str| match body.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Array(a)) => Ok(Some(a.clone())),
            Some(_) => Err(format!("`{key}` is no list")),
        };
        let (events, group) = match (body.get("event").filter(|e| !e.is_null()), list("events")?) {
            (Some(_), Some(_)) => return Err("both `event` and `events`".into()),
            (Some(e), None) => (vec![e.clone()], false),
            (None, Some(all)) => (all, true),
            (None, None) => return Err("neither `event` nor `events`".into()),
        };
        if events.iter().any(|e| !e.is_object()) || events.is_empty() {
            return Err("an event is no object".into());
        }
        let only = list("only")?.unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Json::as_str).map(str::to_string);
        Ok(Fixture {
            path: path.to_string(),
            line,
            hit,
            why: text("why").unwrap_or_default(),
            only: only.iter().filter_map(|o| o.as_str().map(str::to_string)).collect(),
            events: events.iter().map(Json::to_string).collect(),
            group,
            table: text("table"),
            hits: body.get("hits").and_then(Json::as_u64),
            rows: list("rows")?,
        })
    }
}

/// All fixtures of a file's text.
pub fn parse(path: &str, text: &str, broken: &mut Vec<Broken>) -> Vec<Fixture> {
    let mut out = Vec::new();
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match Fixture::parse(path, i + 1, line) {
            Ok(f) => out.push(f),
            Err(why) => broken.push(Broken { place: format!("{path}:{}", i + 1), why }),
        }
    }
    out
}

/// Fixtures by the path without suffix of the rules that they stand beside.
pub struct Fixtures {
    by_stem: BTreeMap<String, Vec<Fixture>>,
    pub broken: Vec<Broken>,
}

impl Fixtures {
    /// Those of these rules: beside them, or anywhere in the folder that is named.
    pub fn of(rules: &[Detection], folder: Option<&Path>) -> Fixtures {
        let mut all = Fixtures { by_stem: BTreeMap::new(), broken: Vec::new() };
        let inside = folder.map(|f| files(f, &mut all.broken)).unwrap_or_default();
        for d in rules {
            let stem = stem(&d.path).0.to_string();
            if all.by_stem.contains_key(&stem) {
                continue;
            }
            let mut found = Vec::new();
            let name = stem.rsplit(['/', '\\']).next().unwrap_or(&stem).to_string();
            for suffix in SUFFIXES {
                let file = format!("{name}{suffix}");
                let within = inside.get(&file).cloned().unwrap_or_default();
                for path in std::iter::once(PathBuf::from(format!("{stem}{suffix}"))).chain(within) {
                    found.extend(read(&path, &mut all.broken));
                }
            }
            all.by_stem.insert(stem, found);
        }
        all
    }

    /// Those of the built-in pack.
    pub fn of_pack() -> Fixtures {
        let mut all = Fixtures { by_stem: BTreeMap::new(), broken: Vec::new() };
        for (stem, text) in tercel_catalog::pack::fixtures() {
            let path = format!("{stem}{}", SUFFIXES[0]);
            let found = parse(&path, text, &mut all.broken);
            all.by_stem.insert(stem, found);
        }
        all
    }

    /// All, by the stem of their rules.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fixture)> {
        self.by_stem.iter().flat_map(|(s, all)| all.iter().map(move |f| (s.as_str(), f)))
    }
}

fn read(path: &Path, broken: &mut Vec<Broken>) -> Vec<Fixture> {
    let name = path.display().to_string();
    let Ok(meta) = std::fs::metadata(path) else { return Vec::new() };
    if meta.len() > MAX_BYTES {
        broken.push(Broken { place: name, why: format!("larger than {} MiB", MAX_BYTES >> 20) });
        return Vec::new();
    }
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, &text, broken),
        Err(e) => {
            broken.push(Broken { place: name, why: e.to_string() });
            Vec::new()
        }
    }
}

/// Files of fixtures in a folder and below, by name.
fn files(folder: &Path, broken: &mut Vec<Broken>) -> BTreeMap<String, Vec<PathBuf>> {
    const MAX_FOLDERS: usize = 100_000;
    let mut out: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut todo = vec![folder.to_path_buf()];
    let mut seen = 0;
    while let Some(dir) = todo.pop() {
        seen += 1;
        if seen > MAX_FOLDERS {
            broken.push(Broken { place: folder.display().to_string(), why: "too many folders".into() });
            break;
        }
        let entries = match std::fs::read_dir(&dir) {
            Ok(e) => e,
            Err(e) => {
                broken.push(Broken { place: dir.display().to_string(), why: e.to_string() });
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // Links may lead in circles.
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                todo.push(path);
            } else if let Some(name) = path.file_name().and_then(|n| n.to_str())
                && SUFFIXES.iter().any(|s| name.ends_with(s))
            {
                out.entry(name.to_string()).or_default().push(path.clone());
            }
        }
    }
    out
}

/// Whether `row` has every value that `wanted` lists; numbers are compared as numbers, lists without order.
pub fn has(row: &serde_json::Map<String, Json>, wanted: &Json) -> bool {
    let same = |a: &Json, b: &Json| a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b);
    let Json::Object(wanted) = wanted else { return false };
    wanted.iter().all(|(k, v)| match (row.get(k), v) {
        (Some(Json::Array(there)), Json::Array(listed)) => {
            there.len() == listed.len() && listed.iter().all(|l| there.iter().any(|t| same(t, l)))
        }
        (Some(there), v) => same(there, v),
        (None, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_and_kinds() {
        assert_eq!(stem("a/b.sigma.yml"), ("a/b", "sigma"));
        assert_eq!(stem("a/b.ASIM.kql"), ("a/b", "asim"));
        assert_eq!(stem("b.kql"), ("b", "kql"));
        assert_eq!(stem("-"), ("-", ""));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let mut broken = Vec::new();
        let text = "{\"expect\":\"hit\",\"event\":{}}\n\nno\n{\"expect\":\"maybe\",\"event\":{}}\n{\"expect\":\"hit\"}\n\
                    {\"expect\":\"hit\",\"event\":{},\"events\":[]}\n{\"expect\":\"hit\",\"event\":3}\n\
                    {\"expect\":\"hit\",\"event\":{},\"evnt\":1}\n{\"expect\":\"miss\",\"events\":[]}\n";
        assert_eq!(parse("f", text, &mut broken).len(), 1);
        let places: Vec<&str> = broken.iter().map(|b| b.place.as_str()).collect();
        assert_eq!(places, ["f:3", "f:4", "f:5", "f:6", "f:7", "f:8", "f:9"], "{broken:?}");
    }

    #[test]
    fn rows_are_compared_by_what_is_listed() {
        let row: Json = serde_json::json!({"a": 1, "b": [1.0, "x"], "c": null});
        let Json::Object(row) = row else { panic!() };
        assert!(has(&row, &serde_json::json!({"a": 1.0, "b": ["x", 1]})));
        assert!(!has(&row, &serde_json::json!({"a": 2})));
        assert!(!has(&row, &serde_json::json!({"d": null})));
        assert!(!has(&row, &serde_json::json!(3)));
    }
}
