//! Names of users, from `/etc/passwd` of the machine.

use limpid_model::Text;
use rustc_hash::FxHashMap;

const MAX_USERS: usize = 65_536;

#[derive(Default)]
pub struct Users {
    names: FxHashMap<u32, Text>,
    read: bool,
}

impl Users {
    /// The user's name; a user without one is shown by number.
    pub fn name(&mut self, uid: u32) -> Text {
        if !self.read {
            self.read = true;
            self.names = parse(&std::fs::read_to_string("/etc/passwd").unwrap_or_default());
        }
        self.names.get(&uid).cloned().unwrap_or_else(|| Text::from(uid.to_string()))
    }

    /// Users may have been added: the file is read again at the next question.
    pub fn forget(&mut self) {
        self.read = false;
    }
}

fn parse(passwd: &str) -> FxHashMap<u32, Text> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, Text::from(name)))
    };
    passwd.lines().take(MAX_USERS).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_nobody_knows() {
        assert_eq!(Users::default().name(0), "root");
        assert_eq!(Users::default().name(4_000_000_000), "4000000000");
        assert_eq!(parse("a:x:7:7::/:/bin/sh\nbroken\n:::\nb:x:z:1").len(), 1);
    }
}
