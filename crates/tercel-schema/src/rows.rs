//! What rows of a table are like as their source writes them: which columns follow from others, and what
//! holds of several together.
//!
//! Which column is computed from which, the views know: where one view gives two of a table's columns, the one as
//! `f(x)` and the other as `x`, the one is `f` of the other. What no view says stands in `schemas/rows.txt`.

use crate::catalog::SchemaCatalog;
use crate::table::TableDef;
use crate::view::{View, ViewKind};
use include_dir::{Dir, include_dir};
use std::collections::{BTreeMap, HashMap};
use tercel_ir::function::Context;
use tercel_ir::{Domain, Expr, ExprKind, Name, Rel, RelKind, Span, Type, Value};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/schemas");

/// Relations in relations that are looked through.
const FAR: usize = 64;
/// Nodes of an expression; larger ones are no simple function of another column.
const LARGE: usize = 2_000;

/// No column has this name.
const MARK: &str = "$other";

/// What rows of one table are like.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Columns that follow from others, and how. None of the others follows itself.
    pub derived: Vec<(Name, Expr)>,
    /// What is never false of a row.
    pub holds: Vec<Expr>,
    /// What is rarely false: columns hold the values that are documented.
    pub usual: Vec<Expr>,
    /// What is never false of paths, as one kind of system writes them.
    pub windows: Vec<Expr>,
    /// And as the others do.
    pub unix: Vec<Expr>,
}

/// The conditions of `rows.txt`, with the tables that they are about.
fn conditions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let text = FILES.get_file("rows.txt").and_then(|f| f.contents_utf8()).unwrap_or_default();
    text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(": "))
}

fn about(pattern: &str, table: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == table, |start| table.starts_with(start))
}

impl SchemaCatalog {
    /// What rows of a table are like as its source writes them; nothing for a table that is not known.
    pub fn rows(&self, table: &str) -> Rows {
        let Some(def) = self.schemas().table(table) else { return Rows::default() };
        let mut out = Rows { derived: self.derived(def), ..Rows::default() };
        for (_, condition) in conditions().filter(|(t, _)| about(t, table)) {
            let view = View::new("row", "", format!("{table}\n| where {condition}"));
            let Some(rel) = self.lower(&view, &[]).0 else { continue };
            let predicate = predicate(&rel);
            out.holds.extend(predicate.filter(|p| known(p, def)).cloned());
        }
        for c in &def.columns {
            let column = Expr::column(c.name.clone(), c.ty, Span::default());
            match &c.domain {
                Some(Domain::Path) => {
                    out.windows.push(path(&column, '\\', '/'));
                    out.unix.push(path(&column, '/', '\\'));
                }
                Some(Domain::Values { values, closed: false }) if c.ty == Type::String => {
                    out.usual.push(one_of(&column, values));
                }
                _ => {}
            }
        }
        out
    }

    /// How the rows of one table are said in the words of another: the ways of the view that is called by the
    /// other's name.
    pub fn translations(&self, from: &str, to: &str) -> Vec<Translation> {
        let named = self.views().find(|v| v.name == to && v.kind == ViewKind::View);
        let (Some(view), Some(def)) = (named, self.schemas().table(to)) else { return Vec::new() };
        let Ok(rel) = self.view(view, &[]) else { return Vec::new() };
        let all = branches(&rel, 0).into_iter().filter(|b| *b.table == *from);
        all.filter_map(|b| {
            let columns = b.columns?.into_iter().filter(|(n, _)| def.column(n).is_some()).collect();
            Some(Translation { conditions: b.conditions?, columns })
        })
        .collect()
    }

    fn derived(&self, def: &TableDef) -> Vec<(Name, Expr)> {
        // What the views of a table say of its columns, and what those of its siblings say: tables of one product
        // share their words.
        let mut own: Definitions = BTreeMap::new();
        let mut siblings: Definitions = BTreeMap::new();
        for (name, rel) in self.relations() {
            let branches = branches(&rel, 0);
            self_said(&branches, &def.name, &mut own);
            let sibling = self.schemas().table(&name).filter(|t| t.time == def.time && t.name != def.name);
            if let Some(t) = sibling {
                self_said(&branches, &t.name, &mut siblings);
            }
        }
        siblings.retain(|column, _| !own.contains_key(column));
        let all: Vec<(Name, Expr)> = own
            .into_iter()
            .chain(siblings)
            .filter_map(|(n, e)| Some((n, e?)))
            .filter(|(n, e)| def.column(n).is_some() && known(e, def))
            .collect();
        // What follows from a column that follows itself would need an order.
        let follows = |e: &Expr| names(e).iter().any(|c| all.iter().any(|(n, _)| n == c));
        all.iter().filter(|(_, e)| !follows(e)).cloned().collect()
    }

    /// The views that lower, by name.
    fn relations(&self) -> Vec<(String, Rel)> {
        let views = self.views().filter(|v| v.kind == ViewKind::View && v.tables.is_empty());
        views.filter_map(|v| Some((v.name.clone(), self.view(v, &[]).ok()?))).collect()
    }
}

/// A column and what it is; nothing where two views say different things.
type Definitions = BTreeMap<Name, Option<Expr>>;

fn predicate(rel: &Rel) -> Option<&Expr> {
    match &rel.kind {
        RelKind::Filter { predicate, .. } => Some(predicate),
        RelKind::View { body, .. } => predicate(body),
        RelKind::Project { input, .. } | RelKind::Extend { input, .. } => predicate(input),
        _ => None,
    }
}

/// Whether a table declares all that an expression reads.
fn known(e: &Expr, def: &TableDef) -> bool {
    names(e).iter().all(|c| def.column(c).is_some())
}

fn names(e: &Expr) -> Vec<Name> {
    let mut found = Vec::new();
    e.columns(&mut found);
    found.into_iter().map(|c| c.0).collect()
}

/// Empty, or a whole path: with a separator, with none of the other kind, with a name at its end.
fn path(column: &Expr, separator: char, other: char) -> Expr {
    let at = Span::default();
    let text = |c: char| Expr::literal(Value::Str(c.to_string()), at);
    let call = |f: &str, c: char| Expr::known(f, vec![column.clone(), text(c)], at);
    let begins = if separator == '/' { "startswith" } else { "contains" };
    let whole = vec![
        call(begins, separator),
        Expr::not(call("contains", other), at),
        Expr::not(call("endswith", separator), at),
    ];
    Expr::or(vec![Expr::known("isempty", vec![column.clone()], at), Expr::and(whole, at)], at)
}

/// A table's rows in another's words, as a view tells it.
#[derive(Clone, Debug)]
pub struct Translation {
    /// Over the columns of the table that is translated: what has to be true of a row.
    conditions: Vec<Expr>,
    columns: Vec<(Name, Expr)>,
}

impl Translation {
    /// What a row is in the other table's words, if it is among those that the view takes.
    pub fn of(&self, row: &dyn Fn(&str) -> Value) -> Option<BTreeMap<Name, Value>> {
        let context = Context::default();
        if !self.conditions.iter().all(|c| c.eval(row, &context).as_bool() == Some(true)) {
            return None;
        }
        let value = |e: &Expr| e.eval(row, &context);
        let all = self.columns.iter().map(|(n, e)| (n.clone(), value(e)));
        Some(all.filter(|(_, v)| !v.is_null() && *v != Value::str("")).collect())
    }
}

/// Empty, or one of these.
fn one_of(column: &Expr, values: &[String]) -> Expr {
    let at = Span::default();
    let all = values.iter().map(|v| Expr::literal(Value::str(v.as_str()), at));
    let is = Expr::known("in", std::iter::once(column.clone()).chain(all).collect(), at);
    Expr::or(vec![Expr::known("isempty", vec![column.clone()], at), is], at)
}

/// One way from a table to a view's result.
struct Branch {
    table: Name,
    /// In terms of the table's columns. Nothing: all as they are there.
    columns: Option<HashMap<Name, Expr>>,
    /// What the view asks of a row; nothing where that is more than a condition on its columns.
    conditions: Option<Vec<Expr>>,
}

impl Branch {
    /// An expression over the view's columns, over the table's.
    fn put(&self, e: &Expr) -> Option<Expr> {
        match &self.columns {
            None => replaced(e, &|_| None),
            Some(c) => replaced(e, &|x| x.as_column().and_then(|n| c.get(n)).cloned()),
        }
    }
    fn is_unchanged(&self, column: &Name) -> bool {
        match &self.columns {
            None => true,
            Some(c) => c.get(column).and_then(Expr::as_column) == Some(column),
        }
    }
}

/// What is not simple is left out: nothing is said of it then.
fn branches(rel: &Rel, depth: usize) -> Vec<Branch> {
    if depth > FAR {
        return Vec::new();
    }
    match &rel.kind {
        RelKind::Scan { table } => {
            vec![Branch { table: table.clone(), columns: None, conditions: Some(Vec::new()) }]
        }
        RelKind::View { body, .. } => branches(body, depth + 1),
        RelKind::Sort { input, .. } => branches(input, depth + 1),
        RelKind::Filter { input, predicate } => {
            let mut all = branches(input, depth + 1);
            for b in &mut all {
                let put = b.put(predicate);
                match (&mut b.conditions, put) {
                    (Some(c), Some(p)) => c.push(p),
                    (c, _) => *c = None,
                }
            }
            all
        }
        RelKind::Union { inputs, .. } => inputs.iter().flat_map(|i| branches(i, depth + 1)).collect(),
        RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
            let keep = matches!(rel.kind, RelKind::Extend { .. });
            let mut all = branches(input, depth + 1);
            for b in &mut all {
                let new = columns.iter().filter_map(|(n, e)| Some((n.clone(), b.put(e)?)));
                let mut now: HashMap<Name, Expr> = new.collect();
                if keep {
                    // What is computed under a name hides the table's column; the others stay.
                    let old = b.columns.take().unwrap_or_else(|| {
                        let own = input.schema.columns.iter();
                        own.map(|c| (c.name.clone(), Expr::column(c.name.clone(), c.ty, Span::default())))
                            .collect()
                    });
                    for (n, e) in old {
                        now.entry(n).or_insert(e);
                    }
                }
                b.columns = Some(now);
            }
            all
        }
        _ => Vec::new(),
    }
}

/// Collects what the other branches of a view say of columns that come from the table unchanged.
fn self_said(branches: &[Branch], table: &str, out: &mut Definitions) {
    let plain: Vec<&Branch> = branches.iter().filter(|b| *b.table == *table).collect();
    for b in branches.iter().filter(|b| *b.table != *table) {
        let Some(columns) = &b.columns else { continue };
        let stays = |c: &Name| plain.iter().any(|p| p.is_unchanged(c));
        let given: Vec<(&Name, &Expr)> =
            columns.iter().filter(|(c, e)| stays(c) && size(e, LARGE) < LARGE).collect();
        for (column, e) in &given {
            let Some(said) = follows(column, e, &given) else { continue };
            match out.get(*column) {
                None => {
                    out.insert((*column).clone(), said);
                }
                // Two that differ, or one that says it is no function of anything.
                Some(before) => {
                    if !matches!((before, &said), (Some(a), Some(b)) if same(a, b)) {
                        out.insert((*column).clone(), None);
                    }
                }
            }
        }
    }
}

/// What a column is in terms of the others of a branch. The outer `None`: the branch says nothing of it.
fn follows(column: &Name, e: &Expr, given: &[(&Name, &Expr)]) -> Option<Option<Expr>> {
    if names(e).is_empty() || e.as_column().is_some() {
        return None;
    }
    for (other, whole) in given.iter().filter(|(c, _)| *c != column) {
        // A column in lower case holds the same text as far as anybody compares it.
        let text = match &whole.kind {
            ExprKind::Call(f, args) if f.name == "tolower" && args.len() == 1 => &args[0],
            _ => *whole,
        };
        if names(text).is_empty() || same(e, text) {
            continue;
        }
        // Marked, because the other table may have a column of the same name.
        let mark = |n: &str| Expr::column(n, whole.ty, Span::default());
        let new = replaced(e, &|x| same(x, text).then(|| mark(MARK)))?;
        if new.as_column().is_none() && names(&new).iter().all(|n| **n == *MARK) {
            return Some(replaced(&new, &|x| x.as_column().map(|_| mark(other))));
        }
    }
    None
}

fn size(e: &Expr, limit: usize) -> usize {
    let mut n = 0;
    for _ in e.parts() {
        n += 1;
        if n >= limit {
            break;
        }
    }
    n
}

/// The expression with parts replaced from the outside in; nothing when it reads other relations or is large.
fn replaced(e: &Expr, by: &dyn Fn(&Expr) -> Option<Expr>) -> Option<Expr> {
    if size(e, LARGE) >= LARGE {
        return None;
    }
    if let Some(new) = by(e) {
        return Some(new);
    }
    if matches!(e.kind, ExprKind::Scalar(_) | ExprKind::InRelation { .. }) {
        return None;
    }
    let mut out = e.clone();
    for c in out.children_mut() {
        *c = replaced(c, by)?;
    }
    Some(out)
}

/// Whether two expressions are the same but for their places in texts.
fn same(a: &Expr, b: &Expr) -> bool {
    let shape = match (&a.kind, &b.kind) {
        (ExprKind::Literal(x), ExprKind::Literal(y)) => x == y,
        (ExprKind::Column(x), ExprKind::Column(y)) => x == y,
        (ExprKind::Call(f, _), ExprKind::Call(g, _)) => f.name == g.name,
        (ExprKind::Scalar(_) | ExprKind::InRelation { .. }, _) => false,
        (x, y) => std::mem::discriminant(x) == std::mem::discriminant(y),
    };
    let (x, y) = (a.children(), b.children());
    shape && x.len() == y.len() && x.into_iter().zip(y).all(|(x, y)| same(x, y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schemas;

    fn catalog() -> SchemaCatalog {
        SchemaCatalog::new(Schemas::builtin(), Vec::new())
    }

    /// Each condition can be read, and is one of some table.
    #[test]
    fn conditions_are_sound() {
        let catalog = catalog();
        let tables = catalog.schemas().tables();
        assert!(conditions().count() > 20);
        for (pattern, condition) in conditions() {
            let of: Vec<_> = tables.iter().filter(|t| about(pattern, &t.name)).collect();
            let read = of.iter().any(|t| {
                let view = View::new("row", "", format!("{}\n| where {condition}", t.name));
                let rel = catalog.lower(&view, &[]).0;
                rel.as_ref().and_then(predicate).is_some_and(|p| p.ty == Type::Bool && known(p, t))
            });
            assert!(read, "{pattern}: {condition}");
        }
        let read: usize =
            tables.iter().filter(|t| &*t.name == "Sysmon").map(|t| catalog.rows(&t.name).holds.len()).sum();
        assert_eq!(read, conditions().filter(|c| c.0 == "Sysmon").count());
    }

    #[test]
    fn rows_in_other_words() {
        let catalog = catalog();
        let ways = catalog.translations("Sysmon", "DeviceRegistryEvents");
        assert_eq!(ways.len(), 1);
        let said = |event: i64, kind: &str| {
            let row = move |n: &str| match n {
                "EventID" => Value::Long(event),
                "EventType" => Value::str(kind),
                "TargetObject" => Value::str(r"HKLM\Software\Vendor\Level"),
                "Details" => Value::str("DWORD (0x0000002a)"),
                "Image" => Value::str(r"C:\Windows\regedit.exe"),
                _ => Value::Null,
            };
            ways[0].of(&row)
        };
        let row = said(13, "SetValue").unwrap();
        let text = |c: &str| row.get(c).map(Value::to_text).unwrap_or_default();
        let all =
            ["ActionType", "RegistryKey", "RegistryValueName", "RegistryValueType", "RegistryValueData"]
                .map(text);
        assert_eq!(all, ["RegistryValueSet", r"HKEY_LOCAL_MACHINE\Software\Vendor", "Level", "Dword", "42"]);
        assert_eq!(text("InitiatingProcessFileName"), "regedit.exe");
        assert!(said(1, "SetValue").is_none());
        assert!(catalog.translations("Sysmon", "DeviceTvmSoftwareInventory").is_empty());
    }

    #[test]
    fn views_tell_what_follows() {
        let catalog = catalog();
        let said = |table: &str| -> Vec<String> {
            let rows = catalog.rows(table);
            rows.derived
                .iter()
                .map(|(n, e)| {
                    format!("{n} from {}", names(e).iter().map(|n| &**n).collect::<Vec<_>>().join(" "))
                })
                .collect()
        };
        for table in ["DeviceProcessEvents", "DeviceFileEvents", "DeviceImageLoadEvents", "DeviceEvents"] {
            let all = said(table);
            for wanted in
                ["FileName from FolderPath", "InitiatingProcessFileName from InitiatingProcessFolderPath"]
            {
                assert!(all.iter().any(|s| s == wanted), "{table}: {all:?}");
            }
        }
        let all = said("DeviceNetworkEvents");
        assert!(all.iter().any(|s| s == "RemoteIPType from RemoteIP"), "{all:?}");
        let all = said("Sysmon");
        assert!(all.iter().any(|s| s == "SourceIsIpv6 from SourceIp"), "{all:?}");
        println!("{:?}\n{:?}\n{:?}", said("Sysmon"), said("SecurityEvent"), said("DeviceProcessEvents"));
    }
}
