//! Puts the built console into the binary, each file gzipped. `LIMPID_CONSOLE` names the folder (./x build sets it);
//! without it the server says that it was built without a console.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=LIMPID_CONSOLE");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut files = Vec::new();
    if let Some(folder) = env::var_os("LIMPID_CONSOLE").map(PathBuf::from).filter(|folder| folder.is_dir()) {
        println!("cargo::rerun-if-changed={}", folder.display());
        collect(&folder, &folder, &mut files);
    }
    files.sort();
    let mut table = String::from("pub static FILES: &[(&str, &[u8])] = &[\n");
    for (at, (name, path)) in files.iter().enumerate() {
        let packed = out.join(format!("console-{at}.gz"));
        fs::write(&packed, pack(&fs::read(path).expect("the console's file is readable")))
            .expect("OUT_DIR is writable");
        table.push_str(&format!("    ({name:?}, include_bytes!({:?})),\n", packed.display().to_string()));
    }
    table.push_str("];\n");
    fs::write(out.join("console.rs"), table).expect("OUT_DIR is writable");
}

/// Slowly and well: it is done once, and sent to every browser.
fn pack(file: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, file, &mut packed).expect("writing to memory");
    packed
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("the console's folder is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push((name.display().to_string(), path));
        }
    }
}
