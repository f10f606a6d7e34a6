//! Every route, asked by everybody; signing in and out; what other sites' pages may do.

use crate::access::ROLES;
use crate::guard::Needs;
use crate::{Access, Server, Starting, api, router};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use limpid_ingest::Ingest;
use limpid_store::embedded::{EmbeddedStore, Options};
use std::net::SocketAddr;
use std::sync::Arc;
use tower::ServiceExt;

const HOST: &str = "127.0.0.1:7117";

struct Stand {
    server: Arc<Server>,
    router: Router,
    _folder: tempfile::TempDir,
}

const TOKENS: &[(&str, &str)] =
    &[("ingest", "let-me-in-at-once"), ("read", "let-me-look-at-once"), ("admin", "let-me-rule-at-once")];

fn token(role: &str) -> &'static str {
    TOKENS.iter().find(|(name, _)| *name == role).map_or("nothing", |(_, token)| token)
}

fn stand(guarded: bool) -> Stand {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    let lines: Vec<String> = TOKENS.iter().map(|(role, token)| format!("{role} {token}\n")).collect();
    std::fs::write(&file, lines.concat()).expect("written");
    let access = if guarded { Access::from_file(&file).expect("a good file") } else { Access::open() };
    let store =
        EmbeddedStore::open(&folder.path().join("store"), Options::default(), limpid_ingest::decode).expect("a store");
    let store = Arc::new(store);
    let ingest = Ingest::new(store.clone(), None);
    let server = Server::new(store, ingest, Arc::new(access), None, HOST.parse().expect("an address"));
    Stand { router: router(server.clone()), server, _folder: folder }
}

fn request(method: Method, path: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path");
    request.headers_mut().insert(header::HOST, HOST.parse().expect("a value"));
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
    request
}

fn with(mut request: Request<Body>, name: header::HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().expect("a value"));
    request
}

impl Stand {
    async fn ask(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("infallible")
    }

    async fn status(&self, request: Request<Body>) -> StatusCode {
        self.ask(request).await.status()
    }

    async fn sign_in(&self, token: &str) -> Response {
        let request = with(request(Method::POST, "/api/login"), header::CONTENT_TYPE, "application/json");
        self.ask(request.map(|_| Body::from(format!("{{\"token\":\"{token}\"}}")))).await
    }

    /// `name=value` of the session.
    async fn cookie(&self, token: &str) -> String {
        let response = self.sign_in(token).await;
        let set = response.headers()[header::SET_COOKIE].to_str().expect("text");
        set.split(';').next().unwrap_or_default().to_owned()
    }
}

/// A path with its placeholders filled.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

const METHODS: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[tokio::test]
async fn every_route_is_asked_by_everybody() {
    let stand = stand(true);
    let routes = api::routes(stand.server.clone()).table;
    assert!(routes.len() > 20);
    for (path, needs) in routes {
        for method in METHODS {
            for role in [None].into_iter().chain(ROLES.iter().map(Some)) {
                let mut asked = request(method.clone(), &filled(path));
                if let Some((name, _)) = role {
                    asked = with(asked, header::AUTHORIZATION, &format!("Bearer {}", token(name)));
                }
                let status = stand.status(asked).await;
                let want = match (needs, role) {
                    (Needs::Nothing, _) => None,
                    (Needs::Role(_), None) => Some(StatusCode::UNAUTHORIZED),
                    (Needs::Role(needed), Some((_, role))) => (!role.may(needed)).then_some(StatusCode::FORBIDDEN),
                };
                let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
                assert_eq!(refused.then_some(status), want, "{method} {path} as {role:?}");
            }
        }
    }
}

/// Whoever adds a route without a role has to say so here too.
#[tokio::test]
async fn what_everybody_may_ask() {
    let stand = stand(true);
    let open: Vec<&str> = api::routes(stand.server.clone())
        .table
        .iter()
        .filter(|(_, needs)| *needs == Needs::Nothing)
        .map(|(path, _)| *path)
        .collect();
    assert_eq!(open, ["/api/session", "/api/login", "/api/logout", "/-/healthy", "/-/ready"]);
    assert_eq!(stand.status(request(Method::GET, "/api/nothing")).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_authentication_nobody_is_asked() {
    let stand = stand(false);
    assert_eq!(stand.status(request(Method::GET, "/api/status")).await, StatusCode::OK);
    let session = stand.ask(request(Method::GET, "/api/session")).await;
    let body = session.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(&body[..], br#"{"required":false,"role":null}"#);
}

#[tokio::test]
async fn a_session_from_login_to_logout() {
    let stand = stand(true);
    let response = stand.sign_in(token("read")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let set = response.headers()[header::SET_COOKIE].to_str().expect("text").to_owned();
    for attribute in ["limpid_session_7117=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains(token("read")));
    let cookie = set.split(';').next().unwrap_or_default().to_owned();
    let as_signed_in = |method, path| with(request(method, path), header::COOKIE, &cookie);
    assert_eq!(stand.status(as_signed_in(Method::GET, "/api/status")).await, StatusCode::OK);
    let refused = stand.ask(as_signed_in(Method::GET, "/api/sessions")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let body = refused.into_body().collect().await.expect("a body").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("Needs the role admin. You are signed in as read."));
    assert_eq!(stand.status(as_signed_in(Method::POST, "/api/logout")).await, StatusCode::OK);
    assert_eq!(stand.status(as_signed_in(Method::GET, "/api/status")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_only() {
    let stand = stand(true);
    let request = with(request(Method::POST, "/api/login"), header::CONTENT_TYPE, "application/json");
    let request = with(request, header::ORIGIN, &format!("https://{HOST}"));
    let body = Body::from(format!("{{\"token\":\"{}\"}}", token("admin")));
    let response = stand.ask(request.map(|_| body)).await;
    assert!(response.headers()[header::SET_COOKIE].to_str().expect("text").contains("; Secure"));
}

#[tokio::test]
async fn an_ingest_token_opens_no_console_and_wrong_ones_are_throttled() {
    let stand = stand(true);
    assert_eq!(stand.sign_in(token("ingest")).await.status(), StatusCode::FORBIDDEN);
    for _ in 0..5 {
        assert_eq!(stand.sign_in("let-me-guess-at-once").await.status(), StatusCode::UNAUTHORIZED);
    }
    let response = stand.sign_in(token("read")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(
        response.headers().contains_key(header::RETRY_AFTER) && !response.headers().contains_key(header::SET_COOKIE)
    );
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let stand = stand(true);
    let cookie = stand.cookie(token("admin")).await;
    let delete = || with(request(Method::DELETE, "/api/sessions"), header::COOKIE, &cookie);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(stand.status(with(delete(), header::ORIGIN, origin)).await, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(stand.status(delete()).await, StatusCode::FORBIDDEN, "without an origin");
    let login = with(request(Method::POST, "/api/login"), header::ORIGIN, "http://evil.example");
    assert_eq!(stand.status(login).await, StatusCode::FORBIDDEN);
    let own = with(delete(), header::ORIGIN, &format!("http://{HOST}"));
    assert_eq!(stand.status(own).await, StatusCode::OK);
    // That ended the session it was asked with.
    assert_eq!(stand.status(delete()).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn other_names_of_this_machine_are_not_answered() {
    let stand = stand(false);
    let request = with(request(Method::GET, "/api/status"), header::HOST, "evil.example:7117");
    assert_eq!(stand.status(request).await, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn before_the_store_is_open() {
    let stand = stand(true);
    let starting = Starting::default();
    let early = starting.router(stand.server.listen);
    let status = |path: &'static str| {
        let early = early.clone();
        async move { early.oneshot(request(Method::GET, path)).await.expect("infallible").status() }
    };
    assert_eq!(status("/-/healthy").await, StatusCode::OK);
    for path in ["/-/ready", "/api/status", "/metrics"] {
        assert_eq!(status(path).await, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    starting.is_over(stand.router.clone());
    assert_eq!(status("/-/ready").await, StatusCode::OK);
    assert_eq!(status("/api/status").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn metrics_are_those_of_the_table() {
    let stand = stand(false);
    stand.status(request(Method::GET, "/api/labels")).await;
    stand.status(request(Method::GET, "/api/v1/query")).await;
    let response = stand.ask(request(Method::GET, "/metrics")).await;
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&body);
    for family in crate::figures::FAMILIES {
        assert!(text.contains(&format!("# TYPE {} {}\n", family.name, family.kind)), "{}", family.name);
    }
    assert!(text.contains("limpid_api_request_duration_seconds_count{route=\"/api/v1/query\"} 1\n"), "{text}");
    assert!(text.contains("limpid_api_errors_total{route=\"/api/v1/query\",class=\"4xx\"} 1\n"), "{text}");
}

#[tokio::test]
async fn a_map_of_a_filter_says_that_it_is_sampled_or_what_is_wrong_with_the_filter() {
    let stand = stand(false);
    for (q, code, part) in [
        ("", StatusCode::OK, "\"sampled\":null"),
        ("user.tier:gold", StatusCode::OK, "\"sampled\":{\"filter\":\"user.tier:gold\",\"spans\":0"),
        ("duration:%3Esoon", StatusCode::BAD_REQUEST, "no duration"),
        ("user.tier:", StatusCode::BAD_REQUEST, "no value"),
        ("%22open", StatusCode::BAD_REQUEST, "not closed"),
    ] {
        let path = format!("/api/topology?start=1700000000&end=1700003600&q={q}");
        let response = stand.ask(request(Method::GET, &path)).await;
        assert_eq!(response.status(), code, "{q}");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(part), "{q}: {body:?}");
    }
}
