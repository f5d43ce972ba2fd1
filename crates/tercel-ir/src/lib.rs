//! What every part of tercel agrees on: where a thing stands in a text ([`Span`]), what is to be said
//! about it ([`Diagnostic`]), the types and values of events, the expressions and relations that the
//! languages lower to, and the one table of functions.
//!
//! A front end (KQL, Sumo Logic, Sigma) turns its syntax into [`Rel`]; the engine turns [`Rel`] into
//! plans, the verifier into formulas. Neither sees syntax.

pub mod catalog;
mod columns;
pub mod correlation;
pub mod diag;
pub mod expr;
pub mod function;
pub mod rel;
pub mod span;
pub mod time;
pub mod types;
pub mod value;

pub use catalog::{Catalog, Param, StoredFunction};
pub use columns::Columns;
pub use diag::{Diagnostic, Diagnostics, Severity};
pub use expr::{Expr, ExprKind};
pub use function::{AggregateFunction, Function};
pub use rel::{Column, JoinKind, Rel, RelKind, Schema, SortKey};
pub use span::Span;
pub use types::{Domain, Type};
pub use value::Value;

/// A name of a column, table or function: shared, cheap to clone.
pub type Name = std::sync::Arc<str>;
