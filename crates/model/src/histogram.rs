//! Exponential histograms in OTLP's layout: bucket `i` of scale `s` holds values in `(2^(i/2^s), 2^((i+1)/2^s)]`.
//! They merge by addition. Source: OpenTelemetry metrics data model, "ExponentialHistogram".

/// The scale Limpid records with: 8 buckets an octave, at most 4.4 % off.
pub const SCALE: i8 = 3;
/// 1 ns to 2^25 s (over a year) at `SCALE`: values outside fall into the outermost bucket.
const MIN_INDEX: i32 = -30 * 8;
const MAX_INDEX: i32 = 25 * 8;

/// Upper bounds of the eight buckets of one octave: 2^(k/8), as the top bits of a mantissa.
const MANTISSA_BOUNDS: [u64; 8] = mantissa_bounds();

const fn mantissa_bounds() -> [u64; 8] {
    // 2^(k/8) for k = 1..=7 to 52 bits of mantissa; the eighth is the next octave itself.
    [
        0x172b83c7d517b,
        0x306fe0a31b715,
        0x4bfdad5362a27,
        0x6a09e667f3bcd,
        0x8ace5422aa0db,
        0xae89f995ad3ad,
        0xd5818dcfba487,
        0xfffffffffffff,
    ]
}

#[derive(Debug, PartialEq)]
pub struct ExpHistogram {
    pub scale: i8,
    pub count: u64,
    pub sum: f64,
    pub zero_count: u64,
    /// Index of `counts[0]`.
    pub offset: i32,
    pub counts: Vec<u64>,
}

impl Clone for ExpHistogram {
    fn clone(&self) -> Self {
        ExpHistogram { counts: self.counts.clone(), ..*self }
    }

    /// Into the buffer that is there.
    fn clone_from(&mut self, from: &Self) {
        let mut counts = std::mem::take(&mut self.counts);
        counts.clone_from(&from.counts);
        *self = ExpHistogram { counts, ..*from };
    }
}

impl Default for ExpHistogram {
    fn default() -> Self {
        ExpHistogram { scale: SCALE, count: 0, sum: 0.0, zero_count: 0, offset: 0, counts: Vec::new() }
    }
}

/// The bucket of a positive value at `SCALE`.
pub fn bucket_index(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mantissa = bits & 0x000f_ffff_ffff_ffff;
    if mantissa == 0 {
        // An exact power of two is the upper bound of the bucket below it.
        return (exponent * 8 - 1).clamp(MIN_INDEX, MAX_INDEX);
    }
    // All eight are compared: which one it is cannot be predicted, and a wrong guess costs more than eight comparisons.
    let within: i32 = MANTISSA_BOUNDS.iter().map(|bound| i32::from(mantissa > *bound)).sum();
    (exponent * 8 + within).clamp(MIN_INDEX, MAX_INDEX)
}

/// The upper bound of bucket `index` at `scale`.
pub fn upper_bound(index: i32, scale: i8) -> f64 {
    2f64.powf(f64::from(index + 1) / 2f64.powi(i32::from(scale)))
}

impl ExpHistogram {
    pub fn record_ns(&mut self, duration_ns: u64) {
        self.record(duration_ns as f64 / 1e9);
    }

    pub fn record(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if value <= 0.0 || self.scale != SCALE {
            self.zero_count += 1;
            return;
        }
        self.add(bucket_index(value), 1);
    }

    /// Adds `count` to bucket `index` of this histogram's own scale, without touching `count` and `sum`.
    pub fn add(&mut self, index: i32, count: u64) {
        if self.counts.is_empty() {
            self.offset = index;
            self.counts.push(count);
            return;
        }
        if index < self.offset {
            let missing = (self.offset - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.offset = index;
        }
        let at = (index - self.offset) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
    }

    /// Adds another histogram; the coarser of the two scales wins.
    pub fn merge(&mut self, other: &ExpHistogram) {
        if other.scale < self.scale {
            self.downscale(other.scale);
        }
        let shift = (i32::from(other.scale) - i32::from(self.scale)).max(0);
        self.count += other.count;
        self.sum += other.sum;
        self.zero_count += other.zero_count;
        for (at, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add((other.offset + at as i32) >> shift, *count);
        }
    }

    pub fn downscale(&mut self, scale: i8) {
        if scale >= self.scale {
            return;
        }
        let shift = (i32::from(self.scale) - i32::from(scale)).min(31);
        let (counts, offset) = (std::mem::take(&mut self.counts), self.offset);
        self.scale = scale;
        for (at, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.add((offset + at as i32) >> shift, count);
        }
    }

    /// The value below which the share `q` of all values lies, interpolated exponentially inside a bucket as
    /// Prometheus does for native histograms. `None` without values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * self.count as f64;
        let mut seen = self.zero_count as f64;
        if rank <= seen {
            return Some(0.0);
        }
        for (at, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if seen + count >= rank {
                let index = self.offset + at as i32;
                let (low, high) = (upper_bound(index - 1, self.scale), upper_bound(index, self.scale));
                return Some(low * (high / low).powf((rank - seen) / count));
            }
            seen += count;
        }
        Some(upper_bound(self.offset + self.counts.len() as i32 - 1, self.scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_of_a_value_holds_it() {
        for exponent in -29..24 {
            for step in 0..1000 {
                let value = 2f64.powi(exponent) * (1.0 + f64::from(step) / 1000.0);
                let index = bucket_index(value);
                let (low, high) = (upper_bound(index - 1, SCALE), upper_bound(index, SCALE));
                assert!(value > low * (1.0 - 1e-12) && value <= high * (1.0 + 1e-12), "{value} not in ({low}, {high}]");
            }
        }
    }

    #[test]
    fn merging_equals_recording_everything() {
        let (mut all, mut left, mut right) =
            (ExpHistogram::default(), ExpHistogram::default(), ExpHistogram::default());
        for value in 1..2000u64 {
            all.record_ns(value * value * 1000);
            if value % 3 == 0 { left.record_ns(value * value * 1000) } else { right.record_ns(value * value * 1000) }
        }
        left.merge(&right);
        assert_eq!(left.count, all.count);
        assert_eq!((left.offset, &left.counts), (all.offset, &all.counts));
        let median = left.quantile(0.5).unwrap_or_default();
        assert!((0.95..1.05).contains(&(median / 1.0)), "median {median}");
    }

    #[test]
    fn downscaling_keeps_the_counts() {
        let mut histogram = ExpHistogram::default();
        (1..500u64).for_each(|value| histogram.record_ns(value * 1_000_000));
        let before: u64 = histogram.counts.iter().sum();
        histogram.downscale(0);
        assert_eq!(histogram.counts.iter().sum::<u64>(), before);
    }
}
