use super::*;
use std::sync::{Arc, Mutex};

/// Collects what is written.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, b: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(b);
        Ok(b.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("when", Type::DateTime),
        Column::new("n", Type::Long),
        Column::new("text", Type::String),
        Column::new("bag", Type::Dynamic),
    ]
}

fn written(format: Format, rows: &[Vec<Cell>]) -> Vec<u8> {
    let buffer = Buffer::default();
    let out: Box<dyn Write + Send> = Box::new(buffer.clone());
    let mut w: Box<dyn Rows> = match format {
        Format::Json => Box::new(json::Json::new(out, columns(), true)),
        Format::Jsonl => Box::new(json::Json::new(out, columns(), false)),
        Format::Csv => Box::new(delimited::Delimited::new(out, columns(), b',')),
        Format::Tsv => Box::new(delimited::Delimited::new(out, columns(), b'\t')),
        Format::Markdown => Box::new(markdown::Markdown::new(out, columns())),
        Format::Parquet => Box::new(parquet::Parquet::new(out, columns()).unwrap()),
        Format::Table => Box::new(table::Table::new(out, columns(), None, false)),
    };
    for r in rows {
        w.row(r.clone()).unwrap();
    }
    w.finish().unwrap();
    buffer.0.lock().unwrap().clone()
}

fn text(format: Format, rows: &[Vec<Cell>]) -> String {
    String::from_utf8(written(format, rows)).unwrap()
}

fn sample() -> Vec<Vec<Cell>> {
    let when = tercel_ir::time::parse_datetime("2024-01-02T03:04:05Z").unwrap();
    vec![
        vec![
            Cell::Value(Value::DateTime(when)),
            Cell::number(7),
            Cell::text("a,\"b\"|c"),
            Cell::Json("{\"z\": 1.10,\n\"a\": [2]}".into()),
        ],
        vec![Cell::NULL, Cell::NULL, Cell::text("x\ty"), Cell::NULL],
    ]
}

#[test]
fn json_keeps_order_and_passes_json_through() {
    assert_eq!(
        text(Format::Jsonl, &sample()),
        "{\"when\":\"2024-01-02T03:04:05.0000000Z\",\"n\":7,\"text\":\"a,\\\"b\\\"|c\",\"bag\":{\"z\": 1.10,\"a\": [2]}}\n\
         {\"when\":null,\"n\":null,\"text\":\"x\\ty\",\"bag\":null}\n"
    );
    assert_eq!(text(Format::Json, &[]), "[]\n");
    let array: Vec<serde_json::Value> = serde_json::from_str(&text(Format::Json, &sample())).unwrap();
    assert_eq!(array.len(), 2);
}

#[test]
fn delimited_files_have_a_header_even_without_rows() {
    assert_eq!(text(Format::Csv, &[]), "when,n,text,bag\n");
    assert!(text(Format::Csv, &sample()).contains("7,\"a,\"\"b\"\"|c\","));
    assert!(text(Format::Tsv, &sample()).starts_with("when\tn\ttext\tbag\n"));
}

#[test]
fn markdown_escapes_what_would_break_a_cell() {
    let t = text(Format::Markdown, &sample());
    assert!(t.starts_with("| when | n | text | bag |\n| --- | --: | --- | --- |\n"), "{t}");
    assert!(t.contains("a,\"b\"\\|c"), "{t}");
}

#[test]
fn table_shows_control_characters_instead_of_obeying_them() {
    let row = vec![Cell::NULL, Cell::number(1), Cell::text("\u{1b}[31mred\n\u{202e}"), Cell::NULL];
    let t = text(Format::Table, &[row]);
    assert!(!t.contains('\u{1b}') && t.contains("\\u{1b}[31mred\\n\\u{202e}"), "{t}");
}

#[test]
fn parquet_can_be_read_back() {
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), written(Format::Parquet, &sample())).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 2);
    assert_eq!(batches[0].num_columns(), 4);
    assert_eq!(batches[0].column(1).null_count(), 1);
}

#[test]
fn format_of_a_file_and_no_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let target = |p: &Path, force| Target::new(None, Some(p), force, false);
    assert_eq!(target(&path, false).unwrap().format, Format::Csv);
    assert!(target(&dir.path().join("out.xyz"), false).is_err());
    target(&path, false).unwrap().rows(columns()).unwrap().finish().unwrap();
    assert!(target(&path, false).unwrap().rows(columns()).is_err());
    target(&path, true).unwrap().rows(columns()).unwrap().finish().unwrap();
}
