//! `e as name`, `fields`, `sort`, `top`, `timeslice`.

use std::sync::Arc;

use tercel_ir::function::aggregate_by_name;
use tercel_ir::rel::Aggregation;
use tercel_ir::{Diagnostic, Expr, SortKey, Span, Type, Value};

use super::expr::number;
use super::{Lowerer, Profile, R, call};
use crate::ast::{self, GroupKey, Name};
use crate::findings;

impl Lowerer<'_> {
    pub fn compute(&mut self, expr: &ast::Expr, name: Option<&Name>, eval: bool, span: Span) -> R<()> {
        if let (true, Some(n)) = (eval, name) {
            // The keyword stands at the start of the stage.
            let keyword = Span { start: span.start, end: span.start + 4 };
            let strict = self.options.profile == Profile::Strict;
            let d = findings::eval(keyword, &n.text, strict);
            if strict {
                return self.refuse(d);
            }
            self.report(d);
        }
        if let ast::ExprKind::Template(t) = &expr.kind
            && name.is_none()
        {
            let t = t.clone();
            return self.template(&t, span);
        }
        let target = match name {
            Some(n) => self.target(n),
            // Without a name a function overwrites its argument.
            None => match &expr.kind {
                ast::ExprKind::Call { name: f, args } => match args.iter().find_map(field_of) {
                    Some(n) => self.target(n),
                    None => {
                        let message = format!("the value of `{}` has no name", f.text);
                        return self.refuse(
                            Diagnostic::error("sumo-unnamed-value", message)
                                .at(span)
                                .help("write `as name` behind it"),
                        );
                    }
                },
                _ => {
                    return self.refuse(
                        Diagnostic::error("sumo-unnamed-value", "this value has no name")
                            .at(span)
                            .help("write `as name` behind it"),
                    );
                }
            },
        };
        let value = self.value(expr)?;
        self.apply_drops(span);
        self.extend(vec![(target, value)], span);
        Ok(())
    }

    pub fn fields(&mut self, remove: bool, names: &[Name]) -> R<()> {
        if remove {
            let mut keep: Vec<tercel_ir::Name> = match &self.visible {
                Some(v) => v.clone(),
                None => self
                    .rel
                    .schema
                    .columns
                    .iter()
                    .map(|c| c.name.clone())
                    .filter(|n| !n.starts_with(super::HIDDEN))
                    .collect(),
            };
            keep.retain(|k| !names.iter().any(|n| n.text.eq_ignore_ascii_case(k)));
            self.visible = Some(keep);
            return Ok(());
        }
        let mut visible: Vec<tercel_ir::Name> = Vec::new();
        let mut missing = Vec::new();
        for n in names {
            let e = self.field(n);
            let name = match e.as_column() {
                Some(c) => c.clone(),
                None => Arc::from(n.text.as_str()),
            };
            if visible.contains(&name) {
                continue;
            }
            if self.rel.schema.get(&name).is_none() {
                // Read from the events on demand, or null: either way a column from here on.
                missing.push((name.clone(), e));
            }
            visible.push(name);
        }
        if !missing.is_empty() {
            let span = names[0].at.0;
            self.extend(missing, span);
        }
        self.visible = Some(visible);
        Ok(())
    }

    pub fn sort(&mut self, keys: &[ast::SortKey], span: Span) -> R<()> {
        let mut out = Vec::with_capacity(keys.len());
        for k in keys {
            let expr = match &k.expr.kind {
                // A column sorts as what it is: text as text.
                ast::ExprKind::Field(n) => {
                    let e = self.field(n);
                    if e.ty == Type::Dynamic { super::expr::plain(e) } else { e }
                }
                _ => self.value(&k.expr)?,
            };
            out.push(SortKey { expr, descending: !k.ascending, nulls_first: false });
        }
        self.apply_drops(span);
        if !out.is_empty() {
            self.ordered = true;
            self.map(|r| r.sort(out, span));
        }
        Ok(())
    }

    /// `top n f`: the most frequent; `top n f by x`: those with the greatest x.
    pub fn top(&mut self, n: &ast::Expr, fields: &[ast::Expr], by: &[GroupKey], span: Span) -> R<()> {
        let n = self.count(n, "top")?;
        let mut names = Vec::with_capacity(fields.len());
        for f in fields {
            match &f.kind {
                ast::ExprKind::Field(n) => names.push(self.field(n)),
                _ => return self.unsupported("top with a computed value", f.at.0),
            }
        }
        let mut keys = Vec::new();
        if by.is_empty() {
            let groups: Vec<_> = names
                .iter()
                .zip(fields)
                .map(|(e, f)| match &f.kind {
                    ast::ExprKind::Field(n) if e.as_column().is_none() => (self.target(n), e.clone()),
                    _ => (e.as_column().cloned().unwrap_or_else(|| Arc::from("_field")), e.clone()),
                })
                .collect();
            for (e, (name, _)) in names.iter_mut().zip(&groups) {
                *e = Expr::column(name.clone(), e.ty, e.span);
            }
            let Some(count) = aggregate_by_name("count") else { return self.unsupported("top", span) };
            let counted = Aggregation { function: count, args: vec![], filter: None, ty: Type::Long };
            let count_name: tercel_ir::Name = Arc::from("_count");
            let mut visible: Vec<_> = groups.iter().map(|g| g.0.clone()).collect();
            visible.push(count_name.clone());
            self.map(|r| r.aggregate(groups, vec![(count_name.clone(), counted)], span));
            self.visible = Some(visible);
            keys.push(SortKey {
                expr: Expr::column(count_name, Type::Long, span),
                descending: true,
                nulls_first: false,
            });
        } else {
            for k in by {
                let expr = match &k.expr.kind {
                    ast::ExprKind::Field(n) => self.field(n),
                    _ => self.value(&k.expr)?,
                };
                keys.push(SortKey { expr, descending: true, nulls_first: false });
            }
        }
        // Ties in a stable order, so that the same data gives the same rows.
        for e in names {
            keys.push(SortKey { expr: e, descending: false, nulls_first: false });
        }
        self.ordered = true;
        self.map(|r| r.sort(keys, span).limit(n, span));
        Ok(())
    }

    /// `timeslice 5m as t`: the start of the bucket, in milliseconds.
    pub fn timeslice(
        &mut self,
        width: Option<&ast::Expr>,
        buckets: bool,
        alias: Option<&Name>,
        span: Span,
    ) -> R<()> {
        if buckets {
            return self.unsupported("timeslice … buckets", span);
        }
        let Some(width) = width else { return self.unsupported("timeslice without a width", span) };
        let w = number(self.value(width)?);
        let ms = match w.as_literal() {
            Some(Value::Long(n)) if *n > 0 => *n,
            _ => {
                return self.refuse(
                    Diagnostic::error("sumo-bad-number", "`timeslice` takes a width such as `5m`")
                        .at(width.at.0),
                );
            }
        };
        let time = Name { text: "_messageTime".into(), at: ast::At(span) };
        let time = super::expr::plain(self.field(&time));
        let time = if time.ty.is_integer() { time } else { call("tolong", vec![number(time)], span) };
        let start = call("bin", vec![time, Expr::literal(Value::Long(ms), span)], span);
        let name = alias.map_or_else(|| Arc::from("_timeslice"), |a| self.target(a));
        let mut columns = vec![(name.clone(), start.clone())];
        if alias.is_none() {
            columns.push((
                Arc::from("_timeslice_end"),
                call("add", vec![start, Expr::literal(Value::Long(ms), span)], span),
            ));
        }
        let shown = self.visible.clone();
        self.extend(columns, span);
        // The end is there to be named, not to be shown.
        if let (Some(v), Some(mut before)) = (&mut self.visible, shown) {
            if !before.contains(&name) {
                before.push(name);
            }
            *v = before;
        }
        Ok(())
    }
}

/// The field that a call without a name overwrites.
fn field_of(e: &ast::Expr) -> Option<&Name> {
    match &e.kind {
        ast::ExprKind::Field(n) => Some(n),
        ast::ExprKind::Call { args, .. } => args.first().and_then(field_of),
        _ => None,
    }
}
