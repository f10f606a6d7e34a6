//! `limpid token ROLE`: makes a token. It is printed once; the file of tokens needs only its digest.

use super::CommandError;
use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser};
use limpid_server::access::{self, ROLES, Role};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

pub fn arguments(command: Command) -> Command {
    let roles = PossibleValuesParser::new(ROLES.iter().map(|(name, _)| *name));
    command
        .arg(Arg::new("role").required(true).value_name("ROLE").value_parser(roles).help("What its owner may do"))
        .arg(Arg::new("add").long("add").value_name("FILE").help("Add it to this file of tokens, which is made if need be"))
        .after_help(
            "Without --add the second line that is printed belongs into the file that `auth_file` names. A running server\n\
             reads the file anew on SIGHUP.",
        )
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let name = arguments.get_one::<String>("role").map_or("", String::as_str);
    let role = Role::from_name(name).ok_or("no such role")?;
    let (token, line) = access::new_token(role).map_err(|error| error.0)?;
    match arguments.get_one::<String>("add") {
        None => println!("{token}\n{line}"),
        Some(file) => {
            add(Path::new(file), &line).map_err(|error| format!("{file} cannot be written: {error}"))?;
            println!("{token}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As the file's last line, whether the one before it was ended or not.
fn add(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let before = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{before}{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_below_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        add(&path, "read one").expect("written");
        std::fs::write(&path, "read one").expect("without its end");
        add(&path, "read two").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "read one\nread two\n");
    }
}
