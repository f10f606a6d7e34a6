//! Names of containers, read from the files that the runtimes keep beside them; no daemon is asked.
//!
//! A runtime is a row of [`STATE_FILES`]. The files are small JSON documents of somebody else: bounded, and whatever
//! does not parse is a container without a name.

use super::{cgroup, procfs};
use limpid_model::Text;
use rustc_hash::FxHashMap;
use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    pub name: Option<Text>,
    /// The compose service that it is an instance of.
    pub compose_service: Option<Text>,
    pub image: Option<Text>,
}

/// How one document is read: what it says, and of which container (lists tell of many).
type Reader = fn(&Value, &str) -> Container;

/// (path with `{id}`, how to read it)
const STATE_FILES: &[(&str, Reader)] = &[
    ("/var/lib/docker/containers/{id}/config.v2.json", docker),
    ("/run/containerd/io.containerd.runtime.v2.task/moby/{id}/config.json", oci),
    ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json", oci),
    ("/run/containerd/io.containerd.runtime.v2.task/default/{id}/config.json", oci),
    // Podman's names stand in the list of its storage; CRI-O's in the annotations.
    ("/var/lib/containers/storage/overlay-containers/containers.json", storage),
    ("/var/lib/containers/storage/overlay-containers/volatile-containers.json", storage),
    ("/var/lib/containers/storage/overlay-containers/{id}/userdata/config.json", oci),
    ("/run/containers/storage/overlay-containers/{id}/userdata/config.json", oci),
];

const MAX_FILE_BYTES: usize = 1 << 20;
const MAX_KNOWN: usize = 4096;

#[derive(Default)]
pub struct Containers {
    known: FxHashMap<Text, Container>,
}

impl Containers {
    pub fn get(&mut self, id: &str) -> Container {
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        let found = read(id);
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        // A container that has just been made may not have its file yet: only what was found is kept.
        if found != Container::default() {
            self.known.insert(Text::from(id), found.clone());
        }
        found
    }
}

fn read(id: &str) -> Container {
    // Nobody keeps a name beside what is one.
    if !cgroup::is_engines_id(id) {
        return Container { name: Some(Text::from(id)), ..Container::default() };
    }
    let found = STATE_FILES.iter().find_map(|(path, reader)| {
        let bytes = procfs::read_path(&path.replace("{id}", id), MAX_FILE_BYTES)?;
        let state: Value = serde_json::from_slice(&bytes).ok()?;
        Some(reader(&state, id)).filter(|container| *container != Container::default())
    });
    found.unwrap_or_default()
}

fn docker(state: &Value, _id: &str) -> Container {
    let labels = &state["Config"]["Labels"];
    Container {
        name: text(&state["Name"]).map(|name| Text::from(name.trim_start_matches('/'))),
        compose_service: text(&labels["com.docker.compose.service"]),
        image: text(&state["Config"]["Image"]),
    }
}

/// The OCI runtime's `config.json`: names stand in annotations, one set for each engine.
fn oci(state: &Value, _id: &str) -> Container {
    let annotations = &state["annotations"];
    let first = |names: &[&str]| names.iter().find_map(|name| text(&annotations[*name]));
    Container {
        name: first(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "nerdctl/name",
            "io.podman.annotations.name",
        ]),
        compose_service: first(&["com.docker.compose.service"]),
        image: first(&["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "nerdctl/image-ref"]),
    }
}

/// The storage library of Podman and others: a list, in which each engine keeps words of its own as a JSON text.
fn storage(state: &Value, id: &str) -> Container {
    let found = state.as_array().and_then(|all| all.iter().find(|one| one["id"] == *id));
    let own = found.and_then(|one| serde_json::from_str::<Value>(one["metadata"].as_str()?).ok()).unwrap_or_default();
    // A container of CRI-O has a name within its pod too, which says more.
    let name = ["container-name", "name"].iter().find_map(|key| text(&own[*key]));
    let listed = || found.and_then(|one| text(&one["names"][0]));
    Container { name: name.or_else(listed), compose_service: None, image: text(&own["image-name"]) }
}

fn text(value: &Value) -> Option<Text> {
    value.as_str().filter(|text| !text.is_empty() && text.len() <= 256).map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_files_of_engines() {
        let state = serde_json::json!({"Name": "/shop-cart-1", "Config": {"Image": "cart:2",
            "Labels": {"com.docker.compose.service": "cart", "com.docker.compose.project": "shop"}}});
        let found = docker(&state, "");
        assert_eq!(found.name.as_deref(), Some("shop-cart-1"));
        assert_eq!(found.compose_service.as_deref(), Some("cart"));
        assert_eq!(found.image.as_deref(), Some("cart:2"));
        let state = serde_json::json!({"annotations": {"io.kubernetes.cri.container-name": "checkout"}});
        assert_eq!(oci(&state, "").name.as_deref(), Some("checkout"));
        let metadata = r#"{"image-name":"docker.io/library/redis:7","name":"cache"}"#;
        let state = serde_json::json!([{"id": "a", "names": ["other"]}, {"id": "b", "metadata": metadata}]);
        assert_eq!(storage(&state, "b").name.as_deref(), Some("cache"));
        assert_eq!(storage(&state, "b").image.as_deref(), Some("docker.io/library/redis:7"));
        assert_eq!(storage(&state, "a").name.as_deref(), Some("other"));
        assert_eq!(storage(&state, "c"), Container::default());
    }

    #[test]
    fn foreign_documents_give_nothing() {
        for state in
            [serde_json::json!(null), serde_json::json!([1]), serde_json::json!({"Name": 3, "annotations": "x"})]
        {
            for reader in [docker, oci, storage] {
                assert_eq!(reader(&state, "0"), Container::default());
            }
        }
        assert_eq!(Containers::default().get(&"0".repeat(64)), Container::default());
        assert_eq!(Containers::default().get("stock").name.as_deref(), Some("stock"));
    }
}
