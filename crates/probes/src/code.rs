//! What the analysis needs to know of one instruction, whatever the processor.

/// A set of general registers, one bit each.
pub type Registers = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Next,
    Jump(u64),
    Branch(u64),
    /// Without a target where it is computed.
    Call(Option<u64>),
    Return,
    /// A jump to a computed place: a table of cases or a call in tail position.
    Indirect,
    /// Nothing comes after it: a trap.
    Stop,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub address: u64,
    pub length: u8,
    pub flow: Flow,
    /// The kernel carries it out itself when a probe sits on it, instead of stepping over a copy of it with a trap.
    pub emulated: bool,
    pub writes: Registers,
}

impl Step {
    pub fn end(&self) -> u64 {
        self.address.wrapping_add(u64::from(self.length))
    }

    pub fn is_call(&self) -> bool {
        matches!(self.flow, Flow::Call(_))
    }
}
