//! Queries that filter, group and count, as SQL.
//!
//! The filter is converted and proved like any other; the groups above it are said with SQL's own words for the
//! same operators, which is not proved, and the result says so.

use super::{Effect, Fidelity, Place, place};
use crate::asks::{Detection, Options, Prove, Target};
use crate::flat::{flatten, substitute};
use crate::hub::Hub;
use crate::out::Conversion;
use crate::sql::{Dialect, Printer, clause, list};
use tercel_ir::rel::{Aggregation, SortKey};
use tercel_ir::{Diagnostic, Expr, ExprKind, Name, Rel, RelKind, Span, Type};
use tercel_schema::SchemaCatalog;

/// Operators above a grouping beyond this are refused.
const MAX_DEPTH: usize = 20;

/// What stands above a filter.
struct Above<'r> {
    input: &'r Rel,
    keys: &'r [(Name, Expr)],
    aggregations: &'r [(Name, Aggregation)],
    having: Vec<&'r Expr>,
    sort: &'r [SortKey],
    limit: Option<u64>,
}

/// Takes apart a grouping with what may stand above it; `None` when it is something else.
fn above(rel: &Rel) -> Option<Above<'_>> {
    let (mut having, mut sort, mut limit) = (Vec::new(), [].as_slice(), None);
    let mut at = rel;
    for _ in 0..MAX_DEPTH {
        match &at.kind {
            RelKind::Limit { input, skip: 0, count }
                if limit.is_none() && sort.is_empty() && having.is_empty() =>
            {
                limit = Some(*count);
                at = input;
            }
            RelKind::Sort { input, keys } if sort.is_empty() && having.is_empty() => {
                sort = keys;
                at = input;
            }
            RelKind::Filter { input, predicate } => {
                having.push(predicate);
                at = input;
            }
            // The same columns, in any order.
            RelKind::Project { input, columns } if columns.iter().all(|(n, e)| e.as_column() == Some(n)) => {
                at = input;
            }
            RelKind::Aggregate { input, keys, aggregations } => {
                return Some(Above { input, keys, aggregations, having, sort, limit });
            }
            _ => return None,
        }
    }
    None
}

/// The conversion of a query that groups; `None` when it does not.
pub(crate) fn convert(
    detection: &Detection<'_>,
    target: Target,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Option<Result<Conversion, Diagnostic>> {
    let a = above(detection.rel)?;
    Some(grouped(&a, detection, target, catalog, options, prove))
}

fn grouped(
    a: &Above<'_>,
    detection: &Detection<'_>,
    target: Target,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    let meta = tercel_sigma::ast::Meta { fields: Vec::new(), ..detection.meta.clone() };
    let filter = Detection { rel: a.input, meta: &meta };
    let hub = Hub::from(&filter, catalog)?;
    // Its computed columns, over those of its table.
    let computed = flatten(a.input, None)?;
    let own = hub
        .own
        .as_ref()
        .filter(|(flat, _)| super::kql::vocabulary_of(&flat.base) == Some(target.vocabulary))
        .map(|(flat, _)| flat.clone());
    let there = match &own {
        Some(flat) => Ok(Place { flat: flat.clone(), extracted: false, own: true }),
        None => place(&hub, target, catalog),
    };
    let mapped = own.is_none() && hub.own.is_some();
    let mut filter = crate::convert(&filter, target, catalog, options, prove)?;
    if filter.text.is_empty() {
        return Ok(filter);
    }
    let said = there.and_then(|place| {
        let column = |n: &Name, ty: Type| match computed.column(n, ty) {
            Some(e) if own.is_some() => e,
            Some(e) => substitute(&e, &|n, ty| {
                place.flat.column(n, ty).unwrap_or_else(|| Expr::null(ty, Span::default()))
            }),
            None => Expr::null(ty, Span::default()),
        };
        if mapped {
            return Err("its columns are those of another schema than the target's".to_string());
        }
        statement(a, &filter.text, &column, options).map_err(|d| d.message)
    });
    match said {
        Err(why) => Ok(crate::correlation::refused(&why, filter.losses)),
        Ok((text, assumptions)) => {
            filter.text = text;
            filter.assumptions.extend(assumptions.into_iter().map(str::to_string));
            filter.assumptions.sort();
            filter.assumptions.dedup();
            let proved = match filter.fidelity {
                Fidelity::Exact => "the filter is proved equal".to_string(),
                f => format!("the filter is {}", format!("{f:?}").to_lowercase()),
            };
            filter.reason = Some(format!("{proved}; the groups above it are not proved"));
            filter.fidelity = Fidelity::Unproved;
            filter.pair = None;
            filter.losses.retain(|l| {
                l.effect != Effect::None || l.what.is_empty() || !l.why.starts_with("conversions are")
            });
            Ok(filter)
        }
    }
}

type Said = (String, std::collections::BTreeSet<&'static str>);

fn statement(
    a: &Above<'_>,
    filter: &str,
    column: &dyn Fn(&Name, Type) -> Expr,
    options: &Options,
) -> Result<Said, Diagnostic> {
    let mut p = Printer::new(options.dialect);
    let over = |e: &Expr| {
        let e = substitute(e, column);
        match &e.kind {
            ExprKind::Literal(_) => Err(unsaid("a group by what the table does not record")),
            _ => Ok(e),
        }
    };
    let (mut shown, mut by) = (Vec::new(), Vec::new());
    for (name, e) in a.keys {
        let text = p.value(&over(e)?, 0)?.text;
        let name = options.dialect.name(name);
        shown.push(if text == name { text.clone() } else { format!("{text} AS {name}") });
        by.push(text);
    }
    for (name, g) in a.aggregations {
        let arg = |p: &mut Printer| match g.args.as_slice() {
            [x] => Ok(p.value(&over(x)?, 0)?.text),
            _ => Err(unsaid("an aggregation of several values")),
        };
        let call = match g.function.name {
            "count" => "COUNT(*)".to_string(),
            "dcount" => format!("COUNT(DISTINCT {})", arg(&mut p)?),
            "sum" => format!("SUM({})", arg(&mut p)?),
            "avg" => format!("AVG({})", arg(&mut p)?),
            "min" => format!("MIN({})", arg(&mut p)?),
            "max" => format!("MAX({})", arg(&mut p)?),
            other => return Err(unsaid(&format!("the aggregation `{other}`"))),
        };
        let call = match &g.filter {
            None => call,
            Some(f) => {
                let two = crate::logic::two_valued(&substitute(f, column), true)?;
                let two = super::shape::gathered(&two);
                format!("{call} FILTER (WHERE {})", p.condition(&two)?.line())
            }
        };
        shown.push(format!("{call} AS {}", options.dialect.name(name)));
    }
    let line = shown.join(", ");
    let line = if line.len() > 90 { format!("\n{}", list(&shown, 4)) } else { format!(" {line}") };
    let mut out = filter.trim_end().replacen("SELECT *", &format!("SELECT{line}"), 1);
    if !by.is_empty() {
        out.push_str(&format!("\nGROUP BY {}", by.join(", ")));
    }
    if !a.having.is_empty() {
        let all = Expr::and(a.having.iter().map(|e| (*e).clone()).collect(), Span::default());
        let all = crate::logic::two_valued(&all, true)?;
        out.push_str(&clause("HAVING", &p.condition(&super::shape::gathered(&all))?));
    }
    let mut order = Vec::with_capacity(a.sort.len());
    for k in a.sort {
        let nulls = if k.nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
        let direction = if k.descending { "DESC" } else { "ASC" };
        order.push(format!("{} {direction} {nulls}", p.value(&k.expr, 0)?.text));
    }
    if !order.is_empty() {
        out.push_str(&format!("\nORDER BY {}", order.join(", ")));
    }
    if let Some(n) = a.limit {
        out.push_str(&format!("\nLIMIT {n}"));
    }
    // Elsewhere a name in a condition is the column's; in ClickHouse it would be what is shown under that name.
    if options.dialect == Dialect::ClickHouse && shown.iter().any(|s| s.contains(" AS ")) {
        out.push_str("\nSETTINGS prefer_column_name_to_alias = 1");
    }
    out.push('\n');
    Ok((out, p.assumptions))
}

fn unsaid(what: &str) -> Diagnostic {
    Diagnostic::error("not-in-sql", format!("SQL has no way to say {what}, here"))
}
