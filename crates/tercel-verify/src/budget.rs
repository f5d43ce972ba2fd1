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

/// What is left of a budget.
pub(crate) struct Meter {
    pub steps: u32,
    pub states: usize,
    left: usize,
    pub deadline: Instant,
    ticks: u32,
}

impl Meter {
    pub(crate) fn new(b: &Budget) -> Meter {
        Meter {
            steps: b.steps,
            states: b.states,
            // All searches of one question together.
            left: b.states.saturating_mul(4),
            deadline: Instant::now() + b.time,
            ticks: 0,
        }
    }
    /// Takes a state; false when there is none left, or no time.
    pub(crate) fn state(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        if self.left == 0 || self.ticks.is_multiple_of(1024) && self.late() {
            return false;
        }
        self.left -= 1;
        true
    }
    pub(crate) fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }
}
