//! What a KQL or Sumo text says about itself, in the comments above its first line of code.
//!
//! ```text
//! // title: Rare outgoing connection
//! // id: 0b1c…            level: one of Sigma's five
//! // tags: attack.t1071.001, attack.t1571
//! // falsepositives:
//! //   - backup tools
//! ```
//!
//! A key is known or it is prose: published texts are full of comments with colons. The first comment
//! that is prose is the title when none is given.

use crate::detection::{Level, Metadata};

/// What the header says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Header {
    pub id: Option<String>,
    pub title: Option<String>,
    pub level: Option<Level>,
    /// A level that is none, with what stood there.
    pub bad_level: Option<String>,
    pub metadata: Metadata,
}

/// Comment lines are looked at this far; a text of comments alone costs no more.
const MAX_LINES: usize = 200;

#[derive(Clone, Copy, PartialEq)]
enum Key {
    Id,
    Title,
    Level,
    Description,
    Status,
    Author,
    Date,
    Modified,
    License,
    References,
    FalsePositives,
    Tags,
    Required,
}

impl Key {
    fn parse(name: &str) -> Option<Key> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "id" => Key::Id,
            "title" | "name" => Key::Title,
            "level" | "severity" => Key::Level,
            "description" => Key::Description,
            "status" => Key::Status,
            "author" | "authors" => Key::Author,
            "date" => Key::Date,
            "modified" => Key::Modified,
            "license" | "licence" => Key::License,
            "reference" | "references" => Key::References,
            "falsepositive" | "falsepositives" | "false positives" | "false-positives" => Key::FalsePositives,
            "tag" | "tags" => Key::Tags,
            "required" | "required data" | "requires" => Key::Required,
            _ => return None,
        })
    }
}

/// Reads the comments at the top of a text.
pub(crate) fn parse(text: &str) -> Header {
    let mut header = Header::default();
    let mut prose: Option<String> = None;
    let mut open: Option<Key> = None;
    for line in comment_lines(text) {
        let body = line.trim();
        let known = body.split_once(':').and_then(|(k, v)| Some((Key::parse(k)?, v.trim())));
        if let Some((key, value)) = known {
            header.set(key, value);
            open = Some(key);
            continue;
        }
        // A list item or an indented line goes on with the key above it; an empty comment ends it.
        let indented = line.len() - line.trim_start().len() >= 2;
        if body.is_empty() {
            open = None;
        } else if let Some(key) = open.filter(|_| indented || body.starts_with("- ")) {
            header.set(key, body.strip_prefix("- ").unwrap_or(body).trim());
        } else {
            open = None;
            // A line that is about a link is no title.
            if !body.contains("://") {
                prose.get_or_insert_with(|| body.to_string());
            }
        }
    }
    header.title = header.title.or(prose);
    header
}

/// The text of each comment line before the first line of code, without the comment marks. One blank
/// after the mark is taken off, more are kept.
fn comment_lines(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut block = false;
    for line in text.lines().take(MAX_LINES) {
        let t = line.trim_start();
        let body = if block {
            let (body, closed) = match t.split_once("*/") {
                Some((b, _)) => (b, true),
                None => (t, false),
            };
            block = !closed;
            body.trim_start_matches('*')
        } else if let Some(body) = t.strip_prefix("//") {
            body.trim_start_matches('/')
        } else if let Some(rest) = t.strip_prefix("/*") {
            match rest.split_once("*/") {
                Some((b, _)) => b.trim_start_matches('*'),
                None => {
                    block = true;
                    rest.trim_start_matches('*')
                }
            }
        } else if t.is_empty() {
            continue;
        } else {
            break;
        };
        out.push(body.strip_prefix(' ').unwrap_or(body).trim_end());
    }
    out
}

impl Header {
    fn set(&mut self, key: Key, value: &str) {
        if value.is_empty() {
            return;
        }
        fn join(slot: &mut Option<String>, value: &str) {
            match slot {
                Some(s) => {
                    s.push(' ');
                    s.push_str(value);
                }
                None => *slot = Some(value.to_string()),
            }
        }
        let m = &mut self.metadata;
        match key {
            Key::Id => self.id = Some(value.to_string()),
            Key::Title => join(&mut self.title, value),
            Key::Level => match Level::parse(value) {
                Some(l) => self.level = Some(l),
                None => self.bad_level = Some(value.to_string()),
            },
            Key::Description => join(&mut m.description, value),
            Key::Status => m.status = Some(value.to_string()),
            Key::Author => join(&mut m.author, value),
            Key::Date => m.date = Some(value.to_string()),
            Key::Modified => m.modified = Some(value.to_string()),
            Key::License => m.license = Some(value.to_string()),
            Key::References => m.references.push(value.to_string()),
            Key::FalsePositives => m.falsepositives.push(value.to_string()),
            Key::Required => m.required.push(value.to_string()),
            Key::Tags => m.tags.extend(
                value.split([',', ' ', '\t']).map(str::trim).filter(|t| !t.is_empty()).map(str::to_string),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lists_and_continuations() {
        let h = parse(
            "\n// title: Odd thing\n// id: a-1\n// level: high\n// tags: attack.t1071.001, attack.t1571\n\
             // description: one\n//   two\n// falsepositives:\n// - backups\n//   - tests\n//\n// note: prose\nT | take 1\n// level: low\n",
        );
        assert_eq!(
            (h.id.as_deref(), h.title.as_deref(), h.level),
            (Some("a-1"), Some("Odd thing"), Some(Level::High))
        );
        assert_eq!(h.metadata.tags, ["attack.t1071.001", "attack.t1571"]);
        assert_eq!(h.metadata.description.as_deref(), Some("one two"));
        assert_eq!(h.metadata.falsepositives, ["backups", "tests"]);
    }

    #[test]
    fn prose_is_a_title_and_unknown_keys_are_prose() {
        let h = parse("// Author: A. Person (a@example.com)\n// Walkthrough: https://example.com\nT");
        assert_eq!(h.metadata.author.as_deref(), Some("A. Person (a@example.com)"));
        assert_eq!(h.title, None);
        assert_eq!(parse("// Finds things\n// Focus: others\nT").title.as_deref(), Some("Finds things"));
        assert_eq!(parse("T // title: x").title, None);
    }

    #[test]
    fn block_comments() {
        let h = parse("/* title: a\n * level: loud\n * id: q */\n_sourceCategory=x");
        assert_eq!((h.title.as_deref(), h.id.as_deref()), (Some("a"), Some("q")));
        assert_eq!(h.bad_level.as_deref(), Some("loud"));
        assert_eq!(parse("/* never closed").title.as_deref(), Some("never closed"));
    }
}
