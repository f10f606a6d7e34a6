//! OTLP messages, one file a signal. Field numbers are those of `opentelemetry-proto` 1.x; the tests decode what is
//! written here with the project's own generated types.

pub mod logs;
pub mod metrics;
mod span;
pub mod traces;

use super::protobuf::{Writer, field_length, varint_length};
use limpid_model::Text;
use limpid_model::names::{SCHEMA, SCHEMA_KEY};

/// Which cluster a machine belongs to, when nothing else is said.
pub const DEFAULT_CLUSTER: &str = "local";
const CLUSTER_KEY: &str = "limpid.cluster";
const SCOPE: &str = "limpid";

/// A `KeyValue` with a text. Inlined, so that a name that is known beforehand is copied without a call.
#[inline(always)]
pub(super) fn text_attribute(writer: &mut Writer, field: u32, key: &str, value: &str) {
    if field < 16 && key.len() + value.len() < SHORT {
        // Nearly all of them: every length is one byte, so the heads are written as a whole.
        let (key_length, value_length) = (key.len() as u8, value.len() as u8);
        writer.bytes.extend_from_slice(&[(field << 3) as u8 | 2, key_length + value_length + 6, 0x0a, key_length]);
        writer.bytes.extend_from_slice(key.as_bytes());
        writer.bytes.extend_from_slice(&[0x12, value_length + 2, 0x0a, value_length]);
        writer.bytes.extend_from_slice(value.as_bytes());
        return;
    }
    let any = field_length(value.len());
    writer.length_delimited(field, field_length(key.len()) + field_length(any));
    writer.length_delimited(1, key.len());
    writer.bytes.extend_from_slice(key.as_bytes());
    writer.length_delimited(2, any);
    writer.length_delimited(1, value.len());
    writer.bytes.extend_from_slice(value.as_bytes());
}

/// Key and value together, so that with their heads they stay below the 128 that one byte of length holds.
const SHORT: usize = 122;

#[inline]
pub(super) fn int_attribute(writer: &mut Writer, field: u32, key: &str, value: i64) {
    number_attribute(writer, field, key, 3, value as u64);
}

/// `member` is the field of `AnyValue`: 2 a bool, 3 an int.
fn number_attribute(writer: &mut Writer, field: u32, key: &str, member: u32, value: u64) {
    let any = 1 + varint_length(value);
    writer.length_delimited(field, field_length(key.len()) + field_length(any));
    writer.length_delimited(1, key.len());
    writer.bytes.extend_from_slice(key.as_bytes());
    writer.length_delimited(2, any);
    writer.tag(member, 0);
    writer.varint(value);
}

/// `Resource`, as field 1 of the messages that have one.
fn resource(writer: &mut Writer, cluster: &str, attributes: &[(Text, Text)]) {
    writer.message(1, |writer| {
        for (name, value) in attributes {
            text_attribute(writer, 1, name, value);
        }
        text_attribute(writer, 1, CLUSTER_KEY, cluster);
        text_attribute(writer, 1, SCHEMA_KEY, SCHEMA);
    });
}

/// `InstrumentationScope`, as field 1 of the `Scope…` messages.
fn scope(writer: &mut Writer) {
    writer.message(1, |writer| {
        writer.text(1, SCOPE);
        writer.text(2, env!("CARGO_PKG_VERSION"));
    });
}

/// The agent itself, as the resource of metrics and entities.
#[derive(Clone, Debug)]
pub struct Agent {
    pub cluster: Text,
    pub attributes: Vec<(Text, Text)>,
}

impl Agent {
    pub fn new(host: &crate::identity::host::Host, cluster: &str) -> Agent {
        let pid = std::process::id();
        let attributes = [
            ("service.name", Text::const_new("limpid-agent")),
            ("service.instance.id", host.id.clone()),
            ("service.version", Text::const_new(env!("CARGO_PKG_VERSION"))),
            ("process.pid", compact_str::format_compact!("{pid}")),
            ("host.id", host.id.clone()),
            ("host.name", host.name.clone()),
            ("host.arch", Text::const_new(host.arch)),
            ("os.type", Text::const_new("linux")),
        ];
        let attributes = attributes.into_iter().map(|(name, value)| (Text::const_new(name), value)).collect();
        Agent { cluster: Text::from(cluster), attributes }
    }
}
