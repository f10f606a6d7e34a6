//! What a process may use at most: its cgroup, and the limits of it. Read once a minute for the entity's attributes, so
//! only what seldom changes: figures that move are metrics.

use super::procfs;
use limpid_model::Text;

const MAX_CGROUP_BYTES: usize = 64 * 1024;
/// A path longer than this is told by its end.
const MAX_PATH_BYTES: usize = 512;
const MAX_DEPTH: usize = 32;
/// Version 1 writes "no limit" as the largest number of pages.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// Names and values; what is not limited or cannot be read is left out.
pub fn of(pid: u32) -> Vec<(&'static str, Text)> {
    let mut found = Vec::new();
    if let Some(limits) = procfs::text(pid, "limits", 8192) {
        found.extend(open_files(&limits).map(|files| ("limpid.limit.open_files", text(files))));
    }
    let Some(lines) = procfs::text(pid, "cgroup", MAX_CGROUP_BYTES) else { return found };
    if let Some(path) = path(&lines) {
        let start = path.len().saturating_sub(MAX_PATH_BYTES);
        found.push(("limpid.cgroup.path", Text::from(path.get(start..).unwrap_or_default())));
    }
    found.extend(memory_bytes(&lines).map(|bytes| ("limpid.limit.memory_bytes", text(bytes))));
    found.extend(cpus(&lines).map(|cpus| ("limpid.limit.cpus", compact_str::format_compact!("{cpus:.2}"))));
    found
}

fn text(number: u64) -> Text {
    compact_str::format_compact!("{number}")
}

/// The soft limit of the line `Max open files  1024  524288  files`.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The path in the unified hierarchy, else in the first one that tells more than the root.
fn path(lines: &str) -> Option<&str> {
    let paths = lines.lines().take(64).filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        Some((fields.next()? == "0", fields.nth(1)?))
    });
    let paths: Vec<(bool, &str)> = paths.collect();
    let below_root = || paths.iter().filter(|(_, path)| *path != "/");
    let best = below_root().find(|(unified, _)| *unified).or_else(|| below_root().next()).or_else(|| paths.first());
    best.map(|(_, path)| *path)
}

/// The path in one controller's own hierarchy (version 1).
fn path_of<'a>(lines: &'a str, controller: &str) -> Option<&'a str> {
    lines.lines().take(64).find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let names = fields.next()?;
        names.split(',').any(|name| name == controller).then(|| fields.next()).flatten()
    })
}

/// The narrowest limit on the way up.
fn memory_bytes(lines: &str) -> Option<u64> {
    let unified = path(lines).map(|path| narrowest("/sys/fs/cgroup", path, "memory.max", |text| text.parse().ok()));
    let old = path_of(lines, "memory")
        .map(|path| narrowest("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", |text| text.parse().ok()));
    let bytes = [unified.flatten(), old.flatten()].into_iter().flatten().filter(|bytes| *bytes < NO_LIMIT_BYTES);
    bytes.min()
}

/// `cpu.max` holds quota and period: `150000 100000` is one CPU and a half.
fn cpus(lines: &str) -> Option<f64> {
    let share = |text: &str| {
        let (quota, period) = text.split_once(' ')?;
        let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
        // Thousandths, so that they can be compared as numbers.
        (period > 0.0).then_some((quota / period * 1000.0) as u64)
    };
    narrowest("/sys/fs/cgroup", path(lines)?, "cpu.max", share).map(|thousandths| thousandths as f64 / 1000.0)
}

fn narrowest(root: &str, path: &str, file: &str, read: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    // A path that leaves its hierarchy belongs to another namespace: nothing is known of it here.
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let mut at = path.trim_end_matches('/');
    let mut found: Option<u64> = None;
    for _ in 0..MAX_DEPTH {
        let bytes = procfs::read_path(&format!("{root}{at}/{file}"), 128);
        let value = bytes.and_then(|bytes| read(String::from_utf8_lossy(&bytes).trim()));
        found = [found, value].into_iter().flatten().min();
        match at.rsplit_once('/') {
            Some((above, _)) => at = above,
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             63426                63426                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files   unlimited unlimited files"), None);
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn paths_of_both_versions() {
        let mixed = "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/def\n0::/\n";
        assert_eq!(path(mixed), Some("/docker/abc"));
        assert_eq!(path_of(mixed, "memory"), Some("/docker/def"));
        assert_eq!(path("5:memory:/a\n0::/system.slice/nginx.service\n"), Some("/system.slice/nginx.service"));
        assert_eq!(path("0::/\n"), Some("/"));
        for odd in ["", "::", "garbage", "0:", "1:2"] {
            let _ = (path(odd), path_of(odd, "memory"), memory_bytes(odd), cpus(odd));
        }
        assert_eq!(memory_bytes("0::/../../etc\n"), None);
    }

    #[test]
    fn this_very_process() {
        let found = of(std::process::id());
        assert!(found.iter().any(|(name, _)| *name == "limpid.cgroup.path"), "{found:?}");
        assert!(of(u32::MAX).is_empty());
    }
}
