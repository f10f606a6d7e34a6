//! What CRYPTO frames carry, put in order: they come as they like, Chrome shuffles them on purpose.

/// A side's hellos are never longer.
const MAX_BYTES: usize = 32 * 1024;
const MAX_PIECES: usize = 128;

#[derive(Default)]
pub(super) struct Crypto {
    bytes: Vec<u8>,
    /// What of them has come: ranges in order that do not touch.
    pieces: Vec<(usize, usize)>,
    told: usize,
}

impl Crypto {
    pub fn put(&mut self, offset: u64, data: &[u8]) {
        let Some(start) = usize::try_from(offset).ok().filter(|start| start + data.len() <= MAX_BYTES) else { return };
        let mut end = start + data.len();
        if data.is_empty() || self.pieces.len() >= MAX_PIECES {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(data);
        let mut start = start;
        self.pieces.retain(|(from, to)| {
            let apart = *to < start || *from > end;
            if !apart {
                (start, end) = (start.min(*from), end.max(*to));
            }
            apart
        });
        let at = self.pieces.partition_point(|(from, _)| *from < start);
        self.pieces.insert(at, (start, end));
    }

    /// What has become contiguous since the last time.
    pub fn next(&mut self) -> &[u8] {
        let until = self.pieces.first().filter(|(from, _)| *from == 0).map_or(0, |(_, to)| *to);
        let from = self.told;
        self.told = from.max(until);
        self.bytes.get(from..until).unwrap_or_default()
    }
}
