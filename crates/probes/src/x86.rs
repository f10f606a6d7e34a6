//! Instructions of x86-64: which the kernel emulates, what they write, where they go.

use crate::code::{Flow, Registers, Step};
use iced_x86::{
    Code, Decoder, DecoderOptions, FastFormatter, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    Register,
};

/// The registers' numbers are those of the encoding.
const fn bit(number: u32) -> Registers {
    1 << number
}

pub const RAX: Registers = bit(0);
pub const RCX: Registers = bit(1);
pub const RDX: Registers = bit(2);
pub const RBX: Registers = bit(3);
pub const RSP: Registers = bit(4);
pub const RSI: Registers = bit(6);
pub const RDI: Registers = bit(7);
pub const R8: Registers = bit(8);
pub const R9: Registers = bit(9);
pub const R14: Registers = bit(14);

/// Of C functions, in the order of the arguments.
pub const C_ARGUMENTS: [Registers; 6] = [RDI, RSI, RDX, RCX, R8, R9];

/// Those of `arch/x86/kernel/uprobes.c` (`branch_xol_ops`, `push_xol_ops`) that every kernel since 5.8 emulates. Longer
/// `nop`s are emulated since 6.16 only and are not counted; nor is anything with a prefix, which some kernels refuse.
fn emulated(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x90]
            | [0x66, 0x90]
            | [0x50..=0x57]
            | [0x41, 0x50..=0x57]
            | [0xeb | 0x70..=0x7f, _]
            | [0xe9 | 0xe8, _, _, _, _]
            | [0x0f, 0x80..=0x8f, _, _, _, _]
    )
}

fn flow(instruction: &Instruction) -> Flow {
    let target = instruction.near_branch_target();
    match instruction.flow_control() {
        FlowControl::Next | FlowControl::XbeginXabortXend => Flow::Next,
        FlowControl::UnconditionalBranch => Flow::Jump(target),
        FlowControl::ConditionalBranch => Flow::Branch(target),
        FlowControl::Call if instruction.is_call_near() => Flow::Call(Some(target)),
        // A system call among them: it changes registers as a call does.
        FlowControl::Call | FlowControl::IndirectCall => Flow::Call(None),
        FlowControl::Return => Flow::Return,
        FlowControl::IndirectBranch => Flow::Indirect,
        FlowControl::Interrupt | FlowControl::Exception => Flow::Stop,
    }
}

fn number(register: Register) -> Option<u32> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number() as u32)
}

fn writes(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Registers {
    let written = |access| {
        matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
    };
    let used = factory.info(instruction).used_registers();
    used.iter()
        .filter(|used| written(used.access()))
        .filter_map(|used| number(used.register()))
        .fold(0, |set, number| set | bit(number))
}

pub fn decode(bytes: &[u8], address: u64) -> Option<Step> {
    let instruction = instruction(bytes, address)?;
    let length = instruction.len();
    Some(Step {
        address,
        length: length as u8,
        flow: flow(&instruction),
        emulated: emulated(bytes.get(..length)?),
        writes: writes(&instruction, &mut InstructionInfoFactory::new()),
    })
}

fn instruction(bytes: &[u8], address: u64) -> Option<Instruction> {
    let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

pub fn text(bytes: &[u8], address: u64) -> String {
    let mut text = String::new();
    if let Some(instruction) = instruction(bytes, address) {
        FastFormatter::new().format(&instruction, &mut text);
    }
    text
}

/// Whether what follows a call leaves its result as it is, but for making negative ones zero: `test eax, eax` and `cmovs
/// eax, edx` with a zero in `edx`. A result is then positive exactly if the callee's was.
pub fn keeps_positive(bytes: &[u8], address: u64) -> bool {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let mut factory = InstructionInfoFactory::new();
    let mut zeroed: Registers = 0;
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let written = writes(&instruction, &mut factory);
        if instruction.code() == Code::Retnq {
            return true;
        }
        if written & RAX != 0 && !clamps(&instruction, zeroed) {
            return false;
        }
        let clears = instruction.mnemonic() == Mnemonic::Xor
            && instruction.op1_kind() == iced_x86::OpKind::Register
            && instruction.op0_register() == instruction.op1_register();
        zeroed = if clears { zeroed | written } else { zeroed & !written };
    }
    false
}

fn clamps(instruction: &Instruction, zeroed: Registers) -> bool {
    instruction.mnemonic() == Mnemonic::Cmovs
        && instruction.op0_register().full_register() == Register::RAX
        && number(instruction.op1_register()).is_some_and(|number| zeroed & bit(number) != 0)
}
