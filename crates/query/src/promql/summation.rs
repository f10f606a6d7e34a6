//! Kahan-Neumaier summation: sums of many floats without drift, and equal to Prometheus'; sums of histograms.

use super::histogram::{Histogram, Incompatible, ResetHint};

#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    pub fn add(&mut self, value: f64) {
        let total = self.total + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.total.abs() >= value.abs() {
            self.lost += (self.total - total) + value;
        } else {
            self.lost += (value - total) + self.total;
        }
        self.total = total;
    }

    pub fn value(&self) -> f64 {
        if self.total.is_infinite() { self.total } else { self.total + self.lost }
    }
}

/// The mean: directly as long as the sum does not overflow, then incrementally.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    sum: Sum,
    count: f64,
    /// Set once the sum would have overflowed: from then on `sum` holds the mean itself.
    incremental: bool,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum.add(value);
            return;
        }
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.total.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum = Sum { total: self.sum.total / (self.count - 1.0), lost: self.sum.lost / (self.count - 1.0) };
        }
        self.add_to_mean(value);
    }

    fn add_to_mean(&mut self, value: f64) {
        if self.sum.total.is_infinite() {
            // Infinity stays, unless the opposite infinity or NaN comes.
            if value.is_infinite() && (value > 0.0) == (self.sum.total > 0.0) {
                return;
            }
            if value.is_finite() {
                return;
            }
        }
        let share = (self.count - 1.0) / self.count;
        let mut mean = Sum { total: self.sum.total * share, lost: self.sum.lost * share };
        mean.add(value / self.count);
        self.sum = mean;
    }

    pub fn value(&self) -> f64 {
        if self.incremental {
            return self.sum.value();
        }
        if self.sum.total.is_infinite() {
            return self.sum.total;
        }
        self.sum.total / self.count + self.sum.lost / self.count
    }
}

/// The sum or the mean of histograms; the mean becomes incremental once the sum would overflow.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    pub total: Histogram,
    pub count: f64,
    incremental: bool,
    seen_reset: bool,
    seen_no_reset: bool,
    pub bounds_reconciled: bool,
}

impl HistogramSum {
    pub fn new(first: Histogram) -> Self {
        let (seen_reset, seen_no_reset) = (first.hint == ResetHint::Reset, first.hint == ResetHint::NotReset);
        HistogramSum {
            total: first,
            count: 1.0,
            incremental: false,
            seen_reset,
            seen_no_reset,
            bounds_reconciled: false,
        }
    }

    pub fn add(&mut self, histogram: &Histogram, mean: bool) -> Result<(), Incompatible> {
        self.count += 1.0;
        self.seen_reset |= histogram.hint == ResetHint::Reset;
        self.seen_no_reset |= histogram.hint == ResetHint::NotReset;
        if mean && !self.incremental && self.would_overflow(histogram) {
            self.incremental = true;
            self.total.divide(self.count - 1.0);
        }
        if !self.incremental {
            self.bounds_reconciled |= self.total.add(histogram)?.bounds_reconciled;
            return Ok(());
        }
        let mut share = histogram.clone();
        share.divide(self.count);
        self.total.scale((self.count - 1.0) / self.count);
        self.bounds_reconciled |= self.total.add(&share)?.bounds_reconciled;
        Ok(())
    }

    fn would_overflow(&self, histogram: &Histogram) -> bool {
        let overflows = |a: f64, b: f64| a.is_finite() && b.is_finite() && (a + b).is_infinite();
        overflows(self.total.count, histogram.count) || overflows(self.total.sum, histogram.sum)
    }

    /// One said that its counter had started anew, another that it had not.
    pub fn resets_collide(&self) -> bool {
        self.seen_reset && self.seen_no_reset
    }

    pub fn finish(self, mean: bool) -> Histogram {
        let mut total = self.total;
        if mean && !self.incremental {
            total.divide(self.count);
        }
        total
    }
}
