//! Pipelines from YAML. Everything that is not understood is an error, with its place in the file.

use super::{
    AttributeOp, Conditions, FieldCondition, FieldMap, Handled, Item, ItemCondition, Join, MAX_NESTING,
    Names, Pipeline, RuleCondition, StateTest, Transformation,
};
use crate::ast::{Comparison, Scalar, Spanned, Text, bool_of};
use crate::condition::{self, Expression};
use crate::lower::translate;
use crate::sink::Sink;
use crate::yaml::{self, Kind, Limits, Node};
use std::collections::BTreeMap;
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// Findings after which no more are reported.
const MAX_FINDINGS: usize = 200;

const TRANSFORMATIONS: &[&str] = &[
    "field_name_mapping",
    "field_name_prefix_mapping",
    "field_name_prefix",
    "field_name_suffix",
    "drop_detection_item",
    "wildcard_placeholders",
    "value_placeholders",
    "add_condition",
    "change_logsource",
    "add_field",
    "remove_field",
    "set_field",
    "replace_string",
    "map_string",
    "set_value",
    "convert_type",
    "case",
    "set_state",
    "set_custom_attribute",
    "rule_failure",
    "detection_item_failure",
    "nest",
];

/// Those that pySigma has and that make no sense here, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "query_expression_placeholders",
        "it puts text of a query language into the query, and there is no query",
    ),
    ("hashes_fields", "tercel's log sources have the fields of hashes themselves"),
    ("regex", "tercel compares without regard to case by itself"),
];

const ITEM_KEYS: &[&str] = &[
    "id",
    "type",
    "rule_conditions",
    "rule_cond_op",
    "rule_cond_not",
    "rule_cond_expr",
    "detection_item_conditions",
    "detection_item_cond_op",
    "detection_item_cond_not",
    "detection_item_cond_expr",
    "field_name_conditions",
    "field_name_cond_op",
    "field_name_cond_not",
    "field_name_cond_expr",
];

/// Reads a pipeline; `name` is that of its file, for messages about rules. `None` comes with at least one
/// error: a pipeline is taken whole or not at all.
pub fn parse(name: &str, text: &str) -> (Option<Pipeline>, Diagnostics) {
    let mut sink = Sink::new(MAX_FINDINGS);
    let documents = yaml::read_into(text, Limits::default(), &mut sink);
    let mut roots = documents.into_iter().filter_map(|d| d.root);
    let root = roots.next();
    let mut p = Parser { text, sink };
    let mut pipeline = Pipeline { name: name.to_string(), ..Pipeline::default() };
    match root {
        Some(root @ Node { kind: Kind::Map(_), .. }) => p.pipeline(root, &mut pipeline),
        Some(other) => p.error(format!("a pipeline is a map, and this is {}", other.describe()), other.span),
        None => p.error("there is no pipeline in this text".into(), Span::default()),
    }
    if let Some(second) = roots.next() {
        p.error("a second document: a file holds one pipeline".into(), second.span);
    }
    let found = p.sink.finish();
    ((!found.has_errors()).then_some(pipeline), found)
}

struct Parser<'t> {
    text: &'t str,
    sink: Sink,
}

/// The keys of a map that have not been asked for yet.
struct Keys {
    pairs: Vec<(Text, Node)>,
    span: Span,
}

impl Keys {
    fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.pairs.iter().position(|(k, _)| k.node == key)?;
        Some(self.pairs.remove(at).1).filter(|n| n.kind != Kind::Null)
    }
    /// Also where the value is null.
    fn take_any(&mut self, key: &str) -> Option<Node> {
        let at = self.pairs.iter().position(|(k, _)| k.node == key)?;
        Some(self.pairs.remove(at).1)
    }
}

impl Parser<'_> {
    fn error(&mut self, message: String, at: Span) {
        self.sink.push(
            Diagnostic::error("invalid-pipeline", message)
                .at(at)
                .meaning("the pipeline is not used, and nothing runs without it"),
        );
    }

    fn unknown(&mut self, what: &str, name: &Text, known: &[&str]) {
        let help = match nearest(&name.node, known.iter().copied()) {
            Some(n) => format!("did you mean `{n}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        self.sink.push(
            Diagnostic::error("invalid-pipeline", format!("{what} `{}` is not known", name.node))
                .at(name.span)
                .meaning("the pipeline is not used, and nothing runs without it")
                .help(help),
        );
    }

    fn keys(&mut self, node: Node, what: &str) -> Option<Keys> {
        let span = node.span;
        match node.kind {
            Kind::Map(pairs) => Some(Keys { pairs, span }),
            _ => {
                self.error(format!("{what} is a map, and this is {}", node.describe()), span);
                None
            }
        }
    }

    fn rest(&mut self, keys: Keys, what: &str, known: &[&str]) {
        for (key, _) in keys.pairs {
            self.unknown(&format!("the key of {what}"), &key, known);
        }
    }

    fn items_of(&mut self, node: Node, what: &str) -> Vec<Node> {
        match node.kind {
            Kind::Seq(items) => items,
            Kind::Null => Vec::new(),
            _ => {
                self.error(format!("{what} is a list, and this is {}", node.describe()), node.span);
                Vec::new()
            }
        }
    }

    fn pipeline(&mut self, root: Node, out: &mut Pipeline) {
        let Some(mut keys) = self.keys(root, "a pipeline") else { return };
        if let Some(name) = keys.take("name") {
            let file = std::mem::take(&mut out.name);
            let name = self.string(name, "name");
            out.name = if file.is_empty() { name } else { file };
        }
        if let Some(priority) = keys.take("priority") {
            match priority.kind {
                Kind::Int(n) => out.priority = n,
                _ => self.error("`priority` takes an integer".into(), priority.span),
            }
        }
        if let Some(vars) = keys.take("vars") {
            out.vars = self.string_lists(vars, "vars");
        }
        // For people and backends; what they may restrict has no bearing here.
        for ignored in ["allowed_backends", "description", "author", "version"] {
            keys.take(ignored);
        }
        if let Some(items) = keys.take("transformations") {
            let place = out.name.clone();
            out.items = self.transformations(items, &place, 0);
        }
        for (key, why) in [
            ("postprocessing", "it changes the text of a query, and there is none"),
            ("finalizers", "they put the texts of queries together, and there are none"),
        ] {
            if let Some(node) = keys.take(key) {
                self.error(format!("`{key}` is not supported: {why}"), node.span);
            }
        }
        self.rest(keys, "a pipeline", &["name", "priority", "vars", "transformations"]);
    }

    fn transformations(&mut self, list: Node, place: &str, depth: usize) -> Vec<Item> {
        if depth > MAX_NESTING {
            self.error(format!("more than {MAX_NESTING} pipelines inside each other"), list.span);
            return Vec::new();
        }
        let items = self.items_of(list, "`transformations`");
        let mut out = Vec::new();
        for (i, node) in items.into_iter().enumerate() {
            let place = format!("{place}, transformation {}", i + 1);
            let Some(mut keys) = self.keys(node, "a transformation") else { continue };
            let id = keys.take("id").map(|n| self.string(n, "id"));
            let rule = self.conditions(&mut keys, "rule", Parser::rule_condition);
            let item = self.conditions(&mut keys, "detection_item", Parser::item_condition);
            let field = self.conditions(&mut keys, "field_name", Parser::field_condition);
            let Some(what) = self.transformation(keys, &place, depth) else { continue };
            let place = match &id {
                Some(id) => format!("{place} (`{id}`)"),
                None => place,
            };
            out.push(Item { id, place, what, rule, item, field });
        }
        out
    }

    fn conditions<C>(
        &mut self,
        keys: &mut Keys,
        kind: &str,
        read: fn(&mut Self, &Text, &mut Keys) -> Option<C>,
    ) -> Conditions<C> {
        let mut out = Conditions { all: Vec::new(), join: Join::And, negated: false };
        if let Some(list) = keys.take(&format!("{kind}_conditions")) {
            let named = match list.kind {
                Kind::Map(pairs) => pairs.into_iter().map(|(k, v)| (Some(k.node), v)).collect(),
                _ => self
                    .items_of(list, "a set of conditions")
                    .into_iter()
                    .map(|n| (None, n))
                    .collect::<Vec<_>>(),
            };
            for (name, node) in named {
                let Some(mut inner) = self.keys(node, "a condition") else { continue };
                let Some(ty) = self.required(&mut inner, "type", "the condition") else { continue };
                if let Some(c) = read(self, &ty, &mut inner) {
                    out.all.push((name, c));
                    self.rest(inner, &format!("the condition `{}`", ty.node), &["type"]);
                }
            }
        }
        if let Some(op) = keys.take(&format!("{kind}_cond_op")) {
            match op.scalar_text().as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("and") => out.join = Join::And,
                Some("or") => out.join = Join::Or,
                _ => self.error(format!("`{kind}_cond_op` is `and` or `or`"), op.span),
            }
        }
        if let Some(not) = keys.take(&format!("{kind}_cond_not")) {
            out.negated = self.boolean(not, "a negation");
        }
        if let Some(e) = keys.take(&format!("{kind}_cond_expr")) {
            let (span, text) = (e.span, self.string(e, "an expression of conditions"));
            match condition::parse(&text, &|_| span) {
                Ok(c) if c.aggregation.is_none() => {
                    let names: Vec<&str> = out.all.iter().filter_map(|(n, _)| n.as_deref()).collect();
                    match missing(&c.expr, &names) {
                        None => out.join = Join::Expression(c.expr),
                        Some(name) => self.error(format!("there is no condition `{name}`"), span),
                    }
                }
                Ok(_) => self.error("an aggregation in an expression of conditions".into(), span),
                Err(d) => self.error(d.message, span),
            }
        }
        out
    }

    fn rule_condition(&mut self, ty: &Text, k: &mut Keys) -> Option<RuleCondition> {
        Some(match ty.node.as_str() {
            "logsource" => RuleCondition::LogSource {
                category: self.optional(k, "category"),
                product: self.optional(k, "product"),
                service: self.optional(k, "service"),
            },
            "contains_field" => RuleCondition::ContainsField(self.required(k, "field", &ty.node)?.node),
            "contains_detection_item" => RuleCondition::ContainsItem {
                field: self.required(k, "field", &ty.node)?.node,
                value: self.scalar(k, "value")?,
            },
            "processing_item_applied" => {
                RuleCondition::Applied(self.required(k, "processing_item_id", &ty.node)?.node)
            }
            "processing_state" => RuleCondition::State(self.state(k)?),
            "is_sigma_rule" => RuleCondition::IsRule,
            "is_sigma_correlation_rule" => RuleCondition::IsCorrelation,
            "rule_attribute" => {
                let name = self.required(k, "attribute", &ty.node)?.node;
                let value = self.scalar(k, "value")?;
                let op = match k.take("op") {
                    None => AttributeOp::Compare(Comparison::Eq),
                    Some(n) => match n.scalar_text().as_deref() {
                        Some("in") => AttributeOp::In,
                        Some("not_in") => AttributeOp::NotIn,
                        _ => AttributeOp::Compare(self.comparison(n)?),
                    },
                };
                RuleCondition::Attribute { name, value, op }
            }
            "tag" => RuleCondition::Tag(self.required(k, "tag", &ty.node)?.node),
            _ => {
                let known = [
                    "logsource",
                    "contains_field",
                    "contains_detection_item",
                    "processing_item_applied",
                    "processing_state",
                    "is_sigma_rule",
                    "is_sigma_correlation_rule",
                    "rule_attribute",
                    "tag",
                ];
                self.unknown("the condition on rules", ty, &known);
                return None;
            }
        })
    }

    fn item_condition(&mut self, ty: &Text, k: &mut Keys) -> Option<ItemCondition> {
        let all = match k.take("cond") {
            None => true,
            Some(n) => match n.scalar_text().as_deref() {
                Some("any") => false,
                Some("all") => true,
                _ => {
                    self.error("`cond` is `any` or `all`".into(), n.span);
                    return None;
                }
            },
        };
        Some(match ty.node.as_str() {
            "match_string" => {
                let pattern = self.required(k, "pattern", &ty.node)?;
                // As Python's `match`, which looks at the start of the text.
                let pattern = self.regex(&pattern, true)?;
                let negated = k.take("negate").is_some_and(|n| self.boolean(n, "negate"));
                ItemCondition::MatchString { all, pattern, negated }
            }
            "contains_wildcard" => ItemCondition::ContainsWildcard { all },
            "is_null" => ItemCondition::IsNull { all },
            "processing_item_applied" => {
                ItemCondition::Applied(self.required(k, "processing_item_id", &ty.node)?.node)
            }
            "processing_state" => ItemCondition::State(self.state(k)?),
            _ => {
                let known = [
                    "match_string",
                    "contains_wildcard",
                    "is_null",
                    "processing_item_applied",
                    "processing_state",
                ];
                self.unknown("the condition on detection items", ty, &known);
                return None;
            }
        })
    }

    fn field_condition(&mut self, ty: &Text, k: &mut Keys) -> Option<FieldCondition> {
        Some(match ty.node.as_str() {
            "include_fields" => FieldCondition::Include(self.names(k, &ty.node)?),
            "exclude_fields" => FieldCondition::Exclude(self.names(k, &ty.node)?),
            "processing_item_applied" => {
                FieldCondition::Applied(self.required(k, "processing_item_id", &ty.node)?.node)
            }
            "processing_state" => FieldCondition::State(self.state(k)?),
            _ => {
                let known =
                    ["include_fields", "exclude_fields", "processing_item_applied", "processing_state"];
                self.unknown("the condition on field names", ty, &known);
                return None;
            }
        })
    }

    fn names(&mut self, k: &mut Keys, what: &str) -> Option<Names> {
        let list = self.list(k, "fields", what)?;
        let mode = k.take("mode").or_else(|| k.take("type")).map(|n| (n.span, self.string(n, "mode")));
        match mode.as_ref().map_or("plain", |m| m.1.as_str()) {
            "plain" => Some(Names::Plain(list.into_iter().map(|t| t.node).collect())),
            "re" => Some(Names::Re(list.iter().map(|t| self.regex(t, true)).collect::<Option<_>>()?)),
            _ => {
                let span = mode.map_or(k.span, |m| m.0);
                self.error("`mode` is `plain` or `re`".into(), span);
                None
            }
        }
    }

    fn state(&mut self, k: &mut Keys) -> Option<StateTest> {
        let key = self.required(k, "key", "processing_state")?.node;
        let value = self.scalar(k, "val")?;
        let op = match k.take("op") {
            None => Comparison::Eq,
            Some(n) => self.comparison(n)?,
        };
        Some(StateTest { key, value, op })
    }

    fn comparison(&mut self, n: Node) -> Option<Comparison> {
        let text = n.scalar_text().unwrap_or_default();
        let found = if text == "ne" { Some(Comparison::Neq) } else { Comparison::parse(&text) };
        if found.is_none() {
            self.error(format!("`{text}` is none of eq, ne, gt, gte, lt, lte"), n.span);
        }
        found
    }

    fn transformation(&mut self, mut k: Keys, place: &str, depth: usize) -> Option<Transformation> {
        let ty = self.required(&mut k, "type", "the transformation")?;
        let name = ty.node.as_str();
        let what = match name {
            "field_name_mapping" => {
                let map = self.required_map(&mut k, name)?;
                Transformation::Fields(FieldMap::Names(self.string_lists(map, "mapping")))
            }
            "field_name_prefix_mapping" => {
                let map = self.required_map(&mut k, name)?;
                let order: Vec<String> = match &map.kind {
                    Kind::Map(pairs) => pairs.iter().map(|(k, _)| k.node.clone()).collect(),
                    _ => Vec::new(),
                };
                let mut lists = self.string_lists(map, "mapping");
                let in_order = order.into_iter().filter_map(|n| Some((n.clone(), lists.remove(&n)?)));
                Transformation::Fields(FieldMap::Prefixes(in_order.collect()))
            }
            "field_name_prefix" => {
                Transformation::Fields(FieldMap::AddPrefix(self.required(&mut k, "prefix", name)?.node))
            }
            "field_name_suffix" => {
                Transformation::Fields(FieldMap::AddSuffix(self.required(&mut k, "suffix", name)?.node))
            }
            "drop_detection_item" => Transformation::DropItem,
            "wildcard_placeholders" => Transformation::WildcardPlaceholders(self.handled(&mut k)?),
            "value_placeholders" => Transformation::ValuePlaceholders(self.handled(&mut k)?),
            "add_condition" => self.add_condition(&mut k, place)?,
            "change_logsource" => Transformation::ChangeLogSource {
                category: self.optional(&mut k, "category"),
                product: self.optional(&mut k, "product"),
                service: self.optional(&mut k, "service"),
            },
            "add_field" => Transformation::AddField(self.plain_list(&mut k, "field", name)?),
            "remove_field" => Transformation::RemoveField(self.plain_list(&mut k, "field", name)?),
            "set_field" => Transformation::SetField(self.plain_list(&mut k, "fields", name)?),
            "replace_string" => {
                let pattern = self.required(&mut k, "regex", name)?;
                let replacement = self.required(&mut k, "replacement", name)?.node;
                let mut flag = |key: &str| k.take(key).is_some_and(|n| self.boolean(n, key));
                let (skip_special, interpret_special) = (flag("skip_special"), flag("interpret_special"));
                let regex = self.regex(&pattern, false)?;
                Transformation::ReplaceString {
                    regex,
                    replacement: python_replacement(&replacement),
                    skip_special,
                    interpret_special,
                }
            }
            "map_string" => {
                let map = self.required_map(&mut k, name)?;
                Transformation::MapString(self.string_lists(map, "mapping"))
            }
            "set_value" => {
                let value = self.scalar(&mut k, "value")?;
                let force = k.take("force_type").map(|n| (n.span, self.string(n, "force_type")));
                Transformation::SetValue(match force.as_ref().map(|f| f.1.as_str()) {
                    None => value,
                    Some("str") => Scalar::Str(value.text()),
                    Some("num") => match number(&value) {
                        Some(n) => n,
                        None => {
                            self.error("`value` is no number".into(), k.span);
                            return None;
                        }
                    },
                    Some(_) => {
                        self.error("`force_type` is `str` or `num`".into(), force.map_or(k.span, |f| f.0));
                        return None;
                    }
                })
            }
            "convert_type" => {
                let to = self.required(&mut k, "target_type", name)?;
                match to.node.as_str() {
                    "num" => Transformation::ConvertType { number: true },
                    "str" => Transformation::ConvertType { number: false },
                    _ => {
                        self.error("`target_type` is `str` or `num`".into(), to.span);
                        return None;
                    }
                }
            }
            "case" => {
                let to = k.take("method").map(|n| (n.span, self.string(n, "method")));
                match to.as_ref().map_or("lower", |t| t.1.as_str()) {
                    "lower" => Transformation::Case { upper: false },
                    "upper" => Transformation::Case { upper: true },
                    _ => {
                        self.error("`method` is `lower` or `upper`".into(), to.map_or(k.span, |t| t.0));
                        return None;
                    }
                }
            }
            "set_state" => Transformation::SetState {
                key: self.required(&mut k, "key", name)?.node,
                value: self.scalar(&mut k, "val")?,
            },
            "set_custom_attribute" => Transformation::SetAttribute {
                name: self.required(&mut k, "attribute", name)?.node,
                value: self.scalar(&mut k, "value")?,
            },
            "rule_failure" => Transformation::RuleFailure(self.required(&mut k, "message", name)?.node),
            "detection_item_failure" => {
                Transformation::ItemFailure(self.required(&mut k, "message", name)?.node)
            }
            "nest" => {
                let Some(items) = k.take("items") else {
                    self.error("`nest` has no `items`".into(), k.span);
                    return None;
                };
                Transformation::Nest(self.transformations(items, place, depth + 1))
            }
            other => {
                match REFUSED.iter().find(|(n, _)| *n == other) {
                    Some((n, why)) => {
                        self.error(format!("the transformation `{n}` is not supported: {why}"), ty.span);
                    }
                    None => self.unknown("the transformation", &ty, TRANSFORMATIONS),
                }
                return None;
            }
        };
        self.rest(k, &format!("`{name}`"), ITEM_KEYS);
        Some(what)
    }

    fn add_condition(&mut self, k: &mut Keys, place: &str) -> Option<Transformation> {
        let name = match self.optional(k, "name") {
            Some(n) => n,
            None => {
                // Something that no rule calls a search, and that `them` does not mean.
                let word: String =
                    place.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                format!("_cond_{word}")
            }
        };
        let Some(node) = k.take("conditions") else {
            self.error("`add_condition` has no `conditions`".into(), k.span);
            return None;
        };
        let template = k.take("template").is_some_and(|n| self.boolean(n, "template"));
        let negated = k.take("negated").is_some_and(|n| self.boolean(n, "negated"));
        let key = Spanned::new("conditions".to_string(), node.span);
        let body = crate::parse::search_body(self.text, &key, node, &mut self.sink)?;
        Some(Transformation::AddCondition { name, body, template, negated })
    }

    fn handled(&mut self, k: &mut Keys) -> Option<Handled> {
        let mut list = |key: &str| {
            let node = k.take(key)?;
            Some(self.texts(node, key).into_iter().map(|t| t.node).collect())
        };
        let out = Handled { include: list("include"), exclude: list("exclude") };
        if out.include.is_some() && out.exclude.is_some() {
            self.error("`include` and `exclude` do not go together".into(), k.span);
            return None;
        }
        Some(out)
    }

    fn required_map(&mut self, k: &mut Keys, what: &str) -> Option<Node> {
        let map = k.take("mapping");
        if map.is_none() {
            self.error(format!("`{what}` has no `mapping`"), k.span);
        }
        map
    }

    fn required(&mut self, k: &mut Keys, key: &str, what: &str) -> Option<Text> {
        let Some(node) = k.take_any(key) else {
            self.error(format!("`{what}` has no `{key}`"), k.span);
            return None;
        };
        let span = node.span;
        match node.scalar_text() {
            Some(s) => Some(Spanned::new(s, span)),
            None => {
                self.error(format!("`{key}` takes text, and this is {}", node.describe()), span);
                None
            }
        }
    }

    fn optional(&mut self, k: &mut Keys, key: &str) -> Option<String> {
        k.take(key).map(|n| self.string(n, key))
    }

    fn scalar(&mut self, k: &mut Keys, key: &str) -> Option<Scalar> {
        let Some(node) = k.take_any(key) else {
            self.error(format!("`{key}` is missing"), k.span);
            return None;
        };
        Some(match node.kind {
            Kind::Null => Scalar::Null,
            Kind::Bool(b) => Scalar::Bool(b),
            Kind::Int(n) => Scalar::Int(n),
            Kind::Float(r) => Scalar::Float(r),
            Kind::Str(s) => Scalar::Str(s),
            Kind::Seq(_) | Kind::Map(_) => {
                self.error(format!("`{key}` takes one value, and this is {}", node.describe()), node.span);
                return None;
            }
        })
    }

    fn string(&mut self, node: Node, what: &str) -> String {
        node.scalar_text().unwrap_or_else(|| {
            self.error(format!("`{what}` takes text, and this is {}", node.describe()), node.span);
            String::new()
        })
    }

    fn boolean(&mut self, node: Node, what: &str) -> bool {
        let value = match &node.kind {
            Kind::Bool(b) => Some(*b),
            Kind::Str(s) => bool_of(s),
            _ => None,
        };
        match value {
            Some(b) => b,
            None => {
                self.error(
                    format!("`{what}` takes true or false, and this is {}", node.describe()),
                    node.span,
                );
                false
            }
        }
    }

    fn list(&mut self, k: &mut Keys, key: &str, what: &str) -> Option<Vec<Text>> {
        match k.take(key) {
            Some(node) => Some(self.texts(node, key)),
            None => {
                self.error(format!("`{what}` has no `{key}`"), k.span);
                None
            }
        }
    }

    fn plain_list(&mut self, k: &mut Keys, key: &str, what: &str) -> Option<Vec<String>> {
        Some(self.list(k, key, what)?.into_iter().map(|t| t.node).collect())
    }

    /// A text, or a list of texts.
    fn texts(&mut self, node: Node, what: &str) -> Vec<Text> {
        let items = match node.kind {
            Kind::Seq(items) => items,
            _ => vec![node],
        };
        let mut out = Vec::with_capacity(items.len());
        for n in items {
            let span = n.span;
            out.push(Spanned::new(self.string(n, what), span));
        }
        out
    }

    /// A map from texts to texts or lists of them.
    fn string_lists(&mut self, node: Node, what: &str) -> BTreeMap<String, Vec<String>> {
        let Some(keys) = self.keys(node, &format!("`{what}`")) else { return BTreeMap::new() };
        let mut out = BTreeMap::new();
        for (key, value) in keys.pairs {
            if value.kind == Kind::Null {
                self.error(format!("`{}` maps to nothing; an empty list takes it out", key.node), key.span);
                continue;
            }
            let list = self.texts(value, &key.node).into_iter().map(|t| t.node).collect();
            out.insert(key.node, list);
        }
        out
    }

    /// An expression of Python in the dialect of the engine.
    fn regex(&mut self, pattern: &Text, at_start: bool) -> Option<regex::Regex> {
        let source = if at_start { format!("^(?:{})", pattern.node) } else { pattern.node.clone() };
        let compiled = translate(&source, false, false, false).map_err(|e| match e.feature {
            Some(f) => format!("the regular expression uses {f}"),
            None => format!("the regular expression does not compile: {}", e.reason),
        });
        match compiled.and_then(|r| regex::Regex::new(&r).map_err(|e| e.to_string())) {
            Ok(r) => Some(r),
            Err(message) => {
                self.error(message, pattern.span);
                None
            }
        }
    }
}

/// The first name of an expression that is none of these.
fn missing(e: &Spanned<Expression>, names: &[&str]) -> Option<String> {
    match &e.node {
        Expression::Search(n) => (!names.contains(&n.as_str())).then(|| n.clone()),
        Expression::Not(inner) => missing(inner, names),
        Expression::And(items) | Expression::Or(items) => items.iter().find_map(|i| missing(i, names)),
        Expression::Of(..) => Some("… of …".into()),
        Expression::Prose(p) => Some(p.clone()),
    }
}

fn number(v: &Scalar) -> Option<Scalar> {
    let text = v.text();
    let long = text.parse::<i64>().ok().map(Scalar::Int);
    long.or_else(|| text.parse::<f64>().ok().filter(|r| r.is_finite()).map(Scalar::Float))
}

/// `\1` and `\g<name>` as the regex crate writes them.
fn python_replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '$' => {
                out.push_str("$$");
                after
            }
            '\\' => {
                let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let name = after.strip_prefix("g<").and_then(|r| r.split_once('>'));
                if let Some((name, tail)) = name {
                    out.push_str(&format!("${{{name}}}"));
                    tail
                } else if digits > 0 {
                    let width = digits.min(2);
                    out.push_str(&format!("${{{}}}", &after[..width]));
                    &after[width..]
                } else if let Some(tail) = after.strip_prefix('\\') {
                    out.push('\\');
                    tail
                } else {
                    out.push('\\');
                    after
                }
            }
            c => {
                out.push(c);
                after
            }
        };
    }
    out
}
