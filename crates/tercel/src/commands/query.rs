//! `tercel query`.

use super::Run;
use crate::cli::Query;
use crate::data::Data;
use crate::failure::{Failure, Outcome};
use crate::footer;
use crate::meter::Meter;
use crate::output::{Cell, Column, Rows};
use crate::{interrupt, omitted, world};
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tercel_catalog::{CompileOptions, Detection, Language, MAX_RULE_BYTES};
use tercel_engine::{EngineError, Now, Options};
use tercel_ir::{Name, Rel, Severity};
use tercel_schema::{SchemaCatalog, Schemas};

/// What a query is written in.
#[derive(Clone, Copy, PartialEq)]
enum Lang {
    Detection(Language),
    Sql,
}

pub fn run(run: Run, mut args: Query) -> Result<Outcome, Failure> {
    run.config.world(&mut args.world);
    run.config.reading(&mut args.reading);
    let started = Instant::now();
    let (text, name, paths) = source(&mut args)?;
    let lang = language(&args, &name);
    let target = run.target()?;

    let data = Arc::new(Data::open(&paths, &args.reading, lang == Lang::Detection(Language::Sumo)));
    if !paths.is_empty() {
        data.tell_missing(&run.talk)?;
    }
    let catalog = world::catalog(&args.world, Schemas::builtin(), data.discovered())?;
    data.bind(catalog.schemas().clone());
    let watched = data.clone();
    interrupt::listen(move || watched.progress.cancel());

    let named_now = data.set_times(&args.reading)?;
    let mut options = Options { context: Arc::new(world::context(&args.world)?), ..Options::default() };
    options.now = named_now.map_or(Now::Newest, Now::At);
    if let Some(jobs) = args.reading.jobs {
        options.threads = usize::from(jobs);
    }

    let progress = data.progress.clone();
    let meter = Meter::start(run.talk.terminal && !run.talk.quiet, data.inputs.total_bytes(), move || {
        (progress.bytes(), progress.events())
    });
    let result = match lang {
        Lang::Detection(language) => {
            let rel = compile(&run, &catalog, language, text, &name, world::compile_options(&args.world)?)?;
            rows(&rel, &catalog, &data, &options, &target)
        }
        Lang::Sql => sql(&text, &catalog, &data, &options, &target),
    };
    drop(meter);
    let said = result?;
    let mut foot = footer::Footer::of_data(&data, started.elapsed());
    foot.now = said.now;
    foot.named_now = named_now.is_some();
    foot.notes = said.notes;
    foot.write(&run.talk, false);
    Ok(if interrupt::stopped() {
        Outcome::Interrupted
    } else if data.incomplete() {
        Outcome::Incomplete
    } else {
        Outcome::Ran
    })
}

/// What is to be said after the rows.
#[derive(Default)]
struct Said {
    now: Option<i64>,
    notes: Vec<String>,
}

/// The text of the query, what it is called in messages, and the paths of the data.
fn source(args: &mut Query) -> Result<(String, String, Vec<String>), Failure> {
    let mut paths = std::mem::take(&mut args.data);
    if let Some(file) = &args.file {
        if let Some(first) = args.query.take() {
            paths.insert(0, first);
        }
        let name = file.display().to_string();
        let f = std::fs::File::open(file)
            .map_err(|e| Failure::new(format!("cannot read the query `{name}`: {e}")))?;
        return Ok((read_query(f, &name)?, name, paths));
    }
    match args.query.take() {
        None => Err(Failure::new("there is no query")
            .help("tercel query 'QUERY' DATA…, or - for standard input, or -f FILE")),
        Some(q) if q == "-" => {
            if paths.iter().any(|p| p == "-") {
                return Err(Failure::new("standard input cannot be both the query and the data"));
            }
            Ok((read_query(std::io::stdin(), "standard input")?, "<stdin>".into(), paths))
        }
        Some(q) => Ok((q, "<query>".into(), paths)),
    }
}

fn read_query(from: impl Read, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    from.take(MAX_RULE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::new(format!("cannot read the query from {name}: {e}")))?;
    if bytes.len() as u64 > MAX_RULE_BYTES {
        return Err(Failure::new(format!("the query from {name} is over {} MB", MAX_RULE_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("the query from {name} is not UTF-8 text")))
}

/// As named; else by the suffix of the file; else KQL.
fn language(args: &Query, name: &str) -> Lang {
    match args.lang.as_deref() {
        Some("sql") => Lang::Sql,
        Some(l) => Lang::Detection(Language::parse(l).unwrap_or(Language::Kql)),
        None if args.file.is_some() => match Language::of_path(Path::new(name)) {
            Some(Language::Sumo) => Lang::Detection(Language::Sumo),
            None if name.to_ascii_lowercase().ends_with(".sql") => Lang::Sql,
            _ => Lang::Detection(Language::Kql),
        },
        None => Lang::Detection(Language::Kql),
    }
}

/// Binds a query. What is wrong with it is said.
fn compile(
    run: &Run,
    catalog: &SchemaCatalog,
    language: Language,
    text: String,
    name: &str,
    options: CompileOptions,
) -> Result<Rel, Failure> {
    let mut d = Detection::of_query(language, text, name);
    d.compile(catalog, options);
    for f in d.diagnostics.iter().filter(|f| f.severity != Severity::Note) {
        run.talk.finding(f, name, &d.text);
    }
    d.rel.ok_or_else(|| {
        let errors = d.diagnostics.iter().filter(|f| f.severity == Severity::Error).count();
        Failure::new(format!("the query cannot run: {}", super::count(errors, "error")))
    })
}

/// Runs a relation and writes its rows as they come.
fn rows(
    rel: &Rel,
    catalog: &SchemaCatalog,
    data: &Data,
    options: &Options,
    target: &crate::output::Target,
) -> Result<Said, Failure> {
    let mut sink = Sink { out: target.rows(output(&rel.schema.columns))?, failed: None };
    let outcome = tercel_engine::query(rel, data, options, &mut |batch| match tercel_engine::rows(
        batch,
        &rel.schema.columns,
    ) {
        Ok(rows) => sink.rows(rows),
        Err(e) => sink.fail(e.into()),
    });
    let outcome = sink.finish(outcome)?;
    let seen = data.stats().map(|s| s.tables).unwrap_or_default();
    let mut notes = Vec::new();
    let tables = rel.tables();
    if !tables.is_empty() && !data.inputs.files().is_empty() && !tables.iter().any(|t| seen.contains_key(t)) {
        let names: Vec<&str> = tables.iter().map(|t| &**t).take(4).collect();
        notes.push(format!("the data has no events of {}", names.join(", ")));
    }
    for gap in tercel_schema::view_gaps(rel, &|t| seen.keys().any(|s| &**s == t)) {
        let names: Vec<&str> = gap.columns.iter().map(|c| &**c).collect();
        let columns = footer::shortened(&names.join(", "), false);
        notes.push(format!("{} cannot fill {columns} from this data", gap.view));
    }
    notes.extend(left_out(rel, catalog, data, options, &seen));
    Ok(Said { now: outcome.now, notes })
}

/// What the views of the query leave out on purpose. Counting reads the data once more, which is done only
/// where there can be such rows.
fn left_out(
    rel: &Rel,
    catalog: &SchemaCatalog,
    data: &Data,
    options: &Options,
    seen: &BTreeMap<Name, u64>,
) -> Vec<String> {
    let mut questions = omitted::questions(catalog, std::iter::once(rel));
    questions.retain(|(_, count)| count.tables().iter().all(|t| seen.contains_key(t)));
    let mut notes = Vec::new();
    for (o, count) in &questions {
        let rows = tercel_engine::query_rows(count, data, options)
            .ok()
            .and_then(|(_, rows)| rows.first()?.first()?.as_i64().and_then(|n| u64::try_from(n).ok()));
        match rows {
            Some(n) => notes.extend(omitted::note(o, n)),
            None => notes.push(format!("{} leaves out {} (not counted)", o.view, o.what)),
        }
    }
    notes
}

/// Runs SQL over the same tables and views.
fn sql(
    text: &str,
    catalog: &SchemaCatalog,
    data: &Data,
    options: &Options,
    target: &crate::output::Target,
) -> Result<Said, Failure> {
    let mut sink: Option<Sink> = None;
    let mut open_failed = None;
    let outcome = tercel_engine::sql(text, catalog, data, options, &mut |columns, batch| {
        if sink.is_none() {
            match target.rows(output(columns)) {
                Ok(out) => sink = Some(Sink { out, failed: None }),
                Err(f) => {
                    open_failed = Some(f);
                    return ControlFlow::Break(());
                }
            }
        }
        let Some(sink) = &mut sink else { return ControlFlow::Break(()) };
        match tercel_engine::rows(batch, columns) {
            Ok(rows) => sink.rows(rows),
            Err(e) => sink.fail(e.into()),
        }
    });
    if let Some(f) = open_failed {
        return Err(f);
    }
    let now = match (sink, outcome) {
        (Some(sink), outcome) => sink.finish(outcome)?.now,
        (None, outcome) => {
            // Without rows the columns are known only at the end.
            let outcome = outcome?;
            target.rows(output(&outcome.columns))?.finish()?;
            outcome.now
        }
    };
    Ok(Said { now, notes: Vec::new() })
}

/// Columns as the output names them.
fn output(columns: &[tercel_ir::Column]) -> Vec<Column> {
    columns.iter().map(|c| Column::new(&*c.name, c.ty)).collect()
}

/// Rows on their way out. The first trouble ends the run and is what is told.
struct Sink {
    out: Box<dyn Rows>,
    failed: Option<Failure>,
}

impl Sink {
    fn rows(&mut self, rows: Vec<Vec<tercel_ir::Value>>) -> ControlFlow<()> {
        for row in rows {
            if let Err(e) = self.out.row(row.into_iter().map(Cell::Value).collect()) {
                return self.fail(e.into());
            }
        }
        ControlFlow::Continue(())
    }
    fn fail(&mut self, f: Failure) -> ControlFlow<()> {
        self.failed = Some(f);
        ControlFlow::Break(())
    }
    fn finish<T>(self, outcome: Result<T, EngineError>) -> Result<T, Failure> {
        if let Some(f) = self.failed {
            return Err(f);
        }
        let outcome = outcome.map_err(Failure::from)?;
        self.out.finish()?;
        Ok(outcome)
    }
}
