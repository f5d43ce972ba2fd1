//! Multisets of numbers with order statistics, many of them in one arena.
//!
//! A treap: a search tree by value that is a heap by random priority, so its depth is logarithmic whatever
//! the values are and in whatever order they come. Priorities are a keyed hash of the node's index; the key
//! is random, so no input can be built that makes a tree deep. Equal values share a node.

use std::hash::{BuildHasher, RandomState};

/// No node.
pub(super) const NIL: u32 = u32::MAX;

struct Node {
    value: f64,
    left: u32,
    right: u32,
    /// Values in this subtree.
    size: u32,
    /// How often this value is in the set.
    copies: u32,
}

/// Trees of numbers; a tree is the index of its root.
#[derive(Default)]
pub(super) struct Treap {
    nodes: Vec<Node>,
    free: Vec<u32>,
    seed: u64,
}

impl Treap {
    pub(super) fn new() -> Treap {
        Treap { nodes: Vec::new(), free: Vec::new(), seed: RandomState::new().hash_one(0u8) }
    }

    /// Numbers in the tree.
    pub(super) fn len(&self, root: u32) -> u32 {
        self.nodes.get(root as usize).map_or(0, |n| n.size)
    }

    /// Adds a number; gives the new root.
    pub(super) fn insert(&mut self, root: u32, value: f64) -> u32 {
        if self.contains(root, value) {
            let mut at = root;
            while at != NIL {
                let n = &mut self.nodes[at as usize];
                n.size += 1;
                match value.total_cmp(&n.value) {
                    std::cmp::Ordering::Less => at = n.left,
                    std::cmp::Ordering::Greater => at = n.right,
                    std::cmp::Ordering::Equal => {
                        n.copies += 1;
                        break;
                    }
                }
            }
            return root;
        }
        let fresh = Node { value, left: NIL, right: NIL, size: 1, copies: 1 };
        let new = match self.free.pop() {
            Some(i) => {
                self.nodes[i as usize] = fresh;
                i
            }
            None => {
                self.nodes.push(fresh);
                (self.nodes.len() - 1) as u32
            }
        };
        self.insert_at(root, new)
    }

    /// Takes one copy of a number away; gives the new root. A number that is not there changes nothing.
    pub(super) fn remove(&mut self, root: u32, value: f64) -> u32 {
        if !self.contains(root, value) {
            return root;
        }
        self.remove_at(root, value)
    }

    /// The number of rank `k` from 0, in ascending order.
    pub(super) fn select(&self, root: u32, mut k: u32) -> Option<f64> {
        let mut at = root;
        while let Some(n) = self.nodes.get(at as usize) {
            let left = self.len(n.left);
            if k < left {
                at = n.left;
            } else if k - left < n.copies {
                return Some(n.value);
            } else {
                k -= left + n.copies;
                at = n.right;
            }
        }
        None
    }

    /// The percentile with linear interpolation between the nearest ranks.
    pub(super) fn percentile(&self, root: u32, p: f64) -> Option<f64> {
        let n = self.len(root);
        let at = p / 100.0 * f64::from(n.checked_sub(1)?);
        let below = self.select(root, at.floor() as u32)?;
        let above = self.select(root, at.ceil() as u32)?;
        Some(interpolate(below, above, at - at.floor()))
    }

    fn contains(&self, root: u32, value: f64) -> bool {
        let mut at = root;
        while let Some(n) = self.nodes.get(at as usize) {
            match value.total_cmp(&n.value) {
                std::cmp::Ordering::Less => at = n.left,
                std::cmp::Ordering::Greater => at = n.right,
                std::cmp::Ordering::Equal => return true,
            }
        }
        false
    }

    fn priority(&self, node: u32) -> u64 {
        let mut z = (self.seed ^ u64::from(node)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn update(&mut self, at: u32) {
        let n = &self.nodes[at as usize];
        let size = n.copies + self.len(n.left) + self.len(n.right);
        self.nodes[at as usize].size = size;
    }

    /// Depth of recursion is the depth of the tree, here and below: logarithmic, see above.
    fn insert_at(&mut self, root: u32, new: u32) -> u32 {
        if root == NIL {
            return new;
        }
        let value = self.nodes[new as usize].value;
        if self.priority(new) > self.priority(root) {
            let (left, right) = self.split(root, value);
            self.nodes[new as usize].left = left;
            self.nodes[new as usize].right = right;
            self.update(new);
            return new;
        }
        if value.total_cmp(&self.nodes[root as usize].value).is_lt() {
            let left = self.insert_at(self.nodes[root as usize].left, new);
            self.nodes[root as usize].left = left;
        } else {
            let right = self.insert_at(self.nodes[root as usize].right, new);
            self.nodes[root as usize].right = right;
        }
        self.update(root);
        root
    }

    /// Splits into what is less than `value` and the rest.
    fn split(&mut self, root: u32, value: f64) -> (u32, u32) {
        if root == NIL {
            return (NIL, NIL);
        }
        if self.nodes[root as usize].value.total_cmp(&value).is_lt() {
            let (a, b) = self.split(self.nodes[root as usize].right, value);
            self.nodes[root as usize].right = a;
            self.update(root);
            (root, b)
        } else {
            let (a, b) = self.split(self.nodes[root as usize].left, value);
            self.nodes[root as usize].left = b;
            self.update(root);
            (a, root)
        }
    }

    fn merge(&mut self, a: u32, b: u32) -> u32 {
        if a == NIL {
            return b;
        }
        if b == NIL {
            return a;
        }
        if self.priority(a) > self.priority(b) {
            let right = self.merge(self.nodes[a as usize].right, b);
            self.nodes[a as usize].right = right;
            self.update(a);
            a
        } else {
            let left = self.merge(a, self.nodes[b as usize].left);
            self.nodes[b as usize].left = left;
            self.update(b);
            b
        }
    }

    fn remove_at(&mut self, root: u32, value: f64) -> u32 {
        if root == NIL {
            return NIL;
        }
        let n = &mut self.nodes[root as usize];
        match value.total_cmp(&n.value) {
            std::cmp::Ordering::Equal if n.copies > 1 => {
                n.copies -= 1;
                n.size -= 1;
                return root;
            }
            std::cmp::Ordering::Equal => {
                let (left, right) = (n.left, n.right);
                self.free.push(root);
                return self.merge(left, right);
            }
            std::cmp::Ordering::Less => {
                let left = n.left;
                let left = self.remove_at(left, value);
                self.nodes[root as usize].left = left;
            }
            std::cmp::Ordering::Greater => {
                let right = n.right;
                let right = self.remove_at(right, value);
                self.nodes[root as usize].right = right;
            }
        }
        self.update(root);
        root
    }
}

/// Between two neighbouring ranks. Written so that equal neighbours give exactly their value.
pub(super) fn interpolate(below: f64, above: f64, fraction: f64) -> f64 {
    if below == above { below } else { below * (1.0 - fraction) + above * fraction }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list(steps in prop::collection::vec((any::<bool>(), 0i32..20), 0..200)) {
            let (mut t, mut root, mut list) = (Treap::new(), NIL, Vec::<f64>::new());
            for (add, v) in steps {
                let v = f64::from(v) - 5.5;
                if add {
                    root = t.insert(root, v);
                    let at = list.partition_point(|x| *x < v);
                    list.insert(at, v);
                } else {
                    root = t.remove(root, v);
                    if let Some(at) = list.iter().position(|x| *x == v) {
                        list.remove(at);
                    }
                }
                prop_assert_eq!(t.len(root) as usize, list.len());
                for (k, v) in list.iter().enumerate() {
                    prop_assert_eq!(t.select(root, k as u32), Some(*v));
                }
                prop_assert_eq!(t.select(root, list.len() as u32), None);
            }
        }
    }

    #[test]
    fn stays_shallow_on_sorted_input() {
        fn depth(t: &Treap, at: u32) -> usize {
            t.nodes.get(at as usize).map_or(0, |n| 1 + depth(t, n.left).max(depth(t, n.right)))
        }
        let (mut t, mut root) = (Treap::new(), NIL);
        for i in 0..50_000 {
            root = t.insert(root, f64::from(i));
        }
        assert!(depth(&t, root) < 100, "{}", depth(&t, root));
        assert_eq!(t.percentile(root, 50.0), Some(24_999.5));
        assert_eq!(t.percentile(root, 0.0), Some(0.0));
        assert_eq!(t.percentile(root, 100.0), Some(49_999.0));
    }
}
