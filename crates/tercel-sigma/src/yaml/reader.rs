//! From events to trees.

use super::scalar::{no_text, plain_value};
use super::{Document, Kind, Limits, Node};
use crate::ast::Spanned;
use crate::sink::Sink;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// Reads every document of a text. A document that is no YAML is reported and left out.
pub fn read(text: &str, limits: Limits) -> (Vec<Document>, Diagnostics) {
    let mut sink = Sink::new(limits.findings);
    let documents = read_into(text, limits, &mut sink);
    (documents, sink.finish())
}

pub(crate) fn read_into(text: &str, limits: Limits, sink: &mut Sink) -> Vec<Document> {
    if u32::try_from(text.len()).is_err() {
        sink.push(Diagnostic::error("yaml-too-large", "a text of 4 GiB or more cannot be read"));
        return Vec::new();
    }
    let mut documents = Vec::new();
    for piece in split(text) {
        let source =
            Source { text: &text[piece.clone()], base: piece.start, index: Index::new(&text[piece.clone()]) };
        if let Some(at) = source.text.find('\0') {
            // The scanner takes a NUL for the end of the text; what follows would vanish in silence.
            sink.push(
                Diagnostic::error("yaml-syntax", "a NUL character in the text")
                    .at(Span::new(piece.start + at, piece.start + at + 1))
                    .help(
                        "remove the character; a file full of them is probably UTF-16, and rules are UTF-8",
                    ),
            );
            continue;
        }
        Reader {
            source,
            limits,
            sink,
            frames: Vec::new(),
            anchors: HashMap::new(),
            budget: limits.alias_bytes,
        }
        .run(&mut documents);
    }
    documents
}

/// Cuts a text at the lines that start with `---`. Such a line starts a document wherever it stands
/// (inside a quoted scalar it is an error), so the cut is exact, and an error in one piece leaves the
/// others alone. A piece without content (comments, directives) goes with the piece after it.
fn split(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut pieces = Vec::new();
    // One byte order mark at the very start is allowed and means nothing.
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    // Nearly every file is one document.
    let marked =
        text[start..].starts_with("---") || memchr::memmem::find(text.as_bytes(), b"\n---").is_some();
    let mut has_content = !marked;
    let mut at = if marked { start } else { text.len() };
    while at < text.len() {
        let end = memchr_newline(text, at);
        let line = text[at..end].trim_end_matches(['\n', '\r']);
        let marker = line == "---" || line.starts_with("--- ") || line.starts_with("---\t");
        if marker && has_content {
            pieces.push(start..at);
            start = at;
            has_content = false;
        }
        // A directive belongs to the document after it; a bare `---` starts an (empty) document.
        if !line.trim_start().is_empty() && !line.trim_start().starts_with('#') && !line.starts_with('%') {
            has_content = true;
        }
        at = end;
    }
    if has_content || pieces.is_empty() {
        pieces.push(start..text.len());
    }
    pieces
}

/// Just after the next line feed.
fn memchr_newline(text: &str, from: usize) -> usize {
    memchr::memchr(b'\n', &text.as_bytes()[from..]).map_or(text.len(), |i| from + i + 1)
}

/// The scanner counts characters; spans count bytes.
enum Index {
    Ascii,
    /// The byte offset of every 64th character.
    Steps(Vec<u32>),
}

const STEP: usize = 64;

impl Index {
    fn new(text: &str) -> Index {
        if text.is_ascii() {
            return Index::Ascii;
        }
        Index::Steps(text.char_indices().step_by(STEP).map(|(i, _)| i as u32).collect())
    }
    fn byte(&self, text: &str, chars: usize) -> usize {
        match self {
            Index::Ascii => chars.min(text.len()),
            Index::Steps(steps) => {
                let Some(base) = steps.get(chars / STEP) else { return text.len() };
                let rest = &text[*base as usize..];
                *base as usize + rest.char_indices().nth(chars % STEP).map_or(rest.len(), |(i, _)| i)
            }
        }
    }
}

struct Source<'t> {
    text: &'t str,
    base: usize,
    index: Index,
}

impl Source<'_> {
    fn at(&self, marker: Marker) -> usize {
        self.index.byte(self.text, marker.index())
    }
    /// Without the blanks at its end (block scalars take the line breaks after them along).
    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.at(span.start);
        let end = self.at(span.end).max(start);
        let end = start + self.text[start..end].trim_end().len();
        Span::new(self.base + start, self.base + end)
    }
}

/// A text without the room that the scanner left at its end: trees of thousands of rules are kept.
fn exact(text: Cow<'_, str>) -> String {
    let mut text = text.into_owned();
    text.shrink_to_fit();
    text
}

enum Pending {
    /// The next node is a key.
    Key,
    /// The next node is the value of this key.
    Value { key: Spanned<String>, merge: bool },
    /// The next node is the value of something that cannot be a key.
    Skip,
}

enum FrameKind {
    Seq(Vec<Node>),
    Map {
        pairs: Vec<(Spanned<String>, Node)>,
        seen: Seen,
        /// The values of `<<`, in order.
        merges: Vec<Node>,
        pending: Pending,
    },
}

struct Frame {
    kind: FrameKind,
    anchor: usize,
    span: Span,
    /// Flow collections end at their bracket, block collections at their last child.
    flow: bool,
}

struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

struct Reader<'t, 's> {
    source: Source<'t>,
    limits: Limits,
    sink: &'s mut Sink,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    budget: usize,
}

/// The document cannot be read any further; the finding has been reported.
struct Stop;

impl<'t> Reader<'t, '_> {
    fn run(mut self, documents: &mut Vec<Document>) {
        let text: &'t str = self.source.text;
        let mut parser = Parser::new_from_str(text);
        let mut root: Option<Node> = None;
        let mut start = 0;
        let mut open = false;
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(e) => e,
                Err(e) => {
                    self.syntax_error(&e);
                    return;
                }
            };
            let result = match event {
                Event::Nothing | Event::StreamStart => Ok(None),
                Event::StreamEnd => break,
                Event::DocumentStart(_) => {
                    // A document without `---` that follows `...` comes from the same piece.
                    start = self.source.at(span.end);
                    root = None;
                    open = true;
                    Ok(None)
                }
                Event::DocumentEnd => {
                    let end = self.source.at(span.start).max(start);
                    let span = match &root {
                        Some(n) => n.span,
                        None => Span::new(self.source.base + start, self.source.base + end),
                    };
                    let root = root.take().filter(|n| !(n.kind == Kind::Null && n.span.start == n.span.end));
                    documents.push(Document { root, span });
                    self.anchors.clear();
                    open = false;
                    Ok(None)
                }
                other => self.node_event(other, span),
            };
            match result {
                Ok(Some(node)) => root = Some(node),
                Ok(None) => {}
                Err(Stop) => return,
            }
        }
        debug_assert!(!open || root.is_none(), "a document ends before its stream does");
    }

    /// Feeds one event; gives the root when it is complete.
    fn node_event(&mut self, event: Event<'t>, place: saphyr_parser::Span) -> Result<Option<Node>, Stop> {
        let span = self.source.span(place);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let kind = match tag {
                    None if plain => no_text(&text).unwrap_or_else(|| Kind::Str(exact(text))),
                    None => Kind::Str(exact(text)),
                    Some(tag) => self.tagged(&text, &tag, span),
                };
                self.complete(Node { kind, span }, anchor, plain)
            }
            Event::Alias(id) => {
                let Some(a) = self.anchors.get(&id) else {
                    return self.stop(
                        Diagnostic::error("yaml-alias", "an alias inside its own anchor")
                            .at(span)
                            .help("write the content out instead of referring to it"),
                    );
                };
                if self.frames.len() + a.height > self.limits.depth {
                    return self.too_deep(span);
                }
                if a.weight > self.budget {
                    return self.stop(
                        Diagnostic::error(
                            "yaml-alias-limit",
                            format!(
                                "the aliases of this document unfold to more than {} bytes",
                                self.limits.alias_bytes
                            ),
                        )
                        .at(span)
                        .meaning("nothing of this document is read"),
                    );
                }
                self.budget -= a.weight;
                let node = a.node.clone();
                self.complete(node, 0, false)
            }
            Event::SequenceStart(anchor, tag) => {
                self.reject_tag(tag.as_deref(), span);
                self.push(FrameKind::Seq(Vec::new()), anchor, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.reject_tag(tag.as_deref(), span);
                let kind = FrameKind::Map {
                    pairs: Vec::new(),
                    seen: Seen::default(),
                    merges: Vec::new(),
                    pending: Pending::Key,
                };
                self.push(kind, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.frames.pop() else { return Ok(None) };
                let mut whole = frame.span;
                let kind = match frame.kind {
                    FrameKind::Seq(mut items) => {
                        items.shrink_to_fit();
                        if let Some(last) = items.last() {
                            whole = whole.to(later(whole, last.span));
                        }
                        Kind::Seq(items)
                    }
                    FrameKind::Map { mut pairs, seen, merges, .. } => {
                        if let Some((key, value)) = pairs.last() {
                            whole = whole.to(later(whole, key.span)).to(later(whole, value.span));
                        }
                        merge(&mut pairs, seen, merges);
                        Kind::Map(pairs)
                    }
                };
                if frame.flow {
                    whole = whole.to(span);
                }
                self.complete(Node { kind, span: whole }, frame.anchor, false)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(None),
        }
    }

    fn push(&mut self, kind: FrameKind, anchor: usize, span: Span) -> Result<Option<Node>, Stop> {
        if self.frames.len() >= self.limits.depth {
            return self.too_deep(span);
        }
        let flow = self.source.text[span.start as usize - self.source.base..].starts_with(['[', '{'])
            && span.start < span.end;
        self.frames.push(Frame { kind, anchor, span, flow });
        Ok(None)
    }

    /// Hands a complete node to the collection around it.
    fn complete(&mut self, node: Node, anchor: usize, plain: bool) -> Result<Option<Node>, Stop> {
        if anchor != 0 {
            let (weight, height) = (node.weight(), node.height());
            if weight > self.budget {
                return self.stop(
                    Diagnostic::error(
                        "yaml-alias-limit",
                        format!(
                            "the anchors of this document hold more than {} bytes",
                            self.limits.alias_bytes
                        ),
                    )
                    .at(node.span)
                    .meaning("nothing of this document is read"),
                );
            }
            self.budget -= weight;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, height });
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(Some(node)) };
        match &mut frame.kind {
            FrameKind::Seq(items) => items.push(node),
            FrameKind::Map { pairs, seen, merges, pending } => match std::mem::replace(pending, Pending::Key) {
                Pending::Key => match key_text(node, self.source.text, self.source.base) {
                    Ok((key, span)) => {
                        *pending = Pending::Value { merge: plain && key == "<<", key: Spanned::new(key, span) };
                    }
                    Err(node) => {
                        *pending = Pending::Skip;
                        self.sink.push(
                            Diagnostic::error("yaml-key", format!("{} stands where a key must", node.describe()))
                                .at(node.span)
                                .help("a key is a name; put a text that starts with `{`, `[` or `?` in quotes"),
                        );
                    }
                },
                Pending::Value { merge: true, .. } => merges.push(node),
                Pending::Value { key, merge: false } => match seen.add(pairs, &key) {
                    Some(first) => self.sink.push(
                        Diagnostic::error("duplicate-key", format!("the key `{}` stands twice in one map", key.node))
                            .at(key.span)
                            .label("again here")
                            .related(first, "first here")
                            .meaning("YAML readers disagree about which of the two counts, so the rule means different things to different engines")
                            .help("join the two, or move one into a selection of its own"),
                    ),
                    None => {
                        pairs.push((key, node));
                    }
                },
                Pending::Skip => {}
            },
        }
        Ok(None)
    }

    fn tagged(&mut self, text: &str, tag: &Tag, span: Span) -> Kind {
        let core = tag.is_yaml_core_schema();
        let resolved = plain_value(text);
        match (core, tag.suffix.as_str()) {
            (true, "str") => Kind::Str(text.to_string()),
            (false, "" | "!") if tag.handle.is_empty() || tag.handle == "!" => Kind::Str(text.to_string()),
            (true, "int") if matches!(resolved, Kind::Int(_)) => resolved,
            (true, "bool") if matches!(resolved, Kind::Bool(_)) => resolved,
            (true, "null") if resolved == Kind::Null => resolved,
            (true, "float") => match resolved {
                Kind::Int(n) => Kind::Float(n as f64),
                Kind::Float(_) => resolved,
                _ => self.bad_tag(tag, text, span),
            },
            _ => self.bad_tag(tag, text, span),
        }
    }

    fn bad_tag(&mut self, tag: &Tag, text: &str, span: Span) -> Kind {
        self.sink.push(
            Diagnostic::error("yaml-tag", format!("the tag `{tag}` does not fit here or is not known"))
                .at(span)
                .help("rules need no tags: put text in quotes, write numbers without"),
        );
        Kind::Str(text.to_string())
    }

    /// Lists and maps take only the tags that say what they are anyway.
    fn reject_tag(&mut self, tag: Option<&Tag>, span: Span) {
        let Some(tag) = tag else { return };
        if !(tag.is_yaml_core_schema() && matches!(tag.suffix.as_str(), "seq" | "map")) {
            self.bad_tag(tag, "", span);
        }
    }

    fn too_deep(&mut self, span: Span) -> Result<Option<Node>, Stop> {
        self.stop(
            Diagnostic::error(
                "nesting-too-deep",
                format!("lists and maps stand more than {} levels inside each other", self.limits.depth),
            )
            .at(span)
            .meaning("nothing of this document is read"),
        )
    }

    fn stop(&mut self, d: Diagnostic) -> Result<Option<Node>, Stop> {
        self.sink.push(d);
        Err(Stop)
    }

    fn syntax_error(&mut self, e: &ScanError) {
        let text = self.source.text;
        let at = self.source.at(*e.marker());
        let line_start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[at..].find('\n').map_or(text.len(), |i| at + i);
        let line = &text[line_start..line_end];
        // The scanner gives up on the line with the tab, or says "tab" on the one before it.
        let near =
            text[line_start..].split_inclusive('\n').take(if e.info().contains("tab") { 3 } else { 1 });
        let mut start = line_start;
        for l in near {
            let indent = &l[..l.len() - l.trim_start().len()];
            if let Some(tab) = indent.find('\t') {
                let at = self.source.base + start + tab;
                self.sink.push(
                    Diagnostic::error("yaml-tab", "a tab in the indentation")
                        .at(Span::new(at, at + 1))
                        .meaning("YAML allows only spaces there; nothing of this document is read")
                        .help("replace the tab by four spaces"),
                );
                return;
            }
            start += l.len();
        }
        let width = text[at..line_end].chars().next().map_or(0, char::len_utf8);
        let mut d = Diagnostic::error("yaml-syntax", format!("this is not YAML: {}", e.info()))
            .at(Span::new(self.source.base + at, self.source.base + at + width))
            .meaning("nothing of this document is read");
        if let Some(help) = hint(line) {
            d = d.help(help);
        }
        self.sink.push(d);
    }
}

/// The commonest slips, told from the line on which the scanner gave up.
fn hint(line: &str) -> Option<&'static str> {
    let value =
        line.split_once(": ").map_or(line, |(_, v)| v).trim_start().trim_start_matches("- ").trim_start();
    if value.starts_with(['*', '&', '!', '%', '@', '`']) {
        return Some("a text that starts with `*`, `&`, `!`, `%`, `@` or a backtick needs quotes around it");
    }
    if value.starts_with('"') {
        return Some("in double quotes a backslash starts an escape; use single quotes");
    }
    if value.matches('\'').count() % 2 == 1 {
        return Some("a single quote inside single quotes is written twice: ''");
    }
    if value.contains(": ") {
        return Some("a text with `: ` in it needs quotes around it");
    }
    None
}

/// A scalar as a key; a key of `~` or nothing is kept as it was written. The node back if it is no scalar.
fn key_text(node: Node, text: &str, base: usize) -> Result<(String, Span), Node> {
    let span = node.span;
    match node.kind {
        Kind::Str(s) => Ok((s, span)),
        Kind::Null => Ok((
            text.get(span.start as usize - base..span.end as usize - base).unwrap_or("").to_string(),
            span,
        )),
        _ => node.scalar_text().map(|s| (s, span)).ok_or(node),
    }
}

/// The keys that a map has. Most maps are small, and then its pairs say it as fast as a hash would.
#[derive(Default)]
struct Seen(HashMap<String, Span>);

impl Seen {
    const SMALL: usize = 24;

    /// The place of an equal key among those that have been added, all of which are in `pairs`.
    fn add(&mut self, pairs: &[(Spanned<String>, Node)], key: &Spanned<String>) -> Option<Span> {
        if pairs.len() < Self::SMALL {
            return pairs.iter().find(|(k, _)| k.node == key.node).map(|(k, _)| k.span);
        }
        let index = self.of(pairs);
        let first = index.get(&key.node).copied();
        if first.is_none() {
            index.insert(key.node.clone(), key.span);
        }
        first
    }

    fn of(&mut self, pairs: &[(Spanned<String>, Node)]) -> &mut HashMap<String, Span> {
        if self.0.is_empty() {
            self.0 = pairs.iter().map(|(k, _)| (k.node.clone(), k.span)).collect();
        }
        &mut self.0
    }
}

/// The content of an alias stands before the alias; it must not stretch the collection around it.
fn later(whole: Span, child: Span) -> Span {
    if child.start >= whole.start { child } else { whole }
}

/// `<<: *base`: the pairs of the base that the map does not have itself, earlier bases first.
fn merge(pairs: &mut Vec<(Spanned<String>, Node)>, mut seen: Seen, merges: Vec<Node>) {
    if merges.is_empty() {
        return;
    }
    let seen = seen.of(pairs);
    for node in merges {
        let maps = match node.kind {
            Kind::Seq(items) => items,
            kind => vec![Node { kind, span: node.span }],
        };
        for map in maps {
            if let Kind::Map(inherited) = map.kind {
                for (key, value) in inherited {
                    if seen.insert(key.node.clone(), key.span).is_none() {
                        pairs.push((key, value));
                    }
                }
            } else if map.kind != Kind::Null {
                // `<<` with a scalar is an ordinary pair of YAML 1.2.
                let key = Spanned::new("<<".to_string(), map.span);
                if seen.insert("<<".to_string(), map.span).is_none() {
                    pairs.push((key, map));
                }
            }
        }
    }
}
