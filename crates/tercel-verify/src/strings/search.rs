//! Breadth-first search for a text that several automata agree on.

use super::alphabet::alphabet;
use super::machine::{Halt, Machine};
use crate::atom::TextTest;
use crate::budget::{Meter, NO_TIME};
use crate::hash::QuickMap;
use crate::lens::Lens;

pub(crate) enum Found {
    Text(String),
    /// No text at all.
    Nothing,
    /// Not decided, and why.
    Unknown(&'static str),
}

/// A test of the text, and whether it must hold.
pub(crate) type Wanted<'a> = (&'a TextTest, &'a Lens, bool);

/// A shortest text for which all tests are as wanted. `no_separators` = texts with `\` or `/` do not occur.
pub(crate) fn search(wanted: &[Wanted<'_>], no_separators: bool, limit: usize, meter: &mut Meter) -> Found {
    let pairs: Vec<(&TextTest, &Lens)> = wanted.iter().map(|w| (w.0, w.1)).collect();
    let Some(letters) = alphabet(&pairs, no_separators, meter) else { return Found::Unknown(NO_TIME) };
    let mut machines = Vec::with_capacity(wanted.len());
    for (t, l, positive) in wanted {
        if meter.late() {
            return Found::Unknown(NO_TIME);
        }
        match Machine::new(t, l, *positive) {
            Ok(m) => machines.push(m),
            Err(_) => return Found::Unknown("a regular expression is too large"),
        }
    }
    // Readable texts first; only where there is none do other characters count.
    match run(&mut machines, &letters.plain, limit, meter) {
        Found::Nothing if !letters.rest.is_empty() => {
            let all: Vec<char> = letters.plain.iter().chain(&letters.rest).copied().collect();
            match run(&mut machines, &all, limit, meter) {
                Found::Nothing if letters.inexact => {
                    Found::Unknown("characters with several lower-case forms matter here")
                }
                f => f,
            }
        }
        Found::Nothing if letters.inexact => {
            Found::Unknown("characters with several lower-case forms matter here")
        }
        f => f,
    }
}

/// Steps of one automaton that were taken before, by state and letter: in a product each is taken many times.
struct Steps {
    letters: usize,
    taken: Vec<u32>,
}

/// Not taken yet; and nothing can be said of this letter here.
const NEW: u32 = u32::MAX - 2;
const SKIPPED: u32 = u32::MAX - 3;
/// Steps of one automaton that are kept.
const KEPT: usize = 1 << 18;

impl Steps {
    fn step(&mut self, m: &mut Machine, state: u32, letter: usize, c: char) -> Result<u32, Halt> {
        let row = state as usize;
        let at = row.saturating_mul(self.letters).saturating_add(letter);
        if at >= KEPT {
            return m.step(state, c);
        }
        if at >= self.taken.len() {
            self.taken.resize((row + 1) * self.letters, NEW);
        }
        match self.taken[at] {
            NEW => {}
            SKIPPED => return Err(Halt::Character),
            s => return Ok(s),
        }
        let made = m.step(state, c);
        match made {
            Ok(s) => self.taken[at] = s,
            Err(Halt::Character) => self.taken[at] = SKIPPED,
            Err(Halt::Memory) => {}
        }
        made
    }
}

fn run(machines: &mut [Machine], letters: &[char], limit: usize, meter: &mut Meter) -> Found {
    let many = machines.len();
    let mut index: QuickMap<Box<[u32]>, u32> = QuickMap::default();
    // The states of all automata, one product state after another.
    let mut states: Vec<u32> = Vec::new();
    // (state before, letter)
    let mut from: Vec<(u32, char)> = Vec::new();
    let mut steps: Vec<Steps> =
        machines.iter().map(|_| Steps { letters: letters.len(), taken: Vec::new() }).collect();
    let mut skipped = false;
    let unknown = |h: Halt| match h {
        Halt::Memory => Found::Unknown("a regular expression needs too many states"),
        Halt::Character => Found::Unknown("a Unicode word boundary"),
    };

    for m in machines.iter_mut() {
        match m.start() {
            Ok(s) => states.push(s),
            Err(h) => return unknown(h),
        }
    }
    index.insert(states.clone().into(), 0);
    from.push((u32::MAX, ' '));
    let mut at = 0;
    let mut here = vec![0u32; many];
    let mut next = vec![0u32; many];
    while at < from.len() {
        // A state costs this much also when nothing new is reached from it.
        if !meter.work(many.saturating_mul(letters.len())) {
            return Found::Unknown(NO_TIME);
        }
        here.copy_from_slice(&states[at * many..(at + 1) * many]);
        let mut agreed = true;
        for (m, s) in machines.iter_mut().zip(&here) {
            match m.accepts(*s) {
                Ok(a) if a == m.positive => {}
                Ok(_) => {
                    agreed = false;
                    break;
                }
                Err(h) => return unknown(h),
            }
        }
        if agreed {
            let mut text: Vec<char> = Vec::new();
            let mut i = at;
            while from[i].0 != u32::MAX {
                text.push(from[i].1);
                i = from[i].0 as usize;
            }
            return Found::Text(text.into_iter().rev().collect());
        }
        if machines.iter().zip(&here).any(|(m, s)| m.hopeless(*s)) {
            at += 1;
            continue;
        }
        'letters: for (letter, c) in letters.iter().enumerate() {
            for (i, m) in machines.iter_mut().enumerate() {
                match steps[i].step(m, here[i], letter, *c) {
                    Ok(s) if m.hopeless(s) => continue 'letters,
                    Ok(s) => next[i] = s,
                    Err(Halt::Character) => {
                        skipped = true;
                        continue 'letters;
                    }
                    Err(h) => return unknown(h),
                }
            }
            if !index.contains_key(&next[..]) {
                if from.len() >= limit || !meter.state() {
                    return Found::Unknown(if meter.late() {
                        NO_TIME
                    } else {
                        "the search for a text needs too many states"
                    });
                }
                index.insert(next.clone().into(), from.len() as u32);
                states.extend_from_slice(&next);
                from.push((at as u32, *c));
            }
        }
        at += 1;
    }
    if skipped {
        Found::Unknown("a Unicode word boundary among characters beyond ASCII")
    } else {
        Found::Nothing
    }
}
