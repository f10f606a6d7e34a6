//! Hangs the loaded programs onto the kernel.

use super::cgroup;
use super::load::libbpf_reason;
use super::return_probes::{self, ReturnProbe};
use super::variant::{CGROUP, FrontEnd};
use crate::collectors::{CollectorError, ProgramState, ProgramStatus};
use crate::privileges;
use libbpf_rs::{Link, Object, ProgramMut};
use std::os::fd::{AsRawFd, OwnedFd};

/// The functions whose entry and return the probes watch: reached through function pointers, as in `functions.h`.
const SENDS: [&str; 3] = ["inet_sendmsg", "inet6_sendmsg", "unix_stream_sendmsg"];
const RECEIVES: [&str; 3] = ["inet_recvmsg", "inet6_recvmsg", "unix_stream_recvmsg"];

#[derive(Default)]
pub struct Attached {
    pub links: Vec<(String, Link)>,
    pub probes: Vec<ReturnProbe>,
    pub programs: Vec<ProgramStatus>,
}

/// Everything that is an iterator is run when it is needed; the rest is attached here. Without all programs of the
/// front end nothing works; without one of the others something is missing, which the status says.
pub fn attach(object: &Object, front_end: FrontEnd) -> Result<Attached, CollectorError> {
    let mut attached = Attached::default();
    let root = cgroup::root();
    return_probes::clear_left();
    for program in object.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let hook = program.section().to_string_lossy().into_owned();
        let state = if !program.autoload() {
            ProgramState::Off("not needed with this kernel and configuration".to_string())
        } else if hook.starts_with("iter") || hook.starts_with("uprobe") {
            ProgramState::Running
        } else {
            match attached.add(&program, &name, &root) {
                Ok(()) => ProgramState::Running,
                Err(error) if front_end.owns(&name) => {
                    let reason = libbpf_reason() + closed(front_end);
                    return Err(CollectorError(format!("cannot attach {name} ({hook}): {error}{reason}")));
                }
                Err(error) => ProgramState::Failed(error),
            }
        };
        attached.programs.push(ProgramStatus { name, hook, state });
    }
    Ok(attached)
}

impl Attached {
    fn add(&mut self, program: &ProgramMut<'_>, name: &str, root: &Result<OwnedFd, String>) -> Result<(), String> {
        match name {
            "enter_send" => self.add_entries(program, name, SENDS),
            "enter_receive" => self.add_entries(program, name, RECEIVES),
            "leave_send" => self.add_returns(program, name, SENDS),
            "leave_receive" => self.add_returns(program, name, RECEIVES),
            _ => {
                let link = match root {
                    _ if !name.starts_with(CGROUP) => program.attach(),
                    Ok(root) => program.attach_cgroup(root.as_raw_fd()),
                    Err(reason) => return Err(reason.clone()),
                };
                self.links.push((name.to_owned(), link.map_err(|error| error.to_string())?));
                Ok(())
            }
        }
    }

    fn add_entries(&mut self, program: &ProgramMut<'_>, name: &str, functions: [&str; 3]) -> Result<(), String> {
        for function in functions {
            let link = program.attach_kprobe(false, function).map_err(|error| format!("{function}: {error}"))?;
            self.links.push((name.to_owned(), link));
        }
        Ok(())
    }

    fn add_returns(&mut self, program: &ProgramMut<'_>, name: &str, functions: [&str; 3]) -> Result<(), String> {
        for function in functions {
            let link = match return_probes::attach(program, function) {
                Ok((link, probe)) => {
                    self.probes.push(probe);
                    link
                }
                Err(reason) => {
                    log::warn!("where many threads wait in {function} at once, calls will be missed: {reason}");
                    program.attach_kprobe(true, function).map_err(|error| format!("{function}: {error}"))?
                }
            };
            self.links.push((name.to_owned(), link));
        }
        Ok(())
    }
}

/// Why probes may be refused to one who has all that is needed elsewhere.
fn closed(front_end: FrontEnd) -> &'static str {
    match front_end == FrontEnd::Probes && privileges::perf_is_closed() {
        true => "; with kernel.perf_event_paranoid above 2 it takes CAP_SYS_ADMIN",
        false => "",
    }
}
