//! Expressions.

use super::{Parsed, Parser};
use crate::ast::{
    Argument, ArithmeticOp, Call, ColumnDecl, CompareOp, DataTable, Expr, ExprKind, ExternalData,
    InlineTable, Json, ListOp, Literal, NamedExpr, Node, Pipeline, QueryParameter, SortKey, Step, StringOp,
};
use crate::literal::{self, typed_literal_type};
use crate::token::Tok;
use std::sync::Arc;
use tercel_ir::{Diagnostic, Name, Span};

/// A binary operator, and how tightly it binds. Note that string operators bind tighter than `*`.
#[derive(Clone, Copy, PartialEq)]
enum Op {
    Or,
    And,
    Compare(CompareOp),
    List(ListOp),
    Between(bool),
    Arithmetic(ArithmeticOp),
    Str(StringOp),
}

const OR: u8 = 1;
const AND: u8 = 2;
const EQUALITY: u8 = 3;
const RELATIONAL: u8 = 4;
const ADDITIVE: u8 = 5;
const MULTIPLICATIVE: u8 = 6;
const STRING: u8 = 7;

impl Op {
    fn level(self) -> u8 {
        match self {
            Op::Or => OR,
            Op::And => AND,
            Op::Compare(CompareOp::Eq | CompareOp::Ne) | Op::List(_) | Op::Between(_) => EQUALITY,
            Op::Compare(_) => RELATIONAL,
            Op::Arithmetic(ArithmeticOp::Add | ArithmeticOp::Subtract) => ADDITIVE,
            Op::Arithmetic(_) => MULTIPLICATIVE,
            Op::Str(_) => STRING,
        }
    }
}

/// What an operand has become while operators are added to it.
#[derive(Clone, Copy, PartialEq)]
enum Fresh {
    No,
    Chain(u8),
}

impl Parser<'_> {
    /// A scalar expression, or a table's name.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.binary(OR)
    }

    /// An expression that may be a whole pipeline. `in_list`: a comma may follow.
    pub(super) fn pipe(&mut self, in_list: bool) -> Parsed<Expr> {
        let start = self.span();
        let (source, mut operators) = if self.at_head_operator() {
            (None, vec![self.operator_or_error(in_list)?])
        } else {
            let source = self.expression()?;
            if self.tok() != Tok::Pipe {
                return Ok(source);
            }
            (Some(source), Vec::new())
        };
        self.operators(&mut operators, in_list)?;
        Ok(Node::new(
            ExprKind::Pipeline(Box::new(Pipeline { source, operators })),
            start.to(self.last_span()),
        ))
    }

    /// `(operator | operator …)` or `{ … }`: what `fork`, `mv-apply` and `partition` take. The current
    /// token is the opening bracket. A source of its own is allowed too.
    pub(super) fn subquery(&mut self) -> Parsed<Pipeline> {
        let open = self.at;
        let closing = match self.tok() {
            Tok::LParen => Tok::RParen,
            Tok::LBrace => Tok::RBrace,
            _ => return self.expected("`(`"),
        };
        self.next();
        let pipeline = self.deeper(|p| {
            p.eat(Tok::Pipe);
            if p.at_operator() {
                let mut operators = vec![p.operator_or_error(false)?];
                p.operators(&mut operators, false)?;
                return Ok(Pipeline { source: None, operators });
            }
            let e = p.pipe(false)?;
            Ok(match e.node {
                ExprKind::Pipeline(inner) => *inner,
                other => Pipeline { source: Some(Node::new(other, e.span)), operators: Vec::new() },
            })
        })?;
        self.expect_close(closing, open)?;
        Ok(pipeline)
    }

    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        self.deeper(|p| p.binary_inner(least))
    }

    fn binary_inner(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        let mut fresh = Fresh::No;
        // Left-nested operators (`a has b has c`) make the tree deeper; they have no long chains.
        let mut nested = 0;
        while let Some((op, tokens)) = self.binary_operator() {
            let level = op.level();
            if level < least {
                break;
            }
            let op_span = self.span().to(self.tokens[self.at + tokens - 1].span);
            for _ in 0..tokens {
                self.next();
            }
            left = match op {
                Op::Or | Op::And => {
                    let right = self.binary(level + 1)?;
                    join_chain(left, right, op == Op::Or, fresh == Fresh::Chain(level))
                }
                Op::Arithmetic(a) => {
                    let right = self.binary(level + 1)?;
                    arithmetic(left, Node::new(a, op_span), right, fresh == Fresh::Chain(level))
                }
                _ => {
                    nested += 1;
                    if nested > 50 {
                        let d = Diagnostic::error("nesting-too-deep", "too many comparisons in one chain")
                            .at(op_span);
                        self.report(d);
                        return Err(super::Stop);
                    }
                    self.comparison(left, op, op_span, level)?
                }
            };
            fresh = match op {
                Op::Or | Op::And | Op::Arithmetic(_) => Fresh::Chain(level),
                _ => Fresh::No,
            };
        }
        Ok(left)
    }

    fn comparison(&mut self, left: Expr, op: Op, op_span: Span, level: u8) -> Parsed<Expr> {
        let start = left.span;
        let left = Box::new(left);
        let kind = match op {
            Op::Compare(c) => {
                let right = Box::new(self.binary(level + 1)?);
                ExprKind::Compare { op: Node::new(c, op_span), left, right }
            }
            Op::Str(s) => {
                let right = Box::new(self.unary()?);
                ExprKind::StringOp { op: Node::new(s, op_span), left, right }
            }
            Op::List(l) => {
                let items = self.list_operand()?;
                ExprKind::List { op: Node::new(l, op_span), left, items }
            }
            Op::Between(negated) => {
                if self.tok() != Tok::LParen {
                    return self.expected("`(`");
                }
                let (ends, span) = self.bracketed(|p| {
                    let low = p.expression()?;
                    p.expect(Tok::DotDot)?;
                    Ok((low, p.expression()?))
                })?;
                match ends {
                    Some((low, high)) => ExprKind::Between {
                        negated: Node::new(negated, op_span),
                        value: left,
                        low: Box::new(low),
                        high: Box::new(high),
                    },
                    None => return Ok(Self::error_expr(start.to(span))),
                }
            }
            Op::Or | Op::And | Op::Arithmetic(_) => ExprKind::Error,
        };
        Ok(Node::new(kind, start.to(self.last_span())))
    }

    /// What stands behind `in`: a list or a query in parentheses.
    fn list_operand(&mut self) -> Parsed<Vec<Expr>> {
        if self.tok() != Tok::LParen {
            // A name without parentheses is not in the grammar, but the service reads it.
            return Ok(vec![self.unary()?]);
        }
        let (items, span) = self.bracketed(|p| p.list_until(Tok::RParen, |p| p.deeper(|p| p.pipe(true))))?;
        Ok(items.unwrap_or_else(|| vec![Self::error_expr(span)]))
    }

    /// The binary operator here and how many tokens it takes.
    fn binary_operator(&self) -> Option<(Op, usize)> {
        Some(match self.tok() {
            Tok::Word => match self.here() {
                "or" => (Op::Or, 1),
                "and" => (Op::And, 1),
                "between" => (Op::Between(false), 1),
                "matches" if self.word(1) == "regex" => (Op::Str(StringOp::MatchesRegex), 2),
                w => match ListOp::from_word(w) {
                    Some(l) => (Op::List(l), 1),
                    None => (Op::Str(StringOp::from_word(w)?), 1),
                },
            },
            Tok::BangWord => match self.here() {
                "!between" => (Op::Between(true), 1),
                w => match ListOp::from_word(w) {
                    Some(l) => (Op::List(l), 1),
                    None => (Op::Str(StringOp::from_word(w)?), 1),
                },
            },
            Tok::EqEq => (Op::Compare(CompareOp::Eq), 1),
            Tok::NotEq | Tok::LtGt => (Op::Compare(CompareOp::Ne), 1),
            Tok::Lt => (Op::Compare(CompareOp::Lt), 1),
            Tok::Le => (Op::Compare(CompareOp::Le), 1),
            Tok::Gt => (Op::Compare(CompareOp::Gt), 1),
            Tok::Ge => (Op::Compare(CompareOp::Ge), 1),
            Tok::EqTilde => (Op::Str(StringOp::EqTilde), 1),
            Tok::NotTilde => (Op::Str(StringOp::NotTilde), 1),
            Tok::Colon => (Op::Str(StringOp::Colon), 1),
            Tok::Plus => (Op::Arithmetic(ArithmeticOp::Add), 1),
            Tok::Minus => (Op::Arithmetic(ArithmeticOp::Subtract), 1),
            Tok::Star => (Op::Arithmetic(ArithmeticOp::Multiply), 1),
            Tok::Slash => (Op::Arithmetic(ArithmeticOp::Divide), 1),
            Tok::Percent => (Op::Arithmetic(ArithmeticOp::Modulo), 1),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let negative = match self.tok() {
            Tok::Minus => true,
            Tok::Plus => false,
            _ => return self.postfix(false),
        };
        let start = self.next().span;
        // The one literal whose absolute value does not fit.
        if negative && self.tok() == Tok::Long && self.here() == "9223372036854775808" {
            let span = start.to(self.next().span);
            return Ok(Node::new(ExprKind::Literal(Literal::Long(i64::MIN)), span));
        }
        let operand = self.postfix(false)?;
        let span = start.to(operand.span);
        Ok(Node::new(ExprKind::Sign { negative, operand: Box::new(operand) }, span))
    }

    /// A primary with its path. `wild`: a last step with `*` is a pattern of tables.
    pub(super) fn postfix(&mut self, wild: bool) -> Parsed<Expr> {
        let base = self.primary()?;
        if !matches!(self.tok(), Tok::Dot | Tok::LBracket) {
            return Ok(base);
        }
        let mut steps = Vec::new();
        loop {
            match self.tok() {
                Tok::Dot => {
                    self.next();
                    if wild && let Some(w) = self.wildcard() {
                        steps.push(Step::Wildcard(w));
                    } else if self.tok() == Tok::Word && self.peek(1) == Tok::LParen {
                        let call = self.call()?;
                        steps.push(Step::Call(call));
                    } else if self.tok() == Tok::LBracket && !self.at_name() {
                        steps.push(Step::Index(self.index()?));
                    } else {
                        steps.push(Step::Member(self.name()?));
                    }
                }
                Tok::LBracket => steps.push(Step::Index(self.index()?)),
                _ => break,
            }
        }
        let span = base.span.to(self.last_span());
        Ok(Node::new(ExprKind::Path { base: Box::new(base), steps }, span))
    }

    /// `[expression]`.
    fn index(&mut self) -> Parsed<Expr> {
        let (inner, span) = self.bracketed(Self::expression)?;
        Ok(inner.unwrap_or_else(|| Self::error_expr(span)))
    }

    fn primary(&mut self) -> Parsed<Expr> {
        match self.tok() {
            Tok::Word => self.word_primary(),
            Tok::Str | Tok::Long | Tok::Real | Tok::Timespan | Tok::Typed => self.literal(),
            Tok::Guid => {
                let text = self.name_here();
                let span = self.next().span;
                Ok(Node::new(ExprKind::Literal(Literal::Typed(tercel_ir::Type::Guid, text)), span))
            }
            Tok::LParen => self.parenthesized(),
            Tok::LBracket if self.at_name() => {
                let n = self.name()?;
                Ok(Node::new(ExprKind::Name(n.node), n.span))
            }
            Tok::Star => Ok(Node::new(ExprKind::Star, self.next().span)),
            _ => self.expected("an expression"),
        }
    }

    fn parenthesized(&mut self) -> Parsed<Expr> {
        let (inner, span) = self.bracketed(|p| p.deeper(|p| p.pipe(false)))?;
        Ok(inner.unwrap_or_else(|| Self::error_expr(span)))
    }

    fn word_primary(&mut self) -> Parsed<Expr> {
        let word = self.here();
        let call = self.peek(1) == Tok::LParen;
        match word {
            "true" | "True" | "TRUE" if !call => {
                Ok(Node::new(ExprKind::Literal(Literal::Bool(true)), self.next().span))
            }
            "false" | "False" | "FALSE" if !call => {
                Ok(Node::new(ExprKind::Literal(Literal::Bool(false)), self.next().span))
            }
            "dynamic" if call => self.dynamic(),
            "datatable" if call || self.peek(2) == Tok::Assign => self.datatable(),
            "externaldata" | "external_data" if call || self.peek(2) == Tok::Assign => self.externaldata(),
            "inline_external_table" if call || self.word(1) == "kind" => self.inline_table(),
            "entity_group" if self.peek(1) == Tok::LBracket => {
                let start = self.next().span;
                let (list, span) = self.bracketed(|p| p.list_until(Tok::RBracket, Self::expression))?;
                Ok(match list {
                    Some(l) => Node::new(ExprKind::EntityGroup(l), start.to(span)),
                    None => Self::error_expr(start.to(span)),
                })
            }
            "toscalar" | "totable" if self.word(1) == "kind" => {
                let name = self.name()?;
                let parameters = self.parameters(&["kind"])?;
                let mut call = self.call_behind(name)?;
                call.node.parameters = parameters;
                Ok(Node::new(ExprKind::Call(call.node), call.span))
            }
            _ if call => {
                let call = self.call()?;
                Ok(Node::new(ExprKind::Call(call.node), call.span))
            }
            "and" | "or" | "by" => self.expected("an expression"),
            w if self.binary_operator().is_some() && !matches!(w, "has" | "contains" | "like") => {
                self.expected("an expression")
            }
            _ => {
                let n = self.name()?;
                Ok(Node::new(ExprKind::Name(n.node), n.span))
            }
        }
    }

    /// `name(arguments)`.
    pub(super) fn call(&mut self) -> Parsed<Node<Call>> {
        let name = self.name()?;
        self.call_behind(name)
    }

    fn call_behind(&mut self, name: Node<Name>) -> Parsed<Node<Call>> {
        if self.tok() != Tok::LParen {
            return self.expected("`(`");
        }
        let (arguments, span) =
            self.bracketed(|p| p.list_until(Tok::RParen, |p| p.deeper(Self::argument)))?;
        let arguments =
            arguments.unwrap_or_else(|| vec![Argument { name: None, value: Self::error_expr(span) }]);
        let span = name.span.to(span);
        Ok(Node::new(Call { name, parameters: Vec::new(), arguments }, span))
    }

    fn argument(&mut self) -> Parsed<Argument> {
        let name = if self.at_name() && self.peek(self.name_length()) == Tok::Assign {
            let name = self.name()?;
            self.next();
            Some(name)
        } else {
            None
        };
        let value = if self.tok() == Tok::Star && matches!(self.peek(1), Tok::Comma | Tok::RParen) {
            Node::new(ExprKind::Star, self.next().span)
        } else if self.tok() == Tok::Word
            && self.peek(1) == Tok::Star
            && self.adjacent(self.at)
            && self.ends_as_wildcard()
        {
            // `bag_pack_columns(Name*)` and the like: a pattern, when nothing is multiplied.
            self.name_or_wildcard()?
        } else {
            self.pipe(true)?
        };
        Ok(Argument { name, value })
    }

    /// Whether `word*` here ends an argument.
    fn ends_as_wildcard(&self) -> bool {
        matches!(self.peek(2), Tok::Comma | Tok::RParen)
    }

    /// `[name =] value`, or `(name, …) = value`.
    pub(super) fn named(&mut self) -> Parsed<NamedExpr> {
        let mut names = Vec::new();
        if self.at_name() && self.peek(self.name_length()) == Tok::Assign {
            names.push(self.name()?);
            self.next();
        } else if self.tok() == Tok::LParen {
            let close = self.close[self.at] as usize;
            if close > 0 && self.tokens.get(close + 1).is_some_and(|t| t.tok == Tok::Assign) {
                let open = self.at;
                self.next();
                names = self.list_until(Tok::RParen, Self::name)?;
                self.expect_close(Tok::RParen, open)?;
                self.next();
            }
        }
        Ok(NamedExpr { names, value: self.expression()? })
    }

    /// `[name =] value [asc|desc] [nulls first|last]`.
    pub(super) fn sort_key(&mut self) -> Parsed<SortKey> {
        let value = self.named()?;
        let ascending = if self.eat_word("asc") {
            Some(true)
        } else if self.eat_word("desc") {
            Some(false)
        } else {
            None
        };
        let mut nulls_first = None;
        if self.eat_word("nulls") {
            nulls_first = Some(if self.eat_word("first") {
                true
            } else {
                self.expect_word("last")?;
                false
            });
        }
        Ok(SortKey { value, ascending, nulls_first })
    }

    /// A table where tables are listed: a name, a pattern, a call, a query in parentheses.
    pub(super) fn table_source(&mut self) -> Parsed<Expr> {
        if let Some(w) = self.wildcard() {
            return Ok(Node::new(ExprKind::Wildcard(w.node), w.span));
        }
        self.postfix(true)
    }

    pub(super) fn literal(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let literal = self.literal_value()?;
        Ok(Node::new(ExprKind::Literal(literal), span.to(self.last_span())))
    }

    fn literal_value(&mut self) -> Parsed<Literal> {
        let text = self.here();
        let span = self.span();
        Ok(match self.tok() {
            Tok::Str => return Ok(self.string()),
            Tok::Long => {
                let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                    Some(hex) => u64::from_str_radix(hex, 16).ok().map(|v| v as i64),
                    None => text.parse().ok(),
                };
                self.next();
                match value {
                    Some(v) => Literal::Long(v),
                    None => {
                        let d = Diagnostic::error(
                            "number-out-of-range",
                            format!("`{text}` does not fit into 64 bits"),
                        )
                        .at(span)
                        .help("a larger number is written as a real (with a `.`) or as decimal(…)");
                        self.report(d);
                        Literal::Long(0)
                    }
                }
            }
            Tok::Real => {
                self.next();
                // The lexer hands over only digits, a dot and an exponent; all of that is a float.
                Literal::Real(text.parse().unwrap_or(0.0))
            }
            Tok::Timespan => {
                self.next();
                if literal::timespan_literal(text).is_none() {
                    let d = Diagnostic::error(
                        "number-out-of-range",
                        format!("`{text}` is longer than a timespan can be"),
                    );
                    self.report(d.at(span));
                }
                Literal::Timespan(Arc::from(text))
            }
            Tok::Typed => {
                self.next();
                return self.typed(text, span);
            }
            Tok::Word if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => {
                self.next();
                Literal::Bool(text.eq_ignore_ascii_case("true"))
            }
            _ => return self.expected("a literal"),
        })
    }

    fn typed(&mut self, text: &str, span: Span) -> Parsed<Literal> {
        let (name, inside) = text.split_once('(').unwrap_or((text, ""));
        let (name, inside) = (name.trim_end(), inside.strip_suffix(')').unwrap_or(inside).trim());
        if name == "typeof" {
            return Ok(Literal::TypeOf(Arc::from(inside)));
        }
        let Some(ty) = typed_literal_type(name) else {
            return self.expected("a literal");
        };
        if literal::typed_literal(ty, inside).is_none()
            && !(ty == tercel_ir::Type::DateTime && literal::is_clock(inside))
        {
            let d = Diagnostic::warning("bad-literal", format!("`{inside}` is no {ty}"))
                .at(span)
                .label(format!("a literal of type {ty}"))
                .meaning("it reads as null")
                .help(format!("to convert a value to this type, call `to{ty}(…)`"));
            self.report(d);
        }
        Ok(Literal::Typed(ty, Arc::from(inside)))
    }

    /// One string, or several side by side, which count as one.
    pub(super) fn string(&mut self) -> Literal {
        let mut value = String::new();
        let mut hidden = false;
        while self.tok() == Tok::Str {
            let raw = self.here();
            hidden |= literal::is_hidden(raw);
            let (part, unknown) = literal::string_value(raw);
            let start = self.span().start as usize;
            if let Some(&(at, len)) = unknown.first() {
                let d = Diagnostic::warning(
                    "unknown-escape",
                    format!("`{}` is no escape sequence", &raw[at..at + len]),
                )
                .at(Span::new(start + at, start + at + len))
                .meaning("Kusto refuses this string; here the backslash stands for itself")
                .help("double the backslash, or put `@` before the opening quote");
                self.report(d);
            }
            value.push_str(&part);
            self.next();
        }
        Literal::String { value: value.into(), hidden }
    }

    fn dynamic(&mut self) -> Parsed<Expr> {
        let start = self.next().span;
        let (json, span) = self.bracketed(Self::json)?;
        Ok(match json {
            Some(j) => Node::new(ExprKind::Literal(Literal::Dynamic(Box::new(j))), start.to(span)),
            None => Self::error_expr(start.to(span)),
        })
    }

    fn json(&mut self) -> Parsed<Node<Json>> {
        self.deeper(Self::json_inner)
    }

    fn json_inner(&mut self) -> Parsed<Node<Json>> {
        let start = self.span();
        let kind = match self.tok() {
            Tok::LBracket => {
                let open = self.at;
                self.next();
                let items = self.list_until(Tok::RBracket, Self::json)?;
                self.expect_close(Tok::RBracket, open)?;
                Json::Array(items)
            }
            Tok::LBrace => {
                let open = self.at;
                self.next();
                let pairs = self.list_until(Tok::RBrace, |p| {
                    let span = p.span();
                    let key = match p.tok() {
                        Tok::Str => match p.string() {
                            Literal::String { value, .. } => value,
                            _ => Arc::from(""),
                        },
                        // Bare keys are not JSON, but the service reads them.
                        Tok::Word => {
                            let n = p.name_here();
                            p.next();
                            n
                        }
                        _ => return p.expected("a key in quotes"),
                    };
                    let key = Node::new(key, span.to(p.last_span()));
                    p.expect(Tok::Colon)?;
                    Ok((key, p.json()?))
                })?;
                self.expect_close(Tok::RBrace, open)?;
                Json::Object(pairs)
            }
            Tok::Word if self.at_word("null") => {
                self.next();
                Json::Null
            }
            Tok::Word if self.at_word("dynamic") && self.peek(1) == Tok::LParen => {
                let open = self.at + 1;
                self.next();
                self.next();
                let inner = self.json()?;
                self.expect_close(Tok::RParen, open)?;
                return Ok(inner);
            }
            Tok::Minus | Tok::Plus if matches!(self.peek(1), Tok::Long | Tok::Real) => {
                let negative = self.next().tok == Tok::Minus;
                match self.literal_value()? {
                    Literal::Long(n) if negative => Json::Scalar(Literal::Long(-n)),
                    Literal::Real(r) if negative => Json::Scalar(Literal::Real(-r)),
                    other => Json::Scalar(other),
                }
            }
            _ => Json::Scalar(self.literal_value()?),
        };
        Ok(Node::new(kind, start.to(self.last_span())))
    }

    fn datatable(&mut self) -> Parsed<Expr> {
        let start = self.next().span;
        // Parameters are in the grammar; none is documented, none changes the rows.
        self.parameters(&[])?;
        let schema = self.schema()?;
        if self.tok() != Tok::LBracket {
            return self.expected("`[`");
        }
        let (values, span) = self.bracketed(|p| {
            p.eat(Tok::Comma);
            p.list_until(Tok::RBracket, Self::expression)
        })?;
        let Some(values) = values else { return Ok(Self::error_expr(start.to(span))) };
        Ok(Node::new(ExprKind::DataTable(Box::new(DataTable { schema, values })), start.to(span)))
    }

    fn externaldata(&mut self) -> Parsed<Expr> {
        let start = self.next().span;
        self.parameters(&[])?;
        let schema: Vec<ColumnDecl> = self.schema()?;
        if self.tok() != Tok::LBracket {
            return self.expected("`[`");
        }
        let (uris, span) = self.bracketed(|p| p.list_until(Tok::RBracket, Self::expression))?;
        let mut end = span;
        let mut properties = Vec::new();
        if self.at_word("with") {
            self.next();
            properties = self.properties()?;
            end = self.last_span();
        }
        let Some(uris) = uris else { return Ok(Self::error_expr(start.to(end))) };
        let data = ExternalData { schema, uris, properties, inline: None };
        Ok(Node::new(ExprKind::ExternalData(Box::new(data)), start.to(end)))
    }

    fn inline_table(&mut self) -> Parsed<Expr> {
        let start = self.next().span;
        let schema = if self.tok() == Tok::LParen { self.schema()? } else { Vec::new() };
        let mut inline =
            InlineTable { parameters: Vec::new(), partition: Vec::new(), path_format: Vec::new() };
        loop {
            if self.at_word("partition") && self.word(1) == "by" {
                self.next();
                self.next();
                inline.partition = self.parameters_in_parentheses()?;
            } else if self.at_word("pathformat") && self.peek(1) == Tok::Assign {
                self.next();
                self.next();
                let open = self.at;
                self.expect(Tok::LParen)?;
                while !matches!(self.tok(), Tok::RParen | Tok::Eof) {
                    inline.path_format.push(self.postfix(false)?);
                }
                self.expect_close(Tok::RParen, open)?;
            } else {
                let more = self.parameters(&["kind", "dataformat"])?;
                if more.is_empty() {
                    break;
                }
                inline.parameters.extend(more);
            }
        }
        let open = self.at;
        self.expect(Tok::LParen)?;
        let uris = self.list_until(Tok::RParen, Self::expression)?;
        self.expect_close(Tok::RParen, open)?;
        let properties = if self.eat_word("with") { self.properties()? } else { Vec::new() };
        let data = ExternalData { schema, uris, properties, inline: Some(inline) };
        Ok(Node::new(ExprKind::ExternalData(Box::new(data)), start.to(self.last_span())))
    }

    /// `(name = value, …)`.
    pub(super) fn properties(&mut self) -> Parsed<Vec<QueryParameter>> {
        let open = self.at;
        self.expect(Tok::LParen)?;
        let list = self.list_until(Tok::RParen, |p| {
            let name = p.dotted_name()?;
            p.expect(Tok::Assign)?;
            let mut values = vec![p.parameter_value()?];
            // `ycolumns = a, b`: a list goes on while no further property begins.
            while p.tok() == Tok::Comma && p.continues_list() {
                p.next();
                values.push(p.parameter_value()?);
            }
            Ok(QueryParameter { name, values })
        })?;
        self.expect_close(Tok::RParen, open)?;
        Ok(list)
    }

    /// Whether behind the comma here stands a value and not `name =` or the end.
    fn continues_list(&self) -> bool {
        match self.peek(1) {
            Tok::Word => self.peek(2) != Tok::Assign && self.peek(2) != Tok::Dot,
            Tok::LBracket => self.peek(4) != Tok::Assign,
            Tok::Str | Tok::Long | Tok::Real => true,
            _ => false,
        }
    }
}

fn join_chain(left: Expr, right: Expr, or: bool, extend: bool) -> Expr {
    let span = left.span.to(right.span);
    let items = match left.node {
        ExprKind::Or(mut items) if or && extend => {
            items.push(right);
            items
        }
        ExprKind::And(mut items) if !or && extend => {
            items.push(right);
            items
        }
        other => vec![Node::new(other, left.span), right],
    };
    Node::new(if or { ExprKind::Or(items) } else { ExprKind::And(items) }, span)
}

fn arithmetic(left: Expr, op: Node<ArithmeticOp>, right: Expr, extend: bool) -> Expr {
    let span = left.span.to(right.span);
    match left.node {
        ExprKind::Arithmetic { first, mut rest } if extend => {
            rest.push((op, right));
            Node::new(ExprKind::Arithmetic { first, rest }, span)
        }
        other => {
            let first = Box::new(Node::new(other, left.span));
            Node::new(ExprKind::Arithmetic { first, rest: vec![(op, right)] }, span)
        }
    }
}
