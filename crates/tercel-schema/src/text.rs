//! The compact text form of table definitions (`schemas/*.schema`) and of domains (`schemas/domains.txt`).
//!
//! ```text
//! table NAME open|closed time=COLUMN
//! about one line of text
//! TYPE column column …
//!   continued
//! ```

use crate::table::TableDef;
use tercel_ir::{Column, Domain, Type};

/// Reads table definitions.
///
/// # Errors
/// Number (from 1) and fault of the first line that is not understood.
pub(crate) fn parse_tables(text: &str) -> Result<Vec<TableDef>, String> {
    let mut tables: Vec<TableDef> = Vec::new();
    let mut ty = None;
    for (i, line) in text.lines().enumerate() {
        let fault = |what: &str| format!("line {}: {what}: {line}", i + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        if !line.starts_with(' ') {
            match words.next() {
                Some("table") => {
                    tables.push(header(words).ok_or_else(|| fault("no table header"))?);
                    ty = None;
                    continue;
                }
                Some("about") => {
                    let table = tables.last_mut().ok_or_else(|| fault("no table yet"))?;
                    table.about = line["about".len()..].trim().to_string();
                    continue;
                }
                Some(word) => ty = Some(Type::parse(word).ok_or_else(|| fault("no such type"))?),
                None => continue,
            }
        }
        let table = tables.last_mut().ok_or_else(|| fault("no table yet"))?;
        let ty = ty.ok_or_else(|| fault("no type yet"))?;
        table.columns.extend(words.map(|name| Column::new(name, ty)));
    }
    Ok(tables)
}

fn header<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<TableDef> {
    let name = words.next()?;
    let open = match words.next()? {
        "open" => true,
        "closed" => false,
        _ => return None,
    };
    let time = words.next()?.strip_prefix("time=")?;
    Some(TableDef { name: name.into(), columns: Vec::new(), open, time: time.into(), about: String::new() })
}

/// A rule of `domains.txt`.
pub(crate) struct DomainRule {
    table: String,
    column: String,
    pub domain: Domain,
}

impl DomainRule {
    pub fn covers(&self, table: &str, column: &str) -> bool {
        star(&self.table, table) && star(&self.column, column)
    }
}

/// `*` at either end of the pattern stands for any text.
fn star(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (None, None) => pattern == name,
    }
}

/// Reads domain rules.
///
/// # Errors
/// Number (from 1) and fault of the first line that is not understood.
pub(crate) fn parse_domains(text: &str) -> Result<Vec<DomainRule>, String> {
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    lines
        .map(|(i, line)| {
            let fault = || format!("line {}: no domain rule: {line}", i + 1);
            let (place, rest) = line.split_once(' ').ok_or_else(fault)?;
            let (table, column) = place.split_once('.').ok_or_else(fault)?;
            let domain = parse_domain(rest).ok_or_else(fault)?;
            Ok(DomainRule { table: table.into(), column: column.into(), domain })
        })
        .collect()
}

/// `values a, b`, `only a, b`, `range 0 9`, `filename`, `path`, `ip`, `never`.
pub(crate) fn parse_domain(text: &str) -> Option<Domain> {
    let text = text.trim();
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match kind {
        "values" | "only" => {
            let values: Vec<String> =
                rest.split(',').map(|v| v.trim().to_string()).filter(|v| !v.is_empty()).collect();
            Domain::Values { values: values.into(), closed: kind == "only" }
        }
        "range" => {
            let (from, to) = rest.trim().split_once(' ')?;
            Domain::Range { from: from.parse().ok()?, to: to.trim().parse().ok()? }
        }
        "filename" => Domain::FileName,
        "path" => Domain::Path,
        "ip" => Domain::Ip,
        "never" => Domain::Never,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables() {
        let t = parse_tables("# x\ntable A open time=T\nabout Some text.\nint a b\n  c\nstring d\n").unwrap();
        assert_eq!(
            t[0].columns.iter().map(|c| (&*c.name, c.ty)).collect::<Vec<_>>(),
            [("a", Type::Int), ("b", Type::Int), ("c", Type::Int), ("d", Type::String)]
        );
        assert_eq!(t[0].about, "Some text.");
        assert!(t[0].open);
    }

    #[test]
    fn faults_name_their_line() {
        assert!(parse_tables("table A maybe time=T").unwrap_err().starts_with("line 1"));
        assert!(parse_tables("\nint a").unwrap_err().starts_with("line 2"));
        assert!(parse_tables("table A open time=T\nnumber a").unwrap_err().contains("no such type"));
        assert!(parse_domains("A.b range x").is_err());
    }

    #[test]
    fn stars() {
        let rules = parse_domains("Device*.RemoteIP ip\n*.EventID range 0 9\n").unwrap();
        assert!(rules[0].covers("DeviceNetworkEvents", "RemoteIP"));
        assert!(!rules[0].covers("SecurityEvent", "RemoteIP"));
        assert!(rules[1].covers("X", "EventID"));
    }
}
