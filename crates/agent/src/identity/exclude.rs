//! What is to be left alone, as a person named it: `unit:backup.service, image:vault*, port:5433, path:/usr/bin/psql`.

use super::containers::Container;
use super::image::Image;
use std::sync::atomic::{AtomicU64, Ordering};

const MAX_RULES: usize = 64;
const MAX_PATTERN_BYTES: usize = 256;
const EXPECTED: &str = "unit:NAME, image:NAME, port:NUMBER or path:FILE";

#[derive(Debug, PartialEq)]
enum What {
    /// Without `.service`.
    Unit(String),
    Image(String),
    Port(u16),
    Path(String),
}

#[derive(Debug)]
struct Rule {
    text: String,
    what: What,
    /// Processes, or connections to the port, that it has left out.
    matched: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Exclusions {
    rules: Vec<Rule>,
}

impl Exclusions {
    /// Rules between commas. `*` stands for any text, `?` for any character.
    pub fn parse(list: &str) -> Result<Exclusions, String> {
        let texts: Vec<&str> = list.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
        if texts.len() > MAX_RULES {
            return Err(format!("{} rules, and {MAX_RULES} are the most", texts.len()));
        }
        let rules = texts.into_iter().map(Rule::parse).collect::<Result<_, _>>()?;
        Ok(Exclusions { rules })
    }

    pub fn has_process(&self, image: &Image, container: Option<&Container>) -> bool {
        self.count(|what| match what {
            What::Unit(pattern) => image.place.unit.as_deref().is_some_and(|unit| fits(pattern, unit)),
            What::Image(pattern) => {
                container.and_then(|container| container.image.as_deref()).is_some_and(|image| is_image(pattern, image))
            }
            What::Path(pattern) => fits(pattern, &image.exe),
            What::Port(_) => false,
        })
    }

    pub fn has_port(&self, port: u16) -> bool {
        !self.rules.is_empty() && self.count(|what| *what == What::Port(port))
    }

    fn count(&self, matches: impl Fn(&What) -> bool) -> bool {
        let Some(rule) = self.rules.iter().find(|rule| matches(&rule.what)) else { return false };
        rule.matched.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// For the status page.
    pub fn to_json(&self) -> serde_json::Value {
        let of = |rule: &Rule| serde_json::json!({"rule": rule.text, "matched": rule.matched.load(Ordering::Relaxed)});
        self.rules.iter().map(of).collect()
    }

    pub fn same_rules(&self, other: &Exclusions) -> bool {
        self.rules.iter().map(|rule| &rule.text).eq(other.rules.iter().map(|rule| &rule.text))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Rule, String> {
        let wrong = || format!("`{text}` is no rule, expected {EXPECTED}");
        let (kind, pattern) = text.split_once(':').ok_or_else(wrong)?;
        let pattern = pattern.trim();
        if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
            return Err(wrong());
        }
        let what = match kind {
            "unit" => What::Unit(pattern.strip_suffix(".service").unwrap_or(pattern).to_owned()),
            "image" => What::Image(pattern.to_owned()),
            "port" => What::Port(pattern.parse().map_err(|_| wrong())?),
            "path" => What::Path(pattern.to_owned()),
            _ => return Err(wrong()),
        };
        Ok(Rule { text: text.to_owned(), what, matched: AtomicU64::new(0) })
    }
}

/// By the whole name, or by the one behind the registry and the folders.
fn is_image(pattern: &str, image: &str) -> bool {
    fits(pattern, image) || image.rsplit('/').next().is_some_and(|name| fits(pattern, name))
}

/// At most as many steps as the product of both lengths: only the last `*` is ever tried again.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut behind) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while behind < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at, behind));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[behind] => (at, behind) = (at + 1, behind + 1),
            _ => match again {
                Some((star, from)) => {
                    again = Some((star, from + 1));
                    (at, behind) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, want) in [
            ("redis", "redis", true),
            ("redis", "redis-server", false),
            ("redis*", "redis-server", true),
            ("*server", "redis-server", true),
            ("r?dis*s*r", "redis-server", true),
            ("r?dis", "rdis", false),
            ("*", "", true),
            ("?", "", false),
            ("a**b", "ab", true),
            ("/usr/*/psql", "/usr/lib/postgresql/17/bin/psql", true),
        ] {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
        // The worst there is ends soon.
        assert!(!fits(&("*a".repeat(127) + "b"), &"a".repeat(4096)));
    }

    #[test]
    fn rules_of_every_kind() {
        let rules = "unit:backup.service, image:vault*,port:5433, path:/usr/bin/psql";
        let exclusions = Exclusions::parse(rules).expect("good");
        let image = |exe: &str, cgroup: &str| {
            let mut image = Image::from_record(exe.as_bytes(), exe.as_bytes(), b"", b"", 0);
            image.place = super::super::cgroup::place(cgroup);
            image
        };
        let container = |name: &str| Container { image: Some(name.into()), ..Container::default() };
        assert!(exclusions.has_process(&image("/bin/tar", "/system.slice/backup.service"), None));
        assert!(exclusions.has_process(&image("/usr/bin/psql", ""), None));
        assert!(!exclusions.has_process(&image("/usr/bin/psqld", "/system.slice/backups.service"), None));
        for (name, want) in [("vault:1.13", true), ("docker.io/library/vault:1.13", true), ("my/vaults/redis", false)] {
            assert_eq!(exclusions.has_process(&image("/x", ""), Some(&container(name))), want, "{name}");
        }
        assert!(exclusions.has_port(5433) && !exclusions.has_port(5432));
        let matched = exclusions.to_json();
        assert_eq!(matched[1], serde_json::json!({"rule": "image:vault*", "matched": 2}));
        assert!(exclusions.same_rules(&Exclusions::parse(rules).expect("good")));
        assert!(!exclusions.same_rules(&Exclusions::default()));
    }

    #[test]
    fn what_is_no_rule() {
        let long = format!("path:{}", "x".repeat(300));
        for wrong in ["nginx", "user:root", "port:x", "port:70000", "unit:", "image: ", &long] {
            let error = Exclusions::parse(wrong).expect_err(wrong);
            assert!(error.contains("port:NUMBER") && !error.contains('\n'), "{error}");
        }
        assert!(Exclusions::parse(&"port:1,".repeat(65)).is_err());
        assert!(Exclusions::parse(" , ").expect("nothing").rules.is_empty());
    }
}
