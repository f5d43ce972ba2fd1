//! `join`, `lookup`, and the plugin `ipv4_lookup`.

use super::names::Namer;
use super::operator::keep_columns;
use super::source::{parameter, word};
use super::{Context, Failed, Lowered, Lowerer, Rows};
use crate::ast::{self, Call, CompareOp, ExprKind as Ast, Join, Literal, Node, Step};
use std::collections::HashSet;
use tercel_ir::{Column, Diagnostic, Expr, JoinKind, Name, Rel, RelKind, Schema, Span, Type};

/// The side of a join.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

impl Lowerer<'_> {
    pub(super) fn join(&mut self, j: &Join, left: Rows, span: Span) -> Lowered<Rows> {
        let kind = self.join_kind(j)?;
        let right = self.table(&j.right)?;
        if let Some(p) = &j.predicate {
            self.error("unsupported-parameter", "`join … where` is not supported yet", p.span);
            return Err(Failed);
        }
        let Some(on) = &j.on else {
            self.error("syntax", "`join` needs `on`", span);
            return Err(Failed);
        };
        let mut pairs = Vec::new();
        let mut dropped: HashSet<Name> = HashSet::new();
        for condition in on {
            self.join_condition(condition, &left, &right, &mut pairs, &mut dropped);
        }
        if pairs.is_empty() {
            return Err(Failed);
        }
        let joined = join_rows(left, right, kind, pairs, None, span);
        if !j.lookup {
            return Ok(joined.0);
        }
        // `lookup` leaves out the right side's keys.
        let (rows, right_names) = joined;
        let away: HashSet<Name> =
            right_names.into_iter().filter(|(old, _)| dropped.contains(old)).map(|(_, new)| new).collect();
        let keep = rows.names().into_iter().filter(|n| !away.contains(n)).collect();
        Ok(keep_columns(rows, keep, span))
    }

    fn join_kind(&mut self, j: &Join) -> Lowered<JoinKind> {
        let Some(e) = parameter(&j.parameters, "kind") else {
            return Ok(if j.lookup { JoinKind::LeftOuter } else { JoinKind::InnerUnique });
        };
        let name = word(e);
        let kind = match &*name {
            "inner" => JoinKind::Inner,
            "leftouter" => JoinKind::LeftOuter,
            "innerunique" if !j.lookup => JoinKind::InnerUnique,
            "rightouter" if !j.lookup => JoinKind::RightOuter,
            "fullouter" if !j.lookup => JoinKind::FullOuter,
            "leftsemi" if !j.lookup => JoinKind::LeftSemi,
            "rightsemi" if !j.lookup => JoinKind::RightSemi,
            "anti" | "leftanti" | "leftantisemi" if !j.lookup => JoinKind::LeftAnti,
            "rightanti" | "rightantisemi" if !j.lookup => JoinKind::RightAnti,
            _ => {
                let known = [
                    "inner",
                    "innerunique",
                    "leftouter",
                    "rightouter",
                    "fullouter",
                    "leftsemi",
                    "rightsemi",
                    "leftanti",
                    "rightanti",
                ];
                let operator = if j.lookup { "lookup" } else { "join" };
                let d = Diagnostic::error("unknown-join-kind", format!("`{operator}` has no kind `{name}`"))
                    .at(e.span);
                self.report(match tercel_ir::diag::nearest(&name, known) {
                    Some(k) => d.help(format!("did you mean `{k}`?")),
                    None => d.help(format!("kinds are {}", known.join(", "))),
                });
                return Err(Failed);
            }
        };
        Ok(kind)
    }

    /// A condition: a common column, `$left.a == $right.b`, or several with `and`.
    fn join_condition(
        &mut self,
        e: &ast::Expr,
        left: &Rows,
        right: &Rows,
        pairs: &mut Vec<(Expr, Expr)>,
        dropped: &mut HashSet<Name>,
    ) {
        match &e.node {
            Ast::And(items) => items.iter().for_each(|i| self.join_condition(i, left, right, pairs, dropped)),
            Ast::Name(n) => {
                let l = self.name(n, e.span, Context::row(left));
                let r = self.name(n, e.span, Context::row(right));
                dropped.insert(n.clone());
                self.join_pair(l, r, e.span, pairs);
            }
            Ast::Compare { op: Node { node: CompareOp::Eq, .. }, left: a, right: b } => {
                let (a, b) = match (side_of(a), side_of(b)) {
                    (Some(Side::Right), _) | (_, Some(Side::Left)) => (b, a),
                    _ => (a, b),
                };
                let here = Context { row: Some(left), sides: Some((left, right)), search: false };
                let l = self.scalar(a, here);
                let there = Context { row: Some(right), sides: Some((left, right)), search: false };
                let r = self.scalar(b, there);
                if let Some(n) = r.as_column() {
                    dropped.insert(n.clone());
                }
                self.join_pair(l, r, e.span, pairs);
            }
            _ => {
                self.report(
                    Diagnostic::error("bad-join-condition", "a join compares columns for equality only")
                        .at(e.span)
                        .help("write a common column, or $left.a == $right.b"),
                );
            }
        }
    }

    fn join_pair(&mut self, l: Expr, r: Expr, span: Span, pairs: &mut Vec<(Expr, Expr)>) {
        let number = |t: Type| t.is_number();
        let (l, r) = match (l.ty, r.ty) {
            (a, b) if a == b => (l, r),
            _ if super::scalar::is_null(&l) => (Expr::null(r.ty, l.span), r),
            _ if super::scalar::is_null(&r) => {
                let ty = l.ty;
                (l, Expr::null(ty, r.span))
            }
            (a, b) if a.is_integer() && b.is_integer() => (l, r),
            (a, b) if number(a) && number(b) => (self.cast("todouble", l), self.cast("todouble", r)),
            (Type::String, Type::Guid) | (Type::Guid, Type::String) => (l, r),
            // A key in JSON against a plain one: both as text.
            (Type::Dynamic, _) | (_, Type::Dynamic) => (self.cast("tostring", l), self.cast("tostring", r)),
            (a, b) => {
                self.report(
                    Diagnostic::error(
                        "type-mismatch",
                        format!("a key of type {a} is joined with one of type {b}"),
                    )
                    .at(span)
                    .label("never equal")
                    .help("cast one side in an `extend` before"),
                );
                return;
            }
        };
        // A missing string is "" on both sides.
        let (l, r) = (self.never_null(l), self.never_null(r));
        pairs.push((l, r));
    }

    /// `evaluate plugin(…)`.
    pub(super) fn evaluate(&mut self, call: &Node<Call>, rows: Rows, span: Span) -> Lowered<Rows> {
        let name = &*call.node.name.node;
        if name == "ipv4_lookup" {
            return self.ipv4_lookup(&call.node, rows, span);
        }
        if super::known::PLUGINS.contains(&name) {
            self.error(
                "unsupported-plugin",
                format!("plugin `{name}` is not supported yet"),
                call.node.name.span,
            );
        } else {
            let d = Diagnostic::error("unknown-plugin", format!("there is no plugin `{name}`"))
                .at(call.node.name.span);
            self.report(match tercel_ir::diag::nearest(name, super::known::PLUGINS.iter().copied()) {
                Some(n) => d.help(format!("did you mean `{n}`?")),
                None => d,
            });
        }
        Err(Failed)
    }

    /// Adds to each row the rows of a table whose network holds the row's address.
    fn ipv4_lookup(&mut self, c: &Call, left: Rows, span: Span) -> Lowered<Rows> {
        let mut unmatched = false;
        let mut places = Vec::new();
        for a in &c.arguments {
            match &a.name {
                Some(n) if &*n.node == "return_unmatched" => match &a.value.node {
                    Ast::Literal(Literal::Bool(b)) => unmatched = *b,
                    _ => self.error("bad-arguments", "`return_unmatched` is true or false", a.value.span),
                },
                Some(n) => self.error(
                    "bad-arguments",
                    format!("`ipv4_lookup` has no parameter `{}`", n.node),
                    n.span,
                ),
                None => places.push(&a.value),
            }
        }
        // The last one by place may be `return_unmatched` too.
        if let Some(last) = places.last()
            && let Ast::Literal(Literal::Bool(b)) = last.node
        {
            unmatched = b;
            places.pop();
        }
        let [table, address, network, keys @ ..] = places.as_slice() else {
            self.error(
                "bad-arguments",
                "`ipv4_lookup` takes a table, an address column and a network column",
                span,
            );
            return Err(Failed);
        };
        let right = self.table(table)?;
        let address = self.scalar(address, Context::row(&left));
        let mut pairs = Vec::new();
        let mut dropped = HashSet::new();
        for k in keys {
            self.join_condition(k, &left, &right, &mut pairs, &mut dropped);
        }
        let Ast::Name(column) = &network.node else {
            self.error("bad-arguments", "the network must be a column of the lookup table", network.span);
            return Err(Failed);
        };
        if right.column(column).is_none() {
            self.unknown_column(column, network.span, &right);
        }
        // The condition sees both sides at once, so their names must differ first.
        let mut namer = Namer::default();
        left.names().into_iter().for_each(|n| namer.take(n));
        let renamed: Vec<(Name, Name)> =
            right.names().into_iter().map(|n| (n.clone(), namer.unique(&n))).collect();
        let right = if renamed.iter().all(|(a, b)| a == b) {
            right
        } else {
            let columns = renamed
                .iter()
                .map(|(old, new)| {
                    (new.clone(), Expr::column(old.clone(), right.column(old).unwrap_or(Type::String), span))
                })
                .collect();
            right.shaped(|r| r.project(columns, span))
        };
        let new_name = |n: &Name| {
            renamed.iter().find(|(old, _)| old == n).map_or_else(|| n.clone(), |(_, new)| new.clone())
        };
        for (_, r) in &mut pairs {
            rename_columns(r, &new_name);
        }
        let cidr = match right.column(&new_name(column)) {
            Some(ty) => Expr::column(new_name(column), ty, network.span),
            None => Expr::null(Type::String, network.span),
        };
        let condition = self.call("ipv4_is_in_range", vec![address, cidr], span);
        let kind = if unmatched { JoinKind::LeftOuter } else { JoinKind::Inner };
        let source = left.source.clone();
        let (mut rows, _) = join_rows(left, right, kind, pairs, Some(condition), span);
        let away: HashSet<Name> = dropped.iter().map(new_name).collect();
        if !away.is_empty() {
            let keep = rows.names().into_iter().filter(|n| !away.contains(n)).collect();
            rows = keep_columns(rows, keep, span);
        }
        rows.source = source;
        Ok(rows)
    }
}

fn rename_columns(e: &mut Expr, name: &impl Fn(&Name) -> Name) {
    if let tercel_ir::ExprKind::Column(n) = &mut e.kind {
        *n = name(n);
    }
    for c in e.children_mut() {
        rename_columns(c, name);
    }
}

/// Which side an operand names.
fn side_of(e: &ast::Expr) -> Option<Side> {
    match &e.node {
        Ast::Path { base, steps } => match &base.node {
            Ast::Name(n) if &**n == "$left" => Some(Side::Left),
            Ast::Name(n) if &**n == "$right" => Some(Side::Right),
            _ => {
                let indexed = steps.iter().find_map(|s| match s {
                    Step::Index(i) => side_of(i),
                    _ => None,
                });
                side_of(base).or(indexed)
            }
        },
        Ast::Call(c) => c.arguments.iter().find_map(|a| side_of(&a.value)),
        _ => None,
    }
}

/// The join, and the right side's columns with the names they have in it.
fn join_rows(
    left: Rows,
    right: Rows,
    kind: JoinKind,
    on: Vec<(Expr, Expr)>,
    condition: Option<Expr>,
    span: Span,
) -> (Rows, Vec<(Name, Name)>) {
    let mut namer = Namer::default();
    let mut columns: Vec<Column> = Vec::new();
    let mut right_names = Vec::new();
    let (keeps_left, keeps_right) = match kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => (true, false),
        JoinKind::RightSemi | JoinKind::RightAnti => (false, true),
        _ => (true, true),
    };
    if keeps_left {
        for c in &left.rel.schema.columns {
            namer.take(c.name.clone());
            columns.push(c.clone());
        }
    }
    if keeps_right {
        for c in &right.rel.schema.columns {
            let name = namer.unique(&c.name);
            right_names.push((c.name.clone(), name.clone()));
            columns.push(Column { name, ..c.clone() });
        }
    }
    // A column of the side that may be missing can be null whatever its domain says; domains always
    // allow that, so they stay.
    let source = match (keeps_left, keeps_right) {
        (true, false) => left.source.clone(),
        (false, true) => right.source.clone(),
        _ => None,
    };
    // Columns that an open table did not declare stay within reach only where rows pass whole.
    let open =
        keeps_left != keeps_right && if keeps_left { left.rel.schema.open } else { right.rel.schema.open };
    let depth = left.depth.max(right.depth) + 1;
    let kind = RelKind::Join { left: Box::new(left.rel), right: Box::new(right.rel), kind, on, condition };
    let rel = Rel { kind, schema: Schema { columns: columns.into(), open }, span };
    (Rows { rel, source, depth }, right_names)
}
