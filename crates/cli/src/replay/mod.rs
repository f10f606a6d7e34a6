//! `limpid replay`: the agent's own protocol engine over captures.

mod flows;
mod fragments;
mod layers;
mod output;
mod packets;

use flows::Flows;
use fragments::Fragments;
use layers::{Content, IpPacket};
use limpid_protocols::Options;
use output::Collected;
use std::io::Write;
use std::path::Path;

/// A capture is read whole; larger ones are refused with a clear word.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// What a capture held beside requests.
#[derive(Default)]
struct Counts {
    packets: u64,
    unplaced: u64,
    unread_bytes: u64,
}

/// Reads one capture and prints its requests; `Err` is one line for the user.
pub fn file(path: &Path, raw: bool, out: &mut dyn Write) -> Result<(), String> {
    let place = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("{place} cannot be opened: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{place} has {size} bytes, more than the {MAX_FILE_BYTES} that are read; split it with editcap"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("{place} cannot be read: {error}"))?;
    let options = Options { details: true, raw, ..Options::default() };
    let mut replay = Replay { flows: Flows::new(options), fragments: Fragments::default(), found: Collected::default(), counts: Counts::default() };
    let unread = packets::read(&bytes, |packet| replay.packet(&packet)).map_err(|error| format!("{place}: {error}"))?;
    replay.counts.unread_bytes = unread as u64;
    replay.finish(out).map_err(|error| format!("the output cannot be written: {error}"))
}

struct Replay {
    flows: Flows,
    fragments: Fragments,
    found: Collected,
    counts: Counts,
}

impl Replay {
    fn packet(&mut self, packet: &packets::Packet<'_>) {
        self.counts.packets += 1;
        match layers::content(packet.link_type, packet.data, packet.missing) {
            Content::Ip(ip) => self.ip(&ip, packet.time_ns),
            Content::Other => {}
            Content::Unplaced => self.counts.unplaced += 1,
        }
    }

    fn ip(&mut self, ip: &IpPacket<'_>, time_ns: u64) {
        let Some((id, offset, more)) = ip.fragment else { return self.segment(ip, ip.payload, time_ns) };
        if let Some(whole) = self.fragments.add(ip, id, offset, more) {
            self.segment(ip, &whole, time_ns);
        }
    }

    fn segment(&mut self, ip: &IpPacket<'_>, payload: &[u8], time_ns: u64) {
        match layers::segment(ip.source, ip.destination, payload, ip.missing) {
            Some(segment) => self.flows.segment(&segment, time_ns, &mut self.found),
            None => self.counts.unplaced += 1,
        }
    }

    fn finish(mut self, out: &mut dyn Write) -> std::io::Result<()> {
        self.flows.finish(&mut self.found);
        self.counts.unplaced += self.fragments.unfinished() as u64;
        let requests = self.found.requests.len();
        let orphans = self.found.orphans;
        self.found.print(out)?;
        let Counts { packets, unplaced, unread_bytes } = self.counts;
        eprintln!(
            "{requests} requests in {packets} packets; {orphans} answers without a request, {unplaced} packets not placed, \
             {unread_bytes} bytes not read"
        );
        Ok(())
    }
}
