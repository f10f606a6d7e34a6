//! Signing in at the console: a token is exchanged for a session, whose name the browser keeps in a cookie.

use crate::Server;
use crate::access::{AuthError, Role, digest_of};
use crate::error::ApiError;
use crate::guard::{self, caller, cookie_name, session_name};
use crate::sessions::LONGEST;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Shared = State<Arc<Server>>;

#[derive(Deserialize)]
pub struct Login {
    token: String,
}

/// Whether one must sign in, and as what one is.
pub async fn session(State(server): Shared, headers: HeaderMap) -> Json<Value> {
    let role = caller(&server, &headers).map(|caller| caller.role.name());
    Json(json!({"required": !server.access.is_open(), "role": role}))
}

pub async fn login(
    State(server): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<Response, ApiError> {
    if server.access.is_open() {
        return Err(ApiError::bad_data("nobody needs to sign in here: no `auth_file` is named"));
    }
    if let Some(left) = server.sessions.must_wait(peer.ip()) {
        return Ok(too_many(left.as_secs().max(1)));
    }
    let token = login.token.trim();
    let role = role_for_console(&server, peer.ip(), token)?;
    let name = server.sessions.begin(digest_of(token)).map_err(|AuthError(text)| ApiError::internal(text))?;
    let secure =
        server.tls.is_some() || guard::text(&headers, header::ORIGIN).is_some_and(|own| own.starts_with("https:"));
    let cookie = cookie(&server, &name, LONGEST.as_secs(), secure);
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({"role": role.name()}))).into_response())
}

fn role_for_console(server: &Server, address: IpAddr, token: &str) -> Result<Role, ApiError> {
    match server.access.role_of_token(token) {
        Some(role) if role.may(Role::Read) => Ok(role),
        Some(role) => {
            let text = format!("Needs the role read. This token has the role {}.", role.name());
            Err(ApiError::refused(StatusCode::FORBIDDEN, text))
        }
        None => {
            server.sessions.failed(address);
            server.failed_logins.fetch_add(1, Ordering::Relaxed);
            log::warn!("a sign-in from {address} failed: unknown token");
            Err(ApiError::refused(StatusCode::UNAUTHORIZED, "This token is not known here."))
        }
    }
}

fn too_many(seconds: u64) -> Response {
    let text = format!("Too many unknown tokens from this address. Wait {seconds} s.");
    let refused = ApiError::refused(StatusCode::TOO_MANY_REQUESTS, text);
    ([(header::RETRY_AFTER, seconds.to_string())], refused).into_response()
}

fn cookie(server: &Server, value: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}", cookie_name(server))
}

pub async fn logout(State(server): Shared, headers: HeaderMap) -> Response {
    if let Some(name) = session_name(&server, &headers) {
        server.sessions.end(name);
    }
    ([(header::SET_COOKIE, cookie(&server, "", 0, false))], Json(json!({"role": null}))).into_response()
}

/// How many are signed in.
pub async fn count(State(server): Shared) -> Json<Value> {
    Json(json!({"sessions": server.sessions.count()}))
}

/// Everybody signs in again.
pub async fn end_all(State(server): Shared) -> Json<Value> {
    Json(json!({"ended": server.sessions.end_all()}))
}
