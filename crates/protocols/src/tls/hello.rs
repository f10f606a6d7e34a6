//! What the two hellos say (RFC 8446 section 4.1), of TLS and of QUIC, as far as they can be read.

use super::certificate::{Certificate, date};
use super::names;
use super::reader::Reader;
use crate::redact;
use limpid_model::request::Attribute;
use limpid_model::{Request, Text};

/// As long as a name in the DNS can be.
const MAX_NAME_BYTES: usize = 255;
const MAX_PROTOCOLS_BYTES: usize = 128;
const MAX_EXTENSIONS: usize = 128;

mod extension {
    pub const SERVER_NAME: u64 = 0;
    pub const ALPN: u64 = 16;
    pub const PRE_SHARED_KEY: u64 = 41;
    pub const EARLY_DATA: u64 = 42;
    pub const SUPPORTED_VERSIONS: u64 = 43;
    pub const KEY_SHARE: u64 = 51;
}

/// The random of a ServerHello that asks for another ClientHello: the hash of "HelloRetryRequest".
pub(super) const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What is known of a handshake.
#[derive(Default)]
pub(crate) struct Facts {
    pub server_name: Option<Text>,
    offered_protocols: Text,
    session: Vec<u8>,
    pub offers_early_data: bool,
    offers_psk: bool,
    pub version: Option<u16>,
    cipher: Option<u16>,
    group: Option<u16>,
    next_protocol: Option<Text>,
    resumed: Option<bool>,
    pub retried: bool,
    pub server: Option<Certificate>,
    pub client: Option<Certificate>,
}

impl Facts {
    /// The body of a ClientHello; the second one, after a retry, says nothing else.
    pub fn read_client(&mut self, body: &[u8]) -> Option<()> {
        let mut hello = Reader::new(body);
        hello.take(2 + 32)?;
        self.session = hello.vector(1)?.to_vec();
        hello.vector(2)?;
        hello.vector(1)?;
        each_extension(hello.front_of_vector(2)?, |kind, value| match kind {
            extension::SERVER_NAME => self.server_name = server_name(value).or(self.server_name.take()),
            extension::ALPN => self.offered_protocols = protocols(value),
            extension::EARLY_DATA => self.offers_early_data = true,
            extension::PRE_SHARED_KEY => self.offers_psk = true,
            _ => {}
        });
        Some(())
    }

    pub fn read_server(&mut self, body: &[u8]) -> Option<()> {
        let mut hello = Reader::new(body);
        self.version = Some(hello.word()?);
        let retries = hello.take(32)? == RETRY;
        let session = hello.vector(1)?;
        let same_session = !session.is_empty() && session == self.session;
        self.cipher = Some(hello.word()?);
        hello.byte()?;
        let mut has_psk = false;
        each_extension(hello.front_of_vector(2).unwrap_or_default(), |kind, value| {
            let mut value = Reader::new(value);
            match kind {
                extension::SUPPORTED_VERSIONS => self.version = value.word().or(self.version),
                extension::KEY_SHARE => self.group = value.word(),
                extension::PRE_SHARED_KEY => has_psk = true,
                extension::ALPN => self.next_protocol = Some(protocols(value.rest())),
                _ => {}
            }
        });
        if retries {
            self.retried = true;
            return Some(());
        }
        // In 1.3 a session's id is only repeated, for boxes on the way that know no better.
        self.resumed = Some(if self.is_1_3() { has_psk } else { same_session });
        Some(())
    }

    pub fn is_1_3(&self) -> bool {
        self.version.is_some_and(names::is_1_3)
    }

    /// A certificate is only shown in a full handshake.
    pub fn has_seen_certificate(&mut self, certificate: Option<Certificate>) {
        self.resumed = Some(false);
        self.server = certificate;
    }

    /// What the request's own fields do not say.
    pub fn describe(self, request: &mut Request) {
        let attributes = &mut request.details_mut().attributes;
        let mut tell = |name, value: Option<Attribute>| attributes.extend(value.map(|value| (name, value)));
        let text = |text: Text| (!text.is_empty()).then_some(Attribute::Text(text));
        let version = self.version.map(names::version);
        tell("tls.protocol.name", version.as_ref().map(|(name, _)| Attribute::Text(Text::const_new(name))));
        tell("tls.protocol.version", version.map(|(_, version)| Attribute::Text(version)));
        tell("tls.cipher", self.cipher.map(|cipher| Attribute::Text(names::cipher(cipher))));
        tell("tls.curve", self.group.map(|group| Attribute::Text(names::group(group))));
        tell("tls.resumed", self.resumed.map(Attribute::Bool));
        tell("tls.next_protocol", self.next_protocol.and_then(text));
        tell("limpid.tls.offered_protocols", text(self.offered_protocols));
        tell("limpid.tls.hello_retry_request", self.retried.then_some(Attribute::Bool(true)));
        tell("limpid.tls.early_data_offered", self.offers_early_data.then_some(Attribute::Bool(true)));
        let sides = [
            (["tls.server.subject", "tls.server.issuer", "tls.server.not_after"], self.server),
            (["tls.client.subject", "tls.client.issuer", "tls.client.not_after"], self.client),
        ];
        for ([subject, issuer, not_after], certificate) in sides {
            let Some(certificate) = certificate else { continue };
            tell(subject, text(certificate.subject));
            tell(issuer, text(certificate.issuer));
            tell(not_after, Some(Attribute::Text(date(certificate.not_after))));
        }
    }
}

fn each_extension<'a>(bytes: &'a [u8], mut each: impl FnMut(u64, &'a [u8])) {
    let mut extensions = Reader::new(bytes);
    for _ in 0..MAX_EXTENSIONS {
        let Some(kind) = extensions.number(2) else { return };
        let Some(value) = extensions.vector(2) else { return };
        each(kind, value);
    }
}

/// The first name of type `host_name` (RFC 6066 section 3), in lower case, without a final dot.
fn server_name(value: &[u8]) -> Option<Text> {
    let mut list = Reader::new(Reader::new(value).vector(2)?);
    while let Some(kind) = list.byte() {
        let name = list.vector(2)?;
        if kind == 0 && is_name(name) {
            return Some(redact::text(&name.to_ascii_lowercase(), MAX_NAME_BYTES));
        }
    }
    None
}

/// Anything may stand there; what is no printable text is no name.
fn is_name(name: &[u8]) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// `h2,http/1.1` (RFC 7301 section 3.1).
fn protocols(value: &[u8]) -> Text {
    let mut list = Reader::new(Reader::new(value).vector(2).unwrap_or_default());
    let mut out = Text::default();
    while let Some(name) = list.vector(1) {
        let usable = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        if usable && out.len() + name.len() < MAX_PROTOCOLS_BYTES {
            out.push_str(if out.is_empty() { "" } else { "," });
            out.push_str(&redact::text(name, MAX_PROTOCOLS_BYTES));
        }
    }
    out
}
