//! Findings over a relation: what can never be true, what an earlier filter has already taken away.

use crate::facts::Facts;
use crate::outcome::{Computed, judge};
use std::collections::HashMap;
use std::sync::Arc;
use tercel_ir::rel::domain_of;
use tercel_ir::{Diagnostic, Diagnostics, Domain, Expr, ExprKind, Name, Rel, RelKind, Schema, Type, Value};

/// Findings for the author of a rule. Places are in the rule's text; what lies inside views is used, but
/// not reported.
pub fn lint(rel: &Rel) -> Vec<Diagnostic> {
    let mut pass = Pass::default();
    pass.walk(rel, false);
    pass.found.into_sorted()
}

/// Why the relation can have no row, whatever the data; `None` when it may have some.
pub fn never_fires(rel: &Rel) -> Option<Diagnostic> {
    Reach::default().never_fires(rel)
}

/// Asks many relations whether they can have rows. What is known of a view is worked out once: thousands
/// of rules read the same few.
#[derive(Default)]
pub struct Reach {
    views: Views,
}

impl Reach {
    /// See [`never_fires`].
    pub fn never_fires(&mut self, rel: &Rel) -> Option<Diagnostic> {
        self.pass(|pass| match &rel.kind {
            // What the last condition lets through nobody asks.
            RelKind::Filter { input, predicate } => pass.passes_nothing(input, predicate),
            _ => pass.walk(rel, false).dead,
        })
    }

    /// Why no row of a relation can pass a condition; `None` when one may.
    pub fn never_passes(&mut self, input: &Rel, predicate: &Expr) -> Option<Diagnostic> {
        self.pass(|pass| pass.passes_nothing(input, predicate))
    }

    fn pass(&mut self, ask: impl FnOnce(&mut Pass) -> Option<Diagnostic>) -> Option<Diagnostic> {
        let views = Some(std::mem::take(&mut self.views));
        let mut pass = Pass { quiet: true, views, ..Pass::default() };
        let dead = ask(&mut pass);
        self.views = pass.views.unwrap_or_default();
        dead
    }
}

/// What is known of the rows of views, by the address of their bodies, which are kept so that each address
/// stays that of its body.
type Views = HashMap<usize, (Arc<Rel>, State)>;

/// More views than this come from no set of rules that share them.
const MAX_VIEWS: usize = 4096;

/// What is known about the rows of a relation.
#[derive(Clone, Default)]
struct State {
    facts: Facts,
    computed: Computed,
    /// There are no rows, and why.
    dead: Option<Diagnostic>,
}

#[derive(Default)]
struct Pass {
    found: Diagnostics,
    /// Only whether there can be rows is asked.
    quiet: bool,
    views: Option<Views>,
}

impl Pass {
    fn walk(&mut self, rel: &Rel, in_view: bool) -> State {
        match &rel.kind {
            RelKind::Scan { .. } => State::default(),
            RelKind::Values { rows } => State {
                dead: rows
                    .is_empty()
                    .then(|| Diagnostic::note("no-rows", "there are no rows to search here")),
                ..State::default()
            },
            RelKind::View { body, .. } => {
                let address = Arc::as_ptr(body) as usize;
                if let Some((_, known)) = self.views.as_ref().and_then(|v| v.get(&address)) {
                    return known.clone();
                }
                let s = self.walk(body, true);
                if let Some(views) = self.views.as_mut().filter(|v| v.len() < MAX_VIEWS) {
                    views.insert(address, (body.clone(), s.clone()));
                }
                s
            }
            RelKind::Filter { input, predicate } => {
                let mut s = self.walk(input, in_view);
                let known = s.dead.is_some();
                self.check(predicate, &input.schema, &s, in_view, true);
                if !known && let Some(why) = self.refuted(predicate, &input.schema, &s) {
                    if !in_view {
                        self.found.push(why.clone());
                    }
                    s.dead = Some(why);
                }
                s.facts.learn(predicate, in_view);
                s
            }
            RelKind::Extend { input, columns } => {
                let before = self.walk(input, in_view);
                let mut s = before.clone();
                for (name, e) in columns {
                    self.check(e, &input.schema, &before, in_view, false);
                    s.facts.forget(name);
                    s.computed.remove(name);
                    if e.ty == Type::Bool {
                        s.computed
                            .insert(name.clone(), judge(e, &input.schema, &before.computed, &before.facts));
                    }
                }
                s
            }
            RelKind::Project { input, columns } => {
                let before = self.walk(input, in_view);
                let mut kept: Vec<(Name, Name)> = Vec::new();
                let mut computed = Computed::new();
                for (name, e) in columns {
                    self.check(e, &input.schema, &before, in_view, false);
                    if let Some(old) = e.as_column() {
                        kept.push((name.clone(), old.clone()));
                    }
                    if e.ty == Type::Bool {
                        computed
                            .insert(name.clone(), judge(e, &input.schema, &before.computed, &before.facts));
                    }
                }
                State { facts: before.facts.renamed(&kept), computed, dead: before.dead }
            }
            RelKind::Aggregate { input, keys, aggregations } => {
                let before = self.walk(input, in_view);
                for e in rel.expressions() {
                    self.check(e, &input.schema, &before, in_view, false);
                }
                let kept: Vec<(Name, Name)> = keys
                    .iter()
                    .filter_map(|(n, e)| e.as_column().map(|old| (n.clone(), old.clone())))
                    .collect();
                let _ = aggregations;
                State {
                    facts: before.facts.renamed(&kept),
                    computed: Computed::new(),
                    // Without keys there is always one row.
                    dead: before.dead.filter(|_| !keys.is_empty()),
                }
            }
            RelKind::Sort { input, .. } => self.walk(input, in_view),
            RelKind::Limit { input, count, .. } => {
                let mut s = self.walk(input, in_view);
                if *count == 0 && s.dead.is_none() {
                    s.dead =
                        Some(Diagnostic::note("no-rows", "a limit of 0 lets no row through").at(rel.span));
                }
                s
            }
            RelKind::Unnest { input, columns, .. } => {
                let mut s = self.walk(input, in_view);
                columns.iter().for_each(|c| s.facts.forget(c));
                s
            }
            RelKind::Union { inputs, .. } => {
                let states: Vec<State> = inputs.iter().map(|i| self.walk(i, in_view)).collect();
                // A union is dead when every input is; the last one speaks for all. What holds in one
                // input need not hold in the others, so facts end here.
                let all_dead = !states.is_empty() && states.iter().all(|s| s.dead.is_some());
                State {
                    dead: states.into_iter().next_back().and_then(|s| s.dead).filter(|_| all_dead),
                    ..State::default()
                }
            }
            RelKind::Join { left, right, kind, .. } => {
                use tercel_ir::JoinKind as J;
                let (l, r) = (self.walk(left, in_view), self.walk(right, in_view));
                let dead = match kind {
                    J::Inner | J::InnerUnique | J::LeftSemi | J::RightSemi => l.dead.or(r.dead),
                    J::LeftOuter | J::LeftAnti => l.dead,
                    J::RightOuter | J::RightAnti => r.dead,
                    J::FullOuter => l.dead.filter(|_| r.dead.is_some()),
                };
                State { dead, ..State::default() }
            }
        }
    }

    fn passes_nothing(&mut self, input: &Rel, predicate: &Expr) -> Option<Diagnostic> {
        let s = self.walk(input, false);
        match s.dead {
            Some(why) => Some(why),
            None => self.refuted(predicate, &input.schema, &s),
        }
    }

    /// Why a filter with this predicate passes no row.
    fn refuted(&self, e: &Expr, schema: &Schema, s: &State) -> Option<Diagnostic> {
        if !judge(e, schema, &s.computed, &s.facts).never_true() {
            return None;
        }
        // Blame the smallest part that is false by itself.
        if let ExprKind::And(items) = &e.kind
            && let Some(part) = items.iter().find_map(|i| self.refuted(i, schema, s))
        {
            return Some(part);
        }
        let (what, help) = explain(e, schema);
        Some(
            Diagnostic::error("never-fires", format!("this condition is never true: {what}"))
                .at(e.span)
                .label("never true")
                .meaning("no event can pass, so the detection can never fire, and nothing tells you so when it runs")
                .help(help.unwrap_or_else(|| "compare with a value that the column can hold".into())),
        )
    }

    /// Parts of an expression that cannot do anything. `required` = the whole must be true for a row to
    /// pass; then a part that is never true is reported by [`Pass::refuted`] for the whole.
    fn check(&mut self, e: &Expr, schema: &Schema, s: &State, in_view: bool, required: bool) {
        if in_view || self.quiet {
            return;
        }
        match &e.kind {
            ExprKind::And(items) => items.iter().for_each(|i| self.check(i, schema, s, in_view, required)),
            ExprKind::Call(f, args) if e.ty == Type::Bool => {
                if !required && judge(e, schema, &s.computed, &s.facts).never_true() && reads_column(e) {
                    let (what, help) = explain(e, schema);
                    let mut d = Diagnostic::warning("never-true", format!("this part is never true: {what}"))
                        .at(e.span)
                        .meaning(
                            "the branch that it guards is dead; under a `not` the exclusion never bites",
                        );
                    d.help = help;
                    self.found.push(d);
                }
                if matches!(f.name, "eq" | "eq_ci" | "in" | "in_ci") {
                    self.shadowed(f.name, args, schema, s);
                }
                args.iter().for_each(|a| self.check(a, schema, s, in_view, false));
            }
            _ => e.children().into_iter().for_each(|c| self.check(c, schema, s, in_view, false)),
        }
    }

    /// Items of a list (or a single comparison) that an earlier filter has already excluded.
    fn shadowed(&mut self, function: &str, args: &[Expr], schema: &Schema, s: &State) {
        let Some(column) = args[0].as_column() else { return };
        if schema.get(column).is_some_and(|c| c.domain == Some(Domain::Never)) {
            return;
        }
        for item in &args[1..] {
            let Some(value @ Value::Str(text)) = item.as_literal() else { continue };
            let fact = if function.ends_with("_ci") {
                s.facts.refusing_any_case(column, text)
            } else {
                s.facts.refusing(column, value)
            };
            let Some(fact) = fact else { continue };
            let mut d = Diagnostic::warning(
                "shadowed-item",
                format!(
                    "`{text}` can never match here: an earlier filter on {column} has already excluded it"
                ),
            )
            .at(item.span)
            .label("excluded before")
            .meaning(format!("events of `{text}` are dropped before this test, so it never sees one"))
            .help("take it out of the exclusion, or out of this list");
            if let Some(span) = fact.span {
                d = d.related(span, "excluded here");
            }
            self.found.push(d);
        }
    }
}

fn reads_column(e: &Expr) -> bool {
    let mut c = Vec::new();
    e.columns(&mut c);
    !c.is_empty()
}

/// What the columns of a test can hold, in words; and a fix where one is known.
fn explain(e: &Expr, schema: &Schema) -> (String, Option<String>) {
    let mut columns = Vec::new();
    e.columns(&mut columns);
    let Some((name, _)) = columns.first() else { return ("it is constant".into(), None) };
    let column = schema.get(name);
    let domain = column.and_then(|c| c.domain.clone()).or_else(|| domain_of(schema, e));
    let mut values = Vec::new();
    collect_text(e, &mut values);
    match domain {
        Some(Domain::Values { values: allowed, .. }) => {
            let list: Vec<&str> = allowed.iter().map(String::as_str).collect();
            (format!("{name} holds only {}", list.join(", ")), suggestion(name, &values, &list))
        }
        Some(Domain::Never) => {
            (format!("no source fills {name} here"), Some(format!("test another column than {name}")))
        }
        Some(Domain::Range { from, to }) => (format!("{name} holds numbers from {from} to {to}"), None),
        Some(Domain::FileName) => (
            format!("{name} is a file name without its folder, and the text has a path separator"),
            Some("compare with the bare file name, or use the column with the full path".into()),
        ),
        _ => (format!("no value of {name} that gets here passes it"), None),
    }
}

fn collect_text(e: &Expr, out: &mut Vec<String>) {
    if let ExprKind::Literal(Value::Str(s)) = &e.kind {
        out.push(s.clone());
    }
    e.children().into_iter().for_each(|c| collect_text(c, out));
}

/// Renamed fields whose values were not translated are the usual cause; the pairs are those of the
/// mapping between Sysmon's `Initiated` and the direction of a session.
fn suggestion(column: &str, given: &[String], allowed: &[&str]) -> Option<String> {
    let first = given.first()?;
    if column == "NetworkDirection" {
        let to = match first.to_ascii_lowercase().as_str() {
            "true" => "Outbound",
            "false" => "Inbound",
            _ => "",
        };
        if !to.is_empty() {
            return Some(format!("Sysmon's `Initiated: {first}` is `NetworkDirection == \"{to}\"`"));
        }
    }
    tercel_ir::diag::nearest(first, allowed.iter().copied()).map(|n| format!("did you mean \"{n}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tercel_ir::{Column, Span};

    fn text(s: &str, at: usize) -> Expr {
        Expr::literal(Value::str(s), Span::new(at, at + 1))
    }
    fn col(n: &str) -> Expr {
        Expr::column(n, Type::String, Span::new(0, 1))
    }
    fn table() -> Rel {
        let direction =
            Domain::Values { values: ["Inbound".to_string(), "Outbound".into()].into(), closed: true };
        Rel {
            kind: RelKind::Scan { table: "T".into() },
            schema: Schema::new(vec![
                Column::new("Direction", Type::String).with_domain(direction),
                Column::new("Name", Type::String).with_domain(Domain::FileName),
                Column::new("Port", Type::Int).with_domain(Domain::Range { from: 0, to: 65535 }),
            ]),
            span: Span::default(),
        }
    }
    fn codes(r: &Rel) -> Vec<&'static str> {
        lint(r).iter().map(|d| d.code).collect()
    }

    #[test]
    fn enumeration_value_that_cannot_occur() {
        let r = table().filter(
            Expr::known("eq_ci", vec![col("Direction"), text("true", 5)], Span::new(2, 9)),
            Span::default(),
        );
        assert_eq!(codes(&r), ["never-fires"]);
        assert!(never_fires(&r).is_some());
        let ok = table().filter(
            Expr::known("eq_ci", vec![col("Direction"), text("outbound", 5)], Span::default()),
            Span::default(),
        );
        assert!(codes(&ok).is_empty());
        // Under `or` only the branch is dead.
        let both = Expr::or(
            vec![
                Expr::known("eq_ci", vec![col("Direction"), text("true", 5)], Span::new(2, 9)),
                Expr::known("eq_ci", vec![col("Name"), text("a.exe", 6)], Span::new(10, 12)),
            ],
            Span::default(),
        );
        let r = table().filter(both, Span::default());
        assert_eq!(codes(&r), ["never-true"]);
        assert!(never_fires(&r).is_none());
        // A negation of what is never true is always true, not dead.
        let not = Expr::not(
            Expr::known("eq", vec![col("Direction"), text("true", 5)], Span::default()),
            Span::default(),
        );
        assert!(never_fires(&table().filter(not, Span::default())).is_none());
    }

    #[test]
    fn ports_and_paths() {
        let port = Expr::column("Port", Type::Int, Span::default());
        let p = |n| Expr::literal(Value::Long(n), Span::default());
        for (f, n, dead) in [
            ("eq", 70_000, true),
            ("eq", 443, false),
            ("gt", 65_535, true),
            ("ge", 65_535, false),
            ("lt", 0, true),
        ] {
            let r =
                table().filter(Expr::known(f, vec![port.clone(), p(n)], Span::default()), Span::default());
            assert_eq!(never_fires(&r).is_some(), dead, "{f} {n}");
        }
        let r = table().filter(
            Expr::known("endswith", vec![col("Name"), text("\\excel.exe", 1)], Span::default()),
            Span::default(),
        );
        assert!(never_fires(&r).is_some());
    }

    #[test]
    fn item_excluded_before() {
        let not_in = Expr::not(
            Expr::known(
                "in_ci",
                vec![col("Name"), text("a.exe", 1), text("MSIEXEC.exe", 2)],
                Span::default(),
            ),
            Span::new(0, 9),
        );
        let flag = Expr::known(
            "in_ci",
            vec![col("Name"), text("msiexec.exe", 20), text("b.exe", 21)],
            Span::default(),
        );
        let r = table()
            .filter(not_in.clone(), Span::default())
            .extend(vec![("L".into(), flag.clone())], Span::default());
        let found = lint(&r);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].code, found[0].span), ("shadowed-item", Some(Span::new(20, 21))));
        // An exclusion that minds case leaves other spellings.
        let exact = Expr::not(
            Expr::known("in", vec![col("Name"), text("msiexec.exe", 1)], Span::default()),
            Span::default(),
        );
        assert!(
            lint(&table().filter(exact, Span::default()).extend(vec![("L".into(), flag)], Span::default()))
                .is_empty()
        );
    }
}
