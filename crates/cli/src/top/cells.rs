//! What stands in the cells. What deviates is coloured, nothing else; what is missing is a dash.

use super::columns::Cell;
use super::judge::{self, State};
use super::picture::Seen;
use super::rows::{Context, Kind, RowKey, seen};
use super::screen::{Colour, Style};
use crate::numbers::{self, MISSING};

pub fn plain(text: String) -> Cell {
    Cell { text, style: Style::default() }
}

pub fn missing() -> Cell {
    Cell { text: MISSING.into(), style: Style::DIM }
}

pub fn duration(ms: Option<f64>) -> Cell {
    ms.map_or_else(missing, |ms| plain(numbers::milliseconds(ms)))
}

pub fn service<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Services, number })
}

pub fn edge<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Edges, number })
}

pub fn operation<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Operations, number })
}

pub fn process<'a>(context: &'a Context, number: u32) -> Option<&'a Seen> {
    seen(context.picture, RowKey { kind: Kind::Processes, number })
}

pub fn rate(context: &Context, seen: Option<&Seen>) -> Cell {
    match seen.and_then(|seen| seen.views.figures()) {
        Some(figures) if figures.requests > 0 => plain(numbers::per_second(context.picture.rate(figures.requests))),
        _ => missing(),
    }
}

pub fn failed(seen: Option<&Seen>) -> Cell {
    let Some((seen, share)) = seen.and_then(|seen| Some((seen, seen.views.figures()?.failed_share()?))) else {
        return missing();
    };
    let style = if share == 0.0 { Style::DIM } else { deviating(seen, judge::Kind::Failures) };
    Cell { text: numbers::share(share), style }
}

pub fn p95(seen: Option<&Seen>) -> Cell {
    let style = seen.map_or(Style::default(), |seen| deviating(seen, judge::Kind::Latency));
    Cell { style: if style == Style::default() { quantile(seen, 0.95).style } else { style }, ..quantile(seen, 0.95) }
}

/// What deviates is coloured, nothing else.
pub fn deviating(seen: &Seen, kind: judge::Kind) -> Style {
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

pub fn quantile(seen: Option<&Seen>, q: f64) -> Cell {
    duration(seen.and_then(|seen| seen.views.figures()?.quantile_ms(q)))
}

pub fn usually(seen: Option<&Seen>) -> Cell {
    duration(seen.and_then(|seen| seen.usual_p95_ms))
}

pub fn spoken(context: &Context, number: u32) -> String {
    let Some(service) = context.picture.service(number) else { return String::new() };
    if service.protocols.is_empty() {
        return "calls only".into();
    }
    service.protocols.join(", ")
}

pub fn bars(context: &Context, number: u32) -> String {
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

pub fn waits(context: &Context, number: u32) -> String {
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

pub fn end(context: &Context, number: u32, caller: bool) -> String {
    let Some(edge) = context.picture.edge(number) else { return String::new() };
    context.picture.name(if caller { edge.caller } else { edge.callee }).to_owned()
}

pub fn protocol(context: &Context, number: u32) -> String {
    let edge = context.picture.edge(number);
    edge.map_or(String::new(), |edge| edge.protocol.to_string())
}

pub fn side(context: &Context, number: u32, caller: bool) -> Cell {
    let views = edge(context, number).map(|seen| &seen.views);
    let figures = views.and_then(|views| if caller { views.client.as_deref() } else { views.server.as_deref() });
    duration(figures.and_then(|figures| figures.quantile_ms(0.95)))
}

pub fn between(context: &Context, number: u32) -> Option<f64> {
    context.picture.edge(number)?.between_p95_ms()
}

pub fn queue(context: &Context, number: u32) -> Option<f64> {
    let queue = &context.picture.edge(number)?.queue;
    queue.quantile(0.95).map(|seconds| seconds * 1000.0)
}

pub fn bytes_of(context: &Context, number: u32) -> f64 {
    let edge = context.picture.edge(number);
    edge.map_or(0.0, |edge| edge.links().sent + edge.links().received)
}

pub fn bytes(context: &Context, number: u32) -> Cell {
    match bytes_of(context, number) {
        0.0 => missing(),
        sum => plain(numbers::bytes((sum / context.picture.seconds).round().max(1.0))),
    }
}

pub fn connections(context: &Context, number: u32) -> Cell {
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

pub fn operation_service(context: &Context, number: u32) -> String {
    let row = context.picture.operation(number);
    row.map_or(String::new(), |row| context.picture.name(row.service).to_owned())
}

pub fn operation_protocol(context: &Context, number: u32) -> String {
    let row = context.picture.operation(number);
    row.map_or(String::new(), |row| row.protocol.to_string())
}

/// Which part of its service's time went into it.
pub fn share_of_time(context: &Context, number: u32) -> Cell {
    let time = |seen: Option<&Seen>| seen.and_then(|seen| seen.views.figures()).map(|figures| figures.latency.sum);
    let row = context.picture.operation(number);
    let all = row.and_then(|row| time(service(context, row.service))).filter(|all| *all > 0.0);
    match time(operation(context, number)).zip(all) {
        Some((own, all)) => plain(numbers::share((own / all).min(1.0))),
        None => missing(),
    }
}

pub fn process_service(context: &Context, number: u32) -> String {
    context.picture.process(number).map_or(String::new(), |row| context.picture.name(row.service).to_owned())
}

pub fn process_name(context: &Context, number: u32) -> String {
    context.picture.process(number).map_or(String::new(), |row| row.pid().unwrap_or(&row.instance).to_owned())
}

pub fn calls(context: &Context, number: u32) -> Cell {
    match context.picture.process(number).map(|row| row.calls.requests) {
        Some(calls) if calls > 0 => plain(numbers::per_second(context.picture.rate(calls))),
        _ => missing(),
    }
}
