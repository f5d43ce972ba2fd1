//! From trees back to text: block style, four spaces, text in single quotes where it needs any.

use super::scalar::{float_text, plain_value};
use super::{Kind, Node};

const INDENT: usize = 4;

/// Longest key that YAML lets stand before a `:` on one line, with room for quotes.
const SIMPLE_KEY: usize = 900;

/// How text values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// Only where they are needed.
    AsNeeded,
    /// Always, as the Sigma specification asks for detection values.
    Always,
}

/// Several documents, with `---` between them. Text under `detection` and `filter` is always quoted.
pub fn write_documents(documents: &[Node]) -> String {
    let mut out = String::new();
    for (i, d) in documents.iter().enumerate() {
        if i > 0 {
            out.push_str("---\n");
        }
        match &d.kind {
            Kind::Map(pairs) if !pairs.is_empty() => {
                for (k, v) in pairs {
                    let quotes = match k.node.as_str() {
                        "detection" | "filter" => Quotes::Always,
                        _ => Quotes::AsNeeded,
                    };
                    pair(&mut out, &k.node, v, 0, quotes);
                }
            }
            _ => {
                value_after_marker(&mut out, d, 0, Quotes::AsNeeded);
            }
        }
    }
    out
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn pair(out: &mut String, key: &str, value: &Node, indent: usize, quotes: Quotes) {
    pad(out, indent);
    pair_here(out, key, value, indent, quotes);
}

/// A pair whose indentation has been written.
fn pair_here(out: &mut String, key: &str, value: &Node, indent: usize, quotes: Quotes) {
    let key = text(key, Quotes::AsNeeded, true);
    if key.len() > SIMPLE_KEY {
        out.push_str("? ");
        out.push_str(&key);
        out.push('\n');
        pad(out, indent);
        out.push(':');
    } else {
        out.push_str(&key);
        out.push(':');
    }
    match &value.kind {
        Kind::Map(pairs) if !pairs.is_empty() => {
            out.push('\n');
            for (k, v) in pairs {
                pair(out, &k.node, v, indent + INDENT, quotes);
            }
        }
        Kind::Seq(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                pad(out, indent + INDENT);
                out.push('-');
                item_after_dash(out, item, indent + INDENT, quotes);
            }
        }
        _ => {
            out.push(' ');
            scalar(
                out,
                value,
                indent,
                if key == "condition" || key == "timeframe" { Quotes::AsNeeded } else { quotes },
            );
        }
    }
}

fn item_after_dash(out: &mut String, item: &Node, indent: usize, quotes: Quotes) {
    match &item.kind {
        Kind::Map(pairs) if !pairs.is_empty() => {
            // The first pair stands on the line of the dash, the others under it.
            let inner = indent + 2;
            out.push(' ');
            for (i, (k, v)) in pairs.iter().enumerate() {
                if i > 0 {
                    pad(out, inner);
                }
                pair_here(out, &k.node, v, inner, quotes);
            }
        }
        Kind::Seq(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                pad(out, indent + INDENT);
                out.push('-');
                item_after_dash(out, item, indent + INDENT, quotes);
            }
        }
        _ => {
            out.push(' ');
            scalar(out, item, indent, quotes);
        }
    }
}

fn value_after_marker(out: &mut String, node: &Node, indent: usize, quotes: Quotes) {
    match &node.kind {
        Kind::Seq(items) if !items.is_empty() => {
            for item in items {
                pad(out, indent);
                out.push('-');
                item_after_dash(out, item, indent, quotes);
            }
        }
        _ => scalar(out, node, indent, quotes),
    }
}

fn scalar(out: &mut String, node: &Node, indent: usize, quotes: Quotes) {
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Kind::Int(n) => out.push_str(&n.to_string()),
        Kind::Float(r) => out.push_str(&float_text(*r)),
        Kind::Str(s) => {
            if quotes == Quotes::AsNeeded && fits_block(s) {
                block(out, s, indent + INDENT);
                return;
            }
            out.push_str(&text(s, quotes, false));
        }
        Kind::Seq(_) => out.push_str("[]"),
        Kind::Map(_) => out.push_str("{}"),
    }
    out.push('\n');
}

/// Whether `|` brings the text back exactly: several printable lines, no blanks at the start of the
/// first, none at the end of any, at most one line break at the end.
fn fits_block(s: &str) -> bool {
    let body = s.strip_suffix('\n').unwrap_or(s);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && body.lines().all(|l| !l.ends_with([' ', '\t']) && !l.starts_with('\t'))
        && body.chars().all(|c| c == '\n' || !must_escape(c))
}

fn block(out: &mut String, s: &str, indent: usize) {
    let body = s.strip_suffix('\n');
    out.push_str(if body.is_some() { "|\n" } else { "|-\n" });
    for line in body.unwrap_or(s).split('\n') {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// A text as one YAML scalar on one line, without quotes where none are needed.
pub fn write_plain_or_quoted(s: &str) -> String {
    text(s, Quotes::AsNeeded, false)
}

fn text(s: &str, quotes: Quotes, key: bool) -> String {
    if s.chars().any(must_escape) {
        return double_quoted(s);
    }
    if quotes == Quotes::AsNeeded && plain_is_safe(s, key) {
        return s.to_string();
    }
    format!("'{}'", s.replace('\'', "''"))
}

/// Whether the text without quotes reads back as itself. Conservative: it may say no to a text that
/// would do.
fn plain_is_safe(s: &str, key: bool) -> bool {
    let Some(first) = s.chars().next() else { return false };
    if !(first.is_alphanumeric() || matches!(first, '_' | '$' | '/' | '(' | '\\' | '.')) {
        return false;
    }
    if s.ends_with([' ', ':', '\t'])
        || s.contains(": ")
        || s.contains(" #")
        || s.contains(":\t")
        || s.contains("\t#")
    {
        return false;
    }
    if key && (s.contains([':', '#', '\t']) || s == "<<") {
        return false;
    }
    if s.contains(['[', ']', '{', '}', '"', '\'', '`', '\t']) && key {
        return false;
    }
    // Document markers count only at the start of a line, and no value is written there but a root.
    if s.starts_with("---") || s.starts_with("...") {
        return false;
    }
    matches!(plain_value(s), Kind::Str(_))
}

fn must_escape(c: char) -> bool {
    c.is_control() && c != '\t' || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn double_quoted(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if must_escape(c) && (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if must_escape(c) => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
