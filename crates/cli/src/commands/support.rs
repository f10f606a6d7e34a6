//! `limpid support`: one tar.gz for somebody who looks for a fault and cannot look at this machine. No payload and no
//! secret goes into it: metrics only with labels that are listed here, configuration without tokens, names of files
//! without their contents. What cannot be had is a line that says why.

mod archive;
mod fetch;
mod machine;
mod parts;
mod scrub;

use super::{CommandError, variables};
use crate::config::Config;
use crate::config::table::Role;
use archive::Archive;
use clap::{Arg, ArgMatches, Command};
use scrub::Secrets;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn arguments(command: Command) -> Command {
    let with_value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .arg(with_value("output", "FILE", "File to write, or - for standard output; else limpid-support-TIME.tar.gz"))
        .arg(with_value("config", "FILE", "The configuration that agent or server run with"))
        .arg(with_value("server", "URL", "Console of the server, else the one of the configuration"))
        .arg(with_value("server-ca", "FILE", "Authorities that may have signed the certificate of an https:// server"))
        .arg(with_value("agent", "URL", "Endpoint of the agent, else the one of the configuration"))
        .arg(with_value("token-file", "FILE", "A token with the role read, where the server asks for one"))
}

/// What the parts are made from.
pub struct Context {
    pub config: Result<Config, String>,
    pub server: Option<String>,
    pub server_ca: Option<PathBuf>,
    pub agent: Option<String>,
    pub token: Option<String>,
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let (context, secrets) = context(arguments)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = format!("limpid-support-{now}");
    let mut archive = Archive::new(&name, now);
    let mut index = format!("{}\n\n", parts::HEAD);
    for part in parts::PARTS {
        let (text, state) = match (part.collect)(&context) {
            Ok(text) => (text, String::new()),
            Err(why) => {
                let first = why.lines().next().unwrap_or_default();
                (format!("not available: {why}\n"), format!(" (not available: {first})"))
            }
        };
        index.push_str(&secrets.scrub(&format!("{}: {}{state}\n", part.file, part.help)));
        archive.add(part.file, &secrets.scrub(&text))?;
    }
    archive.add("README.txt", &index)?;
    let bytes = archive.finish()?;
    match arguments.get_one::<String>("output").map(String::as_str) {
        Some("-") => std::io::stdout().write_all(&bytes)?,
        chosen => {
            let path = chosen.map_or_else(|| format!("{name}.tar.gz"), str::to_owned);
            // Never into a file that somebody else has put there.
            let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let written = file.and_then(|mut file| file.write_all(&bytes));
            written.map_err(|error| format!("{path} cannot be written: {error}; name another file with --output"))?;
            println!("{path}");
            crate::log::line(
                "limpid support: look through it before you send it; README.txt in it says what each file is",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn context(arguments: &ArgMatches) -> Result<(Context, Secrets), CommandError> {
    let given = |name: &str| arguments.get_one::<String>(name).cloned();
    let config =
        Config::resolve(Role::Up, given("config").map(Into::into), variables(), Vec::new()).map_err(|error| error.0);
    let mut secrets = Secrets::default();
    let token = given("token-file").map(|file| {
        let read =
            std::fs::read_to_string(&file).map_err(|error| format!("--token-file {file} cannot be read: {error}"));
        read.map(|text| text.trim().to_owned())
    });
    let token = token.transpose()?;
    token.iter().for_each(|token| secrets.add(token));
    if let Ok(config) = &config {
        ["auth_file", "token_file"]
            .iter()
            .filter_map(|key| config.path(key))
            .for_each(|path| secrets.add_words_of(&path));
    }
    let of_config = |key: &str| config.as_ref().ok().map(|config| config.text(key).to_owned());
    let has_tls = of_config("tls_cert").is_some_and(|path| !path.is_empty());
    let scheme = if has_tls { "https" } else { "http" };
    let at = |key: &str, scheme: &str| of_config(key).filter(|at| at != "off").map(|at| format!("{scheme}://{at}"));
    let server = given("server").or_else(|| at("listen", scheme));
    let agent = given("agent").or_else(|| at("agent_listen", "http"));
    let server_ca = given("server-ca").map(Into::into).or_else(|| config.as_ref().ok()?.path("tls_cert"));
    Ok((Context { config, server, server_ca, agent, token }, secrets))
}
