//! SQL over the same tables and views, as DataFusion speaks it.

use crate::plan::{Planner, column};
use crate::prepare::{Physical, settle, with_stack};
use crate::query::QueryOutcome;
use crate::run::{Event, run};
use crate::scan::Feeds;
use crate::source::DataSource;
use crate::values::{arrow_schema, arrow_type};
use crate::{EngineError, Options, session};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringViewBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Result as DfResult, TableReference};
use datafusion::config::Dialect;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_ir::diag::nearest;
use tercel_ir::{Catalog, Column, Name, Rel, Type};

/// The zone of timestamps in SQL, as an offset so that no table of zones is needed.
const UTC: &str = "+00:00";

/// Runs a `SELECT` over the relations of the catalog. Names are case-sensitive; those with other characters
/// than letters, digits and `_` stand in double quotes. Points in time are timestamps with microseconds,
/// spans of time are ticks of 100 ns (BIGINT), dynamic values JSON text.
///
/// # Errors
/// When the text is no single query over known tables, or as [`crate::query`].
pub fn sql(
    text: &str,
    catalog: &dyn Catalog,
    source: &dyn DataSource,
    options: &Options,
    each: &mut dyn FnMut(&[Column], &RecordBatch) -> ControlFlow<()>,
) -> Result<QueryOutcome, EngineError> {
    let context = session(&options.session)?;
    let state = context.state();
    let (statement, tables) = with_stack(|| {
        let statement = state.sql_to_statement(text, &Dialect::default())?;
        let tables = state.resolve_table_references(&statement)?;
        Ok::<_, EngineError>((statement, tables))
    })??;
    let mut names: Vec<TableReference> = Vec::new();
    let mut rels: Vec<Rel> = Vec::new();
    for t in tables.into_iter().filter(|t| t.schema().is_none()) {
        let name = t.table().to_owned();
        match catalog.relation(&name) {
            Some(Ok(rel)) => {
                names.push(TableReference::bare(name));
                rels.push(rel);
            }
            Some(Err(d)) => return Err(EngineError::new(d.code, d.message)),
            None => {
                let known = catalog.names();
                let hint = match nearest(&name, known.iter().map(String::as_str)) {
                    Some(n) => format!("; did you mean \"{n}\"?"),
                    None => String::new(),
                };
                return Err(EngineError::new(
                    "unknown-table",
                    format!("there is no table or view {name}{hint}"),
                ));
            }
        }
    }
    let (drafts, now) = settle(rels, source, &context, options);
    let mut missing: Vec<Name> = Vec::new();
    for (name, draft) in names.into_iter().zip(drafts) {
        if let Some(e) = draft.error {
            return Err(e);
        }
        missing.extend(draft.missing.into_iter().filter(|t| !missing.contains(t)).collect::<Vec<_>>());
        let plan = with_stack(|| exposed(&draft.rel, options))??;
        context.register_table(name, Arc::new(ViewTable::new(plan, None)))?;
    }
    let state = context.state();
    let prepared = with_stack(|| {
        let plan = futures::executor::block_on(state.statement_to_plan(statement))?;
        // Nothing that writes, defines or sets.
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        Physical::new(&context).plan(&plan)
    })??;
    let fields = prepared.schema();
    let mut columns: Vec<Column> = Vec::with_capacity(fields.fields().len());
    for f in fields.fields() {
        // SQL may give two columns one name (`a.n, b.n`); as keys of an object one would hide the other.
        let mut name = f.name().clone();
        let mut again = 1;
        while columns.iter().any(|c| *c.name == name) {
            name = format!("{}_{again}", f.name());
            again += 1;
        }
        columns.push(Column::new(name, type_of(f.data_type())));
    }
    let mut failed = None;
    run(vec![prepared], source, options.session.batch_rows, options.threads, &mut |_, event| {
        let batch = match event {
            Event::Batch(b) => normal(&b, &columns),
            Event::Failed(e) => Err(e),
        };
        match batch {
            Ok(b) => each(&columns, &b),
            Err(e) => {
                failed = Some(e);
                ControlFlow::Break(())
            }
        }
    })?;
    match failed {
        Some(e) => Err(e),
        None => Ok(QueryOutcome { columns, missing_tables: missing, never: false, now }),
    }
}

/// The relation as SQL sees it: points in time as timestamps.
fn exposed(rel: &Rel, options: &Options) -> Result<LogicalPlan, EngineError> {
    let mut planner = Planner { tables: &mut Feeds, context: options.context.clone() };
    let plan = planner.root(rel)?;
    let out: Vec<DfExpr> = rel
        .schema
        .columns
        .iter()
        .map(|c| {
            let e = column(&c.name);
            match c.ty {
                Type::DateTime => {
                    let f = Arc::new(ScalarUDF::new_from_impl(Timestamp::new()));
                    DfExpr::ScalarFunction(ScalarFunction::new_udf(f, vec![e])).alias(&*c.name)
                }
                _ => e,
            }
        })
        .collect();
    if out.is_empty() {
        return Ok(plan);
    }
    Ok(LogicalPlanBuilder::from(plan).project(out)?.build()?)
}

/// Ticks as a timestamp.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Timestamp(Signature);
impl Timestamp {
    fn new() -> Timestamp {
        Timestamp(Signature::exact(vec![DataType::Int64], Volatility::Immutable))
    }
}
impl ScalarUDFImpl for Timestamp {
    fn name(&self) -> &str {
        "ticks_to_timestamp"
    }
    fn signature(&self) -> &Signature {
        &self.0
    }
    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let ticks = args.args.into_iter().next().map(|a| a.into_array(args.number_rows)).transpose()?;
        let Some(ticks) = ticks.as_ref().and_then(|a| a.as_primitive_opt::<Int64Type>()) else {
            return Err(EngineError::internal("a point in time is no number").into());
        };
        let out =
            ticks.unary::<_, TimestampMicrosecondType>(tercel_ir::time::to_unix_micros).with_timezone(UTC);
        Ok(ColumnarValue::Array(Arc::new(out)))
    }
}

/// The type under which a column of SQL's result is shown.
fn type_of(t: &DataType) -> Type {
    use DataType::*;
    match t {
        Boolean => Type::Bool,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 => Type::Long,
        // Not all of them fit a long.
        UInt64 | Float16 | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..)
        | Decimal256(..) => Type::Real,
        Timestamp(..) | Date32 | Date64 => Type::DateTime,
        Duration(_) => Type::TimeSpan,
        List(_) | LargeList(_) | FixedSizeList(..) | Struct(_) | Map(..) => Type::Dynamic,
        Dictionary(_, v) => type_of(v),
        _ => Type::String,
    }
}

fn normal(batch: &RecordBatch, columns: &[Column]) -> Result<RecordBatch, EngineError> {
    let arrays = batch
        .columns()
        .iter()
        .zip(columns)
        .map(|(a, c)| normal_array(a, c.ty))
        .collect::<Result<Vec<_>, EngineError>>()?;
    let schema = arrow_schema(columns.iter().map(|c| (&*c.name, c.ty)));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(|e| EngineError::internal(e.to_string()))
}

/// An array of SQL's result as one of the type that `ty` travels as.
fn normal_array(array: &ArrayRef, ty: Type) -> Result<ArrayRef, EngineError> {
    let error = |e: datafusion::arrow::error::ArrowError| EngineError::new("execution", e.to_string());
    match ty {
        Type::DateTime => {
            let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None)).map_err(error)?;
            let out: Int64Array =
                micros.as_primitive::<TimestampMicrosecondType>().unary(tercel_ir::time::from_unix_micros);
            Ok(Arc::new(out))
        }
        Type::TimeSpan => {
            let micros = cast(array, &DataType::Duration(TimeUnit::Microsecond)).map_err(error)?;
            let micros = cast(&micros, &DataType::Int64).map_err(error)?;
            let out: Int64Array = micros.as_primitive::<Int64Type>().unary(|n| n.saturating_mul(10));
            Ok(Arc::new(out))
        }
        Type::Dynamic => {
            let mut out = StringViewBuilder::with_capacity(array.len());
            for i in 0..array.len() {
                match json(array, i)? {
                    serde_json::Value::Null => out.append_null(),
                    v => out.append_value(v.to_string()),
                }
            }
            Ok(Arc::new(out.finish()))
        }
        Type::String => match array.data_type() {
            DataType::Utf8View => Ok(array.clone()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Dictionary(..) | DataType::Null => {
                cast(array, &DataType::Utf8View).map_err(error)
            }
            _ => {
                let format = FormatOptions::default();
                let texts = ArrayFormatter::try_new(array.as_ref(), &format).map_err(error)?;
                let mut out = StringViewBuilder::with_capacity(array.len());
                for i in 0..array.len() {
                    out.append_option(array.is_valid(i).then(|| texts.value(i).to_string()));
                }
                Ok(Arc::new(out.finish()))
            }
        },
        ty => cast(array, &arrow_type(ty)).map_err(error),
    }
}

/// One cell of a nested array as JSON.
fn json(array: &ArrayRef, i: usize) -> Result<serde_json::Value, EngineError> {
    if array.is_null(i) {
        return Ok(serde_json::Value::Null);
    }
    let list = |items: ArrayRef| (0..items.len()).map(|k| json(&items, k)).collect::<Result<Vec<_>, _>>();
    Ok(match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(i))?.into(),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(i))?.into(),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(i))?.into(),
        DataType::Struct(fields) => {
            let s = array.as_struct();
            let mut out = serde_json::Map::new();
            for (f, c) in fields.iter().zip(s.columns()) {
                out.insert(f.name().clone(), json(c, i)?);
            }
            out.into()
        }
        DataType::Map(..) => {
            let entries: ArrayRef = Arc::new(array.as_map().value(i));
            list(entries)?.into()
        }
        t => {
            let ty = type_of(t);
            let one = normal_array(&array.slice(i, 1), ty)?;
            crate::values::Cells::new(one.as_ref(), ty)?.get(0).to_json()
        }
    })
}
