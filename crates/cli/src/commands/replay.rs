//! `limpid replay FILE…`

use super::CommandError;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use std::io::{BufWriter, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

pub fn arguments(command: Command) -> Command {
    let file = Arg::new("file").required(true).num_args(1..).value_name("FILE").value_hint(ValueHint::FilePath);
    command.arg(file.help("pcap or pcapng")).arg(
        Arg::new("raw").long("raw").action(ArgAction::SetTrue).help("Do not redact literals, query values and keys"),
    )
}

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let files = arguments.get_many::<String>("file").unwrap_or_default();
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    for file in files.map(PathBuf::from) {
        let summary = limpid_replay::file(&file, arguments.get_flag("raw"), &mut out)?;
        eprintln!("{summary}");
    }
    match std::io::Write::flush(&mut out) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
