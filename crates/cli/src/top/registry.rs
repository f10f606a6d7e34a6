//! Who the series are about: each is looked at once, when it is new, and numbered; afterwards its labels' bytes alone
//! tell its number. What is shown (services, edges, operations, processes) is numbered as well, and a series holds the
//! numbers of those that it counts for.

use super::labels::Labels;
use super::wire::Damaged;
use limpid_model::{Side, Text};
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// Callers of which only the address is known.
pub const CLIENTS: Text = Text::const_new("clients");
pub const NOT_KNOWN: Text = Text::const_new("not known");

/// What a family is to us; all others are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Duration,
    Network,
    Queue,
    NetworkOrQueue,
    Bytes,
    Connections,
    Waiting,
    Losses,
    Cpu,
    Memory,
}

const FAMILIES: usize = Family::Memory as usize + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Error,
    Unanswered,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EdgeKey {
    pub caller: Text,
    pub callee: Text,
    pub protocol: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OperationKey {
    pub service: Text,
    pub protocol: Text,
    pub operation: Text,
    pub resource: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    pub service: Text,
    pub instance: Text,
}

/// What a series counts for. `edge` and below are numbers of this registry.
#[derive(Clone, Debug)]
pub enum Counts {
    Requests {
        edge: u32,
        operation: u32,
        process: u32,
        side: Side,
        outcome: Outcome,
        code: Text,
    },
    /// Network, queue, bytes and connections.
    Edge {
        edge: u32,
        side: Side,
        received: bool,
    },
    Loss {
        cause: Text,
    },
    Agent,
}

pub struct Series {
    pub family: Family,
    pub counts: Counts,
}

pub struct Edge {
    pub key: EdgeKey,
    pub caller: u32,
    pub callee: u32,
}

pub struct Operation {
    pub key: OperationKey,
    pub service: u32,
}

pub struct Process {
    pub key: ProcessKey,
    pub service: u32,
}

#[derive(Default)]
pub struct Registry {
    /// One for each family.
    by_labels: [FxHashMap<Box<[u8]>, u32>; FAMILIES],
    pub series: Vec<Series>,
    pub services: Numbered<Text, Text>,
    pub edges: Numbered<EdgeKey, Edge>,
    pub operations: Numbered<OperationKey, Operation>,
    pub processes: Numbered<ProcessKey, Process>,
    pub host: Text,
}

/// Things with numbers.
pub struct Numbered<K, T> {
    index: FxHashMap<K, u32>,
    pub items: Vec<T>,
}

impl<K, T> Default for Numbered<K, T> {
    fn default() -> Self {
        Numbered { index: FxHashMap::default(), items: Vec::new() }
    }
}

impl<K: Hash + Eq + Clone, T> Numbered<K, T> {
    fn number(&mut self, key: &K, make: impl FnOnce(K) -> T) -> u32 {
        if let Some(number) = self.index.get(key) {
            return *number;
        }
        let number = self.items.len() as u32;
        self.items.push(make(key.clone()));
        self.index.insert(key.clone(), number);
        number
    }
}

impl Registry {
    /// The number of the series of `family` with these labels, given as they stand in the message.
    pub fn number(&mut self, family: Family, labels: &[u8]) -> Result<u32, Damaged> {
        if let Some(number) = self.by_labels[family as usize].get(labels) {
            return Ok(*number);
        }
        let number = self.add(family, &Labels::parse(labels)?);
        self.by_labels[family as usize].insert(labels.into(), number);
        Ok(number)
    }

    fn add(&mut self, family: Family, labels: &Labels<'_>) -> u32 {
        if self.host.is_empty() {
            self.host = labels.host.into();
        }
        let counts = match family {
            Family::Duration => self.requests(labels),
            Family::Losses => Counts::Loss { cause: labels.cause.into() },
            Family::Cpu | Family::Memory => Counts::Agent,
            _ => {
                Counts::Edge { edge: self.edge(labels), side: labels.side(), received: labels.direction == "received" }
            }
        };
        self.series.push(Series { family, counts });
        (self.series.len() - 1) as u32
    }

    fn requests(&mut self, labels: &Labels<'_>) -> Counts {
        let edge = self.edge(labels);
        let callee = self.edges.items[edge as usize].callee;
        let owner = self.service(&labels.service.into());
        let operation = OperationKey {
            service: self.services.items[callee as usize].clone(),
            protocol: labels.protocol.into(),
            operation: labels.operation.into(),
            resource: labels.resource.into(),
        };
        let process = ProcessKey { service: labels.service.into(), instance: labels.instance.into() };
        Counts::Requests {
            edge,
            operation: self.operations.number(&operation, |key| Operation { key, service: callee }),
            process: self.processes.number(&process, |key| Process { key, service: owner }),
            side: labels.side(),
            outcome: labels.outcome(),
            code: labels.code.into(),
        }
    }

    fn service(&mut self, name: &Text) -> u32 {
        self.services.number(name, |name| name)
    }

    fn edge(&mut self, labels: &Labels<'_>) -> u32 {
        let (caller, callee) = labels.ends();
        let (from, to) = (self.service(&caller), self.service(&callee));
        let key = EdgeKey { caller, callee, protocol: labels.protocol.into() };
        self.edges.number(&key, |key| Edge { key, caller: from, callee: to })
    }
}
