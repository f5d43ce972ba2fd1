//! One automaton for each test of a text, stepped by characters of the column.

use crate::atom::TextTest;
use crate::lens::Lens;
use crate::regexes::fold_char;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Input, MatchKind, util::syntax};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Memory for the states of one regular expression.
const CACHE: usize = 16 << 20;

/// Why an automaton cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Halt {
    /// Its states take too much memory.
    Memory,
    /// It cannot say anything about this character (a Unicode word boundary).
    Character,
}

/// Nothing that follows makes it accept.
const DEAD: u32 = u32::MAX;
/// It accepts whatever follows.
const FOUND: u32 = u32::MAX - 1;

enum Kind {
    Literal(Kmp, bool, bool),
    /// Term search is a plain search in a text with a mark between term and other characters.
    Term(Kmp),
    Regex(Kept),
}

pub(crate) struct Machine {
    kind: Kind,
    lens: Lens,
    ci: bool,
    /// The automaton must accept.
    pub positive: bool,
    scratch: (Vec<char>, Vec<char>),
}

/// Knuth, Morris and Pratt: state = characters matched so far.
struct Kmp {
    pattern: Vec<char>,
    fail: Vec<u32>,
}

/// Stands between a term character and another one; never a character of a text, since texts of the
/// alphabet that contain it are left out.
const MARK: char = '\u{10FFFF}';

impl Kmp {
    fn new(pattern: Vec<char>) -> Kmp {
        let mut fail = vec![0u32; pattern.len() + 1];
        let mut k = 0usize;
        for i in 1..pattern.len() {
            while k > 0 && pattern[i] != pattern[k] {
                k = fail[k] as usize;
            }
            if pattern[i] == pattern[k] {
                k += 1;
            }
            fail[i + 1] = k as u32;
        }
        Kmp { pattern, fail }
    }
    fn len(&self) -> u32 {
        self.pattern.len() as u32
    }
    fn next(&self, mut state: u32, c: char) -> u32 {
        loop {
            if self.pattern.get(state as usize) == Some(&c) {
                return state + 1;
            }
            if state == 0 {
                return 0;
            }
            state = self.fail[state as usize];
        }
    }
}

struct Lazy {
    dfa: DFA,
    cache: Cache,
    states: Vec<LazyStateID>,
    index: HashMap<LazyStateID, u32>,
    start: u32,
    steps: HashMap<(u32, char), u32>,
}

/// Automata that were used before, with what has been found out about them: searches of one column ask for the
/// same expressions again and again.
const REMEMBERED: usize = 32;
/// Bytes of one that is remembered; a larger one would begin the next search with less memory left.
const SMALL: usize = 256 << 10;

thread_local! {
    static BEFORE: RefCell<HashMap<Arc<str>, Box<Lazy>>> = RefCell::default();
}

impl Lazy {
    /// The automaton as the last search left it, or a new one.
    fn of(pattern: &Arc<str>) -> Result<Box<Lazy>, Halt> {
        match BEFORE.with_borrow_mut(|b| b.remove(pattern)) {
            Some(l) => Ok(l),
            None => Ok(Box::new(Lazy::new(pattern)?)),
        }
    }

    fn new(pattern: &str) -> Result<Lazy, Halt> {
        let config = DFA::config()
            .cache_capacity(CACHE)
            .skip_cache_capacity_check(true)
            // A cache that is never cleared keeps state ids valid; full, it is an error.
            .minimum_cache_clear_count(Some(0))
            .match_kind(MatchKind::All)
            .unicode_word_boundary(true);
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new())
            .thompson(regex_automata::nfa::thompson::Config::new().nfa_size_limit(Some(10 << 20)))
            .build(pattern)
            .map_err(|_| Halt::Memory)?;
        let mut cache = dfa.create_cache();
        let first = dfa.start_state_forward(&mut cache, &Input::new("")).map_err(|_| Halt::Memory)?;
        let mut l =
            Lazy { dfa, cache, states: Vec::new(), index: HashMap::new(), start: 0, steps: HashMap::new() };
        l.start = l.intern(first);
        Ok(l)
    }
    fn intern(&mut self, id: LazyStateID) -> u32 {
        if id.is_match() {
            return FOUND;
        }
        if id.is_dead() {
            return DEAD;
        }
        let states = &mut self.states;
        *self.index.entry(id).or_insert_with(|| {
            states.push(id);
            states.len() as u32 - 1
        })
    }
    fn next(&mut self, state: u32, c: char) -> Result<u32, Halt> {
        if let Some(s) = self.steps.get(&(state, c)) {
            return Ok(*s);
        }
        let Some(mut id) = self.states.get(state as usize).copied() else { return Ok(state) };
        let mut result = None;
        for b in c.encode_utf8(&mut [0; 4]).bytes() {
            id = self.dfa.next_state(&mut self.cache, id, b).map_err(|_| Halt::Memory)?;
            if id.is_quit() {
                return Err(Halt::Character);
            }
            if id.is_match() || id.is_dead() {
                result = Some(self.intern(id));
                break;
            }
        }
        let s = result.unwrap_or_else(|| self.intern(id));
        self.steps.insert((state, c), s);
        Ok(s)
    }
    fn at_end(&mut self, state: u32) -> Result<bool, Halt> {
        let Some(id) = self.states.get(state as usize).copied() else { return Ok(state == FOUND) };
        let id = self.dfa.next_eoi_state(&mut self.cache, id).map_err(|_| Halt::Memory)?;
        Ok(id.is_match())
    }
}

/// An automaton that goes back to where it is remembered when its search is over.
struct Kept {
    pattern: Arc<str>,
    /// There until then.
    lazy: Option<Box<Lazy>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(l) = self.lazy.take() else { return };
        if l.cache.memory_usage() > SMALL {
            return;
        }
        // A thread that ends has nothing left to remember.
        let _ = BEFORE.try_with(|b| {
            let Ok(mut b) = b.try_borrow_mut() else { return };
            if b.len() >= REMEMBERED {
                b.clear();
            }
            b.insert(self.pattern.clone(), l);
        });
    }
}

impl Machine {
    pub(crate) fn new(test: &TextTest, lens: &Lens, positive: bool) -> Result<Machine, Halt> {
        let (kind, ci) = match test {
            TextTest::Literal { text, start, end, ci } => {
                (Kind::Literal(Kmp::new(text.chars().collect()), *start, *end), *ci)
            }
            TextTest::Term { text, before, after, ci } => {
                (Kind::Term(Kmp::new(marked(text, *before, *after))), *ci)
            }
            TextTest::Regex(p) => (Kind::Regex(Kept { pattern: p.clone(), lazy: Some(Lazy::of(p)?) }), false),
        };
        Ok(Machine { kind, lens: lens.clone(), ci, positive, scratch: Default::default() })
    }

    pub(crate) fn start(&mut self) -> Result<u32, Halt> {
        let mut s = match &self.kind {
            Kind::Literal(k, start, end) => {
                if k.len() == 0 && *end && !*start {
                    FOUND
                } else {
                    0
                }
            }
            Kind::Term(_) => 0,
            Kind::Regex(k) => k.lazy.as_ref().map_or(DEAD, |l| l.start),
        };
        let prefix = std::mem::take(&mut self.lens.prefix);
        for c in prefix.chars() {
            s = self.feed(s, c)?;
        }
        self.lens.prefix = prefix;
        Ok(s)
    }

    /// The next character of the column.
    pub(crate) fn step(&mut self, state: u32, c: char) -> Result<u32, Halt> {
        if self.lens.base && matches!(c, '\\' | '/') {
            return self.start();
        }
        if self.lens.maps.is_empty() {
            return self.feed(state, c);
        }
        let (mut now, mut next) = std::mem::take(&mut self.scratch);
        now.clear();
        now.push(c);
        for m in &self.lens.maps {
            next.clear();
            now.iter().for_each(|c| m.of(*c, &mut next));
            std::mem::swap(&mut now, &mut next);
        }
        let mut s = Ok(state);
        for x in &now {
            if let Ok(t) = s {
                s = self.feed(t, *x);
            }
        }
        self.scratch = (now, next);
        s
    }

    fn feed(&mut self, state: u32, c: char) -> Result<u32, Halt> {
        if state == DEAD || state == FOUND {
            return Ok(state);
        }
        let c = if self.ci { fold_char(c) } else { c };
        Ok(match &mut self.kind {
            Kind::Literal(k, start, end) => match (*start, *end) {
                (true, end) => {
                    if k.pattern.get(state as usize) != Some(&c) {
                        DEAD
                    } else if state + 1 == k.len() && !end {
                        FOUND
                    } else {
                        state + 1
                    }
                }
                (false, true) => k.next(state, c),
                (false, false) => {
                    let s = k.next(state, c);
                    if s == k.len() { FOUND } else { s }
                }
            },
            Kind::Term(k) => {
                let (mut s, was) = (state / 2, state % 2 == 1);
                let is = c.is_alphanumeric();
                if was != is {
                    s = k.next(s, MARK);
                    if s == k.len() {
                        return Ok(FOUND);
                    }
                }
                s = k.next(s, c);
                if s == k.len() { FOUND } else { s * 2 + u32::from(is) }
            }
            Kind::Regex(Kept { lazy: Some(l), .. }) => l.next(state, c)?,
            Kind::Regex(_) => return Err(Halt::Memory),
        })
    }

    /// Whether it accepts when the text ends here.
    pub(crate) fn accepts(&mut self, state: u32) -> Result<bool, Halt> {
        let mut s = state;
        let suffix = std::mem::take(&mut self.lens.suffix);
        for c in suffix.chars() {
            s = self.feed(s, c)?;
        }
        self.lens.suffix = suffix;
        if s == FOUND || s == DEAD {
            return Ok(s == FOUND);
        }
        Ok(match &mut self.kind {
            Kind::Literal(k, _, end) => *end && s == k.len(),
            Kind::Term(k) => s % 2 == 1 && k.next(s / 2, MARK) == k.len(),
            Kind::Regex(Kept { lazy: Some(l), .. }) => l.at_end(s)?,
            Kind::Regex(_) => return Err(Halt::Memory),
        })
    }

    /// No continuation can give what is wanted.
    pub(crate) fn hopeless(&self, state: u32) -> bool {
        !self.lens.base && state == if self.positive { DEAD } else { FOUND }
    }
}

fn marked(text: &str, before: bool, after: bool) -> Vec<char> {
    let mut out = Vec::new();
    let mut was = None;
    for c in text.chars() {
        let is = c.is_alphanumeric();
        if was.map_or(before && is, |w| w != is) {
            out.push(MARK);
        }
        out.push(c);
        was = Some(is);
    }
    if after && was == Some(true) {
        out.push(MARK);
    }
    out
}
