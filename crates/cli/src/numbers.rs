//! How numbers and times are written in the terminal, as the console writes them: three significant digits at most, two
//! under 10, units always, a missing value is a dash and never a zero. Plain spaces stand for the console's thin ones.

pub const MISSING: &str = "–";
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Thousands are kept apart by a space.
pub fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value <= -0.5 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// 0.31, 4.1, 46, 186.
fn significant(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        99.5.. => count(value),
        1.0.. => trimmed(format!("{value:.1}")),
        _ => trimmed(two_digits(value)),
    }
}

fn two_digits(value: f64) -> String {
    let decimals = 1 - value.log10().floor() as i32;
    format!("{value:.*}", decimals.clamp(0, 12) as usize)
}

fn trimmed(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A rate without its unit, for columns whose head says it.
pub fn per_second(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", significant(value / 1e6)),
        1e4.. => format!("{} k", significant(value / 1e3)),
        _ if value > 0.0 && value < 0.01 => "< 0.01".into(),
        _ => significant(value),
    }
}

/// A share from 0 to 1: "0.00 %" would claim more than is known.
pub fn share(value: f64) -> String {
    let percent = value * 100.0;
    match percent {
        0.0 => "0".into(),
        _ if percent < 0.01 => "< 0.01 %".into(),
        _ if (99.95..100.0).contains(&percent) => "99.9 %".into(),
        _ if percent < 0.1 => format!("{percent:.2} %"),
        _ => format!("{} %", trimmed(format!("{percent:.1}"))),
    }
}

/// 4.1 µs, 0.31 ms, 46 ms, 1.96 s, 2 min 5 s.
pub fn milliseconds(value: f64) -> String {
    match value {
        _ if value.is_nan() => MISSING.into(),
        ..=0.0 => "0 ms".into(),
        ..0.001 => "< 1 µs".into(),
        ..0.1 => format!("{} µs", short(value * 1000.0)),
        ..999.5 => format!("{} ms", short(value)),
        ..9_995.0 => format!("{:.2} s", value / 1000.0),
        ..59_950.0 => format!("{:.1} s", value / 1000.0),
        _ => span(value / 1000.0),
    }
}

fn short(value: f64) -> String {
    if value >= 9.95 { format!("{value:.0}") } else { trimmed(two_digits(value)) }
}

/// A length of time in its two largest units.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let pairs = [(86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")];
    let Some((big, unit, small, small_unit)) = pairs.into_iter().find(|(big, ..)| whole >= *big) else {
        return format!("{whole} s");
    };
    match whole % big / small {
        0 => format!("{} {unit}", whole / big),
        rest => format!("{} {unit} {rest} {small_unit}", whole / big),
    }
}

pub fn bytes(value: f64) -> String {
    let (mut scaled, mut unit) = (value, 0);
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let number = if unit == 0 { count(scaled) } else { significant(scaled) };
    format!("{number} {}", UNITS[unit])
}

/// A value of unknown unit: whole numbers whole, others with six significant digits.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "NaN".into() } else { format!("{}Inf", if value > 0.0 { "+" } else { "-" }) };
    }
    if value == value.trunc() && value.abs() < 1e15 {
        return count(value);
    }
    let decimals = 5 - value.abs().log10().floor() as i32;
    match decimals {
        0..=12 => trimmed(format!("{value:.*}", decimals as usize)),
        _ => format!("{value:.5e}"),
    }
}

/// Names are shortened in the middle: both ends of a name carry its meaning.
pub fn shorten(name: &str, most: usize, mark: &str) -> String {
    let length = name.chars().count();
    let keep = most.saturating_sub(mark.chars().count());
    if length <= most {
        return name.to_owned();
    }
    if keep < 4 {
        return name.chars().take(most).collect();
    }
    let head = (keep * 3).div_ceil(5);
    let tail = name.chars().skip(length - (keep - head));
    name.chars().take(head).chain(mark.chars()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_console_writes_them() {
        for (ms, expected) in [
            (0.0, "0 ms"),
            (0.0005, "< 1 µs"),
            (0.0041, "4.1 µs"),
            (0.31, "0.31 ms"),
            (4.1, "4.1 ms"),
            (9.97, "10 ms"),
            (46.2, "46 ms"),
            (186.4, "186 ms"),
            (1964.0, "1.96 s"),
            (12_345.0, "12.3 s"),
            (125_000.0, "2 min 5 s"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(milliseconds(ms), expected, "{ms}");
        }
        for (value, expected) in [
            (0.184, "18.4 %"),
            (0.0, "0"),
            (0.00005, "< 0.01 %"),
            (0.0002, "0.02 %"),
            (1.0, "100 %"),
            (0.9999, "99.9 %"),
        ] {
            assert_eq!(share(value), expected, "{value}");
        }
        for (value, expected) in
            [(38.2, "38.2"), (1150.0, "1 150"), (12_400.0, "12.4 k"), (0.001, "< 0.01"), (0.31, "0.31"), (7.0, "7")]
        {
            assert_eq!(per_second(value), expected, "{value}");
        }
        for (value, expected) in [(64.0 * 1048576.0, "64 MiB"), (1500.0, "1.5 KiB"), (12.0, "12 B")] {
            assert_eq!(bytes(value), expected);
        }
        assert_eq!((span(273_600.0), span(59.0)), ("3 d 4 h".into(), "59 s".into()));
        assert_eq!((plain(0.123456789), plain(1_234_567.0)), ("0.123457".into(), "1 234 567".into()));
    }

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(shorten("api.stripe.example", 18, "…"), "api.stripe.example");
        assert_eq!(shorten("api.stripe.example", 9, "…"), "api.s…ple");
        assert_eq!(shorten("añb", 2, "…"), "añ");
    }
}
