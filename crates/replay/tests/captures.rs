//! Captures of real programs (`tests/captures`), and what the links, losses and file formats of other machines make of
//! them: the requests must stay the same to the last one.

mod variants;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use variants::{Format, Frame};

/// (protocol, operation, code) to how often.
type Counts = BTreeMap<(String, String, Option<String>), u64>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures")
}

fn recorded() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "captures are missing from {}", folder().display());
    files
}

fn expected(capture: &Path) -> Counts {
    let text = std::fs::read_to_string(capture.with_extension("expected.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    rows.iter().map(|row| (key(row), row["count"].as_u64().unwrap())).collect()
}

fn key(row: &serde_json::Value) -> (String, String, Option<String>) {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    (text("protocol").unwrap(), text("operation").unwrap(), text("code"))
}

fn lines(bytes: &[u8]) -> Vec<serde_json::Value> {
    let mut out = Vec::new();
    limpid_replay::capture(bytes, false, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counted(bytes: &[u8]) -> Counts {
    let mut counts = Counts::new();
    lines(bytes).iter().for_each(|line| *counts.entry(key(line)).or_default() += 1);
    counts
}

#[test]
fn every_request_of_real_clients_is_found_and_no_other() {
    for path in recorded() {
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(counted(&bytes), expected(&path), "{}", path.display());
    }
}

#[test]
fn secrets_are_redacted_unless_asked_for() {
    let bytes = std::fs::read(folder().join("http-nginx.pcapng")).unwrap();
    let printed = |raw: bool| {
        let mut out = Vec::new();
        limpid_replay::capture(&bytes, raw, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(!printed(false).contains("secret") && printed(true).contains("token=secret"));
}

#[test]
fn times_are_those_of_the_capture() {
    for path in recorded() {
        let bytes = std::fs::read(&path).unwrap();
        let frames = variants::frames(&bytes);
        let (first_ns, last_ns) = (frames[0].time_ns, frames[frames.len() - 1].time_ns);
        let mut before_ns = 0;
        for line in lines(&bytes) {
            let start_ns = line["start_ns"].as_u64().unwrap();
            let end_ns = start_ns + line["duration_ns"].as_u64().unwrap_or(0);
            assert!(start_ns >= first_ns.max(before_ns) && end_ns <= last_ns, "{}: {line}", path.display());
            before_ns = start_ns;
        }
    }
}

/// Each capture, its frames changed, must give the same requests.
fn same_requests(name: &str, format: Format, change: impl Fn(Vec<Frame>) -> Vec<Frame>) {
    for path in recorded() {
        let frames = change(variants::frames(&std::fs::read(&path).unwrap()));
        let file = variants::write(format, &frames);
        assert_eq!(counted(&file), expected(&path), "{name}: {}", path.display());
    }
}

#[test]
fn every_link_layer_gives_the_same_requests() {
    for (name, wrap) in variants::LINKS {
        same_requests(name, Format::Pcap, |frames| frames.into_iter().map(|frame| wrap(&frame)).collect());
    }
}

#[test]
fn every_file_format_gives_the_same_requests() {
    for format in [Format::Pcap, Format::PcapNanoseconds, Format::PcapBigEndian, Format::PcapngTwoInterfaces] {
        same_requests(&format!("{format:?}"), format, |frames| frames);
    }
}

#[test]
fn every_file_format_gives_the_same_times() {
    let bytes = std::fs::read(folder().join("redis-cli.pcap")).unwrap();
    let frames = variants::frames(&bytes);
    let starts = |bytes: &[u8]| lines(bytes).iter().map(|line| line["start_ns"].as_u64().unwrap()).collect::<Vec<_>>();
    for format in [Format::PcapNanoseconds, Format::PcapBigEndian, Format::PcapngTwoInterfaces] {
        assert_eq!(starts(&variants::write(format, &frames)), starts(&bytes), "{format:?}");
    }
}

#[test]
fn fragments_are_put_together() {
    same_requests("in order", Format::Pcap, |frames| variants::fragmented(&frames, false));
    same_requests("the last first", Format::Pcap, |frames| variants::fragmented(&frames, true));
}

#[test]
fn repeated_and_reordered_segments_change_nothing() {
    same_requests("twice", Format::Pcap, |frames| {
        frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect()
    });
    same_requests("reordered", Format::Pcap, variants::reordered);
    same_requests("split", Format::Pcap, |frames| variants::split(&frames));
}

#[test]
fn lost_packets_and_late_beginnings_lose_requests_and_invent_none() {
    for path in recorded() {
        let (whole, all) = (expected(&path), variants::frames(&std::fs::read(&path).unwrap()));
        let operations: Counts = unanswered_too(&whole);
        for lost in (0..all.len()).step_by(all.len().div_ceil(25)) {
            let without: Vec<Frame> =
                all.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, f)| f.clone()).collect();
            within(
                &counted(&variants::write(Format::Pcap, &without)),
                &operations,
                &format!("{} without {lost}", path.display()),
            );
            let late = variants::write(Format::Pcap, &all[lost..]);
            within(&counted(&late), &operations, &format!("{} from {lost}", path.display()));
        }
    }
}

/// By operation alone: the code of a request whose answer was lost is null.
fn unanswered_too(counts: &Counts) -> Counts {
    let mut operations = Counts::new();
    for ((protocol, operation, _), count) in counts {
        *operations.entry((protocol.clone(), operation.clone(), None)).or_default() += count;
    }
    operations
}

fn within(found: &Counts, operations: &Counts, what: &str) {
    for (key, count) in unanswered_too(found) {
        // A statement that was prepared before the capture, or in what it lost, is not known.
        let unknown = key.1 == "EXECUTE";
        assert!(unknown || operations.get(&key).is_some_and(|most| count <= *most), "{what}: {count} × {key:?}");
    }
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_there() {
    for path in recorded() {
        let bytes = std::fs::read(&path).unwrap();
        let whole = unanswered_too(&expected(&path));
        // Every 97th byte of small captures; an odd step, so that all places in a header have their turn.
        let step = 97.max(bytes.len() / 80) | 1;
        // From behind the head of either format on: in front of that it is no capture.
        for length in (32..bytes.len()).step_by(step) {
            let what = format!("{} cut at {length}", path.display());
            within(&counted(&bytes[..length]), &whole, &what);
        }
    }
}

#[test]
fn what_is_no_capture_is_an_error_of_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no packets in here, only words").unwrap();
    for (path, wanted) in
        [(text.as_path(), "neither a pcap nor a pcapng"), (Path::new("/does/not/exist"), "cannot be opened")]
    {
        let error = limpid_replay::file(path, false, &mut Vec::new()).unwrap_err();
        assert!(error.contains(wanted) && error.contains(path.to_str().unwrap()) && !error.contains('\n'), "{error}");
    }
}
