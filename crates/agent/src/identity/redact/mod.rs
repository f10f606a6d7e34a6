//! Command lines without their secrets. What a secret looks like stands in two tables, of programs (`clients`) and of
//! words (`words`); the rest of the line stays readable.

mod clients;
mod script;
mod words;

use clients::{Ask, Client, Kind};
use limpid_model::Text;
use words::Hide;
pub use words::is_secret_name;

pub const REDACTED: &str = "REDACTED";
/// Longest command line that leaves the machine.
const MAX_BYTES: usize = 1024;
/// Scripts in scripts (`sh -c "su -c '…'"`) that are looked into.
const MAX_DEPTH: usize = 4;

/// The command line as one text, with secrets replaced.
pub fn command_line(args: &[&str]) -> Text {
    let mut line = Text::default();
    let mut command = Command::default();
    for arg in args {
        if line.len() >= MAX_BYTES {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        command.take(&mut line, arg, 0);
    }
    cut(&mut line);
    line
}

/// One value that stands alone, such as that of a resource attribute.
pub fn value(text: &str) -> Text {
    let mut value = Text::default();
    script::push(&mut value, text, script::Syntax::Words, 0);
    value
}

/// One command as far as it was read.
#[derive(Default)]
struct Command {
    client: Option<&'static Client>,
    positionals: usize,
    hide: Hide,
    /// The next word is the value of an option.
    next: Option<Ask>,
    after: After,
}

/// What the last word was, where that matters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum After {
    #[default]
    Anything,
    /// `set`: a name and its value follow.
    Set,
    /// `password`: perhaps ` = value` follows.
    SecretName,
}

impl Command {
    fn take(&mut self, line: &mut Text, word: &str, depth: usize) {
        match self.hide {
            Hide::Next if word.is_empty() || matches!(word, "=" | ":" | "=>" | ":=") => return line.push_str(word),
            // The option before this one had no value after all.
            Hide::Next if word.starts_with("--") && word.len() > 2 => self.hide = Hide::Nothing,
            Hide::Next => {
                self.hide = Hide::Nothing;
                return line.push_str(REDACTED);
            }
            Hide::Rest => return line.push_str(REDACTED),
            Hide::Nothing => {}
        }
        if self.only_data_follows() {
            return line.push_str(REDACTED);
        }
        match self.next.take() {
            Some(Ask::Script) => script::push(line, word, script::Syntax::Shell, depth + 1),
            Some(_) => self.show(line, word, depth),
            None if word.starts_with('-') && word.len() > 1 => self.option(line, word, depth),
            None => self.positional(line, word, depth),
        }
    }

    fn only_data_follows(&self) -> bool {
        self.client.is_some_and(|client| self.positionals >= client.keep)
    }

    /// What an option asks for, by the program's row or by its own name.
    fn ask(&self, option: &str) -> Ask {
        let ask = self.client.map_or(Ask::Unknown, |client| client.option(option));
        let secret = is_secret_name(option) && !option.contains(['=', ':', ' ']) || option == "--header";
        if ask == Ask::Unknown && secret { Ask::HideNext } else { ask }
    }

    fn option(&mut self, line: &mut Text, word: &str, depth: usize) {
        match self.ask(word) {
            Ask::HideNext => {
                self.hide = Hide::Next;
                line.push_str(word);
            }
            Ask::HideFrom(at) => {
                line.push_str(&word[..at]);
                line.push_str(REDACTED);
            }
            Ask::Unknown => self.show(line, word, depth),
            ask => {
                self.next = Some(ask);
                line.push_str(word);
            }
        }
    }

    fn positional(&mut self, line: &mut Text, word: &str, depth: usize) {
        let after = std::mem::take(&mut self.after);
        let names_secret = is_secret_name(word) && !word.contains(['=', ' ']);
        let named = names_secret && (after == After::Set || matches!(word, "requirepass" | "masterauth"));
        let assigned = after == After::SecretName && matches!(word, "=" | ":" | "=>" | ":=");
        if named || assigned {
            self.hide = Hide::Next;
        } else if names_secret {
            self.after = After::SecretName;
        } else if word == "set" {
            self.after = After::Set;
        }
        let wraps = self.client.is_none_or(|client| client.kind != Kind::Client);
        if let Some(client) = clients::find(word).filter(|_| wraps && !word.contains("://")) {
            *self = Command { client: Some(client), ..Command::default() };
        } else {
            self.positionals += 1;
        }
        self.show(line, word, depth);
    }

    /// What may be shown, apart from secrets within it: an argument may be a script by itself.
    fn show(&mut self, line: &mut Text, word: &str, depth: usize) {
        if word.contains(char::is_whitespace) {
            script::push(line, word, script::Syntax::Words, depth + 1);
            return;
        }
        let hide = words::push(line, word);
        if self.hide == Hide::Nothing {
            self.hide = hide;
        }
    }
}

fn cut(line: &mut Text) {
    let mut end = line.len().min(MAX_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
}

#[cfg(test)]
mod tests;
