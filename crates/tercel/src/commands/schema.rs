//! `tercel schema list`, `tercel schema logsources` and `tercel schema show`.

use super::Run;
use crate::cli::{SchemaCommand, World};
use crate::failure::{Failure, Outcome};
use crate::output::{Cell, Column, Format};
use crate::world;
use std::io::Write;
use tercel_ir::{Catalog, Domain, Type};
use tercel_schema::{Description, Schemas};

/// Values of an enumeration that are shown to people.
const SHOWN: usize = 12;

pub fn run(run: Run, command: SchemaCommand) -> Result<Outcome, Failure> {
    match command {
        SchemaCommand::List { world } => list(&run, world),
        SchemaCommand::LogSources { world } => log_sources(&run, world),
        SchemaCommand::Show { name, world } => show(&run, &name, world),
    }
}

fn list(run: &Run, mut options: World) -> Result<Outcome, Failure> {
    run.config.world(&mut options);
    let catalog = world::catalog(&options, Schemas::builtin(), Vec::new())?;
    let mut out = run.target()?.rows(Column::text(["name", "kind", "about"]))?;
    for e in catalog.list() {
        out.row(vec![Cell::text(e.name), Cell::text(e.kind.as_str()), Cell::text(e.about)])?;
    }
    out.finish()?;
    Ok(Outcome::Ran)
}

fn log_sources(run: &Run, mut options: World) -> Result<Outcome, Failure> {
    run.config.world(&mut options);
    let catalog = world::catalog(&options, Schemas::builtin(), Vec::new())?;
    let mut out = run.target()?.rows(Column::text(["product", "category", "service", "view", "about"]))?;
    for e in catalog.log_sources() {
        out.row(vec![
            Cell::maybe(e.source.product),
            Cell::maybe(e.source.category),
            Cell::maybe(e.source.service),
            Cell::maybe(e.view),
            Cell::text(e.about),
        ])?;
    }
    out.finish()?;
    Ok(Outcome::Ran)
}

fn show(run: &Run, name: &str, mut options: World) -> Result<Outcome, Failure> {
    run.config.world(&mut options);
    let catalog = world::catalog(&options, Schemas::builtin(), Vec::new())?;
    let description = match catalog.describe(name) {
        Some(Ok(d)) => d,
        Some(Err(d)) => return Err(Failure::new(d.message)),
        None => {
            let names = catalog.names();
            let near = tercel_ir::diag::nearest(name, names.iter().map(String::as_str));
            let help = match near {
                Some(n) => format!("did you mean `{n}`?"),
                None => "`tercel schema list` lists all".to_string(),
            };
            return Err(Failure::new(format!("there is no table or view `{name}`")).help(help));
        }
    };
    let target = run.target()?;
    if run.global.format.is_none() && run.global.output.is_none() || target.format == Format::Table {
        let mut out = target.open()?;
        describe(&description, &mut out)?;
        out.flush()?;
        return Ok(Outcome::Ran);
    }
    let mut out = target.rows(vec![
        Column::new("column", Type::String),
        Column::new("type", Type::String),
        Column::new("values", Type::Dynamic),
        Column::new("domain", Type::String),
    ])?;
    for c in &description.columns {
        let values = match &c.domain {
            Some(Domain::Values { values, .. }) => Cell::list(values),
            _ => Cell::NULL,
        };
        out.row(vec![
            Cell::text(&*c.name),
            Cell::text(c.ty.as_str()),
            values,
            Cell::maybe(c.domain.as_ref().map(words)),
        ])?;
    }
    out.finish()?;
    Ok(Outcome::Ran)
}

fn describe(d: &Description, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{} ({})", d.name, d.kind.as_str())?;
    if !d.about.is_empty() {
        writeln!(out, "{}", d.about)?;
    }
    for note in &d.notes {
        writeln!(out, "note: {note}")?;
    }
    if !d.params.is_empty() {
        writeln!(out, "\nparameters")?;
        for p in &d.params {
            match &p.default {
                Some(v) => writeln!(out, "  {}: {} = {}", p.name, p.ty, v.to_json())?,
                None => writeln!(out, "  {}: {}", p.name, p.ty)?,
            }
        }
    }
    writeln!(out, "\ncolumns{}", if d.open { " (others may be referred to)" } else { "" })?;
    let width = d.columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    for c in &d.columns {
        let domain = c.domain.as_ref().map(|d| format!("  {}", words(d))).unwrap_or_default();
        writeln!(out, "  {:width$}  {:<8}{domain}", c.name, c.ty.as_str())?;
    }
    if !d.tables.is_empty() && d.text.is_some() {
        let tables: Vec<&str> = d.tables.iter().map(|t| &**t).collect();
        writeln!(out, "\nreads {}", tables.join(", "))?;
    }
    if let Some(text) = &d.text {
        writeln!(out, "\n{}", text.trim_end())?;
    }
    Ok(())
}

/// What a column can hold, for people.
fn words(d: &Domain) -> String {
    match d {
        Domain::Values { values, closed } => {
            let mut shown = values.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            if values.len() > SHOWN {
                shown.push_str(&format!(", … ({} in all)", values.len()));
            }
            format!("{}: {shown}", if *closed { "one of" } else { "such as" })
        }
        Domain::Range { from, to } => format!("{from} to {to}"),
        Domain::FileName => "a file name without folder".into(),
        Domain::Path => "a full path".into(),
        Domain::Ip => "an IP address".into(),
        Domain::Never => "never filled".into(),
    }
}
