//! KQL.

use super::shape::{at, conjuncts, gathered, sayable, without_null_texts};
use super::{Made, Refused};
use super::{event, sources};
use crate::asks::{Options, Vocabulary};
use crate::bridge::{self, Plain};
use crate::cause::cause;
use crate::flat::{Flat, flatten, substitute, tables};
use crate::hub::{Hub, SYSMON, Translation, provider};
use crate::logic::{as_bool, key};
use std::collections::{BTreeSet, HashMap};
use tercel_ir::{Diagnostic, Expr, ExprKind, Name, Rel, Schema, Type, Value};
use tercel_schema::SchemaCatalog;

pub(super) fn make(
    hub: &Hub,
    vocabulary: Vocabulary,
    catalog: &SchemaCatalog,
    options: &Options,
) -> Result<Made, Refused> {
    let (mut flat, to) = base(hub, vocabulary, catalog)?;
    if vocabulary != Vocabulary::Asim || options.sources.is_empty() {
        return finish(hub, flat, None, to, vocabulary, catalog);
    }
    sources::only(&mut flat, hub, &options.sources, catalog)?;
    let made = finish(hub, flat, None, to, vocabulary, catalog)?;
    // The comparison is of the tables' own rows, and takes nothing for granted.
    let pair = sources::pair(&made.text, hub, &options.sources, catalog);
    Ok(Made { pair, taken: Vec::new(), assumptions: Vec::new(), paths: Default::default(), ..made })
}

/// The table of a vocabulary for a log source, its fields in the table's columns, and what to call it.
pub(super) fn base(
    hub: &Hub,
    vocabulary: Vocabulary,
    catalog: &SchemaCatalog,
) -> Result<(Flat, String), Refused> {
    let tables = tables(&hub.rel);
    let category = hub.source.category.as_deref().unwrap_or("");
    let native = || {
        tables.iter().find(|t| &***t == SYSMON).or_else(|| tables.iter().find(|t| !t.starts_with("Device")))
    };
    let named = |v: &str| {
        let source = hub.source.category.as_deref().or(hub.source.service.as_deref()).unwrap_or("this");
        Refused::Whole(format!("{v} has no table for events of the log source `{source}`"))
    };
    let windows = hub.source.product.as_deref() == Some("windows");
    let (flat, to) = match vocabulary {
        Vocabulary::Defender => {
            // A bridge is made for reading; the catalog's views are for running.
            let bridge = if windows { bridge::find("defender", category, catalog) } else { None };
            let flat = match bridge {
                Some(f) => Some(f),
                None => {
                    let own = tables.iter().find(|t| t.starts_with("Device"));
                    own.map(|t| flatten(&hub.rel, Some(t))).transpose()?
                }
            };
            (flat.ok_or_else(|| named("Defender"))?, "Defender")
        }
        Vocabulary::Asim => {
            let flat = if windows { bridge::find("asim", category, catalog) } else { None };
            (flat.ok_or_else(|| named("ASIM"))?, "ASIM")
        }
        Vocabulary::CloudSiem => return Err(Refused::Whole("Cloud SIEM has records, not tables".into())),
        Vocabulary::Native | Vocabulary::Sentinel => {
            let table = native().ok_or_else(|| named("the catalog"))?;
            if vocabulary == Vocabulary::Sentinel
                && !matches!(&**table, "Sysmon" | "SecurityEvent" | "WindowsEvents")
            {
                return Err(named("Sentinel"));
            }
            (flatten(&hub.rel, Some(table))?, "the table")
        }
    };
    let to = if to == "the table" { flat.base.to_string() } else { to.to_string() };
    Ok((flat, to))
}

/// Vocabularies by their tables' names.
pub(super) fn vocabulary_of(table: &str) -> Option<Vocabulary> {
    match table {
        "Sysmon" | "SecurityEvent" => Some(Vocabulary::Native),
        t if t.starts_with("Device") => Some(Vocabulary::Defender),
        t if t.starts_with("_Im_") || t.starts_with("_ASim_") || t.starts_with("im") => {
            Some(Vocabulary::Asim)
        }
        _ => None,
    }
}

/// A computed value that takes more than this many parts is no longer something to read.
const MAX_TERM: usize = 150;

fn readable(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::And(items) | ExprKind::Or(items) => items.iter().all(readable),
        ExprKind::Not(inner) => readable(inner),
        _ => e.children().into_iter().all(|c| plain(c) || crate::flat::size(c) <= MAX_TERM),
    }
}

/// A predicate over a log source, or over the table itself, as a query of the table.
pub(super) fn finish(
    hub: &Hub,
    flat: Flat,
    own: Option<&Expr>,
    to: String,
    vocabulary: Vocabulary,
    catalog: &SchemaCatalog,
) -> Result<Made, Refused> {
    let mut flat = flat;
    if vocabulary == Vocabulary::Sentinel && &*flat.base == SYSMON {
        flat.conditions.push(provider());
    }
    let mut t = Translation::new(&flat, to, false);
    let wanted = own.map_or_else(|| crate::values::mapped(&hub.predicate, &flat), Expr::clone);
    let numbers = own.is_none() && !crate::tree::same(&wanted, &hub.predicate);
    let predicate = t.translate(&wanted)?;
    if let Some(b) = as_bool(&predicate) {
        let losses = std::mem::take(&mut t.losses);
        let why = cause(&mut t, &wanted, b);
        return Err(Refused::Constant(b, losses, why));
    }
    let Translation { mut losses, rewriter, .. } = t;
    let paths = rewriter.paths;
    let mut taken: Vec<Expr> = rewriter.taken.into_values().collect();
    // The comparison is of rows with whole paths; the others are a loss that has been named.
    for c in &flat.bare {
        let column = Expr::column(c.clone(), Type::String, at());
        let separator = Expr::literal(Value::str("\\"), at());
        let whole = Expr::known("contains", vec![column.clone(), separator], at());
        taken.push(Expr::or(vec![Expr::known("isempty", vec![column], at()), whole], at()));
    }
    let predicate =
        without_null_texts(&predicate, "a text of Kusto is never absent, only empty", &mut losses);
    let short = |e: &Expr| match readable(e) {
        true => Ok(()),
        false => Err(Diagnostic::error("too-large", "what it looks at takes an expression too long to read")),
    };
    let predicate = sayable(&predicate, &short, &mut losses)?;
    let (predicate, extends) = named_terms(&predicate, &flat, hub);
    let predicate = gathered(&predicate);
    let xml = vocabulary == Vocabulary::Sentinel && event::holds(&flat.base);
    let say = |e: &Expr| {
        if xml {
            event::recorded(e)?;
        }
        tercel_kql::raise::expression(e).map(|_| ())
    };
    let predicate = sayable(&predicate, &say, &mut losses)?;

    let all = conjuncts(predicate);
    let scan = bridge::scan(&flat.base, Schema { open: true, ..flat.schema.clone() });
    let printed = if xml { event::query(&all, &extends)? } else { layered(scan.clone(), all, &extends) };
    let ast = tercel_kql::raise::raise(&printed)?;
    let text = format!("{}\n", tercel_kql::raise::layout(&ast));

    // Both as filters over the table itself.
    let original = match own {
        Some(p) => scan.clone().filter(p.clone(), at()),
        None => whole(hub, &flat, &scan),
    };
    let conversion = match xml {
        true => event::relowered(&text, &flat, catalog),
        false => relowered(&text, &flat, catalog),
    };
    let pair = conversion.map(|c| (c, original));
    let mut assumptions: Vec<&'static str> = rewriter.assumptions.into_iter().collect();
    if xml {
        assumptions.push(event::XML);
    }
    if numbers {
        assumptions.push(crate::values::NUMBERS);
    }
    Ok(Made { text, losses, assumptions, taken, pair, paths })
}

/// What the detection means for the rows of one table.
pub(super) fn whole(hub: &Hub, flat: &Flat, scan: &Rel) -> Rel {
    let wanted = crate::values::mapped(&hub.predicate, flat);
    let own = substitute(&wanted, &|n, ty| flat.column(n, ty).unwrap_or_else(|| Expr::null(ty, at())));
    let mut all = flat.conditions.clone();
    all.push(own);
    scan.clone().filter(Expr::and(all, at()), at())
}

fn relowered(text: &str, flat: &Flat, catalog: &SchemaCatalog) -> Option<Rel> {
    let (ast, found) = tercel_kql::parse(text);
    if found.has_errors() {
        return None;
    }
    let tables = vec![bridge::scan(&flat.base, Schema { open: true, ..flat.schema.clone() })];
    let (rel, found) = tercel_kql::lower(&ast, &Plain { catalog, tables }, &tercel_kql::Options::default());
    rel.filter(|_| !found.has_errors())
}

/// Conditions on the table's columns first, then computed columns, then what looks at them.
pub(super) fn layered(scan: Rel, all: Vec<Expr>, extends: &[(Name, Expr)]) -> Rel {
    let names: BTreeSet<&Name> = extends.iter().map(|e| &e.0).collect();
    let computed = |e: &Expr| {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        columns.iter().any(|c| names.contains(&c.0))
    };
    let (after, before): (Vec<Expr>, Vec<Expr>) = all.into_iter().partition(computed);
    let mut rel = scan;
    if !before.is_empty() {
        rel = rel.filter(Expr::and(before, at()), at());
    }
    if !extends.is_empty() {
        rel = rel.extend(extends.to_vec(), at());
    }
    if !after.is_empty() {
        rel = rel.filter(Expr::and(after, at()), at());
    }
    rel
}

/// Whether a value is looked at as it is, or is worth a column of its own.
fn plain(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Column(_) | ExprKind::Literal(_) => true,
        ExprKind::Call(f, args) => {
            !matches!(f.name, "strcat" | "extract" | "coalesce" | "basename" | "dirname" | "replace_string")
                && args.iter().all(plain)
        }
        _ => false,
    }
}

/// Computed values that are tested become columns, named as in the original.
fn named_terms(e: &Expr, flat: &Flat, hub: &Hub) -> (Expr, Vec<(Name, Expr)>) {
    // The fields that the detection reads, with their definitions: a term that stands in one of them goes by
    // the field's name, whatever part of the definition was decided.
    let mut read = Vec::new();
    hub.predicate.columns(&mut read);
    let read: BTreeSet<Name> = read.into_iter().map(|c| c.0).collect();
    let definitions: Vec<(Name, String)> =
        read.into_iter().filter_map(|n| flat.columns.get(&n).map(|d| (n.clone(), key(d)))).collect();
    let mut out: Vec<(Name, Expr)> = Vec::new();
    let mut given: HashMap<String, Name> = HashMap::new();
    let new = replace_terms(e, &mut |term| {
        let k = key(term);
        if let Some(n) = given.get(&k) {
            return Expr::column(n.clone(), term.ty, term.span);
        }
        let own = columns_of(term);
        let hint = definitions.iter().find(|(_, d)| d.contains(&k)).or_else(|| {
            definitions.iter().find(|(n, _)| {
                flat.columns.get(n).is_some_and(|d| {
                    let all = columns_of(d);
                    own.iter().all(|c| all.contains(c))
                })
            })
        });
        let mut name = hint.map_or_else(|| "Value".to_string(), |h| h.0.to_string());
        let taken =
            |n: &str, out: &[(Name, Expr)]| flat.schema.get(n).is_some() || out.iter().any(|o| *o.0 == *n);
        if taken(&name, &out) {
            name = format!("Normalized{name}");
        }
        let stem = name.clone();
        let mut i = 2;
        while taken(&name, &out) {
            name = format!("{stem}{i}");
            i += 1;
        }
        let name = Name::from(name);
        given.insert(k, name.clone());
        out.push((name.clone(), term.clone()));
        Expr::column(name, term.ty, term.span)
    });
    (new, out)
}

fn columns_of(e: &Expr) -> Vec<String> {
    let mut columns = Vec::new();
    e.columns(&mut columns);
    let set: BTreeSet<String> = columns.iter().map(|c| c.0.to_string()).collect();
    set.into_iter().collect()
}

fn replace_terms(e: &Expr, name: &mut dyn FnMut(&Expr) -> Expr) -> Expr {
    let mut out = e.clone();
    match &mut out.kind {
        ExprKind::And(items) | ExprKind::Or(items) => {
            items.iter_mut().for_each(|i| *i = replace_terms(i, name))
        }
        ExprKind::Not(inner) => **inner = replace_terms(inner, name),
        ExprKind::Call(_, args) => {
            for a in args {
                if !plain(a) {
                    *a = name(a);
                }
            }
        }
        _ => {}
    }
    out
}
