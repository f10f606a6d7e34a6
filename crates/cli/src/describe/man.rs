//! Manual pages, in the macros of man(7).

use super::{Argument, Description};
use crate::config::DEFAULT_FILE;
use std::fmt::Write;

/// Of the text, not of the build: the same source gives the same page.
const DATE: &str = "2026-11-28";

/// limpid-query-promql.1
pub fn file_name(command: &Description) -> String {
    format!("{}.1", command.path.join("-"))
}

pub fn man(root: &Description, command: &Description) -> String {
    let title = command.path.join("-");
    let mut out = format!(
        ".TH {} 1 {DATE} \"Limpid {}\" \"Limpid\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n",
        escaped(&title.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        escaped(&title),
        escaped(&command.about)
    );
    synopsis(&mut out, command);
    // Writing into memory cannot fail, here and below.
    if !command.commands.is_empty() {
        out.push_str(".SH COMMANDS\n");
        for below in &command.commands {
            let _ = writeln!(out, ".TP\n.B {}\n{}", escaped(below.name()), escaped(&sentence(&below.about)));
        }
    }
    section(&mut out, "ARGUMENTS", command.places());
    section(&mut out, "OPTIONS", command.flags());
    if command.flags().any(|flag| flag.long.as_deref() == Some("config")) {
        let _ = writeln!(
            out,
            ".SH FILES\n.TP\n.I {}\nYAML with lines of KEY: VALUE; the keys are the options with underscores. \
             Variables of the environment override it, options override both.",
            escaped(DEFAULT_FILE)
        );
    }
    out.push_str(
        ".SH EXIT STATUS\n.TP\n.B 0\nDone.\n.TP\n.B 1\nFailed: one line on standard error says why and what to do.\n",
    );
    out.push_str(".TP\n.B 2\nThe command line is wrong.\n");
    see_also(&mut out, root, command);
    out
}

fn synopsis(out: &mut String, command: &Description) {
    let _ = write!(out, ".B {}\n[\\fIOPTION\\fR]...", escaped(&command.spoken()));
    if !command.commands.is_empty() {
        out.push_str(" \\fICOMMAND\\fR");
    }
    for place in command.places() {
        let name = escaped(place.value.as_deref().unwrap_or("VALUE"));
        let dots = if place.is_repeated { "..." } else { "" };
        let _ = if place.is_required {
            write!(out, " \\fI{name}\\fR{dots}")
        } else {
            write!(out, " [\\fI{name}\\fR]{dots}")
        };
    }
    out.push('\n');
}

fn section<'a>(out: &mut String, title: &str, arguments: impl Iterator<Item = &'a Argument>) {
    for (at, argument) in arguments.enumerate() {
        if at == 0 {
            let _ = writeln!(out, ".SH {title}");
        }
        let spellings: Vec<String> =
            argument.spellings().iter().map(|spelling| format!("\\fB{}\\fR", escaped(spelling))).collect();
        let value = argument.value.as_ref().map(|value| format!("\\fI{}\\fR", escaped(value)));
        let head: Vec<String> =
            [spellings.join(", ")].into_iter().filter(|text| !text.is_empty()).chain(value).collect();
        let words = match argument.words.as_slice() {
            [] => String::new(),
            words => format!(" One of {}.", words.join(", ")),
        };
        let _ = writeln!(out, ".TP\n{}\n{}{}", head.join(" "), escaped(&sentence(&argument.help)), escaped(&words));
    }
}

fn see_also(out: &mut String, root: &Description, command: &Description) {
    let others = root.all().into_iter().filter(|other| {
        let is_above = other.path.len() + 1 == command.path.len() && command.path.starts_with(&other.path);
        let is_below = command.path.len() + 1 == other.path.len() && other.path.starts_with(&command.path);
        is_above || is_below
    });
    let pages: Vec<String> = others.map(|other| format!(".BR {} (1)", escaped(&other.path.join("-")))).collect();
    if !pages.is_empty() {
        let _ = writeln!(out, ".SH SEE ALSO\n{}", pages.join(" ,\n"));
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    let text = format!("{first}{}", letters.as_str());
    if text.ends_with(['.', ']']) { text } else { format!("{text}.") }
}

/// Hyphens that stay hyphens, backslashes, and nothing that looks like a request at the beginning of a line.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('`', "");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
