//! Views that several plans read are computed once.

use crate::passes::with_provenance;
use crate::plan::Planner;
use crate::prepare::{physical, with_stack};
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
    // How many plans read each view. Names first: what has a unique name needs no closer look.
    let mut names: HashMap<Name, usize> = HashMap::new();
    let sharing: Vec<bool> = plans.iter().map(|(_, r)| !has_join(r)).collect();
    for ((_, rel), _) in plans.iter().zip(&sharing).filter(|(_, s)| **s) {
        let mut own = Vec::new();
        outermost(rel, &mut |v, _| own.push(v.clone()));
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|v| *names.entry(v).or_default() += 1);
    }
    let mut texts: HashMap<String, usize> = HashMap::new();
    for ((_, rel), _) in plans.iter().zip(&sharing).filter(|(_, s)| **s) {
        let mut own = Vec::new();
        outermost(rel, &mut |v, r| {
            if names[v] > 1 {
                own.push(identity(r));
            }
        });
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|f| *texts.entry(f).or_default() += 1);
    }
    let mut views: Vec<SharedView> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for ((_, rel), _) in plans.iter_mut().zip(&sharing).filter(|(_, s)| **s) {
        replace(rel, &names, &texts, &mut index, &mut views);
    }
    views
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

/// The same for two views exactly if they are written alike: same name, same body, same places in the
/// same text. The text itself, not a hash of it: a collision must never answer for another view.
/// (Different places mean a view expanded twice in different ways; sharing is then missed, never wrong.)
fn identity(rel: &Rel) -> String {
    format!("{:?}", rel.kind)
}

fn replace(
    rel: &mut Rel,
    names: &HashMap<Name, usize>,
    texts: &HashMap<String, usize>,
    index: &mut HashMap<String, usize>,
    views: &mut Vec<SharedView>,
) {
    let RelKind::View { name, .. } = &rel.kind else {
        rel.inputs_mut().into_iter().for_each(|i| replace(i, names, texts, index, views));
        return;
    };
    if names.get(name).is_none_or(|n| *n < 2) {
        return;
    }
    let text = identity(rel);
    if texts.get(&text).is_none_or(|n| *n < 2) {
        return;
    }
    let at = *index.entry(text).or_insert_with(|| {
        let carried = with_provenance(rel);
        views.push(SharedView {
            table: format!("{PREFIX}{}", views.len()).into(),
            single_event: carried.is_some(),
            rel: carried.unwrap_or_else(|| rel.clone()),
        });
        views.len() - 1
    });
    *rel = Rel {
        kind: RelKind::Scan { table: views[at].table.clone() },
        schema: rel.schema.clone(),
        span: rel.span,
    };
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
            physical(&planner.columns(&view.rel, &columns)?, context)
        })??;
        out.push(plan.feeding(&feeds, &columns));
    }
    Ok(out)
}
