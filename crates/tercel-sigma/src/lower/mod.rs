//! From a rule to a relation: the events of its log source for which the detection is true.

mod encode;
mod field;
mod item;
mod keyword;
mod regex;
mod value;

use crate::ast::{Detection, Document, LogSource, Rule, SearchBody, Spanned};
use crate::condition::{Aggregation, Condition, Expression, Quantifier};
use crate::sink::Sink;
use std::collections::{BTreeMap, HashMap, HashSet};
use tercel_ir::{Catalog, Diagnostic, Diagnostics, Expr, Rel, Span, Value};

/// What lowering needs to know beside the rule.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What `%name%` stands for in values with the `expand` modifier. The texts are Sigma values: their
    /// wildcards count.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

/// An expression of a rule may have so many nodes; a condition that names a large search over and over
/// would otherwise multiply it.
const MAX_NODES: usize = 500_000;

/// Findings after which no more are reported.
const MAX_FINDINGS: usize = 200;

/// Lowers a document. Only detection rules can be lowered; the others are refused by name.
pub fn lower_document(
    document: &Document,
    catalog: &dyn Catalog,
    options: &Options,
) -> (Option<Rel>, Diagnostics) {
    let refused = |what: String, at: Span| {
        let mut found = Diagnostics::new();
        found.push(
            Diagnostic::error("unsupported-construct", format!("{what} is not supported yet"))
                .at(at)
                .meaning("the rule does not run"),
        );
        (None, found)
    };
    match document {
        Document::Rule(rule) => lower(rule, catalog, options),
        Document::Correlation(c) => match c.correlation.kind {
            Some(kind) => refused(format!("a correlation rule (`{}`)", kind.node.as_str()), kind.span),
            None => refused("a correlation rule".into(), c.correlation.span.span),
        },
        Document::Filter(f) => refused("a filter rule".into(), f.detection.span.span),
    }
}

/// Lowers a detection rule to the events of its log source that it matches. `None` comes with at least
/// one error.
pub fn lower(rule: &Rule, catalog: &dyn Catalog, options: &Options) -> (Option<Rel>, Diagnostics) {
    let mut sink = Sink::new(MAX_FINDINGS);
    if rule.broken {
        sink.push(
            Diagnostic::error("broken-rule", "parts of the rule could not be read")
                .at(Span::new(rule.span.span.start as usize, rule.span.span.start as usize))
                .meaning(
                    "what is left of it would match other events than its author meant, so it does not run",
                ),
        );
        return (None, sink.finish());
    }
    let relation = match catalog.log_source(source(&rule.logsource)) {
        Ok(r) => r,
        Err(mut d) => {
            d.span = d.span.or(Some(rule.logsource.span.span));
            sink.push(d);
            return (None, sink.finish());
        }
    };
    if let Some(t) = rule.meta.taxonomy.as_ref().filter(|t| t.node != "sigma") {
        sink.push(
            Diagnostic::warning("unknown-taxonomy", format!("the rule uses the field names of `{}`", t.node))
                .at(t.span)
                .meaning("they are taken for Sigma's own, which may be wrong"),
        );
    }
    let mut l = Lowering {
        relation,
        options,
        sink,
        failed: false,
        searches: HashMap::new(),
        reported: HashSet::new(),
        nodes: 0,
    };
    let predicate = l.detection(&rule.detection);
    let Lowering { relation, sink, failed, .. } = l;
    let found = sink.finish();
    match predicate {
        Some(p) if !failed => {
            let span = rule.detection.span.span;
            (Some(relation.filter(p, span)), found)
        }
        _ => (None, found),
    }
}

/// The log source as the catalog asks for it.
pub(crate) fn source(l: &LogSource) -> tercel_ir::catalog::LogSource<'_> {
    tercel_ir::catalog::LogSource {
        category: l.category.as_ref().map(|t| t.node.as_str()),
        product: l.product.as_ref().map(|t| t.node.as_str()),
        service: l.service.as_ref().map(|t| t.node.as_str()),
    }
}

/// The state of one lowering.
struct Lowering<'o> {
    relation: Rel,
    options: &'o Options,
    sink: Sink,
    /// Whether an error has been reported.
    failed: bool,
    /// What has been lowered, with its number of nodes: a search may be named many times.
    searches: HashMap<String, (Expr, usize)>,
    /// Fields that something has been said about: once a rule is enough.
    reported: HashSet<String>,
    /// Nodes of the whole predicate so far.
    nodes: usize,
}

impl Lowering<'_> {
    /// Reports an error; the expression only stands where one must.
    fn fail(&mut self, d: Diagnostic) -> Expr {
        self.failed = true;
        let span = d.span.unwrap_or_default();
        let d = if d.meaning.is_none() { d.meaning("the rule does not run") } else { d };
        self.sink.push(d);
        Expr::boolean(false, span)
    }

    /// Takes nodes from the budget of the rule; false when it is used up (which has been reported).
    fn take(&mut self, nodes: usize, span: Span) -> bool {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return true;
        }
        self.fail(
            Diagnostic::error("rule-too-large", format!("the rule unfolds to more than {MAX_NODES} tests"))
                .at(span),
        );
        false
    }

    fn detection(&mut self, d: &Detection) -> Option<Expr> {
        let mut any = Vec::new();
        for c in &d.conditions {
            any.push(self.condition(d, c));
        }
        let aggregated = d.conditions.iter().any(|c| c.aggregation.is_some());
        if let Some(t) = d.timeframe.as_ref().filter(|_| !aggregated) {
            self.sink.push(
                Diagnostic::warning("unused-timeframe", "a `timeframe` without an aggregation")
                    .at(t.span)
                    .meaning("it has no effect: every matching event is a hit"),
            );
        }
        if d.conditions.is_empty() {
            self.fail(
                Diagnostic::error("missing-condition", "the detection has no condition").at(d.span.span),
            );
            return None;
        }
        Some(Expr::or(any, d.span.span))
    }

    fn condition(&mut self, d: &Detection, c: &Condition) -> Expr {
        if let Some(a) = &c.aggregation {
            let what = match &a.node {
                Aggregation::Near(_) => "`near` in a condition".to_string(),
                Aggregation::Reckon { function, .. } => {
                    format!("the aggregation `{}` in a condition", function.node)
                }
            };
            return self.fail(
                Diagnostic::error("unsupported-construct", format!("{what} is not supported"))
                    .at(a.span)
                    .help(
                        "Sigma 2 has correlation rules for this: `event_count`, `value_count`, `temporal`, …",
                    ),
            );
        }
        self.expression(d, &c.expr)
    }

    /// Depth is bounded by the parser.
    fn expression(&mut self, d: &Detection, e: &Spanned<Expression>) -> Expr {
        match &e.node {
            Expression::Search(name) => self.search(d, name, e.span),
            Expression::Prose(_) => self.fail(
                Diagnostic::error("invalid-condition", "the condition is no condition but prose").at(e.span),
            ),
            Expression::Not(inner) => {
                let inner = self.expression(d, inner);
                Expr::not(inner, e.span)
            }
            Expression::And(items) => {
                let items = items.iter().map(|i| self.expression(d, i)).collect();
                Expr::and(items, e.span)
            }
            Expression::Or(items) => {
                let items = items.iter().map(|i| self.expression(d, i)).collect();
                Expr::or(items, e.span)
            }
            Expression::Of(quantifier, target) => {
                let names: Vec<&str> = d
                    .searches
                    .iter()
                    .map(|s| s.name.node.as_str())
                    .filter(|n| target.node.matches(n))
                    .collect();
                if names.is_empty() {
                    return self.fail(
                        Diagnostic::error("missing-search", "no search has a name that this means")
                            .at(target.span),
                    );
                }
                let items: Vec<Expr> = names.iter().map(|n| self.search(d, n, e.span)).collect();
                self.quantified(*quantifier, items, e.span)
            }
        }
    }

    fn quantified(&mut self, quantifier: Quantifier, items: Vec<Expr>, span: Span) -> Expr {
        match quantifier {
            Quantifier::All => Expr::and(items, span),
            Quantifier::AtLeast(1) => Expr::or(items, span),
            Quantifier::AtLeast(0) => {
                self.sink.push(
                    Diagnostic::warning("constant-condition", "`0 of` is always true")
                        .at(span)
                        .help("for `none of them` write `not 1 of …`"),
                );
                Expr::boolean(true, span)
            }
            Quantifier::AtLeast(n) if n as usize > items.len() => {
                self.sink.push(
                    Diagnostic::warning(
                        "constant-condition",
                        format!("{n} of only {} searches can never be", items.len()),
                    )
                    .at(span),
                );
                Expr::boolean(false, span)
            }
            Quantifier::AtLeast(n) => {
                // Every search is true or false, never null, so their sum as numbers is how many hold.
                let count = items
                    .into_iter()
                    .map(|i| Expr::known("tolong", vec![i], span))
                    .reduce(|a, b| Expr::known("add", vec![a, b], span))
                    .unwrap_or_else(|| Expr::literal(Value::Long(0), span));
                Expr::known("ge", vec![count, Expr::literal(Value::Long(i64::from(n)), span)], span)
            }
        }
    }

    fn search(&mut self, d: &Detection, name: &str, span: Span) -> Expr {
        if let Some((e, nodes)) = self.searches.get(name).cloned() {
            return if self.take(nodes, span) { e } else { Expr::boolean(false, span) };
        }
        let Some(search) = d.search(name) else {
            return self.fail(
                Diagnostic::error(
                    "missing-search",
                    format!("the condition names `{name}`, and there is no such search"),
                )
                .at(span),
            );
        };
        let before = self.nodes;
        let e = self.body(&search.body);
        let nodes = count(&e);
        self.nodes = before;
        if !self.take(nodes, span) {
            return Expr::boolean(false, span);
        }
        self.searches.insert(name.to_string(), (e.clone(), nodes));
        e
    }

    /// Depth is bounded by the YAML reader.
    fn body(&mut self, body: &Spanned<SearchBody>) -> Expr {
        match &body.node {
            SearchBody::Map(items) => {
                let items = items.iter().map(|i| self.item(i)).collect();
                Expr::and(items, body.span)
            }
            SearchBody::List(list) => {
                let items = list.iter().map(|b| self.body(b)).collect();
                Expr::or(items, body.span)
            }
            SearchBody::Keyword(value) => self.keyword(value),
        }
    }
}

/// Nodes of an expression.
fn count(e: &Expr) -> usize {
    1 + e.children().into_iter().map(count).sum::<usize>()
}
