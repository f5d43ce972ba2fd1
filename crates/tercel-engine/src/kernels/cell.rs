//! Emptiness, first value that is not empty, and simple changes of text.

use super::{Arg, Kernel, dynamic, text_column, text_first};
use crate::EngineError;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewBuilder};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::interleave;
use std::borrow::Cow;
use std::sync::Arc;
use tercel_ir::function::basename;
use tercel_ir::{Type, Value};

/// Whether a text is null or what `test` says of it (`not`: the opposite).
struct Empty {
    dynamic: bool,
    blank: bool,
    not: bool,
}
impl Kernel for Empty {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = text_column(columns, self.dynamic)?;
        let empty = |s: &str| if self.blank { s.trim().is_empty() } else { s.is_empty() };
        let bits = BooleanBuffer::collect_bool(a.len(), |i| (a.is_null(i) || empty(a.value(i))) != self.not);
        Ok(Arc::new(BooleanArray::new(bits, None)))
    }
}

/// A text made from a text; null counts as `""`.
struct Map {
    dynamic: bool,
    map: fn(&str) -> Cow<'_, str>,
}
impl Kernel for Map {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = text_column(columns, self.dynamic)?;
        let mut out = StringViewBuilder::with_capacity(a.len());
        for s in &a {
            out.append_value((self.map)(s.unwrap_or("")));
        }
        Ok(Arc::new(out.finish()))
    }
}

fn lower(s: &str) -> Cow<'_, str> {
    match s.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
        false => s.into(),
        true if s.is_ascii() => s.to_ascii_lowercase().into(),
        true => s.to_lowercase().into(),
    }
}
fn upper(s: &str) -> Cow<'_, str> {
    match s.bytes().any(|b| b.is_ascii_lowercase() || !b.is_ascii()) {
        false => s.into(),
        true if s.is_ascii() => s.to_ascii_uppercase().into(),
        true => s.to_uppercase().into(),
    }
}

/// The first argument that is neither null nor `""`, else the last. All of one type; texts of views
/// are chosen, not copied.
struct Coalesce {
    ty: Type,
    /// A literal stands here as an array of one row, a column as `None`.
    args: Vec<Option<ArrayRef>>,
}
impl Kernel for Coalesce {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let mut next = columns.iter();
        let mut arrays: Vec<&ArrayRef> = Vec::with_capacity(self.args.len());
        for a in &self.args {
            let array = match a {
                Some(literal) => literal,
                None => next.next().ok_or_else(|| EngineError::internal("a call lacks an argument"))?,
            };
            arrays.push(array);
        }
        let rows = columns.first().map_or(0, |c| c.len());
        let text = matches!(self.ty, Type::String | Type::Guid);
        let row = |k: usize, i: usize| if self.args[k].is_some() { 0 } else { i };
        let filled = |k: usize, i: usize| {
            let (a, i) = (arrays[k], row(k, i));
            a.is_valid(i) && (!text || a.as_string_view_opt().is_none_or(|t| !t.value(i).is_empty()))
        };
        let last = arrays.len() - 1;
        let pick: Vec<(usize, usize)> = (0..rows)
            .map(|i| {
                let k = (0..last).find(|k| filled(*k, i)).unwrap_or(last);
                (k, row(k, i))
            })
            .collect();
        let refs: Vec<&dyn Array> = arrays.iter().map(|a| a.as_ref()).collect();
        interleave(&refs, &pick).map_err(|e| EngineError::internal(e.to_string()))
    }
}

fn coalesce(args: &[Arg], result: Type) -> Option<Box<dyn Kernel>> {
    let ty = args.iter().find_map(|a| if let Arg::Column(t) = a { Some(*t) } else { None })?;
    if !crate::values::same_form(ty, result) {
        return None;
    }
    let mut list = Vec::with_capacity(args.len());
    for a in args {
        list.push(match a {
            Arg::Column(t) if *t == ty => None,
            // A literal of another type, or a dynamic one, is a matter of casts: row by row.
            Arg::Const(v) if v.is_null() || v.ty() == ty && ty != Type::Dynamic => {
                Some(crate::values::array_of(ty, [v.clone()]))
            }
            _ => return None,
        });
    }
    Some(Box::new(Coalesce { ty, args: list }))
}

pub(super) fn kernel(name: &str, args: &[Arg], result: Type) -> Option<Box<dyn Kernel>> {
    if name == "coalesce" {
        return coalesce(args, result);
    }
    let rest: Vec<&Value> = text_first(args)?;
    if !rest.is_empty() {
        return None;
    }
    let dynamic = dynamic(args);
    let map =
        |map: fn(&str) -> Cow<'_, str>| -> Option<Box<dyn Kernel>> { Some(Box::new(Map { dynamic, map })) };
    match name {
        "isempty" => Some(Box::new(Empty { dynamic, blank: false, not: false })),
        "isnotempty" => Some(Box::new(Empty { dynamic, blank: false, not: true })),
        "isblank" => Some(Box::new(Empty { dynamic, blank: true, not: false })),
        "tolower" => map(lower),
        "toupper" => map(upper),
        "basename" => map(|s| basename(s).into()),
        _ => None,
    }
}
