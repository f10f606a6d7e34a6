//! Code that processes map, told by the kernel as they do it: the records of a performance event that counts nothing (perf
//! uses the same to know what runs where). So a library is looked at before its process has come to use it.

use super::Request;
use rustc_hash::FxHashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::mpsc::SyncSender;

/// The first version of `struct perf_event_attr` has all that is needed here (`linux/perf_event.h`).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_bytes: u32,
    breakpoint: u32,
    config1: u64,
}

const SOFTWARE: u32 = 1;
const COUNTS_NOTHING: u64 = 9;
const MMAP: u64 = 1 << 8;
const WATERMARK: u64 = 1 << 14;
const MMAP2: u64 = 1 << 23;
const RECORD_LOST: u32 = 2;
const RECORD_MMAP2: u32 = 10;
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// Of a processor; a record has some hundred bytes.
const RING_BYTES: usize = 64 << 10;
const PAGE_BYTES: usize = 4096;
/// Offsets in the first page: what the kernel has written, and what was read.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;
const HEADER_BYTES: usize = 8;
/// Files that are remembered as told of.
const FILES: usize = 65_536;

/// Mappings by the processes that run on one processor.
struct Ring {
    event: OwnedFd,
    base: *mut u8,
    page: usize,
}

// SAFETY: the memory belongs to this value alone, until it is dropped.
unsafe impl Send for Ring {}

impl Ring {
    fn open(cpu: i32) -> io::Result<Ring> {
        let attributes = Attributes {
            kind: SOFTWARE,
            size: size_of::<Attributes>() as u32,
            config: COUNTS_NOTHING,
            flags: MMAP | MMAP2 | WATERMARK,
            wakeup_bytes: 1,
            ..Attributes::default()
        };
        // SAFETY: the kernel reads `size` bytes of the structure.
        let event =
            unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attributes, -1, cpu, -1, CLOSE_ON_EXEC) };
        if event < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made, and belongs to nobody else.
        let event = unsafe { OwnedFd::from_raw_fd(event as RawFd) };
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE_BYTES);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), page + RING_BYTES, access, libc::MAP_SHARED, event.as_raw_fd(), 0) };
        match base {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            base => Ok(Ring { event, base: base.cast(), page }),
        }
    }

    fn position(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: within the first page, aligned, and shared with the kernel by atomic accesses alone.
        unsafe { &*self.base.add(offset).cast::<AtomicU64>() }
    }

    fn copy(&self, from: u64, to: &mut [u8]) {
        for (index, byte) in to.iter_mut().enumerate() {
            let at = (from as usize + index) % RING_BYTES;
            // SAFETY: within the ring; the kernel does not write what was not read yet.
            *byte = unsafe { self.base.add(self.page + at).read_volatile() };
        }
    }

    /// Hands over what has come, record by record.
    fn read(&self, mut each: impl FnMut(u32, &[u8])) {
        let head = self.position(DATA_HEAD).load(Ordering::Acquire);
        let mut tail = self.position(DATA_TAIL).load(Ordering::Relaxed);
        let mut record = Vec::new();
        while tail < head {
            let mut header = [0; HEADER_BYTES];
            self.copy(tail, &mut header);
            let length = usize::from(u16::from_ne_bytes([header[6], header[7]])).max(HEADER_BYTES);
            record.resize(length, 0);
            self.copy(tail, &mut record);
            each(u32::from_ne_bytes([header[0], header[1], header[2], header[3]]), &record[HEADER_BYTES..]);
            tail += length as u64;
        }
        fence(Ordering::SeqCst);
        self.position(DATA_TAIL).store(tail, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping of `open`, which nobody uses any more.
        unsafe { libc::munmap(self.base.cast(), self.page + RING_BYTES) };
    }
}

/// Ends the thread of [`Mappings::run`] when it is dropped.
pub struct Stop(OwnedFd);

impl Drop for Stop {
    fn drop(&mut self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: writes eight bytes that are there; the counter is far from full.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

pub struct Mappings {
    rings: Vec<Ring>,
    stop: OwnedFd,
    told: FxHashSet<[u8; 24]>,
}

impl Mappings {
    /// Fails where such events are refused: the setting `kernel.perf_event_paranoid` of some kernels.
    pub fn open() -> io::Result<(Mappings, Stop)> {
        let rings = online().into_iter().map(Ring::open).collect::<io::Result<Vec<_>>>()?;
        // SAFETY: makes a descriptor; checked below.
        let stop = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if stop < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made, and belongs to nobody else.
        let stop = unsafe { OwnedFd::from_raw_fd(stop) };
        let stopper = Stop(stop.try_clone()?);
        Ok((Mappings { rings, stop, told: FxHashSet::default() }, stopper))
    }

    /// Asks for a look at each process that maps code of a file of which nothing was told before.
    pub fn run(mut self, requests: SyncSender<Request>) {
        let descriptors = self.rings.iter().map(|ring| ring.event.as_raw_fd()).chain([self.stop.as_raw_fd()]);
        let mut polled: Vec<libc::pollfd> =
            descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        loop {
            // SAFETY: the array is as long as is said.
            let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
            if polled.last().is_some_and(|stop| stop.revents != 0) {
                return;
            }
            if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
            for (ring, polled) in self.rings.iter().zip(&polled) {
                if polled.revents != 0 {
                    let told = &mut self.told;
                    ring.read(|kind, record| tell(kind, record, told, &requests));
                }
            }
        }
    }
}

/// Where the numbers of device and inode are in a record, behind process, thread, address, length and offset.
const PROCESS: std::ops::Range<usize> = 0..4;
const FILE: std::ops::Range<usize> = 32..56;

fn tell(kind: u32, record: &[u8], told: &mut FxHashSet<[u8; 24]>, requests: &SyncSender<Request>) {
    match kind {
        // What was missed may have been told before as well.
        RECORD_LOST => told.clear(),
        RECORD_MMAP2 => {
            let Some((tgid, file)) = mapped(record) else { return };
            if told.len() >= FILES {
                told.clear();
            }
            // Nobody waits for the one who looks: what is not asked for is found by the next look at all.
            if told.insert(file) && requests.try_send(Request::Maps(tgid)).is_err() {
                told.remove(&file);
            }
        }
        _ => {}
    }
}

/// The process, and what tells the file from all others.
fn mapped(record: &[u8]) -> Option<(u32, [u8; 24])> {
    let tgid = u32::from_ne_bytes(record.get(PROCESS)?.try_into().ok()?);
    let file: [u8; 24] = record.get(FILE)?.try_into().ok()?;
    // Without an inode it is no file.
    (file[8..16] != [0; 8]).then_some((tgid, file))
}

/// Numbers of the processors that run.
fn online() -> Vec<i32> {
    let mut text = String::new();
    let read = File::open("/sys/devices/system/cpu/online").and_then(|file| file.take(4096).read_to_string(&mut text));
    if read.is_err() {
        return vec![0];
    }
    ranges(&text)
}

/// `0-3,8` and the like.
fn ranges(text: &str) -> Vec<i32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?.into()..=last.parse::<u16>().ok()?.into())
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_listed() {
        assert_eq!(ranges("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(ranges("0\n"), [0]);
        assert!(ranges("").is_empty());
    }

    #[test]
    fn a_record_tells_process_and_file() {
        let mut record = vec![0u8; 72];
        record[..4].copy_from_slice(&77u32.to_ne_bytes());
        assert_eq!(mapped(&record), None, "no inode");
        record[40] = 9;
        assert_eq!(mapped(&record).map(|(tgid, _)| tgid), Some(77));
        (0..56).for_each(|length| assert_eq!(mapped(&record[..length]), None));
    }

    #[test]
    fn a_new_process_is_told_of_before_it_ends() {
        let (mappings, stop) = Mappings::open().expect("run this test as root");
        let (requests, asked) = std::sync::mpsc::sync_channel(1024);
        let thread = std::thread::spawn(move || mappings.run(requests));
        let child = std::process::Command::new("sleep").arg("5").spawn();
        let mut child = child.expect("sleep is there");
        let told = asked.iter().any(|asked| matches!(asked, Request::Maps(tgid) if tgid == child.id()));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        drop(stop);
        thread.join().expect("no panic");
        assert!(told);
    }
}
