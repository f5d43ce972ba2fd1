//! `tercel rules list` and `tercel rules show`. For `overlap` see [`super::overlap`].

use super::{Run, find};
use crate::cli::{Rules, World};
use crate::failure::{Failure, Outcome};
use crate::output::{Cell, Column, Format};
use crate::world;
use std::io::Write;
use tercel_catalog::{CompileOptions, Detection};
use tercel_ir::Type;
use tercel_schema::Schemas;

pub fn run(run: Run, command: Rules) -> Result<Outcome, Failure> {
    match command {
        Rules::List { rules } => list(&run, &rules),
        Rules::Show { rule } => show(&run, &rule),
        Rules::Overlap(args) => super::overlap::run(&run, args),
    }
}

fn list(run: &Run, named: &[String]) -> Result<Outcome, Failure> {
    let target = run.target()?;
    let mut rules = run.load_rules(named, None);
    rules.not_empty()?;
    bind(run, &mut rules.loaded.detections)?;
    let columns = vec![
        Column::new("id", Type::String),
        Column::new("title", Type::String),
        Column::new("level", Type::String),
        Column::new("language", Type::String),
        Column::new("attack", Type::Dynamic),
        Column::new("data", Type::Dynamic),
        Column::new("path", Type::String),
    ];
    let mut out = target.rows(columns)?;
    for d in &rules.loaded.detections {
        out.row(vec![
            Cell::text(&d.id),
            Cell::text(&d.title),
            Cell::text(d.level.as_str()),
            Cell::text(d.language.as_str()),
            Cell::list(&d.metadata.techniques()),
            Cell::list(&d.data()),
            Cell::text(&d.path),
        ])?;
    }
    out.finish()?;
    Ok(rules.outcome())
}

/// What a rule reads is known once it is bound.
fn bind(run: &Run, detections: &mut [Detection]) -> Result<(), Failure> {
    let mut options = World::default();
    run.config.world(&mut options);
    let catalog = world::catalog(&options, Schemas::builtin(), Vec::new())?;
    detections.iter_mut().for_each(|d| d.compile(&catalog, CompileOptions::default()));
    Ok(())
}

fn show(run: &Run, name: &str) -> Result<Outcome, Failure> {
    let pack = tercel_catalog::pack::load();
    let mut shown: Vec<Detection> = if let Some(d) = find(&pack, name) {
        vec![d.clone()]
    } else if std::path::Path::new(name).exists() || name == "-" {
        let rules = run.load_rules(&[name.to_string()], None);
        rules.not_empty()?;
        rules.loaded.detections
    } else {
        let near = tercel_ir::diag::nearest(name, pack.iter().map(|d| d.id.as_str()));
        let help = match near {
            Some(n) => format!("did you mean `{n}`?"),
            None => "`tercel rules list` lists the built-in ones".to_string(),
        };
        return Err(Failure::new(format!("there is no rule `{name}`")).help(help));
    };
    bind(run, &mut shown)?;
    let target = run.target()?;
    if target.format == Format::Table || run.global.format.is_none() && run.global.output.is_none() {
        let mut out = target.open()?;
        for (i, d) in shown.iter().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            describe(d, &mut out)?;
        }
        out.flush()?;
        return Ok(Outcome::Ran);
    }
    let columns = [
        "id",
        "title",
        "level",
        "language",
        "path",
        "status",
        "author",
        "date",
        "modified",
        "license",
        "description",
        "text",
    ];
    let lists = ["attack", "tags", "references", "falsepositives", "required", "data"];
    let all = columns.map(|n| Column::new(n, Type::String)).into_iter();
    let mut out = target.rows(all.chain(lists.map(|n| Column::new(n, Type::Dynamic))).collect())?;
    for d in shown {
        let m = &d.metadata;
        let text = d.text.get(d.span.range()).unwrap_or(&d.text);
        out.row(vec![
            Cell::text(&d.id),
            Cell::text(&d.title),
            Cell::text(d.level.as_str()),
            Cell::text(d.language.as_str()),
            Cell::text(&d.path),
            Cell::maybe(m.status.as_deref()),
            Cell::maybe(m.author.as_deref()),
            Cell::maybe(m.date.as_deref()),
            Cell::maybe(m.modified.as_deref()),
            Cell::maybe(m.license.as_deref()),
            Cell::maybe(m.description.as_deref()),
            Cell::text(text),
            Cell::list(&m.techniques()),
            Cell::list(&m.tags),
            Cell::list(&m.references),
            Cell::list(&m.falsepositives),
            Cell::list(&m.required),
            Cell::list(&d.data()),
        ])?;
    }
    out.finish()?;
    Ok(Outcome::Ran)
}

/// For people: what it says about itself, then its text.
fn describe(d: &Detection, out: &mut dyn Write) -> std::io::Result<()> {
    let m = &d.metadata;
    writeln!(out, "{}", d.title)?;
    let mut line = |name: &str, value: &str| -> std::io::Result<()> {
        if value.is_empty() {
            Ok(())
        } else {
            writeln!(out, "  {name:<16} {}", value.replace('\n', "\n                   "))
        }
    };
    line("id", &d.id)?;
    line("level", d.level.as_str())?;
    line("language", d.language.as_str())?;
    line("file", &d.path)?;
    line("ATT&CK", &m.techniques().join(", "))?;
    line("status", m.status.as_deref().unwrap_or(""))?;
    line("author", m.author.as_deref().unwrap_or(""))?;
    line("description", m.description.as_deref().unwrap_or(""))?;
    line("needs", &m.required.join("\n"))?;
    line("reads", &d.data().join(", "))?;
    line("false positives", &m.falsepositives.join("\n"))?;
    line("references", &m.references.join("\n"))?;
    writeln!(out)?;
    writeln!(out, "{}", d.text.get(d.span.range()).unwrap_or(&d.text).trim_end())
}
