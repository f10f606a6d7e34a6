//! The language of a compiled program, from the first page of its file.

use super::procfs;

/// Go's linker puts its build id into a note near the front: type 4, owner `Go`.
const GO_NOTE: &[u8] = b"\x04\0\0\0Go\0\0";
const HEAD_BYTES: usize = 8192;

/// `process.runtime.name` of a plain executable, where its file tells.
pub fn of_executable(pid: u32) -> Option<&'static str> {
    let head = procfs::read(pid, "exe", HEAD_BYTES)?;
    (head.starts_with(b"\x7fELF") && memchr::memmem::find(&head, GO_NOTE).is_some()).then_some("go")
}
