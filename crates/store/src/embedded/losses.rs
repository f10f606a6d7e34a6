//! What was lost or refused, by cause. Every cause has a name that shows on the status page.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! causes {
    ($($field:ident: $why:literal,)*) => {
        #[derive(Default, Debug)]
        pub struct Losses {
            $(#[doc = $why] pub $field: AtomicU64,)*
        }

        impl Losses {
            /// Every cause that was counted at least once.
            pub fn counted(&self) -> Vec<(String, u64)> {
                let all = [$((stringify!($field), self.$field.load(Ordering::Relaxed)),)*];
                all.into_iter().filter(|(_, count)| *count > 0).map(|(cause, count)| (cause.to_owned(), count)).collect()
            }
        }
    };
}

causes! {
    torn_tail_bytes: "Bytes after the log's last sound record, left by a crash: never acknowledged.",
    duplicate_batches: "Batches that were sent again and are stored already.",
    duplicate_samples: "Samples of a time that their series has a sample of already.",
    damaged_files: "Files that did not check out and were set aside.",
    damaged_chunks: "Runs of samples that did not check out.",
    refused_batches: "Batches refused because the disk is full or the store cannot keep up.",
    refused_series: "Samples of new series beyond the limit.",
    refused_rows: "Rows without the shape of their schema.",
    dropped_entities: "Entity states dropped because there are too many.",
    expired_files: "Files deleted because of age or size.",
    rejected_records: "What ingest could not understand of acknowledged messages.",
}

pub fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
