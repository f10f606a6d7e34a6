//! Prints where probes would go in each of the given files.

use limpid_probes::{Exit, Site, inspect};
use std::path::Path;

fn site(site: &Site) -> String {
    let cost = if site.emulated { "emulated" } else { "stepped" };
    format!("{:#x} {cost}: {}", site.file_offset, site.instruction)
}

fn main() {
    for file in std::env::args().skip(1) {
        let began = std::time::Instant::now();
        match inspect(Path::new(&file)) {
            Err(error) => println!("{file}: {error}"),
            Ok(None) => println!("{file}: no TLS functions ({:?})", began.elapsed()),
            Ok(Some(found)) => {
                let version = found.version.as_deref().unwrap_or("unknown version");
                println!("{file}: {:?} {version} ({:?})", found.library, began.elapsed());
                for function in &found.functions {
                    println!("  {:?} {}", function.role, function.symbol);
                    println!("    entry        {}", site(&function.entry));
                    let shared = if function.exit_shared { " (shared)" } else { "" };
                    match &function.exit {
                        Exit::Sites(sites) => {
                            sites.iter().for_each(|exit| println!("    exit         {}{shared}", site(exit)))
                        }
                        Exit::ReturnProbe(at) => println!("    return probe {}{shared}", site(at)),
                        Exit::None => println!("    no exit"),
                    }
                }
                found
                    .missing
                    .iter()
                    .for_each(|missing| println!("  {:?} {}: {}", missing.role, missing.symbol, missing.reason));
            }
        }
    }
}
