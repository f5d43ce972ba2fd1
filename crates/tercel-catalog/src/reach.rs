//! What a detection can still do when only some tables have events.

use crate::detection::Detection;
use tercel_ir::{Domain, Expr, ExprKind, Rel, RelKind, Schema};

impl Detection {
    /// Why the compiled detection cannot fire on this data, in words; `None` when it may. `present` says
    /// whether a table has, or may have, events.
    pub fn unable(&self, present: &dyn Fn(&str) -> bool) -> Option<String> {
        match &self.never {
            Some(d) => Some(format!("it can never fire, on any data: {}", d.message)),
            None => unable(self.rel.as_ref()?, present),
        }
    }
}

fn unable(rel: &Rel, present: &dyn Fn(&str) -> bool) -> Option<String> {
    let tables = rel.tables();
    if !tables.is_empty() && !tables.iter().any(|t| present(t)) {
        return Some(format!("no events of {}", list(&tables.iter().map(|t| &**t).collect::<Vec<_>>())));
    }
    let here = on_data(rel, present);
    let d = tercel_verify::never_fires(&here)?;
    if d.code == "no-rows" {
        let absent: Vec<&str> = tables.iter().map(|t| &**t).filter(|t| !present(t)).collect();
        return Some(format!("no events of {}", list(&absent)));
    }
    let there: Vec<&str> = tables.iter().map(|t| &**t).filter(|t| present(t)).collect();
    Some(format!("over {}: {}", list(&there), d.message))
}

fn list(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    match names {
        [] => "any table".into(),
        [one] => (*one).to_string(),
        many if many.len() <= SHOWN => {
            format!("{} or {}", many[..many.len() - 1].join(", "), many[many.len() - 1])
        }
        many => format!("{} or {} others", many[..SHOWN - 1].join(", "), many.len() - SHOWN + 1),
    }
}

/// The same relation with absent tables as empty ones, so that the domains of columns become those of
/// the tables that are there. Shapes do not change: the same columns in the same order.
fn on_data(rel: &Rel, present: &dyn Fn(&str) -> bool) -> Rel {
    let span = rel.span;
    let again = |input: &Rel| on_data(input, present);
    let expr = |e: &Expr| inside(e, present);
    let named =
        |columns: &[(tercel_ir::Name, Expr)]| columns.iter().map(|(n, e)| (n.clone(), expr(e))).collect();
    let mut out = match &rel.kind {
        RelKind::Scan { table } if !present(table) => Rel::empty(rel.schema.clone(), span),
        RelKind::Scan { .. } | RelKind::Values { .. } => return rel.clone(),
        RelKind::View { name, body } => {
            let body = again(body);
            let schema = body.schema.clone();
            Rel { kind: RelKind::View { name: name.clone(), body: Box::new(body) }, schema, span }
        }
        RelKind::Filter { input, predicate } => again(input).filter(expr(predicate), span),
        RelKind::Extend { input, columns } => again(input).extend(named(columns), span),
        RelKind::Project { input, columns } => again(input).project(named(columns), span),
        RelKind::Union { inputs, tag: None } => {
            let alive: Vec<Rel> = inputs.iter().map(again).filter(|r| !is_empty(r)).collect();
            if alive.is_empty() { Rel::empty(rel.schema.clone(), span) } else { Rel::union(alive, span) }
        }
        _ => {
            let mut copy = rel.clone();
            copy.inputs_mut().into_iter().for_each(|i| *i = on_data(i, present));
            copy.expressions_mut().into_iter().for_each(|e| *e = expr(e));
            if let RelKind::Sort { input, .. } | RelKind::Limit { input, .. } = &copy.kind {
                copy.schema = input.schema.clone();
            }
            copy
        }
    };
    out.schema = shaped(&rel.schema, &out.schema);
    out
}

/// Columns of `before` with the domains of `after`. One that no present table has is never filled.
fn shaped(before: &Schema, after: &Schema) -> Schema {
    let columns = before.columns.iter().map(|c| {
        let mut c = c.clone();
        c.domain = match after.get(&c.name) {
            Some(a) => a.domain.clone(),
            None if after.open => c.domain,
            None => Some(Domain::Never),
        };
        c
    });
    Schema { columns: columns.collect(), open: before.open && after.open }
}

/// Whether a relation has no rows because nothing feeds it.
fn is_empty(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Values { rows } => rows.is_empty(),
        RelKind::View { body: input, .. }
        | RelKind::Filter { input, .. }
        | RelKind::Extend { input, .. }
        | RelKind::Project { input, .. }
        | RelKind::Sort { input, .. }
        | RelKind::Limit { input, .. }
        | RelKind::Unnest { input, .. } => is_empty(input),
        RelKind::Union { inputs, .. } => inputs.iter().all(is_empty),
        RelKind::Scan { .. } | RelKind::Aggregate { .. } | RelKind::Join { .. } => false,
    }
}

fn inside(e: &Expr, present: &dyn Fn(&str) -> bool) -> Expr {
    let mut e = e.clone();
    match &mut e.kind {
        ExprKind::Scalar(r) => *r = std::sync::Arc::new(on_data(r, present)),
        ExprKind::InRelation { relation, .. } => *relation = std::sync::Arc::new(on_data(relation, present)),
        _ => {}
    }
    e.children_mut().into_iter().for_each(|c| *c = inside(c, present));
    e
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tercel_ir::{Column, Span, Type, Value};

    fn scan(table: &str, columns: Vec<Column>) -> Rel {
        Rel {
            kind: RelKind::Scan { table: table.into() },
            schema: Schema::new(columns),
            span: Span::default(),
        }
    }

    /// `a` holds the command line, `b` does not.
    fn view() -> Rel {
        let at = Span::default();
        let text = |n: &str| Column::new(n, Type::String);
        let a = scan("a", vec![text("Image"), text("CommandLine")]);
        let b = scan("b", vec![text("Image")])
            .extend(vec![("CommandLine".into(), Expr::null(Type::String, at))], at);
        let body = Rel::union(vec![a, b], at);
        Rel {
            schema: body.schema.clone(),
            kind: RelKind::View { name: "v".into(), body: Box::new(body) },
            span: at,
        }
    }

    fn rule(column: &str) -> Rel {
        let at = Span::default();
        let predicate = Expr::known(
            "eq",
            vec![Expr::column(column, Type::String, at), Expr::literal(Value::str("x"), at)],
            at,
        );
        view().filter(predicate, at)
    }

    fn over(rel: &Rel, tables: &[&str]) -> Option<String> {
        unable(rel, &|t| tables.contains(&t))
    }

    #[test]
    fn missing_tables_and_columns_are_named() {
        assert_eq!(over(&rule("Image"), &["a"]), None);
        assert_eq!(over(&rule("CommandLine"), &["a", "b"]), None);
        assert_eq!(over(&rule("Image"), &[]).unwrap(), "no events of a or b");
        let why = over(&rule("CommandLine"), &["b"]).unwrap();
        assert!(why.starts_with("over b: "), "{why}");
    }

    #[test]
    fn values_that_do_not_occur_are_named() {
        let at = Span::default();
        let mut c = Column::new("d", Type::String);
        c.domain = Some(Domain::Values { values: Arc::from(["in".to_string()]), closed: true });
        let predicate = Expr::known(
            "eq",
            vec![Expr::column("d", Type::String, at), Expr::literal(Value::str("true"), at)],
            at,
        );
        let why = over(&scan("a", vec![c]).filter(predicate, at), &["a"]).unwrap();
        assert!(why.starts_with("over a: "), "{why}");
    }
}
