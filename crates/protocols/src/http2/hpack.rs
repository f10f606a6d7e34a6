//! HPACK (RFC 7541) for somebody who only listens, and maybe not from the beginning.
//!
//! Entries of the dynamic table are counted from the newest, so whoever joins late knows all that came after. An index
//! beyond that is *unknown*: its field is left out, never guessed. What was lost on the way makes everything before it
//! unknown, and the table heals with what is inserted next.

use super::huffman;
use std::collections::VecDeque;

/// The fields that are looked at. All others keep their places in the table and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Method,
    Path,
    Authority,
    Scheme,
    Status,
    ContentType,
    ContentLength,
    GrpcStatus,
    UserAgent,
    Traceparent,
    B3,
    B3TraceId,
    B3SpanId,
    B3Sampled,
    Other,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        match name {
            b":method" => Name::Method,
            b":path" => Name::Path,
            b":authority" => Name::Authority,
            b":scheme" => Name::Scheme,
            b":status" => Name::Status,
            b"content-type" => Name::ContentType,
            b"content-length" => Name::ContentLength,
            b"grpc-status" => Name::GrpcStatus,
            b"user-agent" => Name::UserAgent,
            b"traceparent" => Name::Traceparent,
            b"b3" => Name::B3,
            b"x-b3-traceid" => Name::B3TraceId,
            b"x-b3-spanid" => Name::B3SpanId,
            b"x-b3-sampled" => Name::B3Sampled,
            _ => Name::Other,
        }
    }
}

const STATIC_ENTRIES: usize = 61;
/// What an entry counts beside its name and value (section 4.1).
const ENTRY_BYTES: usize = 32;
/// Before anybody has said otherwise (RFC 9113, section 6.5.2).
pub const DEFAULT_LIMIT: usize = 4096;
/// A peer may ask for more; so much is kept of it.
pub const MOST_LIMIT: usize = 64 * 1024;

/// Of the static table what is looked at, by index (appendix A), and the length of each name.
fn static_entry(index: usize) -> Option<(Name, &'static [u8])> {
    Some(match index {
        1 => (Name::Authority, b""),
        2 => (Name::Method, b"GET"),
        3 => (Name::Method, b"POST"),
        4 => (Name::Path, b"/"),
        5 => (Name::Path, b"/index.html"),
        6 => (Name::Scheme, b"http"),
        7 => (Name::Scheme, b"https"),
        8 => (Name::Status, b"200"),
        9 => (Name::Status, b"204"),
        10 => (Name::Status, b"206"),
        11 => (Name::Status, b"304"),
        12 => (Name::Status, b"400"),
        13 => (Name::Status, b"404"),
        14 => (Name::Status, b"500"),
        28 => (Name::ContentLength, b""),
        31 => (Name::ContentType, b""),
        58 => (Name::UserAgent, b""),
        15..=STATIC_ENTRIES => (Name::Other, b""),
        _ => return None,
    })
}

#[rustfmt::skip]
const STATIC_NAME_BYTES: [u8; STATIC_ENTRIES + 1] = [
    0, 10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16, 13, 12, 6, 4, 4, 6,
    7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3, 16,
];

struct Entry {
    name: Name,
    name_bytes: u32,
    value_bytes: u32,
    /// Empty for `Other`.
    value: Box<[u8]>,
}

impl Entry {
    fn size(&self) -> usize {
        self.name_bytes as usize + self.value_bytes as usize + ENTRY_BYTES
    }
}

/// A header block that cannot be read on. What it would have inserted is unknown: the table must be forgotten.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged;

/// The table of one direction.
pub struct Decoder {
    /// The newest in front.
    entries: VecDeque<Entry>,
    bytes: usize,
    /// What its entries may have in all.
    limit: usize,
    /// What the other side allows at most.
    allowed: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            entries: VecDeque::new(),
            bytes: 0,
            limit: DEFAULT_LIMIT,
            allowed: DEFAULT_LIMIT,
            name: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl Decoder {
    /// The other side's SETTINGS_HEADER_TABLE_SIZE. Less is said again in a header block, where it counts from.
    pub fn allow(&mut self, bytes: u32) {
        self.allowed = self.allowed.max((bytes as usize).min(MOST_LIMIT));
        self.limit = self.limit.max(self.allowed);
    }

    /// Something was lost: how many entries were inserted meanwhile is unknown.
    pub fn forget(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Hands over each field that is known and looked at. Returns whether any field was not known.
    pub fn decode(&mut self, block: &[u8], each: &mut dyn FnMut(Name, &[u8])) -> Result<bool, Damaged> {
        let mut rest = block;
        let mut unknown = false;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut rest, 7)?;
                unknown |= !self.tell(index, each)?;
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut rest, 5)?;
                self.limit = size.min(MOST_LIMIT);
                self.evict(0);
            } else {
                let insert = first & 0x40 != 0;
                let index = integer(&mut rest, if insert { 6 } else { 4 })?;
                unknown |= !self.literal(index, insert, &mut rest, each)?;
            }
        }
        Ok(unknown)
    }

    fn tell(&self, index: usize, each: &mut dyn FnMut(Name, &[u8])) -> Result<bool, Damaged> {
        if index == 0 {
            return Err(Damaged);
        }
        if let Some((name, value)) = static_entry(index) {
            if name != Name::Other {
                each(name, value);
            }
            return Ok(true);
        }
        let Some(entry) = self.entries.get(index - STATIC_ENTRIES - 1) else { return Ok(false) };
        if entry.name != Name::Other {
            each(entry.name, &entry.value);
        }
        Ok(true)
    }

    /// A field with its value, under a name from the table or one of its own. False: the name is not known.
    fn literal(
        &mut self,
        index: usize,
        insert: bool,
        rest: &mut &[u8],
        each: &mut dyn FnMut(Name, &[u8]),
    ) -> Result<bool, Damaged> {
        let (name, name_bytes) = match index {
            0 => {
                self.name.clear();
                string(rest, &mut self.name)?;
                (Some(Name::of(&self.name)), self.name.len())
            }
            _ => self.name_at(index),
        };
        self.value.clear();
        string(rest, &mut self.value)?;
        if let Some(name) = name.filter(|name| *name != Name::Other) {
            each(name, &self.value);
        }
        if insert {
            let value = if name.is_some_and(|name| name != Name::Other) { &self.value[..] } else { &[] };
            let entry = Entry {
                name: name.unwrap_or(Name::Other),
                name_bytes: name_bytes as u32,
                value_bytes: self.value.len() as u32,
                value: value.into(),
            };
            self.insert(entry);
        }
        Ok(name.is_some())
    }

    fn name_at(&self, index: usize) -> (Option<Name>, usize) {
        if let Some((name, _)) = static_entry(index) {
            return (Some(name), STATIC_NAME_BYTES[index].into());
        }
        let entry = self.entries.get(index - STATIC_ENTRIES - 1);
        (entry.map(|entry| entry.name), entry.map_or(0, |entry| entry.name_bytes as usize))
    }

    fn insert(&mut self, entry: Entry) {
        self.evict(entry.size());
        if entry.size() <= self.limit {
            self.bytes += entry.size();
            self.entries.push_front(entry);
        }
    }

    /// Makes room for so many bytes.
    fn evict(&mut self, room: usize) {
        while self.bytes + room > self.limit
            && let Some(oldest) = self.entries.pop_back()
        {
            self.bytes -= oldest.size();
        }
    }
}

/// Section 5.1, with the prefix's flags cut off.
fn integer(rest: &mut &[u8], prefix: u8) -> Result<usize, Damaged> {
    let mask = (1usize << prefix) - 1;
    let mut value = usize::from(take(rest)?) & mask;
    if value < mask {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = usize::from(take(rest)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Damaged)
}

fn take(rest: &mut &[u8]) -> Result<u8, Damaged> {
    let (first, others) = rest.split_first().ok_or(Damaged)?;
    *rest = others;
    Ok(*first)
}

/// Section 5.2, appended to `out`.
fn string(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Damaged> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (string, others) = rest.split_at_checked(length).ok_or(Damaged)?;
    *rest = others;
    if coded {
        return huffman::decode(string, out).ok_or(Damaged);
    }
    out.extend_from_slice(string);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn fields(decoder: &mut Decoder, hex: &str) -> (Vec<String>, bool) {
        let mut out = Vec::new();
        let unknown = decoder
            .decode(&bytes(hex), &mut |name, value| out.push(format!("{name:?}={}", String::from_utf8_lossy(value))))
            .expect("a whole block");
        (out, unknown)
    }

    /// RFC 7541, appendix C.4: three requests of one connection.
    const REQUESTS: [&str; 3] = [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ];

    #[test]
    fn the_requests_of_the_rfc() {
        let mut decoder = Decoder::default();
        let host = "Authority=www.example.com";
        for (hex, rest) in REQUESTS.into_iter().zip([
            ["Scheme=http", "Path=/"],
            ["Scheme=http", "Path=/"],
            ["Scheme=https", "Path=/index.html"],
        ]) {
            let (got, unknown) = fields(&mut decoder, hex);
            assert_eq!(got, ["Method=GET", rest[0], rest[1], host]);
            assert!(!unknown);
        }
        assert_eq!((decoder.entries.len(), decoder.bytes), (3, 164), "as the RFC says");
    }

    #[test]
    fn who_joins_late_knows_what_came_since() {
        let mut decoder = Decoder::default();
        let (got, unknown) = fields(&mut decoder, REQUESTS[1]);
        assert_eq!(got, ["Method=GET", "Scheme=http", "Path=/"], "the authority stands in an entry that was not seen");
        assert!(unknown);
        // Since then one entry was inserted: the authority is the second newest, and still unknown.
        assert!(fields(&mut decoder, "bf").1);
        let (got, unknown) = fields(&mut decoder, "418cf1e3c2e5f23a6ba0ab90f4ffbe");
        assert_eq!(got, ["Authority=www.example.com", "Authority=www.example.com"]);
        assert!(!unknown);
    }

    /// RFC 7541, appendix C.6: a table of 256 bytes, from which entries fall out.
    #[test]
    fn entries_fall_out_of_a_small_table() {
        let mut decoder = Decoder::default();
        let mut all = bytes("3fe101");
        all.extend(bytes("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"));
        decoder.decode(&all, &mut |_, _| {}).unwrap();
        assert_eq!((decoder.entries.len(), decoder.bytes), (4, 222));
        let (got, _) = fields(&mut decoder, "4883640effc1c0bf");
        assert_eq!(got, ["Status=307"]);
        assert_eq!((decoder.entries.len(), decoder.bytes), (4, 222));
    }

    #[test]
    fn a_block_cut_anywhere_is_damaged_or_shorter_and_never_more() {
        for hex in REQUESTS {
            let whole = bytes(hex);
            for end in 0..whole.len() {
                let mut seen = 0;
                let _ = Decoder::default().decode(&whole[..end], &mut |_, _| seen += 1);
                assert!(seen <= 4);
            }
        }
        assert_eq!(Decoder::default().decode(&[0x80], &mut |_, _| {}), Err(Damaged));
        assert_eq!(Decoder::default().decode(&[0xff; 8], &mut |_, _| {}), Err(Damaged));
    }

    #[test]
    fn a_peer_cannot_make_the_table_large() {
        let mut decoder = Decoder::default();
        decoder.allow(u32::MAX);
        let mut block = vec![0x40, 1, b'a', 0x7f, 0x80 | 0x61, 7];
        block.extend([b'x'; 1120]);
        for _ in 0..200 {
            let _ = decoder.decode(&block, &mut |_, _| {});
        }
        assert!(decoder.bytes <= MOST_LIMIT && decoder.entries.len() > 40);
    }
}
