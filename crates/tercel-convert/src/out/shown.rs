//! The columns that an author chose to show: `project`, `fields`, the columns of a `SELECT`.
//!
//! They are no part of what is found, so that they come after the proof.

use super::{Effect, Loss, Place};
use crate::asks::{Detection, Language, Target};
use crate::flat::{Flat, flatten, size, substitute};
use crate::hub::{Hub, SYSMON, relation};
use std::collections::BTreeSet;
use tercel_ir::{Expr, ExprKind, Name, Schema, Span, Type};
use tercel_schema::SchemaCatalog;

/// A shown value that takes more than this many parts is shown by what it is made of.
const MAX_SIZE: usize = 24;

/// What is shown, in terms of the log source's fields; nothing when the author did not choose.
pub(super) struct Shown {
    columns: Vec<(Name, Expr)>,
    /// The same over the detection's own table.
    own: Vec<(Name, Expr)>,
}

fn at() -> Span {
    Span::default()
}

/// Times are called differently, and never defined by each other.
fn is_time(name: &str) -> bool {
    matches!(name, "Timestamp" | "TimeGenerated" | "UtcTime" | "_messageTime")
}

impl Shown {
    pub fn of(hub: &Hub, detection: &Detection<'_>, catalog: &SchemaCatalog) -> Option<Shown> {
        let Some((flat, _)) = &hub.own else {
            let flat = flatten(detection.rel, None).ok()?;
            let fields: Vec<(Name, Expr)> = match projected(&flat, detection) {
                Some(all) => all,
                None => detection
                    .meta
                    .fields
                    .iter()
                    .map(|f| {
                        let ty = hub.rel.schema.get(&f.node).map_or(Type::String, |c| c.ty);
                        (Name::from(f.node.as_str()), Expr::column(f.node.as_str(), ty, at()))
                    })
                    .collect(),
            };
            return (!fields.is_empty()).then(|| Shown { columns: fields.clone(), own: fields });
        };
        let own = projected(flat, detection)?;
        let through = flatten(&relation(catalog, &flat.base).ok()?, Some(SYSMON));
        let columns = match &through {
            Err(_) => own.clone(),
            Ok(t) => own
                .iter()
                .map(|(n, e)| {
                    let e = substitute(e, &|c, ty| match is_time(c) {
                        true => Expr::column(c.clone(), ty, at()),
                        false => t.column(c, ty).unwrap_or_else(|| Expr::null(ty, at())),
                    });
                    (n.clone(), e)
                })
                .collect(),
        };
        Some(Shown { columns, own })
    }

    /// The fields of the log source, for a Sigma rule.
    pub fn fields(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for (_, e) in &self.columns {
            for c in mentioned(e) {
                if !is_time(&c) && !out.contains(&c) {
                    out.push(c);
                }
            }
        }
        out
    }

    /// The text with these columns, in a target whose table has them so.
    pub fn apply(
        &self,
        text: String,
        target: Target,
        place: &Place,
        options: &crate::Options,
        catalog: &SchemaCatalog,
        losses: &mut Vec<Loss>,
    ) -> String {
        let mut columns: Vec<(Name, Expr)> = Vec::new();
        let mut add = |n: Name, e: Expr| {
            if !columns.iter().any(|(m, x)| *m == n || crate::tree::same(x, &e)) {
                columns.push((n, e));
            }
        };
        let time = time_of(place, target, catalog);
        let mut missing: BTreeSet<String> = BTreeSet::new();
        if place.own {
            self.own.iter().for_each(|(n, e)| add(n.clone(), e.clone()));
        } else {
            // Whoever looks at events wants to know when.
            add(time.clone(), Expr::column(time.clone(), Type::DateTime, at()));
            for (n, e) in &self.columns {
                if e.as_column().is_some_and(|c| is_time(c)) {
                    continue;
                }
                let there = substitute(e, &|c, ty| column(place, &text, c, ty));
                let there = crate::logic::tidy(there);
                match &there.kind {
                    ExprKind::Literal(_) => {
                        missing.insert(n.to_string());
                    }
                    ExprKind::Column(c) => add(c.clone(), there.clone()),
                    _ if target.language == Language::Kql
                        && size(&there) <= MAX_SIZE
                        && tercel_kql::raise::expression(&there).is_ok() =>
                    {
                        let said = column_text(n, &there);
                        // The query has computed it already.
                        match text.contains(&said) {
                            true => add(n.clone(), Expr::column(n.clone(), there.ty, at())),
                            false => add(n.clone(), there),
                        }
                    }
                    _ => {
                        for c in mentioned(&there) {
                            add(c.as_str().into(), Expr::column(c.as_str(), Type::String, at()));
                        }
                    }
                }
            }
        }
        for m in missing {
            losses.push(Loss { what: m, why: "there is no column to show it".into(), effect: Effect::None });
        }
        match target.language {
            Language::Kql => kql(text, columns),
            Language::Sql => sql(text, &columns, options.dialect),
            Language::Sumo => sumo(text, &columns),
            Language::Sigma => text,
        }
    }
}

/// `name = value`, as `extend` has it.
fn column_text(name: &Name, e: &Expr) -> String {
    let scan = crate::bridge::scan("T", Schema { open: true, ..Schema::default() });
    let ast = tercel_kql::raise::raise(&scan.extend(vec![(name.clone(), e.clone())], at()));
    let text = ast.map(|a| tercel_kql::print(&a)).unwrap_or_default();
    text.split_once("extend ").map_or(text.clone(), |x| x.1.trim().to_string())
}

fn projected(flat: &Flat, detection: &Detection<'_>) -> Option<Vec<(Name, Expr)>> {
    if !flat.projected {
        return None;
    }
    let names = detection.rel.schema.names().filter(|n| !n.starts_with('$')).map(Name::from);
    let all: Vec<(Name, Expr)> =
        names.filter_map(|n| flat.columns.get(&n).map(|e| (n.clone(), e.clone()))).collect();
    (!all.is_empty()).then_some(all)
}

fn mentioned(e: &Expr) -> Vec<String> {
    let mut all = Vec::new();
    e.columns(&mut all);
    let mut out: Vec<String> = Vec::new();
    for (c, _) in all {
        if !c.starts_with('$') && !out.iter().any(|o| **o == *c) {
            out.push(c.to_string());
        }
    }
    out
}

/// A field in the columns of the target's table; null where it has none.
fn column(place: &Place, text: &str, name: &Name, ty: Type) -> Expr {
    if place.extracted {
        // Only what the query takes out of the XML is there by name.
        let there = text.contains(&format!("{name} = ")) || matches!(&**name, "Computer" | "EventID");
        return if there { Expr::column(name.clone(), ty, at()) } else { Expr::null(ty, at()) };
    }
    place.flat.column(name, ty).unwrap_or_else(|| Expr::null(ty, at()))
}

fn time_of(place: &Place, target: Target, catalog: &SchemaCatalog) -> Name {
    match target.language {
        Language::Sumo => "_messageTime".into(),
        _ if place.extracted => "TimeGenerated".into(),
        _ => catalog
            .schemas()
            .table(&place.flat.base)
            .map_or_else(|| "TimeGenerated".into(), |t| t.time.clone()),
    }
}

fn kql(text: String, columns: Vec<(Name, Expr)>) -> String {
    let scan = crate::bridge::scan("T", Schema { open: true, ..Schema::default() });
    let Ok(ast) = tercel_kql::raise::raise(&scan.project(columns, at())) else { return text };
    let line = tercel_kql::raise::layout(&ast);
    match line.split_once('\n') {
        Some((_, line)) => format!("{}\n{line}\n", text.trim_end()),
        None => text,
    }
}

fn sql(text: String, columns: &[(Name, Expr)], dialect: crate::Dialect) -> String {
    let mut names = Vec::with_capacity(columns.len());
    for (n, e) in columns {
        match crate::sql::Printer::new(dialect).value(e, 0) {
            Ok(v) if v.text == dialect.name(n) => names.push(v.text),
            Ok(v) => names.push(format!("{} AS {}", v.text, dialect.name(n))),
            Err(_) => return text,
        }
    }
    let line = names.join(", ");
    let line =
        if line.len() > 90 { format!("\n{}", crate::sql::list(&names, 4)) } else { format!(" {line}") };
    text.replacen("SELECT *", &format!("SELECT{line}"), 1)
}

fn sumo(text: String, columns: &[(Name, Expr)]) -> String {
    let names: Vec<&str> = columns.iter().filter_map(|(_, e)| e.as_column()).map(|c| &**c).collect();
    let plain = |n: &&str| n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if names.is_empty() || !names.iter().all(plain) {
        return text;
    }
    format!("{}\n| fields {}\n", text.trim_end(), names.join(", "))
}
