//! `tercel test`: runs the tests of rules, and with `--generate` makes them.

mod bench;
mod carrier;
mod fixtures;
mod generate;
mod junit;
mod many;
mod regression;

pub use carrier::Source;

use super::{Run, count, explain};
use crate::cli::{Reading, Test};
use crate::data::Data;
use crate::failure::{Failure, Outcome};
use crate::output::{Cell, Column};
use crate::world;
use bench::{Bench, Got, Input, Probe};
use fixtures::{Broken, Fixture, Fixtures};
use regression::Regression;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tercel_catalog::{Detection, Role};
use tercel_ir::Type;
use tercel_rules::explain::{Explanation, outline};
use tercel_schema::Schemas;

/// Failures that are explained; each costs a reading of its event.
const EXPLAINED: usize = 200;

/// What a test wants.
enum Expect<'f> {
    Fixture(&'f Fixture),
    /// At least so many.
    Matches(u64),
}

/// A test of one rule.
struct Case<'f> {
    rule: usize,
    probe: usize,
    place: String,
    name: String,
    expect: Expect<'f>,
}

/// What came of it.
pub struct Verdict {
    pub rule: usize,
    pub place: String,
    pub name: String,
    pub expect: &'static str,
    /// Why it failed.
    pub failed: Option<String>,
}

pub fn run(run: Run, mut args: Test) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    let started = Instant::now();
    let mut rules = run.load_rules(&args.rules, args.lang.as_deref());
    rules.not_empty()?;
    rules.pipe(&run, &args.world.pipelines)?;
    if args.generate {
        let detections = std::mem::take(&mut rules.loaded.detections);
        let outcome = generate::run(&run, &args, detections)?;
        return Ok(if outcome == Outcome::Ran { rules.outcome() } else { outcome });
    }
    let found = if rules.builtin {
        Fixtures::of_pack()
    } else {
        Fixtures::of(&rules.loaded.detections, args.fixtures.as_deref())
    };
    let mut broken = found.broken.clone();
    let regressions = regression::of(&rules.loaded.detections, &mut broken);
    let detections = &mut rules.loaded.detections;
    let (cases, probes, unused) = cases(detections, &found, &regressions);
    broken.extend(unused);
    let bench = Bench::new(&args.world)?;
    let results = bench.run(detections, &probes)?;

    let mut explained = 0;
    let verdicts: Vec<Verdict> = cases
        .iter()
        .map(|c| {
            let got = results.get(&(c.probe, c.rule)).cloned().unwrap_or_default();
            let mut failed = judge(&c.expect, &got);
            if let Some(why) = &mut failed
                && got.error.is_none()
                && explained < EXPLAINED
            {
                explained += 1;
                if let Some(more) = nearest(&detections[c.rule], &probes[c.probe], &args) {
                    why.push_str("; ");
                    why.push_str(&more);
                }
            }
            let expect = match &c.expect {
                Expect::Fixture(f) if !f.hit => "miss",
                _ => "hit",
            };
            Verdict { rule: c.rule, place: c.place.clone(), name: c.name.clone(), expect, failed }
        })
        .collect();
    let failures = verdicts.iter().filter(|v| v.failed.is_some()).count();
    write(&run, detections, &verdicts)?;
    if let Some(path) = &args.junit {
        junit::write(path, run.global.force, detections, &verdicts, started.elapsed())?;
    }
    for b in &broken {
        run.talk.error(&format!("{}: {}", b.place, b.why));
    }
    summary(&run, &args, detections, &verdicts, started.elapsed());
    Ok(if crate::interrupt::stopped() {
        Outcome::Interrupted
    } else if failures > 0 {
        Outcome::Gate
    } else if !broken.is_empty() {
        Outcome::Incomplete
    } else {
        rules.outcome()
    })
}

/// Tests for rules, the inputs that they need, and fixtures that are for no rule.
fn cases<'f>(
    rules: &[Detection],
    found: &'f Fixtures,
    regressions: &[Regression],
) -> (Vec<Case<'f>>, Vec<Probe>, Vec<Broken>) {
    let mut by_stem: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, d) in rules.iter().enumerate() {
        if d.role() != Role::Filter {
            by_stem.entry(fixtures::stem(&d.path).0).or_default().push(i);
        }
    }
    let (mut cases, mut probes, mut unused) = (Vec::new(), Vec::new(), Vec::new());
    for (stem, f) in found.iter() {
        let mine: Vec<usize> =
            by_stem.get(stem).into_iter().flatten().copied().filter(|i| f.is_for(&rules[*i])).collect();
        // A kind that was not asked for today is no mistake, an id that nothing has is.
        if mine.is_empty() && f.only.iter().any(|o| o.len() == 36) {
            let place = format!("{}:{}", f.path, f.line);
            unused.push(Broken { place, why: format!("there is no rule {}", f.only.join(", ")) });
            continue;
        }
        let probe = probes.len();
        probes.push(Probe {
            input: Input::Events { lines: f.events.clone(), table: f.table.clone() },
            rules: mine.clone(),
        });
        cases.extend(mine.into_iter().map(|rule| Case {
            rule,
            probe,
            place: format!("{}:{}", f.path, f.line),
            name: f.why.clone(),
            expect: Expect::Fixture(f),
        }));
    }
    for r in regressions {
        cases.push(Case {
            rule: r.rule,
            probe: probes.len(),
            place: r.info.clone(),
            name: r.name.clone(),
            expect: Expect::Matches(r.matches),
        });
        probes.push(Probe { input: Input::File(r.data.clone()), rules: vec![r.rule] });
    }
    (cases, probes, unused)
}

/// Why a test failed.
fn judge(expect: &Expect<'_>, got: &Got) -> Option<String> {
    if let Some(e) = &got.error {
        return Some(e.clone());
    }
    let n = got.hits as u64;
    match expect {
        Expect::Matches(least) => {
            (n < *least).then(|| format!("expected at least {}, got {n}", count(*least as usize, "match")))
        }
        Expect::Fixture(f) => {
            if let Some(wanted) = &f.rows {
                if got.rows.len() != wanted.len() {
                    return Some(format!("expected {}, got {}", count(wanted.len(), "row"), got.rows.len()));
                }
                let missing = wanted.iter().find(|w| !got.rows.iter().any(|r| fixtures::has(r, w)))?;
                let there: Vec<String> =
                    got.rows.iter().take(3).map(|r| Json::Object(r.clone()).to_string()).collect();
                return Some(format!("no row has {missing}; there is {}", there.join(", ")));
            }
            match (f.hit, f.group, f.hits) {
                (false, _, _) => (n > 0).then(|| "expected none, and it fires".to_string()),
                (true, _, Some(wanted)) => {
                    (n != wanted).then(|| format!("expected {}, got {n}", count(wanted as usize, "hit")))
                }
                // Of one event one hit: two mean that it counts twice.
                (true, false, None) if n > 1 => Some(format!("expected one hit, got {n}")),
                (true, ..) => (n == 0).then(|| "expected a hit, and it does not fire".to_string()),
            }
        }
    }
}

/// Why a rule fires on an input, or does not.
fn nearest(d: &Detection, probe: &Probe, args: &Test) -> Option<String> {
    let folder = tempfile::tempdir().ok()?;
    let path = match &probe.input {
        Input::File(p) => p.clone(),
        Input::Events { lines, table } => {
            let path = folder.path().join(format!("{}.jsonl", table.as_deref().unwrap_or("events")));
            std::fs::write(&path, lines.join("\n") + "\n").ok()?;
            path
        }
    };
    let data = Data::open(&[path.display().to_string()], &Reading::default(), false);
    let catalog = world::catalog(&args.world, Schemas::builtin(), data.discovered()).ok()?;
    data.bind(catalog.schemas().clone());
    let shape = outline(d.rel.as_ref()?, &d.text).ok()?;
    let best = explain::nearest(d, &shape, &data, &catalog)?;
    Some(in_short(&best))
}

fn in_short(e: &Explanation) -> String {
    const MOST: usize = 3;
    let Some(way) = e.best.and_then(|b| e.ways.get(b)) else {
        return format!("the event is a row of {}, the rule reads {}", e.table, listed(&e.reads));
    };
    let (lead, changes) = match (&way.repair, way.hit) {
        (_, true) => ("it matches since ", &way.matched),
        (Some(changes), false) => ("", changes),
        (None, false) => return format!("no row of {} can match", e.table),
    };
    let mut words: Vec<String> = changes
        .iter()
        .take(MOST)
        .map(|c| {
            let line = c.place.map_or_else(String::new, |p| format!(" (line {})", p.line));
            let is: Vec<&str> = c.values.iter().map(|v| v.value.as_str()).collect();
            let is =
                if way.hit || is.is_empty() { String::new() } else { format!("; it is {}", is.join(", ")) };
            format!("{}{line}{is}", c.words)
        })
        .collect();
    if changes.len() > MOST {
        words.push(format!("and {} more", changes.len() - MOST));
    }
    format!("{lead}{}", words.join(", "))
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 4;
    let mut out = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        out.push_str(&format!(" and {} more", names.len() - MOST));
    }
    if out.is_empty() { "no table".into() } else { out }
}

fn write(run: &Run, rules: &[Detection], verdicts: &[Verdict]) -> Result<(), Failure> {
    if run.global.format.is_none() && run.global.output.is_none() {
        let mut out = run.target()?.open()?;
        for v in verdicts {
            if let Some(why) = &v.failed {
                let name = if v.name.is_empty() { String::new() } else { format!(" ({})", v.name) };
                writeln!(out, "{}{name}: {}: {why}", v.place, rules[v.rule].title)?;
            }
        }
        return Ok(out.flush()?);
    }
    let columns = ["rule", "title", "test", "name", "expect", "result", "message"];
    let mut out = run.target()?.rows(columns.map(|n| Column::new(n, Type::String)).to_vec())?;
    for v in verdicts {
        let d = &rules[v.rule];
        out.row(vec![
            Cell::text(&d.id),
            Cell::text(&d.title),
            Cell::text(&v.place),
            Cell::text(&v.name),
            Cell::text(v.expect),
            Cell::text(if v.failed.is_some() { "failed" } else { "passed" }),
            Cell::maybe(v.failed.as_deref()),
        ])?;
    }
    Ok(out.finish()?)
}

fn summary(run: &Run, args: &Test, rules: &[Detection], verdicts: &[Verdict], elapsed: Duration) {
    let mut of: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for v in verdicts {
        let n = of.entry(v.rule).or_default();
        n.0 += 1;
        n.1 += usize::from(v.failed.is_some());
    }
    let testable: Vec<usize> =
        (0..rules.len()).filter(|i| rules[*i].role() != Role::Filter && rules[*i].reported).collect();
    let untested: Vec<usize> = testable.iter().copied().filter(|i| !of.contains_key(i)).collect();
    if args.explain_skips {
        for i in &untested {
            run.talk.say(format!("no tests: {} ({})", rules[*i].title, rules[*i].path));
        }
    }
    let failed = verdicts.iter().filter(|v| v.failed.is_some()).count();
    let bad = of.values().filter(|n| n.1 > 0).count();
    run.talk.say(format!(
        "{} of {}: {} passed, {failed} failed{}; {} without tests; {:.1} s",
        count(verdicts.len(), "test"),
        count(of.len(), "rule"),
        verdicts.len() - failed,
        if bad > 0 { format!(" ({})", count(bad, "rule")) } else { String::new() },
        count(untested.len(), "rule"),
        elapsed.as_secs_f64()
    ));
    if !untested.is_empty() && !args.explain_skips {
        run.talk.say("--explain-skips lists the rules without tests; --generate makes some");
    }
}

/// So many seconds; anything odd is as little as there is.
fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.clamp(0.0, 3600.0)).unwrap_or_default()
}

/// A path as a name of a test suite.
fn slashes(path: &str) -> String {
    PathBuf::from(path).display().to_string().replace('\\', "/")
}
