//! How the C library's allocator keeps what was freed. By default it has eight arenas for each processor and gives little
//! of them back, so that each thread that ever answered a question holds what its largest answer took.

/// Fewer contend, more hold free memory of their own.
#[cfg(target_env = "gnu")]
const MAX_ARENAS: usize = 8;
/// Longer pieces are mapped one by one, and unmapped when they are freed.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: libc::c_int = 512 << 10;
/// So much may stay free at an arena's end: less would be given back and fetched again by each question.
#[cfg(target_env = "gnu")]
const FREE_BYTES: libc::c_int = 32 << 20;

/// For a server's process, before it has threads: two arenas for each processor, and what is freed is given back.
#[cfg(target_env = "gnu")]
pub fn bound() {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    let settings = [
        (libc::M_ARENA_MAX, (2 * processors).min(MAX_ARENAS) as libc::c_int),
        (libc::M_MMAP_THRESHOLD, MAPPED_BYTES),
        (libc::M_TRIM_THRESHOLD, FREE_BYTES),
    ];
    for (setting, value) in settings {
        // SAFETY: mallopt takes two numbers, and refuses those that it does not know.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// Gives back what has become free all over: after a flush there is much of it.
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: malloc_trim gives free pages back and touches no others.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
pub fn bound() {}

#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
