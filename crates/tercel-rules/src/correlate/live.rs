//! The live state of one correlation: the hits within its timespan, in one ring for all groups, and what
//! is known of each group.
//!
//! All hits of a correlation live equally long, so one ring in order of time holds them; those of a group
//! are linked. Taking the oldest away is popping the front, whichever group it belongs to. A hit thus costs
//! constant time beside what its kind keeps, however large its group is.

use super::store::Store;
use super::{Contribution, Counts, Outcome};
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};
use std::collections::VecDeque;
use std::hash::BuildHasher;
use tercel_ir::correlation::{Plan, UNBOUNDED};

/// A hit on its way into a correlation.
pub(super) struct Input {
    pub time: i64,
    pub reference: u64,
    /// The number reckoned with, where the kind takes one.
    pub number: f64,
    /// The correlation, by its place in the order of evaluation.
    pub node: u32,
    /// Which of its rules.
    pub rule: u32,
    /// Whether it is a firing of another correlation.
    pub fire: bool,
    pub key_len: u32,
    pub text_len: u32,
    /// Key of the group, text counted, carried values.
    pub payload: Box<[u8]>,
}

impl Input {
    fn key(&self) -> &[u8] {
        &self.payload[..self.key_len as usize]
    }
    fn text(&self) -> &[u8] {
        &self.payload[self.key_len as usize..][..self.text_len as usize]
    }
    fn carried(&self) -> &[u8] {
        &self.payload[self.key_len as usize + self.text_len as usize..]
    }
    /// What it takes while it waits.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Input>() + self.payload.len() + HEAP
    }
}

/// What the allocator adds to a small block, roughly.
pub(super) const HEAP: usize = 16;

struct Entry {
    time: i64,
    reference: u64,
    /// What the store needs to take the hit away again.
    kept: u64,
    group: u32,
    /// Sequence number of the next hit of the group, if there is one (see [`Group::tail`]).
    next: u32,
    rule: u32,
}

struct Group {
    key: Box<[u8]>,
    /// Hits in the window; a place without hits is free.
    hits: u32,
    /// Sequence numbers of the oldest and the newest hit. They wrap; the ring never holds 2^32 hits, so a
    /// difference to the front of the ring is unique.
    head: u32,
    tail: u32,
    /// A hit has come since the group was last judged.
    fresh: bool,
    /// The condition held when it was last judged.
    running: bool,
}

/// A condition that went on holding after it fired.
pub(super) struct Run {
    fire: u64,
    hits: u64,
    last: i64,
    /// Hits since the group was last judged: of the run if it then still holds.
    new: u64,
    newest: i64,
}

impl Run {
    pub(super) fn new(fire: u64) -> Run {
        Run { fire, hits: 0, last: i64::MIN, new: 0, newest: i64::MIN }
    }
    pub(super) fn fire(&self) -> u64 {
        self.fire
    }
    /// The end of it, if it went on at all.
    pub(super) fn end(&self) -> Option<Outcome> {
        (self.hits > 0).then_some(Outcome::End { fire: self.fire, last: self.last, hits: self.hits })
    }
}

/// What was found when a group was judged.
pub(super) struct Found {
    pub group: u32,
    pub value: f64,
}

pub(super) struct Live {
    timespan: i64,
    condition: tercel_ir::correlation::Trigger,
    temporal: bool,
    waits: bool,
    carries: bool,
    store: Store,
    ring: VecDeque<Entry>,
    /// Sequence number of the front of the ring.
    base: u32,
    /// How many entries from the front have had the window that begins with them judged.
    closed: usize,
    groups: Vec<Group>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// For groups in a run.
    pub(super) runs: HashMap<u32, Run>,
    /// Values that firings hand on, of the last hit of each group.
    carried: HashMap<u32, Box<[u8]>>,
    /// Events of the current step, to count each once.
    seen: HashSet<(u64, u32)>,
    touched: Vec<u32>,
    /// Runs that ended.
    pub(super) ended: Vec<Run>,
    pub(super) bytes: usize,
    pub(super) counts: Counts,
}

impl Live {
    pub(super) fn new(plan: &Plan, carries: bool) -> Result<Live, String> {
        Ok(Live {
            timespan: plan.timespan,
            condition: plan.condition.clone(),
            temporal: plan.kind.is_temporal(),
            waits: plan.waits(),
            carries,
            store: Store::new(plan)?,
            ring: VecDeque::new(),
            base: 0,
            closed: 0,
            groups: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            runs: HashMap::new(),
            carried: HashMap::new(),
            seen: HashSet::new(),
            touched: Vec::new(),
            ended: Vec::new(),
            bytes: 0,
            counts: Counts::default(),
        })
    }

    /// Groups with hits in their window.
    pub(super) fn live_groups(&self) -> usize {
        self.groups.len() - self.free.len()
    }

    /// When the next window closes, if the condition waits for that.
    pub(super) fn next_close(&self) -> Option<i64> {
        if !self.waits {
            return None;
        }
        self.ring.get(self.closed).map(|e| match self.timespan {
            UNBOUNDED => i64::MAX,
            t => e.time.saturating_add(t),
        })
    }

    /// Forgets hits that are too old for a window that ends at `now`.
    pub(super) fn expire(&mut self, now: i64) {
        if self.timespan == UNBOUNDED {
            return;
        }
        let oldest = now.saturating_sub(self.timespan);
        while let Some(e) = self.ring.front()
            && e.time < oldest
        {
            let (group, kept, next) = (e.group, e.kept, e.next);
            self.ring.pop_front();
            self.base = self.base.wrapping_add(1);
            self.closed = self.closed.saturating_sub(1);
            self.bytes -= (ENTRY + self.store.remove(group, kept)).min(self.bytes);
            let g = &mut self.groups[group as usize];
            g.hits -= 1;
            g.head = next;
            if g.hits == 0 {
                self.drop_group(group);
            }
        }
        if self.ring.capacity() > 1024 && self.ring.len() < self.ring.capacity() / 4 {
            self.ring.shrink_to(self.ring.len() * 2);
        }
    }

    fn drop_group(&mut self, group: u32) {
        let Live { groups, index, hasher, free, .. } = self;
        let g = &mut groups[group as usize];
        let hash = hasher.hash_one(&*g.key);
        if let Ok(found) = index.find_entry(hash, |i| *i == group) {
            found.remove();
        }
        let key = std::mem::take(&mut g.key);
        g.running = false;
        free.push(group);
        self.bytes -= (self.group_bytes() + key.len()).min(self.bytes);
        self.ended.extend(self.runs.remove(&group));
        if let Some(c) = self.carried.remove(&group) {
            self.bytes -= (c.len() + HEAP).min(self.bytes);
        }
    }

    fn group_bytes(&self) -> usize {
        // The table of groups is between half and 7/8 full, four bytes and a control byte a place.
        size_of::<Group>() + HEAP + 8 + self.store.group_bytes()
    }

    /// Takes the hits of one moment in. Hits beyond `room` bytes are counted as refused.
    pub(super) fn apply(&mut self, inputs: &mut [Input], room: usize) {
        inputs.sort_unstable_by(|a, b| {
            (a.rule, a.reference, &a.payload).cmp(&(b.rule, b.reference, &b.payload))
        });
        self.seen.clear();
        self.seen.shrink_to(1024);
        let once = inputs.len() > 1 && !self.temporal;
        let limit = self.bytes.saturating_add(room);
        for input in inputs.iter() {
            self.counts.hits += 1;
            if self.bytes >= limit || self.ring.len() >= (u32::MAX / 2) as usize {
                self.counts.refused += 1;
                continue;
            }
            let group = self.group(input.key());
            if once && !input.fire && !self.seen.insert((input.reference, group)) {
                continue;
            }
            self.hit(group, input);
        }
    }

    /// The group of a key; a new one has no hits yet and must get one.
    fn group(&mut self, key: &[u8]) -> u32 {
        let Live { groups, index, hasher, free, .. } = self;
        let hash = hasher.hash_one(key);
        if let Some(&g) = index.find(hash, |&i| &*groups[i as usize].key == key) {
            return g;
        }
        let fresh = Group { key: key.into(), hits: 0, head: 0, tail: 0, fresh: false, running: false };
        let g = match free.pop() {
            Some(g) => {
                groups[g as usize] = fresh;
                g
            }
            None => {
                groups.push(fresh);
                (groups.len() - 1) as u32
            }
        };
        index.insert_unique(hash, g, |&i| hasher.hash_one(&*groups[i as usize].key));
        self.store.start(g);
        self.bytes += self.group_bytes() + key.len();
        g
    }

    fn hit(&mut self, group: u32, input: &Input) {
        let (kept, bytes) =
            self.store.add(group, input.rule as usize, input.time, input.number, input.text());
        let number = self.base.wrapping_add(self.ring.len() as u32);
        let g = &mut self.groups[group as usize];
        if g.hits == 0 {
            g.head = number;
        } else {
            let before = g.tail.wrapping_sub(self.base) as usize;
            self.ring[before].next = number;
        }
        g.tail = number;
        g.hits += 1;
        if !g.fresh && !self.waits {
            self.touched.push(group);
        }
        g.fresh = true;
        if g.running
            && let Some(run) = self.runs.get_mut(&group)
        {
            run.new += 1;
            run.newest = input.time;
        }
        self.ring.push_back(Entry {
            time: input.time,
            reference: input.reference,
            kept,
            group,
            next: number,
            rule: input.rule,
        });
        self.bytes += ENTRY + bytes;
        if self.carries {
            let carried: Box<[u8]> = input.carried().into();
            self.bytes += carried.len() + HEAP;
            if let Some(old) = self.carried.insert(group, carried) {
                self.bytes -= (old.len() + HEAP).min(self.bytes);
            }
        }
    }

    /// Judges what is to be judged at `now`: the groups that were hit, or the windows that close up to
    /// `closing`. Gives the groups whose condition begins to hold, in the order of their keys.
    pub(super) fn judge(&mut self, now: i64, closing: i64) -> Vec<Found> {
        let touched = std::mem::take(&mut self.touched);
        let mut out = Vec::new();
        if self.waits {
            while let Some(e) = self.ring.get(self.closed)
                && e.time.saturating_add(self.timespan) <= closing
            {
                let group = e.group;
                self.closed += 1;
                // Without a new hit the window lies within the one judged before.
                self.judge_group(group, now, &mut out);
            }
        } else {
            for &group in &touched {
                self.judge_group(group, now, &mut out);
            }
        }
        self.touched = touched;
        self.touched.clear();
        self.touched.shrink_to(1024);
        out.sort_by(|a, b| self.groups[a.group as usize].key.cmp(&self.groups[b.group as usize].key));
        out
    }

    fn judge_group(&mut self, group: u32, now: i64, out: &mut Vec<Found>) {
        let g = &self.groups[group as usize];
        if !g.fresh || g.hits == 0 {
            return;
        }
        let since = match self.timespan {
            UNBOUNDED => i64::MIN + 1,
            t => now.saturating_sub(t),
        };
        let value = self.store.value(group, g.hits, since);
        let holds = match self.store.holds(group, since) {
            Some(holds) => holds,
            None => value.is_some_and(|v| self.condition.holds(v)),
        };
        let g = &mut self.groups[group as usize];
        g.fresh = false;
        match (g.running, holds) {
            (false, true) => {
                g.running = true;
                out.push(Found { group, value: value.unwrap_or_default() });
            }
            (true, false) => {
                g.running = false;
                self.ended.extend(self.runs.remove(&group));
            }
            (true, true) => {
                if let Some(run) = self.runs.get_mut(&group) {
                    run.hits += std::mem::take(&mut run.new);
                    run.last = run.newest;
                }
            }
            (false, false) => {}
        }
    }

    /// Key of a group.
    pub(super) fn key(&self, group: u32) -> &[u8] {
        &self.groups[group as usize].key
    }

    /// Values carried by the last hit of a group.
    pub(super) fn carried(&self, group: u32) -> &[u8] {
        self.carried.get(&group).map_or(&[], |c| c)
    }

    /// Number of hits in the window of a group, the times of the first and the last, and the first `most`
    /// of them.
    pub(super) fn window(&self, group: u32, most: usize) -> (u64, i64, i64, Vec<Contribution>) {
        let g = &self.groups[group as usize];
        let entry = |number: u32| &self.ring[number.wrapping_sub(self.base) as usize];
        let (first, last) = (entry(g.head).time, entry(g.tail).time);
        let mut at = g.head;
        let list = (0..most.min(g.hits as usize))
            .map(|_| {
                let e = entry(at);
                at = e.next;
                Contribution { rule: e.rule as usize, time: e.time, reference: e.reference }
            })
            .collect();
        (u64::from(g.hits), first, last, list)
    }
}

/// What a hit takes in the ring.
const ENTRY: usize = size_of::<Entry>();
