//! Tabular operators: the pipeline, parameters, and the common operators.

use super::{Parsed, Parser, Stop};
use crate::ast::{
    Expr, ExprKind, Ident, Join, Node, Operator, OperatorKind, QueryParameter, ReorderBy, Summarize,
};
use crate::token::Tok;
use std::sync::Arc;
use tercel_ir::{Diagnostic, Name};

/// Every operator's name.
pub(crate) const OPERATORS: &[&str] = &[
    "as",
    "assert-schema",
    "consume",
    "count",
    "distinct",
    "evaluate",
    "execute-and-cache",
    "__executeAndCache",
    "extend",
    "facet",
    "filter",
    "find",
    "fork",
    "getschema",
    "graph-mark-components",
    "graph-match",
    "graph-shortest-paths",
    "graph-to-table",
    "graph-where-edges",
    "graph-where-nodes",
    "invoke",
    "join",
    "limit",
    "lookup",
    "macro-expand",
    "make-graph",
    "make-series",
    "mv-apply",
    "mv-expand",
    "mvapply",
    "mvexpand",
    "order",
    "parse",
    "parse-kv",
    "parse-where",
    "partition",
    "print",
    "project",
    "project-away",
    "project-by-names",
    "project-keep",
    "project-rename",
    "project-reorder",
    "range",
    "reduce",
    "render",
    "sample",
    "sample-distinct",
    "scan",
    "search",
    "serialize",
    "sort",
    "summarize",
    "take",
    "top",
    "top-hitters",
    "top-nested",
    "union",
    "where",
];

/// Parameters that every operator takes, undocumented; the service's own tools write them.
pub(crate) const INTERNAL: &[&str] = &[
    "__crossCluster",
    "__crossDB",
    "__id",
    "__isFuzzy",
    "__noWithSource",
    "__packedColumn",
    "__sourceColumnIndex",
];

impl Parser<'_> {
    /// Whether an operator that makes its own input begins here.
    pub(super) fn at_head_operator(&self) -> bool {
        let operand = || {
            matches!(
                self.peek(1),
                Tok::Word
                    | Tok::Str
                    | Tok::LParen
                    | Tok::LBracket
                    | Tok::Star
                    | Tok::Typed
                    | Tok::Long
                    | Tok::Real
            ) || matches!(self.peek(1), Tok::Timespan | Tok::Minus | Tok::Guid)
        };
        match self.word(0) {
            "print" => operand(),
            "union" | "search" | "find" => operand() && self.peek(1) != Tok::Minus,
            "evaluate" => self.peek(1) == Tok::Word,
            "range" => self.word(2) == "from" || self.peek(1) == Tok::LBracket && self.word(4) == "from",
            "macro" => self.peek(1) == Tok::Minus && self.word(2) == "expand",
            _ => false,
        }
    }

    /// Whether some operator begins here, for places that take operators without a source.
    pub(super) fn at_operator(&self) -> bool {
        let (name, tokens) = self.operator_name();
        if !OPERATORS.contains(&name.as_str()) {
            return false;
        }
        // A table may have an operator's name; then a pipe or the end follows.
        let bare = matches!(
            name.as_str(),
            "count" | "getschema" | "consume" | "execute-and-cache" | "__executeAndCache"
        );
        bare || !matches!(
            self.peek(tokens),
            Tok::Pipe | Tok::RParen | Tok::RBrace | Tok::Semi | Tok::Eof | Tok::Dot
        )
    }

    /// The operator's name here, hyphens included, and how many tokens it takes.
    fn operator_name(&self) -> (String, usize) {
        let mut name = self.word(0).to_string();
        let mut tokens = 1;
        while self.peek(tokens) == Tok::Minus
            && self.peek(tokens + 1) == Tok::Word
            && self.adjacent(self.at + tokens - 1)
            && self.adjacent(self.at + tokens)
        {
            name.push('-');
            name.push_str(self.word(tokens + 1));
            tokens += 2;
        }
        (name, tokens)
    }

    /// `| operator` until there is no more.
    pub(super) fn operators(&mut self, into: &mut Vec<Operator>, in_list: bool) -> Parsed<()> {
        while self.eat(Tok::Pipe) {
            into.push(self.operator_or_error(in_list)?);
        }
        Ok(())
    }

    /// An operator; when it cannot be read, or something strange follows it, goes on at the next `|`.
    pub(super) fn operator_or_error(&mut self, in_list: bool) -> Parsed<Operator> {
        let start = self.span();
        let result = self.deeper(Self::operator);
        if self.fatal {
            return Err(Stop);
        }
        let operator = match result {
            Ok(kind) => {
                let operator = Node::new(kind, start.to(self.last_span()));
                let follows = matches!(
                    self.tok(),
                    Tok::Pipe | Tok::Semi | Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::Eof
                ) || in_list && self.tok() == Tok::Comma;
                // A statement that lacks its `;` is the statement's business.
                if follows || self.begins_line() && self.at_statement_start() {
                    return Ok(operator);
                }
                let d = self.unexpected();
                self.report(d);
                operator
            }
            Err(Stop) => Node::new(OperatorKind::Error, start),
        };
        self.skip_to(&[Tok::Pipe, Tok::Semi]);
        if self.fatal {
            return Err(Stop);
        }
        Ok(operator)
    }

    fn at_statement_start(&self) -> bool {
        match self.word(0) {
            "let" | "set" | "declare" | "restrict" | "alias" => self.peek(1) == Tok::Word,
            "" => false,
            // A name at the left margin, with a pipe behind it.
            _ => self.peek(1) == Tok::Pipe || self.at_head_operator(),
        }
    }

    fn operator(&mut self) -> Parsed<OperatorKind> {
        let (name, tokens) = self.operator_name();
        let known = OPERATORS.contains(&name.as_str());
        if !known {
            let span = self.span().to(self.tokens[self.at + tokens.max(1) - 1].span);
            if name.is_empty() {
                return self.expected("an operator");
            }
            let d = Diagnostic::error("unknown-operator", format!("there is no operator `{name}`")).at(span);
            let d = match tercel_ir::diag::nearest(&name, OPERATORS.iter().copied()) {
                Some(o) => d.help(format!("did you mean `{o}`?")),
                None => d,
            };
            self.report(d);
            return Err(Stop);
        }
        for _ in 0..tokens {
            self.next();
        }
        self.common_operator(&name)
    }

    fn common_operator(&mut self, name: &str) -> Parsed<OperatorKind> {
        Ok(match name {
            "where" | "filter" => {
                let parameters = self.parameters(&[])?;
                OperatorKind::Where { parameters, predicate: self.named()? }
            }
            "extend" => OperatorKind::Extend(self.list(Self::named)?),
            "project" => OperatorKind::Project(self.maybe_list(Self::named)?),
            "project-rename" => OperatorKind::ProjectRename(self.maybe_list(Self::named)?),
            "project-away" => OperatorKind::ProjectAway(self.maybe_list(Self::name_or_wildcard)?),
            "project-keep" => OperatorKind::ProjectKeep(self.list(Self::name_or_wildcard)?),
            "project-by-names" => OperatorKind::ProjectByNames(self.list(Self::column_reference)?),
            "project-reorder" => OperatorKind::ProjectReorder(self.maybe_list(Self::reorder_item)?),
            "print" => OperatorKind::Print(self.list(Self::named)?),
            "count" => {
                let name = if self.eat_word("as") { Some(self.name()?) } else { None };
                OperatorKind::Count(name)
            }
            "take" | "limit" => {
                let parameters = self.parameters(&[])?;
                OperatorKind::Take { parameters, count: self.expression()? }
            }
            "distinct" => {
                let parameters = self.parameters(&[])?;
                OperatorKind::Distinct { parameters, columns: self.list(Self::column_reference)? }
            }
            "sort" | "order" => {
                let parameters = self.parameters(&[])?;
                self.expect_word("by")?;
                OperatorKind::Sort { parameters, keys: self.list(Self::sort_key)? }
            }
            "top" => {
                let parameters = self.parameters(&[])?;
                let count = self.expression()?;
                self.expect_word("by")?;
                OperatorKind::Top { parameters, count, key: self.sort_key()? }
            }
            "summarize" => self.summarize()?,
            "join" | "lookup" => self.join(name == "lookup")?,
            "union" => {
                let parameters = self.parameters(&["kind", "isfuzzy", "withsource", "with_source"])?;
                OperatorKind::Union { parameters, tables: self.list(Self::union_leg)? }
            }
            "as" => {
                let parameters = self.parameters(&[])?;
                OperatorKind::As { parameters, name: self.name()? }
            }
            "getschema" => OperatorKind::GetSchema { parameters: self.parameters(&["kind"])? },
            "consume" => OperatorKind::Consume(self.parameters(&["decodeblocks"])?),
            "execute-and-cache" | "__executeAndCache" => OperatorKind::ExecuteAndCache,
            "serialize" => {
                let parameters = self.parameters(&[])?;
                OperatorKind::Serialize { parameters, columns: self.maybe_list(Self::named)? }
            }
            "invoke" => OperatorKind::Invoke(self.postfix(false)?),
            "range" => {
                let name = self.name()?;
                self.expect_word("from")?;
                let from = self.expression()?;
                self.expect_word("to")?;
                let to = self.expression()?;
                self.expect_word("step")?;
                OperatorKind::Range { name, from, to, step: self.expression()? }
            }
            _ => return self.rare_operator(name),
        })
    }

    /// A list that may be missing altogether.
    pub(super) fn maybe_list<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        match self.tok() {
            Tok::Pipe | Tok::Semi | Tok::RParen | Tok::RBrace | Tok::Eof => Ok(Vec::new()),
            _ => self.list(item),
        }
    }

    /// A column, a pattern of columns, or an expression.
    fn column_reference(&mut self) -> Parsed<Expr> {
        if self.tok() == Tok::Star
            && matches!(self.peek(1), Tok::Pipe | Tok::Semi | Tok::RParen | Tok::RBrace | Tok::Eof)
        {
            return Ok(Node::new(ExprKind::Star, self.next().span));
        }
        // `Device*` before a comma or the end is a pattern; elsewhere a product.
        let here = self.at;
        if let Some(w) = self.wildcard() {
            if matches!(self.tok(), Tok::Comma | Tok::Pipe | Tok::Semi | Tok::RParen | Tok::RBrace | Tok::Eof)
            {
                return Ok(Node::new(ExprKind::Wildcard(w.node), w.span));
            }
            self.at = here;
        }
        Ok(self.named()?.value)
    }

    fn reorder_item(&mut self) -> Parsed<(Expr, Option<ReorderBy>)> {
        let name = self.name_or_wildcard()?;
        let granny = self.at_word("granny") && self.peek(1) == Tok::Minus;
        let order = match (self.word(0), granny) {
            ("asc", _) => Some(ReorderBy::Asc),
            ("desc", _) => Some(ReorderBy::Desc),
            (_, true) if self.word(2) == "asc" => Some(ReorderBy::GrannyAsc),
            (_, true) if self.word(2) == "desc" => Some(ReorderBy::GrannyDesc),
            _ => None,
        };
        if order.is_some() {
            for _ in 0..if granny { 3 } else { 1 } {
                self.next();
            }
        }
        Ok((name, order))
    }

    fn union_leg(&mut self) -> Parsed<Expr> {
        self.table_source()
    }

    fn summarize(&mut self) -> Parsed<OperatorKind> {
        let parameters = self.parameters(&[])?;
        let aggregates = if self.at_word("by") && self.peek(1) != Tok::Assign {
            Vec::new()
        } else {
            self.maybe_list(Self::named)?
        };
        let grouped = self.eat_word("by");
        let mut by = Vec::new();
        let mut bin = None;
        if grouped {
            by = self.list(Self::named)?;
            if self.at_word("bin") && self.peek(1) == Tok::Assign {
                self.next();
                self.next();
                bin = Some(self.expression()?);
            }
        }
        Ok(OperatorKind::Summarize(Box::new(Summarize { parameters, aggregates, by, grouped, bin })))
    }

    fn join(&mut self, lookup: bool) -> Parsed<OperatorKind> {
        let parameters = self.parameters(&["kind", "withsource", "isfuzzy"])?;
        let right = self.postfix(false)?;
        let mut on = None;
        let mut predicate = None;
        if self.eat_word("on") {
            on = Some(self.list(Self::expression)?);
        } else if self.eat_word("where") {
            predicate = Some(self.expression()?);
        }
        Ok(OperatorKind::Join(Box::new(Join { lookup, parameters, right, on, predicate })))
    }

    /// `name=value` before an operator's own part: names in `allowed`, `hint.…`, and internal ones.
    pub(super) fn parameters(&mut self, allowed: &[&str]) -> Parsed<Vec<QueryParameter>> {
        let mut out = Vec::new();
        loop {
            let word = self.word(0);
            let dotted = word == "hint" && self.peek(1) == Tok::Dot;
            let plain = self.peek(1) == Tok::Assign && (allowed.contains(&word) || INTERNAL.contains(&word));
            if word.is_empty() || !(dotted || plain) {
                return Ok(out);
            }
            let name = self.dotted_name()?;
            self.expect(Tok::Assign)?;
            let values = vec![self.parameter_value()?];
            out.push(QueryParameter { name, values });
            // Some put commas between parameters.
            if self.tok() == Tok::Comma && self.word(1) == "hint" && self.peek(2) == Tok::Dot {
                self.next();
            }
        }
    }

    /// `name` or `name.name`.
    pub(super) fn dotted_name(&mut self) -> Parsed<Ident> {
        let first = self.name()?;
        if self.tok() != Tok::Dot {
            return Ok(first);
        }
        let mut text = first.node.to_string();
        let mut span = first.span;
        while self.eat(Tok::Dot) {
            let next = self.name()?;
            text.push('.');
            text.push_str(&next.node);
            span = span.to(next.span);
        }
        Ok(Node::new(Name::from(text), span))
    }

    /// The value of a parameter: a word or a literal.
    pub(super) fn parameter_value(&mut self) -> Parsed<Expr> {
        match self.tok() {
            Tok::Word if self.peek(1) != Tok::LParen || !matches!(self.here(), "dynamic") => {
                let text = self.here();
                if matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") {
                    return self.literal();
                }
                let name: Name = Arc::from(text);
                Ok(Node::new(ExprKind::Name(name), self.next().span))
            }
            _ => self.expression_for_parameter(),
        }
    }

    /// A literal, possibly signed, or a quoted name: nothing that could run into what follows.
    fn expression_for_parameter(&mut self) -> Parsed<Expr> {
        match self.tok() {
            Tok::Minus | Tok::Plus => {
                let start = self.span();
                let negative = self.next().tok == Tok::Minus;
                let operand = self.literal()?;
                Ok(Node::new(
                    ExprKind::Sign { negative, operand: Box::new(operand) },
                    start.to(self.last_span()),
                ))
            }
            Tok::LBracket => {
                let n = self.name()?;
                Ok(Node::new(ExprKind::Name(n.node), n.span))
            }
            Tok::Word | Tok::Str | Tok::Long | Tok::Real | Tok::Timespan | Tok::Typed | Tok::Guid => {
                self.postfix(false)
            }
            _ => self.expected("a value"),
        }
    }
}
