//! Parquet, written here from the rows of other formats.

use crate::common;

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;

use common::{data, rows};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use tercel_ir::Type;
use tercel_schema::Schemas;
use tercel_telemetry::{
    Demand, HiddenColumns, Inputs, ProblemKind, Progress, ReadOptions, TableDemand, resolve_event,
};

fn write(path: &str, table: Option<&str>, columns: Vec<(&str, ArrayRef)>) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let metadata = table.map(|t| vec![KeyValue::new("tercel.table".to_owned(), t.to_owned())]);
    let properties = WriterProperties::builder()
        .set_key_value_metadata(metadata)
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut w = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    w.write(&batch).unwrap();
    w.close().unwrap();
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

const ALL: HiddenColumns = HiddenColumns { time: true, source: true, record: true, event: true };

#[test]
fn events_of_one_table_by_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let path = path.to_str().unwrap();
    let channel: DictionaryArray<Int32Type> =
        vec!["Microsoft-Windows-Sysmon/Operational"; 3].into_iter().collect();
    write(
        path,
        None,
        vec![
            ("EventID", Arc::new(Int32Array::from(vec![3, 3, 1])) as ArrayRef),
            ("Channel", Arc::new(channel)),
            ("Hostname", text(&[Some("a"), None, Some("c")])),
            ("Initiated", text(&[Some("true"), Some("False"), None])),
            ("DestinationPort", text(&[Some("443"), Some("-"), Some("oops")])),
            ("SourceIsIpv6", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ("UtcTime", text(&[Some("2024-03-05 10:20:30.123"), Some("2024-03-05 10:20:31"), None])),
            ("Unused", text(&[Some("x"), Some("y"), Some("z")])),
        ],
    );
    let columns = [
        ("EventID", Type::Int),
        ("Computer", Type::String),
        ("Initiated", Type::Bool),
        ("DestinationPort", Type::Int),
        ("SourceIsIpv6", Type::Bool),
        ("TimeGenerated", Type::DateTime),
        ("NotThere", Type::String),
    ];
    let (stats, got) = rows(&[path], &ReadOptions::default(), "Sysmon", &columns, ALL);
    assert_eq!(stats.problems, []);
    assert_eq!((stats.events, stats.rows, stats.mistyped), (3, 3, 1));
    assert_eq!(stats.mistyped_example.unwrap().record, 2);
    assert_eq!(got[0]["Computer"], "a");
    assert_eq!(got[0]["TimeGenerated"], "2024-03-05T10:20:30.1230000Z");
    assert_eq!(got[0]["$time"], got[0]["TimeGenerated"]);
    assert_eq!(
        (&got[0]["Initiated"], &got[1]["Initiated"], &got[2]["Initiated"]),
        (&json!(true), &json!(false), &Value::Null)
    );
    assert_eq!((&got[0]["DestinationPort"], &got[1]["DestinationPort"]), (&json!(443), &Value::Null));
    assert_eq!((&got[2]["$record"], &got[2]["NotThere"]), (&json!(2), &Value::Null));
    let inputs = Inputs::open(&[path.to_owned()], &ReadOptions::default());
    let event = resolve_event(&inputs, &got[1]["$event"].as_str().unwrap().into()).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["Unused"], "y");
    assert_eq!(event.get("Hostname"), None);
    assert!(resolve_event(&inputs, &"@parquet:0:99".into()).is_err());
    assert!(resolve_event(&inputs, &"@parquet:7:0".into()).is_err());
    assert_eq!(&*resolve_event(&inputs, &"{\"a\":1}".into()).unwrap(), "{\"a\":1}");
    assert_eq!(
        inputs.newest_time(&Schemas::builtin()),
        tercel_ir::time::parse_datetime("2024-03-05T10:20:31Z")
    );
    assert_eq!(
        inputs.survey(&Schemas::builtin()).files[0].tables.iter().map(|t| &**t).collect::<Vec<_>>(),
        ["Sysmon"]
    );
}

#[test]
fn events_of_several_logs_row_by_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let path = path.to_str().unwrap();
    write(
        path,
        None,
        vec![
            ("EventID", Arc::new(Int64Array::from(vec![3, 5156, 104])) as ArrayRef),
            (
                "Channel",
                text(&[Some("Microsoft-Windows-Sysmon/Operational"), Some("Security"), Some("System")]),
            ),
            (
                "@timestamp",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![1_709_634_030_123_000; 3]).with_timezone("UTC"),
                ),
            ),
        ],
    );
    for table in ["Sysmon", "SecurityEvent", "WindowsEvents"] {
        let (stats, got) =
            rows(&[path], &ReadOptions::default(), table, &[("TimeGenerated", Type::DateTime)], ALL);
        assert_eq!((stats.events, got.len()), (3, 1), "{table}");
        assert_eq!(got[0]["TimeGenerated"], "2024-03-05T10:20:30.1230000Z");
        assert!(got[0]["$event"].as_str().unwrap().starts_with("@parquet:0:"));
    }
}

#[test]
fn named_tables_nested_columns_and_names_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join("named.parquet");
    let other = dir.path().join("other.parquet");
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]);
    let inner = StructArray::from(vec![(
        Arc::new(Field::new("k", DataType::Float64, true)),
        Arc::new(Float64Array::from(vec![0.5, 2.0])) as ArrayRef,
    )]);
    let columns = || -> Vec<(&str, ArrayRef)> {
        vec![
            ("list", Arc::new(list.clone()) as ArrayRef),
            ("inner", Arc::new(inner.clone())),
            ("name", text(&[Some("a"), Some("b")])),
        ]
    };
    write(named.to_str().unwrap(), Some("MyTable"), columns());
    write(other.to_str().unwrap(), None, columns());
    let wanted = [("list", Type::Dynamic), ("inner", Type::Dynamic), ("name", Type::String)];
    for (path, table) in [(&named, "MyTable"), (&other, "other")] {
        let (_, got) = rows(
            &[path.to_str().unwrap()],
            &ReadOptions::default(),
            table,
            &wanted,
            HiddenColumns::default(),
        );
        assert_eq!(got[0], json!({"list": "[1,null]", "inner": "{\"k\":0.5}", "name": "a"}), "{table}");
        assert_eq!(got[1]["list"], Value::Null);
    }
    let survey = Inputs::open(&[other.to_str().unwrap().to_owned()], &ReadOptions::default())
        .survey(&Schemas::builtin());
    let types: Vec<(&str, Type)> = survey.tables[0].columns.iter().map(|c| (&*c.name, c.ty)).collect();
    assert_eq!(types[1..], [("list", Type::Dynamic), ("inner", Type::Dynamic), ("name", Type::String)]);
}

#[test]
fn broken_parquet() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.parquet");
    write(good.to_str().unwrap(), None, vec![("a", text(&[Some("x"), Some("y"), Some("z")]))]);
    let bytes = std::fs::read(&good).unwrap();
    let demand = Demand::new(vec![TableDemand {
        table: "bad".into(),
        columns: vec![("a".into(), Type::String)],
        hidden: ALL,
    }]);
    let schemas = Schemas::builtin();
    let bad = dir.path().join("bad.parquet");
    for cut in 4..bytes.len() {
        std::fs::write(&bad, &bytes[..cut]).unwrap();
        let inputs =
            Inputs::open(&[bad.to_str().unwrap().to_owned(), data("app.ndjson")], &ReadOptions::default());
        inputs.survey(&schemas);
        inputs.newest_time(&schemas);
        let stats = inputs.read(&schemas, &demand, &mut |_| ControlFlow::Continue(()), &Progress::new());
        assert_eq!(stats.events, 2, "{cut}");
        assert_eq!(stats.problems.len(), 1, "{cut}");
        assert_eq!(stats.problems[0].kind, ProblemKind::BrokenOff);
    }
    for at in 4..bytes.len() {
        let mut b = bytes.clone();
        b[at] ^= 0x5a;
        std::fs::write(&bad, &b).unwrap();
        let inputs = Inputs::open(&[bad.to_str().unwrap().to_owned()], &ReadOptions::default());
        inputs.read(&schemas, &demand, &mut |_| ControlFlow::Continue(()), &Progress::new());
    }
}
