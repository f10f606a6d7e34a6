//! Where a line ends.

/// Longer lines are searched by `memchr`, which is made for long texts.
const SHORT_BYTES: usize = 64;

/// Position of the first line feed. Most lines are short: for those eight bytes at a time, without a call, is fastest.
#[inline]
pub(crate) fn line_feed(data: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let short = data.get(..SHORT_BYTES).unwrap_or(data);
    let (chunks, rest) = short.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let zero_where_found = u64::from_le_bytes(*chunk) ^ (ONES * b'\n' as u64);
        let found = zero_where_found.wrapping_sub(ONES) & !zero_where_found & (ONES * 0x80);
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    match data.get(SHORT_BYTES..) {
        Some(behind) => memchr::memchr(b'\n', behind).map(|at| SHORT_BYTES + at),
        None => rest.iter().position(|byte| *byte == b'\n').map(|at| chunks.len() * 8 + at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_wherever_it_is() {
        for length in 0..200 {
            let mut data = vec![b'x'; length];
            assert_eq!(line_feed(&data), None, "{length}");
            for at in (0..length).rev() {
                data[at] = b'\n';
                assert_eq!(line_feed(&data), Some(at), "{at} of {length}");
            }
        }
    }
}
