//! Completion for bash. It needs nothing but bash: the package bash-completion only loads it sooner.

use super::{Argument, Description};
use std::fmt::Write;

pub fn bash(root: &Description) -> String {
    let mut out = String::from(
        "# bash completion of limpid, made by `limpid completion bash`\n\
         _limpid() {\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path=limpid words= at\n    \
         COMPREPLY=()\n    \
         # bash takes `--flag=value` apart.\n    \
         if [[ $cur == \"=\" ]]; then\n        cur=\n    \
         elif [[ $prev == \"=\" ]]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n    \
         for ((at = 1; at < COMP_CWORD; at++)); do\n        case $path/${COMP_WORDS[at]} in\n",
    );
    // Writing into memory cannot fail, here and below.
    let below: Vec<String> = root.all().iter().skip(1).map(|command| command.path.join("/")).collect();
    let _ = writeln!(out, "            {}) path=$path/${{COMP_WORDS[at]}} ;;", below.join(" | "));
    out.push_str("        esac\n    done\n    case $path:$prev in\n");
    for command in root.all() {
        command.flags().filter(|flag| flag.value.is_some()).for_each(|flag| value(&mut out, command, flag));
    }
    out.push_str("    esac\n    case $path in\n");
    root.all().iter().for_each(|command| words(&mut out, command));
    out.push_str(
        "    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n\
         _limpid_files() {\n    compopt -o filenames 2>/dev/null\n    mapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n}\n\
         complete -F _limpid limpid\n",
    );
    out
}

/// What stands behind a flag.
fn value(out: &mut String, command: &Description, flag: &Argument) {
    let path = command.path.join("/");
    let patterns: Vec<String> = flag.spellings().iter().map(|spelling| format!("{path}:{spelling}")).collect();
    let action = match (flag.words.as_slice(), flag.is_file) {
        ([], true) => "_limpid_files \"$cur\"".to_owned(),
        ([], false) => ":".to_owned(),
        (words, _) => format!("mapfile -t COMPREPLY < <(compgen -W \"{}\" -- \"$cur\")", words.join(" ")),
    };
    let _ = writeln!(out, "        {}) {action}; return ;;", patterns.join(" | "));
}

fn words(out: &mut String, command: &Description) {
    let flags = command.flags().flat_map(Argument::spellings);
    let places = command.places().flat_map(|place| place.words.iter().cloned());
    let below = command.commands.iter().map(|below| below.name().to_owned());
    let words: Vec<String> = below.chain(places).chain(flags).collect();
    let files = if command.places().any(|place| place.is_file) {
        " [[ $cur == -* ]] || { _limpid_files \"$cur\"; return; };"
    } else {
        ""
    };
    let _ = writeln!(out, "        {}){files} words=\"{}\" ;;", command.path.join("/"), words.join(" "));
}
