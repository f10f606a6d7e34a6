//! What a process runs since its last `exec`: executable, arguments, the telling part of its environment, its place.
//!
//! Comes from the kernel's record at the exec, or from `/proc` for processes that are older than the agent. Shared by
//! all children that were forked and did not exec.

use super::cgroup::{self, Place};
use super::{package, procfs};
use limpid_model::Text;

/// The variables that are kept; nothing else of an environment leaves this function's reach.
const VARIABLES: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
/// What the kernel's record holds of the arguments (`ARGS_BYTES` there).
const RECORD_ARGS_BYTES: usize = 1024;
/// What is read of them at most: the class path of a Java program goes before its name.
const MAX_ARGS_BYTES: usize = 64 * 1024;
const MAX_ARGS: usize = 256;
/// What is kept of each: enough for every name.
const MAX_ARG_BYTES: usize = 512;
const MAX_ENVIRONMENT_BYTES: usize = 128 * 1024;
const MAX_VALUE_BYTES: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub exe: Box<str>,
    /// NUL-separated.
    arguments: Box<[u8]>,
    pub service_name: Option<Text>,
    pub resource_attributes: Option<Text>,
    pub place: Place,
    pub uid: Option<u32>,
    /// Where its file system is for this process, if it has one of its own: below `/proc`.
    pub root: Option<Box<str>>,
    /// Known only while the process lives.
    pub cwd: Option<Box<str>>,
    /// What the package of a script calls itself; known only while the process lives.
    pub package: Option<Text>,
}

impl Image {
    /// From the kernel's record at exec: `names` are the cgroup's, leaf first.
    pub fn from_record(exe: &[u8], arguments: &[u8], environment: &[u8], names: &[u8], uid: u32) -> Image {
        let mut image = Image {
            exe: lossy(until_nul(exe)).into(),
            arguments: arguments.into(),
            place: cgroup::place(&cgroup_path(names)),
            uid: Some(uid),
            ..Image::default()
        };
        image.take_environment(environment);
        image
    }

    /// From `/proc`; `None` when the process is gone or is a kernel thread.
    pub fn from_proc(pid: u32) -> Option<Image> {
        let arguments = procfs::read(pid, "cmdline", MAX_ARGS_BYTES)?;
        let exe = procfs::link(pid, "exe");
        if arguments.is_empty() && exe.is_none() {
            return None;
        }
        let exe = exe.unwrap_or_else(|| lossy(until_nul(&arguments)));
        let mut image =
            Image { exe: exe.into(), arguments: shortened(&arguments), uid: procfs::uid(pid), ..Image::default() };
        if let Some(lines) = procfs::text(pid, "cgroup", 64 * 1024) {
            image.place = cgroup::place_of_lines(&lines);
        }
        image.take_environment(&procfs::read(pid, "environ", MAX_ENVIRONMENT_BYTES).unwrap_or_default());
        image.take_folder(pid);
        Some(image)
    }

    /// What the record could not hold, for a process that is still there: the full path, the folder, arguments and
    /// environment beyond the record's bytes.
    pub fn complete_from_proc(&mut self, pid: u32) {
        if self.arguments.len() >= RECORD_ARGS_BYTES
            && let Some(arguments) = procfs::read(pid, "cmdline", MAX_ARGS_BYTES)
        {
            self.arguments = shortened(&arguments);
        }
        if let Some(exe) = procfs::link(pid, "exe") {
            self.exe = exe.into();
        }
        if self.service_name.is_none() && self.resource_attributes.is_none() {
            self.take_environment(&procfs::read(pid, "environ", MAX_ENVIRONMENT_BYTES).unwrap_or_default());
        }
        if self.place == Place::default()
            && let Some(lines) = procfs::text(pid, "cgroup", 64 * 1024)
        {
            self.place = cgroup::place_of_lines(&lines);
        }
        self.take_folder(pid);
    }

    fn take_folder(&mut self, pid: u32) {
        self.root = self.place.container.is_some().then(|| format!("/proc/{pid}/root").into());
        self.cwd = procfs::link(pid, "cwd").map(Into::into);
        let args = self.args();
        self.package = package::name(pid, &self.exe, &args, self.cwd.as_deref());
    }

    /// The arguments as texts; what is no UTF-8 is replaced.
    pub fn args(&self) -> Vec<std::borrow::Cow<'_, str>> {
        let mut args: Vec<_> =
            self.arguments.split(|byte| *byte == 0).take(MAX_ARGS).map(String::from_utf8_lossy).collect();
        while args.last().is_some_and(|last| last.is_empty()) {
            args.pop();
        }
        args
    }

    fn take_environment(&mut self, environment: &[u8]) {
        // Behind the last NUL may stand a value that was cut: half a name is none.
        let end = memchr::memrchr(0, environment).unwrap_or(0);
        for entry in environment[..end].split(|byte| *byte == 0) {
            let Some(at) = memchr::memchr(b'=', entry) else { continue };
            let (name, value) = (&entry[..at], &entry[at + 1..]);
            let Some(which) = VARIABLES.iter().position(|known| known.as_bytes() == name) else { continue };
            let value = Text::from_utf8_lossy(&value[..value.len().min(MAX_VALUE_BYTES)]);
            let place = if which == 0 { &mut self.service_name } else { &mut self.resource_attributes };
            if !value.is_empty() {
                *place = Some(value);
            }
        }
    }
}

/// The first arguments, none of them longer than a name needs.
fn shortened(arguments: &[u8]) -> Box<[u8]> {
    let mut short = Vec::with_capacity(arguments.len().min(RECORD_ARGS_BYTES));
    for argument in arguments.split_inclusive(|byte| *byte == 0).take(MAX_ARGS) {
        if argument.len() > MAX_ARG_BYTES {
            short.extend_from_slice(&argument[..MAX_ARG_BYTES]);
            short.push(0);
        } else {
            short.extend_from_slice(argument);
        }
    }
    short.into()
}

fn cgroup_path(names: &[u8]) -> String {
    let names: Vec<String> = names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(lossy).collect();
    names.iter().rev().fold(String::new(), |path, name| path + "/" + name)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_the_kernel() {
        let environment = b"PATH=/bin\0OTEL_SERVICE_NAME=checkout\0SECRET=canary\0OTEL_RESOURCE_ATTRIBUTES=a=b,c=d\0";
        let image =
            Image::from_record(b"/bin/app\0", b"app\0-x\0y z\0", environment, b"nginx.service\0system.slice\0", 7);
        assert_eq!(&*image.exe, "/bin/app");
        assert_eq!(image.args(), ["app", "-x", "y z"]);
        assert_eq!(image.service_name.as_deref(), Some("checkout"));
        assert_eq!(image.resource_attributes.as_deref(), Some("a=b,c=d"));
        assert_eq!(image.place.unit.as_deref(), Some("nginx"));
        assert!(!format!("{image:?}").contains("canary"));
    }

    #[test]
    fn a_name_that_was_cut_is_none() {
        let image = Image::from_record(b"/x\0", b"x\0", b"A=b\0OTEL_SERVICE_NAME=check", b"", 0);
        assert_eq!(image.service_name, None);
    }

    #[test]
    fn long_arguments_are_cut_one_by_one() {
        let mut line = b"java\0-cp\0".to_vec();
        line.extend([b'x'; 10_000]);
        line.extend(b"\0com.example.Orders\0");
        let image = Image { arguments: shortened(&line), ..Image::default() };
        assert_eq!(image.args().last().map(AsRef::as_ref), Some("com.example.Orders"));
        assert!(image.arguments.len() < 600);
    }

    #[test]
    fn empty_and_odd_records() {
        let image = Image::from_record(b"", b"", b"=\0==\0OTEL_SERVICE_NAME\0OTEL_SERVICE_NAME=\0", b"\0\0", 0);
        assert_eq!(image.service_name, None);
        assert!(image.args().is_empty());
        Image::from_record(&[0xff; 40], &[0xff; 40], &[b'='; 40], &[0xff; 40], 0);
    }

    #[test]
    fn this_very_process() {
        let image = Image::from_proc(std::process::id()).expect("own image");
        assert!(image.exe.starts_with('/') && !image.args().is_empty() && image.cwd.is_some());
        assert_eq!(Image::from_proc(u32::MAX), None);
    }
}
