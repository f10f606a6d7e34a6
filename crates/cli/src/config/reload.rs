//! Settings that change while a process runs: at SIGHUP they are read again from where they came from. A mistake is one
//! line, and the former settings stay; what only a start takes up is one line with its name.

use super::table::{Opt, Role};
use super::{Config, ConfigError};

/// Options that a running agent or server takes up; protocols' switches besides.
const TAKEN_UP: &[&str] = &[
    "auth_file",
    "retention_days",
    "retention_size",
    "retention_days_spans",
    "retention_days_metrics",
    "retention_days_events",
    "retention_size_spans",
    "retention_size_metrics",
    "retention_size_events",
    "token_file",
    "sample",
    "spans_per_second",
    "interval_seconds",
    "sockets",
    "processes",
    "exclude",
    "spool_size",
    "log",
];

pub fn is_taken_up(option: &Opt) -> bool {
    TAKEN_UP.contains(&option.key) || super::table::protocol_of(option).is_some()
}

/// The settings in use, and how to read them again.
pub struct Reloader<R> {
    role: Role,
    current: Config,
    read: R,
}

impl<R: Fn() -> Result<Config, ConfigError>> Reloader<R> {
    pub fn new(role: Role, current: Config, read: R) -> Self {
        Reloader { role, current, read }
    }

    /// Reads again and lets `take_up` do its part with what has come; an error of either leaves everything as it is.
    pub fn reload(&mut self, take_up: impl FnOnce(&Config) -> Result<(), String>) {
        let read = (self.read)().map_err(|error| error.0).and_then(|new| take_up(&new).map(|()| new));
        match read {
            Ok(new) => self.keep(new),
            Err(error) => log::error!("the settings stay as they were: {error}"),
        }
    }

    fn keep(&mut self, new: Config) {
        let changed = new.differences(&self.current, self.role);
        let (taken, left): (Vec<&Opt>, Vec<&Opt>) = changed.into_iter().partition(|option| is_taken_up(option));
        self.say(&taken, &left);
        // Told again the next time, as long as it is another.
        let former = std::mem::replace(&mut self.current, new);
        left.iter().for_each(|option| self.current.set(option, former.text(option.key).into(), "the start".into()));
    }

    /// The supervisor speaks only of its own: its children say theirs.
    fn say(&self, taken: &[&Opt], left: &[&Opt]) {
        for option in left.iter().filter(|option| self.role != Role::Up || option.roles == [Role::Up]) {
            log::warn!("`{}` has changed, which needs a restart: the former value stays", option.key);
        }
        if self.role != Role::Up {
            let names: Vec<String> = taken.iter().map(|option| format!("`{}`", option.key)).collect();
            let none = "nothing but, maybe, what stands in the files that they name,";
            let what = if names.is_empty() { none.to_owned() } else { names.join(", ") };
            log::info!("settings were read again: {what} changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::options;
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn every_name_is_an_option() {
        for key in TAKEN_UP {
            assert!(options().iter().any(|option| option.key == *key), "{key}");
        }
    }

    #[test]
    fn a_mistake_leaves_the_settings_and_what_needs_a_restart_stays() {
        let resolve = |flags: Vec<(&'static str, String)>| {
            Config::resolve(Role::Agent, Some("/dev/null".into()), std::iter::empty(), flags)
        };
        let next = RefCell::new(vec![("spans_per_second", "x".to_owned())]);
        let start = resolve(vec![("spans_per_second", "1".into())]).expect("good");
        let mut reloader = Reloader::new(Role::Agent, start, || resolve(next.borrow().clone()));
        reloader.reload(|_| panic!("what is wrong is not taken up"));
        assert_eq!(reloader.current.text("spans_per_second"), "1");
        *next.borrow_mut() = vec![("spans_per_second", "2".into()), ("ring_bytes", "1MiB".into())];
        reloader.reload(|_| Err("not now".into()));
        assert_eq!(reloader.current.text("spans_per_second"), "1");
        reloader.reload(|new| Ok(assert_eq!(new.text("ring_bytes"), "1MiB")));
        assert_eq!(reloader.current.text("spans_per_second"), "2");
        assert_eq!(reloader.current.text("ring_bytes"), "16MiB");
    }
}
