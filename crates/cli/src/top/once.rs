//! One picture as text or as JSON lines, for pipes and scripts.

use super::body::widths;
use super::columns::{Width, columns};
use super::figures::Figures;
use super::history::History;
use super::picture::{Picture, Seen};
use super::rows::{self, Choice, Context, KINDS, Kind, RowKey};
use super::screen;
use crate::{clock, numbers};
use limpid_model::ExpHistogram;
use serde_json::{Value, json};

/// Without a terminal that says how wide it is.
pub const WIDTH: usize = 120;

pub fn text(picture: &Picture, history: &History, kind: Kind, choice: &Choice, width: usize, utf8: bool) -> String {
    let context = Context { picture, history };
    let (requests, failed) = picture.total();
    let share = if requests > 0 { failed as f64 / requests as f64 } else { 0.0 };
    let mut out = format!(
        "{}  {}  last {}  {} req/s  {} failed  lost {}\n\n",
        picture.agent.host,
        clock::time(picture.unix_ns),
        numbers::span(picture.seconds),
        numbers::per_second(picture.rate(requests)),
        numbers::share(share),
        numbers::count(picture.agent.lost),
    );
    let layout = widths(columns(kind), width);
    let line = |sign: char, cells: Vec<String>| {
        let mut line = format!("{sign} ");
        for ((column, width), text) in layout.iter().zip(cells) {
            let text: String = text.chars().map(|c| screen::shown(c, utf8)).collect();
            let space = " ".repeat(width.saturating_sub(text.chars().count()));
            match column.width {
                Width::Figure(_) => line.extend([" ", &space, &text]),
                _ => line.extend([" ", &numbers::shorten(&text, *width, if utf8 { "…" } else { "." }), &space]),
            }
        }
        line.trim_end().to_owned()
    };
    out.push_str(&line(' ', layout.iter().map(|(column, _)| column.title.to_owned()).collect()));
    out.push('\n');
    for key in rows::listed(&context, rows::keys(picture, kind), choice) {
        let cells = layout.iter().map(|(column, _)| (column.cell)(&context, key.number).text).collect();
        let sign = rows::seen(picture, key).map_or(' ', |seen| seen.verdict.state.sign());
        out.push_str(&line(sign, cells));
        out.push('\n');
    }
    out
}

/// One object a line: what was read, then all rows of `kinds`.
pub fn json(picture: &Picture, history: &History, kinds: &[Kind], choice: &Choice) -> String {
    let context = Context { picture, history };
    let agent = &picture.agent;
    let mut out = json!({
        "kind": "agent",
        "host": agent.host.as_str(),
        "time_ns": picture.unix_ns.to_string(),
        "seconds": picture.seconds,
        "cpu_ratio": agent.cpu_share,
        "memory_bytes": agent.memory_bytes,
        "lost": agent.lost,
    })
    .to_string();
    out.push('\n');
    for kind in KINDS.into_iter().filter(|kind| kinds.contains(kind)) {
        for key in rows::listed(&context, rows::keys(picture, kind), choice) {
            out.push_str(&row(picture, key).to_string());
            out.push('\n');
        }
    }
    out
}

fn row(picture: &Picture, key: RowKey) -> Value {
    let mut value = match key.kind {
        Kind::Services => service(picture, key.number),
        Kind::Edges => edge(picture, key.number),
        Kind::Operations => operation(picture, key.number),
        Kind::Processes => process(picture, key.number),
    };
    let Some(seen) = rows::seen(picture, key) else { return value };
    add_figures(&mut value, picture, seen);
    value
}

fn add_figures(value: &mut Value, picture: &Picture, seen: &Seen) {
    let reasons: Vec<&str> = seen.verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
    value["status"] = seen.verdict.state.as_str().into();
    value["reasons"] = reasons.into();
    let figures = seen.views.figures();
    value["requests_per_second"] = figures.map(|figures| picture.rate(figures.requests)).into();
    value["error_ratio"] = figures.and_then(Figures::failed_share).into();
    if let Value::Object(more) = side(figures) {
        more.into_iter().for_each(|(name, one)| value[name] = one);
    }
    value["usual_p95_ms"] = seen.usual_p95_ms.into();
}

/// The same fields as in the server's API.
fn side(figures: Option<&Figures>) -> Value {
    let Some(figures) = figures else { return Value::Null };
    json!({
        "requests": figures.requests,
        "errors": figures.failed(),
        "p50_ms": figures.quantile_ms(0.5),
        "p95_ms": figures.quantile_ms(0.95),
        "p99_ms": figures.quantile_ms(0.99),
    })
}

fn service(picture: &Picture, number: u32) -> Value {
    let Some(row) = picture.service(number) else { return Value::Null };
    let waits = row.waits_for();
    json!({
        "kind": "service",
        "name": row.name.as_str(),
        "protocols": row.protocols.iter().map(|protocol| protocol.as_str()).collect::<Vec<_>>(),
        "watched": row.watched,
        "calls": row.calls,
        "waits_for": waits.map(|(callee, _)| picture.name(callee)),
        "waits_ratio": waits.map(|(_, share)| share),
    })
}

fn edge(picture: &Picture, number: u32) -> Value {
    let Some(row) = picture.edge(number) else { return Value::Null };
    let waiting = |histogram: &ExpHistogram| histogram.quantile(0.95).map(|seconds| seconds * 1000.0);
    let links = row.links();
    json!({
        "kind": "edge",
        "caller": picture.name(row.caller),
        "callee": picture.name(row.callee),
        "protocol": row.protocol.as_str(),
        "client": side(row.seen.views.client.as_deref()),
        "server": side(row.seen.views.server.as_deref()),
        "network_p95_ms": waiting(&row.network),
        "queue_p95_ms": waiting(&row.queue),
        "network_or_queue_p95_ms": waiting(&row.network_or_queue),
        "sent_bytes_per_second": links.sent / picture.seconds,
        "received_bytes_per_second": links.received / picture.seconds,
        "connections": links.connections,
        "waiting": links.waiting,
    })
}

fn operation(picture: &Picture, number: u32) -> Value {
    let Some(row) = picture.operation(number) else { return Value::Null };
    json!({
        "kind": "operation",
        "service": picture.name(row.service),
        "protocol": row.protocol.as_str(),
        "operation": row.operation.as_str(),
        "resource": row.resource.as_str(),
    })
}

fn process(picture: &Picture, number: u32) -> Value {
    let Some(row) = picture.process(number) else { return Value::Null };
    json!({
        "kind": "process",
        "service": picture.name(row.service),
        "instance": row.instance.as_str(),
        "pid": row.pid().and_then(|pid| pid.parse::<u32>().ok()),
        "calls": row.calls.requests,
    })
}
