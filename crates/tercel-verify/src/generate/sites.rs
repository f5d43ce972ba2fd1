//! The parts of a detection that get test events.

use super::tree::{Kind, Seen, Tree};
use super::{Role, Shown};
use std::collections::HashMap;
use tercel_ir::{Name, Span};

/// A part, by its place in the author's text.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub role: Role,
    pub span: Span,
    /// The item, where several share the place.
    pub item: Option<String>,
    /// Where it is in the tree. One item may stand for several tests beside each other (the inner list); a
    /// search that is named twice is in two places.
    pub parts: Vec<Vec<usize>>,
    /// What does nothing in its place.
    pub neutral: bool,
    /// It tests values, not their absence.
    pub present: bool,
}

impl Site {
    /// The place for which an event shows the part: the verdict is as it should be, and it would be the
    /// other without the part.
    pub fn claims(&self, tree: &Tree<'_>, seen: &Seen) -> Option<usize> {
        let fires = self.role.fires();
        if tree.holds(seen) != fires {
            return None;
        }
        self.parts.iter().position(|p| tree.holds_without(seen, p, self.neutral) != fires)
    }

    pub fn shown(&self) -> Shown {
        Shown { role: self.role, span: Some(self.span), item: self.item.clone() }
    }

    pub fn parent(&self, tree: &Tree<'_>) -> Option<usize> {
        tree.parts[self.parts[0][0]].parent
    }

    pub fn leaves(&self, tree: &Tree<'_>) -> Vec<usize> {
        let mut out = Vec::new();
        self.parts[0].iter().for_each(|p| tree.leaves_under(*p, &mut out));
        out
    }

    /// The columns that it reads, each once.
    pub fn columns(&self, tree: &Tree<'_>) -> Vec<Name> {
        let mut out: Vec<Name> = Vec::new();
        for l in self.leaves(tree) {
            for c in &tree.leaves[l].columns {
                // What is assumed of other data, and what is no field of the event.
                if !c.starts_with('$') && !out.contains(c) {
                    out.push(c.clone());
                }
            }
        }
        out
    }
}

/// All parts, of each list at most so many; and how many were left out.
pub(super) fn sites(tree: &Tree<'_>, limit: usize) -> (Vec<Site>, usize) {
    let mut found = Finder { tree, limit, list: Vec::new(), known: HashMap::new(), skipped: 0 };
    for way in &tree.ways {
        found.inside(*way, false);
    }
    (found.list, found.skipped)
}

struct Finder<'t> {
    tree: &'t Tree<'t>,
    limit: usize,
    list: Vec<Site>,
    known: HashMap<(Span, Option<String>, Role), usize>,
    skipped: usize,
}

impl Finder<'_> {
    /// `negated`: under an odd number of `not`.
    fn inside(&mut self, id: usize, negated: bool) {
        let p = &self.tree.parts[id];
        match p.kind {
            Kind::Leaf => {}
            Kind::Not => p.children.iter().for_each(|c| self.inside(*c, !negated)),
            Kind::All | Kind::Any => {
                // What one item of the text has become, together.
                let mut groups: Vec<(Option<Span>, Vec<usize>)> = Vec::new();
                let mut at: HashMap<(Span, Option<&str>), usize> = HashMap::new();
                for c in &p.children {
                    let part = &self.tree.parts[*c];
                    let key = part.span.map(|s| (s, part.item.as_deref()));
                    match key.and_then(|k| at.get(&k)) {
                        Some(i) => groups[*i].1.push(*c),
                        None => {
                            if let Some(k) = key {
                                at.insert(k, groups.len());
                            }
                            groups.push((part.span, vec![*c]));
                        }
                    }
                }
                self.skipped += groups.len().saturating_sub(self.limit);
                groups.truncate(self.limit);
                for (span, parts) in groups {
                    // A conjunction in a conjunction is no part of its own: its parts are.
                    let merges = parts.iter().all(|c| self.tree.parts[*c].kind == p.kind);
                    if let Some(span) = span.filter(|_| !merges) {
                        self.add(span, &parts, p.kind == Kind::All, negated);
                    }
                    parts.iter().for_each(|c| self.inside(*c, negated));
                }
            }
        }
    }

    fn add(&mut self, span: Span, parts: &[usize], all: bool, negated: bool) {
        let exclusion = self.tree.parts[parts[0]].kind == Kind::Not;
        let role = match (all, negated) {
            (false, false) => Role::Alternative,
            (true, false) if exclusion => Role::Exclusion,
            (true, false) => Role::Condition,
            (false, true) => Role::Exclusion,
            (true, true) => Role::Beside,
        };
        let item = self.tree.parts[parts[0]].item.clone();
        let key = (span, item.clone(), role);
        if let Some(at) = self.known.get(&key) {
            return self.list[*at].parts.push(parts.to_vec());
        }
        self.known.insert(key, self.list.len());
        let mut leaves = Vec::new();
        parts.iter().for_each(|p| self.tree.leaves_under(*p, &mut leaves));
        let absence = |l: &usize| {
            matches!(&self.tree.leaves[*l].expr.kind, tercel_ir::ExprKind::Call(f, _)
                if matches!(f.name, "isnull" | "isempty" | "isnotnull" | "isnotempty" | "isblank"))
        };
        let present = !leaves.iter().all(absence);
        self.list.push(Site { role, span, item, parts: vec![parts.to_vec()], neutral: all, present });
    }
}
