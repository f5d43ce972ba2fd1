//! Conditions made to explode: an answer in bounded time, right or "unknown".

mod support;

use std::time::{Duration, Instant};
use support::rel;
use tercel_verify::{Budget, Relation, compare, dead_sites};

/// The bound for one pair, with the default budget of three questions. Tests run unoptimised, hence the factor.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 40 } else { 5 });

fn related(a: &str, b: &str) -> Relation {
    let (a, b) = (rel(a), rel(b));
    let start = Instant::now();
    let c = compare(&a, &b, &Budget::default());
    let t = start.elapsed();
    println!("{:?} in {t:?}: {:?}", c.relation, c.reason);
    assert!(t < LIMIT, "took {t:?}");
    assert!(!c.reason.unwrap_or_default().contains("internal"));
    c.relation
}

fn list(n: usize, f: impl Fn(usize) -> String) -> String {
    (0..n).map(f).collect::<Vec<_>>().join(", ")
}
fn any(n: usize, f: impl Fn(usize) -> String) -> String {
    (0..n).map(f).collect::<Vec<_>>().join(" or ")
}
fn all(n: usize, f: impl Fn(usize) -> String) -> String {
    (0..n).map(f).collect::<Vec<_>>().join(" and ")
}

#[test]
fn five_thousand_items_on_both_sides() {
    let name = |i: usize| format!("'tool-{i:05}.exe'");
    let a = format!("File in~ ({})", list(5_000, name));
    let b = format!("File in~ ({})", list(4_999, name));
    assert_eq!(related(&a, &a), Relation::Equal);
    assert_eq!(related(&a, &b), Relation::Superset);
    let c = format!("File has_any ({})", list(5_000, name));
    assert_eq!(related(&a, &c), Relation::Subset);
    let d = format!("File in~ ({})", list(5_000, |i| format!("'other-{i}.exe'")));
    assert_eq!(related(&a, &d), Relation::Disjoint);
}

#[test]
fn five_thousand_substrings() {
    let word = |i: usize| format!("{:08x}", i.wrapping_mul(2_654_435_761) as u32);
    let a = any(1_500, |i| format!("Cmd contains '{}'", word(i)));
    let b = any(1_500, |i| format!("Cmd contains '{}'", &word(i)[1..]));
    assert!(matches!(related(&a, &b), Relation::Subset));
    let nested = any(1_500, |i| format!("Cmd contains '{}'", "a".repeat(i + 1)));
    assert_eq!(related(&nested, "Cmd contains 'a'"), Relation::Equal);
}

#[test]
fn two_hundred_conditions() {
    let a = all(200, |i| format!("Cmd contains 'part{i:03}'"));
    let b = all(199, |i| format!("Cmd contains 'part{i:03}'"));
    assert_eq!(related(&a, &b), Relation::Subset);
    let mixed = all(100, |i| format!("(Cmd contains 'p{i:03}' or Port == {i} or Note has 'n{i}')"));
    let less = all(99, |i| format!("(Cmd contains 'p{i:03}' or Port == {i} or Note has 'n{i}')"));
    assert!(matches!(related(&mixed, &less), Relation::Subset | Relation::Unknown));
    let parity = (0..14).fold("Flag".to_string(), |e, i| {
        format!("(({e}) and not(Port == {i})) or (not({e}) and Port == {i})")
    });
    assert!(matches!(
        related(&parity, "Flag"),
        Relation::Overlap | Relation::Unknown | Relation::Superset | Relation::Subset
    ));
}

#[test]
fn regexes_that_grow() {
    let m = |p: &str| format!("Cmd matches regex @'{p}'");
    assert!(matches!(related(&m("^[ab]*a[ab]{9}$"), &m("^(a|b)*a(a|b){9}$")), Relation::Equal));
    assert!(matches!(related(&m("a.{20}$"), &m("a.{21}$")), Relation::Overlap | Relation::Unknown));
    let words: Vec<String> = (0..300).map(|i| format!("word{i}x")).collect();
    let a = m(&words.join("|"));
    let b = any(300, |i| format!("Cmd contains_cs 'word{i}x'"));
    assert_eq!(related(&a, &b), Relation::Equal);
    let nested = "((a|b)*c|(d|e)*f|(g|h)*i){3,40}".repeat(4);
    related(&m(&nested), &m(&format!("{nested}z")));
    let huge = "(x[a-z]{1,60}y){1,30}|".repeat(6) + "z";
    related(&m(&huge), &m("^x+$"));
    related(
        &all(6, |i| m(&format!("{}.{{20}}z", ['a', 'b', 'c', 'd', 'e', 'f'][i]))),
        &m("((a|b)+|(c|d)+)+q"),
    );
}

#[test]
fn ranges_by_the_thousand() {
    let a =
        format!("ipv4_is_in_any_range(Ip, {})", list(150, |i| format!("'10.{}.{}.0/24'", i / 256, i % 256)));
    assert_eq!(related(&a, "ipv4_is_in_range(Ip, '10.0.0.0/8')"), Relation::Subset);
    let ports = format!("Port in ({})", list(4_000, |i| format!("{}", i * 3)));
    assert_eq!(related(&ports, "Port < 12000"), Relation::Subset);
    let holes = all(3_000, |i| format!("Size != {i}"));
    assert_eq!(related(&format!("Size >= 0 and Size < 3000 and {holes}"), "false"), Relation::Equal);
}

#[test]
fn choices_in_choices() {
    let deep = (0..12).fold("Cmd".to_string(), |e, i| format!("iff(Port == {i}, strcat({e}, 'x'), {e})"));
    related(&format!("{deep} == 'axx'"), "Cmd == 'axx'");
    let wide = format!("case({}, 'none') == 'v77'", list(400, |i| format!("Port == {i}, 'v{i}'")));
    assert_eq!(related(&wide, "Port == 77"), Relation::Equal);
}

#[test]
fn parts_of_something_large() {
    let a = any(60, |i| {
        format!("(Cmd contains 'a{i}' and Image endswith 'i{}' and not(Note has 'n{i}'))", i % 7)
    });
    let start = Instant::now();
    let r = dead_sites(&rel(&a), &Budget::default()).unwrap_or_else(|u| panic!("{u}"));
    assert!(r.sites.is_empty() || r.unknown > 0, "{:?}", r.sites);
    assert!(start.elapsed() < LIMIT.saturating_mul(2), "{:?}", start.elapsed());
}

#[test]
fn lists_that_exclude_each_other() {
    // Every item of one list contradicts every item of the other: 4 million pairs, one conflict each would never end.
    let a = format!("Host in~ ({})", list(2_000, |i| format!("'name{i}.example.org'")));
    let b = any(2_000, |i| format!("Host endswith '.other{i}.example.net'"));
    assert!(matches!(related(&a, &b), Relation::Disjoint | Relation::Unknown));
    let fewer = any(300, |i| format!("Host endswith '.other{i}.example.net'"));
    let names = format!("Host in~ ({})", list(300, |i| format!("'name{i}.example.org'")));
    assert_eq!(related(&names, &fewer), Relation::Disjoint);
}

#[test]
fn caches_that_overflow() {
    // Automata of more states than any budget has: an event, or "unknown", never a guess.
    let m = |p: &str| format!("Cmd matches regex @'{p}'");
    let a = m("a.{300}b.{300}c.{300}$");
    let b = m("a.{300}b.{300}c.{299}$");
    assert!(matches!(related(&a, &b), Relation::Unknown | Relation::Overlap));
    let nested = "((((a|b)+c)*|((d|e)+f)*)+g){2,6}";
    assert_eq!(related(&m(&format!("^{nested}$")), &m(&format!("^{nested}$"))), Relation::Equal);
    assert!(matches!(related(&m(&format!("^{nested}$")), &m(nested)), Relation::Subset | Relation::Unknown));
}

#[test]
fn parts_of_hostile_rules() {
    let word = |i: usize| format!("{:07x}", i.wrapping_mul(2_654_435_761) as u32);
    let rules = [
        any(600, |i| format!("(Cmd contains '{}' and not(Cmd contains '{}'))", word(i), &word(i)[..6])),
        all(150, |i| {
            format!("(Cmd contains '{}' or Host startswith '{}' or Port > {i})", word(i), word(i + 1))
        }),
        any(40, |i| format!("Cmd matches regex @'x{i}.{{30}}y.{{30}}z{i}'")),
    ];
    for r in rules {
        let start = Instant::now();
        let report = dead_sites(&rel(&r), &Budget { time: Duration::from_millis(500), ..Budget::default() });
        // Eight times the budget of a question, and what the last one takes.
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        println!("{:?}: {:?}", start.elapsed(), report.map(|r| (r.sites.len(), r.checked, r.unknown)));
    }
}
