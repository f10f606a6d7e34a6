//! For tests of parsers: scripts of what both sides say, delivered in every way that a capture can deliver them.

use crate::{Connection, Hints, Options, Sink};
use limpid_model::{Direction, Request, Unanswered};

pub use Direction::{ToClient, ToServer};

#[derive(Debug, Default)]
pub struct Collected {
    pub requests: Vec<Request>,
    pub orphans: usize,
}

impl Sink for Collected {
    fn request(&mut self, request: Request) {
        self.requests.push(request);
    }
    fn orphan(&mut self, _protocol: &'static str) {
        self.orphans += 1;
    }
}

impl Collected {
    /// One line a request: `operation resource code status`, with `-` for what is not known.
    pub fn lines(&self) -> Vec<String> {
        self.requests.iter().map(line).collect()
    }
}

pub fn line(request: &Request) -> String {
    let text = |text: &Option<limpid_model::Text>| text.as_deref().unwrap_or("-").to_owned();
    let (resource, code) = (text(&request.resource), text(&request.code));
    format!("{} {resource} {code} {}", request.operation, request.status.as_str())
}

/// What is said, in order: each entry is one call.
pub type Script<'a> = [(Direction, &'a [u8])];

/// Times are 1 ms apart, beginning here.
pub const START_NS: u64 = 1_000_000_000_000;
pub const STEP_NS: u64 = 1_000_000;

/// Plays a conversation into a connection and closes it.
pub struct Player {
    pub connection: Connection,
    pub sink: Collected,
    pub now_ns: u64,
    pub offsets: [u64; 2],
}

impl Player {
    pub fn new(options: &Options) -> Self {
        Self::with(Hints { from_start: true, ..Hints::default() }, options)
    }

    pub fn with(hints: Hints, options: &Options) -> Self {
        Player {
            connection: Connection::new(hints, options),
            sink: Collected::default(),
            now_ns: START_NS,
            offsets: [0; 2],
        }
    }

    pub fn say(&mut self, direction: Direction, bytes: &[u8]) {
        self.now_ns += STEP_NS;
        let offset = self.offsets[direction as usize];
        self.connection.data(direction, offset, self.now_ns, bytes, &mut self.sink);
        self.offsets[direction as usize] += bytes.len() as u64;
    }

    /// Bytes pass that the capture does not have.
    pub fn lose(&mut self, direction: Direction, length: u64) {
        self.now_ns += STEP_NS;
        let offset = self.offsets[direction as usize];
        self.connection.gap(direction, offset, length, self.now_ns, &mut self.sink);
        self.offsets[direction as usize] += length;
    }

    pub fn play(&mut self, script: &Script<'_>) {
        script.iter().for_each(|(direction, bytes)| self.say(*direction, bytes));
    }

    pub fn close(mut self) -> Collected {
        self.now_ns += STEP_NS;
        self.connection.close(Unanswered::Closed, self.now_ns, &mut self.sink);
        self.sink
    }
}

/// The conversation as it is.
pub fn play(script: &Script<'_>, options: &Options) -> Collected {
    let mut player = Player::new(options);
    player.play(script);
    player.close()
}

/// Cuts the `index`th call in two at `at`.
pub fn cut<'a>(script: &Script<'a>, index: usize, at: usize) -> Vec<(Direction, &'a [u8])> {
    let mut out = script.to_vec();
    let (direction, bytes) = out[index];
    out.splice(index..=index, [(direction, &bytes[..at]), (direction, &bytes[at..])]);
    out
}

/// Every call cut at every byte, and every call cut into single bytes, gives the same requests as uncut.
pub fn assert_same_at_every_cut(script: &Script<'_>, options: &Options) {
    let expected = play(script, options).lines();
    assert!(!expected.is_empty(), "the script has no request");
    for (index, (direction, bytes)) in script.iter().enumerate() {
        for at in 1..bytes.len() {
            let got = play(&cut(script, index, at), options);
            assert_eq!(got.lines(), expected, "call {index} ({direction:?}) cut at {at}");
            assert_eq!(got.orphans, 0, "orphans: call {index} cut at {at}");
        }
    }
    let bytes: Vec<_> =
        script.iter().flat_map(|(direction, bytes)| bytes.chunks(1).map(|byte| (*direction, byte))).collect();
    assert_eq!(play(&bytes, options).lines(), expected, "byte by byte");
}

/// Every prefix of the conversation, in one direction or both, with nothing behind it: it must only not panic, and
/// never give more requests than the whole.
pub fn assert_prefixes_are_harmless(script: &Script<'_>, options: &Options) {
    let whole = play(script, options).requests.len();
    for (index, (direction, bytes)) in script.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut prefix = script[..index].to_vec();
            prefix.push((*direction, &bytes[..at]));
            let got = play(&prefix, options).requests.len();
            assert!(got <= whole, "call {index} ({direction:?}) up to {at}: {got} requests, not {whole}");
        }
    }
}

/// Loses each range of `length` bytes once, everywhere: what is found must be among the requests of the whole
/// conversation, apart from the fields that a gap may leave open.
pub fn assert_gaps_invent_nothing(script: &Script<'_>, length: usize, options: &Options) {
    let whole = play(script, options);
    for (index, (_, bytes)) in script.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut player = Player::new(options);
            player.play(&script[..index]);
            let (direction, bytes) = script[index];
            let end = (at + length).min(bytes.len());
            player.say(direction, &bytes[..at]);
            player.lose(direction, (end - at) as u64);
            let offset = player.offsets[direction as usize];
            player.connection.data_inside_call(direction, offset, player.now_ns, &bytes[end..], &mut player.sink);
            player.offsets[direction as usize] += (bytes.len() - end) as u64;
            player.play(&script[index + 1..]);
            let got = player.close();
            for request in &got.requests {
                assert!(
                    is_part_of(request, &whole.requests),
                    "call {index} without {at}..{end}: invented {} among {:?}",
                    line(request),
                    got.lines()
                );
            }
            assert!(got.requests.len() <= whole.requests.len(), "call {index} without {at}..{end}: too many");
        }
    }
}

/// What an operation is called whose name was lost: a command's word, a statement prepared earlier.
const UNKNOWN: [&str; 2] = ["_OTHER", "EXECUTE"];

fn is_part_of(request: &Request, whole: &[Request]) -> bool {
    whole.iter().any(|known| {
        known.request_offset == request.request_offset
            && (known.operation == request.operation || UNKNOWN.contains(&request.operation.as_str()))
            && (request.code.is_none() || request.code == known.code)
    })
}

/// A small generator of pseudo-random numbers: tests must give the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// The conversation in random pieces that overlap, repeat and come out of order inside of each direction's call.
pub fn play_shuffled(script: &Script<'_>, seed: u64, options: &Options) -> Collected {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut player = Player::new(options);
    for (direction, bytes) in script {
        let mut pieces = random_pieces(bytes.len(), &mut random);
        for at in (1..pieces.len()).rev() {
            pieces.swap(at, random.below(at + 1));
        }
        let offset = player.offsets[*direction as usize];
        player.now_ns += STEP_NS;
        for (start, end) in pieces {
            player.now_ns += 1;
            let piece = &bytes[start..end];
            player.connection.data(*direction, offset + start as u64, player.now_ns, piece, &mut player.sink);
        }
        player.offsets[*direction as usize] += bytes.len() as u64;
    }
    player.close()
}

fn random_pieces(length: usize, random: &mut Random) -> Vec<(usize, usize)> {
    let (mut at, mut pieces) = (0, Vec::new());
    while at < length && pieces.len() < 30 {
        let end = (at + 1 + random.below(length)).min(length);
        pieces.push((at.saturating_sub(random.below(4)), end));
        at = end;
    }
    if at < length {
        pieces.push((at, length));
    }
    if random.below(3) == 0 && !pieces.is_empty() {
        pieces.push(pieces[random.below(pieces.len())]);
    }
    pieces
}
