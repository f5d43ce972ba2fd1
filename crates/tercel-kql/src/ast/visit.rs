//! Walking a tree.

use super::{
    Expr, ExprKind, NamedExpr, Operator, OperatorKind, ParseElement, Pipeline, QueryParameter, SortKey,
    Statement, StatementKind, Step,
};

/// Calls `f` for `e` and every expression inside it, from the outside in, the operators of its
/// pipelines included.
pub fn expr(e: &Expr, f: &mut impl FnMut(&Expr)) {
    f(e);
    match &e.node {
        ExprKind::Name(_)
        | ExprKind::Wildcard(_)
        | ExprKind::Star
        | ExprKind::Literal(_)
        | ExprKind::Error => {}
        ExprKind::Sign { operand, .. } => expr(operand, f),
        ExprKind::Or(items) | ExprKind::And(items) | ExprKind::EntityGroup(items) => exprs(items, f),
        ExprKind::Arithmetic { first, rest } => {
            expr(first, f);
            rest.iter().for_each(|(_, e)| expr(e, f));
        }
        ExprKind::Compare { left, right, .. } | ExprKind::StringOp { left, right, .. } => {
            expr(left, f);
            expr(right, f);
        }
        ExprKind::List { left, items, .. } => {
            expr(left, f);
            exprs(items, f);
        }
        ExprKind::Between { value, low, high, .. } => [value, low, high].into_iter().for_each(|e| expr(e, f)),
        ExprKind::Path { base, steps } => {
            expr(base, f);
            for s in steps {
                match s {
                    Step::Index(e) => expr(e, f),
                    Step::Call(c) => c.node.arguments.iter().for_each(|a| expr(&a.value, f)),
                    Step::Member(_) | Step::Wildcard(_) => {}
                }
            }
        }
        ExprKind::Call(c) => c.arguments.iter().for_each(|a| expr(&a.value, f)),
        ExprKind::Pipeline(p) => pipeline(p, f),
        ExprKind::DataTable(t) => exprs(&t.values, f),
        ExprKind::ExternalData(d) => exprs(&d.uris, f),
    }
}

fn exprs(list: &[Expr], f: &mut impl FnMut(&Expr)) {
    list.iter().for_each(|e| expr(e, f));
}

fn named(list: &[NamedExpr], f: &mut impl FnMut(&Expr)) {
    list.iter().for_each(|n| expr(&n.value, f));
}

fn keys(list: &[SortKey], f: &mut impl FnMut(&Expr)) {
    list.iter().for_each(|k| expr(&k.value.value, f));
}

fn pipeline(p: &Pipeline, f: &mut impl FnMut(&Expr)) {
    if let Some(s) = &p.source {
        expr(s, f);
    }
    p.operators.iter().for_each(|o| operator(o, f));
}

fn statements(list: &[Statement], f: &mut impl FnMut(&Expr)) {
    for s in list {
        match &s.node {
            StatementKind::Let { value, .. } | StatementKind::Query(value) => expr(value, f),
            StatementKind::Function { function, .. } => statements(&function.body, f),
            _ => {}
        }
    }
}

/// Calls `f` for every expression of an operator. Parameters (`kind=…`) are none.
pub fn operator(o: &Operator, f: &mut impl FnMut(&Expr)) {
    match &o.node {
        OperatorKind::As { .. }
        | OperatorKind::AssertSchema(_)
        | OperatorKind::Consume(_)
        | OperatorKind::Count(_)
        | OperatorKind::ExecuteAndCache
        | OperatorKind::GetSchema { .. }
        | OperatorKind::GraphMarkComponents(_)
        | OperatorKind::GraphToTable(_)
        | OperatorKind::Error => {}
        OperatorKind::Distinct { columns, .. }
        | OperatorKind::ProjectAway(columns)
        | OperatorKind::ProjectByNames(columns)
        | OperatorKind::ProjectKeep(columns) => exprs(columns, f),
        OperatorKind::Evaluate { call, .. } => call.node.arguments.iter().for_each(|a| expr(&a.value, f)),
        OperatorKind::Extend(items)
        | OperatorKind::Print(items)
        | OperatorKind::Project(items)
        | OperatorKind::ProjectRename(items)
        | OperatorKind::Serialize { columns: items, .. } => named(items, f),
        OperatorKind::Facet { by, with } => {
            exprs(by, f);
            with.iter().for_each(|p| pipeline(p, f));
        }
        OperatorKind::Find(find) => {
            exprs(&find.tables, f);
            expr(&find.predicate, f);
            find.away.iter().for_each(|list| exprs(list, f));
        }
        OperatorKind::Fork(branches) => branches.iter().for_each(|(_, p)| pipeline(p, f)),
        OperatorKind::GraphMatch(g) => {
            g.predicate.iter().for_each(|e| expr(e, f));
            named(&g.project, f);
        }
        OperatorKind::GraphWhere { predicate, .. } => expr(predicate, f),
        OperatorKind::Invoke(e) => expr(e, f),
        OperatorKind::Join(j) => {
            expr(&j.right, f);
            j.on.iter().for_each(|list| exprs(list, f));
            j.predicate.iter().for_each(|e| expr(e, f));
        }
        OperatorKind::MacroExpand { group, body, .. } => {
            expr(group, f);
            statements(body, f);
        }
        OperatorKind::MakeGraph(g) => {
            expr(&g.source, f);
            expr(&g.target, f);
            for (table, key) in &g.nodes {
                expr(table, f);
                expr(key, f);
            }
            if let Some((column, body)) = &g.partitioned_by {
                expr(column, f);
                pipeline(body, f);
            }
        }
        OperatorKind::MakeSeries(m) => {
            for (value, default) in &m.series {
                expr(&value.value, f);
                default.iter().for_each(|e| expr(e, f));
            }
            expr(&m.on.value, f);
            [m.from.as_ref(), m.to.as_ref(), Some(&m.step)].into_iter().flatten().for_each(|e| expr(e, f));
            named(&m.by, f);
        }
        OperatorKind::MvApply(m) => {
            m.items.iter().for_each(|i| expr(&i.value.value, f));
            m.limit.iter().for_each(|e| expr(e, f));
            pipeline(&m.body, f);
        }
        OperatorKind::MvExpand { items, limit, .. } => {
            items.iter().for_each(|i| expr(&i.value.value, f));
            limit.iter().for_each(|e| expr(e, f));
        }
        OperatorKind::Parse(p) => {
            expr(&p.subject, f);
            for e in &p.pattern {
                if let ParseElement::Text(e) = e {
                    expr(e, f);
                }
            }
        }
        OperatorKind::ParseKv { subject, .. } => expr(subject, f),
        OperatorKind::Partition(p) => {
            expr(&p.by, f);
            p.within.iter().for_each(|e| expr(e, f));
            pipeline(&p.body, f);
        }
        OperatorKind::ProjectReorder(items) => items.iter().for_each(|(e, _)| expr(e, f)),
        OperatorKind::Range { from, to, step, .. } => [from, to, step].into_iter().for_each(|e| expr(e, f)),
        OperatorKind::Reduce { by, with, .. } => {
            expr(&by.value, f);
            named(with, f);
        }
        OperatorKind::Render { properties, .. } => {
            properties.iter().for_each(|p: &QueryParameter| exprs(&p.values, f))
        }
        OperatorKind::Sample { count, .. } | OperatorKind::Take { count, .. } => expr(count, f),
        OperatorKind::SampleDistinct { count, of, .. } => {
            expr(count, f);
            expr(&of.value, f);
        }
        OperatorKind::Scan(s) => {
            keys(&s.order, f);
            exprs(&s.partition, f);
            for step in &s.steps {
                expr(&step.predicate, f);
                step.assignments.iter().for_each(|(_, e)| expr(e, f));
            }
        }
        OperatorKind::Search(s) => {
            exprs(&s.tables, f);
            expr(&s.predicate, f);
        }
        OperatorKind::Sort { keys: list, .. } => keys(list, f),
        OperatorKind::Summarize(s) => {
            named(&s.aggregates, f);
            named(&s.by, f);
            s.bin.iter().for_each(|e| expr(e, f));
        }
        OperatorKind::Top { count, key, .. } => {
            expr(count, f);
            expr(&key.value.value, f);
        }
        OperatorKind::TopHitters { count, of, by, .. } => {
            expr(count, f);
            expr(&of.value, f);
            by.iter().for_each(|k| expr(&k.value.value, f));
        }
        OperatorKind::TopNested(levels) => {
            for l in levels {
                [l.count.as_ref(), Some(&l.of.value), l.others.as_ref(), Some(&l.by.value.value)]
                    .into_iter()
                    .flatten()
                    .for_each(|e| expr(e, f));
            }
        }
        OperatorKind::Union { tables, .. } => exprs(tables, f),
        OperatorKind::Where { predicate, .. } => expr(&predicate.value, f),
    }
}
