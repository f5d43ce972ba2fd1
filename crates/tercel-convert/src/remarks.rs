//! What an author says beside the rule: its metadata and comments, as comments of the target.

use crate::asks::{Language, Target, Vocabulary};
use crate::out::Conversion;
use tercel_sigma::ast::{Meta, Text};

/// Comments of a text that are taken along; more are no comments but another text.
const MAX_COMMENTS: usize = 200;

/// The comments of a rule or query, in order, without their marks. What stands in quotes is no comment; keys of a
/// header (`// title: …`) are not among them, because they are metadata.
pub fn comments(text: &str, language: Language) -> Vec<String> {
    let yaml = language == Language::Sigma;
    let mut out = Vec::new();
    let mut block = false;
    for line in text.lines() {
        if out.len() >= MAX_COMMENTS {
            break;
        }
        let found = if block {
            let (body, rest) = line.split_once("*/").map_or((line, None), |(b, r)| (b, Some(r)));
            block = rest.is_none();
            Some(body)
        } else if yaml {
            comment_at(line, "#", true)
        } else {
            match (comment_at(line, "//", false), comment_at(line, "/*", false)) {
                (Some(c), None) => Some(c),
                (_, Some(c)) => {
                    block = !c.contains("*/");
                    Some(c.split("*/").next().unwrap_or(c))
                }
                _ => None,
            }
        };
        let Some(c) = found else { continue };
        let c = c.trim().trim_start_matches(['*', '/', '#']).trim();
        let header = !yaml
            && c.split_once(':')
                .is_some_and(|(k, _)| HEADER.contains(&k.trim().to_ascii_lowercase().as_str()));
        if c.is_empty() || header {
            continue;
        }
        // What stands behind a value speaks of it.
        let value = if yaml { line.split(" #").next().unwrap_or_default().trim() } else { "" };
        let value = value.strip_prefix("- ").unwrap_or(value).trim().trim_end_matches(':');
        let is_header = |v: &str| {
            let key = v.split(':').next().unwrap_or_default().trim();
            HEADER.contains(&key.to_ascii_lowercase().as_str())
        };
        out.push(match value {
            "" => c.to_string(),
            // It would be read as the head of a query.
            v if is_header(v) => c.to_string(),
            v if v.starts_with('#') || v.chars().count() > MAX_VALUE => c.to_string(),
            v => format!("{v}: {c}"),
        });
    }
    out
}

/// Longer values are not repeated with the comment behind them, in characters.
const MAX_VALUE: usize = 60;

/// Keys that headers of queries have.
const HEADER: [&str; 18] = [
    "id",
    "title",
    "name",
    "level",
    "severity",
    "description",
    "status",
    "author",
    "date",
    "modified",
    "license",
    "references",
    "reference",
    "falsepositives",
    "false positives",
    "tags",
    "tag",
    "required",
];

/// What follows a mark that stands outside of quotes.
fn comment_at<'l>(line: &'l str, mark: &str, spaced: bool) -> Option<&'l str> {
    let mut quote: Option<(char, bool)> = None;
    let mut before = ' ';
    let mut escaped = false;
    for (i, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some((_, escapes)) if escapes && c == '\\' => escaped = true,
            Some((q, _)) if c == q => quote = None,
            Some(_) => {}
            None if line[i..].starts_with(mark) && (!spaced || before.is_whitespace()) => {
                return Some(&line[i + mark.len()..]);
            }
            // In YAML a quote begins a text only where a value begins.
            None if matches!(c, '"' | '\'') && (!spaced || matches!(before, ' ' | '[' | '{' | ',' | '-')) => {
                quote = Some((c, before != '@' && !(spaced && c == '\'')));
            }
            None => {}
        }
        before = c;
    }
    None
}

/// Puts what the detection says about itself, and its comments, in front of a conversion's text, as comments.
/// A rule of Cloud SIEM has no place for comments, and a Sigma rule has its own place for metadata.
pub fn with_remarks(c: &mut Conversion, target: Target, meta: &Meta, comments: &[String]) {
    if c.text.is_empty() || target.vocabulary == Vocabulary::CloudSiem && target.language == Language::Sumo {
        return;
    }
    let mark = match target.language {
        Language::Kql | Language::Sumo => "//",
        Language::Sql => "--",
        Language::Sigma => "#",
    };
    let mut lines: Vec<String> = Vec::new();
    if target.language != Language::Sigma {
        let of = |t: &Option<Text>| t.as_ref().map(|t| t.node.trim().to_string()).filter(|t| !t.is_empty());
        let list = |v: &[Text]| v.iter().map(|t| t.node.trim().to_string()).collect::<Vec<_>>();
        let mut one = |key: &str, value: Option<String>| {
            if let Some(v) = value {
                // Further lines are indented, so that they belong to their key.
                let mut parts = v.lines().map(str::trim_end);
                lines.push(format!("{key}: {}", parts.next().unwrap_or_default()));
                lines.extend(parts.filter(|p| !p.is_empty()).map(|p| format!("  {}", p.trim_start())));
            }
        };
        one("title", of(&meta.title));
        one("description", of(&meta.description));
        one("status", of(&meta.status));
        one("level", of(&meta.level));
        one("author", of(&meta.author));
        one("date", of(&meta.date));
        one("modified", of(&meta.modified));
        one("license", of(&meta.license));
        let tags = list(&meta.tags);
        one("tags", (!tags.is_empty()).then(|| tags.join(", ")));
        for r in list(&meta.references) {
            one("reference", Some(r));
        }
        for f in list(&meta.falsepositives) {
            one("falsepositives", Some(f));
        }
        one("converted from", of(&meta.id));
        // The title that a correlation brings stands there now.
        if let Some(t) = of(&meta.title) {
            let own = format!("{mark} {t}\n");
            if let Some(rest) = c.text.strip_prefix(&own) {
                c.text = rest.to_string();
            }
        }
    }
    lines.extend(comments.iter().cloned());
    if lines.is_empty() {
        return;
    }
    let mut out = String::new();
    for l in lines {
        // A comment ends with its line.
        let l: String = l.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.push_str(&format!("{mark} {}\n", l.trim_end()));
    }
    out.push_str(&c.text);
    c.text = out;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_queries() {
        let text = "// title: x\n// Looks for y\nT | where a == \"http://b\" // only b\n/* one\n * two */\n| where c == @'\\' // d\n";
        assert_eq!(comments(text, Language::Kql), ["Looks for y", "only b", "one", "two", "d"]);
    }

    #[test]
    fn comments_of_rules() {
        let text = "title: a # short\ndetection:\n  # the first\n  s:\n    b: 'x # y'\n    c: it's # z\n    d: a#b\n";
        assert_eq!(comments(text, Language::Sigma), ["short", "the first", "c: it's: z"]);
    }

    #[test]
    fn comments_that_never_end() {
        assert_eq!(comments("/* a\n\n b", Language::Sumo), ["a", "b"]);
        assert_eq!(comments(&"// a\n".repeat(1000), Language::Kql).len(), MAX_COMMENTS);
        assert!(comments("T | where a == \"open // no", Language::Kql).is_empty());
    }
}
