//! Calendar functions, in UTC: `hour`, `day_of_week`, `days_in_month` …

const DAY: i64 = 86_400;

/// What a calendar function takes from a Unix time in seconds.
pub type Field = fn(i64) -> f64;

pub static FIELDS: &[(&str, Field)] = &[
    ("minute", |time| (time.rem_euclid(3600) / 60) as f64),
    ("hour", |time| (time.rem_euclid(DAY) / 3600) as f64),
    // 1 January 1970 was a Thursday.
    ("day_of_week", |time| ((time.div_euclid(DAY) + 4).rem_euclid(7)) as f64),
    ("day_of_month", |time| civil(time).2 as f64),
    ("day_of_year", |time| day_of_year(time) as f64),
    ("days_in_month", |time| days_in_month(time) as f64),
    ("month", |time| civil(time).1 as f64),
    ("year", |time| civil(time).0 as f64),
];

pub fn find(name: &str) -> Option<Field> {
    FIELDS.iter().find(|(have, _)| *have == name).map(|(_, field)| *field)
}

/// Year, month and day of a Unix time (Howard Hinnant's `civil_from_days`).
fn civil(time: i64) -> (i64, i64, i64) {
    let days = time.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_in_month(time: i64) -> i64 {
    let (year, month, _) = civil(time);
    month_days(year, month)
}

fn day_of_year(time: i64) -> i64 {
    let (year, month, day) = civil(time);
    (1..month).map(|month| month_days(year, month)).sum::<i64>() + day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days() {
        for (time, expected) in [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (-1, (1969, 12, 31)),
            (1_709_164_800, (2024, 2, 29)),
            (4_107_542_400, (2100, 3, 1)),
        ] {
            assert_eq!(civil(time), expected, "{time}");
        }
        assert_eq!(day_of_year(1_735_603_200), 366);
        assert_eq!(days_in_month(951_782_400), 29);
    }
}
