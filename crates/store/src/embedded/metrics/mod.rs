//! Metric series: the head in memory, blocks on disk, and one answer out of both.

pub mod chunk;
mod head;
mod merge;
mod postings;
mod varint;

use super::inner::{read, write};
use super::losses::{self, Losses};
use super::options::Options;
use crate::StoreError;
use chunk::Chunk;
use head::{Appended, Head};
use limpid_model::batch::Batch;
use limpid_model::series::{Metadata, SourceError};
use limpid_model::{Labels, Matcher, Series, Text};
use postings::Compiled;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// Names beyond it are not described.
const MAX_METADATA: usize = 50_000;

pub struct Metrics {
    folder: PathBuf,
    max_series: usize,
    max_samples: usize,
    state: RwLock<State>,
}

struct State {
    head: Head,
    metadata: BTreeMap<Text, Metadata>,
}

impl Metrics {
    pub fn open(folder: &Path, options: &Options, losses: &Losses, persisted: &mut u64) -> Result<Self, StoreError> {
        let partition_ms = (options.metrics_partition.as_millis() as i64).max(1);
        let state = State { head: Head::new(partition_ms), metadata: BTreeMap::new() };
        Ok(Metrics { folder: folder.to_path_buf(), max_series: options.max_series, max_samples: options.max_samples, state: RwLock::new(state) })
    }

    pub fn apply(&self, batch: &Batch, losses: &Losses) {
        if batch.points.is_empty() && batch.metadata.is_empty() {
            return;
        }
        let mut state = write(&self.state);
        for point in &batch.points {
            match state.head.append(point) {
                Appended::Stored => {}
                Appended::Duplicate => losses::add(&losses.duplicate_samples, 1),
                Appended::Refused => losses::add(&losses.refused_series, 1),
            }
        }
        for metadata in &batch.metadata {
            if state.metadata.len() < MAX_METADATA || state.metadata.contains_key(&metadata.name) {
                state.metadata.insert(metadata.name.clone(), metadata.clone());
            }
        }
    }

    pub fn select(&self, matchers: &[Matcher], from: i64, to: i64) -> Result<Vec<Series>, SourceError> {
        let found = self.find(matchers, from, to)?;
        let samples: u64 = found.values().flatten().map(|chunk| u64::from(chunk.samples)).sum();
        if samples > self.max_samples as u64 {
            return Err(SourceError::TooMuch(format!(
                "the selection holds {samples} samples, at most {} are read at once; select fewer series or a shorter time",
                self.max_samples
            )));
        }
        let mut damaged = 0;
        let series = found.into_iter().map(|(labels, chunks)| merge::merge(labels, chunks, from, to, &mut damaged));
        Ok(series.filter(|series| !series.samples.is_empty()).collect())
    }

    pub fn series(&self, matchers: &[Matcher], from: i64, to: i64) -> Result<Vec<Labels>, SourceError> {
        Ok(self.find(matchers, from, to)?.into_keys().collect())
    }

    fn find(&self, matchers: &[Matcher], from: i64, to: i64) -> Result<BTreeMap<Labels, Vec<Arc<Chunk>>>, SourceError> {
        let matchers = Compiled::all(matchers)?;
        let state = read(&self.state);
        let mut found: BTreeMap<Labels, Vec<Arc<Chunk>>> = BTreeMap::new();
        for (labels, chunks) in state.head.select(&matchers, from, to) {
            found.entry(labels).or_default().extend(chunks);
        }
        drop(state);
        if found.len() > self.max_series {
            return Err(SourceError::TooMuch(format!(
                "the selection matches {} series, at most {} are read at once; add matchers",
                found.len(),
                self.max_series
            )));
        }
        Ok(found)
    }

    pub fn metadata(&self) -> Vec<Metadata> {
        read(&self.state).metadata.values().cloned().collect()
    }

    pub fn head_bytes(&self) -> usize {
        read(&self.state).head.chunk_bytes
    }

    pub fn series_count(&self) -> u64 {
        read(&self.state).head.len() as u64
    }

    pub fn file_bytes(&self) -> u64 {
        0
    }

    pub fn oldest_ms(&self) -> Option<i64> {
        None
    }
}
