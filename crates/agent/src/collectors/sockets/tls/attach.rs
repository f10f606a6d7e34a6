//! Hangs the programs of `tls_functions.h` onto the functions of one file.

use super::FileStatus;
use super::files::MappedFile;
use crate::collectors::sockets::clock;
use crate::collectors::{ProgramState, ProgramStatus};
use libbpf_rs::{Link, Object, UprobeMultiOpts};

pub struct Attached {
    /// On the kernel's clock.
    pub since_ns: u64,
    pub status: FileStatus,
    /// Detached when dropped.
    _links: Vec<Link>,
}

pub fn attach(object: &Object, file: &MappedFile) -> Option<Attached> {
    let name = file.name.to_string_lossy();
    if !name.contains("libssl.so") {
        return None;
    }
    let mut links = Vec::new();
    let mut programs = Vec::new();
    for (symbol, program, retprobe) in [
        (0x3544e, "tls_read", false),
        (0x35468, "tls_end", false),
        (0x3599e, "tls_write", false),
        (0x359b8, "tls_end", false),
        (0x354c4, "tls_read_ex", false),
        (0x354dc, "tls_end", false),
        (0x35a14, "tls_write_ex", false),
        (0x35a2c, "tls_end", false),
        (0x37600, "tls_handshake", false),
        (0x37600, "tls_end", true),
    ] {
        let prog = object.progs_mut().find(|p| p.name() == program)?;
        let opts = UprobeMultiOpts { retprobe, offsets: vec![symbol], ..Default::default() };
        match prog.attach_uprobe_multi_with_opts(-1, &file.open, "", opts) {
            Ok(link) => links.push(link),
            Err(error) => log::warn!("{symbol}: {error:?}"),
        }
        programs.push(ProgramStatus {
            name: program.to_owned(),
            hook: format!("{symbol:x}"),
            state: ProgramState::Running,
        });
    }
    Some(Attached {
        since_ns: clock::monotonic_ns(),
        status: FileStatus { path: file.name.clone(), library: "OpenSSL".into(), programs },
        _links: links,
    })
}
