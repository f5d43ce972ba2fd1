//! Statements, function bodies, parameters and schemas.

use super::{Parsed, Parser, Stop};
use crate::ast::{
    ColumnDecl, ExprKind, Function, Node, Parameter, ParameterType, Pattern, PatternRule, Statement,
    StatementKind,
};
use crate::literal::declared_type;
use crate::token::Tok;
use tercel_ir::{Diagnostic, Span, Type};

impl Parser<'_> {
    /// Statements up to `end`, which is not eaten.
    pub(super) fn statements(&mut self, end: Tok) -> Vec<Statement> {
        let mut out = Vec::new();
        loop {
            while self.eat(Tok::Semi) {}
            if self.tok() == end || self.tok() == Tok::Eof || self.fatal {
                return out;
            }
            let start = self.at;
            let from = self.span();
            match self.statement() {
                Ok(kind) => out.push(Node::new(kind, from.to(self.last_span()))),
                Err(Stop) => {
                    self.skip_to(&[Tok::Semi]);
                    out.push(Node::new(StatementKind::Error, from.to(self.last_span())));
                }
            }
            self.end_of_statement(end, start);
        }
    }

    /// Between two statements stands a `;`. Without one, says so and goes on where a line begins.
    fn end_of_statement(&mut self, end: Tok, start: usize) {
        while !(matches!(self.tok(), Tok::Semi | Tok::Eof) || self.tok() == end) {
            let d = match self.tok() {
                Tok::RParen | Tok::RBracket | Tok::RBrace => {
                    Diagnostic::error("syntax", format!("{} closes nothing", self.tok().describe()))
                        .at(self.span())
                }
                _ if self.begins_line() && self.at > start => {
                    let d =
                        Diagnostic::error("syntax", format!("expected `;` or `|` before {}", self.found()))
                            .at(self.span())
                            .label("a new statement?")
                            .help("statements are separated by `;`, operators by `|`");
                    self.report(d);
                    return;
                }
                _ => self.unexpected(),
            };
            self.report(d);
            if self.fatal {
                return;
            }
            self.next();
            self.skip_to(&[Tok::Semi]);
        }
    }

    /// What cannot follow the part just read, with a guess at what was meant.
    pub(super) fn unexpected(&self) -> Diagnostic {
        let d = Diagnostic::error("syntax", format!("unexpected {}", self.found())).at(self.span());
        match self.tok() {
            Tok::Assign => d.help("equality is written `==`"),
            Tok::Word | Tok::BangWord => {
                let words = crate::ast::StringOp::ALL.iter().map(|o| o.as_str());
                let known = words
                    .chain(["and", "or", "in", "in~", "!in", "!in~", "between", "has_any", "has_all", "by"]);
                match tercel_ir::diag::nearest(self.here(), known) {
                    Some(op) if op != self.here() => d.help(format!("did you mean `{op}`?")),
                    _ => d,
                }
            }
            _ => d,
        }
    }

    /// Whether only white space stands before this token on its line.
    pub(super) fn begins_line(&self) -> bool {
        let before = &self.text[..self.span().start as usize];
        let line = before.rfind('\n').map_or(0, |i| i + 1);
        before[line..].trim().is_empty()
    }

    fn statement(&mut self) -> Parsed<StatementKind> {
        match self.word(0) {
            "let" if self.peek(1) == Tok::Word || self.peek(1) == Tok::LBracket => {
                self.next();
                self.let_statement()
            }
            "set" if self.peek(1) == Tok::Word => {
                self.next();
                let name = self.name()?;
                let value = if self.eat(Tok::Assign) { Some(self.parameter_value()?) } else { None };
                Ok(StatementKind::Set { name, value })
            }
            "declare" if self.word(1) == "query_parameters" => {
                self.next();
                self.next();
                Ok(StatementKind::QueryParameters(self.parameters_in_parentheses()?))
            }
            "declare" if self.word(1) == "pattern" => {
                self.next();
                self.next();
                Ok(StatementKind::Pattern(Box::new(self.pattern()?)))
            }
            "restrict" if self.word(1) == "access" => {
                self.next();
                self.next();
                self.expect_word("to")?;
                let open = self.at;
                self.expect(Tok::LParen)?;
                let entities = self.list_until(Tok::RParen, Self::table_source)?;
                self.expect_close(Tok::RParen, open)?;
                Ok(StatementKind::Restrict(entities))
            }
            "alias" if self.word(1) == "database" => {
                self.next();
                self.next();
                let name = self.name()?;
                self.expect(Tok::Assign)?;
                let value = self.expression()?;
                Ok(StatementKind::Alias { name, value })
            }
            _ => Ok(StatementKind::Query(self.pipe(false)?)),
        }
    }

    fn let_statement(&mut self) -> Parsed<StatementKind> {
        let name = self.name()?;
        self.expect(Tok::Assign)?;
        let view = self.at_word("view") && self.peek(1) == Tok::LParen;
        let list = self.at + usize::from(view);
        let closes = self.close[list] as usize;
        let is_function = view
            || self.tok() == Tok::LParen
                && closes > 0
                && self.tokens.get(closes + 1).is_some_and(|t| t.tok == Tok::LBrace);
        if !is_function {
            return Ok(StatementKind::Let { name, value: self.pipe(false)? });
        }
        if view {
            self.next();
        }
        let parameters = self.parameters_in_parentheses()?;
        let body = self.body()?;
        Ok(StatementKind::Function { name, function: Function { view, parameters, body } })
    }

    /// `{ statements }`.
    fn body(&mut self) -> Parsed<Vec<Statement>> {
        let open = self.at;
        self.expect(Tok::LBrace)?;
        let body = self.deeper(|p| Ok(p.statements(Tok::RBrace)))?;
        self.expect_close(Tok::RBrace, open)?;
        Ok(body)
    }

    /// `( statements )`, of `macro-expand`.
    pub(super) fn parenthesized_statements(&mut self) -> Parsed<Vec<Statement>> {
        let open = self.at;
        self.expect(Tok::LParen)?;
        let body = self.deeper(|p| Ok(p.statements(Tok::RParen)))?;
        self.expect_close(Tok::RParen, open)?;
        Ok(body)
    }

    /// `(name:type = default, …)`.
    pub(super) fn parameters_in_parentheses(&mut self) -> Parsed<Vec<Parameter>> {
        let open = self.at;
        self.expect(Tok::LParen)?;
        let list = self.list_until(Tok::RParen, Self::parameter)?;
        self.expect_close(Tok::RParen, open)?;
        Ok(list)
    }

    fn parameter(&mut self) -> Parsed<Parameter> {
        let name = self.name()?;
        self.expect(Tok::Colon)?;
        let ty = if self.tok() == Tok::LParen {
            if self.peek(1) == Tok::Star && self.peek(2) == Tok::RParen {
                self.next();
                self.next();
                self.next();
                ParameterType::Table(Vec::new())
            } else {
                ParameterType::Table(self.schema()?)
            }
        } else {
            ParameterType::Scalar(self.type_name()?)
        };
        let default = if self.eat(Tok::Assign) { Some(self.expression()?) } else { None };
        Ok(Parameter { name, ty, default })
    }

    /// A type's name.
    pub(super) fn type_name(&mut self) -> Parsed<Node<Type>> {
        if self.tok() != Tok::Word {
            return self.expected("a type");
        }
        let Some(ty) = declared_type(self.here()) else {
            let known = [
                "bool", "int", "long", "real", "decimal", "datetime", "timespan", "guid", "string", "dynamic",
            ];
            let d = Diagnostic::error("unknown-type", format!("there is no type `{}`", self.here()))
                .at(self.span());
            let d = match tercel_ir::diag::nearest(self.here(), known) {
                Some(k) => d.help(format!("did you mean `{k}`?")),
                None => d.help(format!("types are {}", known.join(", "))),
            };
            self.report(d);
            let span = self.next().span;
            return Ok(Node::new(Type::Dynamic, span));
        };
        Ok(Node::new(ty, self.next().span))
    }

    /// `(name:type, …)`.
    pub(super) fn schema(&mut self) -> Parsed<Vec<ColumnDecl>> {
        let open = self.at;
        self.expect(Tok::LParen)?;
        // A comma before the first column is in the grammar, and harmless.
        self.eat(Tok::Comma);
        let columns = self.list_until(Tok::RParen, |p| {
            let name = p.name()?;
            p.expect(Tok::Colon)?;
            Ok(ColumnDecl { name, ty: Some(p.type_name()?) })
        })?;
        self.expect_close(Tok::RParen, open)?;
        Ok(columns)
    }

    /// `name` or `name:type`.
    pub(super) fn loose_column(&mut self) -> Parsed<ColumnDecl> {
        let name = self.name()?;
        let ty = if self.eat(Tok::Colon) { Some(self.type_name()?) } else { None };
        Ok(ColumnDecl { name, ty })
    }

    fn pattern(&mut self) -> Parsed<Pattern> {
        let name = self.name()?;
        let mut pattern =
            Pattern { name, parameters: Vec::new(), path: None, rules: Vec::new(), defined: false };
        if !self.eat(Tok::Assign) {
            return Ok(pattern);
        }
        pattern.defined = true;
        pattern.parameters = self.parameters_in_parentheses()?;
        if self.tok() == Tok::LBracket {
            let open = self.at;
            self.next();
            pattern.path = Some(self.parameter()?);
            self.expect_close(Tok::RBracket, open)?;
        }
        let open = self.at;
        self.expect(Tok::LBrace)?;
        while self.tok() == Tok::LParen {
            let args = self.at;
            self.next();
            let arguments = self.list_until(Tok::RParen, Self::expression)?;
            self.expect_close(Tok::RParen, args)?;
            let path = if self.eat(Tok::Dot) {
                let at = self.at;
                self.expect(Tok::LBracket)?;
                let value = self.expression()?;
                self.expect_close(Tok::RBracket, at)?;
                Some(value)
            } else {
                None
            };
            self.expect(Tok::Assign)?;
            let body = self.body()?;
            while self.eat(Tok::Semi) {}
            pattern.rules.push(PatternRule { arguments, path, body });
        }
        self.expect_close(Tok::RBrace, open)?;
        Ok(pattern)
    }

    /// The place of an expression that could not be read.
    pub(super) fn error_expr(span: Span) -> crate::ast::Expr {
        Node::new(ExprKind::Error, span)
    }
}
