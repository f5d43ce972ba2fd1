//! The passes over the data: first all rules that look at one event at a time, together; then, if any are
//! left, those that need plans.

use super::correlations::{Correlations, EventKey};
use super::hits::{Hits, Row};
use super::program;
use crate::data::Data;
use crate::failure::Failure;
use crate::{interrupt, omitted};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use tercel_catalog::{Detection, Evidence, Language};
use tercel_engine::{DataSource, HuntPlan, HuntStats, Now, Options, Provenance};
use tercel_ir::rel::Asks;
use tercel_ir::{ExprKind, Name, Rel, Value};
use tercel_rules::{Limits, RuleSet, Want};
use tercel_schema::SchemaCatalog;

/// What is to be computed for one detection.
pub struct Job<'a> {
    rule: usize,
    /// The detection's own, unless it is asked for something else.
    rel: Cow<'a, Rel>,
    want: Want,
}

/// Kinds of events that there were, by table.
pub type Kinds = HashMap<Name, Vec<Value>>;

/// One job for each detection that compiled. Correlated rules are asked for the fields that matter.
pub fn jobs<'a>(detections: &'a [Detection], correlations: &Correlations) -> Vec<Job<'a>> {
    let job = |(rule, d): (usize, &'a Detection)| {
        let rel = d.rel.as_ref()?;
        let sigma = d.language == Language::Sigma;
        Some(if correlations.takes(rule) {
            let text = sigma && d.reported;
            Job { rule, rel: Cow::Owned(correlations.asked(rule, rel)), want: Want { text, row: true } }
        } else {
            Job { rule, rel: Cow::Borrowed(rel), want: if sigma { Want::EVENT } else { Want::ROW } }
        })
    };
    detections.iter().enumerate().filter_map(job).collect()
}

/// A hunt on its way.
pub struct Pass<'a, 'h> {
    pub detections: &'a [Detection],
    pub data: &'a Data,
    pub hits: &'a mut Hits<'h>,
    pub correlations: &'a mut Correlations,
}

impl Pass<'_, '_> {
    /// Runs what needs no plans. Gives back the rest.
    pub fn program<'j>(
        &mut self,
        mut jobs: Vec<Job<'j>>,
        options: &mut Options,
        kinds: &mut Kinds,
    ) -> Vec<Job<'j>> {
        // The engine must mean the same moment.
        let mut asks = Asks::new(|e| matches!(&e.kind, ExprKind::Call(f, _) if f.name == "now"));
        let asking: Vec<usize> = (0..jobs.len()).filter(|i| asks.of(&jobs[*i].rel)).collect();
        if !asking.is_empty() {
            let now = match options.now {
                Now::At(ticks) => ticks,
                Now::Newest => self.data.newest_time().unwrap_or(0),
            };
            options.now = Now::At(now);
            for i in asking {
                jobs[i].rel.to_mut().fold_now(now);
            }
        }
        let rules: Vec<(usize, &Rel, Want)> =
            jobs.iter().enumerate().map(|(i, j)| (i, &*j.rel, j.want)).collect();
        let (set, not_here) = RuleSet::compile(&rules, &options.context, Limits::default());
        if not_here.len() < jobs.len() {
            let mut unit = 0;
            let seen = program::run(set, self.data, &mut |out| {
                unit += 1;
                for h in out.hits {
                    let Some(job) = jobs.get(h.rule) else { continue };
                    let from = Provenance {
                        time: h.time,
                        source: Some(h.source.to_string()),
                        record: Some(h.record),
                        event: h.text,
                    };
                    let row = h.row.unwrap_or_default();
                    self.found(job.rule, &job.rel, (unit, h.nth), Some(from), &row)?;
                }
                if interrupt::stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            self.data.left_out(seen.outside);
            *kinds = seen.kinds;
        }
        let rest: HashSet<usize> = not_here.into_iter().map(|(i, _)| i).collect();
        let mut i = 0;
        jobs.retain(|_| {
            i += 1;
            rest.contains(&(i - 1))
        });
        jobs
    }

    /// A row that a detection gave.
    fn found(
        &mut self,
        rule: usize,
        rel: &Rel,
        event: EventKey,
        from: Option<Provenance>,
        row: &[Value],
    ) -> ControlFlow<()> {
        if self.correlations.takes(rule)
            && let Some(from) = &from
        {
            self.correlations.push(rule, event, from, row);
        }
        if !self.detections.get(rule).is_some_and(|d| d.reported && d.correlation.is_none()) {
            return ControlFlow::Continue(());
        }
        self.hits.take(rule, from, &|| object(rel, row))
    }

    /// Runs the plans of the rest, in one more pass. Which kinds of events there are, and which rows views
    /// leave out, is asked with them.
    pub fn plans(
        &mut self,
        rest: Vec<Job<'_>>,
        options: &Options,
        catalog: &SchemaCatalog,
        kinds: &mut Kinds,
        notes: &mut Vec<String>,
    ) -> Result<HuntStats, Failure> {
        if rest.is_empty() {
            return Ok(HuntStats::default());
        }
        let mut plans: Vec<HuntPlan> =
            rest.iter().enumerate().map(|(id, j)| HuntPlan { id, rel: bare(j) }).collect();
        let read: Vec<&Rel> = rest.iter().map(|j| &*j.rel).collect();
        let mut questions = Evidence::questions(&read);
        questions.retain(|(table, _)| !kinds.contains_key(table));
        let omitted = omitted::questions(catalog, read.into_iter());
        let (first_kind, first_omitted) = (rest.len(), rest.len() + questions.len());
        let asked = questions.iter().map(|(_, r)| r).chain(omitted.iter().map(|(_, r)| r));
        plans.extend(asked.enumerate().map(|(i, rel)| HuntPlan { id: first_kind + i, rel: rel.clone() }));
        let mut nth = 0;
        let mut stats = tercel_engine::hunt(plans, self.data, options, &mut |hit| {
            if let Some(job) = rest.get(hit.plan) {
                // Plans give their rows each for itself: which of them stand for one event is not known.
                nth += 1;
                return self.found(job.rule, &job.rel, (0, nth), hit.provenance(), &hit.values());
            }
            match questions.get(hit.plan - first_kind) {
                Some((table, _)) => kinds.entry(table.clone()).or_default().push(hit.value(0)),
                None => notes.extend(omitted.get(hit.plan - first_omitted).and_then(|(o, _)| {
                    omitted::note(o, hit.value(0).as_i64().and_then(|n| u64::try_from(n).ok())?)
                })),
            }
            ControlFlow::Continue(())
        })?;
        // Outcomes count in detections from here on.
        stats.plans.retain(|p| p.id < first_kind);
        stats.plans.iter_mut().for_each(|p| p.id = rest[p.id].rule);
        Ok(stats)
    }
}

/// A rule that is asked for events, not for columns: without any, the plan carries only where they are.
fn bare(job: &Job<'_>) -> Rel {
    if !job.want.row {
        let bare = Rel::clone(&job.rel).project(Vec::new(), job.rel.span);
        if tercel_engine::with_provenance(&bare).is_some() {
            return bare;
        }
    }
    Rel::clone(&job.rel)
}

/// A row as an object, keys in column order.
fn object(rel: &Rel, row: &[Value]) -> Row {
    rel.schema.columns.iter().zip(row).map(|(c, v)| (c.name.to_string(), v.to_json())).collect()
}
