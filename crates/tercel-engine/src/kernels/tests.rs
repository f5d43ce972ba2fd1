//! Every kernel is held to the function's own `eval`, on values that are meant to hurt.

use super::{Arg, Call};
use crate::values::{Cells, array_of};
use proptest::prelude::*;
use std::sync::Arc;
use tercel_ir::function::{Context, all, by_name};
use tercel_ir::{Function, Type, Value};

/// Texts at the edges: case folding that changes the length, characters outside ASCII beside ASCII,
/// pattern characters, NUL, addresses, JSON.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "k",
    "\u{212A}",
    "\u{130}",
    "\u{23A}",
    "ſ",
    "ß",
    "É",
    "é",
    "x\u{0}y",
    "ab",
    "AB",
    "aB",
    "a b",
    "a_b",
    "abab",
    "powershell.exe -Enc AAAA",
    "C:\\Windows\\System32\\cmd.exe",
    "c:/x/",
    "\\",
    "/",
    "*",
    "?",
    "a*b",
    "[a",
    "(?i)a(b)?",
    "^a",
    "b$",
    "a.c",
    "-enc",
    "10.0.0.1",
    "10.0.0.1/8",
    " 10.1.2.3 ",
    "10.0.0.0/8",
    "::1",
    "::/0",
    "fe80::1",
    "999.1.1.1",
    "{\"a\":1}",
    "[1,\"a\",null]",
    "null",
    "true",
    "1",
    "0x1F",
    "5.0",
    "2024-01-01",
    "\u{1F600}",
    "Ⱥb",
    "K\u{212A}k",
    "aİb",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(TEXTS).prop_map(str::to_owned),
        2 => (proptest::sample::select(TEXTS), proptest::sample::select(TEXTS)).prop_map(|(a, b)| format!("{a}{b}")),
        1 => "[aAbBkK\u{212A}\u{130} ._\\-\\\\*é]{0,12}",
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        (-3i64..4).prop_map(serde_json::Value::from),
        (-3i64..4).prop_map(|n| serde_json::json!(n as f64 / 2.0)),
        text().prop_map(serde_json::Value::from),
    ];
    prop_oneof![
        3 => leaf.clone(),
        1 => proptest::collection::vec(leaf.clone(), 0..4).prop_map(serde_json::Value::from),
        1 => (text(), leaf).prop_map(|(k, v)| serde_json::json!({k: v})),
    ]
}

fn value(ty: Type) -> BoxedStrategy<Value> {
    let some = match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int | Type::Long => {
            prop_oneof![-3i64..4, Just(i64::MIN), Just(i64::MAX)].prop_map(Value::Long).boxed()
        }
        Type::Real | Type::Decimal => prop_oneof![
            (-4i64..5).prop_map(|n| n as f64 / 2.0),
            Just(f64::NAN),
            Just(-0.0),
            Just(f64::INFINITY),
            Just(1e300)
        ]
        .prop_map(Value::Real)
        .boxed(),
        Type::DateTime => prop_oneof![Just(0i64), Just(638_000_000_000_000_000), Just(tercel_ir::time::MAX)]
            .prop_map(Value::DateTime)
            .boxed(),
        Type::TimeSpan => prop_oneof![-3i64..4, Just(i64::MIN)].prop_map(Value::TimeSpan).boxed(),
        Type::String | Type::Guid => text().prop_map(Value::Str).boxed(),
        Type::Dynamic => {
            json().prop_map(|j| if j.is_null() { Value::Null } else { Value::Dynamic(j) }).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 9 => some].boxed()
}

const TYPES: &[Type] = &[
    Type::Bool,
    Type::Long,
    Type::Real,
    Type::DateTime,
    Type::TimeSpan,
    Type::String,
    Type::String,
    Type::Dynamic,
];

/// An argument: what it is, and its value in each row (a literal's is the same in all).
fn argument(rows: usize) -> impl Strategy<Value = (Arg, Vec<Value>)> {
    proptest::sample::select(TYPES).prop_flat_map(move |ty| {
        prop_oneof![
            value(ty).prop_map(move |v| (Arg::Const(v.clone()), vec![v; rows])),
            proptest::collection::vec(value(ty), rows).prop_map(move |v| (Arg::Column(ty), v)),
        ]
    })
}

fn arg_type(a: &Arg) -> Type {
    match a {
        Arg::Const(v) => v.ty(),
        Arg::Column(t) => *t,
    }
}

/// Compares the call with its kernel (if any) against plain evaluation, row by row.
fn check(function: &'static Function, args: &[(Arg, Vec<Value>)], rows: usize) -> Result<(), TestCaseError> {
    let shapes: Vec<Arg> = args.iter().map(|a| a.0.clone()).collect();
    let types: Vec<Type> = shapes.iter().map(arg_type).collect();
    let Ok(result) = function.result_type(&types) else { return Ok(()) };
    let context = Arc::new(Context::default());
    let call = Call::new(function, shapes.clone(), result, context.clone());
    let columns: Vec<_> = args
        .iter()
        .filter_map(
            |(a, v)| if let Arg::Column(t) = a { Some(array_of(*t, v.iter().cloned())) } else { None },
        )
        .collect();
    if columns.is_empty() {
        return Ok(());
    }
    let out = call.run(&columns, rows).expect("the arrays fit the call");
    let cells = Cells::new(out.as_ref(), result).expect("the result has its type");
    for i in 0..rows {
        let row: Vec<Value> = args.iter().map(|(_, v)| v[i].clone()).collect();
        let want = crate::canonical((function.eval)(&row, &context), result);
        prop_assert_eq!(
            format!("{:?}", cells.get(i)),
            format!("{want:?}"),
            "{} (kernel: {}) of {:?}, literals {:?}",
            function.name,
            call.has_kernel(),
            row,
            shapes
        );
    }
    Ok(())
}

const ROWS: usize = 12;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any function, any shape of arguments.
    #[test]
    fn calls_mean_what_eval_means(
        which in 0..all().len(),
        args in proptest::collection::vec(argument(ROWS), 1..4),
    ) {
        let function = all()[which];
        let n = args.len().clamp(function.arity.0.min(args.len()), function.arity.1.min(args.len()));
        check(function, &args[..n], ROWS)?;
    }

    /// The functions with kernels, in the shapes that have one: a text column first, then literals.
    #[test]
    fn text_kernels_mean_what_eval_means(
        column in proptest::collection::vec(value(Type::String), ROWS),
        dynamic in proptest::collection::vec(value(Type::Dynamic), ROWS),
        literals in proptest::collection::vec(prop_oneof![3 => value(Type::String), 1 => value(Type::Dynamic)], 0..7),
        group in -1i64..3,
    ) {
        for name in [
            "contains", "contains_cs", "startswith", "startswith_cs", "endswith", "endswith_cs", "eq_ci", "in", "in_ci",
            "has", "has_cs", "hasprefix", "hasprefix_cs", "hassuffix", "hassuffix_cs", "has_any", "has_all",
            "matches_regex", "matches_glob", "matches_glob_ci", "isempty", "isnotempty", "isblank", "isnull",
            "tolower", "toupper", "basename", "ip_in_cidr", "ipv4_is_in_range", "ipv4_is_in_any_range",
            "ip_address_class", "coalesce", "regex_group", "extract",
        ] {
            let function = by_name(name).expect("the function exists");
            for (ty, column) in [(Type::String, &column), (Type::Dynamic, &dynamic)] {
                let text = (Arg::Column(ty), column.clone());
                let constant = |v: &Value| (Arg::Const(v.clone()), vec![v.clone(); ROWS]);
                let args = match name {
                    "regex_group" | "extract" => {
                        let pattern = constant(literals.first().unwrap_or(&Value::Null));
                        let group = constant(&Value::Long(group));
                        if name == "extract" { vec![pattern, group, text] } else { vec![text, pattern, group] }
                    }
                    _ => {
                        let most = function.arity.1.saturating_sub(1);
                        [text].into_iter().chain(literals.iter().take(most).map(constant)).collect()
                    }
                };
                check(function, &args, ROWS)?;
            }
        }
    }
}

#[test]
fn the_hot_functions_have_kernels() {
    let text = || Arg::Column(Type::String);
    let lit = |s: &str| Arg::Const(Value::str(s));
    let call = |name: &str, args: Vec<Arg>| {
        let f = by_name(name).expect("the function exists");
        Call::new(f, args, Type::Bool, Arc::new(Context::default())).has_kernel()
    };
    for name in
        ["contains", "startswith", "endswith", "eq_ci", "in", "in_ci", "has", "has_any", "matches_regex"]
    {
        assert!(call(name, vec![text(), lit("a")]), "{name}");
    }
    assert!(call("extract", vec![lit("a(b)"), Arg::Const(Value::Long(1)), text()]));
    assert!(!call("contains", vec![text(), text()]));
}

#[test]
fn case_folding_outside_ascii() {
    let contains = by_name("contains").expect("the function exists");
    let call = Call::new(
        contains,
        vec![Arg::Column(Type::String), Arg::Const(Value::str("k"))],
        Type::Bool,
        Arc::new(Context::default()),
    );
    // The Kelvin sign folds to `k`.
    let out = call.run(&[array_of(Type::String, [Value::str("\u{212A}")])], 1).expect("the arrays fit");
    assert_eq!(Cells::new(out.as_ref(), Type::Bool).expect("a bool").get(0), Value::Bool(true));
}
