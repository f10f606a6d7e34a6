//! Small changes to real inputs. A conversation is a list of pieces, so that pieces can be cut, lost, repeated and
//! reordered as a capture does it; within a piece bytes are changed as a broken or hostile program does it.

/// Longest input.
pub const MAX_BYTES: usize = 256 * 1024;
const MAX_PIECES: usize = 256;

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// What the capture does with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Seen,
    /// Seen, but not the beginning of a call.
    Inside,
    Lost,
    /// Seen again, shifted by a few bytes.
    Overlaps,
    /// Comes after the next piece of its direction.
    Late,
}

const FATES: [Fate; 5] = [Fate::Seen, Fate::Inside, Fate::Lost, Fate::Overlaps, Fate::Late];

#[derive(Clone, Debug)]
pub struct Piece {
    pub to_client: bool,
    pub fate: Fate,
    pub bytes: Vec<u8>,
}

/// One byte of direction and fate, two of length, the bytes.
pub fn encode(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces.iter().take(MAX_PIECES) {
        for bytes in piece.bytes.chunks(usize::from(u16::MAX)) {
            let fate = FATES.iter().position(|fate| *fate == piece.fate).unwrap_or(0) as u8;
            out.push(u8::from(piece.to_client) | fate << 1);
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
    out.truncate(MAX_BYTES);
    out
}

/// Any bytes are some conversation.
pub fn decode(mut input: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let [tag, low, high, rest @ ..] = input {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let fate = FATES.get(usize::from(tag >> 1)).copied().unwrap_or(Fate::Seen);
        pieces.push(Piece { to_client: tag & 1 == 1, fate, bytes: rest.get(..length).unwrap_or_default().to_vec() });
        input = rest.get(length..).unwrap_or_default();
    }
    pieces
}

pub fn conversation(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut pieces = decode(&seeds[random.below(seeds.len())]);
    for _ in 0..1 + random.below(6) {
        if pieces.is_empty() {
            break;
        }
        let at = random.below(pieces.len());
        match random.below(10) {
            0 => cut(&mut pieces, at, random),
            1 => pieces[at].fate = FATES[random.below(FATES.len())],
            2 => pieces.insert(at, pieces[random.below(pieces.len())].clone()),
            3 => drop(pieces.remove(at)),
            4 => {
                let other = random.below(pieces.len());
                pieces.swap(at, other);
            }
            5 => {
                let other = decode(&seeds[random.below(seeds.len())]);
                let from = random.below(other.len());
                pieces.truncate(at);
                pieces.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            6 => pieces[at].to_client ^= true,
            _ => bytes(&mut pieces[at].bytes, random),
        }
    }
    encode(&pieces)
}

fn cut(pieces: &mut Vec<Piece>, at: usize, random: &mut Random) {
    let mut rest = pieces[at].clone();
    let middle = random.below(rest.bytes.len() + 1);
    rest.bytes.drain(..middle);
    pieces[at].bytes.truncate(middle);
    pieces.insert(at + 1, rest);
}

/// For inputs that are one string of bytes.
pub fn plain(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(8) {
        if random.below(8) == 0 {
            let other = &seeds[random.below(seeds.len())];
            input.truncate(random.below(input.len() + 1));
            input.extend_from_slice(other.get(random.below(other.len())..).unwrap_or_default());
        } else {
            bytes(&mut input, random);
        }
    }
    input.truncate(MAX_BYTES);
    input
}

/// For formats with fields of fixed width: mostly bytes in their places, seldom a cut or something moved.
pub fn binary(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    if random.below(4) == 0 {
        return plain(seeds, random);
    }
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(12) {
        // Half of the changes hit the front, where the headers are.
        let limit = if random.below(2) == 0 { input.len().min(256) } else { input.len() };
        let at = random.below(limit);
        if let Some(byte) = input.get_mut(at) {
            *byte = match random.below(4) {
                0 => 0xff,
                1 => 0,
                2 => *byte ^ 1 << random.below(8),
                _ => random.next() as u8,
            };
        }
    }
    if random.below(6) == 0 {
        input.truncate(random.below(input.len() + 1));
    }
    input
}

/// Bytes that mean something to somebody.
const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\0\0\0\x04",
    b"\0\0\0\x05",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"$-1\r\n",
    b"*1000000\r\n",
    b"$4294967295\r\n",
    b"99999999999999999999",
    b"-1",
    b"'",
    b"\"",
    b"$$",
    b"/*",
    b"*/",
    b"--",
    b"\\",
    b"(",
    b")",
    b"chunked",
    b"Content-Length: ",
    b"HTTP/1.1 ",
];

fn bytes(input: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(6) {
        0 => input.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied()).for_each(drop),
        1 => drop(input.drain(at..(at + 1 + random.below(16)).min(input.len()))),
        2 if at < input.len() => input[at] ^= 1 << random.below(8),
        3 if at < input.len() => input[at] = random.next() as u8,
        4 if at < input.len() => input[at] = input[at].wrapping_add(1),
        _ => {
            let part = input[at..(at + random.below(64)).min(input.len())].to_vec();
            if input.len() + part.len() <= MAX_BYTES {
                input.splice(at..at, part).for_each(drop);
            }
        }
    }
}
