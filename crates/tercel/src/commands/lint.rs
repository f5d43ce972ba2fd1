//! `tercel lint`.

use super::Run;
use crate::cli::Lint;
use crate::failure::{Failure, Outcome};
use crate::output::{Cell, Column};
use crate::report::Reporter;
use crate::world;
use std::io::Write;
use tercel_catalog::{Detection, Finding, LintOptions};
use tercel_ir::{Severity, Type};
use tercel_schema::Schemas;

pub fn run(run: Run, mut args: Lint) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    args.allow.extend(run.config.allow.clone().into_iter().flatten());
    let mut rules = run.load_rules(&args.rules, args.lang.as_deref());
    rules.not_empty()?;
    rules.pipe(&run, &args.world.pipelines)?;
    let found = findings(&args, &mut rules.loaded.detections)?;
    let errors = found.iter().filter(|(_, f)| f.diagnostic.severity == Severity::Error).count();
    let outcome = match rules.outcome() {
        Outcome::Ran if errors > 0 => Outcome::Gate,
        other => other,
    };
    let all = &rules.loaded.detections;
    if run.global.format.is_some() || run.global.output.is_some() {
        data(&run, all, &found)?;
    } else {
        let reporter = Reporter::new(run.color);
        let mut out = run.target()?.open()?;
        for (i, f) in &found {
            writeln!(out, "{}\n", reporter.finding(&f.diagnostic, &all[*i].path, &all[*i].text))?;
        }
        out.flush()?;
    }
    let warnings = found.iter().filter(|(_, f)| f.diagnostic.severity == Severity::Warning).count();
    run.talk.say(format!(
        "{} {}: {}, {}, {}",
        all.len(),
        if all.len() == 1 { "rule" } else { "rules" },
        crate::commands::count(errors, "error"),
        crate::commands::count(warnings, "warning"),
        crate::commands::count(found.len() - errors - warnings, "note"),
    ));
    Ok(outcome)
}

/// Findings with the index of their rule.
fn findings(args: &Lint, rules: &mut [Detection]) -> Result<Vec<(usize, Finding)>, Failure> {
    let options = LintOptions {
        allow: args.allow.clone(),
        prove: (args.budget > 0.0).then(|| super::verify::budget(args.budget)),
        compile: world::compile_options(&args.world)?,
    };
    let catalog = if args.syntax_only {
        None
    } else {
        Some(world::catalog(&args.world, Schemas::builtin(), Vec::new())?)
    };
    Ok(match &catalog {
        Some(c) => tercel_catalog::lint_all(rules, c, &options, !args.no_pairs),
        None => {
            let each = rules.iter().enumerate();
            each.flat_map(|(i, d)| {
                tercel_catalog::syntax_findings(d, &options).into_iter().map(move |f| (i, f))
            })
            .collect()
        }
    })
}

fn data(run: &Run, rules: &[Detection], found: &[(usize, Finding)]) -> Result<(), Failure> {
    let text = |n: &str| Column::new(n, Type::String);
    let number = |n: &str| Column::new(n, Type::Long);
    let mut out = run.target()?.rows(vec![
        text("code"),
        text("severity"),
        text("rule"),
        text("file"),
        number("line"),
        number("column"),
        text("message"),
        text("help"),
        text("meaning"),
        number("end_line"),
        number("end_column"),
    ])?;
    for (i, f) in found {
        let d = &f.diagnostic;
        out.row(vec![
            Cell::text(d.code),
            Cell::text(d.severity.as_str()),
            Cell::text(&rules[*i].id),
            Cell::text(&rules[*i].path),
            Cell::number(f.line),
            Cell::number(f.column),
            Cell::text(&d.message),
            Cell::maybe(d.help.as_deref()),
            Cell::maybe(d.meaning.as_deref()),
            Cell::number(f.end_line),
            Cell::number(f.end_column),
        ])?;
    }
    Ok(out.finish()?)
}
