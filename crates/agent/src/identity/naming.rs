//! The name of a service. The order of precedence is the list of steps in [`name`]:
//!
//! 1. what the environment says: `OTEL_SERVICE_NAME`, `service.name` in `OTEL_RESOURCE_ATTRIBUTES` (Java also
//!    `-Dotel.service.name`);
//! 2. the Kubernetes workload (its place: nothing fills it on a plain host);
//! 3. the compose service, the container's name;
//! 4. the systemd unit;
//! 5. what the runtime runs: jar, script, module;
//! 6. the executable.
//!
//! Only the last one can be the same for two things that have nothing in common (two Redis on one host). There the
//! listening port is appended, to all of them: the name depends on what runs, and not on what was started first, so it
//! is the same after a restart of the agent.

use super::containers::Container;
use super::image::Image;
use super::program::{self, Around};
use limpid_model::Text;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Environment,
    Container,
    Unit,
    Program,
    Executable,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Environment => "environment",
            Source::Container => "container",
            Source::Unit => "systemd",
            Source::Program => "program",
            Source::Executable => "executable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub service: Text,
    pub source: Source,
    pub runtime: Option<&'static str>,
}

const MAX_NAME_BYTES: usize = 128;
/// `/usr/bin/java` leads to `/etc/alternatives/java`, which leads to the file.
const MAX_LINKS: usize = 4;

pub fn name(image: &Image, container: Option<&Container>) -> Name {
    let args = image.args();
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    let around = Around { cwd: image.cwd.as_deref(), package: image.package.as_deref() };
    let program = program::program(&image.exe, &args, around);
    let (service, source) = from_environment(image, &args)
        .map(|service| (service, Source::Environment))
        .or_else(|| container.and_then(from_container).map(|service| (service, Source::Container)))
        .or_else(|| image.place.unit.clone().map(|unit| (unit, Source::Unit)))
        .or_else(|| program.name.map(|service| (service, Source::Program)))
        .unwrap_or_else(|| (from_executable(image, &args), Source::Executable));
    Name { service: clean(&service), source, runtime: program.runtime }
}

fn from_environment(image: &Image, args: &[&str]) -> Option<Text> {
    let property = || args.iter().find_map(|arg| arg.strip_prefix("-Dotel.service.name=")).map(Text::from);
    let attribute = || resource_attribute(image.resource_attributes.as_deref()?, "service.name");
    image.service_name.clone().or_else(attribute).or_else(property).filter(|name| !name.trim().is_empty())
}

fn from_container(container: &Container) -> Option<Text> {
    container.compose_service.clone().or_else(|| container.name.clone())
}

fn from_executable(image: &Image, args: &[&str]) -> Text {
    let exe = program::executable_name(&image.exe);
    // Run through a descriptor (`fexecve`), the path says nothing; the first argument does.
    let through_descriptor = exe.is_empty() || image.exe.starts_with("/dev/fd/") || image.exe.starts_with("/memfd:");
    let called = args.first().map_or("unknown", |arg| program::executable_name(arg));
    let called = called.split([' ', ':']).next().unwrap_or(called);
    let root = image.root.as_deref().unwrap_or_default();
    let name = if through_descriptor || is_link_to(root, called, &image.exe) { called } else { exe };
    if name.is_empty() {
        return Text::const_new("unknown");
    }
    // `/srv/checkout/bin/server` is the checkout's. A dot is no ending here: `python3.11`.
    let around = Around { cwd: image.cwd.as_deref(), package: None };
    if program::executable_says_nothing(name) { program::stem_or_folder(&image.exe, around) } else { Text::from(name) }
}

/// One file under many names (`redis-server` and `redis-check-rdb`, busybox): the name it was called by counts, if a
/// link of that name stands beside the file. `root` is where the process' file system is, if not here.
fn is_link_to(root: &str, called: &str, exe: &str) -> bool {
    let path = Path::new(exe);
    let Some(folder) =
        path.parent().filter(|_| !called.is_empty() && path.file_name().is_some_and(|name| name != called))
    else {
        return false;
    };
    let here = |path: &Path| format!("{root}{}", path.display());
    // Link by link: an absolute one would lead the kernel out of the other root.
    let mut at = folder.join(called);
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(here(&at)) else { break };
        at = at.parent().unwrap_or(Path::new("/")).join(target);
    }
    let file = |path: &Path| std::fs::metadata(here(path)).ok().map(|file| (file.dev(), file.ino()));
    file(&at).is_some_and(|linked| Some(linked) == file(path))
}

/// One value of `key=value,key=value` with percent-encoding, as the OpenTelemetry specification has it.
pub fn resource_attribute(list: &str, key: &str) -> Option<Text> {
    let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| name.trim() == key).map(|(_, value)| percent_decoded(value.trim())).next()
}

/// All of them, bounded, as attributes of the resource.
pub fn resource_attributes(list: &str) -> impl Iterator<Item = (Text, Text)> + '_ {
    let pairs = list.split(',').filter_map(|pair| pair.split_once('=')).take(32);
    pairs
        .map(|(name, value)| (Text::from(name.trim()), percent_decoded(value.trim())))
        .filter(|(name, _)| !name.is_empty())
}

fn percent_decoded(value: &str) -> Text {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = value.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex.filter(|_| *byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    Text::from_utf8_lossy(&out)
}

/// Labels are shown and compared everywhere: no control characters, no endless names.
fn clean(name: &str) -> Text {
    let clean: Text = name.trim().chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let mut end = clean.len().min(MAX_NAME_BYTES);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    Text::from(&clean[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(exe: &str, args: &str, environment: &str, cgroup: &str) -> Image {
        let names: Vec<&str> = cgroup.rsplit('/').collect();
        Image::from_record(
            exe.as_bytes(),
            args.replace(' ', "\0").as_bytes(),
            (environment.replace(' ', "\0") + "\0").as_bytes(),
            names.join("\0").as_bytes(),
            0,
        )
    }

    #[test]
    fn a_link_beside_the_executable_names_it() {
        let folder = tempfile_folder("links");
        std::fs::write(folder.join("real-tool"), b"").expect("a file");
        let _ = std::os::unix::fs::symlink("real-tool", folder.join("tool-server"));
        let exe = folder.join("real-tool").display().to_string();
        for (arguments, expected) in [
            ("tool-server *:6379", "tool-server"),
            ("tool-server: worker", "tool-server"),
            ("other-name", "real-tool"),
            ("real-tool", "real-tool"),
        ] {
            let image = Image::from_record(exe.as_bytes(), arguments.as_bytes(), b"", b"", 0);
            assert_eq!(from_executable(&image, &[arguments]), expected, "{arguments}");
        }
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }

    #[test]
    fn links_of_another_root() {
        let root = tempfile_folder("root");
        std::fs::create_dir_all(root.join("bin")).expect("a folder");
        std::fs::write(root.join("bin/many-tools"), b"").expect("a file");
        std::os::unix::fs::symlink("/bin/many-tools", root.join("bin/web-server")).expect("a link");
        std::os::unix::fs::symlink("/bin/absent", root.join("bin/broken")).expect("a link");
        let mut image = Image::from_record(b"/bin/many-tools", b"web-server", b"", b"", 0);
        assert_eq!(from_executable(&image, &["web-server"]), "many-tools", "there is none here");
        image.root = Some(root.display().to_string().into());
        assert_eq!(from_executable(&image, &["/bin/web-server"]), "web-server");
        assert_eq!(from_executable(&image, &["broken"]), "many-tools");
        std::fs::remove_dir_all(root).expect("the folder goes");
    }

    fn tempfile_folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("limpid-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.canonicalize().expect("it is there")
    }

    #[test]
    fn the_order_of_precedence() {
        let container = Container { name: Some("box".into()), compose_service: Some("cart".into()), image: None };
        let unit = "/system.slice/shop.service";
        let all = image(
            "/usr/bin/python3",
            "python3 stock.py",
            "OTEL_SERVICE_NAME=told OTEL_RESOURCE_ATTRIBUTES=service.name=list",
            unit,
        );
        assert_eq!(name(&all, Some(&container)).service, "told");
        let list =
            image("/usr/bin/python3", "python3 stock.py", "OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=my%20list", unit);
        assert_eq!(name(&list, Some(&container)).service, "my list");
        let java = image("/usr/bin/java", "java -Dotel.service.name=prop -jar x.jar", "", unit);
        assert_eq!(name(&java, Some(&container)).service, "prop");
        let silent = image("/usr/bin/python3", "python3 stock.py", "", unit);
        assert_eq!(name(&silent, Some(&container)).service, "cart");
        let unnamed = Container { compose_service: None, ..container };
        assert_eq!(name(&silent, Some(&unnamed)).service, "box");
        assert_eq!(name(&silent, None).service, "shop");
        let script = image("/usr/bin/python3", "python3 stock.py", "", "/");
        assert_eq!(
            name(&script, None),
            Name { service: "stock".into(), source: Source::Program, runtime: Some("cpython") }
        );
        let server = image("/srv/checkout/bin/server", "./server", "", "/");
        assert_eq!(name(&server, None).service, "checkout");
        let told = image("/srv/shop/bin/web", "./web", "", "/");
        assert_eq!(name(&told, None).service, "web");
        let nameless = image("/usr/local/bin/app", "app", "", "/");
        assert_eq!(name(&nameless, None).service, "app");
        let plain = image("/usr/bin/redis-server", "redis-server *:6379", "", "/");
        assert_eq!(
            name(&plain, None),
            Name { service: "redis-server".into(), source: Source::Executable, runtime: None }
        );
    }

    #[test]
    fn names_are_bounded_and_clean() {
        let odd = image("/x", "x", &format!("OTEL_SERVICE_NAME=a\n{}", "ü".repeat(200)), "/");
        let service = name(&odd, None).service;
        assert!(service.len() <= MAX_NAME_BYTES && service.starts_with("a_"));
        assert_eq!(name(&image("", "", "OTEL_SERVICE_NAME=%", ""), None).service, "%");
        assert_eq!(name(&image("", "", "", ""), None).service, "unknown");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}
