//! Conditions: how a rule's searches are joined. Lexer, parser and printer.

use crate::ast::{Comparison, Spanned, Text};
use std::fmt::Write as _;
use tercel_ir::{Diagnostic, Span};

/// Parentheses and `not`s inside each other; deeper ones are an error, so that everything that walks
/// a condition may recurse.
pub const MAX_DEPTH: usize = 128;

/// Words and signs of a condition; longer ones are an error.
pub const MAX_TOKENS: usize = 50_000;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The part before any `|`.
    pub expr: Spanned<Expression>,
    /// The part after it: aggregations of before Sigma 2, long deprecated.
    pub aggregation: Option<Spanned<Aggregation>>,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A search by name.
    Search(String),
    /// `1 of selection_*`.
    Of(Quantifier, Spanned<Target>),
    /// Not.
    Not(Box<Spanned<Expression>>),
    /// All of these; at least two.
    And(Vec<Spanned<Expression>>),
    /// Any of these; at least two.
    Or(Vec<Spanned<Expression>>),
    /// Text that is no condition, kept as it is. It has been reported and cannot be lowered.
    Prose(String),
}

/// How many of the searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// `all of`.
    All,
    /// `1 of`, `any of`: at least so many.
    AtLeast(u32),
}

/// Which searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `them`: every search whose name does not start with an underscore.
    Them,
    /// Searches whose name matches; `*` is any text.
    Pattern(String),
}

impl Target {
    /// Whether it means the search of this name. Names with a leading underscore are meant only by
    /// patterns that have one too.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Target::Them => !name.starts_with('_'),
            Target::Pattern(p) => glob(p, name) && (p.starts_with('_') || !name.starts_with('_')),
        }
    }
}

/// `*` is any text, everything else itself. Linear in the product of the lengths at worst.
fn glob(pattern: &str, name: &str) -> bool {
    let (p, n) = (pattern.as_bytes(), name.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < n.len() {
        if i < p.len() && p[i] == b'*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && p[i] == n[j] {
            i += 1;
            j += 1;
        } else if let Some((si, sj)) = star {
            i = si + 1;
            j = sj + 1;
            star = Some((si, j));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|b| *b == b'*')
}

/// What may follow a `|`.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregation {
    /// `count(field) by group > 5`.
    Reckon {
        /// `count`, `sum`, `min`, `max`, `avg`.
        function: Text,
        /// What is counted or reckoned with; absent in `count()`.
        field: Option<Text>,
        /// Groups.
        by: Vec<Text>,
        /// Against what.
        comparison: Spanned<Comparison>,
        /// The number.
        value: Spanned<f64>,
    },
    /// `near a and b`.
    Near(Spanned<Expression>),
}

impl Aggregation {
    /// Its name, for messages.
    pub fn name(&self) -> &str {
        match self {
            Aggregation::Reckon { function, .. } => &function.node,
            Aggregation::Near(_) => "near",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Open,
    Close,
    Pipe,
    Comma,
    Compare(Comparison),
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Token::Word(w) => format!("`{w}`"),
            Token::Open => "`(`".into(),
            Token::Close => "`)`".into(),
            Token::Pipe => "`|`".into(),
            Token::Comma => "`,`".into(),
            Token::Compare(c) => format!("`{}`", symbol(*c)),
        }
    }
}

fn symbol(c: Comparison) -> &'static str {
    match c {
        Comparison::Lt => "<",
        Comparison::Lte => "<=",
        Comparison::Gt => ">",
        Comparison::Gte => ">=",
        Comparison::Eq => "==",
        Comparison::Neq => "!=",
    }
}

fn lex(text: &str) -> Vec<(Token, std::ops::Range<usize>)> {
    let mut tokens = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let two = rest.get(..2);
        let (token, width) = match (c, two) {
            ('(', _) => (Token::Open, 1),
            (')', _) => (Token::Close, 1),
            ('|', _) => (Token::Pipe, 1),
            (',', _) => (Token::Comma, 1),
            ('<', Some("<=")) => (Token::Compare(Comparison::Lte), 2),
            ('>', Some(">=")) => (Token::Compare(Comparison::Gte), 2),
            ('=', Some("==")) => (Token::Compare(Comparison::Eq), 2),
            ('!', Some("!=")) => (Token::Compare(Comparison::Neq), 2),
            ('<', _) => (Token::Compare(Comparison::Lt), 1),
            ('>', _) => (Token::Compare(Comparison::Gt), 1),
            ('=', _) => (Token::Compare(Comparison::Eq), 1),
            _ => {
                let end = rest
                    .char_indices()
                    .skip(1)
                    .find(|(_, c)| c.is_whitespace() || matches!(c, '(' | ')' | '|' | ',' | '<' | '>' | '='))
                    .map_or(rest.len(), |(i, _)| i);
                (Token::Word(rest[..end].to_string()), end)
            }
        };
        tokens.push((token, at..at + width));
        at += width;
    }
    tokens
}

/// Parses a condition. `place` turns offsets of `text` into a place of the file.
///
/// # Errors
/// What is wrong with it; the first thing only.
pub fn parse(text: &str, place: &dyn Fn(std::ops::Range<usize>) -> Span) -> Result<Condition, Diagnostic> {
    let mut p = Parser { tokens: lex(text), at: 0, place, end: text.len(), depth: 0 };
    if p.tokens.is_empty() {
        return Err(Diagnostic::error("invalid-condition", "the condition is empty").at(place(0..text.len())));
    }
    if p.tokens.len() > MAX_TOKENS {
        let message = format!("the condition has more than {MAX_TOKENS} words and signs");
        return Err(Diagnostic::error("rule-too-large", message)
            .at(place(0..text.len()))
            .meaning("the rule cannot run"));
    }
    let expr = p.or()?;
    let aggregation = match p.peek() {
        Some(Token::Pipe) => {
            p.at += 1;
            Some(p.aggregation()?)
        }
        _ => None,
    };
    if let Some(t) = p.peek() {
        let message = match t {
            Token::Close => "`)` without a `(` before it".to_string(),
            t => format!("{} follows where `and`, `or` or the end must", t.describe()),
        };
        return Err(p.error(message));
    }
    Ok(Condition { expr, aggregation })
}

struct Parser<'p> {
    tokens: Vec<(Token, std::ops::Range<usize>)>,
    at: usize,
    place: &'p dyn Fn(std::ops::Range<usize>) -> Span,
    end: usize,
    depth: usize,
}

type Parsed<T> = Result<Spanned<T>, Diagnostic>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.0)
    }
    fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(w)) => Some(w),
            _ => None,
        }
    }
    fn is_keyword(&self, keyword: &str) -> bool {
        self.peek_word().is_some_and(|w| w.eq_ignore_ascii_case(keyword))
    }
    fn next_is(&self, keyword: &str) -> bool {
        matches!(self.tokens.get(self.at + 1), Some((Token::Word(w), _)) if w.eq_ignore_ascii_case(keyword))
    }
    /// Of the current token, or the end.
    fn span(&self) -> Span {
        let range = self.tokens.get(self.at).map_or(self.end..self.end, |t| t.1.clone());
        (self.place)(range)
    }
    fn error(&self, message: String) -> Diagnostic {
        Diagnostic::error("invalid-condition", message)
            .at(self.span())
            .meaning("the rule cannot run")
            .help("a condition joins the names of searches with `and`, `or`, `not`, `1 of name_*`, `all of name_*` and parentheses")
    }
    fn expected(&self, what: &str) -> Diagnostic {
        match self.peek() {
            Some(t) => self.error(format!("{} stands where {what} must", t.describe())),
            None => self.error(format!("the condition ends where {what} must follow")),
        }
    }

    fn or(&mut self) -> Parsed<Expression> {
        self.chain("or", Self::and, Expression::Or)
    }
    fn and(&mut self) -> Parsed<Expression> {
        self.chain("and", Self::unary, Expression::And)
    }
    fn chain(
        &mut self,
        keyword: &str,
        operand: fn(&mut Self) -> Parsed<Expression>,
        join: fn(Vec<Spanned<Expression>>) -> Expression,
    ) -> Parsed<Expression> {
        let first = operand(self)?;
        if !self.is_keyword(keyword) {
            return Ok(first);
        }
        let mut span = first.span;
        let mut items = vec![first];
        while self.is_keyword(keyword) {
            self.at += 1;
            let next = operand(self)?;
            span = span.to(next.span);
            items.push(next);
        }
        Ok(Spanned::new(join(items), span))
    }
    fn unary(&mut self) -> Parsed<Expression> {
        let start = self.span();
        if self.depth >= MAX_DEPTH {
            return Err(Diagnostic::error(
                "nesting-too-deep",
                format!("more than {MAX_DEPTH} parentheses and `not`s stand inside each other"),
            )
            .at(start)
            .meaning("the rule cannot run"));
        }
        if self.is_keyword("not") {
            self.at += 1;
            self.depth += 1;
            let inner = self.unary()?;
            self.depth -= 1;
            let span = start.to(inner.span);
            return Ok(Spanned::new(Expression::Not(Box::new(inner)), span));
        }
        match self.peek() {
            Some(Token::Open) => {
                self.at += 1;
                self.depth += 1;
                let inner = self.or()?;
                self.depth -= 1;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.expected("`)`").related(start, "the `(` that is not closed"));
                }
                let span = start.to(self.span());
                self.at += 1;
                Ok(Spanned::new(inner.node, span))
            }
            Some(Token::Word(_)) => self.operand(),
            _ => Err(self.expected("the name of a search")),
        }
    }
    fn operand(&mut self) -> Parsed<Expression> {
        let start = self.span();
        let word = self.peek_word().unwrap_or_default().to_string();
        let quantifier = if word.eq_ignore_ascii_case("all") {
            Some(Quantifier::All)
        } else if word.eq_ignore_ascii_case("any") {
            Some(Quantifier::AtLeast(1))
        } else {
            word.parse().ok().map(Quantifier::AtLeast)
        };
        if let Some(q) = quantifier
            && self.next_is("of")
        {
            self.at += 2;
            let span = self.span();
            let Some(target) = self.peek_word() else {
                return Err(self.expected("`them` or the name of searches"));
            };
            let target = match target {
                t if t.eq_ignore_ascii_case("them") => Target::Them,
                t => Target::Pattern(t.to_string()),
            };
            self.at += 1;
            return Ok(Spanned::new(Expression::Of(q, Spanned::new(target, span)), start.to(span)));
        }
        if ["and", "or", "of", "them"].iter().any(|k| word.eq_ignore_ascii_case(k)) {
            return Err(self.expected("the name of a search"));
        }
        self.at += 1;
        if word.contains('*') {
            // Some old rules leave out the `1 of`; which quantifier they mean nobody can know.
            return Err(Diagnostic::error(
                "invalid-condition",
                format!("`{word}` names several searches, but not how many of them must match"),
            )
            .at(start)
            .meaning("the rule cannot run")
            .help(format!("write `1 of {word}` or `all of {word}`")));
        }
        Ok(Spanned::new(Expression::Search(word), start))
    }

    fn aggregation(&mut self) -> Parsed<Aggregation> {
        let start = self.span();
        if self.is_keyword("near") {
            self.at += 1;
            let what = self.or()?;
            let span = start.to(what.span);
            return Ok(Spanned::new(Aggregation::Near(what), span));
        }
        let Some(function) = self.peek_word().map(str::to_ascii_lowercase) else {
            return Err(self.expected("`count`, `sum`, `min`, `max`, `avg` or `near`"));
        };
        if !["count", "sum", "min", "max", "avg"].contains(&function.as_str()) {
            return Err(self.expected("`count`, `sum`, `min`, `max`, `avg` or `near`"));
        }
        let function = Spanned::new(function, start);
        self.at += 1;
        if self.peek() != Some(&Token::Open) {
            return Err(self.expected("`(`"));
        }
        self.at += 1;
        let field =
            if self.peek() == Some(&Token::Close) { None } else { Some(self.name("the name of a field")?) };
        if self.peek() != Some(&Token::Close) {
            return Err(self.expected("`)`"));
        }
        self.at += 1;
        let mut by = Vec::new();
        if self.is_keyword("by") {
            loop {
                self.at += 1;
                by.push(self.name("the name of a field")?);
                if self.peek() != Some(&Token::Comma) {
                    break;
                }
            }
        }
        let span = self.span();
        let Some(Token::Compare(comparison)) = self.peek() else {
            return Err(self.expected("`>`, `>=`, `<`, `<=` or `==`"));
        };
        let comparison = Spanned::new(*comparison, span);
        self.at += 1;
        let value_span = self.span();
        let Some(value) = self.peek_word().and_then(|w| w.parse::<f64>().ok()).filter(|v| v.is_finite())
        else {
            return Err(self.expected("a number"));
        };
        self.at += 1;
        Ok(Spanned::new(
            Aggregation::Reckon { function, field, by, comparison, value: Spanned::new(value, value_span) },
            start.to(value_span),
        ))
    }
    fn name(&mut self, what: &str) -> Parsed<String> {
        let span = self.span();
        let Some(word) = self.peek_word().map(str::to_string) else { return Err(self.expected(what)) };
        self.at += 1;
        Ok(Spanned::new(word, span))
    }
}

/// The condition as text, in lower-case keywords and with no parentheses that are not needed.
pub fn print(c: &Condition) -> String {
    let mut out = String::new();
    expression(&mut out, &c.expr.node, Context::Or);
    match c.aggregation.as_ref().map(|a| &a.node) {
        None => {}
        Some(Aggregation::Near(e)) => {
            out.push_str(" | near ");
            expression(&mut out, &e.node, Context::Or);
        }
        Some(Aggregation::Reckon { function, field, by, comparison, value }) => {
            let _ = write!(out, " | {}({})", function.node, field.as_ref().map_or("", |f| &f.node));
            if !by.is_empty() {
                let names: Vec<&str> = by.iter().map(|b| b.node.as_str()).collect();
                let _ = write!(out, " by {}", names.join(", "));
            }
            let _ = write!(out, " {} {}", symbol(comparison.node), value.node);
        }
    }
    out
}

/// What stands around an expression, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Context {
    Or,
    /// An operand of `or`.
    And,
    /// An operand of `and`, or of `not`.
    Unary,
}

fn expression(out: &mut String, e: &Expression, context: Context) {
    let (items, word, own, inner) = match e {
        Expression::Search(text) | Expression::Prose(text) => {
            out.push_str(text);
            return;
        }
        Expression::Of(q, t) => {
            match q {
                Quantifier::All => out.push_str("all of "),
                Quantifier::AtLeast(n) => {
                    let _ = write!(out, "{n} of ");
                }
            }
            match &t.node {
                Target::Them => out.push_str("them"),
                Target::Pattern(p) => out.push_str(p),
            }
            return;
        }
        Expression::Not(inner) => {
            out.push_str("not ");
            expression(out, &inner.node, Context::Unary);
            return;
        }
        Expression::And(items) => (items, " and ", Context::And, Context::Unary),
        Expression::Or(items) => (items, " or ", Context::Or, Context::And),
    };
    // An operand of a chain is never a chain of the same kind: the tree keeps the author's parentheses.
    let parentheses = context > own;
    if parentheses {
        out.push('(');
    }
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(word);
        }
        expression(out, &item.node, inner);
    }
    if parentheses {
        out.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let place = |r: std::ops::Range<usize>| Span::new(r.start, r.end);
        let c = parse(text, &place).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        let printed = print(&c);
        assert_eq!(parse(&printed, &place).expect("printed text parses"), c, "{text} -> {printed}");
        printed
    }

    #[test]
    fn prints_back() {
        for (text, printed) in [
            ("selection", "selection"),
            ("a  AND not ( b or c )", "a and not (b or c)"),
            ("a and b or c", "a and b or c"),
            ("a and (b and c)", "a and (b and c)"),
            ("(a or b) or c", "(a or b) or c"),
            ("not not a", "not not a"),
            ("any of sel*", "1 of sel*"),
            ("all of them", "all of them"),
            ("2 of a_*_b", "2 of a_*_b"),
            ("s | count() > 5", "s | count() > 5"),
            ("s|count( x )by y , z<=0.5", "s | count(x) by y, z <= 0.5"),
            ("s | near a and not b", "s | near a and not b"),
            ("s | SUM(x) by y = 3", "s | sum(x) by y == 3"),
        ] {
            assert_eq!(again(text), printed, "{text}");
        }
    }

    #[test]
    fn refuses() {
        let place = |r: std::ops::Range<usize>| Span::new(r.start, r.end);
        for (text, message) in [
            ("", "the condition is empty"),
            ("a and", "the condition ends where the name of a search must follow"),
            ("a b", "`b` follows where `and`, `or` or the end must"),
            ("(a", "the condition ends where `)` must follow"),
            ("a)", "`)` without a `(` before it"),
            ("selection*", "`selection*` names several searches, but not how many of them must match"),
            ("a | foo(x) > 1", "`foo` stands where `count`, `sum`, `min`, `max`, `avg` or `near` must"),
            ("a | count() > many", "`many` stands where a number must"),
        ] {
            assert_eq!(parse(text, &place).expect_err(text).message, message, "{text}");
        }
        for text in
            [format!("{}a", "not ".repeat(10_000)), format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000))]
        {
            assert_eq!(parse(&text, &place).expect_err("too deep").code, "nesting-too-deep");
        }
    }

    #[test]
    fn patterns() {
        let p = |s: &str| Target::Pattern(s.into());
        assert!(p("sel*").matches("selection"));
        assert!(p("*_x*").matches("a_x_b"));
        assert!(!p("sel*").matches("filter"));
        assert!(p("a*a*a*").matches("aaaa"));
        assert!(!p("*").matches("_hidden"));
        assert!(p("_*").matches("_hidden"));
        assert!(!Target::Them.matches("_hidden"));
    }
}
