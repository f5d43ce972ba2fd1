//! Findings that need syntax: names that are bound and never used, columns that are computed and
//! dropped. They say nothing about whether a query runs.

use crate::ast::{
    Ast, Call, Expr, ExprKind, Function, Ident, Join, NamedExpr, Operator, OperatorKind, Pipeline, Statement,
    StatementKind, Step,
};
use crate::stack::with_room;
use std::collections::HashSet;
use tercel_ir::{Diagnostic, Diagnostics, Name};

/// Looks for `let`s and computed columns that nothing uses.
pub fn lint(ast: &Ast) -> Diagnostics {
    let found = with_room(ast.depth, || {
        let mut lint = Lint { found: Diagnostics::new() };
        lint.unused_lets(&ast.statements);
        lint.statements(&ast.statements);
        lint.found
    });
    found.unwrap_or_default()
}

struct Lint {
    found: Diagnostics,
}

impl Lint {
    /// A `let` whose name occurs nowhere behind it.
    fn unused_lets(&mut self, statements: &[Statement]) {
        // A text of `let`s alone is a library, not a query.
        if !statements.iter().any(|s| matches!(s.node, StatementKind::Query(_))) {
            return;
        }
        // From the end: the names used so far are the ones used behind.
        let mut used = Used::default();
        for s in statements.iter().rev() {
            match &s.node {
                StatementKind::Let { name, value } => {
                    self.check_let(name, &used, false);
                    used.expr(value);
                }
                StatementKind::Function { name, function } => {
                    self.check_let(name, &used, function.view);
                    used.function(function);
                }
                _ => used.statement(s),
            }
        }
    }

    fn check_let(&mut self, name: &Ident, used: &Used, view: bool) {
        if used.names.contains(&name.node) || view && used.wildcard {
            return;
        }
        self.found.push(
            Diagnostic::warning("unused-let", format!("`{}` is never used", name.node))
                .at(name.span)
                .label("bound here")
                .meaning("what it was meant to do, the query does not do")
                .help("use it, or remove it"),
        );
    }

    fn statements(&mut self, statements: &[Statement]) {
        for s in statements {
            match &s.node {
                StatementKind::Let { value, .. } | StatementKind::Query(value) => self.expr(value),
                StatementKind::Function { function, .. } => {
                    self.unused_lets(&function.body);
                    self.statements(&function.body);
                }
                _ => {}
            }
        }
    }

    /// Every pipeline inside an expression.
    fn expr(&mut self, e: &Expr) {
        walk(e, &mut |e| {
            if let ExprKind::Pipeline(p) = &e.node {
                self.pipeline(p);
            }
        });
    }

    fn pipeline(&mut self, p: &Pipeline) {
        for (i, o) in p.operators.iter().enumerate() {
            if let OperatorKind::Extend(items) = &o.node {
                for item in items {
                    if let [name] = item.names.as_slice() {
                        self.computed(name, items, &p.operators[i + 1..]);
                    }
                }
            }
        }
    }

    /// Follows one computed column through the operators behind it.
    fn computed(&mut self, name: &Ident, siblings: &[NamedExpr], behind: &[Operator]) {
        // A second value of the same name in one `extend` is an error of its own.
        if siblings.iter().filter(|s| s.names.iter().any(|n| n.node == name.node)).count() > 1 {
            return;
        }
        for o in behind {
            match fate(&name.node, &o.node) {
                Fate::Passes => {}
                Fate::Used => return,
                Fate::Dropped(how) => {
                    self.found.push(
                        Diagnostic::warning(
                            "unused-computed-column",
                            format!("column `{}` is computed and never used", name.node),
                        )
                        .at(name.span)
                        .label("computed here")
                        .related(o.span, how)
                        .meaning("nothing depends on it; a condition on it may have been forgotten")
                        .help("use it, put it out, or remove it"),
                    );
                    return;
                }
            }
        }
    }
}

/// What an operator does to a column.
enum Fate {
    /// It stays, unread.
    Passes,
    /// It is read, or may be.
    Used,
    /// It is gone, unread.
    Dropped(&'static str),
}

fn fate(name: &Name, o: &OperatorKind) -> Fate {
    let reads = |e: &Expr| reads(e, name);
    let any = |list: &[NamedExpr]| list.iter().any(|n| reads(&n.value));
    let listed = |list: &[Expr]| list.iter().any(|e| covers(e, name));
    match o {
        OperatorKind::Where { predicate, .. } => used_or_passes(reads(&predicate.value)),
        OperatorKind::Extend(items) | OperatorKind::Serialize { columns: items, .. } => {
            if any(items) {
                return Fate::Used;
            }
            let replaced = items.iter().any(|n| n.names.iter().any(|x| x.node == *name));
            if replaced { Fate::Dropped("replaced here") } else { Fate::Passes }
        }
        OperatorKind::Project(items) => {
            if any(items) {
                Fate::Used
            } else {
                Fate::Dropped("left out here")
            }
        }
        OperatorKind::ProjectAway(list) => {
            if listed(list) {
                Fate::Dropped("removed here")
            } else {
                Fate::Passes
            }
        }
        OperatorKind::ProjectKeep(list) => {
            if listed(list) {
                Fate::Passes
            } else {
                Fate::Dropped("left out here")
            }
        }
        OperatorKind::ProjectRename(items) => used_or_passes(any(items)),
        OperatorKind::ProjectReorder(_) => Fate::Passes,
        OperatorKind::Sort { keys, .. } => used_or_passes(keys.iter().any(|k| reads(&k.value.value))),
        OperatorKind::Top { key, .. } => used_or_passes(reads(&key.value.value)),
        OperatorKind::Take { .. } | OperatorKind::Sample { .. } | OperatorKind::Render { .. } => Fate::Passes,
        OperatorKind::Summarize(s) => {
            if any(&s.aggregates) || any(&s.by) {
                Fate::Used
            } else {
                Fate::Dropped("left out here")
            }
        }
        OperatorKind::Distinct { columns, .. } => {
            if columns.iter().any(|e| reads(e) || covers(e, name)) {
                Fate::Used
            } else {
                Fate::Dropped("left out here")
            }
        }
        OperatorKind::Count(_) => Fate::Dropped("only the number of rows is left here"),
        OperatorKind::MvExpand { items, .. } => used_or_passes(items.iter().any(|i| reads(&i.value.value))),
        OperatorKind::Join(j) => join_fate(j, name),
        // Everything else may read any column by means that are not names here.
        _ => Fate::Used,
    }
}

fn join_fate(j: &Join, name: &Name) -> Fate {
    let on = j.on.iter().flatten().any(|e| reads(e, name));
    // Kinds that drop the left side leave none of its columns.
    let kind = j.parameters.iter().find(|p| &*p.name.node == "kind").and_then(|p| p.values.first());
    let right_only = matches!(kind.map(|k| &k.node), Some(ExprKind::Name(k)) if k.starts_with("right") && &**k != "rightouter");
    match (on, right_only) {
        (true, _) => Fate::Used,
        (false, true) => Fate::Dropped("only the other side is left here"),
        (false, false) => Fate::Passes,
    }
}

fn used_or_passes(used: bool) -> Fate {
    if used { Fate::Used } else { Fate::Passes }
}

/// Whether a name or pattern in a list means the column.
fn covers(e: &Expr, name: &Name) -> bool {
    match &e.node {
        ExprKind::Name(n) => n == name,
        ExprKind::Star => true,
        ExprKind::Wildcard(w) => crate::wildcard_matches(w, name),
        _ => false,
    }
}

/// Whether an expression reads the column, or may: `*` and functions of the whole row read all. A
/// subquery has rows of its own, but may be of this very table under another name, so it counts.
fn reads(e: &Expr, name: &Name) -> bool {
    let mut found = false;
    walk(e, &mut |e| match &e.node {
        ExprKind::Name(n) => found |= n == name,
        ExprKind::Star | ExprKind::Wildcard(_) => found = true,
        ExprKind::Path { steps, .. } => {
            // `$left.x` names a column by its step.
            found |= steps.iter().any(|s| matches!(s, Step::Member(n) if n.node == *name));
        }
        ExprKind::Call(c) => {
            found |= matches!(
                &*c.name.node,
                "pack_all" | "bag_pack_columns" | "column_ifexists" | "columnifexists" | "column_names_of"
            );
        }
        _ => {}
    });
    found
}

/// Names that are used.
#[derive(Default)]
struct Used {
    names: HashSet<Name>,
    /// Whether tables are taken by pattern, or by a name that is computed.
    wildcard: bool,
}

impl Used {
    fn expr(&mut self, e: &Expr) {
        walk(e, &mut |e| match &e.node {
            ExprKind::Name(n) => {
                self.names.insert(n.clone());
            }
            ExprKind::Wildcard(_) | ExprKind::Star => self.wildcard = true,
            ExprKind::Call(c) => {
                self.names.insert(c.name.node.clone());
                if &*c.name.node == "table" {
                    self.table_by_text(c);
                }
            }
            _ => {}
        });
    }

    /// `table("name")` may mean a `let`.
    fn table_by_text(&mut self, c: &Call) {
        for a in &c.arguments {
            if let ExprKind::Literal(crate::ast::Literal::String { value, .. }) = &a.value.node {
                self.names.insert(value.clone());
            }
        }
    }

    fn statement(&mut self, s: &Statement) {
        match &s.node {
            StatementKind::Let { value, .. }
            | StatementKind::Query(value)
            | StatementKind::Alias { value, .. } => {
                self.expr(value);
            }
            StatementKind::Function { function, .. } => self.function(function),
            StatementKind::Restrict(list) => list.iter().for_each(|e| self.expr(e)),
            StatementKind::Pattern(p) => {
                for r in &p.rules {
                    r.body.iter().for_each(|s| self.statement(s));
                }
            }
            StatementKind::Set { .. } | StatementKind::QueryParameters(_) | StatementKind::Error => {}
        }
    }

    fn function(&mut self, f: &Function) {
        f.body.iter().for_each(|s| self.statement(s));
    }
}

/// Calls `f` for an expression and everything inside it, the operators of its pipelines included.
fn walk(e: &Expr, f: &mut impl FnMut(&Expr)) {
    crate::ast::visit::expr(e, f);
}
