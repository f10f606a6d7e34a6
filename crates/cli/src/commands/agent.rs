//! `limpid agent`: watches this machine.

use super::{CommandError, resolve, resolve_again};
use crate::config::Config;
use crate::config::reload::Reloader;
use crate::config::table::{Role, is_off, options, protocol_of};
use crate::signals;
use clap::ArgMatches;
use limpid_agent::identity::exclude::Exclusions;
use limpid_agent::pipeline::Sampling;
use limpid_agent::{check, export, privileges};
use limpid_tls::ClientFiles;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let config = resolve(Role::Agent, arguments)?;
    crate::log::start("agent", config.text("log"));
    let agent = settings(&config)?;
    if let Some((folder, _)) = agent.spool.as_ref().filter(|_| agent.server.is_some()) {
        prepare_spool(folder);
    }
    require_capabilities(&agent)?;
    if !limpid_agent::check::has_btf() {
        return Err(limpid_agent::check::NO_BTF.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, changes) = mpsc::channel(1);
    let mut reloader = Reloader::new(Role::Agent, config, || resolve_again(Role::Agent, arguments));
    runtime.block_on(async {
        let hang_ups = signals::HangUps::listen();
        let reload = async || {
            let mut new = None;
            reloader.reload(|config| {
                new = Some(settings(config).map_err(|error| error.to_string())?);
                crate::log::set_level(config.text("log"));
                Ok(())
            });
            if let Some(new) = new {
                let _ = sender.send(new).await;
            }
        };
        let stop = async {
            tokio::select! {
                () = signals::terminated() => {}
                () = hang_ups.each(reload) => {}
            }
        };
        limpid_agent::run(agent, changes, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the agent takes, from what the table of options allows.
pub fn settings(config: &Config) -> Result<limpid_agent::Config, CommandError> {
    let exclude = config.text("exclude").to_owned();
    Exclusions::parse(&exclude).map_err(|error| format!("`exclude` in {}: {error}", config.source("exclude")))?;
    Ok(limpid_agent::Config {
        server: Some(config.text("server").to_owned()).filter(|server| !server.is_empty()),
        token: token(config)?,
        tls: tls(config)?,
        listen: config.text("agent_listen").parse().ok(),
        sampling: sampling(config),
        metrics_every: Duration::from_secs(config.number("interval_seconds")),
        ring_bytes: usize::try_from(config.number("ring_bytes"))?,
        sockets: config.is_on("sockets"),
        processes: config.is_on("processes"),
        tls_plaintext: config.is_on("tls_plaintext"),
        front_end: config.text("front_end").to_owned(),
        spool: spool(config),
        protocols_off: protocols_off(config),
        exclude,
    })
}

pub fn protocols_off(config: &Config) -> Vec<&'static str> {
    options().iter().filter(|option| !config.is_on(option.key)).filter_map(protocol_of).collect()
}

fn spool(config: &Config) -> Option<(PathBuf, u64)> {
    let folder = config.path("spool").filter(|_| !is_off(config.text("spool_size")))?;
    Some((folder, config.number("spool_size")))
}

/// While the agent still may make folders anywhere. Without one it does its work all the same.
fn prepare_spool(folder: &std::path::Path) {
    if let Err(error) = export::spool::prepare(folder) {
        log::warn!("no spool: {error}; choose another folder with --spool");
    }
}

/// What is missing ends the agent with a word about it; what is not needed is given up before any thread exists.
fn require_capabilities(agent: &limpid_agent::Config) -> Result<(), CommandError> {
    let missing = privileges::missing(privileges::effective());
    if missing.is_empty() {
        privileges::raise_memory_lock_limit();
        let Some(probes) = closed_probes(agent) else { return Ok(privileges::keep_needed()?) };
        log::info!("CAP_SYS_ADMIN is kept for {probes}: not so where the setting kernel.perf_event_paranoid is 2");
        return Ok(privileges::keep_needed_for_probes()?);
    }
    let list: Vec<String> = missing.iter().map(|one| format!("{} ({})", one.name, one.used_for)).collect();
    Err(format!("this process lacks {}: start it as root or give it these capabilities", list.join(", ")).into())
}

/// Probes that are wanted, or are the only way, and to which this kernel is closed.
fn closed_probes(agent: &limpid_agent::Config) -> Option<&'static str> {
    if !privileges::perf_is_closed() {
        return None;
    }
    if agent.front_end == "kprobe" || (agent.front_end == "auto" && !check::sees_without_probes()) {
        return Some("kprobes");
    }
    (agent.tls_plaintext && !check::has_links_of_many_probes()).then_some("probes on TLS libraries")
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
