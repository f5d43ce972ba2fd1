//! Test events: each behaves as is claimed, each part has one, and none says more than it must.

use crate::support;

use std::collections::BTreeSet;
use std::time::Duration;
use support::{Random, rel};
use tercel_ir::function::Context;
use tercel_ir::{Expr, RelKind, Span, Type, Value};
use tercel_verify::generate::{self, Case, Gap, Generated, Request, Role, Rows};
use tercel_verify::{Budget, Formula};

fn request() -> Request<'static> {
    Request {
        budget: Budget::default(),
        limit: 100,
        time: Duration::from_secs(30),
        given: &[],
        misses: true,
        rows: None,
        seeds: &[],
    }
}

/// The events for a condition on `T`, after checking that each behaves as it says.
fn events(condition: &str) -> Generated {
    let rel = rel(condition);
    let made = generate::events(&rel, "T", &request()).unwrap_or_else(|u| panic!("{condition}: {u}"));
    let formulas = Formula::of(&rel).unwrap();
    for c in &made.cases {
        let look = |n: &str| c.event.values.get(n).cloned().unwrap_or_default();
        let fires = formulas.iter().any(|f| f.matches(&look));
        assert_eq!(fires, c.fires, "{condition}: {c:?}");
        assert!(!c.shows.is_empty() && c.shows.iter().all(|s| s.role.fires() == c.fires), "{c:?}");
    }
    made
}

fn shown<'a>(condition: &'a str, c: &Case) -> BTreeSet<(Role, &'a str)> {
    let lead = if condition.starts_with("T ") { 0 } else { "T | where ".len() };
    let text = |s: tercel_ir::Span| {
        condition.get((s.start as usize).saturating_sub(lead)..s.end as usize - lead).unwrap_or("?")
    };
    c.shows.iter().map(|s| (s.role, s.span.map_or("", text))).collect()
}

#[test]
fn each_item_fires_alone() {
    let condition = "File in~ ('a.exe', 'b.exe', 'c.exe') and (Cmd contains '-x' or Cmd contains '-y')";
    let made = events(condition);
    assert_eq!(made.missing, []);
    let hits: Vec<_> = made.cases.iter().filter(|c| c.fires).collect();
    // Three items on one side and two on the other share their events.
    assert_eq!(hits.len(), 3, "{hits:#?}");
    let all: BTreeSet<_> = hits.iter().flat_map(|c| shown(condition, c)).collect();
    let wanted = ["'a.exe'", "'b.exe'", "'c.exe'", "Cmd contains '-x'", "Cmd contains '-y'"];
    assert_eq!(all, wanted.map(|w| (Role::Alternative, w)).into());
    // Smallest: the two columns that matter.
    assert!(hits.iter().all(|c| c.event.values.len() == 2), "{hits:#?}");
    let misses: BTreeSet<_> =
        made.cases.iter().filter(|c| !c.fires).flat_map(|c| shown(condition, c)).collect();
    assert_eq!(
        misses,
        [
            (Role::Condition, "File in~ ('a.exe', 'b.exe', 'c.exe')"),
            (Role::Condition, "Cmd contains '-x' or Cmd contains '-y'")
        ]
        .into()
    );
}

#[test]
fn exclusions_are_tried_from_both_sides() {
    let condition = "Cmd contains 'curl' and not(Image startswith 'C:\\\\Tools\\\\' and Port == 443)";
    let made = events(condition);
    assert_eq!(made.missing, []);
    let roles: BTreeSet<_> = made.cases.iter().flat_map(|c| shown(condition, c)).collect();
    let not = "not(Image startswith 'C:\\\\Tools\\\\' and Port == 443)";
    assert_eq!(
        roles,
        [
            (Role::Whole, ""),
            (Role::Condition, "Cmd contains 'curl'"),
            (Role::Exclusion, not),
            (Role::Beside, "Image startswith 'C:\\\\Tools\\\\'"),
            (Role::Beside, "Port == 443"),
        ]
        .into()
    );
}

#[test]
fn near_misses_are_near() {
    let made = events("Image endswith '\\\\certutil.exe' and Cmd contains 'urlcache' and Port == 80");
    let hit = made.cases.iter().find(|c| c.fires).unwrap();
    let misses: Vec<_> = made.cases.iter().filter(|c| !c.fires).collect();
    assert_eq!(misses.len(), 3);
    for m in misses {
        let changed = hit.event.values.iter().filter(|(n, v)| m.event.values.get(*n) != Some(v)).count();
        assert_eq!(changed, 1, "{hit:?} {m:?}");
        assert_eq!(m.event.values.len(), 3, "what fails is there: {m:?}");
    }
}

#[test]
fn dead_parts_are_said() {
    let made = events("Port == 80 or (Port == 81 and Direction == 'true')");
    assert!(
        made.missing.iter().any(|m| m.part.role == Role::Alternative && m.why == Gap::None),
        "{:?}",
        made.missing
    );
    let made = events("Cmd contains 'abc' or Cmd contains 'b'");
    assert!(made.cases.iter().any(|c| c.shows.iter().any(|s| s.role == Role::Shared)), "{made:#?}");
    let never = generate::events(&rel("Direction == 'true'"), "T", &request()).unwrap();
    assert!(never.cases.is_empty() && never.missing[0].why == Gap::None);
}

#[test]
fn what_is_given_is_in_every_event() {
    let given = [
        vec![("Direction".into(), Value::str("Sideways"))],
        vec![("Direction".into(), Value::str("Listen"))],
    ];
    let made =
        generate::events(&rel("Port in (1, 2)"), "T", &Request { given: &given, ..request() }).unwrap();
    assert_eq!(made.cases.len(), 3);
    assert!(made.cases.iter().all(|c| c.event.values.get("Direction") == Some(&Value::str("Listen"))));
}

#[test]
fn what_is_only_preferred_proves_nothing() {
    let given = [vec![("Direction".into(), Value::str("Outbound"))], Vec::new()];
    let condition = "Direction == 'Outbound' and Port == 1";
    let made = generate::events(&rel(condition), "T", &Request { given: &given, ..request() }).unwrap();
    assert_eq!((made.cases.len(), &made.missing[..]), (3, &[][..]), "{made:#?}");
}

#[test]
fn long_lists_are_bounded_and_said() {
    let items: Vec<String> = (0..5000).map(|i| format!("'name{i:04}.exe'")).collect();
    let made = events(&format!("File in~ ({}) and Cmd has 'x'", items.join(",")));
    assert_eq!(made.skipped, 4900);
    assert_eq!(made.cases.iter().filter(|c| c.fires).count(), 100);
}

#[test]
fn queries_over_many_events_are_refused_with_a_reason() {
    let e = generate::events(&rel("T | summarize count() by Host | where count_ > 3"), "T", &request())
        .unwrap_err();
    assert!(e.reason.contains("groups"), "{e}");
    let e = generate::events(&rel("Port == 1"), "U", &request()).unwrap_err();
    assert!(e.reason.contains('U'), "{e}");
}

#[test]
fn computed_conditions_have_parts_too() {
    let made = events(
        "T | extend A = File in~ ('a.exe', 'b.exe'), B = Port == 80 | extend C = iff(Cmd has 'x', 1, 0) \
         | where A or B | where C == 1",
    );
    let items: BTreeSet<_> = made
        .cases
        .iter()
        .flat_map(|c| &c.shows)
        .filter(|s| s.role == Role::Alternative)
        .map(|s| s.span.unwrap())
        .collect();
    // Two files and the port.
    assert_eq!((items.len(), &made.missing[..]), (3, &[][..]), "{made:#?}");
    // A column that was changed since is not what was asked for.
    let made = events("T | extend A = Port == 80 | extend Port = 81 | where A");
    assert!(made.cases.iter().any(|c| c.fires && c.event.values.get("Port") == Some(&Value::Long(80))));
}

/// Some condition over `T`.
fn random(r: &mut Random) -> String {
    let leaf = |r: &mut Random| -> String {
        match r.below(9) {
            0 => format!("Port == {}", 80 + r.below(3)),
            1 => format!("Cmd contains '{}'", ["a", "ab", "-x", "curl"][r.below(4)]),
            2 => format!("File in~ ('{}.exe', '{}.exe')", r.below(3), r.below(3) + 3),
            3 => "isempty(Host)".into(),
            4 => format!("Size > {}", r.below(5)),
            5 => format!("Image endswith '\\\\{}.exe'", ["cmd", "sh"][r.below(2)]),
            6 => format!("Direction == '{}'", ["Inbound", "Outbound", "true"][r.below(3)]),
            7 => "Flag == true".into(),
            _ => format!("Host startswith '{}'", ["ws", "srv"][r.below(2)]),
        }
    };
    let mut parts: Vec<String> = (0..2 + r.below(4)).map(|_| leaf(r)).collect();
    while parts.len() > 1 {
        let (b, a) = (parts.pop().unwrap(), parts.pop().unwrap());
        let not = if r.below(3) == 0 { "not" } else { "" };
        let op = if r.below(2) == 0 { "and" } else { "or" };
        parts.push(format!("({a} {op} {not}({b}))"));
    }
    parts.remove(0)
}

#[test]
fn random_conditions() {
    let mut r = Random(7);
    let (mut cases, mut unknown) = (0, 0);
    for _ in 0..300 {
        let made = events(&random(&mut r));
        cases += made.cases.len();
        unknown += made.missing.iter().filter(|m| m.why != Gap::None).count();
    }
    assert!(cases > 1000, "{cases}");
    assert_eq!(unknown, 0);
}

/// The only condition of a query on `T`.
fn predicate(condition: &str) -> Expr {
    match rel(condition).kind {
        RelKind::Filter { predicate, .. } => predicate,
        other => panic!("{condition}: {other:?}"),
    }
}

/// Events are rows as they were described, behave as is claimed, and others are only there for parts that no
/// such row shows.
#[test]
fn rows_of_random_conditions() {
    let path = Expr::column("Image", Type::String, Span::default());
    let derived = [("File".into(), Expr::known("basename", vec![path], Span::default()))];
    let holds = [
        "isempty(Image) or (Image contains @'\\' and Image !endswith @'\\' and Image !contains '/')",
        "Port != 80 or Host startswith 'ws'",
        "isempty(Host) == isnull(Size)",
    ]
    .map(predicate);
    let rows = Rows { derived: &derived, holds: &holds };
    let mut r = Random(11);
    let (mut cases, mut others) = (0, 0);
    for _ in 0..200 {
        let condition = random(&mut r);
        let rel = rel(&condition);
        let made = generate::rows_first(&rel, "T", &[rows], None, &request()).unwrap();
        let formulas = Formula::of(&rel).unwrap();
        let alone =
            generate::events(&rel, "T", &Request { rows: Some(rows), ..request() }).unwrap_or_default();
        for c in &made.cases {
            let look = |n: &str| c.event.values.get(n).cloned().unwrap_or_default();
            assert_eq!(formulas.iter().any(|f| f.matches(&look)), c.fires, "{condition}: {c:?}");
            if !c.row {
                others += 1;
                let known = |s: &generate::Shown| alone.cases.iter().any(|c| c.shows.contains(s));
                assert!(!c.shows.iter().any(known), "{condition}: {c:?}");
                continue;
            }
            cases += 1;
            for e in &holds {
                let value = e.eval(&look, &Context::default());
                assert_ne!(value.as_bool(), Some(false), "{condition}: {c:?}");
            }
            let whole = look("Image").to_text();
            let last = whole.rsplit('\\').next().unwrap_or_default();
            assert_eq!(look("File").to_text(), last, "{condition}: {c:?}");
        }
        // Nothing is lost, and nothing said to be impossible that is not.
        let plain = generate::events(&rel, "T", &request()).unwrap();
        let parts = |g: &Generated| -> BTreeSet<_> {
            g.missing.iter().map(|m| (m.part.role, m.part.span.map(|s| (s.start, s.end)))).collect()
        };
        assert_eq!(parts(&made), parts(&plain), "{condition}: {made:#?}\n{plain:#?}");
    }
    assert!(cases > 500 && others > 20, "{cases} {others}");
}
