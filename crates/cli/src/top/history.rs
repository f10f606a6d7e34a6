//! Which readings are kept, and what they are compared with: the picture is what grew within the window, what is usual is
//! everything that the agent counted before the oldest reading that is kept, up to a quarter of an hour ago.

use super::judge::State;
use super::picture::Picture;
use super::reading::{Parser, Reading};
use super::registry::Registry;
use super::rows::{Kind, RowKey};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// One reading is kept for each slot of this length, up to this age.
const KEPT: [(u64, u64); 3] = [(65, 5), (315, 15), (KEPT_SECONDS, 60)];
const KEPT_SECONDS: u64 = 900;
/// Minutes of the small bars.
pub const BARS: usize = 15;
/// Numbers of series that died are given back by beginning anew when there are more than this and than the living.
const MOST_DEAD: usize = 20_000;

pub struct History {
    pub registry: Registry,
    parser: Parser,
    started: Instant,
    readings: VecDeque<Rc<Reading>>,
    usual: Option<(Rc<Reading>, Picture)>,
    /// Since when a row is in a bad state, Unix ns.
    since: FxHashMap<RowKey, u64>,
    /// When a service last had a request.
    active: FxHashMap<u32, Instant>,
    /// p95 of each service, minute by minute.
    bars: FxHashMap<u32, VecDeque<(u64, Option<f64>)>>,
}

impl History {
    pub fn new() -> History {
        History {
            registry: Registry::default(),
            parser: Parser::new(),
            started: Instant::now(),
            readings: VecDeque::new(),
            usual: None,
            since: FxHashMap::default(),
            active: FxHashMap::default(),
            bars: FxHashMap::default(),
        }
    }

    /// Takes an answer of the agent; `Err` when it is none.
    pub fn add(&mut self, body: &[u8], at: Instant, unix_ns: u64) -> Result<(), String> {
        let before = self.readings.back().cloned();
        let mut reading = Reading::empty(at, unix_ns);
        let read = self.parser.read(body, &mut self.registry, before.as_deref(), &mut reading);
        read.map_err(|_| "what answers is no agent of Limpid, or the answer is damaged".to_owned())?;
        if reading.agent_started_ns.is_none() {
            return Err("what answers is no agent of Limpid".to_owned());
        }
        let living = reading.samples.iter().flatten().count();
        if reading.samples.len() > 2 * living + MOST_DEAD {
            *self = History { started: self.started, ..History::new() };
            return self.add(body, at, unix_ns);
        }
        if before.is_some_and(|before| before.agent_started_ns != reading.agent_started_ns) {
            // Another agent, or one that began anew: nothing before it can be compared.
            self.readings.clear();
            self.usual = None;
        }
        self.readings.push_back(Rc::new(reading));
        self.thin(at);
        Ok(())
    }

    /// Keeps the oldest reading of each slot, and the newest of all.
    fn thin(&mut self, now: Instant) {
        let mut kept = None;
        let started = self.started;
        let newest = self.readings.len().saturating_sub(1);
        let mut at = 0;
        self.readings.retain(|reading| {
            let age = now.duration_since(reading.at).as_secs();
            let slot = KEPT
                .iter()
                .find(|(oldest, _)| age <= *oldest)
                .map(|(_, length)| (*length, reading.at.duration_since(started).as_secs() / length));
            let stays = slot.is_some_and(|slot| kept != Some(slot)) || at == newest;
            kept = slot;
            at += 1;
            stays
        });
    }

    /// What grew within the last `window`, as far as it was watched.
    pub fn picture(&mut self, window: Duration) -> Option<Picture> {
        let now = self.readings.back()?.clone();
        let before = self.readings.iter().rev().skip(1);
        let old_enough = before.clone().find(|reading| now.at.duration_since(reading.at) >= window);
        let from = old_enough.or_else(|| before.last()).cloned();
        self.find_usual(from.is_some());
        let picture = Picture::new(&self.registry, &now, from.as_deref());
        let picture = picture.judged(self.usual.as_ref().map(|(_, usual)| usual));
        self.note(&picture, now.at);
        Some(picture)
    }

    /// The counts up to the oldest reading; they change only when that does.
    fn find_usual(&mut self, compared: bool) {
        let Some(oldest) = self.readings.front().filter(|_| compared) else { return };
        if self.usual.as_ref().is_some_and(|(of, _)| Rc::ptr_eq(of, oldest)) {
            return;
        }
        self.usual = Some((oldest.clone(), Picture::new(&self.registry, oldest, None)));
    }

    fn note(&mut self, picture: &Picture, now: Instant) {
        let minute = now.duration_since(self.started).as_secs() / 60;
        for service in picture.services.iter().flatten() {
            let figures = service.seen.views.figures();
            if figures.is_some_and(|figures| figures.requests > 0) || service.calls > 0 {
                self.active.insert(service.number, now);
            }
            let p95 = figures.and_then(|figures| figures.quantile_ms(0.95)).filter(|_| !picture.since_start);
            let bars = self.bars.entry(service.number).or_default();
            match bars.back_mut() {
                Some((of, value)) if *of == minute => *value = p95.or(*value),
                _ => bars.push_back((minute, p95)),
            }
            while bars.len() > BARS {
                bars.pop_front();
            }
        }
        self.note_states(picture);
    }

    fn note_states(&mut self, picture: &Picture) {
        let services =
            picture.services.iter().flatten().map(|row| (Kind::Services, row.number, row.seen.verdict.state));
        let edges = picture.edges.iter().flatten().map(|row| (Kind::Edges, row.number, row.seen.verdict.state));
        let mut since = FxHashMap::default();
        for (kind, number, _) in services.chain(edges).filter(|(.., state)| *state < State::Ok) {
            let key = RowKey { kind, number };
            since.insert(key, self.since.get(&key).copied().unwrap_or(picture.unix_ns));
        }
        self.since = since;
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.readings.len()
    }

    pub fn since(&self, key: RowKey) -> Option<u64> {
        self.since.get(&key).copied()
    }

    /// How long ago a service had its last request.
    pub fn silent_for(&self, service: u32) -> Option<Duration> {
        Some(self.readings.back()?.at.duration_since(*self.active.get(&service)?))
    }

    /// p95 of the last minutes, oldest first; `None` where nothing is known.
    pub fn bars(&self, service: u32) -> [Option<f64>; BARS] {
        let mut out = [None; BARS];
        let Some(bars) = self.bars.get(&service) else { return out };
        let Some((latest, _)) = bars.back() else { return out };
        for (minute, p95) in bars {
            let back = (latest - minute) as usize;
            if let Some(place) = (BARS - 1).checked_sub(back).and_then(|at| out.get_mut(at)) {
                *place = *p95;
            }
        }
        out
    }
}
