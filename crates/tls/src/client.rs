//! A client's side: whom it believes, what it shows of itself. Files that changed are read again at the next connection.

use crate::files::{self, Named, Stamp, TlsError};
use crate::provider;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The authorities of the system, where Debian and most others keep them.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How long a server that speaks first may take to do so.
const FIRST_WORD: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Authorities that may have signed the server's certificate; none: those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate and key to show.
    pub own: Option<(PathBuf, PathBuf)>,
}

pub struct ClientTls {
    ca: Named,
    own: Option<(Named, Named)>,
    protocol: &'static [u8],
    state: Mutex<(Stamp, Arc<ClientConfig>)>,
}

impl ClientTls {
    pub fn load(files: ClientFiles, protocol: &'static [u8]) -> Result<Self, TlsError> {
        let ca = Named::new("server_ca", files.ca.unwrap_or_else(|| SYSTEM_CA.into()));
        let own = files.own.map(|(cert, key)| (Named::new("client_cert", cert), Named::new("client_key", key)));
        let stamp = files::stamp(paths(&ca, own.as_ref()));
        let config = read(&ca, own.as_ref(), protocol)?;
        Ok(ClientTls { ca, own, protocol, state: Mutex::new((stamp, config)) })
    }

    /// `host`: the name or address that the server's certificate must be for.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host} is no name of a server")))?;
        let connector = TlsConnector::from(self.config());
        connector.connect(name, stream).await.map_err(|error| self.explain(error, host))
    }

    /// With TLS 1.3 a server's word on the client's certificate comes after the handshake. Where the server speaks first,
    /// as in HTTP/2, what it says is awaited: a refusal is then told, instead of a connection that broke while it was used.
    pub async fn hear(&self, stream: &mut TlsStream<TcpStream>, host: &str) -> io::Result<()> {
        match tokio::time::timeout(FIRST_WORD, stream.fill_buf()).await {
            Ok(Err(error)) => Err(self.explain(error, host)),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let now = files::stamp(paths(&self.ca, self.own.as_ref()));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != now {
            state.0 = now;
            match read(&self.ca, self.own.as_ref(), self.protocol) {
                Ok(config) => state.1 = config,
                Err(error) => log::warn!("{error}; what was read before is still used"),
            }
        }
        state.1.clone()
    }

    fn explain(&self, error: io::Error, host: &str) -> io::Error {
        let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return error };
        let said = match cause {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                format!(
                    "the server's certificate is signed by nobody in {} (`{}`)",
                    self.ca.path.display(),
                    self.ca.option
                )
            }
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                "the server's certificate has expired".to_owned()
            }
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!("the server's certificate is not for {host}"),
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                "the server asks for a certificate: name one with --client-cert and --client-key".to_owned()
            }
            Error::AlertReceived(AlertDescription::UnknownCA) => {
                "the server does not know who signed the agent's certificate (`client_cert`)".to_owned()
            }
            Error::AlertReceived(AlertDescription::CertificateExpired) => {
                "the agent's certificate (`client_cert`) has expired".to_owned()
            }
            Error::InvalidMessage(_) => "the server does not speak TLS there: use http://".to_owned(),
            other => format!("the TLS handshake failed: {other}"),
        };
        io::Error::new(error.kind(), said)
    }
}

fn paths<'a>(ca: &'a Named, own: Option<&'a (Named, Named)>) -> impl Iterator<Item = &'a Path> {
    let own = own.map(|(cert, key)| [cert, key]);
    std::iter::once(ca).chain(own.into_iter().flatten()).map(|file| &*file.path)
}

fn read(ca: &Named, own: Option<&(Named, Named)>, protocol: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ca.error(error))?
        .with_root_certificates(files::authorities(ca)?);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(files::chain(cert)?.0, files::key(key)?)
            .map_err(|error| files::pair_error(error, cert, key))?,
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
