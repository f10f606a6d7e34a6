//! What a connection has prepared: an Execute names a portal, a portal was bound to a statement, a statement was
//! parsed, perhaps hours ago.

use crate::sql;
use limpid_model::Text;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Named ones kept for a connection; drivers keep a few hundred at most.
const MAX_NAMED: usize = 512;
/// Longer names are not remembered: servers cut identifiers at 63 bytes, generated ones may be longer.
const MAX_NAME_BYTES: usize = 256;

/// The operation of a statement that was not seen.
pub const UNKNOWN: Text = Text::const_new("EXECUTE");

/// What is known of a statement.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    pub operation: Text,
    pub shape: Text,
    /// As it was sent, when that is wanted.
    pub raw: Option<Text>,
}

impl Statement {
    pub fn read(text: &[u8], cut: bool, dialect: sql::Dialect, raw: bool) -> Self {
        if cut && sql::is_keyword_cut(text) {
            return Statement { operation: UNKNOWN, shape: Text::const_new(""), raw: None };
        }
        Statement {
            operation: sql::keyword(text),
            shape: sql::shape(text, cut, dialect),
            raw: raw.then(|| Text::from_utf8_lossy(text)),
        }
    }
}

/// Statements, or portals, by name; the nameless one apart, since it is by far the most used.
#[derive(Default)]
pub struct Named {
    nameless: Option<Arc<Statement>>,
    named: FxHashMap<Box<[u8]>, (Arc<Statement>, u64)>,
    uses: u64,
}

impl Named {
    pub fn set(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        if name.is_empty() {
            self.nameless = statement;
            return;
        }
        let Some(statement) = statement.filter(|_| name.len() <= MAX_NAME_BYTES) else {
            self.named.remove(name);
            return;
        };
        if self.named.len() >= MAX_NAMED && !self.named.contains_key(name) {
            self.forget_older_half();
        }
        self.uses += 1;
        self.named.insert(name.into(), (statement, self.uses));
    }

    pub fn get(&mut self, name: &[u8]) -> Option<Arc<Statement>> {
        if name.is_empty() {
            return self.nameless.clone();
        }
        let (statement, used) = self.named.get_mut(name)?;
        self.uses += 1;
        *used = self.uses;
        Some(statement.clone())
    }

    pub fn clear(&mut self) {
        *self = Named::default();
    }

    fn forget_older_half(&mut self) {
        let mut uses: Vec<u64> = self.named.values().map(|(_, used)| *used).collect();
        let middle = uses.len() / 2;
        let (_, middle, _) = uses.select_nth_unstable(middle);
        let middle = *middle;
        self.named.retain(|_, (_, used)| *used > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_names_are_forgotten_first() {
        let statement = Arc::new(Statement::read(b"SELECT 1", false, sql::POSTGRESQL, false));
        let mut named = Named::default();
        named.set(b"kept", Some(statement.clone()));
        for number in 0..MAX_NAMED * 3 {
            named.set(number.to_string().as_bytes(), Some(statement.clone()));
            assert!(named.get(b"kept").is_some(), "{number}");
            assert!(named.named.len() <= MAX_NAMED);
        }
        assert!(named.get(b"0").is_none());
        named.set(b"kept", None);
        assert!(named.get(b"kept").is_none());
        named.set(&[b'x'; MAX_NAME_BYTES + 1], Some(statement));
        assert!(named.get(&[b'x'; MAX_NAME_BYTES + 1]).is_none());
    }
}
