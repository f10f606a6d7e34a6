//! What a package of JavaScript calls itself: `name` in the `package.json` nearest to the script.

use super::{procfs, program};
use limpid_model::Text;
use std::borrow::Cow;

const RUNTIMES: &[&str] = &["node", "nodejs", "bun", "deno"];
const ENDINGS: &[&str] = &[".js", ".mjs", ".cjs", ".ts", ".mts"];
/// How many folders up from the script are looked at.
const MAX_LEVELS: usize = 4;
const MAX_FILE_BYTES: usize = 256 * 1024;
const MAX_NAME_BYTES: usize = 128;

/// Files are read as the process sees them: it may live in a container.
pub fn name(pid: u32, exe: &str, args: &[Cow<'_, str>], cwd: Option<&str>) -> Option<Text> {
    if !RUNTIMES.contains(&program::executable_name(exe)) {
        return None;
    }
    let is_script = |arg: &&Cow<'_, str>| !arg.starts_with('-') && ENDINGS.iter().any(|ending| arg.ends_with(ending));
    let script =
        args.iter().skip(1).find(is_script).and_then(|script| script.rsplit_once('/')).map(|(folder, _)| folder);
    let folder = match script {
        Some(folder) if folder.starts_with('/') => folder.to_owned(),
        Some(folder) => format!("{}/{folder}", cwd?),
        None => cwd?.to_owned(),
    };
    nearest(&format!("/proc/{pid}/root"), &folder)
}

fn nearest(root: &str, folder: &str) -> Option<Text> {
    let mut folder = folder.trim_end_matches('/');
    for _ in 0..MAX_LEVELS {
        let found = procfs::read_path(&format!("{root}{folder}/package.json"), MAX_FILE_BYTES);
        if let Some(name) = found.and_then(|bytes| name_in(&bytes)) {
            return Some(name);
        }
        folder = folder.rsplit_once('/')?.0;
    }
    None
}

/// `@shop/frontend` is `frontend`. A package inside of another one may have no name.
fn name_in(document: &[u8]) -> Option<Text> {
    let document: serde_json::Value = serde_json::from_slice(document).ok()?;
    let name = document["name"].as_str()?;
    let name = name.rsplit('/').next().unwrap_or(name);
    (!name.is_empty() && name.len() <= MAX_NAME_BYTES).then(|| Text::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_package_with_a_name() {
        let root = std::env::temp_dir().join(format!("limpid-package-{}", std::process::id()));
        std::fs::create_dir_all(root.join("srv/shop/dist/esm")).expect("folders");
        std::fs::write(root.join("srv/shop/package.json"), r#"{"name": "@shop/frontend"}"#).expect("a file");
        std::fs::write(root.join("srv/shop/dist/esm/package.json"), r#"{"type": "module"}"#).expect("a file");
        let root_text = root.display().to_string();
        assert_eq!(nearest(&root_text, "/srv/shop/dist/esm/").as_deref(), Some("frontend"));
        assert_eq!(nearest(&root_text, "/srv"), None);
        std::fs::remove_dir_all(root).expect("removed");
        assert_eq!(name(std::process::id(), "/usr/bin/python3", &[], Some("/")), None);
        for odd in [&b""[..], b"[]", b"{\"name\": 3}", b"{\"name\": \"\"}", b"{\"name\": \"a/\"}"] {
            assert_eq!(name_in(odd), None);
        }
    }
}
