//! The machine: its id, its name and its addresses. The id is the first part of every process's id.

use limpid_model::Text;
use std::net::IpAddr;

#[derive(Clone, Debug)]
pub struct Host {
    /// `/etc/machine-id`; without one, made from what stays the same until the machine is set up anew.
    pub id: Text,
    pub name: Text,
    pub arch: &'static str,
    /// Unix time of the boot.
    pub boot_ns: u64,
    pub kernel: Text,
    /// The distribution as it calls itself: `Debian GNU/Linux 12 (bookworm)`.
    pub system: Text,
    pub cpus: u64,
    pub memory_bytes: u64,
}

impl Host {
    pub fn read() -> Host {
        let (name, kernel) = uname();
        let (cpus, memory_bytes) = size();
        Host {
            id: machine_id(&name),
            name,
            arch: arch(),
            boot_ns: boot_ns(),
            kernel,
            system: system(),
            cpus,
            memory_bytes,
        }
    }

    /// Unix time of a start given in clock ticks since boot.
    pub fn start_ns(&self, ticks: u64) -> u64 {
        self.boot_ns.saturating_add(ticks.saturating_mul(TICK_NS))
    }
}

/// `USER_HZ` is 100 on every architecture that Linux runs on today, whatever the kernel's own rate.
pub const TICK_NS: u64 = 10_000_000;

fn machine_id(name: &str) -> Text {
    let file = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| {
        let id = std::fs::read_to_string(path).ok()?;
        let id = id.trim();
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| Text::from(id))
    });
    // Cloud machines and containers without a machine id: the product's uuid outlives a boot, the name is better than
    // nothing.
    file.or_else(product_id).unwrap_or_else(|| Text::from(name))
}

fn product_id() -> Option<Text> {
    let id = std::fs::read_to_string("/sys/class/dmi/id/product_uuid").ok()?;
    let id: Text = id.trim().chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_lowercase()).collect();
    (id.len() == 32).then_some(id)
}

/// Names of the semantic conventions (`host.arch`).
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn uname() -> (Text, Text) {
    // SAFETY: `uname` fills the struct that it is given; all zeroes is a valid value of it.
    let names = unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        libc::uname(&mut names);
        names
    };
    (c_text(&names.nodename), c_text(&names.release))
}

/// CPUs that are online, and bytes of memory; 0 where the system does not say.
fn size() -> (u64, u64) {
    // SAFETY: `sysconf` takes a number and gives one.
    let of = |name| u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or(0);
    (of(libc::_SC_NPROCESSORS_ONLN), of(libc::_SC_PHYS_PAGES).saturating_mul(of(libc::_SC_PAGESIZE)))
}

fn system() -> Text {
    let file = super::procfs::read_path("/etc/os-release", 16 * 1024).unwrap_or_default();
    let text = String::from_utf8_lossy(&file);
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    name.trim_matches('"').chars().take(128).collect()
}

fn c_text(chars: &[libc::c_char]) -> Text {
    // A `c_char` has a sign on some architectures and none on others.
    let bytes: Vec<u8> = chars.iter().map(|char| char.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    Text::from_utf8_lossy(&bytes)
}

fn boot_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME).saturating_sub(clock_ns(libc::CLOCK_BOOTTIME))
}

pub fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// Addresses of this machine's own network namespace, without loopback and link-local ones.
pub fn addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `getifaddrs` gives a list that stays valid until `freeifaddrs`; each address is read by its family.
    unsafe {
        if libc::getifaddrs(&mut list) != 0 {
            return found;
        }
        let mut at = list;
        while !at.is_null() && found.len() < 64 {
            found.extend(address((*at).ifa_addr));
            at = (*at).ifa_next;
        }
        libc::freeifaddrs(list);
    }
    found.retain(|address| !address.is_loopback() && !is_link_local(address));
    found.sort();
    found.dedup();
    found
}

/// SAFETY: `address` is null or points to a socket address of the size of its family.
unsafe fn address(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 => {
                Some(IpAddr::from(address.cast::<libc::sockaddr_in6>().read_unaligned().sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine() {
        let host = Host::read();
        assert!(!host.id.is_empty() && !host.name.is_empty() && !host.kernel.is_empty());
        assert_eq!(host.id, Host::read().id);
        assert!(host.boot_ns > 1_500_000_000_000_000_000, "{}", host.boot_ns);
        assert!(addresses().iter().all(|address| !address.is_loopback()));
    }
}
