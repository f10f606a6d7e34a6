use super::super::batch::Batch;
use super::super::client::Signal;
use super::*;
use bytes::Bytes;
use std::io::Write;
use std::os::unix::fs::FileExt;

/// A folder that ends with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("limpid-spool-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        prepare(&path).expect("a folder of its own");
        Folder(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).expect("readable").flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LIMIT: u64 = 1 << 20;

fn batch(id: u128, bytes: usize) -> Batch {
    let signal = [Signal::Traces, Signal::Metrics, Signal::Logs][id as usize % 3];
    let payload = vec![id as u8; bytes];
    Batch::new(
        signal,
        id,
        vec![Bytes::from(payload[..bytes / 2].to_vec()), Bytes::from(payload[bytes / 2..].to_vec())],
        7,
    )
}

fn drain(spool: &mut Spool) -> Vec<u128> {
    let mut ids = Vec::new();
    while let Some((place, read)) = spool.front() {
        let payload: Vec<u8> = read.payload.concat();
        assert!(payload.iter().all(|byte| *byte == read.id as u8) && read.items == 7);
        assert_eq!(read.signal, batch(read.id, 2).signal);
        ids.push(read.id);
        spool.take(place);
    }
    ids
}

#[test]
fn batches_come_back_in_order_also_in_another_process() {
    let folder = Folder::new("order");
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
    (0..200).for_each(|id| spool.push(&batch(id, 1000)).expect("written"));
    // As after `kill -9`: nothing was closed in order.
    for id in 0..50 {
        let (place, read) = spool.front().expect("there");
        assert_eq!(read.id, id);
        spool.take(place);
    }
    drop(spool);
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens again");
    assert_eq!(spool.batches(), 150);
    spool.push(&batch(200, 1000)).expect("written");
    assert_eq!(drain(&mut spool), (50..=200).collect::<Vec<_>>());
    assert_eq!((spool.bytes(), spool.batches()), (0, 0));
    assert!(folder.files().is_empty(), "nothing stays on disk");
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_the_rest_is_whole() {
    let folder = Folder::new("torn");
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
    (0..3).for_each(|id| spool.push(&batch(id, 60)).expect("written"));
    drop(spool);
    let file = folder.files().remove(0);
    let whole = std::fs::read(&file).expect("readable");
    for length in (whole.len() * 2 / 3..whole.len()).rev() {
        std::fs::write(&file, &whole[..length]).expect("cut");
        let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
        assert_eq!(drain(&mut spool), [0, 1], "cut at {length}");
        drop(spool);
    }
    // A power failure may leave the length and not the bytes.
    let mut zeroed = whole.clone();
    zeroed[whole.len() - 30..].fill(0xff);
    std::fs::write(&file, &zeroed).expect("written");
    let torn = losses::SPOOL_TORN.get();
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
    assert!(losses::SPOOL_TORN.get() > torn);
    spool.push(&batch(9, 60)).expect("goes on behind the cut");
    assert_eq!(drain(&mut spool), [0, 1, 9]);
}

#[test]
fn damage_in_the_middle_costs_what_it_hits() {
    let folder = Folder::new("damage");
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
    (0..4).for_each(|id| spool.push(&batch(id, 60)).expect("written"));
    let file = std::fs::File::options().write(true).open(&folder.files()[0]).expect("opens");
    // In the payload of the second record.
    file.write_all_at(b"xx", 100 + 40 + 10).expect("written");
    let damaged = losses::SPOOL_DAMAGED.get();
    assert_eq!(drain(&mut spool), [0, 2, 3]);
    assert!(losses::SPOOL_DAMAGED.get() >= damaged + 7);
}

#[test]
fn foreign_bytes_are_no_batches() {
    let folder = Folder::new("foreign");
    for (number, bytes) in [&b"lmp1"[..], &[0xff; 200], b"lmp1\0\x01\0\0\xff\xff\xff\xff", &[]].iter().enumerate() {
        let mut file = std::fs::File::create(folder.0.join(format!("{number:016x}.spool"))).expect("made");
        file.write_all(bytes).expect("written");
    }
    std::fs::write(folder.0.join("notes.txt"), "mine").expect("written");
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
    assert_eq!(drain(&mut spool), []);
    assert!(folder.0.join("notes.txt").exists());
    spool.push(&batch(1, 10)).expect("written");
    assert_eq!(drain(&mut spool), [1]);
}

#[test]
fn the_oldest_make_room() {
    let folder = Folder::new("bound");
    let mut spool = Spool::open(&folder.0, LIMIT).expect("opens");
    let (full, each) = (losses::SPOOL_FULL.get(), 10_000);
    (0..500).for_each(|id| spool.push(&batch(id, each)).expect("written"));
    assert!(spool.bytes() <= LIMIT && spool.bytes() > LIMIT / 2, "{}", spool.bytes());
    // One that is being sent is dropped meanwhile: the answer for it hits no other.
    let (place, sent) = spool.front().expect("there");
    (500..620).for_each(|id| spool.push(&batch(id, each)).expect("written"));
    spool.take(place);
    let ids = drain(&mut spool);
    assert!(ids[0] > sent.id);
    assert_eq!(ids, (ids[0]..620).collect::<Vec<_>>());
    assert!(losses::SPOOL_FULL.get() >= full + 7 * (620 - ids.len() as u64));
    spool.push(&batch(1, 100)).expect("written");
    spool.set_limit(50);
    assert_eq!(drain(&mut spool), []);
}

#[test]
fn one_agent_a_folder() {
    let folder = Folder::new("lock");
    let first = Spool::open(&folder.0, LIMIT).expect("opens");
    let error = Spool::open(&folder.0, LIMIT).err().expect("taken");
    assert!(error.contains("another agent"), "{error}");
    drop(first);
    assert!(Spool::open(&folder.0, LIMIT).is_ok());
}
