//! The Huffman code of HPACK (RFC 7541, appendix B). It is canonical: codes of one length follow each other in the order
//! of their symbols, so that the lengths alone say everything.

use std::sync::OnceLock;

/// The end-of-string symbol, which only pads.
const END: u16 = 256;
const LONGEST: usize = 30;

/// Bits of each symbol's code; the last one is that of `END`.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

struct Code {
    /// By length: the first code that is longer, moved to the front of 32 bits.
    ends: [u64; LONGEST + 1],
    /// By length: its first code, and where its symbols begin.
    firsts: [(u32, u16); LONGEST + 1],
    symbols: [u16; 257],
}

impl Code {
    fn new() -> Code {
        let mut code = Code { ends: [0; LONGEST + 1], firsts: [(0, 0); LONGEST + 1], symbols: [0; 257] };
        let (mut next, mut count) = (0u32, 0u16);
        for length in 1..=LONGEST {
            next <<= 1;
            code.firsts[length] = (next, count);
            for symbol in (0..=END).filter(|symbol| usize::from(LENGTHS[usize::from(*symbol)]) == length) {
                code.symbols[usize::from(count)] = symbol;
                (next, count) = (next + 1, count + 1);
            }
            code.ends[length] = u64::from(next) << (32 - length);
        }
        code
    }

    /// The symbol in front of these 32 bits, and its length.
    fn symbol(&self, bits: u32) -> Option<(u16, usize)> {
        let length = (5..=LONGEST).find(|length| u64::from(bits) < self.ends[*length])?;
        let (first, start) = self.firsts[length];
        let place = usize::from(start) + (bits >> (32 - length)).checked_sub(first)? as usize;
        Some((*self.symbols.get(place)?, length))
    }
}

/// Appends what `data` stands for. `None`: it is damaged (section 5.2: the padding is shorter than a byte, and all ones).
pub fn decode(data: &[u8], out: &mut Vec<u8>) -> Option<()> {
    static CODE: OnceLock<Code> = OnceLock::new();
    let code = CODE.get_or_init(Code::new);
    let (mut bits, mut have) = (0u64, 0usize);
    let mut bytes = data.iter();
    loop {
        while have <= 32
            && let Some(byte) = bytes.next()
        {
            bits = bits << 8 | u64::from(*byte);
            have += 8;
        }
        if have == 0 {
            return Some(());
        }
        // Behind the end come ones, as the padding has them.
        let front =
            if have >= 32 { (bits >> (have - 32)) as u32 } else { (bits << (32 - have)) as u32 | u32::MAX >> have };
        match code.symbol(front) {
            Some((symbol, length)) if length <= have && symbol != END => {
                out.push(symbol as u8);
                have -= length;
                bits &= (1 << have) - 1;
            }
            _ if have < 8 && bits == (1 << have) - 1 => return Some(()),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(hex: &str) -> Option<String> {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let mut out = Vec::new();
        decode(&bytes, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7541, appendix C.4 and C.6.
        for (hex, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
            ("", ""),
        ] {
            assert_eq!(decoded(hex).as_deref(), Some(text), "{hex}");
        }
    }

    #[test]
    fn damage_is_told() {
        // The end-of-string symbol, padding of a whole byte, and padding of zeros.
        for hex in ["ffffffff", "a8eb10649cbfff", "a8eb10649cbe"] {
            assert_eq!(decoded(hex), None, "{hex}");
        }
    }
}
