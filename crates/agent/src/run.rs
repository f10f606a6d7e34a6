//! The agent as a whole: starts its parts, each of which may be missing, and ends them in order.

use crate::collectors::processes::{self, Processes};
use crate::collectors::sockets::{self, Sockets, TlsFound};
use crate::collectors::{CollectorStatus, ProgramState};
use crate::export::exporter::{self, Exporter, Sources};
use crate::export::otlp;
use crate::export::prometheus::Endpoint;
use crate::identity::Identity;
use crate::identity::exclude::Exclusions;
use crate::own::OwnProcesses;
use crate::pipeline::{self, Sampling, Shared};
use crate::reload::{Parts, follow};
use crate::self_status::{CollectorReport, SelfStatus};
use crate::telemetry::Families;
use crate::tls_status;
use limpid_protocols::protocols::SwitchedOff;
use limpid_tls::ClientFiles;
use serde_json::json;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the end of the agent may take to send what it still has.
const LAST_EXPORT: Duration = Duration::from_secs(3);
const LOOK_FOR_OWN: Duration = Duration::from_secs(1);
/// What every resource carries unless another cluster is named.
const CLUSTER: &str = "local";

#[derive(Clone, Debug)]
pub struct Config {
    /// `http://HOST:4317` or `unix:///PATH`; without one the agent only serves its own endpoint.
    pub server: Option<String>,
    pub token: Option<String>,
    /// For a server at `https://`.
    pub tls: ClientFiles,
    pub listen: Option<SocketAddr>,
    pub sampling: Sampling,
    pub metrics_every: Duration,
    pub ring_bytes: usize,
    pub sockets: bool,
    pub processes: bool,
    /// Whether probes are hung on TLS libraries.
    pub tls_plaintext: bool,
    /// `auto`, or by which hooks sockets are watched.
    pub front_end: String,
    /// Where batches wait while the server is away, and how many bytes of them; none: in memory.
    pub spool: Option<(PathBuf, u64)>,
    /// Names of protocols that are not read.
    pub protocols_off: Vec<&'static str>,
    /// What to leave alone, as in [`Exclusions::parse`].
    pub exclude: String,
}

impl Config {
    /// Spans go to a server: without one they are not made.
    pub(crate) fn sampling(&self) -> Sampling {
        if self.server.is_some() { self.sampling } else { Sampling::Off }
    }

    pub(crate) fn off(&self) -> SwitchedOff {
        SwitchedOff::named(self.protocols_off.iter().copied())
    }
}

/// The collectors that run, or why they do not.
pub(crate) struct Collectors {
    pub sockets: Result<Sockets, CollectorStatus>,
    pub processes: Result<Processes, CollectorStatus>,
}

impl Collectors {
    fn start(config: &Config, identity: &Arc<Identity>, shared: &Shared) -> Collectors {
        let processes = Self::start_processes(config, identity);
        Collectors { sockets: Self::start_sockets(config, shared), processes }
    }

    pub fn start_processes(config: &Config, identity: &Arc<Identity>) -> Result<Processes, CollectorStatus> {
        match config.processes {
            true => Processes::start(identity.clone()).map_err(|error| not_running(processes::INFO.name, error.0)),
            false => Err(switched_off(processes::INFO.name)),
        }
    }

    pub fn start_sockets(config: &Config, shared: &Shared) -> Result<Sockets, CollectorStatus> {
        let for_sockets = sockets::Config {
            ring_bytes: config.ring_bytes,
            front_end: config.front_end.clone(),
            tls_plaintext: config.tls_plaintext,
            ..sockets::Config::default()
        };
        match config.sockets {
            true => Sockets::start(for_sockets, |_| shared.consumer())
                .map_err(|error| not_running(sockets::INFO.name, error.0)),
            false => Err(switched_off(sockets::INFO.name)),
        }
    }

    fn tls_found(&self) -> TlsFound {
        self.sockets.as_ref().map(Sockets::tls_found).unwrap_or_default()
    }

    fn reports(&self) -> Vec<CollectorReport> {
        let sockets = match &self.sockets {
            Ok(sockets) => CollectorReport { status: sockets.status(), programs: sockets.program_stats() },
            Err(status) => CollectorReport { status: status.clone(), programs: Vec::new() },
        };
        let processes = match &self.processes {
            Ok(processes) => processes.status(),
            Err(status) => status.clone(),
        };
        vec![sockets, CollectorReport { status: processes, programs: Vec::new() }]
    }

    /// Why nothing is watched, if a collector that was wanted failed.
    fn failure(&self) -> Option<&str> {
        match &self.sockets {
            Err(CollectorStatus { state: ProgramState::Failed(reason), .. }) => Some(reason),
            _ => None,
        }
    }
}

fn not_running(name: &'static str, reason: String) -> CollectorStatus {
    log::warn!("the collector `{name}` does not run: {reason}");
    CollectorStatus { name, state: ProgramState::Failed(reason), programs: Vec::new() }
}

fn switched_off(name: &'static str) -> CollectorStatus {
    CollectorStatus { name, state: ProgramState::Off("switched off".into()), programs: Vec::new() }
}

/// Runs until `stop` resolves, and takes up the settings that come in `changes` meanwhile. `Err` is one line for the user:
/// nothing at all can be watched.
pub async fn run(
    config: Config,
    changes: mpsc::Receiver<Config>,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let identity = Identity::start();
    identity.exclude(Exclusions::parse(&config.exclude)?);
    let host = identity.host().clone();
    let own = Arc::new(OwnProcesses::new()?);
    own.look().into_iter().for_each(|tgid| identity.set_own(tgid));
    // Now that they are known, so are their ports.
    identity.refresh();
    config.listen.iter().for_each(|address| identity.expect_own_port(address.port()));
    let for_pipeline = pipeline::Config {
        host: host.name.clone(),
        machine: machine_number(&host.id),
        sampling: config.sampling(),
        off: config.off(),
        ..pipeline::Config::default()
    };
    let shared = Shared::new(for_pipeline, identity.clone());
    let collectors = Arc::new(Mutex::new(Some(Collectors::start(&config, &identity, &shared))));
    if let Some(reason) = with(&collectors, |collectors| collectors.failure().map(str::to_owned)).flatten() {
        return Err(format!("nothing can be watched: {reason}; `limpid check` tells what this machine allows"));
    }
    let for_status = collectors.clone();
    let tls = |part: fn(&TlsFound, &Identity) -> serde_json::Value| {
        let (collectors, identity) = (collectors.clone(), identity.clone());
        move || part(&with(&collectors, Collectors::tls_found).unwrap_or_default(), &identity)
    };
    let reports = move || with(&for_status, Collectors::reports).unwrap_or_default();
    let export: Arc<OnceLock<ExportStatus>> = Arc::default();
    let (of_export, of_identity, of_pipeline) = (export.clone(), identity.clone(), shared.clone());
    let status = SelfStatus::new(host.clone(), reports)
        .with("export", move || json!(of_export.get().and_then(|status| status())))
        .with("protocols", move || of_pipeline.protocols())
        .with("tls_plaintext", tls(|found, _| json!(found.is_on)))
        .with("tls", tls(tls_status::files))
        .with("tls_unread", tls(tls_status::unread))
        .with("exclusions", move || of_identity.exclusions().to_json())
        .shared();
    let families: Vec<Arc<dyn Families>> = vec![Arc::new(shared.clone()), status.clone(), identity.clone()];
    let endpoint = config.listen.map(|address| Endpoint::start(address, families.clone(), status.clone()));
    let exporter = match &config.server {
        Some(server) => {
            let mut to = exporter::Config::new(server, otlp::Agent::new(&host, CLUSTER));
            to.metrics_every = config.metrics_every;
            to.token = config.token.clone();
            to.spool = config.spool.clone();
            to.tls = config.tls.clone();
            let sources = Sources { spans: Arc::new(shared.clone()), families, identity: identity.clone(), status };
            let exporter = Exporter::start(to, sources)?;
            let _ = export.set(Box::new(exporter.status_source()));
            Some(exporter)
        }
        None => None,
    };
    log::info!("watching {}", host.name);
    let parts = Parts { identity: &identity, shared: &shared, collectors: &collectors, exporter: exporter.as_ref() };
    tokio::select! {
        () = stop => {}
        () = ignore_own(&own, &identity, &collectors) => {}
        () = follow(config, changes, parts) => {}
    }
    // The collectors first: what they have seen last still goes out.
    let taken = collectors.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(taken);
    drop(endpoint);
    if let Some(exporter) = exporter {
        exporter.finish(LAST_EXPORT).await;
    }
    Ok(())
}

type ExportStatus = Box<dyn Fn() -> Option<exporter::Status> + Send + Sync>;

/// Tells machines apart where connections have no sequence numbers. FNV-1a: the same in every release.
fn machine_number(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn with<T>(collectors: &Mutex<Option<Collectors>>, read: impl FnOnce(&Collectors) -> T) -> Option<T> {
    collectors.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(read)
}

/// Limpid's own processes come and go: a server that was started again has another number.
async fn ignore_own(own: &OwnProcesses, identity: &Identity, collectors: &Mutex<Option<Collectors>>) {
    let mut every = tokio::time::interval(LOOK_FOR_OWN);
    loop {
        every.tick().await;
        for tgid in own.look() {
            identity.set_own(tgid);
            let ignored = with(collectors, |collectors| match &collectors.sockets {
                Ok(sockets) => sockets.ignore_process(tgid),
                Err(_) => Ok(()),
            });
            if let Some(Err(error)) = ignored {
                log::warn!("{error}");
            }
        }
    }
}
