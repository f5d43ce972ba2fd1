//! What a document says about itself.

use super::{Cx, pairs};
use crate::ast::{Meta, Related, Spanned, Text};
use crate::yaml::{Kind, Node};

const KEYS: &[&str] = &[
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "generate",
];

#[derive(Default)]
pub(super) struct Builder {
    meta: Meta,
}

impl Builder {
    pub(super) fn add(&mut self, cx: &mut Cx<'_>, key: Text, value: Node) {
        let m = &mut self.meta;
        let name = key.node.as_str();
        match name {
            "title" => m.title = cx.scalar(name, value),
            "id" => m.id = cx.scalar(name, value),
            "name" => m.name = cx.scalar(name, value),
            "related" => m.related = related(cx, value),
            "taxonomy" => m.taxonomy = cx.scalar(name, value),
            "status" => m.status = cx.scalar(name, value),
            "description" => m.description = cx.scalar(name, value),
            "license" => m.license = cx.scalar(name, value),
            "author" => m.author = author(cx, value),
            "references" => m.references = cx.list(name, value),
            "date" => m.date = cx.scalar(name, value),
            "modified" => m.modified = cx.scalar(name, value),
            "fields" => m.fields = cx.list(name, value),
            "falsepositives" => m.falsepositives = cx.list(name, value),
            "level" => m.level = cx.scalar(name, value),
            "tags" => m.tags = cx.list(name, value),
            "scope" => m.scope = cx.list(name, value),
            _ => {
                cx.unknown_key(&key, KEYS, "a rule");
                m.custom.push((key, value));
            }
        }
    }
    pub(super) fn finish(self) -> Meta {
        self.meta
    }
}

/// The specification wants one text; lists occur, and say the same.
fn author(cx: &mut Cx<'_>, value: Node) -> Option<Text> {
    if !matches!(value.kind, Kind::Seq(_)) {
        return cx.scalar("author", value);
    }
    let span = value.span;
    let names: Vec<String> = cx.list("author", value).into_iter().map(|t| t.node).collect();
    (!names.is_empty()).then(|| Text::new(names.join(", "), span))
}

fn related(cx: &mut Cx<'_>, node: Node) -> Vec<Related> {
    let items = match node.kind {
        Kind::Null => return Vec::new(),
        Kind::Seq(items) => items,
        // One map without its dash, as sometimes written.
        Kind::Map(_) => vec![node],
        _ => {
            cx.error(
                "invalid-value",
                format!("`related` takes a list of maps, and this is {}", node.describe()),
                node.span,
            );
            return Vec::new();
        }
    };
    let mut out = Vec::new();
    for item in items {
        if !matches!(item.kind, Kind::Map(_)) {
            let what = item.describe();
            cx.error(
                "invalid-value",
                format!("an item of `related` is a map with `id` and `type`, and this is {what}"),
                item.span,
            );
            continue;
        }
        let mut r = Related { id: None, kind: None, span: Spanned::new((), item.span) };
        for (key, value) in pairs(item) {
            match key.node.as_str() {
                "id" => r.id = cx.scalar("id", value),
                "type" => r.kind = cx.scalar("type", value),
                other => {
                    let message = format!("unknown key `{other}` in an item of `related`");
                    cx.error("invalid-value", message, key.span);
                }
            }
        }
        out.push(r);
    }
    out
}
