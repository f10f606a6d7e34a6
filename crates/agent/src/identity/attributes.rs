//! The resource attributes of a process, named by the semantic conventions.

use super::containers::Container;
use super::host::Host;
use super::image::Image;
use super::naming::{self, Name};
use super::{program, redact};
use crate::telemetry::Process;
use limpid_model::{Text, entity};

/// Attributes that what a person wrote into `OTEL_RESOURCE_ATTRIBUTES` cannot change: they are facts, or ours.
const NOT_TO_BE_SET: &[&str] =
    &["service.name", "service.instance.id", "host.", "process.", "container.id", "limpid.", "os."];
const MAX_VALUE_BYTES: usize = 256;

#[allow(clippy::too_many_arguments)]
pub fn process(
    host: &Host,
    pid: u32,
    start: u64,
    image: &Image,
    name: &Name,
    container: Option<&Container>,
    owner: Option<Text>,
    own: bool,
) -> Process {
    let entity = entity::process_id(&host.id, start, pid);
    let mut attributes = Attributes(Vec::with_capacity(20));
    attributes.push("service.name", name.service.clone());
    attributes.push("service.instance.id", entity.clone());
    attributes.push("process.pid", compact_str::format_compact!("{pid}"));
    attributes.push("process.executable.name", program::executable_name(&image.exe));
    attributes.push("process.executable.path", &*image.exe);
    let args = image.args();
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    attributes.push("process.command_line", redact::command_line(&args));
    attributes.push("process.owner", owner.unwrap_or_default());
    attributes.push("process.runtime.name", name.runtime.unwrap_or_default());
    attributes.push("container.id", image.place.container.clone().unwrap_or_default());
    if let Some(container) = container {
        attributes.push("container.name", container.name.clone().unwrap_or_default());
        attributes.push("container.image.name", container.image.clone().unwrap_or_default());
    }
    attributes.push("limpid.systemd.unit", image.place.unit.clone().unwrap_or_default());
    attributes.push("limpid.service.name.source", name.source.as_str());
    attributes.push_host(host);
    attributes.push_told(image.resource_attributes.as_deref().unwrap_or_default());
    Process { tgid: pid, start, service: name.service.clone(), entity, attributes: attributes.0, own }
}

/// Stands for processes that were gone before anything was known of them.
pub fn unknown(host: &Host) -> Process {
    let mut attributes = Attributes(Vec::new());
    attributes.push("service.name", "unknown");
    attributes.push_host(host);
    let entity = entity::process_id(&host.id, 0, 0);
    Process { tgid: 0, start: 0, service: Text::const_new("unknown"), entity, attributes: attributes.0, own: false }
}

struct Attributes(Vec<(Text, Text)>);

impl Attributes {
    fn push(&mut self, name: &'static str, value: impl Into<Text>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.push((Text::const_new(name), value));
        }
    }

    fn push_host(&mut self, host: &Host) {
        self.push("host.id", host.id.clone());
        self.push("host.name", host.name.clone());
        self.push("host.arch", host.arch);
        self.push("os.type", "linux");
    }

    fn push_told(&mut self, list: &str) {
        for (name, value) in naming::resource_attributes(list) {
            let ours = NOT_TO_BE_SET
                .iter()
                .any(|fixed| if fixed.ends_with('.') { name.starts_with(fixed) } else { name == *fixed });
            let present = self.0.iter().any(|(have, _)| *have == name);
            if !ours
                && !present
                && !value.is_empty()
                && value.len() <= MAX_VALUE_BYTES
                && !redact::is_secret_name(&name)
            {
                self.0.push((name, redact::value(&value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_cannot_be_told_otherwise_and_secrets_stay_here() {
        let environment = b"OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,host.name=lie,deployment.environment.name=test,api.token=canary,db.url=postgres://me:canary@db/shop\0";
        let image = Image::from_record(b"/bin/app\0", b"app\0--password=canary\0", environment, b"", 0);
        let host = Host::read();
        let name = naming::name(&image, None);
        let process = process(&host, 7, 9, &image, &name, None, Some("root".into()), false);
        let value =
            |name: &str| process.attributes.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str());
        assert_eq!(value("service.namespace"), Some("shop"));
        assert_eq!(value("deployment.environment.name"), Some("test"));
        assert_eq!(value("host.name"), Some(host.name.as_str()));
        assert_eq!(value("process.command_line"), Some("app --password=REDACTED"));
        assert_eq!(value("service.instance.id"), Some(process.entity.as_str()));
        assert!(!format!("{process:?}").contains("canary"));
    }
}
