//! When a transformation applies.

use super::apply::State;
use super::tree::Tree;
use super::{AttributeOp, Conditions, FieldCondition, ItemCondition, Join, RuleCondition, StateTest, values};
use crate::ast::{Comparison, Document, Item, LogSource, Meta, Scalar, Spanned, Text};
use crate::condition::Expression;
use crate::metadata::Level;
use crate::yaml::{Kind, Node};

impl<C> Conditions<C> {
    /// Whether they hold; without any, they do.
    pub(super) fn hold(&self, f: &dyn Fn(&C) -> bool) -> bool {
        if self.all.is_empty() {
            return true;
        }
        let found = match &self.join {
            Join::And => self.all.iter().all(|(_, c)| f(c)),
            Join::Or => self.all.iter().any(|(_, c)| f(c)),
            Join::Expression(e) => self.expression(e, f),
        };
        found != self.negated
    }

    /// Depth is bounded by the parser of conditions; names were checked when the pipeline was read.
    fn expression(&self, e: &Spanned<Expression>, f: &dyn Fn(&C) -> bool) -> bool {
        match &e.node {
            Expression::Search(name) => {
                self.all.iter().any(|(n, c)| n.as_deref() == Some(name.as_str()) && f(c))
            }
            Expression::Not(inner) => !self.expression(inner, f),
            Expression::And(items) => items.iter().all(|i| self.expression(i, f)),
            Expression::Or(items) => items.iter().any(|i| self.expression(i, f)),
            Expression::Of(..) | Expression::Prose(_) => false,
        }
    }
}

pub(super) fn rule(c: &RuleCondition, document: &Document, searches: &[Tree], state: &State) -> bool {
    let some = |test: &dyn Fn(&Item) -> bool| searches.iter().any(|t| t.body.any(test));
    match c {
        RuleCondition::LogSource { category, product, service } => {
            let Some(l) = log_source(document) else { return false };
            let fits = |want: &Option<String>, has: &Option<Text>| {
                want.as_ref().is_none_or(|w| has.as_ref().is_some_and(|h| h.node == *w))
            };
            fits(category, &l.category) && fits(product, &l.product) && fits(service, &l.service)
        }
        RuleCondition::ContainsField(name) => some(&|i| is(&i.field, name)),
        RuleCondition::ContainsItem { field, value } => {
            some(&|i| is(&i.field, field) && i.values.iter().any(|v| v.node == *value))
        }
        RuleCondition::Applied(id) => state.applied.contains(id),
        RuleCondition::State(test) => state.holds(test),
        RuleCondition::IsRule => matches!(document, Document::Rule(_)),
        RuleCondition::IsCorrelation => matches!(document, Document::Correlation(_)),
        RuleCondition::Attribute { name, value, op } => attribute(document.meta(), name, value, *op),
        RuleCondition::Tag(tag) => document.meta().tags.iter().any(|t| t.node == *tag),
    }
}

fn is(field: &Option<Text>, name: &str) -> bool {
    field.as_ref().is_some_and(|f| f.node == name)
}

fn log_source(document: &Document) -> Option<&LogSource> {
    match document {
        Document::Rule(r) => Some(&r.logsource),
        Document::Filter(f) => Some(&f.logsource),
        Document::Correlation(_) => None,
    }
}

/// Levels and statuses have an order, as has a date; of a list only membership can be asked.
fn attribute(m: &Meta, name: &str, value: &Scalar, op: AttributeOp) -> bool {
    let list = |l: &[Text]| member(l.iter().map(|t| t.node.clone()).collect(), value, op);
    match name {
        "tags" => return list(&m.tags),
        "references" => return list(&m.references),
        "fields" => return list(&m.fields),
        "falsepositives" => return list(&m.falsepositives),
        "scope" => return list(&m.scope),
        _ => {}
    }
    let text = match name {
        "title" => &m.title,
        "id" => &m.id,
        "name" => &m.name,
        "taxonomy" => &m.taxonomy,
        "status" => &m.status,
        "description" => &m.description,
        "license" => &m.license,
        "author" => &m.author,
        "date" => &m.date,
        "modified" => &m.modified,
        "level" => &m.level,
        _ => {
            return match m.custom.iter().find(|(k, _)| k.node == name) {
                None => false,
                Some((_, Node { kind: Kind::Seq(items), .. })) => {
                    member(items.iter().filter_map(Node::scalar_text).collect(), value, op)
                }
                Some((_, node)) => compare_text(&node.scalar_text().unwrap_or_default(), &value.text(), op),
            };
        }
    };
    let Some(text) = text else { return false };
    let wanted = value.text();
    match name {
        "level" => order(Level::parse(&text.node), Level::parse(&wanted), op),
        "status" => {
            const STATUS: [&str; 5] = ["unsupported", "deprecated", "experimental", "test", "stable"];
            let place = |s: &str| STATUS.iter().position(|x| x.eq_ignore_ascii_case(s));
            order(place(&text.node), place(&wanted), op)
        }
        // Written YYYY-MM-DD, dates sort as text.
        "date" | "modified" => order(Some(text.node.replace('/', "-")), Some(wanted), op),
        _ => compare_text(&text.node, &wanted, op),
    }
}

fn member(list: Vec<String>, value: &Scalar, op: AttributeOp) -> bool {
    let has = || list.contains(&value.text());
    match op {
        AttributeOp::In => has(),
        AttributeOp::NotIn => !has(),
        // A list is never equal to one value.
        AttributeOp::Compare(c) => c == Comparison::Neq,
    }
}

fn compare_text(has: &str, wanted: &str, op: AttributeOp) -> bool {
    match op {
        AttributeOp::In => has == wanted,
        AttributeOp::NotIn => has != wanted,
        AttributeOp::Compare(c) => match (has.parse::<f64>(), wanted.parse::<f64>()) {
            (Ok(x), Ok(y)) => c.holds(x, y),
            _ => (c == Comparison::Eq) == (has == wanted) && matches!(c, Comparison::Eq | Comparison::Neq),
        },
    }
}

fn order<T: PartialOrd>(has: Option<T>, wanted: Option<T>, op: AttributeOp) -> bool {
    let (Some(x), Some(y)) = (has, wanted) else { return false };
    match op {
        AttributeOp::In | AttributeOp::Compare(Comparison::Eq) => x == y,
        AttributeOp::NotIn | AttributeOp::Compare(Comparison::Neq) => x != y,
        AttributeOp::Compare(Comparison::Lt) => x < y,
        AttributeOp::Compare(Comparison::Lte) => x <= y,
        AttributeOp::Compare(Comparison::Gt) => x > y,
        AttributeOp::Compare(Comparison::Gte) => x >= y,
    }
}

pub(super) fn item(c: &ItemCondition, item: &Item, applied: &[String], state: &State) -> bool {
    let of = |all: bool, found: Vec<bool>| {
        if all { found.into_iter().all(|b| b) } else { found.into_iter().any(|b| b) }
    };
    match c {
        ItemCondition::MatchString { all, pattern, negated } => {
            let found = values::texts(item);
            let found = found.iter().map(|t| t.as_ref().is_some_and(|t| pattern.is_match(t)) != *negated);
            of(*all, found.collect())
        }
        ItemCondition::ContainsWildcard { all } => of(*all, values::wildcards(item)),
        ItemCondition::IsNull { all } => {
            of(*all, item.values.iter().map(|v| v.node == Scalar::Null).collect())
        }
        ItemCondition::Applied(id) => applied.contains(id),
        ItemCondition::State(test) => state.holds(test),
    }
}

/// `None` is what has no field: keywords.
pub(super) fn field(c: &FieldCondition, name: Option<&str>, state: &State) -> bool {
    match c {
        FieldCondition::Include(names) => name.is_some_and(|n| names.hold(n)),
        FieldCondition::Exclude(names) => !name.is_some_and(|n| names.hold(n)),
        FieldCondition::Applied(id) => {
            name.is_some_and(|n| state.fields.get(n).is_some_and(|ids| ids.contains(id)))
        }
        FieldCondition::State(test) => state.holds(test),
    }
}

impl State {
    fn holds(&self, t: &StateTest) -> bool {
        let Some(has) = self.state.get(&t.key) else { return false };
        match (has.text().parse::<f64>(), t.value.text().parse::<f64>()) {
            (Ok(x), Ok(y)) => t.op.holds(x, y),
            _ => match t.op {
                Comparison::Eq => has.text() == t.value.text(),
                Comparison::Neq => has.text() != t.value.text(),
                Comparison::Lt => has.text() < t.value.text(),
                Comparison::Lte => has.text() <= t.value.text(),
                Comparison::Gt => has.text() > t.value.text(),
                Comparison::Gte => has.text() >= t.value.text(),
            },
        }
    }
}
