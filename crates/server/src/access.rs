//! Tokens and their roles. Only digests are kept: neither the memory nor, if one likes, the file holds a token itself.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Ingest,
    Read,
    Admin,
}

pub const ROLES: &[(&str, Role)] = &[("ingest", Role::Ingest), ("read", Role::Read), ("admin", Role::Admin)];

impl Role {
    pub fn from_name(name: &str) -> Option<Role> {
        ROLES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    pub fn name(self) -> &'static str {
        ROLES.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }

    /// Who rules may send and read too; who sends need not read, and the other way round.
    pub fn may(self, needed: Role) -> bool {
        self == needed || self == Role::Admin
    }
}

pub type Digest = [u8; 32];

pub fn digest_of(text: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// Compares in a time that does not depend on where the two differ.
pub fn same(left: &Digest, right: &Digest) -> bool {
    left.iter().zip(right).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

/// 256 bits that nobody can guess, as hex.
pub fn random() -> Result<String, AuthError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AuthError("the system has no random numbers to give".into()))?;
    Ok(hex(&bytes))
}

/// A new token, and its line for the auth file.
pub fn new_token(role: Role) -> Result<(String, String), AuthError> {
    let token = format!("limpid_{}", random()?);
    let line = format!("{} {HASHED}{}", role.name(), hex(&digest_of(&token)));
    Ok((token, line))
}

/// One line: what was wrong, where, what to do.
#[derive(Debug)]
pub struct AuthError(pub String);

/// Before the digest of a token, in place of the token.
const HASHED: &str = "sha256:";
const SHORTEST_TOKEN: usize = 16;
const MAX_FILE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy)]
struct Token {
    role: Role,
    digest: Digest,
}

/// The file of tokens. It stays open: a server that has given up its rights may not open it again.
struct AuthFile {
    path: PathBuf,
    file: File,
}

struct Known {
    file: Option<AuthFile>,
    tokens: Arc<Vec<Token>>,
}

/// Who is asked for a token, and which are known. Read again on request.
pub struct Access {
    known: RwLock<Known>,
}

impl Access {
    /// Nobody is asked.
    pub fn open() -> Self {
        Access { known: RwLock::new(Known { file: None, tokens: Arc::default() }) }
    }

    /// Lines of `ROLE TOKEN` or `ROLE sha256:DIGEST`; `#` begins a comment.
    pub fn from_file(path: &Path) -> Result<Self, AuthError> {
        let access = Access::open();
        access.take_up(Some(path))?;
        Ok(access)
    }

    /// From now on the tokens of this file are known, as they stand in it now. What was known before stays when it cannot
    /// be read.
    pub fn take_up(&self, path: Option<&Path>) -> Result<(), AuthError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = path else {
            let gone = || AuthError("only a restart lets everybody in: `auth_file` is gone".into());
            return if known.file.is_none() { Ok(()) } else { Err(gone()) };
        };
        let opened = match File::open(path) {
            Ok(file) => Some(AuthFile { path: path.to_owned(), file }),
            Err(_) if known.file.as_ref().is_some_and(|file| file.is_at(path)) => None,
            Err(error) => return Err(unreadable(path, &error)),
        };
        let file =
            opened.as_ref().or(known.file.as_ref()).ok_or_else(|| AuthError("no `auth_file` is named".into()))?;
        let tokens = parse(path, &file.read()?)?;
        known.tokens = Arc::new(tokens);
        known.file = opened.or_else(|| known.file.take());
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        self.known().file.is_none()
    }

    pub fn role_of_token(&self, token: &str) -> Option<Role> {
        self.role(&digest_of(token))
    }

    /// Every known token is looked at, whichever it is.
    pub fn role(&self, digest: &Digest) -> Option<Role> {
        let tokens = self.known().tokens.clone();
        tokens.iter().filter(|known| same(&known.digest, digest)).map(|known| known.role).last()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuthFile {
    fn read(&self) -> Result<String, AuthError> {
        let mut text = String::new();
        let read =
            (&self.file).rewind().and_then(|()| (&self.file).take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text));
        match read {
            Ok(_) if text.len() <= MAX_FILE_BYTES => Ok(text),
            Ok(_) => {
                Err(AuthError(format!("`auth_file` {} is larger than {MAX_FILE_BYTES} bytes", self.path.display())))
            }
            Err(error) => Err(unreadable(&self.path, &error)),
        }
    }

    /// Whether that path still leads to the file that is open.
    fn is_at(&self, path: &Path) -> bool {
        let (Ok(open), Ok(there)) = (self.file.metadata(), std::fs::metadata(path)) else { return false };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> AuthError {
    let hint = "make one with `limpid token`, and let the server's user read it";
    AuthError(format!("`auth_file` {} cannot be read: {error}; {hint}", path.display()))
}

fn parse(path: &Path, text: &str) -> Result<Vec<Token>, AuthError> {
    let place = path.display();
    let wrong = |number: usize, what: String| Err(AuthError(format!("{place}:{number}: {what}")));
    let mut tokens: Vec<Token> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, token) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let Some(role) = Role::from_name(name) else {
            return wrong(number, format!("unknown role `{name}`, expected ingest, read or admin"));
        };
        let digest = match digest_in_line(token.trim()) {
            Ok(digest) => digest,
            Err(what) => return wrong(number, what),
        };
        if tokens.iter().any(|known| same(&known.digest, &digest)) {
            return wrong(number, "this token stands in a line above already: a token has one role".into());
        }
        tokens.push(Token { role, digest });
    }
    if tokens.is_empty() {
        return Err(AuthError(format!("{place} holds no token: write lines of ROLE TOKEN, or use `limpid token`")));
    }
    Ok(tokens)
}

fn digest_in_line(token: &str) -> Result<Digest, String> {
    if let Some(hashed) = token.strip_prefix(HASHED) {
        return from_hex(hashed)
            .ok_or_else(|| format!("after {HASHED} stand the 64 hex digits that `limpid token` prints"));
    }
    if token.len() < SHORTEST_TOKEN {
        return Err(format!("a token needs {SHORTEST_TOKEN} characters or more"));
    }
    Ok(digest_of(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).expect("the file is written");
        (folder, path)
    }

    #[test]
    fn plain_and_hashed_tokens() {
        let (token, line) = new_token(Role::Read).expect("random numbers");
        let (_folder, path) = file(&format!("# who may\n\ningest let-me-in-at-once\n{line}\n"));
        let access = Access::from_file(&path).expect("a good file");
        assert_eq!(access.role_of_token("let-me-in-at-once"), Some(Role::Ingest));
        assert_eq!(access.role_of_token(&token), Some(Role::Read));
        // The digest itself opens nothing.
        let digest = line.split_once(' ').expect("two words").1;
        assert_eq!(access.role_of_token(digest), None);
        assert_eq!(access.role_of_token(""), None);
    }

    #[test]
    fn a_bad_file_names_the_line_and_keeps_the_token_to_itself() {
        for (text, words) in [
            ("emperor abcdefghijklmnop\n", ":1: unknown role `emperor`"),
            ("\nread short\n", ":2: a token needs 16"),
            ("read sha256:abc\n", ":1: after sha256:"),
            ("read abcdefghijklmnop\nadmin abcdefghijklmnop\n", ":2: this token stands"),
            ("# nothing\n", "holds no token"),
        ] {
            let (_folder, path) = file(text);
            let error = Access::from_file(&path).err().expect("it is bad").0;
            assert!(error.contains(words) && !error.contains("abcdefghijklmnop"), "{error}");
        }
    }

    #[test]
    fn a_reading_that_fails_changes_nothing() {
        let (_folder, path) = file("read abcdefghijklmnop\n");
        let access = Access::from_file(&path).expect("a good file");
        std::fs::write(&path, "# empty now\n").expect("written");
        assert!(access.take_up(Some(&path)).is_err());
        assert_eq!(access.role_of_token("abcdefghijklmnop"), Some(Role::Read));
        std::fs::write(&path, "admin another-one-of-them\n").expect("written");
        access.take_up(Some(&path)).expect("a good file");
        assert_eq!(access.role_of_token("abcdefghijklmnop"), None);
        assert_eq!(access.role_of_token("another-one-of-them"), Some(Role::Admin));
    }

    #[test]
    fn asking_begins_with_a_file_and_does_not_end() {
        let (_folder, path) = file("read abcdefghijklmnop\n");
        let access = Access::open();
        access.take_up(None).expect("nothing changes");
        assert!(access.is_open());
        access.take_up(Some(&path)).expect("a good file");
        assert!(!access.is_open());
        assert!(access.take_up(None).is_err() && !access.is_open());
        assert_eq!(access.role_of_token("abcdefghijklmnop"), Some(Role::Read));
    }

    #[test]
    fn roles() {
        let may = |role: Role| {
            ROLES.iter().filter(|(_, needed)| role.may(*needed)).map(|(name, _)| *name).collect::<Vec<_>>()
        };
        assert_eq!(may(Role::Ingest), ["ingest"]);
        assert_eq!(may(Role::Read), ["read"]);
        assert_eq!(may(Role::Admin), ["ingest", "read", "admin"]);
    }
}
