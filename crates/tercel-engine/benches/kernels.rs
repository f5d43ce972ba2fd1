//! Text kernels against row-by-row evaluation, on command lines as sensors write them.
//!
//! `cargo bench -p tercel-engine`; throughput is rows.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use tercel_engine::{Arg, Call, array_of};
use tercel_ir::function::{Context, by_name};
use tercel_ir::{Type, Value};

const ROWS: usize = 8192;

/// Command lines of some 100 bytes that do not repeat; one in a hundred is what the hunts look for.
fn command_lines() -> Vec<Value> {
    (0..ROWS)
        .map(|i| {
            let tail = if i % 100 == 0 { "-EncodedCommand SQBFAFgA" } else { "/quiet /norestart" };
            Value::Str(format!(
                "\"C:\\Program Files\\Vendor {}\\Agent\\bin\\updater{:06}.exe\" --session {:016x} {tail}",
                i % 17,
                i,
                (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ))
        })
        .collect()
}

fn kernels(c: &mut Criterion) {
    let column = array_of(Type::String, command_lines());
    let text = |s: &str| Arg::Const(Value::str(s));
    let many =
        |n: usize| (0..n).map(|i| Arg::Const(Value::Str(format!("needle{i:04}.exe")))).collect::<Vec<_>>();
    let cases: Vec<(&str, &str, Vec<Arg>)> = vec![
        ("contains", "contains", vec![text("-encodedcommand")]),
        ("contains_cs", "contains_cs", vec![text("-EncodedCommand")]),
        ("startswith", "startswith", vec![text("\"c:\\program files\\vendor 3")]),
        ("endswith", "endswith", vec![text("SQBFAFgA")]),
        ("has", "has", vec![text("encodedcommand")]),
        ("has_any of 200", "has_any", many(200)),
        ("in_ci of 200", "in_ci", many(200)),
        ("matches_regex", "matches_regex", vec![text("(?i)-enc[a-z]* [A-Za-z0-9+/=]{8,}")]),
    ];
    for (label, name, literals) in cases {
        let function = by_name(name).expect("a function of the registry");
        let args: Vec<Arg> = [Arg::Column(Type::String)].into_iter().chain(literals).collect();
        let context = Arc::new(Context::default());
        let fast = Call::new(function, args.clone(), Type::Bool, context.clone());
        let plain = Call::without_kernel(function, args, Type::Bool, context);
        let mut group = c.benchmark_group(label);
        group.throughput(Throughput::Elements(ROWS as u64)).sample_size(10);
        for (way, call) in [("kernel", &fast), ("row by row", &plain)] {
            group.bench_function(way, |b| {
                b.iter(|| call.run(black_box(std::slice::from_ref(&column)), ROWS).expect("the call runs"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
