//! Entity states by id, each with the interval in which it held. Equal states that follow each other are one interval.
//!
//! They are few (a cluster has some ten thousand), so all stay in memory, and what is on disk is one snapshot,
//! replaced as a whole together with the number of the log record up to which it holds.

use super::layout;
use limpid_model::{Entity, Text};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// Of all entities together; the longest gone are dropped first.
const MAX_STATES: usize = 200_000;
/// An entity that is seen again after this long has not been there in between.
const GAP_NS: u64 = 5 * 60 * 1_000_000_000;
const COMPRESSION: i32 = 3;
/// A snapshot larger than this is no snapshot of ours.
const MAX_SNAPSHOT_BYTES: usize = 1 << 30;

#[derive(Default)]
pub struct Entities {
    states: HashMap<Text, Vec<Entity>>,
    count: usize,
    /// Changed since the last snapshot.
    pub changed: bool,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    log_record: u64,
    states: Vec<StoredEntity>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntity {
    id: String,
    kind: String,
    name: String,
    start_ns: u64,
    end_ns: u64,
    attributes: Vec<(String, String)>,
}

impl Entities {
    /// Adds a state; returns how many had to be dropped to stay within bounds.
    pub fn apply(&mut self, entity: &Entity) -> u64 {
        self.changed = true;
        let states = self.states.entry(entity.id.clone()).or_default();
        let at = states.partition_point(|state| state.start_ns <= entity.start_ns);
        // Only a neighbour in time: a state that came back after another one is a new interval.
        let neighbours = at.saturating_sub(1)..(at + 1).min(states.len());
        if let Some(same) = states[neighbours].iter_mut().find(|state| continues(state, entity)) {
            same.start_ns = same.start_ns.min(entity.start_ns);
            same.end_ns = same.end_ns.max(entity.end_ns);
            return 0;
        }
        states.insert(at, entity.clone());
        self.count += 1;
        if self.count <= MAX_STATES {
            return 0;
        }
        // Dropping a twentieth at a time keeps the search for the oldest rare.
        self.keep_newest(MAX_STATES - MAX_STATES / 20)
    }

    fn keep_newest(&mut self, keep: usize) -> u64 {
        let mut ends: Vec<u64> = self.states.values().flatten().map(|state| state.end_ns).collect();
        let drop = ends.len().saturating_sub(keep);
        if drop == 0 {
            return 0;
        }
        let (_, last_dropped, _) = ends.select_nth_unstable(drop - 1);
        let last_dropped = *last_dropped;
        self.retain(|state| state.end_ns > last_dropped)
    }

    fn retain(&mut self, keep: impl Fn(&Entity) -> bool) -> u64 {
        let before = self.count;
        self.states.retain(|_, states| {
            states.retain(&keep);
            !states.is_empty()
        });
        self.count = self.states.values().map(Vec::len).sum();
        (before - self.count) as u64
    }

    /// Forgets what ended before.
    pub fn expire(&mut self, before_ns: u64) {
        if self.retain(|state| state.end_ns >= before_ns) > 0 {
            self.changed = true;
        }
    }

    /// States whose interval touches this one, by id and time.
    pub fn between(&self, start_ns: u64, end_ns: u64) -> Vec<Entity> {
        let touches = |state: &&Entity| state.start_ns <= end_ns && state.end_ns >= start_ns;
        let mut found: Vec<Entity> = self.states.values().flatten().filter(touches).cloned().collect();
        found.sort_by(|left, right| (&left.id, left.start_ns).cmp(&(&right.id, right.start_ns)));
        found
    }

    pub fn encode(&self, log_record: u64) -> io::Result<Vec<u8>> {
        let states = self.states.values().flatten().map(StoredEntity::from).collect();
        let json = serde_json::to_vec(&Snapshot { log_record, states })?;
        let mut compressor = zstd::bulk::Compressor::new(COMPRESSION)?;
        compressor.include_checksum(true)?;
        compressor.compress(&json)
    }

    /// The last snapshot and the log record up to which it holds; nothing when there is none yet.
    pub fn load(path: &Path) -> io::Result<Option<(Entities, u64)>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match decode(&bytes) {
            Ok(loaded) => Ok(Some(loaded)),
            Err(error) => {
                layout::set_aside(path, &error.to_string());
                Ok(None)
            }
        }
    }
}

fn decode(bytes: &[u8]) -> io::Result<(Entities, u64)> {
    let json = zstd::bulk::decompress(bytes, MAX_SNAPSHOT_BYTES.min(bytes.len().saturating_mul(200)))?;
    let snapshot: Snapshot = serde_json::from_slice(&json)?;
    let mut entities = Entities::default();
    for stored in snapshot.states {
        entities.apply(&stored.into());
    }
    entities.changed = false;
    Ok((entities, snapshot.log_record))
}

/// Is `next` the same state as `state`, over an interval that overlaps or follows soon?
fn continues(state: &Entity, next: &Entity) -> bool {
    next.start_ns <= state.end_ns.saturating_add(GAP_NS)
        && state.start_ns <= next.end_ns.saturating_add(GAP_NS)
        && (&state.kind, &state.name, &state.attributes) == (&next.kind, &next.name, &next.attributes)
}

impl From<&Entity> for StoredEntity {
    fn from(entity: &Entity) -> Self {
        StoredEntity {
            id: entity.id.to_string(),
            kind: entity.kind.to_string(),
            name: entity.name.to_string(),
            start_ns: entity.start_ns,
            end_ns: entity.end_ns,
            attributes: entity.attributes.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        }
    }
}

impl From<StoredEntity> for Entity {
    fn from(stored: StoredEntity) -> Self {
        Entity {
            id: stored.id.into(),
            kind: stored.kind.into(),
            name: stored.name.into(),
            start_ns: stored.start_ns,
            end_ns: stored.end_ns,
            attributes: stored.attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * 1_000_000_000;

    fn state(id: &str, name: &str, start: u64, end: u64) -> Entity {
        let attributes = vec![("limpid.service".into(), "service:default/a".into())];
        Entity {
            id: id.into(),
            kind: "process".into(),
            name: name.into(),
            start_ns: start * MINUTE,
            end_ns: end * MINUTE,
            attributes,
        }
    }

    #[test]
    fn equal_states_become_one_interval_and_others_do_not() {
        let mut entities = Entities::default();
        for entity in [
            state("a", "x", 0, 1),
            state("a", "x", 2, 3),
            state("a", "y", 4, 5),
            state("a", "x", 6, 7),
            state("b", "x", 0, 1),
        ] {
            entities.apply(&entity);
        }
        assert_eq!(entities.between(0, 100 * MINUTE).len(), 4, "a was x, y and x again; b was x");
        entities.apply(&state("b", "x", 30, 31));
        assert_eq!(entities.between(0, 100 * MINUTE).len(), 5);
        assert_eq!(entities.between(10 * MINUTE, 20 * MINUTE).len(), 0);
    }

    #[test]
    fn a_snapshot_comes_back_and_a_damaged_one_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("states.zst");
        let mut entities = Entities::default();
        (0..50).for_each(|number| {
            assert_eq!(entities.apply(&state(&format!("process:m/{number}"), "x", number, number + 1)), 0)
        });
        let mut bytes = entities.encode(77).unwrap();
        layout::write_file(&path, &bytes).unwrap();
        let (read, record) = Entities::load(&path).unwrap().unwrap();
        assert_eq!((read.between(0, u64::MAX), record), (entities.between(0, u64::MAX), 77));
        let middle = bytes.len() / 2;
        bytes.truncate(middle);
        layout::write_file(&path, &bytes).unwrap();
        assert!(Entities::load(&path).unwrap().is_none());
        assert!(!path.exists() && folder.path().join("states.zst.damaged").exists());
    }

    #[test]
    fn the_longest_gone_are_dropped_first() {
        let mut entities = Entities::default();
        let dropped: u64 = (0..MAX_STATES as u64 + 5)
            .map(|number| entities.apply(&state(&format!("process:m/{number}"), "x", number, number)))
            .sum();
        assert_eq!(entities.count as u64 + dropped, MAX_STATES as u64 + 5);
        assert!(entities.between(0, 100 * MINUTE).is_empty());
        assert_eq!(entities.between((MAX_STATES as u64 + 4) * MINUTE, u64::MAX).len(), 1);
    }
}
