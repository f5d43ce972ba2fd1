//! The one table of functions: every scalar and aggregate function with its meaning, its signature and
//! its name in each language. Binding, completion, conversion, documentation and the support list read it.
//!
//! `eval` is the meaning, one row at a time. The engine may have a faster kernel for a function; it must
//! agree with `eval` on every input.
//!
//! Null rules, unless a function's `doc` says otherwise:
//! - string functions and string predicates take a null string as `""` and give no null;
//! - comparisons are two-valued where exactly one side is null: `eq` false, `ne` true; both null: null.
//!   `lt le gt ge` with a null are null;
//! - arithmetic, time and IP functions give null when an argument is null or unfit.

mod aggregate;
mod compare;
mod convert;
mod dynamic;
mod network;
mod number;
mod pattern;
mod string;
mod time;

pub use aggregate::{
    Accumulator, AggregateFunction, aggregate_by_kql, aggregate_by_name, aggregate_by_sumo, all_aggregates,
};
pub use pattern::{
    check_regex, compile_regex, forget_regexes, glob_to_regex, has_term, regex_finds_nothing,
    remembered_regex, sumo_anchor_regex,
};
pub use string::{base64_decode, base64_encode, basename, fold};

use crate::types::Type;
use crate::value::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// What a function may ask about its surroundings.
#[derive(Clone, Default)]
pub struct Context {
    /// The MMDB database of `geo_info_from_ip_address`; without it the function gives null.
    pub geo: Option<Arc<maxminddb::Reader<Vec<u8>>>>,
}

/// The result type for argument types, or why they do not fit.
pub type Signature = fn(&[Type]) -> Result<Type, String>;
/// The meaning on one row.
pub type Eval = fn(&[Value], &Context) -> Value;

/// A scalar function.
pub struct Function {
    /// Registry name.
    pub name: &'static str,
    /// One or two sentences: what it gives, and its null rule where special.
    pub doc: &'static str,
    pub signature: Signature,
    /// Least and greatest number of arguments.
    pub arity: (usize, usize),
    /// Names in KQL, the usual one first; operators (`=~`, `has`) are names too. Empty: KQL lacks it.
    pub kql: &'static [&'static str],
    /// Names in Sumo Logic (lower case; compared ignoring case).
    pub sumo: &'static [&'static str],
    pub eval: Eval,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Function {
    /// Checks the number and types of arguments.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn result_type(&self, args: &[Type]) -> Result<Type, String> {
        let (min, max) = self.arity;
        if args.len() < min || args.len() > max {
            let want = match (min, max) {
                (a, b) if a == b => format!("{a}"),
                (a, usize::MAX) => format!("at least {a}"),
                (a, b) => format!("{a} to {b}"),
            };
            return Err(format!("{} takes {want} argument(s), {} given", self.name, args.len()));
        }
        (self.signature)(args)
    }
}

static ALL: LazyLock<Vec<&'static Function>> = LazyLock::new(|| {
    [
        compare::FUNCTIONS,
        string::FUNCTIONS,
        pattern::FUNCTIONS,
        convert::FUNCTIONS,
        number::FUNCTIONS,
        time::FUNCTIONS,
        dynamic::FUNCTIONS,
        network::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .collect()
});

type Index = HashMap<String, &'static Function>;
static BY_NAME: LazyLock<Index> = LazyLock::new(|| ALL.iter().map(|f| (f.name.to_string(), *f)).collect());
static BY_KQL: LazyLock<Index> =
    LazyLock::new(|| ALL.iter().flat_map(|f| f.kql.iter().map(|n| (n.to_string(), *f))).collect());
static BY_SUMO: LazyLock<Index> =
    LazyLock::new(|| ALL.iter().flat_map(|f| f.sumo.iter().map(|n| (n.to_string(), *f))).collect());

/// All scalar functions.
pub fn all() -> &'static [&'static Function] {
    &ALL
}
/// By registry name.
pub fn by_name(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}
/// By a KQL name or operator (exact).
pub fn by_kql(name: &str) -> Option<&'static Function> {
    BY_KQL.get(name).copied()
}
/// By a Sumo Logic name (any case).
pub fn by_sumo(name: &str) -> Option<&'static Function> {
    BY_SUMO.get(&name.to_ascii_lowercase()).copied()
}

// ---- shared by the tables ------------------------------------------------------------------------

pub(crate) const ANY: usize = usize::MAX;

/// A `Function` in one line.
macro_rules! function {
    ($name:literal, $arity:expr, $sig:expr, kql $kql:expr, sumo $sumo:expr, $eval:expr, $doc:literal) => {
        $crate::function::Function {
            name: $name,
            doc: $doc,
            signature: $sig,
            arity: $arity,
            kql: &$kql,
            sumo: &$sumo,
            eval: $eval,
        }
    };
}
pub(crate) use function;

pub(crate) fn to_bool(_: &[Type]) -> Result<Type, String> {
    Ok(Type::Bool)
}
pub(crate) fn to_string(_: &[Type]) -> Result<Type, String> {
    Ok(Type::String)
}
pub(crate) fn to_long(_: &[Type]) -> Result<Type, String> {
    Ok(Type::Long)
}
pub(crate) fn to_real(_: &[Type]) -> Result<Type, String> {
    Ok(Type::Real)
}
pub(crate) fn to_dynamic(_: &[Type]) -> Result<Type, String> {
    Ok(Type::Dynamic)
}
pub(crate) fn to_datetime(_: &[Type]) -> Result<Type, String> {
    Ok(Type::DateTime)
}
/// Bool over arguments that are all strings (or dynamics, read as text).
pub(crate) fn string_predicate(t: &[Type]) -> Result<Type, String> {
    match t.iter().find(|t| !matches!(t, Type::String | Type::Guid | Type::Dynamic)) {
        None => Ok(Type::Bool),
        Some(t) => Err(format!("expects text, not {t}")),
    }
}
/// The text of argument `i`; `""` when absent or null.
pub(crate) fn text(a: &[Value], i: usize) -> std::borrow::Cow<'_, str> {
    a.get(i).map_or("".into(), Value::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let count = |names: Vec<&str>| {
            let mut s = names.clone();
            s.sort_unstable();
            s.dedup();
            assert_eq!(s.len(), names.len(), "a name stands twice: {names:?}");
        };
        count(all().iter().map(|f| f.name).collect());
        count(all().iter().flat_map(|f| f.kql.iter().copied()).collect());
        count(all().iter().flat_map(|f| f.sumo.iter().copied()).collect());
    }

    #[test]
    fn no_function_panics_on_odd_values() {
        let odd = [
            Value::Null,
            Value::Bool(true),
            Value::Long(i64::MIN),
            Value::Long(0),
            Value::Real(f64::NAN),
            Value::Real(1e300),
            Value::DateTime(0),
            Value::DateTime(crate::time::MAX),
            Value::TimeSpan(i64::MIN),
            Value::TimeSpan(0),
            Value::str(""),
            Value::str("é*\\(["),
            Value::Dynamic(serde_json::json!([1, {"a": null}])),
        ];
        let ctx = Context::default();
        for f in all() {
            for a in &odd {
                for b in &odd {
                    let args = [a.clone(), b.clone(), a.clone(), b.clone()];
                    for n in f.arity.0..=f.arity.1.min(4) {
                        let _ = (f.eval)(&args[..n], &ctx);
                    }
                }
            }
        }
    }
}
