//! The server needs no rights: started by root, it makes its folder, gives it to another user and becomes that user.

use crate::commands::CommandError;
use std::ffi::CString;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// Becomes `name` with `folder` as its own. Does nothing when not started by root.
pub fn become_user(name: &str, folder: &Path) -> Result<(), CommandError> {
    let place = folder.display();
    std::fs::create_dir_all(folder).map_err(|error| {
        format!("the folder {place} cannot be made: {error}; choose another one or make it writable")
    })?;
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 || name == "root" {
        return Ok(());
    }
    let (uid, gid) = ids(name).ok_or_else(|| format!("there is no user `{name}` (`user`) to run the server as"))?;
    give(folder, uid, gid).map_err(|error| format!("{place} cannot be given to {name}: {error}"))?;
    limpid_server::privileges::drop_to_user(uid, gid)
        .map_err(|error| format!("the server cannot become {name}: {error}"))?;
    // Becoming another user clears it: the server shall still end with its supervisor.
    // SAFETY: a plain system call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
    // Its own by now; but a folder above it may be closed to this user.
    std::fs::read_dir(folder).map(|_| ()).map_err(|error| {
        format!("the user {name} cannot reach {place}: {error}; choose a folder below one that it may enter, or another --user").into()
    })
}

fn ids(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    // SAFETY: getpwnam returns null or a struct that stays valid until the next call; nothing else runs here yet.
    let entry = unsafe { libc::getpwnam(name.as_ptr()).as_ref() }?;
    Some((entry.pw_uid, entry.pw_gid))
}

/// The folder and what is in it, as far as it is not theirs already.
fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.uid() != uid {
        chown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
