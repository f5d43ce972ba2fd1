//! A rule in words, without an event.

use super::condition::Branch;
use super::{Condition, Lines, NoExplanation, path};
use serde::Serialize;
use tercel_ir::Rel;

/// What a rule looks for, and where.
#[derive(Clone, Debug, Serialize)]
pub struct Outline {
    /// Every way from a table to a hit.
    pub sources: Vec<Source>,
    /// The conditions of the rule itself, as they are for the first way.
    pub rule: Vec<Condition>,
}

/// One way from a table.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// The table.
    pub table: String,
    /// Views on the way, the outermost first.
    pub views: Vec<String>,
    /// Which rows of the table are meant.
    pub conditions: Vec<Condition>,
    /// The table's columns that conditions read.
    pub columns: Vec<String>,
}

/// Describes a rule. `text` is its text.
///
/// # Errors
/// Why no single event decides the rule.
pub fn outline(rel: &Rel, text: &str) -> Result<Outline, NoExplanation> {
    let lines = Lines::new(text);
    let mut out = Outline { sources: Vec::new(), rule: Vec::new() };
    for p in path::paths(rel, None)? {
        let branch = Branch::new(&p, None, &lines)?;
        // Without an event nothing was looked at.
        let said = |nodes: &[super::condition::Node]| -> Vec<Condition> {
            nodes.iter().map(|n| blank(branch.condition(n))).collect()
        };
        if out.sources.is_empty() {
            out.rule = said(&branch.rule);
        }
        out.sources.push(Source {
            table: p.table.into(),
            views: p.views.iter().map(|v| v.to_string()).collect(),
            conditions: said(&branch.source),
            columns: branch.reads.iter().map(|n| super::words::shown(n).to_string()).collect(),
        });
    }
    Ok(out)
}

fn blank(mut c: Condition) -> Condition {
    c.holds = None;
    c.test = None;
    c.values.clear();
    c.parts = c.parts.into_iter().map(blank).collect();
    c
}
