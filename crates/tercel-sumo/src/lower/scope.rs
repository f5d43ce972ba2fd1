//! The scope: indexed terms of `_raw`, and whole values of fields; all of it without regard to case.

use tercel_ir::{Diagnostic, Expr, Span, Type, Value};

use super::expr::{number, plain, text};
use super::{Lowerer, R, call, text_literal};
use crate::ast::{Name, Scope, ScopeOp, Term, TermPart};

impl Lowerer<'_> {
    /// A scope as a condition; never null.
    pub fn scope(&mut self, scope: &Scope) -> R<Expr> {
        match scope {
            Scope::And(list) | Scope::Or(list) => {
                let mut out = Vec::with_capacity(list.len());
                let mut failed = None;
                for s in list {
                    match self.scope(s) {
                        Ok(e) => out.push(e),
                        Err(r) => failed = Some(r),
                    }
                }
                let span = out.first().zip(out.last()).map_or(Span::default(), |(a, b)| a.span.to(b.span));
                match failed {
                    Some(r) => Err(r),
                    None if matches!(scope, Scope::And(_)) => {
                        out.retain(|e| !matches!(e.as_literal(), Some(Value::Bool(true))));
                        Ok(Expr::and(out, span))
                    }
                    None => Ok(Expr::or(out, span)),
                }
            }
            Scope::Not(s, at) => Ok(Expr::not(self.scope(s)?, at.0)),
            Scope::Term(t) => self.keyword(t),
            Scope::Field { name, op, value, at } => self.metadata(name, *op, value, at.0),
            Scope::Subquery(s) => self.unsupported("subquery", s.at.0),
        }
    }

    /// The text of a term, with `*` and `?` of its unquoted parts marked as wildcards.
    fn pieces(&mut self, t: &Term) -> R<Vec<Piece>> {
        let mut out = Vec::new();
        for part in &t.parts {
            match part {
                TermPart::Word(w) => {
                    if w.contains("{{") || w.contains("${") {
                        let w = w.clone();
                        return self.template(&w, t.at.0);
                    }
                    if w.starts_with("$$") {
                        let w = w.clone();
                        return self.template(&w, t.at.0);
                    }
                    for c in w.chars() {
                        out.push(match c {
                            '*' => Piece::Any,
                            '?' => Piece::One,
                            c => Piece::Char(c),
                        });
                    }
                }
                TermPart::Quoted(q) => {
                    // `"type":"login"` is written for JSON, where the quotes stand in the text.
                    let glued = t.parts.len() > 1;
                    if glued {
                        out.push(Piece::Quote);
                    }
                    out.extend(self.string(q)?.chars().map(Piece::Char));
                    if glued {
                        out.push(Piece::Quote);
                    }
                }
            }
        }
        Ok(out)
    }

    fn keyword(&mut self, t: &Term) -> R<Expr> {
        let span = t.at.0;
        let pieces = self.pieces(t)?;
        // Punctuation alone is no term; a lone star is everything.
        if !pieces.iter().any(|p| matches!(p, Piece::Char(c) if c.is_alphanumeric())) {
            return Ok(Expr::boolean(true, span));
        }
        let raw = match self.find("_raw") {
            Some(c) => text(plain(Expr::column(c.name, c.ty, span))),
            None => Expr::null(Type::String, span),
        };
        let literal: Option<String> = pieces
            .iter()
            .map(|p| match p {
                Piece::Char(c) if !c.is_whitespace() => Some(*c),
                _ => None,
            })
            .collect();
        if let Some(word) = literal {
            return Ok(call("has", vec![raw, text_literal(word, span)], span));
        }
        let re = term_regex(&pieces);
        self.checked_regex(&re, span)?;
        Ok(call("matches_regex", vec![raw, text_literal(re, span)], span))
    }

    fn metadata(&mut self, name: &Name, op: ScopeOp, value: &Term, span: Span) -> R<Expr> {
        if name.text.contains("{{") || name.text.contains("${") {
            return self.template(&name.text.clone(), name.at.0);
        }
        let mut pieces = self.pieces(value)?;
        pieces.retain(|p| !matches!(p, Piece::Quote));
        let field = self.field(name);
        let literal: String = pieces
            .iter()
            .map(|p| match p {
                Piece::Char(c) => *c,
                Piece::Any => '*',
                Piece::One => '?',
                Piece::Quote => '"',
            })
            .collect();
        if matches!(op, ScopeOp::Lt | ScopeOp::Le | ScopeOp::Gt | ScopeOp::Ge) {
            let op = match op {
                ScopeOp::Lt => crate::ast::BinaryOp::Lt,
                ScopeOp::Le => crate::ast::BinaryOp::Le,
                ScopeOp::Gt => crate::ast::BinaryOp::Gt,
                _ => crate::ast::BinaryOp::Ge,
            };
            let right = number(text_literal(literal, value.at.0));
            return Ok(super::compare::compare(op, number(plain(field)), right, span));
        }
        let wild = pieces.iter().any(|p| matches!(p, Piece::Any | Piece::One));
        let present = wild && pieces.iter().all(|p| matches!(p, Piece::Any));
        let matched = if present {
            // Built-in metadata is always there, recorded or not.
            if name.text.starts_with('_') {
                Expr::boolean(true, span)
            } else {
                call("isnotempty", vec![field], span)
            }
        } else if wild {
            let glob: String = pieces
                .iter()
                .map(|p| match p {
                    Piece::Any => "*".to_owned(),
                    Piece::One => "?".to_owned(),
                    Piece::Quote => String::new(),
                    Piece::Char(c @ ('*' | '?' | '\\')) => format!("\\{c}"),
                    Piece::Char(c) => c.to_string(),
                })
                .collect();
            call("matches_glob_ci", vec![text(plain(field)), text_literal(glob, value.at.0)], span)
        } else {
            if literal.contains('*') {
                self.report(
                    Diagnostic::warning("sumo-quoted-wildcard", "`*` inside quotes stands for itself")
                        .at(value.at.0)
                        .meaning("the field would have to hold a star")
                        .help("leave the quotes out"),
                );
            }
            call("eq_ci", vec![text(plain(field)), text_literal(literal, value.at.0)], span)
        };
        Ok(if op == ScopeOp::Ne { Expr::not(matched, span) } else { matched })
    }
}

enum Piece {
    Char(char),
    /// `*`: nothing or more, inside one term.
    Any,
    /// `?`: one character.
    One,
    /// Where a quoted part of a longer term begins or ends: quotes and blanks may stand here.
    Quote,
}

/// Adjacent terms with wildcards, as a regular expression over the whole message. A run of blanks
/// stands for any run of blanks; where the pattern begins or ends with a letter or digit, a term begins
/// or ends.
fn term_regex(pieces: &[Piece]) -> String {
    const WORD: &str = r"[\p{L}\p{N}]";
    let ends = |p: &&Piece| !matches!(p, Piece::Quote);
    let boundary = |p: Option<&Piece>| matches!(p, Some(Piece::Char(c)) if c.is_alphanumeric());
    let mut out = String::from("(?is)");
    if boundary(pieces.iter().find(ends)) {
        out.push_str(&format!("(?:^|[^{}])", &WORD[1..WORD.len() - 1]));
    }
    let mut blank = false;
    for p in pieces {
        if matches!(p, Piece::Char(c) if c.is_whitespace()) {
            if !blank {
                out.push_str(r"\s+");
            }
            blank = true;
            continue;
        }
        blank = false;
        match p {
            Piece::Any => out.push_str(r"[\p{L}\p{N}_]*"),
            Piece::One => out.push_str(WORD),
            Piece::Quote => out.push_str("[\"\\s]*"),
            Piece::Char(c) => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    if boundary(pieces.iter().rev().find(ends)) {
        out.push_str(&format!("(?:$|[^{}])", &WORD[1..WORD.len() - 1]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pieces: Vec<Piece> = pattern
            .chars()
            .map(|c| match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                c => Piece::Char(c),
            })
            .collect();
        regex::Regex::new(&term_regex(&pieces)).unwrap().is_match(text)
    }

    #[test]
    fn terms_with_wildcards() {
        assert!(matches("TEST*", "a TestClient b"));
        assert!(!matches("TEST*", "a contest b"));
        assert!(matches("*456*", "1234567"));
        assert!(matches("com.*.services*", "x com.foo.servicesImpl y"));
        assert!(!matches("com*services", "com.foo.services"));
        assert!(matches("log  in", "Log\t in"));
        assert!(!matches("log in", "xlog in"));
    }
}
