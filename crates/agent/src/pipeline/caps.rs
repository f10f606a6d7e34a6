//! The bounds of cardinality: how many distinct values a label may have, for each service.
//!
//! What goes beyond is counted under `_OTHER`. Asked only when a series is new, so one lock for all threads is enough;
//! rebuilt from the living series when some were evicted, so that places are given back.

use limpid_model::Text;
use rustc_hash::{FxHashMap, FxHashSet};

/// The label value of everything beyond a cap.
pub const OTHER: Text = Text::const_new("_OTHER");

#[derive(Clone, Debug)]
pub struct Limits {
    pub services: usize,
    /// Each of these for one service.
    pub operations: usize,
    pub resources: usize,
    pub codes: usize,
    pub peers: usize,
    pub addresses: usize,
    /// Request series and edges of the whole agent.
    pub series: usize,
    pub edges: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            services: 1_000,
            operations: 200,
            resources: 500,
            codes: 100,
            peers: 500,
            addresses: 200,
            series: 20_000,
            edges: 10_000,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Operation,
    Resource,
    Code,
    Peer,
    Address,
}

const LABELS: usize = 5;

pub(super) struct Caps {
    limits: Limits,
    services: FxHashMap<Text, [FxHashSet<Text>; LABELS]>,
    series: usize,
    edges: usize,
}

impl Caps {
    pub fn new(limits: Limits) -> Self {
        Caps { limits, services: FxHashMap::default(), series: 0, edges: 0 }
    }

    /// The service's own name, or `_OTHER`.
    pub fn service(&mut self, service: &Text) -> Text {
        if !self.services.contains_key(service) {
            if self.services.len() >= self.limits.services {
                return OTHER;
            }
            self.services.insert(service.clone(), Default::default());
        }
        service.clone()
    }

    /// The value, or `_OTHER` when the service has too many of them. An empty value takes no place.
    pub fn value(&mut self, service: &Text, label: Label, value: &Text) -> Text {
        if value.is_empty() || *value == OTHER {
            return value.clone();
        }
        let limit = match label {
            Label::Operation => self.limits.operations,
            Label::Resource => self.limits.resources,
            Label::Code => self.limits.codes,
            Label::Peer => self.limits.peers,
            Label::Address => self.limits.addresses,
        };
        let known = &mut self.services.entry(service.clone()).or_default()[label as usize];
        if known.contains(value) {
            return value.clone();
        }
        if known.len() >= limit {
            return OTHER;
        }
        known.insert(value.clone());
        value.clone()
    }

    /// Takes a place for one more request series of the agent.
    pub fn add_series(&mut self) -> bool {
        self.series += 1;
        self.series <= self.limits.series
    }

    pub fn add_edge(&mut self) -> bool {
        self.edges += 1;
        self.edges <= self.limits.edges
    }

    pub fn clear(&mut self) {
        self.services.clear();
        self.series = 0;
        self.edges = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_cap_is_other_and_services_do_not_share() {
        let mut caps = Caps::new(Limits { codes: 2, services: 2, ..Limits::default() });
        let (shop, cart) = (caps.service(&"shop".into()), caps.service(&"cart".into()));
        for (service, code, expected) in [
            (&shop, "200", "200"),
            (&shop, "404", "404"),
            (&shop, "500", "_OTHER"),
            (&shop, "200", "200"),
            (&shop, "", ""),
            (&cart, "500", "500"),
        ] {
            assert_eq!(caps.value(service, Label::Code, &code.into()), expected);
        }
        assert_eq!(caps.service(&"third".into()), "_OTHER");
        assert_eq!(caps.service(&"shop".into()), "shop");
    }
}
