//! The certificates that the servers of a link have shown, and when they end.

use crate::losses;
use limpid_model::Text;
use limpid_protocols::Certificate;

/// Of one link: a server may have one for each of its names.
const MAX_CERTIFICATES: usize = 32;

/// What a connection has shown.
pub(super) struct Shown {
    pub server_name: Text,
    pub certificate: Certificate,
}

impl Shown {
    pub fn new(server_name: Option<&str>, certificate: &Certificate) -> Self {
        Shown { server_name: server_name.unwrap_or_default().into(), certificate: certificate.clone() }
    }
}

pub(super) struct Known {
    pub server_name: Text,
    pub subject: Text,
    pub not_after: i64,
    pub start_ns: u64,
    last_ns: u64,
}

#[derive(Default)]
pub(super) struct Certificates {
    known: Vec<Known>,
}

impl Certificates {
    /// A renewed certificate takes the place of the one before it.
    pub fn note(&mut self, shown: &Shown, now_ns: u64) {
        let Shown { server_name, certificate } = shown;
        let same = |known: &&mut Known| known.server_name == *server_name && known.subject == certificate.subject;
        if let Some(known) = self.known.iter_mut().find(same) {
            (known.not_after, known.last_ns) = (certificate.not_after, known.last_ns.max(now_ns));
        } else if self.known.len() < MAX_CERTIFICATES {
            let (server_name, subject) = (server_name.clone(), certificate.subject.clone());
            let not_after = certificate.not_after;
            self.known.push(Known { server_name, subject, not_after, start_ns: now_ns, last_ns: now_ns });
        } else {
            losses::CERTIFICATES_CAPPED.add(1);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.iter()
    }

    pub fn forget(&mut self, before_ns: u64) -> bool {
        let count = self.known.len();
        self.known.retain(|known| known.last_ns >= before_ns);
        self.known.len() < count
    }
}
