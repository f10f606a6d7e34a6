//! Query attributes: name and value pairs that a client sends in front of a statement (MySQL 8.0.23 and later). Their
//! values are the user's; only a trace context is taken out of them.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html>

use super::packets::{counted, integer};
use crate::sql_trace;
use limpid_model::TraceContext;

/// More are not believed.
const MAX_ATTRIBUTES: u64 = 256;
const NEW_TYPES: u8 = 1;

/// What stands behind the attributes, and the trace context in them. `None` when they are cut or make no sense.
pub fn statement_behind(body: &[u8]) -> Option<(&[u8], Option<TraceContext>)> {
    let (count, bytes) = integer(body)?;
    let rest = body.get(bytes..)?;
    let (_sets, bytes) = integer(rest)?;
    let rest = rest.get(bytes..)?;
    match count {
        0 => Some((rest, None)),
        1..=MAX_ATTRIBUTES => values(rest, count as usize),
        _ => None,
    }
}

fn values(body: &[u8], count: usize) -> Option<(&[u8], Option<TraceContext>)> {
    let (nulls, rest) = body.split_at_checked(count.div_ceil(8))?;
    let mut rest = rest.strip_prefix(&[NEW_TYPES])?;
    let mut attributes = Vec::with_capacity(count);
    for _ in 0..count {
        let (kind, behind) = rest.split_first_chunk::<2>()?;
        let (name, behind) = counted(behind)?;
        attributes.push((kind[0], name));
        rest = behind;
    }
    let mut trace = None;
    for (index, (kind, name)) in attributes.into_iter().enumerate() {
        if nulls[index / 8] >> (index % 8) & 1 == 1 {
            continue;
        }
        let (value, behind) = value(kind, rest)?;
        if name == b"traceparent" {
            trace = sql_trace::traceparent(value);
        }
        rest = behind;
    }
    Some((rest, trace))
}

/// A value by its type, and what stands behind it.
fn value(kind: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = match kind {
        0x06 => 0,
        0x01 => 1,
        0x02 | 0x0d => 2,
        0x03 | 0x04 | 0x09 => 4,
        0x05 | 0x08 => 8,
        // Dates and times, with their length in front.
        0x07 | 0x0a..=0x0c => 1 + usize::from(*rest.first()?),
        _ => return counted(rest),
    };
    rest.split_at_checked(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_found_behind_attributes_of_every_type() {
        let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let body = [
            &b"\x04\x01\x08\x01\x03\0\x01n\xfe\0\x0btraceparent\x0b\0\x01t\xfe\0\x01x\x01\0\0\0\x37"[..],
            parent,
            b"\x02\xaa\xbbSELECT 1",
        ]
        .concat();
        let (statement, trace) = statement_behind(&body).expect("it is whole");
        assert_eq!(statement, b"SELECT 1");
        assert!(trace.is_some_and(|trace| trace.sampled));
        for cut in 0..body.len() - 8 {
            assert!(statement_behind(&body[..cut]).is_none(), "{cut}");
        }
        assert_eq!(statement_behind(b"\0\x01SELECT 2").map(|(text, _)| text), Some(&b"SELECT 2"[..]));
    }
}
