//! `limpid check`: what this machine allows.

use super::CommandError;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;

pub fn arguments(command: Command) -> Command {
    command.arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"))
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let report = limpid_agent::check::run();
    match arguments.get_flag("json") {
        true => println!("{}", report.to_json()),
        false => print!("{report}"),
    }
    Ok(ExitCode::from(report.exit_code() as u8))
}
