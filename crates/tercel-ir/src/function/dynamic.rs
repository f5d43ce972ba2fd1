//! Functions of JSON-like values.

use super::{ANY, Function, function, text, to_bool, to_dynamic, to_long, to_string};
use crate::value::Value;
use serde_json::Value as J;

/// The JSON behind a value; text is parsed, as `.` on a string column of JSON must work.
fn json(v: &Value) -> J {
    match v {
        Value::Dynamic(j) => j.clone(),
        Value::Str(s) => serde_json::from_str(s).unwrap_or(J::Null),
        v => v.to_json(),
    }
}
fn wrap(j: Option<J>) -> Value {
    match j {
        None | Some(J::Null) => Value::Null,
        Some(j) => Value::Dynamic(j),
    }
}
fn array(v: &Value) -> Option<Vec<J>> {
    match json(v) {
        J::Array(a) => Some(a),
        _ => None,
    }
}
fn member(a: &[Value]) -> Value {
    let j = json(&a[0]);
    match (&a[1], &j) {
        (Value::Long(i), J::Array(items)) => {
            let at = if *i < 0 { *i + items.len() as i64 } else { *i };
            wrap(usize::try_from(at).ok().and_then(|i| items.get(i).cloned()))
        }
        (Value::Str(_) | Value::Dynamic(J::String(_)), J::Object(m)) => {
            wrap(m.get(text(a, 1).as_ref()).cloned())
        }
        _ => Value::Null,
    }
}
fn bag(a: &[Value]) -> Value {
    let mut m = serde_json::Map::new();
    for pair in a.chunks_exact(2) {
        m.insert(pair[0].to_text(), pair[1].to_json());
    }
    Value::Dynamic(J::Object(m))
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!("member", (2, 2), to_dynamic, kql [], sumo [], |a, _| member(a), "Property by name or element by index (negative from the end); null where there is none."),
    function!("array_length", (1, 1), to_long, kql ["array_length", "arraylength"], sumo [], |a, _| array(&a[0]).map_or(Value::Null, |v| Value::Long(v.len() as i64)), "Elements of an array; null for anything else."),
    function!("pack_array", (0, ANY), to_dynamic, kql ["pack_array"], sumo [], |a, _| Value::Dynamic(a.iter().map(Value::to_json).collect()), "The arguments as an array."),
    function!("bag_pack", (0, ANY), to_dynamic, kql ["bag_pack", "pack", "pack_dictionary"], sumo [], |a, _| bag(a), "Alternating keys and values as a bag."),
    function!("bag_keys", (1, 1), to_dynamic, kql ["bag_keys"], sumo [], |a, _| match json(&a[0]) {
        J::Object(m) => Value::Dynamic(m.keys().map(|k| J::from(k.as_str())).collect()),
        _ => Value::Null,
    }, "Names of the properties of a bag."),
    function!("bag_has_key", (2, 2), to_bool, kql ["bag_has_key"], sumo [], |a, _| match json(&a[0]) {
        J::Object(m) => Value::Bool(m.contains_key(text(a, 1).as_ref())),
        _ => Value::Null,
    }, "Whether a bag has a property."),
    function!("set_has_element", (2, 2), to_bool, kql ["set_has_element"], sumo [], |a, _| array(&a[0]).map_or(Value::Null, |v| Value::Bool(v.contains(&a[1].to_json()))), "Whether an array holds a value."),
    function!("array_concat", (1, ANY), to_dynamic, kql ["array_concat"], sumo [], |a, _| Value::Dynamic(J::Array(a.iter().filter_map(array).flatten().collect())), "Arrays one after the other."),
    function!("array_slice", (3, 3), to_dynamic, kql ["array_slice"], sumo [], |a, _| match (array(&a[0]), a[1].as_i64(), a[2].as_i64()) {
        (Some(v), Some(s), Some(e)) => {
            let n = v.len() as i64;
            let at = |i: i64| (if i < 0 { n + i } else { i }).clamp(0, n);
            let (s, e) = (at(s), at(e).min(n - 1));
            Value::Dynamic(J::Array(if s > e { vec![] } else { v[s as usize..=e as usize].to_vec() }))
        }
        _ => Value::Null,
    }, "Elements from start to end, both included; negative from the end."),
    function!("strcat_array", (2, 2), to_string, kql ["strcat_array"], sumo [], |a, _| array(&a[0]).map_or(Value::str(""), |v| {
        Value::Str(v.into_iter().map(|j| Value::Dynamic(j).to_text()).collect::<Vec<_>>().join(&text(a, 1)))
    }), "Elements as text, joined."),
    function!("array_index_of", (2, 2), to_long, kql ["array_index_of"], sumo [], |a, _| array(&a[0]).map_or(Value::Null, |v| {
        let want = a[1].to_json();
        Value::Long(v.iter().position(|x| *x == want).map_or(-1, |i| i as i64))
    }), "Place of a value in an array, -1 if absent."),
    function!("array_sort_asc", (1, 1), to_dynamic, kql ["array_sort_asc"], sumo [], |a, _| array(&a[0]).map_or(Value::Null, |mut v| {
        v.sort_by(|x, y| super::compare::order(&Value::Dynamic(x.clone()).coerce_natural(), &Value::Dynamic(y.clone()).coerce_natural()).unwrap_or(std::cmp::Ordering::Equal));
        Value::Dynamic(J::Array(v))
    }), "An array in ascending order."),
];

impl Value {
    /// A dynamic scalar as the plain value that it holds.
    pub(crate) fn coerce_natural(self) -> Value {
        match self {
            Value::Dynamic(J::Null) => Value::Null,
            Value::Dynamic(J::Bool(b)) => Value::Bool(b),
            Value::Dynamic(J::String(s)) => Value::Str(s),
            Value::Dynamic(J::Number(n)) => {
                n.as_i64().map_or_else(|| Value::Real(n.as_f64().unwrap_or(f64::NAN)), Value::Long)
            }
            v => v,
        }
    }
}
