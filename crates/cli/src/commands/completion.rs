//! `limpid completion`: prints the completion of a shell.

use super::{CommandError, parser};
use crate::describe::{Description, bash, fish, zsh};
use crate::output;
use clap::{Arg, ArgMatches, Command};
use std::process::ExitCode;

type Writer = fn(&Description) -> String;

static SHELLS: &[(&str, Writer)] = &[("bash", bash), ("zsh", zsh), ("fish", fish)];

pub fn arguments(command: Command) -> Command {
    let names = clap::builder::PossibleValuesParser::new(SHELLS.iter().map(|(name, _)| *name));
    command.arg(Arg::new("shell").required(true).value_name("SHELL").value_parser(names).help("Shell to complete in"))
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let wanted = arguments.get_one::<String>("shell").map_or("", String::as_str);
    let Some((_, write)) = SHELLS.iter().find(|(name, _)| *name == wanted) else { return Ok(ExitCode::from(2)) };
    output::print(&write(&Description::of(&parser())))?;
    Ok(ExitCode::SUCCESS)
}
