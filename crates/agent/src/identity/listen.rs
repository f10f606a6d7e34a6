//! Who listens where: the sockets of each network namespace, joined with the descriptors of processes by inode.
//!
//! The sockets are asked for once for each namespace: by netlink in the agent's own, by `/proc/<pid>/net/tcp` in all
//! others, where it cannot open a socket. Only when there is a new one are descriptors looked at, so a quiet machine
//! costs some file reads a round.
//!
//! Each of those files costs the kernel a way through its table of connections, some milliseconds, and there is one
//! namespace for each container: they are looked at as seldom as it takes to make that a small part of a CPU.

use super::{procfs, sock_diag};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// State `LISTEN` in the fourth column of `/proc/net/tcp`.
const LISTEN: &str = "0A";
/// How long the kernel makes a line of `/proc/net/tcp`; those of `tcp6` are a little longer.
const LINE_BYTES: usize = 150;
const MAX_SOCKETS: usize = 65_536;
const MAX_DESCRIPTORS: usize = 65_536;
/// Looking at all other namespaces together may take one such part of a CPU.
const PARTS_OF_CPU: u32 = 100;
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// (network namespace, inode of the socket)
type Key = (u64, u64);

#[derive(Default)]
pub struct Listeners {
    sockets: FxHashMap<Key, Listener>,
    /// When each namespace is to be looked at again; one that is new is not in it.
    due: FxHashMap<u64, Instant>,
}

struct Listener {
    address: SocketAddr,
    /// `None` while no process was found that has it: it may belong to one whose descriptors may not be read.
    owner: Option<u32>,
    searched: u8,
}

/// A socket that no process is found for in this many rounds is not searched for any more.
const MAX_SEARCHES: u8 = 3;

impl Listeners {
    /// Looks again. Returns the processes that listen now, each with its addresses, sorted.
    pub fn refresh(&mut self, pids: &[u32]) -> FxHashMap<u32, Vec<SocketAddr>> {
        let namespaces = namespaces(pids);
        self.refresh_sockets(&namespaces);
        let owners_gone = |owner: &u32| !namespaces.values().any(|members| members.binary_search(owner).is_ok());
        for listener in self.sockets.values_mut() {
            if listener.owner.as_ref().is_some_and(owners_gone) {
                listener.owner = None;
                listener.searched = 0;
            }
        }
        self.search_owners(&namespaces);
        self.by_owner()
    }

    fn refresh_sockets(&mut self, namespaces: &FxHashMap<u64, Vec<u32>>) {
        self.due.retain(|namespace, _| namespaces.contains_key(namespace));
        let mut seen = FxHashSet::default();
        for (namespace, members) in namespaces {
            if self.due.get(namespace).is_some_and(|due| Instant::now() < *due) {
                seen.extend(self.sockets.keys().filter(|key| key.0 == *namespace));
                continue;
            }
            let started = Instant::now();
            for (inode, address) in members.iter().find_map(|pid| table(*pid)).unwrap_or_default() {
                if self.sockets.len() >= MAX_SOCKETS {
                    break;
                }
                seen.insert((*namespace, inode));
                self.sockets.entry((*namespace, inode)).or_insert(Listener { address, owner: None, searched: 0 });
            }
            if !is_own(*namespace) {
                self.due.insert(*namespace, Instant::now() + pause(started.elapsed(), namespaces.len()));
            }
        }
        self.sockets.retain(|key, _| seen.contains(key));
    }

    fn search_owners(&mut self, namespaces: &FxHashMap<u64, Vec<u32>>) {
        for (namespace, members) in namespaces {
            let mut open = self.unowned(*namespace);
            for pid in members {
                if open.is_empty() {
                    break;
                }
                for inode in socket_inodes(*pid) {
                    if open.remove(&inode)
                        && let Some(listener) = self.sockets.get_mut(&(*namespace, inode))
                    {
                        listener.owner = Some(*pid);
                    }
                }
            }
            for inode in open {
                if let Some(listener) = self.sockets.get_mut(&(*namespace, inode)) {
                    listener.searched += 1;
                }
            }
        }
    }

    fn unowned(&self, namespace: u64) -> FxHashSet<u64> {
        let open = |(key, listener): (&Key, &Listener)| {
            (key.0 == namespace && listener.owner.is_none() && listener.searched < MAX_SEARCHES).then_some(key.1)
        };
        self.sockets.iter().filter_map(open).collect()
    }

    fn by_owner(&self) -> FxHashMap<u32, Vec<SocketAddr>> {
        let mut owners: FxHashMap<u32, Vec<SocketAddr>> = FxHashMap::default();
        for listener in self.sockets.values() {
            if let Some(owner) = listener.owner {
                owners.entry(owner).or_default().push(listener.address);
            }
        }
        for addresses in owners.values_mut() {
            addresses.sort();
            addresses.dedup();
        }
        owners
    }
}

/// How long a namespace is left alone after a look that took this long, where there are so many.
fn pause(took: Duration, namespaces: usize) -> Duration {
    let namespaces = u32::try_from(namespaces).unwrap_or(u32::MAX);
    took.saturating_mul(PARTS_OF_CPU).saturating_mul(namespaces).min(MAX_PAUSE)
}

/// The processes of each network namespace, lowest pid first, so that a master is found before its workers.
fn namespaces(pids: &[u32]) -> FxHashMap<u64, Vec<u32>> {
    let mut namespaces: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
    for pid in pids {
        if let Some(namespace) = procfs::namespace(*pid, "net") {
            namespaces.entry(namespace).or_default().push(*pid);
        }
    }
    namespaces.values_mut().for_each(|members| members.sort_unstable());
    namespaces
}

fn is_own(namespace: u64) -> bool {
    static OWN: OnceLock<Option<u64>> = OnceLock::new();
    *OWN.get_or_init(|| procfs::namespace(std::process::id(), "net")) == Some(namespace)
}

/// The listening sockets of the namespace of `pid`; `None` when it is gone.
fn table(pid: u32) -> Option<Vec<(u64, SocketAddr)>> {
    if procfs::namespace(pid, "net").is_some_and(is_own)
        && let Some(found) = sock_diag::listening(MAX_SOCKETS)
    {
        return Some(found);
    }
    let mut found = listening(pid, "tcp")?;
    found.extend(listening(pid, "tcp6").unwrap_or_default());
    Some(found)
}

/// The kernel lists listening sockets first: the first line in another state ends the reading, so that a machine with
/// 100,000 connections pays nothing for them. It goes on until what was asked for is full, through a table of some
/// 100,000 empty places where there are few connections; hence a line at a time.
fn listening(pid: u32, file: &str) -> Option<Vec<(u64, SocketAddr)>> {
    let file = File::open(format!("/proc/{pid}/net/{file}")).ok()?;
    let lines = BufReader::with_capacity(LINE_BYTES, file).lines();
    Some(lines.skip(1).take(MAX_SOCKETS).map_while(|line| parse_line(&line.ok()?)).collect())
}

/// The addresses on which one process listens, without looking at any other.
pub fn of(pid: u32) -> Vec<SocketAddr> {
    let inodes: FxHashSet<u64> = socket_inodes(pid).into_iter().collect();
    let sockets = table(pid).unwrap_or_default().into_iter();
    let mut found: Vec<SocketAddr> =
        sockets.filter(|(inode, _)| inodes.contains(inode)).map(|(_, address)| address).collect();
    found.sort();
    found.dedup();
    found
}

fn parse_line(line: &str) -> Option<(u64, SocketAddr)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    Some((inode, SocketAddr::new(parse_address(address)?, u16::from_str_radix(port, 16).ok()?)))
}

/// Words of 32 bits in the machine's own byte order, each as eight hex digits.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    if hex.len() == 8 {
        return Some(IpAddr::from(word(0)?));
    }
    let mut bytes = [0u8; 16];
    for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
        chunk.copy_from_slice(&word(at)?);
    }
    let v6 = Ipv6Addr::from(bytes);
    // A listener on all addresses of both families is shown as what it is; a mapped one is an IPv4 listener.
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

fn socket_inodes(pid: u32) -> Vec<u64> {
    let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let entries = folder.flatten().take(MAX_DESCRIPTORS);
    entries
        .filter_map(|entry| procfs::bracketed(&std::fs::read_link(entry.path()).ok()?.to_string_lossy(), "socket"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn lines_of_the_table() {
        let line =
            "   0: 0100007F:1BCD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000";
        assert_eq!(parse_line(line), Some((4242, "127.0.0.1:7117".parse().expect("address"))));
        let line =
            "0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 77 1";
        assert_eq!(parse_line(line), Some((77, "[::1]:80".parse().expect("address"))));
        for cut in 0..line.len() {
            let _ = parse_line(&line[..cut]);
        }
        assert_eq!(parse_address("zz"), None);
        assert_eq!(parse_address("0000000"), None);
    }

    #[test]
    fn many_namespaces_are_looked_at_seldom() {
        let milliseconds = Duration::from_millis;
        assert_eq!(pause(milliseconds(6), 2), milliseconds(1_200));
        assert_eq!(pause(milliseconds(6), 50), milliseconds(30_000));
        assert_eq!(pause(Duration::MAX, usize::MAX), MAX_PAUSE);
    }

    #[test]
    fn a_listener_of_this_process_comes_and_goes() {
        let mut listeners = Listeners::default();
        let me = std::process::id();
        let socket = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = socket.local_addr().expect("address");
        let found = listeners.refresh(&[me]);
        assert!(found.get(&me).is_some_and(|addresses| addresses.contains(&address)), "{found:?}");
        drop(socket);
        let found = listeners.refresh(&[me]);
        assert!(!found.get(&me).is_some_and(|addresses| addresses.contains(&address)));
    }
}
