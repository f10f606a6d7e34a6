//! Configuration: none is needed. `/etc/limpid/limpid.yaml`, then `LIMPID_*`, then flags override the defaults of one
//! table. Everything is text here; `roles` turn it into what their parts take, and an error names where a value came
//! from.

#[cfg(test)]
mod docs;
mod file;
#[cfg(any(feature = "agent", feature = "server"))]
pub mod reload;
pub mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use table::{Opt, Role, options};

pub const DEFAULT_FILE: &str = "/etc/limpid/limpid.yaml";

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
struct Setting {
    value: String,
    source: String,
}

#[derive(Clone, Debug, Default)]
pub struct Config {
    settings: BTreeMap<&'static str, Setting>,
}

/// One line: what was wrong, where, what to do.
#[derive(Debug, PartialEq)]
pub struct ConfigError(pub String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Config {
    /// `flags`: (key, value) as given on the command line; `environment`: all variables that are texts.
    pub fn resolve(
        role: Role,
        file: Option<PathBuf>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Vec<(&'static str, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Config::default();
        for option in options() {
            config.set(option, option.default.to_owned(), "the default".to_owned());
        }
        for (option, value, source) in file::read(file)? {
            config.set(option, value, source);
        }
        for (option, value, source) in from_environment(environment)? {
            config.set(option, value, source);
        }
        for (key, value) in flags {
            let option = table::option(key).ok_or_else(|| ConfigError(format!("unknown option `{key}`")))?;
            config.set(option, value, format!("--{}", option.flag()));
        }
        for option in options().iter().filter(|option| option.roles.contains(&role)) {
            config.check(option)?;
        }
        Ok(config)
    }

    fn set(&mut self, option: &'static Opt, value: String, source: String) {
        self.settings.insert(option.key, Setting { value, source });
    }

    fn check(&self, option: &Opt) -> Result<(), ConfigError> {
        let setting = &self.settings[option.key];
        option.kind.check(&setting.value).map_err(|expected| {
            ConfigError(format!("`{}` in {} is `{}`, expected {expected}", option.key, setting.source, setting.value))
        })
    }

    /// The value of an option of the table.
    pub fn text(&self, key: &str) -> &str {
        self.settings.get(key).map_or("", |setting| setting.value.as_str())
    }

    /// Where the value came from, for errors.
    pub fn source(&self, key: &str) -> &str {
        self.settings.get(key).map_or("", |setting| setting.source.as_str())
    }

    /// Options of `role` whose values differ.
    pub fn differences(&self, other: &Config, role: Role) -> Vec<&'static Opt> {
        let of_role = options().iter().filter(|option| option.roles.contains(&role));
        of_role.filter(|option| self.text(option.key) != other.text(option.key)).collect()
    }

    pub fn is_on(&self, key: &str) -> bool {
        matches!(self.text(key), "on" | "true" | "auto")
    }

    /// Numbers were checked in `resolve`.
    pub fn number(&self, key: &str) -> u64 {
        table::parse_number(self.text(key)).unwrap_or(0)
    }

    pub fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }
}

/// What the supervisor does with settings.
#[cfg(any(test, all(feature = "agent", feature = "server")))]
impl Config {
    /// All settings that a child process of `role` needs, as its flags.
    pub fn flags_for(&self, role: Role) -> Vec<String> {
        let of_role = options().iter().filter(|option| option.roles.contains(&role));
        of_role.map(|option| format!("--{}={}", option.flag(), self.text(option.key))).collect()
    }

    /// Without what others than this role take.
    pub fn of_role(mut self, role: Role) -> Self {
        self.settings.retain(|key, _| table::option(key).is_some_and(|option| option.roles.contains(&role)));
        self
    }

    /// As a file that [`Config::resolve`] reads: texts of JSON are texts of YAML. Put in place at once.
    pub fn write(&self, path: &std::path::Path) -> std::io::Result<()> {
        let line = |(key, setting): (&&str, &Setting)| format!("{key}: {}\n", serde_json::json!(setting.value));
        let text: String = self.settings.iter().map(line).collect();
        let new = path.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(new, path)
    }

    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        if let Some(option) = table::option(key) {
            self.set(option, value.into(), "the supervisor".into());
        }
        self
    }
}

type Found = (&'static Opt, String, String);

/// Names that the routines of the checkout use, which are no options of the program.
const OF_THE_BUILD: &[&str] = &["LIMPID_CACHE", "LIMPID_CONSOLE"];

fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<Vec<Found>, ConfigError> {
    let mut found = Vec::new();
    let ours = variables.filter(|(name, _)| name.starts_with("LIMPID_") && !OF_THE_BUILD.contains(&name.as_str()));
    for (name, value) in ours {
        match options().iter().find(|option| option.variable() == name) {
            Some(option) => found.push((option, value, format!("the environment variable {name}"))),
            None => {
                let nearest = table::nearest(&name, options().iter().map(|option| option.variable()));
                return Err(ConfigError(format!("unknown environment variable `{name}`{nearest}")));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &str, env: &[(&str, &str)], flags: Vec<(&'static str, String)>) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("limpid.yaml");
        std::fs::write(&path, file).expect("the file is written");
        let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Config::resolve(Role::Up, Some(path), env, flags)
    }

    #[test]
    fn flags_override_the_environment_and_that_the_file() {
        let file = "listen: 127.0.0.1:1\ndata: /a\nagent_listen: 127.0.0.1:4\n";
        let config =
            resolve(file, &[("LIMPID_LISTEN", "127.0.0.1:2"), ("LIMPID_DATA", "/b")], vec![("data", "/c".into())]);
        let config = config.expect("it resolves");
        assert_eq!(config.text("listen"), "127.0.0.1:2");
        assert_eq!(config.text("data"), "/c");
        assert_eq!(config.text("agent_listen"), "127.0.0.1:4");
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let error = resolve("lisen: 127.0.0.1:1\n", &[], vec![]).expect_err("the key is unknown");
        assert!(error.0.contains("unknown key `lisen`") && error.0.contains("did you mean `listen`"), "{error}");
        let error = resolve("", &[("LIMPID_LISTN", "x")], vec![]).expect_err("the variable is unknown");
        assert!(error.0.contains("did you mean `LIMPID_LISTEN`"), "{error}");
    }

    #[test]
    fn endpoints() {
        for good in ["", "http://db:4317", "https://db", "http://[::1]:4317/", "http://[::1]", "unix:///run/x.sock"] {
            assert_eq!(table::ValueKind::Endpoint.check(good), Ok(()), "{good}");
        }
        for bad in ["db:4317", "http://", "http://db:x", "http://db:70000", "ftp://db", "unix://x", "http://:1"] {
            assert!(table::ValueKind::Endpoint.check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn switches_of_protocols_can_be_said_everywhere() {
        for protocol in limpid_protocols::PROTOCOLS {
            let key = format!("protocol_{}", protocol.name);
            let file = resolve(&format!("{key}: off\n"), &[], vec![]).expect("a key");
            assert!(!file.is_on(&key), "YAML's own word too");
            let variable =
                resolve("", &[(&format!("LIMPID_{}", key.to_uppercase()), "off")], vec![]).expect("a variable");
            assert!(!variable.is_on(&key));
        }
        let error = resolve("protocol_htp: off\n", &[], vec![]).expect_err("no protocol");
        assert!(error.0.contains("did you mean `protocol_http`"), "{error}");
        let error = resolve("protocol_http: maybe\n", &[], vec![]).expect_err("no switch");
        assert!(error.0.contains("on, off or auto"), "{error}");
    }

    #[test]
    fn lists_and_sizes_that_may_be_off() {
        let lines = "exclude:\n  - unit:backup.service\n  - port: 5433\n  - image:vault*\nspool_size: 0\n";
        let config = resolve(lines, &[], vec![]).expect("good");
        assert_eq!(config.text("exclude"), "unit:backup.service,port:5433,image:vault*");
        assert!(table::is_off(config.text("spool_size")));
        for wrong in ["exclude: [[1]]", "exclude: {a: b, c: d}", "spool_size: 5", "listen: [a]"] {
            assert!(resolve(wrong, &[], vec![]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.settings");
        let flags = vec![("exclude", "path:/a \"b\": #c".to_owned()), ("protocol_http", "off".to_owned())];
        let config = resolve("", &[], flags).expect("good").of_role(Role::Agent);
        config.write(&path).expect("written");
        let read = Config::resolve(Role::Agent, Some(path), std::iter::empty(), Vec::new()).expect("read");
        assert!(read.differences(&config, Role::Agent).iter().all(|option| !option.roles.contains(&Role::Up)));
        assert_eq!(read.text("exclude"), "path:/a \"b\": #c");
    }

    #[test]
    fn a_bad_value_names_its_source() {
        let error = resolve("listen: nonsense\n", &[], vec![]).expect_err("no address");
        assert!(error.0.contains("limpid.yaml") && error.0.contains("ADDRESS:PORT"), "{error}");
    }
}
