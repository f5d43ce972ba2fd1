//! `summarize`, `distinct`, `count`.

use super::names::{self, Namer, natural};
use super::scalar::is_null;
use super::{Context, Failed, Lowered, Lowerer, Rows};
use crate::ast::{self, Call, ExprKind as Ast, NamedExpr, Step, Summarize};
use std::collections::HashSet;
use tercel_ir::rel::Aggregation;
use tercel_ir::{Diagnostic, Expr, Name, Span, Type, Value, function};

/// How an aggregate of the language maps to the registry: its name there, whether the second argument
/// is a condition.
fn known(name: &str) -> Option<(&'static str, bool)> {
    Some(match name {
        "count" => ("count", false),
        "countif" => ("count", true),
        "dcount" | "count_distinct" => ("dcount", false),
        "dcountif" | "count_distinctif" => ("dcount", true),
        "sum" => ("sum", false),
        "sumif" => ("sum", true),
        "avg" => ("avg", false),
        "avgif" => ("avg", true),
        "min" => ("min", false),
        "minif" => ("min", true),
        "max" => ("max", false),
        "maxif" => ("max", true),
        "make_set" | "makeset" => ("make_set", false),
        "make_set_if" => ("make_set", true),
        "make_list" | "makelist" => ("make_list", false),
        "make_list_if" => ("make_list", true),
        "take_any" | "any" => ("take_any", false),
        "take_anyif" | "anyif" => ("take_any", true),
        "arg_max" | "argmax" => ("arg_max", false),
        "arg_min" | "argmin" => ("arg_min", false),
        "make_bag" => ("make_bag", false),
        "make_bag_if" => ("make_bag", true),
        "percentile" => ("percentile", false),
        "stdev" => ("stdev", false),
        "stdevif" => ("stdev", true),
        "variance" => ("variance", false),
        "varianceif" => ("variance", true),
        _ => return None,
    })
}

/// Aggregates of the language, supported or not.
const OTHERS: &[&str] = &[
    "binary_all_and",
    "binary_all_or",
    "binary_all_xor",
    "buildschema",
    "covariance",
    "covarianceif",
    "covariancep",
    "covariancepif",
    "hll",
    "hll_if",
    "hll_merge",
    "make_dictionary",
    "make_list_with_nulls",
    "merge_tdigest",
    "percentiles",
    "percentiles_array",
    "percentilesw",
    "percentilesw_array",
    "percentilew",
    "stdevp",
    "tdigest",
    "tdigest_merge",
    "variancep",
    "variancepif",
];

pub(super) fn is_aggregate(name: &str) -> bool {
    known(name).is_some() || OTHERS.contains(&name)
}

/// What `summarize` puts out, in order.
enum Output {
    /// An aggregate's own column.
    Column(Name),
    /// A value computed from aggregates.
    Computed(Name, ast::Expr),
}

impl Lowerer<'_> {
    /// An aggregation by its registry name; reports what does not fit.
    pub(super) fn aggregation(
        &mut self,
        name: &str,
        args: Vec<Expr>,
        filter: Option<Expr>,
        span: Span,
    ) -> Option<Aggregation> {
        let Some(f) = function::aggregate_by_name(name) else {
            self.error("unsupported-function", format!("aggregate `{name}` is not supported yet"), span);
            return None;
        };
        let types: Vec<Type> = args.iter().map(|a| a.ty).collect();
        match f.result_type(&types) {
            Ok(ty) => Some(Aggregation { function: f, args, filter, ty }),
            Err(why) => {
                self.report(
                    Diagnostic::error("type-mismatch", format!("`{name}`: {why}"))
                        .at(span)
                        .help("cast the argument first, for example with tolong(…)"),
                );
                None
            }
        }
    }

    pub(super) fn count_rows(&mut self, name: &str, rows: Rows, span: Span) -> Lowered<Rows> {
        let a = self.aggregation("count", Vec::new(), None, span).ok_or(Failed)?;
        Ok(rows.shaped(|r| r.aggregate(Vec::new(), vec![(name.into(), a)], span)))
    }

    pub(super) fn distinct(&mut self, columns: &[ast::Expr], rows: Rows, span: Span) -> Lowered<Rows> {
        let mut keys: Vec<(Name, Expr)> = Vec::new();
        let mut namer = Namer::default();
        for e in columns {
            match &e.node {
                Ast::Star => {
                    for c in &rows.rel.schema.columns {
                        let key = self.never_null(Expr::column(c.name.clone(), c.ty, e.span));
                        keys.push((c.name.clone(), key));
                    }
                }
                Ast::Wildcard(w) => {
                    for c in rows.rel.schema.columns.iter().filter(|c| names::wildcard_matches(w, &c.name)) {
                        let key = self.never_null(Expr::column(c.name.clone(), c.ty, e.span));
                        keys.push((namer.unique(&c.name), key));
                    }
                }
                _ => {
                    let key = self.scalar(e, Context::row(&rows));
                    let key = self.never_null(key);
                    let name = match natural(e) {
                        Some(n) => namer.unique(&n),
                        None => namer.column(),
                    };
                    keys.push((name, key));
                }
            }
        }
        Ok(rows.shaped(|r| r.aggregate(keys, Vec::new(), span)))
    }

    pub(super) fn summarize(&mut self, s: &Summarize, rows: Rows, span: Span) -> Lowered<Rows> {
        if let Some(b) = &s.bin {
            self.error("unsupported-parameter", "the old `bin=` of `summarize` is not supported yet", b.span);
            return Err(Failed);
        }
        let mut namer = Namer::default();
        let mut keys: Vec<(Name, Expr)> = Vec::new();
        for k in &s.by {
            let value = self.scalar(&k.value, Context::row(&rows));
            let value = self.never_null(value);
            let name = match (k.names.as_slice(), natural(&k.value)) {
                ([one, ..], _) => namer.unique(&one.node),
                ([], Some(n)) => namer.unique(&n),
                ([], None) => namer.column(),
            };
            keys.push((name, value));
        }
        let key_columns: HashSet<Name> =
            keys.iter().filter_map(|(n, e)| bare_column(e).filter(|c| *c == n).map(|_| n.clone())).collect();
        let mut collected = Collected { aggregations: Vec::new(), namer, hidden: 0, keys: key_columns };
        let mut outputs = Vec::new();
        for item in &s.aggregates {
            self.aggregate_item(item, &rows, &mut collected, &mut outputs);
        }
        let key_names: Vec<(Name, Type)> = keys.iter().map(|(n, e)| (n.clone(), e.ty)).collect();
        let aggregations = collected.aggregations;
        let out = rows.shaped(|r| r.aggregate(keys, aggregations, span));
        if outputs.iter().all(|o| matches!(o, Output::Column(_))) {
            return Ok(out);
        }
        let mut columns: Vec<(Name, Expr)> =
            key_names.into_iter().map(|(n, ty)| (n.clone(), Expr::column(n, ty, span))).collect();
        for o in outputs {
            match o {
                Output::Column(n) => {
                    let ty = out.column(&n).unwrap_or(Type::Dynamic);
                    columns.push((n.clone(), Expr::column(n, ty, span)));
                }
                Output::Computed(n, e) => {
                    let value = self.scalar(&e, Context::row(&out));
                    columns.push((n, value));
                }
            }
        }
        Ok(out.shaped(|r| r.project(columns, span)))
    }

    fn aggregate_item(
        &mut self,
        item: &NamedExpr,
        rows: &Rows,
        into: &mut Collected,
        outputs: &mut Vec<Output>,
    ) {
        if let Ast::Call(c) = &item.value.node
            && is_aggregate(&c.name.node)
            && !self.is_user_function(&c.name.node)
        {
            for name in self.aggregate_call(c, &item.names, item.value.span, rows, into) {
                outputs.push(Output::Column(name));
            }
            return;
        }
        // A value of aggregates: each gets a hidden column, the value is computed behind.
        let mut value = item.value.clone();
        self.extract(&mut value, rows, into);
        let name = match (item.names.as_slice(), natural_of_aggregates(&item.value)) {
            ([one, ..], _) => into.namer.unique(&one.node),
            ([], Some(n)) => into.namer.unique(&n),
            ([], None) => into.namer.column(),
        };
        if item.names.len() > 1 {
            self.error(
                "unsupported-operator",
                "several names for one value are not supported here",
                item.names[1].span,
            );
        }
        outputs.push(Output::Computed(name, value));
    }

    fn is_user_function(&self, name: &str) -> bool {
        self.lookup(name).is_some()
    }

    /// Replaces every aggregate call in `e` by the name of a hidden column.
    fn extract(&mut self, e: &mut ast::Expr, rows: &Rows, into: &mut Collected) {
        if let Ast::Call(c) = &e.node
            && is_aggregate(&c.name.node)
            && !self.is_user_function(&c.name.node)
        {
            into.hidden += 1;
            let hidden = ast::Node::new(Name::from(format!("$aggregate{}", into.hidden)), c.name.span);
            let span = e.span;
            let c = c.clone();
            // `arg_max(a, b)` inside a larger expression would be several values.
            let names = self.aggregate_call(&c, &[hidden], span, rows, into);
            e.node = match names.as_slice() {
                [one] => Ast::Name(one.clone()),
                [] => Ast::Literal(ast::Literal::Dynamic(Box::new(ast::Node::new(ast::Json::Null, span)))),
                _ => {
                    self.error(
                        "misplaced-aggregate",
                        format!("`{}` gives several columns here", c.name.node),
                        span,
                    );
                    Ast::Name(names[0].clone())
                }
            };
            return;
        }
        match &mut e.node {
            Ast::Sign { operand, .. } => self.extract(operand, rows, into),
            Ast::Or(v) | Ast::And(v) => v.iter_mut().for_each(|i| self.extract(i, rows, into)),
            Ast::Arithmetic { first, rest } => {
                self.extract(first, rows, into);
                rest.iter_mut().for_each(|(_, i)| self.extract(i, rows, into));
            }
            Ast::Compare { left, right, .. } | Ast::StringOp { left, right, .. } => {
                self.extract(left, rows, into);
                self.extract(right, rows, into);
            }
            Ast::List { left, items, .. } => {
                self.extract(left, rows, into);
                items.iter_mut().for_each(|i| self.extract(i, rows, into));
            }
            Ast::Between { value, low, high, .. } => {
                for i in [value, low, high] {
                    self.extract(i, rows, into);
                }
            }
            Ast::Path { base, steps } => {
                self.extract(base, rows, into);
                for s in steps {
                    if let Step::Index(i) = s {
                        self.extract(i, rows, into);
                    }
                }
            }
            Ast::Call(c) if &*c.name.node != "toscalar" => {
                c.arguments.iter_mut().for_each(|a| self.extract(&mut a.value, rows, into));
            }
            _ => {}
        }
    }

    /// One aggregate call; gives the columns it makes.
    fn aggregate_call(
        &mut self,
        c: &Call,
        given: &[ast::Ident],
        span: Span,
        rows: &Rows,
        into: &mut Collected,
    ) -> Vec<Name> {
        let name = &*c.name.node;
        let Some((registry, conditional)) =
            known(name).filter(|(r, _)| function::aggregate_by_name(r).is_some())
        else {
            self.report(
                Diagnostic::error("unsupported-function", format!("aggregate `{name}` is not supported yet"))
                    .at(c.name.span)
                    .label("this call cannot run"),
            );
            return Vec::new();
        };
        match registry {
            "arg_max" | "arg_min" => return self.arg_extreme(registry, c, given, span, rows, into),
            "take_any"
                if c.arguments.len() > 1 && !conditional
                    || matches!(c.arguments.first(), Some(a) if matches!(a.value.node, Ast::Star)) =>
            {
                return self.take_several(c, given, span, rows, into);
            }
            _ => {}
        }
        let cx = Context::row(rows);
        let mut args = Vec::new();
        let mut filter = None;
        let condition_at = if registry == "count" { 0 } else { 1 };
        for (i, a) in c.arguments.iter().enumerate() {
            if conditional && i == condition_at {
                filter = Some(self.condition(&a.value, cx));
            } else if !matches!(a.value.node, Ast::Star) {
                args.push(self.scalar(&a.value, cx));
            }
        }
        let least = usize::from(registry != "count") + usize::from(conditional);
        if c.arguments.len() < least {
            self.error("bad-arguments", format!("`{name}` needs {least} argument(s)"), span);
            return Vec::new();
        }
        match registry {
            // `count(x)` counts rows.
            "count" => args.clear(),
            // The accuracy of an estimate; the count is exact here.
            "dcount" => args.truncate(1),
            "make_set" | "make_list" if matches!(name, "makeset" | "makelist") && args.len() == 1 => {
                // The old names stop at 128.
                args.push(Expr::literal(Value::Long(128), span));
            }
            _ => {}
        }
        let args = args
            .into_iter()
            .map(|a| {
                let a =
                    if is_null(&a) && a.ty == Type::Dynamic { Expr::null(Type::String, a.span) } else { a };
                if matches!(registry, "dcount" | "make_set" | "make_list" | "min" | "max") {
                    self.never_null(a)
                } else {
                    a
                }
            })
            .collect();
        let Some(aggregation) = self.aggregation(registry, args, filter, span) else { return Vec::new() };
        let column = match given.first() {
            Some(n) => into.namer.unique(&n.node),
            None => match names::aggregate(c) {
                Some(n) => into.namer.unique(&n),
                None => into.namer.column(),
            },
        };
        into.aggregations.push((column.clone(), aggregation));
        vec![column]
    }

    /// `arg_max(a, *)`, `arg_max(a, b, c)`: the maximum and what stood in its row.
    fn arg_extreme(
        &mut self,
        registry: &str,
        c: &Call,
        given: &[ast::Ident],
        span: Span,
        rows: &Rows,
        into: &mut Collected,
    ) -> Vec<Name> {
        let Some((by, rest)) = c.arguments.split_first() else {
            self.error("bad-arguments", format!("`{}` needs an argument", c.name.node), span);
            return Vec::new();
        };
        let cx = Context::row(rows);
        let key = self.scalar(&by.value, cx);
        let mut wanted: Vec<(Option<Name>, Expr)> = vec![(natural(&by.value), key.clone())];
        for a in rest {
            if matches!(a.value.node, Ast::Star) {
                for column in &rows.rel.schema.columns {
                    let is_key = into.keys.contains(&column.name) || key.as_column() == Some(&column.name);
                    if !is_key {
                        let e = Expr::column(column.name.clone(), column.ty, a.value.span);
                        wanted.push((Some(column.name.clone()), e));
                    }
                }
                continue;
            }
            let e = self.scalar(&a.value, cx);
            wanted.push((a.name.as_ref().map(|n| n.node.clone()).or_else(|| natural(&a.value)), e));
        }
        let mut out = Vec::new();
        for (i, (natural, value)) in wanted.into_iter().enumerate() {
            let Some(a) = self.aggregation(registry, vec![key.clone(), value], None, span) else { continue };
            let column = match (given.get(i), natural) {
                (Some(n), _) => into.namer.unique(&n.node),
                (None, Some(n)) => into.namer.unique(&n),
                (None, None) => into.namer.column(),
            };
            into.aggregations.push((column.clone(), a));
            out.push(column);
        }
        out
    }

    /// `take_any(*)`, `take_any(a, b)`: all from one row.
    fn take_several(
        &mut self,
        c: &Call,
        given: &[ast::Ident],
        span: Span,
        rows: &Rows,
        into: &mut Collected,
    ) -> Vec<Name> {
        let mut wanted: Vec<(Option<Name>, Expr)> = Vec::new();
        for a in &c.arguments {
            if matches!(a.value.node, Ast::Star) {
                for column in rows.rel.schema.columns.iter().filter(|x| !into.keys.contains(&x.name)) {
                    wanted.push((
                        Some(column.name.clone()),
                        Expr::column(column.name.clone(), column.ty, a.value.span),
                    ));
                }
            } else {
                let e = self.scalar(&a.value, Context::row(rows));
                wanted.push((natural(&a.value), e));
            }
        }
        let mut out = Vec::new();
        for (i, (natural, value)) in wanted.into_iter().enumerate() {
            let Some(a) = self.aggregation("first", vec![value], None, span) else { continue };
            let natural =
                natural.map(|n| if &*c.name.node == "any" { Name::from(format!("any_{n}")) } else { n });
            let column = match (given.get(i), natural) {
                (Some(n), _) => into.namer.unique(&n.node),
                (None, Some(n)) => into.namer.unique(&n),
                (None, None) => into.namer.column(),
            };
            into.aggregations.push((column.clone(), a));
            out.push(column);
        }
        out
    }
}

/// Aggregations gathered so far.
struct Collected {
    aggregations: Vec<(Name, Aggregation)>,
    namer: Namer,
    hidden: usize,
    /// Columns that are keys under their own names; `*` leaves them out.
    keys: HashSet<Name>,
}

/// A bare column, also behind the `tostring` that makes a missing string empty.
fn bare_column(e: &Expr) -> Option<&Name> {
    match &e.kind {
        tercel_ir::ExprKind::Call(f, args) if f.name == "tostring" => args.first()?.as_column(),
        _ => e.as_column(),
    }
}

/// `round(avg(x), 2)` is named like its aggregate.
fn natural_of_aggregates(e: &ast::Expr) -> Option<Name> {
    let Ast::Call(c) = &e.node else { return None };
    if is_aggregate(&c.name.node) {
        return names::aggregate(c);
    }
    let passes = matches!(
        &*c.name.node,
        "tostring"
            | "toint"
            | "tolong"
            | "todouble"
            | "toreal"
            | "tobool"
            | "todatetime"
            | "bin"
            | "round"
            | "abs"
    );
    if passes { natural_of_aggregates(&c.arguments.first()?.value) } else { None }
}
