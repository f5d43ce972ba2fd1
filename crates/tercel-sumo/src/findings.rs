//! Findings that more than one step reports, so that they read the same everywhere.

use tercel_ir::{Diagnostic, Diagnostics, Severity, Span};

/// So many findings of one kind are enough; the rest of a hostile text is not reported one by one.
const MAX_FINDINGS: usize = 500;

/// Keeps a finding, unless there are too many already; an error is kept if there is none yet, so that the
/// outcome does not change.
pub(crate) fn push_capped(list: &mut Diagnostics, d: Diagnostic) {
    if list.len() < MAX_FINDINGS || d.severity == Severity::Error && !list.has_errors() {
        list.push(d);
    }
}

/// Whether reading on would report nothing.
pub(crate) fn is_full(list: &Diagnostics) -> bool {
    list.len() >= MAX_FINDINGS
}

/// `eval x = e`.
pub(crate) fn eval(span: Span, name: &str, strict: bool) -> Diagnostic {
    // Not the same words: findings of one code, place and message are kept once, whatever their severity.
    let d = if strict {
        Diagnostic::error("sumo-nonstandard-eval", "`eval` is refused: Sumo Logic has no such operator")
    } else {
        Diagnostic::warning("sumo-nonstandard-eval", "`eval` is not an operator of Sumo Logic")
    };
    d.at(span)
        .label("refused by the service")
        .meaning("the service rejects this query; here it runs as its author meant: the value gets this name")
        .help(format!("write `| … as {name}`"))
}

/// `matches(a, "re")`.
pub(crate) fn matches_call(span: Span, strict: bool) -> Diagnostic {
    let code = "sumo-nonstandard-matches-call";
    let d = if strict {
        Diagnostic::error(code, "`matches(…)` is refused: Sumo Logic has no such function")
    } else {
        Diagnostic::warning(code, "`matches(…)` is not a function of Sumo Logic")
    };
    d.at(span)
        .label("refused by the service")
        .meaning(
            "the service rejects this query; here it runs as its author meant: the text is a regular \
             expression, found anywhere in the value, case-sensitively",
        )
        .help("write `field matches /regex/`")
}

/// `text in (80, 443)`.
pub(crate) fn numeric_in_on_text(span: Span, field: &str) -> Diagnostic {
    Diagnostic::warning("sumo-numeric-in-on-text", format!("{field} is text, and the list holds numbers"))
        .at(span)
        .label("numbers")
        .meaning("in Sumo Logic a text never equals a number in a list, so this never matches there; here both are compared as numbers")
        .help("quote the numbers, or cast the field first: `| num(field)`")
}

/// The two-name `"*\\*"` of a path.
pub(crate) fn anchor_path_basename(span: Span, strict: bool, separator: char) -> Diagnostic {
    let message = format!("`*` ends at the first `{separator}`, not at the last");
    let meaning = if strict {
        "the second name gets everything behind the first separator: for a path with several directories \
         it is no file name"
    } else {
        "in Sumo Logic the second name gets everything behind the first separator, which is no file name; \
         here it is bound behind the last one, as its name says"
    };
    let class = if separator == '\\' { "\\\\" } else { "/" };
    Diagnostic::warning("sumo-anchor-path-basename", message)
        .at(span)
        .label("splits at the first separator")
        .meaning(meaning)
        .help(format!("use `parse regex field=… \"(?<name>[^{class}]+)$\"` for the file name"))
}

/// Whether a pattern with these names is meant to take a path apart into directory and file name; the
/// separator if so.
pub(crate) fn is_path_split(clause: &crate::ast::AnchorClause) -> Option<char> {
    let separator = match clause.pattern.cooked().as_str() {
        "*\\*" => '\\',
        "*/*" => '/',
        _ => return None,
    };
    let [dir, base] = clause.names.as_slice() else { return None };
    let has = |n: &crate::ast::Name, words: &[&str]| {
        let lower = n.text.to_ascii_lowercase();
        words.iter().any(|w| lower.contains(w))
    };
    let yes = has(dir, &["dir", "path", "folder", "parent", "location"])
        && has(base, &["base", "file", "name", "exe", "process", "image", "proc", "leaf"]);
    yes.then_some(separator)
}
