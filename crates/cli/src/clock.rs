//! Times of day as the user's clock shows them.

/// 14:43:58
pub fn time(unix_ns: u64) -> String {
    let parts = local(unix_ns);
    format!("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec)
}

/// 2026-11-28 14:43:58.123
pub fn date_time(unix_ns: u64) -> String {
    let parts = local(unix_ns);
    let (year, month) = (i64::from(parts.tm_year) + 1900, parts.tm_mon + 1);
    format!("{year}-{month:02}-{:02} {}.{:03}", parts.tm_mday, time(unix_ns), unix_ns / 1_000_000 % 1000)
}

pub fn now_ns() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn local(unix_ns: u64) -> libc::tm {
    let seconds = (unix_ns / 1_000_000_000) as libc::time_t;
    // SAFETY: the call fills the struct; all zeroes is a valid value of it.
    unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut parts);
        parts
    }
}
