//! What is known of TLS on this machine, for the status page: the files that hold a library and who runs them, and the
//! processes that speak TLS which nothing reads.

use super::files::FileId;
use crate::collectors::ProgramState;
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Processes that are remembered of one file, and of those that are not read.
const MOST_PROCESSES: usize = 4096;
const MOST_FILES: usize = 2048;
/// For so long a file is told of after its last process has ended.
const RECENT: Duration = Duration::from_secs(600);

/// A function of the library, and whether it is watched.
#[derive(Clone, Debug)]
pub struct TlsFunction {
    pub name: String,
    pub probes: usize,
    /// Of these so many cost a trap each time.
    pub single_stepped: usize,
    pub state: ProgramState,
}

/// A file that has a TLS implementation.
#[derive(Clone, Debug)]
pub struct TlsFile {
    pub path: PathBuf,
    pub library: String,
    pub version: Option<String>,
    pub functions: Vec<TlsFunction>,
    /// The processes that have it mapped.
    pub users: FxHashSet<u32>,
    /// It lies where libraries are installed.
    installed: bool,
    used: Option<Instant>,
}

impl TlsFile {
    pub fn new(path: PathBuf, library: String, version: Option<String>) -> Self {
        let (functions, users) = Default::default();
        TlsFile { path, library, version, functions, users, installed: false, used: None }
    }

    /// One probe more, or the reason why there is none.
    pub fn note(&mut self, name: &str, single_stepped: bool, state: ProgramState) {
        let same = |known: &&mut TlsFunction| known.name == name && known.state == state;
        let count = usize::from(state == ProgramState::Running);
        let slow = usize::from(single_stepped && state == ProgramState::Running);
        match self.functions.iter_mut().find(same) {
            Some(known) => (known.probes, known.single_stepped) = (known.probes + count, known.single_stepped + slow),
            None => {
                let name = name.to_owned();
                self.functions.push(TlsFunction { name, probes: count, single_stepped: slow, state });
            }
        }
    }

    pub fn is_read(&self) -> bool {
        self.functions.iter().any(|function| function.probes > 0)
    }

    /// A program that has ended long ago is no news.
    fn is_current(&self) -> bool {
        self.installed || self.used.is_some_and(|used| used.elapsed() < RECENT)
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
    pub(super) fn add(&mut self, id: FileId, mut file: TlsFile, installed: bool) {
        if self.files.len() >= MOST_FILES {
            self.files.retain(|_, known| known.is_current());
        }
        if self.files.len() < MOST_FILES {
            file.installed = installed;
            self.files.insert(id, file);
        }
    }

    /// It has no probes any more.
    pub(super) fn remove(&mut self, id: FileId) -> Option<TlsFile> {
        self.files.remove(&id)
    }

    pub(super) fn used(&mut self, id: FileId, tgid: u32) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.used = Some(Instant::now());
        if file.users.len() < MOST_PROCESSES {
            file.users.insert(tgid);
        }
        if file.is_read() {
            self.unread.remove(&tgid);
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
        for file in self.files.values_mut().filter(|file| !file.users.is_empty()) {
            file.used = Some(Instant::now());
            file.users.retain(|tgid| runs(*tgid));
        }
    }

    /// Those in use now or lately, and what is installed, those with the most users first.
    pub fn files(&self) -> Vec<&TlsFile> {
        let mut files: Vec<&TlsFile> = self.files.values().filter(|file| file.is_current()).collect();
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
        let mut file = TlsFile::new(PathBuf::from(path), "OpenSsl".to_owned(), None);
        file.note("SSL_read", false, state.clone());
        file.note("SSL_read", true, state);
        file
    }

    fn stripped() -> ProgramState {
        ProgramState::Off("stripped".into())
    }

    #[test]
    fn who_speaks_tls_without_probes_is_told_until_it_has_some_or_ends() {
        let mut found = TlsFound::default();
        found.add((1, 1), file("/usr/bin/stripped", stripped()), false);
        found.add((1, 2), file("/usr/lib/libssl.so.3", ProgramState::Running), true);
        found.used((1, 1), 11);
        [10, 11, 12].into_iter().for_each(|tgid| found.speaks_unread(tgid));
        let unread: Vec<_> = found.unread().into_iter().map(|(tgid, file)| (tgid, file.is_some())).collect();
        assert_eq!(unread, [(10, false), (11, true), (12, false)]);
        found.used((1, 2), 12);
        found.retain(|tgid| tgid != 10);
        assert_eq!(found.unread().into_iter().map(|(tgid, _)| tgid).collect::<Vec<_>>(), [11]);
        assert_eq!(found.files().iter().map(|file| file.users.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_file_that_nobody_has_used_is_told_of_only_where_it_is_installed() {
        let mut found = TlsFound::default();
        found.add((1, 1), file("/tmp/gone", stripped()), false);
        found.add((1, 2), file("/usr/lib/libssl.so.3", ProgramState::Running), true);
        let paths: Vec<_> = found.files().iter().map(|file| file.path.clone()).collect();
        assert_eq!(paths, [PathBuf::from("/usr/lib/libssl.so.3")]);
    }

    #[test]
    fn the_probes_of_a_function_are_counted_together() {
        let read = file("/usr/lib/libssl.so.3", ProgramState::Running);
        let counts: Vec<_> = read.functions.iter().map(|function| (function.probes, function.single_stepped)).collect();
        assert_eq!((counts, read.is_read()), (vec![(2, 1)], true));
        let unread = file("/usr/bin/stripped", stripped());
        assert_eq!((unread.functions.len(), unread.functions[0].probes, unread.is_read()), (1, 0, false));
    }
}
