//! A document through pipelines.

use super::tree::{Body, Entry, Tree};
use super::{Item, Pipelines, Transformation, conditions, fields, nowhere, values};
use crate::ast::{Detection, Document, LogSource, Scalar, Search, SearchBody, Spanned, Text};
use crate::condition::Expression;
use crate::yaml::{Kind, Node};
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::{Diagnostic, Diagnostics};

/// What pipelines know of a document while they go through it.
#[derive(Default)]
pub(super) struct State {
    /// Ids of the transformations that have been applied.
    pub(super) applied: BTreeSet<String>,
    /// Of fields, by their present names, the ids of the transformations that made them.
    pub(super) fields: BTreeMap<String, BTreeSet<String>>,
    pub(super) state: BTreeMap<String, Scalar>,
}

/// A document cut into what pipelines work on.
struct Work<'p> {
    document: Document,
    searches: Vec<Tree>,
    vars: &'p BTreeMap<String, Vec<String>>,
    state: State,
}

impl Pipelines {
    /// Changes a document. After an error (a transformation that says the rule cannot be handled, or that
    /// cannot be applied to it) the rule must not run: the document is marked as broken.
    pub fn apply(&self, document: Document) -> (Document, Diagnostics) {
        let mut found = Diagnostics::new();
        if document.broken() || self.is_empty() {
            return (document, found);
        }
        let mut w = Work { document, searches: Vec::new(), vars: &self.vars, state: State::default() };
        if let Some(d) = w.document.detection_mut() {
            w.searches = std::mem::take(&mut d.searches).into_iter().map(Tree::new).collect();
        }
        let result = w.items(&self.items).and_then(|()| w.finish());
        if let Err((place, message)) = result {
            w.document.set_broken();
            let at = if place.is_empty() { String::new() } else { format!("{place}: ") };
            found.push(
                Diagnostic::error("pipeline", format!("{at}{message}"))
                    .meaning("the processing pipeline does not let the rule run"),
            );
        }
        (w.document, found)
    }
}

/// Where in a pipeline, and what.
type Failure = (String, String);

impl Work<'_> {
    /// Nesting is bounded by the reader of pipelines.
    fn items(&mut self, items: &[Item]) -> Result<(), Failure> {
        for item in items {
            if !item.rule.hold(&|c| conditions::rule(c, &self.document, &self.searches, &self.state)) {
                continue;
            }
            self.one(item).map_err(|e| match e {
                (place, message) if !place.is_empty() => (place, message),
                (_, message) => (item.place.clone(), message),
            })?;
            self.state.applied.extend(item.id.clone());
        }
        Ok(())
    }

    fn one(&mut self, item: &Item) -> Result<(), Failure> {
        let fail = |message: String| (String::new(), message);
        match &item.what {
            Transformation::Fields(map) => {
                let state = &mut self.state;
                each(&mut self.searches, &mut |e| {
                    if holds(item, e, state) {
                        let changed = fields::entry(map, item, e, state);
                        if changed {
                            e.applied.extend(item.id.clone());
                        }
                    }
                });
                fields::lists(map, item, &mut self.document, state).map_err(fail)
            }
            Transformation::DropItem => {
                let state = &self.state;
                each(&mut self.searches, &mut |e| {
                    if holds(item, e, state) {
                        e.items.clear();
                    }
                });
                Ok(())
            }
            Transformation::ItemFailure(message) => {
                let state = &self.state;
                let mut found = false;
                each(&mut self.searches, &mut |e| found |= !e.items.is_empty() && holds(item, e, state));
                if found { Err(fail(message.clone())) } else { Ok(()) }
            }
            Transformation::RuleFailure(message) => Err(fail(message.clone())),
            Transformation::Nest(items) => self.items(items),
            Transformation::SetState { key, value } => {
                self.state.state.insert(key.clone(), value.clone());
                Ok(())
            }
            Transformation::SetAttribute { name, value } => {
                let custom = &mut self.document.meta_mut().custom;
                custom.retain(|(k, _)| k.node != *name);
                custom.push((Spanned::new(name.clone(), nowhere()), node(value)));
                Ok(())
            }
            Transformation::AddField(names) => {
                self.document.meta_mut().fields.extend(names.iter().map(String::as_str).map(text));
                Ok(())
            }
            Transformation::RemoveField(names) => {
                self.document.meta_mut().fields.retain(|f| !names.contains(&f.node));
                Ok(())
            }
            Transformation::SetField(names) => {
                self.document.meta_mut().fields = names.iter().map(String::as_str).map(text).collect();
                Ok(())
            }
            Transformation::ChangeLogSource { category, product, service } => {
                if let Some(l) = self.document.log_source_mut() {
                    *l = LogSource {
                        category: category.as_deref().map(text),
                        product: product.as_deref().map(text),
                        service: service.as_deref().map(text),
                        span: l.span,
                        ..LogSource::default()
                    };
                }
                Ok(())
            }
            Transformation::AddCondition { name, body, template, negated } => {
                self.add_condition(name, body, *template, *negated);
                Ok(())
            }
            what => {
                let (state, vars) = (&self.state, self.vars);
                let mut result = Ok(());
                each(&mut self.searches, &mut |e| {
                    if result.is_err() || !holds(item, e, state) {
                        return;
                    }
                    let mut changed = false;
                    for i in &mut e.items {
                        match values::change(what, i, vars) {
                            Ok(c) => changed |= c,
                            Err(message) => result = Err(fail(message)),
                        }
                    }
                    if changed {
                        e.applied.extend(item.id.clone());
                    }
                });
                result
            }
        }
    }

    fn add_condition(&mut self, name: &str, body: &Spanned<SearchBody>, template: bool, negated: bool) {
        if !matches!(self.document, Document::Rule(_)) {
            return;
        }
        let mut body = body.clone();
        if template && let Some(l) = self.document.log_source_mut() {
            fill(&mut body.node, l);
        }
        let Some(d) = self.document.detection_mut() else { return };
        let span = d.span.span;
        // A name of the rule's own would be hidden.
        let mut name = name.to_string();
        while self.searches.iter().any(|t| t.search.name.node == name) {
            name.push('_');
        }
        let body = Spanned::new(body.node, span);
        self.searches.push(Tree::new(Search { name: Spanned::new(name.clone(), span), body }));
        for c in &mut d.conditions {
            let added = Spanned::new(Expression::Search(name.clone()), span);
            let added = if negated { Spanned::new(Expression::Not(Box::new(added)), span) } else { added };
            let old = std::mem::replace(&mut c.expr.node, Expression::And(Vec::new()));
            let place = c.expr.span;
            c.expr.node = match old {
                Expression::And(mut items) => {
                    items.insert(0, added);
                    Expression::And(items)
                }
                old => Expression::And(vec![added, Spanned::new(old, place)]),
            };
        }
    }

    /// Puts the searches back, and takes out of the condition what has been dropped.
    fn finish(&mut self) -> Result<(), Failure> {
        let mut gone = BTreeSet::new();
        let mut left = Vec::new();
        for t in std::mem::take(&mut self.searches) {
            let name = t.search.name.node.clone();
            match t.finish().map_err(|e| (String::new(), e))? {
                Some(s) => left.push(s),
                None => {
                    gone.insert(name);
                }
            }
        }
        let Some(d) = self.document.detection_mut() else { return Ok(()) };
        d.searches = left;
        if gone.is_empty() {
            return Ok(());
        }
        let conditions = std::mem::take(&mut d.conditions);
        for mut c in conditions {
            if let Some(e) = without(c.expr, &gone, d) {
                c.expr = e;
                d.conditions.push(c);
            }
        }
        if d.conditions.is_empty() {
            return Err((String::new(), "the pipeline drops everything that the rule looks for".into()));
        }
        Ok(())
    }
}

/// A condition without the searches of which nothing is left. Depth is bounded by the parser.
fn without(e: Spanned<Expression>, gone: &BTreeSet<String>, d: &Detection) -> Option<Spanned<Expression>> {
    let span = e.span;
    let many = |items: Vec<Spanned<Expression>>| -> Vec<Spanned<Expression>> {
        items.into_iter().filter_map(|i| without(i, gone, d)).collect()
    };
    let node = match e.node {
        Expression::Search(name) => (!gone.contains(&name)).then_some(Expression::Search(name))?,
        Expression::Not(inner) => Expression::Not(Box::new(without(*inner, gone, d)?)),
        Expression::And(items) => match many(items) {
            mut one if one.len() < 2 => return one.pop(),
            items => Expression::And(items),
        },
        Expression::Or(items) => match many(items) {
            mut one if one.len() < 2 => return one.pop(),
            items => Expression::Or(items),
        },
        // What has several members is still about the others.
        Expression::Of(q, target) => {
            let left = d.searches.iter().any(|s| target.node.matches(&s.name.node));
            left.then_some(Expression::Of(q, target))?
        }
        e @ Expression::Prose(_) => e,
    };
    Some(Spanned::new(node, span))
}

/// Whether the conditions on the item hold for an entry. All its alternatives came of one item: one of
/// them is enough.
fn holds(at: &Item, e: &Entry, state: &State) -> bool {
    e.items.iter().any(|i| {
        at.item.hold(&|c| conditions::item(c, i, &e.applied, state))
            && (matches!(at.what, Transformation::Fields(_))
                || at.field.hold(&|c| conditions::field(c, i.field.as_ref().map(|f| f.node.as_str()), state)))
    })
}

fn each(searches: &mut [Tree], f: &mut dyn FnMut(&mut Entry)) {
    searches.iter_mut().for_each(|t| Body::each(&mut t.body, f));
}

fn text(s: impl Into<String>) -> Text {
    Spanned::new(s.into(), nowhere())
}

fn node(value: &Scalar) -> Node {
    let kind = match value {
        Scalar::Null => Kind::Null,
        Scalar::Bool(b) => Kind::Bool(*b),
        Scalar::Int(n) => Kind::Int(*n),
        Scalar::Float(r) => Kind::Float(*r),
        Scalar::Str(s) => Kind::Str(s.clone()),
    };
    Node { kind, span: nowhere() }
}

/// `$category`, `$product` and `$service` in the values of an added condition.
fn fill(body: &mut SearchBody, l: &LogSource) {
    match body {
        SearchBody::Map(items) => {
            for v in items.iter_mut().flat_map(|i| &mut i.values) {
                fill_value(&mut v.node, l);
            }
        }
        SearchBody::List(list) => list.iter_mut().for_each(|b| fill(&mut b.node, l)),
        SearchBody::Keyword(v) => fill_value(&mut v.node, l),
    }
}

fn fill_value(v: &mut Scalar, l: &LogSource) {
    let Scalar::Str(s) = v else { return };
    for (name, value) in [("category", &l.category), ("product", &l.product), ("service", &l.service)] {
        let value = value.as_ref().map_or("None", |t| t.node.as_str());
        *s = s.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
}
