//! Whether somebody speaks DNS.

use super::message::{HEADER_BYTES, Message, Opcode};
use crate::Detection;
use limpid_model::Direction;

/// What a stream must show before it is said not to be DNS: the longest question.
const ENOUGH_BYTES: usize = HEADER_BYTES + 260;

/// Of a message alone: one question that can be read whole, in a class that exists, is proof.
pub fn detect(direction: Direction, bytes: &[u8]) -> Detection {
    let Some(message) = Message::read(bytes) else { return Detection::No };
    let asks = direction == Direction::ToServer;
    if message.is_answer() == asks || !message.is_plausible(u64::from(u16::MAX)) {
        return Detection::No;
    }
    match message.question() {
        Some(question) if message.questions() == 1 && message.has_known_class(&question) => {
            let known = !matches!(message.opcode(), Opcode::Other(_));
            if known && !(asks && message.rcode() != 0) { Detection::Yes } else { Detection::Maybe }
        }
        _ => Detection::Maybe,
    }
}

pub fn detect_in_stream(direction: Direction, data: &[u8]) -> Detection {
    let Some((length, message)) = data.split_first_chunk() else { return Detection::More };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < HEADER_BYTES + 5 {
        return Detection::No;
    }
    if message.len() < HEADER_BYTES {
        return Detection::More;
    }
    let shown = message.get(..length).unwrap_or(message);
    match detect(direction, shown) {
        Detection::Maybe if shown.len() < length.min(ENOUGH_BYTES) => Detection::More,
        Detection::Yes if Message::read(shown).is_some_and(|message| message.is_plausible(length as u64)) => {
            Detection::Yes
        }
        _ => Detection::No,
    }
}
