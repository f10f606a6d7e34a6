//! What a cgroup path says: the container and the systemd unit in which a process runs.
//!
//! Both hierarchies are read alike, since container runtimes put the same names into v1 and v2. One table of patterns;
//! a runtime is a row.

use limpid_model::Text;

/// What was found in a path. Both may be there: a unit of a systemd that runs inside a container. A unit *above* a
/// container is the runtime's (`docker.service`), not what the process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Full id as the runtime writes it: 64 hex digits where an engine has made it, else what a person called it.
    pub container: Option<Text>,
    /// The unit without `.service`.
    pub unit: Option<Text>,
}

/// How runtimes name a container's cgroup around the id: (before, after).
const CONTAINER_NAMES: &[(&str, &str)] = &[
    ("docker-", ".scope"),
    ("cri-containerd-", ".scope"),
    ("crio-conmon-", ".scope"),
    ("crio-", ".scope"),
    ("libpod-conmon-", ".scope"),
    ("libpod-", ".scope"),
    ("nerdctl-", ".scope"),
    // Podman within a unit (`--cgroups=split`, as its own units have it).
    ("libpod-payload-", ""),
    // cgroupfs driver: docker/<id>, kubepods/…/<id>, libpod_parent/libpod-<id>.
    ("libpod-", ""),
    ("crio-", ""),
    ("", ""),
];

/// Runtimes that somebody uses without an engine: the id is any name.
const NAMED: &[&str] = &["crun-", "runc-"];

/// Units that start what belongs to others: their name says nothing of the process.
const NOT_A_SERVICE: &[&str] = &["user@", "init", "getty@", "serial-getty@", "systemd-nspawn@"];

/// Reads one cgroup path from the root down.
pub fn place(path: &str) -> Place {
    let mut place = Place::default();
    if path.len() > 4096 {
        return place;
    }
    let mut user_session = false;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if let Some(id) = container_id(name) {
            place = Place { container: Some(Text::from(id)), unit: None };
            continue;
        }
        user_session |= name == "user.slice";
        if let Some(unit) = unit(name).filter(|_| !user_session) {
            place.unit = Some(Text::from(unit));
        }
    }
    place
}

/// Chooses among the lines of `/proc/<pid>/cgroup`: the first with a container, else the first with a unit. Hierarchies
/// of version 1 differ in what they hold: a container's process may be in its runtime's unit in systemd's own.
pub fn place_of_lines(lines: &str) -> Place {
    let paths = lines.lines().take(64).filter_map(|line| line.splitn(3, ':').nth(2));
    let mut places: Vec<Place> = paths.map(place).filter(|place| *place != Place::default()).collect();
    let best = places.iter().position(|place| place.container.is_some()).unwrap_or(0);
    if places.is_empty() { Place::default() } else { places.swap_remove(best) }
}

fn container_id(name: &str) -> Option<&str> {
    // containerd without systemd appends the id to the slice: `kubepods-besteffort-pod….slice:cri-containerd:<id>`.
    let name = name.rsplit(':').next().unwrap_or(name);
    let found = CONTAINER_NAMES.iter().find_map(|(before, after)| {
        let id = name.strip_prefix(before)?.strip_suffix(after)?;
        is_engines_id(id).then_some(id)
    });
    found.or_else(|| {
        let id = NAMED.iter().find_map(|before| name.strip_prefix(before)?.strip_suffix(".scope"))?;
        is_name(id).then_some(id)
    })
}

/// What the runtimes allow, and no `.` in front: it becomes part of paths.
fn is_name(id: &str) -> bool {
    id.len() <= 128
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte))
}

/// Engines make ids themselves and keep names beside them.
pub fn is_engines_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn unit(name: &str) -> Option<&str> {
    let unit = name.strip_suffix(".service")?;
    let excluded = unit.is_empty()
        || NOT_A_SERVICE.iter().any(|prefix| unit == *prefix || unit.starts_with(prefix) && prefix.ends_with('@'));
    (!excluded).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";

    #[test]
    fn containers_of_every_runtime() {
        for path in [
            format!("/system.slice/docker-{ID}.scope"),
            format!("/docker/{ID}"),
            format!("/docker/buildx/docker-{ID}.scope/init"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods/besteffort/pod2b5ab5a2/{ID}"),
            format!("/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope/container"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/libpod_parent/libpod-{ID}"),
            format!("/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:{ID}"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
            format!("/system.slice/desk.service/libpod-payload-{ID}"),
            format!("/system.slice/crun-{ID}.scope/container"),
        ] {
            assert_eq!(place(&path).container.as_deref(), Some(ID), "{path}");
        }
    }

    #[test]
    fn containers_without_an_engine() {
        assert_eq!(place("/system.slice/runc-depot.scope").container.as_deref(), Some("depot"));
        assert_eq!(place("/system.slice/crun-stock_1.scope/container").container.as_deref(), Some("stock_1"));
        for odd in ["/runc-.scope", "/runc-...scope", "/crun-a b.scope", "/crun-a.service", "/session-3.scope"] {
            assert_eq!(place(odd).container, None, "{odd}");
        }
    }

    #[test]
    fn units_but_not_sessions() {
        for (path, expected) in [
            ("/system.slice/nginx.service", Some("nginx")),
            ("/system.slice/system-postgresql.slice/postgresql@15-main.service", Some("postgresql@15-main")),
            ("/system.slice/shop.service/workers", Some("shop")),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.service", None),
            ("/system.slice/system-getty.slice/getty@tty1.service", None),
            ("/init.scope", None),
            ("/", None),
            ("", None),
            ("/.service", None),
        ] {
            assert_eq!(place(path).unit.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn version_one_lines() {
        let lines = format!("12:pids:/docker/{ID}\n1:name=systemd:/system.slice/docker.service\n0::/\n");
        let found = place_of_lines(&lines);
        assert_eq!((found.container.as_deref(), found.unit), (Some(ID), None));
        assert_eq!(place_of_lines("garbage\n::\n0::/system.slice/a.service").unit.as_deref(), Some("a"));
    }

    #[test]
    fn the_unit_of_a_runtime_is_not_what_its_containers_are() {
        let above = place(&format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"));
        assert_eq!((above.container.as_deref(), above.unit), (Some(ID), None));
        let within = place(&format!("/system.slice/docker-{ID}.scope/system.slice/nginx.service"));
        assert_eq!(within.unit.as_deref(), Some("nginx"), "a systemd of its own runs in the container");
    }

    #[test]
    fn what_only_looks_like_a_container() {
        assert_eq!(place("/process_api/b9a22ac1334c3fe0821ed8955d67402e").container, None);
        assert_eq!(place(&format!("/docker/{}", ID.to_uppercase())).container, None);
    }
}
