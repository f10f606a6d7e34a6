//! One GET of an address of agent or server.

use limpid_tls::{ClientFiles, ClientTls, HTTP1};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BYTES: u64 = 16 << 20;

pub fn get(base: &str, path: &str, token: Option<&str>, ca: Option<&Path>) -> Result<String, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let asked = async { tokio::time::timeout(TIMEOUT, ask(base, path, token, ca)).await };
    let answer = runtime.block_on(asked).map_err(|_| format!("{base} does not answer"))?;
    answer.map_err(|error| format!("{base}{path}: {error}"))
}

async fn ask(base: &str, path: &str, token: Option<&str>, ca: Option<&Path>) -> Result<String, String> {
    let (scheme, authority) = base.trim_end_matches('/').split_once("://").ok_or("expected http://HOST:PORT")?;
    let stream = TcpStream::connect(authority).await.map_err(|error| error.to_string())?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let token = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n{token}\r\n");
    match scheme {
        "http" => exchange(stream, &request).await,
        "https" => {
            let files = ClientFiles { ca: ca.map(Path::to_owned), own: None };
            let tls = ClientTls::load(files, HTTP1).map_err(|error| error.0)?;
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            exchange(tls.connect(stream, host).await.map_err(|error| error.to_string())?, &request).await
        }
        other => Err(format!("{other}:// is not spoken here")),
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<String, String> {
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.take(MAX_BYTES).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("that is no HTTP")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status == "200" { Ok(body.to_owned()) } else { Err(format!("status {status}: {}", body.trim())) }
}
