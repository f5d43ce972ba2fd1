//! The pieces a KQL text is cut into.

use tercel_ir::Span;

/// What a piece of text is.
///
/// KQL has hardly any reserved words: whether `kind` is a keyword or a column depends on where it
/// stands. The lexer therefore knows only words; the parser decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tok {
    /// An identifier or keyword, with its `~` where that belongs to it (`in~`).
    Word,
    /// `!has`, `!in~`, …: an exclamation mark with the word behind it.
    BangWord,
    /// Any string literal, with its prefix and quotes.
    Str,
    /// `42`, `0xff`.
    Long,
    /// `4.2`, `1e3`.
    Real,
    /// `5m`, `1.5h`, `10ticks`.
    Timespan,
    /// `datetime(…)`, `long(…)`, `typeof(…)`, …: a typed literal with its raw inside.
    Typed,
    /// A bare `8-4-4-4-12` GUID.
    Guid,
    LParen,
    RParen,
    LBracket,
    RBracket,
    LBrace,
    RBrace,
    Pipe,
    Comma,
    Semi,
    Colon,
    Dot,
    DotDot,
    /// `=`
    Assign,
    /// `==`
    EqEq,
    /// `=~`
    EqTilde,
    /// `!=`
    NotEq,
    /// `<>`
    LtGt,
    /// `!~`
    NotTilde,
    Lt,
    Le,
    Gt,
    Ge,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    /// `=>`
    Arrow,
    At,
    Question,
    /// The end of the text; always the last token.
    Eof,
}

impl Tok {
    /// How to call it in "expected X, found Y".
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Tok::Word => "a name",
            Tok::BangWord => "an operator",
            Tok::Str => "a string",
            Tok::Long | Tok::Real => "a number",
            Tok::Timespan => "a timespan",
            Tok::Typed => "a literal",
            Tok::Guid => "a GUID",
            Tok::LParen => "`(`",
            Tok::RParen => "`)`",
            Tok::LBracket => "`[`",
            Tok::RBracket => "`]`",
            Tok::LBrace => "`{`",
            Tok::RBrace => "`}`",
            Tok::Pipe => "`|`",
            Tok::Comma => "`,`",
            Tok::Semi => "`;`",
            Tok::Colon => "`:`",
            Tok::Dot => "`.`",
            Tok::DotDot => "`..`",
            Tok::Assign => "`=`",
            Tok::EqEq => "`==`",
            Tok::EqTilde => "`=~`",
            Tok::NotEq => "`!=`",
            Tok::LtGt => "`<>`",
            Tok::NotTilde => "`!~`",
            Tok::Lt => "`<`",
            Tok::Le => "`<=`",
            Tok::Gt => "`>`",
            Tok::Ge => "`>=`",
            Tok::Plus => "`+`",
            Tok::Minus => "`-`",
            Tok::Star => "`*`",
            Tok::Slash => "`/`",
            Tok::Percent => "`%`",
            Tok::Arrow => "`=>`",
            Tok::At => "`@`",
            Tok::Question => "`?`",
            Tok::Eof => "the end of the query",
        }
    }
}

/// One piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) tok: Tok,
    pub(crate) span: Span,
}
