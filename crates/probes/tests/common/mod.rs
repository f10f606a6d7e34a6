//! An independent look at the code: what objdump prints, walked along all ways.
#![allow(dead_code, clippy::unwrap_used)]

use limpid_probes::{Exit, Function, Inspection, Site};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;

pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

struct Line {
    function: String,
    mnemonic: String,
    operands: String,
    next: u64,
}

pub struct Listing {
    lines: BTreeMap<u64, Line>,
    functions: BTreeMap<String, u64>,
    /// Address, offset and size of what is loaded.
    segments: Vec<(u64, u64, u64)>,
}

const SIXTEEN: u32 = 16;

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), SIXTEEN).ok()
}

impl Listing {
    pub fn of(file: &Path) -> Listing {
        let text = run(Command::new("objdump").args(["-d", "--no-show-raw-insn", "-w"]).arg(file));
        let mut listing = Listing { lines: BTreeMap::new(), functions: BTreeMap::new(), segments: segments(file) };
        let mut function = String::new();
        for line in text.lines() {
            if let Some((address, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
                function = name.split('@').next().unwrap_or(name).to_owned();
                listing.functions.insert(function.clone(), hex(address).unwrap());
            } else if let Some((address, code)) = line.trim_start().split_once(":\t") {
                let Some(address) = hex(address) else { continue };
                let code =
                    code.trim().trim_start_matches("bnd ").trim_start_matches("rep ").trim_start_matches("repz ");
                let (mnemonic, operands) = code.split_once(' ').unwrap_or((code, ""));
                let line = Line {
                    function: function.clone(),
                    mnemonic: mnemonic.to_owned(),
                    operands: operands.trim().to_owned(),
                    next: 0,
                };
                listing.lines.insert(address, line);
            }
        }
        let addresses: Vec<u64> = listing.lines.keys().copied().collect();
        for pair in addresses.windows(2) {
            listing.lines.get_mut(&pair[0]).unwrap().next = pair[1];
        }
        listing
    }

    pub fn address(&self, site: &Site) -> u64 {
        let place = |(address, offset, size): &(u64, u64, u64)| {
            site.file_offset.checked_sub(*offset).filter(|within| within < size).map(|within| address + within)
        };
        self.segments.iter().find_map(place).expect("a place that is loaded")
    }

    fn is_emulated(&self, address: u64) -> bool {
        let mnemonic = &self.lines[&address].mnemonic;
        let jump =
            mnemonic.starts_with('j') && !mnemonic.ends_with("cxz") && !self.lines[&address].operands.contains('*');
        jump || mnemonic == "push"
            || mnemonic == "nop"
            || mnemonic == "xchg"
            || mnemonic == "call" && !self.lines[&address].operands.contains('*')
    }

    /// The sites of a function, tried on all ways through it.
    pub fn check(&self, function: &Function, arguments: &[&str], results: &[&str]) {
        let start = self.functions[&function.symbol];
        let entry = self.address(&function.entry);
        assert_eq!(function.entry.emulated, self.is_emulated(entry), "{function:?}");
        self.walk(start, &[entry], &Watch { before: arguments, behind: &[], calls_before: false, function });
        let Exit::Sites(sites) = &function.exit else { return };
        let sites: Vec<u64> = sites.iter().map(|site| self.address(site)).collect();
        let ways_in = if function.exit_shared && self.lines[&entry].mnemonic == "call" {
            // The exit of a thin wrapper is that of what it calls.
            target(&self.lines[&entry].operands).expect("a direct call")
        } else {
            start
        };
        self.walk(ways_in, &sites, &Watch { before: &[], behind: results, calls_before: true, function });
    }

    /// Goes all ways, and remembers at each place whether a site was passed: each return must have passed exactly one.
    fn walk(&self, start: u64, sites: &[u64], watch: &Watch) {
        let (mut open, mut seen, mut returns) = (vec![(start, false)], HashSet::new(), 0);
        while let Some((at, passed)) = open.pop() {
            if !seen.insert((at, passed)) {
                continue;
            }
            let line = &self.lines[&at];
            let here = sites.contains(&at);
            assert!(!(here && passed), "{at:x} is passed after another site: {:?}", watch.function);
            let written = if passed { watch.behind } else { watch.before };
            // An entry site that is no such instruction is the entry itself.
            if !here || !self.is_emulated(at) && at != start {
                let writes = written.iter().any(|register| line.writes(register));
                assert!(!writes, "{at:x} {} {}: {:?}", line.mnemonic, line.operands, watch.function);
            }
            let passed = passed || here;
            let open_before = open.len();
            match line.mnemonic.as_str() {
                "ret" => {
                    returns += 1;
                    assert!(passed, "the return at {at:x} passes no site: {:?}", watch.function);
                }
                "ud2" | "hlt" | "int3" => {}
                "jmp" => match target(&line.operands) {
                    Some(to) if self.lines.contains_key(&to) && !self.lines[&to].function.contains("@plt") => {
                        open.push((to, passed))
                    }
                    _ => {
                        returns += 1;
                        assert!(passed, "the jump at {at:x} passes no site: {:?}", watch.function);
                    }
                },
                "call" if self.never_returns(line) => {}
                mnemonic => {
                    assert!(
                        mnemonic != "call"
                            || passed && watch.behind.is_empty()
                            || !passed && (watch.calls_before || here),
                        "{at:x}: a call between: {:?}",
                        watch.function
                    );
                    open.push((line.next, passed));
                    if mnemonic.starts_with('j') {
                        open.push((target(&line.operands).unwrap(), passed));
                    }
                }
            }
            debug_assert!(open.len() <= open_before + 2);
        }
        assert!(returns > 0, "no return: {:?}", watch.function);
    }

    /// Go's `morestack` does, to the beginning: to a new call.
    fn never_returns(&self, line: &Line) -> bool {
        let named = ["__stack_chk_fail", "abort", "panic", "morestack"].iter().any(|name| line.operands.contains(name));
        named || self.lines.get(&line.next).is_none_or(|next| next.function != line.function)
    }
}

struct Watch<'a> {
    before: &'a [&'a str],
    behind: &'a [&'a str],
    calls_before: bool,
    function: &'a Function,
}

fn target(operands: &str) -> Option<u64> {
    hex(operands.split(' ').next()?)
}

impl Line {
    /// By any of its names; the last operand is what is written.
    fn writes(&self, register: &str) -> bool {
        let reads = ["cmp", "test", "push", "j", "nop", "ret", "bt"].iter().any(|name| self.mnemonic.starts_with(name));
        let names: [String; 4] = match register {
            "ax" | "bx" | "cx" | "dx" => [
                format!("%r{register}"),
                format!("%e{register}"),
                format!("%{register}"),
                format!("%{}l", &register[..1]),
            ],
            "si" | "di" => {
                [format!("%r{register}"), format!("%e{register}"), format!("%{register}"), format!("%{register}l")]
            }
            other => [format!("%{other}"), format!("%{other}d"), format!("%{other}w"), format!("%{other}b")],
        };
        let last = self.operands.rsplit(',').next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
        !reads && names.iter().any(|name| name == last)
    }
}

fn segments(file: &Path) -> Vec<(u64, u64, u64)> {
    let text = run(Command::new("readelf").arg("-lW").arg(file));
    let load = |line: &str| {
        let mut words = line.trim().strip_prefix("LOAD")?.split_whitespace();
        let (offset, address) = (hex(words.next()?)?, hex(words.next()?)?);
        Some((address, offset, hex(words.nth(1)?)?))
    };
    text.lines().filter_map(load).collect()
}

pub fn function<'a>(inspection: &'a Inspection, symbol: &str) -> &'a Function {
    inspection
        .functions
        .iter()
        .find(|function| function.symbol == symbol)
        .unwrap_or_else(|| panic!("no {symbol}: {inspection:?}"))
}

pub const C_ARGUMENTS: [&str; 4] = ["di", "si", "dx", "cx"];
