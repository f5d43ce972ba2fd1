//! Correlation rules against events: every file of `tests/correlations` can be added to without writing
//! Rust.
//!
//! A file is a list of YAML documents. Those with `case` are cases; all others are Sigma rules, which
//! every case of the file runs together. A case says:
//!
//! - `case`: what it shows;
//! - `lateness`: how many seconds late a hit may come; absent, hits are sorted;
//! - `events`: in the order in which they come. `t` is the time in seconds (absent: the event has none);
//!   everything else are fields, as text;
//! - `fires`: what comes out, in this order:
//!   `NAME at TIME for KEY, KEY: VALUE (FIRST..LAST: EVENTS)` for a firing, where events are counted from
//!   0, `#N` is the firing number N, and `silent` stands before what is no finding by itself;
//!   `#N until TIME: M more` for a firing that went on;
//! - `counted`: what was left out and why, by correlation (`keyless`, `valueless`) or in all (`late`,
//!   `untimed`).
//!
//! Every case is also held to the dumb reading, and to a stream of the same hits in order.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use tercel_ir::time::TICKS_PER_SECOND;
use tercel_ir::{Catalog, Diagnostic, Rel, RelKind, Schema, Span, StoredFunction, Value};
use tercel_rules::correlate::{self, Correlator, Fire, Hit, Lateness, Limits, Outcome, Plan, Target, oracle};
use tercel_rules::explain::{Event, explain};
use tercel_sigma::Document;
use tercel_sigma::correlation as sigma;
use tercel_sigma::yaml::{self, Node, read};

/// One table, in which every field is text.
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
        let schema = Schema { open: true, ..Schema::default() };
        Ok(Rel { kind: RelKind::Scan { table: "T".into() }, schema, span: Span::default() })
    }
}

/// The rules of a file, ready to run.
struct Rules {
    names: Vec<String>,
    /// What decides whether an event is a hit; none for correlations.
    relations: Vec<Option<Rel>>,
    plans: Vec<(usize, Plan)>,
}

impl Rules {
    fn new(text: &str) -> Rules {
        let (file, found) = tercel_sigma::parse(text);
        assert!(!found.has_errors(), "{found:?}");
        let entries: Vec<_> =
            file.documents.iter().map(|d| sigma::Entry { document: Some(d), file: 0 }).collect();
        let mut plans = Vec::new();
        for (i, r) in sigma::resolve(&entries).into_iter().enumerate() {
            assert!(!r.found.has_errors(), "{:?}", r.found);
            plans.extend(r.plan.map(|p| (i, p)));
        }
        let relations = file
            .documents
            .iter()
            .map(|d| match d {
                Document::Rule(r) => {
                    let (rel, found) = tercel_sigma::lower(r, &World, &Default::default());
                    Some(rel.unwrap_or_else(|| panic!("{found:?}")))
                }
                _ => None,
            })
            .collect();
        let names = file
            .documents
            .iter()
            .map(|d| {
                let meta = d.meta();
                meta.name.as_ref().or(meta.title.as_ref()).map(|t| t.node.clone()).unwrap_or_default()
            })
            .collect();
        Rules { names, relations, plans }
    }

    fn hits(&self, events: &[(Option<i64>, BTreeMap<String, Value>)]) -> Vec<(Hit, usize)> {
        let mut out = Vec::new();
        for (i, (time, fields)) in events.iter().enumerate() {
            let row = |n: &str| fields.get(n).cloned().unwrap_or_default();
            for (rule, rel) in self.relations.iter().enumerate() {
                let hit = rel
                    .as_ref()
                    .is_some_and(|r| explain(r, "", &Event { table: "T", row: &row }).unwrap().hit);
                if hit {
                    out.push((Hit { rule, time: *time, reference: i as u64 }, i));
                }
            }
        }
        out
    }
}

fn seconds(ticks: i64) -> String {
    (ticks as f64 / TICKS_PER_SECOND as f64).to_string()
}

fn ticks(node: &Node) -> i64 {
    let s: f64 = node.scalar_text().and_then(|t| t.parse().ok()).expect("a time in seconds");
    (s * TICKS_PER_SECOND as f64).round() as i64
}

fn line(rules: &Rules, f: &Fire) -> String {
    let plan = &rules.plans.iter().find(|p| p.0 == f.rule).unwrap().1;
    let mut out = String::new();
    if f.silent {
        out.push_str("silent ");
    }
    let _ = write!(out, "{} at {}", rules.names[f.rule], seconds(f.time));
    if !f.key.is_empty() {
        let _ = write!(out, " for {}", f.key.join(", "));
    }
    let _ = write!(out, ": {} ({}..{}:", f.value, seconds(f.first), seconds(f.last));
    for c in &f.contributions {
        let fire = match plan.rules[c.rule].target {
            Target::Rule(r) => rules.relations[r].is_none() || rules.plans.iter().any(|p| p.0 == r),
            Target::Own => false,
        };
        let _ = write!(out, " {}{}", if fire { "#" } else { "" }, c.reference);
    }
    let more = f.hits - f.contributions.len() as u64;
    if more > 0 {
        let _ = write!(out, " +{more}");
    }
    out + ")"
}

fn keys(node: &Node) -> Vec<String> {
    match &node.kind {
        yaml::Kind::Map(p) => p.iter().map(|(k, _)| k.node.clone()).collect(),
        _ => panic!("a case is a map"),
    }
}

fn list(node: &Node, key: &str) -> Vec<Node> {
    match node.get(key).map(|n| &n.kind) {
        Some(yaml::Kind::Seq(items)) => items.clone(),
        None => Vec::new(),
        Some(_) => panic!("`{key}` is a list"),
    }
}

fn run(rules: &Rules, case: &Node) -> (Vec<String>, Vec<String>) {
    let events: Vec<(Option<i64>, BTreeMap<String, Value>)> = list(case, "events")
        .iter()
        .map(|e| {
            let yaml::Kind::Map(pairs) = &e.kind else { panic!("an event is a map") };
            let fields = pairs
                .iter()
                .filter(|(k, _)| k.node != "t")
                .map(|(k, v)| {
                    let value = match &v.kind {
                        yaml::Kind::Null => Value::Null,
                        _ => Value::Str(v.scalar_text().expect("a field is text")),
                    };
                    (k.node.clone(), value)
                })
                .collect();
            (e.get("t").map(ticks), fields)
        })
        .collect();
    let hits = rules.hits(&events);
    let correlate = |lateness, hits: &[(Hit, usize)]| {
        let limits = Limits { lateness, contributions: 6, ..Limits::default() };
        let (mut c, refused) = Correlator::new(rules.plans.clone(), limits);
        assert_eq!(refused, []);
        let mut out = Vec::new();
        for (hit, event) in hits {
            let fields = &events[*event].1;
            c.push(hit, &|n| fields.get(n).cloned().unwrap_or_default()).unwrap();
            out.extend(c.take());
        }
        c.finish();
        out.extend(c.take());
        (out, c)
    };
    let lateness = case.get("lateness").map_or(Lateness::Sort, |n| Lateness::Within(ticks(n)));
    let (outcomes, c) = correlate(lateness, &hits);
    if lateness == Lateness::Sort {
        let mut in_order = hits.clone();
        in_order.sort_by_key(|(h, _)| h.time);
        assert_eq!(correlate(Lateness::Within(0), &in_order).0, outcomes, "a stream in order gives the same");
        dumb(rules, &events, &hits, &outcomes);
    }
    let fires = outcomes
        .iter()
        .map(|o| match o {
            Outcome::Fire(f) => line(rules, f),
            Outcome::End { fire, last, hits } => format!("#{fire} until {}: {hits} more", seconds(*last)),
        })
        .collect();
    let mut counted = Vec::new();
    for (rule, n) in c.counts() {
        for (what, n) in [("keyless", n.keyless), ("valueless", n.valueless), ("refused", n.refused)] {
            if n > 0 {
                counted.push(format!("{} {what} {n}", rules.names[rule]));
            }
        }
    }
    let s = c.stats();
    for (what, n) in [("late", s.late), ("untimed", s.untimed), ("refused", s.refused)] {
        if n > 0 {
            counted.push(format!("{what} {n}"));
        }
    }
    (fires, counted)
}

/// The dumb reading gives as many firings, at the same times and for the same groups.
fn dumb(
    rules: &Rules,
    events: &[(Option<i64>, BTreeMap<String, Value>)],
    hits: &[(Hit, usize)],
    got: &[Outcome],
) {
    let given: Vec<oracle::Event> = hits
        .iter()
        .filter_map(|(h, e)| {
            let fields = events[*e].1.clone();
            Some(oracle::Event { rule: h.rule, time: h.time?, reference: h.reference, fields })
        })
        .collect();
    let unbounded =
        |rule: usize| rules.plans.iter().any(|p| p.0 == rule && p.1.timespan == correlate::UNBOUNDED);
    let mut want: Vec<_> = oracle::firings(&rules.plans, &given)
        .into_iter()
        .map(|f| (f.rule, if unbounded(f.rule) { 0 } else { f.time }, f.key, f.first, f.last, f.hits as u64))
        .collect();
    let mut got: Vec<_> = got
        .iter()
        .filter_map(|o| match o {
            Outcome::Fire(f) => Some((
                f.rule,
                if unbounded(f.rule) { 0 } else { f.time },
                f.key.clone(),
                f.first,
                f.last,
                f.hits,
            )),
            Outcome::End { .. } => None,
        })
        .collect();
    want.sort();
    got.sort();
    assert_eq!(got, want, "the dumb reading gives the same");
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/correlations");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let (mut count, mut wrong) = (BTreeMap::new(), Vec::new());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (cases, rules): (Vec<&str>, Vec<&str>) =
            text.split("\n---\n").partition(|d| d.lines().any(|l| l.starts_with("case:")));
        let rules = Rules::new(&rules.join("\n---\n"));
        for case in cases {
            let (documents, found) = read(case, yaml::Limits::default());
            assert!(!found.has_errors(), "{name}: {found:?}");
            let case = documents[0].root.as_ref().unwrap();
            let title = case.get("case").and_then(Node::scalar_text).unwrap();
            for key in keys(case) {
                let known = ["case", "lateness", "events", "fires", "counted"];
                assert!(known.contains(&key.as_str()), "{name}: {title}: `{key}`");
            }
            let texts = |key| list(case, key).iter().filter_map(Node::scalar_text).collect::<Vec<String>>();
            let (fires, counted) = run(&rules, case);
            let want = (texts("fires"), texts("counted"));
            if want != (fires.clone(), counted.clone()) {
                let show = |l: &[String]| l.iter().fold(String::new(), |s, l| s + "    - '" + l + "'\n");
                wrong.push(format!(
                    "{name}: {title}\nwant\n{}  counted\n{}got\n{}  counted\n{}",
                    show(&want.0),
                    show(&want.1),
                    show(&fires),
                    show(&counted)
                ));
            }
            *count.entry(name.clone()).or_insert(0) += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in [
        "event_count",
        "value_count",
        "temporal",
        "temporal_ordered",
        "value_sum",
        "value_avg",
        "value_percentile",
    ] {
        assert!(count.get(kind).is_some_and(|n| *n >= 5), "five cases of {kind}");
    }
}
