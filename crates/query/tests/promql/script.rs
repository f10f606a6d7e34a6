//! The language of Prometheus' evaluation scripts: `load`, `clear`, `eval instant`, `eval range` and `expect` lines.
//! Source: promql/promqltest/README.md in the Prometheus repository.

use limpid_model::Labels;
use limpid_model::series::STALE_NAN_BITS;
use limpid_query::promql::histogram::{Buckets, CUSTOM_SCHEMA, Histogram, ResetHint};
use promql_parser::parser::{self, Expr};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Value {
    Missing,
    Float(f64),
    /// And whether the script says something about the counter's reset.
    Histogram(Arc<Histogram>, bool),
}

#[derive(Clone, Debug)]
pub struct SeriesLine {
    pub labels: Labels,
    pub values: Vec<Value>,
}

#[derive(Debug)]
pub enum Command {
    Clear,
    Load { gap_ms: i64, with_custom_buckets: bool, series: Vec<SeriesLine> },
    Eval(Eval),
}

#[derive(Debug)]
pub struct Eval {
    pub line: usize,
    pub expr: String,
    pub at: At,
    pub expect: Vec<Expect>,
    pub series: Vec<SeriesLine>,
    pub scalar: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub enum At {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    Fail(Option<String>),
    Warn(Option<String>),
    Info(Option<String>),
    NoWarn,
    NoInfo,
    Ordered,
    Text(String),
    RangeVector { start: i64, end: i64, step: i64 },
}

pub fn parse(text: &str) -> Result<Vec<Command>, String> {
    let clean = |line: &str| if line.trim().starts_with('#') { String::new() } else { line.trim().to_string() };
    let lines: Vec<String> = text.lines().map(clean).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = &lines[at];
        let block: Vec<&String> = lines[at + 1..].iter().take_while(|line| !line.is_empty()).collect();
        let number = at + 1;
        at += 1;
        match line.split_whitespace().next() {
            None => continue,
            Some("clear") => commands.push(Command::Clear),
            Some(word @ ("load" | "load_with_nhcb")) => {
                at += block.len();
                commands.push(load(word, line, &block).map_err(|error| format!("line {number}: {error}"))?);
            }
            Some(word) if word.starts_with("eval") => {
                at += block.len();
                commands.push(eval(line, &block, number).map_err(|error| format!("line {number}: {error}"))?);
            }
            Some(word) => return Err(format!("line {number}: unknown command {word}")),
        }
    }
    Ok(commands)
}

fn load(word: &str, line: &str, block: &[&String]) -> Result<Command, String> {
    let gap = line.split_whitespace().nth(1).ok_or("load needs a gap")?;
    let series = block.iter().map(|line| series_line(line)).collect::<Result<_, _>>()?;
    Ok(Command::Load { gap_ms: duration_ms(gap)?, with_custom_buckets: word == "load_with_nhcb", series })
}

fn eval(line: &str, block: &[&String], number: usize) -> Result<Command, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |count: usize| {
        let mut rest = line;
        for word in &words[..count] {
            rest = rest.trim_start().strip_prefix(word).unwrap_or(rest);
        }
        rest.trim().to_string()
    };
    let word = |at: usize| words.get(at).copied().ok_or("eval is cut off");
    let (at, expr) = match word(1)? {
        "instant" => (At::Instant(duration_ms(word(3)?)?), after(4)),
        "range" => {
            let (start, end, step) = (duration_ms(word(3)?)?, duration_ms(word(5)?)?, duration_ms(word(7)?)?);
            (At::Range { start, end, step }, after(8))
        }
        other => return Err(format!("unknown kind {other}")),
    };
    let mut expect = match word(0)? {
        "eval_fail" => vec![Expect::Fail(None)],
        "eval_warn" => vec![Expect::Warn(None)],
        "eval_info" => vec![Expect::Info(None)],
        "eval_ordered" => vec![Expect::Ordered],
        _ => Vec::new(),
    };
    let (mut series, mut scalar) = (Vec::new(), None);
    for line in block {
        if let Some(rest) = line.strip_prefix("expect ") {
            expect.push(expectation(rest.trim())?);
        } else if let Some(value) = number_of(line) {
            scalar = Some(value);
        } else {
            series.push(series_line(line)?);
        }
    }
    Ok(Command::Eval(Eval { line: number, expr, at, expect, series, scalar }))
}

fn expectation(text: &str) -> Result<Expect, String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let message = || {
        let message = rest.trim().strip_prefix("msg:").map(str::trim);
        // The parser's tree knows no positions, so messages come without them.
        message.map(|message| match message.rfind(" (") {
            Some(at) if message.ends_with(')') && message[at + 2..].starts_with(|c: char| c.is_ascii_digit()) => {
                message[..at].to_string()
            }
            _ => message.to_string(),
        })
    };
    Ok(match word {
        "fail" => Expect::Fail(message()),
        "warn" => Expect::Warn(message()),
        "info" => Expect::Info(message()),
        "no_warn" => Expect::NoWarn,
        "no_info" => Expect::NoInfo,
        "ordered" => Expect::Ordered,
        "string" => match parser::parse(rest.trim()) {
            Ok(Expr::StringLiteral(text)) => Expect::Text(text.val),
            other => return Err(format!("not a string: {other:?}")),
        },
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [_, _, start, _, end, _, step] = words.as_slice() else { return Err(format!("cannot read {text}")) };
            Expect::RangeVector { start: duration_ms(start)?, end: duration_ms(end)?, step: duration_ms(step)? }
        }
        other => return Err(format!("unknown expectation {other}")),
    })
}

pub fn duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(format!("bad duration {text}"))?;
        let number: i64 = rest[..digits].parse().map_err(|_| format!("bad duration {text}"))?;
        let after = &rest[digits..];
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let factor = match &after[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            other => return Err(format!("bad unit {other}")),
        };
        total += number * factor;
        rest = &after[unit..];
    }
    Ok(sign * total)
}

fn number_of(text: &str) -> Option<f64> {
    match text {
        "Inf" | "+Inf" | "inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        "NaN" | "nan" => Some(f64::NAN),
        text if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => text.parse().ok(),
        _ => None,
    }
}

fn series_line(line: &str) -> Result<SeriesLine, String> {
    let end = metric_end(line);
    let labels = labels_of(line[..end].trim())?;
    let mut values = Vec::new();
    let mut rest = line[end..].trim_start();
    while !rest.is_empty() {
        let end = item_end(rest);
        item(&rest[..end], &mut values).map_err(|error| format!("{error} in {line}"))?;
        rest = rest[end..].trim_start();
    }
    Ok(SeriesLine { labels, values })
}

/// Where the metric ends: at the brace that closes its labels, or at the first space when it has none.
fn metric_end(line: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '}') => return at + 1,
            (None, c)
                if c.is_whitespace() && !line[..at].contains('{') && !line[at..].trim_start().starts_with('{') =>
            {
                return at;
            }
            (None, c)
                if c.is_whitespace() && !line[..at].contains('{') && line[at..].trim_start().starts_with("{{") =>
            {
                return at;
            }
            _ => {}
        }
    }
    line.len()
}

fn labels_of(metric: &str) -> Result<Labels, String> {
    if metric == "{}" {
        return Ok(Labels::default());
    }
    match parser::parse(metric) {
        Ok(Expr::VectorSelector(selector)) => {
            let name = selector.name.iter().map(|name| ("__name__".to_string(), name.clone()));
            let others = selector.matchers.matchers.iter().map(|matcher| (matcher.name.clone(), matcher.value.clone()));
            Ok(Labels::from_pairs(name.chain(others).collect::<Vec<_>>()))
        }
        other => Err(format!("no metric: {metric}: {other:?}")),
    }
}

/// One item of a sequence: up to a space that is not inside of `{{ }}`.
fn item_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if c.is_whitespace() && depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn item(text: &str, out: &mut Vec<Value>) -> Result<(), String> {
    if text == "stale" {
        out.push(Value::Float(f64::from_bits(STALE_NAN_BITS)));
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix('_') {
        let count = rest.strip_prefix('x').map_or(Ok(1), str::parse).map_err(|_| format!("bad count {text}"))?;
        out.extend(std::iter::repeat_n(Value::Missing, count));
        return Ok(());
    }
    if text.starts_with("{{") {
        return histogram_item(text, out);
    }
    float_item(text, out)
}

fn float_item(text: &str, out: &mut Vec<Value>) -> Result<(), String> {
    if let Some(value) = number_of(text) {
        out.push(Value::Float(value));
        return Ok(());
    }
    let (sequence, count) = text.rsplit_once('x').ok_or(format!("bad value {text}"))?;
    let count: usize = count.parse().map_err(|_| format!("bad count {text}"))?;
    let bytes = sequence.as_bytes();
    let is_step = |at: &usize| matches!(bytes[*at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E');
    let split = (1..bytes.len()).rev().find(is_step);
    let (first, step) = match split {
        Some(at) => (&sequence[..at], &sequence[at..]),
        None => (sequence, "0"),
    };
    let number = |text: &str| number_of(text).ok_or(format!("bad number {text}"));
    let (mut value, step) = (number(first)?, number(step)?);
    for _ in 0..=count {
        out.push(Value::Float(value));
        value += step;
    }
    Ok(())
}

fn histogram_item(text: &str, out: &mut Vec<Value>) -> Result<(), String> {
    let close = text.find("}}").ok_or("histogram is not closed")? + 2;
    let (first, told) = histogram(&text[..close])?;
    let rest = &text[close..];
    if rest.is_empty() {
        out.push(Value::Histogram(Arc::new(first), told));
        return Ok(());
    }
    let (step, count) = rest.rsplit_once('x').ok_or(format!("bad repetition {rest}"))?;
    let count: usize = count.parse().map_err(|_| format!("bad count {rest}"))?;
    let mut value = first;
    for _ in 0..=count {
        out.push(Value::Histogram(Arc::new(value.clone()), told));
        if let Some(step) = step.strip_prefix('+') {
            let hint = value.hint;
            value.add(&histogram(step)?.0).map_err(|_| "histograms of two kinds")?;
            value.hint = hint;
        } else if let Some(step) = step.strip_prefix('-') {
            value.subtract(&histogram(step)?.0).map_err(|_| "histograms of two kinds")?;
        }
    }
    Ok(())
}

/// `{{schema:1 sum:2 count:3 buckets:[1 2] offset:1}}`.
fn histogram(text: &str) -> Result<(Histogram, bool), String> {
    let inner =
        text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).ok_or(format!("no histogram: {text}"))?;
    let mut histogram = Histogram::default();
    let mut told = false;
    let (mut positive, mut negative) = (Buckets::default(), Buckets::default());
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or(format!("bad field in {text}"))?;
        let end = match after.starts_with('[') {
            true => after.find(']').ok_or("list is not closed")? + 1,
            false => after.find(char::is_whitespace).unwrap_or(after.len()),
        };
        let value = &after[..end];
        rest = after[end..].trim_start();
        let number = || number_of(value).ok_or(format!("bad number {value}"));
        let numbers = || {
            let list = value.trim_matches(['[', ']']).split_whitespace();
            list.map(|item| number_of(item).ok_or(format!("bad number {item}"))).collect::<Result<Vec<f64>, String>>()
        };
        match key.trim() {
            "schema" => histogram.schema = number()? as i32,
            "sum" => histogram.sum = number()?,
            "count" => histogram.count = number()?,
            "z_bucket" => histogram.zero_count = number()?,
            "z_bucket_w" => histogram.zero_threshold = number()?,
            "buckets" => positive.counts = numbers()?,
            "n_buckets" => negative.counts = numbers()?,
            "offset" => positive.offset = number()? as i32,
            "n_offset" => negative.offset = number()? as i32,
            "custom_values" => histogram.bounds = Some(numbers()?.into()),
            "counter_reset_hint" => {
                told = true;
                histogram.hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    other => return Err(format!("unknown hint {other}")),
                };
            }
            other => return Err(format!("unknown field {other}")),
        }
    }
    if histogram.schema == CUSTOM_SCHEMA && histogram.bounds.is_none() {
        histogram.bounds = Some(Vec::new().into());
    }
    (histogram.positive, histogram.negative) = (positive, negative);
    Ok((histogram, told))
}
