//! Trace contexts that a request carries in its own header fields: W3C `traceparent`, else B3 in its two spellings.
//! What is not exactly right is none: no parent is better than a wrong parent.

use crate::http::value;
use limpid_model::TraceContext;

#[derive(Default)]
pub struct TraceFields<'a> {
    traceparent: Option<&'a [u8]>,
    b3: Option<&'a [u8]>,
    b3_trace_id: Option<&'a [u8]>,
    b3_span_id: Option<&'a [u8]>,
    b3_sampled: Option<&'a [u8]>,
}

impl<'a> TraceFields<'a> {
    /// In the order in which they stand above.
    pub fn of([traceparent, b3, b3_trace_id, b3_span_id, b3_sampled]: [Option<&'a [u8]>; 5]) -> TraceFields<'a> {
        TraceFields { traceparent, b3, b3_trace_id, b3_span_id, b3_sampled }
    }

    /// Takes a line of a head if it is one of these fields.
    pub fn read(&mut self, line: &'a [u8]) {
        let fields: [(&[u8], &mut Option<&'a [u8]>); 5] = [
            (b"traceparent", &mut self.traceparent),
            (b"b3", &mut self.b3),
            (b"x-b3-traceid", &mut self.b3_trace_id),
            (b"x-b3-spanid", &mut self.b3_span_id),
            (b"x-b3-sampled", &mut self.b3_sampled),
        ];
        for (name, field) in fields {
            *field = value(line, name).or(*field);
        }
    }

    pub fn context(&self) -> Option<TraceContext> {
        self.traceparent.and_then(traceparent).or_else(|| self.b3.and_then(b3_single)).or_else(|| self.b3_multi())
    }

    fn b3_multi(&self) -> Option<TraceContext> {
        let sampled = self.b3_sampled.is_none_or(|value| matches!(value, b"1" | b"true"));
        context(b3_trace_id(self.b3_trace_id?)?, self.b3_span_id?, sampled)
    }
}

/// W3C Trace Context, level 1; a later version may have more behind a dash.
pub fn traceparent(value: &[u8]) -> Option<TraceContext> {
    let (head, rest) = (value.get(..55)?, value.get(55..)?);
    let [version, trace_id, span_id, flags] = fields(head, [2, 32, 16, 2])?;
    let version: [u8; 1] = hex(version)?;
    let rest_is_right = rest.is_empty() || version != [0] && rest.first() == Some(&b'-');
    if version == [0xff] || !rest_is_right {
        return None;
    }
    let [flags] = hex(flags)?;
    context(hex(trace_id)?, span_id, flags & 1 == 1)
}

/// `<trace id>-<span id>[-<sampled>[-<parent id>]]`
fn b3_single(value: &[u8]) -> Option<TraceContext> {
    let mut parts = value.split(|byte| *byte == b'-');
    let (trace_id, span_id) = (b3_trace_id(parts.next()?)?, parts.next()?);
    let sampled = match parts.next() {
        None | Some(b"1" | b"d") => true,
        Some(b"0") => false,
        Some(_) => return None,
    };
    context(trace_id, span_id, sampled)
}

/// 128 bits, or 64 with zeros in front.
fn b3_trace_id(value: &[u8]) -> Option<[u8; 16]> {
    if value.len() == 16 {
        let low: [u8; 8] = hex(value)?;
        return Some(u128::from(u64::from_be_bytes(low)).to_be_bytes());
    }
    hex(value)
}

fn context(trace_id: [u8; 16], span_id: &[u8], sampled: bool) -> Option<TraceContext> {
    let parent_span_id = hex(span_id)?;
    (trace_id != [0; 16] && parent_span_id != [0; 8]).then_some(TraceContext { trace_id, parent_span_id, sampled })
}

/// Fields of fixed length with dashes in between.
fn fields<const N: usize>(value: &[u8], lengths: [usize; N]) -> Option<[&[u8]; N]> {
    let mut parts = value.split(|byte| *byte == b'-');
    let mut out = [&b""[..]; N];
    for (part, length) in out.iter_mut().zip(lengths) {
        *part = parts.next().filter(|part| part.len() == length)?;
    }
    Some(out)
}

/// Lower-case hexadecimal of exactly this length.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(*pair.first()?)? << 4 | digit(*pair.last()?)?;
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn traceparent_is_read_strictly() {
        for (value, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("cc-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01-more"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01more"), None),
            (format!("00-{TRACE}-{SPAN}-01-more"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{TRACE}-{SPAN}-0"), None),
            (String::new(), None),
        ] {
            assert_eq!(traceparent(value.as_bytes()).map(|context| context.sampled), sampled, "{value}");
        }
    }

    #[test]
    fn b3_in_both_spellings() {
        let single = b3_single(format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90").as_bytes());
        assert_eq!(single.map(|context| context.trace_id[0]), Some(0x0a));
        assert_eq!(b3_single(b"0"), None);
        let mut fields = TraceFields::default();
        fields.read(b"X-B3-TraceId: 8448eb211c80319c");
        assert_eq!(fields.context(), None);
        let span = format!("x-b3-spanid:{SPAN}");
        fields.read(span.as_bytes());
        fields.read(b"x-b3-sampled: 0");
        let context = fields.context().unwrap();
        assert_eq!((&context.trace_id[..9], context.sampled), (&[0, 0, 0, 0, 0, 0, 0, 0, 0x84][..], false));
        let parent = format!("TraceParent: 00-{TRACE}-{SPAN}-01");
        fields.read(parent.as_bytes());
        assert_eq!(fields.context().map(|context| context.trace_id[0]), Some(0x0a), "traceparent comes first");
    }
}
