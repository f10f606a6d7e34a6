//! The traces that a search means, each counted once and with what is known of the call that was found in it.
//!
//! The time is read slice by slice and page by page, so that an answer costs little memory. Of more spans than are read
//! for one answer, each slice has its part, so that what is said of them holds for the whole range and not only for its
//! last minutes.

use super::columns::Columns;
use super::names::Names;
use super::parts::Piece;
use super::plan::{self, Rest, Term};
use super::search::SUMMED_UP;
use super::slices::{count, read_evenly, slice_of};
use crate::QueryError;
use crate::span_rows::{SpanKind, byte, fixed, time_ns, unsigned};
use arrow_array::RecordBatch;
use limpid_store::{SpanQuery, Store};
use rustc_hash::FxHashMap;

/// So many for one answer. What a slice does not need, the later ones may have.
const MAX_SPANS: usize = 60_000;
/// And so many of those round the ones that were found.
const MAX_AROUND: usize = 30_000;

/// One trace, as the call that was found in it.
pub struct Counted {
    pub start_ns: u64,
    pub duration_ns: u64,
    pub failed: bool,
    /// The outcome asked for fits one of its calls; then this is the first such call.
    pub fits: bool,
    pub slice: usize,
    /// How many requests this trace stands for.
    pub weight: f64,
    /// Key and value, by their numbers.
    pub values: Vec<(u32, u32)>,
}

/// A span of which only the time and the owner are needed.
pub struct Bare {
    pub trace: u32,
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub start_ns: u64,
    pub duration_ns: u64,
    pub kind: SpanKind,
    pub failed: bool,
    pub service: u32,
    pub peer: Option<u32>,
    pub name: u32,
}

impl Bare {
    pub fn piece<'a>(&self, names: &'a Names) -> Piece<'a> {
        Piece {
            span_id: self.span_id,
            parent_span_id: self.parent_span_id,
            start_ns: self.start_ns,
            duration_ns: self.duration_ns,
            kind: self.kind,
            service: names.text(self.service),
            peer: self.peer.map(|peer| names.text(peer)),
        }
    }
}

/// How the calls went that are looked for; the rest of the traces are what they are compared with.
pub struct Outcome {
    spans: SpanQuery,
    rest: Rest,
    pub is_asked: bool,
}

impl Outcome {
    pub fn of(terms: &[Term]) -> Result<Outcome, QueryError> {
        let (mut spans, mut rest) = (SpanQuery::default(), Rest::default());
        for term in terms {
            plan::apply(term, &mut spans, &mut rest)?;
        }
        Ok(Outcome { spans, rest, is_asked: !terms.is_empty() })
    }

    fn fits(&self, duration_ns: u64, failed: bool, columns: &Columns<'_>, row: usize) -> bool {
        let SpanQuery { min_duration_ns, max_duration_ns, errors, columns: equal, .. } = &self.spans;
        min_duration_ns.is_none_or(|least| duration_ns >= least)
            && max_duration_ns.is_none_or(|most| duration_ns <= most)
            && (!errors || failed)
            && equal.iter().all(|(column, value)| columns.text(column, row).is_some_and(|have| have == value.as_str()))
            && self.rest.fits(failed, |name| columns.text(name, row))
    }
}

/// What was read, and how much of the time it stands for.
#[derive(Default)]
pub struct Census {
    pub traces: Vec<Counted>,
    by_id: FxHashMap<[u8; 16], u32>,
    pub names: Names,
    pub bare: Vec<Bare>,
    pub spans_read: u64,
    /// Of each slice, the share of its time whose spans were read.
    pub read: Vec<f64>,
}

impl Census {
    pub fn is_complete(&self) -> bool {
        self.read.iter().all(|share| *share >= 1.0)
    }

    /// Reads what `base` means: all spans, and whole traces are seen on the way; or some, and what is round them is read too.
    pub fn take(
        &mut self,
        store: &dyn Store,
        base: &SpanQuery,
        rest: &Rest,
        outcome: &Outcome,
    ) -> Result<(), QueryError> {
        let whole = base.columns.is_empty() && base.attributes.is_empty() && rest.is_empty();
        self.read = read_evenly(store, base, MAX_SPANS, |batches| self.add(batches, base, rest, outcome, whole))?;
        match whole || self.traces.is_empty() {
            true => Ok(()),
            false => self.take_around(store, base),
        }
    }

    fn add(&mut self, batches: &[RecordBatch], base: &SpanQuery, rest: &Rest, outcome: &Outcome, whole: bool) {
        let columns: Vec<Columns> = batches.iter().map(Columns::new).collect();
        let mut order: Vec<(u64, usize, usize)> = Vec::with_capacity(count(batches));
        for (at, batch) in batches.iter().enumerate() {
            let times = (0..batch.num_rows()).filter_map(|row| Some((time_ns(batch, "start", row)?, at, row)));
            order.extend(times);
        }
        // Early ones first: what stands for a trace is seldom replaced then.
        order.sort_unstable();
        self.spans_read += order.len() as u64;
        for (start_ns, at, row) in order {
            let columns = &columns[at];
            let failed = columns.failed(row);
            if !rest.fits(failed, |name| columns.text(name, row)) {
                continue;
            }
            let Some(trace) = self.note(columns, row, start_ns, failed, outcome, slice_of(base, start_ns)) else {
                continue;
            };
            if whole {
                self.add_bare(columns, row, trace, start_ns);
            }
        }
    }

    /// The first call of a trace stands for it, or the first that went as asked.
    fn note(
        &mut self,
        columns: &Columns<'_>,
        row: usize,
        start_ns: u64,
        failed: bool,
        outcome: &Outcome,
        slice: usize,
    ) -> Option<u32> {
        let id: [u8; 16] = fixed(columns.batch, "trace_id", row)?;
        let duration_ns = unsigned(columns.batch, "duration_ns", row)?;
        let known = self.by_id.get(&id).copied();
        let at = known.unwrap_or(self.traces.len() as u32);
        let fits = outcome.fits(duration_ns, failed, columns, row);
        let mut failed = failed;
        if let Some(trace) = self.traces.get_mut(at as usize) {
            trace.failed |= failed;
            failed = trace.failed;
            let is_better = (fits, std::cmp::Reverse(start_ns)) > (trace.fits, std::cmp::Reverse(trace.start_ns));
            if !is_better {
                return Some(at);
            }
        }
        let (values, weight) = columns.values(row, &mut self.names);
        let counted = Counted { start_ns, duration_ns, failed, fits, slice, weight, values };
        match self.traces.get_mut(at as usize) {
            Some(trace) => *trace = counted,
            None => {
                self.by_id.insert(id, at);
                self.traces.push(counted);
            }
        }
        Some(at)
    }

    /// All spans round those that were found: what else their traces hold.
    fn take_around(&mut self, store: &dyn Store, base: &SpanQuery) -> Result<(), QueryError> {
        let margin_ns = 1_000_000_000;
        let first = self.traces.iter().map(|trace| trace.start_ns).min().unwrap_or(base.start_ns);
        let last = self
            .traces
            .iter()
            .map(|trace| trace.start_ns.saturating_add(trace.duration_ns))
            .max()
            .unwrap_or(base.end_ns);
        let (start_ns, end_ns) = (first.saturating_sub(margin_ns), last.saturating_add(margin_ns));
        let around = SpanQuery { start_ns, end_ns, select: Some(SUMMED_UP), ..SpanQuery::default() };
        read_evenly(store, &around, MAX_AROUND, |batches| {
            for batch in batches {
                let columns = Columns::new(batch);
                for row in 0..batch.num_rows() {
                    let id: Option<[u8; 16]> = fixed(batch, "trace_id", row);
                    let Some(trace) = id.and_then(|id| self.by_id.get(&id).copied()) else { continue };
                    let Some(start_ns) = time_ns(batch, "start", row) else { continue };
                    self.add_bare(&columns, row, trace, start_ns);
                }
            }
        })?;
        Ok(())
    }

    fn add_bare(&mut self, columns: &Columns<'_>, row: usize, trace: u32, start_ns: u64) {
        let mut number = |name: &str| self.names.number(&columns.text(name, row)?);
        let (service, peer, name) = (number("service"), number("peer"), number("name"));
        let read = || Some((fixed(columns.batch, "span_id", row)?, unsigned(columns.batch, "duration_ns", row)?));
        let (Some((span_id, duration_ns)), Some(service), Some(name)) = (read(), service, name) else { return };
        self.bare.push(Bare {
            trace,
            span_id,
            parent_span_id: fixed(columns.batch, "parent_span_id", row).filter(|id| *id != [0; 8]),
            start_ns,
            duration_ns,
            kind: SpanKind::from_otlp(byte(columns.batch, "kind", row)),
            failed: columns.failed(row),
            service,
            peer,
            name,
        });
    }
}
