//! `tercel verify`: how the meanings of two rules relate, with an event for each difference.

use super::{From, Run};
use crate::cli::Verify;
use crate::failure::{Failure, Outcome};
use crate::output::Format;
use crate::world;
use serde_json::{Map, Value as Json, json};
use std::io::Write;
use std::time::Duration;
use tercel_ir::Rel;
use tercel_schema::Schemas;
use tercel_verify::{Budget, Comparison, Formula, Relation, Witness, compare, compare_formulas};

pub fn run(run: Run, mut args: Verify) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    let target = run.target()?;
    let catalog = world::catalog(&args.world, Schemas::builtin(), Vec::new())?;
    let options = world::compile_options(&args.world)?;
    let from = From { rules: &args.rules, lang: args.lang.as_deref(), pipelines: &args.world.pipelines };
    let rule = |name: &str| {
        let d = run.compiled(run.one_rule(name, None, from)?, &catalog, options.clone())?;
        match &d.rel {
            Some(_) if d.correlation.is_none() => Ok(d),
            _ => Err(Failure::new(format!(
                "`{}` looks at many events; rules on one event can be compared",
                d.title
            ))),
        }
    };
    let (a, b) = (rule(&args.a)?, rule(&args.b)?);
    let found = match (&a.rel, &b.rel) {
        (Some(x), Some(y)) if args.sources.is_empty() => compare(x, y, &budget(args.budget)),
        (Some(x), Some(y)) => of_sources(x, y, &args.sources, &budget(args.budget))?,
        _ => return Err(Failure::new("there is nothing to compare")),
    };
    let mut out = target.open()?;
    if run.global.format.is_none() && run.global.output.is_none() || target.format == Format::Table {
        text(&mut out, &found, (&args.a, &a.title), (&args.b, &b.title))?;
    } else {
        let value = data(&found);
        match target.format {
            Format::Json => {
                writeln!(out, "{}", serde_json::to_string_pretty(&value).map_err(std::io::Error::from)?)?
            }
            _ => writeln!(out, "{value}")?,
        }
    }
    out.flush()?;
    Ok(match found.relation {
        Relation::Equal => Outcome::Ran,
        Relation::Unknown => Outcome::Incomplete,
        _ => Outcome::Gate,
    })
}

/// What both find in these tables.
fn of_sources(a: &Rel, b: &Rel, sources: &[String], budget: &Budget) -> Result<Comparison, Failure> {
    let of = |rel: &Rel| {
        let mut all = Formula::of(rel).map_err(|u| Failure::new(u.reason))?;
        all.retain(|f| sources.iter().any(|s| **s == *f.table));
        Ok::<_, Failure>(all)
    };
    let (x, y) = (of(a)?, of(b)?);
    if let Some(s) = sources.iter().find(|s| !x.iter().chain(&y).any(|f| ***s == *f.table)) {
        return Err(Failure::new(format!("neither looks at `{s}`")));
    }
    Ok(compare_formulas(&x, &y, budget))
}

/// So many seconds; anything odd is as little as there is.
pub fn budget(seconds: f64) -> Budget {
    let time = Duration::try_from_secs_f64(seconds.clamp(0.0, 3600.0)).unwrap_or_default();
    Budget { time, ..Budget::default() }
}

fn event(w: &Witness) -> Map<String, Json> {
    w.event.values.iter().map(|(n, v)| (n.to_string(), v.to_json())).collect()
}

fn data(found: &Comparison) -> Json {
    let witnesses: Vec<Json> = found
        .witnesses
        .iter()
        .map(|w| {
            let fires: Vec<&str> =
                [(w.first, "a"), (w.second, "b")].into_iter().filter_map(|(f, n)| f.then_some(n)).collect();
            let mut one = json!({ "fires": fires, "table": &*w.event.table, "event": event(w) });
            let assumed: Vec<String> = assumptions(w).collect();
            if !assumed.is_empty() {
                one["provided"] = assumed.into();
            }
            one
        })
        .collect();
    let mut out = json!({ "relation": found.relation.as_str(), "witnesses": witnesses });
    if let Some(r) = &found.reason {
        out["reason"] = r.as_str().into();
    }
    out
}

/// What must be true of other data for a witness to behave as it is said.
fn assumptions(w: &Witness) -> impl Iterator<Item = String> {
    w.event
        .assumptions
        .iter()
        .map(|(a, holds)| if *holds { a.about.clone() } else { format!("not: {}", a.about) })
}

fn text(out: &mut dyn Write, found: &Comparison, a: (&str, &str), b: (&str, &str)) -> std::io::Result<()> {
    writeln!(out, "A: {} ({})\nB: {} ({})", a.1, a.0, b.1, b.0)?;
    let sentence = match found.relation {
        Relation::Equal => "equal: they find the same events",
        Relation::Subset => "A finds less: B finds all that A finds, and more",
        Relation::Superset => "A finds more: it finds all that B finds, and more",
        Relation::Overlap => "overlap: each finds events that the other does not",
        Relation::Disjoint => "disjoint: no event is found by both",
        Relation::Unknown => "unknown",
    };
    writeln!(out, "{sentence}")?;
    if let Some(r) = &found.reason {
        writeln!(out, "  {r}")?;
    }
    for w in &found.witnesses {
        let who = match (w.first, w.second) {
            (true, true) => "both find",
            (true, false) => "only A finds",
            (false, true) => "only B finds",
            (false, false) => "neither finds",
        };
        writeln!(out, "{who} this event of {}:", w.event.table)?;
        writeln!(out, "  {}", Json::Object(event(w)))?;
        for a in assumptions(w) {
            writeln!(out, "  provided that {a}")?;
        }
        if w.first != w.second && w.event.beyond_ascii() {
            writeln!(out, "  (letters beyond ASCII tell them apart)")?;
        }
    }
    Ok(())
}
