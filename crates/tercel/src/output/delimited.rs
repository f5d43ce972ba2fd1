//! Values with commas or tabs between them.

use super::{Cell, Column, Rows};
use std::io::{self, Write};

pub(super) struct Delimited {
    out: csv::Writer<Box<dyn Write + Send>>,
    columns: Vec<Column>,
    header: bool,
}

impl Delimited {
    pub(super) fn new(out: Box<dyn Write + Send>, columns: Vec<Column>, delimiter: u8) -> Delimited {
        Delimited {
            out: csv::WriterBuilder::new().delimiter(delimiter).from_writer(out),
            columns,
            header: false,
        }
    }
    /// A header stands above no rows too.
    fn header(&mut self) -> io::Result<()> {
        if !self.header {
            self.header = true;
            self.out.write_record(self.columns.iter().map(|c| &c.name)).map_err(into_io)?;
        }
        Ok(())
    }
}

impl Rows for Delimited {
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        self.header()?;
        self.out.write_record(cells.iter().map(Cell::to_text)).map_err(into_io)
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}

fn into_io(e: csv::Error) -> io::Error {
    match e.into_kind() {
        csv::ErrorKind::Io(e) => e,
        other => io::Error::other(format!("{other:?}")),
    }
}
