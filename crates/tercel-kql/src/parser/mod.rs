//! Tokens to syntax tree, by recursive descent with a limit on depth.
//!
//! Errors are reported where they are found and carried upwards as [`Stop`]; whoever can tell where
//! the next part begins (the next `|`, `;` or closing bracket) goes on from there, so that one run
//! reports several errors.

mod expr;
mod graph;
pub(crate) mod operator;
mod operator_more;
mod statement;

use crate::ast::{Ast, Expr, ExprKind, Ident, Literal, Node};
use crate::lexer::{MAX_FINDINGS, lex};
use crate::stack::with_room;
use crate::token::{Tok, Token};
use std::sync::Arc;
use tercel_ir::{Diagnostic, Diagnostics, Name, Span};

/// How many levels a tree may have. Each bracket costs one or two; people write a few dozen.
const MAX_DEPTH: u32 = 420;

/// Reported already; the caller gives up its own construct or finds a place to go on.
#[derive(Debug)]
pub(crate) struct Stop;

type Parsed<T> = Result<T, Stop>;

/// Reads a KQL text. The tree holds what could be read; when the findings hold an error it is not whole.
pub fn parse(text: &str) -> (Ast, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    if u32::try_from(text.len()).is_err() {
        diagnostics.push(Diagnostic::error("text-too-large", "a query of more than 4 GiB is not read"));
        return (Ast::default(), diagnostics);
    }
    let tokens = lex(text, &mut diagnostics);
    let (close, depth) = match_brackets(&tokens);
    let mut parser = Parser { text, tokens, close, at: 0, depth: 0, fatal: false, diagnostics };
    match with_room(depth, || parser.statements(Tok::Eof)) {
        Some(statements) => (Ast { statements, depth }, parser.diagnostics),
        None => {
            parser.diagnostics.push(too_deep());
            (Ast::default(), parser.diagnostics)
        }
    }
}

fn too_deep() -> Diagnostic {
    Diagnostic::error("nesting-too-deep", "this query is nested too deeply to be read")
}

/// For each opening bracket the index of the one that closes it; 0 elsewhere (index 0 closes nothing).
/// And how deep they nest.
fn match_brackets(tokens: &[Token]) -> (Vec<u32>, u32) {
    let mut deepest = 0;
    let mut close = vec![0; tokens.len()];
    let mut open: Vec<(usize, Tok)> = Vec::new();
    for (i, t) in tokens.iter().enumerate() {
        match t.tok {
            Tok::LParen => open.push((i, Tok::RParen)),
            Tok::LBracket => open.push((i, Tok::RBracket)),
            Tok::LBrace => open.push((i, Tok::RBrace)),
            _ if open.last().is_some_and(|(_, want)| *want == t.tok) => {
                if let Some((at, _)) = open.pop() {
                    close[at] = i as u32;
                }
            }
            _ => {}
        }
        deepest = deepest.max(open.len() as u32);
    }
    (close, deepest)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    close: Vec<u32>,
    at: usize,
    depth: u32,
    /// Nothing after this point is read or reported.
    fatal: bool,
    diagnostics: Diagnostics,
}

impl<'a> Parser<'a> {
    fn tok(&self) -> Tok {
        self.tokens[self.at].tok
    }

    fn peek(&self, ahead: usize) -> Tok {
        self.tokens.get(self.at + ahead).map_or(Tok::Eof, |t| t.tok)
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    /// The place just read.
    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn text_of(&self, index: usize) -> &'a str {
        self.tokens.get(index).map_or("", |t| &self.text[t.span.range()])
    }

    /// The text of the current token.
    fn here(&self) -> &'a str {
        self.text_of(self.at)
    }

    /// The word at `ahead`, `""` when something else stands there.
    fn word(&self, ahead: usize) -> &'a str {
        if self.peek(ahead) == Tok::Word { self.text_of(self.at + ahead) } else { "" }
    }

    fn at_word(&self, word: &str) -> bool {
        self.word(0) == word
    }

    /// Whether no white space separates this token from the one after it.
    fn adjacent(&self, index: usize) -> bool {
        match (self.tokens.get(index), self.tokens.get(index + 1)) {
            (Some(a), Some(b)) => a.span.end == b.span.start,
            _ => false,
        }
    }

    fn next(&mut self) -> Token {
        let t = self.tokens[self.at];
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        t
    }

    fn eat(&mut self, tok: Tok) -> bool {
        let hit = self.tok() == tok;
        if hit {
            self.next();
        }
        hit
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let hit = self.at_word(word);
        if hit {
            self.next();
        }
        hit
    }

    fn report(&mut self, d: Diagnostic) {
        if self.fatal {
            return;
        }
        if self.diagnostics.len() >= MAX_FINDINGS {
            self.give_up();
            return;
        }
        self.diagnostics.push(d);
    }

    fn give_up(&mut self) {
        self.fatal = true;
        self.at = self.tokens.len() - 1;
    }

    fn found(&self) -> String {
        match self.tok() {
            Tok::Word | Tok::BangWord => format!("`{}`", self.here()),
            t => t.describe().to_string(),
        }
    }

    /// Reports that something else was expected here.
    fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let d = Diagnostic::error("syntax", format!("expected {what}, found {}", self.found()))
            .at(self.span())
            .label(format!("expected {what}"));
        self.report(d);
        Err(Stop)
    }

    fn expect(&mut self, tok: Tok) -> Parsed<Span> {
        if self.tok() == tok {
            return Ok(self.next().span);
        }
        self.expected(tok.describe())
    }

    fn expect_word(&mut self, word: &str) -> Parsed<Span> {
        if self.at_word(word) {
            return Ok(self.next().span);
        }
        self.expected(&format!("`{word}`"))
    }

    /// The closing bracket of the one at token `open`.
    fn expect_close(&mut self, tok: Tok, open: usize) -> Parsed<Span> {
        if self.tok() == tok {
            return Ok(self.next().span);
        }
        let opened = self.tokens[open].span;
        let d = Diagnostic::error("syntax", format!("expected {}, found {}", tok.describe(), self.found()))
            .at(self.span())
            .label(format!("expected {}", tok.describe()))
            .related(opened, "opened here");
        self.report(d);
        Err(Stop)
    }

    /// Runs `f` one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let d = too_deep()
                .at(self.span())
                .label("brackets or operators inside each other, several hundred levels deep");
            self.report(d);
            self.give_up();
            return Err(Stop);
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// Runs `f` between brackets; the current token is the opening one. When `f` fails and the text
    /// has a bracket that closes this one, goes on behind it with `None`.
    fn bracketed<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<(Option<T>, Span)> {
        let open = self.at;
        let closing = match self.tok() {
            Tok::LParen => Tok::RParen,
            Tok::LBracket => Tok::RBracket,
            _ => Tok::RBrace,
        };
        let start = self.next().span;
        let result = f(self).and_then(|v| self.expect_close(closing, open).map(|end| (v, end)));
        match result {
            Ok((v, end)) => Ok((Some(v), start.to(end))),
            Err(Stop) if self.fatal => Err(Stop),
            Err(Stop) => {
                let close = self.close[open] as usize;
                if close == 0 {
                    return Err(Stop);
                }
                self.at = close;
                let end = self.next().span;
                Ok((None, start.to(end)))
            }
        }
    }

    /// Skips to a token that `stop` accepts, to a closing bracket of an outer level, or to the end.
    fn skip_to(&mut self, stop: &[Tok]) {
        loop {
            let tok = self.tok();
            if stop.contains(&tok) || matches!(tok, Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::Eof) {
                return;
            }
            let close = self.close[self.at] as usize;
            if close > self.at {
                self.at = close;
            }
            self.next();
        }
    }

    fn name_here(&self) -> Name {
        Arc::from(self.here())
    }

    /// Whether a name stands here, bare or `['…']`.
    fn at_name(&self) -> bool {
        match self.tok() {
            Tok::Word => true,
            Tok::LBracket => {
                self.peek(1) == Tok::Str && self.close[self.at] as usize + 1 == self.at + self.name_length()
            }
            _ => false,
        }
    }

    /// A name, bare or `['…']`.
    fn name(&mut self) -> Parsed<Ident> {
        match self.tok() {
            Tok::Word => {
                let name = self.name_here();
                Ok(Node::new(name, self.next().span))
            }
            Tok::LBracket if self.at_name() => {
                let start = self.next().span;
                let value = match self.string() {
                    Literal::String { value, .. } => value,
                    _ => Arc::from(""),
                };
                let end = self.next().span;
                Ok(Node::new(value, start.to(end)))
            }
            _ => self.expected("a name"),
        }
    }

    /// How many tokens the name here takes.
    fn name_length(&self) -> usize {
        if self.tok() == Tok::Word {
            return 1;
        }
        // `[`, strings side by side, `]`.
        let mut strings = 1;
        while self.peek(1 + strings) == Tok::Str {
            strings += 1;
        }
        strings + 2
    }

    /// A list with commas, at least one item.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(Tok::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A list with commas up to `end`, which may be empty and may end with a comma.
    fn list_until<T>(&mut self, end: Tok, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while self.tok() != end {
            items.push(item(self)?);
            if !self.eat(Tok::Comma) {
                break;
            }
        }
        Ok(items)
    }

    /// A name with `*` in it, when one stands here: pieces without blanks between them.
    fn wildcard(&mut self) -> Option<Ident> {
        let mut end = self.at;
        let mut star = false;
        loop {
            match self.tokens[end].tok {
                Tok::Star => star = true,
                Tok::Word | Tok::Long | Tok::Timespan => {}
                _ => break,
            }
            end += 1;
            if !self.adjacent(end - 1) {
                break;
            }
        }
        // `a *b` is a product, and a word alone is a name.
        if !star {
            return None;
        }
        let span = self.tokens[self.at].span.to(self.tokens[end - 1].span);
        let name: Name = Arc::from(&self.text[span.range()]);
        self.at = end;
        Some(Node::new(name, span))
    }

    /// A column, or a pattern of columns.
    fn name_or_wildcard(&mut self) -> Parsed<Expr> {
        if let Some(w) = self.wildcard() {
            return Ok(Node::new(ExprKind::Wildcard(w.node), w.span));
        }
        let n = self.name()?;
        Ok(Node::new(ExprKind::Name(n.node), n.span))
    }
}
