//! The data of a run: files as the engine's source, with what is to be said about them afterwards.

use crate::cli::Reading;
use crate::failure::Failure;
use crate::talk::Talk;
use crate::{interrupt, times};
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::Int64Type;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tercel_engine::{DataSource, EngineError, hidden};
use tercel_ir::{Name, Type};
use tercel_schema::{Schemas, TableDef};
use tercel_telemetry::{
    HiddenColumns, Inputs, Problem, ProblemKind, Progress, ReadOptions, ReadStats, Shape, Survey,
};

/// Tables that one capture of Windows events may hold, whatever its beginning shows.
const WINDOWS: [&str; 3] = ["Sysmon", "SecurityEvent", "WindowsEvents"];

/// Files, opened and surveyed.
pub struct Data {
    pub inputs: Inputs,
    pub survey: Survey,
    schemas: OnceLock<Schemas>,
    pub progress: Arc<Progress>,
    /// Of the pass that saw most; a run may read the data more than once.
    stats: Mutex<Option<ReadStats>>,
    newest: OnceLock<Option<i64>>,
    /// Events from..until, in ticks.
    range: OnceLock<(Option<i64>, Option<i64>)>,
    outside: Mutex<u64>,
}

impl Data {
    /// Opens what `paths` name and looks at the beginning of every file. `text`: lines of plain text are
    /// records.
    pub fn open(paths: &[String], reading: &Reading, text: bool) -> Data {
        let mut options =
            ReadOptions { time_field: reading.time_field.clone(), text, ..ReadOptions::default() };
        if let Some(jobs) = reading.jobs {
            options.threads = usize::from(jobs);
        }
        let inputs = Inputs::open(paths, &options);
        let survey = inputs.survey(&Schemas::builtin());
        Data {
            inputs,
            survey,
            schemas: OnceLock::new(),
            progress: Arc::default(),
            stats: Mutex::default(),
            newest: OnceLock::new(),
            range: OnceLock::new(),
            outside: Mutex::default(),
        }
    }

    /// # Errors
    /// When files were named and none of them can be read; why is said before.
    pub fn not_empty(&self, talk: &Talk) -> Result<(), Failure> {
        if !self.inputs.files().is_empty() {
            return Ok(());
        }
        let problems = self.inputs.problems();
        for p in problems {
            talk.error(&format!("cannot read {p}"));
        }
        Err(Failure::new("there is no data to read")
            .help("name files or folders of EVTX, JSON, CSV, Parquet or Zeek logs"))
    }

    /// Tables that the data has, or may have beyond the part that was looked at.
    pub fn discovered(&self) -> Vec<TableDef> {
        let mut out = self.survey.tables.clone();
        let windows =
            |s: Shape| matches!(s, Shape::EventLog | Shape::FlatWindows | Shape::Winlogbeat6 | Shape::Ecs);
        if self.survey.files.iter().any(|f| f.shape.is_some_and(windows)) {
            for name in WINDOWS {
                if !out.iter().any(|t| &*t.name == name) {
                    out.push(TableDef::unknown(name));
                }
            }
        }
        out
    }

    /// The tables under which events are read, once they are settled.
    pub fn bind(&self, schemas: Schemas) {
        let _ = self.schemas.set(schemas);
    }

    fn schemas(&self) -> &Schemas {
        self.schemas.get_or_init(Schemas::builtin)
    }

    /// Sets the range of times, where the options name one, and gives what "now" is if they say.
    ///
    /// # Errors
    /// When an option is no time.
    pub fn set_times(&self, reading: &Reading) -> Result<Option<i64>, Failure> {
        let named = reading.now.as_deref().map(|t| times::point("--now", t)).transpose()?;
        let bound = |option: &str, text: &Option<String>| -> Result<Option<i64>, Failure> {
            let Some(text) = text else { return Ok(None) };
            // Only a span needs "now", and "now" may need a pass over the data.
            if let Ok(t) = times::point_or_span(option, text, None) {
                return Ok(Some(t));
            }
            times::point_or_span(option, text, named.or_else(|| self.newest_time())).map(Some)
        };
        let range = (bound("--since", &reading.since)?, bound("--until", &reading.until)?);
        let _ = self.range.set(range);
        Ok(named)
    }

    /// What reading saw; nothing when nothing was read.
    pub fn stats(&self) -> Option<ReadStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events that were left out because of `--since` and `--until`.
    pub fn outside(&self) -> u64 {
        *self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// "Now", if it was looked for in the data.
    pub fn newest_seen(&self) -> Option<i64> {
        self.newest.get().copied().flatten()
    }

    /// Whether something that the user named could not be opened: the run goes on without it, but it is
    /// not what was asked for.
    pub fn incomplete(&self) -> bool {
        self.inputs.problems().iter().any(|p| p.kind == ProblemKind::Unreadable)
    }

    /// All problems: those of the reading, which include those of opening, or of the survey alone.
    pub fn problems(&self) -> Vec<Problem> {
        self.stats().map_or_else(|| self.survey.problems.clone(), |s| s.problems)
    }

    /// Splits a demand into what tables and what the reader itself provides, and says how to put the
    /// columns back in the order asked for.
    fn demand(&self, demand: &tercel_engine::Demand) -> (tercel_telemetry::Demand, Vec<Wanted>) {
        let ranged = self.range.get().is_some_and(|r| r.0.is_some() || r.1.is_some());
        let mut tables = Vec::new();
        let mut wanted = Vec::new();
        for t in &demand.tables {
            let has = |name: &str| t.columns.iter().any(|(n, _)| &**n == name);
            let own: Vec<(Name, Type)> = t
                .columns
                .iter()
                .filter(|(n, _)| !hidden::ALL.iter().any(|(h, _)| *h == &**n))
                .cloned()
                .collect();
            let flags = HiddenColumns {
                time: ranged || has(hidden::TIME),
                source: has(hidden::SOURCE),
                record: has(hidden::RECORD),
                event: has(hidden::EVENT),
            };
            let given: Vec<&str> =
                own.iter().map(|(n, _)| &**n).chain(flags.names().map(|(n, _)| n)).collect();
            let mut own_at = 0;
            let order = t.columns.iter().map(|(n, _)| {
                if hidden::ALL.iter().any(|(h, _)| *h == &**n) {
                    given.iter().rposition(|g| *g == &**n).unwrap_or(0)
                } else {
                    // One column may be asked for under two types: its places follow each other.
                    own_at += 1;
                    own_at - 1
                }
            });
            let order = order.collect();
            let time = ranged.then(|| given.iter().rposition(|g| *g == hidden::TIME)).flatten();
            wanted.push(Wanted { table: t.table.clone(), order, time });
            tables.push(tercel_telemetry::TableDemand {
                table: t.table.clone(),
                columns: own,
                hidden: flags,
            });
        }
        let mut out = tercel_telemetry::Demand::new(tables);
        out.batch_rows = demand.batch_rows.max(1);
        (out, wanted)
    }

    /// Rows within the range of times. A row without a time is outside.
    fn within(&self, batch: &RecordBatch, time: usize) -> Result<RecordBatch, EngineError> {
        let (from, until) = self.range.get().copied().unwrap_or_default();
        let times = batch.column(time).as_primitive::<Int64Type>();
        let keep: BooleanArray = (0..times.len())
            .map(|i| {
                let t = times.is_valid(i).then(|| times.value(i));
                Some(t.is_some_and(|t| from.is_none_or(|f| t >= f) && until.is_none_or(|u| t < u)))
            })
            .collect();
        let out = filter_record_batch(batch, &keep).map_err(datafusion::error::DataFusionError::from)?;
        *self.outside.lock().unwrap_or_else(PoisonError::into_inner) +=
            (batch.num_rows() - out.num_rows()) as u64;
        Ok(out)
    }
}

/// How one table's batches become what the engine asked for.
struct Wanted {
    table: Name,
    /// For each column asked for, its place among those given.
    order: Vec<usize>,
    /// The place of the time that rows are chosen by.
    time: Option<usize>,
}

impl DataSource for Data {
    /// Files are surveyed at their beginning only, and a capture may hold anything further on: a table that
    /// tercel knows may always come. What came is in [`ReadStats`].
    fn has_table(&self, table: &str) -> bool {
        !self.inputs.files().is_empty()
            && (self.schemas().table(table).is_some() || self.survey.tables.iter().any(|t| &*t.name == table))
    }

    fn read(
        &self,
        demand: &tercel_engine::Demand,
        each: &mut dyn FnMut(tercel_engine::TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let (asked, wanted) = self.demand(demand);
        let mut failed = None;
        let mut deliver = |b: tercel_telemetry::TableBatch| {
            if interrupt::stopped() {
                return ControlFlow::Break(());
            }
            let Some(w) = wanted.iter().find(|w| w.table == b.table) else {
                return ControlFlow::Continue(());
            };
            let arranged = match w.time {
                Some(time) => self.within(&b.batch, time),
                None => Ok(b.batch),
            }
            .and_then(|batch| {
                batch.project(&w.order).map_err(|e| datafusion::error::DataFusionError::from(e).into())
            });
            match arranged {
                Ok(batch) if batch.num_rows() == 0 => ControlFlow::Continue(()),
                Ok(batch) => each(tercel_engine::TableBatch { table: b.table, batch }),
                Err(e) => {
                    failed = Some(e);
                    ControlFlow::Break(())
                }
            }
        };
        let stats = self.inputs.read(self.schemas(), &asked, &mut deliver, &self.progress);
        let mut held = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|h| stats.events >= h.events) {
            *held = Some(stats);
        }
        failed.map_or(Ok(()), Err)
    }

    fn newest_time(&self) -> Option<i64> {
        *self.newest.get_or_init(|| self.inputs.newest_time(self.schemas()))
    }
}
