//! The Sumo Logic search language front end of tercel: lexer, parser, syntax tree, printer, lowering.

pub mod ast;
mod findings;
mod lexer;
mod parse;
mod print;
mod regexes;

pub use parse::{parse, parse_expression};
pub use print::{print, print_expr};
