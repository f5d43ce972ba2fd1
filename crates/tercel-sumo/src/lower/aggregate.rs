//! `count, sum(x) as y by a, b`.

use std::sync::Arc;

use tercel_ir::function::{aggregate_by_name, aggregate_by_sumo};
use tercel_ir::rel::Aggregation;
use tercel_ir::{Diagnostic, Expr, Span, Type};

use super::expr::{number, peel, plain, text};
use super::{Lowerer, R, call, text_literal};
use crate::ast::{self, Aggregate, GroupKey};

impl Lowerer<'_> {
    pub fn aggregate(&mut self, items: &[Aggregate], by: &[GroupKey], span: Span) -> R<()> {
        if items.iter().any(|i| matches!(i.function.text.as_str(), "first" | "last")) {
            self.newest_first(span);
        }
        let mut keys: Vec<(tercel_ir::Name, Expr)> = Vec::with_capacity(by.len());
        for k in by {
            let (name, e) = match &k.expr.kind {
                ast::ExprKind::Field(n) => {
                    let e = self.field(n);
                    let name = e.as_column().cloned().unwrap_or_else(|| self.target(n));
                    (name, e)
                }
                _ => (Arc::from(crate::print::print_expr(&k.expr).as_str()), self.value(&k.expr)?),
            };
            let name = k.alias.as_ref().map_or(name, |a| Arc::from(a.text.as_str()));
            if keys.iter().any(|(n, _)| *n == name) {
                continue;
            }
            keys.push((name, e));
        }
        let mut aggregations: Vec<(tercel_ir::Name, Aggregation)> = Vec::with_capacity(items.len());
        let mut failed = false;
        for item in items {
            match self.aggregation(item) {
                Ok((name, a)) => {
                    let taken = |n: &str| {
                        keys.iter().any(|(k, _)| &**k == n) || aggregations.iter().any(|(k, _)| &**k == n)
                    };
                    let mut unique = name.clone();
                    let mut n = 2;
                    while taken(&unique) {
                        unique = format!("{name}_{n}");
                        n += 1;
                    }
                    aggregations.push((Arc::from(unique.as_str()), a));
                }
                Err(_) => failed = true,
            }
        }
        if failed {
            return Err(super::Refused);
        }
        self.apply_drops(span);
        self.map(|r| r.aggregate(keys, aggregations, span));
        self.visible = None;
        self.json = None;
        self.ordered = true;
        Ok(())
    }

    fn aggregation(&mut self, item: &Aggregate) -> R<(String, Aggregation)> {
        let span = item.function.at.0;
        let f = item.function.text.as_str();
        let default = match f {
            "count_frequent" => "_approxcount".to_owned(),
            _ => format!("_{f}"),
        };
        let name = item.alias.as_ref().map_or(default, |a| a.text.clone());
        for a in &item.args {
            // `pct(f, 95)`: a number is no field, and need not be.
            let plain = matches!(
                a.kind,
                ast::ExprKind::Field(_) | ast::ExprKind::Template(_) | ast::ExprKind::Number(_)
            );
            if !plain {
                self.report(
                    Diagnostic::warning(
                        "sumo-aggregate-expression",
                        format!("`{f}` takes a field, not an expression"),
                    )
                    .at(a.at.0)
                    .meaning("the service rejects this query; here the expression is computed for every row")
                    .help("compute it in a stage of its own: `| … as value`, then aggregate `value`"),
                );
            }
        }
        if matches!(f, "most_recent" | "least_recent") {
            return self.by_time(item, name, span);
        }
        let mut args = Vec::with_capacity(item.args.len());
        for a in &item.args {
            args.push(self.value(a)?);
        }
        let (function, args) = match f {
            "count" if args.is_empty() => ("count", args),
            "count" => ("count_values", vec![args.remove(0)]),
            "sum" | "avg" | "min" | "max" if args.len() == 1 => (f, vec![number(args.remove(0))]),
            "count_distinct" if args.len() == 1 => ("dcount", vec![args.remove(0)]),
            "count_distinct" if args.len() > 1 => {
                let mut all = vec![text_literal("\u{1f}", span)];
                all.extend(args.into_iter().map(|a| peel(text(a)).value));
                ("dcount", vec![call("strcat_delim", all, span)])
            }
            "first" | "last" if args.len() == 1 => (f, args),
            "values" if args.len() == 1 => ("values", vec![text(args.remove(0))]),
            _ => match aggregate_by_sumo(f) {
                Some(found) => (
                    found.name,
                    args.into_iter().enumerate().map(|(i, a)| if i == 0 { number(a) } else { a }).collect(),
                ),
                None => return self.refuse_aggregate(f, span),
            },
        };
        let Some(function) = aggregate_by_name(function) else { return self.refuse_aggregate(f, span) };
        let types: Vec<Type> = args.iter().map(|a| a.ty).collect();
        match function.result_type(&types) {
            Ok(ty) => Ok((name, Aggregation { function, args, filter: None, ty })),
            Err(why) => {
                self.refuse(Diagnostic::error("sumo-bad-arguments", format!("`{f}`: {why}")).at(span))
            }
        }
    }

    fn refuse_aggregate<T>(&mut self, f: &str, span: Span) -> R<T> {
        self.refuse(
            Diagnostic::error("unsupported-function", format!("aggregate `{f}` is not supported yet"))
                .at(span)
                .meaning("the query is understood, but cannot be run"),
        )
    }

    /// `most_recent(f_withtime)`: f of the row with the latest time.
    fn by_time(&mut self, item: &Aggregate, name: String, span: Span) -> R<(String, Aggregation)> {
        let latest = item.function.text == "most_recent";
        let field = match item.args.first().map(|a| &a.kind) {
            Some(ast::ExprKind::Field(n)) => {
                let lower = n.text.to_ascii_lowercase();
                let base = lower.strip_suffix("_withtime").filter(|b| self.withtime.iter().any(|w| w == b));
                base.map(|b| ast::Name { text: n.text[..b.len()].to_owned(), at: n.at })
            }
            _ => None,
        };
        let Some(field) = field else {
            return self.refuse(
                Diagnostic::error(
                    "sumo-withtime",
                    format!("`{}` takes a field that `withtime` has prepared", item.function.text),
                )
                .at(span)
                .help("write `| withtime field | most_recent(field_withtime)`"),
            );
        };
        let time = ast::Name { text: "_messageTime".into(), at: item.function.at };
        let (time, value) = (self.field(&time), plain(self.field(&field)));
        let function = if latest { "arg_max" } else { "arg_min" };
        let Some(function) = aggregate_by_name(function) else {
            return self.refuse_aggregate("most_recent", span);
        };
        let ty = value.ty;
        Ok((name, Aggregation { function, args: vec![time, value], filter: None, ty }))
    }
}
