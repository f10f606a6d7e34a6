//! `limpid up`: an agent and a server, supervised.

use super::{CommandError, RELOAD, agent, resolve, resolve_again, server};
use crate::config::Config;
use crate::config::reload::Reloader;
use crate::config::table::Role;
use crate::supervise::{self, Child};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::Path;
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
    let scheme = if config.path("tls_cert").is_some() { "https" } else { "http" };
    log::info!("console: {scheme}://{}", config.text("listen"));
    let children = children(&config, &data);
    let mut reloader = Reloader::new(Role::Up, config, || resolve_again(Role::Up, arguments));
    let reload = || {
        let mut new = None;
        reloader.reload(|config| {
            let children = self::children(config, &data);
            check(&children).map_err(|error| error.to_string())?;
            for child in &children {
                child.settings.write(&data.join(file_of(child.role))).map_err(|error| error.to_string())?;
            }
            crate::log::set_level(config.text("log"));
            new = Some(children);
            Ok(())
        });
        new
    };
    supervise::run(children, reload)
}

fn children(config: &Config, data: &Path) -> Vec<Child> {
    let place = |name: &str| data.join(name).display().to_string();
    let server = config.clone().with("store", place("store")).with("otlp_socket", place("otlp.sock"));
    let agent = config.clone().with("server", format!("unix://{}", place("otlp.sock"))).with("spool", place("spool"));
    let child = |role, of: Role, settings: Config| {
        let mut flags = settings.flags_for(of);
        flags.push(format!("--{RELOAD}={}", place(file_of(role))));
        Child { role, flags, settings: settings.of_role(of) }
    };
    vec![child("server", Role::Server, server), child("agent", Role::Agent, agent)]
}

/// What the child reads when it is told to read its settings again.
fn file_of(role: &str) -> &'static str {
    if role == "agent" { "agent.settings" } else { "server.settings" }
}

/// Whether the children would start with this: a mistake is found before they are told.
fn check(children: &[Child]) -> Result<(), CommandError> {
    for child in children {
        match child.role {
            "agent" => drop(agent::settings(&child.settings)?),
            _ => server::check(&child.settings)?,
        }
    }
    Ok(())
}
