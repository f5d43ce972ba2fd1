//! Lines whose keys were met before: walked, settled by their plan, and handed to the sink.

use std::ops::ControlFlow;

use tercel_ir::Name;

use super::adapter::Layouts;
use super::walk::{MAX_VALUES, Tree, Walked, Way};
use crate::json::object_pieces;
use crate::layout::{EventText, LaidOut, LayoutSink};
use crate::shape::{Plan, Recogniser, Shape};
use crate::value::RawValue;

/// Values of an event at most: those of the line, and the copies that its plan makes.
pub(super) const ROOM: usize = MAX_VALUES + Plan::MORE;

/// What learning one line costs, in lines that were walked.
const PRICE: u32 = 8;
/// How many lines may be learned in a row.
const SAVINGS: u32 = 1024 * PRICE;

/// Events with the same table and names.
struct Variant {
    /// As the plan numbers them.
    number: u32,
    /// The sink's number of the layout.
    id: Option<usize>,
    /// Where its rows are counted.
    counter: usize,
    /// The place of the time that the user chose.
    chosen: Option<usize>,
}

/// What is known of lines with the same keys.
struct Leaf {
    plan: Plan,
    variants: Vec<Variant>,
    /// The variant of the last event.
    last: usize,
}

/// Where a line is.
pub(super) struct Line<'a> {
    pub buf: &'a [u8],
    pub at: usize,
    pub number: u64,
    /// How long it may be.
    pub limit: usize,
}

/// What became of a line.
pub(super) enum Outcome {
    /// It is done; behind it the next one begins.
    Done(usize, ControlFlow<()>),
    /// It must be read in the ordinary way.
    Ordinary,
}

/// What one thread knows about lines.
pub(super) struct Fast {
    tree: Tree,
    leaves: Vec<Leaf>,
    /// Rows by table and shape that the recogniser was not told of yet.
    counters: Vec<(Name, Shape, u64)>,
    /// The generation of the layouts that `leaves` speak of.
    generation: u64,
    /// The table of records of no known shape.
    stem: Option<Name>,
    savings: u32,
}

impl Fast {
    pub fn new(way: Way) -> Fast {
        Fast {
            tree: Tree::new(way),
            leaves: Vec::new(),
            counters: Vec::new(),
            generation: 0,
            stem: None,
            savings: SAVINGS,
        }
    }

    /// Begins a file, or a part of one. The counts must be settled.
    pub fn begin(&mut self, stem: &Name) {
        if self.stem.as_ref() == Some(stem) {
            return;
        }
        self.stem = Some(stem.clone());
        for leaf in self.leaves.iter_mut().filter(|l| l.plan.by_file()) {
            leaf.variants.clear();
        }
        // One for each file's own table: not for ever.
        if self.counters.len() > 256 {
            self.forget_variants();
        }
    }

    fn forget_variants(&mut self) {
        self.leaves.iter_mut().for_each(|l| l.variants.clear());
        self.counters.clear();
    }

    /// Tells the recogniser of the rows counted here.
    pub fn settle_counts(&mut self, recogniser: &mut Recogniser<'_>) {
        for (table, shape, n) in self.counters.iter_mut().filter(|c| c.2 > 0) {
            recogniser.count_rows(table, *shape, std::mem::take(n));
        }
    }

    /// Takes a line, if its keys are known. `values` are scratch, [`ROOM`] of them.
    #[inline]
    pub fn line<'a, S: LayoutSink>(
        &mut self,
        line: &Line<'a>,
        values: &mut [RawValue<'a>],
        recogniser: &mut Recogniser<'_>,
        layouts: &mut Layouts<'_, S>,
    ) -> Outcome {
        let &Line { buf, at, number, limit } = line;
        let Some(walked) = self.tree.walk(buf, at, &mut values[..MAX_VALUES]) else {
            return Outcome::Ordinary;
        };
        let Walked { object, line: next, end } = walked;
        if next - at > limit {
            return Outcome::Ordinary;
        }
        self.savings = (self.savings + 1).min(SAVINGS);
        if self.generation != layouts.generation() {
            self.generation = layouts.generation();
            self.settle_counts(recogniser);
            self.forget_variants();
        }
        let leaf = &mut self.leaves[end as usize];
        let Some((settled, n)) = leaf.plan.settle(values) else { return Outcome::Ordinary };
        let is = |v: &Variant| v.number == settled.variant;
        if !leaf.variants.get(leaf.last).is_some_and(is) {
            match leaf.variants.iter().position(is) {
                Some(i) => leaf.last = i,
                None => self.meet(end, settled.variant, recogniser, layouts),
            }
        }
        let leaf = &self.leaves[end as usize];
        let variant = &leaf.variants[leaf.last];
        self.counters[variant.counter].2 += 1;
        let Some(id) = variant.id else { return Outcome::Done(next, ControlFlow::Continue(())) };
        let times = match variant.chosen {
            Some(i) => [values[i], settled.times[0]],
            None => settled.times,
        };
        // SAFETY: the walk found every byte of the object: what stands between values is equal to text that
        // was learned from a string, and the values are strings themselves or ASCII.
        let text = unsafe { std::str::from_utf8_unchecked(&buf[at..object]) };
        let event = LaidOut {
            values: &values[..n],
            times,
            record: number.cast_signed(),
            text: EventText::Written(text),
        };
        Outcome::Done(next, layouts.deliver(id, &event))
    }

    /// Adds a variant that was not met before, and makes it the last.
    #[cold]
    fn meet<S: LayoutSink>(
        &mut self,
        leaf: u32,
        number: u32,
        recogniser: &mut Recogniser<'_>,
        layouts: &mut Layouts<'_, S>,
    ) {
        let stem = self.stem.clone().unwrap_or_else(|| "".into());
        let (table, shape, names) = self.leaves[leaf as usize].plan.describe(number, &stem, recogniser);
        let chosen = recogniser.time_field().and_then(|f| names.iter().position(|n| **n == *f));
        let id = layouts.announce(&table, &names);
        if self.generation != layouts.generation() {
            self.generation = layouts.generation();
            self.settle_counts(recogniser);
            self.forget_variants();
        }
        let counter = match self.counters.iter().position(|c| c.0 == table && c.1 == shape) {
            Some(i) => i,
            None => {
                self.counters.push((table, shape, 0));
                self.counters.len() - 1
            }
        };
        let leaf = &mut self.leaves[leaf as usize];
        leaf.variants.push(Variant { number, id, counter, chosen });
        leaf.last = leaf.variants.len() - 1;
    }

    /// Looks at a line that was not known, without its line end, so that it is known the next time.
    pub fn learn(&mut self, line: &[u8], recogniser: &mut Recogniser<'_>) {
        if self.savings < PRICE || line.first() != Some(&b'{') || !recogniser.last_has_plan() {
            return;
        }
        self.savings -= PRICE;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else { return };
        let Some(pieces) = object_pieces(text, 0) else { return };
        if pieces.end != text.len() {
            return;
        }
        let Some(plan) = recogniser.plan(&pieces.names) else { return };
        let mut end = self.leaves.len() as u32;
        if !self.tree.insert(line, &pieces.before, end) {
            // Full: what comes now is likelier to come again than what came long ago.
            self.tree.clear();
            self.leaves.clear();
            end = 0;
            if !self.tree.insert(line, &pieces.before, end) {
                return;
            }
        }
        self.leaves.push(Leaf { plan, variants: Vec::new(), last: 0 });
    }
}
