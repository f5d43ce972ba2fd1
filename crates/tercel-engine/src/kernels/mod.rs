//! Functions of the registry over Arrow columns.
//!
//! Every call becomes one [`Call`], a scalar function of DataFusion that owns its literal arguments.
//! Where a kernel for the function and the shape of its arguments exists, it runs; otherwise the
//! function's own `eval` does, row by row. Both are total: no input makes them fail, so it never
//! matters in which order, or how eagerly, DataFusion evaluates them.

mod cell;
mod pattern;
mod set;
mod term;
mod text;

use crate::EngineError;
use crate::values::{Builder, Cells, arrow_type, canonical};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray, StringViewBuilder};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Function, Type, Value};

/// An argument of a call: known when the plan is made, or a column of a type.
#[derive(Clone, Debug)]
pub enum Arg {
    Const(Value),
    Column(Type),
}

/// A faster way to run one call. Gets the arguments that are no literals, in order, as arrays of one
/// length, and must agree with the function's `eval` on every input.
pub(crate) trait Kernel: Send + Sync {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError>;
}

/// The kernel for a call, if there is one.
fn kernel_for(function: &Function, args: &[Arg], result: Type) -> Option<Box<dyn Kernel>> {
    let name = function.name;
    cell::kernel(name, args, result)
        .or_else(|| set::kernel(name, args))
        .or_else(|| text::kernel(name, args))
        .or_else(|| term::kernel(name, args))
        .or_else(|| pattern::kernel(name, args))
}

/// A call of a registry function with its literal arguments inside.
pub struct Call {
    function: &'static Function,
    args: Vec<Arg>,
    result: Type,
    context: Arc<Context>,
    kernel: Option<Box<dyn Kernel>>,
    /// Function and literals as text: what makes two calls the same.
    key: String,
    /// `key`, short enough for plans and error messages.
    name: String,
    signature: Signature,
}

impl Call {
    /// A call with the kernel for it, if there is one.
    pub fn new(function: &'static Function, args: Vec<Arg>, result: Type, context: Arc<Context>) -> Call {
        let kernel = kernel_for(function, &args, result);
        let mut call = Call::without_kernel(function, args, result, context);
        call.kernel = kernel;
        call
    }

    /// A call that runs row by row: what kernels are held to.
    pub fn without_kernel(
        function: &'static Function,
        args: Vec<Arg>,
        result: Type,
        context: Arc<Context>,
    ) -> Call {
        let key = format!("{}{args:?}->{result}", function.name);
        let columns = args.iter().filter(|a| matches!(a, Arg::Column(_))).count();
        // DataFusion tells expressions apart by name in places, so the name must tell literals apart.
        let mut hasher = std::hash::DefaultHasher::new();
        key.hash(&mut hasher);
        let name = format!("{}#{:016x}", function.name, hasher.finish());
        let signature = match columns {
            0 => Signature::nullary(Volatility::Immutable),
            n => Signature::any(n, Volatility::Immutable),
        };
        Call { function, args, result, context, kernel: None, key, name, signature }
    }

    /// Whether a kernel runs this call.
    pub fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// The results for columns of `rows` rows: the arguments that are no literals, in order.
    ///
    /// # Errors
    /// When the arrays are not of the types that the call was made for.
    pub fn run(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, EngineError> {
        match &self.kernel {
            Some(k) => k.run(columns),
            None => self.run_rows(columns, rows),
        }
    }

    fn run_rows(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, EngineError> {
        let mut next = columns.iter();
        let mut cells: Vec<Option<Cells<'_>>> = Vec::with_capacity(self.args.len());
        for a in &self.args {
            cells.push(match a {
                Arg::Const(_) => None,
                Arg::Column(ty) => {
                    let array =
                        next.next().ok_or_else(|| EngineError::internal("a call lacks an argument"))?;
                    Some(Cells::new(array.as_ref(), *ty)?)
                }
            });
        }
        let mut values: Vec<Value> =
            self.args.iter().map(|a| if let Arg::Const(v) = a { v.clone() } else { Value::Null }).collect();
        let mut out = Builder::new(self.result, rows);
        // Text repeats much within a batch (image paths, addresses, users): where one text column is
        // all that varies, each distinct text is evaluated once.
        if let [Some(Cells::Text(text) | Cells::Json(text))] =
            *cells.iter().filter(|c| c.is_some()).collect::<Vec<_>>()
        {
            let at = cells.iter().position(Option::is_some).unwrap_or(0);
            let mut seen: HashMap<Option<&str>, Value> = HashMap::new();
            for i in 0..rows {
                let key = text.is_valid(i).then(|| text.value(i));
                let v = seen.entry(key).or_insert_with(|| {
                    values[at] = cells[at].as_ref().map_or(Value::Null, |c| c.get(i));
                    canonical((self.function.eval)(&values, &self.context), self.result)
                });
                out.push(v.clone());
            }
            return Ok(out.finish());
        }
        for i in 0..rows {
            for (value, cell) in values.iter_mut().zip(&cells) {
                if let Some(c) = cell {
                    *value = c.get(i);
                }
            }
            out.push(canonical((self.function.eval)(&values, &self.context), self.result));
        }
        Ok(out.finish())
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}
impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        self.key == other.key
    }
}
impl Eq for Call {}
impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Call {
    fn name(&self) -> &str {
        &self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(arrow_type(self.result))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        // One row is enough when nothing varies.
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns: Vec<ArrayRef> =
            args.args.into_iter().map(|a| a.into_array(rows)).collect::<DfResult<_>>()?;
        let out = self.run(&columns, rows)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?)
        } else {
            ColumnarValue::Array(out)
        })
    }
}

/// Brings values of one type to another as [`Value::coerce`] does.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coerce {
    from: Type,
    to: Type,
    signature: Signature,
}

impl Coerce {
    pub(crate) fn new(from: Type, to: Type) -> Coerce {
        Coerce { from, to, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Coerce {
    fn name(&self) -> &str {
        self.to.as_str()
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(arrow_type(self.to))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        let Some(column) = args.args.into_iter().next() else {
            return Err(EngineError::internal("a cast lacks its argument").into());
        };
        Ok(ColumnarValue::Array(coerce_array(&column.into_array(rows)?, self.from, self.to)?))
    }
}

/// The array brought from one type to another.
pub(crate) fn coerce_array(array: &ArrayRef, from: Type, to: Type) -> Result<ArrayRef, EngineError> {
    if crate::values::same_form(from, to) {
        return Ok(array.clone());
    }
    let cells = Cells::new(array.as_ref(), from)?;
    let mut out = Builder::new(to, array.len());
    (0..array.len()).for_each(|i| out.push(canonical(cells.get(i), to)));
    Ok(out.finish())
}

// ---- shared by the kernels -----------------------------------------------------------------------

/// The arguments after the first, if the first is the only column and holds text (a dynamic counts as
/// its text: see [`text_column`]).
fn text_first(args: &[Arg]) -> Option<Vec<&Value>> {
    match args.split_first()? {
        (Arg::Column(Type::String | Type::Guid | Type::Dynamic), rest) => rest
            .iter()
            .map(|a| match a {
                Arg::Const(v) => Some(v),
                Arg::Column(_) => None,
            })
            .collect(),
        _ => None,
    }
}

/// Whether the text column of a call is a dynamic one.
fn dynamic(args: &[Arg]) -> bool {
    args.iter().any(|a| matches!(a, Arg::Column(Type::Dynamic)))
}

/// The text of the first column. JSON text of a dynamic is turned into what `Value::text` gives for it:
/// the contents of a string, the JSON of anything else.
fn text_column(columns: &[ArrayRef], dynamic: bool) -> Result<StringViewArray, EngineError> {
    let a = columns
        .first()
        .and_then(|c| c.as_string_view_opt())
        .ok_or_else(|| EngineError::internal("a text function met a column that is no text"))?;
    if !dynamic {
        return Ok(a.clone());
    }
    let mut b = StringViewBuilder::with_capacity(a.len());
    for s in a {
        match s.map(crate::values::json_value) {
            None | Some(Value::Null) => b.append_null(),
            Some(v) => b.append_value(v.text()),
        }
    }
    Ok(b.finish())
}

/// A predicate on one text column under which null counts as `""`.
struct TextTest<F> {
    dynamic: bool,
    test: F,
}

impl<F: Fn(&str, &mut Vec<u8>) -> bool + Send + Sync> Kernel for TextTest<F> {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = text_column(columns, self.dynamic)?;
        let mut scratch = Vec::new();
        let null = a.null_count() > 0 && (self.test)("", &mut scratch);
        if a.null_count() == a.len() {
            let bits = if null { BooleanBuffer::new_set(a.len()) } else { BooleanBuffer::new_unset(a.len()) };
            return Ok(Arc::new(BooleanArray::new(bits, None)));
        }
        // Events come in bursts: the same host, user or image again and again.
        let mut last: Option<(&str, bool)> = None;
        let bits = BooleanBuffer::collect_bool(a.len(), |i| {
            if a.is_null(i) {
                return null;
            }
            let s = a.value(i);
            match last {
                Some((seen, result)) if seen == s => result,
                _ => {
                    let result = (self.test)(s, &mut scratch);
                    last = Some((s, result));
                    result
                }
            }
        });
        Ok(Arc::new(BooleanArray::new(bits, None)))
    }
}

/// Boxes a predicate on text. The second argument of `test` is a buffer to work in.
fn text_test<F: Fn(&str, &mut Vec<u8>) -> bool + Send + Sync + 'static>(
    args: &[Arg],
    test: F,
) -> Option<Box<dyn Kernel>> {
    Some(Box::new(TextTest { dynamic: dynamic(args), test }))
}

/// The text folded as `tercel_ir::function::fold` does, for case-insensitive search: ASCII (nearly all
/// text) into the buffer without an allocation, the rest through `fold`.
enum Folded<'a> {
    Ascii(&'a [u8]),
    Other(String),
}

fn folded<'a>(s: &str, scratch: &'a mut Vec<u8>) -> Folded<'a> {
    if s.is_ascii() {
        scratch.clear();
        scratch.extend_from_slice(s.as_bytes());
        scratch.make_ascii_lowercase();
        Folded::Ascii(scratch)
    } else {
        Folded::Other(tercel_ir::function::fold(s))
    }
}

#[cfg(test)]
mod tests;
