//! The kernel stamps with its monotonic clock; everything behind the collector speaks Unix time.

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clocks used here always exist, and the place for the result is ours.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

pub fn unix_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> std::time::Duration {
    std::time::Duration::from_nanos(read(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// What to add to a monotonic time. It moves when the clock is set, so it is asked for again with every batch.
pub fn unix_offset_ns() -> u64 {
    unix_ns().wrapping_sub(monotonic_ns())
}
