//! Traces over time and duration, as cells: columns are slices of the time, rows quarters of a decade.

use super::census::Census;
use super::slices::{SLICES, slice_start};
use crate::topology::as_text;
use limpid_store::SpanQuery;
use serde::Serialize;
use std::collections::BTreeMap;

const ROWS_OF_DECADE: f64 = 4.0;
/// One nanosecond to some three years.
const MAX_ROW: u32 = 68;

#[derive(Clone, Debug, Serialize)]
pub struct Heat {
    #[serde(serialize_with = "as_text")]
    pub start_ns: u64,
    #[serde(serialize_with = "as_text")]
    pub end_ns: u64,
    pub columns: usize,
    /// The upper bound of each row, the fastest row first.
    pub bounds_ms: Vec<f64>,
    pub cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    pub x: usize,
    pub y: u32,
    /// Where not all of a slice was read, what all of it would have by the part that was.
    pub traces: f64,
    pub failed: f64,
}

pub fn heat(census: &Census, base: &SpanQuery) -> Heat {
    let mut sums: BTreeMap<(usize, u32), (f64, f64)> = BTreeMap::new();
    for trace in &census.traces {
        let share = census.read.get(trace.slice).copied().unwrap_or(1.0).max(0.001);
        let sum = sums.entry((trace.slice, row(trace.duration_ns))).or_default();
        sum.0 += 1.0 / share;
        sum.1 += if trace.failed { 1.0 / share } else { 0.0 };
    }
    let low = sums.keys().map(|(_, row)| *row).min().unwrap_or(0);
    let high = sums.keys().map(|(_, row)| *row).max().unwrap_or(0);
    let round = |value: f64| (value * 10.0).round() / 10.0;
    Heat {
        start_ns: slice_start(base, 0),
        end_ns: slice_start(base, SLICES),
        columns: SLICES,
        bounds_ms: if sums.is_empty() { Vec::new() } else { (low..=high).map(bound_ms).collect() },
        cells: sums
            .into_iter()
            .map(|((x, y), (traces, failed))| Cell { x, y: y - low, traces: round(traces), failed: round(failed) })
            .collect(),
    }
}

fn row(duration_ns: u64) -> u32 {
    (((duration_ns.max(1) as f64).log10() * ROWS_OF_DECADE) as u32).min(MAX_ROW)
}

fn bound_ms(row: u32) -> f64 {
    10f64.powf(f64::from(row + 1) / ROWS_OF_DECADE) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_what_lies_under_their_bound() {
        for ns in [1, 9, 1_000, 1_799_999, 10_000_000, u64::MAX] {
            let row = row(ns);
            assert!(row == MAX_ROW || ns as f64 / 1e6 <= bound_ms(row) * (1.0 + 1e-9), "{ns}");
            assert!(row == 0 || ns as f64 / 1e6 >= bound_ms(row - 1) * (1.0 - 1e-9), "{ns}");
        }
    }
}
