//! A tar.gz in memory. Format: POSIX.1-1988 ustar.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

const BLOCK: usize = 512;
/// A file in the archive is cut here.
const MAX_FILE_BYTES: usize = 16 << 20;

pub struct Archive {
    folder: String,
    time: u64,
    out: GzEncoder<Vec<u8>>,
}

impl Archive {
    /// All files lie in `folder` and are of `time`, Unix seconds.
    pub fn new(folder: &str, time: u64) -> Self {
        Archive { folder: folder.to_owned(), time, out: GzEncoder::new(Vec::new(), Compression::default()) }
    }

    pub fn add(&mut self, name: &str, text: &str) -> io::Result<()> {
        let bytes = &text.as_bytes()[..text.len().min(MAX_FILE_BYTES)];
        let header = header(&format!("{}/{name}", self.folder), bytes.len(), self.time)?;
        self.out.write_all(&header)?;
        self.out.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.out.write_all(&[0; BLOCK][..padding])
    }

    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }
}

fn header(path: &str, size: usize, time: u64) -> io::Result<[u8; BLOCK]> {
    if path.len() > 100 {
        return Err(io::Error::other(format!("{path} is too long a name for a tar file")));
    }
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, &format!("{time:011o}\0"));
    // The sum is made with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tar_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut archive = Archive::new("bundle", 1_700_000_000);
        let long = "line\n".repeat(1000);
        for (name, text) in [("empty.txt", ""), ("block.txt", &*"x".repeat(512)), ("long.txt", &long)] {
            archive.add(name, text).expect("added");
        }
        std::fs::write(folder.path().join("a.tar.gz"), archive.finish().expect("finished")).expect("written");
        let tar = Command::new("tar").args(["xzf", "a.tar.gz"]).current_dir(folder.path()).output().expect("tar runs");
        assert!(tar.status.success() && tar.stderr.is_empty(), "{}", String::from_utf8_lossy(&tar.stderr));
        let read = |name: &str| std::fs::read_to_string(folder.path().join("bundle").join(name)).expect(name);
        assert_eq!((read("empty.txt").len(), read("block.txt").len()), (0, 512));
        assert_eq!(read("long.txt"), long);
    }
}
