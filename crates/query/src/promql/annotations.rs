//! Warnings and infos beside an answer, in Prometheus' words, so that whoever knows them from there recognises them.

use std::collections::BTreeSet;

/// Enough to see what is wrong; Prometheus' API cuts at ten as well.
const SHOWN: usize = 10;

#[derive(Default)]
pub struct Annotations {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Annotations {
    pub fn warn(&mut self, text: String) {
        self.warnings.insert(format!("PromQL warning: {text}"));
    }

    pub fn info(&mut self, text: String) {
        self.infos.insert(format!("PromQL info: {text}"));
    }

    pub fn take(self) -> (Vec<String>, Vec<String>) {
        (shown(self.warnings, "warning"), shown(self.infos, "info"))
    }

    pub fn mixed_floats_histograms(&mut self, name: &str) {
        self.warn(format!("encountered a mix of histograms and floats for metric name {name:?}"));
    }

    pub fn mixed_in_aggregation(&mut self) {
        self.warn("encountered a mix of histograms and floats for aggregation".into());
    }

    pub fn mixed_schemas(&mut self, name: &str) {
        self.warn(format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
        ));
    }

    pub fn mixed_classic_native(&mut self, name: &str) {
        self.warn(format!("vector contains a mix of classic and native histograms for metric name {name:?}"));
    }

    pub fn not_a_counter(&mut self, name: &str) {
        self.warn(format!("this native histogram metric is not a counter: {name:?}"));
    }

    pub fn not_a_gauge(&mut self, name: &str) {
        self.warn(format!("this native histogram metric is not a gauge: {name:?}"));
    }

    pub fn bad_bucket_label(&mut self, bound: &str, name: &str) {
        self.warn(format!(
            "bucket label \"le\" is missing or has a malformed value of {bound:?} for metric name {name:?}"
        ));
    }

    pub fn bad_quantile(&mut self, q: f64) {
        self.warn(format!("quantile value should be between 0 and 1, got {}", super::serialize::number(q)));
    }

    pub fn histograms_ignored(&mut self, name: &str) {
        self.info(format!(
            "ignored histograms in a range containing both floats and histograms for metric name {name:?}"
        ));
    }

    pub fn histograms_ignored_in(&mut self, what: &str) {
        self.info(format!("ignored histogram in {what}"));
    }

    pub fn incompatible_types(&mut self, left: &str, op: &str, right: &str) {
        self.info(format!("incompatible sample types encountered for binary operator {op:?}: {left} {op} {right}"));
    }

    pub fn bounds_reconciled(&mut self, during: &str) {
        self.info(format!("mismatched custom buckets were reconciled during {during}"));
    }

    pub fn reset_collision(&mut self, during: &str) {
        self.warn(format!("conflicting counter resets during histogram {during}"));
    }

    /// Prometheus guesses by the name whether a metric is a counter; so do we.
    pub fn possibly_not_a_counter(&mut self, name: &str) {
        if name.is_empty() || ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) {
            return;
        }
        self.info(format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"));
    }
}

fn shown(texts: BTreeSet<String>, what: &str) -> Vec<String> {
    let hidden = texts.len().saturating_sub(SHOWN);
    let mut list: Vec<String> = texts.into_iter().take(SHOWN).collect();
    if hidden > 0 {
        list.push(format!("{hidden} more {what} annotations omitted"));
    }
    list
}
