//! The way back to the kernel. A verdict is written into a table that forgets the least used, and the slot of its
//! socket is counted up, so that the socket's next event looks there. Each record says which verdict its socket obeyed:
//! one that was overtaken in the table is noticed, counted and written again.

use crate::capture::{Control, Mode, SocketId};
use crate::losses;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use limpid_protocols::protocols::FramingKind;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// `VERDICT_SLOTS` in `sockets.h`.
const SLOTS: usize = 512;
const SLOTS_BYTES: usize = SLOTS * size_of::<AtomicU32>();
/// Verdicts that no record has confirmed yet; beyond it they are sent but not followed.
const FOLLOWED_MAX: usize = 65_536;
/// A record that was made so long after the verdict was written should have obeyed it.
const LATE_NS: u64 = 20_000_000;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RawVerdict {
    number: u32,
    mode: u32,
    limit: u64,
    skip_sent_until: u64,
    skip_received_until: u64,
}

const _: () = assert!(size_of::<RawVerdict>() == 32);

impl RawVerdict {
    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.number.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.mode.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.limit.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.skip_sent_until.to_ne_bytes());
        bytes[24..].copy_from_slice(&self.skip_received_until.to_ne_bytes());
        bytes
    }
}

/// The slots' counts, shared with the kernel.
pub struct Slots {
    memory: *mut AtomicU32,
}

// SAFETY: the memory is only used through atomics and lives until the last owner is gone.
unsafe impl Send for Slots {}
unsafe impl Sync for Slots {}

impl Slots {
    pub fn map(map: &MapHandle) -> std::io::Result<Slots> {
        let fd = map.as_fd().as_raw_fd();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping of a map that is as large as this; the result is checked.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), SLOTS_BYTES, protection, libc::MAP_SHARED, fd, 0) };
        if memory == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Slots { memory: memory.cast() })
    }

    fn all(&self) -> &[AtomicU32] {
        // SAFETY: so many were mapped, they live as long as `self`, and both sides use them as atomics only.
        unsafe { std::slice::from_raw_parts(self.memory, SLOTS) }
    }

    fn count_up(&self, socket: SocketId) {
        self.all()[socket as usize & (SLOTS - 1)].fetch_add(1, Ordering::Release);
    }

    /// Every socket looks anew at its next event: for its verdict, and whether its process is one of Limpid's.
    pub fn count_all_up(&self) {
        for slot in self.all() {
            slot.fetch_add(1, Ordering::Release);
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: this is what `map` has mapped, and nobody else has it.
        unsafe { libc::munmap(self.memory.cast(), SLOTS_BYTES) };
    }
}

struct Followed {
    verdict: RawVerdict,
    written_ns: u64,
}

/// One consumer thread's way to answer.
pub struct Verdicts {
    table: MapHandle,
    slots: Arc<Slots>,
    next_number: Cell<u32>,
    followed: RefCell<FxHashMap<SocketId, Followed>>,
}

impl Verdicts {
    pub fn new(table: MapHandle, slots: Arc<Slots>) -> Self {
        Verdicts { table, slots, next_number: Cell::new(1), followed: RefCell::default() }
    }

    /// A record of this socket was made at `time_ns` (the kernel's clock) under the verdict of this number.
    pub fn confirm(&self, socket: SocketId, number: u32, time_ns: u64) {
        let mut followed = self.followed.borrow_mut();
        if followed.is_empty() {
            return;
        }
        let Some(last) = followed.get_mut(&socket) else { return };
        if last.verdict.number == number {
            followed.remove(&socket);
        } else if time_ns > last.written_ns.saturating_add(LATE_NS) {
            losses::VERDICT_LOST.add(1);
            last.written_ns = time_ns;
            let verdict = last.verdict;
            drop(followed);
            self.write(socket, verdict);
        }
    }

    pub fn forget(&self, socket: SocketId) {
        self.followed.borrow_mut().remove(&socket);
    }

    fn write(&self, socket: SocketId, verdict: RawVerdict) {
        match self.table.update(&socket.to_ne_bytes(), &verdict.to_bytes(), MapFlags::ANY) {
            Ok(()) => self.slots.count_up(socket),
            Err(error) => {
                losses::VERDICT_LOST.add(1);
                log::debug!("cannot write the verdict of socket {socket}: {error}");
            }
        }
    }
}

impl Control for Verdicts {
    fn verdict(&self, socket: SocketId, mode: Mode, skip_sent_until: u64, skip_received_until: u64) {
        let number = self.next_number.get();
        self.next_number.set(number.checked_add(1).unwrap_or(1));
        let (mode, limit) = raw_mode(mode);
        let verdict = RawVerdict { number, mode, limit, skip_sent_until, skip_received_until };
        self.write(socket, verdict);
        let mut followed = self.followed.borrow_mut();
        if mode == FORGET {
            followed.remove(&socket);
        } else if followed.len() < FOLLOWED_MAX || followed.contains_key(&socket) {
            followed.insert(socket, Followed { verdict, written_ns: super::clock::monotonic_ns() });
        }
    }
}

const FORGET: u32 = 7;

/// As `enum mode` in `sockets.h`.
fn raw_mode(mode: Mode) -> (u32, u64) {
    match mode {
        Mode::Undecided => (0, 0),
        Mode::Head(bytes) => (1, bytes.into()),
        Mode::All(bytes) => (2, bytes.into()),
        Mode::Framed(framing) => match framing.kind {
            FramingKind::TypeLength32 => (3, framing.head.into()),
            FramingKind::Resp => (4, framing.head.into()),
        },
        Mode::TimesOnly => (5, 0),
        Mode::Ignore => (6, 0),
        Mode::Forget => (FORGET, 0),
    }
}
