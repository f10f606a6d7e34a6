//! `limpid replay`: the agent's own protocol engine over captures.
//!
//! A capture goes the way of live traffic: packets (`packets`) become TCP segments and UDP datagrams (`layers`,
//! `fragments`), these become two streams with offsets and gaps (`flows`) or conversations (`conversations`), and the
//! engines that the agent runs find the requests in them (`output` prints them). Nothing in here knows a protocol above
//! TCP and UDP.

mod conversations;
mod flows;
mod fragments;
mod layers;
mod output;
mod packets;

use conversations::Conversations;
use flows::Flows;
use fragments::Fragments;
use layers::{Content, IpPacket};
use limpid_protocols::Options;
use output::Collected;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

/// A capture is read whole; larger ones are refused with a clear word.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// What a capture held beside requests.
#[derive(Debug, Default)]
pub struct Summary {
    pub requests: u64,
    pub packets: u64,
    /// Answers whose requests were not seen.
    pub orphans: u64,
    /// Packets of unknown link types and tunnels, with damaged headers, and fragments without their rest.
    pub unplaced: u64,
    /// Bytes at the end of the file that are no packet.
    pub unread_bytes: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { requests, packets, orphans, unplaced, unread_bytes } = self;
        write!(
            out,
            "{requests} requests in {packets} packets; {orphans} answers without a request, {unplaced} packets not placed, \
             {unread_bytes} bytes not read"
        )
    }
}

/// Reads one capture and prints its requests; `Err` is one line for the user.
pub fn file(path: &Path, raw: bool, out: &mut dyn Write) -> Result<Summary, String> {
    let place = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("{place} cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    // The length of a pipe is not known before it is read.
    let size = file
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{place} cannot be read: {error}"))?;
    if size as u64 > MAX_FILE_BYTES {
        return Err(format!("{place} has more than the {MAX_FILE_BYTES} bytes that are read; split it with editcap"));
    }
    capture(&bytes, raw, out).map_err(|error| format!("{place}: {error}"))
}

/// The same for a capture that was read already.
pub fn capture(bytes: &[u8], raw: bool, out: &mut dyn Write) -> Result<Summary, String> {
    let options = Options { details: true, raw, ..Options::default() };
    let mut replay = Replay {
        flows: Flows::new(options.clone()),
        conversations: Conversations::new(options),
        fragments: Fragments::default(),
        found: Collected::default(),
        summary: Summary::default(),
    };
    let unread = packets::read(bytes, |packet| replay.packet(&packet))?;
    replay.summary.unread_bytes = unread as u64;
    replay.finish(out).map_err(|error| format!("the output cannot be written: {error}"))
}

struct Replay {
    flows: Flows,
    conversations: Conversations,
    fragments: Fragments,
    found: Collected,
    summary: Summary,
}

impl Replay {
    fn packet(&mut self, packet: &packets::Packet<'_>) {
        self.summary.packets += 1;
        match layers::content(packet.link_type, packet.data, packet.missing) {
            Content::Ip(ip) => self.ip(&ip, packet.time_ns),
            Content::Other => {}
            Content::Unplaced => self.summary.unplaced += 1,
        }
    }

    fn ip(&mut self, ip: &IpPacket<'_>, time_ns: u64) {
        let Some((id, offset, more)) = ip.fragment else { return self.payload(ip, ip.payload, time_ns) };
        if let Some(whole) = self.fragments.add(ip, id, offset, more) {
            self.payload(ip, &whole, time_ns);
        }
    }

    fn payload(&mut self, ip: &IpPacket<'_>, payload: &[u8], time_ns: u64) {
        let placed = if ip.protocol == layers::UDP {
            layers::datagram(ip.source, ip.destination, payload, ip.missing)
                .map(|datagram| self.conversations.datagram(&datagram, time_ns, &mut self.found))
        } else {
            layers::segment(ip.source, ip.destination, payload, ip.missing)
                .map(|segment| self.flows.segment(&segment, time_ns, &mut self.found))
        };
        self.summary.unplaced += u64::from(placed.is_none());
    }

    fn finish(mut self, out: &mut dyn Write) -> std::io::Result<Summary> {
        self.flows.finish(&mut self.found);
        self.conversations.finish(&mut self.found);
        self.summary.unplaced += self.fragments.unfinished() as u64;
        self.summary.requests = self.found.requests.len() as u64;
        self.summary.orphans = self.found.orphans;
        self.found.print(out)?;
        Ok(self.summary)
    }
}
