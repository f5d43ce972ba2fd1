//! A look at the beginning of every file.

use std::collections::HashMap;
use std::ops::ControlFlow;

use tercel_ir::{Column, Name, Type};
use tercel_schema::{Schemas, TableDef};

use crate::event::{EventSink, RawEvent};
use crate::input::{Format, Inputs};
use crate::layout::{ByLayout, LaidOut};
use crate::problem::{Problem, Problems};
use crate::read::{Run, parquet};
use crate::shape::{Recogniser, Shape, is_time_name};
use crate::typing;

/// Events looked at in every file.
const EVENTS: u64 = 200;
/// Columns noted of one table. Beyond that they can still be referred to, as strings.
const COLUMNS: usize = 4096;

/// What a survey found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Tables with the columns that the schemas do not have; to be merged into them.
    pub tables: Vec<TableDef>,
    /// One for each file, in order.
    pub files: Vec<FileSummary>,
    /// Problems met, those of [`Inputs::open`] included.
    pub problems: Vec<Problem>,
}

/// What the beginning of a file holds.
#[derive(Clone, Debug)]
pub struct FileSummary {
    pub path: Name,
    pub format: Format,
    /// The carrier of most of its events; `None`: there were none.
    pub shape: Option<Shape>,
    /// Tables by number of rows, most first.
    pub tables: Vec<Name>,
}

#[derive(Default)]
struct Found {
    /// In order of first sight; `None`: only nulls so far.
    columns: Vec<(Name, Option<Type>)>,
    index: HashMap<Name, usize>,
}

impl Found {
    fn note(&mut self, name: &str, ty: Option<Type>) {
        match self.index.get(name) {
            Some(i) => {
                let known = &mut self.columns[*i].1;
                *known = match (*known, ty) {
                    (Some(a), Some(b)) => Some(typing::join(a, b)),
                    (a, b) => a.or(b),
                };
            }
            None if self.columns.len() < COLUMNS => {
                let name: Name = name.into();
                self.index.insert(name.clone(), self.columns.len());
                self.columns.push((name, ty));
            }
            None => {}
        }
    }
}

/// Collects column names and types.
struct SurveySink<'s> {
    schemas: &'s Schemas,
    tables: Vec<(Name, Found)>,
    left: u64,
    /// Takes events by layout, if the reader can.
    by_layout: bool,
    layouts: Vec<Layout>,
}

/// What is to be noted of events of one layout.
struct Layout {
    table: usize,
    /// Columns that nobody declared.
    fields: Vec<(usize, Name)>,
}

impl SurveySink<'_> {
    fn table(&mut self, table: &Name) -> usize {
        match self.tables.iter().position(|(n, _)| n == table) {
            Some(i) => i,
            None => {
                self.tables.push((table.clone(), Found::default()));
                self.tables.len() - 1
            }
        }
    }

    /// Whether a column of this name is to be noted.
    fn is_news(known: Option<&TableDef>, name: &str) -> bool {
        // Names with a dollar are ours.
        !name.is_empty() && !name.starts_with('$') && known.is_none_or(|t| t.column(name).is_none())
    }

    fn one_less(&mut self) -> ControlFlow<()> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl EventSink for SurveySink<'_> {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        let known = self.schemas.table(event.table);
        let table = self.table(event.table);
        let found = &mut self.tables[table].1;
        for f in event.fields {
            if Self::is_news(known, &f.name) {
                found.note(&f.name, typing::suggest(&f.value));
            }
        }
        self.one_less()
    }
    fn by_layout(&mut self) -> Option<&mut dyn ByLayout> {
        if self.by_layout { Some(self) } else { None }
    }
}

impl ByLayout for SurveySink<'_> {
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        let known = self.schemas.table(table);
        let news = names.iter().enumerate().filter(|(_, n)| Self::is_news(known, n));
        let fields = news.map(|(i, n)| (i, n.clone())).collect();
        let table = self.table(table);
        self.layouts.push(Layout { table, fields });
        Some(self.layouts.len() - 1)
    }
    fn event(&mut self, layout: usize, event: &LaidOut<'_>) -> ControlFlow<()> {
        if let Some(layout) = self.layouts.get(layout) {
            let found = &mut self.tables[layout.table].1;
            for (at, name) in &layout.fields {
                found.note(name, event.values.get(*at).and_then(typing::suggest));
            }
        }
        self.one_less()
    }
    fn generation(&self) -> u64 {
        0
    }
}

impl Inputs {
    /// Looks at the first events of every file: carriers, tables, columns nobody declared.
    pub fn survey(&self, schemas: &Schemas) -> Survey {
        let mut survey = Survey { problems: self.problems.clone(), ..Survey::default() };
        let mut sink =
            SurveySink { schemas, tables: Vec::new(), left: 0, by_layout: false, layouts: Vec::new() };
        let mut recogniser = Recogniser::new(schemas, None);
        for file in &self.files {
            sink.left = EVENTS;
            sink.by_layout = file.format == Format::Evtx;
            let mut problems = Problems::new(file.name.clone());
            if file.format == Format::Parquet {
                if let Err(e) = parquet::survey(file, &mut recogniser, &mut sink) {
                    problems.add(crate::ProblemKind::Unreadable, None, || e);
                }
            } else {
                let mut run = Run::new(
                    &mut recogniser,
                    &mut sink,
                    &mut problems,
                    &self.options,
                    None,
                    file.name.clone(),
                    file.stem.clone(),
                );
                run.file(file);
            }
            let mut counts = recogniser.take_counts();
            counts.sort_by_key(|c| std::cmp::Reverse(c.2));
            let mut tables: Vec<Name> = Vec::new();
            for (t, _, _) in &counts {
                if !tables.contains(t) {
                    tables.push(t.clone());
                }
            }
            survey.files.push(FileSummary {
                path: file.name.clone(),
                format: file.format,
                shape: counts.first().map(|c| c.1),
                tables,
            });
            survey.problems.extend(problems.into_vec());
        }
        survey.tables = sink.tables.into_iter().map(|(name, found)| definition(name, found)).collect();
        survey
    }
}

fn definition(name: Name, found: Found) -> TableDef {
    let mut def = TableDef::unknown(name);
    let time = found.columns.iter().find(|(n, t)| is_time_name(n) && *t == Some(Type::DateTime));
    if let Some((n, _)) = time {
        def.time = n.clone();
    }
    for (n, ty) in found.columns {
        if def.column(&n).is_none() {
            def.columns.push(Column::new(n, ty.unwrap_or(Type::String)));
        }
    }
    def
}
