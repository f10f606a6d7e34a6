//! From the growth of each series to the rows that it counts for.

use super::figures::{Figures, add_growth};
use super::picture::{Agent, Edge, Operation, Picture, Process, Service};
use super::reading::{Reading, counts_events};
use super::registry::{Counts, Family, Outcome, Registry};
use limpid_model::{Side, Text};
use rustc_hash::FxHashMap;
use std::rc::Rc;

struct Builder<'a> {
    registry: &'a Registry,
    now: &'a Reading,
    from: Option<&'a Reading>,
    picture: Picture,
    lost: FxHashMap<Text, f64>,
}

pub fn build(registry: &Registry, now: &Reading, from: Option<&Reading>) -> Picture {
    let picture = Picture {
        services: vec![None; registry.services.items.len()],
        edges: vec![None; registry.edges.items.len()],
        operations: vec![None; registry.operations.items.len()],
        processes: vec![None; registry.processes.items.len()],
        agent: Agent { host: registry.host.clone(), ..Agent::default() },
        seconds: seconds(now, from),
        unix_ns: now.unix_ns,
        since_start: from.is_none(),
    };
    let mut builder = Builder { registry, now, from, picture, lost: FxHashMap::default() };
    let living = now.samples.iter().enumerate().filter(|(_, sample)| sample.is_some());
    living.for_each(|(at, _)| builder.series(at));
    builder.finish()
}

fn seconds(now: &Reading, from: Option<&Reading>) -> f64 {
    let seconds = match (from, now.agent_started_ns) {
        (Some(from), _) => now.at.duration_since(from.at).as_secs_f64(),
        (None, Some(started_ns)) => now.unix_ns.saturating_sub(started_ns) as f64 / 1e9,
        (None, None) => 0.0,
    };
    seconds.max(0.001)
}

impl Builder<'_> {
    fn series(&mut self, at: usize) {
        let series = &self.registry.series[at];
        match &series.counts {
            Counts::Requests { .. } => self.requests(at, &series.counts),
            Counts::Edge { edge, side, received } => match series.family {
                Family::Network | Family::Queue | Family::NetworkOrQueue => self.split(at, series.family, *edge),
                family => self.link(at, family, *edge, *side, *received),
            },
            Counts::Loss { cause } if counts_events(cause) => {
                *self.lost.entry(cause.clone()).or_default() += self.grown(at);
            }
            Counts::Loss { .. } => {}
            Counts::Agent if series.family == Family::Cpu => {
                self.picture.agent.cpu_share += self.grown(at) / self.picture.seconds;
            }
            Counts::Agent => self.picture.agent.memory_bytes += self.now.number(at).unwrap_or(0.0),
        }
    }

    /// By how much a counter grew; one that fell began anew.
    fn grown(&self, at: usize) -> f64 {
        let now = self.now.number(at).unwrap_or(0.0);
        let before = self.from.and_then(|from| from.number(at)).unwrap_or(0.0);
        if before <= now { now - before } else { now }
    }

    /// None when the series has not grown.
    fn growth(&self, at: usize, outcome: Outcome) -> Option<Figures> {
        let now = self.now.histogram(at)?;
        let from = self.from.and_then(|from| from.histogram(at)).filter(|from| from.start_ns == now.start_ns);
        if from.is_some_and(|from| Rc::ptr_eq(from, now)) {
            return None;
        }
        let mut grown = Figures::default();
        grown.add(outcome, &now.histogram, from.map(|from| &from.histogram));
        Some(grown)
    }

    fn requests(&mut self, at: usize, counts: &Counts) {
        let Counts::Requests { edge, operation, process, side, outcome, code } = counts else { return };
        let grown = self.growth(at, *outcome);
        let known = &self.registry.edges.items[*edge as usize];
        self.call(known.caller, known.callee, *side, grown.as_ref());
        let registry = self.registry;
        let Picture { services, edges, operations, processes, .. } = &mut self.picture;
        let service = row(services, known.callee, || new_service(registry, known.callee));
        if !service.protocols.contains(&known.key.protocol) {
            service.protocols.push(known.key.protocol.clone());
        }
        let process = row(processes, *process, || new_process(registry, *process));
        if let (Side::Client, Some(grown)) = (*side, &grown) {
            process.calls.merge(grown);
        }
        let rows = [
            Some(&mut service.seen.views),
            Some(&mut row(edges, *edge, || new_edge(registry, *edge)).seen.views),
            Some(&mut row(operations, *operation, || new_operation(registry, *operation)).seen.views),
            Some(&mut process.seen.views).filter(|_| *side == Side::Server),
        ];
        for views in rows.into_iter().flatten() {
            // That this end is watched is known without a request, too.
            let figures = views.side(*side);
            let Some(grown) = &grown else { continue };
            figures.merge(grown);
            if grown.failed() > 0 {
                views.count_code(code, grown.failed());
            }
        }
    }

    /// For whom a service waits, and how long, is what it saw as a client.
    fn call(&mut self, caller: u32, callee: u32, side: Side, grown: Option<&Figures>) {
        let (registry, services) = (self.registry, &mut self.picture.services);
        let watched = if side == Side::Client { caller } else { callee };
        row(services, watched, || new_service(registry, watched)).watched = true;
        let service = row(services, caller, || new_service(registry, caller));
        let Some(grown) = grown.filter(|grown| side == Side::Client && grown.requests > 0) else { return };
        service.calls += grown.requests;
        match service.waited.iter_mut().find(|(known, _)| *known == callee) {
            Some((_, seconds)) => *seconds += grown.latency.sum,
            None => service.waited.push((callee, grown.latency.sum)),
        }
    }

    /// Network and queue, as far as the edge has requests.
    fn split(&mut self, at: usize, family: Family, number: u32) {
        let Some(now) = self.now.histogram(at) else { return };
        let from = self.from.and_then(|from| from.histogram(at)).filter(|from| from.start_ns == now.start_ns);
        if from.is_some_and(|from| Rc::ptr_eq(from, now)) {
            return;
        }
        let registry = self.registry;
        let edge = row(&mut self.picture.edges, number, || new_edge(registry, number));
        let into = match family {
            Family::Network => &mut edge.network,
            Family::Queue => &mut edge.queue,
            _ => &mut edge.network_or_queue,
        };
        add_growth(into, &now.histogram, from.map(|from| &from.histogram));
    }

    /// Bytes and connections; an edge whose protocol is not read has nothing else.
    fn link(&mut self, at: usize, family: Family, number: u32, side: Side, received: bool) {
        let value = match family {
            Family::Bytes => self.grown(at),
            _ => self.now.number(at).unwrap_or(0.0),
        };
        let registry = self.registry;
        if value == 0.0 && self.picture.edges[number as usize].is_none() {
            return;
        }
        let Picture { services, edges, .. } = &mut self.picture;
        let edge = row(edges, number, || new_edge(registry, number));
        row(services, edge.caller, || new_service(registry, edge.caller));
        let service = row(services, edge.callee, || new_service(registry, edge.callee));
        if !service.protocols.contains(&edge.protocol) {
            service.protocols.push(edge.protocol.clone());
        }
        let links = if side == Side::Client { &mut edge.client_links } else { &mut edge.server_links };
        links.seen = true;
        match family {
            Family::Bytes if received => links.received += value,
            Family::Bytes => links.sent += value,
            Family::Connections => links.connections += value,
            _ => links.waiting += value,
        }
    }

    fn finish(mut self) -> Picture {
        let agent = &mut self.picture.agent;
        let most = self.lost.iter().max_by(|a, b| a.1.total_cmp(b.1));
        agent.lost_mostly = most.map(|(cause, _)| cause.clone()).unwrap_or_default();
        agent.lost = self.lost.values().sum();
        self.picture
    }
}

fn row<T>(rows: &mut [Option<T>], number: u32, make: impl FnOnce() -> T) -> &mut T {
    rows[number as usize].get_or_insert_with(make)
}

fn new_service(registry: &Registry, number: u32) -> Service {
    Service { number, name: registry.services.items[number as usize].clone(), ..Service::default() }
}

fn new_edge(registry: &Registry, number: u32) -> Edge {
    let known = &registry.edges.items[number as usize];
    let (caller, callee) = (known.caller, known.callee);
    Edge { number, caller, callee, protocol: known.key.protocol.clone(), ..Edge::default() }
}

fn new_operation(registry: &Registry, number: u32) -> Operation {
    let known = &registry.operations.items[number as usize];
    Operation {
        service: known.service,
        protocol: known.key.protocol.clone(),
        operation: known.key.operation.clone(),
        resource: known.key.resource.clone(),
        ..Operation::default()
    }
}

fn new_process(registry: &Registry, number: u32) -> Process {
    let known = &registry.processes.items[number as usize];
    Process { service: known.service, instance: known.key.instance.clone(), ..Process::default() }
}
