//! Quantiles, fractions and deviations of native histograms, with Prometheus' interpolation: exponential inside an
//! exponential bucket, linear in the zero bucket and in custom ones.

use super::histogram::{Bucket, Histogram};
use super::summation::Sum;

/// The estimate, and whether observations of NaN may have skewed it.
pub fn quantile(q: f64, histogram: &Histogram) -> (f64, bool) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if histogram.count == 0.0 || q.is_nan() || histogram.count.is_nan() {
        return (f64::NAN, false);
    }
    // Counting from the nearer end loses less to rounding; NaN observations are counted but in no bucket, above all.
    let has_nan = histogram.sum.is_nan();
    let forward = has_nan || q < 0.5;
    let rank = if forward { q * histogram.count } else { (1.0 - q) * histogram.count };
    let found = match forward {
        true => reach(histogram.buckets(), rank),
        false => reach(histogram.buckets().rev(), rank),
    };
    let Some((bucket, count)) = found else { return (f64::NAN, has_nan) };
    let count = count.min(histogram.count);
    let bucket = narrowed(bucket, histogram);
    if histogram.is_custom() && bucket.lower == f64::NEG_INFINITY {
        return (bucket.upper, has_nan);
    }
    if histogram.is_custom() && bucket.upper == f64::INFINITY {
        return (bucket.lower, has_nan);
    }
    if count < rank {
        // Not even the last bucket reaches the rank: the rest are NaN observations.
        return (if has_nan { f64::NAN } else { bucket.upper }, has_nan);
    }
    let into = if forward { rank - (count - bucket.count) } else { count - rank };
    (interpolated(bucket, into / bucket.count, histogram.is_custom()), has_nan)
}

fn reach(buckets: impl Iterator<Item = Bucket>, rank: f64) -> Option<(Bucket, f64)> {
    let mut seen = 0.0;
    let mut last = None;
    for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
        seen += bucket.count;
        last = Some((bucket, seen));
        if seen >= rank {
            break;
        }
    }
    last
}

/// A zero bucket beside positive buckets only holds no negative values, and the other way round; the first custom
/// bucket begins at 0 if it ends above it.
fn narrowed(mut bucket: Bucket, histogram: &Histogram) -> Bucket {
    if histogram.is_custom() {
        if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
            bucket.lower = 0.0;
        }
        return bucket;
    }
    if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        if histogram.only_positive() {
            bucket.lower = 0.0;
        } else if histogram.only_negative() {
            bucket.upper = 0.0;
        }
    }
    bucket
}

fn interpolated(bucket: Bucket, fraction: f64, linear: bool) -> f64 {
    if linear || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (low, high) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        return (low + (high - low) * fraction).exp2();
    }
    -(high + (low - high) * (1.0 - fraction)).exp2()
}

/// Which share of the observations lies between `lower` and `upper`.
pub fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| count_below(value, histogram).min(histogram.count);
    (below(upper) - below(lower)) / histogram.count
}

/// How many observations lie below `value`, interpolated inside its bucket; NaN observations are in none.
pub fn count_below(value: f64, histogram: &Histogram) -> f64 {
    let mut rank = 0.0;
    for bucket in histogram.buckets() {
        let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        let bucket = narrowed(bucket, histogram);
        if bucket.lower >= value {
            return rank;
        }
        if bucket.upper > value {
            return rank + bucket.count * share_below(value, bucket, zero || histogram.is_custom());
        }
        rank += bucket.count;
    }
    // Above the highest bucket: all of them, unless some are NaN.
    if histogram.sum.is_nan() { rank } else { histogram.count }
}

fn share_below(value: f64, bucket: Bucket, linear: bool) -> f64 {
    if bucket.lower == f64::NEG_INFINITY {
        return 1.0;
    }
    if linear {
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (low, high, at) = (bucket.lower.abs().log2(), bucket.upper.abs().log2(), value.abs().log2());
    if value > 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
}

pub fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut sum = Sum::default();
    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        let delta = middle(bucket, histogram.is_custom()) - mean;
        sum.add(bucket.count * delta * delta);
    }
    sum.value() / histogram.count
}

fn middle(bucket: Bucket, custom: bool) -> f64 {
    if custom {
        return (bucket.upper + bucket.lower) / 2.0;
    }
    if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        return 0.0;
    }
    (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
}
