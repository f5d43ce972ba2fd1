//! Text to tokens. Never fails: what is no token is reported and skipped.

use crate::literal::{is_typed_literal_name, timespan_unit};
use crate::token::{Tok, Token};
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// After this many findings the rest of the text is not worth reading.
pub(crate) const MAX_FINDINGS: usize = 50;

/// The tokens of a text; the last one is always [`Tok::Eof`].
pub(crate) fn lex(text: &str, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, tokens: Vec::new(), diagnostics };
    lexer.run();
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    diagnostics: &'a mut Diagnostics,
}

fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b == b'$'
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// White space in the sense of Kusto's lexer, which counts zero-width space and byte-order mark.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{180e}' | '\u{200b}' | '\u{feff}')
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, tok: Tok, start: usize) {
        self.tokens.push(Token { tok, span: Span::new(start, self.at) });
    }

    fn report(&mut self, d: Diagnostic) {
        if self.diagnostics.len() < MAX_FINDINGS {
            self.diagnostics.push(d);
        }
    }

    fn run(&mut self) {
        while self.at < self.bytes.len() {
            let start = self.at;
            let b = self.bytes[start];
            match b {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.at += 1,
                b'/' if self.peek(1) == b'/' => self.comment(),
                b'"' | b'\'' => self.string(start, false),
                b'@' if matches!(self.peek(1), b'"' | b'\'') => {
                    self.at += 1;
                    self.string(start, true);
                }
                b'h' | b'H' if self.hidden_string(start) => {}
                b'`' | b'~' if self.fence(start) => {}
                b'0'..=b'9' => self.number(start),
                b if is_word_start(b) => self.word(start),
                b if b < 0x80 => self.punctuation(start, b),
                _ => self.other(start),
            }
        }
        self.push(Tok::Eof, self.at);
    }

    fn comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len());
    }

    /// `h"…"`, `h'…'`, `h@"…"`, and the fences behind an `h`.
    fn hidden_string(&mut self, start: usize) -> bool {
        match (self.peek(1), self.peek(2)) {
            (b'"' | b'\'', _) => {
                self.at += 1;
                self.string(start, false);
                true
            }
            (b'@', b'"' | b'\'') => {
                self.at += 2;
                self.string(start, true);
                true
            }
            (b'`' | b'~', _) => {
                self.at += 1;
                if self.fence(start) {
                    true
                } else {
                    self.at = start;
                    false
                }
            }
            _ => false,
        }
    }

    /// A string of one line; `self.at` stands on the opening quote.
    fn string(&mut self, start: usize, verbatim: bool) {
        let quote = self.bytes[self.at];
        let open = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at).copied() {
                None | Some(b'\n' | b'\r') => {
                    let span = Span::new(start, self.at);
                    self.report(
                        Diagnostic::error("unterminated-string", "this string is not closed")
                            .at(Span::new(start, (open + 1).min(self.bytes.len())))
                            .label("opened here")
                            .help("a string ends on the line it starts on; ``` opens one of several lines"),
                    );
                    self.tokens.push(Token { tok: Tok::Str, span });
                    return;
                }
                Some(b) if b == quote => {
                    self.at += 1;
                    if verbatim && self.peek(0) == quote {
                        self.at += 1;
                        continue;
                    }
                    return self.push(Tok::Str, start);
                }
                Some(b'\\') if !verbatim => {
                    // The escaped character may be a line break, which the next round reports.
                    self.at += 1;
                    if !matches!(self.peek(0), b'\n' | b'\r' | 0) {
                        self.at += 1;
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// ``` … ``` or ~~~ … ~~~; false when no fence stands here.
    fn fence(&mut self, start: usize) -> bool {
        let mark = match self.bytes.get(self.at..self.at + 3) {
            Some(b"```") => "```",
            Some(b"~~~") => "~~~",
            _ => {
                // Behind an `h`, the word goes on without the mark.
                return start == self.at && self.stray(start);
            }
        };
        let body = self.at + 3;
        match self.text[body..].find(mark) {
            Some(n) => self.at = body + n + 3,
            None => {
                self.report(
                    Diagnostic::error("unterminated-string", format!("this `{mark}` string is not closed"))
                        .at(Span::new(start, body))
                        .label("opened here"),
                );
                self.at = self.bytes.len();
            }
        }
        self.push(Tok::Str, start);
        true
    }

    fn stray(&mut self, start: usize) -> bool {
        self.at += 1;
        self.report(
            Diagnostic::error(
                "unexpected-character",
                format!("`{}` has no meaning here", &self.text[start..self.at]),
            )
            .at(Span::new(start, self.at)),
        );
        true
    }

    fn number(&mut self, start: usize) {
        if let Some(len) = guid_length(&self.bytes[start..]) {
            self.at = start + len;
            return self.push(Tok::Guid, start);
        }
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        let mut real = false;
        // `1..5` is a range, `a[0].b` a path; `1.` and `1.5` are numbers.
        if self.peek(0) == b'.'
            && self.peek(1) != b'.'
            && !is_word_start(self.peek(1))
            && self.peek(1) != b'['
        {
            real = true;
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
        }
        let digits_end = self.at;
        // An exponent counts only with a digit behind it.
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                let mut end = self.at + 1 + sign;
                while self.bytes.get(end).is_some_and(u8::is_ascii_digit) {
                    end += 1;
                }
                // `1e5x` is a name.
                if !self.bytes.get(end).copied().is_some_and(is_word) {
                    self.at = end;
                    return self.push(Tok::Real, start);
                }
            }
        }
        let mut end = digits_end;
        while self.bytes.get(end).copied().is_some_and(is_word) {
            end += 1;
        }
        if end == digits_end {
            return self.push(if real { Tok::Real } else { Tok::Long }, start);
        }
        let suffix = &self.text[digits_end..end];
        self.at = end;
        if timespan_unit(suffix).is_some() {
            self.push(Tok::Timespan, start);
        } else if !real
            && digits_end == start + 1
            && self.bytes[start] == b'0'
            && suffix.len() > 1
            && matches!(suffix.as_bytes()[0], b'x' | b'X')
            && suffix[1..].bytes().all(|b| b.is_ascii_hexdigit())
        {
            self.push(Tok::Long, start);
        } else if real {
            // `1.5foo`: the number, then a word that the parser will not like.
            self.at = digits_end;
            self.push(Tok::Real, start);
        } else {
            // Names may begin with digits (`3DaysAgo`).
            self.push(Tok::Word, start);
        }
    }

    fn word(&mut self, start: usize) {
        if let Some(len) = guid_length(&self.bytes[start..]) {
            self.at = start + len;
            return self.push(Tok::Guid, start);
        }
        self.at += 1;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        if word == "in" && self.peek(0) == b'~' && self.peek(1) != b'~' {
            self.at += 1;
            return self.push(Tok::Word, start);
        }
        if is_typed_literal_name(word) {
            let mut open = self.at;
            while matches!(self.bytes.get(open), Some(b' ' | b'\t')) {
                open += 1;
            }
            if self.bytes.get(open) == Some(&b'(') && self.typed(start, open) {
                return;
            }
        }
        self.push(Tok::Word, start);
    }

    /// The inside of a typed literal is raw text up to the first `)`, quotes respected.
    fn typed(&mut self, start: usize, open: usize) -> bool {
        let mut end = open + 1;
        let mut quote = None;
        while let Some(&b) = self.bytes.get(end) {
            match (quote, b) {
                (None, b')') => {
                    self.at = end + 1;
                    self.push(Tok::Typed, start);
                    return true;
                }
                (None, b'"' | b'\'') => quote = Some(b),
                (Some(q), _) if q == b => quote = None,
                // A literal stands on few lines; an unclosed one must not swallow the query.
                (_, b'|' | b';') => return false,
                _ => {}
            }
            end += 1;
        }
        false
    }

    fn punctuation(&mut self, start: usize, b: u8) {
        let (tok, len) = match (b, self.peek(1)) {
            (b'(', _) => (Tok::LParen, 1),
            (b')', _) => (Tok::RParen, 1),
            (b'[', _) => (Tok::LBracket, 1),
            (b']', _) => (Tok::RBracket, 1),
            (b'{', _) => (Tok::LBrace, 1),
            (b'}', _) => (Tok::RBrace, 1),
            (b'|', _) => (Tok::Pipe, 1),
            (b',', _) => (Tok::Comma, 1),
            (b';', _) => (Tok::Semi, 1),
            (b':', _) => (Tok::Colon, 1),
            (b'.', b'.') => (Tok::DotDot, 2),
            (b'.', _) => (Tok::Dot, 1),
            (b'=', b'=') => (Tok::EqEq, 2),
            (b'=', b'~') => (Tok::EqTilde, 2),
            (b'=', b'>') => (Tok::Arrow, 2),
            (b'=', _) => (Tok::Assign, 1),
            (b'!', b'=') => (Tok::NotEq, 2),
            (b'!', b'~') => (Tok::NotTilde, 2),
            (b'!', n) if n.is_ascii_alphabetic() => {
                self.at += 1;
                while is_word(self.peek(0)) {
                    self.at += 1;
                }
                if &self.text[start..self.at] == "!in" && self.peek(0) == b'~' {
                    self.at += 1;
                }
                return self.push(Tok::BangWord, start);
            }
            (b'<', b'>') => (Tok::LtGt, 2),
            (b'<', b'=') => (Tok::Le, 2),
            (b'<', _) => (Tok::Lt, 1),
            (b'>', b'=') => (Tok::Ge, 2),
            (b'>', _) => (Tok::Gt, 1),
            (b'+', _) => (Tok::Plus, 1),
            (b'-', _) => (Tok::Minus, 1),
            (b'*', _) => (Tok::Star, 1),
            (b'/', _) => (Tok::Slash, 1),
            (b'%', _) => (Tok::Percent, 1),
            (b'@', _) => (Tok::At, 1),
            (b'?', _) => (Tok::Question, 1),
            _ => {
                self.at += 1;
                self.report(
                    Diagnostic::error(
                        "unexpected-character",
                        match b {
                            0 => "a NUL byte has no place in a query".to_string(),
                            b if b.is_ascii_graphic() => format!("`{}` has no meaning here", b as char),
                            b => format!("a control character (0x{b:02x}) has no place in a query"),
                        },
                    )
                    .at(Span::new(start, self.at)),
                );
                return;
            }
        };
        self.at += len;
        self.push(tok, start);
    }

    /// A character beyond ASCII outside of strings and comments.
    fn other(&mut self, start: usize) {
        let Some(c) = self.text[start..].chars().next() else {
            self.at = self.bytes.len();
            return;
        };
        self.at += c.len_utf8();
        if is_space(c) {
            return;
        }
        let d = Diagnostic::error("unexpected-character", format!("`{c}` has no meaning here"))
            .at(Span::new(start, self.at));
        let d = match c {
            '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}'
            | '\u{bb}' => d
                .label("a typographic quotation mark")
                .help("a word processor put it there; KQL's quotation marks are \" and '"),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => d.label("a typographic dash").help("write `-`"),
            _ => d.help("a name with such a character is written ['…']"),
        };
        self.report(d);
    }
}

/// The length of a bare GUID at the start of `bytes`.
fn guid_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..36)?;
    let fits = head
        .iter()
        .enumerate()
        .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() });
    (fits && !bytes.get(36).copied().is_some_and(is_word)).then_some(36)
}
