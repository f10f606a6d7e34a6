//! Completion for fish.

use super::{Argument, Description};
use std::fmt::Write;

pub fn fish(root: &Description) -> String {
    let below: Vec<String> = root.all().iter().skip(1).map(|command| command.path.join("/")).collect();
    let mut out = format!(
        "# fish completion of limpid, made by `limpid completion fish`\n\
         function __limpid_path\n    set -l path limpid\n    for word in (commandline -opc)[2..-1]\n        \
         switch $path/$word\n            case {}\n                set path $path/$word\n        end\n    end\n    \
         echo $path\nend\n\
         function __limpid_at\n    test (__limpid_path) = $argv[1]\nend\n\
         complete -c limpid -f\n",
        below.join(" ")
    );
    root.all().iter().for_each(|command| complete(&mut out, command));
    out
}

fn complete(out: &mut String, command: &Description) {
    let at = format!("complete -c limpid -n '__limpid_at {}'", command.path.join("/"));
    // Writing into memory cannot fail, here and below.
    for below in &command.commands {
        let _ = writeln!(out, "{at} -a {} -d '{}'", below.name(), quoted(&below.about));
    }
    for place in command.places() {
        if place.is_file {
            let _ = writeln!(out, "{at} -F");
        } else if !place.words.is_empty() {
            let _ = writeln!(out, "{at} -a '{}' -d '{}'", place.words.join(" "), quoted(&place.help));
        }
    }
    command.flags().for_each(|flag| {
        let _ = writeln!(out, "{at}{}", specification(flag));
    });
}

fn specification(flag: &Argument) -> String {
    let mut out = flag.long.iter().map(|long| format!(" -l {long}")).collect::<String>();
    out.extend(flag.short.iter().map(|short| format!(" -s {short}")));
    if flag.value.is_some() {
        out.push_str(if flag.is_file { " -r -F" } else { " -x" });
    }
    if !flag.words.is_empty() {
        out.push_str(&format!(" -a '{}'", flag.words.join(" ")));
    }
    format!("{out} -d '{}'", quoted(&flag.help))
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
