//! From when until when a certificate holds: the one thing that is read out of X.509 here (RFC 5280, section 4.1).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Unix seconds.
    pub from: i64,
    pub until: i64,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

pub fn period(certificate: &[u8]) -> Option<Period> {
    let (body, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _) = expect(body, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = expect(rest, VERSION)?.1;
    }
    // Serial number, algorithm, issuer; then the period.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = expect(rest, tag)?.1;
    }
    let (period, _) = expect(rest, SEQUENCE)?;
    let (from, rest) = time(period)?;
    let (until, _) = time(rest)?;
    Some(Period { from, until })
}

/// The content of the element at the start, and what follows it.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits = usize::from(first & 0x7f);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(digits)?;
        length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, text) = match tag {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let seconds = part(4)? * 3600 + part(6)? * 60 + part(8)?;
    Some((days(year, part(0)?, part(2)?) * 86_400 + seconds, rest))
}

/// Days since 1 January 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2026-11-28`.
pub fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, day) = (if shifted < 10 { shifted + 3 } else { shifted - 9 }, of_year - (153 * shifted + 2) / 5 + 1);
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        for (year, month, day, seconds) in
            [(1970, 1, 1, 0), (2000, 2, 29, 951_782_400), (2026, 11, 28, 1_795_824_000), (2100, 3, 1, 4_107_542_400)]
        {
            assert_eq!(days(year, month, day) * 86_400, seconds, "{year}-{month}-{day}");
            assert_eq!(date(seconds + 3_600), format!("{year:04}-{month:02}-{day:02}"));
        }
    }

    #[test]
    fn both_forms_of_a_time() {
        let utc = [&[UTC_TIME, 13][..], b"261128120000Z"].concat();
        let general = [&[GENERALIZED_TIME, 15][..], b"20261128120000Z"].concat();
        assert_eq!(time(&utc).map(|(seconds, _)| seconds), Some(1_795_867_200));
        assert_eq!(time(&general).map(|(seconds, _)| seconds), Some(1_795_867_200));
    }

    #[test]
    fn damage_is_no_certificate() {
        for damaged in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x82, 0xff, 0xff, 0],
            &[0x30, 2, 0x30, 0],
        ] {
            assert_eq!(period(damaged), None);
        }
    }
}
