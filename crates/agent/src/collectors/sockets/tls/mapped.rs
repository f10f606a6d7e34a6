//! Tells which processes map code that was not mapped before, so that probes are in place before it runs.

use super::load;
use crate::collectors::CollectorError;
use libbpf_rs::{Link, MapCore, MapHandle, Object, ObjectBuilder, RingBufferBuilder};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mapped.bpf.o"));

/// After this long the thread sees that it is to end.
const POLL: Duration = Duration::from_millis(200);

pub struct Mapped {
    object: Object,
    /// Detached when dropped.
    _link: Link,
}

impl Mapped {
    /// Not every kernel has what it hangs on.
    pub fn start() -> Result<Self, CollectorError> {
        let failed = |error| CollectorError::new("cannot watch what is mapped", error);
        let object = ObjectBuilder::default().open_memory(OBJECT).and_then(|open| open.load()).map_err(failed)?;
        let program = object.progs_mut().next();
        let link = program.ok_or_else(|| CollectorError("there is no program".into()))?.attach().map_err(failed)?;
        Ok(Mapped { object, _link: link })
    }

    /// What was told of, to be forgotten with [`forget`].
    pub fn told(&self) -> Result<MapHandle, CollectorError> {
        load::map(&self.object, "mapped_files")
    }

    pub fn run(self, requests: &SyncSender<u32>, stop: &AtomicBool) {
        if let Err(error) = self.read(requests, stop) {
            log::warn!("it is not told any more what is mapped: {error}");
        }
    }

    fn read(&self, requests: &SyncSender<u32>, stop: &AtomicBool) -> Result<(), libbpf_rs::Error> {
        let Some(ring) = self.object.maps().find(|map| map.name() == "mapped_by") else { return Ok(()) };
        let mut builder = RingBufferBuilder::new();
        builder.add(&ring, |bytes| {
            if let Some(tgid) = bytes.first_chunk() {
                // Where too many wait, a look at all processes finds it.
                let _ = requests.try_send(u32::from_ne_bytes(*tgid));
            }
            0
        })?;
        let ring = builder.build()?;
        while !stop.load(Ordering::Relaxed) {
            ring.poll(POLL)?;
        }
        Ok(())
    }
}

/// All files are told of once more.
pub fn forget(told: &MapHandle) {
    for key in told.keys() {
        // The kernel may have been quicker.
        let _ = told.delete(&key);
    }
}
