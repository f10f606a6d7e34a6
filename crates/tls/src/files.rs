//! Reading PEM files, with errors that name the option, the file, and what to do.

use crate::validity;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// One line: what was wrong, where, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(pub String);

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// A file and the option that names it.
#[derive(Clone, Debug)]
pub struct Named {
    pub option: &'static str,
    pub path: PathBuf,
}

impl Named {
    pub fn new(option: &'static str, path: impl Into<PathBuf>) -> Self {
        Named { option, path: path.into() }
    }

    pub fn error(&self, what: impl std::fmt::Display) -> TlsError {
        TlsError(format!("{} (`{}`) {what}", self.path.display(), self.option))
    }
}

/// No certificate, key or bundle of authorities is larger than this.
const MAX_FILE_BYTES: u64 = 4 << 20;

fn read(file: &Named) -> Result<Vec<u8>, TlsError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&file.path).and_then(|open| open.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(file.error(format!("cannot be read: {error}"))),
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => Err(file.error("is too large to be a PEM file")),
        Ok(_) => Ok(bytes),
    }
}

fn certificates(file: &Named) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(file.error("holds no certificate; a PEM file begins with BEGIN CERTIFICATE"))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(file.error(format!("is no valid PEM file: {error}"))),
    }
}

/// A certificate with those of its authorities after it, and when it ends (Unix seconds). Refused when it has ended.
pub fn chain(file: &Named) -> Result<(Vec<CertificateDer<'static>>, i64), TlsError> {
    let chain = certificates(file)?;
    let own =
        chain.first().and_then(|own| validity::period(own)).ok_or_else(|| file.error("is no X.509 certificate"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    if own.until < now {
        return Err(file.error(format!("expired on {}: renew it", validity::date(own.until))));
    }
    if own.from > now {
        return Err(
            file.error(format!("is not valid before {}: look at this machine's clock", validity::date(own.from)))
        );
    }
    Ok((chain, own.until))
}

pub fn key(file: &Named) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            file.error("holds no private key that can be read; an encrypted one cannot: decrypt it with `openssl pkey`")
        }
        // Without the parser's words: they quote the file.
        _ => file.error("is no valid PEM file"),
    })
}

/// Whom to believe.
pub fn authorities(file: &Named) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(file)?);
    if added == 0 { Err(file.error("holds no certificate of an authority")) } else { Ok(roots) }
}

/// What rustls says of a certificate and its key, in words.
pub fn pair_error(error: rustls::Error, cert: &Named, key: &Named) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            let place = format!("{} (`{}`)", cert.path.display(), cert.option);
            key.error(format!("does not belong to the certificate {place}: name the key it was made with"))
        }
        error => key.error(format!("cannot be used with the certificate {}: {error}", cert.path.display())),
    }
}

/// Changes when a file is written anew or put in another's place.
pub type Stamp = Vec<Option<(u64, i64, i64, u64)>>;

pub fn stamp<'a>(paths: impl Iterator<Item = &'a Path>) -> Stamp {
    let of = |path: &Path| {
        std::fs::metadata(path).ok().map(|data| (data.ino(), data.mtime(), data.mtime_nsec(), data.len()))
    };
    paths.map(of).collect()
}
