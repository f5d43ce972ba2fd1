//! From the references of correlations (ids and names, in any file of a run) to plans.

use super::{Key, Kind, Plan, RuleExpr, RuleRef, Target, Trigger, legacy};
use crate::ast::{
    Alias, Comparison, CorrelationCondition, CorrelationRule, CorrelationType, Document, Spanned, Text,
};
use crate::condition::{Expression, Quantifier};
use std::collections::HashMap;
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// Correlations of correlations may stand so deep; deeper ones are an error.
pub const MAX_CHAIN: usize = 32;

/// Names that are searched for suggestions; with more rules, looking at each costs more than it helps.
const MAX_SUGGESTIONS: usize = 5_000;

/// A document of a run.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'d> {
    /// What was read; `None` keeps the place of something that is no Sigma document.
    pub document: Option<&'d Document>,
    /// Documents of the same text have the same number: a reference means its neighbours first.
    pub file: usize,
}

/// What became of a document.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Of a correlation, or of a rule with an old aggregation, unless there are errors.
    pub plan: Option<Plan>,
    /// What is to be said, with places in the text of the document.
    pub found: Diagnostics,
}

/// Resolves the references among all documents of a run. What comes back belongs, place by place, to
/// `entries`, and [`Target::Rule`] counts in it. A correlation that refers to nothing, to itself or to
/// one that cannot run has an error and no plan; the others are not affected.
pub fn resolve(entries: &[Entry<'_>]) -> Vec<Resolution> {
    let index = Index::new(entries);
    let mut out: Vec<Resolution> = entries.iter().map(|_| Resolution::default()).collect();
    // The references of each correlation, with their places.
    let mut edges: Vec<Vec<(usize, Span)>> = vec![Vec::new(); entries.len()];
    for (at, e) in entries.iter().enumerate() {
        let Resolution { plan, found } = &mut out[at];
        match e.document {
            Some(Document::Rule(r)) if !r.broken => *plan = legacy::plan(r, found),
            Some(Document::Correlation(c)) if !c.broken => {
                *plan = Resolver { index: &index, at, rule: c, found, refs: Vec::new() }.plan(&mut edges[at]);
            }
            _ => {}
        }
    }
    let chains = Chains { entries, edges: &edges };
    chains.settle(&mut out);
    out
}

/// Documents by what they can be called.
struct Index<'d> {
    entries: &'d [Entry<'d>],
    by_id: HashMap<&'d str, Vec<usize>>,
    by_name: HashMap<&'d str, Vec<usize>>,
}

impl<'d> Index<'d> {
    fn new(entries: &'d [Entry<'d>]) -> Index<'d> {
        let mut index = Index { entries, by_id: HashMap::new(), by_name: HashMap::new() };
        for (i, e) in entries.iter().enumerate() {
            let Some(meta) = e.document.map(Document::meta) else { continue };
            if let Some(id) = &meta.id {
                index.by_id.entry(&id.node).or_default().push(i);
            }
            if let Some(name) = &meta.name {
                index.by_name.entry(&name.node).or_default().push(i);
            }
        }
        index
    }

    /// The documents that a reference may mean: by id, else by name; those of the same file where
    /// there are any.
    fn find(&self, reference: &str, file: usize) -> Vec<usize> {
        let Some(all) = self.by_id.get(reference).or_else(|| self.by_name.get(reference)) else {
            return Vec::new();
        };
        let near: Vec<usize> = all.iter().copied().filter(|i| self.entries[*i].file == file).collect();
        if near.is_empty() { all.clone() } else { near }
    }

    /// Whether a document is called that.
    fn is_called(&self, at: usize, name: &str) -> bool {
        let called = |t: &Option<Text>| t.as_ref().is_some_and(|t| t.node == name);
        self.entries[at].document.is_some_and(|d| called(&d.meta().id) || called(&d.meta().name))
    }

    fn suggestion(&self, reference: &str) -> Option<&str> {
        let names = self.by_name.keys().chain(self.by_id.keys()).copied();
        if self.by_name.len() + self.by_id.len() > MAX_SUGGESTIONS { None } else { nearest(reference, names) }
    }
}

struct Resolver<'r> {
    index: &'r Index<'r>,
    at: usize,
    rule: &'r CorrelationRule,
    found: &'r mut Diagnostics,
    /// The rules correlated: as written, and which document.
    refs: Vec<(&'r Text, usize)>,
}

impl<'r> Resolver<'r> {
    fn error(&mut self, code: &'static str, message: String, at: Span) {
        self.found.push(Diagnostic::error(code, message).at(at).meaning("the rule does not run"));
    }

    fn plan(mut self, edges: &mut Vec<(usize, Span)>) -> Option<Plan> {
        let c = &self.rule.correlation;
        for r in &c.rules {
            self.reference(r);
        }
        edges.extend(self.refs.iter().map(|(text, i)| (*i, text.span)));
        let kind = self.kind()?;
        let group_by = c.group_by.iter().map(|g| self.key(g)).collect();
        let (condition, fields) = self.condition(kind)?;
        self.idle_aliases();
        if self.found.has_errors() || self.refs.is_empty() {
            return None;
        }
        Some(Plan {
            kind,
            rules: self
                .refs
                .iter()
                .map(|(text, i)| RuleRef { name: text.node.clone(), target: Target::Rule(*i) })
                .collect(),
            group_by,
            timespan: c.timespan?.node.ticks(),
            condition,
            fields,
            generate: self.rule.generate.is_some_and(|g| g.node),
        })
    }

    fn reference(&mut self, r: &'r Text) {
        let file = self.index.entries[self.at].file;
        let meant = self.index.find(&r.node, file);
        let Some(&first) = meant.first() else {
            let mut d =
                Diagnostic::error("missing-reference", format!("no rule has the id or name `{}`", r.node))
                    .at(r.span)
                    .meaning("the correlation does not run");
            d = d.help(match self.index.suggestion(&r.node) {
                Some(n) => format!("did you mean `{n}`?"),
                None => "load the file of that rule too, or give the rule this `name`".to_string(),
            });
            self.found.push(d);
            return;
        };
        if first == self.at {
            self.error("self-reference", "the correlation refers to itself".into(), r.span);
            return;
        }
        if meant.len() > 1 {
            self.found.push(
                Diagnostic::warning(
                    "ambiguous-reference",
                    format!("{} rules have the id or name `{}`", meant.len(), r.node),
                )
                .at(r.span)
                .meaning("the first of them is taken")
                .help("refer to it by an id that no other rule has"),
            );
        }
        match self.index.entries[first].document {
            Some(Document::Filter(_)) => {
                self.error("missing-reference", format!("`{}` is a filter, not a rule", r.node), r.span);
            }
            // Lint says that it stands twice; twice the same events would be counted twice.
            _ if self.refs.iter().any(|(_, i)| *i == first) => {}
            _ => self.refs.push((r, first)),
        }
    }

    fn kind(&mut self) -> Option<Kind> {
        let c = &self.rule.correlation;
        Some(match c.kind?.node {
            CorrelationType::EventCount => Kind::EventCount,
            CorrelationType::ValueCount => Kind::ValueCount,
            CorrelationType::Temporal => Kind::Temporal,
            CorrelationType::TemporalOrdered => Kind::TemporalOrdered,
            CorrelationType::ValueSum => Kind::Sum,
            CorrelationType::ValueAvg => Kind::Avg,
            CorrelationType::ValueMedian => Kind::Percentile(50.0),
            CorrelationType::ValueMin => Kind::Min,
            CorrelationType::ValueMax => Kind::Max,
            CorrelationType::ValuePercentile => match c.condition.as_ref().map(|c| &c.node) {
                Some(CorrelationCondition::Compare { percentile: Some(p), .. }) => Kind::Percentile(p.node),
                _ => return None,
            },
        })
    }

    /// A field or alias, as each rule calls it.
    fn key(&mut self, name: &Text) -> Key {
        let alias = self.rule.correlation.aliases.iter().find(|a| a.name.node == name.node);
        let refs = self.refs.clone();
        let fields = refs.iter().map(|(text, i)| match alias {
            None => name.node.clone(),
            Some(alias) => match self.aliased(alias, text, *i) {
                Some(field) => field,
                None => {
                    self.found.push(
                        Diagnostic::warning(
                            "incomplete-alias",
                            format!(
                                "the alias `{}` does not say what `{}` calls it",
                                alias.name.node, text.node
                            ),
                        )
                        .at(alias.name.span)
                        .meaning(format!("in its events the field `{}` is read", alias.name.node)),
                    );
                    name.node.clone()
                }
            },
        });
        let fields = fields.collect();
        Key { name: name.node.clone(), fields }
    }

    /// The field of a rule: as the correlation calls the rule, or by its other name.
    fn aliased(&self, alias: &Alias, text: &Text, at: usize) -> Option<String> {
        let same = |rule: &Text| rule.node == text.node || self.index.is_called(at, &rule.node);
        alias.fields.iter().find(|(rule, _)| same(rule)).map(|(_, field)| field.node.clone())
    }

    /// Aliases for rules that are not correlated, and aliases that nothing uses.
    fn idle_aliases(&mut self) {
        let c = &self.rule.correlation;
        let fields = match c.condition.as_ref().map(|c| &c.node) {
            Some(CorrelationCondition::Compare { fields, .. }) => fields.as_slice(),
            _ => &[],
        };
        for alias in &c.aliases {
            for (rule, _) in &alias.fields {
                let known = self
                    .refs
                    .iter()
                    .any(|(t, i)| t.node == rule.node || self.index.is_called(*i, &rule.node));
                if !known {
                    self.found.push(
                        Diagnostic::warning(
                            "unused-alias",
                            format!("the alias is for `{}`, which is not among `rules`", rule.node),
                        )
                        .at(rule.span)
                        .meaning("this line has no effect"),
                    );
                }
            }
            if !c.group_by.iter().chain(fields).any(|f| f.node == alias.name.node) {
                self.found.push(
                    Diagnostic::warning(
                        "unused-alias",
                        format!("nothing uses the alias `{}`", alias.name.node),
                    )
                    .at(alias.name.span)
                    .help("name it in `group-by`"),
                );
            }
        }
    }

    fn condition(&mut self, kind: Kind) -> Option<(Trigger, Vec<Key>)> {
        let rules = self.refs.len();
        let temporal = matches!(kind, Kind::Temporal | Kind::TemporalOrdered);
        match &self.rule.correlation.condition {
            None if temporal => Some((Trigger::Compare(vec![(Comparison::Gte, rules as f64)]), Vec::new())),
            None => None,
            Some(Spanned { node: CorrelationCondition::Compare { comparisons, fields, .. }, span }) => {
                let trigger = Trigger::Compare(comparisons.iter().map(|(c, n)| (c.node, n.node)).collect());
                // A count is a whole number and at least 1 when it is looked at.
                let most = if temporal { rules as f64 } else { f64::MAX };
                if !matches!(kind, Kind::Sum | Kind::Avg | Kind::Percentile(_) | Kind::Min | Kind::Max)
                    && !reachable(&trigger, most)
                {
                    self.found.push(
                        Diagnostic::warning("constant-condition", "no count satisfies this condition")
                            .at(*span)
                            .meaning("the correlation never fires"),
                    );
                }
                let uses = !temporal && kind != Kind::EventCount;
                let fields = if uses { fields.iter().map(|f| self.key(f)).collect() } else { Vec::new() };
                Some((trigger, fields))
            }
            Some(Spanned { node: CorrelationCondition::Expression(c), .. }) => {
                let e = self.expression(&c.expr)?;
                if e.holds(&|_, _| false) {
                    self.found.push(
                        Diagnostic::warning(
                            "constant-condition",
                            "the condition holds when none of the rules has a hit",
                        )
                        .at(c.expr.span)
                        .meaning("it is looked at only when one of them has one"),
                    );
                }
                Some((Trigger::Expression(e), Vec::new()))
            }
        }
    }

    /// Depth is bounded by the parser of conditions.
    fn expression(&mut self, e: &Spanned<Expression>) -> Option<RuleExpr> {
        Some(match &e.node {
            Expression::Search(name) => {
                let at =
                    self.refs.iter().position(|(t, i)| t.node == *name || self.index.is_called(*i, name));
                let Some(at) = at else {
                    let known: Vec<&str> = self.refs.iter().map(|(t, _)| t.node.as_str()).collect();
                    let help = match nearest(name, known.iter().copied()) {
                        Some(n) => format!("did you mean `{n}`?"),
                        None => format!("the rules are {}", known.join(", ")),
                    };
                    self.found.push(
                        Diagnostic::error(
                            "missing-search",
                            format!("the condition names `{name}`, which is not among `rules`"),
                        )
                        .at(e.span)
                        .meaning("the rule does not run")
                        .help(help),
                    );
                    return None;
                };
                RuleExpr::Rule(at)
            }
            Expression::Of(quantifier, target) => {
                let of: Vec<usize> =
                    (0..self.refs.len()).filter(|i| target.node.matches(&self.refs[*i].0.node)).collect();
                if of.is_empty() {
                    self.error("missing-search", "no rule has a name that this means".into(), target.span);
                    return None;
                }
                let n = match quantifier {
                    Quantifier::All => of.len() as u32,
                    Quantifier::AtLeast(n) => *n,
                };
                RuleExpr::AtLeast(n, of)
            }
            Expression::Not(inner) => RuleExpr::Not(Box::new(self.expression(inner)?)),
            Expression::And(items) => {
                RuleExpr::And(items.iter().map(|i| self.expression(i)).collect::<Option<_>>()?)
            }
            Expression::Or(items) => {
                RuleExpr::Or(items.iter().map(|i| self.expression(i)).collect::<Option<_>>()?)
            }
            Expression::Prose(_) => {
                self.error("invalid-condition", "the condition is no condition but prose".into(), e.span);
                return None;
            }
        })
    }
}

/// Whether some count from 1 to `most` satisfies the comparisons. Between two neighbouring bounds
/// nothing changes, so that trying whole numbers around each bound is enough.
fn reachable(trigger: &Trigger, most: f64) -> bool {
    let Trigger::Compare(all) = trigger else { return true };
    let around = all.iter().flat_map(|(_, y)| [y.floor() - 1.0, y.floor(), y.ceil(), y.ceil() + 1.0]);
    around.chain([1.0, most]).any(|n| (1.0..=most).contains(&n) && trigger.holds(n))
}

/// Correlations that stand on each other.
struct Chains<'c> {
    entries: &'c [Entry<'c>],
    edges: &'c [Vec<(usize, Span)>],
}

impl Chains<'_> {
    /// Takes away the plans of correlations that stand on themselves, too deep, or on something that
    /// does not run.
    fn settle(&self, out: &mut [Resolution]) {
        let order = self.order();
        let mut depth: Vec<Option<usize>> = vec![None; self.edges.len()];
        for at in order {
            if self.edges[at].is_empty() {
                continue;
            }
            let mut deepest = 0;
            for (to, span) in &self.edges[at] {
                let error = match self.entries[*to].document {
                    Some(Document::Correlation(_)) if out[*to].plan.is_some() => match depth[*to] {
                        Some(d) if d >= MAX_CHAIN => Some((
                            "nesting-too-deep",
                            format!("more than {MAX_CHAIN} correlations stand on each other"),
                        )),
                        Some(d) => {
                            deepest = deepest.max(d);
                            None
                        }
                        // Not settled before this one: it stands on this one.
                        None => Some((
                            "reference-cycle",
                            format!("the correlation stands on itself: {}", self.cycle(at, *to)),
                        )),
                    },
                    Some(Document::Rule(r)) if !r.broken && !out[*to].found.has_errors() => None,
                    _ => Some((
                        "broken-reference",
                        format!("`{}` does not run, and this correlation needs it", self.name(*to)),
                    )),
                };
                if let Some((code, message)) = error {
                    out[at].found.push(
                        Diagnostic::error(code, message).at(*span).meaning("the correlation does not run"),
                    );
                }
            }
            if out[at].found.has_errors() {
                out[at].plan = None;
            }
            depth[at] = Some(deepest + 1);
        }
    }

    fn name(&self, at: usize) -> &str {
        let meta = self.entries[at].document.map(Document::meta);
        let text = meta.and_then(|m| m.name.as_ref().or(m.title.as_ref()).or(m.id.as_ref()));
        text.map_or("?", |t| t.node.as_str())
    }

    /// What a correlation stands on comes before it, except in a cycle. Without recursion: chains in
    /// hostile files are long.
    fn order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.edges.len());
        let mut seen = vec![false; self.edges.len()];
        for start in 0..self.edges.len() {
            let mut stack = vec![(start, 0)];
            if std::mem::replace(&mut seen[start], true) {
                continue;
            }
            while let Some((at, next)) = stack.pop() {
                match self.edges[at].get(next) {
                    Some((to, _)) => {
                        stack.push((at, next + 1));
                        if !std::mem::replace(&mut seen[*to], true) {
                            stack.push((*to, 0));
                        }
                    }
                    None => order.push(at),
                }
            }
        }
        order
    }

    /// The way from `to` back to `at`, in names.
    fn cycle(&self, at: usize, to: usize) -> String {
        let mut before: HashMap<usize, usize> = HashMap::new();
        let mut todo = vec![to];
        while let Some(x) = todo.pop() {
            for (y, _) in &self.edges[x] {
                if *y != to && !before.contains_key(y) {
                    before.insert(*y, x);
                    todo.push(*y);
                }
            }
        }
        let mut way = vec![self.name(at).to_string()];
        let mut x = at;
        while let Some(y) = before.get(&x) {
            way.push(self.name(*y).to_string());
            x = *y;
            if x == to || way.len() > MAX_CHAIN {
                break;
            }
        }
        if at == to || way.len() == 1 {
            way.push(self.name(to).to_string());
        }
        way.push(self.name(at).to_string());
        way.reverse();
        way.dedup();
        way.join(" \u{2192} ")
    }
}
