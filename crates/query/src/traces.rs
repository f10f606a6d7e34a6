//! Traces: searched by what their spans say, and one trace as a tree with both views of each call.

mod parts;
mod search;
mod tree;

pub use parts::TimePart;
pub use search::{TraceQuery, TraceSummary, search};
pub use tree::{Span, Trace, parse_trace_id, trace};
