//! `start` and `end` of a request: Unix seconds (a fraction is allowed) or RFC 3339.

use crate::error::ApiError;
use std::collections::HashMap;

pub type Parameters = HashMap<String, String>;

const DEFAULT_RANGE_NS: u64 = 1800 * 1_000_000_000;
/// 1 January 2262: nanoseconds in 64 bits with a sign end there.
const LATEST_NS: u64 = i64::MAX as u64;

/// A time as nanoseconds.
pub fn parse(name: &str, text: &str) -> Result<u64, ApiError> {
    let wrong = || ApiError::bad_data(format!("`{name}` is `{text}`, expected Unix seconds or RFC 3339"));
    if let Ok(seconds) = text.parse::<f64>() {
        let valid = seconds.is_finite() && seconds >= 0.0 && seconds < LATEST_NS as f64 / 1e9;
        return valid.then_some((seconds * 1e9) as u64).ok_or_else(wrong);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    time.timestamp_nanos_opt().and_then(|ns| u64::try_from(ns).ok()).ok_or_else(wrong)
}

/// `start..end` in nanoseconds; without them, the last half hour.
pub fn range(parameters: &Parameters) -> Result<(u64, u64), ApiError> {
    let given =
        |name: &str| parameters.get(name).filter(|text| !text.is_empty()).map(|text| parse(name, text)).transpose();
    let end = given("end")?.unwrap_or_else(crate::now_ns);
    let start = given("start")?.unwrap_or(end.saturating_sub(DEFAULT_RANGE_NS));
    if start >= end {
        return Err(ApiError::bad_data("`start` is not before `end`"));
    }
    Ok((start, end))
}

/// Prometheus' durations: seconds as a number, or `5m`, `1h30m`.
pub fn duration_ms(name: &str, text: &str) -> Result<i64, ApiError> {
    let wrong = || ApiError::bad_data(format!("`{name}` is `{text}`, expected seconds or a duration such as 5m"));
    if let Ok(seconds) = text.parse::<f64>() {
        let valid = seconds.is_finite() && seconds > 0.0 && seconds < 1e12;
        return valid.then_some((seconds * 1000.0) as i64).ok_or_else(wrong);
    }
    let mut rest = text;
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0).ok_or_else(wrong)?;
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let units = [
            ("ms", 1),
            ("s", 1000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
            ("y", 31_536_000_000),
        ];
        let (unit, factor) = units.iter().find(|(unit, _)| rest[digits..].starts_with(unit)).ok_or_else(wrong)?;
        total = number.checked_mul(*factor).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        rest = &rest[digits + unit.len()..];
    }
    (total > 0).then_some(total).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time() {
        assert_eq!(parse("start", "1700000000.5").ok(), Some(1_700_000_000_500_000_000));
        assert_eq!(parse("start", "2023-11-14T22:13:20.5Z").ok(), Some(1_700_000_000_500_000_000));
        assert_eq!(parse("start", "2023-11-14T23:13:20+01:00").ok(), Some(1_700_000_000_000_000_000));
        for wrong in ["", "yesterday", "-1", "1e300", "NaN", "2023-11-14"] {
            assert!(parse("start", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_as_prometheus_writes_them() {
        for (text, ms) in [("15", 15_000), ("0.5", 500), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250)] {
            assert_eq!(duration_ms("step", text).ok(), Some(ms), "{text}");
        }
        for wrong in ["0", "-5", "5", "m", "5x", "99999999999999999999h", "5é"].into_iter().filter(|text| *text != "5")
        {
            assert!(duration_ms("step", wrong).is_err(), "{wrong}");
        }
    }
}
