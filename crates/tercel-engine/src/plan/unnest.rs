//! One row an element of an array.

use super::expr::coerce;
use super::{Env, Need, Planned, Planner, Result, column};
use crate::EngineError;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Builder, ListBuilder, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column as DfColumn, Result as DfResult, UnnestOptions};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr as DfExpr, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use std::sync::Arc;
use tercel_ir::{Name, Rel, Type};

/// The elements of the JSON texts of several columns as an Arrow list, all lists of a row equally long.
///
/// The number of elements is the greatest over the columns (a null counts one), so that DataFusion's
/// unnest, which takes lists apart side by side, needs no rule of its own for lists of unequal length.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Elements {
    /// Which column's elements; `None`: their places, from 0.
    of: Option<usize>,
    columns: usize,
    signature: Signature,
}

impl Elements {
    fn new(of: Option<usize>, columns: usize) -> Elements {
        Elements { of, columns, signature: Signature::any(columns, Volatility::Immutable) }
    }
}

/// The elements of one JSON text: of an array its elements, of a bag one bag a property, of anything
/// else the value itself. `None` for null.
fn elements(text: Option<&str>) -> Option<Vec<Option<String>>> {
    let v = crate::values::json_value(text?);
    let tercel_ir::Value::Dynamic(j) = v else { return None };
    Some(match j {
        serde_json::Value::Array(items) => {
            items.into_iter().map(|i| if i.is_null() { None } else { Some(i.to_string()) }).collect()
        }
        serde_json::Value::Object(m) => m
            .into_iter()
            .map(|(k, v)| Some(serde_json::Value::Object([(k, v)].into_iter().collect()).to_string()))
            .collect(),
        v => vec![Some(v.to_string())],
    })
}

impl ScalarUDFImpl for Elements {
    fn name(&self) -> &str {
        if self.of.is_some() { "elements" } else { "places" }
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        let item = if self.of.is_some() { DataType::Utf8View } else { DataType::Int64 };
        Ok(DataType::List(Arc::new(Field::new_list_field(item, true))))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        let columns: Vec<ArrayRef> =
            args.args.into_iter().map(|a| a.into_array(rows)).collect::<DfResult<_>>()?;
        let texts: Vec<_> = columns
            .iter()
            .map(|c| {
                c.as_string_view_opt()
                    .ok_or_else(|| EngineError::internal("an array to expand is no JSON text"))
            })
            .collect::<std::result::Result<_, _>>()?;
        let mut strings = ListBuilder::new(StringViewBuilder::new());
        let mut places = ListBuilder::new(Int64Builder::new());
        for row in 0..rows {
            let mut lists: Vec<Option<Vec<Option<String>>>> =
                texts.iter().map(|t| elements(t.is_valid(row).then(|| t.value(row)))).collect();
            let n = lists.iter().map(|l| l.as_ref().map_or(1, Vec::len)).max().unwrap_or(0);
            match self.of {
                Some(k) => {
                    let mut list = lists[k].take().unwrap_or_default().into_iter();
                    for _ in 0..n {
                        strings.values().append_option(list.next().flatten());
                    }
                    strings.append(true);
                }
                None => {
                    (0..n).for_each(|i| places.values().append_value(i as i64));
                    places.append(true);
                }
            }
        }
        let out: ArrayRef =
            if self.of.is_some() { Arc::new(strings.finish()) } else { Arc::new(places.finish()) };
        Ok(ColumnarValue::Array(out))
    }
}

impl Planner<'_> {
    pub(super) fn unnest(
        &mut self,
        rel: &Rel,
        input: &Rel,
        columns: &[Name],
        index: Option<&Name>,
        need: &Need,
    ) -> Result<Planned> {
        let mut inner = Need::default();
        for (name, ty) in need.iter().filter(|(n, _)| index != Some(n)) {
            inner.add(name.clone(), *ty);
        }
        // Every array counts for the number of rows, wanted or not.
        for c in columns {
            inner.add(c.clone(), input.schema.get(c).map_or(Type::Dynamic, |c| c.ty));
        }
        let i = self.rel(input, &inner)?;
        if columns.is_empty() {
            return Ok(i);
        }
        let arrays: Vec<DfExpr> = columns
            .iter()
            .map(|c| {
                let have = i.env.type_of(c).unwrap_or(Type::Dynamic);
                // Text that holds JSON is read as JSON, as `.` on such a column is.
                let form = if have == Type::String { Type::Dynamic } else { have };
                Ok(coerce(i.env.get(c, have)?, form, Type::Dynamic))
            })
            .collect::<Result<_>>()?;
        let call = |of: Option<usize>| {
            let f = ScalarUDF::new_from_impl(Elements::new(of, columns.len()));
            DfExpr::ScalarFunction(ScalarFunction::new_udf(Arc::new(f), arrays.clone()))
        };
        let mut below = Vec::new();
        let mut lists: Vec<DfColumn> = Vec::new();
        let mut out = Vec::new();
        let mut env: Vec<(Name, Type)> = Vec::new();
        for (n, (name, have)) in i.env.columns().enumerate() {
            if columns.contains(&name) || index == Some(&name) || !need.has(&name) {
                continue;
            }
            below.push(i.env.get(&name, have)?.alias(format!("c{n}")));
            out.push(column(&format!("c{n}")).alias(&*name));
            env.push((name, have));
        }
        for (k, name) in columns.iter().enumerate() {
            below.push(call(Some(k)).alias(format!("e{k}")));
            lists.push(DfColumn::from_name(format!("e{k}")));
            let ty = rel.schema.get(name).map_or(Type::Dynamic, |c| c.ty);
            out.push(coerce(column(&format!("e{k}")), Type::Dynamic, ty).alias(&**name));
            env.push((name.clone(), ty));
        }
        if let Some(name) = index {
            below.push(call(None).alias("place"));
            lists.push(DfColumn::from_name("place"));
            out.push(column("place").alias(&**name));
            env.push((name.clone(), Type::Long));
        }
        let plan = LogicalPlanBuilder::from(i.plan)
            .project(below)?
            .unnest_columns_with_options(lists, UnnestOptions::new())?
            .project(out)?
            .build()?;
        Ok(Planned { plan, env: Env::of(env) })
    }
}
