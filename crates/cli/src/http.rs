//! One GET of HTTP/1.1, over TCP or a Unix socket, with an answer of bounded size. Errors are one line that says what to
//! do.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// More than any answer that is made for people; a damaged or foreign server shall not fill the memory.
const MOST_BYTES: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where to ask: `http://HOST:PORT` or `unix:///PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    /// A path in front of all others, for servers behind a proxy.
    prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp { host: String, port: u16 },
    Unix(String),
}

pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    /// `HOST:PORT` alone is taken, too.
    fn from_str(text: &str) -> Result<Endpoint, String> {
        let wrong = || format!("`{text}` is no address: expected http://HOST:PORT or unix:///PATH");
        if let Some(path) = text.strip_prefix("unix://") {
            let place = Place::Unix(path.to_owned());
            return if path.starts_with('/') { Ok(Endpoint { place, prefix: String::new() }) } else { Err(wrong()) };
        }
        if text.starts_with("https://") {
            return Err(format!(
                "`{text}`: this build speaks no TLS to a server; ask it on its own machine by http://"
            ));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The colons of an address in brackets part no port.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, 80),
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        if host.is_empty() || host.contains("://") || text.contains(odd) {
            return Err(wrong());
        }
        let prefix = path.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Ok(Endpoint { place: Place::Tcp { host: host.to_owned(), port }, prefix })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp { host, port } => write!(f, "http://{host}:{port}{}", self.prefix),
            Place::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Endpoint {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match &self.place {
            Place::Tcp { host, port } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                Ok(Box::new(TcpStream::connect((bare, *port)).await?))
            }
            Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }

    fn authority(&self) -> String {
        match &self.place {
            Place::Tcp { host, port } => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".into(),
        }
    }

    /// `headers` are sent with it; the whole has `timeout`.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)], timeout: Duration) -> Result<Answer, String> {
        let late = || format!("{self} has not answered within {} s", timeout.as_secs());
        tokio::time::timeout(timeout, self.ask(path, headers)).await.map_err(|_| late())?
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{self} does not answer: {error}");
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await;
        let stream = connected.map_err(|_| failed(&"time-out"))?.map_err(|error| failed(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let driver = tokio::spawn(connection);
        let request = headers.iter().fold(
            Request::get(format!("{}{path}", self.prefix)).header(header::HOST, self.authority()),
            |request, (name, value)| request.header(*name, *value),
        );
        let request =
            request.body(Empty::<Bytes>::new()).map_err(|error| format!("the request cannot be made: {error}"))?;
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| failed(&error))?;
        driver.abort();
        Ok(Answer { status, body: body.to_bytes() })
    }
}

/// A text as part of a query string.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("http://127.0.0.1:7117", "http://127.0.0.1:7117"),
            ("127.0.0.1:7118", "http://127.0.0.1:7118"),
            ("http://[::1]:7117/", "http://[::1]:7117"),
            ("http://host/limpid/", "http://host:80/limpid"),
            ("unix:///run/x.sock", "unix:///run/x.sock"),
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(expected.to_owned()));
        }
        for wrong in ["", "http://", "host:port", "ftp://x", "unix://x", "http://a b", "http://user@host", "https://x"]
        {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_in_a_query() {
        assert_eq!(encoded("sum(x{a=\"b\"}) é"), "sum%28x%7Ba%3D%22b%22%7D%29%20%C3%A9");
    }

    #[tokio::test]
    async fn a_real_exchange_and_nobody_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("a request");
            stream
                .write_all(
                    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                )
                .expect("an answer");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let endpoint: Endpoint = address.to_string().parse().expect("an address");
        let answer = endpoint
            .get("/x?a=b", &[("authorization", "Bearer t")], Duration::from_secs(20))
            .await
            .expect("it answers");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"abcde"[..]));
        let request = served.join().expect("the server").to_lowercase();
        assert!(
            request.starts_with("get /x?a=b http/1.1\r\n") && request.contains("authorization: bearer t"),
            "{request}"
        );
        let error = endpoint.get("/", &[], Duration::from_secs(20)).await.err().expect("nobody listens any more");
        assert!(error.starts_with(&format!("http://{address} does not answer")), "{error}");
    }
}
