//! Findings that more than one step reports, so that they read the same everywhere.

use tercel_ir::{Diagnostic, Span};

/// `eval x = e`.
pub(crate) fn eval(span: Span, name: &str, strict: bool) -> Diagnostic {
    let message = "`eval` is not an operator of Sumo Logic";
    let d = if strict {
        Diagnostic::error("sumo-nonstandard-eval", message)
    } else {
        Diagnostic::warning("sumo-nonstandard-eval", message)
    };
    d.at(span)
        .label("refused by the service")
        .meaning("the service rejects this query; here it runs as its author meant: the value gets this name")
        .help(format!("write `| … as {name}`"))
}

/// `matches(a, "re")`.
pub(crate) fn matches_call(span: Span, strict: bool) -> Diagnostic {
    let message = "`matches(…)` is not a function of Sumo Logic";
    let d = if strict {
        Diagnostic::error("sumo-nonstandard-matches-call", message)
    } else {
        Diagnostic::warning("sumo-nonstandard-matches-call", message)
    };
    d.at(span)
        .label("refused by the service")
        .meaning(
            "the service rejects this query; here it runs as its author meant: the text is a regular \
             expression, found anywhere in the value, case-sensitively",
        )
        .help("write `field matches /regex/`")
}
