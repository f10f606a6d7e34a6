//! What listening ports say: which are Limpid's own, and which of two services of one name is which.

use super::Identity;
use super::naming::Source;
use super::table::{Known, Table};
use limpid_model::Text;
use rustc_hash::{FxHashMap, FxHashSet};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

impl Identity {
    pub(super) fn take_listeners(&self, table: &mut Table, listening: FxHashMap<u32, Vec<SocketAddr>>) -> bool {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let of_own = listening.iter().filter(|(pid, _)| own.contains(pid));
        let mut ports: FxHashSet<u16> =
            of_own.flat_map(|(_, addresses)| addresses.iter().map(SocketAddr::port)).collect();
        let taken = |port: &u16| listening.values().flatten().any(|address| address.port() == *port);
        let mut expected = self.expected_ports.write().unwrap_or_else(PoisonError::into_inner);
        expected.retain(|port| !taken(port));
        ports.extend(expected.iter());
        drop(expected);
        *self.own_ports.write().unwrap_or_else(PoisonError::into_inner) = ports;
        drop(own);
        let mut of_roots: FxHashMap<u32, Vec<SocketAddr>> = FxHashMap::default();
        for (pid, addresses) in listening {
            let root = table.root(pid);
            of_roots.entry(root).or_default().extend(addresses);
        }
        for root in of_roots.keys() {
            self.resolve(table, *root);
        }
        let mut changed = false;
        for (pid, entry) in table.entries.iter_mut().filter(|(_, entry)| entry.exited_ns == 0) {
            let Some(known) = entry.known.as_mut() else { continue };
            let mut addresses = of_roots.remove(pid).unwrap_or_default();
            addresses.sort();
            addresses.dedup();
            if known.listen != addresses {
                known.listen = addresses;
                known.reported_ns = 0;
                changed = true;
            }
        }
        changed
    }

    /// Two executables of one name that listen on different ports are two services: each gets its port.
    pub(super) fn name_collisions(&self, table: &mut Table) -> bool {
        let mut ports: FxHashMap<Text, Vec<u16>> = FxHashMap::default();
        for known in living(table) {
            ports.entry(known.base.clone()).or_default().extend(lowest_port(known));
        }
        let collide = |known: &Known| {
            let own = lowest_port(known)?;
            let others = ports.get(&known.base)?.iter().any(|port| *port != own);
            (known.name.source == Source::Executable && others && known.name.service == known.base).then_some(own)
        };
        let renamed: Vec<(u32, u16)> = table
            .entries
            .iter()
            .filter(|(_, entry)| entry.exited_ns == 0)
            .filter_map(|(pid, entry)| Some((*pid, collide(entry.known.as_deref()?)?)))
            .collect();
        for (pid, port) in &renamed {
            self.rename(table, *pid, *port);
        }
        !renamed.is_empty()
    }

    fn rename(&self, table: &mut Table, pid: u32, port: u16) {
        let Some(mut known) = table.entries.get_mut(&pid).and_then(|entry| entry.known.take()) else { return };
        let Some((start, forgotten)) = table.entries.get_mut(&pid).map(|entry| (entry.start, entry.process.take()))
        else {
            return;
        };
        known.name.service = compact_str::format_compact!("{}-{port}", known.base);
        known.process = Arc::new(self.describe(pid, start, &known.image, &known.name, known.container.as_ref()));
        known.reported_ns = 0;
        for member in table.entries.values_mut() {
            if matches!((&member.process, &forgotten), (Some(one), Some(other)) if Arc::ptr_eq(one, other)) {
                member.process = Some(known.process.clone());
            }
        }
        if let Some(entry) = table.entries.get_mut(&pid) {
            entry.process = Some(known.process.clone());
            entry.known = Some(known);
        }
    }
}

fn living(table: &Table) -> impl Iterator<Item = &Known> {
    table.entries.values().filter(|entry| entry.exited_ns == 0).filter_map(|entry| entry.known.as_deref())
}

fn lowest_port(known: &Known) -> Option<u16> {
    known.listen.iter().map(SocketAddr::port).min()
}
