//! A Markdown table.

use super::{Cell, Column, Rows};
use std::io::{self, Write};

pub(super) struct Markdown {
    out: Box<dyn Write + Send>,
    columns: Vec<Column>,
    header: bool,
}

impl Markdown {
    pub(super) fn new(out: Box<dyn Write + Send>, columns: Vec<Column>) -> Markdown {
        Markdown { out, columns, header: false }
    }
    fn header(&mut self) -> io::Result<()> {
        if self.header || self.columns.is_empty() {
            return Ok(());
        }
        self.header = true;
        self.line(&self.columns.iter().map(|c| escape(&c.name)).collect::<Vec<_>>())?;
        self.line(
            &self
                .columns
                .iter()
                .map(|c| if c.ty.is_number() { "--:" } else { "---" }.into())
                .collect::<Vec<_>>(),
        )
    }
    fn line(&mut self, cells: &[String]) -> io::Result<()> {
        writeln!(self.out, "| {} |", cells.join(" | "))
    }
}

impl Rows for Markdown {
    fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        self.header()?;
        self.line(&cells.iter().map(|c| escape(&c.to_text())).collect::<Vec<_>>())
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}

/// Text that stays in its cell and is not taken for markup.
fn escape(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '<' | '[' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' | '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
