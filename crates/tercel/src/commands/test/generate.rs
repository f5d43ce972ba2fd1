//! `tercel test --generate`: events for each part of each rule, written as a product would write them, and
//! each tried before it is written down.

use super::bench::{Bench, Input, Probe};
use super::carrier::{self, Source};
use super::{fixtures, many};
use crate::cli::Test;
use crate::commands::{Run, count};
use crate::failure::{Failure, Outcome};
use crate::output::Format;
use crate::world;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tercel_catalog::{Detection, Role as Kind};
use tercel_ir::{Expr, Name, Rel, Value};
use tercel_schema::{SchemaCatalog, Schemas, Translation};
use tercel_verify::generate::{self as prover, Gap, Generated, Request, Role, Shown};
use tercel_verify::{Budget, Event, Formula};

/// The table whose events other tables' views are made from.
const SYSMON: &str = "Sysmon";

/// A test that was made: one event, or several that belong together.
pub struct Made {
    pub fires: bool,
    pub why: String,
    /// What the readers get.
    pub events: Vec<Json>,
    pub table: Option<String>,
    pub group: bool,
}

/// What came of one rule.
#[derive(Default)]
pub struct Tests {
    pub made: Vec<Made>,
    /// Parts without an event, in words; the flag: it is proved that there is none.
    pub missing: Vec<(bool, String)>,
    pub skipped: usize,
    /// Why there are none at all; the flag: it is proved that it can never fire.
    pub none: Option<(bool, String)>,
}

/// How tests are made.
pub struct Maker<'a> {
    pub args: &'a Test,
    pub catalog: &'a SchemaCatalog,
    pub budget: Budget,
    kinds: Mutex<HashMap<String, Arc<Kinds>>>,
}

/// What is known of a table's rows.
struct Kinds {
    /// What they are like, on one kind of system and on others.
    shapes: Vec<Shape>,
    /// The same with less: what has no file has a name without a folder, and values that are not documented
    /// may come.
    looser: Option<Shape>,
    /// How Sysmon's events are said in the table's words.
    ways: Vec<Translation>,
}

impl Kinds {
    fn rows(&self) -> (Vec<prover::Rows<'_>>, Option<prover::Rows<'_>>) {
        (self.shapes.iter().map(Shape::rows).collect(), self.looser.as_ref().map(Shape::rows))
    }
}

/// What rows of a table are like.
struct Shape {
    derived: Vec<(Name, Expr)>,
    holds: Vec<Expr>,
}

impl Shape {
    fn rows(&self) -> prover::Rows<'_> {
        prover::Rows { derived: &self.derived, holds: &self.holds }
    }
}

pub fn run(run: &Run, args: &Test, mut rules: Vec<Detection>) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let events_only = match run.global.format {
        None => false,
        Some(Format::Jsonl) => true,
        Some(_) => {
            return Err(Failure::new(
                "tests are generated as fixtures, or with --format ndjson as events alone",
            ));
        }
    };
    let bench = Bench::new(&args.world)?;
    let catalog = world::catalog(&args.world, Schemas::builtin(), Vec::new())?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    tercel_catalog::compile_all(&mut rules, &catalog, &catalog, &bench.compile, threads);
    let budget = Budget { time: super::seconds(args.budget), ..Budget::default() };
    let maker = Maker { args, catalog: &catalog, budget, kinds: Mutex::default() };
    let mut tests = maker.all(&rules, threads);
    let proved = started.elapsed();

    // A group for a rule that looks at many events cannot be computed beforehand, only tried.
    many::grow(&maker, &bench, &mut rules, &mut tests)?;

    let mut probes = Vec::new();
    let mut owners: Vec<(usize, usize)> = Vec::new();
    for (i, t) in tests.iter().enumerate() {
        for (j, m) in t.made.iter().enumerate() {
            let lines = m.events.iter().map(Json::to_string).collect();
            probes.push(Probe { input: Input::Events { lines, table: m.table.clone() }, rules: vec![i] });
            owners.push((i, j));
        }
    }
    let results = bench.run(&mut rules, &probes)?;
    let mut wrong: Vec<String> = Vec::new();
    let mut good: Vec<Vec<(usize, u64)>> = vec![Vec::new(); tests.len()];
    for (p, (i, j)) in owners.iter().enumerate() {
        let made = &tests[*i].made[*j];
        let got = results.get(&(p, *i)).cloned().unwrap_or_default();
        let d = &rules[*i];
        match got.error {
            Some(e) => wrong.push(format!("{}: {}: {e}", d.path, made.why)),
            None if (got.hits > 0) == made.fires => good[*i].push((*j, got.hits as u64)),
            None => {
                let what = if made.fires { "does not fire" } else { "fires" };
                wrong.push(format!(
                    "{}: the rule {what} on an event that was made to {} ({}): {}",
                    d.path,
                    if made.fires { "fire it" } else { "miss it" },
                    made.why,
                    made.events.first().map(Json::to_string).unwrap_or_default()
                ));
            }
        }
    }
    let written = output(run, args, &rules, &tests, &good, events_only)?;
    for w in &wrong {
        run.talk.error(w);
    }
    report(run, args, &rules, &tests, &good, wrong.len(), (proved, started.elapsed()), written);
    let undecided = tests.iter().any(|t| matches!(&t.none, Some((false, _))));
    Ok(if !wrong.is_empty() {
        Outcome::Gate
    } else if undecided && tests.iter().all(|t| t.made.is_empty()) {
        Outcome::Incomplete
    } else {
        Outcome::Ran
    })
}

impl Maker<'_> {
    fn all(&self, rules: &[Detection], threads: usize) -> Vec<Tests> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Tests)>> = Mutex::new(Vec::new());
        let work = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(d) = rules.get(i) else { return };
                if crate::interrupt::stopped() {
                    return;
                }
                let tests = self.rule(d);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((i, tests));
            }
        };
        std::thread::scope(|s| {
            for _ in 1..threads.min(rules.len()).max(1) {
                s.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|d| d.0);
        done.into_iter().map(|d| d.1).collect()
    }

    fn rule(&self, d: &Detection) -> Tests {
        let none = |why: String| Tests { none: Some((false, why)), ..Tests::default() };
        match d.role() {
            Kind::Filter => return none("a filter is tested with the rules that it narrows".into()),
            Kind::Correlation => return Tests::default(),
            Kind::Rule if d.correlation.is_some() => return Tests::default(),
            Kind::Rule => {}
        }
        let Some(rel) = &d.rel else { return none(super::bench::not_compiled(d)) };
        match self.of(d, rel) {
            Ok((made, source)) => self.tests(d, rel, made, source),
            Err(e) => none(e),
        }
    }

    /// The events for a relation, from the table that suits it best.
    pub fn of(&self, d: &Detection, rel: &Rel) -> Result<(Generated, Option<Source>), String> {
        let (rel, timed) = at_that_time(rel);
        let tables = self.tables(d, &rel)?;
        let mut never = None;
        let mut why: Option<String> = None;
        let mut best: Option<Generated> = None;
        let request = self.request(&[], self.args.limit);
        let deadline = Instant::now() + request.time;
        for t in &tables {
            let given = carrier::given(t, timed);
            let time = deadline.saturating_duration_since(Instant::now());
            let kinds = self.kinds(t);
            let (kinds, more) = kinds.rows();
            let seeds = self.seeds(&rel, t, timed, Request { time: time / 2, ..request });
            let time = deadline.saturating_duration_since(Instant::now());
            let request = Request { given: &given, time, seeds: &seeds, ..request };
            match (prover::rows_first(&rel, t, &kinds, more, &request), &mut best) {
                (Ok(made), None) if made.cases.is_empty() => never = Some(made),
                (Ok(made), None) => best = Some(made),
                (Ok(made), Some(best)) => best.complete(made, false),
                (Err(u), None) => {
                    why.get_or_insert(format!("{t}: {}", u.reason));
                }
                (Err(_), Some(_)) => {}
            }
            // What no event of one table can show, one of another may.
            if best.as_ref().is_some_and(|b| b.missing.is_empty()) {
                break;
            }
        }
        match (best, why, never) {
            (Some(made), ..) => Ok((made, self.args.source)),
            (None, Some(why), _) => Err(why),
            (None, None, Some(made)) => Ok((made, self.args.source)),
            (None, None, None) => Err("it reads no table".into()),
        }
    }

    fn request<'g>(&self, given: &'g [Vec<(Name, tercel_ir::Value)>], limit: usize) -> Request<'g> {
        Request {
            budget: self.budget,
            limit,
            time: self.budget.time.saturating_mul(5).max(Duration::from_secs(1)),
            given,
            misses: self.args.only.as_deref() != Some("hits"),
            rows: None,
            seeds: &[],
        }
    }

    /// The tables that events may be of, the most natural first.
    fn tables(&self, d: &Detection, rel: &Rel) -> Result<Vec<Name>, String> {
        let mut tables = prover::tables(rel).map_err(|u| u.reason)?;
        let all: Vec<String> = tables.iter().map(ToString::to_string).collect();
        if let Some(s) = self.args.source {
            tables.retain(|t| s.writes(t, self.time_of(t).as_deref()));
            if tables.is_empty() {
                return Err(format!("it reads {}; {} writes none of them", super::listed(&all), s.as_str()));
            }
        }
        let named = d.data();
        tables.sort_by_key(|t| carrier::preference(t, named.iter().any(|n| **n == **t)));
        Ok(tables)
    }

    fn kinds(&self, table: &str) -> Arc<Kinds> {
        let mut known = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(k) = known.get(table) {
            return k.clone();
        }
        let rows = self.catalog.rows(table);
        let mut shapes: Vec<Shape> = Vec::new();
        let looser = (!rows.windows.is_empty() || !rows.usual.is_empty())
            .then(|| Shape { derived: rows.derived.clone(), holds: rows.holds.clone() });
        for paths in [rows.windows, rows.unix] {
            // A table without paths is the same everywhere.
            if !shapes.is_empty() && paths.is_empty() {
                continue;
            }
            let holds: Vec<Expr> = rows.holds.iter().chain(&rows.usual).cloned().chain(paths).collect();
            if !holds.is_empty() || !rows.derived.is_empty() {
                shapes.push(Shape { derived: rows.derived.clone(), holds });
            }
        }
        let ways = if table == SYSMON { Vec::new() } else { self.catalog.translations(SYSMON, table) };
        let kinds = Arc::new(Kinds { shapes, looser, ways });
        known.insert(table.to_string(), kinds.clone());
        kinds
    }

    /// Events of Sysmon in the words of another table, where a view tells them: what a solver does not find in
    /// the one's columns it often does in the other's.
    fn seeds(&self, rel: &Rel, table: &str, timed: bool, request: Request<'_>) -> Vec<BTreeMap<Name, Value>> {
        let here = self.kinds(table);
        if here.ways.is_empty() {
            return Vec::new();
        }
        let kinds = self.kinds(SYSMON);
        let given = carrier::given(SYSMON, timed);
        let rows = kinds.rows().0.first().copied();
        let Ok(made) = prover::events(rel, SYSMON, &Request { given: &given, rows, ..request }) else {
            return Vec::new();
        };
        let said = made.cases.iter().flat_map(|c| {
            let look = |n: &str| c.event.values.get(n).cloned().unwrap_or_default();
            here.ways.iter().filter_map(|w| w.of(&look)).collect::<Vec<_>>()
        });
        said.collect()
    }

    /// One event that a relation has.
    pub fn hit(&self, d: &Detection, rel: &Rel) -> Result<Event, String> {
        let (rel, timed) = at_that_time(rel);
        let mut why = "no event does".to_string();
        for t in self.tables(d, &rel)? {
            let given = carrier::given(&t, timed);
            let kinds = self.kinds(&t);
            let (kinds, more) = kinds.rows();
            let request = Request { misses: false, ..self.request(&given, 1) };
            match prover::rows_first(&rel, &t, &kinds, more, &request) {
                Ok(made) => {
                    if let Some(c) = made.cases.into_iter().find(|c| c.fires) {
                        return Ok(c.event);
                    }
                }
                Err(u) => why = u.reason,
            }
        }
        Err(why)
    }

    pub fn time_of(&self, table: &str) -> Option<String> {
        self.catalog.schemas().table(table).map(|t| t.time.to_string())
    }

    /// An event as it is written.
    pub fn write(&self, event: &Event, source: Option<Source>) -> Result<carrier::Written, String> {
        carrier::write(event, source, self.time_of(&event.table).as_deref())
    }

    /// Whether an event still does what it should when its whole text is what was written.
    fn as_text(&self, rel: &Rel, c: &prover::Case, written: &Json) -> bool {
        if !c.event.values.contains_key("$event") {
            return true;
        }
        let Ok(ways) = Formula::of(rel) else { return true };
        let text = Value::Str(written.to_string());
        let look = |n: &str| match n {
            "$event" => text.clone(),
            n => c.event.values.get(n).cloned().unwrap_or_default(),
        };
        ways.iter().any(|w| w.table == c.event.table && w.matches(&look)) == c.fires
    }

    fn tests(&self, d: &Detection, rel: &Rel, made: Generated, source: Option<Source>) -> Tests {
        let mut out = Tests { skipped: made.skipped, ..Tests::default() };
        for c in &made.cases {
            let mut why = words(&c.shows, d);
            if !c.row && !self.kinds(&c.event.table).shapes.is_empty() {
                why.push_str(", in an event that its source would hardly write");
            }
            match self.write(&c.event, source) {
                // What is looked for anywhere in an event may stand in what every event has, such as its time.
                Ok(w) if !self.as_text(rel, c, &w.json) => {
                    out.missing.push((false, format!("{why}: the rest of an event's text counts, too")));
                }
                Ok(w) => out.made.push(Made {
                    fires: c.fires,
                    why,
                    events: vec![w.json],
                    table: w.table,
                    group: false,
                }),
                Err(e) => out.missing.push((false, format!("{why}: {e}"))),
            }
        }
        for m in made.missing {
            if m.part.role == Role::Whole && m.why == Gap::None && made.cases.is_empty() {
                let why = d
                    .never
                    .as_ref()
                    .map_or_else(|| "no event of the table can".to_string(), |n| n.message.clone());
                out.none = Some((true, why));
                continue;
            }
            out.missing.push(match m.why {
                Gap::None => (true, absent(&m.part, d)),
                Gap::Unknown(why) => (false, format!("not decided whether {}: {why}", absent(&m.part, d))),
            });
        }
        out
    }
}

/// The relation when it is asked at the time of the events, and whether that matters to it.
fn at_that_time(rel: &Rel) -> (Rel, bool) {
    let mut rel = rel.clone();
    let timed = rel.fold_now(tercel_ir::time::parse_datetime(carrier::WHEN).unwrap_or_default());
    (rel, timed)
}

/// Of what there is no event.
fn absent(m: &Shown, d: &Detection) -> String {
    let part = part(d, m);
    match m.role {
        Role::Whole => "one of its queries finds nothing".into(),
        Role::Alternative | Role::Shared => format!("nothing fires through `{part}`"),
        Role::Beside => format!("nothing escapes exclusion because just `{part}` fails"),
        Role::Condition => format!("nothing fails only `{part}`"),
        Role::Exclusion => format!("nothing is excluded by `{part}` alone"),
    }
}

/// What an event shows, in words.
fn words(shows: &[Shown], d: &Detection) -> String {
    const SHOWN: usize = 4;
    let mut parts: Vec<String> = shows
        .iter()
        .take(SHOWN)
        .map(|s| {
            let part = part(d, s);
            match s.role {
                Role::Whole => "all that it asks for".into(),
                Role::Alternative => format!("fires through `{part}`"),
                Role::Shared => format!("fires with `{part}`, which never does alone"),
                Role::Beside => format!("is not excluded, since `{part}` fails"),
                Role::Condition => format!("fails only `{part}`"),
                Role::Exclusion => format!("is excluded by `{part}`"),
            }
        })
        .collect();
    if shows.len() > SHOWN {
        parts.push(format!("{} more", shows.len() - SHOWN));
    }
    parts.join(", ")
}

/// A part of a rule as its text has it; an only value with its key.
fn part(d: &Detection, shown: &Shown) -> String {
    if let Some(item) = &shown.item {
        return short(&format!("\"{item}\""));
    }
    let Some(span) = shown.span else { return "what it asks for".into() };
    let Some(text) = d.text.get(span.start as usize..span.end as usize) else { return String::new() };
    let before = d.text.get(..span.start as usize).unwrap_or_default();
    let line = before.rfind('\n').map_or(before, |at| &before[at + 1..]);
    let key = line.trim_start().trim_start_matches("- ");
    if d.language == tercel_catalog::Language::Sigma && key.trim_end().ends_with(':') {
        return short(&format!("{key}{text}"));
    }
    short(text)
}

/// A piece of a rule on one line.
fn short(text: &str) -> String {
    const MOST: usize = 100;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Writes what was tried and is right. Returns the files.
fn output(
    run: &Run,
    args: &Test,
    rules: &[Detection],
    tests: &[Tests],
    good: &[Vec<(usize, u64)>],
    events_only: bool,
) -> Result<Vec<PathBuf>, Failure> {
    let wanted = |fires: bool| match args.only.as_deref() {
        Some("hits") => fires,
        Some("misses") => !fires,
        _ => true,
    };
    // Texts by name of file, below the folder.
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut stream = String::new();
    let root = common_folder(rules);
    for (i, d) in rules.iter().enumerate() {
        let name = fixtures::stem(&d.path).0.trim_start_matches(tercel_catalog::pack::PREFIX);
        let name = Path::new(name).strip_prefix(&root).unwrap_or(Path::new(name)).to_path_buf();
        let name = if name.as_os_str() == "-" { PathBuf::from("stdin") } else { name };
        for (j, hits) in &good[i] {
            let made = &tests[i].made[*j];
            if !wanted(made.fires) {
                continue;
            }
            let (suffix, text) = if events_only {
                let lines: String = made.events.iter().map(|e| format!("{e}\n")).collect();
                (if made.fires { ".hits.ndjson" } else { ".misses.ndjson" }, lines)
            } else {
                (".generated.fixtures.jsonl", format!("{}\n", fixture(d, made, *hits)))
            };
            // On one stream nobody could tell hits from misses, unless fixtures say it.
            if run.global.output.is_none() {
                if !events_only || made.fires || args.only.as_deref() == Some("misses") {
                    stream.push_str(&text);
                }
                continue;
            }
            let mut file = name.clone().into_os_string();
            file.push(suffix);
            files.entry(file.into()).or_default().push_str(&text);
        }
    }
    let Some(folder) = &run.global.output else {
        let mut out = std::io::stdout().lock();
        out.write_all(stream.as_bytes())?;
        out.flush()?;
        return Ok(Vec::new());
    };
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        let cannot = |e: std::io::Error| Failure::new(format!("cannot write `{}`: {e}", path.display()));
        if path.exists() && !run.global.force {
            return Err(
                Failure::new(format!("`{}` exists already", path.display())).help("--force replaces it")
            );
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(cannot)?;
        }
        std::fs::write(&path, text).map_err(cannot)?;
        written.push(path);
    }
    Ok(written)
}

/// The folder that all rules are in.
fn common_folder(rules: &[Detection]) -> PathBuf {
    let mut folders = rules.iter().filter_map(|d| {
        let path = d.path.trim_start_matches(tercel_catalog::pack::PREFIX);
        Path::new(path).parent().map(Path::to_path_buf)
    });
    let Some(mut common) = folders.next() else { return PathBuf::new() };
    for f in folders {
        while !f.starts_with(&common) {
            if !common.pop() {
                return PathBuf::new();
            }
        }
    }
    common
}

fn fixture(d: &Detection, made: &Made, hits: u64) -> Json {
    let mut f = Map::new();
    f.insert("expect".into(), if made.fires { "hit" } else { "miss" }.into());
    f.insert("why".into(), made.why.as_str().into());
    f.insert("only".into(), vec![d.id.as_str()].into());
    if let Some(t) = &made.table {
        f.insert("table".into(), t.as_str().into());
    }
    if made.fires && hits != 1 {
        f.insert("hits".into(), hits.into());
    }
    if made.group {
        f.insert("events".into(), made.events.clone().into());
    } else {
        f.insert("event".into(), made.events.first().cloned().unwrap_or_default());
    }
    f.into()
}

#[allow(clippy::too_many_arguments, reason = "one sentence of each")]
fn report(
    run: &Run,
    args: &Test,
    rules: &[Detection],
    tests: &[Tests],
    good: &[Vec<(usize, u64)>],
    wrong: usize,
    (proved, elapsed): (Duration, Duration),
    written: Vec<PathBuf>,
) {
    const FEW: usize = 10;
    let talk = &run.talk;
    let all = args.explain_skips || rules.len() <= FEW;
    let mut told = 0;
    let mut tell = |line: String| {
        told += 1;
        if all || told <= FEW {
            talk.say(line);
        }
    };
    let (mut hits, mut misses, mut complete, mut dead, mut unknown, mut skipped) = (0, 0, 0, 0, 0, 0);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let (mut never, mut without) = (0, 0);
    for (i, t) in tests.iter().enumerate() {
        let d = &rules[i];
        let fires = |j: &(usize, u64)| t.made[j.0].fires;
        let h = good[i].iter().filter(|j| fires(j)).count();
        hits += h;
        misses += good[i].len() - h;
        skipped += t.skipped;
        match &t.none {
            Some((true, why)) => {
                never += 1;
                let where_ = args.source.map_or(String::new(), |s| format!(" on events of {}", s.as_str()));
                tell(format!("{}: can never fire{where_}: {why}", d.path));
            }
            Some((false, why)) => {
                without += 1;
                *reasons.entry(why.clone()).or_default() += 1;
                tell(format!("{}: no tests: {why}", d.path));
            }
            None => {}
        }
        let open = t.missing.iter().filter(|m| !m.0).count();
        dead += t.missing.len() - open;
        unknown += open;
        if h > 0 && open == 0 && t.skipped == 0 && good[i].len() == t.made.len() {
            complete += 1;
        }
        for (is_proved, why) in &t.missing {
            if !is_proved {
                *reasons.entry(why.rsplit(": ").next().unwrap_or(why).to_string()).or_default() += 1;
            }
            if all || !is_proved {
                tell(format!("{}: {why}", d.path));
            }
        }
        if t.skipped > 0 {
            tell(format!("{}: {} beyond --limit were left out", d.path, count(t.skipped, "part")));
        }
    }
    if !all && told > FEW {
        talk.say(format!("… and {} more; --explain-skips lists them", told - FEW));
    }
    if !all && !reasons.is_empty() {
        let mut list: Vec<(&String, &usize)> = reasons.iter().collect();
        list.sort_by_key(|r| std::cmp::Reverse(*r.1));
        for (why, n) in list.iter().take(FEW) {
            talk.say(format!("  {n:>6}  {why}"));
        }
    }
    talk.say(format!(
        "{}: {} that fire, {}; every part of {} is shown, {} can be shown by no event, {} not decided{}",
        count(rules.len(), "rule"),
        count(hits, "event"),
        if misses == 1 { "1 near miss".into() } else { format!("{misses} near misses") },
        count(complete, "rule"),
        count(dead, "part"),
        unknown,
        if skipped > 0 { format!(", {skipped} beyond --limit") } else { String::new() },
    ));
    if never + without > 0 {
        talk.say(format!("{} can never fire, {} got no tests", count(never, "rule"), count(without, "rule")));
    }
    talk.say(format!(
        "every event was run through the rule: {} wrong; {:.1} s for proofs, {:.1} s in all",
        wrong,
        proved.as_secs_f64(),
        elapsed.as_secs_f64()
    ));
    if !written.is_empty() {
        let folder = run.global.output.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
        talk.say(format!("{} written to {folder}", count(written.len(), "file")));
    }
}
