//! The entities of this machine, as the exporter tells them: what changed since it asked last, and everything that
//! lives once a minute, so that the server sees when something is gone without having been told.

use super::table::{Entry, Known};
use super::{Identity, host, limits, now_ns};
use limpid_model::{Entity, Text, entity};
use rustc_hash::FxHashMap;
use std::fmt::Write;

const HEARTBEAT_NS: u64 = 60_000_000_000;
/// A process that neither listens nor lives this long is no entity of its own, only its service is: a shell script that
/// calls `curl` a thousand times a minute is not a thousand things to look at.
const SHORT_LIVED_NS: u64 = 10_000_000_000;
const MAX_ENTITIES: usize = 10_000;

impl Identity {
    pub fn entities(&self) -> Vec<Entity> {
        let now = now_ns();
        self.read_limits(now);
        let mut entities = vec![self.host_entity(now)];
        let mut services: FxHashMap<Text, Entity> = FxHashMap::default();
        let mut containers: FxHashMap<Text, Entity> = FxHashMap::default();
        let mut table = self.write();
        for entry in table.entries.values_mut().filter(|entry| entry.known.is_some()) {
            let (start_ns, end_ns) =
                (self.host.start_ns(entry.start), if entry.exited_ns == 0 { now } else { entry.exited_ns });
            let Entry { known: Some(known), .. } = entry else { continue };
            if known.process.own
                || now.saturating_sub(known.reported_ns) < HEARTBEAT_NS
                || entities.len() >= MAX_ENTITIES
            {
                continue;
            }
            let short_lived = known.listen.is_empty() && end_ns.saturating_sub(start_ns) < SHORT_LIVED_NS;
            if entry.exited_ns == 0 && short_lived {
                continue;
            }
            // The end is told once: a gone process gets no heartbeat.
            known.reported_ns = if entry.exited_ns == 0 { now } else { u64::MAX };
            note(&mut services, service_entity(known, start_ns, end_ns));
            if let Some(container) = container_entity(known, &self.host.id, start_ns, end_ns) {
                note(&mut containers, container);
            }
            if !short_lived {
                entities.push(process_entity(known, &self.host.id, start_ns, end_ns));
            }
        }
        drop(table);
        entities.extend(services.into_values().chain(containers.into_values()));
        entities
    }

    /// Of the processes that are told of now. The files are read without the lock: who waits for it handles requests.
    fn read_limits(&self, now: u64) {
        let is_due = |known: &Known| !known.process.own && now.saturating_sub(known.reported_ns) >= HEARTBEAT_NS;
        let due: Vec<u32> = {
            let table = self.read();
            let living = table.entries.iter().filter(|(_, entry)| entry.exited_ns == 0);
            living.filter(|(_, entry)| entry.known.as_deref().is_some_and(is_due)).map(|(pid, _)| *pid).collect()
        };
        let found: Vec<_> = due.into_iter().take(MAX_ENTITIES).map(|pid| (pid, limits::of(pid))).collect();
        let mut table = self.write();
        for (pid, limits) in found {
            let known = table.entries.get_mut(&pid).and_then(|entry| entry.known.as_mut());
            // A process that has ended in between keeps what was known of it.
            if let Some(known) = known.filter(|_| !limits.is_empty()) {
                known.limits = limits;
            }
        }
    }

    fn host_entity(&self, now: u64) -> Entity {
        let host = &self.host;
        let mut addresses = Text::default();
        for address in host::addresses() {
            let comma = if addresses.is_empty() { "" } else { "," };
            let _ = write!(addresses, "{comma}{address}"); // writing into memory cannot fail
        }
        let attributes = [
            ("host.arch", Text::from(host.arch)),
            ("host.id", host.id.clone()),
            ("host.ip", addresses),
            ("host.name", host.name.clone()),
            ("limpid.host.cpus", compact_str::format_compact!("{}", host.cpus)),
            ("limpid.host.memory_bytes", compact_str::format_compact!("{}", host.memory_bytes)),
            ("os.description", host.system.clone()),
            ("os.type", Text::const_new("linux")),
            ("os.version", host.kernel.clone()),
        ];
        make(entity::host_id(&host.id), "host", host.name.clone(), (host.boot_ns, now), attributes)
    }
}

fn process_entity(known: &Known, host: &str, start_ns: u64, end_ns: u64) -> Entity {
    let process = &known.process;
    let mut attributes = process.attributes.clone();
    let mut add = |name: &'static str, value: Text| {
        if !value.is_empty() {
            attributes.push((Text::const_new(name), value));
        }
    };
    add("limpid.service", entity::service_id("default", &process.service));
    add("limpid.host", entity::host_id(host));
    add("limpid.container", known.image.place.container.as_deref().map(container_id).unwrap_or_default());
    let mut listen = Text::default();
    for address in &known.listen {
        let comma = if listen.is_empty() { "" } else { "," };
        let _ = write!(listen, "{comma}{address}"); // writing into memory cannot fail
    }
    add("limpid.listen", listen);
    for (name, value) in &known.limits {
        add(name, value.clone());
    }
    attributes.sort();
    let name = super::program::executable_name(&known.image.exe);
    let name = compact_str::format_compact!("{name}[{}]", process.tgid);
    Entity { id: process.entity.clone(), kind: Text::const_new("process"), name, start_ns, end_ns, attributes }
}

fn service_entity(known: &Known, start_ns: u64, end_ns: u64) -> Entity {
    let process = &known.process;
    let of_process =
        |name: &str| process.attributes.iter().find(|(have, _)| have == name).map(|(_, value)| value.clone());
    let attributes = [
        ("limpid.service.name.source", Text::from(known.name.source.as_str())),
        ("process.executable.name", of_process("process.executable.name").unwrap_or_default()),
        ("process.runtime.name", Text::from(known.name.runtime.unwrap_or_default())),
        ("service.name", process.service.clone()),
        ("service.namespace", of_process("service.namespace").unwrap_or_default()),
        ("service.version", of_process("service.version").unwrap_or_default()),
    ];
    let id = entity::service_id("default", &process.service);
    make(id, "service", process.service.clone(), (start_ns, end_ns), attributes)
}

fn container_entity(known: &Known, host: &str, start_ns: u64, end_ns: u64) -> Option<Entity> {
    let id = known.image.place.container.clone()?;
    let container = known.container.clone().unwrap_or_default();
    let name = container.name.clone().unwrap_or_else(|| id.chars().take(12).collect());
    let attributes = [
        ("container.id", id.clone()),
        ("container.image.name", container.image.unwrap_or_default()),
        ("container.name", container.name.unwrap_or_default()),
        ("limpid.host", entity::host_id(host)),
    ];
    Some(make(container_id(&id), "container", name, (start_ns, end_ns), attributes))
}

fn container_id(id: &str) -> Text {
    compact_str::format_compact!("container:{id}")
}

/// `attributes` are sorted by name; empty ones are left out.
fn make<const N: usize>(
    id: Text,
    kind: &'static str,
    name: Text,
    interval: (u64, u64),
    attributes: [(&'static str, Text); N],
) -> Entity {
    let attributes = attributes.into_iter().filter(|(_, value)| !value.is_empty());
    let attributes = attributes.map(|(name, value)| (Text::const_new(name), value)).collect();
    Entity { id, kind: Text::const_new(kind), name, start_ns: interval.0, end_ns: interval.1, attributes }
}

/// Several processes are one service: it began with the first and ended with the last.
fn note(seen: &mut FxHashMap<Text, Entity>, entity: Entity) {
    match seen.get_mut(&entity.id) {
        Some(have) => {
            have.start_ns = have.start_ns.min(entity.start_ns);
            have.end_ns = have.end_ns.max(entity.end_ns);
        }
        None => {
            seen.insert(entity.id.clone(), entity);
        }
    }
}
