//! Who may ask: `Host` and `Origin` are checked on every request, so that no page of another site can read what a
//! browser on this machine can reach; elsewhere than on loopback a bearer token is needed.

use crate::Server;
use crate::error::ApiError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Ingest,
    Read,
    Admin,
}

type Tokens = Vec<(Role, String)>;

/// Tokens and their roles; none means that nobody is asked for one. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Access {
    tokens: Arc<RwLock<Tokens>>,
}

/// One line: what was wrong, where, what to do.
#[derive(Debug)]
pub struct AuthError(pub String);

/// Cookie that the login sets to the token itself.
const COOKIE: &str = "limpid_token";
const SHORTEST_TOKEN: usize = 16;

/// The file of tokens. It stays open: a server that has given up its rights may not open it again.
pub struct AuthFile {
    path: PathBuf,
    file: File,
}

const MAX_AUTH_FILE_BYTES: u64 = 1 << 20;

impl AuthFile {
    pub fn open(path: &Path) -> Result<AuthFile, AuthError> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(AuthFile { path: path.into(), file })
    }

    pub fn read(&self) -> Result<Access, AuthError> {
        let mut text = String::new();
        (&self.file)
            .rewind()
            .and_then(|()| (&self.file).take(MAX_AUTH_FILE_BYTES).read_to_string(&mut text))
            .map_err(|error| unreadable(&self.path, &error))?;
        parse(&self.path, &text)
    }

    /// The file as it is by now, also another one in its place if that may be opened.
    pub fn again(&mut self, path: &Path) -> Result<Access, AuthError> {
        match AuthFile::open(path) {
            Ok(newer) => *self = newer,
            Err(_) if path == self.path && self.is_in_place() => {}
            Err(AuthError(why)) => {
                let hint = "let the server's user read it, or start the server again";
                return Err(AuthError(format!("{why}; {hint}")));
            }
        }
        self.read()
    }

    fn is_in_place(&self) -> bool {
        let (Ok(open), Ok(there)) = (self.file.metadata(), std::fs::metadata(&self.path)) else { return false };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> AuthError {
    AuthError(format!("`auth_file` {} cannot be read: {error}", path.display()))
}

pub fn read_auth_file(path: &Path) -> Result<Access, AuthError> {
    AuthFile::open(path)?.read()
}

/// Lines of `ROLE TOKEN`; `#` begins a comment.
fn parse(path: &Path, text: &str) -> Result<Access, AuthError> {
    let place = path.display();
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (role, token) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let role = match role {
            "ingest" => Role::Ingest,
            "read" => Role::Read,
            "admin" => Role::Admin,
            other => {
                return Err(AuthError(format!(
                    "{place}:{number}: unknown role `{other}`, expected ingest, read or admin"
                )));
            }
        };
        let token = token.trim();
        if token.len() < SHORTEST_TOKEN {
            return Err(AuthError(format!("{place}:{number}: a token needs {SHORTEST_TOKEN} characters or more")));
        }
        tokens.push((role, token.to_owned()));
    }
    if tokens.is_empty() {
        return Err(AuthError(format!("{place} holds no token: write lines of ROLE TOKEN")));
    }
    Ok(Access { tokens: Arc::new(RwLock::new(tokens)) })
}

impl Access {
    pub fn is_open(&self) -> bool {
        self.tokens().is_empty()
    }

    /// From now on these tokens are known, here and in all clones.
    pub fn replace(&self, other: &Access) {
        let tokens = other.tokens().clone();
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Tokens that may send telemetry.
    pub fn ingest_tokens(&self) -> Vec<String> {
        self.tokens().iter().filter(|(role, _)| *role != Role::Read).map(|(_, token)| token.clone()).collect()
    }

    fn role(&self, token: &str) -> Option<Role> {
        self.tokens().iter().filter(|(_, known)| limpid_ingest::same_token(known, token)).map(|(role, _)| *role).max()
    }

    fn tokens(&self) -> std::sync::RwLockReadGuard<'_, Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }
}

pub async fn check(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    if let Err(error) = admit(&server, request.method(), request.uri().path(), request.headers()) {
        return error.into_response();
    }
    next.run(request).await
}

fn admit(server: &Server, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !known_host(host, server.listen) {
        let text = format!("`Host: {host}` is not this server; ask for {}", server.listen);
        return Err(ApiError::refused(StatusCode::MISDIRECTED_REQUEST, text));
    }
    if let Some(origin) = text(header::ORIGIN)
        && origin.split_once("://").map(|(_, rest)| rest) != Some(host)
    {
        return Err(ApiError::refused(StatusCode::FORBIDDEN, format!("pages of `{origin}` may not ask this server")));
    }
    let public = path.starts_with("/-/") || !path.starts_with("/api/");
    if server.access.is_open() || (public && method == Method::GET && path != "/metrics") {
        return Ok(());
    }
    let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    match bearer.or_else(|| cookie(headers)).and_then(|token| server.access.role(token)) {
        Some(Role::Read | Role::Admin) => Ok(()),
        Some(Role::Ingest) => Err(ApiError::refused(StatusCode::FORBIDDEN, "needs the role read")),
        None => Err(ApiError::refused(StatusCode::UNAUTHORIZED, "a bearer token with the role read is needed")),
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Names can be made to point anywhere; on loopback only its own names are taken, elsewhere (with tokens) any.
fn known_host(host: &str, listen: SocketAddr) -> bool {
    if !listen.ip().is_loopback() {
        return true;
    }
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_reach_loopback() {
        let listen: SocketAddr = "127.0.0.1:7117".parse().expect("an address");
        for host in ["127.0.0.1:7117", "localhost:7117", "localhost", "[::1]:7117", "127.0.0.1"] {
            assert!(known_host(host, listen), "{host}");
        }
        for host in ["", "evil.example:7117", "127.0.0.1.evil.example", "10.0.0.1:7117"] {
            assert!(!known_host(host, listen), "{host}");
        }
    }
}
