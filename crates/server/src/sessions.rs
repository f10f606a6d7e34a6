//! Who has signed in at the console. The browser holds a random name of its session in a cookie that no script can read;
//! here stands the name's digest, and the digest of the token: a token that is taken out of the file ends its sessions.

use crate::access::{AuthError, Digest, digest_of, random};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A session that nobody used for so long has ended.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// However much it is used: then one signs in again.
pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Above this the one that was used least recently ends.
const MAX_SESSIONS: usize = 1000;
/// Wrong tokens that an address may try in a window.
const MAX_FAILURES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
const MAX_ADDRESSES: usize = 10_000;

struct Session {
    token: Digest,
    began: Instant,
    used: Instant,
}

struct Failures {
    count: u32,
    first: Instant,
}

#[derive(Default)]
pub struct Sessions {
    sessions: Mutex<HashMap<Digest, Session>>,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

impl Sessions {
    /// A new session; returns its name for the cookie.
    pub fn begin(&self, token: Digest) -> Result<String, AuthError> {
        let (name, now) = (random()?, Instant::now());
        let mut sessions = self.sessions();
        sessions.retain(|_, session| lives(session, now));
        if sessions.len() >= MAX_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.used).map(|(name, _)| *name)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(digest_of(&name), Session { token, began: now, used: now });
        Ok(name)
    }

    /// The digest of the token that the session began with.
    pub fn token(&self, name: &str) -> Option<Digest> {
        let now = Instant::now();
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&digest_of(name)).filter(|session| lives(session, now))?;
        session.used = now;
        Some(session.token)
    }

    pub fn end(&self, name: &str) {
        self.sessions().remove(&digest_of(name));
    }

    pub fn end_all(&self) -> usize {
        std::mem::take(&mut *self.sessions()).len()
    }

    pub fn count(&self) -> usize {
        let now = Instant::now();
        self.sessions().values().filter(|session| lives(session, now)).count()
    }

    /// How long this address must wait before it may try a token, if it must.
    pub fn must_wait(&self, address: IpAddr) -> Option<Duration> {
        let failures = self.failures();
        let known = failures.get(&network(address))?;
        let left = WINDOW.checked_sub(known.first.elapsed())?;
        (known.count >= MAX_FAILURES).then_some(left)
    }

    pub fn failed(&self, address: IpAddr) {
        let now = Instant::now();
        let mut failures = self.failures();
        if failures.len() >= MAX_ADDRESSES {
            failures.retain(|_, known| now.duration_since(known.first) < WINDOW);
        }
        // Still full: so many fail at once that what each did does not matter.
        if failures.len() >= MAX_ADDRESSES {
            failures.clear();
        }
        let known = failures.entry(network(address)).or_insert(Failures { count: 0, first: now });
        if now.duration_since(known.first) >= WINDOW {
            *known = Failures { count: 0, first: now };
        }
        known.count = known.count.saturating_add(1);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lives(session: &Session, now: Instant) -> bool {
    now.duration_since(session.used) < IDLE && now.duration_since(session.began) < LONGEST
}

/// Somebody who has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_begins_and_ends() {
        let sessions = Sessions::default();
        let name = sessions.begin([1; 32]).expect("random numbers");
        assert_eq!(sessions.token(&name), Some([1; 32]));
        assert_eq!(sessions.token("another"), None);
        sessions.end(&name);
        assert_eq!(sessions.token(&name), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let sessions = Sessions::default();
        let first = sessions.begin([1; 32]).expect("random numbers");
        let second = sessions.begin([2; 32]).expect("random numbers");
        assert!(sessions.token(&first).is_some(), "used later than the second");
        (2..=MAX_SESSIONS).for_each(|_| drop(sessions.begin([3; 32])));
        assert_eq!(sessions.count(), MAX_SESSIONS);
        assert_eq!(sessions.token(&second), None);
        assert!(sessions.token(&first).is_some());
    }

    #[test]
    fn who_fails_often_waits() {
        let sessions = Sessions::default();
        let [one, same, other]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::ffff", "192.0.2.1"].map(|text| text.parse().expect("an address"));
        for _ in 0..MAX_FAILURES {
            assert_eq!(sessions.must_wait(one), None);
            sessions.failed(one);
        }
        assert!(sessions.must_wait(one).is_some_and(|left| left <= WINDOW));
        assert!(sessions.must_wait(same).is_some());
        assert_eq!(sessions.must_wait(other), None);
        (0..=MAX_ADDRESSES as u32).for_each(|at| sessions.failed(IpAddr::V4(at.into())));
        assert!(sessions.failures().len() <= MAX_ADDRESSES);
    }
}
