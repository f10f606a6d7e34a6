//! The embedded store: one folder, no other program.
//!
//! ```text
//! write ──▶ commit thread: log, sync, apply ──▶ heads in memory ──▶ maintenance thread: files, then forget the log
//! query ──▶ heads + files
//! ```
//!
//! A batch is acknowledged when the log is synced; it is readable at the same moment. Everything in memory can be
//! rebuilt from the log, so the log loses a segment only when each table has its records in synced files.

mod batches;
mod bloom;
mod checkpoint;
mod commit;
mod compaction;
mod crc32c;
mod dictionaries;
mod entities;
mod filter;
mod flush;
mod footers;
mod inner;
mod layout;
mod log;
mod losses;
mod metrics;
mod options;
mod parquet_file;
mod record;
mod retention;
mod scan;
mod shred;
mod sorted;
mod table;
mod top;
mod visit;

pub use options::{Limit, LogSync, Options, Retention};

use crate::{Decode, EventQuery, SpanQuery, Store, StoreError, StoreStatus, Write, Written};
use arrow_array::RecordBatch;
use commit::Committer;
use filter::{AttributeFilter, Filter};
use inner::Inner;
use limpid_model::series::{Metadata, SourceError};
use limpid_model::{Entity, Growth, Labels, Matcher, Series, SeriesSource};
use metrics::Wanted;
use scan::Page;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// More spans than this are not one trace that anybody looks at.
const MAX_TRACE_SPANS: usize = 50_000;

pub struct EmbeddedStore {
    inner: Arc<Inner>,
    committer: Arc<Committer>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedStore {
    /// Opens or creates the folder, replays its log and starts the two threads.
    pub fn open(dir: &Path, options: Options, decode: Decode) -> Result<Self, StoreError> {
        let (inner, batches) = Inner::open(dir, options, decode)?;
        let inner = Arc::new(inner);
        let committer = Arc::new(Committer::new(batches));
        let mut threads = Vec::new();
        let (for_commit, commit_inner) = (committer.clone(), inner.clone());
        threads.push(spawn("store-commit", move || commit::run(&for_commit, &commit_inner))?);
        let (for_flush, flush_inner) = (committer.clone(), inner.clone());
        threads.push(spawn("store-flush", move || flush::run(&for_flush, &flush_inner))?);
        Ok(EmbeddedStore { inner, committer, threads: Mutex::new(threads) })
    }

    fn span_filter(&self, query: &SpanQuery) -> Filter {
        Filter {
            time: self.inner.spans.spec.time,
            start_ns: clamp(query.start_ns),
            end_ns: clamp(query.end_ns),
            equals: query.columns.clone(),
            attributes: query.attributes.iter().map(|(name, value)| AttributeFilter::new(name, value)).collect(),
            min_duration_ns: query.min_duration_ns,
            max_duration_ns: query.max_duration_ns,
            errors: query.errors,
            trace_id: None,
        }
    }

    /// Holds from the next round of deletions on.
    pub fn set_retention(&self, retention: Retention) {
        *inner::lock(&self.inner.retention) = retention;
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    Ok(std::thread::Builder::new().name(name.to_owned()).spawn(body)?)
}

impl Store for EmbeddedStore {
    fn write(&self, write: Write) -> Result<Written, StoreError> {
        self.committer.write(write)
    }

    fn spans(&self, query: &SpanQuery) -> Result<Vec<RecordBatch>, StoreError> {
        let filter = self.span_filter(query);
        let page = Page { order: query.order, limit: query.limit, columns: query.select };
        self.inner.query(&self.inner.spans, &filter, page)
    }

    fn each_span(
        &self,
        query: &SpanQuery,
        columns: &[&str],
        each: &mut dyn FnMut(&RecordBatch) -> bool,
    ) -> Result<(), StoreError> {
        self.inner.visit(&self.inner.spans, &self.span_filter(query), columns, each)
    }

    fn trace(&self, trace_id: [u8; 16]) -> Result<Vec<RecordBatch>, StoreError> {
        let spans = &self.inner.spans;
        let filter = Filter {
            time: spans.spec.time,
            start_ns: i64::MIN,
            end_ns: i64::MAX,
            trace_id: Some(trace_id),
            ..Filter::default()
        };
        self.inner.query(spans, &filter, Page::newest(MAX_TRACE_SPANS))
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<RecordBatch>, StoreError> {
        let wanted = [("name", &query.name), ("entity", &query.entity)];
        let equals =
            wanted.into_iter().filter_map(|(column, value)| Some((column.to_owned(), value.clone()?))).collect();
        let filter = Filter {
            time: self.inner.events.spec.time,
            start_ns: clamp(query.start_ns),
            end_ns: clamp(query.end_ns),
            equals,
            ..Filter::default()
        };
        self.inner.query(&self.inner.events, &filter, Page::newest(query.limit))
    }

    fn entities(&self, start_ns: u64, end_ns: u64) -> Result<Vec<Entity>, StoreError> {
        Ok(inner::read(&self.inner.entities).between(start_ns, end_ns))
    }

    fn status(&self) -> StoreStatus {
        self.inner.status()
    }

    fn close(&self) {
        self.committer.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                ::log::error!("a thread of the store panicked");
            }
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl SeriesSource for EmbeddedStore {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SourceError> {
        self.inner.metrics.select(matchers, start_ms, end_ms, &self.inner.losses)
    }

    fn select_each(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        each: &mut dyn FnMut(Series) -> bool,
    ) -> Result<(), SourceError> {
        let wanted = Wanted::Between(start_ms, end_ms);
        self.inner.metrics.select_each(matchers, (start_ms, end_ms), wanted, &self.inner.losses, each)
    }

    fn select_at(&self, matchers: &[Matcher], times_ms: &[i64], lookback_ms: i64) -> Result<Vec<Series>, SourceError> {
        self.inner.metrics.select_at(matchers, times_ms, lookback_ms, &self.inner.losses)
    }

    fn growth_at(&self, matchers: &[Matcher], times_ms: &[i64], lookback_ms: i64) -> Result<Vec<Growth>, SourceError> {
        self.inner.metrics.growth_at(matchers, times_ms, lookback_ms, &self.inner.losses)
    }

    fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, SourceError> {
        self.inner.metrics.series(matchers, start_ms, end_ms, &self.inner.losses)
    }

    fn metadata(&self) -> Vec<Metadata> {
        self.inner.metrics.metadata()
    }
}

fn clamp(time_ns: u64) -> i64 {
    i64::try_from(time_ns).unwrap_or(i64::MAX)
}
