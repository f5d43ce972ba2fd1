//! What surrounds rules and queries: tables, views, lookups, the GeoIP database.

use crate::cli::World;
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tercel_catalog::CompileOptions;
use tercel_ir::function::Context;
use tercel_ir::{Catalog, Column, Diagnostic, Rel, RelKind, Schema, Span, Type, Value};
use tercel_schema::{SchemaCatalog, Schemas, TableDef};

/// A lookup with more rows than this belongs among the data.
const MAX_LOOKUP_ROWS: usize = 1_000_000;

/// Tables and views over `schemas` and what a survey of the data discovered, with what the options add.
///
/// # Errors
/// When a view, lookup or database that is named cannot be used: what is missing is never guessed.
pub fn catalog(world: &World, schemas: Schemas, discovered: Vec<TableDef>) -> Result<SchemaCatalog, Failure> {
    let tables: Vec<String> = discovered.iter().map(|t| t.name.to_string()).collect();
    let mut catalog = SchemaCatalog::new(schemas, discovered);
    if let Some(folder) = &world.views {
        add_views(&mut catalog, folder)?;
    }
    for spec in &world.lookups {
        let (name, path) = spec
            .split_once('=')
            .filter(|(n, p)| !n.is_empty() && !p.is_empty())
            .ok_or_else(|| Failure::new(format!("`--lookup {spec}` is not NAME=FILE")))?;
        catalog.add_lookup(name, lookup(Path::new(path))?);
    }
    if let Some(spec) = &world.source_category {
        match spec.split_once('=') {
            Some((table, category)) => catalog.set_source_category(table, category),
            None => {
                let all: Vec<String> =
                    catalog.schemas().tables().iter().map(|t| t.name.to_string()).collect();
                for table in all.iter().chain(&tables) {
                    catalog.set_source_category(table, spec);
                }
            }
        }
    }
    Ok(catalog)
}

/// How rules are compiled: strictness, and what Sigma's placeholders stand for.
///
/// # Errors
/// When a file that is named cannot be read.
pub fn compile_options(world: &World) -> Result<CompileOptions, Failure> {
    let mut placeholders = BTreeMap::new();
    for spec in &world.placeholders {
        let (name, path) = spec
            .split_once('=')
            .filter(|(n, p)| !n.is_empty() && !p.is_empty())
            .ok_or_else(|| Failure::new(format!("`--placeholder {spec}` is not NAME=FILE")))?;
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::new(format!("cannot read the placeholder values in `{path}`: {e}")))?;
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let values: Vec<String> =
            lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(Into::into).collect();
        if values.is_empty() {
            return Err(Failure::new(format!("`{path}` holds no value for the placeholder `{name}`")));
        }
        placeholders.insert(name.trim_matches('%').to_string(), values);
    }
    let options = CompileOptions { strict: world.strict.unwrap_or(false), ..CompileOptions::default() };
    Ok(options.with_placeholders(placeholders))
}

/// What functions may ask about the world outside.
///
/// # Errors
/// When the database cannot be read.
pub fn context(world: &World) -> Result<Context, Failure> {
    let Some(path) = &world.geoip else { return Ok(Context::default()) };
    let bytes =
        std::fs::read(path).map_err(|e| Failure::new(format!("cannot read `{}`: {e}", path.display())))?;
    let reader = maxminddb::Reader::from_source(bytes)
        .map_err(|e| Failure::new(format!("`{}` is not a GeoIP database: {e}", path.display())))?;
    Ok(Context { geo: Some(Arc::new(reader)) })
}

fn add_views(catalog: &mut SchemaCatalog, folder: &Path) -> Result<(), Failure> {
    let cannot =
        |e: std::io::Error| Failure::new(format!("cannot read the views in `{}`: {e}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("kql")) {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Failure::new(format!("cannot read the view `{}`: {e}", path.display())))?;
        let broken = |d: Diagnostic| {
            let f = Failure::new(format!("in the view `{}`: {}", path.display(), d.message));
            match d.help {
                Some(h) => f.help(h),
                None => f,
            }
        };
        let name = catalog.add_view(&text).map_err(broken)?;
        // A view that does not lower would otherwise be found only by a rule that uses it.
        if let Some(Err(d)) = catalog.relation(&name) {
            return Err(broken(d));
        }
    }
    Ok(())
}

/// A table of values from a CSV or TSV file with a header, or from JSON objects.
fn lookup(path: &Path) -> Result<Rel, Failure> {
    let cannot = |why: String| Failure::new(format!("cannot use the lookup `{}`: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| cannot(e.to_string()))?;
    let text = text.trim_start_matches('\u{feff}');
    let (names, rows) = match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => json_rows(text),
        _ => csv_rows(text, path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tsv"))),
    }
    .map_err(cannot)?;
    if rows.len() > MAX_LOOKUP_ROWS {
        return Err(
            cannot(format!("it has more than {MAX_LOOKUP_ROWS} rows")).help("name it as DATA instead")
        );
    }
    let types: Vec<Type> = (0..names.len()).map(|i| common_type(rows.iter().map(|r| &r[i]))).collect();
    let rows =
        rows.into_iter().map(|r| r.into_iter().zip(&types).map(|(v, t)| v.typed(*t)).collect()).collect();
    let columns = names.iter().zip(&types).map(|(n, t)| Column::new(n.as_str(), *t)).collect();
    Ok(Rel { kind: RelKind::Values { rows }, schema: Schema::new(columns), span: Span::default() })
}

/// A field of a lookup as its file writes it.
enum Field {
    Text(String),
    Json(serde_json::Value),
}

impl Field {
    /// The narrowest type that holds it without loss; `None` when it is empty and fits all.
    fn ty(&self) -> Option<Type> {
        match self {
            Field::Text(s) if s.is_empty() => None,
            Field::Text(s) => Some(match () {
                // `007` and `+7` are names, not numbers: reading them as numbers would lose them.
                () if s.parse::<i64>().is_ok_and(|n| n.to_string() == *s) => Type::Long,
                () if s.contains('.') && s.parse::<f64>().is_ok_and(f64::is_finite) && plain_decimal(s) => {
                    Type::Real
                }
                () if matches!(s.as_str(), "true" | "false") => Type::Bool,
                () => Type::String,
            }),
            Field::Json(j) => match j {
                serde_json::Value::Null => None,
                serde_json::Value::Bool(_) => Some(Type::Bool),
                serde_json::Value::Number(n) if n.is_i64() => Some(Type::Long),
                serde_json::Value::Number(_) => Some(Type::Real),
                serde_json::Value::String(_) => Some(Type::String),
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => Some(Type::Dynamic),
            },
        }
    }

    fn typed(self, ty: Type) -> Value {
        match self {
            Field::Text(s) => match ty {
                Type::Long => s.parse().map_or(Value::Null, Value::Long),
                Type::Real => s.parse().map_or(Value::Null, Value::Real),
                Type::Bool => s.parse().map_or(Value::Null, Value::Bool),
                _ => Value::Str(s),
            },
            Field::Json(serde_json::Value::Null) => Value::Null,
            Field::Json(j) => Value::Dynamic(j).coerce(ty),
        }
    }
}

fn plain_decimal(s: &str) -> bool {
    s.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn common_type<'a>(fields: impl Iterator<Item = &'a Field>) -> Type {
    let mut common: Option<Type> = None;
    for ty in fields.filter_map(Field::ty) {
        common = Some(match common {
            None => ty,
            Some(c) if c == ty => c,
            Some(Type::Long | Type::Real) if ty.is_number() => Type::Real,
            Some(Type::Dynamic) => Type::Dynamic,
            Some(_) if ty == Type::Dynamic => Type::Dynamic,
            Some(_) => return Type::String,
        });
    }
    common.unwrap_or(Type::String)
}

type Rows = (Vec<String>, Vec<Vec<Field>>);

fn csv_rows(text: &str, tabs: bool) -> Result<Rows, String> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(if tabs { b'\t' } else { b',' }).from_reader(text.as_bytes());
    let names: Vec<String> =
        reader.headers().map_err(|e| e.to_string())?.iter().map(|n| n.trim().to_string()).collect();
    let mut rows = Vec::new();
    for record in reader.into_records() {
        let record = record.map_err(|e| e.to_string())?;
        rows.push(record.iter().map(|f| Field::Text(f.to_string())).collect());
    }
    unique(&names)?;
    Ok((names, rows))
}

fn json_rows(text: &str) -> Result<Rows, String> {
    let mut objects = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        match value.map_err(|e| e.to_string())? {
            serde_json::Value::Array(items) => objects.extend(items),
            other => objects.push(other),
        }
    }
    let mut names: Vec<String> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut rows = Vec::new();
    for object in objects {
        let serde_json::Value::Object(map) = object else {
            return Err("it holds something else than objects".into());
        };
        let mut row: Vec<Field> = names.iter().map(|_| Field::Json(serde_json::Value::Null)).collect();
        for (name, value) in map {
            let at = *index.entry(name.clone()).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            });
            row.resize_with(names.len(), || Field::Json(serde_json::Value::Null));
            row[at] = Field::Json(value);
        }
        rows.push(row);
    }
    for row in &mut rows {
        row.resize_with(names.len(), || Field::Json(serde_json::Value::Null));
    }
    Ok((names, rows))
}

fn unique(names: &[String]) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|n| !seen.insert(n.as_str())) {
        Some(n) => Err(format!("the column `{n}` stands twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Rel, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        lookup(&path)
    }

    #[test]
    fn columns_get_the_narrowest_type_that_loses_nothing() {
        let r = read("a.csv", "port,code,ratio,ok,empty\n80,007,1.5,true,\n443,12,2,false,\n").unwrap();
        let types: Vec<Type> = r.schema.columns.iter().map(|c| c.ty).collect();
        assert_eq!(types, [Type::Long, Type::String, Type::Real, Type::Bool, Type::String]);
        let RelKind::Values { rows } = r.kind else { panic!() };
        assert_eq!(rows[0][1], Value::str("007"));
    }

    #[test]
    fn json_lines_and_arrays() {
        for text in ["{\"a\":1}\n{\"b\":\"x\",\"a\":2}", "[{\"a\":1},{\"a\":2,\"b\":\"x\"}]"] {
            let r = read("a.json", text).unwrap();
            let RelKind::Values { rows } = &r.kind else { panic!() };
            assert_eq!(rows, &[vec![Value::Long(1), Value::Null], vec![Value::Long(2), Value::str("x")]]);
        }
    }

    #[test]
    fn faults_are_said() {
        assert!(read("a.csv", "a,a\n1,2\n").unwrap_err().message.contains("stands twice"));
        assert!(read("a.json", "{\"a\":").is_err());
        assert!(read("a.csv", "a,b\n1\n").is_err());
        assert!(lookup(Path::new("/nowhere/x.csv")).is_err());
    }
}
