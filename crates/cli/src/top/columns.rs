//! The columns of each view: one line adds one.

use super::cells::*;
use super::history::BARS;
use super::rows::{Context, Kind};
use super::screen::Style;

pub struct Cell {
    pub text: String,
    pub style: Style,
}

pub struct Column {
    pub title: &'static str,
    pub width: Width,
    /// Narrower terminals do without.
    pub from: usize,
    pub cell: fn(&Context, u32) -> Cell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Right-aligned figures.
    Figure(usize),
    /// Left-aligned words of at most so many characters.
    Words(usize),
    /// A name, which takes what is left.
    Name,
}

use Width::{Figure, Name, Words};

const fn column(title: &'static str, width: Width, from: usize, cell: fn(&Context, u32) -> Cell) -> Column {
    Column { title, width, from, cell }
}

static SERVICES: &[Column] = &[
    column("SERVICE", Name, 0, |context, number| plain(context.picture.name(number).to_owned())),
    column("PROTOCOL", Words(10), 100, |context, number| plain(spoken(context, number))),
    column("REQ/S", Figure(7), 0, |context, number| rate(context, service(context, number))),
    column("FAILED", Figure(7), 0, |context, number| failed(service(context, number))),
    column("P50", Figure(8), 100, |context, number| quantile(service(context, number), 0.5)),
    column("P95", Figure(8), 0, |context, number| p95(service(context, number))),
    column("P99", Figure(8), 0, |context, number| quantile(service(context, number), 0.99)),
    column("USUALLY", Figure(8), 100, |context, number| usually(service(context, number))),
    column("P95, 15 MIN", Words(BARS), 120, |context, number| plain(bars(context, number))),
    column("WAITS MOSTLY FOR", Words(18), 120, |context, number| plain(waits(context, number))),
];

static EDGES: &[Column] = &[
    column("CALLER", Name, 0, |context, number| plain(end(context, number, true))),
    column("CALLEE", Name, 0, |context, number| plain(end(context, number, false))),
    column("PROTOCOL", Words(10), 100, |context, number| plain(protocol(context, number))),
    column("REQ/S", Figure(7), 0, |context, number| rate(context, edge(context, number))),
    column("FAILED", Figure(7), 0, |context, number| failed(edge(context, number))),
    column("P95 CALLER", Figure(10), 0, |context, number| side(context, number, true)),
    column("P95 CALLEE", Figure(10), 0, |context, number| side(context, number, false)),
    column("USUALLY", Figure(8), 100, |context, number| usually(edge(context, number))),
    column("NETWORK", Figure(8), 130, |context, number| duration(between(context, number))),
    column("QUEUE", Figure(8), 130, |context, number| duration(queue(context, number))),
    column("BYTES/S", Figure(10), 80, |context, number| bytes(context, number)),
    column("CONNS", Figure(7), 110, |context, number| connections(context, number)),
];

static OPERATIONS: &[Column] = &[
    column("OPERATION", Name, 0, |context, number| plain(operation_name(context, number))),
    column("SERVICE", Words(18), 80, |context, number| plain(operation_service(context, number))),
    column("PROTOCOL", Words(10), 110, |context, number| plain(operation_protocol(context, number))),
    column("REQ/S", Figure(7), 0, |context, number| rate(context, operation(context, number))),
    column("FAILED", Figure(7), 0, |context, number| failed(operation(context, number))),
    column("P50", Figure(8), 100, |context, number| quantile(operation(context, number), 0.5)),
    column("P95", Figure(8), 0, |context, number| p95(operation(context, number))),
    column("P99", Figure(8), 0, |context, number| quantile(operation(context, number), 0.99)),
    column("USUALLY", Figure(8), 100, |context, number| usually(operation(context, number))),
    column("TIME", Figure(8), 120, |context, number| share_of_time(context, number)),
];

static PROCESSES: &[Column] = &[
    column("SERVICE", Name, 0, |context, number| plain(process_service(context, number))),
    column("PROCESS", Words(12), 0, |context, number| plain(process_name(context, number))),
    column("REQ/S", Figure(7), 0, |context, number| rate(context, process(context, number))),
    column("FAILED", Figure(7), 0, |context, number| failed(process(context, number))),
    column("P50", Figure(8), 100, |context, number| quantile(process(context, number), 0.5)),
    column("P95", Figure(8), 0, |context, number| p95(process(context, number))),
    column("P99", Figure(8), 0, |context, number| quantile(process(context, number), 0.99)),
    column("USUALLY", Figure(8), 100, |context, number| usually(process(context, number))),
    column("CALLS/S", Figure(8), 0, |context, number| calls(context, number)),
];

pub fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Services => SERVICES,
        Kind::Edges => EDGES,
        Kind::Operations => OPERATIONS,
        Kind::Processes => PROCESSES,
    }
}
