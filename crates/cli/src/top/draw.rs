//! The picture on the screen: what deviates first, then the rows, then what the keys do.

use super::history::History;
use super::judge::State;
use super::picture::Picture;
use super::rows::{self, Column, Context, KINDS, Kind, RowKey, Width};
use super::screen::{Screen, Style};
use super::session::{Page, Place, Section, Session};
use crate::{clock, numbers};

/// Findings above the rows, on a screen of usual height and on a low one.
const MOST_FINDINGS: usize = 3;
const LOW: usize = 30;
/// Under so many columns names stand closer.
const NARROW: usize = 100;
const SIGN: usize = 3;
const GAP: usize = 1;
const LEAST_NAME: usize = 8;

pub struct Shown<'a> {
    pub picture: &'a Picture,
    pub history: &'a History,
    pub session: &'a Session,
    pub page: &'a Page,
    /// What keeps new readings away.
    pub trouble: Option<&'a str>,
    pub every_seconds: u64,
}

pub fn draw(screen: &mut Screen, shown: &Shown) {
    screen.clear();
    if shown.session.help {
        return help(screen);
    }
    let context = Context { picture: shown.picture, history: shown.history };
    head(screen, shown);
    let mut y = 1;
    if let Some(trouble) = shown.trouble {
        screen.put(1, y, screen.width, trouble, rows::style_of(State::Warning));
        y += 1;
    }
    y = findings(screen, y, shown);
    tabs(screen, y, shown);
    let end = screen.height.saturating_sub(2).max(y + 2);
    body(screen, &context, (y + 1, end), shown);
    legend(screen);
}

fn head(screen: &mut Screen, shown: &Shown) {
    let Picture { agent, .. } = shown.picture;
    let range = match shown.picture.since_start {
        true => "since the agent's start".to_owned(),
        false => format!("last {}", numbers::span(shown.picture.seconds)),
    };
    let paused = if shown.session.paused { "  paused" } else { "" };
    let left = format!("limpid top  {}  {}  {range}{paused}", agent.host, clock::time(shown.picture.unix_ns));
    let (requests, failed) = shown.picture.total();
    let share = if requests > 0 { failed as f64 / requests as f64 } else { 0.0 };
    let rate = numbers::per_second(shown.picture.rate(requests));
    let figures = format!("{rate} req/s  {} failed  {}", numbers::share(share), lost(shown.picture));
    let cpu = numbers::share((agent.cpu_share * 1000.0).round() / 1000.0);
    let own = format!("   agent {cpu} CPU, {}", numbers::bytes(agent.memory_bytes));
    let own = if screen.width >= NARROW { own } else { String::new() };
    let end = screen.put(0, 0, screen.width, &left, Style::BOLD);
    let right = format!("{figures}{own}");
    if end + 2 + right.chars().count() <= screen.width {
        screen.put_right(screen.width, 0, &right, Style::default());
    }
}

fn lost(picture: &Picture) -> String {
    match picture.agent.lost {
        0.0 => "lost 0".into(),
        lost => format!("lost {} ({})", numbers::count(lost), picture.agent.lost_mostly),
    }
}

/// What is bad itself; what only suffers stands in the rows.
fn findings(screen: &mut Screen, mut y: usize, shown: &Shown) -> usize {
    let picture = shown.picture;
    let services = picture.services.iter().flatten().map(|row| (row.seen.verdict.state, Kind::Services, row.number));
    let edges = picture.edges.iter().flatten().map(|row| (row.seen.verdict.state, Kind::Edges, row.number));
    let mut bad: Vec<_> = services.chain(edges).filter(|(state, ..)| *state <= State::Warning).collect();
    bad.sort();
    let most = if screen.height < LOW { 1 } else { MOST_FINDINGS };
    let context = Context { picture, history: shown.history };
    for (state, kind, number) in bad.iter().take(most) {
        let key = RowKey { kind: *kind, number: *number };
        let Some(seen) = rows::seen(picture, key) else { continue };
        let sign = format!(" {} ", state.sign());
        screen.put(0, y, screen.width, &sign, rows::style_of(*state));
        let name = numbers::shorten(&rows::full_name(&context, key), screen.width / 4, "…");
        screen.put(SIGN + 1, y, screen.width, &name, Style::BOLD);
        let since = shown.history.since(key).map_or(String::new(), |ns| format!("  since {}", clock::time(ns)));
        let end = screen.width - since.chars().count();
        screen.put(SIGN + 3 + screen.width / 4, y, end, &seen.verdict.text(), Style::default());
        screen.put_right(screen.width, y, &since, Style::DIM);
        y += 1;
    }
    if bad.len() > most {
        let more = format!("{} more findings; sorted by worst, their rows stand first", bad.len() - most);
        screen.put(SIGN + 1, y, screen.width, &more, Style::DIM);
        y += 1;
    }
    y
}

fn tabs(screen: &mut Screen, y: usize, shown: &Shown) {
    let session = shown.session;
    let mut x = 0;
    for kind in KINDS {
        let count = rows::keys(shown.picture, kind).len();
        let here = session.place == Place::View(kind);
        let text = if here { format!("[{} {count}]", kind.title()) } else { format!(" {} {count} ", kind.title()) };
        x = screen.put(x, y, screen.width, &text, if here { Style::BOLD } else { Style::default() });
    }
    let choice = &session.choice;
    let turned = if choice.turned { "↑" } else { "↓" };
    let mut parts = vec![format!("sort {} {turned}", choice.sort.as_str())];
    if session.typing || !choice.filter.is_empty() {
        parts.push(format!("filter {}{}", choice.filter, if session.typing { "_" } else { "" }));
    }
    if choice.failed_only {
        parts.push("failed only".into());
    }
    if choice.among.is_some() {
        parts.push(session.among.clone());
    }
    if screen.width >= NARROW {
        parts.push(format!("every {}", numbers::span(shown.every_seconds as f64)));
    }
    let text = parts.join("   ");
    // What one types must be seen, whatever else has to go.
    let start = screen.width.saturating_sub(text.chars().count()).max(if session.typing { 0 } else { x + 1 });
    screen.put(start, y, screen.width, &text, if session.typing { Style::BOLD } else { Style::default() });
}

/// Lines of the page, of which a part around the selected one fits.
enum Line<'a> {
    Blank,
    Title(String),
    Text(String),
    Head(Kind),
    Row(RowKey, &'a Section),
}

fn body(screen: &mut Screen, context: &Context, (from, end): (usize, usize), shown: &Shown) {
    let lines = lines(context, shown);
    let room = end.saturating_sub(from);
    let selected =
        lines.iter().position(|line| matches!(line, Line::Row(key, _) if Some(*key) == shown.session.selected));
    // The head of a view stays where it is; a service's page scrolls as a whole.
    let fixed = if matches!(shown.session.place, Place::View(_)) { 1 } else { 0 };
    let rolling = room.saturating_sub(fixed).max(1);
    let at = selected.unwrap_or(0).saturating_sub(fixed);
    let length = lines.len().saturating_sub(fixed);
    let first = at.saturating_sub(rolling / 2).min(length.saturating_sub(rolling));
    let visible = lines.iter().take(fixed).chain(lines.iter().skip(fixed + first)).take(room);
    let mut layouts: Vec<(Kind, Vec<(&Column, usize)>)> = Vec::new();
    for (offset, line) in visible.enumerate() {
        let y = from + offset;
        match line {
            Line::Blank => {}
            Line::Title(text) => {
                let x = screen.put(0, y, screen.width, &format!("── {text} "), Style::BOLD);
                let rest = "─".repeat(screen.width.saturating_sub(x));
                screen.put(x, y, screen.width, &rest, Style::DIM);
            }
            Line::Text(text) => {
                screen.put(SIGN, y, screen.width, text, Style::default());
            }
            Line::Head(kind) => {
                let layout = layout(&mut layouts, *kind, screen.width);
                heading(screen, y, layout);
            }
            Line::Row(key, section) => {
                let layout = layout(&mut layouts, section.kind, screen.width);
                row(screen, y, layout, context, *key, Some(*key) == shown.session.selected);
            }
        }
    }
}

fn lines<'a>(context: &Context, shown: &Shown<'a>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    if let Place::Service(number) = shown.session.place {
        service_lines(context, number, &mut lines);
    }
    for section in &shown.page.sections {
        if !section.title.is_empty() {
            lines.push(Line::Blank);
            lines.push(Line::Title(section.title.clone()));
        }
        lines.push(Line::Head(section.kind));
        lines.extend(section.rows.iter().map(|key| Line::Row(*key, section)));
    }
    if shown.page.rows().next().is_none() {
        lines.push(Line::Blank);
        lines.push(Line::Text(nothing(shown)));
    }
    lines
}

fn nothing(shown: &Shown) -> String {
    let choice = &shown.session.choice;
    if !choice.filter.is_empty() || choice.failed_only || choice.among.is_some() {
        return "Nothing matches. Esc removes the filter.".into();
    }
    "No requests yet. The first ones appear here within seconds.".into()
}

/// Who it is, and what is to be said of it.
fn service_lines(context: &Context, number: u32, lines: &mut Vec<Line<'_>>) {
    let Some(service) = context.picture.service(number) else { return };
    let spoken = if service.protocols.is_empty() { "calls only".into() } else { service.protocols.join(", ") };
    let watched = if service.watched { "" } else { ", not watched: seen by its callers" };
    lines.push(Line::Title(format!("{}, {spoken}{watched}", service.name)));
    let figures = service.seen.views.figures().filter(|figures| figures.requests > 0);
    if let Some(figures) = figures {
        let p = |q: f64| figures.quantile_ms(q).map_or(numbers::MISSING.into(), numbers::milliseconds);
        let rate = numbers::per_second(context.picture.rate(figures.requests));
        let share = numbers::share(figures.failed_share().unwrap_or(0.0));
        let usual =
            service.seen.usual_p95_ms.map_or(String::new(), |ms| format!(", usually {}", numbers::milliseconds(ms)));
        lines.push(Line::Text(format!(
            "{rate} req/s, {share} failed, p50 {}, p95 {}{usual}, p99 {}",
            p(0.5),
            p(0.95),
            p(0.99)
        )));
    }
    for (at, reason) in service.seen.verdict.reasons.iter().enumerate() {
        lines.push(Line::Text(format!("{}  {} {}", at + 1, reason.state.sign(), reason.text)));
    }
}

fn layout<'a>(
    known: &'a mut Vec<(Kind, Vec<(&'static Column, usize)>)>,
    kind: Kind,
    width: usize,
) -> &'a [(&'static Column, usize)] {
    let at = known.iter().position(|(of, _)| *of == kind).unwrap_or_else(|| {
        known.push((kind, widths(kind.columns(), width)));
        known.len() - 1
    });
    &known[at].1
}

/// The columns that fit, with their widths: names share what figures leave.
pub fn widths(columns: &'static [Column], width: usize) -> Vec<(&'static Column, usize)> {
    let shown: Vec<&Column> = columns.iter().filter(|column| column.from <= width).collect();
    let names = shown.iter().filter(|column| column.width == Width::Name).count().max(1);
    let taken: usize = shown.iter().map(|column| least(column.width) + GAP).sum();
    let name = width.saturating_sub(SIGN + taken) / names;
    shown
        .into_iter()
        .map(|column| (column, if column.width == Width::Name { name.max(LEAST_NAME) } else { least(column.width) }))
        .collect()
}

fn least(width: Width) -> usize {
    match width {
        Width::Figure(width) | Width::Words(width) => width,
        Width::Name => 0,
    }
}

fn heading(screen: &mut Screen, y: usize, layout: &[(&Column, usize)]) {
    let mut x = SIGN;
    for (column, width) in layout {
        match column.width {
            Width::Figure(_) => screen.put_right(x + width, y, column.title, Style::DIM),
            _ => {
                screen.put(x, y, x + width, column.title, Style::DIM);
            }
        }
        x += width + GAP;
    }
}

fn row(screen: &mut Screen, y: usize, layout: &[(&Column, usize)], context: &Context, key: RowKey, selected: bool) {
    let state = rows::seen(context.picture, key).map_or(State::Ok, |seen| seen.verdict.state);
    let mark = |style: Style| if selected { style.reversed() } else { style };
    if selected {
        let blank = " ".repeat(screen.width);
        screen.put(0, y, screen.width, &blank, mark(Style::default()));
    }
    let sign = format!("{}{}", if selected { '>' } else { ' ' }, state.sign());
    screen.put(0, y, SIGN, &sign, mark(rows::style_of(state)));
    let mut x = SIGN;
    for (column, width) in layout {
        let cell = (column.cell)(context, key.number);
        match column.width {
            Width::Figure(_) => screen.put_right(x + width, y, &cell.text, mark(cell.style)),
            _ => {
                screen.put(x, y, x + width, &numbers::shorten(&cell.text, *width, "…"), mark(cell.style));
            }
        }
        x += width + GAP;
    }
}

fn legend(screen: &mut Screen) {
    let (width, y) = (screen.width, screen.height);
    if width >= NARROW {
        let states = "X critical   ! warning   ~ affected by a callee   ? no requests any more";
        screen.put(1, y - 2, width, states, Style::DIM);
    } else {
        screen.put(1, y - 2, width, "X critical  ! warning  ~ affected  ? silent", Style::DIM);
    }
    let keys = match width {
        NARROW.. => {
            "↑↓ select  Enter open  Esc back  Tab next view  s sort  / filter  e failed only  u d up, downstream  ? help  q quit"
        }
        _ => "↑↓ Enter open  Esc back  Tab view  s sort  / filter  e failed  ? help  q quit",
    };
    screen.put(1, y - 1, width, keys, Style::default());
}

const HELP: &[(&str, &str)] = &[
    ("↑ ↓ j k", "select; PgUp, PgDn, Home, End by pages and to the ends"),
    ("Enter →", "open: a service with its operations, callers, callees and processes"),
    ("Esc ←", "remove the filter, then back"),
    ("Tab 1 2 3 4", "services, edges, operations, processes"),
    ("s S r", "next sort, previous sort, turn it round"),
    ("/ f", "filter by a part of the name; Enter keeps it, Esc removes it"),
    ("e", "only what has failed requests"),
    ("u d", "only what calls the selected service, or what it calls, over any number of steps"),
    ("w", "window: 10 s, 60 s, 5 min"),
    ("p", "pause"),
    ("Ctrl-Z Ctrl-L", "suspend, draw anew"),
    ("q Ctrl-C", "quit"),
];

fn help(screen: &mut Screen) {
    screen.put(0, 0, screen.width, "limpid top: keys", Style::BOLD);
    for (at, (keys, what)) in HELP.iter().enumerate() {
        screen.put(1, at + 2, 16, keys, Style::BOLD);
        screen.put(16, at + 2, screen.width, what, Style::default());
    }
    let words = [
        "USUALLY  p95 of what the agent counted before the oldest reading here, at most 15 min ago",
        "WAITS    the callee with most of the service's time, as its callers saw it",
        "P95 CALLER, P95 CALLEE  the same calls from both ends: the gap is network and queue",
    ];
    for (at, text) in words.iter().enumerate() {
        screen.put(1, HELP.len() + 3 + at, screen.width, text, Style::DIM);
    }
    screen.put(1, screen.height - 1, screen.width, "any key: back", Style::default());
}
