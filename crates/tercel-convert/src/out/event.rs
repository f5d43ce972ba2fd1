//! Sentinel's `Event` table: what a Windows event says of itself stands in a column of XML text, out of which
//! the fields that are needed are taken.

use super::kql::layered;
use super::shape::at;
use crate::bridge::{self, Plain};
use crate::flat::{Flat, flatten};
use crate::hub::SYSMON;
use crate::rewrite::call;
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::{Diagnostic, Expr, ExprKind, Name, Rel, Schema, Type, Value};
use tercel_schema::SchemaCatalog;

pub(super) const XML: &str =
    "EventData is the event's XML as Windows writes it: each field once, as <Data Name=\"…\">";

/// Whether the events of a table are found there.
pub(super) fn holds(table: &str) -> bool {
    matches!(table, SYSMON | "WindowsEvents")
}

/// Columns of the event log's own, and what they are called there.
const OWN: [(&str, &str); 7] = [
    ("Computer", "Computer"),
    ("EventID", "EventID"),
    ("TimeGenerated", "TimeGenerated"),
    ("Channel", "EventLog"),
    ("Provider", "Source"),
    ("Level", "EventLevel"),
    ("Task", "EventCategory"),
];
/// Columns of the event log's own that are not there, and what is no named field.
const ABSENT: [&str; 13] = [
    "EventRecordID",
    "Opcode",
    "Keywords",
    "Version",
    "SystemUserId",
    "SystemProcessId",
    "SystemThreadId",
    "Data",
    "UserData",
    "Message",
    "MessageNumber",
    "MessageTotal",
    "HostApplication",
];

/// In this order: what an ampersand stood for is taken last, or it would be taken twice.
const ENTITIES: [(&str, &str); 5] =
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];

/// Whether the table records what a predicate looks at.
pub(super) fn recorded(e: &Expr) -> Result<(), Diagnostic> {
    let mut columns = Vec::new();
    e.columns(&mut columns);
    for (c, _) in columns {
        if c.starts_with('$') {
            let what = "KQL has no way to say a search in the whole event as text";
            return Err(Diagnostic::error("not-in-kql", what));
        }
        if ABSENT.contains(&&*c) {
            let what = format!("the table `Event` has no column or named field for `{c}`");
            return Err(Diagnostic::error("not-in-kql", what));
        }
    }
    Ok(())
}

/// The query; conditions on what has a column come first.
pub(super) fn query(all: &[Expr], extends: &[(Name, Expr)]) -> Result<Rel, Diagnostic> {
    let named = |e: &Expr| {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        columns.into_iter().all(|c| OWN.iter().any(|o| *o.0 == *c.0))
    };
    let (mut kinds, rest): (Vec<Expr>, Vec<Expr>) = all.iter().cloned().partition(named);
    // Whose events, then which.
    let rank = |e: &Expr| {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        columns.iter().filter_map(|c| OWN.iter().position(|o| *o.0 == *c.0)).max().unwrap_or(0)
    };
    kinds.sort_by_key(|e| std::cmp::Reverse(rank(e)));
    let mut used: BTreeMap<Name, Type> = BTreeMap::new();
    let mut escaped: BTreeSet<Name> = BTreeSet::new();
    for e in rest.iter().chain(extends.iter().map(|x| &x.1)) {
        collect(e, &mut used, &mut escaped);
    }
    for (n, _) in extends {
        used.remove(n);
    }
    let text = |n: &str| Expr::column(n, Type::String, at());
    let literal = |s: &str| Expr::literal(Value::str(s), at());
    let mut columns = Vec::new();
    for (n, ty) in used {
        if let Some((_, there)) = OWN.iter().find(|o| *o.0 == *n) {
            if **there != *n {
                columns.push((n, Expr::column(*there, ty, at())));
            }
            continue;
        }
        let one = Expr::literal(Value::Long(1), at());
        let mut v = Expr::known("extract", vec![literal(&pattern(&n)), one, text("EventData")], at());
        if escaped.contains(&n) {
            for (from, to) in ENTITIES {
                v = Expr::known("replace_string", vec![v, literal(from), literal(to)], at());
            }
        }
        let v = match ty {
            Type::Int | Type::Long => Expr::known("tolong", vec![v], at()),
            Type::Bool => Expr::known("tobool", vec![v], at()),
            Type::Real | Type::Decimal => Expr::known("todouble", vec![v], at()),
            Type::DateTime => Expr::known("todatetime", vec![v], at()),
            _ => v,
        };
        columns.push((n, v));
    }
    let mut rel = bridge::scan("Event", Schema { columns: Vec::new().into(), open: true });
    if !kinds.is_empty() {
        let kinds = kinds.iter().map(renamed).collect();
        rel = rel.filter(Expr::and(kinds, at()), at());
    }
    if !columns.is_empty() {
        rel = rel.extend(columns, at());
    }
    Ok(layered(rel, rest, extends))
}

fn renamed(e: &Expr) -> Expr {
    crate::flat::substitute(e, &|n, ty| {
        let there = OWN.iter().find(|o| *o.0 == **n).map_or(&**n, |o| o.1);
        Expr::column(there, ty, at())
    })
}

fn pattern(field: &str) -> String {
    format!("<Data Name=\"{field}\">([^<]*)<")
}

/// Whether what is looked for can lie in a character that XML writes as several.
fn meets_entity(needle: &str) -> bool {
    let n = needle.to_ascii_lowercase();
    n.contains(['&', '<', '>', '"', '\''])
        || n.is_empty()
        || ENTITIES
            .iter()
            .any(|(e, _)| (1..e.len()).any(|k| n.starts_with(&e[k..]) || e[k..].starts_with(&*n)))
}

/// Whether a test of a value answers alike for the value as XML writes it.
fn same_in_xml(name: &str, needles: &[Expr]) -> bool {
    let all = |bad: fn(&str) -> bool| {
        needles.iter().all(|a| match a.as_literal() {
            Some(Value::Str(s)) => !bad(s),
            _ => false,
        })
    };
    match name {
        "isempty" | "isnotempty" => true,
        // No address has such a character, and no text with one is an address.
        "ip_in_cidr"
        | "ipv4_is_in_range"
        | "ipv4_is_in_any_range"
        | "ipv6_is_in_range"
        | "ipv6_is_in_any_range"
        | "is_valid_ip"
        | "is_valid_ipv4"
        | "is_private_ip"
        | "ipv4_is_private"
        | "is_public_ip"
        | "parse_ipv4" => true,
        // The text begins with an ampersand where it begins with one of those.
        "eq" | "eq_ci" | "in" | "in_ci" | "startswith" | "startswith_cs" => {
            all(|s| s.contains(['&', '<', '>', '"', '\'']))
        }
        "contains" | "contains_cs" | "endswith" | "endswith_cs" => all(meets_entity),
        _ => false,
    }
}

/// Columns, and those whose values must be as they were before they became XML.
fn collect(e: &Expr, used: &mut BTreeMap<Name, Type>, escaped: &mut BTreeSet<Name>) {
    match (&e.kind, call(e)) {
        (ExprKind::Column(n), _) => {
            used.insert(n.clone(), e.ty);
        }
        (_, Some((name, args))) => {
            let needles = args.get(1..).unwrap_or_default();
            for a in args {
                if let Some(c) = a.as_column().filter(|_| a.ty == Type::String)
                    && !same_in_xml(name, needles)
                {
                    escaped.insert(c.clone());
                }
            }
        }
        _ => {}
    }
    e.children().into_iter().for_each(|c| collect(c, used, escaped));
}

/// The printed query as a filter over the table that the events stand in here: a field that is taken out of the
/// XML is the column, where nothing of the XML's spelling can show.
pub(super) fn relowered(text: &str, flat: &Flat, catalog: &SchemaCatalog) -> Option<Rel> {
    let (ast, found) = tercel_kql::parse(text);
    if found.has_errors() {
        return None;
    }
    let table = catalog.schemas().table("Event")?.scan();
    let plain = Plain { catalog, tables: vec![table] };
    let (rel, found) = tercel_kql::lower(&ast, &plain, &tercel_kql::Options::default());
    let rel = rel.filter(|_| !found.has_errors())?;
    let read = flatten(&rel, None).ok()?;
    let conditions = read.conditions.iter().map(|c| field(c, flat, false)).collect::<Option<Vec<_>>>()?;
    let scan = bridge::scan(&flat.base, Schema { open: true, ..flat.schema.clone() });
    Some(scan.filter(Expr::and(conditions, at()), at()))
}

/// `safe`: the test that this stands in answers alike for what XML writes.
fn field(e: &Expr, flat: &Flat, safe: bool) -> Option<Expr> {
    if let Some(name) = unescaped(e) {
        return Some(as_text(&name, flat));
    }
    if let Some(name) = taken_out(e) {
        return safe.then(|| as_text(&name, flat));
    }
    if let Some(n) = e.as_column() {
        let (own, _) = OWN.iter().find(|o| *o.1 == **n)?;
        let ty = flat.schema.get(own).map_or(e.ty, |c| c.ty);
        return Some(Expr::column(*own, ty, e.span));
    }
    if let Some((to @ ("tolong" | "tobool" | "todouble" | "todatetime"), [x])) = call(e) {
        let x = field(x, flat, true)?;
        let own = match call(&x) {
            Some(("tostring", [c])) if c.as_column().is_some() => Some(c),
            _ => None,
        };
        return Some(match (to, own.map(|c| (c, c.ty))) {
            ("tolong", Some((c, Type::Int | Type::Long)))
            | ("tobool", Some((c, Type::Bool)))
            | ("todouble", Some((c, Type::Real | Type::Decimal)))
            | ("todatetime", Some((c, Type::DateTime))) => c.clone(),
            _ => Expr::known(to, vec![x], e.span),
        });
    }
    let mut out = e.clone();
    let safe = match call(e) {
        Some((name, args)) => same_in_xml(name, args.get(1..).unwrap_or_default()),
        None => false,
    };
    for c in out.children_mut() {
        *c = field(c, flat, safe)?;
    }
    Some(out)
}

fn as_text(name: &str, flat: &Flat) -> Expr {
    let ty = flat.schema.get(name).map_or(Type::String, |c| c.ty);
    let column = Expr::column(name, ty, at());
    match ty {
        Type::String => column,
        _ => Expr::known("tostring", vec![column], at()),
    }
}

/// The field of `extract("<Data Name=\"…\">([^<]*)<", 1, EventData)`.
fn taken_out(e: &Expr) -> Option<String> {
    let ("extract", [p, one, from]) = call(e)? else { return None };
    let (Value::Str(p), Value::Long(1)) = (p.as_literal()?, one.as_literal()?) else { return None };
    let name = p.strip_prefix("<Data Name=\"")?.strip_suffix("\">([^<]*)<")?;
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (plain && &**from.as_column()? == "EventData").then(|| name.to_string())
}

/// The field whose characters have all become themselves again.
fn unescaped(e: &Expr) -> Option<String> {
    let mut e = e;
    for (entity, is) in ENTITIES.iter().rev() {
        let ("replace_string", [inner, from, to]) = call(e)? else { return None };
        let text = |e: &Expr, s: &str| matches!(e.as_literal(), Some(Value::Str(t)) if t == s);
        if !text(from, entity) || !text(to, is) {
            return None;
        }
        e = inner;
    }
    taken_out(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::function::Context;

    fn escape(s: &str) -> String {
        let s = s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        s.replace('"', "&quot;").replace('\'', "&apos;")
    }

    proptest! {
        /// What is said to answer alike does.
        #[test]
        fn answers_alike(value in "[a&<>\"'mplt;qo]{0,7}", needle in "[a&mplt;qou]{0,4}", which in 0..8usize) {
            let name = ["eq", "eq_ci", "contains", "contains_cs", "startswith", "startswith_cs", "endswith", "endswith_cs"][which];
            let literal = |s: &str| Expr::literal(Value::str(s), at());
            let holds = |v: &str| {
                let e = Expr::known(name, vec![literal(v), literal(&needle)], at());
                e.eval(&|_| Value::Null, &Context::default()).as_bool()
            };
            if same_in_xml(name, &[literal(&needle)]) {
                prop_assert_eq!(holds(&value), holds(&escape(&value)));
            }
        }

        /// Taking the characters back gives the value.
        #[test]
        fn taken_back(value in "[a&<>\"'mplt;qo]{0,9}") {
            let back = ENTITIES.iter().fold(escape(&value), |s, (from, to)| s.replace(from, to));
            prop_assert_eq!(back, value);
        }
    }
}
