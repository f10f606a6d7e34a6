//! Traces: searched by what their spans say, how those found spread, and one trace as a tree with both views of each call.

mod census;
mod columns;
mod counts;
mod facets;
mod heat;
pub(crate) mod names;
mod parts;
pub(crate) mod plan;
mod search;
mod slices;
mod tree;
mod whole;

pub use facets::{Difference, Exploration, Facet, FacetValue, Rectangle, explore};
pub use parts::TimePart;
pub use search::{TraceQuery, TraceSummary, search};
pub use tree::{Span, Trace, parse_trace_id, trace};
