//! Conditions made to explode: an answer in bounded time, right or "unknown".

use crate::support;

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

/// What one question may cost here, and what it may take: as the clock is asked everywhere, little more.
const SOON: Duration = Duration::from_secs(20);

fn soon(a: &str, b: &str) -> Relation {
    let (a, b) = (rel(a), rel(b));
    let start = Instant::now();
    let c = compare(&a, &b, &Budget { time: Duration::from_millis(300), ..Budget::default() });
    let t = start.elapsed();
    println!("{:?} in {t:?}: {:?}", c.relation, c.reason);
    assert!(t < SOON, "took {t:?}");
    if c.relation == Relation::Unknown {
        assert!(c.reason.is_some_and(|r| !r.is_empty()), "an unknown without a reason");
    }
    c.relation
}

#[test]
fn a_thousand_texts_with_and_without_case() {
    // Nothing else folds to these characters, so both ask the same.
    let word = |i: usize| {
        format!("語{}点", (b'0'..=b'9').nth(i % 10).map_or('0', char::from).to_string().repeat(1 + i / 10))
    };
    let blind = any(1_000, |i| format!("Cmd contains '{}'", word(i)));
    let exact = any(1_000, |i| format!("Cmd contains_cs '{}'", word(i)));
    assert_eq!(soon(&blind, &exact), Relation::Equal);
    // Of these something does: the equal texts are no longer the same question.
    let blind = any(1_000, |i| format!("Cmd contains 'k{}'", word(i)));
    let exact = any(1_000, |i| format!("Cmd contains_cs 'k{}'", word(i)));
    assert!(matches!(soon(&blind, &exact), Relation::Superset | Relation::Unknown));
    let all_of = all(1_000, |i| format!("Cmd contains 'k{}'", word(i)));
    let none_of = all(1_000, |i| format!("not(Cmd contains_cs 'K{}')", word(i)));
    assert!(matches!(soon(&all_of, &none_of), Relation::Overlap | Relation::Subset | Relation::Unknown));
}

#[test]
fn computed_texts_that_can_be_cut_in_many_ways() {
    let long = "ab".repeat(95);
    let joined = "strcat(Cmd, Host, Note, Addr, Cmd, Host, Note, 'z')";
    assert!(matches!(
        soon(
            &format!("{joined} contains '{long}' and Cmd startswith 'q'"),
            &format!("{joined} endswith 'y'")
        ),
        Relation::Superset | Relation::Disjoint | Relation::Overlap | Relation::Unknown
    ));
    let mut nested = "Cmd".to_string();
    for i in 0..40 {
        nested = format!("{}({nested})", ["toupper", "tolower", "tostring", "trim_start"][i % 3]);
    }
    soon(&format!("strcat({nested}, '-', Host) == 'a-b'"), &format!("strcat({nested}, Host) == 'a-b'"));
    let mut pairs = "Cmd".to_string();
    for _ in 0..14 {
        pairs = format!("strcat({pairs}, '.', Note)");
    }
    soon(&format!("{pairs} contains 'x.y' and Cmd == 'x'"), &format!("{pairs} contains 'X.Z'"));
}

#[test]
fn automata_of_many_conditions() {
    let m = |p: String| format!("Cmd matches regex @'{p}'");
    // Each pair of them is looked at before all together.
    let many = all(24, |i| m(format!("x{i}[a-z]+(\\w|-)*y{i}")));
    soon(&many, &all(23, |i| m(format!("x{i}[a-z]+(\\w|-)*y{i}"))));
    let words = all(60, |i| format!("Cmd has 'w{i}'"));
    let not = all(60, |i| format!("not(Cmd has_cs 'W{i}')"));
    soon(&format!("{words} and {not}"), &words);
    let mixed =
        all(150, |i| m(format!("[^{}]{{{}}}\\p{{L}}", char::from(b'a' + (i % 26) as u8), 1 + i % 40)));
    soon(&mixed, "Cmd contains 'a'");
}

#[test]
fn values_by_the_ten_thousand() {
    let opaque = all(60, |i| format!("Port % {} != {}", i + 2, i + 1));
    let holes = all(800, |i| format!("Port != {}", i * 7));
    soon(&format!("{opaque} and {holes} and Port % 64999 == 64998 and Port < 100"), "Port == 3");
    let nets = all(900, |i| format!("not(ipv4_is_in_range(Ip, '10.{}.{}.0/24'))", i / 256, i % 256));
    soon(&nets, &format!("{nets} and Ip != '9.9.9.9'"));
}

#[test]
fn parts_of_lists_in_many_tables() {
    let list = |n: usize, t: &str| {
        any(n, |i| format!("(Cmd contains '{t}{i}' and not(Note has 'n{i}' or Cmd contains '{t}'))"))
    };
    let whole = format!("union T, U | where {} or {}", list(120, "aa"), list(120, "bbb"));
    for text in [whole, format!("{} and {}", list(200, "a"), list(200, "b"))] {
        let start = Instant::now();
        let budget = Budget { time: Duration::from_millis(200), ..Budget::default() };
        let report = dead_sites(&rel(&text), &budget);
        let t = start.elapsed();
        println!("{t:?}: {:?}", report.map(|r| (r.sites.len(), r.checked, r.unknown, r.reason)));
        assert!(t < SOON, "took {t:?}");
    }
}

#[test]
fn test_events_of_something_large() {
    use tercel_verify::generate::{Request, events};
    let names = list(1_500, |i| format!("'tool-{i:05}.exe'"));
    let ports = list(800, |i| format!("{}", i * 3));
    let deep = (0..7).fold("Cmd contains 'deep'".to_string(), |e, i| {
        format!(
            "({}) and not(Port == {i})",
            any(6, |k| format!("(Host == 'h{k}' and Note has 'n{i}' and ({e}) and Size == {k})"))
                .split(" or ")
                .take(2)
                .collect::<Vec<_>>()
                .join(" or ")
        )
    });
    for text in [
        format!("(File in~ ({names}) and Port !in ({ports})) or Cmd has_any ({names})"),
        format!("not(Cmd has_any ({names})) and not(File in~ ({names})) and Port in ({ports})"),
        deep,
    ] {
        let start = Instant::now();
        let request = Request {
            budget: Budget { time: Duration::from_millis(200), ..Budget::default() },
            limit: 400,
            time: Duration::from_secs(1),
            given: &[],
            misses: true,
            rows: None,
            seeds: &[],
        };
        let made = events(&rel(&text), "T", &request);
        let t = start.elapsed();
        println!("{t:?}: {:?}", made.map(|m| (m.cases.len(), m.missing.len(), m.skipped)));
        assert!(t < SOON, "took {t:?}");
    }
}

#[test]
fn what_is_said_of_tests_before_any_search() {
    let names = any(2_500, |i| format!("Image endswith @'\\x{i}.exe'"));
    let bases = any(2_500, |i| {
        format!(
            "extract(@'([^\\\\]+)$', 1, Image) has 'x{i}' or tostring(split(Image, '\\\\')[-1]) has 'y{i}'"
        )
    });
    soon(&names, &bases);
    let regexes = any(500, |i| format!("Cmd matches regex @'x{i}\\p{{L}}{{20}}[^a-f]{{30}}y'"));
    soon(&regexes, "Cmd contains 'x'");
    let deep =
        (0..60).fold("Cmd".to_string(), |e, i| format!("iff(Port == {i}, strcat({e}, 'x'), toupper(Note))"));
    soon(&format!("{deep} contains 'ax' and {deep} endswith 'z'"), &format!("{deep} == 'axx'"));
    let wide = (0..3).fold("Cmd".to_string(), |e, k| {
        format!("case({}, 'none')", list(60, |i| format!("Size == {i}{k}, strcat('v{i}', {e})")))
    });
    if wide.len() < 4_000_000 {
        soon(&format!("{wide} == 'v7v8x'"), "Port == 77");
    }
}

#[test]
fn searches_of_many_branches() {
    let m = |i: usize| {
        format!("(T | where Cmd matches regex @'a.{{{}}}b.{{200}}c.{{200}}$' and Note has 'n{i}')", 200 + i)
    };
    let many = format!("union {}", list(60, m));
    soon(&many, &format!("union {}", list(59, m)));
    let start = Instant::now();
    let budget = Budget { time: Duration::from_millis(300), ..Budget::default() };
    let report = dead_sites(&rel(&many), &budget);
    println!("{:?}: {:?}", start.elapsed(), report.map(|r| (r.sites.len(), r.checked, r.unknown)));
    assert!(start.elapsed() < SOON.saturating_mul(2), "{:?}", start.elapsed());
    let start = Instant::now();
    let _ = tercel_verify::contradiction(&rel(&many), &budget);
    assert!(start.elapsed() < SOON.saturating_mul(2), "{:?}", start.elapsed());
    let formulas =
        [&many, "Port == 1"].map(|t| tercel_verify::Formula::of(&rel(t)).unwrap_or_else(|u| panic!("{u}")));
    let start = Instant::now();
    let found = tercel_verify::inclusions(&formulas, |_, _| true, &budget);
    println!("{:?}: {found:?}", start.elapsed());
    assert!(start.elapsed() < SOON.saturating_mul(2), "{:?}", start.elapsed());
    let start = Instant::now();
    let found = tercel_verify::overlaps(&formulas, |_, _| true, &budget);
    println!("{:?}: {}", start.elapsed(), found.len());
    assert!(start.elapsed() < SOON.saturating_mul(2), "{:?}", start.elapsed());
}

#[test]
fn columns_over_columns() {
    let steps: String =
        (0..90).map(|i| format!(" | extend C{i} = strcat(Cmd, '{i}', Host) | where Port != {i}")).collect();
    let text = format!("union {} | where C7 has 'x'", list(30, |_| "T".into()));
    let text = text.replacen(" | where C7", &format!("{steps} | where C7"), 1);
    soon(&text, &text);
    let doubled: String = (0..16).map(|i| format!(" | extend Cmd = strcat(Cmd, '{i}', Cmd)")).collect();
    soon(&format!("T {doubled} | where Cmd has 'x'"), "Cmd has 'x'");
}
