//! Membership in lists of literals.

use super::{Arg, Folded, Kernel, folded, text_first, text_test};
use crate::EngineError;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::Int64Type;
use std::collections::HashSet;
use std::sync::Arc;
use tercel_ir::function::fold;
use tercel_ir::{Type, Value};

/// `in` on a text column.
struct TextIn(HashSet<Box<str>>);
impl Kernel for TextIn {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = super::text_column(columns, false)?;
        let bits = BooleanBuffer::collect_bool(a.len(), |i| a.is_valid(i) && self.0.contains(a.value(i)));
        Ok(Arc::new(BooleanArray::new(bits, None)))
    }
}

/// `in` on a column that travels as integers.
struct IntIn(HashSet<i64>);
impl Kernel for IntIn {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = columns
            .first()
            .and_then(|c| c.as_primitive_opt::<Int64Type>())
            .ok_or_else(|| EngineError::internal("an integer list met a column that is no integer"))?;
        let bits = BooleanBuffer::collect_bool(a.len(), |i| a.is_valid(i) && self.0.contains(&a.value(i)));
        Ok(Arc::new(BooleanArray::new(bits, None)))
    }
}

fn constants(args: &[Arg]) -> Option<(Type, Vec<&Value>)> {
    let (Arg::Column(ty), rest) = args.split_first()? else { return None };
    let rest =
        rest.iter().map(|a| if let Arg::Const(v) = a { Some(v) } else { None }).collect::<Option<_>>()?;
    Some((*ty, rest))
}

/// The texts that equal a member of the list; `None` when a member is of another kind than text (the
/// row-by-row way knows what that means).
fn texts(list: &[&Value]) -> Option<HashSet<Box<str>>> {
    let mut set = HashSet::new();
    for v in list {
        match v {
            Value::Str(s) => {
                set.insert(s.as_str().into());
            }
            Value::Dynamic(serde_json::Value::Array(items)) => {
                for i in items {
                    set.insert(Value::Dynamic(i.clone()).text().into());
                }
            }
            _ => return None,
        }
    }
    Some(set)
}

fn integers(list: &[&Value], ty: Type) -> Option<HashSet<i64>> {
    list.iter()
        .map(|v| match (v, ty) {
            (Value::Long(n), Type::Int | Type::Long)
            | (Value::DateTime(n), Type::DateTime)
            | (Value::TimeSpan(n), Type::TimeSpan) => Some(*n),
            _ => None,
        })
        .collect()
}

pub(super) fn kernel(name: &str, args: &[Arg]) -> Option<Box<dyn Kernel>> {
    match name {
        "in" => {
            let (ty, list) = constants(args)?;
            match ty {
                Type::String | Type::Guid => Some(Box::new(TextIn(texts(&list)?))),
                Type::Int | Type::Long | Type::DateTime | Type::TimeSpan => {
                    Some(Box::new(IntIn(integers(&list, ty)?)))
                }
                _ => None,
            }
        }
        "in_ci" => {
            let mut set: HashSet<Box<str>> = HashSet::new();
            for v in text_first(args)? {
                match v {
                    Value::Dynamic(serde_json::Value::Array(items)) => {
                        set.extend(items.iter().map(|i| fold(&Value::Dynamic(i.clone()).text()).into()));
                    }
                    v => {
                        set.insert(fold(&v.text()).into());
                    }
                }
            }
            text_test(args, move |s, scratch| match folded(s, scratch) {
                Folded::Ascii(h) => std::str::from_utf8(h).is_ok_and(|h| set.contains(h)),
                Folded::Other(h) => set.contains(h.as_str()),
            })
        }
        _ => None,
    }
}
