//! Correlations converted to queries against the oracle of correlations: the query, run by the engine, finds the
//! groups that fire, at the time at which they fire.
//!
//! The rules are those of the correlation tests, over another log source, with their events and with random ones.

use crate::common;

use common::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tercel_catalog::{CompileOptions, Detection, Role};
use tercel_convert::{
    Conversion, Correlation, Fidelity, Language, Options, Prover, Target, Vocabulary, convert_correlation,
};
use tercel_engine::MemorySource;
use tercel_ir::time::TICKS_PER_SECOND;
use tercel_ir::{Name, Type, Value};
use tercel_rules::correlate::{Plan, Target as Of, oracle};
use tercel_schema::{SchemaCatalog, Schemas};

/// Where time begins in these tests, so that nothing lies before the first year.
const START: i64 = 638_000_000_000_000_000;

struct Rules {
    all: Vec<Detection>,
    catalog: SchemaCatalog,
}

impl Rules {
    fn new(text: &str) -> Rules {
        let text = text.replace("{category: test}", "{product: windows, service: sysmon}");
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("rules.yml"), text).expect("written");
        let mut all =
            tercel_catalog::load(&[dir.path().display().to_string()], Default::default()).detections;
        let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
        all.iter_mut().for_each(|d| d.compile(&catalog, CompileOptions::default()));
        Rules { all, catalog }
    }

    fn convert(&self, at: usize, language: Language) -> Conversion {
        let plan = self.all[at].correlation.as_ref().expect("a plan");
        let metas: Vec<_> = plan
            .rules
            .iter()
            .map(|r| match r.target {
                Of::Rule(i) => self.all[i].sigma_meta(),
                Of::Own => self.all[at].sigma_meta(),
            })
            .collect();
        let rules: Vec<tercel_convert::Detection> = plan
            .rules
            .iter()
            .zip(&metas)
            .map(|(r, meta)| {
                let i = match r.target {
                    Of::Rule(i) => i,
                    Of::Own => at,
                };
                tercel_convert::Detection { rel: self.all[i].rel.as_ref().expect("a filter"), meta }
            })
            .collect();
        let meta = self.all[at].sigma_meta();
        let c = Correlation { plan, meta: &meta, rules: &rules };
        let target = Target { language, vocabulary: Vocabulary::Native };
        convert_correlation(&c, target, &self.catalog, &Options::default(), &Prover::default())
            .expect("converted")
    }

    /// Whether the rules of a correlation are all filters.
    fn simple(&self, at: usize) -> bool {
        let Some(plan) = &self.all[at].correlation else { return false };
        plan.rules.iter().all(|r| match r.target {
            Of::Rule(i) => self.all[i].role() == Role::Rule && self.all[i].correlation.is_none(),
            Of::Own => true,
        })
    }

    fn hits(&self, at: usize, events: &[Event]) -> Vec<oracle::Event> {
        let plan = self.all[at].correlation.as_ref().expect("a plan");
        let mut out = Vec::new();
        for r in &plan.rules {
            let i = match r.target {
                Of::Rule(i) => i,
                Of::Own => at,
            };
            let rel = self.all[i].rel.as_ref().expect("a filter");
            for (n, e) in events.iter().enumerate() {
                let row = |name: &str| e.fields.get(name).cloned().unwrap_or_default();
                let event = tercel_rules::explain::Event { table: "Sysmon", row: &row };
                if tercel_rules::explain::explain(rel, "", &event).is_ok_and(|x| x.hit) {
                    out.push(oracle::Event {
                        rule: i,
                        time: e.time,
                        reference: n as u64,
                        fields: e.fields.clone(),
                    });
                }
            }
        }
        // Each event once a rule.
        out.sort_by_key(|e| (e.rule, e.reference));
        out.dedup_by_key(|e| (e.rule, e.reference));
        out
    }
}

#[derive(Clone, Debug)]
struct Event {
    time: i64,
    fields: BTreeMap<String, Value>,
}

fn source(events: &[Event], time: &str, table: &str) -> MemorySource {
    let mut names: BTreeSet<String> = events.iter().flat_map(|e| e.fields.keys().cloned()).collect();
    names.remove(time);
    let times = [time, "TimeGenerated", tercel_engine::hidden::TIME];
    let mut types: Vec<(Name, Type)> = times.iter().map(|t| (Name::from(*t), Type::DateTime)).collect();
    types.extend(names.iter().map(|n| (Name::from(n.as_str()), Type::String)));
    let rows: Vec<Vec<Value>> = events
        .iter()
        .map(|e| {
            let mut row = vec![Value::DateTime(e.time); times.len()];
            row.extend(names.iter().map(|n| e.fields.get(n).cloned().unwrap_or_default()));
            row
        })
        .collect();
    let mut out = MemorySource::new();
    out.add_rows(table, types, &rows, 100).expect("rows");
    out
}

/// Rows of a query: the group, and when.
fn rows(text: &str, keys: usize, source: &MemorySource, catalog: &SchemaCatalog) -> Vec<(Vec<String>, i64)> {
    let (ast, found) = tercel_kql::parse(text);
    assert!(!found.has_errors(), "{found:?}\n{text}");
    let (rel, found) = tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default());
    let rel = rel.unwrap_or_else(|| panic!("{found:?}\n{text}"));
    let (_, rows) = tercel_engine::query_rows(&rel, source, &tercel_engine::Options::default())
        .unwrap_or_else(|e| panic!("{}\n{text}", e.message));
    let names: Vec<&str> = rel.schema.names().collect();
    let end = names.iter().position(|n| *n == "WindowEnd");
    let start = names.iter().position(|n| *n == "WindowStart");
    let key_at: Vec<usize> = names
        .iter()
        .enumerate()
        .filter(|(_, n)| !matches!(**n, "WindowEnd" | "WindowStart" | "LastHit" | "Everything"))
        .map(|x| x.0)
        .take(keys)
        .collect();
    rows.iter()
        .map(|r| {
            let key = key_at.iter().map(|i| r[*i].text().into_owned()).collect();
            let at = end.or(start).map_or(0, |i| r[i].as_i64().unwrap_or(0));
            (key, at)
        })
        .collect()
}

/// A search finds nothing but groups that fire.
fn check_search(what: &str, rules: &Rules, at: usize, c: &Conversion, events: &[Event]) -> usize {
    let plan = rules.all[at].correlation.as_ref().expect("a plan");
    let plans: Vec<(usize, Plan)> = vec![(at, plan.clone())];
    let fired = oracle::firings(&plans, &rules.hits(at, events));
    let data = source(events, "UtcTime", "Sysmon");
    let (query, found) = tercel_sumo::parse(&c.text);
    assert!(!found.has_errors(), "{found:?}\n{}", c.text);
    let (rel, found) = tercel_sumo::lower(&query, &rules.catalog, &tercel_sumo::Options::default());
    let rel = rel.unwrap_or_else(|| panic!("{what}: {found:?}\n{}", c.text));
    let (_, rows) = tercel_engine::query_rows(&rel, &data, &tercel_engine::Options::default())
        .unwrap_or_else(|e| panic!("{}\n{}", e.message, c.text));
    let keys: BTreeSet<Vec<String>> = rows
        .iter()
        .map(|r| r.iter().take(plan.group_by.len()).map(|v| v.text().into_owned()).collect())
        .collect();
    let wanted: BTreeSet<Vec<String>> = fired.iter().map(|f| f.key.clone()).collect();
    let known = if plan.timespan == tercel_rules::correlate::UNBOUNDED {
        keys == wanted
    } else {
        keys.is_subset(&wanted)
    };
    assert!(known, "{what}\n{}\nfired {fired:#?}\nfound {rows:?}\n{events:?}", c.text);
    keys.len()
}

/// The query against the oracle.
fn check(what: &str, rules: &Rules, at: usize, c: &Conversion, events: &[Event]) -> usize {
    let plan = rules.all[at].correlation.as_ref().expect("a plan");
    let plans: Vec<(usize, Plan)> = vec![(at, plan.clone())];
    let fired = oracle::firings(&plans, &rules.hits(at, events));
    let data = source(events, "UtcTime", "Sysmon");
    let found = rows(&c.text, plan.group_by.len(), &data, &rules.catalog);
    let show = || format!("{what}\n{}\nfired {fired:#?}\nfound {found:?}\n{events:?}", c.text);
    let keys = |v: &mut dyn Iterator<Item = &Vec<String>>| v.cloned().collect::<BTreeSet<_>>();
    let (a, b) = (keys(&mut fired.iter().map(|f| &f.key)), keys(&mut found.iter().map(|f| &f.0)));
    assert_eq!(a, b, "{}", show());
    if plan.timespan == tercel_rules::correlate::UNBOUNDED {
        return fired.len();
    }
    // A window that is judged when it is complete is named by where it begins.
    let moved = if plan.waits() { plan.timespan } else { 0 };
    for f in &fired {
        assert!(found.iter().any(|(k, t)| *k == f.key && t + moved == f.time), "{}", show());
    }
    for (k, t) in &found {
        assert!(fired.iter().any(|f| f.key == *k && f.time <= t + moved), "{}", show());
    }
    fired.len()
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tercel-rules/tests/correlations");
    let mut out: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("cases").map(|f| f.expect("a file").path()).collect();
    out.sort();
    out
}

/// The rules of a file without its cases, and the values that its cases give to fields.
fn split(text: &str) -> (String, BTreeMap<String, BTreeSet<String>>) {
    let mut rules = Vec::new();
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for document in text.split("\n---\n") {
        if !document.lines().any(|l| l.starts_with("case:")) {
            rules.push(document);
            continue;
        }
        for line in document.lines().filter_map(|l| l.trim().strip_prefix("- {")) {
            for pair in line.trim_end_matches('}').split(", ") {
                if let Some((k, v)) = pair.split_once(": ") {
                    let v = v.trim_matches(['\'', '"']);
                    values.entry(k.to_string()).or_default().insert(v.to_string());
                }
            }
        }
    }
    values.remove("t");
    (rules.join("\n---\n"), values)
}

fn events(values: &BTreeMap<String, BTreeSet<String>>, random: &mut Random) -> Vec<Event> {
    let n = 3 + random.next(12);
    let mut time = 0;
    (0..n)
        .map(|_| {
            time += [0, 1, 2, 3, 5, 10, 11, 40][random.next(8)] * TICKS_PER_SECOND;
            let mut fields = BTreeMap::new();
            for (name, all) in values {
                // Few groups, so that hits meet.
                let few = if name == "is" { all.len() } else { all.len().min(2) };
                if random.next(12) > 0 {
                    let v = all.iter().nth(random.next(few)).cloned().unwrap_or_default();
                    fields.insert(name.clone(), Value::Str(v));
                }
            }
            Event { time: START + time, fields }
        })
        .collect()
}

#[test]
fn kql_fires_when_the_correlation_does() {
    let (mut converted, mut refused, mut fired) = (0, 0, 0);
    for f in files() {
        let text = std::fs::read_to_string(&f).expect("cases");
        let (text, values) = split(&text);
        let rules = Rules::new(&text);
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for at in 0..rules.all.len() {
            if !rules.simple(at) {
                continue;
            }
            let c = rules.convert(at, Language::Kql);
            let what = format!("{}: {}", f.display(), rules.all[at].title);
            if c.text.is_empty() {
                println!("{what}: refused: {}", c.reason.unwrap_or_default());
                refused += 1;
                continue;
            }
            converted += 1;
            if c.fidelity != Fidelity::Exact {
                println!("{what}: {:?} {:?} {:?}", c.fidelity, c.reason, c.losses);
                continue;
            }
            for _ in 0..20 {
                fired += check(&what, &rules, at, &c, &events(&values, &mut random));
            }
        }
    }
    println!("{converted} converted, {refused} refused, {fired} firings");
    assert!(converted >= 20 && fired > 200, "{converted} {fired}");
}

#[test]
fn searches_find_only_what_fires() {
    let (mut converted, mut found) = (0, 0);
    for f in files() {
        let text = std::fs::read_to_string(&f).expect("cases");
        let (text, values) = split(&text);
        let rules = Rules::new(&text);
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for at in 0..rules.all.len() {
            if !rules.simple(at) {
                continue;
            }
            let c = rules.convert(at, Language::Sumo);
            let what = format!("{}: {}", f.display(), rules.all[at].title);
            if c.text.is_empty() {
                println!("{what}: refused: {}", c.reason.unwrap_or_default());
                continue;
            }
            converted += 1;
            if matches!(c.fidelity, Fidelity::Exact | Fidelity::Narrower) {
                for _ in 0..10 {
                    found += check_search(&what, &rules, at, &c, &events(&values, &mut random));
                }
            }
        }
    }
    assert!(converted >= 15 && found > 30, "{converted} {found}");
}
