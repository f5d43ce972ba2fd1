//! The data of a run: files as the engine's source, with what is to be said about them afterwards.

use crate::cli::Reading;
use crate::failure::Failure;
use crate::talk::Talk;
use crate::{interrupt, times};
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::error::DataFusionError;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tercel_engine::{DataSource, Demand, EngineError, TableBatch, Telemetry, hidden};
use tercel_ir::Type;
use tercel_schema::{Schemas, TableDef};
use tercel_telemetry::{Inputs, Problem, ProblemKind, Progress, ReadOptions, ReadStats, Shape, Survey};

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
    /// records, whatever the options say.
    pub fn open(paths: &[String], reading: &Reading, text: bool) -> Data {
        let mut options = ReadOptions {
            time_field: reading.time_field.clone(),
            text: text || reading.text,
            ..ReadOptions::default()
        };
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

    /// Says which of the named paths cannot be read, also when quiet.
    ///
    /// # Errors
    /// When that leaves nothing to read.
    pub fn tell_missing(&self, talk: &Talk) -> Result<(), Failure> {
        let nothing = self.inputs.files().is_empty();
        for p in self.inputs.problems().iter().filter(|p| nothing || p.kind == ProblemKind::Unreadable) {
            talk.error(&format!("cannot read {p}"));
        }
        if nothing {
            let help =
                "name files or folders of EVTX, JSON, CSV, Parquet or Zeek logs; --text reads plain text";
            return Err(Failure::new("there is no data to read").help(help));
        }
        Ok(())
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

    /// The tables under which events are read.
    pub fn schemas(&self) -> &Schemas {
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

    /// Events from..until, in ticks, as the options name them.
    pub fn range(&self) -> (Option<i64>, Option<i64>) {
        self.range.get().copied().unwrap_or_default()
    }

    /// Keeps what a pass over the data saw, of the pass that saw most. Passes look at different columns, some
    /// at the same: of values that did not fit, the larger count is kept and not the sum.
    pub fn saw(&self, mut stats: ReadStats) {
        let mut held = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(h) = held.as_mut() else {
            *held = Some(stats);
            return;
        };
        if stats.events < h.events {
            if stats.mistyped > h.mistyped {
                (h.mistyped, h.mistyped_example) = (stats.mistyped, stats.mistyped_example);
            }
            return;
        }
        if h.mistyped > stats.mistyped {
            (stats.mistyped, stats.mistyped_example) = (h.mistyped, h.mistyped_example.take());
        }
        *h = stats;
    }

    /// Counts events that were left out because of `--since` and `--until`.
    pub fn left_out(&self, events: u64) {
        *self.outside.lock().unwrap_or_else(PoisonError::into_inner) += events;
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

    /// Rows within the range of times, which stand in the last column. A row without a time is outside.
    fn within(&self, batch: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let (from, until) = self.range();
        let last = batch.num_columns().saturating_sub(1);
        let times = batch.column(last).as_primitive::<Int64Type>();
        let keep: BooleanArray = (0..times.len())
            .map(|i| {
                let t = times.is_valid(i).then(|| times.value(i));
                Some(t.is_some_and(|t| from.is_none_or(|f| t >= f) && until.is_none_or(|u| t < u)))
            })
            .collect();
        let kept = filter_record_batch(batch, &keep).map_err(DataFusionError::from)?;
        let columns: Vec<usize> = (0..last).collect();
        let out = kept.project(&columns).map_err(DataFusionError::from)?;
        self.left_out((batch.num_rows() - out.num_rows()) as u64);
        Ok(out)
    }
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
        demand: &Demand,
        each: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let telemetry = Telemetry::new(&self.inputs, self.schemas(), [], &self.progress);
        let ranged = self.range.get().is_some_and(|r| r.0.is_some() || r.1.is_some());
        let mut failed = None;
        let result = if ranged {
            // The time of each row comes along as its last column, and is taken off again.
            let mut wider = demand.clone();
            wider.tables.iter_mut().for_each(|t| t.columns.push((hidden::TIME.into(), Type::DateTime)));
            telemetry.read(&wider, &mut |b| match self.within(&b.batch) {
                _ if interrupt::stopped() => ControlFlow::Break(()),
                Ok(batch) if batch.num_rows() == 0 => ControlFlow::Continue(()),
                Ok(batch) => each(TableBatch { table: b.table, batch }),
                Err(e) => {
                    failed = Some(e);
                    ControlFlow::Break(())
                }
            })
        } else {
            telemetry
                .read(demand, &mut |b| if interrupt::stopped() { ControlFlow::Break(()) } else { each(b) })
        };
        if let Some(stats) = telemetry.stats() {
            self.saw(stats);
        }
        failed.map_or(result, Err)
    }

    fn newest_time(&self) -> Option<i64> {
        *self.newest.get_or_init(|| self.inputs.newest_time(self.schemas()))
    }
}
