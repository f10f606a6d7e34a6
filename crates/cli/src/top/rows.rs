//! The rows of each view: which columns they have, which of them are listed, and in which order.

use super::history::{BARS, History};
use super::judge::State;
use super::picture::{Picture, Row, Seen};
use super::screen::{Colour, Style};
use crate::numbers::{self, MISSING};
use std::cmp::Ordering;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Services,
    Edges,
    Operations,
    Processes,
}

pub const KINDS: [Kind; 4] = [Kind::Services, Kind::Edges, Kind::Operations, Kind::Processes];

/// A row of the picture by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    pub kind: Kind,
    pub number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Worst,
    Failed,
    P95,
    Rate,
    Bytes,
    Name,
}

pub const SORTS: [Sort; 6] = [Sort::Worst, Sort::Failed, Sort::P95, Sort::Rate, Sort::Bytes, Sort::Name];

#[derive(Clone, Debug)]
pub struct Choice {
    pub sort: Sort,
    pub turned: bool,
    /// Part of a name, without regard to case.
    pub filter: String,
    pub failed_only: bool,
    /// Only these services.
    pub among: Option<BTreeSet<u32>>,
}

impl Default for Choice {
    fn default() -> Self {
        Choice { sort: Sort::Worst, turned: false, filter: String::new(), failed_only: false, among: None }
    }
}

/// What a cell is made from.
pub struct Context<'a> {
    pub picture: &'a Picture,
    pub history: &'a History,
}

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

impl Kind {
    pub fn title(self) -> &'static str {
        match self {
            Kind::Services => "Services",
            Kind::Edges => "Edges",
            Kind::Operations => "Operations",
            Kind::Processes => "Processes",
        }
    }

    pub fn columns(self) -> &'static [Column] {
        match self {
            Kind::Services => SERVICES,
            Kind::Edges => EDGES,
            Kind::Operations => OPERATIONS,
            Kind::Processes => PROCESSES,
        }
    }
}

impl Sort {
    pub fn as_str(self) -> &'static str {
        match self {
            Sort::Worst => "worst",
            Sort::Failed => "failed",
            Sort::P95 => "p95",
            Sort::Rate => "rate",
            Sort::Bytes => "bytes",
            Sort::Name => "name",
        }
    }
}

/// Figures and verdict of a row.
pub fn seen(picture: &Picture, key: RowKey) -> Option<&Seen> {
    let at = key.number as usize;
    match key.kind {
        Kind::Services => seen_in(&picture.services, at),
        Kind::Edges => seen_in(&picture.edges, at),
        Kind::Operations => seen_in(&picture.operations, at),
        Kind::Processes => seen_in(&picture.processes, at),
    }
}

fn seen_in<R: Row>(rows: &[Option<R>], at: usize) -> Option<&Seen> {
    Some(rows.get(at)?.as_ref()?.seen())
}

/// All rows of a kind.
pub fn keys(picture: &Picture, kind: Kind) -> Vec<RowKey> {
    let length = match kind {
        Kind::Services => picture.services.len(),
        Kind::Edges => picture.edges.len(),
        Kind::Operations => picture.operations.len(),
        Kind::Processes => picture.processes.len(),
    };
    let all = (0..length as u32).map(|number| RowKey { kind, number });
    all.filter(|key| seen(picture, *key).is_some()).collect()
}

/// Those that are wanted, in the order that is wanted.
pub fn listed(context: &Context, mut keys: Vec<RowKey>, choice: &Choice) -> Vec<RowKey> {
    let filter = choice.filter.to_lowercase();
    keys.retain(|key| {
        let failed =
            || seen(context.picture, *key).and_then(|seen| seen.views.figures()).is_some_and(|f| f.failed() > 0);
        let among =
            |among: &BTreeSet<u32>| services_of(context.picture, *key).iter().all(|number| among.contains(number));
        (!choice.failed_only || failed())
            && choice.among.as_ref().is_none_or(among)
            && (filter.is_empty() || full_name(context, *key).to_lowercase().contains(&filter))
    });
    let mut ordered: Vec<(Rank, RowKey)> = keys.into_iter().map(|key| (Rank::new(context, key), key)).collect();
    ordered.sort_by(|a, b| {
        let order = a.0.compare(&b.0, choice.sort);
        if choice.turned { order.reverse() } else { order }
    });
    ordered.into_iter().map(|(_, key)| key).collect()
}

/// By what rows are ordered.
struct Rank {
    state: State,
    failed: f64,
    rate: f64,
    p95: f64,
    bytes: f64,
    name: String,
}

impl Rank {
    fn new(context: &Context, key: RowKey) -> Rank {
        let seen = seen(context.picture, key);
        let figures = seen.and_then(|seen| seen.views.figures());
        let bytes = if key.kind == Kind::Edges { bytes_of(context, key.number) } else { 0.0 };
        Rank {
            state: seen.map_or(State::Ok, |seen| seen.verdict.state),
            failed: figures.and_then(|figures| figures.failed_share()).unwrap_or(0.0),
            // What only calls has nothing to show, and stands last.
            rate: figures.map_or(-1.0, |figures| figures.requests as f64),
            p95: figures.and_then(|figures| figures.quantile_ms(0.95)).unwrap_or(0.0),
            bytes,
            name: full_name(context, key),
        }
    }

    /// Largest first, names from A to Z; equal ones by name, so that rows stay where they are.
    fn compare(&self, other: &Rank, sort: Sort) -> Ordering {
        let most = |mine: f64, theirs: f64| theirs.total_cmp(&mine);
        let order = match sort {
            Sort::Worst => {
                self.state.cmp(&other.state).then(most(self.failed, other.failed)).then(most(self.rate, other.rate))
            }
            Sort::Failed => most(self.failed, other.failed).then(most(self.rate, other.rate)),
            Sort::P95 => most(self.p95, other.p95),
            Sort::Rate => most(self.rate, other.rate),
            Sort::Bytes => most(self.bytes, other.bytes).then(most(self.rate, other.rate)),
            Sort::Name => Ordering::Equal,
        };
        order.then_with(|| self.name.cmp(&other.name))
    }
}

/// The services that a row is about.
pub fn services_of(picture: &Picture, key: RowKey) -> Vec<u32> {
    match key.kind {
        Kind::Services => vec![key.number],
        Kind::Edges => picture.edge(key.number).map_or(vec![], |row| vec![row.caller, row.callee]),
        Kind::Operations => picture.operation(key.number).map_or(vec![], |row| vec![row.service]),
        Kind::Processes => picture.process(key.number).map_or(vec![], |row| vec![row.service]),
    }
}

/// Everything that a filter looks into.
pub fn full_name(context: &Context, key: RowKey) -> String {
    let number = key.number;
    match key.kind {
        Kind::Services => context.picture.name(number).to_owned(),
        Kind::Edges => {
            format!("{} > {} {}", end(context, number, true), end(context, number, false), protocol(context, number))
        }
        Kind::Operations => format!("{} {}", operation_name(context, number), operation_service(context, number)),
        Kind::Processes => format!("{} {}", process_service(context, number), process_name(context, number)),
    }
}

fn plain(text: String) -> Cell {
    Cell { text, style: Style::default() }
}

fn missing() -> Cell {
    Cell { text: MISSING.into(), style: Style::DIM }
}

fn duration(ms: Option<f64>) -> Cell {
    ms.map_or_else(missing, |ms| plain(numbers::milliseconds(ms)))
}

fn service<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Services, number })
}

fn edge<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Edges, number })
}

fn operation<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Operations, number })
}

fn process<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Processes, number })
}

fn rate(context: &Context, seen: Option<&Seen>) -> Cell {
    match seen.and_then(|seen| seen.views.figures()) {
        Some(figures) if figures.requests > 0 => plain(numbers::per_second(context.picture.rate(figures.requests))),
        _ => missing(),
    }
}

fn failed(seen: Option<&Seen>) -> Cell {
    let Some((seen, share)) = seen.and_then(|seen| Some((seen, seen.views.figures()?.failed_share()?))) else {
        return missing();
    };
    let style = if share == 0.0 { Style::DIM } else { deviating(seen, super::judge::Kind::Failures) };
    Cell { text: numbers::share(share), style }
}

fn p95(seen: Option<&Seen>) -> Cell {
    let style = seen.map_or(Style::default(), |seen| deviating(seen, super::judge::Kind::Latency));
    Cell { style: if style == Style::default() { quantile(seen, 0.95).style } else { style }, ..quantile(seen, 0.95) }
}

/// What deviates is coloured, nothing else.
fn deviating(seen: &Seen, kind: super::judge::Kind) -> Style {
    let reason = seen.verdict.reasons.iter().find(|reason| reason.kind == kind);
    reason.map_or(Style::default(), |reason| style_of(reason.state))
}

pub fn style_of(state: State) -> Style {
    match state {
        State::Critical => Style { colour: Colour::Red, bold: true, reverse: false },
        State::Warning => Style { colour: Colour::Yellow, bold: true, reverse: false },
        State::Affected => Style { colour: Colour::Yellow, bold: false, reverse: false },
        State::NoData => Style::DIM,
        State::Ok => Style::default(),
    }
}

fn quantile(seen: Option<&Seen>, q: f64) -> Cell {
    duration(seen.and_then(|seen| seen.views.figures()?.quantile_ms(q)))
}

fn usually(seen: Option<&Seen>) -> Cell {
    duration(seen.and_then(|seen| seen.usual_p95_ms))
}

fn spoken(context: &Context, number: u32) -> String {
    let Some(service) = context.picture.service(number) else { return String::new() };
    if service.protocols.is_empty() {
        return "calls only".into();
    }
    service.protocols.join(", ")
}

fn bars(context: &Context, number: u32) -> String {
    let values = context.history.bars(number);
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: &Option<f64>| match value {
        None => '·',
        Some(value) => {
            char::from_u32('▁' as u32 + ((value / most) * 7.0).round().clamp(0.0, 7.0) as u32).unwrap_or('?')
        }
    };
    values.iter().map(bar).collect()
}

fn waits(context: &Context, number: u32) -> String {
    let Some(service) = context.picture.service(number) else { return String::new() };
    if service.seen.verdict.state == State::NoData {
        let silent = context.history.silent_for(number).map(|silent| numbers::span(silent.as_secs_f64()));
        return format!("silent {}", silent.unwrap_or_default());
    }
    match service.waits_for() {
        Some((callee, share)) => {
            format!("{} {}", numbers::shorten(context.picture.name(callee), 11, "…"), numbers::share(share))
        }
        None if !service.watched && !service.protocols.is_empty() => "not watched".into(),
        None => String::new(),
    }
}

fn end(context: &Context, number: u32, caller: bool) -> String {
    let Some(edge) = context.picture.edge(number) else { return String::new() };
    context.picture.name(if caller { edge.caller } else { edge.callee }).to_owned()
}

fn protocol(context: &Context, number: u32) -> String {
    let edge = context.picture.edge(number);
    edge.map_or(String::new(), |edge| edge.protocol.to_string())
}

fn side(context: &Context, number: u32, caller: bool) -> Cell {
    let views = edge(context, number).map(|seen| &seen.views);
    let figures = views.and_then(|views| if caller { views.client.as_deref() } else { views.server.as_deref() });
    duration(figures.and_then(|figures| figures.quantile_ms(0.95)))
}

fn between(context: &Context, number: u32) -> Option<f64> {
    context.picture.edge(number)?.between_p95_ms()
}

fn queue(context: &Context, number: u32) -> Option<f64> {
    let queue = &context.picture.edge(number)?.queue;
    queue.quantile(0.95).map(|seconds| seconds * 1000.0)
}

fn bytes_of(context: &Context, number: u32) -> f64 {
    let edge = context.picture.edge(number);
    edge.map_or(0.0, |edge| edge.links().sent + edge.links().received)
}

fn bytes(context: &Context, number: u32) -> Cell {
    match bytes_of(context, number) {
        0.0 => missing(),
        sum => plain(numbers::bytes((sum / context.picture.seconds).round().max(1.0))),
    }
}

fn connections(context: &Context, number: u32) -> Cell {
    match context.picture.edge(number).map(|edge| edge.links().connections) {
        Some(open) if open > 0.0 => plain(numbers::count(open)),
        _ => missing(),
    }
}

pub fn operation_name(context: &Context, number: u32) -> String {
    let Some(row) = context.picture.operation(number) else { return String::new() };
    let parts = [row.operation.as_str(), row.resource.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn operation_service(context: &Context, number: u32) -> String {
    let row = context.picture.operation(number);
    row.map_or(String::new(), |row| context.picture.name(row.service).to_owned())
}

fn operation_protocol(context: &Context, number: u32) -> String {
    let row = context.picture.operation(number);
    row.map_or(String::new(), |row| row.protocol.to_string())
}

/// Which part of its service's time went into it.
fn share_of_time(context: &Context, number: u32) -> Cell {
    let time = |seen: Option<&Seen>| seen.and_then(|seen| seen.views.figures()).map(|figures| figures.latency.sum);
    let row = context.picture.operation(number);
    let all = row.and_then(|row| time(service(context, row.service))).filter(|all| *all > 0.0);
    match time(operation(context, number)).zip(all) {
        Some((own, all)) => plain(numbers::share((own / all).min(1.0))),
        None => missing(),
    }
}

fn process_service(context: &Context, number: u32) -> String {
    context.picture.process(number).map_or(String::new(), |row| context.picture.name(row.service).to_owned())
}

fn process_name(context: &Context, number: u32) -> String {
    context.picture.process(number).map_or(String::new(), |row| row.pid().unwrap_or(&row.instance).to_owned())
}

fn calls(context: &Context, number: u32) -> Cell {
    match context.picture.process(number).map(|row| row.calls.requests) {
        Some(calls) if calls > 0 => plain(numbers::per_second(context.picture.rate(calls))),
        _ => missing(),
    }
}
