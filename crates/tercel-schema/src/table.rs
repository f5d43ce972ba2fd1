//! Tables that tercel knows, with their columns.

use crate::text::{parse_domains, parse_tables};
use include_dir::{Dir, include_dir};
use std::collections::HashMap;
use std::sync::LazyLock;
use tercel_ir::{Column, Name, Rel, RelKind, Schema, Span, Type};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/schemas");

/// Columns that every scan has beside those of its schema; the engine and generated views read them.
pub mod hidden {
    /// Time of the event, datetime; what `TimeGenerated` is filled from when the source has no such column.
    pub const TIME: &str = "$time";
    /// The file that the event was read from, string.
    pub const SOURCE: &str = "$source";
    /// Which record of the file, long: 0-based for JSON and CSV, `EventRecordID` for EVTX.
    pub const RECORD: &str = "$record";
    /// The whole event as JSON text, string.
    pub const EVENT: &str = "$event";
    /// All of them, with their types.
    pub const ALL: [(&str, tercel_ir::Type); 4] = [
        (TIME, tercel_ir::Type::DateTime),
        (SOURCE, tercel_ir::Type::String),
        (RECORD, tercel_ir::Type::Long),
        (EVENT, tercel_ir::Type::String),
    ];
    /// Whether a column name is one of them.
    pub fn is_hidden(name: &str) -> bool {
        ALL.iter().any(|(n, _)| *n == name)
    }
}

/// A table of events as a source writes them.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDef {
    pub name: Name,
    /// Declared columns in output order; `TimeGenerated` (datetime) is always among them.
    pub columns: Vec<Column>,
    /// Columns that are not declared may be referred to; they are read from the events on demand.
    pub open: bool,
    /// The column in which the source itself writes the event's time (`UtcTime`, `Timestamp`, `ts`).
    pub time: Name,
    /// One line for people.
    pub about: String,
}

impl TableDef {
    /// An open table of which nothing is known but its name.
    pub fn unknown(name: impl Into<Name>) -> TableDef {
        let mut t = TableDef {
            name: name.into(),
            columns: Vec::new(),
            open: true,
            time: "TimeGenerated".into(),
            about: String::new(),
        };
        t.ensure_time();
        t
    }
    /// By exact name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| &*c.name == name)
    }
    /// The relation that reads this table.
    pub fn scan(&self) -> Rel {
        Rel {
            kind: RelKind::Scan { table: self.name.clone() },
            schema: Schema { columns: self.columns.clone().into(), open: self.open },
            span: Span::default(),
        }
    }
    fn ensure_time(&mut self) {
        if self.column("TimeGenerated").is_none() {
            self.columns.insert(0, Column::new("TimeGenerated", Type::DateTime));
        }
    }
}

/// The tables known to one run.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    tables: Vec<TableDef>,
    index: HashMap<Name, usize>,
}

static BUILTIN: LazyLock<Schemas> = LazyLock::new(|| {
    let text = |name: &str| FILES.get_file(name).and_then(|f| f.contents_utf8()).unwrap_or_default();
    // The files are part of the program; a fault in them is caught by the tests of this crate.
    let rules = parse_domains(text("domains.txt")).unwrap_or_else(|e| panic!("domains.txt: {e}"));
    let mut files: Vec<_> =
        FILES.files().filter(|f| f.path().extension().is_some_and(|e| e == "schema")).collect();
    files.sort_by_key(|f| f.path());
    let mut schemas = Schemas::default();
    for f in files {
        let tables = parse_tables(f.contents_utf8().unwrap_or_default());
        for mut t in tables.unwrap_or_else(|e| panic!("{}: {e}", f.path().display())) {
            for c in &mut t.columns {
                c.domain = rules.iter().rev().find(|r| r.covers(&t.name, &c.name)).map(|r| r.domain.clone());
            }
            schemas.merge(t);
        }
    }
    schemas
});

impl Schemas {
    /// The tables that tercel ships.
    pub fn builtin() -> Schemas {
        BUILTIN.clone()
    }
    /// By exact name.
    pub fn table(&self, name: &str) -> Option<&TableDef> {
        self.index.get(name).map(|i| &self.tables[*i])
    }
    /// All, the shipped ones first.
    pub fn tables(&self) -> &[TableDef] {
        &self.tables
    }
    /// Adds a table, or, where the name is known, the columns that the known table lacks. Types and
    /// domains of known columns stay.
    pub fn merge(&mut self, mut discovered: TableDef) {
        match self.index.get(&discovered.name) {
            Some(i) => {
                let known = &mut self.tables[*i];
                let names: std::collections::HashSet<Name> =
                    known.columns.iter().map(|c| c.name.clone()).collect();
                known.columns.extend(discovered.columns.into_iter().filter(|c| !names.contains(&c.name)));
            }
            None => {
                discovered.ensure_time();
                self.index.insert(discovered.name.clone(), self.tables.len());
                self.tables.push(discovered);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tercel_ir::Domain;

    #[test]
    fn builtin_tables_are_sound() {
        let s = Schemas::builtin();
        assert!(s.tables().len() > 140, "{}", s.tables().len());
        for t in s.tables() {
            let mut names: Vec<&str> = t.columns.iter().map(|c| &*c.name).collect();
            let n = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(n, names.len(), "a column of {} stands twice", t.name);
            assert_eq!(t.column("TimeGenerated").map(|c| c.ty), Some(Type::DateTime), "{}", t.name);
            assert_eq!(t.column(&t.time).map(|c| c.ty), Some(Type::DateTime), "{}", t.name);
        }
    }

    #[test]
    fn types_and_domains() {
        let s = Schemas::builtin();
        let ty = |t: &str, c: &str| s.table(t).unwrap().column(c).unwrap_or_else(|| panic!("{t}.{c}")).ty;
        assert_eq!(ty("Sysmon", "Initiated"), Type::Bool);
        assert_eq!(ty("Sysmon", "DestinationPort"), Type::Int);
        assert_eq!(ty("Sysmon", "ProcessId"), Type::Long);
        assert_eq!(ty("Sysmon", "UtcTime"), Type::DateTime);
        assert_eq!(ty("SecurityEvent", "DestPort"), Type::Int);
        assert_eq!(ty("DeviceNetworkEvents", "Timestamp"), Type::DateTime);
        assert_eq!(ty("DeviceNetworkEvents", "AdditionalFields"), Type::Dynamic);
        assert!(s.table("DeviceNetworkEvents").unwrap().column("AccountName").is_none());
        let domain = |t: &str, c: &str| s.table(t).unwrap().column(c).unwrap().domain.clone();
        assert_eq!(domain("DeviceNetworkEvents", "InitiatingProcessFileName"), Some(Domain::FileName));
        assert_eq!(domain("Sysmon", "DestinationPort"), Some(Domain::Range { from: 0, to: 65535 }));
        let Some(Domain::Values { values, closed: false }) = domain("DeviceNetworkEvents", "ActionType")
        else {
            panic!("ActionType has no values")
        };
        assert!(values.iter().any(|v| v == "ConnectionSuccess"));
    }

    #[test]
    fn merge_adds_and_keeps() {
        let mut s = Schemas::builtin();
        let before = s.table("Sysmon").unwrap().columns.len();
        let mut t = TableDef::unknown("Sysmon");
        t.columns.push(Column::new("EventID", Type::String));
        t.columns.push(Column::new("GrandParentImage", Type::String));
        s.merge(t);
        let sysmon = s.table("Sysmon").unwrap();
        assert_eq!(sysmon.columns.len(), before + 1);
        assert_eq!(sysmon.column("EventID").unwrap().ty, Type::Int);
        s.merge(TableDef::unknown("conn_2024"));
        assert!(s.table("conn_2024").unwrap().open);
    }
}
