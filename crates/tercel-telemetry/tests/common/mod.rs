//! Helpers of the tests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde_json::{Map, Value, json};
use tercel_ir::Name;
use tercel_schema::Schemas;
use tercel_telemetry::{
    Demand, EventSink, HiddenColumns, Inputs, Progress, RawEvent, ReadOptions, ReadStats, TableBatch,
    TableDemand,
};

/// A folder beside the repository that need not be there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let p = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    p.exists().then_some(p)
}

/// A file of the test data.
pub fn data(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Counts events.
#[derive(Default, Debug)]
pub struct Counter {
    pub by_table_event: BTreeMap<(String, i64), u64>,
    pub by_provider_event: BTreeMap<String, u64>,
    /// Rendered events, if kept.
    pub events: Option<Vec<String>>,
}

impl EventSink for Counter {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let id = e.get("EventID").and_then(|v| v.as_i64()).unwrap_or(-1);
        *self.by_table_event.entry((e.table.to_string(), id)).or_default() += 1;
        if let Some(p) = e.get("Provider").and_then(|v| v.as_text()) {
            *self.by_provider_event.entry(format!("{p}|{id}")).or_default() += 1;
        }
        if let Some(list) = &mut self.events {
            let mut text = String::new();
            tercel_telemetry::value::object_text(e.fields, &mut text);
            list.push(text);
        }
        ControlFlow::Continue(())
    }
}

/// Every native table that can be demanded, with `EventID` and `Provider`.
fn demand(schemas: &Schemas, stems: &[Name]) -> Demand {
    let mut names: Vec<Name> = schemas.tables().iter().map(|t| t.name.clone()).collect();
    names.extend(stems.iter().filter(|s| schemas.table(s).is_none()).cloned());
    let tables = names
        .into_iter()
        .map(|table| TableDemand {
            table,
            columns: vec![
                ("EventID".into(), tercel_ir::Type::Long),
                ("Provider".into(), tercel_ir::Type::String),
            ],
            hidden: HiddenColumns { time: true, ..HiddenColumns::default() },
        })
        .collect();
    Demand::new(tables)
}

/// Reads paths through batches and counts what comes out.
pub fn read_paths(paths: &[&str]) -> (ReadStats, Counter) {
    let schemas = Schemas::builtin();
    let paths: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
    let inputs = Inputs::open(&paths, &ReadOptions::default());
    let survey = inputs.survey(&schemas);
    let stems: Vec<Name> = survey.tables.iter().map(|t| t.name.clone()).collect();
    let mut counter = Counter::default();
    let stats = inputs.read(
        &schemas,
        &demand(&schemas, &stems),
        &mut |b: TableBatch| {
            let ids = b.batch.column(0).as_primitive::<Int64Type>();
            let providers = b.batch.column(1).as_string_view();
            for i in 0..b.batch.num_rows() {
                let id = if ids.is_valid(i) { ids.value(i) } else { -1 };
                *counter.by_table_event.entry((b.table.to_string(), id)).or_default() += 1;
                if providers.is_valid(i) {
                    *counter.by_provider_event.entry(format!("{}|{id}", providers.value(i))).or_default() +=
                        1;
                }
            }
            ControlFlow::Continue(())
        },
        &Progress::new(),
    );
    (stats, counter)
}

/// Reads the given columns of one table as JSON objects; datetimes as text.
pub fn rows(
    paths: &[&str],
    options: &ReadOptions,
    table: &str,
    columns: &[(&str, tercel_ir::Type)],
    hidden: HiddenColumns,
) -> (ReadStats, Vec<Value>) {
    let schemas = Schemas::builtin();
    let paths: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
    let inputs = Inputs::open(&paths, options);
    let demand = Demand::new(vec![TableDemand {
        table: table.into(),
        columns: columns.iter().map(|(n, t)| ((*n).into(), *t)).collect(),
        hidden,
    }]);
    let times: Vec<&str> = columns
        .iter()
        .filter(|(_, t)| *t == tercel_ir::Type::DateTime)
        .map(|(n, _)| *n)
        .chain(["$time"])
        .collect();
    let mut out = Vec::new();
    let stats = inputs.read(
        &schemas,
        &demand,
        &mut |b| {
            out.extend(objects(&b.batch, &times));
            ControlFlow::Continue(())
        },
        &Progress::new(),
    );
    (stats, out)
}

fn objects(batch: &RecordBatch, times: &[&str]) -> Vec<Value> {
    let mut out = vec![Map::new(); batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        for (i, o) in out.iter_mut().enumerate() {
            let value = match column.data_type() {
                _ if column.is_null(i) => Value::Null,
                DataType::Boolean => json!(column.as_boolean().value(i)),
                DataType::Int64 if times.contains(&field.name().as_str()) => {
                    json!(tercel_ir::time::format_datetime(column.as_primitive::<Int64Type>().value(i)))
                }
                DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(i)),
                DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(i)),
                _ => json!(column.as_string_view().value(i)),
            };
            o.insert(field.name().clone(), value);
        }
    }
    out.into_iter().map(Value::Object).collect()
}
