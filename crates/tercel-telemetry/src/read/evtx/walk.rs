//! The straight walk: from a record's bytes to the values of an event, without any text between.
//!
//! What a template says is worked out once (`plan.rs`) and kept over chunks and files; what remains for
//! a record is to read the table of its values and to put each where it belongs.

use std::collections::HashMap;

use tercel_ir::Name;

use super::binxml::{self, DEFINITION_HEADER, Instance, NameRef, Slot, name_at, ty, u32_at};
use super::plan::{
    self, CHANNEL, Data, Entry, HEAD, Leaf, PROVIDER, Part, Plan, RECORD_ID, Root, TAIL, TIME,
};
use super::render::{self, Program, Record};
use super::values::{self, Arena};
use crate::batch::NameHasher;
use crate::shape::{Log, Recogniser};
use crate::value::RawValue;

/// Most definitions that are kept, and most bytes of them. Real fleets have some hundreds.
const MAX_PLANS: usize = 4096;
const MAX_PLAN_BYTES: usize = 16 << 20;
/// Most definitions of one chunk.
const MAX_HERE: usize = 256;
/// Most layouts of one walker. Records beyond go through the full parser.
const MAX_LAYOUTS: usize = 4096;
type Map<K, V> = HashMap<K, V, std::hash::BuildHasherDefault<NameHasher>>;

/// No plan.
const NONE: u32 = u32::MAX;

/// A definition that was seen, whole.
struct Definition {
    body: Box<[u8]>,
    names: Vec<NameRef>,
    /// [`NONE`]: it has no plan.
    plan: u32,
}

impl Definition {
    /// Whether the definition whose body begins at `at` is the same. Names stand elsewhere in every
    /// chunk, so their text is compared instead of their place.
    fn is(&self, chunk: &[u8], at: usize, size: usize) -> bool {
        let Some(body) = chunk.get(at..at + size) else { return false };
        if body.len() != self.body.len() {
            return false;
        }
        let mut done = 0;
        for name in &self.names {
            let Some(offset) = u32_at(body, name.at) else { return false };
            let inline = offset as usize == at + name.at + 4;
            if body[done..name.at] != self.body[done..name.at]
                || inline != name.inline
                || name_at(chunk, offset) != Some(&*name.units)
            {
                return false;
            }
            // An inline name begins with the place of the next one in the table.
            done = name.at + if name.inline { 8 } else { 4 };
        }
        body.get(done..) == self.body.get(done..)
    }
}

/// What decides which fields an event has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    log: Log,
    /// The plan of the record and of the data in it, and which of their checks hold.
    plans: [u32; 3],
    checks: [u64; 3],
}

/// The names of an event's values, in their order.
pub(super) struct Layout {
    pub table: Name,
    pub names: Vec<Name>,
    /// Where names are repeated: the distinct ones, and their places.
    distinct: Option<(Vec<Name>, Vec<usize>)>,
    /// The field that gives the time, if one was named.
    time: Option<usize>,
    /// Sysmon's own time.
    utc: Option<usize>,
    /// What a sink by layouts calls it, and in which of its generations.
    pub number: Option<usize>,
    pub generation: Option<u64>,
}

impl Layout {
    fn new(table: Name, names: Vec<Name>, log: Log, time_field: Option<&str>) -> Layout {
        let position = |name: &str| names.iter().position(|n| &**n == name);
        let (time, utc) =
            (time_field.and_then(position), if log == Log::Sysmon { position("UtcTime") } else { None });
        let firsts: Vec<usize> = (0..names.len()).filter(|i| position(&names[*i]) == Some(*i)).collect();
        let distinct = (firsts.len() < names.len())
            .then(|| (firsts.iter().map(|i| names[*i].clone()).collect(), firsts));
        Layout { table, names, distinct, time, utc, number: None, generation: None }
    }

    pub fn distinct_names(&self) -> &[Name] {
        self.distinct.as_ref().map_or(&self.names, |(names, _)| names)
    }

    /// Leaves the first value of each name.
    #[inline]
    pub fn keep_distinct(&self, values: &mut Vec<RawValue<'_>>) {
        if let Some((_, places)) = &self.distinct {
            for (to, from) in places.iter().enumerate() {
                // Places rise, so that nothing is overwritten before it is moved.
                values[to] = values[*from];
            }
            values.truncate(places.len());
        }
    }

    /// Where the time of an event may stand, best first (as the recogniser decides for other carriers).
    #[inline]
    pub fn times<'r>(&self, record: RawValue<'r>, values: &[RawValue<'r>]) -> [RawValue<'r>; 2] {
        let get = |i: Option<usize>| i.and_then(|i| values.get(i)).copied();
        match get(self.time) {
            Some(chosen) => [chosen, record],
            None => [record, get(self.utc).unwrap_or(RawValue::Null)],
        }
    }
}

/// A record that was found to be walkable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    pub layout: usize,
    plans: [u32; 3],
    checks: [u64; 3],
    instances: [Instance; 3],
    /// The values in which the latter instances are; [`u16::MAX`]: there is none.
    places: [u16; 2],
}

/// What stands beside an event's values.
pub(super) struct Found<'r> {
    pub time: RawValue<'r>,
    /// The record number that the event itself carries.
    pub record: Option<i64>,
}

/// Caches of one thread: they outlive files.
#[derive(Default)]
pub(crate) struct Walker {
    definitions: Map<([u8; 16], u32), Vec<Definition>>,
    bytes: usize,
    plans: Vec<Plan>,
    /// The plans of this chunk by the place of their definition.
    here: Vec<(u32, u32)>,
    keys: Map<Key, usize>,
    last: Option<(Key, usize)>,
    pub(super) layouts: Vec<Layout>,
    by_names: HashMap<(Name, Vec<Name>), usize>,
    slots: Vec<Slot>,
    pub(super) buffers: Buffers,
    /// Texts that were left to the full parser.
    #[cfg(test)]
    pub(super) declined: std::cell::Cell<usize>,
}

/// Memory that files use one after another.
#[derive(Default)]
pub(super) struct Buffers {
    pub chunk: Vec<u8>,
    /// For rendered values.
    pub room: Vec<u8>,
}

impl Walker {
    /// Forgets what holds for one chunk only.
    pub(super) fn next_chunk(&mut self) {
        self.here.clear();
        if self.plans.len() > MAX_PLANS || self.bytes > MAX_PLAN_BYTES {
            self.definitions.clear();
            self.plans.clear();
            self.keys.clear();
            self.last = None;
            self.bytes = 0;
        }
    }

    /// The plan of the definition at a place in the chunk.
    fn plan(&mut self, chunk: &[u8], offset: u32) -> Option<u32> {
        if let Some((_, plan)) = self.here.iter().find(|(o, _)| *o == offset) {
            return (*plan != NONE).then_some(*plan);
        }
        // A chunk has few definitions; a hostile one could point at every byte.
        if self.here.len() >= MAX_HERE || self.bytes > MAX_PLAN_BYTES {
            return None;
        }
        let at = offset as usize;
        let header = chunk.get(at..at.checked_add(DEFINITION_HEADER)?)?;
        let guid: [u8; 16] = header[4..20].try_into().ok()?;
        let size = u32_at(header, 20)?;
        let start = at + DEFINITION_HEADER;
        let end = start.checked_add(size as usize)?;
        let body = chunk.get(start..end)?;
        let known = self.definitions.entry((guid, size)).or_default();
        let plan = match known.iter().find(|d| d.is(chunk, start, size as usize)) {
            Some(d) => d.plan,
            None => {
                let tree = binxml::definition(chunk, start, end);
                let compiled = tree.as_ref().and_then(plan::compile);
                let plan = compiled.map_or(NONE, |plan| {
                    self.bytes += plan.text.as_ref().map_or(0, Program::size);
                    self.plans.push(plan);
                    self.plans.len() as u32 - 1
                });
                // Without its names a definition cannot be told from another.
                if let Some(tree) = tree {
                    self.bytes += body.len() * 4;
                    known.push(Definition { body: body.into(), names: tree.names, plan });
                }
                plan
            }
        };
        self.here.push((offset, plan));
        (plan != NONE).then_some(plan)
    }

    /// Which checks of a plan hold; `None`: the values are such that the plan does not apply.
    fn checks(plan: &Plan, slots: &[Slot], chunk: &[u8]) -> Option<u64> {
        if slots.len() < plan.values {
            return None;
        }
        let mut bits = 0;
        for (i, check) in plan.checks.iter().enumerate() {
            let get = |s: &u16| slots.get(usize::from(*s));
            let there = !check.dependency.as_ref().and_then(get).is_some_and(Slot::is_null)
                && !check.attribute.as_ref().and_then(get).is_some_and(|s| s.is_empty(chunk));
            bits |= u64::from(there) << i;
        }
        Some(bits)
    }

    /// Whether lists and XML stand only where the plan can have them. Elsewhere they change the shape of
    /// the whole event.
    fn placed(plan: &Plan, slots: &[Slot]) -> bool {
        slots.iter().enumerate().all(|(i, slot)| match slot.ty {
            ty::ARRAYS.. => slot.ty == ty::STRINGS && slot.len > 0 && plan.lists.contains(&(i as u16)),
            ty::XML if slot.len > 0 => match &plan.root {
                Root::Event { parts, .. } => {
                    parts.iter().any(|p| matches!(p, Part::Slot(s) | Part::User(s) if usize::from(*s) == i))
                }
                _ => false,
            },
            _ => true,
        })
    }

    /// Finds out what the record whose XML is `start..end` is. `None`: it is left to the full parser.
    pub(super) fn locate(
        &mut self,
        chunk: &[u8],
        start: usize,
        end: usize,
        recogniser: &Recogniser<'_>,
    ) -> Option<Located> {
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        let located = self.locate_in(chunk, start, end, &mut slots, recogniser);
        self.slots = slots;
        located
    }

    fn locate_in(
        &mut self,
        chunk: &[u8],
        start: usize,
        end: usize,
        slots: &mut Vec<Slot>,
        recogniser: &Recogniser<'_>,
    ) -> Option<Located> {
        let outer = binxml::instance(chunk, start, end, slots)?;
        let mut plans = [self.plan(chunk, outer.definition)?, NONE, NONE];
        let mut instances = [outer; 3];
        let mut checks = [0; 3];
        let mut places = [u16::MAX; 2];
        let own = outer.count;
        let special = slots.iter().any(|s| s.ty >= ty::XML);
        {
            let plan = &self.plans[plans[0] as usize];
            checks[0] = Self::checks(plan, slots, chunk)?;
            if special && !Self::placed(plan, slots) {
                return None;
            }
        }
        if special {
            let mut n = 1;
            let mut i = 0;
            // The event's children that are values, in their order.
            while let Root::Event { parts, .. } = &self.plans[plans[0] as usize].root
                && let Some(part) = parts.get(i)
            {
                i += 1;
                let (s, user) = match part {
                    Part::Slot(s) => (*s, false),
                    Part::User(s) => (*s, true),
                    Part::Data(_) => continue,
                };
                let slot = *slots[..own].get(usize::from(s))?;
                if slot.ty != ty::XML || slot.len == 0 {
                    continue;
                }
                let at = slot.at as usize;
                let inner = binxml::instance(chunk, at, at + usize::from(slot.len), slots)?;
                let plan = self.plan(chunk, inner.definition)?;
                let values = inner.slots(slots);
                let root = &self.plans[plan as usize];
                if matches!(root.root, Root::Event { .. }) || !Self::placed(root, values) {
                    return None;
                }
                let held = Self::checks(root, values, chunk)?;
                match &root.root {
                    Root::Other(_) if !user => continue,
                    Root::Other(Some(_)) => {}
                    // A data element in itself would be a field like another.
                    Root::Data(_) if !user => {}
                    _ => return None,
                }
                *plans.get_mut(n)? = plan;
                places[n - 1] = s;
                instances[n] = inner;
                checks[n] = held;
                n += 1;
            }
        }
        let Root::Event { system, .. } = &self.plans[plans[0] as usize].root else { return None };
        let log = self.log(system, checks[0], &slots[..own], chunk)?;
        let key = Key { log, plans, checks };
        let layout = match self.last {
            Some((last, layout)) if last == key => layout,
            _ => {
                let layout = match self.keys.get(&key) {
                    Some(layout) => *layout,
                    None => self.lay_out(key, recogniser)?,
                };
                self.last = Some((key, layout));
                layout
            }
        };
        Some(Located { layout, plans, checks, instances, places })
    }

    fn log(&self, system: &plan::System, checks: u64, slots: &[Slot], chunk: &[u8]) -> Option<Log> {
        let mut room = [0; 80];
        let mut arena = Arena::new(&mut room);
        let mut get = |i: usize| {
            let mut value = RawValue::Null;
            match &system[i] {
                Some(leaf) if holds(leaf.check, checks) => {
                    values::leaf(leaf, slots, chunk, &mut arena, &mut value)?;
                    Some(Some(value))
                }
                _ => Some(None),
            }
        };
        let (provider, channel) = (get(PROVIDER)?, get(CHANNEL)?);
        Some(Log::of(provider, channel))
    }

    /// The data of an event in the order of its children; of each kind the first counts.
    fn data<'w>(&'w self, plans: &[u32; 3], user: bool) -> Option<(usize, &'w Data)> {
        let Root::Event { parts, .. } = &self.plans[plans[0] as usize].root else { return None };
        // Data in values and data in the record's own template never were seen together, and which of
        // them is the first would depend on both.
        for (i, plan) in plans.iter().enumerate().skip(1) {
            if let Some(Plan { root: Root::Data(data) | Root::Other(Some(data)), .. }) =
                self.plans.get(*plan as usize)
                && data.user == user
            {
                return Some((i, data));
            }
        }
        parts.iter().find_map(|p| match p {
            Part::Data(data) if data.user == user => Some((0, data)),
            _ => None,
        })
    }

    /// Lays out events of a kind not seen before.
    #[cold]
    fn lay_out(&mut self, key: Key, recogniser: &Recogniser<'_>) -> Option<usize> {
        let Root::Event { system, parts } = &self.plans[key.plans[0] as usize].root else { return None };
        // See `data`.
        if key.plans[1] != NONE && parts.iter().any(|p| matches!(p, Part::Data(_))) {
            return None;
        }
        let there = |i: usize| system[i].as_ref().is_some_and(|leaf| holds(leaf.check, key.checks[0]));
        let mut names: Vec<Name> = (0..HEAD).filter(|i| there(*i)).map(|i| plan::SYSTEM[i].into()).collect();
        for user in [false, true] {
            if let Some((at, data)) = self.data(&key.plans, user) {
                let entries = data.entries.iter().filter(|e| holds(e.check(), key.checks[at]));
                names.extend(entries.map(|e| e.name().clone()));
            }
        }
        names.extend(TAIL.iter().filter(|(i, _)| there(*i)).flat_map(|(_, n)| n.map(Name::from)));
        let table = recogniser.log_name(key.log);
        let known = (table, names);
        let layout = match self.by_names.get(&known) {
            Some(layout) => *layout,
            None => {
                if self.layouts.len() >= MAX_LAYOUTS {
                    return None;
                }
                let (table, names) = known.clone();
                self.layouts.push(Layout::new(table, names, key.log, recogniser.time_field()));
                self.by_names.insert(known, self.layouts.len() - 1);
                self.layouts.len() - 1
            }
        };
        if self.keys.len() >= 4 * MAX_LAYOUTS {
            self.keys.clear();
        }
        self.keys.insert(key, layout);
        Some(layout)
    }

    /// Appends a located record as JSON, as the full parser writes it. `None`: it is left to that one.
    pub(super) fn render(&self, located: &Located, chunk: &[u8], out: &mut String) -> Option<()> {
        let done = self.render_located(located, chunk, out);
        #[cfg(test)]
        self.declined.set(self.declined.get() + usize::from(done.is_none()));
        done
    }

    fn render_located(&self, located: &Located, chunk: &[u8], out: &mut String) -> Option<()> {
        self.with_record(located, chunk, |record| render::render(record, out)).flatten()
    }

    /// Calls `f` with the instances of a located record. `None`: their definitions have no programs.
    pub(super) fn with_record<T>(
        &self,
        located: &Located,
        chunk: &[u8],
        f: impl FnOnce(&Record<'_>) -> T,
    ) -> Option<T> {
        let own = self.plans.get(located.plans[0] as usize)?.text.as_ref()?;
        let mut instances = [(own, located.instances[0].slots(&self.slots)); 3];
        let mut n = 1;
        for (i, instance) in instances.iter_mut().enumerate().skip(1) {
            if located.plans[i] != NONE {
                let program = self.plans.get(located.plans[i] as usize)?.text.as_ref()?;
                *instance = (program, located.instances[i].slots(&self.slots));
                n = i + 1;
            }
        }
        Some(f(&Record { chunk, instances: &instances[..n], places: &located.places[..n - 1] }))
    }

    /// Collects the values of a located record, one for each name of its layout. `None`: after all it is
    /// left to the full parser.
    pub(super) fn fill<'r>(
        &'r self,
        located: &Located,
        chunk: &'r [u8],
        arena: &mut Arena<'r>,
        out: &mut Vec<RawValue<'r>>,
    ) -> Option<Found<'r>> {
        let Root::Event { system, .. } = &self.plans.get(located.plans[0] as usize)?.root else {
            return None;
        };
        let names = self.layouts.get(located.layout)?.names.len();
        out.clear();
        out.resize(names, RawValue::Null);
        let mut places = out.iter_mut();
        let slots = located.instances[0].slots(&self.slots);
        let there = |leaf: &'r Option<Leaf>| leaf.as_ref().filter(|l| holds(l.check, located.checks[0]));
        let mut record = None;
        for (i, leaf) in system[..HEAD].iter().enumerate() {
            let Some(leaf) = there(leaf) else {
                // Without a record id, a field of that name in the data would be taken for it.
                if i == RECORD_ID {
                    return None;
                }
                continue;
            };
            let place = places.next()?;
            values::leaf(leaf, slots, chunk, arena, place)?;
            if i == RECORD_ID {
                record = match place {
                    RawValue::Long(n) if *n >= 0 => Some(*n),
                    _ => None,
                };
            }
        }
        for user in [false, true] {
            let Some((at, data)) = self.data(&located.plans, user) else { continue };
            let slots = located.instances[at].slots(&self.slots);
            for entry in &data.entries {
                if !holds(entry.check(), located.checks[at]) {
                    continue;
                }
                let place = places.next()?;
                match entry {
                    Entry::One(_, leaf) => values::leaf(leaf, slots, chunk, arena, place)?,
                    Entry::Many(_, leaves) => values::array(leaves, slots, chunk, arena, place)?,
                }
            }
        }
        let tail = names - places.len();
        for leaf in TAIL.iter().filter_map(|(i, _)| there(&system[*i])) {
            let place = places.next()?;
            values::leaf(leaf, slots, chunk, arena, place)?;
            // The other name, for which the value is copied below.
            places.next()?;
        }
        // By construction; a sink may rely on it.
        places.next().is_none().then_some(())?;
        let mut time = RawValue::Null;
        if let Some(leaf) = there(&system[TIME]) {
            values::leaf(leaf, slots, chunk, arena, &mut time)?;
        }
        for [one, other] in out.get_mut(tail..)?.as_chunks_mut::<2>().0 {
            *other = *one;
        }
        Some(Found { time, record })
    }
}

#[inline]
fn holds(check: Option<usize>, checks: u64) -> bool {
    check.is_none_or(|i| checks >> (i & 63) & 1 == 1)
}
