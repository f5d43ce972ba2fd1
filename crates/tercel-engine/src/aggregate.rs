//! Aggregate functions of the registry as aggregate functions of DataFusion: the generic way, over the
//! registry's own accumulators. What DataFusion's functions compute exactly alike goes to those
//! instead (see `plan::aggregate`).

use crate::EngineError;
use crate::values::{Cells, arrow_type, scalar_of};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use tercel_ir::function::Accumulator as Rows;
use tercel_ir::{AggregateFunction, Type, Value};

use crate::kernels::Arg;

/// An aggregate of the registry with its literal arguments inside.
pub(crate) struct Aggregate {
    function: &'static AggregateFunction,
    args: Vec<Arg>,
    result: Type,
    key: String,
    signature: Signature,
}

impl Aggregate {
    pub(crate) fn new(function: &'static AggregateFunction, args: Vec<Arg>, result: Type) -> Aggregate {
        let key = format!("{}{args:?}->{result}", function.name);
        let columns = args.iter().filter(|a| matches!(a, Arg::Column(_))).count();
        let signature = match columns {
            0 => Signature::nullary(Volatility::Immutable),
            n => Signature::any(n, Volatility::Immutable),
        };
        Aggregate { function, args, result, key, signature }
    }
}

impl std::fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)
    }
}
impl PartialEq for Aggregate {
    fn eq(&self, other: &Aggregate) -> bool {
        self.key == other.key
    }
}
impl Eq for Aggregate {}
impl Hash for Aggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.function.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(arrow_type(self.result))
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DfResult<Vec<FieldRef>> {
        let name = format_state_name(args.name, "state");
        Ok([Arc::new(Field::new(name, DataType::Utf8, true))]
            .into_iter()
            .chain(args.ordering_fields.to_vec())
            .collect())
    }
    fn accumulator(&self, _: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        let types: Vec<Type> =
            self.args.iter().map(|a| if let Arg::Const(v) = a { v.ty() } else { arg_type(a) }).collect();
        let row =
            self.args.iter().map(|a| if let Arg::Const(v) = a { v.clone() } else { Value::Null }).collect();
        Ok(Box::new(State {
            rows: Mutex::new((self.function.new)(&types)),
            args: self.args.clone(),
            row,
            result: self.result,
            size: 0,
        }))
    }
    /// Where an order is asked for (a list after a sort) it must be kept; otherwise any will do.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::HardRequirement
    }
}

fn arg_type(a: &Arg) -> Type {
    match a {
        Arg::Const(v) => v.ty(),
        Arg::Column(t) => *t,
    }
}

/// One group.
struct State {
    /// DataFusion wants `Sync`; nobody ever waits for this lock.
    rows: Mutex<Box<dyn Rows>>,
    args: Vec<Arg>,
    /// The arguments of one row; literals stay in their places.
    row: Vec<Value>,
    result: Type,
    /// A rough count of the bytes held: those of every argument seen.
    size: usize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("args", &self.args).finish_non_exhaustive()
    }
}

impl State {
    fn rows(&mut self) -> &mut Box<dyn Rows> {
        match self.rows.get_mut() {
            Ok(r) => r,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let mut next = values.iter();
        let mut cells = Vec::with_capacity(self.args.len());
        let mut rows = 0;
        for a in &self.args {
            cells.push(match a {
                Arg::Const(_) => None,
                Arg::Column(ty) => {
                    let array =
                        next.next().ok_or_else(|| EngineError::internal("an aggregate lacks an argument"))?;
                    rows = array.len();
                    Some(Cells::new(array.as_ref(), *ty)?)
                }
            });
        }
        for i in 0..rows {
            for (k, cell) in cells.iter().enumerate() {
                if let Some(c) = cell {
                    self.row[k] = c.get(i);
                    if let Value::Str(s) = &self.row[k] {
                        self.size += s.len();
                    }
                    self.size += size_of::<Value>();
                }
            }
            let row = std::mem::take(&mut self.row);
            self.rows().update(&row);
            self.row = row;
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let v = self.rows().finish();
        Ok(scalar_of(self.result, &v))
    }
    fn size(&self) -> usize {
        // Most accumulators keep one value; lists and sets keep at most what they saw.
        size_of::<State>() + self.size
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let values = self.rows().state();
        Ok(vec![ScalarValue::Utf8(Some(encode(&values)))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let Some(texts) = states.first().and_then(|s| s.as_string_opt::<i32>()) else {
            return Err(EngineError::internal("an aggregate's state is no text").into());
        };
        for t in texts.iter().flatten() {
            self.size += t.len();
            let values =
                decode(t).ok_or_else(|| EngineError::internal("an aggregate's state cannot be read"))?;
            self.rows().merge(values);
        }
        Ok(())
    }
}

/// Values as JSON text that keeps their kinds: an array of one-letter kinds and contents in turn.
fn encode(values: &[Value]) -> String {
    let mut out: Vec<serde_json::Value> = Vec::with_capacity(values.len() * 2);
    for v in values {
        let (kind, j) = match v {
            Value::Null => ("n", serde_json::Value::Null),
            Value::Bool(b) => ("b", (*b).into()),
            Value::Long(n) => ("l", (*n).into()),
            // As bits: JSON has no NaN, and no digit may be lost.
            Value::Real(r) => ("r", r.to_bits().into()),
            Value::DateTime(t) => ("d", (*t).into()),
            Value::TimeSpan(t) => ("t", (*t).into()),
            Value::Str(s) => ("s", s.as_str().into()),
            // As text inside the text: nesting must not make it deeper than a parser allows.
            Value::Dynamic(j) => ("j", j.to_string().into()),
        };
        out.push(kind.into());
        out.push(j);
    }
    serde_json::Value::Array(out).to_string()
}

fn decode(text: &str) -> Option<Vec<Value>> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    list.chunks_exact(2)
        .map(|pair| {
            let j = &pair[1];
            Some(match pair[0].as_str()? {
                "n" => Value::Null,
                "b" => Value::Bool(j.as_bool()?),
                "l" => Value::Long(j.as_i64()?),
                "r" => Value::Real(f64::from_bits(j.as_u64()?)),
                "d" => Value::DateTime(j.as_i64()?),
                "t" => Value::TimeSpan(j.as_i64()?),
                "s" => Value::Str(j.as_str()?.to_owned()),
                "j" => crate::values::json_value(j.as_str()?),
                _ => return None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_keeps_kinds() {
        let values = vec![
            Value::Null,
            Value::Bool(false),
            Value::Long(i64::MIN),
            Value::Real(-0.0),
            Value::Real(f64::INFINITY),
            Value::DateTime(1),
            Value::TimeSpan(-1),
            Value::str("a\"\u{0}"),
            Value::Dynamic(serde_json::json!([1.5, "x"])),
        ];
        assert_eq!(decode(&encode(&values)), Some(values));
        assert_eq!(decode("nonsense"), None);
    }
}
