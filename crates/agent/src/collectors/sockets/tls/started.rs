//! Tells which processes begin to run a program, so that probes are in place before its first request.

use crate::collectors::CollectorError;
use libbpf_rs::{Link, MapCore, Object, ObjectBuilder, RingBufferBuilder};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/started.bpf.o"));

/// After this long the thread sees that it is to end.
const POLL: Duration = Duration::from_millis(200);
/// So long the loader is given to map the libraries. Those that start meanwhile are told of together.
const LOADING: Duration = Duration::from_millis(3);

pub struct Started {
    object: Object,
    /// Detached when dropped.
    _link: Link,
}

impl Started {
    pub fn new() -> Result<Self, CollectorError> {
        let failed = |error| CollectorError::new("cannot watch what is started", error);
        let object = ObjectBuilder::default().open_memory(OBJECT).and_then(|open| open.load()).map_err(failed)?;
        let program = object.progs_mut().next();
        let link = program.ok_or_else(|| CollectorError("there is no program".into()))?.attach().map_err(failed)?;
        Ok(Started { object, _link: link })
    }

    pub fn run(self, requests: &SyncSender<u32>, stop: &AtomicBool) {
        if let Err(error) = self.read(requests, stop) {
            log::warn!("it is not told any more what is started: {error}");
        }
    }

    fn read(&self, requests: &SyncSender<u32>, stop: &AtomicBool) -> Result<(), libbpf_rs::Error> {
        let Some(ring) = self.object.maps().find(|map| map.name() == "started") else { return Ok(()) };
        let started = RefCell::new(Vec::new());
        let mut builder = RingBufferBuilder::new();
        builder.add(&ring, |bytes| {
            started.borrow_mut().extend(bytes.first_chunk().map(|tgid| u32::from_ne_bytes(*tgid)));
            0
        })?;
        let ring = builder.build()?;
        while !stop.load(Ordering::Relaxed) {
            ring.poll(POLL)?;
            if started.borrow().is_empty() {
                continue;
            }
            std::thread::sleep(LOADING);
            for tgid in started.borrow_mut().drain(..) {
                // Where too many wait, it is found when all processes are looked at.
                let _ = requests.try_send(tgid);
            }
        }
        Ok(())
    }
}
