//! SQL.

use super::kql::{base, whole};
use super::shape::{at, gathered, sayable};
use super::{Made, Refused};
use crate::asks::{Options, Vocabulary};
use crate::cause::cause;
use crate::flat::Flat;
use crate::hub::{Hub, Translation};
use crate::logic::as_bool;
use crate::sql::{Printer, clause, read};
use tercel_ir::{Expr, Schema, Type, Value};
use tercel_schema::SchemaCatalog;

pub(super) fn make(
    hub: &Hub,
    vocabulary: Vocabulary,
    catalog: &SchemaCatalog,
    options: &Options,
) -> Result<Made, Refused> {
    let (flat, to) = base(hub, vocabulary, catalog)?;
    finish(hub, flat, None, to, options)
}

/// A predicate over a log source, or over the table itself, as a query of the table.
pub(super) fn finish(
    hub: &Hub,
    flat: Flat,
    own: Option<&Expr>,
    to: String,
    options: &Options,
) -> Result<Made, Refused> {
    let mut t = Translation::new(&flat, to, false);
    let wanted = own.map_or_else(|| crate::values::mapped(&hub.predicate, &flat), Expr::clone);
    let predicate = t.translate(&wanted)?;
    if let Some(b) = as_bool(&predicate) {
        let losses = std::mem::take(&mut t.losses);
        let why = cause(&mut t, &wanted, b);
        return Err(Refused::Constant(b, losses, why));
    }
    let Translation { mut losses, rewriter, .. } = t;
    let paths = rewriter.paths;
    let mut taken: Vec<Expr> = rewriter.taken.into_values().collect();
    for c in &flat.bare {
        let column = Expr::column(c.clone(), Type::String, at());
        let separator = Expr::literal(Value::str("\\"), at());
        let folder = Expr::known("contains", vec![column.clone(), separator], at());
        taken.push(Expr::or(vec![Expr::known("isempty", vec![column], at()), folder], at()));
    }
    let predicate = gathered(&predicate);
    let say = |e: &Expr| Printer::new(options.dialect).condition(e).map(|_| ());
    let predicate = sayable(&predicate, &say, &mut losses)?;
    let mut printer = Printer::new(options.dialect);
    let condition = printer.condition(&predicate)?;
    let text =
        format!("SELECT *\nFROM {}{}\n", options.dialect.name(&flat.base), clause("WHERE", &condition));

    let scan = crate::bridge::scan(&flat.base, Schema { open: true, ..flat.schema.clone() });
    let original = match own {
        Some(p) => scan.clone().filter(p.clone(), at()),
        None => whole(hub, &flat, &scan),
    };
    let conversion = read(&text, options.dialect, &scan, &printer.ranges);
    let mut assumptions: Vec<&'static str> = rewriter.assumptions.into_iter().collect();
    assumptions.extend(printer.assumptions);
    Ok(Made { text, losses, assumptions, taken, pair: conversion.map(|c| (c, original)), paths })
}
