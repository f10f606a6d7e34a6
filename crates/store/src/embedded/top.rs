//! The best rows of many batches: a heap of the wanted size, so that memory depends on the answer and not on the data.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A row, by the number of its source and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub key: u64,
    pub source: u32,
    pub row: u32,
}

pub struct Top {
    limit: usize,
    heap: BinaryHeap<Reverse<Place>>,
}

impl Top {
    pub fn new(limit: usize) -> Self {
        Top { limit, heap: BinaryHeap::with_capacity(limit.min(4096) + 1) }
    }

    pub fn push(&mut self, place: Place) {
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(place));
        } else if self.heap.peek().is_some_and(|worst| place > worst.0) {
            self.heap.pop();
            self.heap.push(Reverse(place));
        }
    }

    /// Can a row with this key still get in?
    pub fn wants(&self, key: u64) -> bool {
        self.limit > 0 && (self.heap.len() < self.limit || self.heap.peek().is_some_and(|worst| key >= worst.0.key))
    }

    /// Best first.
    pub fn into_sorted(self) -> Vec<Place> {
        let mut places: Vec<Place> = self.heap.into_iter().map(|place| place.0).collect();
        places.sort_unstable_by(|left, right| right.cmp(left));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_largest_in_order() {
        let mut top = Top::new(3);
        for key in [5, 1, 9, 7, 3, 8] {
            assert!(key == 1 || key == 3 || top.wants(key) || key < 7);
            top.push(Place { key, source: 0, row: key as u32 });
        }
        assert!(!top.wants(6) && top.wants(7));
        assert_eq!(top.into_sorted().iter().map(|place| place.key).collect::<Vec<_>>(), [9, 8, 7]);
        assert!(!Top::new(0).wants(u64::MAX));
    }
}
