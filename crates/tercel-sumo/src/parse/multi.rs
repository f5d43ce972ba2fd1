//! The operators that hold pipelines, tables or services.

use super::{Close, Failed, Parser, R};
use crate::ast::*;
use crate::lexer::{P, Tok};

impl Parser<'_> {
    /// `( pipeline )`.
    fn child(&mut self) -> R<Query> {
        self.expect(P::Open, "`(` and a query")?;
        self.enter()?;
        let query = self.pipeline(Close::Paren);
        self.expect(P::Close, "`)`")?;
        self.depth -= 1;
        Ok(query)
    }

    pub(super) fn filter(&mut self) -> R<Operator> {
        let (start, back) = (self.cur, self.last_end);
        if let Ok(name) = self.field_then_in() {
            let query = self.child()?;
            let expr = Expr { at: name.at, kind: ExprKind::Field(name) };
            return Ok(Operator::Filter { expr, query: Some(Box::new(query)) });
        }
        self.rewind(start, back);
        Ok(Operator::Filter { expr: self.expr()?, query: None })
    }

    /// `f in (` with more than a list behind it.
    fn field_then_in(&mut self) -> Result<Name, ()> {
        if !matches!(self.cur.tok, Tok::Ident | Tok::QuotedName) {
            return Err(());
        }
        let name = self.name("a field").map_err(|_| ())?;
        if !self.eat_kw("in") || !self.is(P::Open) {
            return Err(());
        }
        let t = self.peek2();
        if matches!(t.tok, Tok::Ident | Tok::P(P::Pipe)) { Ok(name) } else { Err(()) }
    }

    pub(super) fn join(&mut self) -> R<Operator> {
        let mut tables = Vec::new();
        loop {
            let query = self.child()?;
            tables.push(JoinTable { query, alias: self.alias()? });
            if !self.eat(P::Comma) {
                break;
            }
        }
        if !self.eat_kw("on") {
            return self.unexpected("`on`");
        }
        let on = self.pairs()?;
        let timewindow = if self.eat_kw("timewindow") { Some(self.amount()?) } else { None };
        Ok(Operator::Join { tables, on, timewindow })
    }

    /// `a = b and c = d`; commas are accepted for `and`.
    fn pairs(&mut self) -> R<Vec<OnPair>> {
        let paren = self.eat(P::Open);
        let mut on = Vec::new();
        loop {
            let left = self.amount()?;
            let right = if self.eat(P::Eq) { Some(self.amount()?) } else { None };
            on.push(OnPair { left, right });
            if !self.eat_kw("and") && !self.eat(P::Comma) && !self.eat(P::AndAnd) {
                break;
            }
        }
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        Ok(on)
    }

    pub(super) fn transaction(&mut self) -> R<Operator> {
        if !self.eat_kw("on") {
            return self.unexpected("`on`");
        }
        let on = self.names("a field")?;
        let settings = self.settings()?;
        let mut states = Vec::new();
        let mut results_by = None;
        let mut showing = Vec::new();
        loop {
            if self.is(P::Comma) {
                self.bump();
            }
            if self.eat_kw("with") {
                if self.eat_kw("states") {
                    let names = self.names("a state")?;
                    let field = if self.eat_kw("in") { Some(self.name("a field")?) } else { None };
                    states.push(TransactionState::States(names, field));
                } else {
                    let pattern = self.string()?;
                    if !self.eat_kw("as") {
                        return self.unexpected("`as` and the name of the state");
                    }
                    states.push(TransactionState::Pattern(pattern, self.name("a state")?));
                }
            } else if self.eat_kw("results") {
                if !self.eat_kw("by") {
                    return self.unexpected("`by`");
                }
                results_by = Some(self.name("`transactions`, `states` or `flow`")?);
            } else if self.eat_kw("showing") {
                showing = self.showing()?;
            } else {
                break;
            }
        }
        Ok(Operator::Transaction { on, settings, states, results_by, showing })
    }

    fn showing(&mut self) -> R<Vec<Aggregate>> {
        let mut list = Vec::new();
        loop {
            let Some(mut item) = self.aggregate_item()? else {
                return self.unexpected("an aggregate function");
            };
            if self.eat_kw("for") {
                item.state = Some(self.name("a state")?);
            }
            if item.alias.is_none() {
                item.alias = self.alias()?;
            }
            list.push(item);
            if !self.eat(P::Comma) {
                return Ok(list);
            }
        }
    }

    pub(super) fn transactionize(&mut self) -> R<Operator> {
        let mut fields = vec![self.name("a field")?];
        let mut alias = None;
        let mut settings = Vec::new();
        let mut merge = Vec::new();
        loop {
            if alias.is_none() && self.is_kw("as") {
                alias = self.alias()?;
                continue;
            }
            let more = self.settings()?;
            if !more.is_empty() {
                settings.extend(more);
                continue;
            }
            if self.is(P::Open) {
                self.bump();
                if !self.eat_kw("merge") {
                    return self.unexpected("`merge`");
                }
                merge = self.merge_list()?;
                self.expect(P::Close, "`)`")?;
                continue;
            }
            if self.is(P::Comma) {
                self.bump();
                fields.push(self.name("a field")?);
                continue;
            }
            // `maxSpan 5m`, `keepOrphans`: options without a sign.
            if self.cur.tok == Tok::Ident && self.whole_template().is_none() {
                let name = self.name("an option")?;
                let value = if matches!(self.cur.tok, Tok::Number | Tok::Str) {
                    self.raw_value(false)?
                } else {
                    String::new()
                };
                settings.push(Setting { name, value });
                continue;
            }
            break;
        }
        Ok(Operator::Transactionize { fields, alias, settings, merge })
    }

    pub(super) fn merge_list(&mut self) -> R<Vec<MergeField>> {
        let mut list = Vec::new();
        loop {
            let field = self.name("a field")?;
            let how = if self.eat_kw("takefirst") {
                MergeHow::First
            } else if self.eat_kw("takelast") {
                MergeHow::Last
            } else if self.eat_kw("takedistinct") {
                MergeHow::Distinct
            } else if self.eat_kw("join") {
                self.eat_kw("with");
                MergeHow::Join(self.string()?)
            } else {
                MergeHow::Default
            };
            list.push(MergeField { field, how });
            if !self.eat(P::Comma) {
                return Ok(list);
            }
        }
    }

    pub(super) fn sessionize(&mut self) -> R<Operator> {
        let mut steps = Vec::new();
        loop {
            let pattern = self.string()?;
            let names = if self.eat_kw("as") { self.names("a name")? } else { Vec::new() };
            steps.push(AnchorClause { pattern, names });
            if !self.eat(P::Comma) {
                break;
            }
        }
        Ok(Operator::Sessionize { steps, settings: self.settings()? })
    }

    pub(super) fn lookup(&mut self) -> R<Operator> {
        let mut columns = Vec::new();
        let paren = self.eat(P::Open);
        loop {
            let column = if self.is(P::Star) {
                let t = self.bump();
                Name { text: "*".into(), at: At(t.span()) }
            } else {
                self.name("a column")?
            };
            columns.push(LookupColumn { column, alias: self.alias()? });
            if !self.eat(P::Comma) {
                break;
            }
            if self.is_kw("from") {
                break;
            }
        }
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        if !self.is_kw("from") {
            return self.unexpected("`from` and a table");
        }
        // Read the table's address from the text: it may start with anything.
        let from_kw = self.cur;
        let start = self.lex.skip_trivia(from_kw.end);
        let (end, closed) = self.lex.path_end(start);
        if end == start || !closed {
            self.bump();
            return self.unexpected("a table");
        }
        let from = self.src[start..end].to_owned();
        self.seek(end);
        if !self.eat_kw("on") {
            return self.unexpected("`on`");
        }
        Ok(Operator::Lookup { columns, from, on: self.pairs()? })
    }

    pub(super) fn intel(&mut self, operator: String) -> R<Operator> {
        let mut modifiers = Vec::new();
        if operator == "threatlookup" {
            let t = self.peek2();
            if self.cur.tok == Tok::Ident
                && matches!(t.tok, Tok::Ident | Tok::QuotedName)
                && !self.token_is_kw(t, "as")
            {
                modifiers.push(self.name("a modifier")?);
            }
        }
        let fields = self.names("a field")?;
        let mut words = modifiers;
        // `source="…"`, `on …`: kept as written.
        while self.cur.tok == Tok::Ident && self.whole_template().is_none() {
            words.push(self.name("an option")?);
        }
        Ok(Operator::Intel { operator, modifiers: words, fields })
    }

    pub(super) fn log_analysis(&mut self, operator: String) -> R<Operator> {
        let (mut mode, mut expr, mut timeshift) = (None, None, None);
        let (mut pipelines, mut on, mut by, mut settings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        if operator == "logexplain" && !self.is_kw("on") {
            expr = Some(Box::new(self.expr()?));
        } else if self.is(P::Open) {
            self.bump();
            expr = Some(Box::new(self.expr()?));
            self.expect(P::Close, "`)`")?;
        }
        loop {
            let more = self.settings()?;
            if !more.is_empty() {
                settings.extend(more);
            } else if self.by_keyword() {
                by = self.names("a field")?;
            } else if self.eat_kw("on") {
                on = self.names("a field")?;
            } else if self.eat_kw("timeshift") {
                timeshift = Some(self.amount()?);
            } else if self.is_kw("values") || self.is_kw("keys") {
                mode = Some(self.name("a mode")?);
            } else if self.is_kw("baseline") || self.is_kw("target") {
                let name = self.name("a side")?;
                let query = self.child()?;
                pipelines.push((name, query));
            } else if self.is(P::Comma) && (!settings.is_empty() || !pipelines.is_empty()) {
                self.bump();
            } else if expr.is_none()
                && matches!(self.cur.tok, Tok::Ident | Tok::QuotedName)
                && self.whole_template().is_none()
            {
                expr = Some(Box::new(self.amount()?));
            } else {
                break;
            }
        }
        Ok(Operator::LogAnalysis { operator, mode, expr, timeshift, pipelines, on, by, settings })
    }

    /// Words up to the end of the stage, as written.
    pub(super) fn service(&mut self, operator: String) -> R<Operator> {
        let mut words = Vec::new();
        let mut at = self.lex.skip_trivia(self.last_end);
        while let Some(c) = self.src[at..].chars().next() {
            if matches!(c, '|' | ')' | ']') {
                break;
            }
            let mut end = at;
            while let Some(c) = self.src[end..].chars().next() {
                if c == '"' {
                    let (e, closed) = self.lex.quoted(end);
                    end = e;
                    if !closed {
                        self.seek(at);
                        return self.unexpected("a value");
                    }
                } else if let Some(e) = self.lex.template(end) {
                    end = e;
                } else if c.is_whitespace() || matches!(c, '|' | ')' | ']') {
                    break;
                } else if c == '(' {
                    // `macro f(a, b)` keeps its brackets.
                    match self.src[end..].find(')') {
                        Some(i) => end += i + 1,
                        None => {
                            self.seek(end);
                            return self.unexpected("`)`");
                        }
                    }
                } else {
                    end += c.len_utf8();
                }
            }
            words.push(self.src[at..end].to_owned());
            self.last_end = end;
            at = self.lex.skip_trivia(end);
        }
        let end = self.last_end;
        self.seek(end);
        if words.is_empty() {
            return self.unexpected("what the operator is to do").map_err(|_: Failed| Failed);
        }
        Ok(Operator::Service { operator, words })
    }
}
