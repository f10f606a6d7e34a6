//! Who may ask: `Host` and `Origin` are checked on every request, so that no page of another site can read what a
//! browser on this machine can reach; each route names the role that it needs.

use crate::Server;
use crate::access::{Digest, Role, digest_of};
use crate::error::ApiError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Role(Role),
}

/// Before everything else, on every path.
pub async fn check_origin(State(listen): State<SocketAddr>, request: Request, next: Next) -> Response {
    match known_origin(request.headers(), listen) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn known_origin(headers: &HeaderMap, listen: SocketAddr) -> Result<(), ApiError> {
    let host = text(headers, header::HOST).unwrap_or_default();
    if !known_host(host, listen) {
        let text = format!("`Host: {host}` is not this server; ask for {listen}");
        return Err(ApiError::refused(StatusCode::MISDIRECTED_REQUEST, text));
    }
    match text(headers, header::ORIGIN) {
        Some(origin) if !is_own(origin, host) => {
            Err(ApiError::refused(StatusCode::FORBIDDEN, format!("pages of `{origin}` may not ask this server")))
        }
        _ => Ok(()),
    }
}

fn is_own(origin: &str, host: &str) -> bool {
    origin.split_once("://").map(|(_, rest)| rest) == Some(host)
}

/// The guard of one route.
pub async fn admit(State((server, needs)): State<(Arc<Server>, Needs)>, request: Request, next: Next) -> Response {
    match may(&server, needs, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn may(server: &Server, needs: Needs, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let Needs::Role(needed) = needs else { return Ok(()) };
    if server.access.is_open() {
        return Ok(());
    }
    let Some(caller) = caller(server, headers) else {
        let text = format!("a bearer token with the role {} is needed", needed.name());
        return Err(ApiError::refused(StatusCode::UNAUTHORIZED, text));
    };
    if !caller.role.may(needed) {
        let text = format!("Needs the role {}. You are signed in as {}.", needed.name(), caller.role.name());
        return Err(ApiError::refused(StatusCode::FORBIDDEN, text));
    }
    // A browser adds the cookie by itself, and says with everything but a reading which page asks (see `known_origin`).
    let changes = ![Method::GET, Method::HEAD].contains(method);
    if changes && caller.by_cookie && text(headers, header::ORIGIN).is_none() {
        return Err(ApiError::refused(StatusCode::FORBIDDEN, "a change needs the header Origin, or a bearer token"));
    }
    Ok(())
}

pub struct Caller {
    pub role: Role,
    pub by_cookie: bool,
}

/// By the bearer token if there is one, else by the session of the cookie.
pub fn caller(server: &Server, headers: &HeaderMap) -> Option<Caller> {
    let role = |digest: Digest| server.access.role(&digest);
    if let Some(value) = text(headers, header::AUTHORIZATION) {
        let token = value.strip_prefix("Bearer ")?;
        return role(digest_of(token)).map(|role| Caller { role, by_cookie: false });
    }
    let name = session_name(server, headers)?;
    server.sessions.token(name).and_then(role).map(|role| Caller { role, by_cookie: true })
}

/// Cookies know no ports: the name tells this server's from another's on the same host.
pub fn cookie_name(server: &Server) -> String {
    format!("limpid_session_{}", server.listen.port())
}

pub fn session_name<'a>(server: &Server, headers: &'a HeaderMap) -> Option<&'a str> {
    let wanted = cookie_name(server);
    let cookies = text(headers, header::COOKIE)?;
    let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value).next()
}

pub fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
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

    #[test]
    fn only_own_pages_may_ask() {
        for own in ["http://127.0.0.1:7117", "https://127.0.0.1:7117"] {
            assert!(is_own(own, "127.0.0.1:7117"), "{own}");
        }
        for other in ["null", "http://127.0.0.1:7118", "http://evil.example", "http://evil.example/127.0.0.1:7117", ""]
        {
            assert!(!is_own(other, "127.0.0.1:7117"), "{other}");
        }
    }
}
