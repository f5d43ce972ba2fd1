//! `tercel convert`: rules in another language, with what is lost and how the result relates to the original.

use super::{Run, verify};
use crate::cli::Convert;
use crate::failure::{Failure, Outcome};
use crate::output::{Cell, Column, Format};
use crate::world;
use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use tercel_catalog::{Detection, Plan, Role};
use tercel_convert::{
    Conversion, Correlation, Effect, Fidelity, Language, Options, Prover, Target, Vocabulary,
    convert_correlation,
};
use tercel_ir::{Type, correlation};
use tercel_schema::{SchemaCatalog, Schemas};

pub fn run(run: Run, mut args: Convert) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    let to = target(&args)?;
    let dialect = args.dialect.parse().map_err(|d: tercel_ir::Diagnostic| Failure::new(d.message))?;
    let mut rules = run.load_rules(&args.rules, args.lang.as_deref());
    rules.not_empty()?;
    rules.pipe(&run, &args.world.pipelines)?;
    let catalog = world::catalog(&args.world, Schemas::builtin(), Vec::new())?;
    let options = world::compile_options(&args.world)?;
    let mut choices = Options { dialect, ..Options::default() };
    choices.sources.clone_from(&args.sources);
    if !choices.sources.is_empty() && to.vocabulary != Vocabulary::Asim {
        return Err(Failure::new("--source is one of --schema asim: other schemas are of one source each"));
    }
    if let Some(c) = &args.world.source_category {
        choices.source_category.clone_from(c);
    }
    let prover = Prover { budget: verify::budget(args.budget) };
    let as_text = run.global.format.is_none() || run.target()?.format == Format::Table;
    let mut text = if as_text { Some(run.target()?.open()?) } else { None };
    let mut rows = match as_text {
        true => None,
        false => Some(run.target()?.rows(columns())?),
    };
    let (mut gate, mut unread, mut written) = (false, false, 0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    compile(&mut rules.loaded.detections, threads, |d| d.compile(&catalog, options.clone()));
    let all = &rules.loaded.detections;
    let work = Work { all, to, catalog: &catalog, options: &choices, prover: &prover };
    let wanted: Vec<usize> = (0..all.len()).filter(|at| all[*at].role() != Role::Filter).collect();
    let make = |at: usize| all[at].reported.then(|| work.converted(at));
    in_order(&wanted, threads, make, |at, made| {
        let d = &all[at];
        let Some(made) = made else {
            run.talk.say(format!("{}: only there for a correlation, and part of its conversion", d.title));
            return Ok(());
        };
        let c = match made {
            Ok(c) => c,
            Err(why) => {
                run.talk.error(&format!("cannot convert `{}` ({}): {why}", d.title, d.path));
                unread = true;
                return Ok(());
            }
        };
        gate |= c.fidelity == Fidelity::Refused || args.exact && c.fidelity != Fidelity::Exact;
        if let Some(rows) = &mut rows {
            rows.row(row(d, &c))?;
        }
        if let Some(out) = &mut text {
            if written > 0 && !c.text.is_empty() {
                let between = match to.language {
                    Language::Sigma => "---",
                    Language::Sql => ";\n",
                    _ => "",
                };
                writeln!(out, "{between}")?;
            }
            write!(out, "{}", c.text)?;
            if !c.text.is_empty() && !c.text.ends_with('\n') {
                writeln!(out)?;
            }
            say(&run, d, &c);
        }
        written += usize::from(!c.text.is_empty());
        Ok::<(), Failure>(())
    })?;
    if let Some(rows) = rows {
        rows.finish()?;
    }
    if let Some(mut out) = text {
        out.flush()?;
    }
    Ok(match () {
        () if unread => Outcome::Incomplete,
        () if gate => Outcome::Gate,
        () => rules.outcome(),
    })
}

fn compile(all: &mut [Detection], threads: usize, one: impl Fn(&mut Detection) + Sync) {
    if threads < 2 || all.len() < threads {
        return all.iter_mut().for_each(one);
    }
    let part = all.len().div_ceil(threads);
    std::thread::scope(|s| {
        for part in all.chunks_mut(part) {
            s.spawn(|| part.iter_mut().for_each(&one));
        }
    });
}

/// Results that wait for an earlier one, for each thread: one that takes long must not fill the memory.
const AHEAD: usize = 64;

/// Makes something of each by several threads, and hands the results over in order.
///
/// # Errors
/// The first that `done` gives; what is not begun then is left.
fn in_order<T: Send>(
    wanted: &[usize],
    threads: usize,
    make: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let threads = threads.min(wanted.len());
    if threads < 2 {
        return wanted.iter().try_for_each(|at| done(*at, make(*at)));
    }
    let make = &make;
    std::thread::scope(|s| {
        // Each thread makes every so many-th, and goes no further ahead than its channel lets it.
        let results: Vec<Receiver<T>> = (0..threads)
            .map(|first| {
                let (send, receive) = sync_channel(AHEAD);
                s.spawn(move || {
                    for at in wanted.iter().skip(first).step_by(threads) {
                        if send.send(make(*at)).is_err() {
                            return;
                        }
                    }
                });
                receive
            })
            .collect();
        for (n, at) in wanted.iter().enumerate() {
            // It ends before its last result only where it panicked, which the scope passes on.
            let Ok(made) = results[n % threads].recv() else { return Ok(()) };
            done(*at, made)?;
        }
        Ok(())
    })
}

fn target(args: &Convert) -> Result<Target, Failure> {
    let language = match args.to.as_str() {
        "kql" => Language::Kql,
        "sumo" => Language::Sumo,
        "sql" => Language::Sql,
        _ => Language::Sigma,
    };
    let vocabulary = args.schema.parse().map_err(|d: tercel_ir::Diagnostic| Failure::new(d.message))?;
    if vocabulary == Vocabulary::CloudSiem && language != Language::Sumo {
        return Err(Failure::new("the schema cse is one of --to sumo"));
    }
    Ok(Target { language, vocabulary })
}

struct Work<'w> {
    all: &'w [Detection],
    to: Target,
    catalog: &'w SchemaCatalog,
    options: &'w Options,
    prover: &'w Prover,
}

impl Work<'_> {
    /// A conversion with what the author says beside the rule.
    fn converted(&self, at: usize) -> Result<Conversion, String> {
        let d = &self.all[at];
        let mut c = self.conversion(d, at)?;
        let language = match d.language {
            tercel_catalog::Language::Sigma => Language::Sigma,
            tercel_catalog::Language::Kql => Language::Kql,
            tercel_catalog::Language::Sumo => Language::Sumo,
        };
        let text: &str = &d.text;
        let own = text.get(d.span.start as usize..d.span.end as usize).unwrap_or(text);
        let said = tercel_convert::comments(own, language);
        tercel_convert::with_remarks(&mut c, self.to, &d.sigma_meta(), &said);
        Ok(c)
    }

    fn conversion(&self, d: &Detection, at: usize) -> Result<Conversion, String> {
        if let Some(plan) = &d.correlation {
            return self.correlation(d, at, plan);
        }
        if d.role() == Role::Correlation {
            return Err(why_not(d));
        }
        let meta = d.sigma_meta();
        let what = tercel_convert::Detection { rel: d.rel.as_ref().ok_or_else(|| why_not(d))?, meta: &meta };
        let done = tercel_convert::convert(&what, self.to, self.catalog, self.options, self.prover);
        done.map_err(|e| e.message)
    }

    fn correlation(&self, d: &Detection, at: usize, plan: &Plan) -> Result<Conversion, String> {
        let mut members = Vec::with_capacity(plan.rules.len());
        for r in &plan.rules {
            let i = match r.target {
                correlation::Target::Own => at,
                correlation::Target::Rule(i) => i,
            };
            let m = self.all.get(i).ok_or_else(|| format!("`{}` is not there", r.name))?;
            if i != at && m.correlation.is_some() {
                return Err(format!(
                    "`{}` is a correlation itself, and those are not nested in queries",
                    r.name
                ));
            }
            members.push((m.rel.as_ref().ok_or_else(|| why_not(m))?, m.sigma_meta()));
        }
        let rules: Vec<tercel_convert::Detection<'_>> =
            members.iter().map(|(rel, meta)| tercel_convert::Detection { rel, meta }).collect();
        let meta = d.sigma_meta();
        let what = Correlation { plan, meta: &meta, rules: &rules };
        let done = convert_correlation(&what, self.to, self.catalog, self.options, self.prover);
        done.map_err(|e| e.message)
    }
}

fn why_not(d: &Detection) -> String {
    d.first_error().map_or_else(|| "it does not compile".into(), |e| e.message.clone())
}

fn word(f: Fidelity) -> &'static str {
    match f {
        Fidelity::Exact => "exact",
        Fidelity::Wider => "wider",
        Fidelity::Narrower => "narrower",
        Fidelity::Different => "different",
        Fidelity::Refused => "refused",
        Fidelity::Unproved => "unproved",
    }
}

fn columns() -> Vec<Column> {
    let text = |n: &str| Column::new(n, Type::String);
    let mut out = vec![text("rule"), text("title"), text("text"), text("fidelity")];
    out.extend(["losses", "assumptions"].map(|n| Column::new(n, Type::Dynamic)));
    out.push(text("reason"));
    out
}

fn row(d: &Detection, c: &Conversion) -> Vec<Cell> {
    let losses = serde_json::to_string(&c.losses).unwrap_or_else(|_| "[]".into());
    vec![
        Cell::text(&d.id),
        Cell::text(&d.title),
        Cell::text(&c.text),
        Cell::text(word(c.fidelity)),
        Cell::Json(losses.into()),
        Cell::list(&c.assumptions),
        Cell::maybe(c.reason.clone()),
    ]
}

/// What is to be said beside the text.
fn say(run: &Run, d: &Detection, c: &Conversion) {
    let reason = c.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    run.talk.say(format!("{}: {}{reason}", d.title, run.talk.bold(word(c.fidelity))));
    for l in &c.losses {
        let effect = match l.effect {
            Effect::Wider => "it finds more",
            Effect::Narrower => "it finds less",
            Effect::None => "the same events",
        };
        run.talk.say(format!("  lost: {} ({}; {effect})", l.what, l.why));
    }
    for a in &c.assumptions {
        run.talk.say(format!("  taken for granted: {a}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let wanted: Vec<usize> = (0..500).map(|n| n * 3).collect();
        for threads in [1, 2, 3, 900] {
            let mut out = Vec::new();
            // The even ones take longer.
            let make = |at: usize| {
                if at.is_multiple_of(2) {
                    std::thread::yield_now();
                }
                at * 2
            };
            let done = in_order(&wanted, threads, make, |at, twice| {
                out.push((at, twice));
                Ok(())
            });
            assert!(done.is_ok());
            assert!(out.iter().map(|x| x.0).eq(wanted.iter().copied()));
            assert!(out.iter().all(|(a, b)| a * 2 == *b));
        }
    }

    #[test]
    fn an_error_ends_it() {
        let wanted: Vec<usize> = (0..10_000).collect();
        let mut seen = 0;
        let done = in_order(
            &wanted,
            3,
            |at| at,
            |at, _| {
                seen += 1;
                if at == 5 { Err(Failure::new("enough")) } else { Ok(()) }
            },
        );
        assert!(done.is_err());
        assert_eq!(seen, 6);
    }
}
