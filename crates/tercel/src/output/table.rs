//! Columns for people.

use super::{Cell, Column, Rows, visible};
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, TableStyle};
use std::io::{self, Write};

/// Rows that share one layout. More than this come in several tables, so that memory stays bounded.
const CHUNK: usize = 5_000;
/// A longer cell is cut on a terminal, visibly.
const MAX_CELL: usize = 400;
/// Columns narrower than this are unreadable; rows are then shown one under the other.
const MIN_WIDTH: usize = 9;

pub(super) struct Table {
    out: Box<dyn Write + Send>,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    width: Option<u16>,
    color: bool,
    printed: u64,
}

impl Table {
    pub(super) fn new(
        out: Box<dyn Write + Send>,
        columns: Vec<Column>,
        width: Option<u16>,
        color: bool,
    ) -> Table {
        Table { out, columns, rows: Vec::new(), width, color, printed: 0 }
    }

    fn flush_rows(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let narrow = self.width.is_some_and(|w| self.columns.len() * MIN_WIDTH > usize::from(w));
        if narrow { self.records(&rows) } else { self.grid(&rows) }
    }

    fn text(&self, cell: &Cell) -> String {
        let text = match cell {
            // A list of texts reads better without quotes.
            Cell::Value(tercel_ir::Value::Dynamic(serde_json::Value::Array(items)))
                if items.iter().all(serde_json::Value::is_string) =>
            {
                items.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(", ")
            }
            other => other.to_text(),
        };
        let text = visible(&text);
        match (self.width, text.char_indices().nth(MAX_CELL)) {
            (Some(_), Some((at, _))) => format!("{}…", &text[..at]),
            _ => text.into_owned(),
        }
    }

    fn grid(&mut self, rows: &[Vec<Cell>]) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_style(plain_style());
        if self.width.is_none() {
            table.force_no_tty();
        }
        if let Some(w) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(w);
        }
        let bold = self.color;
        table.set_header(self.columns.iter().map(|c| {
            let cell = comfy_table::Cell::new(visible(&c.name));
            if bold { cell.add_attribute(comfy_table::Attribute::Bold) } else { cell }
        }));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|c| self.text(c)).collect();
            table.add_row(cells);
        }
        for (i, c) in self.columns.iter().enumerate() {
            if let Some(column) = table.column_mut(i) {
                column.set_padding((0, 2));
                if c.ty.is_number() {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// One value a line; columns without a value are left out.
    fn records(&mut self, rows: &[Vec<Cell>]) -> io::Result<()> {
        let name_width = self.columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        for row in rows {
            self.printed += 1;
            writeln!(self.out, "── row {} ──", self.printed)?;
            for (column, cell) in self.columns.iter().zip(row).filter(|(_, c)| !c.is_empty()) {
                writeln!(self.out, "{:name_width$}  {}", visible(&column.name), self.text(cell))?;
            }
        }
        Ok(())
    }
}

/// Columns set apart by blanks, a line under the header.
fn plain_style() -> TableStyle {
    TableStyle::new().header_separator(LineStyle::none().fill('─'))
}

impl Rows for Table {
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        self.rows.push(cells);
        if self.rows.len() >= CHUNK { self.flush_rows() } else { Ok(()) }
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if !self.rows.is_empty() || self.printed == 0 {
            self.flush_rows()?;
        }
        self.out.flush()
    }
}
