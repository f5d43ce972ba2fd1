//! Aggregate functions. As for scalars, the row-at-a-time accumulator is the meaning.

use crate::function::compare::order;
use crate::types::Type;
use crate::value::Value;
use std::cmp::Ordering;
use std::collections::HashSet;

/// State of one group. `update` sees the arguments of one row; rows come in input order.
pub trait Accumulator: Send {
    fn update(&mut self, args: &[Value]);
    /// Takes over what another accumulator of the same function has seen, as if those rows came after.
    fn merge(&mut self, state: Vec<Value>);
    /// What `merge` of another needs.
    fn state(&mut self) -> Vec<Value>;
    fn finish(&mut self) -> Value;
}

/// An aggregate function.
pub struct AggregateFunction {
    pub name: &'static str,
    pub doc: &'static str,
    pub signature: super::Signature,
    pub arity: (usize, usize),
    pub kql: &'static [&'static str],
    pub sumo: &'static [&'static str],
    /// A fresh accumulator for arguments of these types.
    pub new: fn(&[Type]) -> Box<dyn Accumulator>,
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl AggregateFunction {
    /// As for scalar functions.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn result_type(&self, args: &[Type]) -> Result<Type, String> {
        let (min, max) = self.arity;
        if args.len() < min || args.len() > max {
            return Err(format!("{} takes {min} to {max} argument(s), {} given", self.name, args.len()));
        }
        (self.signature)(args)
    }
}

/// By registry name.
pub fn aggregate_by_name(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.iter().find(|f| f.name == name)
}
/// By a KQL name.
pub fn aggregate_by_kql(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.iter().find(|f| f.kql.contains(&name))
}
/// By a Sumo Logic name, any case.
pub fn aggregate_by_sumo(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.iter().find(|f| f.sumo.iter().any(|s| s.eq_ignore_ascii_case(name)))
}
/// All aggregate functions.
pub fn all_aggregates() -> &'static [AggregateFunction] {
    AGGREGATES
}

/// Kusto's own cap on the length of lists and sets; beyond it elements are dropped, as documented.
const LIST_CAP: usize = 1 << 20;

#[derive(Default)]
struct Count(i64);
impl Accumulator for Count {
    fn update(&mut self, _: &[Value]) {
        self.0 += 1;
    }
    fn merge(&mut self, s: Vec<Value>) {
        self.0 += s.first().and_then(Value::as_i64).unwrap_or(0);
    }
    fn state(&mut self) -> Vec<Value> {
        vec![Value::Long(self.0)]
    }
    fn finish(&mut self) -> Value {
        Value::Long(self.0)
    }
}

/// Counts rows whose argument is not null.
#[derive(Default)]
struct CountValues(Count);
impl Accumulator for CountValues {
    fn update(&mut self, a: &[Value]) {
        if a.iter().all(|v| !v.is_null()) {
            self.0.update(a);
        }
    }
    fn merge(&mut self, s: Vec<Value>) {
        self.0.merge(s);
    }
    fn state(&mut self) -> Vec<Value> {
        self.0.state()
    }
    fn finish(&mut self) -> Value {
        self.0.finish()
    }
}

struct Sum {
    int: i64,
    real: f64,
    count: i64,
    ty: Type,
    average: bool,
}
impl Accumulator for Sum {
    fn update(&mut self, a: &[Value]) {
        let Some(f) = a[0].as_f64().or(a[0].as_i64().map(|n| n as f64)).filter(|f| !f.is_nan()) else {
            return;
        };
        self.count += 1;
        self.real += f;
        self.int = self.int.wrapping_add(a[0].as_i64().unwrap_or(0));
    }
    fn merge(&mut self, s: Vec<Value>) {
        self.int = self.int.wrapping_add(s[0].as_i64().unwrap_or(0));
        self.real += s[1].as_f64().unwrap_or(0.0);
        self.count += s[2].as_i64().unwrap_or(0);
    }
    fn state(&mut self) -> Vec<Value> {
        vec![Value::Long(self.int), Value::Real(self.real), Value::Long(self.count)]
    }
    fn finish(&mut self) -> Value {
        let real = if self.average { self.real / self.count as f64 } else { self.real };
        if self.average && self.count == 0 {
            return Value::Null;
        }
        match self.ty {
            Type::TimeSpan if self.average => Value::TimeSpan(real as i64),
            Type::DateTime => Value::DateTime(real as i64),
            Type::TimeSpan => Value::TimeSpan(self.int),
            t if t.is_integer() && !self.average => Value::Long(self.int),
            _ => Value::Real(real),
        }
    }
}

/// Keeps the least or greatest first argument, and what came with it.
struct Extreme {
    want: Ordering,
    best: Option<Vec<Value>>,
    /// Index of the argument that is the answer.
    answer: usize,
}
impl Accumulator for Extreme {
    fn update(&mut self, a: &[Value]) {
        if !a[0].is_null() && self.best.as_ref().is_none_or(|b| order(&a[0], &b[0]) == Some(self.want)) {
            self.best = Some(a.to_vec());
        }
    }
    fn merge(&mut self, s: Vec<Value>) {
        if !s.is_empty() {
            self.update(&s);
        }
    }
    fn state(&mut self) -> Vec<Value> {
        self.best.clone().unwrap_or_default()
    }
    fn finish(&mut self) -> Value {
        self.best.as_ref().and_then(|b| b.get(self.answer).cloned()).unwrap_or_default()
    }
}

/// Distinct values, in order of first appearance.
struct Set {
    seen: HashSet<String>,
    list: Vec<serde_json::Value>,
    cap: usize,
    /// What the answer is: the number of values or the values.
    count: bool,
    /// Whether `""` counts as a value (it does in Sumo Logic's counts, not in KQL's sets: there null does not).
    flatten: bool,
}
impl Set {
    fn add(&mut self, j: serde_json::Value) {
        if self.list.len() < self.cap && self.seen.insert(j.to_string()) {
            self.list.push(if self.count { serde_json::Value::Null } else { j });
        }
    }
}
impl Accumulator for Set {
    fn update(&mut self, a: &[Value]) {
        // Of a count, the second argument is an accuracy, which says nothing: the count is exact.
        if let Some(n) = a.get(1).and_then(Value::as_i64)
            && !self.count
        {
            self.cap = (n.max(0) as usize).min(LIST_CAP);
        }
        match &a[0] {
            Value::Null | Value::Dynamic(serde_json::Value::Null) => {}
            Value::Dynamic(serde_json::Value::Array(items)) if self.flatten => {
                items.iter().for_each(|i| self.add(i.clone()));
            }
            v => self.add(v.to_json()),
        }
    }
    fn merge(&mut self, s: Vec<Value>) {
        for v in s {
            if let Value::Str(t) = v
                && let Ok(j) = serde_json::from_str(&t)
            {
                self.add(j);
            }
        }
    }
    fn state(&mut self) -> Vec<Value> {
        if self.count {
            return self.seen.drain().map(Value::Str).collect();
        }
        self.list.iter().map(|j| Value::Str(j.to_string())).collect()
    }
    fn finish(&mut self) -> Value {
        if self.count {
            Value::Long(self.list.len() as i64)
        } else {
            Value::Dynamic(std::mem::take(&mut self.list).into())
        }
    }
}

struct List {
    list: Vec<serde_json::Value>,
    cap: usize,
}
impl Accumulator for List {
    fn update(&mut self, a: &[Value]) {
        if let Some(n) = a.get(1).and_then(Value::as_i64) {
            self.cap = (n.max(0) as usize).min(LIST_CAP);
        }
        if self.list.len() < self.cap && !a[0].is_null() {
            self.list.push(a[0].to_json());
        }
    }
    fn merge(&mut self, s: Vec<Value>) {
        for v in s {
            self.update(&[v]);
        }
    }
    fn state(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.list).into_iter().map(Value::Dynamic).collect()
    }
    fn finish(&mut self) -> Value {
        Value::Dynamic(std::mem::take(&mut self.list).into())
    }
}

/// First (or last) value; `prefer` skips null and `""` while anything else may come.
struct Pick {
    value: Value,
    any: bool,
    last: bool,
    prefer: bool,
}
impl Accumulator for Pick {
    fn update(&mut self, a: &[Value]) {
        let empty = self.prefer && (a[0].is_null() || a[0] == Value::Str(String::new()));
        if self.last
            || !self.any
            || (self.prefer && (self.value.is_null() || self.value == Value::Str(String::new())) && !empty)
        {
            self.value = a[0].clone();
            self.any = true;
        }
    }
    fn merge(&mut self, s: Vec<Value>) {
        if !s.is_empty() {
            self.update(&s);
        }
    }
    fn state(&mut self) -> Vec<Value> {
        if self.any { vec![self.value.clone()] } else { vec![] }
    }
    fn finish(&mut self) -> Value {
        std::mem::take(&mut self.value)
    }
}

/// Sumo's `values`: distinct texts, sorted, newline-joined, at most 100.
struct Values(Set);
impl Accumulator for Values {
    fn update(&mut self, a: &[Value]) {
        self.0.update(&a[..1]);
    }
    fn merge(&mut self, s: Vec<Value>) {
        self.0.merge(s);
    }
    fn state(&mut self) -> Vec<Value> {
        self.0.state()
    }
    fn finish(&mut self) -> Value {
        let mut texts: Vec<String> =
            self.0.list.iter().map(|j| Value::Dynamic(j.clone()).to_text()).collect();
        texts.sort();
        texts.truncate(100);
        Value::Str(texts.join("\n"))
    }
}

fn set(count: bool, flatten: bool, cap: usize) -> Set {
    Set { seen: HashSet::new(), list: Vec::new(), cap, count, flatten }
}
fn first_type(t: &[Type]) -> Result<Type, String> {
    Ok(t[0])
}
fn sum_type(t: &[Type]) -> Result<Type, String> {
    match t[0] {
        t if t.is_integer() => Ok(Type::Long),
        Type::Real | Type::TimeSpan => Ok(t[0]),
        Type::Dynamic => Ok(Type::Real),
        t => Err(format!("expects a number, not {t}")),
    }
}
fn avg_type(t: &[Type]) -> Result<Type, String> {
    match t[0] {
        Type::TimeSpan | Type::DateTime => Ok(t[0]),
        t if t.is_number() || t == Type::Dynamic => Ok(Type::Real),
        t => Err(format!("expects a number, not {t}")),
    }
}

static AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        name: "count",
        doc: "Rows.",
        signature: super::to_long,
        arity: (0, 0),
        kql: &["count"],
        sumo: &[],
        new: |_| Box::<Count>::default(),
    },
    AggregateFunction {
        name: "count_values",
        doc: "Rows in which the argument is not null.",
        signature: super::to_long,
        arity: (1, 1),
        kql: &[],
        sumo: &["count"],
        new: |_| Box::<CountValues>::default(),
    },
    AggregateFunction {
        name: "sum",
        doc: "Sum; nulls are skipped; 0 over nothing.",
        signature: sum_type,
        arity: (1, 1),
        kql: &["sum"],
        sumo: &["sum"],
        new: |t| Box::new(Sum { int: 0, real: 0.0, count: 0, ty: t[0], average: false }),
    },
    AggregateFunction {
        name: "avg",
        doc: "Mean; nulls are skipped; null over nothing.",
        signature: avg_type,
        arity: (1, 1),
        kql: &["avg"],
        sumo: &["avg"],
        new: |t| Box::new(Sum { int: 0, real: 0.0, count: 0, ty: t[0], average: true }),
    },
    AggregateFunction {
        name: "min",
        doc: "Least value; nulls are skipped.",
        signature: first_type,
        arity: (1, 1),
        kql: &["min"],
        sumo: &["min"],
        new: |_| Box::new(Extreme { want: Ordering::Less, best: None, answer: 0 }),
    },
    AggregateFunction {
        name: "max",
        doc: "Greatest value; nulls are skipped.",
        signature: first_type,
        arity: (1, 1),
        kql: &["max"],
        sumo: &["max"],
        new: |_| Box::new(Extreme { want: Ordering::Greater, best: None, answer: 0 }),
    },
    AggregateFunction {
        name: "arg_max",
        doc: "(key, value): the value of the row with the greatest key that is not null.",
        signature: |t| Ok(t[1]),
        arity: (2, 2),
        kql: &[],
        sumo: &[],
        new: |_| Box::new(Extreme { want: Ordering::Greater, best: None, answer: 1 }),
    },
    AggregateFunction {
        name: "arg_min",
        doc: "(key, value): the value of the row with the least key that is not null.",
        signature: |t| Ok(t[1]),
        arity: (2, 2),
        kql: &[],
        sumo: &[],
        new: |_| Box::new(Extreme { want: Ordering::Less, best: None, answer: 1 }),
    },
    AggregateFunction {
        name: "dcount",
        doc: "Distinct values that are not null, counted exactly.",
        signature: super::to_long,
        arity: (1, 2),
        kql: &["dcount", "count_distinct"],
        sumo: &["count_distinct"],
        new: |_| Box::new(set(true, false, usize::MAX)),
    },
    AggregateFunction {
        name: "make_set",
        doc: "Array of the distinct values; arrays are opened, nulls skipped.",
        signature: super::to_dynamic,
        arity: (1, 2),
        kql: &["make_set", "makeset"],
        sumo: &[],
        new: |_| Box::new(set(false, true, LIST_CAP)),
    },
    AggregateFunction {
        name: "make_list",
        doc: "Array of the values that are not null.",
        signature: super::to_dynamic,
        arity: (1, 2),
        kql: &["make_list", "makelist"],
        sumo: &[],
        new: |_| Box::new(List { list: vec![], cap: LIST_CAP }),
    },
    AggregateFunction {
        name: "take_any",
        doc: "Any value; one that is not empty if there is one.",
        signature: first_type,
        arity: (1, 1),
        kql: &["take_any", "any"],
        sumo: &[],
        new: |_| Box::new(Pick { value: Value::Null, any: false, last: false, prefer: true }),
    },
    AggregateFunction {
        name: "first",
        doc: "The first value in input order.",
        signature: first_type,
        arity: (1, 1),
        kql: &[],
        sumo: &["first"],
        new: |_| Box::new(Pick { value: Value::Null, any: false, last: false, prefer: false }),
    },
    AggregateFunction {
        name: "last",
        doc: "The last value in input order.",
        signature: first_type,
        arity: (1, 1),
        kql: &[],
        sumo: &["last"],
        new: |_| Box::new(Pick { value: Value::Null, any: false, last: true, prefer: false }),
    },
    AggregateFunction {
        name: "values",
        doc: "Distinct values as text, sorted, one a line, at most 100.",
        signature: super::to_string,
        arity: (1, 1),
        kql: &[],
        sumo: &["values"],
        new: |_| Box::new(Values(set(false, false, LIST_CAP))),
    },
];
