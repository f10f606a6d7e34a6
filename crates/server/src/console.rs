//! The console's files, from the binary itself. A path without a file is a page of the console: it gets the index.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::io::Read;

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Nothing from elsewhere: no script, no frame, no connection.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
];

pub async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return crate::error::ApiError::not_found(format!("there is no /{path}")).into_response();
    }
    let find = |name: &str| FILES.iter().find(|(have, _)| *have == name);
    let Some((name, packed)) = find(path).or_else(|| find("index.html")) else {
        return (StatusCode::NOT_FOUND, "this binary was built without the console: build it with ./x build\n")
            .into_response();
    };
    // The names of all files but the index carry a hash of their content.
    let cache = if *name == "index.html" { "no-cache" } else { "public, max-age=31536000, immutable" };
    let extension = name.rsplit('.').next().unwrap_or_default();
    let kind = TYPES.iter().find(|(have, _)| *have == extension).map_or("application/octet-stream", |(_, kind)| kind);
    let common = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "Accept-Encoding"),
    ];
    let packs = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    if packs {
        return (common, [(header::CONTENT_ENCODING, "gzip")], Body::from(*packed)).into_response();
    }
    let mut plain = Vec::new();
    match flate2::read::GzDecoder::new(*packed).read_to_end(&mut plain) {
        Ok(_) => (common, Body::from(plain)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
