//! The table of commands.

#[cfg(feature = "agent")]
mod agent;
#[cfg(feature = "agent")]
mod check;
mod completion;
mod config;
mod man;
mod query;
mod replay;
#[cfg(feature = "server")]
mod server;
mod support;
#[cfg(feature = "server")]
mod token;
mod top;
#[cfg(all(feature = "agent", feature = "server"))]
mod up;

use crate::config::table::{Role, options};
use crate::config::{Config, ConfigError, DEFAULT_FILE};
use crate::http::Endpoint;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command};
use std::process::ExitCode;

/// Why a command could not do its work: one line for the user.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

pub struct Entry {
    pub name: &'static str,
    about: &'static str,
    /// Options of the configuration table that it takes as flags.
    role: Option<Role>,
    /// Arguments of its own.
    arguments: fn(Command) -> Command,
    pub run: fn(&ArgMatches) -> Result<ExitCode, CommandError>,
}

pub static COMMANDS: &[Entry] = &[
    #[cfg(all(feature = "agent", feature = "server"))]
    Entry {
        name: "up",
        about: "Run an agent and a server on this machine, with console and embedded store",
        role: Some(Role::Up),
        arguments: up::arguments,
        run: up::run,
    },
    #[cfg(feature = "agent")]
    Entry {
        name: "agent",
        about: "Watch this machine and send what is seen to a server",
        role: Some(Role::Agent),
        arguments: |command| command,
        run: agent::run,
    },
    #[cfg(feature = "server")]
    Entry {
        name: "server",
        about: "Receive, store and show",
        role: Some(Role::Server),
        arguments: |command| command,
        run: server::run,
    },
    Entry {
        name: "top",
        about: "Live view of the agent on this machine in the terminal, without a server",
        role: None,
        arguments: top::arguments,
        run: top::run,
    },
    Entry {
        name: "query",
        about: "Ask a server: PromQL, traces, the topology, events",
        role: None,
        arguments: query::arguments,
        run: query::run,
    },
    #[cfg(feature = "agent")]
    Entry {
        name: "check",
        about: "What this machine allows, which collectors will run at what cost, and why not the others",
        role: None,
        arguments: check::arguments,
        run: check::run,
    },
    Entry {
        name: "replay",
        about: "Read captures with the agent's protocol engine, one JSON object a line per request",
        role: None,
        arguments: replay::arguments,
        run: replay::run,
    },
    #[cfg(feature = "server")]
    Entry {
        name: "token",
        about: "Make a token for the file of tokens (`auth_file`)",
        role: None,
        arguments: token::arguments,
        run: token::run,
    },
    Entry {
        name: "config",
        about: "Print a configuration file with every option and its default",
        role: None,
        arguments: config::arguments,
        run: config::run,
    },
    Entry {
        name: "support",
        about: "Collect what somebody needs who looks for a fault: one tar.gz without payload and without secrets",
        role: None,
        arguments: support::arguments,
        run: support::run,
    },
    Entry {
        name: "completion",
        about: "Print the completion of a shell",
        role: None,
        arguments: completion::arguments,
        run: completion::run,
    },
    Entry {
        name: "man",
        about: "Print a manual page, or write all of them",
        role: None,
        arguments: man::arguments,
        run: man::run,
    },
];

pub fn parser() -> Command {
    let parser = Command::new("limpid")
        .about("Application observability that touches nothing")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    COMMANDS.iter().fold(parser, |parser, entry| {
        let command = (entry.arguments)(Command::new(entry.name).about(entry.about));
        parser.subcommand(entry.role.map_or_else(|| command.clone(), |role| with_options(command.clone(), role)))
    })
}

/// A command line that is none: one line that says what is wrong with it. Help and version are answers, not errors.
pub fn refused(error: &clap::Error) -> ExitCode {
    let asked_for =
        [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if asked_for.contains(&error.kind()) {
        let _ = error.print();
    } else {
        crate::log::line(&one_line(error));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let what: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    let kinds = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let nearest = kinds.iter().find_map(|kind| match error.get(*kind)? {
        ContextValue::String(one) => Some(one.clone()),
        ContextValue::Strings(many) => many.first().cloned(),
        _ => None,
    });
    let nearest = nearest.map_or(String::new(), |nearest| format!(", did you mean `{nearest}`?"));
    format!(
        "limpid: {}{nearest} (`limpid help` lists commands, `limpid COMMAND --help` their options)",
        what.trim_start_matches("error: ")
    )
}

fn with_options(command: Command, role: Role) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_hint(clap::ValueHint::FilePath)
        .help(format!("YAML file, else {DEFAULT_FILE} if it is there"));
    // The supervisor's word to its children: where they find changed settings.
    let reload = Arg::new(RELOAD).long(RELOAD).hide(true);
    options().iter().filter(|option| option.roles.contains(&role)).fold(
        command.arg(config).arg(reload),
        |command, option| {
            let default =
                if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
            let help = format!("{}{default} [env: {}]", option.help, option.variable());
            command.arg(Arg::new(option.key).long(option.flag()).value_name("VALUE").help(help))
        },
    )
}

/// The environment as far as it is text: others may have put there what they like.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Names a file that holds all settings from the first SIGHUP on.
const RELOAD: &str = "reload";

/// The configuration of a role, from everywhere it may come from.
fn resolve(role: Role, arguments: &ArgMatches) -> Result<Config, CommandError> {
    Ok(read(role, arguments).map_err(|error| error.0)?)
}

/// The same as it is by now.
#[cfg(any(feature = "agent", feature = "server"))]
fn resolve_again(role: Role, arguments: &ArgMatches) -> Result<Config, ConfigError> {
    match arguments.get_one::<String>(RELOAD) {
        Some(file) => Config::resolve(role, Some(file.into()), variables(), Vec::new()),
        None => read(role, arguments),
    }
}

fn read(role: Role, arguments: &ArgMatches) -> Result<Config, ConfigError> {
    let file = arguments.get_one::<String>("config").map(Into::into);
    let given = |key: &'static str| Some((key, arguments.get_one::<String>(key)?.clone()));
    let flags =
        options().iter().filter(|option| option.roles.contains(&role)).filter_map(|option| given(option.key)).collect();
    Config::resolve(role, file, variables(), flags)
}

/// An option whose values are these words.
fn choice(name: &'static str, words: impl IntoIterator<Item = &'static str>) -> Arg {
    let words: Vec<&'static str> = words.into_iter().collect();
    Arg::new(name).long(name).value_name("WORD").value_parser(clap::builder::PossibleValuesParser::new(words))
}

/// Where the agent or the server of this machine listens, by its configuration. One that this user may not read says
/// nothing about that.
fn running_address(key: &str) -> Result<Endpoint, CommandError> {
    let config = Config::resolve(Role::Up, None, variables(), Vec::new());
    let config =
        config.or_else(|_| Config::resolve(Role::Up, Some("/dev/null".into()), std::iter::empty(), Vec::new()));
    let config = config.map_err(|error| error.0)?;
    match config.text(key) {
        "off" => Err(format!("`{key}` is off in {}: nothing can be asked", config.source(key)).into()),
        address => Ok(address.parse()?),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(feature = "agent", feature = "server"))]
    use super::*;

    #[cfg(all(feature = "agent", feature = "server"))]
    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for (line, words) in [
            (&["limpid", "up", "--lisen", "x"][..], &["--lisen", "`--listen`"][..]),
            (&["limpid", "u"], &["'u'"]),
            (&["limpid", "serve"], &["serve", "`server`"]),
            (&["limpid", "replay"], &["FILE"]),
            (&["limpid", "server", "--listen"], &["--listen"]),
            (&["limpid", "check", "more"], &["more"]),
        ] {
            let error = parser().try_get_matches_from(line).expect_err("it is wrong");
            let told = one_line(&error);
            assert!(!told.contains('\n') && words.iter().all(|word| told.contains(word)), "{line:?}: {told}");
        }
    }
}
