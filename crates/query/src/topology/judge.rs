//! The rules: what is bad, since when, compared with what.
//!
//! Each rule has a limit that it fires above and a number of requests below which it says nothing. A rule looks at the
//! whole range and at its end, so that what began a minute ago is not diluted by the hour before it. Shares of failures
//! have absolute limits; latency is compared with what is usual ([`super::usual`]).

use super::answer::{Reason, Severity};
use super::connects::Connects;
use super::figures::{Figures, View};
use super::handshakes;
use super::increase::{BUCKETS, Moments};
use super::text;
use super::usual::Usual;
use std::collections::BTreeMap;
use std::ops::Range;

pub const CRITICAL_ERRORS: f64 = 0.05;
pub const WARNING_ERRORS: f64 = 0.01;
/// Fewer requests than this tell nothing about a share.
pub const MIN_REQUESTS: f64 = 20.0;
/// Where so much of it is bad, even fewer tell: who gets no answer asks seldom, since each time he waits.
const MOST: f64 = 0.5;
/// One failed request is no finding, whatever share it is of a few.
const MIN_FAILURES: f64 = 3.0;
/// A service with fewer requests than this in the whole range is not judged at all.
pub const MIN_TO_JUDGE: f64 = 10.0;
/// Codes that a reason names.
const MOST_CODES: usize = 2;
/// Times the usual p95.
const SLOW_FACTOR: f64 = 4.0;
/// What is faster than this is nobody's problem, however much slower than usual.
const SLOW_FLOOR_MS: f64 = 50.0;
/// Less than this of the hour before the range says nothing about what is usual.
const MIN_USUAL_SECONDS: f64 = 60.0;
/// Connects that fail at this share of their usual rate, or at more of it, are nothing new while more gets through than
/// fails: an address may be tried before the one that works.
const AS_USUAL: f64 = 0.5;
/// The end of the range that is looked at on its own, in buckets.
const RECENT: usize = 2;

/// What is judged: where its evidence stands, and what to call it.
pub struct Subject {
    pub link: String,
    pub noun: Noun,
    /// What failed, by its code.
    pub codes: BTreeMap<String, f64>,
}

/// Names are looked up, all else is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Requests,
    Lookups,
    Handshakes,
}

impl Subject {
    pub fn noun(&self) -> &'static str {
        match self.noun {
            Noun::Requests => "requests",
            Noun::Lookups => "lookups",
            Noun::Handshakes => "TLS handshakes",
        }
    }

    /// " (SERVFAIL, REFUSED)": what a resolver answers, or an alert, says what to do, other codes stand with their operations.
    fn results(&self) -> String {
        let name: fn(&str) -> &str = match self.noun {
            Noun::Requests => return String::new(),
            Noun::Lookups => result_name,
            Noun::Handshakes => alert_name,
        };
        let mut codes: Vec<_> = self.codes.iter().filter(|(code, _)| !code.is_empty()).collect();
        codes.sort_by(|a, b| b.1.total_cmp(a.1));
        let names: Vec<&str> = codes.iter().take(MOST_CODES).map(|(code, _)| name(code)).collect();
        if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
    }
}

/// Agents tell a resolver's result as its number.
fn result_name(code: &str) -> &str {
    match code {
        "1" => "FORMERR",
        "2" => "SERVFAIL",
        "3" => "NXDOMAIN",
        "4" => "NOTIMP",
        "5" => "REFUSED",
        "9" => "NOTAUTH",
        other => other,
    }
}

/// Alerts of TLS that end handshakes (RFC 8446, section 6).
fn alert_name(code: &str) -> &str {
    match code {
        "40" => "handshake_failure",
        "42" => "bad_certificate",
        "43" => "unsupported_certificate",
        "44" => "certificate_revoked",
        "45" => "certificate_expired",
        "46" => "certificate_unknown",
        "47" => "illegal_parameter",
        "48" => "unknown_ca",
        "49" => "access_denied",
        "51" => "decrypt_error",
        "70" => "protocol_version",
        "71" => "insufficient_security",
        "80" => "internal_error",
        "112" => "unrecognized_name",
        "116" => "certificate_required",
        "120" => "no_application_protocol",
        other => other,
    }
}

/// A p95 above this is slow where `usual_ms` is usual.
pub fn slow_above_ms(usual_ms: f64) -> f64 {
    (usual_ms * SLOW_FACTOR).max(SLOW_FLOOR_MS)
}

/// Above this a request counts as slow.
pub fn slow_limit_ms(view: &View, moments: &Moments) -> f64 {
    let usual = view.usual(moments).p95_ms.or_else(|| view.total().quantile_ms(0.95));
    usual.map_or(f64::INFINITY, slow_above_ms)
}

/// Is it critical by what failed or was not answered?
pub fn is_failing(figures: &Figures) -> bool {
    [&ERRORS, &UNANSWERED].iter().any(|rule| rule.severity(figures) == Some(Severity::Critical))
}

/// All rules that fire, worst first.
pub fn reasons(view: &View, moments: &Moments, subject: &Subject) -> Vec<Reason> {
    // However many requests they stand for.
    if view.spans.is_some_and(|spans| (spans as f64) < MIN_REQUESTS) {
        return Vec::new();
    }
    let usual = view.usual(moments);
    let mut reasons: Vec<Reason> = [
        share_reason(view, moments, subject, &ERRORS, &usual),
        share_reason(view, moments, subject, &UNANSWERED, &usual),
        latency_reason(view, moments, subject, &usual),
    ]
    .into_iter()
    .flatten()
    .collect();
    reasons.sort_by_key(|reason| (reason.severity, reason.since_ns));
    reasons
}

struct ShareRule {
    kind: &'static str,
    count: fn(&Figures) -> f64,
    did: &'static str,
}

const ERRORS: ShareRule = ShareRule { kind: "errors", count: |figures| figures.errors, did: "failed" };
const UNANSWERED: ShareRule =
    ShareRule { kind: "unanswered", count: |figures| figures.unanswered, did: "got no answer" };

/// Who leaves in the middle of a handshake has as little of it as who is refused.
const HANDSHAKES: ShareRule = ShareRule { kind: handshakes::KIND, count: Figures::failed, did: "failed" };

impl ShareRule {
    fn share(&self, figures: &Figures) -> f64 {
        if figures.requests > 0.0 { (self.count)(figures) / figures.requests } else { 0.0 }
    }

    fn severity(&self, figures: &Figures) -> Option<Severity> {
        let share = self.share(figures);
        let enough = if share >= MOST { MIN_TO_JUDGE } else { MIN_REQUESTS };
        if figures.requests < enough || (self.count)(figures) < MIN_FAILURES {
            return None;
        }
        severity_of(share)
    }
}

fn severity_of(share: f64) -> Option<Severity> {
    match share {
        CRITICAL_ERRORS.. => Some(Severity::Critical),
        WARNING_ERRORS.. => Some(Severity::Warning),
        _ => None,
    }
}

fn recent() -> Range<usize> {
    BUCKETS - RECENT..BUCKETS
}

fn share_reason(view: &View, moments: &Moments, subject: &Subject, rule: &ShareRule, usual: &Usual) -> Option<Reason> {
    let fired = [rule.severity(&view.total()), rule.severity(&view.sum(recent()))];
    let severity = fired.into_iter().flatten().min()?;
    let limit = if severity == Severity::Critical { CRITICAL_ERRORS } else { WARNING_ERRORS };
    let bad = first_and_last(view, |figures| rule.share(figures) >= limit)?;
    let since = bad.start;
    let share = rule.share(&view.sum(bad));
    let usual = &usual.figures;
    let usual = (usual.requests >= MIN_REQUESTS).then(|| text::share(rule.share(usual)));
    let value = text::share(share);
    let results = if rule.kind == UNANSWERED.kind { String::new() } else { subject.results() };
    let compared = usual.as_ref().map_or(String::new(), |usual| format!(", usually {usual}"));
    Some(Reason {
        kind: rule.kind,
        severity,
        text: format!("{value} of the {} {}{results}{compared}", subject.noun(), rule.did),
        value,
        usual,
        since_ns: moments.bucket_start_ns(since),
        link: subject.link.clone(),
    })
}

/// Handshakes that failed, with their alerts.
pub fn handshakes_reason(view: &View, codes: &BTreeMap<String, f64>, moments: &Moments, link: &str) -> Option<Reason> {
    let subject = Subject { link: link.to_string(), noun: Noun::Handshakes, codes: codes.clone() };
    if view.spans.is_some_and(|spans| (spans as f64) < MIN_REQUESTS) {
        return None;
    }
    share_reason(view, moments, &subject, &HANDSHAKES, &view.usual(moments))
}

/// Connects that failed. A server knows nothing of them, so they are compared with the requests that did get through;
/// `watched_before` says whether the hour before the range is known.
pub fn connects_reason(
    connects: &Connects,
    requests: Option<&View>,
    moments: &Moments,
    watched_before: bool,
    link: String,
) -> Option<Reason> {
    let failed = connects.view.total().requests;
    let bad = first_and_last(&connects.view, |figures| figures.requests > 0.0).filter(|_| failed >= MIN_FAILURES)?;
    let since_ns = moments.bucket_start_ns(bad.start);
    let through = requests.map_or(0.0, |view| view.sum(bad).requests);
    let usual_seconds = Some(moments.usual_seconds()).filter(|known| watched_before && *known >= MIN_USUAL_SECONDS);
    let usual = usual_seconds.map(|known| connects.view.hour_before(moments).requests * moments.seconds() / known);
    let is_usual = through >= failed && usual.is_some_and(|usual| usual >= failed * AS_USUAL);
    let severity = match failed / (failed + through) >= CRITICAL_ERRORS && !is_usual {
        true => Severity::Critical,
        false => Severity::Warning,
    };
    let usual = usual.map(|usual| if usual > 0.0 { text::count(usual.max(1.0)) } else { "none".into() });
    let compared = usual.as_ref().map_or(String::new(), |usual| format!(", usually {usual}"));
    let value = text::count(failed);
    Some(Reason {
        kind: "connects",
        severity,
        text: format!("{value} connects {}{compared}", connects.did()),
        value,
        usual,
        since_ns,
        link,
    })
}

fn latency_reason(view: &View, moments: &Moments, subject: &Subject, usual: &Usual) -> Option<Reason> {
    let usual_ms = usual.p95_ms?;
    let limit_ms = slow_above_ms(usual_ms);
    let is_slow = |figures: &Figures| {
        figures.latency.count >= MIN_REQUESTS && figures.quantile_ms(0.95).is_some_and(|p95| p95 > limit_ms)
    };
    if !is_slow(&view.total()) && !is_slow(&view.sum(recent())) {
        return None;
    }
    let slow_bucket = |figures: &Figures| figures.quantile_ms(0.95).is_some_and(|p95| p95 > limit_ms);
    let bad = first_and_last(view, slow_bucket)?;
    // Between two slow times it may have been quick for long: then the last one is told of.
    let last = bad.end.saturating_sub(RECENT).max(bad.start)..bad.end;
    let mut told = [bad, last].into_iter().filter_map(|part| Some((part.start, view.sum(part).quantile_ms(0.95)?)));
    let (since, p95_ms) = told.find(|(_, p95_ms)| *p95_ms > limit_ms)?;
    let (value, usual) = (text::duration(p95_ms), text::duration(usual_ms));
    let times = p95_ms / usual_ms;
    Some(Reason {
        kind: "latency",
        severity: Severity::Warning,
        text: format!("p95 is {value}, usually {usual} ({times:.0}×)"),
        value,
        usual: Some(usual),
        since_ns: moments.bucket_start_ns(since),
        link: subject.link.clone(),
    })
}

/// Whether something is slower than usual, where it was there before and is there still.
pub fn is_slower(view: &View, moments: &Moments) -> Option<bool> {
    let usual = view.usual(moments);
    let known = usual.figures.latency.count >= MIN_REQUESTS && view.total().latency.count >= MIN_REQUESTS;
    let subject = || Subject { link: String::new(), noun: Noun::Requests, codes: BTreeMap::new() };
    known.then(|| latency_reason(view, moments, &subject(), &usual).is_some())
}

/// From the first bucket in which a rule holds to the last one.
fn first_and_last(view: &View, holds: impl Fn(&Figures) -> bool) -> Option<Range<usize>> {
    let first = view.buckets.iter().position(&holds)?;
    let last = view.buckets.iter().rposition(&holds)?;
    Some(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::super::figures::Outcome;
    use super::super::increase::Slot;
    use super::*;
    use limpid_model::{ExpHistogram, Growth};

    fn add(view: &mut View, slot: Slot, outcome: Outcome, count: u64, ms: u64) {
        let mut histogram = ExpHistogram::default();
        (0..count).for_each(|_| histogram.record_ns(ms * 1_000_000));
        let counts: Vec<f64> = histogram.counts.iter().map(|count| *count as f64).collect();
        let mut growth = Growth::default();
        growth.push(0, histogram.count as f64, 0.0, histogram.scale, (histogram.offset, &counts));
        growth.stretches().for_each(|(stretch, counts)| view.add(slot, outcome, stretch, counts));
    }

    fn judged(view: &View) -> Vec<Reason> {
        let moments = Moments::new(36_000_000_000_000, 39_600_000_000_000).expect("an hour");
        reasons(view, &moments, &Subject { link: "/x".into(), noun: Noun::Requests, codes: BTreeMap::new() })
    }

    #[test]
    fn failures_fire_with_their_share_and_beginning() {
        let mut view = View::default();
        add(&mut view, Slot::Past(14), Outcome::Ok, 1000, 5);
        for bucket in 0..BUCKETS {
            add(&mut view, Slot::Bucket(bucket), Outcome::Ok, 80, 5);
            if bucket >= 57 {
                add(&mut view, Slot::Bucket(bucket), Outcome::Error, 20, 5);
            }
        }
        let reasons = judged(&view);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert_eq!((reasons[0].kind, reasons[0].severity), ("errors", Severity::Critical));
        assert_eq!(reasons[0].value.replace('\u{2009}', " "), "20 %");
        assert_eq!(reasons[0].usual.as_deref().map(|usual| usual.replace('\u{2009}', " ")).as_deref(), Some("0 %"));
        assert_eq!(reasons[0].since_ns, 36_000_000_000_000 + 57 * 60_000_000_000);
    }

    #[test]
    fn slower_than_usual_fires_only_above_the_floor() {
        let mut view = View::default();
        add(&mut view, Slot::Past(14), Outcome::Ok, 1000, 5);
        add(&mut view, Slot::Bucket(30), Outcome::Ok, 100, 40);
        assert!(judged(&view).is_empty(), "40 ms is eight times the usual but fast");
        add(&mut view, Slot::Bucket(31), Outcome::Ok, 1000, 300);
        assert_eq!(judged(&view).first().map(|reason| reason.kind), Some("latency"));
    }

    #[test]
    fn what_was_slow_twice_is_told_by_its_last_time_and_never_by_a_quick_p95() {
        let mut view = View::default();
        add(&mut view, Slot::Past(14), Outcome::Ok, 1000, 5);
        (0..BUCKETS).for_each(|bucket| add(&mut view, Slot::Bucket(bucket), Outcome::Ok, 400, 5));
        add(&mut view, Slot::Bucket(3), Outcome::Ok, 40, 300);
        add(&mut view, Slot::Bucket(59), Outcome::Ok, 60, 300);
        let reasons = judged(&view);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].value.starts_with("3") || reasons[0].value.starts_with("29"), "{reasons:?}");
        assert_eq!(reasons[0].since_ns, 36_000_000_000_000 + 58 * 60_000_000_000);
    }

    #[test]
    fn few_requests_are_not_judged() {
        let mut view = View::default();
        add(&mut view, Slot::Bucket(5), Outcome::Error, 9, 5);
        assert!(judged(&view).is_empty());
        add(&mut view, Slot::Bucket(5), Outcome::Error, 1, 5);
        assert_eq!(judged(&view).len(), 1, "ten of ten");
        add(&mut view, Slot::Bucket(5), Outcome::Ok, 9, 5);
        assert_eq!(judged(&view).len(), 1, "ten of nineteen");
    }

    #[test]
    fn one_failure_of_a_few_is_no_finding() {
        let mut view = View::default();
        add(&mut view, Slot::Bucket(59), Outcome::Ok, 24, 5);
        add(&mut view, Slot::Bucket(59), Outcome::Error, 1, 5);
        assert!(judged(&view).is_empty());
        add(&mut view, Slot::Bucket(59), Outcome::Error, 2, 5);
        assert_eq!(judged(&view).len(), 1);
    }

    #[test]
    fn unanswered_is_a_reason_of_its_own() {
        let mut view = View::default();
        add(&mut view, Slot::Bucket(5), Outcome::Ok, 90, 5);
        add(&mut view, Slot::Bucket(5), Outcome::Unanswered, 10, 30_000);
        let reasons = judged(&view);
        assert_eq!(reasons.iter().map(|reason| reason.kind).collect::<Vec<_>>(), ["unanswered"]);
        assert!(view.total().quantile_ms(0.99).is_some_and(|p99| p99 < 10.0), "waiting in vain is no latency");
    }
}
