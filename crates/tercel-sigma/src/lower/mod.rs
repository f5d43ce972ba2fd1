//! From a rule to a relation: the events of its log source for which the detection is true.

mod encode;
mod field;
mod item;
mod keyword;
mod regex;
mod value;

pub(crate) use regex::translate;
pub(crate) use value::{Piece, pieces};

use crate::ast::{Detection, Document, FilterRule, LogSource, Rule, SearchBody, Spanned};
use crate::condition::{Condition, Expression, Quantifier};
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

/// Lowers a document by itself. A correlation has no relation of its own, and neither has a filter; for a
/// filter the findings of [`check_filter`] come back. Of a rule with an old aggregation the relation holds
/// the events that are aggregated (see [`crate::correlation`]).
pub fn lower_document(
    document: &Document,
    catalog: &dyn Catalog,
    options: &Options,
) -> (Option<Rel>, Diagnostics) {
    match document {
        Document::Rule(rule) => lower(rule, catalog, options),
        Document::Correlation(_) => (None, Diagnostics::new()),
        Document::Filter(f) => (None, check_filter(f, catalog, options)),
    }
}

/// What is to be said about the searches of a filter against the events of its log source.
pub fn check_filter(filter: &FilterRule, catalog: &dyn Catalog, options: &Options) -> Diagnostics {
    let (place, source) = (filter.span.span, &filter.logsource);
    match Lowering::new(filter.broken, place, source, catalog, options) {
        Err(found) => found,
        Ok(mut l) => {
            l.detection(&filter.detection);
            l.sink.finish()
        }
    }
}

/// Lowers a detection rule to the events of its log source that it matches. `None` comes with at least
/// one error.
pub fn lower(rule: &Rule, catalog: &dyn Catalog, options: &Options) -> (Option<Rel>, Diagnostics) {
    lower_filtered(rule, &[], catalog, options)
}

/// Lowers a detection rule with filters: an event must satisfy the rule and the condition of each filter.
/// A filter that cannot be lowered against the events of the rule is left out with a warning, since
/// fewer filters mean more hits, never fewer. What else is to be said about a filter, [`check_filter`] says
/// at its own place.
pub fn lower_filtered(
    rule: &Rule,
    filters: &[&FilterRule],
    catalog: &dyn Catalog,
    options: &Options,
) -> (Option<Rel>, Diagnostics) {
    let mut l = match Lowering::new(rule.broken, rule.span.span, &rule.logsource, catalog, options) {
        Ok(l) => l,
        Err(found) => return (None, found),
    };
    if let Some(t) = rule.meta.taxonomy.as_ref().filter(|t| t.node != "sigma") {
        l.sink.push(
            Diagnostic::warning("unknown-taxonomy", format!("the rule uses the field names of `{}`", t.node))
                .at(t.span)
                .meaning("they are taken for Sigma's own, which may be wrong"),
        );
    }
    let predicate = l.detection(&rule.detection);
    let predicate = match predicate {
        Some(p) if !l.failed => p,
        _ => return (None, l.sink.finish()),
    };
    let span = rule.detection.span.span;
    let mut all = vec![predicate];
    for f in filters {
        all.extend(l.filter(f));
    }
    let Lowering { relation, sink, .. } = l;
    (Some(relation.filter(Expr::and(all, span), span)), sink.finish())
}

/// The log source as the catalog asks for it.
pub(crate) fn source(l: &LogSource) -> tercel_ir::catalog::LogSource<'_> {
    tercel_ir::catalog::LogSource {
        category: l.category.as_ref().map(|t| t.node.as_str()),
        product: l.product.as_ref().map(|t| t.node.as_str()),
        service: l.service.as_ref().map(|t| t.node.as_str()),
    }
}

/// Places in one text mean nothing in another.
fn reset_places(e: &mut Expr) {
    e.span = Span::default();
    e.children_mut().into_iter().for_each(reset_places);
}

/// The state of one lowering.
struct Lowering<'o> {
    relation: Rel,
    options: &'o Options,
    sink: Sink,
    /// Whether an error has been reported.
    failed: bool,
    /// What has been lowered, with its number of nodes: a search may be named many times. One that is named
    /// once is not kept.
    searches: HashMap<String, (Expr, usize)>,
    /// Whether any search of the conditions at hand may be named more than once.
    repeated: bool,
    /// Fields that something has been said about: once a rule is enough.
    reported: HashSet<String>,
    /// Nodes of the whole predicate so far.
    nodes: usize,
}

impl<'o> Lowering<'o> {
    /// Ready to lower what stands at `place`, against the events of its log source.
    fn new(
        broken: bool,
        place: Span,
        logsource: &LogSource,
        catalog: &dyn Catalog,
        options: &'o Options,
    ) -> Result<Lowering<'o>, Diagnostics> {
        let mut sink = Sink::new(MAX_FINDINGS);
        if broken {
            sink.push(
                Diagnostic::error("broken-rule", "parts of the rule could not be read")
                    .at(Span::new(place.start as usize, place.start as usize))
                    .meaning(
                        "what is left of it would match other events than its author meant, so it does not run",
                    ),
            );
            return Err(sink.finish());
        }
        match catalog.log_source(source(logsource)) {
            Ok(relation) => Ok(Lowering {
                relation,
                options,
                sink,
                failed: false,
                searches: HashMap::new(),
                repeated: true,
                reported: HashSet::new(),
                nodes: 0,
            }),
            Err(mut d) => {
                d.span = d.span.or(Some(logsource.span.span));
                sink.push(d);
                Err(sink.finish())
            }
        }
    }

    /// The condition of a filter against the events of the rule.
    fn filter(&mut self, f: &FilterRule) -> Option<Expr> {
        let name =
            f.meta.title.as_ref().or(f.meta.id.as_ref()).map_or("without a title", |t| t.node.as_str());
        // The filter has names and findings of its own; only the budget of the rule is shared.
        let rule_sink = std::mem::replace(&mut self.sink, Sink::new(MAX_FINDINGS));
        self.searches.clear();
        let predicate = if f.broken { None } else { self.detection(&f.detection) };
        let failed = std::mem::take(&mut self.failed);
        let found = std::mem::replace(&mut self.sink, rule_sink).finish();
        match predicate {
            Some(mut p) if !failed => {
                reset_places(&mut p);
                Some(p)
            }
            _ => {
                let why = found.iter().find(|d| d.severity == tercel_ir::Severity::Error);
                let why = why.map_or("it could not be read", |d| d.message.as_str());
                let message = format!("the filter \u{201c}{name}\u{201d} is not applied: {why}");
                self.sink.push(
                    Diagnostic::warning("filter-not-applied", message).meaning(
                        "the rule runs without it, and may have hits that the filter would take away",
                    ),
                );
                None
            }
        }
    }
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
        self.repeated = repeats(d);
        let mut any = Vec::with_capacity(d.conditions.len());
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
        // What an aggregation makes of these events is a matter of the plan of its correlation.
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
        if let Some((e, nodes)) = self.searches.get(name).filter(|_| self.repeated).cloned() {
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
        if self.repeated {
            self.searches.insert(name.to_string(), (e.clone(), nodes));
        }
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
    1 + e.parts().map(count).sum::<usize>()
}

/// Whether the conditions name some search more than once.
fn repeats(d: &Detection) -> bool {
    fn walk<'d>(d: &'d Detection, e: &'d Expression, seen: &mut HashSet<&'d str>) -> bool {
        match e {
            Expression::Search(name) => !seen.insert(name),
            Expression::Of(_, target) => {
                let names = d.searches.iter().map(|s| s.name.node.as_str());
                names.filter(|n| target.node.matches(n)).any(|n| !seen.insert(n))
            }
            Expression::Not(inner) => walk(d, &inner.node, seen),
            Expression::And(items) | Expression::Or(items) => items.iter().any(|i| walk(d, &i.node, seen)),
            Expression::Prose(_) => false,
        }
    }
    let mut seen = HashSet::new();
    d.conditions.iter().any(|c| walk(d, &c.expr.node, &mut seen))
}
