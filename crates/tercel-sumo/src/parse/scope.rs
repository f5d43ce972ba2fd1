//! What stands before the first pipe: keywords, phrases, `field=value`, combined with `AND`, `OR`, `NOT`.
//!
//! Bare words may hold nearly anything (`- _ : / . + @ # $ % ^ * ?`), so this part has its own reader.

use tercel_ir::{Diagnostic, Span};

use super::{Close, Failed, Parser, R};
use crate::ast::*;
use crate::lexer::P;

impl Parser<'_> {
    /// A scope up to `|`, the closing bracket or the end. `None` when there is nothing.
    pub(super) fn scope(&mut self, close: Close) -> R<Option<Scope>> {
        let start = self.scope_skip(self.cur.start);
        self.seek_scope(start);
        if self.scope_ends() {
            self.seek(start);
            return Ok(None);
        }
        let scope = self.scope_or()?;
        let at = self.last_end;
        self.seek(at);
        // A bracket that nobody opened, unless it is the one that ends this pipeline.
        if (self.is(P::Close) || self.is(P::CloseSquare)) && !self.at_close(close) {
            return self.unexpected("`|`");
        }
        Ok(Some(scope))
    }

    /// In this part `last_end` is the place to read on from; `cur` is not looked at.
    fn seek_scope(&mut self, at: usize) {
        self.last_end = at;
    }

    fn scope_skip(&mut self, at: usize) -> usize {
        let at = self.lex.skip_trivia(at);
        self.last_end = at;
        at
    }

    fn rest(&self) -> &str {
        &self.src[self.last_end..]
    }

    fn scope_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn scope_ends(&self) -> bool {
        matches!(self.scope_char(), None | Some('|' | ')' | ']'))
    }

    /// A keyword such as `AND` as a whole word; moves past it.
    fn scope_kw(&mut self, kw: &str) -> bool {
        let rest = self.rest();
        let yes = rest.len() >= kw.len()
            && rest.is_char_boundary(kw.len())
            && rest[..kw.len()].eq_ignore_ascii_case(kw)
            && rest[kw.len()..]
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '"' | '!' | ')'));
        if yes {
            let at = self.last_end + kw.len();
            self.scope_skip(at);
        }
        yes
    }

    fn scope_or(&mut self) -> R<Scope> {
        let mut list = vec![self.scope_and()?];
        while self.scope_kw("or") || self.scope_symbol("||") {
            list.push(self.scope_and()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Scope::Or(list) })
    }

    fn scope_symbol(&mut self, s: &str) -> bool {
        // `a || b` is an `or`; a lone `|` starts the next stage.
        let yes = self.rest().starts_with(s);
        if yes {
            let at = self.last_end + s.len();
            self.scope_skip(at);
        }
        yes
    }

    fn scope_and(&mut self) -> R<Scope> {
        let mut list = Vec::new();
        loop {
            list.push(self.scope_not()?);
            if self.scope_kw("and") || self.scope_symbol("&&") {
                continue;
            }
            if self.scope_ends() || self.peek_scope_kw("or") {
                break;
            }
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Scope::And(list) })
    }

    fn peek_scope_kw(&mut self, kw: &str) -> bool {
        let at = self.last_end;
        let yes = self.scope_kw(kw);
        self.last_end = at;
        yes
    }

    fn scope_not(&mut self) -> R<Scope> {
        let start = self.last_end;
        let bang = self.scope_char() == Some('!') && !self.rest().starts_with("!=");
        if bang || self.peek_scope_kw("not") {
            if bang {
                self.scope_skip(start + 1);
            } else {
                self.scope_kw("not");
            }
            self.enter()?;
            let inner = self.scope_not()?;
            self.depth -= 1;
            return Ok(Scope::Not(Box::new(inner), self.span_from(start)));
        }
        self.scope_primary()
    }

    fn scope_error<T>(&mut self, expected: &str) -> R<T> {
        let at = self.last_end;
        self.seek(at);
        self.unexpected(expected)
    }

    fn scope_primary(&mut self) -> R<Scope> {
        match self.scope_char() {
            None | Some('|' | ')' | ']') => self.scope_error("a keyword, a phrase or `field=value`"),
            Some('(') => {
                self.enter()?;
                let at = self.last_end + 1;
                self.scope_skip(at);
                let inner = if self.scope_char() == Some(')') {
                    return self.scope_error("a keyword inside the parentheses");
                } else {
                    self.scope_or()?
                };
                self.depth -= 1;
                if self.scope_char() != Some(')') {
                    return self.scope_error("`)`");
                }
                let at = self.last_end + 1;
                self.scope_skip(at);
                Ok(inner)
            }
            Some('[') => {
                let at = self.last_end;
                self.seek(at);
                let sub = self.subquery()?;
                let at = self.last_end;
                self.scope_skip(at);
                Ok(Scope::Subquery(Box::new(sub)))
            }
            _ => self.scope_term_or_field(),
        }
    }

    fn scope_term_or_field(&mut self) -> R<Scope> {
        let start = self.last_end;
        // `%"field name"=value`
        if self.rest().starts_with("%\"") {
            let (end, closed) = self.lex.quoted(start + 1);
            if !closed {
                return self.scope_error("a field");
            }
            let name = Name { text: cook(&self.src[start + 2..end - 1]), at: At(Span::new(start, end)) };
            self.last_end = end;
            if let Some(op) = self.scope_op() {
                return self.scope_value(name, op, start);
            }
            self.last_end = start;
        }
        let term = self.scope_term(false)?;
        let word = match term.parts.as_slice() {
            [TermPart::Word(w)] => Some((w.clone(), false)),
            [TermPart::Quoted(t)] => Some((t.cooked(), true)),
            _ => None,
        };
        if let Some((word, quoted)) = word {
            let at = self.last_end;
            if !word.is_empty()
                && (!quoted || matches!(self.scope_char(), Some('=')))
                && let Some(op) = self.scope_op()
            {
                if quoted {
                    // `"type"="login"`: the service reads a keyword, the author means a field.
                    self.last_end = at;
                } else {
                    return self.scope_value(Name { text: word, at: term.at }, op, start);
                }
            }
        }
        let at = self.last_end;
        self.scope_skip(at);
        Ok(Scope::Term(term))
    }

    /// A comparison sign, blanks around it allowed. Leaves the place alone when there is none.
    fn scope_op(&mut self) -> Option<ScopeOp> {
        let back = self.last_end;
        let at = self.lex.skip_trivia(back);
        let rest = &self.src[at..];
        let (op, len) = if rest.starts_with("!=") {
            (ScopeOp::Ne, 2)
        } else if rest.starts_with("==") {
            (ScopeOp::Eq, 2)
        } else if rest.starts_with('=') {
            (ScopeOp::Eq, 1)
        } else if rest.starts_with("<=") {
            (ScopeOp::Le, 2)
        } else if rest.starts_with(">=") {
            (ScopeOp::Ge, 2)
        } else if rest.starts_with('<') {
            (ScopeOp::Lt, 1)
        } else if rest.starts_with('>') {
            (ScopeOp::Gt, 1)
        } else {
            return None;
        };
        // `<tag>` is a keyword; a comparison has something to compare with.
        let after = self.lex.skip_trivia(at + len);
        if matches!(op, ScopeOp::Lt | ScopeOp::Gt | ScopeOp::Le | ScopeOp::Ge)
            && !is_number_ahead(&self.src[after..])
        {
            return None;
        }
        self.last_end = after;
        Some(op)
    }

    fn scope_value(&mut self, name: Name, op: ScopeOp, start: usize) -> R<Scope> {
        if self.scope_char() == Some('(') {
            return self.scope_value_list(name, op, start);
        }
        if self.scope_ends() {
            let span = Span::new(start, self.last_end);
            self.report(
                Diagnostic::error("syntax-error", format!("`{}` is compared with nothing", name.text))
                    .at(span)
                    .help("write a value behind the sign; `field=*` asks whether the field is there"),
            );
            let at = self.last_end;
            self.seek(at);
            return Err(Failed);
        }
        let value = self.scope_term(true)?;
        let at = self.span_from(start);
        let end = self.last_end;
        self.scope_skip(end);
        Ok(Scope::Field { name, op, value, at })
    }

    /// `field=(a or b)` is `(field=a or field=b)`.
    fn scope_value_list(&mut self, name: Name, op: ScopeOp, start: usize) -> R<Scope> {
        let at = self.last_end + 1;
        self.scope_skip(at);
        let mut list = Vec::new();
        loop {
            if self.scope_ends() {
                return self.scope_error("a value");
            }
            let value = self.scope_term(true)?;
            let end = self.last_end;
            self.scope_skip(end);
            list.push(Scope::Field { name: name.clone(), op, value, at: self.span_from(start) });
            if self.scope_char() == Some(',') {
                let at = self.last_end + 1;
                self.scope_skip(at);
                continue;
            }
            if self.scope_kw("or") {
                continue;
            }
            break;
        }
        if self.scope_char() != Some(')') {
            return self.scope_error("`or` or `)`");
        }
        let at = self.last_end + 1;
        self.scope_skip(at);
        Ok(if list.len() == 1 { list.remove(0) } else { Scope::Or(list) })
    }

    /// Words and quoted texts up to a blank. A value may hold `=`, a keyword may not.
    fn scope_term(&mut self, value: bool) -> R<Term> {
        let start = self.last_end;
        let mut parts = Vec::new();
        let mut word = start;
        let mut at = start;
        loop {
            let c = self.src[at..].chars().next();
            if c == Some('"') {
                let (end, closed) = self.lex.quoted(at);
                if !closed {
                    self.last_end = at;
                    return self.scope_error("a phrase");
                }
                if word < at {
                    parts.push(TermPart::Word(self.src[word..at].to_owned()));
                }
                parts.push(TermPart::Quoted(Text {
                    raw: self.src[at + 1..end - 1].to_owned(),
                    quote: '"',
                    at: At(Span::new(at, end)),
                }));
                at = end;
                word = end;
                continue;
            }
            if let Some(end) = self.lex.template(at) {
                at = end;
                continue;
            }
            if self.src[at..].starts_with("{{") || self.src[at..].starts_with("${") {
                self.last_end = at;
                return self.scope_error("a parameter such as `{{name}}`");
            }
            let stop = match c {
                None | Some('(' | ')' | '|' | '[' | ']') => true,
                Some('=') => !value,
                Some('!') => !value && self.src[at + 1..].starts_with('='),
                // `<` and `>` stop a word only where a number follows (`_size>500`).
                Some('<' | '>') => {
                    let after = &self.src[at + 1..];
                    !value && at > start && is_number_ahead(after.strip_prefix('=').unwrap_or(after))
                }
                Some(c) => c.is_whitespace(),
            };
            if stop {
                break;
            }
            at += c.map_or(1, char::len_utf8);
        }
        if word < at {
            parts.push(TermPart::Word(self.src[word..at].to_owned()));
        }
        if parts.is_empty() {
            self.last_end = at;
            return self.scope_error("a keyword, a phrase or `field=value`");
        }
        self.last_end = at;
        Ok(Term { parts, at: At(Span::new(start, at)) })
    }
}

/// Whether a number begins here.
fn is_number_ahead(text: &str) -> bool {
    text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit())
}
