//! Probes at the return of functions. A probe that is made for a program alone serves only as many calls at once as there
//! are processors, or ten, while each thread that waits in a receive is such a call: the others would be missed. Probes that
//! are made in the trace file system can serve more. They are named by this process, go when it stops, and what a killed
//! one has left, which costs nothing since nobody is attached to it, goes when the next one starts.

use libbpf_rs::{Link, ProgramMut, TracepointCategory};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The most that the kernel allows: so many threads may wait in one function.
const CALLS_AT_ONCE: u32 = 4096;
const GROUP: &str = "limpid_";
const FOLDERS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Removed when dropped, which must come after its link.
pub struct ReturnProbe {
    events: PathBuf,
    name: String,
}

impl Drop for ReturnProbe {
    fn drop(&mut self) {
        if let Err(error) = write_line(&self.events, &format!("-:{}", self.name)) {
            log::debug!("the probe {} stays, unused: {error}", self.name);
        }
    }
}

/// A probe at the return of `function`, and the program on it.
pub fn attach(program: &ProgramMut<'_>, function: &str) -> Result<(Link, ReturnProbe), String> {
    let probe = create(function).map_err(|error| format!("cannot make a probe in the trace file system: {error}"))?;
    let (group, event) = probe.name.split_once('/').unwrap_or_default();
    let link = program.attach_tracepoint(TracepointCategory::Custom(group.to_owned()), event);
    link.map(|link| (link, probe)).map_err(|error| error.to_string())
}

fn create(function: &str) -> io::Result<ReturnProbe> {
    let events = FOLDERS.iter().map(|folder| Path::new(folder).join("kprobe_events")).find(|path| path.exists());
    let events = events.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not mounted"))?;
    // Several of one function: a second agent's, and those of this one before and after a reload.
    let name = format!("{GROUP}{}/{function}", std::process::id());
    write_line(&events, &format!("r{CALLS_AT_ONCE}:{name} {function}"))?;
    Ok(ReturnProbe { events, name })
}

fn write_line(events: &Path, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).open(events)?.write_all(line.as_bytes())
}

/// Removes what agents have left that were killed.
pub fn clear_left() {
    for folder in FOLDERS {
        let events = Path::new(folder).join("kprobe_events");
        let Ok(text) = std::fs::read_to_string(&events) else { continue };
        for name in text.lines().filter_map(left) {
            if let Err(error) = write_line(&events, &format!("-:{name}")) {
                log::debug!("the probe {name} of an agent that is gone stays: {error}");
            }
        }
        return;
    }
}

/// `r4096:limpid_123/inet_recvmsg inet_recvmsg`: the name, if process 123 is no more.
fn left(line: &str) -> Option<&str> {
    let name = line.split_whitespace().next()?.split_once(':')?.1;
    let pid: u32 = name.strip_prefix(GROUP)?.split_once('/')?.0.parse().ok()?;
    let gone = pid == std::process::id() || !Path::new("/proc").join(pid.to_string()).exists();
    gone.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_left_of_agents_that_are_gone_is_removed() {
        assert_eq!(left("r4096:limpid_4294967295/inet_recvmsg inet_recvmsg"), Some("limpid_4294967295/inet_recvmsg"));
        assert_eq!(left("r4096:limpid_1/inet_recvmsg inet_recvmsg"), None);
        assert_eq!(left("p:mine/limpid_4294967295 inet_recvmsg"), None);
        assert_eq!(left(""), None);
    }
}
