//! `limpid up`: an agent and a server, supervised.

use super::{CommandError, resolve};
use crate::config::table::Role;
use crate::supervise::{self, Child};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;

const DEMO: &str = "the demo is made of real programs (nginx, Go, Python, Java, Node, databases) that a checkout of the project builds: \
                    run `sudo ./x up --demo` there, or `demo/run` beside this one";

pub fn arguments(command: Command) -> Command {
    let demo = Arg::new("demo").long("demo").action(ArgAction::SetTrue);
    command.arg(demo.help("only `./x up --demo` of a checkout has it: a small shop of real programs to look at"))
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    if arguments.get_flag("demo") {
        crate::log::line(&format!("limpid up: {DEMO}"));
        return Ok(ExitCode::from(2));
    }
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
