//! One reading of the agent's `/metrics`: the value of each series by its number. What has not changed since the reading
//! before is shared with it, so that comparing is a look at a pointer.

use super::registry::{Family, Registry};
use super::wire::{Damaged, Fields, Value, unzigzag};
use limpid_model::names::{self, prometheus_name};
use limpid_model::{ExpHistogram, Text};
use std::rc::Rc;
use std::time::Instant;

/// Buckets of the agent lie far within; what is outside is damage and would only cost memory.
const MOST_INDEX: i64 = 4096;
/// Prometheus has no other resolutions.
const SCALES: std::ops::RangeInclusive<i64> = -4..=8;
/// More than can have been counted; sums of many below it stay in 64 bits.
const MOST_COUNTED: u64 = 1 << 48;

#[derive(Clone, Debug)]
pub enum Sample {
    Histogram(Rc<Counted>),
    Number(f64),
}

#[derive(Debug, PartialEq)]
pub struct Counted {
    pub histogram: ExpHistogram,
    /// When it began to count, Unix ns.
    pub start_ns: u64,
}

#[derive(Clone)]
pub struct Reading {
    pub at: Instant,
    pub unix_ns: u64,
    /// When the agent began, Unix ns.
    pub agent_started_ns: Option<u64>,
    pub samples: Vec<Option<Sample>>,
}

impl Reading {
    pub fn empty(at: Instant, unix_ns: u64) -> Reading {
        Reading { at, unix_ns, agent_started_ns: None, samples: Vec::new() }
    }

    pub fn histogram(&self, number: usize) -> Option<&Rc<Counted>> {
        match self.samples.get(number)? {
            Some(Sample::Histogram(counted)) => Some(counted),
            _ => None,
        }
    }

    pub fn number(&self, number: usize) -> Option<f64> {
        match self.samples.get(number)? {
            Some(Sample::Number(value)) => Some(*value),
            _ => None,
        }
    }
}

/// Which families are read, by Prometheus' name.
pub struct Parser {
    families: Vec<(String, Family)>,
    spans: Vec<(i64, u64)>,
}

impl Parser {
    pub fn new() -> Parser {
        let known = [
            (names::REQUEST_DURATION, "s", false, Family::Duration),
            (names::REQUEST_NETWORK, "s", false, Family::Network),
            (names::REQUEST_QUEUE, "s", false, Family::Queue),
            (names::REQUEST_NETWORK_OR_QUEUE, "s", false, Family::NetworkOrQueue),
            (names::CONNECTION_BYTES, "By", true, Family::Bytes),
            ("limpid.connection.active", "{connection}", false, Family::Connections),
            (names::REQUESTS_WAITING, "{request}", false, Family::Waiting),
            (names::LOSSES, "{event}", true, Family::Losses),
            ("process.cpu.time", "s", true, Family::Cpu),
            ("process.memory.usage", "By", false, Family::Memory),
        ];
        let families = known.map(|(name, unit, counter, family)| (prometheus_name(name, unit, counter), family));
        Parser { families: families.into(), spans: Vec::new() }
    }

    /// Fills `reading` from the answer's body.
    pub fn read(
        &mut self,
        body: &[u8],
        registry: &mut Registry,
        before: Option<&Reading>,
        reading: &mut Reading,
    ) -> Result<(), Damaged> {
        let mut body = Fields::new(body);
        while !body.rest.is_empty() {
            self.family(body.delimited()?, registry, before, reading)?;
        }
        Ok(())
    }

    fn family(
        &mut self,
        message: &[u8],
        registry: &mut Registry,
        before: Option<&Reading>,
        reading: &mut Reading,
    ) -> Result<(), Damaged> {
        let mut fields = Fields::new(message);
        let mut family = None;
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => {
                    let name = value.text()?;
                    family = self.families.iter().find(|(known, _)| known == name).map(|(_, family)| *family);
                }
                4 => {
                    let Some(family) = family else { return Ok(()) };
                    self.metric(family, value.bytes()?, registry, before, reading)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn metric(
        &mut self,
        family: Family,
        message: &[u8],
        registry: &mut Registry,
        before: Option<&Reading>,
        reading: &mut Reading,
    ) -> Result<(), Damaged> {
        let mut fields = Fields::new(message);
        let mut labels: &[u8] = &[];
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                // The agent writes labels first: all that was read up to here is theirs.
                labels = &message[..message.len() - fields.rest.len()];
                continue;
            }
            let sample = match number {
                2 => Sample::Number(first_double(value)?),
                3 => {
                    let (number, start_ns) = counter(value)?;
                    if family == Family::Cpu {
                        reading.agent_started_ns = start_ns;
                    }
                    Sample::Number(number)
                }
                7 => {
                    let at = registry.number(family, labels)? as usize;
                    let before = before.and_then(|before| before.histogram(at));
                    Sample::Histogram(self.histogram(value.bytes()?, before)?)
                }
                _ => continue,
            };
            let at = registry.number(family, labels)? as usize;
            if reading.samples.len() <= at {
                reading.samples.resize(at + 1, None);
            }
            reading.samples[at] = Some(sample);
        }
        Ok(())
    }

    /// Buckets are looked at only when the count has grown.
    fn histogram(&mut self, message: &[u8], before: Option<&Rc<Counted>>) -> Result<Rc<Counted>, Damaged> {
        let mut histogram = ExpHistogram { scale: 0, ..ExpHistogram::default() };
        let (mut start_ns, mut deltas): (u64, &[u8]) = (0, &[]);
        self.spans.clear();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => histogram.count = counted(value.uint()?)?,
                2 => histogram.sum = value.double()?,
                5 => histogram.scale = value.sint().ok().filter(|scale| SCALES.contains(scale)).ok_or(Damaged)? as i8,
                7 => histogram.zero_count = counted(value.uint()?)?,
                12 => self.spans.push(span(value.bytes()?)?),
                13 => deltas = value.bytes()?,
                15 => start_ns = timestamp(value.bytes()?)?,
                _ => {}
            }
        }
        if let Some(before) =
            before.filter(|before| before.start_ns == start_ns && before.histogram.count == histogram.count)
        {
            return Ok(Rc::clone(before));
        }
        fill(&mut histogram, &self.spans, deltas)?;
        Ok(Rc::new(Counted { histogram, start_ns }))
    }
}

/// Prometheus' bucket `i` is OTLP's `i - 1`: there a bucket is named by its upper bound, here by its lower one.
fn fill(histogram: &mut ExpHistogram, spans: &[(i64, u64)], deltas: &[u8]) -> Result<(), Damaged> {
    let mut deltas = Fields::new(deltas);
    let (mut index, mut count) = (-1i64, 0i64);
    for (offset, length) in spans {
        index = index.checked_add(*offset).ok_or(Damaged)?;
        for _ in 0..*length {
            count = count.checked_add(unzigzag(deltas.varint()?)).ok_or(Damaged)?;
            if index.abs() > MOST_INDEX {
                return Err(Damaged);
            }
            histogram.add(index as i32, counted(u64::try_from(count).map_err(|_| Damaged)?)?);
            index += 1;
        }
    }
    Ok(())
}

fn counted(count: u64) -> Result<u64, Damaged> {
    if count <= MOST_COUNTED { Ok(count) } else { Err(Damaged) }
}

fn first_double(value: Value<'_>) -> Result<f64, Damaged> {
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            return value.double();
        }
    }
    Ok(0.0)
}

/// The value and when it began.
fn counter(value: Value<'_>) -> Result<(f64, Option<u64>), Damaged> {
    let (mut count, mut start_ns) = (0.0, None);
    let mut fields = Fields::new(value.bytes()?);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => count = value.double()?,
            3 => start_ns = Some(timestamp(value.bytes()?)?),
            _ => {}
        }
    }
    Ok((count, start_ns))
}

fn span(message: &[u8]) -> Result<(i64, u64), Damaged> {
    let (mut offset, mut length) = (0, 0);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => offset = value.sint()?,
            2 => length = value.uint()?,
            _ => {}
        }
    }
    Ok((offset, length))
}

fn timestamp(message: &[u8]) -> Result<u64, Damaged> {
    let (mut seconds, mut ns) = (0u64, 0u64);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => seconds = value.uint()?,
            2 => ns = value.uint()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(ns))
}

/// Causes that count bytes, which say nothing about how often.
pub fn counts_events(cause: &Text) -> bool {
    !cause.ends_with("_bytes")
}
