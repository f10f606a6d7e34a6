//! What is done once a second rather than with every event: the kernel's counters are mirrored into the losses.

use super::consumer::{self, Shared};
use crate::collectors::CollectorError;
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);

pub struct Sweep {
    _object: Arc<Object>,
    counters: MapHandle,
    shared: Vec<Arc<Shared>>,
}

impl Sweep {
    pub fn new(object: Arc<Object>, counters: MapHandle, shared: Vec<Arc<Shared>>) -> Result<Self, CollectorError> {
        Ok(Sweep { _object: object, counters, shared })
    }

    pub fn run(self) {
        let steps = EVERY.as_millis() / STEP.as_millis();
        let mut step = 0;
        while !self.stopped() {
            std::thread::sleep(STEP);
            step += 1;
            if step % steps == 0 {
                self.sweep();
            }
        }
    }

    fn stopped(&self) -> bool {
        self.shared.iter().any(|shared| shared.stop.load(Ordering::Relaxed))
    }

    fn sweep(&self) {
        match read_counters(&self.counters) {
            Ok(totals) => consumer::mirror(&totals),
            Err(error) => log::debug!("cannot read the counters of the socket programs: {error}"),
        }
    }
}

/// Each counter, summed over the processors.
pub fn read_counters(map: &MapHandle) -> libbpf_rs::Result<Vec<u64>> {
    let per_cpu = map.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
    let mut totals = vec![0u64; super::COUNTERS.len()];
    for counters in per_cpu {
        for (total, bytes) in totals.iter_mut().zip(counters.chunks_exact(8)) {
            *total += u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        }
    }
    Ok(totals)
}
