//! `limpid up`: an agent and a server, supervised.

use super::{CommandError, resolve};
use crate::config::table::Role;
use crate::supervise::{self, Child};
use clap::ArgMatches;
use std::process::ExitCode;

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let config = resolve(Role::Up, arguments)?;
    crate::log::start("up", config.text("log"));
    let data = config.path("data").ok_or("`data` names no folder")?;
    std::fs::create_dir_all(&data).map_err(|error| {
        format!("the data folder {} cannot be made: {error}; choose another with --data", data.display())
    })?;
    let data = data.canonicalize()?;
    let socket = data.join("otlp.sock");
    let server = config
        .clone()
        .with("store", data.join("store").display().to_string())
        .with("otlp_socket", socket.display().to_string());
    let agent = config.clone().with("server", format!("unix://{}", socket.display()));
    log::info!("console: http://{}", config.text("listen"));
    supervise::run(&[
        Child { role: "server", flags: server.flags_for(Role::Server) },
        Child { role: "agent", flags: agent.flags_for(Role::Agent) },
    ])
}
