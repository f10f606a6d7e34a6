//! One function: where it is watched when it is entered, and where when it returns.

use crate::code::{Flow, Registers, Step};
use crate::elf::Machine;
use crate::extents::MAX_FUNCTION_BYTES;
use crate::graph::{End, Graph, Program};
use crate::symbols::Symbol;
use crate::{Exit, Function, Reason, Role, Site, arm64, sites, x86};

/// Which registers hold what, and what may be done at a return.
#[derive(Clone, Copy)]
pub struct Convention {
    /// Must still be as the caller set them where the entry is watched.
    pub arguments: Registers,
    /// Must be as the caller will find them where the return is watched.
    pub result: Registers,
    pub stack: Registers,
    /// A return probe changes the return address on the stack, which Go's runtime reads and moves.
    pub return_probe: bool,
}

impl Convention {
    /// Of a C function with that many arguments.
    pub fn c(machine: Machine, arguments: usize) -> Convention {
        let (registers, result, stack) = match machine {
            Machine::X86_64 => (x86::C_ARGUMENTS, x86::RAX, x86::RSP),
            Machine::Arm64 => (arm64::C_ARGUMENTS, 1, arm64::LINK_AND_STACK),
        };
        let arguments = registers.iter().take(arguments).fold(0, |set, register| set | register);
        Convention { arguments, result, stack, return_probe: true }
    }
}

impl Convention {
    /// Of a function that returns two words.
    pub fn with_second_result(self, machine: Machine) -> Convention {
        let second = match machine {
            Machine::X86_64 => x86::RDX,
            Machine::Arm64 => 1 << 1,
        };
        Convention { result: self.result | second, ..self }
    }

    /// Of a Go function since registers hold its arguments; the goroutine's register is of use too.
    pub fn go(machine: Machine) -> Convention {
        match machine {
            Machine::X86_64 => Convention {
                arguments: x86::RAX | x86::RBX | x86::RCX | x86::RDI | x86::R14,
                result: x86::RAX | x86::RBX | x86::RCX,
                stack: x86::RSP,
                return_probe: false,
            },
            Machine::Arm64 => Convention {
                arguments: 0b1111 | 1 << 28,
                result: 0b111,
                stack: arm64::LINK_AND_STACK,
                return_probe: false,
            },
        }
    }
}

pub fn site(program: &Program, step: &Step) -> Option<Site> {
    let (file_offset, _) = program.elf.place(step.address)?;
    Some(Site { file_offset, emulated: step.emulated, instruction: program.text(step) })
}

/// Where `symbol` is watched.
pub fn locate(program: &Program, role: Role, symbol: &Symbol, convention: Convention) -> Result<Function, Reason> {
    if symbol.size > MAX_FUNCTION_BYTES {
        return Err(Reason::TooLarge);
    }
    let graph = program.graph(symbol.address, symbol.size, true);
    let entry = match &graph {
        Some(graph) => {
            let chosen = sites::entry(graph, convention.arguments).and_then(|at| graph.steps.get(at));
            chosen.or(graph.steps.first()).copied()
        }
        // Where its ways are not known, its first instruction still is.
        None => first_step(program, symbol.address),
    };
    let entry = entry.and_then(|step| site(program, &step)).ok_or(Reason::Undecodable)?;
    let (exit, exit_shared) = match &graph {
        _ if !role.watched_at_exit() => (None, false),
        Some(graph) => exit(program, graph, symbol, convention),
        None => (return_probe(program, None, symbol.address, convention), false),
    };
    Ok(Function { role, symbol: symbol.name.clone(), entry, exit: exit.unwrap_or(Exit::None), exit_shared })
}

fn first_step(program: &Program, address: u64) -> Option<Step> {
    let (_, left) = program.elf.place(address)?;
    program.decode(&program.elf.read_address(address, left.min(16))?, address)
}

fn exit(program: &Program, graph: &Graph, symbol: &Symbol, convention: Convention) -> (Option<Exit>, bool) {
    if let Some(chosen) = sites::exits(graph, convention.result) {
        return (listed(program, graph, &chosen), strays(graph, symbol, &chosen));
    }
    if convention.return_probe
        && let Some(exit) = callee(program, symbol, convention)
    {
        return (Some(exit), true);
    }
    let probe = return_probe(program, Some(graph), symbol.address, convention);
    if let Some(Exit::ReturnProbe(Site { emulated: true, .. })) = probe {
        return (probe, false);
    }
    match returns(graph) {
        Some(returns) => (listed(program, graph, &returns), strays(graph, symbol, &returns)),
        None => (probe, false),
    }
}

/// Whether some site lies in another function, which others call too.
fn strays(graph: &Graph, symbol: &Symbol, chosen: &[usize]) -> bool {
    let own = symbol.address..symbol.address.saturating_add(symbol.size);
    symbol.size > 0 && chosen.iter().filter_map(|at| graph.steps.get(*at)).any(|step| !own.contains(&step.address))
}

fn listed(program: &Program, graph: &Graph, chosen: &[usize]) -> Option<Exit> {
    let mut steps: Vec<&Step> = chosen.iter().filter_map(|at| graph.steps.get(*at)).collect();
    steps.sort_by_key(|step| step.address);
    steps.into_iter().map(|step| site(program, step)).collect::<Option<Vec<_>>>().map(Exit::Sites)
}

/// The return instructions, if the function is left by nothing else.
fn returns(graph: &Graph) -> Option<Vec<usize>> {
    let only_returns = !graph.ends.is_empty() && graph.ends.iter().all(|(_, end)| *end == End::Return);
    only_returns.then(|| graph.ends.iter().map(|(at, _)| *at).collect())
}

/// A return probe may sit behind the first instruction, as long as the return address is where the stack pointer points.
fn return_probe(program: &Program, graph: Option<&Graph>, entry: u64, convention: Convention) -> Option<Exit> {
    if !convention.return_probe {
        return None;
    }
    let chosen = graph.and_then(|graph| graph.steps.get(sites::entry(graph, convention.stack)?)).copied();
    let step = chosen.or_else(|| first_step(program, entry))?;
    site(program, &step).map(Exit::ReturnProbe)
}

/// For a function that hands all its arguments to one other and returns what that said, but for making negative results
/// zero: where the other one returns, if that is cheap.
fn callee(program: &Program, symbol: &Symbol, convention: Convention) -> Option<Exit> {
    if program.elf.machine != Machine::X86_64 {
        return None;
    }
    let graph = program.graph(symbol.address, symbol.size, false)?;
    let call = *graph.steps.get(sites::entry(&graph, convention.arguments)?)?;
    let Flow::Call(Some(target)) = call.flow else { return None };
    let rest = symbol.address.checked_add(symbol.size)?.checked_sub(call.end())?;
    if graph.steps.iter().filter(|step| step.is_call()).count() != 1
        || !x86::keeps_positive(&program.elf.read_address(call.end(), rest)?, call.end())
    {
        return None;
    }
    let graph = program.graph(target, 0, true)?;
    if let Some(chosen) = sites::exits(&graph, convention.result) {
        return listed(program, &graph, &chosen);
    }
    return_probe(program, Some(&graph), target, convention)
        .filter(|exit| matches!(exit, Exit::ReturnProbe(Site { emulated: true, .. })))
}
