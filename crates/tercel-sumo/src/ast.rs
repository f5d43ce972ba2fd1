//! The syntax tree of a Sumo Logic query.
//!
//! Everything that a message could want to point at carries its place. Places do not take part in
//! comparison (see [`At`]), so two trees are equal when they say the same thing.

mod operator;

pub use operator::*;

use tercel_ir::Span;

/// The place of a node. Compares equal to every other place: a tree and the tree of its printed form
/// differ in nothing but places.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub Span);

impl PartialEq for At {
    fn eq(&self, _: &At) -> bool {
        true
    }
}
impl Eq for At {}

/// A name of a field, a table alias, a state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// Without `%` and quotes.
    pub text: String,
    /// Where it stands.
    pub at: At,
}

/// A string literal as written between its quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// Escapes are not resolved: a regular expression and a string resolve them differently.
    pub raw: String,
    /// `"` or `'`.
    pub quote: char,
    /// Where it stands, quotes included.
    pub at: At,
}

impl Text {
    /// The text with `\"`, `\\`, `\n`, `\r`, `\t` resolved; any other backslash stays.
    pub fn cooked(&self) -> String {
        cook(&self.raw)
    }
}

/// Resolves the escapes of a string literal.
pub fn cook(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let to = match chars.peek() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(q @ ('"' | '\'' | '\\')) => *q,
            _ => {
                out.push('\\');
                continue;
            }
        };
        out.push(to);
        chars.next();
    }
    out
}

/// A query, or a pipeline inside one.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// What stands before the first pipe.
    pub scope: Option<Scope>,
    /// The operators in order.
    pub stages: Vec<Stage>,
    /// The whole text.
    pub at: At,
}

/// One operator of a pipeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    /// What it does.
    pub op: Operator,
    /// From its first to its last word.
    pub at: At,
}

/// The keyword expression before the first pipe.
#[derive(Clone, PartialEq, Debug)]
pub enum Scope {
    /// All of them; adjacent terms mean the same.
    And(Vec<Scope>),
    /// Any of them.
    Or(Vec<Scope>),
    /// `NOT x`, `!x`.
    Not(Box<Scope>, At),
    /// Keywords and phrases.
    Term(Term),
    /// `field=value`.
    Field {
        /// The field.
        name: Name,
        /// How it is compared.
        op: ScopeOp,
        /// With what; unquoted values may hold wildcards.
        value: Term,
        /// From field to value.
        at: At,
    },
    /// `[subquery: …]`.
    Subquery(Box<Subquery>),
}

/// How a scope compares a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeOp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// Words and quoted texts written without a blank between them, such as `"type":"login"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term {
    /// Never empty.
    pub parts: Vec<TermPart>,
    /// From the first to the last part.
    pub at: At,
}

/// A part of a [`Term`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TermPart {
    /// Bare text; `*` and `?` are wildcards.
    Word(String),
    /// Quoted text, literal.
    Quoted(Text),
}

/// `[subquery [from=…] [to=…]: child | compose f [keywords] [maxresults=n]]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Subquery {
    /// `from=(…)`, `to=(…)`, as written.
    pub options: Vec<Setting>,
    /// The pipeline, up to `compose`.
    pub query: Query,
    /// The fields that are composed.
    pub compose: Vec<Name>,
    /// Composed as keywords instead of `field=value`.
    pub keywords: bool,
    /// `maxresults=n`, as written.
    pub settings: Vec<Setting>,
    /// Brackets included.
    pub at: At,
}

/// `name=value`, the value as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The option.
    pub name: Name,
    /// Its value, as written.
    pub value: String,
}

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub at: At,
}

/// The kinds of expression.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A field.
    Field(Name),
    /// `{{name}}`: to be substituted before the query can run.
    Template(String),
    /// A string.
    String(Text),
    /// A number as written, suffix included.
    Number(String),
    /// `true`, `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// `/…/` as written between the slashes.
    Regex(String),
    /// `path://"…"`, as written.
    Path(String),
    /// `-x`.
    Neg(Box<Expr>),
    /// `!x`, `not x`.
    Not(Box<Expr>),
    /// All of them, in order; at least two.
    And(Vec<Expr>),
    /// Any of them, in order; at least two.
    Or(Vec<Expr>),
    /// A comparison or arithmetic.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x in (…)`, `x not in (…)`.
    In {
        /// What is looked for.
        expr: Box<Expr>,
        /// `not in`.
        negated: bool,
        /// The list.
        list: Vec<Expr>,
    },
    /// `x matches "glob"`, `x matches /re/`.
    Matches {
        /// What is matched.
        expr: Box<Expr>,
        /// `not matches`.
        negated: bool,
        /// A string is a glob, a regex is a regex.
        pattern: Box<Expr>,
    },
    /// `x contains y`.
    Contains {
        /// The whole.
        expr: Box<Expr>,
        /// `not contains`.
        negated: bool,
        /// The part.
        part: Box<Expr>,
    },
    /// `c ? a : b`.
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `f(a, b)`; the undocumented `matches(a, "re")` is one too.
    Call {
        /// The function.
        name: Name,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `[subquery: …]` as a condition.
    Subquery(Box<Subquery>),
    /// `x {{condition}}`: the parameter brings the rest of the comparison.
    Templated(Box<Expr>, String),
}

/// Binary operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    /// `=`, `==`
    Eq,
    /// `!=`, `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

impl BinaryOp {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
        }
    }
}

/// The value of a number literal: plain, with a size suffix, or a time in milliseconds.
pub fn number_value(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    // `1e5` is a number too.
    if let Some(e) = suffix.strip_prefix(['e', 'E'])
        && !e.is_empty()
        && e.trim_start_matches(['+', '-']).bytes().all(|c| c.is_ascii_digit())
    {
        return text.parse().ok();
    }
    let n: f64 = digits.parse().ok()?;
    Some(n * suffix_factor(suffix)?)
}

/// What a number's suffix multiplies by; `None` when there is no such suffix.
pub fn suffix_factor(suffix: &str) -> Option<f64> {
    const KI: f64 = 1024.0;
    Some(match suffix {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" | "B" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => KI,
        "Mi" => KI * KI,
        "Gi" => KI * KI * KI,
        "Ti" => KI * KI * KI * KI,
        "Pi" => KI * KI * KI * KI * KI,
        "ns" => 1e-6,
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3_600e3,
        "d" => 86_400e3,
        "w" => 604_800e3,
        _ => return None,
    })
}
