//! TLS on the status page: which files are read in plaintext and by whom they are run, and which services speak TLS that
//! nothing reads.

use crate::collectors::ProgramStatus;
use crate::collectors::sockets::{TlsFile, TlsFound};
use crate::identity::Identity;
use crate::self_status::{reason, state};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Services that are named of one file, and of those that are not read.
const MOST_SERVICES: usize = 50;

pub fn files(found: &TlsFound, identity: &Identity) -> Value {
    found.files().into_iter().map(|file| file_json(file, identity)).collect()
}

fn file_json(file: &TlsFile, identity: &Identity) -> Value {
    let services: BTreeSet<String> = file.users.iter().filter_map(|tgid| service(*tgid, identity)).collect();
    json!({
        "path": file.path,
        "library": file.library,
        "version": file.version,
        "read": file.is_read(),
        "processes": file.users.len(),
        "services": services.into_iter().take(MOST_SERVICES).collect::<Vec<_>>(),
        "probes": file.probes.iter().map(probe_json).collect::<Vec<_>>(),
    })
}

fn probe_json(probe: &ProgramStatus) -> Value {
    let single_stepped = probe.hook.ends_with(SINGLE_STEPPED);
    json!({
        "name": probe.name,
        "hook": probe.hook,
        "single_stepped": single_stepped,
        "state": state(&probe.state),
        "reason": reason(&probe.state),
    })
}

/// The end of the hook of a probe that costs a trap each time.
pub const SINGLE_STEPPED: &str = ", single-stepped";

/// Services whose processes speak TLS without a probe in them, with the library that was found, if any.
pub fn unread(found: &TlsFound, identity: &Identity) -> Value {
    let mut services: BTreeMap<(String, Option<&str>), usize> = BTreeMap::new();
    for (tgid, file) in found.unread() {
        if let Some(name) = service(tgid, identity) {
            *services.entry((name, file.map(|file| file.library.as_str()))).or_default() += 1;
        }
    }
    let told = services.into_iter().take(MOST_SERVICES);
    told.map(|((service, library), processes)| json!({"service": service, "library": library, "processes": processes}))
        .collect()
}

fn service(tgid: u32, identity: &Identity) -> Option<String> {
    let process = identity.process(tgid);
    (!process.own && !identity.is_unknown(&process)).then(|| process.service.to_string())
}
