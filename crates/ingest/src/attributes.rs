//! OTLP's `KeyValue` and `AnyValue`: as plain text for labels and columns, as JSON text where the type must survive.
//! Source: opentelemetry/proto/common/v1/common.proto.

use crate::wire::{Value, fields};
use arrow_array::builder::MapFieldNames;
use std::fmt::Write;

/// Arrays and maps inside values: deeper ones are cut off.
const MAX_DEPTH: usize = 8;

/// The names that `schema::attributes_type` has; Arrow's own default differs between its releases.
pub fn map_names() -> MapFieldNames {
    MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() }
}

/// A `KeyValue`: its key and the encoded `AnyValue`.
pub fn key_value(message: &[u8]) -> (&str, &[u8]) {
    let (mut key, mut value) = ("", &[][..]);
    for (field, content) in fields(message) {
        match field {
            1 => key = content.text(),
            2 => value = content.bytes(),
            _ => {}
        }
    }
    (key, value)
}

/// The value as text without quotes: what a label or a dictionary column holds.
pub fn push_text(value: &[u8], out: &mut String) {
    match fields(value).next() {
        Some((1, text)) => out.push_str(text.text()),
        _ => push_json(value, out, 0),
    }
}

pub fn text(value: &[u8]) -> String {
    let mut out = String::new();
    push_text(value, &mut out);
    out
}

/// The value as JSON. OTLP's 64-bit integers stay numbers: the readers of the store parse them as such.
pub fn push_json(value: &[u8], out: &mut String, depth: usize) {
    let Some((field, content)) = fields(value).next() else {
        return out.push_str("null");
    };
    if depth > MAX_DEPTH {
        return out.push_str("null");
    }
    // Writing to a String cannot fail.
    let _ = match field {
        1 => return push_json_text(content.text(), out),
        2 => write!(out, "{}", content.number() != 0),
        3 => write!(out, "{}", content.number() as i64),
        4 if content.double().is_finite() => write!(out, "{}", content.double()),
        4 => write!(out, "\"{}\"", content.double()),
        5 => return push_json_list(content.bytes(), out, depth),
        6 => {
            return push_json_object(
                fields(content.bytes()).filter(|(field, _)| *field == 1).map(|(_, v)| v),
                out,
                depth,
            );
        }
        7 => {
            out.push('"');
            content.bytes().iter().for_each(|byte| {
                let _ = write!(out, "{byte:02x}");
            });
            out.push('"');
            Ok(())
        }
        _ => write!(out, "null"),
    };
}

fn push_json_list(list: &[u8], out: &mut String, depth: usize) {
    out.push('[');
    for (at, (_, item)) in fields(list).filter(|(field, _)| *field == 1).enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_json(item.bytes(), out, depth + 1);
    }
    out.push(']');
}

/// A JSON object of `KeyValue` messages.
pub fn push_json_object<'a>(pairs: impl Iterator<Item = Value<'a>>, out: &mut String, depth: usize) {
    out.push('{');
    for (at, pair) in pairs.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let (key, value) = key_value(pair.bytes());
        push_json_text(key, out);
        out.push(':');
        push_json(value, out, depth + 1);
    }
    out.push('}');
}

pub fn push_json_text(text: &str, out: &mut String) {
    out.push('"');
    if !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        // Nearly all of them.
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
