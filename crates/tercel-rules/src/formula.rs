//! Boolean formulas over tests of values, shared by all rules: a graph in which equal parts stand once.
//!
//! Every node that speaks of one *group* of columns only is marked with it, and conjunctions and
//! disjunctions put such parts together. So a rule `A contains x and B = y and A contains z` becomes
//! `(A contains x and A contains z) and (B = y)`: what one value decides is decided with that value, once,
//! and cached with it.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

/// The formula that is always false, and the one that is always true.
pub(crate) const FALSE: u32 = 0;
pub(crate) const TRUE: u32 = 1;
/// The group of constants, and of nodes that speak of several groups.
pub(crate) const NO_GROUP: u32 = u32::MAX;
pub(crate) const MIXED: u32 = u32::MAX - 1;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Node {
    False,
    True,
    /// At least one of the patterns of a set holds.
    Any(u32),
    Not(u32),
    And(Box<[u32]>),
    Or(Box<[u32]>),
}

#[derive(Default)]
pub(crate) struct Formulas {
    pub(crate) nodes: Vec<Node>,
    /// By node: its group.
    pub(crate) group: Vec<u32>,
    /// By node of one group: its truth where all columns of the group are null.
    pub(crate) at_null: Vec<bool>,
    /// By node: nodes of it written as a tree.
    pub(crate) size: Vec<u32>,
    /// Sets of patterns, each sorted.
    pub(crate) sets: Vec<Box<[u32]>>,
    known: HashTable<u32>,
    known_sets: HashTable<u32>,
    hasher: hashbrown::DefaultHashBuilder,
    /// Of patterns, as the caller numbers them: group and truth for null.
    patterns: Vec<(u32, bool)>,
}

impl Formulas {
    pub(crate) fn new() -> Formulas {
        let mut f = Formulas::default();
        f.put(Node::False, NO_GROUP, false, 1);
        f.put(Node::True, NO_GROUP, true, 1);
        f
    }

    /// Announces the next pattern.
    pub(crate) fn add_pattern(&mut self, group: u32, at_null: bool) -> u32 {
        self.patterns.push((group, at_null));
        self.patterns.len() as u32 - 1
    }

    pub(crate) fn at_null(&self, pattern: u32) -> bool {
        self.patterns[pattern as usize].1
    }

    fn put(&mut self, node: Node, group: u32, at_null: bool, size: u32) -> u32 {
        let hash = self.hasher.hash_one(&node);
        let nodes = &self.nodes;
        if let Some(i) = self.known.find(hash, |i| nodes[*i as usize] == node) {
            return *i;
        }
        let id = self.nodes.len() as u32;
        self.nodes.push(node);
        self.group.push(group);
        self.at_null.push(at_null);
        self.size.push(size);
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.known.insert_unique(hash, id, |i| hasher.hash_one(&nodes[*i as usize]));
        id
    }

    /// At least one of these patterns, all of one group, holds.
    pub(crate) fn any(&mut self, mut patterns: Vec<u32>) -> u32 {
        patterns.sort_unstable();
        patterns.dedup();
        let Some(first) = patterns.first() else { return FALSE };
        let group = self.patterns[*first as usize].0;
        let at_null = patterns.iter().any(|p| self.patterns[*p as usize].1);
        let hash = self.hasher.hash_one(&patterns[..]);
        let sets = &self.sets;
        let set = match self.known_sets.find(hash, |i| *sets[*i as usize] == patterns[..]) {
            Some(i) => *i,
            None => {
                let id = self.sets.len() as u32;
                self.sets.push(patterns.into());
                let (sets, hasher) = (&self.sets, &self.hasher);
                self.known_sets.insert_unique(hash, id, |i| hasher.hash_one(&sets[*i as usize][..]));
                id
            }
        };
        self.put(Node::Any(set), group, at_null, 1)
    }

    pub(crate) fn not(&mut self, node: u32) -> u32 {
        let i = node as usize;
        match &self.nodes[i] {
            Node::False => TRUE,
            Node::True => FALSE,
            Node::Not(inner) => *inner,
            // Opened, so that the parts can join others of their group.
            Node::And(items) if self.group[i] == MIXED => {
                let items = items.to_vec();
                let items = items.into_iter().map(|n| self.not(n)).collect();
                self.or(items)
            }
            Node::Or(items) if self.group[i] == MIXED => {
                let items = items.to_vec();
                let items = items.into_iter().map(|n| self.not(n)).collect();
                self.and(items)
            }
            _ => self.put(Node::Not(node), self.group[i], !self.at_null[i], self.size[i].saturating_add(1)),
        }
    }

    pub(crate) fn and(&mut self, items: Vec<u32>) -> u32 {
        self.join(items, true)
    }

    pub(crate) fn or(&mut self, items: Vec<u32>) -> u32 {
        self.join(items, false)
    }

    /// A conjunction or a disjunction.
    fn join(&mut self, items: Vec<u32>, and: bool) -> u32 {
        let (neutral, absorbing) = if and { (TRUE, FALSE) } else { (FALSE, TRUE) };
        let mut flat = Vec::with_capacity(items.len());
        for n in items {
            match &self.nodes[n as usize] {
                _ if n == absorbing => return absorbing,
                _ if n == neutral => {}
                Node::And(inner) if and => flat.extend_from_slice(inner),
                Node::Or(inner) if !and => flat.extend_from_slice(inner),
                _ => flat.push(n),
            }
        }
        flat.sort_unstable();
        flat.dedup();
        let opposed =
            |n: &u32| matches!(self.nodes[*n as usize], Node::Not(m) if flat.binary_search(&m).is_ok());
        if flat.iter().any(opposed) {
            return absorbing;
        }
        if flat.len() < 2 {
            return flat.first().copied().unwrap_or(neutral);
        }
        // Parts of one group together.
        flat.sort_by_key(|n| (self.group[*n as usize], *n));
        let mut parts: Vec<u32> = Vec::with_capacity(flat.len());
        let mut i = 0;
        while i < flat.len() {
            let group = self.group[flat[i] as usize];
            let mut j = i + 1;
            while group != MIXED && j < flat.len() && self.group[flat[j] as usize] == group {
                j += 1;
            }
            if j - i == 1 {
                parts.push(flat[i]);
            } else {
                let part = self.of_one_group(&flat[i..j], and, group);
                if part == absorbing {
                    return absorbing;
                }
                parts.push(part);
            }
            i = j;
        }
        if parts.len() == 1 {
            return parts[0];
        }
        parts.sort_unstable();
        self.put_join(parts, and, MIXED, false)
    }

    fn of_one_group(&mut self, items: &[u32], and: bool, group: u32) -> u32 {
        let mut parts: Vec<u32> = Vec::with_capacity(items.len());
        if and {
            parts.extend_from_slice(items);
        } else {
            // Sets of patterns are united: a list of a thousand values is one test.
            let mut patterns = Vec::new();
            for n in items {
                match self.nodes[*n as usize] {
                    Node::Any(set) => patterns.extend_from_slice(&self.sets[set as usize]),
                    _ => parts.push(*n),
                }
            }
            if !patterns.is_empty() {
                let any = self.any(patterns);
                parts.push(any);
            }
        }
        parts.sort_unstable();
        parts.dedup();
        if parts.len() == 1 {
            return parts[0];
        }
        let at_null = |n: &u32| self.at_null[*n as usize];
        let at_null = if and { parts.iter().all(at_null) } else { parts.iter().any(at_null) };
        self.put_join(parts, and, group, at_null)
    }

    fn put_join(&mut self, parts: Vec<u32>, and: bool, group: u32, at_null: bool) -> u32 {
        let size = parts.iter().fold(1u32, |s, n| s.saturating_add(self.size[*n as usize]));
        let node = if and { Node::And(parts.into()) } else { Node::Or(parts.into()) };
        self.put(node, group, at_null, size)
    }

    /// The truth of a node of one group; `any` says which sets of patterns hold.
    pub(crate) fn holds(&self, node: u32, any: &impl Fn(u32) -> bool) -> bool {
        match &self.nodes[node as usize] {
            Node::False => false,
            Node::True => true,
            Node::Any(set) => any(*set),
            Node::Not(n) => !self.holds(*n, any),
            Node::And(items) => items.iter().all(|n| self.holds(*n, any)),
            Node::Or(items) => items.iter().any(|n| self.holds(*n, any)),
        }
    }

    /// Marks the sets of patterns that a node speaks of.
    pub(crate) fn mark_sets(&self, node: u32, used: &mut [bool]) {
        match &self.nodes[node as usize] {
            Node::Any(s) => used[*s as usize] = true,
            Node::Not(n) => self.mark_sets(*n, used),
            Node::And(items) | Node::Or(items) => items.iter().for_each(|n| self.mark_sets(*n, used)),
            Node::False | Node::True => {}
        }
    }

    /// Things of which at least one must hold for `node` to be `polarity`: the rarest such choice, with its
    /// share. `leaf` says of a node what it is as such a thing, if it is one, and its share. `None`: the
    /// node can be that without any thing holding.
    pub(crate) fn witness(
        &self,
        node: u32,
        polarity: bool,
        leaf: &impl Fn(u32, bool) -> Leaf,
    ) -> Option<(Vec<u32>, f32)> {
        match leaf(node, polarity) {
            Leaf::Thing(id, share) => return Some((vec![id], share)),
            Leaf::No => return None,
            Leaf::Never => return Some((vec![], 0.0)),
            Leaf::Inner => {}
        }
        match &self.nodes[node as usize] {
            // What never comes true needs no witness at all.
            Node::False | Node::True => {
                if (node == TRUE) == polarity {
                    None
                } else {
                    Some((vec![], 0.0))
                }
            }
            Node::Any(_) => None,
            Node::Not(n) => self.witness(*n, !polarity, leaf),
            Node::And(items) | Node::Or(items) => {
                let all_needed = matches!(self.nodes[node as usize], Node::And(_)) == polarity;
                if all_needed {
                    let found = items.iter().filter_map(|n| self.witness(*n, polarity, leaf));
                    return found.min_by(|a, b| a.1.total_cmp(&b.1));
                }
                let mut out = (Vec::new(), 0.0);
                for n in items {
                    let (ids, share) = self.witness(*n, polarity, leaf)?;
                    out.0.extend(ids);
                    out.1 += share;
                }
                out.0.sort_unstable();
                out.0.dedup();
                Some(out)
            }
        }
    }
}

/// What a node is to [`Formulas::witness`].
pub(crate) enum Leaf {
    /// One of the things, with its share.
    Thing(u32, f32),
    /// True without any thing.
    No,
    /// Cannot come true.
    Never,
    /// Look inside.
    Inner,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_group_come_together() {
        let mut f = Formulas::new();
        let p: Vec<u32> = (0..4).map(|i| f.add_pattern(i % 2, false)).collect();
        let a: Vec<u32> = p.iter().map(|p| f.any(vec![*p])).collect();
        let all = f.and(a.clone());
        let Node::And(parts) = &f.nodes[all as usize] else { panic!("no conjunction") };
        assert_eq!(parts.len(), 2);
        assert_eq!(f.group[all as usize], MIXED);
        // A disjunction of one group is one set.
        let one = f.or(vec![a[0], a[2]]);
        assert!(matches!(&f.nodes[one as usize], Node::Any(s) if f.sets[*s as usize].len() == 2));
        // Opposites.
        let not = f.not(a[0]);
        assert_eq!(f.and(vec![a[0], not]), FALSE);
        assert_eq!(f.or(vec![a[0], not]), TRUE);
        // Opening a negation lets parts meet.
        let either = f.or(vec![a[0], a[1]]);
        let neither = f.not(either);
        let with = f.and(vec![a[2], neither]);
        let Node::And(parts) = &f.nodes[with as usize] else { panic!("no conjunction") };
        assert_eq!(parts.len(), 2);
    }
}
