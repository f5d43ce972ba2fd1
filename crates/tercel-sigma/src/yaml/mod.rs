//! A small YAML tree that knows where everything stands.
//!
//! The events come from `saphyr-parser`; what this module adds are places in bytes, a bounded
//! expansion of aliases, a depth limit, duplicate keys as findings, and recovery: one broken document
//! of a multi-document text does not take the others with it.

mod reader;
mod scalar;
mod writer;

pub use reader::read;
pub(crate) use reader::read_into;
pub use writer::{write_documents, write_plain_or_quoted};

use crate::ast::Spanned;
use tercel_ir::Span;

/// A node with its place. Equality ignores the place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands. The content of an alias stands where its anchor does.
    pub span: Span,
}

impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        self.kind == other.kind
    }
}

/// The three shapes of YAML, scalars already resolved by the core schema of YAML 1.2.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false` without quotes.
    Bool(bool),
    /// An integer of 64 bits without quotes.
    Int(i64),
    /// A finite number without quotes.
    Float(f64),
    /// Anything else.
    Str(String),
    /// `[a, b]` or lines with dashes.
    Seq(Vec<Node>),
    /// Pairs in the order of the text. Keys are unique: of duplicates the first stays.
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    /// The value under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|(k, _)| k.node == key).map(|(_, v)| v),
            _ => None,
        }
    }
    /// What it is, in words for a message.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::Float(_) => "a number",
            Kind::Str(_) => "text",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
    /// A scalar as text (numbers and booleans as YAML writes them); `None` for null, lists and maps.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Bool(b) => Some(b.to_string()),
            Kind::Int(n) => Some(n.to_string()),
            Kind::Float(r) => Some(scalar::float_text(*r)),
            Kind::Str(s) => Some(s.clone()),
            Kind::Null | Kind::Seq(_) | Kind::Map(_) => None,
        }
    }
    /// How many levels of lists and maps stand in it (a scalar has none).
    pub(crate) fn height(&self) -> usize {
        match &self.kind {
            Kind::Seq(items) => 1 + items.iter().map(Node::height).max().unwrap_or(0),
            Kind::Map(pairs) => 1 + pairs.iter().map(|(_, v)| v.height()).max().unwrap_or(0),
            _ => 0,
        }
    }
    /// A measure of the memory that a copy takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        const NODE: usize = 64;
        NODE + match &self.kind {
            Kind::Str(s) => s.len(),
            Kind::Seq(items) => items.iter().map(Node::weight).sum(),
            Kind::Map(pairs) => pairs.iter().map(|(k, v)| NODE + k.node.len() + v.weight()).sum(),
            _ => 0,
        }
    }
}

/// What reading may cost beyond the text itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of lists and maps inside each other, aliases expanded.
    pub depth: usize,
    /// Memory that all aliases of one document together may unfold to, in bytes.
    pub alias_bytes: usize,
    /// Findings after which no more are reported.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 64, alias_bytes: 16 << 20, findings: 500 }
    }
}

/// One document of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its content; `None` where nothing but comments stands between two `---`.
    pub root: Option<Node>,
    /// From its first to its last byte, markers not included.
    pub span: Span,
}
