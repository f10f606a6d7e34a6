//! What the user looks at, and what each key does.

use super::keys::Key;
use super::picture::Picture;
use super::rows::{self, Choice, Context, KINDS, Kind, RowKey, SORTS};
use std::collections::BTreeSet;
use std::time::Duration;

pub const WINDOWS: [u64; 3] = [10, 60, 300];
/// Names are shorter than this; more is a finger that lies on a key.
const LONGEST_FILTER: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    View(Kind),
    /// One service with its operations, callers, callees and processes.
    Service(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    None,
    Redraw,
    /// The window has changed: what is shown must be computed anew.
    Recompute,
    Suspend,
    Quit,
}

pub struct Session {
    pub place: Place,
    /// Where Esc leads back to, with what was selected there.
    back: Vec<(Place, Option<RowKey>)>,
    pub choice: Choice,
    /// In words, what `choice.among` is: "upstream of checkout".
    pub among: String,
    pub selected: Option<RowKey>,
    /// Where the selected row stood last, in case it goes.
    at: usize,
    /// Nobody has selected anything yet: the first row is it, whichever that is.
    untouched: bool,
    pub typing: bool,
    pub paused: bool,
    pub help: bool,
    window: usize,
}

/// What is on the page: rows under headings.
pub struct Section {
    pub title: String,
    pub kind: Kind,
    pub rows: Vec<RowKey>,
}

pub struct Page {
    pub sections: Vec<Section>,
}

impl Page {
    pub fn rows(&self) -> impl Iterator<Item = RowKey> + '_ {
        self.sections.iter().flat_map(|section| section.rows.iter().copied())
    }
}

impl Session {
    pub fn new(view: Kind, choice: Choice, window: Duration) -> Session {
        let window = WINDOWS.iter().position(|seconds| *seconds >= window.as_secs()).unwrap_or(1);
        Session {
            place: Place::View(view),
            back: Vec::new(),
            choice,
            among: String::new(),
            selected: None,
            at: 0,
            untouched: true,
            typing: false,
            paused: false,
            help: false,
            window,
        }
    }

    pub fn window(&self) -> Duration {
        Duration::from_secs(WINDOWS[self.window])
    }

    /// What is listed now; the selection follows its row.
    pub fn page(&mut self, context: &Context) -> Page {
        let page = match self.place {
            Place::View(kind) => {
                let rows = rows::listed(context, rows::keys(context.picture, kind), &self.choice);
                Page { sections: vec![Section { title: String::new(), kind, rows }] }
            }
            Place::Service(number) => self.service_page(context, number),
        };
        let rows: Vec<RowKey> = page.rows().collect();
        let selected = self.selected.filter(|_| !self.untouched);
        match selected.and_then(|selected| rows.iter().position(|row| *row == selected)) {
            Some(at) => self.at = at,
            None => {
                self.at = self.at.min(rows.len().saturating_sub(1));
                self.selected = rows.get(self.at).copied();
            }
        }
        page
    }

    fn service_page(&self, context: &Context, number: u32) -> Page {
        let about = |kind: Kind| {
            let of = move |key: &RowKey| match kind {
                Kind::Edges => false,
                _ => rows::services_of(context.picture, *key) == [number],
            };
            rows::keys(context.picture, kind).into_iter().filter(of).collect::<Vec<_>>()
        };
        let edges = |callee: bool| {
            let of = move |key: &RowKey| {
                context
                    .picture
                    .edge(key.number)
                    .is_some_and(|edge| if callee { edge.callee } else { edge.caller } == number)
            };
            rows::keys(context.picture, Kind::Edges).into_iter().filter(of).collect::<Vec<_>>()
        };
        let section = |title: &str, kind: Kind, keys: Vec<RowKey>| {
            let rows = rows::listed(context, keys, &self.choice);
            Section { title: format!("{title} {}", rows.len()), kind, rows }
        };
        let sections = vec![
            section("Operations", Kind::Operations, about(Kind::Operations)),
            section("Callers", Kind::Edges, edges(true)),
            section("Callees", Kind::Edges, edges(false)),
            section("Processes", Kind::Processes, about(Kind::Processes)),
        ];
        Page { sections: sections.into_iter().filter(|section| !section.rows.is_empty()).collect() }
    }

    pub fn key(&mut self, key: Key, page: &Page, picture: &Picture, lines: usize) -> Action {
        if self.typing {
            return self.type_filter(key);
        }
        if self.help {
            self.help = false;
            return if matches!(key, Key::Char('q') | Key::Control('c')) { Action::Quit } else { Action::Redraw };
        }
        match key {
            Key::Char('q') | Key::Control('c') => return Action::Quit,
            Key::Control('z') => return Action::Suspend,
            Key::Up | Key::Char('k') => self.step(page, -1),
            Key::Down | Key::Char('j') => self.step(page, 1),
            Key::PageUp => self.step(page, -(lines as isize)),
            Key::PageDown => self.step(page, lines as isize),
            Key::Home => self.step(page, isize::MIN / 2),
            Key::End => self.step(page, isize::MAX / 2),
            Key::Tab => self.turn_view(1),
            Key::BackTab => self.turn_view(KINDS.len() - 1),
            Key::Char(digit @ '1'..='4') => self.view(KINDS[digit as usize - '1' as usize]),
            Key::Enter | Key::Right => self.open(picture),
            Key::Esc | Key::Left | Key::Backspace => self.leave(),
            Key::Char('s') => self.next_sort(1),
            Key::Char('S') => self.next_sort(SORTS.len() - 1),
            Key::Char('r') => self.choice.turned = !self.choice.turned,
            Key::Char('/' | 'f') => self.typing = true,
            Key::Char('e') => self.choice.failed_only = !self.choice.failed_only,
            Key::Char('u') => self.only_along(picture, true),
            Key::Char('d') => self.only_along(picture, false),
            Key::Char('p') => self.paused = !self.paused,
            Key::Char('w') => {
                self.window = (self.window + 1) % WINDOWS.len();
                return Action::Recompute;
            }
            Key::Char('?' | 'h') => self.help = true,
            Key::Control('l') => {}
            _ => return Action::None,
        }
        Action::Redraw
    }

    fn type_filter(&mut self, key: Key) -> Action {
        match key {
            Key::Enter => self.typing = false,
            Key::Esc => {
                self.typing = false;
                self.choice.filter.clear();
            }
            Key::Backspace => {
                self.choice.filter.pop();
            }
            Key::Control('u') => self.choice.filter.clear(),
            Key::Control('c') => return Action::Quit,
            Key::Char(c) if self.choice.filter.len() < LONGEST_FILTER => self.choice.filter.push(c),
            _ => return Action::None,
        }
        Action::Redraw
    }

    fn step(&mut self, page: &Page, by: isize) {
        let rows: Vec<RowKey> = page.rows().collect();
        self.untouched = false;
        self.at = self.at.saturating_add_signed(by).min(rows.len().saturating_sub(1));
        self.selected = rows.get(self.at).copied();
    }

    fn turn_view(&mut self, by: usize) {
        let now = match self.place {
            Place::View(kind) => KINDS.iter().position(|known| *known == kind).unwrap_or(0),
            Place::Service(_) => 0,
        };
        self.view(KINDS[(now + by) % KINDS.len()]);
    }

    fn view(&mut self, kind: Kind) {
        (self.place, self.selected, self.at, self.untouched) = (Place::View(kind), None, 0, true);
        self.back.clear();
    }

    fn next_sort(&mut self, by: usize) {
        let now = SORTS.iter().position(|sort| *sort == self.choice.sort).unwrap_or(0);
        self.choice.sort = SORTS[(now + by) % SORTS.len()];
    }

    /// A service opens itself, an edge its other end, everything else its service.
    fn open(&mut self, picture: &Picture) {
        let Some(selected) = self.selected else { return };
        let here = if let Place::Service(number) = self.place { Some(number) } else { None };
        let ends = rows::services_of(picture, selected);
        let Some(next) = ends.iter().rev().copied().find(|number| Some(*number) != here) else { return };
        self.back.push((self.place, self.selected));
        (self.place, self.selected, self.at, self.untouched) = (Place::Service(next), None, 0, true);
        // What was looked for has been found.
        self.choice.filter.clear();
        (self.choice.failed_only, self.choice.among) = (false, None);
    }

    /// One step back: the filter first, then the page.
    fn leave(&mut self) {
        if !self.choice.filter.is_empty() || self.choice.failed_only || self.choice.among.is_some() {
            self.choice.filter.clear();
            (self.choice.failed_only, self.choice.among) = (false, None);
            return;
        }
        if let Some((place, selected)) = self.back.pop() {
            (self.place, self.selected, self.untouched) = (place, selected, false);
        }
    }

    /// The selected service and all that it calls, or all that call it, over any number of steps.
    fn only_along(&mut self, picture: &Picture, up: bool) {
        let Some(first) = self.selected.and_then(|selected| rows::services_of(picture, selected).last().copied())
        else {
            return;
        };
        let mut reached = BTreeSet::from([first]);
        let mut fresh = vec![first];
        while let Some(number) = fresh.pop() {
            let edges = picture.edges.iter().flatten();
            let next = edges.filter_map(|edge| match up {
                true => (edge.callee == number).then_some(edge.caller),
                false => (edge.caller == number).then_some(edge.callee),
            });
            fresh.extend(next.filter(|number| reached.insert(*number)));
        }
        self.among = format!("{} of {}", if up { "upstream" } else { "downstream" }, picture.name(first));
        self.choice.among = Some(reached);
    }
}
