//! Boolean formulas in negation normal form, hash-consed: equal parts are one node.
//!
//! Every node is used positively (a negation is a node of its own), so a node is true as soon as enough
//! of its parts are; that makes an implicant of a model easy to find and one-way clauses enough.

use crate::hash::QuickMap;

/// A node of an [`Arena`].
pub(crate) type Node = u32;
/// An atom: something about the event that is true or not.
pub(crate) type AtomId = u32;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum NodeKind {
    True,
    False,
    /// The atom, or its negation where the flag is false.
    Lit(AtomId, bool),
    And(Box<[Node]>),
    Or(Box<[Node]>),
}

/// Children of one node; longer lists become trees, so that a change of one item of a long list
/// makes only a few new nodes.
const FAN: usize = 16;

pub(crate) struct Arena {
    nodes: Vec<NodeKind>,
    index: QuickMap<NodeKind, Node>,
    negated: QuickMap<Node, Node>,
}

impl Arena {
    pub(crate) const FALSE: Node = 0;
    pub(crate) const TRUE: Node = 1;

    pub(crate) fn new() -> Arena {
        let mut a = Arena { nodes: Vec::new(), index: QuickMap::default(), negated: QuickMap::default() };
        a.intern(NodeKind::False);
        a.intern(NodeKind::True);
        a.negated.insert(Self::FALSE, Self::TRUE);
        a.negated.insert(Self::TRUE, Self::FALSE);
        a
    }
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
    pub(crate) fn kind(&self, n: Node) -> &NodeKind {
        &self.nodes[n as usize]
    }
    fn intern(&mut self, kind: NodeKind) -> Node {
        if let Some(n) = self.index.get(&kind) {
            return *n;
        }
        let n = self.nodes.len() as Node;
        self.nodes.push(kind.clone());
        self.index.insert(kind, n);
        n
    }
    pub(crate) fn constant(b: bool) -> Node {
        if b { Self::TRUE } else { Self::FALSE }
    }
    pub(crate) fn lit(&mut self, atom: AtomId, positive: bool) -> Node {
        self.intern(NodeKind::Lit(atom, positive))
    }
    pub(crate) fn and(&mut self, items: Vec<Node>) -> Node {
        self.many(items, true)
    }
    pub(crate) fn or(&mut self, items: Vec<Node>) -> Node {
        self.many(items, false)
    }
    /// Conjunction or disjunction. The order of the items decides how long lists are cut, so a list
    /// with one item changed shares all other pieces with the first.
    fn many(&mut self, mut items: Vec<Node>, all: bool) -> Node {
        let (unit, zero) = if all { (Self::TRUE, Self::FALSE) } else { (Self::FALSE, Self::TRUE) };
        if items.contains(&zero) {
            return zero;
        }
        while items.len() > FAN {
            items = items.chunks(FAN).map(|c| self.few(c.to_vec(), all, unit, zero)).collect();
            if items.contains(&zero) {
                return zero;
            }
        }
        self.few(items, all, unit, zero)
    }
    fn few(&mut self, mut items: Vec<Node>, all: bool, unit: Node, zero: Node) -> Node {
        items.retain(|n| *n != unit);
        items.sort_unstable();
        items.dedup();
        for n in &items {
            if let NodeKind::Lit(a, p) = self.nodes[*n as usize]
                && let Some(other) = self.index.get(&NodeKind::Lit(a, !p))
                && items.binary_search(other).is_ok()
            {
                return zero;
            }
        }
        match items.len() {
            0 => unit,
            1 => items[0],
            _ if all => self.intern(NodeKind::And(items.into())),
            _ => self.intern(NodeKind::Or(items.into())),
        }
    }
    /// The negation. The recursion is as deep as the formula, which the builder limits.
    pub(crate) fn not(&mut self, n: Node) -> Node {
        if let Some(m) = self.negated.get(&n) {
            return *m;
        }
        let m = match self.nodes[n as usize].clone() {
            NodeKind::True => Self::FALSE,
            NodeKind::False => Self::TRUE,
            NodeKind::Lit(a, p) => self.lit(a, !p),
            NodeKind::And(items) => {
                let v = items.iter().map(|i| self.not(*i)).collect();
                self.or(v)
            }
            NodeKind::Or(items) => {
                let v = items.iter().map(|i| self.not(*i)).collect();
                self.and(v)
            }
        };
        self.negated.insert(n, m);
        self.negated.insert(m, n);
        m
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_are_one_node() {
        let mut a = Arena::new();
        let (x, y) = (a.lit(0, true), a.lit(1, true));
        let both = a.and(vec![x, y, x]);
        assert_eq!(both, a.and(vec![y, x, Arena::TRUE]));
        let n = a.not(both);
        assert_eq!(a.not(n), both);
        let nx = a.not(x);
        assert_eq!(a.and(vec![x, nx]), Arena::FALSE);
        assert_eq!(a.or(vec![nx, x]), Arena::TRUE);
        assert_eq!(a.or(vec![]), Arena::FALSE);
        assert_eq!(a.and(vec![x]), x);
    }

    #[test]
    fn long_lists_share_their_pieces() {
        let mut a = Arena::new();
        let items: Vec<Node> = (0..1000).map(|i| a.lit(i, true)).collect();
        a.or(items.clone());
        let before = a.len();
        let mut changed = items;
        changed[500] = a.lit(5000, true);
        a.or(changed);
        assert!(a.len() - before < 8, "{} new nodes", a.len() - before);
    }
}
