//! Bounds of a proof.

use std::time::{Duration, Instant};

/// How much work one question may take. When it is used up the answer is "unknown".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Rounds between the solver and the theories.
    pub steps: u32,
    /// States of one product of automata.
    pub states: usize,
    /// Time by the clock.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { steps: 20_000, states: 300_000, time: Duration::from_millis(1_500) }
    }
}

impl Budget {
    /// The same with no more time than is left until then.
    pub(crate) fn until(&self, deadline: Instant) -> Budget {
        Budget { time: self.time.min(deadline.saturating_duration_since(Instant::now())), ..*self }
    }
}

/// Why a question has no answer when its time is over.
pub(crate) const NO_TIME: &str = "the budget of time is used up";

/// Evaluations of a test, or steps of an automaton, between two looks at the clock.
const UNITS: usize = 2_048;

/// What is left of a budget.
pub(crate) struct Meter {
    pub steps: u32,
    pub states: usize,
    left: usize,
    pub deadline: Instant,
    units: usize,
    over: bool,
}

impl Meter {
    pub(crate) fn new(b: &Budget) -> Meter {
        Meter {
            steps: b.steps,
            states: b.states,
            // All searches of one question together.
            left: b.states.saturating_mul(4),
            deadline: Instant::now() + b.time,
            units: 0,
            over: false,
        }
    }
    /// All of the time again.
    pub(crate) fn restart(&mut self, b: &Budget) {
        self.deadline = Instant::now() + b.time;
        self.over = false;
    }
    /// Takes a state; false when there is none left, or no time.
    pub(crate) fn state(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.work(1)
    }
    /// Says how much was just done; false when time is over. Every loop whose length a detection decides
    /// asks this: the clock itself is read only now and then.
    pub(crate) fn work(&mut self, units: usize) -> bool {
        self.units = self.units.saturating_add(units);
        if self.units >= UNITS {
            self.units = 0;
            self.over |= self.late();
        }
        !self.over
    }
    pub(crate) fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }
}
