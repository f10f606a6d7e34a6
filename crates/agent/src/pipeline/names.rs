//! What the addresses of peers elsewhere are called, as the answers of DNS in this machine's own traffic say.

use limpid_model::{Entity, Text, entity};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;

const MAX_ADDRESSES: usize = 4096;
/// What lives is told again after this time.
const HEARTBEAT_NS: u64 = 60_000_000_000;
const KIND: &str = "external";
const ADDRESSES: &str = "network.peer.address";

struct Named {
    name: Text,
    since_ns: u64,
    /// When somebody connected there last.
    used_ns: u64,
    told_ns: u64,
}

#[derive(Default)]
pub(super) struct Names {
    addresses: FxHashMap<IpAddr, Named>,
}

impl Names {
    /// An address may be given to another name: what it is called now counts from now on.
    pub fn learn(&mut self, name: &str, addresses: &[(IpAddr, u32)], now_ns: u64) {
        for (address, _) in addresses {
            let address = address.to_canonical();
            if address.is_loopback() || address.is_unspecified() {
                continue;
            }
            match self.addresses.get_mut(&address) {
                Some(named) if named.name == name => {}
                _ => self.put(address, name, now_ns),
            }
        }
    }

    fn put(&mut self, address: IpAddr, name: &str, now_ns: u64) {
        if self.addresses.len() >= MAX_ADDRESSES {
            // Most names that are looked up are never spoken with, or long ago.
            let newest = self.addresses.values().map(|named| named.used_ns.max(named.since_ns)).max().unwrap_or(0);
            let oldest = self.addresses.values().map(|named| named.used_ns.max(named.since_ns)).min().unwrap_or(0);
            let middle_ns = oldest + (newest - oldest) / 2;
            self.addresses.retain(|_, named| named.used_ns.max(named.since_ns) > middle_ns);
        }
        self.addresses.insert(address, Named { name: name.into(), since_ns: now_ns, used_ns: 0, told_ns: 0 });
    }

    pub fn note_used(&mut self, address: IpAddr, now_ns: u64) {
        if let Some(named) = self.addresses.get_mut(&address) {
            named.used_ns = named.used_ns.max(now_ns);
        }
    }

    /// Those that were spoken with and that nobody was told of for a while: an entity a name.
    pub fn entities(&mut self, now_ns: u64) -> Vec<Entity> {
        let mut found: BTreeMap<Text, (u64, u64, Vec<String>)> = BTreeMap::new();
        for (address, named) in &mut self.addresses {
            if named.used_ns > named.told_ns && now_ns.saturating_sub(named.told_ns) >= HEARTBEAT_NS {
                named.told_ns = now_ns;
                let (since_ns, used_ns, addresses) =
                    found.entry(named.name.clone()).or_insert((named.since_ns, named.used_ns, Vec::new()));
                (*since_ns, *used_ns) = ((*since_ns).min(named.since_ns), (*used_ns).max(named.used_ns));
                addresses.push(address.to_string());
            }
        }
        found
            .into_iter()
            .map(|(name, (since_ns, used_ns, addresses))| one(name, since_ns, used_ns, addresses))
            .collect()
    }
}

fn one(name: Text, start_ns: u64, end_ns: u64, mut addresses: Vec<String>) -> Entity {
    addresses.sort();
    let attributes = vec![(Text::const_new(ADDRESSES), Text::from(addresses.join(",")))];
    Entity { id: entity::external_id(&name), kind: Text::const_new(KIND), name, start_ns, end_ns, attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn what_is_spoken_with_is_told_by_its_name() {
        let mut names = Names::default();
        names.learn("api.example.com", &[(address(1), 60), (address(2), 60)], 100 * SECOND);
        names.learn("idle.example.com", &[(address(3), 60)], 100 * SECOND);
        assert!(names.entities(101 * SECOND).is_empty());
        (1..=2).for_each(|last| names.note_used(address(last), 102 * SECOND));
        let told = names.entities(103 * SECOND);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].id.as_str(), told[0].start_ns), ("external:api.example.com", 100 * SECOND));
        assert_eq!(told[0].attribute(ADDRESSES), Some("203.0.113.1,203.0.113.2"));
        assert!(names.entities(104 * SECOND).is_empty(), "once a minute");
        names.note_used(address(1), 170 * SECOND);
        assert_eq!(names.entities(171 * SECOND)[0].attribute(ADDRESSES), Some("203.0.113.1"));
    }

    #[test]
    fn an_address_may_change_hands_and_the_table_is_bounded() {
        let mut names = Names::default();
        names.learn("old.example.com", &[(address(1), 60)], SECOND);
        names.learn("new.example.com", &[(address(1), 60)], 2 * SECOND);
        names.note_used(address(1), 3 * SECOND);
        assert_eq!(names.entities(100 * SECOND)[0].name, "new.example.com");
        for number in 0..20_000u32 {
            names.learn(
                "many.example.com",
                &[(IpAddr::from(number.to_be_bytes()), 1)],
                200 * SECOND + u64::from(number),
            );
        }
        assert!(names.addresses.len() <= MAX_ADDRESSES);
    }
}
