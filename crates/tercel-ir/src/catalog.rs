//! What a front end may ask about the world outside the text: tables, views, log sources, functions.

use crate::diag::Diagnostic;
use crate::rel::Rel;
use crate::types::Type;
use crate::value::Value;

/// A parameter of a stored function.
#[derive(Clone, Debug)]
pub struct Param {
    pub name: String,
    pub ty: Type,
    /// Absent = must be given.
    pub default: Option<Value>,
}

/// A function kept as KQL text (an ASIM parser, for example), inlined where it is called.
#[derive(Clone, Debug)]
pub struct StoredFunction {
    pub name: String,
    pub params: Vec<Param>,
    /// A KQL query in which the parameters are in scope. A name of the function itself inside its body
    /// means the native table of that name.
    pub body: String,
}

/// Where a Sigma rule's events come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogSource<'a> {
    pub category: Option<&'a str>,
    pub product: Option<&'a str>,
    pub service: Option<&'a str>,
}

/// The outside world as a front end sees it.
pub trait Catalog: Sync {
    /// A table (as a scan) or a view without parameters (expanded). Names are case-sensitive.
    /// `None`: there is no such name. `Some(Err)`: there is, but it cannot be used; why.
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>>;

    /// A stored function, by name (case-sensitive).
    fn function(&self, name: &str) -> Option<&StoredFunction>;

    /// Every name that [`Catalog::relation`] and [`Catalog::function`] know, for suggestions and wildcards.
    fn names(&self) -> Vec<String>;

    /// The events that a Sigma log source means, with the field names of Sigma's taxonomy.
    ///
    /// # Errors
    /// When no table can hold such events: what is missing, in words for the user.
    fn log_source(&self, source: LogSource<'_>) -> Result<Rel, Diagnostic>;
}
