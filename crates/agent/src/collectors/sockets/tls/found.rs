//! What is known of TLS on this machine, for the status page: the files that hold a library and who runs them, and the
//! processes that speak TLS which nothing reads.

use super::files::FileId;
use crate::collectors::{ProgramState, ProgramStatus};
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::PathBuf;

/// Processes that are remembered of one file, and of those that are not read.
const MOST_PROCESSES: usize = 4096;
/// Files that are told of.
const MOST_FILES: usize = 256;

/// A file that has a TLS implementation.
#[derive(Clone, Debug)]
pub struct TlsFile {
    pub path: PathBuf,
    pub library: String,
    pub version: Option<String>,
    pub probes: Vec<ProgramStatus>,
    /// The processes that have it mapped.
    pub users: FxHashSet<u32>,
}

impl TlsFile {
    pub fn is_read(&self) -> bool {
        self.probes.iter().any(|probe| probe.state == ProgramState::Running)
    }
}

#[derive(Clone, Debug, Default)]
pub struct TlsFound {
    /// Whether libraries are looked for at all.
    pub is_on: bool,
    files: FxHashMap<FileId, TlsFile>,
    unread: FxHashSet<u32>,
}

impl TlsFound {
    pub(super) fn add(&mut self, id: FileId, file: TlsFile) {
        if self.files.len() < MOST_FILES {
            self.files.insert(id, file);
        }
    }

    pub(super) fn used(&mut self, id: FileId, tgid: u32) {
        if let Some(file) = self.files.get_mut(&id).filter(|file| file.users.len() < MOST_PROCESSES) {
            file.users.insert(tgid);
            if file.is_read() {
                self.unread.remove(&tgid);
            }
        }
    }

    pub(super) fn speaks_unread(&mut self, tgid: u32) {
        if self.unread.len() < MOST_PROCESSES {
            self.unread.insert(tgid);
        }
    }

    /// Only what still runs.
    pub(super) fn retain(&mut self, runs: impl Fn(u32) -> bool) {
        self.unread.retain(|tgid| runs(*tgid));
        self.files.values_mut().for_each(|file| file.users.retain(|tgid| runs(*tgid)));
    }

    /// Those with the most users first.
    pub fn files(&self) -> Vec<&TlsFile> {
        let mut files: Vec<&TlsFile> = self.files.values().collect();
        files.sort_by(|a, b| b.users.len().cmp(&a.users.len()).then_with(|| a.path.cmp(&b.path)));
        files
    }

    /// Processes that speak TLS and are not read, each with the library that was found in it, if any.
    pub fn unread(&self) -> Vec<(u32, Option<&TlsFile>)> {
        let of = |tgid: u32| self.files.values().find(|file| file.users.contains(&tgid));
        let mut unread: Vec<u32> = self.unread.iter().copied().collect();
        unread.sort_unstable();
        unread.into_iter().map(|tgid| (tgid, of(tgid))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, state: ProgramState) -> TlsFile {
        let probe = ProgramStatus { name: "tls_read".into(), hook: "SSL_read".into(), state };
        let (path, library) = (PathBuf::from(path), "OpenSsl".to_owned());
        TlsFile { path, library, version: None, probes: vec![probe], users: FxHashSet::default() }
    }

    #[test]
    fn who_speaks_tls_without_probes_is_told_until_it_has_some_or_ends() {
        let mut found = TlsFound::default();
        found.add((1, 1), file("/usr/bin/stripped", ProgramState::Off("stripped".into())));
        found.add((1, 2), file("/usr/lib/libssl.so.3", ProgramState::Running));
        found.used((1, 1), 11);
        [10, 11, 12].into_iter().for_each(|tgid| found.speaks_unread(tgid));
        let unread: Vec<_> = found.unread().into_iter().map(|(tgid, file)| (tgid, file.is_some())).collect();
        assert_eq!(unread, [(10, false), (11, true), (12, false)]);
        found.used((1, 2), 12);
        found.retain(|tgid| tgid != 10);
        assert_eq!(found.unread().into_iter().map(|(tgid, _)| tgid).collect::<Vec<_>>(), [11]);
        let users: Vec<usize> = found.files().iter().map(|file| file.users.len()).collect();
        assert_eq!(users, [1, 1]);
    }
}
