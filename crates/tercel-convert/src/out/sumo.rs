//! Sumo Logic: a search over Sysmon's events.

use super::kql::whole;
use super::shape::{at, conjuncts, gathered, sayable};
use super::{Made, Refused};
use crate::asks::Options;
use crate::bridge::{self, Plain};
use crate::cause::cause;
use crate::flat::{Flat, flatten, tables};
use crate::hub::{Hub, SYSMON, Translation, provider};
use crate::logic::as_bool;
use crate::rewrite::call;
use tercel_ir::{Expr, Rel, Schema, Type, Value};
use tercel_schema::{SUMO_RECORDS, SchemaCatalog};

/// The table whose events a search finds, and the log source's fields in its columns.
pub(super) fn base(hub: &Hub) -> Result<Flat, Refused> {
    let tables = tables(&hub.rel);
    let table = tables
        .iter()
        .find(|t| &***t == SYSMON)
        .or_else(|| tables.iter().find(|t| matches!(&***t, "SecurityEvent" | "WindowsEvents")))
        .ok_or_else(|| {
            Refused::Whole("the log source has no events under their own names in Sumo Logic".into())
        })?;
    Ok(flatten(&hub.rel, Some(table))?)
}

/// A search is about one collector's records.
const ONLY_SYSMON: &str = "Sysmon records what the rule is about: what only the Security log has of it (4688, 5156) needs a search of its own";

pub(super) fn make(hub: &Hub, catalog: &SchemaCatalog, options: &Options) -> Result<Made, Refused> {
    let mut flat = base(hub)?;
    let table = &flat.base.clone();
    let own = bridge::scan(&flat.base, Schema { open: true, ..flat.schema.clone() });
    // The category says whose events these are.
    let own = if &**table == SYSMON {
        flat.conditions.push(provider());
        own.filter(provider(), at())
    } else {
        own
    };
    let mut t = Translation::new(&flat, &**table, true);
    let predicate = t.translate(&hub.predicate)?;
    if let Some(b) = as_bool(&predicate) {
        let losses = std::mem::take(&mut t.losses);
        let why = cause(&mut t, &hub.predicate, b);
        return Err(Refused::Constant(b, losses, why));
    }
    let Translation { mut losses, rewriter, .. } = t;
    let paths = rewriter.paths;
    let taken: Vec<Expr> = rewriter.taken.into_values().collect();
    let predicate = gathered(&predicate);
    let say = |e: &Expr| tercel_sumo::raise::condition(e).map(|_| ());
    let predicate = sayable(&predicate, &say, &mut losses)?;

    let category = match &**table {
        SYSMON => options.source_category.as_str(),
        "SecurityEvent" => "windows/security",
        _ => "windows/events",
    };
    let column = Expr::column("_sourceCategory", Type::String, at());
    let mut all = vec![Expr::known("eq_ci", vec![column, Expr::literal(Value::str(category), at())], at())];
    let said = provider();
    let (kinds, rest): (Vec<Expr>, Vec<Expr>) = conjuncts(predicate)
        .into_iter()
        .filter(|e| !crate::tree::same(e, &said))
        .partition(|e| matches!(call(e), Some(("eq", [c, _])) if c.ty.is_integer()));
    all.extend(kinds);
    all.extend(rest);
    let open = Schema { open: true, ..flat.schema.clone() };
    let scan = bridge::scan(SUMO_RECORDS, open);
    let query = tercel_sumo::raise::raise(&scan.filter(Expr::and(all, at()), at()))?;
    let text = format!("{}\n", tercel_sumo::print(&query));

    let original = whole(hub, &flat, &own);
    let pair = relowered(&text, &own, category, catalog).map(|c| (c, original));
    let mut assumptions: Vec<&'static str> = rewriter.assumptions.into_iter().collect();
    if &**table == SYSMON && tables(&hub.rel).iter().any(|t| &**t == "SecurityEvent") {
        assumptions.push(ONLY_SYSMON);
    }
    Ok(Made { text, losses, assumptions, taken, pair, paths })
}

fn relowered(text: &str, own: &Rel, category: &str, catalog: &SchemaCatalog) -> Option<Rel> {
    let (query, found) = tercel_sumo::parse(text);
    if found.has_errors() {
        return None;
    }
    let records = own.clone().extend(
        vec![
            ("_sourceCategory".into(), Expr::literal(Value::str(category), at())),
            ("_raw".into(), Expr::column("$event", Type::String, at())),
        ],
        at(),
    );
    let one = OneRecord { plain: Plain { catalog, tables: Vec::new() }, records };
    let (rel, found) = tercel_sumo::lower(&query, &one, &tercel_sumo::Options::default());
    rel.filter(|_| !found.has_errors())
}

/// The records are those of one table.
struct OneRecord<'c> {
    plain: Plain<'c>,
    records: Rel,
}

impl tercel_ir::Catalog for OneRecord<'_> {
    fn relation(&self, name: &str) -> Option<Result<Rel, tercel_ir::Diagnostic>> {
        if name == SUMO_RECORDS { Some(Ok(self.records.clone())) } else { self.plain.relation(name) }
    }
    fn function(&self, name: &str) -> Option<&tercel_ir::StoredFunction> {
        self.plain.function(name)
    }
    fn names(&self) -> Vec<String> {
        self.plain.names()
    }
    fn log_source(&self, source: tercel_ir::catalog::LogSource<'_>) -> Result<Rel, tercel_ir::Diagnostic> {
        self.plain.log_source(source)
    }
}
