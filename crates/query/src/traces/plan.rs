//! The language of the search: `service:checkout duration:>1s status:error http.route:/cart -code:404`. A term is
//! `key:value`, a word alone is part of a span's name, a minus in front turns a term round, quotes keep spaces together.

use crate::QueryError;
use crate::span_rows::{SpanRow, SpanStatus};
use limpid_store::SpanQuery;
use std::borrow::Cow;

const MAX_TERMS: usize = 32;

/// Terms that are columns of a span; the second name is the column.
const COLUMNS: &[(&str, &str)] = &[
    ("service", "service"),
    ("operation", "operation"),
    ("resource", "resource"),
    ("route", "resource"),
    ("protocol", "protocol"),
    ("proto", "protocol"),
    ("code", "code"),
    ("peer", "peer"),
    ("host", "host"),
    ("instance", "instance"),
    ("name", "name"),
];

/// Terms on how a request went. The others say which requests are meant, so that "slow ones" or "failed ones" can be
/// compared with the rest of them.
const OUTCOME: &[&str] = &["duration", "status", "code"];

/// Where a word alone is looked for.
const WORDS_ARE_IN: &[&str] = &["name", "service", "resource"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Empty for a word alone.
    pub key: String,
    pub value: String,
    pub negated: bool,
}

impl Term {
    pub fn is_outcome(&self) -> bool {
        OUTCOME.contains(&self.key.as_str())
    }
}

/// What the store cannot filter by.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    words: Vec<String>,
    /// Column or attribute, and the value that it must not have.
    not: Vec<(String, String)>,
    only_ok: bool,
}

impl Rest {
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.not.is_empty() && !self.only_ok
    }

    /// What `fits` asks for.
    pub fn names(&self) -> Vec<&str> {
        let of_words: &[&str] = if self.words.is_empty() { &[] } else { WORDS_ARE_IN };
        of_words.iter().copied().chain(self.not.iter().map(|(name, _)| name.as_str())).collect()
    }

    /// `get` gives a span's name, its columns and its attributes as texts.
    pub fn fits<'a>(&self, failed: bool, get: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        let has = |word: &String| {
            let mut texts = WORDS_ARE_IN.iter().filter_map(|name| get(name));
            texts.any(|text| text.to_lowercase().contains(word.as_str()))
        };
        let is = |(key, value): &(String, String)| get(key).is_some_and(|have| have == value.as_str());
        !(self.only_ok && failed) && self.words.iter().all(has) && !self.not.iter().any(is)
    }

    pub fn fits_row(&self, span: &SpanRow) -> bool {
        self.fits(span.status == SpanStatus::Error, |name| match name {
            "name" => Some(Cow::Borrowed(span.name.as_str())),
            _ => span.promoted(name).map(Cow::Borrowed).or_else(|| span.attribute(name).map(Cow::Owned)),
        })
    }
}

/// The terms of a query's text.
pub fn parse(text: &str) -> Result<Vec<Term>, QueryError> {
    let words = words(text)?;
    let term = |word: &String| {
        let body = word.strip_prefix('-').filter(|body| !body.is_empty());
        let (negated, text) = (body.is_some(), body.unwrap_or(word));
        match text.split_once(':').filter(|(key, _)| is_key(key)) {
            Some((key, value)) => Term { key: key.into(), value: value.into(), negated },
            None => Term { key: String::new(), value: word.to_lowercase(), negated: false },
        }
    };
    Ok(words.iter().map(term).collect())
}

pub fn apply(term: &Term, spans: &mut SpanQuery, rest: &mut Rest) -> Result<(), QueryError> {
    let Term { key, value, negated } = term;
    if key.is_empty() {
        rest.words.push(value.clone());
        return Ok(());
    }
    if value.is_empty() {
        return Err(QueryError::bad_data(format!("`{key}:` has no value")));
    }
    let column = COLUMNS.iter().find(|(name, _)| name == key).map(|(_, column)| *column);
    match key.as_str() {
        "duration" => limit_duration(value, *negated, spans),
        "status" => limit_status(value, *negated, spans, rest),
        _ if *negated => {
            rest.not.push((column.unwrap_or(key).to_string(), value.clone()));
            Ok(())
        }
        _ => {
            match column {
                Some(column) => spans.columns.push((column.to_string(), value.clone())),
                None => spans.attributes.push((key.clone(), value.clone())),
            }
            Ok(())
        }
    }
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn limit_status(value: &str, negated: bool, spans: &mut SpanQuery, rest: &mut Rest) -> Result<(), QueryError> {
    let failed = match value {
        "error" => true,
        "ok" | "unset" => false,
        _ => return Err(QueryError::bad_data(format!("`status:{value}` is not known; use status:error or status:ok"))),
    };
    match failed != negated {
        true => spans.errors = true,
        false => rest.only_ok = true,
    }
    Ok(())
}

/// `>1s`, `>=250ms`, `<2m`, or `1s` for "at least".
fn limit_duration(text: &str, negated: bool, spans: &mut SpanQuery) -> Result<(), QueryError> {
    let amount = text.trim_start_matches(['>', '<', '=']);
    let sign = &text[..text.len() - amount.len()];
    let ns = duration_ns(amount).ok_or_else(|| {
        QueryError::bad_data(format!("`duration:{text}` is no duration; use one such as duration:>250ms"))
    })?;
    let at_least = match sign {
        "" | ">" | ">=" => true,
        "<" | "<=" => false,
        _ => return Err(QueryError::bad_data(format!("`{sign}` is no comparison; use > or <"))),
    };
    match at_least != negated {
        true => spans.min_duration_ns = Some(spans.min_duration_ns.map_or(ns, |have| have.max(ns))),
        false => spans.max_duration_ns = Some(spans.max_duration_ns.map_or(ns, |have| have.min(ns))),
    }
    Ok(())
}

fn duration_ns(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let ns = number.parse::<f64>().ok()? * factor;
    (ns.is_finite() && ns >= 0.0).then_some(ns as u64)
}

/// Splits at spaces outside of double quotes; the quotes themselves go.
fn words(text: &str) -> Result<Vec<String>, QueryError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    if quoted {
        return Err(QueryError::bad_data("a quote is not closed"));
    }
    words.extend((!word.is_empty()).then_some(word));
    if words.len() > MAX_TERMS {
        return Err(QueryError::bad_data(format!("more than {MAX_TERMS} terms")));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(q: &str) -> Result<(SpanQuery, Rest), QueryError> {
        let (mut spans, mut rest) = (SpanQuery::default(), Rest::default());
        for term in parse(q)? {
            apply(&term, &mut spans, &mut rest)?;
        }
        Ok((spans, rest))
    }

    #[test]
    fn terms_become_filters() {
        let (spans, _) =
            planned(r#"service:checkout duration:>1s status:error route:"/a b" http.route:/x"#).expect("a query");
        assert_eq!(spans.columns, [("service".into(), "checkout".into()), ("resource".into(), "/a b".into())]);
        assert_eq!(spans.attributes, [("http.route".into(), "/x".into())]);
        assert_eq!((spans.min_duration_ns, spans.errors), (Some(1_000_000_000), true));
    }

    #[test]
    fn a_minus_turns_a_term_round() {
        let (spans, rest) = planned("-code:404 -status:error -duration:>1s").expect("a query");
        assert_eq!((spans.errors, spans.max_duration_ns), (false, Some(1_000_000_000)));
        let code = |code: &'static str| move |name: &str| (name == "code").then_some(Cow::Borrowed(code));
        assert!(rest.fits(false, code("200")));
        assert!(!rest.fits(false, code("404")) && !rest.fits(true, code("200")));
        assert_eq!(parse("-").expect("a word")[0].value, "-");
    }

    #[test]
    fn what_is_no_term_is_a_clear_error() {
        for (q, part) in [
            ("duration:>soon", "no duration"),
            ("status:bad", "not known"),
            ("\"a", "not closed"),
            ("service:", "no value"),
        ] {
            let error = planned(q).expect_err(q);
            assert!(error.text.contains(part), "{q}: {error}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ns) in [
            ("1.5s", Some(1_500_000_000)),
            ("250ms", Some(250_000_000)),
            ("3", None),
            ("µs", None),
            ("2m", Some(120_000_000_000)),
        ] {
            assert_eq!(duration_ns(text), ns, "{text}");
        }
    }
}
