//! `limpid top`: its arguments.

use super::{CommandError, choice, running_address};
use crate::http::Endpoint;
use crate::top::rows::{Choice, KINDS, Kind, SORTS};
use crate::top::{Options, run as run_top};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;
use std::time::Duration;

pub fn arguments(command: Command) -> Command {
    let seconds = |name: &'static str, default: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("SECONDS")
            .value_parser(clap::value_parser!(u64).range(1..=3600))
            .default_value(default)
    };
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    command
        .arg(
            Arg::new("agent")
                .long("agent")
                .value_name("ADDRESS")
                .value_parser(|text: &str| text.parse::<Endpoint>())
                .help("Agent to look at: HOST:PORT, http://HOST:PORT or unix:///PATH; else that of this machine's configuration"),
        )
        .arg(seconds("interval", "2").help("Seconds between two readings"))
        .arg(seconds("window", "60").help("Seconds that figures are about: 10, 60 or 300 (`w` changes it); with --once the interval"))
        .arg(choice("view", KINDS.map(word)).help("What to begin with; with --once what to print"))
        .arg(choice("sort", SORTS.map(|sort| sort.as_str())).default_value("worst").help("Order of the rows"))
        .arg(Arg::new("filter").long("filter").value_name("TEXT").default_value("").hide_default_value(true).help("Only rows with this in their names"))
        .arg(flag("failed").help("Only rows with failed requests"))
        .arg(flag("once").help("Print one table and end, as when stdout is no terminal"))
        .arg(flag("json").help("Print JSON lines once: services, edges, operations, processes"))
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Services => "services",
        Kind::Edges => "edges",
        Kind::Operations => "operations",
        Kind::Processes => "processes",
    }
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let text = |name: &str| arguments.get_one::<String>(name).map_or("", String::as_str);
    let seconds = |name: &str| Duration::from_secs(arguments.get_one::<u64>(name).copied().unwrap_or(1));
    let agent = match arguments.get_one::<Endpoint>("agent") {
        Some(agent) => agent.clone(),
        None => running_address("agent_listen")?,
    };
    let sort = SORTS.into_iter().find(|sort| sort.as_str() == text("sort")).unwrap_or(SORTS[0]);
    let choice = Choice {
        sort,
        filter: text("filter").to_owned(),
        failed_only: arguments.get_flag("failed"),
        ..Choice::default()
    };
    run_top(Options {
        agent,
        interval: seconds("interval"),
        window: seconds("window"),
        view: KINDS.into_iter().find(|kind| word(*kind) == text("view")),
        choice,
        once: arguments.get_flag("once"),
        json: arguments.get_flag("json"),
    })
}
