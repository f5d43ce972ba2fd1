//! Sigma.

use super::shape::{at, gathered, sayable};
use super::{Effect, Loss, Made, Refused};
use crate::asks::{Detection, Options};
use crate::flat::{Flat, flatten};
use crate::hub::{Hub, SYSMON, without_time_range};
use crate::rewrite::{Rewriter, call};
use tercel_ir::{Expr, ExprKind, Rel, RelKind, Type, Value};
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
    let narrowed = hub.in_one_category(catalog);
    let hub = narrowed.as_ref().unwrap_or(hub);
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
    let mut kinds = Vec::new();
    if let Some((_, whole)) = hub.own.as_ref().filter(|_| table.starts_with("Device"))
        && !one_kind(whole)
    {
        losses.push(Loss {
            what: "rows of other kinds (ActionType)".into(),
            why: "a log source of Sigma holds one kind of events".into(),
            effect: Effect::Narrower,
        });
        // The comparison is of the rows that the log source has; the others are a loss that has been named.
        kinds = flatten(&hub.rel, Some(table)).map(|f| f.conditions).unwrap_or_default();
        kinds.extend(hosts_of_accepted(table, whole, &mut losses));
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
                taken.extend(kinds);
                for (what, granted) in as_written(&o.conditions) {
                    assumptions.push(what);
                    taken.push(granted);
                }
                paths = rewriter.paths;
                assumptions.extend(rewriter.assumptions);
                Some((filter(c), filter(o)))
            } else {
                None
            }
        }
        (Some(o), Some(c)) if catalog.source_of(base(detection.rel)).is_some() => Some((c, o)),
        // A table that is a log source by itself.
        (None, Some(c)) if !table.is_empty() => {
            match (flatten(&c, Some(table)), flatten(detection.rel, Some(table))) {
                (Ok(c), Ok(o)) => Some((filter(c), filter(o))),
                _ => None,
            }
        }
        (Some(o), Some(c)) => flatten(&c, Some(SYSMON)).ok().map(|f| (filter(f), o)),
        _ => None,
    };
    Ok(Made { text, losses, assumptions, taken, pair, paths })
}

const LOWER_HASH: &str = "hashes are written in lower case, as Defender writes them";
const HOST: &str = "RemoteUrl holds the name of a host alone";

/// How Defender writes columns whose tests Sigma's fields cannot tell apart, for those that are tested so.
fn as_written(conditions: &[Expr]) -> Vec<(&'static str, Expr)> {
    let mut tests = Vec::new();
    conditions.iter().for_each(|c| tested(c, &mut tests));
    let mut out = Vec::new();
    for name in ["SHA1", "SHA256", "MD5", "InitiatingProcessSHA1", "InitiatingProcessSHA256"] {
        if tests.iter().any(|t| t.0 == name) {
            out.push((LOWER_HASH, text_test("matches_regex", name, "^[^A-Z]*$")));
        }
    }
    // Where more of an address is looked for than its host, that would take the question away.
    let mut host = tests.iter().filter(|t| t.0 == "RemoteUrl").peekable();
    if host.peek().is_some() && host.all(|t| t.1.iter().all(|s| !s.contains(['/', ':']))) {
        for mark in ["/", ":"] {
            out.push((HOST, Expr::not(text_test("contains", "RemoteUrl", mark), at())));
        }
    }
    out
}

/// Sigma's connections have the other side's host where they were made, not where they were accepted. The loss,
/// and the rows of which the comparison is then.
fn hosts_of_accepted(table: &str, whole: &Expr, losses: &mut Vec<Loss>) -> Option<Expr> {
    let (mut positive, mut negative) = (false, false);
    asked(whole, "RemoteUrl", true, &mut positive, &mut negative);
    if table != "DeviceNetworkEvents" || !(positive || negative) {
        return None;
    }
    for (is, effect) in [(positive, Effect::Narrower), (negative, Effect::Wider)] {
        if is {
            losses.push(Loss {
                what: "RemoteUrl of accepted connections".into(),
                why: "Sigma has the name of the other side only where a connection was made".into(),
                effect,
            });
        }
    }
    let made = text_test("eq", "ActionType", "ConnectionSuccess");
    let none = Expr::known("isempty", vec![Expr::column("RemoteUrl", Type::String, at())], at());
    Some(Expr::or(vec![made, none], at()))
}

/// Whether tests of a column must hold, or must not.
fn asked(e: &Expr, column: &str, sign: bool, positive: &mut bool, negative: &mut bool) {
    match &e.kind {
        ExprKind::Not(inner) => asked(inner, column, !sign, positive, negative),
        ExprKind::And(items) | ExprKind::Or(items) => {
            items.iter().for_each(|i| asked(i, column, sign, positive, negative));
        }
        _ => {
            let mut columns = Vec::new();
            e.columns(&mut columns);
            if columns.iter().any(|c| &*c.0 == column) {
                let sign = sign != matches!(call(e), Some(("ne" | "ne_ci" | "isempty", _)));
                *(if sign { positive } else { negative }) = true;
            }
        }
    }
}

fn text_test(test: &str, column: &str, text: &str) -> Expr {
    let of = Expr::column(column, Type::String, at());
    Expr::known(test, vec![of, Expr::literal(Value::str(text), at())], at())
}

/// Columns with the texts that they are tested against.
fn tested(e: &Expr, out: &mut Vec<(String, Vec<String>)>) {
    if let Some((_, [first, rest @ ..])) = call(e)
        && !rest.is_empty()
    {
        let texts = rest.iter().filter_map(|a| match a.as_literal() {
            Some(Value::Str(s)) => Some(s.to_string()),
            _ => None,
        });
        let texts: Vec<String> = texts.collect();
        let mut columns = Vec::new();
        first.columns(&mut columns);
        out.extend(columns.into_iter().map(|c| (c.0.to_string(), texts.clone())));
    }
    e.children().into_iter().for_each(|c| tested(c, out));
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
