//! The server needs nothing of root.

use std::io;

/// Becomes another user for good: for the server, which needs nothing of root. Does nothing when it is no root.
pub fn drop_to_user(uid: u32, gid: u32) -> Result<(), String> {
    if uid == 0 {
        return Err("cannot become user 0: that is root".into());
    }
    // SAFETY: plain numbers and an empty list of groups; each step is checked before the next is taken.
    unsafe {
        if libc::geteuid() == 0 {
            step("give up the groups", libc::setgroups(0, std::ptr::null()))?;
            step("change the group", libc::setresgid(gid, gid, gid))?;
            step("change the user", libc::setresuid(uid, uid, uid))?;
        }
        if libc::setresuid(0, 0, 0) == 0 {
            return Err(format!("the change to user {uid} could be undone: refusing to go on"));
        }
    }
    no_new_privileges()
}

fn step(what: &str, result: i32) -> Result<(), String> {
    if result == 0 { Ok(()) } else { Err(format!("cannot {what}: {}", io::Error::last_os_error())) }
}

fn no_new_privileges() -> Result<(), String> {
    // SAFETY: plain numbers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(format!("cannot forbid new privileges: {}", io::Error::last_os_error())),
    }
}
