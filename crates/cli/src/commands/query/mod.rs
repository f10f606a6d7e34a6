//! `limpid query`: asks a server, and prints a table or what its API answers.

mod table;

use super::{CommandError, choice, running_address};
use crate::http::{Endpoint, encoded};
use crate::{clock, output};
use clap::{Arg, ArgMatches, Command, ValueHint};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_RANGE: Duration = Duration::from_secs(1800);
/// Points of a range query, unless --step says otherwise.
const POINTS: f64 = 120.0;

/// What can be asked: its name, what it is, its own arguments, its path, and how it looks as a table.
struct Question {
    name: &'static str,
    about: &'static str,
    arguments: fn(Command) -> Command,
    path: fn(&ArgMatches, &Range) -> String,
    table: fn(&Value) -> String,
}

static QUESTIONS: &[Question] = &[
    Question {
        name: "promql",
        about: "Value of an expression, now or over a time range",
        arguments: |command| {
            let expression = Arg::new("expr").required(true).value_name("EXPR").help("PromQL expression");
            let step = Arg::new("step").long("step").value_name("DURATION").value_parser(duration);
            command.arg(expression).arg(step.help("Distance of two points of a range, such as 15s; else a 120th of it"))
        },
        path: promql_path,
        table: table::promql,
    },
    Question {
        name: "traces",
        about: "Search traces",
        arguments: |command| {
            let query = Arg::new("query").value_name("QUERY").default_value("").hide_default_value(true);
            let limit =
                Arg::new("limit").long("limit").value_name("COUNT").value_parser(clap::value_parser!(u32).range(1..));
            command
                .arg(query.help("Terms such as `service:checkout duration:>1s status:error`; none: all"))
                .arg(limit.default_value("20").help("At most so many traces"))
                .arg(choice("order", ["newest", "slowest"]).default_value("newest").help("Which come first"))
        },
        path: traces_path,
        table: table::traces,
    },
    Question {
        name: "topology",
        about: "Services and what calls what",
        arguments: |command| {
            let level = choice("level", ["service", "process", "host"]).default_value("service");
            command.arg(level.help("What a node is"))
        },
        path: |arguments, range| {
            let level = arguments.get_one::<String>("level").map_or("service", String::as_str);
            format!("/api/topology?level={level}{}", range.parameters())
        },
        table: table::topology,
    },
    Question {
        name: "events",
        about: "Events, newest first",
        arguments: |command| {
            let text = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
            command
                .arg(text("name", "NAME").help("Only events of this name"))
                .arg(text("entity", "ID").help("Only events of this entity, such as service:default/checkout"))
        },
        path: |arguments, range| {
            let given = |name: &str| {
                let value = arguments.get_one::<String>(name);
                value.map_or(String::new(), |value| format!("&{name}={}", encoded(value)))
            };
            format!("/api/events?{}{}{}", range.parameters().trim_start_matches('&'), given("name"), given("entity"))
        },
        table: table::events,
    },
];

/// `start` and `end` as the API takes them.
struct Range {
    start: String,
    end: String,
    /// Nobody asked for a range.
    is_default: bool,
}

impl Range {
    fn of(arguments: &ArgMatches) -> Range {
        let now = clock::now_ns() as f64 / 1e9;
        let text = |name: &str| arguments.get_one::<String>(name).cloned();
        let since = arguments.get_one::<Duration>("since").copied();
        let back = since.unwrap_or(DEFAULT_RANGE).as_secs_f64();
        let end = text("end").unwrap_or_else(|| format!("{now:.3}"));
        // Without a start, the server knows what half an hour before `end` is.
        let start = text("start")
            .unwrap_or_else(|| if text("end").is_some() { String::new() } else { format!("{:.3}", now - back) });
        Range { is_default: since.is_none() && text("start").is_none(), start, end }
    }

    fn parameters(&self) -> String {
        let start = if self.start.is_empty() { String::new() } else { format!("&start={}", encoded(&self.start)) };
        format!("{start}&end={}", encoded(&self.end))
    }
}

pub fn arguments(command: Command) -> Command {
    let command = command.subcommand_required(true).arg_required_else_help(true);
    QUESTIONS.iter().fold(command, |command, question| {
        command.subcommand((question.arguments)(common(Command::new(question.name).about(question.about))))
    })
}

fn common(command: Command) -> Command {
    let option = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    command
        .arg(
            option("server", "URL")
                .value_parser(|text: &str| text.parse::<Endpoint>())
                .help("Server to ask: http://HOST:PORT; else that of this machine's configuration"),
        )
        .arg(
            option("since", "DURATION")
                .value_parser(duration)
                .conflicts_with_all(["start", "end"])
                .help("The time until now, such as 15m or 1h30m"),
        )
        .arg(option("start", "TIME").help("Begin: Unix seconds or RFC 3339"))
        .arg(option("end", "TIME").help("End: Unix seconds or RFC 3339; else now"))
        .arg(
            option("token-file", "FILE")
                .value_hint(ValueHint::FilePath)
                .help("File with the bearer token that the server asks for"),
        )
        .arg(
            choice("format", ["table", "json"])
                .default_value("table")
                .help("A table for people, or the API's own answer"),
        )
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let Some((name, arguments)) = arguments.subcommand() else { return Ok(ExitCode::from(2)) };
    let Some(question) = QUESTIONS.iter().find(|question| question.name == name) else { return Ok(ExitCode::from(2)) };
    let body = ask(arguments, &(question.path)(arguments, &Range::of(arguments)))?;
    if arguments.get_one::<String>("format").is_some_and(|format| format == "json") {
        output::print(&format!("{}\n", body.trim_end()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer = serde_json::from_str(&body).map_err(|error| format!("the server's answer is no JSON: {error}"))?;
    output::print(&(question.table)(&answer))?;
    Ok(ExitCode::SUCCESS)
}

fn ask(arguments: &ArgMatches, path: &str) -> Result<String, CommandError> {
    let server = match arguments.get_one::<Endpoint>("server") {
        Some(server) => server.clone(),
        None => running_address("listen")?,
    };
    let token = match arguments.get_one::<String>("token-file") {
        Some(file) => Some(format!("Bearer {}", token(file)?)),
        None => None,
    };
    let headers: Vec<(&str, &str)> = token.iter().map(|token| ("authorization", token.as_str())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(server.get(path, &headers, TIMEOUT));
    let answer =
        answer.map_err(|error| format!("{error}; start one with `limpid up`, or name another with --server"))?;
    let body = String::from_utf8(answer.body.to_vec()).map_err(|_| format!("{server} answers with no text"))?;
    if answer.status.is_success() {
        return Ok(body);
    }
    Err(refusal(&server.to_string(), answer.status.as_u16(), &body).into())
}

/// In the server's own words, if it has any.
fn refusal(server: &str, status: u16, body: &str) -> String {
    let said =
        serde_json::from_str::<Value>(body).ok().and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
    let said = said.unwrap_or_else(|| format!("status {status}"));
    match status {
        401 | 403 => format!("{server} refuses: {said}; name it with --token-file"),
        404 => format!("{server}: {said}; is that a server of Limpid?"),
        _ => format!("{server}: {}", said.replace('\n', " ")),
    }
}

fn token(file: &str) -> Result<String, CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("--token-file {file} cannot be read: {error}"))?;
    Ok(text.trim().to_owned())
}

fn promql_path(arguments: &ArgMatches, range: &Range) -> String {
    let query = encoded(arguments.get_one::<String>("expr").map_or("", String::as_str));
    if range.is_default {
        return format!("/api/v1/query?query={query}&time={}", encoded(&range.end));
    }
    let seconds = |text: &str| text.parse::<f64>().ok();
    let length =
        seconds(&range.end).zip(seconds(&range.start)).map_or(DEFAULT_RANGE.as_secs_f64(), |(end, start)| end - start);
    let step = arguments.get_one::<Duration>("step").map_or((length / POINTS).max(1.0), Duration::as_secs_f64);
    format!("/api/v1/query_range?query={query}&step={step:.3}{}", range.parameters())
}

fn traces_path(arguments: &ArgMatches, range: &Range) -> String {
    let text = |name: &str| arguments.get_one::<String>(name).map_or("", String::as_str);
    let limit = arguments.get_one::<u32>("limit").copied().unwrap_or(20);
    format!("/api/traces?q={}&order={}&limit={limit}{}", encoded(text("query")), text("order"), range.parameters())
}

/// 90, 15m, 1h30m.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration such as 15m or 1h30m");
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into())).filter(|length| !length.is_zero()).ok_or_else(wrong);
    }
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0).ok_or_else(wrong)?;
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let (unit, ms) = units.iter().find(|(unit, _)| rest[digits..].starts_with(unit)).ok_or_else(wrong)?;
        total = total.saturating_add(u64::from(number).saturating_mul(*ms));
        rest = &rest[digits + unit.len()..];
    }
    Some(Duration::from_millis(total)).filter(|length| !length.is_zero()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("90", 90.0), ("15m", 900.0), ("1h30m", 5400.0), ("250ms", 0.25), ("7d", 604_800.0)] {
            assert_eq!(duration(text).map(|length| length.as_secs_f64()), Ok(seconds), "{text}");
        }
        for wrong in ["", "0", "m", "5x", "-5m", "5 m", "99999999999s", "5é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    fn path(line: &[&str]) -> String {
        let matches = arguments(Command::new("query")).try_get_matches_from(line).expect("it is a question");
        let (name, arguments) = matches.subcommand().expect("it has a name");
        let question = QUESTIONS.iter().find(|question| question.name == name).expect("it is known");
        (question.path)(arguments, &Range::of(arguments))
    }

    #[test]
    fn questions_become_paths() {
        assert!(path(&["query", "promql", "up{a=\"b\"}"]).starts_with("/api/v1/query?query=up%7Ba%3D%22b%22%7D&time="));
        let range = path(&["query", "promql", "up", "--start", "100", "--end", "220", "--step", "15s"]);
        assert_eq!(range, "/api/v1/query_range?query=up&step=15.000&start=100&end=220");
        let traces = path(&["query", "traces", "status:error", "--start", "1", "--end", "2026-11-28T10:00:00Z"]);
        assert_eq!(traces, "/api/traces?q=status%3Aerror&order=newest&limit=20&start=1&end=2026-11-28T10%3A00%3A00Z");
        let events = path(&["query", "events", "--name", "oom kill", "--start", "1", "--end", "2"]);
        assert_eq!(events, "/api/events?start=1&end=2&name=oom%20kill");
        assert!(path(&["query", "topology", "--since", "15m"]).starts_with("/api/topology?level=service&start="));
    }

    #[test]
    fn the_servers_words_are_one_line() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"parse error:\nunexpected )"}"#;
        assert_eq!(refusal("http://x", 400, body), "http://x: parse error: unexpected )");
        assert_eq!(refusal("http://x", 404, "<html>"), "http://x: status 404; is that a server of Limpid?");
        assert!(refusal("http://x", 401, "{}").contains("--token-file"));
    }
}
