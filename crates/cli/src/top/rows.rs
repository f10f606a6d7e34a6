//! The rows of each view: which of them are listed, and in which order.

use super::cells;
use super::history::History;
use super::judge::State;
use super::picture::{Picture, Row, Seen};
use std::cmp::Ordering;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Services,
    Edges,
    Operations,
    Processes,
}

pub const KINDS: [Kind; 4] = [Kind::Services, Kind::Edges, Kind::Operations, Kind::Processes];

/// A row of the picture by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    pub kind: Kind,
    pub number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Worst,
    Failed,
    P95,
    Rate,
    Bytes,
    Name,
}

pub const SORTS: [Sort; 6] = [Sort::Worst, Sort::Failed, Sort::P95, Sort::Rate, Sort::Bytes, Sort::Name];

#[derive(Clone, Debug)]
pub struct Choice {
    pub sort: Sort,
    pub turned: bool,
    /// Part of a name, without regard to case.
    pub filter: String,
    pub failed_only: bool,
    /// Only these services.
    pub among: Option<BTreeSet<u32>>,
}

impl Default for Choice {
    fn default() -> Self {
        Choice { sort: Sort::Worst, turned: false, filter: String::new(), failed_only: false, among: None }
    }
}

/// What a cell is made from.
pub struct Context<'a> {
    pub picture: &'a Picture,
    pub history: &'a History,
}

impl Kind {
    pub fn title(self) -> &'static str {
        match self {
            Kind::Services => "Services",
            Kind::Edges => "Edges",
            Kind::Operations => "Operations",
            Kind::Processes => "Processes",
        }
    }
}

impl Sort {
    pub fn as_str(self) -> &'static str {
        match self {
            Sort::Worst => "worst",
            Sort::Failed => "failed",
            Sort::P95 => "p95",
            Sort::Rate => "rate",
            Sort::Bytes => "bytes",
            Sort::Name => "name",
        }
    }
}

/// Figures and verdict of a row.
pub fn seen(picture: &Picture, key: RowKey) -> Option<&Seen> {
    let at = key.number as usize;
    match key.kind {
        Kind::Services => seen_in(&picture.services, at),
        Kind::Edges => seen_in(&picture.edges, at),
        Kind::Operations => seen_in(&picture.operations, at),
        Kind::Processes => seen_in(&picture.processes, at),
    }
}

fn seen_in<R: Row>(rows: &[Option<R>], at: usize) -> Option<&Seen> {
    Some(rows.get(at)?.as_ref()?.seen())
}

/// All rows of a kind.
pub fn keys(picture: &Picture, kind: Kind) -> Vec<RowKey> {
    let length = match kind {
        Kind::Services => picture.services.len(),
        Kind::Edges => picture.edges.len(),
        Kind::Operations => picture.operations.len(),
        Kind::Processes => picture.processes.len(),
    };
    let all = (0..length as u32).map(|number| RowKey { kind, number });
    all.filter(|key| seen(picture, *key).is_some()).collect()
}

/// Those that are wanted, in the order that is wanted.
pub fn listed(context: &Context, mut keys: Vec<RowKey>, choice: &Choice) -> Vec<RowKey> {
    let filter = choice.filter.to_lowercase();
    keys.retain(|key| {
        let failed =
            || seen(context.picture, *key).and_then(|seen| seen.views.figures()).is_some_and(|f| f.failed() > 0);
        let among =
            |among: &BTreeSet<u32>| services_of(context.picture, *key).iter().all(|number| among.contains(number));
        (!choice.failed_only || failed())
            && choice.among.as_ref().is_none_or(among)
            && (filter.is_empty() || full_name(context, *key).to_lowercase().contains(&filter))
    });
    let mut ordered: Vec<(Rank, RowKey)> = keys.into_iter().map(|key| (Rank::new(context, key), key)).collect();
    ordered.sort_by(|a, b| {
        let order = a.0.compare(&b.0, choice.sort);
        if choice.turned { order.reverse() } else { order }
    });
    ordered.into_iter().map(|(_, key)| key).collect()
}

/// By what rows are ordered.
struct Rank {
    state: State,
    failed: f64,
    rate: f64,
    p95: f64,
    bytes: f64,
    name: String,
}

impl Rank {
    fn new(context: &Context, key: RowKey) -> Rank {
        let seen = seen(context.picture, key);
        let figures = seen.and_then(|seen| seen.views.figures());
        let bytes = if key.kind == Kind::Edges { cells::bytes_of(context, key.number) } else { 0.0 };
        Rank {
            state: seen.map_or(State::Ok, |seen| seen.verdict.state),
            failed: figures.and_then(|figures| figures.failed_share()).unwrap_or(0.0),
            // What only calls has nothing to show, and stands last.
            rate: figures.map_or(-1.0, |figures| figures.requests as f64),
            p95: figures.and_then(|figures| figures.quantile_ms(0.95)).unwrap_or(0.0),
            bytes,
            name: full_name(context, key),
        }
    }

    /// Largest first, names from A to Z; equal ones by name, so that rows stay where they are.
    fn compare(&self, other: &Rank, sort: Sort) -> Ordering {
        let most = |mine: f64, theirs: f64| theirs.total_cmp(&mine);
        let order = match sort {
            Sort::Worst => {
                self.state.cmp(&other.state).then(most(self.failed, other.failed)).then(most(self.rate, other.rate))
            }
            Sort::Failed => most(self.failed, other.failed).then(most(self.rate, other.rate)),
            Sort::P95 => most(self.p95, other.p95),
            Sort::Rate => most(self.rate, other.rate),
            Sort::Bytes => most(self.bytes, other.bytes).then(most(self.rate, other.rate)),
            Sort::Name => Ordering::Equal,
        };
        order.then_with(|| self.name.cmp(&other.name))
    }
}

/// The services that a row is about.
pub fn services_of(picture: &Picture, key: RowKey) -> Vec<u32> {
    match key.kind {
        Kind::Services => vec![key.number],
        Kind::Edges => picture.edge(key.number).map_or(vec![], |row| vec![row.caller, row.callee]),
        Kind::Operations => picture.operation(key.number).map_or(vec![], |row| vec![row.service]),
        Kind::Processes => picture.process(key.number).map_or(vec![], |row| vec![row.service]),
    }
}

/// Everything that a filter looks into.
pub fn full_name(context: &Context, key: RowKey) -> String {
    let number = key.number;
    match key.kind {
        Kind::Services => context.picture.name(number).to_owned(),
        Kind::Edges => {
            format!(
                "{} > {} {}",
                cells::end(context, number, true),
                cells::end(context, number, false),
                cells::protocol(context, number)
            )
        }
        Kind::Operations => {
            format!("{} {}", cells::operation_name(context, number), cells::operation_service(context, number))
        }
        Kind::Processes => {
            format!("{} {}", cells::process_service(context, number), cells::process_name(context, number))
        }
    }
}
