//! What stands behind an address that the agent did not know: a process that listened there in the range, a host that
//! had it, or a call whose both ends were sampled. What none of them explains stays an address, shown as such.

use super::graph::Seen;
use super::spans::Pair;
use limpid_model::{Entity, Side};
use rustc_hash::{FxHashMap, FxHashSet};
use std::net::{IpAddr, SocketAddr};

/// Where something runs, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub service: String,
    pub process: Option<String>,
    /// Name of the host.
    pub host: Option<String>,
}

struct Listener {
    address: SocketAddr,
    place: Place,
    /// The one that was there last wins.
    end_ns: u64,
}

#[derive(Default)]
pub struct Resolver {
    listeners: FxHashMap<u16, Vec<Listener>>,
    /// Names of the hosts that had an address.
    hosts: FxHashMap<IpAddr, FxHashSet<String>>,
    host_ids: FxHashMap<String, String>,
    /// What the addresses of peers elsewhere are called, and until when that was seen.
    names: FxHashMap<IpAddr, (u64, String)>,
    servers: FxHashMap<(String, String), String>,
    clients: FxHashMap<(String, String), FxHashSet<String>>,
}

impl Resolver {
    pub fn new(entities: &[Entity]) -> Self {
        let mut resolver = Resolver::default();
        resolver.add_hosts_and_listeners(entities);
        for external in entities.iter().filter(|entity| entity.kind == "external") {
            resolver.add_name(external);
        }
        resolver
    }

    /// What was there before the range: whoever came to an address later goes before.
    pub fn add_former(&mut self, entities: &[Entity]) {
        self.add_hosts_and_listeners(entities);
    }

    fn add_hosts_and_listeners(&mut self, entities: &[Entity]) {
        let mut names = FxHashMap::default();
        for host in entities.iter().filter(|entity| entity.kind == "host") {
            names.insert(host.id.as_str(), host.name.to_string());
            self.host_ids.insert(host.name.to_string(), host.id.to_string());
            let addresses = host.attribute("host.ip").unwrap_or_default().split(',');
            for address in addresses.filter_map(|text| text.trim().parse::<IpAddr>().ok()) {
                if !address.is_loopback() {
                    self.hosts.entry(address).or_default().insert(host.name.to_string());
                }
            }
        }
        for process in entities.iter().filter(|entity| entity.kind == "process") {
            self.add_listeners(process, &names);
        }
    }

    fn add_name(&mut self, external: &Entity) {
        let addresses = external.attribute("network.peer.address").unwrap_or_default().split(',');
        for address in addresses.filter_map(|text| text.parse::<IpAddr>().ok()) {
            let newest = self.names.entry(address).or_default();
            if external.end_ns >= newest.0 {
                *newest = (external.end_ns, external.name.to_string());
            }
        }
    }

    /// The address with its name, where that is known: `api.example.com:443` for `203.0.113.9:443`.
    pub fn named(&self, address: &str) -> String {
        let parsed: Option<SocketAddr> = address.parse().ok();
        let name = parsed.and_then(|address| Some((address.port(), self.names.get(&address.ip())?)));
        name.map_or_else(|| address.to_string(), |(port, (_, name))| format!("{name}:{port}"))
    }

    fn add_listeners(&mut self, process: &Entity, hosts: &FxHashMap<&str, String>) {
        let service = process.attribute("limpid.service").unwrap_or_default();
        let service = service.rsplit('/').next().unwrap_or_default();
        let host = process.attribute("limpid.host").and_then(|id| hosts.get(id)).cloned();
        let host = host.or_else(|| process.attribute("host.name").map(String::from));
        let listens = process.attribute("limpid.listen").unwrap_or_default().split(',');
        for address in listens.filter_map(|text| text.trim().parse::<SocketAddr>().ok()) {
            let place =
                Place { service: service.to_string(), process: Some(process.id.to_string()), host: host.clone() };
            let listener = Listener { address, place, end_ns: process.end_ns };
            self.listeners.entry(address.port()).or_default().push(listener);
        }
    }

    pub fn learn(&mut self, pairs: Vec<Pair>) {
        for pair in pairs {
            if let Some(address) = pair.server_address {
                self.servers.insert((pair.client.clone(), address), pair.server.clone());
            }
            if let Some(address) = pair.client_address {
                self.clients.entry((pair.server, address)).or_default().insert(pair.client);
            }
        }
    }

    pub fn host_id(&self, name: &str) -> String {
        self.host_ids.get(name).cloned().unwrap_or_else(|| limpid_model::entity::host_id(name).to_string())
    }

    /// Is there nothing that explains its address? Then sampled spans may.
    pub fn is_puzzled_by(&self, seen: &Seen) -> bool {
        if !seen.peer.is_empty() || seen.peer_address.is_empty() || seen.peer_address.starts_with("unix:") {
            return false;
        }
        match seen.side {
            Side::Client => self.server(&seen.service, &seen.peer_address, &seen.host).is_none(),
            Side::Server => self.hosts_at(&seen.peer_address, &seen.host).is_empty(),
        }
    }

    /// The server behind the address that a client called.
    pub fn server(&self, client: &str, address: &str, host: &str) -> Option<Place> {
        let known = self.servers.get(&(client.to_string(), address.to_string()));
        let parsed: Option<SocketAddr> = address.parse().ok();
        let listening = parsed.and_then(|address| self.listener(address, host));
        match (listening, known) {
            (Some(place), Some(service)) if place.service != *service => {
                // A proxy or NAT in between: the calls themselves know better.
                Some(Place { service: service.clone(), ..Place::default() })
            }
            (Some(place), _) => Some(place.clone()),
            (None, Some(service)) => Some(Place { service: service.clone(), ..Place::default() }),
            (None, None) => None,
        }
    }

    fn listener(&self, address: SocketAddr, host: &str) -> Option<&Place> {
        let here = |name: &Option<String>| name.as_deref() == Some(host);
        let fits = |listener: &&Listener| {
            let listens = listener.address.ip();
            let on_host = match address.ip().is_loopback() {
                true => here(&listener.place.host),
                false => self.has_address(&listener.place.host, address.ip()),
            };
            on_host && (listens == address.ip() || listens.is_unspecified())
        };
        let exact = |listener: &&Listener| listener.address.ip() == address.ip();
        let listeners = self.listeners.get(&address.port())?;
        let best = listeners.iter().filter(fits).max_by_key(|listener| (exact(listener), listener.end_ns))?;
        Some(&best.place)
    }

    fn has_address(&self, host: &Option<String>, address: IpAddr) -> bool {
        host.as_ref().is_some_and(|host| self.hosts.get(&address).is_some_and(|hosts| hosts.contains(host)))
    }

    /// The services that sampled calls to `server` from this address came from.
    pub fn known_clients(&self, server: &str, address: &str) -> Option<&FxHashSet<String>> {
        self.clients.get(&(server.to_string(), address.to_string()))
    }

    /// The watched hosts that had this address.
    pub fn hosts_at(&self, address: &str, host: &str) -> FxHashSet<String> {
        let Ok(address) = address.parse::<IpAddr>() else { return FxHashSet::default() };
        if address.is_loopback() {
            return std::iter::once(host.to_string()).collect();
        }
        self.hosts.get(&address).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(id: &str, kind: &str, name: &str, attributes: &[(&str, &str)]) -> Entity {
        let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Entity { id: id.into(), kind: kind.into(), name: name.into(), start_ns: 0, end_ns: 10, attributes }
    }

    fn resolver() -> Resolver {
        let process = |id: &str, service: &str, host: &str, listen: &str| {
            let service = format!("service:default/{service}");
            let attributes = [("limpid.service", service.as_str()), ("limpid.host", host), ("limpid.listen", listen)];
            entity(id, "process", id, &attributes)
        };
        Resolver::new(&[
            entity("host:a", "host", "alpha", &[("host.ip", "127.0.0.1,10.0.0.1")]),
            entity("host:b", "host", "beta", &[("host.ip", "10.0.0.2,fd00::2")]),
            entity(
                "external:api.example.com",
                "external",
                "api.example.com",
                &[("network.peer.address", "192.0.2.7,192.0.2.8")],
            ),
            process("p1", "shop", "host:a", "0.0.0.0:80,127.0.0.1:9000"),
            process("p2", "store", "host:b", "[::]:80"),
            process("p3", "cache", "host:b", "10.0.0.2:6379"),
        ])
    }

    #[test]
    fn a_wildcard_listener_answers_on_its_own_hosts_addresses_only() {
        let resolver = resolver();
        let service = |address: &str, host: &str| resolver.server("x", address, host).map(|place| place.service);
        assert_eq!(service("10.0.0.1:80", "beta").as_deref(), Some("shop"));
        assert_eq!(service("10.0.0.2:80", "alpha").as_deref(), Some("store"));
        assert_eq!(service("10.0.0.2:6379", "alpha").as_deref(), Some("cache"));
        assert_eq!(service("10.0.0.3:80", "alpha"), None);
    }

    #[test]
    fn peers_elsewhere_have_the_names_that_were_looked_up() {
        let resolver = resolver();
        assert_eq!(resolver.named("192.0.2.8:443"), "api.example.com:443");
        assert_eq!(resolver.named("192.0.2.9:443"), "192.0.2.9:443");
        assert_eq!(resolver.named("unix:/run/socket"), "unix:/run/socket");
    }

    #[test]
    fn loopback_is_the_callers_own_host() {
        let resolver = resolver();
        assert_eq!(resolver.server("x", "127.0.0.1:80", "alpha").map(|place| place.service).as_deref(), Some("shop"));
        assert_eq!(resolver.server("x", "127.0.0.1:9000", "beta"), None);
    }

    #[test]
    fn sampled_calls_see_through_nat() {
        let mut resolver = resolver();
        resolver.learn(vec![Pair {
            client: "web".into(),
            server: "store".into(),
            protocol: "http".into(),
            server_address: Some("192.0.2.1:8080".into()),
            client_address: Some("10.0.0.254".into()),
        }]);
        assert_eq!(
            resolver.server("web", "192.0.2.1:8080", "alpha").map(|place| place.service).as_deref(),
            Some("store")
        );
        assert!(resolver.known_clients("store", "10.0.0.254").is_some_and(|clients| clients.contains("web")));
    }
}
