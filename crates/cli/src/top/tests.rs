//! On two readings of a real agent beside the demo, ten seconds apart. What they hold was counted by another decoder.

use super::draw::{self, Shown};
use super::history::History;
use super::judge::State;
use super::keys::Key;
use super::once;
use super::picture::{Picture, Row};
use super::rows::{Choice, Context, KINDS, Kind, Sort};
use super::screen::{Abilities, Screen};
use super::session::{Action, Place, Session};
use std::time::{Duration, Instant};

const FIRST: &[u8] = include_bytes!("recorded/first.bin");
const SECOND: &[u8] = include_bytes!("recorded/second.bin");
/// When the first one was taken.
const FIRST_NS: u64 = 1_795_901_492_000_000_000;
const SECONDS: u64 = 10;

fn recorded() -> (History, Picture) {
    let mut history = History::new();
    let start = Instant::now();
    history.add(FIRST, start, FIRST_NS).expect("it is an agent's");
    history
        .add(SECOND, start + Duration::from_secs(SECONDS), FIRST_NS + SECONDS * 1_000_000_000)
        .expect("it is an agent's");
    let picture = history.picture(Duration::from_secs(60)).expect("there are readings");
    (history, picture)
}

fn service<'a>(picture: &'a Picture, name: &str) -> &'a super::picture::Service {
    picture.services.iter().flatten().find(|service| service.name == name).expect("the service is there")
}

#[test]
fn requests_and_failures_are_those_between_the_readings() {
    let (_, picture) = recorded();
    for (name, requests, failed) in [
        ("cart", 126, 0),
        ("catalog", 276, 0),
        ("checkout", 51, 10),
        ("nginx", 506, 11),
        ("postgres", 327, 10),
        ("redis-server", 252, 0),
        ("web", 504, 11),
    ] {
        let figures = service(&picture, name).seen.views.figures().expect("it was asked");
        assert_eq!((figures.requests, figures.failed()), (requests, failed), "{name}");
        assert_eq!(picture.rate(figures.requests), requests as f64 / 10.0);
    }
    assert_eq!(picture.total(), (2042, 42));
    let loadgen = service(&picture, "loadgen");
    assert_eq!((loadgen.calls, loadgen.seen.views.figures().is_none()), (506, true), "it only calls");
    assert_eq!(picture.agent.host, "vm");
    assert_eq!((picture.agent.lost, picture.agent.lost_mostly.as_str()), (287.0, "negative_duration"));
    assert!((picture.agent.cpu_share - 0.0084).abs() < 0.0001, "{}", picture.agent.cpu_share);
}

#[test]
fn edges_have_both_views_and_their_bytes_once() {
    let (_, picture) = recorded();
    let named = |number: u32| picture.name(number).to_owned();
    let edge = |caller: &str, callee: &str| {
        let mut edges = picture.edges.iter().flatten();
        edges.find(|edge| named(edge.caller) == caller && named(edge.callee) == callee).expect("the edge is there")
    };
    for (caller, callee, requests) in [
        ("loadgen", "nginx", 506),
        ("web", "catalog", 276),
        ("catalog", "postgres", 277),
        ("cart", "redis-server", 252),
    ] {
        let views = &edge(caller, callee).seen.views;
        assert_eq!(views.server.as_ref().map(|figures| figures.requests), Some(requests), "{caller} > {callee}");
        assert!(views.client.as_ref().is_some_and(|figures| figures.requests.abs_diff(requests) <= 2));
    }
    let links = edge("cart", "redis-server").links();
    assert_eq!((links.sent, links.received, links.connections), (7900.0, 1053.0, 1.0));
    let (waits, share) = service(&picture, "web").waits_for().expect("it calls");
    assert!(named(waits) == "catalog" && share > 0.9, "{share}");
}

#[test]
fn percentiles_are_those_of_the_demo() {
    let (_, picture) = recorded();
    let report = picture
        .operations
        .iter()
        .flatten()
        .find(|row| row.resource == "/report" && picture.name(row.service) == "catalog");
    let figures = report.and_then(|row| row.seen.views.figures()).expect("the report was asked for");
    // It sleeps for 0.4 s in the database.
    assert_eq!(figures.requests, 25);
    assert!((380.0..460.0).contains(&figures.quantile_ms(0.5).expect("there were some")));
    let redis = service(&picture, "redis-server");
    assert!(redis.seen.views.figures().and_then(|figures| figures.quantile_ms(0.95)).expect("it was asked") < 1.0);
    assert!(redis.seen.usual_p95_ms.expect("it has been asked long enough") < 1.0);
}

#[test]
fn the_culprit_stands_out_and_its_callers_only_suffer() {
    let (_, picture) = recorded();
    let state = |name: &str| service(&picture, name).seen.verdict.state;
    assert_eq!(state("postgres"), State::Warning);
    for name in ["checkout", "web", "nginx", "loadgen"] {
        assert_eq!(state(name), State::Affected, "{name}: {:?}", service(&picture, name).seen.verdict);
    }
    assert_eq!(state("cart"), State::Ok);
    let worst = picture.edges.iter().flatten().min_by_key(|edge| edge.seen().verdict.state).expect("there are edges");
    assert_eq!((picture.name(worst.caller), picture.name(worst.callee)), ("checkout", "postgres"));
    assert!(worst.seen.verdict.text().starts_with("20 % failed (23503)"), "{}", worst.seen.verdict.text());
}

#[test]
fn one_reading_alone_shows_everything_since_the_start() {
    let mut history = History::new();
    history.add(FIRST, Instant::now(), FIRST_NS).expect("it is an agent's");
    let picture = history.picture(Duration::from_secs(60)).expect("there is one");
    assert!(picture.since_start && picture.total().0 > 2042);
    assert!(service(&picture, "web").seen.usual_p95_ms.is_none(), "nothing was before the beginning");
}

#[test]
fn silence_is_told_from_health() {
    let mut history = History::new();
    let start = Instant::now();
    for second in 0..3 {
        history.add(SECOND, start + Duration::from_secs(second), FIRST_NS + second * 1_000_000_000).expect("an answer");
    }
    let picture = history.picture(Duration::from_secs(60)).expect("there are readings");
    assert_eq!(service(&picture, "web").seen.verdict.state, State::NoData);
    assert_eq!(picture.total(), (0, 0));
}

#[test]
fn an_agent_that_began_anew_is_not_compared_with_the_old_one() {
    let (mut history, _) = recorded();
    // The agent's start is in the family of its CPU time: another second of it is another agent.
    let cpu = SECOND.windows(16).position(|bytes| bytes == b"process_cpu_time").expect("the family");
    let mut restarted = SECOND.to_vec();
    let starts: Vec<usize> =
        (cpu..cpu + 200).filter(|at| restarted[*at..].starts_with(&[0x1a, 0x8c, 0x00, 0x08])).collect();
    assert_eq!(starts.len(), 2, "in user mode and in the kernel");
    starts.into_iter().for_each(|at| restarted[at + 4] ^= 1);
    history.add(&restarted, Instant::now() + Duration::from_secs(60), FIRST_NS).expect("an answer");
    assert!(history.picture(Duration::from_secs(60)).is_some_and(|picture| picture.since_start));
}

#[test]
fn damage_is_an_error_at_every_byte() {
    for cut in (0..SECOND.len()).step_by(397) {
        let mut history = History::new();
        // Whole families before the cut may be enough; it must only not panic.
        let _ = history.add(&SECOND[..cut], Instant::now(), FIRST_NS);
        let mut bent = SECOND.to_vec();
        bent[cut] ^= 0x55;
        let _ = history.add(&bent, Instant::now(), FIRST_NS);
        let _ = history.picture(Duration::from_secs(60));
    }
    assert!(History::new().add(b"<html>", Instant::now(), FIRST_NS).is_err());
    assert!(History::new().add(b"", Instant::now(), FIRST_NS).is_err());
}

#[test]
fn many_readings_are_thinned_and_the_window_stays() {
    let (mut history, _) = recorded();
    let start = Instant::now();
    for second in (20..2000u64).step_by(2) {
        history.add(SECOND, start + Duration::from_secs(second), FIRST_NS + second * 1_000_000_000).expect("an answer");
    }
    assert!(history.kept() < 60, "{}", history.kept());
    for window in [10, 60, 300] {
        let seconds = history.picture(Duration::from_secs(window)).expect("there are readings").seconds;
        assert!((window as f64..window as f64 + 16.0).contains(&seconds), "{window}: {seconds}");
    }
}

/// A session on the recorded readings, and what it shows.
struct Bench {
    history: History,
    picture: Picture,
    session: Session,
    screen: Screen,
}

impl Bench {
    fn new(width: usize, height: usize, utf8: bool) -> Bench {
        let (history, picture) = recorded();
        let session = Session::new(Kind::Services, Choice::default(), Duration::from_secs(60));
        Bench { history, picture, session, screen: Screen::new(width, height, Abilities { utf8, colours: true }) }
    }

    fn shows(&mut self) -> Vec<String> {
        let page = self.session.page(&Context { picture: &self.picture, history: &self.history });
        let (picture, history, session) = (&self.picture, &self.history, &self.session);
        draw::draw(
            &mut self.screen,
            &Shown { picture, history, session, page: &page, trouble: None, every_seconds: 2 },
        );
        self.screen.lines()
    }

    fn press(&mut self, keys: &[Key]) -> Action {
        let mut action = Action::None;
        for key in keys {
            let page = self.session.page(&Context { picture: &self.picture, history: &self.history });
            action = self.session.key(*key, &page, &self.picture, 20);
        }
        action
    }

    fn text(&mut self) -> String {
        self.shows().join("\n")
    }

    /// First words of the rows between the head of the table and the first empty line.
    fn names(&mut self) -> Vec<String> {
        let lines = self.shows();
        let head = lines.iter().position(|line| line.trim_start().starts_with("SERVICE")).expect("a head");
        let rows = lines[head + 1..].iter().take_while(|line| !line.is_empty());
        rows.map(|line| line[3..].split_whitespace().next().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn the_first_page_has_findings_and_the_worst_first() {
    let mut bench = Bench::new(120, 36, true);
    let text = bench.text();
    assert!(text.contains("limpid top  vm  ") && text.contains("204 req/s  2.1 % failed"), "{text}");
    assert!(text.contains("agent 0.8 % CPU"), "{text}");
    assert!(text.contains(" X  checkout > postgres") && text.contains("20 % failed (23503)"), "{text}");
    assert_eq!(bench.names()[0], "postgres");
    let row = bench.shows().into_iter().find(|line| line.contains(" checkout  ")).expect("a row");
    for part in ["~ checkout", "http", "5.1", "19.6 %", "postgres"] {
        assert!(row.contains(part), "{part} in {row}");
    }
}

#[test]
fn every_size_holds_and_narrow_ones_drop_columns() {
    for (width, height) in [(20, 5), (40, 8), (80, 24), (100, 30), (120, 36), (300, 100)] {
        let mut bench = Bench::new(width, height, true);
        for view in ['1', '2', '3', '4', '?'] {
            bench.press(&[Key::Char(view)]);
            let lines = bench.shows();
            assert_eq!(lines.len(), height);
            assert!(lines.iter().all(|line| line.chars().count() <= width));
        }
    }
    let (narrow, wide) = (Bench::new(80, 24, true).text(), Bench::new(120, 36, true).text());
    for column in ["P50", "USUALLY", "P95, 15 MIN", "WAITS MOSTLY FOR"] {
        assert!(wide.contains(column) && !narrow.contains(column), "{column}");
    }
    assert!(["REQ/S", "FAILED", "P95", "P99"].iter().all(|column| narrow.contains(column)), "{narrow}");
}

#[test]
fn without_utf8_everything_is_ascii() {
    let mut bench = Bench::new(120, 36, false);
    for view in ['1', '2', '3', '4'] {
        bench.press(&[Key::Char(view)]);
        assert!(bench.text().is_ascii(), "{}", bench.text());
    }
    bench.press(&[Key::Enter]);
    assert!(bench.text().is_ascii());
}

#[test]
fn opening_a_service_and_coming_back() {
    let mut bench = Bench::new(120, 40, true);
    bench.press(&[Key::Char('s'), Key::Char('s'), Key::Char('s'), Key::Char('s'), Key::Char('s')]);
    assert_eq!(bench.session.choice.sort, Sort::Name);
    bench.press(&[Key::Home, Key::Down]);
    let catalog = service(&bench.picture, "catalog").number;
    assert_eq!(bench.session.selected.map(|row| row.number), Some(catalog));
    bench.press(&[Key::Enter]);
    assert_eq!(bench.session.place, Place::Service(catalog));
    let text = bench.text();
    for part in [
        "── catalog, http",
        "Operations 2",
        "GET /report",
        "Callers 1",
        "Callees 1",
        "Processes 1",
        "27.6 req/s, 0 failed",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    // The callee's row opens the callee.
    let page = bench.session.page(&Context { picture: &bench.picture, history: &bench.history });
    let callee = page.sections.iter().position(|section| section.title.starts_with("Callees")).expect("it has callees");
    let before: usize = page.sections[..callee].iter().map(|section| section.rows.len()).sum();
    bench.press(&vec![Key::Down; before]);
    bench.press(&[Key::Enter]);
    assert!(bench.text().contains("── postgres, postgresql"));
    bench.press(&[Key::Esc]);
    assert_eq!(bench.session.place, Place::Service(catalog));
    bench.press(&[Key::Esc]);
    assert_eq!(bench.session.selected.map(|row| row.number), Some(catalog), "the row is still selected");
}

#[test]
fn filters() {
    let mut bench = Bench::new(120, 36, true);
    bench.press(&[Key::Char('/'), Key::Char('C'), Key::Char('a'), Key::Char('r'), Key::Char('q')]);
    assert!(bench.text().contains("Nothing matches") && bench.text().contains("filter Carq_"));
    bench.press(&[Key::Backspace, Key::Enter]);
    assert_eq!(bench.names(), ["cart"]);
    bench.press(&[Key::Esc]);
    assert!(bench.names().len() > 8);
    bench.press(&[Key::Char('e')]);
    assert_eq!(bench.names().len(), 4, "postgres, checkout, web, nginx have failed requests");
    bench.press(&[
        Key::Esc,
        Key::Char('/'),
        Key::Char('c'),
        Key::Char('a'),
        Key::Char('t'),
        Key::Enter,
        Key::Char('d'),
    ]);
    bench.press(&[Key::Char('/'), Key::Control('u'), Key::Enter]);
    let mut along = bench.names();
    along.sort();
    assert_eq!(along, ["catalog", "postgres"], "what it calls, and what that calls");
    assert!(bench.text().contains("downstream of catalog"));
}

#[test]
fn sorting_turns_round_and_keys_do_not_collide() {
    let mut bench = Bench::new(120, 36, true);
    bench.session.choice.sort = Sort::Rate;
    let down = bench.names();
    bench.press(&[Key::Char('r')]);
    let up: Vec<String> = bench.names().into_iter().rev().collect();
    assert_eq!((down.first(), down.len()), (up.first(), up.len()));
    assert_eq!(down[0], "nginx");
    assert_eq!(bench.press(&[Key::Char('w')]), Action::Recompute);
    assert_eq!(bench.press(&[Key::Control('z')]), Action::Suspend);
    assert_eq!(bench.press(&[Key::Char('/'), Key::Char('q')]), Action::Redraw, "q is a letter while one types");
    assert_eq!(bench.press(&[Key::Esc, Key::Char('q')]), Action::Quit);
}

#[test]
fn an_unchanged_picture_writes_nothing() {
    let mut bench = Bench::new(120, 36, true);
    bench.shows();
    assert!(bench.screen.changes().len() > 1000);
    bench.shows();
    assert_eq!(bench.screen.changes(), "");
    bench.press(&[Key::Down]);
    bench.shows();
    let moved = bench.screen.changes();
    assert!((1..1500).contains(&moved.len()), "two rows of thirty-six: {}", moved.len());
}

#[test]
fn once_as_text_and_as_json() {
    let (history, picture) = recorded();
    let text = once::text(&picture, &history, Kind::Edges, &Choice::default(), 120, true);
    let row = text.lines().find(|line| line.contains("cart") && line.contains("redis-server")).expect("a row");
    assert!(row.contains("25.2") && row.contains("895 B"), "{row}");
    let json = once::json(&picture, &history, &KINDS, &Choice::default());
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&rows[0]["kind"], &rows[0]["seconds"]), (&"agent".into(), &10.0.into()));
    let web = rows.iter().find(|row| row["kind"] == "service" && row["name"] == "web").expect("web");
    assert_eq!(
        (web["requests"].as_u64(), web["errors"].as_u64(), web["requests_per_second"].as_f64()),
        (Some(504), Some(11), Some(50.4))
    );
    assert_eq!(web["waits_for"], "catalog");
    let edge = rows.iter().find(|row| row["caller"] == "cart").expect("an edge");
    assert_eq!((edge["server"]["requests"].as_u64(), edge["sent_bytes_per_second"].as_f64()), (Some(252), Some(790.0)));
    assert!(rows.iter().any(|row| row["kind"] == "process" && row["pid"].as_u64().is_some_and(|pid| pid > 1)));
}
