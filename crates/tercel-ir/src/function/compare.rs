//! Comparison, membership, null and emptiness tests.

use super::{ANY, Function, function, string_predicate, text, to_bool};
use crate::types::Type;
use crate::value::Value;
use std::cmp::Ordering;

/// Order of two values of comparable types; numbers compare across types, dynamics by what they hold.
pub(crate) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    use Value::{Bool, DateTime, Dynamic, Long, Real, Str, TimeSpan};
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Long(x), Long(y)) | (DateTime(x), DateTime(y)) | (TimeSpan(x), TimeSpan(y)) => Some(x.cmp(y)),
        (Long(_) | Real(_), Long(_) | Real(_)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Bool(x), Bool(y)) => Some(x.cmp(y)),
        (Str(x), Str(y)) => Some(x.as_str().cmp(y)),
        (Dynamic(x), Dynamic(y)) if x == y => Some(Ordering::Equal),
        (Dynamic(_), Dynamic(_)) => None,
        (Dynamic(_), Str(y)) => Some(a.text().as_ref().cmp(y)),
        (Str(x), Dynamic(_)) => Some(x.as_str().cmp(b.text().as_ref())),
        (Dynamic(_), _) => {
            order(&a.clone().coerce(b.ty()), b).filter(|_| !a.clone().coerce(b.ty()).is_null())
        }
        (_, Dynamic(_)) => order(b, a).map(Ordering::reverse),
        _ => None,
    }
}

fn is_null(v: &Value) -> bool {
    matches!(v, Value::Null | Value::Dynamic(serde_json::Value::Null))
}

fn comparable(t: &[Type]) -> Result<Type, String> {
    use Type::{Dynamic, Guid, String};
    let (a, b) = (t[0], t[1]);
    let ok = a == b
        || a == Dynamic
        || b == Dynamic
        || a.is_number() && b.is_number()
        || matches!((a, b), (String, Guid) | (Guid, String));
    if ok { Ok(Type::Bool) } else { Err(format!("{a} cannot be compared with {b}")) }
}

fn equal(a: &[Value]) -> Value {
    match (is_null(&a[0]), is_null(&a[1])) {
        (true, true) => Value::Null,
        (false, false) => Value::Bool(order(&a[0], &a[1]) == Some(Ordering::Equal)),
        _ => Value::Bool(false),
    }
}

fn ordered(a: &[Value], test: fn(Ordering) -> bool) -> Value {
    if is_null(&a[0]) || is_null(&a[1]) {
        return Value::Null;
    }
    order(&a[0], &a[1]).map_or(Value::Null, |o| Value::Bool(test(o)))
}

fn member(a: &[Value], same: impl Fn(&Value, &Value) -> bool) -> Value {
    let hit = a[1..].iter().any(|x| match x {
        Value::Dynamic(serde_json::Value::Array(items)) => {
            items.iter().any(|i| same(&a[0], &Value::Dynamic(i.clone())))
        }
        x => same(&a[0], x),
    });
    Value::Bool(hit)
}

fn coalesce_type(t: &[Type]) -> Result<Type, String> {
    Ok(t.iter().copied().find(|t| *t != Type::Dynamic).unwrap_or(Type::Dynamic))
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!(
        "eq",
        (2, 2),
        comparable,
        kql["=="],
        sumo["="],
        |a, _| equal(a),
        "Equal; case-sensitive for text. False if exactly one side is null, null if both are."
    ),
    function!(
        "ne",
        (2, 2),
        comparable,
        kql["!="],
        sumo["!="],
        |a, _| match equal(a) {
            Value::Bool(b) => Value::Bool(!b),
            v => v,
        },
        "Not equal. True if exactly one side is null, null if both are."
    ),
    function!(
        "lt",
        (2, 2),
        comparable,
        kql["<"],
        sumo["<"],
        |a, _| ordered(a, Ordering::is_lt),
        "Less; null with a null."
    ),
    function!(
        "le",
        (2, 2),
        comparable,
        kql["<="],
        sumo["<="],
        |a, _| ordered(a, Ordering::is_le),
        "Less or equal; null with a null."
    ),
    function!(
        "gt",
        (2, 2),
        comparable,
        kql[">"],
        sumo[">"],
        |a, _| ordered(a, Ordering::is_gt),
        "Greater; null with a null."
    ),
    function!(
        "ge",
        (2, 2),
        comparable,
        kql[">="],
        sumo[">="],
        |a, _| ordered(a, Ordering::is_ge),
        "Greater or equal; null with a null."
    ),
    function!("eq_ci", (2, 2), string_predicate, kql ["=~"], sumo [],
        |a, _| Value::Bool(super::string::fold(&text(a, 0)) == super::string::fold(&text(a, 1))),
        "Equal text, ignoring case."),
    function!(
        "in",
        (1, ANY),
        to_bool,
        kql["in"],
        sumo["in"],
        |a, _| if is_null(&a[0]) {
            Value::Bool(false)
        } else {
            member(a, |x, y| order(x, y) == Some(Ordering::Equal))
        },
        "Whether the first argument equals one of the others; a dynamic array counts as its elements. False for null."
    ),
    function!("in_ci", (1, ANY), to_bool, kql ["in~"], sumo [],
        |a, _| member(a, |x, y| super::string::fold(&x.text()) == super::string::fold(&y.text())),
        "Text membership, ignoring case."),
    function!(
        "isnull",
        (1, 1),
        to_bool,
        kql["isnull"],
        sumo["isnull"],
        |a, _| Value::Bool(is_null(&a[0])),
        "Whether the value is null. In KQL a string never is; its front end folds that."
    ),
    function!("isnotnull", (1, 1), to_bool, kql ["isnotnull", "notnull"], sumo [], |a, _| Value::Bool(!is_null(&a[0])),
        "Whether the value is not null."),
    function!(
        "isempty",
        (1, 1),
        to_bool,
        kql["isempty"],
        sumo["isempty"],
        |a, _| Value::Bool(is_null(&a[0]) || a[0].text().is_empty()),
        "Whether the value is null or \"\"."
    ),
    function!("isnotempty", (1, 1), to_bool, kql ["isnotempty", "notempty"], sumo [],
        |a, _| Value::Bool(!is_null(&a[0]) && !a[0].text().is_empty()), "Whether the value is neither null nor \"\"."),
    function!("isblank", (1, 1), to_bool, kql [], sumo ["isblank"],
        |a, _| Value::Bool(is_null(&a[0]) || a[0].text().trim().is_empty()), "Whether the value is null, \"\" or only blanks."),
    function!("coalesce", (1, ANY), coalesce_type, kql ["coalesce"], sumo [],
        |a, _| a.iter().find(|v| !is_null(v) && **v != Value::Str(String::new())).or(a.last()).cloned().unwrap_or_default(),
        "The first argument that is neither null nor \"\"; the last one if none is."),
];
