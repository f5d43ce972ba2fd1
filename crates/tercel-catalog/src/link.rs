//! What Sigma documents say about each other: correlations, filters, and what is reported because of
//! them. It is settled for all rules of a run together, wherever they were read from.

use crate::detection::{Detection, Syntax};
use std::collections::HashMap;
use std::sync::Arc;
use tercel_ir::Diagnostic;
use tercel_sigma::Document;
use tercel_sigma::ast::{FilterRule, FilterTargets, LogSource, Rule, Text};
use tercel_sigma::correlation::{Entry, Target, resolve};
use tercel_sigma::pipeline::Pipelines;

/// What kind of thing a detection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It matches rows: a Sigma rule, or a query.
    Rule,
    /// It correlates hits of other detections ([`Detection::correlation`] says how).
    Correlation,
    /// It narrows other rules and has no hits of its own.
    Filter,
}

impl Detection {
    /// What kind of thing it is. A text that could not be read counts as a rule.
    pub fn role(&self) -> Role {
        match self.document().map(|d| &**d) {
            Some(Document::Correlation(_)) => Role::Correlation,
            Some(Document::Filter(_)) => Role::Filter,
            _ => Role::Rule,
        }
    }

    /// The Sigma document that it is, after any pipelines.
    pub(crate) fn document(&self) -> Option<&Arc<Document>> {
        match (&self.piped, &self.syntax) {
            (Some(d), _) | (None, Syntax::Sigma(d)) => Some(d),
            _ => None,
        }
    }
}

/// Settles what Sigma documents say about each other: which rules a correlation refers to, which filters
/// apply to a rule, and which rules report no hits of their own because they are only there for
/// correlations. [`crate::load`] does it for what it reads; whoever puts detections of several sources
/// together, or takes some away by hand, does it again for all of them, before compiling.
///
/// Indexes of rules in [`Detection::correlation`] count in `all` from now on; [`retain`] keeps them right.
pub fn link(all: &mut [Detection]) {
    link_with(all, &Pipelines::default());
}

/// [`link`], after the processing pipelines of pySigma have changed the Sigma documents.
pub fn link_with(all: &mut [Detection], pipelines: &Pipelines) {
    for d in all.iter_mut() {
        d.unlink();
        d.pipe(pipelines);
    }
    if !all.iter().any(|d| d.role() != Role::Rule || d.has_aggregation()) {
        return;
    }
    filters(all);
    correlations(all);
}

impl Detection {
    /// As it was read, without what others say about it.
    fn unlink(&mut self) {
        match &self.parsed {
            Some(found) => self.diagnostics.clone_from(found),
            None => self.parsed = Some(self.diagnostics.clone()),
        }
        self.read = None;
        self.rel = None;
        self.never = None;
        self.correlation = None;
        self.plan = None;
        self.piped = None;
        self.reported = self.role() != Role::Filter;
        self.filters.clear();
        self.metadata.filters.clear();
    }

    fn pipe(&mut self, pipelines: &Pipelines) {
        let Syntax::Sigma(document) = &self.syntax else { return };
        if pipelines.is_empty() {
            return;
        }
        let (document, found) = pipelines.apply((**document).clone());
        self.piped = Some(Arc::new(document));
        for d in found {
            self.report(d);
        }
    }

    fn has_aggregation(&self) -> bool {
        match self.document().map(|d| &**d) {
            Some(Document::Rule(r)) => r.detection.conditions.iter().any(|c| c.aggregation.is_some()),
            _ => false,
        }
    }
}

fn correlations(all: &mut [Detection]) {
    let mut files: HashMap<&str, usize> = HashMap::new();
    let entries: Vec<Entry<'_>> = all
        .iter()
        .map(|d| {
            let next = files.len();
            let file = *files.entry(&d.path).or_insert(next);
            Entry { document: d.document().map(|d| &**d), file }
        })
        .collect();
    let resolved = resolve(&entries);
    // For each rule that a correlation refers to: whether some correlation wants its hits all the same.
    let mut wanted: HashMap<usize, bool> = HashMap::new();
    for plan in resolved.iter().filter_map(|r| r.plan.as_ref()) {
        for r in &plan.rules {
            if let Target::Rule(i) = r.target {
                *wanted.entry(i).or_default() |= plan.generate;
            }
        }
    }
    for (d, r) in all.iter_mut().zip(resolved) {
        d.correlation.clone_from(&r.plan);
        d.plan = r.plan;
        for finding in r.found {
            d.report(finding);
        }
    }
    for (i, wanted) in wanted {
        all[i].reported = wanted;
    }
}

fn filters(all: &mut [Detection]) {
    // Rules by what filters can call them.
    let mut named: HashMap<String, Vec<usize>> = HashMap::new();
    let mut rules: Vec<usize> = Vec::new();
    for (i, d) in all.iter().enumerate() {
        let Some(Document::Rule(r)) = d.document().map(|d| &**d) else { continue };
        rules.push(i);
        for name in [&r.meta.id, &r.meta.name].into_iter().flatten() {
            let same = named.entry(name.node.clone()).or_default();
            if same.last() != Some(&i) {
                same.push(i);
            }
        }
    }
    for at in 0..all.len() {
        let Some(document) = all[at].document().cloned() else { continue };
        let Document::Filter(f) = &*document else { continue };
        if f.broken {
            continue;
        }
        let (targets, found) = targets(f, all, &rules, &named);
        let name = all[at].title.clone();
        for d in found {
            all[at].report(d);
        }
        for i in targets {
            all[i].filters.push(document.clone());
            all[i].metadata.filters.push(name.clone());
        }
    }
}

/// The rules that a filter applies to, and what is to be said about those that it names in vain.
fn targets(
    f: &FilterRule,
    all: &[Detection],
    rules: &[usize],
    named: &HashMap<String, Vec<usize>>,
) -> (Vec<usize>, Vec<Diagnostic>) {
    let fits = |i: &usize| match all[*i].document().map(|d| &**d) {
        Some(Document::Rule(r)) => fits(&f.logsource, r),
        _ => false,
    };
    let mut found = Vec::new();
    let mut out: Vec<usize> = Vec::new();
    match &f.rules {
        FilterTargets::Any => {
            out.extend(rules.iter().copied().filter(fits));
            if out.is_empty() {
                found.push(
                    Diagnostic::warning("unused-filter", "no rule has the log source of this filter")
                        .at(f.logsource.span.span)
                        .meaning("it has no effect"),
                );
            }
        }
        FilterTargets::Rules(list) => {
            for r in list {
                let Some(meant) = named.get(&r.node) else {
                    found.push(
                        Diagnostic::warning("missing-reference", format!("no rule has the id or name `{}`", r.node))
                            .at(r.span)
                            .meaning("the filter has no effect on it")
                            .help("load the file of that rule too; correlations cannot be filtered, their rules can"),
                    );
                    continue;
                };
                let before = out.len();
                for i in meant.iter().copied().filter(|i| fits(i)) {
                    if !out.contains(&i) {
                        out.push(i);
                    }
                }
                if out.len() == before && !meant.iter().any(|i| out.contains(i)) {
                    found.push(
                        Diagnostic::warning("filter-mismatch", format!("`{}` is for another log source than the filter", r.node))
                            .at(r.span)
                            .meaning("the filter is not applied to it")
                            .help("every key of the filter's `logsource` must stand in the rule's with the same value"),
                    );
                }
            }
        }
    }
    (out, found)
}

/// A rule meets a filter's log source when it says everything that the filter says.
fn fits(filter: &LogSource, rule: &Rule) -> bool {
    let same = |f: &Option<Text>, r: &Option<Text>| {
        f.as_ref().is_none_or(|f| r.as_ref().is_some_and(|r| r.node == f.node))
    };
    let l = &rule.logsource;
    same(&filter.category, &l.category)
        && same(&filter.product, &l.product)
        && same(&filter.service, &l.service)
}

/// After compiling: a correlation whose rules do not run does not run either, and says so.
pub fn settle_references(all: &mut [Detection]) {
    // Each round settles one more level of correlations on correlations; their depth is bounded.
    loop {
        let runs: Vec<bool> =
            all.iter().map(|d| !d.has_errors() && (d.rel.is_some() || d.correlation.is_some())).collect();
        let mut changed = false;
        for at in 0..all.len() {
            let Some(plan) = &all[at].correlation else { continue };
            let broken = plan.rules.iter().find_map(|r| match r.target {
                Target::Rule(i) if !runs.get(i).copied().unwrap_or(false) => Some((r.name.clone(), i)),
                _ => None,
            });
            let Some((name, i)) = broken else { continue };
            let why = all.get(i).and_then(|d| d.first_error()).map(|e| format!(": {}", e.message));
            let mut d = Diagnostic::error(
                "broken-reference",
                format!("`{name}` does not run, and this correlation needs it{}", why.unwrap_or_default()),
            )
            .meaning("the correlation does not run");
            d.span = all[at].place_of(&name);
            all[at].report(d);
            all[at].correlation = None;
            all[at].rel = None;
            changed = true;
        }
        if !changed {
            return;
        }
    }
}

impl Detection {
    /// Where a correlation names a rule.
    fn place_of(&self, name: &str) -> Option<tercel_ir::Span> {
        match self.document().map(|d| &**d) {
            Some(Document::Correlation(c)) => {
                c.correlation.rules.iter().find(|r| r.node == name).map(|r| r.span)
            }
            _ => None,
        }
    }
}

/// Keeps the detections for which `keep` holds and, unreported, those that a kept correlation needs.
/// Returns how many are no longer reported. References are counted anew.
pub fn retain(all: &mut Vec<Detection>, mut keep: impl FnMut(&Detection) -> bool) -> usize {
    let kept: Vec<bool> = all.iter().map(&mut keep).collect();
    let mut needed = kept.clone();
    let mut todo: Vec<usize> = (0..all.len()).filter(|i| kept[*i]).collect();
    while let Some(at) = todo.pop() {
        for r in all[at].correlation.iter().flat_map(|p| &p.rules) {
            if let Target::Rule(i) = r.target
                && i < needed.len()
                && !std::mem::replace(&mut needed[i], true)
            {
                todo.push(i);
            }
        }
    }
    let mut new_place = vec![0; all.len()];
    let mut next = 0;
    for (i, n) in needed.iter().enumerate() {
        new_place[i] = next;
        next += usize::from(*n);
    }
    let mut at = 0;
    all.retain_mut(|d| {
        let i = at;
        at += 1;
        d.reported &= kept[i];
        for r in d.correlation.iter_mut().chain(&mut d.plan).flat_map(|p| &mut p.rules) {
            if let Target::Rule(target) = &mut r.target {
                *target = new_place.get(*target).copied().unwrap_or(usize::MAX);
            }
        }
        needed[i]
    });
    kept.iter().filter(|k| !**k).count()
}
