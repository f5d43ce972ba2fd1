//! Rules against events: every file of `tests/cases` is a case to add to without writing Rust.
//!
//! The first YAML document of a file says what the world is like and what is expected:
//!
//! - `columns`: names and types of the columns of the log source; absent, every field is text;
//! - `placeholders`: values for `expand`;
//! - `findings`: the codes of everything parser and lowering have to say, in the order of the text;
//! - `events`: each with `event` (fields and values; what is not there is null) and `match`. Without
//!   events the rule is expected to be refused.
//!
//! What follows the first `---` is the rule; filters after it apply to it.

use crate::common;

use tercel_ir::function::Context;
use tercel_ir::{Column, ExprKind, RelKind, Schema, Type, Value, time};
use tercel_sigma::ast::FilterRule;
use tercel_sigma::yaml::{Kind, Limits, Node, read};
use tercel_sigma::{Document, Options, check_filter, lower_document, lower_filtered, parse, print};

fn text(node: &Node) -> String {
    node.scalar_text().unwrap_or_default()
}
fn pairs(node: Option<&Node>) -> Vec<(String, Node)> {
    match node.map(|n| &n.kind) {
        Some(Kind::Map(p)) => p.iter().map(|(k, v)| (k.node.clone(), v.clone())).collect(),
        _ => Vec::new(),
    }
}
fn items(node: Option<&Node>) -> Vec<Node> {
    match node.map(|n| &n.kind) {
        Some(Kind::Seq(i)) => i.clone(),
        _ => Vec::new(),
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(b) => (*b).into(),
        Kind::Int(n) => (*n).into(),
        Kind::Float(r) => (*r).into(),
        Kind::Str(s) => s.as_str().into(),
        Kind::Seq(i) => i.iter().map(json).collect(),
        Kind::Map(p) => serde_json::Value::Object(p.iter().map(|(k, v)| (k.node.clone(), json(v))).collect()),
    }
}

/// A field of an event as a column of that type holds it.
fn value(node: Option<&Node>, ty: Type) -> Value {
    let Some(node) = node else { return Value::Null };
    match (&node.kind, ty) {
        (Kind::Null, _) => Value::Null,
        (_, Type::Dynamic) => Value::Dynamic(json(node)),
        (Kind::Int(n), Type::Int | Type::Long) => Value::Long(*n),
        (Kind::Int(n), Type::Real) => Value::Real(*n as f64),
        (Kind::Float(r), Type::Real) => Value::Real(*r),
        (Kind::Bool(b), Type::Bool) => Value::Bool(*b),
        (_, Type::DateTime) => Value::DateTime(time::parse_datetime(&text(node)).expect("a time")),
        (_, Type::String | Type::Guid) => Value::Str(text(node)),
        _ => panic!("{:?} in a column of type {ty}", node.kind),
    }
}

fn run(name: &str, whole: &str) {
    let (head, rule) = whole.split_once("\n---\n").unwrap_or_else(|| panic!("{name}: no `---`"));
    let (documents, found) = read(head, Limits::default());
    assert!(!found.has_errors(), "{name}: {found:?}");
    let case = documents[0].root.as_ref().unwrap_or_else(|| panic!("{name}: empty"));
    let columns: Vec<Column> = pairs(case.get("columns"))
        .into_iter()
        .map(|(n, t)| {
            Column::new(n.as_str(), Type::parse(&text(&t)).unwrap_or_else(|| panic!("{name}: {t:?}")))
        })
        .collect();
    let schema = if columns.is_empty() { common::World::open().0 } else { Schema::new(columns) };
    let options = Options {
        placeholders: pairs(case.get("placeholders"))
            .into_iter()
            .map(|(k, v)| (k, items(Some(&v)).iter().map(text).collect()))
            .collect(),
    };

    let (file, found) = parse(rule);
    if !found.has_errors() {
        assert_eq!(parse(&print(&file)).0, file, "{name}: does not print back:\n{}", print(&file));
    }
    assert!(!file.documents.is_empty(), "{name}: {found:?}");
    let mut codes: Vec<(u32, &str)> = found.iter().map(|d| (d.span.map_or(0, |s| s.start), d.code)).collect();
    let world = common::World(schema.clone());
    let filters: Vec<&FilterRule> = file.documents[1..]
        .iter()
        .map(|d| match d {
            Document::Filter(f) => f,
            _ => panic!("{name}: only filters may follow the rule"),
        })
        .collect();
    for f in &filters {
        let found = check_filter(f, &world, &options);
        codes.extend(found.iter().map(|d| (d.span.map_or(0, |s| s.start), d.code)));
    }
    let (rel, found) = match &file.documents[0] {
        Document::Rule(rule) => lower_filtered(rule, &filters, &world, &options),
        other => lower_document(other, &world, &options),
    };
    codes.extend(found.iter().map(|d| (d.span.map_or(0, |s| s.start), d.code)));
    codes.sort_unstable();
    let codes: Vec<String> = codes.into_iter().map(|c| c.1.to_string()).collect();
    let wanted: Vec<String> = items(case.get("findings")).iter().map(text).collect();
    assert_eq!(codes, wanted, "{name}: {found:?}");

    let events = items(case.get("events"));
    assert_eq!(rel.is_none(), events.is_empty(), "{name}: refused, or not: {found:?}");
    let Some(rel) = rel else { return };
    let RelKind::Filter { predicate, .. } = &rel.kind else { panic!("{name}: no filter") };
    if filters.is_empty() {
        no_bare_places(name, predicate);
    }
    for (n, e) in events.iter().enumerate() {
        let event = e.get("event").unwrap_or_else(|| panic!("{name}: event {n} has no `event`"));
        let row = |column: &str| {
            if column == "$event" {
                return Value::Str(json(event).to_string());
            }
            value(event.get(column), schema.get(column).map_or(Type::String, |c| c.ty))
        };
        let wanted = matches!(e.get("match").map(|m| &m.kind), Some(Kind::Bool(true)));
        let got = predicate.eval(&row, &Context::default());
        assert_eq!(
            got,
            Value::Bool(wanted),
            "{name}: event {} of the list: {}\n{predicate:#?}",
            n + 1,
            json(event)
        );
    }
}

/// Every test and value of a predicate says where in the rule it comes from.
fn no_bare_places(name: &str, e: &tercel_ir::Expr) {
    assert!(e.span.end > 0, "{name}: no place: {:?}", ExprKindName(&e.kind));
    e.children().into_iter().for_each(|c| no_bare_places(name, c));
}

struct ExprKindName<'e>(&'e ExprKind);
impl std::fmt::Debug for ExprKindName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:?}", self.0);
        f.write_str(&text[..text.len().min(200)])
    }
}

#[test]
fn cases() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    names.sort();
    assert!(names.len() > 20, "where are the cases?");
    for path in names {
        let text = std::fs::read_to_string(&path).expect("a case");
        run(&path.file_name().expect("a name").to_string_lossy(), &text);
    }
}
