//! The binary `limpid`: one table of commands, the configuration, and the wiring of the roles.

mod clock;
mod commands;
mod config;
mod describe;
mod http;
mod log;
mod numbers;
mod output;
#[cfg(feature = "server")]
mod privileges;
#[cfg(any(feature = "agent", feature = "server"))]
mod signals;
#[cfg(all(feature = "agent", feature = "server"))]
mod supervise;
mod top;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = match commands::parser().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return commands::refused(&error),
    };
    let Some((name, arguments)) = matches.subcommand() else { return ExitCode::from(2) };
    let Some(command) = commands::COMMANDS.iter().find(|command| command.name == name) else {
        return ExitCode::from(2);
    };
    match (command.run)(arguments) {
        Ok(code) => code,
        Err(error) => {
            log::line(&format!("limpid {name}: {error}"));
            ExitCode::from(1)
        }
    }
}
