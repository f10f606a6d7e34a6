//! One case: evaluated, and compared with what its script expects.

use super::memory::Memory;
use super::script::{At, Eval, Expect, SeriesLine, Value};
use limpid_model::Labels;
use limpid_query::promql::histogram::Histogram;
use limpid_query::promql::source::{RawSample, RawValue};
use limpid_query::promql::{Answer, Engine, Limits, QueryValue};
use limpid_query::{ErrorKind, QueryError};

pub enum Verdict {
    /// Needs what Prometheus has behind its experimental flag, or the parser does not know yet.
    NotApplicable,
    Failed(String),
}

/// Trimming of native histograms (`</`, `>/`) and functions of Prometheus' flag `promql-experimental-functions`.
const EXPERIMENTAL: &[&str] = &["</", ">/", "limitk", "limit_ratio", "histogram_quantiles", "info(", "fill("];

pub fn check(memory: &Memory, eval: &Eval) -> Result<(), Verdict> {
    let engine = Engine::new(Limits::default());
    let answer = match eval.at {
        At::Instant(time_ms) => engine.instant_from(memory, &eval.expr, time_ms),
        At::Range { start, end, step } => engine.range_from(memory, &eval.expr, start, end, step),
    };
    compared(answer, eval).map_err(|why| {
        let experimental = EXPERIMENTAL.iter().any(|sign| eval.expr.contains(sign));
        if experimental { Verdict::NotApplicable } else { Verdict::Failed(why) }
    })
}

fn compared(answer: Result<Answer, QueryError>, eval: &Eval) -> Result<(), String> {
    let fail = eval.expect.iter().find_map(|expect| match expect {
        Expect::Fail(message) => Some(message),
        _ => None,
    });
    match (answer, fail) {
        (Ok(answer), None) => {
            notes(&answer, eval)?;
            values(&answer, eval)
        }
        (Ok(answer), Some(_)) => Err(format!("should fail, gave {:?}", answer.value)),
        (Err(error), None) => Err(format!("{:?}: {error}", error.kind)),
        (Err(error), Some(_)) if error.kind == ErrorKind::BadData && error.text.contains("not supported") => {
            Err(error.text)
        }
        (Err(error), Some(Some(message))) if error.text != *message => {
            Err(format!("said {:?}, expected {message:?}", error.text))
        }
        (Err(_), Some(_)) => Ok(()),
    }
}

fn notes(answer: &Answer, eval: &Eval) -> Result<(), String> {
    for expect in &eval.expect {
        let (list, wanted) = match expect {
            Expect::Warn(message) => (&answer.warnings, Some(message)),
            Expect::Info(message) => (&answer.infos, Some(message)),
            Expect::NoWarn => (&answer.warnings, None),
            Expect::NoInfo => (&answer.infos, None),
            _ => continue,
        };
        match wanted {
            None if !list.is_empty() => return Err(format!("unexpected {list:?}")),
            Some(_) if list.is_empty() => return Err(format!("{expect:?} is missing")),
            Some(Some(message)) if !list.contains(message) => return Err(format!("{list:?} lacks {message:?}")),
            _ => {}
        }
    }
    Ok(())
}

fn values(answer: &Answer, eval: &Eval) -> Result<(), String> {
    match &answer.value {
        QueryValue::Scalar { value, .. } => match eval.scalar {
            Some(expected) if close(expected, *value) => Ok(()),
            expected => Err(format!("gave {value}, expected {expected:?}")),
        },
        QueryValue::String { value, .. } => match eval.expect.contains(&Expect::Text(value.clone())) {
            true => Ok(()),
            false => Err(format!("gave {value:?}, expected {:?}", eval.expect)),
        },
        QueryValue::Vector(samples) => {
            let time_ms = samples.first().map_or(0, |sample| sample.time_ms);
            let rows: Vec<Row> = samples
                .iter()
                .map(|sample| (sample.labels.clone(), vec![RawSample { time_ms, value: sample.value.clone().into() }]))
                .collect();
            series(&rows, &eval.series, &[time_ms], eval.expect.contains(&Expect::Ordered))
        }
        QueryValue::Matrix(matrix) => {
            let rows: Vec<Row> = matrix.iter().map(|series| (series.labels.clone(), series.points.clone())).collect();
            series(&rows, &eval.series, &times(eval), false)
        }
    }
}

type Row = (Labels, Vec<RawSample>);

fn times(eval: &Eval) -> Vec<i64> {
    let range = eval.expect.iter().find_map(|expect| match expect {
        Expect::RangeVector { start, end, step } => Some((*start, *end, *step)),
        _ => None,
    });
    let (start, end, step) = match (range, eval.at) {
        (Some(range), _) => range,
        (None, At::Range { start, end, step }) => (start, end, step),
        (None, At::Instant(time_ms)) => (time_ms, time_ms, 1),
    };
    (0..).map(|at| start + at * step).take_while(|time| *time <= end).collect()
}

fn series(got: &[Row], expected: &[SeriesLine], times: &[i64], ordered: bool) -> Result<(), String> {
    if got.len() != expected.len() {
        return Err(format!("{} series, expected {}: {:?}", got.len(), expected.len(), shown(got)));
    }
    for (at, line) in expected.iter().enumerate() {
        let row = match ordered {
            true => got.get(at).filter(|(labels, _)| *labels == line.labels),
            false => got.iter().find(|(labels, _)| *labels == line.labels),
        };
        let Some((_, points)) = row else {
            return Err(format!("{:?} is missing in {:?}", line.labels, shown(got)));
        };
        for (step, time_ms) in times.iter().enumerate() {
            let point = points.iter().find(|point| point.time_ms == *time_ms).map(|point| &point.value);
            let expected = line.values.get(step).unwrap_or(&Value::Missing);
            same(point, expected).map_err(|why| format!("{:?} at {time_ms}: {why}", line.labels))?;
        }
    }
    Ok(())
}

fn shown(rows: &[Row]) -> Vec<String> {
    let shown = |(labels, points): &Row| {
        let first = points.first().map(|point| format!("{:?}", point.value.sample()));
        format!("{:?} {}", labels.iter().collect::<Vec<_>>(), first.unwrap_or_default())
    };
    rows.iter().take(4).map(shown).collect()
}

fn same(got: Option<&RawValue>, expected: &Value) -> Result<(), String> {
    match (got, expected) {
        (None, Value::Missing) => Ok(()),
        (Some(RawValue::Float(got)), Value::Float(expected)) if close(*expected, *got) => Ok(()),
        (Some(RawValue::Histogram(got)), Value::Histogram(expected, told)) => alike(got, expected, *told),
        (got, expected) => Err(format!("gave {got:?}, expected {expected:?}")),
    }
}

fn alike(got: &Histogram, expected: &Histogram, hint_told: bool) -> Result<(), String> {
    let (mut a, mut b) = (got.clone(), expected.clone());
    a.compact();
    b.compact();
    let counts = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| close(*y, *x));
    let same = a.schema == b.schema
        && close(b.count, a.count)
        && close(b.sum, a.sum)
        && close(b.zero_count, a.zero_count)
        && a.zero_threshold == b.zero_threshold
        && a.custom_bounds() == b.custom_bounds()
        && counts(&a.positive.counts, &b.positive.counts)
        && counts(&a.negative.counts, &b.negative.counts)
        && (a.positive.counts.is_empty() || a.positive.offset == b.positive.offset)
        && (a.negative.counts.is_empty() || a.negative.offset == b.negative.offset)
        && (!hint_told || a.hint == b.hint);
    if same { Ok(()) } else { Err(format!("gave {a:?}\n    expected {b:?}")) }
}

/// Prometheus compares with a relative tolerance of one in a million.
fn close(expected: f64, got: f64) -> bool {
    if expected.is_nan() || got.is_nan() {
        return expected.is_nan() && got.is_nan();
    }
    if expected == got {
        return true;
    }
    let difference = (expected - got).abs();
    if expected == 0.0 || got == 0.0 {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / (expected.abs() + got.abs()).min(f64::MAX) < 1e-6
}
