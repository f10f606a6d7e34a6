//! `limpid check`: what this machine allows.

use super::{CommandError, agent, variables};
use crate::config::Config;
use crate::config::table::Role;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;

pub fn arguments(command: Command) -> Command {
    let config = Arg::new("config").long("config").value_name("FILE").help("YAML file of the agent to check for");
    command.arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")).arg(config)
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let file = arguments.get_one::<String>("config").map(Into::into);
    let config = Config::resolve(Role::Agent, file, variables(), Vec::new()).map_err(|error| error.0)?;
    let report = report(&config);
    match arguments.get_flag("json") {
        true => println!("{}", report.to_json()),
        false => print!("{report}"),
    }
    Ok(ExitCode::from(report.exit_code() as u8))
}

/// What this machine allows, and what these settings leave of it.
pub fn report(config: &Config) -> limpid_agent::check::Report {
    let off: Vec<&str> = ["sockets", "processes"].into_iter().filter(|name| !config.is_on(name)).collect();
    limpid_agent::check::run(&off, &agent::protocols_off(config))
}
