//! Instructions of arm64: four bytes each. Which the kernel simulates is in `arch/arm64/kernel/probes/decode-insn.c`:
//! jumps, calls and returns, `adr`, and loads relative to the instruction. So a return is always a cheap site.

use crate::code::{Flow, Registers, Step};

pub const LINK_AND_STACK: Registers = 1 << 31 | 1 << 30;

/// Of C functions: `x0` to `x7`.
pub const C_ARGUMENTS: [Registers; 6] = [1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5];

/// A signed number of `bits` bits from `from` on, times four.
fn offset(word: u32, from: u32, bits: u32) -> i64 {
    let shifted = i64::from(word >> from) << (64 - bits);
    (shifted >> (64 - bits)) * 4
}

fn flow(word: u32, address: u64) -> Flow {
    let to = |offset| address.wrapping_add_signed(offset);
    match word {
        _ if word & 0xfc00_0000 == 0x1400_0000 => Flow::Jump(to(offset(word, 0, 26))),
        _ if word & 0xfc00_0000 == 0x9400_0000 => Flow::Call(Some(to(offset(word, 0, 26)))),
        // b.cond, and cbz, cbnz.
        _ if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 => {
            Flow::Branch(to(offset(word, 5, 19)))
        }
        // tbz, tbnz.
        _ if word & 0x7e00_0000 == 0x3600_0000 => Flow::Branch(to(offset(word, 5, 14))),
        // ret, and retaa and retab, which check the address that they return to.
        _ if word & 0xffff_fc1f == 0xd65f_0000 || word & 0xffff_fbff == 0xd65f_0bff => Flow::Return,
        // blr and br, with and without such a check.
        _ if word & 0xfeff_f000 == 0xd63f_0000 => Flow::Call(None),
        _ if word & 0xfeff_f000 == 0xd61f_0000 => Flow::Indirect,
        // svc changes registers as a call does.
        _ if word & 0xffe0_001f == 0xd400_0001 => Flow::Call(None),
        // brk, udf.
        _ if word & 0xffe0_001f == 0xd420_0000 || word & 0xffff_0000 == 0 => Flow::Stop,
        _ => Flow::Next,
    }
}

fn simulated(word: u32) -> bool {
    match flow(word, 0) {
        Flow::Jump(_) | Flow::Branch(_) | Flow::Call(Some(_)) => true,
        Flow::Return => word & 0xffff_fc1f == 0xd65f_0000,
        // adr, adrp; ldr of a literal.
        _ => {
            word & 0x1f00_0000 == 0x1000_0000 || word & 0x3b00_0000 == 0x1800_0000 && word & 0xc000_0000 != 0xc000_0000
        }
    }
}

/// More rather than fewer: what is no store and no jump is taken to write its first operand.
fn writes(word: u32) -> Registers {
    let (first, base, second) = (1 << (word & 31), 1 << (word >> 5 & 31), 1 << (word >> 10 & 31));
    let memory = word & 0x0a00_0000 == 0x0800_0000;
    let pair = word & 0x3a00_0000 == 0x2800_0000;
    let vector = word & 1 << 26 != 0;
    match flow(word, 0) {
        Flow::Call(_) => LINK_AND_STACK & !(1 << 31),
        Flow::Next if memory => {
            let literal = word & 0x3b00_0000 == 0x1800_0000;
            let load = if pair { word & 1 << 22 != 0 } else { literal || word & 3 << 22 != 0 };
            let loaded = if load && !vector { first | if pair { second } else { 0 } } else { 0 };
            // Before and after: the address is written back.
            let back = if pair { word & 1 << 23 != 0 } else { word & 0x3b20_0400 == 0x3800_0400 };
            loaded
                | if back { base } else { 0 }
                | if word & 0x3f00_0000 == 0x0800_0000 { first | second | 1 << (word >> 16 & 31) } else { 0 }
        }
        // Hints: nop, bti, pac.
        Flow::Next if word & 0xffff_f01f == 0xd503_201f => 0,
        Flow::Next => first,
        _ => 0,
    }
}

pub fn decode(bytes: &[u8], address: u64) -> Option<Step> {
    let word = crate::elf::u32_at(bytes, 0)?;
    Some(Step { address, length: 4, flow: flow(word, address), emulated: simulated(word), writes: writes(word) })
}

pub fn text(bytes: &[u8], address: u64) -> String {
    let Some(word) = crate::elf::u32_at(bytes, 0) else { return String::new() };
    match flow(word, address) {
        Flow::Jump(target) => format!("b {target:x}"),
        Flow::Branch(target) => format!("conditional branch {target:x}"),
        Flow::Call(Some(target)) => format!("bl {target:x}"),
        Flow::Return => "ret".to_owned(),
        _ => format!("{word:08x}"),
    }
}
