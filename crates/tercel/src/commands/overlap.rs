//! `tercel rules overlap`: how the rules of a set relate to each other.

use super::{Run, count};
use crate::cli::Overlap;
use crate::failure::{Failure, Outcome};
use crate::output::{Cell, Column, Format};
use crate::world;
use serde_json::{Map, Value as Json};
use std::io::Write;
use tercel_catalog::{Ask, Compared, Detection, Role};
use tercel_ir::{Type, Value};
use tercel_schema::Schemas;
use tercel_verify::{Pair, Relation, Witness};

/// Up to so many rules every pair is looked at without being asked to.
const FEW: usize = 400;
/// Beyond so many, a table of all pairs takes too much.
const MOST: usize = 1_000;

pub fn run(run: &Run, mut args: Overlap) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    let target = run.target()?;
    let mut rules = run.load_rules(&args.rules, args.lang.as_deref());
    rules.not_empty()?;
    rules.pipe(run, &args.world.pipelines)?;
    let catalog = world::catalog(&args.world, Schemas::builtin(), Vec::new())?;
    let options = world::compile_options(&args.world)?;
    rules.loaded.detections.iter_mut().for_each(|d| d.compile(&catalog, options.clone()));
    // Filters and collections are no rules.
    rules.loaded.detections.retain(|d| d.role() != Role::Filter);
    let all = &rules.loaded.detections;
    if args.all && all.len() > MOST {
        return Err(Failure::new(format!("{} rules have too many pairs", all.len())).help(format!(
            "with --all at most {MOST}; without it, equal and contained rules are found among any number"
        )));
    }
    let ask = if args.all || all.len() <= FEW { Ask::Everything } else { Ask::Inclusions };
    let found = tercel_catalog::compare_all(all, &options, ask, &super::verify::budget(args.budget));
    let shown: Vec<&Pair> = found.pairs.iter().filter(|p| args.all || told(p.comparison.relation)).collect();
    if run.global.format.is_none() && run.global.output.is_none() || target.format == Format::Table {
        let mut out = target.open()?;
        for p in shown {
            text(&mut out, all, p)?;
        }
        out.flush()?;
    } else {
        let text = |n: &str| Column::new(n, Type::String);
        let mut out = target.rows(vec![
            text("relation"),
            text("first"),
            text("second"),
            text("first_title"),
            text("second_title"),
            text("first_file"),
            text("second_file"),
            Column::new("witnesses", Type::Dynamic),
            text("reason"),
        ])?;
        for p in shown {
            let (a, b) = (&all[p.first], &all[p.second]);
            out.row(vec![
                Cell::text(p.comparison.relation.as_str()),
                Cell::text(&a.id),
                Cell::text(&b.id),
                Cell::text(&a.title),
                Cell::text(&b.title),
                Cell::text(&a.path),
                Cell::text(&b.path),
                Cell::Value(Value::Dynamic(p.comparison.witnesses.iter().map(witness).collect())),
                Cell::maybe(p.comparison.reason.as_deref()),
            ])?;
        }
        out.finish()?;
    }
    summary(run, all, &found, ask);
    Ok(rules.outcome())
}

/// What is shown without being asked for.
fn told(r: Relation) -> bool {
    matches!(r, Relation::Equal | Relation::Subset | Relation::Superset)
}

fn summary(run: &Run, all: &[Detection], found: &Compared, ask: Ask) {
    let of =
        |wanted: &[Relation]| found.pairs.iter().filter(|p| wanted.contains(&p.comparison.relation)).count();
    let mut parts = vec![
        format!("{} equal", of(&[Relation::Equal])),
        format!("{} contained", of(&[Relation::Subset, Relation::Superset])),
    ];
    if ask == Ask::Everything {
        parts.push(format!("{} overlap", of(&[Relation::Overlap])));
        parts.push(format!("{} disjoint", of(&[Relation::Disjoint])));
    }
    let unknown = of(&[Relation::Unknown]);
    if unknown > 0 {
        parts.push(format!("{unknown} not known"));
    }
    let pairs = match ask {
        Ask::Everything => format!(", {}", count(found.pairs.len(), "pair")),
        Ask::Inclusions => String::new(),
    };
    run.talk.say(format!("{}{pairs}: {}", count(all.len(), "rule"), parts.join(", ")));
    if ask == Ask::Inclusions {
        run.talk.say("pairs that overlap or are disjoint were not counted; --all does");
    }
    if let Some((i, why)) = found.left_out.first() {
        run.talk.say(format!(
            "{} not compared; the first is `{}`: {why}",
            count(found.left_out.len(), "rule"),
            all[*i].title
        ));
    }
}

fn witness(w: &Witness) -> Json {
    let mut out = Map::new();
    let fires: Vec<&str> =
        [(w.first, "first"), (w.second, "second")].into_iter().filter_map(|(f, n)| f.then_some(n)).collect();
    out.insert("fires".into(), fires.into());
    out.insert("event".into(), Json::Object(event(w)));
    Json::Object(out)
}

/// The columns that have a value; what only marks the log source is not part of the event.
fn event(w: &Witness) -> Map<String, Json> {
    let shown = w.event.values.iter().filter(|(n, v)| !n.starts_with('$') && !v.is_null());
    shown.map(|(n, v)| (n.to_string(), v.to_json())).collect()
}

fn text(out: &mut dyn Write, all: &[Detection], p: &Pair) -> std::io::Result<()> {
    let what = match p.comparison.relation {
        Relation::Equal => "equal: they find the same events",
        Relation::Subset | Relation::Superset => "contained: all that A finds, B finds too",
        Relation::Overlap => "overlap",
        Relation::Disjoint => "disjoint: no event is found by both",
        Relation::Unknown => "not known",
    };
    // A is what is inside.
    let turned = p.comparison.relation == Relation::Superset;
    let (a, b) = if turned { (p.second, p.first) } else { (p.first, p.second) };
    writeln!(out, "{what}")?;
    for (name, i) in [("A", a), ("B", b)] {
        let d = &all[i];
        writeln!(out, "  {name}: {} ({}, {})", d.title, d.id, d.path)?;
    }
    if let Some(r) = &p.comparison.reason {
        writeln!(out, "  {r}")?;
    }
    for w in &p.comparison.witnesses {
        let who = match (w.first, w.second) {
            (true, true) => "both find",
            (first, _) if first != turned => "only A finds",
            _ => "only B finds",
        };
        writeln!(out, "  {who}: {}", Json::Object(event(w)))?;
    }
    writeln!(out)
}
