//! From YAML trees to rules. Every part reports what it cannot read and goes on with the rest.

mod correlation;
mod detection;
mod meta;

use crate::ast::{
    CorrelationRule, Document, File, FilterRule, FilterTargets, LogSource, Rule, Spanned, Text, bool_of,
};
use crate::sink::Sink;
use crate::yaml::{self, Kind, Limits, Node};
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// Parses a file of one or more rules, with the default limits.
pub fn parse(text: &str) -> (File, Diagnostics) {
    parse_with(text, Limits::default())
}

/// Parses a file of one or more rules.
pub fn parse_with(text: &str, limits: Limits) -> (File, Diagnostics) {
    let mut sink = Sink::new(limits.findings);
    let documents = yaml::read_into(text, limits, &mut sink);
    let mut file = File::default();
    let nothing_found = documents.iter().all(|d| d.root.is_none());
    if nothing_found && sink.is_empty() {
        sink.push(
            Diagnostic::error("empty-file", "there is no rule in this text")
                .help("a rule is a YAML map with `title`, `logsource` and `detection`"),
        );
    }
    let mut unfold = Unfold {
        global: None,
        previous: None,
        keep_previous: memchr::memmem::find(text.as_bytes(), b"repeat").is_some(),
        budget: limits.alias_bytes.saturating_mul(4),
    };
    for d in documents {
        let Some(root) = d.root else { continue };
        if !matches!(root.kind, Kind::Map(_)) {
            sink.push(
                Diagnostic::error(
                    "not-a-rule",
                    format!("a rule is a map of `key: value`, and this is {}", root.describe()),
                )
                .at(first_line(text, root.span))
                .meaning("nothing of this document is read"),
            );
            continue;
        }
        if let Some(root) = unfold.next(root, &mut sink) {
            let unsupported =
                matches!(root.get("status").map(|n| &n.kind), Some(Kind::Str(s)) if s == "unsupported");
            let errors = sink.errors();
            let of_reader = sink.error_within(root.span);
            let mut cx = Cx { text, sink: &mut sink, unsupported };
            if let Some(mut d) = document(&mut cx, root) {
                if of_reader || sink.errors() > errors {
                    d.set_broken();
                }
                file.documents.push(d);
            }
        }
    }
    if file.documents.is_empty() && sink.errors() == 0 {
        sink.push(
            Diagnostic::error("empty-file", "there is no rule in this text")
                .help("`action` documents only give their keys to rules that follow them"),
        );
    }
    (file, sink.finish())
}

/// The body of a search that stands in another kind of file.
pub(crate) fn search_body(
    text: &str,
    name: &Text,
    node: Node,
    sink: &mut Sink,
) -> Option<Spanned<crate::ast::SearchBody>> {
    let mut cx = Cx { text, sink, unsupported: false };
    detection::body(&mut cx, &name.node, node, name.span)
}

/// The first line of a place, for findings about a whole document.
pub(crate) fn first_line(text: &str, span: Span) -> Span {
    let slice = text.get(span.range()).unwrap_or("");
    let end = slice.find('\n').unwrap_or(slice.len());
    Span::new(span.start as usize, span.start as usize + slice[..end].trim_end().len())
}

/// Rule collections of before Sigma 2, as they still occur: `action: global` gives every later document
/// its keys, `reset` ends that, `repeat` takes those of the document before.
struct Unfold {
    global: Option<Node>,
    previous: Option<Node>,
    /// Whether a `repeat` may come: keeping every rule would double the cost of all files for nothing.
    keep_previous: bool,
    /// Bytes that copies may still take: a large global document times many small ones is a bomb.
    budget: usize,
}

impl Unfold {
    /// The document to read as a rule, if it is one.
    fn next(&mut self, mut root: Node, sink: &mut Sink) -> Option<Node> {
        let action = match &mut root.kind {
            Kind::Map(pairs) => pairs.iter().position(|(k, _)| k.node == "action").map(|i| pairs.remove(i).1),
            _ => None,
        };
        let Some(action) = action else {
            if let Some(global) = self.global.take() {
                root = self.inherit(root, &global, sink);
                self.global = Some(global);
            }
            if self.keep_previous {
                // A rule too large for the budget is not kept; `repeat` after it is then an error.
                self.previous = (root.weight() <= self.budget).then(|| root.clone());
            }
            return Some(root);
        };
        match action.scalar_text().as_deref() {
            Some("global") => {
                self.global = Some(match self.global.take() {
                    Some(before) => self.inherit(root, &before, sink),
                    None => root,
                });
                None
            }
            Some("reset") => {
                self.global = None;
                matches!(&root.kind, Kind::Map(pairs) if !pairs.is_empty()).then_some(root)
            }
            Some("repeat") => {
                let Some(previous) = self.previous.take() else {
                    sink.push(
                        Diagnostic::error("invalid-action", "`action: repeat` without a rule before it")
                            .at(action.span)
                            .meaning("nothing of this document is read"),
                    );
                    return None;
                };
                let root = self.inherit(root, &previous, sink);
                self.previous = Some(root.clone());
                Some(root)
            }
            _ => {
                sink.push(
                    Diagnostic::error("invalid-action", "an `action` is `global`, `reset` or `repeat`")
                        .at(action.span)
                        .meaning("nothing of this document is read"),
                );
                None
            }
        }
    }

    /// `root` with what `base` has more; maps are joined at every level, the document's own values win.
    fn inherit(&mut self, mut root: Node, base: &Node, sink: &mut Sink) -> Node {
        let weight = base.weight();
        if weight > self.budget {
            sink.push(
                Diagnostic::error(
                    "collection-too-large",
                    "the documents of this collection unfold to too much text",
                )
                .at(root.span)
                .meaning("what the document should inherit is missing")
                .help("write the rules as documents of their own"),
            );
            return root;
        }
        self.budget -= weight;
        join(&mut root, base);
        root
    }
}

/// Depth is bounded by the reader's limit.
fn join(root: &mut Node, base: &Node) {
    let (Kind::Map(own), Kind::Map(inherited)) = (&mut root.kind, &base.kind) else { return };
    let index: std::collections::HashMap<String, usize> =
        own.iter().enumerate().map(|(i, (k, _))| (k.node.clone(), i)).collect();
    for (k, v) in inherited {
        match index.get(&k.node) {
            Some(i) => join(&mut own[*i].1, v),
            None => own.push((k.clone(), v.clone())),
        }
    }
}

/// What the parts of the parser share.
struct Cx<'a> {
    text: &'a str,
    sink: &'a mut Sink,
    /// Whether the document says of itself that it cannot run.
    unsupported: bool,
}

impl Cx<'_> {
    fn error(&mut self, code: &'static str, message: impl Into<String>, at: Span) {
        self.sink.push(Diagnostic::error(code, message).at(at));
    }

    /// A scalar as text; nothing for null; an error for anything else.
    fn scalar(&mut self, key: &str, node: Node) -> Option<Text> {
        match node.kind {
            Kind::Null => None,
            Kind::Str(s) => Some(Spanned::new(s, node.span)),
            Kind::Seq(_) | Kind::Map(_) => {
                self.error(
                    "invalid-value",
                    format!("`{key}` takes text, and this is {}", node.describe()),
                    node.span,
                );
                None
            }
            _ => node.scalar_text().map(|s| Spanned::new(s, node.span)),
        }
    }

    /// A list of scalars, or one.
    fn list(&mut self, key: &str, node: Node) -> Vec<Text> {
        match node.kind {
            Kind::Null => Vec::new(),
            Kind::Seq(items) => items
                .into_iter()
                .filter_map(|i| {
                    if i.kind == Kind::Null {
                        self.sink.push(
                            Diagnostic::warning("empty-item", format!("an empty item in `{key}`")).at(i.span),
                        );
                    }
                    self.scalar(key, i)
                })
                .collect(),
            _ => self.scalar(key, node).into_iter().collect(),
        }
    }

    /// A key that the specification does not know. It is kept, so this is a note, unless it looks like
    /// a slip of the pen.
    fn unknown_key(&mut self, key: &Text, known: &[&str], section: &str) {
        let near = if self.sink.full() { None } else { nearest(&key.node, known.iter().copied()) };
        let d = match near {
            Some(k) => Diagnostic::warning("unknown-key", format!("unknown key `{}` in {section}", key.node))
                .help(format!("did you mean `{k}`?")),
            None => Diagnostic::note(
                "unknown-key",
                format!("`{}` is not a key of {section} in the specification", key.node),
            )
            .meaning("it is kept and has no effect"),
        };
        self.sink.push(d.at(key.span));
    }

    /// Places inside a scalar: exact where the text stands in the file as it is (plain, or quoted without
    /// escapes), else the whole scalar.
    fn within(&self, text: &str, span: Span) -> Option<usize> {
        let written = self.text.get(span.range())?;
        let offset = match written.as_bytes().first() {
            Some(b'\'' | b'"') => 1,
            _ => 0,
        };
        written.get(offset..offset + text.len()).filter(|w| *w == text).map(|_| span.start as usize + offset)
    }
}

fn pairs(node: Node) -> Vec<(Text, Node)> {
    match node.kind {
        Kind::Map(pairs) => pairs,
        _ => Vec::new(),
    }
}

fn document(cx: &mut Cx<'_>, root: Node) -> Option<Document> {
    let span = root.span;
    let place = first_line(cx.text, span);
    let span = Spanned::new((), span);
    let mut meta = meta::Builder::default();
    let (mut logsource, mut detection, mut correlation, mut filter, mut generate) =
        (None, None, None, None, None);
    for (key, value) in pairs(root) {
        match key.node.as_str() {
            "logsource" => logsource = Some((key, value)),
            "detection" => detection = Some((key, value)),
            "correlation" => correlation = Some((key, value)),
            "filter" => filter = Some((key, value)),
            "generate" => generate = Some((key, value)),
            _ => meta.add(cx, key, value),
        }
    }
    if let Some((key, value)) = correlation {
        for (other, _) in [&logsource, &detection, &filter].into_iter().flatten() {
            cx.sink.push(
                Diagnostic::error("conflicting-sections", format!("`{}` in a correlation rule", other.node))
                    .at(other.span)
                    .related(key.span, "the correlation")
                    .help("put the detection into a document of its own and refer to it by `name`"),
            );
        }
        let mut inner_generate = None;
        let correlation = correlation::correlation(cx, &key, value, &mut inner_generate);
        let generate = generate.and_then(|(k, v)| boolean(cx, &k.node, v)).or(inner_generate);
        return Some(Document::Correlation(CorrelationRule {
            meta: meta.finish(),
            correlation,
            generate,
            broken: false,
            span,
        }));
    }
    let logsource = logsource.and_then(|(key, value)| log_source(cx, &key, value)).or_else(|| {
        cx.sink.push(
            Diagnostic::error("missing-logsource", "the rule has no `logsource`")
                .at(place)
                .meaning("nothing says which events it is for, so it cannot run")
                .help("add `logsource:` with a `category`, `product` or `service`"),
        );
        None
    });
    let logsource = logsource.unwrap_or_default();
    if let Some((key, value)) = filter {
        if let Some((other, _)) = detection {
            cx.sink.push(
                Diagnostic::error("conflicting-sections", "`detection` in a filter")
                    .at(other.span)
                    .related(key.span, "the filter")
                    .help("the searches of a filter stand under `filter`"),
            );
        }
        let (rules, detection) = filter_section(cx, &key, value);
        keep_generate(cx, &mut meta, generate);
        return Some(Document::Filter(FilterRule {
            meta: meta.finish(),
            logsource,
            rules,
            detection,
            broken: false,
            span,
        }));
    }
    let detection = match detection {
        Some((key, value)) => detection::detection(cx, &key, value, &[]).0,
        None => {
            cx.sink.push(
                Diagnostic::error("missing-detection", "the document has no `detection`")
                    .at(place)
                    .meaning("it is no rule, and cannot run")
                    .help("a rule has `detection`, a correlation `correlation`, a filter `filter`"),
            );
            return None;
        }
    };
    keep_generate(cx, &mut meta, generate);
    Some(Document::Rule(Rule { meta: meta.finish(), logsource, detection, broken: false, span }))
}

/// `generate` means something in correlations only; elsewhere it is a key like any unknown one.
fn keep_generate(cx: &mut Cx<'_>, meta: &mut meta::Builder, generate: Option<(Text, Node)>) {
    if let Some((key, value)) = generate {
        meta.add(cx, key, value);
    }
}

fn boolean(cx: &mut Cx<'_>, key: &str, node: Node) -> Option<Spanned<bool>> {
    let value = match &node.kind {
        Kind::Bool(b) => Some(*b),
        Kind::Str(s) => bool_of(s),
        _ => None,
    };
    match value {
        Some(b) => Some(Spanned::new(b, node.span)),
        None => {
            cx.error(
                "invalid-value",
                format!("`{key}` takes true or false, and this is {}", node.describe()),
                node.span,
            );
            None
        }
    }
}

const LOGSOURCE_KEYS: &[&str] = &["category", "product", "service", "definition"];

fn log_source(cx: &mut Cx<'_>, key: &Text, node: Node) -> Option<LogSource> {
    if !matches!(node.kind, Kind::Map(_)) {
        cx.error(
            "invalid-value",
            format!("`logsource` takes a map, and this is {}", node.describe()),
            key.span.to(node.span),
        );
        return None;
    }
    let mut out = LogSource { span: Spanned::new((), node.span), ..LogSource::default() };
    for (key, value) in pairs(node) {
        match key.node.as_str() {
            "category" => out.category = cx.scalar("category", value),
            "product" => out.product = cx.scalar("product", value),
            "service" => out.service = cx.scalar("service", value),
            "definition" => out.definition = cx.scalar("definition", value),
            _ => {
                cx.unknown_key(&key, LOGSOURCE_KEYS, "`logsource`");
                out.custom.push((key, value));
            }
        }
    }
    if out.category.is_none() && out.product.is_none() && out.service.is_none() {
        cx.sink.push(
            Diagnostic::error("missing-logsource", "the `logsource` names no category, product or service")
                .at(key.span)
                .meaning("nothing says which events the rule is for, so it cannot run"),
        );
    }
    Some(out)
}

fn filter_section(cx: &mut Cx<'_>, key: &Text, node: Node) -> (FilterTargets, crate::ast::Detection) {
    let (detection, extra) = detection::detection(cx, key, node, &["rules"]);
    let mut targets = None;
    for (k, v) in extra {
        let span = k.span.to(v.span);
        let any = matches!(&v.kind, Kind::Str(s) if ["any", "all"].iter().any(|w| s.eq_ignore_ascii_case(w)));
        let rules = cx.list("rules", v);
        if rules.is_empty() {
            cx.error("invalid-value", "`rules` names no rule", span);
        }
        targets = Some(if any { FilterTargets::Any } else { FilterTargets::Rules(rules) });
    }
    let targets = targets.unwrap_or_else(|| {
        cx.sink.push(
            Diagnostic::error("missing-rules", "the filter does not say which rules it is for")
                .at(key.span)
                .help("add `rules:` with the ids or names of rules, or `rules: any`"),
        );
        FilterTargets::Rules(Vec::new())
    });
    (targets, detection)
}
