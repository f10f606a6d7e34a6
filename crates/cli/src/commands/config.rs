//! `limpid config`: the configuration file with every option, its default and what it means.

use super::CommandError;
use crate::config::table::{Role, options};
use clap::{ArgMatches, Command};
use std::fmt::Write;
use std::process::ExitCode;

pub fn arguments(command: Command) -> Command {
    command
}

pub fn run(_: &ArgMatches) -> Result<ExitCode, CommandError> {
    print!("{}", commented_defaults());
    Ok(ExitCode::SUCCESS)
}

const HEAD: &str = "# Configuration of Limpid. Nothing here is needed: every option is shown with its default.
# Then come variables (LIMPID_LISTEN), then flags (--listen); the later overrides. SIGHUP applies what can be changed.
";

fn commented_defaults() -> String {
    let mut text = HEAD.to_owned();
    for option in options() {
        let names = option.roles.iter().map(|role| match role {
            Role::Up => "up",
            Role::Agent => "agent",
            Role::Server => "server",
        });
        let default = if option.default.is_empty() { String::new() } else { format!(" {}", option.default) };
        let roles = names.collect::<Vec<_>>().join(", ");
        let _ = write!(text, "\n# {} ({roles})\n#{}:{default}\n", option.help, option.key);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What is written there is what holds without it.
    #[test]
    fn the_file_is_the_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("limpid.yaml");
        let text = commented_defaults();
        std::fs::write(&path, &text).expect("written");
        Config::resolve(Role::Up, Some(path.clone()), std::iter::empty(), Vec::new()).expect("only comments");
        // Uncommented too.
        let keys = |line: &str| options().iter().any(|option| line.starts_with(&format!("#{}:", option.key)));
        let lines = text.lines().map(|line| if keys(line) { &line[1..] } else { line });
        let lines: Vec<&str> = lines.filter(|line| !line.ends_with(':')).collect();
        std::fs::write(&path, lines.join("\n")).expect("written");
        let config = Config::resolve(Role::Up, Some(path), std::iter::empty(), Vec::new()).expect("good values");
        options().iter().for_each(|option| assert_eq!(config.text(option.key), option.default, "{}", option.key));
    }
}
