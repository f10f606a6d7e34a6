//! Completion for zsh.

use super::{Argument, Description};
use std::fmt::Write;

pub fn zsh(root: &Description) -> String {
    let mut out = String::from("#compdef limpid\n# zsh completion of limpid, made by `limpid completion zsh`\n");
    root.all().iter().for_each(|command| function(&mut out, command));
    out.push_str(
        "if [ \"$funcstack[1]\" = \"_limpid\" ]; then\n    _limpid \"$@\"\nelse\n    compdef _limpid limpid\nfi\n",
    );
    out
}

fn function_name(command: &Description) -> String {
    format!("_{}", command.path.join("_"))
}

fn function(out: &mut String, command: &Description) {
    // Writing into memory cannot fail, here and below.
    let _ = writeln!(
        out,
        "{}() {{\n    local curcontext=$curcontext state line\n    _arguments -C -S \\",
        function_name(command)
    );
    command.flags().for_each(|flag| {
        let _ = writeln!(out, "        {} \\", specification(flag));
    });
    if command.commands.is_empty() {
        command.places().for_each(|place| {
            let many = if place.is_repeated { "*" } else { "" };
            let _ = writeln!(
                out,
                "        '{many}:{}:{}' \\",
                place.value.as_deref().unwrap_or("value").to_lowercase(),
                action(place)
            );
        });
        out.push_str("        && return\n}\n");
        return;
    }
    out.push_str("        '1:command:->command' '*::argument:->rest' && return\n    case $state in\n    command)\n        local -a commands=(\n");
    for below in &command.commands {
        let _ = writeln!(out, "            '{}:{}'", below.name(), quoted(&below.about));
    }
    out.push_str("        )\n        _describe command commands\n        ;;\n    rest)\n        case $words[1] in\n");
    for below in &command.commands {
        let _ = writeln!(out, "        {}) {} ;;", below.name(), function_name(below));
    }
    out.push_str("        esac\n        ;;\n    esac\n}\n");
}

/// `'--listen=[console and API]:VALUE:'`, and with a letter `'(-h --help)'{-h,--help}'[…]'`.
fn specification(flag: &Argument) -> String {
    let spellings = flag.spellings();
    let help = quoted(&flag.help).replace('[', "\\[").replace(']', "\\]");
    let value =
        flag.value.as_ref().map_or(String::new(), |value| format!(":{}:{}", value.to_lowercase(), action(flag)));
    let equals = if flag.value.is_some() { "=" } else { "" };
    match spellings.as_slice() {
        [only] => format!("'{only}{equals}[{help}]{value}'"),
        many => format!("'({})'{{{}}}'[{help}]{value}'", many.join(" "), many.join(",")),
    }
}

fn action(argument: &Argument) -> String {
    match (argument.words.as_slice(), argument.is_file) {
        ([], true) => "_files".into(),
        ([], false) => " ".into(),
        (words, _) => format!("({})", words.join(" ")),
    }
}

/// Inside single quotes, where a colon ends a part.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:").replace('`', "")
}
