//! Answers of the API as aligned tables, with the console's formats.

use crate::numbers::{self, MISSING};
use crate::{clock, top::visible};
use serde_json::Value;

/// Longer texts are cut in the middle: a table is for people.
const LONGEST: usize = 80;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

use Align::{Left, Right};

fn table(head: &[(&str, Align)], rows: Vec<Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| row.into_iter().map(|cell| numbers::shorten(&visible(&cell), LONGEST, "…")).collect())
        .collect();
    let length = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..head.len())
        .map(|at| rows.iter().map(|row| length(&row[at])).chain([length(head[at].0)]).max().unwrap_or(0))
        .collect();
    let line = |cells: &[&str]| {
        let mut line = String::new();
        for ((text, width), (_, align)) in cells.iter().zip(&widths).zip(head) {
            let space = " ".repeat(width - length(text));
            if *align == Right {
                line.extend([space.as_str(), text, "  "])
            } else {
                line.extend([text, space.as_str(), "  "])
            }
        }
        format!("{}\n", line.trim_end())
    };
    let mut out = line(&head.iter().map(|(title, _)| *title).collect::<Vec<_>>());
    rows.iter().for_each(|row| out.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>())));
    out
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or(MISSING).to_owned()
}

fn figure(value: &Value, name: &str, write: fn(f64) -> String) -> String {
    value.get(name).and_then(Value::as_f64).map_or(MISSING.into(), write)
}

/// Nanoseconds come as texts.
fn ns(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_str()?.parse().ok()
}

fn moment(value: &Value, name: &str) -> String {
    ns(value, name).map_or(MISSING.into(), clock::date_time)
}

pub fn traces(answer: &Value) -> String {
    let row = |trace: &Value| {
        let took = ns(trace, "duration_ns").map_or(MISSING.into(), |ns| numbers::milliseconds(ns as f64 / 1e6));
        let figure = |name: &str| figure(trace, name, numbers::count);
        vec![
            moment(trace, "start_ns"),
            text(trace, "trace_id"),
            text(trace, "service"),
            text(trace, "root"),
            text(trace, "code"),
            took,
            figure("spans"),
            figure("errors"),
        ]
    };
    let head = [
        ("START", Left),
        ("TRACE ID", Left),
        ("SERVICE", Left),
        ("NAME", Left),
        ("CODE", Left),
        ("DURATION", Right),
        ("SPANS", Right),
        ("FAILED", Right),
    ];
    table(&head, list(answer, "traces").iter().map(row).collect())
}

pub fn events(answer: &Value) -> String {
    let row = |event: &Value| {
        let about = [text(event, "entity"), text(event, "service")].into_iter().find(|text| text != MISSING);
        vec![moment(event, "time_ns"), text(event, "name"), about.unwrap_or(MISSING.into()), text(event, "body")]
    };
    let head = [("TIME", Left), ("NAME", Left), ("ABOUT", Left), ("BODY", Left)];
    table(&head, list(answer, "events").iter().map(row).collect())
}

pub fn topology(answer: &Value) -> String {
    let nodes = list(answer, "nodes");
    let name_of = |id: String| {
        let node = nodes.iter().find(|node| text(node, "id") == id);
        node.map_or(id.clone(), |node| text(node, "name"))
    };
    let reasons = |value: &Value| {
        let texts: Vec<String> = list(value, "reasons").iter().map(|reason| text(reason, "text")).collect();
        texts.join("; ")
    };
    let node = |node: &Value| {
        let mut row = vec![sign(node), text(node, "name"), text(node, "kind")];
        row.extend(figures(node));
        row.push(figure(node, "p50_ms", numbers::milliseconds));
        row.push(figure(node, "p95_ms", numbers::milliseconds));
        row.push(figure(node, "p99_ms", numbers::milliseconds));
        row.push(reasons(node));
        row
    };
    let p95 = |side: &Value| figure(side, "p95_ms", numbers::milliseconds);
    let edge = |edge: &Value| {
        let mut row =
            vec![sign(edge), name_of(text(edge, "source")), name_of(text(edge, "target")), text(edge, "protocol")];
        row.extend(figures(edge));
        row.extend([p95(&edge["client"]), p95(&edge["server"]), reasons(edge)]);
        row
    };
    let figures = [("REQ/S", Right), ("FAILED", Right)];
    let head = |names: &[(&'static str, Align)], more: &[(&'static str, Align)]| {
        [&[("", Left)], names, &figures[..], more, &[("WHY", Left)]].concat()
    };
    let nodes_head = head(&[("NAME", Left), ("KIND", Left)], &[("P50", Right), ("P95", Right), ("P99", Right)]);
    let edges_head = head(
        &[("CALLER", Left), ("CALLEE", Left), ("PROTOCOL", Left)],
        &[("P95 CALLER", Right), ("P95 CALLEE", Right)],
    );
    let nodes = table(&nodes_head, sorted(nodes).into_iter().map(node).collect());
    let edges = table(&edges_head, sorted(list(answer, "edges")).into_iter().map(edge).collect());
    format!("{nodes}\n{edges}")
}

const STATES: &[(&str, &str)] =
    &[("critical", "X"), ("warning", "!"), ("affected", "~"), ("no_data", "?"), ("unknown", ""), ("ok", "")];

fn sign(value: &Value) -> String {
    let state = text(value, "status");
    STATES.iter().find(|(name, _)| *name == state).map_or(String::new(), |(_, sign)| (*sign).to_owned())
}

/// Worst first, then the busiest.
fn sorted(values: &[Value]) -> Vec<&Value> {
    let rank =
        |value: &Value| STATES.iter().position(|(name, _)| *name == text(value, "status")).unwrap_or(STATES.len());
    let rate = |value: &Value| value.get("requests_per_second").and_then(Value::as_f64).unwrap_or(0.0);
    let mut sorted: Vec<&Value> = values.iter().collect();
    sorted.sort_by(|a, b| rank(a).cmp(&rank(b)).then(rate(b).total_cmp(&rate(a))));
    sorted
}

fn figures(value: &Value) -> [String; 2] {
    let silent = value.get("requests").and_then(Value::as_u64) == Some(0);
    let rate = if silent { MISSING.into() } else { figure(value, "requests_per_second", numbers::per_second) };
    [rate, figure(value, "error_ratio", numbers::share)]
}

pub fn promql(answer: &Value) -> String {
    let data = &answer["data"];
    let result = match data["resultType"].as_str() {
        Some("matrix") => matrix(list(data, "result")),
        Some("vector") => vector(list(data, "result")),
        // A scalar or a text: time and value.
        _ => format!("{}\n", data["result"].get(1).map_or(MISSING.into(), value)),
    };
    let notes = list(answer, "warnings").iter().chain(list(answer, "infos")).filter_map(Value::as_str);
    notes.fold(result, |out, note| format!("{out}# {note}\n"))
}

fn vector(series: &[Value]) -> String {
    let row = |one: &Value| {
        let sample = one.get("value").or_else(|| one.get("histogram"));
        vec![labels(one), sample.and_then(|sample| sample.get(1)).map_or(MISSING.into(), value)]
    };
    table(&[("SERIES", Left), ("VALUE", Right)], series.iter().map(row).collect())
}

fn matrix(series: &[Value]) -> String {
    let row = |one: &Value| {
        let samples = if one.get("values").is_some() { list(one, "values") } else { list(one, "histograms") };
        let numbers: Vec<f64> = samples.iter().filter_map(|sample| sample.get(1)?.as_str()?.parse().ok()).collect();
        let write = |value: Option<f64>| value.map_or(MISSING.into(), numbers::plain);
        vec![
            labels(one),
            numbers::count(samples.len() as f64),
            write(numbers.iter().copied().reduce(f64::min)),
            write(numbers.iter().copied().reduce(f64::max)),
            samples.last().and_then(|sample| sample.get(1)).map_or(MISSING.into(), value),
        ]
    };
    let head = [("SERIES", Left), ("POINTS", Right), ("LEAST", Right), ("MOST", Right), ("LAST", Right)];
    table(&head, series.iter().map(row).collect())
}

fn labels(one: &Value) -> String {
    let Some(metric) = one.get("metric").and_then(Value::as_object) else { return MISSING.into() };
    let name = metric.get("__name__").and_then(Value::as_str).unwrap_or_default();
    let pairs: Vec<String> = metric
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    format!("{name}{{{}}}", pairs.join(", "))
}

/// Numbers are texts in this API; a histogram is shown by its count and sum.
fn value(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.parse().map_or(text.to_owned(), numbers::plain);
    }
    let part = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .map_or(MISSING.into(), numbers::plain)
    };
    format!("count {}, sum {}", part("count"), part("sum"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vector_a_matrix_and_a_scalar() {
        let answer = json!({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "service": "web"}, "value": [1.0, "1234.5"]},
            {"metric": {}, "histogram": [1.0, {"count": "3", "sum": "0.5"}]},
        ]}, "warnings": ["cut"]});
        assert_eq!(
            promql(&answer),
            "SERIES                      VALUE\nup{service=web}            1234.5\n{}               count 3, sum 0.5\n# cut\n"
        );
        let answer = json!({"data": {"resultType": "matrix", "result": [
            {"metric": {"a": "b"}, "values": [[1.0, "1"], [2.0, "3"], [3.0, "2"]]},
        ]}});
        assert_eq!(promql(&answer), "SERIES  POINTS  LEAST  MOST  LAST\n{a=b}        3      1     3     2\n");
        assert_eq!(promql(&json!({"data": {"resultType": "scalar", "result": [1.0, "2"]}})), "2\n");
    }

    #[test]
    fn the_worst_node_first_and_missing_as_missing() {
        let answer = json!({"nodes": [
            {"id": "service:default/a", "name": "a", "kind": "service", "status": "ok", "requests": 10,
             "requests_per_second": 38.2, "error_ratio": 0.0, "p50_ms": 4.1, "p95_ms": 46.2, "p99_ms": null, "reasons": []},
            {"id": "service:default/b", "name": "b\u{1b}[2J", "kind": "service", "status": "critical", "requests": 0,
             "requests_per_second": 0.0, "error_ratio": null, "reasons": [{"text": "18 % failed"}]},
        ], "edges": [
            {"source": "service:default/a", "target": "external:x", "protocol": "http", "status": "warning", "requests": 1,
             "requests_per_second": 0.5, "error_ratio": 0.5, "client": {"p95_ms": 1960.0}, "server": null, "reasons": []},
        ]});
        let shown = topology(&answer);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["X", "b?[2J", "service", "–", "–", "–", "–", "–", "18", "%", "failed"]);
        assert_eq!(lines[2], ["a", "service", "38.2", "0", "4.1", "ms", "46", "ms", "–"]);
        assert_eq!(lines[5], ["!", "a", "external:x", "http", "0.5", "50", "%", "1.96", "s", "–"]);
    }
}
