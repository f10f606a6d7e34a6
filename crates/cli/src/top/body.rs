//! The rows of the page, as far as they fit, around the selected one.

use super::cells::style_of;
use super::columns::{Column, Width, columns};
use super::draw::{SIGN, Shown};
use super::judge::State;
use super::rows::{self, Context, Kind, RowKey};
use super::screen::{Screen, Style};
use super::session::{Place, Section};
use crate::numbers;

const GAP: usize = 1;
const LEAST_NAME: usize = 8;

/// Lines of the page, of which a part around the selected one fits.
enum Line<'a> {
    Blank,
    Title(String),
    Text(String),
    Head(Kind),
    Row(RowKey, &'a Section),
}

pub fn draw(screen: &mut Screen, context: &Context, (from, end): (usize, usize), shown: &Shown) {
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
        known.push((kind, widths(columns(kind), width)));
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
    screen.put(0, y, SIGN, &sign, mark(style_of(state)));
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
