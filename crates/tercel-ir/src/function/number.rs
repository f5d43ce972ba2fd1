//! Arithmetic on numbers, and on points and spans of time.

use super::{ANY, Function, function, to_long, to_real};
use crate::types::Type;
use crate::value::Value;

fn arithmetic(t: &[Type], op: char) -> Result<Type, String> {
    use Type::{DateTime, Decimal, Dynamic, Int, Long, Real, TimeSpan};
    Ok(match (op, t[0], t[1]) {
        ('+', DateTime, TimeSpan) | ('+', TimeSpan, DateTime) | ('-', DateTime, TimeSpan) => DateTime,
        ('-', DateTime, DateTime) => TimeSpan,
        ('+' | '-' | '%', TimeSpan, TimeSpan) => TimeSpan,
        ('/', TimeSpan, TimeSpan) => Real,
        ('*', TimeSpan, n) | ('*', n, TimeSpan) | ('/', TimeSpan, n) if n.is_number() => TimeSpan,
        (_, Int | Long | Dynamic, Int | Long | Dynamic) => Long,
        (_, Real | Decimal, Int | Long | Real | Decimal | Dynamic)
        | (_, Int | Long | Dynamic, Real | Decimal) => Real,
        (_, a, b) => return Err(format!("`{op}` is not defined for {a} and {b}")),
    })
}

fn apply(op: char, a: &Value, b: &Value) -> Value {
    use Value::{DateTime, Long, TimeSpan};
    let int = |x: i64, y: i64| match op {
        '+' => x.checked_add(y),
        '-' => x.checked_sub(y),
        '*' => x.checked_mul(y),
        '/' => x.checked_div(y),
        // Kusto's modulo is never negative.
        _ => x.checked_rem_euclid(y),
    };
    let wrap = |v: Option<i64>, f: fn(i64) -> Value| v.map_or(Value::Null, f);
    match (a, b) {
        (DateTime(x), DateTime(y)) => wrap(int(*x, *y), TimeSpan),
        (DateTime(x), TimeSpan(y)) | (TimeSpan(x), DateTime(y)) => {
            wrap(int(*x, *y).filter(|t| (0..=crate::time::MAX).contains(t)), DateTime)
        }
        (TimeSpan(x), TimeSpan(y)) if op == '/' => {
            if *y == 0 {
                Value::Null
            } else {
                Value::Real(*x as f64 / *y as f64)
            }
        }
        (TimeSpan(x), TimeSpan(y)) => wrap(int(*x, *y), TimeSpan),
        (TimeSpan(x), n) | (n, TimeSpan(x)) => match n.as_f64() {
            Some(f) if op == '*' => Value::TimeSpan((*x as f64 * f) as i64),
            Some(f) if f != 0.0 => Value::TimeSpan((*x as f64 / f) as i64),
            _ => Value::Null,
        },
        (Long(x), Long(y)) => wrap(int(*x, *y), Long),
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) => {
                if let (Some(x), Some(y)) = (a.as_i64(), b.as_i64()) {
                    return wrap(int(x, y), Long);
                }
                Value::Real(match op {
                    '+' => x + y,
                    '-' => x - y,
                    '*' => x * y,
                    '/' => x / y,
                    _ => x.rem_euclid(y),
                })
            }
            _ => Value::Null,
        },
    }
}

/// Floors to a multiple; 0 steps give null. Integers stay integers, negatives go down.
fn bin(v: &Value, step: &Value) -> Value {
    let floor = |x: i64, s: i64| if s <= 0 { None } else { x.div_euclid(s).checked_mul(s) };
    let wrap = |v: Option<i64>, f: fn(i64) -> Value| v.map_or(Value::Null, f);
    match (v, step) {
        (Value::DateTime(x), Value::TimeSpan(s)) => wrap(floor(*x, *s), Value::DateTime),
        (Value::TimeSpan(x), Value::TimeSpan(s)) => wrap(floor(*x, *s), Value::TimeSpan),
        (Value::Long(x), Value::Long(s)) => wrap(floor(*x, *s), Value::Long),
        _ => match (v.as_f64(), step.as_f64()) {
            (Some(x), Some(s)) if s > 0.0 => Value::Real((x / s).floor() * s),
            _ => Value::Null,
        },
    }
}

fn bin_type(t: &[Type]) -> Result<Type, String> {
    match (t[0], t[1]) {
        (Type::DateTime | Type::TimeSpan, Type::TimeSpan) => Ok(t[0]),
        (a, b) if a.is_integer() && b.is_integer() => Ok(a),
        (a, b) if (a.is_number() || a == Type::Dynamic) && b.is_number() => Ok(Type::Real),
        (a, b) => Err(format!("cannot round {a} to multiples of {b}")),
    }
}

fn same(t: &[Type]) -> Result<Type, String> {
    if t[0].is_number() || matches!(t[0], Type::TimeSpan | Type::Dynamic) {
        Ok(t[0])
    } else {
        Err(format!("expects a number, not {}", t[0]))
    }
}
fn first_type(t: &[Type]) -> Result<Type, String> {
    Ok(if t.contains(&Type::Real) { Type::Real } else { t[0] })
}
fn pick(a: &[Value], want: std::cmp::Ordering) -> Value {
    let mut best: Option<&Value> = None;
    for v in a.iter().filter(|v| !v.is_null()) {
        if best.is_none_or(|b| super::compare::order(v, b) == Some(want)) {
            best = Some(v);
        }
    }
    best.cloned().unwrap_or_default()
}
fn real1(a: &[Value], f: fn(f64) -> f64) -> Value {
    a[0].as_f64().map_or(Value::Null, |x| Value::Real(f(x)))
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!(
        "add",
        (2, 2),
        |t| arithmetic(t, '+'),
        kql["+"],
        sumo["+"],
        |a, _| apply('+', &a[0], &a[1]),
        "Sum; also datetime + timespan."
    ),
    function!(
        "sub",
        (2, 2),
        |t| arithmetic(t, '-'),
        kql["-"],
        sumo["-"],
        |a, _| apply('-', &a[0], &a[1]),
        "Difference; datetime - datetime is a timespan."
    ),
    function!(
        "mul",
        (2, 2),
        |t| arithmetic(t, '*'),
        kql["*"],
        sumo["*"],
        |a, _| apply('*', &a[0], &a[1]),
        "Product."
    ),
    function!("div", (2, 2), |t| arithmetic(t, '/'), kql ["/"], sumo [], |a, _| apply('/', &a[0], &a[1]), "Quotient; integers truncate, an integer by zero is null."),
    function!("div_real", (2, 2), to_real, kql [], sumo ["/"], |a, _| match (a[0].as_f64(), a[1].as_f64()) { (Some(x), Some(y)) => Value::Real(x / y), _ => Value::Null }, "Quotient of reals; by zero infinite."),
    function!(
        "mod",
        (2, 2),
        |t| arithmetic(t, '%'),
        kql["%"],
        sumo["%"],
        |a, _| apply('%', &a[0], &a[1]),
        "Remainder, never negative."
    ),
    function!("neg", (1, 1), same, kql [], sumo [], |a, _| match &a[0] {
        Value::Long(n) => n.checked_neg().map_or(Value::Null, Value::Long),
        Value::TimeSpan(n) => n.checked_neg().map_or(Value::Null, Value::TimeSpan),
        v => v.as_f64().map_or(Value::Null, |x| Value::Real(-x)),
    }, "Sign changed."),
    function!("bin", (2, 2), bin_type, kql ["bin", "floor"], sumo [], |a, _| bin(&a[0], &a[1]), "Rounded down to a multiple of the second argument."),
    function!(
        "abs",
        (1, 1),
        same,
        kql["abs"],
        sumo["abs"],
        |a, _| match &a[0] {
            Value::Long(n) => n.checked_abs().map_or(Value::Null, Value::Long),
            Value::TimeSpan(n) => n.checked_abs().map_or(Value::Null, Value::TimeSpan),
            v => v.as_f64().map_or(Value::Null, |x| Value::Real(x.abs())),
        },
        "Without sign."
    ),
    function!(
        "round",
        (1, 2),
        to_real,
        kql["round"],
        sumo["round"],
        |a, _| {
            let d = a.get(1).and_then(Value::as_i64).unwrap_or(0).clamp(-300, 300) as i32;
            a[0].as_f64().map_or(Value::Null, |x| Value::Real((x * 10f64.powi(d)).round() / 10f64.powi(d)))
        },
        "Rounded to a number of decimal places."
    ),
    function!(
        "ceiling",
        (1, 1),
        to_real,
        kql["ceiling"],
        sumo["ceil"],
        |a, _| real1(a, f64::ceil),
        "Rounded up."
    ),
    function!("floor_real", (1, 1), to_real, kql [], sumo ["floor"], |a, _| real1(a, f64::floor), "Rounded down."),
    function!("sqrt", (1, 1), to_real, kql["sqrt"], sumo["sqrt"], |a, _| real1(a, f64::sqrt), "Square root."),
    function!(
        "log",
        (1, 1),
        to_real,
        kql["log"],
        sumo["log"],
        |a, _| real1(a, f64::ln),
        "Natural logarithm."
    ),
    function!("exp", (1, 1), to_real, kql["exp"], sumo["exp"], |a, _| real1(a, f64::exp), "e to a power."),
    function!(
        "pow",
        (2, 2),
        to_real,
        kql["pow"],
        sumo["pow"],
        |a, _| match (a[0].as_f64(), a[1].as_f64()) {
            (Some(x), Some(y)) => Value::Real(x.powf(y)),
            _ => Value::Null,
        },
        "A power."
    ),
    function!(
        "max_of",
        (1, ANY),
        first_type,
        kql["max_of"],
        sumo["max"],
        |a, _| pick(a, std::cmp::Ordering::Greater),
        "The greatest argument that is not null."
    ),
    function!(
        "min_of",
        (1, ANY),
        first_type,
        kql["min_of"],
        sumo["min"],
        |a, _| pick(a, std::cmp::Ordering::Less),
        "The least argument that is not null."
    ),
    function!("binary_and", (2, 2), to_long, kql ["binary_and"], sumo [], |a, _| match (a[0].as_i64(), a[1].as_i64()) { (Some(x), Some(y)) => Value::Long(x & y), _ => Value::Null }, "Bitwise and."),
    function!("binary_or", (2, 2), to_long, kql ["binary_or"], sumo [], |a, _| match (a[0].as_i64(), a[1].as_i64()) { (Some(x), Some(y)) => Value::Long(x | y), _ => Value::Null }, "Bitwise or."),
];
