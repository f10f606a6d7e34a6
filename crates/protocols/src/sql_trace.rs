//! The trace context that a client's library wrote into a statement's comment, as sqlcommenter defines it:
//! `/*traceparent='00-<trace id>-<span id>-01',application='shop'*/`.

use crate::trace;
use limpid_model::TraceContext;

/// Looks into comments only: a literal that looks like one says nothing about this statement.
pub fn in_comments(statement: &[u8]) -> Option<TraceContext> {
    // Most statements have no comment, and one byte tells.
    memchr::memchr(b'/', statement)?;
    // sqlcommenter appends, some libraries prepend: outside of both there is nothing to look at.
    let key = memchr::memmem::rfind(statement, b"traceparent=")?;
    let open = memchr::memmem::rfind(&statement[..key], b"/*")?;
    let body = &statement[open + 2..];
    let end = memchr::memmem::find(body, b"*/")?;
    let comment = body.get(..end)?;
    let at_an_end = statement[..open].trim_ascii().is_empty() || ends_statement(&body[end + 2..]);
    if !at_an_end || memchr::memchr(b'\'', &statement[..open]).is_some() && inside_literal(&statement[..open]) {
        return None;
    }
    let value = comment.get(key - open - 2 + b"traceparent=".len()..)?;
    traceparent(value.strip_prefix(b"'").or(value.strip_prefix(b"%27"))?.get(..55)?)
}

fn ends_statement(rest: &[u8]) -> bool {
    rest.iter().all(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | b';' | 0))
}

/// An odd number of quotes before it: the comment is text of a literal.
fn inside_literal(before: &[u8]) -> bool {
    memchr::memchr_iter(b'\'', before).count() % 2 == 1
}

/// Version 00 alone: what a later version would hold is not known to end where this one does.
pub fn traceparent(value: &[u8]) -> Option<TraceContext> {
    if value.len() != 55 || !value.starts_with(b"00-") {
        return None;
    }
    trace::traceparent(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_taken_from_comments_only() {
        let parent = PARENT;
        for (statement, found) in [
            (format!("SELECT 1 /*app='x',traceparent='{parent}'*/"), true),
            (format!("SELECT 'it''s' /*traceparent='{parent}',tracestate='a%3Db'*/;"), true),
            (format!("/* traceparent='{parent}' */ SELECT 1"), true),
            (format!("SELECT 'traceparent={parent}'"), false),
            (format!("SELECT '/*traceparent=''{parent}''*/"), false),
            (format!("INSERT INTO t VALUES (' /*traceparent='{parent}'*/ ')"), false),
            (format!("SELECT 1 /*traceparent='{}'*/", parent.replace('a', "A")), false),
            (format!("SELECT 1 /*traceparent='{}'*/", parent.replace("b7ad6b7169203331", "0000000000000000")), false),
            (format!("SELECT 1 /*traceparent='{}", &parent[..40]), false),
            ("SELECT 1 /*traceparent=*/".to_string(), false),
        ] {
            assert_eq!(in_comments(statement.as_bytes()).is_some(), found, "{statement}");
        }
        assert!(in_comments(format!("SELECT 1 /*traceparent='{parent}'*/").as_bytes()).is_some_and(|c| c.sampled));
    }
}
