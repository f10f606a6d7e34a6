//! The ways through a function: its instructions, and which may follow which.

use crate::code::{Flow, Step};
use crate::elf::{Elf, Machine};
use crate::extents::{Extents, MAX_FUNCTION_BYTES};
use crate::{arm64, x86};
use std::collections::HashMap;
use std::ops::Range;

const MAX_STEPS: usize = 32_768;
/// Of one function: itself, what was split off from it, and those that it ends in by a jump.
const MAX_PIECES: usize = 12;

/// How a way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Return,
    /// A jump to another function that is not followed.
    Tail(u64),
    /// A jump to a place that is not known.
    Unknown,
}

#[derive(Default)]
pub struct Graph {
    /// The entry is the first.
    pub steps: Vec<Step>,
    pub next: Vec<Vec<usize>>,
    pub ends: Vec<(usize, End)>,
}

struct Piece {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Piece {
    fn at(&self, address: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(address.checked_sub(self.range.start)?).ok()?..).filter(|rest| !rest.is_empty())
    }
}

pub struct Program<'a> {
    pub elf: &'a Elf<'a>,
    pub extents: Extents,
}

impl Program<'_> {
    pub fn decode(&self, bytes: &[u8], address: u64) -> Option<Step> {
        match self.elf.machine {
            Machine::X86_64 => x86::decode(bytes, address),
            Machine::Arm64 => arm64::decode(bytes, address),
        }
    }

    pub fn text(&self, step: &Step) -> String {
        let bytes = self.elf.read_address(step.address, u64::from(step.length)).unwrap_or_default();
        match self.elf.machine {
            Machine::X86_64 => x86::text(&bytes, step.address),
            Machine::Arm64 => arm64::text(&bytes, step.address),
        }
    }

    /// The function that begins at `entry` and is `size` long. With `follow`, what it jumps to belongs to it.
    pub fn graph(&self, entry: u64, size: u64, follow: bool) -> Option<Graph> {
        let range = match size {
            0 => self.extents.around(self.elf, entry)?,
            size => entry..entry.checked_add(size.min(MAX_FUNCTION_BYTES))?,
        };
        let mut builder =
            Builder { program: self, follow, pieces: Vec::new(), graph: Graph::default(), index: HashMap::new() };
        builder.load(range)?;
        builder.build(entry)?;
        Some(builder.graph)
    }
}

struct Builder<'a> {
    program: &'a Program<'a>,
    follow: bool,
    pieces: Vec<Piece>,
    graph: Graph,
    index: HashMap<u64, usize>,
}

impl Builder<'_> {
    fn load(&mut self, range: Range<u64>) -> Option<usize> {
        let loaded: u64 = self.pieces.iter().map(|piece| piece.range.end - piece.range.start).sum();
        let size = range.end.checked_sub(range.start)?;
        let fits = self.pieces.len() < MAX_PIECES && loaded + size <= MAX_FUNCTION_BYTES;
        if !fits || !self.program.elf.executable(range.start) {
            return None;
        }
        let bytes = self.program.elf.read_address(range.start, size)?;
        self.pieces.push(Piece { range, bytes });
        Some(self.pieces.len() - 1)
    }

    /// The piece in which `address` lies, which is added if need be.
    fn piece(&mut self, address: u64) -> Option<usize> {
        let known = self.pieces.iter().position(|piece| piece.range.contains(&address));
        if known.is_some() || !self.follow {
            return known;
        }
        let range = self.program.extents.around(self.program.elf, address)?;
        self.load(range)
    }

    /// All that can be reached. None when an instruction is not understood: then nothing is known of the ways.
    fn build(&mut self, entry: u64) -> Option<()> {
        let (mut open, mut leads) = (vec![entry], Vec::new());
        while let Some(address) = open.pop() {
            if self.index.contains_key(&address) {
                continue;
            }
            if self.graph.steps.len() >= MAX_STEPS {
                return None;
            }
            let piece = self.pieces.iter().position(|piece| piece.range.contains(&address))?;
            let step = self.program.decode(self.pieces.get(piece)?.at(address)?, address)?;
            self.index.insert(address, self.graph.steps.len());
            self.graph.steps.push(step);
            let next = self.successors(step, piece);
            open.extend(&next);
            leads.push(next);
        }
        let indices = |next: Vec<u64>| next.iter().filter_map(|address| self.index.get(address).copied()).collect();
        self.graph.next = leads.into_iter().map(indices).collect();
        Some(())
    }

    /// Where a step leads within the pieces; how the way ends, if it does, is noted.
    fn successors(&mut self, step: Step, piece: usize) -> Vec<u64> {
        let (through, target) = match step.flow {
            Flow::Next | Flow::Call(_) => (true, None),
            Flow::Jump(target) => (false, Some(target)),
            Flow::Branch(target) => (true, Some(target)),
            Flow::Return => (self.end(End::Return), None),
            Flow::Indirect => (self.end(End::Unknown), None),
            Flow::Stop => (false, None),
        };
        // What follows the last instruction of a piece is not its own: a call there does not return.
        let own = |address: &u64| self.pieces.get(piece).is_some_and(|piece| piece.range.contains(address));
        let mut next: Vec<u64> = Some(step.end()).filter(|end| through && own(end)).into_iter().collect();
        if let Some(target) = target {
            if self.piece(target).is_some() {
                next.push(target);
            } else {
                self.end(End::Tail(target));
            }
        }
        // A jump to the very next place is one way, not two.
        next.dedup();
        next
    }

    /// Notes how the way ends at the last step; it goes on nowhere.
    fn end(&mut self, end: End) -> bool {
        self.graph.ends.push((self.graph.steps.len() - 1, end));
        false
    }
}
