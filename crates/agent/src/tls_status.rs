//! TLS on the status page: which files are read in plaintext and by whom they are run, and which services speak TLS that
//! nothing reads.

use crate::collectors::sockets::{TlsFile, TlsFound, TlsFunction};
use crate::identity::Identity;
use crate::self_status::{reason, state};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Services that are named of one file, and of those that are not read.
const MOST_SERVICES: usize = 40;
/// The whole status is one record, of which a server keeps 64 KiB.
const MOST_BYTES: usize = 32 * 1024;

/// Those with the most users first, as many as there is room for.
pub fn files(found: &TlsFound, identity: &Identity) -> Value {
    let mut room = MOST_BYTES;
    let files = found.files().into_iter().filter_map(|file| file_json(file, identity));
    let fits = |file: &Value| {
        room = room.saturating_sub(file.to_string().len());
        room > 0
    };
    files.take_while(fits).collect()
}

/// `None`: only what is left alone runs it.
fn file_json(file: &TlsFile, identity: &Identity) -> Option<Value> {
    let names: Vec<String> = file.users.iter().filter_map(|tgid| service(*tgid, identity)).collect();
    if names.is_empty() && !file.users.is_empty() {
        return None;
    }
    let processes = names.len();
    let services: BTreeSet<String> = names.into_iter().collect();
    Some(json!({
        "path": file.path,
        "library": file.library,
        "version": file.version,
        "read": file.is_read(),
        "processes": processes,
        "services": services.into_iter().take(MOST_SERVICES).collect::<Vec<_>>(),
        "probes": file.functions.iter().map(function_json).collect::<Vec<_>>(),
    }))
}

fn function_json(function: &TlsFunction) -> Value {
    json!({
        "name": function.name,
        "count": function.probes,
        "single_stepped": function.single_stepped,
        "state": state(&function.state),
        "reason": reason(&function.state),
    })
}

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
