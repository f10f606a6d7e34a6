//! Connects that failed, which no server ever saw: on the edge of the protocol that would have been spoken.
//!
//! Agents tell of them as requests of the protocol `tcp`. Where the same two also talk, they stand on that edge, as what
//! they are to whoever reads the map: calls that could not even begin. Where they never talk, they are an edge of their
//! own.

use super::figures::View;
use super::graph::{EdgeKey, EdgeParts, Graph};
use super::text;
use std::collections::BTreeMap;

pub const PROTOCOL: &str = "tcp";
/// Of a reason.
pub const KIND: &str = "connects";
const GIVEN_UP: &str = "unanswered";

#[derive(Clone, Debug, Default)]
pub struct Connects {
    pub view: View,
    /// How many failed in the range, by the name of the error; without a name: given up by the caller.
    pub codes: BTreeMap<String, f64>,
}

impl Connects {
    pub fn merge(&mut self, other: &Connects) {
        self.view.merge(&other.view);
        for (code, count) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
    }

    pub fn by_error(&self) -> BTreeMap<String, u64> {
        by_error(&self.codes)
    }

    /// "refused", or "failed (9 refused, 3 timed out)".
    pub fn did(&self) -> String {
        let mut words: BTreeMap<&str, f64> = BTreeMap::new();
        for (code, count) in self.codes.iter().filter(|(_, count)| **count > 0.0) {
            *words.entry(word(code)).or_default() += count;
        }
        let mut words: Vec<(&str, f64)> = words.into_iter().collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1));
        match words.as_slice() {
            [] => "failed".into(),
            [(only, _)] => (*only).into(),
            several => {
                let parts = several.iter().map(|(word, count)| format!("{} {word}", text::count(*count)));
                format!("failed ({})", parts.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Without a code it got no answer.
pub fn by_error(codes: &BTreeMap<String, f64>) -> BTreeMap<String, u64> {
    let name = |code: &str| if code.is_empty() { GIVEN_UP.to_string() } else { code.to_string() };
    codes.iter().filter(|(_, count)| **count > 0.0).map(|(code, count)| (name(code), *count as u64)).collect()
}

fn word(code: &str) -> &'static str {
    match code {
        "ECONNREFUSED" => "refused",
        "ETIMEDOUT" => "timed out",
        "EHOSTUNREACH" | "ENETUNREACH" | "EHOSTDOWN" | "ENETDOWN" => "without a route",
        "ECONNRESET" | "ECONNABORTED" | "EPIPE" => "reset",
        "EACCES" | "EPERM" => "not permitted",
        "" => "given up",
        _ => "failed otherwise",
    }
}

impl Graph {
    pub fn place_connects(&mut self) {
        let failed: Vec<EdgeKey> = self.edges.keys().filter(|key| key.protocol == PROTOCOL).cloned().collect();
        for key in failed {
            let Some(parts) = self.edges.get(&key) else { continue };
            let Some(view) = parts.client.clone() else { continue };
            let connects = Connects { view, codes: parts.failed_codes.clone() };
            let home = self.edge_beside(&key, parts, &[PROTOCOL]);
            if home.is_some() {
                self.edges.remove(&key);
            }
            if let Some(edge) = self.edges.get_mut(home.as_ref().unwrap_or(&key)) {
                edge.connects = Some(connects);
            }
        }
    }

    /// The edge of the protocol that is spoken at the same address, or the only one between the two; none of `never`.
    pub fn edge_beside(&self, key: &EdgeKey, parts: &EdgeParts, never: &[&str]) -> Option<EdgeKey> {
        let from = EdgeKey { protocol: String::new(), ..key.clone() };
        let between =
            self.edges.range(from..).take_while(|(one, _)| one.source == key.source && one.target == key.target);
        let beside: Vec<_> = between.filter(|(one, _)| !never.contains(&one.protocol.as_str())).collect();
        let mut at_address = beside.iter().filter(|(_, other)| !other.addresses.is_disjoint(&parts.addresses));
        let found = match (at_address.next(), at_address.next(), beside.as_slice()) {
            (Some(only), None, _) => only,
            (None, _, [only]) => only,
            _ => return None,
        };
        Some(found.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_words_and_several_with_their_counts() {
        let connects = |codes: &[(&str, f64)]| Connects {
            codes: codes.iter().map(|(code, count)| ((*code).to_string(), *count)).collect(),
            ..Connects::default()
        };
        assert_eq!(connects(&[("ECONNREFUSED", 12.0)]).did(), "refused");
        assert_eq!(connects(&[("EHOSTUNREACH", 2.0), ("ENETUNREACH", 2.0)]).did(), "without a route");
        let several = connects(&[("ETIMEDOUT", 3.0), ("ECONNREFUSED", 9.0), ("", 1.0)]);
        assert_eq!(several.did(), "failed (9 refused, 3 timed out, 1 given up)");
    }
}
