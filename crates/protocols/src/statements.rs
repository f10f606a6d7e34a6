//! What a connection has prepared, in any SQL protocol: an execution names a statement that was parsed, perhaps hours
//! ago. With PostgreSQL there is a portal in between.

use crate::sql;
use limpid_model::{Text, TraceContext};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;
use std::sync::Arc;

/// Named ones kept for a connection; drivers keep a few hundred at most.
const MAX_NAMED: usize = 512;
/// A connection keeps little: there may be thousands.
const RECENT: usize = 4;
const MAX_RECENT_BYTES: usize = 512;
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
    /// What its comment says of the request that brought it.
    pub trace: Option<TraceContext>,
}

impl Statement {
    pub fn read(text: &[u8], cut: bool, dialect: sql::Dialect, raw: bool) -> Self {
        if cut && sql::is_keyword_cut(text, dialect) {
            return Statement { operation: UNKNOWN, shape: Text::const_new(""), raw: None, trace: None };
        }
        Statement {
            operation: sql::keyword(text, dialect),
            shape: sql::shape(text, cut, dialect),
            raw: raw.then(|| Text::from_utf8_lossy(text)),
            trace: sql::trace_context(text),
        }
    }
}

/// The last statements of a connection: drivers send the same text again and again, with its values apart.
#[derive(Default)]
pub struct Recent {
    slots: [Option<(Box<[u8]>, Arc<Statement>)>; RECENT],
}

impl Recent {
    /// `read` it, unless just this text was read before.
    pub fn get(&mut self, text: &[u8], read: impl FnOnce() -> Statement) -> Arc<Statement> {
        let mut hasher = FxHasher::default();
        hasher.write(text);
        let at = (hasher.finish() >> 32) as usize % RECENT;
        let Some(slot) = self.slots.get_mut(at).filter(|_| text.len() <= MAX_RECENT_BYTES) else {
            return Arc::new(read());
        };
        if let Some((known, statement)) = slot
            && known.as_ref() == text
        {
            return statement.clone();
        }
        let statement = Arc::new(read());
        *slot = Some((text.into(), statement.clone()));
        statement
    }
}

/// Statements, or portals, by name or number; the nameless one apart, since it is by far the most used.
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
