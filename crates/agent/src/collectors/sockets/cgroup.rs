//! The root of the version 2 control groups, on which programs see the sockets of all processes.
//!
//! Where nobody has mounted it (version 1 alone, or a container's own view), a mount that nobody else sees serves.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// Open for attaching programs. `Err` says why there is none.
pub fn root() -> Result<OwnedFd, String> {
    if let Some(mounted) = mounted() {
        return Ok(mounted);
    }
    detached().map_err(|error| format!("no control groups of version 2: they are not mounted, and cannot be ({error})"))
}

fn mounted() -> Option<OwnedFd> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let folders = mounts.lines().filter_map(mount_point).filter_map(|point| File::open(point).ok());
    folders.filter(is_root).map(OwnedFd::from).next()
}

fn mount_point(line: &str) -> Option<&str> {
    let (mount, kind) = line.split_once(" - ")?;
    let point = mount.split(' ').nth(4)?;
    kind.starts_with("cgroup2 ").then_some(point)
}

/// A container's mount shows a group of the hierarchy as if it were the root: the number of its inode is another.
fn is_root(folder: &File) -> bool {
    folder.metadata().is_ok_and(|metadata| metadata.ino() == 1)
}

/// Since 5.2.
fn detached() -> io::Result<OwnedFd> {
    let open = |name: &CStr| {
        // SAFETY: the name is a C string.
        owned(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), 1) })
    };
    let context = open(c"cgroup2")?;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes neither key nor value.
    let created = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0) };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0) })
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_version_2_are_found() {
        let line = |kind: &str| format!("33 24 0:28 / /sys/fs/cgroup rw,nosuid - {kind} cgroup2 rw");
        assert_eq!(mount_point(&line("cgroup2")), Some("/sys/fs/cgroup"));
        assert_eq!(mount_point(&line("cgroup")), None);
        assert_eq!(mount_point("nonsense"), None);
    }

    #[test]
    fn other_folders_are_no_root() {
        assert!(!is_root(&File::open("/proc/self").expect("it is there")));
    }
}
