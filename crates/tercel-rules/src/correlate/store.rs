//! What a kind of correlation keeps of each of its groups, laid out flat by the index of the group.

use super::marks::Marks;
use super::sums::Sum;
use super::treap::{NIL, Treap};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::hash::BuildHasher;
use tercel_ir::correlation::{Kind, Plan};

/// Texts with numbers, counted, so that a text nobody has any more is forgotten.
#[derive(Default)]
pub(super) struct Texts {
    /// Text and number of its uses.
    texts: Vec<(Box<[u8]>, u32)>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    /// The number of a text, with one use more; and whether it is new.
    fn take(&mut self, text: &[u8]) -> (u32, bool) {
        let Texts { texts, free, index, hasher } = self;
        let hash = hasher.hash_one(text);
        if let Some(&i) = index.find(hash, |&i| &*texts[i as usize].0 == text) {
            texts[i as usize].1 += 1;
            return (i, false);
        }
        let i = free.pop().unwrap_or_else(|| {
            texts.push((Box::default(), 0));
            (texts.len() - 1) as u32
        });
        texts[i as usize] = (text.into(), 1);
        index.insert_unique(hash, i, |&i| hasher.hash_one(&*texts[i as usize].0));
        (i, true)
    }
    /// One use less; gives the length of the text if that was the last.
    fn give(&mut self, i: u32) -> Option<usize> {
        let Texts { texts, free, index, hasher } = self;
        let (text, uses) = &mut texts[i as usize];
        *uses -= 1;
        if *uses > 0 {
            return None;
        }
        let (hash, len) = (hasher.hash_one(&**text), text.len());
        if let Ok(found) = index.find_entry(hash, |&x| x == i) {
            found.remove();
        }
        texts[i as usize].0 = Box::default();
        free.push(i);
        Some(len)
    }
}

/// The state of all groups of one correlation.
pub(super) enum Store {
    /// The number of hits, which the groups know themselves.
    Count,
    /// How often each group has each value, and how many different ones.
    Distinct { counts: HashMap<(u32, u32), u32>, distinct: Vec<u32>, texts: Texts },
    /// When which rules had hits.
    Marks { marks: Marks, times: Vec<i64> },
    /// Sum and mean.
    Sums { sums: Vec<Sum>, mean: bool },
    /// Order statistics.
    Ranks { roots: Vec<u32>, tree: Treap, rank: Rank },
}

/// Which of the numbers is asked for.
#[derive(Clone, Copy)]
pub(super) enum Rank {
    Least,
    Greatest,
    Percentile(f64),
}

impl Store {
    /// For a plan that was checked.
    ///
    /// # Errors
    /// Why its condition is out of reach, in words.
    pub(super) fn new(plan: &Plan) -> Result<Store, String> {
        Ok(match plan.kind {
            Kind::EventCount => Store::Count,
            Kind::ValueCount => {
                Store::Distinct { counts: HashMap::new(), distinct: Vec::new(), texts: Texts::default() }
            }
            Kind::Temporal | Kind::TemporalOrdered => {
                Store::Marks { marks: Marks::new(plan)?, times: Vec::new() }
            }
            Kind::Sum => Store::Sums { sums: Vec::new(), mean: false },
            Kind::Avg => Store::Sums { sums: Vec::new(), mean: true },
            Kind::Min => Store::ranks(Rank::Least),
            Kind::Max => Store::ranks(Rank::Greatest),
            Kind::Percentile(p) => Store::ranks(Rank::Percentile(p)),
        })
    }
    fn ranks(rank: Rank) -> Store {
        Store::Ranks { roots: Vec::new(), tree: Treap::new(), rank }
    }

    /// Bytes that a group takes here by being there.
    pub(super) fn group_bytes(&self) -> usize {
        match self {
            Store::Count => 0,
            Store::Distinct { .. } | Store::Ranks { .. } => 4,
            Store::Marks { marks, .. } => marks.stride() * 8,
            Store::Sums { .. } => size_of::<Sum>(),
        }
    }

    /// Makes the place of a group, or clears that of one that was there before.
    pub(super) fn start(&mut self, group: u32) {
        let g = group as usize;
        fn set<T: Copy>(v: &mut Vec<T>, g: usize, empty: T) {
            if v.len() <= g {
                v.resize(g + 1, empty);
            }
            v[g] = empty;
        }
        match self {
            Store::Count => {}
            Store::Distinct { distinct, .. } => set(distinct, g, 0),
            Store::Marks { marks, times } => {
                let (from, to) = (g * marks.stride(), (g + 1) * marks.stride());
                if times.len() < to {
                    times.resize(to, i64::MIN);
                }
                times[from..to].fill(i64::MIN);
            }
            Store::Sums { sums, .. } => set(sums, g, Sum::default()),
            Store::Ranks { roots, .. } => set(roots, g, NIL),
        }
    }

    /// Adds a hit: of rule `rule` at `time`, with a number or a text. Gives what an entry must keep so
    /// that the hit can be taken away again, and how many bytes were added.
    pub(super) fn add(
        &mut self,
        group: u32,
        rule: usize,
        time: i64,
        number: f64,
        text: &[u8],
    ) -> (u64, usize) {
        let g = group as usize;
        match self {
            Store::Count => (0, 0),
            Store::Distinct { counts, distinct, texts } => {
                let (text_id, new) = texts.take(text);
                let mut bytes = if new { TEXT_BYTES + text.len() } else { 0 };
                let n = counts.entry((group, text_id)).or_insert(0);
                *n += 1;
                if *n == 1 {
                    distinct[g] += 1;
                    bytes += PAIR_BYTES;
                }
                (u64::from(text_id), bytes)
            }
            Store::Marks { marks, times } => {
                let from = g * marks.stride();
                marks.hit(&mut times[from..from + marks.stride()], rule, time);
                (0, 0)
            }
            Store::Sums { sums, .. } => {
                sums[g].add(number);
                (number.to_bits(), 0)
            }
            Store::Ranks { roots, tree, .. } => {
                roots[g] = tree.insert(roots[g], number);
                (number.to_bits(), NODE_BYTES)
            }
        }
    }

    /// Takes a hit away that [`Store::add`] gave `kept` for; gives the bytes that are free again.
    pub(super) fn remove(&mut self, group: u32, kept: u64) -> usize {
        let g = group as usize;
        match self {
            Store::Count | Store::Marks { .. } => 0,
            Store::Distinct { counts, distinct, texts } => {
                let text_id = kept as u32;
                let mut bytes = 0;
                if let hashbrown::hash_map::Entry::Occupied(mut n) = counts.entry((group, text_id)) {
                    *n.get_mut() -= 1;
                    if *n.get() == 0 {
                        n.remove();
                        distinct[g] -= 1;
                        bytes += PAIR_BYTES;
                    }
                }
                bytes + texts.give(text_id).map_or(0, |len| TEXT_BYTES + len)
            }
            Store::Sums { sums, .. } => {
                sums[g].remove(f64::from_bits(kept));
                0
            }
            Store::Ranks { roots, tree, .. } => {
                roots[g] = tree.remove(roots[g], f64::from_bits(kept));
                NODE_BYTES
            }
        }
    }

    /// What is counted or reckoned for a group with `hits` hits, over hits from `since` on.
    pub(super) fn value(&self, group: u32, hits: u32, since: i64) -> Option<f64> {
        let g = group as usize;
        match self {
            Store::Count => Some(f64::from(hits)),
            Store::Distinct { distinct, .. } => Some(f64::from(distinct[g])),
            Store::Marks { marks, times } => {
                let from = g * marks.stride();
                Some(marks.value(&times[from..from + marks.stride()], since))
            }
            Store::Sums { sums, mean: false } => sums[g].sum(),
            Store::Sums { sums, mean: true } => sums[g].mean(),
            Store::Ranks { roots, tree, rank } => match rank {
                Rank::Least => tree.select(roots[g], 0),
                Rank::Greatest => tree.select(roots[g], tree.len(roots[g]).checked_sub(1)?),
                Rank::Percentile(p) => tree.percentile(roots[g], *p),
            },
        }
    }

    /// Whether a condition over rules holds for a group; `None` when the condition is a comparison.
    pub(super) fn holds(&self, group: u32, since: i64) -> Option<bool> {
        match self {
            Store::Marks { marks, times } => {
                let from = group as usize * marks.stride();
                marks.holds(&times[from..from + marks.stride()], since)
            }
            _ => None,
        }
    }
}

/// What a text, a pair of group and text, and a node of a tree take, with their share of the tables.
const TEXT_BYTES: usize = 48;
const PAIR_BYTES: usize = 20;
const NODE_BYTES: usize = 24;
