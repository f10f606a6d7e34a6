//! `ExportLogsServiceRequest`: the state of entities, one log record each (see `limpid_model::names::ENTITY_EVENT`).

use super::{Agent, Writer, resource, scope, text_attribute};
use limpid_model::Entity;
use limpid_model::names::{ENTITY_EVENT, ENTITY_ID, ENTITY_KIND, ENTITY_NAME};

const SEVERITY_INFO: u64 = 9;
const ATTRIBUTES: u32 = 6;

pub fn encode(entities: &[Entity], agent: &Agent) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::with_capacity(entities.len() * 768) };
    writer.message(1, |writer| {
        resource(writer, &agent.cluster, &agent.attributes);
        writer.message(2, |writer| {
            scope(writer);
            for entity in entities {
                writer.message(2, |writer| encode_entity(writer, entity));
            }
        });
    });
    writer.bytes
}

/// One record that is no entity: its name and its body.
pub fn encode_event(name: &str, body: &str, time_ns: u64, agent: &Agent) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::with_capacity(body.len() + 1024) };
    writer.message(1, |writer| {
        resource(writer, &agent.cluster, &agent.attributes);
        writer.message(2, |writer| {
            scope(writer);
            writer.message(2, |writer| {
                writer.fixed64(1, time_ns);
                writer.uint(2, SEVERITY_INFO);
                writer.message(5, |writer| writer.text(1, body));
                writer.fixed64(11, time_ns);
                writer.text(12, name);
            });
        });
    });
    writer.bytes
}

fn encode_entity(writer: &mut Writer, entity: &Entity) {
    writer.fixed64(1, entity.start_ns);
    writer.uint(2, SEVERITY_INFO);
    for (name, value) in [(ENTITY_ID, &entity.id), (ENTITY_KIND, &entity.kind), (ENTITY_NAME, &entity.name)] {
        text_attribute(writer, ATTRIBUTES, name, value);
    }
    for (name, value) in &entity.attributes {
        text_attribute(writer, ATTRIBUTES, name, value);
    }
    writer.fixed64(11, entity.end_ns);
    writer.text(12, ENTITY_EVENT);
}
