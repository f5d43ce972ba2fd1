//! Rules as text again, in the specification's order of keys.
//!
//! Printing goes through a YAML tree, so that quoting is decided in one place. Comments are not in the
//! tree and do not come back; collections come back unfolded.

use crate::ast::{
    Correlation, CorrelationCondition, Detection, Document, File, FilterTargets, Item, LogSource, Meta,
    Scalar, SearchBody, Spanned, Text,
};
use crate::condition;
use crate::yaml::{Kind, Node, write_documents};
use tercel_ir::Span;

/// The file as YAML. Parsing it again gives the same tree.
pub fn print(file: &File) -> String {
    write_documents(&file.documents.iter().map(document).collect::<Vec<_>>())
}

fn node(kind: Kind) -> Node {
    Node { kind, span: Span::default() }
}
fn text(s: impl Into<String>) -> Node {
    node(Kind::Str(s.into()))
}
fn key(s: impl Into<String>) -> Text {
    Spanned::new(s.into(), Span::default())
}
fn texts(list: &[Text]) -> Node {
    node(Kind::Seq(list.iter().map(|t| text(&t.node)).collect()))
}

/// Pairs in the making; what is absent leaves no key.
#[derive(Default)]
struct Map(Vec<(Text, Node)>);

impl Map {
    fn put(&mut self, name: &str, value: Node) {
        self.0.push((key(name), value));
    }
    fn text(&mut self, name: &str, value: Option<&Text>) {
        if let Some(v) = value {
            self.put(name, text(&v.node));
        }
    }
    fn list(&mut self, name: &str, list: &[Text]) {
        if !list.is_empty() {
            self.put(name, texts(list));
        }
    }
    fn custom(&mut self, pairs: &[(Text, Node)]) {
        self.0.extend(pairs.iter().cloned());
    }
    fn done(self) -> Node {
        node(Kind::Map(self.0))
    }
}

fn document(d: &Document) -> Node {
    let mut m = Map::default();
    head(&mut m, d.meta());
    match d {
        Document::Rule(r) => {
            m.put("logsource", log_source(&r.logsource));
            m.put("detection", detection(&r.detection, Map::default()));
        }
        Document::Filter(r) => {
            m.put("logsource", log_source(&r.logsource));
            let mut inner = Map::default();
            match &r.rules {
                FilterTargets::Any => inner.put("rules", text("any")),
                FilterTargets::Rules(rules) => inner.list("rules", rules),
            }
            m.put("filter", detection(&r.detection, inner));
        }
        Document::Correlation(r) => {
            m.put("correlation", correlation(&r.correlation));
            if let Some(g) = &r.generate {
                m.put("generate", node(Kind::Bool(g.node)));
            }
        }
    }
    tail(&mut m, d.meta());
    m.done()
}

fn head(m: &mut Map, meta: &Meta) {
    m.text("title", meta.title.as_ref());
    m.text("id", meta.id.as_ref());
    m.text("name", meta.name.as_ref());
    if !meta.related.is_empty() {
        let items = meta.related.iter().map(|r| {
            let mut m = Map::default();
            m.text("id", r.id.as_ref());
            m.text("type", r.kind.as_ref());
            m.done()
        });
        m.put("related", node(Kind::Seq(items.collect())));
    }
    m.text("taxonomy", meta.taxonomy.as_ref());
    m.text("status", meta.status.as_ref());
    m.text("description", meta.description.as_ref());
    m.text("license", meta.license.as_ref());
    m.list("references", &meta.references);
    m.text("author", meta.author.as_ref());
    m.text("date", meta.date.as_ref());
    m.text("modified", meta.modified.as_ref());
    m.list("tags", &meta.tags);
    m.list("scope", &meta.scope);
}

fn tail(m: &mut Map, meta: &Meta) {
    m.list("fields", &meta.fields);
    m.list("falsepositives", &meta.falsepositives);
    m.text("level", meta.level.as_ref());
    m.custom(&meta.custom);
}

fn log_source(l: &LogSource) -> Node {
    let mut m = Map::default();
    m.text("category", l.category.as_ref());
    m.text("product", l.product.as_ref());
    m.text("service", l.service.as_ref());
    m.text("definition", l.definition.as_ref());
    m.custom(&l.custom);
    m.done()
}

fn detection(d: &Detection, mut m: Map) -> Node {
    for s in &d.searches {
        m.put(&s.name.node, body(&s.body.node));
    }
    m.text("timeframe", d.timeframe.as_ref());
    match d.conditions.as_slice() {
        [] => {}
        [one] => m.put("condition", text(condition::print(one))),
        many => m.put("condition", node(Kind::Seq(many.iter().map(|c| text(condition::print(c))).collect()))),
    }
    m.done()
}

fn body(b: &SearchBody) -> Node {
    match b {
        SearchBody::Map(items) => {
            let mut m = Map::default();
            for i in items {
                m.put(&item_key(i), values(i));
            }
            m.done()
        }
        SearchBody::List(items) => node(Kind::Seq(items.iter().map(|i| body(&i.node)).collect())),
        SearchBody::Keyword(v) => scalar(&v.node),
    }
}

fn item_key(i: &Item) -> String {
    let mut key = i.field.as_ref().map(|f| f.node.clone()).unwrap_or_default();
    for m in &i.modifiers {
        key.push('|');
        key.push_str(m.node.as_str());
    }
    key
}

fn values(i: &Item) -> Node {
    match i.values.as_slice() {
        [one] if !i.list => scalar(&one.node),
        many => node(Kind::Seq(many.iter().map(|v| scalar(&v.node)).collect())),
    }
}

fn scalar(s: &Scalar) -> Node {
    node(match s {
        Scalar::Null => Kind::Null,
        Scalar::Bool(b) => Kind::Bool(*b),
        Scalar::Int(n) => Kind::Int(*n),
        Scalar::Float(r) => Kind::Float(*r),
        Scalar::Str(s) => Kind::Str(s.clone()),
    })
}

/// Whole numbers as integers.
fn number(n: f64) -> Node {
    node(if n == n.trunc() && n.abs() < 9e15 { Kind::Int(n as i64) } else { Kind::Float(n) })
}

fn correlation(c: &Correlation) -> Node {
    let mut m = Map::default();
    if let Some(k) = &c.kind {
        m.put("type", text(k.node.as_str()));
    }
    m.list("rules", &c.rules);
    m.list("group-by", &c.group_by);
    if let Some(t) = &c.timespan {
        m.put("timespan", text(t.node.to_string()));
    }
    match c.condition.as_ref().map(|c| &c.node) {
        None => {}
        Some(CorrelationCondition::Expression(e)) => m.put("condition", text(condition::print(e))),
        Some(CorrelationCondition::Compare { comparisons, fields, percentile }) => {
            let mut inner = Map::default();
            match fields.as_slice() {
                [one] => inner.text("field", Some(one)),
                many => inner.list("field", many),
            }
            for (c, n) in comparisons {
                inner.put(c.node.as_str(), number(n.node));
            }
            if let Some(p) = percentile {
                inner.put("percentile", number(p.node));
            }
            m.put("condition", inner.done());
        }
    }
    if !c.aliases.is_empty() {
        let mut inner = Map::default();
        for a in &c.aliases {
            let mut fields = Map::default();
            for (rule, field) in &a.fields {
                fields.put(&rule.node, text(&field.node));
            }
            inner.put(&a.name.node, fields.done());
        }
        m.put("aliases", inner.done());
    }
    m.custom(&c.custom);
    m.done()
}
