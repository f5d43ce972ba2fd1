//! The bounded memories of a matcher: raw value to class, class to the predicates it means, and list of
//! classes to rules.
//!
//! All of them compare whole keys. All of them forget when they are full, so that memory does not grow with
//! the number of events, whatever the events are.

use crate::hash::{hash_bytes, hash_ids};
use hashbrown::HashTable;

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    /// Kind of the value in the top byte, length below; 0 is a free place, since no kind is 0.
    kind_len: u32,
    at: u32,
    class: u32,
}

const FREE: Entry = Entry { hash: 0, kind_len: 0, at: 0, class: 0 };

/// One generation of values.
struct Generation {
    /// Open addressing; a power of two, at most half full.
    table: Vec<Entry>,
    used: usize,
    bytes: Vec<u8>,
}

impl Generation {
    fn new() -> Generation {
        Generation { table: Vec::new(), used: 0, bytes: Vec::new() }
    }

    #[inline]
    fn get(&self, hash: u64, kind_len: u32, key: &[u8]) -> Option<u32> {
        if self.used == 0 {
            return None;
        }
        let mask = self.table.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let e = &self.table[i];
            if e.kind_len == kind_len
                && e.hash == (hash >> 32) as u32
                && self.bytes[e.at as usize..].get(..key.len()) == Some(key)
            {
                return Some(e.class);
            }
            if e.kind_len == 0 {
                return None;
            }
            i = (i + 1) & mask;
        }
    }

    fn insert(&mut self, hash: u64, kind_len: u32, key: &[u8], class: u32) {
        if (self.used + 1) * 2 > self.table.len() {
            let larger = vec![FREE; (self.table.len() * 2).max(16)];
            let old = std::mem::replace(&mut self.table, larger);
            for e in old {
                if e.kind_len != 0 {
                    let len = (e.kind_len & 0xFF_FFFF) as usize;
                    let hash = Self::hash(&self.bytes[e.at as usize..][..len], e.kind_len);
                    self.put(hash, e);
                }
            }
        }
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(key);
        self.put(hash, Entry { hash: (hash >> 32) as u32, kind_len, at, class });
        self.used += 1;
    }

    fn hash(key: &[u8], kind_len: u32) -> u64 {
        hash_bytes(key, u64::from(kind_len >> 24))
    }

    fn put(&mut self, hash: u64, e: Entry) {
        let mask = self.table.len() - 1;
        let mut i = hash as usize & mask;
        while self.table[i].kind_len != 0 {
            i = (i + 1) & mask;
        }
        self.table[i] = e;
    }

    fn clear(&mut self) {
        self.table.fill(FREE);
        self.used = 0;
        self.bytes.clear();
    }
}

/// Raw values and their classes. Two generations: when the young one is full, the old one is forgotten and
/// they change places; what is used again is young again.
pub(crate) struct Values {
    young: Generation,
    old: Generation,
    /// Bytes of values in a generation.
    limit: usize,
    /// Values asked for since the last reckoning, and how many of them were known.
    asked: u32,
    known: u32,
    /// So many values are not remembered: those before them were not worth it.
    idle: u32,
}

/// After so many values it is reckoned whether remembering them pays.
const WINDOW: u32 = 4096;
/// It pays if one in so many is known.
const WORTH: u32 = 16;
/// If not, so many windows go by until it is tried again.
const PAUSE: u32 = 4;

impl Values {
    pub(crate) fn new(limit: usize) -> Values {
        Values { young: Generation::new(), old: Generation::new(), limit, asked: 0, known: 0, idle: 0 }
    }

    #[inline]
    pub(crate) fn get(&mut self, kind: u8, key: &[u8]) -> Option<u32> {
        if self.idle > 0 {
            self.idle -= 1;
            return None;
        }
        self.asked += 1;
        if self.asked == WINDOW {
            if self.known < WINDOW / WORTH {
                self.idle = PAUSE * WINDOW;
            }
            (self.asked, self.known) = (0, 0);
        }
        let found = self.find(kind, key);
        self.known += u32::from(found.is_some());
        found
    }

    #[inline]
    fn find(&mut self, kind: u8, key: &[u8]) -> Option<u32> {
        let kind_len = u32::from(kind) << 24 | key.len() as u32;
        let hash = Generation::hash(key, kind_len);
        if let Some(c) = self.young.get(hash, kind_len, key) {
            return Some(c);
        }
        let c = self.old.get(hash, kind_len, key)?;
        self.put(hash, kind_len, key, c);
        Some(c)
    }

    /// Remembers a value, if that pays. Keys are shorter than 2^24 bytes.
    pub(crate) fn insert(&mut self, kind: u8, key: &[u8], class: u32) {
        if self.idle > 0 {
            return;
        }
        let kind_len = u32::from(kind) << 24 | key.len() as u32;
        self.put(Generation::hash(key, kind_len), kind_len, key, class);
    }

    fn put(&mut self, hash: u64, kind_len: u32, key: &[u8], class: u32) {
        // An entry costs some bytes beside its key.
        if self.young.bytes.len() + key.len() + 32 * (self.young.used + 1) > self.limit && self.young.used > 0
        {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(hash, kind_len, key, class);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let of = |g: &Generation| g.bytes.capacity() + g.table.capacity() * size_of::<Entry>();
        of(&self.young) + of(&self.old)
    }
}

/// Numbered lists of numbers; equal lists have equal numbers. List 0 is the empty one.
pub(crate) struct Lists {
    table: HashTable<u32>,
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    pub(crate) fn new() -> Lists {
        Lists { table: HashTable::new(), ends: vec![0], items: Vec::new() }
    }

    pub(crate) fn get(&self, id: u32) -> &[u32] {
        let i = id as usize;
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.items[from as usize..self.ends[i] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    pub(crate) fn find(&self, list: &[u32]) -> Option<u32> {
        if list.is_empty() {
            return Some(0);
        }
        self.table.find(hash_ids(list), |i| self.get(*i) == list).copied()
    }

    pub(crate) fn intern(&mut self, list: &[u32]) -> u32 {
        if let Some(i) = self.find(list) {
            return i;
        }
        let id = self.ends.len() as u32;
        self.items.extend_from_slice(list);
        self.ends.push(self.items.len() as u32);
        let (ends, items) = (&self.ends, &self.items);
        self.table.insert_unique(hash_ids(list), id, |i| {
            let i = *i as usize;
            hash_ids(&items[ends[i - 1] as usize..ends[i] as usize])
        });
        id
    }

    pub(crate) fn clear(&mut self) {
        *self = Lists::new();
    }

    /// Numbers held.
    pub(crate) fn items(&self) -> usize {
        self.items.len() + self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.items.capacity() + self.ends.capacity() + self.table.capacity()) * 4
    }
}

/// Things that satisfied sets of patterns are remembered up to this number of lists.
const MAX_SATISFIED: usize = 1 << 14;

/// The classes of one group: lists of the parts that hold, and what is known of how to get there.
pub(crate) struct Classes {
    parts: Lists,
    /// Lists of the sets of patterns that a value satisfied, and the class of each. The sets decide the class,
    /// and values that are new every time still satisfy the same few sets.
    satisfied: Lists,
    class: Vec<u32>,
}

impl Classes {
    pub(crate) fn new() -> Classes {
        Classes { parts: Lists::new(), satisfied: Lists::new(), class: vec![UNKNOWN] }
    }

    /// The class of values that satisfy these sets of patterns, in order; `parts` finds out which parts hold
    /// then.
    pub(crate) fn of(&mut self, sets: &[u32], parts: impl FnOnce() -> Vec<u32>) -> u32 {
        if let Some(i) = self.satisfied.find(sets)
            && self.class[i as usize] != UNKNOWN
        {
            return self.class[i as usize];
        }
        let class = self.parts.intern(&parts());
        if self.satisfied.len() >= MAX_SATISFIED {
            self.satisfied.clear();
            self.class = vec![UNKNOWN];
        }
        let i = self.satisfied.intern(sets) as usize;
        self.class.resize(self.satisfied.len(), UNKNOWN);
        self.class[i] = class;
        class
    }

    /// The parts of each class.
    pub(crate) fn parts(&self) -> &Lists {
        &self.parts
    }

    pub(crate) fn clear(&mut self) {
        *self = Classes::new();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.parts.bytes() + self.satisfied.bytes() + self.class.capacity() * 4
    }
}

/// A list of which the class is not known.
const UNKNOWN: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_remembered_until_there_are_too_many() {
        let mut v = Values::new(2_000);
        v.insert(4, b"hot", 7);
        for i in 0..10_000u32 {
            let key = format!("value {i}");
            assert_eq!(v.get(4, key.as_bytes()), None);
            v.insert(4, key.as_bytes(), i);
            assert_eq!(v.get(4, key.as_bytes()), Some(i));
            // What is used stays; another kind is another value.
            assert_eq!(v.get(4, b"hot"), Some(7));
            assert_eq!(v.get(6, b"hot"), None);
        }
        assert_eq!(v.get(4, b"value 0"), None);
        assert!(v.bytes() < 20_000, "{}", v.bytes());
        v.clear();
        assert_eq!(v.get(4, b"hot"), None);
    }

    #[test]
    fn an_empty_key_is_a_key() {
        let mut v = Values::new(100);
        assert_eq!(v.get(4, b""), None);
        v.insert(4, b"", 3);
        assert_eq!(v.get(4, b""), Some(3));
        assert_eq!(v.get(3, b""), None);
    }

    #[test]
    fn lists_are_interned() {
        let mut l = Lists::new();
        assert_eq!(l.intern(&[]), 0);
        let a = l.intern(&[1, 2]);
        let b = l.intern(&[1]);
        assert_ne!(a, b);
        assert_eq!(l.intern(&[1, 2]), a);
        assert_eq!(l.get(b), &[1]);
        assert_eq!(l.get(0), &[] as &[u32]);
        for i in 0..1000 {
            l.intern(&[i, i + 1, i * 7]);
        }
        assert_eq!(l.find(&[1, 2]), Some(a));
        assert_eq!(l.find(&[9, 9]), None);
    }
}
