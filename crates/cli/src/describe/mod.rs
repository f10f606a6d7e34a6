//! What the table of commands says, in a form that completions and manual pages are written from. Nothing is told twice:
//! a command or an option that is added there is in all of them.

mod bash;
mod fish;
mod man;
mod zsh;

pub use bash::bash;
pub use fish::fish;
pub use man::{file_name, man};
pub use zsh::zsh;

use crate::config::table::{ValueKind, option};
use clap::{Arg, Command, ValueHint};

/// One command with all that it takes.
pub struct Description {
    /// `limpid`, then the names of the commands down to this one.
    pub path: Vec<String>,
    pub about: String,
    pub arguments: Vec<Argument>,
    pub commands: Vec<Description>,
}

pub struct Argument {
    /// `--listen` and, where there is one, its letter `-h`. None: told by its place.
    pub long: Option<String>,
    pub short: Option<char>,
    /// What its value is called; none for a switch.
    pub value: Option<String>,
    pub help: String,
    /// All values that it can have, if they are few.
    pub words: Vec<String>,
    pub is_file: bool,
    pub is_required: bool,
    pub is_repeated: bool,
}

impl Description {
    pub fn of(parser: &Command) -> Description {
        let mut parser = parser.clone();
        parser.build();
        describe(&parser, &[])
    }

    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// `limpid query promql`
    pub fn spoken(&self) -> String {
        self.path.join(" ")
    }

    /// This command and all below it.
    pub fn all(&self) -> Vec<&Description> {
        std::iter::once(self).chain(self.commands.iter().flat_map(Description::all)).collect()
    }

    pub fn flags(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| argument.long.is_some())
    }

    pub fn places(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| argument.long.is_none())
    }
}

impl Argument {
    /// Its long form and its letter.
    pub fn spellings(&self) -> Vec<String> {
        let long = self.long.iter().map(|long| format!("--{long}"));
        self.short.iter().map(|short| format!("-{short}")).chain(long).collect()
    }
}

fn describe(command: &Command, above: &[String]) -> Description {
    let path: Vec<String> = above.iter().cloned().chain([command.get_name().to_owned()]).collect();
    // `help` is the parser's own: it repeats all commands below itself.
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    Description {
        about: command.get_about().map(ToString::to_string).unwrap_or_default(),
        arguments: command.get_arguments().filter(|argument| !argument.is_hide_set()).map(argument).collect(),
        commands: below.map(|below| describe(below, &path)).collect(),
        path,
    }
}

fn argument(argument: &Arg) -> Argument {
    let takes_value = argument.get_action().takes_values();
    // Options of the configuration know more of their values than the parser does.
    let kind = option(argument.get_id().as_str())
        .filter(|_| argument.get_possible_values().is_empty())
        .map(|option| option.kind);
    let words = match kind {
        Some(ValueKind::Choice(words)) => words.iter().map(|word| (*word).to_owned()).collect(),
        Some(ValueKind::Switch) => ["on", "off", "auto"].map(str::to_owned).into(),
        _ if takes_value => argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect(),
        _ => Vec::new(),
    };
    let is_file = kind == Some(ValueKind::Path)
        || matches!(argument.get_value_hint(), ValueHint::FilePath | ValueHint::DirPath | ValueHint::AnyPath);
    let value = argument.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
    Argument {
        long: argument.get_long().map(str::to_owned),
        short: argument.get_short(),
        value: value.filter(|_| takes_value),
        help: argument.get_help().map(ToString::to_string).unwrap_or_default() + &default_of(argument),
        words,
        is_file,
        is_required: argument.is_required_set(),
        is_repeated: argument.get_num_args().is_some_and(|range| range.max_values() > 1),
    }
}

fn default_of(argument: &Arg) -> String {
    let hidden = argument.is_hide_default_value_set() || !argument.get_action().takes_values();
    match argument.get_default_values().first() {
        Some(value) if !hidden => format!(" [default: {}]", value.to_string_lossy()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
