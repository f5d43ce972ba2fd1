//! The SAT solver behind four functions, so that it can be exchanged.

use batsat::{Callbacks, Lit, Solver, SolverInterface, SolverOpts, lbool};
use std::cell::Cell;
use std::time::Instant;

/// A literal: variable times two, plus one where negated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SatLit(Lit);

impl std::ops::Not for SatLit {
    type Output = SatLit;
    fn not(self) -> SatLit {
        SatLit(!self.0)
    }
}

/// Stops a search that takes too long. The clock is read now and then only: the solver asks after every
/// decision.
#[derive(Default)]
struct Deadline {
    at: Option<Instant>,
    asked: Cell<u32>,
    /// It has passed, and stays so: the solver asks again on its way out.
    over: Cell<bool>,
}

impl Callbacks for Deadline {
    fn stop(&self) -> bool {
        let n = self.asked.get().wrapping_add(1);
        self.asked.set(n);
        if n.is_multiple_of(64) && self.at.is_some_and(|d| Instant::now() >= d) {
            self.over.set(true);
        }
        self.over.get()
    }
}

#[derive(Default)]
pub(crate) struct Sat {
    /// Made when something is said to it: a new one takes 4 MiB, and many questions need none.
    solver: Option<Box<Solver<Deadline>>>,
    /// Assumptions and clauses lead to a contradiction without any assumption.
    broken: bool,
}

impl Sat {
    fn solver(&mut self) -> &mut Solver<Deadline> {
        let new = || Box::new(Solver::new(SolverOpts::default(), Deadline::default()));
        self.solver.get_or_insert_with(new)
    }
    pub(crate) fn variable(&mut self) -> SatLit {
        // Atoms start false: models then make few things true, and theory checks stay small.
        SatLit(Lit::new(self.solver().new_var(lbool::FALSE, true), true))
    }
    pub(crate) fn clause(&mut self, lits: impl IntoIterator<Item = SatLit>) {
        let mut c: Vec<Lit> = lits.into_iter().map(|l| l.0).collect();
        if !self.solver().add_clause_reuse(&mut c) {
            self.broken = true;
        }
    }
    /// Whether there is a model under the assumptions; `None` when time ran out.
    pub(crate) fn solve(&mut self, assumptions: &[SatLit], deadline: Instant) -> Option<bool> {
        if self.broken {
            return Some(false);
        }
        let a: Vec<Lit> = assumptions.iter().map(|l| l.0).collect();
        let solver = self.solver();
        let clock = solver.cb_mut();
        clock.at = Some(deadline);
        clock.over.set(false);
        let answer = solver.solve_limited(&a);
        (answer != lbool::UNDEF).then(|| answer == lbool::TRUE)
    }
    /// Of the last model.
    pub(crate) fn is_true(&self, l: SatLit) -> bool {
        self.solver.as_ref().is_some_and(|s| s.value_lit(l.0) == lbool::TRUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn models_assumptions_contradictions() {
        let late = Instant::now() + Duration::from_secs(60);
        let mut s = Sat::default();
        let (a, b) = (s.variable(), s.variable());
        s.clause([a, b]);
        assert_eq!(s.solve(&[!a], late), Some(true));
        assert!(s.is_true(b) && s.is_true(!a));
        s.clause([!b]);
        assert_eq!(s.solve(&[!a], late), Some(false));
        assert_eq!(s.solve(&[], late), Some(true));
        assert!(s.is_true(a));
        s.clause([!a]);
        assert_eq!(s.solve(&[], late), Some(false));
        assert_eq!(s.solve(&[a], late), Some(false));
    }

    #[test]
    fn free_variables_start_false() {
        let late = Instant::now() + Duration::from_secs(60);
        let mut s = Sat::default();
        let v: Vec<SatLit> = (0..20).map(|_| s.variable()).collect();
        s.clause([v[3], v[4]]);
        assert_eq!(s.solve(&[], late), Some(true));
        assert_eq!(v.iter().filter(|l| s.is_true(**l)).count(), 1);
    }
}
