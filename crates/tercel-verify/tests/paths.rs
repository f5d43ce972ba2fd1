//! Paths that a view puts together from a folder and a name: random tests of them against all events of a small
//! world, and the search without a solver against the solver.

use crate::support;

use proptest::prelude::*;
use std::sync::LazyLock;
use support::{Random, columns};
use tercel_ir::function::Context;
use tercel_ir::{Expr, Rel, RelKind, Schema, Span, Type, Value};
use tercel_verify::{Budget, Formula, Relation, Verdict, compare, satisfiable};

const AT: Span = Span { start: 0, end: 0 };

fn col(name: &str) -> Expr {
    Expr::column(name, Type::String, AT)
}
fn lit(s: &str) -> Expr {
    Expr::literal(Value::str(s), AT)
}
fn call(f: &str, args: Vec<Expr>) -> Expr {
    Expr::known(f, args, AT)
}

fn texts(letters: &[char], length: usize) -> Vec<Value> {
    let mut out = vec![Value::Null];
    let mut last = vec![String::new()];
    for _ in 0..=length {
        out.extend(last.iter().map(|s| Value::str(s.as_str())));
        last = last.iter().flat_map(|s| letters.iter().map(move |c| format!("{s}{c}"))).collect();
    }
    out
}

static FOLDERS: LazyLock<Vec<Value>> = LazyLock::new(|| texts(&['a', 'B', '.', '\\'], 3));
static NAMES: LazyLock<Vec<Value>> = LazyLock::new(|| texts(&['a', 'b', 'B', '.'], 1));

/// As the views say it.
fn path() -> Expr {
    let (folder, name) = (|| col("Image"), || col("File"));
    let base = || call("basename", vec![folder()]);
    let cases = vec![
        (call("isempty", vec![folder()]), name()),
        (call("eq_ci", vec![base(), name()]), call("strcat", vec![call("dirname", vec![folder()]), name()])),
        (
            Expr::or(vec![call("isempty", vec![name()]), call("contains", vec![base(), lit(".")])], AT),
            folder(),
        ),
        (call("endswith", vec![folder(), lit("\\")]), call("strcat", vec![folder(), name()])),
    ];
    let last = call("strcat", vec![folder(), lit("\\"), name()]);
    cases.into_iter().rev().fold(last, |otherwise, (c, value)| Expr::iff(c, value, otherwise, AT))
}

fn needle(r: &mut Random) -> String {
    let letters = ['a', 'b', 'B', '.', '\\'];
    (0..1 + r.below(3)).map(|_| *r.pick(&letters)).collect()
}

fn test(r: &mut Random, subject: &Expr) -> Expr {
    match r.below(12) {
        0 => call("isempty", vec![subject.clone()]),
        1 => {
            let patterns = ["^a", "(?i)b$", r"\\a", "[^a]$", r"(?i)^.\\b", r"\.", "^$"];
            let p = *r.pick(&patterns);
            call("matches_regex", vec![subject.clone(), lit(p)])
        }
        2 => {
            let items = (0..2 + r.below(3)).map(|_| lit(&needle(r))).collect::<Vec<_>>();
            let f = *r.pick(&["in_ci", "in"]);
            call(f, std::iter::once(subject.clone()).chain(items).collect())
        }
        _ => {
            let f = *r.pick(&[
                "endswith",
                "endswith",
                "contains",
                "startswith",
                "eq_ci",
                "has",
                "endswith_cs",
                "contains_cs",
            ]);
            call(f, vec![subject.clone(), lit(&needle(r))])
        }
    }
}

fn condition(r: &mut Random, depth: usize) -> Expr {
    let subject = match r.below(6) {
        0 => col("Image"),
        1 => col("File"),
        _ => path(),
    };
    match if depth == 0 { 9 } else { r.below(7) } {
        // Lists of tests of one path are built together.
        0 | 1 => Expr::or((0..2 + r.below(3)).map(|_| test(r, &subject)).collect(), AT),
        2 => Expr::and((0..2).map(|_| test(r, &subject)).collect(), AT),
        3 => Expr::and((0..2).map(|_| condition(r, depth - 1)).collect(), AT),
        4 => Expr::or((0..2).map(|_| condition(r, depth - 1)).collect(), AT),
        5 => Expr::not(condition(r, depth - 1), AT),
        _ => test(r, &subject),
    }
}

fn filter(e: Expr) -> Rel {
    let scan = Rel { kind: RelKind::Scan { table: "T".into() }, schema: Schema::new(columns()), span: AT };
    scan.filter(e, AT)
}

fn holds(e: &Expr, folder: &Value, name: &Value) -> bool {
    let row = |n: &str| match n {
        "Image" => folder.clone(),
        "File" => name.clone(),
        _ => Value::Null,
    };
    e.eval(&row, &Context::default()).as_bool() == Some(true)
}

fn check(seed: u64) -> Result<Relation, TestCaseError> {
    let mut r = Random(seed);
    let (a, b) = (condition(&mut r, 2), condition(&mut r, 2));
    let budget = Budget { time: std::time::Duration::from_secs(20), ..Budget::default() };
    let found = compare(&filter(a.clone()), &filter(b.clone()), &budget);
    // Which of "only the first", "only the second", "both" there are.
    let said = match found.relation {
        Relation::Equal => [Some(false), Some(false), None],
        Relation::Subset => [Some(false), Some(true), None],
        Relation::Superset => [Some(true), Some(false), None],
        Relation::Disjoint => [Some(true), Some(true), Some(false)],
        Relation::Overlap => [Some(true), Some(true), Some(true)],
        Relation::Unknown => [None, None, None],
    };
    for folder in FOLDERS.iter() {
        for name in NAMES.iter() {
            let (x, y) = (holds(&a, folder, name), holds(&b, folder, name));
            for (i, here) in [x && !y, y && !x, x && y].into_iter().enumerate() {
                prop_assert!(
                    !here || said[i] != Some(false),
                    "{:?} refuted by {folder:?} {name:?}\n{a:?}\n{b:?}",
                    found.relation
                );
            }
        }
    }
    for w in &found.witnesses {
        let get = |n: &str| w.event.values.get(n).cloned().unwrap_or_default();
        prop_assert_eq!(holds(&a, &get("Image"), &get("File")), w.first);
        prop_assert_eq!(holds(&b, &get("Image"), &get("File")), w.second);
        prop_assert!(!get("File").text().contains(['\\', '/']));
    }
    // The same questions, one at a time, to the solver alone.
    let no = |e: &Expr| {
        let truth = Expr::iff(e.clone(), Expr::boolean(true, AT), Expr::boolean(false, AT), AT);
        Expr::not(truth, AT)
    };
    let asked = [vec![a.clone(), no(&b)], vec![b.clone(), no(&a)], vec![a.clone(), b.clone()]];
    for (said, all) in said.into_iter().zip(asked) {
        let Ok(formulas) = Formula::of(&filter(Expr::and(all, AT))) else { continue };
        let Some(said) = said else { continue };
        match satisfiable(&formulas[0], &budget) {
            Verdict::Sat(e) => prop_assert!(said, "the solver has {e:?}\n{a:?}\n{b:?}"),
            Verdict::Unsat => prop_assert!(!said, "the solver has no event\n{a:?}\n{b:?}"),
            Verdict::Unknown(_) => {}
        }
    }
    Ok(found.relation)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("TERCEL_PROVER_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_paths(seed in any::<u64>()) {
        check(seed)?;
    }
}

/// The prover must not be sound by saying nothing.
#[test]
fn few_are_unknown() {
    let n = 60;
    let unknown = (0..n)
        .map(|seed| check(seed).unwrap_or_else(|e| panic!("{e}")))
        .filter(|found| *found == Relation::Unknown)
        .count();
    assert!(unknown * 3 <= n as usize, "{unknown} of {n} unknown");
}
