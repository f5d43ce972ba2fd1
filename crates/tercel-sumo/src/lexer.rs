//! Words of the expression language. What stands before the first pipe has its own, simpler rules
//! (see `parse/scope.rs`); both work on byte offsets of the same text, so the parser may change from one
//! to the other at any place.
//!
//! Lexing never fails and never reports: a character that fits nowhere is a [`Tok::Bad`], which the
//! parser turns into one message where it stands.

use std::cell::Cell;

use tercel_ir::Span;

/// What a word is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tok {
    /// A name, possibly with dots, `[0]` and `{{template}}` parts.
    Ident,
    /// `%"any name"`.
    QuotedName,
    /// `"…"` or `'…'`.
    Str,
    /// A quote without its end; runs to the end of the line.
    OpenStr,
    /// `12`, `1.5`, `2Gi`, `5m`.
    Number,
    /// `path://…`, `geo://…`.
    Path,
    /// An operator or bracket.
    P(P),
    /// The end of the text.
    Eof,
    /// A character with no meaning here.
    Bad,
}

/// Operators and brackets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum P {
    Open,
    Close,
    OpenSquare,
    CloseSquare,
    Comma,
    Pipe,
    Colon,
    Question,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Bang,
    OrOr,
    AndAnd,
    Semicolon,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub tok: Tok,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }
}

/// A text to be read, and what has been learned about it so that no stretch is searched twice in vain.
pub(crate) struct Lexer<'a> {
    pub src: &'a str,
    /// From here on there is no `*/`.
    no_comment_end: usize,
    /// From here on no `"` (first) and no `'` (second) ends a text. Sound because a quote that starts later
    /// stands behind a backslash of the first search, so both searches see the same escapes.
    no_quote_end: [Cell<usize>; 2],
}

impl<'a> Lexer<'a> {
    pub fn new(src: &'a str) -> Lexer<'a> {
        Lexer {
            src,
            no_comment_end: usize::MAX,
            no_quote_end: [Cell::new(usize::MAX), Cell::new(usize::MAX)],
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.src.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn starts(&self, at: usize, with: &str) -> bool {
        self.src.as_bytes()[at.min(self.src.len())..].starts_with(with.as_bytes())
    }

    /// Past blanks and comments.
    pub fn skip_trivia(&mut self, mut at: usize) -> usize {
        loop {
            while let Some(c) = self.src[at..].chars().next() {
                // A byte-order mark and zero-width characters come with texts copied from web pages.
                if !c.is_whitespace() && !matches!(c, '\u{feff}' | '\u{200b}') {
                    break;
                }
                at += c.len_utf8();
            }
            if self.starts(at, "//") {
                at += self.src[at..].find('\n').unwrap_or(self.src.len() - at);
            } else if let Some(end) = self.block_comment(at) {
                at = end;
            } else {
                return at;
            }
        }
    }

    fn block_comment(&mut self, at: usize) -> Option<usize> {
        if !self.starts(at, "/*") || at >= self.no_comment_end {
            return None;
        }
        match self.src[at + 2..].find("*/") {
            Some(i) => Some(at + 2 + i + 2),
            None => {
                self.no_comment_end = at;
                None
            }
        }
    }

    /// The end of a `{{template}}` or `${template}` that starts here.
    pub fn template(&self, at: usize) -> Option<usize> {
        let (open, close) = if self.starts(at, "{{") {
            (2, "}}")
        } else if self.starts(at, "${") {
            (2, "}")
        } else {
            return None;
        };
        // Names are short; a limit keeps a text full of open braces linear.
        let from = at + open;
        let mut end = from;
        for c in self.src[from..].chars().take(120) {
            if c == '\n' {
                return None;
            }
            if self.starts(end, close) {
                return Some(end + close.len());
            }
            end += c.len_utf8();
        }
        self.starts(end, close).then(|| end + close.len())
    }

    /// The end of the quoted text that starts here, and whether it was closed. An open one runs to the
    /// end of its line, so that later lines are still read as what they are.
    pub fn quoted(&self, at: usize) -> (usize, bool) {
        let quote = self.byte(at);
        let memo = &self.no_quote_end[usize::from(quote == b'\'')];
        let bytes = self.src.as_bytes();
        let mut i = if at < memo.get() { at + 1 } else { bytes.len() };
        while i < bytes.len() {
            match bytes[i] {
                b'\\' => i += 2,
                b if b == quote => return (i + 1, true),
                _ => i += 1,
            }
        }
        memo.set(memo.get().min(at));
        let end = self.src[at..].find('\n').map_or(self.src.len(), |n| at + n);
        (end, false)
    }

    /// The end of the `/regex/` that starts here (on one line), past its closing slash.
    pub fn regex(&self, at: usize) -> Option<usize> {
        let bytes = self.src.as_bytes();
        let mut i = at + 1;
        let mut class = false;
        while i < bytes.len() && bytes[i] != b'\n' {
            match bytes[i] {
                b'\\' => i += 1,
                b'[' => class = true,
                b']' => class = false,
                // A slash inside brackets may stand unescaped.
                b'/' if !class && i > at + 1 => return Some(i + 1),
                _ => {}
            }
            i += 1;
        }
        // An odd bracket must not hide the end.
        let mut i = at + 1;
        while i < bytes.len() && bytes[i] != b'\n' {
            match bytes[i] {
                b'\\' => i += 1,
                b'/' if i > at + 1 => return Some(i + 1),
                _ => {}
            }
            i += 1;
        }
        None
    }

    fn name_char(c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }

    /// The end of a name or number that starts here: word characters, single dots between them,
    /// `[0]`, template parts, and `$`, `@` inside.
    fn word_end(&self, start: usize) -> usize {
        let mut at = start;
        loop {
            let Some(c) = self.src[at..].chars().next() else { return at };
            if Self::name_char(c) {
                at += c.len_utf8();
            } else if let Some(end) = self.template(at) {
                at = end;
            } else if matches!(c, '.' | '$' | '@')
                && (self.src[at + 1..].chars().next().is_some_and(|n| Self::name_char(n) || n == '_')
                    || self.template(at + 1).is_some())
            {
                at += 1;
            } else if c == '[' && at > start {
                let digits = self.src[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
                if digits > 0 && self.byte(at + 1 + digits) == b']' {
                    at += digits + 2;
                } else {
                    return at;
                }
            } else {
                return at;
            }
        }
    }

    /// The word at or after `at`.
    pub fn token(&mut self, at: usize) -> Token {
        let start = self.skip_trivia(at);
        let Some(c) = self.src[start..].chars().next() else {
            return Token { tok: Tok::Eof, start, end: start };
        };
        let make = |tok, end| Token { tok, start, end };
        if c.is_ascii_digit() || c == '.' && self.byte(start + 1).is_ascii_digit() {
            return self.number(start);
        }
        if Self::name_char(c) || self.template(start).is_some() || c == '$' {
            let end = self.word_end(start).max(start + c.len_utf8());
            let end = if c == '$' && end == start + 1 {
                // `$$logsrc`, the service's own source filter.
                let mut e = end;
                while self.byte(e) == b'$' {
                    e += 1;
                }
                self.word_end(e)
            } else {
                end
            };
            if self.starts(end, "://") {
                let (end, closed) = self.path_end(end + 3);
                return make(if closed { Tok::Path } else { Tok::OpenStr }, end);
            }
            return make(Tok::Ident, end);
        }
        if c == '"' || c == '\'' {
            let (end, closed) = self.quoted(start);
            return make(if closed { Tok::Str } else { Tok::OpenStr }, end);
        }
        if c == '%' && self.byte(start + 1) == b'"' {
            let (end, closed) = self.quoted(start + 1);
            return make(if closed { Tok::QuotedName } else { Tok::OpenStr }, end);
        }
        let two = |p| make(Tok::P(p), start + 2);
        let one = |p| make(Tok::P(p), start + 1);
        match (c, self.byte(start + 1)) {
            ('=', b'=') => two(P::Eq),
            ('!', b'=') => two(P::Ne),
            ('<', b'>') => two(P::Ne),
            ('<', b'=') => two(P::Le),
            ('>', b'=') => two(P::Ge),
            ('|', b'|') => two(P::OrOr),
            ('&', b'&') => two(P::AndAnd),
            ('(', _) => one(P::Open),
            (')', _) => one(P::Close),
            ('[', _) => one(P::OpenSquare),
            (']', _) => one(P::CloseSquare),
            (',', _) => one(P::Comma),
            ('|', _) => one(P::Pipe),
            (':', _) => one(P::Colon),
            ('?', _) => one(P::Question),
            ('=', _) => one(P::Eq),
            ('<', _) => one(P::Lt),
            ('>', _) => one(P::Gt),
            ('+', _) => one(P::Plus),
            ('-', _) => one(P::Minus),
            ('*', _) => one(P::Star),
            ('/', _) => one(P::Slash),
            ('%', _) => one(P::Percent),
            ('!', _) => one(P::Bang),
            (';', _) => one(P::Semicolon),
            _ => make(Tok::Bad, start + c.len_utf8()),
        }
    }

    /// A number with its suffix; or, when other letters follow (`5xx`), a name.
    fn number(&self, start: usize) -> Token {
        let bytes = self.src.as_bytes();
        let mut i = start;
        while self.byte(i).is_ascii_digit() {
            i += 1;
        }
        if self.byte(i) == b'.' && self.byte(i + 1).is_ascii_digit() {
            i += 1;
            while self.byte(i).is_ascii_digit() {
                i += 1;
            }
        }
        if matches!(self.byte(i), b'e' | b'E') {
            let mut j = i + 1;
            if matches!(self.byte(j), b'+' | b'-') {
                j += 1;
            }
            if self.byte(j).is_ascii_digit() {
                while self.byte(j).is_ascii_digit() {
                    j += 1;
                }
                i = j;
            }
        }
        let suffix = bytes[i..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let number_end = i + suffix;
        let word = self.word_end(start).max(i);
        if word <= number_end && crate::ast::suffix_factor(&self.src[i..number_end]).is_some() {
            return Token { tok: Tok::Number, start, end: number_end };
        }
        Token { tok: Tok::Ident, start, end: word }
    }

    /// The end of a path, up to a blank, comma or bracket outside of quotes; and whether the quotes are closed.
    pub fn path_end(&self, mut at: usize) -> (usize, bool) {
        while let Some(c) = self.src[at..].chars().next() {
            if c == '"' {
                let (end, closed) = self.quoted(at);
                at = end;
                if !closed {
                    return (at, false);
                }
            } else if let Some(end) = self.template(at) {
                at = end;
            } else if c.is_whitespace() || matches!(c, ',' | ')' | '(' | '|' | ']') {
                return (at, true);
            } else {
                at += c.len_utf8();
            }
        }
        (at, true)
    }
}
