//! Runs rules on small inputs and counts what fires: the same readers, program and plans as a hunt.
//!
//! Rules that look at one event at a time see all inputs in one pass, told apart by file and record. Rules
//! that look at several events, or at the clock, get a hunt of their own for each input, since there events
//! of one test would meddle with another.

use crate::cli::{Reading, World};
use crate::commands::hunt::correlations::Correlations;
use crate::commands::hunt::hits::Row;
use crate::data::Data;
use crate::failure::Failure;
use crate::{interrupt, world};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tercel_catalog::{CompileOptions, Detection};
use tercel_engine::{HuntPlan, Now, Options, Provenance, uses_now};
use tercel_ir::{Name, Rel};
use tercel_rules::{Limits, Matcher, RuleSet, Want};
use tercel_schema::Schemas;
use tercel_telemetry::{LaidOut, LayoutSink};

/// What is hunted in.
#[derive(Clone, Debug)]
pub enum Input {
    /// Events as JSON, each on one line; of no known shape they are rows of this table.
    Events { lines: Vec<String>, table: Option<String> },
    /// A file of the user.
    File(PathBuf),
}

/// An input, and the rules (by number) that are to be run on it.
#[derive(Clone, Debug)]
pub struct Probe {
    pub input: Input,
    pub rules: Vec<usize>,
}

/// What a rule found in an input.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub hits: usize,
    /// The rows, where the rule looks at several events or the input has several.
    pub rows: Vec<Row>,
    /// Why it could not run.
    pub error: Option<String>,
}

/// Numbers of a probe and of a rule, and what came of them.
pub type Results = HashMap<(usize, usize), Got>;

pub struct Bench<'a> {
    pub world: &'a World,
    pub compile: CompileOptions,
    pub options: Options,
}

impl<'a> Bench<'a> {
    /// # Errors
    /// When something that the options name cannot be used.
    pub fn new(world: &'a World) -> Result<Bench<'a>, Failure> {
        let options = Options { context: Arc::new(world::context(world)?), ..Options::default() };
        Ok(Bench { world, compile: world::compile_options(world)?, options })
    }

    /// Runs all probes. Rules are compiled on the way.
    ///
    /// # Errors
    /// When temporary files cannot be written, or the world cannot be used.
    pub fn run(&self, rules: &mut [Detection], probes: &[Probe]) -> Result<Results, Failure> {
        let mut results = Results::new();
        let apart = self.together(rules, probes, &mut results)?;
        let mut subsets: HashMap<Vec<usize>, Vec<Detection>> = HashMap::new();
        for (i, p) in probes.iter().enumerate() {
            let mine: Vec<usize> = p
                .rules
                .iter()
                .copied()
                .filter(|r| apart.contains(r) || !single(&p.input))
                .filter(|r| !results.contains_key(&(i, *r)))
                .collect();
            if mine.is_empty() || interrupt::stopped() {
                continue;
            }
            let mut order = mine.clone();
            order.sort_unstable();
            order.dedup();
            let few = subsets.entry(order.clone()).or_insert_with(|| self.few(rules, &order));
            // Ids need not be unique, what is kept stands in its order.
            let by_place: Vec<(String, String)> =
                order.iter().map(|r| (rules[*r].id.clone(), rules[*r].path.clone())).collect();
            let found = match self.alone(few, &p.input) {
                Ok(f) => f,
                Err(e) => {
                    for r in &mine {
                        let got = Got { error: Some(e.message.clone()), ..Got::default() };
                        results.insert((i, *r), got);
                    }
                    continue;
                }
            };
            for (rule, key) in order.iter().zip(&by_place) {
                let got = few
                    .iter()
                    .position(|d| d.id == key.0 && d.path == key.1)
                    .and_then(|place| found.get(&place))
                    .cloned()
                    .unwrap_or_default();
                results.insert((i, *rule), got);
            }
        }
        Ok(results)
    }

    /// These rules, and unreported those that they need.
    pub fn few(&self, rules: &[Detection], which: &[usize]) -> Vec<Detection> {
        let mut few = rules.to_vec();
        // Also what otherwise only feeds others: here its own hits are asked for.
        which.iter().for_each(|i| few[*i].reported = true);
        let mut at = 0;
        tercel_catalog::retain(&mut few, |_| {
            at += 1;
            which.contains(&(at - 1))
        });
        few
    }

    /// One pass over all inputs of a single event, and over files, for the rules that can. Returns the rules
    /// that need a hunt of their own.
    fn together(
        &self,
        rules: &mut [Detection],
        probes: &[Probe],
        results: &mut Results,
    ) -> Result<Vec<usize>, Failure> {
        let folder = tempfile::tempdir().map_err(|e| cannot("make a temporary folder", &e))?;
        // Which probe a line of a file is, and which one a whole file is.
        let mut lines: BTreeMap<String, (String, Vec<usize>)> = BTreeMap::new();
        let mut files: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, p) in probes.iter().enumerate() {
            match &p.input {
                Input::Events { lines: events, table } if events.len() == 1 => {
                    let stem = table.clone().unwrap_or_else(|| "events".into());
                    let (text, owners) = lines.entry(stem).or_default();
                    let _ = writeln!(text, "{}", events[0]);
                    owners.push(i);
                }
                Input::Events { .. } => {}
                Input::File(path) => files.entry(path.display().to_string()).or_default().push(i),
            }
        }
        let mut paths: Vec<String> = files.keys().cloned().collect();
        paths.sort();
        let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
        for (stem, (text, list)) in lines {
            let path = write(folder.path(), &stem, &text)?;
            owners.insert(path.clone(), list);
            paths.push(path);
        }
        let data = Data::open(&paths, &Reading::default(), false);
        let catalog = world::catalog(self.world, Schemas::builtin(), data.discovered())?;
        data.bind(catalog.schemas().clone());
        let anywhere = world::catalog(self.world, Schemas::builtin(), Vec::new())?;
        tercel_catalog::compile_all(rules, &catalog, &anywhere, &self.compile, self.options.threads);
        let mut apart: Vec<usize> = Vec::new();
        let mut jobs: Vec<(usize, &Rel, Want)> = Vec::new();
        for (i, d) in rules.iter().enumerate() {
            match &d.rel {
                _ if d.correlation.is_some() => apart.push(i),
                Some(rel) if uses_now(rel) => apart.push(i),
                Some(rel) => jobs.push((i, rel, Want { text: false, row: false })),
                None => {}
            }
        }
        let (set, not_here) = RuleSet::compile(&jobs, &self.options.context, Limits::default());
        apart.extend(not_here.into_iter().map(|(i, _)| i));
        let mut wanted: HashMap<(usize, usize), usize> = HashMap::new();
        for (i, p) in probes.iter().enumerate().filter(|(_, p)| single(&p.input)) {
            for r in p.rules.iter().filter(|r| !apart.contains(r)) {
                wanted.insert((i, *r), 0);
            }
        }
        let set = Arc::new(set);
        let mut unread: Vec<String> = Vec::new();
        let (_, stats) = data.inputs.feed(
            data.schemas(),
            &|| Plain(Matcher::new(set.clone())),
            &mut |out| {
                for h in out.hits {
                    let line = owners.get(&*h.source).and_then(|o| o.get(usize::try_from(h.record).ok()?));
                    let probes = line.map(std::slice::from_ref).or(files.get(&*h.source).map(Vec::as_slice));
                    for p in probes.into_iter().flatten() {
                        if let Some(n) = wanted.get_mut(&(*p, h.rule)) {
                            *n += 1;
                        }
                    }
                }
                if interrupt::stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
            &data.progress,
        );
        unread.extend(stats.problems.iter().map(|p| p.file.to_string()));
        for ((probe, rule), hits) in wanted {
            let error = match &probes[probe].input {
                _ if rules[rule].rel.is_none() => Some(not_compiled(&rules[rule])),
                Input::File(path) if hits == 0 && unread.contains(&path.display().to_string()) => {
                    Some("the file cannot be read".into())
                }
                _ => None,
            };
            results.insert((probe, rule), Got { hits, rows: Vec::new(), error });
        }
        Ok(apart)
    }

    /// A hunt on one input. What fired, by place of the rule.
    fn alone(&self, rules: &mut [Detection], input: &Input) -> Result<HashMap<usize, Got>, Failure> {
        let folder = tempfile::tempdir().map_err(|e| cannot("make a temporary folder", &e))?;
        let path = match input {
            Input::Events { lines, table } => {
                let mut text = lines.join("\n");
                text.push('\n');
                write(folder.path(), table.as_deref().unwrap_or("events"), &text)?
            }
            Input::File(path) => path.display().to_string(),
        };
        let data = Data::open(std::slice::from_ref(&path), &Reading::default(), false);
        let catalog = world::catalog(self.world, Schemas::builtin(), data.discovered())?;
        data.bind(catalog.schemas().clone());
        let anywhere = world::catalog(self.world, Schemas::builtin(), Vec::new())?;
        tercel_catalog::compile_all(rules, &catalog, &anywhere, &self.compile, 1);
        let (mut correlations, refused) = Correlations::new(rules);
        let mut found: HashMap<usize, Got> = HashMap::new();
        for r in refused {
            found.entry(r.rule).or_default().error = Some(r.why);
        }
        let mut options = self.options.clone();
        options.now = Now::Newest;
        let mut plans = Vec::new();
        for (i, d) in rules.iter().enumerate() {
            match &d.rel {
                Some(rel) => {
                    let rel = if correlations.takes(i) { correlations.asked(i, rel) } else { rel.clone() };
                    plans.push(HuntPlan { id: i, rel });
                }
                None if d.correlation.is_none() && d.reported => {
                    found.entry(i).or_default().error = Some(not_compiled(d));
                }
                None => {}
            }
        }
        let relations: HashMap<usize, Rel> = plans.iter().map(|p| (p.id, p.rel.clone())).collect();
        let mut nth = 0;
        let stats = tercel_engine::hunt(plans, &data, &options, &mut |hit| {
            let rule = hit.plan;
            nth += 1;
            if correlations.takes(rule) {
                let from = hit.provenance().unwrap_or(Provenance {
                    time: None,
                    source: None,
                    record: None,
                    event: None,
                });
                // Rules may see one event under several names; its place says that it is one.
                let key = from.record.map_or((1, nth), |r| (0, r.unsigned_abs()));
                correlations.push(rule, key, &from, &hit.values());
            }
            if rules.get(rule).is_some_and(|d| d.reported && d.correlation.is_none())
                && relations.contains_key(&rule)
            {
                let got = found.entry(rule).or_default();
                got.hits += 1;
                got.rows.push(hit.json());
            }
            if interrupt::stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        for p in stats.plans {
            if let Some(e) = p.error {
                found.entry(p.id).or_default().error = Some(e.to_string());
            }
        }
        correlations.finish(rules, &mut |rule, _, row| {
            let got = found.entry(rule).or_default();
            got.hits += 1;
            got.rows.push(row);
        });
        Ok(found)
    }
}

/// Whether an input can be looked at among others.
fn single(input: &Input) -> bool {
    match input {
        Input::Events { lines, .. } => lines.len() == 1,
        Input::File(_) => true,
    }
}

pub fn not_compiled(d: &Detection) -> String {
    match d.first_error() {
        Some(e) => format!("the rule does not compile: {}", e.message),
        None => "the rule does not compile".into(),
    }
}

fn cannot(what: &str, e: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {what}: {e}"))
}

/// Writes events to a file whose name says the table for those of no known shape.
fn write(folder: &Path, stem: &str, text: &str) -> Result<String, Failure> {
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).take(100).collect();
    let path = folder.join(format!("{plain}.jsonl"));
    std::fs::write(&path, text).map_err(|e| cannot("write a temporary file", &e))?;
    Ok(path.display().to_string())
}

/// A matcher, and nothing else.
struct Plain(Matcher);

impl LayoutSink for Plain {
    type Out = tercel_rules::Out;
    fn source(&mut self, source: &Name) {
        self.0.source(source);
    }
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        self.0.layout(table, names)
    }
    fn forget_layouts(&mut self) {
        self.0.forget_layouts();
    }
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        self.0.event(layout, event)
    }
    fn take(&mut self) -> tercel_rules::Out {
        self.0.take()
    }
}
