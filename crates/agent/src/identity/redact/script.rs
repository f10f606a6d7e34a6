//! A text of several words: a script for a shell, or an argument with blanks in it.

use super::{Ask, Command, Hide, MAX_BYTES, MAX_DEPTH, REDACTED, words};
use limpid_model::Text;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `;`, `|`, `&` and parentheses begin a new command.
    Shell,
    /// Only blanks part words: a password may hold anything else.
    Words,
}

const SEPARATORS: &[char] = &[';', '|', '&', '(', ')', '\n', '`'];

/// Appends the text with its secrets replaced. Blanks and quotes stay as they are.
pub fn push(line: &mut Text, text: &str, syntax: Syntax, depth: usize) {
    if depth > MAX_DEPTH {
        return line.push_str(REDACTED);
    }
    let mut command = Command::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if line.len() >= MAX_BYTES {
            return;
        }
        let separates = syntax == Syntax::Shell && SEPARATORS.contains(&first);
        if separates || first.is_whitespace() {
            line.push(first);
            rest = &rest[first.len_utf8()..];
            if separates {
                command = Command::default();
            }
            continue;
        }
        let end = end_of_word(rest, syntax);
        push_word(line, &mut command, &rest[..end], depth);
        if command.hide == Hide::Rest {
            line.push_str(" ");
            return line.push_str(REDACTED);
        }
        rest = &rest[end..];
    }
}

/// What stands in quotes is one word; they may open in the middle of it (`--header="a b"`).
fn push_word(line: &mut Text, command: &mut Command, word: &str, depth: usize) {
    let quote = word.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.and_then(|quote| word[1..].strip_suffix(quote).filter(|inner| !inner.contains(quote)));
    match (quote, inner) {
        (Some(quote), Some(inner)) => {
            line.push(quote);
            command.take(line, inner, depth);
            line.push(quote);
        }
        _ if word.contains(char::is_whitespace) => glued(line, command, word, depth),
        _ => command.take(line, word, depth),
    }
}

/// `name="several words"`: hidden as a whole when the name or the program says so.
fn glued(line: &mut Text, command: &mut Command, word: &str, depth: usize) {
    if command.hide != Hide::Nothing || command.only_data_follows() {
        return command.take(line, word, depth);
    }
    let at = word.find(['"', '\'']).unwrap_or(0);
    let name = &word[..at];
    let hidden = matches!(command.ask(name), Ask::HideNext | Ask::HideFrom(_));
    if words::push(line, name) != Hide::Nothing || hidden {
        return line.push_str(REDACTED);
    }
    command.positionals += usize::from(!word.starts_with('-'));
    push(line, &word[at..], Syntax::Words, depth + 1);
}

/// Up to a blank or a separator outside of quotes. A quote that is not closed is a character like any other.
fn end_of_word(text: &str, syntax: Syntax) -> usize {
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() || syntax == Syntax::Shell && SEPARATORS.contains(&next) {
            break;
        }
        at += next.len_utf8();
        if matches!(next, '"' | '\'') {
            at += text[at..].find(next).map_or(0, |closing| closing + 1);
        } else if next == '\\' && syntax == Syntax::Shell {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    at
}
