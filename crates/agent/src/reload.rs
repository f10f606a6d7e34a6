//! Settings that change while the agent runs: each is taken up by the part that it concerns, and all others stay as they
//! are. What only a start can change stays as it was.

use crate::export::Exporter;
use crate::identity::Identity;
use crate::identity::exclude::Exclusions;
use crate::pipeline::Shared;
use crate::run::{Collectors, Config};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What settings are taken up by.
pub(crate) struct Parts<'a> {
    pub identity: &'a Arc<Identity>,
    pub shared: &'a Shared,
    pub collectors: &'a Mutex<Option<Collectors>>,
    pub exporter: Option<&'a Exporter>,
}

/// Takes up what comes; never ends.
pub(crate) async fn follow(config: Config, mut changes: mpsc::Receiver<Config>, parts: Parts<'_>) {
    let mut config = config;
    while let Some(new) = changes.recv().await {
        parts.take_up(&config, &new);
        config = new.with_unchangeable(config);
    }
    std::future::pending().await
}

impl Config {
    fn with_unchangeable(self, old: Config) -> Config {
        let spool = match (&old.spool, &self.spool) {
            (Some((folder, _)), Some((_, bytes))) => Some((folder.clone(), *bytes)),
            _ => old.spool,
        };
        Config {
            server: old.server,
            tls: old.tls,
            listen: old.listen,
            ring_bytes: old.ring_bytes,
            front_end: old.front_end,
            spool,
            ..self
        }
    }
}

impl Parts<'_> {
    fn take_up(&self, old: &Config, new: &Config) {
        match Exclusions::parse(&new.exclude) {
            Ok(exclusions) => self.identity.exclude(exclusions),
            Err(error) => log::error!("`exclude` stays as it was: {error}"),
        }
        let sampling = Config { server: old.server.clone(), ..new.clone() }.sampling();
        self.shared.change(sampling, new.off());
        self.switch_collectors(old, new);
        if let Some(exporter) = self.exporter {
            exporter.set_metrics_every(new.metrics_every);
            if let Err(error) = exporter.set_token(new.token.as_deref()) {
                log::error!("{error}; the former one stays");
            }
            match (&old.spool, &new.spool) {
                (Some(_), Some((_, bytes))) => exporter.set_spool_limit(*bytes),
                (None, None) => {}
                _ => log::warn!("`spool_size` is off, or was, which needs a restart: the former value stays"),
            }
        }
    }

    /// Only those of which the switch was turned: the others stay attached.
    fn switch_collectors(&self, old: &Config, new: &Config) {
        let running = Config { ring_bytes: old.ring_bytes, front_end: old.front_end.clone(), ..new.clone() };
        let mut collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(collectors) = collectors.as_mut() else { return };
        if old.processes != new.processes {
            collectors.processes = Collectors::start_processes(&running, self.identity);
            log::info!("`processes` is {} now", on_or_off(new.processes));
        }
        if (old.sockets, old.tls_plaintext) != (new.sockets, new.tls_plaintext) {
            collectors.sockets = Collectors::start_sockets(&running, self.shared);
            log::info!("`sockets` is {} now", on_or_off(new.sockets));
        }
    }
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
