//! Running sums from which values are taken away again, without the drift that this usually brings.

/// Binary digits behind the point that the exact part keeps.
const SCALE: f64 = (1u64 << 20) as f64;
/// Below this size a scaled number fits the exact part, which then holds 2^32 of them with room to spare.
const EXACT: f64 = (1u128 << 90) as f64;

/// Sum of the numbers of a window.
///
/// Integers and short binary fractions, which is what counts of bytes, ports and seconds are, are summed
/// exactly. Others go to a pair of floats that carries the rounding error along; it is cleared whenever
/// none is left, so that nothing can pile up over a long run.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    exact: i128,
    high: f64,
    low: f64,
    /// Numbers in `high` and `low`.
    rounded: u32,
    /// All numbers.
    count: u32,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        match exact(value) {
            Some(n) => self.exact += n,
            None => {
                self.rounded += 1;
                self.carry(value);
            }
        }
    }

    /// Takes a number away that was added before.
    pub(super) fn remove(&mut self, value: f64) {
        self.count = self.count.saturating_sub(1);
        match exact(value) {
            Some(n) => self.exact -= n,
            None => {
                self.rounded = self.rounded.saturating_sub(1);
                if self.rounded == 0 {
                    (self.high, self.low) = (0.0, 0.0);
                } else {
                    self.carry(-value);
                }
            }
        }
    }

    /// The sum; of no numbers there is none.
    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0).then(|| {
            let exact = self.exact as f64 / SCALE;
            if self.rounded == 0 { exact } else { exact + (self.high + self.low) }
        })
    }

    /// The mean.
    pub(super) fn mean(&self) -> Option<f64> {
        Some(self.sum()? / f64::from(self.count))
    }

    /// Knuth's two-sum: `high + value` and what its rounding lost.
    fn carry(&mut self, value: f64) {
        let sum = self.high + value;
        let part = sum - self.high;
        self.low += (self.high - (sum - part)) + (value - part);
        self.high = sum;
    }
}

fn exact(value: f64) -> Option<i128> {
    let scaled = value * SCALE;
    (scaled.abs() < EXACT && scaled == scaled.trunc()).then_some(scaled as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_slides_over_tenths_does_not_drift() {
        let mut s = Sum::default();
        let mut window = std::collections::VecDeque::new();
        for i in 0..200_000u32 {
            let v = f64::from(i % 97) * 0.1 + if i % 1000 == 0 { 1e12 } else { 0.0 };
            s.add(v);
            window.push_back(v);
            if window.len() > 50 {
                s.remove(window.pop_front().unwrap());
            }
        }
        let plain: f64 = window.iter().sum();
        assert!((s.sum().unwrap() - plain).abs() < 1e-6, "{:?} {plain}", s.sum());
        while let Some(v) = window.pop_front() {
            s.remove(v);
        }
        assert_eq!(s.sum(), None);
        s.add(0.1);
        assert_eq!(s.sum(), Some(0.1));
    }

    #[test]
    fn large_integers_are_exact() {
        let mut s = Sum::default();
        s.add(9_007_199_254_740_992.0);
        s.add(1.0);
        s.remove(9_007_199_254_740_992.0);
        assert_eq!(s.sum(), Some(1.0));
        assert_eq!(s.mean(), Some(1.0));
    }
}
