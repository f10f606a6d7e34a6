//! A certificate's subject, issuer and end (RFC 5280), without its keys and signatures: a small reader of DER.

use super::reader::Reader;
use limpid_model::Text;
use std::fmt::Write;

/// A name in the metrics is never longer.
const MAX_NAME_BYTES: usize = 256;
const MAX_PARTS: usize = 16;

const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// How parts of a name are called (RFC 4514 section 3), by their object identifiers.
const PARTS: [(&[u8], &str); 10] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "SERIALNUMBER"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "EMAIL"),
];

/// What is told of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    pub subject: Text,
    pub issuer: Text,
    /// Seconds since 1970 after which it is not valid any more.
    pub not_after: i64,
}

/// A value and its tag.
fn value<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let tag = reader.byte()?;
    let length = match reader.byte()? {
        length @ 0..=0x7f => u64::from(length),
        0x81 => reader.number(1)?,
        0x82 => reader.number(2)?,
        0x83 => reader.number(3)?,
        _ => return None,
    };
    // Of the outermost ones the end may not have been captured.
    let length = usize::try_from(length).ok()?.min(reader.rest().len());
    Some((tag, reader.take(length)?))
}

fn expect<'a>(reader: &mut Reader<'a>, tag: u8) -> Option<&'a [u8]> {
    value(reader).filter(|(have, _)| *have == tag).map(|(_, value)| value)
}

/// Of one certificate in DER.
pub fn read(der: &[u8]) -> Option<Certificate> {
    let certificate = expect(&mut Reader::new(der), SEQUENCE)?;
    let mut fields = Reader::new(expect(&mut Reader::new(certificate), SEQUENCE)?);
    if fields.rest().first() == Some(&VERSION) {
        value(&mut fields)?;
    }
    expect(&mut fields, INTEGER)?;
    expect(&mut fields, SEQUENCE)?;
    let issuer = name(expect(&mut fields, SEQUENCE)?);
    let mut validity = Reader::new(expect(&mut fields, SEQUENCE)?);
    value(&mut validity)?;
    let not_after = time(value(&mut validity)?)?;
    let subject = name(expect(&mut fields, SEQUENCE)?);
    Some(Certificate { subject, issuer, not_after })
}

/// The first certificate of the message of TLS up to 1.2: the one of who shows it (RFC 5246 section 7.4.2).
pub fn first_of_message(body: &[u8]) -> Option<Certificate> {
    let list = Reader::new(body).front_of_vector(3)?;
    read(Reader::new(list).front_of_vector(3)?)
}

/// The last part first, as RFC 4514 writes it: `CN=shop.test, O=Shop`.
fn name(bytes: &[u8]) -> Text {
    let (mut reader, mut parts) = (Reader::new(bytes), Vec::new());
    while let Some(set) = expect(&mut reader, SET) {
        if parts.len() >= MAX_PARTS {
            break;
        }
        parts.extend(part(set));
    }
    let mut out = Text::default();
    for (kind, value) in parts.iter().rev() {
        let before = out.len();
        let comma = if before > 0 { ", " } else { "" };
        // Writing to a text cannot fail.
        let _ = write!(out, "{comma}{kind}={value}");
        if out.len() > MAX_NAME_BYTES {
            out.truncate(before);
            break;
        }
    }
    out
}

fn part(set: &[u8]) -> Option<(&'static str, Text)> {
    let mut pair = Reader::new(expect(&mut Reader::new(set), SEQUENCE)?);
    let id = expect(&mut pair, OBJECT_ID)?;
    let (_, kind) = PARTS.iter().find(|(known, _)| *known == id)?;
    let (tag, text) = value(&mut pair)?;
    Some((kind, escaped(tag, text)))
}

fn escaped(tag: u8, bytes: &[u8]) -> Text {
    let wide = || char::decode_utf16(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
    let text = match tag {
        BMP_STRING => wide().map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
        _ => String::from_utf8_lossy(bytes),
    };
    let mut out = Text::default();
    for character in text.chars() {
        if matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(if character.is_control() { char::REPLACEMENT_CHARACTER } else { character });
    }
    out
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on (RFC 5280 section 4.1.2.5).
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let mut digits = Reader::new(text);
    let mut number = |count| {
        let digits = std::str::from_utf8(digits.take(count)?).ok()?;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let year = match tag {
        UTC_TIME => number(2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?,
        GENERALIZED_TIME => number(4)?,
        _ => return None,
    };
    let (month, day) = (number(2)?, number(2)?);
    if !(1..=12).contains(&month) {
        return None;
    }
    let seconds = number(2)? * 3600 + number(2)? * 60 + number(2).unwrap_or(0);
    Some(days_since_1970(year, month, day) * 86_400 + seconds)
}

/// Of the Gregorian calendar, by counting years from March on: <https://howardhinnant.github.io/date_algorithms.html>.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// `2031-02-03T04:05:06Z`.
pub fn date(seconds: i64) -> Text {
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let mut out = Text::default();
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (tag, text, seconds, shown) in [
            (UTC_TIME, "700101000000Z", 0, "1970-01-01T00:00:00Z"),
            (UTC_TIME, "240229123456Z", 1_709_210_096, "2024-02-29T12:34:56Z"),
            (UTC_TIME, "491231235959Z", 2_524_607_999, "2049-12-31T23:59:59Z"),
            (UTC_TIME, "500101000000Z", -631_152_000, "1950-01-01T00:00:00Z"),
            (GENERALIZED_TIME, "21000301000000Z", 4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(time((tag, text.as_bytes())), Some(seconds), "{text}");
            assert_eq!(date(seconds), shown);
        }
        for wrong in ["", "24", "241301000000Z", "2401010", "-1010100+000Z"] {
            assert_eq!(time((UTC_TIME, wrong.as_bytes())), None, "{wrong}");
        }
    }
}
