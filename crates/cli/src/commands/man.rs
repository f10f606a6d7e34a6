//! `limpid man`: prints a manual page, or writes all of them into a folder.

use super::{CommandError, parser};
use crate::describe::{Description, file_name, man};
use crate::output;
use clap::{Arg, ArgMatches, Command, ValueHint};
use std::path::Path;
use std::process::ExitCode;

pub fn arguments(command: Command) -> Command {
    let name = Arg::new("command").num_args(0..).value_name("COMMAND");
    let all = Arg::new("all").long("all").value_name("DIR").value_hint(ValueHint::DirPath).conflicts_with("command");
    command
        .arg(name.help("Command whose page is printed, such as `query promql`; none: that of limpid itself"))
        .arg(all.help("Write the pages of all commands into this folder"))
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let root = Description::of(&parser());
    if let Some(folder) = arguments.get_one::<String>("all") {
        return write_all(&root, Path::new(folder));
    }
    let names = arguments.get_many::<String>("command").unwrap_or_default();
    let wanted: Vec<&String> = std::iter::once(&root.path[0]).chain(names).collect();
    let found = root.all().into_iter().find(|command| command.path.iter().eq(wanted.iter().copied()));
    let Some(command) = found else {
        crate::log::line(&format!(
            "limpid man: there is no command `{}`: `limpid help` lists them",
            wanted[1..].iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
        ));
        return Ok(ExitCode::from(2));
    };
    output::print(&man(&root, command))?;
    Ok(ExitCode::SUCCESS)
}

fn write_all(root: &Description, folder: &Path) -> Result<ExitCode, CommandError> {
    let wrong = |error: std::io::Error| format!("{} cannot be written: {error}; name another folder", folder.display());
    std::fs::create_dir_all(folder).map_err(wrong)?;
    for command in root.all() {
        std::fs::write(folder.join(file_name(command)), man(root, command)).map_err(wrong)?;
    }
    Ok(ExitCode::SUCCESS)
}
