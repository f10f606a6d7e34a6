//! What this machine allows: `limpid check` without the rest of the command line.

fn main() {
    let report = limpid_agent::check::run(&[], &[]);
    if std::env::args().any(|arg| arg == "--json") {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    std::process::exit(report.exit_code());
}
