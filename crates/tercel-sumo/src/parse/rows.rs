//! A stage by its first word, and the operators on rows.

use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Span};

use super::aggregate::is_aggregate;
use super::expr::{function_names, is_known_function};
use super::{Failed, Parser, R};
use crate::ast::*;
use crate::findings;
use crate::lexer::{P, Tok};

/// The operators with a keyword of their own, for "did you mean".
const OPERATORS: &[&str] = &[
    "accum",
    "backshift",
    "benchmark",
    "bin",
    "cat",
    "compare",
    "csv",
    "dedup",
    "diff",
    "extract",
    "fields",
    "fillmissing",
    "filter",
    "geoip",
    "infer",
    "join",
    "json",
    "keyvalue",
    "kv",
    "limit",
    "logcompare",
    "logexplain",
    "logreduce",
    "lookup",
    "macro",
    "merge",
    "order",
    "outlier",
    "parse",
    "predict",
    "rollingstd",
    "save",
    "sessionize",
    "smooth",
    "sort",
    "split",
    "threatip",
    "threatlookup",
    "timeslice",
    "top",
    "topk",
    "total",
    "trace",
    "transaction",
    "transactionize",
    "transpose",
    "where",
    "withtime",
];

impl Parser<'_> {
    /// One operator with all it takes.
    pub(super) fn stage(&mut self) -> R<Operator> {
        if self.cur.tok != Tok::Ident {
            return self.compute();
        }
        if let Some(text) = self.whole_template() {
            let next = self.peek2();
            if matches!(next.tok, Tok::Eof | Tok::P(P::Pipe | P::Close | P::CloseSquare)) {
                self.bump();
                return Ok(Operator::Template(text.to_owned()));
            }
            return self.compute();
        }
        let lower = self.text(self.cur).to_ascii_lowercase();
        if is_aggregate(&lower) {
            let next = self.peek2();
            let named = self.token_is_kw(next, "as") && lower != "count" && !lower.starts_with("count_");
            if !named && let Some(op) = self.aggregate_stage()? {
                return Ok(op);
            }
            return self.compute();
        }
        // A field may be called like an operator: `total * 100 as x`, `filter as f`.
        let next = self.peek2();
        let glued = |t: crate::lexer::Token| {
            self.src[t.end..].chars().next().is_some_and(|c| c == '"' || c == '_' || c.is_alphabetic())
        };
        let arithmetic = match next.tok {
            // `where %field = …`
            Tok::P(P::Percent) if glued(next) => false,
            Tok::P(
                P::Star | P::Slash | P::Percent | P::Eq | P::Ne | P::Lt | P::Le | P::Gt | P::Ge | P::Question,
            ) => {
                let paths = matches!(lower.as_str(), "lookup" | "save" | "cat");
                let regex = lower == "where" && next.tok == Tok::P(P::Slash);
                !(paths || regex)
            }
            Tok::P(P::Plus | P::Minus) => {
                !matches!(lower.as_str(), "sort" | "order" | "fields" | "where" | "top" | "limit")
            }
            _ => self.token_is_kw(next, "as"),
        };
        if arithmetic {
            return self.compute();
        }
        let start = self.cur;
        let back = self.last_end;
        match lower.as_str() {
            "where" => {
                self.bump();
                Ok(Operator::Where(self.expr()?))
            }
            "eval" => {
                if self.next_is_eval() {
                    return self.eval();
                }
                self.compute()
            }
            "fields" => {
                self.bump();
                self.fields()
            }
            "sort" | "order" => {
                self.bump();
                self.sort()
            }
            "limit" => {
                self.bump();
                Ok(Operator::Limit(self.amount()?))
            }
            "top" => {
                self.bump();
                self.top()
            }
            "topk" => {
                self.bump();
                self.topk()
            }
            "dedup" => {
                self.bump();
                self.dedup()
            }
            "parse" => {
                self.bump();
                self.parse_operator()
            }
            "extract" => {
                self.bump();
                self.regex_stage()
            }
            "json" => {
                self.bump();
                self.json_operator()
            }
            "csv" | "split" => {
                self.bump();
                self.split_operator(lower == "csv")
            }
            "keyvalue" | "kv" => {
                self.bump();
                self.keyvalue_operator()
            }
            "timeslice" => {
                self.bump();
                self.timeslice()
            }
            "accum" => self.window(WindowOp::Accum),
            "backshift" => self.window(WindowOp::Backshift),
            "diff" => self.window(WindowOp::Diff),
            "smooth" => self.window(WindowOp::Smooth),
            "rollingstd" => self.window(WindowOp::RollingStd),
            "total" => self.window(WindowOp::Total),
            "bin" => {
                self.bump();
                let field = self.expr()?;
                Ok(Operator::Bin { field, settings: self.settings()? })
            }
            "withtime" => {
                self.bump();
                Ok(Operator::Withtime(self.name("a field")?))
            }
            "transpose" => {
                self.bump();
                self.transpose()
            }
            "fillmissing" => {
                self.bump();
                self.fillmissing()
            }
            "compare" => {
                self.bump();
                self.compare()
            }
            "outlier" => {
                self.bump();
                let mut fields = vec![self.amount()?];
                while self.is(P::Comma) && !self.next_is_setting() {
                    self.bump();
                    fields.push(self.amount()?);
                }
                let by = if self.by_keyword() { self.names("a field")? } else { Vec::new() };
                Ok(Operator::Outlier { fields, by, settings: self.settings()? })
            }
            "predict" => {
                self.bump();
                let field = self.amount()?;
                let by = if self.eat_kw("by") { Some(self.amount()?) } else { None };
                Ok(Operator::Predict { field, by, settings: self.settings()? })
            }
            "filter" => {
                self.bump();
                self.filter()
            }
            "join" => {
                self.bump();
                self.join()
            }
            "transaction" => {
                self.bump();
                self.transaction()
            }
            "transactionize" => {
                self.bump();
                self.transactionize()
            }
            "merge" => {
                self.bump();
                Ok(Operator::Merge(self.merge_list()?))
            }
            "sessionize" => {
                self.bump();
                self.sessionize()
            }
            "trace" => {
                self.bump();
                let mut texts = vec![self.string()?];
                while self.cur.tok == Tok::Str {
                    texts.push(self.string()?);
                }
                Ok(Operator::Trace(texts))
            }
            "lookup" => {
                self.bump();
                self.lookup()
            }
            "geoip" | "threatip" | "threatlookup" => {
                self.bump();
                self.intel(lower)
            }
            "logreduce" | "logcompare" | "logexplain" => {
                self.bump();
                self.log_analysis(lower)
            }
            "save" | "cat" | "macro" | "infer" | "benchmark" => {
                self.bump();
                self.service(lower)
            }
            _ => {
                self.rewind(start, back);
                self.compute()
            }
        }
    }

    fn next_is_eval(&mut self) -> bool {
        let (start, back) = (self.cur, self.last_end);
        self.bump();
        let name = matches!(self.cur.tok, Tok::Ident | Tok::QuotedName);
        self.bump();
        let yes = name && self.is(P::Eq);
        self.rewind(start, back);
        yes
    }

    /// `eval name = e`, which is not Sumo but is published.
    fn eval(&mut self) -> R<Operator> {
        let keyword = self.bump();
        let name = self.name("a name")?;
        self.bump();
        let expr = self.expr()?;
        self.report(findings::eval(keyword.span(), &name.text, false));
        Ok(Operator::Compute { expr, name: Some(name), eval: true })
    }

    /// `e as name`, `f(field)`.
    fn compute(&mut self) -> R<Operator> {
        let first = self.cur;
        let mut before_operand = false;
        if first.tok == Tok::Ident && self.whole_template().is_none() {
            let next = self.peek2();
            // `foo bar …`: an operator that is not known, rather than an expression.
            before_operand = !self.token_is_kw(next, "as")
                && !["in", "and", "or", "not", "matches", "contains"]
                    .iter()
                    .any(|k| self.token_is_kw(next, k))
                && matches!(next.tok, Tok::Ident | Tok::Str | Tok::QuotedName | Tok::Number | Tok::Eof)
                || next.tok == Tok::P(P::Pipe);
            let unary = self.is_kw("not");
            if before_operand && !unary {
                return self.unknown_operator();
            }
        }
        let expr = self.expr()?;
        if let Some(name) = self.alias()? {
            return Ok(Operator::Compute { expr, name: Some(name), eval: false });
        }
        // Without a name a function overwrites its argument.
        let overwrites = match &expr.kind {
            ExprKind::Call { name, .. } => {
                let lower = name.text.to_ascii_lowercase();
                if !is_known_function(&lower) && !is_aggregate(&lower) {
                    let from = Span::new(first.start, first.end);
                    self.report_unknown(&name.text.clone(), from);
                    return Err(Failed);
                }
                true
            }
            ExprKind::Template(_) => true,
            _ => false,
        };
        if overwrites {
            return Ok(Operator::Compute { expr, name: None, eval: false });
        }
        let ends = matches!(self.cur.tok, Tok::Eof | Tok::P(P::Pipe | P::Close | P::CloseSquare));
        if !ends {
            return self.unexpected("`as` and a name for the value");
        }
        let condition = matches!(
            expr.kind,
            ExprKind::And(_)
                | ExprKind::Or(_)
                | ExprKind::Not(_)
                | ExprKind::In { .. }
                | ExprKind::Matches { .. }
                | ExprKind::Contains { .. }
                | ExprKind::Binary(
                    BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge,
                    ..
                )
        );
        let d = Diagnostic::error("syntax-error", "this value has no name").at(expr.at.0);
        self.report(if condition {
            d.help("write `where` before a condition, or `as name` behind it to keep the result")
        } else {
            d.help("write `as name` behind it")
        });
        let _ = before_operand;
        Err(Failed)
    }

    fn unknown_operator<T>(&mut self) -> R<T> {
        let word = self.text(self.cur).to_owned();
        let span = self.cur.span();
        self.report_unknown(&word, span);
        Err(Failed)
    }

    fn report_unknown(&mut self, word: &str, span: Span) {
        let d = Diagnostic::error("unknown-operator", format!("`{word}` is not an operator")).at(span);
        let near = nearest(word, OPERATORS.iter().copied().chain(function_names()));
        self.report(match near {
            Some(n) => d.help(format!("did you mean `{n}`?")),
            None => d,
        });
    }

    /// A field, a number, a duration, a parameter: what operators take without operators between.
    pub(super) fn amount(&mut self) -> R<Expr> {
        let start = self.cur.start;
        let negative = self.eat(P::Minus);
        if !negative {
            self.eat(P::Plus);
        }
        let t = self.cur;
        let kind = match t.tok {
            Tok::Number => {
                self.bump();
                // `1 h` is `1h`.
                let unit = self.cur;
                if unit.tok == Tok::Ident
                    && unit.start > t.end
                    && matches!(self.text(unit), "ms" | "s" | "m" | "h" | "d" | "w")
                    && self.text(t).bytes().all(|c| c.is_ascii_digit())
                {
                    self.bump();
                    ExprKind::Number(format!("{}{}", self.text(t), self.text(unit)))
                } else {
                    ExprKind::Number(self.text(t).to_owned())
                }
            }
            Tok::Str => ExprKind::String(self.string()?),
            Tok::Ident if self.whole_template().is_some() => {
                self.bump();
                ExprKind::Template(self.text(t).to_owned())
            }
            Tok::Ident | Tok::QuotedName => ExprKind::Field(self.name("a field")?),
            Tok::P(P::Open) if !negative => {
                self.bump();
                let e = self.expr()?;
                self.expect(P::Close, "`)`")?;
                e.kind
            }
            _ => return self.unexpected("a field or a number"),
        };
        let at = self.span_from(start);
        let e = Expr { kind, at };
        Ok(if negative { Expr { kind: ExprKind::Neg(Box::new(e)), at } } else { e })
    }

    fn next_is_setting(&mut self) -> bool {
        let (start, back) = (self.cur, self.last_end);
        self.bump();
        let word = self.cur.tok == Tok::Ident;
        self.bump();
        let yes = word && self.is(P::Eq);
        self.rewind(start, back);
        yes
    }

    /// `name=value, name=value` with or without commas.
    pub(super) fn settings(&mut self) -> R<Vec<Setting>> {
        let mut list = Vec::new();
        loop {
            let comma = self.is(P::Comma);
            let setting = if comma {
                self.next_is_setting()
            } else {
                self.cur.tok == Tok::Ident && {
                    let t = self.peek2();
                    t.tok == Tok::P(P::Eq)
                }
            };
            if !setting {
                return Ok(list);
            }
            if comma {
                self.bump();
            }
            let name = self.name("an option")?;
            self.bump();
            let value = self.raw_value(false)?;
            list.push(Setting { name, value });
        }
    }

    fn fields(&mut self) -> R<Operator> {
        let remove = self.eat(P::Minus);
        if !remove {
            self.eat(P::Plus);
        }
        let paren = self.eat(P::Open);
        let mut names = vec![self.name("a field")?];
        while self.eat(P::Comma) {
            // A comma too many at the end, or a `-` repeated before every name.
            if matches!(self.cur.tok, Tok::Eof | Tok::P(P::Pipe | P::Close)) {
                break;
            }
            if remove {
                self.eat(P::Minus);
            }
            names.push(self.name("a field")?);
        }
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        Ok(Operator::Fields { remove, names })
    }

    fn sort(&mut self) -> R<Operator> {
        let keyword = self.last_end;
        self.eat_kw("by");
        if matches!(self.cur.tok, Tok::Eof | Tok::P(P::Pipe | P::Close)) {
            self.report(
                Diagnostic::warning("sumo-sort-without-field", "`sort` names no field")
                    .at(Span::new(keyword.saturating_sub(4), keyword))
                    .meaning("the rows keep the order they have")
                    .help("write `sort by field`"),
            );
            return Ok(Operator::Sort(Vec::new()));
        }
        let paren = self.is(P::Open) && {
            // `sort by (a, b)`
            let (open, end) = (self.cur, self.last_end);
            self.bump();
            let t = self.peek2();
            let list = matches!(self.cur.tok, Tok::Ident | Tok::QuotedName)
                && (t.tok == Tok::P(P::Comma) || t.tok == Tok::P(P::Close));
            if !list {
                self.rewind(open, end);
            }
            list
        };
        let mut keys = Vec::new();
        loop {
            let mut ascending = false;
            if self.eat(P::Plus) {
                ascending = true;
            } else {
                self.eat(P::Minus);
            }
            let expr = self.expr()?;
            if self.eat_kw("asc") || self.eat_kw("ascending") {
                ascending = true;
            } else if self.eat_kw("desc") || self.eat_kw("descending") {
                ascending = false;
            }
            keys.push(SortKey { expr, ascending });
            if !self.eat(P::Comma) {
                break;
            }
            if matches!(self.cur.tok, Tok::Eof | Tok::P(P::Pipe)) {
                break;
            }
        }
        if paren {
            self.expect(P::Close, "`)`")?;
            // A direction behind the list is meant for all of it.
            if self.eat_kw("asc") {
                keys.iter_mut().for_each(|k| k.ascending = true);
            } else {
                self.eat_kw("desc");
            }
        }
        Ok(Operator::Sort(keys))
    }

    fn top(&mut self) -> R<Operator> {
        let paren = self.eat(P::Open);
        let n = self.amount()?;
        if paren {
            self.eat(P::Comma);
        }
        let mut fields = Vec::new();
        if !self.is_kw("by") {
            fields.push(self.amount()?);
            while self.eat(P::Comma) {
                fields.push(self.amount()?);
            }
        }
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        let by = if self.by_keyword() { self.group_keys()? } else { Vec::new() };
        Ok(Operator::Top { n, fields, by })
    }

    fn topk(&mut self) -> R<Operator> {
        self.expect(P::Open, "`(`")?;
        let n = self.amount()?;
        let mut fields = Vec::new();
        while self.eat(P::Comma) {
            fields.push(self.expr()?);
        }
        self.expect(P::Close, "`)`")?;
        let by = if self.by_keyword() { self.group_keys()? } else { Vec::new() };
        Ok(Operator::Topk { n, fields, by })
    }

    fn dedup(&mut self) -> R<Operator> {
        let consecutive = self.eat_kw("consecutive");
        let n = if self.cur.tok == Tok::Number || self.whole_template().is_some() {
            Some(self.amount()?)
        } else {
            None
        };
        let by =
            if self.by_keyword() || matches!(self.cur.tok, Tok::Ident | Tok::QuotedName | Tok::P(P::Open)) {
                self.names("a field")?
            } else {
                Vec::new()
            };
        Ok(Operator::Dedup { consecutive, n, by })
    }

    fn timeslice(&mut self) -> R<Operator> {
        self.eat_kw("by");
        let mut width = None;
        let mut buckets = false;
        if matches!(self.cur.tok, Tok::Number | Tok::P(P::Open))
            || self.cur.tok == Tok::Ident && !self.is_kw("as")
        {
            width = Some(self.amount()?);
            buckets = self.eat_kw("buckets") || self.eat_kw("bucket");
        }
        let alias = self.alias()?;
        Ok(Operator::Timeslice { width, buckets, alias })
    }

    fn window(&mut self, op: WindowOp) -> R<Operator> {
        self.bump();
        let paren = self.is(P::Open);
        let mut n = None;
        let field;
        if paren {
            self.bump();
            field = self.expr()?;
            if self.eat(P::Comma) {
                n = Some(self.amount()?);
            }
            self.expect(P::Close, "`)`")?;
        } else {
            field = self.amount()?;
        }
        if n.is_none() && self.eat(P::Comma) {
            n = Some(self.amount()?);
        }
        let mut alias = self.alias()?;
        let by = if self.by_keyword() { self.names("a field")? } else { Vec::new() };
        if alias.is_none() {
            alias = self.alias()?;
        }
        Ok(Operator::Window { op, field, n, alias, by })
    }

    fn transpose(&mut self) -> R<Operator> {
        let (mut rows, mut columns, mut names) = (Vec::new(), Vec::new(), Vec::new());
        if self.eat_kw("row") || self.eat_kw("rows") {
            rows = self.names("a field")?;
            self.eat(P::Comma);
        }
        if self.eat_kw("column") || self.eat_kw("columns") {
            columns = self.names("a field")?;
        }
        if rows.is_empty() && columns.is_empty() {
            return self.unexpected("`row` or `column`");
        }
        if self.eat_kw("as") {
            let paren = self.eat(P::Open);
            loop {
                if self.is(P::Star) {
                    let t = self.bump();
                    names.push(Name { text: "*".into(), at: At(t.span()) });
                } else {
                    names.push(self.name("a column")?);
                }
                if !self.eat(P::Comma) {
                    break;
                }
            }
            if paren {
                self.expect(P::Close, "`)`")?;
            }
        }
        Ok(Operator::Transpose { rows, columns, names })
    }

    fn fillmissing(&mut self) -> R<Operator> {
        let mut fillers: Vec<Filler> = Vec::new();
        let mut defaults = Vec::new();
        let mut take_last = false;
        loop {
            if self.eat_kw("timeslice") {
                let width = if self.eat(P::Open) {
                    let w = self.amount()?;
                    self.expect(P::Close, "`)`")?;
                    Some(w)
                } else {
                    None
                };
                fillers.push(Filler { kind: FillerKind::Timeslice(width), fields: Vec::new() });
            } else if self.eat_kw("values") {
                if self.eat_kw("all") {
                    fillers.push(Filler { kind: FillerKind::All, fields: Vec::new() });
                } else {
                    self.expect(P::Open, "`(` or `all`")?;
                    let mut list = Vec::new();
                    while !self.is(P::Close) {
                        list.push(self.expr()?);
                        if !self.eat(P::Comma) {
                            break;
                        }
                    }
                    self.expect(P::Close, "`)`")?;
                    fillers.push(Filler { kind: FillerKind::Values(list), fields: Vec::new() });
                }
            } else if self.is_kw("in") && !fillers.is_empty() {
                self.bump();
                let names = self.fill_names()?;
                if let Some(f) = fillers.last_mut() {
                    f.fields = names;
                }
            } else if self.eat_kw("with") {
                loop {
                    if self.eat_kw("takelast") {
                        take_last = true;
                        break;
                    }
                    let value = self.amount()?;
                    let names = if self.eat_kw("for") { self.fill_names()? } else { Vec::new() };
                    defaults.push((value, names));
                    if !self.is(P::Comma) || {
                        let t = self.peek2();
                        self.token_is_kw(t, "values") || self.token_is_kw(t, "timeslice")
                    } {
                        break;
                    }
                    self.bump();
                }
            } else if self.eat_kw("takelast") {
                take_last = true;
            } else if self.is(P::Comma) && !fillers.is_empty() {
                self.bump();
            } else {
                break;
            }
        }
        if fillers.is_empty() {
            return self.unexpected("`timeslice` or `values`");
        }
        Ok(Operator::FillMissing { fillers, defaults, take_last })
    }

    /// Names up to something that starts another filler.
    fn fill_names(&mut self) -> R<Vec<Name>> {
        let mut list = vec![self.name("a field")?];
        while self.is(P::Comma) {
            let t = self.peek2();
            let filler = self.token_is_kw(t, "values") || self.token_is_kw(t, "timeslice");
            if filler || !matches!(t.tok, Tok::Ident | Tok::QuotedName) {
                break;
            }
            self.bump();
            list.push(self.name("a field")?);
        }
        Ok(list)
    }

    fn compare(&mut self) -> R<Operator> {
        self.eat_kw("with");
        let mut list = Vec::new();
        loop {
            if !self.eat_kw("timeshift") && list.is_empty() && self.whole_template().is_none() {
                return self.unexpected("`timeshift`");
            }
            let by = self.amount()?;
            let periods = if self.cur.tok == Tok::Number { Some(self.amount()?) } else { None };
            let named = ["avg", "min", "max"].iter().any(|k| self.is_kw(k));
            let aggregate = if named { Some(self.name("`avg`, `min` or `max`")?) } else { None };
            let alias = self.alias()?;
            list.push(Timeshift { by, periods, aggregate, alias });
            if !self.eat(P::Comma) {
                return Ok(Operator::Compare(list));
            }
        }
    }
}

/// Whether this is the keyword of an operator. `lower` is in lower case.
pub(super) fn is_operator(lower: &str) -> bool {
    lower == "eval" || OPERATORS.contains(&lower)
}
