//! The built-in pack against its fixtures and the samples, through the program as a user runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A rule of the pack, as its file says.
struct Rule {
    id: String,
    /// Path below `detections`, without the suffix: what its fixtures are named after.
    behaviour: String,
    /// `sigma`, `kql`, `asim` or `sumo`: what `only` in a fixture names.
    kind: &'static str,
    path: PathBuf,
}

/// A line of a file of fixtures.
struct Fixture {
    behaviour: String,
    line: usize,
    body: Value,
}

impl Fixture {
    fn is_for(&self, rule: &Rule) -> bool {
        rule.behaviour == self.behaviour
            && self.body["only"].as_array().is_none_or(|only| only.iter().any(|k| k == rule.kind))
    }
    fn expects_hit(&self) -> bool {
        self.body["expect"] == "hit"
    }
    fn place(&self) -> String {
        format!(
            "{}.fixtures.jsonl:{} ({})",
            self.behaviour,
            self.line,
            self.body["why"].as_str().unwrap_or_default()
        )
    }
}

const KINDS: [(&str, &str); 4] =
    [(".sigma.yml", "sigma"), (".asim.kql", "asim"), (".kql", "kql"), (".sumo", "sumo")];

fn pack() -> (Vec<Rule>, Vec<Fixture>) {
    let root = repository().join("detections");
    let (mut rules, mut fixtures) = (Vec::new(), Vec::new());
    for folder in fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        for path in fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()) {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            if let Some(behaviour) = name.strip_suffix(".fixtures.jsonl") {
                for (i, line) in text.lines().enumerate() {
                    let body = serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}:{}: {e}", i + 1));
                    fixtures.push(Fixture { behaviour: behaviour.into(), line: i + 1, body });
                }
            } else if let Some((behaviour, kind)) =
                KINDS.iter().find_map(|(suffix, kind)| Some((name.strip_suffix(suffix)?, *kind)))
            {
                let id = text
                    .lines()
                    .find_map(|l| l.strip_prefix("// ").unwrap_or(l).strip_prefix("id: "))
                    .unwrap();
                rules.push(Rule {
                    id: id.trim().into(),
                    behaviour: behaviour.into(),
                    kind,
                    path: path.clone(),
                });
            } else {
                panic!("{name}: neither a rule nor fixtures");
            }
        }
    }
    assert!(!rules.is_empty() && !fixtures.is_empty());
    (rules, fixtures)
}

/// The hits of `tercel hunt DATA [-r RULE]`.
fn hunt(data: &Path, rule: Option<&Path>) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tercel"));
    command.arg("hunt").arg(data).args(["--format", "jsonl"]);
    if let Some(rule) = rule {
        command.arg("-r").arg(rule);
    }
    let run = command.output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{command:?}\n{said}");
    String::from_utf8(run.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn rule_of(hit: &Value) -> &str {
    hit["rule"].as_str().unwrap()
}

/// Whether `row` has every value that `wanted` lists; numbers are compared as numbers.
fn has(row: &Value, wanted: &Value) -> bool {
    let same = |a: &Value, b: &Value| a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b);
    wanted.as_object().unwrap().iter().all(|(k, v)| match (row.get(k), v) {
        // A set has no order.
        (Some(Value::Array(there)), Value::Array(listed)) => {
            there.len() == listed.len() && listed.iter().all(|l| there.iter().any(|t| same(t, l)))
        }
        (Some(there), v) => same(there, v),
        (None, _) => false,
    })
}

#[test]
fn single_events_hit_or_miss_as_the_fixtures_say() {
    let (rules, fixtures) = pack();
    let folder = tempfile::tempdir().unwrap();
    // Every event is a file of its own, so that one run over the folder tells by a hit's source which event it was.
    let single: Vec<(String, &Fixture)> = fixtures
        .iter()
        .filter(|f| !f.body["event"].is_null())
        .map(|f| (format!("{}.{}.json", f.behaviour.replace('/', "."), f.line), f))
        .collect();
    for (name, fixture) in &single {
        fs::write(folder.path().join(name), fixture.body["event"].to_string()).unwrap();
    }
    let hits: BTreeMap<(String, String), usize> =
        hunt(folder.path(), None).iter().fold(BTreeMap::new(), |mut all, h| {
            let source = Path::new(h["source"].as_str().unwrap_or_default());
            let file = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
            *all.entry((rule_of(h).to_string(), file)).or_default() += 1;
            all
        });
    let mut wrong = Vec::new();
    for (name, fixture) in &single {
        for rule in rules.iter().filter(|r| fixture.is_for(r)) {
            let count = hits.get(&(rule.id.clone(), name.clone())).copied().unwrap_or(0);
            if count != usize::from(fixture.expects_hit()) {
                wrong.push(format!(
                    "{}: {count} hits of {}, expected a {}",
                    fixture.place(),
                    rule.kind,
                    fixture.body["expect"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} fixtures:\n{}", wrong.len(), single.len(), wrong.join("\n"));
}

#[test]
fn groups_of_events_give_the_rows_that_the_fixtures_list() {
    let (rules, fixtures) = pack();
    let mut wrong = Vec::new();
    for fixture in fixtures.iter().filter(|f| !f.body["events"].is_null()) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("events.jsonl");
        let lines: Vec<String> =
            fixture.body["events"].as_array().unwrap().iter().map(Value::to_string).collect();
        fs::write(&data, lines.join("\n") + "\n").unwrap();
        for rule in rules.iter().filter(|r| fixture.is_for(r)) {
            let rows: Vec<Value> =
                hunt(&data, Some(&rule.path)).into_iter().map(|mut h| h["event"].take()).collect();
            let wanted = fixture.body["rows"].as_array();
            let good = match wanted {
                Some(wanted) => {
                    rows.len() == wanted.len() && wanted.iter().all(|w| rows.iter().any(|r| has(r, w)))
                }
                None => fixture.expects_hit() != rows.is_empty(),
            };
            if !good {
                wrong.push(format!("{}: {} gave {rows:?}", fixture.place(), rule.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_behaviour_has_hits_and_near_misses() {
    let (rules, fixtures) = pack();
    for rule in &rules {
        for (expect, at_least) in [("hit", 1), ("miss", 2)] {
            let n = fixtures.iter().filter(|f| f.is_for(rule) && f.body["expect"] == expect).count();
            assert!(n >= at_least, "{}: {n} fixtures that expect a {expect}", rule.path.display());
        }
    }
    let ids: BTreeSet<&str> = rules.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids.len(), rules.len(), "ids are not unique");
}

#[test]
fn samples_give_exactly_what_was_planted() {
    let expected =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples_expected.jsonl"))
            .unwrap();
    let expected: BTreeMap<String, (u64, String)> = expected
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .map(|v| {
            (
                v["rule"].as_str().unwrap().into(),
                (v["count"].as_u64().unwrap(), v["path"].as_str().unwrap().into()),
            )
        })
        .collect();
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for hit in hunt(&repository().join("samples"), None) {
        *found.entry(rule_of(&hit).to_string()).or_default() += 1;
    }
    let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let wrong: Vec<String> = ids
        .into_iter()
        .filter_map(|id| {
            let (wanted, path) = expected.get(id).cloned().unwrap_or((0, format!("rule {id}")));
            let count = found.get(id).copied().unwrap_or(0);
            (count != wanted).then(|| format!("{path}: {count} hits, planted {wanted}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn techniques_exist() {
    let list = repository().join("../shared/attack/enterprise-techniques.csv");
    let Ok(list) = fs::read_to_string(&list) else {
        eprintln!("skipped: no list of ATT&CK techniques, because {} is not there", list.display());
        return;
    };
    let known: BTreeMap<String, bool> = csv::Reader::from_reader(list.as_bytes())
        .into_records()
        .map(|r| r.unwrap())
        .map(|r| (r[0].to_lowercase(), &r[5] == "True" || &r[6] == "True"))
        .collect();
    for rule in pack().0 {
        let text = fs::read_to_string(&rule.path).unwrap();
        for (at, _) in text.match_indices("attack.t") {
            let id: String =
                text[at + 7..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
            match known.get(id.trim_end_matches('.')) {
                Some(false) => {}
                Some(true) => panic!("{}: {id} is deprecated or revoked", rule.path.display()),
                None => panic!("{}: there is no technique {id}", rule.path.display()),
            }
        }
    }
}
