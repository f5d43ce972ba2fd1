//! Views that several plans read are computed once.

use crate::passes::{same, with_provenance};
use crate::plan::Planner;
use crate::prepare::{Physical, with_stack};
use crate::run::Prepared;
use crate::scan::Feeds;
use crate::{EngineError, Options};
use datafusion::prelude::SessionContext;
use std::collections::HashMap;
use tercel_ir::{Name, Rel, RelKind, Type};

/// Tables of this name are views that another plan of the same run computes.
const PREFIX: &str = "$view:";

/// A view that several plans read.
pub(super) struct SharedView {
    /// The table that its readers scan instead.
    table: Name,
    rel: Rel,
    /// Whether its rows have an event behind them.
    single_event: bool,
}

/// Replaces, in plans that may share a pass, every view that more than one of them reads by a scan of a
/// table of its own.
pub(super) fn shared_views(plans: &mut [(usize, Rel)]) -> Vec<SharedView> {
    let mut found: Vec<Found> = Vec::new();
    let mut by_name: HashMap<Name, Vec<usize>> = HashMap::new();
    let sharing: Vec<usize> = (0..plans.len()).filter(|p| !has_join(&plans[*p].1)).collect();
    // Which view each plan reads, in the order in which `outermost` meets them.
    let mut reads: Vec<Vec<usize>> = Vec::with_capacity(sharing.len());
    for p in &sharing {
        let mut own = Vec::new();
        outermost(&plans[*p].1, &mut |name, view| {
            let same_name = by_name.entry(name.clone()).or_default();
            let known = same_name.iter().copied().find(|i| same(&found[*i].view, view));
            let at = known.unwrap_or_else(|| {
                found.push(Found { view: view.clone(), readers: 0, last: usize::MAX, shared: None });
                same_name.push(found.len() - 1);
                found.len() - 1
            });
            if found[at].last != *p {
                found[at].last = *p;
                found[at].readers += 1;
            }
            own.push(at);
        });
        reads.push(own);
    }
    let mut views: Vec<SharedView> = Vec::new();
    for f in found.iter_mut().filter(|f| f.readers > 1) {
        let carried = with_provenance(&f.view);
        f.shared = Some(views.len());
        views.push(SharedView {
            table: format!("{PREFIX}{}", views.len()).into(),
            single_event: carried.is_some(),
            rel: carried.unwrap_or_else(|| f.view.clone()),
        });
    }
    for (p, own) in sharing.iter().zip(reads) {
        let mut own = own.into_iter();
        replace(&mut plans[*p].1, &mut |view| {
            if let Some(k) = own.next().and_then(|at| found[at].shared) {
                view.kind = RelKind::Scan { table: views[k].table.clone() };
            }
        });
    }
    views
}

/// A view that was met, and how many plans read it.
struct Found {
    view: Rel,
    readers: usize,
    /// The plan that was last seen to read it.
    last: usize,
    shared: Option<usize>,
}

fn has_join(rel: &Rel) -> bool {
    matches!(rel.kind, RelKind::Join { .. }) || rel.inputs().into_iter().any(has_join)
}

fn outermost(rel: &Rel, each: &mut dyn FnMut(&Name, &Rel)) {
    match &rel.kind {
        RelKind::View { name, .. } => each(name, rel),
        _ => rel.inputs().into_iter().for_each(|i| outermost(i, each)),
    }
}

/// The same views in the same order, to change.
fn replace(rel: &mut Rel, each: &mut dyn FnMut(&mut Rel)) {
    match &rel.kind {
        RelKind::View { .. } => each(rel),
        _ => rel.inputs_mut().into_iter().for_each(|i| replace(i, each)),
    }
}

/// Whether the shared views that a plan reads have events behind their rows. (What the plan itself does
/// to them is `with_provenance`'s to judge.)
pub(super) fn provenance_of(rel: &Rel, views: &[SharedView]) -> bool {
    rel.tables().iter().all(|t| views.iter().find(|v| v.table == *t).is_none_or(|v| v.single_event))
}

/// Plans the views with the columns that their readers want, and connects the readers.
pub(super) fn plan_views(
    views: Vec<SharedView>,
    readers: &mut [Prepared],
    context: &SessionContext,
    options: &Options,
) -> Result<Vec<Prepared>, EngineError> {
    let mut out = Vec::new();
    for view in views {
        let feeds: Vec<_> = readers.iter_mut().flat_map(|p| p.take_feeds(&view.table)).collect();
        if feeds.is_empty() {
            continue;
        }
        let mut columns: Vec<(Name, Type)> = Vec::new();
        for c in feeds.iter().flat_map(|f| &f.columns) {
            if !columns.contains(c) {
                columns.push(c.clone());
            }
        }
        let plan = with_stack(|| {
            let mut planner = Planner { tables: &mut Feeds, context: options.context.clone() };
            Physical::new(context).plan(&planner.columns(&view.rel, &columns)?)
        })??;
        out.push(plan.feeding(&feeds, &columns));
    }
    Ok(out)
}
