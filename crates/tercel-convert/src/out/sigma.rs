//! Sigma.

use super::shape::{at, gathered, sayable};
use super::{Effect, Loss, Made, Refused};
use crate::asks::{Detection, Options};
use crate::flat::{Flat, flatten};
use crate::hub::{Hub, SYSMON, without_time_range};
use crate::rewrite::{Rewriter, call};
use tercel_ir::{Expr, ExprKind, Rel, RelKind};
use tercel_schema::SchemaCatalog;
use tercel_sigma::ast::{Document, Meta, Related};
use tercel_sigma::raise::{file, log_source, spanned_at, text};

pub(super) fn make(
    hub: &Hub,
    detection: &Detection<'_>,
    catalog: &SchemaCatalog,
    _: &Options,
) -> Result<Made, Refused> {
    let mut losses = Vec::new();
    let predicate = gathered(&each_of_all(&hub.predicate));
    let say = |e: &Expr| tercel_sigma::raise::detection(e).map(|_| ());
    let predicate = sayable(&predicate, &say, &mut losses)?;
    let found = tercel_sigma::raise::detection(&predicate)?;
    let source = log_source(
        hub.source.category.as_deref(),
        hub.source.product.as_deref(),
        hub.source.service.as_deref(),
    );
    let whole = file(meta(detection.meta), source, found);
    let text = tercel_sigma::print(&whole);

    let original = match catalog.source_of(base(detection.rel)) {
        Some(_) => Some(detection.rel.clone()),
        None => flatten(detection.rel, Some(SYSMON)).ok().map(filter),
    };
    let conversion = relowered(&text, catalog);
    let mut taken = hub.taken.clone();
    let mut paths = std::collections::BTreeMap::new();
    let mut assumptions = Vec::new();
    let table = hub.own.as_ref().map_or("", |o| &*o.0.base);
    if let Some((_, whole)) = hub.own.as_ref().filter(|_| table.starts_with("Device"))
        && !one_kind(whole)
    {
        losses.push(Loss {
            what: "rows of other kinds (ActionType)".into(),
            why: "a log source of Sigma holds one kind of events".into(),
            effect: Effect::Narrower,
        });
    }
    let pair = match (original, conversion) {
        // The rows that it was written for tell more than Sysmon's, which lack some of their columns.
        (_, Some(c)) if hub.beyond || table.starts_with("Device") => {
            let mut rewriter = Rewriter::new(false);
            let both = (flatten(&c, Some(table)), flatten(detection.rel, Some(table)));
            if let (Ok(c), Ok(o)) = both {
                for (folder, name) in
                    [("FolderPath", "FileName"), ("InitiatingProcessFolderPath", "InitiatingProcessFileName")]
                {
                    if o.schema.get(folder).is_some() && o.schema.get(name).is_some() {
                        rewriter.agreeing(folder, name);
                    }
                }
                taken = rewriter.taken.into_values().collect();
                paths = rewriter.paths;
                assumptions.extend(rewriter.assumptions);
                Some((filter(c), filter(o)))
            } else {
                None
            }
        }
        (Some(o), Some(c)) if catalog.source_of(base(detection.rel)).is_some() => Some((c, o)),
        (Some(o), Some(c)) => flatten(&c, Some(SYSMON)).ok().map(|f| (filter(f), o)),
        _ => None,
    };
    Ok(Made { text, losses, assumptions, taken, pair, paths })
}

/// Whether a predicate says which kind of a table's rows it is about.
fn one_kind(e: &Expr) -> bool {
    let items = match &e.kind {
        ExprKind::And(items) => items.as_slice(),
        _ => std::slice::from_ref(e),
    };
    items.iter().any(|i| match call(i) {
        Some(("eq" | "eq_ci" | "in" | "in_ci", [c, ..])) => {
            c.as_column().is_some_and(|c| &**c == "ActionType")
        }
        _ => false,
    })
}

/// What is left of it as a filter over its table; over which time is no matter of the rule.
fn filter(f: Flat) -> Rel {
    let scan = crate::bridge::scan(&f.base, f.schema.clone());
    scan.filter(Expr::and(without_time_range(f.conditions), at()), at())
}

/// A search for all of several terms as searches for each.
fn each_of_all(e: &Expr) -> Expr {
    let span = e.span;
    match (&e.kind, call(e)) {
        (ExprKind::And(items), _) => Expr::and(items.iter().map(each_of_all).collect(), span),
        (ExprKind::Or(items), _) => Expr::or(items.iter().map(each_of_all).collect(), span),
        (ExprKind::Not(inner), _) => crate::logic::negate(each_of_all(inner)),
        (_, Some(("has_all", [x, terms @ ..]))) if !terms.is_empty() => {
            let each = terms.iter().map(|t| Expr::known("has", vec![x.clone(), t.clone()], span));
            Expr::and(each.collect(), span)
        }
        _ => e.clone(),
    }
}

/// Where a filter starts.
fn base(rel: &Rel) -> &str {
    match &rel.kind {
        RelKind::View { name, .. } => name,
        RelKind::Scan { table } => table,
        _ => rel.inputs().into_iter().next().map_or("", |r| base(r)),
    }
}

fn relowered(text: &str, catalog: &SchemaCatalog) -> Option<Rel> {
    let (file, found) = tercel_sigma::parse(text);
    if found.has_errors() {
        return None;
    }
    let Some(Document::Rule(rule)) = file.documents.first() else { return None };
    tercel_sigma::lower(rule, catalog, &tercel_sigma::Options::default()).0
}

/// What the rule says about itself. The original's identity stays with the original.
fn meta(of: &Meta) -> Meta {
    let mut m = of.clone();
    if let Some(id) = m.id.take() {
        m.related.push(Related { id: Some(id), kind: Some(text("derived")), span: spanned_at() });
    }
    if m.title.is_none() {
        m.title = Some(text("Converted detection"));
    }
    m.name = None;
    m
}
