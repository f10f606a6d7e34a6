//! Figures as people read them: three significant digits, the unit that fits, a thin space before it.

/// "0.31 ms", "46 ms", "1.96 s", "2 min 5 s".
pub fn duration(ms: f64) -> String {
    if ms < 1000.0 {
        return format!("{}\u{2009}ms", significant(ms));
    }
    let seconds = ms / 1000.0;
    if seconds < 60.0 {
        return format!("{}\u{2009}s", significant(seconds));
    }
    let (minutes, rest) = ((seconds / 60.0).floor(), seconds % 60.0);
    format!("{minutes:.0}\u{2009}min {rest:.0}\u{2009}s")
}

/// "9 days", "1 day", "7 h".
pub fn days(days: f64) -> String {
    match days {
        ..1.0 => format!("{:.0}\u{2009}h", (days * 24.0).floor()),
        ..2.0 => "1 day".into(),
        _ => format!("{:.0} days", days.floor()),
    }
}

/// "18.4 %", "< 0.01 %", "0 %".
pub fn share(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent == 0.0 {
        return "0\u{2009}%".into();
    }
    if percent < 0.01 {
        return "<\u{2009}0.01\u{2009}%".into();
    }
    format!("{}\u{2009}%", significant(percent))
}

/// Thousands are kept apart: "36 000".
pub fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits, two below ten.
fn significant(value: f64) -> String {
    let text = match value {
        ..0.1 => format!("{value:.3}"),
        ..1.0 => format!("{value:.2}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, expected) in [(7.0, "7"), (120.4, "120"), (36_000.0, "36 000"), (1_234_567.0, "1 234 567")] {
            assert_eq!(count(value).replace('\u{2009}', " "), expected);
        }
        for (ms, expected) in
            [(0.31, "0.31 ms"), (46.0, "46 ms"), (186.4, "186 ms"), (1964.0, "1.96 s"), (125_000.0, "2 min 5 s")]
        {
            assert_eq!(duration(ms).replace('\u{2009}', " "), expected);
        }
        for (left, expected) in [(9.7, "9 days"), (1.9, "1 day"), (0.31, "7 h")] {
            assert_eq!(days(left).replace('\u{2009}', " "), expected);
        }
        for (ratio, expected) in
            [(0.1841, "18.4 %"), (0.00001, "< 0.01 %"), (0.0, "0 %"), (1.0, "100 %"), (0.001, "0.1 %")]
        {
            assert_eq!(share(ratio).replace('\u{2009}', " "), expected);
        }
    }
}
