//! Handshakes of TLS and QUIC, and the certificates that servers have shown.
//!
//! Agents tell of handshakes as sessions of the protocols `tls` and `quic`. Where requests were read between the same two,
//! the handshakes stand on their edge: the calls were encrypted. Where none were, they are an edge of their own: that the two
//! talk, how often and whether it works is known, however little could be read.

use super::answer::{EdgeCertificate, EdgeTls, Reason, Severity, TopologyQuery};
use super::connects;
use super::figures::{Figures, View};
use super::graph::{EdgeKey, EdgeParts, Graph, Seen, seen, select_at};
use super::increase::Moments;
use super::judge;
use super::resolve::Resolver;
use super::text;
use crate::QueryError;
use limpid_model::names::{TLS_CERTIFICATE_NOT_AFTER, prometheus_name};
use limpid_model::{Side, Value};
use limpid_store::Store;
use std::collections::BTreeMap;

pub const PROTOCOLS: [&str; 2] = ["tls", "quic"];
/// Of reasons.
pub const KIND: &str = "handshakes";
pub const CERTIFICATE_KIND: &str = "certificate";
/// Lookups in clear beside an encrypted connection are never what is in it.
const NEVER_INSIDE: [&str; 4] = ["tls", "quic", "dns", connects::PROTOCOL];
/// Of one edge.
const MOST_CERTIFICATES: usize = 64;
const DAY_SECONDS: f64 = 86_400.0;
/// Certificates are renewed weeks before they end: what has less than this left is about to be forgotten.
const WARNING_DAYS: f64 = 14.0;
const CRITICAL_DAYS: f64 = 3.0;

pub fn are_of(protocol: &str) -> bool {
    PROTOCOLS.contains(&protocol)
}

#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    pub subject: String,
    pub server_name: String,
    /// Unix seconds.
    pub not_after: f64,
}

impl Certificate {
    /// As people call it: what it was asked for, else its common name.
    fn name(&self) -> &str {
        let common = || self.subject.split("CN=").nth(1)?.split([',', '+']).next();
        if self.server_name.is_empty() { common().unwrap_or(&self.subject).trim() } else { &self.server_name }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    pub client: Option<View>,
    pub server: Option<View>,
    /// How many failed in the range, by the number of the alert.
    pub codes: BTreeMap<String, f64>,
    pub certificates: Vec<Certificate>,
}

impl Handshakes {
    /// The server's view where there is one, else the client's.
    pub fn view(&self) -> Option<&View> {
        self.server.as_ref().or(self.client.as_ref())
    }

    pub fn total(&self) -> Figures {
        self.view().map(View::total).unwrap_or_default()
    }

    fn take(parts: &mut EdgeParts) -> Handshakes {
        let of_client = std::mem::take(&mut parts.failed_codes);
        let of_server = std::mem::take(&mut parts.server_alerts);
        Handshakes {
            codes: if parts.server.is_some() { of_server } else { of_client },
            client: parts.client.take(),
            server: parts.server.take(),
            certificates: Vec::new(),
        }
    }

    pub fn merge(&mut self, other: &Handshakes) {
        for (mine, theirs) in [(&mut self.client, &other.client), (&mut self.server, &other.server)] {
            match (mine, theirs) {
                (Some(mine), Some(theirs)) => mine.merge(theirs),
                (mine, Some(theirs)) => *mine = Some(theirs.clone()),
                _ => {}
            }
        }
        for (code, count) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
        other.certificates.iter().for_each(|certificate| self.show(certificate.clone()));
    }

    /// Both ends tell of the same certificate, and of a renewed one the newer end counts.
    fn show(&mut self, shown: Certificate) {
        let same =
            |known: &&mut Certificate| (&known.subject, &known.server_name) == (&shown.subject, &shown.server_name);
        if let Some(known) = self.certificates.iter_mut().find(same) {
            known.not_after = known.not_after.max(shown.not_after);
        } else if self.certificates.len() < MOST_CERTIFICATES {
            self.certificates.push(shown);
        }
    }

    pub fn answer(&self, moments: &Moments) -> EdgeTls {
        let side = |view: &Option<View>| view.as_ref().map(|view| view.total().side());
        let certificate = |known: &Certificate| EdgeCertificate {
            subject: known.subject.clone(),
            server_name: known.server_name.clone(),
            not_after: known.not_after,
        };
        EdgeTls {
            handshakes_per_second: self.total().requests / moments.seconds(),
            client: side(&self.client),
            server: side(&self.server),
            alerts: connects::by_error(&self.codes),
            certificates: self.certificates.iter().map(certificate).collect(),
        }
    }

    /// What is wrong with them: too many fail, or a certificate has ended or is about to.
    pub fn reasons(&self, moments: &Moments, link: &str) -> Vec<Reason> {
        let failing = self.view().and_then(|view| judge::handshakes_reason(view, &self.codes, moments, link));
        failing.into_iter().chain(self.certificate_reason(moments, link)).collect()
    }

    fn certificate_reason(&self, moments: &Moments, link: &str) -> Option<Reason> {
        let first = self.certificates.iter().min_by(|a, b| a.not_after.total_cmp(&b.not_after))?;
        let days = (first.not_after - moments.end_ms as f64 / 1000.0) / DAY_SECONDS;
        let (severity, limit_days) = match days {
            ..CRITICAL_DAYS => (Severity::Critical, CRITICAL_DAYS),
            ..WARNING_DAYS => (Severity::Warning, WARNING_DAYS),
            _ => return None,
        };
        let since_ms = ((first.not_after - limit_days * DAY_SECONDS) * 1000.0) as i64;
        let value = text::days(days.abs());
        let ends = if days < 0.0 { format!("ended {value} ago") } else { format!("ends in {value}") };
        Some(Reason {
            kind: CERTIFICATE_KIND,
            severity,
            text: format!("certificate of {} {ends}", first.name()),
            value,
            usual: None,
            since_ns: since_ms.clamp(moments.start_ms, moments.end_ms).max(0) as u64 * 1_000_000,
            link: link.to_string(),
        })
    }
}

impl Graph {
    /// Onto the edge of what was read inside of them, before failed connects are placed.
    pub fn place_handshakes(&mut self) {
        let encrypted: Vec<EdgeKey> = self.edges.keys().filter(|key| are_of(&key.protocol)).cloned().collect();
        for key in encrypted {
            let Some(mut parts) = self.edges.remove(&key) else { continue };
            let handshakes = Handshakes::take(&mut parts);
            let home = self.edge_beside(&key, &parts, &NEVER_INSIDE);
            let edge = match home {
                Some(home) => self.edges.entry(home).or_default(),
                // Its series say nothing of requests.
                None => self.edges.entry(key).or_insert(EdgeParts { series: Vec::new(), ..parts }),
            };
            edge.handshakes.get_or_insert_with(Handshakes::default).merge(&handshakes);
        }
    }

    /// Where the handshakes of this link stand.
    pub fn encrypted_edge(&self, key: &EdgeKey) -> Option<EdgeKey> {
        let from = EdgeKey { protocol: String::new(), ..key.clone() };
        let between =
            self.edges.range(from..).take_while(|(one, _)| one.source == key.source && one.target == key.target);
        let mut found = between.filter(|(_, edge)| edge.handshakes.is_some());
        match (found.next(), found.next()) {
            (Some((only, _)), None) => Some(only.clone()),
            _ => None,
        }
    }

    pub fn add_certificates(
        &mut self,
        store: &dyn Store,
        moments: &Moments,
        query: &TopologyQuery,
        resolver: &Resolver,
    ) -> Result<(), QueryError> {
        let name = prometheus_name(TLS_CERTIFICATE_NOT_AFTER, "s", false);
        for series in select_at(store, name, &[moments.end_ms], query)? {
            let Some(Value::Float(not_after)) = series.samples.last().map(|last| last.value.clone()) else { continue };
            let Some(seen) = seen(&series.labels).filter(|_| not_after.is_finite()) else { continue };
            let label = |name: &str| series.labels.get(name).unwrap_or_default().to_string();
            let shown = Certificate { subject: label("subject"), server_name: label("server_name"), not_after };
            let key = self.key_of(&seen, resolver).or_else(|| self.only_encrypted(&seen));
            let handshakes = key.and_then(|key| self.edges.get_mut(&key)?.handshakes.as_mut());
            handshakes.into_iter().for_each(|handshakes| handshakes.show(shown.clone()));
        }
        Ok(())
    }

    /// Below the level of services a link cannot say which edge it is, unless there is one.
    fn only_encrypted(&self, seen: &Seen) -> Option<EdgeKey> {
        let services = match seen.side {
            Side::Client => (&seen.service, &seen.peer),
            Side::Server => (&seen.peer, &seen.service),
        };
        let is_between = |edge: &EdgeParts| edge.services.as_ref().is_some_and(|(from, to)| (from, to) == services);
        let mut found = self.edges.iter().filter(|(_, edge)| edge.handshakes.is_some() && is_between(edge));
        match (found.next(), found.next()) {
            (Some((key, _)), None) => Some(key.clone()),
            _ => None,
        }
    }
}
