//! The Sumo Logic search language front end of tercel: lexer, parser, syntax tree, printer, lowering.

pub mod ast;
mod findings;
mod lexer;
mod lint;
mod lower;
mod parse;
mod print;
pub mod raise;
mod regexes;
mod substitute;

pub use lint::lint;
pub use lower::{Options, Profile, RECORDS, lower};
pub use parse::{parse, parse_expression};
pub use print::{print, print_expr};
pub use substitute::{parameters, substitute};
