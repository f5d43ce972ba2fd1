//! File names against paths, and their letters' case.

use tercel_ir::{Diagnostic, Span};

use super::{Linter, Origin};
use crate::ast::*;

fn is_bare(name: &str) -> bool {
    !name.contains(['\\', '/', '*'])
}

fn is_program(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".exe", ".dll", ".scr", ".bat", ".cmd", ".ps1", ".vbs"].iter().any(|s| lower.ends_with(s))
}

impl Linter<'_> {
    /// A list of names against a path, and against Windows' indifference to case.
    pub(super) fn file_names(&mut self, x: &Expr, list: &[Expr], negated: bool, at: Span) {
        let texts: Vec<String> = list
            .iter()
            .filter_map(|i| match &i.kind {
                ExprKind::String(t) => Some(t.cooked()),
                _ => None,
            })
            .collect();
        if texts.is_empty() || texts.len() != list.len() {
            return;
        }
        let (ExprKind::Field(_) | ExprKind::Call { .. }) = &x.kind else { return };
        let shown = crate::print::print_expr(x);
        let origin = self.origin(x);
        let names = texts.iter().all(|t| is_bare(t)) && texts.iter().any(|t| is_program(t));
        if names && matches!(origin, Origin::Path | Origin::PathTail) {
            let what = if negated { "excludes nothing" } else { "is never true" };
            // The default profile binds the file name after all; the service does not.
            let there = if origin == Origin::PathTail { " in Sumo Logic" } else { "" };
            let d = Diagnostic::warning("sumo-dead-filter", format!("this list of file names {what}{there}"))
                .at(at)
                .label(format!("`{shown}` holds a path"));
            self.report(if origin == Origin::Path {
                d.meaning(format!(
                    "`{shown}` is a full path with its directories, and a bare file name never equals one"
                ))
                .help(
                    "take the file name out of the path first: `parse regex field=… \"(?<name>[^\\\\]+)$\"`",
                )
            } else {
                d.meaning(format!(
                    "in Sumo Logic `{shown}` is what follows the first separator of a path, directories \
                     included, and a bare file name never equals that"
                ))
                .help("bind the file name with `parse regex field=… \"(?<name>[^\\\\]+)$\"`")
            });
        }
        let lowered = matches!(&x.kind, ExprKind::Call { name, .. } if {
            let l = name.text.to_ascii_lowercase();
            l == "tolowercase" || l == "touppercase"
        }) || origin == Origin::Lower;
        let cased = texts.iter().any(|t| is_program(t) && t.chars().any(char::is_alphabetic));
        if cased && !lowered {
            let example = texts.iter().find(|t| is_program(t)).cloned().unwrap_or_default();
            self.report(
                Diagnostic::warning(
                    "sumo-case-sensitive-in",
                    "`in` heeds the case of letters, Windows file names do not",
                )
                .at(at)
                .meaning(format!("a process started as `{}` is not `{example}` here", other_case(&example)))
                .help(format!("write `toLowerCase({shown}) in (…)` with a list in lower case")),
            );
        } else if lowered && texts.iter().any(|t| t.chars().any(char::is_uppercase)) && lower_call(x) {
            let item = texts.iter().find(|t| t.chars().any(char::is_uppercase)).cloned().unwrap_or_default();
            self.report(
                Diagnostic::warning(
                    "sumo-dead-list-item",
                    format!("`{item}` is never in a text in lower case"),
                )
                .at(at)
                .meaning("the items with capital letters can never match")
                .help(format!("write `{}`", item.to_lowercase())),
            );
        }
    }

    /// `path = "cmd.exe"`.
    pub(super) fn bare_name(&mut self, op: BinaryOp, x: &Expr, text: &Text) {
        let name = text.cooked();
        if !matches!(op, BinaryOp::Eq | BinaryOp::Ne) || !is_program(&name) || !is_bare(&name) {
            return;
        }
        if !matches!(x.kind, ExprKind::Field(_)) || self.origin(x) != Origin::Path {
            return;
        }
        let shown = crate::print::print_expr(x);
        let what = if op == BinaryOp::Eq { "never true" } else { "always true" };
        self.report(
            Diagnostic::warning("sumo-dead-filter", format!("this comparison is {what}"))
                .at(text.at.0)
                .label(format!("`{shown}` holds a path"))
                .meaning(format!(
                    "`{shown}` is a full path with its directories, and a bare file name never equals one"
                ))
                .help(format!("write `{shown} matches \"*\\\\{name}\"`")),
        );
    }
}

fn lower_call(x: &Expr) -> bool {
    matches!(&x.kind, ExprKind::Call { name, .. } if name.text.eq_ignore_ascii_case("tolowercase"))
}

/// The same name as another program may write it.
fn other_case(name: &str) -> String {
    let upper = name.to_uppercase();
    if upper == name { name.to_lowercase() } else { upper }
}
