//! The labels of a series, as they stand in the message.

use super::registry::{CLIENTS, NOT_KNOWN, Outcome};
use super::wire::{Damaged, Fields};
use limpid_model::{Side, Text};

/// The labels of one series, as far as they are used.
#[derive(Default)]
pub struct Labels<'a> {
    pub service: &'a str,
    pub peer: &'a str,
    pub peer_address: &'a str,
    pub protocol: &'a str,
    pub operation: &'a str,
    pub resource: &'a str,
    pub code: &'a str,
    pub status: &'a str,
    pub side: &'a str,
    pub instance: &'a str,
    pub cause: &'a str,
    pub direction: &'a str,
    pub host: &'a str,
}

impl<'a> Labels<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let mut labels = Labels::default();
        let mut fields = Fields::new(bytes);
        while let Some((_, value)) = fields.next()? {
            let (mut name, mut text) = ("", "");
            let mut pair = Fields::new(value.bytes()?);
            while let Some((number, value)) = pair.next()? {
                match number {
                    1 => name = value.text()?,
                    2 => text = value.text()?,
                    _ => {}
                }
            }
            labels.set(name, text);
        }
        Ok(labels)
    }

    fn set(&mut self, name: &str, value: &'a str) {
        let place = match name {
            "service" => &mut self.service,
            "peer" => &mut self.peer,
            "peer_address" => &mut self.peer_address,
            "protocol" => &mut self.protocol,
            "operation" => &mut self.operation,
            "resource" => &mut self.resource,
            "code" => &mut self.code,
            "status" => &mut self.status,
            "side" => &mut self.side,
            "instance" => &mut self.instance,
            "cause" => &mut self.cause,
            "direction" => &mut self.direction,
            "host" => &mut self.host,
            _ => return,
        };
        *place = value;
    }

    /// The families of network and queue have no side: they are about a client's calls.
    pub fn side(&self) -> Side {
        if self.side == "server" { Side::Server } else { Side::Client }
    }

    pub fn outcome(&self) -> Outcome {
        match self.status {
            "error" => Outcome::Error,
            "unanswered" => Outcome::Unanswered,
            _ => Outcome::Ok,
        }
    }

    /// Caller and callee.
    pub fn ends(&self) -> (Text, Text) {
        let own = Text::from(self.service);
        match (self.side(), self.peer, self.peer_address) {
            (Side::Server, "", _) => (CLIENTS, own),
            (Side::Server, peer, _) => (peer.into(), own),
            (_, "", "") => (own, NOT_KNOWN),
            (_, "", address) => (own, address.into()),
            (_, peer, _) => (own, peer.into()),
        }
    }
}
