//! What is bad, by the console's rules: a share of failures, or a p95 far above what is usual. What a callee explains
//! is marked as affected, so that the culprit stands out.

use super::figures::Figures;
use super::picture::{Edge, Picture, Row, Seen};
use crate::numbers;
use rustc_hash::FxHashMap;

const CRITICAL_SHARE: f64 = 0.05;
const WARNING_SHARE: f64 = 0.01;
/// Fewer requests than this tell nothing about a share or a percentile.
const MIN_REQUESTS: u64 = 20;
/// One failed request is no finding, whatever share it is of a few.
const MIN_FAILURES: u64 = 3;
/// Times the usual p95.
const SLOW_FACTOR: f64 = 4.0;
/// What is faster than this is nobody's problem, however much slower than usual.
const SLOW_FLOOR_MS: f64 = 50.0;
/// What is usual needs so many requests.
const MIN_USUAL: u64 = 100;
/// A callee explains its caller's failures when it has at least this share of them.
const EXPLAINS_FAILURES: f64 = 0.8;
/// A callee explains its caller's slowness when its p95 is at least this share of the caller's.
const EXPLAINS_LATENCY: f64 = 0.5;

/// Worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Critical,
    Warning,
    /// Only what it calls is bad.
    Affected,
    #[default]
    Ok,
    /// It had requests and has none now.
    NoData,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Failures,
    Latency,
    Consequence,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub kind: Kind,
    pub state: State,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub state: State,
    pub reasons: Vec<Reason>,
}

impl State {
    pub fn sign(self) -> char {
        match self {
            State::Critical => 'X',
            State::Warning => '!',
            State::Affected => '~',
            State::NoData => '?',
            State::Ok => ' ',
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            State::Critical => "critical",
            State::Warning => "warning",
            State::Affected => "affected",
            State::NoData => "no_data",
            State::Ok => "ok",
        }
    }
}

impl Verdict {
    fn new(mut reasons: Vec<Reason>) -> Verdict {
        reasons.sort_by_key(|reason| reason.state);
        let state = reasons.first().map_or(State::Ok, |reason| reason.state);
        Verdict { state, reasons }
    }

    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.reasons.iter().map(|reason| reason.text.as_str()).collect();
        texts.join(", ")
    }

    fn has(&self, kind: Kind) -> bool {
        self.reasons.iter().any(|reason| reason.kind == kind)
    }
}

pub fn all(picture: &mut Picture, usual: Option<&Picture>) {
    let quiet = !picture.since_start;
    judge_rows(&mut picture.edges, usual.map(|usual| usual.edges.as_slice()), quiet);
    judge_rows(&mut picture.services, usual.map(|usual| usual.services.as_slice()), quiet);
    judge_rows(&mut picture.operations, usual.map(|usual| usual.operations.as_slice()), quiet);
    judge_rows(&mut picture.processes, usual.map(|usual| usual.processes.as_slice()), quiet);
    explain_services(picture);
}

fn judge_rows<R: Row>(rows: &mut [Option<R>], usual: Option<&[Option<R>]>, quiet: bool) {
    for (at, row) in rows.iter_mut().enumerate() {
        let Some(row) = row else { continue };
        let before = usual.and_then(|usual| usual.get(at)?.as_ref()).and_then(|row| row.seen().views.figures());
        judge(row.seen_mut(), before, quiet);
    }
}

/// `quiet`: whether silence now says something.
fn judge(seen: &mut Seen, usual: Option<&Figures>, quiet: bool) {
    let known = usual.filter(|usual| usual.latency.count >= MIN_USUAL);
    seen.usual_p95_ms = known.and_then(|usual| usual.quantile_ms(0.95));
    seen.usual_failed = usual.filter(|usual| usual.requests >= MIN_USUAL).and_then(Figures::failed_share);
    let Some(figures) = seen.views.figures() else { return };
    if figures.requests == 0 && quiet && usual.is_some_and(|usual| usual.requests >= MIN_USUAL) {
        seen.verdict = Verdict { state: State::NoData, reasons: Vec::new() };
        return;
    }
    let reasons = [failures(seen, figures), latency(seen, figures)];
    seen.verdict = Verdict::new(reasons.into_iter().flatten().collect());
}

fn failures(seen: &Seen, figures: &Figures) -> Option<Reason> {
    if figures.requests < MIN_REQUESTS || figures.failed() < MIN_FAILURES {
        return None;
    }
    let share = figures.failed_share()?;
    let state = match share {
        CRITICAL_SHARE.. => State::Critical,
        WARNING_SHARE.. => State::Warning,
        _ => return None,
    };
    let did = if figures.unanswered > figures.errors { "got no answer" } else { "failed" };
    let code = seen.views.failed_code().filter(|_| did == "failed").map_or(String::new(), |code| format!(" ({code})"));
    let usual = seen.usual_failed.map_or(String::new(), |usual| format!(", usually {}", numbers::share(usual)));
    Some(Reason { kind: Kind::Failures, state, text: format!("{} {did}{code}{usual}", numbers::share(share)) })
}

fn latency(seen: &Seen, figures: &Figures) -> Option<Reason> {
    let (usual, p95) = (seen.usual_p95_ms?, figures.quantile_ms(0.95)?);
    let limit = (usual * SLOW_FACTOR).max(SLOW_FLOOR_MS);
    let (text, usual) = (numbers::milliseconds(p95), numbers::milliseconds(usual));
    (figures.latency.count >= MIN_REQUESTS && p95 > limit).then(|| Reason {
        kind: Kind::Latency,
        state: State::Warning,
        text: format!("p95 {text}, usually {usual}"),
    })
}

/// A service whose callees explain what it suffers from, and the edges into it.
fn explain_services(picture: &mut Picture) {
    let mut calls: FxHashMap<u32, Vec<&Edge>> = FxHashMap::default();
    for edge in picture.edges.iter().flatten().filter(|edge| edge.caller != edge.callee) {
        calls.entry(edge.caller).or_default().push(edge);
    }
    let explained: Vec<(u32, Verdict)> = picture
        .services
        .iter()
        .flatten()
        .filter_map(|service| Some((service.number, explain(&service.seen, calls.get(&service.number)?, picture)?)))
        .collect();
    for (number, verdict) in explained {
        let inherited = verdict.state == State::Affected;
        if let Some(service) = picture.services[number as usize].as_mut() {
            service.seen.verdict = verdict;
        }
        if inherited {
            inherit(picture, number);
        }
    }
}

/// What is about a service that only suffers suffers as well.
fn inherit(picture: &mut Picture, service: u32) {
    let edges = picture.edges.iter_mut().flatten().filter(|row| row.callee == service).map(|row| &mut row.seen);
    let operations =
        picture.operations.iter_mut().flatten().filter(|row| row.service == service).map(|row| &mut row.seen);
    let processes =
        picture.processes.iter_mut().flatten().filter(|row| row.service == service).map(|row| &mut row.seen);
    for seen in edges.chain(operations).chain(processes) {
        // Worst is least: what is worse becomes affected, all else stays.
        seen.verdict.state = seen.verdict.state.max(State::Affected);
        seen.verdict.reasons.iter_mut().for_each(|reason| reason.state = reason.state.max(State::Affected));
    }
}

fn explain(seen: &Seen, calls: &[&Edge], picture: &Picture) -> Option<Verdict> {
    let Some(figures) = seen.views.figures().filter(|_| !seen.verdict.reasons.is_empty()) else {
        return consequence(seen, calls, picture);
    };
    let mut reasons = seen.verdict.reasons.clone();
    for reason in &mut reasons {
        if let Some(edge) = calls.iter().find(|edge| explains(edge, reason.kind, figures)) {
            reason.state = State::Affected;
            reason.text = format!("{}, a consequence of {}", reason.text, picture.name(edge.callee));
        }
    }
    Some(Verdict::new(reasons))
}

fn explains(edge: &Edge, kind: Kind, caller: &Figures) -> bool {
    // What the caller saw is what explains the caller.
    let Some(seen) = edge.seen.views.client.as_deref().or(edge.seen.views.figures()) else { return false };
    match kind {
        Kind::Latency => {
            let pair = seen.quantile_ms(0.95).zip(caller.quantile_ms(0.95));
            edge.seen.verdict.has(Kind::Latency) && pair.is_some_and(|(theirs, mine)| theirs >= EXPLAINS_LATENCY * mine)
        }
        _ => {
            !edge.seen.verdict.reasons.is_empty() && seen.failed() as f64 >= EXPLAINS_FAILURES * caller.failed() as f64
        }
    }
}

/// Without a fault of its own, but its callees are bad.
fn consequence(seen: &Seen, calls: &[&Edge], picture: &Picture) -> Option<Verdict> {
    let bad = calls.iter().filter(|edge| !edge.seen.verdict.reasons.is_empty());
    let edge = bad.min_by_key(|edge| edge.seen.verdict.state).filter(|_| seen.verdict.state == State::Ok)?;
    let text = format!("calls to {}: {}", picture.name(edge.callee), edge.seen.verdict.text());
    Some(Verdict::new(vec![Reason { kind: Kind::Consequence, state: State::Affected, text }]))
}
