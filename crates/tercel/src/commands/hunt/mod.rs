//! `tercel hunt`.

pub mod correlations;
pub mod hits;
mod mistyped;
mod pass;
mod program;
mod summary;

use super::{Rules, Run};
use crate::cli::Hunt;
use crate::data::Data;
use crate::failure::{Failure, Outcome};
use crate::footer::{self, Footer, Remark, RuleReport};
use crate::meter::Meter;
use crate::{interrupt, world};
use correlations::Correlations;
use hits::Hits;
use pass::{Kinds, Pass, jobs};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tercel_catalog::{Detection, Evidence, Level, Role};
use tercel_engine::{HuntStats, Now, Options, Provenance};
use tercel_ir::rel::Asks;
use tercel_ir::{Expr, ExprKind, Severity};
use tercel_rules::correlate::Refused;
use tercel_schema::Schemas;

/// With more rules than this, what is wrong with each is for the footer and for `lint`.
const TELL_EACH: usize = 10;
pub fn run(run: Run, mut args: Hunt) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    run.config.reading(&mut args.reading);
    let started = Instant::now();
    settle_paths(&mut args)?;
    let target = run.target()?;
    let level =
        args.level.as_ref().or(run.config.level.as_ref()).and_then(|l| Level::parse(l)).unwrap_or_default();

    let mut rules = run.load_rules(&args.rules, args.lang.as_deref());
    rules.not_empty()?;
    rules.pipe(&run, &args.world.pipelines)?;
    let below = tercel_catalog::retain(&mut rules.loaded.detections, |d| d.level >= level);

    // Nobody is shown what else they say about themselves.
    rules.loaded.detections.iter_mut().for_each(Detection::forget_words);

    let data = Arc::new(Data::open(&args.data, &args.reading, false));
    data.tell_missing(&run.talk)?;
    let mut catalog = world::catalog(&args.world, Schemas::builtin(), data.discovered())?;
    data.bind(catalog.schemas().clone());
    let watched = data.clone();
    interrupt::listen(move || watched.progress.cancel());
    let named_now = data.set_times(&args.reading)?;
    let mut options = Options { context: Arc::new(world::context(&args.world)?), ..Options::default() };
    options.now = named_now.map_or(Now::Newest, Now::At);
    if let Some(jobs) = args.reading.jobs {
        options.threads = usize::from(jobs);
    }

    let strict = args.world.strict.unwrap_or(false);
    let anywhere = world::catalog(&args.world, Schemas::builtin(), Vec::new())?;
    if args.ignore_logsource {
        catalog.ignore_log_sources();
    }
    let compile = world::compile_options(&args.world)?;
    let all = &mut rules.loaded.detections;
    tercel_catalog::compile_all(all, &catalog, &anywhere, &compile, options.threads);
    tell(&run, &rules);
    rules.loaded.detections.iter_mut().for_each(Detection::forget_source);
    let detections = &rules.loaded.detections;
    let (mut correlations, refused) = Correlations::new(detections);
    let jobs = jobs(detections, &correlations);
    let ran = running(detections);

    let mut hits = Hits::new(&target, detections, &data, args.limit_hits)?;
    let progress = data.progress.clone();
    let meter = Meter::start(run.talk.terminal && !run.talk.quiet, data.inputs.total_bytes(), move || {
        (progress.bytes(), progress.events())
    });
    let mut seen = Kinds::default();
    let mut left_out = Vec::new();
    let outcome = if ran == 0 {
        Ok(HuntStats::default())
    } else {
        let mut pass = Pass { detections, data: &data, hits: &mut hits, correlations: &mut correlations };
        let rest = pass.program(jobs, &mut options, &mut seen);
        pass.plans(rest, &options, &catalog, &mut seen, &mut left_out)
    };
    correlations.finish(detections, &mut |rule, time, row| {
        let from = Provenance { time, source: None, record: None, event: None };
        let _ = hits.take(rule, Some(from), &|| row.clone());
    });
    drop(meter);
    let counted = hits.finish()?;
    let stats = outcome?;

    let mut footer = Footer::of_data(&data, started.elapsed());
    footer.now = stats.now.or(footer.now);
    left_out.extend(correlations.notes(detections));
    footer.named_now = named_now.is_some();
    footer.notes = notes(&args, detections, below, level);
    footer.notes.append(&mut left_out);
    let report = report(detections, &stats, &data, seen, &refused, &counted, args.explain_skips);
    let failed = !report.failed.is_empty();
    let skipped = !report.skipped.is_empty();
    footer.rules = Some(report);
    footer.write(&run.talk, args.explain_skips);

    let outcome = if interrupt::stopped() {
        Outcome::Interrupted
    } else if ran == 0 && below == 0 || strict && skipped || failed || data.incomplete() {
        Outcome::Incomplete
    } else if args.fail_on_hit && counted.by_rule.iter().any(|n| *n > 0) {
        Outcome::Gate
    } else {
        rules.outcome()
    };
    // The process ends here. Giving back what thousands of rules are made of, piece by piece, would take
    // as long as reading some of them.
    std::mem::forget((rules, catalog, anywhere));
    Ok(outcome)
}

/// `-r` takes several values, so that a shell may expand a pattern; when no DATA stands before it, the
/// values after the first are DATA.
fn settle_paths(args: &mut Hunt) -> Result<(), Failure> {
    if args.data.is_empty() && args.rules.len() > 1 {
        args.data = args.rules.split_off(1);
    }
    if args.data.is_empty() {
        return Err(Failure::new("there is no data to hunt in")
            .help("tercel hunt DATA… [-r RULES…]; - is standard input"));
    }
    if args.data.iter().any(|p| p == "-") && args.rules.iter().any(|p| p == "-") {
        return Err(Failure::new("standard input cannot be both the rules and the data"));
    }
    Ok(())
}

/// What is wrong with a handful of rules is said in full; of many, only how many.
fn tell(run: &Run, rules: &Rules) {
    if rules.builtin || rules.loaded.detections.len() > TELL_EACH {
        return;
    }
    for d in &rules.loaded.detections {
        for f in d.diagnostics.iter().filter(|f| f.severity != Severity::Note) {
            run.talk.finding(f, &d.path, &d.text);
        }
    }
}

/// Detections that run, or feed others that do.
fn running(detections: &[Detection]) -> usize {
    detections.iter().filter(|d| d.rel.is_some() || d.correlation.is_some()).count()
}

fn report(
    detections: &[Detection],
    stats: &HuntStats,
    data: &Data,
    kinds: Kinds,
    refused: &[Refused],
    counted: &hits::Counted,
    all: bool,
) -> RuleReport {
    let ran = running(detections);
    let mut r =
        RuleReport { loaded: detections.len(), ran, unwritten: counted.unwritten, ..RuleReport::default() };
    let seen = data.stats().map(|s| s.tables).unwrap_or_default();
    let present = |t: &str| seen.keys().any(|s| &**s == t);
    let mut evidence = Evidence::new(&present);
    for (table, values) in kinds {
        values.into_iter().for_each(|v| evidence.saw(&table, v));
    }
    let errors: HashMap<usize, String> =
        stats.plans.iter().filter_map(|p| Some((p.id, p.error.as_ref()?.to_string()))).collect();
    let mut view_gaps = tercel_schema::ViewGaps::new(&present);
    // Rules by view and the columns of it that stay empty.
    let mut gaps: Vec<((String, String), Vec<&str>)> = Vec::new();
    for (i, d) in detections.iter().enumerate() {
        let remark = |why: String| Remark { rule: format!("{} ({})", d.title, d.id), why };
        if let Some(f) = refused.iter().find(|f| f.rule == i) {
            r.skipped.push(remark(f.why.clone()));
            continue;
        }
        let fired = counted.by_rule[i];
        if d.rel.is_none() && d.correlation.is_some() || d.role() == Role::Filter && !d.has_errors() {
            if fired > 0 {
                r.hits[d.level as usize] += fired;
                r.fired.push((d.title.clone(), d.id.clone(), d.level, fired));
            }
            continue;
        }
        let Some(rel) = &d.rel else {
            let why = d.first_error().map_or_else(String::new, |e| match e.span {
                Some(s) => format!("{}:{}: {}", d.path, d.text.place(s.start as usize).0, e.message),
                None => format!("{}: {}", d.path, e.message),
            });
            r.skipped.push(remark(why));
            continue;
        };
        let hits = fired;
        r.hits[d.level as usize] += hits;
        if hits > 0 {
            r.fired.push((d.title.clone(), d.id.clone(), d.level, hits));
        }
        if let Some(e) = errors.get(&i) {
            r.failed.push(remark(e.clone()));
            continue;
        }
        if hits == 0
            && let Some(why) = d.unable(&evidence)
        {
            r.unable.push(remark(why));
            continue;
        }
        for gap in view_gaps.of(rel) {
            let columns: Vec<&str> = gap.columns.iter().map(|c| &**c).collect();
            let key = (gap.view.to_string(), columns.join(", "));
            match gaps.iter_mut().find(|(k, _)| *k == key) {
                Some((_, rules)) => rules.push(&d.title),
                None => gaps.push((key, vec![&d.title])),
            }
        }
    }
    r.gaps = gaps
        .into_iter()
        .map(|((rule, columns), rules)| {
            let rest = if rules.len() > 1 { format!(" and {} more", rules.len() - 1) } else { String::new() };
            Remark { rule, why: format!("{} (read by {}{rest})", footer::shortened(&columns, all), rules[0]) }
        })
        .collect();
    r.fired.sort_by_key(|f| std::cmp::Reverse((f.2, f.3)));
    r
}

fn notes(args: &Hunt, detections: &[Detection], below: usize, level: Level) -> Vec<String> {
    let mut notes = Vec::new();
    if args.ignore_logsource {
        notes.push("log sources are ignored: every Sigma rule met every event".to_string());
    }
    if below > 0 {
        notes.push(format!("{} below level {level} left out", super::count(below, "rule")));
    }
    if args.world.geoip.is_none() {
        let called =
            |e: &Expr| matches!(&e.kind, ExprKind::Call(f, _) if f.name == "geo_info_from_ip_address");
        let mut asks = Asks::new(called);
        let n = detections.iter().filter(|d| d.rel.as_ref().is_some_and(|r| asks.of(r))).count();
        if n > 0 {
            notes.push(format!(
                "{} of the rules ask where an address is; without --geoip FILE.mmdb that is null",
                n
            ));
        }
    }
    let warned = detections
        .iter()
        .filter(|d| d.rel.is_some() && d.diagnostics.iter().any(|f| f.severity == Severity::Warning))
        .count();
    if warned > 0 {
        notes.push(format!("{} ran with warnings; `tercel lint` shows them", super::count(warned, "rule")));
    }
    notes
}
