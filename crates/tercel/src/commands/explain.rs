//! `tercel explain`: why a rule fires on an event, or does not; without an event, what the rule asks for.

use super::{From, Run};
use crate::cli::Explain;
use crate::data::Data;
use crate::failure::{Failure, Outcome};
use crate::footer;
use crate::output::{Format, Target};
use crate::world;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use tercel_catalog::{Detection, Role};
use tercel_engine::{DataSource, Demand, TableDemand, hidden};
use tercel_ir::{Column, Name, Type, Value};
use tercel_rules::explain::{Event, Explanation, NoExplanation, Outline, Style, explain, outline};
use tercel_schema::Schemas;

/// Events that are looked at for the one that is nearest to a hit.
const MAX_EVENTS: usize = 20_000;

/// An event that was explained, and where it is.
struct Explained {
    explanation: Explanation,
    source: String,
    record: i64,
}

pub fn run(run: Run, mut args: Explain) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    run.config.reading(&mut args.reading);
    let target = run.target()?;
    let text = run.global.format.is_none() && run.global.output.is_none() || target.format == Format::Table;
    // JSON in the place of a file is the event itself.
    let mut written = None;
    if let Some(event) = &mut args.event
        && event.trim_start().starts_with('{')
    {
        let cannot =
            |e: std::io::Error| Failure::new(format!("cannot keep the event in a temporary file: {e}"));
        let mut file = tempfile::Builder::new().suffix(".json").tempfile().map_err(cannot)?;
        file.write_all(event.as_bytes()).map_err(cannot)?;
        *event = file.path().display().to_string();
        written = Some(file);
    }
    let data = match &args.event {
        Some(e) => {
            let data = Data::open(std::slice::from_ref(e), &args.reading, false);
            data.tell_missing(&run.talk)?;
            Some(data)
        }
        None => None,
    };
    let discovered = data.as_ref().map(Data::discovered).unwrap_or_default();
    let catalog = world::catalog(&args.world, Schemas::builtin(), discovered)?;
    let from = From { rules: &args.rules, lang: args.lang.as_deref(), pipelines: &args.world.pipelines };
    let d = run.one_rule(&args.rule, args.id.as_deref(), from)?;
    let d = run.compiled(d, &catalog, world::compile_options(&args.world)?)?;
    if d.role() == Role::Correlation {
        let plan = d.correlation.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(Failure::new("a correlation looks at many events; one event does not explain it")
            .help(format!("explain the rules that it correlates; it is: {plan}")));
    }
    let Some(rel) = &d.rel else {
        return Err(Failure::new(format!("`{}` does not compile, so there is nothing to explain", d.title)));
    };
    let no_explanation =
        |e: NoExplanation| Failure::new(format!("one event does not explain `{}`: {e}", d.title));
    let shape = outline(rel, &d.text).map_err(no_explanation)?;
    let style = if run.talk.unicode { Style::Unicode } else { Style::Ascii };
    let mut out = target.open()?;
    let Some(data) = data else {
        if text {
            writeln!(out, "{} ({})\n{}", d.title, d.id, shape.render(style).trim_end())?;
        } else {
            json(&target, &mut out, &json!({ "rule": d.id, "title": d.title, "outline": shape }))?;
        }
        out.flush()?;
        return Ok(Outcome::Ran);
    };
    data.bind(catalog.schemas().clone());
    let _ = data.set_times(&args.reading)?;
    let found = events(&d, &shape, &data, &catalog, args.record).map_err(|e| match e {
        Trouble::No(e) => no_explanation(e),
        Trouble::Failed(f) => f,
    })?;
    let Some(best) = found.best else {
        let what = match args.record {
            Some(r) => format!("the data has no record {r} in a table that the rule reads"),
            None => "the data has no event of a table that the rule reads".to_string(),
        };
        return Err(Failure::new(what).help(format!("it reads {}", tables(&shape).join(", "))));
    };
    let from = if written.is_some() { "the event given" } else { best.source.as_str() };
    if text {
        writeln!(out, "{} ({})", d.title, d.id)?;
        writeln!(out, "{from}, record {}", best.record)?;
        writeln!(out, "{}", best.explanation.render(style).trim_end())?;
    } else {
        let event = json!({ "source": from, "record": best.record });
        json(
            &target,
            &mut out,
            &json!({ "rule": d.id, "title": d.title, "event": event, "explanation": best.explanation }),
        )?;
    }
    out.flush()?;
    if found.looked_at > 1 {
        let which = if best.explanation.hit { "the first hit" } else { "the event nearest to a hit" };
        let cut = if found.cut { " (no more were looked at)" } else { "" };
        run.talk.say(format!(
            "{which} among the first {} events{cut}; --record N explains another",
            footer::number(found.looked_at as u64)
        ));
    }
    Ok(if args.fail_on_miss && !best.explanation.hit { Outcome::Gate } else { Outcome::Ran })
}

fn json(target: &Target, out: &mut dyn Write, value: &serde_json::Value) -> std::io::Result<()> {
    match target.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(value)?),
        _ => writeln!(out, "{value}"),
    }
}

/// The event of some data that is a hit, or is nearest to one, explained.
pub fn nearest(
    d: &Detection,
    shape: &Outline,
    data: &Data,
    catalog: &tercel_schema::SchemaCatalog,
) -> Option<Explanation> {
    events(d, shape, data, catalog, None).ok()?.best.map(|b| b.explanation)
}

fn tables(shape: &Outline) -> Vec<&str> {
    let mut out: Vec<&str> = shape.sources.iter().map(|s| s.table.as_str()).collect();
    out.sort_unstable();
    out.dedup();
    out
}

struct Found {
    best: Option<Explained>,
    looked_at: usize,
    cut: bool,
}

enum Trouble {
    No(NoExplanation),
    Failed(Failure),
}

/// The event that tells most: the first hit, else the one that is nearest to one.
fn events(
    d: &Detection,
    shape: &Outline,
    data: &Data,
    catalog: &tercel_schema::SchemaCatalog,
    record: Option<i64>,
) -> Result<Found, Trouble> {
    let mut wanted: BTreeMap<&str, Vec<(Name, Type)>> = BTreeMap::new();
    for s in &shape.sources {
        let columns = wanted.entry(&s.table).or_default();
        for c in &s.columns {
            if !columns.iter().any(|(n, _)| **n == **c) {
                columns.push((c.as_str().into(), column_type(catalog, &s.table, c)));
            }
        }
    }
    for columns in wanted.values_mut() {
        for (name, ty) in [(hidden::SOURCE, Type::String), (hidden::RECORD, Type::Long)] {
            if !columns.iter().any(|(n, _)| **n == *name) {
                columns.push((name.into(), ty));
            }
        }
    }
    let demand = Demand {
        tables: wanted.iter().map(|(t, c)| TableDemand { table: (*t).into(), columns: c.clone() }).collect(),
        batch_rows: 1024,
    };
    let mut found = Found { best: None, looked_at: 0, cut: false };
    let mut trouble = None;
    let Some(rel) = &d.rel else { return Ok(found) };
    let read = data.read(&demand, &mut |b| {
        let Some(columns) = wanted.get(&*b.table) else { return ControlFlow::Continue(()) };
        let typed: Vec<Column> = columns.iter().map(|(n, t)| Column::new(n.clone(), *t)).collect();
        let rows = match tercel_engine::rows(&b.batch, &typed) {
            Ok(rows) => rows,
            Err(e) => {
                trouble = Some(Trouble::Failed(e.into()));
                return ControlFlow::Break(());
            }
        };
        for row in rows {
            let get = |name: &str| {
                columns.iter().position(|(n, _)| **n == *name).map_or(Value::Null, |i| row[i].clone())
            };
            let at = get(hidden::RECORD).as_i64().unwrap_or_default();
            if record.is_some_and(|r| r != at) {
                continue;
            }
            if found.looked_at == MAX_EVENTS {
                found.cut = true;
                return ControlFlow::Break(());
            }
            found.looked_at += 1;
            let explanation = match explain(rel, &d.text, &Event { table: &b.table, row: &get }) {
                Ok(e) => e,
                Err(e) => {
                    trouble = Some(Trouble::No(e));
                    return ControlFlow::Break(());
                }
            };
            let hit = explanation.hit;
            if found.best.as_ref().is_none_or(|b| distance(&explanation) < distance(&b.explanation)) {
                let source = get(hidden::SOURCE).to_text();
                found.best = Some(Explained { explanation, source, record: at });
            }
            if hit {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    match (trouble, read) {
        (Some(t), _) => Err(t),
        (None, Err(e)) => Err(Trouble::Failed(e.into())),
        (None, Ok(())) => Ok(found),
    }
}

/// How many tests would have to come out otherwise; an event of another log source is further away than
/// any that the rule looks at.
fn distance(e: &Explanation) -> (bool, usize) {
    match e.best.and_then(|b| e.ways.get(b)) {
        Some(w) if w.hit => (false, 0),
        Some(w) => (!w.source_holds, w.repair.as_ref().map_or(usize::MAX, Vec::len)),
        None => (true, usize::MAX),
    }
}

fn column_type(catalog: &tercel_schema::SchemaCatalog, table: &str, column: &str) -> Type {
    if let Some(ty) = hidden::type_of(column) {
        return ty;
    }
    let def = catalog.schemas().table(table);
    def.and_then(|t| t.columns.iter().find(|c| &*c.name == column)).map_or(Type::String, |c| c.ty)
}
