//! Sigma.

use super::shape::{at, gathered, sayable};
use super::{Made, Refused};
use crate::asks::{Detection, Options};
use crate::flat::flatten;
use crate::hub::{Hub, SYSMON};
use tercel_ir::{Expr, Rel, RelKind};
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
    let predicate = gathered(&hub.predicate);
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
        None => flatten(detection.rel, Some(SYSMON)).ok().map(|f| {
            let scan = crate::bridge::scan(&f.base, f.schema.clone());
            scan.filter(Expr::and(f.conditions, at()), at())
        }),
    };
    let conversion = relowered(&text, catalog);
    let pair = match (original, conversion) {
        // Sysmon's rows cannot tell.
        _ if hub.beyond => None,
        (Some(o), Some(c)) if catalog.source_of(base(detection.rel)).is_some() => Some((c, o)),
        (Some(o), Some(c)) => flatten(&c, Some(SYSMON)).ok().map(|f| {
            let scan = crate::bridge::scan(&f.base, f.schema.clone());
            (scan.filter(Expr::and(f.conditions, at()), at()), o)
        }),
        _ => None,
    };
    Ok(Made {
        text,
        losses,
        assumptions: Vec::new(),
        taken: hub.taken.clone(),
        pair,
        paths: std::collections::BTreeMap::new(),
    })
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
