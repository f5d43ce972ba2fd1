//! From text to tree.
//!
//! Recursive descent over the words of [`crate::lexer`]. A function that cannot go on reports one error
//! and returns [`Failed`]; the pipeline then skips to the next `|` of its own level, keeps an
//! [`Operator::Error`] in place of the stage, and reads on, so that several errors are found in one go.

mod aggregate;
mod expr;
mod multi;
mod parsers;
mod rows;
mod scope;

use tercel_ir::{Diagnostic, Diagnostics, Span};

use crate::ast::*;
use crate::findings;
use crate::lexer::{Lexer, P, Tok, Token};

/// How deep expressions, scopes and pipelines may nest. Every level costs a few stack frames; the
/// deepest query of the public corpus needs 32.
pub(crate) const MAX_DEPTH: usize = 160;

/// An error has been reported; the caller gives up this stage.
pub(crate) struct Failed;

pub(crate) type R<T> = Result<T, Failed>;

/// What ends a pipeline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// The end of the text.
    Eof,
    /// `)`
    Paren,
    /// `]`
    Square,
}

/// Reads a query. The tree is always there; where it has holes, an error says so.
pub fn parse(text: &str) -> (Query, Diagnostics) {
    if text.len() > u32::MAX as usize {
        let mut d = Diagnostics::new();
        d.push(Diagnostic::error("query-too-large", "the query is larger than 4 GiB"));
        return (Query { scope: None, stages: Vec::new(), at: At::default() }, d);
    }
    let mut p = Parser::new(text);
    let query = p.pipeline(Close::Eof);
    if query.scope.is_none() && query.stages.is_empty() && p.diags.is_empty() {
        p.diags.push(
            Diagnostic::error("empty-query", "the query is empty")
                .at(Span::new(0, text.len()))
                .help("write `*` to search everything"),
        );
    }
    (query, p.diags)
}

/// Reads one expression, as written after `where`.
pub fn parse_expression(text: &str) -> (Option<Expr>, Diagnostics) {
    if text.len() > u32::MAX as usize {
        let mut d = Diagnostics::new();
        d.push(Diagnostic::error("query-too-large", "the expression is larger than 4 GiB"));
        return (None, d);
    }
    let mut p = Parser::new(text);
    let e = p.expr().ok();
    if e.is_some() && p.cur.tok != Tok::Eof {
        let _: R<()> = p.unexpected("the end of the expression");
    }
    (e, p.diags)
}

pub(crate) struct Parser<'a> {
    pub src: &'a str,
    pub lex: Lexer<'a>,
    /// The word to be read next, as the expression language sees it.
    pub cur: Token,
    /// The end of the word read last.
    pub last_end: usize,
    pub diags: Diagnostics,
    pub depth: usize,
    /// Set when a depth error was reported: one is enough.
    too_deep: bool,
}

impl<'a> Parser<'a> {
    fn new(src: &'a str) -> Parser<'a> {
        let mut lex = Lexer::new(src);
        let cur = lex.token(0);
        Parser { src, lex, cur, last_end: 0, diags: Diagnostics::new(), depth: 0, too_deep: false }
    }

    /// Keeps a finding, within limits.
    pub fn report(&mut self, d: Diagnostic) {
        findings::push_capped(&mut self.diags, d);
    }

    pub fn text(&self, t: Token) -> &'a str {
        &self.src[t.start..t.end]
    }

    pub fn bump(&mut self) -> Token {
        let t = self.cur;
        self.last_end = t.end;
        self.cur = self.lex.token(t.end);
        t
    }

    /// The word after the next one.
    pub fn peek2(&mut self) -> Token {
        self.lex.token(self.cur.end)
    }

    /// Goes on reading at a byte offset.
    pub fn seek(&mut self, at: usize) {
        self.last_end = at;
        self.cur = self.lex.token(at);
    }

    /// Back to a word read before.
    pub fn rewind(&mut self, to: Token, last_end: usize) {
        self.cur = to;
        self.last_end = last_end;
    }

    pub fn is(&self, p: P) -> bool {
        self.cur.tok == Tok::P(p)
    }

    pub fn eat(&mut self, p: P) -> bool {
        let yes = self.is(p);
        if yes {
            self.bump();
        }
        yes
    }

    pub fn expect(&mut self, p: P, what: &str) -> R<()> {
        if self.eat(p) { Ok(()) } else { self.unexpected(what) }
    }

    /// Whether the next word is this keyword, in any case.
    pub fn is_kw(&self, kw: &str) -> bool {
        self.cur.tok == Tok::Ident && self.text(self.cur).eq_ignore_ascii_case(kw)
    }

    pub fn token_is_kw(&self, t: Token, kw: &str) -> bool {
        t.tok == Tok::Ident && self.text(t).eq_ignore_ascii_case(kw)
    }

    pub fn eat_kw(&mut self, kw: &str) -> bool {
        let yes = self.is_kw(kw);
        if yes {
            self.bump();
        }
        yes
    }

    pub fn span_from(&self, start: usize) -> At {
        At(Span::new(start, self.last_end.max(start)))
    }

    /// How the next word reads in a message.
    fn describe(&self) -> String {
        match self.cur.tok {
            Tok::Eof => "the end of the query".into(),
            _ => {
                let text: String = self.text(self.cur).chars().take(40).collect();
                format!("`{text}`")
            }
        }
    }

    /// Reports that something else was expected here.
    pub fn unexpected<T>(&mut self, expected: &str) -> R<T> {
        if self.cur.tok == Tok::OpenStr {
            let quote = self.text(self.cur).trim_start_matches('%').chars().next().unwrap_or('"');
            self.report(
                Diagnostic::error("unterminated-string", "this text has no closing quote")
                    .at(self.cur.span())
                    .help(format!("add the missing {quote}; a quote inside a text is written \\{quote}")),
            );
        } else {
            let message = format!("expected {expected}, found {}", self.describe());
            let mut d = Diagnostic::error("syntax-error", message).at(self.cur.span());
            if self.is(P::Semicolon) {
                d = d.help("a query does not end with a semicolon");
            }
            self.report(d);
        }
        Err(Failed)
    }

    /// One level deeper; refuses when too deep.
    pub fn enter(&mut self) -> R<()> {
        if self.depth >= MAX_DEPTH {
            if !self.too_deep {
                self.too_deep = true;
                self.report(
                    Diagnostic::error(
                        "nesting-too-deep",
                        format!("the query nests deeper than {MAX_DEPTH} levels here"),
                    )
                    .at(self.cur.span())
                    .help("long chains of `and` and `or` need no parentheses; split the rest into stages"),
                );
            }
            return Err(Failed);
        }
        self.depth += 1;
        Ok(())
    }

    /// Scope, then stages, up to (not including) what closes the pipeline.
    pub fn pipeline(&mut self, close: Close) -> Query {
        let start = self.cur.start;
        let mut stages = Vec::new();
        let mut scope = None;
        let mut template_behind = false;
        if !self.is(P::Pipe) && !self.at_close(close) {
            if self.starts_with_operator(close) {
                self.stage_into(&mut stages, close);
                template_behind = true;
            } else {
                let from = self.cur.start;
                let depth = self.depth;
                match self.scope(close) {
                    Ok(s) => scope = s,
                    Err(Failed) => {
                        self.depth = depth;
                        self.recover(close, from);
                        stages.push(Stage { op: Operator::Error, at: self.span_from(from) });
                    }
                }
            }
        }
        loop {
            if self.at_close(close) || self.cur.tok == Tok::Eof || self.too_deep || self.gave_up() {
                break;
            }
            if self.eat(P::Pipe) {
                if self.is(P::Pipe) || self.at_close(close) || self.cur.tok == Tok::Eof {
                    continue;
                }
                if close == Close::Square && self.is_kw("compose") {
                    break;
                }
                self.stage_into(&mut stages, close);
                template_behind = true;
                continue;
            }
            if self.eat(P::OrOr) {
                // `||` between stages is an empty stage.
                if !self.at_close(close) && self.cur.tok != Tok::Eof && !self.is(P::Pipe) {
                    self.stage_into(&mut stages, close);
                    template_behind = true;
                }
                continue;
            }
            // `… nodrop {{post_filter}}`: the parameter brings its own pipe.
            if template_behind && self.whole_template().is_some() {
                let t = self.bump();
                let name = self.text(t).to_owned();
                stages.push(Stage { op: Operator::Template(name), at: At(t.span()) });
                continue;
            }
            let from = self.cur.start;
            let _: R<()> = self.unexpected("`|` or the end of the query");
            self.recover(close, from);
            if self.cur.start == from && !self.is(P::Pipe) {
                // A closing bracket that belongs to nobody.
                self.bump();
            }
        }
        Query { scope, stages, at: self.span_from(start) }
    }

    /// Too many errors to go on reading.
    fn gave_up(&self) -> bool {
        findings::is_full(&self.diags) && self.diags.has_errors()
    }

    pub fn at_close(&self, close: Close) -> bool {
        match close {
            Close::Eof => self.cur.tok == Tok::Eof,
            Close::Paren => self.is(P::Close),
            Close::Square => self.is(P::CloseSquare),
        }
    }

    /// Whether the next word is a template parameter and nothing else.
    pub fn whole_template(&self) -> Option<&'a str> {
        let text = self.text(self.cur);
        (self.cur.tok == Tok::Ident && self.lex.template(self.cur.start) == Some(self.cur.end))
            .then_some(text)
    }

    fn stage_into(&mut self, stages: &mut Vec<Stage>, close: Close) {
        let from = self.cur.start;
        let depth = self.depth;
        match self.stage() {
            Ok(op) => {
                // What follows must end the stage; otherwise the stage itself is wrong.
                let ends = self.is(P::Pipe)
                    || self.is(P::OrOr)
                    || self.cur.tok == Tok::Eof
                    || self.at_close(close)
                    || self.whole_template().is_some();
                let at = self.span_from(from);
                stages.push(Stage { op, at });
                if !ends {
                    self.trailing();
                    let from = self.cur.start;
                    self.recover(close, from);
                }
            }
            Err(Failed) => {
                self.depth = depth;
                self.recover(close, from);
                stages.push(Stage { op: Operator::Error, at: self.span_from(from) });
            }
        }
    }

    fn trailing(&mut self) {
        if self.is_kw("where") || self.is_kw("parse") || self.is_kw("json") || self.is_kw("if") {
            let word = self.text(self.cur).to_owned();
            self.report(
                Diagnostic::error(
                    "syntax-error",
                    format!("`{word}` starts a new operator, but there is no `|`"),
                )
                .at(self.cur.span())
                .help(format!("write `| {word} …`")),
            );
            return;
        }
        let _: R<()> = self.unexpected("`|` or the end of the query");
    }

    /// Skips to the next `|` of this level or to what closes the pipeline.
    fn recover(&mut self, close: Close, from: usize) {
        if self.cur.start < from {
            self.seek(from);
        }
        let mut depth = 0usize;
        let mut regex_may_start = false;
        loop {
            match self.cur.tok {
                Tok::Eof => return,
                Tok::P(P::Pipe) if depth == 0 => return,
                Tok::P(P::Open | P::OpenSquare) => depth += 1,
                Tok::P(P::Close | P::CloseSquare) => {
                    if depth == 0 {
                        if self.at_close(close) {
                            return;
                        }
                    } else {
                        depth -= 1;
                    }
                }
                Tok::P(P::Slash) if regex_may_start => {
                    if let Some(end) = self.lex.regex(self.cur.start) {
                        self.seek(end);
                        regex_may_start = false;
                        continue;
                    }
                }
                // An error inside brackets: a pipe at the start of a line is most likely the next stage.
                Tok::P(P::Pipe) if close == Close::Eof && self.at_line_start() => return,
                _ => {}
            }
            regex_may_start = self.is_kw("matches") || self.is(P::Comma) || self.is(P::Open);
            self.bump();
        }
    }

    fn at_line_start(&self) -> bool {
        self.src[..self.cur.start]
            .bytes()
            .rev()
            .find(|b| !matches!(b, b' ' | b'\t'))
            .is_some_and(|b| b == b'\n')
    }

    /// Whether a pipeline starts with an operator instead of a scope: the text up to its first `|`
    /// reads as one (a fragment, or a child of `join` and `filter`).
    fn starts_with_operator(&mut self, close: Close) -> bool {
        if self.cur.tok != Tok::Ident {
            return false;
        }
        let (first, last_end) = (self.cur, self.last_end);
        let word = self.text(first).to_ascii_lowercase();
        self.bump();
        let next = self.cur;
        let next_word = self.text(next).to_ascii_lowercase();
        let quoted = next.tok == Tok::Str;
        let paren = next.tok == Tok::P(P::Open) && next.start == first.end;
        let is = |l: &[&str]| l.contains(&next_word.as_str());
        let mut yes = match word.as_str() {
            "parse" | "extract" => quoted || is(&["regex", "field", "xml", "using"]),
            "json" => quoted || is(&["field", "auto"]),
            "keyvalue" | "kv" => quoted || is(&["regex", "field", "auto", "infer", "keys"]),
            "csv" | "split" => next.tok == Tok::Ident && self.token_after_is(&["extract", "delim"]),
            "if" => paren || next.tok == Tok::P(P::Open),
            "where" | "timeslice" | "fields" => close != Close::Eof && next.tok != Tok::P(P::Eq),
            "count" => close != Close::Eof && (paren || is(&["by", "as"])),
            _ => false,
        };
        if !yes && close != Close::Eof {
            // In a child pipeline `f(x) …` and `x as y` are operators too.
            yes = paren
                && (crate::parse::aggregate::is_aggregate(&word)
                    || crate::parse::expr::is_known_function(&word))
                || is(&["as"]);
        }
        self.rewind(first, last_end);
        yes
    }

    fn token_after_is(&mut self, words: &[&str]) -> bool {
        let t = self.peek2();
        let w = self.text(t);
        words.iter().any(|x| w.eq_ignore_ascii_case(x))
    }
}

pub(crate) use expr::{function_names, is_known_function};

/// Whether a stage that starts with this word is read as an operator of that name.
pub(crate) fn starts_operator(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    rows::is_operator(&lower) || aggregate::is_aggregate(&lower)
}
