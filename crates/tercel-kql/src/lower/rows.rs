//! A relation with what the front end knows of it beyond its schema.

use tercel_ir::{Name, Rel, Type};

/// Rows as an operator sees them.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) rel: Rel,
    /// The table they come from, as long as its columns are all here; for "unknown column X in T".
    pub(super) source: Option<Name>,
    /// How many relations are inside each other.
    pub(super) depth: usize,
}

impl Rows {
    pub(super) fn new(rel: Rel, source: Option<Name>) -> Rows {
        let depth = depth(&rel);
        Rows { rel, source, depth }
    }

    /// The same rows after one more operator; the columns still are the source's.
    pub(super) fn same(self, f: impl FnOnce(Rel) -> Rel) -> Rows {
        Rows { rel: f(self.rel), source: self.source, depth: self.depth + 1 }
    }

    /// Rows after an operator that makes its own columns.
    pub(super) fn shaped(self, f: impl FnOnce(Rel) -> Rel) -> Rows {
        Rows { rel: f(self.rel), source: None, depth: self.depth + 1 }
    }

    pub(super) fn column(&self, name: &str) -> Option<Type> {
        self.rel.schema.get(name).map(|c| c.ty)
    }

    pub(super) fn names(&self) -> Vec<Name> {
        self.rel.schema.columns.iter().map(|c| c.name.clone()).collect()
    }
}

fn depth(r: &Rel) -> usize {
    1 + r.inputs().into_iter().map(depth).max().unwrap_or(0)
}
