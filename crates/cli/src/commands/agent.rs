//! `limpid agent`: watches this machine.

use super::{CommandError, resolve};
use crate::config::Config;
use crate::config::table::Role;
use clap::ArgMatches;
use limpid_agent::pipeline::Sampling;
use limpid_agent::privileges;
use limpid_tls::ClientFiles;
use std::process::ExitCode;
use std::time::Duration;

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let config = resolve(Role::Agent, arguments)?;
    crate::log::start("agent", config.text("log"));
    let agent = limpid_agent::Config {
        server: Some(config.text("server").to_owned()).filter(|server| !server.is_empty()),
        token: token(&config)?,
        tls: tls(&config)?,
        listen: config.text("agent_listen").parse().ok(),
        sampling: sampling(&config),
        metrics_every: Duration::from_secs(config.number("interval_seconds")),
        ring_bytes: usize::try_from(config.number("ring_bytes"))?,
        sockets: config.is_on("sockets"),
        processes: config.is_on("processes"),
        front_end: config.text("front_end").to_owned(),
    };
    require_capabilities()?;
    if !limpid_agent::check::has_btf() {
        return Err(limpid_agent::check::NO_BTF.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(limpid_agent::run(agent, crate::signals::terminated()))?;
    Ok(ExitCode::SUCCESS)
}

/// What is missing ends the agent with a word about it; what is not needed is given up before any thread exists.
fn require_capabilities() -> Result<(), CommandError> {
    let missing = privileges::missing(privileges::effective());
    if missing.is_empty() {
        privileges::raise_memory_lock_limit();
        return Ok(privileges::keep_needed()?);
    }
    let list: Vec<String> = missing.iter().map(|one| format!("{} ({})", one.name, one.used_for)).collect();
    Err(format!("this process lacks {}: start it as root or give it these capabilities", list.join(", ")).into())
}

fn token(config: &Config) -> Result<Option<String>, CommandError> {
    let Some(path) = config.path("token_file") else { return Ok(None) };
    let token = std::fs::read_to_string(&path).map_err(|error| {
        format!("`token_file` in {} cannot be read: {}: {error}", config.source("token_file"), path.display())
    })?;
    Ok(Some(token.trim().to_owned()))
}

fn tls(config: &Config) -> Result<ClientFiles, CommandError> {
    let own = match (config.path("client_cert"), config.path("client_key")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert, key)),
        (cert, _) => {
            let (given, missing) =
                if cert.is_some() { ("client_cert", "client_key") } else { ("client_key", "client_cert") };
            return Err(format!("`{given}` in {} needs `{missing}` beside it", config.source(given)).into());
        }
    };
    Ok(ClientFiles { ca: config.path("server_ca"), own })
}

/// The table of options allows no other word.
fn sampling(config: &Config) -> Sampling {
    let spans = config.number("spans_per_second");
    match config.text("sample") {
        "all" => Sampling::All,
        "none" => Sampling::Off,
        _ => Sampling::PerSecond { spans, important: spans.div_ceil(2) },
    }
}
