//! Expressions: precedence climbing, one frame per nesting level; chains of `and` and `or` are lists.

use tercel_ir::{Diagnostic, Span};

use super::{Close, MAX_DEPTH, Parser, R};
use crate::ast::*;
use crate::findings;
use crate::lexer::{P, Tok};

/// Functions of the expression language, in lower case (documented, and those that published queries use).
const FUNCTIONS: &[&str] = &[
    "abs",
    "acos",
    "asciitohex",
    "asin",
    "atan",
    "atan2",
    "base64decode",
    "base64encode",
    "cbrt",
    "ceil",
    "comparecidrprefix",
    "concat",
    "contains",
    "cos",
    "cosh",
    "decodebase64",
    "dectohex",
    "double",
    "exp",
    "expm1",
    "floor",
    "format",
    "formatdate",
    "formatduration",
    "frommillis",
    "fromseconds",
    "getcidrprefix",
    "hash",
    "haversine",
    "hextoascii",
    "hextodec",
    "hypot",
    "if",
    "int",
    "ipv4tonumber",
    "isblank",
    "isempty",
    "isinfinity",
    "isnan",
    "isnull",
    "isnumeric",
    "isprivateip",
    "ispublicip",
    "isreservedip",
    "isvalidip",
    "isvalidipv4",
    "isvalidipv6",
    "jsonarraycontains",
    "jsonarraysize",
    "length",
    "log",
    "log10",
    "log1p",
    "long",
    "lookupcontains",
    "luhn",
    "maskfromcidr",
    "matches",
    "max",
    "min",
    "now",
    "num",
    "number",
    "parsedate",
    "parsehex",
    "pow",
    "queryendtime",
    "querystarttime",
    "querytimerange",
    "replace",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "substring",
    "tan",
    "tanh",
    "todegrees",
    "todouble",
    "toint",
    "tolong",
    "tolowercase",
    "tomillis",
    "toradians",
    "tostring",
    "touppercase",
    "tourl",
    "trim",
    "urldecode",
    "urlencode",
];

/// Whether this is a function that expressions may call. `lower` is in lower case.
pub(crate) fn is_known_function(lower: &str) -> bool {
    FUNCTIONS.binary_search(&lower).is_ok()
}

/// The names for "did you mean".
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().copied()
}

/// How strongly operators bind; the higher, the stronger.
mod power {
    pub const TERNARY: u8 = 1;
    pub const OR: u8 = 2;
    pub const AND: u8 = 3;
    pub const NOT: u8 = 4;
    pub const COMPARE: u8 = 5;
    pub const ADD: u8 = 6;
    pub const MUL: u8 = 7;
    pub const UNARY: u8 = 8;
}

enum Infix {
    Ternary,
    Or,
    And,
    Binary(BinaryOp),
    In(bool),
    Matches(bool),
    Contains(bool),
}

impl Infix {
    fn power(&self) -> u8 {
        match self {
            Infix::Ternary => power::TERNARY,
            Infix::Or => power::OR,
            Infix::And => power::AND,
            Infix::Binary(BinaryOp::Add | BinaryOp::Sub) => power::ADD,
            Infix::Binary(BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod) => power::MUL,
            _ => power::COMPARE,
        }
    }
}

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> R<Expr> {
        self.expr_above(0)
    }

    fn infix(&mut self) -> Option<Infix> {
        Some(match self.cur.tok {
            Tok::P(p) => match p {
                P::Question => Infix::Ternary,
                P::OrOr => Infix::Or,
                P::AndAnd => Infix::And,
                P::Eq => Infix::Binary(BinaryOp::Eq),
                P::Ne => Infix::Binary(BinaryOp::Ne),
                P::Lt => Infix::Binary(BinaryOp::Lt),
                P::Le => Infix::Binary(BinaryOp::Le),
                P::Gt => Infix::Binary(BinaryOp::Gt),
                P::Ge => Infix::Binary(BinaryOp::Ge),
                P::Plus => Infix::Binary(BinaryOp::Add),
                P::Minus => Infix::Binary(BinaryOp::Sub),
                P::Star => Infix::Binary(BinaryOp::Mul),
                P::Slash => Infix::Binary(BinaryOp::Div),
                P::Percent => Infix::Binary(BinaryOp::Mod),
                _ => return None,
            },
            Tok::Ident => {
                if self.is_kw("or") {
                    Infix::Or
                } else if self.is_kw("and") {
                    Infix::And
                } else if self.is_kw("in") {
                    Infix::In(false)
                } else if self.is_kw("matches") {
                    Infix::Matches(false)
                } else if self.is_kw("contains") {
                    Infix::Contains(false)
                } else if self.is_kw("not") {
                    let t = self.peek2();
                    if self.token_is_kw(t, "in") {
                        Infix::In(true)
                    } else if self.token_is_kw(t, "matches") {
                        Infix::Matches(true)
                    } else if self.token_is_kw(t, "contains") {
                        Infix::Contains(true)
                    } else {
                        return None;
                    }
                } else {
                    return None;
                }
            }
            _ => return None,
        })
    }

    /// An expression whose operators bind at least this strongly.
    fn expr_above(&mut self, min: u8) -> R<Expr> {
        self.enter()?;
        let start = self.cur.start;
        let mut left = self.prefix()?;
        // Arithmetic leans to the left: every further operator makes the tree one deeper.
        let mut leaning = 0;
        loop {
            if let Some(t) = self.template_operand(min) {
                left = Expr { kind: ExprKind::Templated(Box::new(left), t), at: self.span_from(start) };
                continue;
            }
            let Some(op) = self.infix() else { break };
            let power = op.power();
            if power < min {
                break;
            }
            let sign = self.cur;
            self.bump();
            let kind = match op {
                Infix::Ternary => {
                    let then = self.expr_above(0)?;
                    self.expect(P::Colon, "`:` and the value for the other case")?;
                    let other = self.expr_above(power::TERNARY)?;
                    ExprKind::Ternary(Box::new(left), Box::new(then), Box::new(other))
                }
                Infix::Or | Infix::And => {
                    let and = matches!(op, Infix::And);
                    let mut list = vec![left];
                    loop {
                        list.push(self.expr_above(power + 1)?);
                        let more = match self.infix() {
                            Some(Infix::And) => and,
                            Some(Infix::Or) => !and,
                            _ => false,
                        };
                        if !more {
                            break;
                        }
                        self.bump();
                    }
                    if and { ExprKind::And(list) } else { ExprKind::Or(list) }
                }
                Infix::Binary(op) => {
                    leaning += 1;
                    if leaning + self.depth > MAX_DEPTH {
                        self.depth = MAX_DEPTH;
                        self.enter()?;
                    }
                    let right = self.expr_above(power + 1)?;
                    ExprKind::Binary(op, Box::new(left), Box::new(right))
                }
                Infix::In(negated) => {
                    if negated {
                        self.bump();
                    }
                    let list = self.in_list()?;
                    ExprKind::In { expr: Box::new(left), negated, list }
                }
                Infix::Matches(negated) => {
                    if negated {
                        self.bump();
                    }
                    let pattern = Box::new(self.match_pattern(power + 1)?);
                    ExprKind::Matches { expr: Box::new(left), negated, pattern }
                }
                Infix::Contains(negated) => {
                    if negated {
                        self.bump();
                    }
                    let part = Box::new(self.expr_above(power + 1)?);
                    ExprKind::Contains { expr: Box::new(left), negated, part }
                }
            };
            debug_assert!(self.last_end >= sign.end);
            left = Expr { kind, at: self.span_from(start) };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// A parameter behind a value, on the same line and inside brackets: `if(c, true, size {{size}})` with
    /// `> 100` for the parameter.
    fn template_operand(&mut self, min: u8) -> Option<String> {
        let text = self.whole_template()?;
        let next = self.peek2();
        let inside = matches!(next.tok, Tok::P(P::Close | P::Comma));
        let same_line = !self.src[self.last_end..self.cur.start].contains('\n');
        if min > power::COMPARE || !inside || !same_line {
            return None;
        }
        self.bump();
        Some(text.to_owned())
    }

    fn in_list(&mut self) -> R<Vec<Expr>> {
        if !self.is(P::Open) {
            // `x in {{list}}`, `x in "a"`, `x in [subquery: …]`
            return Ok(vec![self.expr_above(power::ADD)?]);
        }
        self.bump();
        let mut list = Vec::new();
        loop {
            if self.is(P::Close) && !list.is_empty() {
                break;
            }
            list.push(self.expr()?);
            if !self.eat(P::Comma) {
                break;
            }
        }
        self.expect(P::Close, "`,` or `)` in the list")?;
        Ok(list)
    }

    fn match_pattern(&mut self, min: u8) -> R<Expr> {
        if self.is(P::Slash) {
            return self.regex_literal();
        }
        self.expr_above(min)
    }

    pub(super) fn regex_literal(&mut self) -> R<Expr> {
        let start = self.cur.start;
        match self.lex.regex(start) {
            Some(end) => {
                let mut raw = self.src[start + 1..end - 1].to_owned();
                self.seek(end);
                // `/re/i` comes from other languages; here the flag stands inside.
                if self.cur.start == end && self.is_kw("i") {
                    self.report(
                        Diagnostic::warning(
                            "sumo-regex-flag",
                            "`/…/i` is not Sumo Logic's way to ignore case",
                        )
                        .at(self.cur.span())
                        .meaning("read as the author meant: the case of letters is ignored")
                        .help(format!("write `/(?i){raw}/`")),
                    );
                    raw.insert_str(0, "(?i)");
                    self.bump();
                }
                Ok(Expr { kind: ExprKind::Regex(raw), at: At(Span::new(start, end)) })
            }
            None => {
                self.report(
                    Diagnostic::error("syntax-error", "this regular expression has no closing `/`")
                        .at(self.cur.span())
                        .help("a slash inside the expression is written `\\/`"),
                );
                Err(super::Failed)
            }
        }
    }

    fn prefix(&mut self) -> R<Expr> {
        let start = self.cur.start;
        match self.cur.tok {
            Tok::P(P::Bang) => {
                self.bump();
                let e = self.expr_above(power::NOT)?;
                Ok(Expr { kind: ExprKind::Not(Box::new(e)), at: self.span_from(start) })
            }
            Tok::P(P::Minus) => {
                self.bump();
                let e = self.expr_above(power::UNARY)?;
                Ok(Expr { kind: ExprKind::Neg(Box::new(e)), at: self.span_from(start) })
            }
            Tok::P(P::Plus) => {
                self.bump();
                self.expr_above(power::UNARY)
            }
            Tok::P(P::Open) => {
                self.bump();
                let mut e = self.expr()?;
                self.expect(P::Close, "`)`")?;
                e.at = self.span_from(start);
                Ok(e)
            }
            Tok::P(P::OpenSquare) => {
                let sub = self.subquery()?;
                Ok(Expr { kind: ExprKind::Subquery(Box::new(sub)), at: self.span_from(start) })
            }
            Tok::P(P::Slash) => self.regex_literal(),
            Tok::P(P::Percent) => {
                // `% users[2].a` of the documentation.
                let t = self.peek2();
                if matches!(t.tok, Tok::Ident | Tok::Str) {
                    let name = self.name("a field")?;
                    return Ok(Expr { kind: ExprKind::Field(name), at: self.span_from(start) });
                }
                self.unexpected("a value")
            }
            Tok::Str => {
                let t = self.string()?;
                Ok(Expr { at: t.at, kind: ExprKind::String(t) })
            }
            Tok::Number => {
                let t = self.bump();
                Ok(Expr { kind: ExprKind::Number(self.text(t).to_owned()), at: At(t.span()) })
            }
            Tok::Path => {
                let t = self.bump();
                Ok(Expr { kind: ExprKind::Path(self.text(t).to_owned()), at: At(t.span()) })
            }
            Tok::QuotedName => {
                let name = self.name("a field")?;
                Ok(Expr { at: name.at, kind: ExprKind::Field(name) })
            }
            Tok::Ident => self.word(),
            _ => self.unexpected("a value"),
        }
    }

    fn word(&mut self) -> R<Expr> {
        let t = self.cur;
        let start = t.start;
        if self.is_kw("not") {
            let next = self.peek2();
            let value = matches!(
                next.tok,
                Tok::Ident | Tok::QuotedName | Tok::Str | Tok::P(P::Open | P::Bang | P::OpenSquare)
            );
            if value && !self.token_is_kw(next, "as") {
                self.bump();
                let e = self.expr_above(power::NOT)?;
                return Ok(Expr { kind: ExprKind::Not(Box::new(e)), at: self.span_from(start) });
            }
        }
        if self.whole_template().is_some() {
            self.bump();
            return Ok(Expr { kind: ExprKind::Template(self.text(t).to_owned()), at: At(t.span()) });
        }
        let next = self.peek2();
        if next.tok == Tok::P(P::Open) && !self.is_reserved_infix() {
            self.bump();
            return self.call(Name { text: self.text(t).to_owned(), at: At(t.span()) });
        }
        for (kw, kind) in
            [("true", ExprKind::Bool(true)), ("false", ExprKind::Bool(false)), ("null", ExprKind::Null)]
        {
            if self.is_kw(kw) {
                self.bump();
                return Ok(Expr { kind, at: At(t.span()) });
            }
        }
        if self.is_kw("and") || self.is_kw("or") || self.is_kw("as") {
            return self.unexpected("a value");
        }
        self.bump();
        let name = Name { text: self.text(t).to_owned(), at: At(t.span()) };
        Ok(Expr { at: name.at, kind: ExprKind::Field(name) })
    }

    fn is_reserved_infix(&self) -> bool {
        ["and", "or", "in", "as", "by"].iter().any(|k| self.is_kw(k))
    }

    fn call(&mut self, name: Name) -> R<Expr> {
        let start = name.at.0.start as usize;
        self.expect(P::Open, "`(`")?;
        let mut args = Vec::new();
        while !self.is(P::Close) {
            args.push(self.expr()?);
            if !self.eat(P::Comma) {
                break;
            }
        }
        self.expect(P::Close, "`,` or `)` in the arguments")?;
        let at = self.span_from(start);
        if name.text.eq_ignore_ascii_case("matches") && args.len() == 2 {
            self.report(findings::matches_call(at.0, false));
        }
        Ok(Expr { kind: ExprKind::Call { name, args }, at })
    }

    /// A string literal.
    pub(super) fn string(&mut self) -> R<Text> {
        if self.cur.tok != Tok::Str {
            return self.unexpected("a text in double quotes");
        }
        let t = self.bump();
        let s = self.text(t);
        Ok(Text {
            raw: s[1..s.len() - 1].to_owned(),
            quote: if s.starts_with('\'') { '\'' } else { '"' },
            at: At(t.span()),
        })
    }

    /// A field or alias name: a word, `%"any name"`, or a quoted text.
    pub(super) fn name(&mut self, what: &str) -> R<Name> {
        let t = self.cur;
        let text = match t.tok {
            Tok::Ident => self.text(t).to_owned(),
            // `as 95th` reads as a name already; a bare number is one, too (`transpose … as 200, 404`).
            Tok::Number => self.text(t).to_owned(),
            Tok::QuotedName => {
                let s = self.text(t);
                cook(&s[2..s.len() - 1])
            }
            Tok::Str => {
                let s = self.text(t);
                cook(&s[1..s.len() - 1])
            }
            Tok::P(P::Percent) => {
                let next = self.peek2();
                if !matches!(next.tok, Tok::Ident | Tok::Str) {
                    return self.unexpected(what);
                }
                self.bump();
                let n = self.bump();
                return Ok(Name {
                    text: self.text(n).trim_matches('"').to_owned(),
                    at: self.span_from(t.start),
                });
            }
            _ => return self.unexpected(what),
        };
        self.bump();
        Ok(Name { text, at: At(t.span()) })
    }

    /// Names separated by commas, in parentheses or not.
    pub(super) fn names(&mut self, what: &str) -> R<Vec<Name>> {
        let paren = self.eat(P::Open);
        let mut list = vec![self.name(what)?];
        while self.is(P::Comma) {
            let next = self.peek2();
            if !matches!(next.tok, Tok::Ident | Tok::QuotedName | Tok::Number | Tok::P(P::Percent)) {
                break;
            }
            self.bump();
            list.push(self.name(what)?);
        }
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        Ok(list)
    }

    /// `as name`, if it is there.
    pub(super) fn alias(&mut self) -> R<Option<Name>> {
        if !self.eat_kw("as") {
            return Ok(None);
        }
        let paren = self.eat(P::Open);
        let name = self.name("a name")?;
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        Ok(Some(name))
    }

    /// `[subquery …: … | compose …]`.
    pub(super) fn subquery(&mut self) -> R<Subquery> {
        let start = self.cur.start;
        self.expect(P::OpenSquare, "`[subquery: …]`")?;
        if !self.eat_kw("subquery") {
            return self.unexpected("`subquery`");
        }
        self.enter()?;
        let mut options = Vec::new();
        while self.cur.tok == Tok::Ident {
            let name = self.name("an option")?;
            self.expect(P::Eq, "`=`")?;
            let value = self.raw_value(true)?;
            options.push(Setting { name, value });
        }
        self.expect(P::Colon, "`:`")?;
        let query = self.pipeline(Close::Square);
        let mut compose = Vec::new();
        let mut keywords = false;
        let mut settings = Vec::new();
        if self.eat_kw("compose") {
            compose = self.names("a field")?;
            while self.cur.tok == Tok::Ident {
                if self.eat_kw("keywords") {
                    keywords = true;
                } else {
                    let name = self.name("an option")?;
                    self.expect(P::Eq, "`=`")?;
                    let value = self.raw_value(false)?;
                    settings.push(Setting { name, value });
                }
            }
        }
        self.expect(P::CloseSquare, "`]`")?;
        self.depth -= 1;
        Ok(Subquery { options, query, compose, keywords, settings, at: self.span_from(start) })
    }

    /// The value of an option as written: up to a blank, a comma or a pipe; parentheses are kept whole.
    pub(super) fn raw_value(&mut self, stop_at_colon: bool) -> R<String> {
        let start = self.cur.start;
        let mut at = start;
        let mut depth = 0usize;
        while let Some(c) = self.src[at..].chars().next() {
            if c == '"' {
                let (end, closed) = self.lex.quoted(at);
                at = end;
                if !closed {
                    return self.unexpected("a value");
                }
                continue;
            }
            if let Some(end) = self.lex.template(at) {
                at = end;
                continue;
            }
            match c {
                '(' => depth += 1,
                ')' if depth == 0 => break,
                ')' => depth -= 1,
                '|' | '\n' => break,
                ']' if depth == 0 => break,
                ',' if depth == 0 => break,
                ':' if depth == 0 && stop_at_colon => break,
                c if c.is_whitespace() && depth == 0 => break,
                _ => {}
            }
            at += c.len_utf8();
        }
        if at == start || depth > 0 {
            return self.unexpected("a value");
        }
        let value = self.src[start..at].to_owned();
        self.seek(at);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_sorted() {
        assert!(super::FUNCTIONS.is_sorted());
    }
}
