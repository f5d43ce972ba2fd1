//! Searches and the condition that joins them.

use super::item::{Test, test};
use super::{spanned, text, unsaid};
use crate::ast::{Detection, Search, SearchBody, Spanned};
use crate::condition::{Condition, Expression, Quantifier, Target};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tercel_ir::{Diagnostic, Expr, ExprKind, Span};

/// Nesting beyond this is refused; so it is by the parser of conditions.
const MAX_DEPTH: usize = 60;

/// A predicate over Sigma's fields as searches and a condition.
///
/// # Errors
/// When it holds something that Sigma has no words for.
pub fn detection(predicate: &Expr) -> Result<Detection, Diagnostic> {
    let mut b = Builder::default();
    let mut condition = b.top(predicate)?;
    if b.selections.len() == 1 {
        rename(&mut condition);
    }
    let condition = Condition { expr: condition, aggregation: None };
    Ok(Detection { searches: b.finish(), conditions: vec![condition], ..Detection::default() })
}

/// The name of the only selection.
const ONE: &str = "selection";

/// Calls the only selection so. Depth is that of the predicate, which is bounded.
fn rename(e: &mut Spanned<Expression>) {
    match &mut e.node {
        Expression::Search(n) if n == "selection_1" => *n = ONE.to_string(),
        Expression::Not(inner) => rename(inner),
        Expression::And(items) | Expression::Or(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}

/// What a search is for.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Selection,
    Filter,
}

#[derive(Default)]
struct Builder {
    selections: Vec<SearchBody>,
    filters: Vec<SearchBody>,
}

fn conjuncts(e: &Expr) -> &[Expr] {
    match &e.kind {
        ExprKind::And(items) => items,
        _ => std::slice::from_ref(e),
    }
}

fn disjuncts(e: &Expr) -> &[Expr] {
    match &e.kind {
        ExprKind::Or(items) => items,
        _ => std::slice::from_ref(e),
    }
}

fn negated(e: &Expr) -> Option<&Expr> {
    match &e.kind {
        ExprKind::Not(inner) => Some(inner),
        _ => None,
    }
}

/// A test with alternatives of one field as its list; `None` where that is not so.
fn alternatives(e: &Expr) -> Result<Option<Test>, Diagnostic> {
    let mut found: Option<Test> = None;
    for d in disjuncts(e) {
        let Some(t) = test(d)? else { return Ok(None) };
        match &mut found {
            None => found = Some(t),
            Some(f) if f.joins(&t) => f.values.extend(t.values),
            Some(_) => return Ok(None),
        }
    }
    Ok(found)
}

/// Tests that hold together, one an item: a key twice is a list that asks for all its values, or has no
/// place here.
#[derive(Default)]
struct Items {
    tests: Vec<(Test, bool)>,
    places: HashMap<String, usize>,
}

impl Items {
    /// `false`: the key is taken.
    fn add(&mut self, t: &Test) -> bool {
        let key = format!("{:?}{:?}", t.field, t.modifiers);
        let Some(at) = self.places.get(&key) else {
            self.places.insert(key, self.tests.len());
            self.tests.push((t.clone(), false));
            return true;
        };
        let (other, all) = &mut self.tests[*at];
        let fits = t.values.len() == 1 && (*all || other.values.len() == 1);
        if fits {
            other.values.extend(t.values.iter().cloned());
            *all = true;
        }
        fits
    }

    fn body(self) -> Option<SearchBody> {
        if self.tests.is_empty() {
            return None;
        }
        // A keyword beside fields is a search of its own.
        if self.tests.iter().any(|(t, _)| t.field.is_none()) {
            let [(t, all)] = self.tests.as_slice() else { return None };
            if t.modifiers.is_empty() && !*all {
                let words =
                    t.values.iter().map(|v| spanned(SearchBody::Keyword(spanned(v.clone())))).collect();
                return Some(SearchBody::List(words));
            }
        }
        Some(SearchBody::Map(self.tests.into_iter().map(|(t, all)| t.item(all)).collect()))
    }
}

/// A conjunction of tests, each of another field or kind, as the items of one search.
fn map(e: &Expr) -> Result<Option<SearchBody>, Diagnostic> {
    let mut items = Items::default();
    for c in conjuncts(e) {
        match alternatives(c)? {
            Some(t) if items.add(&t) => {}
            _ => return Ok(None),
        }
    }
    Ok(items.body())
}

/// Any expression that one search can say: a map, or a list of maps.
fn search(e: &Expr) -> Result<Option<SearchBody>, Diagnostic> {
    if let Some(body) = map(e)? {
        return Ok(Some(body));
    }
    let all = disjuncts(e);
    if all.len() < 2 {
        return Ok(None);
    }
    let mut list: Vec<SearchBody> = Vec::new();
    // Alternatives of one field are one map of the list.
    let mut single: HashMap<String, (Test, usize)> = HashMap::new();
    for d in all {
        if let Some(t) = test(d)?.filter(|t| t.field.is_some()) {
            match single.entry(format!("{:?}{:?}", t.field, t.modifiers)) {
                Entry::Occupied(mut known) => known.get_mut().0.values.extend(t.values),
                Entry::Vacant(place) => {
                    place.insert((t.clone(), list.len()));
                    list.push(SearchBody::Map(Vec::new()));
                }
            }
            continue;
        }
        match map(d)? {
            Some(body) => list.push(body),
            None => return Ok(None),
        }
    }
    for (t, at) in single.into_values() {
        list[at] = SearchBody::Map(vec![t.item(false)]);
    }
    Ok(Some(SearchBody::List(list.into_iter().map(spanned).collect())))
}

impl Builder {
    /// The name of a search with this body, which stands for its number until all are known.
    fn named(&mut self, body: SearchBody, role: Role) -> Spanned<Expression> {
        let list = match role {
            Role::Selection => &mut self.selections,
            Role::Filter => &mut self.filters,
        };
        let i = list.iter().position(|b| *b == body).unwrap_or_else(|| {
            list.push(body);
            list.len() - 1
        });
        let prefix = if role == Role::Filter { "filter_main" } else { "selection" };
        spanned(Expression::Search(format!("{prefix}_{}", i + 1)))
    }

    /// The whole predicate: what must hold, and what must not.
    fn top(&mut self, e: &Expr) -> Result<Spanned<Expression>, Diagnostic> {
        let mut parts = Vec::new();
        let mut excluded = Vec::new();
        let mut together: Vec<Items> = Vec::new();
        let mut taken: HashMap<String, usize> = HashMap::new();
        let mut others = Vec::new();
        for c in conjuncts(e) {
            if let Some(f) = exclusion(c) {
                excluded.push(f);
            } else {
                match alternatives(c)?.filter(|t| t.field.is_some()) {
                    // What cannot be one map (two lists of one field) is several selections: the n-th list of
                    // a field stands in the n-th.
                    Some(t) => {
                        let key = format!("{:?}{:?}", t.field, t.modifiers);
                        let nth = taken.entry(key).or_insert(0);
                        while together.len() <= *nth {
                            together.push(Items::default());
                        }
                        if !together[*nth].add(&t) {
                            *nth += 1;
                            if together.len() <= *nth {
                                together.push(Items::default());
                            }
                            together[*nth].add(&t);
                        }
                    }
                    None => others.push(c),
                }
            }
        }
        for items in together {
            let body = items.body().ok_or_else(|| unsaid("this condition"))?;
            parts.push(self.named(body, Role::Selection));
        }
        for c in others {
            parts.push(self.expression(c, Role::Selection, 0)?);
        }
        let several = parts.len() > 1
            && parts.len() == self.selections.len()
            && parts.iter().all(|p| matches!(p.node, Expression::Search(_)));
        if several {
            parts = vec![of(Quantifier::All, "selection_*")];
        }
        let before = parts.len();
        for f in excluded {
            let inner = self.expression(&f, Role::Filter, 0)?;
            parts.push(spanned(Expression::Not(Box::new(inner))));
        }
        let plain = |p: &Spanned<Expression>| matches!(&p.node, Expression::Not(x) if matches!(&x.node, Expression::Search(n) if n.starts_with("filter")));
        if parts.len() > before
            && parts.len() - before == self.filters.len()
            && parts[before..].iter().all(plain)
        {
            parts.truncate(before);
            parts.push(spanned(Expression::Not(Box::new(of(Quantifier::AtLeast(1), "filter_main_*")))));
        }
        Ok(match parts.len() {
            0 => return Err(unsaid("a rule that is always true")),
            1 => parts.remove(0),
            _ => spanned(Expression::And(parts)),
        })
    }

    /// Any predicate. Depth is bounded here.
    fn expression(&mut self, e: &Expr, role: Role, depth: usize) -> Result<Spanned<Expression>, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(unsaid("a condition nested so deeply"));
        }
        if let Some(body) = search(e)? {
            return Ok(self.named(body, role));
        }
        if let Some(inner) = exclusion(e) {
            let inner = self.expression(&inner, Role::Filter, depth + 1)?;
            return Ok(spanned(Expression::Not(Box::new(inner))));
        }
        let (items, all) = match &e.kind {
            ExprKind::And(items) => (items, true),
            ExprKind::Or(items) => (items, false),
            _ => return Err(unsaid("this condition")),
        };
        // What one search can say together stands in one.
        let mut simple = Vec::new();
        let mut parts = Vec::new();
        for i in items {
            if exclusion(i).is_none() && search(i)?.is_some() {
                simple.push(i.clone());
            } else {
                parts.push(self.expression(i, role, depth + 1)?);
            }
        }
        if !simple.is_empty() {
            let joined =
                if all { Expr::and(simple, Span::default()) } else { Expr::or(simple, Span::default()) };
            match search(&joined)? {
                Some(body) => parts.insert(0, self.named(body, role)),
                None => {
                    for (at, i) in conjuncts_or(&joined, all).iter().enumerate() {
                        let part = self.expression(i, role, depth + 1)?;
                        parts.insert(at, part);
                    }
                }
            }
        }
        Ok(match (parts.len(), all) {
            (1, _) => parts.remove(0),
            (_, true) => spanned(Expression::And(parts)),
            (_, false) => spanned(Expression::Or(parts)),
        })
    }

    fn finish(self) -> Vec<Search> {
        let list = |prefix: &str, bodies: Vec<SearchBody>| {
            let alone = bodies.len() == 1 && prefix == ONE;
            let name = |i: usize| if alone { ONE.to_string() } else { format!("{prefix}_{}", i + 1) };
            let named = bodies.into_iter().enumerate();
            named.map(|(i, body)| Search { name: text(name(i)), body: spanned(body) }).collect::<Vec<_>>()
        };
        let mut out = list(ONE, self.selections);
        out.extend(list("filter_main", self.filters));
        out
    }
}

fn conjuncts_or(e: &Expr, all: bool) -> &[Expr] {
    if all { conjuncts(e) } else { disjuncts(e) }
}

fn of(quantifier: Quantifier, pattern: &str) -> Spanned<Expression> {
    spanned(Expression::Of(quantifier, spanned(Target::Pattern(pattern.into()))))
}

/// What is excluded: `not x`, or `not x or not y`, which excludes x and y together.
fn exclusion(e: &Expr) -> Option<Expr> {
    if let Some(inner) = negated(e) {
        return Some(inner.clone());
    }
    let ExprKind::Or(items) = &e.kind else { return None };
    let inner: Option<Vec<Expr>> = items.iter().map(exclusion).collect();
    Some(Expr::and(inner?, Span::default()))
}
