//! Tabular operators that occur less often.

use super::{Parsed, Parser};
use crate::ast::{
    EvaluateSchema, ExprKind, Find, FindColumn, MakeSeries, MvApply, MvItem, Node, OperatorKind, Parse,
    ParseElement, Partition, QueryParameter, Scan, ScanStep, Search, TopNested,
};
use crate::token::Tok;

impl Parser<'_> {
    pub(super) fn rare_operator(&mut self, name: &str) -> Parsed<OperatorKind> {
        Ok(match name {
            "assert-schema" => OperatorKind::AssertSchema(self.schema()?),
            "evaluate" => self.evaluate()?,
            "facet" => self.facet()?,
            "find" => OperatorKind::Find(Box::new(self.find()?)),
            "fork" => self.fork()?,
            "macro-expand" => {
                let parameters = self.parameters(&["kind", "isfuzzy"])?;
                let group = self.postfix(false)?;
                self.expect_word("as")?;
                let name = self.name()?;
                OperatorKind::MacroExpand { parameters, group, name, body: self.parenthesized_statements()? }
            }
            "make-series" => OperatorKind::MakeSeries(Box::new(self.make_series()?)),
            "mv-apply" | "mvapply" => OperatorKind::MvApply(Box::new(self.mv_apply()?)),
            "mv-expand" | "mvexpand" => {
                let parameters = self.parameters(&["bagexpansion", "kind", "with_itemindex"])?;
                let items = self.list(Self::mv_item)?;
                let limit = if self.eat_word("limit") { Some(self.expression()?) } else { None };
                OperatorKind::MvExpand { parameters, items, limit, legacy: name == "mvexpand" }
            }
            "parse" | "parse-where" => {
                OperatorKind::Parse(Box::new(self.parse_operator(name == "parse-where")?))
            }
            "parse-kv" => {
                let subject = self.expression()?;
                self.expect_word("as")?;
                let open = self.at;
                self.expect(Tok::LParen)?;
                let keys = self.list_until(Tok::RParen, Self::loose_column)?;
                self.expect_close(Tok::RParen, open)?;
                let properties = if self.eat_word("with") { self.properties()? } else { Vec::new() };
                OperatorKind::ParseKv { subject, keys, properties }
            }
            "partition" => OperatorKind::Partition(Box::new(self.partition()?)),
            "reduce" => {
                let parameters = self.parameters(&["kind"])?;
                self.expect_word("by")?;
                let by = self.named()?;
                let with = if self.eat_word("with") { self.list(Self::named)? } else { Vec::new() };
                OperatorKind::Reduce { parameters, by, with }
            }
            "render" => self.render()?,
            "sample" => {
                let parameters = self.parameters(&[])?;
                OperatorKind::Sample { parameters, count: self.expression()? }
            }
            "sample-distinct" => {
                let parameters = self.parameters(&[])?;
                let count = self.expression()?;
                self.expect_word("of")?;
                OperatorKind::SampleDistinct { parameters, count, of: self.named()? }
            }
            "scan" => OperatorKind::Scan(Box::new(self.scan()?)),
            "search" => OperatorKind::Search(Box::new(self.search()?)),
            "top-hitters" => {
                let parameters = self.parameters(&[])?;
                let count = self.expression()?;
                self.expect_word("of")?;
                let of = self.named()?;
                let by = if self.eat_word("by") { Some(self.sort_key()?) } else { None };
                OperatorKind::TopHitters { parameters, count, of, by }
            }
            "top-nested" => self.top_nested()?,
            _ => return self.graph_operator(name),
        })
    }

    fn evaluate(&mut self) -> Parsed<OperatorKind> {
        let parameters = self.parameters(&[])?;
        let call = self.call()?;
        let mut schema = None;
        if self.eat(Tok::Colon) {
            if self.tok() == Tok::LParen && self.peek(1) == Tok::Star {
                let open = self.at;
                self.next();
                self.next();
                self.eat(Tok::Comma);
                let columns = self.list_until(Tok::RParen, Self::loose_column)?;
                self.expect_close(Tok::RParen, open)?;
                schema = Some(EvaluateSchema { star: true, columns });
            } else {
                schema = Some(EvaluateSchema { star: false, columns: self.schema()? });
            }
        }
        Ok(OperatorKind::Evaluate { parameters, call, schema })
    }

    fn facet(&mut self) -> Parsed<OperatorKind> {
        self.expect_word("by")?;
        let by = self.list(|p| p.postfix(false))?;
        let with = if self.eat_word("with") {
            if self.tok() == Tok::LParen {
                Some(self.subquery()?)
            } else {
                let operators = vec![self.operator_or_error(false)?];
                Some(crate::ast::Pipeline { source: None, operators })
            }
        } else {
            None
        };
        Ok(OperatorKind::Facet { by, with })
    }

    fn fork(&mut self) -> Parsed<OperatorKind> {
        let mut branches = Vec::new();
        loop {
            let name = if self.at_name() && self.peek(self.name_length()) == Tok::Assign {
                let name = self.name()?;
                self.next();
                Some(name)
            } else {
                None
            };
            branches.push((name, self.subquery()?));
            if !(self.tok() == Tok::LParen || self.at_name() && self.peek(self.name_length()) == Tok::Assign)
            {
                return Ok(OperatorKind::Fork(branches));
            }
        }
    }

    /// `in (tables)`.
    fn in_tables(&mut self) -> Parsed<Vec<crate::ast::Expr>> {
        if !(self.at_word("in") && self.peek(1) == Tok::LParen) {
            return Ok(Vec::new());
        }
        self.next();
        let open = self.at;
        self.next();
        let tables = self.list_until(Tok::RParen, |p| {
            let table = p.table_source()?;
            if p.tok() != Tok::Pipe {
                return Ok(table);
            }
            let span = table.span;
            let mut operators = Vec::new();
            p.operators(&mut operators, true)?;
            let pipeline = crate::ast::Pipeline { source: Some(table), operators };
            Ok(Node::new(ExprKind::Pipeline(Box::new(pipeline)), span.to(p.last_span())))
        })?;
        self.expect_close(Tok::RParen, open)?;
        Ok(tables)
    }

    fn search(&mut self) -> Parsed<Search> {
        let parameters = self.parameters(&["kind", "withsource", "with_source"])?;
        let tables = self.in_tables()?;
        Ok(Search { parameters, tables, predicate: self.expression()? })
    }

    fn find(&mut self) -> Parsed<Find> {
        let mut parameters = self.parameters(&["withsource", "with_source", "isfuzzy"])?;
        let tables = self.in_tables()?;
        parameters.extend(self.parameters(&["withsource", "with_source", "isfuzzy"])?);
        self.eat_word("where");
        let predicate = self.expression()?;
        let mut find = Find { parameters, tables, predicate, project: None, smart: false, away: None };
        if self.at_word("project") && self.peek(1) == Tok::Minus {
            match self.word(2) {
                "smart" => {
                    find.smart = true;
                    for _ in 0..3 {
                        self.next();
                    }
                }
                "away" => {
                    for _ in 0..3 {
                        self.next();
                    }
                    find.away = Some(self.list(Self::name_or_wildcard)?);
                }
                _ => return self.expected("`project`, `project-away` or `project-smart`"),
            }
        } else if self.eat_word("project") {
            find.project = Some(self.list(|p| {
                if matches!(p.word(0), "pack" | "pack_all") && p.peek(1) == Tok::LParen {
                    let open = p.at + 1;
                    p.next();
                    p.next();
                    p.eat(Tok::Star);
                    p.expect_close(Tok::RParen, open)?;
                    return Ok(FindColumn::Pack);
                }
                Ok(FindColumn::Column(p.loose_column()?))
            })?);
        }
        Ok(find)
    }

    fn make_series(&mut self) -> Parsed<MakeSeries> {
        let parameters = self.parameters(&["kind"])?;
        let series = self.list(|p| {
            let value = p.named()?;
            let default = if p.eat_word("default") {
                p.expect(Tok::Assign)?;
                Some(p.expression()?)
            } else {
                None
            };
            Ok((value, default))
        })?;
        self.expect_word("on")?;
        let on = self.named_before_in()?;
        let mut from = None;
        let mut to = None;
        let in_range = self.at_word("in") && self.word(1) == "range";
        let step = if in_range {
            self.next();
            self.next();
            let open = self.at;
            self.expect(Tok::LParen)?;
            from = Some(self.expression()?);
            self.expect(Tok::Comma)?;
            to = Some(self.expression()?);
            self.expect(Tok::Comma)?;
            let step = self.expression()?;
            self.expect_close(Tok::RParen, open)?;
            step
        } else {
            if self.eat_word("from") {
                from = Some(self.expression()?);
            }
            if self.eat_word("to") {
                to = Some(self.expression()?);
            }
            self.expect_word("step")?;
            self.expression()?
        };
        let by = if self.eat_word("by") { self.list(Self::named)? } else { Vec::new() };
        Ok(MakeSeries { parameters, series, on, from, to, step, in_range, by })
    }

    /// A named expression that may be followed by `in range (…)`, which is no list test.
    fn named_before_in(&mut self) -> Parsed<crate::ast::NamedExpr> {
        let bare = self.at_name() && {
            let after = self.name_length();
            self.word(after) == "in" && self.word(after + 1) == "range"
        };
        if !bare {
            return self.named();
        }
        let n = self.name()?;
        Ok(crate::ast::NamedExpr { names: Vec::new(), value: Node::new(ExprKind::Name(n.node), n.span) })
    }

    fn mv_item(&mut self) -> Parsed<MvItem> {
        let value = self.named()?;
        let mut to = None;
        if self.eat_word("to") {
            let text = self.here();
            let inside = text.strip_prefix("typeof").map(str::trim_start).and_then(|t| t.strip_prefix('('));
            match (self.tok(), inside) {
                (Tok::Typed, Some(inside)) => {
                    let name = inside.strip_suffix(')').unwrap_or(inside).trim();
                    to = Some(Node::new(name.into(), self.next().span));
                }
                _ => return self.expected("`typeof(…)`"),
            }
        }
        Ok(MvItem { value, to })
    }

    fn mv_apply(&mut self) -> Parsed<MvApply> {
        let parameters = self.parameters(&["with_itemindex", "bagexpansion", "kind"])?;
        let items = self.list(Self::mv_item)?;
        let limit = if self.eat_word("limit") { Some(self.expression()?) } else { None };
        self.expect_word("on")?;
        Ok(MvApply { parameters, items, limit, body: self.subquery()? })
    }

    fn parse_operator(&mut self, filter: bool) -> Parsed<Parse> {
        let parameters = self.parameters(&["kind", "flags"])?;
        let subject = self.expression()?;
        self.expect_word("with")?;
        let mut pattern = Vec::new();
        loop {
            match self.tok() {
                Tok::Star => {
                    self.next();
                    pattern.push(ParseElement::Star);
                }
                Tok::Str => pattern.push(ParseElement::Text(self.literal()?)),
                _ if self.at_name() => pattern.push(ParseElement::Column(self.loose_column()?)),
                _ => break,
            }
        }
        if pattern.is_empty() {
            return self.expected("a pattern of texts, `*` and columns");
        }
        Ok(Parse { filter, parameters, subject, pattern })
    }

    /// A column with its path; a bracket behind it belongs to the operator.
    pub(super) fn entity(&mut self) -> Parsed<crate::ast::Expr> {
        let name = self.name()?;
        let base = Node::new(ExprKind::Name(name.node), name.span);
        let mut steps = Vec::new();
        while self.tok() == Tok::Dot {
            self.next();
            steps.push(crate::ast::Step::Member(self.name()?));
        }
        if steps.is_empty() {
            return Ok(base);
        }
        let span = base.span.to(self.last_span());
        Ok(Node::new(ExprKind::Path { base: Box::new(base), steps }, span))
    }

    fn partition(&mut self) -> Parsed<Partition> {
        let parameters = self.parameters(&[])?;
        self.expect_word("by")?;
        // `in` belongs to the operator, not to an expression.
        let by = self.entity()?;
        let within = if self.eat_word("in") { Some(self.postfix(false)?) } else { None };
        let braces = self.tok() == Tok::LBrace;
        Ok(Partition { parameters, by, within, body: self.subquery()?, braces })
    }

    fn render(&mut self) -> Parsed<OperatorKind> {
        let chart = self.name()?;
        let mut properties = Vec::new();
        if self.at_word("with") && self.peek(1) == Tok::LParen {
            self.next();
            properties = self.properties()?;
        } else {
            // The old form: `render timechart kind=stacked title="x" by a, b`.
            loop {
                let by = self.at_word("by") || self.at_word("with");
                let property = self.tok() == Tok::Word && self.peek(1) == Tok::Assign;
                if !(by || property) {
                    break;
                }
                let name = self.name()?;
                if !by || self.tok() == Tok::Assign {
                    self.expect(Tok::Assign)?;
                }
                let mut values = vec![self.parameter_value()?];
                while self.eat(Tok::Comma) {
                    values.push(self.parameter_value()?);
                }
                properties.push(QueryParameter { name, values });
            }
        }
        Ok(OperatorKind::Render { chart, properties })
    }

    fn scan(&mut self) -> Parsed<Scan> {
        let mut parameters = self.parameters(&["with_match_id", "with_step_name"])?;
        let mut scan = Scan {
            parameters: Vec::new(),
            order: Vec::new(),
            partition: Vec::new(),
            declare: Vec::new(),
            steps: Vec::new(),
        };
        loop {
            match self.word(0) {
                "order" => {
                    self.next();
                    self.expect_word("by")?;
                    scan.order = self.list(Self::sort_key)?;
                }
                "partition" => {
                    self.next();
                    self.expect_word("by")?;
                    scan.partition = self.list(Self::expression)?;
                }
                "declare" => {
                    self.next();
                    scan.declare = self.parameters_in_parentheses()?;
                }
                "with" => break,
                _ => {
                    let more = self.parameters(&["with_match_id", "with_step_name"])?;
                    if more.is_empty() {
                        return self.expected("`with`");
                    }
                    parameters.extend(more);
                }
            }
        }
        scan.parameters = parameters;
        self.next();
        let open = self.at;
        self.expect(Tok::LParen)?;
        while self.eat_word("step") {
            let name = self.name()?;
            let mut step = ScanStep {
                name,
                optional: self.eat_word("optional"),
                output: None,
                predicate: Self::error_expr(self.span()),
                assignments: Vec::new(),
            };
            if self.at_word("output") {
                self.next();
                self.expect(Tok::Assign)?;
                step.output = Some(self.name()?);
            }
            self.expect(Tok::Colon)?;
            step.predicate = self.expression()?;
            if self.eat(Tok::Arrow) {
                step.assignments = self.list(|p| {
                    let name = p.name()?;
                    p.expect(Tok::Assign)?;
                    Ok((name, p.expression()?))
                })?;
            }
            self.expect(Tok::Semi)?;
            scan.steps.push(step);
        }
        self.expect_close(Tok::RParen, open)?;
        Ok(scan)
    }

    fn top_nested(&mut self) -> Parsed<OperatorKind> {
        let mut levels = Vec::new();
        loop {
            let count = if self.at_word("of") { None } else { Some(self.expression()?) };
            self.expect_word("of")?;
            let of = self.named()?;
            let mut others = None;
            if self.eat_word("with") {
                self.expect_word("others")?;
                self.expect(Tok::Assign)?;
                others = Some(self.expression()?);
            }
            self.expect_word("by")?;
            levels.push(TopNested { count, of, others, by: self.sort_key()? });
            if !self.eat(Tok::Comma) {
                return Ok(OperatorKind::TopNested(levels));
            }
            self.expect_word("top")?;
            self.expect(Tok::Minus)?;
            self.expect_word("nested")?;
        }
    }
}
