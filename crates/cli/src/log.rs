//! Log lines on stderr: `level target: text`, lower case, without a full stop. systemd and container runtimes add the
//! time; on a terminal it is put in front.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::{IsTerminal, Write};

struct Stderr {
    role: &'static str,
    terminal: bool,
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries speak of their own insides; only their troubles matter to a user.
        metadata.target().starts_with("limpid") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = record.level().as_str().to_lowercase();
        let time = if self.terminal { clock() } else { String::new() };
        line(&format!("{time}{level} {}: {}", self.role, record.args()));
    }

    fn flush(&self) {}
}

/// One line on stderr in one write: agent, server and supervisor share it, and must not write into each other's lines.
pub fn line(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Time of day in UTC.
fn clock() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("{:02}:{:02}:{:02} ", now / 3600 % 24, now / 60 % 60, now % 60)
}

pub fn start(role: &'static str, level: &str) {
    let logger = Stderr { role, terminal: std::io::stderr().is_terminal() };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        set_level(level);
    }
}

/// The table of options allows no other word.
pub fn set_level(level: &str) {
    log::set_max_level(level.parse().unwrap_or(LevelFilter::Info));
}
