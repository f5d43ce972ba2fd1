//! How KQL names columns that the query does not name. Later operators refer to these names, so they
//! are part of the meaning.

use crate::ast::{Call, Expr, ExprKind, Literal, Step};
use std::collections::HashSet;
use tercel_ir::Name;

/// Functions whose result keeps the name of the first argument.
const PASSES_NAME: &[&str] = &[
    "tostring",
    "toint",
    "tolong",
    "todouble",
    "toreal",
    "todecimal",
    "tobool",
    "toboolean",
    "todatetime",
    "totimespan",
    "totime",
    "toguid",
    "todynamic",
    "toobject",
    "bin",
    "floor",
    "bin_at",
    "round",
    "abs",
    "startofday",
    "startofweek",
    "startofmonth",
    "startofyear",
    "endofday",
    "endofweek",
    "endofmonth",
    "endofyear",
    "split",
];

/// The name an expression gives itself.
pub(super) fn natural(e: &Expr) -> Option<Name> {
    match &e.node {
        ExprKind::Name(n) => Some(n.clone()),
        ExprKind::Path { base, steps } => {
            let mut text = match &base.node {
                ExprKind::Name(n) => n.to_string(),
                _ => natural(base)?.to_string(),
            };
            if text.starts_with('$') {
                text.clear();
            }
            for s in steps {
                let part = match s {
                    Step::Member(n) => n.node.to_string(),
                    Step::Index(i) => index_text(i)?,
                    Step::Call(..) | Step::Wildcard(_) => return None,
                };
                if !text.is_empty() {
                    text.push('_');
                }
                text.push_str(&part);
            }
            Some(text.into())
        }
        ExprKind::Call(c) if PASSES_NAME.contains(&&*c.name.node) => natural(&c.arguments.first()?.value),
        _ => None,
    }
}

/// `["a b"]` and `[-1]` in a name: what is not a letter or digit becomes `_`.
fn index_text(e: &Expr) -> Option<String> {
    let text = match &e.node {
        ExprKind::Literal(Literal::String { value, .. }) => value.to_string(),
        ExprKind::Literal(Literal::Long(n)) => n.to_string(),
        ExprKind::Sign { negative: true, operand } => format!("-{}", index_text(operand)?),
        _ => return None,
    };
    Some(text.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect())
}

/// The name of an aggregate's result.
pub(super) fn aggregate(c: &Call) -> Option<Name> {
    let first = c.arguments.first().and_then(|a| natural(&a.value));
    let name = &*c.name.node;
    let prefix = match name {
        "arg_max" | "arg_min" | "argmax" | "argmin" | "take_any" | "take_anyif" => return first,
        "make_set" | "make_set_if" | "makeset" => "set",
        "make_list" | "make_list_if" | "makelist" => "list",
        "make_bag" | "make_bag_if" => "bag",
        "any" | "anyif" => "any",
        "countif" => return Some("countif_".into()),
        "dcountif" => "dcount",
        "count_distinct" | "count_distinctif" => "count_distinct",
        other => other.strip_suffix("if").unwrap_or(other),
    };
    Some(match first {
        Some(f) => format!("{prefix}_{f}").into(),
        None => format!("{prefix}_").into(),
    })
}

/// Hands out names that are not taken yet.
#[derive(Default)]
pub(super) struct Namer {
    taken: HashSet<Name>,
    unnamed: usize,
}

impl Namer {
    pub(super) fn take(&mut self, name: Name) {
        self.taken.insert(name);
    }

    /// `name`, or `name1`, `name2`, … when that is taken.
    pub(super) fn unique(&mut self, name: &str) -> Name {
        let mut candidate: Name = name.into();
        let mut n = 0;
        while !self.taken.insert(candidate.clone()) {
            n += 1;
            candidate = format!("{name}{n}").into();
        }
        candidate
    }

    /// `Column1`, `Column2`, ….
    pub(super) fn column(&mut self) -> Name {
        self.unnamed += 1;
        let name = format!("Column{}", self.unnamed);
        self.unique(&name)
    }
}

/// Whether `name` fits a pattern with `*`. Linear in the product of the lengths, never exponential.
pub(crate) fn wildcard_matches(pattern: &str, name: &str) -> bool {
    let (p, n) = (pattern.as_bytes(), name.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while j < n.len() {
        if p.get(i) == Some(&b'*') {
            retry = Some((i + 1, j));
            i += 1;
        } else if p.get(i) == n.get(j) {
            i += 1;
            j += 1;
        } else if let Some((after, from)) = retry {
            i = after;
            j = from + 1;
            retry = Some((after, from + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (p, n, want) in [
            ("Device*", "DeviceEvents", true),
            ("*Events", "DeviceEvents", true),
            ("*vi*nt*", "DeviceEvents", true),
            ("*", "", true),
            ("Device", "DeviceEvents", false),
            ("*x*", "DeviceEvents", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(wildcard_matches(p, n), want, "{p} {n}");
        }
    }
}
