//! Tries each way of attaching, one program at a time.

use libbpf_rs::{Link, Object, ObjectBuilder, PrintLevel};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/attach.bpf.o"));

/// One way to hang onto the kernel.
#[derive(Debug, Serialize)]
pub struct Hook {
    pub name: &'static str,
    pub kind: &'static str,
    pub used_for: &'static str,
    pub works: bool,
    pub reason: Option<String>,
}

enum Attach {
    /// As its section says.
    BySection,
    /// Onto a function of this very program.
    Own,
    /// Loading suffices: attaching would touch what others use.
    LoadOnly,
}

struct Attempt {
    name: &'static str,
    kind: &'static str,
    used_for: &'static str,
    program: &'static str,
    maps: &'static [&'static str],
    attach: Attach,
}

const fn tracing(name: &'static str, program: &'static str, used_for: &'static str) -> Attempt {
    Attempt { name, kind: "tp_btf", used_for, program, maps: &[], attach: Attach::BySection }
}

const ATTEMPTS: &[Attempt] = &[
    tracing("sock_send_length", "send_length", "bytes that are sent (since 6.3)"),
    tracing("sock_recv_length", "recv_length", "bytes that are received (since 6.3)"),
    tracing("sk_data_ready", "data_ready", "when requests arrive: network and queue told apart"),
    Attempt {
        maps: &["storage"],
        ..tracing("inet_sock_set_state", "socket_state", "connections, with socket storage")
    },
    Attempt {
        name: "ring buffer",
        kind: "raw_tp",
        used_for: "records to user space, 256 KiB",
        program: "process_exec",
        maps: &["ring"],
        attach: Attach::BySection,
    },
    Attempt {
        name: "raw tracepoint",
        kind: "raw_tp",
        used_for: "start and end of processes, and of connections without storage in sockets",
        program: "raw_tracepoint",
        maps: &[],
        attach: Attach::BySection,
    },
    Attempt {
        name: "sys_exit",
        kind: "raw_tp",
        used_for: "last fall-back of the socket collector: slows all system calls",
        program: "system_call",
        maps: &[],
        attach: Attach::BySection,
    },
    Attempt {
        name: "fentry",
        kind: "fentry",
        used_for: "first fall-back of the socket collector",
        program: "function_entry",
        maps: &[],
        attach: Attach::BySection,
    },
    Attempt {
        name: "kprobe",
        kind: "kprobe",
        used_for: "second fall-back of the socket collector",
        program: "kernel_probe",
        maps: &[],
        attach: Attach::BySection,
    },
    Attempt {
        name: "kretprobe",
        kind: "kprobe",
        used_for: "second fall-back of the socket collector",
        program: "kernel_return_probe",
        maps: &[],
        attach: Attach::BySection,
    },
    Attempt {
        name: "uprobe",
        kind: "uprobe",
        used_for: "plaintext of TLS libraries",
        program: "user_probe",
        maps: &[],
        attach: Attach::Own,
    },
    Attempt {
        name: "iter/tcp",
        kind: "iterator",
        used_for: "sockets that are older than the agent",
        program: "sockets_iterator",
        maps: &[],
        attach: Attach::BySection,
    },
    Attempt {
        name: "sockops",
        kind: "sockops",
        used_for: "trace context in TCP options (loaded only)",
        program: "socket_operations",
        maps: &[],
        attach: Attach::LoadOnly,
    },
];

#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    ATTEMPTS.iter().map(|attempt| attempt.name)
}

/// libbpf's last complaints: they say more than the error number.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
const MAX_LINES: usize = 40;

fn keep_line(_level: PrintLevel, line: String) {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() < MAX_LINES {
        lines.push(line.trim().chars().take(160).collect());
    }
}

pub fn run() -> Vec<Hook> {
    let previous = libbpf_rs::set_print(Some((PrintLevel::Warn, keep_line)));
    let hooks = ATTEMPTS.iter().map(hook).collect();
    libbpf_rs::set_print(previous);
    hooks
}

pub fn works(name: &str) -> bool {
    let previous = libbpf_rs::set_print(Some((PrintLevel::Warn, keep_line)));
    let works = ATTEMPTS.iter().filter(|attempt| attempt.name == name).all(|attempt| try_one(attempt).is_ok());
    libbpf_rs::set_print(previous);
    works
}

fn hook(attempt: &Attempt) -> Hook {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let reason = try_one(attempt).err();
    Hook { name: attempt.name, kind: attempt.kind, used_for: attempt.used_for, works: reason.is_none(), reason }
}

fn try_one(attempt: &Attempt) -> Result<(), String> {
    let mut open = ObjectBuilder::default().open_memory(OBJECT).map_err(|error| explain("open", &error))?;
    for mut program in open.progs_mut() {
        let chosen = program.name() == attempt.program;
        program.set_autoload(chosen);
    }
    for mut map in open.maps_mut() {
        let needed = attempt.maps.iter().any(|name| map.name() == *name);
        map.set_autocreate(needed).map_err(|error| explain("prepare", &error))?;
    }
    let object = open.load().map_err(|error| explain("load", &error))?;
    attach(&object, attempt).map(drop)
}

fn attach(object: &Object, attempt: &Attempt) -> Result<Option<Link>, String> {
    let program = object.progs_mut().find(|program| program.name() == attempt.program);
    let program = program.ok_or_else(|| format!("no program {} in the object", attempt.program))?;
    let link = match attempt.attach {
        Attach::LoadOnly => return Ok(None),
        Attach::BySection => program.attach(),
        Attach::Own => {
            let offset = own_offset().ok_or("the file offset of this program's code is unknown")?;
            program.attach_uprobe(false, std::process::id() as i32, "/proc/self/exe", offset)
        }
    };
    link.map(Some).map_err(|error| explain("attach", &error))
}

/// Where [`own_offset`] itself stands in this program's file.
fn own_offset() -> Option<usize> {
    let address = own_offset as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let offset = usize::from_str_radix(fields.nth(1)?, 16).ok()?;
        (start..end).contains(&address).then(|| address - start + offset)
    })
}

fn explain(step: &str, error: &libbpf_rs::Error) -> String {
    let lines = std::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner));
    let telling =
        lines.iter().find(|line| line.contains("failed") || line.contains("not found") || line.contains("rror"));
    match telling {
        Some(line) => format!("does not {step}: {}", line.trim_start_matches("libbpf: ")),
        None => format!("does not {step}: {error}"),
    }
}
