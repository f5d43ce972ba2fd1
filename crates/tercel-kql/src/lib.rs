//! The Kusto Query Language front end of tercel: lexer, parser, syntax tree, printer, lowering.

pub mod ast;
mod lexer;
mod lint;
pub mod literal;
mod lower;
mod parser;
mod print;
pub mod raise;
mod stack;
mod token;

pub use ast::Ast;
pub use lint::lint;
pub(crate) use lower::wildcard_matches;
pub use lower::{Options, lower};
pub use parser::parse;
pub use print::print;
