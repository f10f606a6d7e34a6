//! What the keys do, and what the columns mean.

use super::screen::{Screen, Style};

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

pub fn draw(screen: &mut Screen) {
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
