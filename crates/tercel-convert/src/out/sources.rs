//! Queries of normalised schemas that mean the rows of some sources only.
//!
//! A normalised column holds what each source has for it: the whole path of a program from one, its file name
//! from another. So a rule about paths has no equal query of all sources; of those that record paths it may
//! have one, and the comparison is then of the sources' own rows, through the schema's views.

use super::Refused;
use super::kql::whole;
use super::shape::at;
use crate::bridge;
use crate::flat::{Flat, flatten, tables};
use crate::hub::{Hub, relation};
use tercel_ir::{Domain, Expr, ExprKind, Rel, Type, Value};
use tercel_schema::SchemaCatalog;

/// What tells the rows of a source.
const PRODUCT: &str = "EventProduct";

/// Restricts a normalised schema to the rows of these tables.
pub(super) fn only(
    flat: &mut Flat,
    hub: &Hub,
    sources: &[String],
    catalog: &SchemaCatalog,
) -> Result<(), Refused> {
    let schema = relation(catalog, &flat.base)?;
    let mut products = Vec::new();
    let mut short = Vec::new();
    for table in sources {
        let no = |what: &str| Refused::Whole(format!("{what} has no rows of `{table}`"));
        if !tables(&hub.rel).iter().any(|t| **t == **table) {
            return Err(no("the log source"));
        }
        let there = flatten(&schema, Some(table)).map_err(|_| no(&flat.base))?;
        let product = there.columns.get(PRODUCT).and_then(constant);
        products.push(product.ok_or_else(|| no(&format!("no product of {}", flat.base)))?);
        // Which columns hold a file name alone in its rows.
        short.extend(
            flat.bare.iter().filter(|c| there.columns.get(*c).is_none_or(|e| file_name(e, &there))).cloned(),
        );
    }
    flat.bare.retain(|c| short.contains(c));
    let column = Expr::column(PRODUCT, Type::String, at());
    let mut args = vec![column];
    args.extend(products.into_iter().map(|p| Expr::literal(Value::Str(p), at())));
    let name = if args.len() == 2 { "eq" } else { "in" };
    flat.conditions.insert(0, Expr::known(name, args, at()));
    Ok(())
}

/// The text, or what it is where nothing special holds.
fn constant(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Literal(Value::Str(s)) => Some(s.clone()),
        ExprKind::Case { otherwise, .. } => constant(otherwise),
        _ => None,
    }
}

fn file_name(e: &Expr, there: &Flat) -> bool {
    let mut columns = Vec::new();
    e.columns(&mut columns);
    columns.iter().any(|(c, _)| {
        // A name that is called one holds no folder.
        c.ends_with("FileName") || there.schema.get(c).is_some_and(|c| c.domain == Some(Domain::FileName))
    })
}

/// The query and the detection as filters over the tables' own rows.
pub(super) fn pair(text: &str, hub: &Hub, sources: &[String], catalog: &SchemaCatalog) -> Option<(Rel, Rel)> {
    let (ast, found) = tercel_kql::parse(text);
    if found.has_errors() {
        return None;
    }
    let (rel, found) = tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default());
    let rel = rel.filter(|_| !found.has_errors())?;
    let (mut conversions, mut originals) = (Vec::new(), Vec::new());
    for table in sources {
        let (query, own) = (flatten(&rel, Some(table)).ok()?, flatten(&hub.rel, Some(table)).ok()?);
        let scan = bridge::scan(&own.base, own.schema.clone());
        originals.push(whole(hub, &own, &scan));
        conversions.push(scan.filter(Expr::and(query.conditions, at()), at()));
    }
    Some((together(conversions)?, together(originals)?))
}

fn together(mut all: Vec<Rel>) -> Option<Rel> {
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Rel::union(all, at())),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Detection, Fidelity, Language, Options, Prover, Target, Vocabulary, convert};
    use tercel_schema::{SchemaCatalog, Schemas};

    const RULE: &str = r"
title: A program in a folder that calls out
logsource:
    category: network_connection
    product: windows
detection:
    program:
        Initiated: 'true'
        Image|contains: '\\Odd\\'
        Image|endswith: '\\tool.exe'
    usual:
        DestinationPort: [80, 443]
    condition: program and not usual
";

    fn made(sources: &[&str]) -> crate::Conversion {
        let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
        let (file, _) = tercel_sigma::parse(RULE);
        let [tercel_sigma::ast::Document::Rule(rule)] = file.documents.as_slice() else { panic!("no rule") };
        let rel = tercel_sigma::lower(rule, &catalog, &tercel_sigma::Options::default()).0.unwrap();
        let options =
            Options { sources: sources.iter().map(|s| (*s).to_string()).collect(), ..Options::default() };
        let target = Target { language: Language::Kql, vocabulary: Vocabulary::Asim };
        let what = Detection { rel: &rel, meta: &rule.meta };
        convert(&what, target, &catalog, &options, &Prover::default()).unwrap()
    }

    #[test]
    fn what_records_paths_has_an_equal_query() {
        let c = made(&["Sysmon"]);
        assert_eq!(c.fidelity, Fidelity::Exact, "{c:#?}");
        assert!(c.losses.is_empty() && c.assumptions.is_empty(), "{c:#?}");
        assert!(c.text.contains("EventProduct == \"Sysmon\"") && !c.text.contains("~"), "{}", c.text);
    }

    #[test]
    fn what_records_file_names_has_none() {
        for sources in [&[][..], &["DeviceNetworkEvents"], &["Sysmon", "DeviceNetworkEvents"]] {
            let c = made(sources);
            assert!(!matches!(c.fidelity, Fidelity::Exact), "{sources:?}: {c:#?}");
        }
    }

    #[test]
    fn tables_that_are_not_there_are_named() {
        let c = made(&["ZeekConn"]);
        assert_eq!(c.fidelity, Fidelity::Refused);
        assert!(c.reason.is_some_and(|r| r.contains("ZeekConn")));
    }
}
