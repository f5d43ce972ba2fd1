//! Bridges: how the fields of a Sigma log source come from a target's columns, where no view of the catalog
//! says it. They are written as views are.
//!
//! More lines of the head: `print NAME` is how the relation is called in the result, `table NAME` with
//! `columns TYPE NAME…` declares one that the catalog does not have. `bare NAME…` lists columns that hold a path
//! in some rows and a file name alone in others.

use crate::flat::{Flat, flatten};
use include_dir::{Dir, include_dir};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tercel_ir::catalog::LogSource;
use tercel_ir::{Catalog, Column, Diagnostic, Name, Rel, RelKind, Schema, Span, StoredFunction, Type};
use tercel_schema::SchemaCatalog;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/bridges");

/// What bridges define depends on nothing but their text and the shipped tables.
static LOWERED: LazyLock<Mutex<HashMap<String, Option<Flat>>>> = LazyLock::new(Mutex::default);

/// The catalog's tables as they are, and those that a bridge declares.
pub(crate) struct Plain<'c> {
    pub catalog: &'c SchemaCatalog,
    pub tables: Vec<Rel>,
}

impl Catalog for Plain<'_> {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        let own = self.tables.iter().find(|t| matches!(&t.kind, RelKind::Scan { table } if **table == *name));
        if let Some(t) = own {
            return Some(Ok(t.clone()));
        }
        if let Some(t) = self.catalog.schemas().table(name) {
            return Some(Ok(t.scan()));
        }
        // A view counts as a table here: its definition is the business of those who run the result.
        let rel = self.catalog.relation(name)?;
        Some(rel.map(|r| scan(name, Schema { open: false, ..r.schema })))
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        self.catalog.names()
    }
    fn log_source(&self, source: LogSource<'_>) -> Result<Rel, Diagnostic> {
        self.catalog.log_source(source)
    }
}

pub(crate) fn scan(name: &str, schema: Schema) -> Rel {
    Rel { kind: RelKind::Scan { table: name.into() }, schema, span: Span::default() }
}

/// The bridge of a vocabulary for a category.
pub(crate) fn find(vocabulary: &str, category: &str, catalog: &SchemaCatalog) -> Option<Flat> {
    let path = format!("{vocabulary}/{category}.kql");
    let held = LOWERED.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    if let Some(f) = held {
        return f;
    }
    let made =
        FILES.get_file(&path).and_then(|f| f.contents_utf8()).and_then(|text| lower(text, catalog).ok());
    LOWERED.lock().unwrap_or_else(PoisonError::into_inner).insert(path, made.clone());
    made
}

/// A bridge's text taken apart.
///
/// # Errors
/// What is wrong with it; the shipped ones are tested.
pub(crate) fn lower(text: &str, catalog: &SchemaCatalog) -> Result<Flat, String> {
    let mut tables: Vec<(String, Vec<Column>)> = Vec::new();
    let mut print = None;
    let mut bare: Vec<Name> = Vec::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("// ")) {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "print" => print = Some(rest.trim().to_string()),
            "bare" => bare.extend(rest.split_whitespace().map(Name::from)),
            "table" => tables.push((rest.trim().to_string(), Vec::new())),
            "columns" => {
                let (ty, names) = rest.split_once(' ').ok_or("columns TYPE NAME…")?;
                let ty = Type::parse(ty).ok_or("no type")?;
                let (_, columns) = tables.last_mut().ok_or("columns of no table")?;
                columns.extend(names.split_whitespace().map(|n| Column::new(n, ty)));
            }
            _ => {}
        }
    }
    let tables = tables.into_iter().map(|(n, c)| scan(&n, Schema::new(c))).collect();
    let plain = Plain { catalog, tables };
    let (ast, found) = tercel_kql::parse(text);
    if found.has_errors() {
        return Err(format!("{:?}", found.into_vec()));
    }
    let options = tercel_kql::Options { as_view: true, ..Default::default() };
    let (rel, found) = tercel_kql::lower(&ast, &plain, &options);
    let rel = rel.filter(|_| !found.has_errors()).ok_or_else(|| format!("{:?}", found.into_vec()))?;
    let mut flat = flatten(&rel, None).map_err(|d| d.message)?;
    flat.bare = bare;
    if let Some(p) = print {
        flat.base = Name::from(p);
    }
    Ok(flat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tercel_schema::Schemas;

    #[test]
    fn shipped_bridges_lower() {
        let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
        let mut n = 0;
        for dir in FILES.dirs() {
            for f in dir.files() {
                let flat = lower(f.contents_utf8().unwrap(), &catalog);
                let flat = flat.unwrap_or_else(|e| panic!("{}: {e}", f.path().display()));
                assert!(flat.projected && !flat.conditions.is_empty(), "{}", f.path().display());
                n += 1;
            }
        }
        assert!(n >= 9, "{n}");
    }
}
