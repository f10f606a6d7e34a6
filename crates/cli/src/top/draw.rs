//! The picture on the screen: what deviates first, then the rows, then what the keys do.

use super::cells::style_of;
use super::history::History;
use super::judge::State;
use super::picture::Picture;
use super::rows::{self, Context, KINDS, Kind, RowKey};
use super::screen::{Screen, Style};
use super::session::{Page, Place, Session};
use super::{body, help};
use crate::{clock, numbers};

/// Findings above the rows, on a screen of usual height and on a low one.
const MOST_FINDINGS: usize = 3;
const LOW: usize = 30;
/// Under so many columns names stand closer.
const NARROW: usize = 100;
pub const SIGN: usize = 3;

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
        return help::draw(screen);
    }
    let context = Context { picture: shown.picture, history: shown.history };
    head(screen, shown);
    let mut y = 1;
    if let Some(trouble) = shown.trouble {
        screen.put(1, y, screen.width, trouble, style_of(State::Warning));
        y += 1;
    }
    y = findings(screen, y, shown);
    tabs(screen, y, shown);
    let end = screen.height.saturating_sub(2).max(y + 2);
    body::draw(screen, &context, (y + 1, end), shown);
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
        screen.put(0, y, screen.width, &sign, style_of(*state));
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
