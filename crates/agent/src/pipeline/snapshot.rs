//! The aggregates of all threads as families of series.
//!
//! A series of the same labels may live in several threads: they are added. A series is evicted only when it has been
//! idle in all of them, so that a cumulative count never falls; it is shown once more as ended, for some seconds, since
//! there can be more than one exporter.

use super::aggregate::{EdgeLabels, Link, SeriesState, Table};
use super::{Inner, caps::Caps};
use crate::telemetry::{FamilySnapshot, LabelValues, Measure, SeriesSnapshot};
use limpid_model::{ExpHistogram, Text, names};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::hash_map::Entry;
use std::sync::{MutexGuard, PoisonError, atomic::Ordering};

/// How long the last point of an evicted series is shown.
const SHOW_ENDED_NS: u64 = 15_000_000_000;
/// A certificate that nobody was shown for so long is no longer in use, or on connections that stay open.
const CERTIFICATE_NS: u64 = 24 * 3600 * 1_000_000_000;
/// How often to look for idle series.
const LOOK_NS: u64 = 10_000_000_000;

struct Family {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
}

const REQUEST_LABELS: &[&str] = &[
    "service",
    "peer",
    "peer_address",
    "protocol",
    "operation",
    "resource",
    "code",
    "status",
    "side",
    "instance",
    "host",
];
const LINK_LABELS: &[&str] = &["service", "peer", "peer_address", "protocol", "side", "host"];
const IO_LABELS: &[&str] = &["service", "peer", "peer_address", "protocol", "side", "host", "direction"];
const CERTIFICATE_LABELS: &[&str] =
    &["service", "peer", "peer_address", "protocol", "side", "host", "server_name", "subject"];
const SPLIT_LABELS: &[&str] = &["service", "peer", "protocol", "host"];

const DURATION: usize = 0;
const NETWORK: usize = 1;
const QUEUE: usize = 2;
const NETWORK_OR_QUEUE: usize = 3;
const IO: usize = 4;
const ACTIVE: usize = 5;
const OPENED: usize = 6;
const WAITING: usize = 7;
const PENDING: usize = 8;
const PENDING_AGE: usize = 9;
const CONNECT: usize = 10;
const ROUND_TRIP: usize = 11;
const SEGMENTS: usize = 12;
const RETRANSMITS: usize = 13;
const RESETS: usize = 14;
const SESSION: usize = 15;
const NOT_AFTER: usize = 16;

#[rustfmt::skip]
const FAMILIES: [Family; 17] = [
    Family { name: names::REQUEST_DURATION, unit: "s", labels: REQUEST_LABELS,
        help: "time from a request's first byte to its answer's last one, as this side saw it" },
    Family { name: names::REQUEST_NETWORK, unit: "s", labels: SPLIT_LABELS,
        help: "what the client waited beyond the server's time and its queue" },
    Family { name: names::REQUEST_QUEUE, unit: "s", labels: SPLIT_LABELS,
        help: "how long requests lay in the server's socket before they were read" },
    Family { name: names::REQUEST_NETWORK_OR_QUEUE, unit: "s", labels: SPLIT_LABELS,
        help: "what the client waited beyond the server's time, where the arrival is not known" },
    Family { name: names::CONNECTION_BYTES, unit: "By", labels: IO_LABELS,
        help: "bytes that connections carried" },
    Family { name: "limpid.connection.active", unit: "{connection}", labels: LINK_LABELS,
        help: "open connections that were used" },
    Family { name: "limpid.connection.opened", unit: "{connection}", labels: LINK_LABELS,
        help: "connections opened" },
    Family { name: names::REQUESTS_WAITING, unit: "{request}", labels: LINK_LABELS,
        help: "requests that wait for their answer longer than the time limit" },
    Family { name: names::REQUESTS_PENDING, unit: "{request}", labels: LINK_LABELS,
        help: "requests that have waited for longer than a second and of whose answers nothing has come, without those that block by design" },
    Family { name: names::REQUESTS_PENDING_AGE, unit: "s", labels: LINK_LABELS,
        help: "how long the oldest of these has waited" },
    Family { name: names::TCP_CONNECT, unit: "s", labels: LINK_LABELS,
        help: "time that it took to connect, of the connections that this side opened" },
    Family { name: names::TCP_ROUND_TRIP, unit: "s", labels: LINK_LABELS,
        help: "round-trip time as TCP smooths it, acknowledgements that the peer delays with it: one value a second of each connection that moves" },
    Family { name: names::TCP_SEGMENTS, unit: "{segment}", labels: LINK_LABELS,
        help: "TCP segments sent, those that were sent again with them" },
    Family { name: names::TCP_RETRANSMITS, unit: "{segment}", labels: LINK_LABELS,
        help: "TCP segments that were sent again" },
    Family { name: names::TCP_RESETS, unit: "{connection}", labels: LINK_LABELS,
        help: "connections that ended with a reset" },
    Family { name: names::SESSION_DURATION, unit: "s", labels: REQUEST_LABELS,
        help: "time that handshakes and logins took, which are no requests" },
    Family { name: names::TLS_CERTIFICATE_NOT_AFTER, unit: "s", labels: CERTIFICATE_LABELS,
        help: "when the certificate ends that the server has shown, in seconds since 1970: that of TLS up to 1.2, since 1.3 encrypts it" },
];

/// The families without their series: what the docs are made from.
pub fn described() -> Vec<FamilySnapshot> {
    let empty = |family: &Family| {
        let Family { name, unit, help, labels } = *family;
        FamilySnapshot { name, unit, help, labels, series: Vec::new() }
    };
    FAMILIES.iter().map(empty).collect()
}

struct Point {
    start_ns: u64,
    last_ns: u64,
    measure: Measure,
}

/// All series of all families, added up over the threads.
#[derive(Default)]
struct Collected {
    families: [FxHashMap<LabelValues, Point>; FAMILIES.len()],
}

/// Series that were evicted a moment ago.
#[derive(Default)]
pub(super) struct Ended {
    series: Vec<(usize, LabelValues, Point, u64)>,
    looked_ns: u64,
}

pub(super) fn families(inner: &Inner) -> Vec<FamilySnapshot> {
    let now_ns = inner.now_ns.load(Ordering::Relaxed);
    let mut ended = inner.ended.lock().unwrap_or_else(PoisonError::into_inner);
    if now_ns.saturating_sub(ended.looked_ns) >= LOOK_NS {
        ended.looked_ns = now_ns;
        evict_idle(inner, &mut ended, now_ns);
    }
    let mut all = Collected::default();
    for table in inner.tables.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        all.add_table(&table.lock().unwrap_or_else(PoisonError::into_inner), &inner.config.host, now_ns);
    }
    ended
        .series
        .retain(|(family, values, _, until_ns)| now_ns < *until_ns && !all.families[*family].contains_key(values));
    let last_points = |family: usize| {
        let ended = ended.series.iter().filter(move |(of, ..)| *of == family);
        ended.map(|(_, values, point, _)| point.snapshot(values.clone(), true))
    };
    let families = all.families.into_iter().enumerate().map(|(at, points)| {
        let living = points.into_iter().map(|(values, point)| point.into_snapshot(values));
        let Family { name, unit, help, labels } = FAMILIES[at];
        FamilySnapshot { name, unit, help, labels, series: living.chain(last_points(at)).collect() }
    });
    families.filter(|family| !family.series.is_empty()).collect()
}

/// Holds up all threads for a moment, and only when something is idle.
fn evict_idle(inner: &Inner, ended: &mut Ended, now_ns: u64) {
    let tables = inner.tables.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tables: Vec<_> = tables.iter().map(|table| table.lock().unwrap_or_else(PoisonError::into_inner)).collect();
    let host = &inner.config.host;
    let before = collect(&tables, host, now_ns);
    let idle = |point: &Point| point.last_ns.saturating_add(inner.config.idle_series_ns) <= now_ns;
    let idle_of = |family: usize| -> FxHashSet<LabelValues> {
        before.families[family].iter().filter(|(_, point)| idle(point)).map(|(values, _)| values.clone()).collect()
    };
    let (series, sessions, links) = (idle_of(DURATION), idle_of(SESSION), idle_of(OPENED));
    let forgot_any = forget_certificates(&mut tables, now_ns);
    if !forgot_any && series.is_empty() && sessions.is_empty() && links.is_empty() {
        return;
    }
    for table in &mut tables {
        let idle = |state: &SeriesState| if state.session { &sessions } else { &series };
        table.evict(
            |labels, state| idle(state).contains(&request_values(labels, state, host)),
            |link| links.contains(&link_values(link, host, None)),
        );
    }
    let after = collect(&tables, host, now_ns);
    for (family, points) in before.families.into_iter().enumerate() {
        let gone = points.into_iter().filter(|(values, _)| !after.families[family].contains_key(values));
        ended.series.extend(gone.map(|(values, point)| (family, values, point, now_ns + SHOW_ENDED_NS)));
    }
    let mut caps = inner.caps.lock().unwrap_or_else(PoisonError::into_inner);
    give_places_back(&mut caps, &tables);
}

fn forget_certificates(tables: &mut [MutexGuard<'_, Table>], now_ns: u64) -> bool {
    let before_ns = now_ns.saturating_sub(CERTIFICATE_NS);
    tables.iter_mut().fold(false, |any, table| table.forget_certificates(before_ns) || any)
}

fn collect(tables: &[MutexGuard<'_, Table>], host: &Text, now_ns: u64) -> Collected {
    let mut all = Collected::default();
    tables.iter().for_each(|table| all.add_table(table, host, now_ns));
    all
}

fn give_places_back(caps: &mut Caps, tables: &[MutexGuard<'_, Table>]) {
    caps.clear();
    tables.iter().for_each(|table| table.occupy(caps));
}

impl Collected {
    fn add_table(&mut self, table: &Table, host: &Text, now_ns: u64) {
        for series in table.series.iter() {
            let Some(edge) = table.edges.get(series.edge) else { continue };
            let values = request_values(&edge.labels, series, host);
            let measure = Measure::Histogram(series.histogram.clone());
            let family = if series.session { SESSION } else { DURATION };
            self.add(family, values, Point { start_ns: series.start_ns, last_ns: series.last_ns, measure });
        }
        table.links.iter().for_each(|link| self.add_link(link, host, now_ns));
    }

    fn add_link(&mut self, link: &Link, host: &Text, now_ns: u64) {
        let (start_ns, last_ns) = (link.start_ns, if link.active > 0 { u64::MAX } else { link.last_ns });
        let point = |measure| Point { start_ns, last_ns, measure };
        for (direction, bytes) in [("sent", link.sent_bytes), ("received", link.received_bytes)] {
            self.add(IO, link_values(link, host, Some(direction)), point(Measure::Counter(bytes)));
        }
        self.add(ACTIVE, link_values(link, host, None), point(Measure::Gauge(link.active as f64)));
        self.add(OPENED, link_values(link, host, None), point(Measure::Counter(link.opened)));
        self.add(WAITING, link_values(link, host, None), point(Measure::Gauge(link.waiting as f64)));
        if let Some(pending) = &link.pending {
            let (requests, age_ns) = pending.now(now_ns);
            self.add(PENDING, link_values(link, host, None), point(Measure::Gauge(requests as f64)));
            let seconds = std::time::Duration::from_nanos(age_ns).as_secs_f64();
            self.add(PENDING_AGE, link_values(link, host, None), point(Measure::Gauge(seconds)));
        }
        self.add_tcp(link, host, point);
        self.add_certificates(link, host, last_ns);
        let Some(split) = &link.split else { return };
        let parts = [(NETWORK, &split.network), (QUEUE, &split.queue), (NETWORK_OR_QUEUE, &split.network_or_queue)];
        for (family, histogram) in parts.into_iter().filter(|(_, histogram)| histogram.count > 0) {
            let values = [&link.service, &link.peer, &Text::const_new(link.protocol), host].map(Text::clone);
            self.add(family, values.into(), point(Measure::Histogram(ExpHistogram::clone(histogram))));
        }
    }

    fn add_tcp(&mut self, link: &Link, host: &Text, point: impl Fn(Measure) -> Point) {
        let Some(tcp) = &link.tcp else { return };
        for (family, histogram) in [(CONNECT, &tcp.connect), (ROUND_TRIP, &tcp.round_trip)] {
            if histogram.count > 0 {
                self.add(family, link_values(link, host, None), point(Measure::Histogram(histogram.clone())));
            }
        }
        for (family, count) in [(SEGMENTS, tcp.segments), (RETRANSMITS, tcp.retransmits), (RESETS, tcp.resets)] {
            self.add(family, link_values(link, host, None), point(Measure::Counter(count)));
        }
    }

    fn add_certificates(&mut self, link: &Link, host: &Text, last_ns: u64) {
        for known in link.certificates.iter().flat_map(|certificates| certificates.iter()) {
            let own = [known.server_name.clone(), known.subject.clone()];
            let values = link_values(link, host, None).into_iter().chain(own).collect();
            let measure = Measure::Gauge(known.not_after as f64);
            self.add(NOT_AFTER, values, Point { start_ns: known.start_ns, last_ns, measure });
        }
    }

    fn add(&mut self, family: usize, values: LabelValues, point: Point) {
        match self.families[family].entry(values) {
            Entry::Vacant(place) => {
                place.insert(point);
            }
            Entry::Occupied(mut have) if matches!(family, PENDING_AGE | NOT_AFTER) => have.get_mut().keep_larger(point),
            Entry::Occupied(mut have) => have.get_mut().add(point),
        }
    }
}

impl Point {
    /// Of two ages the larger is wanted, of two certificates the one that was renewed, and no sum.
    fn keep_larger(&mut self, other: Point) {
        self.start_ns = self.start_ns.min(other.start_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        if let (Measure::Gauge(age), Measure::Gauge(more)) = (&mut self.measure, other.measure) {
            *age = age.max(more);
        }
    }

    fn add(&mut self, other: Point) {
        self.start_ns = self.start_ns.min(other.start_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        match (&mut self.measure, other.measure) {
            (Measure::Counter(sum), Measure::Counter(more)) => *sum += more,
            (Measure::Gauge(sum), Measure::Gauge(more)) => *sum += more,
            (Measure::Histogram(sum), Measure::Histogram(more)) => sum.merge(&more),
            // One family has one kind of measure.
            _ => {}
        }
    }

    fn into_snapshot(self, values: LabelValues) -> SeriesSnapshot {
        SeriesSnapshot { values, start_ns: self.start_ns, measure: self.measure, ended: false }
    }

    fn snapshot(&self, values: LabelValues, ended: bool) -> SeriesSnapshot {
        let measure = match &self.measure {
            Measure::Counter(count) => Measure::Counter(*count),
            Measure::Gauge(value) => Measure::Gauge(*value),
            Measure::CounterFloat(value) => Measure::CounterFloat(*value),
            Measure::Histogram(histogram) => Measure::Histogram(histogram.clone()),
        };
        SeriesSnapshot { values, start_ns: self.start_ns, measure, ended }
    }
}

fn request_values(labels: &EdgeLabels, series: &SeriesState, host: &Text) -> LabelValues {
    Box::new([
        labels.service.clone(),
        labels.peer.clone(),
        labels.peer_address.clone(),
        Text::const_new(labels.protocol),
        series.operation.clone(),
        series.resource.clone(),
        series.code.clone(),
        Text::const_new(series.status.as_str()),
        Text::const_new(labels.side.as_str()),
        labels.instance.clone(),
        host.clone(),
    ])
}

fn link_values(link: &Link, host: &Text, direction: Option<&'static str>) -> LabelValues {
    let values = [
        link.service.clone(),
        link.peer.clone(),
        link.peer_address.clone(),
        Text::const_new(link.protocol),
        Text::const_new(link.side.as_str()),
        host.clone(),
    ];
    values.into_iter().chain(direction.map(Text::const_new)).collect()
}
